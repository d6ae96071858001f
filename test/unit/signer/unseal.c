/*
 * unseal FILE PASSPHRASE-FILE: the secret to standard output, so that the
 * hostile test can look for it in all that a signer said.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "pki/key.h"

static enum mm_err
unseal(const char *file, const char *pass_file, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf pem = MM_BUF_INIT(65536);
	MM_OWN(mm_secret_free) struct mm_secret *pass = NULL, *out = NULL;

	MM_TRY(mm_file_read(file, &pem, why));
	MM_TRY(mm_secret_from_file(pass_file, &pass, why));
	MM_TRY(mm_unseal(mm_buf_view(&pem), mm_secret_view(pass), NULL, &out,
	    why));
	return mm_fd_write(STDOUT_FILENO, mm_secret_view(out), why);
}

int
main(int argc, char **argv)
{
	struct mm_why why = { 0 };

	if (argc == 3 && unseal(argv[1], argv[2], &why) == MM_OK)
		return 0;
	fprintf(stderr, "unseal: %s\n", why.text);
	return 1;
}
