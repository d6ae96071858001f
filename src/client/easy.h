#ifndef MM_CLIENT_EASY_H
#define MM_CLIENT_EASY_H

#include <stdbool.h>

#include <curl/curl.h>

#include "base/err.h"

/* What every client of the REST API asks of libcurl, over one of its handles:
 * HTTPS alone, no proxy, TLS 1.2 at least, no signals. */
void mm_easy_usual(CURL *curl, const char *anchor); /* PEM; NULL: system's */
/*
 * A client certificate and its key (NULL: in cert's file), which must be its
 * owner's alone.  MM_ENOTFOUND, MM_EPOLICY.
 */
MM_MUST enum mm_err mm_easy_cert(CURL *curl, const char *cert,
    const char *key, struct mm_why *why);
/* The printable part of a header's value, if the line is this header's (name
 * in lower case, with its colon). */
bool mm_easy_header(const char *line, size_t len, const char *name, char *out,
    size_t outn);
/* Why no answer came.  text: CURLOPT_ERRORBUFFER's, or "". */
MM_MUST enum mm_err mm_easy_failed(const char *server, CURLcode rc,
    const char *text, struct mm_why *why);

#endif
