#ifndef MMD_H
#define MMD_H

/*
 * The device's side of Mintmark: read a token, make a key, ask for a
 * certificate, check what came, renew it.
 *
 * Written for firmware.  Nothing here allocates, keeps a global, blocks or
 * recurses on input; all memory is the caller's and its size is in the
 * prototype.  The library includes only itself and the compiler's
 * freestanding headers, and links against memcpy, memmove, memset, memcmp and
 * nothing else.  The same code runs on Linux and on a Cortex-M0+.
 *
 *	mmd.h        results, byte slices, the ports a board supplies
 *	mmd_codec.h  base64, DER, HTTP/1.1 answers, time
 *	mmd_x509.h   certificate requests; walking certificates and PKCS#7
 *	mmd_token.h  the one-time token and the TLS keys made from it
 *	mmd_est.h    EST (RFC 7030) as a machine without input or output
 *	mmd_cbor.h   CBOR maps
 *	mmd_smp.h    packets of SMP over a serial console
 *	mmd_store.h  identities in raw flash, safe against a power cut
 *	mmd_factory.h  the device's side of its making at a station
 *	mmd_link.h   the station's side of that, for who writes one
 *
 * Each part links by itself: a board that only renews needs no token code, and
 * one that gets its identity where it is made needs no EST.
 *
 * A first enrolment, in the order a board does it:
 *	mmd_token_parse         the label, QR code or JSON file
 *	crypto->make            a key, stored before the radio is on, kept over
 *	                        every retry: same key, same certificate
 *	mmd_token_psk           the pre-shared key of the TLS handshake
 *	tls->open               no clock and no certificate needed
 *	mmd_est_start, _run     cacerts, then simpleenroll
 *	mmd_token_anchor_check  is this the anchor the token names?
 *	nv->put, nv->select     store in the idle slot, then switch
 *	mmd_est_start, _run     confirm, over TLS with the new certificate
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What came of a call.  Outputs are written only with MMD_OK, unless a
 * function says otherwise.  The words a device can show: MMD_EPATH, "path
 * inspected or wrong server"; MMD_EREFUSED, "token refused".
 */
enum mmd_rc {
	MMD_OK,
	MMD_MORE,      /* not yet: call again when there is more to do with */
	MMD_NONE,      /* there is no such thing (no key, no item, no next) */
	MMD_EINPUT,    /* the bytes are malformed */
	MMD_ECHECKSUM, /* a token with a typing error */
	MMD_ESPACE,    /* the caller's memory is too small, or a cap is hit */
	MMD_ESTATE,    /* not now: a call out of order */
	MMD_EOLDER,    /* a configuration older than the one in use */
	MMD_EANCHOR,   /* not the trust anchor that the token names */
	MMD_EPATH,     /* the peer did not prove itself */
	MMD_EREFUSED,  /* the peer refused what we proved ourselves with */
	MMD_ECLOSED,   /* the stream ended early */
	MMD_EPORT,     /* the board failed */
	MMD_ESILENT    /* the peer did not answer in time */
};

/* Borrowed bytes, never NUL-terminated. */
struct mmd_bytes {
	const uint8_t *p;
	size_t n;
};

#define MMD_MUST __attribute__((warn_unused_result))

/*
 * Ports: what the board supplies, as tables of functions over its own ctx.
 * None may block for longer than the board's main loop can bear; MMD_MORE
 * means "ask again".
 */

/* A byte stream, such as a TCP connection or what TLS makes of it. */
struct mmd_io {
	/* At least one byte and at most n into p; MMD_MORE, MMD_ECLOSED. */
	enum mmd_rc (*read)(void *ctx, uint8_t *p, size_t n, size_t *done);
	enum mmd_rc (*write)(void *ctx, const uint8_t *p, size_t n,
	    size_t *done);
	void *ctx;
};

/* Two slots for an identity, so that the old one works until the new does. */
#define MMD_SLOTS 2

enum mmd_nv_item {
	MMD_NV_KEY,       /* private key, where no secure element holds it */
	MMD_NV_CERT,      /* the device's certificate: written last */
	MMD_NV_CHAIN,     /* issuers below the anchor */
	MMD_NV_ANCHOR,    /* the trust anchor's certificate */
	MMD_NV_SERVER,    /* host:port that issued */
	MMD_NV_TIME,      /* last authenticated time, decimal seconds */
	MMD_NV_CONFIRMED, /* present: the server has seen CERT in use */
	MMD_NV_RECEIPT,   /* the birth record, as the server sent it */
	MMD_NV_TOKEN,     /* which token CERT came by: its public id */
	MMD_NV_ITEMS
};

/*
 * Storage that survives a power cut.  Each call is whole or not done, and
 * durable when it returns.  select is the one commit point of an identity:
 * until then the slot before it stays in use.
 */
struct mmd_nv {
	enum mmd_rc (*get)(void *ctx, unsigned slot, enum mmd_nv_item item,
	    uint8_t *p, size_t cap, size_t *n); /* MMD_NONE, MMD_ESPACE */
	enum mmd_rc (*put)(void *ctx, unsigned slot, enum mmd_nv_item item,
	    struct mmd_bytes data);
	enum mmd_rc (*erase)(void *ctx, unsigned slot, enum mmd_nv_item item);
	enum mmd_rc (*select)(void *ctx, unsigned slot);
	enum mmd_rc (*selected)(void *ctx, unsigned *slot); /* MMD_NONE */
	void *ctx;
};

