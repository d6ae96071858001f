#ifndef MMD_CBOR_H
#define MMD_CBOR_H

#include "mmd.h"

/*
 * CBOR (RFC 8949), as much as the link to a station needs: maps with text
 * keys, of unsigned integers, byte strings, text and maps.
 *
 * Read: the map may be of definite or indefinite length, its keys stand in
 * any order, keys that nobody asked for are skipped whatever their values
 * are.  A key that was asked for and stands twice, or has another type, is
 * malformed; so are bytes after the map.  Nothing nests deeper than
 * MMD_CBOR_DEPTH, the map itself counted; nothing recurses.  Integers need
 * not be in their shortest form.  Text is not checked to be UTF-8.
 *
 * Written: definite lengths, shortest forms.
 */
#define MMD_CBOR_DEPTH 4

enum mmd_cbor_type {
	MMD_CBOR_NONE, /* the key is not in the map */
	MMD_CBOR_UINT,
	MMD_CBOR_BYTES, /* of definite length */
	MMD_CBOR_TEXT,  /* the same */
	MMD_CBOR_MAP,   /* to be read by another mmd_cbor_read */
};

/*
 * One key that is asked for.  The bounds are of an integer's value, of a
 * string's length in bytes; beyond them is malformed.
 */
struct mmd_cbor_key {
	const char *name;
	unsigned type : 3; /* enum mmd_cbor_type */
	unsigned must : 1; /* its absence is malformed */
	unsigned least : 12;
	unsigned most : 16; /* 0: no bound; MMD_CBOR_32: UINT32_MAX */
};
#define MMD_CBOR_32 UINT16_MAX

struct mmd_cbor_value {
	enum mmd_cbor_type type; /* as asked for, or MMD_CBOR_NONE */
	uint64_t n;              /* UINT: its value; else v.n */
	struct mmd_bytes v;      /* contents; MAP: its encoding, whole */
};

/*
 * Reads a map that must be all of in; no bytes at all are an empty map.
 * out[i] answers keys[i]; slices are borrowed from in.  MMD_EINPUT; out may
 * then hold anything.
 */
enum mmd_rc mmd_cbor_read(struct mmd_bytes in,
    const struct mmd_cbor_key *keys, size_t nkeys,
    struct mmd_cbor_value *out) MMD_MUST;

/*
 * Writes one map from the front of buf; failure (no room, more than
 * MMD_CBOR_PAIRS) sticks in bad.  What is written is buf[0..n).
 */
#define MMD_CBOR_PAIRS 23

struct mmd_cborw {
	uint8_t *buf;
	size_t n, cap;
	size_t map; /* where the open map's head stands */
	bool bad;
};

/* Begins the map. */
void mmd_cborw_init(struct mmd_cborw *w, uint8_t *buf, size_t cap);
void mmd_cborw_uint(struct mmd_cborw *w, const char *key, uint64_t v);
/* p may lie in buf, at least 16 bytes and the key's length beyond what is
 * written. */
void mmd_cborw_bytes(struct mmd_cborw *w, const char *key, const uint8_t *p,
    size_t n);
void mmd_cborw_text(struct mmd_cborw *w, const char *key, const char *text);
/* Begins a map within; what it gives is for the close that ends it.  One with
 * which the message ends need not be closed. */
size_t mmd_cborw_open(struct mmd_cborw *w, const char *key);
void mmd_cborw_close(struct mmd_cborw *w, size_t outer);

#endif
