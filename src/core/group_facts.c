#include <arpa/inet.h>
#include <limits.h>
#include <stdio.h>
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

/* What is known of its chain to that CA; NULL: it has none. */
static const struct mm_old_anchor *
anchor_of(const struct mm_old_cert *old, const uint8_t ca[32])
{
	for (unsigned i = 0; i < old->nanchors; i++)
		if (memcmp(old->anchor[i].sha256, ca, 32) == 0)
			return &old->anchor[i];
	return NULL;
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

/*
 * Of several groups that have the device, the first of the best: the one by
 * which it has claimed a certificate, with that key before with another; else
 * one that lets it in.  One that was closed hides no successor.
 */
enum rank { NOT_OF_IT, FOREIGN, CLOSED, PAUSED, OPEN, CLAIMED, SAME_KEY };

static enum mm_err
claimed_in(struct looking *l, const struct mm_group *g, enum rank *rank)
{
	char authority[MM_AUTHORITY_TEXT];
	struct mm_claim claim;
	bool has;

	mm_group_authority(g->id, l->a->device, authority);
	MM_TRY(maybe(mm_get_claim(l->r, authority, &claim, NULL), &has));
	if (has)
		*rank = memcmp(claim.spki_sha256, l->spki, 32) == 0 ? SAME_KEY
								    : CLAIMED;
	return MM_OK;
}

/* The old certificate is in the group's own list, not only in a row. */
static bool
of_group(const struct looking *l, const struct mm_group *g)
{
	const struct mm_old_cert *old = &l->a->old;

	if (old->kind != MM_OLD_CERTIFICATE) /* what led here is the group's */
		return true;
	for (size_t i = 0; i < g->ncredentials; i++) {
		if (g->kind == MM_GROUP_CA
			? anchor_of(old, g->credential[i]) != NULL
			: memcmp(g->credential[i], old->sha256, 32) == 0)
			return true;
	}
	return false;
}

static bool
is_foreign(const struct looking *l, const struct mm_group *g,
    const struct mm_group_member *m)
{
	return memcmp(m->certificate, l->a->old.sha256, 32) != 0 &&
	       !of_group(l, g);
}

/* In its list or its range; what only another row's certificate led to is
 * none of the device's. */
static enum mm_err
rank_of(struct looking *l, const struct mm_group *g,
    const struct mm_group_member *m, enum rank *out)
{
	*out = NOT_OF_IT;
	if (m->state == MM_MEMBER_NONE && !in_range(g, l->a->device))
		return MM_OK;
	*out = is_foreign(l, g, m) ? FOREIGN
	     : g->state == MM_WORK_CLOSED || g->until_ms <= l->f->now_ms
		 ? CLOSED
	     : g->state == MM_WORK_PAUSED ? PAUSED
					  : OPEN;
	return claimed_in(l, g, out);
}

/* A stranger to all of them is told of by the first. */
static enum mm_err
look_at(struct looking *l, const char *id, enum rank *best)
{
	struct mm_group_facts *f = &l->f->group;
	struct mm_group_member m;
	struct mm_group g;
	enum mm_err rc = mm_group_get(l->r, id, &g, NULL);
	enum rank rank;

	if (rc != MM_OK)
		return rc == MM_ENOTFOUND ? MM_OK : rc;
	MM_TRY(mm_member_get(l->r, id, l->a->device, &m, NULL));
	MM_TRY(rank_of(l, &g, &m, &rank));
	if (f->known && rank <= *best)
		return MM_OK;
	*best = rank;
	l->group = g;
	f->member = m;
	f->known = true;
	strcpy(f->id, g.id);
	strcpy(f->product, g.product);
	return MM_OK;
}

static enum mm_err
look_through(struct looking *l, enum mm_credential_kind kind,
    const uint8_t sha256[32], enum rank *best)
{
	MM_OWN(mm_credential_done)
	struct mm_credential c = MM_CREDENTIAL_INIT;
	bool has;

	MM_TRY(maybe(mm_credential_get(l->r, kind, sha256, &c, NULL), &has));
	for (size_t i = 0; has && i < c.n; i++)
		MM_TRY(look_at(l, c.group[i], best));
	return MM_OK;
}

/* A single certificate says more than the CA that signed it, a CA more than
 * one above it. */
static enum mm_err
find_group(struct looking *l, bool *found)
{
	static const enum mm_credential_kind kinds[MM_OLD_KINDS] = {
		[MM_OLD_CERTIFICATE] = MM_CREDENTIAL_CERT,
		[MM_OLD_NOTHING] = MM_CREDENTIAL_NOTHING,
		[MM_OLD_SECRET] = MM_CREDENTIAL_SECRET,
	};
	const struct mm_old_cert *old = &l->a->old;
	enum rank best = NOT_OF_IT;

	MM_TRY(look_through(l, kinds[old->kind], old->sha256, &best));
	for (unsigned i = 0; i < old->nanchors; i++)
		MM_TRY(look_through(l, MM_CREDENTIAL_CA,
		    old->anchor[i].sha256, &best));
	*found = best > NOT_OF_IT;
	return MM_OK;
}

/* ---- second facts: all that a row has must hold ---- */

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
	g->foreign = is_foreign(l, &l->group, m);
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
	if (g->waits) {
		memcpy(g->waiting_spki, c.spki, 32);
		g->waiting_at = c.at;
		g->waiting_version = c.version;
	}
	MM_TRY(maybe(mm_caller_get(l->r, MM_DOC_CONFLICT, g->id,
	    l->a->device, &c, NULL), &has));
	g->conflict_known = has && memcmp(c.spki, l->spki, 32) == 0;
	return MM_OK;
}

