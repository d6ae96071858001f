#ifndef MM_SERVER_BATCHES_H
#define MM_SERVER_BATCHES_H

#include "core/production.h"
#include "line/weak.h"
#include "server/rest.h"

/* What rest_batches.c, rest_batch_read.c, rest_batch_initial.c,
 * rest_configuration.c, rest_stations.c and rest_sync.c share. */

/* What a request for a batch says, besides what is in b. */
struct mm_batch_wish {
	struct mm_buf serials, config, fields; /* papers; empty: none */
	char sample[513];                      /* a label; "" none */
	bool dry_run;
	struct mm_roll roll; /* its serial numbers */
	unsigned misfits;    /* enum mm_serial_misfit */
	struct mm_weak weak[MM_FILL_FIELDS]; /* secrets that can be guessed */
	size_t nweak;
	struct mm_work_profile profiles[MM_WORK_PROFILES_MAX];
	struct mm_work_person people[MM_WORK_PEOPLE_MAX];
};
/* On zeroed memory; b's order is the caller's, its lists are w's. */
MM_MUST enum mm_err mm_batch_read(struct mm_rest *r, struct mm_batch_wish *w,
    struct mm_production *b, struct mm_why *why);
void mm_batch_wish_done(struct mm_batch_wish *w);

/* "shares" of a request, into b. */
MM_MUST enum mm_err mm_batch_shares(struct mm_rest *r, const json_t *list,
    struct mm_production *b, struct mm_why *why);

/* The station that a request names.  MM_EPOLICY: the login is only the line's,
 * and another station's. */
MM_MUST enum mm_err mm_batch_station(struct mm_rest *r, const char *id,
    struct mm_station *s, struct mm_why *why);

/* Whether a batch's serial number is for the station with that share (NULL:
 * there is none): each has its own where stations take the next one. */
bool mm_batch_is_of_share(const struct mm_production *b,
    const struct mm_share *s, uint64_t at);

/* It, as an answer. */
void mm_station_put(struct mm_rest *r, const struct mm_station *s);

/* "configuration" of the request: template and rows, each row rendered. */
MM_MUST enum mm_err mm_batch_initial(const json_t *in, struct mm_batch_wish *w,
    struct mm_production *b, struct mm_why *why);

/* rest_batch_secrets.c: which secret fields of the rows, each of which was
 * rendered, could be guessed. */
MM_MUST enum mm_err mm_batch_secrets(const json_t *rows,
    const struct mm_initial *map, struct mm_batch_wish *w, struct mm_why *why);
/* And words for it, as texts of a list. */
void mm_batch_secrets_put(struct mm_json *j, const struct mm_batch_wish *w);

/* rest_configuration.c: what the batch gives a device. */
struct mm_set_up {
	int64_t version;     /* 0: nothing */
	uint8_t sha256[32];  /* of the document */
	uint8_t salt[MM_SALT_N], mark[32]; /* line/initial.h */
	bool guessable;
	struct mm_buf document;
};
#define MM_SET_UP_INIT { .document = MM_BUF_INIT(MM_FILL_MAX) }
void mm_set_up_done(struct mm_set_up *g);
/* MM_ENOTFOUND: no such batch, or it has no row for the device; MM_EPOLICY:
 * the login is only the line's, and its station has no share. */
MM_MUST enum mm_err mm_batch_configuration(struct mm_rest *r,
    const char *batch, const char *device, struct mm_set_up *out,
    struct mm_why *why);
/* Into the job, what a station says that it will give: version and mark,
 * which must be those of what the batch gives the device, and nothing (version
 * 0) where it gives nothing.  A station of an older version says the
 * document's hash instead; the mark is what is entered.  MM_ECONFLICT. */
MM_MUST enum mm_err mm_batch_claim(struct mm_rest *r, const char *batch,
    const struct mm_set_up *said, struct mm_job *job, struct mm_why *why);

#endif
