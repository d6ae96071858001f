#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/own.h"
#include "base/time.h"
#include "line/qr.h"
#include "station/chore.h"
#include "station/print.h"

/* Labels as files: SERIAL.zpl, and the serial number's QR code.  Both are
 * synced, on whatever disk or share that is: not in the line's time. */
enum { CLOSE_MS = 2000 };

struct mm_filing {
	const struct mm_station_conf *conf;
	struct mm_chore *chore;
	const struct mm_unit *unit; /* whose are written; NULL: nobody waits */
	int64_t begun_ms;           /* the last ones; monotonic; 0: none */
	/* The thread's, as long as the chore is busy: */
	char serial[MM_DEVICE_ID_MAX + 1];
	struct mm_buf zpl;
	enum mm_err rc;
	struct mm_why why;
};

/* see print.h */
enum mm_err
mm_filing_new(const struct mm_station_conf *conf, struct mm_filing **out,
    struct mm_why *why)
{
	MM_OWN(mm_filing_free) struct mm_filing *f = NULL;

	*out = NULL;
	if (conf->label_files[0] == '\0')
		return MM_OK;
	MM_TRY(mm_dir_make(conf->label_files, 0750, why));
	f = calloc(1, sizeof(*f));
	if (f == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	f->conf = conf;
	mm_buf_init(&f->zpl, MM_FILL_MAX);
	MM_TRY(mm_chore_new(&f->chore, why));
	*out = MM_MOVE(f);
	return MM_OK;
}

/* see print.h; one that hangs has its thread: that goes with the process */
void
mm_filing_free(struct mm_filing **owner)
{
	struct mm_filing *f = *owner;

	*owner = NULL;
	if (f == NULL || !mm_chore_free(&f->chore, CLOSE_MS))
		return;
	mm_buf_done(&f->zpl);
	free(f);
}

static enum mm_err
put_file(const struct mm_filing *f, const char *end, struct mm_bytes data,
    struct mm_why *why)
{
	char name[MM_DEVICE_ID_MAX + 8], path[PATH_MAX + 80];

	snprintf(name, sizeof(name), "%s.%s", f->serial, end);
	MM_TRY(mm_path_join(path, sizeof(path), f->conf->label_files, name,
	    why));
	return mm_file_replace(path, data, 0640, why);
}

static enum mm_err
put_both(struct mm_filing *f, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf png = MM_BUF_INIT(MM_QR_PNG_MAX);

	MM_TRY(mm_qr_png(f->serial, &png, why));
	MM_TRY(put_file(f, "zpl", mm_buf_view(&f->zpl), why));
	return put_file(f, "png", mm_buf_view(&png), why);
}

static void
work(void *arg)
{
	struct mm_filing *f = arg;

	f->why = (struct mm_why){ 0 };
	f->rc = put_both(f, &f->why);
}

static bool
take(struct mm_filing *f, enum mm_err *rc, struct mm_why *why)
{
	f->unit = NULL;
	*rc = f->rc;
	if (f->rc != MM_OK)
		*rc = MM_FAIL(why, f->rc, "%s", f->why.text);
	return true;
}

/* see print.h */
bool
mm_filing_run(struct mm_filing *f, const struct mm_unit *u,
    struct mm_bytes zpl, enum mm_err *rc, struct mm_why *why)
{
	if (mm_chore_busy(f->chore) || (f->unit != NULL && f->unit != u))
		return false;
	if (f->unit == u)
		return take(f, rc, why);
	snprintf(f->serial, sizeof(f->serial), "%s", u->serial);
	mm_buf_reset(&f->zpl);
	mm_buf_bytes(&f->zpl, zpl);
	*rc = mm_buf_ok(&f->zpl, why);
	if (*rc != MM_OK)
		return true;
	f->unit = u;
	f->begun_ms = mm_mono_ms();
	mm_chore_begin(f->chore, work, f);
	return false;
}

/* see print.h */
int64_t
mm_filing_begun_ms(const struct mm_filing *f)
{
	return f->begun_ms;
}

/* see print.h */
void
mm_filing_drop(struct mm_filing *f, const struct mm_unit *u)
{
	if (f != NULL && f->unit == u)
		f->unit = NULL;
}

/* see print.h */
struct pollfd
mm_filing_wish(const struct mm_filing *f)
{
	return f != NULL ? mm_chore_wish(f->chore)
			 : (struct pollfd){ .fd = -1 };
}
