#include <string.h>

#include "base/own.h"
#include "server/rest.h"
#include "server/select.h"

/* Tokens cancelled and thawed by selection. */
struct asked {
	struct mm_token_selection of;
	char reason[MM_NAME_MAX + 1];
	bool dry_run, keep;
};
#define M(name, type, field)                                \
	{ name, type, false, offsetof(struct asked, field), \
	    sizeof(((struct asked *)0)->field) }
static const struct mm_member members[] = {
	M("product", MM_M_NAME, of.product),
	M("batch", MM_M_NAME, of.batch),
	M("created_from", MM_M_TIME, of.created_from),
	M("created_to", MM_M_TIME, of.created_to),
	M("reason", MM_M_NAME, reason),
	M("dry_run", MM_M_BOOL, dry_run),
	M("keep", MM_M_BOOL, keep), /* of thawing */
};
enum { NMEMBERS = sizeof(members) / sizeof(members[0]) };

static const char *const verbs[] = {
	[MM_TOKENS_THAW] = "thaw",
	[MM_TOKENS_CANCEL] = "cancel",
};

static enum mm_err
read_asked(struct mm_rest *r, struct mm_token_selection *of,
    struct mm_token_mass *m, struct mm_why *why)
{
	struct asked a = { .keep = false };

	MM_TRY(mm_rest_members(r->in, members,
	    m->verb == MM_TOKENS_THAW ? NMEMBERS : NMEMBERS - 1, &a, why));
	MM_TRY(mm_select_check(r, why));
	if (m->verb == MM_TOKENS_THAW && !a.keep)
		return MM_FAIL(why, MM_EINPUT, "want \"keep\":true: of many, "
		    "each one's first key stays");
	if (a.reason[0] == '\0' && !a.dry_run)
		return MM_FAIL(why, MM_EINPUT, "want a reason: a word for "
		    "the audit");
	*of = a.of;
	m->dry_run = a.dry_run;
	strcpy(m->reason, a.reason);
	m->rows = MM_SELECT_ROWS;
	m->run_ms = MM_SELECT_RUN_MS;
	return mm_select_read(r, &m->most, m->after, why);
}

static void
put_sample(struct mm_json *j, const struct mm_token_mass *m)
{
	mm_json_open_key(j, "sample", '[');
	for (unsigned i = 0; i < m->nsample; i++) {
		const struct mm_token_row *t = &m->sample[i];

		mm_json_open(j, '{');
		mm_json_str(j, "id", t->id);
		mm_json_str(j, "device", t->device);
		mm_json_str(j, "product", t->product);
		mm_json_str(j, "state", mm_token_state_name(t->state));
		mm_rest_put_time(j, "created", t->created_at);
		mm_json_close(j, '}');
	}
	mm_json_close(j, ']');
}

static void
put_answer(struct mm_rest *r, const struct mm_token_mass *m)
{
	struct mm_json *j = &r->j;

	mm_json_open(j, '{');
	mm_json_str(j, "action", verbs[m->verb]);
	mm_json_bool(j, "dry_run", m->dry_run);
	mm_json_int(j, "found", (int64_t)m->found);
	mm_json_int(j, "changed", (int64_t)m->changed);
	mm_json_int(j, "refused", (int64_t)m->refused);
	mm_json_bool(j, "left", m->left);
	if (m->left)
		mm_select_put_next(r, m->next);
	mm_json_open_key(j, "states", '{');
	for (unsigned i = 0; i < MM_TOKEN_STATES; i++)
		if (m->state[i] > 0)
			mm_json_int(j, mm_token_state_name(
			    (enum mm_token_state)i), (int64_t)m->state[i]);
	mm_json_close(j, '}');
	put_sample(j, m);
	mm_json_close(j, '}');
}

static enum mm_err
change(struct mm_rest *r, enum mm_token_verb verb, struct mm_why *why)
{
	struct mm_token_mass m = { .verb = verb };
	struct mm_token_selection of;
	enum mm_err rc;

	MM_TRY(read_asked(r, &of, &m, why));
	MM_TRY(mm_select_begin(r, why));
	rc = mm_desk_token_mass(r->desk, &r->login, &of, &m, why);
	mm_select_end(r, rc == MM_OK && !m.left, 0);
	MM_TRY(rc);
	put_answer(r, &m);
	return MM_OK;
}

enum mm_err
mm_rest_tokens_thaw(struct mm_rest *r, struct mm_why *why)
{
	return change(r, MM_TOKENS_THAW, why);
}

enum mm_err
mm_rest_tokens_cancel(struct mm_rest *r, struct mm_why *why)
{
	return change(r, MM_TOKENS_CANCEL, why);
}
