#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "cli/batch.h"
#include "cli/bulk.h"
#include "cli/client.h"
#include "pki/cert.h"
#include "pki/token.h"

/* Bootstrap groups: old credentials that devices in the field come with. */

#define OWN_CSV __attribute__((cleanup(mm_csv_close)))
#define NCOL(c) (sizeof(c) / sizeof((c)[0]))
#define END                                       \
	{                                         \
		NULL, NULL, NULL, MM_C_NONE, NULL \
	}
enum { PEM_MOST = 1 << 20, ROWS = 1000 };

/* ---- list, show ---- */

static const struct mm_column columns[] = {
	{ "GROUP", "id" },
	{ "PRODUCT", "product" },
	{ "STATE", "state" },
	{ "KIND", "kind" },
	{ "ISSUED", "issued" },
	{ "QUANTITY", "quantity" },
	{ "WAITING", "waiting" },
	{ "CONFLICTS", "conflicts" },
	{ "UNTIL", "until" },
};
static const struct mm_filter filters[] = {
	{ "product", "product", false },
	{ "state", "state", false },
};
const struct mm_opt mm_opts_group_list[] = {
	{ "product", "PRODUCT", "of this product", MM_C_PRODUCT, NULL },
	{ "state", "STATE", "in this state", MM_C_WORDS, "open paused closed" },
	MM_LIST_OPTS, END
};

enum mm_err
mm_cmd_group_list(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	return mm_list_command(cli, a, "/groups", filters, NCOL(filters),
	    columns, NCOL(columns), why);
}

const struct mm_opt mm_opts_group_show[] = { END };
MM_SHOW(group_show, "GET", "/groups/%s")

static const struct mm_column device_columns[] = {
	{ "DEVICE", "device" },
	{ "STATE", "state" },
	{ "CERTIFICATE", "certificate" },
	{ "SINCE", "at" },
	{ "KEY", "spki_sha256" },
};
static const struct mm_filter device_filters[] = { { "state", "state", false } };
const struct mm_opt mm_opts_group_devices[] = {
	{ "state", "STATE", "in this state", MM_C_WORDS,
	    "listed approved refused issued" },
	MM_LIST_OPTS, END
};

enum mm_err
mm_cmd_group_devices(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	char p[1024];

	MM_TRY(mm_path(p, why, "/groups/%s/devices", a->pos[0]));
	return mm_list_command(cli, a, p, device_filters, 1, device_columns,
	    NCOL(device_columns), why);
}

static const struct mm_column waiting_columns[] = {
	{ "DEVICE", "device" },
	{ "CODE", "code" },
	{ "SINCE", "since" },
	{ "UNTIL", "until" },
	{ "PEER", "peer" },
	{ "KEY", "spki_sha256" },
};
const struct mm_opt mm_opts_group_waiting[] = { MM_LIST_OPTS, END };

enum mm_err
mm_cmd_group_waiting(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	char p[1024];

	MM_TRY(mm_path(p, why, "/groups/%s/waiting", a->pos[0]));
	return mm_list_command(cli, a, p, NULL, 0, waiting_columns,
	    NCOL(waiting_columns), why);
}

/* ---- create ---- */

const struct mm_opt mm_opts_group_create[] = {
	{ "product", "PRODUCT", "of the devices (required)", MM_C_PRODUCT,
	    NULL },
	{ "old-ca", "FILE", "PEM of the old CA: any certificate of it counts",
	    MM_C_FILE, NULL },
	{ "certificate", "FILE",
	    "PEM of shared certificates; without --old-ca and this the list names "
	    "each device's own",
	    MM_C_FILE, NULL },
	{ "pairing", NULL, "or devices have nothing, and a person compares the "
	    "code that each shows", MM_C_NONE, NULL },
	{ "claim-secret", NULL, "or they share a secret, which is made and "
	    "shown once", MM_C_NONE, NULL },
	{ "bearer", NULL, "that secret may come by HTTP Basic, too", MM_C_NONE,
	    NULL },
	{ "legacy", NULL, "weak old certificates count, at the legacy listener",
	    MM_C_NONE, NULL },
	{ "quantity", "N", "how many certificates in all (required)",
	    MM_C_NONE, NULL },
	{ "until", "TIME", "the end, or how long from now, like 90d "
	    "(required)", MM_C_NONE, NULL },
	{ "range", "RUN", "devices that may come: 'SN-{000001..005000}'; "
	    "others by \"group add\"", MM_C_NONE, NULL },
	{ "names", NULL, "the old certificate's CN or serialNumber must be "
	    "the device's id", MM_C_NONE, NULL },
	{ "accept-expired", NULL, "old certificates past their end count",
	    MM_C_NONE, NULL },
	{ "profile", "PROFILE", "what they get (default: the product's)",
	    MM_C_PROFILE, NULL },
	{ "conflicts", "N", "pause when more keys than these came for devices "
	    "that have one (default 20)", MM_C_NONE, NULL },
	{ "waiting", "N", "at most so many wait for a person (default 1000; "
	    "20 with --pairing)", MM_C_NONE, NULL },
	{ "note", "TEXT", "words for people", MM_C_NONE, NULL },
	END
};

