#ifndef MM_CORE_H
#define MM_CORE_H

#include "base/buf.h"
#include "base/hist.h"
#include "base/secret.h"
#include "ipc/msg.h"
#include "ledger/note.h"
#include "pki/csr.h"
#include "pki/profile.h"
#include "pki/token.h"
#include "store/store.h"

/*
 * The use cases.  core/ decides and knows neither HTTP nor SQL.
 *
 * Two ways in:
 *  - the pipeline, for what devices do (enrol, renew, confirm): a job is
 *    posted and comes back done; nothing in the caller blocks.  Threads:
 *    decide (reads, authority, reservation, sends to the signer in batches)
 *    -> signer -> commit (the one writer: group commit) -> done.
 *  - the desk, for what operators do: a struct mm_desk per worker thread,
 *    calls block until durable.
 *
 * A third thread feeds new, durable entries to the signer's tree, asks for a
 * checkpoint within a second (at once when a receipt waits), and settles
 * signatures that never reached the store (promise 2).
 */
struct mm_core;
struct mm_job;

/* A test's eyes: called at each numbered step of docs (issuance). */
struct mm_core_hooks {
	void (*step)(void *ctx, int step);
	void *ctx;
};

struct mm_core_conf {
	const struct mm_config *config;  /* borrowed */
	/* DER of the anchor and the issuers' chains; read at start. */
	unsigned loops;
	/* Finished jobs, a list, on a core thread: hand them to their loops. */
	void (*done)(void *ctx, struct mm_job *list);
	/* Something worth a log line; the core itself never logs. */
	void (*note)(void *ctx, int level, const char *event, const char *text);
	/* The ledger has size entries now, all durable; on the writer's
	 * thread, which must not wait.  NULL: nobody asks. */
	void (*grown)(void *ctx, uint64_t size);
	void *ctx;
	unsigned jobs_max;               /* in flight; above: MM_EAGAIN */
	const struct mm_core_hooks *hooks; /* NULL but in tests */
};

/* Opens store (no threads yet); links: the server's ends. */
MM_MUST enum mm_err mm_core_open(const struct mm_core_conf *conf,
    struct mm_core **out, struct mm_why *why);
/* Says hello to the signer, compares tree sizes (a signer ahead of the store:
 * MM_EPOLICY "store is behind the signer: restore"), feeds it what it lacks,
 * settles what is outstanding, then starts the threads. */
MM_MUST enum mm_err mm_core_start(struct mm_core *c,
    const struct mm_links *links, struct mm_why *why);
/* A restarted signer's fresh links; takes them.  Thread-safe. */
void mm_core_relink(struct mm_core *c, const struct mm_links *links);
/* The PSK link of an event loop, or -1 while the signer is away. */
int mm_core_psk_fd(struct mm_core *c, unsigned loop);
/* Answers everything in flight (jobs fail with MM_EAGAIN past the deadline),
 * signs a last checkpoint, joins the threads. */
void mm_core_stop(struct mm_core *c, int64_t deadline_ms);
void mm_core_close(struct mm_core **owner);

/* ---- authority: a type, not a flag ---- */

enum mm_authority_kind {
	MM_AUTH_NONE,        /* refused everywhere: the default */
	MM_AUTH_TOKEN_PSK,   /* proven by the handshake */
	MM_AUTH_TOKEN_BASIC, /* id and secret; the signer checks */
	MM_AUTH_DEVICE,      /* a certificate of ours by mutual TLS */
	MM_AUTH_OPERATOR,    /* an API key with role line or admin */
	MM_AUTH_KINDS
};
/* Made by the constructors below only; contents are core's. */
struct mm_authority {
	enum mm_authority_kind kind;
	char token[MM_TOKEN_ID_TEXT];
	uint8_t secret[MM_TOKEN_SECRET_N];
	uint8_t serial[16];            /* DEVICE, and of what is beside */
	bool beside;                   /* TOKEN_BASIC: a certificate too */
	uint8_t cert_sha256[32];
	bool expired;                  /* DEVICE: late renewal only */
	char operator_[17];
	char device[MM_DEVICE_ID_MAX + 1]; /* OPERATOR: names the device */
};
void mm_authority_token_psk(struct mm_authority *a,
    const uint8_t id[MM_TOKEN_ID_N]);
