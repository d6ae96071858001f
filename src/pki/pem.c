#include <stdio.h>
#include <string.h>

#include "pki/priv.h"

/* see cert.h */
void
mm_pem_put(struct mm_buf *out, const char *label, struct mm_bytes der)
{
	mm_buf_printf(out, "-----BEGIN %s-----\n", label);
	mm_base64_put(out, der, 64);
	if (out->n > 0 && out->p[out->n - 1] != '\n')
		mm_buf_u8(out, '\n');
	mm_buf_printf(out, "-----END %s-----\n", label);
}

/* Where this text begins a line; NULL if it does not. */
static const uint8_t *
find_line(struct mm_bytes in, const char *text)
{
	const uint8_t *p = in.p, *end = in.p + in.n;
	size_t n = strlen(text);

	while ((p = memmem(p, (size_t)(end - p), text, n)) != NULL) {
		if (p == in.p || p[-1] == '\n' || p[-1] == '\r')
			return p;
		p++;
	}
	return NULL;
}

/* see cert.h; RFC 7468 2: text around the block is for people */
enum mm_err
mm_pem_next(struct mm_bytes *rest, const char *label, struct mm_buf *der,
    struct mm_why *why)
{
	const uint8_t *begin, *body, *end, *stop;
	char first[80], last[80];
	size_t first_n, last_n;

	first_n = (size_t)snprintf(first, sizeof(first), "-----BEGIN %s-----",
	    label);
	last_n = (size_t)snprintf(last, sizeof(last), "-----END %s-----",
	    label);
	MM_INVARIANT(first_n < sizeof(first));
	begin = rest->n == 0 ? NULL : find_line(*rest, first);
	if (begin == NULL)
		return MM_FAIL(why, MM_ENOTFOUND, "no %s in PEM", label);
	body = begin + first_n;
	stop = rest->p + rest->n; /* there is something: p is no NULL */
	end = find_line((struct mm_bytes){ body, (size_t)(stop - body) }, last);
	if (end == NULL)
		return MM_FAIL(why, MM_EINPUT,
		    "PEM: RFC 7468 2: %s has no end", label);
	mm_buf_reset(der);
	MM_TRY(mm_base64_parse((struct mm_bytes){ body,
	    (size_t)(end - body) }, der, why));
	if (der->n == 0)
		return MM_FAIL(why, MM_EINPUT, "PEM: %s is empty", label);
	rest->p = end + last_n;
	rest->n = (size_t)(stop - rest->p);
	return MM_OK;
}
