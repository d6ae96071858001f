#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "cli/commands.h"
#include "cli/rollover.h"
#include "pki/cert.h"
#include "pki/key.h"

/*
 * "ca root": another root is the trust anchor (RFC 4210 4.4), and "ca
 * root-end": nobody needs the one before it.  As with a rollover, keys and
 * certificates are there before the configuration says so, and it is replaced
 * whole; the same command again goes on after one that was cut off.
 */
struct root {
	struct mm_conf_edit edit;
	char name[MM_NAME_MAX + 1];
	char anchor[MM_PATH_MAX + 1], links[MM_PATH_MAX + 1];
	json_t *said; /* what the signer says it did; NULL: nothing */
};

const struct mm_opt mm_opts_ca_root_end[] = {
	{ "config", "FILE", "mintmark.conf (default "
	    "/etc/mintmark/mintmark.conf)", MM_C_FILE, NULL },
	{ "force", NULL, "although issuers that are not retired, or the "
	    "server's certificate, hang below the root before: who pins the "
	    "new one refuses them",
	    MM_C_NONE, NULL },
	{ "dry-run", NULL, "say what would happen, do nothing", MM_C_NONE,
	    NULL },
	{ NULL, NULL, NULL, MM_C_NONE, NULL },
};

static const char *
before_of(const struct mm_settings *set)
{
	return set->root[0] != '\0' ? set->root : "root";
}

/* ---- ca root ---- */

/* root-2, root-3 */
static enum mm_err
choose_name(struct root *r, const char *given, struct mm_why *why)
{
	const struct mm_settings *set = &r->edit.config->set;
	unsigned n = 1;

	/* its key's file is named after it, beside those of the signer */
	if (given != NULL && (!mm_name_valid(given) ||
	    strncmp(given, "root-", 5) != 0 ||
	    mm_config_issuer(r->edit.config, given) != NULL ||
	    strcmp(given, before_of(set)) == 0))
		return MM_FAIL(why, MM_EINPUT, "--name %.40s: want root- and up "
		    "to %d more of a-z 0-9 . _ -, and no name that there is",
		    given, MM_NAME_MAX - 5);
	(void)sscanf(set->root, "root-%u", &n);
	if (given != NULL)
		return mm_text_copy(r->name, sizeof(r->name),
		    mm_bytes_of(given)) ? MM_OK : MM_EINPUT;
	snprintf(r->name, sizeof(r->name), "root-%u", n + 1);
	return MM_OK;
}

/* Both are public, and beside the anchor's file that is there. */
static enum mm_err
choose_paths(struct root *r, struct mm_why *why)
{
	const char *have = r->edit.config->set.trust_anchor;
	const char *slash = strrchr(have, '/');
	int n = slash == NULL ? 0 : (int)(slash + 1 - have);

	if (strpbrk(have, "\"\\$") != NULL ||
	    n + strlen(r->name) + sizeof("-links.crt") > sizeof(r->links))
		return MM_FAIL(why, MM_EINPUT, "trust_anchor: a path that is "
		    "too long, or has characters that need quoting");
	snprintf(r->anchor, sizeof(r->anchor), "%.*s%s.crt", n, have, r->name);
	snprintf(r->links, sizeof(r->links), "%.*s%s-links.crt", n, have,
	    r->name);
	return MM_OK;
}

static enum mm_err
set_path(struct root *r, const char *key, const char *path,
    struct mm_why *why)
{
	char value[MM_PATH_MAX + 3];

	snprintf(value, sizeof(value), "\"%.*s\"", MM_PATH_MAX, path);
	return mm_conf_edit_top(&r->edit, key, value, why);
}

