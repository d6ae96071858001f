#include "store/sqlite.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Certificates that count in a batch, documents in a number: a count is the
 * version of a document that says nothing. */

static enum mm_err
version_of(struct sqlite_store *s, enum mm_doc_kind kind, const char *id,
    int64_t *version, struct mm_why *why)
{
	enum mm_err err = mm_sqlite_ints(
	    &s->db, ASK(DOC, INT(kind), TEXT(id)), version, 1, why);

	if (err != MM_ENOTFOUND)
		return err;
	*version = 0;
	return MM_OK;
}

static enum mm_err
put(struct sqlite_store *s, enum mm_doc_kind kind, const char *id,
    struct mm_bytes body, struct mm_why *why)
{
	int64_t have;

	MM_TRY(version_of(s, kind, id, &have, why));
	return mm_sqlite_exec(&s->db,
	    ASK(DOC_PUT, INT(kind), TEXT(id), INT(have + 1), BYTES(body)), why);
}

/* see sqlite.h */
enum mm_err
mm_sqlite_count_up(struct sqlite_store *s, const char *id, struct mm_why *why)
{
	return put(s, MM_DOC_COUNT, id, mm_bytes_of("{}"), why);
}

/* see sqlite.h */
enum mm_err
mm_sqlite_count_is(
    struct sqlite_store *s, const char *id, uint64_t want, struct mm_why *why)
{
	int64_t have;

	MM_TRY(version_of(s, MM_DOC_COUNT, id, &have, why));
	return (uint64_t)have == want
		   ? MM_OK
		   : MM_FAIL(why, MM_ESTALE, "%s: counts %lld now", id,
			 (long long)have);
}

static enum mm_err
below(struct sqlite_store *s, const char *id, uint64_t most, const char *what,
    struct mm_why *why)
{
	int64_t have;

	MM_TRY(version_of(s, MM_DOC_COUNT, id, &have, why));
	return (uint64_t)have < most
		   ? MM_OK
		   : MM_FAIL(why, MM_ECONFLICT, "batch %s: its %s is gone", id,
			 what);
}

static bool
has_station(const struct mm_op_share *sh)
{
	return !sh->group && sh->place[strlen(sh->place) - 1] != '/';
}

/* What counts the whole: a name has no colon. */
static const char *
count_of(const struct mm_op_share *sh, char id[MM_DOC_ID_MAX + 1])
{
	snprintf(id, MM_DOC_ID_MAX + 1, "%s%s", sh->group ? "group:" : "",
	    sh->batch);
	return id;
}

/* see sqlite.h */
enum mm_err
mm_sqlite_share_check(
    struct sqlite_store *s, const struct mm_op_share *sh, struct mm_why *why)
{
	char id[MM_DOC_ID_MAX + 1];
	int64_t have;

	if (sh == NULL)
		return MM_OK;
	MM_TRY(version_of(s, sh->group ? MM_DOC_GROUP : MM_DOC_BATCH,
	    sh->batch, &have, why));
	if ((uint64_t)have != sh->version)
		return MM_FAIL(why, MM_ECONFLICT, "%s %s: has changed",
		    sh->group ? "group" : "batch", sh->batch);
	MM_TRY(below(s, count_of(sh, id), sh->most, "quota", why));
	return has_station(sh) ? below(s, sh->place, sh->station_most, "share",
				     why)
			       : MM_OK;
}

/* A device's name is one whatever its case. */
static void
unit_of(const struct mm_op_share *sh, const char *device,
    char id[MM_DOC_ID_MAX + 1])
{
	snprintf(id, MM_DOC_ID_MAX + 1, "%s/%s", sh->batch, device);
	for (char *p = id + strlen(sh->batch); sh->group && *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
}

/* see sqlite.h */
enum mm_err
mm_sqlite_share_write(struct sqlite_store *s, const struct mm_op_share *sh,
    const char *device, struct mm_why *why)
{
	char id[MM_DOC_ID_MAX + 1];

	if (sh == NULL)
		return MM_OK;
	MM_TRY(mm_sqlite_count_up(s, count_of(sh, id), why));
	if (has_station(sh))
		MM_TRY(mm_sqlite_count_up(s, sh->place, why));
	unit_of(sh, device, id);
	if (sh->group)
		MM_TRY(mm_sqlite_exec(&s->db,
		    ASK(DOC_DROP, INT(MM_DOC_WAITING), TEXT(id)), why));
	return put(s, sh->group ? MM_DOC_MEMBER : MM_DOC_UNIT, id, sh->unit,
	    why);
}
