#include "ledger/tile.h"

#include <stdio.h>
#include <string.h>

/* Levels of a tree of at most 2^64 leaves; C2SP would allow 63. */
#define LEVEL_MAX (MM_TILE_LEVELS - 1)

/* C2SP tlog-tiles: 1234067 is x001/x234/067. */
static char *
put_index(char *out, uint64_t index)
{
	unsigned group[7], n = 0;

	do {
		group[n++] = (unsigned)(index % 1000);
		index /= 1000;
	} while (index > 0);
	for (; n > 1; n--)
		out += sprintf(out, "x%03u/", group[n - 1]);
	return out + sprintf(out, "%03u", group[0]);
}

/* see tile.h */
void
mm_tile_path(const struct mm_tile_id *id, char out[MM_TILE_PATH_MAX])
{
	char *p = out;

	MM_INVARIANT(id->level <= LEVEL_MAX && id->width >= 1 &&
	    id->width <= MM_TILE_W && !(id->entries && id->level > 0));
	if (id->entries)
		p += sprintf(p, "tile/entries/");
	else
		p += sprintf(p, "tile/%u/", id->level);
	p = put_index(p, id->index);
	if (id->width < MM_TILE_W)
		sprintf(p, ".p/%u", id->width);
}

/* At most three digits; their number is left to the caller's reprint. */
static unsigned
get_number(struct mm_rd *r)
{
	unsigned v = 0;

	for (int i = 0; i < 3 && r->left > 0; i++) {
		if (*r->p < '0' || *r->p > '9')
			break;
		v = v * 10 + (unsigned)(mm_rd_u8(r) - '0');
	}
	return v;
}

static bool
get_index(struct mm_rd *r, uint64_t *index)
{
	uint64_t v = 0;
	bool more;

	do {
		more = mm_rd_skip(r, "x");
		if (__builtin_mul_overflow(v, 1000, &v) ||
		    __builtin_add_overflow(v, get_number(r), &v))
			return false;
	} while (more && mm_rd_skip(r, "/"));
	*index = v;
	return !more;
}

static bool
get_id(struct mm_rd r, struct mm_tile_id *id)
{
	id->width = MM_TILE_W;
	if (!mm_rd_skip(&r, "tile/"))
		return false;
	id->entries = mm_rd_skip(&r, "entries");
	if (!id->entries)
		id->level = get_number(&r);
	if (id->level > LEVEL_MAX || !mm_rd_skip(&r, "/") ||
	    !get_index(&r, &id->index))
		return false;
	if (mm_rd_skip(&r, ".p/"))
		id->width = get_number(&r);
	return mm_rd_end(&r) && id->width >= 1 && id->width <= MM_TILE_W;
}

/*
 * Every other spelling, of leading zeros, empty numbers and missing groups,
 * falls to one rule: it must print back the same.
 */
enum mm_err
mm_tile_parse(struct mm_bytes path, struct mm_tile_id *out,
    struct mm_why *why)
{
	struct mm_tile_id id = { 0 };
	char again[MM_TILE_PATH_MAX];

	if (get_id(mm_rd_over(path), &id)) {
		mm_tile_path(&id, again);
		if (mm_bytes_eq(mm_bytes_of(again), path)) {
			*out = id;
			return MM_OK;
		}
	}
	return MM_FAIL(why, MM_EINPUT, "tile: not a path of C2SP tlog-tiles");
}
