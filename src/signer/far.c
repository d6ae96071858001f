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
	MARK_N = 8,
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

/* One a token and place of its PIN: what one of a token's keys was refused,
 * the others are not to try again. */
static enum mm_err
mark_path(const struct mm_settings *set, const struct mm_issuer_conf *conf,
    char path[MM_PATH_MAX + 1], struct mm_why *why)
{
	char name[32] = "pin-refused-", hex[65];
	uint8_t id[32];

	MM_TRY(mm_hsm_pin_id(conf, id, why));
	mm_hex_text(id, MARK_N, hex);
	memcpy(name + strlen(name), hex, 2 * MARK_N + 1);
	return mm_signer_path(set, name, path, why);
}

/* see far.h; one that cannot be written is tried again after a restart */
enum mm_err
mm_far_mark(const struct mm_settings *set, const struct mm_issuer_conf *conf,
    struct mm_hsm *hsm, enum mm_hsm_state state, struct mm_why *why)
{
	char path[MM_PATH_MAX + 1], which[MM_HSM_TEXT];

	mm_hsm_refused(hsm, which);
	MM_TRY(mark_path(set, conf, path, why));
	if (state == MM_HSM_READY)
		(void)unlink(path);
	if (state == MM_HSM_REFUSED && which[0] != '\0')
		return mm_file_replace(path, mm_bytes_of(which), 0600, why);
	return MM_OK;
}

static bool
marked(const struct mm_settings *set, const struct mm_issuer_conf *conf)
{
	char path[MM_PATH_MAX + 1];

	return mark_path(set, conf, path, NULL) == MM_OK &&
	    access(path, F_OK) == 0;
}

static enum mm_err
read_mark(const struct mm_settings *set, const struct mm_issuer_conf *conf,
    char out[MM_HSM_TEXT], struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(MM_HSM_TEXT);
	char path[MM_PATH_MAX + 1];

	out[0] = '\0';
	if (!marked(set, conf))
		return MM_OK;
	MM_TRY(mark_path(set, conf, path, why));
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

/* Its key is kept in a token, to be used. */
static bool
is_kept(const struct mm_issuer_conf *conf)
{
	return mm_issuer_in_token(conf) && !conf->retired;
}

/* The first one that has the i-th's mark, too: itself, mostly. */
static size_t
first_of(const struct mm_signer *s, size_t i)
{
	const struct mm_issuer_conf *conf = s->conf->issuer;
	char own[MM_PATH_MAX + 1], path[MM_PATH_MAX + 1];

	if (mark_path(&s->conf->set, &conf[i], own, NULL) != MM_OK)
		return i;
	for (size_t k = 0; k < i; k++)
		if (is_kept(&conf[k]) && mark_path(&s->conf->set, &conf[k],
		    path, NULL) == MM_OK && strcmp(path, own) == 0)
			return k;
	return i;
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

	s->hsm_first[i] = first_of(s, i);
	MM_TRY(read_mark(&s->conf->set, conf, refused, why));
	MM_TRY(mm_hsm_attach(keys, conf->name, &s->hsm[i], why));
	return mm_hsm_begin(s->hsm[i], &b, why);
}

/* see far.h */
enum mm_err
mm_far_begin(struct mm_signer *s, const char *keys, struct mm_bytes pass,
    struct mm_why *why)
{
	for (size_t i = 0; i < s->conf->nissuer; i++)
		if (is_kept(&s->conf->issuer[i]))
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

/* A mark that was on the disk and is gone: a person took it away.  The first
 * one's word comes before the others', who may find it there again. */
static bool
is_cleared(const struct mm_signer *s, size_t i)
{
	return s->hsm_marked[i] &&
	    s->hsm_said[s->hsm_first[i]] != MM_HSM_WAITS &&
	    !marked(&s->conf->set, &s->conf->issuer[i]);
}

/* Until it is written: the mark is tried again, the PIN is not. */
static void
note(struct mm_signer *s, size_t i, bool news)
{
	const struct mm_issuer_conf *conf = &s->conf->issuer[i];
	struct mm_why why = { 0 };
	enum mm_err rc = mm_far_mark(&s->conf->set, conf, s->hsm[i],
	    s->hsm_said[i], &why);

	s->hsm_marked[i] = s->hsm_said[i] == MM_HSM_REFUSED && rc == MM_OK &&
	    marked(&s->conf->set, conf);
	if (rc != MM_OK && news)
		MM_LOG(MM_LOG_ERROR, "key.not-noted", MM_S("issuer",
		    conf->name), MM_S("why", why.text));
}

/* Once a change; another PIN that is refused is one. */
static enum mm_hsm_state
look(struct mm_signer *s, size_t i, int64_t wait_ms)
{
	char text[MM_HSM_TEXT], which[MM_HSM_TEXT];
	enum mm_hsm_state state = mm_hsm_wait(s->hsm[i], wait_ms, text);
	bool news = state != s->hsm_said[i];

	mm_hsm_refused(s->hsm[i], which);
	if (state == MM_HSM_REFUSED && !news) {
		if (is_cleared(s, i)) {
			mm_hsm_again(s->hsm[i]);
			s->hsm_marked[i] = false;
			s->hsm_said[i] = MM_HSM_WAITS;
			return MM_HSM_WAITS;
		}
		news = strcmp(which, s->hsm_which[i]) != 0;
	}
	s->hsm_said[i] = state;
	memcpy(s->hsm_which[i], which, sizeof(which));
	if (news)
		MM_LOG(told[state].level, told[state].event, MM_S("issuer",
		    s->conf->issuer[i].name), MM_S("why", text));
	if (news || (state == MM_HSM_REFUSED && !s->hsm_marked[i]))
		note(s, i, news);
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
