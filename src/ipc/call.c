#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/time.h"
#include "ipc/msg.h"

static enum mm_err
sys_fail(struct mm_why *why, const char *verb)
{
	switch (errno) {
	case EAGAIN:
		return MM_FAIL(why, MM_EAGAIN, "ipc: %s would block", verb);
	case EPIPE:
	case ECONNRESET:
	case ENOTCONN:
		return MM_FAIL(why, MM_ENOTFOUND, "ipc: the peer is gone");
	default:
		return MM_FAIL(why, MM_ESYS, "ipc: %s: %s", verb,
		    strerror(errno));
	}
}

static enum mm_err
send_one(int fd, struct mm_bytes frame, int flags, struct mm_why *why)
{
	ssize_t n;

	do {
		n = send(fd, frame.p, frame.n, flags | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? sys_fail(why, "send") : MM_OK;
}

/* MSG_TRUNC: the message's own length, which may be more than there is room
 * for; such a peer does not speak this protocol. */
static enum mm_err
recv_one(int fd, struct mm_buf *frame, int flags, struct mm_why *why)
{
	uint8_t *room;
	ssize_t n;

	mm_buf_reset(frame);
	room = mm_buf_room(frame, MM_IPC_FRAME_MAX);
	if (room == NULL)
		return mm_buf_ok(frame, why);
	mm_buf_reset(frame);
	do {
		n = recv(fd, room, MM_IPC_FRAME_MAX, flags | MSG_TRUNC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return sys_fail(why, "recv");
	if (n == 0)
		return MM_FAIL(why, MM_ENOTFOUND, "ipc: the peer is gone");
	if (n > MM_IPC_FRAME_MAX)
		return MM_FAIL(why, MM_EINPUT, "ipc: message of %zd bytes", n);
	frame->n = (size_t)n;
	return MM_OK;
}

/* see msg.h */
enum mm_err
mm_ipc_send(int fd, struct mm_bytes frame, struct mm_why *why)
{
	return send_one(fd, frame, 0, why);
}

/* see msg.h */
enum mm_err
mm_ipc_recv(int fd, struct mm_buf *frame, struct mm_why *why)
{
	return recv_one(fd, frame, 0, why);
}

static enum mm_err
wait_for(int fd, short events, int64_t until_ms, struct mm_why *why)
{
	struct pollfd p = { .fd = fd, .events = events };

	for (;;) {
		int64_t left = until_ms - mm_mono_ms();
		int n = poll(&p, 1, left < 0 ? 0 : (int)left);
		if (n > 0)
			return MM_OK;
		if (n == 0)
			return MM_FAIL(why, MM_EAGAIN, "ipc: no answer in time");
		if (errno != EINTR)
			return sys_fail(why, "poll");
	}
}

static enum mm_err
send_by(int fd, struct mm_bytes frame, int64_t until_ms, struct mm_why *why)
{
	for (;;) {
		enum mm_err err = send_one(fd, frame, MSG_DONTWAIT, NULL);
		if (err == MM_OK)
			return MM_OK;
		if (err != MM_EAGAIN)
			return MM_FAIL(why, err, "ipc: cannot send");
		MM_TRY(wait_for(fd, POLLOUT, until_ms, why));
	}
}

/* Whether the frame answers this call; a late answer to an earlier one that
 * was given up does not. */
static bool
answers(struct mm_bytes in, unsigned kind, uint32_t tag, struct mm_bytes *body)
{
	struct mm_frame f;
	uint32_t got;

	return mm_frame_parse(in, &f, NULL) == MM_OK && f.answer &&
	    f.kind == kind && mm_frame_next(&f, &got, body) && got == tag;
}

/* see msg.h */
enum mm_err
mm_ipc_call(int fd, unsigned kind, const void *req, void *rep,
    struct mm_buf *frame, int64_t deadline_ms, struct mm_why *why)
{
	int64_t until = mm_mono_ms() + deadline_ms;
	uint32_t tag = (uint32_t)mm_mono_us();
	struct mm_bytes body;

	mm_frame_begin(frame, kind);
	if (!mm_frame_put_req(frame, tag, req))
		return MM_FAIL(why, MM_ELIMIT, "ipc: request too long");
	MM_TRY(send_by(fd, mm_buf_view(frame), until, why));
	for (;;) {
		enum mm_err err;
		MM_TRY(wait_for(fd, POLLIN, until, why));
		err = recv_one(fd, frame, MSG_DONTWAIT, NULL);
		if (err == MM_EAGAIN)
			continue;
		if (err != MM_OK)
			return MM_FAIL(why, err, "ipc: no answer: %s",
			    err == MM_ENOTFOUND ? "the peer is gone" :
						  "cannot receive");
		if (answers(mm_buf_view(frame), kind, tag, &body))
			return mm_answer_get(kind, body, rep, why);
	}
}
