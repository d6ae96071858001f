#include "../base/rows.h"

#include <stdlib.h>

#include "ledger/tile.h"

#define LEAVES 70000 /* the example of C2SP tlog-tiles */

static void
paths_are_those_of_c2sp(void **state)
{
	static const struct {
		const char *path;
		struct mm_tile_id id;
	} rows[] = {
		{ "tile/0/000", { false, 0, 0, 256 } },
		{ "tile/0/x001/x234/067", { false, 0, 1234067, 256 } },
		{ "tile/0/x001/234", { false, 0, 1234, 256 } },
		{ "tile/1/999", { false, 1, 999, 256 } },
		{ "tile/1/x001/000.p/1", { false, 1, 1000, 1 } },
		{ "tile/7/000.p/255", { false, 7, 0, 255 } },
		{ "tile/entries/x001/234.p/17", { true, 0, 1234, 17 } },
		{ "tile/entries/000", { true, 0, 0, 256 } },
		{ "tile/0/x018/x446/x744/x073/x709/x551/615",
		    { false, 0, UINT64_MAX, 256 } },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		char path[MM_TILE_PATH_MAX];
		struct mm_tile_id id;
		mm_tile_path(&rows[i].id, path);
		ROW(rows[i].path, strcmp(path, rows[i].path) == 0);
		ROW(rows[i].path, mm_tile_parse(mm_bytes_of(rows[i].path), &id,
		    NULL) == MM_OK);
		ROW(rows[i].path, id.entries == rows[i].id.entries &&
		    id.level == rows[i].id.level &&
		    id.index == rows[i].id.index &&
		    id.width == rows[i].id.width);
	}
}

static void
other_paths_are_refused(void **state)
{
	static const char *const rows[] = { "", "tile", "tile/", "tile/0",
		"tile/0/", "tile/0/0", "tile/0/00", "tile/0/0000",
		"tile/00/000", "tile/8/000", "tile/64/000", "tile/-1/000",
		"tile/0/x000/000", "tile/0/x000/x001/000", "tile/0/001/000",
		"tile/0/x001", "tile/0/x1/000", "tile/0/000.p/0",
		"tile/0/000.p/256", "tile/0/000.p/01", "tile/0/000.p/",
		"tile/0/000.p", "tile/0/000.p/1/", "tile/0/000/",
		"/tile/0/000", "tile//000", "tile/0//000", "tile/0/../000",
		"tile/0/ 00", "tile/entries/0/000", "tile/entries",
		"tile/entries000", "tile/entry/000", "tile/0/x001/ab4",
		"tile/0/x018/x446/x744/x073/x709/x551/616",
		"tile/0/x999/x999/x999/x999/x999/x999/x999/999",
		"tile/0/000.p/1000", "TILE/0/000", "tile/0/000 " };

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_tile_id id;
		ROW(rows[i], mm_tile_parse(mm_bytes_of(rows[i]), &id, NULL) ==
		    MM_EINPUT);
	}
}

