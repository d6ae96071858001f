#ifndef MM_SERVER_REGISTRAR_H
#define MM_SERVER_REGISTRAR_H

#include "base/child.h"
#include "pki/foreign.h"
#include "server/ceilings.h"
#include "server/priv.h"

/*
 * The registrar's own files only.  There are two of it, each where it is
 * wanted, and of one user: one asks by programs, the other by EST.  Who reads
 * what a stranger's server says over TLS does not start programs, and who
 * starts programs can have no sandbox.
 *
 * Each is two processes: the warden (warden.c), which the monitor knows, and
 * below it the one that asks (registrar.c).  Whichever of them ends, and
 * however, the programs that were started go too; one that hangs is ended.
 */
enum { MM_REGISTRAR_MOST = 256 }; /* at a time; issuers' at_once is less */

struct mm_est_call;
struct mm_asking {
	struct mm_child child;   /* by a program */
	struct mm_est_call *call;/* by EST */
	int64_t end_ms;          /* monotonic: it is looked at by then */
	struct mm_buf frame;     /* what q points into */
	struct mm_buf ca;        /* the issuer's certificate, before it is
	                          * asked */
	struct mm_forward_req q;
	struct mm_csr csr;
	const struct mm_issuer_conf *issuer;
	const struct mm_profile *profile;
	char file[MM_CONF_ITEM_MAX];
	uint32_t tag;
	bool used;
	int64_t counted_at;      /* against the profile's ceilings, s; 0 not */
};

/* What became of it; text says why it is not MADE. */
struct mm_outcome {
	enum mm_forwarded how;
	struct mm_buf der;       /* MADE, WRONG: what came */
	uint64_t retry_after_s;  /* PENDING, AWAY, OURS */
	char text[161];
};

/*
 * How a CA is asked.  ctx is what open made, folder the registrar's own;
 * open is the last that is done before the first question, and shuts
 * the process in where it may be.
 */
struct mm_way {
	const char *name, *log;  /* the process's, and the log's */
	const char *role;        /* as the monitor calls it */
	bool est;                /* whose issuers are asked */
	MM_MUST enum mm_err (*open)(const struct mm_config *c,
	    const char *folder, void **ctx, struct mm_why *why);
	void (*close)(void **ctx);
	/* n: its place, below MM_REGISTRAR_MOST */
	MM_MUST enum mm_err (*start)(void *ctx, struct mm_asking *a,
	    const char *folder, size_t n, struct mm_why *why);
	/* false: it still runs.  The outcome's buffer is the caller's. */
	bool (*look)(struct mm_asking *a, struct mm_outcome *out);
	/* Ends it, whatever there is of it. */
	void (*done)(struct mm_asking *a);
	/* As poll(2) with those of wake, and until something may be looked
	 * at; MM_OK: whatever the reason. */
	MM_MUST enum mm_err (*wait)(void *ctx, const struct mm_asking *at,
	    struct pollfd *wake, nfds_t n, int ms, struct mm_why *why);
};
extern const struct mm_way mm_way_exec; /* registrar_ask.c */
extern const struct mm_way mm_way_est;  /* registrar_est.c */

/* ---- registrar_judge.c ---- */

void mm_outcome_say(struct mm_outcome *out, enum mm_forwarded how,
    const char *text);
/* The issuer's certificate as it is in its file now, DER.  MM_ESYS: it cannot
 * be had, or is none. */
MM_MUST enum mm_err mm_registrar_ca(const struct mm_issuer_conf *i,
    struct mm_buf *ca, struct mm_why *why);
/* MADE, if what is in der is what may be released. */
void mm_outcome_judge(const struct mm_asking *a, struct mm_outcome *out);

/* ---- registrar_est_answer.c: what a CA's words mean ---- */

