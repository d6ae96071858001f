#include "../ledger/signing.h"
#include "../pki/fixture.h"

#include "base/text.h"
#include "ledger/receipt.h"
#include "line/birth.h"
#include "line/initial.h"

#define NAME "acme.example/ledger"

struct rig {
	struct ca ca;
	struct issued dev;
	struct mm_buf cert, chain, receipt, confirmation;
	struct mm_note_key key;
};

static void
hex_of(struct mm_bytes v, char out[65])
{
	uint8_t hash[32];

	mm_sha256(v, hash);
	mm_hex_text(hash, 32, out);
}

/* The receipt of an entry that is alone in its ledger. */
static void
make_receipt(struct mm_entry *e, struct mm_buf *out)
{
	struct mm_buf entry = MM_BUF_INIT(MM_ENTRY_MAX);
	struct mm_buf text = MM_BUF_INIT(MM_NOTE_MAX);
	struct mm_buf note = MM_BUF_INIT(MM_NOTE_MAX);
	struct mm_checkpoint c = { .origin = NAME, .size = 1 };
	struct mm_receipt r = { 0 };
	struct mm_why why = { 0 };

	OK(why, mm_entry_encode(e, &entry, &why));
	c.root = mm_tree_leaf(mm_buf_view(&entry));
	mm_checkpoint_text(&c, &text);
	test_sign(NAME, 7, mm_buf_view(&text), &note);
	r.entry = mm_buf_view(&entry);
	r.note = mm_buf_view(&note);
	mm_buf_init(out, 1 << 16);
	OK(why, mm_receipt_encode(&r, out, &why));
	mm_buf_done(&entry);
	mm_buf_done(&text);
	mm_buf_done(&note);
}

static void
make_receipts(struct rig *r)
{
	struct mm_entry e = { .type = MM_E_CERT_ISSUED, .at_ms = 1000 };
	char serial[33], cert[65], spki[65];
	struct mm_cert c;

	assert_int_equal(mm_cert_walk(mm_buf_view(&r->dev.cert), &c, NULL),
	    MM_OK);
	mm_hex_text(r->dev.fields.serial, MM_SERIAL_N, serial);
	hex_of(c.whole, cert);
	hex_of(c.spki.whole, spki);
	e.field[MM_F_DEVICE] = "SN-1";
	e.field[MM_F_PRODUCT] = "thermo";
	e.field[MM_F_ISSUER] = "ldevid";
	e.field[MM_F_SERIAL] = serial;
	e.field[MM_F_CERT_SHA256] = cert;
	e.field[MM_F_SPKI_SHA256] = spki;
	e.field[MM_F_PROFILE] = "thermo@1";
	e.field[MM_F_BATCH] = "b1";
	make_receipt(&e, &r->receipt);
	e = (struct mm_entry){ .type = MM_E_CERT_CONFIRMED, .at_ms = 2000 };
	e.field[MM_F_ISSUER] = "ldevid";
	e.field[MM_F_SERIAL] = serial;
	make_receipt(&e, &r->confirmation);
}

typedef void marker(const uint8_t salt[MM_SALT_N], const uint8_t sha256[32],
    uint8_t out[32]);

/* The entry names the mark of {"psk":"x"}, as some version made it. */
static void
configure(struct rig *r, const uint8_t salt[MM_SALT_N], marker *make_mark,
    struct mm_buf *out)
{
	struct mm_entry e = { .type = MM_E_CERT_ISSUED, .at_ms = 1000 };
	char serial[33], cert[65], spki[65], mark[65];
	uint8_t hash[32], marked[32];
	struct mm_cert c;

	assert_int_equal(mm_cert_walk(mm_buf_view(&r->dev.cert), &c, NULL),
	    MM_OK);
	mm_hex_text(r->dev.fields.serial, MM_SERIAL_N, serial);
	hex_of(c.whole, cert);
	hex_of(c.spki.whole, spki);
	mm_sha256(mm_bytes_of("{\"psk\":\"x\"}"), hash);
	make_mark(salt, hash, marked);
	mm_hex_text(marked, sizeof(marked), mark);
	e.field[MM_F_DEVICE] = "SN-1";
	e.field[MM_F_ISSUER] = "ldevid";
	e.field[MM_F_SERIAL] = serial;
	e.field[MM_F_CERT_SHA256] = cert;
	e.field[MM_F_SPKI_SHA256] = spki;
	e.field[MM_F_PRODUCT] = "thermo";
	e.field[MM_F_PROFILE] = "thermo@1";
	e.field[MM_F_CONFIG_VERSION] = "3";
	e.field[MM_F_CONFIG_SHA256] = mark;
	make_receipt(&e, out);
}

