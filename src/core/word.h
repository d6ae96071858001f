#ifndef MM_CORE_WORD_H
#define MM_CORE_WORD_H

#include "ipc/msg.h"

/*
 * The signer's word on whether it issues.  It says so in its status, and it
 * shows it with each certificate, on several links that keep no order among
 * them: what counts is its journal.  A certificate whose line is behind the
 * last one that a status knew of is the newer word.
 */
struct mm_word {
	struct mm_status_rep status; /* the last that was taken */
	uint64_t signed_n; /* the newest line of a certificate that came */
};

/* Another process of the signer's; its status is yet to come. */
void mm_word_anew(struct mm_word *w);
/* A status came.  false: it is older than a certificate, and says that none is
 * issued: nothing was taken, ask again.  known_n: signed_n as the status was
 * asked for; a journal that is shorter than that never had such a line, and
 * the number counts no more. */
bool mm_word_take(struct mm_word *w, const struct mm_status_rep *rep,
    uint64_t known_n);
/* A certificate came.  true: the status said that none is issued, and that is
 * over. */
bool mm_word_signed(struct mm_word *w, uint64_t journal_n);
/* What comes to W: ledgerfeed.c. */
struct mm_core;
void mm_feed_signed(struct mm_core *c, uint64_t journal_n);
/* mm_core_not_ready in two steps: who has the core's lock says why; true: it
 * is news, and is to be told without it. */
bool mm_core_reason(struct mm_core *c, const char *text);
void mm_core_reason_tell(struct mm_core *c, const char *text);

#endif
