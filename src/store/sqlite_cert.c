#include "store/sqlite.h"

#include <string.h>

#define DAY_MS 86400000
#define TOKEN MM_SQLITE_TOKEN
#define CERT "cert:"

/* What a certificate row needs beside the caller's fields. */
struct placed {
	int64_t device, class, token, claim, predecessor; /* 0: none */
	int64_t replaced, replaced_at;
	enum mm_cert_state state;
	int64_t last; /* its newest entry, if that is not its first: else -1 */
	const char *orphan; /* device's name when there is no such device */
	struct mm_bytes der;
};

static bool
zero(const uint8_t *p, size_t n)
{
	return mm_val_hash(p, n).kind == VAL_NULL;
}

static bool
is_listed(int64_t state)
{
	return state == MM_CERT_HELD || state == MM_CERT_REVOKED ||
	    state == MM_CERT_ORPHANED;
}

void
mm_sqlite_count_move(struct sqlite_store *s, int64_t from, int64_t to)
{
	s->counts.revoked += is_listed(to);
	s->counts.revoked -= is_listed(from);
}

/* MM_ECONFLICT, and nothing written, if the serial exists. */
static enum mm_err
cert_add(struct sqlite_store *s, const struct mm_op *op,
    const struct mm_cert_row *r, const struct placed *p, struct mm_why *why)
{
	enum mm_err err = mm_sqlite_exec(&s->db, ASK(CERT_ADD,
	    BLOB(r->serial, 16), INT(p->device), INT(p->class),
	    INT(p->state), INT(r->idevid), INT(r->key_origin),
	    p->token != 0 ? INT(p->token) : NONE,
	    p->token != 0 ? NONE : TEXT(r->authority),
	    p->claim != 0 ? INT(p->claim) : NONE,
	    INT(p->replaced), INT(p->replaced_at), HASH(r->spki_sha256),
	    HASH(r->cert_sha256),
	    p->predecessor != 0 ? INT(p->predecessor) : NONE,
	    INT(r->issued_at), INT(r->not_before_s), INT(r->not_after_s),
	    INT(r->confirmed_at), INT(r->revoked_at), INT(r->reason),
	    INT(r->shard), op->nentries > 0 ? INT(s->counts.entries) : NONE,
	    p->orphan != NULL ? TEXT(p->orphan) : NONE,
	    p->der.n > 0 ? BYTES(p->der) : NONE, LAST(p->last),
	    r->key_type != 0 ? INT(r->key_type) : NONE), NULL);
	int rc = sqlite3_extended_errcode(s->db.h);

	if (err != MM_OK && rc == SQLITE_CONSTRAINT_UNIQUE)
		return MM_FAIL(why, MM_ECONFLICT,
		    "certificate: serial exists");
	if (err != MM_OK)
		return mm_sqlite_fail(&s->db, rc, why);
	s->counts.certs++;
	mm_sqlite_count_move(s, MM_CERT_ISSUED, p->state);
	return MM_OK;
}

static enum mm_err
cert_id(struct sqlite_store *s, const uint8_t serial[16], int64_t *id,
    struct mm_why *why)
{
	return mm_sqlite_ints(&s->db, ASK(CERT_ID, BLOB(serial, 16)), id, 1,
	    why);
}

/* ---- issue ---- */

/* A token and the device it is for, in one statement; not found where it is
 * for another: then each is asked for by its own name. */
struct found {
	bool both;
	int64_t token[3];  /* id, state, cert */
	int64_t device[3]; /* id, class, state */
};

static enum mm_err
find_both(struct sqlite_store *s, const struct mm_cert_row *row,
    struct found *f, struct mm_why *why)
{
	int64_t v[6];
	enum mm_err err;

	f->both = false;
	if (strncmp(row->authority, TOKEN, strlen(TOKEN)) != 0)
		return MM_OK;
	err = mm_sqlite_ints(&s->db, ASK(TOKEN_DEVICE_FIND,
	    TEXT(row->authority + strlen(TOKEN)), TEXT(row->device)), v, 6,
	    why);
	if (err != MM_OK)
		return err == MM_ENOTFOUND ? MM_OK : err;
	f->both = true;
	memcpy(f->token, v, sizeof(f->token));
	memcpy(f->device, v + 3, sizeof(f->device));
	return MM_OK;
}

