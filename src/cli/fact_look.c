#include "cli/fact.h"
#include "cli/listed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pki/cert.h"

/* Row by row: what the database says against what the entries said. */

/* A record's time and its entry's are two looks at a clock, between which a
 * signer may have been asked for a thousand tokens. */
enum { SLACK_S = 300, HISTORY_PAGE = 10000 };

static void
another(struct mm_facts *s, const struct mm_fact *f, const char *id,
    const char *column)
{
	char what[96];

	snprintf(what, sizeof(what), "another %.60s in the database", column);
	mm_fact_differ(s, (enum mm_fact_kind)f->kind, id, what);
}

/* ---- texts ---- */

static bool
same_text(
    const struct mm_fact_kind_of *k, unsigned i, const char *a, const char *b)
{
	bool device = k->told[i].field == MM_F_DEVICE;

	a = a != NULL ? a : "";
	b = b != NULL ? b : "";
	return device ? strcasecmp(a, b) == 0 : strcmp(a, b) == 0;
}

/* A device that moved to another product took its certificates along. */
static enum mm_err
moved(struct mm_facts *s, const struct mm_fact *f, const char *product,
    bool *out, struct mm_why *why)
{
	const struct mm_fact *device = mm_fact_at(s, f->owner);
	struct mm_entry e;

	*out = false;
	if (f->kind != MM_FACT_CERT || device == NULL)
		return MM_OK;
	MM_TRY(mm_fact_reread(s, device, &e, why));
	*out = e.field[MM_F_PRODUCT] != NULL &&
	       strcmp(e.field[MM_F_PRODUCT], product) == 0;
	return MM_OK;
}

/* Which of them: the entry is read again.  Where only a device's case is
 * another, none is. */
static enum mm_err
name_texts(struct mm_facts *s, const struct mm_fact *f,
    const struct mm_said *said, struct mm_why *why)
{
	const struct mm_fact_kind_of *k = &mm_fact_kinds[f->kind];
	const char *text[MM_FACT_TOLD];
	const char *product = NULL;
	struct mm_entry e;
	bool fine;

	MM_TRY(mm_fact_reread(s, f, &e, why));
	mm_fact_told((enum mm_fact_kind)f->kind, &e, text);
	for (unsigned i = 0; i < k->ntold; i++) {
		if (same_text(k, i, text[i], said->text[i]))
			continue;
		if (k->told[i].field == MM_F_PRODUCT)
			product = k->told[i].column;
		else
			another(s, f, said->id, k->told[i].column);
	}
	if (product == NULL)
		return MM_OK;
	MM_TRY(moved(
	    s, f, said->text[1] != NULL ? said->text[1] : "", &fine, why));
	if (!fine)
		another(s, f, said->id, product);
	return MM_OK;
}

static enum mm_err
look_at_texts(struct mm_facts *s, const struct mm_fact *f,
    const struct mm_said *said, struct mm_why *why)
{
	uint8_t hash[8];

	mm_fact_texts((enum mm_fact_kind)f->kind, said->text, hash);
	return memcmp(hash, f->text, sizeof(hash)) == 0
		   ? MM_OK
		   : name_texts(s, f, said, why);
}

/* ---- states, times, numbers ---- */

/* Whether it was confirmed is the certificate's to say; the two may have met
 * while an operator looked. */
static bool
same_state(const struct mm_fact *f, unsigned state)
{
	if (f->kind == MM_FACT_TOKEN && f->state == MM_FACT_THAWED)
		return state == MM_TOKEN_ISSUED || state == MM_TOKEN_CONFIRMED;
	return f->state == state;
}

/* An accept that was cut off: the ledger has its words, or none yet. */
static bool
same_begun(const struct mm_fact *f, const struct mm_said *said)
{
	if (f->kind != MM_FACT_QUARANTINE || said->state != MM_UNIT_BEGUN)
		return false;
	if (f->state == MM_UNIT_WAITING)
		return true;
	for (unsigned i = 0; i < said->nwishes; i++)
		if (memcmp(said->wish[i], f->who, sizeof(f->who)) == 0)
			return f->state == MM_UNIT_ACCEPTED;
	return false;
}

