#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "core/once.h"
#include "core/priv.h"

/*
 * The entries that belong before all others, and at every start those of
 * profiles and issuers that are new in the configuration.  noted.c knows which
 * ones the ledger has seen: a changed profile under a used name@version is
 * refused.
 */

struct thing { /* an issuer, what it is to others, or a profile@version */
	const char *kind;
	char name[MM_PROFILE_TEXT];
	uint8_t sha256[32];
	struct mm_entry entry;
	char hex[65], before[65];
	char issuer[MM_NAME_MAX + 1];
	char at[MM_TIME_TEXT];
};

static enum mm_err
note(struct mm_store *s, struct thing *t, const char *id,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf buf = MM_BUF_INIT(4096);
	struct mm_papers p = mm_papers_over(&buf);
	struct mm_op op, *ops[] = { &op };
	char body[MM_NOTED_TEXT];

	mm_noted_op(id, t->sha256, body, &op);
	mm_papers_add(&p, &t->entry);
	MM_TRY(mm_papers_seal(&p, &op, why));
	MM_TRY(mm_store_run(s, ops, 1, why));
	return op.result == MM_OK ? MM_OK :
	    MM_FAIL(why, op.result, "%s", op.why.text);
}

static enum mm_err
loaded(struct mm_store *s, struct mm_store_reader *r, struct thing *t,
    struct mm_why *why)
{
	uint8_t seen[32];
	char id[MM_DOC_ID_MAX + 1];
	enum mm_err rc;

	snprintf(id, sizeof(id), "%s:%s", t->kind, t->name);
	rc = mm_noted_get(r, id, seen, why);
	if (rc == MM_ENOTFOUND) {
		rc = note(s, t, id, why);
		if (rc != MM_ECONFLICT)
			return rc;
		/* another node noted it just now */
		if (why != NULL)
			*why = (struct mm_why){ 0 };
		rc = mm_noted_get(r, id, seen, why);
	}
	MM_TRY(rc);
	if (memcmp(seen, t->sha256, 32) != 0)
		return MM_FAIL(why, MM_EPOLICY, "%s %s: not the one that is "
		    "in use; give it another %s", t->kind, t->name,
		    strcmp(t->kind, "profile") == 0 ? "version" : "name");
	return MM_OK;
}

static enum mm_err
profile_thing(const struct mm_profile *p, struct thing *t,
    struct mm_why *why)
{
	memset(t, 0, sizeof(*t));
	t->kind = "profile";
	snprintf(t->name, sizeof(t->name), "%s@%lld", p->name,
	    (long long)p->version);
	MM_TRY(mm_profile_hash(p, t->sha256, why));
	mm_hex_text(t->sha256, 32, t->hex);
	strcpy(t->issuer, p->issuer);
	t->entry.type = MM_E_PROFILE_LOADED;
	t->entry.field[MM_F_PROFILE] = t->name;
	t->entry.field[MM_F_PROFILE_SHA256] = t->hex;
	t->entry.field[MM_F_ISSUER] = t->issuer;
	return MM_OK;
}

static enum mm_err
first_cert(const char *path, struct mm_buf *der, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf pem = MM_BUF_INIT(256 * 1024);
	struct mm_bytes rest;

	MM_TRY(mm_file_read(path, &pem, why));
	rest = mm_buf_view(&pem);
	return mm_pem_next(&rest, "CERTIFICATE", der, why);
}

static enum mm_err
issuer_thing(const struct mm_issuer_conf *i, struct thing *t,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);

	memset(t, 0, sizeof(*t));
	MM_TRY(first_cert(i->certificate, &der, why));
	t->kind = "issuer";
	strcpy(t->name, i->name);
	mm_sha256(mm_buf_view(&der), t->sha256);
	mm_hex_text(t->sha256, 32, t->hex);
	t->entry.type = MM_E_ISSUER_MADE;
	t->entry.field[MM_F_ISSUER] = t->name;
	t->entry.field[MM_F_CERT_SHA256] = t->hex;
	return MM_OK;
}

/* Noted by all that it says: another time is another entry. */
static void
follows_thing(const struct mm_issuer_conf *i, struct thing *t)
{
	char text[2 * MM_NAME_MAX + MM_TIME_WORD + 8];

	memset(t, 0, sizeof(*t));
	snprintf(text, sizeof(text), "%s\n%s\n%s\n", i->name, i->follows,
	    i->follows_from);
	mm_sha256(mm_bytes_of(text), t->sha256);
	mm_hex_text(t->sha256, 16, t->name);
	strcpy(t->issuer, i->name);
	mm_time_text_s(mm_issuer_from(i), t->at);
	t->kind = "follows";
	t->entry.type = MM_E_ISSUER_FOLLOWS;
	t->entry.field[MM_F_ISSUER] = t->issuer;
	t->entry.field[MM_F_FROM] = i->follows;
	if (i->follows_from[0] != '\0')
		t->entry.field[MM_F_NOT_BEFORE] = t->at;
}

static void
retired_thing(const struct mm_issuer_conf *i, struct thing *t)
{
	memset(t, 0, sizeof(*t));
	strcpy(t->name, i->name);
	mm_sha256(mm_bytes_of(i->name), t->sha256);
	t->kind = "retired";
	t->entry.type = MM_E_ISSUER_RETIRED;
	t->entry.field[MM_F_ISSUER] = t->name;
}

