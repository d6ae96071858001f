#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/bulk.h"

/* see bulk.h */
void
mm_csv_close(struct mm_csv *c)
{
	if (c->f != NULL && c->f != stdin)
		fclose(c->f);
	free(c->text);
	free(c->head);
	memset(c, 0, sizeof(*c));
}

static enum mm_err
bad(const struct mm_csv *c, struct mm_why *why, const char *what)
{
	return MM_FAIL(why, MM_EINPUT, "%.80s: row %llu: %s", c->path, c->row,
	    what);
}

/* Its end was not found: what was read so far is not all there is. */
static enum mm_err
unreadable(const struct mm_csv *c, struct mm_why *why)
{
	return MM_FAIL(why, MM_ESYS, "%.80s: row %llu: cannot be read: %s",
	    c->path, c->row, strerror(errno));
}

/* ---- a record, character by character (RFC 4180 2) ---- */

enum place { START, BARE, QUOTED, CLOSED, PLACES }; /* in a cell */
enum kind { OTHER, QUOTE, COMMA, LINE_FEED, RETURN, KINDS };
enum act { ADD, PASS, CELL, END, WRONG };

static const struct step {
	enum act act;
	enum place next;
} steps[PLACES][KINDS] = {
	[START] = { [OTHER] = { ADD, BARE }, [QUOTE] = { PASS, QUOTED },
	    [COMMA] = { CELL, START }, [LINE_FEED] = { END, START },
	    [RETURN] = { PASS, START } },
	[BARE] = { [OTHER] = { ADD, BARE }, [QUOTE] = { ADD, BARE },
	    [COMMA] = { CELL, START }, [LINE_FEED] = { END, START },
	    [RETURN] = { PASS, BARE } },
	[QUOTED] = { [OTHER] = { ADD, QUOTED }, [QUOTE] = { PASS, CLOSED },
	    [COMMA] = { ADD, QUOTED }, [LINE_FEED] = { ADD, QUOTED },
	    [RETURN] = { ADD, QUOTED } },
	[CLOSED] = { [OTHER] = { WRONG, CLOSED }, [QUOTE] = { ADD, QUOTED },
	    [COMMA] = { CELL, START }, [LINE_FEED] = { END, START },
	    [RETURN] = { PASS, CLOSED } },
};

static enum kind
kind_of(int ch)
{
	static const char kinds[] = { [QUOTE] = '"', [COMMA] = ',',
		[LINE_FEED] = '\n', [RETURN] = '\r' };
	const char *at = memchr(kinds + QUOTE, ch, sizeof(kinds) - QUOTE);

	return at == NULL ? OTHER : (enum kind)(at - kinds);
}

/* Why not, or NULL. */
static const char *
put(struct mm_csv *c, char *text, size_t *at, enum act act, int ch)
{
	if (act == WRONG)
		return "text after a quote";
	if (act == ADD)
		text[(*at)++] = (char)ch;
	if (act != CELL)
		return NULL;
	text[(*at)++] = '\0';
	if (c->n == MM_CSV_COLUMNS)
		return "too many columns";
	c->cell[c->n++] = text + *at;
	return NULL;
}

static enum mm_err
record(struct mm_csv *c, char *text, struct mm_why *why)
{
	struct step step = { PASS, START };
	const char *fault = NULL;
	size_t at = 0;
	int ch = '\0';

	c->whole = false;
	c->n = 0;
	c->cell[c->n++] = text;
	while (step.act != END && (ch = getc(c->f)) != EOF) {
		c->read++;
		if (at + 2 >= MM_CSV_LINE || ch == '\0')
			return bad(c, why, ch ? "too long" : "NUL in it");
		step = steps[step.next][kind_of(ch)];
		fault = put(c, text, &at, step.act, ch);
		if (fault != NULL)
			return bad(c, why, fault);
	}
	if (ferror(c->f))
		return unreadable(c, why);
	if (step.next == QUOTED)
		return bad(c, why, "quote not closed");
	text[at] = '\0';
	c->whole = true;
	return ch == EOF && at == 0 && c->n == 1 ? MM_ENOTFOUND : MM_OK;
}

static enum mm_err
header(struct mm_csv *c, struct mm_why *why)
{
	enum mm_err rc = record(c, c->head, NULL);

	if (rc == MM_ESYS)
		return unreadable(c, why);
	return rc == MM_OK ? MM_OK : MM_FAIL(why, MM_EINPUT,
	    "%.100s: no header line", c->path);
}

/* see bulk.h */
enum mm_err
mm_csv_over(struct mm_csv *c, FILE *take_f, const char *path,
    struct mm_why *why)
{
	*c = (struct mm_csv){ .path = path, .f = take_f };
	c->text = malloc(MM_CSV_LINE);
	c->head = malloc(MM_CSV_LINE);
	if (c->text == NULL || c->head == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	MM_TRY(header(c, why));
	/* A byte order mark, as spreadsheets write it. */
	if (strncmp(c->head, "\xef\xbb\xbf", 3) == 0)
		c->cell[0] += 3;
	memcpy(c->name, c->cell, sizeof(c->name));
	c->nnames = c->n;
	return MM_OK;
}

/* see bulk.h */
enum mm_err
mm_csv_open(struct mm_csv *c, const char *path, struct mm_why *why)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");

	*c = (struct mm_csv){ .path = path };
	if (f == NULL)
		return MM_FAIL(why, errno == ENOENT ? MM_ENOTFOUND : MM_ESYS,
		    "%.100s: %s", path, strerror(errno));
	return mm_csv_over(c, f, path, why);
}

/* see bulk.h */
enum mm_err
mm_csv_next(struct mm_csv *c, struct mm_why *why)
{
	c->row++;
	MM_TRY(record(c, c->text, why));
	if (c->n != c->nnames)
		return bad(c, why, "not as many cells as the header has");
	return MM_OK;
}

/* see bulk.h */
enum mm_err
mm_csv_names(const struct mm_csv *c, const char *shown, struct mm_why *why)
{
	for (size_t i = 0; i < c->nnames; i++) {
		if (!mm_utf8_valid(mm_bytes_of(c->name[i])))
			return MM_FAIL(why, MM_EINPUT, "%.80s: a column's "
			    "name is not UTF-8", shown);
		for (size_t k = 0; k < i; k++)
			if (strcmp(c->name[i], c->name[k]) == 0)
				return MM_FAIL(why, MM_EINPUT, "%.80s: column "
				    "\"%.40s\" twice", shown, c->name[i]);
	}
	return MM_OK;
}

/* see bulk.h */
bool
mm_csv_has(const struct mm_csv *c, const char *name)
{
	for (size_t i = 0; i < c->nnames; i++)
		if (strcmp(c->name[i], name) == 0)
			return true;
	return false;
}

/* see bulk.h */
const char *
mm_csv_get(const struct mm_csv *c, const char *name)
{
	for (size_t i = 0; i < c->nnames; i++)
		if (strcmp(c->name[i], name) == 0)
			return c->cell[i];
	return NULL;
}

/* see bulk.h */
void
mm_csv_put(FILE *f, const char *cell, bool last)
{
	bool formula = cell[0] != '\0' && strchr("=+-@\t\r", cell[0]);

	if (formula || strpbrk(cell, ",\"\r\n") != NULL) {
		fputs(formula ? "\"'" : "\"", f);
		for (; *cell != '\0'; cell++) {
			if (*cell == '"')
				fputc('"', f);
			fputc(*cell, f);
		}
		fputc('"', f);
	} else
		fputs(cell, f);
	fputc(last ? '\n' : ',', f);
}
