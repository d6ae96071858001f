#ifndef MM_HSM_H
#define MM_HSM_H

#include "base/buf.h"
#include "base/own.h"
#include "base/settings.h"
#include "pki/key.h"

/*
 * A private key in a PKCS#11 token, as the process sees it that signs with it.
 *
 * The token's module is its maker's code: it opens devices and sockets, makes
 * threads, and may hang or crash.  So it is never loaded where other keys are.
 * A process of its own has it, a keeper (mintmark-keeper), which holds the PIN
 * and a pool of sessions, and does one thing for whoever holds the other ends
 * of its sockets: C_Sign by one key.  Holding a struct mm_hsm proves nothing
 * about the token; a signature is proved by who asks for it (pki/key.h,
 * mm_sign_new_far).
 *
 * All that can go wrong with a token is MM_EAGAIN: it is tried again by the
 * keeper, and what was asked for was not done as far as anybody can see.
 * Thread-safe but for attach, begin and free.
 */
enum mm_hsm_state {
	MM_HSM_WAITS,   /* nothing was heard yet */
	MM_HSM_READY,
	MM_HSM_AWAY,    /* no token, no session, no answer: tried again */
	MM_HSM_REFUSED, /* the PIN was not taken: not tried again with it */
	MM_HSM_GONE,    /* there is no keeper any more */
};
#define MM_HSM_SESSIONS 4
#define MM_HSM_TEXT     160

struct mm_hsm;
/*
 * Keepers of a root's key, which no configuration names: it is the commands'
 * own (--root-key, --new-root-key, then --root-pin-file and --root-environ).
 * No issuer can have these names.
 */
#define MM_HSM_ROOT     "(root)"
#define MM_HSM_NEW_ROOT "(new root)"
/* keys: what mintmark-keeper appends to its program's arguments, --keys
 * "issuer=control:lane:lane...,..."; "" for none.  MM_ENOTFOUND: no keeper has
 * the issuer's key. */
MM_MUST enum mm_err mm_hsm_attach(const char *keys, const char *issuer,
    struct mm_hsm **out, struct mm_why *why);
void mm_hsm_free(struct mm_hsm **owner);
/* Whether a descriptor is a keeper's. */
bool mm_hsm_keeps(const char *keys, int fd);

/* pin.c: the token and where its PIN is; the same for keys that one PIN opens,
 * which is tried once for all of them. */
MM_MUST enum mm_err mm_hsm_pin_id(const struct mm_issuer_conf *conf,
    uint8_t out[32], struct mm_why *why);

struct mm_hsm_begin {
	struct mm_bytes pin;  /* where there is no pin_file */
	const char *refused;  /* mm_hsm_refused's of an earlier time, or "" */
	bool by_hand;         /* a person does this: once, whatever was before;
	                       * and the key need not be there yet */
	int64_t deadline_ms;  /* of an answer */
};
/* Says who signs, once: from here on the keeper looks for the token. */
MM_MUST enum mm_err mm_hsm_begin(struct mm_hsm *h,
    const struct mm_hsm_begin *b, struct mm_why *why);

/* What was last heard, with words for it where it is not ready. */
enum mm_hsm_state mm_hsm_look(struct mm_hsm *h, char text[MM_HSM_TEXT]);
/* The same, after at most so long for the first word. */
enum mm_hsm_state mm_hsm_wait(struct mm_hsm *h, int64_t ms,
    char text[MM_HSM_TEXT]);
/* Which PIN was refused: where and since when it stands there, never what it
 * is. */
void mm_hsm_refused(struct mm_hsm *h, char out[MM_HSM_TEXT]);
/* A person has seen to it: one more try. */
void mm_hsm_again(struct mm_hsm *h);

/* MM_EAGAIN unless it is ready. */
MM_MUST enum mm_err mm_hsm_ready(struct mm_hsm *h, struct mm_why *why);
/* An mm_sign_far_fn; ctx is the struct mm_hsm. */
MM_MUST enum mm_err mm_hsm_sign(void *ctx, struct mm_bytes input,
    uint8_t *sig, size_t *n, struct mm_why *why);
/* Appends the key's SubjectPublicKeyInfo; MM_ENOTFOUND: there is none yet. */
MM_MUST enum mm_err mm_hsm_public(struct mm_hsm *h, struct mm_buf *spki,
    struct mm_why *why);
/* Makes it: to sign, never to leave the token.  By hand only. */
MM_MUST enum mm_err mm_hsm_make(struct mm_hsm *h, enum mm_key_type type,
    struct mm_buf *spki, struct mm_why *why);

#endif
