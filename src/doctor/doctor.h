#ifndef MM_DOCTOR_H
#define MM_DOCTOR_H

#include "base/buf.h"
#include "base/settings.h"
#include "pki/profile.h"
#include "store/store.h"

/*
 * "mintmark doctor": what is wrong, and what to do about it.
 *
 * A check looks at one thing and adds findings; it changes nothing.  What
 * needs the configuration alone is here, for the server and for a machine
 * whose server is down; what needs a running core is server/rest_doctor.c's,
 * what needs to be elsewhere (clock, reachability) cli/doctor.c's.  All of
 * them are rows of one table, from which the reference is made.
 */
enum mm_level { MM_LEVEL_OK, MM_LEVEL_WARN, MM_LEVEL_FAIL, MM_LEVELS };
const char *mm_level_name(enum mm_level l); /* "ok", "warn", "fail" */

#define MM_DOCTOR_CHECKS(X)                                               \
	X(MODE, "mode")                                                   \
	X(USERS, "users") X(URLS, "urls") X(FILES, "files")               \
	    X(CERTIFICATES, "certificates") X(DISK, "disk")               \
		X(DATABASE, "database") X(SANDBOX, "sandbox")             \
		    X(SIGNER, "signer") X(LEDGER, "ledger") X(CRL, "crl") \
			X(UPSTREAM, "upstream") \
			X(KEYS, "keys") X(LOAD, "load")               \
			X(AUTHORISE, "authorise") X(WEBHOOKS, "webhooks") X(MAIL, "mail") X(GROUPS, "groups") \
			X(CONFIGURATIONS, "configurations") X(CLOCK, "clock") \
			    X(VERSION, "version") X(SERVER, "server")     \
				X(PUBLIC, "public")
enum mm_check_id {
#define X(id, name) MM_CHECK_##id,
	MM_DOCTOR_CHECKS(X)
#undef X
	    MM_CHECKS
};
const char *mm_doctor_check_name(enum mm_check_id id);
/* The table as Markdown. */
void mm_doctor_reference(struct mm_buf *out);

struct mm_finding {
	enum mm_check_id check;
	enum mm_level level;
	char what[200]; /* one sentence, without its full stop */
	char todo[200]; /* "" with MM_LEVEL_OK */
};
#define MM_FINDINGS_MAX 64
struct mm_findings { /* what no longer fits is left out */
	size_t n;
	struct mm_finding f[MM_FINDINGS_MAX];
};
/* todo NULL: it is good. */
void mm_find(struct mm_findings *f, enum mm_check_id check, enum mm_level level,
    const char *todo, const char *fmt, ...) MM_PRINTF(5);
enum mm_level mm_findings_worst(const struct mm_findings *f);

/* Settings, files and disks; path: the configuration's own. */
void mm_doctor_config(
    const struct mm_config *c, const char *path, struct mm_findings *f);
/* Certificates of the CA itself, from their files ... */
void mm_doctor_certs(const struct mm_config *c, struct mm_findings *f);
/* ... or one that is known; name "" where there is one of the kind only. */
enum mm_ends {
	MM_ENDS_TLS, MM_ENDS_ANCHOR, MM_ENDS_ISSUER, MM_ENDS_BEFORE,
	MM_ENDS_EST
};
void mm_doctor_end(enum mm_ends kind, const char *name, int64_t not_after_s,
    struct mm_findings *f);
/* Whether an issuer's end cuts short what it issues, now or soon; another one
 * that takes its place in time says no. */
void mm_doctor_life(const struct mm_config *c, const struct mm_issuer_conf *i,
    int64_t not_after_s, struct mm_findings *f);
/* url: the setting.  r NULL: why says why it cannot be opened.  deep: every
 * page is read, where it is files. */
void mm_doctor_database(const char *url, struct mm_store_reader *r, bool deep,
    const struct mm_why *why, struct mm_findings *f);

/* The judgements, for tests. */
enum mm_level mm_doctor_end_level(int64_t left_s);
enum mm_level mm_doctor_space_level(
    uint64_t free_, uint64_t all, uint64_t few, uint64_t least);

#endif