MM_MUST enum mm_err mm_authority_token_basic(struct mm_authority *a,
    struct mm_bytes user, struct mm_bytes password, struct mm_why *why);
/* der: the verified peer certificate (chain checked by TLS against our
 * issuers; expired allowed, flagged here). */
MM_MUST enum mm_err mm_authority_device(struct mm_authority *a,
    struct mm_bytes der, struct mm_why *why);
/* A token in a header on a connection with a certificate: the core asks, after
 * the secret, that both are of one device. */
void mm_authority_beside(struct mm_authority *token,
    const struct mm_authority *device);
/* Only from an operator that mm_desk_login gave. */
struct mm_login;
MM_MUST enum mm_err mm_authority_operator(struct mm_authority *a,
    const struct mm_login *login, const char *device, struct mm_why *why);

/* ---- the pipeline ---- */

enum mm_job_kind {
	MM_JOB_ENROL, MM_JOB_REENROL, MM_JOB_KEYGEN, MM_JOB_CONFIRM
};

/* A reason a device can show; stable text, part of the API. */
#define MM_REASONS(X)                                                       \
	X(MM_R_NONE, "")                                                        \
	X(MM_R_MALFORMED, "malformed-request")                                  \
	X(MM_R_POSSESSION, "possession-not-proved")                             \
	X(MM_R_CREDENTIAL, "credential-refused") /* unknown or wrong: no oracle */ \
	X(MM_R_DOOR, "token-needs-handshake")                                   \
	X(MM_R_NOT_YET, "token-not-yet-valid")                                  \
	X(MM_R_EXPIRED, "token-expired")                                        \
	X(MM_R_CANCELLED, "token-cancelled")                                    \
	X(MM_R_FROZEN, "token-frozen")                                          \
	X(MM_R_OTHER_KEY, "token-used-with-another-key")                        \
	X(MM_R_BOUND_KEY, "token-bound-to-another-key")                         \
	X(MM_R_IN_FLIGHT, "request-in-flight")                                  \
	X(MM_R_CONFIRMED, "already-confirmed")                                  \
	X(MM_R_CERT_UNKNOWN, "certificate-unknown")                             \
	X(MM_R_CERT_REVOKED, "certificate-revoked")                             \
	X(MM_R_CERT_EXPIRED, "certificate-expired")                             \
	X(MM_R_SUPERSEDED, "certificate-superseded")                            \
	X(MM_R_CLONE, "clone-suspected")                                        \
	X(MM_R_IDEVID, "idevid-cannot-renew")                                   \
	X(MM_R_LDEVID, "not-an-idevid")                                         \
	X(MM_R_NAMES, "names-differ-from-certificate")                          \
	X(MM_R_SAME_KEY, "same-key-not-allowed")                                \
	X(MM_R_KEY_TAKEN, "key-certified-for-another-device")                   \
	X(MM_R_KEY_COMPROMISED, "key-revoked-as-compromised")                   \
	X(MM_R_BESIDE, "token-beside-another-devices-certificate")              \
	X(MM_R_KEY_TYPE, "key-type-not-allowed")                                \
	X(MM_R_PROFILE, "profile-not-allowed")                                  \
	X(MM_R_LABEL, "unknown-label")                                          \
	X(MM_R_DEVICE, "device-retired-or-unknown")                             \
	X(MM_R_BINDING, "channel-binding-missing-or-wrong")                     \
	X(MM_R_TOO_MANY, "too-many-replacements")                               \
	X(MM_R_CEILING, "ceiling-reached")                                      \
	X(MM_R_BUSY, "try-later")

enum mm_reason {
#define X(e, text) e,
	MM_REASONS(X)
#undef X
	MM_REASON_COUNT
};
const char *mm_reason_text(enum mm_reason r);

