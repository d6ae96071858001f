#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "station/web_priv.h"

/*
 * Who may pass.  The screen's door has no key, and so must not be one for
 * every page that a browser on this machine has open: a request must name the
 * door as its host (a name of somebody else's that was made to lead here does
 * not: DNS rebinding), come from the screen's own page if it comes from a
 * page at all, and bring JSON, which no form of another page can send without
 * asking first.  The network's door is for programs with a key, never for a
 * page.
 */
static const char scheme[] = "Bearer ";

static bool
is(struct mm_bytes v, const char *text)
{
	return v.n == strlen(text) &&
	       strncasecmp((const char *)v.p, text, v.n) == 0;
}

/* One field, at most once; "" if there is none. */
static bool
field(const struct mm_http_req *req, const char *name, struct mm_bytes *out)
{
	bool more = false;

	*out = mm_http_header(req, name, &more);
	return !more;
}

/* see web_priv.h */
void
mm_web_door_hosts(struct mm_door *d, uint16_t port)
{
	snprintf(d->host[0], sizeof(d->host[0]), "127.0.0.1:%u", port);
	snprintf(d->host[1], sizeof(d->host[1]), "localhost:%u", port);
	snprintf(d->host[2], sizeof(d->host[2]), "[::1]:%u", port);
}

static bool
is_host(const struct mm_door *d, struct mm_bytes v)
{
	for (unsigned i = 0; i < 3; i++)
		if (is(v, d->host[i]))
			return true;
	return false;
}

/* What is written where it is read from, and nowhere else. */
static bool
is_origin(struct mm_bytes host, struct mm_bytes origin)
{
	static const char http[] = "http://";
	const size_t n = sizeof(http) - 1;

	if (origin.p == NULL)
		return true;
	return origin.n == n + host.n && memcmp(origin.p, http, n) == 0 &&
	       strncasecmp((const char *)origin.p + n, (const char *)host.p,
		   host.n) == 0;
}

static const char *
screen_refuses(const struct mm_door *d, const struct mm_http_req *req)
{
	struct mm_bytes host, origin, site;

	if (!field(req, "Host", &host) || !is_host(d, host))
		return "this is not the name of the screen";
	if (!field(req, "Origin", &origin) || !is_origin(host, origin))
		return "another page may not ask the screen";
	if (!field(req, "Sec-Fetch-Site", &site) ||
	    (site.p != NULL && !is(site, "same-origin") && !is(site, "none")))
		return "another page may not ask the screen";
	return NULL;
}

static bool
has_key(struct mm_door *d, const struct mm_http_req *req)
{
	const size_t n = sizeof(scheme) - 1;
	struct mm_bytes v;

	if (!field(req, "Authorization", &v) || v.n <= n || v.n > n + 128 ||
	    strncasecmp((const char *)v.p, scheme, n) != 0)
		return false;
	return mm_api_keys_find(&d->web->keys,
		   (struct mm_bytes){ v.p + n, v.n - n }) != NULL;
}

static int
refuse(const struct mm_http_req *req, struct mm_http_resp *resp, int status,
    const char *slug, const char *detail)
{
	mm_http_problem(resp, status, slug, detail, NULL, req->id);
	return status;
}

static bool
is_json(const struct mm_http_req *req)
{
	static const char json[] = "application/json";
	const size_t n = sizeof(json) - 1;
	struct mm_bytes v;

	return field(req, "Content-Type", &v) && v.n >= n &&
	       strncasecmp((const char *)v.p, json, n) == 0 &&
	       (v.n == n || v.p[n] == ';' || v.p[n] == ' ');
}

/* see web_priv.h */
int
mm_web_guard(
    void *ctx, const struct mm_http_req *req, struct mm_http_resp *resp)
{
	struct mm_door *d = ctx;
	const char *no = d->screen ? screen_refuses(d, req) : NULL;
	struct mm_bytes origin;

	if (no != NULL)
		return refuse(req, resp, 403, "not-allowed", no);
	if (!d->screen && (!field(req, "Origin", &origin) || origin.p != NULL))
		return refuse(
		    req, resp, 403, "not-allowed", "this is not for pages");
	if (!d->screen && !has_key(d, req)) {
		(void)refuse(req, resp, 401, "unauthorized",
		    "want Authorization: Bearer and a key of "
		    "mintmark-station api-key");
		mm_http_resp_header(resp, "WWW-Authenticate", "Bearer");
		return 401;
	}
	if (req->method == MM_HTTP_POST && !is_json(req))
		return refuse(req, resp, 415, "malformed",
		    "want Content-Type: application/json");
	return 0;
}

/* see web_priv.h */
void
mm_web_error(void *ctx, const struct mm_http_req *req, int status,
    const char *reason, struct mm_http_resp *resp)
{
	const char *slug = status == 404   ? "not-found"
			   : status == 413 ? "too-large"
			   : status == 503 ? "try-later"
					   : "malformed";

	(void)ctx;
	mm_http_problem(resp, status, slug, reason, NULL, req->id);
}
