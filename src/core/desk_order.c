#include <stdio.h>
#include <string.h>

#include "core/production_priv.h"

/*
 * A station's order of a batch: made when it is asked for and the batch says
 * something else than the station's newest order of it.  The station's record
 * goes first, with the entry: an order that is lost behind it leaves a gap in
 * the numbers, which is allowed, and two never get the same one.
 */

/* ---- serial numbers of one share ---- */

/* The lines of a list from first on. */
static enum mm_err
cut_list(struct mm_bytes list, int64_t first, int64_t n, struct mm_buf *out,
    struct mm_why *why)
{
	char serial[MM_DEVICE_ID_MAX + 1];
	enum mm_err err;

	for (int64_t i = 0; i < first + n; i++) {
		if (!mm_work_list_next(&list, serial, &err))
			return MM_FAIL(why, MM_ESYS,
			    "batch: its serial numbers end early");
		if (i >= first)
			mm_buf_printf(out, "%s\n", serial);
	}
	return mm_buf_ok(out, why);
}

static enum mm_err
slice_run(const struct mm_share *s, struct mm_work_order *o, struct mm_why *why)
{
	struct mm_serials run, part;

	MM_TRY(mm_serials_parse(o->serials, &run, why));
	if (s->first > 0)
		MM_TRY(mm_serials_cut(&run, (uint64_t)s->first, &part, why));
	MM_TRY(mm_serials_cut(&run, (uint64_t)(s->n + s->scrap), &part, why));
	mm_serials_text(&part, o->serials);
	return MM_OK;
}

/* list gets the paper that goes with the order, where it has one. */
static enum mm_err
slice(struct mm_desk *d, const struct mm_share *s, struct mm_work_order *o,
    struct mm_buf *list, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf all = MM_BUF_INIT(MM_PAPER_MAX);

	if (o->serials_count == 0)
		return o->take == MM_WORK_NEXT ? slice_run(s, o, why) : MM_OK;
	if (o->take == MM_WORK_SCAN)
		return mm_paper_get(d->r, o->serials_sha256, list, why);
	MM_TRY(mm_paper_get(d->r, o->serials_sha256, &all, why));
	MM_TRY(
	    cut_list(mm_buf_view(&all), s->first, s->n + s->scrap, list, why));
	mm_sha256(mm_buf_view(list), o->serials_sha256);
	o->serials_count = s->n + s->scrap;
	return MM_OK;
}

/* ---- what it should say ---- */

struct papers { /* what goes with this order; empty: none */
	struct mm_buf list, config, fields, profiles;
};

static void
papers_done(struct papers *p)
{
	mm_buf_done(&p->list);
	mm_buf_done(&p->config);
	mm_buf_wipe(&p->fields);
	mm_buf_done(&p->profiles);
}

/* What ends the batch goes without: nothing is made by it, and devices'
 * secrets on its stick would be for who finds that. */
static enum mm_err
build_papers(struct mm_desk *d, const struct mm_production *b,
    struct mm_work_order *o, struct papers *p, struct mm_why *why)
{
	if (o->state == MM_WORK_CLOSED) {
		o->config_version = 0;
		memset(o->config_sha256, 0, sizeof(o->config_sha256));
		memset(o->fields_sha256, 0, sizeof(o->fields_sha256));
		return MM_OK;
	}
	MM_TRY(mm_desk_profiles(d, b, &p->profiles, why));
	if (o->config_version > 0)
		MM_TRY(mm_paper_get(d->r, o->config_sha256, &p->config, why));
	return mm_fields_cut(d->r, o, mm_buf_view(&p->list), &p->fields, why);
}

/* All of it is there before the order is entered and signed: one whose file
 * cannot be had would be the station's newest. */
static enum mm_err
build(struct mm_desk *d, const struct mm_production *b,
    const struct mm_share *s, struct mm_work_order *o, struct papers *p,
    struct mm_why *why)
{
	*o = *b->order; /* its lists are borrowed */
	strcpy(o->station, s->station);
	o->state = b->state;
	o->mode = b->mode;
	o->share = s->n;
	o->scrap = s->scrap;
	MM_TRY(slice(d, s, o, &p->list, why));
	return build_papers(d, b, o, p, why);
}

static enum mm_err
encode_as(struct mm_work_order *o, const struct mm_work_order *numbers,
    struct mm_buf *out, struct mm_why *why)
{
	o->number = numbers->number;
	o->made_ms = numbers->made_ms;
	memcpy(o->previous, numbers->previous, 32);
	return mm_work_order_encode(o, out, why);
}

/* ---- the newest one, as it is stored ---- */

