#ifndef MMD_LINK_PRIV_H
#define MMD_LINK_PRIV_H

/* The messages as the station's side sees them, for its own sources. */

#include "mmd_link.h"
#include "priv.h"

struct mmd_link_message {
	uint8_t op;
	uint32_t answer_ms;
	/* The body of the request, but for "id". */
	void (*encode)(struct mmd_link *l, struct mmd_cborw *w);
	/*
	 * MMD_OK: done; MMD_MORE: a next request; MMD_EINPUT: no answer of
	 * this message; MMD_EPORT: it will never be done.
	 */
	enum mmd_rc (*decode)(struct mmd_link *l, struct mmd_bytes body);
};

extern const struct mmd_link_message mmd_link_messages[MMD_MESSAGES] MMD_HIDDEN;

/* Begins a message from its first try. */
void mmd_link_begin(struct mmd_link *l, const struct mmd_ask *ask);
/* Pieces of a bundle are shorter after a loss. */
void mmd_link_shrink(struct mmd_link *l);
enum mmd_rc mmd_link_read_hello(struct mmd_bytes body,
    struct mmd_hello *out) MMD_MUST;

#endif
