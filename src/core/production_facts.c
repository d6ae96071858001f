#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/production_priv.h"
#include "line/initial.h"

/*
 * What a decision asks of a batch.  The few that are at work are kept as they
 * were read, by the version of their document: a list of serial numbers is
 * not sorted for each unit.
 */
enum {
	KEPT = MM_SCOPE_MOST, /* an import asks for those of a whole scope */
	PAPERS = 4,           /* of some megabytes each */
};
_Static_assert(KEPT >= MM_DESK_BATCHES, "production.h promises so many");

struct kept {
	struct mm_production *b;
	struct mm_roll roll;
	uint64_t used;
	uint64_t held; /* looked at while that was held */
};
struct papers { /* by their hashes, so they never are others */
	uint8_t config[32], table[32];
	struct mm_buf template, fields; /* fields: devices' secrets */
	struct mm_initial_index *index; /* of fields; NULL: there are none */
	uint64_t used;                  /* 0: there is nothing */
};
struct mm_batches {
	uint64_t clock;
	uint64_t hold; /* 0: none */
	struct kept kept[KEPT];
	struct papers papers[PAPERS];
};

/* see priv.h */
enum mm_err
mm_batches_new(struct mm_batches **out, struct mm_why *why)
{
	struct mm_batches *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return MM_FAIL(why, MM_ENOMEM, "batches: no memory");
	*out = k;
	return MM_OK;
}

static void
forget(struct kept *k)
{
	if (k->b != NULL)
		mm_roll_done(&k->roll);
	mm_production_free(&k->b);
}

static void
forget_papers(struct papers *p)
{
	mm_initial_index_free(&p->index);
	mm_buf_done(&p->template);
	mm_buf_wipe(&p->fields);
	*p = (struct papers){ .template = MM_BUF_INIT(MM_PAPER_MAX),
		.fields = MM_BUF_INIT(MM_PAPER_MAX) };
}

/* see priv.h */
void
mm_batches_free(struct mm_batches **owner)
{
	if (*owner == NULL)
		return;
	for (unsigned i = 0; i < KEPT; i++)
		forget(&(*owner)->kept[i]);
	for (unsigned i = 0; i < PAPERS; i++)
		forget_papers(&(*owner)->papers[i]);
	free(*owner);
	*owner = NULL;
}

/* The one of that name, or the one that was not used for longest. */
static struct kept *
place_of(struct mm_batches *all, const char *id)
{
	struct kept *k = all->kept, *oldest = k;

	for (unsigned i = 0; i < KEPT; i++, k++) {
		if (k->b != NULL && strcmp(k->b->id, id) == 0)
			return k;
		if (k->used < oldest->used)
			oldest = k;
	}
	return oldest;
}

static enum mm_err
read_anew(struct mm_store_reader *r, const struct mm_doc *doc, struct kept *k,
    struct mm_why *why)
{
	MM_OWN(mm_production_free) struct mm_production *b = NULL;

	forget(k);
	MM_TRY(mm_production_parse(doc, &b, why));
	MM_TRY(mm_roll_open(r, b->order, &k->roll, why));
	k->b = MM_MOVE(b);
	return MM_OK;
}

static enum mm_err
find(struct mm_batches *all, struct mm_store_reader *r, const char *id,
    struct kept **out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	struct kept *k = place_of(all, id);
	struct mm_doc doc = { .version = 0 };

	if (all->hold != 0 && k->held == all->hold && k->b != NULL &&
	    strcmp(k->b->id, id) == 0) {
		k->used = ++all->clock;
		*out = k;
		return MM_OK;
	}
	if (!mm_text_copy(doc.id, sizeof(doc.id), mm_bytes_of(id)))
		return MM_ENOTFOUND;
	MM_TRY(mm_get_doc(r, MM_DOC_BATCH, id, &doc.version, &body, NULL));
	doc.body = mm_buf_view(&body);
	if (k->b == NULL || strcmp(k->b->id, id) != 0 ||
	    k->b->version != doc.version)
		MM_TRY(read_anew(r, &doc, k, why));
	k->used = ++all->clock;
	k->held = all->hold;
	*out = k;
	return MM_OK;
}

static enum mm_err
look_at_unit(struct mm_store_reader *r, const char *batch, const char *device,
    bool *quarantined, struct mm_why *why)
{
	struct mm_made made;
	enum mm_err rc = mm_made_get(r, batch, device, &made, why);

	*quarantined = rc == MM_OK && made.result == MM_UNIT_QUARANTINED;
	return rc == MM_ENOTFOUND ? MM_OK : rc;
}