/* Each certificate of the file, one after the other. */
static enum mm_err
put_certificates(const char *path, json_t *o, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf file = MM_BUF_INIT(PEM_MOST);
	json_t *list = json_array();
	struct mm_bytes rest;

	json_object_set_new(o, "certificates", list);
	MM_TRY(mm_file_read(path, &file, why));
	rest = mm_buf_view(&file);
	for (;;) {
		MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(PEM_MOST);
		MM_OWN(mm_buf_done) struct mm_buf pem = MM_BUF_INIT(PEM_MOST);

		if (mm_pem_next(&rest, "CERTIFICATE", &der, NULL) != MM_OK)
			break;
		mm_pem_put(&pem, "CERTIFICATE", mm_buf_view(&der));
		MM_TRY(mm_buf_ok(&pem, why));
		json_array_append_new(list,
		    json_stringn((const char *)pem.p, pem.n));
	}
	return json_array_size(list) > 0 ? MM_OK
	    : MM_FAIL(why, MM_EINPUT, "%.90s: no certificate in it", path);
}

static enum mm_err
put_number(const struct mm_args *a, const char *name, json_t *o,
    struct mm_why *why)
{
	long v;

	if (mm_arg(a, name) == NULL)
		return MM_OK;
	MM_TRY(mm_arg_int(a, name, 0, 0, 10000000, &v, why));
	json_object_set_new(o, name, json_integer(v));
	return MM_OK;
}

/* Of which the first is said, or none: then the list names certificates. */
static enum mm_err
put_kind(const struct mm_args *a, json_t *o, struct mm_why *why)
{
	const struct {
		const char *kind;
		bool said;
	} rows[] = {
		{ "ca", mm_arg(a, "old-ca") != NULL },
		{ "certificates", mm_arg(a, "certificate") != NULL },
		{ "none", mm_flag(a, "pairing") },
		{ "claim", mm_flag(a, "claim-secret") },
	};
	const char *kind = NULL;

	for (size_t i = 0; i < NCOL(rows); i++) {
		if (rows[i].said && kind != NULL)
			return MM_FAIL(why, MM_EINPUT, "say one of --old-ca, "
			    "--certificate, --pairing and --claim-secret");
		if (rows[i].said)
			kind = rows[i].kind;
	}
	json_object_set_new(o, "kind",
	    json_string(kind != NULL ? kind : "certificates"));
	return MM_OK;
}

static void
put_flags(const struct mm_args *a, json_t *o)
{
	static const struct {
		const char *flag, *member;
	} rows[] = {
		{ "names", "names" },
		{ "accept-expired", "accept_expired" },
		{ "bearer", "bearer" },
		{ "legacy", "legacy" },
	};

	for (size_t i = 0; i < NCOL(rows); i++)
		if (mm_flag(a, rows[i].flag))
			json_object_set_new(o, rows[i].member, json_true());
}

