#include "station/book.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PAGE = 1024, FIRST = 1024 };

struct page {
	struct mm_unit unit[PAGE];
};

struct mm_book {
	struct page **page;
	size_t n, npages;
	uint32_t *slot; /* 1 + index; 0: free */
	size_t nslots;  /* a power of 2, at least twice n */
};

/* FNV-1a, without case. */
static uint32_t
hash(const char *s)
{
	uint32_t h = UINT32_C(2166136261);

	for (; *s != '\0'; s++) {
		h ^= (uint32_t)tolower((unsigned char)*s);
		h *= UINT32_C(16777619);
	}
	return h;
}

/* see book.h */
enum mm_err
mm_book_new(struct mm_book **out, struct mm_why *why)
{
	struct mm_book *b = calloc(1, sizeof(*b));

	if (b == NULL || (b->slot = calloc(FIRST, sizeof(*b->slot))) == NULL) {
		free(b);
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	}
	b->nslots = FIRST;
	*out = b;
	return MM_OK;
}

/* see book.h */
void
mm_book_free(struct mm_book **owner)
{
	if (*owner == NULL)
		return;
	for (size_t i = 0; i < (*owner)->npages; i++)
		free((*owner)->page[i]);
	free((*owner)->page);
	free((*owner)->slot);
	free(*owner);
	*owner = NULL;
}

/* see book.h */
size_t
mm_book_n(const struct mm_book *b)
{
	return b->n;
}

/* see book.h */
struct mm_unit *
mm_book_at(const struct mm_book *b, size_t i)
{
	return &b->page[i / PAGE]->unit[i % PAGE];
}

/* Where it is, or where it would be. */
static size_t
place(const struct mm_book *b, const char *serial)
{
	size_t i = hash(serial) & (b->nslots - 1);

	while (b->slot[i] != 0 && strcasecmp(
	    mm_book_at(b, b->slot[i] - 1)->serial, serial) != 0)
		i = (i + 1) & (b->nslots - 1);
	return i;
}

/* see book.h */
struct mm_unit *
mm_book_find(const struct mm_book *b, const char *serial)
{
	uint32_t at = b->slot[place(b, serial)];

	return at == 0 ? NULL : mm_book_at(b, at - 1);
}

/* see book.h */
const struct mm_unit *
mm_book_find_key(const struct mm_book *b, const uint8_t spki[32])
{
	static const uint8_t none[32];

	for (size_t i = 0; i < b->n; i++) {
		const struct mm_unit *u = mm_book_at(b, i);

		if (memcmp(u->spki, spki, 32) == 0 &&
		    memcmp(u->cert, none, 32) != 0)
			return u;
	}
	return NULL;
}

static bool
grow_slots(struct mm_book *b)
{
	uint32_t *old = b->slot;

	if (2 * (b->n + 1) <= b->nslots)
		return true;
	b->slot = calloc(2 * b->nslots, sizeof(*b->slot));
	if (b->slot == NULL) {
		b->slot = old;
		return false;
	}
	b->nslots *= 2;
	for (size_t i = 0; i < b->n; i++)
		b->slot[place(b, mm_book_at(b, i)->serial)] =
		    (uint32_t)(i + 1);
	free(old);
	return true;
}

static bool
grow_pages(struct mm_book *b)
{
	struct page **more;

	if (b->n < b->npages * PAGE)
		return true;
	more = realloc(b->page, (b->npages + 1) * sizeof(struct page *));
	if (more == NULL)
		return false;
	b->page = more;
	b->page[b->npages] = calloc(1, sizeof(struct page));
	if (b->page[b->npages] == NULL)
		return false;
	b->npages++;
	return true;
}

/* see book.h */
enum mm_err
mm_book_need(struct mm_book *b, const char *serial, struct mm_unit **out,
    struct mm_why *why)
{
	struct mm_unit *u = mm_book_find(b, serial);

	if (u == NULL) {
		if (!grow_slots(b) || !grow_pages(b))
			return MM_FAIL(why, MM_ENOMEM, "out of memory");
		u = mm_book_at(b, b->n);
		if (!mm_text_copy(u->serial, sizeof(u->serial),
		    mm_bytes_of(serial)))
			return MM_FAIL(why, MM_EINPUT, "serial: too long");
		b->slot[place(b, serial)] = (uint32_t)(b->n + 1);
		b->n++;
	}
	*out = u;
	return MM_OK;
}
