#ifndef MM_SERVER_ALARM_H
#define MM_SERVER_ALARM_H

#include "base/buf.h"

/*
 * What an alert of the ledger is to the person who gets it by mail: how bad,
 * in plain words what it means, and what to do.  A reason that no row knows is
 * a warning.
 */
enum mm_severity { MM_SEVERITY_INFO, MM_SEVERITY_WARNING,
	MM_SEVERITY_CRITICAL, MM_SEVERITIES };
extern const char *const mm_severity_words[MM_SEVERITIES + 1];

enum mm_severity mm_alarm_severity(const char *reason);
/* One sentence each, without a full stop; "" none is known. */
const char *mm_alarm_means(const char *reason);
void mm_alarm_put_todo(struct mm_buf *out, const char *reason);
void mm_alarm_reference(struct mm_buf *out); /* Markdown */

#endif
