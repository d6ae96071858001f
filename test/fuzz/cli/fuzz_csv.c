/* Properties: every record that is read has the header's number of cells; each
 * refusal has a reason; a cell is found by its column's name; and records that
 * are written with mm_csv_put are read again cell by cell (where a spreadsheet
 * would see a formula, behind one quote). */
#include <stdlib.h>
#include <string.h>

#include "cli/bulk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static FILE *
stream(const void *data, size_t n)
{
	FILE *f = fmemopen((void *)(uintptr_t)data, n, "r");

	if (f == NULL)
		abort();
	return f;
}

static bool
same(const char *again, const char *cell)
{
	if (strcmp(again, cell) == 0)
		return true;
	return again[0] == '\'' && strcmp(again + 1, cell) == 0 &&
	    strchr("=+-@\t\r", cell[0]) != NULL;
}

static void
put_record(FILE *f, const char *const *cell, size_t n)
{
	for (size_t i = 0; i < n; i++)
		mm_csv_put(f, cell[i], i + 1 == n);
}

/* The record alone, under a header of as many names: what was written can be
 * longer than what was read, but not by more than a reader takes. */
static void
read_again(const struct mm_csv *c)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	struct mm_csv again;
	enum mm_err rc;

	if (f == NULL)
		abort();
	for (size_t i = 1; i < c->n; i++)
		fputc(',', f);
	fputc('\n', f);
	put_record(f, c->cell, c->n);
	fclose(f);
	if (mm_csv_over(&again, stream(text, size), "again", NULL) != MM_OK)
		abort();
	rc = mm_csv_next(&again, NULL);
	if (rc != MM_OK && size < MM_CSV_LINE / 2)
		abort();
	for (size_t i = 0; rc == MM_OK && i < c->n; i++)
		if (!same(again.cell[i], c->cell[i]))
			abort();
	if (rc == MM_OK && mm_csv_next(&again, NULL) != MM_ENOTFOUND)
		abort();
	mm_csv_close(&again);
	free(text);
}

static void
find_cells(const struct mm_csv *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (!mm_csv_has(c, c->name[i]) ||
		    mm_csv_get(c, c->name[i]) != c->cell[i])
			abort();
}

/* Goes on behind what is wrong, as an import does. */
static void
read_all(struct mm_csv *c, bool named)
{
	for (;;) {
		unsigned long long before = c->read;
		struct mm_why why = { 0 };
		enum mm_err rc = mm_csv_next(c, &why);

		if (rc == MM_ENOTFOUND)
			return;
		if (rc != why.code || (rc != MM_OK && rc != MM_EINPUT) ||
		    (rc == MM_OK && (c->n != c->nnames || !c->whole)))
			abort();
		if (c->read == before && rc == MM_OK && !feof(c->f))
			abort();
		if (rc == MM_OK && named)
			find_cells(c);
		if (rc == MM_OK)
			read_again(c);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mm_csv c;
	struct mm_why why = { 0 };
	enum mm_err rc;

	if (size == 0)
		return 0; /* no stream of fmemopen's */
	rc = mm_csv_over(&c, stream(data, size), "fuzz", &why);
	if (rc != why.code || (rc != MM_OK && rc != MM_EINPUT))
		abort();
	if (rc == MM_OK)
		read_all(&c, mm_csv_names(&c, "fuzz", NULL) == MM_OK);
	mm_csv_close(&c);
	return 0;
}
