#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/own.h"
#include "base/time.h"
#include "sandbox/sandbox.h"
#include "server/registrar.h"

/*
 * The registrar: gets certificates of CAs that are not ours, by a program of
 * the maker's or by EST (struct mm_way).  It is the one process that has what
 * is needed for that, and the server can have nothing of it but what a profile
 * allows: names, key and possession are looked at again here, by a
 * configuration that the server cannot write; an issuer's at_once and the
 * profile's ceilings are kept here, the latter over the registrar's own end;
 * and what comes back is held against the profile before anybody sees it.  It
 * has no database, no key of ours and no link but the server's.
 *
 * A program is not confined: what it needs only its maker knows.
 */
enum { WAIT_MS = 1000, SOON_S = 5 };

struct registrar {
	const struct mm_config *config;
	const struct mm_way *way;
	void *ctx;               /* the way's */
	struct mm_ceilings *ceilings;
	struct mm_key_templates *templates;
	int link, lock, signals;
	int beats;               /* the warden's */
	int64_t beat_at;         /* monotonic: when the next is due */
	bool ending;
	char folder[MM_REGISTRAR_FOLDER_MAX], part[MM_PATH_MAX + 1];
	struct mm_buf in, out;
	struct mm_asking at[MM_REGISTRAR_MOST];
	unsigned used;
};

/* ---- answers ---- */

static enum mm_err
reply(struct registrar *r, uint32_t tag, const struct mm_forward_rep *rep,
    struct mm_why *why)
{
	mm_frame_begin(&r->out, MM_IPC_FORWARD);
	if (!mm_frame_put_rep(&r->out, tag, MM_OK, NULL, rep))
		return MM_FAIL(why, MM_EBUG, "an answer does not fit");
	return mm_ipc_send(r->link, mm_buf_view(&r->out), why);
}

static const char *const words[MM_FORWARDS] = {
	[MM_FORWARD_MADE] = "made", [MM_FORWARD_REFUSED] = "refused",
	[MM_FORWARD_WRONG] = "wrong answer", [MM_FORWARD_AWAY] = "away",
	[MM_FORWARD_LOST] = "no answer", [MM_FORWARD_PENDING] = "pending",
	[MM_FORWARD_OURS] = "not asked",
};

/* A record that the server's user cannot write: before a program is started,
 * and what came of it. */
static void
tell_asked(const struct mm_asking *a)
{
	const struct mm_forward_req *q = &a->q;
	char id[33], key[65];
	uint8_t sha256[32];

	mm_hex_text(q->id, sizeof(q->id), id);
	mm_sha256(a->csr.spki.whole, sha256);
	mm_hex_text(sha256, sizeof(sha256), key);
	MM_LOG(MM_LOG_INFO, "forwarding", MM_S("issuer", q->issuer),
	    MM_S("device", q->device), MM_S("profile", q->profile),
	    MM_S("request", id), MM_S("spki_sha256", key));
}

static void
tell(const struct mm_forward_req *q, const char *result, const char *why,
    const uint8_t *cert)
{
	char id[33], sha256[65] = "";

	mm_hex_text(q->id, sizeof(q->id), id);
	if (cert != NULL)
		mm_hex_text(cert, 32, sha256);
	MM_LOG(result == words[MM_FORWARD_MADE] ? MM_LOG_INFO : MM_LOG_WARN,
	    "forwarded", MM_S("issuer", q->issuer), MM_S("device", q->device),
	    MM_S("profile", q->profile), MM_S("request", id),
	    MM_S("result", result), MM_S("cert_sha256", sha256),
	    MM_S("why", why));
}

/* A ceiling is of certificates, and who says no, or not yet, has made none. */
static bool
made_none(enum mm_forwarded how)
{
	return how == MM_FORWARD_AWAY || how == MM_FORWARD_REFUSED ||
	    how == MM_FORWARD_PENDING;
}

static void
clear(struct registrar *r, struct mm_asking *a)
{
	r->way->done(a);
	mm_buf_done(&a->frame);
	mm_buf_done(&a->ca);
	a->used = false;
	r->used--;
}

