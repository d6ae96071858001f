#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/grow.h"
#include "base/own.h"
#include "base/text.h"
#include "base/time.h"
#include "cli/commands.h"
#include "cli/pages.h"
#include "line/birth.h"

/*
 * "ca incident": what became of everything that an issuer has issued, as one
 * file for whoever has to be told: auditors, customers, an authority.  The
 * server's records are asked twice, page by page: who came after which
 * certificate, and then each of the issuer's.
 */
enum { RECEIPT_MAX = 256 * 1024, FILE_MOST = 1 << 30 };

const struct mm_opt mm_opts_ca_incident[] = {
	{ "out", "FILE", "where the JSON goes (default: standard output)",
	    MM_C_FILE, NULL },
	{ "html", "FILE", "the same as a page for people", MM_C_FILE, NULL },
	{ "receipts", NULL, "with the ledger's receipt of each certificate and "
	    "of what replaced it", MM_C_NONE, NULL },
	{ NULL, NULL, NULL, MM_C_NONE, NULL },
};

enum standing { REPLACED, SUPERSEDED, REVOKED, ENDED, WAITING, STANDINGS };
static const struct {
	const char *word, *means;
} standings[STANDINGS] = {
	[REPLACED] = { "replaced", "its device has proved a certificate of "
	    "another issuer" },
	[SUPERSEDED] = { "superseded", "a later one of the same issuer took "
	    "its place" },
	[REVOKED] = { "revoked", "on the issuer's revocation list" },
	[ENDED] = { "ended", "past its end, and not replaced" },
	[WAITING] = { "waiting", "good still: its device has not come" },
};

struct after { /* who came after a certificate */
	char before[40], serial[40], issuer[MM_NAME_MAX + 1];
	char issued[40], confirmed[40];
	json_int_t index;
};
struct incident {
	struct mm_client *c;
	const char *issuer;
	bool receipts;
	struct after *after;
	size_t n, cap;
	uint64_t count[STANDINGS];
	struct mm_buf rows; /* of the page for people */
	json_t *certs;
};

static void
incident_done(struct incident *i)
{
	free(i->after);
	mm_buf_done(&i->rows);
	json_decref(i->certs);
}

/* ---- the records, page by page ---- */

static void
copy(char *out, size_t n, const json_t *row, const char *member)
{
	snprintf(out, n, "%s", mm_json_text(row, member));
}

