#include <string.h>

#include "doctor/doctor.h"

/* see doctor.h */
void
mm_doctor_database(struct mm_store_reader *r, bool deep,
    const struct mm_why *why, struct mm_findings *f)
{
	struct mm_store_health h = { 0 };
	struct mm_why own = { 0 };
	enum mm_err rc;

	if (r == NULL) {
		mm_find(f, MM_CHECK_DATABASE, MM_LEVEL_FAIL,
		    "Look at the "
		    "file and its folder; run this as the server's user",
		    "%.180s", why->text);
		return;
	}
	rc = mm_store_inspect(r, deep, &h, &own);
	if (rc == MM_ENOTFOUND)
		mm_find(f, MM_CHECK_DATABASE, MM_LEVEL_WARN,
		    "Use the "
		    "database's own tools",
		    "no check for this kind of "
		    "database");
	else if (rc != MM_OK)
		mm_find(f, MM_CHECK_DATABASE, MM_LEVEL_FAIL,
		    "Stop the "
		    "server, copy the files, and restore a backup",
		    "%.180s", own.text);
	else if (strcmp(h.journal_mode, "wal") != 0)
		mm_find(f, MM_CHECK_DATABASE, MM_LEVEL_FAIL,
		    "Put the "
		    "database on a local disk and restart the server",
		    "journal mode is %s, want wal", h.journal_mode);
	else if (h.problem[0] != '\0')
		mm_find(f, MM_CHECK_DATABASE, MM_LEVEL_FAIL,
		    "Stop the "
		    "server, copy the files, and restore a backup",
		    "damaged: %.160s", h.problem);
	else
		mm_find(f, MM_CHECK_DATABASE, MM_LEVEL_OK, NULL,
		    "WAL mode, synced at each commit%s",
		    deep ? "; every page is sound" : "");
}
