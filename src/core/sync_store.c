#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/sync_priv.h"

/* What becomes of a piece, in the store. */

MM_FREE_FN(list_free, struct mm_op *, free)

static void
number_text(uint64_t v, char out[24])
{
	snprintf(out, 24, "%" PRIu64, v);
}

/* ---- units that fit ---- */

static enum mm_err
fill_device(struct mm_sync *s, struct mm_sync_unit *u, struct mm_why *why)
{
	struct mm_papers p = mm_papers_over(&u->papers[0]);
	const struct mm_entry e = { .type = MM_E_DEVICE_CREATED,
		.field = { [MM_F_ACTOR] = s->by->id,
		    [MM_F_DEVICE] = u->row.device,
		    [MM_F_PRODUCT] = u->row.product,
		    [MM_F_BATCH] = u->batch->b->id,
		    [MM_F_STATION] = s->station->id } };
	struct mm_device *row = &u->device.u.device.row;

	u->device = (struct mm_op){ .kind = MM_OP_DEVICE_PUT };
	strcpy(row->id, u->row.device);
	strcpy(row->product, u->row.product);
	row->created_at = mm_now_ms();
	mm_papers_add(&p, &e);
	return mm_papers_seal(&p, &u->device, why);
}

static void
fill_share(struct mm_sync *s, struct mm_sync_unit *u)
{
	const struct mm_sync_batch *k = u->batch;
	struct mm_made m = { .result = MM_UNIT_ISSUED, .at = u->e.at_ms };

	strcpy(m.station, s->station->id);
	memcpy(m.spki, u->row.spki_sha256, 32);
	mm_buf_reset(&u->made);
	mm_made_put(&m, &u->made);
	u->share = (struct mm_op_share){ .version = k->b->version,
		.most = u->over ? INT64_MAX : (uint64_t)k->most,
		.station_most = u->over ? INT64_MAX : (uint64_t)k->station_most,
		.unit = mm_buf_view(&u->made) };
	strcpy(u->share.batch, k->b->id);
	snprintf(u->share.place, sizeof(u->share.place), "%s/%s", k->b->id,
	    k->share != NULL ? s->station->id : "");
}

/* A supervisor's word goes with the certificate: the one is not there without
 * the other. */
static void
add_release(struct mm_sync *s, struct mm_sync_unit *u, struct mm_papers *p)
{
	const struct mm_entry e = { .type = MM_E_UNIT_RELEASED,
		.field = { [MM_F_ACTOR] = s->by->id,
		    [MM_F_BATCH] = u->batch->b->id,
		    [MM_F_STATION] = s->station->id,
		    [MM_F_DEVICE] = u->row.device,
		    [MM_F_SERIAL] = mm_sync_field(u, MM_F_SERIAL),
		    [MM_F_NUMBER] = s->release->number,
		    [MM_F_ORIGIN] = s->release->ledger,
		    [MM_F_REASON] = s->release->reason,
		    [MM_F_DETAIL_SHA256] = s->release->note_sha256 } };

	mm_papers_add(p, &e);
}

/* When it was made the certificate says; a row's time is that of its entry,
 * so that rows stand in the order of their times. */
static enum mm_err
fill_issue(struct mm_sync *s, struct mm_sync_unit *u, struct mm_why *why)
{
	struct mm_papers p = mm_papers_over(&u->papers[1]);
	struct mm_entry e = { .type = MM_E_CERT_SYNCED };
	struct mm_cert_texts t;
	char number[24], hex[65];
	uint8_t hash[32];

	u->op = (struct mm_op){ .kind = MM_OP_ISSUE };
	u->row.issued_at = mm_now_ms();
	u->row.key_type = (uint8_t)(1 + u->c.spki.type);
	snprintf(u->row.authority, sizeof(u->row.authority), "order:%.24s/%s",
	    u->batch->b->id, u->row.device);
	fill_share(s, u);
	mm_entry_cert(&e, &t, &u->row, "");
	number_text(u->index, number);
	e.at_ms = u->row.issued_at;
	e.field[MM_F_ACTOR] = s->by->id;
	e.field[MM_F_BATCH] = u->batch->b->id;
	e.field[MM_F_STATION] = s->station->id;
	e.field[MM_F_NUMBER] = number;
	e.field[MM_F_CONFIG_VERSION] = u->e.field[MM_F_CONFIG_VERSION];
	if (u->mark[0] != '\0')
		e.field[MM_F_CONFIG_SHA256] = u->mark;
	mm_sha256(u->line->json, hash);
	mm_hex_text(hash, 32, hex);
	e.field[MM_F_DETAIL_SHA256] = hex;
	mm_papers_add(&p, &e);
	if (s->release != NULL)
		add_release(s, u, &p);
	u->op.u.issue = (struct mm_op_issue){
		.row = u->row, .der = u->line->der, .share = &u->share
	};
	MM_TRY(mm_papers_seal(&p, &u->op, why));
	return mm_buf_ok(&u->made, why);
}

