#ifndef MM_SERVER_OCSP_H
#define MM_SERVER_OCSP_H

#include "server/priv.h"

/*
 * OCSP over HTTP (RFC 6960 A, RFC 9919): GET /ocsp/BASE64 and POST /ocsp on
 * the public listener.  Answers are kept and given to all who ask until half
 * of their time is over or the certificate's state changes; what is not kept
 * one thread asks the core for, up to 64 at a time.
 */
struct mm_ocsp_door;
MM_MUST enum mm_err mm_ocsp_open(struct mm_server *s,
    struct mm_ocsp_door **out, struct mm_why *why);
/* Those that wait are told to come again. */
void mm_ocsp_stop(struct mm_ocsp_door *o);
void mm_ocsp_close(struct mm_ocsp_door **owner);
void mm_ocsp_get(struct mm_http_req *req, void *ctx);
void mm_ocsp_post(struct mm_http_req *req, void *ctx);

/* Answers since the start. */
enum mm_ocsp_said {
	MM_OCSP_SAID_GOOD, MM_OCSP_SAID_REVOKED, MM_OCSP_SAID_UNKNOWN,
	MM_OCSP_SAID_MALFORMED, MM_OCSP_SAID_UNAUTHORIZED,
	MM_OCSP_SAID_LATER, MM_OCSP_SAIDS
};
const char *mm_ocsp_said_name(enum mm_ocsp_said w);
uint64_t mm_ocsp_said(const struct mm_ocsp_door *o, enum mm_ocsp_said w);
/* Those of them that were kept from before. */
uint64_t mm_ocsp_kept(const struct mm_ocsp_door *o);

#endif
