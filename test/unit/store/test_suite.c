#include "fixture.h"

#include <stdio.h>
#include <string.h>

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
	struct step step[13]; /* the last is none */
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
new_turn(struct top *t, unsigned expect)
{
	top_checkpoint(t, 0);
	memset(&t->op.u, 0, sizeof(t->op.u));
	t->op.kind = MM_OP_DOC_PUT;
	t->op.u.doc.kind = MM_DOC_NODE;
	strcpy(t->op.u.doc.id, "ledger");
	t->op.u.doc.expect = expect;
	t->op.u.doc.body = mm_bytes_of("{}");
}

static void
turn_1(struct top *t)
{
	t->op.u.checkpoint.turn = 1;
}

static void
follows_none(struct top *t)
{
	static const uint64_t none = 0;

	t->op.u.crl.follows = &none;
}

static void
follows_1(struct top *t)
{
	static const uint64_t one = 1;

	t->op.u.crl.follows = &one;
}

static void
follows_2(struct top *t)
{
	static const uint64_t two = 2;

	t->op.u.crl.follows = &two;
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
authority_1(struct top *t)
{
	uint8_t serial[16];

	device_1(t);
	serial_of(1, serial);
	strcpy(t->op.u.issue.row.authority, "cert:");
	mm_hex_text(serial, 16, t->op.u.issue.row.authority + 5);
}

static void
authority_unknown(struct top *t)
{
	authority_1(t);
	t->op.u.issue.row.authority[5] = 'f';
}

static void
renews_1(struct top *t)
{
	device_1(t);
	serial_of(1, t->op.u.issue.row.predecessor);
	authority_1(t);
}

static void
renews_2(struct top *t)
{
	renews_1(t);
	serial_of(2, t->op.u.issue.row.predecessor);
	strcpy(t->op.u.issue.row.authority, "op:0123:SN-1");
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
line_only(struct top *t)
{
	strcpy(t->op.u.operator_.roles, "line,auditor");
}

static void
scoped(struct top *t)
{
	strcpy(t->op.u.operator_.scope, "product:valve");
}

static void
recovery(struct top *t)
{
	t->op.u.operator_.kind = MM_OPERATOR_RECOVERY;
}

/* The key of certificate number 1. */
static void
devices_key(struct top *t)
{
	struct top cert;

	top_issue(&cert, 1);
	memcpy(t->op.u.operator_.spki_sha256, cert.op.u.issue.row.spki_sha256,
	    32);
}

static void
key_of_2(struct top *t)
{
	memset(t->op.u.operator_.spki_sha256, 0x72, 32);
}

static void
gone_soon(struct top *t)
{
	t->op.u.operator_.expires_at = T0 + 5;
}

static void
compromised(struct top *t)
{
	t->op.u.revoke.reason = 1;
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
	{ "issue for a compromised key", { MINT(1), ISSUE(1), MINT(2),
	    { make_revoke, 1, compromised, OK1, MM_CERT_REVOKED, ANY },
	    { top_issue, 2, device_1_key_1, NO(MM_ECONFLICT), C_NONE,
		MM_TOKEN_MINTED } } },
	{ "issue for a key that was revoked otherwise", { MINT(1), ISSUE(1),
	    MINT(2),
	    { make_revoke, 1, NULL, OK1, MM_CERT_REVOKED, ANY },
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
	{ "renewal of what was revoked meanwhile", { MINT(1), ISSUE(1),
	    CONFIRM(1),
	    { make_revoke, 1, NULL, OK1, MM_CERT_REVOKED, ANY },
	    { top_issue, 2, renews_1, NO(MM_ECONFLICT), C_NONE, T_NONE },
	    { top_issue, 2, authority_1, NO(MM_ECONFLICT), C_NONE,
		T_NONE } } },
	{ "renewal of what was held meanwhile", { MINT(1), ISSUE(1),
	    { make_hold, 1, NULL, OK1, MM_CERT_HELD, ANY },
	    { top_issue, 2, renews_1, NO(MM_ECONFLICT), C_NONE, T_NONE },
	    { make_release, 1, NULL, OK1, MM_CERT_ISSUED, ANY },
	    { top_issue, 2, renews_1, OK1, MM_CERT_ISSUED, T_NONE } } },
	{ "a successor falls with its predecessor", { MINT(1), ISSUE(1),
	    CONFIRM(1),
	    { top_issue, 2, renews_1, OK1, MM_CERT_ISSUED, T_NONE },
	    { make_revoke, 1, NULL, OK1, MM_CERT_REVOKED, ANY },
	    { top_confirm, 2, supersedes_1, NO(MM_ECONFLICT), MM_CERT_ISSUED,
		T_NONE },
	    { top_issue, 3, renews_2, NO(MM_ECONFLICT), C_NONE, T_NONE } } },
	{ "renewal of what was superseded meanwhile", { MINT(1), ISSUE(1),
	    CONFIRM(1),
	    { top_issue, 2, renews_1, OK1, MM_CERT_ISSUED, T_NONE },
	    { top_confirm, 2, supersedes_1, OK1, MM_CERT_CONFIRMED, T_NONE },
	    { top_issue, 3, renews_1, NO(MM_ECONFLICT), C_NONE, T_NONE } } },
	{ "an authority's certificate", { MINT(1), ISSUE(1),
	    { top_issue, 2, authority_unknown, NO(MM_ENOTFOUND), C_NONE,
		T_NONE },
	    { top_issue, 2, authority_1, OK1, MM_CERT_ISSUED, T_NONE } } },
	{ "renewal of what nobody knows", { MINT(1), ISSUE(1), MINT(3),
	    { top_issue, 3, renews_unknown, NO(MM_ENOTFOUND), C_NONE,
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
	{ "operators by certificate", {
	    { top_operator, 1, NULL, OK1, C_NONE, T_NONE },
	    { top_operator_cert, 2, NULL, OK1, C_NONE, T_NONE },
	    { top_operator_cert, 3, key_of_2, NO(MM_ECONFLICT), C_NONE,
		T_NONE },
	    { top_operator_gone, 1, NULL, OK1, C_NONE, T_NONE },
	    { top_operator_gone, 2, NULL, NO(MM_EPOLICY), C_NONE, T_NONE },
	    { top_operator_cert, 4, scoped, OK1, C_NONE, T_NONE },
	    { top_operator_cert, 5, recovery, OK1, C_NONE, T_NONE },
	    { top_operator_gone, 2, NULL, NO(MM_EPOLICY), C_NONE, T_NONE },
	    { top_operator_gone, 4, NULL, OK1, C_NONE, T_NONE },
	    { top_operator_gone, 5, NULL, OK1, C_NONE, T_NONE },
	    { top_operator_cert, 6, key_of_2, NO(MM_ECONFLICT), C_NONE,
		T_NONE } } },
	{ "a device's key is no operator's", {
	    { top_mint, 1, NULL, OK1, C_NONE, MM_TOKEN_MINTED },
	    { top_issue, 1, NULL, OK1, MM_CERT_ISSUED, MM_TOKEN_ISSUED },
	    { top_operator_cert, 1, devices_key, NO(MM_ECONFLICT),
		MM_CERT_ISSUED, MM_TOKEN_ISSUED } } },
	{ "a name is erased", {
	    { top_operator_erase, 1, NULL, NO(MM_ENOTFOUND), C_NONE, T_NONE },
	    { top_operator, 1, NULL, OK1, C_NONE, T_NONE },
	    { top_operator_erase, 1, NULL, OK1, C_NONE, T_NONE },
	    { top_operator_erase, 1, NULL, OK0, C_NONE, T_NONE } } },
	{ "operators", {
	    { top_operator_gone, 1, NULL, NO(MM_ENOTFOUND), C_NONE, T_NONE },
	    { top_operator, 1, NULL, OK1, C_NONE, T_NONE },
	    { top_operator, 1, NULL, NO(MM_ECONFLICT), C_NONE, T_NONE },
	    { top_operator_gone, 1, NULL, NO(MM_EPOLICY), C_NONE, T_NONE },
	    { top_operator, 2, line_only, OK1, C_NONE, T_NONE },
	    { top_operator, 3, gone_soon, OK1, C_NONE, T_NONE },
	    { top_operator_gone, 1, NULL, NO(MM_EPOLICY), C_NONE, T_NONE },
	    { top_operator, 4, NULL, OK1, C_NONE, T_NONE },
	    { top_operator_gone, 1, NULL, OK1, C_NONE, T_NONE },
	    { top_operator_gone, 1, NULL, OK0, C_NONE, T_NONE },
	    { top_operator_gone, 4, NULL, NO(MM_EPOLICY), C_NONE, T_NONE },
	    { top_operator_gone, 2, NULL, OK1, C_NONE, T_NONE } } },
	{ "checkpoints only grow, within the ledger", {
	    { top_checkpoint, 0, NULL, OK0, ANY, ANY },
	    { top_checkpoint, 1, NULL, NO(MM_ECONFLICT), ANY, ANY },
	    MINT(1), MINT(2),
	    { top_checkpoint, 2, NULL, OK0, ANY, ANY },
	    { top_checkpoint, 2, NULL, OK0, ANY, ANY },
	    { top_checkpoint, 1, NULL, NO(MM_ECONFLICT), ANY, ANY } } },
	{ "CRL numbers only grow", {
	    { top_crl, 2, NULL, OK1, ANY, ANY },
	    { top_crl, 2, NULL, NO(MM_ECONFLICT), ANY, ANY },
	    { top_crl, 3, NULL, OK1, ANY, ANY } } },
	{ "a checkpoint of the present turn only", {
	    { top_checkpoint, 0, turn_1, NO(MM_ECONFLICT), ANY, ANY },
	    { new_turn, 0, NULL, OK0, ANY, ANY },
	    { top_checkpoint, 0, NULL, NO(MM_ECONFLICT), ANY, ANY },
	    { top_checkpoint, 0, turn_1, OK0, ANY, ANY },
	    { new_turn, 1, NULL, OK0, ANY, ANY },
	    { top_checkpoint, 0, turn_1, NO(MM_ECONFLICT), ANY, ANY } } },
	{ "a CRL follows the one it was begun after", {
	    { top_crl, 2, follows_1, NO(MM_ECONFLICT), ANY, ANY },
	    { top_crl, 2, follows_none, OK1, ANY, ANY },
	    { top_crl, 9, follows_1, NO(MM_ECONFLICT), ANY, ANY },
	    { top_crl, 9, follows_none, NO(MM_ECONFLICT), ANY, ANY },
	    { top_crl, 9, follows_2, OK1, ANY, ANY } } },
	{ "lists of shards are stored whole or not at all", {
	    { top_crl, 2, fx_shard_after_2, NO(MM_ECONFLICT), ANY, ANY },
	    { top_crl, 2, fx_shards_alone, OK1, ANY, ANY },
	    { top_crl, 2, fx_shards_alone, NO(MM_ECONFLICT), ANY, ANY },
	    { top_crl, 2, follows_none, OK1, ANY, ANY },
	    { top_crl, 3, fx_shard_after_2, OK1, ANY, ANY },
	    { top_crl, 4, fx_shards_5_any_7_after_2, NO(MM_ECONFLICT), ANY,
		ANY },
	    { top_crl, 3, fx_shards_too, NO(MM_ECONFLICT), ANY, ANY },
	    { top_crl, 4, fx_shards_too, OK1, ANY, ANY } } },
	{ "answers are kept for a day", {
	    { top_answer, 0, NULL, OK0, ANY, ANY },
	    { top_answer, 24, NULL, NO(MM_ECONFLICT), ANY, ANY },
	    { top_answer, 25, NULL, OK0, ANY, ANY } } },
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
		fx_recycle(&f);
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

ON_BACKENDS(each_row)
ON_BACKENDS(every_second_fails)
ON_BACKENDS(tiles_fill)
ON_BACKENDS(tiles_fill_high)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_row),
		cmocka_unit_test(test_every_second_fails),
		cmocka_unit_test(test_tiles_fill),
		cmocka_unit_test(test_tiles_fill_high),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
