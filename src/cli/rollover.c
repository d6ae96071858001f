#include "cli/rollover.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "base/time.h"
#include "cli/commands.h"

/*
 * "ca rollover": a second issuer under the same profiles.  Its block, key and
 * certificate are made first, beside a configuration that does not know of
 * them; the last step is the one that counts, and replaces the file whole.  So
 * a run that was cut off has changed nothing that anybody reads, and the same
 * command again goes on with what it finds.
 */
struct rollover {
	struct mm_conf_edit edit;
	const struct mm_issuer_conf *old;
	const struct mm_issuer_conf *made; /* of edit.planned */
	char name[MM_NAME_MAX + 1];
	char from[MM_TIME_WORD + 1]; /* "": at once */
	struct mm_buf block;
	bool there; /* its certificate was made before */
	json_t *said; /* what the signer says it did; NULL: nothing */
};

/* ---- what it will be ---- */

/* issuing, issuing-2, issuing-3 */
static enum mm_err
choose_name(struct rollover *r, const char *given, struct mm_why *why)
{
	const struct mm_config *c = r->edit.config;
	const char *dash = strrchr(r->old->name, '-');
	size_t stem = strlen(r->old->name);

	if (given != NULL && !mm_name_valid(given))
		return MM_FAIL(why, MM_EINPUT, "--name %.40s: want 1 to %d of "
		    "a-z 0-9 . _ -", given, MM_NAME_MAX);
	if (given != NULL && mm_config_issuer(c, given) != NULL)
		return MM_FAIL(why, MM_ECONFLICT, "--name: there is an issuer "
		    "%s", given);
	if (given != NULL)
		return snprintf(r->name, sizeof(r->name), "%s", given) < 0 ?
		    MM_EBUG : MM_OK;
	if (dash != NULL && strspn(dash + 1, "0123456789") ==
	    strlen(dash + 1) && dash[1] != '\0')
		stem = (size_t)(dash - r->old->name);
	for (unsigned n = 2; n < 1000; n++) {
		int len = snprintf(r->name, sizeof(r->name), "%.*s-%u",
		    (int)stem, r->old->name, n);

		if (len > 0 && (size_t)len < sizeof(r->name) &&
		    mm_config_issuer(c, r->name) == NULL)
			return MM_OK;
	}
	return MM_FAIL(why, MM_EINPUT, "no name is left: say one with --name");
}

static enum mm_err
choose_time(struct rollover *r, const char *from, struct mm_why *why)
{
	int64_t at_ms;

	if (from == NULL)
		return MM_FAIL(why, MM_EINPUT, "missing --from: when it takes "
		    "over, such as 2027-01-01T00:00:00Z; whoever trusts %s by "
		    "itself must trust the new one by then; or now",
		    r->old->name);
	if (strcmp(from, "now") == 0)
		return MM_OK;
	if (strlen(from) > MM_TIME_WORD ||
	    mm_time_parse(from, &at_ms, NULL) != MM_OK)
		return MM_FAIL(why, MM_EINPUT, "--from %.40s: want "
		    "2027-01-01T00:00:00Z, or now", from);
	snprintf(r->from, sizeof(r->from), "%s", from);
	return MM_OK;
}

static enum mm_err
choose(struct rollover *r, const struct mm_args *a, struct mm_why *why)
{
	const struct mm_config *c = r->edit.config;
	const struct mm_issuer_conf *next;

	r->old = mm_config_issuer(c, a->pos[0]);
	if (r->old == NULL)
		return MM_FAIL(why, MM_ENOTFOUND, "%.80s: no issuer \"%.32s\" "
		    "{ } block", r->edit.path, a->pos[0]);
	next = mm_config_follower(c, r->old->name);
	if (next != NULL)
		return MM_FAIL(why, MM_ECONFLICT, "%s follows %s already: "
		    "mintmark ca rollover %s", next->name, r->old->name,
		    next->name);
	if (r->old->line)
		return MM_FAIL(why, MM_EPOLICY, "issuer %s is one station's "
		    "line CA: its next batch has another one", r->old->name);
	MM_TRY(choose_name(r, mm_arg(a, "name"), why));
	return choose_time(r, mm_arg(a, "from"), why);
}

