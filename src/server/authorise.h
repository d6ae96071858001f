#ifndef MM_SERVER_AUTHORISE_H
#define MM_SERVER_AUTHORISE_H

#include "base/hist.h"
#include "server/deliver.h"

/*
 * The authorise hook: before a first enrolment the maker's own system is asked
 * (authorise_url).  Questions are posted by the core, sent by the delivery
 * thread through the courier, and answered back to the core; whatever is not a
 * whole, well-formed answer to this very question is none.
 */
#define MM_AUTHORISE_ID "authorise" /* of its secret */

enum {
	MM_AUTHORISE_AT_ONCE = 128,  /* with the courier; the others wait */
	MM_AUTHORISE_ANSWER = 4096,  /* bytes of an answer */
};

struct mm_authorise;
MM_MUST enum mm_err mm_authorise_open(struct mm_server *s,
    struct mm_authorise **out, struct mm_why *why);
void mm_authorise_close(struct mm_authorise **owner);
/* struct mm_core_conf's ask; ctx is the struct mm_server. */
bool mm_authorise_ask(void *ctx, const struct mm_question *q);

/* ---- for the delivery thread ---- */

/* The secret's version. */
MM_MUST enum mm_err mm_authorise_load(struct mm_authorise *a,
    struct mm_store_reader *r, struct mm_why *why);
/* Sends what can be sent, ends what is late; when it is due again. */
int64_t mm_authorise_round(struct mm_authorise *a, struct mm_deliver *d);
/* false: the tag is no question's. */
bool mm_authorise_outcome(struct mm_authorise *a, uint32_t tag,
    const struct mm_deliver_rep *rep);
/* The courier is gone: what it had gets no answer. */
void mm_authorise_drop(struct mm_authorise *a);
/* No question is taken any more, those under way get no answer. */
void mm_authorise_stop(struct mm_authorise *a);

/* ---- for operators ---- */

/* The hook as what signs: id, secret, rotated_at; version 0: no document. */
MM_MUST enum mm_err mm_authorise_get(struct mm_store_reader *r,
    struct mm_hook *out, struct mm_why *why);

struct mm_authorise_stats {
	uint64_t asked, said[MM_SAID_YES + 1]; /* by enum mm_said */
	unsigned waiting;
	bool away;          /* the last question had no answer */
	char last_why[161]; /* of the last question without an answer */
	int64_t last_at;    /* when; 0: never */
};
void mm_authorise_stats(struct mm_authorise *a,
    struct mm_authorise_stats *out);
/* From the question to its answer, microseconds; those without one too. */
const struct mm_hist *mm_authorise_took(const struct mm_authorise *a);

/* What a stranger's text may show to a person: no control characters, at most
 * MM_SAID_TEXT - 1 bytes of whole characters. */
void mm_authorise_clean(const char *text, char out[MM_SAID_TEXT]);
/* The answer to question id in an HTTP answer; text: why, clean. */
enum mm_said mm_authorise_read(const struct mm_deliver_rep *rep,
    const char *id, char text[MM_SAID_TEXT]);

#endif
