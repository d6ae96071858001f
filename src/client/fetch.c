#include "client/fetch.h"

#include <stdio.h>

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

/* see fetch.h */
enum mm_err
mm_fetch(CURL *curl, const char *url, const char *etag, struct mm_buf *out,
    long *status, struct mm_why *why)
{
	struct curl_slist *headers = NULL;
	char line[96];
	CURLcode rc;

	if (curl == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	usual(curl, url, out);
	headers = curl_slist_append(headers, "Cache-Control: no-cache");
	snprintf(line, sizeof(line), "If-None-Match: %.64s", etag);
	if (etag[0] != '\0')
		headers = curl_slist_append(headers, line);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	rc = curl_easy_perform(curl);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(headers);
	if (rc == CURLE_WRITE_ERROR)
		return MM_FAIL(why, MM_ELIMIT, "%.100s: too large", url);
	if (rc != CURLE_OK)
		return MM_FAIL(why, MM_EAGAIN, "%.100s: %s", url,
		    curl_easy_strerror(rc));
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
	if (*status != 200 && *status != 304)
		return MM_FAIL(why, MM_EAGAIN, "%.100s: HTTP status %ld", url,
		    *status);
	return MM_OK;
}
