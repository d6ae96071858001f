#include "cli/fact.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cli/marks.h"
#include "pki/cert.h"
#include "work/order.h"

/* What each type of entry does to which record. */

#define ANY       0xffffffffU
#define IN(state) (1U << (state))
#define LIVE      (~(IN(MM_CERT_REVOKED) | IN(MM_CERT_ORPHANED)))

enum {                    /* to: a state, or */
	AS_BEFORE = 0xfe, /* the one before the hold */
	THE_SAME = 0xff,
};
enum {
	MAKES = 1,
	TELLS = 2, /* its texts are the record's from now on */
	ENDS = 4,  /* the record is taken away */
	BEGINS_AT = 8,
	CONFIRMS_AT = 16,
	ENDS_AT = 32, /* its time is which */
};

struct rule;
struct step { /* an entry on its way into a fact */
	struct mm_facts *s;
	struct mm_fact *f;
	const struct rule *rule;
	const struct mm_entry *e;
	uint64_t index;
};
typedef void also_fn(const struct step *t);
static void tell(const struct step *t);
static also_fn cert_made, cert_confirmed, cert_revoked, cert_held, token_made,
    token_thawed, device_told, operator_made, operator_recovered,
    operator_renewed, operator_confirmed, operator_erased, hook_made,
    hook_rotated, hook_replayed, decided, order_signed, line_assigned,
    unit_released, unit_decided;

/* From: in these states, else nothing happens.  Reason: the entries of that
 * reason only; "": of none; NULL: of any. */