static int
open_rig(void **state)
{
	static struct rig r;
	struct mm_profile p;

	ca_init(&r.ca, MM_KEY_P256);
	profile_init(&p);
	issued_init(&r.dev, MM_KEY_P256, "SN-1");
	issued_fields(&r.dev, &p, &r.ca, "SN-1");
	issued_build(&r.dev, &p, &r.ca);
	issued_sign(&r.dev, &r.ca);
	mm_buf_init(&r.cert, 1 << 16);
	mm_buf_init(&r.chain, 1 << 16);
	mm_pem_put(&r.cert, "CERTIFICATE", mm_buf_view(&r.dev.cert));
	mm_pem_put(&r.chain, "CERTIFICATE", mm_buf_view(&r.ca.der));
	make_receipts(&r);
	EVP_PKEY_free(test_key(NAME, 7, &r.key));
	*state = &r;
	return 0;
}

static int
close_rig(void **state)
{
	struct rig *r = *state;

	mm_buf_done(&r->cert);
	mm_buf_done(&r->chain);
	mm_buf_done(&r->receipt);
	mm_buf_done(&r->confirmation);
	issued_done(&r->dev);
	ca_done(&r->ca);
	return 0;
}

static struct mm_birth *
make(const struct rig *r)
{
	const struct mm_birth_from from = { mm_buf_view(&r->cert),
		mm_buf_view(&r->chain), mm_buf_view(&r->receipt),
		mm_buf_view(&r->confirmation) };
	struct mm_birth *b = NULL;
	struct mm_why why = { 0 };

	OK(why, mm_birth_new(&from, &b, &why));
	return b;
}

static void
facts_are_sorted(void **state)
{
	(void)state;
	for (int i = 1; i < MM_BIRTH_COUNT; i++)
		ROW(mm_birth_fact_name((enum mm_birth_fact)i), strcmp(
		    mm_birth_fact_name((enum mm_birth_fact)(i - 1)),
		    mm_birth_fact_name((enum mm_birth_fact)i)) < 0);
}

static void
a_record_survives_its_json(void **state)
{
	const struct rig *r = *state;
	struct mm_buf json = MM_BUF_INIT(MM_BIRTH_MAX);
	struct mm_buf again = MM_BUF_INIT(MM_BIRTH_MAX);
	struct mm_birth *b = make(r), *back = NULL;
	struct mm_why why = { 0 };

	assert_string_equal(b->value[MM_B_device], "SN-1");
	assert_string_equal(b->value[MM_B_key_type], "p256");
	assert_string_equal(b->value[MM_B_key_strength_bits], "128");
	assert_string_equal(b->value[MM_B_issued_at], "1970-01-01T00:00:01Z");
	assert_string_equal(b->value[MM_B_confirmed_at],
	    "1970-01-01T00:00:02Z");
	assert_string_equal(b->value[MM_B_batch], "b1");
	assert_string_equal(b->value[MM_B_key_origin], "device");
	assert_int_equal(b->grade[MM_B_key_origin], MM_CLAIMED);
	assert_int_equal(b->grade[MM_B_key_sha256], MM_PROVED);
	OK(why, mm_birth_say(b, MM_B_fixture, MM_OBSERVED, "3", &why));
	OK(why, mm_birth_encode(b, &json, &why));
	OK(why, mm_birth_parse(mm_buf_view(&json), &back, &why));
	OK(why, mm_birth_encode(back, &again, &why));
	assert_true(mm_bytes_eq(mm_buf_view(&json), mm_buf_view(&again)));
	OK(why, mm_birth_verify(back, &r->key, mm_buf_view(&r->chain), &why));
	OK(why, mm_birth_verify(back, &r->key, (struct mm_bytes){ 0 }, &why));
	mm_birth_free(&b);
	mm_birth_free(&back);
	mm_buf_done(&json);
	mm_buf_done(&again);
}

