#ifndef MM_KEY_DESK_H
#define MM_KEY_DESK_H

#include "key/key.h"

/*
 * What can be done with keys that are in no file: one table for each place.
 *
 * The provider has them, and with them what they need of libraries: a program
 * that has no such key loads none of it.  It shows the desk to its own
 * (mintmark-agent) as a capability of that name: OSSL_PROVIDER_get_capabilities
 * gives one parameter, the address of the desk.
 *
 * A key is made in steps that a power cut may come between:
 *
 *	choose  a place for one key, which nothing is in
 *	        (the caller stores the key)
 *	make    the key, there
 *	        (the caller stores it again)
 *	settle  what is left to do once it is stored
 *
 * So whatever is anywhere, a stored key says where, and remove finds it.
 */
struct mm_key_ops {
	/*
	 * where: mm_key_place_of.  MM_ENOTFOUND: no such device or token;
	 * MM_ECONFLICT: there is no place, or more than one token; MM_EAUTH:
	 * the PIN is refused; MM_EPOLICY; MM_ESTALE: the key is nowhere any
	 * more; MM_EAGAIN: it is there, and does not
	 * answer, or is another's just now.
	 */
	enum mm_err (*choose)(const char *where, struct mm_key *out,
	    struct mm_why *why);
	enum mm_err (*make)(struct mm_key *key, struct mm_why *why);
	enum mm_err (*settle)(const struct mm_key *key, struct mm_why *why);
	/* ECDSA (FIPS 186-5) of a digest's first 32 bytes: r and s. */
	enum mm_err (*sign)(const struct mm_key *key,
	    const uint8_t digest[MM_KEY_DIGEST], uint8_t rs[MM_KEY_RS],
	    struct mm_why *why);
	/* MM_OK if there is none any more, or the device is gone. */
	enum mm_err (*remove)(const struct mm_key *key, struct mm_why *why);
	/*
	 * where is of the caller's own configuration: the module or device
	 * that it names is used from now on.  One that is named by a key's
	 * file alone is not, since the file may be anybody's.
	 */
	void (*trust)(const char *where);
};

#define MM_KEY_PROVIDER   "mintmark-key"
#define MM_KEY_CAPABILITY "MINTMARK-KEY-DESK"
#define MM_KEY_LAYOUT     3 /* of all in this file and in key.h */
struct mm_key_desk {
	unsigned layout;
	/* NULL: built without. */
	const struct mm_key_ops *ops[MM_KEY_PLACES];
	/* Why the last signature of this thread failed, told once. */
	bool (*failure)(struct mm_why *out);
	/* A folder that the caller has locked, where PINs that were refused
	 * are noted, so that none is tried twice. */
	void (*notes)(const char *dir);
};

#endif
