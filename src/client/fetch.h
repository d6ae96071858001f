#ifndef MM_CLIENT_FETCH_H
#define MM_CLIENT_FETCH_H

#include <curl/curl.h>

#include "base/buf.h"

/*
 * What the public listener gives to everyone, over plain HTTP or HTTPS.  curl
 * is the caller's handle, whose connection is kept.  etag: "" or what the
 * caller has, as the server would tag it (then 304, and out is empty); no cache
 * on the way may answer without asking.  MM_EAGAIN: no answer, one that takes
 * half an hour, or for 10 s comes with less than 4 KiB a second, or another
 * than 200 and 304; MM_ELIMIT: more than out may hold.
 */
MM_MUST enum mm_err mm_fetch(CURL *curl, const char *url, const char *etag,
    struct mm_buf *out, long *status, struct mm_why *why);

/*
 * The same, where a 304 may come later: the server is asked to wait so long for
 * something else (RFC 7240 4.3).  enough is asked each second or so whether to
 * go on waiting; MM_EBUSY: it said so.
 */
struct mm_fetch_wait {
	unsigned s;  /* 0: the server is asked for nothing */
	bool (*enough)(void *ctx);
	void *ctx;
	bool waited; /* out: the server did as it was asked */
};
MM_MUST enum mm_err mm_fetch_later(CURL *curl, const char *url,
    const char *etag, struct mm_fetch_wait *w, struct mm_buf *out,
    long *status, struct mm_why *why);

#endif
