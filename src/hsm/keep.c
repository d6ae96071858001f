#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "base/time.h"
#include "hsm/priv.h"

enum {
	AGAIN_FIRST_MS = 200,
	AGAIN_MOST_MS = 5000,
	STEADY_MS = 5000, /* running this long forgives earlier ends */
};

/* see priv.h */
void
mm_keeper_tell(const struct mm_keeper *k, enum mm_hsm_state state,
    const char *text, const char *refused)
{
	MM_OWN(mm_buf_done) struct mm_buf m = MM_BUF_INIT(MM_HSM_MESSAGE_MAX);

	mm_buf_u8(&m, (uint8_t)state);
	mm_buf_block16(&m, mm_bytes_of(text));
	mm_buf_block16(&m, mm_bytes_of(refused));
	if (mm_buf_ok(&m, NULL) == MM_OK)
		(void)!send(k->control, m.p, m.n, MSG_NOSIGNAL);
}

/* ---- orders ---- */

enum heard { NOTHING, KICKED, ENDED };

static enum heard
take_order(struct mm_keeper *k)
{
	uint8_t m[MM_HSM_MESSAGE_MAX];
	ssize_t n = recv(k->control, m, sizeof(m), MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? NOTHING : ENDED;
	if (n == 0)
		return ENDED;
	if (m[0] == MM_HSM_AGAIN) {
		k->refused[0] = '\0';
		mm_guard_forget(k->guard);
		k->again = true;
	}
	return m[0] == MM_HSM_KICK ? KICKED : NOTHING;
}

/* The first message; false: it never came. */
static bool
take_begin(struct mm_keeper *k)
{
	uint8_t m[MM_HSM_MESSAGE_MAX];
	ssize_t n;
	struct mm_bytes pin, refused;
	struct mm_rd r;
	bool good;

	do
		n = recv(k->control, m, sizeof(m), 0);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return false;
	r = mm_rd_over((struct mm_bytes){ m, (size_t)n });
	good = mm_rd_u8(&r) == MM_HSM_BEGIN;
	k->by_hand = mm_rd_u8(&r) != 0;
	pin = mm_rd_block16(&r);
	refused = mm_rd_block16(&r);
	good = mm_rd_end(&r) && good &&
	    mm_text_copy(k->refused, sizeof(k->refused), refused) &&
	    mm_secret_new(pin.n, &k->pin, NULL) == MM_OK;
	if (good && pin.n > 0)
		memcpy(k->pin->p, pin.p, pin.n);
	mm_wipe(m, sizeof(m));
	return good;
}

/* ---- the child ---- */

static pid_t
start(struct mm_keeper *k, int life[2])
{
	pid_t parent = getpid(), pid;

	k->again = false;
	if (pipe2(life, O_CLOEXEC | O_NONBLOCK) != 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		close(life[0]);
		k->life = life[1];
		mm_keeper_serve(k);
	}
	close(life[1]);
	if (pid < 0)
		close(life[0]);
	return pid;
}

/* Which PIN it said was refused, before it ended. */
static void
note_refused(struct mm_keeper *k, int life)
{
	char text[MM_HSM_TEXT] = "";
	ssize_t n = read(life, text, sizeof(text) - 1);

	if (n > 0 && !k->again)
		memcpy(k->refused, text, sizeof(text));
}

/* Until it has ended; ENDED: nobody wants it any more. */
static enum heard
attend(struct mm_keeper *k, pid_t pid, int life)
{
	struct pollfd p[2] = { { .fd = k->control, .events = POLLIN },
		{ .fd = life, .events = 0 } };
	enum heard heard, all = NOTHING;
	int status = 0;

	while ((p[1].revents & (POLLHUP | POLLERR)) == 0) {
		if (poll(p, 2, -1) < 0 || p[0].revents == 0)
			continue;
		heard = take_order(k);
		if (heard == NOTHING)
			continue;
		all = heard;
		(void)kill(pid, SIGKILL);
		break;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	note_refused(k, life);
	if (all == KICKED)
		mm_keeper_tell(k, MM_HSM_AWAY, "it does not answer: its "
		    "module is loaded anew", "");
	else if (WIFSIGNALED(status)) {
		char text[MM_HSM_TEXT];

		snprintf(text, sizeof(text), "its module ended by signal %d",
		    WTERMSIG(status));
		mm_keeper_tell(k, MM_HSM_AWAY, text, "");
	}
	return all;
}

/* An order of AGAIN ends the pause. */
static enum heard
pause_for(struct mm_keeper *k, int64_t ms)
{
	struct pollfd p = { .fd = k->control, .events = POLLIN };

	return poll(&p, 1, (int)ms) > 0 ? take_order(k) : NOTHING;
}

/* see priv.h */
void
mm_keeper_run(struct mm_keeper *k)
{
	int64_t wait = 0, began;
	enum heard heard = NOTHING;
	int life[2];

	if (!take_begin(k))
		return;
	while (heard != ENDED) {
		pid_t pid;

		began = mm_mono_ms();
		pid = start(k, life);
		if (pid > 0) {
			heard = attend(k, pid, life[0]);
			close(life[0]);
		}
		if (mm_mono_ms() - began > STEADY_MS)
			wait = 0;
		wait = wait == 0 ? AGAIN_FIRST_MS : wait * 2;
		if (wait > AGAIN_MOST_MS)
			wait = AGAIN_MOST_MS;
		if (heard != ENDED)
			heard = pause_for(k, wait);
	}
	mm_secret_free(&k->pin);
}
