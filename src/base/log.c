#include "base/log.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/time.h"

#define LINE_SIZE 4096

/* Set once by mm_log_open before any thread exists, then only read. */
static const char *program_name = "mintmark";
static enum mm_log_level least_level = MM_LOG_INFO;

static const char *const level_names[] = {
	[MM_LOG_DEBUG] = "debug",
	[MM_LOG_INFO] = "info",
	[MM_LOG_WARN] = "warn",
	[MM_LOG_ERROR] = "error",
};

/* A line that is cut, never split: the last byte is kept for LF. */
struct line {
	char p[LINE_SIZE];
	size_t n;
};

/* see log.h */
void
mm_log_open(const char *program, enum mm_log_level least)
{
	program_name = program;
	least_level = least;
}

static void
put_char(struct line *l, char c)
{
	if (l->n < LINE_SIZE - 1)
		l->p[l->n++] = c;
}

static void
put_text(struct line *l, const char *s)
{
	for (; *s != '\0'; s++)
		put_char(l, *s);
}

static bool
plain(unsigned char c)
{
	return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '=';
}

static void
put_escaped(struct line *l, unsigned char c)
{
	static const char digits[] = "0123456789abcdef";

	if (plain(c) || c == ' ' || c == '=') {
		put_char(l, (char)c);
		return;
	}
	put_char(l, '\\');
	if (c == '"' || c == '\\') {
		put_char(l, (char)c);
		return;
	}
	put_char(l, 'x');
	put_char(l, digits[c >> 4]);
	put_char(l, digits[c & 15]);
}

static void
put_value(struct line *l, const char *s)
{
	size_t n = 0;

	while (plain((unsigned char)s[n]))
		n++;
	if (s[n] == '\0' && n > 0) {
		put_text(l, s);
		return;
	}
	put_char(l, '"');
	for (; *s != '\0'; s++)
		put_escaped(l, (unsigned char)*s);
	put_char(l, '"');
}

static void
put_field(struct line *l, const struct mm_kv *kv)
{
	char number[24];

	put_char(l, ' ');
	put_text(l, kv->key);
	put_char(l, '=');
	if (kv->text != NULL) {
		put_value(l, kv->text);
		return;
	}
	snprintf(number, sizeof(number), "%lld", (long long)kv->number);
	put_text(l, number);
}

/* see log.h */
void
mm_log_at(enum mm_log_level level, const char *event, const struct mm_kv *kv,
    size_t nkv)
{
	struct line l;
	char at[MM_TIME_TEXT];
	const struct mm_kv head[] = {
		MM_S("level", level_names[level]),
		MM_S("program", program_name),
		MM_S("event", event),
	};

	if (level < least_level)
		return;
	l.n = 0;
	mm_time_text(mm_now_ms(), at);
	put_text(&l, "time=");
	put_text(&l, at);
	for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++)
		put_field(&l, &head[i]);
	for (size_t i = 0; i < nkv; i++)
		put_field(&l, &kv[i]);
	l.p[l.n++] = '\n';
	/* Nobody is left to tell if standard error is gone. */
	(void)!write(STDERR_FILENO, l.p, l.n);
}
