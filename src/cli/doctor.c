#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/time.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "client/fetch.h"
#include "doctor/doctor.h"
#include "pki/cert.h"

/*
 * "doctor": the server's findings, what only another machine can see (its
 * clock, whether the public URL answers), and with --config what this
 * machine's files say; each goes as far as it can alone.
 */
enum {
	SKEW_WARN_MS = 5000,
	SKEW_FAIL_MS = 60000,
	CRL_MAX = 64 * 1024 * 1024,
	FETCH_S = 10,
	URL_N = 512,
};

const struct mm_opt mm_opts_doctor[] = {
	{ "config", "FILE",
	    "look at this machine's files too: its "
	    "mintmark.conf",
	    MM_C_FILE, NULL },
	{ "deep", NULL, "read every page of the database; takes its time",
	    MM_C_NONE, NULL },
	{ "verbose", NULL, "also what is good", MM_C_NONE, NULL },
	{ NULL, NULL, NULL, MM_C_NONE, NULL },
};

struct exam {
	struct mm_cli *cli;
	bool deep;
	json_t *all;          /* findings, as they are printed */
	struct mm_findings f; /* of the part that runs now */
};

static bool
is_said(const json_t *all, const struct mm_finding *f)
{
	const json_t *o;
	size_t i;

	json_array_foreach(all, i,
	    o) if (strcmp(mm_json_text(o, "what"), f->what) == 0 &&
		   strcmp(mm_json_text(o, "check"),
		       mm_doctor_check_name(f->check)) == 0) return true;
	return false;
}

/* Moves what a part has found to all, but for what the server has found in
 * the same words. */
static void
keep(struct exam *e, const char *where)
{
	for (size_t i = 0; i < e->f.n; i++) {
		const struct mm_finding *at = &e->f.f[i];
		json_t *o;

		if (is_said(e->all, at))
			continue;
		o = json_pack("{s:s,s:s,s:s,s:s}", "where", where, "check",
		    mm_doctor_check_name(at->check), "level",
		    mm_level_name(at->level), "what", at->what);

		if (at->todo[0] != '\0')
			json_object_set_new(o, "do", json_string(at->todo));
		json_array_append_new(e->all, o);
	}
	e->f.n = 0;
}

/* ---- this machine's files ---- */

static void
look_here(struct exam *e, const char *path)
{
	MM_OWN(mm_config_free) struct mm_config *c = NULL;
	struct mm_store_reader *r = NULL;
	struct mm_why why = { 0 };

	if (mm_config_load(path, &c, &why) != MM_OK) {
		mm_find(&e->f, MM_CHECK_FILES, MM_LEVEL_FAIL,
		    "Correct it; "
		    "mintmarkd check tells about all of it",
		    "%.180s", why.text);
	} else {
		mm_doctor_config(c, path, &e->f);
		mm_doctor_certs(c, &e->f);
		if (mm_reader_open(c->set.database, &r, &why) != MM_OK)
			r = NULL;
		mm_doctor_database(c->set.database, r, e->deep, &why,
		    &e->f);
		mm_reader_close(&r);
	}
	keep(e, "here");
}

/* ---- the server ---- */

