#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/time.h"
#include "store/postgres.h"

/* A little more than the statement_timeout of postgres_check.c, which is the
 * better end: it leaves the connection. */
#define WRITER_PATIENCE_MS 4000
#define READER_PATIENCE_MS 12000
#define GROWING_PATIENCE_MS 3600000 /* an older database is brought up */
#define BACK_OFF_FIRST_MS  50
#define BACK_OFF_MAX_MS    1000

void
mm_pg_disconnect(struct pg *db)
{
	if (db->c != NULL)
		PQfinish(db->c);
	db->c = NULL;
	memset(db->prepared, 0, sizeof(db->prepared));
}

/* libpq's words: one line, and not once more where it is that failed. */
static void
first_line(const char *text, char out[112])
{
	const char *cause = strstr(text, " failed: ");

	if (cause != NULL)
		text = cause + strlen(" failed: ");
	snprintf(out, 112, "%.*s", (int)strcspn(text, "\n"), text);
}

static enum mm_err
gone(struct pg *db, struct mm_why *why)
{
	char text[112];

	first_line(PQerrorMessage(db->c), text);
	mm_pg_disconnect(db);
	return MM_FAIL(why, MM_EAGAIN, "database: connection lost: %s", text);
}

/* ---- connecting ---- */

/* A warning may say that a commit is not where it should be. */
static void
on_notice(void *ctx, const PGresult *res)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	struct pg *db = ctx;

	if (state != NULL && strncmp(state, "01", 2) == 0)
		db->warned = true;
}

/* libpq keeps no code for what failed before there was a session. */
static enum mm_err
dial_failed(struct pg *db, struct mm_why *why)
{
	const char *message = PQerrorMessage(db->c);
	bool none = strstr(message, "database \"") != NULL &&
	    strstr(message, "\" does not exist") != NULL;
	char text[112];

	first_line(message, text);
	return MM_FAIL(why, none ? MM_ENOTFOUND : MM_EAGAIN, "database: %s",
	    text);
}

static enum mm_err
dial(struct pg *db, struct mm_why *why)
{
	db->c = PQconnectdbParams((const char *const *)db->where.key,
	    (const char *const *)db->where.value, 0);
	if (db->c == NULL)
		return MM_FAIL(why, MM_ENOMEM, "database: out of memory");
	if (PQstatus(db->c) != CONNECTION_OK)
		return dial_failed(db, why);
	PQsetNoticeReceiver(db->c, on_notice, db);
	if (PQsetnonblocking(db->c, 1) != 0)
		return gone(db, why);
	return mm_pg_session(db, why);
}

/* see postgres.h */
enum mm_err
mm_pg_ready(struct pg *db, struct mm_why *why)
{
	int64_t now = mm_mono_ms();
	enum mm_err err;

	if (db->c != NULL && PQstatus(db->c) == CONNECTION_OK)
		return MM_OK;
	mm_pg_disconnect(db);
	if (db->began)
		return MM_FAIL(why, MM_EAGAIN, "database: the snapshot went "
		    "with its connection");
	if (now < db->try_at)
		return MM_FAIL(why, MM_EAGAIN, "database: away");
	err = dial(db, why);
	if (err == MM_OK) {
		db->back_off_ms = 0;
		return MM_OK;
	}
	mm_pg_disconnect(db);
	db->back_off_ms = db->back_off_ms == 0 ? BACK_OFF_FIRST_MS :
	    db->back_off_ms * 2;
	if (db->back_off_ms > BACK_OFF_MAX_MS)
		db->back_off_ms = BACK_OFF_MAX_MS;
	db->try_at = mm_mono_ms() + db->back_off_ms;
	return err;
}

/* ---- answers ---- */

/* 1: something may be done; 0: the time is up; -1: errno. */
static int
wait_for(int fd, short events, int64_t until)
{
	struct pollfd p = { fd, events, 0 };
	int n;

	do {
		int64_t left = until - mm_mono_ms();

		if (left <= 0)
			return 0;
		n = poll(&p, 1, (int)left);
	} while (n < 0 && errno == EINTR);
	return n;
}

/* Writes what is queued and reads until a result is complete. */
static enum mm_err
await(struct pg *db, struct mm_why *why)
{
	unsigned patience = db->patient ? GROWING_PATIENCE_MS : db->writes ?
	    WRITER_PATIENCE_MS : READER_PATIENCE_MS;
	int64_t until = mm_mono_ms() + patience;
	int left, n;

	for (;;) {
		left = PQflush(db->c);
		if (left < 0)
			return gone(db, why);
		if (left == 0 && !PQisBusy(db->c))
			return MM_OK;
		n = wait_for(PQsocket(db->c),
		    left > 0 ? POLLIN | POLLOUT : POLLIN, until);
		if (n <= 0) {
			mm_pg_disconnect(db);
			return MM_FAIL(why, MM_EAGAIN, "database: no answer "
			    "within %u ms", patience);
		}
		/* What the server said last is worth more than that it went. */
		if (!PQconsumeInput(db->c) && PQisBusy(db->c))
			return gone(db, why);
	}
}

/* see postgres.h */
enum mm_err
mm_pg_result(struct pg *db, PGresult **out, struct mm_why *why)
{
	if (db->c == NULL)
		return MM_FAIL(why, MM_EAGAIN, "database: away");
	MM_TRY(await(db, why));
	*out = PQgetResult(db->c);
	return MM_OK;
}

/* ---- failures ---- */

/* What the caller can do, by the beginning of an SQLSTATE; the first that
 * fits.  drop: this connection is of no more use. */
static const struct {
	const char *state;
	enum mm_err code;
	bool drop;
} codes[] = {
	{ "08", MM_EAGAIN, true },     /* connection */
	{ "25006", MM_EAGAIN, true },  /* read only: the primary is elsewhere */
	{ "25", MM_EAGAIN, true },     /* not the transaction it should be */
	{ "40", MM_EAGAIN, false },    /* rolled back: deadlock, .. */
	{ "42501", MM_EPOLICY, false },/* no right to */
	{ "53", MM_EAGAIN, false },    /* disk full, memory, .. */
	{ "55", MM_EAGAIN, false },    /* locked */
	{ "57014", MM_EAGAIN, false }, /* timeout */
	{ "57", MM_EAGAIN, true },     /* shutdown */
	{ "58", MM_EAGAIN, true },     /* its system failed */
	{ "XX", MM_EAGAIN, true },
	{ "", MM_ESYS, false },
};

/* see postgres.h */
enum mm_err
mm_pg_fail(struct pg *db, const PGresult *res, struct mm_why *why)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(res,
	    PG_DIAG_MESSAGE_PRIMARY);
	char text[112];
	size_t i = 0;

	if (db->c == NULL)
		return MM_FAIL(why, MM_EAGAIN, "database: away");
	if (state == NULL || PQstatus(db->c) != CONNECTION_OK)
		return gone(db, why);
	while (strncmp(state, codes[i].state, strlen(codes[i].state)) != 0)
		i++;
	first_line(message != NULL ? message : "failed", text);
	if (codes[i].drop)
		mm_pg_disconnect(db);
	return MM_FAIL(why, codes[i].code, "database: %s (%s)", text, state);
}