/* ---- its block ---- */

/* Beside the old one's file. */
static enum mm_err
put_path(struct mm_buf *out, const char *key, const char *beside,
    const char *name, const char *end)
{
	const char *slash = strrchr(beside, '/');

	mm_buf_printf(out, "\t%s = \"%.*s%s%s\"\n", key,
	    slash == NULL ? 0 : (int)(slash + 1 - beside), beside, name, end);
	return strpbrk(beside, "\"\\$") == NULL ? MM_OK : MM_EINPUT;
}

/* In quotes, as it is. */
static enum mm_err
put_value(struct mm_buf *out, const char *key, const char *value)
{
	if (value[0] != '\0')
		mm_buf_printf(out, "\t%s = \"%s\"\n", key, value);
	return strpbrk(value, "\"\\$\n") == NULL ? MM_OK : MM_EINPUT;
}

/* Of a key in a token: another object beside it, which is made there. */
static enum mm_err
put_token(struct mm_buf *out, const struct mm_issuer_conf *o,
    const char *name)
{
	const char *object = strstr(o->key, "object="), *rest;

	if (object == NULL || strstr(o->key, "id=") != NULL ||
	    strpbrk(o->key, "\"\\$") != NULL)
		return MM_EINPUT;
	object += sizeof("object=") - 1;
	rest = object + strcspn(object, ";?");
	mm_buf_printf(out, "\tkey = \"%.*s%s%s\"\n",
	    (int)(object - o->key), o->key, name, rest);
	MM_TRY(put_value(out, "pin_file", o->pin_file));
	if (o->key_environ.n > 0)
		mm_buf_text(out, "\tkey_environ = {");
	for (size_t i = 0; i < o->key_environ.n; i++) {
		if (strpbrk(o->key_environ.item[i], "\"\\$") != NULL)
			return MM_EINPUT;
		mm_buf_printf(out, "%s \"%s\"", i > 0 ? "," : "",
		    o->key_environ.item[i]);
	}
	if (o->key_environ.n > 0)
		mm_buf_text(out, " }\n");
	return MM_OK;
}

/* Where --key says; else where the old one's is. */
static enum mm_err
put_key(struct rollover *r, const struct mm_args *a)
{
	const char *key = mm_arg(a, "key"), *pin = mm_arg(a, "pin-file");
	const char *environ_ = mm_arg(a, "key-environ");
	const struct mm_issuer_conf *o = r->old;

	if (key == NULL)
		return mm_issuer_in_token(o) ?
		    put_token(&r->block, o, r->name) :
		    put_path(&r->block, "key", o->key, r->name, ".key");
	MM_TRY(put_value(&r->block, "key", key));
	MM_TRY(put_value(&r->block, "pin_file", pin != NULL ? pin : ""));
	return put_value(&r->block, "key_environ",
	    environ_ != NULL ? environ_ : "");
}

static enum mm_err
check_key(const struct mm_args *a, struct mm_why *why)
{
	const char *key = mm_arg(a, "key"), *pin = mm_arg(a, "pin-file");
	bool token = key != NULL && strncmp(key, MM_TOKEN_URI,
	    sizeof(MM_TOKEN_URI) - 1) == 0;

	if (!token && (pin != NULL || mm_arg(a, "key-environ") != NULL))
		return MM_FAIL(why, MM_EINPUT, "--pin-file and --key-environ go "
		    "with --key pkcs11:...");
	if (key != NULL && !token && key[0] != '/')
		return MM_FAIL(why, MM_EINPUT, "--key %.80s: want "
		    "pkcs11:token=...;object=..., or a file's whole path", key);
	if (pin != NULL && pin[0] != '/')
		return MM_FAIL(why, MM_EINPUT, "--pin-file %.80s: want the whole "
		    "path", pin);
	return MM_OK;
}

/* Another CA's key is not ours to make; its next certificate is a file that
 * its people give out, and the program stays until somebody changes it. */
static enum mm_err
check_upstream(const struct rollover *r, const struct mm_args *a,
    struct mm_why *why)
{
	const char *file = mm_arg(a, "certificate");

