#ifndef MM_CLI_QR_H
#define MM_CLI_QR_H

#include <stdio.h>

#include "base/err.h"

/*
 * A text as a QR code (ISO/IEC 18004), level M, with the quiet zone of four
 * modules that readers want.  The text may be a secret: nothing keeps it but
 * what is asked for.
 */

/* In half blocks, black on white whatever the terminal's colours are. */
MM_MUST enum mm_err mm_qr_print(FILE *f, const char *text,
    struct mm_why *why);
/* A new PNG file, mode 0600, eight pixels a module; MM_ECONFLICT as
 * mm_file_create: it is there already. */
MM_MUST enum mm_err mm_qr_png(const char *path, const char *text,
    struct mm_why *why);

#endif
