#include <string.h>

#include "core/credential.h"
#include "core/priv.h"

/* Who calls: by API key or by certificate. */
enum {
	USED_EVERY_MS = 3600 * 1000,
	ADMINS_EVERY_MS = 60 * 1000,
	PAGE = 1000,
};

/* MM_EAUTH: not of a key's form. */
static enum mm_err
split(struct mm_bytes key, char id[17], uint8_t hash[32])
{
	MM_OWN(mm_buf_wipe) struct mm_buf secret = MM_BUF_INIT(64);
	const size_t head = strlen(MM_KEY_HEAD), n = MM_KEY_ID_DIGITS;
	struct mm_bytes rest;
	enum mm_err rc;

	if (key.n <= head + n + 1 ||
	    memcmp(key.p, MM_KEY_HEAD, head) != 0 || key.p[head + n] != '_')
		return MM_EAUTH;
	memcpy(id, key.p + head, n);
	id[n] = '\0';
	rest = (struct mm_bytes){ key.p + head + n + 1, key.n - head - n - 1 };
	rc = mm_base64url_parse(rest, &secret, NULL);
	if (rc == MM_ENOMEM)
		return rc;
	if (strspn(id, "0123456789abcdef") != n || rc != MM_OK ||
	    secret.n != MM_KEY_SECRET_N)
		return MM_EAUTH;
	mm_sha256(mm_buf_view(&secret), hash);
	return MM_OK;
}

/* see core.h */
bool
mm_key_is_formed(struct mm_bytes key)
{
	uint8_t hash[32];
	char id[17];

	return split(key, id, hash) != MM_EAUTH;
}

/* An unknown id, a wrong secret, a revoked and an expired key are one answer
 * after the same work. */
static enum mm_err
by_key(struct mm_desk *d, struct mm_bytes key, struct mm_operator *row,
    struct mm_why *why)
{
	uint8_t hash[32];
	char id[17];
	enum mm_err rc;
	bool good;

	rc = split(key, id, hash);
	if (rc != MM_OK)
		return MM_FAIL(why, rc, rc == MM_EAUTH ? "API key refused" :
		    "out of memory");
	rc = mm_get_operator(d->r, id, row, NULL);
	if (rc != MM_OK && rc != MM_ENOTFOUND)
		return MM_FAIL(why, rc, "the store cannot be read");
	good = mm_bytes_eq_ct((struct mm_bytes){ hash, 32 },
	    (struct mm_bytes){ row->secret_sha256, 32 });
	if (!good || rc != MM_OK || row->kind != MM_OPERATOR_KEY)
		return MM_FAIL(why, MM_EAUTH, "API key refused");
	return MM_OK;
}

/* A device's key stays a device's, even where it was registered before. */
static enum mm_err
by_certificate(struct mm_desk *d, struct mm_bytes der,
    struct mm_operator *row, bool *next, struct mm_why *why)
{
	struct mm_key_use use;
	struct mm_cert c;
	uint8_t spki[32];
	enum mm_err rc;

	if (mm_cert_walk(der, &c, NULL) != MM_OK)
		return MM_FAIL(why, MM_EAUTH, "certificate refused");
	mm_sha256(c.spki.whole, spki);
	rc = mm_get_key_use(d->r, spki, &use, NULL);
	if (rc == MM_OK)
		return MM_FAIL(why, MM_EAUTH, "certificate refused");
	if (rc == MM_ENOTFOUND)
		rc = mm_get_operator_key(d->r, spki, row, NULL);
	if (rc == MM_ENOTFOUND)
		return mm_recovery_admit(d, der, row, why);
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	*next = memcmp(row->next_spki, spki, sizeof(spki)) == 0;
	if (*next)
		row->expires_at = row->next_expires_at;
	return MM_OK;
}

/* Stored to the hour, and not by whoever waits for an answer. */
static void
note_used(struct mm_core *c, const struct mm_operator *row)
{
	int64_t now = mm_now_ms();
	unsigned i = 0;

	if (now - row->used_at < USED_EVERY_MS)
		return;
	pthread_mutex_lock(&c->lock);
	while (i < c->nused && strcmp(c->used[i].id, row->id) != 0)
		i++;
	if (i < MM_USED_MOST) {
		strcpy(c->used[i].id, row->id);
		c->used[i].at = now;
		c->nused += i == c->nused;
	}
	pthread_mutex_unlock(&c->lock);
}

