#include "fixture.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * Every op, good and refused, as rows of steps; on every backend.  After each
 * row the ledger is dense, its tiles are right and the counters agree.
 */

#define C_NONE (-1)
#define T_NONE (-1)
#define ANY    (-2)

struct step {
	void (*make)(struct top *t, unsigned n);
	unsigned n;
	void (*tweak)(struct top *t);
	enum mm_err want;
	bool entry;      /* its entry stands in the ledger */
	int cert, token; /* state of certificate and token n afterwards */
};
struct row {
	const char *what;
	struct step step[8];
};

/* ---- tweaks ---- */

static void
other_serial(struct top *t)
{
	serial_of(90, t->op.u.issue.row.serial);
}

static void
serial_1(struct top *t)
{
	serial_of(1, t->op.u.issue.row.serial);
}

static void
key_1(struct top *t)
{
	spki_of(1, t->op.u.issue.row.spki_sha256);
}

static void
device_1(struct top *t)
{
	strcpy(t->op.u.issue.row.device, "sn-1");
}

static void
device_1_key_1(struct top *t)
{
	device_1(t);
	key_1(t);
}

static void
device_none(struct top *t)
{
	strcpy(t->op.u.issue.row.device, "SN-none");
}

static void
other_product(struct top *t)
{
	strcpy(t->op.u.issue.row.product, "valve");
}

static void
operator_authority(struct top *t)
{
	strcpy(t->op.u.issue.row.authority, "op:0123:SN-1");
}

static void
no_authority(struct top *t)
{
	t->op.u.issue.row.authority[0] = '\0';
}

static void
confirmed(struct top *t)
{
	t->op.u.issue.confirmed = true;
}

/* A certificate 9 in the place of certificate 1, for the same device. */
static void
replaces_1(struct top *t)
{
	t->op.u.issue.row.serial[15] = 9;
	t->op.u.issue.row.spki_sha256[0] ^= 1;
	t->op.u.issue.replaces = t->serial;
}

static void
replaces_other(struct top *t)
{
	replaces_1(t);
	t->serial[15] = 77;
}

static void
renews_1(struct top *t)
{
	device_1(t);
	serial_of(1, t->op.u.issue.row.predecessor);
	strcpy(t->op.u.issue.row.authority, "cert:01");
}

static void
renews_unknown(struct top *t)
{
	renews_1(t);
	serial_of(66, t->op.u.issue.row.predecessor);
}

static void
supersedes_1(struct top *t)
{
	serial_of(1, t->serial);
	t->op.u.confirm.supersedes = t->serial;
}

static void
supersedes_1_revoked(struct top *t)
{
	supersedes_1(t);
	t->op.u.confirm.revoke_superseded = true;
}

static void
rebind(struct top *t)
{
	t->op.u.token.rebind = t->op.u.token.drop_claim = true;
	memset(t->op.u.token.bound_spki, 7, 32);
}

static void
no_make(struct top *t)
{
	t->op.u.mint.make_device = false;
}

static void
mint_valve(struct top *t)
{
	strcpy(t->op.u.mint.row.product, "valve");
}

static void
replace_device(struct top *t)
{
	t->op.u.device.replace = true;
	strcpy(t->op.u.device.row.id, "sn-1");
	strcpy(t->op.u.device.row.product, "valve");
	strcpy(t->op.u.device.row.attributes, "{\"a\":1}");
}

static void
too_long(struct top *t)
{
	static uint8_t big[65536];

	t->op.entry[0] = (struct mm_bytes){ big, sizeof(big) };
}

static void
no_state(struct top *t)
{
	t->op.u.revoke.to = MM_CERT_SUPERSEDED;
}

/* ---- makers of what fixture.h has not ---- */

static void
make_retire(struct top *t, unsigned n)
{
	top_device(t, n);
	t->op.kind = MM_OP_DEVICE_RETIRE;
}

static void
make_product(struct top *t, unsigned n)
{
	(void)n;
	top_product(t, PRODUCT);
}

static void
make_product_again(struct top *t, unsigned n)
{
	make_product(t, n);
	strcpy(t->op.u.product.row.description, "new words");
	t->op.u.product.replace = true;
}

static void
make_entry(struct top *t, unsigned n)
{
	top_init(t, MM_OP_ENTRY, n);
}

static void
make_revoke(struct top *t, unsigned n)
{
	top_revoke(t, n, MM_CERT_REVOKED);
}

