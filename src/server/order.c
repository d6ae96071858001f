#include "server/order.h"

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

/* see order.h */
bool
mm_order_within(const struct mm_order *o, enum mm_order_of what,
    uint64_t size, int64_t slack_ms)
{
	return atomic_load(&o->seen) >= size &&
	    atomic_load(&o->back_ms[what]) <= slack_ms;
}
