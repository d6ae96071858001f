#include <stdio.h>
#include <string.h>

#include "core/priv.h"

/*
 * A clock that an operator had the signer accept: its journal says so, the
 * ledger must too.  The signer repeats what it last read; which lines were
 * entered stands in the store's answers, that never age.
 */
#define CLOCK_N 24 /* line, from, to */

static enum mm_err
enter(struct mm_core *c, struct mm_op *take_op, uint64_t line,
    const int64_t span[2], struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf buf = MM_BUF_INIT(4096);
	struct mm_papers p = mm_papers_over(&buf);
	struct mm_entry e = { .type = MM_E_CLOCK_SET_BACK };
	char number[24], from[MM_TIME_TEXT], to[MM_TIME_TEXT];

	snprintf(number, sizeof(number), "%llu", (unsigned long long)line);
	mm_time_text(span[0], from);
	mm_time_text(span[1], to);
	e.field[MM_F_NUMBER] = number;
	e.field[MM_F_FROM] = from;
	e.field[MM_F_TO] = to;
	mm_papers_add(&p, &e);
	MM_TRY(mm_papers_seal(&p, take_op, why));
	MM_TRY(mm_core_run1(c, take_op, why));
	mm_core_note(c, 2, "clock.set_back", from);
	return MM_OK;
}

static enum mm_err
one(struct mm_core *c, uint64_t line, const int64_t span[2],
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(64);
	struct mm_op op = { .kind = MM_OP_ANSWER_PUT };
	struct mm_answer_row seen;
	enum mm_err rc;

	snprintf(op.u.answer.key, sizeof(op.u.answer.key), "clock:%llu",
	    (unsigned long long)line);
	op.u.answer.at = MM_TIME_FOREVER_S * 1000;
	rc = mm_get_answer(c->feed_reader, op.u.answer.key, &seen, &body, NULL);
	if (rc == MM_OK)
		return MM_OK;
	if (rc != MM_ENOTFOUND)
		return MM_FAIL(why, rc, "store: cannot be read");
	return enter(c, &op, line, span, why);
}

/* see priv.h */
enum mm_err
mm_clocks_enter(struct mm_core *c, struct mm_bytes clocks, struct mm_why *why)
{
	struct mm_rd r = mm_rd_over(clocks);

	if (clocks.n % CLOCK_N != 0)
		return MM_FAIL(why, MM_EINPUT, "hello: clocks are not whole");
	while (r.left > 0) {
		uint64_t line = mm_rd_u64(&r);
		int64_t span[2];

		span[0] = (int64_t)mm_rd_u64(&r);
		span[1] = (int64_t)mm_rd_u64(&r);
		MM_TRY(one(c, line, span, why));
	}
	return MM_OK;
}