/* The first root has no entry of its own. */
static enum mm_err
root_thing(const struct mm_settings *set, struct thing *t, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	uint8_t before[32];

	memset(t, 0, sizeof(*t));
	t->kind = "root";
	strcpy(t->name, set->root);
	MM_TRY(first_cert(set->trust_anchor, &der, why));
	mm_sha256(mm_buf_view(&der), t->sha256);
	mm_hex_text(t->sha256, 32, t->hex);
	mm_buf_reset(&der);
	MM_TRY(first_cert(set->root_links, &der, why));
	mm_sha256(mm_buf_view(&der), before);
	mm_hex_text(before, 32, t->before);
	t->entry.type = MM_E_ROOT_CHANGED;
	t->entry.field[MM_F_CERT_SHA256] = t->hex;
	t->entry.field[MM_F_FROM] = t->before;
	return MM_OK;
}

/* What an issuer is to those before it. */
static enum mm_err
issuer_places(struct mm_store *s, struct mm_store_reader *r,
    const struct mm_issuer_conf *i, struct mm_why *why)
{
	struct thing t;

	if (i->follows[0] != '\0') {
		follows_thing(i, &t);
		MM_TRY(loaded(s, r, &t, why));
	}
	if (!i->retired)
		return MM_OK;
	retired_thing(i, &t);
	return loaded(s, r, &t, why);
}

/* see priv.h */
enum mm_err
mm_found_loaded(struct mm_store *s, struct mm_store_reader *r,
    const struct mm_config *config, struct mm_why *why)
{
	struct thing t;

	for (size_t i = 0; i < config->nissuer; i++) {
		struct mm_why none = { 0 };
		enum mm_err rc = issuer_thing(&config->issuer[i], &t, &none);

		/* its certificate is still being signed by a root elsewhere */
		if (rc == MM_ENOTFOUND)
			continue;
		if (rc != MM_OK)
			return MM_FAIL(why, rc, "%s", none.text);
		MM_TRY(loaded(s, r, &t, why));
		MM_TRY(issuer_places(s, r, &config->issuer[i], why));
	}
	if (config->set.root[0] != '\0' && config->set.root_links[0] != '\0') {
		MM_TRY(root_thing(&config->set, &t, why));
		MM_TRY(loaded(s, r, &t, why));
	}
	for (size_t i = 0; i < config->nprofile; i++) {
		MM_TRY(profile_thing(&config->profile[i], &t, why));
		MM_TRY(loaded(s, r, &t, why));
	}
	return MM_OK;
}

/* ---- the first start ---- */

static enum mm_err
open_ledger(struct mm_store *s, const char *origin, struct mm_bytes key,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(1024);
	MM_OWN(mm_buf_done) struct mm_buf buf = MM_BUF_INIT(4096);
	struct mm_papers p = mm_papers_over(&buf);
	struct mm_entry e = { .type = MM_E_LEDGER_OPENED };
	struct mm_op op = { .kind = MM_OP_ENTRY };
	struct mm_op *ops[] = { &op };
	struct mm_note_key verifier;

	if (key.n != 32)
		return MM_FAIL(why, MM_EINPUT, "ledger key: %zu bytes, want "
		    "32", key.n);
	mm_note_key_make(&verifier, origin, key.p);
	mm_note_key_text(&verifier, &text);
	e.field[MM_F_ORIGIN] = origin;
	e.field[MM_F_KEY] = mm_buf_cstr(&text);
	mm_papers_add(&p, &e);
	MM_TRY(mm_papers_seal(&p, &op, why));
	MM_TRY(mm_store_run(s, ops, 1, why));
	return op.result;
}

static enum mm_err
first_admin(struct mm_store *s, const char *name, char text[80],
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf buf = MM_BUF_INIT(4096);
	struct mm_op op, *ops[] = { &op };
	char key[80];

	MM_TRY(mm_operator_op(&(struct mm_operator_spec){ .name = name,
	    .roles = MM_ROLE_ADMIN }, &buf, &op, key, why));
	MM_TRY(mm_store_run(s, ops, 1, why));
	MM_TRY(op.result);
	memcpy(text, key, sizeof(key));
	mm_wipe(key, sizeof(key));
	return MM_OK;
}

/* see once.h */
enum mm_err
mm_core_found(const struct mm_config *config, struct mm_bytes ledger_key,
    const char *admin_name, char key_text[80], struct mm_why *why)
{
	MM_OWN(mm_store_close) struct mm_store *s = NULL;
	MM_OWN(mm_reader_close) struct mm_store_reader *r = NULL;

	MM_TRY(mm_store_open(config->set.database, true, &s, why));
	if (mm_store_ledger_size(s) != 0)
		return MM_FAIL(why, MM_ECONFLICT, "the store was founded "
		    "before");
	MM_TRY(mm_reader_open(config->set.database, &r, why));
	MM_TRY(open_ledger(s, config->set.ledger_origin, ledger_key, why));
	MM_TRY(mm_found_loaded(s, r, config, why));
	return first_admin(s, admin_name, key_text, why);
}
