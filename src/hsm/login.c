#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hsm/priv.h"

/*
 * The one thing that must not be tried again and again: a few wrong PINs, and
 * the token locks itself for good.  So a PIN that was refused is tried once
 * and no more, whichever of the token's keys it was for; which survives a
 * restart, and the last try that a token has is left to a person.
 */

/* Where the PIN stands and since when: a changed file is another PIN. */
static enum mm_err
read_pin(const struct mm_keeper *k, char which[MM_HSM_TEXT],
    struct mm_secret **pin, struct mm_why *why)
{
	const char *path = k->conf->pin_file;
	struct stat st;

	if (path[0] == '\0') {
		snprintf(which, MM_HSM_TEXT, "passphrase");
		MM_TRY(mm_secret_new(k->pin->n, pin, why));
		memcpy((*pin)->p, k->pin->p, k->pin->n);
		return MM_OK;
	}
	if (stat(path, &st) != 0)
		return MM_FAIL(why, MM_EAGAIN, "pin_file: %.90s: %s", path,
		    strerror(errno));
	if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return MM_FAIL(why, MM_EAGAIN, "pin_file: %.90s: mode %04o "
		    "lets others at it: chmod 0600 it", path,
		    (unsigned)st.st_mode & 07777);
	snprintf(which, MM_HSM_TEXT, "file %llu %lld.%09ld %lld",
	    (unsigned long long)st.st_ino, (long long)st.st_mtim.tv_sec,
	    (long)st.st_mtim.tv_nsec, (long long)st.st_size);
	return mm_secret_from_file(path, pin, why);
}

static enum mm_err
check_flags(const struct mm_keeper *k, CK_FLAGS flags, struct mm_why *why)
{
	if ((flags & CKF_USER_PIN_LOCKED) != 0)
		return MM_FAIL(why, MM_EAUTH, "its PIN is locked: its "
		    "security officer must set a new one");
	if ((flags & CKF_USER_PIN_INITIALIZED) == 0)
		return MM_FAIL(why, MM_EAUTH, "it has no user PIN yet");
	if ((flags & CKF_USER_PIN_FINAL_TRY) != 0 && !k->by_hand)
		return MM_FAIL(why, MM_EAUTH, "one wrong PIN more locks it: "
		    "the last try is a person's (mintmark ca check-key)");
	return MM_OK;
}

static enum mm_err
judge(CK_RV rv, struct mm_why *why)
{
	switch (rv) {
	case CKR_OK:
	case CKR_USER_ALREADY_LOGGED_IN:
		return MM_OK;
	case CKR_PIN_LOCKED:
		return MM_FAIL(why, MM_EAUTH, "its PIN is locked: its "
		    "security officer must set a new one");
	case CKR_PIN_INCORRECT:
	case CKR_PIN_INVALID:
	case CKR_PIN_LEN_RANGE:
	case CKR_PIN_EXPIRED:
		return MM_FAIL(why, MM_EAUTH, "it refuses the PIN (%.60s)",
		    p11_kit_strerror(rv));
	default:
		return mm_module_fail("login", rv, why);
	}
}

static bool
was_refused(const struct mm_keeper *k, const char *which)
{
	return strcmp(which, k->refused) == 0 ||
	    strcmp(which, k->guard->refused) == 0;
}

/* The token's PIN is this keeper's to try. */
static enum mm_err
login(const struct mm_keeper *k, struct mm_module *m,
    char refused[MM_HSM_TEXT], struct mm_why *why)
{
	MM_OWN(mm_secret_free) struct mm_secret *pin = NULL;
	char which[MM_HSM_TEXT];
	CK_TOKEN_INFO info;
	enum mm_err rc;
	CK_RV rv = m->f->C_GetTokenInfo(m->slot, &info);

	if (rv != CKR_OK)
		return mm_module_fail("token", rv, why);
	if ((info.flags & CKF_LOGIN_REQUIRED) == 0)
		return MM_OK;
	MM_TRY(read_pin(k, which, &pin, why));
	memcpy(refused, which, MM_HSM_TEXT);
	if (!k->by_hand && was_refused(k, which))
		return MM_FAIL(why, MM_EAUTH, "it refused this PIN before, "
		    "which is not tried again: change pin_file, then or else "
		    "mintmark ca check-key");
	MM_TRY(check_flags(k, info.flags, why));
	atomic_store(&k->guard->trying, true);
	rv = m->f->C_Login(m->session, CKU_USER, pin->p, pin->n);
	atomic_store(&k->guard->trying, false);
	rc = judge(rv, why);
	if (rc != MM_EAUTH)
		refused[0] = '\0';
	memcpy(k->guard->refused, refused, MM_HSM_TEXT);
	return rc;
}

/* see priv.h */
enum mm_err
mm_module_login(const struct mm_keeper *k, struct mm_module *m,
    char refused[MM_HSM_TEXT], struct mm_why *why)
{
	enum mm_err rc;

	refused[0] = '\0';
	MM_TRY(mm_guard_take(k->guard, why));
	rc = login(k, m, refused, why);
	mm_guard_give(k->guard);
	return rc;
}
