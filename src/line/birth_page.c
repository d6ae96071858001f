/* The birth record as a page for people, and the reference of its facts. */
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "line/birth_priv.h"
#include "line/qr.h"

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
    "'none'; style-src 'unsafe-inline'\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n";

static const char style[] =
    "<style>\n"
    "@page { size: A4; margin: 12mm }\n"
    "body { font: 13px/1.35 system-ui, sans-serif; color: #111; "
    "background: #fff; max-width: 186mm; margin: 0 auto; padding: 4mm }\n"
    "header { display: flex; gap: 8mm; align-items: flex-start }\n"
    "header div { flex: 1 }\n"
    "header svg { width: 34mm; flex: none }\n"
    "h1 { font-size: 22px; margin: 0 0 2mm; overflow-wrap: anywhere }\n"
    "h2 { font-size: 14px; margin: 4mm 0 1mm }\n"
    "p { margin: 1mm 0 }\n"
    "table { border-collapse: collapse; width: 100% }\n"
    "th, td { text-align: left; vertical-align: top; padding: .6mm 2mm "
    ".6mm 0; border-top: 1px solid #ccc; overflow-wrap: anywhere }\n"
    "th { font-weight: 600; width: 34% }\n"
    "code { font: 11px/1.3 ui-monospace, monospace }\n"
    "ul { margin: 1mm 0; padding-left: 5mm }\n"
    "</style>\n";

/* In the order of the page. */
static const struct {
	enum mm_birth_grade grade;
	const char *title, *means;
} groups[] = {
	{ MM_PROVED, "\u2714 Proved", "Follows from the certificate, the "
	    "receipts and pinned keys; anybody can check it offline." },
	{ MM_OBSERVED, "\u25c9 Observed", "The CA or a station saw it itself, "
	    "and says so." },
	{ MM_CLAIMED, "\u25cb Claimed", "The word of the device, its firmware "
	    "or a person; nobody has checked it." },
};

static const char *const does_not[] = {
	"That the key cannot be read from the chip: how it is stored is the "
	"firmware's claim.",
	"That the key is random: that it was not seen before is all that is "
	"checked.",
	"Which firmware runs now, or what has happened to the device since.",
	"That the certificate is still good: ask OCSP or a revocation list.",
	"That the times are right beyond the clock that is named.",
};

/* see birth.h */
void
mm_birth_put_text(struct mm_buf *out, const char *s)
{
	for (; *s != '\0'; s++)
		switch (*s) {
		case '<': mm_buf_text(out, "&lt;"); break;
		case '>': mm_buf_text(out, "&gt;"); break;
		case '&': mm_buf_text(out, "&amp;"); break;
		case '"': mm_buf_text(out, "&quot;"); break;
		default: mm_buf_u8(out, (uint8_t)*s);
		}
}

/* "key_sha256" as "key sha256" */
static void
put_name(struct mm_buf *out, const char *name)
{
	for (; *name != '\0'; name++)
		mm_buf_u8(out, *name == '_' ? ' ' : (uint8_t)*name);
}

static void
put_group(struct mm_buf *out, const struct mm_birth *b, size_t g)
{
	bool any = false;

	for (size_t i = 0; i < MM_BIRTH_COUNT; i++)
		any = any || (b->value[i][0] != '\0' &&
		    b->grade[i] == groups[g].grade);
	if (!any)
		return;
	mm_buf_printf(out, "<h2>%s</h2>\n<p>%s</p>\n<table>\n",
	    groups[g].title, groups[g].means);
	for (size_t i = 0; i < MM_BIRTH_COUNT; i++) {
		if (b->value[i][0] == '\0' || b->grade[i] != groups[g].grade)
			continue;
		mm_buf_text(out, "<tr><th>");
		put_name(out, mm_birth_rows[i].name);
		mm_buf_text(out, "</th><td>");
		mm_buf_text(out, strlen(b->value[i]) > 40 ? "<code>" : "");
		mm_birth_put_text(out, b->value[i]);
		mm_buf_text(out, strlen(b->value[i]) > 40 ? "</code>" : "");
		mm_buf_text(out, "</td></tr>\n");
	}
	mm_buf_text(out, "</table>\n");
}

