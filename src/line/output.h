#ifndef MM_LINE_OUTPUT_H
#define MM_LINE_OUTPUT_H

#include "base/buf.h"
#include "pki/key.h"

/*
 * What a device's certificate is written out as: one table of forms, from
 * which the reference is printed.  Pure: the caller stores the files.
 *
 * No private key is in an output but by in->key, and that is refused
 * (MM_EPOLICY) unless the record says that the server made the key; a key
 * that is not the certificate's is refused too.  A file with a key in it is
 * marked secret: mode 0600, and mm_output_done wipes it.
 */
#define MM_OUTPUT_CHAIN   8
#define MM_OUTPUT_NOWHERE UINT32_MAX
#define MM_OUTPUT_MAX     (4U << 20) /* bytes of a file */
struct mm_output_in { /* all borrowed */
	const char *device;           /* names the files: a device id */
	struct mm_bytes cert;         /* DER */
	struct mm_bytes chain[MM_OUTPUT_CHAIN]; /* DER, the issuer first */
	size_t nchain;
	EVP_PKEY *key;                /* NULL: none */
	bool made_by_server;          /* what the record says of the key */
	struct mm_bytes passphrase;   /* where the form is sealed */
	struct mm_bytes config;       /* a rendered document; n 0: none */
	uint32_t address;             /* of an image, or MM_OUTPUT_NOWHERE */
	size_t size;                  /* of a partition; 0: the usual one */
	const char *of;               /* what Intel HEX holds; NULL: der */
};

#define MM_OUTPUT_NAME 96
struct mm_output_file {
	char name[MM_OUTPUT_NAME];
	bool secret;
	struct mm_buf data;
};
struct mm_output {
	size_t n;
	struct mm_output_file file[MM_OUTPUT_CHAIN + 2];
};

/* What a form takes beside the certificate and its chain. */
enum { MM_OUT_KEY = 1, MM_OUT_PASSPHRASE = 2, MM_OUT_CONFIG = 4,
	MM_OUT_ADDRESS = 8, MM_OUT_SIZE = 16, MM_OUT_OF = 32 };

struct mm_output_form {
	const char *name, *holds, *files; /* words for the reference */
	unsigned takes, needs;            /* MM_OUT_... */
	enum mm_err (*make)(const struct mm_output_in *in,
	    struct mm_output *out, struct mm_why *why);
};
extern const struct mm_output_form mm_output_forms[];
extern const size_t mm_noutput_forms;

/*
 * Makes the files of a form.  *out is empty before, and after a failure.
 * MM_ENOTFOUND: no such form; MM_EINPUT: something is missing, or given to a
 * form that does not take it, or not a certificate; MM_EPOLICY: a key that
 * must not leave; MM_ELIMIT: too much for a partition.
 */
MM_MUST enum mm_err mm_output_make(const char *form,
    const struct mm_output_in *in, struct mm_output *out,
    struct mm_why *why);
void mm_output_done(struct mm_output *out);
/* The table as a Markdown page. */
void mm_output_print_reference(struct mm_buf *out);

/* For the forms: another file, named by the device and what follows; its
 * buffer is the output's. */
struct mm_buf *mm_output_add(struct mm_output *out,
    const struct mm_output_in *in, bool secret, const char *suffix);

#endif
