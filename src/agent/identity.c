#include "agent/priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/secret.h"
#include "base/text.h"
#include "pki/cert.h"

#define CERTIFICATE "CERTIFICATE"

/* see priv.h */
void
mm_agent_identity_init(struct mm_agent_identity *id)
{
	*id = (struct mm_agent_identity){
		.cert = MM_BUF_INIT(MM_AGENT_DER_MAX),
		.chain = MM_BUF_INIT(MM_AGENT_CHAIN_MAX),
		.anchor = MM_BUF_INIT(MM_AGENT_DER_MAX),
		.roots = MM_BUF_INIT(MM_AGENT_CHAIN_MAX),
	};
}

/* see priv.h */
void
mm_agent_identity_done(struct mm_agent_identity *id)
{
	mm_buf_done(&id->cert);
	mm_buf_done(&id->chain);
	mm_buf_done(&id->anchor);
	mm_buf_done(&id->roots);
}

static const struct {
	enum mmd_rc rc;
	enum mm_err err;
	const char *words;
} results[] = {
	{ MMD_NONE, MM_ENOTFOUND, "not there" },
	{ MMD_EINPUT, MM_EINPUT, "malformed" },
	{ MMD_ECHECKSUM, MM_EINPUT, "a digit is mistyped" },
	{ MMD_ESPACE, MM_ELIMIT, "too large" },
	{ MMD_EANCHOR, MM_EPOLICY, "not the anchor that the token names" },
	{ MMD_EPATH, MM_EPOLICY, "path inspected or wrong server" },
	{ MMD_EREFUSED, MM_EAUTH, "refused by the server" },
	{ MMD_ECLOSED, MM_EAGAIN, "the connection ended" },
	{ MMD_EPORT, MM_ESYS, "the system failed" },
};

/* see priv.h */
enum mm_err
mm_agent_fail(enum mmd_rc rc, const char *what, struct mm_why *why)
{
	if (rc == MMD_OK)
		return MM_OK;
	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
		if (results[i].rc == rc)
			return MM_FAIL(why, results[i].err, "%s: %s", what,
			    results[i].words);
	return MM_FAIL(why, MM_EBUG, "%s: result %d", what, (int)rc);
}

/* see priv.h */
bool
mm_agent_has(struct mm_agent *a, unsigned slot, enum mmd_nv_item item)
{
	uint8_t one;
	size_t n;

	return a->nv->get(a->nv->ctx, slot, item, &one, sizeof(one), &n) !=
	    MMD_NONE;
}

/* see priv.h */
enum mm_err
mm_agent_selected(struct mm_agent *a, unsigned *slot, struct mm_why *why)
{
	enum mmd_rc rc = a->nv->selected(a->nv->ctx, slot);

	if (rc == MMD_NONE)
		return MM_FAIL(why, MM_ENOTFOUND,
		    "no identity here yet: enrol first");
	return mm_agent_fail(rc, "current identity", why);
}

static enum mm_err
get_pem(struct mm_agent *a, unsigned slot, enum mmd_nv_item item,
    struct mm_buf *der, struct mm_why *why)
{
	uint8_t pem[2 * MM_AGENT_CHAIN_MAX];
	struct mm_bytes rest = { pem, 0 };
	enum mm_err err = MM_OK;
	enum mmd_rc rc = a->nv->get(a->nv->ctx, slot, item, pem, sizeof(pem),
	    &rest.n);

	mm_buf_reset(der);
	MM_TRY(mm_agent_fail(rc, "stored certificate", why));
	while (err == MM_OK)
		err = mm_pem_next(&rest, CERTIFICATE, der, NULL);
	return err == MM_ENOTFOUND ? mm_buf_ok(der, why)
	    : MM_FAIL(why, err, "stored certificate: not PEM");
}

static enum mm_err
put_pem(struct mm_agent *a, unsigned slot, enum mmd_nv_item item,
    const struct mm_buf *der, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf pem =
	    MM_BUF_INIT(2 * MM_AGENT_CHAIN_MAX);
	struct mmd_der r = mmd_der_over(mm_to_mmd(mm_buf_view(der)));

	while (!r.bad && r.left > 0)
		mm_pem_put(&pem, CERTIFICATE,
		    mm_of_mmd(mmd_der_whole(&r, MMD_DER_SEQ)));
	MM_TRY(mm_buf_ok(&pem, why));
	return mm_agent_fail(a->nv->put(a->nv->ctx, slot, item,
	    mm_to_mmd(mm_buf_view(&pem))), "storing a certificate", why);
}

static enum mm_err
put_text(struct mm_agent *a, unsigned slot, enum mmd_nv_item item,
    const char *text, struct mm_why *why)
{
	return mm_agent_fail(a->nv->put(a->nv->ctx, slot, item,
	    mm_to_mmd(mm_bytes_of(text))), "storing the identity", why);
}

