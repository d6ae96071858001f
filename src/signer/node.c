#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "signer/setup.h"

/*
 * One more node: what its signer needs of the first one's folder, as one
 * file that is sealed with the passphrase.  Not in it: the ledger's key (one
 * signer has it), the root's, and what each signer has of its own: journal,
 * state.
 *
 *   u8 version, then until the end: block16 name, block32 contents
 *
 * Names: "ledger.pub", "anchor.crt", "profiles", "orders.pub",
 * "keys/orders.key", "keys/token-<xx>.key", "issuers/<name>.crt" as in
 * signer_dir; "issuer/<name>", the issuer's key, and what is in shared_files
 * are wherever each configuration has them.
 */
#define BUNDLE_MAX (4 << 20)
#define VERSION    1
#define NAME_LEN   64

/* Stations take orders of whichever node they reach. */
static const char *const own_names[] = { "ledger.pub", "anchor.crt",
	"profiles", "orders.pub", "keys/orders.key" };
/* Every node is to hand out the same: the root's lists, and after a change of
 * root what joins both. */
static const struct {
	const char *name;
	size_t path; /* in struct mm_settings; "" there: none */
	mode_t mode;
	enum mm_owner of;
} shared_files[] = {
	/* it holds lists of years to come */
	{ "root.crl", offsetof(struct mm_settings, root_crl), 0600,
	    MM_OF_SERVER },
	{ "root-links.crt", offsetof(struct mm_settings, root_links), 0644,
	    MM_OF_ROOT },
};
#define NSHARED (sizeof(shared_files) / sizeof(shared_files[0]))
#define NOWN (sizeof(own_names) / sizeof(own_names[0]))

/* ---- giving ---- */

static enum mm_err
add_file(
    struct mm_buf *out, const char *name, const char *path, struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf b = MM_BUF_INIT(BUNDLE_MAX);

	MM_TRY(mm_file_read(path, &b, why));
	mm_buf_block16(out, mm_bytes_of(name));
	mm_buf_block32(out, mm_buf_view(&b));
	return mm_buf_ok(out, why);
}

/* The anchor's is that of the root in force. */
static enum mm_err
own_path(const struct mm_setup *s, const char *name,
    char out[MM_PATH_MAX + 1], struct mm_why *why)
{
	const struct mm_settings *set = &s->conf->set;

	return strcmp(name, "anchor.crt") == 0 ?
	    mm_root_cert_path(set, set->root, out, why) :
	    mm_signer_path(set, name, out, why);
}

static enum mm_err
add_own(struct mm_setup *s, struct mm_buf *out, const char *name,
    struct mm_why *why)
{
	char path[MM_PATH_MAX + 1];

	MM_TRY(own_path(s, name, path, why));
	return access(path, F_OK) != 0 ? MM_OK : add_file(out, name, path, why);
}

static const char *
shared_path(const struct mm_setup *s, size_t i)
{
	return (const char *)&s->conf->set + shared_files[i].path;
}

static enum mm_err
add_shared(struct mm_setup *s, struct mm_buf *out, struct mm_why *why)
{
	for (size_t i = 0; i < NSHARED; i++) {
		const char *path = shared_path(s, i);

		if (path[0] != '\0' && access(path, F_OK) == 0)
			MM_TRY(add_file(out, shared_files[i].name, path, why));
	}
	return MM_OK;
}

static enum mm_err
add_all(struct mm_setup *s, struct mm_buf *out, struct mm_why *why)
{
	char name[NAME_LEN];

	mm_buf_u8(out, VERSION);
	for (size_t i = 0; i < NOWN; i++)
		MM_TRY(add_own(s, out, own_names[i], why));
	for (unsigned v = 0; v < 256; v++) {
		snprintf(name, sizeof(name), "keys/token-%02x.key", v);
		MM_TRY(add_own(s, out, name, why));
	}
	MM_TRY(add_shared(s, out, why));
	for (size_t i = 0; i < s->conf->nissuer; i++) {
		const struct mm_issuer_conf *c = &s->conf->issuer[i];

		snprintf(name, sizeof(name), "issuers/%s.crt", c->name);
		MM_TRY(add_own(s, out, name, why));
		if (mm_issuer_in_token(c) || !mm_issuer_lists(c))
			continue; /* the other node reaches it, or has none */
		snprintf(name, sizeof(name), "issuer/%s", c->name);
		MM_TRY(add_file(out, name, c->key, why));
	}
	return MM_OK;
}

/* A wrong passphrase would make a file that opens and keys that do not. */
static enum mm_err
check_pass(struct mm_setup *s, struct mm_why *why)
{
	MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;
	char path[MM_PATH_MAX + 1];

	for (size_t i = 0; i < s->conf->nissuer; i++)
		if (!mm_issuer_in_token(&s->conf->issuer[i]) &&
		    mm_issuer_lists(&s->conf->issuer[i]))
			return mm_key_load(s->conf->issuer[i].key,
			    mm_secret_view(s->pass), s->stretched, &key, why);
	MM_TRY(mm_signer_path(&s->conf->set, "keys/orders.key", path, why));
	return access(path, F_OK) != 0 ? MM_OK :
	    mm_key_load(path, mm_secret_view(s->pass), s->stretched, &key,
		why);
}