static enum mm_err
put_all(const struct mm_args *a, json_t *o, struct mm_why *why)
{
	static const char *const numbers[] = { "quantity", "conflicts",
		"waiting" };
	const char *ca = mm_arg(a, "old-ca"), *shared = mm_arg(a, "certificate");

	if (mm_arg(a, "product") == NULL || mm_arg(a, "quantity") == NULL ||
	    mm_arg(a, "until") == NULL)
		return MM_FAIL(why, MM_EINPUT,
		    "want --product, --quantity and --until");
	MM_TRY(put_kind(a, o, why));
	json_object_set_new(o, "id", json_string(a->pos[0]));
	mm_json_opt(o, "product", a, "product");
	mm_json_opt(o, "profile", a, "profile");
	mm_json_opt(o, "range", a, "range");
	mm_json_opt(o, "note", a, "note");
	for (size_t i = 0; i < 3; i++)
		MM_TRY(put_number(a, numbers[i], o, why));
	put_flags(a, o);
	MM_TRY(mm_batch_time(o, "until", mm_arg(a, "until"), why));
	if (ca == NULL && shared == NULL)
		return MM_OK;
	return put_certificates(ca != NULL ? ca : shared, o, why);
}

enum mm_err
mm_cmd_group_create(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	json_t *o = json_object();
	enum mm_err rc = put_all(a, o, why);

	if (rc != MM_OK)
		return json_decref(o), rc;
	MM_TRY(mm_object_command(cli, "POST", "/groups", o, why));
	mm_cli_hint(cli, "it is paused until \"mintmark group open %s\"",
	    a->pos[0]);
	return MM_OK;
}

/* ---- open, pause, close, extend ---- */

MM_BECOMES(group, open, "/groups/%s/open")
MM_BECOMES(group, pause, "/groups/%s/pause")
MM_BECOMES(group, close, "/groups/%s/close")

const struct mm_opt mm_opts_group_extend[] = {
	{ "reason", "TEXT", "why (required)", MM_C_NONE, NULL },
	{ "quantity", "N", "the new quantity", MM_C_NONE, NULL },
	{ "until", "TIME", "the new end, or how long from now", MM_C_NONE,
	    NULL },
	MM_IF_VERSION_OPT, END
};

enum mm_err
mm_cmd_group_extend(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	json_t *o = json_object();
	enum mm_err rc = put_number(a, "quantity", o, why);

	mm_json_opt(o, "reason", a, "reason");
	if (rc == MM_OK && mm_arg(a, "until") != NULL)
		rc = mm_batch_time(o, "until", mm_arg(a, "until"), why);
	if (rc != MM_OK)
		return json_decref(o), rc;
	return mm_change_command(cli, a, "/groups/%s/extend", o, why);
}

/* ---- add: rows of a table, at most a thousand held ---- */

static const char *const row_columns[] = { "device", "key", "hardware",
	"address", "certificate" };

const struct mm_opt mm_opts_group_add[] = {
	{ "csv", "FILE",
	    "a table of devices (- is standard input): device, and where "
	    "known key, hardware, address, certificate",
	    MM_C_FILE, NULL },
	{ "device", "DEVICE", "or this one", MM_C_DEVICE, NULL },
	{ "key", "SHA256", "of the new key that it will come with", MM_C_NONE,
	    NULL },
	{ "hardware", "ID", "the serialNumber that its request will have",
	    MM_C_NONE, NULL },
	{ "address", "LIST", "where it comes from: 10.0.0.0/8", MM_C_NONE,
	    NULL },
	{ "certificate", "SHA256", "of its own old certificate", MM_C_NONE,
	    NULL },
	END
};

struct adding {
	struct mm_cli *cli;
	char path[1024];
	json_t *rows;
	unsigned long long number[ROWS]; /* of each row, in the file */
	unsigned long long listed, unchanged, failed, done;
	struct mm_progress progress;
};

static unsigned long long
count_in(const json_t *o, const char *name)
{
	return (unsigned long long)json_integer_value(
	    json_object_get(o, name));
}

static void
take_answer(struct adding *d, const json_t *answer)
{
	const json_t *e;
	size_t i;

	d->listed += count_in(answer, "listed");
	d->unchanged += count_in(answer, "unchanged");
	d->failed += count_in(answer, "failed");
	json_array_foreach(json_object_get(answer, "errors"), i, e) {
		size_t row = (size_t)count_in(e, "row");

		if (row < 1 || row > ROWS)
			continue;
		fprintf(stderr, "mintmark: row %llu: ", d->number[row - 1]);
		mm_text_put(stderr, mm_json_text(e, "device"));
		fputs(": ", stderr);
		mm_text_put(stderr, mm_json_text(e, "detail"));
		fputc('\n', stderr);
	}
}

