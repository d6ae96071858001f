#ifndef MM_LINE_QR_H
#define MM_LINE_QR_H

#include "base/buf.h"

/*
 * A text as a QR code (ISO/IEC 18004), level M, with the quiet zone of four
 * modules that readers want.  The text may be a secret: nothing keeps it but
 * what is asked for; wipe the buffer (mm_buf_wipe).
 *
 * All append to out.  MM_ELIMIT: the text is too long for a code.
 */

/* In half blocks, black on white whatever a terminal's colours are. */
MM_MUST enum mm_err mm_qr_blocks(const char *text, struct mm_buf *out,
    struct mm_why *why);
/* A PNG file, eight pixels a module; at most MM_QR_PNG_MAX bytes. */
#define MM_QR_PNG_MAX (1 << 20)
MM_MUST enum mm_err mm_qr_png(const char *text, struct mm_buf *out,
    struct mm_why *why);
/* An <svg> element for a page, a unit a module, without size of its own. */
MM_MUST enum mm_err mm_qr_svg(const char *text, struct mm_buf *out,
    struct mm_why *why);

#endif
