#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/time.h"
#include "server/groups.h"

/*
 * How far a group's devices have come: over to their new identity, with a
 * certificate that is not proved yet, waiting, refused, not come.  A page of
 * it at a time, which say how many of each they found: who asks adds them up.
 */
enum { MEMBERS_MOST = 1000 };

enum word { OVER, ISSUED, REVOKED, APPROVED, REFUSED, LISTED, WORDS };
static const char *const words[WORDS] = { [OVER] = "over",
	[ISSUED] = "issued", [REVOKED] = "revoked", [APPROVED] = "approved",
	[REFUSED] = "refused", [LISTED] = "not_yet" };

struct tally {
	struct mm_group_member row[MEMBERS_MOST];
	unsigned n;
	char last[MM_DOC_ID_MAX + 1];
	bool more;
	int64_t n_of[WORDS], seen_at;
};

static void
release(struct tally **owner)
{
	free(*owner);
}

static enum mm_err
take(void *ctx, const void *doc, const char *next, struct mm_why *why)
{
	struct tally *t = ctx;

	if (t->n == MEMBERS_MOST) {
		t->more = true;
		return MM_OK;
	}
	(void)!mm_text_copy(t->last, sizeof(t->last), mm_bytes_of(next));
	return mm_member_parse(doc, &t->row[t->n++], why);
}

static enum mm_err
of_certificate(struct mm_rest *r, const char *group,
    const struct mm_group_member *m, enum word *out, struct mm_why *why)
{
	char authority[MM_AUTHORITY_TEXT];
	struct mm_cert_row cert;
	struct mm_claim claim;
	enum mm_err rc;

	*out = OVER; /* one whose year is dropped was in the field long ago */
	mm_group_authority(group, m->device, authority);
	rc = mm_get_claim(r->reader, authority, &claim, NULL);
	if (rc == MM_OK)
		rc = mm_get_cert(r->reader, claim.serial, &cert, NULL);
	if (rc != MM_OK)
		return rc == MM_ENOTFOUND ? MM_OK
		    : MM_FAIL(why, rc, "the store cannot be read");
	if (cert.confirmed_at == 0)
		*out = cert.state == MM_CERT_ISSUED ? ISSUED : REVOKED;
	return MM_OK;
}

static enum mm_err
count(struct mm_rest *r, const char *group, struct tally *t,
    struct mm_why *why)
{
	static const enum word of[MM_MEMBER_STATES] = {
		[MM_MEMBER_LISTED] = LISTED, [MM_MEMBER_APPROVED] = APPROVED,
		[MM_MEMBER_REFUSED] = REFUSED };

	for (unsigned i = 0; i < t->n; i++) {
		const struct mm_group_member *m = &t->row[i];
		enum word w = of[m->state];

		if (m->state == MM_MEMBER_ISSUED)
			MM_TRY(of_certificate(r, group, m, &w, why));
		t->n_of[w]++;
		if (m->state == MM_MEMBER_ISSUED && m->at > t->seen_at)
			t->seen_at = m->at;
	}
	return MM_OK;
}

static uint64_t
in_range(const struct mm_group *g)
{
	struct mm_serials run;

	return g->range[0] != '\0' &&
	    mm_serials_parse(g->range, &run, NULL) == MM_OK
	    ? mm_serials_count(&run) : 0;
}

static void
put(struct mm_json *j, const struct mm_group *g,
    const struct mm_group_counts *n, const struct tally *t)
{
	bool halted = g->state == MM_WORK_OPEN &&
	    mm_group_halted(g, n->conflicts);

	mm_json_str(j, "group", g->id);
	mm_json_str(j, "kind", mm_group_kind_words[g->kind]);
	if (g->secret[0] != '\0')
		mm_json_str(j, "secret", g->secret);
	mm_json_str(j, "state",
	    mm_work_state_words[halted ? MM_WORK_PAUSED : g->state]);
	mm_rest_put_time(j, "until", g->until_ms);
	mm_json_int(j, "in_range", (int64_t)in_range(g));
	mm_json_int(j, "looked", t->n);
	for (unsigned i = 0; i < WORDS; i++)
		mm_json_int(j, words[i], t->n_of[i]);
	mm_json_int(j, "waiting", n->waiting);
	mm_json_int(j, "conflicts", n->conflicts);
	mm_rest_put_time(j, "last_seen", t->seen_at);
	if (t->more)
		mm_json_str(j, "next", t->last);
}

enum mm_err
mm_rest_group_report(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(release) struct tally *t = calloc(1, sizeof(*t));
	struct mm_list docs = { .most = MEMBERS_MOST + 1, .state = -1 };
	char prefix[MM_GROUP_ID_MAX + 2];
	struct mm_group_counts n;
	struct mm_group g;

	if (t == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	MM_TRY(mm_rest_query(r, "after", docs.after, sizeof(docs.after), why));
	MM_TRY(mm_rest_group_of(r, &g, why));
	MM_TRY(mm_group_counts(r->reader, &g, &n, why));
	snprintf(prefix, sizeof(prefix), "%s/", g.id);
	MM_TRY(mm_list_docs(r->reader, MM_DOC_MEMBER, prefix, &docs, take, t,
	    why));
	MM_TRY(count(r, g.id, t, why));
	mm_json_open(&r->j, '{');
	put(&r->j, &g, &n, t);
	mm_json_close(&r->j, '}');
	return MM_OK;
}