static bool
admitted(const struct mm_operator *row, const struct mm_presented *p,
    struct mm_login *out)
{
	struct mm_login made = { .kind = row->kind,
		.expires_at = row->expires_at };

	if (!mm_operator_alive(row) ||
	    !mm_sources_hold(row->sources, p->peer) ||
	    mm_roles_parse(row->roles, &made.roles, NULL) != MM_OK ||
	    mm_scope_parse(row->scope, &made.scope, NULL) != MM_OK)
		return false;
	strcpy(made.id, row->id);
	strcpy(made.name, row->name);
	memcpy(made.spki, row->spki_sha256, sizeof(made.spki));
	*out = made;
	return true;
}

/* see core.h */
enum mm_err
mm_desk_login(struct mm_desk *d, const struct mm_presented *p,
    struct mm_login *out, struct mm_why *why)
{
	struct mm_operator row = { .id = "" };
	bool cert = p->certificate.n > 0, next = false;

	if (cert && p->key.n > 0)
		return MM_FAIL(why, MM_EINPUT, "an API key and a client "
		    "certificate: want one of them");
	MM_TRY(cert ? by_certificate(d, p->certificate, &row, &next, why)
		    : by_key(d, p->key, &row, why));
	if (!admitted(&row, p, out))
		return MM_FAIL(why, MM_EAUTH, cert ? "certificate refused"
						   : "API key refused");
	if (next) {
		MM_TRY(mm_operator_confirm(d, &row, why));
		memcpy(out->spki, row.next_spki, sizeof(out->spki));
	}
	note_used(d->c, &row);
	return MM_OK;
}

/* ---- housekeeping ---- */

/* see priv.h; what cannot be stored now is noted again at the next use */
void
mm_login_used(struct mm_desk *d)
{
	struct mm_core *c = d->c;
	struct mm_op op = { .kind = MM_OP_OPERATOR_USED };

	for (unsigned most = MM_USED_MOST; most > 0; most--) {
		pthread_mutex_lock(&c->lock);
		if (c->nused == 0) {
			pthread_mutex_unlock(&c->lock);
			return;
		}
		c->nused--;
		strcpy(op.u.operator_.id, c->used[c->nused].id);
		op.u.operator_.used_at = c->used[c->nused].at;
		pthread_mutex_unlock(&c->lock);
		if (mm_core_run1(c, &op, NULL) != MM_OK)
			return;
	}
}

struct admins {
	unsigned n, rows;
	int64_t until;
	char last[17];
};

static enum mm_err
count_admin(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_operator *o = row;
	struct admins *a = ctx;

	(void)next, (void)why;
	a->rows++;
	strcpy(a->last, o->id);
	if (!mm_operator_alive(o) || !mm_operator_admin(o))
		return MM_OK;
	a->n++;
	if (o->expires_at == 0)
		a->until = INT64_MAX;
	else if (o->expires_at > a->until)
		a->until = o->expires_at;
	return MM_OK;
}

static enum mm_err
count_admins(struct mm_desk *d, struct admins *a)
{
	struct mm_list l = { .most = PAGE, .state = -1 };

	do {
		a->rows = 0;
		strcpy(l.after, a->last);
		MM_TRY(mm_list_operators(d->r, &l, count_admin, a, NULL));
	} while (a->rows == PAGE);
	return MM_OK;
}

/* see priv.h */
void
mm_login_admins(struct mm_desk *d)
{
	struct mm_core *c = d->c;
	struct admins a = { 0 };
	bool due;

	pthread_mutex_lock(&c->lock);
	due = mm_mono_ms() >= c->admins_at;
	if (due)
		c->admins_at = mm_mono_ms() + ADMINS_EVERY_MS;
	pthread_mutex_unlock(&c->lock);
	if (!due || count_admins(d, &a) != MM_OK)
		return;
	pthread_mutex_lock(&c->lock);
	c->admins = a.n;
	c->admins_until = a.until;
	pthread_mutex_unlock(&c->lock);
}
