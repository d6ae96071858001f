#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/priv.h"

/*
 * The way to the signer.  D sends frames of up to 64 requests, over the issue
 * lines in turn; W reads the answers; the tag of an item says whose it is.
 *
 * A tag is a slot and the slot's generation, so that an answer to a request
 * that was given up finds nobody.  The descriptors' numbers never change: a
 * restarted signer's are put in their place with dup2, so nobody can hold a
 * stale one.
 */
#define PSK_MAX    MM_LINKS_MAX
#define SEND_MS    5    /* between looks whether the line still lives */
#define CALL_MS    5000
#define SLOT_BITS  16

struct slot {
	struct mm_flight *flight;
	uint16_t generation;
	int64_t sent_ms; /* monotonic */
};
struct mm_wire {
	pthread_mutex_t lock; /* slots, free list, up */
	struct slot *slot;
	uint32_t *free;
	uint32_t nslot, nfree;
	struct {
		int fd;
		bool up;
	} issue[MM_WIRE_LINES];
	atomic_bool up;
	unsigned turn;            /* D's */
	unsigned kind;            /* of D's frame; 0: there is none */
	struct mm_buf out, in;    /* D's, W's */
	struct {
		pthread_mutex_t lock;
		int fd;
	} line[MM_LINES];
	_Atomic uint32_t tags;
	int psk[PSK_MAX];
	unsigned npsk;
};

