#ifndef MM_SIGNER_PRIV_H
#define MM_SIGNER_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/own.h"
#include "base/secret.h"
#include "hsm/hsm.h"
#include "ipc/msg.h"
#include "ledger/note.h"
#include "pki/cert.h"
#include "pki/ocsp.h"
#include "signer/record.h"

/*
 * The signer: what it holds, who works with it.
 *
 * A worker is a thread with one link.  All of the signer but what is marked
 * is written before the workers start and only read afterwards.
 */
#define MM_CAS_MAX  64
#define MM_USES_MAX 64
/* Issuing stops at so many signatures that did not turn up in the tree, or
 * when one has not for so long. */
#define MM_OUTSTANDING_MOST 4096
#define MM_OUTSTANDING_MS   (10 * 60 * 1000)

struct mm_ca { /* an issuer block that has a key and a certificate */
	struct mm_buf chain_pem, der;
	struct mm_issuer issuer; /* borrows der */
	EVP_PKEY *key; /* the public half, where it is in a token */
	struct mm_hsm *hsm; /* the token; NULL: none.  Borrowed */
	int64_t crl_hours;
	bool line; /* its devices' certificates are a station's to sign */
	const struct mm_ca *above; /* of a line CA that was made here */
	const struct mm_ca *next;  /* who follows it; NULL: nobody does */
	int64_t from_s;            /* since when it follows */
};
struct mm_use { /* a profile of the configuration */
	const struct mm_profile *profile;
	const struct mm_ca *ca; /* its issuer, or whom others follow */
	char label[MM_NAME_MAX + 12]; /* name@version */
	uint8_t hash[32];
	atomic_bool used;       /* its hash is in signer_dir/profiles */
};
struct mm_crl_job { /* one at a time; behind lock */
	pthread_mutex_t lock;
	bool open;
	const struct mm_ca *ca;
	struct mm_ca line; /* a line CA that was opened, or nothing */
	char run[MM_NAME_MAX + 1]; /* whose numbers its lists have */
	uint64_t number;
	int64_t this_s, next_s;
	bool whole;
	uint16_t shard[MM_CRL_RUN_MOST]; /* ascending */
	size_t nshard;
	struct mm_crl_entry *entry;
	size_t n, cap;
	struct mm_buf der; /* the last run that was signed */
};
struct mm_tree_state { /* behind lock */
	pthread_mutex_t lock;
	struct mm_frontier frontier;
	bool signed_once;
	uint64_t signed_size;
	struct mm_hash signed_root;
	struct mm_buf note; /* of signed_size */
	unsigned recovered; /* lines since the start */
	struct mm_trail *trail; /* to check by; NULL: nobody else signs */
};

struct mm_signer {
	struct mm_config *conf;
	struct mm_record *record;
	size_t nca, nuse;
	struct mm_ca ca[MM_CAS_MAX];
	struct mm_hsm *hsm[MM_CAS_MAX]; /* by issuer; NULL: none */
	size_t hsm_first[MM_CAS_MAX]; /* who tries their token's PIN */
	enum mm_hsm_state hsm_said[MM_CAS_MAX]; /* in the log */
	char hsm_which[MM_CAS_MAX][MM_HSM_TEXT]; /* PIN was refused */
	bool hsm_marked[MM_CAS_MAX]; /* and is noted on the disk */
	struct mm_use use[MM_USES_MAX];
	pthread_mutex_t use_lock; /* of the file of used profiles */
	struct mm_buf uses_text;  /* its text; behind use_lock */
	EVP_PKEY *ledger_key; /* NULL: another node's signer has it */
	atomic_bool forked;   /* a checkpoint was not of our tree */
	uint8_t place[32];    /* this folder, since this boot */
	struct mm_note_key note_key;
	EVP_PKEY *orders_key; /* NULL: none was made */
	struct mm_note_key orders_note;
	struct mm_secret *master[256]; /* by version; NULL: none */
	struct mm_masters *masters; /* those that line CAs are kept by */
	struct mm_secret *decoy;
	uint8_t version; /* of new tokens */
	uint8_t anchor[32];
	struct mm_tree_state tree;
	struct mm_crl_job crl;
	_Atomic uint64_t signed_n, refused_n;
	struct mm_duty *duty; /* a station's: the order that it works to */
	int lock_fd;
};

