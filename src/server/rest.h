#ifndef MM_SERVER_REST_H
#define MM_SERVER_REST_H

#include <jansson.h>

#include "base/json.h"
#include "server/priv.h"
#include "server/rest_rows.h"
#include "server/scope.h"

/*
 * The REST API: docs/reference/rest.md is its contract.
 *
 * A call runs on a worker: it has been given a login whose roles the route
 * allows, a body that is a JSON object or nothing, and writes its answer
 * with j.  Nothing is sent before it returns.
 */
struct mm_rest {
	struct mm_server *s;
	struct mm_desk *desk;
	struct mm_store_reader *reader;
	struct mm_login login;
	const struct mm_http_req *req;
	const char *approval;   /* the header's, "" none */
	struct mm_call *call;
	struct mm_job *post;    /* parked: to be posted for call, which then
	                         * runs again */
	json_t *in;             /* NULL: no body */
	struct mm_rest_rows rows; /* an import's, cut out of it */
	struct mm_buf out;
	struct mm_json j;       /* over out */
	int status;             /* 200 until the call says otherwise */
	unsigned retry_s;       /* of a 503 or 429; 0: some seconds */
	const char *type;       /* application/json until ... */
	const char *cache;      /* Cache-Control, or NULL */
	const char *if_match;   /* "" none */
	uint64_t etag;          /* what is answered is at this version */
	bool has_etag;
	size_t stored_n;        /* see mm_rest_secret */
	struct mm_buf stored;
	bool has_secret;
	bool parked;            /* somebody else answers, later */
	uint64_t uncovered;     /* the call waits for this entry's checkpoint:
	                         * it runs again; UINT64_MAX: it does not */
	bool approved;          /* an approval was spent on it ... */
	uint64_t taken;         /* ... of whose room it has so much */
	size_t counted, minted; /* tokens: rest_danger.c */
	bool openmetrics;       /* asked for */
	bool store_away;        /* /metrics: login found it so */
	enum mm_reason reason;  /* of a refusal that a device could show */
};
typedef enum mm_err mm_rest_fn(struct mm_rest *r, struct mm_why *why);

/*
 * A route's data.  scope says how the object of the call belongs to a
 * product: it answers MM_ENOTFOUND, in the words of an object that does not
 * exist, where a scoped credential may not see it.  A route without one
 * refuses scoped credentials.
 */
struct mm_danger;
struct mm_rest_call {
	mm_rest_fn *run;
	const char *query; /* what it may have; NULL: a list, which asks */
	mm_rest_fn *scope;
	const struct mm_danger *danger; /* NULL: none that is watched */
	mm_rest_fn *read; /* its body; NULL: as mm_rest_parse does */
};

/* ---- four eyes: rest_danger.c, rest_approvals.c ---- */

/* What a route can do that one administrator alone should not: the word of
 * the setting four_eyes, and when a request is such a one. */
struct mm_danger {
	const char *action;
	enum mm_err (*applies)(struct mm_rest *r, bool *yes,
	    struct mm_why *why);
	bool recovery_may; /* a recovered administrator alone may */
	bool goes_on;      /* in several calls, which one approval is for until
	                    * mm_approval_end, an hour at most */
	/* How many it comes to now, of those issued before then; -1: that
	 * cannot be told.  An approval is of so many.  NULL: not counted. */
	enum mm_err (*look)(struct mm_rest *r, int64_t before, int64_t *found,
	    struct mm_why *why);
};
extern const struct mm_danger mm_danger_keys, mm_danger_mint, mm_danger_thaw,
    mm_danger_thaws, mm_danger_mass, mm_danger_profile, mm_danger_move,
    mm_danger_quota, mm_danger_quarantine, mm_danger_line, mm_danger_group,
    mm_danger_members, mm_danger_configuration;
/* After the scope, before the call: *go_on false, the answer is made (202).
 * An approval is spent here. */
MM_MUST enum mm_err mm_approval_gate(struct mm_rest *r, bool *go_on,
    struct mm_why *why);
/* Where the call has an approval that was counted: of what is left of it the
 * most that this call can use, which is its own from now on until
 * mm_approval_end, and when it was asked for; else 0. */