static enum mm_err
check_device(struct sqlite_store *s, const struct mm_cert_row *row,
    const struct found *f, struct placed *p, struct mm_why *why)
{
	int64_t d[3], class; /* id, class, state */
	enum mm_err err = MM_OK;

	memcpy(d, f->device, sizeof(d));
	if (!f->both)
		err = mm_sqlite_ints(&s->db,
		    ASK(DEVICE_FIND, TEXT(row->device)), d, 3, why);
	if (err == MM_ENOTFOUND)
		return MM_FAIL(why, err, "device %s: no such device",
		    row->device);
	MM_TRY(err);
	if (d[2] != MM_DEVICE_ACTIVE)
		return MM_FAIL(why, MM_ECONFLICT, "device %s: retired",
		    row->device);
	MM_TRY(mm_sqlite_class(s, row->product, "", "", &class));
	if (d[1] != class)
		return MM_FAIL(why, MM_ECONFLICT,
		    "device %s: of another product than %s", row->device,
		    row->product);
	p->device = d[0];
	return MM_OK;
}

static enum mm_err
check_compromised(struct sqlite_store *s, const struct mm_cert_row *row,
    struct mm_why *why)
{
	int64_t found;
	enum mm_err err = mm_sqlite_ints(&s->db, ASK(KEY_COMPROMISED,
	    BLOB(row->spki_sha256, 32)), &found, 1, why);

	if (err != MM_OK)
		return err == MM_ENOTFOUND ? MM_OK : err;
	return MM_FAIL(why, MM_ECONFLICT, "key: revoked as compromised");
}

static enum mm_err
check_key(struct sqlite_store *s, const struct mm_cert_row *row,
    const struct placed *p, struct mm_why *why)
{
	MM_OWN(mm_sqlite_reset) sqlite3_stmt *st = NULL;
	bool known;
	enum mm_err err;

	MM_TRY(mm_sqlite_exists(s, ASK(KEY_KNOWN, BLOB(row->spki_sha256, 32)),
	    &known, why));
	if (!known)
		return MM_OK;
	err = mm_sqlite_first(&s->db, ASK(CERT_OF_OTHER,
	    BLOB(row->spki_sha256, 32), INT(p->device), TEXT(row->device)),
	    &st, why);
	if (err == MM_ENOTFOUND)
		return check_compromised(s, row, why);
	MM_TRY(err);
	return MM_FAIL(why, MM_ECONFLICT,
	    "key: certified for device %.64s already",
	    (const char *)sqlite3_column_text(st, 0));
}

/* How often in 24 hours, counted from the first of them. */
static void
count_replacement(struct placed *p, int64_t count, int64_t since, int64_t now)
{
	bool within = since != 0 && now - since < DAY_MS;

	p->replaced = within ? count + 1 : 1;
	p->replaced_at = within ? since : now;
}

/* What entitles, and the certificate it was spent on; ids, 0: none. */
struct authority {
	int64_t token, cert;
	int64_t cert_state, cert_last;
};

static enum mm_err
check_token(struct sqlite_store *s, const struct mm_op_issue *i,
    const struct found *f, struct authority *a, struct mm_why *why)
{
	const char *name = i->row.authority + strlen(TOKEN);
	enum mm_token_state want = i->replaces != NULL ?
	    MM_TOKEN_ISSUED : MM_TOKEN_MINTED;
	int64_t t[3]; /* id, state, cert */
	enum mm_err err = MM_OK;

	memcpy(t, f->token, sizeof(t));
	if (!f->both)
		err = mm_sqlite_ints(&s->db, ASK(TOKEN_FIND, TEXT(name)), t, 3,
		    why);
	if (err == MM_ENOTFOUND)
		return MM_FAIL(why, MM_ECONFLICT, "token %s: no such token",
		    name);
	MM_TRY(err);
	if (t[1] != want)
		return MM_FAIL(why, MM_ECONFLICT, "token %s: it is %s", name,
		    mm_token_state_name((enum mm_token_state)t[1]));
	a->token = t[0];
	a->cert = t[2];
	return MM_OK;
}

/* Of all other authorities the claim is found by their hash. */
static enum mm_err
check_hash(struct sqlite_store *s, const struct mm_op_issue *i,
    struct placed *p, struct authority *a, struct mm_why *why)
{
	enum mm_err err;

	p->claim = mm_sqlite_claim(i->row.authority);
	err = mm_sqlite_ints(&s->db, ASK(CLAIM_ID, INT(p->claim),
	    TEXT(i->row.authority)), &a->cert, 1, why);
	return err == MM_ENOTFOUND ? MM_OK : err;
}

/* A claim stands in the way, unless it is unconfirmed and to be replaced. */
static enum mm_err
check_claim(struct sqlite_store *s, const struct mm_op_issue *i,
    struct placed *p, struct authority *a, struct mm_why *why)
{
	/* state, confirmed_at, replaced, replaced_at, it is, last */
	int64_t c[6];

