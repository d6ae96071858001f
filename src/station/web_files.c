#include <string.h>

#include "station/web_priv.h"

/* The screen's own files, which are part of the program (src/station/screen);
 * nothing is asked of any other server. */
static const char policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'";

/* see web_priv.h */
void
mm_web_file(struct mm_http_req *req, void *ctx)
{
	const struct mm_door *d = ctx;
	const struct mm_web_file *f = req->route->data;
	struct mm_http_resp resp = { .status = 200, .content_type = f->type };
	size_t n = strlen(f->text);

	mm_buf_init(&resp.body, n);
	mm_buf_put(&resp.body, f->text, n);
	mm_http_resp_header(&resp, "Content-Security-Policy", policy);
	mm_http_resp_header(&resp, "X-Content-Type-Options", "nosniff");
	mm_http_resp_header(&resp, "Referrer-Policy", "no-referrer");
	mm_http_resp_header(
	    &resp, "Cross-Origin-Resource-Policy", "same-origin");
	mm_http_answer(d->web->http, req->ref, &resp);
}
