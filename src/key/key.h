#ifndef MM_KEY_KEY_H
#define MM_KEY_KEY_H

#include "base/buf.h"
#include "base/err.h"

/*
 * A device's key that is in no file: what stands in its place.
 *
 * The file of such a key (key.pem of mintmark-agent's folders) is a PEM block
 * that says where the key is and what it is for the public.  Nothing in it is
 * secret: what a TPM wrapped is of use in that TPM only, and a PIN is in a
 * file of its own.  Whoever may use the key needs the TPM or the token.
 *
 * OpenSSL's provider mintmark-key (src/provider) reads it wherever a program
 * reads a private key.
 */
#define MM_KEY_LABEL    "MINTMARK KEY"
#define MM_KEY_URI_MAX  512
#define MM_KEY_FILE_MAX 4096
#define MM_KEY_XY       64 /* a point of P-256, the only kind there is here */
#define MM_KEY_DIGEST   32
#define MM_KEY_RS       64 /* a signature */
#define MM_KEY_BLOB_MAX 512

enum mm_key_place {
	MM_KEY_FILE, /* PKCS#8, and not here */
	MM_KEY_TPM2,
	MM_KEY_PKCS11,
	MM_KEY_PLACES
};

/* What a TPM made: for it to load again. */
struct mm_key_blob {
	size_t n;
	uint8_t p[MM_KEY_BLOB_MAX];
};

struct mm_key {
	enum mm_key_place place;
	char uri[MM_KEY_URI_MAX + 1]; /* of this one key */
	bool made;                    /* false: was to be made, and may be */
	uint8_t xy[MM_KEY_XY];
	struct mm_key_blob public, wrapped; /* TPM2B_PUBLIC, TPM2B_PRIVATE */
};

/*
 * The file's text.  MM_ENOTFOUND: there is no such block in it (a key of a
 * file, perhaps); MM_EINPUT: what is in it is not ours.
 *
 *	MintmarkKey ::= SEQUENCE {
 *		version INTEGER (1),
 *		uri     UTF8String,    -- ASCII
 *		point   OCTET STRING,  -- x and y; empty: not made yet
 *		public  OCTET STRING,  -- TPM2B_PUBLIC, or empty
 *		wrapped OCTET STRING } -- TPM2B_PRIVATE, or empty
 */
MM_MUST enum mm_err mm_key_parse(struct mm_bytes pem, struct mm_key *out,
    struct mm_why *why);
/* The same of what is in the block; never MM_ENOTFOUND. */
MM_MUST enum mm_err mm_key_parse_der(struct mm_bytes der, struct mm_key *out,
    struct mm_why *why);
void mm_key_encode(const struct mm_key *key, struct mm_buf *pem);
/* Whether two are one and the same key. */
bool mm_key_same(const struct mm_key *a, const struct mm_key *b);

/*
 * Where keys are to be made, as people say it: "file:", or a URI below.  What
 * is not one of these, or has a PIN in it, is MM_EINPUT.
 */
MM_MUST enum mm_err mm_key_place_of(const char *where,
    enum mm_key_place *out, struct mm_why *why);
const char *mm_key_place_name(enum mm_key_place place); /* "tpm2" */

/*
 * tpm2:[device=PATH][;parent=0xHANDLE][;handle=0xHANDLE]
 *
 * device   what is opened, by default the kernel's resource manager; where a
 *          key's file alone names it, /dev/tpm... only
 * parent   a storage key that is there; by default the owner hierarchy's
 *          primary P-256 key, made for each use
 * handle   the key is kept under this handle, too, or under the one beside it,
 *          whose last bit is the other one
 */
#define MM_KEY_TPM_DEVICE "/dev/tpmrm0"
struct mm_key_tpm {
	char device[256];
	uint32_t parent, handle; /* 0: none */
};
MM_MUST enum mm_err mm_key_tpm_parse(const char *uri, struct mm_key_tpm *out,
    struct mm_why *why);
/* MM_ELIMIT */
MM_MUST enum mm_err mm_key_tpm_text(const struct mm_key_tpm *t,
    char out[MM_KEY_URI_MAX + 1], struct mm_why *why);

#endif
