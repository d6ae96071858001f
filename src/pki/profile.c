#include "pki/profile.h"

#include <string.h>

#include "pki/priv.h"

static const char *const kinds[] = { "ldevid", "idevid", NULL };
static const char *const conflicts[] = { "alert", "hold", "replace", NULL };
static const char *const confirms[] = { "mtls", "proof", "issue", NULL };

#define AT(field) offsetof(struct mm_profile, field)
#define ROW(f, type, least, most, preset, help) \
	{ #f, type, AT(f), least, most, preset, help, NULL }
#define INT(f, least, most, preset, help) \
	ROW(f, MM_CONF_INT, least, most, preset, help)
#define BOOL(f, preset, help) ROW(f, MM_CONF_BOOL, 0, 1, preset, help)
#define LIST(f, preset, help) \
	ROW(f, MM_CONF_LIST, 1, MM_CONF_ITEM_MAX - 1, preset, help)
#define TIME(name, f, most, preset, help) \
	{ name, MM_CONF_DURATION, AT(f), 0, most, preset, help, NULL }
#define CHOICE(f, choices, preset, help) \
	{ #f, MM_CONF_CHOICE, AT(f), 0, 0, preset, help, choices }

#define YEARS(n) (INT64_C(31536000) * (n))

/* The order is the canonical text's: new rows go to the end. */
static const struct mm_conf_key keys[] = {
	INT(version, 1, 1000000, "1",
	    "Raise it with every change: a version is fixed once used."),
	CHOICE(kind, kinds, "ldevid",
	    "idevid is the factory's certificate for life, ldevid the "
	    "operational one that is renewed."),
	{ "issuer", MM_CONF_NAME, AT(issuer), 1, MM_NAME_MAX, NULL,
	    "Name of the issuer block that signs.", NULL },
	LIST(keys, "p256",
	    "Key types accepted: p256, p384, ed25519, rsa2048, rsa3072, "
	    "rsa4096."),
	TIME("lifetime", lifetime_s, YEARS(1000), "365d",
	    "Time from issue to expiry; 0 is for ever (99991231235959Z), "
	    "under an issuer that lives as long."),
	TIME("backdate", backdate_s, 604800, "1h",
	    "How far notBefore lies in the past, for devices with a slow "
	    "clock."),
	INT(jitter_percent, 0, 50, "5",
	    "Certificates expire up to this share of their life earlier, so "
	    "that a fleet does not renew in one minute."),
	LIST(subject, "CN={device},serialNumber={device}",
	    "The subject's attributes in order: C, O, OU, CN, serialNumber, "
	    "L, ST, DC or an OID, with {device} and {product} filled in."),
	LIST(san, "",
	    "Alternative names: DNS:name or URI:uri, with {device} and "
	    "{product} filled in."),
	ROW(hw_type_oid, MM_CONF_TEXT, 0, 64, "",
	    "OID of the hardware type for a hardwareModuleName (RFC 4108); "
	    "empty for none."),
	LIST(key_usage, "digitalSignature",
	    "Key usages; those that a key's type cannot have are left out."),
	LIST(eku, "clientAuth",
	    "Extended key usages: clientAuth, serverAuth, codeSigning, ... "
	    "or OIDs."),
	BOOL(basic_constraints, "true",
	    "Says, critically, that the certificate is not a CA's."),
	BOOL(crl_dp, "true", "Puts in where the CRL is published."),
	BOOL(aia, "true",
	    "Puts in where the issuer's certificate is published."),
	LIST(extensions, "",
	    "Further extensions: OID:critical:hex or OID::hex, the hex being "
	    "the value's DER."),
	LIST(policies, "", "OIDs of certificate policies."),
	BOOL(bearer, "false",
	    "Lets a token made for it come as HTTP Basic, for EST clients "
	    "without the token handshake."),
	BOOL(serverkeygen, "false",
	    "Lets devices ask for a key made by the signer."),
	BOOL(same_key_renewal, "false", "Lets a renewal keep its key."),
	CHOICE(on_conflict, conflicts, "alert",
	    "What a token's use with a second key does: alert, hold the "
	    "first certificate, or replace it (tests only)."),
	CHOICE(confirm, confirms, "mtls",
	    "What counts as the device having its certificate: its first "
	    "mtls connection, a proof at the line, or the issue itself."),
	BOOL(require_tls_exporter, "false",
	    "Demands the TLS channel's binding (RFC 9266) in the request."),
	BOOL(revoke_superseded, "false",
	    "Revokes the old certificate once its successor is confirmed."),
	INT(renew_percent, 1, 99, "66",
	    "Share of a certificate's life after which it is renewed."),
	TIME("grace", grace_s, YEARS(100), "0",
	    "How long after expiry a device may still renew."),
	BOOL(deliver_chain, "false",
	    "Answers an enrolment with the issuers' certificates too."),
	INT(per_minute, 0, 1000000000, "0",
	    "The signer's ceiling of certificates a minute; 0 for none."),
	INT(per_day, 0, 1000000000, "0",
	    "The signer's ceiling of certificates a day; 0 for none."),
	LIST(csrattrs, "",
	    "OIDs that /csrattrs asks for; empty asks for the key types."),
};

/* see profile.h */
const struct mm_conf_block mm_profile_block = {
	.name = "profile",
	.help = "What a certificate looks like, and how it is renewed.",
	.keys = keys,
	.nkeys = MM_COUNT(keys),
	.size = sizeof(struct mm_profile),
	.title_offset = offsetof(struct mm_profile, name),
	.most = 64,
};

static void
put_list(struct mm_buf *b, const struct mm_conf_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		mm_buf_printf(b, "%zu:%s,", strlen(l->item[i]), l->item[i]);
}

static void
put_value(struct mm_buf *b, const struct mm_conf_key *key, const void *at)
{
	switch (key->type) {
	case MM_CONF_INT:
	case MM_CONF_DURATION:
		mm_buf_printf(b, "%lld", (long long)*(const int64_t *)at);
		break;
	case MM_CONF_BOOL:
		mm_buf_text(b, *(const bool *)at ? "true" : "false");
		break;
	case MM_CONF_CHOICE:
		mm_buf_text(b, key->choices[*(const int *)at]);
		break;
	case MM_CONF_LIST:
		put_list(b, at);
		break;
	case MM_CONF_TEXT:
	case MM_CONF_PATH:
	case MM_CONF_NAME:
		mm_buf_text(b, at);
		break;
	}
}

/* see profile.h */
enum mm_err
mm_profile_hash(const struct mm_profile *p, uint8_t out[32],
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b =
	    MM_BUF_INIT(MM_COUNT(keys) * sizeof(struct mm_conf_list));

	mm_buf_printf(&b, "mintmark profile v1\nname=%s\n", p->name);
	for (size_t i = 0; i < MM_COUNT(keys); i++) {
		mm_buf_printf(&b, "%s=", keys[i].name);
		put_value(&b, &keys[i], (const uint8_t *)p + keys[i].offset);
		mm_buf_u8(&b, '\n');
	}
	MM_TRY(mm_buf_ok(&b, why));
	mm_sha256(mm_buf_view(&b), out);
	return MM_OK;
}

/* see profile.h */
bool
mm_profile_takes_key(const struct mm_profile *p, enum mm_key_type t)
{
	for (size_t i = 0; i < p->keys.n; i++)
		if (strcmp(p->keys.item[i], mm_key_type_name(t)) == 0)
			return true;
	return false;
}