static void
make_hold(struct top *t, unsigned n)
{
	top_revoke(t, n, MM_CERT_HELD);
}

static void
make_release(struct top *t, unsigned n)
{
	top_revoke(t, n, MM_CERT_CONFIRMED);
}

static void
make_freeze(struct top *t, unsigned n)
{
	top_token(t, n, 1U << MM_TOKEN_ISSUED, MM_TOKEN_FROZEN);
}

static void
make_thaw(struct top *t, unsigned n)
{
	top_token(t, n, 1U << MM_TOKEN_FROZEN, MM_TOKEN_MINTED);
}

static void
make_cancel(struct top *t, unsigned n)
{
	top_token(t, n, 1U << MM_TOKEN_MINTED, MM_TOKEN_CANCELLED);
}

static void
make_operator(struct top *t, unsigned n)
{
	struct mm_operator *o = &t->op.u.operator_;

	top_init(t, MM_OP_OPERATOR_PUT, n);
	snprintf(o->id, sizeof(o->id), "%016x", n);
	strcpy(o->name, "Ada");
	strcpy(o->roles, "admin");
	memset(o->secret_sha256, 3, 32);
	o->created_at = T0;
}

static void
make_operator_gone(struct top *t, unsigned n)
{
	make_operator(t, n);
	t->op.kind = MM_OP_OPERATOR_REVOKE;
	t->op.u.operator_.revoked_at = T0 + 5;
}

static void
make_checkpoint(struct top *t, unsigned size)
{
	top_init(t, MM_OP_CHECKPOINT_PUT, size);
	t->op.nentries = 0;
	t->op.u.checkpoint.size = size;
	t->op.u.checkpoint.note = mm_bytes_of("note");
}

static void
make_crl(struct top *t, unsigned number)
{
	top_init(t, MM_OP_CRL_PUT, number);
	strcpy(t->op.u.crl.issuer, ISSUER);
	t->op.u.crl.number = number;
	t->op.u.crl.next_s = 77;
	t->op.u.crl.der = mm_bytes_of("crl");
}

static void
make_answer(struct top *t, unsigned hours)
{
	struct mm_op_answer *a = &t->op.u.answer;

	top_init(t, MM_OP_ANSWER_PUT, hours);
	t->op.nentries = 0;
	strcpy(a->key, "op/key");
	memset(a->request_sha256, 9, 32);
	a->status = 201;
	a->body = mm_bytes_of("{}");
	a->at = T0 + (int64_t)hours * 3600000;
}

/* ---- the rows ---- */

#define OK1 MM_OK, true
#define OK0 MM_OK, false
#define NO(e) e, false
#define MINT(n) { top_mint, n, NULL, OK1, C_NONE, MM_TOKEN_MINTED }
#define ISSUE(n) \
	{ top_issue, n, NULL, OK1, MM_CERT_ISSUED, MM_TOKEN_ISSUED }
#define CONFIRM(n) \
	{ top_confirm, n, NULL, OK1, MM_CERT_CONFIRMED, MM_TOKEN_CONFIRMED }

