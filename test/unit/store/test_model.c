#include "fixture.h"

#include <stdio.h>
#include <string.h>

/*
 * Random batches on a small world, beside a model that is nothing but arrays:
 * every op must end as the model says, and every state must agree.
 */

#define DEVICES 6  /* each with one token of the same number */
#define CERTS 40   /* serials */
#define KEYS 8
#define OPEN 3     /* authorities that are no tokens */
#define ROUNDS 100
#define BATCH 8
#define NOBODY (-1)
#define KINDS 9

struct model_token {
	bool there;
	int state, cert; /* cert: the claim, or NOBODY */
};
struct model_cert {
	bool there, confirmed;
	int state, held_from, device, key, token;
};
struct model {
	bool device[DEVICES], retired[DEVICES];
	struct model_token token[DEVICES];
	int open[OPEN]; /* claim of authority "op:n" */
	struct model_cert cert[CERTS];
	uint64_t entries;
	unsigned done[KINDS]; /* ops that wrote something, by kind */
};

/* What an op is, before it is made for store and model. */
struct choice {
	unsigned kind, device, cert, other, key, open;
	bool by_token, replaces, flag;
};

static uint32_t
draw(uint32_t *seed, uint32_t below)
{
	*seed = *seed * 1664525U + 1013904223U;
	return (*seed >> 8) % below;
}

/* ---- the model ---- */

static int *
model_claim(struct model *m, const struct choice *c)
{
	return c->by_token ? &m->token[c->device].cert : &m->open[c->open];
}

static enum mm_err
model_may_issue(struct model *m, const struct choice *c)
{
	const struct model_token *t = &m->token[c->device];
	int claim = *model_claim(m, c);

	if (!m->device[c->device])
		return MM_ENOTFOUND;
	for (unsigned i = 0; i < CERTS; i++)
		if (m->cert[i].there && m->cert[i].key == (int)c->key &&
		    m->cert[i].device != (int)c->device)
			return MM_ECONFLICT;
	if (m->retired[c->device] || m->cert[c->cert].there)
		return MM_ECONFLICT;
	if (c->by_token && (!t->there || t->state !=
	    (c->replaces ? MM_TOKEN_ISSUED : MM_TOKEN_MINTED)))
		return MM_ECONFLICT;
	if (!c->replaces)
		return claim == NOBODY ? MM_OK : MM_ECONFLICT;
	return claim != (int)c->other || m->cert[claim].confirmed ||
	    (m->cert[claim].state != MM_CERT_ISSUED &&
		m->cert[claim].state != MM_CERT_HELD) ?
	    MM_ECONFLICT : MM_OK;
}

static enum mm_err
model_issue(struct model *m, const struct choice *c, bool *entry)
{
	enum mm_err err = model_may_issue(m, c);

	if (err != MM_OK)
		return err;
	if (c->replaces)
		m->cert[c->other].state = MM_CERT_REVOKED;
	*model_claim(m, c) = (int)c->cert;
	if (c->by_token)
		m->token[c->device].state = MM_TOKEN_ISSUED;
	m->cert[c->cert] = (struct model_cert){ true, c->flag,
		c->flag ? MM_CERT_CONFIRMED : MM_CERT_ISSUED, 0,
		(int)c->device, (int)c->key,
		c->by_token ? (int)c->device : NOBODY };
	*entry = true;
	return MM_OK;
}

static enum mm_err
model_mint(struct model *m, const struct choice *c, bool *entry)
{
	struct model_token *t = &m->token[c->device];

	if (t->there || m->retired[c->device])
		return MM_ECONFLICT;
	m->device[c->device] = true;
	*t = (struct model_token){ true, MM_TOKEN_MINTED, NOBODY };
	*entry = true;
	return MM_OK;
}

static void
model_supersede(struct model_cert *old, bool revoke)
{
	if (old->state == MM_CERT_REVOKED || old->state == MM_CERT_ORPHANED)
		return;
	if (revoke)
		old->state = MM_CERT_REVOKED;
	else if (old->state != MM_CERT_HELD)
		old->state = MM_CERT_SUPERSEDED;
}

/* replaces: a predecessor is superseded; flag: revoked for it. */
static enum mm_err
model_confirm(struct model *m, const struct choice *c, bool *entry)
{
	struct model_cert *cert = &m->cert[c->cert];
	struct model_token *t = &m->token[cert->token >= 0 ? cert->token : 0];

	if (!cert->there)
		return MM_ENOTFOUND;
	if (cert->state == MM_CERT_CONFIRMED ||
	    cert->state == MM_CERT_SUPERSEDED)
		return MM_OK;
	if (cert->state != MM_CERT_ISSUED)
		return MM_ECONFLICT;
	if (c->replaces && !m->cert[c->other].there)
		return MM_ENOTFOUND;
	cert->state = MM_CERT_CONFIRMED;
	cert->confirmed = true;
	if (cert->token != NOBODY && t->state == MM_TOKEN_ISSUED)
		t->state = MM_TOKEN_CONFIRMED;
	if (c->replaces)
		model_supersede(&m->cert[c->other], c->flag);
	*entry = true;
	return MM_OK;
}

