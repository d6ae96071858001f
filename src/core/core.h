#ifndef MM_CORE_H
#define MM_CORE_H

#include <netinet/in.h>

#include "base/buf.h"
#include "base/hist.h"
#include "base/secret.h"
#include "core/reasons.h"
#include "core/window.h"
#include "ipc/msg.h"
#include "ledger/note.h"
#include "pki/cert.h"
#include "pki/csr.h"
#include "pki/ocsp.h"
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

struct mm_question;

struct mm_core_conf {
	const struct mm_config *config;  /* borrowed */
	/* DER of the anchor and the issuers' chains; read at start. */
	unsigned loops;
	/* Finished jobs, a list, on a core thread: hand them to their loops. */
	void (*done)(void *ctx, struct mm_job *list);
	/* Something worth a log line; the core itself never logs. */
	void (*note)(void *ctx, int level, const char *event, const char *text);
	/* The ledger has size entries now, all durable, whichever node wrote
	 * them; on the writer's thread or the feeder's, which must not wait,
	 * and perhaps on both at once.  NULL: nobody asks. */
	void (*grown)(void *ctx, uint64_t size);
	/* There is a new checkpoint: as grown. */
	void (*noted)(void *ctx);
	/*
	 * Whether a first enrolment is allowed is asked of somebody outside;
	 * NULL: of nobody.  On a core thread, which must not wait: the answer
	 * comes through mm_core_said, within ask_ms.  false: it cannot be
	 * asked now, and the enrolment is refused.  Settings choose profiles.
	 */
	bool (*ask)(void *ctx, const struct mm_question *q);
	int64_t ask_ms;
	/*
	 * Certificates of issuers that are another CA's are asked for there;
	 * NULL: there is none.  On a core thread, which must not wait: the
	 * answer comes through mm_core_forwarded.  false: it cannot be asked
	 * now, and was not.
	 */
	bool (*forward)(void *ctx, uint64_t number,
	    const struct mm_forward_req *q);
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
/* The links that the core has are of one that ended. */
bool mm_core_signer_gone(const struct mm_core *c);
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
	MM_AUTH_BOOTSTRAP,   /* an old or shared certificate: core/group.h */
	MM_AUTH_KINDS
};
/* A code that was printed before: codes.h. */
#define MM_CODE_MIN 8
#define MM_CODE_MAX 64
/*
 * What TLS found out about a client certificate that is none of ours: its
 * holder has proved that key.  What it is worth a group says.
 */
struct mm_old_anchor { /* a CA of groups that it chains to */
	uint8_t sha256[32];
	bool expired;        /* a certificate of that chain is */
	bool revoked;        /* ... was, by its CA's list */
};
#define MM_OLD_ANCHORS 4 /* the nearest */
enum mm_old_kind {
	MM_OLD_CERTIFICATE,
	MM_OLD_NOTHING,      /* none came: its request is all there is */
	MM_OLD_SECRET,       /* none: a secret that is a group's, as a token */
	MM_OLD_KINDS
};
struct mm_old_cert {
	enum mm_old_kind kind;
	uint8_t sha256[32];  /* its; of the secret's id; zero: of nothing */
	struct mm_old_anchor anchor[MM_OLD_ANCHORS]; /* as OpenSSL's level 2
	                                              * verifies */
	unsigned nanchors;
	bool expired;        /* it is itself */
	bool weak;           /* its own key is below that level, or, at the
	                      * legacy listener, its chain */
	bool legacy;         /* that is where it came */
	char cn[65], serial_number[65]; /* its subject's, "" absent */
	struct in6_addr peer;
};
/* Made by the constructors below only; contents are core's. */
struct mm_authority {
	enum mm_authority_kind kind;
	char token[MM_TOKEN_ID_TEXT];
	uint8_t secret[MM_TOKEN_SECRET_N];
	uint8_t serial[16];            /* DEVICE, of what is beside */
	bool beside;                   /* TOKEN_BASIC: a certificate too */
	/* TOKEN: says what it will replace; n 0: it does not */
	struct mm_any_serial replaces;
	uint8_t cert_sha256[32];
	bool expired;                  /* DEVICE: late renewal only */
	bool basic;                    /* BOOTSTRAP: the signer checks, too */
	char operator_[17];
	/* OPERATOR: only role line gives the right, which ends when the device
	 * has proved an identity. */
	bool line;
	/* OPERATOR: names the device; TOKEN_BASIC: says who it is; BOOTSTRAP:
	 * its request does. */
	char device[MM_DEVICE_ID_MAX + 1];
	/* TOKEN_BASIC: instead of id and secret, until they are found by it
	 * (codes.h); named: they were. */
	char code[MM_CODE_MAX + 1];
	bool named;
	char hardware[MM_DEVICE_ID_MAX + 1]; /* BOOTSTRAP: its request's; or "" */
	struct mm_old_cert old;
};
void mm_authority_token_psk(struct mm_authority *a,
    const uint8_t id[MM_TOKEN_ID_N]);
