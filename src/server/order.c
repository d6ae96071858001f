#include "server/order.h"

#include <jansson.h>

#include "base/json.h"
#include "base/text.h"
#include "base/time.h"
#include "ledger/entry.h"

enum { ROUND = 256 }; /* entries between two looks at the clock */

static bool
dates_row(struct mm_bytes type)
{
	static const enum mm_entry_type types[] = { MM_E_DEVICE_CREATED,
		MM_E_CERT_ISSUED, MM_E_CERT_RENEWED, MM_E_CERT_SYNCED };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (mm_bytes_eq(type, mm_bytes_of(mm_entry_type_name(
		    types[i]))))
			return true;
	return false;
}

static void
note(struct mm_order *o, enum mm_order_of what, int64_t at)
{
	int64_t back = o->newest_ms[what] - at;

	if (back < 0)
		o->newest_ms[what] = at;
	if (back > atomic_load(&o->back_ms[what]))
		atomic_store(&o->back_ms[what], back);
}

/* An entry without a time is none that was written here, and in no order. */
static enum mm_err
look_at(void *ctx, uint64_t index, struct mm_bytes entry, struct mm_why *why)
{
	struct mm_order *o = ctx;
	struct mm_entry_view v;
	char text[MM_TIME_TEXT];
	int64_t at;

	(void)why;
	mm_entry_look(entry, &v);
	if (!mm_text_copy(text, sizeof(text), v.at) ||
	    mm_time_parse(text, &at, NULL) != MM_OK)
		at = INT64_MIN / 2;
	note(o, MM_ORDER_ENTRIES, at);
	if (dates_row(v.type))
		note(o, MM_ORDER_ROWS, at);
	atomic_store(&o->seen, index + 1); /* last: who sees it sees the rest */
	return MM_OK;
}

/* see order.h */
void
mm_order_look(struct mm_order *o, struct mm_store_reader *r, uint64_t size,
    int64_t ms)
{
	int64_t until = mm_mono_ms() + ms;
	enum mm_err rc = MM_OK;
	uint64_t at;

	if (atomic_load(&o->seen) >= size || atomic_exchange(&o->busy, true))
		return;
	while (rc == MM_OK && (at = atomic_load(&o->seen)) < size &&
	    mm_mono_ms() < until)
		rc = mm_each_entry(r, at, size - at < ROUND ? size : at + ROUND,
		    look_at, o, NULL);
	atomic_store(&o->busy, false);
}

/* ---- from one start to the next ---- */

/* Which entries count: what others have counted is counted anew. */
enum { RULES = 1 };
static const char *const newest[MM_ORDER_COUNT] = { "newest", "newest_row" };
static const char *const back[MM_ORDER_COUNT] = { "back", "back_rows" };

/* see order.h */
bool
mm_order_write(struct mm_order *o, struct mm_buf *json)
{
	struct mm_json j = mm_json_over(json);

	if (atomic_exchange(&o->busy, true))
		return false;
	mm_json_open(&j, '{');
	mm_json_int(&j, "rules", RULES);
	mm_json_int(&j, "seen", (int64_t)atomic_load(&o->seen));
	for (unsigned i = 0; i < MM_ORDER_COUNT; i++) {
		mm_json_int(&j, newest[i], o->newest_ms[i]);
		mm_json_int(&j, back[i], atomic_load(&o->back_ms[i]));
	}
	mm_json_close(&j, '}');
	atomic_store(&o->busy, false);
	return true;
}

/* One that is not there, or is less than 0, makes all of it bad. */
static int64_t
number(const json_t *o, const char *name, bool *bad)
{
	const json_t *v = json_object_get(o, name);

	*bad |= !json_is_integer(v) || json_integer_value(v) < 0;
	return json_integer_value(v);
}

static bool
take(struct mm_order *o, const json_t *doc, uint64_t size)
{
	int64_t newest_ms[MM_ORDER_COUNT], back_ms[MM_ORDER_COUNT];
	bool bad = false;
	uint64_t seen = (uint64_t)number(doc, "seen", &bad);

	for (unsigned i = 0; i < MM_ORDER_COUNT; i++) {
		newest_ms[i] = number(doc, newest[i], &bad);
		back_ms[i] = number(doc, back[i], &bad);
	}
	if (bad || number(doc, "rules", &bad) != RULES || seen > size || seen <= atomic_load(&o->seen))
		return false;
	for (unsigned i = 0; i < MM_ORDER_COUNT; i++) {
		o->newest_ms[i] = newest_ms[i];
		atomic_store(&o->back_ms[i], back_ms[i]);
	}
	atomic_store(&o->seen, seen);
	return true;
}

/* see order.h */
bool
mm_order_read(struct mm_order *o, struct mm_bytes json, uint64_t size)
{
	json_t *doc;
	bool taken;

	if (atomic_exchange(&o->busy, true))
		return false;
	doc = json_loadb((const char *)json.p, json.n, JSON_REJECT_DUPLICATES,
	    NULL);
	taken = take(o, doc, size);
	atomic_store(&o->busy, false);
	json_decref(doc);
	return taken;
}

/* see order.h */
bool
mm_order_within(const struct mm_order *o, enum mm_order_of what,
    uint64_t size, int64_t slack_ms)
{
	return atomic_load(&o->seen) >= size &&
	    atomic_load(&o->back_ms[what]) <= slack_ms;
}
