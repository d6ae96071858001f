#include "line/birth.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "base/time.h"
#include "ledger/receipt.h"
#include "line/birth_priv.h"

MM_FREE_FN(json_free, json_t, json_decref)
MM_FREE_FN(text_free, char, free)

enum { D = 1, S = 0 };

/* see birth_priv.h */
const struct mm_birth_row mm_birth_rows[MM_BIRTH_COUNT] = {
#define X(name, how, best, says, clauses) { #name, how, best, says, clauses },
	MM_BIRTH_FACTS(X)
#undef X
};

static const char *const grades[] = { "claimed", "observed", "proved" };

/* see birth.h */
const char *
mm_birth_grade_name(enum mm_birth_grade g)
{
	MM_INVARIANT((unsigned)g < 3);
	return grades[g];
}

/* see birth.h */
const char *
mm_birth_fact_name(enum mm_birth_fact f)
{
	MM_INVARIANT((unsigned)f < MM_BIRTH_COUNT);
	return mm_birth_rows[f].name;
}

/* see birth.h */
void
mm_birth_free(struct mm_birth **owner)
{
	struct mm_birth *b = *owner;

	if (b == NULL)
		return;
	mm_buf_done(&b->certificate);
	mm_buf_done(&b->chain);
	mm_buf_done(&b->receipt);
	mm_buf_done(&b->confirmation);
	mm_buf_done(&b->station);
	free(b);
	*owner = NULL;
}

/* ---- what follows from certificate and receipts ---- */

static enum mm_err
set(struct mm_birth *b, enum mm_birth_fact f, enum mm_birth_grade grade,
    struct mm_bytes v, struct mm_why *why)
{
	if (!mm_text_copy(b->value[f], sizeof(b->value[f]), v))
		return MM_FAIL(why, MM_ELIMIT, "birth record: %s is too long",
		    mm_birth_rows[f].name);
	b->grade[f] = grade;
	return MM_OK;
}

static enum mm_err
set_text(struct mm_birth *b, enum mm_birth_fact f, const char *v,
    struct mm_why *why)
{
	return v == NULL ? MM_OK : set(b, f, mm_birth_rows[f].best,
	    mm_bytes_of(v), why);
}

/* NIST SP 800-57 part 1, table 2; Ed25519 as P-256. */
static const struct {
	enum mm_key_type type;
	const char *bits;
} strengths[] = {
	{ MM_KEY_P256, "128" }, { MM_KEY_P384, "192" },
	{ MM_KEY_ED25519, "128" }, { MM_KEY_RSA2048, "112" },
	{ MM_KEY_RSA3072, "128" }, { MM_KEY_RSA4096, "128" },
};

static enum mm_err
set_hash(struct mm_birth *b, enum mm_birth_fact f, struct mm_bytes of,
    struct mm_why *why)
{
	char text[2 * 32 + 1];
	uint8_t hash[32];

	mm_sha256(of, hash);
	mm_hex_text(hash, sizeof(hash), text);
	return set_text(b, f, text, why);
}

static enum mm_err
set_time(struct mm_birth *b, enum mm_birth_fact f, int64_t at_s,
    struct mm_why *why)
{
	char text[MM_TIME_TEXT];

	mm_time_text_s(at_s, text);
	return set_text(b, f, text, why);
}

static enum mm_err
from_cert(struct mm_birth *b, const struct mm_cert *c, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf issuer = MM_BUF_INIT(MM_BIRTH_VALUE);
	char serial[2 * 20 + 1];

	if (c->serial.n > 20 || c->spki.type >= MM_KEY_TYPES)
		return MM_FAIL(why, MM_EINPUT, "birth record: not a "
		    "certificate as the CA makes them");
	mm_hex_text(c->serial.p, c->serial.n, serial);
	mm_name_text(c->issuer, &issuer);
	MM_TRY(set_text(b, MM_B_serial, serial, why));
	MM_TRY(set_text(b, MM_B_issuer, mm_buf_cstr(&issuer), why));
	MM_TRY(set_hash(b, MM_B_certificate_sha256, c->whole, why));
	MM_TRY(set_hash(b, MM_B_key_sha256, c->spki.whole, why));
	MM_TRY(set_text(b, MM_B_key_type, mm_key_type_name(c->spki.type),
	    why));
	MM_TRY(set_time(b, MM_B_not_before, c->not_before_s, why));
	MM_TRY(set_time(b, MM_B_not_after, c->not_after_s, why));
	for (size_t i = 0; i < sizeof(strengths) / sizeof(strengths[0]); i++)
		if (strengths[i].type == c->spki.type)
			MM_TRY(set_text(b, MM_B_key_strength_bits,
			    strengths[i].bits, why));
	return MM_OK;
}