static enum mm_err
end(struct registrar *r, struct mm_asking *a, const struct mm_outcome *o,
    struct mm_why *why)
{
	struct mm_forward_rep rep = { .how = (uint8_t)o->how,
		.retry_after_s = o->retry_after_s };
	uint32_t tag = a->tag;
	uint8_t sha256[32];

	mm_sha256(mm_buf_view(&o->der), sha256);
	/* a wrong one is a key's certificate all the same: it stays here */
	if (o->how == MM_FORWARD_MADE)
		rep.der = mm_buf_view(&o->der);
	else if (o->how == MM_FORWARD_WRONG)
		rep.der = (struct mm_bytes){ sha256, sizeof(sha256) };
	memcpy(rep.why, o->text, sizeof(rep.why));
	tell(&a->q, words[o->how], o->text, o->der.n > 0 ? sha256 : NULL);
	if (a->counted_at != 0 && made_none(o->how))
		mm_ceilings_give_back(r->ceilings, a->profile, a->counted_at);
	clear(r, a);
	return reply(r, tag, &rep, why);
}

/* ---- what may be asked ---- */

/* As the signer does with what it is asked; the server is not believed. */
static enum mm_err
check(const struct registrar *r, struct mm_asking *a, struct mm_why *why)
{
	const struct mm_config *c = r->config;
	const struct mm_profile *p = mm_config_profile(c, a->q.profile);
	const struct mm_foreign what = { .profile = p,
		.device = a->q.device, .product = a->q.product };

	if (p == NULL || p->version != a->q.profile_version)
		return MM_FAIL(why, MM_EPOLICY, "the registrar has no profile "
		    "%s@%u", a->q.profile, a->q.profile_version);
	a->profile = p;
	a->issuer = mm_config_issuing(c, p->issuer, mm_now_s());
	if (a->issuer == NULL || !mm_issuer_upstream(a->issuer) ||
	    mm_issuer_est(a->issuer) != r->way->est ||
	    strcmp(a->issuer->name, a->q.issuer) != 0)
		return MM_FAIL(why, MM_EPOLICY, "profile %s is not of issuer "
		    "%s now", a->q.profile, a->q.issuer);
	if (!mm_device_id_valid(a->q.device) || (a->q.product[0] != '\0' &&
	    !mm_name_valid(a->q.product)))
		return MM_FAIL(why, MM_EPOLICY, "not a device's name");
	MM_TRY(mm_csr_walk(a->q.csr, &a->csr, why));
	if (!mm_profile_takes_key(p, a->csr.spki.type))
		return MM_FAIL(why, MM_EPOLICY, "profile %s takes no such key",
		    a->q.profile);
	MM_TRY(mm_csr_verify(&a->csr, NULL, r->templates, why));
	return mm_foreign_request(&a->csr, &what, why);
}

/* Who comes late is asked for in vain: the server has given up, or will have
 * by the time that there is an answer. */
static enum mm_err
in_time(const struct mm_asking *a, struct mm_why *why)
{
	return (uint64_t)mm_mono_ms() <= a->q.begin_by_ms ? MM_OK :
	    MM_FAIL(why, MM_ESTALE, "it waited too long for the registrar, "
	    "and was not asked for");
}

/* A server that keeps to it never comes here. */
static enum mm_err
room(const struct registrar *r, const struct mm_asking *a,
    struct mm_why *why)
{
	int64_t n = 0;

	for (size_t i = 0; i < MM_REGISTRAR_MOST; i++)
		n += r->at[i].used && &r->at[i] != a &&
		    r->at[i].issuer == a->issuer;
	return n < a->issuer->at_once ? MM_OK : MM_FAIL(why, MM_EAGAIN,
	    "issuer %s: %lld are asked for already (at_once)",
	    a->issuer->name, (long long)n);
}

static enum mm_err
begin(struct registrar *r, struct mm_asking *a, struct mm_why *why)
{
	const int64_t now_s = mm_now_s();

	MM_TRY(in_time(a, why));
	MM_TRY(check(r, a, why));
	MM_TRY(room(r, a, why));
	/* who could not judge the answer does not ask */
	MM_TRY(mm_registrar_ca(a->issuer, &a->ca, why));
	MM_TRY(mm_ceilings_spend(r->ceilings, a->profile, now_s, why));
	a->counted_at = now_s;
	tell_asked(a);
	return r->way->start(r->ctx, a, r->part, (size_t)(a - r->at), why);
}

