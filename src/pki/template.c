/*
 * The profile's little language: attribute names, key usages, alternative
 * names, raw extensions, and {device} {product} in their values.
 */
#include <string.h>

#include "pki/template.h"

static const struct mm_attribute_row attributes[] = {
	{ "CN", "2.5.4.3", MM_DER_UTF8, 64 },
	{ "serialNumber", "2.5.4.5", MM_DER_PRINTABLE, 64 },
	{ "C", "2.5.4.6", MM_DER_PRINTABLE, 2 },
	{ "L", "2.5.4.7", MM_DER_UTF8, 128 },
	{ "ST", "2.5.4.8", MM_DER_UTF8, 128 },
	{ "O", "2.5.4.10", MM_DER_UTF8, 64 },
	{ "OU", "2.5.4.11", MM_DER_UTF8, 64 },
	{ "DC", "0.9.2342.19200300.100.1.25", MM_DER_IA5, 63 },
};

/* see template.h; RFC 5280 A.1: the upper bounds */
bool
mm_template_attribute(const char *item, struct mm_attribute_row *row,
    char oid[MM_OID_TEXT_MAX], const char **value)
{
	const char *eq = strchr(item, '=');
	size_t n = eq == NULL ? 0 : (size_t)(eq - item);

	if (n == 0 || n >= MM_OID_TEXT_MAX)
		return false;
	*value = eq + 1;
	for (size_t i = 0; i < MM_COUNT(attributes); i++)
		if (strlen(attributes[i].name) == n &&
		    memcmp(attributes[i].name, item, n) == 0) {
			*row = attributes[i];
			return true;
		}
	memcpy(oid, item, n);
	oid[n] = '\0';
	*row = (struct mm_attribute_row){ oid, oid, MM_DER_UTF8, 256 };
	return mm_der_oid_valid(oid);
}

/* see template.h */
bool
mm_template_fill(const char *value, const char *device, const char *product,
    char *out, size_t outn)
{
	size_t n = 0;

	for (const char *p = value; *p != '\0';) {
		const char *with = p;
		size_t add = 1, skip = 1;

		if (strncmp(p, "{device}", 8) == 0) {
			with = device;
			add = strlen(device);
			skip = 8;
		} else if (strncmp(p, "{product}", 9) == 0) {
			with = product;
			add = strlen(product);
			skip = 9;
		} else if (*p == '{' || *p == '}') {
			return false;
		}
		if (n + add >= outn)
			return false;
		memcpy(out + n, with, add);
		n += add;
		p += skip;
	}
	out[n] = '\0';
	return n > 0;
}

/* see template.h; X.680 41.4 */
bool
mm_printable(const char *s)
{
	for (; *s != '\0'; s++)
		if (!((*s >= 'A' && *s <= 'Z') || (*s >= 'a' && *s <= 'z') ||
		    (*s >= '0' && *s <= '9') ||
		    strchr(" '()+,-./:=?", *s) != NULL))
			return false;
	return true;
}

/* RFC 5280 4.2.1.3, by bit */
static const char *const usages[] = { "digitalSignature", "nonRepudiation",
	"keyEncipherment", "dataEncipherment", "keyAgreement", "keyCertSign",
	"cRLSign", "encipherOnly", "decipherOnly" };

/* see template.h */
bool
mm_template_usage(const char *name, unsigned *bit)
{
	if (strcmp(name, "contentCommitment") == 0) /* X.509's newer word */
		name = "nonRepudiation";
	for (unsigned i = 0; i < MM_COUNT(usages); i++)
		if (strcmp(usages[i], name) == 0) {
			*bit = i;
			return true;
		}
	return false;
}

static const struct {
	const char *name, *oid;
} ekus[] = {
	{ "clientAuth", "1.3.6.1.5.5.7.3.2" },
	{ "serverAuth", "1.3.6.1.5.5.7.3.1" },
	{ "codeSigning", "1.3.6.1.5.5.7.3.3" },
	{ "emailProtection", "1.3.6.1.5.5.7.3.4" },
	{ "timeStamping", "1.3.6.1.5.5.7.3.8" },
};

/* see template.h */
const char *
mm_template_eku(const char *name)
{
	for (size_t i = 0; i < MM_COUNT(ekus); i++)
		if (strcmp(ekus[i].name, name) == 0)
			return ekus[i].oid;
	return mm_der_oid_valid(name) ? name : NULL;
}

/* RFC 1034 3.5: labels of letters, digits and hyphens inside; no "*" */
static bool
host_ok(const char *s)
{
	size_t all = strlen(s), label = 0;

	for (size_t i = 0; i < all; i++) {
		bool edge = label == 0 || s[i + 1] == '.' || s[i + 1] == '\0';

		if (s[i] == '.' ? label == 0 : s[i] == '-' ? edge :
		    !((s[i] >= '0' && s[i] <= '9') ||
		    ((s[i] | 0x20) >= 'a' && (s[i] | 0x20) <= 'z')))
			return false;
		label = s[i] == '.' ? 0 : label + 1;
		if (label > 63)
			return false;
	}
	return label > 0 && all <= 253;
}

/* RFC 3986 3: a scheme, a colon, and characters that a URI may hold */
static bool
uri_ok(const char *s)
{
	const char *colon = strchr(s, ':');

	for (const char *p = s; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~' || strchr("\"<>\\^`{|}", *p) != NULL)
			return false;
	return colon != NULL && colon[1] != '\0' && (s[0] | 0x20) >= 'a' &&
	    (s[0] | 0x20) <= 'z';
}

/* RFC 5280 4.2.1.6: GeneralName's tags */
static const struct mm_san_row sans[] = {
	{ "DNS:", MM_DER_CTX(2), host_ok },
	{ "URI:", MM_DER_CTX(6), uri_ok },
};

/* see template.h */
const struct mm_san_row *
mm_template_san(const char *item)
{
	for (size_t i = 0; i < MM_COUNT(sans); i++)
		if (strncmp(item, sans[i].prefix, 4) == 0)
			return &sans[i];
	return NULL;
}

/* see template.h */
bool
mm_template_raw(const char *item, struct mm_raw_extension *out)
{
	const char *colon = strchr(item, ':'), *hex;
	size_t n = colon == NULL ? 0 : (size_t)(colon - item), digits;

	if (n == 0 || n >= sizeof(out->oid))
		return false;
	memcpy(out->oid, item, n);
	out->oid[n] = '\0';
	hex = colon + 1;
	out->critical = strncmp(hex, "critical:", 9) == 0;
	if (out->critical)
		hex += 9;
	else if (*hex == ':')
		hex++;
	digits = strlen(hex);
	out->n = digits / 2;
	return mm_der_oid_valid(out->oid) && out->n > 0 &&
	    out->n <= sizeof(out->value) && digits % 2 == 0 &&
	    mm_hex_parse(hex, digits, out->value, out->n, NULL) == MM_OK;
}
