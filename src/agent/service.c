#include "agent/service.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/faults.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/own.h"
#include "base/resident.h"
#include "base/time.h"

#define STATUS_MAX  8192
#define JOB_MAX     16384
#define TICK_MS     1000
#define LOCK_MS     50
#define LOCK_TRIES  20
#define FAR_S       INT64_C(8000000000) /* the year 2223 */

/* How soon after which failure is nothing to be guessed. */
static uint16_t
throw_dice(void)
{
	uint16_t dice = 0;

	(void)!getrandom(&dice, sizeof(dice), GRND_NONBLOCK);
	return dice;
}

static int64_t
skew_s(const struct mm_service *s)
{
	if (s->conf->clock == MM_CLOCK_SYSTEM)
		return 0;
	return mm_pace_skew_s(&s->clock, mm_boot_ms(), mm_now_s());
}

/* ---- words ---- */

static void
tell_systemd(const struct mm_service *s)
{
	const struct mm_visit_told *t = &s->told;
	char text[512];

	if (s->state == MM_SERVICE_FAILS)
		snprintf(text, sizeof(text), "STATUS=%s since %u tries: %s",
		    mm_service_words[s->state], s->failures, t->why.text);
	else
		snprintf(text, sizeof(text), "STATUS=%s%s%s",
		    mm_service_words[s->state], s->has ? ": " : "",
		    s->has ? s->id.device : "");
	for (char *c = text; *c != '\0'; c++)
		if (*c == '\n') /* it would be another word */
			*c = ' ';
	mm_notify(text);
}

/* A file that cannot be written is said once, and hinders nothing. */
static void
write_status(struct mm_service *s)
{
	MM_OWN(mm_buf_done) struct mm_buf out = MM_BUF_INIT(STATUS_MAX);
	char path[PATH_MAX];
	struct mm_why why = { 0 };
	enum mm_err err;

	mm_agent_status_path(s->conf->status_file, s->conf->dir, path);
	mm_service_json(&out, s, mm_boot_ms(), mm_now_s() + skew_s(s));
	err = mm_buf_ok(&out, &why);
	mm_die_at("status");
	if (err == MM_OK)
		err = mm_file_replace_locked(path, mm_buf_view(&out), 0644,
		    &why);
	mm_die_at("status");
	if (err != MM_OK && !s->file_failed)
		MM_LOG(MM_LOG_WARN, "status-file", MM_S("why", why.text));
	s->file_failed = err != MM_OK;
}

static void
enter(struct mm_service *s, enum mm_service_state state)
{
	s->state = state;
	tell_systemd(s);
	write_status(s);
}

static void
log_visit(const struct mm_service *s, int64_t next_ms)
{
	const struct mm_visit_told *t = &s->told;

	if (t->err != MM_OK)
		MM_LOG(MM_LOG_WARN, "visit", MM_S("result",
		    mm_err_slug(t->err)), MM_S("why", t->why.text),
		    MM_I("failures", s->failures),
		    MM_I("next_s", next_ms / 1000));
	else
		MM_LOG(MM_LOG_INFO, "visit", MM_S("result",
		    t->s.renewed ? "renewed" : t->looked ? "good" : "ok"),
		    MM_S("serial", t->s.serial),
		    MM_I("next_s", next_ms / 1000));
}

/* ---- visits ---- */

static enum mm_service_state
state_after(const struct mm_visit_told *t)
{
	if (t->err == MM_OK)
		return MM_SERVICE_WAITS;
	return t->err == MM_ENOTFOUND && !t->known ? MM_SERVICE_EMPTY
	    : MM_SERVICE_FAILS;
}

/* One that was killed has told of none, which may be there all the same. */
static void
take_config(struct mm_service *s)
{
	const struct mm_visit_told *t = &s->told;
	char mark[MM_AGENT_CONFMARK];

	if (t->err == MM_OK && !t->looked)
		s->conf_failures = t->conf_err == MM_OK ||
		    t->conf_err == MM_ENOTFOUND ? 0 : s->conf_failures + 1;
	if (t->configured.version == 0)
		return;
	s->conf_in_use = t->configured;
	mm_agent_confmark(&s->conf_in_use, mark);
	mm_hook_want(&s->configured, mark);
}

