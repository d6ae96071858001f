#include "cli/fact.h"

#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "base/time.h"
#include "cli/marks.h"

/* All rows, what no list shows, what is missing, and the counters. */

/* A closed approval is kept for that long after its end; see the server. */
#define KEPT_MS ((int64_t)30 * 24 * 3600 * 1000)

/* ---- what is in use: what the ledger was told once for all ---- */

static enum mm_err
noted(struct mm_facts *s, enum mm_fact_kind kind, const char *id,
    uint8_t sha256[32], struct mm_why *why)
{
	char key[MM_DOC_ID_MAX + 1];

	snprintf(key, sizeof(key), "%s:%s", mm_fact_kinds[kind].name, id);
	return mm_noted_get(s->of.db, key, sha256, why);
}

static enum mm_err
look_at_noted(struct mm_facts *s, struct mm_fact *f, struct mm_why *why)
{
	enum mm_fact_kind kind = (enum mm_fact_kind)f->kind;
	struct mm_said said = { .id = NULL };
	char id[MM_PROFILE_TEXT];
	uint8_t sha256[32];
	struct mm_entry e;
	enum mm_err rc;

	MM_TRY(mm_fact_reread(s, f, &e, why));
	snprintf(id, sizeof(id), "%s", e.field[mm_fact_kinds[kind].id]);
	rc = noted(s, kind, id, sha256, why);
	if (rc == MM_ENOTFOUND)
		return MM_OK; /* not seen */
	MM_TRY(rc);
	mm_hex_text(sha256, 32, said.own[0]);
	mm_fact_hash(said.own[0], said.who);
	said.id = id;
	said.text[0] = said.own[0]; /* or who */
	return mm_fact_look(s, f, &said, why);
}

static enum mm_err
look_for_noted(struct mm_facts *s, enum mm_fact_kind kind, const char *id,
    struct mm_why *why)
{
	uint8_t sha256[32];
	enum mm_err rc;

	if (mm_fact_find(s, kind, id) != NULL)
		return MM_OK;
	rc = noted(s, kind, id, sha256, why);
	if (rc == MM_OK)
		mm_fact_differ(s, kind, id, "not in the ledger");
	return rc == MM_ENOTFOUND ? MM_OK : rc;
}

static enum mm_err
one_claim(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct mm_facts *s = ctx;
	const char *id = strchr(((const struct mm_doc *)row)->id, ':') + 1;

	(void)next;
	(void)why;
	if (mm_fact_find(s, MM_FACT_LINE, id) == NULL)
		mm_fact_differ(s, MM_FACT_LINE, id, "not in the ledger");
	return MM_OK;
}

/* Line CAs that have gone from the configuration were somebody's, too. */
static enum mm_err
look_for_claims(struct mm_facts *s, struct mm_why *why)
{
	return mm_each_doc(s->of.db, MM_DOC_NOTED, "line:", one_claim, s, why);
}

/* Only what the configuration has can be asked for by name. */
static enum mm_err
look_for_all_noted(struct mm_facts *s, struct mm_why *why)
{
	const struct mm_config *c = s->of.config;
	char id[MM_PROFILE_TEXT];

	for (size_t i = 0; i < c->nissuer; i++)
		MM_TRY(
		    look_for_noted(s, MM_FACT_ISSUER, c->issuer[i].name, why));
	for (size_t i = 0; i < c->nprofile; i++) {
		snprintf(id, sizeof(id), "%s@%lld", c->profile[i].name,
		    (long long)c->profile[i].version);
		MM_TRY(look_for_noted(s, MM_FACT_PROFILE, id, why));
	}
	return look_for_claims(s, why);
}

/* ---- what is missing ---- */

static bool
may_be_gone(
    const struct mm_facts *s, const struct mm_fact *f, const struct mm_entry *e)
{
	int64_t end_ms;

	return f->kind == MM_FACT_APPROVAL && f->state >= MM_GRANT_REFUSED &&
	       e->field[MM_F_EXPIRES] != NULL &&
	       mm_time_parse(e->field[MM_F_EXPIRES], &end_ms, NULL) == MM_OK &&
	       end_ms + KEPT_MS <= s->of.now_ms;
}