static bool
fits(const struct mm_sync_unit *u)
{
	return u->fault[0] == '\0' && !u->known && !u->stored;
}

/* Devices go first: a certificate wants its own to be there. */
static enum mm_err
write_devices(struct mm_sync *s, struct mm_op **list, struct mm_why *why)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++) {
		struct mm_sync_unit *u = &s->unit[i];

		if (!fits(u) || !u->new_device)
			continue;
		MM_TRY(fill_device(s, u, why));
		list[n++] = &u->device;
	}
	/* what comes of one that is there meanwhile, its certificate tells */
	return n == 0 ? MM_OK : mm_desk_write(s->d, list, n, why);
}

/* A batch that an operator changed meanwhile is read again with the next try;
 * all else is told as it stands now. */
static enum mm_err
refused(struct mm_sync *s, struct mm_sync_unit *u, struct mm_why *why)
{
	MM_OWN(mm_production_free) struct mm_production *now = NULL;
	const struct mm_production *b = u->batch->b;

	MM_TRY(mm_production_get(s->d->r, b->id, &now, why));
	if (now->version != b->version)
		return MM_FAIL(why, MM_EAGAIN,
		    "batch %s was changed meanwhile: once more", b->id);
	if (u->op.result != MM_ECONFLICT && u->op.result != MM_ENOTFOUND &&
	    u->op.result != MM_EINPUT)
		return MM_FAIL(why, u->op.result, "%s", u->op.why.text);
	MM_TRY(mm_sync_judge(s, u, why));
	if (u->fault[0] == '\0' && !u->known) {
		u->code = MM_SYNC_MEANWHILE;
		snprintf(u->fault, sizeof(u->fault), "%s", u->op.why.text);
	}
	return MM_OK;
}

static enum mm_err
write_certificates(struct mm_sync *s, struct mm_op **list, struct mm_why *why)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++) {
		struct mm_sync_unit *u = &s->unit[i];

		if (!fits(u))
			continue;
		MM_TRY(fill_issue(s, u, why));
		list[n++] = &u->op;
	}
	if (n > 0)
		MM_TRY(mm_desk_write(s->d, list, n, why));
	for (size_t i = 0; i < s->nbatches; i++)
		s->batch[i].fits = 0;
	for (size_t i = 0; i < s->n; i++) {
		struct mm_sync_unit *u = &s->unit[i];

		if (!fits(u))
			continue;
		if (u->op.result == MM_OK)
			u->stored = true;
		else
			MM_TRY(refused(s, u, why));
	}
	return MM_OK;
}

/* see sync_priv.h */
enum mm_err
mm_sync_store(struct mm_sync *s, struct mm_why *why)
{
	MM_OWN(list_free)
	struct mm_op **list = calloc(s->n + 1, sizeof(struct mm_op *));

	if (list == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	MM_TRY(write_devices(s, list, why));
	return write_certificates(s, list, why);
}

/* ---- the end of a piece ---- */

/* see sync_priv.h */
enum mm_err
mm_sync_end(struct mm_sync *s, const struct mm_synced *before,
    const struct mm_sync_heads *heads, struct mm_why *why)
{
	MM_TRY(mm_sync_asides(s, why));
	MM_TRY(mm_sync_copy(s, why));
	return mm_sync_through(s, before, heads, why);
}
