#include <stdio.h>

#include "server/families.h"
#include "server/upstream.h"

/* Issuers that are another CA's: a sample each; where there are none, none. */

typedef void one_fn(struct mm_scrape *c, const char *labels,
    const struct mm_upstream_now *n);

static void
each(struct mm_scrape *c, one_fn *one)
{
	const struct mm_config *conf = c->s->config;
	struct mm_upstream_now n;
	char labels[64];

	for (size_t i = 0; i < conf->nissuer; i++) {
		if (!mm_upstream_now(c->s, &conf->issuer[i], &n))
			continue;
		snprintf(labels, sizeof(labels), "issuer=\"%s\"",
		    conf->issuer[i].name);
		one(c, labels, &n);
	}
}

#define EACH(name, put)                                              \
	static void one_##name(struct mm_scrape *c, const char *labels, \
	    const struct mm_upstream_now *n)                         \
	{                                                            \
		put;                                                 \
	}                                                            \
	void mm_put_upstream_##name(struct mm_scrape *c)             \
	{                                                            \
		each(c, one_##name);                                 \
	}

static void
put_answers(struct mm_scrape *c, const char *labels,
    const struct mm_upstream_now *n)
{
	char both[96];

	for (unsigned i = 0; i < MM_FORWARDS; i++) {
		snprintf(both, sizeof(both), "%s,answer=\"%s\"", labels,
		    mm_upstream_words[i]);
		mm_sample(c, both, n->core.n[i]);
	}
}

static void
put_at(struct mm_scrape *c, const char *labels, int64_t at)
{
	if (at != 0)
		mm_sample_real(c, labels, (double)at / 1000);
}

EACH(asked, mm_sample(c, labels, n->core.asked))
EACH(answers, put_answers(c, labels, n))
EACH(took, mm_sample_hist(c, n->took, &mm_hist_time, labels))
EACH(waiting, mm_sample(c, labels, n->core.waiting))
EACH(up, mm_sample(c, labels, n->registrar && n->core.failed_at == 0))
EACH(resting, mm_sample_real(c, labels, (double)n->rest_ms / 1000))
EACH(answered, put_at(c, labels, n->times.answered_at))
EACH(ends, mm_sample(c, labels, n->ends))
