#include "provider/places.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { PATH_N = 512, MORE = 4 };

/* What is in it once is never changed: what is looked up stays valid. */
static struct rule {
	char section[PATH_N]; /* of openssl.cnf */
	char more[MORE][PATH_N];
	unsigned n;
} rules[MM_PROVIDER_RULES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static const char *
find(const struct rule *r, const char *path)
{
	if (strcmp(r->section, path) == 0)
		return r->section;
	for (unsigned i = 0; i < r->n; i++)
		if (strcmp(r->more[i], path) == 0)
			return r->more[i];
	return NULL;
}

static bool
add(struct rule *r, bool section, const char *path)
{
	char *to = section && r->section[0] == '\0' ? r->section : NULL;

	if (find(r, path) != NULL)
		return true;
	if (to == NULL && r->n < MORE)
		to = r->more[r->n++];
	if (to != NULL)
		(void)snprintf(to, PATH_N, "%s", path);
	return to != NULL;
}

/* see places.h */
bool
mm_provider_allow(enum mm_provider_rule rule, bool section, const char *path)
{
	bool ok = path[0] == '/' && strlen(path) < PATH_N;

	(void)pthread_mutex_lock(&lock);
	ok = ok && add(&rules[rule], section, path);
	(void)pthread_mutex_unlock(&lock);
	return ok;
}

/* see places.h */
const char *
mm_provider_module(const char *named)
{
	const struct rule *r = &rules[MM_PROVIDER_MODULE];
	const char *path;

	(void)pthread_mutex_lock(&lock);
	path = named != NULL ? find(r, named) : NULL;
	if (path == NULL && r->section[0] != '\0')
		path = r->section;
	if (path == NULL && named == NULL && r->n > 0)
		path = r->more[0];
	(void)pthread_mutex_unlock(&lock);
	return path;
}

/* As the kernel names them: tpm0, tpmrm0. */
static bool
is_usual(const char *path)
{
	static const char first[] = "/dev/tpm";
	size_t n = sizeof(first) - 1;

	return strncmp(path, first, n) == 0 &&
	    path[n + strspn(path + n, "rm0123456789")] == '\0';
}

/* see places.h */
bool
mm_provider_device(const char *path)
{
	bool ok;

	(void)pthread_mutex_lock(&lock);
	ok = is_usual(path) ||
	    find(&rules[MM_PROVIDER_DEVICE], path) != NULL;
	(void)pthread_mutex_unlock(&lock);
	return ok;
}
