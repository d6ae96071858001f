#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/time.h"
#include "signer/duty.h"
#include "signer/setup.h"

/*
 * "accept-clock": the clock had been ahead, and the journal has lines of that
 * time, so that the signer would wait for it.  A person who knows that the
 * clock is right now has that entered, and the next lines begin from here.
 *
 * No number goes back by it: serials have random parts and are unique in the
 * store, lists of revocation take the last number's successor, and what was
 * counted against a day's ceiling stays counted.
 */
struct accept {
	struct mm_setup *s;
	struct mm_record_sum sum;
	int64_t now_ms, seen_ms; /* at a station: by its signer, to now */
};

/* The journal is ahead; a station's signer has seen a time that is. */
static bool
line_ahead(const struct accept *a)
{
	return a->sum.n > 0 && a->now_ms < a->sum.at_ms;
}

static bool
seen_ahead(const struct accept *a)
{
	return a->now_ms + MM_DUTY_BACK_MS < a->seen_ms;
}

static bool
is_good(const char *path, int64_t now_s)
{
	struct mm_ca ca = { 0 };
	struct mm_cert c;
	bool good = mm_ca_read(path, &ca, NULL) == MM_OK &&
	    mm_cert_walk(mm_buf_view(&ca.der), &c, NULL) == MM_OK &&
	    c.not_before_s <= now_s && now_s <= c.not_after_s;

	mm_buf_done(&ca.chain_pem);
	mm_buf_done(&ca.der);
	return good;
}

/* One issuer that is good by this clock shows that it is no wrong one.  A
 * station's signer has none: the certificate of its own key will do. */
static enum mm_err
check_issuers(const struct mm_config *conf, int64_t now_s, struct mm_why *why)
{
	char path[MM_PATH_MAX + 1];

	for (size_t i = 0; i < conf->nissuer; i++)
		if (is_good(conf->issuer[i].certificate, now_s))
			return MM_OK;
	MM_TRY(mm_signer_path(&conf->set, "station.crt", path, why));
	if (conf->nissuer == 0 && is_good(path, now_s))
		return MM_OK;
	return MM_FAIL(why, MM_EPOLICY, "no issuer's certificate is good at "
	    "this clock's time: set it right first");
}

static enum mm_err
check(const struct accept *a, struct mm_why *why)
{
	if (!line_ahead(a) && !seen_ahead(a))
		return MM_FAIL(why, MM_ECONFLICT, "the clock is not before "
		    "the journal's last line: there is nothing to accept");
	if (a->now_ms / 1000 < MM_BUILD_TIME)
		return MM_FAIL(why, MM_EPOLICY, "the clock is before this "
		    "program was built: set it right first");
	if (mm_record_clocks(a->s->record)->n == MM_CLOCKS_MAX)
		return MM_FAIL(why, MM_EPOLICY, "start mintmarkd first: the "
		    "ledger does not know of %d clocks yet", MM_CLOCKS_MAX);
	return check_issuers(a->s->conf, a->now_ms / 1000, why);
}

static enum mm_err
tell(struct accept *a, struct mm_why *why)
{
	struct mm_json *j = &a->s->json;

	mm_json_open(j, '{');
	mm_json_bool(j, "accepted", a->s->o->yes);
	mm_json_int(j, "last_line", (int64_t)a->sum.n);
	mm_json_time(j, "last_at", a->sum.at_ms);
	mm_json_time(j, "now", a->now_ms);
	mm_json_int(j, "back_s",
	    ((seen_ahead(a) && a->seen_ms > a->sum.at_ms ? a->seen_ms :
	    a->sum.at_ms) - a->now_ms) / 1000);
	if (!a->s->o->yes)
		mm_json_str(j, "next", "nothing was changed; if \"now\" is "
		    "right, say so with --yes");
	mm_json_close(j, '}');
	return mm_setup_print(a->s, why);
}

/* What was seen of an order's end stays seen. */
static enum mm_err
go_on(struct accept *a, struct mm_why *why)
{
	struct mm_journal_line l = { .kind = MM_J_CLOCK };
	char path[MM_PATH_MAX + 1];

	if (line_ahead(a))
		MM_TRY(mm_record_write(a->s->record, &l, 1, why));
	MM_TRY(mm_signer_path(&a->s->conf->set, MM_DUTY_CLOCK, path, why));
	if (unlink(path) != 0 && errno != ENOENT)
		return MM_FAIL(why, MM_ESYS, "%.90s: %s", path,
		    strerror(errno));
	return MM_OK;
}

static enum mm_err
accept(struct accept *a, struct mm_why *why)
{

	MM_TRY(mm_setup_record(a->s, why));
	mm_record_sum(a->s->record, &a->sum);
	a->now_ms = mm_now_ms();
	MM_TRY(mm_duty_clock(&a->s->conf->set, &a->seen_ms, why));
	MM_TRY(check(a, why));
	if (a->s->o->yes)
		MM_TRY(go_on(a, why));
	return tell(a, why);
}

/* see setup.h */
enum mm_err
mm_cmd_accept_clock(const struct mm_opts *o, struct mm_why *why)
{
	MM_OWN(mm_setup_done) struct mm_setup s = { 0 };
	struct accept a = { .s = &s };
	int lock = -1;
	enum mm_err err;

	MM_TRY(mm_setup_begin(&s, o, false, why));
	MM_TRY(mm_setup_alone(&s, &lock, why));
	err = accept(&a, why);
	close(lock);
	return err;
}
