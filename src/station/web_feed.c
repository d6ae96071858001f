#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/time.h"
#include "station/report.h"
#include "station/web_priv.h"

/*
 * Server-sent events (the text/event-stream of HTML's living standard), each
 * answer whole: what has been told since the client's Last-Event-ID, at once
 * if there is something, else when there is.  The client comes again, as the
 * standard has it do when a stream ends; so a feed that nobody reads costs a
 * place for 25 s, and one that is read by a plain HTTP client is a long poll.
 *
 * A cursor is the start of the station and a number.  A client of an earlier
 * start is told that it has lost something, and has what this one told.
 */
static const char type_feed[] = "text/event-stream";

enum { EVENT_MAX = 8192, FEED_MAX = 1 << 21 };

/* ---- what was told ---- */

static void
put_said(
    struct mm_buf *out, const struct mm_shift *s, const struct mm_said *what)
{
	struct mm_json j = mm_json_over(out);

	if (what->kind == MM_SAID_UNIT) {
		mm_report_unit(out, s->line.conf, what->place, true);
		return;
	}
	if (what->kind == MM_SAID_REFUSED) {
		mm_report_refused(
		    out, what->place, what->serial, what->reason, true);
		return;
	}
	if (what->kind == MM_SAID_LABEL) {
		mm_report_label(out, what->serial, what->reason, true);
		return;
	}
	if (what->kind == MM_SAID_ORDER) {
		mm_report_order(out, true);
		return;
	}
	if (what->kind == MM_SAID_DECIDED) {
		mm_report_decided(
		    out, mm_book_find(s->line.book, what->serial), true);
		return;
	}
	mm_json_open(&j, '{');
	mm_json_str(&j, "code", mm_nos[what->no].code);
	mm_json_str(&j, "what", mm_nos[what->no].text);
	mm_json_close(&j, '}');
	mm_buf_text(out, "\n");
}

static const char *
name_of(enum mm_said_kind kind)
{
	switch (kind) {
	case MM_SAID_UNIT:
		return "unit";
	case MM_SAID_REFUSED:
		return "refused";
	case MM_SAID_LABEL:
		return "label";
	case MM_SAID_ORDER:
		return "order";
	case MM_SAID_DECIDED:
		return "decided";
	case MM_SAID_NO:
		return "no";
	default:
		return NULL;
	}
}

static void
put_id(struct mm_buf *out, const struct mm_web *w, uint64_t seq)
{
	mm_buf_printf(out, "id: %08x-%" PRIu64 "\n", w->run, seq);
}

/* see web_priv.h */
void
mm_feed_hear(void *ctx, const struct mm_shift *s, const struct mm_said *what)
{
	struct mm_web *w = ctx;
	const char *name = name_of(what->kind);
	struct mm_told *t;

	w->seq++;
	if (name == NULL)
		return;
	t = &w->ring[w->ntold++ % MM_WEB_RING];
	mm_buf_done(&t->text);
	mm_buf_init(&t->text, EVENT_MAX);
	t->seq = w->seq;
	put_id(&t->text, w, t->seq);
	mm_buf_printf(&t->text, "event: %s\ndata: ", name);
	put_said(&t->text, s, what);
	mm_buf_text(&t->text, "\n");
}

/* ---- where a client is ---- */

static void
find_place(struct mm_web *w, struct mm_ask *a)
{
	unsigned run = 0;
	uint64_t seq = 0;
	int end = 0;

	a->begun = true;
	a->from = a->units_only ? w->seq : 0;
	if (a->wait_ms == 0)
		a->until_ms = mm_mono_ms() + MM_WEB_FEED_MS;
	if (sscanf(a->after, "%8x-%19" SCNu64 "%n", &run, &seq, &end) == 2 &&
	    a->after[end] == '\0' && run == w->run && seq <= w->seq) {
		a->from = seq;
		return;
	}
	a->foreign = a->after[0] != '\0';
	if (a->foreign)
		a->from = 0;
	a->after[0] = '\0';
}

/* The first thing told that is kept and that the client has not; how many. */
static unsigned
first_news(const struct mm_web *w, const struct mm_ask *a)
{
	unsigned n = w->ntold < MM_WEB_RING ? w->ntold : MM_WEB_RING;

	/* a new client has the state, and no history */
	if (a->after[0] == '\0' && !a->units_only)
		return 0;
	while (n > 0 && w->ring[(w->ntold - n) % MM_WEB_RING].seq <= a->from)
		n--;
	return n;
}

static bool
has_lost(const struct mm_web *w, const struct mm_ask *a)
{
	if (a->foreign)
		return true;
	return a->after[0] != '\0' && w->ntold > MM_WEB_RING &&
	       w->ring[w->ntold % MM_WEB_RING].seq > a->from + 1 &&
	       first_news(w, a) == MM_WEB_RING;
}

/* ---- the state ---- */

/* Made once for all that want it, and not more often than people see. */
static bool
renew_state(struct mm_web *w, bool due)
{
	int64_t now = mm_mono_ms();

	if (!due && w->state.n > 0 &&
	    (w->state_seq == w->seq || now - w->state_ms < MM_WEB_STATE_MS))
		return w->state_seq == w->seq;
	mm_buf_reset(&w->state);
	mm_shift_json(w->shift, &w->state);
	w->state_seq = w->seq;
	w->state_ms = now;
	return true;
}

static void
put_feed(struct mm_web *w, const struct mm_ask *a, struct mm_buf *out)
{
	unsigned n = first_news(w, a);

	mm_buf_text(out, "retry: 100\n\n");
	if (has_lost(w, a))
		mm_buf_text(out, "event: lost\ndata: {}\n\n");
	for (; n > 0; n--)
		mm_buf_bytes(out,
		    mm_buf_view(&w->ring[(w->ntold - n) % MM_WEB_RING].text));
	put_id(out, w, w->seq);
	if (!a->units_only) {
		mm_buf_text(out, "event: state\ndata: ");
		mm_buf_bytes(out, mm_buf_view(&w->state));
		mm_buf_text(out, "\n");
	}
	mm_buf_text(out, "\n");
}

/* see web_priv.h */
static bool
call_events(struct mm_web *w, struct mm_ask *a, bool due)
{
	struct mm_buf out = MM_BUF_INIT(FEED_MAX);
	bool news;

	if (!a->begun)
		find_place(w, a);
	news = a->foreign || first_news(w, a) > 0 ||
	       (!a->units_only && (a->after[0] == '\0' || w->seq > a->from));
	if (!news && !due)
		return false;
	if (!a->units_only &&
	    !renew_state(w, due || a->after[0] == '\0' || first_news(w, a) > 0))
		return false;
	put_feed(w, a, &out);
	mm_web_answer(w, a, 200, type_feed, &out);
	return true;
}
const struct mm_web_call mm_call_events = { call_events,
	"server-sent events since `Last-Event-ID` or `?after=`; an "
	"answer ends with what there is, waits up to 25 s (`?wait=S`) "
	"if there is nothing, and the client comes again. "
	"`?only=unit` leaves the states out" };

/* see web_priv.h */
void
mm_feed_done(struct mm_web *w)
{
	for (unsigned i = 0; i < MM_WEB_RING; i++)
		mm_buf_done(&w->ring[i].text);
	mm_buf_done(&w->state);
}
