#ifndef MM_PKI_PROFILE_H
#define MM_PKI_PROFILE_H

#include "base/conf.h"
#include "base/json.h"
#include "base/settings.h"
#include "base/text.h"
#include "pki/key.h"

/*
 * A profile says what a certificate looks like: names, key types, lifetime,
 * extensions, renewal.  It is a block of mintmark.conf, versioned, and
 * immutable once used: the signer keeps the hash of each name@version.
 */
enum mm_profile_kind { MM_PROFILE_LDEVID, MM_PROFILE_IDEVID };
enum mm_on_conflict {
	MM_CONFLICT_ALERT, MM_CONFLICT_HOLD, MM_CONFLICT_REPLACE
};
enum mm_confirm { MM_CONFIRM_MTLS, MM_CONFIRM_PROOF, MM_CONFIRM_ISSUE };

struct mm_profile {
	char name[MM_NAME_MAX + 1];
	int64_t version;
	int kind;                     /* enum mm_profile_kind */
	char issuer[MM_NAME_MAX + 1];
	struct mm_conf_list keys;     /* accepted key types' names */
	int64_t lifetime_s;           /* 0: 99991231235959Z */
	int64_t backdate_s;           /* default 1 h */
	int64_t jitter_percent;       /* default 5, earlier only */
	/* Names in order: "O=Acme", "OU=thermo", "CN={device}",
	 * "serialNumber={device}".  Attributes: C O OU CN serialNumber L ST DC
	 * or a dotted OID (UTF8String).  {device} {product} are filled in. */
	struct mm_conf_list subject;
	struct mm_conf_list san;      /* "DNS:{device}.dev.example", "URI:urn:dev:..." */
	char hw_type_oid[65];         /* hardwareModuleName in SAN; "" none */
	struct mm_conf_list key_usage;/* digitalSignature, keyAgreement, ... */
	struct mm_conf_list eku;      /* clientAuth, serverAuth, dotted OIDs */
	bool basic_constraints;       /* include CA:FALSE, critical */
	bool crl_dp, aia;
	struct mm_conf_list extensions; /* "1.2.3:critical:hexDER" raw */
	struct mm_conf_list policies; /* certificate policy OIDs */
	bool bearer;                  /* HTTP Basic door allowed */
	bool serverkeygen;
	bool same_key_renewal;
	int on_conflict;              /* enum mm_on_conflict */
	int confirm;                  /* enum mm_confirm */
	bool require_tls_exporter;    /* RFC 9266 channel binding */
	bool revoke_superseded;
	int64_t renew_percent;        /* of life, default 66 */
	int64_t grace_s;              /* late renewal, default 0 */
	bool deliver_chain;           /* simpleenroll answers leaf + chain */
	int64_t per_minute, per_day;  /* the signer's ceilings; 0 none */
	struct mm_conf_list csrattrs; /* OIDs to ask for; empty: default */
};

extern const struct mm_conf_block mm_profile_block; /* profile "x" { } */

/* Checks that the table's rows cannot: unknown names, OIDs, templates. */
MM_MUST enum mm_err mm_profile_check(const struct mm_profile *p,
    struct mm_why *why);
/* SHA-256 of the canonical text (every key in table order): same settings,
 * same hash, whatever the file's layout. */
MM_MUST enum mm_err mm_profile_hash(const struct mm_profile *p,
    uint8_t out[32], struct mm_why *why);
struct mm_cert;
/*
 * RFC 5280 4.2.1.12: purposes, dotted.  add: those that the profile's
 * certificates are used for (one that names none is for clients and servers);
 * false: there is no room.  of: those that a CA lets what is below it have;
 * false: they cannot be read.  lack: the first of the profile's that is not
 * among such, as the profile has it, or NULL.  serve: being a server is.
 */
bool mm_purposes_add(struct mm_conf_list *l, const struct mm_profile *p);
bool mm_purposes_of(const struct mm_cert *ca, struct mm_conf_list *out);
const char *mm_purposes_lack(const struct mm_conf_list *l,
    const struct mm_profile *p);
bool mm_purposes_serve(const struct mm_conf_list *l);
bool mm_profile_takes_key(const struct mm_profile *p, enum mm_key_type t);
/* DER of the CsrAttrs answer (RFC 7030 4.5.2, RFC 9908 form). */
MM_MUST enum mm_err mm_profile_csrattrs(const struct mm_profile *p,
    struct mm_buf *out, struct mm_why *why);
/* The same for that device: with the subject that its request is to have, as
 * RFC 9908 3.4's template has it. */
MM_MUST enum mm_err mm_profile_csrattrs_named(const struct mm_profile *p,
    const char *device, const char *product, struct mm_buf *out,
    struct mm_why *why);

