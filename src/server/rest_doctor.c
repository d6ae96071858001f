#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/time.h"
#include "doctor/doctor.h"
#include "sandbox/sandbox.h"
#include "server/authorise.h"
#include "server/exam.h"
#include "server/process.h"
#include "server/rest.h"

/*
 * GET /doctor: what a running server can say about itself, as findings; what
 * they look at is doctor/findings.c's table.
 */
enum {
	SKEW_WARN_MS = 5000,
	SKEW_FAIL_MS = 60000,
	CEILING_WARN = 80, /* percent */
	OUTSTANDING_WARN = 1000,
	STARTS_WARN = 3, /* restarts */
	UNCOVERED_MS = 60000,
	ROOT_DAYS = 180, /* a root is far away */
	KEY_WARN_MS = 14 * 86400 * 1000,
	OPERATORS_PAGE = 1000,
	HOOK_FAILING_MS = 3600 * 1000,
};
#define LAST_ADMIN_WARN_MS ((int64_t)30 * 86400 * 1000) /* as health.c */

/* ---- sandbox, signer, clock, version ---- */

static void
look_sandbox(struct exam *e)
{
	unsigned missing = e->r->s->sandbox_missing;

	if (missing == 0)
		mm_find(e->f, MM_CHECK_SANDBOX, MM_LEVEL_OK, NULL,
		    "seccomp and landlock are active");
	else
		mm_find(e->f, MM_CHECK_SANDBOX, MM_LEVEL_WARN,
		    "Use a kernel "
		    "with both: Linux 5.13, landlock among the enabled "
		    "modules",
		    "the server runs without%s%s%s",
		    missing & MM_SANDBOX_NO_SECCOMP ? " seccomp" : "",
		    missing & MM_SANDBOX_NO_LANDLOCK ? " landlock" : "",
		    missing & MM_SANDBOX_OLD_LANDLOCK ? " the newest landlock"
						      : "");
}

static void
look_ceiling(struct exam *e)
{
	const struct mm_status_rep *g = &e->st.signer;
	enum mm_level level = g->ceiling >= 100            ? MM_LEVEL_FAIL
			      : g->ceiling >= CEILING_WARN ? MM_LEVEL_WARN
							   : MM_LEVEL_OK;

	if (g->ceiling == 0)
		return;
	mm_find(e->f, MM_CHECK_SIGNER, level,
	    "Raise per_minute or per_day "
	    "with a new version of the profile, or find out who asks so "
	    "often",
	    "profile %s has used %u %% of a ceiling", g->ceiling_profile,
	    (unsigned)g->ceiling);
}

static void
look_outstanding(struct exam *e)
{
	unsigned long long n = e->st.signer.outstanding;

	mm_find(e->f, MM_CHECK_SIGNER,
	    n > OUTSTANDING_WARN ? MM_LEVEL_WARN : MM_LEVEL_OK,
	    "The database does not keep up, or fails: look at "
	    "its disk",
	    "%llu signatures are not in the ledger yet", n);
}

/* Issuing keys in PKCS#11 tokens. */
static void
look_tokens(struct exam *e)
{
	const struct mm_status_rep *g = &e->st.signer;

	if (g->tokens == 0)
		return;
	if (g->tokens_away == 0)
		mm_find(e->f, MM_CHECK_SIGNER, MM_LEVEL_OK, NULL,
		    "%u issuing keys in tokens are ready",
		    (unsigned)g->tokens);
	else if (g->token_refused)
		mm_find(e->f, MM_CHECK_SIGNER, MM_LEVEL_FAIL,
		    "It is not tried again, or the token would lock itself: "
		    "put the right PIN into pin_file, then run mintmark ca "
		    "check-key",
		    "issuer %s signs nothing: its token: %.110s",
		    g->token_issuer, g->token_why);
	else
		mm_find(e->f, MM_CHECK_SIGNER, MM_LEVEL_FAIL,
		    "It goes on by itself once the token is back",
		    "issuer %s signs nothing: its token: %.110s",
		    g->token_issuer, g->token_why);
}

