#include <stdio.h>
#include <string.h>

#include <openssl/rand.h>

#include "base/faults.h"
#include "base/time.h"
#include "pki/der.h"
#include "signer/far.h"
#include "signer/setup.h"

/*
 * Line CAs that the running signer makes, one a station and batch, below the
 * issuer of the configuration that signs such.  There are tens of thousands of
 * them in a centre's life: none is loaded but the one whose list is signed.
 * Its key is sealed by what is derived from a master key of the folder and
 * from its own name and certificate, so that nothing else can be put in its
 * place; what comes back is kept by whoever asked.
 */
#define KEPT_MAX 4096
#define GIVEN_MAX 8192
#define RANDOM_N 10
#define CN_OID   "2.5.4.3"

/* see priv.h */
const struct mm_ca *
mm_signer_lines(const struct mm_signer *s)
{
	const struct mm_issuer_conf *conf = mm_config_lines(s->conf);

	if (conf != NULL)
		conf = mm_config_first(s->conf, conf);
	for (size_t i = 0; conf != NULL && i < s->nca; i++)
		if (strcmp(s->ca[i].issuer.name, conf->name) == 0)
			return mm_ca_issuing(&s->ca[i], mm_now_s());
	return NULL;
}

/* see priv.h */
void
mm_ca_done(struct mm_ca *ca)
{
	mm_pkey_free(&ca->key);
	mm_buf_done(&ca->chain_pem);
	mm_buf_done(&ca->der);
	*ca = (struct mm_ca){ .key = NULL };
}

/* ---- its key, when nobody uses it ---- */

static void
box_key(const struct mm_secret *master, const char *name, struct mm_bytes der,
    uint8_t key[32])
{
	static const char label[] = "mintmark line CA 1\n";
	MM_OWN(mm_buf_done) struct mm_buf what = MM_BUF_INIT(256);
	uint8_t hash[32];

	mm_sha256(der, hash);
	mm_buf_put(&what, label, sizeof(label) - 1);
	mm_buf_printf(&what, "%s\n", name);
	mm_buf_put(&what, hash, sizeof(hash));
	mm_hmac_sha256(mm_secret_view(master), mm_buf_view(&what), key);
}

static enum mm_err
keep(const struct mm_signer *s, const char *name, struct mm_bytes der,
    EVP_PKEY *key, struct mm_buf *out, struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf plain = MM_BUF_INIT(KEPT_MAX);
	uint8_t own[32];
	enum mm_err rc;

	MM_TRY(mm_key_pkcs8(key, &plain, why));
	box_key(s->master[s->version], name, der, own);
	mm_buf_u8(out, s->version);
	rc = mm_box_seal(own, mm_buf_view(&plain), out, why);
	mm_wipe(own, sizeof(own));
	return rc;
}

static enum mm_err
open_kept(const struct mm_signer *s, const struct mm_line_open_req *q,
    EVP_PKEY **out, struct mm_why *why)
{
	MM_OWN(mm_secret_free) struct mm_secret *plain = NULL;
	struct mm_rd r = mm_rd_over(q->kept);
	uint8_t version = mm_rd_u8(&r), own[32];
	enum mm_err rc;

	if (r.bad || s->master[version] == NULL)
		return MM_FAIL(why, MM_EAUTH, "line: \"%.32s\" was kept by "
		    "another signer", q->name);
	box_key(s->master[version], q->name, q->der, own);
	rc = mm_box_open(own, mm_rd_take(&r, r.left), &plain, why);
	mm_wipe(own, sizeof(own));
	MM_TRY(rc);
	/* another node's signer made it, perhaps: it is needed here, too */
	(void)!mm_masters_use(s->masters, version, NULL);
	return mm_key_from_pkcs8(mm_secret_view(plain), out, why);
}

/* ---- making one ---- */

static enum mm_err
check_wish(const struct mm_worker *w, const struct mm_line_make_req *q,
    const struct mm_ca **above, struct mm_why *why)
{
	const char *stopped = mm_signer_stopped(w->s, &w->sum);

	*above = mm_signer_lines(w->s);
	if (*above == NULL)
		return MM_FAIL(why, MM_EPOLICY, "line: no issuer of the "
		    "configuration makes line CAs (lines)");
	if (stopped != NULL)
		return MM_FAIL(why, MM_EAGAIN, "line: %s", stopped);
	if (!mm_name_valid(q->name) || !mm_name_valid(q->station) ||
	    mm_config_issuer(w->s->conf, q->name) != NULL)
		return MM_FAIL(why, MM_EINPUT, "line: \"%.32s\" cannot be its "
		    "name", q->name);
	return mm_ca_ready(*above, why);
}

