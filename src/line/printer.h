#ifndef MM_LINE_PRINTER_H
#define MM_LINE_PRINTER_H

#include <poll.h>

#include "base/bytes.h"
#include "base/err.h"

/*
 * One job to a label printer, without waiting: "tcp:HOST[:PORT]" (9100, IPv6
 * in brackets) or the path of a device ("/dev/usb/lp0").
 *
 * asks: the printer is asked how it is (ZPL's ~HS) before anything is sent,
 * and once more behind the job: that it answers then says that it has read
 * all of the job.  Without it a job is over when the printer's machine has
 * it, and what is out of paper or hangs takes it all the same.
 */
struct mm_printer_job {
	const char *printer;  /* borrowed until it is over */
	struct mm_bytes data; /* the same */
	int64_t deadline_ms;  /* from now */
	bool asks;            /* TCP */
	bool address;         /* HOST is an address: no name is looked up */
};

struct mm_printer {
	struct mm_printer_job job;
	const struct mm_printer_stage *stage;
	int fd;      /* -1: none */
	bool sent;   /* some of the data */
	size_t done; /* bytes of what this stage writes */
	int64_t until_ms;
	short events;
	struct addrinfo *list, *at;
	char heard[256];
	size_t nheard;
	enum mm_err rc; /* of a beginning that failed */
	struct mm_why why;
};

void mm_printer_init(struct mm_printer *p);
void mm_printer_begin(struct mm_printer *p, const struct mm_printer_job *job);
/*
 * Goes on as far as it can; true: it is over.  *rc: MM_OK; MM_EAGAIN: it
 * cannot be reached, or does not answer; MM_EPOLICY: it says that it cannot
 * print now: out of paper or ribbon, open, paused; in both nothing was sent;
 * MM_EUNSURE: a part was, and a person must look; MM_EINPUT: not a printer.
 */
bool mm_printer_run(struct mm_printer *p, enum mm_err *rc, struct mm_why *why);
/* Worth another look when it is ready; fd -1: in some milliseconds. */
struct pollfd mm_printer_wish(const struct mm_printer *p);
void mm_printer_close(struct mm_printer *p);
/* Whether a printer's name is one; address: as above.  MM_EINPUT. */
MM_MUST enum mm_err mm_printer_check(
    const char *printer, bool address, struct mm_why *why);

#endif
