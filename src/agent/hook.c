#include "agent/hook.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/faults.h"
#include "base/file.h"
#include "base/text.h"

/* see hook.h */
void
mm_hook_init(struct mm_hook *h, const char *dir)
{
	struct mm_buf mark = MM_BUF_INIT(MM_HOOK_MARK_MAX - 1);
	struct mm_bytes v;

	mm_child_init(&h->child);
	snprintf(h->path, sizeof(h->path), "%s/told-%s", dir, h->event);
	if (mm_file_read(h->path, &mark, NULL) == MM_OK) {
		v = mm_buf_view(&mark);
		if (v.n > 0 && v.p[v.n - 1] == '\n')
			v.n--;
		(void)!mm_text_copy(h->told, sizeof(h->told), v);
	}
	mm_buf_done(&mark);
}

/* see hook.h */
void
mm_hook_done(struct mm_hook *h)
{
	mm_child_done(&h->child);
}

/* see hook.h; for what is new, what failed before counts no more */
void
mm_hook_want(struct mm_hook *h, const char *mark)
{
	if (strcmp(h->want, mark) == 0)
		return;
	snprintf(h->want, sizeof(h->want), "%s", mark);
	h->failures = 0;
	h->next_ms = 0;
	h->note[0] = '\0';
}

/* see hook.h */
bool
mm_hook_due(const struct mm_hook *h)
{
	return h->program->n > 0 && h->want[0] != '\0' &&
	    strcmp(h->want, h->told) != 0;
}

/* see hook.h */
void
mm_hook_begin(struct mm_hook *h, int64_t boot_ms, struct mm_bytes job)
{
	if (!mm_hook_due(h) || h->runs[0] != '\0' || boot_ms < h->next_ms)
		return;
	memcpy(h->runs, h->want, sizeof(h->runs));
	mm_child_begin(&h->child, h->program, h->limit_s, job);
}

/* In words; "" if it did what it should. */
static void
judge(struct mm_hook *h, enum mm_child_got got, int status)
{
	char *to = h->note;
	size_t n = sizeof(h->note);

	h->note[0] = '\0';
	if (got == MM_CHILD_LATE)
		snprintf(to, n, "took longer than %lld s",
		    (long long)h->limit_s);
	else if (got == MM_CHILD_FLOODS)
		snprintf(to, n, "said too much");
	else if (got == MM_CHILD_NOTHING)
		snprintf(to, n, "could not be started: %.100s",
		    h->child.note);
	else if (WIFSIGNALED(status))
		snprintf(to, n, "was killed by signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0)
		snprintf(to, n, "ended with status %d", WEXITSTATUS(status));
}

/* A disk that is full or read-only: it is told once more after a restart. */
static void
remember(struct mm_hook *h)
{
	char line[MM_HOOK_MARK_MAX + 1];

	memcpy(h->told, h->runs, sizeof(h->told));
	snprintf(line, sizeof(line), "%s\n", h->told);
	mm_die_at("told");
	(void)!mm_file_replace_locked(h->path, mm_bytes_of(line), 0644, NULL);
	mm_die_at("told");
}

/* see hook.h */
bool
mm_hook_run(struct mm_hook *h, int64_t boot_ms, uint16_t dice)
{
	struct mm_pace_of of = { .err = MM_EAGAIN, .retry_s = -1 };
	int status = 0;
	enum mm_child_got got;

	if (h->runs[0] == '\0')
		return false;
	got = mm_child_run(&h->child, &status);
	if (got == MM_CHILD_WAIT)
		return false;
	judge(h, got, status);
	if (h->note[0] == '\0') {
		h->failures = 0;
		remember(h);
	} else {
		of.failures = ++h->failures;
		h->next_ms = boot_ms + mm_pace_next_ms(&h->pace, &of, dice);
	}
	h->runs[0] = '\0';
	return true;
}
