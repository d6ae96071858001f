#ifndef MM_BASE_FAULTS_H
#define MM_BASE_FAULTS_H

/*
 * Where a test has this process killed, as by a power switch, hung or slowed;
 * only a build with -Dfaults=true has any of this.
 *
 * MINTMARK_DIE_AT=PLACE:N ends it by SIGKILL when it passes the place for the
 * N-th time.  The server's places are the numbers of issuance's steps, and
 * "transferred" when a device has turned.  The signer's, for a batch of
 * certificates: "journal" and "journalled" before and after its lines are
 * written (and synced, with journal_sync), "answer" and "answered"; for a line
 * CA: "line" and "line-made", then the server's "line-store" and "line-stored";
 * the agent's: "nv" before and after each write of an identity, "configuration"
 * of one of a configuration, "status" and "told" those of the service's files.
 *
 * MINTMARK_HANG_AT=PLACE:N has that thread stay there for ever.
 *
 * MINTMARK_SLOW_AT=PLACE:N makes each pass N microseconds longer: what a test
 * of equal times must see.  The signer's place "decoy" is the key of a token
 * whose key version there never was.
 *
 * MM_FAULTY: 1 in such a build, which seals keys cheaply too, because tests
 * make hundreds of CAs.
 */
#ifdef MM_FAULTS
#define MM_FAULTY 1
void mm_die_at(const char *place);
void mm_slow_at(const char *place);
#else
#define MM_FAULTY 0
static inline void
mm_die_at(const char *place)
{
	(void)place;
}
static inline void
mm_slow_at(const char *place)
{
	(void)place;
}
#endif

#endif