/* C2SP tlog-tiles, Partial Tiles: the tree of 70,000, and of 256. */
static void
a_tree_has_its_tiles(void **state)
{
	static const struct {
		const char *path;
		uint64_t size;
		bool want;
	} rows[] = {
		{ "tile/0/000", 0, false },
		{ "tile/0/000.p/1", 0, false },
		{ "tile/0/000.p/1", 1, true },
		{ "tile/0/272", LEAVES, true },
		{ "tile/0/273", LEAVES, false },
		{ "tile/0/273.p/112", LEAVES, true },
		{ "tile/0/273.p/111", LEAVES, true },
		{ "tile/0/273.p/113", LEAVES, false },
		{ "tile/0/274.p/1", LEAVES, false },
		{ "tile/entries/273.p/112", LEAVES, true },
		{ "tile/entries/273", LEAVES, false },
		{ "tile/1/000", LEAVES, true },
		{ "tile/1/001.p/17", LEAVES, true },
		{ "tile/1/001.p/18", LEAVES, false },
		{ "tile/2/000.p/1", LEAVES, true },
		{ "tile/2/000.p/2", LEAVES, false },
		{ "tile/3/000.p/1", LEAVES, false },
		{ "tile/0/000", 256, true },
		{ "tile/1/000.p/1", 256, true },
		{ "tile/0/001.p/1", 256, false },
		{ "tile/0/x018/x446/x744/x073/x709/x551/615", UINT64_MAX,
		    false },
		{ "tile/7/000.p/255", UINT64_MAX, true },
		{ "tile/7/000", UINT64_MAX, false },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_tile_id id;
		ROW(rows[i].path, mm_tile_parse(mm_bytes_of(rows[i].path), &id,
		    NULL) == MM_OK);
		ROW(rows[i].path,
		    mm_tile_exists(&id, rows[i].size) == rows[i].want);
	}
}

/* Three levels of tiles as a writer stores them. */
struct shelf {
	struct mm_hash level[3][LEAVES];
	size_t full[3]; /* hashes in full tiles, told by the edge */
	struct mm_tile_edge edge;
	struct mm_frontier frontier;
	unsigned gets;
};

static enum mm_err
put_full(void *ctx, unsigned level, uint64_t index,
    const struct mm_hash hashes[MM_TILE_W], struct mm_why *why)
{
	struct shelf *s = ctx;

	(void)why;
	assert_true(level < 3);
	assert_int_equal(s->full[level], index * MM_TILE_W);
	memcpy(s->level[level] + s->full[level], hashes,
	    MM_TILE_W * sizeof(hashes[0]));
	s->full[level] += MM_TILE_W;
	return MM_OK;
}

static enum mm_err
get_tile(void *ctx, const struct mm_tile_id *id, struct mm_bytes *out,
    struct mm_why *why)
{
	struct shelf *s = ctx;
	const struct mm_hash *at;

	(void)why;
	assert_true(id->level < 3);
	at = s->level[id->level] + id->index * MM_TILE_W;
	if (id->width < MM_TILE_W && id->index * MM_TILE_W ==
	    s->full[id->level])
		at = s->edge.hash[id->level];
	*out = (struct mm_bytes){ at->b, id->width * sizeof(*at) };
	s->gets++;
	return MM_OK;
}

static struct mm_hash
leaf(uint32_t i)
{
	const uint8_t b[4] = { (uint8_t)(i >> 24), (uint8_t)(i >> 16),
		(uint8_t)(i >> 8), (uint8_t)i };

	return mm_tree_leaf((struct mm_bytes){ b, sizeof(b) });
}

static int
fill_shelf(void **state)
{
	struct shelf *s = calloc(1, sizeof(*s));

	for (uint32_t i = 0; i < LEAVES; i++) {
		struct mm_hash h = leaf(i);
		if (mm_tile_edge_append(&s->edge, &h, put_full, s, NULL) !=
		    MM_OK)
			return -1;
		mm_frontier_append(&s->frontier, &h);
	}
	*state = s;
	return 0;
}

static int
drop_shelf(void **state)
{
	free(*state);
	return 0;
}

static void
an_edge_has_the_widths_of_c2sp(void **state)
{
	const struct shelf *s = *state;

	assert_int_equal(s->edge.size, LEAVES);
	assert_int_equal(s->full[0], 273 * 256);
	assert_int_equal(s->full[1], 256);
	assert_int_equal(s->full[2], 0);
	assert_int_equal(s->edge.n[0], 112);
	assert_int_equal(s->edge.n[1], 17);
	assert_int_equal(s->edge.n[2], 1);
	assert_int_equal(s->edge.n[3], 0);
}

static enum mm_err
let_go(void *ctx, unsigned level, uint64_t index,
    const struct mm_hash hashes[MM_TILE_W], struct mm_why *why)
{
	(void)ctx;
	(void)level;
	(void)index;
	(void)hashes;
	(void)why;
	return MM_OK;
}

