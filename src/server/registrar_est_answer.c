#include "base/own.h"
#include "server/registrar.h"

/*
 * What an EST server's answers mean.  The one question is whether something
 * may have been made: a certificate that nobody knows of is the worst that can
 * come of it, so all that is not known to be harmless is LOST.
 */

/* see registrar.h; RFC 9110 15: these say that the request was not carried
 * out.  303 says that it was, 408 may mean the answer's time, and what 500,
 * 502 and 504 say somebody in between may have said. */
enum mm_forwarded
mm_est_meaning(long status)
{
	static const struct {
		long status;
		enum mm_forwarded how;
	} rows[] = {
		{ 200, MM_FORWARD_MADE }, { 202, MM_FORWARD_PENDING },
		{ 307, MM_FORWARD_REFUSED }, { 308, MM_FORWARD_REFUSED },
		{ 400, MM_FORWARD_REFUSED }, { 401, MM_FORWARD_REFUSED },
		{ 403, MM_FORWARD_REFUSED }, { 404, MM_FORWARD_REFUSED },
		{ 405, MM_FORWARD_REFUSED }, { 406, MM_FORWARD_REFUSED },
		{ 409, MM_FORWARD_REFUSED },
		{ 410, MM_FORWARD_REFUSED }, { 411, MM_FORWARD_REFUSED },
		{ 413, MM_FORWARD_REFUSED }, { 414, MM_FORWARD_REFUSED },
		{ 415, MM_FORWARD_REFUSED }, { 422, MM_FORWARD_REFUSED },
		{ 431, MM_FORWARD_REFUSED }, { 501, MM_FORWARD_REFUSED },
		{ 429, MM_FORWARD_AWAY }, { 503, MM_FORWARD_AWAY },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].status == status)
			return rows[i].how;
	return MM_FORWARD_LOST;
}

/* see registrar.h; RFC 7030 4.2.3 for a 202, RFC 9110 15.6.4 and RFC 6585 4
 * for 503 and 429 */
uint64_t
mm_est_wait_s(enum mm_forwarded how, int64_t said)
{
	const int64_t most = how == MM_FORWARD_PENDING ?
	    MM_EST_PENDING_MAX_S : MM_EST_AWAY_MAX_S;

	if (how != MM_FORWARD_PENDING && how != MM_FORWARD_AWAY)
		return 0;
	if (said <= 0)
		return how == MM_FORWARD_PENDING ? MM_EST_PENDING_S : 0;
	return (uint64_t)(said < most ? said : most);
}

/* see registrar.h; RFC 8446 6.2.  By TLS 1.3 a client has sent its request
 * before the server says that it does not take the certificate; these are
 * said of a handshake, and in one nothing is carried out. */
enum mm_forwarded
mm_est_silence(bool sent, unsigned alert)
{
	static const unsigned handshakes[] = { 40 /* handshake_failure */,
		42 /* bad_certificate */, 43, 44, 45, 46 /* ..._unknown */,
		48 /* unknown_ca */, 49 /* access_denied */,
		70 /* protocol_version */, 71 /* insufficient_security */,
		112 /* unrecognized_name */, 116 /* certificate_required */ };

	if (!sent)
		return MM_FORWARD_AWAY;
	for (size_t i = 0; i < sizeof(handshakes) / sizeof(handshakes[0]); i++)
		if (handshakes[i] == alert)
			return MM_FORWARD_AWAY;
	return MM_FORWARD_LOST;
}

/* Those of its chain may stand beside it; another for the key may not. */
static enum mm_err
find(const struct mm_bytes *cert, size_t n, const struct mm_csr *csr,
    struct mm_bytes *found, struct mm_why *why)
{
	struct mm_cert c;
	size_t good = 0;

	for (size_t i = 0; i < n; i++) {
		MM_TRY(mm_cert_walk(cert[i], &c, why));
		if (!mm_bytes_eq(c.spki.whole, csr->spki.whole))
			continue;
		*found = cert[i];
		good++;
	}
	return good == 1 ? MM_OK : MM_FAIL(why, MM_EINPUT, good == 0 ?
	    "no certificate in it is for the request's key" :
	    "more than one certificate in it is for the request's key");
}

/* RFC 8951 3: base64; some write DER, or PEM (RFC 7468 8 and 9). */
static enum mm_err
read_body(struct mm_bytes body, struct mm_buf *p7, struct mm_why *why)
{
	static const char *const labels[] = { "PKCS7", "CMS" };

	for (size_t i = 0; i < 2 && mm_est_is_pem(body); i++) {
		struct mm_bytes rest = body;

		if (mm_pem_next(&rest, labels[i], p7, NULL) == MM_OK)
			return MM_OK;
		mm_buf_reset(p7);
	}
	return mm_est_read(body, p7, why);
}

/* see registrar.h */
enum mm_err
mm_est_certificate(struct mm_bytes body, const struct mm_csr *csr,
    struct mm_buf *der, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf p7 = MM_BUF_INIT(MM_EST_ANSWER_MAX);
	struct mm_bytes cert[MM_EST_CERTS_MAX], found;
	size_t n;

	MM_TRY(read_body(body, &p7, why));
	MM_TRY(mm_pkcs7_walk(mm_buf_view(&p7), cert, MM_EST_CERTS_MAX, &n,
	    why));
	MM_TRY(find(cert, n, csr, &found, why));
	mm_buf_bytes(der, found);
	return mm_buf_ok(der, why);
}
