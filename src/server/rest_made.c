#include <string.h>

#include "base/own.h"
#include "server/batches.h"

/* A batch's units, as far as something became of them. */
enum { LOOK_MOST = 1000 }; /* units looked at for one page */

struct made_list {
	struct mm_rest *r;
	char station[MM_NAME_MAX + 1]; /* "" any */
	int result;                    /* -1 any */
	unsigned left, looked;
	char last[MM_DOC_ID_MAX + 1];  /* that was looked at */
	bool more;
};

static void
put_made(struct mm_json *j, const struct mm_made *u)
{
	mm_json_open(j, '{');
	mm_json_str(j, "device", u->serial);
	mm_json_str(j, "result", mm_unit_result_words[u->result]);
	if (u->station[0] != '\0')
		mm_json_str(j, "station", u->station);
	if (u->other[0] != '\0')
		mm_json_str(j, "other_station", u->other);
	if (u->reason[0] != '\0')
		mm_json_str(j, "reason", u->reason);
	mm_rest_put_time(j, "at", u->at);
	mm_rest_put_sha256(j, "spki_sha256", u->spki);
	mm_json_close(j, '}');
}

static enum mm_err
put_row(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct made_list *l = ctx;
	struct mm_made u;

	l->looked++;
	if (l->left == 0) {
		l->more = true;
		return MM_OK;
	}
	(void)!mm_text_copy(l->last, sizeof(l->last), mm_bytes_of(next));
	MM_TRY(mm_made_parse(row, &u, why));
	if (l->result >= 0 && u.result != l->result)
		return MM_OK;
	l->left--;
	put_made(&l->r->j, &u);
	return mm_buf_ok(&l->r->out, why);
}

static enum mm_err
read_filters(struct made_list *l, struct mm_page *page, struct mm_why *why)
{
	char result[16];

	MM_TRY(mm_page_read(l->r, " result station ", page, why));
	MM_TRY(mm_rest_query(l->r, "station", l->station, sizeof(l->station),
	    why));
	MM_TRY(mm_rest_query(l->r, "result", result, sizeof(result), why));
	l->result = result[0] == '\0' ? -1 : mm_work_word(
	    mm_unit_result_words, MM_UNIT_COUNT, result);
	if (l->result < 0 && result[0] != '\0')
		return MM_FAIL(why, MM_EINPUT, "result: no such word");
	return MM_OK;
}

/* A page ends too when so many units were looked at. */
enum mm_err
mm_rest_batch_made(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(mm_production_free) struct mm_production *b = NULL;
	struct mm_list docs = { .most = LOOK_MOST, .state = -1 };
	struct made_list l = { .r = r };
	char id[MM_NAME_MAX + 2];
	struct mm_page page;

	MM_TRY(read_filters(&l, &page, why));
	if (!mm_text_copy(id, MM_NAME_MAX + 1, mm_http_segment(r->req, 0)))
		return MM_FAIL(why, MM_ENOTFOUND, "no such batch");
	MM_TRY(mm_production_get(r->reader, id, &b, why));
	strcat(id, "/");
	l.left = page.list.most;
	memcpy(docs.after, page.list.after, sizeof(docs.after));
	mm_json_open(&r->j, '{');
	mm_json_open_key(&r->j, "items", '[');
	MM_TRY(l.station[0] != '\0' ? mm_list_units_of(r->reader, l.station,
	    id, &docs, put_row, &l, why) :
	    mm_list_docs(r->reader, MM_DOC_UNIT, id, &docs, put_row, &l,
	    why));
	mm_json_close(&r->j, ']');
	if (l.more || l.looked == docs.most)
		mm_json_str(&r->j, "next", l.last);
	mm_json_close(&r->j, '}');
	return MM_OK;
}