static enum mm_err
sign_it(struct mm_worker *w, const struct mm_ca *above,
    const struct mm_line_make_req *q, EVP_PKEY *key,
    struct mm_journal_line *l, struct mm_buf *der, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf spki = MM_BUF_INIT(4096);
	struct mm_sign *s = w->sign[above - w->s->ca];
	const struct mm_signing by = { .cert = mm_buf_view(&above->der),
		.name = above->issuer.name };
	struct mm_conf_list subject = { .n = 0 };
	struct mm_ca_fields f = { .subject = &subject, .ca = true,
		.path_len = 0 };
	struct mm_confines confines;
	uint8_t random[RANDOM_N];

	if (RAND_bytes(random, sizeof(random)) != 1)
		return MM_FAIL(why, MM_ECRYPTO, "no random bytes");
	MM_TRY(mm_line_confine(w->s->conf, q->profiles, &confines, &f, why));
	mm_line_subject(&w->s->conf->set, q->name, &subject);
	mm_serial_make(mm_now_ms(), random, f.serial);
	MM_TRY(mm_ca_dates(&by, 0, &f, why));
	MM_TRY(mm_ca_issuer(&by, &f, why));
	MM_TRY(mm_key_spki(key, &spki, why));
	f.spki = mm_buf_view(&spki);
	mm_buf_reset(&w->tbs);
	mm_buf_reset(&w->sig);
	MM_TRY(mm_ca_build(&f, mm_sign_alg(s), &w->tbs, why));
	MM_TRY(mm_sign_bytes(s, mm_buf_view(&w->tbs), &w->sig, why));
	mm_cert_join(der, mm_buf_view(&w->tbs), mm_sign_alg(s),
	    mm_buf_view(&w->sig));
	memcpy(l->serial, f.serial, sizeof(l->serial));
	l->not_after_s = f.not_after_s;
	mm_sha256(f.spki, l->spki_sha256);
	mm_sha256(mm_buf_view(&w->tbs), l->tbs_sha256);
	return mm_buf_ok(der, why);
}

/* That it was made, and that its key leaves: both on the disk before it does,
 * for no entry brings a line back after a power cut. */
static enum mm_err
journal(struct mm_worker *w, const struct mm_line_make_req *q,
    struct mm_journal_line *made, struct mm_bytes given, struct mm_why *why)
{
	struct mm_journal_line l[2] = { *made, { .kind = MM_J_EXPORT } };
	struct mm_cert to;
	enum mm_err rc;

	MM_TRY(mm_cert_walk(q->recipient, &to, why));
	snprintf(l[1].issuer, sizeof(l[1].issuer), "%s", q->name);
	snprintf(l[1].device, sizeof(l[1].device), "%s", q->station);
	mm_sha256(to.spki.whole, l[1].spki_sha256);
	mm_sha256(given, l[1].tbs_sha256);
	mm_die_at("line");
	MM_TRY(mm_record_write(w->s->record, l, 2, why));
	rc = mm_record_flush(w->s->record, why);
	mm_die_at("line-made");
	w->s->signed_n++;
	return rc;
}

/* given and kept stand behind the certificate in one buffer. */
static enum mm_err
make(struct mm_worker *w, struct mm_item *i, const struct mm_ca *above,
    EVP_PKEY *key, struct mm_bytes given, struct mm_journal_line *l,
    struct mm_why *why)
{
	const struct mm_line_make_req *q = &i->req.line_make;
	size_t cert;

	snprintf(l->issuer, sizeof(l->issuer), "%s", above->issuer.name);
	snprintf(l->device, sizeof(l->device), "%s", q->name);
	snprintf(l->authority, sizeof(l->authority), "line:%s", q->station);
	MM_TRY(sign_it(w, above, q, key, l, &i->body, why));
	cert = i->body.n;
	mm_buf_bytes(&i->body, given);
	MM_TRY(keep(w->s, q->name, (struct mm_bytes){ i->body.p, cert }, key,
	    &i->body, why));
	MM_TRY(mm_buf_ok(&i->body, why));
	i->rep.line_make = (struct mm_line_make_rep){
		.der = { i->body.p, cert },
		.given = { i->body.p + cert, given.n },
		.kept = { i->body.p + cert + given.n,
		    i->body.n - cert - given.n } };
	return MM_OK;
}

/* see priv.h; the ceiling is counted last, so that what was refused spends
 * nothing: nor what cannot be sealed, nor that by which it is kept noted.
 * Given back until the journal has it. */
enum mm_err
mm_on_line_make(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf given = MM_BUF_INIT(GIVEN_MAX);
	const struct mm_line_make_req *q = &i->req.line_make;
	MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;
	struct mm_journal_line l = { .kind = MM_J_CERTIFICATE,
		.profile = MM_LINE_CA_LABEL };
	const int64_t now_s = mm_now_s();
	const struct mm_ca *above;
	struct mm_cert to;
	enum mm_err rc;

	MM_TRY(check_wish(w, q, &above, why));
	MM_TRY(mm_cert_walk(q->recipient, &to, why));
	MM_TRY(mm_key_make(MM_KEY_P256, &key, why));
	MM_TRY(mm_key_wrap(key, q->recipient, &given, why));
	MM_TRY(mm_masters_use(w->s->masters, w->s->version, why));
	MM_TRY(mm_record_spend(w->s->record, MM_LINE_CA_PROFILE, 0,
	    mm_config_lines(w->s->conf)->lines, now_s, why));
	rc = make(w, i, above, key, mm_buf_view(&given), &l, why);
	if (rc != MM_OK)
		mm_record_give_back(w->s->record, MM_LINE_CA_PROFILE, now_s);
	MM_TRY(rc);
	return journal(w, q, &l, i->rep.line_make.given, why);
}

