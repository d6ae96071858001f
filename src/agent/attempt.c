#include "agent/priv.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "base/own.h"
#include "base/text.h"

#define BACKOFF_MAX_S 60
#define RETRY_MAX_S   3600

/* Decimal, 1 to 65535, no sign. */
static bool
port_valid(const char *s)
{
	size_t n = strspn(s, "0123456789");
	long port = n > 0 && n <= 5 ? strtol(s, NULL, 10) : 0;

	return s[n] == '\0' && port >= 1 && port <= 65535;
}

/* A name, an IPv4 address, or an IPv6 one in brackets, which come off. */
static bool
take_host(struct mm_bytes *host)
{
	static const char name[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
	const char *allowed = name;

	if (host->n > 2 && host->p[0] == '[' && host->p[host->n - 1] == ']') {
		host->p++;
		host->n -= 2;
		/* RFC 4007 11: behind '%' stands the interface. */
		allowed = "0123456789abcdefABCDEF:.%"
		    "ghijklmnopqrstuvwxyzGHIJKLMNOPQRSTUVWXYZ-_";
	}
	for (size_t i = 0; i < host->n; i++)
		if (host->p[i] == '\0' || strchr(allowed, host->p[i]) == NULL)
			return false;
	return host->n > 0;
}

/* see agent.h */
enum mm_err
mm_agent_set_server(struct mm_agent *a, const char *server,
    struct mm_why *why)
{
	const char *colon = strrchr(server, ':');
	struct mm_bytes host = mm_bytes_of(server);

	if (colon != NULL)
		host.n = (size_t)(colon - server);
	if (colon == NULL || !port_valid(colon + 1) || !take_host(&host))
		return MM_FAIL(why, MM_EINPUT,
		    "server: want host:port or [IPv6]:port, not \"%.80s\"",
		    server);
	if (!mm_text_copy(a->host, sizeof(a->host), host) ||
	    !mm_text_copy(a->server, sizeof(a->server), mm_bytes_of(server)))
		return MM_FAIL(why, MM_EINPUT, "server: too long");
	return MM_OK;
}

static const struct {
	int status;
	enum mm_err err;
	const char *words;
} statuses[] = {
	{ 200, MM_OK, "" },
	{ 204, MM_OK, "" },
	{ 304, MM_OK, "" },
	{ 202, MM_EAGAIN, "waits for approval" },
	{ 401, MM_EAUTH, "not authorised" },
	{ 403, MM_EPOLICY, "not allowed" },
	{ 404, MM_ENOTFOUND, "not found" },
	{ 409, MM_ECONFLICT, "conflict" },
	{ 413, MM_ELIMIT, "too large" },
	{ 429, MM_ERATE, "too many" },
	{ 503, MM_EAGAIN, "busy" },
};

/* The server's words, one printable line of them: of "reason: x" and its
 * sentence, "x: sentence". */
static void
reason(struct mm_bytes body, char out[96])
{
	static const char label[] = "reason: ";
	size_t n = 0, at = 0;

	if (body.n > sizeof(label) - 1 &&
	    memcmp(body.p, label, sizeof(label) - 1) == 0)
		at = sizeof(label) - 1;
	for (; at < body.n && n < 94; at++) {
		if (body.p[at] >= ' ' && body.p[at] <= '~')
			out[n++] = (char)body.p[at];
		if (body.p[at] == '\n' && at + 1 < body.n) {
			out[n++] = ':';
			if (n < 95)
				out[n++] = ' ';
		}
	}
	out[n] = '\0';
}

static enum mm_err
judge(struct mm_agent *a, const struct mm_agent_reply *r, struct mm_why *why)
{
	char words[96];
	size_t i = 0, n = sizeof(statuses) / sizeof(statuses[0]);

	if (mm_agent_believes(a, r->date_s))
		a->told_s = r->date_s;
	while (i < n && statuses[i].status != r->status)
		i++;
	if (i < n && statuses[i].err == MM_OK)
		return MM_OK;
	reason(r->body, words);
	return MM_FAIL(why, i < n ? statuses[i].err : MM_EINPUT,
	    "server says %d (%s): %s", r->status,
	    i < n ? statuses[i].words : "unexpected", words);
}

/* see priv.h */
enum mm_err
mm_agent_ask(struct mm_agent *a, enum mmd_est_op op, struct mm_bytes request,
    struct mm_agent_reply *out, struct mm_why *why)
{
	struct mm_agent_reply r = { .retry_s = -1 };

	MM_TRY(a->link->ask(a->link->ctx, op, request, &r, why));
	*out = r;
	return judge(a, &r, why);
}

/* see priv.h */
enum mm_err
mm_agent_get(struct mm_agent *a, const char *path, const char *tag,
    struct mm_agent_reply *out, struct mm_why *why)
{
	struct mm_agent_reply r = { .retry_s = -1 };

	MM_TRY(a->link->get(a->link->ctx, path, tag, &r, why));
	*out = r;
	return judge(a, &r, why);
}

/* RFC 9110 10.2.3, or doubling from a second; half of it by chance more. */
static int64_t
wait_ms(unsigned tries, int32_t retry_s)
{
	int64_t s = tries < 6 ? INT64_C(1) << tries : BACKOFF_MAX_S;
	uint16_t dice = 0;

	if (retry_s >= 0)
		s = retry_s < RETRY_MAX_S ? retry_s : RETRY_MAX_S;
	(void)RAND_bytes((uint8_t *)&dice, sizeof(dice));
	return s * 1000 + (s * 500 + 100) * dice / 65536;
}

/* Somebody is on the way to the device, or stands before it, also while the
 * server does not answer. */
static bool
is_waiting(const struct mm_agent *a)
{
	return a->patient && a->waited;
}

/* see priv.h */
enum mm_err
mm_agent_attempt(struct mm_agent *a, const struct mm_agent_try *t,
    struct mm_why *why)
{
	for (unsigned tries = 0;; tries++) {
		struct mm_why w = { 0 };
		int32_t retry_s = -1;
		int64_t ms;
		enum mm_err err = t->run(a, t->arg, &retry_s, &w);

		a->link->close(a->link->ctx);
		if ((err != MM_EAGAIN && err != MM_ERATE) ||
		    (tries >= a->retries && !is_waiting(a))) {
			if (err != MM_OK && why != NULL && why->code == MM_OK)
				*why = w;
			a->retry_s = err != MM_OK ? retry_s : -1;
			return err;
		}
		ms = wait_ms(tries, retry_s);
		if (a->waits != NULL && !(is_waiting(a) && a->code[0] != '\0'))
			a->waits(tries + 1, ms, &w);
		a->link->pause(a->link->ctx, ms);
	}
}
