#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "signer/priv.h"

#define FILE_MAX (1024 * 1024)

/* The hash that the file has for a label; false: never used. */
static bool
find(struct mm_bytes text, const char *label, uint8_t hash[32])
{
	struct mm_rd r = mm_rd_over(text);
	size_t label_n = strlen(label);

	while (r.left > 0) {
		const uint8_t *lf = memchr(r.p, '\n', r.left);
		struct mm_bytes line = mm_rd_take(&r,
		    lf == NULL ? r.left : (size_t)(lf - r.p));
		(void)mm_rd_take(&r, r.left > 0);
		if (line.n == label_n + 1 + 64 &&
		    memcmp(line.p, label, label_n) == 0 &&
		    line.p[label_n] == ' ')
			return mm_hex_parse((const char *)line.p + label_n + 1,
			    64, hash, 32, NULL) == MM_OK;
	}
	return false;
}

static enum mm_err
check_one(struct mm_signer *s, struct mm_use *u, struct mm_why *why)
{
	uint8_t kept[32];

	if (!find(mm_buf_view(&s->uses_text), u->label, kept))
		return MM_OK;
	if (memcmp(kept, u->hash, sizeof(kept)) != 0)
		return MM_FAIL(why, MM_EPOLICY, "profile %s was changed after "
		    "it was used: give it a new version", u->label);
	u->used = true;
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_uses_load(struct mm_signer *s, struct mm_why *why)
{
	char path[MM_PATH_MAX + 1];
	enum mm_err err;

	mm_buf_init(&s->uses_text, FILE_MAX);
	MM_TRY(mm_signer_path(&s->conf->set, "profiles", path, why));
	err = mm_file_read(path, &s->uses_text, NULL);
	if (err != MM_OK && err != MM_ENOTFOUND)
		return MM_FAIL(why, err, "cannot read %.90s", path);
	for (size_t i = 0; i < s->nuse; i++)
		MM_TRY(check_one(s, &s->use[i], why));
	return MM_OK;
}

static enum mm_err
note_locked(struct mm_signer *s, struct mm_use *u, struct mm_why *why)
{
	char path[MM_PATH_MAX + 1];
	size_t before = s->uses_text.n;
	enum mm_err err;

	if (u->used)
		return MM_OK;
	MM_TRY(mm_signer_path(&s->conf->set, "profiles", path, why));
	mm_buf_text(&s->uses_text, u->label);
	mm_buf_u8(&s->uses_text, ' ');
	mm_hex_put(&s->uses_text, (struct mm_bytes){ u->hash, 32 });
	mm_buf_u8(&s->uses_text, '\n');
	err = mm_buf_ok(&s->uses_text, why);
	if (err == MM_OK)
		err = mm_file_replace(path, mm_buf_view(&s->uses_text), 0600,
		    why);
	if (err != MM_OK) {
		s->uses_text.n = before;
		return MM_EAGAIN;
	}
	u->used = true;
	MM_LOG(MM_LOG_INFO, "profile.used", MM_S("profile", u->label));
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_use_note(struct mm_signer *s, struct mm_use *u, struct mm_why *why)
{
	enum mm_err err;

	if (u->used)
		return MM_OK;
	pthread_mutex_lock(&s->use_lock);
	err = note_locked(s, u, why);
	pthread_mutex_unlock(&s->use_lock);
	return err;
}
