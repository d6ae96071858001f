#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "signer/far.h"

/*
 * Issuers' keys that are in PKCS#11 tokens (hsm/hsm.h).  A certificate says
 * whose key it is, so the signer starts without the token; what the token
 * answers is verified by that key each time.
 */
enum {
	DEADLINE_MS = 5000,
	FIRST_WORD_MS = 5000, /* before the signer goes on without */
};

/* see far.h */
enum mm_err
mm_far_key(struct mm_bytes spki, EVP_PKEY **out, struct mm_why *why)
{
	MM_OWN(mm_key_templates_free) struct mm_key_templates *t = NULL;
	struct mm_spki s;

	MM_TRY(mm_spki_parse(spki, &s, why));
	MM_TRY(mm_key_templates_new(NULL, &t, why));
	return mm_spki_load(&s, t, out, why);
}

/* see far.h */
enum mm_err
mm_ca_sign_new(const struct mm_ca *ca, struct mm_sign **out,
    struct mm_why *why)
{
	return ca->hsm == NULL ? mm_sign_new(NULL, ca->key, out, why) :
	    mm_sign_new_far(ca->key, mm_hsm_sign, ca->hsm, out, why);
}

/* see far.h */
enum mm_err
mm_ca_ready(const struct mm_ca *ca, struct mm_why *why)
{
	struct mm_why cause = { 0 };

	if (ca->hsm == NULL || mm_hsm_ready(ca->hsm, &cause) == MM_OK)
		return MM_OK;
	return MM_FAIL(why, MM_EAGAIN, "issuer %s: %.120s", ca->issuer.name,
	    cause.text);
}

/* ---- which PIN was refused: a file, so that a restart does not try it ---- */

static enum mm_err
mark_path(const struct mm_settings *set, const char *issuer,
    char path[MM_PATH_MAX + 1], struct mm_why *why)
{
	char name[64];

	snprintf(name, sizeof(name), "pin-refused-%s", issuer);
	return mm_signer_path(set, name, path, why);
}

/* see far.h; one that cannot be written is tried again after a restart */
void
mm_far_mark(const struct mm_settings *set, const char *issuer,
    struct mm_hsm *hsm, enum mm_hsm_state state)
{
	char path[MM_PATH_MAX + 1], which[MM_HSM_TEXT];
	struct mm_why why = { 0 };
	enum mm_err rc = mark_path(set, issuer, path, &why);

	mm_hsm_refused(hsm, which);
	if (rc == MM_OK && state == MM_HSM_READY)
		(void)unlink(path);
	if (rc == MM_OK && state == MM_HSM_REFUSED && which[0] != '\0')
		rc = mm_file_replace(path, mm_bytes_of(which), 0600, &why);
	if (rc != MM_OK)
		MM_LOG(MM_LOG_ERROR, "key.not-noted", MM_S("issuer", issuer),
		    MM_S("why", why.text));
}

static bool
marked(const struct mm_settings *set, const char *issuer)
{
	char path[MM_PATH_MAX + 1];

	return mark_path(set, issuer, path, NULL) == MM_OK &&
	    access(path, F_OK) == 0;
}

static enum mm_err
read_mark(const struct mm_settings *set, const char *issuer,
    char out[MM_HSM_TEXT], struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(MM_HSM_TEXT);
	char path[MM_PATH_MAX + 1];

	out[0] = '\0';
	if (!marked(set, issuer))
		return MM_OK;
	MM_TRY(mark_path(set, issuer, path, why));
	MM_TRY(mm_file_read(path, &b, why));
	(void)!mm_text_copy(out, MM_HSM_TEXT, mm_buf_view(&b));
	return MM_OK;
}

/* ---- the signer's ---- */

static int64_t
deadline_of(const struct mm_settings *set)
{
	int64_t half = set->watchdog_s * 1000 / 2;

	return half > 0 && half < DEADLINE_MS ? half : DEADLINE_MS;
}

static enum mm_err
begin(struct mm_signer *s, size_t i, const char *keys, struct mm_bytes pass,
    struct mm_why *why)
{
	const struct mm_issuer_conf *conf = &s->conf->issuer[i];
	static const struct mm_bytes none = { NULL, 0 };
	char refused[MM_HSM_TEXT];
	struct mm_hsm_begin b = { .refused = refused,
		.pin = conf->pin_file[0] == '\0' ? pass : none,
		.deadline_ms = deadline_of(&s->conf->set) };

