#include <string.h>

#include "cli/cmd.h"

/* The problem types of the REST API: docs/reference/problems.md. */

static const struct {
	enum mm_err code;
	const char *text;
} rows[] = {
	{ MM_EINPUT, "the request is not well formed, or says what cannot be: "
	    "`detail` names the member or parameter" },
	{ MM_EAUTH, "there is no API key, or a wrong one" },
	{ MM_EPOLICY, "the key's roles, a profile or a rule do not allow it; "
	    "with 405, the path has other methods (`Allow`)" },
	{ MM_ENOTFOUND, "there is no such thing, or no such path" },
	{ MM_ECONFLICT, "it exists already, or its state forbids it" },
	{ MM_EBUSY, "a request with this `Idempotency-Key` is being answered: "
	    "`Retry-After` says when to come again" },
	{ MM_EUSED, "this `Idempotency-Key` was used for another request" },
	{ MM_EUNSURE, "an earlier call with this `Idempotency-Key` was begun "
	    "and has no answer: it may have been carried out, and this one "
	    "was not; look, then use a new key" },
	{ MM_ESTALE, "`If-Match` names another version: read it again" },
	{ MM_ELIMIT, "the body, the path (414) or the head (431) is too "
	    "large" },
	{ MM_ERATE, "a ceiling is reached: `Retry-After` says when again" },
	{ MM_EAGAIN, "not now, and nothing has happened; with 408, the request "
	    "did not come in time" },
	{ MM_ESYS, "the server is at fault and says so in its log under "
	    "`request_id`; whether it happened must be looked up" },
};

/* see cmd.h */
void
mm_print_problems(FILE *f)
{
	fputs("# Problem types\n\nMade by `mintmark reference problems`; do "
	      "not edit.\n\nA refusal is a problem (RFC 9457) whose `type` is "
	      "one of these; they are part of the API and do not change. "
	      "`title` is the type's last part, `detail` is for people, "
	      "`reason` stands where a device could show it, and "
	      "`request_id` is what the server's log has.\n\n"
	      "| type | status | exit status of `mintmark` | says |\n"
	      "|---|---|---|---|\n", f);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		fprintf(f, "| `https://mintmark.dev/problems/%s` | %d | %d | "
		    "%s |\n", mm_err_slug(rows[i].code),
		    mm_err_http(rows[i].code), mm_err_exit(rows[i].code),
		    rows[i].text);
}