static void
an_edge_knows_its_root(void **state)
{
	struct mm_tile_edge *e = calloc(1, sizeof(*e));
	struct mm_frontier f = { 0 };
	struct mm_hash got = mm_tile_edge_root(e), want = mm_tree_empty();

	(void)state;
	assert_memory_equal(got.b, want.b, MM_HASH_N);
	for (uint32_t i = 0; i < LEAVES; i++) {
		struct mm_hash h = leaf(i);

		assert_int_equal(mm_tile_edge_append(e, &h, let_go, NULL,
		    NULL), MM_OK);
		mm_frontier_append(&f, &h);
		if (i > 600 && i % 997 != 0 && i % 256 < 254)
			continue;
		got = mm_tile_edge_root(e);
		want = mm_frontier_root(&f);
		assert_memory_equal(got.b, want.b, MM_HASH_N);
	}
	free(e);
}

static void
tiles_give_the_root(void **state)
{
	struct mm_tile_reader r = { get_tile, *state, LEAVES };
	struct mm_hash root, want =
	    mm_frontier_root(&((struct shelf *)*state)->frontier);

	assert_int_equal(mm_tree_root_at(mm_tile_read, &r, LEAVES, &root,
	    NULL), MM_OK);
	assert_memory_equal(root.b, want.b, MM_HASH_N);
}

static void
tiles_give_every_proof(void **state)
{
	struct shelf *s = *state;
	struct mm_tile_reader r = { get_tile, s, LEAVES };
	struct mm_hash root = mm_frontier_root(&s->frontier);
	struct mm_frontier old = { 0 };

	for (uint32_t i = 0; i < LEAVES; i++) {
		struct mm_hash h = leaf(i), was;
		struct mm_proof p;
		mm_frontier_append(&old, &h);
		if (i % 997 != 0 && i % 256 > 1 && i < LEAVES - 2)
			continue;
		was = mm_frontier_root(&old);
		assert_int_equal(mm_proof_inclusion(mm_tile_read, &r, i,
		    LEAVES, &p, NULL), MM_OK);
		assert_int_equal(mm_proof_verify_inclusion(&p, i, LEAVES, &h,
		    &root, NULL), MM_OK);
		assert_int_equal(mm_proof_consistency(mm_tile_read, &r, i + 1,
		    LEAVES, &p, NULL), MM_OK);
		assert_int_equal(mm_proof_verify_consistency(&p, i + 1, &was,
		    LEAVES, &root, NULL), MM_OK);
	}
}

static void
an_edge_restores_from_its_tiles(void **state)
{
	struct shelf *s = *state;
	struct mm_tile_reader r = { get_tile, s, LEAVES };
	struct mm_tile_edge *e = calloc(1, sizeof(*e));

	assert_int_equal(mm_tile_edge_restore(e, &r, NULL), MM_OK);
	assert_int_equal(e->size, LEAVES);
	assert_memory_equal(e->n, s->edge.n, sizeof(e->n));
	for (unsigned l = 0; l < 3; l++)
		assert_memory_equal(e->hash[l], s->edge.hash[l],
		    e->n[l] * sizeof(e->hash[l][0]));
	free(e);
}

static enum mm_err
get_short(void *ctx, const struct mm_tile_id *id, struct mm_bytes *out,
    struct mm_why *why)
{
	MM_TRY(get_tile(ctx, id, out, why));
	out->n--;
	return MM_OK;
}