static void
nobody_says_more_than_he_knows(void **state)
{
	static const struct {
		const char *what;
		enum mm_birth_fact fact;
		enum mm_birth_grade grade;
		const char *value;
		enum mm_err want;
	} rows[] = {
		{ "observed", MM_B_lock_state, MM_OBSERVED, "locked", MM_OK },
		{ "less than could be", MM_B_lock_state, MM_CLAIMED, "x",
		    MM_OK },
		{ "a claim as proof", MM_B_storage_class, MM_PROVED, "se",
		    MM_EPOLICY },
		{ "a claim as seen", MM_B_randomness, MM_OBSERVED, "trng",
		    MM_EPOLICY },
		{ "what is derived", MM_B_device, MM_CLAIMED, "SN-2",
		    MM_EPOLICY },
		{ "nothing", MM_B_fixture, MM_OBSERVED, "", MM_EINPUT },
		{ "a line end", MM_B_fixture, MM_OBSERVED, "1\n2",
		    MM_EINPUT },
		{ "not UTF-8", MM_B_fixture, MM_OBSERVED, "\xff",
		    MM_EINPUT },
	};
	struct mm_birth *b = make(*state);

	for (size_t i = 0; i < ROWS(rows); i++)
		ROW(rows[i].what, mm_birth_say(b, rows[i].fact, rows[i].grade,
		    rows[i].value, NULL) == rows[i].want);
	mm_birth_free(&b);
}

/* Replaces the first a in text by b. */
static void
change(const struct mm_buf *from, const char *a, const char *b,
    struct mm_buf *to)
{
	const uint8_t *at = memmem(from->p, from->n, a, strlen(a));
	size_t before;

	assert_non_null(at);
	before = (size_t)(at - from->p);
	mm_buf_put(to, from->p, before);
	mm_buf_text(to, b);
	mm_buf_put(to, at + strlen(a), from->n - before - strlen(a));
}

static void
changed_records_do_not_hold(void **state)
{
	static const struct {
		const char *what, *from, *to, *want;
	} rows[] = {
		{ "another device", "\"value\":\"SN-1\"",
		    "\"value\":\"SN-2\"", "device is not what" },
		{ "a better grade", "\"grade\":\"claimed\",\"value\":\"device",
		    "\"grade\":\"observed\",\"value\":\"device",
		    "key_origin is not what" },
		{ "a fact left out",
		    "\"key_type\":{\"grade\":\"proved\",\"value\":\"p256\"},",
		    "", "key_type is left out" },
		{ "an unknown fact", "\"key_type\":", "\"key_tape\":",
		    "does not know" },
		{ "white space", "{\"certificate\":", "{ \"certificate\":",
		    "canonical" },
		{ "another version", "\"v\":1}", "\"v\":2}", "malformed" },
		{ "more than it has", "\"v\":1}", "\"v\":1,\"w\":1}",
		    "malformed" },
		{ "an entry of another device", "device\\\\\\\":\\\\\\\"SN-1",
		    "device\\\\\\\":\\\\\\\"SN-9", "device is not what" },
		{ "an entry at another time", "1970-01-01T00:00:01.000Z",
		    "1970-01-01T00:00:01.001Z", NULL },
	};
	const struct rig *r = *state;
	struct mm_buf json = MM_BUF_INIT(MM_BIRTH_MAX);
	struct mm_birth *b = make(r);

	assert_int_equal(mm_birth_encode(b, &json, NULL), MM_OK);
	mm_birth_free(&b);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_buf bad = MM_BUF_INIT(MM_BIRTH_MAX);
		struct mm_why why = { 0 };
		enum mm_err rc;

		change(&json, rows[i].from, rows[i].to, &bad);
		rc = mm_birth_parse(mm_buf_view(&bad), &b, &why);
		if (rc == MM_OK) /* only the ledger's key tells */
			rc = mm_birth_verify(b, &r->key, (struct mm_bytes){
			    0 }, &why);
		ROW(rows[i].what, rc != MM_OK);
		if (rows[i].want != NULL)
			ROW(rows[i].what, strstr(why.text, rows[i].want) !=
			    NULL);
		mm_birth_free(&b);
		mm_buf_done(&bad);
	}
	mm_buf_done(&json);
}

