#include <string.h>

#include "core/priv.h"
#include "ledger/shards.h"

/*
 * Whoever revokes signs the list that shows it, as a rule within a second.
 * Of several nodes that one may die before, and so each of them looks at the
 * entries that go by: what was revoked, and what a list says it covers.  A
 * list names how many entries stood in the ledger when its serials were read,
 * so no clocks are compared, and a list that was begun before a revocation
 * and stored after it does not count for it.  Each node waits for a little
 * longer or shorter than the others (patience_ms), so that one of them signs.
 */
/* see priv.h */
bool
mm_list_find(struct mm_core *c, const char *name, struct mm_list_of *out)
{
	const struct mm_config *config = c->config;
	struct mm_made_line *line;

	for (size_t i = 0; i < config->nissuer; i++)
		if (strcmp(config->issuer[i].name, name) == 0) {
			*out = (struct mm_list_of){ config->issuer[i].name,
				config->issuer[i].crl_hours, &c->marks[i],
				&c->listed[i], NULL, &c->shards[i] };
			return true;
		}
	line = mm_lines_find(c->lines, name);
	if (line != NULL)
		*out = (struct mm_list_of){ line->name,
			mm_lines_hours(config, line), &line->mark,
			&line->listed, line, NULL };
	return line != NULL;
}

static bool
of_issuer(struct mm_core *c, struct mm_bytes name, struct mm_list_of *out)
{
	char text[MM_NAME_MAX + 1];

	return mm_text_copy(text, sizeof(text), name) &&
	    mm_list_find(c, text, out);
}

static bool
is_of(struct mm_bytes type, enum mm_entry_type t)
{
	return mm_bytes_eq(type, mm_bytes_of(mm_entry_type_name(t)));
}

/* see priv.h; commit.c counts the same by its operations */
bool
mm_listed_changes(struct mm_bytes type)
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

/* Another node's line CA; our own is there already. */
static void
joined(struct mm_core *c, struct mm_bytes issuer)
{
	char name[MM_NAME_MAX + 1];
	struct mm_why why = { 0 };
	enum mm_err rc;

	if (!mm_text_copy(name, sizeof(name), issuer) ||
	    mm_issuer_chain(c, name) != NULL)
		return;
	rc = mm_lines_join(c, c->feed_reader, name, &why);
	if (rc == MM_OK || rc == MM_ENOTFOUND)
		return;
	mm_core_note(c, 2, "line", why.text);
	mm_lines_missed(c, name);
}

/* Where an entry's certificate is listed, besides in the complete list; NULL:
 * there is no such place. */
static struct mm_shard *
shard_of(const struct mm_list_of *of, struct mm_bytes serial_hex)
{
	uint8_t serial[MM_SERIAL_N];

	if (of->shards == NULL || of->shards->n == 0 ||
	    serial_hex.n != sizeof(serial) * 2 ||
	    mm_hex_parse((const char *)serial_hex.p, serial_hex.n, serial,
		sizeof(serial), NULL) != MM_OK)
		return NULL;
	return &of->shards->at[mm_serial_shard(serial,
	    (unsigned)of->shards->n)];
}

static void
shards_covered(struct mm_shards *s, const struct mm_shard_range *at,
    uint64_t size)
{
	for (size_t k = at->from; s != NULL && k <= at->to && k < s->n; k++)
		covered(&s->at[k].listed, size);
	if (s != NULL)
		s->turn++;
}

/* What a run has signed; the store knows which list stands. */
static void
run_signed(const struct mm_list_of *of, const struct mm_entry_view *v)
{
	struct mm_shard_range at[MM_SHARDS_RANGES + 1] = {
		{ MM_SHARDS_WHOLE, MM_SHARDS_WHOLE } };
	size_t n = 1;

	if (v->shards.n > 0 && mm_shards_parse(v->shards, at, &n) != MM_OK)
		return;
	for (size_t i = 0; i < n; i++) {
		if (at[i].from != MM_SHARDS_WHOLE) {
			shards_covered(of->shards, &at[i], size_of(v));
			continue;
		}
		covered(of->listed, size_of(v));
		/* it may be another node's */
		if (of->line != NULL)
			of->mark->number = 0;
	}
}

/* see priv.h */
void
mm_listed_past(struct mm_core *c, const struct mm_list_of *of, uint64_t index,
    const struct mm_entry_view *v)
{
	const bool signed_ = is_of(v->type, MM_E_CRL_SIGNED);
	struct mm_shard *shard;

	if (!signed_ && !mm_listed_changes(v->type))
		return;
	shard = signed_ ? NULL : shard_of(of, v->serial);
	pthread_mutex_lock(&c->lock);
	if (signed_)
		run_signed(of, v);
	else
		revoked(of->listed, index);
	if (shard != NULL)
		revoked(&shard->listed, index);
	pthread_mutex_unlock(&c->lock);
}

/* see priv.h */
void
mm_listed_entry(struct mm_core *c, uint64_t index, struct mm_bytes entry)
{
	struct mm_entry_view v;
	struct mm_list_of of;

	mm_entry_look(entry, &v);
	if (is_of(v.type, MM_E_ISSUER_MADE))
		joined(c, v.issuer);
	if (mm_listed_changes(v.type))
		mm_cert_turned(c, v.serial);
	if (of_issuer(c, v.issuer, &of))
		mm_listed_past(c, &of, index, &v);
}

/* see priv.h; a configured issuer's list is signed after each change */
void
mm_listed_ours(struct mm_core *c, struct mm_bytes issuer,
    struct mm_bytes serial_hex)
{
	struct mm_list_of of;
	struct mm_shard *shard;

	if (!of_issuer(c, issuer, &of))
		return;
	shard = shard_of(&of, serial_hex);
	pthread_mutex_lock(&c->lock);
	of.listed->ours++;
	if (shard != NULL)
		shard->listed.ours++;
	pthread_mutex_unlock(&c->lock);
}

/* see priv.h */
void
mm_listed_stored(struct mm_core *c, struct mm_listed *l, uint64_t size)
{
	pthread_mutex_lock(&c->lock);
	covered(l, size);
	pthread_mutex_unlock(&c->lock);
}

/* see priv.h */
bool
mm_listed_late(struct mm_core *c, const struct mm_listed *l)
{
	bool late;

	pthread_mutex_lock(&c->lock);
	late = l->since != 0 &&
	    mm_mono_ms() - l->since >= c->nodes.patience_ms;
	pthread_mutex_unlock(&c->lock);
	return late;
}
