#include <string.h>

#include "base/own.h"
#include "base/time.h"
#include "server/bootstrap.h"
#include "server/groups.h"
#include "server/oldcrl.h"

/* What an old CA revoked while it was in use. */

MM_FREE_FN(x509_free, X509, X509_free)

static X509 *
certificate(const struct mm_credential *c)
{
	const unsigned char *p = c->der.p;

	return d2i_X509(NULL, &p, (long)c->der.n);
}

/* One may not be replaced by an older one: what was revoked stays so. */
static enum mm_err
not_older(struct mm_rest *r, const struct mm_credential *c, X509 *ca,
    int64_t this_s, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_OLD_CRL_MAX);
	MM_OWN(mm_old_crl_done) struct mm_old_crl had = { .n = 0 };

	if (!c->has_crl)
		return MM_OK;
	MM_TRY(mm_credential_crl(r->reader, c->crl, &der, why));
	MM_TRY(mm_old_crl_read(mm_buf_view(&der), ca, &had, why));
	return this_s >= had.this_s ? MM_OK
	    : MM_FAIL(why, MM_ECONFLICT, "list: older than the one there is");
}

/* Whichever of the group's CAs signed it. */
static enum mm_err
find_ca(struct mm_rest *r, const struct mm_group *g, struct mm_bytes der,
    struct mm_old_crl *list, const uint8_t **ca, struct mm_why *why)
{
	struct mm_why own = { 0 };
	enum mm_err rc = MM_EPOLICY;

	for (size_t i = 0; i < g->ncredentials && rc == MM_EPOLICY; i++) {
		MM_OWN(mm_credential_done)
		struct mm_credential c = MM_CREDENTIAL_INIT;
		MM_OWN(x509_free) X509 *x = NULL;

		own = (struct mm_why){ 0 };
		MM_TRY(mm_credential_get(r->reader, MM_CREDENTIAL_CA,
		    g->credential[i], &c, why));
		x = certificate(&c);
		if (x == NULL)
			return MM_FAIL(why, MM_ESYS, "a CA cannot be read");
		rc = mm_old_crl_read(der, x, list, &own);
		if (rc == MM_OK)
			MM_TRY(not_older(r, &c, x, list->this_s, why));
		*ca = g->credential[i];
	}
	return rc == MM_OK ? MM_OK : MM_FAIL(why, rc, "%s", own.text);
}

/* PEM, as the command line sends it. */
static enum mm_err
read_list(const json_t *in, struct mm_buf *der, struct mm_why *why)
{
	const json_t *v = json_object_get(in, "crl");
	struct mm_bytes text = { (const uint8_t *)json_string_value(v),
		json_string_length(v) };

	if (json_object_size(in) != 1 || !json_is_string(v) ||
	    mm_pem_next(&text, "X509 CRL", der, NULL) != MM_OK)
		return MM_FAIL(why, MM_EINPUT, "crl: want PEM of at most %u "
		    "bytes", MM_OLD_CRL_MAX);
	return mm_buf_ok(der, why);
}

static void
put_answer(struct mm_rest *r, const struct mm_group *g, const uint8_t ca[32],
    const struct mm_old_crl *list)
{
	mm_json_open(&r->j, '{');
	mm_json_str(&r->j, "group", g->id);
	mm_rest_put_sha256(&r->j, "ca", ca);
	mm_json_int(&r->j, "revoked", (int64_t)list->n);
	mm_rest_put_time(&r->j, "this_update", list->this_s * 1000);
	mm_rest_put_time(&r->j, "next_update", list->next_s * 1000);
	mm_json_close(&r->j, '}');
}

/* The entry comes first: no list counts that no entry tells of. */
enum mm_err
mm_rest_group_crl(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_OLD_CRL_MAX);
	MM_OWN(mm_old_crl_done) struct mm_old_crl list = { .n = 0 };
	const uint8_t *ca = NULL;
	struct mm_group g;
	uint8_t hash[32];
	char hex[65];

	MM_TRY(read_list(r->in, &der, why));
	MM_TRY(mm_rest_group_of(r, &g, why));
	if (g.kind != MM_GROUP_CA || g.state == MM_WORK_CLOSED)
		return MM_FAIL(why, MM_ECONFLICT, "group %s: %s", g.id,
		    g.kind == MM_GROUP_CA ? "is closed" : "has no CA");
	MM_TRY(find_ca(r, &g, mm_buf_view(&der), &list, &ca, why));
	mm_sha256(mm_buf_view(&der), hash);
	mm_hex_text(hash, 32, hex);
	snprintf(g.note, sizeof(g.note), "revocation list %s", hex);
	MM_TRY(mm_desk_group_put(r->desk, &r->login, &g, "crl", why));
	MM_TRY(mm_desk_credential_crl(r->desk, ca, mm_buf_view(&der), why));
	mm_boot_refresh(r->s->boot, r->reader);
	put_answer(r, &g, ca, &list);
	return MM_OK;
}
