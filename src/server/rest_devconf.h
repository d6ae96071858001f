#ifndef MM_SERVER_REST_DEVCONF_H
#define MM_SERVER_REST_DEVCONF_H

#include "core/devconf.h"
#include "line/initial.h"
#include "server/rest.h"

/* What rest_devconf.c and rest_devconf_read.c share. */

/* A request's "template", "columns", "rows" and "schema"; given: there are
 * any. */
struct mm_devconf_wish {
	struct mm_devconf_papers text;
	struct mm_devconf_text view; /* of it */
	bool given;
};
#define MM_DEVCONF_WISH_INIT { .text = MM_DEVCONF_PAPERS_INIT }
void mm_devconf_wish_done(struct mm_devconf_wish *w);
/* more: one more member that is the caller's, or NULL.  MM_EINPUT: it cannot
 * be read; which row, but no value, is said. */
MM_MUST enum mm_err mm_devconf_wish_read(const json_t *in, const char *more,
    struct mm_devconf_wish *w, struct mm_why *why);

/* A table as it may be shown: what the template marks as secret is not. */
MM_MUST enum mm_err mm_devconf_put_table(struct mm_json *j,
    const struct mm_devconf_papers *p, struct mm_why *why);
/* Which of a request's columns are not shown: where its template or they
 * cannot be read, all. */
void mm_devconf_hidden(const json_t *in, bool hidden[MM_INITIAL_COLUMNS]);

#endif