static void
look_at_state(
    struct mm_facts *s, const struct mm_fact *f, const struct mm_said *said)
{
	enum mm_fact_kind kind = (enum mm_fact_kind)f->kind;
	char what[96];

	if (same_state(f, said->state) || same_begun(f, said))
		return;
	snprintf(what, sizeof(what), "%s in the ledger, %s in the database",
	    mm_fact_state_name(kind, f->state),
	    mm_fact_state_name(kind, said->state));
	mm_fact_differ(s, kind, said->id, what);
}

static void
look_at_time(struct mm_facts *s, const struct mm_fact *f,
    const struct mm_said *said, unsigned which)
{
	const struct mm_fact_kind_of *k = &mm_fact_kinds[f->kind];
	const struct {
		const char *name;
		int64_t told_s, said_ms, slack;
	} t[] = {
		/* a certificate's entry is dated by its record */
		{ k->made, f->made_s, said->made_ms,
		    f->kind == MM_FACT_CERT ? 0 : SLACK_S },
		{ k->confirmed, f->confirmed_s, said->confirmed_ms, SLACK_S },
		{ k->ended, f->ended_s, said->ended_ms, SLACK_S },
	};
	int64_t apart = t[which].said_ms / 1000 - t[which].told_s;
	char name[64];

	if (t[which].name == NULL ||
	    ((t[which].told_s == 0) == (t[which].said_ms == 0) &&
		(t[which].told_s == 0 ||
		    (apart <= t[which].slack && apart >= -t[which].slack))))
		return;
	snprintf(name, sizeof(name), "time when %s", t[which].name);
	another(s, f, said->id, name);
}

/* Who is erased has no name; who is not may have none either. */
static bool
same_before(const struct mm_fact *f, uint8_t before)
{
	if (f->kind == MM_FACT_OPERATOR)
		return f->before == 0 || before == 1;
	return f->before == before;
}

static bool
same_who(const struct mm_fact *f, const struct mm_said *said)
{
	return memcmp(f->who, said->who, sizeof(f->who)) == 0 ||
	       same_begun(f, said);
}

static void
look_at_numbers(
    struct mm_facts *s, const struct mm_fact *f, const struct mm_said *said)
{
	const struct mm_fact_kind_of *k = &mm_fact_kinds[f->kind];

	if (k->version != NULL && (uint64_t)f->version != said->version)
		another(s, f, said->id, k->version);
	if (k->reason != NULL && f->reason != said->reason)
		another(s, f, said->id, k->reason);
	if (k->before != NULL && !same_before(f, said->before))
		another(s, f, said->id, k->before);
	if (k->who != NULL && !same_who(f, said))
		another(s, f, said->id, k->who);
}

/* see fact.h */
enum mm_err
mm_fact_look(struct mm_facts *s, struct mm_fact *f, const struct mm_said *said,
    struct mm_why *why)
{
	f->seen = true;
	look_at_state(s, f, said);
	for (unsigned i = 0; i < 3; i++)
		look_at_time(s, f, said, i);
	look_at_numbers(s, f, said);
	return look_at_texts(s, f, said, why);
}

/* ---- certificates ---- */

/* What the ledger knows by the profile's name and by the certificate alone. */
static void
look_at_der(struct mm_facts *s, const struct mm_fact *f,
    const struct mm_said *said, const struct mm_cert_row *row,
    const struct mm_cert *der)
{
	const char *at = strrchr(row->profile, '@');
	char name[MM_PROFILE_TEXT];
	const struct mm_profile *p;

	if (der != NULL && row->key_type != 1 + der->spki.type)
		another(s, f, said->id, "kind of key");
	if (der != NULL && !mm_listed_names(der, row->issuer, row->shard))
		another(s, f, said->id, "shard");
	if (at == NULL)
		return;
	snprintf(
	    name, sizeof(name), "%.*s", (int)(at - row->profile), row->profile);
	p = mm_config_profile(s->of.config, name);
	if (p != NULL && f->state != MM_CERT_ORPHANED &&
	    strtoll(at + 1, NULL, 10) == p->version &&
	    row->idevid != (p->kind == MM_PROFILE_IDEVID))
		another(s, f, said->id, "kind of certificate");
}

