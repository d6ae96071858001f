#include <string.h>

#include "base/file.h"
#include "base/time.h"
#include "signer/setup.h"

#define CHAIN_MAX 8

/* A chain from the issuer's certificate up to the root. */
struct chain {
	struct mm_buf pem, der[CHAIN_MAX];
	struct mm_bytes view[CHAIN_MAX];
	struct mm_cert cert[CHAIN_MAX];
	size_t n;
};

static void
chain_done(struct chain *c)
{
	mm_buf_done(&c->pem);
	for (size_t i = 0; i < CHAIN_MAX; i++)
		mm_buf_done(&c->der[i]);
}

static enum mm_err
chain_read(const char *path, struct chain *c, struct mm_why *why)
{
	struct mm_bytes rest;

	mm_buf_init(&c->pem, CHAIN_MAX * MM_CERT_MAX);
	MM_TRY(mm_file_read(path, &c->pem, why));
	rest = mm_buf_view(&c->pem);
	for (c->n = 0; c->n < CHAIN_MAX; c->n++) {
		enum mm_err err;
		mm_buf_init(&c->der[c->n], MM_CERT_MAX);
		err = mm_pem_next(&rest, "CERTIFICATE", &c->der[c->n], NULL);
		if (err == MM_ENOTFOUND && c->n > 0)
			return MM_OK;
		if (err != MM_OK)
			return MM_FAIL(why, MM_EINPUT, "%.80s: want PEM "
			    "certificates", path);
		c->view[c->n] = mm_buf_view(&c->der[c->n]);
		MM_TRY(mm_cert_walk(c->view[c->n], &c->cert[c->n], why));
	}
	return MM_FAIL(why, MM_ELIMIT, "%.80s: more than %d certificates",
	    path, CHAIN_MAX - 1);
}

/* Each is signed by the next, the last by itself. */
static enum mm_err
chain_verify(const struct chain *c, struct mm_why *why)
{
	struct mm_key_templates *t = NULL;
	enum mm_err err = mm_key_templates_new(NULL, &t, why);

	for (size_t i = 0; err == MM_OK && i < c->n; i++) {
		MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;
		size_t up = i + 1 < c->n ? i + 1 : i;
		if (!mm_bytes_eq(c->cert[i].issuer, c->cert[up].subject))
			err = MM_FAIL(why, MM_EINPUT, "chain: certificate %zu "
			    "is not the issuer of the one before, or the root "
			    "is missing at the end", up + 1);
		if (err == MM_OK && mm_now_s() > c->cert[i].not_after_s)
			err = MM_FAIL(why, MM_EPOLICY, "chain: certificate "
			    "%zu has expired", i + 1);
		if (err == MM_OK)
			err = mm_spki_load(&c->cert[up].spki, t, &key, why);
		if (err == MM_OK)
			err = mm_cert_verify(&c->cert[i], key, why);
	}
	mm_key_templates_free(&t);
	return err;
}

static enum mm_err
check_key(struct mm_setup *s, const struct mm_issuer_conf *conf,
    const struct chain *c, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf spki = MM_BUF_INIT(4096);
	MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;
	struct mm_issuer issuer;

	MM_TRY(mm_issuer_make(&issuer, conf, s->conf->set.public_url,
	    c->view[0], why));
	MM_TRY(mm_setup_key(s, conf, &key, why));
	MM_TRY(mm_key_spki(key, &spki, why));
	if (!mm_bytes_eq(mm_buf_view(&spki), c->cert[0].spki.whole))
		return MM_FAIL(why, MM_EINPUT, "chain: its first certificate "
		    "is not of issuer %s's key", conf->name);
	return MM_OK;
}

/* The first root becomes the anchor; another must be the same. */
static enum mm_err
place_anchor(struct mm_setup *s, struct mm_bytes root, struct mm_why *why)
{
	char path[MM_PATH_MAX + 1];
	struct mm_ca have = { 0 };
	enum mm_err err;
	bool same;

	MM_TRY(mm_root_cert_path(&s->conf->set, s->conf->set.root, path, why));
	err = mm_ca_read(path, &have, NULL);
	same = err == MM_OK && mm_bytes_eq(mm_buf_view(&have.der), root);
	mm_buf_done(&have.chain_pem);
	mm_buf_done(&have.der);
	if (same)
		return MM_OK;
	if (err != MM_ENOTFOUND)
		return MM_FAIL(why, MM_ECONFLICT, "chain: its root is not the "
		    "trust anchor %.80s", path);
	MM_TRY(mm_place_certs(s, path, &root, 1, MM_OF_SIGNER, why));
	return mm_place_certs(s, s->conf->set.trust_anchor, &root, 1,
	    MM_OF_ROOT, why);
}

static enum mm_err
install(struct mm_setup *s, struct chain *c, struct mm_why *why)
{
	const struct mm_issuer_conf *conf;
	uint8_t anchor[32];

	MM_TRY(mm_setup_issuer(s, &conf, why));
	MM_TRY(chain_read(s->o->chain, c, why));
	MM_TRY(chain_verify(c, why));
	MM_TRY(check_key(s, conf, c, why));
	MM_TRY(mm_check_subject(s, conf, c->cert[0].subject, why));
	MM_TRY(mm_check_own_key(s, conf, c->cert[0].spki.whole, why));
	MM_TRY(place_anchor(s, c->view[c->n - 1], why));
	MM_TRY(mm_place_issuer(s, conf, c->view, c->n, why));
	mm_sha256(c->cert[c->n - 1].spki.whole, anchor);
	mm_json_open(&s->json, '{');
	MM_TRY(mm_json_cert(s, "issuer", conf->name, conf->certificate,
	    c->view[0], why));
	mm_json_hex(&s->json, "anchor_sha256", (struct mm_bytes){ anchor, 32 });
	mm_json_close(&s->json, '}');
	return mm_setup_print(s, why);
}

/* see setup.h */
enum mm_err
mm_cmd_install(const struct mm_opts *o, struct mm_why *why)
{
	struct mm_setup s = { 0 };
	struct chain c = { 0 };
	enum mm_err err;

	if (o->chain == NULL)
		return MM_FAIL(why, MM_EINPUT, "install: --chain is missing");
	err = mm_setup_begin(&s, o, true, why);
	if (err == MM_OK)
		err = install(&s, &c, why);
	chain_done(&c);
	mm_setup_done(&s);
	return err;
}