static const struct row rows[] = {
	{ "an entry alone", { { make_entry, 1, NULL, OK1, C_NONE, T_NONE } } },
	{ "an entry too long", {
	    { make_entry, 1, too_long, NO(MM_ELIMIT), C_NONE, T_NONE } } },
	{ "issue spends the token", { MINT(1), ISSUE(1) } },
	{ "issue, confirmed at once", { MINT(1),
	    { top_issue, 1, confirmed, OK1, MM_CERT_CONFIRMED,
		MM_TOKEN_ISSUED } } },
	{ "issue without an authority", { MINT(1),
	    { top_issue, 1, no_authority, NO(MM_EINPUT), C_NONE,
		MM_TOKEN_MINTED } } },
	{ "issue twice on one token", { MINT(1), ISSUE(1),
	    { top_issue, 1, other_serial, NO(MM_ECONFLICT), MM_CERT_ISSUED,
		MM_TOKEN_ISSUED } } },
	{ "issue twice on another authority", { MINT(1),
	    { top_issue, 1, operator_authority, OK1, MM_CERT_ISSUED,
		MM_TOKEN_MINTED }, MINT(2),
	    { top_issue, 2, operator_authority, NO(MM_ECONFLICT), C_NONE,
		MM_TOKEN_MINTED } } },
	{ "issue without the token", {
	    { top_device, 1, NULL, OK1, C_NONE, T_NONE },
	    { top_issue, 1, NULL, NO(MM_ECONFLICT), C_NONE, T_NONE } } },
	{ "issue on a cancelled token", { MINT(1),
	    { make_cancel, 1, NULL, OK1, C_NONE, MM_TOKEN_CANCELLED },
	    { top_issue, 1, NULL, NO(MM_ECONFLICT), C_NONE,
		MM_TOKEN_CANCELLED } } },
	{ "issue with a serial that exists", { MINT(1), ISSUE(1), MINT(2),
	    { top_issue, 2, serial_1, NO(MM_ECONFLICT), C_NONE,
		MM_TOKEN_MINTED } } },
	{ "issue for another device's key", { MINT(1), ISSUE(1), MINT(2),
	    { top_issue, 2, key_1, NO(MM_ECONFLICT), C_NONE,
		MM_TOKEN_MINTED } } },
	{ "issue for the same device's key", { MINT(1), ISSUE(1), MINT(2),
	    { top_issue, 2, device_1_key_1, OK1, MM_CERT_ISSUED,
		MM_TOKEN_ISSUED } } },
	{ "issue to no device", { MINT(1),
	    { top_issue, 1, device_none, NO(MM_ENOTFOUND), C_NONE,
		MM_TOKEN_MINTED } } },
	{ "issue as another product", { MINT(1),
	    { top_issue, 1, other_product, NO(MM_ECONFLICT), C_NONE,
		MM_TOKEN_MINTED } } },
	{ "issue to a retired device", { MINT(1),
	    { make_retire, 1, NULL, OK1, C_NONE, MM_TOKEN_MINTED },
	    { top_issue, 1, NULL, NO(MM_ECONFLICT), C_NONE,
		MM_TOKEN_MINTED } } },
	{ "replace an unconfirmed one", { MINT(1), ISSUE(1),
	    { top_issue, 1, replaces_1, OK1, MM_CERT_REVOKED,
		MM_TOKEN_ISSUED },
	    { top_issue, 1, replaces_1, NO(MM_ECONFLICT), MM_CERT_REVOKED,
		MM_TOKEN_ISSUED } } },
	{ "replace a held one", { MINT(1), ISSUE(1),
	    { make_hold, 1, NULL, OK1, MM_CERT_HELD, ANY },
	    { top_issue, 1, replaces_1, OK1, MM_CERT_REVOKED, ANY } } },
	{ "replace what is not the claim's", { MINT(1), ISSUE(1),
	    { top_issue, 1, replaces_other, NO(MM_ECONFLICT), MM_CERT_ISSUED,
		MM_TOKEN_ISSUED } } },
	{ "replace without a claim", { MINT(1),
	    { top_issue, 1, replaces_1, NO(MM_ECONFLICT), C_NONE,
		MM_TOKEN_MINTED } } },
	{ "replace a confirmed one", { MINT(1), ISSUE(1), CONFIRM(1),
	    { top_issue, 1, replaces_1, NO(MM_ECONFLICT), MM_CERT_CONFIRMED,
		MM_TOKEN_CONFIRMED } } },
	{ "confirm moves the token", { MINT(1), ISSUE(1), CONFIRM(1),
	    { top_confirm, 1, NULL, OK0, MM_CERT_CONFIRMED,
		MM_TOKEN_CONFIRMED } } },
	{ "confirm leaves a frozen token", { MINT(1), ISSUE(1),
	    { make_freeze, 1, NULL, OK1, MM_CERT_ISSUED, MM_TOKEN_FROZEN },
	    { top_confirm, 1, NULL, OK1, MM_CERT_CONFIRMED,
		MM_TOKEN_FROZEN } } },
	{ "confirm what is unknown, revoked, held", {
	    { top_confirm, 1, NULL, NO(MM_ENOTFOUND), C_NONE, T_NONE },
	    MINT(1), ISSUE(1),
	    { make_hold, 1, NULL, OK1, MM_CERT_HELD, ANY },
	    { top_confirm, 1, NULL, NO(MM_ECONFLICT), MM_CERT_HELD, ANY },
	    { make_revoke, 1, NULL, OK1, MM_CERT_REVOKED, ANY },
	    { top_confirm, 1, NULL, NO(MM_ECONFLICT), MM_CERT_REVOKED,
		ANY } } },
	{ "renewal supersedes", { MINT(1), ISSUE(1), CONFIRM(1),
	    { top_issue, 2, renews_1, OK1, MM_CERT_ISSUED, T_NONE },
	    { top_confirm, 2, supersedes_1, OK1, MM_CERT_CONFIRMED, T_NONE },
	    { top_confirm, 1, NULL, OK0, MM_CERT_SUPERSEDED, ANY },
	    { make_revoke, 1, NULL, OK1, MM_CERT_REVOKED, ANY } } },
	{ "renewal revokes", { MINT(1), ISSUE(1), CONFIRM(1),
	    { top_issue, 2, renews_1, OK1, MM_CERT_ISSUED, T_NONE },
	    { top_confirm, 2, supersedes_1_revoked, OK1, MM_CERT_CONFIRMED,
		T_NONE },
	    { make_revoke, 1, NULL, OK0, MM_CERT_REVOKED, ANY } } },
	{ "renewal of what nobody knows", { MINT(1),
	    { top_issue, 1, renews_unknown, NO(MM_ENOTFOUND), C_NONE,
		MM_TOKEN_MINTED } } },
	{ "confirm superseding what nobody knows", { MINT(2), ISSUE(2),
	    { top_confirm, 2, supersedes_1, NO(MM_ENOTFOUND), MM_CERT_ISSUED,
		MM_TOKEN_ISSUED } } },
	{ "revoke, and again, and hold, and release", { MINT(1), ISSUE(1),
	    { make_revoke, 1, NULL, OK1, MM_CERT_REVOKED, MM_TOKEN_ISSUED },
	    { make_revoke, 1, NULL, OK0, MM_CERT_REVOKED, ANY },
	    { make_hold, 1, NULL, NO(MM_ECONFLICT), MM_CERT_REVOKED, ANY },
	    { make_release, 1, NULL, NO(MM_ECONFLICT), MM_CERT_REVOKED,
		ANY } } },
	{ "revoke what is unknown, or to no such state", {
	    { make_revoke, 1, NULL, NO(MM_ENOTFOUND), C_NONE, T_NONE },
	    MINT(1), ISSUE(1),
	    { make_revoke, 1, no_state, NO(MM_EINPUT), MM_CERT_ISSUED,
		ANY } } },
	{ "hold and release an unconfirmed one", { MINT(1), ISSUE(1),
	    { make_hold, 1, NULL, OK1, MM_CERT_HELD, ANY },
	    { make_hold, 1, NULL, OK0, MM_CERT_HELD, ANY },
	    { make_release, 1, NULL, OK1, MM_CERT_ISSUED, ANY },
	    { make_release, 1, NULL, OK0, MM_CERT_ISSUED, ANY } } },
	{ "hold and release a confirmed one", { MINT(1), ISSUE(1), CONFIRM(1),
	    { make_hold, 1, NULL, OK1, MM_CERT_HELD, ANY },
	    { make_release, 1, NULL, OK1, MM_CERT_CONFIRMED, ANY } } },
	{ "orphan of a known device", { MINT(1),
	    { top_orphan, 1, NULL, OK1, MM_CERT_ORPHANED, MM_TOKEN_MINTED },
	    { top_orphan, 1, NULL, NO(MM_ECONFLICT), MM_CERT_ORPHANED, ANY },
	    { top_issue, 1, NULL, NO(MM_ECONFLICT), MM_CERT_ORPHANED,
		MM_TOKEN_MINTED },
	    { make_revoke, 1, NULL, OK0, MM_CERT_ORPHANED, ANY } } },
	{ "orphan of nobody keeps its key", {
	    { top_orphan, 1, NULL, OK1, MM_CERT_ORPHANED, T_NONE }, MINT(2),
	    { top_issue, 2, key_1, NO(MM_ECONFLICT), C_NONE,
		MM_TOKEN_MINTED } } },
	{ "orphan loses against the certificate", { MINT(1), ISSUE(1),
	    { top_orphan, 1, NULL, NO(MM_ECONFLICT), MM_CERT_ISSUED,
		MM_TOKEN_ISSUED } } },
	{ "mint again", { MINT(1),
	    { top_mint, 1, NULL, NO(MM_ECONFLICT), C_NONE,
		MM_TOKEN_MINTED } } },
	{ "mint for no device", {
	    { top_mint, 1, no_make, NO(MM_ENOTFOUND), C_NONE, T_NONE },
	    { top_device, 1, NULL, OK1, C_NONE, T_NONE },
	    { top_mint, 1, no_make, OK1, C_NONE, MM_TOKEN_MINTED } } },
	{ "mint for another product, or a retired device", {
	    { top_device, 1, NULL, OK1, C_NONE, T_NONE },
	    { top_mint, 1, mint_valve, NO(MM_ECONFLICT), C_NONE, T_NONE },
	    { make_retire, 1, NULL, OK1, C_NONE, T_NONE },
	    { top_mint, 1, NULL, NO(MM_ECONFLICT), C_NONE, T_NONE } } },
	{ "token states", {
	    { make_freeze, 1, NULL, NO(MM_ENOTFOUND), C_NONE, T_NONE },
	    MINT(1),
	    { make_freeze, 1, NULL, NO(MM_ECONFLICT), C_NONE,
		MM_TOKEN_MINTED }, ISSUE(1),
	    { make_freeze, 1, NULL, OK1, MM_CERT_ISSUED, MM_TOKEN_FROZEN },
	    { make_thaw, 1, NULL, OK1, MM_CERT_ISSUED, MM_TOKEN_MINTED },
	    { top_issue, 1, other_serial, NO(MM_ECONFLICT), MM_CERT_ISSUED,
		MM_TOKEN_MINTED } } },
	{ "thaw by rebind drops the claim", { MINT(1), ISSUE(1),
	    { make_freeze, 1, NULL, OK1, MM_CERT_ISSUED, MM_TOKEN_FROZEN },
	    { make_revoke, 1, NULL, OK1, MM_CERT_REVOKED, ANY },
	    { make_thaw, 1, rebind, OK1, MM_CERT_REVOKED, MM_TOKEN_MINTED },
	    { top_issue, 1, other_serial, OK1, MM_CERT_REVOKED,
		MM_TOKEN_ISSUED } } },
	{ "products", {
	    { make_product, 1, NULL, OK1, C_NONE, T_NONE },
	    { make_product, 1, NULL, NO(MM_ECONFLICT), C_NONE, T_NONE },
	    { make_product_again, 1, NULL, OK1, C_NONE, T_NONE } } },
	{ "devices", {
	    { top_device, 1, NULL, OK1, C_NONE, T_NONE },
	    { top_device, 1, NULL, NO(MM_ECONFLICT), C_NONE, T_NONE },
	    { top_device, 1, replace_device, OK1, C_NONE, T_NONE },
	    { make_retire, 1, NULL, OK1, C_NONE, T_NONE },
	    { make_retire, 1, NULL, OK0, C_NONE, T_NONE },
	    { top_device, 1, replace_device, NO(MM_ECONFLICT), C_NONE,
		T_NONE },
	    { make_retire, 2, NULL, NO(MM_ENOTFOUND), C_NONE, T_NONE } } },
	{ "operators", {
	    { make_operator_gone, 1, NULL, NO(MM_ENOTFOUND), C_NONE, T_NONE },
	    { make_operator, 1, NULL, OK1, C_NONE, T_NONE },
	    { make_operator, 1, NULL, NO(MM_ECONFLICT), C_NONE, T_NONE },
	    { make_operator_gone, 1, NULL, OK1, C_NONE, T_NONE },
	    { make_operator_gone, 1, NULL, OK0, C_NONE, T_NONE } } },
	{ "checkpoints only grow, within the ledger", {
	    { make_checkpoint, 0, NULL, OK0, ANY, ANY },
	    { make_checkpoint, 1, NULL, NO(MM_ECONFLICT), ANY, ANY },
	    MINT(1), MINT(2),
	    { make_checkpoint, 2, NULL, OK0, ANY, ANY },
	    { make_checkpoint, 2, NULL, OK0, ANY, ANY },
	    { make_checkpoint, 1, NULL, NO(MM_ECONFLICT), ANY, ANY } } },
	{ "CRL numbers only grow", {
	    { make_crl, 2, NULL, OK1, ANY, ANY },
	    { make_crl, 2, NULL, NO(MM_ECONFLICT), ANY, ANY },
	    { make_crl, 3, NULL, OK1, ANY, ANY } } },
	{ "answers are kept for a day", {
	    { make_answer, 0, NULL, OK0, ANY, ANY },
	    { make_answer, 24, NULL, NO(MM_ECONFLICT), ANY, ANY },
	    { make_answer, 25, NULL, OK0, ANY, ANY } } },
};

