#ifndef MM_LEDGER_ENTRY_H
#define MM_LEDGER_ENTRY_H

#include "base/buf.h"
#include "base/json.h"
#include "ledger/tree.h"

/*
 * Ledger entries: one UTF-8 JSON object each, keys in the order of enum
 * mm_field, escaping of RFC 8785, no insignificant space, at most 65,535
 * bytes.  The type table says which fields a type must and may have; the
 * reference page is generated from it.
 */
#define MM_ENTRY_MAX 65535

/*      enum                    name                 must and may */
#define MM_ENTRY_TYPES(X)                                               \
	X(MM_E_LEDGER_OPENED,   "ledger.opened",                            \
	    "the ledger's first entry: origin and public key")              \
	X(MM_E_ISSUER_MADE,     "issuer.made", "a CA certificate joined")   \
	X(MM_E_ISSUER_FOLLOWS,  "issuer.follows", "the configuration has an issuer take another one's (from) place: what profiles have from that one they have from it, from not_before on or, without, at once") \
	X(MM_E_ISSUER_RETIRED,  "issuer.retired", "the configuration has an issuer sign nothing any more") \
	X(MM_E_PROFILE_LOADED,  "profile.loaded", "a profile@version came into use") \
	X(MM_E_PRODUCT_CREATED, "product.created", "a product")             \
	X(MM_E_PRODUCT_CHANGED, "product.changed", "a product was changed") \
	X(MM_E_DEVICE_CREATED,  "device.created", "a device was registered") \
	X(MM_E_DEVICE_CHANGED,  "device.changed", "a device's record was changed; from: the product that it was of before") \
	X(MM_E_DEVICE_RETIRED,  "device.retired", "a device was retired")   \
	X(MM_E_TOKEN_MINTED,    "token.minted", "a token was made")         \
	X(MM_E_TOKEN_FROZEN,    "token.frozen", "another key came with a used token") \
	X(MM_E_TOKEN_THAWED,    "token.thawed", "an operator thawed a token") \
	X(MM_E_TOKEN_CANCELLED, "token.cancelled", "an operator cancelled a token") \
	X(MM_E_TOKEN_EXPIRED,   "token.expired", "a token's end was noticed") \
	X(MM_E_CERT_ISSUED,     "certificate.issued", "a certificate was issued; config_version and config_sha256: of the initial configuration that a station gives the device with it, the hash salted") \
	X(MM_E_CERT_RENEWED,    "certificate.renewed", "a certificate was issued on the authority of its predecessor") \
	X(MM_E_CERT_CONFIRMED,  "certificate.confirmed", "the device proved its certificate") \
	X(MM_E_CERT_SUPERSEDED, "certificate.superseded", "its successor was confirmed") \
	X(MM_E_CERT_REVOKED,    "certificate.revoked", "a certificate was revoked") \
	X(MM_E_CERT_HELD,       "certificate.held", "put on hold") \
	X(MM_E_CERT_RELEASED,   "certificate.released", "taken off hold") \
	X(MM_E_SIG_ORPHANED,    "signature.orphaned", "a signature whose commit failed, or one of a station's whose unit was rejected; its serial is revoked") \
	X(MM_E_OPERATOR_CREATED, "operator.created", "an operator's credential") \
	X(MM_E_OPERATOR_REVOKED, "operator.revoked", "an operator's credential was revoked") \
	X(MM_E_OPERATOR_ERASED, "operator.erased", "the name behind a credential was forgotten") \
	X(MM_E_OPERATOR_RENEWED, "operator.renewed", "a credential has another key, by its owner; good once that is used; expires: its end then") \
	X(MM_E_OPERATOR_CONFIRMED, "operator.confirmed", "the other key of a credential was used: the one before is good no more") \
	X(MM_E_OPERATOR_RECOVERED, "operator.recovered", "an administrator was recovered by the signer") \
	X(MM_E_APPROVAL_REQUESTED, "approval.requested", "a dangerous request waits for a second pair of eyes") \
	X(MM_E_APPROVAL_APPROVED, "approval.approved", "somebody else approved it") \
	X(MM_E_APPROVAL_REFUSED, "approval.refused", "it was refused or taken back") \
	X(MM_E_APPROVAL_EXPIRED, "approval.expired", "its time ran out") \
	X(MM_E_APPROVAL_USED, "approval.used", "it is being carried out, once") \
	X(MM_E_REFUSED,         "refused", "refusals of a proven authority, once an hour and reason") \
	X(MM_E_COUNTED,         "refusals.counted", "refusals of the unauthenticated, once an hour and reason") \
	X(MM_E_ALERT,           "alert", "something a person must look at") \
	X(MM_E_CRL_SIGNED,      "crl.signed", "a revocation list was signed; " \
	    "it has what the ledger's first size entries revoked; " \
	    "result lost: and never stored, so nobody saw it") \
	X(MM_E_CLOCK_SET_BACK,  "clock.set_back", "an operator had the signer accept a clock that was set back; number is the journal's line") \
	X(MM_E_WEBHOOK_CREATED, "webhook.created", "events go to one more place") \
	X(MM_E_WEBHOOK_CHANGED, "webhook.changed", "a webhook was changed, paused, resumed, replayed or given a new secret") \
	X(MM_E_WEBHOOK_REMOVED, "webhook.removed", "a webhook was removed") \
	X(MM_E_WEBHOOK_DISABLED, "webhook.disabled", "the server gave up on a webhook's receiver") \
	X(MM_E_LEDGER_TAKEN,    "ledger.taken_over", "another node's signer signs the checkpoints from now on; number is the turn") \
	X(MM_E_BATCH_CREATED,   "batch.created", "a production order; count is what may be signed in all") \
	X(MM_E_BATCH_CHANGED,   "batch.changed", "a batch was opened, paused, closed, extended or shared out anew") \
	X(MM_E_STATION_CREATED, "station.created", "a station may take work orders; key is its credential") \
	X(MM_E_STATION_CHANGED, "station.changed", "a station got another credential, or was removed") \
	X(MM_E_ORDER_SIGNED,    "order.signed", "a station's work order; detail_sha256 is that of its text") \
	X(MM_E_ORDER_EXTENDED,  "order.extended", "a line to be scanned gives an order a larger share or a later end; number is the order's, detail_sha256 is that of what is signed") \
	X(MM_E_LINE_ASSIGNED,   "line.assigned", "a line CA is one station's, for one batch, from now on; detail_sha256 is that of its sealed key") \
	X(MM_E_LINE_DESTROYED,  "line.destroyed", "a station destroyed its copy of a line CA's key, when its batch was closed by the order of that number; serial is the CA's own") \
	X(MM_E_UNITS_REPORTED,  "units.reported", "a station told what became of count units; detail_sha256 is of the batch's salt and of its request's SHA-256") \
	X(MM_E_CERT_SYNCED,     "certificate.synced", "a certificate that a station's signer issued by an order, when its ledger came; number is its entry there") \
	X(MM_E_STATION_SYNCED,  "station.synced", "a station's ledger was taken up to size; detail_sha256 is its root, count how many entries were new") \
	X(MM_E_UNIT_QUARANTINED, "unit.quarantined", "what a station's ledger says of a unit does not fit; number is its entry there") \
	X(MM_E_UNIT_RELEASED, "unit.released", "a unit that was quarantined, for that reason, is taken in all the same, with the certificate of the entry before; detail_sha256 is of a salt and of why") \
	X(MM_E_UNIT_REJECTED, "unit.rejected", "a unit that was quarantined, for that reason, is not taken in; detail_sha256 is of a salt and of why") \
	X(MM_E_RESPONDER_MADE,  "responder.made", "an issuer certified a key that signs its OCSP answers, or (action configuration) what devices in the field are configured to; before the first of them; result lost: and no answer was ever asked of it") \
	X(MM_E_GROUP_CREATED,   "group.created", "a bootstrap group: old credentials that may enrol; count is how many certificates it may give, token the id of the secret that its devices share") \
	X(MM_E_GROUP_CHANGED,   "group.changed", "a group was opened, paused, closed or extended, or (crl) what its CA revoked is known") \
	X(MM_E_GROUP_LISTED,    "group.listed", "count devices joined a group's list, or their second facts were changed; detail_sha256 is of the group's salt and of the request's SHA-256") \
	X(MM_E_GROUP_ASKED,     "group.asked", "a device came with a shared credential and this key; it waits for a person") \
	X(MM_E_GROUP_APPROVED,  "group.approved", "an operator lets the device have its certificate with this key") \
	X(MM_E_GROUP_REFUSED,   "group.refused", "an operator does not") \
	X(MM_E_GROUP_RELEASED,  "group.released", "an operator lets a device of a group come again, with any key; it had that one, and that certificate; detail_sha256 is of a salt and of why") \
	X(MM_E_CONFIG_SET,      "configuration.set", "what the devices of a product or batch, or one device, are configured to (scope); config_version counts such changes, detail_sha256 is that of template, table and schema") \
	X(MM_E_CONFIG_REMOVED,  "configuration.removed", "it was taken away again") \
	X(MM_E_CONFIG_GIVEN,    "configuration.given", "a device in the field gets this version from now on; before it is signed; config_sha256 is that of the document") \
	X(MM_E_CERT_ADOPTED,    "certificate.adopted", "in a station's ledger: it took a board over whose certificate, of its batch, no record knew, counted it in its share and put it aside for a supervisor; action signer-nonce: its signer had the board prove it over a nonce of its own") \
	X(MM_E_ROOT_CHANGED,    "root.changed", "another root is the trust anchor; from: the SHA-256 of the certificate of the one before it, while that one is handed out, too") \
	X(MM_E_UPSTREAM_ASKED,  "upstream.asked", "an existing CA is about to be asked for a certificate; detail_sha256 is that of the request") \
	X(MM_E_UPSTREAM_REFUSED, "upstream.refused", "it gave none (refused, unavailable), or one that is not released (wrong-answer; cert_sha256 is that of what came); detail_sha256 is that of the request") \
	X(MM_E_UPSTREAM_UNKNOWN, "upstream.unknown", "no answer came of it (no-answer, interrupted): it may have issued a certificate that no record here has; detail_sha256 is that of the request")

