/* A station's ledger in pieces: what upload cuts, sync verifies. */
#include <stdio.h>
#include <stdlib.h>

#include "../ledger/signing.h"
#include "base/json.h"
#include "work/upload.h"

enum { FILE_MAX = 4 << 20, MANY = 700 };
static const char name[] = "localhost/ledger/l3";

/* ---- an export of n entries, which are numbered ---- */

static void
put_line(
    struct mm_buf *out, const char *tag, unsigned i, struct mm_frontier *tree)
{
	char entry[64];
	struct mm_json j = mm_json_over(out);
	struct mm_hash leaf;

	snprintf(entry, sizeof(entry), "{\"%s\":%u}", tag, i);
	leaf = mm_tree_leaf(mm_bytes_of(entry));
	mm_frontier_append(tree, &leaf);
	mm_json_open(&j, '{');
	mm_json_str(&j, "entry", entry);
	if (i % 2 == 1)
		mm_json_b64(&j, "certificate", mm_bytes_of("der"));
	else
		mm_json_str(&j, "proof", "what it signed");
	mm_json_close(&j, '}');
	mm_buf_text(out, "\n");
}

static void
put_end(struct mm_buf *out, uint8_t seed, const struct mm_frontier *tree)
{
	struct mm_buf text = MM_BUF_INIT(4096), note = MM_BUF_INIT(4096);
	struct mm_checkpoint c = { .size = tree->size,
		.root = mm_frontier_root(tree) };
	struct mm_json j = mm_json_over(out);

	memcpy(c.origin, name, sizeof(name));
	mm_checkpoint_text(&c, &text);
	test_sign(name, seed, mm_buf_view(&text), &note);
	mm_json_open(&j, '{');
	mm_json_int(&j, "size", (int64_t)tree->size);
	mm_json_strn(&j, "checkpoint", mm_buf_view(&note));
	mm_json_close(&j, '}');
	mm_buf_text(out, "\n");
	mm_buf_done(&text);
	mm_buf_done(&note);
}

static void
put_head(struct mm_buf *out, const struct mm_frontier *before)
{
	struct mm_buf peaks = MM_BUF_INIT(4096);
	struct mm_json j = mm_json_over(out);

	mm_frontier_encode(before, &peaks);
	mm_buf_reset(out);
	mm_json_open(&j, '{');
	mm_json_int(&j, "v", 1);
	mm_json_str(&j, "station", "l3");
	mm_json_int(&j, "from", (int64_t)before->size);
	if (before->size > 0)
		mm_json_b64(&j, "frontier", mm_buf_view(&peaks));
	mm_json_close(&j, '}');
	mm_buf_text(out, "\n");
	mm_buf_done(&peaks);
}

/* Without the first ones. */
static void
export_from(struct mm_buf *out, unsigned from, unsigned n, unsigned tail,
    uint8_t seed)
{
	struct mm_frontier tree = { .size = 0 };

	mm_buf_init(out, FILE_MAX);
	if (from == 0)
		put_head(out, &tree);
	for (unsigned i = 0; i < n; i++) {
		put_line(out, i + tail >= n ? "other" : "one", i, &tree);
		if (i + 1 == from)
			put_head(out, &tree);
	}
	put_end(out, seed, &tree);
}

/* tail: how many of the last entries are of another history. */
static void
export_of(struct mm_buf *out, unsigned n, unsigned tail, uint8_t seed)
{
	export_from(out, 0, n, tail, seed);
}

struct cut { /* a piece, read back */
	json_t *o;
	struct mm_sync_piece *p;
	uint64_t to;
};

static void
cut(struct mm_bytes file, uint64_t from, struct cut *c)
{
	struct mm_buf text = MM_BUF_INIT(MM_SYNC_PIECE_MAX);
	struct mm_upload *u = NULL;

	assert_int_equal(mm_upload_open(file, &u, NULL), MM_OK);
	assert_string_equal(mm_upload_station(u), "l3");
	assert_int_equal(
	    mm_upload_piece(u, from, false, &c->to, &text, NULL), MM_OK);
	mm_upload_close(&u);
	c->o = json_loadb((const char *)text.p, text.n, 0, NULL);
	assert_int_equal(mm_sync_read(c->o, &c->p, NULL), MM_OK);
	mm_buf_done(&text);
}

