#include "server/families.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/time.h"
#include "server/ocsp.h"
#include "server/process.h"

/* Every metric, in the order of docs/reference/metrics.md. */
/* ---- families that are one number ---- */

#define ONE(name, value)                         \
	static void put_##name(struct mm_scrape *c) \
	{                                        \
		mm_sample(c, "", (uint64_t)(value)); \
	}

ONE(ready, c->core.ready && c->store_up)
ONE(production, c->s->config->set.production)
ONE(issued, c->core.issued)
ONE(renewed, c->core.renewed)
ONE(replayed, c->core.replayed)
ONE(confirmed, c->core.confirmed)
ONE(orphans, c->core.orphans)
ONE(signer_up, c->core.signer_up && c->core.signer_age_ms <= MM_SIGNER_LATE_MS)
ONE(store_up, c->store_up && c->core.store_ok)
ONE(ledger_size, c->core.tree_size)
ONE(checkpoint_size, c->core.checkpoint_size)
ONE(noted, c->attempts.noted)
ONE(dropped, c->attempts.dropped)
ONE(written, c->attempts.written)
ONE(asked, c->authorise.asked)
ONE(hooks_failing, c->hooks.failing)
ONE(hooks_dead, c->hooks.dead)
ONE(ocsp_kept, mm_ocsp_kept(c->s->ocsp))
ONE(rss, mm_process_rss())
ONE(fds, mm_process_fds())
ONE(fds_max, mm_process_fds_max())
ONE(sandbox, c->s->sandbox_missing == 0)

/* The first start is none. */
static void
put_restarts(struct mm_scrape *c)
{
	unsigned n = atomic_load(&c->s->signer_starts);

	mm_sample(c, "", n > 0 ? n - 1 : 0);
}

static void
put_cpu(struct mm_scrape *c)
{
	mm_sample_real(c, "", mm_process_cpu_s());
}

static void
put_started(struct mm_scrape *c)
{
	mm_sample_real(c, "", (double)c->s->started_at / 1000);
}

static void
put_build(struct mm_scrape *c)
{
	mm_sample_label(c, "version", MM_VERSION, 1);
}

/* A time and not the counter's growth: it says so also to whoever first looks
 * when all is settled. */
static void
put_orphan_at(struct mm_scrape *c)
{
	if (c->core.orphan_at != 0)
		mm_sample_real(c, "", (double)c->core.orphan_at / 1000);
}

static void
put_hooks_oldest(struct mm_scrape *c)
{
	if (c->hooks.oldest_at != 0)
		mm_sample_real(c, "", (double)c->hooks.oldest_at / 1000);
}

/* Nothing, where there was no checkpoint since the start. */
static void
put_checkpoint_at(struct mm_scrape *c)
{
	if (c->core.checkpoint_at != 0)
		mm_sample_real(c, "", (double)c->core.checkpoint_at / 1000);
}

/* What the signer said last; nothing before it said something. */
#define SIGNER(name, value)                              \
	static void put_##name(struct mm_scrape *c)         \
	{                                                \
		if (c->core.signer_known)                \
			mm_sample(c, "", (uint64_t)(value)); \
	}

SIGNER(signed, c->core.signer.signed_n)
SIGNER(signer_refused, c->core.signer.refused_n)
SIGNER(outstanding, c->core.signer.outstanding)
SIGNER(journal, c->core.signer.journal_n)
SIGNER(issuing, c->core.signer.issuing != 0)
SIGNER(tokens, c->core.signer.tokens)
SIGNER(tokens_away, c->core.signer.tokens_away)

static void
put_ceiling(struct mm_scrape *c)
{
	if (c->core.signer_known)
		mm_sample_real(c, "", (double)c->core.signer.ceiling / 100);
}

/* ---- families by label ---- */

/* "other": the reading of a request failed before it had a reason. */
static void
put_refusals(struct mm_scrape *c)
{
	for (unsigned i = 0; i < MM_REASON_COUNT; i++)
		mm_sample_label(c, "reason",
		    i == MM_R_NONE ? "other"
				   : mm_reason_text((enum mm_reason)i),
		    c->refusals[i]);
}

