#ifndef MM_LINE_LABEL_H
#define MM_LINE_LABEL_H

#include "line/fill.h"

/*
 * Labels: what is printed for a device or a token, and how it gets to a
 * printer.
 *
 * A label is printed once.  That is the caller's journal's to know: it writes
 * mm_label_id before mm_label_send and what came of it after; a label whose
 * end is not in the journal may be on somebody's bench, and a person decides.
 */
struct mm_label {
	const char *device;             /* needed */
	const char *product, *batch;    /* NULL: "" */
	const char *code;               /* of the QR code; NULL: the device */
	const char *token;              /* a token's id, never its secret */
};

/*
 * ZPL II, by a template of form zpl with the fields device, product, batch,
 * code and token; NULL: one for a label of 50 x 25 mm at 203 dpi.  MM_EINPUT:
 * a field of the template that no label has, or a value with control
 * characters.  Wipe out if code is a secret.
 */
MM_MUST enum mm_err mm_label_zpl(const struct mm_fill *template,
    const struct mm_label *label, struct mm_buf *out, struct mm_why *why);
/* Whether mm_label_zpl has all of a template's fields. */
MM_MUST enum mm_err mm_label_check(const struct mm_fill *template,
    struct mm_why *why);

/* SHA-256 of the device's name and of what is sent. */
void mm_label_id(const char *device, struct mm_bytes sent, uint8_t out[32]);

/*
 * To a printer: "tcp:HOST[:PORT]" (9100, IPv6 in brackets), or the path of a
 * device ("/dev/usb/lp0").  MM_OK: the printer has it all, as far as its
 * machine says; that it is on paper nobody can know.  MM_EAGAIN: it cannot be
 * reached within deadline_ms, and nothing was sent; MM_EUNSURE: a part was,
 * and a person must look; MM_EINPUT: not a printer.
 */
#define MM_LABEL_PORT "9100"
MM_MUST enum mm_err mm_label_send(const char *printer, struct mm_bytes data,
    int deadline_ms, struct mm_why *why);

#endif
