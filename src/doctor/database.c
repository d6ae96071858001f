#include <stdio.h>
#include <string.h>

#include "doctor/doctor.h"

enum { CONNECTIONS_WARN = 80 /* percent */ };

/* ---- what there is to say of one that answers ---- */

static void
judge_sqlite(const struct mm_store_health *h, bool deep, struct mm_findings *f)
{
	if (strcmp(h->journal_mode, "wal") != 0)
		mm_find(f, MM_CHECK_DATABASE, MM_LEVEL_FAIL,
		    "Put the database on a local disk and restart the server",
		    "journal mode is %s, want wal", h->journal_mode);
	else if (h->problem[0] != '\0')
		mm_find(f, MM_CHECK_DATABASE, MM_LEVEL_FAIL,
		    "Stop the server, copy the files, and restore a backup",
		    "damaged: %.160s", h->problem);
	else
		mm_find(f, MM_CHECK_DATABASE, MM_LEVEL_OK, NULL,
		    "WAL mode, synced at each commit%s",
		    deep ? "; every page is sound" : "");
}

/* That it would not lose what it commits, the connection itself has asked. */
static void
judge_postgres(
    const struct mm_store_health *h, bool deep, struct mm_findings *f)
{
	int64_t share = h->connections_max > 0
			    ? h->connections * 100 / h->connections_max
			    : 0;

	(void)deep;
	mm_find(f, MM_CHECK_DATABASE, MM_LEVEL_OK, NULL,
	    "PostgreSQL %s answers, and keeps what it has committed: fsync, "
	    "full_page_writes, synchronous_commit, replicas",
	    h->version);
	if (h->years >= 2)
		mm_find(f, MM_CHECK_DATABASE, MM_LEVEL_OK, NULL,
		    "table cert has partitions until the end of %d",
		    h->year + (int)h->years - 1);
	else
		mm_find(f, MM_CHECK_DATABASE, MM_LEVEL_WARN,
		    "The server makes it by itself, every hour: its role must "
		    "own table cert",
		    "table cert has no partition for %d",
		    h->year + (int)h->years);
	mm_find(f, MM_CHECK_DATABASE,
	    share < CONNECTIONS_WARN ? MM_LEVEL_OK : MM_LEVEL_WARN,
	    "Raise max_connections, or find out who holds "
	    "them: pg_stat_activity",
	    "%lld of %lld connections are in use", (long long)h->connections,
	    (long long)h->connections_max);
}

/* ---- the kinds ---- */

/* away: what to do where it is not reached; unfit: where it is, and will not
 * do. */
static const struct kind {
	const char *scheme, *away, *unfit;
	void (*judge)(
	    const struct mm_store_health *h, bool deep, struct mm_findings *f);
} kinds[] = {
	{ "sqlite:",
	    "Look at the file and its folder; run this as the "
	    "server's user",
	    "Stop the server, copy the files, and restore a backup",
	    judge_sqlite },
	{ "postgresql:",
	    "Does it run, and let this user of this machine in "
	    "(pg_hba.conf)? Its own log says more; run this as the server's "
	    "user",
	    "Set it right as docs/postgresql.md says, before certificates are "
	    "lost: the server takes no new connection to it",
	    judge_postgres },
};

static const struct kind *
kind_of(const char *url)
{
	size_t i = sizeof(kinds) / sizeof(kinds[0]) - 1;

	while (i > 0 &&
	       strncmp(url, kinds[i].scheme, strlen(kinds[i].scheme)) != 0)
		i--;
	return &kinds[i];
}

/* Which one, without its options; the words begin with "database: ". */
static void
look_away(
    const char *url, const char *words, const char *todo, struct mm_findings *f)
{
	static const char head[] = "database: ";

	if (strncmp(words, head, sizeof(head) - 1) == 0)
		words += sizeof(head) - 1;
	mm_find(f, MM_CHECK_DATABASE, MM_LEVEL_FAIL, todo, "%.*s: %.110s",
	    (int)(strcspn(url, "?") < 80 ? strcspn(url, "?") : 80), url, words);
}

/* see doctor.h */
void
mm_doctor_database(const char *url, struct mm_store_reader *r, bool deep,
    const struct mm_why *why, struct mm_findings *f)
{
	const struct kind *kind = kind_of(url);
	struct mm_store_health h = { 0 };
	struct mm_why own = { 0 };
	enum mm_err rc;

	if (r == NULL) {
		look_away(url, why->text, kind->away, f);
		return;
	}
	rc = mm_store_inspect(r, deep, &h, &own);
	if (rc == MM_OK)
		kind->judge(&h, deep, f);
	else
		look_away(url, own.text,
		    rc == MM_EAGAIN ? kind->away : kind->unfit, f);
}
