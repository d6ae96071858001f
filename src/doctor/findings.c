#include <stdarg.h>
#include <stdio.h>

#include "doctor/doctor.h"

static const char *const levels[MM_LEVELS] = { "ok", "warn", "fail" };

/* see doctor.h */
const char *
mm_level_name(enum mm_level l)
{
	return levels[l];
}

/* What each check looks at, where, and when it complains. */
static const struct {
	const char *name, *where, *looks, *warn, *fail;
} checks[MM_CHECKS] = {
#define X(id, name) [MM_CHECK_##id] = { name, ROW_##id },
#define ROW_MODE    "server, here", "test or production", "test mode", ""
#define ROW_USERS                                         \
	"server, here", "the users of server and signer", \
	    "one user for both (test mode)", "one user for both in production"
#define ROW_URLS                                                 \
	"server, here", "public_url and devices_url",            \
	    "a name that only this machine follows (test mode)", \
	    "the same in production"
#define ROW_FILES                                                      \
	"server, here",                                                \
	    "modes of the configuration and of files with a secret", \
	    "the file is not there or cannot be looked at",            \
	    "others may read a secret, or write the configuration"
#define ROW_CERTIFICATES                                             \
	"server, here",                                              \
	    "trust anchor, issuers, TLS certificate, est_certificate", \
	    "ends in less than 30 days",                             \
	    "ends in less than 3 days, or unreadable"
#define ROW_DISK                                                         \
	"server, here", "space and inodes of server_dir and signer_dir", \
	    "less than 10 % and 5 GiB free; inodes: 10 %",               \
	    "less than 2 % and 1 GiB free; inodes: 2 %"
#define ROW_DATABASE                                                         \
	"server, here",                                                      \
	    "SQLite: journal mode; with --deep a quick check of every page. " \
	    "PostgreSQL: version, what it keeps through a crash, "           \
	    "partitions, connections",                                       \
	    "PostgreSQL: no partition for next year, 80 % of the "           \
	    "connections in use",                                            \
	    "not reached; SQLite: not in WAL mode, or damaged; PostgreSQL: " \
	    "could lose what it has committed"
#define ROW_SANDBOX \
	"server", "seccomp and landlock", "the kernel lacks a part", ""
#define ROW_SIGNER                                        \
	"server",                                         \
	    "signer: up, issuing, ceilings, outstanding " \
	    "signatures, restarts",                       \
	    "a ceiling at 80 %, 1,000 outstanding, or "   \
	    "three restarts",                             \
	    "down, not issuing, or a ceiling reached"
#define ROW_LEDGER                                                          \
	"server", "size in store and core; the checkpoint", "",             \
	    "the sizes differ, or entries are older than a minute and not " \
	    "covered"
#define ROW_CRL                                                             \
	"server", "each issuer's revocation list, and its shards'",         \
	    "past 60 % of its time; shards without a list", "none, or ended"
#define ROW_UPSTREAM                                                        \
	"server", "each existing CA that is asked for certificates (exec, est)", \
	    "something came that is not released, or it is not known "      \
	    "what was made, or the registrar ended, since the start; the "  \
	    "server's user asks it; a profile of it has no ceiling",        \
	    "it does not answer, or nobody is there to ask it"
#define ROW_KEYS                                               \
	"server", "operators' credentials",                    \
	    "one ends in less than 14 days, the last "         \
	    "administrator's in less than 30; four_eyes with " \
	    "one administrator",                               \
	    "no administrator's is left"
#define ROW_LOAD                                      \
	"server", "connections and file descriptors", \
	    "over 80 % of what is allowed", ""
#define ROW_AUTHORISE                                                   \
	"server", "who is asked before a first enrolment (authorise_url)", \
	    "no secret was made yet",                                   \
	    "the last question had no answer that counts, or the secret cannot " \
	    "be read"
#define ROW_WEBHOOKS                                                    \
	"server", "webhooks: disabled, failing, dead letters",          \
	    "one was disabled, fails for an hour, or has dead letters; of "  \
	    "several nodes this one lacks webhook.key", ""
#define ROW_MAIL                                               \
	"server", "mails of alerts (mail_to)",                 \
	    "the mail server did not take the last one; other nodes mail, " \
	    "and this one has no mail_to", ""
#define ROW_GROUPS                                                           \
	"server",                                                            \
	    "shared secrets: bootstrap groups that take old credentials, "   \
	    "how far each has come",                                         \
	    "an open one is past its end, paused by conflicts, or has "        \
	    "devices that wait",                                               \
	    ""
#define ROW_CONFIGURATIONS                                                 \
	"server",                                                          \
	    "configuration in the field: devices behind (of the first "    \
	    "2,000 that ever asked), the certificate of the key that "     \
	    "signs it; initial ones of 50 batches that are not closed",    \
	    "over 10 % have not taken what is a week old; a batch of "     \
	    "before they were salted",                                     \
	    "no issuer certifies that key"
#define ROW_CLOCK                                   \
	"server, client",                           \
	    "clocks: server, signer, its journal, " \
	    "this machine",                         \
	    "they differ by 5 seconds", "by a minute, or the journal is ahead"
#define ROW_VERSION                                                      \
	"server, client", "versions of server, signer and this program", \
	    "they differ", ""
#define ROW_SERVER                                                    \
	"client", "the server answers to this key, and is ready", "", \
	    "no answer, or it is not ready"
#define ROW_PUBLIC                                       \
	"client",                                        \
	    "public_url from here: each CRL and issuer " \
	    "certificate",                               \
	    "", "not reached, or a CRL that has ended"
	MM_DOCTOR_CHECKS(X)
#undef X
};

/* see doctor.h */
const char *
mm_doctor_check_name(enum mm_check_id id)
{
	return checks[id].name;
}

static const char *
or_none(const char *text)
{
	return text[0] != '\0' ? text : "-";
}

/* see doctor.h */
void
mm_doctor_reference(struct mm_buf *out)
{
	mm_buf_text(out, "| check | where | looks at | WARN | FAIL |\n"
			 "|---|---|---|---|---|\n");
	for (size_t i = 0; i < MM_CHECKS; i++)
		mm_buf_printf(out, "| `%s` | %s | %s | %s | %s |\n",
		    checks[i].name, checks[i].where, checks[i].looks,
		    or_none(checks[i].warn), or_none(checks[i].fail));
}

/* see doctor.h */
void
mm_find(struct mm_findings *f, enum mm_check_id check, enum mm_level level,
    const char *todo, const char *fmt, ...)
{
	struct mm_finding *at;
	va_list ap;

	if (f->n == MM_FINDINGS_MAX)
		return;
	at = &f->f[f->n++];
	*at = (struct mm_finding){ .check = check, .level = level };
	va_start(ap, fmt);
	(void)vsnprintf(at->what, sizeof(at->what), fmt, ap);
	va_end(ap);
	if (level != MM_LEVEL_OK && todo != NULL)
		(void)snprintf(at->todo, sizeof(at->todo), "%s", todo);
}

/* see doctor.h */
enum mm_level
mm_findings_worst(const struct mm_findings *f)
{
	enum mm_level worst = MM_LEVEL_OK;

	for (size_t i = 0; i < f->n; i++)
		if (f->f[i].level > worst)
			worst = f->f[i].level;
	return worst;
}
