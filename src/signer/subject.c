#include <stdio.h>
#include <string.h>

#include "base/time.h"
#include "signer/setup.h"

/* What CAs are called. */

/* see setup.h */
void
mm_default_subject(const struct mm_settings *set, const char *what,
    struct mm_conf_list *subject)
{
	if (subject->n > 0)
		return;
	subject->n = 2;
	snprintf(subject->item[0], MM_CONF_ITEM_MAX, "O=%s", set->name);
	/* RFC 5280 ub-common-name is 64 */
	snprintf(subject->item[1], MM_CONF_ITEM_MAX, "CN=%.*s %s",
	    (int)(63 - strlen(what)), set->name, what);
}

/* see setup.h; there are many: no two of one name */
void
mm_line_subject(const struct mm_settings *set, const char *name,
    struct mm_conf_list *subject)
{
	char what[MM_NAME_MAX + 16];

	snprintf(what, sizeof(what), MM_LINE_CN " %s", name);
	mm_default_subject(set, what, subject);
}

static bool
is_first(const struct mm_config *c, const struct mm_issuer_conf *conf)
{
	const struct mm_issuer_conf *i = c->issuer;

	while (i != conf && (i->line || (i->lines > 0) != (conf->lines > 0)))
		i++;
	return i == conf;
}

/* see setup.h; all but the first of a kind are told apart by their names: two
 * CAs of one subject would be one to whoever looks for a revocation list */
void
mm_name_issuer(const struct mm_setup *s, const struct mm_issuer_conf *conf,
    struct mm_conf_list *subject)
{
	const bool first = is_first(s->conf, conf);
	char what[MM_NAME_MAX + 16];

	snprintf(what, sizeof(what), "%s%s%s",
	    conf->lines > 0 ? "CA of lines" : "Issuing CA", first ? "" : " ",
	    first ? "" : conf->name);
	if (conf->line)
		mm_line_subject(&s->conf->set, conf->name, subject);
	else
		mm_default_subject(&s->conf->set, what, subject);
}

/* see setup.h; a Name alone is not offered by pki: it is taken out of a
 * certificate that nobody signs, of a key that is nobody's */
enum mm_err
mm_subject_der(const struct mm_conf_list *subject, struct mm_buf *scratch,
    struct mm_bytes *name, struct mm_why *why)
{
	MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;
	MM_OWN(mm_buf_done) struct mm_buf tbs = MM_BUF_INIT(MM_CERT_MAX);
	MM_OWN(mm_buf_done) struct mm_buf spki = MM_BUF_INIT(4096);
	MM_OWN(mm_sign_free) struct mm_sign *sign = NULL;
	struct mm_ca_fields f = { .subject = subject, .ca = true,
		.path_len = 0, .serial = { 1 },
		.not_before_s = mm_now_s(), .not_after_s = mm_now_s() + 1 };
	static const uint8_t unsigned_[1];
	struct mm_cert c;

	MM_TRY(mm_key_make(MM_KEY_P256, &key, why));
	MM_TRY(mm_key_spki(key, &spki, why));
	f.spki = mm_buf_view(&spki);
	MM_TRY(mm_sign_new(NULL, key, &sign, why));
	MM_TRY(mm_ca_build(&f, mm_sign_alg(sign), &tbs, why));
	mm_cert_join(scratch, mm_buf_view(&tbs), mm_sign_alg(sign),
	    (struct mm_bytes){ unsigned_, sizeof(unsigned_) });
	MM_TRY(mm_buf_ok(scratch, why));
	MM_TRY(mm_cert_walk(mm_buf_view(scratch), &c, why));
	*name = c.subject;
	return MM_OK;
}

/* Another issuer whose certificate has that Name, or that key; NULL. */
static const char *
who_has(const struct mm_setup *s, const struct mm_issuer_conf *conf,
    const struct mm_bytes *name, const struct mm_bytes *spki)
{
	struct mm_cert c;

	for (size_t i = 0; i < s->conf->nissuer; i++) {
		const struct mm_issuer_conf *other = &s->conf->issuer[i];
		MM_OWN(mm_ca_done) struct mm_ca ca = { 0 };

		if (other != conf &&
		    mm_ca_read(other->certificate, &ca, NULL) == MM_OK &&
		    mm_cert_walk(mm_buf_view(&ca.der), &c, NULL) == MM_OK &&
		    ((name != NULL && mm_bytes_eq(*name, c.subject)) ||
			(spki != NULL && mm_bytes_eq(*spki, c.spki.whole))))
			return other->name;
	}
	return NULL;
}

/* see setup.h */
enum mm_err
mm_check_subject(const struct mm_setup *s, const struct mm_issuer_conf *conf,
    struct mm_bytes name, struct mm_why *why)
{
	const char *other = who_has(s, conf, &name, NULL);

	return other == NULL ? MM_OK : MM_FAIL(why, MM_ECONFLICT, "issuer %s "
	    "has the same subject: another name, or revocation lists cannot "
	    "be told apart", other);
}

/* see setup.h */
enum mm_err
mm_check_own_key(const struct mm_setup *s, const struct mm_issuer_conf *conf,
    struct mm_bytes spki, struct mm_why *why)
{
	const char *other = who_has(s, conf, NULL, &spki);

	return other == NULL ? MM_OK : MM_FAIL(why, MM_ECONFLICT, "issuer %s "
	    "has the same key, which issuer %s is not to depend on: another "
	    "one (of a token: object=)", other, conf->name);
}
