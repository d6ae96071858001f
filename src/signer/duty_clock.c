#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/time.h"
#include "signer/duty.h"

/*
 * Time at a station, whose clock is whoever's.  The journal's last line is a
 * floor for what is signed; an order must not begin anew when the clock is set
 * back to before its end, so that the latest time that was seen is kept, and
 * an end that was seen is the end.
 */
enum { EVERY_MS = 60000, NUMBER_N = 32 };

static enum mm_err
read_number(const struct mm_settings *set, const char *name, int64_t *out,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(NUMBER_N);
	enum mm_err rc = mm_duty_text(set, name, &b, why);

	*out = 0;
	if (rc == MM_ENOTFOUND) {
		if (why != NULL)
			*why = (struct mm_why){ 0 };
		return MM_OK;
	}
	MM_TRY(rc);
	return mm_int_parse(mm_buf_cstr(&b), out, NULL) == MM_OK
		   ? MM_OK
		   : MM_FAIL(why, MM_EPOLICY, "%.60s: damaged", name);
}

static enum mm_err
write_number(const struct mm_settings *set, const char *name, int64_t v,
    struct mm_why *why)
{
	char path[MM_PATH_MAX + 1], text[NUMBER_N];

	MM_TRY(mm_signer_path(set, name, path, why));
	snprintf(text, sizeof(text), "%" PRId64 "\n", v);
	return mm_file_replace_locked(path, mm_bytes_of(text), 0600, why);
}

static void
ended_name(const char *batch, char out[MM_NAME_MAX + 32])
{
	snprintf(out, MM_NAME_MAX + 32, "orders/%s.ended", batch);
}

/* see duty.h */
enum mm_err
mm_duty_clock(const struct mm_settings *set, int64_t *at_ms,
    struct mm_why *why)
{
	return read_number(set, MM_DUTY_CLOCK, at_ms, why);
}

/* see duty.h */
enum mm_err
mm_duty_clock_load(struct mm_signer *s, struct mm_why *why)
{
	struct mm_duty *l = s->duty;
	char name[MM_NAME_MAX + 32];
	int64_t number;

	MM_TRY(mm_duty_clock(&s->conf->set, &l->kept_ms, why));
	l->seen_ms = l->kept_ms;
	ended_name(l->order->batch, name);
	MM_TRY(read_number(&s->conf->set, name, &number, why));
	l->ended = number == l->order->number;
	return MM_OK;
}

/* What cannot be written is tried again in a second. */
static void
keep_time(struct mm_signer *s, int64_t now_ms)
{
	struct mm_duty *l = s->duty;

	if (now_ms > l->seen_ms)
		l->seen_ms = now_ms;
	if (now_ms > l->kept_ms + EVERY_MS &&
	    write_number(&s->conf->set, MM_DUTY_CLOCK, now_ms, NULL) == MM_OK)
		l->kept_ms = now_ms;
}

/* see duty.h */
void
mm_duty_tick(struct mm_signer *s)
{
	struct mm_duty *l = s->duty;
	int64_t now_ms = mm_now_ms();
	char name[MM_NAME_MAX + 32];

	if (l == NULL || now_ms / 1000 < MM_BUILD_TIME)
		return;
	keep_time(s, now_ms);
	pthread_mutex_lock(&l->lock);
	ended_name(l->order->batch, name);
	if (!l->ended && now_ms >= l->order->until_ms &&
	    write_number(&s->conf->set, name, l->order->number, NULL) == MM_OK)
		l->ended = true;
	pthread_mutex_unlock(&l->lock);
}
