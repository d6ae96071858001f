#ifndef MMD_STORE_H
#define MMD_STORE_H

#include "mmd.h"

/*
 * Identities in raw flash, safe against a power cut at any instant.
 *
 * Each identity has two halves of flash.  A half holds a bundle (the
 * certificate, its chain, a configuration) behind a head of MMD_STORE_HEAD
 * bytes.  The bundle is written first, the head last: a head whose CRC is
 * right is the single commit point, and of two the one with the higher
 * generation counts.  The half in use is never written; so what was there
 * stays in use until the new bundle is whole.
 *
 * Nothing is programmed that is there already, and nothing over what is not
 * blank: who starts again after a power cut sends the same bytes and the flash
 * is left alone where it has them.
 *
 * Heads carry a version and the lowest version of this library that may read
 * them, so that firmware can go back a version.  A head that needs a newer
 * library is MMD_ESTATE, and its half is not touched.
 *
 * docs/protocol/link.md shows the bytes.
 */
#define MMD_STORE_HEAD    128
#define MMD_STORE_VERSION 1
#define MMD_STORE_KEY     28 /* bytes of a hash that a head has room for */

/*
 * The port: flash as the chip has it, offsets in bytes from wherever the board
 * likes.  Each call is durable when it returns; one that a power cut ends may
 * leave any part of its bytes changed.  All give MMD_OK or MMD_EPORT.
 */
struct mmd_flash {
	uint32_t block; /* what erase erases: a power of two */
	/*
	 * What program takes at once: a power of two, 1 to 128.  Chips that
	 * check flash by ECC may not be programmed twice there.
	 */
	uint32_t unit;
	uint8_t blank; /* an erased byte: 0xff, on some chips 0 */
	enum mmd_rc (*read)(void *ctx, uint32_t at, uint8_t *p, size_t n);
	/* n is a multiple of unit, and at is. */
	enum mmd_rc (*program)(void *ctx, uint32_t at, const uint8_t *p,
	    size_t n);
	/* The block that begins at at. */
	enum mmd_rc (*erase)(void *ctx, uint32_t at);
	void *ctx;
};

/* n = 0: there is none. */
struct mmd_area {
	uint32_t at, n;
};

/* Also the key's slot in struct mmd_crypto. */
enum mmd_identity {
	MMD_IDEVID, /* IEEE 802.1AR: of the factory, for life */
	MMD_LDEVID, /* of its owner, renewed */
	MMD_IDENTITIES
};

/* Where things are: the board's decision, constant over its life. */
struct mmd_store {
	const struct mmd_flash *flash;
	struct mmd_area half[MMD_IDENTITIES][2];
	/* For boards whose keys lie in flash, else n = 0. */
	struct mmd_area key[MMD_IDENTITIES];
};

enum mmd_part { MMD_PART_CERT, MMD_PART_CHAIN, MMD_PART_CONFIG, MMD_PARTS };

/*
 * A configuration begins with its version, from 1, high byte first; behind is
 * the document, whatever the firmware reads.  No older one comes into use
 * after a newer one.
 */
#define MMD_STORE_CONFIG 4

/* What a half holds, or shall hold. */
struct mmd_bundle {
	uint32_t n[MMD_PARTS];    /* bytes of each, one after another */
	uint8_t cert[MMD_HASH];   /* SHA-256 of the certificate's DER */
	/*
	 * Of the whole bundle; with a salt, of that hash and of the salt.
	 * Everybody may read it: where a configuration has secrets that could
	 * be guessed, it wants a salt that is kept nowhere near it.
	 */
	uint8_t all[MMD_HASH];
	uint8_t key[MMD_STORE_KEY]; /* of SHA-256 of the certificate's key */
	uint64_t floor_s;         /* it was at least this late: Unix seconds */
	bool locked;              /* mmd_store_lock */
	uint32_t config;          /* its configuration's version; 0: none */
	uint32_t generation;
	unsigned half;
};

