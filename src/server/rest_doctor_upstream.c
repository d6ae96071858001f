#include <string.h>

#include "base/time.h"
#include "server/exam.h"
#include "server/upstream.h"

/* Issuers that are another CA's: its lists are its own, and so is whether it
 * answers. */

static const char *
advice_of(const struct mm_issuer_conf *i)
{
	return mm_issuer_est(i) ? "mintmarkd check looks at est_anchors and "
	    "what we are known by; then look at the CA; mintmark ca show; "
	    "mintmark ledger entries --type upstream." :
	    "Look at the program of its exec (it gains no rights by sudo), "
	    "and at the CA; mintmark ca show; mintmark ledger entries --type "
	    "upstream.";
}

static void
look_answers(struct exam *e, const struct mm_issuer_conf *i,
    const struct mm_upstream_now *n)
{
	const struct mm_upstream_stats *s = &n->core;
	char since[MM_TIME_TEXT];

	mm_time_text(s->failed_at, since);
	if (!n->registrar)
		mm_find(e->f, MM_CHECK_UPSTREAM, MM_LEVEL_FAIL,
		    "The registrar's own lines in the log say why it ends; "
		    "then: mintmarkd check",
		    "issuer %s: the registrar, which asks its CA, is away",
		    i->name);
	else if (s->failed_at != 0)
		mm_find(e->f, MM_CHECK_UPSTREAM, MM_LEVEL_FAIL, advice_of(i),
		    "issuer %s, an existing CA, has not answered since %s: "
		    "%.80s", i->name, since, s->why);
	else
		mm_find(e->f, MM_CHECK_UPSTREAM, MM_LEVEL_OK, NULL,
		    "issuer %s is an existing CA: its revocation lists are "
		    "its own, and what is revoked here it has to be told",
		    i->name);
}

static void
look_outcomes(struct exam *e, const struct mm_issuer_conf *i,
    const struct mm_upstream_now *n)
{
	const uint64_t *of = n->core.n;

	if (of[MM_FORWARD_LOST] > 0)
		mm_find(e->f, MM_CHECK_UPSTREAM, MM_LEVEL_WARN,
		    "Look there by the keys' hashes: mintmark ledger entries "
		    "--type upstream.unknown",
		    "issuer %s: of %llu questions it is not known what was "
		    "made", i->name,
		    (unsigned long long)of[MM_FORWARD_LOST]);
	if (of[MM_FORWARD_WRONG] > 0)
		mm_find(e->f, MM_CHECK_UPSTREAM, MM_LEVEL_WARN,
		    "The log says which rule: set up the CA's template as the "
		    "profile has it; revoke them there",
		    "issuer %s: %llu certificates came that are not released",
		    i->name, (unsigned long long)of[MM_FORWARD_WRONG]);
}

static void
look_ends(struct exam *e, const struct mm_issuer_conf *i,
    const struct mm_upstream_now *n)
{
	char last[MM_TIME_TEXT];

	mm_time_text(n->ended_at, last);
	if (n->ends > 0)
		mm_find(e->f, MM_CHECK_UPSTREAM, MM_LEVEL_WARN,
		    "Its lines in the log say why; child-hung: it gave no "
		    "sign of life for watchdog, and was killed. What it was "
		    "asked then: mintmark ledger entries --type "
		    "upstream.unknown",
		    "issuer %s: the registrar, which asks its CA, ended %llu "
		    "times, and was started again; last at %s", i->name,
		    (unsigned long long)n->ends, last);
}

/* What the registrar does not hand on is told by nobody else. */
static void
look_held(struct exam *e, const struct mm_issuer_conf *i,
    const struct mm_upstream_now *n)
{
	if (n->core.n[MM_FORWARD_OURS] > 0)
		mm_find(e->f, MM_CHECK_UPSTREAM, MM_LEVEL_WARN,
		    "Its lines in the log say why: a ceiling of the profile "
		    "(per_minute, per_day), no time for it, or another "
		    "configuration than the server's: restart mintmarkd",
		    "issuer %s: %llu questions the registrar did not hand on",
		    i->name,
		    (unsigned long long)n->core.n[MM_FORWARD_OURS]);
}

/* A template that is wrong makes a certificate each time a device comes. */
static void
look_ceilings(struct exam *e, const struct mm_config *c,
    const struct mm_issuer_conf *i)
{
	for (size_t k = 0; k < c->nprofile; k++)
		if (strcmp(c->profile[k].issuer, i->name) == 0 &&
		    c->profile[k].per_minute == 0 && c->profile[k].per_day == 0)
			mm_find(e->f, MM_CHECK_UPSTREAM, MM_LEVEL_WARN,
			    "Set per_day, and per_minute: no more than so many "
			    "certificates are then made in vain",
			    "profile %s of issuer %s has no ceiling: a CA "
			    "whose template is wrong makes a certificate each "
			    "time a device comes", c->profile[k].name,
			    i->name);
}

/* What the program has to ask the CA is then in the server's reach. */
static void
look_user(struct exam *e, const struct mm_settings *set)
{
	if (set->server_user[0] != '\0' &&
	    (set->registrar_user[0] == '\0' ||
	    strcmp(set->registrar_user, set->server_user) == 0))
		mm_find(e->f, MM_CHECK_UPSTREAM, MM_LEVEL_WARN,
		    "Give it one of its own: registrar_user; and what it "
		    "reads (by exec, or est) to that user",
		    "the registrar, which asks other CAs, runs as the "
		    "server's user");
}

/* see exam.h */
void
mm_exam_upstream(struct exam *e)
{
	const struct mm_config *c = e->r->s->config;
	struct mm_upstream_now n;

	if (!mm_config_upstream(c))
		mm_find(e->f, MM_CHECK_UPSTREAM, MM_LEVEL_OK, NULL,
		    "no other CA is asked for certificates");
	else
		look_user(e, &c->set);
	for (size_t i = 0; i < c->nissuer; i++)
		if (!c->issuer[i].retired &&
		    mm_upstream_now(e->r->s, &c->issuer[i], &n)) {
			look_answers(e, &c->issuer[i], &n);
			look_outcomes(e, &c->issuer[i], &n);
			look_held(e, &c->issuer[i], &n);
			look_ends(e, &c->issuer[i], &n);
			look_ceilings(e, c, &c->issuer[i]);
		}
}
