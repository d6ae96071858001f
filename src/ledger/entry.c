#include "ledger/entry_table.h"

#include <string.h>

#include "base/text.h"
#include "base/time.h"

#define B(f) (UINT64_C(1) << (f))

/* Groups of fields that stand together. */
#define WHO  (B(MM_F_ACTOR) | B(MM_F_AUTHORITY) | B(MM_F_STATION) | \
	      B(MM_F_BATCH) | B(MM_F_REASON) | B(MM_F_DETAIL_SHA256) | \
	      B(MM_F_RESULT))
#define DEVICE (B(MM_F_DEVICE) | B(MM_F_PRODUCT))
#define SPAN (B(MM_F_NOT_BEFORE) | B(MM_F_NOT_AFTER))
#define CERT (B(MM_F_ISSUER) | B(MM_F_SERIAL))
#define HASHES (B(MM_F_CERT_SHA256) | B(MM_F_SPKI_SHA256))
#define PROFILE (B(MM_F_PROFILE) | B(MM_F_PROFILE_SHA256))
#define ISSUED (DEVICE | CERT | HASHES | SPAN | PROFILE | B(MM_F_TOKEN) | \
		B(MM_F_KEY_ORIGIN) | B(MM_F_PREDECESSOR) | B(MM_F_NODE))
#define CONFIG (B(MM_F_CONFIG_VERSION) | B(MM_F_CONFIG_SHA256))
#define ALL (B(MM_ENTRY_FIELD_COUNT) - 1)

_Static_assert(MM_ENTRY_FIELD_COUNT < 64, "fields fit a 64-bit set");