/*
 * MMD_EINPUT: a unit that is no power of two up to 128, or an area that is not
 * whole blocks.
 */
enum mmd_rc mmd_store_check(const struct mmd_store *s) MMD_MUST;
/*
 * The bundle in use.  MMD_NONE; MMD_ESTATE: written by a library too new for
 * this one; MMD_EPORT.
 */
enum mmd_rc mmd_store_bundle(const struct mmd_store *s, unsigned identity,
    struct mmd_bundle *b) MMD_MUST;
/* n bytes of a part from off, which the part must have: MMD_EINPUT. */
enum mmd_rc mmd_store_read(const struct mmd_store *s, unsigned identity,
    const struct mmd_bundle *b, enum mmd_part part, uint32_t off, uint8_t *p,
    size_t n) MMD_MUST;

/* The largest bundle that fits; pieces of one are multiples of the step. */
uint32_t mmd_store_room(const struct mmd_store *s, unsigned identity);
uint32_t mmd_store_step(const struct mmd_store *s);

/*
 * Writes a piece of a new bundle of all_n bytes into the half that is not in
 * use.  off is a multiple of the step, and so is piece.n unless the bundle
 * ends with it.  *next is where to go on: behind the piece; or 0 if flash held
 * something else there (a bundle that was begun before), which is erased now.
 * MMD_EINPUT, MMD_ESPACE, MMD_ESTATE, MMD_EPORT (flash that will not take it).
 */
enum mmd_rc mmd_store_put(const struct mmd_store *s, unsigned identity,
    uint32_t all_n, uint32_t off, struct mmd_bytes piece, uint32_t *next)
    MMD_MUST;

/*
 * Whether the half that is not in use holds the bundle that b describes by n,
 * and all, the latter with that salt (n 0: none), for this device: its hash
 * (else MMD_ECHECKSUM), its shape, each
 * certificate of the chain naming the one before it as issuer (else
 * MMD_EINPUT), and the certificate's key being the identity's own (else
 * MMD_EPATH).  Signatures are the station's to check: it has the anchor.  Sets
 * b->cert and b->key.  scratch: MMD_SPKI_MAX bytes.
 */
enum mmd_rc mmd_store_verify(const struct mmd_store *s,
    const struct mmd_crypto *crypto, unsigned identity, struct mmd_bundle *b,
    struct mmd_bytes salt, uint8_t *scratch, size_t scratch_n) MMD_MUST;
/*
 * Takes it into use: the commit point.  generation, half and config are set
 * here.  MMD_ECHECKSUM: a head was begun there and cut off; the bundle must be
 * put once more.  MMD_EOLDER: its configuration is older than the one in use,
 * or it has none and that one has.
 */
enum mmd_rc mmd_store_commit(const struct mmd_store *s, unsigned identity,
    struct mmd_bundle *b) MMD_MUST;

/*
 * Marks the bundle in use as final, by copying it with that mark into both
 * halves, one after the other: whichever is lost, the mark stays.  To be
 * called again after a power cut.  MMD_NONE: there is no bundle.
 */
enum mmd_rc mmd_store_lock(const struct mmd_store *s, unsigned identity)
    MMD_MUST;
/* Whether either half has the mark. */
enum mmd_rc mmd_store_locked(const struct mmd_store *s, unsigned identity,
    bool *locked) MMD_MUST;

/*
 * A private key in flash, as the board's crypto encodes it: whole or not
 * there.  Putting one erases the one before first.  MMD_NONE, MMD_ESPACE.
 */
enum mmd_rc mmd_store_key_put(const struct mmd_store *s, unsigned identity,
    struct mmd_bytes key) MMD_MUST;
enum mmd_rc mmd_store_key_get(const struct mmd_store *s, unsigned identity,
    uint8_t *p, size_t cap, size_t *n) MMD_MUST;

#endif