enum mm_entry_type {
#define X(e, name, help) e,
	MM_ENTRY_TYPES(X)
#undef X
	MM_ENTRY_TYPE_COUNT
};

/* Fields in their order.  "v", "type", "at", "time_source" come first. */
#define MM_ENTRY_FIELDS(X)                                              \
	X(MM_F_ACTOR, "actor")           X(MM_F_AUTHORITY, "authority")     \
	X(MM_F_DEVICE, "device")         X(MM_F_PRODUCT, "product")         \
	X(MM_F_BATCH, "batch")           X(MM_F_STATION, "station")         \
	X(MM_F_TOKEN, "token")           X(MM_F_ISSUER, "issuer")           \
	X(MM_F_SERIAL, "serial")         X(MM_F_CERT_SHA256, "cert_sha256") \
	X(MM_F_SPKI_SHA256, "spki_sha256") X(MM_F_PROFILE, "profile")       \
	X(MM_F_PROFILE_SHA256, "profile_sha256")                            \
	X(MM_F_NOT_BEFORE, "not_before") X(MM_F_NOT_AFTER, "not_after")     \
	X(MM_F_KEY_ORIGIN, "key_origin") X(MM_F_PREDECESSOR, "predecessor") \
	X(MM_F_ORIGIN, "origin")         X(MM_F_KEY, "key")                 \
	X(MM_F_ROLE, "role")             X(MM_F_REASON, "reason")           \
	X(MM_F_DETAIL_SHA256, "detail_sha256") X(MM_F_COUNT, "count")       \
	X(MM_F_EXPIRES, "expires")       X(MM_F_NUMBER, "number")           \
	X(MM_F_WEBHOOK, "webhook")                                          \
	X(MM_F_RESULT, "result")         X(MM_F_FROM, "from")               \
	X(MM_F_TO, "to")                 X(MM_F_SCOPE, "scope")             \
	X(MM_F_APPROVAL, "approval")     X(MM_F_REQUESTER, "requester")     \
	X(MM_F_ACTION, "action")         X(MM_F_APPROVER, "approver")       \
	X(MM_F_NODE, "node")             X(MM_F_SOURCES, "sources")         \
	X(MM_F_SIZE, "size")                                                \
	X(MM_F_CONFIG_VERSION, "config_version")                            \
	X(MM_F_CONFIG_SHA256, "config_sha256")                              \
	X(MM_F_SHARDS, "shards")                                            \
	X(MM_F_GROUP, "group")           X(MM_F_CREDENTIAL, "credential")