static void
cut_done(struct cut *c)
{
	mm_sync_free(&c->p);
	json_decref(c->o);
}

static enum mm_err
verify(const struct cut *c, struct mm_sync_heads *out, struct mm_why *why)
{
	struct mm_note_key key;

	EVP_PKEY_free(test_key(name, 1, &key));
	return mm_sync_verify(c->p, &key, out, why);
}

/* ---- tests ---- */

static void
pieces_follow_each_other(void **state)
{
	struct mm_frontier last = { .size = 0 };
	struct mm_buf file;
	uint64_t at = 0;
	unsigned n = 0;

	(void)state;
	export_of(&file, MANY, 0, 1);
	for (; at < MANY; n++) {
		struct mm_sync_heads h;
		struct cut c;

		cut(mm_buf_view(&file), at, &c);
		assert_int_equal(c.p->before.size, at);
		assert_int_equal(c.p->before.n, last.n);
		assert_memory_equal(
		    c.p->before.peak, last.peak, last.n * sizeof(last.peak[0]));
		assert_int_equal(verify(&c, &h, NULL), MM_OK);
		assert_int_equal(h.after.size, c.to);
		assert_int_equal(h.signed_.size, MANY);
		assert_int_equal(c.p->line[1].der.n, at % 2 == 0 ? 3 : 0);
		last = h.after;
		at = c.to;
		cut_done(&c);
	}
	assert_true(n > 1);
	mm_buf_done(&file);
}

/* From everywhere, in trees of all small sizes, the last piece too. */
static void
every_place(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 20; n++) {
		struct mm_buf file;

		export_of(&file, n, 0, 1);
		for (unsigned from = 0; from <= n; from++) {
			struct mm_sync_heads h;
			struct cut c;

			cut(mm_buf_view(&file), from, &c);
			assert_int_equal(verify(&c, &h, NULL), MM_OK);
			assert_int_equal(c.to, n);
			assert_memory_equal(h.signed_.root.b,
			    mm_frontier_root(&h.after).b, MM_HASH_N);
			cut_done(&c);
		}
		mm_buf_done(&file);
	}
}

static void
take_before(struct cut *c, const struct cut *other)
{
	c->p->before = other->p->before;
}

static void
take_note(struct cut *c, const struct cut *other)
{
	c->p->note = other->p->note;
}

static void
take_lines(struct cut *c, const struct cut *other)
{
	memcpy(c->p->line, other->p->line, sizeof(c->p->line));
}

static void
lose_line(struct cut *c, const struct cut *other)
{
	(void)other;
	c->p->n--;
}

static void
swap_lines(struct cut *c, const struct cut *other)
{
	struct mm_sync_line l = c->p->line[0];

	(void)other;
	c->p->line[0] = c->p->line[1];
	c->p->line[1] = l;
}

static void
begin_later(struct cut *c, const struct cut *other)
{
	const struct mm_hash leaf = { .b = { 1 } };

	(void)other;
	while (c->p->before.size < 100)
		mm_frontier_append(&c->p->before, &leaf);
}

static void
lose_proof(struct cut *c, const struct cut *other)
{
	(void)other;
	c->p->seen.n = 0;
}