static enum mm_err
send(struct adding *d, struct mm_why *why)
{
	MM_OWN(json_free) json_t *answer = NULL;
	MM_OWN(json_free) json_t *o = json_object();
	size_t n = json_array_size(d->rows);
	struct mm_client *c;

	if (n == 0)
		return MM_OK;
	json_object_set(o, "devices", d->rows);
	MM_TRY(mm_cli_client(d->cli, &c, why));
	MM_TRY(mm_client_call(c, "POST", d->path, o, &answer, why));
	take_answer(d, answer);
	json_array_clear(d->rows);
	d->done += n;
	mm_progress_step(&d->progress, d->done);
	return MM_OK;
}

static enum mm_err
add_row(struct adding *d, json_t *take_row, unsigned long long number,
    struct mm_why *why)
{
	d->number[json_array_size(d->rows)] = number;
	json_array_append_new(d->rows, take_row);
	return json_array_size(d->rows) == ROWS ? send(d, why) : MM_OK;
}

static enum mm_err
add_csv(struct adding *d, const char *path, struct mm_why *why)
{
	OWN_CSV struct mm_csv csv = { 0 };
	enum mm_err rc;

	MM_TRY(mm_csv_open(&csv, path, why));
	if (!mm_csv_has(&csv, "device"))
		return MM_FAIL(why, MM_EINPUT, "%.80s: the first line names "
		    "the columns; \"device\" must be among them", path);
	MM_TRY(mm_csv_names(&csv, path, why));
	while ((rc = mm_csv_next(&csv, why)) == MM_OK) {
		json_t *row = json_object();

		for (size_t i = 0; i < NCOL(row_columns); i++) {
			const char *v = mm_csv_get(&csv, row_columns[i]);

			if (v != NULL && v[0] != '\0')
				json_object_set_new(row, row_columns[i],
				    json_string(v));
		}
		MM_TRY(add_row(d, row, csv.row, why));
	}
	MM_TRY(rc == MM_ENOTFOUND ? MM_OK : rc);
	return send(d, why);
}

static enum mm_err
add_one(struct adding *d, const struct mm_args *a, struct mm_why *why)
{
	json_t *row = json_object();

	for (size_t i = 0; i < NCOL(row_columns); i++)
		mm_json_opt(row, row_columns[i], a, row_columns[i]);
	MM_TRY(add_row(d, row, 1, why));
	return send(d, why);
}

static enum mm_err
add_all(struct adding *d, const struct mm_args *a, struct mm_why *why)
{
	const char *csv = mm_arg(a, "csv");
	enum mm_err rc;

	if ((csv != NULL) == (mm_arg(a, "device") != NULL))
		return MM_FAIL(why, MM_EINPUT, "say --csv FILE or --device");
	MM_TRY(mm_path(d->path, why, "/groups/%s/devices", a->pos[0]));
	mm_progress_begin(&d->progress, d->cli, "devices", 0);
	rc = csv != NULL ? add_csv(d, csv, why) : add_one(d, a, why);
	mm_progress_end(&d->progress);
	if (!d->cli->quiet && d->done > 0)
		fprintf(stderr, "mintmark: %llu listed, %llu there already, "
		    "%llu refused\n", d->listed, d->unchanged, d->failed);
	if (rc == MM_OK && d->failed != 0)
		rc = MM_FAIL(why, MM_ECONFLICT, "%llu %s refused",
		    d->failed, mm_counted(d->failed, "row was",
		    "rows were"));
	return rc;
}

enum mm_err
mm_cmd_group_add(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	struct adding d = { .cli = cli, .rows = json_array() };
	enum mm_err rc = add_all(&d, a, why);

	json_decref(d.rows);
	return rc;
}

/* ---- who waits ---- */

struct shown {
	struct mm_cli *cli;
	const char *group;
	char code[MM_PAIRING_TEXT];
	char device[MM_DEVICE_ID_MAX + 1]; /* "" none yet */
	char after[256];
};

static enum mm_err
look_for_code(struct shown *s, const json_t *items, struct mm_why *why)
{
	const json_t *v;
	size_t i;

	json_array_foreach(items, i, v) {
		const char *code = mm_json_text(v, "code");
		const char *device = mm_json_text(v, "device");

		if (strcmp(code, s->code) != 0)
			continue;
		if (s->device[0] != '\0')
			return MM_FAIL(why, MM_ECONFLICT, "two devices show "
			    "that code: name the device, too");
		snprintf(s->device, sizeof(s->device), "%s", device);
	}
	return MM_OK;
}

