#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "core/priv.h"

/*
 * API keys: "mmk_" id "_" secret.  The store keeps the hash of the secret's
 * 32 random bytes; a key is shown once.
 */
#define KEY_HEAD   "mmk_"
#define ID_DIGITS  16
#define SECRET_N   32

static enum mm_err
random_bytes(void *out, size_t n, struct mm_why *why)
{
	ssize_t got;

	do {
		got = getrandom(out, n, 0);
	} while (got < 0 && errno == EINTR);
	return got == (ssize_t)n ? MM_OK :
	    MM_FAIL(why, MM_ESYS, "no random bytes");
}

static void
roles_text(unsigned roles, char out[65])
{
	out[0] = '\0';
	for (unsigned bit = 1; bit <= MM_ROLE_AUDITOR; bit <<= 1) {
		if ((roles & bit) == 0)
			continue;
		if (out[0] != '\0')
			strcat(out, ",");
		strcat(out, mm_role_name(bit));
	}
}

static enum mm_err
make_key(struct mm_operator *row, char text[80], struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf key = MM_BUF_INIT(80);
	uint8_t id[ID_DIGITS / 2], secret[SECRET_N];

	MM_TRY(random_bytes(id, sizeof(id), why));
	MM_TRY(random_bytes(secret, sizeof(secret), why));
	mm_hex_text(id, sizeof(id), row->id);
	mm_sha256((struct mm_bytes){ secret, sizeof(secret) },
	    row->secret_sha256);
	mm_buf_text(&key, KEY_HEAD);
	mm_buf_text(&key, row->id);
	mm_buf_text(&key, "_");
	mm_base64url_put(&key, (struct mm_bytes){ secret, sizeof(secret) });
	mm_wipe(secret, sizeof(secret));
	MM_TRY(mm_buf_ok(&key, why));
	memset(text, 0, 80);
	memcpy(text, key.p, key.n);
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_operator_op(const struct mm_operator_spec *spec, struct mm_buf *papers,
    struct mm_op *op, char text[80], struct mm_why *why)
{
	struct mm_papers p = mm_papers_over(papers);
	struct mm_entry e = { .type = MM_E_OPERATOR_CREATED };
	struct mm_operator *row = &op->u.operator_;
	char expires[MM_TIME_TEXT];

	memset(op, 0, sizeof(*op));
	op->kind = MM_OP_OPERATOR_PUT;
	if (spec->roles == 0 || spec->roles >= MM_ROLE_AUDITOR << 1)
		return MM_FAIL(why, MM_EINPUT, "an operator needs a role");
	if (spec->name[0] == '\0' || !mm_text_copy(row->name,
	    sizeof(row->name), mm_bytes_of(spec->name)) ||
	    !mm_utf8_valid(mm_bytes_of(spec->name)))
		return MM_FAIL(why, MM_EINPUT, "name: 1 to 64 bytes of UTF-8");
	roles_text(spec->roles, row->roles);
	row->created_at = mm_now_ms();
	row->expires_at = spec->expires_at;
	MM_TRY(make_key(row, text, why));
	e.field[MM_F_ACTOR] = spec->actor;
	e.field[MM_F_KEY] = row->id;
	e.field[MM_F_ROLE] = row->roles;
	if (spec->expires_at != 0) {
		mm_time_text(spec->expires_at, expires);
		e.field[MM_F_EXPIRES] = expires;
	}
	mm_papers_add(&p, &e);
	return mm_papers_seal(&p, op, why);
}

/* see core.h */
enum mm_err
mm_desk_operator_create(struct mm_desk *d, const struct mm_login *by,
    const char *name, unsigned roles, int64_t expires_at, char text[80],
    char id[17], struct mm_why *why)
{
	const struct mm_operator_spec spec = { name, roles, expires_at,
		by->id };
	struct mm_op op;
	char key[80];
	enum mm_err rc;

	rc = mm_operator_op(&spec, &d->buf, &op, key, why);
	if (rc == MM_OK)
		rc = mm_core_run1(d->c, &op, why);
	if (rc == MM_OK) {
		memcpy(text, key, sizeof(key));
		memcpy(id, op.u.operator_.id, 17);
	}
	mm_wipe(key, sizeof(key));
	return rc;
}

/* ---- revoking ---- */

static bool
alive(const struct mm_operator *o)
{
	return o->revoked_at == 0 &&
	    (o->expires_at == 0 || o->expires_at > mm_now_ms());
}

/* see core.h */
enum mm_err
mm_desk_operator_revoke(struct mm_desk *d, const struct mm_login *by,
    const char *id, struct mm_why *why)
{
	struct mm_papers p = mm_papers_over(&d->buf);
	struct mm_entry e = { .type = MM_E_OPERATOR_REVOKED };
	struct mm_op op = { .kind = MM_OP_OPERATOR_REVOKE };

	MM_TRY(mm_get_operator(d->r, id, &op.u.operator_, why));
	op.u.operator_.revoked_at = mm_now_ms();
	e.field[MM_F_ACTOR] = by->id;
	e.field[MM_F_KEY] = id;
	mm_papers_add(&p, &e);
	return mm_desk_run(d, &p, &op, why);
}

/* ---- logging in ---- */

/* MM_EAUTH: not of a key's form. */
static enum mm_err
split(struct mm_bytes key, char id[17], uint8_t hash[32])
{
	MM_OWN(mm_buf_wipe) struct mm_buf secret = MM_BUF_INIT(64);
	const size_t head = strlen(KEY_HEAD);
	struct mm_bytes rest;
	enum mm_err rc;

	if (key.n <= head + ID_DIGITS + 1 ||
	    memcmp(key.p, KEY_HEAD, head) != 0 ||
	    key.p[head + ID_DIGITS] != '_')
		return MM_EAUTH;
	memcpy(id, key.p + head, ID_DIGITS);
	id[ID_DIGITS] = '\0';
	rest = (struct mm_bytes){ key.p + head + ID_DIGITS + 1,
		key.n - head - ID_DIGITS - 1 };
	rc = mm_base64url_parse(rest, &secret, NULL);
	if (rc == MM_ENOMEM)
		return rc;
	if (strspn(id, "0123456789abcdef") != ID_DIGITS || rc != MM_OK ||
	    secret.n != SECRET_N)
		return MM_EAUTH;
	mm_sha256(mm_buf_view(&secret), hash);
	return MM_OK;
}

/* An unknown id, a wrong secret, a revoked and an expired key are one answer
 * after the same work. */
enum mm_err
mm_desk_login(struct mm_desk *d, struct mm_bytes key, struct mm_login *out,
    struct mm_why *why)
{
	struct mm_operator row = { .id = "" };
	struct mm_login made = { .id = "" };
	uint8_t hash[32];
	enum mm_err rc;
	bool good;

	rc = split(key, made.id, hash);
	if (rc != MM_OK)
		return MM_FAIL(why, rc, rc == MM_EAUTH ? "API key refused" :
		    "out of memory");
	rc = mm_get_operator(d->r, made.id, &row, NULL);
	if (rc != MM_OK && rc != MM_ENOTFOUND)
		return MM_FAIL(why, rc, "the store cannot be read");
	good = mm_bytes_eq_ct((struct mm_bytes){ hash, 32 },
	    (struct mm_bytes){ row.secret_sha256, 32 });
	if (!good || rc != MM_OK || !alive(&row) ||
	    mm_roles_parse(row.roles, &made.roles, NULL) != MM_OK)
		return MM_FAIL(why, MM_EAUTH, "API key refused");
	strcpy(made.name, row.name);
	*out = made;
	return MM_OK;
}
