#ifndef MM_CLI_IMPORT_H
#define MM_CLI_IMPORT_H

#include <pthread.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/bulk.h"
#include "cli/client.h"

/*
 * Rows on their way to POST /devices/import.  A batch is filled while those
 * before it are with the server, each on a thread and a connection of its own:
 * as many as the server has workers, so that it reads one while it writes the
 * other.  However long the table is, no more are held.
 */
enum { MM_BATCHES = 3, MM_BATCH_ROWS = 1000 };

struct mm_batch {
	struct mm_buf text;   /* the request */
	struct mm_json j;
	size_t n;             /* rows in it, and which of the table */
	unsigned long long number[MM_BATCH_ROWS];
	char id[MM_BATCH_ROWS][MM_DEVICE_ID_MAX + 1]; /* "" : not a text */
	/* on its way */
	bool flying, threaded;
	pthread_t thread;
	struct mm_client *client; /* owned; from its first use on */
	json_t *answer;       /* owned */
	enum mm_err rc;
	struct mm_why why;
};

void mm_batch_init(struct mm_batch *b);
void mm_batch_done(struct mm_batch *b); /* waits for what is on its way */
/* Empty; dry: nothing is written, and each row's digest asked for; texts: its
 * rows' members are texts, to be read as what they mean. */
void mm_batch_begin(struct mm_batch *b, bool dry, bool texts);
bool mm_batch_full(const struct mm_batch *b);
/* A row, whose number in the table this is. */
void mm_batch_csv(struct mm_batch *b, const struct mm_csv *csv);
void mm_batch_json(struct mm_batch *b, struct mm_bytes row, const char *id,
    unsigned long long number);
/* Its member "id".  MM_EINPUT: no JSON object that the server would read. */
MM_MUST enum mm_err mm_batch_json_check(
    struct mm_bytes row, char id[MM_DEVICE_ID_MAX + 1], struct mm_why *why);
/* Off it goes, by its client. */
void mm_batch_send(struct mm_batch *b);
/* Waits for it; the answer stays the batch's until the next begin. */
MM_MUST enum mm_err mm_batch_land(struct mm_batch *b, const json_t **answer,
    struct mm_why *why);

#endif
