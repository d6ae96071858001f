#include <dirent.h>
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

/* A record whose unit the journal has no rows of any more. */
static bool
is_old(const struct mm_book *b, const char *name)
{
	char serial[MM_DEVICE_ID_MAX + 1];
	size_t n = strlen(name);

	if (n < 6 || strcmp(name + n - 5, ".json") != 0)
		return false;
	return mm_text_copy(serial, sizeof(serial), (struct mm_bytes){
	    (const uint8_t *)name, n - 5 }) && mm_book_find(b, serial) == NULL;
}

static enum mm_err
count(const struct mm_station_conf *conf, const struct mm_book *b,
    unsigned n[MM_UNIT_STATES], struct mm_why *why)
{
	char path[PATH_MAX + 16];
	const struct dirent *e;
	DIR *d;

	memset(n, 0, MM_UNIT_STATES * sizeof(n[0]));
	for (size_t i = 0; i < mm_book_n(b); i++)
		n[mm_book_at(b, i)->state]++;
	MM_TRY(mm_path_join(path, sizeof(path), conf->state, "records", why));
	d = opendir(path);
	while (d != NULL && (e = readdir(d)) != NULL)
		n[MM_UNIT_PASSED] += is_old(b, e->d_name);
	if (d != NULL)
		(void)closedir(d);
	return MM_OK;
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
	*err = count(conf, b, n, why);
	if (*err != MM_OK)
		return mm_err_exit(*err);
	put_counts(&out, n, a->json);
	mm_run_put(&out);
	return 0;
}