/* An authority is spent on one certificate, until that is replaced. */
static enum mm_err
look_at_claim(struct mm_facts *s, const struct mm_fact *f,
    const struct mm_said *said, const struct mm_cert_row *row,
    struct mm_why *why)
{
	struct mm_claim claim;
	struct mm_why none = { 0 };
	enum mm_err rc;
	bool mine;

	if (row->authority[0] == '\0')
		return MM_OK;
	rc = mm_get_claim(s->of.db, row->authority, &claim, &none);
	if (rc != MM_OK && rc != MM_ENOTFOUND)
		return MM_FAIL(why, rc, "%s", none.text);
	mine = rc == MM_OK && memcmp(claim.serial, row->serial, 16) == 0;
	if (mine != f->claims)
		mm_fact_differ(s, MM_FACT_CERT, said->id,
		    f->claims
			? "its authority was spent on it, and is not in the "
			  "database"
			: "its authority is spent on it in the "
			  "database alone");
	return MM_OK;
}

/* see facts.h; what the ledger does not have at all, marks.c says */
enum mm_err
mm_facts_cert(struct mm_facts *s, const struct mm_cert_row *row,
    const struct mm_cert *der, struct mm_why *why)
{
	struct mm_said said;
	struct mm_fact *f;

	mm_said_cert(row, &said);
	f = mm_fact_find(s, MM_FACT_CERT, said.id);
	if (f == NULL)
		return MM_OK;
	/* an existing CA's, which was an orphan: no entry tells more */
	if (f->state == MM_CERT_REVOKED && f->before == MM_CERT_ORPHANED) {
		said.made_ms = 0;
		said.text[5] = NULL;
	}
	MM_TRY(mm_fact_look(s, f, &said, why));
	look_at_der(s, f, &said, row, der);
	return look_at_claim(s, f, &said, row, why);
}

/* ---- devices ---- */

struct chain {
	uint64_t sum, last;
	unsigned n;
};

static enum mm_err
one_of_chain(
    void *ctx, uint64_t index, struct mm_bytes json, struct mm_why *why)
{
	struct chain *c = ctx;

	(void)json, (void)why;
	c->sum += mm_fact_mix(index);
	c->last = index;
	c->n++;
	return MM_OK;
}

/* A chain that does not go on differs, too. */
static void
look_at_history(struct mm_facts *s, const struct mm_fact *f, const char *id)
{
	struct chain c = { .last = UINT64_MAX };
	enum mm_err rc;

	do {
		c.n = 0;
		rc = mm_list_history(
		    s->of.db, id, c.last, HISTORY_PAGE, one_of_chain, &c, NULL);
	} while (rc == MM_OK && c.n == HISTORY_PAGE);
	if (rc != MM_OK || c.sum != f->history)
		another(s, f, id, "history");
}

/* ---- all rows ---- */

/* see fact.h */
enum mm_err
mm_fact_look_row(
    void *ctx, const struct mm_said *said, const void *row, struct mm_why *why)
{
	const struct mm_looking *l = ctx;
	struct mm_fact *f = mm_fact_find(l->s, l->kind, said->id);

	(void)row;
	if (f == NULL) {
		mm_fact_differ(l->s, l->kind, said->id, "not in the ledger");
		return MM_OK;
	}
	/* a unit that was put aside by two at once is there twice */
	if (f->seen && l->kind != MM_FACT_QUARANTINE)
		mm_fact_differ(
		    l->s, l->kind, said->id, "twice in the database");
	MM_TRY(mm_fact_look(l->s, f, said, why));
	if (l->kind != MM_FACT_DEVICE)
		return MM_OK;
	if (f->name != mm_fact_name(said->id))
		another(l->s, f, said->id, "way to write its id");
	look_at_history(l->s, f, said->id);
	return MM_OK;
}
