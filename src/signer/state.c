#include "signer/state.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/settings.h"
#include "pki/key.h"

#define MAGIC   "mmstate1"
#define MAGIC_N 8
#define FILE_MAX (1024 * 1024)

static void
put_rows(struct mm_buf *b, const struct mm_state_row *rows, size_t n)
{
	mm_buf_u16(b, (uint16_t)n);
	for (size_t i = 0; i < n; i++) {
		mm_buf_block16(b, mm_bytes_of(rows[i].name));
		mm_buf_u64(b, (uint64_t)rows[i].day);
		mm_buf_u64(b, rows[i].count);
	}
}

/* see state.h */
enum mm_err
mm_state_encode(const struct mm_state *s, struct mm_buf *out,
    struct mm_why *why)
{
	struct mm_buf peaks = MM_BUF_INIT(4096);
	uint8_t sum[32];
	size_t start = out->n;

	mm_buf_put(out, MAGIC, MAGIC_N);
	mm_frontier_encode(&s->frontier, &peaks);
	mm_buf_block16(out, mm_buf_view(&peaks));
	mm_buf_done(&peaks);
	mm_buf_u64(out, s->settled_at);
	mm_buf_u64(out, s->settled.n);
	mm_buf_u64(out, (uint64_t)s->settled.at_ms);
	mm_buf_put(out, s->settled.hash, sizeof(s->settled.hash));
	mm_buf_u64(out, s->journal_at);
	put_rows(out, s->crl, s->ncrl);
	put_rows(out, s->day, s->nday);
	mm_buf_u16(out, (uint16_t)s->nserial);
	mm_buf_put(out, s->serial, s->nserial * sizeof(s->serial[0]));
	MM_TRY(mm_buf_ok(out, why));
	mm_sha256((struct mm_bytes){ out->p + start, out->n - start }, sum);
	mm_buf_put(out, sum, sizeof(sum));
	return mm_buf_ok(out, why);
}

static void
take(struct mm_rd *r, void *out, size_t n)
{
	struct mm_bytes b = mm_rd_take(r, n);

	if (b.n > 0)
		memcpy(out, b.p, b.n);
}

static void
take_rows(struct mm_rd *r, struct mm_state_row *rows, size_t *n)
{
	size_t count = mm_rd_u16(r);

	if (count > MM_STATE_ROWS)
		r->bad = true;
	for (*n = 0; !r->bad && *n < count; (*n)++) {
		struct mm_bytes name = mm_rd_block16(r);
		rows[*n].day = (int64_t)mm_rd_u64(r);
		rows[*n].count = mm_rd_u64(r);
		if (!mm_text_copy(rows[*n].name, sizeof(rows[*n].name), name))
			r->bad = true;
	}
}

/* The checksum catches a damaged disk; whoever may write here is trusted. */
static bool
whole(struct mm_bytes *b)
{
	uint8_t sum[32];

	if (b->n < MAGIC_N + sizeof(sum) || memcmp(b->p, MAGIC, MAGIC_N) != 0)
		return false;
	b->n -= sizeof(sum);
	mm_sha256(*b, sum);
	return memcmp(b->p + b->n, sum, sizeof(sum)) == 0;
}

/* see state.h */
enum mm_err
mm_state_parse(struct mm_bytes b, struct mm_state *out, struct mm_why *why)
{
	struct mm_rd r;

	if (!whole(&b))
		return MM_FAIL(why, MM_EINPUT, "state: not whole");
	r = mm_rd_over(b);
	(void)mm_rd_take(&r, MAGIC_N);
	memset(out, 0, sizeof(*out));
	MM_TRY(mm_frontier_parse(mm_rd_block16(&r), &out->frontier, why));
	out->settled_at = mm_rd_u64(&r);
	out->settled.n = mm_rd_u64(&r);
	out->settled.at_ms = (int64_t)mm_rd_u64(&r);
	take(&r, out->settled.hash, sizeof(out->settled.hash));
	out->journal_at = mm_rd_u64(&r);
	take_rows(&r, out->crl, &out->ncrl);
	take_rows(&r, out->day, &out->nday);
	out->nserial = mm_rd_u16(&r);
	if (out->nserial > MM_OUTSET_MAX)
		r.bad = true;
	else
		take(&r, out->serial, out->nserial * sizeof(out->serial[0]));
	if (!mm_rd_end(&r))
		return MM_FAIL(why, MM_EINPUT, "state: malformed");
	return MM_OK;
}

/* see state.h */
enum mm_err
mm_state_read(const char *dir, struct mm_state *out, struct mm_why *why)
{
	struct mm_buf b = MM_BUF_INIT(FILE_MAX);
	char path[MM_PATH_MAX];
	enum mm_err err;

	MM_TRY(mm_path_join(path, sizeof(path), dir, "state", why));
	err = mm_file_read(path, &b, why);
	if (err == MM_OK)
		err = mm_state_parse(mm_buf_view(&b), out, why);
	mm_buf_done(&b);
	return err;
}

/* see state.h */
enum mm_err
mm_state_write(const char *dir, const struct mm_state *s, struct mm_why *why)
{
	struct mm_buf b = MM_BUF_INIT(FILE_MAX);
	char path[MM_PATH_MAX];
	enum mm_err err;

	MM_TRY(mm_path_join(path, sizeof(path), dir, "state", why));
	err = mm_state_encode(s, &b, why);
	if (err == MM_OK)
		err = mm_file_replace(path, mm_buf_view(&b), 0600, why);
	mm_buf_done(&b);
	return err;
}

/* see state.h */
struct mm_state_row *
mm_state_row(struct mm_state_row *rows, size_t *n, const char *name)
{
	for (size_t i = 0; i < *n; i++)
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	if (*n == MM_STATE_ROWS)
		return NULL;
	rows[*n] = (struct mm_state_row){ 0 };
	snprintf(rows[*n].name, sizeof(rows[*n].name), "%s", name);
	return &rows[(*n)++];
}
