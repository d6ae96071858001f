#ifndef MM_CORE_PRIV_H
#define MM_CORE_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/hist.h"
#include "base/json.h"
#include "base/time.h"
#include "core/core.h"
#include "core/decide.h"
#include "core/word.h"
#include "ledger/entry.h"
#include "ledger/note.h"
#include "pki/cert.h"

/*
 * Inside the core.
 *
 * A job's way: post -> (D) reserve, facts, decide -> signer -> (W) commit ->
 * done.  A flight is a job's travelling papers and lives as long as the job.
 * Exactly one thread touches a flight at a time; queues and the slot table
 * hand it over.
 */

/* ---- queue.c ---- */

/* A list through a "next" field at a fixed offset; many put, one takes all. */
struct mm_queue {
	pthread_mutex_t lock;
	pthread_cond_t more;
	void *head, *last;
	size_t link;
	int kick; /* an eventfd that the taker polls, or -1 */
	bool closed;
};
void mm_queue_init(struct mm_queue *q, size_t link, int kick);
void mm_queue_done(struct mm_queue *q);
/* The list is not empty.  false: closed, and the list is still the caller's. */
bool mm_queue_put(struct mm_queue *q, void *list);
/* Everything, oldest first.  wait: until there is something or it is closed;
 * then NULL. */
void *mm_queue_take(struct mm_queue *q, bool wait);
void mm_queue_close(struct mm_queue *q);
void mm_kick(int eventfd);

/* ---- flights ---- */

enum mm_flight_flag {
	MM_FLIGHT_BUSY = 1 << 0,    /* not admitted: answered 503 */
	MM_FLIGHT_HELD = 1 << 1,    /* leads its reservation */
	MM_FLIGHT_SECRET = 1 << 2,  /* the signer knows id and secret */
	MM_FLIGHT_NOSIGNER = 1 << 3,/* the check could not be made */
	MM_FLIGHT_ASKING = 1 << 4,  /* its op is a lease's: leases.c */
	MM_FLIGHT_LEASED = 1 << 5,  /* no other node signs meanwhile */
	MM_FLIGHT_GUESSED = 1 << 6, /* wrong codes came: none is looked at */
	MM_FLIGHT_FORWARD = 1 << 7, /* an existing CA is to be asked */
	MM_FLIGHT_FAILED = 1 << 8,  /* ... was, and W enters how it ended */
};

struct mm_answer { /* to a question, or the question that waits for one */
	struct mm_question q;
	bool answered;
	enum mm_said said;
	char text[MM_SAID_TEXT];
	struct mm_flight *next;        /* of the parked */
	int64_t until;                 /* monotonic: without one it goes on */
};

struct mm_flight {
	struct mm_job *job;
	const char *node;              /* whose signer signs; "" the only */
	unsigned flags, tries;
	int64_t posted_us;             /* monotonic */
	struct mm_verdict verdict;
	uint8_t spki[32];              /* of the request's key */
	/* reserve.c */
	char name[MM_AUTHORITY_TEXT];
	struct mm_flight *same_bucket;
	struct mm_flight *waiters, *last_waiter, *next_waiter;
	struct mm_answer ask;
	/* wire_issue.c */
	unsigned line;
	/* What W is to write, in this order; the papers are their entries. */
	int64_t ask_at, ask_until;     /* monotonic: for it again; 0 */
	struct mm_op *op[4];
	unsigned nops;
	struct mm_buf papers[3];
	struct mm_going *going;        /* upstream.c: while it is asked */
	struct mm_buf unit;            /* what its batch or group says of it */
	char counted[MM_GROUP_ID_MAX + 12]; /* conflicts of its group */
	/* last, as a job's: each is 2.5 KB */
	struct mm_op confirm;          /* of the presented certificate; or
	                                * the device that is made first */
	struct mm_op lease;            /* leases.c */
};
static inline struct mm_flight *
mm_flight_of(const struct mm_job *job)
{
	return job->priv;
}

/* ---- production_facts.c: batches at work, a reader's own ---- */

struct mm_batches;
MM_MUST enum mm_err mm_batches_new(struct mm_batches **out,
    struct mm_why *why);
void mm_batches_free(struct mm_batches **owner);
/* What the job's batch says of that device; nothing if it names none. */
MM_MUST enum mm_err mm_batches_facts(struct mm_batches *b,
    struct mm_store_reader *r, const struct mm_job *job, const char *device,
    struct mm_batch_facts *out, struct mm_why *why);

/* ---- reserve.c: step 4 in a process; D alone takes ---- */

struct mm_reserve;
MM_MUST enum mm_err mm_reserve_new(unsigned most, struct mm_reserve **out,
    struct mm_why *why);
