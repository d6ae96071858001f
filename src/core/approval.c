#include <string.h>

#include "core/priv.h"

/*
 * Approvals: who may decide, who may use, and their entries.  What an
 * approval can become is a table; what is not in it cannot happen.
 */
static const bool may_become[MM_APPROVAL_STATES][MM_APPROVAL_STATES] = {
	[MM_APPROVAL_WAITING] = { [MM_APPROVAL_APPROVED] = true,
	    [MM_APPROVAL_REFUSED] = true, [MM_APPROVAL_EXPIRED] = true },
	[MM_APPROVAL_APPROVED] = { [MM_APPROVAL_USED] = true,
	    [MM_APPROVAL_REFUSED] = true, [MM_APPROVAL_EXPIRED] = true },
};

/* see core.h */
bool
mm_approval_open(const struct mm_approval *a)
{
	return may_become[a->state][MM_APPROVAL_EXPIRED];
}

static enum mm_err
can_become(const struct mm_approval *a, enum mm_approval_state to,
    struct mm_why *why)
{
	if (a->expires_at <= mm_now_ms())
		return MM_FAIL(why, MM_ECONFLICT, "approval %s: it has "
		    "expired", a->id);
	if (!may_become[a->state][to])
		return MM_FAIL(why, MM_ECONFLICT, "approval %s: %s", a->id,
		    a->state == MM_APPROVAL_WAITING ? "nobody has approved it"
		    : "it is approved, refused or used already");
	return MM_OK;
}

/* The next byte that counts in a name: neither space nor case does. */
static int
next_of(const char **name)
{
	int c;

	while (**name != '\0' && (unsigned char)**name <= ' ')
		(*name)++;
	c = (unsigned char)**name;
	*name += c != '\0';
	return c >= 'A' && c <= 'Z' ? c | 32 : c;
}

static bool
same_name(const char *a, const char *b)
{
	int c;

	while ((c = next_of(&a)) == next_of(&b))
		if (c == '\0')
			return true;
	return false;
}

/* Another person, as far as credentials tell: not one made since, by whoever
 * asked or by a third one, and not one whose name was taken away. */
static enum mm_err
is_another(const struct mm_approval *a, const struct mm_operator *asked,
    const struct mm_operator *decider, struct mm_why *why)
{
	if (strcmp(a->requester, decider->id) == 0)
		return MM_FAIL(why, MM_EPOLICY, "who asked does not approve");
	if (same_name(decider->name, "") || same_name(asked->name, ""))
		return MM_FAIL(why, MM_EPOLICY, "a credential without a name "
		    "approves nothing, and nothing of it is approved");
	if (same_name(decider->name, asked->name))
		return MM_FAIL(why, MM_EPOLICY, "who asked does not approve");
	if (decider->created_at >= a->requested_at)
		return MM_FAIL(why, MM_EPOLICY, "a credential that is younger "
		    "than the request does not approve it");
	return MM_OK;
}

/* see core.h */
enum mm_err
mm_approval_may_decide(const struct mm_approval *a,
    enum mm_approval_state to, const struct mm_operator *asked,
    const struct mm_operator *decider, struct mm_why *why)
{
	if (!mm_operator_alive(decider) || !mm_operator_admin(decider))
		return MM_FAIL(why, MM_EPOLICY, "an administrator decides, "
		    "and no recovered one");
	MM_TRY(can_become(a, to, why));
	return to == MM_APPROVAL_APPROVED ?
	    is_another(a, asked, decider, why) : MM_OK;
}

/* see core.h; whoever approved must still be who he was */
enum mm_err
mm_approval_may_use(const struct mm_approval *a,
    const struct mm_operator *decider, struct mm_why *why)
{
	if (a->state != MM_APPROVAL_USED || a->good_until <= mm_now_ms())
		MM_TRY(can_become(a, MM_APPROVAL_USED, why));
	if (strcmp(a->decider, decider->id) != 0 ||
	    !mm_operator_alive(decider) || !mm_operator_admin(decider))
		return MM_FAIL(why, MM_EPOLICY, "approval %s: who approved it "
		    "is no administrator any more", a->id);
	return MM_OK;
}

static const enum mm_entry_type entry_types[MM_APPROVAL_STATES] = {
	[MM_APPROVAL_WAITING] = MM_E_APPROVAL_REQUESTED,
	[MM_APPROVAL_APPROVED] = MM_E_APPROVAL_APPROVED,
	[MM_APPROVAL_REFUSED] = MM_E_APPROVAL_REFUSED,
	[MM_APPROVAL_EXPIRED] = MM_E_APPROVAL_EXPIRED,
	[MM_APPROVAL_USED] = MM_E_APPROVAL_USED,
};

static struct mm_op_doc
doc_of(const struct mm_approval *a, struct mm_bytes body)
{
	struct mm_op_doc doc = { .kind = MM_DOC_APPROVAL,
		.expect = a->version, .body = body };

	strcpy(doc.id, a->id);
	if (a->version != 0)
		doc.was = &a->was;
	return doc;
}

/* Two at once: the second is told of a conflict, for it named no version. */
static enum mm_err
put(struct mm_desk *d, struct mm_op_doc *doc, const struct mm_entry *e,
    unsigned n, struct mm_why *why)
{
	enum mm_err rc = mm_desk_doc_put(d, doc, e, n, why);

	return rc == MM_ESTALE ? MM_ECONFLICT : rc;
}

/* see core.h */
enum mm_err
mm_desk_approval_put(struct mm_desk *d, const struct mm_approval *a,
    struct mm_bytes body, const char *actor, struct mm_why *why)
{
	struct mm_op_doc doc = doc_of(a, body);
	struct mm_entry e = { .type = entry_types[a->state] };
	char hash[65], expires[MM_TIME_TEXT];
	uint8_t salted[32];

	/* a body may name a person */
	mm_salted_sha256(a->salt, (struct mm_bytes){ a->request_sha256, 32 },
	    salted);
	mm_hex_text(salted, 32, hash);
	mm_time_text(a->expires_at, expires);
	e.field[MM_F_ACTOR] = actor;
	e.field[MM_F_APPROVAL] = a->id;
	e.field[MM_F_ACTION] = a->action;
	e.field[MM_F_REQUESTER] = a->requester;
	e.field[MM_F_DETAIL_SHA256] = hash;
	if (a->state == MM_APPROVAL_WAITING)
		e.field[MM_F_EXPIRES] = expires;
	if (a->state == MM_APPROVAL_USED)
		e.field[MM_F_APPROVER] = a->decider;
	return put(d, &doc, &e, 1, why);
}

/* see core.h */
enum mm_err
mm_desk_approval_close(struct mm_desk *d, const struct mm_approval *a,
    struct mm_bytes body, struct mm_why *why)
{
	struct mm_op_doc doc = doc_of(a, body);

	doc.as = a->version; /* one more for each entry, and this has none */
	return put(d, &doc, NULL, 0, why);
}

/* see core.h */
enum mm_err
mm_desk_approval_drop(struct mm_desk *d, const struct mm_approval *a,
    struct mm_why *why)
{
	struct mm_op_doc doc = doc_of(a, (struct mm_bytes){ 0 });

	return put(d, &doc, NULL, 0, why);
}

/* see core.h */
enum mm_err
mm_desk_random_id(char id[17], struct mm_why *why)
{
	return mm_operator_id(id, why);
}