enum mm_entry_field {
#define X(e, name) e,
	MM_ENTRY_FIELDS(X)
#undef X
	MM_ENTRY_FIELD_COUNT
};

/* An entry to write.  A field is absent while its text is NULL (and it is
 * not one of the numbers: COUNT, NUMBER, SIZE, CONFIG_VERSION; they are given
 * as decimal text). */
struct mm_entry {
	enum mm_entry_type type;
	int64_t at_ms;
	const char *time_source; /* NULL: "system" */
	const char *field[MM_ENTRY_FIELD_COUNT];
};

/* Whether it is a station's word for a certificate, which comes with it. */
static inline bool
mm_entry_brings_cert(enum mm_entry_type t)
{
	return t == MM_E_CERT_ISSUED || t == MM_E_CERT_ADOPTED;
}

const char *mm_entry_type_name(enum mm_entry_type t);
/* Appends the JSON.  MM_EBUG if a must-field is missing or one not allowed
 * for the type is there; MM_ELIMIT past MM_ENTRY_MAX. */
MM_MUST enum mm_err mm_entry_encode(const struct mm_entry *e,
    struct mm_buf *out, struct mm_why *why);
/*
 * Reads back what encode wrote, strictly: canonical form only (the same
 * bytes must come out again), known type, right fields.  Texts live in the
 * caller's arena, which must hold at least the entry's length plus 64.
 * MM_EINPUT otherwise.
 */