static bool
is(const struct mm_entry *e, enum mm_entry_field f, const char *v)
{
	return e->field[f] != NULL && strcmp(e->field[f], v) == 0;
}

/* That a key was made on the device, the CA has of the device; who made one
 * for it saw that. */
static enum mm_err
set_origin(struct mm_birth *b, const struct mm_entry *e, struct mm_why *why)
{
	const char *origin = e->field[MM_F_KEY_ORIGIN];

	if (origin == NULL)
		origin = "device";
	return set(b, MM_B_key_origin, strcmp(origin, "device") != 0
	    ? MM_OBSERVED : MM_CLAIMED, mm_bytes_of(origin), why);
}

/* Of one that was not made there: whose word it is that it is of this batch. */
static enum mm_err
set_adopted(struct mm_birth *b, const struct mm_entry *e, struct mm_why *why)
{
	return e->type == MM_E_CERT_ADOPTED
	    ? set_text(b, MM_B_adopted, e->field[MM_F_STATION], why) : MM_OK;
}

/* The entry whose hash the receipt's has: of the same certificate, in the
 * station's own ledger. */
static enum mm_err
from_station(struct mm_birth *b, const char *sha256, struct mm_why *why)
{
	struct mm_bytes json = mm_buf_view(&b->station);
	char texts[MM_ENTRY_MAX + 64], hex[2 * 32 + 1];
	uint8_t hash[32];
	struct mm_entry e;

	mm_sha256(json, hash);
	mm_hex_text(hash, sizeof(hash), hex);
	if (sha256 == NULL || strcmp(hex, sha256) != 0)
		return MM_FAIL(why, MM_EPOLICY, "birth record: its station's "
		    "entry is not the one that the receipt has the hash of");
	MM_TRY(mm_entry_parse(json, texts, sizeof(texts), &e, why));
	if (!mm_entry_brings_cert(e.type) ||
	    !is(&e, MM_F_CERT_SHA256, b->value[MM_B_certificate_sha256]))
		return MM_FAIL(why, MM_EPOLICY, "birth record: its station's "
		    "entry is of another certificate");
	MM_TRY(set_adopted(b, &e, why));
	MM_TRY(set_time(b, MM_B_made_at, e.at_ms / 1000, why));
	return set_text(b, MM_B_made_by, e.field[MM_F_AUTHORITY], why);
}

static enum mm_err
from_issuance(struct mm_birth *b, const struct mm_entry *e,
    struct mm_why *why)
{
	static const struct {
		enum mm_birth_fact fact;
		enum mm_entry_field field;
	} rows[] = {
		{ MM_B_device, MM_F_DEVICE }, { MM_B_product, MM_F_PRODUCT },
		{ MM_B_batch, MM_F_BATCH }, { MM_B_station, MM_F_STATION },
		{ MM_B_profile, MM_F_PROFILE },
		{ MM_B_configuration_sha256, MM_F_CONFIG_SHA256 },
		{ MM_B_configuration_version, MM_F_CONFIG_VERSION },
	};

	if (!mm_entry_brings_cert(e->type) && e->type != MM_E_CERT_RENEWED &&
	    e->type != MM_E_CERT_SYNCED)
		return MM_FAIL(why, MM_EINPUT,
		    "birth record: the receipt is of no issuance");
	if (!is(e, MM_F_SERIAL, b->value[MM_B_serial]) ||
	    !is(e, MM_F_CERT_SHA256, b->value[MM_B_certificate_sha256]) ||
	    !is(e, MM_F_SPKI_SHA256, b->value[MM_B_key_sha256]))
		return MM_FAIL(why, MM_EPOLICY, "birth record: the receipt is "
		    "of another certificate");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		MM_TRY(set_text(b, rows[i].fact, e->field[rows[i].field],
		    why));
	MM_TRY(set_adopted(b, e, why));
	if (b->station.n > 0)
		MM_TRY(from_station(b, e->field[MM_F_DETAIL_SHA256], why));
	MM_TRY(set_time(b, MM_B_issued_at, e->at_ms / 1000, why));
	MM_TRY(set_text(b, MM_B_time_source, e->time_source != NULL
	    ? e->time_source : "system", why));
	return set_origin(b, e, why);
}

static enum mm_err
from_confirmation(struct mm_birth *b, const struct mm_entry *e,
    struct mm_why *why)
{
	if (e->type != MM_E_CERT_CONFIRMED ||
	    !is(e, MM_F_SERIAL, b->value[MM_B_serial]))
		return MM_FAIL(why, MM_EPOLICY, "birth record: the second "
		    "receipt is not of this certificate's confirmation");
	return set_time(b, MM_B_confirmed_at, e->at_ms / 1000, why);
}

