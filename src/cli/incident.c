#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/own.h"
#include "base/text.h"
#include "base/time.h"
#include "cli/commands.h"
#include "cli/incident.h"
#include "cli/pages.h"
#include "line/birth.h"
#include "pki/cert.h"

/*
 * "ca incident": what became of everything that an issuer has issued, as one
 * file for whoever has to be told: auditors, customers, an authority.  The
 * server's records are asked twice, page by page: who came after which
 * certificate, and then each of the issuer's.
 */
enum { RECEIPT_MAX = 256 * 1024, ROW_MAX = 64 * 1024 };

const struct mm_opt mm_opts_ca_incident[] = {
	{ "out", "FILE", "where the JSON goes (default: standard output)",
	    MM_C_FILE, NULL },
	{ "html", "FILE", "the same as a page for people", MM_C_FILE, NULL },
	{ "receipts", NULL, "with the ledger's receipt of each certificate and "
	    "of what replaced it", MM_C_NONE, NULL },
	{ NULL, NULL, NULL, MM_C_NONE, NULL },
};

struct after { /* who came after a certificate */
	uint8_t before[MM_SERIAL_N], serial[MM_SERIAL_N];
	int64_t issued_ms, confirmed_ms; /* 0: it was never proved */
	json_int_t index;
	char issuer[MM_NAME_MAX + 1];
};
struct incident {
	struct mm_client *c;
	const char *issuer;
	bool receipts;
	struct after *after; /* the one thing that is kept of all */
	size_t n, cap;
	struct mm_standing_counts count;
	struct mm_incident_out out;
	struct mm_buf row; /* of the page for people */
};

static void
incident_done(struct incident *i)
{
	free(i->after);
	mm_incident_drop(&i->out);
	mm_buf_done(&i->row);
}

/* ---- the records, page by page ---- */

static bool
read_serial(const json_t *row, const char *member, uint8_t out[MM_SERIAL_N])
{
	const char *text = mm_json_text(row, member);

	return strlen(text) == 2 * MM_SERIAL_N && mm_hex_parse(text,
	    2 * MM_SERIAL_N, out, MM_SERIAL_N, NULL) == MM_OK;
}

static int64_t
read_time(const json_t *row, const char *member)
{
	int64_t ms;

	return mm_time_parse(mm_json_text(row, member), &ms, NULL) == MM_OK ?
	    ms : 0;
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
	a += i->n;
	if (!read_serial(row, "predecessor", a->before) ||
	    !read_serial(row, "serial", a->serial))
		return MM_FAIL(why, MM_EINPUT, "the server gives a serial "
		    "number that is none");
	i->n++;
	snprintf(a->issuer, sizeof(a->issuer), "%s", mm_json_text(row,
	    "issuer"));
	a->issued_ms = read_time(row, "issued");
	a->confirmed_ms = read_time(row, "confirmed");
	a->index = json_integer_value(json_object_get(row, "index"));
	return MM_OK;
}

static int
by_before(const void *a, const void *b)
{
	return memcmp(((const struct after *)a)->before,
	    ((const struct after *)b)->before, MM_SERIAL_N);
}

/* Of several the one that was proved; a request that was never confirmed has
 * replaced nothing. */
static const struct after *
after_of(const struct incident *i, const json_t *row)
{
	struct after key;
	const struct after *at, *end = i->after + i->n, *found;

	at = i->n == 0 || !read_serial(row, "serial", key.before) ? NULL :
	    bsearch(&key, i->after, i->n, sizeof(*at), by_before);
	if (at == NULL)
		return NULL;
	while (at > i->after && by_before(at - 1, &key) == 0)
		at--;
	for (found = at; at < end && by_before(at, &key) == 0; at++)
		if (at->confirmed_ms != 0)
			found = at;
	return found;
}

/* ---- what became of one ---- */

