#include "agent/report.h"

#include <stdio.h>

#include <jansson.h>

#include "agent/store.h"
#include "base/json.h"
#include "base/text.h"
#include "base/time.h"

#define DAY_S 86400

static const struct {
	const char *slug, *words;
} unspent[] = {
	[MM_AGENT_SPENT] = { NULL, NULL },
	[MM_AGENT_OTHER] = { "other-device", "it is for another device" },
	[MM_AGENT_GOOD] = { "identity-good", "this identity is good; "
	    "--replace uses the token" },
};

/* One that runs, or ran last. */
static void
put_service(struct mm_json *j, struct mm_bytes service)
{
	if (service.n > 0)
		mm_json_raw(j, "service", service);
	else
		mm_json_null(j, "service");
}

static bool
is_configured(const struct mm_agent_report_of *of)
{
	return of->configured != NULL && of->configured->version > 0;
}

static void
put_configuration(struct mm_json *j, const struct mm_agent_report_of *of)
{
	const struct mm_agent_configured *c = of->configured;

	if (!is_configured(of)) {
		mm_json_null(j, "configuration");
		return;
	}
	mm_json_open_key(j, "configuration", '{');
	mm_json_int(j, "version", c->version);
	mm_json_hex(j, "sha256", (struct mm_bytes){ c->sha256,
	    sizeof(c->sha256) });
	mm_json_str(j, "document", mm_utf8_valid(mm_bytes_of(of->document))
	    ? of->document : "");
	mm_json_bool(j, "changed", c->fresh);
	mm_json_close(j, '}');
}

static void
configuration_text(struct mm_buf *out, const struct mm_agent_report_of *of)
{
	char path[PATH_MAX];

	if (!is_configured(of))
		return;
	mm_agent_printable(of->document, path, sizeof(path));
	mm_buf_printf(out, "configured version %lu%s: %s\n",
	    (unsigned long)of->configured->version,
	    of->configured->fresh ? " (new)" : "", path);
}

static void
as_json(struct mm_buf *out, const struct mm_agent_status *s, int64_t days,
    const struct mm_agent_report_of *of)
{
	struct mm_json j = mm_json_over(out);

	mm_json_open(&j, '{');
	mm_json_str(&j, "device", s->device);
	mm_json_str(&j, "serial", s->serial);
	mm_json_time(&j, "not_before", s->not_before_s * 1000);
	mm_json_time(&j, "not_after", s->not_after_s * 1000);
	mm_json_int(&j, "days_left", days);
	if (s->renew_at_s == 0)
		mm_json_null(&j, "renew_at");
	else
		mm_json_time(&j, "renew_at", s->renew_at_s * 1000);
	mm_json_str(&j, "slot", mm_agent_slot_name(s->slot));
	mm_json_bool(&j, "confirmed", s->confirmed);
	mm_json_open_key(&j, "key", '{');
	mm_json_str(&j, "in", mm_key_place_name(s->key_in));
	if (s->key[0] == '\0')
		mm_json_null(&j, "uri");
	else
		mm_json_str(&j, "uri", s->key);
	mm_json_close(&j, '}');
	mm_json_bool(&j, "already", s->already);
	mm_json_bool(&j, "renewed", s->renewed);
	if (unspent[s->unspent].slug == NULL)
		mm_json_null(&j, "token_unspent");
	else
		mm_json_str(&j, "token_unspent", unspent[s->unspent].slug);
	mm_json_str(&j, "server", s->server);
	mm_json_int(&j, "ms", of->took_ms);
	put_configuration(&j, of);
	put_service(&j, of->service);
	mm_json_close(&j, '}');
	mm_buf_text(out, "\n");
}

/* A terminal takes orders, and JSON is UTF-8: neither gets other than text. */
static void
make_printable(char *s)
{
	for (; *s != '\0'; s++)
		if (*s < ' ' || *s > '~')
			*s = '?';
}

