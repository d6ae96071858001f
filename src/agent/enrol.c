#include "agent/old.h"
#include "agent/priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/own.h"
#include "base/secret.h"
#include "base/text.h"
#include "pki/key.h"

#define REQUEST_MAX   2048
#define SERIAL_DIGITS 42 /* RFC 5280 4.1.2.2: 20 octets, and a zero */

/* A first enrolment's exchange, over the token's channel. */
struct claim {
	const struct mmd_token *token;
	struct mm_buf *request; /* DER */
	unsigned slot;
	struct mm_agent_identity *id;
	bool other; /* the server says that the token is another device's */
	bool ended; /* ... that nobody compared the code of this key */
	bool waits; /* ... that somebody has to, just now */
};

/* docs/reference/rest.md: the reason word of a refusal, its first line. */
static bool
refused_as(const struct mm_agent_reply *r, const char *word)
{
	char line[96];
	int n = snprintf(line, sizeof(line), "reason: %s\n", word);

	return r->body.n >= (size_t)n &&
	    memcmp(r->body.p, line, (size_t)n) == 0;
}

/* A key that is there is kept: same key, same answer. */
static void
compare_kind(struct mm_agent *a, unsigned slot)
{
	static const enum mm_key_type types[MMD_KEY_KINDS] = {
		[MMD_KEY_P256] = MM_KEY_P256, [MMD_KEY_P384] = MM_KEY_P384,
		[MMD_KEY_RSA2048] = MM_KEY_RSA2048,
		[MMD_KEY_ED25519] = MM_KEY_ED25519,
	};
	uint8_t der[MMD_SPKI_MAX];
	struct mm_spki spki;
	size_t n = 0;

	if (a->crypto->public(a->crypto->ctx, slot, der, sizeof(der), &n) !=
	    MMD_OK || mm_spki_parse((struct mm_bytes){ der, n }, &spki,
	    NULL) != MM_OK)
		return;
	if (spki.type != types[a->key_kind])
		a->kept_key = mm_key_type_name(spki.type);
}

/* One that was begun before a power cut, and is not made, is none. */
static bool
has_key(struct mm_agent *a, unsigned slot)
{
	uint8_t der[MMD_SPKI_MAX];
	size_t n;

	return mm_agent_has(a, slot, MMD_NV_KEY) && a->crypto->public(
	    a->crypto->ctx, slot, der, sizeof(der), &n) != MMD_NONE;
}

/* see priv.h; one in a chip that was changed is nowhere any more (MMD_NONE) */
enum mm_err
mm_agent_request(struct mm_agent *a, unsigned slot, const char *name,
    struct mm_buf *der, struct mm_why *why)
{
	const struct mmd_bytes text = mm_to_mmd(mm_bytes_of(name));
	uint8_t buf[REQUEST_MAX];
	enum mmd_rc rc = MMD_NONE;
	struct mmd_bytes out;

	if (has_key(a, slot)) {
		compare_kind(a, slot);
		rc = mmd_request_write(a->crypto, slot, text, buf,
		    sizeof(buf), &out);
	}
	if (rc == MMD_NONE) {
		MM_TRY(mm_agent_fail(a->crypto->make(a->crypto->ctx, slot,
		    a->key_kind), "making a key", why));
		rc = mmd_request_write(a->crypto, slot, text, buf,
		    sizeof(buf), &out);
	}
	MM_TRY(mm_agent_fail(rc, "writing the request", why));
	mm_buf_bytes(der, mm_of_mmd(out));
	return mm_buf_ok(der, why);
}

/* see priv.h */
enum mm_err
mm_agent_request_as(struct mm_agent *a, unsigned slot,
    struct mm_bytes subject, struct mm_buf *der, struct mm_why *why)
{
	uint8_t buf[REQUEST_MAX];
	struct mmd_bytes out;

	MM_TRY(mm_agent_fail(mmd_request_write_as(a->crypto, slot,
	    mm_to_mmd(subject), buf, sizeof(buf), &out),
	    "writing the request", why));
	mm_buf_reset(der);
	mm_buf_bytes(der, mm_of_mmd(out));
	return mm_buf_ok(der, why);
}

static enum mm_err
open_token(struct mm_agent *a, const struct mmd_token *token,
    struct mm_why *why)
{
	unsigned version = a->tls_version == 12 ? 12 : 13;
	char identity[MMD_TOKEN_IDENTITY];
	struct mmd_tls_want want = { .mode = MMD_TLS_TOKEN,
		.version = version, .host = a->host, .identity = identity };
	enum mm_err err;

	mmd_token_identity(token, identity);
	MM_TRY(mm_agent_fail(mmd_token_psk(a->crypto, token, version,
	    want.psk), "token key", why));
	err = a->link->open(a->link->ctx, &want, why);
	mm_wipe(want.psk, sizeof(want.psk));
	return err;
}

