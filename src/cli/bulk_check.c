#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "base/time.h"
#include "cli/bulk.h"
#include "cli/client.h"
#include "cli/commands.h"

/* A CSV of tokens is read whole, before anything is minted from it. */
/* Complaints that are printed; the others are counted. */
enum { SAID_MOST = 50 };

struct check {
	struct mm_cli *cli;
	struct mm_csv *csv;
	const json_t *defaults;
	json_t *products; /* by name: whether there is one */
	bool online;
	unsigned long long good, bad;
};

/* see bulk.h */
enum mm_err
mm_bulk_ttl(const char *text, struct mm_why *why)
{
	int64_t s;

	MM_TRY(mm_duration_parse(text, &s, why));
	return s > 0 ? MM_OK : MM_FAIL(why, MM_EINPUT,
	    "ttl: want more than \"%.20s\"; without it the preset counts",
	    text);
}

/* The row's cell, or what stands for all rows; NULL for none. */
static const char *
value(const struct check *k, const char *name)
{
	const char *v = mm_csv_get(k->csv, name);

	if (v == NULL || v[0] == '\0')
		v = json_string_value(json_object_get(k->defaults, name));
	return v;
}

/* Asks once for each name.  MM_ENOTFOUND is the answer; others end it. */
static enum mm_err
product_known(struct check *k, const char *name, struct mm_why *why)
{
	json_t *known = json_object_get(k->products, name);
	struct mm_why w = { 0 };
	struct mm_client *c;
	char path[1024];
	enum mm_err rc;

	if (known == NULL) {
		MM_TRY(mm_cli_client(k->cli, &c, why));
		MM_TRY(mm_path(path, why, "/products/%s", name));
		rc = mm_client_call(c, "GET", path, NULL, NULL, &w);
		if (rc != MM_OK && rc != MM_ENOTFOUND)
			return MM_FAIL(why, rc, "%s", w.text);
		known = json_boolean(rc == MM_OK);
		json_object_set_new(k->products, name, known);
	}
	return json_is_true(known) ? MM_OK : MM_ENOTFOUND;
}

static bool
complain(struct check *k, const char *what, const char *value)
{
	if (k->bad++ < SAID_MOST)
		fprintf(stderr, "mintmark: %s: row %llu: %s%s%.60s%s\n",
		    k->csv->path, k->csv->row, what, value ? " \"" : "",
		    value ? value : "", value ? "\"" : "");
	return false;
}

/* 8 to 64 printable characters, as the server wants them. */
static bool
code_good(const char *code)
{
	size_t n = strlen(code);

	for (size_t i = 0; i < n; i++)
		if (code[i] <= ' ' || code[i] > '~')
			return false;
	return n >= 8 && n <= 64;
}

/* The row by itself. */
static bool
row_good(struct check *k)
{
	const char *device = mm_csv_get(k->csv, "device");
	const char *ttl = value(k, "ttl"), *door = value(k, "door");
	struct mm_why w = { 0 };

	if (device == NULL || !mm_device_id_valid(device))
		return complain(k, "not a device id:", device ? device : "");
	if (ttl != NULL && mm_bulk_ttl(ttl, &w) != MM_OK)
		return complain(k, w.text, NULL);
	if (door != NULL && strcmp(door, "handshake") != 0 &&
	    strcmp(door, "bearer") != 0)
		return complain(k, "no such door:", door);
	/* the code itself is not shown */
	if (mm_csv_has(k->csv, "code") && !code_good(value(k, "code") ?
	    value(k, "code") : ""))
		return complain(k, "not a code of 8 to 64 printable "
		    "characters without a space", NULL);
	return true;
}

static enum mm_err
row(struct check *k, struct mm_why *why)
{
	const char *product = value(k, "product");
	bool good = row_good(k);
	enum mm_err rc = MM_OK;

	if (k->online && product != NULL)
		rc = product_known(k, product, why);
	if (rc == MM_ENOTFOUND)
		good = good && complain(k, "no such product:", product);
	else
		MM_TRY(rc);
	k->good += good;
	return MM_OK;
}

/* see bulk.h */
enum mm_err
mm_bulk_check(struct mm_cli *cli, struct mm_csv *csv, const json_t *defaults,
    bool online, unsigned long long *good, struct mm_why *why)
{
	MM_OWN(json_free) json_t *products = json_object();
	struct check k = { cli, csv, defaults, products, online, 0, 0 };
	struct mm_why w = { 0 };
	enum mm_err rc;

	while ((rc = mm_csv_next(csv, &w)) != MM_ENOTFOUND) {
		if (rc == MM_OK) {
			MM_TRY(row(&k, why));
			continue;
		}
		/* Only of this one is it known where the next row begins. */
		if (!csv->whole)
			return MM_FAIL(why, rc, "%s", w.text);
		complain(&k, "not as many cells as the header has", NULL);
		w = (struct mm_why){ 0 };
	}
	*good = k.good;
	if (k.bad > SAID_MOST)
		fprintf(stderr, "mintmark: and %llu more\n",
		    k.bad - SAID_MOST);
	return k.bad == 0 ? MM_OK : MM_FAIL(why, MM_EINPUT,
	    "%.80s: %llu %s wrong; nothing was minted", csv->path, k.bad,
	    mm_counted(k.bad, "row is", "rows are"));
}