static const struct {
	const char *name, *help;
	uint64_t must, may; /* may is besides must and WHO */
} types[MM_ENTRY_TYPE_COUNT] = {
#define X(e, name_, help_) [e] = { .name = name_, .help = help_ RULE_##e },
#define RULE(must_, may_) , .must = (must_), .may = (may_)
#define RULE_MM_E_LEDGER_OPENED \
	RULE(B(MM_F_ORIGIN) | B(MM_F_KEY), B(MM_F_PREDECESSOR) | B(MM_F_COUNT))
#define RULE_MM_E_ISSUER_MADE \
	RULE(B(MM_F_ISSUER) | B(MM_F_CERT_SHA256), \
	    CERT | HASHES | SPAN | B(MM_F_ROLE) | B(MM_F_NUMBER))
#define RULE_MM_E_ISSUER_FOLLOWS \
	RULE(B(MM_F_ISSUER) | B(MM_F_FROM), B(MM_F_NOT_BEFORE))
#define RULE_MM_E_ROOT_CHANGED \
	RULE(B(MM_F_CERT_SHA256), B(MM_F_SPKI_SHA256) | B(MM_F_FROM) | SPAN)
#define RULE_MM_E_ISSUER_RETIRED RULE(B(MM_F_ISSUER), 0)
#define RULE_MM_E_PROFILE_LOADED RULE(PROFILE, B(MM_F_ISSUER))
#define RULE_MM_E_PRODUCT_CREATED RULE(B(MM_F_PRODUCT), PROFILE)
#define RULE_MM_E_PRODUCT_CHANGED RULE(B(MM_F_PRODUCT), PROFILE)
#define RULE_MM_E_DEVICE_CREATED \
	RULE(B(MM_F_DEVICE), DEVICE | B(MM_F_SPKI_SHA256) | PROFILE)
#define RULE_MM_E_DEVICE_CHANGED \
	RULE(B(MM_F_DEVICE), DEVICE | B(MM_F_SPKI_SHA256) | PROFILE | \
	    B(MM_F_FROM) | B(MM_F_ACTION) | B(MM_F_REASON))
#define RULE_MM_E_DEVICE_RETIRED RULE(B(MM_F_DEVICE), DEVICE | B(MM_F_COUNT))
#define TOKEN_MAY \
	(DEVICE | PROFILE | HASHES | CERT | B(MM_F_EXPIRES) | B(MM_F_COUNT))
#define RULE_MM_E_TOKEN_MINTED RULE(B(MM_F_TOKEN), TOKEN_MAY)
#define RULE_MM_E_TOKEN_FROZEN RULE(B(MM_F_TOKEN), TOKEN_MAY)
#define RULE_MM_E_TOKEN_THAWED RULE(B(MM_F_TOKEN), TOKEN_MAY | B(MM_F_REASON))
#define RULE_MM_E_TOKEN_CANCELLED \
	RULE(B(MM_F_TOKEN), TOKEN_MAY | B(MM_F_REASON))
#define RULE_MM_E_TOKEN_EXPIRED RULE(B(MM_F_TOKEN), TOKEN_MAY)
#define ISSUED_MUST (B(MM_F_DEVICE) | CERT | HASHES | B(MM_F_PROFILE))
#define OLD (B(MM_F_GROUP) | B(MM_F_CREDENTIAL))
#define RULE_MM_E_CERT_ISSUED RULE(ISSUED_MUST, ISSUED | CONFIG | OLD)
#define RULE_MM_E_CERT_RENEWED \
	RULE(ISSUED_MUST | B(MM_F_PREDECESSOR), ISSUED)
#define RULE_MM_E_CERT_CONFIRMED RULE(CERT, ISSUED)
#define RULE_MM_E_CERT_SUPERSEDED RULE(CERT, ISSUED)
#define RULE_MM_E_CERT_REVOKED RULE(CERT | B(MM_F_REASON), ISSUED)
#define RULE_MM_E_CERT_HELD RULE(CERT, ISSUED)
#define RULE_MM_E_CERT_RELEASED RULE(CERT, ISSUED)
/* as the signer's journal has it */
#define RULE_MM_E_SIG_ORPHANED \
	RULE(B(MM_F_DEVICE) | CERT | B(MM_F_SPKI_SHA256) | \
	    B(MM_F_PROFILE), ISSUED | B(MM_F_STATION))
#define OPERATOR_MAY \
	(CERT | HASHES | SPAN | B(MM_F_ROLE) | B(MM_F_EXPIRES) | \
	 B(MM_F_SCOPE) | B(MM_F_SOURCES))
#define RULE_MM_E_OPERATOR_CREATED \
	RULE(B(MM_F_KEY) | B(MM_F_ROLE), OPERATOR_MAY)
#define RULE_MM_E_OPERATOR_REVOKED RULE(B(MM_F_KEY), OPERATOR_MAY)
#define RULE_MM_E_OPERATOR_ERASED RULE(B(MM_F_KEY), 0)
#define OPERATOR_MUST \
	(B(MM_F_ACTOR) | B(MM_F_KEY) | B(MM_F_ROLE) | B(MM_F_SPKI_SHA256) | \
	 B(MM_F_EXPIRES))
#define RULE_MM_E_OPERATOR_RENEWED \
	RULE(OPERATOR_MUST, B(MM_F_SCOPE) | B(MM_F_SOURCES))
#define RULE_MM_E_OPERATOR_CONFIRMED \
	RULE(OPERATOR_MUST, B(MM_F_SCOPE) | B(MM_F_SOURCES))
#define RULE_MM_E_OPERATOR_RECOVERED \
	RULE(B(MM_F_KEY) | B(MM_F_ROLE) | CERT | B(MM_F_SPKI_SHA256) | \
	    B(MM_F_EXPIRES), 0)
#define APPROVAL \
	(B(MM_F_APPROVAL) | B(MM_F_ACTION) | B(MM_F_REQUESTER) | \
	 B(MM_F_DETAIL_SHA256))
#define RULE_MM_E_APPROVAL_REQUESTED \
	RULE(APPROVAL | B(MM_F_EXPIRES) | B(MM_F_ACTOR), 0)
#define RULE_MM_E_APPROVAL_APPROVED RULE(APPROVAL | B(MM_F_ACTOR), 0)
#define RULE_MM_E_APPROVAL_REFUSED RULE(APPROVAL | B(MM_F_ACTOR), 0)
#define RULE_MM_E_APPROVAL_EXPIRED RULE(APPROVAL, 0)
#define RULE_MM_E_APPROVAL_USED \
	RULE(APPROVAL | B(MM_F_ACTOR) | B(MM_F_APPROVER), 0)
#define RULE_MM_E_REFUSED \
	RULE(B(MM_F_REASON) | B(MM_F_COUNT), \
	    ISSUED | B(MM_F_ROLE) | B(MM_F_KEY))
#define RULE_MM_E_COUNTED RULE(B(MM_F_REASON) | B(MM_F_COUNT), 0)
#define RULE_MM_E_ALERT RULE(B(MM_F_REASON), ALL)
#define RULE_MM_E_CRL_SIGNED \
	RULE(B(MM_F_ISSUER) | B(MM_F_NUMBER), \
	    B(MM_F_COUNT) | B(MM_F_EXPIRES) | SPAN | B(MM_F_NODE) | \
	        B(MM_F_SIZE) | B(MM_F_SHARDS))
#define RULE_MM_E_CLOCK_SET_BACK \
	RULE(B(MM_F_NUMBER) | B(MM_F_FROM) | B(MM_F_TO), B(MM_F_NODE))
#define RULE_MM_E_WEBHOOK_CREATED RULE(B(MM_F_WEBHOOK), 0)
#define RULE_MM_E_WEBHOOK_CHANGED RULE(B(MM_F_WEBHOOK), B(MM_F_NUMBER))
#define RULE_MM_E_WEBHOOK_REMOVED RULE(B(MM_F_WEBHOOK), 0)
#define RULE_MM_E_WEBHOOK_DISABLED \
	RULE(B(MM_F_WEBHOOK) | B(MM_F_REASON), B(MM_F_NUMBER))
#define RULE_MM_E_LEDGER_TAKEN \
	RULE(B(MM_F_NODE) | B(MM_F_NUMBER), B(MM_F_COUNT))
#define BATCH \
	(B(MM_F_BATCH) | B(MM_F_PRODUCT) | B(MM_F_COUNT) | \
	 B(MM_F_NOT_AFTER) | B(MM_F_DETAIL_SHA256))
#define RULE_MM_E_BATCH_CREATED RULE(BATCH, 0)
#define RULE_MM_E_BATCH_CHANGED RULE(BATCH | B(MM_F_REASON), 0)
#define RULE_MM_E_STATION_CREATED RULE(B(MM_F_STATION) | B(MM_F_KEY), 0)
#define RULE_MM_E_STATION_CHANGED \
	RULE(B(MM_F_STATION) | B(MM_F_KEY) | B(MM_F_REASON), B(MM_F_ORIGIN))
#define RULE_MM_E_ORDER_SIGNED \
	RULE(B(MM_F_BATCH) | B(MM_F_STATION) | B(MM_F_NUMBER) | \
	    B(MM_F_DETAIL_SHA256), 0)
#define RULE_MM_E_ORDER_EXTENDED \
	RULE(B(MM_F_BATCH) | B(MM_F_STATION) | B(MM_F_NUMBER) | \
	    B(MM_F_COUNT) | B(MM_F_NOT_AFTER) | B(MM_F_DETAIL_SHA256), 0)
#define RULE_MM_E_LINE_ASSIGNED \
	RULE(B(MM_F_BATCH) | B(MM_F_STATION) | B(MM_F_ISSUER) | \
	    B(MM_F_CERT_SHA256) | B(MM_F_DETAIL_SHA256), 0)
#define RULE_MM_E_LINE_DESTROYED \
	RULE(B(MM_F_BATCH) | B(MM_F_STATION) | CERT | B(MM_F_NUMBER), 0)
#define RULE_MM_E_UNITS_REPORTED \
	RULE(B(MM_F_BATCH) | B(MM_F_STATION) | B(MM_F_COUNT) | \
	    B(MM_F_DETAIL_SHA256), 0)
#define RULE_MM_E_CERT_SYNCED \
	RULE(ISSUED_MUST | B(MM_F_BATCH) | B(MM_F_STATION) | \
	    B(MM_F_NUMBER), ISSUED | CONFIG | B(MM_F_DETAIL_SHA256))
#define RULE_MM_E_STATION_SYNCED \
	RULE(B(MM_F_STATION) | B(MM_F_ORIGIN) | B(MM_F_SIZE) | \
	    B(MM_F_DETAIL_SHA256) | B(MM_F_COUNT), 0)
#define RULE_MM_E_RESPONDER_MADE \
	RULE(CERT | B(MM_F_SPKI_SHA256) | B(MM_F_NOT_AFTER), \
	    B(MM_F_CERT_SHA256) | SPAN | B(MM_F_NODE) | B(MM_F_ACTION))
#define CONFIGURED \
	(B(MM_F_SCOPE) | B(MM_F_CONFIG_VERSION) | B(MM_F_DETAIL_SHA256))
#define RULE_MM_E_CONFIG_SET RULE(CONFIGURED, DEVICE)
#define RULE_MM_E_CONFIG_REMOVED RULE(CONFIGURED, DEVICE)
#define RULE_MM_E_CONFIG_GIVEN \
	RULE(B(MM_F_DEVICE) | CONFIG, DEVICE | B(MM_F_SCOPE))
#define RULE_MM_E_CERT_ADOPTED \
	RULE(ISSUED_MUST | B(MM_F_BATCH) | B(MM_F_STATION), \
	    ISSUED | CONFIG | B(MM_F_ACTION))
#define RULE_MM_E_UNIT_QUARANTINED \
	RULE(B(MM_F_STATION) | B(MM_F_REASON) | B(MM_F_NUMBER), \
	    ISSUED | B(MM_F_ORIGIN))
#define DECIDED \
	(B(MM_F_STATION) | B(MM_F_REASON) | B(MM_F_NUMBER) | \
	 B(MM_F_ORIGIN) | B(MM_F_DETAIL_SHA256))
#define RULE_MM_E_UNIT_RELEASED \
	RULE(DECIDED | B(MM_F_BATCH) | B(MM_F_DEVICE) | B(MM_F_SERIAL), 0)
#define RULE_MM_E_UNIT_REJECTED \
	RULE(DECIDED, B(MM_F_DEVICE) | B(MM_F_SERIAL))
#define GROUP \
	(B(MM_F_GROUP) | B(MM_F_PRODUCT) | B(MM_F_COUNT) | \
	 B(MM_F_NOT_AFTER) | B(MM_F_DETAIL_SHA256))
#define RULE_MM_E_GROUP_CREATED RULE(GROUP, B(MM_F_TOKEN))
#define RULE_MM_E_GROUP_CHANGED RULE(GROUP | B(MM_F_REASON), 0)
#define RULE_MM_E_GROUP_LISTED \
	RULE(B(MM_F_GROUP) | B(MM_F_COUNT) | B(MM_F_DETAIL_SHA256), \
	    B(MM_F_PRODUCT))
#define CAME (B(MM_F_GROUP) | B(MM_F_DEVICE) | B(MM_F_SPKI_SHA256))
#define RULE_MM_E_GROUP_ASKED \
	RULE(CAME, B(MM_F_PRODUCT) | B(MM_F_CREDENTIAL))
#define RULE_MM_E_GROUP_APPROVED RULE(CAME, B(MM_F_PRODUCT))
#define RULE_MM_E_GROUP_REFUSED RULE(CAME, B(MM_F_PRODUCT))
#define RULE_MM_E_GROUP_RELEASED \
	RULE(CAME | B(MM_F_DETAIL_SHA256), B(MM_F_PRODUCT) | B(MM_F_SERIAL))
#define UPSTREAM \
	(B(MM_F_AUTHORITY) | B(MM_F_DEVICE) | B(MM_F_ISSUER) | \
	 B(MM_F_SPKI_SHA256) | B(MM_F_PROFILE) | B(MM_F_DETAIL_SHA256))
#define RULE_MM_E_UPSTREAM_ASKED \
	RULE(UPSTREAM, B(MM_F_PRODUCT) | B(MM_F_NODE))
#define RULE_MM_E_UPSTREAM_REFUSED \
	RULE(UPSTREAM | B(MM_F_REASON), \
	    B(MM_F_PRODUCT) | B(MM_F_NODE) | B(MM_F_CERT_SHA256))
#define RULE_MM_E_UPSTREAM_UNKNOWN \
	RULE(UPSTREAM | B(MM_F_REASON), B(MM_F_PRODUCT) | B(MM_F_NODE))
	MM_ENTRY_TYPES(X)
#undef X
};