/* The anchor that came with the old one is whom the server is believed by. */
static enum mm_err
open_old(struct mm_agent *a, struct mm_agent_identity *id, struct mm_why *why)
{
	const struct mm_agent_old *o = a->old;
	const struct mmd_tls_want want = {
		.mode = a->pairing ? MMD_TLS_ANCHOR : MMD_TLS_MUTUAL,
		.version = a->tls_version,
		.host = a->host,
		.anchor = mm_to_mmd(mm_buf_view(&o->anchor)),
		.cert = mm_to_mmd(mm_buf_view(&o->cert)),
		.chain = mm_to_mmd(mm_buf_view(&o->chain)),
		.slot = MM_AGENT_OLD_SLOT,
	};
	bool doubted;

	mm_buf_reset(&id->anchor);
	mm_buf_bytes(&id->anchor, mm_buf_view(&o->anchor));
	MM_TRY(mm_buf_ok(&id->anchor, why));
	return mm_agent_open(a, &want, 0, &doubted, why);
}

/*
 * Somebody else's request for this device may be what waits: the code is shown
 * only while the server says that this key does.  One whose time is over is
 * another key's from then on.
 */
static enum mm_err
pair(struct mm_agent *a, struct claim *c, const struct mm_agent_reply *r,
    enum mm_err err, struct mm_why *why)
{
	char code[MMD_PAIRING_CODE];

	if (err == MM_EPOLICY && refused_as(r, "pairing-ended")) {
		MM_TRY(mm_agent_recycle(a, c->slot, NULL));
		c->ended = true;
		return err;
	}
	if (r->status != 202)
		return err;
	MM_TRY(mm_agent_fail(mmd_pairing_code(a->crypto, c->slot,
	    mm_to_mmd(mm_bytes_of(a->device)), code), "pairing code", NULL));
	if (strcmp(code, a->code) != 0 && a->shows != NULL)
		a->shows(code);
	memcpy(a->code, code, sizeof(code));
	c->waits = true;
	if (why != NULL)
		*why = (struct mm_why){ 0 };
	return MM_FAIL(why, err, "waits for a person to compare its pairing "
	    "code, %s", code);
}

/* Whose name it is: not another's than this is said to be. */
static enum mm_err
check_called(const struct mm_agent *a, struct mmd_bytes subject,
    struct mm_why *why)
{
	struct mmd_bytes cn = { NULL, 0 };
	char name[MMD_TOKEN_DEVICE_MAX + 1];

	if (a->device == NULL || mmd_name_cn(subject, &cn) != MMD_OK ||
	    !mm_text_copy(name, sizeof(name), mm_of_mmd(cn)) ||
	    !mm_device_id_valid(name) || strcasecmp(name, a->device) == 0)
		return MM_OK;
	return MM_FAIL(why, MM_ECONFLICT, "the token is for %.64s", name);
}

/* RFC 9908 3.4: the server names requests that it will pass on as they are,
 * to the maker's own CA; all others it need not believe. */
static enum mm_err
take_subject(struct mm_agent *a, struct claim *c, struct mm_bytes csrattrs,
    struct mm_why *why)
{
	struct mmd_bytes subject;

	c->id->named = c->token != NULL &&
	    mmd_csrattrs_subject(mm_to_mmd(csrattrs), &subject) == MMD_OK;
	if (!c->id->named)
		return MM_OK;
	MM_TRY(check_called(a, subject, why));
	return mm_agent_request_as(a, c->slot, mm_of_mmd(subject), c->request,
	    why);
}

static enum mm_err
exchange(struct mm_agent *a, struct claim *c, int32_t *retry_s,
    struct mm_why *why)
{
	const struct mm_bytes none = { NULL, 0 };
	struct mm_agent_reply r = { .retry_s = -1 };
	enum mm_err err;

	c->id->named = false;
	MM_TRY(c->token != NULL ? open_token(a, c->token, why)
	    : open_old(a, c->id, why));
	err = mm_agent_ask(a, MMD_EST_CACERTS, none, &r, why);
	mm_agent_learn_time(a, r.date_s);
	*retry_s = r.retry_s;
	MM_TRY(err);
	MM_TRY(mm_agent_take_cacerts(a, c->token, r.body, c->id, why));
	/* RFC 7030 4.5: what it asks for is the server's to put in anyway, but
	 * for names that are another CA's to read. */
	err = mm_agent_ask(a, MMD_EST_CSRATTRS, none, &r, NULL);
	if (err == MM_EAGAIN || err == MM_ERATE) {
		*retry_s = r.retry_s;
		return MM_FAIL(why, err, "csrattrs: the server is busy");
	}
	if (err == MM_OK)
		MM_TRY(take_subject(a, c, r.body, why));
	err = mm_agent_ask(a, MMD_EST_ENROLL, mm_buf_view(c->request), &r,
	    why);
	*retry_s = r.retry_s;
	c->other = err == MM_EPOLICY &&
	    refused_as(&r, "token-beside-another-devices-certificate");
	if (a->pairing && err != MM_OK)
		return pair(a, c, &r, err, why);
	MM_TRY(err);
	return mm_agent_take_cert(a, c->slot, r.body, c->id, why);
}

