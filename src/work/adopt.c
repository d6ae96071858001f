#include "work/adopt.h"

#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "pki/der.h"
#include "work/export.h"

enum { NAME_STATION = 19, TAIL_N = 12 };

#define CN_OID "2.5.4.3"

/* see adopt.h */
void
mm_work_line_name(const char *station, const char *batch,
    char name[MM_NAME_MAX + 1])
{
	char whose[2 * MM_NAME_MAX + 2], hex[65];
	uint8_t hash[32];

	snprintf(whose, sizeof(whose), "%.*s/%.*s", MM_NAME_MAX, station,
	    MM_NAME_MAX, batch);
	mm_sha256(mm_bytes_of(whose), hash);
	mm_hex_text(hash, TAIL_N / 2, hex);
	snprintf(name, MM_NAME_MAX + 1, "%.*s-%.12s", NAME_STATION, station,
	    hex);
}

/* The last word of its subject's name, which is what the centre calls it. */
static bool
name_of(const struct mm_cert *ca, char name[MM_NAME_MAX + 1])
{
	char cn[128];
	const char *word;

	if (!mm_name_attribute(ca->subject, CN_OID, cn, sizeof(cn)))
		return false;
	word = strrchr(cn, ' ');
	word = word == NULL ? cn : word + 1;
	return mm_text_copy(name, MM_NAME_MAX + 1, mm_bytes_of(word)) &&
	    mm_name_valid(name);
}

/* A station whose name is cut in it cannot be told by it. */
static bool
is_of_batch(const char *name, const char *batch)
{
	char station[MM_NAME_MAX + 1], want[MM_NAME_MAX + 1];
	const char *dash = strrchr(name, '-');

	if (dash == NULL || strlen(dash + 1) != TAIL_N ||
	    dash - name >= NAME_STATION ||
	    !mm_text_copy(station, sizeof(station), (struct mm_bytes){
	    (const uint8_t *)name, (size_t)(dash - name) }))
		return false;
	mm_work_line_name(station, batch, want);
	return strcmp(want, name) == 0;
}

static bool
is_by(const struct mm_cert *c, struct mm_bytes issuer,
    struct mm_key_templates *templates)
{
	MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;
	struct mm_cert ca;

	return mm_cert_walk(issuer, &ca, NULL) == MM_OK &&
	    mm_bytes_eq(ca.subject, c->issuer) &&
	    mm_spki_load(&ca.spki, templates, &key, NULL) == MM_OK &&
	    mm_cert_verify(c, key, NULL) == MM_OK;
}

static enum mm_err
take_other(const struct mm_work_order *o, struct mm_bytes above,
    const struct mm_cert *c, struct mm_key_templates *templates,
    struct mm_adopt_ca *ca, struct mm_why *why)
{
	if (!name_of(c, ca->name) || !is_of_batch(ca->name, o->batch))
		return MM_FAIL(why, MM_EAUTH, "adopt: its CA is none of batch "
		    "%s", o->batch);
	if (above.n == 0 || !is_by(c, above, templates))
		return MM_FAIL(why, MM_EAUTH, "adopt: its CA was not made by "
		    "the issuer of this order's");
	return MM_OK;
}

/* see adopt.h */
enum mm_err
mm_adopt_ca(const struct mm_work_order *o, struct mm_bytes chain,
    struct mm_key_templates *templates, struct mm_adopt_ca *out,
    struct mm_why *why)
{
	struct mm_rd own = mm_rd_over(o->ca_chain), r = mm_rd_over(chain);
	struct mm_bytes ours = mm_der_take_whole(&own, MM_DER_SEQ);
	struct mm_bytes above = own.left > 0
	    ? mm_der_take_whole(&own, MM_DER_SEQ) : (struct mm_bytes){ 0 };
	struct mm_adopt_ca ca = { .der = mm_der_take_whole(&r, MM_DER_SEQ) };
	struct mm_cert c;

	if (r.bad || mm_cert_walk(ca.der, &c, NULL) != MM_OK)
		return MM_FAIL(why, MM_EINPUT, "adopt: the board has no chain");
	ca.own = mm_bytes_eq(ca.der, ours);
	if (ca.own)
		snprintf(ca.name, sizeof(ca.name), "%s",
		    o->ca_name[0] != '\0' ? o->ca_name : o->batch);
	else
		MM_TRY(take_other(o, above, &c, templates, &ca, why));
	*out = ca;
	return MM_OK;
}

/* see adopt.h */
enum mm_err
mm_adopt_profile(const struct mm_work_order *o, const struct mm_adopt_ca *ca,
    const struct mm_profile_set *profiles, struct mm_key_templates *templates,
    const char *device, const struct mm_cert *c,
    const struct mm_profile **out, struct mm_why *why)
{
	const struct mm_export_ca by = { ca->name, ca->der };
	const char *fault = "the order has no profile";
	struct mm_why room;

	if (!is_by(c, ca->der, templates))
		return MM_FAIL(why, MM_EAUTH, "adopt: its certificate is not "
		    "signed by CA %s", ca->name);
	for (size_t i = 0; i < profiles->n; i++) {
		const struct mm_export_made made = { o, &by,
			&profiles->profile[i], device };

		fault = mm_export_fault_of_made(&made, c, &room);
		if (fault == NULL) {
			*out = made.profile;
			return MM_OK;
		}
	}
	return MM_FAIL(why, MM_EAUTH, "adopt: %.150s", fault);
}
