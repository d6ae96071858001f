#include "station/mes.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/json.h"
#include "base/time.h"

/* ---- the question ---- */

static void
put_question(struct mm_buf *out, const struct mm_place *p)
{
	struct mm_json j = mm_json_over(out);

	mm_json_open(&j, '{');
	mm_json_int(&j, "v", 1);
	mm_json_str(&j, "ask", "may");
	mm_json_str(&j, "serial", p->unit->serial);
	mm_json_str(&j, "fixture", p->conf->name);
	mm_json_int(&j, "attempt", (int64_t)p->unit->attempt);
	mm_json_str(&j, "hardware", p->said.hw);
	mm_json_str(&j, "firmware", p->said.firmware);
	mm_json_time(&j, "time", mm_now_ms());
	mm_json_close(&j, '}');
	mm_buf_text(out, "\n");
}

/* ---- the answer ---- */

/* The last line with "result" counts; others are the program's log. */
static json_t *
last_result(struct mm_bytes said)
{
	json_t *found = NULL;

	while (said.n > 0) {
		const uint8_t *end = memchr(said.p, '\n', said.n);
		size_t n = end != NULL ? (size_t)(end - said.p) : said.n;
		json_t *one = json_loadb(
		    (const char *)said.p, n, JSON_REJECT_DUPLICATES, NULL);

		if (json_is_string(json_object_get(one, "result"))) {
			json_decref(found);
			found = json_incref(one);
		}
		json_decref(one);
		n += end != NULL;
		said = (struct mm_bytes){ said.p + n, said.n - n };
	}
	return found;
}

static enum mm_mes_got
no(struct mm_place *p, enum mm_unit_reason why, const char *note,
    enum mm_unit_reason *reason)
{
	snprintf(p->note, sizeof(p->note), "%s", note != NULL ? note : "");
	*reason = why;
	return MM_MES_NO;
}

static enum mm_mes_got
judge(struct mm_place *p, int status, enum mm_unit_reason *reason)
{
	json_t *answer = last_result(mm_buf_view(&p->mes.said));
	const char *word = json_string_value(json_object_get(answer, "result"));
	enum mm_mes_got got = MM_MES_YES;

	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		got = no(
		    p, MM_UR_MES_AWAY, "mes_may ended with a failure", reason);
	else if (word == NULL ||
		 (strcmp(word, "yes") != 0 && strcmp(word, "no") != 0))
		got = no(p, MM_UR_MES_AWAY, "mes_may said neither yes nor no",
		    reason);
	else if (word[0] == 'n')
		got = no(p, MM_UR_MES,
		    json_string_value(json_object_get(answer, "note")), reason);
	json_decref(answer);
	return got;
}

static enum mm_mes_got
look(struct mm_place *p, enum mm_unit_reason *reason)
{
	int status = 0;

	switch (mm_child_run(&p->mes, &status)) {
	case MM_CHILD_WAIT:
		return MM_MES_WAIT;
	case MM_CHILD_ENDED:
		return judge(p, status, reason);
	case MM_CHILD_LATE:
		return no(p, MM_UR_MES_AWAY, "mes_may took too long", reason);
	case MM_CHILD_FLOODS:
		return no(p, MM_UR_MES_AWAY, "mes_may says too much", reason);
	default:
		return no(p, MM_UR_MES_AWAY, p->mes.note, reason);
	}
}

/* see mes.h */
enum mm_mes_got
mm_mes_may(struct mm_line *l, struct mm_place *p, enum mm_unit_reason *reason)
{
	struct mm_buf job = MM_BUF_INIT(MM_CHILD_JOB_MAX);
	enum mm_mes_got got;

	if (l->conf->mes_may.n == 0 || p->mes_is == MM_MES_MAY)
		return MM_MES_YES;
	if (p->mes_is == MM_MES_UNASKED) {
		put_question(&job, p);
		mm_child_begin(&p->mes, &l->conf->mes_may, l->conf->mes_limit_s,
		    mm_buf_view(&job));
		mm_buf_done(&job);
		p->mes_is = MM_MES_ASKED;
	}
	got = look(p, reason);
	if (got == MM_MES_YES)
		p->mes_is = MM_MES_MAY;
	return got;
}
