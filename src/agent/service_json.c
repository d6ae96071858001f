#include "agent/service.h"

#include <string.h>
#include <unistd.h>

#include "agent/report.h"
#include "base/json.h"

/* see service.h */
const char *const mm_service_words[MM_SERVICE_STATES] = {
	[MM_SERVICE_WORKS] = "working",
	[MM_SERVICE_WAITS] = "waiting",
	[MM_SERVICE_FAILS] = "failing",
	[MM_SERVICE_EMPTY] = "no-identity",
	[MM_SERVICE_STOPS] = "stopped",
};

static void
put_time(struct mm_json *j, const char *key, int64_t at_s)
{
	if (at_s == 0)
		mm_json_null(j, key);
	else
		mm_json_time(j, key, at_s * 1000);
}

static void
put_failure(struct mm_json *j, const struct mm_visit_told *t)
{
	char text[sizeof(t->why.text)];

	if (t->err == MM_OK) {
		mm_json_null(j, "failure");
		return;
	}
	mm_agent_printable(t->why.text, text, sizeof(text));
	mm_json_open_key(j, "failure", '{');
	mm_json_str(j, "error", mm_err_slug(t->err));
	mm_json_str(j, "detail", text);
	mm_json_int(j, "exit", mm_err_exit(t->err));
	mm_json_close(j, '}');
}

static void
put_identity(struct mm_json *j, const struct mm_agent_status *s)
{
	char text[sizeof(s->device)];

	mm_agent_printable(s->device, text, sizeof(text));
	mm_json_open_key(j, "identity", '{');
	mm_json_str(j, "device", text);
	mm_json_str(j, "serial", s->serial);
	put_time(j, "not_after", s->not_after_s);
	put_time(j, "renew_at", s->renew_at_s);
	mm_json_bool(j, "confirmed", s->confirmed);
	mm_json_close(j, '}');
}

static void
put_configuration(struct mm_json *j, const struct mm_service *s)
{
	const struct mm_agent_configured *c = &s->conf_in_use;
	char text[sizeof(s->told.conf_why.text)];

	mm_json_open_key(j, "configuration", '{');
	mm_json_int(j, "version", c->version);
	if (c->version > 0)
		mm_json_hex(j, "sha256", (struct mm_bytes){ c->sha256,
		    sizeof(c->sha256) });
	else
		mm_json_null(j, "sha256");
	mm_json_int(j, "failures", s->conf_failures);
	mm_agent_printable(s->told.conf_why.text, text, sizeof(text));
	if (s->conf_failures > 0)
		mm_json_str(j, "failure", text);
	else
		mm_json_null(j, "failure");
	mm_json_close(j, '}');
}

static const char *
hook_word(const struct mm_hook *h)
{
	if (h->program->n == 0 || h->want[0] == '\0')
		return "none";
	if (h->runs[0] != '\0')
		return "running";
	if (!mm_hook_due(h))
		return "done";
	return h->failures > 0 ? "failing" : "due";
}

static void
put_hook(struct mm_json *j, const struct mm_hook *h)
{
	char text[sizeof(h->note)];

	mm_agent_printable(h->note, text, sizeof(text));
	mm_json_open_key(j, h->event, '{');
	mm_json_str(j, "state", hook_word(h));
	mm_json_int(j, "failures", h->failures);
	if (text[0] == '\0')
		mm_json_null(j, "failure");
	else
		mm_json_str(j, "failure", text);
	mm_json_close(j, '}');
}

/* see service.h */
void
mm_service_json(struct mm_buf *out, const struct mm_service *s,
    int64_t boot_ms, int64_t now_s)
{
	int64_t left_s = (s->next_ms - boot_ms) / 1000;
	struct mm_json j = mm_json_over(out);

	mm_json_open(&j, '{');
	mm_json_str(&j, "version", MM_VERSION);
	mm_json_str(&j, "state", mm_service_words[s->state]);
	mm_json_int(&j, "pid", getpid());
	put_time(&j, "at", now_s);
	put_time(&j, "next_at", s->state == MM_SERVICE_WORKS ||
	    s->state == MM_SERVICE_STOPS ? 0
	    : now_s + (left_s > 0 ? left_s : 0));
	put_time(&j, "good_at", s->good_s);
	mm_json_int(&j, "failures", s->failures);
	put_failure(&j, &s->told);
	if (s->told.code[0] != '\0')
		mm_json_str(&j, "pairing_code", s->told.code);
	else
		mm_json_null(&j, "pairing_code");
	if (s->has)
		put_identity(&j, &s->id);
	else
		mm_json_null(&j, "identity");
	put_configuration(&j, s);
	mm_json_open_key(&j, "hooks", '{');
	put_hook(&j, &s->renewed);
	put_hook(&j, &s->configured);
	mm_json_close(&j, '}');
	mm_json_close(&j, '}');
	mm_buf_text(out, "\n");
}