/* see entry_table.h */
const char *const mm_entry_field_names[MM_ENTRY_FIELD_COUNT] = {
#define X(e, name) [e] = name,
	MM_ENTRY_FIELDS(X)
#undef X
};

static const enum mm_entry_form forms[MM_ENTRY_FIELD_COUNT] = {
	[MM_F_CERT_SHA256] = MM_FORM_SHA256,
	[MM_F_SPKI_SHA256] = MM_FORM_SHA256,
	[MM_F_PROFILE_SHA256] = MM_FORM_SHA256,
	[MM_F_DETAIL_SHA256] = MM_FORM_SHA256,
	[MM_F_COUNT] = MM_FORM_NUMBER,
	[MM_F_NUMBER] = MM_FORM_NUMBER,
	[MM_F_SIZE] = MM_FORM_NUMBER,
	[MM_F_CONFIG_VERSION] = MM_FORM_NUMBER,
	[MM_F_CONFIG_SHA256] = MM_FORM_SHA256,
	[MM_F_CREDENTIAL] = MM_FORM_SHA256,
};

/* Names differ in length, most of them: that is asked first. */
static const uint8_t field_n[MM_ENTRY_FIELD_COUNT] = {
#define X(e, name) [e] = sizeof(name) - 1,
	MM_ENTRY_FIELDS(X)
#undef X
}, type_n[MM_ENTRY_TYPE_COUNT] = {
#define X(e, name, help) [e] = sizeof(name) - 1,
	MM_ENTRY_TYPES(X)
#undef X
};

