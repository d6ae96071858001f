#include "enrol.h"

#include <string.h>

#include <mbedtls/platform_util.h>

#include "mps2.h"
#include "uart.h"

#define WAIT_MS  20000
#define CHAIN    4   /* certificates between a device and its anchor */
#define PIECE    256

static bool
late(uint32_t began)
{
	mps2_wait(uart_pending);
	return mps2_ms() - began > WAIT_MS;
}

static enum mmd_rc
connect(struct enrol *e, const struct mmd_tls_want *want)
{
	uint32_t began = mps2_ms();
	enum mmd_rc rc;

	modem_open(&e->modem, e->token.server);
	while ((rc = modem_opened(&e->modem)) == MMD_MORE)
		if (late(began))
			return MMD_ESILENT;
	if (rc == MMD_OK)
		rc = e->tls.open(e->tls.ctx, want);
	if (rc != MMD_OK)
		return rc;
	while ((rc = e->tls.shake(e->tls.ctx)) == MMD_MORE && !late(began))
		;
	if (rc != MMD_OK)
		e->tls.close(e->tls.ctx);
	return rc == MMD_MORE ? MMD_ESILENT : rc;
}

static void
disconnect(struct enrol *e)
{
	e->tls.close(e->tls.ctx);
	modem_close(&e->modem);
}

/* One request; what status says is refused is MMD_EREFUSED. */
static enum mmd_rc
ask(struct enrol *e, enum mmd_est_op op, struct mmd_bytes request, int status)
{
	uint32_t began = mps2_ms();
	enum mmd_rc rc = mmd_est_start(&e->est, op, request);

	if (rc != MMD_OK)
		return rc;
	while ((rc = mmd_est_run(&e->est, &e->tls.io)) == MMD_MORE)
		if (late(began))
			return MMD_ESILENT;
	if (e->est.http.date_s > 0)
		e->now_s = e->est.http.date_s;
	return rc == MMD_OK && e->est.http.status != status ? MMD_EREFUSED : rc;
}

static const struct mmd_bytes nothing;

/* The issuers, if the anchor that the token names is among them. */
static enum mmd_rc
take_cacerts(struct enrol *e)
{
	struct mmd_pkcs7 p7;
	struct mmd_bytes der;
	bool anchored = false;
	enum mmd_rc rc = mmd_pkcs7_open(e->est.body, &p7);

	e->issuers_n = 0;
	while (rc == MMD_OK && (rc = mmd_pkcs7_next(&p7, &der)) == MMD_OK) {
		struct mmd_cert c;

		if (der.n > sizeof(e->issuers) - e->issuers_n)
			return MMD_ESPACE;
		memcpy(e->issuers + e->issuers_n, der.p, der.n);
		e->issuers_n += der.n;
		rc = mmd_cert_parse(der, &c);
		anchored |= rc == MMD_OK && mmd_token_anchor_check(e->crypto,
		    &e->token, c.spki) == MMD_OK;
	}
	if (rc != MMD_NONE)
		return rc;
	return anchored ? MMD_OK : MMD_EANCHOR;
}

