#ifndef MM_SERVER_UPSTREAM_H
#define MM_SERVER_UPSTREAM_H

#include "base/hist.h"
#include "core/upstream.h"
#include "pki/cert.h"
#include "server/priv.h"

/*
 * The server's end of the link to a registrar (registrar.c), of which there
 * is one for programs and one for EST: what the core
 * wants of an existing CA goes out, what became of it comes back.  A thread of
 * its own, since nothing that it waits for may hold up anything else.  When
 * the registrar ends, whatever it had was lost: nobody knows how far it came.
 */
struct mm_registrar;
MM_MUST enum mm_err mm_registrar_open(struct mm_server *s, bool est,
    struct mm_registrar **out, struct mm_why *why);
/* The link to a fresh registrar, taken. */
void mm_registrar_link(struct mm_registrar *r, int take_fd);
/* Joins the thread. */
void mm_registrar_close(struct mm_registrar **owner);
/* struct mm_core_conf's forward; ctx is the struct mm_server. */
bool mm_upstream_forward(void *ctx, uint64_t number,
    const struct mm_forward_req *q);

/* How an issuer that is another CA's does, since the start. */
struct mm_upstream_times {
	int64_t asked_at, answered_at; /* ms; 0: never */
};
struct mm_upstream_now {
	struct mm_upstream_stats core;
	struct mm_upstream_times times;
	const struct mm_hist *took;    /* mm_hist_time; borrowed */
	int64_t rest_ms;               /* it is left alone for so long */
	bool registrar;                /* there is one */
	uint64_t ends;                 /* of it, since the start */
	int64_t ended_at;              /* ms; the last of them */
};
/* false: that issuer's certificates are our own. */
bool mm_upstream_now(struct mm_server *s, const struct mm_issuer_conf *i,
    struct mm_upstream_now *out);
/*
 * The serial number that an existing CA gave the certificate of that record:
 * hex digits without a leading zero octet, "": it is ours, or its certificate
 * is not kept (any more).  MM_EAGAIN: the store cannot be read.
 */
#define MM_CA_SERIAL_TEXT (2 * MM_ANY_SERIAL_N + 1)
MM_MUST enum mm_err mm_ca_serial(struct mm_store_reader *r,
    const uint8_t number[MM_SERIAL_N], char out[MM_CA_SERIAL_TEXT],
    struct mm_why *why);
/* What became of questions, as metrics and the API call it. */
extern const char *const mm_upstream_words[MM_FORWARDS];

#endif
