#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/own.h"
#include "station/driver.h"
#include "station/run.h"
#include "station/usb.h"

/* "fixtures": what is plugged in where; "blink": which fixture is which. */
enum { OUT_MAX = 1 << 18, PAUSE_MS = 300, TICK_MS = 20, TIMES = 20 };

static const struct mm_fixture_conf *
fixture_at(const struct mm_station_conf *conf, const char *place)
{
	for (size_t i = 0; i < conf->nfixture; i++)
		if (conf->fixture[i].usb[0] != '\0' &&
		    mm_usb_same(conf->fixture[i].usb, place))
			return &conf->fixture[i];
	return NULL;
}

static void
put_fixture(struct mm_json *j, const struct mm_fixture_conf *f)
{
	char port[PATH_MAX];
	bool there = mm_fixture_port(f, port);

	mm_json_open(j, '{');
	mm_json_str(j, "fixture", f->name);
	if (f->usb[0] != '\0')
		mm_json_str(j, "usb", f->usb);
	if (port[0] != '\0')
		mm_json_str(j, "port", port);
	mm_json_bool(j, "board", there);
	mm_json_close(j, '}');
}

static void
put_port(struct mm_json *j, const struct mm_usb_port *p,
    const struct mm_fixture_conf *f)
{
	mm_json_open(j, '{');
	mm_json_str(j, "usb", p->place);
	mm_json_str(j, "port", p->tty);
	mm_json_str(j, "what", p->what);
	mm_json_str(j, "serial", p->serial);
	if (f != NULL)
		mm_json_str(j, "fixture", f->name);
	mm_json_close(j, '}');
}

static void
as_json(struct mm_buf *out, const struct mm_station_conf *conf,
    const struct mm_usb_port *p, unsigned n)
{
	struct mm_json j = mm_json_over(out);

	mm_json_open(&j, '{');
	mm_json_open_key(&j, "fixtures", '[');
	for (size_t i = 0; i < conf->nfixture; i++)
		put_fixture(&j, &conf->fixture[i]);
	mm_json_close(&j, ']');
	mm_json_open_key(&j, "ports", '[');
	for (unsigned i = 0; i < n; i++)
		put_port(&j, &p[i], fixture_at(conf, p[i].place));
	mm_json_close(&j, ']');
	mm_json_close(&j, '}');
	mm_buf_text(out, "\n");
}

static void
as_text(struct mm_buf *out, const struct mm_station_conf *conf,
    const struct mm_usb_port *p, unsigned n)
{
	char port[PATH_MAX];

	for (size_t i = 0; i < conf->nfixture; i++) {
		const struct mm_fixture_conf *f = &conf->fixture[i];
		bool there = mm_fixture_port(f, port);

		mm_buf_printf(out, "%-10s %-14s %s\n", f->name, f->usb,
		    there ? port : "no board");
	}
	for (unsigned i = 0; i < n; i++)
		if (fixture_at(conf, p[i].place) == NULL)
			mm_buf_printf(out, "%-10s %-14s %s  %s %s\n", "-",
			    p[i].place, p[i].tty, p[i].what, p[i].serial);
}

/* see run.h */
int
mm_run_fixtures(const struct mm_station_conf *conf,
    const struct mm_station_args *a, enum mm_err *err, struct mm_why *why)
{
	static struct mm_usb_port p[MM_USB_MOST];
	struct mm_buf out = MM_BUF_INIT(OUT_MAX);
	unsigned n = mm_usb_list(conf->sysfs, p);

	(void)why;
	*err = MM_OK;
	(a->json ? as_json : as_text)(&out, conf, p, n);
	mm_run_put(&out);
	return 0;
}

/* ---- blink ---- */

static void
nap(int ms)
{
	const struct timespec t = { ms / 1000, ms % 1000 * 1000000L };

	(void)nanosleep(&t, NULL);
}

/*
 * Bytes there and, if there is a board, back: the adapter's lamps flicker.
 * Never a time: whether this station's clock is right is not looked at here,
 * and a board's goes forward only.  MM_ECONFLICT: it is at work.
 */
static enum mm_err
greet(struct mm_driver *d, int64_t *answers, struct mm_why *why)
{
	const struct mm_driver_job job = { .effect = MM_DO_HELLO,
		.serial = "" };
	enum mm_unit_reason reason;
	struct mm_driver_answer a;
	enum mm_driver_got got = d->class->open(d, &reason);

	if (got == MM_DRIVER_WAIT) {
		d->class->close(d);
		return MM_FAIL(why, MM_ECONFLICT, "fixture %s is at work",
		    d->conf->name);
	}
	if (got != MM_DRIVER_DONE)
		return MM_OK;
	d->class->begin(d, &job);
	while ((got = d->class->run(d, &a, &reason)) == MM_DRIVER_WAIT &&
	       !mm_run_stopped) {
		struct pollfd p = d->class->wish(d);

		(void)poll(&p, 1, TICK_MS);
	}
	d->class->close(d);
	*answers += got == MM_DRIVER_DONE;
	return MM_OK;
}

static void
say(const struct mm_fixture_conf *f, int64_t times, int64_t answers, bool json)
{
	struct mm_buf out = MM_BUF_INIT(PATH_MAX + 256);
	struct mm_json j = mm_json_over(&out);

	if (json) {
		mm_json_open(&j, '{');
		mm_json_str(&j, "fixture", f->name);
		mm_json_int(&j, "times", times);
		mm_json_int(&j, "answers", answers);
		mm_json_close(&j, '}');
		mm_buf_text(&out, "\n");
	} else {
		mm_buf_printf(&out, "%s: greeted %lld times, %lld answers\n",
		    f->name, (long long)times, (long long)answers);
	}
	mm_run_put(&out);
}

static enum mm_err
read_times(const struct mm_station_args *a, int64_t *out, struct mm_why *why)
{
	*out = TIMES;
	if (a->times == NULL)
		return MM_OK;
	MM_TRY(mm_int_parse(a->times, out, why));
	return *out >= 1 && *out <= 1000
		   ? MM_OK
		   : MM_FAIL(why, MM_EINPUT, "--times: want 1 to 1000");
}

/* see run.h */
int
mm_run_blink(const struct mm_station_conf *conf,
    const struct mm_station_args *a, enum mm_err *err, struct mm_why *why)
{
	const struct mm_fixture_conf *f = mm_station_fixture(conf, a->fixture);
	MM_OWN(mm_driver_free) struct mm_driver *d = NULL;
	int64_t times = 0, answers = 0, n = 0;

	*err = f != NULL ? read_times(a, &times, why)
			 : MM_FAIL(why, MM_EINPUT,
			       "there is no fixture \"%.40s\"", a->fixture);
	if (*err == MM_OK)
		*err = mm_driver_new(f, &d, why);
	if (*err != MM_OK)
		return mm_err_exit(*err);
	for (; n < times && *err == MM_OK && !mm_run_stopped; n++) {
		*err = greet(d, &answers, why);
		nap(*err == MM_OK ? PAUSE_MS : 0);
	}
	if (*err != MM_OK)
		return mm_err_exit(*err);
	say(f, n, answers, a->json);
	return answers > 0 ? 0 : MM_EXIT_BOARD;
}