static enum mm_err
model_move(struct model *m, const struct choice *c, int to, bool *entry)
{
	struct model_cert *cert = &m->cert[c->cert];
	bool gone = cert->state == MM_CERT_REVOKED ||
	    cert->state == MM_CERT_ORPHANED;

	if (!cert->there)
		return MM_ENOTFOUND;
	if (gone)
		return to == MM_CERT_REVOKED ? MM_OK : MM_ECONFLICT;
	if (to == MM_CERT_CONFIRMED) {
		if (cert->state != MM_CERT_HELD)
			return MM_OK;
		to = cert->held_from;
	} else if (cert->state == to) {
		return MM_OK;
	}
	if (to == MM_CERT_HELD)
		cert->held_from = cert->state;
	cert->state = to;
	*entry = true;
	return MM_OK;
}

static enum mm_err
model_revoke(struct model *m, const struct choice *c, bool *entry)
{
	return model_move(m, c, MM_CERT_REVOKED, entry);
}

static enum mm_err
model_hold(struct model *m, const struct choice *c, bool *entry)
{
	return model_move(m, c, MM_CERT_HELD, entry);
}

static enum mm_err
model_release(struct model *m, const struct choice *c, bool *entry)
{
	return model_move(m, c, MM_CERT_CONFIRMED, entry);
}

static enum mm_err
model_orphan(struct model *m, const struct choice *c, bool *entry)
{
	if (m->cert[c->cert].there)
		return MM_ECONFLICT;
	m->cert[c->cert] = (struct model_cert){ true, false,
		MM_CERT_ORPHANED, 0, (int)c->device, (int)c->key, NOBODY };
	*entry = true;
	return MM_OK;
}

/* flag: thaw by rebind, the claim goes; else freeze. */
static enum mm_err
model_token(struct model *m, const struct choice *c, bool *entry)
{
	struct model_token *t = &m->token[c->device];
	int from = c->flag ? MM_TOKEN_FROZEN : MM_TOKEN_ISSUED;

	if (!t->there)
		return MM_ENOTFOUND;
	if (t->state != from)
		return MM_ECONFLICT;
	t->state = c->flag ? MM_TOKEN_MINTED : MM_TOKEN_FROZEN;
	if (c->flag)
		t->cert = NOBODY;
	*entry = true;
	return MM_OK;
}

static enum mm_err
model_retire(struct model *m, const struct choice *c, bool *entry)
{
	if (!m->device[c->device])
		return MM_ENOTFOUND;
	*entry = !m->retired[c->device];
	m->retired[c->device] = true;
	return MM_OK;
}

/* ---- the same for the store ---- */

static void
make_row(struct mm_cert_row *row, const struct choice *c)
{
	snprintf(row->device, sizeof(row->device),
	    c->flag ? "SN-%u" : "sn-%u", c->device);
	spki_of(1000 + c->key, row->spki_sha256);
	if (c->by_token)
		snprintf(row->authority, sizeof(row->authority),
		    "token:mm1-%020u", c->device);
	else
		snprintf(row->authority, sizeof(row->authority), "op:%u",
		    c->open);
}

static void
make_issue(struct top *t, const struct choice *c)
{
	top_issue(t, c->cert);
	make_row(&t->op.u.issue.row, c);
	serial_of(c->other, t->serial);
	t->op.u.issue.replaces = c->replaces ? t->serial : NULL;
	t->op.u.issue.confirmed = c->flag;
}

static void
make_mint(struct top *t, const struct choice *c)
{
	top_mint(t, c->device);
}

static void
make_confirm(struct top *t, const struct choice *c)
{
	top_confirm(t, c->cert);
	serial_of(c->other, t->serial);
	t->op.u.confirm.supersedes = c->replaces ? t->serial : NULL;
	t->op.u.confirm.revoke_superseded = c->flag;
}

static void
make_revoke(struct top *t, const struct choice *c)
{
	top_revoke(t, c->cert, MM_CERT_REVOKED);
}

static void
make_hold(struct top *t, const struct choice *c)
{
	top_revoke(t, c->cert, MM_CERT_HELD);
}

static void
make_release(struct top *t, const struct choice *c)
{
	top_revoke(t, c->cert, MM_CERT_CONFIRMED);
}

static void
make_orphan(struct top *t, const struct choice *c)
{
	top_orphan(t, c->cert);
	make_row(&t->op.u.orphan.row, c);
}

static void
make_token(struct top *t, const struct choice *c)
{
	if (c->flag)
		top_token(t, c->device, 1U << MM_TOKEN_FROZEN,
		    MM_TOKEN_MINTED);
	else
		top_token(t, c->device, 1U << MM_TOKEN_ISSUED,
		    MM_TOKEN_FROZEN);
	t->op.u.token.drop_claim = t->op.u.token.rebind = c->flag;
}

static void
make_retire(struct top *t, const struct choice *c)
{
	top_device(t, c->device);
	t->op.kind = MM_OP_DEVICE_RETIRE;
}

