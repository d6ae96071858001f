#include "signer/outset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pki/key.h"

#define NONE UINT32_MAX

struct mm_outset {
	size_t n;
	uint32_t first, last, spare; /* spare: a list by chain */
	uint32_t bucket[MM_OUTSET_MAX];
	struct mm_outset_item item[MM_OUTSET_MAX];
};

/* see outset.h */
enum mm_err
mm_outset_new(struct mm_outset **out, struct mm_why *why)
{
	struct mm_outset *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	s->first = s->last = NONE;
	for (uint32_t i = 0; i < MM_OUTSET_MAX; i++) {
		s->bucket[i] = NONE;
		s->item[i].chain = i + 1 < MM_OUTSET_MAX ? i + 1 : NONE;
	}
	*out = s;
	return MM_OK;
}

/* see outset.h */
void
mm_outset_free(struct mm_outset **owner)
{
	free(*owner);
	*owner = NULL;
}

/* The last bytes of a serial are random. */
static uint32_t
hash(const uint8_t serial[16])
{
	uint32_t h;

	memcpy(&h, serial + 12, sizeof(h));
	return h % MM_OUTSET_MAX;
}

static uint32_t
find(const struct mm_outset *s, const uint8_t serial[16])
{
	uint32_t i = s->bucket[hash(serial)];

	while (i != NONE && memcmp(s->item[i].line.serial, serial, 16) != 0)
		i = s->item[i].chain;
	return i;
}

/* see outset.h */
struct mm_journal_line
mm_outset_crl(const struct mm_journal_line *l)
{
	struct mm_journal_line out = *l;
	char text[MM_NAME_MAX + 32];
	uint8_t sha256[32];

	snprintf(text, sizeof(text), "crl %s %llu", l->issuer,
	    (unsigned long long)l->number);
	mm_sha256(mm_bytes_of(text), sha256);
	memcpy(out.serial, sha256, sizeof(out.serial));
	out.kind = MM_J_CRL;
	return out;
}

/* see outset.h */
bool
mm_outset_of(const struct mm_journal_line *l, struct mm_journal_line *out)
{
	bool list = l->kind == MM_J_CRL || l->kind == MM_J_SHARD;

	*out = list ? mm_outset_crl(l) : *l;
	return l->kind == MM_J_CERTIFICATE || l->kind == MM_J_RESPONDER ||
	    list;
}

/* see outset.h */
enum mm_err
mm_outset_put(struct mm_outset *s, const struct mm_journal_line *l,
    uint64_t offset, struct mm_why *why)
{
	uint32_t i = s->spare, *bucket = &s->bucket[hash(l->serial)];

	if (find(s, l->serial) != NONE)
		return MM_OK;
	if (i == NONE)
		return MM_FAIL(why, MM_ELIMIT,
		    "too many signatures are outstanding");
	s->spare = s->item[i].chain;
	s->item[i] = (struct mm_outset_item){ .line = *l, .offset = offset,
		.prev = s->last, .next = NONE, .chain = *bucket };
	*bucket = i;
	if (s->last != NONE)
		s->item[s->last].next = i;
	else
		s->first = i;
	s->last = i;
	s->n++;
	return MM_OK;
}

/* see outset.h */
const struct mm_outset_item *
mm_outset_get(const struct mm_outset *s, const uint8_t serial[16])
{
	uint32_t i = find(s, serial);

	return i == NONE ? NULL : &s->item[i];
}

static void
unlink_item(struct mm_outset *s, uint32_t i)
{
	const struct mm_outset_item *it = &s->item[i];

	if (it->prev != NONE)
		s->item[it->prev].next = it->next;
	else
		s->first = it->next;
	if (it->next != NONE)
		s->item[it->next].prev = it->prev;
	else
		s->last = it->prev;
}

/* see outset.h */
void
mm_outset_drop(struct mm_outset *s, const uint8_t serial[16])
{
	uint32_t i = find(s, serial), *at = &s->bucket[hash(serial)];

	if (i == NONE)
		return;
	while (*at != i)
		at = &s->item[*at].chain;
	*at = s->item[i].chain;
	unlink_item(s, i);
	s->item[i].chain = s->spare;
	s->spare = i;
	s->n--;
}

/* see outset.h */
size_t
mm_outset_count(const struct mm_outset *s)
{
	return s->n;
}

/* see outset.h */
const struct mm_outset_item *
mm_outset_each(const struct mm_outset *s, const struct mm_outset_item *after)
{
	uint32_t i = after == NULL ? s->first : after->next;

	return i == NONE ? NULL : &s->item[i];
}