void mm_reserve_free(struct mm_reserve **owner);
enum mm_taken { MM_TAKEN, MM_PARKED, MM_TAKEN_BY_OTHER };
enum mm_taken mm_reserve_take(struct mm_reserve *r, struct mm_flight *f);
/* Hands the reservation to the next that waits, which then holds it; NULL:
 * nobody waited and it is gone. */
struct mm_flight *mm_reserve_pass(struct mm_reserve *r, struct mm_flight *f);

/* ---- leases.c: step 4 among nodes ---- */

/* D: the op that asks for the lease is in the flight, for W; false: there is
 * no other node, or the lease is had. */
bool mm_lease_ask(struct mm_core *c, struct mm_flight *f);
/* W, after the op: what becomes of the request. */
enum mm_leased { MM_LEASE_HAD, MM_LEASE_WAIT, MM_LEASE_OTHERS, MM_LEASE_LATE };
enum mm_leased mm_lease_asked(struct mm_flight *f);
/* Given back with what W writes next; lost, it runs out by itself. */
void mm_lease_end(struct mm_core *c, struct mm_flight *f);
struct mm_lease_end {
	struct mm_op op;
	struct mm_lease_end *next;
};
void mm_lease_ends_free(struct mm_core *c);

/* ---- ask.c: whether somebody outside allows it ---- */

struct mm_asking;
MM_MUST enum mm_err mm_asking_new(struct mm_asking **out, struct mm_why *why);
void mm_asking_free(struct mm_asking **owner);
enum mm_asked {
	MM_ASKED_YES,   /* or nobody has to be asked */
	MM_ASKED_NO,
	MM_ASKED_AWAY,  /* no answer can be had */
	MM_ASKED_WAITS, /* parked, no longer the caller's; comes by c->jobs */
};
/* D: of a verdict to issue. */
enum mm_asked mm_ask(struct mm_core *c, struct mm_flight *f);
/* W: those whose time is over go on without an answer. */
void mm_ask_late(struct mm_core *c);
/* Who waited for the same name need not ask the same once more. */
void mm_ask_pass(const struct mm_flight *from, struct mm_flight *to);

/* ---- forecast.c ---- */

struct mm_forecaster;
MM_MUST enum mm_err mm_forecaster_new(struct mm_forecaster **out,
    struct mm_why *why);
void mm_forecaster_free(struct mm_forecaster **owner);
struct mm_desk;
/* Housekeeping: a piece of the count that is under way, if one is due. */
MM_MUST enum mm_err mm_desk_forecast(struct mm_desk *d, struct mm_why *why);

/* ---- counts.c ---- */

struct mm_counts;
MM_MUST enum mm_err mm_counts_new(struct mm_counts **out, struct mm_why *why);
void mm_counts_free(struct mm_counts **owner);
/* true: the first of its kind in this hour.  The entry has the reason's code:
 * what people wrote is for the attempt log, where it can be forgotten. */
bool mm_counts_refused(struct mm_counts *c, const struct mm_verdict *v);
void mm_counts_counted(struct mm_counts *c, enum mm_reason reason);
/* Enters what is counted; all: also the hour that is not over. */
MM_MUST enum mm_err mm_counts_flush(struct mm_core *c, bool all,
    struct mm_why *why);

/* ---- entries.c: papers of ops ---- */

/* Entries are written one after the other into buf; seal points op at them
 * once none can move any more. */
struct mm_papers {
	struct mm_buf *buf;
	size_t at[MM_OP_ENTRIES + 1];
	unsigned n;
	enum mm_err err;
};
struct mm_papers mm_papers_over(struct mm_buf *buf);
void mm_papers_add(struct mm_papers *p, const struct mm_entry *e);
MM_MUST enum mm_err mm_papers_seal(struct mm_papers *p, struct mm_op *op,
    struct mm_why *why);
/* An entry about a certificate; the texts live in *t. */
struct mm_cert_texts {
	char serial[33], spki[65], cert[65], predecessor[33];
	char not_before[MM_TIME_TEXT], not_after[MM_TIME_TEXT];
};
void mm_entry_cert(struct mm_entry *e, struct mm_cert_texts *t,
    const struct mm_cert_row *row, const char *node);
/* The same of any certificate.  NULL, zeros, 0: not known, and left out. */
struct mm_certified {
	const uint8_t *serial, *spki_sha256, *cert_sha256;
	int64_t not_before_s, not_after_s;
};
void mm_entry_certified(struct mm_entry *e, struct mm_cert_texts *t,
    const struct mm_certified *c);
/* A short entry about a certificate; what is NULL or "" is left out. */
/* The configuration's fields in their texts; version 0: none. */
struct mm_config_texts {
	char version[24], sha256[65];
};
void mm_entry_config(struct mm_entry *e, struct mm_config_texts *t,
    int64_t version, const uint8_t sha256[32]);