static enum mm_err
fill(struct mm_store_reader *r, const struct kept *k, const char *station,
    const char *device, struct mm_batch_facts *f, struct mm_why *why)
{
	struct mm_quota q;
	uint64_t index;

	f->found = true;
	f->order = k->b->order;
	f->state = k->b->state;
	f->version = k->b->version;
	f->has_serial = mm_roll_find(&k->roll, device, &index);
	f->shared = k->b->nshares > 0;
	f->offline = k->b->mode == MM_WORK_OFFLINE;
	f->has_share = mm_production_share_of(k->b, station) != NULL;
	MM_TRY(look_at_unit(r, k->b->id, device, &f->quarantined, why));
	MM_TRY(mm_quota_get(r, k->b, "", &q, why));
	f->made = q.made;
	f->most = q.most;
	if (!f->has_share)
		return MM_OK;
	MM_TRY(mm_quota_get(r, k->b, station, &q, why));
	f->station_made = q.made;
	f->station_most = q.most;
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_batches_facts(struct mm_batches *all, struct mm_store_reader *r,
    const struct mm_job *job, const char *device, struct mm_batch_facts *out,
    struct mm_why *why)
{
	struct kept *k;
	enum mm_err rc;

	strcpy(out->name, job->batch);
	strcpy(out->station, job->station);
	if (job->batch[0] == '\0')
		return MM_OK;
	rc = find(all, r, job->batch, &k, why);
	if (rc == MM_ENOTFOUND)
		return MM_OK;
	MM_TRY(rc);
	return fill(r, k, job->station, device, out, why);
}

/* see production.h */
enum mm_err
mm_desk_batch(struct mm_desk *d, const char *id,
    const struct mm_production **b, const struct mm_roll **roll,
    struct mm_why *why)
{
	struct kept *k;
	enum mm_err rc;

	if (d->batches == NULL)
		MM_TRY(mm_batches_new(&d->batches, why));
	rc = find(d->batches, d->r, id, &k, why);
	if (rc == MM_ENOTFOUND)
		return MM_FAIL(why, rc, "no such batch");
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	*b = k->b;
	*roll = &k->roll;
	return MM_OK;
}

/* see production.h */
void
mm_desk_batches_hold(struct mm_desk *d, bool on)
{
	if (d->batches == NULL && mm_batches_new(&d->batches, NULL) != MM_OK)
		return;
	d->batches->hold = on ? ++d->batches->clock : 0;
}

static enum mm_err
read_papers(struct mm_store_reader *r, const struct mm_work_order *o,
    struct papers *p, struct mm_why *why)
{
	MM_TRY(mm_paper_get(r, o->config_sha256, &p->template, why));
	if (!mm_zero(o->fields_sha256, 32)) {
		MM_TRY(mm_paper_get(r, o->fields_sha256, &p->fields, why));
		MM_TRY(mm_initial_index_new(mm_buf_view(&p->fields),
		    &p->index, why));
	}
	memcpy(p->config, o->config_sha256, 32);
	memcpy(p->table, o->fields_sha256, 32);
	return MM_OK;
}

/* Those, or the ones that were not used for longest. */
static struct papers *
papers_of(struct mm_batches *all, const struct mm_work_order *o)
{
	struct papers *p = all->papers, *oldest = p;

	for (unsigned i = 0; i < PAPERS; i++, p++) {
		if (p->used != 0 &&
		    memcmp(p->config, o->config_sha256, 32) == 0 &&
		    memcmp(p->table, o->fields_sha256, 32) == 0)
			return p;
		if (p->used < oldest->used)
			oldest = p;
	}
	forget_papers(oldest);
	return oldest;
}

/* see production.h */
enum mm_err
mm_desk_papers(struct mm_desk *d, const struct mm_work_order *o,
    struct mm_initial_of *of, struct mm_why *why)
{
	struct papers *p;

	if (d->batches == NULL)
		MM_TRY(mm_batches_new(&d->batches, why));
	p = papers_of(d->batches, o);
	if (p->used == 0)
		MM_TRY(read_papers(d->r, o, p, why));
	p->used = ++d->batches->clock;
	of->template = mm_buf_view(&p->template);
	of->fields = mm_buf_view(&p->fields);
	of->index = p->index;
	return MM_OK;
}