static bool
is_its_ca(const struct mm_group *g, const uint8_t sha256[32])
{
	for (size_t i = 0; i < g->ncredentials; i++)
		if (memcmp(g->credential[i], sha256, 32) == 0)
			return true;
	return false;
}

/* Of a CA's group its nearest CA says whether the chain has expired; whether
 * something of it is revoked any of its CAs may say: one of them may be what
 * one above it has revoked. */
static void
read_chain(struct looking *l)
{
	const struct mm_old_cert *old = &l->a->old;
	struct mm_group_facts *g = &l->f->group;
	bool nearest = true;

	g->weak = (old->weak || old->legacy) &&
		  !(old->legacy && l->group.legacy);
	g->expired = old->expired;
	if (l->group.kind != MM_GROUP_CA)
		return;
	for (unsigned i = 0; i < old->nanchors; i++) {
		if (!is_its_ca(&l->group, old->anchor[i].sha256))
			continue;
		g->expired |= nearest && old->anchor[i].expired;
		g->revoked |= old->anchor[i].revoked;
		nearest = false;
	}
}

/* ---- the places of a queue that anybody can stand in ---- */

/* From one address a quarter of them is taken, or so many if that is more. */
enum { PLACES = 4 };

struct queue {
	const struct looking *l;
	unsigned living, mine;
	unsigned most, share; /* of each: no more are looked at */
};

/* Who has an IPv6 address has 2^64 of them. */
static bool
from_there(const char *text, const struct in6_addr *peer)
{
	struct in6_addr a = { 0 };

	if (strchr(text, ':') != NULL)
		return inet_pton(AF_INET6, text, &a) == 1 &&
		    memcmp(&a, peer, 8) == 0;
	return inet_pton(AF_INET, text, a.s6_addr + 12) == 1 &&
	    IN6_IS_ADDR_V4MAPPED(peer) &&
	    memcmp(a.s6_addr + 12, peer->s6_addr + 12, 4) == 0;
}

static enum mm_err
take_place(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct queue *q = ctx;
	const struct mm_facts *f = q->l->f;
	struct mm_caller c;

	(void)next;
	MM_TRY(mm_caller_parse(row, &c, why));
	if (f->now_ms >= c.at + f->config->set.pairing_s * 1000)
		return MM_OK;
	q->living++;
	q->mine += from_there(c.peer, &q->l->a->old.peer);
	return q->mine >= q->share || q->living >= q->most ? MM_ELIMIT : MM_OK;
}

/* One whose time is over stands in nobody's way, though its record is there
 * for a while; and nobody takes all places by himself. */
static enum mm_err
read_queue(struct looking *l, unsigned waiting)
{
	struct mm_group_facts *g = &l->f->group;
	const unsigned most = (unsigned)l->group.waiting_most;
	const unsigned share = most / 4 > PLACES ? most / 4 : PLACES;
	/* whose place was another's looks for its own share alone */
	struct queue q = { .l = l, .share = share,
		.most = g->waits ? UINT_MAX : most };
	char prefix[MM_GROUP_ID_MAX + 2];
	enum mm_err rc;

	if (!g->pairs || (waiting < share && waiting < most) ||
	    (g->waits && !mm_group_is_late(l->f)))
		return MM_OK;
	snprintf(prefix, sizeof(prefix), "%s/", g->id);
	rc = mm_each_doc(l->r, MM_DOC_WAITING, prefix, take_place, &q, NULL);
	if (rc != MM_OK && rc != MM_ELIMIT)
		return rc;
	g->queue_full = q.living >= most;
	g->crowded = q.mine >= share;
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
	g->pairs = l->group.kind == MM_GROUP_NONE;
	g->bearer = l->group.bearer;
	g->basic = l->a->basic;
	read_chain(l);
	strcpy(g->profile, l->group.profile);
	MM_TRY(mm_group_counts(l->r, &l->group, &n, NULL));
	g->made = n.made;
	g->halted = mm_group_halted(&l->group, n.conflicts);
	g->last = mm_group_halted(&l->group, n.conflicts + 1);
	g->queue_full = n.waiting >= l->group.waiting_most;
	second_facts(l);
	MM_TRY(read_callers(l));
	MM_TRY(read_queue(l, n.waiting));
	return read_device(l);
}

/* Who is not of the group makes up names as he likes: all of them are one.  Who
 * proves nothing at all is told nothing of it. */
static void
name_claim(struct looking *l, bool found)
{
	if (l->a->old.kind == MM_OLD_NOTHING && !found)
		l->f->group.known = false;
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