struct mm_short {
	enum mm_entry_type type;
	const struct mm_named *cert;
	const char *device, *product, *actor, *reason;
};
void mm_papers_short(struct mm_papers *p, const struct mm_short *s);
void mm_papers_alert(struct mm_papers *p, const struct mm_flight *f);
bool mm_zero(const void *p, size_t n);

/* ---- wire.c, wire_issue.c, wire_call.c: to the signer and back ---- */

struct mm_wire;
MM_MUST enum mm_err mm_wire_new(unsigned most, struct mm_wire **out,
    struct mm_why *why);
void mm_wire_free(struct mm_wire **owner);
MM_MUST enum mm_err mm_wire_install(struct mm_wire *w,
    const struct mm_links *links, struct mm_why *why);
#define MM_WIRE_LINES 2
/* D: queues a request; a full frame goes out by itself, flush sends the
 * rest.  false: the signer is away or every slot is taken. */
bool mm_wire_put(struct mm_wire *w, unsigned kind, struct mm_flight *f,
    const void *req);
void mm_wire_flush(struct mm_wire *w);
/* W: descriptors to poll; -1 where a line is down. */
void mm_wire_fds(struct mm_wire *w, int fd[MM_WIRE_LINES]);
typedef void mm_answer_fn(struct mm_core *c, struct mm_flight *f,
    unsigned kind, struct mm_bytes body);
/* W: everything a line has for us; MM_ENOTFOUND: it is dead now. */
MM_MUST enum mm_err mm_wire_read(struct mm_wire *w, unsigned line,
    struct mm_core *c, mm_answer_fn *fn);
/* W: takes a line down; what was on it, one by one, NULL at the end. */
void mm_wire_down(struct mm_wire *w, unsigned line);
struct mm_flight *mm_wire_orphaned(struct mm_wire *w, unsigned line);
/* One that has waited longer than this for its answer, which then finds
 * nobody; NULL: none has. */
struct mm_flight *mm_wire_late(struct mm_wire *w, int64_t ms);
bool mm_wire_up(struct mm_wire *w);
/* The ledger's line has ended, or there never was one. */
bool mm_wire_gone(const struct mm_wire *w);
/* Requests whose answer is awaited. */
unsigned mm_wire_waiting(struct mm_wire *w);
void mm_wire_set_up(struct mm_wire *w, bool up);
int mm_wire_psk(struct mm_wire *w, unsigned loop);

/* The lines where one asks and waits. */
enum mm_line {
	MM_LINE_CHECK, MM_LINE_LEDGER, MM_LINE_OPS, MM_LINE_OCSP, MM_LINES
};
void mm_wire_lock(struct mm_wire *w, enum mm_line line);
/* false: somebody has it. */
bool mm_wire_try(struct mm_wire *w, enum mm_line line);
void mm_wire_unlock(struct mm_wire *w, enum mm_line line);
/* One request; the line is locked by the caller.  The signer gone or late is
 * MM_EAGAIN; its own refusals come as they are. */
MM_MUST enum mm_err mm_wire_call(struct mm_wire *w, enum mm_line line,
    unsigned kind, const void *req, void *rep, struct mm_buf *frame,
    struct mm_why *why);
/* Up to 64 requests in one frame (out is one); tags go up from a first one
 * that mm_wire_tag gave. */
uint32_t mm_wire_tag(struct mm_wire *w);
MM_MUST enum mm_err mm_wire_batch(struct mm_wire *w, enum mm_line line,
    const struct mm_buf *out, struct mm_buf *in, struct mm_frame *answer,
    struct mm_why *why);

/* ---- the core ---- */

struct mm_chain { struct mm_bytes *der; size_t n; };
struct mm_chains; /* chains.c */
MM_MUST enum mm_err mm_chains_load(const struct mm_config *config,
    struct mm_chains **out, struct mm_why *why);
void mm_chains_free(struct mm_chains **owner);
/* A configured issuer's chain, itself first, the root last; NULL: no such
 * issuer. */
const struct mm_chain *mm_chains_issuer(const struct mm_chains *c,
    const char *name);
/* The file that trust_anchor names. */
const struct mm_chain *mm_chains_anchor(const struct mm_chains *c);
/* The configured issuer, among those that of() says, or all, that signed it, or
 * NULL. */
const char *mm_chains_signed(const struct mm_chains *c,
    const struct mm_cert *cert, bool (*of)(const struct mm_issuer_conf *));
/* The same of line CAs, too; it stays until the core is closed. */
const struct mm_chain *mm_issuer_chain(struct mm_core *c, const char *name);

/* Who has waited so long for its decision, or for the signer, comes again. */
enum { MM_LATE_MS = 10000 };

struct mm_unsettled { /* a signature whose record is not known to be there */
	struct mm_cert_row row;
	char asked[MM_DOC_ID_MAX + 1]; /* MM_DOC_ASKED's, for it; "" */
	struct mm_unsettled *next;
	size_t n;
	uint8_t der[]; /* another CA's certificate: an orphan keeps it */
};

