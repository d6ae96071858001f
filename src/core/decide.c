#include "core/checks.h"

#include <string.h>

#include "work/order.h"

/* ---- operators ---- */

/* A developer's board, which is flashed over and over: its batch says so, and
 * no production CA has such a batch. */
static bool
replaces(const struct mm_facts *f)
{
	const struct mm_batch_facts *b = &f->batch;

	return !f->config->set.production && b->found &&
	       b->order->marker == MM_WORK_TEST &&
	       b->order->on_conflict == MM_WORK_REPLACE;
}

/* What a line is for ends when the device has proved who it is: from then on
 * another key would be another device under its name. */
static enum mm_reason
on_the_line(const struct mm_facts *f, struct mm_verdict *v)
{
	(void)v;
	return f->line && f->fielded && !replaces(f) ? MM_R_FIELDED
						     : MM_R_NONE;
}

/* An operator may ask for either of the product's. */
static enum mm_reason
product_profile(const struct mm_facts *f, struct mm_verdict *v)
{
	const struct mm_product *p = &f->product;
	const char *name = p->ldevid_profile;

	if (name[0] == '\0' || strcmp(f->label, p->idevid_profile) == 0)
		name = p->idevid_profile;
	if (f->label[0] == '\0' && p->ldevid_profile[0] != '\0')
		name = p->ldevid_profile;
	return mm_check_profile(f, f->label, name, v);
}

static mm_check_fn *const operator_fit[] = { mm_check_device, on_the_line,
	product_profile, NULL };

/* Facts give a fresh claim name once the last one's certificate is in use,
 * so what is claimed here is unconfirmed or has this very key. */
static enum mm_reason
by_operator(const struct mm_facts *f, struct mm_verdict *v)
{
	enum mm_reason r =
	    f->proved ? mm_check_all(operator_fit, f, v) : MM_R_CREDENTIAL;

	if (r == MM_R_NONE)
		r = mm_rule_claim(f, v);
	return r == MM_R_NONE && v->act == MM_ACT_ISSUE ? mm_rule_batch(f, v)
							: r;
}

#define JOB_KINDS (MM_JOB_ASK + 1)

static mm_check_fn *const rules[MM_AUTH_KINDS][JOB_KINDS] = {
	[MM_AUTH_TOKEN_PSK] = {
		[MM_JOB_ENROL] = mm_rule_token,
		[MM_JOB_KEYGEN] = mm_rule_token,
	},
	[MM_AUTH_TOKEN_BASIC] = {
		[MM_JOB_ENROL] = mm_rule_token,
		[MM_JOB_KEYGEN] = mm_rule_token,
	},
	[MM_AUTH_DEVICE] = {
		[MM_JOB_ENROL] = mm_rule_idevid,
		[MM_JOB_KEYGEN] = mm_rule_idevid,
		[MM_JOB_REENROL] = mm_rule_renewal,
		[MM_JOB_CONFIRM] = mm_rule_proof,
		[MM_JOB_ASK] = mm_rule_ask,
	},
	[MM_AUTH_OPERATOR] = {
		[MM_JOB_ENROL] = by_operator,
		[MM_JOB_KEYGEN] = by_operator,
	},
	/* a first enrolment with a key of the device's own, nothing else */
	[MM_AUTH_BOOTSTRAP] = {
		[MM_JOB_ENROL] = mm_rule_group,
	},
};

/* A certificate may renew, a token may not: 403, not "who are you". */
static void
refuse(const struct mm_facts *f, struct mm_verdict *v, enum mm_reason r,
    bool ruled)
{
	bool known = !mm_check_from_token(f) || f->proved;

	v->act = MM_ACT_REFUSE;
	v->reason = r;
	v->code = !ruled && known ? MM_EPOLICY : mm_reason_code(r);
	v->effects = (v->effects & (MM_FX_FREEZE | MM_FX_HOLD | MM_FX_EXPIRE |
				       MM_FX_WAIT | MM_FX_CONFLICT)) |
		     mm_reason_effects(r);
}

/* see decide.h */
void
mm_decide(const struct mm_facts *f, struct mm_verdict *out)
{
	mm_check_fn *rule = NULL;
	enum mm_reason r = MM_R_CREDENTIAL;

	memset(out, 0, sizeof(*out));
	strcpy(out->authority, f->claim_name);
	if ((unsigned)f->authority < MM_AUTH_KINDS &&
	    (unsigned)f->job < JOB_KINDS)
		rule = rules[f->authority][f->job];
	if (rule != NULL)
		r = rule(f, out);
	if (r != MM_R_NONE)
		refuse(f, out, r, rule != NULL);
}
