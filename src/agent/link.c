#include "agent/link.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/priv.h"
#include "base/log.h"
#include "base/time.h"

/* host:port, the host without brackets. */
static enum mm_err
connect_to(struct mm_agent_wire *w, struct mm_why *why)
{
	char host[MM_AGENT_HOST_MAX + 1];
	const char *colon = strrchr(w->server, ':');
	const char *from = w->server;
	size_t n;

	MM_INVARIANT(colon != NULL);
	n = (size_t)(colon - from);
	if (n > 2 && from[0] == '[' && colon[-1] == ']') {
		from++;
		n -= 2;
	}
	snprintf(host, sizeof(host), "%.*s", (int)n, from);
	switch (mmd_posix_connect(host, colon + 1, w->timeout_ms, &w->tls.fd)) {
	case MMD_OK:
		return MM_OK;
	case MMD_NONE:
		return MM_FAIL(why, MM_EAGAIN, "no address for %.100s", host);
	default:
		return MM_FAIL(why, MM_EAGAIN, "no connection to %.100s",
		    w->server);
	}
}

/* Runs a step of the machine until it ends or the time is up. */
static enum mmd_rc
drive(struct mm_agent_wire *w, enum mmd_rc (*step)(struct mm_agent_wire *w))
{
	int64_t end = mm_mono_ms() + w->timeout_ms;
	enum mmd_rc rc;

	while ((rc = step(w)) == MMD_MORE) {
		int64_t left = end - mm_mono_ms();

		if (left <= 0 || mmd_openssl_wait(&w->tls, (int)left) !=
		    MMD_OK)
			return MMD_ECLOSED;
	}
	return rc;
}

static enum mmd_rc
shake(struct mm_agent_wire *w)
{
	return w->port.shake(w->port.ctx);
}

static enum mmd_rc
run(struct mm_agent_wire *w)
{
	return mmd_est_run(&w->est, &w->port.io);
}

static enum mmd_rc
run_fetch(struct mm_agent_wire *w)
{
	return mm_agent_fetch_run(&w->fetch, &w->port.io);
}

static enum mm_err
fail(const struct mm_agent_wire *w, enum mmd_rc rc, const char *what,
    struct mm_why *why)
{
	static const char *const refused[] = {
		[MMD_TLS_TOKEN] = "token refused",
		[MMD_TLS_MUTUAL] = "certificate refused",
		[MMD_TLS_ANCHOR] = "refused",
	};
	struct mm_why own;

	/* A signature of ours that failed is nothing that the server said. */
	if (mm_agent_keyring_failure(w->keyring, &own))
		return MM_FAIL(why, own.code, "own key: %s", own.text);
	if (rc == MMD_EREFUSED)
		return MM_FAIL(why, MM_EAUTH, "%s: %.100s",
		    refused[w->tls.mode], w->tls.reason);
	if (rc == MMD_EPATH)
		return MM_FAIL(why, MM_EPOLICY,
		    "path inspected or wrong server: %.100s", w->tls.reason);
	return mm_agent_fail(rc, what, why);
}

static void
close_link(void *ctx)
{
	struct mm_agent_wire *w = ctx;

	if (w->open)
		w->port.close(w->port.ctx);
	w->open = false;
}

static enum mm_err
open_link(void *ctx, const struct mmd_tls_want *want, struct mm_why *why)
{
	struct mm_agent_wire *w = ctx;
	enum mmd_rc rc;

	close_link(w);
	if (want->mode == MMD_TLS_MUTUAL)
		MM_TRY(mm_agent_keyring_ready(w->keyring, want->slot, why));
	MM_TRY(connect_to(w, why));
	rc = w->port.open(w->port.ctx, want);
	if (rc != MMD_OK)
		return fail(w, rc, "TLS", why);
	w->open = true;
	w->closes = false;
	rc = drive(w, shake);
	if (w->verbose)
		MM_LOG(MM_LOG_INFO, "handshake", MM_S("server", w->server),
		    MM_S("by", want->mode == MMD_TLS_TOKEN ? "token" :
		        "certificate"), MM_S("ok", rc == MMD_OK ? "yes" : "no"));
	w->conf = (struct mmd_est_conf){ .host = w->server,
		.label = w->label, .buf = w->buf, .cap = MM_AGENT_CHAIN_MAX,
		.more = w->more };
	mmd_est_init(&w->est, &w->conf);
	return rc == MMD_OK ? MM_OK : fail(w, rc, "TLS handshake", why);
}

