#include <arpa/inet.h>
#include <string.h>

#include "pki/priv.h"

#define OID_BC  "2.5.29.19"
#define OID_NC  "2.5.29.30"
#define OID_SAN "2.5.29.17"
#define OID_EKU "2.5.29.37"
#define OID_SERVER_AUTH  "1.3.6.1.5.5.7.3.1"
#define OID_CLIENT_AUTH  "1.3.6.1.5.5.7.3.2"
#define OID_OCSP_SIGNING "1.3.6.1.5.5.7.3.9"
#define OID_NO_CHECK     "1.3.6.1.5.5.7.48.1.5"

#define BIT_SIGN      (1U << 0)
#define BIT_ENCIPHER  (1U << 2)
#define BIT_CERT_SIGN (1U << 5)
#define BIT_CRL_SIGN  (1U << 6)

/* RFC 5280 4.2.1.9: cA, and a pathLenConstraint where one is stated */
static void
put_basic(struct mm_buf *b, int path_len)
{
	static const uint8_t yes = 0xff;
	struct mm_ext_mark m = mm_ext_open(b, OID_BC, true);
	size_t seq = mm_der_open(b, MM_DER_SEQ);

	mm_der_put(b, MM_DER_BOOLEAN, (struct mm_bytes){ &yes, 1 });
	if (path_len >= 0)
		mm_der_put_uint(b, (uint64_t)path_len);
	mm_der_close(b, seq);
	mm_ext_close(b, m);
}

static void
put_purposes(struct mm_buf *b, const struct mm_conf_list *oids)
{
	struct mm_ext_mark m = mm_ext_open(b, OID_EKU, false);
	size_t seq = mm_der_open(b, MM_DER_SEQ);

	for (size_t i = 0; i < oids->n; i++)
		mm_der_put_oid(b, oids->item[i]);
	mm_der_close(b, seq);
	mm_ext_close(b, m);
}

static void
put_purpose(struct mm_buf *b, const char *oid)
{
	struct mm_conf_list one = { .n = 1 };

	(void)!mm_text_copy(one.item[0], sizeof(one.item[0]),
	    mm_bytes_of(oid));
	put_purposes(b, &one);
}

static void
put_subtree(struct mm_buf *b, uint8_t tag, struct mm_bytes base)
{
	size_t seq = mm_der_open(b, MM_DER_SEQ);

	mm_der_put(b, tag, base);
	mm_der_close(b, seq);
}

/*
 * RFC 5280 4.2.1.10: excludedSubtrees, these hosts and every address, of
 * either family (an address and a mask of zeros).  Not critical, though it
 * says MUST: mbed TLS knows no name constraints and refuses to parse such a
 * certificate, in a device's own chain, too.
 */
static void
put_not_hosts(struct mm_buf *b, const struct mm_conf_list *hosts)
{
	static const uint8_t all[32];
	struct mm_ext_mark m = mm_ext_open(b, OID_NC, false);
	size_t seq = mm_der_open(b, MM_DER_SEQ);
	size_t excluded = mm_der_open(b, MM_DER_CTXC(1));

	for (size_t i = 0; i < hosts->n; i++)
		put_subtree(b, MM_DER_CTX(2), mm_bytes_of(hosts->item[i]));
	put_subtree(b, MM_DER_CTX(7), (struct mm_bytes){ all, 8 });
	put_subtree(b, MM_DER_CTX(7), (struct mm_bytes){ all, 32 });
	mm_der_close(b, excluded);
	mm_der_close(b, seq);
	mm_ext_close(b, m);
}

/* RFC 6960 4.2.2.2.1: it lives for days, and nobody asks about it */
static void
put_no_check(struct mm_buf *b)
{
	struct mm_ext_mark m = mm_ext_open(b, OID_NO_CHECK, false);

	mm_der_put(b, MM_DER_NULL, (struct mm_bytes){ NULL, 0 });
	mm_ext_close(b, m);
}

/* RFC 5280 4.2.1.6: 4 or 16 bytes */
static enum mm_err
put_address(struct mm_buf *b, const char *text, struct mm_why *why)
{
	uint8_t addr[16];
	size_t n = 4;

	if (inet_pton(AF_INET, text, addr) != 1) {
		n = 16;
		if (inet_pton(AF_INET6, text, addr) != 1)
			return MM_FAIL(why, MM_EINPUT,
			    "\"%.64s\" is not an IP address", text);
	}
	mm_der_put(b, MM_DER_CTX(7), (struct mm_bytes){ addr, n });
	return MM_OK;
}

/* see cert.h; RFC 1123 2.1: letters, digits, hyphens; RFC 6125 6.4.3: the
 * first label may be "*" */
