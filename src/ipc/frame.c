#include <string.h>

#include "ipc/msg.h"

/* u8 version, u8 kind, u16 count */
#define HEAD_N  4
#define ANSWER  0x80
#define TEXT_MAX 160

/* see msg.h */
void
mm_frame_begin(struct mm_buf *out, unsigned kind)
{
	mm_buf_reset(out);
	mm_buf_u8(out, MM_IPC_VERSION);
	mm_buf_u8(out, (uint8_t)kind);
	mm_buf_u16(out, 0);
}

/* see msg.h */
unsigned
mm_frame_count(const struct mm_buf *out)
{
	return out->n < HEAD_N ? 0 : (unsigned)(out->p[2] << 8 | out->p[3]);
}

static size_t
item_open(struct mm_buf *out, uint32_t tag)
{
	mm_buf_u32(out, tag);
	mm_buf_u32(out, 0);
	return out->n;
}

/* Fills the length in and counts the item, or takes it back. */
static bool
item_close(struct mm_buf *out, size_t start, size_t body)
{
	size_t len = out->n - body;
	unsigned count = mm_frame_count(out) + 1;

	if (out->err != MM_OK || out->n > MM_IPC_FRAME_MAX ||
	    count > MM_IPC_ITEMS_MAX) {
		out->n = start;
		out->err = MM_OK;
		return false;
	}
	for (unsigned i = 0; i < 4; i++)
		out->p[body - 4 + i] = (uint8_t)(len >> (24 - 8 * i));
	out->p[2] = (uint8_t)(count >> 8);
	out->p[3] = (uint8_t)count;
	return true;
}

/* see msg.h */
bool
mm_frame_put_req(struct mm_buf *out, uint32_t tag, const void *body)
{
	const struct mm_msg *m;
	size_t start = out->n, at;

	if (out->err != MM_OK || start < HEAD_N)
		return false;
	m = mm_ipc_msg(out->p[1]);
	MM_INVARIANT(m != NULL);
	at = item_open(out, tag);
	mm_fields_put(out, m->req, m->nreq, body);
	return item_close(out, start, at);
}

/* see msg.h */
bool
mm_frame_put_rep(struct mm_buf *out, uint32_t tag, enum mm_err rc,
    const char *text, const void *body)
{
	const struct mm_msg *m;
	size_t start = out->n, at;

	if (out->err != MM_OK || start < HEAD_N)
		return false;
	m = mm_ipc_msg(out->p[1] & ~ANSWER);
	MM_INVARIANT(m != NULL);
	out->p[1] |= ANSWER;
	at = item_open(out, tag);
	mm_buf_u8(out, (uint8_t)rc);
	if (rc == MM_OK)
		mm_fields_put(out, m->rep, m->nrep, body);
	else
		mm_buf_block16(out, (struct mm_bytes){ (const uint8_t *)text,
		    text == NULL ? 0 : strnlen(text, TEXT_MAX) });
	return item_close(out, start, at);
}

/* The whole frame is walked here, so that no item is worked on before all of
 * it is known to be well formed. */
enum mm_err
mm_frame_parse(struct mm_bytes in, struct mm_frame *f, struct mm_why *why)
{
	struct mm_rd r = mm_rd_over(in), rest;
	unsigned version = mm_rd_u8(&r), kind = mm_rd_u8(&r);
	unsigned count = mm_rd_u16(&r);

	if (r.bad || version != MM_IPC_VERSION || in.n > MM_IPC_FRAME_MAX)
		return MM_FAIL(why, MM_EINPUT, "ipc: bad frame head");
	if (mm_ipc_msg(kind & ~ANSWER) == NULL)
		return MM_FAIL(why, MM_EINPUT, "ipc: no such kind: %u", kind);
	if (count == 0 || count > MM_IPC_ITEMS_MAX)
		return MM_FAIL(why, MM_EINPUT, "ipc: %u items", count);
	rest = r;
	for (unsigned i = 0; i < count; i++) {
		mm_rd_u32(&r);
		mm_rd_block32(&r);
	}
	if (!mm_rd_end(&r))
		return MM_FAIL(why, MM_EINPUT, "ipc: items and length differ");
	*f = (struct mm_frame){ .kind = (uint8_t)(kind & ~ANSWER),
		.answer = (kind & ANSWER) != 0, .count = count, .rest = rest };
	return MM_OK;
}

/* see msg.h */
bool
mm_frame_next(struct mm_frame *f, uint32_t *tag, struct mm_bytes *body)
{
	if (f->count == 0 || f->rest.bad)
		return false;
	f->count--;
	*tag = mm_rd_u32(&f->rest);
	*body = mm_rd_block32(&f->rest);
	return !f->rest.bad;
}

static enum mm_err
refusal(enum mm_err rc, struct mm_rd *r, struct mm_why *why)
{
	struct mm_bytes text = mm_rd_block16(r);

	if (!mm_rd_end(r) || text.n > TEXT_MAX)
		return MM_FAIL(why, MM_EINPUT, "ipc: malformed refusal");
	return MM_FAIL(why, rc, "%.*s", (int)text.n,
	    text.n == 0 ? "" : (const char *)text.p);
}

/* see msg.h */
enum mm_err
mm_answer_get(unsigned kind, struct mm_bytes body, void *rep,
    struct mm_why *why)
{
	const struct mm_msg *m = mm_ipc_msg(kind);
	struct mm_rd r = mm_rd_over(body);
	unsigned rc = mm_rd_u8(&r);

	if (m == NULL || r.bad)
		return MM_FAIL(why, MM_EINPUT, "ipc: malformed answer");
	if (rc != MM_OK)
		return refusal(mm_err_from_byte(rc), &r, why);
	return mm_fields_get((struct mm_bytes){ r.p, r.left }, m->rep, m->nrep,
	    rep, why);
}
