#include "agent/program.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/priv.h"
#include "agent/token_file.h"
#include "base/log.h"
#include "base/secret.h"

/* A device that waits does not look like one that hangs. */
static void
tell_wait(unsigned tries, int64_t ms, const struct mm_why *why)
{
	fprintf(stderr, "mintmark-agent: try %u: %s; the next in %lld s\n",
	    tries, why->text, (long long)(ms + 999) / 1000);
}

/* For whoever stands before the device. */
static void
show_code(const char *code)
{
	if (code == NULL)
		fprintf(stderr, "mintmark-agent: the code shown before counts "
		    "no more, unless it is shown again\n");
	else
		fprintf(stderr, "mintmark-agent: pairing code %s: it waits "
		    "until somebody has compared that\n", code);
}

/* see program.h */
void
mm_agent_program_init(struct mm_agent_program *p)
{
	const struct mm_agent_args *args = &p->args;

	p->nv = mm_agent_store_nv(&p->store);
	mm_agent_keyring_init(&p->keyring, &p->nv, args->key_in);
	p->keyring.notes = args->dir;
	p->nv_keys = mm_agent_keyring_nv(&p->keyring);
	p->crypto = mm_agent_keyring_crypto(&p->keyring);
	p->clock = mmd_posix_clock();
	p->wire.server = p->agent.server;
	p->wire.more = p->agent.more;
	p->wire.label = args->label;
	mm_agent_old_init(&p->old, &p->nv_keys);
	p->nv_old = mm_agent_old_nv(&p->old);
	p->wire.nv = &p->nv_old;
	p->wire.keyring = &p->keyring;
	p->wire.timeout_ms = (int)args->timeout_s * 1000;
	p->wire.verbose = args->verbose;
	p->link = mm_agent_wire_link(&p->wire);
	p->agent = (struct mm_agent){ .nv = &p->nv_keys, .crypto = &p->crypto,
		.time = &p->clock, .link = &p->link, .device = args->device,
		.key_kind = args->key_kind, .tls_version = args->tls_version,
		.retries = args->retries, .keep_key = args->keep_key,
		.replace = args->replace,
		.waits = args->quiet ? NULL : tell_wait,
		.shows = show_code, .patient = true,
		.now = args->now, .ask = args->ask,
		.renew_percent = args->renew_percent,
		.clock = args->clock_mode, .retry_s = -1, .ask_s = -1 };
}

static enum mm_err
set_server(struct mm_agent_program *p, const char *server, struct mm_why *why)
{
	if (server == NULL || server[0] == '\0')
		return MM_FAIL(why, MM_EINPUT, "--server is missing");
	return mm_agent_set_server(&p->agent, server, why);
}

static enum mm_err
enrol_with(struct mm_agent_program *p, struct mmd_token *t,
    struct mm_agent_status *out, struct mm_why *why)
{
	const struct mmd_token *token = t;
	const char *server = p->args.server;
	struct mm_agent_status s;
	struct mm_agent_token_source file = { .path = p->args.token_file };
	struct mm_why w = { 0 };
	enum mm_err err = mm_agent_token_read(&file, &p->crypto, t, &w);

	if (err == MM_ENOTFOUND) {
		/* Removed after use, if there is an identity already. */
		if (mm_agent_status(&p->agent, &s, NULL) != MM_OK)
			return MM_FAIL(why, MM_ENOTFOUND, "%s", w.text);
		token = NULL;
		server = server != NULL ? server : s.server;
	} else if (err != MM_OK)
		return MM_FAIL(why, err, "%s", w.text);
	else if (server == NULL)
		server = t->server;
	if (file.exposed)
		fprintf(stderr, "mintmark-agent: warning: others may read "
		    "the token file: chmod go= it\n");
	MM_TRY(set_server(p, server, why));
	MM_TRY(mm_agent_enrol(&p->agent, token, out, why));
	return p->args.keep_token || out->unspent != MM_AGENT_SPENT ? MM_OK
	    : mm_agent_token_erase(p->args.token_file, why);
}

/* It is read for a first identity only: who has one needs no other. */
static enum mm_err
enrol_with_old(struct mm_agent_program *p, struct mm_agent_status *out,
    struct mm_why *why)
{
	struct mm_agent_old_files files = { .cert = p->args.credential,
		.key = p->args.credential_key, .anchor = p->args.anchor };
	const char *server = p->args.server;
	struct mm_agent_status s;

