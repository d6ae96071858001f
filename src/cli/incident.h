#ifndef MM_CLI_INCIDENT_H
#define MM_CLI_INCIDENT_H

#include "base/file.h"
#include "base/time.h"
#include "cli/client.h"

/*
 * "ca incident": what became of everything that an issuer has issued.  There
 * may be millions, so what is written does not wait for the last one.
 */
enum mm_standing {
	MM_REPLACED, MM_SUPERSEDED, MM_CERT_OFF, MM_ENDED, MM_WAITING,
	MM_STANDINGS
};
extern const struct mm_standing_text {
	const char *word, *means;
} mm_standings[MM_STANDINGS];
struct mm_standing_counts { uint64_t of[MM_STANDINGS]; };

/* incident_out.c: JSON, to a file or standard output, and perhaps a page for
 * people.  A file is there whole or not at all. */
struct mm_incident_out {
	struct mm_file_new file, page; /* fd -1: not that one */
	struct mm_buf json, html;      /* not written yet */
	bool begun, any;
	const char *issuer;
	char at[MM_TIME_TEXT];
};
struct mm_incident_paths { const char *json, *html; }; /* NULL: none */
MM_MUST enum mm_err mm_incident_begin(struct mm_incident_out *o,
    const struct mm_incident_paths *to, json_t *issuer, struct mm_why *why);
/* One certificate; html: a row of the table, whole. */
MM_MUST enum mm_err mm_incident_put(struct mm_incident_out *o,
    json_t *certificate, struct mm_bytes html, struct mm_why *why);
MM_MUST enum mm_err mm_incident_end(struct mm_incident_out *o,
    const struct mm_standing_counts *n, struct mm_why *why);
/* In any case; what has not ended leaves no file. */
void mm_incident_drop(struct mm_incident_out *o);

#endif