struct mm_job {
	/* in: the caller's */
	enum mm_job_kind kind;
	struct mm_authority authority;
	char label[MM_NAME_MAX + 1];   /* "" none */
	struct mm_buf request;         /* the PKCS#10's DER; owned by the job */
	struct mm_csr csr;             /* walked over request */
	bool binding_ok;               /* tls-unique or exporter was proved */
	bool binding_wrong;            /* one was present and did not match */
	bool want_checkpoint;          /* a receipt will be asked for */
	void *user;
	uint16_t loop;
	/* out */
	enum mm_err result;
	enum mm_reason reason;
	struct mm_why why;
	unsigned retry_after_s;        /* with 429 and 503 */
	bool replayed;
	struct mm_buf der;             /* the certificate */
	struct mm_secret *pkcs8;       /* KEYGEN */
	uint8_t serial[16];
	char issuer[MM_NAME_MAX + 1];
	char profile[MM_NAME_MAX + 1];
	char device[MM_DEVICE_ID_MAX + 1];
	uint64_t entry;
	int64_t not_after_s;
	/* the pipeline's own */
	struct mm_job *next;
	void *priv;
	struct mm_op op, alert;
	struct mm_buf entries;
	int stage;
};
struct mm_job *mm_job_new(enum mm_job_kind kind);
void mm_job_free(struct mm_job **owner);
/* Takes the list; each comes back through conf.done exactly once. */
void mm_core_post(struct mm_core *c, struct mm_job *list);

/* ---- what needs no job ---- */

/* It is asked every 2 s: after so long it hangs. */
#define MM_SIGNER_LATE_MS 15000

struct mm_core_stats {
	uint64_t issued, replayed, renewed, confirmed, refused, busy;
	uint64_t orphans, tree_size, checkpoint_size;
	int64_t checkpoint_at;
	unsigned in_flight;
	unsigned waiting; /* for the signer's answer */
	bool signer_up, store_ok, ready;
	char why[161]; /* why not ready */
	/* As the signer said last, at most some seconds ago while it is up. */
	bool signer_known;
	struct mm_status_rep signer;
	int64_t signer_age_ms;  /* since it said so */
	int64_t signer_skew_ms; /* its clock against ours */
};
void mm_core_stats(struct mm_core *c, struct mm_core_stats *out);
/* Refusals since the start, by reason: of jobs, and those counted below. */
void mm_core_refusals(const struct mm_core *c, uint64_t n[MM_REASON_COUNT]);
enum mm_core_hist {
	MM_HIST_ISSUE,  /* microseconds from posting to release */
	MM_HIST_COMMIT, /* microseconds of a transaction */
	MM_HIST_BATCH,  /* operations in it */
	MM_CORE_HISTS
};
const struct mm_hist *mm_core_hist(const struct mm_core *c,
    enum mm_core_hist which);
/* PKCS#7-ready chains: DER certificates of a label ("" default: all issuers
 * and the root).  Borrowed for the core's life. MM_ENOTFOUND: no label. */
MM_MUST enum mm_err mm_core_cacerts(struct mm_core *c, const char *label,
    const struct mm_bytes **der, size_t *n, struct mm_why *why);
/* The profile a label names ("" : default_label, or NULL when it is empty). */
const struct mm_profile *mm_core_label(struct mm_core *c, const char *label);
/* An issuer's certificate by name, for AIA. */
MM_MUST enum mm_err mm_core_issuer_der(struct mm_core *c, const char *name,
    struct mm_bytes *der, struct mm_why *why);
void mm_core_note_key(struct mm_core *c, struct mm_buf *out);
/* Several nodes may work over this store; webhooks are this one's to deliver
 * (of a store of our own always). */
bool mm_core_shared(const struct mm_core *c);
bool mm_core_delivers(const struct mm_core *c);
/* Entries that are durable. */
uint64_t mm_core_ledger_size(struct mm_core *c);
/* Counts a refusal nobody proved a right to (hourly entry per reason). */
void mm_core_count_refusal(struct mm_core *c, enum mm_reason r);

