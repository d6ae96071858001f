#ifndef MM_SERVER_ENROL_H
#define MM_SERVER_ENROL_H

#include "server/rest.h"

/*
 * A request for a certificate, being read: who asks (issuance step 1) and
 * what is asked (step 2).  enrol_read.c fills the job; enrol.c posts it and
 * answers.
 *
 * Exactly one authority a request: the token that made the connection, the
 * token in an Authorization header, or the client certificate.
 */
#define MM_ENROL_WANTS "enrolment wants a token (by TLS handshake, or by " \
    "Authorization: Basic) or a client certificate"
struct mm_enrol_entry {
	struct mm_server *s;
	const struct mm_http_req *req;
	const struct mm_endpoint *end;
	struct mm_job *job;
	json_t *body;            /* json only; the caller frees it */
	int status;              /* where no mm_err says it; else 0 */
	bool asks;               /* who came with nothing may send a header */
	enum mm_reason reason;
};

/* The job gets authority, label and request; else why, with e->reason. */
MM_MUST enum mm_err mm_enrol_read(struct mm_enrol_entry *e);

#endif
