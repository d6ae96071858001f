#include "pki/confdoc.h"

#include <string.h>

#include "base/text.h"
#include "pki/priv.h"

#define HEAD            "mintmark-configuration 1\n"
#define OID_DATA        "1.2.840.113549.1.7.1"
#define OID_SIGNED_DATA "1.2.840.113549.1.7.2"
#define OID_SHA256      "2.16.840.1.101.3.4.2.1"

/* ---- the text ---- */

/* see confdoc.h */
void
mm_confdoc_put(struct mm_buf *out, const struct mm_confdoc *c)
{
	char cert[65], salt[2 * MM_SALT_N + 1];

	mm_hex_text(c->certificate, 32, cert);
	mm_hex_text(c->salt, MM_SALT_N, salt);
	mm_buf_printf(out, HEAD "device %s\ncertificate %s\nversion %lu\n"
	    "salt %s\n\n", c->device, cert, (unsigned long)c->version, salt);
	mm_buf_bytes(out, c->document);
}

/* The rest of a line that begins so; false: another one, or none. */
static bool
take_line(struct mm_bytes *rest, const char *begins, struct mm_bytes *out)
{
	size_t n = strlen(begins);
	const uint8_t *end = rest->n == 0 ? NULL
	    : memchr(rest->p, '\n', rest->n);

	if (end == NULL || (size_t)(end - rest->p) < n ||
	    memcmp(rest->p, begins, n) != 0)
		return false;
	*out = (struct mm_bytes){ rest->p + n, (size_t)(end - rest->p) - n };
	*rest = (struct mm_bytes){ end + 1,
		rest->n - (size_t)(end + 1 - rest->p) };
	return true;
}

static bool
take_version(struct mm_bytes v, uint32_t *out)
{
	char digits[12];
	int64_t n;

	if (!mm_text_copy(digits, sizeof(digits), v) ||
	    mm_int_parse(digits, &n, NULL) != MM_OK || n < 1 ||
	    n > MM_CONFDOC_VERSION_MAX || digits[0] == '0' ||
	    digits[0] == '+')
		return false;
	*out = (uint32_t)n;
	return true;
}

/* In small letters: a text has one form. */
static bool
take_hex(struct mm_bytes hex, uint8_t *out, size_t n)
{
	for (size_t i = 0; i < hex.n; i++)
		if (hex.p[i] >= 'A' && hex.p[i] <= 'F')
			return false;
	return mm_hex_parse((const char *)hex.p, hex.n, out, n, NULL) == MM_OK;
}

/* see confdoc.h */
enum mm_err
mm_confdoc_parse(struct mm_bytes text, struct mm_confdoc *out,
    struct mm_why *why)
{
	struct mm_bytes rest = text, line, device, hex, version, salt;
	struct mm_confdoc c = { .version = 0 };

	if (!take_line(&rest, "mintmark-configuration 1", &line) ||
	    line.n != 0 || !take_line(&rest, "device ", &device) ||
	    !take_line(&rest, "certificate ", &hex) ||
	    !take_line(&rest, "version ", &version) ||
	    !take_line(&rest, "salt ", &salt) ||
	    !take_line(&rest, "", &line) || line.n != 0)
		return MM_FAIL(why, MM_EINPUT,
		    "configuration: its head is not one");
	if (!mm_text_copy(c.device, sizeof(c.device), device) ||
	    !mm_device_id_valid(c.device) ||
	    !take_hex(hex, c.certificate, 32) ||
	    !take_version(version, &c.version) ||
	    !take_hex(salt, c.salt, MM_SALT_N))
		return MM_FAIL(why, MM_EINPUT,
		    "configuration: its head says nothing");
	if (rest.n > MM_CONFDOC_MAX)
		return MM_FAIL(why, MM_ELIMIT, "configuration: %zu bytes, at "
		    "most %d", rest.n, MM_CONFDOC_MAX);
	c.document = rest;
	*out = c;
	return MM_OK;
}

/* ---- the envelope ---- */

/* RFC 5754 2: without parameters */
static void
put_sha256(struct mm_buf *b)
{
	size_t seq = mm_der_open(b, MM_DER_SEQ);

	mm_der_put_oid(b, OID_SHA256);
	mm_der_close(b, seq);
}

/* RFC 5652 5.3: version 1, by issuer and serial number */
static void
put_signer(struct mm_buf *b, const struct mm_cert *cert,
    const struct mm_confdoc_by *by)
{
	size_t set = mm_der_open(b, MM_DER_SET);
	size_t info = mm_der_open(b, MM_DER_SEQ), sid;

	mm_der_put_uint(b, 1);
	sid = mm_der_open(b, MM_DER_SEQ);
	mm_buf_bytes(b, cert->issuer);
	mm_der_put(b, MM_DER_INTEGER, cert->serial);
	mm_der_close(b, sid);
	put_sha256(b);
	mm_buf_bytes(b, by->alg);
	mm_der_put(b, MM_DER_OCTETS, by->sig);
	mm_der_close(b, info);
	mm_der_close(b, set);
}

