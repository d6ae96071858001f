#ifndef MM_CORE_PRODUCTION_PRIV_H
#define MM_CORE_PRODUCTION_PRIV_H

#include <jansson.h>
#include <strings.h>

#include "core/group.h"
#include "core/production.h"
#include "core/priv.h"

/* Inside production*.c, desk_batch.c, desk_station.c, desk_paper.c,
 * desk_order.c. */

MM_FREE_FN(mm_json_free, json_t, json_decref)

/* Of all batches that were made; no batch has such an id. */
#define MM_PRODUCTION_COUNT "*"

/* All that was decided, as JSON: its SHA-256 is in the batch's entries. */
MM_MUST enum mm_err mm_production_plan(
    const struct mm_production *b, struct mm_buf *out, struct mm_why *why);
/* With its one entry. */
MM_MUST enum mm_err mm_station_store(struct mm_desk *d, struct mm_station *s,
    const struct mm_entry *e, struct mm_why *why);

/* desk_group.c: 32 random hex digits, so that a text's hash says nothing. */
MM_MUST enum mm_err mm_desk_salt(char salt[33], struct mm_why *why);
/* desk_credential.c: the op that adds the group to a credential's; *needed
 * false: it is there. */
MM_MUST enum mm_err mm_credential_op(struct mm_desk *d, const char *group,
    const struct mm_old_one *one, struct mm_op *op, struct mm_buf *body,
    bool *needed, struct mm_why *why);

/* The paper with devices' fields that goes with the order, whose serial
 * numbers (list, "" with a run) are the station's; its hash into o. */
MM_MUST enum mm_err mm_fields_cut(struct mm_store_reader *r,
    struct mm_work_order *o, struct mm_bytes list, struct mm_buf *out,
    struct mm_why *why);

/* line_fit.c: whether a line CA that is given with an order, or is to be made
 * for it, is good for what those profiles' certificates are used for.
 * MM_ECONFLICT: not for all. */
MM_MUST enum mm_err mm_line_fits(struct mm_desk *d,
    const struct mm_work_order *o, const struct mm_line_ca *line,
    struct mm_bytes profiles, struct mm_why *why);

/* A batch's or a station's document, whose body stays body's. */
MM_MUST enum mm_err mm_production_doc(struct mm_store_reader *r,
    enum mm_doc_kind kind, const char *id, struct mm_doc *out,
    struct mm_buf *body, struct mm_why *why);
/* Where the batch of a station's order is noted, by its number. */
void mm_order_number_id(
    const char *station, int64_t number, char id[MM_DOC_ID_MAX + 1]);
/* Appends the note of the station's newest order of the batch; nothing where
 * there is none. */
MM_MUST enum mm_err mm_desk_order_stored(struct mm_desk *d,
    const char *station, const char *batch, struct mm_buf *note,
    struct mm_why *why);

#endif
