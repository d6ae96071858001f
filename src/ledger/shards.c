#include "ledger/shards.h"

static const char whole_text[] = "complete";
#define SHARD_MAX 65535

static size_t
range_end(const uint16_t *shard, size_t n, size_t i)
{
	while (i + 1 < n && shard[i + 1] == shard[i] + 1)
		i++;
	return i;
}

/* see shards.h */
void
mm_shards_put(struct mm_buf *out, bool whole, const uint16_t *shard, size_t n)
{
	const char *comma = "";

	if (whole) {
		mm_buf_text(out, whole_text);
		comma = ",";
	}
	for (size_t i = 0; i < n; i++) {
		size_t end = range_end(shard, n, i);

		mm_buf_printf(out, "%s%u", comma, shard[i]);
		if (end > i)
			mm_buf_printf(out, "-%u", shard[end]);
		comma = ",";
		i = end;
	}
}

/* see shards.h */
size_t
mm_shards_fit(const uint16_t *shard, size_t n)
{
	size_t ranges = 0, i = 0;

	while (i < n && ranges < MM_SHARDS_RANGES) {
		i = range_end(shard, n, i) + 1;
		ranges++;
	}
	return i;
}

/* Digits without a leading zero. */
static bool
take_number(struct mm_rd *r, uint32_t *out)
{
	const uint8_t *first = r->p;
	size_t n = 0;

	*out = 0;
	while (n < 5 && r->left > 0 && *r->p >= '0' && *r->p <= '9') {
		*out = *out * 10 + (uint32_t)(mm_rd_u8(r) - '0');
		n++;
	}
	return n > 0 && (n == 1 || *first != '0') && *out <= SHARD_MAX;
}

/* least: what it must not be below. */
static bool
take_range(struct mm_rd *r, uint32_t least, struct mm_shard_range *out)
{
	if (!take_number(r, &out->from) || out->from < least)
		return false;
	out->to = out->from;
	return !mm_rd_skip(r, "-") ||
	    (take_number(r, &out->to) && out->to > out->from);
}

/* see shards.h; two ranges that touch are one, so a text has one form */
enum mm_err
mm_shards_parse(struct mm_bytes text,
    struct mm_shard_range out[MM_SHARDS_RANGES + 1], size_t *n)
{
	struct mm_rd r = mm_rd_over(text);
	uint32_t least = 0;
	bool more = true;

	*n = 0;
	if (mm_rd_skip(&r, whole_text)) {
		out[(*n)++] = (struct mm_shard_range){ MM_SHARDS_WHOLE,
			MM_SHARDS_WHOLE };
		more = mm_rd_skip(&r, ",");
	}
	for (unsigned i = 0; more && i < MM_SHARDS_RANGES; i++) {
		if (!take_range(&r, least, &out[*n]))
			return MM_EINPUT;
		least = out[(*n)++].to + 2;
		more = mm_rd_skip(&r, ",");
	}
	return !more && mm_rd_end(&r) ? MM_OK : MM_EINPUT;
}
