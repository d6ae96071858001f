#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/sync_priv.h"

/* What a piece says of its units, for the record that their batch's report is
 * made of.  Their certificates do not depend on it. */

enum { BODY_MAX = 1024 };

struct round { /* documents of one commit, with their bodies */
	struct mm_op op[MM_DESK_DOCS];
	struct mm_buf body[MM_DESK_DOCS];
	size_t n;
};

static void
round_free(struct round **owner)
{
	struct round *d = MM_MOVE(*owner);

	for (size_t i = 0; d != NULL && i < d->n; i++)
		mm_buf_done(&d->body[i]);
	free(d);
}

/* NULL: out of memory. */
static struct mm_sync_news *
more(struct mm_sync *s)
{
	if (s->news == NULL)
		s->news = calloc(s->piece->n, sizeof(*s->news));
	return s->news == NULL ? NULL : &s->news[s->nnews];
}

/* The first of a piece stands. */
static bool
is_noted(const struct mm_sync *s, const char *batch, const char *serial)
{
	for (size_t i = 0; i < s->nnews; i++)
		if (strcmp(s->news[i].batch, batch) == 0 &&
		    strcmp(s->news[i].made.serial, serial) == 0)
			return true;
	return false;
}

static enum mm_err
add(struct mm_sync *s, const char *batch, const struct mm_made *m,
    struct mm_why *why)
{
	struct mm_sync_news *n;

	if (is_noted(s, batch, m->serial))
		return MM_OK;
	n = more(s);
	if (n == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	strcpy(n->batch, batch);
	n->made = *m;
	s->nnews++;
	return MM_OK;
}

/* see sync_priv.h */
enum mm_err
mm_sync_unit_aside(
    struct mm_sync *s, const struct mm_sync_unit *u, struct mm_why *why)
{
	struct mm_made m = { .result = MM_UNIT_QUARANTINED, .at = u->e.at_ms };
	struct mm_made have;
	enum mm_err rc;

	if (!u->of_the_share)
		return MM_OK;
	rc = mm_made_get(s->d->r, u->batch->b->id, u->row.device, &have, why);
	if (rc != MM_ENOTFOUND)
		return rc;
	strcpy(m.serial, u->row.device);
	strcpy(m.station, s->station->id);
	memcpy(m.spki, u->row.spki_sha256, 32);
	strcpy(m.reason, "sync");
	return add(s, u->batch->b->id, &m, why);
}

/* see sync_priv.h */
enum mm_err
mm_sync_unit_proved(struct mm_sync *s, const char *batch,
    const struct mm_cert_row *row, int64_t at, struct mm_why *why)
{
	struct mm_made m;
	enum mm_err rc;

	if (!mm_name_valid(batch))
		return MM_OK;
	rc = mm_made_get(s->d->r, batch, row->device, &m, why);
	if (rc != MM_OK)
		return rc == MM_ENOTFOUND ? MM_OK : rc;
	if (m.result != MM_UNIT_ISSUED ||
	    strcmp(m.station, s->station->id) != 0 ||
	    memcmp(m.spki, row->spki_sha256, 32) != 0)
		return MM_OK;
	m.result = MM_UNIT_PASSED;
	m.at = at;
	return add(s, batch, &m, why);
}

static enum mm_err
fill(struct round *d, const struct mm_sync_news *n, struct mm_why *why)
{
	struct mm_op_doc *doc = &d->op[d->n].u.doc;
	struct mm_buf *body = &d->body[d->n++];

	mm_buf_init(body, BODY_MAX);
	mm_made_put(&n->made, body);
	*doc = (struct mm_op_doc){ .kind = MM_DOC_UNIT,
		.expect = n->made.version,
		.body = mm_buf_view(body) };
	mm_made_id(n->batch, n->made.serial, doc->id);
	return mm_buf_ok(body, why);
}

static enum mm_err
write_round(struct mm_sync *s, size_t from, size_t *to, struct mm_why *why)
{
	MM_OWN(round_free) struct round *d = calloc(1, sizeof(*d));
	enum mm_err rc;

	if (d == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	for (*to = from; *to < s->nnews && d->n < MM_DESK_DOCS; ++*to)
		MM_TRY(fill(d, &s->news[*to], why));
	rc = mm_desk_docs_put(s->d, d->op, d->n, why);
	return rc == MM_ESTALE || rc == MM_ECONFLICT
		   ? MM_FAIL(why, MM_EAGAIN,
			 "somebody told of the same units meanwhile: once more")
		   : rc;
}

/* see sync_priv.h */
enum mm_err
mm_sync_units(struct mm_sync *s, struct mm_why *why)
{
	for (size_t at = 0; at < s->nnews;)
		MM_TRY(write_round(s, at, &at, why));
	return MM_OK;
}