static bool
is_named(const char *candidate, size_t n, struct mm_bytes name)
{
	return n == name.n && memcmp(candidate, name.p, n) == 0;
}

/* see entry_table.h */
unsigned
mm_entry_field_named(struct mm_bytes name, unsigned from)
{
	while (from < MM_ENTRY_FIELD_COUNT &&
	    !is_named(mm_entry_field_names[from], field_n[from], name))
		from++;
	return from;
}

/* see entry_table.h */
enum mm_entry_form
mm_entry_field_form(enum mm_entry_field f)
{
	return forms[f];
}

/* see entry.h */
const char *
mm_entry_type_name(enum mm_entry_type t)
{
	return types[t].name;
}

/* see entry_table.h */
enum mm_entry_type
mm_entry_type_of(struct mm_bytes name)
{
	unsigned t = 0;

	while (t < MM_ENTRY_TYPE_COUNT &&
	    !is_named(types[t].name, type_n[t], name))
		t++;
	return (enum mm_entry_type)t;
}

/* see entry_table.h */
bool
mm_entry_form_holds(enum mm_entry_form form, const char *v)
{
	const int64_t most = (INT64_C(1) << 53) - 1;
	int64_t number;

	switch (form) {
	case MM_FORM_TEXT:
		return mm_utf8_valid(mm_bytes_of(v));
	case MM_FORM_SHA256:
		return strlen(v) == 64 && strspn(v, "0123456789abcdef") == 64;
	case MM_FORM_NUMBER:
		return mm_int_parse(v, &number, NULL) == MM_OK &&
		    number >= 0 && number <= most;
	}
	return false;
}