/* mintmark.conf whole: settings, issuers, profiles. */
struct mm_config {
	struct mm_settings set;
	struct mm_issuer_conf *issuer;
	size_t nissuer;
	struct mm_profile *profile;
	size_t nprofile;
	struct mm_conf_doc doc; /* owns the arrays */
};
MM_MUST enum mm_err mm_config_load(const char *path, struct mm_config **out,
    struct mm_why *why);
/* The same from memory, before there is a file; path is for messages. */
MM_MUST enum mm_err mm_config_parse(struct mm_bytes text, const char *path,
    struct mm_config **out, struct mm_why *why);
void mm_config_free(struct mm_config **owner);
/*
 * A text of profile blocks alone, as it would stand in mintmark.conf; whether
 * there are their issuers is not looked at.  Like mm_conf_parse, one at a
 * time a process.  MM_EINPUT.
 */
struct mm_profile_set {
	struct mm_profile *profile;
	size_t n;
	struct mm_conf_doc doc; /* owns the array */
	char top;
};
MM_MUST enum mm_err mm_profiles_parse(struct mm_bytes text, const char *path,
    struct mm_profile_set *out, struct mm_why *why);
void mm_profiles_done(struct mm_profile_set *s);
/* The profile as a block that mm_profiles_parse reads back: every key of its
 * table. */
void mm_profile_text(const struct mm_profile *p, struct mm_buf *out);
/* The profile as an object: every key of its table, and its hash. */
MM_MUST enum mm_err mm_profile_json(struct mm_json *j, const char *key,
    const struct mm_profile *p, struct mm_why *why);
const struct mm_profile *mm_config_profile(const struct mm_config *c,
    const char *name);
/* NULL: none of that name. */
const struct mm_issuer_conf *mm_config_issuer(const struct mm_config *c,
    const char *name);
/* Whether any issuer's key is in a token. */
bool mm_config_tokens(const struct mm_config *c);
/* Whether any issuer is another CA. */
bool mm_config_upstream(const struct mm_config *c);
/* ... that is not retired, by EST, or by a program. */
bool mm_config_asks(const struct mm_config *c, bool est);
/* The first issuer that signs line CAs when they are asked for; NULL: none
 * does. */
const struct mm_issuer_conf *mm_config_lines(const struct mm_config *c);

/*
 * issuing.c: issuers that follow each other.  A profile names the first of
 * them and does not change when its issuer does; who signs now is what the
 * configuration says, which the signer reads and the server cannot write.
 */
/* Who takes that issuer's place; NULL: nobody does. */
const struct mm_issuer_conf *mm_config_follower(const struct mm_config *c,
    const char *name);
/* When it takes the place of whom it follows, s; 0: it did at the start. */
int64_t mm_issuer_from(const struct mm_issuer_conf *i);
/* Who signs at that time for profiles that name that issuer; NULL: there is no
 * such issuer. */
const struct mm_issuer_conf *mm_config_issuing(const struct mm_config *c,
    const char *name, int64_t now_s);
/* The one that profiles name when they have their certificates from i. */
const struct mm_issuer_conf *mm_config_first(const struct mm_config *c,
    const struct mm_issuer_conf *i);
/* Of the profiles that have their certificates from i the one whose live the
 * longest; NULL: of none they have an end. */
const struct mm_profile *mm_config_longest(const struct mm_config *c,
    const struct mm_issuer_conf *i);
/* How long after its end something of theirs may be renewed, at the most. */
int64_t mm_config_grace(const struct mm_config *c,
    const struct mm_issuer_conf *i);
/* Of all issuers: no ring, each followed by one of its own kind at most. */
MM_MUST enum mm_err mm_config_check_follows(const struct mm_config *c,
    struct mm_why *why);
/* What an issuer is to its profiles. */
enum mm_issuer_state {
	MM_ISSUER_ISSUING,  /* it signs what is asked for */
	MM_ISSUER_NEXT,     /* its time comes */
	MM_ISSUER_FOLLOWED, /* lists and OCSP answers alone */
	MM_ISSUER_RETIRED,  /* nothing */
	MM_ISSUER_STATES
};
extern const char *const mm_issuer_states[MM_ISSUER_STATES];
enum mm_issuer_state mm_config_state(const struct mm_config *c,
    const struct mm_issuer_conf *i, int64_t now_s);
/* The whole file's table; blocks is the caller's and must outlive it. */
#define MM_CONFIG_BLOCKS 2
struct mm_conf_spec mm_config_spec(
    struct mm_conf_block blocks[MM_CONFIG_BLOCKS]);

#endif