MM_MUST enum mm_err mm_approval_room(struct mm_rest *r, uint64_t most,
    uint64_t *room, int64_t *asked_at, struct mm_why *why);
/* So many were done of what it was spent on; whole: it is complete.  Where
 * none was spent, nothing. */
void mm_approval_end(struct mm_rest *r, bool whole, uint64_t done);
MM_MUST enum mm_err mm_approval_needed(struct mm_rest *r, bool *yes,
    struct mm_why *why);
/* Whether the setting has the word. */
bool mm_danger_watched(const struct mm_settings *set, const char *action);
/* After the call: what was counted for it and not minted is given back.
 * before: mm_desk_writes before it ran. */
void mm_danger_minted(struct mm_rest *r, enum mm_err rc, uint64_t before);
/* rest_mass.c */
MM_MUST enum mm_err mm_certs_look(struct mm_rest *r, int64_t before,
    int64_t *found, struct mm_why *why);
/* What makes two requests the same: method, path and body.  The query is not
 * of it: it says which page of what is asked for. */
void mm_rest_request_hash(const struct mm_http_req *req, uint8_t out[32]);

/* ---- scope: rest_scope.c ---- */

/* No object of any product is in it. */
mm_rest_fn mm_scope_open;
/* A list: mm_page_put and the entries' own filter do it. */
mm_rest_fn mm_scope_list;
/* The path's first variable segment. */
mm_rest_fn mm_scope_product, mm_scope_device, mm_scope_token, mm_scope_cert,
    mm_scope_entry, mm_scope_batch;
/* Also what a batch of the login's is yet to make. */
mm_rest_fn mm_scope_device_named;
/* Only what counts in a batch of the login's: mm_scope_counted. */
mm_rest_fn mm_scope_device_counted, mm_scope_token_counted;
/* A product for itself, not its devices: of a login that is limited to
 * batches, that of one of them. */
mm_rest_fn mm_scope_product_itself;
/* The body: of POST devices, of an import, of POST tokens. */
mm_rest_fn mm_scope_new_device, mm_scope_new_devices, mm_scope_new_tokens;
/* Both: a device, and the product that it may come to; and the batch that it
 * is made in. */
mm_rest_fn mm_scope_change, mm_scope_enrol;
/* After the body is read, before the call runs. */
MM_MUST enum mm_err mm_scope_check(struct mm_rest *r, struct mm_why *why);
/* MM_ENOTFOUND: the login may not see this device. */
MM_MUST enum mm_err mm_scope_device_row(struct mm_rest *r,
    const struct mm_device *d, struct mm_why *why);

/* ---- scopes of batches: rest_scope_batch.c ---- */

/* Whether a device of this product and name is one that a batch of the scope
 * is to make; open: that is open. */
MM_MUST enum mm_err mm_scope_is_to_be(struct mm_rest *r, const char *product,
    const char *device, bool open, bool *yes, struct mm_why *why);
/* What enrols beside a quota is for what was counted in one: of a device that
 * the login sees, whether a batch of the scope has it among what it made, and
 * a certificate of it was issued in that batch.  MM_EPOLICY: none. */
MM_MUST enum mm_err mm_scope_counted(struct mm_rest *r,
    const struct mm_scoped *o, struct mm_why *why);
/* The products of its batches that it is not otherwise kept from, in their
 * order, as out's. */
MM_MUST enum mm_err mm_scope_batch_products(struct mm_rest *r,
    struct mm_scope *out, struct mm_why *why);
/* Which of its batches a key "batch/..." is in, 0 for no key at all.
 * MM_EINPUT: it is in none. */
MM_MUST enum mm_err mm_scope_batch_after(const struct mm_scope *s,
    const char *after, unsigned *at, struct mm_why *why);

/* ---- input ---- */

