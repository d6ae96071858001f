#include "server/alarm.h"

#include <string.h>

#include "core/ends.h"
#include "server/attempts.h"

/* see alarm.h */
const char *const mm_severity_words[MM_SEVERITIES + 1] = {
	[MM_SEVERITY_INFO] = "info", [MM_SEVERITY_WARNING] = "warning",
	[MM_SEVERITY_CRITICAL] = "critical", [MM_SEVERITIES] = NULL
};

#define INFO     MM_SEVERITY_INFO
#define WARNING  MM_SEVERITY_WARNING
#define CRITICAL MM_SEVERITY_CRITICAL

/* todo NULL: what core/ends.h or the advice for that refusal says. */
static const struct row {
	const char *reason;
	enum mm_severity severity;
	const char *means, *todo;
} rows[] = {
	{ "token-used-with-another-key", CRITICAL,
	    "Two devices came with one token: one of them is not the true one",
	    "The token is frozen. Find out which is the true device, then: "
	    "mintmark token show, and thaw or cancel" },
	{ "clone-suspected", CRITICAL,
	    "A device showed a certificate that it had replaced: its key may "
	    "be in two places", NULL },
	{ "certificate-unknown", CRITICAL,
	    "A certificate came that one of our CAs signed and the ledger does "
	    "not know: a CA's key may be in wrong hands",
	    "mintmark device why names who came; docs/ca-compromise.md is the "
	    "runbook" },
	{ "key-certified-for-another-device", CRITICAL,
	    "A key came that another device has: it was copied", NULL },
	{ "administrator-recovered", CRITICAL,
	    "Somebody made an administrator on the CA's machine itself",
	    "If nobody of you did: mintmark key list, revoke it, and look at "
	    "the machine" },
	{ "station-ledger-forked", CRITICAL,
	    "A station's ledger does not go on from what it had told",
	    "It was put back to an older state, or copied: mintmark station "
	    "show, and docs/line.md" },
	{ "group-paused", CRITICAL,
	    "Too many other keys came for a bootstrap group's devices, and it "
	    "is paused: a shared key may be in wrong hands",
	    "mintmark group show; mintmark group open goes on" },
	{ "crl-late", CRITICAL,
	    "A revocation list was not signed anew in time", NULL },
	{ "claimed-with-another-key", CRITICAL,
	    "Another key came for a device of a group that has been claimed",
	    NULL },
	{ "key-revoked-as-compromised", CRITICAL,
	    "A device came with a key that was revoked as compromised", NULL },
	{ "old-credential-revoked", CRITICAL,
	    "Somebody came for a group's device with an old certificate that "
	    "is revoked", NULL },
	{ "token-bound-to-another-key", WARNING,
	    "A device came with a token that is bound to another one's key",
	    NULL },
	{ "old-credential-superseded", WARNING,
	    "An old certificate came of a device that has its identity: a "
	    "thief, or firmware that was put back", NULL },
	{ "device-not-of-the-group", WARNING,
	    "A device came with a group's credential and is not on its list",
	    NULL },
	{ "second-fact-differs", WARNING,
	    "A device of a group came with another second fact than is known "
	    "of it", NULL },
	{ "group-closed", WARNING,
	    "A device came with the credential of a group that is closed",
	    NULL },
	{ "unit-of-another-station", WARNING,
	    "A station told of units that another one has made",
	    "Its credential may be stolen: mintmark batch units --station "
	    "says who made them; mintmark key revoke where nobody at the "
	    "station knows of it" },
	{ "too-many-replacements", WARNING,
	    "A device's certificate was replaced or renewed too often in a "
	    "short time",
	    NULL },
	{ "device-in-the-field", WARNING,
	    "A line's credential wanted another key for a device that is in "
	    "the field", NULL },
	{ "too-many-wrong-codes", WARNING, "Codes are being guessed", NULL },
	{ "ocsp-unknown-serial", WARNING,
	    "OCSP was asked about numbers that look like ours and that nobody "
	    "issued: a forged certificate, or somebody guesses",
	    "mintmark event list --types alert says how many; see "
	    "docs/revocation.md" },
	{ "webhook-disabled", WARNING, "The server has given a webhook up",
	    "mintmark webhook list says why; then: mintmark webhook resume" },
	{ "devices-not-renewed", WARNING,
	    "More than one of a hundred certificates in use of a product "
	    "should have been renewed, and were not",
	    "mintmark device silent --product names the devices" },
	{ "unconfirmed", INFO,
	    "Certificates were issued that their devices have not shown",
	    "mintmark cert list --state issued names them" },
	{ "issuer-cuts-short", WARNING,
	    "What that issuer issues from now on ends with it", NULL },
	{ "anchor-ends", WARNING, "A root ends", NULL },
	{ "chain-ends", WARNING, "A CA above an issuer ends", NULL },
	{ "issuer-ends", WARNING, "An issuer ends", NULL },
	{ "line-ca-ends", WARNING, "A station's line CA ends", NULL },
	{ "tls-ends", WARNING, "The server's certificate ends", NULL },
	{ "est-certificate-ends", WARNING,
	    "What an existing CA knows us by (est_certificate) ends", NULL },
	{ "root-crl-ends", WARNING,
	    "The last of the root's revocation lists that were signed "
	    "beforehand ends", NULL },
	{ "credential-ends", WARNING, "A credential ends", NULL },
};

static const struct row *
find(const char *reason)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].reason, reason) == 0)
			return &rows[i];
	return NULL;
}

/* see alarm.h */
enum mm_severity
mm_alarm_severity(const char *reason)
{
	const struct row *r = find(reason);

	return r != NULL ? r->severity : WARNING;
}

/* see alarm.h */
const char *
mm_alarm_means(const char *reason)
{
	const struct row *r = find(reason);

	return r != NULL ? r->means : "";
}

static const char *
todo_of_end(const char *reason)
{
	for (size_t i = 0; i < MM_END_KINDS; i++)
		if (mm_end_rules[i].reason != NULL &&
		    strcmp(mm_end_rules[i].reason, reason) == 0)
			return mm_end_rules[i].todo;
	return NULL;
}

/* see alarm.h */
void
mm_alarm_put_todo(struct mm_buf *out, const char *reason)
{
	const struct row *r = find(reason);
	const char *todo = r != NULL && r->todo != NULL ? r->todo :
	    todo_of_end(reason);

	if (todo != NULL) {
		mm_buf_text(out, todo);
		return;
	}
	for (unsigned i = MM_R_NONE + 1; i < MM_REASON_COUNT; i++)
		if (strcmp(mm_reason_text((enum mm_reason)i), reason) == 0)
			mm_advice_put(out, (enum mm_reason)i,
			    &(struct mm_advice_names){ "", "", "" });
}

/* see alarm.h */
void
mm_alarm_reference(struct mm_buf *out)
{
	mm_buf_text(out, "| reason | severity | means | do |\n"
	    "|---|---|---|---|\n");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		mm_buf_text(out, "| `");
		mm_buf_text(out, rows[i].reason);
		mm_buf_text(out, "` | ");
		mm_buf_text(out, mm_severity_words[rows[i].severity]);
		mm_buf_text(out, " | ");
		mm_buf_text(out, rows[i].means);
		mm_buf_text(out, " | ");
		mm_alarm_put_todo(out, rows[i].reason);
		mm_buf_text(out, " |\n");
	}
}
