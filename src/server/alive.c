#include <sys/socket.h>

#include "base/time.h"
#include "server/priv.h"

/*
 * The server's sign of life to the monitor.  A main thread that only waits
 * proves little: each second every event loop is given a task, and the next
 * sign is given only when all of them have run theirs.
 */
enum {
	EVERY_MS = 1000,
	LATE_MS = 100, /* how soon a loop that is late is looked at again */
};

static void
answer(struct mm_http_loop *loop, void *asked)
{
	(void)loop;
	atomic_store((atomic_bool *)asked, false);
}

static bool
all_answered(const struct mm_alive *a, unsigned loops)
{
	for (unsigned i = 0; i < loops; i++)
		if (atomic_load(&a->asked[i]))
			return false;
	return true;
}

static void
ask(struct mm_server *s, unsigned loops)
{
	struct mm_alive *a = &s->alive;

	for (unsigned i = 0; i < loops; i++) {
		atomic_store(&a->asked[i], true);
		a->task[i] = (struct mm_http_task){
			.next = i + 1 < loops ? &a->task[i + 1] : NULL,
			.loop = (uint16_t)i, .run = answer,
			.arg = &a->asked[i] };
	}
	mm_http_post(s->http, &a->task[0]);
}

/* see priv.h; a monitor that is not reading misses nothing by a lost one */
int64_t
mm_alive_beat(struct mm_server *s)
{
	const uint8_t beat = MM_BEAT_BYTE;
	unsigned loops = (unsigned)s->config->set.threads;
	int64_t now = mm_mono_ms();

	if (now < s->alive.due)
		return s->alive.due;
	s->alive.due = now + LATE_MS;
	if (!all_answered(&s->alive, loops))
		return s->alive.due;
	(void)!send(s->control, &beat, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	ask(s, loops);
	s->alive.due = now + EVERY_MS;
	return s->alive.due;
}