	if (mm_agent_status(&p->agent, &s, NULL) == MM_OK) {
		server = server != NULL ? server : s.server;
	} else {
		MM_TRY(mm_agent_old_load(&p->old, &files, why));
		p->agent.old = &p->old;
		p->agent.pairing = p->args.credential == NULL;
		if (files.exposed)
			fprintf(stderr, "mintmark-agent: warning: others may "
			    "read the old credential's key: chmod go= it\n");
	}
	MM_TRY(set_server(p, server, why));
	return mm_agent_enrol(&p->agent, NULL, out, why);
}

/* ---- the configuration ---- */

static enum mm_err
configure(struct mm_agent_program *p, struct mm_why *why)
{
	struct mm_agent_confstore s;

	MM_TRY(mm_agent_confstore_open(&p->conf, p->args.dir, false, why));
	s = mm_agent_confstore(&p->conf);
	return mm_agent_configure(&p->agent, &s, &p->configured, why);
}

/* What is in use, without asking or making anything. */
static void
look_at_config(struct mm_agent_program *p)
{
	struct mm_agent_confstore s;
	bool whole;

	p->configured = (struct mm_agent_configured){ .version = 0 };
	if (mm_agent_confstore_open(&p->conf, p->args.dir, true, NULL) !=
	    MM_OK)
		return;
	s = mm_agent_confstore(&p->conf);
	if (s.have(s.ctx, &p->configured, &whole, NULL) != MM_OK || !whole)
		p->configured.version = 0;
}

/* Beside an identity, which is as good without it: once, and no failure. */
static void
configure_too(struct mm_agent_program *p)
{
	unsigned retries = p->agent.retries;
	int32_t retry_s = p->agent.retry_s;

	p->agent.retries = 0;
	p->conf_why = (struct mm_why){ 0 };
	p->conf_err = configure(p, &p->conf_why);
	p->conf_retry_s = p->agent.retry_s;
	p->agent.retries = retries;
	p->agent.retry_s = retry_s;
}

/* see program.h */
enum mm_err
mm_agent_program_config(struct mm_agent_program *p,
    struct mm_agent_status *out, struct mm_why *why)
{
	unsigned slot;

	MM_TRY(mm_agent_store_look(&p->store, p->args.dir, why));
	MM_TRY(mm_agent_selected(&p->agent, &slot, why));
	MM_TRY(mm_agent_store_open(&p->store, p->args.dir, why));
	MM_TRY(mm_agent_status(&p->agent, out, why));
	MM_TRY(set_server(p, p->args.server != NULL ? p->args.server
	    : out->server, why));
	return configure(p, why);
}

/* How a device comes for its first identity: by one of these. */
static enum mm_err
check_ways(const struct mm_agent_args *a, struct mm_why *why)
{
	int n = (a->token_file != NULL) + (a->credential != NULL) + a->pairing;

	if (n > 1)
		return MM_FAIL(why, MM_EINPUT, "--token-file, --credential or "
		    "--pairing, and one of them");
	return n == 1 ? MM_OK
	    : MM_FAIL(why, MM_EINPUT, "--token-file is missing");
}

/* see program.h */
enum mm_err
mm_agent_program_enrol(struct mm_agent_program *p,
    struct mm_agent_status *out, struct mm_why *why)
{
	struct mmd_token token = { .anchor_n = 0 };
	enum mm_err err;

	MM_TRY(check_ways(&p->args, why));
	MM_TRY(mm_agent_store_open(&p->store, p->args.dir, why));
	err = p->args.token_file == NULL ? enrol_with_old(p, out, why)
	    : enrol_with(p, &token, out, why);
	mm_wipe(&token, sizeof(token));
	if (err == MM_OK && out->unspent != MM_AGENT_OTHER)
		configure_too(p);
	return err;
}

/* see program.h */
enum mm_err
mm_agent_program_renew(struct mm_agent_program *p,
    struct mm_agent_status *out, struct mm_why *why)
{
	struct mm_agent_status now;
	unsigned slot;