static enum mm_err
wire_init(struct mm_wire *w, unsigned most, struct mm_why *why)
{
	w->nslot = most;
	w->slot = calloc(most, sizeof(*w->slot));
	w->free = calloc(most, sizeof(*w->free));
	if (w->slot == NULL || w->free == NULL)
		return MM_FAIL(why, MM_ENOMEM, "signer: no memory");
	for (uint32_t i = 0; i < most; i++)
		w->free[w->nfree++] = most - 1 - i;
	pthread_mutex_init(&w->lock, NULL);
	for (unsigned i = 0; i < MM_LINES; i++) {
		pthread_mutex_init(&w->line[i].lock, NULL);
		w->line[i].fd = -1;
	}
	for (unsigned i = 0; i < MM_WIRE_LINES; i++)
		w->issue[i].fd = -1;
	mm_buf_init(&w->out, MM_IPC_FRAME_MAX);
	mm_buf_init(&w->in, MM_IPC_FRAME_MAX);
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_wire_new(unsigned most, struct mm_wire **out, struct mm_why *why)
{
	MM_OWN(mm_wire_free) struct mm_wire *w = NULL;

	if (most == 0 || most >= 1U << SLOT_BITS)
		return MM_FAIL(why, MM_EINPUT, "signer: %u jobs", most);
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return MM_FAIL(why, MM_ENOMEM, "signer: no memory");
	MM_TRY(wire_init(w, most, why));
	*out = MM_MOVE(w);
	return MM_OK;
}

static void
shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* see priv.h */
void
mm_wire_free(struct mm_wire **owner)
{
	struct mm_wire *w = *owner;

	if (w == NULL)
		return;
	for (unsigned i = 0; i < MM_WIRE_LINES; i++)
		shut(&w->issue[i].fd);
	for (unsigned i = 0; i < MM_LINES; i++)
		shut(&w->line[i].fd);
	for (unsigned i = 0; i < w->npsk; i++)
		shut(&w->psk[i]);
	mm_buf_done(&w->out);
	mm_buf_done(&w->in);
	free(w->slot);
	free(w->free);
	free(w);
	*owner = NULL;
}

/* ---- installing ---- */

static const struct { uint8_t role; enum mm_line line; } lines[] = {
	{ MM_LINK_CHECK, MM_LINE_CHECK },
	{ MM_LINK_LEDGER, MM_LINE_LEDGER },
	{ MM_LINK_OPS, MM_LINE_OPS },
};

/* Where the n-th link of a role belongs; NULL: too many of it. */
static int *
place_of(struct mm_wire *w, uint8_t role, unsigned n)
{
	if (role == MM_LINK_ISSUE)
		return n < MM_WIRE_LINES ? &w->issue[n].fd : NULL;
	if (role == MM_LINK_PSK) {
		if (n >= PSK_MAX)
			return NULL;
		if (n >= w->npsk) {
			w->psk[n] = -1;
			w->npsk = n + 1;
		}
		return &w->psk[n];
	}
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (lines[i].role == role && n == 0)
			return &w->line[lines[i].line].fd;
	return NULL;
}

/* The number stays, what it stands for is exchanged. */
static void
put_fd(int *place, int take_fd)
{
	if (*place < 0) {
		*place = take_fd;
		return;
	}
	MM_INVARIANT(dup3(take_fd, *place, O_CLOEXEC) >= 0);
	close(take_fd);
}

/* see priv.h */
enum mm_err
mm_wire_install(struct mm_wire *w, const struct mm_links *links,
    struct mm_why *why)
{
	unsigned seen[256] = { 0 };

	for (unsigned i = 0; i < links->n; i++) {
		uint8_t role = links->link[i].role;
		int *place = place_of(w, role, seen[role]++);
		if (place == NULL)
			close(links->link[i].fd);
		else
			put_fd(place, links->link[i].fd);
	}
	pthread_mutex_lock(&w->lock);
	for (unsigned i = 0; i < MM_WIRE_LINES; i++)
		w->issue[i].up = i < seen[MM_LINK_ISSUE];
	pthread_mutex_unlock(&w->lock);
	if (seen[MM_LINK_ISSUE] == 0 || seen[MM_LINK_LEDGER] == 0 ||
	    seen[MM_LINK_OPS] == 0 || seen[MM_LINK_CHECK] == 0)
		return MM_FAIL(why, MM_EINPUT, "signer: a link is missing");
	return MM_OK;
}

/* see priv.h */
bool
mm_wire_up(struct mm_wire *w)
{
	return atomic_load(&w->up);
}

/* see priv.h */
unsigned
mm_wire_waiting(struct mm_wire *w)
{
	unsigned n;

	pthread_mutex_lock(&w->lock);
	n = w->nslot - w->nfree;
	pthread_mutex_unlock(&w->lock);
	return n;
}

/* see priv.h */
void
mm_wire_set_up(struct mm_wire *w, bool up)
{
	atomic_store(&w->up, up);
}

/* see priv.h */
int
mm_wire_psk(struct mm_wire *w, unsigned loop)
{
	return mm_wire_up(w) && loop < w->npsk ? w->psk[loop] : -1;
}

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
		*tag = (uint32_t)w->slot[i].generation << SLOT_BITS | i;
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
	uint32_t i = tag & ((1U << SLOT_BITS) - 1);
	struct mm_flight *f = NULL;

	pthread_mutex_lock(&w->lock);
	if (i < w->nslot && w->slot[i].flight != NULL &&
	    w->slot[i].generation == tag >> SLOT_BITS)
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

/* ---- asking and waiting ---- */

/* see priv.h */
void
mm_wire_lock(struct mm_wire *w, enum mm_line line)
{
	pthread_mutex_lock(&w->line[line].lock);
}

/* see priv.h */
void
mm_wire_unlock(struct mm_wire *w, enum mm_line line)
{
	pthread_mutex_unlock(&w->line[line].lock);
}

/* Codes that can only mean the line, not the signer's own answer. */
static enum mm_err
away(int fd, struct mm_why *why)
{
	if (why != NULL)
		memset(why, 0, sizeof(*why));
	return MM_FAIL(why, MM_EAGAIN, "signer: %s",
	    fd < 0 ? "not connected" : "away");
}

static bool
gone(int fd)
{
	struct pollfd p = { .fd = fd };

	return fd < 0 || (poll(&p, 1, 0) > 0 &&
	    (p.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0);
}

/* see priv.h */
enum mm_err
mm_wire_call(struct mm_wire *w, enum mm_line line, unsigned kind,
    const void *req, void *rep, struct mm_buf *frame, struct mm_why *why)
{
	int fd = w->line[line].fd;
	enum mm_err rc;

	if (gone(fd))
		return away(fd, why);
	rc = mm_ipc_call(fd, kind, req, rep, frame, CALL_MS, why);
	if (rc != MM_OK && gone(fd))
		return away(fd, why);
	return rc;
}

static enum mm_err
wait_on(int fd, short events, int64_t until, struct mm_why *why)
{
	struct pollfd p = { .fd = fd, .events = events };
	int64_t left = until - mm_mono_ms();

	if (left > 0 && poll(&p, 1, (int)left) > 0)
		return MM_OK;
	return left > 0 ? MM_OK : MM_FAIL(why, MM_EAGAIN,
	    "signer: no answer in time");
}

/* The first tag is new with every batch, so that a late answer to one that
 * was given up cannot pass for this one's. */
static bool
answers(const struct mm_buf *out, const struct mm_buf *in,
    struct mm_frame *answer)
{
	return mm_frame_parse(mm_buf_view(in), answer, NULL) == MM_OK &&
	    answer->answer && answer->kind == out->p[1] &&
	    answer->count == mm_frame_count(out) && in->n >= 8 &&
	    memcmp(in->p + 4, out->p + 4, 4) == 0;
}

/* see priv.h */
uint32_t
mm_wire_tag(struct mm_wire *w)
{
	return atomic_fetch_add(&w->tags, MM_IPC_ITEMS_MAX);
}

/* see priv.h */
enum mm_err
mm_wire_batch(struct mm_wire *w, enum mm_line line, const struct mm_buf *out,
    struct mm_buf *in, struct mm_frame *answer, struct mm_why *why)
{
	int64_t until = mm_mono_ms() + CALL_MS;
	int fd = w->line[line].fd;
	enum mm_err rc;

	if (fd < 0)
		return away(fd, why);
	while ((rc = mm_ipc_send(fd, mm_buf_view(out), NULL)) == MM_EAGAIN)
		MM_TRY(wait_on(fd, POLLOUT, until, why));
	if (rc != MM_OK)
		return away(fd, why);
	for (;;) {
		MM_TRY(wait_on(fd, POLLIN, until, why));
		rc = mm_ipc_recv(fd, in, NULL);
		if (rc == MM_OK && answers(out, in, answer))
			return MM_OK;
		if (rc != MM_OK && rc != MM_EAGAIN)
			return away(fd, why);
	}
}