	if (!mm_issuer_upstream(r->old))
		return file == NULL ? MM_OK : MM_FAIL(why, MM_EINPUT,
		    "--certificate goes with an issuer that is an existing "
		    "CA: %s has a key, and its follower's is made",
		    r->old->name);
	if ((file != NULL) == (mm_arg(a, "key") != NULL))
		return MM_FAIL(why, MM_EINPUT, "issuer %s is an existing CA: "
		    "--certificate FILE of its next one, or --key FILE to "
		    "have one of your own take its place", r->old->name);
	if (file != NULL && (mm_arg(a, "out") != NULL ||
	    mm_arg(a, "chain") != NULL))
		return MM_FAIL(why, MM_EINPUT, "--certificate: nothing is "
		    "made, so neither --out nor --chain");
	if (file != NULL && (file[0] != '/' || access(file, R_OK) != 0))
		return MM_FAIL(why, MM_EINPUT, "--certificate %.80s: want the "
		    "whole path of a file that is there", file);
	return MM_OK;
}

/* How the old one is asked, the new one is. */
static enum mm_err
put_est(struct mm_buf *out, const struct mm_issuer_conf *o)
{
	MM_TRY(put_value(out, "est", o->est));
	MM_TRY(put_value(out, "est_anchors", o->est_anchors));
	if (o->est_password_file[0] != '\0')
		return put_value(out, "est_password_file",
		    o->est_password_file);
	MM_TRY(put_value(out, "est_certificate", o->est_certificate));
	return put_value(out, "est_key", o->est_key);
}

static enum mm_err
put_exec(struct mm_buf *out, const struct mm_issuer_conf *o)
{
	mm_buf_text(out, "\texec = {");
	for (size_t i = 0; i < o->exec.n; i++) {
		if (strpbrk(o->exec.item[i], "\"\\$\n") != NULL)
			return MM_EINPUT;
		mm_buf_printf(out, "%s\"%s\"", i > 0 ? ", " : "",
		    o->exec.item[i]);
	}
	mm_buf_text(out, "}\n");
	return MM_OK;
}

static enum mm_err
put_upstream(struct mm_buf *out, const struct mm_issuer_conf *o,
    const char *certificate)
{
	MM_TRY(put_value(out, "certificate", certificate));
	MM_TRY(mm_issuer_est(o) ? put_est(out, o) : put_exec(out, o));
	mm_buf_printf(out, "\tanswer_within = \"%llds\"\n"
	    "\tat_once = %lld\n", (long long)o->answer_within_s,
	    (long long)o->at_once);
	return MM_OK;
}

static enum mm_err
put_signer(struct rollover *r, const struct mm_args *a)
{
	const struct mm_issuer_conf *o = r->old;
	struct mm_buf *out = &r->block;

	MM_TRY(put_path(out, "certificate", o->certificate, r->name, ".crt"));
	MM_TRY(put_key(r, a));
	mm_buf_printf(out, "\tcrl_shards = %lld\n\tcrl_hours = %lld\n"
	    "\tocsp = %s\n\tocsp_hours = %lld\n", (long long)o->crl_shards,
	    (long long)o->crl_hours, o->ocsp ? "true" : "false",
	    (long long)o->ocsp_hours);
	if (o->lines > 0)
		mm_buf_printf(out, "\tlines = %lld\n", (long long)o->lines);
	return MM_OK;
}

static enum mm_err
put_block(struct rollover *r, const struct mm_args *a, struct mm_why *why)
{
	struct mm_buf *out = &r->block;
	const struct mm_issuer_conf *o = r->old;

	const char *theirs = mm_arg(a, "certificate");

	MM_TRY(check_upstream(r, a, why));
	MM_TRY(check_key(a, why));
	mm_buf_printf(out, "\n# Takes the place of \"%s\".\nissuer \"%s\" {\n"
	    "\tfollows = \"%s\"\n", o->name, r->name, o->name);
	if (r->from[0] != '\0')
		mm_buf_printf(out, "\tfollows_from = \"%s\"\n", r->from);
	if ((theirs != NULL ? put_upstream(out, o, theirs) :
	    put_signer(r, a)) != MM_OK)
		return MM_FAIL(why, MM_EINPUT, "issuer %s: its paths or key have "
		    "characters that need quoting: write the new block "
		    "yourself", o->name);
	mm_buf_text(out, "}\n");
	MM_TRY(mm_buf_ok(out, why));
	mm_buf_bytes(&r->edit.next, mm_buf_view(out));
	return mm_buf_ok(&r->edit.next, why);
}