static void
order_id(const char *station, const char *batch, char id[MM_DOC_ID_MAX + 1])
{
	snprintf(id, MM_DOC_ID_MAX + 1, "%s/%s", station, batch);
}

/* see production_priv.h */
enum mm_err
mm_desk_order_stored(struct mm_desk *d, const char *station, const char *batch,
    struct mm_buf *note, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	MM_OWN(mm_json_free) json_t *v = NULL;
	char id[MM_DOC_ID_MAX + 1];
	uint64_t version;
	enum mm_err rc;

	order_id(station, batch, id);
	rc = mm_get_doc(d->r, MM_DOC_ORDER, id, &version, &body, NULL);
	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	v = json_loadb((const char *)body.p, body.n, JSON_DECODE_ANY, NULL);
	if (json_is_string(v))
		mm_buf_put(note, json_string_value(v), json_string_length(v));
	return mm_buf_ok(note, why);
}

/* Which batch each number was for: what was made by it says the number. */
static enum mm_err
note_number(struct mm_desk *d, const struct mm_station *s, const char *batch,
    struct mm_why *why)
{
	char id[MM_DOC_ID_MAX + 1], body[MM_NOTED_TEXT];
	uint8_t hash[32];
	struct mm_op op;
	enum mm_err rc;

	mm_order_number_id(s->id, s->last.number, id);
	mm_sha256(mm_bytes_of(batch), hash);
	mm_noted_op(id, hash, body, &op);
	rc = mm_desk_docs_put(d, &op, 1, NULL);
	return rc == MM_OK || rc == MM_ECONFLICT
		   ? MM_OK
		   : MM_FAIL(why, rc,
			 "order %lld of station %s cannot be noted",
			 (long long)s->last.number, s->id);
}

/* see production_priv.h */
void
mm_order_number_id(
    const char *station, int64_t number, char id[MM_DOC_ID_MAX + 1])
{
	snprintf(id, MM_DOC_ID_MAX + 1, "order:%.32s/%lld", station,
	    (long long)number);
}

static enum mm_err
keep(struct mm_desk *d, const char *station, const char *batch,
    struct mm_bytes note, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	struct mm_op_doc doc = { .kind = MM_DOC_ORDER, .expect = MM_DOC_ANY };
	struct mm_json j = mm_json_over(&body);

	mm_json_strn(&j, NULL, note);
	MM_TRY(mm_buf_ok(&body, why));
	order_id(station, batch, doc.id);
	doc.body = mm_buf_view(&body);
	return mm_desk_doc_put(d, &doc, NULL, 0, why);
}

/* The stored order, parsed; NULL: there is none, or none that is one. */
static struct mm_work_order *
parse_stored(const struct mm_buf *note)
{
	struct mm_work_order *o = NULL;
	struct mm_bytes text;

	if (note->n == 0 ||
	    mm_note_text(mm_buf_view(note), &text, NULL) != MM_OK ||
	    mm_work_order_parse(text, &o, NULL) != MM_OK)
		return NULL;
	return o;
}

static enum mm_err
says_the_same(struct mm_work_order *o, const struct mm_work_order *old,
    const struct mm_buf *note, bool *same, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf again = MM_BUF_INIT(MM_WORK_TEXT_MAX);
	struct mm_bytes text;

	*same = false;
	if (old == NULL ||
	    mm_note_text(mm_buf_view(note), &text, NULL) != MM_OK)
		return MM_OK;
	MM_TRY(encode_as(o, old, &again, why));
	*same = mm_bytes_eq(mm_buf_view(&again), text);
	return MM_OK;
}

/* ---- signing ---- */

static enum mm_err
sign(struct mm_desk *d, bool extension, struct mm_bytes text,
    struct mm_buf *out, struct mm_why *why)
{
	struct mm_order_sign_req req = { extension, text };
	struct mm_order_sign_rep rep;
	enum mm_err rc;

	mm_wire_lock(d->c->wire, MM_LINE_OPS);
	rc = mm_wire_call(d->c->wire, MM_LINE_OPS, MM_IPC_ORDER_SIGN, &req,
	    &rep, &d->frame, why);
	if (rc == MM_OK)
		mm_buf_bytes(out, rep.note);
	mm_wire_unlock(d->c->wire, MM_LINE_OPS);
	MM_TRY(rc);
	return mm_buf_ok(out, why);
}

/* The station's record, with the entry: before anything is signed, because a
 * signature that nobody entered could not be explained. */
static enum mm_err
enter(struct mm_desk *d, struct mm_station *s, const struct mm_entry *e,
    struct mm_why *why)
{
	enum mm_err rc;