static void
other_keys_and_roots_do_not_hold(void **state)
{
	const struct rig *r = *state;
	struct mm_buf root = MM_BUF_INIT(1 << 16);
	struct mm_birth *b = make(r);
	struct mm_note_key other;
	struct ca ca;

	EVP_PKEY_free(test_key(NAME, 8, &other));
	assert_int_not_equal(mm_birth_verify(b, &other, (struct mm_bytes){
	    0 }, NULL), MM_OK);
	ca_init(&ca, MM_KEY_P384);
	mm_pem_put(&root, "CERTIFICATE", mm_buf_view(&ca.der));
	assert_int_equal(mm_birth_verify(b, &r->key, mm_buf_view(&root),
	    NULL), MM_EPOLICY);
	assert_int_equal(mm_birth_verify(b, &r->key, mm_bytes_of("no PEM"),
	    NULL), MM_EINPUT);
	ca_done(&ca);
	mm_buf_done(&root);
	mm_birth_free(&b);
}

static void
receipts_must_be_of_the_certificate(void **state)
{
	const struct rig *r = *state;
	struct mm_birth_from from = { mm_buf_view(&r->cert),
		mm_buf_view(&r->chain), mm_buf_view(&r->confirmation),
		mm_buf_view(&r->receipt) };
	struct mm_birth *b = NULL;

	assert_int_equal(mm_birth_new(&from, &b, NULL), MM_EINPUT);
	from.receipt = mm_buf_view(&r->receipt);
	assert_int_equal(mm_birth_new(&from, &b, NULL), MM_EPOLICY);
	from.confirmation = (struct mm_bytes){ 0 };
	from.certificate = mm_buf_view(&r->chain);
	assert_int_equal(mm_birth_new(&from, &b, NULL), MM_EPOLICY);
}

#define OWN_SALT "0102030405060708090a0b0c0d0e0f10"

static void
a_document_is_told_by_the_salt(void **state)
{
	static const struct {
		const char *what, *document, *salt;
		bool salted; /* is the entry */
		enum mm_err want;
		marker *mark; /* NULL: today's */
	} rows[] = {
		{ "it", "{\"psk\":\"x\"}", OWN_SALT, true, MM_OK },
		{ "it, as a file", "{\"psk\":\"x\"}\n", OWN_SALT, true,
		    MM_OK },
		{ "another", "{\"psk\":\"y\"}", OWN_SALT, true, MM_EPOLICY },
		{ "nothing", "", OWN_SALT, true, MM_EPOLICY },
		{ "another's salt", "{\"psk\":\"x\"}",
		    "0002030405060708090a0b0c0d0e0f10", true, MM_EPOLICY },
		{ "no salt", "{\"psk\":\"x\"}", NULL, true, MM_ENOTFOUND },
		{ "one that is none", "{\"psk\":\"x\"}", "01", true,
		    MM_EINPUT },
		{ "of before there were salts", "{\"psk\":\"x\"}", NULL,
		    false, MM_OK },
		{ "another, then", "{\"psk\":\"y\"}", NULL, false,
		    MM_ENOTFOUND },
		{ "of before marks had words in front", "{\"psk\":\"x\"}",
		    OWN_SALT, true, MM_OK, mm_initial_mark_before },
		{ "another, then", "{\"psk\":\"y\"}", OWN_SALT, true,
		    MM_EPOLICY, mm_initial_mark_before },
		{ "a station of before, a batch that has salts",
		    "{\"psk\":\"x\"}", OWN_SALT, false, MM_OK },
		{ "another, then", "{\"psk\":\"y\"}", OWN_SALT, false,
		    MM_EPOLICY },
	};
	struct rig *r = *state;
	const uint8_t none[MM_SALT_N] = { 0 };
	uint8_t salt[MM_SALT_N];

	assert_int_equal(mm_hex_parse(OWN_SALT, 32, salt, sizeof(salt), NULL),
	    MM_OK);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_birth_from from = { mm_buf_view(&r->cert),
			mm_buf_view(&r->chain) };
		struct mm_buf receipt;
		struct mm_birth *b = NULL;

		configure(r, rows[i].salted ? salt : none,
		    rows[i].mark != NULL ? rows[i].mark : mm_initial_mark,
		    &receipt);
		from.receipt = mm_buf_view(&receipt);
		assert_int_equal(mm_birth_new(&from, &b, NULL), MM_OK);
		if (rows[i].salt != NULL)
			assert_int_equal(mm_birth_say(b,
			    MM_B_configuration_salt, MM_OBSERVED,
			    rows[i].salt, NULL), MM_OK);
		ROW(rows[i].what, mm_birth_verify_configuration(b,
		    mm_bytes_of(rows[i].document), NULL) == rows[i].want);
		mm_birth_free(&b);
		mm_buf_done(&receipt);
	}
}