static const struct rule {
	enum mm_entry_type type;
	enum mm_fact_kind kind;
	const char *reason;
	unsigned how;
	unsigned from;
	unsigned to;
	also_fn *also;
} rules[] = {
	{ MM_E_PRODUCT_CREATED, MM_FACT_PRODUCT, NULL,
	    MAKES | TELLS | BEGINS_AT, ANY, 0, NULL },
	{ MM_E_PRODUCT_CHANGED, MM_FACT_PRODUCT, "", TELLS, ANY, 0, NULL },
	{ MM_E_PRODUCT_CHANGED, MM_FACT_SCHEMA, "schema", MAKES | TELLS, ANY, 0,
	    NULL },
	{ MM_E_PRODUCT_CHANGED, MM_FACT_SCHEMA, "schema removed", ENDS, ANY, 0,
	    NULL },
	{ MM_E_DEVICE_CREATED, MM_FACT_DEVICE, NULL, MAKES | TELLS | BEGINS_AT,
	    ANY, MM_DEVICE_ACTIVE, device_told },
	{ MM_E_DEVICE_CHANGED, MM_FACT_DEVICE, NULL, TELLS, ANY, THE_SAME,
	    device_told },
	{ MM_E_DEVICE_RETIRED, MM_FACT_DEVICE, NULL, 0, ANY, MM_DEVICE_RETIRED,
	    NULL },
	{ MM_E_TOKEN_MINTED, MM_FACT_TOKEN, NULL, MAKES | TELLS | BEGINS_AT,
	    ANY, MM_TOKEN_MINTED, token_made },
	{ MM_E_TOKEN_FROZEN, MM_FACT_TOKEN, NULL, 0, ANY, MM_TOKEN_FROZEN,
	    NULL },
	{ MM_E_TOKEN_THAWED, MM_FACT_TOKEN, NULL, 0, ANY, THE_SAME,
	    token_thawed },
	{ MM_E_TOKEN_CANCELLED, MM_FACT_TOKEN, NULL, 0, ANY, MM_TOKEN_CANCELLED,
	    NULL },
	{ MM_E_TOKEN_EXPIRED, MM_FACT_TOKEN, NULL, 0, ANY, MM_TOKEN_EXPIRED,
	    NULL },
	{ MM_E_CERT_ISSUED, MM_FACT_CERT, NULL, MAKES | TELLS | BEGINS_AT, ANY,
	    MM_CERT_ISSUED, cert_made },
	{ MM_E_CERT_RENEWED, MM_FACT_CERT, NULL, MAKES | TELLS | BEGINS_AT, ANY,
	    MM_CERT_ISSUED, cert_made },
	{ MM_E_CERT_SYNCED, MM_FACT_CERT, NULL, MAKES | TELLS | BEGINS_AT, ANY,
	    MM_CERT_ISSUED, cert_made },
	{ MM_E_SIG_ORPHANED, MM_FACT_CERT, NULL, MAKES | TELLS | ENDS_AT, ANY,
	    MM_CERT_ORPHANED, cert_made },
	{ MM_E_CERT_CONFIRMED, MM_FACT_CERT, NULL, CONFIRMS_AT,
	    IN(MM_CERT_ISSUED), MM_CERT_CONFIRMED, cert_confirmed },
	{ MM_E_CERT_SUPERSEDED, MM_FACT_CERT, NULL, 0, LIVE & ~IN(MM_CERT_HELD),
	    MM_CERT_SUPERSEDED, NULL },
	{ MM_E_CERT_REVOKED, MM_FACT_CERT, NULL, ENDS_AT,
	    LIVE | IN(MM_CERT_ORPHANED), MM_CERT_REVOKED, cert_revoked },
	{ MM_E_CERT_HELD, MM_FACT_CERT, NULL, ENDS_AT, LIVE & ~IN(MM_CERT_HELD),
	    MM_CERT_HELD, cert_held },
	{ MM_E_CERT_RELEASED, MM_FACT_CERT, NULL, 0, IN(MM_CERT_HELD),
	    AS_BEFORE, NULL },
	{ MM_E_OPERATOR_CREATED, MM_FACT_OPERATOR, NULL,
	    MAKES | TELLS | BEGINS_AT, ANY, MM_OPERATOR_GOOD, operator_made },
	{ MM_E_OPERATOR_RECOVERED, MM_FACT_OPERATOR, NULL,
	    MAKES | TELLS | BEGINS_AT, ANY, MM_OPERATOR_GOOD,
	    operator_recovered },
	{ MM_E_OPERATOR_RENEWED, MM_FACT_OPERATOR, NULL, 0,
	    ~IN(MM_OPERATOR_REVOKED), MM_OPERATOR_RENEWED, operator_renewed },
	{ MM_E_OPERATOR_CONFIRMED, MM_FACT_OPERATOR, NULL, 0,
	    IN(MM_OPERATOR_RENEWED), THE_SAME, operator_confirmed },
	{ MM_E_OPERATOR_REVOKED, MM_FACT_OPERATOR, NULL, ENDS_AT, ANY,
	    MM_OPERATOR_REVOKED, NULL },
	{ MM_E_OPERATOR_ERASED, MM_FACT_OPERATOR, NULL, 0, ANY, THE_SAME,
	    operator_erased },
	{ MM_E_WEBHOOK_CREATED, MM_FACT_WEBHOOK, NULL, MAKES | BEGINS_AT, ANY,
	    MM_WEBHOOK_ACTIVE, hook_made },
	{ MM_E_WEBHOOK_CHANGED, MM_FACT_WEBHOOK, "changed", 0, ANY, THE_SAME,
	    NULL },
	{ MM_E_WEBHOOK_CHANGED, MM_FACT_WEBHOOK, "paused", 0, ANY,
	    MM_WEBHOOK_PAUSED, NULL },
	{ MM_E_WEBHOOK_CHANGED, MM_FACT_WEBHOOK, "resumed", 0, ANY,
	    MM_WEBHOOK_ACTIVE, NULL },
	{ MM_E_WEBHOOK_CHANGED, MM_FACT_WEBHOOK, "rotated", CONFIRMS_AT, ANY,
	    THE_SAME, hook_rotated },
	{ MM_E_WEBHOOK_CHANGED, MM_FACT_SECRET, "rotated", MAKES | CONFIRMS_AT,
	    ANY, 0, hook_rotated },
	{ MM_E_WEBHOOK_CHANGED, MM_FACT_WEBHOOK, "replayed", 0, ANY, THE_SAME,
	    hook_replayed },
	{ MM_E_WEBHOOK_DISABLED, MM_FACT_WEBHOOK, NULL, 0, ANY,
	    MM_WEBHOOK_DISABLED, NULL },
	{ MM_E_WEBHOOK_REMOVED, MM_FACT_WEBHOOK, NULL, ENDS, ANY, 0, NULL },
	{ MM_E_APPROVAL_REQUESTED, MM_FACT_APPROVAL, NULL,
	    MAKES | TELLS | BEGINS_AT, ANY, MM_GRANT_WAITING, NULL },
	{ MM_E_APPROVAL_APPROVED, MM_FACT_APPROVAL, NULL, CONFIRMS_AT, ANY,
	    MM_GRANT_APPROVED, decided },
	{ MM_E_APPROVAL_REFUSED, MM_FACT_APPROVAL, NULL, CONFIRMS_AT, ANY,
	    MM_GRANT_REFUSED, decided },
	{ MM_E_APPROVAL_EXPIRED, MM_FACT_APPROVAL, NULL, 0, ANY,
	    MM_GRANT_EXPIRED, NULL },
	{ MM_E_APPROVAL_USED, MM_FACT_APPROVAL, NULL, 0, ANY, MM_GRANT_USED,
	    NULL },
	{ MM_E_PROFILE_LOADED, MM_FACT_PROFILE, NULL, MAKES | TELLS, ANY, 0,
	    NULL },
	{ MM_E_ISSUER_MADE, MM_FACT_ISSUER, NULL, MAKES | TELLS, ANY, 0, NULL },
	{ MM_E_ISSUER_FOLLOWS, MM_FACT_ISSUER, NULL, 0, ANY, THE_SAME, NULL },
	{ MM_E_ISSUER_RETIRED, MM_FACT_ISSUER, NULL, 0, ANY, THE_SAME, NULL },
	{ MM_E_BATCH_CREATED, MM_FACT_BATCH, NULL, MAKES | TELLS | BEGINS_AT,
	    ANY, MM_WORK_OPEN, NULL },
	{ MM_E_BATCH_CHANGED, MM_FACT_BATCH, "opened", TELLS, ANY, MM_WORK_OPEN,
	    NULL },
	{ MM_E_BATCH_CHANGED, MM_FACT_BATCH, "paused", TELLS, ANY,
	    MM_WORK_PAUSED, NULL },
	{ MM_E_BATCH_CHANGED, MM_FACT_BATCH, "closed", TELLS, ANY,
	    MM_WORK_CLOSED, NULL },
	{ MM_E_BATCH_CHANGED, MM_FACT_BATCH, "extended", TELLS, ANY, THE_SAME,
	    NULL },
	{ MM_E_BATCH_CHANGED, MM_FACT_BATCH, "shares", TELLS, ANY, THE_SAME,
	    NULL },
	{ MM_E_GROUP_CREATED, MM_FACT_GROUP, NULL, MAKES | TELLS | BEGINS_AT,
	    ANY, MM_WORK_PAUSED, NULL },
	{ MM_E_GROUP_CHANGED, MM_FACT_GROUP, "opened", TELLS, ANY,
	    MM_WORK_OPEN, NULL },
	{ MM_E_GROUP_CHANGED, MM_FACT_GROUP, "paused", TELLS, ANY,
	    MM_WORK_PAUSED, NULL },
	{ MM_E_GROUP_CHANGED, MM_FACT_GROUP, "closed", TELLS, ANY,
	    MM_WORK_CLOSED, NULL },
	{ MM_E_GROUP_CHANGED, MM_FACT_GROUP, "extended", TELLS, ANY, THE_SAME,
	    NULL },
	{ MM_E_GROUP_CHANGED, MM_FACT_GROUP, "listed", TELLS, ANY, THE_SAME,
	    NULL },
	{ MM_E_GROUP_CHANGED, MM_FACT_GROUP, "crl", TELLS, ANY, THE_SAME,
	    NULL },
	{ MM_E_STATION_CREATED, MM_FACT_STATION, NULL,
	    MAKES | TELLS | BEGINS_AT, ANY, MM_STATION_ACTIVE, NULL },
	{ MM_E_STATION_CHANGED, MM_FACT_STATION, "changed", TELLS, ANY,
	    THE_SAME, NULL },
	{ MM_E_STATION_CHANGED, MM_FACT_STATION, "ledger", TELLS, ANY, THE_SAME,
	    NULL },
	{ MM_E_STATION_CHANGED, MM_FACT_STATION, "removed", TELLS, ANY,
	    MM_STATION_REMOVED, NULL },
	{ MM_E_STATION_SYNCED, MM_FACT_SYNC, NULL, MAKES | TELLS, ANY, 0,
	    NULL },
	{ MM_E_ORDER_SIGNED, MM_FACT_STATION, NULL, 0, ANY, THE_SAME,
	    order_signed },
	{ MM_E_ORDER_EXTENDED, MM_FACT_STATION, NULL, 0, ANY, THE_SAME, NULL },
	{ MM_E_LINE_ASSIGNED, MM_FACT_LINE, NULL, MAKES | TELLS, ANY, 0,
	    line_assigned },
	{ MM_E_UNIT_QUARANTINED, MM_FACT_QUARANTINE, NULL, MAKES | TELLS, ANY,
	    MM_UNIT_WAITING, NULL },
	{ MM_E_UNIT_RELEASED, MM_FACT_QUARANTINE, NULL, 0,
	    IN(MM_UNIT_WAITING), MM_UNIT_ACCEPTED, unit_released },
	{ MM_E_UNIT_REJECTED, MM_FACT_QUARANTINE, NULL, 0,
	    IN(MM_UNIT_WAITING), MM_UNIT_REJECTED, unit_decided },
	{ MM_E_CONFIG_SET, MM_FACT_DEVCONF, NULL, MAKES | TELLS, ANY,
	    MM_DEVCONF_SET, NULL },
	{ MM_E_CONFIG_REMOVED, MM_FACT_DEVCONF, NULL, TELLS, ANY,
	    MM_DEVCONF_REMOVED, NULL },
	{ MM_E_CONFIG_GIVEN, MM_FACT_GIVEN, NULL, MAKES | TELLS, ANY, 0, NULL },
};
#define NRULES (sizeof(rules) / sizeof(rules[0]))