static enum mm_err
check_open(const struct mm_agent_wire *w, struct mm_why *why)
{
	return !w->closes ? MM_OK
	    : MM_FAIL(why, MM_EAGAIN, "the server closes early");
}

/* The answer as it is borrowed; said where it is wanted. */
static void
answer(struct mm_agent_wire *w, const struct mmd_http *http,
    struct mmd_bytes body, struct mm_agent_reply *out, const char *what)
{
	*out = (struct mm_agent_reply){ http->status, http->date_s,
		http->retry_s, mm_of_mmd(body) };
	w->closes = http->close;
	if (w->verbose)
		MM_LOG(MM_LOG_INFO, "answer", MM_S("request", what),
		    MM_I("status", out->status));
}

static enum mm_err
ask(void *ctx, enum mmd_est_op op, struct mm_bytes request,
    struct mm_agent_reply *out, struct mm_why *why)
{
	static const char *const words[MMD_EST_OPS] = {
		[MMD_EST_CACERTS] = "cacerts", [MMD_EST_CSRATTRS] = "csrattrs",
		[MMD_EST_ENROLL] = "simpleenroll",
		[MMD_EST_REENROLL] = "simplereenroll",
		[MMD_EST_CONFIRM] = "confirm", [MMD_EST_RECEIPT] = "receipt",
	};
	struct mm_agent_wire *w = ctx;
	enum mmd_rc rc;

	MM_TRY(check_open(w, why));
	rc = mmd_est_start(&w->est, op, mm_to_mmd(request));
	if (rc == MMD_OK)
		rc = drive(w, run);
	if (rc != MMD_OK)
		return fail(w, rc, "answer", why);
	answer(w, &w->est.http, w->est.body, out, words[op]);
	return MM_OK;
}

static enum mm_err
get(void *ctx, const char *path, const char *tag, struct mm_agent_reply *out,
    struct mm_why *why)
{
	struct mm_agent_wire *w = ctx;
	enum mmd_rc rc;

	MM_TRY(check_open(w, why));
	rc = mm_agent_fetch_start(&w->fetch, w->server, path, tag, w->buf,
	    sizeof(w->buf));
	if (rc == MMD_OK)
		rc = drive(w, run_fetch);
	if (rc != MMD_OK)
		return fail(w, rc, "answer", why);
	answer(w, &w->fetch.http, w->fetch.body, out, path);
	return MM_OK;
}

static bool
times(void *ctx, int64_t *from_s, int64_t *until_s)
{
	const struct mm_agent_wire *w = ctx;

	*from_s = w->tls.from_s;
	*until_s = w->tls.until_s;
	return *until_s != 0;
}

static void
pause_for(void *ctx, int64_t ms)
{
	const struct mm_agent_wire *w = ctx;
	struct timespec t = { .tv_sec = ms / 1000,
		.tv_nsec = ms % 1000 * 1000000 };

	if (w->verbose)
		MM_LOG(MM_LOG_INFO, "waiting", MM_I("ms", ms));
	while (nanosleep(&t, &t) != 0)
		;
}

/* see link.h */
struct mm_agent_link
mm_agent_wire_link(struct mm_agent_wire *w)
{
	w->tls = (struct mmd_openssl_tls){ .fd = -1, .nv = w->nv };
	w->port = mmd_openssl_tls(&w->tls);
	w->open = false;
	return (struct mm_agent_link){ open_link, ask, get, close_link,
		pause_for, w, times };
}