/* A visit that was killed tells nothing: what was in use is so still. */
static void
take_told(struct mm_service *s)
{
	const struct mm_visit_told *t = &s->told;

	if (t->told_s != 0)
		s->clock = (struct mm_pace_clock){ t->told_s, mm_boot_ms() };
	if (t->err == MM_OK && !t->looked)
		s->good_s = t->now_s;
	if (t->known || t->err == MM_ENOTFOUND) {
		s->has = t->known;
		s->id = t->s;
	}
	if (s->has && s->id.confirmed)
		mm_hook_want(&s->renewed, s->id.serial);
	take_config(s);
}

static int64_t
sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* An identity that is well does not wait long for its configuration. */
static int64_t
config_after(const struct mm_service *s, const struct mm_pace *pace)
{
	const struct mm_pace_of of = { .err = s->told.conf_err,
		.failures = s->conf_failures, .now_s = s->told.now_s,
		.retry_s = s->told.conf_retry_s };

	return s->told.err != MM_OK || s->conf_failures == 0 ? INT64_MAX
	    : mm_pace_next_ms(pace, &of, throw_dice());
}

static int64_t
wait_after(const struct mm_service *s)
{
	const struct mm_pace pace = { s->conf->every_s, s->conf->again_s,
		s->conf->most_s };
	const struct mm_visit_told *t = &s->told;
	const struct mm_pace_of of = { .err = t->err, .failures = s->failures,
		.retry_s = t->retry_s, .now_s = mm_now_s() + skew_s(s),
		.renew_at_s = s->has ? s->id.renew_at_s : 0,
		.end_s = s->has ? s->id.not_after_s : 0 };

	if (s->wanted)
		return 0;
	if (t->looked)
		return s->conf->spread_s * 1000 * throw_dice() / 65536;
	return sooner(mm_pace_next_ms(&pace, &of, throw_dice()),
	    config_after(s, &pace));
}

static void
conclude(struct mm_service *s)
{
	int64_t wait_ms;

	s->failures = s->told.err == MM_OK ? 0 : s->failures + 1;
	take_told(s);
	wait_ms = wait_after(s);
	s->wanted = false;
	s->next_ms = mm_boot_ms() + wait_ms;
	log_visit(s, wait_ms);
	enter(s, state_after(&s->told));
}

/* A disk that could not be written at the start may be so now, for another
 * service, too. */
static enum mm_err
lock_folder(struct mm_service *s, struct mm_why *why)
{
	char path[PATH_MAX];
	struct mm_why w = { 0 };
	enum mm_err err;

	if (s->lock >= 0)
		return MM_OK;
	snprintf(path, sizeof(path), "%s/service.lock", s->conf->dir);
	err = mm_file_lock(path, &s->lock, &w);
	return err == MM_ECONFLICT ? MM_FAIL(why, err, "%s", w.text) : MM_OK;
}

static void
begin_visit(struct mm_service *s)
{
	struct mm_visit_told none = { .retry_s = -1 };
	const struct mm_visit_of of = { s->conf, skew_s(s), s->look };

	none.err = lock_folder(s, &none.why);
	if (none.err == MM_OK)
		none.err = mm_visit_begin(&s->visit, &of, &none.why);
	if (none.err == MM_OK) {
		s->look = false;
		enter(s, MM_SERVICE_WORKS);
		return;
	}
	s->told = none;
	conclude(s);
}

/* ---- hooks ---- */

static void
put_path(struct mm_json *j, const struct mm_service *s, const char *key,
    const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/current/%s", s->conf->dir, name);
	mm_json_str(j, key, path);
}

static void
put_renewed(struct mm_json *j, const struct mm_service *s)
{
	mm_json_str(j, "serial", s->renewed.want);
	put_path(j, s, "certificate", "cert.pem");
	put_path(j, s, "chain", "chain.pem");
	put_path(j, s, "anchor", "anchor.pem");
	put_path(j, s, "key", "key.pem");
}

static void
put_configured(struct mm_json *j, const struct mm_service *s)
{
	char path[PATH_MAX];

	mm_agent_document_path(s->conf->dir, path);
	mm_json_int(j, "version", s->conf_in_use.version);
	mm_json_hex(j, "sha256", (struct mm_bytes){ s->conf_in_use.sha256,
	    sizeof(s->conf_in_use.sha256) });
	mm_json_str(j, "document", path);
}