/* They change no record: heads.c, clocks.c, crls.c, orders.c and reconcile.c
 * look at some. */
static const enum mm_entry_type of_no_record[] = { MM_E_LEDGER_OPENED,
	MM_E_ROOT_CHANGED,
	MM_E_REFUSED, MM_E_COUNTED, MM_E_ALERT, MM_E_CRL_SIGNED,
	MM_E_RESPONDER_MADE,
	MM_E_CLOCK_SET_BACK, MM_E_LEDGER_TAKEN, MM_E_UNITS_REPORTED,
	MM_E_LINE_DESTROYED, MM_E_GROUP_LISTED, MM_E_GROUP_ASKED,
	MM_E_GROUP_APPROVED, MM_E_GROUP_REFUSED, MM_E_GROUP_RELEASED,
	MM_E_CERT_ADOPTED, MM_E_UPSTREAM_ASKED, MM_E_UPSTREAM_REFUSED,
	MM_E_UPSTREAM_UNKNOWN };
#define NOTHERS (sizeof(of_no_record) / sizeof(of_no_record[0]))

static uint32_t
seconds(const struct mm_entry *e)
{
	return (uint32_t)(e->at_ms / 1000);
}

/* ---- certificates and tokens ---- */

/* A token goes with the certificate that it was spent on. */
static void
spend_token(const struct step *t)
{
	const char *authority = t->e->field[MM_F_AUTHORITY];
	struct mm_fact *token = NULL;

	if (authority != NULL && strncmp(authority, "token:", 6) == 0)
		token = mm_fact_find(t->s, MM_FACT_TOKEN, authority + 6);
	if (token == NULL)
		return;
	t->f->link = mm_fact_place(t->s, token);
	token->link = mm_fact_place(t->s, t->f);
	token->state = MM_TOKEN_ISSUED;
}