/* user, password: a token's id and secret, or a device's name and code. */
MM_MUST enum mm_err mm_authority_token_basic(struct mm_authority *a,
    struct mm_bytes user, struct mm_bytes password, struct mm_why *why);
/* der: the verified peer certificate (chain checked by TLS against our
 * issuers; expired allowed, flagged here). */
MM_MUST enum mm_err mm_authority_device(struct mm_authority *a,
    struct mm_bytes der, struct mm_why *why);
/* The same of an issuer that is another CA's, too: the number that it is
 * recorded under is not its serial number (pki/foreign.h). */
MM_MUST enum mm_err mm_core_device(struct mm_core *c, struct mm_authority *a,
    struct mm_bytes der, struct mm_why *why);
/* A token in a header on a connection with a certificate: the core asks, after
 * the secret, that both are of one device. */
void mm_authority_beside(struct mm_authority *token,
    const struct mm_authority *device);
/* The serial of what the token's bearer says it will replace: where that is of
 * another device, the token is not spent on it. */
void mm_authority_replaces(struct mm_authority *token,
    const struct mm_any_serial *serial);
/*
 * The same by what the device signed at the line, which is verified here:
 * MM_EAUTH.  der: the certificate as the store has it.
 */
struct mm_possession;
MM_MUST enum mm_err mm_core_proved(struct mm_core *c, struct mm_authority *a,
    struct mm_bytes der, const struct mm_possession *proof,
    struct mm_why *why);
/* Good for a first enrolment only, of a device that its request names: by the
 * CN, and then the serialNumber, where it is another, is its hardware id; or
 * by the serialNumber alone.  MM_EINPUT: it names none. */
void mm_authority_bootstrap(struct mm_authority *a,
    const struct mm_old_cert *old);
MM_MUST enum mm_err mm_authority_asks(struct mm_authority *bootstrap,
    const struct mm_csr *csr, struct mm_why *why);
/* The same by a token that is a group's secret; peer: whence it came. */
void mm_authority_secret(struct mm_authority *token,
    const struct in6_addr *peer);
/* Whether a secret was presented that only the signer can judge. */
bool mm_authority_presents(const struct mm_authority *a);
/* Only from an operator that mm_desk_login gave. */
struct mm_login;
MM_MUST enum mm_err mm_authority_operator(struct mm_authority *a,
    const struct mm_login *login, const char *device, struct mm_why *why);

/* ---- the pipeline ---- */

enum mm_job_kind {
	MM_JOB_ENROL, MM_JOB_REENROL, MM_JOB_KEYGEN, MM_JOB_CONFIRM,
	MM_JOB_ASK /* judged only, for what is told: never posted */
};

#define MM_PEER_TEXT 46  /* an IPv6 address */
#define MM_SAID_TEXT 161

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
	/* OPERATOR: the batch that this counts in, and whose station asks; ""
	 * none.  What a station asks for must be in a batch. */
	char batch[MM_NAME_MAX + 1], station[MM_NAME_MAX + 1];
	bool station_key;              /* its station made the key, not it */
	char peer[MM_PEER_TEXT];       /* its address, for questions; or "" */
	/* At a station: the configuration that it gives the device with the
	 * certificate, for the entry; version 0: none. */
	int64_t config_version;
	uint8_t config_sha256[32];
	void *user;
	uint16_t loop;
	/* out */
	enum mm_err result;
	enum mm_reason reason;
	struct mm_why why;
	char said[MM_SAID_TEXT];       /* by who was asked; operators only */
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
	struct mm_buf entries;
	int stage;
	/* last: large, and as they are until somebody fills them in */
	struct mm_op op, alert;
};
struct mm_job *mm_job_new(enum mm_job_kind kind);
void mm_job_free(struct mm_job **owner);
/* Takes the list; each comes back through conf.done exactly once. */
void mm_core_post(struct mm_core *c, struct mm_job *list);

/* ---- asking before a first enrolment: struct mm_core_conf's ask ---- */

#define MM_ASKED_MOST 1024 /* parked at a time; above: MM_R_AUTHORISE_AWAY */