/* Nobody was asked: by our own rules, or for want of time, which is no word of
 * the CA's; or because it could not be. */
static enum mm_err
end_early(struct registrar *r, struct mm_asking *a, enum mm_err rc,
    const char *text, struct mm_why *why)
{
	const bool full = rc == MM_EAGAIN && a->counted_at == 0;
	const bool no_time = full || rc == MM_ESTALE;
	struct mm_outcome o = { .how = no_time || rc == MM_EPOLICY ||
	    rc == MM_EINPUT || rc == MM_ELIMIT ? MM_FORWARD_OURS :
	    MM_FORWARD_AWAY, .retry_after_s = no_time ? SOON_S : 0 };

	snprintf(o.text, sizeof(o.text), "%s", text);
	return end(r, a, &o, why);
}

static struct mm_asking *
unused(struct registrar *r)
{
	for (size_t i = 0; i < MM_REGISTRAR_MOST; i++)
		if (!r->at[i].used)
			return &r->at[i];
	return NULL;
}

/* One item a frame; the asking takes the frame, its request lies in it. */
static enum mm_err
hear(struct registrar *r, struct mm_why *why)
{
	const struct mm_msg *m = mm_ipc_msg(MM_IPC_FORWARD);
	struct mm_asking *a = unused(r);
	struct mm_why no = { 0 };
	struct mm_frame f;
	struct mm_bytes body;
	enum mm_err rc;

	MM_TRY(mm_ipc_recv(r->link, &r->in, why));
	MM_TRY(mm_frame_parse(mm_buf_view(&r->in), &f, why));
	*a = (struct mm_asking){ .tag = 0 };
	if (f.kind != MM_IPC_FORWARD || f.answer ||
	    !mm_frame_next(&f, &a->tag, &body))
		return MM_FAIL(why, MM_EINPUT, "not a request");
	MM_TRY(mm_fields_get(body, m->req, m->nreq, &a->q, why));
	a->frame = r->in;
	mm_buf_init(&r->in, MM_IPC_FRAME_MAX);
	mm_buf_init(&a->ca, MM_CERT_MAX);
	mm_child_init(&a->child);
	a->used = true;
	r->used++;
	rc = begin(r, a, &no);
	return rc == MM_OK ? MM_OK : end_early(r, a, rc, no.text, why);
}

/* ---- the loop ---- */

static int
wait_ms(const struct registrar *r)
{
	int64_t now = mm_mono_ms(), least = r->beat_at - now;

	for (size_t i = 0; i < MM_REGISTRAR_MOST; i++)
		if (r->at[i].used && r->at[i].end_ms - now < least)
			least = r->at[i].end_ms - now;
	return least < 0 ? 0 : (int)least;
}

static enum mm_err
look(struct registrar *r, struct mm_asking *a, struct mm_why *why)
{
	struct mm_outcome o = { .how = MM_FORWARD_LOST };
	enum mm_err rc = MM_OK;

	if (r->way->look(a, &o))
		rc = end(r, a, &o, why);
	mm_buf_done(&o.der);
	return rc;
}

/* The warden misses nothing by one that is lost. */
static void
beat(struct registrar *r)
{
	int64_t now = mm_mono_ms();

	if (now < r->beat_at)
		return;
	r->beat_at = now + WAIT_MS;
	(void)!write(r->beats, "b", 1);
}

static enum mm_err
turn(struct registrar *r, struct mm_why *why)
{
	struct pollfd p[2] = {
		{ .fd = r->used < MM_REGISTRAR_MOST ? r->link : -1,
		    .events = POLLIN },
		{ .fd = r->signals, .events = POLLIN } };

	beat(r);
	MM_TRY(r->way->wait(r->ctx, r->at, p, 2, wait_ms(r), why));
	r->ending = p[1].revents != 0;
	for (size_t i = 0; i < MM_REGISTRAR_MOST && !r->ending; i++)
		if (r->at[i].used)
			MM_TRY(look(r, &r->at[i], why));
	return p[0].revents != 0 && !r->ending ? hear(r, why) : MM_OK;
}

