#include "server/dial.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/own.h"

#define CONNECT_MS 5000

/* see dial.h */
CURL *
mm_dial_new(char *error)
{
	CURL *e = curl_easy_init();

	if (e == NULL)
		return NULL;
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	/* else the end of one waits for its name server, and all others do */
	curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION,
	    (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(e, CURLOPT_PROXY, "");
	curl_easy_setopt(e, CURLOPT_USERAGENT, "Mintmark/" MM_VERSION);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, error);
	return e;
}

/* see dial.h */
curl_socket_t
mm_dial_socket(const struct curl_sockaddr *a, bool good,
    char denied[MM_DIAL_ADDRESS])
{
	if (good)
		return socket(a->family, a->socktype | SOCK_CLOEXEC,
		    a->protocol);
	if (getnameinfo(&a->addr, a->addrlen, denied, MM_DIAL_ADDRESS, NULL,
	    0, NI_NUMERICHOST) != 0)
		strcpy(denied, "?");
	return CURL_SOCKET_BAD;
}

/* see dial.h */
size_t
mm_dial_head(size_t more, size_t *n)
{
	*n += more;
	return *n > MM_DIAL_HEAD_MAX ? 0 : more;
}

/* see dial.h */
void
mm_dial_plain(char *text)
{
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

/* see dial.h; the name service's modules are loaded by a first question */
enum mm_err
mm_dial_begin(CURLM **multi, struct mm_why *why)
{
	struct addrinfo *a = NULL;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0 ||
	    (*multi = curl_multi_init()) == NULL)
		return MM_FAIL(why, MM_ENOMEM, "libcurl cannot start");
	if (getaddrinfo("localhost", "443", NULL, &a) == 0)
		freeaddrinfo(a);
	tzset();
	return MM_OK;
}

/* see dial.h */
void
mm_dial_folder(const char *file, char *out)
{
	char *slash;

	strcpy(out, file);
	slash = strrchr(out, '/');
	if (slash == NULL)
		strcpy(out, ".");
	else
		slash[slash == out] = '\0';
}

MM_FREE_FN(paths_free, struct mm_sandbox_path, free)

/* see dial.h */
enum mm_err
mm_dial_fence(const struct mm_sandbox_path *more, size_t n,
    struct mm_why *why)
{
	static const struct mm_sandbox_path all[] = {
		{ "/etc", 0 }, { "/usr", 0 }, { "/lib", 0 },
		/* where /etc/resolv.conf may lead */
		{ "/run/systemd/resolve", 0 }, { "/run/resolvconf", 0 },
		{ "/run/NetworkManager", 0 },
		{ "/dev/urandom", 0 }, { "/dev/null", 0 },
	};
	const size_t own = sizeof(all) / sizeof(all[0]);
	MM_OWN(paths_free) struct mm_sandbox_path *paths =
	    calloc(own + n, sizeof(*paths));
	unsigned missing = 0;

	if (paths == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	memcpy(paths, all, sizeof(all));
	if (n > 0)
		memcpy(paths + own, more, n * sizeof(*more));
	MM_TRY(mm_sandbox_files(paths, own + n, &missing, why));
	return mm_sandbox_syscalls(MM_SANDBOX_COURIER, &missing, why);
}
