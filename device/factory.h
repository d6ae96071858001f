#ifndef MMD_FACTORY_PRIV_H
#define MMD_FACTORY_PRIV_H

/* A message on its way through the factory, for the factory's own sources. */

#include "mmd_factory.h"
#include "priv.h"

/* What storage and crypto say of an identity now. */
struct mmd_look {
	enum mmd_factory_state state; /* never LOCKED: that is beside it */
	bool locked;
	uint8_t key[MMD_HASH];     /* of its SPKI, from KEY on */
	struct mmd_bundle bundle;  /* from READY on */
};

#define MMD_FACTORY_KEYS 5 /* that any message has, at most */

struct mmd_call {
	struct mmd_factory *f;
	unsigned identity;
	struct mmd_look look;
	/* In the order of the message's keys, borrowed from the body. */
	struct mmd_cbor_value v[MMD_FACTORY_KEYS];
	/* The answer: it takes the place of the request and its values. */
	struct mmd_cborw w;
};

struct mmd_message {
	uint8_t op;
	uint8_t needs;     /* the least enum mmd_factory_state */
	bool after_lock;
	uint8_t nkeys;
	const struct mmd_cbor_key *keys;
	enum mmd_refusal (*act)(struct mmd_call *c);
};

extern const struct mmd_message mmd_messages[MMD_MESSAGES] MMD_HIDDEN;

enum mmd_rc mmd_factory_look(const struct mmd_factory *f, unsigned identity,
    struct mmd_look *out) MMD_MUST;
/* Which refusal says what a call came to. */
enum mmd_refusal mmd_factory_refuse(enum mmd_rc rc, struct mmd_factory *f);

#endif