static void
look_signer(struct exam *e)
{
	unsigned starts = atomic_load(&e->r->s->signer_starts);

	if (e->st.signer_known && e->st.signer_age_ms > MM_SIGNER_LATE_MS)
		mm_find(e->f, MM_CHECK_SIGNER, MM_LEVEL_FAIL,
		    "Look at what "
		    "it waits for: its disk, its key store; else restart "
		    "mintmarkd",
		    "the signer has said nothing for %lld s",
		    (long long)e->st.signer_age_ms / 1000);
	else if (!e->st.signer_up || !e->st.signer_known)
		mm_find(e->f, MM_CHECK_SIGNER, MM_LEVEL_FAIL,
		    "Its exit is in "
		    "the log: journalctl -u mintmarkd",
		    "the signer is away");
	else if (!e->st.signer.issuing)
		mm_find(e->f, MM_CHECK_SIGNER, MM_LEVEL_FAIL,
		    "It goes on by "
		    "itself once that is over",
		    "the signer issues nothing: "
		    "%.120s",
		    e->st.signer.why);
	else
		mm_find(e->f, MM_CHECK_SIGNER, MM_LEVEL_OK, NULL,
		    "the signer is up; line %llu of its journal",
		    (unsigned long long)e->st.signer.journal_n);
	if (starts > STARTS_WARN)
		mm_find(e->f, MM_CHECK_SIGNER, MM_LEVEL_WARN,
		    "Its exits are "
		    "in the log: journalctl -u mintmarkd",
		    "the signer was started %u times", starts);
	if (!e->st.signer_known)
		return;
	look_tokens(e);
	look_ceiling(e);
	look_outstanding(e);
}

static enum mm_level
skew_level(int64_t ms)
{
	int64_t far = ms < 0 ? -ms : ms;

	if (far >= SKEW_FAIL_MS)
		return MM_LEVEL_FAIL;
	return far >= SKEW_WARN_MS ? MM_LEVEL_WARN : MM_LEVEL_OK;
}

static void
look_clock(struct exam *e)
{
	int64_t ahead;

	if (!e->st.signer_known)
		return;
	mm_find(e->f, MM_CHECK_CLOCK, skew_level(e->st.signer_skew_ms),
	    "Both read one clock: look at the machine's time service",
	    "the signer's clock differs by %lld ms",
	    (long long)e->st.signer_skew_ms);
	ahead = (int64_t)e->st.signer.journal_ms - mm_now_ms();
	if (ahead >= SKEW_WARN_MS)
		mm_find(e->f, MM_CHECK_CLOCK, MM_LEVEL_FAIL,
		    "The clock was "
		    "ahead once, or is behind now: set it; until then the "
		    "signer waits",
		    "the signer's journal is %lld s ahead of "
		    "the clock",
		    (long long)ahead / 1000);
}

static void
look_version(struct exam *e)
{
	const char *v = e->st.signer.version;

	if (!e->st.signer_known)
		return;
	mm_find(e->f, MM_CHECK_VERSION,
	    strcmp(v, MM_VERSION) == 0 ? MM_LEVEL_OK : MM_LEVEL_WARN,
	    "Install one version of both, and "
	    "restart",
	    "server %s, signer %s", MM_VERSION, v);
}

/* ---- ledger and lists ---- */

static void
look_size(struct exam *e)
{
	uint64_t size;

	if (mm_get_ledger_size(e->r->reader, &size, NULL) != MM_OK)
		mm_find(e->f, MM_CHECK_LEDGER, MM_LEVEL_FAIL,
		    "Look at the "
		    "database's disk",
		    "the ledger cannot be read");
	else if (size < e->st.tree_size)
		mm_find(e->f, MM_CHECK_LEDGER, MM_LEVEL_FAIL,
		    "Stop the "
		    "server, and run mintmark ledger reconcile",
		    "the store has %llu entries, the core %llu",
		    (unsigned long long)size,
		    (unsigned long long)e->st.tree_size);
	else
		mm_find(e->f, MM_CHECK_LEDGER, MM_LEVEL_OK, NULL,
		    "%llu entries", (unsigned long long)size);
}

/* The newest is behind by a second at most while entries come. */
static void
look_checkpoint(struct exam *e)
{
	const struct mm_core_stats *st = &e->st;
	int64_t since =
	    st->checkpoint_at != 0 ? st->checkpoint_at : e->r->s->started_at;

	if (st->checkpoint_size >= st->tree_size)
		mm_find(e->f, MM_CHECK_LEDGER, MM_LEVEL_OK, NULL,
		    "the checkpoint covers all entries");
	else if (mm_now_ms() - since > UNCOVERED_MS)
		mm_find(e->f, MM_CHECK_LEDGER, MM_LEVEL_FAIL,
		    "The signer does "
		    "not sign tree heads: its log says why",
		    "%llu entries have waited for a checkpoint for %lld s",
		    (unsigned long long)(st->tree_size - st->checkpoint_size),
		    (long long)(mm_now_ms() - since) / 1000);
	else
		mm_find(e->f, MM_CHECK_LEDGER, MM_LEVEL_OK, NULL,
		    "a checkpoint is due");
}

