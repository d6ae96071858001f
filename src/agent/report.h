#ifndef MM_AGENT_REPORT_H
#define MM_AGENT_REPORT_H

#include "agent/configure.h"

/* How it is said. */
struct mm_agent_report_of {
	bool json;
	int64_t now_s, took_ms;
	struct mm_bytes service; /* JSON of the service's (service.h), or n 0 */
	const struct mm_agent_configured *configured; /* in use; or NULL */
	const char *document;    /* where that is */
};
/* What came of a command, appended to out. */
void mm_agent_report(struct mm_buf *out, const struct mm_agent_status *s,
    const struct mm_agent_report_of *of);
/* A failure, for standard error (text) or standard output (JSON). */
void mm_agent_report_failure(struct mm_buf *out, enum mm_err err,
    const struct mm_why *why, const struct mm_agent_report_of *of);
/* text cut to n - 1 and in printable ASCII: others become '?'. */
void mm_agent_printable(const char *text, char *out, size_t n);

#endif