/* Reads the receipt and hands its entry on. */
static enum mm_err
with_entry(struct mm_birth *b, struct mm_bytes receipt,
    enum mm_err (*take)(struct mm_birth *b, const struct mm_entry *e,
    struct mm_why *why), struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf arena = MM_BUF_INIT(MM_BIRTH_MAX);
	MM_OWN(text_free) char *texts = NULL;
	struct mm_receipt r;
	struct mm_entry_read e;
	size_t n;

	MM_TRY(mm_receipt_parse(receipt, &arena, &r, why));
	n = r.entry.n + 64;
	texts = malloc(n);
	if (texts == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	MM_TRY(mm_entry_read(r.entry, texts, n, &e, why));
	return take(b, &e.e, why);
}

static enum mm_err
derive(struct mm_birth *b, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	struct mm_bytes rest = mm_buf_view(&b->certificate);
	struct mm_cert cert;

	MM_TRY(mm_pem_next(&rest, "CERTIFICATE", &der, why));
	MM_TRY(mm_cert_walk(mm_buf_view(&der), &cert, why));
	MM_TRY(from_cert(b, &cert, why));
	MM_TRY(with_entry(b, mm_buf_view(&b->receipt), from_issuance, why));
	if (b->confirmation.n == 0)
		return MM_OK;
	return with_entry(b, mm_buf_view(&b->confirmation), from_confirmation,
	    why);
}

/* see birth.h */
enum mm_err
mm_birth_new(const struct mm_birth_from *from, struct mm_birth **out,
    struct mm_why *why)
{
	MM_OWN(mm_birth_free) struct mm_birth *b = calloc(1, sizeof(*b));
	const struct mm_bytes part[] = { from->certificate, from->chain,
		from->receipt, from->confirmation, from->station };
	struct mm_buf *to[5];

	if (b == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	to[0] = &b->certificate;
	to[1] = &b->chain;
	to[2] = &b->receipt;
	to[3] = &b->confirmation;
	to[4] = &b->station;
	for (size_t i = 0; i < 5; i++) {
		mm_buf_init(to[i], MM_BIRTH_MAX / 4);
		mm_buf_bytes(to[i], part[i]);
		MM_TRY(mm_buf_ok(to[i], why));
	}
	MM_TRY(derive(b, why));
	*out = MM_MOVE(b);
	return MM_OK;
}

static bool
is_plain(const char *v)
{
	size_t n = strlen(v);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)v[i] < ' ' || v[i] == 0x7f)
			return false;
	return n > 0 && n <= MM_BIRTH_VALUE && mm_utf8_valid(mm_bytes_of(v));
}

/* see birth.h */
enum mm_err
mm_birth_say(struct mm_birth *b, enum mm_birth_fact f,
    enum mm_birth_grade grade, const char *value, struct mm_why *why)
{
	const struct mm_birth_row *row = &mm_birth_rows[f];

	if (row->derived)
		return MM_FAIL(why, MM_EPOLICY, "birth record: %s follows "
		    "from the receipt, nobody says it", row->name);
	if (grade > row->best)
		return MM_FAIL(why, MM_EPOLICY, "birth record: %s cannot be "
		    "%s, at best %s", row->name, grades[grade],
		    grades[row->best]);
	if (!is_plain(value))
		return MM_FAIL(why, MM_EINPUT, "birth record: %s: want 1 to "
		    "%d bytes of text", row->name, MM_BIRTH_VALUE);
	return set(b, f, grade, mm_bytes_of(value), why);
}

/* ---- JSON ---- */

/* see birth.h */
enum mm_err
mm_birth_encode(const struct mm_birth *b, struct mm_buf *out,
    struct mm_why *why)
{
	struct mm_json j = mm_json_over(out);

	mm_json_open(&j, '{');
	mm_json_strn(&j, "certificate", mm_buf_view(&b->certificate));
	mm_json_strn(&j, "chain", mm_buf_view(&b->chain));
	mm_json_strn(&j, "confirmation", mm_buf_view(&b->confirmation));
	mm_json_open_key(&j, "facts", '{');
	for (size_t i = 0; i < MM_BIRTH_COUNT; i++) {
		if (b->value[i][0] == '\0')
			continue;
		mm_json_open_key(&j, mm_birth_rows[i].name, '{');
		mm_json_str(&j, "grade", grades[b->grade[i]]);
		mm_json_str(&j, "value", b->value[i]);
		mm_json_close(&j, '}');
	}
	mm_json_close(&j, '}');
	mm_json_strn(&j, "receipt", mm_buf_view(&b->receipt));
	if (b->station.n > 0)
		mm_json_strn(&j, "station", mm_buf_view(&b->station));
	mm_json_int(&j, "v", 1);
	mm_json_close(&j, '}');
	return mm_buf_ok(out, why);
}

