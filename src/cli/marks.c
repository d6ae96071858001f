#include "cli/marks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/text.h"
#include "cli/cmd.h"
#include "pki/key.h"
#include "pki/profile.h"
#include "store/store.h"

/* see marks.h */
const char *const mm_record_names[MM_OF_RECORDS] = { "journal", "ledger",
	"database" };

/* see marks.h; a text that is no UTF-8 would not be JSON */
void
mm_differ(json_t *differences, const char *record, const char *what)
{
	char name[256], text[256];

	snprintf(name, sizeof(name), "%s", record);
	snprintf(text, sizeof(text), "%s", what);
	mm_text_plain(name);
	mm_text_plain(text);
	json_array_append_new(differences, json_pack("{s:s,s:s}", "record",
	    name, "difference", text));
}

/* see marks.h */
enum mm_err
mm_differ_unread(json_t *differences, const char *record, enum mm_err rc,
    const struct mm_why *own, struct mm_why *why)
{
	char text[256];

	if (rc != MM_ESYS && rc != MM_ENOTFOUND)
		return rc == MM_OK ? MM_OK : MM_FAIL(why, rc, "%s", own->text);
	snprintf(text, sizeof(text), "cannot be read%s%s",
	    own->text[0] != '\0' ? ": " : "", own->text);
	mm_differ(differences, record, text);
	return MM_OK;
}

struct comparing {
	struct mm_marks *of;
	int n;            /* of the records */
	const char *what; /* of each that differs */
	json_t *differences;
	struct mm_waiting *waiting;
};

/* see marks.h */
void
mm_mark_who(struct mm_mark *m, const char *device, const char *issuer,
    const char *profile)
{
	char text[MM_DEVICE_ID_MAX + MM_NAME_MAX + MM_PROFILE_TEXT + 8];
	uint8_t hash[32];

	snprintf(text, sizeof(text), "%s|%s|%s", device ? device : "",
	    issuer ? issuer : "", profile ? profile : "");
	mm_sha256(mm_bytes_of(text), hash);
	memcpy(m->who, hash, sizeof(m->who));
}

