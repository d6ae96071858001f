#include <stdio.h>

#include "server/families.h"

/* The text of a scrape: samples, and the families' heads. */

static void
begin(struct mm_scrape *c, const char *suffix, const char *labels)
{
	mm_buf_text(c->out, c->family->name);
	mm_buf_text(c->out, suffix);
	if (c->family->type == COUNTER)
		mm_buf_text(c->out, "_total");
	if (labels[0] != '\0')
		mm_buf_printf(c->out, "{%s}", labels);
}

/* see families.h */
void
mm_sample(struct mm_scrape *c, const char *labels, uint64_t v)
{
	begin(c, "", labels);
	mm_buf_printf(c->out, " %llu\n", (unsigned long long)v);
}

/* see families.h */
void
mm_sample_real(struct mm_scrape *c, const char *labels, double v)
{
	begin(c, "", labels);
	mm_buf_printf(c->out, " %.6f\n", v);
}

/* see families.h */
void
mm_sample_label(struct mm_scrape *c, const char *name, const char *value,
    uint64_t v)
{
	char labels[96];

	snprintf(labels, sizeof(labels), "%s=\"%s\"", name, value);
	mm_sample(c, labels, v);
}

/* see families.h */
void
mm_sample_hist(struct mm_scrape *c, const struct mm_hist *h,
    const struct mm_hist_shape *shape, const char *labels)
{
	const char *comma = labels[0] != '\0' ? "," : "";
	char all[128];
	uint64_t n = 0;

	for (size_t i = 0; i < shape->n; i++) {
		n += atomic_load(&h->bucket[i]);
		snprintf(all, sizeof(all), "%s%sle=\"%s\"", labels, comma,
		    shape->text[i]);
		begin(c, "_bucket", all);
		mm_buf_printf(c->out, " %llu\n", (unsigned long long)n);
	}
	n += atomic_load(&h->bucket[shape->n]);
	snprintf(all, sizeof(all), "%s%sle=\"+Inf\"", labels, comma);
	begin(c, "_bucket", all);
	mm_buf_printf(c->out, " %llu\n", (unsigned long long)n);
	begin(c, "_sum", labels);
	mm_buf_printf(
	    c->out, " %.6f\n", (double)atomic_load(&h->sum) * shape->unit);
	begin(c, "_count", labels);
	mm_buf_printf(c->out, " %llu\n", (unsigned long long)n);
}

static const char *const types[] = {
	[COUNTER] = "counter",
	[GAUGE] = "gauge",
	[HISTOGRAM] = "histogram",
};

/* OpenMetrics names a counter's family without _total, Prometheus with. */
static void
put_family(struct mm_scrape *c, const struct mm_family *f)
{
	const char *total = f->type == COUNTER && !c->open ? "_total" : "";

	c->family = f;
	mm_buf_printf(c->out, "# HELP %s%s %s\n# TYPE %s%s %s\n", f->name,
	    total, f->help, f->name, total, types[f->type]);
	f->put(c);
}

/* see metrics.h */
void
mm_metrics_put(struct mm_server *s, struct mm_store_reader *r, bool open,
    struct mm_buf *out)
{
	struct mm_scrape c = { .s = s, .out = out, .open = open };

	mm_core_stats(s->core, &c.core);
	mm_core_refusals(s->core, c.refusals);
	mm_attempts_stats(s->attempts, &c.attempts);
	mm_authorise_stats(mm_deliver_authorise(s->deliver), &c.authorise);
	mm_deliver_stats(s->deliver, &c.hooks);
	mm_mail_stats(mm_deliver_mail(s->deliver), &c.mail);
	c.store_up = r != NULL &&
	    mm_get_counts(r, &c.store, NULL) == MM_OK &&
	    mm_groups_tally(r, &c.groups, NULL) == MM_OK;
	for (unsigned i = 0; i < MM_LISTENERS; i++)
		if (s->listener[i] >= 0)
			mm_http_counters(
			    s->http, (size_t)s->listener[i], &c.http[i]);
	for (size_t i = 0; i < mm_nfamilies; i++)
		put_family(&c, &mm_families[i]);
	if (open)
		mm_buf_text(out, "# EOF\n");
}

/* see metrics.h */
void
mm_metrics_reference(struct mm_buf *out)
{
	mm_buf_text(out, "| metric | type | labels | meaning |\n"
			 "|---|---|---|---|\n");
	for (size_t i = 0; i < mm_nfamilies; i++)
		mm_buf_printf(out, "| `%s%s` | %s | %s | %s |\n",
		    mm_families[i].name,
		    mm_families[i].type == COUNTER ? "_total" : "",
		    types[mm_families[i].type], mm_families[i].labels,
		    mm_families[i].help);
}
