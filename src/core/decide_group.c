#include "core/checks.h"

#include <string.h>

/* ---- bootstrap groups: an old or shared certificate ---- */

/* Whose it is nobody says to a stranger: no oracle. */
static enum mm_reason
is_known(const struct mm_facts *f, struct mm_verdict *v)
{
	const struct mm_group_facts *g = &f->group;

	if (!g->known || !f->proved)
		return MM_R_CREDENTIAL;
	v->pairs = g->pairs;
	strcpy(v->group, g->id);
	strcpy(v->product, g->product);
	strcpy(v->device, g->device);
	if (!g->of_it)
		return MM_R_GROUP_DEVICE;
	v->member = g->member;
	return g->basic && !g->bearer ? MM_R_DOOR : MM_R_NONE;
}

/* A key that comes twice is one conflict.  Where nobody has to prove anything
 * they are not counted: anybody could pause the group. */
static enum mm_reason
other_key(const struct mm_facts *f, struct mm_verdict *v, enum mm_reason r)
{
	if (f->group.pairs)
		return r;
	if (!f->group.conflict_known)
		v->effects |= MM_FX_CONFLICT;
	v->halts = f->group.last && !f->group.halted;
	return r;
}

static enum mm_reason
is_open(const struct mm_facts *f, struct mm_verdict *v)
{
	const struct mm_group_facts *g = &f->group;

	(void)v;
	if (g->state == MM_WORK_CLOSED || f->now_ms >= g->until_ms)
		return MM_R_GROUP_CLOSED;
	return g->state == MM_WORK_OPEN && !g->halted ? MM_R_NONE
						      : MM_R_GROUP_PAUSED;
}

static enum mm_reason
is_good(const struct mm_facts *f, struct mm_verdict *v)
{
	(void)v;
	if (f->group.weak)
		return MM_R_GROUP_WEAK;
	if (f->group.revoked)
		return MM_R_GROUP_REVOKED;
	return f->group.expired && !f->group.accepts_expired
		   ? MM_R_GROUP_EXPIRED
		   : MM_R_NONE;
}

/* Once the device has proved its new identity, the old credential is nothing
 * any more: whoever holds it may be anybody. */
static enum mm_reason
claimed(const struct mm_facts *f, struct mm_verdict *v)
{
	bool same = mm_check_same_key(f->claim.spki_sha256, f->spki);
	bool counts = is_open(f, v) == MM_R_NONE && is_good(f, v) == MM_R_NONE;
	enum mm_reason r = MM_R_GROUP_KEY;

	if (same || !f->has_claimed)
		return mm_claim_spent(f);
	if (f->group.foreign)
		return MM_R_GROUP_FACT;
	if (mm_claim_confirmed(f))
		r = MM_R_GROUP_SUPERSEDED;
	/* what could not come at all is no conflict that counts */
	return counts ? other_key(f, v, r) : r;
}

static enum mm_reason
not_fielded(const struct mm_facts *f, struct mm_verdict *v)
{
	(void)v;
	return f->group.fielded ? MM_R_GROUP_SUPERSEDED : MM_R_NONE;
}

/* A fact may be guessed: whoever tries many pauses the group.  Whoever came by
 * another row's certificate has nothing to try. */
static enum mm_reason
facts_hold(const struct mm_facts *f, struct mm_verdict *v)
{
	if (!f->group.differs)
		return MM_R_NONE;
	return f->group.foreign ? MM_R_GROUP_FACT
				: other_key(f, v, MM_R_GROUP_FACT);
}

static enum mm_reason
of_product(const struct mm_facts *f, struct mm_verdict *v)
{
	(void)v;
	if (f->group.makes)
		v->effects |= MM_FX_MAKE;
	return strcmp(f->group.product, f->device.product) == 0 ? MM_R_NONE
								: MM_R_DEVICE;
}

static enum mm_reason
has_room(const struct mm_facts *f, struct mm_verdict *v)
{
	(void)v;
	return f->group.made < f->group.most ? MM_R_NONE : MM_R_QUOTA;
}

/* see decide.h; a code counts for a while only, and for one key at a time */
bool
mm_group_is_late(const struct mm_facts *f)
{
	return f->group.pairs && f->group.waits &&
	       f->now_ms >= f->group.waiting_at +
				f->config->set.pairing_s * 1000;
}

/* First claim by what others have, too: a person compares the key. */
static enum mm_reason
wait(const struct mm_facts *f, struct mm_verdict *v)
{
	const struct mm_group_facts *g = &f->group;
	bool same = mm_check_same_key(g->waiting_spki, f->spki);

	if (mm_group_is_late(f) && same)
		return MM_R_GROUP_LATE;
	if (g->waits && !mm_group_is_late(f))
		return same ? MM_R_GROUP_WAITS
			    : other_key(f, v, MM_R_GROUP_KEY);
	if (g->crowded || (!g->waits && g->queue_full))
		return MM_R_GROUP_QUEUE;
	v->replaced = g->waits ? g->waiting_version : 0;
	v->effects |= MM_FX_WAIT;
	return MM_R_GROUP_WAITS;
}

static enum mm_reason
is_approved(const struct mm_facts *f, struct mm_verdict *v)
{
	const struct mm_group_member *m = &f->group.member;
	bool same = mm_check_same_key(m->spki, f->spki);

	if (f->group.bound && !f->group.pairs)
		return MM_R_NONE;
	if (m->state == MM_MEMBER_APPROVED)
		return same ? MM_R_NONE : other_key(f, v, MM_R_GROUP_KEY);
	if (m->state == MM_MEMBER_REFUSED && same)
		return MM_R_GROUP_REFUSED;
	return wait(f, v);
}

static enum mm_reason
profile(const struct mm_facts *f, struct mm_verdict *v)
{
	enum mm_reason r = mm_check_profile(f, mm_check_label(f),
	    f->group.profile[0] != '\0' ? f->group.profile
					: f->product.ldevid_profile,
	    v);

	return r == MM_R_NONE && f->group.basic && !v->profile->bearer
		   ? MM_R_DOOR
		   : r;
}

static mm_check_fn *const first[] = { not_fielded, is_open, is_good,
	facts_hold, mm_check_device, of_product, profile, has_room,
	is_approved, NULL };

static void
share(const struct mm_facts *f, struct mm_verdict *v)
{
	v->in_group = v->share.group = true;
	v->share.version = f->group.version;
	v->share.most = (uint64_t)f->group.most;
	strcpy(v->share.batch, f->group.id);
}

/* see checks.h; what is told again is told whatever became of the group:
 * architecture.md, promise 3 */
enum mm_reason
mm_rule_group(const struct mm_facts *f, struct mm_verdict *v)
{
	enum mm_reason r = is_known(f, v);

	if (r != MM_R_NONE)
		return r;
	if (f->has_claim && mm_claim_replay(f, v, &r))
		return r;
	r = f->has_claim ? claimed(f, v) : mm_check_all(first, f, v);
	if (r == MM_R_NONE)
		r = mm_rule_issue(f, v);
	if (r == MM_R_NONE)
		share(f, v);
	return r;
}