bool
mm_host_name_valid(const char *s)
{
	static const char ok[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-";
	bool number;
	size_t n;

	if (strlen(s) > 253)
		return false;
	if (strncmp(s, "*.", 2) == 0)
		s += 2;
	for (;; s += n + 1) {
		n = strspn(s, ok);
		if (n == 0 || n > 63 || s[0] == '-' || s[n - 1] == '-')
			return false;
		number = strspn(s, "0123456789") == n;
		if (s[n] != '.')
			return s[n] == '\0' && !number;
	}
}

static enum mm_err
put_host(struct mm_buf *b, const char *name, struct mm_why *why)
{
	if (!mm_host_name_valid(name))
		return MM_FAIL(why, MM_EINPUT,
		    "\"%.100s\" is not one DNS name", name);
	mm_der_put(b, MM_DER_CTX(2), mm_bytes_of(name));
	return MM_OK;
}

static size_t
count(const struct mm_conf_list *l)
{
	return l == NULL ? 0 : l->n;
}

static enum mm_err
put_names(struct mm_buf *b, const struct mm_ca_fields *f, struct mm_why *why)
{
	struct mm_ext_mark m;
	size_t seq;

	if (count(f->dns) + count(f->ip) == 0)
		return MM_OK;
	m = mm_ext_open(b, OID_SAN, false);
	seq = mm_der_open(b, MM_DER_SEQ);
	for (size_t i = 0; i < count(f->dns); i++)
		MM_TRY(put_host(b, f->dns->item[i], why));
	for (size_t i = 0; i < count(f->ip); i++)
		MM_TRY(put_address(b, f->ip->item[i], why));
	mm_der_close(b, seq);
	mm_ext_close(b, m);
	return MM_OK;
}

static enum mm_err
put_extensions(struct mm_buf *b, const struct mm_ca_fields *f,
    const struct mm_spki *key, struct mm_why *why)
{
	size_t wrap = mm_der_open(b, MM_DER_CTXC(3));
	size_t seq = mm_der_open(b, MM_DER_SEQ);

	if (f->issuer_key_id.n > 0)
		mm_ext_put_aki(b, f->issuer_key_id);
	mm_ext_put_ski(b, key->key);
	if (f->ca) {
		mm_ext_put_usage(b, BIT_SIGN | BIT_CERT_SIGN | BIT_CRL_SIGN);
		put_basic(b, f->path_len);
		if (f->purposes != NULL)
			put_purposes(b, f->purposes);
		if (f->not_hosts != NULL)
			put_not_hosts(b, f->not_hosts);
	} else if (f->recovery) {
		mm_ext_put_usage(b, BIT_SIGN);
		mm_recovery_put_purpose(b);
	} else if (f->configures) {
		mm_ext_put_usage(b, BIT_SIGN);
		mm_confdoc_put_purpose(b);
	} else if (f->client) {
		mm_ext_put_usage(b, BIT_SIGN);
		put_purpose(b, OID_CLIENT_AUTH);
	} else if (f->responder) {
		mm_ext_put_usage(b, BIT_SIGN);
		put_purpose(b, OID_OCSP_SIGNING);
		put_no_check(b);
	} else {
		/* NSS wants keyEncipherment of an RSA server */
		mm_ext_put_usage(b, key->type >= MM_KEY_RSA2048 ?
		    BIT_SIGN | BIT_ENCIPHER : BIT_SIGN);
		put_purpose(b, OID_SERVER_AUTH);
		MM_TRY(put_names(b, f, why));
	}
	mm_der_close(b, seq);
	mm_der_close(b, wrap);
	return MM_OK;
}

/* see cert.h */
enum mm_err
mm_ca_build(const struct mm_ca_fields *f, struct mm_bytes alg,
    struct mm_buf *tbs, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf subject = MM_BUF_INIT(MM_CERT_MAX);
	const int64_t validity[2] = { f->not_before_s, f->not_after_s };
	struct mm_spki key;
	size_t mark;

	MM_TRY(mm_spki_split(f->spki, &key, why));
	if (f->subject_name.n > 0)
		mm_buf_bytes(&subject, f->subject_name);
	else
		MM_TRY(mm_subject_put(&subject, f->subject, "", "", why));
	MM_TRY(mm_buf_ok(&subject, why));
	mark = mm_der_open(tbs, MM_DER_SEQ);
	mm_tbs_put_head(tbs, (struct mm_bytes){ f->serial, MM_SERIAL_N }, alg,
	    f->issuer_subject.n > 0 ? f->issuer_subject :
				      mm_buf_view(&subject), validity);
	mm_buf_bytes(tbs, mm_buf_view(&subject));
	mm_buf_bytes(tbs, f->spki);
	MM_TRY(put_extensions(tbs, f, &key, why));
	mm_der_close(tbs, mark);
	return mm_buf_ok(tbs, why);
}