/* ---- the desk: one per worker thread; calls block ---- */

struct mm_desk;
MM_MUST enum mm_err mm_desk_open(struct mm_core *c, struct mm_desk **out,
    struct mm_why *why);
void mm_desk_close(struct mm_desk **owner);
struct mm_store_reader *mm_desk_reader(struct mm_desk *d);

enum mm_role { /* bits */
	MM_ROLE_ADMIN = 1, MM_ROLE_OPERATOR = 2, MM_ROLE_LINE = 4,
	MM_ROLE_SUPPORT = 8, MM_ROLE_AUDITOR = 16
};
struct mm_login {
	char id[17];
	char name[65];
	unsigned roles;
};
const char *mm_role_name(unsigned one_role);
MM_MUST enum mm_err mm_roles_parse(const char *text, unsigned *out,
    struct mm_why *why);
/* key: "mmk_<id 16 hex>_<secret base64url 43>".  MM_EAUTH, one reason. */
MM_MUST enum mm_err mm_desk_login(struct mm_desk *d, struct mm_bytes key,
    struct mm_login *out, struct mm_why *why);

struct mm_token_spec {
	char device[MM_DEVICE_ID_MAX + 1];
	char product[MM_NAME_MAX + 1]; /* makes the device if new; "" : must exist */
	char profile[MM_NAME_MAX + 1]; /* "" : the product's */
	int64_t ttl_s;                 /* 0: default */
	int64_t not_before_at;         /* 0: now */
	bool bearer;
	uint8_t bound_spki[32];        /* all zero: none */
};
struct mm_token_made {
	char id[MM_TOKEN_ID_TEXT];
	char text[MM_TOKEN_TEXT];      /* secret: wipe after use */
	int64_t expires_at;
	enum mm_err result;
	struct mm_why why;
};
/* Up to 1,000 at once: signer in batches of 64, one group commit. */
MM_MUST enum mm_err mm_desk_tokens_mint(struct mm_desk *d,
    const struct mm_login *by, const struct mm_token_spec *spec, size_t n,
    struct mm_token_made *out, struct mm_why *why);
MM_MUST enum mm_err mm_desk_token_cancel(struct mm_desk *d,
    const struct mm_login *by, const char *id, struct mm_why *why);
/* keep: the first key stays; else rebind to spki (revokes the first). */
MM_MUST enum mm_err mm_desk_token_thaw(struct mm_desk *d,
    const struct mm_login *by, const char *id, const uint8_t *rebind_spki,
    struct mm_why *why);
MM_MUST enum mm_err mm_desk_product_put(struct mm_desk *d,
    const struct mm_login *by, const struct mm_product *p, bool replace,
    struct mm_why *why);
MM_MUST enum mm_err mm_desk_device_put(struct mm_desk *d,
    const struct mm_login *by, const struct mm_device *dev, bool replace,
    struct mm_why *why);
MM_MUST enum mm_err mm_desk_device_retire(struct mm_desk *d,
    const struct mm_login *by, const char *id, struct mm_why *why);
MM_MUST enum mm_err mm_desk_cert_revoke(struct mm_desk *d,
    const struct mm_login *by, const uint8_t serial[16], unsigned reason,
    bool *already, struct mm_why *why);
MM_MUST enum mm_err mm_desk_cert_hold(struct mm_desk *d,
    const struct mm_login *by, const uint8_t serial[16], bool release,
    struct mm_why *why);
/* Makes the key and shows it once in text. */
MM_MUST enum mm_err mm_desk_operator_create(struct mm_desk *d,
    const struct mm_login *by, const char *name, unsigned roles,
    int64_t expires_at, char text[80], char id[17], struct mm_why *why);
/* MM_EPOLICY: the last administrator. */
MM_MUST enum mm_err mm_desk_operator_revoke(struct mm_desk *d,
    const struct mm_login *by, const char *id, struct mm_why *why);
