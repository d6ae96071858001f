#include <string.h>

#include "core/priv.h"

/*
 * Whoever revokes signs the list that shows it, as a rule within a second.
 * Of several nodes that one may die before, and so each of them looks at the
 * entries that go by: what was revoked, and what a list says it covers.  A
 * list names how many entries stood in the ledger when its serials were read,
 * so no clocks are compared, and a list that was begun before a revocation
 * and stored after it does not count for it.  Each node waits for a little
 * longer or shorter than the others (patience_ms), so that one of them signs.
 */
static struct mm_listed *
of_issuer(struct mm_core *c, struct mm_bytes name)
{
	for (size_t i = 0; i < c->config->nissuer; i++)
		if (mm_bytes_eq(name,
		    mm_bytes_of(c->config->issuer[i].name)))
			return &c->listed[i];
	return NULL;
}

static bool
is_of(struct mm_bytes type, enum mm_entry_type t)
{
	return mm_bytes_eq(type, mm_bytes_of(mm_entry_type_name(t)));
}

/* What changes a list: commit.c counts the same by its operations. */
static bool
changes_list(struct mm_bytes type)
{
	return is_of(type, MM_E_CERT_REVOKED) || is_of(type, MM_E_CERT_HELD) ||
	    is_of(type, MM_E_CERT_RELEASED) ||
	    is_of(type, MM_E_SIG_ORPHANED);
}

/* A lost one, and one of before there was a size, cover nothing. */
static uint64_t
size_of(const struct mm_entry_view *v)
{
	char text[24];
	int64_t n;

	return mm_text_copy(text, sizeof(text), v->size) &&
	    mm_int_parse(text, &n, NULL) == MM_OK && n > 0 ? (uint64_t)n : 0;
}

/* What came since the list was begun waits for the next one from now on. */
static void
covered(struct mm_listed *l, uint64_t size)
{
	if (size <= l->covers)
		return;
	l->covers = size;
	l->since = l->revoked > size ? mm_mono_ms() : 0;
}

static void
revoked(struct mm_listed *l, uint64_t index)
{
	if (index < l->covers || index < l->revoked)
		return;
	l->revoked = index + 1;
	if (l->since == 0)
		l->since = mm_mono_ms();
}

/* see priv.h */
void
mm_listed_entry(struct mm_core *c, uint64_t index, struct mm_bytes entry)
{
	struct mm_entry_view v;
	struct mm_listed *l;
	bool signed_;

	mm_entry_look(entry, &v);
	signed_ = is_of(v.type, MM_E_CRL_SIGNED);
	if (!signed_ && !changes_list(v.type))
		return;
	l = of_issuer(c, v.issuer);
	if (l == NULL)
		return;
	pthread_mutex_lock(&c->lock);
	if (signed_)
		covered(l, size_of(&v));
	else
		revoked(l, index);
	pthread_mutex_unlock(&c->lock);
}

/* see priv.h */
void
mm_listed_stored(struct mm_core *c, size_t issuer, uint64_t size)
{
	pthread_mutex_lock(&c->lock);
	covered(&c->listed[issuer], size);
	pthread_mutex_unlock(&c->lock);
}

/* see priv.h */
bool
mm_listed_late(struct mm_core *c, size_t issuer)
{
	const struct mm_listed *l = &c->listed[issuer];
	bool late;

	pthread_mutex_lock(&c->lock);
	late = l->since != 0 &&
	    mm_mono_ms() - l->since >= c->nodes.patience_ms;
	pthread_mutex_unlock(&c->lock);
	return late;
}
