#ifndef MM_BASE_FAULTS_H
#define MM_BASE_FAULTS_H

/*
 * Where a test has this process killed, as by a power switch.  A build with
 * -Dfaults=true reads MINTMARK_DIE_AT=PLACE:N and ends by SIGKILL when it
 * passes the place for the N-th time, or MINTMARK_HANG_AT=PLACE:N and has that
 * thread stay there for ever; any other build has none of this.
 * The server's places are the numbers of issuance's steps.  The signer's, for
 * a batch of certificates: "journal" and "journalled" before and after its
 * lines are written (and synced, with journal_sync), "answer" and "answered".
 */
#ifdef MM_FAULTS
void mm_die_at(const char *place);
#else
static inline void
mm_die_at(const char *place)
{
	(void)place;
}
#endif

#endif
