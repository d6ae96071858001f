#ifndef MM_AGENT_AGENT_H
#define MM_AGENT_AGENT_H

#include "base/buf.h"
#include "base/err.h"
#include "key/key.h"
#include "mmd_est.h"
#include "mmd_token.h"

/*
 * What the agent does, over ports: a test gives it a server in memory and
 * storage that is cut off at the n-th write.
 *
 * All state is what storage holds; a call that was interrupted anywhere is
 * simply made again.
 */
#define MM_AGENT_DER_MAX   8192
#define MM_AGENT_CHAIN_MAX 32768
#define MM_AGENT_ANSWER_MAX 102400 /* pki/confdoc.h has the longest */
#define MM_AGENT_HOST_MAX  261

/* One answer; body is borrowed until the next call. */
struct mm_agent_reply {
	int status;
	int64_t date_s;  /* the server's clock, 0: not told */
	int32_t retry_s; /* -1: not told */
	struct mm_bytes body;
};

/* A way to the server, one connection at a time. */
struct mm_agent_link {
	/*
	 * MM_EAGAIN: no connection; MM_EPOLICY: the server did not prove
	 * itself; MM_EAUTH: it refused our proof.
	 */
	enum mm_err (*open)(void *ctx, const struct mmd_tls_want *want,
	    struct mm_why *why);
	/* Any status is an answer and MM_OK. */
	enum mm_err (*ask)(void *ctx, enum mmd_est_op op,
	    struct mm_bytes request, struct mm_agent_reply *out,
	    struct mm_why *why);
	/*
	 * The same for a resource of the server's own: path is below
	 * /.well-known/mintmark; tag is what is at hand of it (ETag's text
	 * with its quotes), NULL: nothing.
	 */
	enum mm_err (*get)(void *ctx, const char *path, const char *tag,
	    struct mm_agent_reply *out, struct mm_why *why);
	void (*close)(void *ctx);
	void (*pause)(void *ctx, int64_t ms);
	void *ctx;
	/* When the chain is valid that the server has shown last, taken or
	 * refused; false: it has shown none.  NULL: nobody knows. */
	bool (*times)(void *ctx, int64_t *from_s, int64_t *until_s);
};

enum mm_agent_clock {
	MM_CLOCK_AUTO,   /* the system's, unless the server's differs much */
	MM_CLOCK_SYSTEM, /* the system's */
	MM_CLOCK_SERVER, /* the server's, as told over the token's channel */
};

struct mm_agent_old;

struct mm_agent {
	const struct mmd_nv *nv;
	const struct mmd_crypto *crypto;
	const struct mmd_clock *time;
	const struct mm_agent_link *link;
	char server[MM_AGENT_HOST_MAX + 1]; /* host:port */
	char host[MM_AGENT_HOST_MAX + 1];   /* without port and brackets */
	/* The link tells it with an enrolment: what this will replace, as
	 * mmd_est.h says it; "" nothing. */
	char more[64];
	const struct mm_agent_old *old; /* instead of a token; NULL: none */
	/* Or nothing: the anchor is old's, and a person compares a code, which
	 * is told while the server says that it waits.  NULL: nobody reads. */
	bool pairing, patient; /* patient: that is no try that fails */
	void (*shows)(const char *code); /* NULL: the last counts no more */
	char code[MMD_PAIRING_CODE]; /* found out: the last; "" none */
	bool waited; /* ... there was one, and it is not decided yet */
	const char *device;    /* what the request is named; NULL: token's */
	enum mmd_key_kind key_kind;
	unsigned tls_version;  /* 0, 12, 13 */
	unsigned retries;      /* of what may succeed later */
	/* A try failed, for that reason; the next begins in ms.  NULL: nobody
	 * listens.  Nothing secret is in the words. */
	void (*waits)(unsigned tries, int64_t ms, const struct mm_why *why);
	bool keep_key;         /* renew: the same key again */
	bool replace;          /* enrol: a token of another time is used */
	bool now;              /* renew: whether it is time or not */
	bool ask;              /* renew: the server is asked when it is time */
	unsigned renew_percent; /* of a certificate's life, then it is time */
	enum mm_agent_clock clock;
	int64_t skew_s;        /* added to the clock; found out on the way */
	/* Found out: the server's clock as last told, over a channel that it
	 * proved itself on (0: never), and how long it said to wait with the
	 * last try that failed (-1: it did not). */
	int64_t told_s;
	int32_t retry_s;
	/* And with ask, if said: the time to renew by the server's word (0:
	 * never), and in how many seconds to ask again (-1: not said). */
	bool said;
	int64_t renew_at_s;
	int32_t ask_s;
	/* Found out too: the type of a key that was there and is kept, where
	 * it is not key_kind; else NULL. */
	const char *kept_key;
};

/* enrol: why a token was left unspent, beside an identity that is there. */
enum mm_agent_unspent {
	MM_AGENT_SPENT, /* or there was none */
	MM_AGENT_OTHER, /* it is for another device */
	MM_AGENT_GOOD,  /* the identity is good: only replace uses the token */
};

/* What an identity in a slot is, for people and scripts. */
struct mm_agent_status {
	char device[65]; /* commonName */
	char serial[64]; /* hex */
	char server[MM_AGENT_HOST_MAX + 1];
	int64_t not_before_s, not_after_s;
	int64_t renew_at_s; /* 0: never, it does not end */
	unsigned slot;
	bool confirmed;
	bool already; /* enrol: nothing had to be done */
	enum mm_agent_unspent unspent;
	bool renewed; /* renew: the certificate is a new one */
	bool early;   /* renew: it was not time, and nothing was done */
	enum mm_key_place key_in;
	char key[MM_KEY_URI_MAX + 1]; /* its URI; "" of a file's */
};

/* The exit status of a renewal before its time; others are mm_err_exit's. */
#define MM_AGENT_EXIT_EARLY 9
/* And of an enrolment beside an identity, which did not use its token. */
#define MM_AGENT_EXIT_UNSPENT 10

/* "host:port" or "[v6]:port" into a->server and a->host. */
MM_MUST enum mm_err mm_agent_set_server(struct mm_agent *a, const char *server,
    struct mm_why *why);

/*
 * The first identity, by a token (or, where a->old is, an old certificate,
 * for a->device): key made and stored, then the token
 * handshake, anchor checked, certificate asked for, checked and stored, then
 * confirmed by using it.
 *
 * Once there is an identity, the token that it came by (or none) only confirms
 * it.  Another token is left alone, and out->unspent says why, if it is for
 * another device; or, without a->replace, if the server finds the identity
 * good.  Else a new identity is claimed by it in the other slot, and the old
 * one stays in use until it is stored.
 */
MM_MUST enum mm_err mm_agent_enrol(struct mm_agent *a,
    const struct mmd_token *token, struct mm_agent_status *out,
    struct mm_why *why);
/*
 * A new certificate by the one at hand, in the other slot, once it is time
 * (out->early: not yet); the old one stays until the server has confirmed the
 * new one, then its key is wiped.  A renewal that was interrupted after its
 * certificate came is finished whatever the time.  MM_ENOTFOUND: no identity.
 */
MM_MUST enum mm_err mm_agent_renew(struct mm_agent *a,
    struct mm_agent_status *out, struct mm_why *why);
/* The identity in use; MM_ENOTFOUND. */
MM_MUST enum mm_err mm_agent_status(struct mm_agent *a,
    struct mm_agent_status *out, struct mm_why *why);

#endif