static void
cert_made(const struct step *t)
{
	const char *device = t->e->field[MM_F_DEVICE];

	t->f->owner =
	    mm_fact_place(t->s, mm_fact_find(t->s, MM_FACT_DEVICE, device));
	if (t->e->type == MM_E_SIG_ORPHANED)
		return;
	t->f->claims = true;
	spend_token(t);
}

/* A profile that asks for no proof says "issue", and its token stays. */
static void
cert_confirmed(const struct step *t)
{
	struct mm_fact *token = mm_fact_at(t->s, t->f->link);
	const char *reason = t->e->field[MM_F_REASON];

	if (token != NULL && token->state == MM_TOKEN_ISSUED &&
	    (reason == NULL || strcmp(reason, "issue") != 0))
		token->state = MM_TOKEN_CONFIRMED;
}

/* RFC 5280 5.3.1 */
static uint8_t
reason_number(const char *name)
{
	unsigned n;

	return name != NULL && mm_reason_parse(name, &n, NULL) == MM_OK
		   ? (uint8_t)n
		   : UINT8_MAX;
}

/* The certificate of the entry before took its place: by nobody's order. */
static void
cert_revoked(const struct step *t)
{
	bool after_issue = t->s->last_type == MM_E_CERT_ISSUED ||
			   t->s->last_type == MM_E_CERT_RENEWED;

	t->f->reason = reason_number(t->e->field[MM_F_REASON]);
	if (after_issue && t->e->field[MM_F_ACTOR] == NULL)
		t->f->claims = false;
}