	/* promise 8: what cannot be entered is not signed */
	if (!d->c->store_ok)
		return MM_FAIL(why, MM_EAGAIN, "the store is away");
	rc = mm_station_store(d, s, e, why);
	return rc == MM_ESTALE ? MM_ECONFLICT : rc;
}

static enum mm_err
enter_order(struct mm_desk *d, const struct mm_login *by,
    const struct mm_production *b, struct mm_station *s, struct mm_why *why)
{
	char number[24], hex[65];
	const struct mm_entry e = { .type = MM_E_ORDER_SIGNED,
		.field = { [MM_F_ACTOR] = by->id,
		    [MM_F_BATCH] = b->id,
		    [MM_F_STATION] = s->id,
		    [MM_F_NUMBER] = number,
		    [MM_F_DETAIL_SHA256] = hex } };

	snprintf(number, sizeof(number), "%lld", (long long)s->last.number);
	mm_hex_text(s->last.hash, 32, hex);
	return enter(d, s, &e, why);
}

static enum mm_err
make(struct mm_desk *d, const struct mm_login *by,
    const struct mm_production *b, struct mm_station *s,
    struct mm_work_order *o, struct mm_buf *note, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(MM_WORK_TEXT_MAX);
	struct mm_work_order numbers = { .number = s->last.number + 1,
		.made_ms = mm_now_ms() };

	memcpy(numbers.previous, s->last.hash, 32);
	MM_TRY(encode_as(o, &numbers, &text, why));
	s->last.number = numbers.number;
	mm_sha256(mm_buf_view(&text), s->last.hash);
	MM_TRY(enter_order(d, by, b, s, why));
	mm_buf_reset(note);
	MM_TRY(sign(d, false, mm_buf_view(&text), note, why));
	MM_TRY(note_number(d, s, b->id, why));
	return keep(d, s->id, b->id, mm_buf_view(note), why);
}

/* ---- the file ---- */

static enum mm_err
put_file(struct mm_bytes note, const struct papers *p, struct mm_buf *out,
    struct mm_why *why)
{
	const struct mm_buf *const all[] = { &p->list, &p->config, &p->fields };
	struct mm_bytes paper[3];
	size_t n = 0;

	for (size_t i = 0; i < 3; i++)
		if (all[i]->n > 0)
			paper[n++] = mm_buf_view(all[i]);
	return mm_work_file_encode(
	    note, mm_buf_view(&p->profiles), paper, n, out, why);
}

static bool
wants_line(const struct mm_work_order *old, const struct mm_line_ca *line,
    const struct mm_work_order *o)
{
	return o->mode == MM_WORK_OFFLINE && line != NULL &&
	    line->recipient.n > 0 && (old == NULL || old->ca_chain.n == 0);
}

/* see production.h */
enum mm_err
mm_desk_order(struct mm_desk *d, const struct mm_login *by,
    const struct mm_production *b, struct mm_station *s,
    const struct mm_line_ca *line, struct mm_buf *file, struct mm_why *why)
{
	MM_OWN(papers_done)
	struct papers p = { .list = MM_BUF_INIT(MM_PAPER_MAX),
		.config = MM_BUF_INIT(MM_PAPER_MAX),
		.fields = MM_BUF_INIT(MM_PAPER_CUT_MAX),
		.profiles = MM_BUF_INIT(MM_PAPER_MAX) };
	MM_OWN(mm_buf_done) struct mm_buf note = MM_BUF_INIT(MM_DOC_MAX);
	MM_OWN(mm_work_order_free) struct mm_work_order *old = NULL;
	MM_OWN(mm_line_buf_done) struct mm_line_buf buf = { .key = { 0 } };
	const struct mm_share *share = mm_production_share_of(b, s->id);
	struct mm_line_ca made;
	struct mm_work_order o;
	bool same;

	if (share == NULL)
		return MM_FAIL(why, MM_ENOTFOUND,
		    "batch %s has no share for "
		    "station %s",
		    b->id, s->id);
	/* the one that ends the batch takes its key away */
	if (s->removed && b->state != MM_WORK_CLOSED)
		return MM_FAIL(
		    why, MM_ECONFLICT, "station %s was removed", s->id);
	MM_TRY(build(d, b, share, &o, &p, why));
	MM_TRY(mm_desk_order_stored(d, s->id, b->id, &note, why));
	old = parse_stored(&note);
	if (line != NULL && o.mode == MM_WORK_OFFLINE &&
	    (old == NULL || old->ca_chain.n == 0))
		MM_TRY(mm_line_fits(d, &o, line, mm_buf_view(&p.profiles),
		    why));
	if (wants_line(old, line, &o)) {
		MM_TRY(mm_desk_line_make(d, by, &o, line->recipient, &buf,
		    &made, why));
		line = &made;
	} else if (line != NULL && line->recipient.n > 0) {
		MM_TRY(mm_desk_line_check(d, &o, line->recipient, why));
		line = NULL; /* it has one */
	}
	MM_TRY(mm_desk_line(d, by, old, line, &o, why));
	MM_TRY(says_the_same(&o, old, &note, &same, why));
	if (!same)
		MM_TRY(make(d, by, b, s, &o, &note, why));
	return put_file(mm_buf_view(&note), &p, file, why);
}