enum mm_member_type {
	MM_M_TEXT,     /* char[size] */
	MM_M_NAME,     /* char[size]; "" or mm_name_valid */
	MM_M_DEVICE,   /* char[size]; mm_device_id_valid */
	MM_M_BOOL,
	MM_M_DURATION, /* int64_t seconds: number, or "72h" */
	MM_M_INT,      /* int64_t, from 0 */
	MM_M_TIME,     /* int64_t milliseconds: RFC 3339 */
	MM_M_SHA256,   /* uint8_t[32]: hex */
	MM_M_OBJECT,   /* char[size]: compact JSON of an object */
	MM_M_NAMES,    /* char[size]: array of texts, joined by commas */
	MM_M_KEPT,     /* an object, which the caller takes as it is */
};
struct mm_member {
	const char *name;
	enum mm_member_type type;
	bool must;
	size_t offset, size;
};
/* Fills the struct from an object; a member that no row knows is refused. */
MM_MUST enum mm_err mm_rest_members(json_t *in,
    const struct mm_member *m, size_t n, void *out, struct mm_why *why);
/* An import's body: its rows stay where they are (rest_rows.h). */
MM_MUST enum mm_err mm_rest_import_read(struct mm_rest *r,
    struct mm_why *why);
/* The same whole: what was cut out turned out to be something else. */
MM_MUST enum mm_err mm_rest_import_whole(struct mm_rest *r,
    struct mm_why *why);
/* A body: an object, at most 6 deep, no name twice. */
MM_MUST enum mm_err mm_rest_parse(struct mm_bytes body, json_t **out,
    struct mm_why *why);
void mm_rest_json_free(json_t **owner);
/*
 * RFC 9110 13.1.1: *out is NULL where any version will do, or points to *room,
 * which matches none if the tag is not one of ours.
 */
MM_MUST enum mm_err mm_rest_if_match(const struct mm_rest *r, uint64_t *room,
    const uint64_t **out, struct mm_why *why);
/* The answer's ETag. */
void mm_rest_etag(struct mm_rest *r, uint64_t version);
/* How long a page may look for what it holds: then it ends, with the key that
 * goes on.  Of a page's 50 ms it leaves what writing it takes. */
/* ORDER: ... for whether times are in order, before it. */
enum { MM_REST_LOOK_MS = 20, MM_REST_ORDER_MS = 10 };
/* The path's variable segment; MM_ENOTFOUND if it is longer. */
MM_MUST enum mm_err mm_rest_segment(const struct mm_rest *r, unsigned i,
    char *out, size_t outn, struct mm_why *why);
/* The number that the certificate is recorded under whose serial number that
 * is, as its own CA gave it or ours: mm_core_serial. */
MM_MUST enum mm_err mm_rest_serial(const struct mm_rest *r,
    uint8_t serial[16], struct mm_why *why);
/* A query parameter, "" if it is not there. */
MM_MUST enum mm_err mm_rest_query(const struct mm_rest *r, const char *name,
    char *out, size_t outn, struct mm_why *why);
/* Parameters of the query that are not among these, or come without a list,
 * are refused; names as in mm_page_read. */
MM_MUST enum mm_err mm_rest_query_is(const struct mm_rest *r,
    const char *names, struct mm_why *why);
/* A parameter that is a time; 0 if it is not there. */
MM_MUST enum mm_err mm_rest_query_time(const struct mm_rest *r,
    const char *name, int64_t *out_ms, struct mm_why *why);
MM_MUST enum mm_err mm_rest_query_bool(const struct mm_rest *r,
    const char *name, bool *out, struct mm_why *why);

/* ---- lists ---- */

/* limit and after; what the filters point to lives in the struct. */
#define MM_PAGE_AFTER (MM_NAME_MAX + 2 + MM_RECALL_AFTER)
typedef enum mm_err mm_page_more(struct mm_rest *r, const void *row,
    struct mm_why *why);
struct mm_page {
	struct mm_list list;       /* its after: as much as fits */
	char after[MM_PAGE_AFTER]; /* a key of a store's list, or of recall;
	                            * "product/key" for a scoped login, or
	                            * "batch/device/key" */
	char device[MM_DEVICE_ID_MAX + 1];
	char product[MM_NAME_MAX + 1], issuer[MM_NAME_MAX + 1];
	char profile[MM_PROFILE_TEXT];
	mm_page_more *more; /* NULL, or see mm_page_put */
	bool far; /* its rows lie far apart: a disk's time for each, so that it
	           * ends after MM_REST_LOOK_MS, with ten rows or more */
};
/* filters: the list's own, with a space around each: " device state ".  One
 * that is not among them is refused: a mistyped filter must not list all. */