static const struct kind {
	const char *name;
	void (*make)(struct top *t, const struct choice *c);
	enum mm_err (*model)(struct model *m, const struct choice *c,
	    bool *entry);
	unsigned weight;
} kinds[KINDS] = {
	{ "issue", make_issue, model_issue, 12 },
	{ "mint", make_mint, model_mint, 4 },
	{ "confirm", make_confirm, model_confirm, 4 },
	{ "revoke", make_revoke, model_revoke, 1 },
	{ "hold", make_hold, model_hold, 2 },
	{ "release", make_release, model_release, 3 },
	{ "orphan", make_orphan, model_orphan, 1 },
	{ "token", make_token, model_token, 4 },
	{ "retire", make_retire, model_retire, 1 },
};

static unsigned
draw_kind(uint32_t *seed)
{
	unsigned at = draw(seed, 32), k = 0;

	while (at >= kinds[k].weight)
		at -= kinds[k++].weight;
	return k;
}

static struct choice
draw_choice(struct model *m, uint32_t *seed)
{
	struct choice c = { .kind = draw_kind(seed) };

	c.device = draw(seed, DEVICES);
	c.cert = draw(seed, CERTS);
	c.open = draw(seed, OPEN);
	/* mostly the device's own keys, or no new key would ever pass */
	c.key = draw(seed, 8) == 0 ? draw(seed, KEYS) : c.device;
	c.by_token = draw(seed, 4) != 0;
	c.replaces = draw(seed, 3) == 0;
	c.flag = draw(seed, 3) == 0;
	c.other = draw(seed, 2) == 0 && *model_claim(m, &c) != NOBODY ?
	    (unsigned)*model_claim(m, &c) : draw(seed, CERTS);
	return c;
}

static void
compare(struct fx *f, const struct model *m)
{
	assert_int_equal(mm_store_ledger_size(f->s), m->entries);
	for (unsigned i = 0; i < CERTS; i++)
		assert_int_equal(cert_state(f, i),
		    m->cert[i].there ? m->cert[i].state : -1);
	for (unsigned i = 0; i < DEVICES; i++)
		assert_int_equal(token_state(f, i),
		    m->token[i].there ? m->token[i].state : -1);
}

static void
one_batch(struct fx *f, struct model *m, uint32_t *seed)
{
	static struct top t[BATCH];
	struct choice c[BATCH];
	enum mm_err want[BATCH];
	unsigned n = 1 + draw(seed, BATCH);

	for (unsigned i = 0; i < n; i++) {
		bool entry = false;

		c[i] = draw_choice(m, seed);
		kinds[c[i].kind].make(&t[i], &c[i]);
		t[i].op.nentries = 1 + draw(seed, MM_OP_ENTRIES);
		want[i] = kinds[c[i].kind].model(m, &c[i], &entry);
		if (entry)
			m->entries += t[i].op.nentries;
		m->done[c[i].kind] += entry;
	}
	assert_int_equal(run_all(f, t, n), MM_OK);
	for (unsigned i = 0; i < n; i++)
		if (t[i].op.result != want[i])
			fail_msg("%s of %u/%u: %s (%s), want %s",
			    kinds[c[i].kind].name, c[i].device, c[i].cert,
			    mm_err_slug(t[i].op.result), t[i].op.why.text,
			    mm_err_slug(want[i]));
}

static void
one_world(const struct mm_store_backend *b, uint32_t seed,
    unsigned done[KINDS])
{
	struct model m = { 0 };
	struct fx f;

	if (!fx_open(&f, b))
		return;
	for (unsigned i = 0; i < DEVICES; i++)
		m.token[i].cert = NOBODY;
	for (unsigned i = 0; i < OPEN; i++)
		m.open[i] = NOBODY;
	for (unsigned round = 0; round < ROUNDS; round++) {
		one_batch(&f, &m, &seed);
		compare(&f, &m);
		if (round % 50 == 49) {
			fx_reopen(&f);
			check_whole(&f);
		}
	}
	fx_recycle(&f);
	for (unsigned k = 0; k < KINDS; k++)
		done[k] += m.done[k];
}

/* Where a look takes a process switch, fewer. */
static unsigned
worlds(const struct mm_store_backend *b)
{
	return strcmp(mm_store_backend_scheme(b), "sqlite") == 0 ? 40 : 8;
}

/* Many small worlds: in each the serials run out after a while. */
static void
test_model(void **state)
{
	(void)state;
	for (size_t i = 0; mm_store_backends[i]; i++) {
		unsigned done[KINDS] = { 0 }, n = worlds(mm_store_backends[i]);
		struct fx f;

		if (!fx_open(&f, mm_store_backends[i]))
			continue;
		fx_recycle(&f);
		for (uint32_t seed = 1; seed <= n; seed++)
			one_world(mm_store_backends[i], seed, done);
		for (unsigned k = 0; k < KINDS; k++)
			if (done[k] < n)
				fail_msg("%s: only %u", kinds[k].name,
				    done[k]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_model) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