static enum mm_standing
stands(const struct incident *i, const json_t *row, const struct after *a)
{
	const char *state = mm_json_text(row, "state");
	int64_t end_ms = read_time(row, "not_after");

	if (a != NULL && a->confirmed_ms != 0)
		return strcmp(a->issuer, i->issuer) != 0 ? MM_REPLACED :
		    MM_SUPERSEDED;
	if (strcmp(state, "revoked") == 0 || strcmp(state, "held") == 0 ||
	    strcmp(state, "orphaned") == 0)
		return MM_CERT_OFF;
	return end_ms != 0 && end_ms < mm_now_ms() ? MM_ENDED : MM_WAITING;
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
put_html(struct incident *i, const json_t *row, enum mm_standing s,
    const struct after *a)
{
	char serial[2 * MM_SERIAL_N + 1] = "-", proved[MM_TIME_TEXT] = "-";
	const char *const cell[] = { words(row, "device"),
		words(row, "product"), words(row, "serial"),
		words(row, "not_after"), mm_standings[s].word, serial,
		a == NULL ? "-" : a->issuer, proved };

	if (a != NULL)
		mm_hex_text(a->serial, MM_SERIAL_N, serial);
	if (a != NULL && a->confirmed_ms != 0)
		mm_time_text(a->confirmed_ms, proved);
	mm_buf_reset(&i->row);
	mm_buf_text(&i->row, "<tr>");
	for (size_t k = 0; k < sizeof(cell) / sizeof(cell[0]); k++) {
		mm_buf_text(&i->row, "<td>");
		mm_birth_put_text(&i->row, cell[k]);
		mm_buf_text(&i->row, "</td>");
	}
	mm_buf_text(&i->row, "</tr>\n");
}

static enum mm_err
put_after(struct incident *i, json_t *o, const struct after *a,
    struct mm_why *why)
{
	char serial[2 * MM_SERIAL_N + 1], at[MM_TIME_TEXT];
	json_t *by;

	if (a == NULL)
		return MM_OK;
	mm_hex_text(a->serial, MM_SERIAL_N, serial);
	mm_time_text(a->issued_ms, at);
	by = json_pack("{s:s,s:s,s:s,s:I}", "serial", serial, "issuer",
	    a->issuer, "issued", at, "index", a->index);
	json_object_set_new(o, "replaced_by", by);
	if (a->confirmed_ms != 0) {
		mm_time_text(a->confirmed_ms, at);
		json_object_set_new(by, "confirmed", json_string(at));
	}
	return put_receipt(i, by, a->index, why);
}

static enum mm_err
take_row(void *ctx, json_t *row, struct mm_why *why)
{
	struct incident *i = ctx;
	static const char *const kept[] = { "device", "product", "serial",
		"profile", "issued", "not_after", "state", "reason", "index" };
	const struct after *a = after_of(i, row);
	enum mm_standing s = stands(i, row, a);
	MM_OWN(json_free) json_t *o = json_object();

	for (size_t k = 0; k < sizeof(kept) / sizeof(kept[0]); k++)
		if (json_object_get(row, kept[k]) != NULL)
			json_object_set(o, kept[k],
			    json_object_get(row, kept[k]));
	json_object_set_new(o, "standing", json_string(mm_standings[s].word));
	i->count.of[s]++;
	put_html(i, row, s, a);
	MM_TRY(mm_buf_ok(&i->row, why));
	MM_TRY(put_receipt(i, o, json_integer_value(json_object_get(row,
	    "index")), why));
	MM_TRY(put_after(i, o, a, why));
	return mm_incident_put(&i->out, o, mm_buf_view(&i->row), why);
}

/* ---- the whole ---- */

static enum mm_err
begin(struct incident *i, const struct mm_incident_paths *to,
    struct mm_why *why)
{
	MM_OWN(json_free) json_t *all = NULL;
	json_t *one;
	size_t k;

	MM_TRY(mm_client_call(i->c, "GET", "/issuers", NULL, &all, why));
	i->out.issuer = i->issuer;
	json_array_foreach(json_object_get(all, "items"), k, one)
		if (strcmp(mm_json_text(one, "name"), i->issuer) == 0)
			return mm_incident_begin(&i->out, to, one, why);
	return MM_FAIL(why, MM_ENOTFOUND, "no issuer \"%.32s\"", i->issuer);
}

static void
tell(const struct mm_cli *cli, const struct incident *i)
{
	const uint64_t *n = i->count.of;

	for (unsigned s = 0; s < MM_STANDINGS; s++)
		printf("%-11s %8llu  %s\n", mm_standings[s].word,
		    (unsigned long long)n[s], mm_standings[s].means);
	if (n[MM_WAITING] > 0)
		mm_cli_note(cli, "%llu are good still: renew_before in the "
		    "issuer's block pulls them",
		    (unsigned long long)n[MM_WAITING]);
}

static enum mm_err
report(struct mm_cli *cli, struct incident *i, const struct mm_args *a,
    struct mm_why *why)
{
	const struct mm_incident_paths to = { mm_arg(a, "out"),
		mm_arg(a, "html") };
	char path[MM_NAME_MAX + 32];

	if (!mm_name_valid(i->issuer))
		return MM_FAIL(why, MM_EINPUT, "no issuer's name");
	snprintf(path, sizeof(path), "/certificates?issuer=%s", i->issuer);
	MM_TRY(mm_cli_client(cli, &i->c, why));
	MM_TRY(begin(i, &to, why));
	MM_TRY(mm_pages_each(i->c, "/certificates", take_after, i, why));
	if (i->n > 0)
		qsort(i->after, i->n, sizeof(*i->after), by_before);
	MM_TRY(mm_pages_each(i->c, path, take_row, i, why));
	MM_TRY(mm_incident_end(&i->out, &i->count, why));
	if (to.json != NULL)
		tell(cli, i);
	return MM_OK;
}

enum mm_err
mm_cmd_ca_incident(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	MM_OWN(incident_done) struct incident i = { .issuer = a->pos[0],
		.receipts = mm_flag(a, "receipts"),
		.row = MM_BUF_INIT(ROW_MAX) };

	return report(cli, &i, a, why);
}
