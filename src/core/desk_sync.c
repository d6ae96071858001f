#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/faults.h"
#include "base/own.h"
#include "core/sync_priv.h"

MM_FREE_FN(units_free, struct mm_sync_unit, free)

/* ---- its units ---- */

/* see sync_priv.h */
bool
mm_sync_parse(const struct mm_sync_line *l, struct mm_sync_unit *u)
{
	size_t n = l->json.n + 64;

	u->texts = malloc(n);
	return u->texts != NULL &&
	       mm_entry_parse(l->json, u->texts, n, &u->e, NULL) == MM_OK;
}

/* see sync_priv.h */
void
mm_sync_take_issuance(struct mm_sync *s, uint64_t index,
    const struct mm_sync_line *l, struct mm_sync_unit *u)
{
	u->index = index;
	u->line = l;
	for (unsigned i = 0; i < 2; i++)
		mm_buf_init(&u->papers[i], 2 * MM_ENTRY_MAX);
	mm_buf_init(&u->made, 4096);
	s->n++;
}

/* see sync_priv.h */
void
mm_sync_done(struct mm_sync *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->unit[i].texts);
		for (unsigned k = 0; k < 2; k++)
			mm_buf_done(&s->unit[i].papers[k]);
		mm_buf_done(&s->unit[i].made);
	}
	units_free(&s->unit);
	free(s->news);
	free(s->late);
	mm_sync_batches_done(s);
	mm_key_templates_free(&s->templates);
}

/* No key vouches for what stands beside an entry: whoever carries the file can
 * change it, so that it says nothing of the unit. */
static enum mm_err
check_beside(const struct mm_sync *s, const struct mm_sync_unit *u,
    uint64_t index, const struct mm_sync_line *l, struct mm_why *why)
{
	const char *what = mm_export_damage(&u->e, l->der, l->proof);

	return what == NULL ? MM_OK
			    : MM_FAIL(why, MM_EINPUT,
				  "entries: %s of entry %" PRIu64
				  " of station %s is missing, or not what was "
				  "entered: damaged on its way",
				  what, index, s->station->id);
}

/* Issuances become units; what is no entry of a station's is put aside. */
static enum mm_err
take_line(struct mm_sync *s, size_t i, struct mm_why *why)
{
	const struct mm_sync_line *l = &s->piece->line[i];
	struct mm_sync_unit *u = &s->unit[s->n];
	uint64_t index = s->piece->before.size + i;
	bool good = mm_sync_parse(l, u);
	enum mm_err rc = good ? check_beside(s, u, index, l, why) : MM_OK;

	if (good && mm_entry_brings_cert(u->e.type)) {
		mm_sync_take_issuance(s, index, l, u);
		return rc;
	}
	if (!good)
		mm_sync_put_aside(
		    s, &(struct mm_sync_aside){ index, "", "",
			   "an entry that is not in its form", MM_SYNC_FORM });
	else if (!mm_export_may_hold(u->e.type, index))
		mm_sync_put_aside(
		    s, &(struct mm_sync_aside){ index, "", "",
			   "an entry that no station writes", MM_SYNC_FORM });
	free(u->texts);
	*u = (struct mm_sync_unit){ .index = 0 };
	return rc;
}

static enum mm_err
take_lines(struct mm_sync *s, struct mm_why *why)
{
	s->unit = calloc(s->piece->n + 1, sizeof(*s->unit));
	if (s->unit == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	for (size_t i = 0; i < s->piece->n; i++)
		MM_TRY(take_line(s, i, why));
	return MM_OK;
}

static enum mm_err
judge_all(struct mm_sync *s, struct mm_why *why)
{
	for (size_t i = 0; i < s->n; i++) {
		struct mm_sync_unit *u = &s->unit[i];

		MM_TRY(mm_sync_judge(s, u, why));
		if (u->fault[0] == '\0' && !u->known)
			u->batch->fits++;
	}
	return MM_OK;
}

static enum mm_err
count_units(struct mm_sync *s, struct mm_why *why)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct mm_sync_unit *u = &s->unit[i];

		if (u->fault[0] != '\0') {
			mm_sync_put_aside(s, &(struct mm_sync_aside){ u->index,
						 mm_sync_field(u, MM_F_DEVICE),
						 mm_sync_field(u, MM_F_SERIAL),
						 u->fault, u->code });
			MM_TRY(mm_sync_unit_aside(s, u, why));
		} else if (u->known)
			s->out->unchanged++;
		else
			s->out->issued++;
	}
	return MM_OK;
}

/* ---- a piece ---- */

static enum mm_err
take(struct mm_sync *s, struct mm_synced *have,
    const struct mm_sync_heads *heads, bool dry_run, struct mm_why *why)
{
	MM_TRY(mm_key_templates_new(NULL, &s->templates, why));
	MM_TRY(take_lines(s, why));
	MM_TRY(judge_all(s, why));
	if (!dry_run) {
		MM_TRY(mm_sync_claim(s, have, heads, why));
		mm_die_at("sync.claimed");
		MM_TRY(mm_sync_store(s, why));
	}
	MM_TRY(count_units(s, why));
	MM_TRY(mm_sync_proofs(s, dry_run, why));
	MM_TRY(mm_sync_ends(s, dry_run, why));
	if (dry_run)
		return MM_OK;
	MM_TRY(mm_sync_units(s, why));
	return mm_sync_end(s, have, heads, why);
}

/* see sync.h */
enum mm_err
mm_desk_sync(struct mm_desk *d, const struct mm_login *by,
    const struct mm_station *station, const struct mm_sync_piece *p,
    bool dry_run, struct mm_sync_result *out, struct mm_why *why)
{
	MM_OWN(mm_sync_done)
	struct mm_sync s = {
		.d = d, .by = by, .station = station, .piece = p, .out = out
	};
	struct mm_sync_heads heads;
	struct mm_note_key key;
	struct mm_synced have;

	*out = (struct mm_sync_result){ .size = 0 };
	MM_TRY(mm_sync_state(&s, &key, &have, why));
	MM_TRY(mm_sync_verify(p, &key, &heads, why));
	MM_TRY(mm_sync_place(&s, &have, &heads, dry_run, why));
	s.ahead = dry_run && p->before.size > have.size;
	out->size = heads.after.size;
	out->of = heads.signed_.size;
	out->entries = p->n;
	return p->n == 0 ? MM_OK : take(&s, &have, &heads, dry_run, why);
}
