#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/own.h"
#include "base/time.h"
#include "server/deliver.h"

/* The delivery thread's documents. */
enum { TEXT_MAX = 512, COUNT_MS = 60000 };
_Static_assert(MM_HOOK_BATCH < MM_DESK_DOCS, "a parcel is put at once");

/* Small documents that are written together. */
struct docs {
	struct mm_op op[MM_HOOK_BATCH + 1];
	struct mm_buf text[MM_HOOK_BATCH + 1];
	size_t n;
};

static struct docs *
docs_new(void)
{
	struct docs *s = calloc(1, sizeof(*s));

	for (size_t i = 0; s != NULL && i <= MM_HOOK_BATCH; i++)
		mm_buf_init(&s->text[i], TEXT_MAX);
	return s;
}

static void
docs_free(struct docs **owner)
{
	struct docs *s = MM_MOVE(*owner);

	for (size_t i = 0; s != NULL && i <= MM_HOOK_BATCH; i++)
		mm_buf_done(&s->text[i]);
	free(s);
}

/* The next one's body; its id is the caller's to write. */
static struct mm_buf *
docs_add(struct docs *s, const char *id)
{
	struct mm_op *op = &s->op[s->n];

	op->u.doc.kind = MM_DOC_DELIVERY;
	op->u.doc.expect = MM_DOC_ANY;
	(void)!mm_text_copy(op->u.doc.id, sizeof(op->u.doc.id),
	    mm_bytes_of(id));
	return &s->text[s->n++];
}

static enum mm_err
docs_run(struct mm_deliver *d, struct docs *s, struct mm_why *why)
{
	for (size_t i = 0; i < s->n; i++) {
		MM_TRY(mm_buf_ok(&s->text[i], why));
		s->op[i].u.doc.body = mm_buf_view(&s->text[i]);
	}
	return mm_desk_docs_put(d->desk, s->op, s->n, why);
}

/* ---- progress ---- */

/* see deliver.h */
void
mm_deliver_save(struct mm_deliver *d)
{
	MM_OWN(docs_free) struct docs *s = NULL;
	struct mm_why why = { 0 };

	if (!mm_core_delivers(d->s->core))
		return; /* another node may have gone on from where it stood */
	for (struct mm_run *r = d->runs; r != NULL; r = r->next) {
		if (!r->dirty)
			continue;
		if (s == NULL && (s = docs_new()) == NULL)
			return;
		if (s->n <= MM_HOOK_BATCH)
			mm_hook_progress_encode(&r->at,
			    docs_add(s, r->hook.id));
	}
	if (s == NULL)
		return;
	if (docs_run(d, s, &why) != MM_OK) {
		MM_LOG(MM_LOG_WARN, "webhooks", MM_S("why", why.text));
		return;
	}
	for (struct mm_run *r = d->runs; r != NULL; r = r->next)
		r->dirty = false;
}

static enum mm_err
read_progress(struct mm_deliver *d, struct mm_run *r, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	uint64_t version;
	enum mm_err rc = mm_get_doc(mm_desk_reader(d->desk), MM_DOC_DELIVERY,
	    r->hook.id, &version, &body, NULL);

	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	return mm_hook_progress_parse(mm_buf_view(&body), &r->at, why);
}

/* ---- documents that have lost their webhook ---- */

struct ids {
	size_t n;
	char id[MM_HOOK_BATCH][MM_DOC_ID_MAX + 1];
};

static enum mm_err
take_id(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct ids *ids = ctx;
	const struct mm_doc *doc = row;

	(void)next;
	(void)why;
	if (ids->n < MM_HOOK_BATCH)
		strcpy(ids->id[ids->n++], doc->id);
	return MM_OK;
}

