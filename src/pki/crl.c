#include <string.h>

#include "pki/priv.h"

#define OID_NUMBER "2.5.29.20"
#define OID_REASON "2.5.29.21"
#define OID_IDP    "2.5.29.28"

/* RFC 5280 5.3.1; 7 is not used */
static const char *const reasons[] = { "unspecified", "keyCompromise",
	"cACompromise", "affiliationChanged", "superseded",
	"cessationOfOperation", "certificateHold", NULL, "removeFromCRL",
	"privilegeWithdrawn", "aACompromise" };

/* see cert.h */
const char *
mm_reason_name(unsigned reason)
{
	return reason < MM_COUNT(reasons) && reasons[reason] != NULL ?
	    reasons[reason] : "unknown";
}

/* see cert.h */
bool
mm_reason_revokes(unsigned reason)
{
	return reason < MM_COUNT(reasons) && reasons[reason] != NULL &&
	    reason != 6 && reason != 8;
}

/* see cert.h */
enum mm_err
mm_reason_parse(const char *name, unsigned *out, struct mm_why *why)
{
	for (unsigned i = 0; i < MM_COUNT(reasons); i++)
		if (reasons[i] != NULL && strcmp(reasons[i], name) == 0) {
			*out = i;
			return MM_OK;
		}
	return MM_FAIL(why, MM_EINPUT, "\"%.32s\" is not a reason of RFC 5280 "
	    "5.3.1 (keyCompromise, superseded, ...)", name);
}

/* RFC 5280 5.3: crlEntryExtensions with a reasonCode */
static void
put_reason(struct mm_buf *b, uint8_t reason)
{
	size_t list = mm_der_open(b, MM_DER_SEQ);
	struct mm_ext_mark m = mm_ext_open(b, OID_REASON, false);

	mm_der_put(b, MM_DER_ENUM, (struct mm_bytes){ &reason, 1 });
	mm_ext_close(b, m);
	mm_der_close(b, list);
}

/* RFC 5280 5.1.2.6: absent where nothing is revoked */
static void
put_entries(struct mm_buf *b, const struct mm_crl_entry *e, size_t ne)
{
	size_t list, entry;

	if (ne == 0)
		return;
	list = mm_der_open(b, MM_DER_SEQ);
	for (size_t i = 0; i < ne; i++) {
		entry = mm_der_open(b, MM_DER_SEQ);
		mm_der_put_integer(b, (struct mm_bytes){ e[i].serial,
		    sizeof(e[i].serial) });
		mm_der_put_time(b, e[i].at_s);
		if (e[i].reason != 0)
			put_reason(b, e[i].reason);
		mm_der_close(b, entry);
	}
	mm_der_close(b, list);
}

/*
 * RFC 5280 5.2.5: the name that the certificates of the shard have, byte for
 * byte, so that no list is taken for another shard's; and no CA's certificate
 * is of a shard.
 */
static void
put_point(struct mm_buf *b, const struct mm_issuer *i, uint32_t shard)
{
	static const uint8_t yes = 0xff;
	struct mm_ext_mark m = mm_ext_open(b, OID_IDP, true);
	size_t seq = mm_der_open(b, MM_DER_SEQ);
	size_t name = mm_der_open(b, MM_DER_CTXC(0));
	size_t full = mm_der_open(b, MM_DER_CTXC(0));
	char url[MM_CRL_URL_MAX];

	mm_issuer_crl_url(i, shard, url);
	mm_der_put(b, MM_DER_CTX(6), mm_bytes_of(url));
	mm_der_close(b, full);
	mm_der_close(b, name);
	mm_der_put(b, MM_DER_CTX(1), (struct mm_bytes){ &yes, 1 });
	mm_der_close(b, seq);
	mm_ext_close(b, m);
}

/* RFC 5280 5.2.1, 5.2.3 */
static void
put_extensions(struct mm_buf *b, const struct mm_issuer *i,
    const struct mm_crl_of *of)
{
	size_t wrap = mm_der_open(b, MM_DER_CTXC(0));
	size_t list = mm_der_open(b, MM_DER_SEQ);
	struct mm_ext_mark m;

	mm_ext_put_aki(b, (struct mm_bytes){ i->key_id, sizeof(i->key_id) });
	m = mm_ext_open(b, OID_NUMBER, false);
	mm_der_put_uint(b, of->number);
	mm_ext_close(b, m);
	if (of->shard != MM_CRL_WHOLE)
		put_point(b, i, of->shard);
	mm_der_close(b, list);
	mm_der_close(b, wrap);
}

static enum mm_err
check_entries(const struct mm_issuer *i, const struct mm_crl_of *of,
    struct mm_why *why)
{
	for (size_t k = 0; k < of->n; k++) {
		const struct mm_crl_entry *e = &of->entry[k];

		if (strcmp(mm_reason_name(e->reason), "unknown") == 0)
			return MM_FAIL(why, MM_EINPUT,
			    "crl: RFC 5280 5.3.1: no reason %u", e->reason);
		if (of->shard != MM_CRL_WHOLE &&
		    mm_issuer_shard(i, e->serial) != of->shard)
			return MM_FAIL(why, MM_EINPUT, "crl: RFC 5280 5.2.5: "
			    "an entry is of another shard than %u", of->shard);
	}
	return MM_OK;
}

/* see cert.h; RFC 5280 5.1.2 */
enum mm_err
mm_crl_build(const struct mm_issuer *i, const struct mm_crl_of *of,
    struct mm_bytes alg, struct mm_buf *tbs, struct mm_why *why)
{
	size_t mark = mm_der_open(tbs, MM_DER_SEQ);

	MM_TRY(check_entries(i, of, why));
	if (of->shard != MM_CRL_WHOLE &&
	    (of->shard >= i->shards || i->crl_url[0] == '\0'))
		return MM_FAIL(why, MM_EINPUT, "crl: issuer %s has no shard "
		    "%u", i->name, of->shard);
	if (of->next_s <= of->this_s)
		return MM_FAIL(why, MM_EINPUT,
		    "crl: RFC 5280 5.1.2.5: nextUpdate before thisUpdate");
	mm_der_put_uint(tbs, 1); /* v2 */
	mm_buf_bytes(tbs, alg);
	mm_buf_bytes(tbs, i->subject);
	mm_der_put_time(tbs, of->this_s);
	mm_der_put_time(tbs, of->next_s);
	put_entries(tbs, of->entry, of->n);
	put_extensions(tbs, i, of);
	mm_der_close(tbs, mark);
	return mm_buf_ok(tbs, why);
}
