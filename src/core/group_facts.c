#include <string.h>
#include <strings.h>

#include "core/production_priv.h"

/*
 * What a decision rests on where an old certificate came: the groups that have
 * the credential, the first of them that has the device, and what is known of
 * that device there.
 */
struct looking {
	struct mm_store_reader *r;
	const struct mm_authority *a;
	const uint8_t *spki;
	struct mm_facts *f;
	struct mm_group group;
};

/* A record that is not there is a fact. */
static enum mm_err
maybe(enum mm_err rc, bool *has)
{
	*has = rc == MM_OK;
	return rc == MM_ENOTFOUND ? MM_OK : rc;
}

static bool
in_range(const struct mm_group *g, const char *device)
{
	struct mm_serials run;
	uint64_t index;

	return g->range[0] != '\0' &&
	       mm_serials_parse(g->range, &run, NULL) == MM_OK &&
	       mm_serials_find_caseless(&run, device, &index);
}

/* Whether it is this group's: in its list or its range, and a certificate of
 * one row is that row's alone. */
static enum mm_err
look_at(struct looking *l, const char *id, bool *found)
{
	struct mm_group_member *m = &l->f->group.member;
	enum mm_err rc = mm_group_get(l->r, id, &l->group, NULL);

	*found = false;
	if (rc != MM_OK)
		return rc == MM_ENOTFOUND ? MM_OK : rc;
	l->f->group.known = true;
	strcpy(l->f->group.id, l->group.id);
	strcpy(l->f->group.product, l->group.product);
	MM_TRY(mm_member_get(l->r, id, l->a->device, m, NULL));
	*found = m->state != MM_MEMBER_NONE ||
		 in_range(&l->group, l->a->device);
	return MM_OK;
}

static enum mm_err
look_through(struct looking *l, bool ca, const uint8_t sha256[32],
    bool *found)
{
	MM_OWN(mm_credential_done)
	struct mm_credential c = MM_CREDENTIAL_INIT;
	bool has;

	MM_TRY(maybe(mm_credential_get(l->r, ca, sha256, &c, NULL), &has));
	for (size_t i = 0; has && i < c.n && !*found; i++)
		MM_TRY(look_at(l, c.group[i], found));
	return MM_OK;
}

/* A single certificate says more than the CA that signed it. */
static enum mm_err
find_group(struct looking *l, bool *found)
{
	const struct mm_old_cert *old = &l->a->old;

	*found = false;
	MM_TRY(look_through(l, false, old->sha256, found));
	if (*found || mm_zero(old->anchor, 32))
		return MM_OK;
	return look_through(l, true, old->anchor, found);
}

/* ---- second facts: all that a row has must hold ---- */

static bool
of_group(const struct looking *l)
{
	const struct mm_old_cert *old = &l->a->old;
	const uint8_t *want = l->group.kind == MM_GROUP_CA ? old->anchor
							   : old->sha256;

	for (size_t i = 0; i < l->group.ncredentials; i++)
		if (memcmp(l->group.credential[i], want, 32) == 0)
			return true;
	return false;
}

static void
weigh(struct mm_group_facts *g, bool has, bool holds)
{
	g->differs = g->differs || (has && !holds);
	g->bound = g->bound || has;
}

static void
second_facts(struct looking *l)
{
	struct mm_group_facts *g = &l->f->group;
	const struct mm_group_member *m = &g->member;
	const struct mm_old_cert *old = &l->a->old;
	bool own = memcmp(m->certificate, old->sha256, 32) == 0;
	uint8_t hardware[32];

	mm_member_hardware(l->a->device, l->a->hardware, hardware);
	weigh(g, !mm_zero(m->key, 32), memcmp(m->key, l->spki, 32) == 0);
	weigh(g, !mm_zero(m->hardware, 32),
	    mm_bytes_eq_ct((struct mm_bytes){ m->hardware, 32 },
		(struct mm_bytes){ hardware, 32 }));
	weigh(g, m->address[0] != '\0',
	    mm_sources_hold(m->address, &old->peer));
	weigh(g, !mm_zero(m->certificate, 32), own);
	weigh(g, l->group.names,
	    strcasecmp(old->cn, l->a->device) == 0 ||
		strcasecmp(old->serial_number, l->a->device) == 0);
	/* what only another row's certificate led to */
	g->foreign = !own && !of_group(l);
	g->differs = g->differs || g->foreign;
}

/* ---- records ---- */

static enum mm_err
read_device(struct looking *l)
{
	struct mm_facts *f = l->f;
	struct mm_group_facts *g = &f->group;

	MM_TRY(maybe(mm_get_device(l->r, l->a->device, &f->device, NULL),
	    &f->has_device));
	g->makes = !f->has_device;
	if (g->makes) {
		f->has_device = true;
		f->device = (struct mm_device){ .state = MM_DEVICE_ACTIVE };
		strcpy(f->device.id, g->member.state != MM_MEMBER_NONE
					 ? g->member.device
					 : l->a->device);
		strcpy(f->device.product, l->group.product);
	} else {
		MM_TRY(mm_ever_proved(l->r, &f->device, l->spki, &g->fielded,
		    NULL));
	}
	strcpy(g->device, f->device.id);
	return MM_OK;
}

static enum mm_err
read_callers(struct looking *l)
{
	struct mm_group_facts *g = &l->f->group;
	struct mm_caller c;
	bool has;

	MM_TRY(maybe(mm_caller_get(l->r, MM_DOC_WAITING, g->id, l->a->device,
	    &c, NULL), &g->waits));
	if (g->waits)
		memcpy(g->waiting_spki, c.spki, 32);
	MM_TRY(maybe(mm_caller_get(l->r, MM_DOC_CONFLICT, g->id,
	    l->a->device, &c, NULL), &has));
	g->conflict_known = has && memcmp(c.spki, l->spki, 32) == 0;
	return MM_OK;
}

static enum mm_err
fill(struct looking *l)
{
	struct mm_group_facts *g = &l->f->group;
	struct mm_group_counts n;

	g->of_it = true;
	g->state = l->group.state;
	g->version = l->group.version;
	g->until_ms = l->group.until_ms;
	g->most = l->group.most;
	g->accepts_expired = l->group.accept_expired;
	g->expired = l->a->old.expired;
	g->weak = l->a->old.weak;
	strcpy(g->profile, l->group.profile);
	MM_TRY(mm_group_counts(l->r, &l->group, &n, NULL));
	g->made = n.made;
	g->halted = mm_group_halted(&l->group, n.conflicts);
	g->last = mm_group_halted(&l->group, n.conflicts + 1);
	g->queue_full = n.waiting >= l->group.waiting_most;
	second_facts(l);
	MM_TRY(read_callers(l));
	return read_device(l);
}

/* Who is not of the group makes up names as he likes: all of them are one. */
static void
name_claim(struct looking *l, bool found)
{
	if (!l->f->group.known)
		return;
	mm_group_authority(l->f->group.id, l->a->device, l->f->claim_name);
	if (!found)
		*strchr(l->f->claim_name, '/') = '\0';
	strcpy(l->f->group.device, l->a->device);
}

/* see priv.h */
enum mm_err
mm_facts_group(struct mm_store_reader *r, const struct mm_authority *a,
    const uint8_t spki[32], struct mm_facts *f)
{
	struct looking l = { .r = r, .a = a, .spki = spki, .f = f };
	bool found;

	MM_TRY(find_group(&l, &found));
	name_claim(&l, found);
	return found ? fill(&l) : MM_OK;
}