static void
begin_hook(struct mm_service *s, struct mm_hook *h, int64_t boot_ms,
    void (*put)(struct mm_json *j, const struct mm_service *s))
{
	MM_OWN(mm_buf_done) struct mm_buf out = MM_BUF_INIT(JOB_MAX);
	struct mm_json j = mm_json_over(&out);

	if (!mm_hook_due(h))
		return;
	mm_json_open(&j, '{');
	mm_json_str(&j, "event", h->event);
	mm_json_str(&j, "device", mm_utf8_valid(mm_bytes_of(
	    s->id.device)) ? s->id.device : "");
	put(&j, s);
	mm_json_close(&j, '}');
	mm_buf_text(&out, "\n");
	if (mm_buf_ok(&out, NULL) == MM_OK)
		mm_hook_begin(h, boot_ms, mm_buf_view(&out));
}

static void
run_hook(struct mm_service *s, struct mm_hook *h, int64_t boot_ms)
{

	if (!mm_hook_run(h, boot_ms, throw_dice()))
		return;
	if (h->note[0] == '\0')
		MM_LOG(MM_LOG_INFO, "hook", MM_S("event", h->event),
		    MM_S("result", "ok"));
	else
		MM_LOG(MM_LOG_WARN, "hook", MM_S("event", h->event),
		    MM_S("result", "failed"), MM_S("why", h->note),
		    MM_I("failures", h->failures));
	enter(s, s->state);
}

/* ---- waiting ---- */

/* When a hook has to be looked after; INT64_MAX: it has not. */
static int64_t
hook_at(const struct mm_hook *h, int64_t boot_ms, int64_t behind)
{
	if (h->runs[0] != '\0')
		return h->child.end < 0 ? boot_ms + TICK_MS
		    : h->child.end_ms + behind;
	return mm_hook_due(h) ? h->next_ms : INT64_MAX;
}

/* When something is to be done, by mm_boot_ms, if nothing happens before. */
static int64_t
wake_at(const struct mm_service *s, int64_t boot_ms)
{
	int64_t behind = boot_ms - mm_mono_ms(), at = s->next_ms;

	if (s->visit.pid > 0)
		at = s->visit.end_ms + behind;
	at = sooner(at, hook_at(&s->renewed, boot_ms, behind));
	at = sooner(at, hook_at(&s->configured, boot_ms, behind));
	return s->watchdog_ms > 0 ? sooner(at, s->beat_ms) : at;
}

static void
arm_clock(const struct mm_service *s)
{
	const struct itimerspec far = { .it_value = { .tv_sec = FAR_S } };

	(void)timerfd_settime(s->set, TFD_TIMER_ABSTIME |
	    TFD_TIMER_CANCEL_ON_SET, &far, NULL);
}

static void
take_signal(struct mm_service *s)
{
	struct signalfd_siginfo i;

	if (read(s->signals, &i, sizeof(i)) != (ssize_t)sizeof(i))
		return;
	if (i.ssi_signo != SIGHUP)
		s->stop = true;
	else if (s->visit.pid > 0)
		s->wanted = true;
	else
		s->next_ms = mm_boot_ms();
}

/* timerfd_create(2): ECANCELED: somebody set the clock. */
static void
take_jump(struct mm_service *s)
{
	int64_t boot_ms = mm_boot_ms();
	uint64_t n;

	if (read(s->set, &n, sizeof(n)) >= 0 || errno != ECANCELED)
		return;
	arm_clock(s);
	MM_LOG(MM_LOG_INFO, "clock-set", MM_I("skew_s", skew_s(s)));
	s->next_ms = boot_ms + mm_pace_jump_ms(&s->clock,
	    s->next_ms - boot_ms, throw_dice());
}

static void
wait_for(struct mm_service *s)
{
	int64_t boot_ms = mm_boot_ms(), at = wake_at(s, boot_ms);
	const struct itimerspec t = { .it_value = { .tv_sec = at / 1000,
		.tv_nsec = at % 1000 * 1000000 } };
	struct pollfd fds[] = {
		{ .fd = s->signals, .events = POLLIN },
		{ .fd = s->set, .events = POLLIN },
		{ .fd = s->timer, .events = POLLIN },
		{ .fd = s->visit.out, .events = POLLIN },
		mm_child_wish(&s->renewed.child),
		mm_child_wish(&s->configured.child),
	};

	if (at > boot_ms && timerfd_settime(s->timer, TFD_TIMER_ABSTIME, &t,
	    NULL) != 0)
		return;
	(void)poll(fds, sizeof(fds) / sizeof(fds[0]), at > boot_ms ? -1 : 0);
	if (fds[0].revents != 0)
		take_signal(s);
	if (fds[1].revents != 0)
		take_jump(s);
}