/* Blocking writes: someone waits on stack until W is through. */
struct mm_waiter {
	pthread_mutex_t lock;
	pthread_cond_t done;
	bool landed;
};
void mm_waiter_init(struct mm_waiter *w);
void mm_waiter_land(struct mm_waiter *w);
void mm_waiter_wait(struct mm_waiter *w);

struct mm_batch {
	struct mm_op **ops;
	size_t n;
	enum mm_err rc;
	struct mm_why why;
	struct mm_waiter waiter;
	struct mm_batch *next;
};

struct mm_crl_mark { /* what an issuer's last list shows */
	uint64_t revocations, number; /* revocations: of a line CA, its own */
	int64_t next_s;
};

/* listed.c: what the ledger says of an issuer's list. */
struct mm_listed {
	uint64_t revoked, covers; /* the ledger's size at the last of each */
	int64_t since;            /* monotonic: not listed; 0: all is */
	uint64_t ours;            /* changes that this process committed */
};
/* shards.c: the lists of a configured issuer's shards; behind the core's
 * lock.  A line CA's one shard has no state of its own: its list is signed
 * with the complete one. */
struct mm_shard {
	struct mm_crl_mark mark; /* revocations: its own */
	struct mm_listed listed;
};
struct mm_shards {
	size_t n;            /* 0: certificates name no list */
	struct mm_shard *at;
	atomic_bool loaded;  /* what the store has */
	atomic_bool odd;     /* crl_shards was another once: none is signed */
	size_t most;         /* in a run */
	size_t limit;        /* most is never above it: a slow signer */
	size_t from;         /* which the next round begins with */
	uint64_t turn;       /* one more when one was stored, by any node */
};
MM_MUST enum mm_err mm_shards_new(const struct mm_config *config,
    struct mm_shards **out, struct mm_why *why);
void mm_shards_free(const struct mm_config *config, struct mm_shards **owner);

/* An issuer and its list; what it points at is behind the core's lock. */
struct mm_list_of {
	const char *name;
	int64_t crl_hours;
	struct mm_crl_mark *mark;
	struct mm_listed *listed;
	struct mm_made_line *line; /* NULL: it is one of the configuration */
	struct mm_shards *shards;  /* NULL: a line CA */
};
/* shards_begin.c, once what the store has is loaded; more: of shards beyond
 * their number, too.  MM_EPOLICY: it was another number, and they are odd. */
MM_MUST enum mm_err mm_shards_begin(struct mm_desk *d,
    const struct mm_list_of *of, bool more, struct mm_why *why);
/* crl_run.c: signs and stores lists of one issuer.  number: the least that is
 * wanted, then what it became. */
struct mm_crl_run {
	const struct mm_list_of *of;
	bool whole;               /* the complete one */
	const uint16_t *shard;    /* ascending, at most MM_SHARDS_RANGES */
	size_t nshard;
	unsigned shards;          /* how many the issuer has; not with whole */
	uint64_t follows;         /* the number of the complete one before */
	const uint64_t *after;    /* ... of each shard's; NULL: any */
	uint64_t number;
	/* out */
	int64_t this_s, next_s;
	uint64_t n, size;         /* entries; the ledger before them */
	bool odd;                 /* a certificate names another shard */
	bool slow;                /* the signer had it and gave no answer */
};
struct mm_desk;
MM_MUST enum mm_err mm_crl_run(struct mm_desk *d, struct mm_crl_run *run,
    struct mm_why *why);
/* desk_crl.c: half of its time is the overlap in which a new one reaches
 * everybody.  One by a clock that was ahead is not good yet for anybody. */
bool mm_crl_due(int64_t crl_hours, int64_t next_s);
/* false: there is no such issuer. */
bool mm_list_find(struct mm_core *c, const char *name,
    struct mm_list_of *out);
/* Of an entry: whether it changes what a list, or an OCSP answer, says. */
bool mm_listed_changes(struct mm_bytes type);
/* L: an entry goes by, again perhaps. */
void mm_listed_entry(struct mm_core *c, uint64_t index, struct mm_bytes entry);
/* The same of one issuer's alone, for who looks back. */
struct mm_entry_view;
void mm_listed_past(struct mm_core *c, const struct mm_list_of *of,
    uint64_t index, const struct mm_entry_view *v);
/* W: an entry of ours is stored that changes what a list says. */
void mm_listed_ours(struct mm_core *c, struct mm_bytes issuer,
    struct mm_bytes serial_hex);
/* A list of ours is stored. */
void mm_listed_stored(struct mm_core *c, struct mm_listed *l, uint64_t size);
/* Whether something is revoked that no node has listed in good time. */
bool mm_listed_late(struct mm_core *c, const struct mm_listed *l);

