#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "hsm/hsm.h"

#define PARTS_MAX 32

/* RFC 3986 2.1, in place. */
static void
decode(char *s)
{
	char *to = s;

	for (; *s != '\0'; s++) {
		uint8_t c;

		if (*s == '%' && s[1] != '\0' && s[2] != '\0' &&
		    mm_hex_parse(s + 1, 2, &c, 1, NULL) == MM_OK && c != '\0') {
			*to++ = (char)c;
			s += 2;
		} else
			*to++ = *s;
	}
	*to = '\0';
}

static bool
is_of_key(const char *part)
{
	static const char *const names[] = { "object=", "id=", "type=" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strncmp(part, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* RFC 7512 2.3: all that it says but which key of the token it is, however it
 * is written. */
static enum mm_err
put_token(struct mm_buf *out, const char *uri, struct mm_why *why)
{
	char text[sizeof(((struct mm_issuer_conf *)NULL)->key)];
	char *part[PARTS_MAX], *rest, *p;
	size_t n = 0;

	snprintf(text, sizeof(text), "%s", uri + strlen(MM_TOKEN_URI));
	rest = text + strcspn(text, "?");
	mm_buf_printf(out, "%s\n", rest);
	*rest = '\0';
	for (p = strtok_r(text, ";", &rest); p != NULL;
	     p = strtok_r(NULL, ";", &rest)) {
		if (n == PARTS_MAX)
			return MM_FAIL(why, MM_EINPUT, "key: too many parts");
		decode(p);
		if (!is_of_key(p))
			part[n++] = p;
	}
	qsort(part, n, sizeof(part[0]), by_text);
	for (size_t i = 0; i < n; i++)
		mm_buf_block16(out, mm_bytes_of(part[i]));
	return MM_OK;
}

/* see hsm.h */
enum mm_err
mm_hsm_pin_id(const struct mm_issuer_conf *conf, uint8_t out[32],
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf of = MM_BUF_INIT(1 << 16);

	MM_TRY(put_token(&of, conf->key, why));
	mm_buf_printf(&of, "\n%s\n", conf->pin_file);
	for (size_t i = 0; i < conf->key_environ.n; i++)
		mm_buf_printf(&of, "%s\n", conf->key_environ.item[i]);
	MM_TRY(mm_buf_ok(&of, why));
	mm_sha256(mm_buf_view(&of), out);
	return MM_OK;
}