static bool
same(struct mmd_bytes a, struct mmd_bytes b)
{
	return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

static enum mmd_rc
find_issuer(const struct enrol *e, struct mmd_bytes name, struct mmd_cert *c)
{
	struct mmd_der r = mmd_der_over((struct mmd_bytes){ e->issuers,
		e->issuers_n });

	while (r.left > 0 && !r.bad)
		if (mmd_cert_parse(mmd_der_whole(&r, MMD_DER_SEQ), c) ==
		    MMD_OK && same(c->subject, name))
			return MMD_OK;
	return MMD_EINPUT;
}

static enum mmd_rc
append(struct enrol *e, struct mmd_bytes v)
{
	if (v.n > sizeof(e->bundle) - e->all_n)
		return MMD_ESPACE;
	memcpy(e->bundle + e->all_n, v.p, v.n);
	e->all_n += v.n;
	return MMD_OK;
}

/* The certificate, then each one's issuer, up to the anchor. */
static enum mmd_rc
take_cert(struct enrol *e)
{
	struct mmd_pkcs7 p7;
	struct mmd_bytes der;
	struct mmd_cert c;
	enum mmd_rc rc = mmd_pkcs7_open(e->est.body, &p7);

	e->all_n = 0;
	if (rc == MMD_OK)
		rc = mmd_pkcs7_next(&p7, &der);
	if (rc == MMD_OK)
		rc = mmd_cert_parse(der, &c);
	if (rc == MMD_OK)
		rc = append(e, der);
	e->cert_n = e->all_n;
	for (int i = 0; rc == MMD_OK && i < CHAIN; i++) {
		rc = find_issuer(e, c.issuer, &c);
		e->anchor_at = e->all_n;
		if (rc == MMD_OK)
			rc = append(e, c.whole);
		if (rc == MMD_OK && mmd_token_anchor_check(e->crypto,
		    &e->token, c.spki) == MMD_OK)
			return MMD_OK;
	}
	return rc == MMD_OK ? MMD_EANCHOR : rc;
}

/* The store's way: the pieces, a look at all of it, the commit point. */
static enum mmd_rc
store(struct enrol *e)
{
	const struct mmd_bytes all = { e->bundle, e->all_n };
	struct mmd_bundle b = { .floor_s = (uint64_t)e->now_s };
	enum mmd_rc rc = MMD_OK;
	uint32_t off = 0, n = (uint32_t)e->all_n;

	while (rc == MMD_OK && off < n) {
		struct mmd_bytes piece = { e->bundle + off,
			n - off < PIECE ? n - off : PIECE };

		rc = mmd_store_put(e->store, MMD_LDEVID, n, off, piece, &off);
	}
	b.n[MMD_PART_CERT] = (uint32_t)e->cert_n;
	b.n[MMD_PART_CHAIN] = n - (uint32_t)e->cert_n;
	if (rc == MMD_OK)
		rc = e->crypto->hash(e->crypto->ctx, &all, 1, b.all);
	if (rc == MMD_OK)
		rc = mmd_store_verify(e->store, e->crypto, MMD_LDEVID, &b,
		    (struct mmd_bytes){ 0 }, e->buf, sizeof(e->buf));
	return rc != MMD_OK ? rc : mmd_store_commit(e->store, MMD_LDEVID, &b);
}

/* Made before the first connection and kept over every retry. */
static enum mmd_rc
have_key(struct enrol *e)
{
	const struct mmd_crypto *c = e->crypto;
	size_t n;
	enum mmd_rc rc = c->public(c->ctx, MMD_LDEVID, e->buf, sizeof(e->buf),
	    &n);

	return rc != MMD_NONE ? rc : c->make(c->ctx, MMD_LDEVID, MMD_KEY_P256);
}

/* RFC 7030 4.1, 4.2, over the channel that the token made. */
static enum mmd_rc
claim(struct enrol *e)
{
	uint8_t request[400];
	char name[MMD_TOKEN_IDENTITY];
	struct mmd_bytes der, cn = { (const uint8_t *)name,
		sizeof(name) - 1 };
	enum mmd_rc rc;

	mmd_token_identity(&e->token, name);
	e->step = "cacerts";
	rc = ask(e, MMD_EST_CACERTS, nothing, 200);
	if (rc == MMD_OK)
		rc = take_cacerts(e);
	e->step = "request";
	if (rc == MMD_OK)
		rc = mmd_request_write(e->crypto, MMD_LDEVID, cn, request,
		    sizeof(request), &der);
	if (rc == MMD_OK)
		rc = ask(e, MMD_EST_ENROLL, der, 200);
	return rc != MMD_OK ? rc : take_cert(e);
}

static enum mmd_rc
by_token(struct enrol *e)
{
	char identity[MMD_TOKEN_IDENTITY];
	struct mmd_tls_want want = { .mode = MMD_TLS_TOKEN, .version = 13,
		.identity = identity };
	enum mmd_rc rc;

	mmd_token_identity(&e->token, identity);
	rc = mmd_token_psk(e->crypto, &e->token, 13, want.psk);
	e->step = "handshake";
	if (rc == MMD_OK)
		rc = connect(e, &want);
	mbedtls_platform_zeroize(want.psk, sizeof(want.psk));
	if (rc == MMD_OK) {
		rc = claim(e);
		disconnect(e);
	}
	modem_close(&e->modem);
	return rc;
}

/* "host:port" */
static enum mmd_rc
host_of(const char *server, char host[MMD_TOKEN_SERVER_MAX + 1])
{
	const char *end = strrchr(server, ':');

	if (end == NULL)
		return MMD_EINPUT;
	memcpy(host, server, (size_t)(end - server));
	host[end - server] = '\0';
	return MMD_OK;
}

/* The first use of the new certificate, which ends the old one's life. */
static enum mmd_rc
confirm(struct enrol *e)
{
	char host[MMD_TOKEN_SERVER_MAX + 1];
	struct mmd_tls_want want = { .mode = MMD_TLS_MUTUAL, .host = host,
		.cert = { e->bundle, e->cert_n },
		.chain = { e->bundle + e->cert_n, e->anchor_at - e->cert_n },
		.anchor = { e->bundle + e->anchor_at,
		    e->all_n - e->anchor_at },
		.slot = MMD_LDEVID, .at_s = e->now_s };
	enum mmd_rc rc;

	e->step = "confirmation";
	rc = host_of(e->token.server, host);
	if (rc == MMD_OK)
		rc = connect(e, &want);
	if (rc == MMD_OK) {
		rc = ask(e, MMD_EST_CONFIRM, nothing, 204);
		disconnect(e);
	}
	modem_close(&e->modem);
	return rc;
}

/* What flash has of an earlier try: certificate, issuers, the anchor last. */
static enum mmd_rc
stored(struct enrol *e)
{
	struct mmd_bundle b;
	struct mmd_der r;
	enum mmd_rc rc = mmd_store_bundle(e->store, MMD_LDEVID, &b);

	if (rc != MMD_OK)
		return rc;
	e->cert_n = b.n[MMD_PART_CERT];
	e->all_n = e->cert_n + b.n[MMD_PART_CHAIN];
	if (e->all_n > sizeof(e->bundle))
		return MMD_ESPACE;
	rc = mmd_store_read(e->store, MMD_LDEVID, &b, MMD_PART_CERT, 0,
	    e->bundle, e->cert_n);
	if (rc == MMD_OK)
		rc = mmd_store_read(e->store, MMD_LDEVID, &b, MMD_PART_CHAIN,
		    0, e->bundle + e->cert_n, e->all_n - e->cert_n);
	if (rc != MMD_OK)
		return rc;
	e->now_s = (int64_t)b.floor_s;
	r = mmd_der_over((struct mmd_bytes){ e->bundle, e->all_n });
	while (r.left > 0) {
		e->anchor_at = e->all_n - r.left;
		mmd_der_skip(&r);
	}
	return r.bad ? MMD_EINPUT : MMD_OK;
}

/*
 * By the token.  If it is spent, perhaps on what flash has, in a try whose
 * end the power cut: then confirmation says so.
 */
static enum mmd_rc
claim_or_resume(struct enrol *e)
{
	enum mmd_rc rc = by_token(e);

	if (rc == MMD_OK) {
		e->step = "store";
		rc = store(e);
	} else if (rc == MMD_EREFUSED && stored(e) == MMD_OK)
		rc = MMD_OK;
	return rc == MMD_OK ? confirm(e) : rc;
}

static void
set_up(struct enrol *e)
{
	e->conf = (struct mmd_est_conf){ .host = e->token.server,
		.buf = e->buf, .cap = sizeof(e->buf) };
	mmd_est_init(&e->est, &e->conf);
	e->stream = modem_io(&e->modem);
	e->mbedtls.io = &e->stream;
	e->mbedtls.first = e->first_key;
	e->tls = mmd_mbedtls_tls(&e->mbedtls);
}

/* see enrol.h */
enum mmd_rc
enrol_run(struct enrol *e, struct mmd_bytes uri)
{
	enum mmd_rc rc;

	e->step = "token";
	rc = mmd_token_parse(e->crypto, uri, &e->token);
	if (rc == MMD_OK && e->token.server[0] == '\0')
		rc = MMD_EINPUT;
	set_up(e);
	if (rc == MMD_OK)
		rc = have_key(e);
	if (rc == MMD_OK)
		rc = claim_or_resume(e);
	mbedtls_platform_zeroize(&e->token, sizeof(e->token));
	return rc;
}