static void
run_step(struct fx *f, const char *what, const struct step *s)
{
	uint64_t before = mm_store_ledger_size(f->s);
	struct top t;
	enum mm_err got;

	s->make(&t, s->n);
	if (s->tweak != NULL)
		s->tweak(&t);
	got = run1(f, &t);
	if (got != s->want)
		fail_msg("%s: op %d of %u: %s (%s), want %s", what,
		    t.op.kind, s->n, mm_err_slug(got), t.op.why.text,
		    mm_err_slug(s->want));
	if (mm_store_ledger_size(f->s) != before + s->entry ||
	    t.op.index != (s->entry ? before : UINT64_MAX))
		fail_msg("%s: op %d: its entry is not where it belongs", what,
		    t.op.kind);
	if (s->cert != ANY && cert_state(f, s->n) != s->cert)
		fail_msg("%s: op %d: certificate is %d, want %d", what,
		    t.op.kind, cert_state(f, s->n), s->cert);
	if (s->token != ANY && token_state(f, s->n) != s->token)
		fail_msg("%s: op %d: token is %d, want %d", what,
		    t.op.kind, token_state(f, s->n), s->token);
}

static void
each_row(const struct mm_store_backend *b)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fx f;

		if (!fx_open(&f, b))
			return;
		for (const struct step *s = rows[i].step; s->make; s++)
			run_step(&f, rows[i].what, s);
		check_whole(&f);
		fx_reopen(&f);
		check_whole(&f);
		fx_close(&f);
	}
}

