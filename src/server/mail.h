#ifndef MM_SERVER_MAIL_H
#define MM_SERVER_MAIL_H

#include "server/alarm.h"
#include "server/deliver.h"

/*
 * Alerts by mail (mail_to).  The delivery thread reads the ledger on from
 * where the last mail ended, counts its alerts by reason, and hands the
 * courier one mail about all of them: at most one in mail_every, and one more
 * where something critical would have to wait.  Once a day another one tells
 * what ends soon.  Where the last mail ended is stored when the mail server
 * has taken the next; whatever happens before that, it is sent again.
 */
#define MM_MAIL_URL "mail:" /* of a delivery: the courier knows whereto */
#define MM_MAIL_DOC "mail"  /* MM_DOC_NODE: where the last one ended */

struct mm_mail;
MM_MUST enum mm_err mm_mail_open(struct mm_server *s, struct mm_mail **out,
    struct mm_why *why);
void mm_mail_close(struct mm_mail **owner);

/* ---- for the delivery thread ---- */

/* Collects, and sends what is due; when it has to be looked at again. */
int64_t mm_mail_round(struct mm_mail *m, struct mm_deliver *d, uint64_t size);
/* false: the tag is no mail's. */
bool mm_mail_outcome(struct mm_mail *m, struct mm_deliver *d, uint32_t tag,
    const struct mm_deliver_rep *rep);
/* The mail server takes mails again, as one that was tried has shown. */
void mm_mail_again(struct mm_mail *m);
/* The courier went away with what it had. */
void mm_mail_drop(struct mm_mail *m);
/* Another node mails now, or did: what is stored counts. */
void mm_mail_forget(struct mm_mail *m);

/* ---- for operators ---- */

struct mm_mail_stats {
	uint64_t sent, failed;  /* since the start */
	uint64_t waiting;       /* alerts that no mail has told of */
	int64_t sent_at;        /* the last; 0: none yet */
	int64_t failing_since;  /* 0: the last one was taken */
	char why[161];          /* of the last that was not */
};
void mm_mail_stats(struct mm_mail *m, struct mm_mail_stats *out);
/* Whether some node mailed of late, by the document MM_MAIL_DOC. */
bool mm_mail_is_sent(struct mm_bytes body);
/* One to try may go now (0), or in so many seconds: some a minute, whoever
 * asks. */
enum { MM_MAIL_TRIES = 10 };
unsigned mm_mail_try_in(struct mm_mail *m);

/* ---- mail_text.c ---- */

/* So that a mail about all of it fits where mails fit. */
enum { MM_TALLY_KINDS = 32, MM_TALLY_SHOWN = 5, MM_TALLY_LINE = 200 };
struct mm_tally {
	struct mm_tally_kind {
		char reason[65];
		enum mm_severity severity;
		uint64_t n;
		int64_t first_at, last_at;
		char shown[MM_TALLY_SHOWN][MM_TALLY_LINE];
		unsigned nshown;
	} kind[MM_TALLY_KINDS];
	size_t nkind;
	uint64_t n, others;    /* others: of kinds that have no room */
	uint64_t first, last;  /* of the ledger */
	enum mm_severity worst;
};
/* Counts an alert's entry, unless it is below least. */
void mm_tally_add(struct mm_tally *t, uint64_t index, struct mm_bytes entry,
    enum mm_severity least);
/* Mails, whole; id gets what names them. */
MM_MUST enum mm_err mm_mail_alerts(const struct mm_server *s,
    const struct mm_tally *t, struct mm_buf *out, struct mm_why *why);
/* *any false: nothing ends soon, and there is no mail. */
MM_MUST enum mm_err mm_mail_digest(struct mm_server *s, struct mm_buf *out,
    bool *any, struct mm_why *why);
MM_MUST enum mm_err mm_mail_test(const struct mm_server *s,
    const char *request, struct mm_buf *out, struct mm_why *why);

#endif