static void
look_crl(struct exam *e, const struct mm_issuer_conf *i)
{
	static const char todo[] = "mintmark ca crl says why it cannot be "
				   "signed";
	int64_t next_s, left, span = i->crl_hours * 3600;
	uint64_t number;
	enum mm_level level;

	if (!mm_public_crl(e->r->s->pub, i->name, &number, &next_s)) {
		mm_find(e->f, MM_CHECK_CRL, MM_LEVEL_FAIL, todo,
		    "issuer %s has no revocation list", i->name);
		return;
	}
	left = next_s - mm_now_s();
	level = left <= 0             ? MM_LEVEL_FAIL
		: left < span * 2 / 5 ? MM_LEVEL_WARN
				      : MM_LEVEL_OK;
	mm_find(e->f, MM_CHECK_CRL, level, todo,
	    "issuer %s: the revocation "
	    "list %s %lld minutes",
	    i->name, left <= 0 ? "has ended since" : "is good for",
	    (long long)(left < 0 ? -left : left) / 60);
}

/* Where certificates say that it is. */
static void
look_shards(struct exam *e, const struct mm_issuer_conf *i)
{
	int64_t left, span = i->crl_hours * 3600;
	struct mm_shard_times t;

	mm_public_shard_times(e->r->s->pub, i, &t);
	left = t.next_s - mm_now_s();
	if (t.want == 0)
		return;
	if (t.n < t.want)
		mm_find(e->f, MM_CHECK_CRL, MM_LEVEL_WARN,
		    "crl_shards is fixed for an issuer's life: put it back to "
		    "what it was; else mintmark ca crl says what is wrong",
		    "issuer %s: %zu of %zu shards have a list; the complete "
		    "one stands for the others", i->name, t.n, t.want);
	else
		mm_find(e->f, MM_CHECK_CRL, left <= 0 ? MM_LEVEL_FAIL :
		    left < span * 2 / 5 ? MM_LEVEL_WARN : MM_LEVEL_OK,
		    "mintmark ca crl says why they cannot be signed",
		    "issuer %s: the first of %zu shards' lists %s %lld "
		    "minutes", i->name, t.n,
		    left <= 0 ? "has ended since" : "is good for",
		    (long long)(left < 0 ? -left : left) / 60);
}

/* A file that a person has to replace in time. */
static void
look_root(struct exam *e)
{
	struct mm_root_times t;
	int64_t left;

	mm_public_root_times(e->r->s->pub, &t);
	if (!t.wanted)
		return;
	left = (t.last_s - mm_now_s()) / 86400;
	if (t.unread || t.foreign > 0 || t.older)
		mm_find(e->f, MM_CHECK_CRL, MM_LEVEL_FAIL, "the log says "
		    "which (root-crl): mintmark ca root-crl makes new ones",
		    "root_crl: %s", t.unread ? "it cannot be read" :
		    t.older ? "it has older lists than were published" :
		    "it has lists that no CA above our issuers has signed");
	else if (t.n == 0 || t.next_s < mm_now_s())
		mm_find(e->f, MM_CHECK_CRL, MM_LEVEL_FAIL,
		    "mintmark ca root-crl makes new ones",
		    "root_crl: no list of the root is good now");
	else if (t.open)
		mm_find(e->f, MM_CHECK_CRL, MM_LEVEL_WARN, "chmod 600, owned "
		    "by the server's user: whoever has the list of a year to "
		    "come can show it then, whatever the root revokes",
		    "root_crl: everybody may read it");
	else
		mm_find(e->f, MM_CHECK_CRL, left < ROOT_DAYS ? MM_LEVEL_WARN
		    : MM_LEVEL_OK, "mintmark ca root-crl makes new ones",
		    "root_crl: the root's lists are good for %lld days",
		    (long long)left);
}

