#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/grow.h"
#include "base/log.h"
#include "base/own.h"
#include "base/sorted.h"
#include "base/time.h"
#include "server/ocsp.h"
#include "server/public.h"

/*
 * What everyone may read, over plain HTTP: CRLs (RFC 5280 4.2.1.13), issuer
 * certificates (4.2.2.1) and the anchor.  All of it from memory: no request
 * reaches the database.
 */
enum {
	CRL_MAX = 256 * 1024 * 1024,
	OLD_MOST = 128 * 1024 * 1024, /* lists that are no longer served */
	CRL_AGE_S = 60,      /* a cache may be this late */
	CERT_AGE_S = 3600,
	SHARD_MAX = 65535,
	WHOLE = SHARD_MAX + 1,
};

static const char *
issuer_at(const void *pub, size_t i)
{
	const struct mm_public *p = pub;

	return p->line[i]->issuer;
}

/* Where it stands among line CAs, or would; the lock is held. */
static size_t
place(const struct mm_public *p, const char *issuer, bool *there)
{
	return mm_sorted_place(p, p->nline, issuer_at, issuer, there);
}

/* see public.h */
struct mm_public_crl *
mm_public_find(struct mm_public *p, const char *issuer)
{
	struct mm_public_crl *c;
	bool there;
	size_t at;

	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->crl[i].issuer, issuer) == 0)
			return &p->crl[i];
	pthread_mutex_lock(&p->lock);
	at = place(p, issuer, &there);
	c = there ? p->line[at] : NULL;
	pthread_mutex_unlock(&p->lock);
	return c;
}

/* ---- on a worker ---- */

/* see public.h */
void
mm_public_retire(struct mm_public *p, struct mm_blob *take_blob)
{
	pthread_mutex_lock(&p->lock);
	mm_blobs_retire(&p->old, take_blob, OLD_MOST);
	pthread_mutex_unlock(&p->lock);
}

static void
replace(struct mm_public *p, struct mm_public_crl *c,
    struct mm_public_crl *fresh)
{
	pthread_mutex_lock(&p->lock);
	if (fresh->number > c->number) {
		struct mm_blob *old = c->blob;
		c->number = fresh->number;
		c->next_s = fresh->next_s;
		c->blob = fresh->blob;
		fresh->blob = old;
	}
	pthread_mutex_unlock(&p->lock);
}

static uint64_t
number_of(struct mm_public *p, const struct mm_public_crl *c)
{
	uint64_t number;

	pthread_mutex_lock(&p->lock);
	number = c->number;
	pthread_mutex_unlock(&p->lock);
	return number;
}

/* A list's bytes are read when there is another one. */
static enum mm_err
take(struct mm_public *p, struct mm_public_crl *c,
    struct mm_store_reader *r, struct mm_why *why)
{
	struct mm_public_crl fresh = { 0 };
	enum mm_err rc;

	MM_TRY(mm_get_crl(r, c->issuer, &fresh.number, &fresh.next_s, NULL,
	    why));
	if (fresh.number == number_of(p, c))
		return MM_OK;
	fresh.blob = mm_blob_new(CRL_MAX);
	if (fresh.blob == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	rc = mm_get_crl(r, c->issuer, &fresh.number, &fresh.next_s,
	    &fresh.blob->bytes, why);
	if (rc == MM_OK)
		replace(p, c, &fresh);
	mm_public_retire(p, fresh.blob);
	return rc;
}

static void
refresh(struct mm_public *p, struct mm_public_crl *c, struct mm_store_reader *r)
{
	struct mm_why why = { 0 };
	enum mm_err rc = take(p, c, r, &why);

	if (rc != MM_OK && rc != MM_ENOTFOUND)
		MM_LOG(MM_LOG_WARN, "crl", MM_S("why", why.text));
}

/* One that is new, if there is memory for it; else another time. */
static struct mm_public_crl *
join(struct mm_public *p, const char *name)
{
	struct mm_public_crl *c = calloc(1, sizeof(*c)), **list = NULL;
	bool there = false;
	size_t at;

	if (c == NULL)
		return NULL;
	memcpy(c->issuer, name, strlen(name) + 1);
	pthread_mutex_lock(&p->lock);
	at = place(p, name, &there);
	if (!there)
		list = mm_grown(p->line, p->nline, &p->cap, sizeof(*list));
	if (list != NULL) {
		p->line = list;
		memmove(list + at + 1, list + at,
		    (p->nline++ - at) * sizeof(*list));
		list[at] = c;
	}
	pthread_mutex_unlock(&p->lock);
	if (list == NULL)
		free(c);
	return list == NULL ? NULL : c;
}

/* There may be tens of thousands: the store is asked about a list when the
 * core knows of another one. */
static void
refresh_lines(struct mm_public *p, struct mm_store_reader *r)
{
	size_t n = mm_core_lines(p->s->core);

	for (size_t i = 0; i < n; i++) {
		char name[MM_NAME_MAX + 1];
		uint64_t number;
		struct mm_public_crl *c;

		if (!mm_core_line_at(p->s->core, i, name, &number))
			continue;
		c = mm_public_find(p, name);
		if (c == NULL)
			c = join(p, name);
		if (c == NULL || (c->read && number == 0) ||
		    (c->read && number == number_of(p, c)))
			continue;
		c->read = true;
		refresh(p, c, r);
		mm_public_shards_take(p, c, true, r);
	}
}

/* see priv.h */
void
mm_public_take(struct mm_public *p, const char *issuer,
    struct mm_store_reader *r)
{
	struct mm_public_crl *c = mm_public_find(p, issuer);