/* see marks.h */
enum mm_err
mm_marks_add(struct mm_marks *s, const struct mm_mark *mark, struct mm_why *why)
{
	struct mm_mark *m = mm_grown(s->m, s->n, &s->cap, sizeof(*m));

	if (m == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	s->m = m;
	s->m[s->n++] = *mark;
	return MM_OK;
}

/* see marks.h */
void
mm_marks_done(struct mm_marks *s)
{
	free(s->m);
	*s = (struct mm_marks){ 0 };
}

/* An orphan before what it became. */
static int
order(const void *a, const void *b)
{
	const struct mm_mark *one = a, *two = b;
	int c = memcmp(one->serial, two->serial, sizeof(one->serial));

	return c != 0 ? c : two->orphan - one->orphan;
}

static void
differ(struct comparing *r, const uint8_t serial[16], const char *what,
    const char *where)
{
	char hex[33], text[128];

	mm_hex_text(serial, 16, hex);
	snprintf(text, sizeof(text), "%s%s %s", r->what, what, where);
	json_array_append_new(r->differences, json_pack("{s:s,s:s}", "serial",
	    hex, "difference", text));
}

/* The records that stand at the smallest serial, as bits; its place. */
static unsigned
smallest(const struct comparing *r, const size_t at[MM_OF_RECORDS],
    const struct mm_mark **least)
{
	unsigned have = 0;

	*least = NULL;
	for (int i = 0; i < r->n; i++) {
		const struct mm_marks *s = &r->of[i];
		int c;

		if (at[i] == s->n)
			continue;
		c = *least ? memcmp(s->m[at[i]].serial, (*least)->serial, 16)
			   : -1;
		if (c < 0) {
			*least = &s->m[at[i]];
			have = 0;
		}
		if (c <= 0)
			have |= 1u << i;
	}
	return have;
}

/* What two records say of one signature; NULL where they agree. */
static const char *
disagree(const struct mm_mark *a, const struct mm_mark *b)
{
	static const uint8_t none[8];

	if (memcmp(a->spki, b->spki, 32) != 0)
		return "another key in the";
	if (a->partial || b->partial)
		return NULL;
	if (memcmp(a->who, b->who, sizeof(a->who)) != 0)
		return "another device, issuer or profile in the";
	if (a->not_after_s != 0 && b->not_after_s != 0 &&
	    a->not_after_s != b->not_after_s)
		return "another end in the";
	if (memcmp(a->tbs, none, 8) != 0 && memcmp(b->tbs, none, 8) != 0 &&
	    memcmp(a->tbs, b->tbs, 8) != 0)
		return "not what was signed in the";
	if (memcmp(a->cert, none, 8) != 0 && memcmp(b->cert, none, 8) != 0 &&
	    memcmp(a->cert, b->cert, 8) != 0)
		return "another certificate in the";
	return NULL;
}

/* What one record did not know, the next one's word is taken for. */
static void
learn(struct mm_mark *known, const struct mm_mark *m)
{
	static const uint8_t none[8];

	if (known->partial) {
		memcpy(known->who, m->who, sizeof(known->who));
		known->partial = m->partial;
	}
	if (known->not_after_s == 0)
		known->not_after_s = m->not_after_s;
	if (memcmp(known->tbs, none, 8) == 0)
		memcpy(known->tbs, m->tbs, 8);
	if (memcmp(known->cert, none, 8) == 0)
		memcpy(known->cert, m->cert, 8);
}

/* The place after this serial in record i. */
static size_t
check_one(struct comparing *r, int i, size_t at, struct mm_mark *known)
{
	const struct mm_marks *s = &r->of[i];
	const char *what = disagree(&s->m[at], known);

	if (what != NULL)
		differ(r, known->serial, what, mm_record_names[i]);
	learn(known, &s->m[at]);
	while (++at < s->n && memcmp(s->m[at].serial, known->serial, 16) == 0) {
		what = s->m[at - 1].orphan && !s->m[at].orphan
			   ? disagree(&s->m[at], known)
			   : "twice in the";
		if (what != NULL)
			differ(r, known->serial, what, mm_record_names[i]);
	}
	return at;
}

/* What the ledger says of it; NULL: it has none. */
static const struct mm_mark *
in_ledger(const struct comparing *r, const size_t at[MM_OF_RECORDS],
    unsigned have)
{
	return (have & 1u << MM_OF_LEDGER) == 0
		   ? NULL
		   : &r->of[MM_OF_LEDGER].m[at[MM_OF_LEDGER]];
}

/* The ledger says why the journal need not have it. */
static bool
is_excused(const struct mm_mark *m, struct mm_waiting *waiting)
{
	if (m == NULL || (!m->later && !m->elsewhere))
		return false;
	waiting->elsewhere += m->elsewhere;
	waiting->later += !m->elsewhere;
	return true;
}

/* Sorted lists, one walk. */
static void
compare(struct comparing *r)
{
	size_t at[MM_OF_RECORDS] = { 0 };
	const struct mm_mark *least, *entry;
	struct mm_mark known;
	unsigned have;
	bool excused;

	while ((have = smallest(r, at, &least)) != 0) {
		if (have == 1u << MM_OF_JOURNAL && least->young) {
			r->waiting->in_flight++;
			at[MM_OF_JOURNAL]++;
			continue;
		}
		entry = in_ledger(r, at, have);
		excused = (have & 1u << MM_OF_JOURNAL) == 0 &&
			  is_excused(entry, r->waiting);
		known = *least;
		for (int i = 0; i < r->n; i++)
			if (have & 1u << i)
				at[i] = check_one(r, i, at[i], &known);
			else if (i != MM_OF_JOURNAL || !excused)
				differ(r, known.serial, "not in the",
				    mm_record_names[i]);
	}
}

/* see marks.h */
void
mm_marks_compare(struct mm_marks *of, int n, const char *what,
    json_t *differences, struct mm_waiting *waiting)
{
	struct comparing r = { of, n, what, differences, waiting };

	for (int i = 0; i < n; i++)
		if (of[i].n != 0)
			qsort(of[i].m, of[i].n, sizeof(struct mm_mark),
			    order);
	compare(&r);
}

/* see marks.h */
void
mm_marks_missing(const struct mm_marks *s, const struct mm_marks *other,
    const char *what, const char *where, json_t *differences)
{
	struct comparing r = { .what = "", .differences = differences };

	for (size_t i = 0; i < s->n; i++) {
		size_t k = 0;

		while (k < other->n &&
		    (memcmp(other->m[k].serial, s->m[i].serial, 16) != 0 ||
			memcmp(other->m[k].spki, s->m[i].spki, 32) != 0))
			k++;
		if (k == other->n && !s->m[i].later)
			differ(&r, s->m[i].serial, what, where);
	}
}