/* ---- one that was made ---- */

static bool
is_named(const struct mm_cert *c, const char *name)
{
	char cn[128], want[MM_NAME_MAX + 16];
	size_t n = (size_t)snprintf(want, sizeof(want), " " MM_LINE_CN " %s",
	    name), have;

	if (!mm_name_attribute(c->subject, CN_OID, cn, sizeof(cn)))
		return false;
	have = strlen(cn);
	return have > n && strcmp(cn + have - n, want) == 0;
}

static enum mm_err
check_made(const struct mm_ca *above, const char *name, struct mm_bytes der,
    struct mm_why *why)
{
	struct mm_cert c;

	MM_TRY(mm_cert_walk(der, &c, why));
	if (!mm_bytes_eq(c.issuer, above->issuer.subject) ||
	    !is_named(&c, name))
		return MM_FAIL(why, MM_EPOLICY, "line: not of that name");
	return mm_cert_verify(&c, above->key, why);
}

/* The issuer that made it, which may make none any more; NULL: nobody here. */
static const struct mm_ca *
maker_of(const struct mm_signer *s, const char *name, struct mm_bytes der)
{
	for (size_t i = 0; i < s->nca; i++)
		if (s->ca[i].key != NULL && !s->ca[i].line &&
		    check_made(&s->ca[i], name, der, NULL) == MM_OK)
			return &s->ca[i];
	return NULL;
}

/* What is left of the chain is the same as in that PEM, from its first or
 * second certificate on. */
static bool
goes_on_as(struct mm_rd r, const struct mm_ca *ca)
{
	MM_OWN(mm_buf_done) struct mm_buf one = MM_BUF_INIT(MM_CERT_MAX);
	struct mm_bytes rest = mm_buf_view(&ca->chain_pem);

	while (mm_pem_next(&rest, "CERTIFICATE", &one, NULL) == MM_OK) {
		if (!mm_bytes_eq(mm_der_take_whole(&r, MM_DER_SEQ),
		    mm_buf_view(&one)))
			return false;
		mm_buf_reset(&one);
	}
	return mm_rd_end(&r);
}

/* see priv.h */
enum mm_err
mm_line_check(const struct mm_signer *s, const char *name,
    struct mm_bytes chain, struct mm_why *why)
{
	struct mm_rd r = mm_rd_over(chain), after = r;
	struct mm_bytes first = mm_der_take_whole(&after, MM_DER_SEQ);
	const struct mm_ca *above = maker_of(s, name, first);

	for (size_t i = 0; i < s->nca; i++)
		if (strcmp(s->ca[i].issuer.name, name) == 0 &&
		    s->ca[i].line && s->ca[i].key != NULL &&
		    goes_on_as(r, &s->ca[i]))
			return MM_OK;
	if (above != NULL && goes_on_as(after, above))
		return MM_OK;
	return MM_FAIL(why, MM_EPOLICY, "order: \"%.32s\" is no line CA of "
	    "this signer, or that is not its chain", name);
}

/* ---- its lists ---- */

/* see priv.h */
enum mm_err
mm_line_ca_open(const struct mm_signer *s, const struct mm_line_open_req *q,
    struct mm_ca *ca, struct mm_why *why)
{
	struct mm_issuer_conf conf = { .crl_shards = 1, .line = true };
	const struct mm_ca *above = maker_of(s, q->name, q->der);

	if (above == NULL)
		return MM_FAIL(why, MM_EAUTH, "line: \"%.32s\" was made by no "
		    "issuer that is here", q->name);
	snprintf(conf.name, sizeof(conf.name), "%s", q->name);
	mm_buf_init(&ca->chain_pem, 0);
	mm_buf_init(&ca->der, MM_CERT_MAX);
	mm_buf_bytes(&ca->der, q->der);
	MM_TRY(mm_buf_ok(&ca->der, why));
	MM_TRY(mm_issuer_make(&ca->issuer, &conf, s->conf->set.public_url,
	    mm_buf_view(&ca->der), why));
	ca->crl_hours = above->crl_hours;
	ca->above = above;
	ca->line = true;
	MM_TRY(open_kept(s, q, &ca->key, why));
	return mm_ca_check_pair(ca, why);
}

/* see priv.h; a list that was begun of another line CA is none any more */
enum mm_err
mm_on_line_open(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	struct mm_crl_job *c = &w->s->crl;
	enum mm_err rc;

	pthread_mutex_lock(&c->lock);
	if (c->open && c->ca == &c->line)
		c->open = false;
	mm_ca_done(&c->line);
	rc = mm_line_ca_open(w->s, &i->req.line_open, &c->line, why);
	if (rc != MM_OK)
		mm_ca_done(&c->line);
	pthread_mutex_unlock(&c->lock);
	return rc;
}