#define MM_EST_ANSWER_MAX (64 * 1024)
enum {
	MM_EST_CERTS_MAX = 8,
	MM_EST_PENDING_S = 60,       /* where it does not say */
	MM_EST_PENDING_MAX_S = 86400,
	MM_EST_AWAY_MAX_S = 3600,
};
/* RFC 7030 4.2.3: the certificate for that key among those of an answer's
 * body.  MM_EINPUT: there is none, or not one alone. */
MM_MUST enum mm_err mm_est_certificate(struct mm_bytes body,
    const struct mm_csr *csr, struct mm_buf *der, struct mm_why *why);
/* After a whole answer with that status; MADE: the body is to be looked at. */
enum mm_forwarded mm_est_meaning(long status);
/* What the device, or all, are to wait; said: its Retry-After in seconds, 0:
 * none. */
uint64_t mm_est_wait_s(enum mm_forwarded how, int64_t said);
/* After none: sent says whether the request had left whole, alert is the TLS
 * alert that the server ended it with (0: none). */
enum mm_forwarded mm_est_silence(bool sent, unsigned alert);

/* ---- registrar_est_who.c: what we are known by, and whom we believe ---- */

struct mm_est_who {
	struct mm_buf anchors, certificate, key; /* PEM */
	struct mm_secret *password;              /* USER:PASSWORD */
	int64_t until_s;                         /* of the certificate; 0 */
};
/* From the files, as they are now; by who is to use them. */
MM_MUST enum mm_err mm_est_who_read(const struct mm_issuer_conf *i,
    struct mm_est_who *out, struct mm_why *why);
void mm_est_who_done(struct mm_est_who *w);
/* registrar_file_check.c: whether that user can do so, and has the issuer's
 * certificate, whichever way; text names the file. */
MM_MUST enum mm_err mm_registrar_check_files(const char *user,
    const struct mm_issuer_conf *i, struct mm_why *why);

/* ---- registrar_folder.c: requests' files, and what is used up ---- */

/* registrar_dir, or what stands for it; MM_ELIMIT: longer than a program's
 * argument may be. */
#define MM_REGISTRAR_FOLDER_MAX (MM_CONF_ITEM_MAX - 32)
MM_MUST enum mm_err mm_registrar_folder(const struct mm_settings *set,
    char out[MM_REGISTRAR_FOLDER_MAX], struct mm_why *why);
/* Its part of that folder: ceilings are each registrar's own. */
MM_MUST enum mm_err mm_registrar_part(const char *folder, bool est,
    char out[MM_PATH_MAX + 1], struct mm_why *why);
/* Before the user is dropped: makes it that user's. */
MM_MUST enum mm_err mm_registrar_folder_make(const struct mm_settings *set,
    const char *path, struct mm_why *why);
/* After: it is ours and nobody else's (MM_EPOLICY), no other registrar has its
 * part, which is made (MM_ECONFLICT: one that is ending is waited for), and
 * nothing is left there of one that ended. */
MM_MUST enum mm_err mm_registrar_folder_take(const char *path,
    const char *part, int *lock, struct mm_why *why);
/* For who could not do so himself: nothing is left in it. */
void mm_registrar_folder_leave(const char *path);
/* Who the registrar is. */
const char *mm_registrar_user(const struct mm_settings *set);

/* ---- warden.c ---- */

/*
 * Forks: the child runs work(ctx, beats) and ends with what that returns.  The
 * warden passes a request to end on, waits, and then ends all that the child
 * had started, whatever group it is in.  A child that has written nothing to
 * beats for limit_s (0: for ever), as mm_pulse counts them, or does not end
 * when it is asked to, is killed.  It is asked to end when the warden goes,
 * so that it can end its programs; one that has none is killed then: it may
 * hang.
 * Returns the child's exit status; in the child it does not.
 */
struct mm_warden {
	int (*work)(void *ctx, int beats);
	void *ctx;
	int link;             /* the child's alone */
	int64_t limit_s;
	const char *name;
	bool programs;        /* it starts some */
};
int mm_warden_run(const struct mm_warden *conf);

#endif
