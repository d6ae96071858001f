#include "client/fetch.h"

#include <stdio.h>
#include <strings.h>

#define CONNECT_S 5L
#define SLOW_S    10L   /* so long slower than: */
#define LEAST_BPS 4096L
#define TOTAL_S   1800L

static size_t
on_body(char *p, size_t size, size_t n, void *arg)
{
	struct mm_buf *b = arg;

	mm_buf_put(b, p, size * n);
	return mm_buf_ok(b, NULL) == MM_OK ? size * n : 0;
}

static void
usual(CURL *curl, const char *url, struct mm_buf *out)
{
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, LEAST_BPS);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, SLOW_S);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, TOTAL_S);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
}

/* ---- waiting ---- */

static int
on_time(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct mm_fetch_wait *w = arg;

	(void)a, (void)b, (void)c, (void)d;
	return w->enough(w->ctx);
}

static size_t
on_header(char *p, size_t size, size_t n, void *arg)
{
	static const char want[] = "preference-applied: wait";
	struct mm_fetch_wait *w = arg;

	w->waited |= size * n >= sizeof(want) - 1 &&
	    strncasecmp(p, want, sizeof(want) - 1) == 0;
	return size * n;
}

/* What was set stays with the handle: so it is taken back by 0. */
static void
wait_for(CURL *curl, struct mm_fetch_wait *w)
{
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME,
	    SLOW_S + (long)w->s);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, w->s == 0 ? 1L : 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_time);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, w);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, w);
}

/* ---- asking ---- */

static struct curl_slist *
headers_of(const char *etag, const struct mm_fetch_wait *w)
{
	struct curl_slist *all = curl_slist_append(NULL,
	    "Cache-Control: no-cache");
	char line[96];

	snprintf(line, sizeof(line), "If-None-Match: %.64s", etag);
	if (etag[0] != '\0')
		all = curl_slist_append(all, line);
	snprintf(line, sizeof(line), "Prefer: wait=%u", w->s);
	if (w->s > 0)
		all = curl_slist_append(all, line);
	return all;
}

static enum mm_err
fail(CURLcode rc, const char *url, struct mm_why *why)
{
	if (rc == CURLE_ABORTED_BY_CALLBACK)
		return MM_FAIL(why, MM_EBUSY, "%.100s: waited enough", url);
	if (rc == CURLE_WRITE_ERROR)
		return MM_FAIL(why, MM_ELIMIT, "%.100s: too large", url);
	return MM_FAIL(why, MM_EAGAIN, "%.100s: %s", url,
	    curl_easy_strerror(rc));
}

/* see fetch.h */
enum mm_err
mm_fetch_later(CURL *curl, const char *url, const char *etag,
    struct mm_fetch_wait *w, struct mm_buf *out, long *status,
    struct mm_why *why)
{
	struct curl_slist *headers;
	CURLcode rc;

	w->waited = false;
	if (curl == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	usual(curl, url, out);
	wait_for(curl, w);
	headers = headers_of(etag, w);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	rc = curl_easy_perform(curl);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(headers);
	if (rc != CURLE_OK)
		return fail(rc, url, why);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
	if (*status != 200 && *status != 304)
		return MM_FAIL(why, MM_EAGAIN, "%.100s: HTTP status %ld", url,
		    *status);
	return MM_OK;
}

/* see fetch.h */
enum mm_err
mm_fetch(CURL *curl, const char *url, const char *etag, struct mm_buf *out,
    long *status, struct mm_why *why)
{
	struct mm_fetch_wait none = { .s = 0 };

	return mm_fetch_later(curl, url, etag, &none, out, status, why);
}
