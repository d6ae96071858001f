#ifndef MM_CLI_CLIENT_H
#define MM_CLI_CLIENT_H

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * A client of the REST API over one kept-open connection (libcurl).  The API
 * key goes into a header, never into a URL or an argument; it is wiped on
 * close.  A problem answer (RFC 9457) becomes its code and its detail.
 */
struct mm_client;
struct mm_client_conf {
	const char *server;   /* https://host:port */
	const char *ca;       /* PEM of the anchor */
	const char *key_file; /* one line: mmk_...; NULL: anonymous */
	const char *cert, *cert_key; /* PEM; NULL: none, in cert's file */
	const char *approval; /* goes with the first change; NULL */
};
MM_MUST enum mm_err mm_client_open(const struct mm_client_conf *conf,
    struct mm_client **out, struct mm_why *why);
void mm_client_close(struct mm_client **owner);

/* path begins after /api/v1; body may be NULL; out may be NULL. */
MM_MUST enum mm_err mm_client_call(struct mm_client *c, const char *method,
    const char *path, json_t *body, json_t **out, struct mm_why *why);
/* POST of a text that is JSON already; not wiped. */
MM_MUST enum mm_err mm_client_post(struct mm_client *c, const char *path,
    const char *text, json_t **out, struct mm_why *why);
/* GET of any path of the server, as bytes. */
MM_MUST enum mm_err mm_client_bytes(struct mm_client *c, const char *path,
    struct mm_buf *out, struct mm_why *why);
/* The id of the approval that the last call waits for (its error is then
 * MM_EAGAIN), or "". */
const char *mm_client_waits(const struct mm_client *c);
/* The last answer's X-Request-Id, "" if it had none. */
const char *mm_client_request_id(const struct mm_client *c);
/* What the last answer's Retry-After said in seconds, -1 if it had none. */
long mm_client_retry_after(const struct mm_client *c);
/* The version in the last answer's ETag, -1 if it had none. */
int64_t mm_client_version(const struct mm_client *c);
/* Sent with the next change as If-Match: MM_ESTALE if there is another
 * version; -1: any will do. */
void mm_client_if_version(struct mm_client *c, int64_t version);
/* Sent with the next change as Mintmark-Approval; NULL: none is. */
void mm_client_approval(struct mm_client *c, const char *id);
/* From now on an answer that takes longer is none. */
void mm_client_hurry(struct mm_client *c, long seconds);
/* Sent with the next POST as Idempotency-Key. */
void mm_client_idempotency(struct mm_client *c, const char *key);

#endif
