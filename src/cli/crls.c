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
		.young = l->at_ms > began_ms - YOUNG_MS &&
		    l->at_ms < mm_now_ms() + YOUNG_MS };

	if (l->kind != MM_J_CRL)
		return MM_OK;
	memcpy(seen.issuer, l->issuer, sizeof(seen.issuer));
	memcpy(seen.tbs, l->tbs_sha256, sizeof(seen.tbs));
	return add(s, &seen, why);
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
	(void)!mm_text_copy(seen.issuer, sizeof(seen.issuer),
	    mm_bytes_of(e->field[MM_F_ISSUER]));
	return add(s, &seen, why);
}

static enum mm_err
verify(struct mm_bytes der, const struct mm_crl *list)
{
	MM_OWN(mm_key_templates_free) struct mm_key_templates *t = NULL;
	MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;
	struct mm_cert cert;
	struct mm_spki spki;

	MM_TRY(mm_cert_walk(der, &cert, NULL));
	MM_TRY(mm_spki_parse(cert.spki.whole, &spki, NULL));
	MM_TRY(mm_key_templates_new(NULL, &t, NULL));
	MM_TRY(mm_spki_load(&spki, t, &key, NULL));
	return mm_crl_verify(list, key, NULL);
}

/* see crls.h */
enum mm_err
mm_crls_stored(struct mm_crls *s, const char *issuer, struct mm_bytes cert,
    const struct mm_crl_row *row, struct mm_why *why)
{
	struct mm_crl_seen seen = { .number = row->number,
		.next_s = row->next_s };
	struct mm_crl list = { .tbs = { NULL, 0 } };
	uint8_t hash[32];

	if (row->number != 0)
		seen.forged = mm_crl_walk(row->der, &list, NULL) != MM_OK ||
		    verify(cert, &list) != MM_OK;
	mm_sha256(list.tbs, hash);
	memcpy(seen.tbs, hash, sizeof(seen.tbs));
	(void)!mm_text_copy(seen.issuer, sizeof(seen.issuer),
	    mm_bytes_of(issuer));
	return add(s, &seen, why);
}

/* ---- comparing ---- */

static int
order(const void *a_, const void *b_)
{
	const struct mm_crl_seen *a = a_, *b = b_;
	int c = strcmp(a->issuer, b->issuer);

	if (c != 0)
		return c;
	return a->number < b->number ? -1 : a->number > b->number;
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
	json_array_append_new(differences, json_pack("{s:s,s:I,s:s}",
	    "issuer", c->issuer, "crl", (json_int_t)c->number, "difference",
	    what));
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

/* The issuer's newest in the ledger that was stored; 0: none was. */
static uint64_t
newest(const struct mm_crls *ledger, const char *issuer)
{
	uint64_t number = 0;

	for (size_t i = 0; i < ledger->n; i++)
		if (!ledger->at[i].lost && ledger->at[i].number > number &&
		    strcmp(ledger->at[i].issuer, issuer) == 0)
			number = ledger->at[i].number;
	return number;
}

static void
compare_stored(const struct mm_crls *journal, const struct mm_crls *ledger,
    const struct mm_crl_seen *c, json_t *differences)
{
	const struct mm_crl_seen *line = find(journal, c);
	const struct mm_crl_seen *entry = find(ledger, c);
	struct mm_crl_seen last = *c;

	last.number = newest(ledger, c->issuer);
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

/* see crls.h */
void
mm_crls_compare(struct mm_crls of[MM_OF_RECORDS], json_t *differences,
    struct mm_waiting *waiting)
{
	const struct mm_crls *journal = &of[MM_OF_JOURNAL];
	const struct mm_crls *ledger = &of[MM_OF_LEDGER];
	const struct mm_crls *store = &of[MM_OF_STORE];

	for (int i = 0; i < MM_OF_RECORDS; i++)
		if (of[i].n != 0)
			qsort(of[i].at, of[i].n, sizeof(of[i].at[0]),
			    order_lost);
	compare_ledger(journal, ledger, differences, waiting);
	for (size_t i = 0; i < store->n; i++)
		compare_stored(journal, ledger, &store->at[i], differences);
}

/* see crls.h */
void
mm_crls_done(struct mm_crls *s)
{
	free(s->at);
	*s = (struct mm_crls){ 0 };
}