MM_MUST enum mm_err mm_page_read(const struct mm_rest *r, const char *filters,
    struct mm_page *p, struct mm_why *why);
typedef enum mm_err mm_list_fn(struct mm_store_reader *, const struct mm_list *,
    mm_row_fn *, void *, struct mm_why *);
/* Takes "product/" off a key: which of the scope's products it is in, 0 for no
 * key at all.  MM_EINPUT: it is in none. */
MM_MUST enum mm_err mm_scope_after(const struct mm_scope *s,
    const char **after, unsigned *at, struct mm_why *why);
/*
 * A scoped login's rows, product after product, after "product/key", which is
 * also what fn gets: where a row has gone to since does not matter.  Of
 * batches device after device, after "batch/device/key" or "batch/device";
 * looking ends before the page is full when its time is up, and goes on at
 * next, which is "" otherwise.
 * MM_EPOLICY: not for a list that cannot be limited.
 */
MM_MUST enum mm_err mm_scope_rows(struct mm_rest *r, mm_list_fn *list,
    const struct mm_list *l, const char *after, mm_row_fn *fn, void *ctx,
    char next[MM_PAGE_AFTER], struct mm_why *why);
/* Those of a store's list, of one product or device, passed to m (see
 * rest_scope.c), until m is full. */
struct mm_scope_meter {
	struct mm_rest *r;
	mm_row_fn *fn;
	void *ctx;
	const char *of;      /* what a key begins with */
	const char *product; /* tokens: their devices are of this one */
	bool tokens;
	unsigned left, rows; /* rows: that the store gave */
	char last[MM_AUTHORITY_TEXT];
};
MM_MUST enum mm_err mm_scope_pass_rows(struct mm_rest *r, mm_list_fn *list,
    struct mm_list *part, struct mm_scope_meter *m, struct mm_why *why);
MM_MUST enum mm_err mm_scope_batch_rows(struct mm_rest *r, mm_list_fn *list,
    const struct mm_list *l, const char *after, struct mm_scope_meter *m,
    char next[MM_PAGE_AFTER], struct mm_why *why);
/* {"items":[...],"next":"..."}; put writes one row as an object, and p->more
 * what of it the row does not have. */
MM_MUST enum mm_err mm_page_put(struct mm_rest *r, const struct mm_page *p,
    mm_list_fn *list, void (*put)(struct mm_json *j, const void *row),
    struct mm_why *why);
/* state=name of a table of n names; -1 if it is not asked for. */
MM_MUST enum mm_err mm_page_state(const struct mm_rest *r, int *state,
    const char *(*name)(unsigned i), unsigned n, struct mm_why *why);

/* ---- output ---- */

void mm_rest_put_sha256(struct mm_json *j, const char *key,
    const uint8_t v[32]); /* absent if all zero */
void mm_rest_put_time(struct mm_json *j, const char *key, int64_t at_ms);
void mm_rest_put_time_s(struct mm_json *j, const char *key, int64_t at_s);
void mm_rest_put_serial(struct mm_json *j, const char *key,
    const uint8_t serial[16]);
void mm_rest_put_pem(struct mm_json *j, const char *key,
    const struct mm_bytes *der, size_t n);
/*
 * A secret, shown once: it goes to the caller and not into the answer kept
 * for its Idempotency-Key.
 */
void mm_rest_put_secret(struct mm_rest *r, const char *key, const char *v);
/* A webhook's secret in its text form, shown once: here. */
struct mm_hook;
MM_MUST enum mm_err mm_rest_put_hook_secret(struct mm_rest *r,
    const struct mm_hook *h, struct mm_why *why);
/* Its document with one entry; asked: for a version, by If-Match. */
MM_MUST enum mm_err mm_rest_store_hook(struct mm_rest *r, struct mm_hook *h,
    struct mm_op_doc *doc, const struct mm_entry *e, bool asked,
    struct mm_why *why);
/* A certificate as issued: the answer of both enrol calls. */
void mm_rest_put_issued(struct mm_json *j, const struct mm_job *job,
    const struct mm_chain *chain);
/* Takes "batch" and "station" out of an enrolment's members, into the job:
 * the station is that of the credential.  MM_EPOLICY: another one's, removed.
 */