/* ---- batches ---- */

/* Op 2k mints and issues; op 2k+1 must fail: its neighbours do not notice. */
static void
every_second_fails(const struct mm_store_backend *b)
{
	static struct top t[300];
	struct fx f;

	if (!fx_open(&f, b))
		return;
	for (unsigned i = 0; i < 100; i++) {
		top_mint(&t[3 * i], i);
		top_issue(&t[3 * i + 1], i);
		t[3 * i + 1].op.nentries = 1 + i % MM_OP_ENTRIES;
		top_issue(&t[3 * i + 2], i);
		t[3 * i + 2].op.u.issue.row.serial[15]++;
	}
	assert_int_equal(run_all(&f, t, 300), MM_OK);
	for (unsigned i = 0, size = 0; i < 300; i++) {
		assert_int_equal(t[i].op.result,
		    i % 3 == 2 ? MM_ECONFLICT : MM_OK);
		if (t[i].op.result != MM_OK)
			continue;
		assert_int_equal(t[i].op.index, size);
		size += t[i].op.nentries;
	}
	check_whole(&f);
	fx_close(&f);
}

/* Past two full tiles, and the edge of level 1, one batch and many. */
static void
tiles_fill(const struct mm_store_backend *b)
{
	static struct top t[512];
	struct fx f;

	if (!fx_open(&f, b))
		return;
	for (unsigned i = 0; i < 512; i++) {
		top_init(&t[i], MM_OP_ENTRY, i);
		t[i].op.nentries = 3;
	}
	for (unsigned n = 512; n > 0; n /= 2) {
		assert_int_equal(run_all(&f, t, n), MM_OK);
		check_whole(&f);
		if (n % 3 == 0)
			fx_reopen(&f);
	}
	fx_reopen(&f);
	assert_int_equal(run_all(&f, t, 255), MM_OK);
	check_whole(&f);
	fx_close(&f);
}