static enum mm_err
take_after(void *ctx, json_t *row, struct mm_why *why)
{
	struct incident *i = ctx;
	struct after *a;

	if (mm_json_text(row, "predecessor")[0] == '\0')
		return MM_OK;
	a = mm_grown(i->after, i->n, &i->cap, sizeof(*a));
	if (a == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	i->after = a;
	a += i->n++;
	copy(a->before, sizeof(a->before), row, "predecessor");
	copy(a->serial, sizeof(a->serial), row, "serial");
	copy(a->issuer, sizeof(a->issuer), row, "issuer");
	copy(a->issued, sizeof(a->issued), row, "issued");
	copy(a->confirmed, sizeof(a->confirmed), row, "confirmed");
	a->index = json_integer_value(json_object_get(row, "index"));
	return MM_OK;
}

static int
by_before(const void *a, const void *b)
{
	return strcmp(((const struct after *)a)->before,
	    ((const struct after *)b)->before);
}

/* Of several the one that was proved; a request that was never confirmed has
 * replaced nothing. */
static const struct after *
after_of(const struct incident *i, const char *serial)
{
	struct after key;
	const struct after *at, *end = i->after + i->n, *found;

	snprintf(key.before, sizeof(key.before), "%s", serial);
	at = i->n == 0 ? NULL : bsearch(&key, i->after, i->n, sizeof(*at),
	    by_before);
	if (at == NULL)
		return NULL;
	while (at > i->after && by_before(at - 1, &key) == 0)
		at--;
	for (found = at; at < end && by_before(at, &key) == 0; at++)
		if (at->confirmed[0] != '\0')
			found = at;
	return found;
}

/* ---- what became of one ---- */

static enum standing
stands(const struct incident *i, const json_t *row, const struct after *a)
{
	const char *state = mm_json_text(row, "state");
	int64_t end_ms = 0;

	if (a != NULL && a->confirmed[0] != '\0')
		return strcmp(a->issuer, i->issuer) != 0 ? REPLACED :
		    SUPERSEDED;
	if (strcmp(state, "revoked") == 0 || strcmp(state, "held") == 0 ||
	    strcmp(state, "orphaned") == 0)
		return REVOKED;
	if (mm_time_parse(mm_json_text(row, "not_after"), &end_ms, NULL) ==
	    MM_OK && end_ms < mm_now_ms())
		return ENDED;
	return WAITING;
}

static enum mm_err
put_receipt(struct incident *i, json_t *o, json_int_t index,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(RECEIPT_MAX);
	char path[64];

	snprintf(path, sizeof(path), "/api/v1/ledger/receipts/%lld",
	    (long long)index);
	if (!i->receipts)
		return MM_OK;
	MM_TRY(mm_client_bytes(i->c, path, &b, why));
	json_object_set_new(o, "receipt", json_stringn((const char *)b.p,
	    b.n));
	return MM_OK;
}

static const char *
words(const json_t *row, const char *member)
{
	const char *text = mm_json_text(row, member);

	return text[0] != '\0' ? text : "-";
}

static void
put_html(struct incident *i, const json_t *row, enum standing s,
    const struct after *a)
{
	const char *const cell[] = { words(row, "device"),
		words(row, "product"), words(row, "serial"),
		words(row, "not_after"), standings[s].word,
		a == NULL ? "-" : a->serial, a == NULL ? "-" : a->issuer,
		a == NULL || a->confirmed[0] == '\0' ? "-" : a->confirmed };

	mm_buf_text(&i->rows, "<tr>");
	for (size_t k = 0; k < sizeof(cell) / sizeof(cell[0]); k++) {
		mm_buf_text(&i->rows, "<td>");
		mm_birth_put_text(&i->rows, cell[k]);
		mm_buf_text(&i->rows, "</td>");
	}
	mm_buf_text(&i->rows, "</tr>\n");
}

static enum mm_err
take_row(void *ctx, json_t *row, struct mm_why *why)
{
	struct incident *i = ctx;
	static const char *const kept[] = { "device", "product", "serial",
		"profile", "issued", "not_after", "state", "reason", "index" };
	const struct after *a = after_of(i, mm_json_text(row, "serial"));
	enum standing s = stands(i, row, a);
	json_t *o = json_object(), *by;

	json_array_append_new(i->certs, o);
	for (size_t k = 0; k < sizeof(kept) / sizeof(kept[0]); k++)
		if (json_object_get(row, kept[k]) != NULL)
			json_object_set(o, kept[k],
			    json_object_get(row, kept[k]));
	json_object_set_new(o, "standing", json_string(standings[s].word));
	i->count[s]++;
	put_html(i, row, s, a);
	MM_TRY(put_receipt(i, o, json_integer_value(json_object_get(row,
	    "index")), why));
	if (a == NULL)
		return MM_OK;
	by = json_pack("{s:s,s:s,s:s,s:I}", "serial", a->serial, "issuer",
	    a->issuer, "issued", a->issued, "index", a->index);
	json_object_set_new(o, "replaced_by", by);
	if (a->confirmed[0] != '\0')
		json_object_set_new(by, "confirmed", json_string(
		    a->confirmed));
	return put_receipt(i, by, a->index, why);
}

/* ---- the whole ---- */

static json_t *
totals(const struct incident *i)
{
	json_t *o = json_object();

	for (unsigned s = 0; s < STANDINGS; s++)
		json_object_set_new(o, standings[s].word,
		    json_integer((json_int_t)i->count[s]));
	return o;
}

static enum mm_err
put_issuer(const struct incident *i, json_t *o, struct mm_why *why)
{
	MM_OWN(json_free) json_t *all = NULL;
	json_t *one;
	size_t k;

	MM_TRY(mm_client_call(i->c, "GET", "/issuers", NULL, &all, why));
	json_array_foreach(json_object_get(all, "items"), k, one)
		if (strcmp(mm_json_text(one, "name"), i->issuer) == 0) {
			json_object_set(o, "issuer", one);
			return MM_OK;
		}
	return MM_FAIL(why, MM_ENOTFOUND, "no issuer \"%.32s\"", i->issuer);
}

static enum mm_err
write_html(const struct incident *i, const char *path, const char *at,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(FILE_MOST);

	mm_buf_printf(&b, "<!doctype html><html lang=\"en\"><meta charset="
	    "\"utf-8\"><title>Incident: issuer %s</title><style>body{font:14px "
	    "sans-serif;margin:2em}td,th{padding:.2em .6em;text-align:left;"
	    "border-bottom:1px solid #ccc}</style><h1>Incident: issuer %s</h1>"
	    "<p>As recorded at %s.</p><table>", i->issuer, i->issuer, at);
	for (unsigned s = 0; s < STANDINGS; s++)
		mm_buf_printf(&b, "<tr><th>%s</th><td>%llu</td><td>%s</td>"
		    "</tr>\n", standings[s].word,
		    (unsigned long long)i->count[s], standings[s].means);
	mm_buf_text(&b, "</table><table><tr><th>device</th><th>product</th>"
	    "<th>certificate</th><th>its end</th><th>standing</th><th>replaced "
	    "by</th><th>of issuer</th><th>proved</th></tr>\n");
	mm_buf_bytes(&b, mm_buf_view(&i->rows));
	mm_buf_text(&b, "</table></html>\n");
	MM_TRY(mm_buf_ok(&i->rows, why));
	MM_TRY(mm_buf_ok(&b, why));
	return mm_file_replace(path, mm_buf_view(&b), 0644, why);
}

static enum mm_err
write_json(const struct incident *i, const char *path, const char *at,
    struct mm_why *why)
{
	MM_OWN(json_free) json_t *o = json_pack("{s:s,s:s}", "kind",
	    "issuing-ca-incident", "as_of", at);
	char *text;
	enum mm_err rc;

	MM_TRY(put_issuer(i, o, why));
	json_object_set_new(o, "totals", totals(i));
	json_object_set(o, "certificates", i->certs);
	if (path == NULL)
		return mm_json_print(o), MM_OK;
	text = json_dumps(o, JSON_INDENT(1));
	rc = text == NULL ? MM_ENOMEM :
	    mm_file_replace(path, mm_bytes_of(text), 0644, why);
	free(text);
	return rc;
}

static void
tell(const struct mm_cli *cli, const struct incident *i, const char *out)
{
	if (out == NULL)
		return;
	for (unsigned s = 0; s < STANDINGS; s++)
		printf("%-11s %8llu  %s\n", standings[s].word,
		    (unsigned long long)i->count[s], standings[s].means);
	if (i->count[WAITING] > 0)
		mm_cli_note(cli, "%llu are good still: renew_before in the "
		    "issuer's block pulls them", (unsigned long long)
		    i->count[WAITING]);
}

static enum mm_err
report(struct mm_cli *cli, struct incident *i, const struct mm_args *a,
    struct mm_why *why)
{
	const char *out = mm_arg(a, "out"), *html = mm_arg(a, "html");
	char path[MM_NAME_MAX + 32], at[MM_TIME_TEXT];

	if (!mm_name_valid(i->issuer))
		return MM_FAIL(why, MM_EINPUT, "no issuer's name");
	mm_time_text(mm_now_ms(), at);
	snprintf(path, sizeof(path), "/certificates?issuer=%s", i->issuer);
	MM_TRY(mm_cli_client(cli, &i->c, why));
	MM_TRY(mm_pages_each(i->c, "/certificates", take_after, i, why));
	if (i->n > 0)
		qsort(i->after, i->n, sizeof(*i->after), by_before);
	MM_TRY(mm_pages_each(i->c, path, take_row, i, why));
	MM_TRY(write_json(i, out, at, why));
	if (html != NULL)
		MM_TRY(write_html(i, html, at, why));
	tell(cli, i, out);
	return MM_OK;
}

enum mm_err
mm_cmd_ca_incident(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	MM_OWN(incident_done) struct incident i = { .issuer = a->pos[0],
		.receipts = mm_flag(a, "receipts"),
		.rows = MM_BUF_INIT(FILE_MOST), .certs = json_array() };

	return report(cli, &i, a, why);
}