#define EACH_LISTENER(name, field)                                            \
	static void put_##name(struct mm_scrape *c)                           \
	{                                                                     \
		for (unsigned i = 0; i < MM_LISTENERS; i++)                   \
			if (c->s->listener[i] >= 0)                           \
				mm_sample_label(c, "listener", mm_listener_name(i), \
				    c->http[i].field);                        \
	}

EACH_LISTENER(open, open)
EACH_LISTENER(half_open, handshakes)
EACH_LISTENER(accepted, accepted)
EACH_LISTENER(bad, bad_requests)
EACH_LISTENER(evicted, evicted)
EACH_LISTENER(shaken, handshake_done)

/* Two numbers of each listener, told apart by why. */
static void
put_two(struct mm_scrape *c, unsigned i, const char *const why[2],
    const uint64_t n[2])
{
	char labels[96];

	for (unsigned k = 0; k < 2; k++) {
		snprintf(labels, sizeof(labels), "listener=\"%s\",why=\"%s\"",
		    mm_listener_name(i), why[k]);
		mm_sample(c, labels, n[k]);
	}
}

static void
put_turned_away(struct mm_scrape *c)
{
	static const char *const why[2] = { "full", "source" };

	for (unsigned i = 0; i < MM_LISTENERS; i++)
		if (c->s->listener[i] >= 0)
			put_two(c, i, why,
			    (const uint64_t[]){ c->http[i].refused_cap,
				c->http[i].refused_source });
}

static void
put_unshaken(struct mm_scrape *c)
{
	static const char *const why[2] = { "failed", "timeout" };

	for (unsigned i = 0; i < MM_LISTENERS; i++)
		if (c->s->listener[i] >= 0)
			put_two(c, i, why,
			    (const uint64_t[]){ c->http[i].handshake_failed,
				c->http[i].handshake_timeout });
}

static uint64_t
requests_of(const struct mm_server *s, unsigned listener, unsigned class,
    unsigned status)
{
	uint64_t n = 0;

	for (int64_t i = 0; i < s->config->set.threads; i++)
		n += atomic_load(&s->meter[i].n[listener][class][status]);
	return n;
}

/* Only those that there were: 792 zeros would say nothing. */
static void
put_requests(struct mm_scrape *c)
{
	char labels[128];
	uint64_t n;

	for (unsigned k = 0; k < MM_LISTENERS * MM_CLASSES * MM_STATUSES; k++) {
		unsigned l = k / (MM_CLASSES * MM_STATUSES);
		unsigned class = k / MM_STATUSES % MM_CLASSES;

		n = requests_of(c->s, l, class, k % MM_STATUSES);
		if (n == 0)
			continue;
		snprintf(labels, sizeof(labels),
		    "listener=\"%s\",class=\"%s\",status=\"%s\"",
		    mm_listener_name(l), mm_meter_class_name(class),
		    mm_meter_status_name(k % MM_STATUSES));
		mm_sample(c, labels, n);
	}
}

static void
put_took(struct mm_scrape *c)
{
	char labels[32];

	for (unsigned k = 0; k < MM_CLASSES; k++) {
		struct mm_hist all = { 0 };

		if (k > 1 && strcmp(mm_meter_class_name(k),
				 mm_meter_class_name(k - 1)) == 0)
			continue;
		for (int64_t i = 0; i < c->s->config->set.threads; i++)
			mm_hist_merge(&c->s->meter[i].took[k], &all);
		snprintf(labels, sizeof(labels), "class=\"%s\"",
		    mm_meter_class_name(k));
		mm_sample_hist(c, &all, &mm_hist_time, labels);
	}
}

static void
put_issue_hist(struct mm_scrape *c)
{
	mm_sample_hist(c, mm_core_hist(c->s->core, MM_HIST_ISSUE), &mm_hist_time, "");
}

static void
put_commit_hist(struct mm_scrape *c)
{
	mm_sample_hist(
	    c, mm_core_hist(c->s->core, MM_HIST_COMMIT), &mm_hist_time, "");
}

static void
put_batch_hist(struct mm_scrape *c)
{
	mm_sample_hist(c, mm_core_hist(c->s->core, MM_HIST_BATCH), &mm_hist_size, "");
}

static void
put_authorise(struct mm_scrape *c)
{
	const uint64_t *said = c->authorise.said;

	mm_sample_label(c, "answer", "allowed", said[MM_SAID_YES]);
	mm_sample_label(c, "answer", "refused", said[MM_SAID_NO]);
	mm_sample_label(c, "answer", "unavailable", said[MM_SAID_NOTHING]);
}

