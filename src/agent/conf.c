#include "agent/conf.h"

#include <stddef.h>
#include <stdio.h>

/* In the order of enum mmd_key_kind, enum mm_agent_clock, and of versions. */
static const char *const keys[] = { "p256", "p384", "rsa2048", "ed25519",
	NULL };
static const char *const clocks[] = { "auto", "system", "server", NULL };
static const char *const versions[] = { "any", "1.2", "1.3", NULL };
static const unsigned version_of[] = { 0, 12, 13 };

#define DAY_S 86400
#define AT(f) offsetof(struct mm_agent_conf, f)
static const struct mm_conf_key rows[] = {
	{ "dir", MM_CONF_PATH, AT(dir), 1, MM_AGENT_DIR_MAX - 1,
	    "/var/lib/mintmark-agent",
	    "Folder of the identity; its owner is who runs the agent.", NULL },
	{ "server", MM_CONF_TEXT, AT(server), 0, MM_AGENT_HOST_MAX, "",
	    "host:port of the devices listener; empty for the one that issued "
	    "the identity, or that the token names.", NULL },
	{ "token_file", MM_CONF_PATH, AT(token_file), 0, PATH_MAX - 1, "",
	    "File of a token for the first identity, looked for at each "
	    "visit and removed after use; empty for none.", NULL },
	{ "credential", MM_CONF_PATH, AT(credential), 0, PATH_MAX - 1, "",
	    "File of an old or shared certificate (PEM, then its issuers) for "
	    "the first identity, instead of a token; wants device, server and "
	    "anchor. It is left alone; empty for none.", NULL },
	{ "credential_key", MM_CONF_PATH, AT(credential_key), 0, PATH_MAX - 1,
	    "", "Its private key (PEM); empty for one in the same file.",
	    NULL },
	{ "anchor", MM_CONF_PATH, AT(anchor), 0, PATH_MAX - 1, "",
	    "PEM of the trust anchor, whom the server is believed by where "
	    "an old certificate is used.", NULL },
	{ "pairing", MM_CONF_BOOL, AT(pairing), 0, 0, "false",
	    "While there is no identity: come with nothing but the anchor, "
	    "and show a code (pairing_code in the status file) that a person "
	    "compares.", NULL },
	{ "device", MM_CONF_TEXT, AT(device), 0, 64, "",
	    "The name in the first request; empty for the token's.", NULL },
	{ "label", MM_CONF_NAME, AT(label), 0, MM_NAME_MAX, "",
	    "EST label, which chooses a profile; empty for none.", NULL },
	{ "key_type", MM_CONF_CHOICE, AT(key), 0, 0, "p256",
	    "Kind of the keys that are made.", keys },
	{ "key", MM_CONF_TEXT, AT(key_in), 0, MM_KEY_URI_MAX, "",
	    "Where keys are made, as a URI: file:, tpm2: or pkcs11:... "
	    "(mintmark-agent(1)); empty for where the present one is, and a "
	    "file for the first.", NULL },
	{ "keep_key", MM_CONF_BOOL, AT(keep_key), 0, 0, "false",
	    "Renew for the same key, where the profile allows it.", NULL },
	{ "tls", MM_CONF_CHOICE, AT(tls), 0, 0, "any",
	    "Only this version of TLS.", versions },
	{ "clock", MM_CONF_CHOICE, AT(clock), 0, 0, "auto",
	    "Whose clock is believed: auto takes the system's unless the "
	    "server told another time; server only what the server told, for "
	    "a device whose clock may be ahead when it starts.", clocks },
	{ "renew_percent", MM_CONF_INT, AT(renew_percent), 1, 99, "66",
	    "Share of a certificate's life after which it is renewed, where "
	    "the server does not say when.", NULL },
	{ "every", MM_CONF_DURATION, AT(every_s), 10, 30 * DAY_S, "6h",
	    "How often the server is asked when to renew, where it does not "
	    "say when to ask again.", NULL },
	{ "spread", MM_CONF_DURATION, AT(spread_s), 0, DAY_S, "15m",
	    "A device that starts with a good identity goes to the server "
	    "some time within this: many start when the power is back.",
	    NULL },
	{ "retry", MM_CONF_DURATION, AT(again_s), 1, 3600, "30s",
	    "Pause after a visit that failed; it doubles with each.", NULL },
	{ "retry_most", MM_CONF_DURATION, AT(most_s), 1, 7 * DAY_S, "1h",
	    "And the longest, also where the server says when.", NULL },
	{ "timeout", MM_CONF_DURATION, AT(timeout_s), 1, 3600, "30s",
	    "Most time for a connection, for a handshake, and for an answer.",
	    NULL },
	{ "visit", MM_CONF_DURATION, AT(visit_s), 1, DAY_S, "10m",
	    "Most time for all of a visit; then it is killed, and tried "
	    "again.", NULL },
	{ "on_renewed", MM_CONF_LIST, AT(on_renewed), 0,
	    MM_CONF_ITEM_MAX - 1, "",
	    "A program with its words that is run when the identity is "
	    "another one; no shell reads them. It is run again until it "
	    "ends with 0.", NULL },
	{ "on_configuration", MM_CONF_LIST, AT(on_configuration), 0,
	    MM_CONF_ITEM_MAX - 1, "",
	    "The same, when the device is configured to something else: "
	    "its words on standard input say which version and where.", NULL },
	{ "hook_limit", MM_CONF_DURATION, AT(hook_s), 1, 3600, "60s",
	    "How long one run of such a program may take.", NULL },
	{ "status_file", MM_CONF_PATH, AT(status_file), 0, PATH_MAX - 1, "",
	    "JSON that says how it goes; empty for status.json in dir.",
	    NULL },
};
static const struct mm_conf_spec spec = { rows,
	sizeof(rows) / sizeof(rows[0]), NULL, 0 };

