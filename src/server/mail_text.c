#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/own.h"
#include "base/time.h"
#include "server/ends.h"
#include "server/letter.h"
#include "server/mail.h"

MM_FREE_FN(json_free, json_t, json_decref)

/* What mails say.  Nothing in them is a secret: alerts are entries of the
 * ledger, and have none. */
enum { TEXT_MAX = 48 * 1024, SOON_DAYS = 30, DAY_S = 86400, LINES_MOST = 50 };

static void put(struct mm_buf *out, const char *fmt, ...) MM_PRINTF(2);

static void
put(struct mm_buf *out, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	mm_buf_text(out, text);
}

/* ---- counting ---- */

static struct mm_tally_kind *
kind_of(struct mm_tally *t, const char *reason)
{
	struct mm_tally_kind *k;

	for (size_t i = 0; i < t->nkind; i++)
		if (strcmp(t->kind[i].reason, reason) == 0)
			return &t->kind[i];
	if (t->nkind == MM_TALLY_KINDS)
		return NULL;
	k = &t->kind[t->nkind++];
	memset(k, 0, sizeof(*k));
	(void)!mm_text_copy(k->reason, sizeof(k->reason), mm_bytes_of(reason));
	k->severity = mm_alarm_severity(reason);
	return k;
}

/* "device SN-1, product thermo, ends 2026-12-01T..." */
static void
describe(const json_t *e, char out[MM_TALLY_LINE])
{
	static const char *const fields[][2] = { { "device", "device" },
		{ "product", "product" }, { "issuer", "issuer" },
		{ "origin", "root" }, { "key", "credential" },
		{ "station", "station" }, { "group", "group" },
		{ "webhook", "webhook" }, { "serial", "serial" },
		{ "token", "token" }, { "count", "count" },
		{ "node", "node" }, { "expires", "ends" } };
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const char *v = json_string_value(
		    json_object_get(e, fields[i][0]));

		if (v == NULL || n + strlen(v) + 20 > MM_TALLY_LINE)
			continue;
		n += (size_t)snprintf(out + n, MM_TALLY_LINE - n, "%s%s %s",
		    n > 0 ? ", " : "", fields[i][1], v);
	}
}

static void
add_to(struct mm_tally_kind *k, const json_t *e)
{
	const char *at = json_string_value(json_object_get(e, "at"));
	int64_t at_ms = 0;

	(void)!mm_time_parse(at != NULL ? at : "", &at_ms, NULL);
	if (k->n++ == 0)
		k->first_at = at_ms;
	k->last_at = at_ms;
	if (k->nshown < MM_TALLY_SHOWN)
		describe(e, k->shown[k->nshown++]);
}

/* see mail.h */
void
mm_tally_add(struct mm_tally *t, uint64_t index, struct mm_bytes entry,
    enum mm_severity least)
{
	MM_OWN(json_free) json_t *e = json_loadb((const char *)entry.p,
	    entry.n, 0, NULL);
	const char *reason = json_string_value(json_object_get(e, "reason"));
	struct mm_tally_kind *k;

	if (reason == NULL || mm_alarm_severity(reason) < least)
		return;
	if (t->n++ == 0)
		t->first = index;
	t->last = index;
	if (mm_alarm_severity(reason) > t->worst)
		t->worst = mm_alarm_severity(reason);
	k = kind_of(t, reason);
	if (k != NULL)
		add_to(k, e);
	else
		t->others++;
}

/* ---- a mail ---- */

static void
put_whose(const struct mm_server *s, struct mm_buf *out)
{
	mm_letter_put_clean(out, s->config->set.name);
	put(out, " (%s)", s->config->set.ledger_origin);
}

static enum mm_err
seal(const struct mm_server *s, const struct mm_buf *text,
    const char *subject, const char *id, struct mm_buf *out,
    struct mm_why *why)
{
	struct mm_letter l = { .set = &s->config->set, .subject = subject,
		.id = id, .at_ms = mm_now_ms(), .text = mm_buf_view(text) };