/* Nobody is to compare a code that the server does not confirm any more,
 * whatever the reason; who has the certificate needs none. */
static enum mm_err
run_claim(struct mm_agent *a, void *arg, int32_t *retry_s, struct mm_why *why)
{
	struct claim *c = arg;
	enum mm_err err;

	c->waits = false;
	err = exchange(a, c, retry_s, why);
	if (!c->waits) {
		if (err != MM_OK && a->code[0] != '\0' && a->shows != NULL)
			a->shows(NULL);
		a->code[0] = '\0';
	}
	a->waited = err != MM_OK && !c->ended && (c->waits || a->waited);
	return err;
}

/* The name in the request: a hint for people, the server's record counts. */
static enum mm_err
choose_name(const struct mm_agent *a, const struct mmd_token *token,
    char out[MMD_TOKEN_DEVICE_MAX + 1], struct mm_why *why)
{
	const char *name = a->device != NULL || token == NULL ? a->device
	    : token->device;
	char identity[MMD_TOKEN_IDENTITY];

	if (name == NULL)
		return MM_FAIL(why, MM_EINPUT, "device: missing: an old "
		    "credential does not name it");
	if (a->device != NULL && token != NULL && token->device[0] != '\0' &&
	    strcmp(a->device, token->device) != 0)
		return MM_FAIL(why, MM_ECONFLICT, "the token is for %.64s",
		    token->device);
	if (name[0] == '\0' && token != NULL) {
		mmd_token_identity(token, identity);
		name = identity;
	}
	if (!mm_device_id_valid(name))
		return MM_FAIL(why, MM_EINPUT, "device: bad name");
	(void)strcpy(out, name);
	return MM_OK;
}

/* A token's text does not say which device it is for; its certificate does,
 * by its CN if it has one. */
static enum mm_err
check_name(struct mm_agent *a, unsigned slot,
    const struct mm_agent_identity *id, struct mm_why *why)
{
	struct mm_agent_status got;

	if (a->device == NULL)
		return MM_OK;
	MM_TRY(mm_agent_identity_describe(a, slot, id, &got, why));
	if (got.device[0] == '\0' || strcasecmp(got.device, a->device) == 0)
		return MM_OK;
	return MM_FAIL(why, MM_EPOLICY, "the certificate is for \"%.64s\"; "
	    "it is not installed", got.device);
}

/* With the key that is there; when that one's time is over, with another. */
static enum mm_err
ask_for(struct mm_agent *a, struct claim *c, const char *name,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf request = MM_BUF_INIT(REQUEST_MAX);
	const struct mm_agent_try t = { run_claim, c };
	struct mm_why w;
	enum mm_err err;

	do {
		w = (struct mm_why){ 0 };
		c->ended = false;
		mm_buf_reset(&request);
		MM_TRY(mm_agent_request(a, c->slot, name, &request, why));
		c->request = &request;
		err = mm_agent_attempt(a, &t, &w);
	} while (c->ended);
	return err == MM_OK ? MM_OK : MM_FAIL(why, err, "%s", w.text);
}

static enum mm_err
claim(struct mm_agent *a, const struct mmd_token *token, unsigned slot,
    struct mm_agent_identity *id, bool *other, struct mm_why *why)
{
	char name[MMD_TOKEN_DEVICE_MAX + 1];
	struct claim c = { .token = token, .slot = slot, .id = id };
	enum mm_err err;

	MM_TRY(choose_name(a, token, name, why));
	err = ask_for(a, &c, name, why);
	*other = c.other;
	MM_TRY(err);
	MM_TRY(check_name(a, slot, id, why));
	if (token != NULL)
		mmd_token_identity(token, id->token);
	MM_TRY(mm_agent_identity_store(a, slot, id, why));
	return mm_agent_fail(a->nv->select(a->nv->ctx, slot),
	    "switching to the new identity", why);
}