static void
put_authorise_took(struct mm_scrape *c)
{
	mm_sample_hist(c,
	    mm_authorise_took(mm_deliver_authorise(c->s->deliver)),
	    &mm_hist_time, "");
}

static void
put_mails(struct mm_scrape *c)
{
	mm_sample_label(c, "result", "sent", c->mail.sent);
	mm_sample_label(c, "result", "failed", c->mail.failed);
}

static void
put_mail_waiting(struct mm_scrape *c)
{
	mm_sample(c, "", c->mail.waiting);
}

static void
put_mail_failing(struct mm_scrape *c)
{
	mm_sample(c, "", c->mail.failing_since != 0);
}

static void
put_hooks(struct mm_scrape *c)
{
	for (unsigned i = 0; i < MM_HOOK_STATES; i++)
		mm_sample_label(c, "state",
		    mm_hook_state_name((enum mm_hook_state)i), c->hooks.n[i]);
}

static void
put_hook_events(struct mm_scrape *c)
{
	mm_sample_label(c, "result", "delivered", c->hooks.delivered);
	mm_sample_label(c, "result", "failed", c->hooks.failed);
}

static void
put_queues(struct mm_scrape *c)
{
	mm_sample_label(c, "queue", "core", c->core.in_flight);
	mm_sample_label(c, "queue", "signer", c->core.waiting);
	mm_sample_label(c, "queue", "worker", mm_work_depth(c->s->work));
	mm_sample_label(c, "queue", "attempts", c->attempts.held);
	mm_sample_label(c, "queue", "authorise", c->authorise.waiting);
}

static void
put_records(struct mm_scrape *c)
{
	if (!c->store_up)
		return;
	mm_sample_label(c, "kind", "products", c->store.products);
	mm_sample_label(c, "kind", "devices", c->store.devices);
	mm_sample_label(c, "kind", "tokens", c->store.tokens);
	mm_sample_label(c, "kind", "certificates", c->store.certs);
	mm_sample_label(c, "kind", "revoked", c->store.revoked);
}

static void
put_groups(struct mm_scrape *c)
{
	if (!c->store_up)
		return;
	mm_sample_label(c, "state", "open", c->groups.open);
	mm_sample_label(c, "state", "paused", c->groups.paused);
	mm_sample_label(c, "state", "halted", c->groups.halted);
	mm_sample_label(c, "state", "ended", c->groups.ended);
}

static void
put_waiting(struct mm_scrape *c)
{
	if (c->store_up)
		mm_sample(c, "", c->groups.waiting);
}

static void
put_conflicts(struct mm_scrape *c)
{
	if (c->store_up)
		mm_sample(c, "", c->groups.conflicts);
}

static void
put_file(
    struct mm_scrape *c, const char *what, const char *path, const char *suffix)
{
	char name[MM_PATH_MAX + 16];
	struct stat st;

	snprintf(name, sizeof(name), "%s%s", path, suffix);
	if (stat(name, &st) == 0)
		mm_sample_label(c, "file", what, (uint64_t)st.st_size);
}

/* A database that is no file of ours is measured by its own exporter. */
static void
put_size(struct mm_scrape *c)
{
	static const char scheme[] = "sqlite:";
	const char *url = c->s->config->set.database;

	if (strncmp(url, scheme, sizeof(scheme) - 1) != 0)
		return;
	put_file(c, "database", url + sizeof(scheme) - 1, "");
	put_file(c, "wal", url + sizeof(scheme) - 1, "-wal");
}

/* A CRL's number is its thisUpdate in milliseconds (desk_crl.c). */
static void
put_crls(struct mm_scrape *c, bool next)
{
	const struct mm_config *conf = c->s->config;
	uint64_t number;
	int64_t next_s;

	for (size_t i = 0; i < conf->nissuer; i++)
		if (mm_issuer_lists(&conf->issuer[i]) && mm_public_crl(
			c->s->pub, conf->issuer[i].name, &number, &next_s))
			mm_sample_label(c, "issuer", conf->issuer[i].name,
			    next ? (uint64_t)next_s : number / 1000);
}

