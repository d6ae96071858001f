#include "client/easy.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* see easy.h */
void
mm_easy_usual(CURL *curl, const char *anchor)
{
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 10L);
	if (anchor != NULL)
		curl_easy_setopt(curl, CURLOPT_CAINFO, anchor);
}

/* A private key is for its owner's eyes. */
static enum mm_err
check_mode(const char *path, struct mm_why *why)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return MM_FAIL(why, MM_ENOTFOUND, "%.120s: %s", path,
		    strerror(errno));
	if ((st.st_mode & 077) != 0)
		return MM_FAIL(why, MM_EPOLICY, "%.120s: others can read or "
		    "write it: chmod 600", path);
	return MM_OK;
}

/* see easy.h */
enum mm_err
mm_easy_cert(CURL *curl, const char *cert, const char *key,
    struct mm_why *why)
{
	if (key == NULL)
		key = cert;
	MM_TRY(check_mode(key, why));
	curl_easy_setopt(curl, CURLOPT_SSLCERT, cert);
	curl_easy_setopt(curl, CURLOPT_SSLKEY, key);
	return MM_OK;
}

/* see easy.h */
bool
mm_easy_header(const char *line, size_t len, const char *name, char *out,
    size_t outn)
{
	size_t at = strlen(name), n = 0;

	if (len < at || strncasecmp(line, name, at) != 0)
		return false;
	for (; at < len && n + 1 < outn; at++)
		if (line[at] > ' ' && line[at] < 127)
			out[n++] = line[at];
	out[n] = '\0';
	return true;
}

/* see easy.h */
enum mm_err
mm_easy_failed(const char *server, CURLcode rc, const char *text,
    struct mm_why *why)
{
	if (text[0] == '\0')
		text = curl_easy_strerror(rc);
	if (rc == CURLE_PEER_FAILED_VERIFICATION)
		return MM_FAIL(why, MM_EAUTH, "%s: %s", server, text);
	if (rc == CURLE_WRITE_ERROR)
		return MM_FAIL(why, MM_ELIMIT, "%s: answer too large", server);
	return MM_FAIL(why, MM_EAGAIN, "%s: %s", server, text);
}
