#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/sync_priv.h"
#include "pki/der.h"

/* That a station has destroyed its copy of a line CA's key, by its own word:
 * entered here, too, once for all. */

struct ended { /* an entry of the station's */
	uint64_t index;
	struct mm_sync_unit read;
};

static const char *
field(const struct ended *e, enum mm_entry_field f)
{
	return mm_sync_field(&e->read, f);
}

static bool
has_serial(struct mm_bytes chain, const char *serial)
{
	struct mm_rd r = mm_rd_over(chain);
	struct mm_cert ca;
	char hex[2 * 20 + 1];

	if (mm_cert_walk(mm_der_take_whole(&r, MM_DER_SEQ), &ca, NULL) !=
		MM_OK ||
	    ca.serial.n > 20)
		return false;
	mm_hex_text(ca.serial.p, ca.serial.n, hex);
	return strcmp(hex, serial) == 0;
}

/* The station's own, by the order that the centre gave it. */
static enum mm_err
is_its_own(
    struct mm_sync *s, const struct ended *e, bool *yes, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf note = MM_BUF_INIT(MM_DOC_MAX);
	MM_OWN(mm_work_order_free) struct mm_work_order *o = NULL;
	struct mm_bytes text;

	*yes = false;
	if (strcmp(field(e, MM_F_STATION), s->station->id) != 0 ||
	    !mm_name_valid(field(e, MM_F_BATCH)))
		return MM_OK;
	MM_TRY(mm_desk_order_stored(
	    s->d, s->station->id, field(e, MM_F_BATCH), &note, why));
	*yes = note.n > 0 &&
	       mm_note_text(mm_buf_view(&note), &text, NULL) == MM_OK &&
	       mm_work_order_parse(text, &o, NULL) == MM_OK &&
	       o->ca_name[0] != '\0' &&
	       strcmp(o->ca_name, field(e, MM_F_ISSUER)) == 0 &&
	       has_serial(o->ca_chain, field(e, MM_F_SERIAL));
	return MM_OK;
}

static void
ended_id(const char *station, const char *ca, char id[MM_DOC_ID_MAX + 1])
{
	snprintf(id, MM_DOC_ID_MAX + 1, "destroyed:%.32s/%.32s", station, ca);
}

/* see production.h */
enum mm_err
mm_line_key_at(struct mm_desk *d, const char *station, const char *batch,
    enum mm_line_key *out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf note = MM_BUF_INIT(MM_DOC_MAX);
	MM_OWN(mm_work_order_free) struct mm_work_order *o = NULL;
	char id[MM_DOC_ID_MAX + 1];
	struct mm_bytes text;
	uint8_t hash[32];
	enum mm_err rc;

	*out = MM_LINE_KEY_NONE;
	MM_TRY(mm_desk_order_stored(d, station, batch, &note, why));
	if (note.n == 0 ||
	    mm_note_text(mm_buf_view(&note), &text, NULL) != MM_OK ||
	    mm_work_order_parse(text, &o, NULL) != MM_OK ||
	    o->ca_name[0] == '\0')
		return MM_OK;
	ended_id(station, o->ca_name, id);
	rc = mm_noted_get(d->r, id, hash, NULL);
	*out = rc == MM_OK ? MM_LINE_KEY_DESTROYED : MM_LINE_KEY_HELD;
	return rc == MM_OK || rc == MM_ENOTFOUND
		   ? MM_OK
		   : MM_FAIL(why, rc, "the store cannot be read");
}

static enum mm_err
enter(struct mm_sync *s, const struct ended *e, struct mm_why *why)
{
	struct mm_papers p = mm_papers_over(&s->d->buf);
	const struct mm_entry entry = { .type = MM_E_LINE_DESTROYED,
		.field = { [MM_F_ACTOR] = s->by->id,
		    [MM_F_BATCH] = field(e, MM_F_BATCH),
		    [MM_F_STATION] = s->station->id,
		    [MM_F_ISSUER] = field(e, MM_F_ISSUER),
		    [MM_F_SERIAL] = field(e, MM_F_SERIAL),
		    [MM_F_NUMBER] = field(e, MM_F_NUMBER) } };
	char id[MM_DOC_ID_MAX + 1], body[MM_NOTED_TEXT];
	uint8_t hash[32];
	struct mm_op op;
	enum mm_err rc;

	ended_id(s->station->id, field(e, MM_F_ISSUER), id);
	mm_sha256(mm_bytes_of(field(e, MM_F_SERIAL)), hash);
	mm_noted_op(id, hash, body, &op);
	mm_papers_add(&p, &entry);
	rc = mm_desk_run(s->d, &p, &op, NULL);
	return rc == MM_OK || rc == MM_ECONFLICT
		   ? MM_OK
		   : MM_FAIL(why, rc,
			 "line CA %.32s: its end cannot be "
			 "entered",
			 field(e, MM_F_ISSUER));
}

static enum mm_err
take(struct mm_sync *s, const struct ended *e, bool dry_run, struct mm_why *why)
{
	bool yes;

	MM_TRY(is_its_own(s, e, &yes, why));
	if (!yes)
		mm_sync_put_aside(
		    s, &(struct mm_sync_aside){ e->index, "", "",
			   "the end of a line CA that is not this station's",
			   MM_SYNC_FORM });
	return yes && !dry_run ? enter(s, e, why) : MM_OK;
}

/* see sync_priv.h */
enum mm_err
mm_sync_ends(struct mm_sync *s, bool dry_run, struct mm_why *why)
{
	for (size_t i = 0; i < s->piece->n; i++) {
		struct ended e = { .index = s->piece->before.size + i };
		enum mm_err rc = MM_OK;

		if (mm_sync_parse(&s->piece->line[i], &e.read) &&
		    e.read.e.type == MM_E_LINE_DESTROYED)
			rc = take(s, &e, dry_run, why);
		free(e.read.texts);
		MM_TRY(rc);
	}
	return MM_OK;
}