static void
look_crls(struct exam *e)
{
	const struct mm_config *c = e->r->s->config;

	look_root(e);

	for (size_t i = 0; i < c->nissuer; i++) {
		if (!mm_issuer_lists(&c->issuer[i]))
			continue;
		look_crl(e, &c->issuer[i]);
		look_shards(e, &c->issuer[i]);
	}
}

/* ---- keys and load ---- */

struct keys {
	struct exam *e;
	unsigned good, admins;
	int64_t admins_until; /* INT64_MAX: one has no end */
	unsigned rows;        /* of a page, and its end */
	char last[MM_AUTHORITY_TEXT];
};

static enum mm_err
look_key(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_operator *o = row;
	struct keys *k = ctx;
	int64_t left = o->expires_at - mm_now_ms();

	(void)why;
	k->rows++;
	strcpy(k->last, next);
	if (!mm_operator_alive(o))
		return MM_OK;
	k->good++;
	if (mm_operator_admin(o)) {
		int64_t end = o->expires_at != 0 ? o->expires_at : INT64_MAX;

		k->admins++;
		if (end > k->admins_until)
			k->admins_until = end;
	}
	if (o->expires_at != 0 && left < KEY_WARN_MS &&
	    o->kind != MM_OPERATOR_RECOVERY)
		mm_find(k->e->f, MM_CHECK_KEYS, MM_LEVEL_WARN,
		    "Make a new "
		    "one (mintmark key create) and give it to who uses this",
		    "%s %s (%.64s) ends in %lld days",
		    o->kind == MM_OPERATOR_KEY ? "API key" : "certificate",
		    o->id, o->name, (long long)(left / 86400000));
	return MM_OK;
}

/* Once it has ended only the signer's user can make an administrator. */
static void
look_last_admin(struct exam *e, const struct keys *k)
{
	int64_t left = k->admins_until - mm_now_ms();

	if (left < LAST_ADMIN_WARN_MS)
		mm_find(e->f, MM_CHECK_KEYS, MM_LEVEL_WARN,
		    "Make another administrator: mintmark key create "
		    "--role admin",
		    "the last administrator's credential ends in %lld days",
		    (long long)(left / 86400000));
	if (k->admins == 1 && e->r->s->config->set.four_eyes.n > 0)
		mm_find(e->f, MM_CHECK_KEYS, MM_LEVEL_WARN,
		    "Make another administrator: mintmark key create "
		    "--role admin",
		    "four_eyes is set and there is one administrator only, "
		    "so nobody can approve");
}

static enum mm_err
look_at_keys(struct keys *k)
{
	struct mm_list l = { .most = OPERATORS_PAGE, .state = -1 };

	do {
		k->rows = 0;
		strcpy(l.after, k->last);
		MM_TRY(mm_list_operators(k->e->r->reader, &l, look_key, k,
		    NULL));
	} while (k->rows == OPERATORS_PAGE);
	return MM_OK;
}

static void
look_keys(struct exam *e)
{
	struct keys k = { .e = e };

	if (look_at_keys(&k) != MM_OK)
		mm_find(e->f, MM_CHECK_KEYS, MM_LEVEL_FAIL,
		    "Look at the "
		    "database's disk",
		    "the keys cannot be read");
	else if (k.admins == 0)
		mm_find(e->f, MM_CHECK_KEYS, MM_LEVEL_FAIL,
		    "mintmark-signer recover-admin, and make one with that",
		    "no administrator's credential is good");
	else
		mm_find(e->f, MM_CHECK_KEYS, MM_LEVEL_OK, NULL,
		    "%u credentials are good, %u of administrators", k.good,
		    k.admins);
	if (k.admins > 0)
		look_last_admin(e, &k);
}

static void
look_share(struct exam *e, const char *what, uint64_t n, uint64_t most,
    const char *todo)
{
	if (most == 0)
		return;
	mm_find(e->f, MM_CHECK_LOAD,
	    n > most / 10 * 8 ? MM_LEVEL_WARN : MM_LEVEL_OK, todo,
	    "%s: %llu of %llu", what, (unsigned long long)n,
	    (unsigned long long)most);
}

