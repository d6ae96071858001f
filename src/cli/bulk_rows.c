#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "cli/bulk.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "work/serials.h"

/*
 * Where the rows of a bulk of tokens come from: a table of the caller's, or
 * one that is made of a run of serial numbers or of a batch's units and has
 * the column "device" alone.  It is on the disk, so that it can be read twice
 * and is of any length.
 */

/* see bulk.h */
bool
mm_bulk_wanted(const struct mm_args *a)
{
	return mm_arg(a, "csv") != NULL || mm_arg(a, "serials") != NULL ||
	    mm_arg(a, "batch") != NULL;
}

static enum mm_err
from_serials(const char *text, FILE *f, struct mm_why *why)
{
	char device[MM_DEVICE_ID_MAX + 1];
	struct mm_serials run;

	MM_TRY(mm_serials_parse(text, &run, why));
	for (uint64_t i = 0; i < mm_serials_count(&run); i++) {
		mm_serials_at(&run, i, device);
		fprintf(f, "%s\n", device);
	}
	return MM_OK;
}

/* A unit with an identity: what failed or was scrapped is nobody's device. */
static bool
is_good(const json_t *unit)
{
	const char *result = mm_json_text(unit, "result");

	return strcmp(result, "passed") == 0 || strcmp(result, "issued") == 0;
}

static enum mm_err
page(struct mm_client *c, const char *batch, char after[512],
    unsigned long long *n, FILE *f, struct mm_why *why)
{
	MM_OWN(json_free) json_t *o = NULL;
	char path[1024];
	json_t *unit;
	size_t i;

	MM_TRY(mm_path(path, why, after[0] != '\0' ?
	    "/batches/%s/units?limit=1000&after=%s" :
	    "/batches/%s/units?limit=1000", batch, after));
	MM_TRY(mm_client_call(c, "GET", path, NULL, &o, why));
	json_array_foreach(json_object_get(o, "items"), i, unit)
		if (is_good(unit)) {
			fprintf(f, "%s\n", mm_json_text(unit, "device"));
			++*n;
		}
	if (!mm_text_copy(after, 512, mm_bytes_of(mm_json_text(o, "next"))))
		return MM_FAIL(why, MM_ELIMIT, "the server's key is too long");
	return MM_OK;
}

static enum mm_err
from_batch(struct mm_cli *cli, const char *batch, FILE *f, struct mm_why *why)
{
	unsigned long long n = 0;
	struct mm_client *c;
	char after[512] = "";

	MM_TRY(mm_cli_client(cli, &c, why));
	do
		MM_TRY(page(c, batch, after, &n, f, why));
	while (after[0] != '\0');
	if (n > 0)
		return MM_OK;
	mm_cli_hint(cli, "of devices that are not made yet say the serial "
	    "numbers: --serials 'SN-{000001..005000}' --product PRODUCT");
	return MM_FAIL(why, MM_ENOTFOUND, "batch %s: no unit of it has been "
	    "made", batch);
}

static enum mm_err
make(struct mm_cli *cli, const struct mm_args *a, FILE *f, struct mm_why *why)
{
	fputs("device\n", f);
	if (mm_arg(a, "serials") != NULL)
		MM_TRY(from_serials(mm_arg(a, "serials"), f, why));
	else
		MM_TRY(from_batch(cli, mm_arg(a, "batch"), f, why));
	if (fflush(f) != 0 || ferror(f))
		return MM_FAIL(why, MM_ESYS, "temporary file: %s",
		    strerror(errno));
	return MM_OK;
}

/* see bulk.h */
enum mm_err
mm_bulk_rows(struct mm_cli *cli, const struct mm_args *a, FILE **made,
    struct mm_csv *csv, struct mm_why *why)
{
	const char *path = mm_arg(a, "csv");
	FILE *f;
	int fd;

	if (path != NULL) /* the only source of an import */
		return mm_csv_open(csv, path, why);
	if (*made == NULL) {
		*made = tmpfile();
		if (*made == NULL)
			return MM_FAIL(why, MM_ESYS, "temporary file: %s",
			    strerror(errno));
		MM_TRY(make(cli, a, *made, why));
	}
	fd = dup(fileno(*made));
	if (fd < 0 || lseek(fd, 0, SEEK_SET) != 0 ||
	    (f = fdopen(fd, "r")) == NULL)
		return MM_FAIL(why, MM_ESYS, "temporary file: %s",
		    strerror(errno));
	return mm_csv_over(csv, f, mm_arg(a, "serials") != NULL ?
	    "--serials" : "--batch", why);
}