	/* Nothing is made in a folder that is not an identity's. */
	MM_TRY(mm_agent_store_look(&p->store, p->args.dir, why));
	MM_TRY(mm_agent_selected(&p->agent, &slot, why));
	MM_TRY(mm_agent_store_open(&p->store, p->args.dir, why));
	MM_TRY(mm_agent_status(&p->agent, &now, why));
	MM_TRY(set_server(p, p->args.server != NULL ? p->args.server
	    : now.server, why));
	MM_TRY(mm_agent_renew(&p->agent, out, why));
	if (!out->early || p->args.ask)
		configure_too(p);
	else
		look_at_config(p);
	return MM_OK;
}

/* see program.h */
enum mm_err
mm_agent_program_status(struct mm_agent_program *p,
    struct mm_agent_status *out, struct mm_why *why)
{
	MM_TRY(mm_agent_store_look(&p->store, p->args.dir, why));
	look_at_config(p);
	return mm_agent_status(&p->agent, out, why);
}

static bool
has_token(const struct mm_agent_program *p)
{
	return p->args.token_file != NULL &&
	    access(p->args.token_file, F_OK) == 0;
}

/* A token lies there, or one is needed. */
static bool
wants_token(struct mm_agent_program *p)
{
	struct mm_agent_status s;

	return p->args.token_file != NULL &&
	    (access(p->args.token_file, F_OK) == 0 ||
	    mm_agent_status(&p->agent, &s, NULL) == MM_ENOTFOUND);
}

/* A token that is no use must not keep an identity from being renewed. */
static enum mm_err
take_token(struct mm_agent_program *p, enum mm_agent_unspent *unspent,
    struct mm_why *why)
{
	struct mmd_token token = { .anchor_n = 0 };
	struct mm_agent_status s = { .unspent = MM_AGENT_SPENT };
	struct mm_why w = { 0 };
	enum mm_err err;

	if (!wants_token(p))
		return MM_OK;
	err = enrol_with(p, &token, &s, &w);
	mm_wipe(&token, sizeof(token));
	*unspent = s.unspent;
	if (err == MM_OK)
		return MM_OK;
	if (mm_agent_status(&p->agent, &s, NULL) != MM_OK)
		return MM_FAIL(why, err, "%s", w.text);
	MM_LOG(MM_LOG_WARN, "token", MM_S("why", w.text));
	return MM_OK;
}

/* An old credential is for who has nothing else. */
static enum mm_err
take_old(struct mm_agent_program *p, struct mm_why *why)
{
	struct mm_agent_status s;

	if ((p->args.credential == NULL && !p->args.pairing) ||
	    mm_agent_status(&p->agent, &s, NULL) != MM_ENOTFOUND ||
	    has_token(p))
		return MM_OK;
	return enrol_with_old(p, &s, why);
}

/* see program.h */
enum mm_err
mm_agent_program_visit(struct mm_agent_program *p, bool look,
    struct mm_agent_status *out, struct mm_why *why)
{
	enum mm_agent_unspent unspent = MM_AGENT_SPENT;
	struct mm_agent_status now;

	MM_TRY(mm_agent_store_open(&p->store, p->args.dir, why));
	if (p->args.credential == NULL || has_token(p))
		MM_TRY(take_token(p, &unspent, why));
	MM_TRY(take_old(p, why));
	MM_TRY(mm_agent_status(&p->agent, &now, why));
	p->looked = look && now.confirmed && (now.renew_at_s == 0 ||
	    mm_agent_now_s(&p->agent) < now.renew_at_s);
	look_at_config(p);
	if (p->looked) {
		*out = now;
		return MM_OK;
	}
	MM_TRY(set_server(p, p->args.server != NULL ? p->args.server
	    : now.server, why));
	MM_TRY(mm_agent_renew(&p->agent, out, why));
	out->unspent = unspent;
	configure_too(p);
	return MM_OK;
}

/* see program.h */
void
mm_agent_program_explain(struct mm_agent_program *p, enum mm_err err,
    struct mm_why *why)
{
	struct mm_why first = *why, key;

	if (err == MM_ESYS && mm_agent_keyring_failure(&p->keyring, &key)) {
		(void)strcpy(why->text, key.text);
		return;
	}
	if (err == MM_ESYS && p->store.why.code == MM_ESYS)
		snprintf(why->text, sizeof(why->text), "%.50s: %.100s",
		    first.text, p->store.why.text);
}

/* see program.h */
void
mm_agent_program_done(struct mm_agent_program *p)
{
	mm_agent_old_done(&p->old);
	mm_agent_keyring_done(&p->keyring);
	mm_agent_store_close(&p->store);
}