static enum mm_err
drop_some(struct mm_deliver *d, const struct ids *ids, struct mm_why *why)
{
	MM_OWN(docs_free) struct docs *s = docs_new();

	if (s == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	for (size_t i = 0; i < ids->n; i++)
		(void)docs_add(s, ids->id[i]);
	return docs_run(d, s, why);
}

/* A removed webhook's dead letters, and then its progress. */
static enum mm_err
drop_all(struct mm_deliver *d, const char *hook, struct mm_why *why)
{
	const struct mm_list l = { .most = MM_HOOK_BATCH, .state = -1 };
	struct ids ids;
	bool more;

	do {
		ids.n = 0;
		MM_TRY(mm_list_docs(mm_desk_reader(d->desk), MM_DOC_DELIVERY,
		    hook, &l, take_id, &ids, why));
		more = ids.n == MM_HOOK_BATCH;
		if (!more)
			strcpy(ids.id[ids.n++], hook);
		MM_TRY(drop_some(d, &ids, why));
	} while (more);
	return MM_OK;
}

/* ---- loading ---- */

static struct mm_run *
find(struct mm_deliver *d, const char *id)
{
	struct mm_run *r = d->runs;

	while (r != NULL && strcmp(r->hook.id, id) != 0)
		r = r->next;
	return r;
}

/* Anything under way is collected anew, as the webhook is now. */
static void
change(struct mm_run *r, const struct mm_hook *h)
{
	if (h->version == r->hook.version)
		return;
	if (h->epoch != r->at.epoch) {
		r->at = (struct mm_hook_progress){ .next = h->from,
			.epoch = h->epoch };
		r->dirty = true;
	}
	r->hook = *h;
	mm_run_drop(r);
	r->live.at = r->at;
	r->live.state = h->state;
	r->live.oldest_at = 0;
}

static enum mm_err
begin(struct mm_deliver *d, const struct mm_hook *h, struct mm_why *why)
{
	MM_OWN(mm_run_free) struct mm_run *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	r->seen = true;
	strcpy(r->hook.id, h->id);
	mm_buf_init(&r->parcel.body, MM_IPC_FRAME_MAX);
	MM_TRY(read_progress(d, r, why));
	d->count_at = 0;
	change(r, h);
	r->next = d->runs;
	d->runs = MM_MOVE(r);
	return MM_OK;
}

static enum mm_err
load_one(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct mm_deliver *d = ctx;
	const struct mm_doc *doc = row;
	struct mm_hook h;
	struct mm_run *r;

	(void)next;
	MM_TRY(mm_hook_parse(doc, &h, why));
	r = find(d, h.id);
	if (r == NULL)
		return begin(d, &h, why);
	r->seen = true;
	change(r, &h);
	return MM_OK;
}

/* Those that are no webhooks any more, out of the list. */
static struct mm_run *
take_gone(struct mm_deliver *d)
{
	struct mm_run **at = &d->runs, *r, *gone = NULL;

	while ((r = *at) != NULL) {
		if (r->seen) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		r->next = gone;
		gone = r;
	}
	return gone;
}

/* What cannot be dropped now is found as lost. */
static void
forget_gone(struct mm_deliver *d, struct mm_run *gone)
{
	struct mm_run *next;

	for (; gone != NULL; gone = next) {
		next = gone->next;
		if (d->delivers && drop_all(d, gone->hook.id, NULL) != MM_OK)
			d->looked_for_lost = false;
		mm_run_free(&gone);
	}
}

static enum mm_err
load(struct mm_deliver *d, struct mm_run **gone, struct mm_why *why)
{
	const struct mm_list l = { .most = MM_HOOKS_MOST * 2, .state = -1 };

	for (struct mm_run *r = d->runs; r != NULL; r = r->next)
		r->seen = false;
	MM_TRY(mm_list_docs(mm_desk_reader(d->desk), MM_DOC_WEBHOOK, "", &l,
	    load_one, d, why));
	*gone = take_gone(d);
	return MM_OK;
}

/* ---- what only the node that delivers looks at ---- */

static enum mm_err
whose(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_doc *doc = row;

	(void)next, (void)why;
	snprintf(ctx, MM_HOOK_ID, "%.19s", doc->id);
	return MM_OK;
}

/* One that is not in our list may be new: only the document knows. */
static enum mm_err
drop_lost(struct mm_deliver *d, const char *hook, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	uint64_t version;
	enum mm_err rc = mm_get_doc(mm_desk_reader(d->desk), MM_DOC_WEBHOOK,
	    hook, &version, &body, NULL);

	if (rc == MM_ENOTFOUND)
		return drop_all(d, hook, why);
	return rc == MM_OK ? MM_OK :
	    MM_FAIL(why, rc, "the store cannot be read");
}

/* Progress and dead letters of webhooks that were removed just before the
 * server ended: looked for once, from each webhook's first document on to the
 * next one's, whose letters come after '.', the byte before '/'. */
static enum mm_err
look_for_lost(struct mm_deliver *d, struct mm_why *why)
{
	struct mm_list l = { .most = 1, .state = -1 };
	char hook[MM_HOOK_ID];

	for (;;) {
		hook[0] = '\0';
		MM_TRY(mm_list_docs(mm_desk_reader(d->desk), MM_DOC_DELIVERY,
		    "", &l, whose, hook, why));
		if (hook[0] == '\0')
			break;
		if (find(d, hook) == NULL)
			MM_TRY(drop_lost(d, hook, why));
		snprintf(l.after, sizeof(l.after), "%s/", hook);
	}
	d->looked_for_lost = true;
	return MM_OK;
}

/* see hook.h */
enum mm_err
mm_deliver_letters(struct mm_store_reader *r, const char *hook, unsigned *n,
    struct mm_why *why)
{
	char prefix[MM_HOOK_ID + 1];

	snprintf(prefix, sizeof(prefix), "%s.", hook);
	return mm_count_docs(r, MM_DOC_DELIVERY, prefix, MM_HOOK_DEAD_MOST,
	    n, why);
}

/* From then on what is buried and delivered after all changes the number;
 * another node may have delivered one, too. */
static enum mm_err
count_dead(struct mm_deliver *d, struct mm_why *why)
{
	for (struct mm_run *r = d->runs; r != NULL; r = r->next) {
		unsigned n;

		MM_TRY(mm_deliver_letters(mm_desk_reader(d->desk), r->hook.id,
		    &n, why));
		pthread_mutex_lock(&d->lock);
		r->live.dead = n;
		pthread_mutex_unlock(&d->lock);
	}
	d->count_at = mm_core_shared(d->s->core) ? mm_mono_ms() + COUNT_MS
						 : INT64_MAX;
	return MM_OK;
}

/* see deliver.h */
enum mm_err
mm_deliver_load(struct mm_deliver *d, struct mm_why *why)
{
	struct mm_run *gone = NULL;
	enum mm_err rc;

	pthread_mutex_lock(&d->lock);
	rc = load(d, &gone, why);
	pthread_mutex_unlock(&d->lock);
	forget_gone(d, gone);
	if (rc == MM_OK && d->delivers && !d->looked_for_lost)
		rc = look_for_lost(d, why);
	if (rc == MM_OK && d->delivers && mm_mono_ms() >= d->count_at)
		rc = count_dead(d, why);
	return rc;
}

/* ---- dead letters ---- */

static void
put_letter(struct mm_buf *out, const struct mm_run *r, uint64_t index,
    const char *text)
{
	struct mm_json j = mm_json_over(out);

	mm_json_open(&j, '{');
	mm_json_int(&j, "index", (int64_t)index);
	mm_json_str(&j, "webhook_id", r->parcel.id);
	mm_json_time(&j, "at", mm_now_ms());
	mm_json_int(&j, "attempts", r->at.attempts);
	mm_json_str(&j, "why", text);
	mm_json_close(&j, '}');
}

/* see deliver.h; letters and cursor in one commit */
enum mm_err
mm_deliver_bury(struct mm_deliver *d, struct mm_run *r, const char *text,
    struct mm_why *why)
{
	MM_OWN(docs_free) struct docs *s = docs_new();
	struct mm_hook_progress after = r->at;
	char id[MM_DOC_ID_MAX + 1];

	if (s == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	for (unsigned i = 0; i < r->n; i++) {
		mm_hook_letter_id(r->hook.id, r->index[i], id);
		put_letter(docs_add(s, id), r, r->index[i], text);
	}
	after.next = (int64_t)r->after;
	after.attempts = 0;
	mm_hook_progress_encode(&after, docs_add(s, r->hook.id));
	MM_TRY(docs_run(d, s, why));
	r->at = after;
	pthread_mutex_lock(&d->lock);
	r->live.dead += r->n;
	pthread_mutex_unlock(&d->lock);
	return MM_OK;
}

/* see deliver.h */
enum mm_err
mm_deliver_unbury(struct mm_deliver *d, const char *hook, uint64_t index,
    struct mm_why *why)
{
	MM_OWN(docs_free) struct docs *s = docs_new();
	char id[MM_DOC_ID_MAX + 1];
	struct mm_run *r;

	if (s == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	mm_hook_letter_id(hook, index, id);
	(void)docs_add(s, id);
	MM_TRY(docs_run(d, s, why));
	pthread_mutex_lock(&d->lock);
	r = find(d, hook);
	if (r != NULL && r->live.dead > 0 && s->op[0].result == MM_OK)
		r->live.dead--;
	pthread_mutex_unlock(&d->lock);
	return MM_OK;
}

/* ---- disabling ---- */

/* see deliver.h */
enum mm_err
mm_deliver_disable(struct mm_deliver *d, struct mm_run *r, const char *reason,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	struct mm_hook h = r->hook;
	struct mm_op_doc doc = { .kind = MM_DOC_WEBHOOK,
		.expect = h.version };
	const struct mm_entry e[] = {
		{ .type = MM_E_WEBHOOK_DISABLED, .field = {
		    [MM_F_WEBHOOK] = h.id, [MM_F_REASON] = reason } },
		{ .type = MM_E_ALERT, .field = {
		    [MM_F_WEBHOOK] = h.id,
		    [MM_F_REASON] = "webhook-disabled" } },
	};

	h.state = MM_HOOK_DISABLED;
	strcpy(h.reason, reason);
	strcpy(doc.id, h.id);
	mm_hook_encode(&h, &body);
	MM_TRY(mm_buf_ok(&body, why));
	doc.body = mm_buf_view(&body);
	MM_TRY(mm_desk_doc_put(d->desk, &doc, e, 2, why));
	h.version = doc.version;
	MM_LOG(MM_LOG_ERROR, "webhook.disabled", MM_S("webhook", h.id),
	    MM_S("reason", reason));
	r->hook = h;
	mm_run_drop(r);
	return MM_OK;
}