	MM_TRY(mm_buf_ok(text, why));
	mm_letter_put(out, &l);
	return mm_buf_ok(out, why);
}

/* What names a mail: the ledger's hash, and what it is about. */
static void
name_it(const struct mm_server *s, const char *about, char out[97])
{
	uint8_t hash[32];
	char hex[17];

	mm_sha256(mm_bytes_of(s->config->set.ledger_origin), hash);
	mm_hex_text(hash, 8, hex);
	snprintf(out, 97, "mintmark.%s.%s", hex, about);
}

/* ---- alerts ---- */

static void
put_kind(struct mm_buf *out, const struct mm_tally_kind *k)
{
	char first[MM_TIME_TEXT], last[MM_TIME_TEXT];
	const char *means = mm_alarm_means(k->reason);

	mm_time_text(k->first_at, first);
	mm_time_text(k->last_at, last);
	put(out, "\n%s: %s, ", mm_severity_words[k->severity], k->reason);
	if (k->n == 1)
		put(out, "%.19sZ\n", first);
	else
		put(out, "%llu times, from %.19sZ to %.19sZ\n",
		    (unsigned long long)k->n, first, last);
	if (means[0] != '\0')
		put(out, "  %s.\n", means);
	for (unsigned i = 0; i < k->nshown; i++) {
		if (k->shown[i][0] == '\0')
			continue;
		mm_buf_text(out, "  - ");
		mm_letter_put_clean(out, k->shown[i]);
		mm_buf_u8(out, '\n');
	}
	if (k->n > k->nshown)
		put(out, "  - and %llu more\n",
		    (unsigned long long)(k->n - k->nshown));
	mm_buf_text(out, "  What to do: ");
	mm_alarm_put_todo(out, k->reason);
	mm_buf_text(out, "\n");
}

/* The worst first, in each as they came. */
static void
put_kinds(struct mm_buf *out, const struct mm_tally *t)
{
	for (int s = MM_SEVERITIES - 1; s >= 0; s--)
		for (size_t i = 0; i < t->nkind; i++)
			if (t->kind[i].severity == (enum mm_severity)s)
				put_kind(out, &t->kind[i]);
	if (t->others > 0)
		put(out, "\nand %llu of more kinds\n",
		    (unsigned long long)t->others);
}

static const char *
worst_reason(const struct mm_tally *t)
{
	for (size_t i = 0; i < t->nkind; i++)
		if (t->kind[i].severity == t->worst)
			return t->kind[i].reason;
	return "";
}

/* see mail.h */
enum mm_err
mm_mail_alerts(const struct mm_server *s, const struct mm_tally *t,
    struct mm_buf *out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(TEXT_MAX);
	char subject[160], about[64], id[97];

	put(&text, "%llu alert%s of ", (unsigned long long)t->n,
	    t->n == 1 ? "" : "s");
	put_whose(s, &text);
	mm_buf_text(&text, ".\n");
	put_kinds(&text, t);
	put(&text, "\nAll of them: mintmark ledger entries --type alert\n"
	    "(entries %llu to %llu)\n", (unsigned long long)t->first,
	    (unsigned long long)t->last);
	snprintf(subject, sizeof(subject), "[Mintmark] %s: %s%s",
	    mm_severity_words[t->worst], worst_reason(t),
	    t->nkind > 1 ? " and others" : "");
	snprintf(about, sizeof(about), "%llu-%llu",
	    (unsigned long long)t->first, (unsigned long long)t->last);
	name_it(s, about, id);
	return seal(s, &text, subject, id, out, why);
}

/* ---- what ends soon ---- */

static bool
is_soon(const struct mm_end *e, int64_t now_s)
{
	if (mm_end_rules[e->kind].by == MM_END_BY_HAND)
		return e->end_s < now_s + SOON_DAYS * DAY_S;
	return mm_end_late(e, now_s);
}

