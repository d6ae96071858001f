#ifndef MM_AGENT_PRIV_H
#define MM_AGENT_PRIV_H

#include "agent/agent.h"
#include "mmd_x509.h"

/* Within the agent: a slot's identity, trust, and asking again. */

static inline struct mmd_bytes
mm_to_mmd(struct mm_bytes v)
{
	return (struct mmd_bytes){ v.p, v.n };
}

static inline struct mm_bytes
mm_of_mmd(struct mmd_bytes v)
{
	return (struct mm_bytes){ v.p, v.n };
}

/* The device library's result as the tree's, with the words for what. */
MM_MUST enum mm_err mm_agent_fail(enum mmd_rc rc, const char *what,
    struct mm_why *why);

/* Certificates in DER: one, its issuers one after another, the anchor. */
struct mm_agent_identity {
	struct mm_buf cert, chain, anchor;
	/* Other roots of the server's last word, not stored: of the maker's
	 * own CA, whose word counts for our own certificate and for nothing
	 * else. */
	struct mm_buf roots;
	/* Which of those count: any, if the server of a token's connection has
	 * named our request, as it does for such a CA; in a renewal those that
	 * the certificate before is below, if it is not below our anchor. */
	bool named;
	const struct mm_agent_identity *before; /* NULL: none; borrowed */
	char token[MMD_TOKEN_IDENTITY]; /* that it came by; "": not known */
	bool confirmed;
};
void mm_agent_identity_init(struct mm_agent_identity *id);
void mm_agent_identity_done(struct mm_agent_identity *id);

/*
 * What the slot holds.  MM_ENOTFOUND: no certificate, or none that belongs to
 * the slot's key: what an interrupted enrolment leaves.
 */
MM_MUST enum mm_err mm_agent_identity_load(struct mm_agent *a, unsigned slot,
    struct mm_agent_identity *id, struct mm_why *why);
/* Stores all but the key, the certificate last. */
MM_MUST enum mm_err mm_agent_identity_store(struct mm_agent *a, unsigned slot,
    const struct mm_agent_identity *id, struct mm_why *why);
MM_MUST enum mm_err mm_agent_identity_describe(struct mm_agent *a,
    unsigned slot, const struct mm_agent_identity *id,
    struct mm_agent_status *out, struct mm_why *why);
MM_MUST enum mm_err mm_agent_selected(struct mm_agent *a, unsigned *slot,
    struct mm_why *why);
/* Whether the slot has the item. */
bool mm_agent_has(struct mm_agent *a, unsigned slot, enum mmd_nv_item item);

/*
 * Sorts the certificates of a cacerts answer into id's anchor and chain: the
 * anchor is the one that the token names, or, without a token, the one that
 * id->anchor holds already.  MM_EPOLICY: it is not among them.  A newer root
 * that the anchor vouches for, by NewWithOld, becomes it (RFC 7030 4.1.3); what
 * joins both stays in the chain, roots do not: they are id->roots.
 */
MM_MUST enum mm_err mm_agent_take_cacerts(struct mm_agent *a,
    const struct mmd_token *token, struct mm_bytes pkcs7,
    struct mm_agent_identity *id, struct mm_why *why);
/*
 * The certificate of an enrolment's answer into id->cert: the slot's key, a
 * chain to the anchor, or to another of the roots that came with it and counts
 * (times aside: the clock may be wrong).  MM_EPOLICY.
 */
MM_MUST enum mm_err mm_agent_take_cert(struct mm_agent *a, unsigned slot,
    struct mm_bytes pkcs7, struct mm_agent_identity *id, struct mm_why *why);
/* Its last part. */
MM_MUST enum mm_err mm_agent_check_chain(const struct mm_agent_identity *id,
    struct mm_why *why);

/* One whole exchange: connection, requests.  retry_s: told by the server. */
struct mm_agent_try {
	enum mm_err (*run)(struct mm_agent *a, void *arg, int32_t *retry_s,
	    struct mm_why *why);
	void *arg;
};
/* Runs it until it succeeds, fails for good, or the retries are used up. */
MM_MUST enum mm_err mm_agent_attempt(struct mm_agent *a,
    const struct mm_agent_try *t, struct mm_why *why);
