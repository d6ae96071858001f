#include <string.h>

#include "core/credential.h"
#include "core/priv.h"

enum { HOUR_MS = 3600 * 1000, DAY_MS = 24 * HOUR_MS };

/* see credential.h; whoever stole a key renews no longer than its owner may */
int64_t
mm_operator_renewal_end(const struct mm_desk *d, const struct mm_operator *o)
{
	int64_t most = o->created_at +
	    d->c->config->set.operator_renew_days * DAY_MS;
	int64_t end = mm_now_ms() + o->life_ms;

	if (o->kind != MM_OPERATOR_CERTIFICATE || o->life_ms == 0)
		return 0;
	if (end > most)
		end = most;
	return end > o->expires_at ? end : 0;
}

static enum mm_err
may_renew(const struct mm_desk *d, const struct mm_operator *o,
    int64_t *end, struct mm_why *why)
{
	if (o->kind == MM_OPERATOR_KEY)
		return MM_FAIL(why, MM_EPOLICY, "an API key is not renewed: "
		    "an administrator makes another one");
	if (o->kind != MM_OPERATOR_CERTIFICATE)
		return MM_FAIL(why, MM_EPOLICY, "a recovered administrator is "
		    "not renewed");
	if (o->life_ms == 0)
		return MM_FAIL(why, MM_EPOLICY, "this credential is not "
		    "renewed: an administrator gave it an end, or it has none");
	*end = mm_operator_renewal_end(d, o);
	return *end != 0 ? MM_OK : MM_FAIL(why, MM_EPOLICY, "a renewal would "
	    "not be good for longer (operator_renew_days): an administrator "
	    "registers another certificate");
}

/* RFC 2986 4.2's purpose by other means: who has signed it has the key. */
static enum mm_err
read_next(struct mm_bytes der, struct mm_operator *row, int64_t end,
    struct mm_why *why)
{
	struct mm_spki key;
	struct mm_cert c;

	MM_TRY(mm_cert_walk(der, &c, why));
	MM_TRY(mm_spki_parse(c.spki.whole, &key, why));
	if (mm_cert_verify_by(&c, &c) != MM_OK)
		return MM_FAIL(why, MM_EINPUT, "certificate: it is not signed "
		    "by its own key, which is to prove that");
	if (c.not_after_s <= mm_now_s())
		return MM_FAIL(why, MM_EINPUT, "certificate: it has expired");
	if (c.not_after_s < end / 1000)
		end = c.not_after_s * 1000;
	row->next_expires_at = end;
	row->renewed_at = mm_now_ms();
	mm_sha256(c.spki.whole, row->next_spki);
	return MM_OK;
}

/* What the entry says is the record as it is with the next key. */
static void
enter(struct mm_papers *p, enum mm_entry_type type,
    const struct mm_operator *row)
{
	struct mm_operator next = *row;

	memcpy(next.spki_sha256, row->next_spki, 32);
	next.expires_at = row->next_expires_at;
	mm_operator_enter(p, type, &next, row->id);
}

/* see credential.h */
enum mm_err
mm_desk_operator_renew(struct mm_desk *d, const struct mm_login *by,
    struct mm_bytes der, struct mm_operator *out, struct mm_why *why)
{
	struct mm_papers p = mm_papers_over(&d->buf);
	struct mm_op op = { .kind = MM_OP_OPERATOR_RENEW };
	struct mm_operator have, *row = &op.u.operator_;
	int64_t end = 0;

	MM_TRY(mm_get_operator(d->r, by->id, &have, why));
	MM_TRY(may_renew(d, &have, &end, why));
	*row = have;
	/* of the key that was used, which may have ended since */
	memcpy(row->spki_sha256, by->spki, sizeof(row->spki_sha256));
	MM_TRY(read_next(der, row, end, why));
	if (memcmp(have.next_spki, row->next_spki, 32) == 0) {
		*out = have;
		return MM_OK;
	}
	if (row->renewed_at - have.renewed_at < HOUR_MS)
		return MM_FAIL(why, MM_ERATE, "it was renewed less than an "
		    "hour ago");
	enter(&p, MM_E_OPERATOR_RENEWED, row);
	MM_TRY(mm_desk_run(d, &p, &op, why));
	*out = *row;
	return MM_OK;
}

/* see credential.h */
enum mm_err
mm_operator_confirm(struct mm_desk *d, const struct mm_operator *row,
    struct mm_why *why)
{
	struct mm_papers p = mm_papers_over(&d->buf);
	struct mm_op op = { .kind = MM_OP_OPERATOR_CONFIRM };
	enum mm_err rc;

	op.u.operator_ = *row;
	enter(&p, MM_E_OPERATOR_CONFIRMED, row);
	rc = mm_desk_run(d, &p, &op, NULL);
	if (rc == MM_ESTALE || rc == MM_EPOLICY)
		return MM_FAIL(why, MM_EAUTH, "certificate refused");
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be written");
	mm_admins_changed(d);
	return MM_OK;
}