/* The very bytes whose hash the entry has, of today's marks and of before. */
static void
what_a_mark_is_made_of_is_no_document(void **state)
{
	static const struct {
		const char *what, *front;
		marker *mark;
	} rows[] = {
		{ "today's", "mintmark-configuration", mm_initial_mark },
		{ "of before", "", mm_initial_mark_before },
	};
	struct rig *r = *state;
	uint8_t salt[MM_SALT_N], hash[32];

	assert_int_equal(mm_hex_parse(OWN_SALT, 32, salt, sizeof(salt), NULL),
	    MM_OK);
	mm_sha256(mm_bytes_of("{\"psk\":\"x\"}"), hash);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_birth_from from = { mm_buf_view(&r->cert),
			mm_buf_view(&r->chain) };
		struct mm_buf receipt, made = MM_BUF_INIT(128);
		struct mm_birth *b = NULL;
		struct mm_why why = { 0 };

		configure(r, salt, rows[i].mark, &receipt);
		from.receipt = mm_buf_view(&receipt);
		assert_int_equal(mm_birth_new(&from, &b, NULL), MM_OK);
		mm_buf_text(&made, rows[i].front);
		mm_buf_put(&made, salt, sizeof(salt));
		mm_buf_put(&made, hash, sizeof(hash));
		ROW(rows[i].what, mm_birth_verify_configuration(b,
		    mm_buf_view(&made), &why) == MM_EPOLICY &&
		    strstr(why.text, "no JSON") != NULL);
		mm_birth_free(&b);
		mm_buf_done(&made);
		mm_buf_done(&receipt);
	}
}

static void
nothing_is_told_of_what_was_not_given(void **state)
{
	struct mm_birth *b = make(*state);

	assert_int_equal(mm_birth_verify_configuration(b, mm_bytes_of("{}"),
	    NULL), MM_EPOLICY);
	mm_birth_free(&b);
}

static void
the_page_is_text(void **state)
{
	struct mm_buf out = MM_BUF_INIT(1 << 20);
	struct mm_birth *b = make(*state);
	struct mm_why why = { 0 };

	OK(why, mm_birth_say(b, MM_B_fixture, MM_OBSERVED,
	    "<script>alert(\"1\")</script>&", &why));
	OK(why, mm_birth_html(b, &out, &why));
	assert_null(strstr(mm_buf_cstr(&out), "<script"));
	assert_non_null(strstr(mm_buf_cstr(&out), "&lt;script&gt;alert(&quot;"
	    "1&quot;)&lt;/script&gt;&amp;"));
	assert_non_null(strstr(mm_buf_cstr(&out), "does not prove"));
	mm_buf_done(&out);
	mm_birth_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(facts_are_sorted),
		cmocka_unit_test(a_record_survives_its_json),
		cmocka_unit_test(nobody_says_more_than_he_knows),
		cmocka_unit_test(changed_records_do_not_hold),
		cmocka_unit_test(other_keys_and_roots_do_not_hold),
		cmocka_unit_test(receipts_must_be_of_the_certificate),
		cmocka_unit_test(a_document_is_told_by_the_salt),
		cmocka_unit_test(what_a_mark_is_made_of_is_no_document),
		cmocka_unit_test(nothing_is_told_of_what_was_not_given),
		cmocka_unit_test(the_page_is_text),
	};

	return cmocka_run_group_tests(tests, open_rig, close_rig);
}
