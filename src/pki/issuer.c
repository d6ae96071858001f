#include <stdio.h>
#include <string.h>

#include "pki/priv.h"

#define OID_SKI "2.5.29.14"
#define OID_BC  "2.5.29.19"
#define OID_KU  "2.5.29.15"

/* RFC 5280 4.2.1.2: an OCTET STRING; ours are 20 bytes (RFC 7093 2). */
static enum mm_err
read_key_id(const struct mm_cert *c, struct mm_issuer *out,
    struct mm_why *why)
{
	struct mm_bytes value = { NULL, 0 }, id;
	struct mm_rd r;

	if (!mm_cert_extension(c, OID_SKI, NULL, &value))
		return MM_FAIL(why, MM_EINPUT, "issuer %s: RFC 5280 4.2.1.2: "
		    "no subject key identifier", out->name);
	r = mm_rd_over(value);
	id = mm_der_take(&r, MM_DER_OCTETS);
	if (!mm_rd_end(&r) || id.n != sizeof(out->key_id))
		return MM_FAIL(why, MM_EINPUT, "issuer %s: subject key "
		    "identifier is not 20 bytes", out->name);
	memcpy(out->key_id, id.p, id.n);
	return MM_OK;
}

/* RFC 5280 4.2.1.9, 4.2.1.3; above: it signs CAs, too */
static enum mm_err
check_ca(const struct mm_cert *c, const char *name, bool above,
    struct mm_why *why)
{
	struct mm_bytes value = { NULL, 0 }, bits;
	struct mm_rd outer, r;

	if (!mm_cert_extension(c, OID_BC, NULL, &value))
		return MM_FAIL(why, MM_EINPUT,
		    "issuer %s: no basicConstraints", name);
	outer = mm_rd_over(value);
	r = mm_rd_over(mm_der_take(&outer, MM_DER_SEQ));
	if (mm_der_take(&r, MM_DER_BOOLEAN).n != 1)
		return MM_FAIL(why, MM_EINPUT,
		    "issuer %s: RFC 5280 4.2.1.9: not a CA", name);
	if (above && r.left > 0 && mm_der_take_uint(&r) == 0)
		return MM_FAIL(why, MM_EPOLICY, "issuer %s: RFC 5280 4.2.1.9: "
		    "its certificate allows no CA below it", name);
	if (!mm_cert_extension(c, OID_KU, NULL, &value))
		return MM_OK;
	r = mm_rd_over(value);
	bits = mm_der_take(&r, MM_DER_BITS);
	if (bits.n < 2 || (bits.p[1] & 0x04) == 0)
		return MM_FAIL(why, MM_EINPUT,
		    "issuer %s: RFC 5280 4.2.1.3: key may not sign "
		    "certificates", name);
	return MM_OK;
}

/* "" is no URL; false: it does not fit. */
static bool
make_url(char *out, size_t outn, const char *base, const char *path,
    const char *name, const char *end)
{
	size_t n = strlen(base);
	int made;

	while (n > 0 && base[n - 1] == '/')
		n--;
	out[0] = '\0';
	if (n == 0)
		return true;
	made = snprintf(out, outn, "%.*s/%s%s%s", (int)n, base, path, name,
	    end);
	return made > 0 && (size_t)made < outn;
}

static bool
make_urls(struct mm_issuer *i, const char *base, bool ocsp)
{
	return make_url(i->crl_url, sizeof(i->crl_url), base, "crl/", i->name,
	    "/") &&
	    make_url(i->aia_url, sizeof(i->aia_url), base, "issuer/", i->name,
	    ".cer") &&
	    make_url(i->ocsp_url, sizeof(i->ocsp_url), ocsp ? base : "",
	    "ocsp", "", "");
}

/* What a station signs by a line CA names its first shard (signer/duty_load.c,
 * work/export_profile.c). */
static unsigned
shards_of(const struct mm_issuer_conf *conf)
{
	return conf->line || conf->crl_shards < 1 ? 1 :
	    (unsigned)conf->crl_shards;
}

/* see cert.h */
unsigned
mm_issuer_shards(const struct mm_issuer_conf *conf, const char *public_url)
{
	return public_url[0] == '\0' ? 0 : shards_of(conf);
}

/* see cert.h */
void
mm_issuer_crl_url(const struct mm_issuer *i, unsigned shard,
    char out[MM_CRL_URL_MAX])
{
	snprintf(out, MM_CRL_URL_MAX, "%s%u.crl", i->crl_url, shard);
}

/* see cert.h */
enum mm_err
mm_issuer_make(struct mm_issuer *out, const struct mm_issuer_conf *conf,
    const char *public_url, struct mm_bytes der, struct mm_why *why)
{
	struct mm_issuer i = { .der = der };
	struct mm_cert c;

	MM_TRY(mm_cert_walk(der, &c, why));
	memcpy(i.name, conf->name, sizeof(i.name));
	MM_TRY(check_ca(&c, i.name, conf->lines > 0, why));
	MM_TRY(read_key_id(&c, &i, why));
	if (!make_urls(&i, public_url, conf->ocsp))
		return MM_FAIL(why, MM_ELIMIT, "issuer %s: public_url is too "
		    "long", i.name);
	if (c.spki.type == MM_KEY_TYPES)
		return MM_FAIL(why, MM_EPOLICY,
		    "issuer %s: its key is of no type that we sign with",
		    i.name);
	i.key_type = c.spki.type;
	i.subject = c.subject;
	i.not_before_s = c.not_before_s;
	i.not_after_s = c.not_after_s;
	i.shards = shards_of(conf);
	*out = i;
	return MM_OK;
}

/* see cert.h: of the serial's random end, so the shards fill evenly */
unsigned
mm_serial_shard(const uint8_t serial[MM_SERIAL_N], unsigned shards)
{
	struct mm_rd r = mm_rd_over((struct mm_bytes){
	    serial + MM_SERIAL_N - 4, 4 });

	return mm_rd_u32(&r) % shards;
}

/* see cert.h */
unsigned
mm_issuer_shard(const struct mm_issuer *i, const uint8_t serial[MM_SERIAL_N])
{
	return mm_serial_shard(serial, i->shards);
}

/* see cert.h; RFC 5280 4.1.2.2: positive, and minimal as DER */
void
mm_serial_make(int64_t now_ms, const uint8_t random[10],
    uint8_t out[MM_SERIAL_N])
{
	for (unsigned i = 0; i < 6; i++)
		out[i] = (uint8_t)((uint64_t)now_ms >> (8 * (5 - i)));
	out[0] &= 0x7f;
	if (out[0] == 0)
		out[0] = 1;
	memcpy(out + 6, random, 10);
}

/* see cert.h */
void
mm_cert_validity(const struct mm_profile *p, const struct mm_issuer *i,
    int64_t now_s, uint16_t random, int64_t wish_s, int64_t *not_before_s,
    int64_t *not_after_s)
{
	int64_t from = now_s - p->backdate_s, life = p->lifetime_s;
	int64_t until = MM_TIME_FOREVER_S;

	if (life == 0 && wish_s > 0)
		until = now_s + wish_s;
	if (life > 0) {
		if (wish_s > 0 && wish_s < life)
			life = wish_s;
		/* earlier only, or the profile's lifetime would be a lie */
		until = now_s + life -
		    life / 100 * p->jitter_percent * random / 65536;
	}
	*not_before_s = from > i->not_before_s ? from : i->not_before_s;
	*not_after_s = until < i->not_after_s ? until : i->not_after_s;
}
