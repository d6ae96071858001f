#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "core/credential.h"
#include "core/priv.h"

/*
 * Operators' credentials.  An API key is "mmk_" id "_" secret: the store
 * keeps the hash of the secret's 32 random bytes, and a key is shown once.  A
 * certificate is pinned by the hash of its public key.
 */
#define ID_DIGITS  MM_KEY_ID_DIGITS
#define SECRET_N   MM_KEY_SECRET_N

/* see credential.h */
void
mm_admins_changed(struct mm_desk *d)
{
	pthread_mutex_lock(&d->c->lock);
	d->c->admins_at = 0;
	pthread_mutex_unlock(&d->c->lock);
}

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
	for (unsigned bit = 1; bit <= MM_ROLE_LAST; bit <<= 1) {
		if ((roles & bit) == 0)
			continue;
		if (out[0] != '\0')
			strcat(out, ",");
		strcat(out, mm_role_name(bit));
	}
}

/* see priv.h */
enum mm_err
mm_operator_id(char id[17], struct mm_why *why)
{
	uint8_t raw[ID_DIGITS / 2];

	MM_TRY(random_bytes(raw, sizeof(raw), why));
	mm_hex_text(raw, sizeof(raw), id);
	return MM_OK;
}

static enum mm_err
make_key(struct mm_operator *row, char text[80], struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf key = MM_BUF_INIT(80);
	uint8_t secret[SECRET_N];

	MM_TRY(random_bytes(secret, sizeof(secret), why));
	mm_sha256((struct mm_bytes){ secret, sizeof(secret) },
	    row->secret_sha256);
	mm_buf_text(&key, MM_KEY_HEAD);
	mm_buf_text(&key, row->id);
	mm_buf_text(&key, "_");
	mm_base64url_put(&key, (struct mm_bytes){ secret, sizeof(secret) });
	mm_wipe(secret, sizeof(secret));
	MM_TRY(mm_buf_ok(&key, why));
	memcpy(text, key.p, key.n);
	return MM_OK;
}

/* A key that devices could have is no less good for people. */
static enum mm_err
take_certificate(struct mm_operator *row, struct mm_bytes der,
    struct mm_why *why)
{
	struct mm_spki key;
	struct mm_cert c;

	MM_TRY(mm_cert_walk(der, &c, why));
	MM_TRY(mm_spki_parse(c.spki.whole, &key, why));
	if (c.not_after_s <= mm_now_s())
		return MM_FAIL(why, MM_EINPUT,
		    "certificate: it has expired");
	if (row->expires_at > c.not_after_s * 1000)
		return MM_FAIL(why, MM_EINPUT,
		    "expires: the certificate ends before");
	if (row->expires_at == 0 && c.not_after_s < MM_TIME_FOREVER_S) {
		row->expires_at = c.not_after_s * 1000;
		row->life_ms = (c.not_after_s - c.not_before_s) * 1000;
	}
	row->kind = MM_OPERATOR_CERTIFICATE;
	mm_sha256(c.spki.whole, row->spki_sha256);
	return MM_OK;
}

static bool
put_text(char *out, size_t outn, const char *text)
{
	struct mm_bytes v = mm_bytes_of(text != NULL ? text : "");

	return mm_utf8_valid(v) && mm_text_copy(out, outn, v);
}

/* Names are looked at again here: one that no batch can have limits to nothing,
 * which is not what was meant. */
static enum mm_err
check_scope(const char *text, struct mm_why *why)
{
	struct mm_scope scope;

	MM_TRY(mm_scope_parse(text, &scope, why));
	for (unsigned i = 0; i < scope.nbatches; i++)
		if (!mm_name_valid(scope.batch[i]))
			return MM_FAIL(why, MM_EINPUT, "scope: no batch can "
			    "have the name \"%s\"", scope.batch[i]);
	return MM_OK;
}

static enum mm_err
fill(const struct mm_operator_spec *spec, struct mm_operator *row,
    struct mm_why *why)
{
	if (spec->roles == 0 || spec->roles >= MM_ROLE_LAST << 1)
		return MM_FAIL(why, MM_EINPUT, "an operator needs a role");
	if (!put_text(row->name, sizeof(row->name), spec->name) ||
	    row->name[0] == '\0')
		return MM_FAIL(why, MM_EINPUT, "name: 1 to 64 bytes of UTF-8");
	if (!put_text(row->description, sizeof(row->description),
	    spec->description))
		return MM_FAIL(why, MM_EINPUT, "description: at most 128 "
		    "bytes of UTF-8");
	if (!put_text(row->scope, sizeof(row->scope), spec->scope) ||
	    !put_text(row->sources, sizeof(row->sources), spec->sources))
		return MM_FAIL(why, MM_EINPUT, "scope, sources: too long");
	MM_TRY(check_scope(row->scope, why));
	MM_TRY(mm_sources_check(row->sources, why));
	roles_text(spec->roles, row->roles);
	row->created_at = mm_now_ms();
	row->expires_at = spec->expires_at;
	if (row->expires_at != 0 && row->expires_at <= row->created_at)
		return MM_FAIL(why, MM_EINPUT, "expires: it has passed");
	return MM_OK;
}