static void
look_load(struct exam *e)
{
	struct mm_server *s = e->r->s;
	const struct mm_settings *set = &s->config->set;
	struct mm_http_counters n = { 0 };
	unsigned most;

	if (s->listener[MM_DEVICES] >= 0)
		mm_http_counters(s->http, (size_t)s->listener[MM_DEVICES], &n);
	most = mm_process_connections(set, mm_process_fds_max());
	look_share(e, "connections of devices", n.open, most,
	    "Raise connections, or find out who holds them");
	if (most < set->connections)
		mm_find(e->f, MM_CHECK_LOAD, MM_LEVEL_WARN,
		    "Raise LimitNOFILE of the service, or lower connections",
		    "file descriptors are enough for %u connections a "
		    "listener, not for %lld", most,
		    (long long)set->connections);
	look_share(e, "file descriptors", mm_process_fds(),
	    mm_process_fds_max(), "Raise LimitNOFILE of the service");
}

/* While the maker's own system is away, no first enrolment succeeds. */
static void
look_asked(struct exam *e)
{
	struct mm_authorise_stats n;

	mm_authorise_stats(mm_deliver_authorise(e->r->s->deliver), &n);
	if (n.away)
		mm_find(e->f, MM_CHECK_AUTHORISE, MM_LEVEL_FAIL,
		    "See to your own system: nothing is issued to new devices "
		    "until it answers; mintmark authorise show",
		    "authorise_url gave no answer that counts: %.100s",
		    n.last_why);
	else
		mm_find(e->f, MM_CHECK_AUTHORISE, MM_LEVEL_OK, NULL,
		    "authorise_url was asked %llu times, %llu without an "
		    "answer", (unsigned long long)n.asked,
		    (unsigned long long)n.said[MM_SAID_NOTHING]);
}

static void
look_authorise(struct exam *e)
{
	struct mm_why why = { 0 };
	struct mm_hook h;

	if (e->r->s->config->set.authorise_url[0] == '\0') {
		mm_find(e->f, MM_CHECK_AUTHORISE, MM_LEVEL_OK, NULL,
		    "nobody is asked before a first enrolment");
		return;
	}
	if (mm_authorise_get(e->r->reader, &h, &why) != MM_OK)
		mm_find(e->f, MM_CHECK_AUTHORISE, MM_LEVEL_FAIL,
		    "Look at the database's disk",
		    "the secret of its questions: %.100s", why.text);
	else if (h.secret == 0)
		mm_find(e->f, MM_CHECK_AUTHORISE, MM_LEVEL_WARN,
		    "mintmark authorise rotate, and give the secret to your "
		    "own system",
		    "questions to authorise_url are signed with a secret that "
		    "nobody was shown");
	look_asked(e);
}

static void
find_hooks(struct exam *e, const struct mm_hook_stats *n)
{
	if (n->keyless[0] != '\0') /* up to what is to be done */
		mm_find(e->f, MM_CHECK_WEBHOOKS, MM_LEVEL_WARN,
		    "Copy server_dir/webhook.key of a node that has it, mode "
		    "0600, owned by the server's user: it is found without a "
		    "restart",
		    "this node delivers nothing, and cannot when the others "
		    "are gone: %.*s", (int)(strstr(n->keyless, ": copy") !=
		    NULL ? strstr(n->keyless, ": copy") - n->keyless : 80),
		    n->keyless);
	if (n->n[MM_HOOK_DISABLED] > 0)
		mm_find(e->f, MM_CHECK_WEBHOOKS, MM_LEVEL_WARN,
		    "mintmark webhook list says which and why; then: mintmark "
		    "webhook resume",
		    "%u webhooks were disabled by the server",
		    n->n[MM_HOOK_DISABLED]);
	if (n->failing_since != 0 &&
	    n->failing_since < mm_now_ms() - HOOK_FAILING_MS)
		mm_find(e->f, MM_CHECK_WEBHOOKS, MM_LEVEL_WARN,
		    "See to the receiver: mintmark webhook show says what it "
		    "answers",
		    "%u webhooks fail, the first for %lld minutes", n->failing,
		    (long long)(mm_now_ms() - n->failing_since) / 60000);
	if (n->dead > 0)
		mm_find(e->f, MM_CHECK_WEBHOOKS, MM_LEVEL_WARN,
		    "mintmark webhook dead-letters lists them, --retry sends "
		    "one again",
		    "%llu events were put aside undelivered",
		    (unsigned long long)n->dead);
}

