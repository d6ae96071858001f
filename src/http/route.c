#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "http/priv.h"

/* The path's next segment; its slash is in front and already read. */
static struct mm_bytes
segment(struct mm_bytes *rest)
{
	const uint8_t *slash = memchr(rest->p, '/', rest->n);
	struct mm_bytes s = { rest->p,
		slash != NULL ? (size_t)(slash - rest->p) : rest->n };

	rest->p += s.n;
	rest->n -= s.n;
	return s;
}

static bool
slash_skip(struct mm_bytes *v)
{
	if (v->n == 0 || v->p[0] != '/')
		return false;
	v->p++;
	v->n--;
	return true;
}

/* An empty segment is matched by nothing, so "//" never is. */
bool
mm_http_route_match(
    const char *pattern, struct mm_bytes path, unsigned i, struct mm_bytes *out)
{
	struct mm_bytes want = mm_bytes_of(pattern), w, got;
	unsigned any = 0;

	while (slash_skip(&want)) {
		w = segment(&want);
		if (!slash_skip(&path))
			return false;
		if (mm_bytes_eq(w, mm_bytes_of("**"))) {
			if (i == UINT_MAX)
				*out = path;
			return true;
		}
		if (mm_bytes_eq(w, mm_bytes_of("*"))) {
			if (i == UINT_MAX)
				*out = path;
			return memmem(path.p, path.n, "//", 2) == NULL &&
			       (path.n == 0 || path.p[0] != '/');
		}
		got = segment(&path);
		if (mm_bytes_eq(w, mm_bytes_of(":"))) {
			if (got.n == 0)
				return false;
			if (any++ == i)
				*out = got;
		} else if (!mm_bytes_eq(w, got)) {
			return false;
		}
	}
	return path.n == 0;
}

static bool
serves(const struct mm_http_route *r, enum mm_http_method m)
{
	return r->method == m ||
	       (r->method == MM_HTTP_GET && m == MM_HTTP_HEAD);
}

/* RFC 9110 10.2.1 */
static void
allow_put(char allow[ALLOW_TEXT], unsigned methods)
{
	size_t n = 0;

	if (methods & 1U << MM_HTTP_GET)
		methods |= 1U << MM_HTTP_HEAD;
	allow[0] = '\0';
	for (unsigned m = 0; m < MM_HTTP_METHODS; m++)
		if (methods & 1U << m)
			n += (size_t)snprintf(allow + n, ALLOW_TEXT - n, "%s%s",
			    n > 0 ? ", " : "",
			    mm_http_method_name((enum mm_http_method)m));
}

const struct mm_http_route *
mm_http_route_find(const struct mm_http_listener_conf *conf,
    enum mm_http_method method, struct mm_bytes path, char allow[ALLOW_TEXT])
{
	struct mm_bytes ignored;
	unsigned methods = 0;

	for (size_t i = 0; i < conf->nroutes; i++) {
		const struct mm_http_route *r = &conf->routes[i];

		if (!mm_http_route_match(r->pattern, path, UINT_MAX, &ignored))
			continue;
		if (serves(r, method))
			return r;
		methods |= 1U << r->method;
	}
	allow_put(allow, methods);
	return NULL;
}

bool
mm_http_route_opaque(const struct mm_http_route *r)
{
	size_t n = strlen(r->pattern);

	return n > 2 && strcmp(r->pattern + n - 2, "**") == 0;
}

struct mm_bytes
mm_http_segment(const struct mm_http_req *req, unsigned i)
{
	struct mm_bytes got = { 0 };

	if (req->route == NULL ||
	    !mm_http_route_match(req->route->pattern, req->path, i, &got))
		return (struct mm_bytes){ 0 };
	return got;
}