union mm_req {
#define X(e, name, links) struct mm_##name##_req name;
	MM_IPC_KINDS(X)
#undef X
};
union mm_rep {
#define X(e, name, links) struct mm_##name##_rep name;
	MM_IPC_KINDS(X)
#undef X
};
struct mm_item { /* one request of a frame, and its answer */
	uint32_t tag;
	enum mm_err rc;
	struct mm_why why;
	union mm_req req;
	union mm_rep rep; /* its bytes borrow body and secret */
	struct mm_buf body, secret;
	bool journal; /* answer only when line is written */
	struct mm_journal_line line;
};

struct mm_worker {
	struct mm_signer *s;
	unsigned role; /* enum mm_link */
	int fd;
	struct mm_key_templates *templates;
	struct mm_sign *sign[MM_CAS_MAX]; /* as s->ca */
	struct mm_sign *sign_ledger, *sign_orders;
	struct mm_responder *responder; /* ocsp.c: a list; NULL: none yet */
	struct mm_buf in, out, tbs, sig;
	struct mm_item item[MM_IPC_ITEMS_MAX];
	struct mm_journal_line line[MM_IPC_ITEMS_MAX];
	uint8_t random[32 * 12]; /* of serials to come; public once used */
	size_t random_n;         /* not used yet */
	struct mm_record_sum sum; /* at the frame's start */
	atomic_bool busy;         /* with a frame, not with its link */
};

/* load.c: everything from the disk, and one use of each algorithm. */
struct mm_load_opts {
	const char *config;
	int passphrase_fd; /* -1: the file, then the terminal if ask */
	int pulse_fd;      /* run only; -1: nobody listens */
	bool ask;
	const char *batch; /* a station's signer works to its order; NULL */
	const char *keys;  /* those in tokens: --keys, or NULL */
};
MM_MUST enum mm_err mm_passphrase_get(const struct mm_load_opts *o,
    const char *file, struct mm_secret **out, struct mm_why *why);
MM_MUST enum mm_err mm_signer_load(const struct mm_load_opts *o,
    struct mm_signer **out, struct mm_why *why);
void mm_signer_free(struct mm_signer **owner);
/* Its chain from PEM: the first certificate into ca->der. */
MM_MUST enum mm_err mm_ca_read(const char *path, struct mm_ca *ca,
    struct mm_why *why);
/* signer_dir/<name> */
MM_MUST enum mm_err mm_signer_path(const struct mm_settings *set,
    const char *name, char out[MM_PATH_MAX + 1], struct mm_why *why);

/* The signer's own copy of a root's certificate, which decides, and where its
 * key is while it is here.  "" and "root" are the first one's name. */
MM_MUST enum mm_err mm_root_cert_path(const struct mm_settings *set,
    const char *name, char out[MM_PATH_MAX + 1], struct mm_why *why);
MM_MUST enum mm_err mm_root_key_path(const struct mm_settings *set,
    const char *name, char out[MM_PATH_MAX + 1], struct mm_why *why);

/* load.c: the certificate is of the key; a profile for an issuer. */
MM_MUST enum mm_err mm_ca_check_pair(const struct mm_ca *ca,
    struct mm_why *why);
MM_MUST enum mm_err mm_signer_add_use(struct mm_signer *s,
    const struct mm_profile *p, size_t ca, struct mm_why *why);

/* uses.c: signer_dir/profiles, "name@version hash" lines. */
MM_MUST enum mm_err mm_uses_load(struct mm_signer *s, struct mm_why *why);
/* Before a profile's first certificate leaves. */
MM_MUST enum mm_err mm_use_note(struct mm_signer *s, struct mm_use *u,
    struct mm_why *why);

/* issuing.c: issuers that follow each other.  By this clock and by what was
 * read before the signer was locked in, never by what a request says: the first
 * one's place is taken by whoever follows it, once it has a certificate and its
 * time has come.  NULL: none of them has one. */
const struct mm_ca *mm_ca_issuing(const struct mm_ca *first, int64_t now_s);
/* Who follows whom, once all of them are loaded. */
void mm_signer_link(struct mm_signer *s);

/* line.c: line CAs that the signer makes.  lines: who signs them now; NULL:
 * there is none here. */
const struct mm_ca *mm_signer_lines(const struct mm_signer *s);
/* MM_EPOLICY: the chain of DER is not of one that was made here under that
 * name. */