/* The key may be newer than the certificate, after a cut while renewing. */
static bool
key_matches(struct mm_agent *a, unsigned slot, const struct mm_buf *der)
{
	uint8_t spki[MMD_SPKI_MAX * 2];
	struct mmd_cert c;
	size_t n;

	return mmd_cert_parse(mm_to_mmd(mm_buf_view(der)), &c) == MMD_OK &&
	    a->crypto->public(a->crypto->ctx, slot, spki, sizeof(spki), &n) ==
	    MMD_OK && n == c.spki.n && memcmp(spki, c.spki.p, n) == 0;
}

/* see priv.h */
enum mm_err
mm_agent_identity_load(struct mm_agent *a, unsigned slot,
    struct mm_agent_identity *id, struct mm_why *why)
{
	size_t n = 0;

	id->token[0] = '\0';
	MM_TRY(get_pem(a, slot, MMD_NV_CERT, &id->cert, why));
	MM_TRY(get_pem(a, slot, MMD_NV_CHAIN, &id->chain, why));
	MM_TRY(get_pem(a, slot, MMD_NV_ANCHOR, &id->anchor, why));
	if (!key_matches(a, slot, &id->cert))
		return MM_FAIL(why, MM_ENOTFOUND,
		    "the certificate is not for the key beside it");
	id->confirmed = mm_agent_has(a, slot, MMD_NV_CONFIRMED);
	if (a->nv->get(a->nv->ctx, slot, MMD_NV_TOKEN, (uint8_t *)id->token,
	    sizeof(id->token) - 1, &n) == MMD_OK)
		id->token[n] = '\0';
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_agent_identity_store(struct mm_agent *a, unsigned slot,
    const struct mm_agent_identity *id, struct mm_why *why)
{
	MM_TRY(put_pem(a, slot, MMD_NV_ANCHOR, &id->anchor, why));
	MM_TRY(put_pem(a, slot, MMD_NV_CHAIN, &id->chain, why));
	MM_TRY(put_text(a, slot, MMD_NV_SERVER, a->server, why));
	MM_TRY(mm_agent_note_time(a, slot, why));
	MM_TRY(put_text(a, slot, MMD_NV_TOKEN, id->token, why));
	return put_pem(a, slot, MMD_NV_CERT, &id->cert, why);
}

/* A key that is its file's has no block of ours. */
static void
where_is_key(struct mm_agent *a, unsigned slot, struct mm_agent_status *s)
{
	uint8_t text[MM_KEY_FILE_MAX * 2];
	struct mm_bytes v = { text, 0 };
	struct mm_key key;
	enum mm_err err = MM_ENOTFOUND;

	s->key_in = MM_KEY_FILE;
	if (a->nv->get(a->nv->ctx, slot, MMD_NV_KEY, text, sizeof(text),
	    &v.n) == MMD_OK)
		err = mm_key_parse(v, &key, NULL);
	mm_wipe(text, sizeof(text));
	if (err != MM_OK)
		return;
	s->key_in = key.place;
	(void)!mm_text_copy(s->key, sizeof(s->key), mm_bytes_of(key.uri));
}

/* see priv.h */
enum mm_err
mm_agent_identity_describe(struct mm_agent *a, unsigned slot,
    const struct mm_agent_identity *id, struct mm_agent_status *out,
    struct mm_why *why)
{
	struct mm_agent_status s = { .slot = slot, .confirmed = id->confirmed };
	struct mmd_bytes cn = { NULL, 0 };
	struct mmd_cert c;
	size_t n = 0;

	MM_TRY(mm_agent_fail(mmd_cert_parse(mm_to_mmd(mm_buf_view(&id->cert)),
	    &c), "own certificate", why));
	(void)!mmd_name_cn(c.subject, &cn);
	if (!mm_text_copy(s.device, sizeof(s.device), mm_of_mmd(cn)))
		s.device[0] = '\0';
	mm_hex_text(c.serial.p, c.serial.n < 31 ? c.serial.n : 31, s.serial);
	s.not_before_s = c.not_before_s;
	s.not_after_s = c.not_after_s;
	MM_TRY(mm_agent_renew_at(a, &c, &s.renew_at_s, why));
	if (a->nv->get(a->nv->ctx, slot, MMD_NV_SERVER, (uint8_t *)s.server,
	    sizeof(s.server) - 1, &n) == MMD_OK)
		s.server[n] = '\0';
	where_is_key(a, slot, &s);
	*out = s;
	return MM_OK;
}

/* see agent.h */
enum mm_err
mm_agent_status(struct mm_agent *a, struct mm_agent_status *out,
    struct mm_why *why)
{
	MM_OWN(mm_agent_identity_done) struct mm_agent_identity id;
	unsigned slot;

	mm_agent_identity_init(&id);
	MM_TRY(mm_agent_selected(a, &slot, why));
	MM_TRY(mm_agent_identity_load(a, slot, &id, why));
	return mm_agent_identity_describe(a, slot, &id, out, why);
}
