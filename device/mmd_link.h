#ifndef MMD_LINK_H
#define MMD_LINK_H

#include "mmd_factory.h"

/*
 * The station's side of the link that mmd_factory.h answers: one device, one
 * message after another, over a console that is noisy, slow, full of log text,
 * or not there.  Like the rest it allocates nothing and waits for nothing: the
 * caller waits, for io or a few milliseconds, while it is MMD_MORE.
 *
 *	mmd_link_init(&l, &conf);
 *	mmd_link_hello(&l, MMD_IDEVID, now_s);
 *	while ((rc = mmd_link_run(&l)) == MMD_MORE)
 *		wait;
 *
 * A message that gets no answer in time is sent again, three times; then the
 * device is greeted, and if it is the same one, the message is sent once more
 * and so on, MMD_LINK_ROUNDS times.  A greeting of which not even a piece of an
 * answer is heard ends it at once: nobody is there.  All messages may be
 * repeated, so that is always right, whether the line was noisy or the device
 * was off meanwhile.
 *
 * That an answer came proves that it was whole (by its CRC) and in the
 * answer's form, and nothing else: a device can lie.  What it is worth is for
 * who holds the certificate authority: a request and a proof verify by the
 * device's key, and a hash is compared.
 */
#define MMD_LINK_ANSWER_MS  350  /* until an answer begins */
#define MMD_LINK_COMPUTE_MS 5000 /* where the device computes or erases */
#define MMD_LINK_BYTE_MS    100  /* between two bytes of an answer */
#define MMD_LINK_REPEATS    3
#define MMD_LINK_ROUNDS     4
#define MMD_LINK_RESTARTS   4    /* of a bundle */
#define MMD_LINK_BUF        1280

struct mmd_link_conf {
	const struct mmd_io *io;
	const struct mmd_clock *clock; /* mono_ms */
	/* A line's speed, added to the times above; 0: no line. */
	uint32_t baud;
	/*
	 * Half for what is sent, half for what comes: MMD_LINK_BUF do for
	 * bodies of 512 bytes.
	 */
	uint8_t *buf;
	size_t cap;
};

/* What a device says of itself. */
struct mmd_hello {
	uint32_t version;
	enum mmd_factory_state state;
	uint8_t hw[MMD_HARDWARE_MAX];
	size_t hw_n;
	char fw[MMD_FIRMWARE_MAX + 1]; /* printable ASCII */
	uint32_t kinds;
	uint32_t max;   /* longest body */
	uint32_t step;  /* pieces of a bundle are multiples of it */
	uint32_t room;  /* longest bundle */
	uint64_t floor_s;
	uint64_t lines, messages, flash; /* errors since it was switched on */
	bool has_key, has_cert;
	uint8_t key[MMD_HASH];  /* of its public key's DER */
	uint8_t cert[MMD_HASH]; /* of its certificate's DER */
	uint8_t all[MMD_HASH];  /* of its bundle */
	uint32_t config; /* its configuration's version; 0: none */
};

/* A message that is under way. */
struct mmd_ask {
	enum mmd_factory_message message;
	unsigned identity;
	uint64_t n; /* hello: time; key: kind */
	uint8_t bytes[MMD_HASH + MMD_SALT]; /* what to stir in; nonce; hash */
	size_t bytes_n;
	struct mmd_bytes parts[MMD_PARTS];
	uint32_t part_n[MMD_PARTS]; /* get: what the device says */
	uint8_t *out; /* get */
	size_t cap;
};

struct mmd_link {
	/* Of the last hello; what went before, once there was one. */
	struct mmd_hello hello;
	bool greeted;
	/*
	 * Once MMD_OK, borrowed until the next message: key: the public key;
	 * csr: the request; prove: the signature; all in DER; commit: the
	 * certificate's hash; get: the certificate and behind it its chain,
	 * in the caller's memory.
	 */
	struct mmd_bytes value;
	uint32_t cert_n; /* get: where in it the chain begins */
	/* Once MMD_EREFUSED: the device's reason, or else SMP's. */
	enum mmd_refusal refusal;
	uint32_t smp_rc;
	/* For whoever counts: */
	uint32_t sent, repeats, bad_answers;
	/* Its own: */
	const struct mmd_link_conf *conf;
	struct mmd_ask ask;
	struct mmd_smp_rx rx;
	struct mmd_smp_tx tx;
	uint32_t off, piece, largest, restarts;
	int64_t due_ms, last_ms, end_ms;
	uint8_t phase, tries, rounds, seq;
	bool sending, answered_badly, heard;
};

/* conf is borrowed as long as l is used. */
void mmd_link_init(struct mmd_link *l, const struct mmd_link_conf *conf);

/*
 * Each begins a message; one that is under way is given up.  time_s moves the
 * device's time floor; 0 leaves it.
 */
void mmd_link_hello(struct mmd_link *l, unsigned identity, uint64_t time_s);
/* A key of that kind if there is none. */
void mmd_link_key(struct mmd_link *l, unsigned identity,
    enum mmd_key_kind kind, const uint8_t stir[MMD_STIR]);
void mmd_link_csr(struct mmd_link *l, unsigned identity);
/*
 * Writes a bundle, as many messages as it takes.  The parts are borrowed until
 * it is done.  After a hello: MMD_ESTATE; MMD_ESPACE: more than the device's
 * room, or messages too short for a piece.
 */
enum mmd_rc mmd_link_put(struct mmd_link *l, unsigned identity,
    const struct mmd_bytes parts[MMD_PARTS]) MMD_MUST;
/*
 * all: SHA-256 of the bundle, which hello tells from then on; with a salt, of
 * that hash and of the salt, which no message tells.  NULL: none, as it must
 * be for a device whose hello says version 1.
 */
void mmd_link_commit(struct mmd_link *l, unsigned identity,
    const struct mmd_bytes parts[MMD_PARTS], const uint8_t all[MMD_HASH],
    const uint8_t salt[MMD_SALT]);
void mmd_link_prove(struct mmd_link *l, unsigned identity,
    const uint8_t nonce[MMD_NONCE]);
/* cert: SHA-256 of the IDevID in use. */
void mmd_link_lock(struct mmd_link *l, const uint8_t cert[MMD_HASH]);
/*
 * Reads the certificate in use and its chain into out, as many messages as it
 * takes.  That it is the certificate whose hash hello told is the caller's to
 * compare.
 */
void mmd_link_get(struct mmd_link *l, unsigned identity, uint8_t *out,
    size_t cap);

/*
 * MMD_MORE: wait and call again, within 20 ms; at most a few kilobytes are
 * read at once.  MMD_OK.  MMD_EREFUSED: see refusal.  MMD_ESILENT: no answer;
 * MMD_EINPUT: answers that are none; MMD_EPATH: another device answers;
 * MMD_EPORT: a bundle that will not stay; MMD_ESPACE: get: longer than cap; or
 * what io failed with.
 * MMD_ESTATE: nothing is under way.
 */
enum mmd_rc mmd_link_run(struct mmd_link *l) MMD_MUST;

#endif