/* RFC 5652 5.2 */
static void
put_content(struct mm_buf *b, struct mm_bytes text)
{
	size_t seq = mm_der_open(b, MM_DER_SEQ), wrap;

	mm_der_put_oid(b, OID_DATA);
	wrap = mm_der_open(b, MM_DER_CTXC(0));
	mm_der_put(b, MM_DER_OCTETS, text);
	mm_der_close(b, wrap);
	mm_der_close(b, seq);
}

/* DER wants a SET in order (X.690 11.6), which is that of its bytes here. */
static void
put_certs(struct mm_buf *b, struct mm_bytes one, struct mm_bytes other)
{
	size_t certs = mm_der_open(b, MM_DER_CTXC(0));
	size_t n = one.n < other.n ? one.n : other.n;
	bool first = other.n == 0 || memcmp(one.p, other.p, n) <= 0;

	mm_buf_bytes(b, first ? one : other);
	if (other.n > 0)
		mm_buf_bytes(b, first ? other : one);
	mm_der_close(b, certs);
}

/* see confdoc.h */
enum mm_err
mm_confdoc_join(struct mm_buf *out, struct mm_bytes text,
    const struct mm_confdoc_by *by, struct mm_why *why)
{
	size_t content, wrap, data, set;
	struct mm_cert cert;

	MM_TRY(mm_cert_walk(by->cert, &cert, why));
	content = mm_der_open(out, MM_DER_SEQ);
	mm_der_put_oid(out, OID_SIGNED_DATA);
	wrap = mm_der_open(out, MM_DER_CTXC(0));
	data = mm_der_open(out, MM_DER_SEQ);
	mm_der_put_uint(out, 1);
	set = mm_der_open(out, MM_DER_SET);
	put_sha256(out);
	mm_der_close(out, set);
	put_content(out, text);
	put_certs(out, by->cert, by->issuer);
	put_signer(out, &cert, by);
	mm_der_close(out, data);
	mm_der_close(out, wrap);
	mm_der_close(out, content);
	return mm_buf_ok(out, why);
}

/* ---- its purpose ---- */

#define OID_EKU "2.5.29.37"
#define OID_BC  "2.5.29.19"
#define OID_CN  "2.5.4.3"
#define OID_ANY "2.5.29.37.0"

/* ExtKeyUsageSyntax of 2.25.110699661726159169362708747703019946127 (ITU-T
 * X.667: a UUID's arc, longer than any that a profile can write). */
static const uint8_t purposes[] = {
	0x30, 0x16, 0x06, 0x14, 0x69, 0x81, 0xa6, 0xc7,
	0xfd, 0xad, 0xb6, 0xe1, 0xca, 0xad, 0xdd, 0x98,
	0xea, 0xce, 0xe9, 0x8b, 0xdf, 0xa3, 0x81, 0x0f,
};

/* see priv.h */
void
mm_confdoc_put_purpose(struct mm_buf *b)
{
	struct mm_ext_mark m = mm_ext_open(b, OID_EKU, true);

	mm_buf_put(b, purposes, sizeof(purposes));
	mm_ext_close(b, m);
}

/* see confdoc.h */
bool
mm_cert_configures(const struct mm_cert *c)
{
	struct mm_bytes value;
	bool critical;

	return mm_cert_extension(c, OID_EKU, &critical, &value) && critical &&
	    mm_bytes_eq(value, (struct mm_bytes){ purposes,
	    sizeof(purposes) }) &&
	    !mm_cert_extension(c, OID_BC, NULL, &value);
}

/* RFC 5280 4.2.1.12: this purpose, or anyExtendedKeyUsage, is among them. */
static bool
lets_configure(struct mm_bytes value)
{
	struct mm_rd r = mm_rd_over(value), oids;
	struct mm_bytes oid;

	oids = mm_rd_over(mm_der_take(&r, MM_DER_SEQ));
	while (!r.bad && !oids.bad && oids.left > 0) {
		oid = mm_der_take(&oids, MM_DER_OID);
		if (!oids.bad && (mm_der_oid_is(oid, OID_ANY) ||
		    mm_bytes_eq(oid, (struct mm_bytes){ purposes + 4,
		    sizeof(purposes) - 4 })))
			return true;
	}
	return false;
}

/* "Acme Line CA line-1-b7": what the signer calls them. */
static bool
is_lines(const struct mm_cert *c)
{
	static const char mark[] = " " MM_LINE_CN " ";
	char cn[128];
	const char *name;

	if (!mm_name_attribute(c->subject, OID_CN, cn, sizeof(cn)))
		return false;
	for (name = strstr(cn, mark); name != NULL; name = strstr(name, mark)) {
		name += sizeof(mark) - 1;
		if (mm_name_valid(name))
			return true;
	}
	return false;
}

/* see confdoc.h */
bool
mm_cert_above_configuring(const struct mm_cert *c)
{
	struct mm_bytes value;

	return !is_lines(c) && (!mm_cert_extension(c, OID_EKU, NULL, &value) ||
	    lets_configure(value));
}

/* see confdoc.h */
bool
mm_cert_names_configuring(const struct mm_cert *c)
{
	struct mm_bytes value;

	return mm_cert_extension(c, OID_EKU, NULL, &value) &&
	    memmem(value.p, value.n, purposes + 2, sizeof(purposes) - 2) !=
	    NULL;
}