/* No search: what runs is what the file says. */
static enum mm_err
check_program(const char *name, const struct mm_conf_list *words,
    struct mm_why *why)
{
	if (words->n == 0 || words->item[0][0] == '/')
		return MM_OK;
	return MM_FAIL(why, MM_EINPUT, "%s: want a program's absolute path, "
	    "not \"%.60s\"", name, words->item[0]);
}

/* see conf.h */
enum mm_err
mm_agent_conf_load(const char *path, struct mm_agent_conf *out,
    struct mm_why *why)
{
	struct mm_conf_doc doc = { .top = out };
	enum mm_key_place place;
	struct mm_agent a;
	enum mm_err err = mm_conf_load(path, &spec, &doc, why);

	mm_conf_doc_done(&doc);
	MM_TRY(err);
	if (out->key_in[0] != '\0')
		MM_TRY(mm_key_place_of(out->key_in, &place, why));
	if (out->server[0] != '\0')
		MM_TRY(mm_agent_set_server(&a, out->server, why));
	if (out->device[0] != '\0' && !mm_device_id_valid(out->device))
		return MM_FAIL(why, MM_EINPUT, "device: bad name");
	if (out->most_s < out->again_s)
		return MM_FAIL(why, MM_EINPUT,
		    "retry_most: shorter than retry");
	MM_TRY(check_program("on_renewed", &out->on_renewed, why));
	return check_program("on_configuration", &out->on_configuration, why);
}

static const char *
given(const char *text)
{
	return text[0] != '\0' ? text : NULL;
}

/* see conf.h */
struct mm_agent_args
mm_agent_conf_args(const struct mm_agent_conf *c)
{
	return (struct mm_agent_args){
		.command = "run",
		.dir = c->dir,
		.server = given(c->server),
		.token_file = given(c->token_file),
		.credential = given(c->credential),
		.credential_key = given(c->credential_key),
		.anchor = given(c->anchor),
		.device = given(c->device),
		.label = given(c->label),
		.key_in = given(c->key_in),
		.keep_key = c->keep_key,
		.pairing = c->pairing && c->credential[0] == '\0',
		.ask = true,
		.quiet = true,
		.key_kind = (enum mmd_key_kind)c->key,
		.clock_mode = (enum mm_agent_clock)c->clock,
		.tls_version = version_of[c->tls],
		.timeout_s = (unsigned)c->timeout_s,
		.renew_percent = (unsigned)c->renew_percent,
	};
}

/* see conf.h */
void
mm_agent_status_path(const char *file, const char *dir, char out[PATH_MAX])
{
	if (file != NULL && file[0] != '\0')
		snprintf(out, PATH_MAX, "%s", file);
	else
		snprintf(out, PATH_MAX, "%s/status.json", dir);
}

/* see conf.h */
void
mm_agent_conf_reference(struct mm_buf *out)
{
	mm_conf_print_reference(out, &spec);
}