/* lines.c: line CAs that the signer made, all that the store has. */
struct mm_made_line {
	char name[MM_NAME_MAX + 1], above[MM_NAME_MAX + 1];
	struct mm_buf der;
	struct mm_bytes view[18]; /* the chain's */
	struct mm_chain chain;
	struct mm_ocsp_issuer ocsp; /* what it is asked for by */
	uint8_t serial[MM_SERIAL_N];
	/* behind the core's lock */
	struct mm_crl_mark mark;
	struct mm_listed listed;
	int64_t failed_at;        /* monotonic; 0: its list can be signed */
	bool looked;              /* what was revoked before the start */
};
struct mm_lines;
MM_MUST enum mm_err mm_lines_new(struct mm_core *c, struct mm_lines **out,
    struct mm_why *why);
void mm_lines_free(struct mm_lines **owner);
/* NULL: there is no such line CA, or not that many.  They stay. */
struct mm_made_line *mm_lines_find(struct mm_lines *l, const char *name);
struct mm_made_line *mm_lines_at(struct mm_lines *l, size_t i);
size_t mm_lines_n(struct mm_lines *l);
/* Whom an OCSP request is about; NULL: none of them. */
struct mm_made_line *mm_lines_asked(struct mm_lines *l,
    const struct mm_ocsp_id *id);
/* Whether that issuer made one whose certificate has this serial number. */
bool mm_lines_made(struct mm_lines *l, const char *above,
    const uint8_t serial[MM_SERIAL_N]);
/* Of their lists. */
int64_t mm_lines_hours(const struct mm_config *c,
    const struct mm_made_line *line);
/* Joins those that the store has; one of that name is read again by nobody. */
MM_MUST enum mm_err mm_lines_join(struct mm_core *c,
    struct mm_store_reader *r, const char *name, struct mm_why *why);
/* One that could not be joined now is tried again, by housekeeping. */
void mm_lines_missed(struct mm_core *c, const char *name);
void mm_lines_again(struct mm_desk *d);
/* What the store has of one besides its certificate. */
struct mm_line_kept { struct mm_buf given, kept; uint8_t to[32]; };
MM_MUST enum mm_err mm_line_read(struct mm_store_reader *r, const char *name,
    struct mm_line_kept *out, struct mm_why *why);
void mm_line_kept_done(struct mm_line_kept *k);
/* Housekeeping: some of the lists that are due. */
void mm_lines_list(struct mm_desk *d);

struct mm_lease { /* nodes.c */
	const char *id;       /* of its document */
	uint64_t version;     /* as we wrote or saw it last */
	int64_t seen_at, renew_at; /* monotonic; seen_at 0: not seen yet */
	bool ours, changed;   /* changed: while we watched */
};

struct mm_nodes { /* L's own, but what is atomic */
	char place[65], session[33], own_id[MM_NAME_MAX + 6];
	bool signs;           /* our signer has the ledger's key */
	bool follows;         /* another node's signs; with turn, under lock */
	uint64_t turn, checked;
	int64_t role_at, patience_ms; /* patience_ms: see listed.c */
	struct mm_lease own, webhooks;
	atomic_bool fenced, delivers;
	atomic_bool declines;    /* it cannot deliver: mm_core_deliver_may */
	atomic_int_fast64_t delivers_at; /* monotonic: the lease is good from */
};

enum { MM_CERT_TURNS = 16384 };

#define MM_PEERS 64
struct mm_peer { /* peers.c: a lease of a node, our own among them */
	char id[MM_DOC_ID_MAX + 1];
	uint64_t version;
	int64_t seen_at; /* monotonic: this version, first */
};

#define MM_USED_MOST 256
struct mm_used { /* a credential that was used, not stored yet */
	char id[17];
	int64_t at;
};

struct mm_core {
	struct mm_core_conf conf;
	const struct mm_config *config;
	struct mm_store *store;
	struct mm_store_reader *decide_reader, *commit_reader, *feed_reader;
	struct mm_chains *chains;
	struct mm_lines *lines;
	struct mm_reserve *reserve;
	struct mm_guesses *guesses; /* D's own */
	int64_t pairing_minute;     /* ... too: in which so many with nothing */
	unsigned pairing_n;         /* began to wait */
	struct mm_counts *counts;
	struct mm_forecaster *forecaster;
	struct mm_batches *at_work;
	struct mm_asking *asking;
	struct mm_upstream *upstream; /* upstream.c */
	struct mm_wire *wire;
	struct mm_queue jobs;     /* to D */
	struct mm_queue commits;  /* jobs to W */
	struct mm_queue batches;  /* to W */
	struct mm_queue ends;     /* of leases, to W */
	int kick;                 /* W's eventfd */
	struct mm_round *round;   /* W's own */
	pthread_t decide, commit, feed;
	bool has_decide, has_commit, has_feed;
	_Atomic size_t round_most; /* ops: round.h */
	atomic_bool accepting, stopping; /* stop's steps ... */
	atomic_bool leave, quit;         /* ... for L, for W */
	atomic_bool store_ok;
	atomic_bool issuing;             /* as the signer said last */
	atomic_uint in_flight;
	atomic_uint_fast64_t issued, replayed, renewed, confirmed, refused,
	    busy, orphans;
	atomic_int_fast64_t orphan_at; /* ms; 0: none */
	atomic_uint_fast64_t refusals[MM_REASON_COUNT];
	struct mm_hist hist[MM_CORE_HISTS];
	atomic_uint_fast64_t revocations; /* changes that a CRL must show */
	atomic_uint cert_turn[MM_CERT_TURNS]; /* by serial: desk_ocsp.c */
	atomic_int_fast64_t config_ends, config_missing; /* s; devconf.h */