/* see credential.h */
void
mm_operator_enter(struct mm_papers *p, enum mm_entry_type type,
    const struct mm_operator *row, const char *actor)
{
	struct mm_entry e = { .type = type };
	char expires[MM_TIME_TEXT], spki[65];

	e.field[MM_F_ACTOR] = actor;
	e.field[MM_F_KEY] = row->id;
	e.field[MM_F_ROLE] = row->roles;
	if (row->scope[0] != '\0')
		e.field[MM_F_SCOPE] = row->scope;
	if (row->sources[0] != '\0')
		e.field[MM_F_SOURCES] = row->sources;
	if (row->expires_at != 0) {
		mm_time_text(row->expires_at, expires);
		e.field[MM_F_EXPIRES] = expires;
	}
	if (!mm_zero(row->spki_sha256, 32)) {
		mm_hex_text(row->spki_sha256, 32, spki);
		e.field[MM_F_SPKI_SHA256] = spki;
	}
	mm_papers_add(p, &e);
}

/* see priv.h */
enum mm_err
mm_operator_op(const struct mm_operator_spec *spec, struct mm_buf *papers,
    struct mm_op *op, char text[80], struct mm_why *why)
{
	struct mm_papers p = mm_papers_over(papers);
	struct mm_operator *row = &op->u.operator_;

	memset(op, 0, sizeof(*op));
	memset(text, 0, 80);
	op->kind = MM_OP_OPERATOR_PUT;
	MM_TRY(fill(spec, row, why));
	MM_TRY(mm_operator_id(row->id, why));
	if (spec->certificate.n > 0)
		MM_TRY(take_certificate(row, spec->certificate, why));
	else
		MM_TRY(make_key(row, text, why));
	mm_operator_enter(&p, MM_E_OPERATOR_CREATED, row, spec->actor);
	return mm_papers_seal(&p, op, why);
}

/* see core.h */
enum mm_err
mm_desk_operator_create(struct mm_desk *d, const struct mm_login *by,
    const struct mm_operator_spec *spec, char text[80],
    struct mm_operator *row, struct mm_why *why)
{
	struct mm_operator_spec mine = *spec;
	struct mm_op op;
	char key[80];
	enum mm_err rc;

	mine.actor = by->id;
	rc = mm_operator_op(&mine, &d->buf, &op, key, why);
	if (rc == MM_OK)
		rc = mm_desk_write1(d, &op, why);
	if (rc == MM_OK) {
		memcpy(text, key, sizeof(key));
		*row = op.u.operator_;
		mm_admins_changed(d);
	}
	mm_wipe(key, sizeof(key));
	return rc;
}

/* ---- the end of one ---- */

/* see core.h */
bool
mm_operator_alive(const struct mm_operator *o)
{
	return o->revoked_at == 0 &&
	    (o->expires_at == 0 || o->expires_at > mm_now_ms());
}

/* see core.h */
bool
mm_operator_admin(const struct mm_operator *o)
{
	unsigned roles = 0;

	return mm_roles_parse(o->roles, &roles, NULL) == MM_OK &&
	    (roles & MM_ROLE_ADMIN) != 0 && o->scope[0] == '\0' &&
	    o->kind != MM_OPERATOR_RECOVERY;
}

static enum mm_err
end(struct mm_desk *d, const struct mm_login *by, const char *id,
    struct mm_op *op, enum mm_entry_type type, struct mm_why *why)
{
	struct mm_papers p = mm_papers_over(&d->buf);
	struct mm_entry e = { .type = type };

	MM_TRY(mm_get_operator(d->r, id, &op->u.operator_, why));
	op->u.operator_.revoked_at = mm_now_ms();
	e.field[MM_F_ACTOR] = by->id;
	e.field[MM_F_KEY] = id;
	mm_papers_add(&p, &e);
	MM_TRY(mm_desk_run(d, &p, op, why));
	mm_admins_changed(d);
	return MM_OK;
}

/* see core.h */
enum mm_err
mm_desk_operator_revoke(struct mm_desk *d, const struct mm_login *by,
    const char *id, struct mm_why *why)
{
	struct mm_op op = { .kind = MM_OP_OPERATOR_REVOKE };

	return end(d, by, id, &op, MM_E_OPERATOR_REVOKED, why);
}

/* see core.h */
enum mm_err
mm_desk_operator_erase(struct mm_desk *d, const struct mm_login *by,
    const char *id, struct mm_why *why)
{
	struct mm_op op = { .kind = MM_OP_OPERATOR_ERASE };

	return end(d, by, id, &op, MM_E_OPERATOR_ERASED, why);
}