/* 65,536 entries fill a tile of level 1. */
static void
tiles_fill_high(const struct mm_store_backend *b)
{
	static struct top t[512];
	struct fx f;

	if (!fx_open(&f, b))
		return;
	for (unsigned i = 0; i < 512; i++) {
		top_init(&t[i], MM_OP_ENTRY, i);
		t[i].op.nentries = 4;
	}
	for (unsigned n = 0; n < 32; n++)
		assert_int_equal(run_all(&f, t, 512), MM_OK);
	check_whole(&f);
	assert_int_equal(run_all(&f, t, 77), MM_OK);
	fx_reopen(&f);
	assert_int_equal(run_all(&f, t, 77), MM_OK);
	check_whole(&f);
	fx_close(&f);
}

/* ---- what comes back ---- */

static void
rows_come_back(const struct mm_store_backend *b)
{
	struct fx f;
	struct top t;
	struct mm_cert_row row, *in = &t.op.u.issue.row;
	struct mm_claim claim;
	struct mm_device d;
	struct mm_product p;
	struct mm_operator o;
	char device[MM_DEVICE_ID_MAX + 1];
	uint8_t none[32] = { 0 };
	struct mm_buf der = MM_BUF_INIT(1000);

	if (!fx_open(&f, b))
		return;
	make_product(&t, 0);
	assert_int_equal(run1(&f, &t), MM_OK);
	assert_int_equal(mm_get_product(f.r, PRODUCT, &p, NULL), MM_OK);
	assert_string_equal(p.name, PRODUCT);
	assert_string_equal(p.description, "A thermo");
	assert_string_equal(p.ldevid_profile, "ldevid");
	assert_string_equal(p.hw_type_oid, "");
	assert_int_equal(p.created_at, T0);
	make_operator(&t, 5);
	assert_int_equal(run1(&f, &t), MM_OK);
	assert_int_equal(mm_get_operator(f.r, "0000000000000005", &o, NULL),
	    MM_OK);
	assert_memory_equal(o.secret_sha256, t.op.u.operator_.secret_sha256,
	    32);
	top_mint(&t, 1);
	assert_int_equal(run1(&f, &t), MM_OK);
	top_issue(&t, 1);
	assert_int_equal(run1(&f, &t), MM_OK);
	assert_int_equal(mm_get_cert(f.r, t.serial, &row, NULL), MM_OK);
	in->entry = t.op.index;
	assert_string_equal(row.device, in->device);
	assert_string_equal(row.profile, in->profile);
	assert_string_equal(row.issuer, in->issuer);
	assert_string_equal(row.authority, in->authority);
	assert_memory_equal(row.cert_sha256, in->cert_sha256, 32);
	assert_memory_equal(row.predecessor, none, 16);
	assert_int_equal(row.not_after_s, in->not_after_s);
	assert_int_equal(row.shard, in->shard);
	assert_int_equal(row.entry, in->entry);
	assert_int_equal(mm_get_cert_der(f.r, t.serial, &der, NULL), MM_OK);
	assert_int_equal(der.n, 600);
	assert_memory_equal(der.p, t.der, 600);
	assert_int_equal(mm_get_claim(f.r, in->authority, &claim, NULL),
	    MM_OK);
	assert_memory_equal(claim.serial, t.serial, 16);
	assert_int_equal(claim.replaced, 0);
	assert_int_equal(mm_get_claim(f.r, "token:none", &claim, NULL),
	    MM_ENOTFOUND);
	assert_int_equal(mm_get_key_device(f.r, in->spki_sha256, device,
	    NULL), MM_OK);
	assert_string_equal(device, "SN-1");
	assert_int_equal(mm_get_key_device(f.r, none, device, NULL), MM_OK);
	assert_string_equal(device, "");
	assert_int_equal(mm_get_device(f.r, "sn-1", &d, NULL), MM_OK);
	assert_string_equal(d.id, "SN-1");
	assert_int_equal(mm_get_device_cert(f.r, "SN-1", false, &row, NULL),
	    MM_OK);
	assert_int_equal(mm_get_device_cert(f.r, "SN-1", true, &row, NULL),
	    MM_ENOTFOUND);
	mm_buf_done(&der);
	fx_close(&f);
}

