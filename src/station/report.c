#include "station/report.h"

#include <stdio.h>

#include "base/json.h"
#include "station/record.h"

/* see report.h */
int
mm_report_exit(const struct mm_place *p)
{
	return p->ended == MM_UNIT_PASSED ? MM_EXIT_PASSED
	    : mm_unit_reasons[p->reason].exit;
}

/* see report.h */
void
mm_report_reason(struct mm_json *j, enum mm_unit_reason reason)
{
	const struct mm_unit_reason_text *r = &mm_unit_reasons[reason];

	mm_json_str(j, "reason", r->code);
	mm_json_int(j, "exit", r->exit);
	mm_json_str(j, "what", r->what);
	mm_json_str(j, "to_do", r->todo);
}

/* Text from elsewhere: neither a terminal nor JSON gets other than ASCII. */
enum { NOTE_N = sizeof(((struct mm_place *)0)->note) };

static const char *
plain_note(const struct mm_place *p, char plain[NOTE_N])
{
	size_t n = 0;

	for (; p->note[n] != '\0' && n + 1 < NOTE_N; n++)
		plain[n] = p->note[n] < ' ' || p->note[n] > '~' ? '?'
		    : p->note[n];
	plain[n] = '\0';
	return plain;
}

/* see report.h */
const char *
mm_report_labelled(const struct mm_place *p)
{
	return p->labels > 1 ? "reprinted" : "printed";
}

static void
as_json(struct mm_buf *out, const struct mm_station_conf *conf,
    const struct mm_place *p)
{
	struct mm_json j = mm_json_over(out);
	char path[PATH_MAX + 128], note[NOTE_N];

	mm_json_open(&j, '{');
	mm_json_str(&j, "device", p->last);
	mm_json_str(&j, "fixture", p->conf->name);
	mm_json_str(&j, "result", mm_unit_state_names[p->ended]);
	if (p->ended == MM_UNIT_PASSED) {
		mm_json_int(&j, "exit", MM_EXIT_PASSED);
		mm_json_str(&j, "serial", p->cert_serial);
		mm_json_bool(&j, "again", p->known || p->replayed);
		if (mm_record_path(conf, p->last, path, sizeof(path), NULL) ==
		    MM_OK)
			mm_json_str(&j, "record", path);
		if (p->labels > 0)
			mm_json_str(&j, "label",
			    mm_report_labelled(p));
	} else {
		mm_report_reason(&j, p->reason);
		if (p->note[0] != '\0')
			mm_json_str(&j, "note", plain_note(p, note));
	}
	mm_json_int(&j, "ms", p->took_ms);
	mm_json_close(&j, '}');
	mm_buf_text(out, "\n");
}

/* Between what it is and what to do: "is the disk full? make room". */
static const char *
between(const char *what)
{
	size_t n = strlen(what);

	return n > 0 && what[n - 1] == '?' ? " " : ": ";
}

/* see report.h */
void
mm_report_unit(struct mm_buf *out, const struct mm_station_conf *conf,
    const struct mm_place *p, bool json)
{
	const struct mm_unit_reason_text *r = &mm_unit_reasons[p->reason];
	char note[NOTE_N];

	if (json)
		as_json(out, conf, p);
	else if (p->ended == MM_UNIT_PASSED)
		mm_buf_printf(out, "%-8s PASS  %s  %lld ms%s%s\n",
		    p->conf->name, p->last, (long long)p->took_ms,
		    p->labels > 0 ? ", label " : "",
		    p->labels > 0 ? mm_report_labelled(p) : "");
	else
		mm_buf_printf(out, "%-8s FAIL  %s  %s%s%s%s%s\n",
		    p->conf->name, p->last, r->what,
		    p->note[0] != '\0' ? " (" : "", plain_note(p, note),
		    p->note[0] != '\0' ? "): " : between(r->what), r->todo);
}

/* see report.h */
void
mm_report_refused(struct mm_buf *out, const struct mm_place *p,
    const char *serial, enum mm_unit_reason reason, bool json)
{
	const struct mm_unit_reason_text *r = &mm_unit_reasons[reason];
	struct mm_json j = mm_json_over(out);
	bool plain = mm_device_id_valid(serial);

	if (!json) {
		mm_buf_printf(out, "%-8s FAIL  %s  %s%s%s\n", p->conf->name,
		    plain ? serial : "?", r->what, between(r->what), r->todo);
		return;
	}
	mm_json_open(&j, '{');
	mm_json_str(&j, "device", plain ? serial : "");
	mm_json_str(&j, "fixture", p->conf->name);
	mm_json_str(&j, "result", "refused");
	mm_report_reason(&j, reason);
	mm_json_close(&j, '}');
	mm_buf_text(out, "\n");
}

/* see report.h */
void
mm_report_decided(struct mm_buf *out, const struct mm_unit *u, bool json)
{
	struct mm_json j = mm_json_over(out);

	if (!json) {
		/* its state is "failed" then, which is no word for people */
		mm_buf_printf(out, "%s %s\n", u->serial,
		    u->state == MM_UNIT_FAILED ? "may be tried again"
		    : mm_unit_state_names[u->state]);
		return;
	}
	mm_json_open(&j, '{');
	mm_json_str(&j, "device", u->serial);
	mm_json_str(&j, "result", mm_unit_state_names[u->state]);
	mm_json_close(&j, '}');
	mm_buf_text(out, "\n");
}

/* see report.h */
void
mm_report_label(struct mm_buf *out, const char *serial,
    enum mm_unit_reason reason, bool json)
{
	const struct mm_unit_reason_text *r = &mm_unit_reasons[reason];
	struct mm_json j = mm_json_over(out);

	if (!json && reason == MM_UR_NONE) {
		mm_buf_printf(out, "label    %s  printed again\n", serial);
		return;
	}
	if (!json) {
		mm_buf_printf(out, "label    FAIL  %s  %s%s%s\n", serial,
		    r->what, between(r->what), r->todo);
		return;
	}
	mm_json_open(&j, '{');
	mm_json_str(&j, "device", serial);
	mm_json_str(&j, "label", reason == MM_UR_NONE ? "reprinted" : "failed");
	if (reason != MM_UR_NONE)
		mm_report_reason(&j, reason);
	mm_json_close(&j, '}');
	mm_buf_text(out, "\n");
}

/* see report.h */
void
mm_report_order(struct mm_buf *out, bool json)
{
	struct mm_json j = mm_json_over(out);

	if (!json) {
		mm_buf_text(out, "the work order is extended\n");
		return;
	}
	mm_json_open(&j, '{');
	mm_json_str(&j, "order", "extended");
	mm_json_close(&j, '}');
	mm_buf_text(out, "\n");
}

/* see report.h */
void
mm_report_failure(struct mm_buf *out, enum mm_err err,
    const struct mm_why *why, bool json)
{
	struct mm_json j = mm_json_over(out);

	if (!json) {
		mm_buf_printf(out, "mintmark-station: %s (%s)\n", why->text,
		    mm_err_slug(err));
		return;
	}
	mm_json_open(&j, '{');
	mm_json_str(&j, "error", mm_err_slug(err));
	mm_json_str(&j, "detail", why->text);
	mm_json_int(&j, "exit", mm_err_exit(err));
	mm_json_close(&j, '}');
	mm_buf_text(out, "\n");
}
