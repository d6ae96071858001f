#include "server/letter.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "server/authorise.h"

enum { VALUE_MAX = 300, LINE_MAX_N = 75 };

/* ---- the head ---- */

static void
put_header(struct mm_buf *out, const char *name, const char *value)
{
	mm_buf_text(out, name);
	mm_buf_text(out, ": ");
	for (size_t i = 0; value[i] != '\0' && i < VALUE_MAX; i++)
		mm_buf_u8(out, value[i] < ' ' || value[i] > '~' ? '?' :
		    (uint8_t)value[i]);
	mm_buf_text(out, "\r\n");
}

/* RFC 5322 3.3; never a locale's names */
static void
put_date(struct mm_buf *out, int64_t at_ms)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t s = (time_t)(at_ms / 1000);
	char text[64];
	struct tm t;

	if (gmtime_r(&s, &t) == NULL)
		return;
	snprintf(text, sizeof(text), "%.3s, %d %.3s %d %02d:%02d:%02d +0000",
	    days + t.tm_wday * 3, t.tm_mday, months + t.tm_mon * 3,
	    t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
	put_header(out, "Date", text);
}

/* Each on a line of its own; RFC 5322 2.2.3 folds. */
static void
put_to(struct mm_buf *out, const struct mm_conf_list *to)
{
	mm_buf_text(out, "To:");
	for (size_t i = 0; i < to->n; i++) {
		mm_buf_text(out, i == 0 ? " <" : ",\r\n <");
		mm_buf_text(out, to->item[i]);
		mm_buf_text(out, ">");
	}
	mm_buf_text(out, "\r\n");
}

/* ---- the body: RFC 2045 6.7 ---- */

static bool
is_literal(uint8_t c, bool last)
{
	if (c == ' ' || c == '\t')
		return !last;
	return c > ' ' && c <= '~' && c != '=';
}

static void
put_quoted(struct mm_buf *out, struct mm_bytes text)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t column = 0;

	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];
		bool last = i + 1 == text.n || text.p[i + 1] == '\n';
		bool literal = is_literal(c, last);

		if (c == '\n') {
			mm_buf_text(out, "\r\n");
			column = 0;
			continue;
		}
		if (column + (literal ? 1 : 3) > LINE_MAX_N) {
			mm_buf_text(out, "=\r\n");
			column = 0;
		}
		/* 3.: a line that begins with a dot could end the mail */
		if (column == 0 && c == '.')
			literal = false;
		if (literal) {
			mm_buf_u8(out, c);
			column++;
			continue;
		}
		mm_buf_u8(out, '=');
		mm_buf_u8(out, (uint8_t)hex[c >> 4]);
		mm_buf_u8(out, (uint8_t)hex[c & 15]);
		column += 3;
	}
}

/* see letter.h */
void
mm_letter_put(struct mm_buf *out, const struct mm_letter *l)
{
	const char *at = strchr(l->set->mail_from, '@');
	char text[VALUE_MAX + 1];

	snprintf(text, sizeof(text), "Mintmark <%s>", l->set->mail_from);
	put_header(out, "From", text);
	put_to(out, &l->set->mail_to);
	put_header(out, "Subject", l->subject);
	put_date(out, l->at_ms);
	snprintf(text, sizeof(text), "<%.100s%.190s>", l->id,
	    at != NULL ? at : "@mintmark.invalid");
	put_header(out, "Message-ID", text);
	/* RFC 3834 5: no vacation answers */
	put_header(out, "Auto-Submitted", "auto-generated");
	put_header(out, "MIME-Version", "1.0");
	put_header(out, "Content-Type", "text/plain; charset=utf-8");
	put_header(out, "Content-Transfer-Encoding", "quoted-printable");
	mm_buf_text(out, "\r\n");
	put_quoted(out, l->text);
}

/* see letter.h */
void
mm_letter_put_clean(struct mm_buf *out, const char *text)
{
	char clean[MM_SAID_TEXT];

	mm_authorise_clean(text, clean);
	mm_buf_text(out, clean);
}