static void
what_is_not_there_is_not_read(void **state)
{
	struct mm_tile_reader r = { get_tile, *state, LEAVES };
	struct mm_hash h;
	struct mm_why why = { 0 };

	assert_int_equal(mm_tile_read(&r, 0, LEAVES, &h, NULL), MM_ENOTFOUND);
	assert_int_equal(mm_tile_read(&r, 17, 0, &h, NULL), MM_ENOTFOUND);
	assert_int_equal(mm_tile_read(&r, 64, 0, &h, NULL), MM_ENOTFOUND);
	assert_int_equal(mm_tile_read(&r, 3, LEAVES / 8, &h, NULL),
	    MM_ENOTFOUND);
	r.get = get_short;
	assert_int_equal(mm_tile_read(&r, 0, 0, &h, &why), MM_EINPUT);
	assert_non_null(strstr(why.text, "tile/0/000"));
}

static enum mm_err
refuse_once(void *ctx, unsigned level, uint64_t index,
    const struct mm_hash hashes[MM_TILE_W], struct mm_why *why)
{
	bool *refused = ctx;

	(void)level;
	(void)index;
	(void)hashes;
	if (*refused)
		return MM_OK;
	*refused = true;
	return MM_FAIL(why, MM_ESYS, "disk full");
}

static void
a_refused_append_can_be_repeated(void **state)
{
	struct mm_tile_edge *e = calloc(1, sizeof(*e));
	bool refused = false;

	(void)state;
	for (uint32_t i = 0; i < 256; i++) {
		struct mm_hash h = leaf(i);
		enum mm_err err = mm_tile_edge_append(e, &h, refuse_once,
		    &refused, NULL);
		assert_int_equal(err, i < 255 ? MM_OK : MM_ESYS);
		if (err == MM_OK)
			continue;
		assert_int_equal(e->size, 255);
		assert_int_equal(e->n[0], 255);
		assert_int_equal(mm_tile_edge_append(e, &h, refuse_once,
		    &refused, NULL), MM_OK);
	}
	assert_int_equal(e->size, 256);
	assert_int_equal(e->n[0], 0);
	assert_int_equal(e->n[1], 1);
	free(e);
}

static void
bundles_read_back(void **state)
{
	struct mm_buf b = MM_BUF_INIT(100);
	struct mm_bytes entry = { 0 };
	struct mm_rd r;

	(void)state;
	mm_bundle_put(&b, mm_bytes_of("one"));
	mm_bundle_put(&b, mm_bytes_of(""));
	mm_bundle_put(&b, mm_bytes_of("two"));
	r = mm_rd_over(mm_buf_view(&b));
	assert_true(mm_bundle_next(&r, &entry));
	assert_true(mm_bytes_eq(entry, mm_bytes_of("one")));
	assert_true(mm_bundle_next(&r, &entry));
	assert_int_equal(entry.n, 0);
	assert_true(mm_bundle_next(&r, &entry));
	assert_false(mm_bundle_next(&r, &entry));
	assert_true(mm_rd_end(&r));
	r = mm_rd_over((struct mm_bytes){ b.p, b.n - 1 });
	assert_true(mm_bundle_next(&r, &entry));
	assert_true(mm_bundle_next(&r, &entry));
	assert_false(mm_bundle_next(&r, &entry));
	assert_true(r.bad);
	mm_buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest paths[] = {
		cmocka_unit_test(paths_are_those_of_c2sp),
		cmocka_unit_test(other_paths_are_refused),
		cmocka_unit_test(a_tree_has_its_tiles),
		cmocka_unit_test(an_edge_knows_its_root),
		cmocka_unit_test(a_refused_append_can_be_repeated),
		cmocka_unit_test(bundles_read_back),
	};
	const struct CMUnitTest tree[] = {
		cmocka_unit_test(an_edge_has_the_widths_of_c2sp),
		cmocka_unit_test(tiles_give_the_root),
		cmocka_unit_test(tiles_give_every_proof),
		cmocka_unit_test(an_edge_restores_from_its_tiles),
		cmocka_unit_test(what_is_not_there_is_not_read),
	};

	return cmocka_run_group_tests(paths, NULL, NULL) +
	    cmocka_run_group_tests(tree, fill_shelf, drop_shelf);
}