/* see setup.h */
enum mm_err
mm_cmd_export_node(const struct mm_opts *o, struct mm_why *why)
{
	MM_OWN(mm_setup_done) struct mm_setup s = { 0 };
	MM_OWN(mm_buf_wipe) struct mm_buf all = MM_BUF_INIT(BUNDLE_MAX);

	if (o->out == NULL)
		return MM_FAIL(why, MM_EINPUT, "export-node: --out is missing");
	MM_TRY(mm_setup_begin(&s, o, true, why));
	MM_TRY(check_pass(&s, why));
	MM_TRY(add_all(&s, &all, why));
	MM_TRY(mm_place_secret(&s, o->out, mm_buf_view(&all), why));
	mm_json_open(&s.json, '{');
	mm_json_str(&s.json, "out", o->out);
	mm_json_str(&s.json, "origin", s.conf->set.ledger_origin);
	mm_json_close(&s.json, '}');
	return mm_setup_print(&s, why);
}

/* ---- taking ---- */

static bool
is_own_name(const char *name)
{
	unsigned v;
	char again[NAME_LEN];

	for (size_t i = 0; i < NOWN; i++)
		if (strcmp(name, own_names[i]) == 0)
			return true;
	if (sscanf(name, "keys/token-%2x.key", &v) != 1)
		return false;
	snprintf(again, sizeof(again), "keys/token-%02x.key", v);
	return strcmp(name, again) == 0;
}

static const struct mm_issuer_conf *
issuer_of(const struct mm_setup *s, const char *name)
{
	for (size_t i = 0; i < s->conf->nissuer; i++)
		if (strcmp(s->conf->issuer[i].name, name) == 0)
			return &s->conf->issuer[i];
	return NULL;
}

/* What the server reads may have come with the configuration. */
static enum mm_err
place_unless(struct mm_setup *s, const char *path, struct mm_bytes data,
    mode_t mode, enum mm_owner of, struct mm_why *why)
{
	return access(path, F_OK) == 0 ? MM_OK :
	    mm_place(s, path, data, mode, of, why);
}

static enum mm_err
place_public(struct mm_setup *s, const char *path, struct mm_bytes data,
    struct mm_why *why)
{
	return place_unless(s, path, data, 0644, MM_OF_ROOT, why);
}

static enum mm_err
place_issuer(struct mm_setup *s, const char *name, struct mm_bytes data,
    struct mm_why *why)
{
	const struct mm_issuer_conf *c;
	char issuer[NAME_LEN], path[MM_PATH_MAX + 1];
	size_t n = strlen(name);

	if (strncmp(name, "issuer/", 7) == 0) {
		c = issuer_of(s, name + 7);
		return c == NULL
			   ? MM_OK
			   : mm_place(s, c->key, data, 0600, MM_OF_SIGNER, why);
	}
	if (strncmp(name, "issuers/", 8) != 0 || n <= 12 ||
	    strcmp(name + n - 4, ".crt") != 0)
		return MM_FAIL(why, MM_EINPUT,
		    "join: not of this version: "
		    "%s",
		    name);
	snprintf(issuer, sizeof(issuer), "%.*s", (int)(n - 12), name + 8);
	c = issuer_of(s, issuer);
	if (c == NULL)
		return MM_OK;
	MM_TRY(mm_signer_path(&s->conf->set, name, path, why));
	MM_TRY(mm_place(s, path, data, 0644, MM_OF_SIGNER, why));
	return place_public(s, c->certificate, data, why);
}

static enum mm_err
place_one(struct mm_setup *s, const char *name, struct mm_bytes data,
    struct mm_why *why)
{
	char path[MM_PATH_MAX + 1];

	for (size_t i = 0; i < NSHARED; i++)
		if (strcmp(name, shared_files[i].name) == 0)
			return shared_path(s, i)[0] == '\0' ? MM_OK :
			    place_unless(s, shared_path(s, i), data,
			    shared_files[i].mode, shared_files[i].of, why);
	if (!is_own_name(name))
		return place_issuer(s, name, data, why);
	MM_TRY(own_path(s, name, path, why));
	MM_TRY(mm_place(s, path, data,
	    strcmp(name, "anchor.crt") == 0 ? 0644 : 0600, MM_OF_SIGNER, why));
	return strcmp(name, "anchor.crt") != 0
		   ? MM_OK
		   : place_public(s, s->conf->set.trust_anchor, data, why);
}

