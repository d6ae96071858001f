#include "base/json.h"
#include "server/priv.h"

/*
 * When a device should renew its certificate (core/window.h): RFC 9773's
 * answer for the certificate of the connection, under a path of ours.
 */
enum { BODY_MAX = 1024 };

static void
put_window(struct mm_json *j, const struct mm_window *w)
{
	if (w->why == MM_WINDOW_NEVER) {
		mm_json_null(j, "suggestedWindow");
		return;
	}
	mm_json_open_key(j, "suggestedWindow", '{');
	mm_json_time(j, "start", w->start_s * 1000);
	mm_json_time(j, "end", w->end_s * 1000);
	mm_json_close(j, '}');
}

static void
renewal_run(struct mm_worker *w, struct mm_call *c)
{
	struct mm_why why = { 0 };
	struct mm_http_resp resp = { .status = 200,
		.content_type = "application/json" };
	enum mm_reason reason = MM_R_NONE;
	struct mm_renewal r;
	struct mm_json j;
	enum mm_err rc;

	mm_buf_init(&resp.body, BODY_MAX);
	j = mm_json_over(&resp.body);
	rc = mm_desk_renewal(w->desk, &c->authority, &r, &reason, &why);
	if (rc == MM_OK) {
		mm_json_open(&j, '{');
		mm_json_hex(&j, "serial", (struct mm_bytes){ r.serial,
		    sizeof(r.serial) });
		put_window(&j, &r.window);
		mm_json_str(&j, "why", mm_window_words[r.window.why]);
		mm_json_close(&j, '}');
		/* RFC 9773 4.3.2 */
		mm_answer_retry(&resp, (unsigned)r.window.again_s);
	} else
		mm_est_refuse(&resp, c, rc, reason, &why);
	mm_http_answer(w->s->http, c->req.ref, &resp);
	mm_call_free(&c);
}

/* see priv.h */
void
mm_renewal_get(struct mm_http_req *req, void *ctx)
{
	mm_est_hand(req, ctx, true, renewal_run);
}