	pthread_mutex_t responding; /* an OCSP responder is being made */
	pthread_mutex_t lock;     /* what follows */
	pthread_cond_t tick;      /* wakes L */
	struct mm_links fresh;    /* a restarted signer's, for W */
	bool has_fresh, greet;    /* greet: L must say hello */
	uint64_t ledger_size, fed, checkpoint_size;
	int64_t checkpoint_at;
	bool want_checkpoint;
	bool feed_rests;               /* L wants no waking for few entries */
	struct mm_note_key key;
	uint8_t orders_key[32]; /* zero: the signer has none */
	struct mm_unsettled *unsettled, *settling; /* ... is L's */
	char why[161];
	struct mm_word word;      /* the signer's */
	int64_t signer_at;        /* monotonic: when; 0: never */
	int64_t signer_skew_ms;   /* its clock against ours, then */
	struct mm_crl_mark *marks; /* an issuer each */
	struct mm_listed *listed;  /* ... too */
	struct mm_shards *shards;  /* ... too */
	struct mm_nodes nodes;
	struct mm_answer_hold *answering; /* Idempotency-Keys at work */
	struct mm_forget *forgets;        /* forget.c */
	unsigned nforgets, npeers;
	struct mm_peer peer[MM_PEERS];
	int64_t peers_at;                 /* L's own */
	int64_t tidy_at;                  /* housekeeping's own */
	size_t lines_at[2];               /* ... too: mm_lines_list */
	struct mm_used used[MM_USED_MOST];
	unsigned nused, admins;
	int64_t admins_until, admins_at; /* admins_at: monotonic, next look */
};

/* For an entry: whose signature it is. */
static inline const char *
mm_node_or_null(const struct mm_core *c)
{
	return c->config->set.node[0] != '\0' ? c->config->set.node : NULL;
}

static inline void
mm_step(const struct mm_core *c, int n)
{
	if (c->conf.hooks != NULL)
		c->conf.hooks->step(c->conf.hooks->ctx, n);
}

/* core.c */
void mm_core_noted(struct mm_core *c); /* there is a new checkpoint */
void mm_core_note(struct mm_core *c, int level, const char *event,
    const char *text);
void mm_core_not_ready(struct mm_core *c, const char *text);
/* The op's results are in the ops; MM_EAGAIN, MM_ESYS: none happened or who
 * knows. */
MM_MUST enum mm_err mm_core_run(struct mm_core *c, struct mm_op **ops,
    size_t n, struct mm_why *why);
/* One op; its own result. */
MM_MUST enum mm_err mm_core_run1(struct mm_core *c, struct mm_op *op,
    struct mm_why *why);
/* Ends a job: counts, releases; appended to list for conf.done. */
struct mm_jobs { struct mm_job *head, **tail; };
void mm_jobs_init(struct mm_jobs *l);
void mm_jobs_add(struct mm_jobs *l, struct mm_job *job);
void mm_core_refuse(struct mm_job *job, enum mm_reason reason,
    const char *text);
void mm_core_finish(struct mm_core *c, struct mm_job *job,
    struct mm_jobs *done);
void mm_core_hand_back(struct mm_core *c, struct mm_jobs *done);

/* facts.c: what decide needs, from one snapshot */
MM_MUST enum mm_err mm_facts_read(struct mm_core *c,
    struct mm_store_reader *r, struct mm_flight *f, struct mm_facts *out,
    struct mm_why *why);
/* The reservation's name: from what was presented alone. */
void mm_facts_authority(const struct mm_authority *a,
    char out[MM_AUTHORITY_TEXT]);

/* group_facts.c: the group of an old certificate, and what its claim is made
 * under; any failure is that the store cannot be read. */
MM_MUST enum mm_err mm_facts_group(struct mm_store_reader *r,
    const struct mm_authority *a, const uint8_t spki[32],
    struct mm_facts *f);

/* fielded.c: whether the device has proved an identity once, whatever became
 * of it. */
MM_MUST enum mm_err mm_ever_proved(struct mm_store_reader *r,
    const struct mm_device *dev, const uint8_t spki[32], bool *yes,
    struct mm_why *why);
