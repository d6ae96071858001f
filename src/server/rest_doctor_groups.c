#include <stdio.h>
#include <stdlib.h>

#include "base/time.h"
#include "core/group.h"
#include "server/exam.h"

/* Shared secrets: what old credentials still open a door. */

enum { GROUPS_PAGE = 200 };

struct looking {
	struct exam *e;
	struct mm_group group[GROUPS_PAGE];
	unsigned n, open, legacy;
	char last[MM_DOC_ID_MAX + 1];
};

static enum mm_err
take(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct looking *l = ctx;

	(void)!mm_text_copy(l->last, sizeof(l->last), mm_bytes_of(next));
	return mm_group_parse(row, &l->group[l->n++], why);
}

static const char *
whose(const struct mm_group *g)
{
	static const char *const words[MM_GROUP_KINDS] = {
		[MM_GROUP_CA] = "certificates of an old CA",
		[MM_GROUP_CERTIFICATES] = "old certificates",
		[MM_GROUP_NONE] = "devices with nothing, by their codes",
		[MM_GROUP_CLAIM] = "a secret that its devices share",
	};

	return words[g->kind];
}

/* A secret that stands in firmware is one until its group is closed. */
static bool
is_shared(const struct mm_group *g)
{
	return g->kind == MM_GROUP_CLAIM && g->state != MM_WORK_CLOSED;
}

static void
look_at(struct exam *e, const struct mm_group *g,
    const struct mm_group_counts *n)
{
	if (mm_group_halted(g, n->conflicts))
		mm_find(e->f, MM_CHECK_GROUPS, MM_LEVEL_WARN,
		    "mintmark group show, and see who has the shared key; "
		    "then mintmark group open",
		    "group %s is paused by %lld conflicts", g->id,
		    (long long)n->conflicts);
	if (g->until_ms <= mm_now_ms())
		mm_find(e->f, MM_CHECK_GROUPS, MM_LEVEL_WARN,
		    "mintmark group close, or extend",
		    "group %s is past its end and not closed", g->id);
	else if (n->waiting > 0)
		mm_find(e->f, MM_CHECK_GROUPS, MM_LEVEL_WARN,
		    "mintmark group waiting; then approve or refuse each",
		    "group %s: %u devices wait for a person", g->id,
		    n->waiting);
	else
		mm_find(e->f, MM_CHECK_GROUPS, MM_LEVEL_OK, NULL,
		    "group %s takes %s: %lld of %lld came", g->id, whose(g),
		    (long long)n->made, (long long)g->most);
}

static enum mm_err
look_page(struct looking *l)
{
	struct mm_store_reader *r = l->e->r->reader;
	struct mm_list docs = { .most = GROUPS_PAGE, .state = -1 };
	struct mm_group_counts n;

	l->n = 0;
	snprintf(docs.after, sizeof(docs.after), "%s", l->last);
	MM_TRY(mm_list_docs(r, MM_DOC_GROUP, "", &docs, take, l, NULL));
	for (unsigned i = 0; i < l->n; i++) {
		if (l->group[i].state != MM_WORK_OPEN &&
		    !is_shared(&l->group[i]))
			continue;
		l->open++;
		l->legacy += l->group[i].legacy;
		MM_TRY(mm_group_counts(r, &l->group[i], &n, NULL));
		look_at(l->e, &l->group[i], &n);
	}
	return MM_OK;
}

/* A door for weak certificates is open as long as somebody needs it. */
static void
look_at_legacy(const struct looking *l)
{
	if (l->e->r->s->config->set.legacy_listen[0] == '\0')
		return;
	if (l->legacy == 0)
		mm_find(l->e->f, MM_CHECK_GROUPS, MM_LEVEL_WARN,
		    "mintmark.conf: legacy_listen = \"\"",
		    "the legacy listener is on, and no open group is for it");
	else
		mm_find(l->e->f, MM_CHECK_GROUPS, MM_LEVEL_OK, NULL,
		    "the legacy listener is on for %u groups", l->legacy);
}

/* see exam.h */
void
mm_exam_groups(struct exam *e)
{
	struct looking *l = calloc(1, sizeof(*l));
	enum mm_err rc = MM_ENOMEM;

	if (l != NULL) {
		l->e = e;
		do
			rc = look_page(l);
		while (rc == MM_OK && l->n == GROUPS_PAGE);
	}
	if (rc != MM_OK)
		mm_find(e->f, MM_CHECK_GROUPS, MM_LEVEL_WARN,
		    "Try again; mintmark status says more",
		    "the groups cannot be read");
	else if (l->open == 0)
		mm_find(e->f, MM_CHECK_GROUPS, MM_LEVEL_OK, NULL,
		    "no old or shared credential is taken");
	if (rc == MM_OK)
		look_at_legacy(l);
	free(l);
}
