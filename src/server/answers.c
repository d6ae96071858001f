#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/log.h"
#include "server/priv.h"

#define BODY_MAX 4096

/* see priv.h */
void
mm_answer_reason(struct mm_http_resp *resp, int status, const char *reason,
    const char *text)
{
	mm_buf_init(&resp->body, BODY_MAX);
	if (reason[0] != '\0')
		mm_buf_printf(&resp->body, "reason: %s\n", reason);
	mm_buf_printf(&resp->body, "%s.\n", text[0] != '\0' ? text : "refused");
	resp->status = status;
	resp->content_type = "text/plain; charset=utf-8";
}

/* What a person at the device is told, where the refusal itself has no
 * words. */
static const struct {
	enum mm_reason reason;
	const char *text;
} sentences[] = {
	{ MM_R_MALFORMED, "the request is not well formed" },
	{ MM_R_POSSESSION, "the request is not signed with its own key" },
	{ MM_R_CREDENTIAL, "the credential is unknown or wrong" },
	{ MM_R_DOOR, "this token enrols by TLS handshake only" },
	{ MM_R_NOT_YET, "this token is not valid yet" },
	{ MM_R_EXPIRED, "this token has expired: ask for a new one" },
	{ MM_R_CANCELLED, "this token was cancelled" },
	{ MM_R_FROZEN, "another key came with this token: an operator must "
	    "look at it" },
	{ MM_R_OTHER_KEY, "this token was used with another key before" },
	{ MM_R_BOUND_KEY, "this token is for another key" },
	{ MM_R_IN_FLIGHT, "a request with another key is being answered" },
	{ MM_R_CONFIRMED, "this device has proved its certificate: renew "
	    "with simplereenroll" },
	{ MM_R_CERT_UNKNOWN, "the client certificate is not on record" },
	{ MM_R_CERT_REVOKED, "the client certificate is revoked or on hold" },
	{ MM_R_CERT_EXPIRED, "the client certificate has expired" },
	{ MM_R_SUPERSEDED, "the client certificate has a successor" },
	{ MM_R_CLONE, "the successor of the client certificate is in use: "
	    "a clone is suspected" },
	{ MM_R_IDEVID, "a factory certificate is not renewed: use "
	    "simpleenroll" },
	{ MM_R_LDEVID, "an operational certificate is renewed with "
	    "simplereenroll" },
	{ MM_R_NAMES, "the request's names differ from the certificate's" },
	{ MM_R_SAME_KEY, "the profile wants a new key for a renewal" },
	{ MM_R_KEY_TAKEN, "this key was certified for another device" },
	{ MM_R_KEY_COMPROMISED, "this key was revoked as compromised: make a "
	    "new one" },
	{ MM_R_BESIDE, "the token is one device's, the certificate beside "
	    "it or to be replaced another's" },
	{ MM_R_KEY_TYPE, "the profile does not allow this type of key" },
	{ MM_R_PROFILE, "the profile does not allow this" },
	{ MM_R_LABEL, "no profile has this name" },
	{ MM_R_DEVICE, "the device is retired or not known" },
	{ MM_R_BINDING, "the request is not bound to this TLS connection" },
	{ MM_R_FIELDED, "the device has proved its identity: role line does "
	    "not replace it, an operator or administrator does" },
	{ MM_R_NO_BATCH, "no batch is named, and a station enrols only in one: "
	    "\"batch\" of its station.conf" },
	{ MM_R_BATCH, "there is no such batch, or it is paused, closed or "
	    "out of its time" },
	{ MM_R_BATCH_SERIAL, "the device is none of the batch's" },
	{ MM_R_BATCH_UNIT, "the serial number was put aside: two stations, or "
	    "two keys, had it" },
	{ MM_R_BATCH_SHARE, "the station has no share of the batch" },
	{ MM_R_BATCH_OFFLINE, "the batch is made offline: its stations sign, "
	    "the centre does not" },
	{ MM_R_QUOTA, "the batch's quota, or the station's share of it, is "
	    "used up" },
	{ MM_R_GUESSED, "wrong codes came for this device: wait before "
	    "trying again" },
	{ MM_R_TOO_MANY, "the certificate was replaced, or renewed, too often "
	    "today" },
	{ MM_R_CEILING, "a ceiling of the signer is reached" },
	{ MM_R_AUTHORISE_NO, "the maker's own system does not allow it" },
	{ MM_R_AUTHORISE_AWAY, "the maker's own system cannot be asked now: "
	    "try again" },
	{ MM_R_UPSTREAM_NAMES, "the request names what the device's record "
	    "does not" },
	{ MM_R_UPSTREAM_AWAY, "the CA that issues this cannot be asked now, or "
	    "did not answer: try again" },
	{ MM_R_UPSTREAM_NO, "there is no certificate of the CA that issues "
	    "this so far: try again later" },
	{ MM_R_GROUP_WAITS, "an operator must allow this key first" },
	{ MM_R_GROUP_REFUSED, "an operator did not allow this key" },
	{ MM_R_GROUP_CLOSED, "old certificates like this one are no longer "
	    "taken" },
	{ MM_R_GROUP_PAUSED, "old certificates like this one are not taken "
	    "for the time being" },
	{ MM_R_GROUP_DEVICE, "this device is not one of those that may come "
	    "with this certificate" },
	{ MM_R_GROUP_FACT, "what the device says of itself, or where it comes "
	    "from, is not what is on record" },
	{ MM_R_GROUP_KEY, "this device was claimed with another key before" },
	{ MM_R_GROUP_SUPERSEDED, "this device has its identity: its old "
	    "certificate is nothing any more" },
	{ MM_R_GROUP_EXPIRED, "the old certificate has expired" },
	{ MM_R_GROUP_WEAK, "the old certificate's key is too weak here" },
	{ MM_R_GROUP_REVOKED, "the old certificate was revoked" },
	{ MM_R_GROUP_LATE, "nobody compared the code in time: make a new key, "
	    "and show its code" },
	{ MM_R_GROUP_QUEUE, "too many devices wait for an operator: come "
	    "later" },
	{ MM_R_BUSY, "the server is busy: try again" },
};

