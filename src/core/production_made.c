#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "core/production_priv.h"

/* What became of a batch's units, and what they add up to. */

#define X(e, name) name,
const char *const mm_unit_result_words[MM_UNIT_COUNT] = { MM_UNIT_RESULTS(X) };
#undef X

/* see production.h */
void
mm_made_id(const char *batch, const char *serial, char id[MM_DOC_ID_MAX + 1])
{
	snprintf(id, MM_DOC_ID_MAX + 1, "%s/%s", batch, serial);
}

/* see production.h */
void
mm_made_put(const struct mm_made *u, struct mm_buf *body)
{
	struct mm_json j = mm_json_over(body);

	mm_json_open(&j, '{');
	mm_json_str(&j, "result", mm_unit_result_words[u->result]);
	mm_json_str(&j, "station", u->station);
	mm_json_time(&j, "at", u->at);
	mm_json_hex(&j, "spki_sha256", (struct mm_bytes){ u->spki, 32 });
	mm_json_str(&j, "reason", u->reason);
	mm_json_str(&j, "other", u->other);
	mm_json_close(&j, '}');
}

/* see production.h */
enum mm_err
mm_made_parse(const struct mm_doc *doc, struct mm_made *out, struct mm_why *why)
{
	MM_OWN(mm_json_free)
	json_t *o = json_loadb((const char *)doc->body.p, doc->body.n, 0, NULL);
	const char *slash = strchr(doc->id, '/');
	const char *result, *station, *at, *spki, *reason, *other;
	struct mm_made u = { .version = doc->version };

	if (o == NULL || slash == NULL ||
	    json_unpack(o, "{s:s,s:s,s:s,s:s,s:s,s:s}", "result", &result,
		"station", &station, "at", &at, "spki_sha256", &spki, "reason",
		&reason, "other", &other) != 0 ||
	    !mm_text_copy(u.serial, sizeof(u.serial), mm_bytes_of(slash + 1)) ||
	    !mm_text_copy(u.station, sizeof(u.station), mm_bytes_of(station)) ||
	    !mm_text_copy(u.reason, sizeof(u.reason), mm_bytes_of(reason)) ||
	    !mm_text_copy(u.other, sizeof(u.other), mm_bytes_of(other)) ||
	    mm_time_parse(at, &u.at, NULL) != MM_OK ||
	    mm_hex_parse(spki, strlen(spki), u.spki, 32, NULL) != MM_OK ||
	    (u.result = mm_work_word(
		 mm_unit_result_words, MM_UNIT_COUNT, result)) < 0)
		return MM_FAIL(why, MM_ESYS,
		    "unit %.90s: its record cannot "
		    "be read",
		    doc->id);
	*out = u;
	return MM_OK;
}

/* see production.h */
enum mm_err
mm_made_get(struct mm_store_reader *r, const char *batch, const char *serial,
    struct mm_made *out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	struct mm_doc doc = { .version = 0 };
	enum mm_err rc;

	mm_made_id(batch, serial, doc.id);
	rc = mm_get_doc(r, MM_DOC_UNIT, doc.id, &doc.version, &body, NULL);
	if (rc == MM_ENOTFOUND)
		return rc;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	doc.body = mm_buf_view(&body);
	return mm_made_parse(&doc, out, why);
}

struct page {
	struct mm_made_key *out;
	unsigned n;
};

static enum mm_err
take(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct page *p = ctx;
	struct mm_made_key *k = &p->out[p->n];

	MM_TRY(mm_made_parse(row, &k->made, why));
	if (!mm_text_copy(k->id, sizeof(k->id), mm_bytes_of(next)))
		return MM_FAIL(why, MM_EBUG, "unit: its key is too long");
	p->n++;
	return MM_OK;
}

/* see production.h */
enum mm_err
mm_made_page(struct mm_store_reader *r, const char *batch,
    const char *station, const char *after, struct mm_made_key *out,
    unsigned *n, struct mm_why *why)
{
	struct mm_list l = { .most = *n, .state = -1 };
	char prefix[MM_NAME_MAX + 2] = "";
	struct page p = { .out = out };

	if (batch[0] != '\0')
		snprintf(prefix, sizeof(prefix), "%s/", batch);
	if (!mm_text_copy(l.after, sizeof(l.after), mm_bytes_of(after)))
		return MM_FAIL(why, MM_EINPUT, "after: not a key of this list");
	MM_TRY(station[0] != '\0' ?
	    mm_list_units_of(r, station, prefix, &l, take, &p, why) :
	    mm_list_docs(r, MM_DOC_UNIT, prefix, &l, take, &p, why));
	*n = p.n;
	return MM_OK;
}

/* ---- counts ---- */

/* see production.h */
void
mm_quota_names(const char *batch, const char *station,
    char made[MM_DOC_ID_MAX + 1], char back[MM_DOC_ID_MAX + 1])
{
	snprintf(made, MM_DOC_ID_MAX + 1, "%s%s%s", batch,
	    station[0] != '\0' ? "/" : "", station);
	snprintf(back, MM_DOC_ID_MAX + 1, "%s/%s/", batch, station);
}

static enum mm_err
count(struct mm_store_reader *r, const char *id, int64_t *n, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(64);
	uint64_t version = 0;
	enum mm_err rc = mm_get_doc(r, MM_DOC_COUNT, id, &version, &body, NULL);

	if (rc != MM_OK && rc != MM_ENOTFOUND)
		return MM_FAIL(why, rc, "the store cannot be read");
	*n = rc == MM_OK ? (int64_t)version : 0;
	return MM_OK;
}

/* see production.h */
enum mm_err
mm_production_others(struct mm_store_reader *r, uint64_t *n, struct mm_why *why)
{
	int64_t made = 0;

	MM_TRY(count(r, MM_PRODUCTION_COUNT, &made, why));
	*n = (uint64_t)made;
	return MM_OK;
}

/* see production.h */
enum mm_err
mm_quota_get(struct mm_store_reader *r, const struct mm_production *b,
    const char *station, struct mm_quota *out, struct mm_why *why)
{
	const struct mm_share *s = mm_production_share_of(b, station);
	int64_t quantity = s != NULL ? s->n : b->quantity;
	int64_t scrap = s != NULL ? s->scrap : b->scrap;
	char made[MM_DOC_ID_MAX + 1], back[MM_DOC_ID_MAX + 1];
	struct mm_quota q;

	mm_quota_names(b->id, station, made, back);
	MM_TRY(count(r, made, &q.made, why));
	MM_TRY(count(r, back, &q.back, why));
	q.most = quantity + (q.back < scrap ? q.back : scrap);
	*out = q;
	return MM_OK;
}
