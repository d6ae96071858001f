#include "cli/incident.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "base/time.h"

/* One row may have two receipts. */
#define PIECE_N   ((size_t)256 << 10)
#define PIECE_MAX ((size_t)4 << 20)
#define HEAD_MAX  8192

/* see incident.h */
const struct mm_standing_text mm_standings[MM_STANDINGS] = {
	[MM_REPLACED] = { "replaced", "its device has proved a certificate of "
	    "another issuer" },
	[MM_SUPERSEDED] = { "superseded", "a later one of the same issuer took "
	    "its place" },
	[MM_CERT_OFF] = { "revoked", "on the issuer's revocation list" },
	[MM_ENDED] = { "ended", "past its end, and not replaced" },
	[MM_WAITING] = { "waiting", "good still: its device has not come" },
};

static enum mm_err
flush(int fd, struct mm_buf *b, struct mm_why *why)
{
	MM_TRY(mm_buf_ok(b, why));
	MM_TRY(mm_fd_write(fd, mm_buf_view(b), why));
	mm_buf_reset(b);
	return MM_OK;
}

static int
json_fd(const struct mm_incident_out *o)
{
	return o->file.fd >= 0 ? o->file.fd : STDOUT_FILENO;
}

static enum mm_err
put_value(struct mm_buf *b, const json_t *value, struct mm_why *why)
{
	char *text = json_dumps(value, JSON_COMPACT);

	if (text == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	mm_buf_text(b, text);
	free(text);
	return MM_OK;
}

/* Of the same length whatever the counts are: they are known at the end, and
 * people want them first. */
static void
put_head(const struct mm_incident_out *o, const struct mm_standing_counts *n,
    struct mm_buf *b)
{
	mm_buf_printf(b, "<!doctype html><html lang=\"en\"><meta charset="
	    "\"utf-8\"><title>Incident: issuer %s</title><style>body{font:14px "
	    "sans-serif;margin:2em}td,th{padding:.2em .6em;text-align:left;"
	    "border-bottom:1px solid #ccc}</style><h1>Incident: issuer %s</h1>"
	    "<p>As recorded at %s.</p><table>", o->issuer, o->issuer, o->at);
	for (unsigned s = 0; s < MM_STANDINGS; s++)
		mm_buf_printf(b, "<tr><th>%s</th><td>%20llu</td><td>%s</td>"
		    "</tr>\n", mm_standings[s].word,
		    (unsigned long long)n->of[s], mm_standings[s].means);
	mm_buf_text(b, "</table><table><tr><th>device</th><th>product</th>"
	    "<th>certificate</th><th>its end</th><th>standing</th><th>replaced "
	    "by</th><th>of issuer</th><th>proved</th></tr>\n");
}

/* see incident.h */
enum mm_err
mm_incident_begin(struct mm_incident_out *o,
    const struct mm_incident_paths *to, json_t *issuer, struct mm_why *why)
{
	const struct mm_standing_counts none = { { 0 } };

	mm_buf_init(&o->json, PIECE_MAX);
	mm_buf_init(&o->html, PIECE_MAX);
	o->file.fd = o->page.fd = -1;
	o->begun = true;
	mm_time_text(mm_now_ms(), o->at);
	if (to->json != NULL)
		MM_TRY(mm_file_new_begin(to->json, &o->file, why));
	if (to->html != NULL)
		MM_TRY(mm_file_new_begin(to->html, &o->page, why));
	if (to->html != NULL)
		put_head(o, &none, &o->html);
	mm_buf_printf(&o->json, "{\n \"kind\": \"issuing-ca-incident\",\n "
	    "\"as_of\": \"%s\",\n \"issuer\": ", o->at);
	MM_TRY(put_value(&o->json, issuer, why));
	mm_buf_text(&o->json, ",\n \"certificates\": [");
	return mm_buf_ok(&o->json, why);
}

/* see incident.h */
enum mm_err
mm_incident_put(struct mm_incident_out *o, json_t *certificate,
    struct mm_bytes html, struct mm_why *why)
{
	mm_buf_text(&o->json, o->any ? ",\n  " : "\n  ");
	o->any = true;
	MM_TRY(put_value(&o->json, certificate, why));
	if (o->json.n >= PIECE_N)
		MM_TRY(flush(json_fd(o), &o->json, why));
	if (o->page.fd < 0)
		return mm_buf_ok(&o->json, why);
	mm_buf_bytes(&o->html, html);
	return o->html.n < PIECE_N ? mm_buf_ok(&o->html, why) :
	    flush(o->page.fd, &o->html, why);
}

static enum mm_err
end_page(struct mm_incident_out *o, const struct mm_standing_counts *n,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf head = MM_BUF_INIT(HEAD_MAX);

	mm_buf_text(&o->html, "</table></html>\n");
	MM_TRY(flush(o->page.fd, &o->html, why));
	put_head(o, n, &head);
	MM_TRY(mm_buf_ok(&head, why));
	if (lseek(o->page.fd, 0, SEEK_SET) != 0)
		return MM_FAIL(why, MM_ESYS, "%.100s: %s", o->page.path,
		    strerror(errno));
	MM_TRY(flush(o->page.fd, &head, why));
	return mm_file_new_end(&o->page, 0644, why);
}

/* see incident.h */
enum mm_err
mm_incident_end(struct mm_incident_out *o, const struct mm_standing_counts *n,
    struct mm_why *why)
{
	mm_buf_text(&o->json, "\n ],\n \"totals\": {");
	for (unsigned s = 0; s < MM_STANDINGS; s++)
		mm_buf_printf(&o->json, "%s\"%s\": %llu", s > 0 ? ", " : "",
		    mm_standings[s].word, (unsigned long long)n->of[s]);
	mm_buf_text(&o->json, "}\n}\n");
	MM_TRY(flush(json_fd(o), &o->json, why));
	if (o->file.fd >= 0)
		MM_TRY(mm_file_new_end(&o->file, 0644, why));
	return o->page.fd >= 0 ? end_page(o, n, why) : MM_OK;
}

/* see incident.h */
void
mm_incident_drop(struct mm_incident_out *o)
{
	if (!o->begun)
		return;
	mm_file_new_drop(&o->file);
	mm_file_new_drop(&o->page);
	mm_buf_done(&o->json);
	mm_buf_done(&o->html);
}