static void
successor_and_replacements(const struct mm_store_backend *b)
{
	struct fx f;
	struct top t;
	struct mm_claim claim;
	struct mm_cert_row row;
	uint8_t first[16], last[16];

	if (!fx_open(&f, b))
		return;
	top_mint(&t, 1);
	assert_int_equal(run1(&f, &t), MM_OK);
	top_issue(&t, 1);
	assert_int_equal(run1(&f, &t), MM_OK);
	serial_of(1, first);
	assert_int_equal(mm_get_successor(f.r, first, &row, NULL),
	    MM_ENOTFOUND);
	for (unsigned i = 0; i < 4; i++) {
		top_issue(&t, 10 + i);
		renews_1(&t);
		/* the third: more than 24 h after the first replacement */
		t.op.u.issue.row.issued_at = T0 + (i == 3 ? 90000000 : i);
		t.op.u.issue.replaces = i > 0 ? last : NULL;
		assert_int_equal(run1(&f, &t), MM_OK);
		assert_int_equal(mm_get_successor(f.r, first, &row, NULL),
		    MM_OK);
		assert_memory_equal(row.serial, t.serial, 16);
		assert_memory_equal(row.predecessor, first, 16);
		assert_int_equal(mm_get_claim(f.r, "cert:01", &claim, NULL),
		    MM_OK);
		assert_int_equal(claim.replaced, i == 3 ? 1 : i);
		memcpy(last, t.serial, 16);
	}
	check_whole(&f);
	fx_close(&f);
}