/* see report.h */
void
mm_agent_printable(const char *text, char *out, size_t n)
{
	snprintf(out, n, "%s", text);
	make_printable(out);
}

static void
put_word(struct mm_buf *out, const char *before, const json_t *word)
{
	char text[256];

	if (!json_is_string(word))
		return;
	mm_agent_printable(json_string_value(word), text, sizeof(text));
	mm_buf_printf(out, "%s%s", before, text);
}

/* What the service wrote, which may be anything. */
static void
service_text(struct mm_buf *out, struct mm_bytes service)
{
	json_t *o = service.n == 0 ? NULL :
	    json_loadb((const char *)service.p, service.n, 0, NULL);

	if (json_is_object(o)) {
		put_word(out, "service    ", json_object_get(o, "state"));
		put_word(out, ", next visit ", json_object_get(o, "next_at"));
		put_word(out, ": ", json_object_get(
		    json_object_get(o, "failure"), "detail"));
		mm_buf_text(out, "\n");
	}
	json_decref(o);
}

static void
as_text(struct mm_buf *out, const struct mm_agent_status *s, int64_t days)
{
	char from[MM_TIME_TEXT], until[MM_TIME_TEXT];
	char at[MM_TIME_TEXT] = "never";

	mm_time_text_s(s->not_before_s, from);
	mm_time_text_s(s->not_after_s, until);
	if (s->renew_at_s != 0)
		mm_time_text_s(s->renew_at_s, at);
	mm_buf_printf(out, "device     %s%s\n", s->device,
	    s->already ? " (was enrolled already)" : "");
	mm_buf_printf(out, "serial     %s\n", s->serial);
	mm_buf_printf(out, "valid      %s to %s, %lld days left\n", from,
	    until, (long long)days);
	mm_buf_printf(out, "renew at   %s%s\n", at,
	    s->early ? " (not yet; --now renews at once)" : "");
	mm_buf_printf(out, "confirmed  %s\n", s->confirmed ? "yes" : "no");
	mm_buf_printf(out, "slot       %s\n", mm_agent_slot_name(s->slot));
	mm_buf_printf(out, "key        %s\n", s->key[0] != '\0' ? s->key
	    : "in a file");
	mm_buf_printf(out, "server     %s\n", s->server);
	if (unspent[s->unspent].words != NULL)
		mm_buf_printf(out, "token      not used, and left: %s\n",
		    unspent[s->unspent].words);
}

/* see report.h */
void
mm_agent_report(struct mm_buf *out, const struct mm_agent_status *s,
    const struct mm_agent_report_of *of)
{
	struct mm_agent_status shown = *s;
	int64_t days = (s->not_after_s - of->now_s) / DAY_S;

	make_printable(shown.server);
	if (!of->json || !mm_utf8_valid(mm_bytes_of(shown.device)))
		make_printable(shown.device);
	if (of->json)
		as_json(out, &shown, days, of);
	else {
		as_text(out, &shown, days);
		configuration_text(out, of);
		service_text(out, of->service);
	}
}

/* see report.h */
void
mm_agent_report_failure(struct mm_buf *out, enum mm_err err,
    const struct mm_why *why, const struct mm_agent_report_of *of)
{
	struct mm_json j = mm_json_over(out);
	char text[sizeof(why->text)];

	mm_agent_printable(why->text[0] != '\0' ? why->text
	    : mm_err_slug(err), text, sizeof(text));
	if (!of->json) {
		mm_buf_printf(out, "mintmark-agent: %s\n", text);
		return;
	}
	mm_json_open(&j, '{');
	mm_json_str(&j, "error", mm_err_slug(err));
	mm_json_str(&j, "detail", text);
	mm_json_int(&j, "exit", mm_err_exit(err));
	if (of->service.n > 0)
		put_service(&j, of->service);
	mm_json_close(&j, '}');
	mm_buf_text(out, "\n");
}