MM_MUST enum mm_err mm_entry_parse(struct mm_bytes json, char *arena,
    size_t arena_n, struct mm_entry *out, struct mm_why *why);
/*
 * Reads what a later release may have written too: canonical like any other,
 * but of a type, or with fields, that this one has no name for.  Values are
 * texts and whole numbers in every release of version 1.  MM_EINPUT: not even
 * that.  For who must not take what is new for what is wrong.
 */
struct mm_entry_read {
	struct mm_entry e; /* what is known; MM_ENTRY_TYPE_COUNT: no type */
	const char *type;  /* in the arena: of [a-z0-9_.], at most 40 */
	bool later;	   /* and parse would not have it */
};
MM_MUST enum mm_err mm_entry_read(struct mm_bytes json, char *arena,
    size_t arena_n, struct mm_entry_read *out, struct mm_why *why);
/*
 * What a filter asks of an entry, borrowed from its JSON; {NULL, 0} where it
 * has no such field.  No check: for entries that are in the ledger.  The
 * values that it gives are of alphabets that JSON does not escape.
 */
struct mm_entry_view {
	struct mm_bytes type, at, device, product, batch;
	struct mm_bytes token, serial, issuer;
	struct mm_bytes key; /* operator.revoked: which one */
	struct mm_bytes size; /* crl.signed; its digits */
	struct mm_bytes shards; /* crl.signed; see ledger/shards.h */
};
void mm_entry_look(struct mm_bytes json, struct mm_entry_view *out);
/*
 * Whether a list of alternatives with commas between names v; "" names all.
 * One that ends in a dot stands for all that begin so: "certificate.".
 */
bool mm_entry_one_of(const char *list, struct mm_bytes v);
/* MM_EINPUT: such a list names a type that there is not. */
MM_MUST enum mm_err mm_entry_types_check(const char *list,
    struct mm_why *why);
void mm_entry_print_reference(struct mm_buf *out); /* Markdown */

#endif
