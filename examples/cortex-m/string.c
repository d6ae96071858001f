/*
 * The functions of <string.h> that a compiler calls of itself, in the fewest
 * bytes: libc's are made for speed, and take 800 of flash.
 */
#include <string.h>

/* One of each is enough. */
#define ONCE __attribute__((used, noinline))

/* see string.h */
ONCE void *
memcpy(void *restrict to, const void *restrict from, size_t n)
{
	return memmove(to, from, n);
}

/* see string.h */
ONCE void *
memmove(void *to, const void *from, size_t n)
{
	const char *s = from;
	char *p = to;

	if (p > s)
		while (n-- > 0)
			p[n] = s[n];
	else
		while (n-- > 0)
			*p++ = *s++;
	return to;
}

/* see string.h */
ONCE void *
memset(void *to, int c, size_t n)
{
	for (char *p = to; n-- > 0;)
		*p++ = (char)c;
	return to;
}

/* see string.h */
ONCE int
memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *p = a, *q = b;
	int d = 0;

	for (; d == 0 && n > 0; n--)
		d = *p++ - *q++;
	return d;
}

/* see string.h */
ONCE size_t
strlen(const char *s)
{
	size_t n = 0;

	while (s[n] != '\0')
		n++;
	return n;
}