	if (c == NULL)
		c = join(p, issuer);
	if (c == NULL)
		return;
	refresh(p, c, r);
	if (c < p->crl || c >= p->crl + p->n)
		mm_public_shards_take(p, c, true, r);
}

/* see priv.h */
void
mm_public_refresh_shards(struct mm_public *p, struct mm_store_reader *r)
{
	for (size_t i = 0; i < p->n; i++)
		mm_public_shards_take(p, &p->crl[i], false, r);
}

/* see priv.h */
void
mm_public_refresh(struct mm_public *p, struct mm_store_reader *r)
{
	mm_public_refresh_shards(p, r);
	for (size_t i = 0; i < p->n; i++)
		refresh(p, &p->crl[i], r);
	refresh_lines(p, r);
	mm_bundle_refresh(p);
	pthread_mutex_lock(&p->lock);
	mm_blobs_tidy(&p->old, OLD_MOST);
	pthread_mutex_unlock(&p->lock);
}

/* see priv.h */
bool
mm_public_crl(struct mm_public *p, const char *issuer, uint64_t *number,
    int64_t *next_s)
{
	struct mm_public_crl *c = mm_public_find(p, issuer);
	bool have = false;

	if (c == NULL)
		return false;
	pthread_mutex_lock(&p->lock);
	have = c->blob != NULL;
	*number = c->number;
	*next_s = c->next_s;
	pthread_mutex_unlock(&p->lock);
	return have;
}

static enum mm_err
anchor_pem(struct mm_public *p, struct mm_why *why)
{
	const struct mm_bytes *der;
	struct mm_cert c;
	size_t n;

	MM_TRY(mm_core_cacerts(p->s->core, "", &der, &n, why));
	for (size_t i = 0; i < n; i++) {
		MM_TRY(mm_cert_walk(der[i], &c, why));
		if (mm_bytes_eq(c.subject, c.issuer))
			mm_pem_put(&p->anchor, "CERTIFICATE", der[i]);
	}
	return mm_buf_ok(&p->anchor, why);
}

/* see priv.h */
enum mm_err
mm_public_new(struct mm_server *s, struct mm_public **out, struct mm_why *why)
{
	MM_OWN(mm_public_free) struct mm_public *p = calloc(1, sizeof(*p));
	const struct mm_config *c = s->config;

	if (p != NULL)
		p->crl = calloc(c->nissuer + 1, sizeof(*p->crl));
	if (p == NULL || p->crl == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	pthread_mutex_init(&p->lock, NULL);
	mm_buf_init(&p->anchor, MM_CERT_MAX * 2);
	p->s = s;
	for (; p->n < c->nissuer; p->n++)
		memcpy(p->crl[p->n].issuer, c->issuer[p->n].name,
		    sizeof(p->crl[p->n].issuer));
	MM_TRY(anchor_pem(p, why));
	MM_TRY(mm_bundle_new(s, &p->bundle, why));
	*out = MM_MOVE(p);
	return MM_OK;
}

/* see priv.h */
void
mm_public_free(struct mm_public **owner)
{
	struct mm_public *p = MM_MOVE(*owner);

	if (p == NULL)
		return;
	for (size_t i = 0; i < p->n; i++) {
		mm_blob_let_go(p->crl[i].blob);
		mm_public_shards_done(&p->crl[i].shards);
	}
	for (size_t i = 0; i < p->nline; i++) {
		mm_blob_let_go(p->line[i]->blob);
		mm_public_shards_done(&p->line[i]->shards);
		free(p->line[i]);
	}
	mm_blobs_done(&p->old);
	mm_buf_done(&p->anchor);
	mm_bundle_free(&p->bundle);
	free(p->line);
	free(p->crl);
	free(p);
}

/* ---- on a loop ---- */

/* RFC 9110 5.6.7 */
static void
http_date(int64_t at_s, char out[32])
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct mm_civil c = mm_time_civil(at_s);
	int day = (int)((at_s / 86400 + 4) % 7);

	snprintf(out, 32, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
	    days + 3 * day, c.day, months + 3 * (c.month - 1), c.year, c.hour,
	    c.minute, c.second);
}

static bool
header_is(const struct mm_http_req *req, const char *name, const char *want)
{
	return mm_bytes_eq(mm_http_header(req, name, NULL),
	    mm_bytes_of(want));
}

static bool
has_it(const struct mm_http_req *req, const char *etag, const char *date)
{
	struct mm_bytes listed = mm_http_header(req, "If-None-Match", NULL);

	if (listed.n > 0)
		return mm_http_tag_listed(listed, etag);
	return header_is(req, "If-Modified-Since", date);
}

/* see blob.h */
void
mm_public_caches(struct mm_http_resp *resp, const char *etag,
    int64_t changed_s, int64_t age_s)
{
	char date[32], cache[64];

	http_date(changed_s, date);
	snprintf(cache, sizeof(cache), "public, max-age=%lld",
	    (long long)(age_s > 0 ? age_s : 0));
	mm_http_resp_header(resp, "ETag", etag);
	mm_http_resp_header(resp, "Last-Modified", date);
	mm_http_resp_header(resp, "Cache-Control", cache);
}

/* see blob.h; RFC 9110 13.1.2: If-None-Match goes before
 * If-Modified-Since */
bool
mm_public_validate(const struct mm_http_req *req, struct mm_http_resp *resp,
    const char *etag, int64_t changed_s, int64_t age_s)
{
	char date[32];

	http_date(changed_s, date);
	mm_public_caches(resp, etag, changed_s, age_s);
	if (!has_it(req, etag, date))
		return false;
	resp->status = 304;
	resp->content_type = NULL;
	return true;
}

static void
not_found(struct mm_server *s, const struct mm_http_req *req, const char *what)
{
	struct mm_http_resp resp = { 0 };

	mm_http_problem(&resp, 404, mm_err_slug(MM_ENOTFOUND), what, NULL,
	    req->id);
	mm_http_answer(s->http, req->ref, &resp);
}

/* see public.h */
void
mm_public_send(struct mm_public *p, const struct mm_http_req *req,
    const struct mm_public_item *item, const char *type, const char *missing)
{
	struct mm_http_resp resp = { .status = 200, .content_type = type };
	int64_t left = item->next_s - mm_now_s(), age = CRL_AGE_S;

	if (item->blob == NULL) {
		pthread_mutex_unlock(&p->lock);
		not_found(p->s, req, missing);
		return;
	}
	if (!mm_public_validate(req, &resp, item->etag, item->changed_s,
	    left < age ? left : age))
		mm_blob_lend(item->blob, &resp);
	pthread_mutex_unlock(&p->lock);
	mm_http_answer(p->s->http, req->ref, &resp);
}

/* shard: of that one, if it has a list of its own. */
static void
send_crl(struct mm_server *s, const struct mm_http_req *req,
    const struct mm_public_crl *c, unsigned shard)
{
	struct mm_public_item item;

	pthread_mutex_lock(&s->pub->lock);
	if (!mm_public_shards_item(c, shard, &item)) {
		item = (struct mm_public_item){ .blob = c->blob,
			.changed_s = (int64_t)(c->number / 1000),
			.next_s = c->next_s };
		snprintf(item.etag, sizeof(item.etag), "\"%llu\"",
		    (unsigned long long)c->number);
	}
	mm_public_send(s->pub, req, &item, "application/pkix-crl",
	    "no CRL has been signed yet");
}

/* A segment without its suffix; false if it has another or is too long. */
static bool
stem(struct mm_bytes v, const char *suffix, char *out, size_t outn)
{
	size_t n = strlen(suffix);

	if (v.n <= n || memcmp(v.p + v.n - n, suffix, n) != 0)
		return false;
	v.n -= n;
	return mm_text_copy(out, outn, v);
}

static void
get_crl(struct mm_http_req *req, void *ctx)
{
	struct mm_server *s = ctx;
	char issuer[MM_NAME_MAX + 1];
	struct mm_public_crl *c = NULL;

	if (stem(mm_http_segment(req, 0), ".crl", issuer, sizeof(issuer)))
		c = mm_public_find(s->pub, issuer);
	if (c == NULL)
		not_found(s, req, "no such issuer");
	else
		send_crl(s, req, c, WHOLE);
}

/*
 * The address that is in certificates.  Where a shard has no list (not yet, or
 * crl_shards was changed, and certificates outlive that) the complete one is
 * served: what is in it is right for any number.
 */
static void
get_shard(struct mm_http_req *req, void *ctx)
{
	struct mm_server *s = ctx;
	char issuer[MM_NAME_MAX + 1], number[16];
	struct mm_public_crl *c = NULL;
	int64_t shard;

	if (mm_text_copy(issuer, sizeof(issuer), mm_http_segment(req, 0)) &&
	    stem(mm_http_segment(req, 1), ".crl", number, sizeof(number)) &&
	    mm_int_parse(number, &shard, NULL) == MM_OK && shard >= 0 &&
	    shard <= SHARD_MAX)
		c = mm_public_find(s->pub, issuer);
	if (c == NULL)
		not_found(s, req, "no such CRL");
	else
		send_crl(s, req, c, (unsigned)shard);
}

static void
send_fixed(struct mm_server *s, const struct mm_http_req *req,
    const char *type, struct mm_bytes body)
{
	struct mm_http_resp resp = { .status = 200, .content_type = type };
	uint8_t hash[32];
	char etag[67] = "\"";

	mm_sha256(body, hash);
	mm_hex_text(hash, 16, etag + 1);
	strcat(etag, "\"");
	if (!mm_public_validate(req, &resp, etag, s->started_at / 1000,
	    CERT_AGE_S)) {
		mm_buf_init(&resp.body, body.n);
		mm_buf_bytes(&resp.body, body);
	}
	mm_http_answer(s->http, req->ref, &resp);
}

static void
get_issuer(struct mm_http_req *req, void *ctx)
{
	struct mm_server *s = ctx;
	char issuer[MM_NAME_MAX + 1];
	struct mm_bytes der;

	if (stem(mm_http_segment(req, 0), ".cer", issuer, sizeof(issuer)) &&
	    mm_core_issuer_der(s->core, issuer, &der, NULL) == MM_OK)
		send_fixed(s, req, "application/pkix-cert", der);
	else
		not_found(s, req, "no such issuer");
}

static void
get_anchor(struct mm_http_req *req, void *ctx)
{
	struct mm_server *s = ctx;

	send_fixed(s, req, "application/x-pem-file",
	    mm_buf_view(&s->pub->anchor));
}

#define GET(path, fn) { MM_HTTP_GET, path, 0, 0, fn, NULL }

const struct mm_http_route mm_public_routes[] = {
	GET("/crl/bundle.pem", mm_bundle_get),
	GET("/crl/issuers.pem", mm_bundle_get_issuers),
	GET("/crl/:", get_crl),
	GET("/crl/:/:", get_shard),
	GET("/issuer/:", get_issuer),
	GET("/anchor.pem", get_anchor),
	GET("/ocsp/**", mm_ocsp_get),
	{ MM_HTTP_POST, "/ocsp", MM_OCSP_REQUEST_MAX, 0, mm_ocsp_post, NULL },
	GET("/healthz", mm_health_live),
	GET("/readyz", mm_health_ready),
};
const size_t mm_public_nroutes =
    sizeof(mm_public_routes) / sizeof(mm_public_routes[0]);