static void
put_end(struct mm_buf *out, const struct mm_end *e, int64_t now_s)
{
	char at[MM_TIME_TEXT];

	mm_time_text_s(e->end_s, at);
	put(out, "- %s ", mm_end_rules[e->kind].word);
	mm_letter_put_clean(out, e->name);
	if (e->of[0] != '\0') {
		mm_buf_text(out, ", ");
		mm_letter_put_clean(out, e->of);
	}
	put(out, ": %s %.16s UTC (%lld days)\n  What to do: %s\n",
	    mm_end_late(e, now_s) ? "not renewed in time, ends" : "ends", at,
	    (long long)((e->end_s - now_s) / DAY_S),
	    mm_end_rules[e->kind].todo);
}

static enum mm_err
put_ends(struct mm_server *s, struct mm_buf *out, size_t *sum,
    struct mm_why *why)
{
	struct mm_ends_seen seen = mm_ends_take(s->ends);
	int64_t now_s = mm_now_s(), as_of = seen.as_of;
	size_t n = 0;

	for (size_t i = 0; i < seen.n; i++) {
		if (!is_soon(&seen.end[i], now_s))
			continue;
		if (n++ < LINES_MOST)
			put_end(out, &seen.end[i], now_s);
	}
	mm_ends_give(s->ends);
	if (n > LINES_MOST)
		put(out, "- and %zu more\n", n - LINES_MOST);
	*sum += n;
	return as_of != 0 ? MM_OK :
	    MM_FAIL(why, MM_EAGAIN, "not listed yet");
}

/* Line by line, as GET /expiry/ends has it: late first. */
static enum mm_err
put_devices(struct mm_server *s, struct mm_buf *out, size_t *sum,
    struct mm_why *why)
{
	struct mm_forecast *f = mm_core_forecast(s->core);
	size_t n = 0;

	if (f == NULL)
		return MM_FAIL(why, MM_EAGAIN, "not counted yet");
	for (size_t i = 0; i < f->nclass; i++) {
		uint64_t late, in_use;

		if (!mm_forecast_product(f, i, &late, &in_use) ||
		    !mm_devices_late(late, in_use) || n++ >= LINES_MOST)
			continue;
		put(out, "- product %s: %llu of %llu certificates in use "
		    "should have been renewed\n  What to do: mintmark device "
		    "silent --product %s names the devices\n",
		    f->class[i].product, (unsigned long long)late,
		    (unsigned long long)in_use, f->class[i].product);
	}
	mm_core_forecast_done(s->core, f);
	*sum += n;
	return MM_OK;
}

/* see mail.h */
enum mm_err
mm_mail_digest(struct mm_server *s, struct mm_buf *out, bool *any,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(TEXT_MAX);
	char subject[80], at[MM_TIME_TEXT], id[97], about[32];
	size_t n = 0;

	mm_buf_text(&text, "What a person has to see to in the next 30 days, "
	    "of ");
	put_whose(s, &text);
	mm_buf_text(&text, ".\n\n");
	MM_TRY(put_ends(s, &text, &n, why));
	MM_TRY(put_devices(s, &text, &n, why));
	*any = n > 0;
	if (n == 0)
		return MM_OK;
	mm_buf_text(&text, "\nEverything that ends: mintmark expiry\n");
	mm_time_text(mm_now_ms(), at);
	snprintf(about, sizeof(about), "expiry.%.10s", at);
	name_it(s, about, id);
	snprintf(subject, sizeof(subject), "[Mintmark] %zu thing%s to renew "
	    "or look at", n, n == 1 ? "" : "s");
	return seal(s, &text, subject, id, out, why);
}

/* see mail.h */
enum mm_err
mm_mail_test(const struct mm_server *s, const char *request,
    struct mm_buf *out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(TEXT_MAX);
	char id[97], about[32];

	mm_buf_text(&text, "Mails of ");
	put_whose(s, &text);
	mm_buf_text(&text, " arrive. An operator asked for this one "
	    "(mintmark mail test); there is nothing to do.\n");
	snprintf(about, sizeof(about), "test.%s", request);
	name_it(s, about, id);
	return seal(s, &text, "[Mintmark] test: nothing to do", id, out, why);
}