static void
look_answer(struct exam *e, const json_t *o, int64_t asked_ms)
{
	int64_t now = mm_now_ms(), at, off, far;

	if (json_is_true(json_object_get(o, "ready")))
		mm_find(&e->f, MM_CHECK_SERVER, MM_LEVEL_OK, NULL,
		    "the server answers and is ready");
	else
		mm_find(&e->f, MM_CHECK_SERVER, MM_LEVEL_FAIL,
		    "See the "
		    "signer and the database below",
		    "the server is not ready: %.120s", mm_json_text(o, "why"));
	if (mm_time_parse(mm_json_text(o, "time"), &at, NULL) == MM_OK) {
		/* its time is of somewhere between asking and now */
		off = at < asked_ms ? at - asked_ms : at > now ? at - now : 0;
		far = off < 0 ? -off : off;
		mm_find(&e->f, MM_CHECK_CLOCK,
		    far >= SKEW_FAIL_MS   ? MM_LEVEL_FAIL
		    : far >= SKEW_WARN_MS ? MM_LEVEL_WARN
					  : MM_LEVEL_OK,
		    "Set the clock that is wrong: look at both "
		    "machines' time service",
		    "the server's clock differs "
		    "from this machine's by %lld ms",
		    (long long)off);
	}
	mm_find(&e->f, MM_CHECK_VERSION,
	    strcmp(mm_json_text(o, "version"), MM_VERSION) == 0 ? MM_LEVEL_OK
								: MM_LEVEL_WARN,
	    "Install one "
	    "version of both",
	    "server %.32s, this program %s", mm_json_text(o, "version"),
	    MM_VERSION);
	keep(e, "client");
}

static void
take_findings(struct exam *e, const json_t *o)
{
	const json_t *items = json_object_get(o, "findings");
	json_t *f;
	size_t i;

	json_array_foreach(items, i, f)
	{
		json_object_set_new(f, "where", json_string("server"));
		json_array_append(e->all, f);
	}
}

static enum mm_err
ask(struct exam *e, struct mm_client *c, json_t **out, struct mm_why *why)
{
	return mm_client_call(c, "GET",
	    e->deep ? "/doctor?deep=true" : "/doctor", NULL, out, why);
}

/* ---- the public listener, from here ---- */

static enum mm_err
fetch(const char *url, struct mm_buf *out, struct mm_why *why)
{
	CURL *curl = curl_easy_init();
	long status = 0;
	enum mm_err rc;

	if (curl != NULL)
		curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)FETCH_S);
	rc = mm_fetch(curl, url, "", out, &status, why);
	curl_easy_cleanup(curl);
	return rc;
}

static enum mm_err
crl_end(struct mm_bytes der, int64_t *next_s)
{
	struct mm_crl crl;

	MM_TRY(mm_crl_walk(der, &crl, NULL));
	*next_s = crl.next_s;
	return MM_OK;
}

static void
look_url(struct exam *e, const char *url, bool crl)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(CRL_MAX);
	struct mm_why why = { 0 };
	int64_t next_s = INT64_MAX;
	enum mm_err rc = fetch(url, &der, &why);

	if (rc == MM_OK && crl)
		rc = crl_end(mm_buf_view(&der), &next_s) == MM_OK ? MM_OK
		    : MM_FAIL(&why, MM_EINPUT, "this is no revocation list");
	if (rc != MM_OK)
		mm_find(&e->f, MM_CHECK_PUBLIC, MM_LEVEL_FAIL,
		    "Devices and "
		    "their partners cannot check certificates: look at DNS, "
		    "the firewall and public_listen",
		    "%.100s: %.90s", url, why.text);
	else if (next_s < mm_now_s())
		mm_find(&e->f, MM_CHECK_PUBLIC, MM_LEVEL_FAIL,
		    "mintmark ca "
		    "crl; if it is newer at the server, a cache in between "
		    "is at fault",
		    "%.150s has ended", url);
	else
		mm_find(&e->f, MM_CHECK_PUBLIC, MM_LEVEL_OK, NULL,
		    "%.150s is there%s", url, crl ? " and current" : "");
}

static void
look_public(struct exam *e, const json_t *o)
{
	const char *base = mm_json_text(o, "public_url");
	const json_t *name;
	char url[URL_N];
	size_t i;

	if (base[0] == '\0')
		return;
	json_array_foreach(json_object_get(o, "issuers"), i, name)
	{
		snprintf(url, sizeof(url), "%s/crl/%s.crl", base,
		    json_string_value(name));
		look_url(e, url, true);
		snprintf(url, sizeof(url), "%s/issuer/%s.cer", base,
		    json_string_value(name));
		look_url(e, url, false);
	}
	keep(e, "client");
}