static void
documents_come_back(const struct mm_store_backend *b)
{
	struct fx f;
	struct top t;
	struct mm_buf buf = MM_BUF_INIT(100);
	uint64_t n;
	int64_t next;
	uint8_t sha[32];
	int status;

	if (!fx_open(&f, b))
		return;
	assert_int_equal(mm_get_checkpoint(f.r, &n, &buf, NULL),
	    MM_ENOTFOUND);
	assert_int_equal(mm_get_crl(f.r, ISSUER, &n, &next, &buf, NULL),
	    MM_ENOTFOUND);
	make_crl(&t, 4);
	assert_int_equal(run1(&f, &t), MM_OK);
	make_checkpoint(&t, 1);
	assert_int_equal(run1(&f, &t), MM_OK);
	make_answer(&t, 0);
	assert_int_equal(run1(&f, &t), MM_OK);
	assert_int_equal(mm_get_crl(f.r, ISSUER, &n, &next, &buf, NULL),
	    MM_OK);
	assert_int_equal(n, 4);
	assert_int_equal(next, 77);
	assert_int_equal(mm_get_checkpoint(f.r, &n, &buf, NULL), MM_OK);
	assert_int_equal(n, 1);
	assert_int_equal(mm_get_answer(f.r, "op/key", sha, &status, &buf,
	    NULL), MM_OK);
	assert_int_equal(status, 201);
	assert_int_equal(sha[31], 9);
	assert_string_equal(mm_buf_cstr(&buf), "crlnote{}");
	mm_buf_done(&buf);
	fx_close(&f);
}

/* A batch of reads sees one state, whatever is written meanwhile. */
static void
snapshot_holds(const struct mm_store_backend *b)
{
	struct fx f;
	struct top t;
	uint64_t size;

	if (!fx_open(&f, b))
		return;
	assert_int_equal(mm_reader_begin(f.r, NULL), MM_OK);
	make_entry(&t, 1);
	assert_int_equal(run1(&f, &t), MM_OK);
	assert_int_equal(mm_get_ledger_size(f.r, &size, NULL), MM_OK);
	assert_int_equal(size, 0);
	assert_int_equal(mm_store_tidy(f.r, NULL), MM_OK);
	mm_reader_end(f.r);
	assert_int_equal(mm_get_ledger_size(f.r, &size, NULL), MM_OK);
	assert_int_equal(size, 1);
	assert_int_equal(mm_store_tidy(f.r, NULL), MM_OK);
	check_whole(&f);
	fx_close(&f);
}

/* ---- opening ---- */

static void
opening(const struct mm_store_backend *b)
{
	struct fx f;
	struct mm_store *second = NULL;
	struct mm_store_reader *r = NULL;

	assert_int_equal(mm_store_open("nosuch:x", true, &second, NULL),
	    MM_EINPUT);
	if (!fx_open(&f, b))
		return;
	assert_int_equal(mm_store_open(f.url, false, &second, NULL),
	    MM_ECONFLICT);
	assert_null(second);
	assert_int_equal(mm_reader_open(f.url, &r, NULL), MM_OK);
	mm_reader_close(&r);
	mm_store_close(&f.s);
	assert_int_equal(mm_store_open(f.url, true, &f.s, NULL), MM_OK);
	check_whole(&f);
	fx_close(&f);
	assert_int_equal(mm_store_open(f.url, false, &second, NULL),
	    MM_ENOTFOUND);
	assert_int_equal(mm_reader_open(f.url, &r, NULL), MM_ENOTFOUND);
}

/* Each on every backend that can be opened here. */
#define ON_BACKENDS(fn)                                         \
	static void test_##fn(void **state)                     \
	{                                                       \
		(void)state;                                    \
		for (size_t i = 0; mm_store_backends[i]; i++)   \
			fn(mm_store_backends[i]);               \
	}
ON_BACKENDS(each_row)
ON_BACKENDS(every_second_fails)
ON_BACKENDS(tiles_fill)
ON_BACKENDS(tiles_fill_high)
ON_BACKENDS(rows_come_back)
ON_BACKENDS(successor_and_replacements)
ON_BACKENDS(documents_come_back)
ON_BACKENDS(snapshot_holds)
ON_BACKENDS(opening)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_row),
		cmocka_unit_test(test_every_second_fails),
		cmocka_unit_test(test_tiles_fill),
		cmocka_unit_test(test_tiles_fill_high),
		cmocka_unit_test(test_rows_come_back),
		cmocka_unit_test(test_successor_and_replacements),
		cmocka_unit_test(test_documents_come_back),
		cmocka_unit_test(test_snapshot_holds),
		cmocka_unit_test(test_opening),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
