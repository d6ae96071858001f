#include <stdio.h>
#include <string.h>

#include "core/priv.h"

/*
 * A clock that an operator had the signer accept: its journal says so, the
 * ledger must too.  The signer repeats what it last read; noted.c knows which
 * lines were entered.
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
	e.field[MM_F_NODE] = mm_node_or_null(c);
	e.field[MM_F_FROM] = from;
	e.field[MM_F_TO] = to;
	mm_papers_add(&p, &e);
	MM_TRY(mm_papers_seal(&p, take_op, why));
	MM_TRY(mm_core_run1(c, take_op, why));
	mm_core_note(c, 2, "clock.set_back", from);
	return MM_OK;
}

static enum mm_err
one(struct mm_core *c, struct mm_bytes clock, struct mm_why *why)
{
	struct mm_rd r = mm_rd_over(clock);
	uint64_t line = mm_rd_u64(&r);
	int64_t span[2];
	char id[MM_DOC_ID_MAX + 1], body[MM_NOTED_TEXT];
	const char *node = c->config->set.node;
	struct mm_op op;
	uint8_t sha256[32];
	enum mm_err rc;

	span[0] = (int64_t)mm_rd_u64(&r);
	span[1] = (int64_t)mm_rd_u64(&r);
	/* each node's journal counts its own lines */
	snprintf(id, sizeof(id), "clock:%s%s%llu", node,
	    node[0] != '\0' ? ":" : "", (unsigned long long)line);
	rc = mm_noted_get(c->feed_reader, id, sha256, why);
	if (rc != MM_ENOTFOUND)
		return rc;
	mm_sha256(clock, sha256);
	mm_noted_op(id, sha256, body, &op);
	return enter(c, &op, line, span, why);
}

/* see priv.h */
enum mm_err
mm_clocks_enter(struct mm_core *c, struct mm_bytes clocks, struct mm_why *why)
{
	struct mm_rd r = mm_rd_over(clocks);

	if (clocks.n % CLOCK_N != 0)
		return MM_FAIL(why, MM_EINPUT, "hello: clocks are not whole");
	while (r.left > 0)
		MM_TRY(one(c, mm_rd_take(&r, CLOCK_N), why));
	return MM_OK;
}
