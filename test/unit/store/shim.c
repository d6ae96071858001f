#include "shim.h"

#include <sqlite3.h>
#include <string.h>

struct shim_file {
	sqlite3_file base;
	sqlite3_file *real; /* behind this struct */
};

/* A test's own state: SQLite gives a VFS no other place for it. */
static sqlite3_vfs vfs;
static struct shim_plan plan;
static int calls, failed;

static sqlite3_file *
real(sqlite3_file *f)
{
	return ((struct shim_file *)f)->real;
}

/* The code to fail with, or SQLITE_OK. */
static int
due(void)
{
	if (plan.at == 0)
		return SQLITE_OK;
	calls++;
	if (calls < plan.at || calls >= plan.at + plan.times)
		return SQLITE_OK;
	failed++;
	return plan.rc;
}

static int
file_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	int rc = due();

	if (rc != SQLITE_OK && !plan.bytes_done)
		return rc;
	if (real(f)->pMethods->xWrite(real(f), p, n, at) != SQLITE_OK)
		return SQLITE_IOERR_WRITE;
	return rc;
}

static int
file_sync(sqlite3_file *f, int flags)
{
	int rc = due();

	/* SQLite never hears "full" from a sync. */
	return rc != SQLITE_OK ? SQLITE_IOERR_FSYNC :
	    real(f)->pMethods->xSync(real(f), flags);
}

static int
file_truncate(sqlite3_file *f, sqlite3_int64 n)
{
	int rc = due();

	return rc != SQLITE_OK ? rc :
	    real(f)->pMethods->xTruncate(real(f), n);
}

/* The rest goes through. */
#define THROUGH(name, member, params, args)          \
	static int name params                       \
	{                                            \
		return real(f)->pMethods->member args; \
	}
THROUGH(file_read, xRead,
    (sqlite3_file *f, void *p, int n, sqlite3_int64 at), (real(f), p, n, at))
THROUGH(file_close, xClose, (sqlite3_file *f), (real(f)))
THROUGH(file_size, xFileSize, (sqlite3_file *f, sqlite3_int64 *n),
    (real(f), n))
THROUGH(file_lock, xLock, (sqlite3_file *f, int l), (real(f), l))
THROUGH(file_unlock, xUnlock, (sqlite3_file *f, int l), (real(f), l))
THROUGH(file_reserved, xCheckReservedLock, (sqlite3_file *f, int *o),
    (real(f), o))
THROUGH(file_control, xFileControl, (sqlite3_file *f, int op, void *p),
    (real(f), op, p))
THROUGH(file_sector, xSectorSize, (sqlite3_file *f), (real(f)))
THROUGH(file_traits, xDeviceCharacteristics, (sqlite3_file *f), (real(f)))
THROUGH(shm_map, xShmMap,
    (sqlite3_file *f, int page, int n, int extend, void volatile **p),
    (real(f), page, n, extend, p))
THROUGH(shm_lock, xShmLock, (sqlite3_file *f, int at, int n, int flags),
    (real(f), at, n, flags))
THROUGH(shm_unmap, xShmUnmap, (sqlite3_file *f, int drop), (real(f), drop))

static void
shm_barrier(sqlite3_file *f)
{
	real(f)->pMethods->xShmBarrier(real(f));
}

static const sqlite3_io_methods methods = {
	.iVersion = 2, .xClose = file_close, .xRead = file_read,
	.xWrite = file_write, .xTruncate = file_truncate, .xSync = file_sync,
	.xFileSize = file_size, .xLock = file_lock, .xUnlock = file_unlock,
	.xCheckReservedLock = file_reserved, .xFileControl = file_control,
	.xSectorSize = file_sector, .xDeviceCharacteristics = file_traits,
	.xShmMap = shm_map, .xShmLock = shm_lock, .xShmBarrier = shm_barrier,
	.xShmUnmap = shm_unmap
};

static int
vfs_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags,
    int *out)
{
	struct shim_file *s = (struct shim_file *)f;
	sqlite3_vfs *below = v->pAppData;
	int rc;

	s->real = (sqlite3_file *)(s + 1);
	rc = below->xOpen(below, name, s->real, flags, out);
	s->base.pMethods = s->real->pMethods != NULL ? &methods : NULL;
	return rc;
}

void
shim_install(void)
{
	sqlite3_vfs *below = sqlite3_vfs_find(NULL);

	vfs = *below;
	vfs.zName = "mm-shim";
	vfs.pAppData = below;
	vfs.szOsFile = below->szOsFile + (int)sizeof(struct shim_file);
	vfs.xOpen = vfs_open;
	sqlite3_vfs_register(&vfs, 1);
}

void
shim_arm(struct shim_plan p)
{
	plan = p;
	calls = failed = 0;
}

int
shim_disarm(void)
{
	plan.at = 0;
	return failed;
}
