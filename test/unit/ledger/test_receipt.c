#include "signing.h"

#include "ledger/receipt.h"

#define NAME "acme.example/ledger"
#define CHAIN "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"

/* A ledger of two entries with its signed checkpoint. */
struct ledger {
	struct mm_buf entry[2], note;
	struct mm_note_key key;
	struct mm_receipt receipt; /* of the second */
};

static int
open_ledger(void **state)
{
	static struct ledger l;
	struct mm_entry e = { .type = MM_E_ALERT, .at_ms = 5 };
	struct mm_checkpoint c = { .origin = NAME, .size = 2 };
	struct mm_buf text = MM_BUF_INIT(MM_NOTE_MAX);
	struct mm_hash leaf[2];

	for (int i = 0; i < 2; i++) {
		mm_buf_init(&l.entry[i], MM_ENTRY_MAX);
		e.field[MM_F_REASON] = i == 0 ? "first" : "caf\u00e9 \"2\"";
		assert_int_equal(mm_entry_encode(&e, &l.entry[i], NULL),
		    MM_OK);
		leaf[i] = mm_tree_leaf(mm_buf_view(&l.entry[i]));
	}
	c.root = mm_tree_node(&leaf[0], &leaf[1]);
	mm_checkpoint_text(&c, &text);
	mm_buf_init(&l.note, MM_NOTE_MAX);
	test_sign(NAME, 7, mm_buf_view(&text), &l.note);
	EVP_PKEY_free(test_key(NAME, 7, &l.key));
	mm_buf_done(&text);
	l.receipt = (struct mm_receipt){ mm_buf_view(&l.entry[1]), 1,
		{ 1, { leaf[0] } }, mm_buf_view(&l.note),
		mm_bytes_of(CHAIN) };
	*state = &l;
	return 0;
}

static int
close_ledger(void **state)
{
	struct ledger *l = *state;

	mm_buf_done(&l->entry[0]);
	mm_buf_done(&l->entry[1]);
	mm_buf_done(&l->note);
	return 0;
}

static void
a_receipt_survives_its_json(void **state)
{
	const struct ledger *l = *state;
	struct mm_buf json = MM_BUF_INIT(1 << 16), arena = MM_BUF_INIT(1 << 16);
	struct mm_receipt back;
	struct mm_checkpoint c = { .size = 0 };

	assert_int_equal(mm_receipt_encode(&l->receipt, &json, NULL), MM_OK);
	assert_int_equal(mm_receipt_parse(mm_buf_view(&json), &arena, &back,
	    NULL), MM_OK);
	assert_true(mm_bytes_eq(back.entry, l->receipt.entry));
	assert_true(mm_bytes_eq(back.note, l->receipt.note));
	assert_true(mm_bytes_eq(back.chain_pem, mm_bytes_of(CHAIN)));
	assert_int_equal(mm_receipt_verify(&back, &l->key, &c, NULL), MM_OK);
	assert_int_equal(c.size, 2);
	mm_buf_done(&json);
	mm_buf_done(&arena);
}

static void
a_changed_receipt_says_what_failed(void **state)
{
	static const struct {
		const char *what, *want;
	} rows[] = {
		{ "entry", "inclusion" },
		{ "index", "inclusion" },
		{ "proof", "inclusion" },
		{ "no proof", "inclusion" },
		{ "note", "not hold" },
		{ "key", "not signed by" },
	};
	const struct ledger *l = *state;

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_receipt r = l->receipt;
		struct mm_note_key key = l->key;
		struct mm_checkpoint c = { .size = 99 };
		struct mm_why why = { 0 };
		char note[MM_NOTE_MAX];
		memcpy(note, r.note.p, r.note.n);
		note[0] = 'b';
		if (i == 0)
			r.entry = mm_buf_view(&l->entry[0]);
		if (i == 1)
			r.index = 0;
		if (i == 2)
			r.proof.hash[0].b[0] ^= 1;
		if (i == 3)
			r.proof.n = 0;
		if (i == 4)
			r.note.p = (const uint8_t *)note;
		if (i == 5)
			EVP_PKEY_free(test_key(NAME, 8, &key));
		ROW(rows[i].what, mm_receipt_verify(&r, &key, &c, &why) ==
		    MM_EPOLICY);
		ROW(rows[i].what, strstr(why.text, rows[i].want) != NULL);
		ROW(rows[i].what, c.size == 99);
	}
}

#define X "\"entry\":\"e\",\"index\":1,\"proof\":[],\"checkpoint\":\"c\""

static void
other_json_is_refused(void **state)
{
	static const struct {
		const char *what, *json;
		bool good;
	} rows[] = {
		{ "smallest", "{\"v\":1," X ",\"chain\":\"\"}", true },
		{ "version", "{\"v\":2," X ",\"chain\":\"\"}", false },
		{ "no chain", "{\"v\":1," X "}", false },
		{ "one more", "{\"v\":1," X ",\"chain\":\"\",\"x\":1}",
		    false },
		{ "twice", "{\"v\":1," X ",\"chain\":\"\",\"chain\":\"\"}",
		    false },
		{ "negative index", "{\"v\":1,\"entry\":\"e\",\"index\":-1,"
				    "\"proof\":[],\"checkpoint\":\"c\","
				    "\"chain\":\"\"}", false },
		{ "huge index", "{\"v\":1,\"entry\":\"e\",\"index\":"
				"99999999999999999999,\"proof\":[],"
				"\"checkpoint\":\"c\",\"chain\":\"\"}",
		    false },
		{ "short hash", "{\"v\":1,\"entry\":\"e\",\"index\":1,"
				"\"proof\":[\"aa\"],\"checkpoint\":\"c\","
				"\"chain\":\"\"}", false },
		{ "proof is no list", "{\"v\":1,\"entry\":\"e\",\"index\":1,"
				      "\"proof\":{},\"checkpoint\":\"c\","
				      "\"chain\":\"\"}", false },
		{ "list", "[]", false },
		{ "nothing", "", false },
		{ "more behind", "{\"v\":1," X ",\"chain\":\"\"} 1", false },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_buf arena = MM_BUF_INIT(1000);
		struct mm_receipt r = { .index = 99 };
		enum mm_err err = mm_receipt_parse(mm_bytes_of(rows[i].json),
		    &arena, &r, NULL);
		ROW(rows[i].what, err == (rows[i].good ? MM_OK : MM_EINPUT));
		ROW(rows[i].what, (r.index == 99) == (err != MM_OK));
		mm_buf_done(&arena);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_receipt_survives_its_json),
		cmocka_unit_test(a_changed_receipt_says_what_failed),
		cmocka_unit_test(other_json_is_refused),
	};

	return cmocka_run_group_tests(tests, open_ledger, close_ledger);
}