MM_MUST enum mm_err mm_line_check(const struct mm_signer *s, const char *name,
    struct mm_bytes chain, struct mm_why *why);
void mm_ca_done(struct mm_ca *ca);

/* trail.c: what the tree has grown by since the last checkpoint of another
 * node's signer, so that the next one can be looked at although the tree has
 * gone on.  Not locked: the tree is. */
struct mm_trail;
MM_MUST enum mm_err mm_trail_new(const struct mm_frontier *at,
    struct mm_trail **out, struct mm_why *why);
void mm_trail_free(struct mm_trail **owner);
void mm_trail_append(struct mm_trail *t, const struct mm_hash *leaf);
/* MM_EAGAIN: the tree is smaller; MM_ENOTFOUND: it is too long ago;
 * MM_EPOLICY: the tree of that size had another root. */
MM_MUST enum mm_err mm_trail_check(struct mm_trail *t,
    const struct mm_checkpoint *c, struct mm_why *why);

/* masters.c: which versions of the token master line CAs are kept by.
 * MM_EPOLICY: one of them is not there any more. */
struct mm_masters;
MM_MUST enum mm_err mm_masters_load(const struct mm_signer *s,
    struct mm_masters **out, struct mm_why *why);
void mm_masters_free(struct mm_masters **owner);
/* On the disk when it returns; thread-safe. */
MM_MUST enum mm_err mm_masters_use(struct mm_masters *m, uint8_t version,
    struct mm_why *why);

/* line.c: one that this signer made, with its key, until mm_ca_done, which also
 * what failed wants. */
MM_MUST enum mm_err mm_line_ca_open(const struct mm_signer *s,
    const struct mm_line_open_req *q, struct mm_ca *ca, struct mm_why *why);

/* ocsp.c: keys of OCSP responders and of who signs configurations, a worker's
 * own, each for one use.  find: MM_ENOTFOUND. */
struct mm_responder {
	struct mm_responder *next;
	enum mm_responder_use use;
	uint8_t serial[MM_SERIAL_N];
	int64_t not_after_s;
	struct mm_ocsp_issuer issuer;
	char issuer_name[MM_NAME_MAX + 1];
	struct mm_buf issuer_der, der; /* certificates */
	struct mm_bytes key; /* its public key's bytes, in der */
	struct mm_sign *sign;
};
void mm_responders_free(struct mm_responder **owner);
MM_MUST enum mm_err mm_responder_find(struct mm_worker *w,
    const uint8_t serial[MM_SERIAL_N], enum mm_responder_use use,
    struct mm_responder **out, struct mm_why *why);
/* By name, of those with a key; MM_EPOLICY. */
MM_MUST enum mm_err mm_signer_find_ca(const struct mm_signer *s,
    const char *name, size_t *out, struct mm_why *why);

MM_MUST enum mm_err mm_worker_new(struct mm_signer *s, unsigned role, int fd,
    struct mm_worker **out, struct mm_why *why);
void mm_worker_free(struct mm_worker **owner);

/* crl_run.c: builds, signs and lines the lists of a run; the lines are on the
 * disk when it returns.  Its lock is held. */
MM_MUST enum mm_err mm_crl_job_sign(struct mm_worker *w, struct mm_crl_job *c,
    struct mm_why *why);
/* Where a shard, an entry's, stands in the run; SIZE_MAX: nowhere. */
size_t mm_crl_job_place(const struct mm_crl_job *c,
    const uint8_t serial[MM_SERIAL_N]);

/* Handlers, one a kind; what they refuse is an answer. */
#define X(e, name, links)                                              \
	enum mm_err mm_on_##name(struct mm_worker *w, struct mm_item *i, \
	    struct mm_why *why);
MM_IPC_KINDS(X)
#undef X

/* authority.c: whether an authority of that kind can be for this request.
 * MM_EPOLICY, MM_EINPUT. */
MM_MUST enum mm_err mm_authority_fits(const struct mm_issue_req *q,
    const struct mm_profile *p, struct mm_why *why);

/* Why nothing at all may be signed now, or NULL: the clock, or a station's
 * counter. */
const char *mm_signer_barred(const struct mm_signer *s,
    const struct mm_record_sum *sum);
/* Why nothing may be issued now, or NULL. */
const char *mm_signer_stopped(const struct mm_signer *s,
    const struct mm_record_sum *sum);

#endif