static enum mm_err
place_all(struct mm_setup *s, struct mm_bytes all, struct mm_why *why)
{
	struct mm_rd r = mm_rd_over(all);

	if (mm_rd_u8(&r) != VERSION)
		return MM_FAIL(why, MM_EINPUT, "join: not of this version");
	while (r.left > 0) {
		struct mm_bytes raw = mm_rd_block16(&r);
		struct mm_bytes data = mm_rd_block32(&r);
		char name[NAME_LEN];

		if (r.bad || !mm_text_copy(name, sizeof(name), raw))
			return MM_FAIL(why, MM_EINPUT, "join: malformed");
		MM_TRY(place_one(s, name, data, why));
	}
	return MM_OK;
}

static enum mm_err
unseal(struct mm_setup *s, const char *path, struct mm_secret **out,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf pem = MM_BUF_INIT(2 * BUNDLE_MAX);

	MM_TRY(mm_file_read(path, &pem, why));
	return mm_unseal(mm_buf_view(&pem), mm_secret_view(s->pass),
	    s->stretched, out, why);
}

/* Which "mintmark init" made on the first node. */
static enum mm_err
server_folder(struct mm_setup *s, struct mm_why *why)
{
	struct mm_file_own own = { .mode = 0755 };

	MM_TRY(mm_whose(s, MM_OF_SERVER, &own, why));
	return mm_place_folder(s->conf->set.server_dir, &own, why);
}

/* see setup.h */
enum mm_err
mm_cmd_join(const struct mm_opts *o, struct mm_why *why)
{
	MM_OWN(mm_setup_done) struct mm_setup s = { 0 };
	MM_OWN(mm_secret_free) struct mm_secret *all = NULL;

	if (o->from == NULL)
		return MM_FAIL(why, MM_EINPUT, "join: --from is missing");
	MM_TRY(mm_setup_begin(&s, o, true, why));
	if (s.conf->set.node[0] == '\0')
		return MM_FAIL(why, MM_EINPUT,
		    "join: the configuration gives "
		    "this node no name (node)");
	MM_TRY(unseal(&s, o->from, &all, why));
	MM_TRY(mm_setup_folders(&s, why));
	MM_TRY(server_folder(&s, why));
	MM_TRY(place_all(&s, mm_secret_view(all), why));
	MM_TRY(mm_setup_journal(&s, why));
	mm_json_open(&s.json, '{');
	mm_json_str(&s.json, "node", s.conf->set.node);
	mm_json_str(&s.json, "origin", s.conf->set.ledger_origin);
	mm_json_close(&s.json, '}');
	return mm_setup_print(&s, why);
}

/* ---- the ledger's key ---- */

static enum mm_err
check_ledger_key(struct mm_setup *s, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf want = MM_BUF_INIT(MM_NOTE_MAX);
	MM_OWN(mm_buf_done) struct mm_buf have = MM_BUF_INIT(MM_NOTE_MAX);
	MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;
	char path[MM_PATH_MAX + 1];
	struct mm_note_key note;
	uint8_t raw[32];
	size_t n = sizeof(raw);

	MM_TRY(mm_key_load(s->o->from, mm_secret_view(s->pass),
	    s->stretched, &key, why));
	if (EVP_PKEY_get_raw_public_key(key, raw, &n) != 1)
		return MM_FAIL(
		    why, MM_EINPUT, "%.90s: not an Ed25519 key", s->o->from);
	mm_note_key_make(&note, s->conf->set.ledger_origin, raw);
	mm_note_key_text(&note, &want);
	mm_buf_u8(&want, '\n');
	MM_TRY(mm_signer_path(&s->conf->set, "ledger.pub", path, why));
	MM_TRY(mm_file_read(path, &have, why));
	return mm_bytes_eq(mm_buf_view(&want), mm_buf_view(&have))
		   ? MM_OK
		   : MM_FAIL(why, MM_EPOLICY, "%.90s: not the key of %s",
			 s->o->from, s->conf->set.ledger_origin);
}

/* see setup.h; the sealed file moves as it is */
enum mm_err
mm_cmd_take_ledger(const struct mm_opts *o, struct mm_why *why)
{
	MM_OWN(mm_setup_done) struct mm_setup s = { 0 };
	MM_OWN(mm_buf_wipe) struct mm_buf pem = MM_BUF_INIT(65536);
	char path[MM_PATH_MAX + 1];

	if (o->from == NULL)
		return MM_FAIL(
		    why, MM_EINPUT, "take-ledger: --from is missing");
	MM_TRY(mm_setup_begin(&s, o, true, why));
	MM_TRY(check_ledger_key(&s, why));
	MM_TRY(mm_file_read(o->from, &pem, why));
	MM_TRY(mm_signer_path(&s.conf->set, "keys/ledger.key", path, why));
	MM_TRY(mm_place(&s, path, mm_buf_view(&pem), 0600, MM_OF_SIGNER, why));
	mm_json_open(&s.json, '{');
	mm_json_str(&s.json, "node", s.conf->set.node);
	mm_json_str(&s.json, "key", path);
	mm_json_close(&s.json, '}');
	return mm_setup_print(&s, why);
}