static void
cert_held(const struct step *t)
{
	t->f->reason = 6; /* certificateHold */
}

static void
key_told(const struct step *t)
{
	mm_fact_hash(t->e->field[MM_F_SPKI_SHA256], t->f->who);
}

static void
token_made(const struct step *t)
{
	key_told(t);
	t->f->owner = mm_fact_place(
	    t->s, mm_fact_find(t->s, MM_FACT_DEVICE, t->e->field[MM_F_DEVICE]));
}

/* For another key: as if it had never been used. */
static void
token_thawed(const struct step *t)
{
	struct mm_fact *cert = mm_fact_at(t->s, t->f->link);
	bool rebound = t->e->field[MM_F_SPKI_SHA256] != NULL;

	t->f->state =
	    rebound || cert == NULL ? MM_TOKEN_MINTED : MM_FACT_THAWED;
	if (!rebound)
		return;
	key_told(t);
	if (cert != NULL)
		cert->claims = false;
	t->f->link = 0;
}

/* ---- others ---- */

static void
device_told(const struct step *t)
{
	key_told(t);
	if (t->f->name == 0)
		t->f->name = mm_fact_name(t->e->field[MM_F_DEVICE]);
}

static void
operator_made(const struct step *t)
{
	key_told(t);
	t->f->reason = t->e->field[MM_F_SPKI_SHA256] != NULL
			   ? MM_OPERATOR_CERTIFICATE
			   : MM_OPERATOR_KEY;
}

static void
operator_recovered(const struct step *t)
{
	key_told(t);
	t->f->reason = MM_OPERATOR_RECOVERY;
}

static void
next_key(const struct step *t, uint8_t out[8])
{
	mm_fact_hash(t->e->field[MM_F_SPKI_SHA256], out);
}

static void
operator_renewed(const struct step *t)
{
	uint8_t key[8];

	next_key(t, key);
	memcpy(&t->f->history, key, sizeof(key));
}

/* Of no other key than the one that it was renewed for: whoever writes the
 * database can plant one, and its first use is entered as any other. */
static void
operator_confirmed(const struct step *t)
{
	uint8_t key[8];

	next_key(t, key);
	if (memcmp(&t->f->history, key, sizeof(key)) != 0)
		return;
	memcpy(t->f->who, key, sizeof(key));
	t->f->history = 0;
	t->f->state = MM_OPERATOR_GOOD;
	tell(t);
}

static void
operator_erased(const struct step *t)
{
	t->f->before = 1;
}

static void
hook_made(const struct step *t)
{
	t->f->reason = t->f->before = 1;
}

static void
hook_rotated(const struct step *t)
{
	t->f->reason++;
}

static void
hook_replayed(const struct step *t)
{
	t->f->before++;
}

static void
decided(const struct step *t)
{
	mm_fact_hash(t->e->field[MM_F_ACTOR], t->f->who);
}

