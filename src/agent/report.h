#ifndef MM_AGENT_REPORT_H
#define MM_AGENT_REPORT_H

#include "agent/agent.h"

/* What came of a command, as text or JSON, appended to out. */
void mm_agent_report(struct mm_buf *out, const struct mm_agent_status *s,
    bool json, int64_t now_s, int64_t took_ms);
/* A failure, for standard error (text) or standard output (JSON). */
void mm_agent_report_failure(struct mm_buf *out, enum mm_err err,
    const struct mm_why *why, bool json);

#endif
