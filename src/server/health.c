#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/time.h"
#include "sandbox/sandbox.h"
#include "server/metrics.h"
#include "server/priv.h"

enum { ADMIN_ENDS_SOON_S = 30 * 86400 };

/* Words while the last administrator's credential is near its end: after it
 * only the signer's user can make a new one. */
static void
last_admin(const struct mm_core_stats *st, char out[96])
{
	char when[MM_TIME_TEXT];

	out[0] = '\0';
	if (st->admins == 0 || st->admins_until == INT64_MAX ||
	    st->admins_until / 1000 - mm_now_s() > ADMIN_ENDS_SOON_S)
		return;
	mm_time_text_s(st->admins_until / 1000, when);
	snprintf(out, 96, "the last administrator's credential ends at %s",
	    when);
}

/* see priv.h */
void
mm_health_warnings(const struct mm_server *s, struct mm_json *j)
{
	const struct mm_settings *set = &s->config->set;
	struct mm_core_stats st;
	char last[96];

	mm_core_stats(s->core, &st);
	last_admin(&st, last);
	const struct {
		bool on;
		const char *text;
	} rows[] = {
		{ !set->production, "test mode: tokens and certificates are "
		    "not for real devices" },
		{ set->signer_user[0] == '\0' || set->server_user[0] == '\0',
		    "server and signer run as the same user: a broken server "
		    "could read the CA's keys" },
		{ (s->sandbox_missing & MM_SANDBOX_NO_LANDLOCK) != 0,
		    "this kernel has no landlock: files are not fenced off" },
		{ (s->sandbox_missing & MM_SANDBOX_NO_SECCOMP) != 0,
		    "this kernel has no seccomp: system calls are not fenced "
		    "off" },
		{ st.admins == 1 && set->four_eyes.n > 0,
		    "four_eyes: there is one administrator only, so nobody "
		    "can approve" },
		{ last[0] != '\0', last },
	};

	mm_json_open_key(j, "warnings", '[');
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].on)
			mm_json_str(j, NULL, rows[i].text);
	mm_json_close(j, ']');
}

static void
send_json(struct mm_server *s, const struct mm_http_req *req, int status,
    struct mm_buf *take_body)
{
	struct mm_http_resp resp = { .status = status,
		.content_type = "application/json", .body = *take_body };

	mm_http_answer(s->http, req->ref, &resp);
}

/* see priv.h */
void
mm_health_live(struct mm_http_req *req, void *ctx)
{
	struct mm_server *s = ctx;
	struct mm_buf body = MM_BUF_INIT(4096);
	struct mm_json j = mm_json_over(&body);

	mm_json_open(&j, '{');
	mm_json_str(&j, "status", "ok");
	if (strcmp(mm_http_listener_name(req->listener),
	        mm_listener_name(MM_OPERATORS)) == 0) /* nobody else's */
		mm_health_warnings(s, &j);
	mm_json_close(&j, '}');
	send_json(s, req, 200, &body);
}

/* see priv.h */
void
mm_health_ready(struct mm_http_req *req, void *ctx)
{
	struct mm_server *s = ctx;
	struct mm_buf body = MM_BUF_INIT(4096);
	struct mm_json j = mm_json_over(&body);
	struct mm_core_stats st;

	mm_core_stats(s->core, &st);
	/* Until the one any end is the end of all; until the other there may
	 * be no revocation list, which strict clients want. */
	if (!s->announced || !s->tidied) {
		st.ready = false;
		strcpy(st.why, "starting");
	}
	mm_json_open(&j, '{');
	mm_json_bool(&j, "ready", st.ready);
	if (!st.ready)
		mm_json_str(&j, "why", st.why);
	mm_json_close(&j, '}');
	send_json(s, req, st.ready ? 200 : 503, &body);
}