/* Whose code it is: a page at a time. */
static enum mm_err
find_code(struct shown *s, struct mm_why *why)
{
	struct mm_client *c;
	char p[1024];

	MM_TRY(mm_cli_client(s->cli, &c, why));
	do {
		MM_OWN(json_free) json_t *answer = NULL;

		MM_TRY(mm_path(p, why, s->after[0] == '\0'
		    ? "/groups/%s/waiting" : "/groups/%s/waiting?after=%s",
		    s->group, s->after));
		MM_TRY(mm_client_call(c, "GET", p, NULL, &answer, why));
		MM_TRY(look_for_code(s, json_object_get(answer, "items"),
		    why));
		snprintf(s->after, sizeof(s->after), "%s",
		    mm_json_text(answer, "next"));
	} while (s->after[0] != '\0');
	return s->device[0] != '\0' ? MM_OK
	    : MM_FAIL(why, MM_ENOTFOUND, "no device of group %s shows that "
		  "code", s->group);
}

/* GROUP DEVICE KEY, or GROUP DEVICE CODE, or GROUP CODE. */
static enum mm_err
decide(struct mm_cli *cli, const struct mm_args *a, const char *fmt,
    struct mm_why *why)
{
	struct shown s = { .cli = cli, .group = a->pos[0] };
	const char *key = a->pos[a->npos - 1], *device = a->pos[1];
	bool by_code = strlen(key) != 64;
	char p[1024];

	if (by_code)
		MM_TRY(mm_pairing_parse(key, s.code, why));
	if (a->npos == 2 && !by_code)
		return MM_FAIL(why, MM_EINPUT, "want GROUP DEVICE KEY, or "
		    "GROUP CODE");
	if (a->npos == 2) {
		MM_TRY(find_code(&s, why));
		device = s.device;
	}
	MM_TRY(mm_path(p, why, fmt, a->pos[0], device));
	return mm_object_command(cli, "POST", p, json_pack("{s:s}",
	    by_code ? "code" : "spki_sha256", by_code ? s.code : key), why);
}

const struct mm_opt mm_opts_group_approve[] = { END };
const struct mm_opt mm_opts_group_refuse[] = { END };

enum mm_err
mm_cmd_group_approve(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	return decide(cli, a, "/groups/%s/waiting/%s/approve", why);
}

enum mm_err
mm_cmd_group_refuse(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	return decide(cli, a, "/groups/%s/waiting/%s/refuse", why);
}

const struct mm_opt mm_opts_group_release[] = {
	{ "reason", "TEXT", "why (required); kept with the device", MM_C_NONE,
	    NULL },
	END
};

enum mm_err
mm_cmd_group_release(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	json_t *o = json_object();
	char p[1024];
	enum mm_err rc = mm_path(p, why, "/groups/%s/devices/%s/release",
	    a->pos[0], a->pos[1]);

	if (rc == MM_OK && mm_arg(a, "reason") == NULL)
		rc = MM_FAIL(why, MM_EINPUT, "want --reason");
	mm_json_opt(o, "reason", a, "reason");
	if (rc != MM_OK)
		return json_decref(o), rc;
	return mm_object_command(cli, "POST", p, o, why);
}

/* ---- what the old CA has revoked ---- */

const struct mm_opt mm_opts_group_crl[] = { END };

enum mm_err
mm_cmd_group_crl(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf file = MM_BUF_INIT(4 * PEM_MOST);
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(4 * PEM_MOST);
	MM_OWN(mm_buf_done) struct mm_buf pem = MM_BUF_INIT(8 * PEM_MOST);
	struct mm_bytes rest;
	char p[1024];

	MM_TRY(mm_path(p, why, "/groups/%s/crl", a->pos[0]));
	MM_TRY(mm_file_read(a->pos[1], &file, why));
	rest = mm_buf_view(&file);
	if (mm_pem_next(&rest, "X509 CRL", &der, NULL) != MM_OK)
		mm_buf_bytes(&der, mm_buf_view(&file));
	mm_pem_put(&pem, "X509 CRL", mm_buf_view(&der));
	MM_TRY(mm_buf_ok(&pem, why));
	return mm_object_command(cli, "POST", p,
	    json_pack("{s:s%}", "crl", (const char *)pem.p, pem.n), why);
}