static void
look_hooks(struct exam *e)
{
	struct mm_hook_stats n;
	size_t before = e->f->n;

	mm_deliver_stats(e->r->s->deliver, &n);
	find_hooks(e, &n);
	if (e->f->n == before)
		mm_find(e->f, MM_CHECK_WEBHOOKS, MM_LEVEL_OK, NULL,
		    "%u active webhooks, %llu events delivered since the "
		    "start", n.n[MM_HOOK_ACTIVE],
		    (unsigned long long)n.delivered);
}

static void
look_issuer(struct exam *e, const struct mm_issuer_conf *i)
{
	const struct mm_server *s = e->r->s;
	struct mm_bytes der;
	struct mm_cert c;

	if (i->retired ||
	    mm_core_issuer_der(s->core, i->name, &der, NULL) != MM_OK ||
	    mm_cert_walk(der, &c, NULL) != MM_OK)
		return;
	mm_doctor_end(MM_ENDS_ISSUER, i->name, c.not_after_s, e->f);
	mm_doctor_life(s->config, i, c.not_after_s, e->f);
}

/* From memory: their files are out of the sandbox's reach. */
static void
look_certs(struct exam *e)
{
	const struct mm_server *s = e->r->s;
	int64_t at;

	if (mm_tls_ends(s->tls, &at))
		mm_doctor_end(MM_ENDS_TLS, "", at, e->f);
	if (mm_tls_anchor_ends(s->tls, &at))
		mm_doctor_end(MM_ENDS_ANCHOR, "", at, e->f);
	for (size_t i = 0; i < s->config->nissuer; i++)
		look_issuer(e, &s->config->issuer[i]);
}

static void
look_config(struct exam *e)
{
	mm_doctor_config(e->r->s->config, e->r->s->config_path, e->f);
	mm_doctor_database(e->r->s->config->set.database, e->r->reader, e->deep,
	    NULL, e->f);
}

/* ---- the whole ---- */

static void (*const looks[])(struct exam *e) = {
	look_config,
	look_certs,
	look_sandbox,
	look_signer,
	look_clock,
	look_version,
	look_size,
	look_checkpoint,
	look_crls,
	mm_exam_upstream,
	look_keys,
	look_load,
	look_authorise,
	look_hooks,
	mm_exam_mail,
	mm_exam_groups,
	mm_exam_configurations,
};

static void
put_findings(struct mm_json *j, const struct mm_findings *f)
{
	mm_json_str(j, "worst", mm_level_name(mm_findings_worst(f)));
	mm_json_open_key(j, "findings", '[');
	for (size_t i = 0; i < f->n; i++) {
		const struct mm_finding *at = &f->f[i];

		mm_json_open(j, '{');
		mm_json_str(j, "check", mm_doctor_check_name(at->check));
		mm_json_str(j, "level", mm_level_name(at->level));
		mm_json_str(j, "what", at->what);
		if (at->todo[0] != '\0')
			mm_json_str(j, "do", at->todo);
		mm_json_close(j, '}');
	}
	mm_json_close(j, ']');
}

/* What the other side needs for its own checks. */
static void
put_about(struct mm_json *j, const struct mm_server *s,
    const struct mm_core_stats *st)
{
	mm_json_str(j, "version", MM_VERSION);
	mm_json_bool(j, "ready", st->ready);
	if (!st->ready)
		mm_json_str(j, "why", st->why);
	mm_json_str(j, "public_url",
	    s->listener[MM_PUBLIC] >= 0 ? s->config->set.public_url : "");
	mm_json_open_key(j, "issuers", '[');
	/* another CA's lists are its own, and not here */
	for (size_t i = 0; i < s->config->nissuer; i++)
		if (!mm_issuer_upstream(&s->config->issuer[i]))
			mm_json_str(j, NULL, s->config->issuer[i].name);
	mm_json_close(j, ']');
	mm_json_time(j, "time", mm_now_ms());
}

static void
release(struct mm_findings **owner)
{
	free(*owner);
}

enum mm_err
mm_rest_doctor(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(release) struct mm_findings *f = calloc(1, sizeof(*f));
	struct exam e = { .r = r, .f = f };

	if (f == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	MM_TRY(mm_rest_query_bool(r, "deep", &e.deep, why));
	mm_core_stats(r->s->core, &e.st);
	for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++)
		looks[i](&e);
	mm_json_open(&r->j, '{');
	put_findings(&r->j, f);
	put_about(&r->j, r->s, &e.st);
	mm_json_close(&r->j, '}');
	return MM_OK;
}