	MM_TRY(read_mark(&s->conf->set, conf->name, refused, why));
	MM_TRY(mm_hsm_attach(keys, conf->name, &s->hsm[i], why));
	return mm_hsm_begin(s->hsm[i], &b, why);
}

/* see far.h */
enum mm_err
mm_far_begin(struct mm_signer *s, const char *keys, struct mm_bytes pass,
    struct mm_why *why)
{
	for (size_t i = 0; i < s->conf->nissuer; i++)
		if (mm_issuer_in_token(&s->conf->issuer[i]) &&
		    !s->conf->issuer[i].retired)
			MM_TRY(begin(s, i, keys, pass, why));
	return MM_OK;
}

/* see far.h */
enum mm_err
mm_far_open(struct mm_signer *s, size_t i, struct mm_why *why)
{
	struct mm_ca *ca = &s->ca[i];
	struct mm_cert c;

	MM_TRY(mm_cert_walk(mm_buf_view(&ca->der), &c, why));
	ca->hsm = s->hsm[i];
	return mm_far_key(c.spki.whole, &ca->key, why);
}

static const struct {
	enum mm_log_level level;
	const char *event;
} told[] = {
	[MM_HSM_WAITS] = { MM_LOG_WARN, "key.waits" },
	[MM_HSM_READY] = { MM_LOG_INFO, "key.ready" },
	[MM_HSM_AWAY] = { MM_LOG_WARN, "key.away" },
	[MM_HSM_REFUSED] = { MM_LOG_ERROR, "key.pin-refused" },
	[MM_HSM_GONE] = { MM_LOG_ERROR, "key.keeper-ended" },
};

/* Once a change. */
static enum mm_hsm_state
look(struct mm_signer *s, size_t i, int64_t wait_ms)
{
	const struct mm_settings *set = &s->conf->set;
	const char *issuer = s->conf->issuer[i].name;
	char text[MM_HSM_TEXT];
	enum mm_hsm_state state = mm_hsm_wait(s->hsm[i], wait_ms, text);

	if (state == MM_HSM_REFUSED && s->hsm_said[i] == state &&
	    !marked(set, issuer)) {
		mm_hsm_again(s->hsm[i]);
		s->hsm_said[i] = MM_HSM_WAITS;
		return MM_HSM_WAITS;
	}
	if (state == s->hsm_said[i])
		return state;
	s->hsm_said[i] = state;
	MM_LOG(told[state].level, told[state].event, MM_S("issuer", issuer),
	    MM_S("why", text));
	mm_far_mark(set, issuer, s->hsm[i], state);
	return state;
}

/* see far.h */
void
mm_far_wait(struct mm_signer *s)
{
	for (size_t i = 0; i < s->conf->nissuer; i++)
		if (s->hsm[i] != NULL)
			(void)look(s, i, FIRST_WORD_MS);
}

/* see far.h */
bool
mm_far_look(struct mm_signer *s)
{
	bool whole = true;

	for (size_t i = 0; i < s->conf->nissuer; i++)
		if (s->hsm[i] != NULL && look(s, i, 0) == MM_HSM_GONE)
			whole = false;
	return whole;
}

/* see far.h; of several, the last one that is worst */
void
mm_far_status(struct mm_signer *s, struct mm_status_rep *p)
{
	enum mm_hsm_state worst = MM_HSM_READY;

	for (size_t i = 0; i < s->conf->nissuer; i++) {
		char text[MM_HSM_TEXT];
		enum mm_hsm_state state;

		if (s->hsm[i] == NULL)
			continue;
		p->tokens++;
		state = mm_hsm_look(s->hsm[i], text);
		if (state == MM_HSM_READY)
			continue;
		p->tokens_away++;
		if (worst == MM_HSM_REFUSED)
			continue;
		worst = state;
		p->token_refused = state == MM_HSM_REFUSED;
		snprintf(p->token_issuer, sizeof(p->token_issuer), "%s",
		    s->conf->issuer[i].name);
		snprintf(p->token_why, sizeof(p->token_why), "%s", text);
	}
}
