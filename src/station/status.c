#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/own.h"
#include "station/run.h"

static enum mm_err
take(void *ctx, const struct mm_row *r)
{
	struct mm_book *b = ctx;
	struct mm_unit *u;

	MM_TRY(mm_book_need(b, r->unit.serial, &u, NULL));
	*u = r->unit;
	return MM_OK;
}

static void
count(const struct mm_book *b, unsigned n[MM_UNIT_STATES])
{
	memset(n, 0, MM_UNIT_STATES * sizeof(n[0]));
	for (size_t i = 0; i < mm_book_n(b); i++)
		n[mm_book_at(b, i)->state]++;
}

static void
put_counts(struct mm_buf *out, const unsigned n[MM_UNIT_STATES], bool json)
{
	struct mm_json j = mm_json_over(out);

	if (json)
		mm_json_open(&j, '{');
	for (unsigned i = 1; i < MM_UNIT_STATES; i++) {
		bool shown = n[i] > 0 || i == MM_UNIT_PASSED ||
		    i == MM_UNIT_FAILED;

		if (json && shown)
			mm_json_int(&j, mm_unit_state_names[i], n[i]);
		else if (shown)
			mm_buf_printf(out, "%-12s %u\n",
			    mm_unit_state_names[i], n[i]);
	}
	if (json) {
		mm_json_close(&j, '}');
		mm_buf_text(out, "\n");
	}
}

static enum mm_err
load(const struct mm_station_conf *conf, struct mm_book *b,
    struct mm_why *why)
{
	char path[PATH_MAX + 16];

	MM_TRY(mm_path_join(path, sizeof(path), conf->state, "journal", why));
	return mm_rows_read(path, take, b, why);
}

/* see run.h */
int
mm_run_status(const struct mm_station_conf *conf,
    const struct mm_station_args *a, enum mm_err *err, struct mm_why *why)
{
	MM_OWN(mm_book_free) struct mm_book *b = NULL;
	struct mm_buf out = MM_BUF_INIT(8192);
	unsigned n[MM_UNIT_STATES];

	*err = mm_book_new(&b, why);
	if (*err == MM_OK)
		*err = load(conf, b, why);
	if (*err != MM_OK)
		return mm_err_exit(*err);
	count(b, n);
	put_counts(&out, n, a->json);
	mm_run_put(&out);
	return 0;
}