/*
 * Asks and judges the status: 200 and 204 are MM_OK; 202, 429 and 503 come
 * again; the others say what is wrong, with the server's words.
 */
MM_MUST enum mm_err mm_agent_ask(struct mm_agent *a, enum mmd_est_op op,
    struct mm_bytes request, struct mm_agent_reply *out, struct mm_why *why);
/* The same for a resource of the server's own; 304 is MM_OK, too. */
MM_MUST enum mm_err mm_agent_get(struct mm_agent *a, const char *path,
    const char *tag, struct mm_agent_reply *out, struct mm_why *why);

/* Proves the slot's certificate to the server and notes that it was seen. */
MM_MUST enum mm_err mm_agent_confirm(struct mm_agent *a, unsigned slot,
    struct mm_why *why);
/* A connection by the slot's identity; the caller closes it. */
MM_MUST enum mm_err mm_agent_open_mutual(struct mm_agent *a, unsigned slot,
    const struct mm_agent_identity *id, struct mm_why *why);
/* The slot's key, made if there is none; a request in its name into der. */
MM_MUST enum mm_err mm_agent_request(struct mm_agent *a, unsigned slot,
    const char *name, struct mm_buf *der, struct mm_why *why);
/* The same by a key that is there, with that whole subject. */
MM_MUST enum mm_err mm_agent_request_as(struct mm_agent *a, unsigned slot,
    struct mm_bytes subject, struct mm_buf *der, struct mm_why *why);
/* Empties a slot that is not in use: without its key it is no identity. */
MM_MUST enum mm_err mm_agent_recycle(struct mm_agent *a, unsigned slot,
    struct mm_why *why);
/* Whether the slot has a key that waits for its certificate, which is kept:
 * same key, same answer. */
bool mm_agent_waiting(struct mm_agent *a, unsigned slot);
/*
 * When a certificate is renewed: at its share of life, and later by up to a
 * twentieth of life, chosen by the certificate's hash: a fleet made in one
 * hour does not come back in one hour, and who asks again hears the same.
 * 0: never.
 */
MM_MUST enum mm_err mm_agent_renew_at(struct mm_agent *a,
    const struct mmd_cert *c, int64_t *at_s, struct mm_why *why);
/* Whether the slot's certificate is to be renewed now; may ask the server. */
MM_MUST enum mm_err mm_agent_due(struct mm_agent *a, unsigned slot,
    const struct mm_agent_identity *id, bool *due, struct mm_why *why);
/*
 * The server's word on when to renew, from its answer (docs/reference/
 * rest.md): a second of the window, chosen by the certificate's hash, into
 * *at_s (0: never).  MM_EINPUT: it is no such answer, or for another one.
 */
MM_MUST enum mm_err mm_agent_window_parse(struct mm_bytes json,
    const struct mmd_cert *c, const uint8_t hash[MMD_HASH], int64_t *at_s,
    struct mm_why *why);
/* The last time that the server told, as stored with the slot; 0: never. */
int64_t mm_agent_last_told(struct mm_agent *a, unsigned slot);
/* clock.c: whether the Date of an answer, for which the server has proved
 * itself, may be right; corrects the clock by it. */
bool mm_agent_believes(const struct mm_agent *a, int64_t date_s);
void mm_agent_learn_time(struct mm_agent *a, int64_t date_s);
int64_t mm_agent_now_s(const struct mm_agent *a);
/* The time as best known, with the slot: what a clock in the past goes on
 * from. */
MM_MUST enum mm_err mm_agent_note_time(struct mm_agent *a, unsigned slot,
    struct mm_why *why);
/*
 * A connection at that time; *doubted: the server's certificates are not valid
 * then, and are at another, which nothing speaks against that was signed since
 * since_s (0: nothing was).
 */
MM_MUST enum mm_err mm_agent_open(struct mm_agent *a,
    const struct mmd_tls_want *what, int64_t since_s, bool *doubted,
    struct mm_why *why);

#endif