	if (a->cert == 0)
		return i->replaces == NULL ? MM_OK : MM_FAIL(why,
		    MM_ECONFLICT, "%s: nothing to replace", i->row.authority);
	MM_TRY(mm_sqlite_ints(&s->db, ASK(CLAIMED, INT(a->cert),
	    i->replaces != NULL ? BLOB(i->replaces, 16) : NONE), c, 6, why));
	if (i->replaces == NULL || c[4] == 0)
		return MM_FAIL(why, MM_ECONFLICT, "%s: spent already",
		    i->row.authority);
	if ((c[0] != MM_CERT_ISSUED && c[0] != MM_CERT_HELD) || c[1] != 0)
		return MM_FAIL(why, MM_ECONFLICT, "%s: its certificate is %s",
		    i->row.authority,
		    mm_cert_state_name((enum mm_cert_state)c[0]));
	count_replacement(p, c[2], c[3], i->row.issued_at);
	a->cert_state = c[0];
	a->cert_last = c[5];
	return MM_OK;
}

static enum mm_err
check_authority(struct sqlite_store *s, const struct mm_op_issue *i,
    const struct found *f, struct placed *p, struct authority *a,
    struct mm_why *why)
{
	if (i->row.authority[0] == '\0')
		return MM_FAIL(why, MM_EINPUT, "issue: no authority");
	if (strncmp(i->row.authority, TOKEN, strlen(TOKEN)) == 0)
		MM_TRY(check_token(s, i, f, a, why));
	else
		MM_TRY(check_hash(s, i, p, a, why));
	return check_claim(s, i, p, a, why);
}

/*
 * A certificate entitles to another one as long as it stands: a revocation
 * that came between the decision and here wins.  An unconfirmed one stands
 * and falls with its predecessor.
 */
static enum mm_err
check_entitled(struct sqlite_store *s, const uint8_t serial[16], int64_t *id,
    struct mm_why *why)
{
	int64_t c[3]; /* id, state, its predecessor is withdrawn */

	MM_TRY(mm_sqlite_ints(&s->db, ASK(CERT_ENTITLED, BLOB(serial, 16)), c,
	    3, why));
	if ((c[1] != MM_CERT_ISSUED && c[1] != MM_CERT_CONFIRMED) || c[2])
		return MM_FAIL(why, MM_ECONFLICT, "certificate: it is %s",
		    c[2] ? "withdrawn with its predecessor" :
		    mm_cert_state_name((enum mm_cert_state)c[1]));
	*id = c[0];
	return MM_OK;
}

static enum mm_err
check_predecessor(struct sqlite_store *s, const struct mm_cert_row *row,
    struct placed *p, struct mm_why *why)
{
	enum mm_err err;

	if (zero(row->predecessor, 16))
		return MM_OK;
	err = check_entitled(s, row->predecessor, &p->predecessor, why);
	return err != MM_ENOTFOUND ? err :
	    MM_FAIL(why, err, "certificate: no such predecessor");
}

/* Authority "cert:<serial>": an IDevID's, with ":2" and so on for what came
 * after a transfer, or the predecessor itself. */
static enum mm_err
check_presented(struct sqlite_store *s, const char *authority,
    struct mm_why *why)
{
	const char *name = authority + strlen(CERT);
	uint8_t serial[16];
	int64_t id;
	enum mm_err err;

	if (strncmp(authority, CERT, strlen(CERT)) != 0)
		return MM_OK;
	MM_TRY(mm_hex_parse(name, strcspn(name, ":"), serial, sizeof(serial),
	    why));
	err = check_entitled(s, serial, &id, why);
	return err != MM_ENOTFOUND ? err :
	    MM_FAIL(why, err, "certificate %s: unknown", name);
}

/* The second entry of one that replaces is the replaced one's (store.h); an
 * orphan's go on. */
static void
chain_issue(struct sqlite_store *s, const struct mm_op *op, struct placed *p,
    struct authority *a, int64_t orphan_last)
{
	unsigned others = a->cert != 0;
	int64_t first = (int64_t)s->counts.entries;
	int64_t last;

	last = mm_sqlite_chain(s, op, 0, 1, orphan_last);
	a->cert_last = mm_sqlite_chain(s, op, 1, others, a->cert_last);
	last = mm_sqlite_chain(s, op, 1 + others, MM_OP_ENTRIES, last);
	p->last = last > first ? last : -1;
}

/* store.h: another CA's that is an orphan makes room for itself.  It is no
 * orphan first, so that no list of those has it any more. */