/* ---- extensions ---- */

static enum mm_err
enter_extension(struct mm_desk *d, const struct mm_login *by,
    const struct mm_work_extension *x, struct mm_bytes line,
    struct mm_station *s, struct mm_why *why)
{
	MM_OWN(mm_buf_done)
	struct mm_buf tbs =
	    MM_BUF_INIT(MM_WORK_EXTENSION_MAX + MM_ORIGIN_MAX + 64);
	char key[MM_ORIGIN_MAX + 1], number[24], share[24], hex[65];
	char until[MM_TIME_TEXT];
	const struct mm_entry e = { .type = MM_E_ORDER_EXTENDED,
		.field = { [MM_F_ACTOR] = by->id,
		    [MM_F_BATCH] = x->batch,
		    [MM_F_STATION] = s->id,
		    [MM_F_NUMBER] = number,
		    [MM_F_COUNT] = share,
		    [MM_F_NOT_AFTER] = until,
		    [MM_F_DETAIL_SHA256] = hex } };
	uint8_t hash[32];

	MM_TRY(mm_work_key_name(d->c->config->set.ledger_origin, key, why));
	mm_work_extension_tbs(line, key, &tbs);
	MM_TRY(mm_buf_ok(&tbs, why));
	mm_sha256(mm_buf_view(&tbs), hash);
	mm_hex_text(hash, 32, hex);
	mm_time_text(x->until_ms, until);
	snprintf(number, sizeof(number), "%lld", (long long)x->number);
	snprintf(share, sizeof(share), "%lld", (long long)x->share);
	return enter(d, s, &e, why);
}

static enum mm_err
may_extend(const struct mm_production *b, const struct mm_station *s,
    struct mm_why *why)
{
	if (s->removed)
		return MM_FAIL(
		    why, MM_ECONFLICT, "station %s was removed", s->id);
	return b->state == MM_WORK_OPEN
		   ? MM_OK
		   : MM_FAIL(why, MM_ECONFLICT, "batch %s is %s", b->id,
			 mm_work_state_words[b->state]);
}

/* see production.h */
enum mm_err
mm_desk_extension(struct mm_desk *d, const struct mm_login *by,
    const struct mm_production *b, struct mm_station *s, struct mm_buf *out,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf note = MM_BUF_INIT(MM_DOC_MAX);
	MM_OWN(mm_buf_done)
	struct mm_buf line = MM_BUF_INIT(MM_WORK_EXTENSION_MAX);
	MM_OWN(mm_work_order_free) struct mm_work_order *old = NULL;
	const struct mm_share *share = mm_production_share_of(b, s->id);
	struct mm_work_extension e = { .until_ms =
					   b->order->until_ms / 1000 * 1000 };

	MM_TRY(mm_desk_order_stored(d, s->id, b->id, &note, why));
	old = parse_stored(&note);
	if (share == NULL || old == NULL)
		return MM_FAIL(why, MM_ENOTFOUND,
		    "station %s has no order of "
		    "batch %s",
		    s->id, b->id);
	MM_TRY(may_extend(b, s, why));
	strcpy(e.batch, b->id);
	strcpy(e.station, s->id);
	e.number = old->number;
	e.share = share->n;
	MM_TRY(mm_work_extension_encode(&e, &line, why));
	MM_TRY(enter_extension(d, by, &e, mm_buf_view(&line), s, why));
	return sign(d, true, mm_buf_view(&line), out, why);
}

/* see production.h */
enum mm_err
mm_core_orders_key(struct mm_core *c, struct mm_buf *out, struct mm_why *why)
{
	char name[MM_ORIGIN_MAX + 1];
	struct mm_note_key key;
	uint8_t raw[32];

	pthread_mutex_lock(&c->lock);
	memcpy(raw, c->orders_key, sizeof(raw));
	pthread_mutex_unlock(&c->lock);
	if (mm_zero(raw, sizeof(raw)))
		return MM_FAIL(
		    why, MM_ENOTFOUND, "the signer has no key for work orders");
	MM_TRY(mm_work_key_name(c->config->set.ledger_origin, name, why));
	mm_note_key_make(&key, name, raw);
	mm_note_key_text(&key, out);
	return mm_buf_ok(out, why);
}