static enum mm_err
name_missing(struct mm_facts *s, const struct mm_fact *f, const char *what,
    bool gone_is_fine, struct mm_why *why)
{
	enum mm_fact_kind kind = (enum mm_fact_kind)f->kind;
	char made[MM_FACT_ID_MAX];
	const char *id;
	struct mm_entry e;

	MM_TRY(mm_fact_reread(s, f, &e, why));
	id = mm_fact_id(kind, &e, made);
	if (!gone_is_fine || !may_be_gone(s, f, &e))
		mm_fact_differ(s, kind, id != NULL ? id : "?", what);
	return MM_OK;
}

/* see facts.h */
enum mm_err
mm_facts_journal(struct mm_facts *s, uint64_t lined, struct mm_why *why)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->fact[i].kind == MM_FACT_TOKEN &&
		    !s->fact[i].journalled && s->fact[i].entry < lined)
			MM_TRY(name_missing(
			    s, &s->fact[i], "not in the journal", false, why));
	return MM_OK;
}

/* ---- counters ---- */

static void
count(struct mm_facts *s, struct mm_store_counts *c)
{
	*c = (struct mm_store_counts){ 0 };
	for (uint32_t i = 0; i < s->n; i++) {
		const struct mm_fact *f = &s->fact[i];
		bool cert = f->kind == MM_FACT_CERT;

		c->products += f->kind == MM_FACT_PRODUCT;
		c->devices += f->kind == MM_FACT_DEVICE;
		c->tokens += f->kind == MM_FACT_TOKEN;
		c->certs += cert;
		c->revoked += cert && f->state >= MM_CERT_HELD;
	}
}

static enum mm_err
look_at_counters(struct mm_facts *s, struct mm_why *why)
{
	struct mm_store_counts told, said;
	struct mm_why own = { 0 };
	enum mm_err rc = mm_get_counts(s->of.db, &said, &own);

	if (rc != MM_OK)
		return mm_differ_unread(
		    s->of.differences, "counters", rc, &own, why);
	count(s, &told);
	const struct {
		const char *name;
		uint64_t told, said;
	} all[] = {
		{ "products", told.products, said.products },
		{ "devices", told.devices, said.devices },
		{ "tokens", told.tokens, said.tokens },
		{ "certificates", told.certs, said.certs },
		{ "revoked", told.revoked, said.revoked },
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		char record[48], what[96];

		if (all[i].told == all[i].said)
			continue;
		snprintf(record, sizeof(record), "counter %s", all[i].name);
		snprintf(what, sizeof(what),
		    "%llu by the ledger, %llu in the "
		    "database",
		    (unsigned long long)all[i].told,
		    (unsigned long long)all[i].said);
		mm_differ(s->of.differences, record, what);
	}
	return MM_OK;
}

/* see facts.h */
enum mm_err
mm_facts_compare(struct mm_facts *s, struct mm_why *why)
{
	static const enum mm_fact_kind kinds[] = { MM_FACT_PRODUCT,
		MM_FACT_DEVICE, MM_FACT_TOKEN, MM_FACT_OPERATOR, MM_FACT_SCHEMA,
		MM_FACT_WEBHOOK, MM_FACT_APPROVAL, MM_FACT_SECRET,
		MM_FACT_BATCH, MM_FACT_STATION, MM_FACT_SYNC,
		MM_FACT_QUARANTINE, MM_FACT_GROUP, MM_FACT_DEVCONF,
		MM_FACT_GIVEN };
	unsigned unread = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct mm_looking l = { s, kinds[i] };
		struct mm_why own = { 0 };
		enum mm_err rc = mm_said_each(
		    s->of.db, kinds[i], mm_fact_look_row, &l, &own);

		if (rc != MM_OK)
			unread |= 1U << kinds[i];
		MM_TRY(mm_differ_unread(s->of.differences,
		    mm_fact_kinds[kinds[i]].name, rc, &own, why));
	}
	for (uint32_t i = 0; i < s->n; i++)
		if (s->fact[i].kind == MM_FACT_PROFILE ||
		    s->fact[i].kind == MM_FACT_ISSUER ||
		    s->fact[i].kind == MM_FACT_LINE)
			MM_TRY(look_at_noted(s, &s->fact[i], why));
	MM_TRY(look_for_all_noted(s, why));
	/* certificates: marks.c says so */
	for (uint32_t i = 0; i < s->n; i++)
		if (!s->fact[i].seen && !s->fact[i].gone &&
		    s->fact[i].kind != MM_FACT_CERT &&
		    (unread & 1U << s->fact[i].kind) == 0)
			MM_TRY(name_missing(
			    s, &s->fact[i], "not in the database", true, why));
	return look_at_counters(s, why);
}