static enum mm_err
plan(struct root *r, const struct mm_args *a, struct mm_why *why)
{
	const struct mm_settings *set = &r->edit.config->set;

	if (set->root_links[0] != '\0' && !set->root_ended)
		return MM_FAIL(why, MM_ECONFLICT, "the change to %s is under "
		    "way: one at a time; mintmark ca root-end ends it",
		    before_of(set));
	MM_TRY(choose_name(r, mm_arg(a, "name"), why));
	MM_TRY(choose_paths(r, why));
	MM_TRY(set_path(r, "root", r->name, why));
	MM_TRY(set_path(r, "trust_anchor", r->anchor, why));
	MM_TRY(set_path(r, "root_links", r->links, why));
	MM_TRY(mm_conf_edit_top(&r->edit, "root_ended", "false", why));
	MM_TRY(mm_conf_edit_check(&r->edit, why));
	set = &r->edit.planned->set;
	if (strcmp(set->root, r->name) != 0 ||
	    strcmp(set->trust_anchor, r->anchor) != 0 ||
	    strcmp(set->root_links, r->links) != 0 || set->root_ended)
		return MM_FAIL(why, MM_EINPUT, "%.80s: it is not written as "
		    "init writes it: set root, trust_anchor, root_links and "
		    "root_ended yourself", r->edit.path);
	return MM_OK;
}

static json_t *
steps_of(const struct root *r)
{
	const struct mm_config *c = r->edit.planned;
	json_t *steps = json_array();

	json_array_append_new(steps, json_string("where several nodes work "
	    "over one database: copy these files to each, and what changed "
	    "in mintmark.conf"));
	json_array_append_new(steps, json_string("restart mintmarkd: from "
	    "then on both roots and what joins them are in /cacerts, and new "
	    "tokens name the new root"));
	json_array_append_new(steps, json_sprintf("whoever trusts the old "
	    "root (brokers, clouds, stations, operators) trusts %s, too",
	    r->anchor));
	for (size_t i = 0; i < c->nissuer; i++)
		if (!c->issuer[i].retired && !c->issuer[i].line &&
		    !mm_issuer_upstream(&c->issuer[i]) &&
		    mm_config_follower(c, c->issuer[i].name) == NULL)
			json_array_append_new(steps, json_sprintf("mintmark "
			    "ca rollover %s: its follower is below the new "
			    "root", c->issuer[i].name));
	json_array_append_new(steps, json_string("once what is below the old "
	    "root is retired: mintmark ca root-end"));
	return steps;
}

static enum mm_err
tell(const struct mm_cli *cli, const struct root *r, bool changed)
{
	MM_OWN(json_free) json_t *o = json_pack("{s:b,s:s,s:s,s:s,s:s,s:O?}",
	    "changed", changed, "root", r->name, "before",
	    before_of(&r->edit.config->set), "trust_anchor", r->anchor,
	    "root_links", r->links, "made", r->said);
	json_t *steps = steps_of(r), *step;
	size_t i;

	json_object_set_new(o, "next", steps);
	if (cli->json)
		return mm_json_print(o), MM_OK;
	printf("root %s %s the place of %s\n  certificate  %s\n"
	    "  links        %s\n", r->name, changed ? "takes" : "would take",
	    before_of(&r->edit.config->set), r->anchor, r->links);
	puts(changed ? "\nNext:" : "\nNothing was done.");
	json_array_foreach(steps, i, step)
		if (changed)
			printf("  %zu. %s\n", i + 1, json_string_value(step));
	return MM_OK;
}

static enum mm_err
change(struct mm_cli *cli, struct root *r, const struct mm_args *a,
    struct mm_why *why)
{
	MM_TRY(mm_conf_edit_begin(&r->edit, a, why));
	MM_TRY(plan(r, a, why));
	if (mm_flag(a, "dry-run"))
		return tell(cli, r, false);
	MM_TRY(mm_conf_edit_sign(&r->edit, a, "root",
	    before_of(&r->edit.config->set), &r->said, why));
	MM_TRY(mm_conf_edit_place(&r->edit, why));
	return tell(cli, r, true);
}

enum mm_err
mm_cmd_ca_root(struct mm_cli *cli, const struct mm_args *a, struct mm_why *why)
{
	struct root r = { .name = "" };
	enum mm_err rc = change(cli, &r, a, why);

	mm_conf_edit_done(&r.edit);
	json_decref(r.said);
	return rc;
}