static void
look_server(struct exam *e)
{
	MM_OWN(json_free) json_t *o = NULL;
	int64_t asked_ms = mm_now_ms();
	struct mm_why why = { 0 };
	struct mm_client *c;

	if (mm_cli_client(e->cli, &c, &why) != MM_OK) {
		mm_find(&e->f, MM_CHECK_SERVER, MM_LEVEL_FAIL,
		    e->cli->hint[0] != '\0' ? e->cli->hint : "Mend the context "
		    "that names the server and the key", "%.190s", why.text);
		keep(e, "client");
		return;
	}
	if (ask(e, c, &o, &why) != MM_OK) {
		mm_find(&e->f, MM_CHECK_SERVER, MM_LEVEL_FAIL,
		    "Is mintmarkd "
		    "running, and the key good? On its machine, --config "
		    "looks further",
		    "%.190s", why.text);
		keep(e, "client");
		return;
	}
	look_answer(e, o, asked_ms);
	take_findings(e, o);
	look_public(e, o);
}

/* ---- the whole ---- */

static int
worst_of(const json_t *all)
{
	int worst = 0;
	const json_t *f;
	size_t i;

	json_array_foreach(all, i,
	    f) for (int l = worst + 1; l < MM_LEVELS;
		    l++) if (strcmp(mm_json_text(f, "level"),
				 mm_level_name((enum mm_level)l)) == 0) worst =
	    l;
	return worst;
}

/* What is wrong first, in the order it was found. */
static void
print_level(const json_t *all, enum mm_level level, const char *word)
{
	const json_t *f;
	size_t i;

	json_array_foreach(all, i, f)
	{
		if (strcmp(mm_json_text(f, "level"), mm_level_name(level)) != 0)
			continue;
		printf("%-5s %-13s %s\n", word, mm_json_text(f, "check"),
		    mm_json_text(f, "what"));
		if (mm_json_text(f, "do")[0] != '\0')
			printf("%-19s -> %s\n", "", mm_json_text(f, "do"));
	}
}

static size_t
count(const json_t *all, enum mm_level level)
{
	size_t n = 0, i;
	const json_t *f;

	json_array_foreach(all, i, f) n +=
	    strcmp(mm_json_text(f, "level"), mm_level_name(level)) == 0;
	return n;
}

static void
print(const struct exam *e, bool verbose)
{
	mm_json_plain(e->all, 2);
	print_level(e->all, MM_LEVEL_FAIL, "FAIL");
	print_level(e->all, MM_LEVEL_WARN, "WARN");
	if (verbose)
		print_level(e->all, MM_LEVEL_OK, "OK");
	printf("%zu checked: %zu FAIL, %zu WARN, %zu OK\n",
	    json_array_size(e->all), count(e->all, MM_LEVEL_FAIL),
	    count(e->all, MM_LEVEL_WARN), count(e->all, MM_LEVEL_OK));
}

/* The exit status is the worst level; the command itself has not failed. */
enum mm_err
mm_cmd_doctor(struct mm_cli *cli, const struct mm_args *a, struct mm_why *why)
{
	MM_OWN(json_free) json_t *all = json_array();
	struct exam e = { .cli = cli, .deep = mm_flag(a, "deep"), .all = all };
	int worst;

	if (all == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	cli->beside = mm_arg(a, "config");
	look_server(&e);
	if (mm_arg(a, "config") != NULL)
		look_here(&e, mm_arg(a, "config"));
	worst = worst_of(all);
	if (cli->json) {
		MM_OWN(json_free)
		json_t *o = json_pack("{s:s,s:O}", "worst",
		    mm_level_name((enum mm_level)worst), "findings", all);
		mm_json_print(o);
	} else {
		print(&e, mm_flag(a, "verbose"));
	}
	cli->status = worst;
	return MM_OK;
}