/* see entry_table.h */
bool
mm_entry_field_of(enum mm_entry_type t, enum mm_entry_field f)
{
	return ((types[t].must | types[t].may | WHO) & B(f)) != 0;
}

/* must and may: sets; each field that is there in its form. */
static enum mm_err
check_fields(const struct mm_entry *e, const char *type, uint64_t must,
    uint64_t may, struct mm_why *why)
{
	for (unsigned f = 0; f < MM_ENTRY_FIELD_COUNT; f++) {
		const char *v = e->field[f], *fault = NULL;
		if (v == NULL && (must & B(f)) != 0)
			fault = "missing";
		else if (v != NULL && (may & B(f)) == 0)
			fault = "not one of its fields";
		else if (v != NULL && !mm_entry_form_holds(forms[f], v))
			fault = "not in its form";
		if (fault != NULL)
			return MM_FAIL(why, MM_EBUG, "entry %s: %s is %s", type,
			    mm_entry_field_names[f], fault);
	}
	return MM_OK;
}

static enum mm_err
check_type(const struct mm_entry *e, struct mm_why *why)
{
	uint64_t must = types[e->type].must;

	return check_fields(e, types[e->type].name, must,
	    must | types[e->type].may | WHO, why);
}

/* see entry_table.h */
enum mm_err
mm_entry_check_known(const struct mm_entry *e, struct mm_why *why)
{
	return e->type == MM_ENTRY_TYPE_COUNT
		   ? check_fields(e, "of a later release", 0, ALL, why)
		   : check_fields(e, types[e->type].name, types[e->type].must,
			 ALL, why);
}