/* Of each issuer the shard that is furthest behind. */
static void
put_shards(struct mm_scrape *c, bool next)
{
	const struct mm_config *conf = c->s->config;

	for (size_t i = 0; i < conf->nissuer; i++) {
		struct mm_shard_times t;

		mm_public_shard_times(c->s->pub, &conf->issuer[i], &t);
		if (t.n > 0 && mm_issuer_lists(&conf->issuer[i]))
			mm_sample_label(c, "issuer", conf->issuer[i].name,
			    next ? (uint64_t)t.next_s : t.number / 1000);
	}
}

static void
put_root(struct mm_scrape *c)
{
	struct mm_root_times t;

	mm_public_root_times(c->s->pub, &t);
	if (t.n > 0)
		mm_sample_label(c, "which", "present", (uint64_t)t.next_s);
	if (t.last_s > 0)
		mm_sample_label(c, "which", "last", (uint64_t)t.last_s);
}

static void
put_shard_this(struct mm_scrape *c)
{
	put_shards(c, false);
}

static void
put_shard_next(struct mm_scrape *c)
{
	put_shards(c, true);
}

static void
put_ocsp(struct mm_scrape *c)
{
	for (unsigned i = 0; i < MM_OCSP_SAIDS; i++)
		mm_sample_label(c, "answer",
		    mm_ocsp_said_name((enum mm_ocsp_said)i),
		    mm_ocsp_said(c->s->ocsp, (enum mm_ocsp_said)i));
}

static void
put_configured(struct mm_scrape *c)
{
	for (unsigned i = 0; i < MM_CONFIGURED; i++)
		mm_sample_label(c, "result", mm_configured_words[i],
		    atomic_load(&c->s->configured[i]));
}

static void
put_crl_this(struct mm_scrape *c)
{
	put_crls(c, false);
}

static void
put_crl_next(struct mm_scrape *c)
{
	put_crls(c, true);
}

static void
put_cert(struct mm_scrape *c, const char *kind, const char *name,
    int64_t not_after_s)
{
	char labels[96];

	snprintf(labels, sizeof(labels), "kind=\"%s\",name=\"%s\"", kind, name);
	mm_sample(c, labels, (uint64_t)not_after_s);
}

/* As GET /expiry has it; absent until the first count. */
static void
put_ending(struct mm_scrape *c)
{
	static const struct {
		const char *name;
		int64_t days; /* of which they end, at most */
	} rows[] = { { "ended", 0 }, { "1d", 1 }, { "7d", 7 }, { "30d", 30 },
		{ "90d", 90 }, { "all", INT64_MAX } };
	struct mm_forecast *f = mm_core_forecast(c->s->core);
	int64_t today = mm_now_s() / 86400;

	for (size_t i = 0; f != NULL && i < sizeof(rows) / sizeof(rows[0]);
	    i++) {
		uint64_t n = 0;

		for (size_t k = 0; k < f->ncell; k++)
			n += (int64_t)f->cell[k].day - today < rows[i].days &&
			    (i == 0 || f->cell[k].day >= today)
			    ? f->cell[k].n : 0;
		mm_sample_label(c, "within", rows[i].name, n);
	}
	mm_core_forecast_done(c->s->core, f);
}

/* One sample a product, whatever issuers it has. */
static void
put_by_product(struct mm_scrape *c, size_t number)
{
	struct mm_forecast *f = mm_core_forecast(c->s->core);

	for (size_t i = 0; f != NULL && i < f->nclass; i++) {
		const char *product = f->class[i].product;
		uint64_t n = 0;
		size_t k = 0;

		while (strcmp(f->class[k].product, product) != 0)
			k++;
		if (k < i) /* told with the first of it */
			continue;
		for (; k < f->nclass; k++)
			if (strcmp(f->class[k].product, product) == 0)
				n += *(const uint64_t *)(const void *)
				    ((const char *)&f->class[k] + number);
		mm_sample_label(c, "product", product, n);
	}
	mm_core_forecast_done(c->s->core, f);
}

static void
put_in_use(struct mm_scrape *c)
{
	put_by_product(c, offsetof(struct mm_forecast_class, in_use));
}

static void
put_late(struct mm_scrape *c)
{
	put_by_product(c, offsetof(struct mm_forecast_class, late));
}

