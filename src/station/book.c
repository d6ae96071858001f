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
	/* The same by key.  A place stays when its unit has another key: what
	 * is found is compared with what the unit has now. */
	uint32_t *key;
	size_t nkeys, nkeyslots;
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
	free((*owner)->key);
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

/* ---- by key ---- */

/* It is a hash. */
static size_t
key_place(const struct mm_book *b, const uint8_t spki[32])
{
	uint32_t h;

	memcpy(&h, spki, sizeof(h));
	return h & (b->nkeyslots - 1);
}

static bool
has_key(const uint8_t spki[32])
{
	static const uint8_t none[32];

	return memcmp(spki, none, sizeof(none)) != 0;
}

/* see book.h */
const struct mm_unit *
mm_book_find_key(const struct mm_book *b, const uint8_t spki[32])
{
	uint32_t first = UINT32_MAX;

	if (b->nkeyslots == 0 || !has_key(spki))
		return NULL;
	for (size_t i = key_place(b, spki); b->key[i] != 0;
	     i = (i + 1) & (b->nkeyslots - 1)) {
		const struct mm_unit *u = mm_book_at(b, b->key[i] - 1);

		if (b->key[i] < first && memcmp(u->spki, spki, 32) == 0 &&
		    has_key(u->cert))
			first = b->key[i];
	}
	return first == UINT32_MAX ? NULL : mm_book_at(b, first - 1);
}

/* Which unit it is is 1 + its index. */
static void
put_key(struct mm_book *b, uint32_t which, const uint8_t spki[32])
{
	size_t i = key_place(b, spki);

	while (b->key[i] != 0 && b->key[i] != which)
		i = (i + 1) & (b->nkeyslots - 1);
	b->nkeys += b->key[i] == 0;
	b->key[i] = which;
}

/* Made anew of what the units have now; at most half of it is taken. */
static bool
grow_keys(struct mm_book *b)
{
	size_t live = 0, n = FIRST;
	uint32_t *slot;

	if (2 * (b->nkeys + 1) <= b->nkeyslots)
		return true;
	for (size_t i = 0; i < b->n; i++)
		live += has_key(mm_book_at(b, i)->spki);
	while (n < 4 * (live + 1))
		n *= 2;
	slot = calloc(n, sizeof(*slot));
	if (slot == NULL)
		return false;
	free(b->key);
	b->key = slot;
	b->nkeyslots = n;
	b->nkeys = 0;
	for (size_t i = 0; i < b->n; i++)
		if (has_key(mm_book_at(b, i)->spki))
			put_key(b, (uint32_t)(i + 1), mm_book_at(b, i)->spki);
	return true;
}

/* see book.h */
enum mm_err
mm_book_key(struct mm_book *b, const struct mm_unit *u, const uint8_t spki[32],
    struct mm_why *why)
{
	if (!has_key(spki))
		return MM_OK;
	if (!grow_keys(b))
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	put_key(b, b->slot[place(b, u->serial)], spki);
	return MM_OK;
}

/* ---- making room ---- */

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
