#ifndef MM_AGENT_FETCH_H
#define MM_AGENT_FETCH_H

#include "mmd_codec.h"

/*
 * One GET of a resource below /.well-known/mintmark over a stream that has
 * proved its peer: what the device library's EST machine does not know of.
 * It neither waits nor knows TLS.
 */
struct mm_agent_fetch {
	struct mmd_http http;   /* status, date_s, retry_s, close */
	struct mmd_bytes body;  /* once MMD_OK; cut if it is no 200 */
	/* Its own: */
	uint8_t *buf;
	size_t cap, out, out_n, n;
};

/* buf holds the request, then the answer's content; it is borrowed.
 * MMD_ESPACE: the request does not fit. */
enum mmd_rc mm_agent_fetch_start(struct mm_agent_fetch *f, const char *host,
    const char *path, const char *tag, uint8_t *buf, size_t cap) MMD_MUST;
/* MMD_MORE: wait for the stream.  MMD_EINPUT, MMD_ESPACE: no such answer. */
enum mmd_rc mm_agent_fetch_run(struct mm_agent_fetch *f,
    const struct mmd_io *io) MMD_MUST;

#endif
