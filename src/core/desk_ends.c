#include <stdio.h>
#include <string.h>

#include "core/ends.h"
#include "core/priv.h"

/*
 * Alerts of what ends: once at each distance, whoever of the nodes sees it
 * first.  An alert is an event, which webhooks and mails carry.
 */
enum { DAY_S = 86400, NOT_YET = -1 };

/* The nearest distance that it is within; what ends by itself has two: late,
 * and over. */
static int64_t
distance(const struct mm_end *e, int64_t now_s)
{
	const struct mm_end_rule *rule = &mm_end_rules[e->kind];

	for (size_t i = 0; i < rule->nday; i++)
		if (e->end_s - now_s < rule->day[i] * DAY_S)
			return rule->day[i];
	if (!mm_end_late(e, now_s))
		return NOT_YET;
	return e->end_s > now_s;
}

struct note {
	const char *reason, *name;
	int64_t at; /* its end, or the day */
	int64_t days;
};

/* What it is of: a name that is used again has another end. */
static void
name_of(const struct note *n, char id[MM_DOC_ID_MAX + 1], uint8_t sha256[32])
{
	char text[256], hex[33];

	snprintf(text, sizeof(text), "%s\n%s\n%lld\n%lld\n", n->reason,
	    n->name, (long long)n->at, (long long)n->days);
	mm_sha256(mm_bytes_of(text), sha256);
	mm_hex_text(sha256, 16, hex);
	snprintf(id, MM_DOC_ID_MAX + 1, "ends:%s", hex);
}

/* The note goes with the entry: one transaction, one entry. */
static enum mm_err
enter(struct mm_desk *d, const struct note *n, const struct mm_entry *entry,
    struct mm_why *why)
{
	struct mm_papers p = mm_papers_over(&d->buf);
	char id[MM_DOC_ID_MAX + 1], body[MM_NOTED_TEXT];
	uint8_t sha256[32], seen[32];
	struct mm_why none = { 0 };
	struct mm_op op;
	enum mm_err rc;

	name_of(n, id, sha256);
	rc = mm_noted_get(d->r, id, seen, why);
	if (rc != MM_ENOTFOUND)
		return rc;
	mm_noted_op(id, sha256, body, &op);
	mm_papers_add(&p, entry);
	rc = mm_desk_run(d, &p, &op, &none);
	if (rc == MM_ECONFLICT) /* another node was first */
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "%s", none.text);
	mm_core_note(d->c, 2, n->reason, n->name);
	return MM_OK;
}

/* see ends.h */
enum mm_err
mm_desk_end_tell(struct mm_desk *d, const struct mm_end *e,
    struct mm_why *why)
{
	const struct mm_end_rule *rule = &mm_end_rules[e->kind];
	/* of what is renewed each day the end moves: an alert a day */
	const struct note n = { rule->reason, e->name,
		rule->by == MM_END_BY_ITSELF ? e->end_s / DAY_S : e->end_s,
		distance(e, mm_now_s()) };
	struct mm_entry entry = { .type = MM_E_ALERT };
	char at[MM_TIME_TEXT];

	if (rule->reason == NULL || n.days == NOT_YET)
		return MM_OK;
	mm_time_text_s(e->end_s, at);
	entry.field[MM_F_REASON] = rule->reason;
	entry.field[rule->field] = e->name;
	entry.field[MM_F_EXPIRES] = at;
	return enter(d, &n, &entry, why);
}

/* ---- devices ---- */

/* see ends.h */
bool
mm_devices_late(uint64_t late, uint64_t in_use)
{
	return late * 100 > in_use;
}

/* see ends.h */
bool
mm_forecast_product(const struct mm_forecast *f, size_t i, uint64_t *late,
    uint64_t *in_use)
{
	*late = *in_use = 0;
	for (size_t k = 0; k < f->nclass; k++) {
		if (strcmp(f->class[k].product, f->class[i].product) != 0)
			continue;
		if (k < i)
			return false;
		*late += f->class[k].late;
		*in_use += f->class[k].in_use;
	}
	return true;
}

static enum mm_err
enter_product(struct mm_desk *d, const char *product, uint64_t late,
    struct mm_op *op, struct mm_why *why)
{
	struct mm_papers p = mm_papers_over(&d->buf);
	struct mm_entry entry = { .type = MM_E_ALERT };
	char count[24];
	struct mm_why none = { 0 };
	enum mm_err rc;

	snprintf(count, sizeof(count), "%llu", (unsigned long long)late);
	entry.field[MM_F_REASON] = "devices-not-renewed";
	entry.field[MM_F_PRODUCT] = product;
	entry.field[MM_F_COUNT] = count;
	mm_papers_add(&p, &entry);
	rc = mm_desk_run(d, &p, op, &none);
	if (rc == MM_ECONFLICT) /* another node was first */
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "%s", none.text);
	mm_core_note(d->c, 2, "devices-not-renewed", product);
	return MM_OK;
}

/* The day's key goes with the entry, and is forgotten with the day. */
static enum mm_err
tell_product(struct mm_desk *d, const char *product, uint64_t late,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(64);
	struct mm_op op = { .kind = MM_OP_ANSWER_PUT };
	struct mm_answer_row seen;
	enum mm_err rc;

	op.u.answer.at = mm_now_ms();
	snprintf(op.u.answer.key, sizeof(op.u.answer.key),
	    "devices-late:%lld:%s", (long long)(mm_now_s() / DAY_S), product);
	rc = mm_get_answer(d->r, op.u.answer.key, &seen, &body, NULL);
	if (rc == MM_OK)
		return MM_OK;
	if (rc != MM_ENOTFOUND)
		return MM_FAIL(why, rc, "store: cannot be read");
	return enter_product(d, product, late, &op, why);
}

/* see ends.h */
enum mm_err
mm_desk_devices_tell(struct mm_desk *d, bool *counted, struct mm_why *why)
{
	struct mm_forecast *f = mm_core_forecast(d->c);
	enum mm_err rc = MM_OK;
	uint64_t late, in_use;

	*counted = f != NULL;
	for (size_t i = 0; f != NULL && i < f->nclass && rc == MM_OK; i++)
		if (mm_forecast_product(f, i, &late, &in_use) &&
		    mm_devices_late(late, in_use))
			rc = tell_product(d, f->class[i].product, late, why);
	mm_core_forecast_done(d->c, f);
	return rc;
}