/* see priv.h */
const char *
mm_answer_sentence(enum mm_reason reason)
{
	for (size_t i = 0; i < sizeof(sentences) / sizeof(sentences[0]); i++)
		if (sentences[i].reason == reason)
			return sentences[i].text;
	return "refused";
}

/* see priv.h */
void
mm_answer_retry(struct mm_http_resp *resp, unsigned seconds)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", seconds);
	mm_http_resp_header(resp, "Retry-After", text);
}

/* Statuses that HTTP itself finds, in the words of the problem list. */
static const char *
slug_of(int status)
{
	static const struct {
		int status;
		const char *slug;
	} rows[] = {
		{ 401, "unauthorized" }, { 403, "not-allowed" },
		{ 404, "not-found" }, { 405, "not-allowed" },
		{ 408, "try-later" }, { 409, "conflict" },
		{ 413, "too-large" }, { 414, "too-large" },
		{ 429, "too-many" }, { 431, "too-large" },
		{ 503, "try-later" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].status == status)
			return rows[i].slug;
	return "malformed";
}

static bool
starts(struct mm_bytes v, const char *with)
{
	size_t n = strlen(with);

	return v.n >= n && memcmp(v.p, with, n) == 0;
}

/* see priv.h */
void
mm_answer_library(void *ctx, const struct mm_http_req *req, int status,
    const char *reason, struct mm_http_resp *resp)
{
	(void)ctx;
	if (starts(req->path, "/.well-known/est"))
		mm_answer_reason(resp, status, slug_of(status), reason);
	else
		mm_http_problem(resp, status, slug_of(status), reason, NULL,
		    req->id);
}

/* see priv.h */
void
mm_answer_text(struct mm_server *s, const struct mm_http_req *req, int status,
    const char *type, const char *text)
{
	struct mm_http_resp resp = { .status = status, .content_type = type };

	mm_buf_init(&resp.body, BODY_MAX);
	mm_buf_text(&resp.body, text);
	mm_http_answer(s->http, req->ref, &resp);
}

/* see priv.h; IPv4 comes mapped (RFC 4291 2.5.5.2) */
void
mm_answer_peer(const struct in6_addr *a, char out[INET6_ADDRSTRLEN])
{
	const void *v4 = a->s6_addr + 12;

	if (IN6_IS_ADDR_V4MAPPED(a))
		inet_ntop(AF_INET, v4, out, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, a, out, INET6_ADDRSTRLEN);
}

/* What a person may have put into a path though it is secret: how it begins,
 * and how many characters of it are its name. */
static const struct {
	const char *head;
	unsigned name_n;
} secrets[] = {
	{ "mm1", 20 }, /* pki/token.h */
	{ "mmk", 16 }, /* core.h, mm_desk_login */
};

static bool
is_digit_or_letter(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	    (c >= 'A' && c <= 'Z');
}

/* How many characters of the name of what begins here; 0: nothing does. */
static unsigned
secret_at(struct mm_bytes v)
{
	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
		if (v.n > 3 && !is_digit_or_letter(v.p[3]) &&
		    strncasecmp((const char *)v.p, secrets[i].head, 3) == 0)
			return secrets[i].name_n;
	return 0;
}

/* Copies up to the end of its name; what follows up to the next slash is a
 * star.  A "%2d" counts as two of the name: too little is shown, not more. */
static size_t
mask(struct mm_bytes v, unsigned name_n, char *out, size_t outn, size_t *o)
{
	size_t i = 3;

	memcpy(out + *o, v.p, i);
	*o += i;
	for (; i < v.n && v.p[i] != '/' && name_n > 0 && *o < outn; i++) {
		name_n -= is_digit_or_letter(v.p[i]) ? 1 : 0;
		out[(*o)++] = (char)v.p[i];
	}
	if (i < v.n && v.p[i] != '/' && *o < outn)
		out[(*o)++] = '*';
	while (i < v.n && v.p[i] != '/')
		i++;
	return i;
}

/* see priv.h */
void
mm_answer_path(struct mm_bytes path, char *out, size_t outn)
{
	size_t o = 0;

	for (size_t i = 0; i < path.n && o + 4 < outn;) {
		struct mm_bytes v = { path.p + i, path.n - i };
		unsigned name_n = secret_at(v);

		if (name_n == 0)
			out[o++] = (char)path.p[i++];
		else
			i += mask(v, name_n, out, outn - 1, &o);
	}
	out[o] = '\0';
}

/* see priv.h; the path only: a query could hold what is private */
void
mm_answer_log(void *ctx, const struct mm_http_access *a)
{
	char peer[INET6_ADDRSTRLEN], path[256];

	(void)ctx;
	mm_answer_peer(&a->peer, peer);
	mm_answer_path(a->path, path, sizeof(path));
	MM_LOG(MM_LOG_INFO, "request", MM_S("id", a->id),
	    MM_S("listener", a->listener), MM_S("peer", peer),
	    MM_S("method", mm_http_method_name(a->method)), MM_S("path", path),
	    MM_I("status", a->status), MM_I("us", a->took_us),
	    MM_I("in", (int64_t)a->in_n), MM_I("out", (int64_t)a->out_n));
}