/* The device's newest certificate's receipt; waits for a checkpoint that
 * covers it (at most 2 s: MM_EAGAIN). */
MM_MUST enum mm_err mm_desk_receipt(struct mm_desk *d, const char *device,
    struct mm_buf *json, struct mm_why *why);
/* The same for the device that asks by its certificate, which must be in
 * force as for a proof (step 8).  Refused: reason says why. */
MM_MUST enum mm_err mm_desk_receipt_own(struct mm_desk *d,
    const struct mm_authority *a, struct mm_buf *json,
    enum mm_reason *reason, struct mm_why *why);
MM_MUST enum mm_err mm_desk_receipt_at(struct mm_desk *d, uint64_t index,
    struct mm_buf *json, struct mm_why *why);
/* Signs a new CRL for the issuer if it changed or is near its end; force. */
MM_MUST enum mm_err mm_desk_crl(struct mm_desk *d, const char *issuer,
    bool force, uint64_t *number, struct mm_why *why);
/* Runs on a worker when the core says so: CRLs due, refusals hourly, ... */
void mm_desk_housekeeping(struct mm_desk *d);
/* One request at a time works under a key: false, somebody does.  The hold is
 * the caller's and stays where it is until it is ended. */
struct mm_answer_hold {
	char key[129];
	struct mm_answer_hold *next;
};
bool mm_desk_answer_begin(struct mm_desk *d, const char *key,
    struct mm_answer_hold *hold);
void mm_desk_answer_end(struct mm_desk *d, struct mm_answer_hold *hold);
/* Keeps a REST answer under "<operator id>:<Idempotency-Key>", at most 128
 * characters; body must hold no secret.  desk_answer.c */
MM_MUST enum mm_err mm_desk_answer_put(struct mm_desk *d, const char *key,
    const uint8_t request_sha256[32], int status, struct mm_bytes body,
    struct mm_why *why);
/* Writes or takes away a document, with up to MM_OP_ENTRIES entries about it;
 * sets doc->version.  Errors are struct mm_op_doc's. */
struct mm_entry;
MM_MUST enum mm_err mm_desk_doc_put(struct mm_desk *d, struct mm_op_doc *doc,
    const struct mm_entry *e, unsigned n, struct mm_why *why);
/* Ops without papers, durable together when it returns; each has a result. */
MM_MUST enum mm_err mm_desk_run_all(struct mm_desk *d, struct mm_op **ops,
    size_t n, struct mm_why *why);
/* Documents that no ledger entry goes with, in one transaction; the first
 * that failed is the result.  desk_docs.c */
#define MM_DESK_DOCS 64
MM_MUST enum mm_err mm_desk_docs_put(struct mm_desk *d,
    struct mm_op_doc *docs, size_t n, struct mm_why *why);
/* Enrol on an operator's authority, blocking (REST). */
MM_MUST enum mm_err mm_desk_enrol(struct mm_desk *d, struct mm_job *job);

/*
 * First start ("mintmark init"): opens a new store with the entries that
 * belong before all others, and the first administrator.  Needs no signer.
 */
MM_MUST enum mm_err mm_core_found(const struct mm_config *config,
    struct mm_bytes ledger_key, const char *admin_name, char key_text[80],
    struct mm_why *why);

/*
 * Of several nodes, this one's signer signs the checkpoints from now on.
 * Nothing is changed unless yes.  key: the ledger's.  Takes ten seconds where
 * the node before did not say goodbye.  MM_ECONFLICT: that one is alive, or it
 * is this one; MM_EPOLICY: key, last checkpoint and stored entries do not
 * belong together.
 */
struct mm_takeover {
	char from[MM_NAME_MAX + 1]; /* the node that signed before */
	uint64_t size;              /* of its last checkpoint; 0 none */
	uint64_t turn;
};
MM_MUST enum mm_err mm_core_takeover(const struct mm_config *config,
    const struct mm_note_key *key, bool yes, struct mm_takeover *out,
    struct mm_why *why);

#endif
