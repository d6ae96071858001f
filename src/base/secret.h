#ifndef MM_BASE_SECRET_H
#define MM_BASE_SECRET_H

#include "base/bytes.h"
#include "base/err.h"

/*
 * Bytes that must not outlive their use: locked in memory where the limit
 * allows, wiped on free, and without any function that prints them.
 */
struct mm_secret {
	size_t n;
	uint8_t p[];
};

MM_MUST enum mm_err mm_secret_new(size_t n, struct mm_secret **out,
    struct mm_why *why);
void mm_secret_free(struct mm_secret **owner);
struct mm_bytes mm_secret_view(const struct mm_secret *s);
void mm_wipe(void *p, size_t n);
/*
 * A passphrase: the first line (without its end) of a file, a descriptor or,
 * with a prompt, the terminal without echo.  At most 1,024 bytes, not empty.
 */
MM_MUST enum mm_err mm_secret_from_fd(int fd, struct mm_secret **out,
    struct mm_why *why);
MM_MUST enum mm_err mm_secret_from_file(const char *path,
    struct mm_secret **out, struct mm_why *why);
MM_MUST enum mm_err mm_secret_from_tty(const char *prompt,
    struct mm_secret **out, struct mm_why *why);

#endif
