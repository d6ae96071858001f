#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "base/time.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/rollover.h"

/*
 * "ca retire": the end of an issuer that another one follows.  While one of
 * its certificates is good, or may be renewed late, its revocation lists are
 * needed; the server's records say when the last one ends.
 */
const struct mm_opt mm_opts_ca_retire[] = {
	{ "config", "FILE", "mintmark.conf (default "
	    "/etc/mintmark/mintmark.conf)", MM_C_FILE, NULL },
	{ "revoked", NULL, "its root has revoked it, and root_crl has that "
	    "list: what it issued is refused by that", MM_C_NONE, NULL },
	{ "dry-run", NULL, "say what would happen, do nothing", MM_C_NONE,
	    NULL },
	{ NULL, NULL, NULL, MM_C_NONE, NULL },
};

/* Whatever its state: what is revoked is listed until it has ended. */
static enum mm_err
check_ended(struct mm_cli *cli, const struct mm_config *config,
    const struct mm_issuer_conf *i, struct mm_why *why)
{
	MM_OWN(json_free) json_t *o = NULL;
	const int64_t grace_s = mm_config_grace(config, i);
	char path[1024], at[MM_TIME_TEXT];
	struct mm_client *c;
	const json_t *item;

	mm_time_text_s(mm_now_s() - grace_s, at);
	MM_TRY(mm_path(path, why, "/certificates?issuer=%s&expires_from=%s"
	    "&limit=1", i->name, at));
	MM_TRY(mm_cli_client(cli, &c, why));
	MM_TRY(mm_client_call(c, "GET", path, NULL, &o, why));
	item = json_array_get(json_object_get(o, "items"), 0);
	if (item == NULL)
		return MM_OK;
	mm_cli_hint(cli, "mintmark cert list --issuer %s --expires-from %s "
	    "names them; renew_before has devices renew early", i->name, at);
	return MM_FAIL(why, MM_ECONFLICT, "issuer %s: what it issued has not "
	    "ended: %.40s of device %.64s ends %.30s%s", i->name,
	    mm_json_text(item, "serial"), mm_json_text(item, "device"),
	    mm_json_text(item, "not_after"),
	    grace_s > 0 ? ", and may be renewed late" : "");
}

static enum mm_err
check_place(const struct mm_config *c, const struct mm_issuer_conf *i,
    struct mm_why *why)
{
	const struct mm_issuer_conf *next = mm_config_follower(c, i->name);

	if (i->retired)
		return MM_FAIL(why, MM_ECONFLICT, "issuer %s is retired",
		    i->name);
	if (next == NULL || mm_now_s() < mm_issuer_from(next))
		return MM_FAIL(why, MM_EPOLICY, "issuer %s: nobody has taken "
		    "its place: mintmark ca rollover %s", i->name, i->name);
	if (i->lines > 0)
		return MM_FAIL(why, MM_EPOLICY, "issuer %s: line CAs below it "
		    "live as long as it does, and their lists need it",
		    i->name);
	return MM_OK;
}

/* Who says that the root has revoked it is looked up, too. */
static enum mm_err
check_over(struct mm_cli *cli, const struct mm_config *c,
    const struct mm_issuer_conf *i, bool revoked, struct mm_why *why)
{
	enum mm_err rc;

	if (!revoked)
		return check_ended(cli, c, i, why);
	rc = mm_issuer_revoked(c, i, why);
	if (rc == MM_EPOLICY)
		mm_cli_hint(cli, "mintmark ca root-crl --revoke %.200s has "
		    "the root revoke it", i->certificate);
	return rc;
}

static void
print(const struct mm_issuer_conf *i, bool dry)
{
	const bool theirs = mm_issuer_upstream(i);

	printf("issuer %s %s retired: it %s any more, and is not in "
	    "/cacerts\n", i->name, dry ? "would be" : "is",
	    theirs ? "is asked for nothing" :
	    "signs no revocation list and no OCSP answer");
	if (dry)
		puts("Nothing was done.");
	else
		printf("\nNext:\n  1. restart mintmarkd\n  2. %s: %s\n",
		    theirs ? "have its CA take back what we may do there" :
		    "destroy its key and every copy",
		    mm_issuer_est(i) ? i->est : theirs ? i->exec.item[0] :
		    i->key);
}

static enum mm_err
retire(struct mm_cli *cli, struct mm_conf_edit *e, const struct mm_args *a,
    struct mm_why *why)
{
	MM_OWN(json_free) json_t *o = NULL;
	const bool dry = mm_flag(a, "dry-run");
	const struct mm_issuer_conf *i;

	MM_TRY(mm_conf_edit_begin(e, a, why));
	cli->beside = e->path;
	i = mm_config_issuer(e->config, a->pos[0]);
	if (i == NULL)
		return MM_FAIL(why, MM_ENOTFOUND, "%.80s: no issuer \"%.32s\" "
		    "{ } block", e->path, a->pos[0]);
	MM_TRY(check_place(e->config, i, why));
	MM_TRY(check_over(cli, e->config, i, mm_flag(a, "revoked"), why));
	MM_TRY(mm_conf_edit_issuer(e, i->name, "retired", "true", why));
	MM_TRY(mm_conf_edit_check(e, why));
	if (!mm_config_issuer(e->planned, i->name)->retired)
		return MM_FAIL(why, MM_EINPUT, "%.80s: write retired = true "
		    "into the block of issuer %s", e->path, i->name);
	if (!dry)
		MM_TRY(mm_conf_edit_place(e, why));
	o = json_pack("{s:b,s:s,s:s}", "changed", !dry, "issuer", i->name,
	    "key", i->key);
	if (cli->json)
		mm_json_print(o);
	else
		print(i, dry);
	return MM_OK;
}

enum mm_err
mm_cmd_ca_retire(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	struct mm_conf_edit e = { .path = NULL };
	enum mm_err rc = retire(cli, &e, a, why);

	mm_conf_edit_done(&e);
	return rc;
}