static enum mm_err
put_header(struct mm_buf *out, const struct mm_birth *b, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf json = MM_BUF_INIT(2 * MM_BIRTH_MAX);
	MM_OWN(mm_buf_done) struct mm_buf code = MM_BUF_INIT(256);
	char hash[2 * 32 + 1];
	uint8_t sha[32];

	MM_TRY(mm_birth_encode(b, &json, why));
	mm_sha256(mm_buf_view(&json), sha);
	mm_hex_text(sha, sizeof(sha), hash);
	mm_buf_printf(&code, "mintmark-birth:%s:sha256:%s",
	    b->value[MM_B_device], hash);
	mm_buf_text(out, head);
	mm_buf_text(out, "<title>Birth record of ");
	mm_birth_put_text(out, b->value[MM_B_device]);
	mm_buf_printf(out, "</title>\n%s</head>\n<body>\n<header><div>\n"
	    "<h1>", style);
	mm_birth_put_text(out, b->value[MM_B_device]);
	mm_buf_printf(out, "</h1>\n<p>Birth record.  SHA-256 of its JSON:<br>"
	    "<code>%s</code></p>\n<p>Check it with its JSON, the ledger's key "
	    "and the root: <code>mintmark device birth-record --verify FILE "
	    "--key KEY --root ROOT</code></p>\n</div>\n", hash);
	MM_TRY(mm_buf_ok(&code, why));
	MM_TRY(mm_qr_svg(mm_buf_cstr(&code), out, why));
	mm_buf_text(out, "\n</header>\n");
	return mm_buf_ok(out, why);
}

/* see birth.h */
enum mm_err
mm_birth_html(const struct mm_birth *b, struct mm_buf *out,
    struct mm_why *why)
{
	MM_TRY(put_header(out, b, why));
	for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++)
		put_group(out, b, g);
	mm_buf_text(out, "<h2>What this does not prove</h2>\n<ul>\n");
	for (size_t i = 0; i < sizeof(does_not) / sizeof(does_not[0]); i++)
		mm_buf_printf(out, "<li>%s</li>\n", does_not[i]);
	mm_buf_text(out, "</ul>\n</body>\n</html>\n");
	return mm_buf_ok(out, why);
}

/* see birth.h */
void
mm_birth_print_reference(struct mm_buf *out)
{
	mm_buf_text(out, "# Birth record reference\n\n"
	    "Made by `mintmark reference birth-record`; do not edit.\n\n"
	    "The facts of a birth record, the best grade that each can have, "
	    "and clauses that ask for something of the kind.  What is derived "
	    "comes from certificate and receipts alone; the rest is said by "
	    "the station that made the device.  "
	    "[outputs.md](../outputs.md#birth-records) shows how a record is "
	    "made and checked.\n\n"
	    "| Fact | Says | At best | Derived | Asked for by |\n"
	    "|---|---|---|---|---|\n");
	for (size_t i = 0; i < MM_BIRTH_COUNT; i++) {
		const struct mm_birth_row *r = &mm_birth_rows[i];

		mm_buf_printf(out, "| `%s` | %s | %s | %s | %s |\n", r->name,
		    r->says, mm_birth_grade_name(r->best),
		    r->derived ? "yes" : "", r->clauses);
	}
	mm_buf_text(out, "\nGrades:\n\n");
	for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++)
		mm_buf_printf(out, "- **%s**: %s\n",
		    mm_birth_grade_name(groups[g].grade), groups[g].means);
	mm_buf_text(out, "\nWhat a record does not prove:\n\n");
	for (size_t i = 0; i < sizeof(does_not) / sizeof(does_not[0]); i++)
		mm_buf_printf(out, "- %s\n", does_not[i]);
}
