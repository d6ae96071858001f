#ifndef MM_SERVER_REST_H
#define MM_SERVER_REST_H

#include <jansson.h>

#include "base/json.h"
#include "server/priv.h"

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
	json_t *in;             /* NULL: no body */
	struct mm_buf out;
	struct mm_json j;       /* over out */
	int status;             /* 200 until the call says otherwise */
	const char *type;       /* application/json until ... */
	const char *cache;      /* Cache-Control, or NULL */
	const char *if_match;   /* "" none */
	uint64_t etag;          /* what is answered is at this version */
	bool has_etag;
	size_t stored_n;        /* see mm_rest_secret */
	struct mm_buf stored;
	bool has_secret;
	bool parked;            /* somebody else answers, later */
	bool openmetrics;       /* asked for */
};
typedef enum mm_err mm_rest_fn(struct mm_rest *r, struct mm_why *why);

/* ---- input ---- */

enum mm_member_type {
	MM_M_TEXT,     /* char[size] */
	MM_M_NAME,     /* char[size]; "" or mm_name_valid */
	MM_M_DEVICE,   /* char[size]; mm_device_id_valid */
	MM_M_BOOL,
	MM_M_DURATION, /* int64_t seconds: number, or "72h" */
	MM_M_TIME,     /* int64_t milliseconds: RFC 3339 */
	MM_M_SHA256,   /* uint8_t[32]: hex */
	MM_M_OBJECT,   /* char[size]: compact JSON of an object */
	MM_M_NAMES,    /* char[size]: array of texts, joined by commas */
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
/* The path's variable segment; MM_ENOTFOUND if it is longer. */
MM_MUST enum mm_err mm_rest_segment(const struct mm_rest *r, unsigned i,
    char *out, size_t outn, struct mm_why *why);
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
struct mm_page {
	struct mm_list list;
	char device[MM_DEVICE_ID_MAX + 1];
	char product[MM_NAME_MAX + 1], issuer[MM_NAME_MAX + 1];
	char profile[MM_PROFILE_TEXT];
};
/* filters: the list's own, with a space around each: " device state ".  One
 * that is not among them is refused: a mistyped filter must not list all. */
MM_MUST enum mm_err mm_page_read(const struct mm_rest *r, const char *filters,
    struct mm_page *p, struct mm_why *why);
typedef enum mm_err mm_list_fn(struct mm_store_reader *, const struct mm_list *,
    mm_row_fn *, void *, struct mm_why *);
/* {"items":[...],"next":"..."}; put writes one row as an object. */
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
/* A certificate as issued: the answer of both enrol calls. */
void mm_rest_put_issued(struct mm_json *j, const struct mm_job *job,
    const struct mm_chain *chain);
/* rest_input.c: {"csr","label"} into the job; csr is PEM or base64. */
MM_MUST enum mm_err mm_rest_csr(const json_t *in, struct mm_job *job,
    struct mm_why *why);

/* rest_devices.c: a device as POST takes it (PUT: without the first), and as
 * GET gives it. */
#define MM_DEVICE_MEMBERS 4
extern const struct mm_member mm_device_members[MM_DEVICE_MEMBERS];
void mm_rest_put_device(struct mm_json *j, const void *row);
/* rest_audit.c: {"index","entry"}, for mm_list_history and scans. */
void mm_rest_put_entry(struct mm_json *j, uint64_t index,
    struct mm_bytes entry);

extern const char mm_openapi[]; /* docs/reference/openapi.json */

/* ---- the calls ---- */

#define MM_REST_CALLS(X)                                                  \
	X(status) X(whoami) X(profiles) X(profile)                        \
	X(products) X(product) X(product_create) X(product_replace)       \
	X(schema) X(schema_put) X(schema_drop) X(schema_check)            \
	X(schema_index) X(profile_check) X(audit) X(openapi)              \
	X(devices) X(device) X(device_create) X(device_retire)            \
	X(device_replace) X(device_patch) X(device_history)               \
	X(device_import)                                                  \
	X(device_enrol) X(device_receipt)                                 \
	X(device_attempts)                                                \
	X(tokens) X(token) X(token_create) X(token_cancel) X(token_thaw)  \
	X(certs) X(cert) X(cert_revoke) X(cert_hold) X(cert_release)      \
	X(issuers) X(issuer_crl) X(keys) X(key_create) X(key_revoke)      \
	X(checkpoint) X(tile) X(ledger_key) X(entries) X(receipt) X(events) \
	X(webhooks) X(webhook) X(webhook_create) X(webhook_replace)       \
	X(webhook_remove) X(webhook_pause) X(webhook_resume)              \
	X(webhook_rotate) X(webhook_replay) X(webhook_test)               \
	X(webhook_letters) X(webhook_retry)               \
	X(metrics) X(doctor)
#define X(name) mm_rest_fn mm_rest_##name;
MM_REST_CALLS(X)
#undef X

#endif
