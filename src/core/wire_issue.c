#include <poll.h>

#include "core/wire.h"

/*
 * The issue lines.  A tag is a slot and the slot's generation, so that an
 * answer to a request that was given up finds nobody.
 */
#define SEND_MS 5 /* between looks whether the line still lives */

/* ---- D: sending ---- */

static bool
alive(struct mm_wire *w, unsigned line)
{
	bool up;

	pthread_mutex_lock(&w->lock);
	up = w->issue[line].up;
	pthread_mutex_unlock(&w->lock);
	return up;
}

/* A frame that cannot be sent is not lost on anybody: its flights stand in
 * the slots, and whoever takes the line down answers them. */
void
mm_wire_flush(struct mm_wire *w)
{
	unsigned line = w->turn;
	struct pollfd p = { .fd = w->issue[line].fd, .events = POLLOUT };

	if (w->kind == 0)
		return;
	while (alive(w, line) && mm_ipc_send(p.fd, mm_buf_view(&w->out),
	    NULL) == MM_EAGAIN)
		poll(&p, 1, SEND_MS);
	w->kind = 0;
	for (unsigned i = 0; i < MM_WIRE_LINES; i++) {
		w->turn = (w->turn + 1) % MM_WIRE_LINES;
		if (alive(w, w->turn))
			return;
	}
}

static bool
take_slot(struct mm_wire *w, struct mm_flight *f, uint32_t *tag)
{
	bool ok;

	pthread_mutex_lock(&w->lock);
	ok = w->nfree > 0 && w->issue[w->turn].up;
	if (ok) {
		uint32_t i = w->free[--w->nfree];
		w->slot[i].flight = f;
		w->slot[i].sent_ms = mm_mono_ms();
		f->line = w->turn;
		*tag = (uint32_t)w->slot[i].generation << MM_WIRE_SLOT_BITS | i;
	}
	pthread_mutex_unlock(&w->lock);
	return ok;
}

static struct mm_flight *
drop_slot(struct mm_wire *w, uint32_t i)
{
	struct mm_flight *f = w->slot[i].flight;

	w->slot[i].flight = NULL;
	w->slot[i].generation++;
	w->free[w->nfree++] = i;
	return f;
}

/* Whose it is, once; NULL: nobody's any more. */
static struct mm_flight *
claim_slot(struct mm_wire *w, uint32_t tag)
{
	uint32_t i = tag & ((1U << MM_WIRE_SLOT_BITS) - 1);
	struct mm_flight *f = NULL;

	pthread_mutex_lock(&w->lock);
	if (i < w->nslot && w->slot[i].flight != NULL &&
	    w->slot[i].generation == tag >> MM_WIRE_SLOT_BITS)
		f = drop_slot(w, i);
	pthread_mutex_unlock(&w->lock);
	return f;
}

static void
begin(struct mm_wire *w, unsigned kind)
{
	if (w->kind == kind)
		return;
	mm_wire_flush(w);
	mm_frame_begin(&w->out, kind);
	w->kind = kind;
}

/* see priv.h */
bool
mm_wire_put(struct mm_wire *w, unsigned kind, struct mm_flight *f,
    const void *req)
{
	uint32_t tag;

	begin(w, kind);
	if (!take_slot(w, f, &tag))
		return false;
	if (mm_frame_put_req(&w->out, tag, req))
		return true;
	/* Full: the next frame may go over the other line. */
	if (claim_slot(w, tag) == NULL)
		return true;
	mm_wire_flush(w);
	begin(w, kind);
	if (!take_slot(w, f, &tag))
		return false;
	return mm_frame_put_req(&w->out, tag, req) ||
	    claim_slot(w, tag) == NULL;
}

/* ---- W: reading ---- */

/* see priv.h */
void
mm_wire_fds(struct mm_wire *w, int fd[MM_WIRE_LINES])
{
	pthread_mutex_lock(&w->lock);
	for (unsigned i = 0; i < MM_WIRE_LINES; i++)
		fd[i] = w->issue[i].up ? w->issue[i].fd : -1;
	pthread_mutex_unlock(&w->lock);
}

static enum mm_err
read_frame(struct mm_wire *w, struct mm_core *c, mm_answer_fn *fn)
{
	struct mm_frame frame;
	struct mm_bytes body;
	struct mm_flight *f;
	uint32_t tag;

	MM_TRY(mm_frame_parse(mm_buf_view(&w->in), &frame, NULL));
	while (mm_frame_next(&frame, &tag, &body))
		if ((f = claim_slot(w, tag)) != NULL)
			fn(c, f, frame.kind, body);
	return MM_OK;
}

#define FRAMES_MAX 8 /* a round's: then the round is committed */

/* see priv.h */
enum mm_err
mm_wire_read(struct mm_wire *w, unsigned line, struct mm_core *c,
    mm_answer_fn *fn)
{
	for (unsigned i = 0; i < FRAMES_MAX; i++) {
		enum mm_err rc = mm_ipc_recv(w->issue[line].fd, &w->in, NULL);
		if (rc == MM_EAGAIN)
			return MM_OK;
		if (rc != MM_OK || read_frame(w, c, fn) != MM_OK)
			return MM_ENOTFOUND;
	}
	return MM_OK;
}

/* see priv.h */
void
mm_wire_down(struct mm_wire *w, unsigned line)
{
	pthread_mutex_lock(&w->lock);
	w->issue[line].up = false;
	pthread_mutex_unlock(&w->lock);
	mm_wire_set_up(w, false);
}

/* see priv.h */
struct mm_flight *
mm_wire_late(struct mm_wire *w, int64_t ms)
{
	int64_t before = mm_mono_ms() - ms;
	struct mm_flight *f = NULL;

	pthread_mutex_lock(&w->lock);
	for (uint32_t i = 0; i < w->nslot && w->nfree < w->nslot; i++)
		if (w->slot[i].flight != NULL && w->slot[i].sent_ms < before) {
			f = drop_slot(w, i);
			break;
		}
	pthread_mutex_unlock(&w->lock);
	return f;
}

/* see priv.h */
struct mm_flight *
mm_wire_orphaned(struct mm_wire *w, unsigned line)
{
	struct mm_flight *f = NULL;

	pthread_mutex_lock(&w->lock);
	for (uint32_t i = 0; i < w->nslot && f == NULL; i++)
		if (w->slot[i].flight != NULL &&
		    w->slot[i].flight->line == line)
			f = drop_slot(w, i);
	pthread_mutex_unlock(&w->lock);
	return f;
}
