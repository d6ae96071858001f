#include "core/devconf.h"
#include "pki/confdoc.h"
#include "server/priv.h"

/*
 * What a device in the field is configured to (core/devconf.h), for the
 * certificate of the connection: signed, with an ETag, and nobody keeps it on
 * the way.
 */

/* see priv.h */
const char *const mm_configured_words[MM_CONFIGURED] = {
	[MM_CONFIGURED_SERVED] = "served",
	[MM_CONFIGURED_SAME] = "not-modified",
	[MM_CONFIGURED_NONE] = "none",
	[MM_CONFIGURED_REFUSED] = "refused",
};

static enum mm_configured
what(enum mm_err rc, const struct mm_devconf_ask *ask)
{
	if (rc == MM_OK)
		return ask->same ? MM_CONFIGURED_SAME : MM_CONFIGURED_SERVED;
	return rc == MM_ENOTFOUND && ask->reason == MM_R_NONE
	    ? MM_CONFIGURED_NONE : MM_CONFIGURED_REFUSED;
}

/* RFC 9110 15.4.5: of what is the same, no more is said. */
static void
say_so(struct mm_http_resp *resp, const struct mm_devconf_ask *ask)
{
	mm_http_resp_header(resp, "ETag", ask->now);
	mm_http_resp_header(resp, "Cache-Control", "private, no-store");
	if (!ask->same)
		return;
	mm_buf_done(&resp->body);
	resp->status = 304;
	resp->content_type = NULL;
}

static void
configuration_run(struct mm_worker *w, struct mm_call *c)
{
	struct mm_http_resp resp = { .status = 200,
		.content_type = "application/pkcs7-mime; "
		    "smime-type=signed-data" };
	struct mm_devconf_ask ask = { .by = &c->authority,
		.tag = c->if_none_match };
	struct mm_why why = { 0 };
	enum mm_err rc;

	mm_buf_init(&resp.body, MM_CONFDOC_SIGNED_MAX);
	rc = mm_desk_devconf_give(w->desk, &ask, &resp.body, &why);
	if (rc == MM_OK)
		say_so(&resp, &ask);
	else
		mm_est_refuse(&resp, c, rc, ask.reason, &why);
	atomic_fetch_add(&w->s->configured[what(rc, &ask)], 1);
	mm_http_answer(w->s->http, c->req.ref, &resp);
	mm_call_free(&c);
}

/* see priv.h */
void
mm_configuration_get(struct mm_http_req *req, void *ctx)
{
	mm_est_hand(req, ctx, false, configuration_run);
}