/* renewal.md: what the old one issued is renewed within that time */
static enum mm_err
pull(struct rollover *r, const char *within, struct mm_why *why)
{
	char at[MM_TIME_TEXT], value[MM_TIME_TEXT + 2];
	int64_t s;

	if (within == NULL)
		return MM_OK;
	if (r->from[0] != '\0')
		return MM_FAIL(why, MM_EINPUT, "--pull goes with --from now: "
		    "until its time comes, who is pulled gets another one of "
		    "%s", r->old->name);
	if (mm_duration_parse(within, &s, NULL) != MM_OK || s < 60)
		return MM_FAIL(why, MM_EINPUT, "--pull %.20s: want a time such "
		    "as 3d", within);
	mm_time_text_s(mm_now_s() + 1, at);
	snprintf(value, sizeof(value), "\"%s\"", at);
	MM_TRY(mm_conf_edit_issuer(&r->edit, r->old->name, "renew_before",
	    value, why));
	snprintf(value, sizeof(value), "\"%.20s\"", within);
	return mm_conf_edit_issuer(&r->edit, r->old->name, "renew_within",
	    value, why);
}

static enum mm_err
plan(struct rollover *r, const struct mm_args *a, struct mm_why *why)
{
	MM_TRY(put_block(r, a, why));
	MM_TRY(pull(r, mm_arg(a, "pull"), why));
	MM_TRY(mm_conf_edit_check(&r->edit, why));
	r->made = mm_config_issuer(r->edit.planned, r->name);
	r->there = access(r->made->certificate, F_OK) == 0;
	return MM_OK;
}

/* ---- telling ---- */

static void
put_step(json_t *steps, const char *text)
{
	json_array_append_new(steps, json_string(text));
}

/* The same command, with the answer. */
static void
put_again(json_t *steps, const struct rollover *r, const struct mm_args *a)
{
	static const char *const same[] = { "pull", "key", "pin-file",
		"key-environ", "config" };
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(8192);

	mm_buf_printf(&text, "have the request signed; then: mintmark ca "
	    "rollover %s --name %s --from %s --chain FILE", r->old->name,
	    r->name, r->from[0] != '\0' ? r->from : "now");
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		const char *value = mm_arg(a, same[i]);

		if (value != NULL) /* a URI has a ; in it */
			mm_buf_printf(&text, strpbrk(value, "; ") != NULL ?
			    " --%s '%s'" : " --%s %s", same[i], value);
	}
	mm_buf_u8(&text, 0);
	if (mm_buf_ok(&text, NULL) == MM_OK)
		put_step(steps, (const char *)text.p);
}

static json_t *
steps_of(const struct rollover *r, const struct mm_args *a)
{
	json_t *steps = json_array();
	char text[MM_PATH_MAX + 400];

	if (mm_arg(a, "out") != NULL) {
		put_again(steps, r, a);
		return steps;
	}
	put_step(steps, "where several nodes work over one database: copy "
	    "certificate and key to each, and the block into its mintmark.conf");
	put_step(steps, mm_issuer_upstream(r->old) ? "mintmarkd check; then "
	    "restart mintmarkd: from then on both issuers are in /cacerts" :
	    "restart mintmarkd: from then on both issuers are in "
	    "/cacerts and both sign revocation lists");
	snprintf(text, sizeof(text), "whoever trusts %s by itself (brokers, "
	    "clouds) trusts %s, too, before it takes over", r->old->name,
	    r->name);
	put_step(steps, text);
	snprintf(text, sizeof(text), "once everything %s issued has ended: "
	    "mintmark ca retire %s", r->old->name, r->old->name);
	put_step(steps, text);
	return steps;
}