/* ---- the service ---- */

static void
turn(struct mm_service *s)
{
	int64_t boot_ms = mm_boot_ms();

	if (s->watchdog_ms > 0 && boot_ms >= s->beat_ms) {
		mm_notify("WATCHDOG=1");
		s->beat_ms = boot_ms + s->watchdog_ms;
	}
	if (s->visit.pid > 0 && mm_visit_run(&s->visit, &s->told))
		conclude(s);
	run_hook(s, &s->renewed, boot_ms);
	run_hook(s, &s->configured, boot_ms);
	if (s->visit.pid == 0 && mm_boot_ms() >= s->next_ms)
		begin_visit(s);
	begin_hook(s, &s->renewed, boot_ms, put_renewed);
	begin_hook(s, &s->configured, boot_ms, put_configured);
}

/* The visit of a service that was killed is about to end, and may have its
 * lock for so long. */
static enum mm_err
lock_patiently(struct mm_service *s, struct mm_why *why)
{
	struct mm_why w;

	for (int i = 0; i < LOCK_TRIES; i++) {
		w = (struct mm_why){ 0 };
		if (lock_folder(s, &w) == MM_OK)
			return MM_OK;
		(void)poll(NULL, 0, LOCK_MS);
	}
	return MM_FAIL(why, MM_ECONFLICT, "%s", w.text);
}

/*
 * A folder that others can change is said at once, and so is another service.
 * What may be mended later, such as a disk that is read-only, each visit says.
 */
static enum mm_err
take_folder(struct mm_service *s, struct mm_why *why)
{
	struct mm_agent_store store = { .lock = -1 };
	struct mm_why w = { 0 };
	enum mm_err err = mm_agent_store_open(&store, s->conf->dir, &w);

	mm_agent_store_close(&store);
	if (err == MM_EPOLICY)
		return MM_FAIL(why, err, "%s", w.text);
	return lock_patiently(s, why);
}

static enum mm_err
open_all(struct mm_service *s, struct mm_why *why)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return MM_FAIL(why, MM_ESYS, "signals: %s", strerror(errno));
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	s->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	s->set = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (s->signals < 0 || s->timer < 0 || s->set < 0)
		return MM_FAIL(why, MM_ESYS, "timers: %s", strerror(errno));
	arm_clock(s);
	return MM_OK;
}

static void
close_all(struct mm_service *s)
{
	const int fds[] = { s->lock, s->signals, s->timer, s->set };

	mm_visit_close(&s->visit);
	mm_hook_done(&s->renewed);
	mm_hook_done(&s->configured);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
}

static void
serve(struct mm_service *s)
{
	s->watchdog_ms = mm_notify_watchdog_ms();
	s->next_ms = mm_boot_ms();
	s->look = s->conf->spread_s > 0;
	mm_hook_init(&s->renewed, s->conf->dir);
	mm_hook_init(&s->configured, s->conf->dir);
	mm_notify("READY=1");
	/* What the loader and the start have read is not needed to wait. */
	mm_resident_let_go();
	while (!s->stop) {
		turn(s);
		wait_for(s);
	}
	mm_notify("STOPPING=1");
	mm_visit_close(&s->visit);
	enter(s, MM_SERVICE_STOPS);
}

/* see service.h */
enum mm_err
mm_agent_serve(const struct mm_agent_conf *c, struct mm_why *why)
{
	struct mm_service s = { .conf = c, .lock = -1, .signals = -1,
		.timer = -1, .set = -1, .told.retry_s = -1,
		.renewed = { .event = "renewed", .program = &c->on_renewed,
		    .limit_s = c->hook_s,
		    .pace = { c->every_s, c->again_s, c->most_s } },
		.configured = { .event = "configuration",
		    .program = &c->on_configuration, .limit_s = c->hook_s,
		    .pace = { c->every_s, c->again_s, c->most_s } } };
	enum mm_err err;

	mm_visit_init(&s.visit);
	mm_child_init(&s.renewed.child);
	mm_child_init(&s.configured.child);
	err = take_folder(&s, why);
	if (err == MM_OK)
		err = open_all(&s, why);
	if (err == MM_OK)
		serve(&s);
	close_all(&s);
	return err;
}