static void
what_was_not_signed_is_refused(void **state)
{
	static const struct {
		const char *what;
		unsigned tail; /* of the other's entries */
		uint8_t seed;  /* of the other's key */
		void (*change)(struct cut *c, const struct cut *other);
		const char *want;
	} rows[] = {
		{ "another key", 0, 2, take_note, "not signed by the ledger" },
		{ "another history before", 9, 1, take_before,
		    "another history than the 5 entries" },
		{ "another history signed", 9, 1, take_note,
		    "another history than the 5 entries" },
		{ "without its proof", 0, 1, lose_proof,
		    "another history than the 5 entries" },
		{ "other entries", 3, 1, take_lines, "not those that" },
		{ "one is missing", 0, 1, lose_line, "not those that" },
		{ "two are swapped", 0, 1, swap_lines, "not those that" },
		{ "it ends before", 0, 1, begin_later, "it ends at entry 9" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_why why = { 0 };
		struct mm_buf file, other;
		struct mm_sync_heads h;
		struct cut c, o;

		export_of(&file, 9, 0, 1);
		export_of(&other, 9, rows[i].tail, rows[i].seed);
		cut(mm_buf_view(&file), 5, &c);
		cut(mm_buf_view(&other), 5, &o);
		ROW(rows[i].what, verify(&c, &h, NULL) == MM_OK);
		rows[i].change(&c, &o);
		ROW(rows[i].what, verify(&c, &h, &why) == MM_EPOLICY);
		ROW(rows[i].what, strstr(why.text, rows[i].want) != NULL);
		cut_done(&c);
		cut_done(&o);
		mm_buf_done(&file);
		mm_buf_done(&other);
	}
}

/* A file that begins anywhere gives the pieces that the whole one gives. */
static void
begins_anywhere(void **state)
{
	(void)state;
	for (unsigned n = 1; n < 40; n++)
		for (unsigned from = 0; from <= n; from++) {
			struct mm_buf whole, part, a, b;
			struct mm_upload *u = NULL, *v = NULL;
			uint64_t to, end;

			export_of(&whole, n, 0, 1);
			export_from(&part, from, n, 0, 1);
			assert_int_equal(mm_upload_open(mm_buf_view(&whole),
			    &u, NULL), MM_OK);
			assert_int_equal(mm_upload_open(mm_buf_view(&part), &v,
			    NULL), MM_OK);
			assert_int_equal(mm_upload_from(v), from);
			assert_int_equal(mm_upload_size(v), n);
			for (unsigned i = 0; i <= n; i++) {
				mm_buf_init(&a, MM_SYNC_PIECE_MAX);
				mm_buf_init(&b, MM_SYNC_PIECE_MAX);
				mm_upload_since(u, n - (n > i));
				mm_upload_since(v, n - (n > i));
				assert_int_equal(mm_upload_piece(u, i, false,
				    &to, &a, NULL), MM_OK);
				assert_int_equal(mm_upload_piece(v, i, false,
				    &end, &b, NULL), i < from ? MM_EINPUT :
								MM_OK);
				if (i >= from)
					assert_true(mm_bytes_eq(
					    mm_buf_view(&a), mm_buf_view(&b)));
				mm_buf_done(&a);
				mm_buf_done(&b);
			}
			mm_upload_close(&u);
			mm_upload_close(&v);
			mm_buf_done(&whole);
			mm_buf_done(&part);
		}
}

/* "from" is a number, with the tree of that size. */
static void
no_such_head(void **state)
{
	static const char *const heads[] = {
		"{\"v\":1,\"station\":\"l3\"}\n",
		"{\"v\":1,\"station\":\"l3\",\"from\":\"0\"}\n",
		"{\"v\":1,\"station\":\"l3\",\"from\":-1}\n",
		"{\"v\":1.0,\"station\":\"l3\",\"from\":0}\n",
		"{\"v\":1,\"station\":\"l3\",\"from\":2}\n",
		"{\"v\":1,\"station\":\"l3\",\"from\":2,\"frontier\":\"AAAA\"}\n",
	};
	struct mm_upload *u = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		struct mm_frontier tree = { .size = 0 };
		struct mm_buf file = MM_BUF_INIT(FILE_MAX);

		mm_buf_text(&file, heads[i]);
		put_line(&file, "one", 0, &tree);
		put_end(&file, 1, &tree);
		ROW(heads[i], mm_upload_open(mm_buf_view(&file), &u, NULL) ==
		    MM_EINPUT);
		mm_buf_done(&file);
	}
}

static void
half_a_file_is_none(void **state)
{
	struct mm_upload *u = NULL;
	struct mm_buf file;

	(void)state;
	export_of(&file, 5, 0, 1);
	for (size_t n = 0; n < file.n; n++)
		assert_int_equal(
		    mm_upload_open((struct mm_bytes){ file.p, n }, &u, NULL),
		    MM_EINPUT);
	mm_buf_done(&file);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_follow_each_other),
		cmocka_unit_test(every_place),
		cmocka_unit_test(what_was_not_signed_is_refused),
		cmocka_unit_test(half_a_file_is_none),
		cmocka_unit_test(begins_anywhere),
		cmocka_unit_test(no_such_head),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