/* ---- ca root-end ---- */

/* The last certificate of the issuer's file is its root's, or it has none. */
static enum mm_err
hangs_below(const char *path, struct mm_bytes old, bool *yes,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf pem = MM_BUF_INIT(256 * 1024);
	struct mm_bytes rest;

	*yes = false;
	MM_TRY(mm_file_read(path, &pem, why));
	rest = mm_buf_view(&pem);
	for (;;) {
		MM_OWN(mm_buf_done) struct mm_buf der =
		    MM_BUF_INIT(MM_CERT_MAX);
		struct mm_cert c, root;

		if (mm_pem_next(&rest, "CERTIFICATE", &der, NULL) != MM_OK)
			return MM_OK;
		MM_TRY(mm_cert_walk(mm_buf_view(&der), &c, why));
		MM_TRY(mm_cert_walk(old, &root, why));
		*yes = *yes || mm_cert_verify_by(&c, &root) == MM_OK;
	}
}

static enum mm_err
check_below(const struct mm_config *c, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf pem = MM_BUF_INIT(256 * 1024);
	MM_OWN(mm_buf_done) struct mm_buf old = MM_BUF_INIT(MM_CERT_MAX);
	struct mm_bytes rest;
	bool yes;

	MM_TRY(mm_file_read(c->set.root_links, &pem, why));
	rest = mm_buf_view(&pem);
	MM_TRY(mm_pem_next(&rest, "CERTIFICATE", &old, why));
	MM_TRY(hangs_below(c->set.tls_certificate, mm_buf_view(&old), &yes,
	    why));
	if (yes)
		return MM_FAIL(why, MM_ECONFLICT, "tls_certificate is below "
		    "the root before: mintmark ca renew-tls; or --force");
	for (size_t i = 0; i < c->nissuer; i++) {
		if (c->issuer[i].retired)
			continue;
		MM_TRY(hangs_below(c->issuer[i].certificate, mm_buf_view(&old),
		    &yes, why));
		if (yes)
			return MM_FAIL(why, MM_ECONFLICT, "issuer %s is below "
			    "the root before and not retired: mintmark ca "
			    "rollover, then retire; or --force",
			    c->issuer[i].name);
	}
	return MM_OK;
}

static enum mm_err
end(struct mm_cli *cli, struct mm_conf_edit *e, const struct mm_args *a,
    struct mm_why *why)
{
	MM_OWN(json_free) json_t *o = NULL;
	const bool dry = mm_flag(a, "dry-run");
	const struct mm_settings *set;

	MM_TRY(mm_conf_edit_begin(e, a, why));
	set = &e->config->set;
	if (set->root_links[0] == '\0' || set->root_ended)
		return MM_FAIL(why, MM_ECONFLICT, "no change of root is under "
		    "way");
	if (!mm_flag(a, "force"))
		MM_TRY(check_below(e->config, why));
	MM_TRY(mm_conf_edit_top(e, "root_ended", "true", why));
	MM_TRY(mm_conf_edit_check(e, why));
	if (!e->planned->set.root_ended)
		return MM_FAIL(why, MM_EINPUT, "%.80s: write root_ended = "
		    "true", e->path);
	if (!dry)
		MM_TRY(mm_conf_edit_place(e, why));
	o = json_pack("{s:b,s:s}", "changed", !dry, "root", set->root);
	if (cli->json)
		return mm_json_print(o), MM_OK;
	printf("the root before %s %s in /cacerts no more: who still pins it "
	    "alone gets to nothing of ours\n%s", set->root,
	    dry ? "would be" : "is", dry ? "Nothing was done.\n" :
	    "\nNext:\n  1. restart mintmarkd\n  2. destroy the key of the root "
	    "before, and every copy\n");
	return MM_OK;
}

enum mm_err
mm_cmd_ca_root_end(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	struct mm_conf_edit e = { .path = NULL };
	enum mm_err rc = end(cli, &e, a, why);

	mm_conf_edit_done(&e);
	return rc;
}