static void
put_certs(struct mm_scrape *c)
{
	const struct mm_config *conf = c->s->config;
	struct mm_bytes der;
	struct mm_cert cert;
	int64_t at;

	if (mm_tls_ends(c->s->tls, &at))
		put_cert(c, "tls", "server", at);
	if (mm_tls_anchor_ends(c->s->tls, &at))
		put_cert(c, "anchor", "root", at);
	for (size_t i = 0; i < conf->nissuer; i++)
		if (!conf->issuer[i].retired &&
		    mm_core_issuer_der(c->s->core, conf->issuer[i].name, &der,
			NULL) == MM_OK &&
		    mm_cert_walk(der, &cert, NULL) == MM_OK)
			put_cert(c, "issuer", conf->issuer[i].name,
			    cert.not_after_s);
}

/* ---- the table ---- */

#define M "mintmark_"

/* see families.h */
const struct mm_family mm_families[] = {
	{ M "build_info", GAUGE, "version",
	    "Always 1; the version stands in its label.", put_build },
	{ M "ready", GAUGE, "",
	    "1 while certificates can be issued, as /readyz says.", put_ready },
	{ M "production", GAUGE, "", "1 in production, 0 in test mode.",
	    put_production },
	{ M "sandboxed", GAUGE, "",
	    "1 if the kernel gave the server its whole sandbox.", put_sandbox },

	{ M "certificates_issued", COUNTER, "",
	    "Certificates issued by a first enrolment.", put_issued },
	{ M "certificates_renewed", COUNTER, "",
	    "Certificates issued by a renewal.", put_renewed },
	{ M "certificates_replayed", COUNTER, "",
	    "Answers given once more to the same request.", put_replayed },
	{ M "certificates_confirmed", COUNTER, "",
	    "Confirmations: a device showed its new certificate.",
	    put_confirmed },
	{ M "signatures_orphaned", COUNTER, "",
	    "Signatures whose record could not be written; they are revoked.",
	    put_orphans },
	{ M "signatures_orphaned_timestamp_seconds", GAUGE, "",
	    "When the last such signature was entered; absent before the "
	    "first since the start.",
	    put_orphan_at },
	{ M "refusals", COUNTER, "reason",
	    "Refused requests and token handshakes, by reason (other: not "
	    "readable as a request).",
	    put_refusals },
	{ M "issue_duration_seconds", HISTOGRAM, "",
	    "From the admission of a request to the release of its "
	    "certificate.",
	    put_issue_hist },

	{ M "http_requests", COUNTER, "listener, class, status",
	    "Answered requests; classes are groups of routes. Only what there "
	    "was is shown.",
	    put_requests },
	{ M "http_request_duration_seconds", HISTOGRAM, "class",
	    "From the head of a request to the last byte of its answer.",
	    put_took },
	{ M "http_bad_requests", COUNTER, "listener",
	    "Requests that were refused before they had a route, or with a "
	    "body too large.", put_bad },
	{ M "connections_open", GAUGE, "listener",
	    "Open connections, half-open ones included.", put_open },
	{ M "connections_accepted", COUNTER, "listener",
	    "Accepted connections, those turned away included.", put_accepted },
	{ M "connections_turned_away", COUNTER, "listener, why",
	    "Connections closed at once: the listener was full, or the "
	    "source had too many.", put_turned_away },
	{ M "connections_evicted", COUNTER, "listener",
	    "Connections that rested and were ended to make room for a new "
	    "one: the listener was full.", put_evicted },
	{ M "handshakes_open", GAUGE, "listener",
	    "TLS handshakes that are not over.", put_half_open },
	{ M "handshakes", COUNTER, "listener", "TLS handshakes that succeeded.",
	    put_shaken },
	{ M "handshakes_failed", COUNTER, "listener, why",
	    "TLS handshakes that failed, or took too long.", put_unshaken },

	{ M "queue_depth", GAUGE, "queue",
	    "What waits: requests in the core, of these for the signer; calls "
	    "for a worker; devices for the attempt log; questions to "
	    "authorise_url.", put_queues },

	{ M "authorise_asked", COUNTER, "",
	    "Questions put before a first enrolment (authorise_url).",
	    put_asked },
	{ M "authorise_answers", COUNTER, "answer",
	    "How they ended; unavailable: no answer that counts came in time.",
	    put_authorise },
	{ M "authorise_duration_seconds", HISTOGRAM, "",
	    "From a question to its end.", put_authorise_took },

	{ M "upstream_up", GAUGE, "issuer",
	    "1 while an existing CA answers what it is asked, whatever it "
	    "says, or was not asked yet.", mm_put_upstream_up },
	{ M "upstream_asked", COUNTER, "issuer",
	    "Certificates that an existing CA was asked for.",
	    mm_put_upstream_asked },
	{ M "upstream_answers", COUNTER, "issuer, answer",
	    "How it ended. wrong: not released; unavailable, not_asked: none "
	    "was made; pending: none yet; unknown: one may have been made.",
	    mm_put_upstream_answers },
	{ M "upstream_duration_seconds", HISTOGRAM, "issuer",
	    "From such a question to its end.", mm_put_upstream_took },
	{ M "upstream_waiting", GAUGE, "issuer",
	    "Questions whose answer is not there yet.",
	    mm_put_upstream_waiting },
	{ M "upstream_resting_seconds", GAUGE, "issuer",
	    "For so long it is left alone because it did not answer.",
	    mm_put_upstream_resting },
	{ M "upstream_answered_timestamp_seconds", GAUGE, "issuer",
	    "When it answered last; absent before the first answer since the "
	    "start.", mm_put_upstream_answered },
	{ M "upstream_registrar_ends", COUNTER, "issuer",
	    "How often the process that asks it hung or ended, and was started "
	    "again.", mm_put_upstream_ends },

	{ M "webhooks", GAUGE, "state",
	    "Webhooks: active, paused by an operator, disabled by the server.",
	    put_hooks },
	{ M "webhooks_failing", GAUGE, "",
	    "Active webhooks whose last attempt failed.", put_hooks_failing },
	{ M "webhook_deliveries", COUNTER, "result",
	    "Events delivered, and attempts that failed.", put_hook_events },
	{ M "webhook_dead_letters", GAUGE, "",
	    "Events that were put aside after their last attempt; of several "
	    "nodes, at the one that delivers.",
	    put_hooks_dead },
	{ M "webhook_oldest_timestamp_seconds", GAUGE, "",
	    "When the oldest event happened that an active webhook is to "
	    "deliver next; absent when none waits.",
	    put_hooks_oldest },
	{ M "mails", COUNTER, "result",
	    "Mails that the mail server took, and tries that failed.",
	    put_mails },
	{ M "mail_alerts_waiting", GAUGE, "",
	    "Alerts that no mail has told of yet.", put_mail_waiting },
	{ M "mail_failing", GAUGE, "",
	    "1 while the mail server does not take what it is given.",
	    put_mail_failing },

	{ M "signer_up", GAUGE, "",
	    "1 while the server has a signer that answers.", put_signer_up },
	{ M "signer_issuing", GAUGE, "", "1 while the signer would sign.",
	    put_issuing },
	{ M "signer_restarts", COUNTER, "", "Times the signer came back.",
	    put_restarts },
	{ M "signer_signatures", COUNTER, "",
	    "Signatures since the signer's start.", put_signed },
	{ M "signer_refusals", COUNTER, "",
	    "Requests the signer refused since its start.",
	    put_signer_refused },
	{ M "signer_outstanding", GAUGE, "",
	    "Signed certificates not yet seen in the ledger; at 4,096 the "
	    "signer stops.",
	    put_outstanding },
	{ M "signer_ceiling_used_ratio", GAUGE, "",
	    "How far the fullest profile's ceiling is used, 0 to 1.",
	    put_ceiling },
	{ M "signer_key_tokens", GAUGE, "",
	    "Issuing keys in PKCS#11 tokens.", put_tokens },
	{ M "signer_key_tokens_away", GAUGE, "",
	    "Of those, the ones that cannot sign now: no token, no session, "
	    "or a refused PIN.", put_tokens_away },
	{ M "journal_lines", GAUGE, "",
	    "Number of the last line of the signer's journal.", put_journal },

	{ M "ledger_entries", GAUGE, "", "Entries in the ledger.",
	    put_ledger_size },
	{ M "ledger_checkpoint_entries", GAUGE, "",
	    "Entries that the newest checkpoint covers.", put_checkpoint_size },
	{ M "ledger_checkpoint_timestamp_seconds", GAUGE, "",
	    "When the newest checkpoint was stored; absent before the first "
	    "since the start.",
	    put_checkpoint_at },

	{ M "crl_this_update_timestamp_seconds", GAUGE, "issuer",
	    "When the issuer's newest CRL was signed.", put_crl_this },
	{ M "crl_next_update_timestamp_seconds", GAUGE, "issuer",
	    "When the issuer's newest CRL ends.", put_crl_next },
	{ M "root_crl_next_update_timestamp_seconds", GAUGE, "which",
	    "When the list of the CAs above the issuers ends that is "
	    "published, and the last that was signed beforehand (root_crl).",
	    put_root },
	{ M "crl_shard_this_update_timestamp_seconds", GAUGE, "issuer",
	    "When the oldest of the CRLs of the issuer's shards was signed; "
	    "none where the complete one stands for them.", put_shard_this },
	{ M "crl_shard_next_update_timestamp_seconds", GAUGE, "issuer",
	    "When the first of them ends.", put_shard_next },
	{ M "ocsp_answers", COUNTER, "answer",
	    "OCSP requests by what was answered.", put_ocsp },
	{ M "ocsp_kept", COUNTER, "",
	    "OCSP answers that had been signed before.", put_ocsp_kept },
	{ M "certificate_not_after_timestamp_seconds", GAUGE, "kind, name",
	    "When a certificate of the CA itself ends: anchor, issuer, tls.",
	    put_certs },

	{ M "device_configurations", COUNTER, "result",
	    "Devices that asked for their configuration: served, "
	    "not-modified, none (nothing is configured), refused.",
	    put_configured },

	{ M "device_certificates_ending", GAUGE, "within",
	    "Certificates in force that end within so many days (1d to 90d, "
	    "each holds those before it), that have ended (ended), and all "
	    "that have not (all); absent before the first count.",
	    put_ending },
	{ M "device_certificates_in_use", GAUGE, "product",
	    "Certificates that devices use (confirmed) and renew: LDevIDs that "
	    "have an end and have not reached it.", put_in_use },
	{ M "device_certificates_late", GAUGE, "product",
	    "Of them, those with less than a tenth of their profile's lifetime "
	    "left, before which each should have been renewed.", put_late },

	{ M "store_up", GAUGE, "", "1 while the database is read and written.",
	    put_store_up },
	{ M "store_commit_duration_seconds", HISTOGRAM, "",
	    "Of a transaction, its sync included.", put_commit_hist },
	{ M "store_batch_operations", HISTOGRAM, "",
	    "Operations in one transaction.", put_batch_hist },
	{ M "store_size_bytes", GAUGE, "file",
	    "Of the SQLite database and its write-ahead log.", put_size },
	{ M "store_records", GAUGE, "kind", "Records in the database.",
	    put_records },

	{ M "groups", GAUGE, "state",
	    "Bootstrap groups that are not closed: open, paused by an operator, "
	    "halted by conflicts, past their end.", put_groups },
	{ M "group_devices_waiting", GAUGE, "",
	    "Devices that came with a shared credential and wait for an "
	    "operator.", put_waiting },
	{ M "group_conflicts", GAUGE, "",
	    "Other keys that came for devices of groups since each group was "
	    "opened last.", put_conflicts },

	{ M "attempts_noted", COUNTER, "",
	    "Refusals of a named device that the attempt log was told of.",
	    put_noted },
	{ M "attempts_dropped", COUNTER, "",
	    "Those it had no room for: a storm.", put_dropped },
	{ M "attempts_written", COUNTER, "",
	    "Times it wrote a device's record.", put_written },

	{ "process_cpu_seconds", COUNTER, "",
	    "CPU time of the server's process.", put_cpu },
	{ "process_resident_memory_bytes", GAUGE, "",
	    "Resident memory of the server's process.", put_rss },
	{ "process_open_fds", GAUGE, "",
	    "Open file descriptors of the server's process.", put_fds },
	{ "process_max_fds", GAUGE, "", "Most file descriptors it may have.",
	    put_fds_max },
	{ "process_start_time_seconds", GAUGE, "",
	    "When the server's process started.", put_started },
};
const size_t mm_nfamilies = sizeof(mm_families) / sizeof(mm_families[0]);