/* Until it is told to end, or the server closes its end of the link; what runs
 * then is ended with us. */
static enum mm_err
serve(struct registrar *r, struct mm_why *why)
{
	enum mm_err rc = MM_OK;

	while (rc == MM_OK && !r->ending)
		rc = turn(r, why);
	return rc == MM_ENOTFOUND ? MM_OK : rc;
}

/* ---- the process ---- */

static int
take_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void
done(struct registrar *r)
{
	for (size_t i = 0; i < MM_REGISTRAR_MOST; i++)
		if (r->at[i].used) {
			tell(&r->at[i].q, "cut off", "the registrar ends; "
			    "there may be a certificate", NULL);
			clear(r, &r->at[i]);
		}
	r->way->close(&r->ctx);
	mm_key_templates_free(&r->templates);
	mm_ceilings_free(&r->ceilings);
	mm_buf_done(&r->in);
	mm_buf_done(&r->out);
	if (r->lock >= 0)
		(void)close(r->lock);
}

static enum mm_err
open_all(struct registrar *r, struct mm_why *why)
{
	MM_TRY(mm_registrar_folder_take(r->folder, r->part, &r->lock, why));
	MM_TRY(mm_ceilings_open(r->part, r->config, &r->ceilings, why));
	MM_TRY(mm_key_templates_new(NULL, &r->templates, why));
	return r->way->open(r->config, r->part, &r->ctx, why);
}

/* Below the warden. */
static int
work(void *ctx, int beats)
{
	struct registrar *r = ctx;
	struct mm_why why = { 0 };
	enum mm_err rc;

	r->beats = beats;
	r->signals = take_signals();
	rc = open_all(r, &why);
	if (rc == MM_OK)
		rc = serve(r, &why);
	done(r);
	return rc == MM_OK ? 0 : mm_server_fail("registrar", rc, &why);
}

static enum mm_err
become(struct registrar *r, struct mm_why *why)
{
	const struct mm_settings *set = &r->config->set;

	MM_TRY(mm_registrar_folder(set, r->folder, why));
	MM_TRY(mm_registrar_part(r->folder, r->way->est, r->part, why));
	MM_TRY(mm_registrar_folder_make(set, r->folder, why));
	MM_TRY(mm_sandbox_drop(mm_registrar_user(set), NULL, why));
	(void)prctl(PR_SET_NAME, r->way->name);
	/* from here on no program of the maker's gains rights by sudo */
	return mm_sandbox_harden(0, why);
}

static int
serve_as(struct registrar *r)
{
	struct mm_why why = { 0 };
	enum mm_err rc = become(r, &why);
	int status;

	if (rc != MM_OK)
		return mm_server_fail("registrar", rc, &why);
	status = mm_warden_run(&(struct mm_warden){ .work = work, .ctx = r,
		.link = r->link, .limit_s = r->config->set.watchdog_s,
		.name = r->way->role, .programs = !r->way->est });
	mm_registrar_folder_leave(r->part);
	return status;
}

/* see priv.h */
int
mm_registrar_run(const struct mm_run_args *args, bool est)
{
	MM_OWN(mm_config_free) struct mm_config *config = NULL;
	struct mm_why why = { 0 };
	enum mm_err rc = mm_config_load(args->config_path, &config, &why);
	struct registrar *r = calloc(1, sizeof(*r));
	int status;

	if (rc != MM_OK || r == NULL) {
		free(r);
		return mm_server_fail("registrar", rc != MM_OK ? rc :
		    MM_ENOMEM, &why);
	}
	r->way = est ? &mm_way_est : &mm_way_exec;
	mm_log_open(r->way->log, (enum mm_log_level)config->set.log_level);
	(void)signal(SIGPIPE, SIG_IGN);
	r->config = config;
	r->link = args->control;
	r->lock = -1;
	mm_buf_init(&r->in, MM_IPC_FRAME_MAX);
	mm_buf_init(&r->out, MM_IPC_FRAME_MAX);
	status = serve_as(r);
	free(r);
	return status;
}