struct mm_question {
	uint64_t number;               /* of this process */
	enum mm_authority_kind kind;
	char token[MM_TOKEN_ID_TEXT];  /* "" none */
	char device[MM_DEVICE_ID_MAX + 1];
	char product[MM_NAME_MAX + 1], profile[MM_NAME_MAX + 1];
	uint8_t spki[32];              /* all zero: the signer makes the key */
	char peer[MM_PEER_TEXT];
};
enum mm_said { MM_SAID_NOTHING, MM_SAID_NO, MM_SAID_YES };
/* The answer to a question; NOTHING: none could be had.  text: why, shown to
 * operators.  Any thread; once too often, or too late, is nothing. */
void mm_core_said(struct mm_core *c, uint64_t number, enum mm_said said,
    const char *text);

/* ---- what needs no job ---- */

/* It is asked every 2 s: after so long it hangs. */
#define MM_SIGNER_LATE_MS 15000

struct mm_core_stats {
	uint64_t issued, replayed, renewed, confirmed, refused, busy;
	uint64_t orphans, tree_size, checkpoint_size;
	int64_t checkpoint_at, orphan_at; /* ms; 0: none since the start */
	unsigned in_flight;
	unsigned waiting; /* for the signer's answer */
	/* Administrators whose credential is good, and when the last of them
	 * ends: milliseconds, INT64_MAX never; 0 of them: not looked yet. */
	unsigned admins;
	int64_t admins_until;
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
/* The number that the certificate with that serial number is recorded under:
 * an existing CA's is another one (pki/foreign.h).  MM_ENOTFOUND: there is
 * none; MM_ECONFLICT: several CAs have that number. */
MM_MUST enum mm_err mm_core_serial(struct mm_core *c,
    struct mm_store_reader *r, const struct mm_any_serial *serial,
    uint8_t number[MM_SERIAL_N], struct mm_why *why);
/* PKCS#7-ready chains: DER certificates of a label ("" default: all issuers
 * and the root).  Borrowed for the core's life. MM_ENOTFOUND: no label. */
MM_MUST enum mm_err mm_core_cacerts(struct mm_core *c, const char *label,
    const struct mm_bytes **der, size_t *n, struct mm_why *why);
/* What joins the root in force to the one before it: that one, NewWithOld,
 * OldWithNew (RFC 4210 4.4); also when that change is over, unless under_way is
 * asked for.  *n 0: none. */
void mm_core_links(struct mm_core *c, bool under_way,
    const struct mm_bytes **der, size_t *n);
/* The profile a label names ("" : default_label, or NULL when it is empty). */
const struct mm_profile *mm_core_label(struct mm_core *c, const char *label);
/* An issuer's certificate by name, for AIA. */
MM_MUST enum mm_err mm_core_issuer_der(struct mm_core *c, const char *name,
    struct mm_bytes *der, struct mm_why *why);
/* Its chain, itself first, the root last if its file has it.  Borrowed. */
MM_MUST enum mm_err mm_core_issuer_chain(struct mm_core *c, const char *name,
    const struct mm_bytes **der, size_t *n, struct mm_why *why);
void mm_core_note_key(struct mm_core *c, struct mm_buf *out);
/* Several nodes may work over this store; webhooks are this one's to deliver
 * (of a store of our own always). */
bool mm_core_shared(const struct mm_core *c);
bool mm_core_delivers(const struct mm_core *c);
/* Whether this node can deliver at all; else another one shall.  Any thread. */
void mm_core_deliver_may(struct mm_core *c, bool may);
/* Entries that are durable. */
uint64_t mm_core_ledger_size(struct mm_core *c);
/* Entries that the newest checkpoint covers. */
uint64_t mm_core_covered(struct mm_core *c);
/* Counts a refusal nobody proved a right to (hourly entry per reason). */
void mm_core_count_refusal(struct mm_core *c, enum mm_reason r);

/* ---- the desk: one per worker thread; calls block ---- */

struct mm_desk;
MM_MUST enum mm_err mm_desk_open(struct mm_core *c, struct mm_desk **out,
    struct mm_why *why);
void mm_desk_close(struct mm_desk **owner);
/* Nobody asks for anything: what is kept for the next call is given back. */
void mm_desk_idle(struct mm_desk *d);
struct mm_store_reader *mm_desk_reader(struct mm_desk *d);

enum mm_role { /* bits */
	MM_ROLE_ADMIN = 1, MM_ROLE_OPERATOR = 2, MM_ROLE_LINE = 4,
	MM_ROLE_SUPPORT = 8, MM_ROLE_AUDITOR = 16, MM_ROLE_METRICS = 32,
	MM_ROLE_LAST = MM_ROLE_METRICS
};

/*
 * Scope: which products and batches a credential is limited to, as a text
 * "product:thermo,product:valve,batch:B7"; "" is no limit.  What is of no
 * batch is outside of every scope that names one.
 */
#define MM_SCOPE_MOST 16
struct mm_scope {
	bool on;
	unsigned nproducts, nbatches;
	char product[MM_SCOPE_MOST][MM_NAME_MAX + 1]; /* in their order */
	char batch[MM_SCOPE_MOST][MM_NAME_MAX + 1];
};
/* MM_EINPUT: no such form, a name twice, more than 16 of a kind. */
MM_MUST enum mm_err mm_scope_parse(const char *text, struct mm_scope *out,
    struct mm_why *why);
/* Whether it is limited to no product, or to this one among others. */
bool mm_scope_has_product(const struct mm_scope *s, const char *product);
/* Whether it covers an object of this product and batch ("" : none). */
bool mm_scope_sees(const struct mm_scope *s, const char *product,
    const char *batch);
/*
 * Source addresses, "10.0.0.0/8,2001:db8::1"; "" is any.  MM_EINPUT: not an
 * address, or bits beyond the prefix.  peer: IPv4 as mapped.
 */
MM_MUST enum mm_err mm_sources_check(const char *text, struct mm_why *why);
bool mm_sources_hold(const char *text, const struct in6_addr *peer);

struct mm_login {
	char id[17];
	char name[65];
	unsigned roles;
	enum mm_operator_kind kind;
	struct mm_scope scope;
	int64_t expires_at; /* milliseconds; 0 never */
	uint8_t spki[32]; /* SHA-256 of the certificate's key; or zeros */
};
/* No role that may do more than a line: neither operator nor admin, whatever
 * else it has. */
bool mm_login_is_line(const struct mm_login *login);
/* Neither revoked nor past its end. */
bool mm_operator_alive(const struct mm_operator *o);
/* Whether it is an administrator's: see store.h. */
bool mm_operator_admin(const struct mm_operator *o);
const char *mm_role_name(unsigned one_role);
MM_MUST enum mm_err mm_roles_parse(const char *text, unsigned *out,
    struct mm_why *why);
/* Whether the text can be a key: its form alone. */
bool mm_key_is_formed(struct mm_bytes key);
/* What a request brought; exactly one of the two. */
struct mm_presented {
	struct mm_bytes key;         /* "mmk_<id 16 hex>_<secret 43>" */
	struct mm_bytes certificate; /* DER; TLS has proved possession */
	const struct in6_addr *peer;
};
/*
 * MM_EAUTH, one reason: unknown, wrong, revoked, expired, from elsewhere.  A
 * certificate counts by its public key alone, never if that is certified for
 * a device.  A recovery (see recovery.c) is entered into the ledger, with an
 * alert, before its first login comes back.
 */
MM_MUST enum mm_err mm_desk_login(struct mm_desk *d,
    const struct mm_presented *p, struct mm_login *out, struct mm_why *why);

struct mm_token_spec {
	char device[MM_DEVICE_ID_MAX + 1];
	char product[MM_NAME_MAX + 1]; /* makes the device if new; "" : must exist */
	char profile[MM_NAME_MAX + 1]; /* "" : the product's */
	int64_t ttl_s;                 /* 0: default */
	int64_t not_before_at;         /* 0: now */
	bool bearer;
	uint8_t bound_spki[32];        /* all zero: none */
	char code[MM_CODE_MAX + 1];    /* a secret: wipe after use; "" none */
};
struct mm_token_made {
	char id[MM_TOKEN_ID_TEXT];
	char text[MM_TOKEN_TEXT];      /* secret: wipe after use */
	int64_t expires_at;
	enum mm_err result;
	enum mm_reason reason;         /* of a refusal; NONE: result says all */
	struct mm_why why;
};
/* Up to 1,000 at once: signer in batches of 64, one group commit. */
MM_MUST enum mm_err mm_desk_tokens_mint(struct mm_desk *d,
    const struct mm_login *by, const struct mm_token_spec *spec, size_t n,
    struct mm_token_made *out, struct mm_why *why);
/* reason: a word for the entry; NULL or "" none. */
MM_MUST enum mm_err mm_desk_token_cancel(struct mm_desk *d,
    const struct mm_login *by, const char *id, const char *reason,
    struct mm_why *why);
/* The first key stays; else rebind to spki (revokes the first). */
MM_MUST enum mm_err mm_desk_token_thaw(struct mm_desk *d,
    const struct mm_login *by, const char *id, const uint8_t *rebind_spki,
    const char *reason, struct mm_why *why);
/*
 * Tokens that a credential mints within a day (24 hours and the one that
 * runs), counted beforehand: *over, and nothing is counted, where n more would
 * be more than most.  Of calls at once, at whatever node, none passes another.
 * back: of n that were counted nothing came.
 */
MM_MUST enum mm_err mm_desk_mints_count(struct mm_desk *d, const char *id,
    uint64_t n, uint64_t most, bool *over, struct mm_why *why);
MM_MUST enum mm_err mm_desk_mints_back(struct mm_desk *d, const char *id,
    uint64_t n, struct mm_why *why);
/* A version that is not 0 must be the product's: else MM_ESTALE. */
MM_MUST enum mm_err mm_desk_product_put(struct mm_desk *d,
    const struct mm_login *by, const struct mm_product *p, bool replace,
    struct mm_why *why);
MM_MUST enum mm_err mm_desk_device_put(struct mm_desk *d,
    const struct mm_login *by, const struct mm_device *dev, bool replace,
    struct mm_why *why);
/* if_version: NULL, or what it must be: else MM_ESTALE.  That it comes to
 * another product is in its entry. */
MM_MUST enum mm_err mm_desk_device_replace(struct mm_desk *d,
    const struct mm_login *by, const struct mm_device *dev,
    const uint64_t *if_version, struct mm_why *why);

/* ---- a product's schema: core/schema.h ---- */

/* What a look at the product's devices found, so many at a time. */
struct mm_fit {
	uint64_t looked, unfit;
	char next[MM_DEVICE_ID_MAX + 1]; /* "" : there are no more */
};
typedef enum mm_err mm_unfit_fn(void *ctx, const char *device,
    const char *column, const char *why_not);
/* Appends the schema; whole: its index holds every device. MM_ENOTFOUND. */
MM_MUST enum mm_err mm_desk_schema_get(struct mm_desk *d, const char *product,
    struct mm_buf *json, uint64_t *version, bool *whole, struct mm_why *why);
/* Devices after one, against the schema given or (NULL) the product's. */
MM_MUST enum mm_err mm_desk_schema_fit(struct mm_desk *d, const char *product,
    const char *schema, const char *after, struct mm_fit *fit,
    mm_unfit_fn *fn, void *ctx, struct mm_why *why);
/*
 * Looks at the first devices, and refuses (MM_ECONFLICT) if one does not fit,
 * unless force; then indexes the first devices.  schema "": takes it away.
 */
MM_MUST enum mm_err mm_desk_schema_put(struct mm_desk *d,
    const struct mm_login *by, const char *product, const char *schema,
    const uint64_t *if_version, bool force, struct mm_fit *fit,
    struct mm_why *why);
/* Goes on with the index where it stands; next "" : it is whole now. */
MM_MUST enum mm_err mm_desk_schema_index(struct mm_desk *d,
    const char *product, struct mm_fit *out, struct mm_why *why);
/* "hw_rev=B2;lot>=40" into q's conditions: = ^= (begins with) < <= > >=. */
MM_MUST enum mm_err mm_desk_where(struct mm_desk *d, const char *text,
    struct mm_recall *q, struct mm_why *why);
/*
 * mm_recall_devices of those alone that a batch made, a station, or a station
 * in a batch ("" : whichever), by batch and device; a key is "batch/device",
 * and one that is not of the batch is MM_EINPUT.  q's device is not read.
 */
MM_MUST enum mm_err mm_desk_recall_made(struct mm_desk *d, const char *batch,
    const char *station, const struct mm_recall *q, mm_row_fn *fn, void *ctx,
    char next[MM_RECALL_AFTER], struct mm_why *why);
/* Also revokes all its certificates, however many.  MM_EAGAIN: it is retired,
 * and one is not revoked yet. */
MM_MUST enum mm_err mm_desk_device_retire(struct mm_desk *d,
    const struct mm_login *by, const char *id, struct mm_why *why);
/*
 * It goes to another product, which may be another owner's: its operational
 * certificates are revoked (cessationOfOperation), its tokens cancelled, its
 * IDevID stays.  reason: a word for the entries.  The same again goes on where
 * it was cut off.  idevid: by its IDevID, whose claim is on an operational
 * certificate of the owner before, the device may have one of its new owner.
 * MM_ECONFLICT: retired, or of that product already and nothing is left to end.
 */
struct mm_transfer {
	const char *product, *reason;
	bool idevid;
};
MM_MUST enum mm_err mm_desk_device_transfer(struct mm_desk *d,
    const struct mm_login *by, const char *id, const struct mm_transfer *t,
    struct mm_why *why);
/*
 * It has got another board: all its certificates are revoked (superseded),
 * its tokens cancelled, and the key that the factory recorded is replaced by
 * spki, all zero: by none.  Its next certificate is for another key.
 */
MM_MUST enum mm_err mm_desk_device_repair(struct mm_desk *d,
    const struct mm_login *by, const char *id, const uint8_t spki[32],
    const char *reason, struct mm_why *why);
MM_MUST enum mm_err mm_desk_cert_revoke(struct mm_desk *d,
    const struct mm_login *by, const uint8_t serial[16], unsigned reason,
    bool *already, struct mm_why *why);
MM_MUST enum mm_err mm_desk_cert_hold(struct mm_desk *d,
    const struct mm_login *by, const uint8_t serial[16], bool release,
    struct mm_why *why);
/* A new credential; texts may be NULL. */
struct mm_operator_spec {
	const char *name, *description, *scope, *sources;
	unsigned roles;
	int64_t expires_at;  /* 0: never, or when the certificate does */
	struct mm_bytes certificate; /* DER; empty: an API key is made */
	const char *actor;   /* NULL: the founding; core's */
};
/* Makes the key and shows it once in text ("" with a certificate).  *row is
 * what was stored. */
MM_MUST enum mm_err mm_desk_operator_create(struct mm_desk *d,
    const struct mm_login *by, const struct mm_operator_spec *spec,
    char text[80], struct mm_operator *row, struct mm_why *why);
/* MM_EPOLICY: the last administrator. */
MM_MUST enum mm_err mm_desk_operator_revoke(struct mm_desk *d,
    const struct mm_login *by, const char *id, struct mm_why *why);
/* Forgets the name and the description: entries never had them. */
MM_MUST enum mm_err mm_desk_operator_erase(struct mm_desk *d,
    const struct mm_login *by, const char *id, struct mm_why *why);
/*
 * Approvals: what a dangerous request waits for.  As a document it is
 * server's; here are the rules and the entries.
 */
enum mm_approval_state {
	MM_APPROVAL_WAITING, MM_APPROVAL_APPROVED, MM_APPROVAL_REFUSED,
	MM_APPROVAL_EXPIRED, MM_APPROVAL_USED, MM_APPROVAL_STATES
};
struct mm_approval {
	char id[17];
	char action[16];       /* "keys", "bulk-mint", ... */
	char method[8], path[256];
	uint8_t request_sha256[32]; /* of method, path and body */
	uint8_t salt[MM_SALT_N];    /* of what its entries have of that */
	char requester[17], decider[17]; /* credentials' ids; decider "" */
	int64_t requested_at, expires_at, decided_at;
	int64_t good_until;    /* used, and still good for its next calls; 0 */
	enum mm_approval_state state;
	uint64_t version;      /* the document's; 0: new */
	struct mm_hash was;    /* of that document: struct mm_op_doc */
};
/* Whether it can still be used, but for its time. */
bool mm_approval_open(const struct mm_approval *a);
/*
 * Whether decider may approve or refuse it; asked: who requested it.
 * MM_EPOLICY: not an administrator, a recovered one, the same person, or a
 * credential that is younger than the request; MM_ECONFLICT: expired, or
 * decided already.  Anybody of them may refuse, who asked too.
 */
MM_MUST enum mm_err mm_approval_may_decide(const struct mm_approval *a,
    enum mm_approval_state to, const struct mm_operator *asked,
    const struct mm_operator *decider, struct mm_why *why);
/* Whether it may be carried out; decider: the record of who approved. */
MM_MUST enum mm_err mm_approval_may_use(const struct mm_approval *a,
    const struct mm_operator *decider, struct mm_why *why);
/* Stores doc with the entry that fits the state; MM_ECONFLICT: somebody was
 * first.  actor: NULL for time alone. */
MM_MUST enum mm_err mm_desk_approval_put(struct mm_desk *d,
    const struct mm_approval *a, struct mm_bytes doc, const char *actor,
    struct mm_why *why);
/* Stores doc of one that was used, with no entry: that it is complete. */
MM_MUST enum mm_err mm_desk_approval_close(struct mm_desk *d,
    const struct mm_approval *a, struct mm_bytes doc, struct mm_why *why);
/* Takes it away; its entries stay. */
MM_MUST enum mm_err mm_desk_approval_drop(struct mm_desk *d,
    const struct mm_approval *a, struct mm_why *why);
/* 16 random hex digits. */
MM_MUST enum mm_err mm_desk_random_id(char id[17], struct mm_why *why);
/* The receipt of the device's newest certificate.  MM_EAGAIN where no
 * checkpoint covers entry *uncovered yet (UINT64_MAX: for another reason): one
 * has been asked for, and nothing waits here. */
MM_MUST enum mm_err mm_desk_receipt(struct mm_desk *d, const char *device,
    struct mm_buf *json, uint64_t *uncovered, struct mm_why *why);
/* The same for the device that asks by its certificate, which must be in
 * force as for a proof (step 8).  Refused: reason says why. */
MM_MUST enum mm_err mm_desk_receipt_own(struct mm_desk *d,
    const struct mm_authority *a, struct mm_buf *json, uint64_t *uncovered,
    enum mm_reason *reason, struct mm_why *why);
/*
 * When the certificate that a device asks by is to be renewed; it must be in
 * force, or be such that it could be renewed late.  Refused: reason says why.
 */
struct mm_renewal {
	uint8_t serial[16];
	struct mm_window window;
};
MM_MUST enum mm_err mm_desk_renewal(struct mm_desk *d,
    const struct mm_authority *a, struct mm_renewal *out,
    enum mm_reason *reason, struct mm_why *why);
MM_MUST enum mm_err mm_desk_receipt_at(struct mm_desk *d, uint64_t index,
    struct mm_buf *json, uint64_t *uncovered, struct mm_why *why);
/* Signs the lists of the issuer's shards that changed or are near their end;
 * force: all.  Nothing where it has none; a line CA's is signed with its
 * complete list. */
MM_MUST enum mm_err mm_desk_shards(struct mm_desk *d, const char *issuer,
    bool force, struct mm_why *why);
/* How many shards a configured issuer's lists have; 0: the complete list
 * stands for all, and is right for each.  *turn changes when a list does. */
size_t mm_core_shards(struct mm_core *c, const char *issuer, uint64_t *turn);
/* Signs a new CRL for the issuer if it changed or is near its end; force: and
 * those of its shards. */
MM_MUST enum mm_err mm_desk_crl(struct mm_desk *d, const char *issuer,
    bool force, uint64_t *number, struct mm_why *why);
/*
 * OCSP (RFC 6960): what the store says of certificates, signed.  At most
 * MM_IPC_ITEMS_MAX at a time.  MM_OK: each has its own rc; MM_EAGAIN or
 * MM_ESYS: come again.
 */
struct mm_ocsp_ask {
	struct mm_bytes id, nonce; /* the CertID, whole; nonce may be empty */
	char issuer[MM_NAME_MAX + 1];
	uint8_t serial[MM_SERIAL_N];
	bool has_serial;      /* of the length that ours have */
	int64_t life_s;       /* nextUpdate after thisUpdate, at most */
	/* out */
	enum mm_err rc;
	enum mm_ocsp_status status;
	uint8_t reason;
	int64_t revoked_s, this_s, next_s;
	unsigned turn;        /* mm_core_cert_turn before the store was read */
	struct mm_buf der;    /* OCSPResponse; the caller's */
};
MM_MUST enum mm_err mm_desk_ocsp(struct mm_desk *d, struct mm_ocsp_ask *asks,
    size_t n, struct mm_why *why);
/* When nobody asks: alerts whose hour is over are entered; last: all that
 * there are, for the server ends. */
void mm_desk_ocsp_rest(struct mm_desk *d, bool last);
/* Whether a line CA that the signer made is asked about, and for how long its
 * answers are good. */
bool mm_core_ocsp_line(struct mm_core *c, const struct mm_ocsp_id *id,
    char name[MM_NAME_MAX + 1], int64_t *life_s);
/* Goes up when the state of this serial's certificate changes, before whoever
 * changed it is answered; other nodes' changes as their entries come by (and
 * with other serials').  An answer of another turn is no longer to be used. */
unsigned mm_core_cert_turn(struct mm_core *c,
    const uint8_t serial[MM_SERIAL_N]);
/*
 * When the certificates in force end (UTC days since 1970), as counted last:
 * see forecast.c.  The cells are in no order, and a class may have several of
 * a day.  Line CAs have the issuer "".
 */
struct mm_forecast_class {
	char product[MM_NAME_MAX + 1], issuer[MM_NAME_MAX + 1];
	/* Confirmed, renewable (LDevIDs that have an end) and not past it; of
	 * those, with less than a tenth of the profile's lifetime left. */
	uint64_t in_use, late;
};
struct mm_forecast_cell {
	uint32_t class, day;
	uint64_t n;
};
struct mm_forecast {
	int64_t as_of; /* ms */
	struct mm_forecast_class *class;
	struct mm_forecast_cell *cell;
	size_t nclass, ncell;
	unsigned held; /* forecast.c's */
};
/* A line CA's name, of the configuration or made since. */
bool mm_issuer_is_line(struct mm_core *c, const char *name);
/* NULL: none yet.  The caller gives it back. */
struct mm_forecast *mm_core_forecast(struct mm_core *c);
void mm_core_forecast_done(struct mm_core *c, struct mm_forecast *take_f);
/* Runs on a worker when the core says so: CRLs due, refusals hourly, ... */
void mm_desk_housekeeping(struct mm_desk *d);
/* One request at a time works under a key: false, somebody does.  The hold is
 * the caller's, all zero at first, and stays where it is until it is ended, on
 * any thread; ending one that was not begun, or twice, is nothing. */
struct mm_answer_hold {
	char key[129];
	uint64_t begun; /* version of what stands that it was; 0: nothing */
	struct mm_core *core; /* NULL: it holds nothing */
	struct mm_answer_hold *next;
};
bool mm_desk_answer_begin(struct mm_desk *d, const char *key,
    struct mm_answer_hold *hold);
void mm_answer_end(struct mm_answer_hold *hold);
/* The call did nothing and nobody will answer it: forgotten when it can be. */
void mm_answer_void(struct mm_answer_hold *hold);
/*
 * Under "<operator id>:<Idempotency-Key>", at most 96 characters, stands
 * durably that a call was begun, before it does anything, and then what was
 * answered.  A call of which only the first stands may have been carried out:
 * it is never carried out again.  For whoever has the hold.  desk_answer.c
 *
 * find: MM_ENOTFOUND: nothing of the last 24 h; MM_EUSED: another request;
 * MM_EUNSURE: begun and not answered, by one that is gone; MM_EBUSY: begun on
 * another node, which lives.  Appends the answer's body.
 * start: MM_EBUSY: another node was first.  version: for forget.
 * put: the answer; body must hold no secret.
 * forget: the call did nothing, or will be answered anew.  What fails is tried
 * again later.
 */
MM_MUST enum mm_err mm_desk_answer_find(struct mm_desk *d, const char *key,
    const uint8_t request_sha256[32], int *status, struct mm_buf *body,
    struct mm_why *why);
MM_MUST enum mm_err mm_desk_answer_start(struct mm_desk *d, const char *key,
    const uint8_t request_sha256[32], uint64_t *version, struct mm_why *why);
MM_MUST enum mm_err mm_desk_answer_put(struct mm_desk *d, const char *key,
    const uint8_t request_sha256[32], int status, struct mm_bytes body,
    struct mm_why *why);
MM_MUST enum mm_err mm_desk_answer_forget(struct mm_desk *d, const char *key,
    uint64_t version, struct mm_why *why);
/* Line CAs that the signer made: how many there are, and one of them, by name,
 * with the number of its newest list (0: not known); it may be another one
 * when there are more.  false: not so many. */
size_t mm_core_lines(struct mm_core *c);
bool mm_core_line_at(struct mm_core *c, size_t i, char name[MM_NAME_MAX + 1],
    uint64_t *list);
/* The certificate of the one with that subject (DER); borrowed for as long as
 * the core is there.  false: there is none. */
bool mm_core_line_named(struct mm_core *c, struct mm_bytes subject,
    struct mm_bytes *der);
/* How many of this desk's writes were done, or may have been. */
uint64_t mm_desk_writes(const struct mm_desk *d);
/* Writes or takes away a document, with up to MM_OP_ENTRIES entries about it;
 * sets doc->version.  Errors are struct mm_op_doc's. */
struct mm_entry;
MM_MUST enum mm_err mm_desk_doc_put(struct mm_desk *d, struct mm_op_doc *doc,
    const struct mm_entry *e, unsigned n, struct mm_why *why);
/* One entry that goes with nothing else. */
MM_MUST enum mm_err mm_desk_enter(struct mm_desk *d, const struct mm_entry *e,
    struct mm_why *why);
/*
 * Documents that no ledger entry goes with, durable together when it returns:
 * u.doc of each op, at most MM_DESK_DOCS.  Each has a result; the first that
 * failed is the call's, but that one to take away is not there (MM_ENOTFOUND).
 */
#define MM_DESK_DOCS 128
MM_MUST enum mm_err mm_desk_docs_put(struct mm_desk *d, struct mm_op *ops,
    size_t n, struct mm_why *why);

#endif