enum mmd_key_kind {
	MMD_KEY_P256, /* the default, and what secure elements hold */
	MMD_KEY_P384,
	MMD_KEY_RSA2048,
	MMD_KEY_ED25519, /* needs crypto->sign */
	MMD_KEY_KINDS
};

#define MMD_HASH 32      /* SHA-256 */
#define MMD_SPKI_MAX 320 /* the longest public key of a kind above */

/* How a key signs. */
struct mmd_signature {
	struct mmd_bytes alg; /* AlgorithmIdentifier, DER */
	bool whole_message;   /* by sign, not by sign_hash */
};

/*
 * Keys are numbers: the private part never crosses this interface.  Messages
 * are given in parts so that nothing need be copied together.
 */
struct mmd_crypto {
	/* out may be one of the parts. */
	enum mmd_rc (*hash)(void *ctx, const struct mmd_bytes *parts,
	    size_t nparts, uint8_t out[MMD_HASH]);
	enum mmd_rc (*hmac)(void *ctx, struct mmd_bytes key,
	    const struct mmd_bytes *parts, size_t nparts,
	    uint8_t out[MMD_HASH]);
	/* Makes and stores a key, replacing one that was in the slot. */
	enum mmd_rc (*make)(void *ctx, unsigned slot, enum mmd_key_kind kind);
	/* The SubjectPublicKeyInfo in DER, or MMD_NONE. */
	enum mmd_rc (*public)(void *ctx, unsigned slot, uint8_t *p,
	    size_t cap, size_t *n);
	/*
	 * Signs a SHA-256 as X.509 wants it: DER ECDSA-Sig-Value, or
	 * PKCS#1 v1.5 for RSA.
	 */
	enum mmd_rc (*sign_hash)(void *ctx, unsigned slot,
	    const uint8_t hash[MMD_HASH], uint8_t *sig, size_t cap,
	    size_t *n);
	/* Signs a whole message; Ed25519 only.  May be NULL. */
	enum mmd_rc (*sign)(void *ctx, unsigned slot, struct mmd_bytes msg,
	    uint8_t *sig, size_t cap, size_t *n);
	/*
	 * Hashes what next gives, piece by piece until one of no bytes, for
	 * data that is nowhere in one piece.  What next gives else ends it.
	 * Only the factory needs it.
	 */
	enum mmd_rc (*hash_from)(void *ctx,
	    enum mmd_rc (*next)(void *from, struct mmd_bytes *piece),
	    void *from, uint8_t out[MMD_HASH]);
	/*
	 * Mixes bytes into the board's random generator, which must be no
	 * worse for it whatever they are: they count for no entropy.  The
	 * factory's alone, and it may be NULL.
	 */
	enum mmd_rc (*stir)(void *ctx, struct mmd_bytes data);
	void *ctx;
	/*
	 * What the key that this SubjectPublicKeyInfo is of signs with;
	 * mmd_signature_of knows every kind.  NULL, where a board makes
	 * ECDSA keys alone (P-256, P-384): it signs by ECDSA with SHA-256,
	 * and mmd_factory_init takes no other kinds.
	 */
	const struct mmd_signature *(*signature)(struct mmd_bytes spki);
};

enum mmd_tls_mode {
	MMD_TLS_TOKEN,  /* external PSK: both sides prove the token */
	MMD_TLS_MUTUAL, /* certificates both ways */
	MMD_TLS_ANCHOR  /* server's certificate only (HTTP Basic) */
};

/* What a connection must be; anything less is a failure, never a fallback. */
struct mmd_tls_want {
	enum mmd_tls_mode mode;
	unsigned version;         /* 13 or 12; 0: 13 for a token, else best */
	const char *host;         /* checked against the certificate */
	const char *identity;     /* TOKEN: mmd_token_identity */
	uint8_t psk[MMD_HASH];    /* TOKEN: for that version */
	struct mmd_bytes anchor;  /* else: the trust anchor's DER */
	struct mmd_bytes cert;    /* MUTUAL: own certificate's DER */
	struct mmd_bytes chain;   /* MUTUAL: its issuers, DER in a row */
	unsigned slot;            /* MUTUAL: own key */
	int64_t at_s;             /* to check certificates at; 0: clock's */
};

/*
 * TLS over the board's transport.  With MMD_TLS_TOKEN the port offers only
 * SHA-256 suites (1.3: psk_dhe_ke with TLS_AES_128_GCM_SHA256 or
 * TLS_CHACHA20_POLY1305_SHA256; 1.2: ECDHE-PSK-CHACHA20-POLY1305) and gives
 * MMD_EPATH if the peer sent a certificate or did not take the key.
 */
struct mmd_tls {
	enum mmd_rc (*open)(void *ctx, const struct mmd_tls_want *want);
	enum mmd_rc (*shake)(void *ctx); /* MMD_MORE until done */
	void (*close)(void *ctx);
	struct mmd_io io; /* the protected stream, once shaken */
	void *ctx;
};

struct mmd_clock {
	int64_t (*mono_ms)(void *ctx);
	bool (*now_s)(void *ctx, int64_t *at_s); /* false: not known */
	void *ctx;
};

#endif