static void
order_signed(const struct step *t)
{
	mm_fact_hash(t->e->field[MM_F_DETAIL_SHA256], t->f->who);
}

/* As the database notes it. */
static void
line_assigned(const struct step *t)
{
	const char *const *field = t->e->field;
	char whose[2 * MM_NAME_MAX + 2], hex[65];
	uint8_t hash[32];

	snprintf(whose, sizeof(whose), "%s/%s", field[MM_F_STATION],
	    field[MM_F_BATCH]);
	mm_sha256(mm_bytes_of(whose), hash);
	mm_hex_text(hash, 32, hex);
	mm_fact_hash(hex, t->f->who);
}

static void
unit_decided(const struct step *t)
{
	mm_fact_hash(t->e->field[MM_F_DETAIL_SHA256], t->f->who);
}

/* It is in the chain of the certificate that it is written with. */
static void
unit_released(const struct step *t)
{
	struct mm_fact *cert =
	    mm_fact_find(t->s, MM_FACT_CERT, t->e->field[MM_F_SERIAL]);

	unit_decided(t);
	t->f->owner = cert != NULL ? cert->owner : 0;
}

/* ---- an entry ---- */

/* Other secrets are entered like a webhook's, under a name. */
static bool
is_of(enum mm_fact_kind kind, const char *id)
{
	bool hook = id != NULL && strncmp(id, "wh_", 3) == 0;

	return id != NULL && (kind != MM_FACT_WEBHOOK || hook) &&
	       (kind != MM_FACT_SECRET || !hook);
}

static bool
applies(const struct rule *r, const struct mm_entry *e)
{
	const char *reason = e->field[MM_F_REASON];
	char id[MM_FACT_ID_MAX];

	return r->type == e->type &&
	       is_of(r->kind, mm_fact_id(r->kind, e, id)) &&
	       (r->reason == NULL ||
		   strcmp(r->reason, reason != NULL ? reason : "") == 0);
}

/* The chain of the record that the entry is about (store.h). */
static void
enter_history(struct mm_facts *s, struct mm_fact *f, uint64_t index)
{
	struct mm_fact *device =
	    f->kind == MM_FACT_DEVICE ? f : mm_fact_at(s, f->owner);

	if (device != NULL)
		device->history += mm_fact_mix(index);
	if (f->kind == MM_FACT_DEVICE)
		f->version = (uint32_t)index + 1;
	else if (f->kind != MM_FACT_CERT)
		f->version++;
}

static void
tell(const struct step *t)
{
	const char *text[MM_FACT_TOLD];

	t->f->entry = t->index;
	mm_fact_told(t->rule->kind, t->e, text);
	mm_fact_texts(t->rule->kind, text, t->f->text);
}

static void
set_times(const struct step *t)
{
	if (t->rule->how & BEGINS_AT)
		t->f->made_s = seconds(t->e);
	if (t->rule->how & CONFIRMS_AT)
		t->f->confirmed_s = seconds(t->e);
	if (t->rule->kind == MM_FACT_CERT)
		t->f->ended_s = t->f->reason = 0;
	if (t->rule->how & ENDS_AT)
		t->f->ended_s = seconds(t->e);
}

static void
apply(const struct step *t)
{
	const struct rule *r = t->rule;
	struct mm_fact *f = t->f;

	if (r->from != ANY && (r->from & IN(f->state)) == 0)
		return;
	if (r->how & ENDS) {
		f->gone = true;
		return;
	}
	if (r->how & TELLS)
		tell(t);
	set_times(t);
	if (r->kind == MM_FACT_CERT && (r->to == MM_CERT_HELD ||
	    (r->to == MM_CERT_REVOKED && f->state == MM_CERT_ORPHANED)))
		f->before = f->state;
	if (r->to != THE_SAME)
		f->state = r->to == AS_BEFORE ? f->before : (uint8_t)r->to;
	if (r->kind == MM_FACT_CERT && r->how & MAKES)
		f->version = (uint32_t)t->index + 1;
	if (r->also != NULL)
		r->also(t);
	enter_history(t->s, f, t->index);
}

