#include <string.h>

#include "core/priv.h"

/*
 * Breaking the glass: "mintmark-signer recover-admin" makes a certificate for
 * one administrator and one hour, signed by an issuer whose key is at the
 * centre and nowhere else, with a purpose that no profile can name and no
 * device's certificate has.  The first login with it makes a record, an entry
 * and an alert in one transaction; from then on it is an operator's certificate
 * like others, which can be revoked.
 */
#define LIFE_MOST_S (MM_RECOVERY_S + MM_RECOVERY_BACK_S)

static bool
in_its_hour(const struct mm_cert *c)
{
	int64_t now = mm_now_s();

	return now >= c->not_before_s && now <= c->not_after_s &&
	    c->not_after_s - c->not_before_s <= LIFE_MOST_S;
}

static void
enter(struct mm_papers *p, const struct mm_operator *row,
    const struct mm_cert *c, const char *issuer)
{
	struct mm_entry e = { .type = MM_E_OPERATOR_RECOVERED };
	char expires[MM_TIME_TEXT];
	struct mm_cert_texts t;

	mm_entry_certified(&e, &t, &(struct mm_certified){ .serial =
	    c->serial.p, .spki_sha256 = row->spki_sha256 });
	mm_time_text(row->expires_at, expires);
	e.field[MM_F_KEY] = row->id;
	e.field[MM_F_ROLE] = row->roles;
	e.field[MM_F_ISSUER] = issuer;
	e.field[MM_F_EXPIRES] = expires;
	mm_papers_add(p, &e);
	e.type = MM_E_ALERT;
	e.field[MM_F_REASON] = "administrator-recovered";
	mm_papers_add(p, &e);
}

/* Two at once: one makes the record, the other finds it. */
static enum mm_err
record(struct mm_desk *d, const struct mm_cert *c, const char *issuer,
    struct mm_operator *out, struct mm_why *why)
{
	struct mm_papers p = mm_papers_over(&d->buf);
	struct mm_op op = { .kind = MM_OP_OPERATOR_PUT };
	struct mm_operator *row = &op.u.operator_;
	enum mm_err rc;

	MM_TRY(mm_operator_id(row->id, why));
	strcpy(row->name, "recovery");
	strcpy(row->roles, mm_role_name(MM_ROLE_ADMIN));
	row->kind = MM_OPERATOR_RECOVERY;
	row->created_at = mm_now_ms();
	row->expires_at = c->not_after_s * 1000;
	mm_sha256(c->spki.whole, row->spki_sha256);
	enter(&p, row, c, issuer);
	rc = mm_desk_run(d, &p, &op, why);
	if (rc == MM_ECONFLICT)
		return mm_get_operator_key(d->r, row->spki_sha256, out, why);
	MM_TRY(rc);
	mm_core_note(d->c, 2, "administrator-recovered", row->id);
	*out = *row;
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_recovery_admit(struct mm_desk *d, struct mm_bytes der,
    struct mm_operator *out, struct mm_why *why)
{
	const char *issuer = NULL;
	struct mm_cert c;

	if (mm_cert_walk(der, &c, NULL) == MM_OK &&
	    c.serial.n == MM_SERIAL_N && mm_cert_recovers(&c) &&
	    in_its_hour(&c))
		issuer = mm_chains_signed(d->c->chains, &c,
		    mm_issuer_recovers);
	if (issuer == NULL)
		return MM_FAIL(why, MM_EAUTH, "certificate refused");
	return record(d, &c, issuer, out, why);
}