MM_MUST enum mm_err mm_rest_unit(struct mm_rest *r, json_t *rest,
    struct mm_job *job, struct mm_why *why);
/* rest_input.c: {"csr","label"} into the job; csr is PEM or base64. */
MM_MUST enum mm_err mm_rest_csr(const json_t *in, struct mm_job *job,
    struct mm_why *why);

/* rest_devices.c: a device as POST takes it (PUT: without the first), and as
 * GET gives it. */
#define MM_DEVICE_MEMBERS 4
extern const struct mm_member mm_device_members[MM_DEVICE_MEMBERS];
void mm_rest_put_device(struct mm_json *j, const void *row);
/* The newest of its certificates and tokens are shown with a device. */
#define MM_DEVICE_ROWS 100

extern const char mm_openapi[]; /* docs/reference/openapi.json */

/* The call waits for its job, and runs again once that is done. */
void mm_rest_park(struct mm_rest *r, struct mm_job *take_job);

/* ---- the calls ---- */

#define MM_REST_CALLS(X)                                                  \
	X(status) X(whoami) X(profiles) X(profile)                        \
	X(products) X(product) X(product_create) X(product_replace)       \
	X(schema) X(schema_put) X(schema_drop) X(schema_check)            \
	X(schema_index) X(profile_check) X(audit) X(openapi)              \
	X(devices) X(device) X(device_create) X(device_retire)            \
	X(device_replace) X(device_patch) X(device_history)               \
	X(device_import)                                                  \
	X(device_enrol) X(device_proof) X(device_receipt)                 \
	X(device_attempts)                                                \
	X(tokens) X(token) X(token_create) X(token_cancel) X(token_thaw)  \
	X(certs) X(cert) X(certs_revoke) X(cert_revoke) X(cert_hold)      \
	X(cert_release)                                                   \
	X(issuers) X(issuer) X(issuer_crl)                                \
	X(keys) X(key_create) X(key_revoke)                               \
	X(key_erase) X(key_renew) X(approvals) X(approval)                \
	X(approval_approve)                                               \
	X(approval_refuse)                                                \
	X(checkpoint) X(tile) X(ledger_key) X(entries) X(receipt) X(events) \
	X(webhooks) X(webhook) X(webhook_create) X(webhook_replace)       \
	X(webhook_remove) X(webhook_pause) X(webhook_resume)              \
	X(webhook_rotate) X(webhook_replay) X(webhook_test)               \
	X(webhook_letters) X(webhook_retry)                             \
	X(authorise) X(authorise_rotate) X(metrics) X(doctor)             \
	X(batches) X(batch) X(batch_create) X(batch_open) X(batch_pause)  \
	X(batch_close) X(batch_extend) X(batch_shares)     \
	X(stations) X(station)             \
	X(station_create) X(station_remove) X(batch_order)                \
	X(station_trust) X(station_synced) X(station_sync)                \
	X(station_quarantine) X(quarantine_accept) X(quarantine_reject)   \
	X(batch_report) X(batch_units) X(batch_configuration) X(orders_key) \
	X(batch_people) X(batch_made) X(expiry) X(ends) X(tokens_thaw)    \
	X(mail) X(mail_test)                                              \
	X(tokens_cancel) X(token_remint) X(device_transfer)               \
	X(device_repair)                                                  \
	X(groups) X(group) X(group_create) X(group_open) X(group_pause)   \
	X(group_close) X(group_extend) X(group_devices) X(group_list)     \
	X(group_waiting) X(group_approve) X(group_refuse) X(group_report) \
	X(group_release) X(group_crl) \
	X(devconfs) X(product_devconf) X(product_devconf_put)             \
	X(product_devconf_drop) X(product_devconf_check)                  \
	X(product_devconf_devices) X(batch_devconf) X(batch_devconf_put)  \
	X(batch_devconf_drop) X(batch_devconf_check) X(device_devconf)    \
	X(device_devconf_put) X(device_devconf_drop)                      \
	X(device_devconf_check) X(device_devconf_preview)
#define X(name) mm_rest_fn mm_rest_##name;
MM_REST_CALLS(X)
#undef X

#endif