/* Another CA's, under a number that no signer of ours makes, which came again
 * after its record could not be made. */
static bool
is_adopted(const struct mm_facts *s, const struct mm_fact *f,
    const struct mm_entry *e)
{
	const struct mm_issuer_conf *i = e->field[MM_F_ISSUER] == NULL ? NULL :
	    mm_config_issuer(s->of.config, e->field[MM_F_ISSUER]);

	return f->kind == MM_FACT_CERT && f->state == MM_CERT_ORPHANED &&
	    e->type != MM_E_SIG_ORPHANED && e->field[MM_F_ISSUER] != NULL &&
	    (i == NULL || mm_issuer_upstream(i)) &&
	    e->field[MM_F_SERIAL][0] >= '8';
}

static enum mm_err
run(struct mm_facts *s, const struct rule *r, uint64_t index,
    const struct mm_entry *e, struct mm_why *why)
{
	char made[MM_FACT_ID_MAX];
	const char *id = mm_fact_id(r->kind, e, made);
	struct step t = { s, mm_fact_find(s, r->kind, id), r, e, index };
	bool known = t.f != NULL;

	if (!known && (r->how & MAKES) == 0) {
		/* certificates: marks.c says so */
		if (r->kind != MM_FACT_CERT)
			mm_fact_differ(s, r->kind, id,
			    "changed in the ledger, which never made it");
		return MM_OK;
	}
	if (!known)
		MM_TRY(mm_fact_make(s, r->kind, id, index, &t.f, why));
	s->last_fact = mm_fact_place(s, t.f);
	/* made by two at once: the second found it */
	if (known && r->how & BEGINS_AT && !is_adopted(s, t.f, e))
		enter_history(s, t.f, index);
	else
		apply(&t);
	return MM_OK;
}

/* It is written with the token's entry, and about the token. */
static void
alert(struct mm_facts *s, uint64_t index)
{
	struct mm_fact *token = mm_fact_at(s, s->last_fact);

	if (s->last_type == MM_E_TOKEN_FROZEN && token != NULL)
		enter_history(s, token, index);
}

/* What a device of a group had claimed; the entry is about no certificate. */
static void
released(struct mm_facts *s, const struct mm_entry *e)
{
	const char *serial = e->field[MM_F_SERIAL];
	struct mm_fact *f = serial == NULL ? NULL
		: mm_fact_find(s, MM_FACT_CERT, serial);

	if (f != NULL)
		f->claims = false;
}

static bool
is_of_no_record(enum mm_entry_type type)
{
	for (size_t i = 0; i < NOTHERS; i++)
		if (of_no_record[i] == type)
			return true;
	return false;
}

static void
unknown(struct mm_facts *s, uint64_t index, const struct mm_entry *e)
{
	const char *reason = e->field[MM_F_REASON];
	char record[48], what[160];

	snprintf(
	    record, sizeof(record), "entry %llu", (unsigned long long)index);
	snprintf(what, sizeof(what),
	    "%s%s%.80s is nothing that reconcile "
	    "knows",
	    mm_entry_type_name(e->type), reason ? " " : "",
	    reason ? reason : "");
	mm_differ(s->of.differences, record, what);
}

/* see facts.h */
enum mm_err
mm_facts_entry(struct mm_facts *s, uint64_t index, const struct mm_entry *e,
    struct mm_why *why)
{
	bool known = is_of_no_record(e->type);

	for (size_t i = 0; i < NRULES; i++) {
		if (!applies(&rules[i], e))
			continue;
		known = true;
		MM_TRY(run(s, &rules[i], index, e, why));
	}
	if (!known)
		unknown(s, index, e);
	if (e->type == MM_E_ALERT)
		alert(s, index);
	if (e->type == MM_E_GROUP_RELEASED)
		released(s, e);
	s->last_type = e->type;
	return MM_OK;
}

/* see facts.h */
void
mm_facts_line(struct mm_facts *s, const struct mm_journal_line *l)
{
	struct mm_fact *f = l->kind == MM_J_TOKEN
				? mm_fact_find(s, MM_FACT_TOKEN, l->token)
				: NULL;

	if (f != NULL)
		f->journalled = true;
}