static bool
grade_of(const char *name, enum mm_birth_grade *out)
{
	for (size_t i = 0; i < sizeof(grades) / sizeof(grades[0]); i++)
		if (strcmp(grades[i], name) == 0) {
			*out = (enum mm_birth_grade)i;
			return true;
		}
	return false;
}

static bool
fact_of(const char *name, size_t *out)
{
	for (*out = 0; *out < MM_BIRTH_COUNT; ++*out)
		if (strcmp(mm_birth_rows[*out].name, name) == 0)
			return true;
	return false;
}

/* One fact as it is given: a derived one must be what was derived. */
static enum mm_err
take_fact(struct mm_birth *b, const char *name, json_t *given, bool seen[],
    struct mm_why *why)
{
	const char *grade_text, *value;
	enum mm_birth_grade grade;
	size_t f;

	if (!fact_of(name, &f))
		return MM_FAIL(why, MM_EINPUT, "birth record: a fact that "
		    "this version does not know");
	if (json_unpack(given, "{s:s,s:s!}", "grade", &grade_text, "value",
	    &value) != 0 || !grade_of(grade_text, &grade))
		return MM_FAIL(why, MM_EINPUT, "birth record: %s: malformed",
		    mm_birth_rows[f].name);
	seen[f] = true;
	if (!mm_birth_rows[f].derived)
		return mm_birth_say(b, (enum mm_birth_fact)f, grade, value,
		    why);
	if (strcmp(b->value[f], value) != 0 || b->grade[f] != grade)
		return MM_FAIL(why, MM_EPOLICY, "birth record: %s is not what "
		    "certificate and receipt say", mm_birth_rows[f].name);
	return MM_OK;
}

static enum mm_err
take_facts(struct mm_birth *b, json_t *facts, struct mm_why *why)
{
	bool seen[MM_BIRTH_COUNT] = { false };
	const char *name;
	json_t *v;

	json_object_foreach(facts, name, v)
		MM_TRY(take_fact(b, name, v, seen, why));
	for (size_t i = 0; i < MM_BIRTH_COUNT; i++)
		if (mm_birth_rows[i].derived && !seen[i] &&
		    b->value[i][0] != '\0')
			return MM_FAIL(why, MM_EPOLICY, "birth record: %s is "
			    "left out", mm_birth_rows[i].name);
	return MM_OK;
}

static enum mm_err
read_record(struct mm_bytes json, struct mm_birth **out, struct mm_why *why)
{
	MM_OWN(mm_birth_free) struct mm_birth *b = NULL;
	MM_OWN(json_free) json_t *root = NULL;
	struct mm_birth_from from = { .station = { NULL, 0 } };
	const char *text[5] = { NULL };
	json_t *facts;
	int v;

	if (json.n > 0 && json.n <= MM_BIRTH_MAX)
		root = json_loadb((const char *)json.p, json.n,
		    JSON_REJECT_DUPLICATES, NULL);
	if (root == NULL || json_unpack(root,
	    "{s:s%,s:s%,s:s%,s:o,s:s%,s?s%,s:i!}", "certificate", &text[0],
	    &from.certificate.n, "chain", &text[1], &from.chain.n,
	    "confirmation", &text[2], &from.confirmation.n, "facts", &facts,
	    "receipt", &text[3], &from.receipt.n, "station", &text[4],
	    &from.station.n, "v", &v) != 0 || v != 1 ||
	    !json_is_object(facts))
		return MM_FAIL(why, MM_EINPUT, "birth record: malformed");
	from.certificate.p = (const uint8_t *)text[0];
	from.chain.p = (const uint8_t *)text[1];
	from.confirmation.p = (const uint8_t *)text[2];
	from.receipt.p = (const uint8_t *)text[3];
	from.station.p = (const uint8_t *)text[4];
	MM_TRY(mm_birth_new(&from, &b, why));
	MM_TRY(take_facts(b, facts, why));
	*out = MM_MOVE(b);
	return MM_OK;
}

/* see birth.h */
enum mm_err
mm_birth_parse(struct mm_bytes json, struct mm_birth **out,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf again = MM_BUF_INIT(2 * MM_BIRTH_MAX);
	MM_OWN(mm_birth_free) struct mm_birth *b = NULL;

	/* A file may end in a line end. */
	if (json.n > 0 && json.p[json.n - 1] == '\n')
		json.n--;
	MM_TRY(read_record(json, &b, why));
	MM_TRY(mm_birth_encode(b, &again, why));
	if (!mm_bytes_eq(mm_buf_view(&again), json))
		return MM_FAIL(why, MM_EINPUT,
		    "birth record: not in canonical form (RFC 8785)");
	*out = MM_MOVE(b);
	return MM_OK;
}
