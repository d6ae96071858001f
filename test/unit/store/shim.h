#ifndef TEST_STORE_SHIM_H
#define TEST_STORE_SHIM_H

/*
 * A default VFS that can fail: the n-th write, sync or truncation from when
 * it was armed, and so many after it.  An error after the bytes went out is
 * the worst a disk does: the caller hears "no" and the bytes are there.
 */
struct shim_plan {
	int at;         /* 1: the next; 0: never */
	int times;      /* how often in a row */
	int rc;         /* SQLITE_IOERR_WRITE, SQLITE_FULL, ... */
	int bytes_done; /* 1: the write happens all the same */
};

void shim_install(void);
void shim_arm(struct shim_plan plan);
/* Disarms; how often it failed something. */
int shim_disarm(void);

#endif
