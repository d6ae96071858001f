#ifndef MM_HSM_PRIV_H
#define MM_HSM_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include <p11-kit/p11-kit.h>
#include <p11-kit/uri.h>

#include "base/secret.h"
#include "base/settings.h"
#include "hsm/wire.h"

#define MM_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/*
 * A keeper: a process that stays, and a child of it that has the module.  The
 * child ends whenever the token is not as it should be, and is started again
 * with a fresh copy of the module, later and later: there is one way to get
 * well, whatever was wrong.
 */
struct mm_guard;
struct mm_keeper {
	const struct mm_issuer_conf *conf;
	struct mm_guard *guard; /* of its token's PIN */
	int control, lane[MM_HSM_SESSIONS];
	int life;               /* to the process that stays; ends with it */
	bool by_hand;
	struct mm_secret *pin;  /* where there is no pin_file */
	char refused[MM_HSM_TEXT];
	bool again; /* forget it, whatever the child before still says */
};
/* keep.c: until the other ends are closed. */
void mm_keeper_run(struct mm_keeper *k);
void mm_keeper_tell(const struct mm_keeper *k, enum mm_hsm_state state,
    const char *text, const char *refused);
/* serve.c: the child. */
_Noreturn void mm_keeper_serve(const struct mm_keeper *k);

/* guard.c: of one token's PIN, in memory that its keys' keepers share.  Never
 * freed: it ends with them. */
struct mm_guard {
	pthread_mutex_t lock;
	char refused[MM_HSM_TEXT]; /* which one was, last */
	atomic_bool trying;        /* who has the lock tries one */
	atomic_bool anew;          /* it is to be forgotten first */
};
MM_MUST enum mm_err mm_guard_new(struct mm_guard **out, struct mm_why *why);
/* MM_EAGAIN: another one has it, for long. */
MM_MUST enum mm_err mm_guard_take(struct mm_guard *g, struct mm_why *why);
void mm_guard_give(struct mm_guard *g);
/* A person has seen to it. */
void mm_guard_forget(struct mm_guard *g);

/* module.c: the module, the token, a session that is logged in. */
struct mm_module {
	P11KitUri *uri;
	CK_FUNCTION_LIST *f;
	CK_SLOT_ID slot;
	CK_SESSION_HANDLE session; /* stays open: the login lasts with it */
};
/* What failed and how, in words. */
MM_MUST enum mm_err mm_module_fail(const char *what, CK_RV rv,
    struct mm_why *why);
/* MM_EAGAIN: there is no such token, or it does not work; MM_EINPUT: the
 * URI. */
MM_MUST enum mm_err mm_module_open(const struct mm_keeper *k,
    struct mm_module *out, struct mm_why *why);
/* login.c.  MM_EAUTH: the PIN is not the token's, or was refused before; which
 * one it was is in refused. */
MM_MUST enum mm_err mm_module_login(const struct mm_keeper *k,
    struct mm_module *m, char refused[MM_HSM_TEXT], struct mm_why *why);

/* object.c, and a session of one's own. */
struct mm_session {
	const struct mm_module *m;
	CK_SESSION_HANDLE handle; /* 0: none */
	CK_OBJECT_HANDLE key;     /* 0: not looked for */
	CK_KEY_TYPE type;
};
MM_MUST enum mm_err mm_session_open(const struct mm_module *m, bool write,
    struct mm_session *out, struct mm_why *why);
/* The private key that the URI names; MM_ENOTFOUND; MM_ECONFLICT: several. */
MM_MUST enum mm_err mm_session_find(struct mm_session *s, struct mm_why *why);
MM_MUST enum mm_err mm_session_sign(struct mm_session *s, struct mm_bytes in,
    struct mm_buf *out, struct mm_why *why);
MM_MUST enum mm_err mm_session_public(struct mm_session *s,
    struct mm_buf *out, struct mm_why *why);
/* make.c */
MM_MUST enum mm_err mm_session_make(struct mm_session *s, unsigned type,
    struct mm_why *why);

#endif