static enum mm_err
check_head(const struct mm_entry *e, struct mm_why *why)
{
	if ((unsigned)e->type >= MM_ENTRY_TYPE_COUNT)
		return MM_FAIL(why, MM_EBUG, "entry: no type %d", e->type);
	if (e->at_ms < 0 || e->at_ms / 1000 > MM_TIME_FOREVER_S)
		return MM_FAIL(why, MM_EBUG, "entry: time out of range");
	if (e->time_source != NULL &&
	    !mm_utf8_valid(mm_bytes_of(e->time_source)))
		return MM_FAIL(why, MM_EBUG, "entry: time source not UTF-8");
	return MM_OK;
}

static void
put_fields(const struct mm_entry *e, struct mm_json *j)
{
	for (unsigned f = 0; f < MM_ENTRY_FIELD_COUNT; f++) {
		if (e->field[f] == NULL)
			continue;
		if (forms[f] == MM_FORM_NUMBER)
			mm_json_raw(j, mm_entry_field_names[f],
			    mm_bytes_of(e->field[f]));
		else
			mm_json_str(j, mm_entry_field_names[f], e->field[f]);
	}
}

/* see entry.h */
enum mm_err
mm_entry_encode(const struct mm_entry *e, struct mm_buf *out,
    struct mm_why *why)
{
	struct mm_json j = mm_json_over(out);
	size_t start = out->n;

	MM_TRY(check_head(e, why));
	MM_TRY(check_type(e, why));
	mm_json_open(&j, '{');
	mm_json_raw(&j, "v", mm_bytes_of("1"));
	mm_json_str(&j, "type", types[e->type].name);
	mm_json_time(&j, "at", e->at_ms);
	mm_json_str(&j, "time_source",
	    e->time_source == NULL ? "system" : e->time_source);
	put_fields(e, &j);
	mm_json_close(&j, '}');
	MM_TRY(mm_buf_ok(out, why));
	if (out->n - start > MM_ENTRY_MAX) {
		size_t n = out->n - start;
		out->n = start;
		return MM_FAIL(why, MM_ELIMIT, "entry: %zu bytes, at most %d",
		    n, MM_ENTRY_MAX);
	}
	return MM_OK;
}

static void
put_names(struct mm_buf *out, uint64_t set)
{
	const char *lead = "";

	for (unsigned f = 0; f < MM_ENTRY_FIELD_COUNT; f++) {
		if ((set & B(f)) == 0)
			continue;
		mm_buf_printf(out, "%s`%s`", lead, mm_entry_field_names[f]);
		lead = ", ";
	}
}

/* see entry.h */
void
mm_entry_print_reference(struct mm_buf *out)
{
	mm_buf_text(out, "Every entry begins with `v`, `type`, `at` and "
			 "`time_source`; any may have ");
	put_names(out, WHO);
	mm_buf_text(out, ". Fields come in this order: ");
	put_names(out, ALL);
	mm_buf_text(out, ".\n\nAn entry that names a `device` has the "
			 "`product` that the device was of when it was entered. "
			 "Filters by product go by that; who may see an entry "
			 "goes by the product that the device is of now, and so "
			 "do filters for older entries that lack it. "
			 "`detail_sha256` of a webhook's entry is the SHA-256 of "
			 "its URL after a salt that the server's webhook key "
			 "gives; of a device's that of its attributes, of an "
			 "approval's that of the request's hash, each after a "
			 "salt of 16 bytes that the database has as long as it "
			 "has the record; of a product's schema that of its "
			 "text; of a batch's that of all that was decided "
			 "(`plan`), with a salt of 32 hexadecimal digits in it, "
			 "which the database has, and which is that of reports "
			 "on its units; so of a group and its lists. What has "
			 "no salt has a signature, or a sealed key, in it, that "
			 "nobody can guess, or is no secret. `origin` of a station's entry is the key of its "
			 "own ledger, which is trusted from then on.\n\n"
			 "Later releases may add types, and fields to types; "
			 "`v` stays 1 while every value is a text or a whole "
			 "number. A reader passes over what it does not know: "
			 "`ledger verify` hashes such an entry like any other and "
			 "says how many there are.\n\n"
			 "| Type | Says | Must have | May have |\n"
			 "|---|---|---|---|\n");
	for (unsigned t = 0; t < MM_ENTRY_TYPE_COUNT; t++) {
		mm_buf_printf(out, "| `%s` | %s | ", types[t].name,
		    types[t].help);
		put_names(out, types[t].must);
		mm_buf_text(out, " | ");
		put_names(out, types[t].may & ~types[t].must & ~WHO);
		mm_buf_text(out, " |\n");
	}
}
