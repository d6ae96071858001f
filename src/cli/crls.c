#include "cli/crls.h"

#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/own.h"
#include "base/text.h"
#include "base/time.h"
#include "pki/cert.h"
#include "pki/key.h"

/* A lost list is settled within half a minute. */
#define YOUNG_MS 60000

static enum mm_err
add(struct mm_crls *s, const struct mm_crl_seen *seen, struct mm_why *why)
{
	struct mm_crl_seen *p = mm_grown(s->at, s->n, &s->cap, sizeof(*p));

	if (p == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	s->at = p;
	s->at[s->n++] = *seen;
	return MM_OK;
}

/* see crls.h */
enum mm_err
mm_crls_line(struct mm_crls *s, const struct mm_journal_line *l,
    int64_t began_ms, struct mm_why *why)
{
	struct mm_crl_seen seen = { .number = l->number,
		.shard = l->kind == MM_J_SHARD ? (uint32_t)l->shard :
		    MM_SHARDS_WHOLE,
		.young = l->at_ms > began_ms - YOUNG_MS &&
		    l->at_ms < mm_now_ms() + YOUNG_MS };

	if (l->kind != MM_J_CRL && l->kind != MM_J_SHARD)
		return MM_OK;
	memcpy(seen.issuer, l->issuer, sizeof(seen.issuer));
	memcpy(seen.tbs, l->tbs_sha256, sizeof(seen.tbs));
	return add(s, &seen, why);
}

/* Each list of the run. */
static enum mm_err
add_run(struct mm_crls *s, struct mm_crl_seen *seen, const char *shards,
    struct mm_why *why)
{
	struct mm_shard_range at[MM_SHARDS_RANGES + 1] = {
		{ MM_SHARDS_WHOLE, MM_SHARDS_WHOLE } };
	size_t n = 1;

	if (shards != NULL &&
	    mm_shards_parse(mm_bytes_of(shards), at, &n) != MM_OK)
		return MM_FAIL(why, MM_EINPUT, "crl.signed: \"%.40s\" are no "
		    "shards", shards);
	for (size_t i = 0; i < n; i++)
		for (uint64_t k = at[i].from; k <= at[i].to; k++) {
			seen->shard = (uint32_t)k;
			MM_TRY(add(s, seen, why));
		}
	return MM_OK;
}

/* see crls.h */
enum mm_err
mm_crls_entry(struct mm_crls *s, const struct mm_entry *e, bool later,
    struct mm_why *why)
{
	struct mm_crl_seen seen = { .later = later };
	const char *result = e->field[MM_F_RESULT];
	int64_t number, end_ms = 0;

	if (e->type != MM_E_CRL_SIGNED)
		return MM_OK;
	MM_TRY(mm_int_parse(e->field[MM_F_NUMBER], &number, why));
	if (e->field[MM_F_EXPIRES] != NULL)
		MM_TRY(mm_time_parse(e->field[MM_F_EXPIRES], &end_ms, why));
	seen.number = (uint64_t)number;
	seen.next_s = end_ms / 1000;
	seen.lost = result != NULL && strcmp(result, "lost") == 0;
	seen.vague = seen.lost && e->field[MM_F_SHARDS] == NULL;
	(void)!mm_text_copy(seen.issuer, sizeof(seen.issuer),
	    mm_bytes_of(e->field[MM_F_ISSUER]));
	return add_run(s, &seen, e->field[MM_F_SHARDS], why);
}

/* see crls.h */
enum mm_err
mm_crls_stored(struct mm_crls *s, const char *issuer, struct mm_bytes cert,
    const struct mm_crl_row *row, struct mm_why *why)
{
	struct mm_crl_seen seen = { .number = row->number,
		.shard = row->shard, .next_s = row->next_s };
	struct mm_crl list = { .tbs = { NULL, 0 } };
	uint8_t hash[32];

	if (row->number != 0)
		seen.forged = mm_crl_walk(row->der, &list, NULL) != MM_OK ||
		    mm_crl_verify_by(&list, cert, NULL) != MM_OK;
	mm_sha256(list.tbs, hash);
	memcpy(seen.tbs, hash, sizeof(seen.tbs));
	(void)!mm_text_copy(seen.issuer, sizeof(seen.issuer),
	    mm_bytes_of(issuer));
	return add(s, &seen, why);
}

/* ---- comparing ---- */

static int
compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int
order(const void *a_, const void *b_)
{
	const struct mm_crl_seen *a = a_, *b = b_;
	int c = strcmp(a->issuer, b->issuer);

	if (c == 0)
		c = compare(a->shard, b->shard);
	return c != 0 ? c : compare(a->number, b->number);
}

/* Of two nodes' with one number the one that was stored comes first. */
static int
order_lost(const void *a_, const void *b_)
{
	const struct mm_crl_seen *a = a_, *b = b_;
	int c = order(a, b);

	return c != 0 ? c : a->lost - b->lost;
}

static void
differ(json_t *differences, const struct mm_crl_seen *c, const char *what)
{
	json_t *o = json_pack("{s:s,s:I,s:s}", "issuer", c->issuer, "crl",
	    (json_int_t)c->number, "difference", what);

	if (c->shard != MM_SHARDS_WHOLE)
		json_object_set_new(o, "shard", json_integer(c->shard));
	json_array_append_new(differences, o);
}

static void
sort(struct mm_crls *s)
{
	if (s->n != 0)
		qsort(s->at, s->n, sizeof(s->at[0]), order_lost);
}

/* The first one of that number, or NULL. */
static const struct mm_crl_seen *
find(const struct mm_crls *s, const struct mm_crl_seen *key)
{
	const struct mm_crl_seen *at = s->n == 0 ? NULL :
	    bsearch(key, s->at, s->n, sizeof(s->at[0]), order);

	while (at != NULL && at > s->at && order(at - 1, key) == 0)
		at--;
	return at;
}

/* One of those with that number is of these bytes. */
static bool
was_signed(const struct mm_crls *journal, const struct mm_crl_seen *line,
    const struct mm_crl_seen *c)
{
	const struct mm_crl_seen *end = journal->at + journal->n;

	for (; line < end && order(line, c) == 0; line++)
		if (memcmp(line->tbs, c->tbs, sizeof(c->tbs)) == 0)
			return true;
	return false;
}

static void
only_journal(const struct mm_crl_seen *c, json_t *differences,
    struct mm_waiting *waiting)
{
	if (c->young)
		waiting->in_flight++;
	else
		differ(differences, c, "not in the ledger");
}

static void
only_ledger(const struct mm_crl_seen *c, bool twice, json_t *differences,
    struct mm_waiting *waiting)
{
	if (!twice && c->later)
		waiting->later++;
	else
		differ(differences, c, twice ? "twice in the ledger"
					     : "not in the journal");
}

/* Two sorted lists, one walk. */
static void
compare_ledger(const struct mm_crls *journal, const struct mm_crls *ledger,
    json_t *differences, struct mm_waiting *waiting)
{
	size_t i = 0, k = 0;

	while (i < journal->n || k < ledger->n) {
		const struct mm_crl_seen *a = i == journal->n ? NULL :
		    &journal->at[i];
		const struct mm_crl_seen *b = k == ledger->n ? NULL :
		    &ledger->at[k];
		int c = a == NULL ? 1 : b == NULL ? -1 : order(a, b);

		if (c < 0)
			only_journal(a, differences, waiting);
		if (c > 0)
			only_ledger(b, k > 0 && order(b, b - 1) == 0,
			    differences, waiting);
		i += c <= 0;
		k += c >= 0;
	}
}

/* How many there are before the first that is not below it. */
static size_t
below(const struct mm_crls *s, const struct mm_crl_seen *key)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (order(&s->at[mid], key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool
of_one(const struct mm_crl_seen *a, const struct mm_crl_seen *b)
{
	return a->shard == b->shard && strcmp(a->issuer, b->issuer) == 0;
}

/* The issuer's, or shard's, newest in the ledger that was stored; 0: none
 * was. */
static uint64_t
newest(const struct mm_crls *ledger, const struct mm_crl_seen *c)
{
	struct mm_crl_seen end = *c;
	size_t i;

	end.number = UINT64_MAX;
	for (i = below(ledger, &end); i > 0; i--)
		if (!of_one(&ledger->at[i - 1], c))
			return 0;
		else if (!ledger->at[i - 1].lost)
			return ledger->at[i - 1].number;
	return 0;
}

static void
compare_stored(const struct mm_crls *journal, const struct mm_crls *ledger,
    const struct mm_crl_seen *c, json_t *differences)
{
	const struct mm_crl_seen *line = find(journal, c);
	const struct mm_crl_seen *entry = find(ledger, c);
	struct mm_crl_seen last = *c;

	last.number = newest(ledger, c);
	if (last.number > c->number)
		differ(differences, &last, c->number == 0 ?
		    "not in the database" : "an older one in the database");
	if (c->number == 0)
		return;
	if (line == NULL && (entry == NULL || !entry->later))
		differ(differences, c, "in the database, not in the journal");
	else if (line == NULL)
		; /* its entry says that it is later */
	else if (!was_signed(journal, line, c))
		differ(differences, c, "not what was signed in the database");
	else if (c->forged)
		differ(differences, c,
		    "without its issuer's signature in the database");
	if (entry != NULL && entry->next_s != c->next_s)
		differ(differences, c, "another end in the database");
	if (entry == NULL || entry->lost)
		differ(differences, c, entry == NULL ?
		    "in the database, not in the ledger" :
		    "in the database, lost in the ledger");
}

/* ---- lost runs ---- */

/* Of equals how many; all: those that are lost, too. */
static size_t
count(const struct mm_crls *s, const struct mm_crl_seen *key, bool all)
{
	size_t n = 0;

	for (size_t i = below(s, key); i < s->n &&
	     order(&s->at[i], key) == 0; i++)
		n += all || !s->at[i].lost;
	return n;
}

static size_t
count_added(const struct mm_crls *s, const struct mm_crl_seen *key)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += order(&s->at[i], key) == 0;
	return n;
}

/* What of that number the journal has, and no entry says was stored. */
static enum mm_err
add_lost(const struct mm_crls *journal, const struct mm_crls *ledger,
    const struct mm_crl_seen *lost, struct mm_crls *out, struct mm_why *why)
{
	const size_t before = out->n;

	for (size_t i = 0; i < journal->n; i++) {
		struct mm_crl_seen one = *lost;

		if (journal->at[i].number != lost->number ||
		    strcmp(journal->at[i].issuer, lost->issuer) != 0 ||
		    (i > 0 && order(&journal->at[i], &journal->at[i - 1]) ==
		    0))
			continue;
		one.shard = journal->at[i].shard;
		if (count(journal, &one, true) >
		    count(ledger, &one, false) + count_added(out, &one))
			MM_TRY(add(out, &one, why));
	}
	return out->n > before ? MM_OK : add(out, lost, why);
}

/* A lost entry names a run; here, each of its lists. */
static enum mm_err
name_lost(const struct mm_crls *journal, struct mm_crls *ledger,
    struct mm_why *why)
{
	struct mm_crls out = { 0 };
	enum mm_err rc = MM_OK;

	for (size_t i = 0; rc == MM_OK && i < ledger->n; i++)
		if (ledger->at[i].vague)
			rc = add_lost(journal, ledger, &ledger->at[i], &out,
			    why);
	for (size_t i = 0; rc == MM_OK && i < ledger->n; i++)
		if (!ledger->at[i].vague)
			rc = add(&out, &ledger->at[i], why);
	if (rc != MM_OK) {
		mm_crls_done(&out);
		return rc;
	}
	mm_crls_done(ledger);
	*ledger = out;
	sort(ledger);
	return MM_OK;
}

/* Shards of which the ledger says that a list was stored, and there is none. */
static void
compare_missing(const struct mm_crls *ledger, const struct mm_crls *store,
    json_t *differences)
{
	for (size_t i = 0; i < ledger->n; i++) {
		struct mm_crl_seen one = ledger->at[i];
		size_t at;

		if (one.shard == MM_SHARDS_WHOLE ||
		    (i + 1 < ledger->n && of_one(&one, &ledger->at[i + 1])))
			continue;
		one.number = 0;
		at = below(store, &one);
		one.number = newest(ledger, &one);
		if (one.number != 0 &&
		    (at == store->n || !of_one(&one, &store->at[at])))
			differ(differences, &one, "not in the database");
	}
}

/* see crls.h */
enum mm_err
mm_crls_compare(struct mm_crls of[MM_OF_RECORDS], json_t *differences,
    struct mm_waiting *waiting, struct mm_why *why)
{
	struct mm_crls *journal = &of[MM_OF_JOURNAL];
	struct mm_crls *ledger = &of[MM_OF_LEDGER];
	struct mm_crls *store = &of[MM_OF_STORE];

	for (int i = 0; i < MM_OF_RECORDS; i++)
		sort(&of[i]);
	MM_TRY(name_lost(journal, ledger, why));
	compare_ledger(journal, ledger, differences, waiting);
	for (size_t i = 0; i < store->n; i++)
		compare_stored(journal, ledger, &store->at[i], differences);
	compare_missing(ledger, store, differences);
	return MM_OK;
}

/* see crls.h */
void
mm_crls_done(struct mm_crls *s)
{
	free(s->at);
	*s = (struct mm_crls){ 0 };
}