/* Whether the token's words, or the caller's, name another device. */
static bool
for_another(const struct mm_agent *a, const struct mmd_token *token,
    const char *device)
{
	const char *const names[] = { a->device,
		token != NULL ? token->device : NULL };

	for (size_t i = 0; device[0] != '\0' && i < 2; i++)
		if (names[i] != NULL && names[i][0] != '\0' &&
		    strcasecmp(names[i], device) != 0)
			return true;
	return false;
}

/* Claims in the idle slot; what the identity is called stays.  A token's text
 * need not name its device: the server, told what is to be replaced, does. */
static enum mm_err
claim_again(struct mm_agent *a, const struct mmd_token *token, unsigned from,
    const struct mm_agent_status *s, bool *other, struct mm_why *why)
{
	MM_OWN(mm_agent_identity_done) struct mm_agent_identity id;
	const char *given = a->device;
	unsigned to = 1 - from;
	enum mm_err err;

	mm_agent_identity_init(&id);
	if (!mm_agent_waiting(a, to))
		MM_TRY(mm_agent_recycle(a, to, why));
	if (s->device[0] != '\0')
		a->device = s->device;
	if (strlen(s->serial) <= SERIAL_DIGITS)
		snprintf(a->more, sizeof(a->more),
		    "Mintmark-Replaces: %s\r\n", s->serial);
	err = claim(a, token, to, &id, other, why);
	a->device = given;
	a->more[0] = '\0';
	MM_TRY(err);
	MM_TRY(mm_agent_confirm(a, to, why));
	return mm_agent_recycle(a, from, why);
}

/* A token that the identity in the slot did not come by; see agent.h. */
static enum mm_err
with_another(struct mm_agent *a, const struct mmd_token *token, unsigned slot,
    struct mm_agent_status *s, struct mm_why *why)
{
	struct mm_why w = { 0 };
	enum mm_err err = MM_EPOLICY;
	bool other = false;

	s->already = true;
	s->unspent = MM_AGENT_OTHER;
	if (for_another(a, token, s->device))
		return MM_OK;
	if (!a->replace)
		err = mm_agent_confirm(a, slot, &w);
	s->unspent = MM_AGENT_GOOD;
	if (err == MM_OK) {
		s->confirmed = true;
		return MM_OK;
	}
	if (err != MM_EAUTH && err != MM_EPOLICY)
		return MM_FAIL(why, err, "%s", w.text);
	w = (struct mm_why){ 0 };
	err = claim_again(a, token, slot, s, &other, &w);
	s->unspent = MM_AGENT_OTHER;
	if (other)
		return MM_OK;
	if (err != MM_OK)
		return MM_FAIL(why, err, "%s", w.text);
	return mm_agent_status(a, s, why);
}

/* An identity that is there, and its own token or none. */
static enum mm_err
settle(struct mm_agent *a, unsigned slot, struct mm_agent_status *s,
    struct mm_why *why)
{
	if (for_another(a, NULL, s->device))
		return MM_FAIL(why, MM_ECONFLICT, "the identity here is "
		    "\"%.64s\"", s->device);
	s->already = s->confirmed;
	if (!s->confirmed)
		MM_TRY(mm_agent_confirm(a, slot, why));
	s->confirmed = true;
	return MM_OK;
}

static enum mm_err
first(struct mm_agent *a, const struct mmd_token *token, unsigned slot,
    struct mm_agent_identity *id, struct mm_why *why)
{
	bool other;

	if (token == NULL && a->old == NULL)
		return MM_FAIL(why, MM_ENOTFOUND,
		    "no identity here yet, and no token");
	return claim(a, token, slot, id, &other, why);
}

/* see agent.h */
enum mm_err
mm_agent_enrol(struct mm_agent *a, const struct mmd_token *token,
    struct mm_agent_status *out, struct mm_why *why)
{
	MM_OWN(mm_agent_identity_done) struct mm_agent_identity id;
	char given[MMD_TOKEN_IDENTITY] = "";
	struct mm_agent_status s;
	unsigned slot = 0;
	enum mmd_rc rc = a->nv->selected(a->nv->ctx, &slot);
	enum mm_err err = MM_ENOTFOUND;

	mm_agent_identity_init(&id);
	if (rc != MMD_NONE)
		MM_TRY(mm_agent_fail(rc, "current identity", why));
	if (rc == MMD_OK)
		err = mm_agent_identity_load(a, slot, &id, NULL);
	if (err == MM_ENOTFOUND)
		err = first(a, token, slot, &id, why);
	MM_TRY(err);
	if (token != NULL)
		mmd_token_identity(token, given);
	MM_TRY(mm_agent_identity_describe(a, slot, &id, &s, why));
	if (token != NULL && strcmp(given, id.token) != 0)
		MM_TRY(with_another(a, token, slot, &s, why));
	else
		MM_TRY(settle(a, slot, &s, why));
	*out = s;
	return MM_OK;
}
