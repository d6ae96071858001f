#include <poll.h>
#include <string.h>

#include "core/wire.h"

/* The lines where one asks and waits. */
#define CALL_MS 5000

/* see priv.h */
void
mm_wire_lock(struct mm_wire *w, enum mm_line line)
{
	pthread_mutex_lock(&w->line[line].lock);
}

/* see priv.h */
bool
mm_wire_try(struct mm_wire *w, enum mm_line line)
{
	return pthread_mutex_trylock(&w->line[line].lock) == 0;
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
bool
mm_wire_there(struct mm_wire *w, enum mm_line line)
{
	return !gone(w->line[line].fd);
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