/* fielded.c: whether it has a certificate in force (or on hold) that it has
 * proved, and this is none of those keys nor the one that it is bound to. */
MM_MUST enum mm_err mm_fielded(struct mm_store_reader *r,
    const struct mm_device *dev, const uint8_t spki[32], bool *yes,
    struct mm_why *why);

/* papers.c: the ops of a verdict, onto the flight; MM_EBUG: a lint of ours */
MM_MUST enum mm_err mm_ops_refuse(struct mm_flight *f, bool alert,
    struct mm_why *why);
MM_MUST enum mm_err mm_ops_confirm(struct mm_flight *f, struct mm_why *why);
MM_MUST enum mm_err mm_ops_issue(struct mm_flight *f,
    const struct mm_issue_rep *rep, struct mm_why *why);

/* the threads */
void *mm_pipe_run(void *core);   /* D: pipe.c */
void *mm_commit_run(void *core); /* W: commit.c */
MM_MUST enum mm_err mm_commit_new(struct mm_core *c, struct mm_why *why);
void *mm_feed_run(void *core);   /* L: ledgerfeed.c */

/* settle.c */
void mm_settle_add(struct mm_core *c, const struct mm_cert_row *row,
    struct mm_bytes der, const char *asked);
/* An op that shows whether the store writes: an answer to nobody, which ages
 * like all others. */
void mm_settle_probe(struct mm_op *op);
/* Looks up each: there, or an orphan now.  false: some are left. */
bool mm_settle_run(struct mm_core *c);
/* Asks the signer what it has signed that never came back to it. */
MM_MUST enum mm_err mm_settle_ask(struct mm_core *c, uint64_t age_ms,
    struct mm_why *why);

/* ledgerfeed.c */
MM_MUST enum mm_err mm_feed_greet(struct mm_core *c, struct mm_why *why);
MM_MUST enum mm_err mm_feed_all(struct mm_core *c, struct mm_why *why);
MM_MUST enum mm_err mm_feed_sign(struct mm_core *c, struct mm_why *why);
/* Wakes L: it stores a checkpoint at once. */
void mm_feed_want(struct mm_core *c);

/* turn.c: who signs checkpoints, a document whose version is the turn. */
#define MM_TURN_DOC     "ledger"
#define MM_NODE_LEASE   "node:" /* and the node's name: its lease */
#define MM_NODE_GONE_MS 10000 /* a lease that did not change for so long */
struct mm_turn {
	uint64_t version; /* 0: nobody's yet */
	char node[MM_NAME_MAX + 1];
	uint8_t key[32];
};
void mm_turn_put(const char *node, const uint8_t key[32], struct mm_buf *out);
MM_MUST enum mm_err mm_turn_read(struct mm_store_reader *r,
    struct mm_turn *t, struct mm_why *why);
/* The text after key in one of these documents, which we wrote: a quote
 * inside a text is escaped, so key can only be a key.  false: none. */
bool mm_node_text(struct mm_bytes b, const char *key, char *out, size_t n);
/* What the policy says to that device: to a proof (MM_JOB_CONFIRM), or to
 * when to renew (MM_JOB_ASK); nothing is written.  Refused: reason says why.
 * facts->cert is what it asks by. */
MM_MUST enum mm_err mm_desk_judge(struct mm_desk *d, enum mm_job_kind kind,
    const struct mm_authority *a, struct mm_facts *facts,
    enum mm_reason *reason, struct mm_why *why);
/* Root of the stored tree of that size. */
MM_MUST enum mm_err mm_stored_root(struct mm_store_reader *r, uint64_t size,
    struct mm_hash *out, struct mm_why *why);

/* nodes.c.  start: after a first hello; MM_EPOLICY: this is no node that may
 * work here, why says what to do.  turn: leases and role, as they are due. */
MM_MUST enum mm_err mm_nodes_start(struct mm_core *c, struct mm_why *why);
MM_MUST enum mm_err mm_nodes_turn(struct mm_core *c, struct mm_why *why);
void mm_nodes_stop(struct mm_core *c);
/* Feeds what is durable, whoever wrote it, and checks the checkpoint that
 * another node's signer made of it. */
MM_MUST enum mm_err mm_nodes_catch_up(struct mm_core *c, struct mm_why *why);

/* peers.c.  look: L, when it is due.  works: whether that node, started as
 * this session, may be at work still; "" is the only one. */
MM_MUST enum mm_err mm_peers_look(struct mm_core *c, struct mm_why *why);
MM_MUST enum mm_err mm_peer_works(struct mm_core *c,
    struct mm_store_reader *r, const char *node, const char *session,
    bool *works, struct mm_why *why);

/* forget.c: keys of calls that did nothing, of which the store does not know
 * yet.  pending: MM_EAGAIN, it still is away, or another thread is asking it.
 * last: W is gone. */