static enum mm_err
adopt(struct sqlite_store *s, const struct mm_cert_row *row,
    const struct placed *p, int64_t *last, struct mm_why *why)
{
	int64_t o[2]; /* id, last */
	enum mm_err err;

	*last = -1;
	if ((row->serial[0] & 0x80) == 0)
		return MM_OK;
	err = mm_sqlite_ints(&s->db, ASK(CERT_ORPHAN, BLOB(row->serial, 16),
	    INT(p->device), HASH(row->spki_sha256), HASH(row->cert_sha256)), o,
	    2, why);
	if (err != MM_OK)
		return err == MM_ENOTFOUND ? MM_OK : err;
	MM_TRY(mm_sqlite_exec(&s->db, ASK(CERT_SET, INT(o[0]),
	    INT(MM_CERT_ISSUED), INT(0), INT(0), INT(0), LAST(o[1])), why));
	MM_TRY(mm_sqlite_exec(&s->db, ASK(CERT_DROP, INT(o[0])), why));
	mm_sqlite_count_move(s, MM_CERT_ORPHANED, MM_CERT_ISSUED);
	s->counts.certs--;
	*last = o[1];
	return MM_OK;
}

/* The first write may still meet the same serial; the rest cannot fail. */
static enum mm_err
issue_write(struct sqlite_store *s, const struct mm_op *op, struct placed *p,
    struct authority *a, struct mm_why *why)
{
	const struct mm_op_issue *i = &op->u.issue;
	struct mm_cert_row row = i->row;
	int64_t id, orphan_last;

	p->state = i->confirmed ? MM_CERT_CONFIRMED : MM_CERT_ISSUED;
	p->der = i->der;
	row.confirmed_at = i->confirmed ? row.issued_at : 0;
	row.revoked_at = row.reason = 0;
	p->token = a->token;
	MM_TRY(adopt(s, &row, p, &orphan_last, why));
	chain_issue(s, op, p, a, orphan_last);
	MM_TRY(mm_sqlite_class(s, row.product, row.issuer, row.profile,
	    &p->class));
	MM_TRY(cert_add(s, op, &row, p, why));
	id = sqlite3_last_insert_rowid(s->db.h);
	if (a->cert != 0) {
		mm_sqlite_count_move(s, a->cert_state, MM_CERT_REVOKED);
		MM_TRY(mm_sqlite_exec(&s->db, ASK(CERT_REPLACED,
		    INT(a->cert), INT(row.issued_at), LAST(a->cert_last)),
		    why));
	}
	return a->token == 0 ? MM_OK : mm_sqlite_exec(&s->db,
	    ASK(TOKEN_ISSUED, INT(a->token), INT(id)), why);
}

enum mm_err
mm_sqlite_issue(struct sqlite_store *s, struct mm_op *op, bool *written,
    struct mm_why *why)
{
	const struct mm_op_issue *i = &op->u.issue;
	struct placed p = { .claim = 0 };
	struct authority a = { 0, 0, 0, -1 };
	struct found f = { 0 };

	MM_TRY(find_both(s, &i->row, &f, why));
	MM_TRY(check_device(s, &i->row, &f, &p, why));
	MM_TRY(check_key(s, &i->row, &p, why));
	MM_TRY(check_authority(s, i, &f, &p, &a, why));
	MM_TRY(check_presented(s, i->row.authority, why));
	MM_TRY(check_predecessor(s, &i->row, &p, why));
	MM_TRY(mm_sqlite_share_check(s, i->share, why));
	MM_TRY(issue_write(s, op, &p, &a, why));
	MM_TRY(mm_sqlite_share_write(s, i->share, i->row.device, why));
	*written = true;
	return MM_OK;
}

/* ---- orphan ---- */

/*
 * Architecture, promise 2: the serial of a signature that was never stored.
 * It may name a device, a predecessor that nobody knows; it is kept all the
 * same, spends nothing and claims nothing.
 */
enum mm_err
mm_sqlite_orphan(struct sqlite_store *s, struct mm_op *op, bool *written,
    struct mm_why *why)
{
	struct mm_cert_row row = op->u.orphan.row;
	struct placed p = { .state = MM_CERT_ORPHANED, .last = -1 };
	enum mm_err err;
	int64_t d[3];

	err = mm_sqlite_ints(&s->db, ASK(DEVICE_FIND, TEXT(row.device)), d, 3,
	    why);
	if (err == MM_OK)
		p.device = d[0];
	else if (err == MM_ENOTFOUND)
		p.orphan = row.device;
	else
		return err;
	if (!zero(row.predecessor, 16)) {
		err = cert_id(s, row.predecessor, &p.predecessor, why);
		if (err != MM_OK && err != MM_ENOTFOUND)
			return err;
	}
	MM_TRY(mm_sqlite_class(s, row.product, row.issuer, row.profile,
	    &p.class));
	if (row.revoked_at == 0)
		row.revoked_at = row.issued_at;
	p.der = op->u.orphan.der;
	(void)mm_sqlite_chain(s, op, 0, 1, -1);
	MM_TRY(cert_add(s, op, &row, &p, why));
	*written = true;
	return MM_OK;
}
