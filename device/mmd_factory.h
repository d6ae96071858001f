#ifndef MMD_FACTORY_H
#define MMD_FACTORY_H

#include "mmd_cbor.h"
#include "mmd_smp.h"
#include "mmd_store.h"

/*
 * The device's side of its making: a station asks over the serial console,
 * the device makes a key, signs a request, takes a certificate, proves it,
 * and is locked.  docs/protocol/link.md has the messages byte by byte;
 * mmd_link.h is the station's side.
 *
 *	rc = mmd_factory_init(&f, &conf);
 *	for (;;) {
 *		rc = mmd_factory_run(&f, &io);
 *		whatever else the board does;
 *	}
 *
 * Where the power goes is no question: state is read from storage at each
 * message and kept nowhere else, and every message may be sent again.
 *
 *	message	repeated
 *	hello	reads only
 *	key	gives the key that is there
 *	csr	a request of the same key again
 *	put	flash that holds the bytes is left alone
 *	commit	of what is in use: fine
 *	prove	signs; keeps nothing
 *	lock	of the certificate in use: fine
 *	get	reads only
 *
 * What holds afterwards: a key that was made is never replaced and never
 * leaves; a certificate is in use only if it is of that key, whole, and its
 * chain names fit; a configuration's version never goes down; after lock
 * nothing of the identity changes any more.
 * Whoever holds the console can do what the station can, until lock: who may
 * stand there is the factory's matter.  (A time floor far ahead can be said to
 * a device by mistake or malice; it is reported by hello, and only commit
 * keeps it.)
 *
 * It takes 104 bytes on a Cortex-M3 beside its buffer, and 1.2 KB of stack
 * beside what crypto takes.
 *
 * Of the board: a console that may be full of log text, storage, crypto.  No
 * clock: nothing here waits for anything.
 */
#ifndef MMD_FACTORY_PROTOCOL   /* a test's board speaks an older one */
#define MMD_FACTORY_PROTOCOL 2 /* from 2 on commit takes a salt */
#endif
#define MMD_FACTORY_GROUP    0x4d4d /* of the SMP head; users' begin at 64 */

enum mmd_factory_message {
	MMD_HELLO,
	MMD_MAKE_KEY,
	MMD_CSR,
	MMD_PUT,
	MMD_COMMIT,
	MMD_PROVE,
	MMD_LOCK,
	MMD_GET,
	MMD_MESSAGES
};

/* Of one identity. */
enum mmd_factory_state {
	MMD_STATE_EMPTY,  /* no key */
	MMD_STATE_KEY,    /* a key and no certificate */
	MMD_STATE_READY,  /* a certificate is in use */
	MMD_STATE_LOCKED, /* the IDevID's is final: the device's last state */
	MMD_STATES
};

/* Why a message was refused: "rc" of an answer's "err". */
enum mmd_refusal {
	MMD_R_NONE,
	MMD_R_LOCKED,  /* the device is locked */
	MMD_R_NO_KEY,  /* first key, then this */
	MMD_R_NO_CERT, /* first put and commit, then this */
	MMD_R_KIND,    /* a kind of key that the board does not make */
	MMD_R_SPACE,   /* does not fit: the bundle, or the answer */
	MMD_R_PIECE,   /* a piece that is not on a step */
	MMD_R_HASH,    /* storage does not hold what commit says: put again */
	MMD_R_CHAIN,   /* not certificates, or not one after another's issuer */
	MMD_R_FOREIGN, /* the certificate is of another key */
	MMD_R_OTHER,   /* lock: another certificate is in use */
	MMD_R_NEWER,   /* storage was written by newer firmware */
	MMD_R_BOARD,   /* the board failed: storage or crypto */
	MMD_R_OLDER,   /* a configuration older than the one in use */
	MMD_REFUSALS
};

/* SMP's own results, for what never got to a message: "rc" of an answer. */
enum { MMD_SMP_EINVAL = 3, MMD_SMP_ENOTSUP = 8, MMD_SMP_EPERUSER = 256 };

#define MMD_HARDWARE_MAX 32
#define MMD_FIRMWARE_MAX 32
#define MMD_NONCE        32
#define MMD_STIR         32
#define MMD_SALT         16

/* What a device signs to prove its certificate; docs/protocol/link.md. */
#define MMD_PROVE_LABEL "mintmark-prove"

/* Of the buffer, all but this is the longest body of a message. */
#define MMD_FACTORY_OVER 128
#define MMD_FACTORY_BUF  640
#define MMD_FACTORY_BUF_MAX 65536

struct mmd_factory_conf {
	const struct mmd_store *store;
	/*
	 * With hash_from; the slot is the identity.  make stores the key
	 * whole or not at all (mmd_store_key_put does).  public is asked for
	 * at each message and must take well under 350 ms: where it would be
	 * computed, keep it beside the private key.
	 */
	const struct mmd_crypto *crypto;
	struct mmd_bytes hardware; /* the chip's own id, 1 to 32 bytes */
	const char *firmware;      /* name and version, 1 to 32 of ASCII */
	/*
	 * Bit k: the board makes mmd_key_kind k.  Without crypto's signature
	 * P-256 and P-384 alone.
	 */
	uint32_t kinds;
	/*
	 * After the lock is in storage, and whenever it is asked for again:
	 * closes what else a board has (debug port, write protection).  May
	 * be NULL.
	 */
	enum mmd_rc (*lock)(void *ctx);
	void *lock_ctx;
	/* MMD_FACTORY_BUF do for P-256; RSA-2048 takes 1,280. */
	uint8_t *buf;
	size_t cap;
};

struct mmd_factory {
	const struct mmd_factory_conf *conf;
	uint64_t floor_s;   /* the latest time that a station or commit told */
	uint32_t bad_messages; /* no CBOR, or not as the message wants it */
	uint32_t bad_flash; /* bundles that had to be begun anew; failures */
	/* Its own: */
	struct mmd_smp_rx rx;
	struct mmd_smp_tx tx;
	uint8_t in[16]; /* read and not yet looked at */
	struct mmd_bytes left;
	unsigned sending; /* not 0: it is */
};

/*
 * conf is borrowed as long as f is used; its buffer, too.  MMD_EINPUT: conf or
 * its store is not as described.
 */
enum mmd_rc mmd_factory_init(struct mmd_factory *f,
    const struct mmd_factory_conf *conf) MMD_MUST;
/*
 * Reads, answers, writes, as far as io goes without waiting and for at most
 * one message: MMD_MORE.  Else what io failed with.
 */
enum mmd_rc mmd_factory_run(struct mmd_factory *f, const struct mmd_io *io)
    MMD_MUST;
/*
 * The same for a board whose SMP server finds the packets: p holds one of n
 * bytes, with its head, and is cap bytes long; the answer takes its place.
 * MMD_NONE: it gets no answer.  cap - MMD_SMP_HEAD is the longest body; conf's
 * buffer is not used.
 */
enum mmd_rc mmd_factory_answer(struct mmd_factory *f, uint8_t *p, size_t cap,
    size_t *n) MMD_MUST;
/* As hello tells it; MMD_ESTATE: storage is too new; MMD_EPORT. */
enum mmd_rc mmd_factory_state(const struct mmd_factory *f, unsigned identity,
    enum mmd_factory_state *state) MMD_MUST;

#endif