static void
print_plan(const struct rollover *r, json_t *o, bool done)
{
	json_t *step;
	size_t i;

	printf("issuer %s %s the place of %s, from %s on\n", r->made->name,
	    done ? "takes" : "would take", r->old->name,
	    r->from[0] != '\0' ? r->from : "the next start");
	if (mm_issuer_upstream(r->made))
		printf("  certificate  %s\n  %s         %s\n",
		    r->made->certificate, mm_issuer_est(r->made) ? "est " :
		    "exec", mm_issuer_est(r->made) ? r->made->est :
		    r->made->exec.item[0]);
	else
		printf("  certificate  %s%s\n  key          %s%s\n",
		    r->made->certificate, r->there ? " (made before)" : "",
		    r->made->key, json_is_false(json_object_get(o,
		    "key_made")) ? " (was there)" : "");
	if (!done)
		printf("\n%.*s\nNothing was done.\n", (int)r->block.n,
		    (const char *)r->block.p);
	else
		puts("\nNext:");
	json_array_foreach(json_object_get(o, "next"), i, step)
		if (done)
			printf("  %zu. %s\n", i + 1, json_string_value(step));
}

static json_t *
about(const struct rollover *r, const struct mm_args *a, bool changed)
{
	json_t *o = json_pack("{s:b,s:s,s:s,s:s,s:s}", "changed", changed,
	    "issuer", r->made->name, "follows", r->old->name, "certificate",
	    r->made->certificate, "key", r->made->key);

	if (r->from[0] != '\0')
		json_object_set_new(o, "follows_from", json_string(r->from));
	if (json_object_get(r->said, "key_made") != NULL)
		json_object_set(o, "key_made", json_object_get(r->said,
		    "key_made"));
	json_object_set_new(o, "block", json_stringn(
	    (const char *)r->block.p, r->block.n));
	json_object_set_new(o, "next", steps_of(r, a));
	return o;
}

static enum mm_err
tell(const struct mm_cli *cli, const struct rollover *r,
    const struct mm_args *a, bool changed)
{
	MM_OWN(json_free) json_t *o = about(r, a, changed);

	if (cli->json)
		return mm_json_print(o), MM_OK;
	print_plan(r, o, !mm_flag(a, "dry-run"));
	return MM_OK;
}

/* ---- doing ---- */

static enum mm_err
run_signer(struct rollover *r, const struct mm_args *a, struct mm_why *why)
{
	const char *verb = mm_arg(a, "out") != NULL ? "request" :
	    mm_arg(a, "chain") != NULL ? "install" : "issuer";

	return mm_conf_edit_sign(&r->edit, a, verb, r->name, &r->said, why);
}

static enum mm_err
ask_root(struct mm_cli *cli, struct rollover *r, const struct mm_args *a,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf sheet = MM_BUF_INIT(8192);

	MM_TRY(run_signer(r, a, why));
	mm_answer_sheet(r->edit.planned, r->made, &sheet);
	if (!cli->json)
		printf("%.*s\n", (int)sheet.n, (const char *)sheet.p);
	return tell(cli, r, a, false);
}

static enum mm_err
make(struct mm_cli *cli, struct rollover *r, const struct mm_args *a,
    struct mm_why *why)
{
	if (!r->there)
		MM_TRY(run_signer(r, a, why));
	MM_TRY(mm_conf_edit_place(&r->edit, why));
	return tell(cli, r, a, true);
}

static enum mm_err
rollover(struct mm_cli *cli, struct rollover *r, const struct mm_args *a,
    struct mm_why *why)
{
	MM_TRY(mm_conf_edit_begin(&r->edit, a, why));
	MM_TRY(choose(r, a, why));
	MM_TRY(plan(r, a, why));
	if (mm_flag(a, "dry-run"))
		return tell(cli, r, a, false);
	return mm_arg(a, "out") != NULL ? ask_root(cli, r, a, why) :
	    make(cli, r, a, why);
}

enum mm_err
mm_cmd_ca_rollover(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	struct rollover r = { .block = MM_BUF_INIT(8192) };
	enum mm_err rc = rollover(cli, &r, a, why);

	mm_conf_edit_done(&r.edit);
	mm_buf_done(&r.block);
	json_decref(r.said);
	return rc;
}