void mm_forget_later(struct mm_core *c, const char *key, uint64_t version);
MM_MUST enum mm_err mm_forget_pending(struct mm_core *c, const char *key,
    struct mm_why *why);
MM_MUST enum mm_err mm_forget_all(struct mm_core *c, struct mm_why *why);
void mm_forget_last(struct mm_core *c);

/* clocks.c: enters those of the signer's clock lines that the ledger lacks,
 * in hello_rep's form. */
MM_MUST enum mm_err mm_clocks_enter(struct mm_core *c, struct mm_bytes clocks,
    struct mm_why *why);
/* found.c: enters the profiles and issuers that the ledger has not seen yet. */
MM_MUST enum mm_err mm_found_loaded(struct mm_store *s,
    struct mm_store_reader *r, const struct mm_config *config,
    struct mm_why *why);

/* desk_operators.c: a new key's op; text is shown once and wiped. */
MM_MUST enum mm_err mm_operator_op(const struct mm_operator_spec *spec,
    struct mm_buf *papers, struct mm_op *op, char text[80],
    struct mm_why *why);

#define MM_KEY_HEAD      "mmk_"
#define MM_KEY_ID_DIGITS 16
#define MM_KEY_SECRET_N  32
/* A random id of 16 hex digits. */
MM_MUST enum mm_err mm_operator_id(char id[17], struct mm_why *why);
/* desk_login.c, housekeeping: stores when credentials were used, and counts
 * the administrators. */
void mm_login_used(struct mm_desk *d);
void mm_login_admins(struct mm_desk *d);
/* recovery.c: the record of a certificate that the signer made for breaking
 * the glass; entered first if it is new.  MM_EAUTH: it is none. */
MM_MUST enum mm_err mm_recovery_admit(struct mm_desk *d, struct mm_bytes der,
    struct mm_operator *out, struct mm_why *why);

/* desk.c */
struct mm_desk {
	struct mm_core *c;
	struct mm_store_reader *r;
	struct mm_batches *batches; /* NULL until one is asked for */
	struct mm_ocsp *ocsp;       /* ... too */
	struct mm_buf buf, frame;
	uint64_t writes; /* that were done, or may have been */
	struct mm_import_room *import; /* NULL until there is an import */
};
void mm_import_room_free(struct mm_import_room **owner); /* desk_import.c */
/* Everything that a desk writes for a caller goes by these two, so that
 * mm_desk_writes() can say whether there was any. */
MM_MUST enum mm_err mm_desk_write(struct mm_desk *d, struct mm_op **ops,
    size_t n, struct mm_why *why);
MM_MUST enum mm_err mm_desk_write1(struct mm_desk *d, struct mm_op *op,
    struct mm_why *why);
/* The op with its papers in d->buf. */
MM_MUST enum mm_err mm_desk_run(struct mm_desk *d, struct mm_papers *p,
    struct mm_op *op, struct mm_why *why);

/* desk_devices.c: as mm_desk_device_replace at the version that dev has; the
 * entry says what for. */
MM_MUST enum mm_err mm_desk_device_turn(struct mm_desk *d,
    const struct mm_login *by, const struct mm_device *dev,
    const char *action, const char *reason, struct mm_why *why);

/* handover.c: a device that has come to another product.  What its IDevID was
 * claimed for before that time, under that product, is over. */
MM_MUST enum mm_err mm_handover_put(struct mm_desk *d, const char *device,
    const char *product, struct mm_why *why);
MM_MUST enum mm_err mm_handover_end(struct mm_desk *d, const char *device,
    struct mm_why *why);
MM_MUST enum mm_err mm_handover_get(struct mm_store_reader *r,
    const struct mm_device *dev, int64_t *at_ms, struct mm_why *why);

/* desk_ocsp.c */
struct mm_ocsp;
void mm_ocsp_free(struct mm_ocsp **owner);
/*
 * The serial number of a key that the issuer certified for that use; anew: the
 * signer does not know the last one (any more).  MM_LINE_OCSP is the caller's.
 * MM_EPOLICY: the signer has no such issuer.
 */
MM_MUST enum mm_err mm_desk_responder(struct mm_desk *d, const char *issuer,
    enum mm_responder_use use, bool anew, uint8_t serial[MM_SERIAL_N],
    struct mm_why *why);
/* A certificate's state has changed; serial in hex digits, as entries have
 * it. */
void mm_cert_turned(struct mm_core *c, struct mm_bytes serial_hex);
/* desk_answer.c: begun calls of which nobody will ask any more. */
MM_MUST enum mm_err mm_desk_answers_tidy(struct mm_desk *d,
    struct mm_why *why);
/* desk_unconfirmed.c: the day's alert, if it is due and not entered yet. */
MM_MUST enum mm_err mm_desk_unconfirmed(struct mm_desk *d,
    struct mm_why *why);

#endif
