#include <inttypes.h>
#include <string.h>

#include <openssl/rand.h>

#include "base/log.h"
#include "base/time.h"
#include "signer/duty.h"
#include "signer/far.h"

/* Two threads' clocks and journal lines may cross by this much. */
#define CLOCK_SLACK_MS 2000
#define RANDOM_N       12 /* 10 for the serial, 2 for the jitter */

static bool
all_expired(const struct mm_signer *s, int64_t now_s)
{
	size_t keys = 0;

	for (size_t i = 0; i < s->nca; i++) {
		if (s->ca[i].key == NULL)
			continue;
		if (now_s <= s->ca[i].issuer.not_after_s)
			return false;
		keys++;
	}
	return keys > 0;
}

/* A clock that is ahead must leave no line: each later one, by a clock set
 * right, would be before it. */
const char *
mm_signer_barred(const struct mm_signer *s, const struct mm_record_sum *sum)
{
	int64_t now = mm_now_ms();

	if (s->duty != NULL && s->duty->barred != MM_OK)
		return s->duty->barred_why;
	if (now / 1000 < MM_BUILD_TIME)
		return "the clock is before this program was built";
	if (now + CLOCK_SLACK_MS < sum->at_ms)
		return "the clock is before the journal's last line: set "
		    "it right; if it had been ahead, mintmark-signer "
		    "accept-clock goes on";
	if (s->duty != NULL && now + MM_DUTY_BACK_MS < s->duty->seen_ms)
		return "the clock is before a time that was seen already: "
		    "set it right; if it had been ahead, mintmark-signer "
		    "accept-clock goes on";
	if (all_expired(s, now / 1000))
		return "every issuer has expired, or the clock is wrong";
	return NULL;
}

/* see priv.h */
const char *
mm_signer_stopped(const struct mm_signer *s, const struct mm_record_sum *sum)
{
	const char *clock = mm_signer_barred(s, sum);
	int64_t now = mm_now_ms();

	if (clock != NULL)
		return clock;
	if (s->forked)
		return "the ledger's checkpoint is of another tree";
	if (sum->outstanding >= MM_OUTSTANDING_MOST)
		return "too many signatures are not in the ledger yet";
	if (sum->oldest_ms != 0 && now - sum->oldest_ms > MM_OUTSTANDING_MS)
		return "a signature has not turned up in the ledger";
	return NULL;
}

/* What signs it: a profile by the issuer whose turn it is. */
struct by {
	struct mm_use *use;
	const struct mm_ca *ca;
};

static struct mm_use *
find_use(struct mm_signer *s, const struct mm_issue_req *q)
{
	for (size_t i = 0; i < s->nuse; i++)
		if (strcmp(s->use[i].profile->name, q->profile) == 0 &&
		    s->use[i].profile->version == q->profile_version)
			return &s->use[i];
	return NULL;
}

static enum mm_err
check_fields(const struct mm_issue_req *q, struct mm_why *why)
{
	if (!mm_device_id_valid(q->device))
		return MM_FAIL(why, MM_EINPUT, "issue: not a device id");
	if (q->product[0] != '\0' && !mm_name_valid(q->product))
		return MM_FAIL(why, MM_EINPUT, "issue: not a product's name");
	if (q->authority[0] == '\0' || !mm_journal_text_valid(q->authority))
		return MM_FAIL(why, MM_EINPUT, "issue: not an authority");
	if (q->wish_s > INT32_MAX)
		return MM_FAIL(why, MM_EINPUT, "issue: lifetime out of range");
	return MM_OK;
}

static enum mm_err
check_allowed(struct mm_worker *w, const struct mm_issue_req *q,
    struct by *by, struct mm_why *why)
{
	struct mm_use *u = find_use(w->s, q);
	const int64_t now_s = mm_now_s();
	const struct mm_ca *ca;
	const char *stopped = mm_signer_stopped(w->s, &w->sum);

	if (u == NULL)
		return MM_FAIL(why, MM_EPOLICY, "the signer has no profile "
		    "%s@%" PRIu32, q->profile, q->profile_version);
	if (q->keygen && !u->profile->serverkeygen)
		return MM_FAIL(why, MM_EPOLICY, "profile %s: keys are made on "
		    "the device", u->label);
	if (stopped != NULL)
		return MM_FAIL(why, MM_EAGAIN, "%s", stopped);
	ca = mm_ca_issuing(u->ca, now_s);
	if (ca == NULL)
		return MM_FAIL(why, MM_EAGAIN, "issuer %s has no certificate "
		    "yet", u->profile->issuer);
	if (now_s < ca->issuer.not_before_s)
		return MM_FAIL(why, MM_EAGAIN, "the clock is before issuer "
		    "%s's notBefore", ca->issuer.name);
	if (now_s > ca->issuer.not_after_s)
		return MM_FAIL(why, MM_EAGAIN, "issuer %s has expired",
		    ca->issuer.name);
	MM_TRY(mm_ca_ready(ca, why));
	*by = (struct by){ u, ca };
	return MM_OK;
}

/* serverkeygen: the pair is made here and leaves once. */
static enum mm_err
make_pair(const struct mm_profile *p, struct mm_item *i, struct mm_spki *spki,
    struct mm_why *why)
{
	MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;
	enum mm_key_type type;
	size_t pkcs8_n;

	MM_TRY(mm_key_type_parse(p->keys.item[0], &type, why));
	MM_TRY(mm_key_make(type, &key, why));
	MM_TRY(mm_key_pkcs8(key, &i->secret, why));
	pkcs8_n = i->secret.n;
	MM_TRY(mm_key_spki(key, &i->secret, why));
	i->rep.issue.pkcs8 = (struct mm_bytes){ i->secret.p, pkcs8_n };
	return mm_spki_parse((struct mm_bytes){ i->secret.p + pkcs8_n,
	    i->secret.n - pkcs8_n }, spki, why);
}

/* RFC 2986 4.2: possession, verified here and nowhere else. */
static enum mm_err
take_key(struct mm_worker *w, const struct mm_profile *p, struct mm_item *i,
    struct mm_spki *spki, struct mm_why *why)
{
	struct mm_csr csr;

	if (i->req.issue.keygen)
		return make_pair(p, i, spki, why);
	MM_TRY(mm_csr_walk(i->req.issue.csr, &csr, why));
	if (!mm_profile_takes_key(p, csr.spki.type))
		return MM_FAIL(why, MM_EPOLICY, "profile %s takes no %s key",
		    p->name, mm_key_type_name(csr.spki.type));
	MM_TRY(mm_csr_verify(&csr, NULL, w->templates, why));
	*spki = csr.spki;
	return MM_OK;
}

static struct mm_sign *
sign_of(const struct mm_worker *w, const struct by *by)
{
	return w->sign[by->ca - w->s->ca];
}

/* A lint failure is our bug: it stops here, loudly. */
static enum mm_err
build(struct mm_worker *w, const struct by *by,
    const struct mm_cert_fields *f, struct mm_why *why)
{
	struct mm_bytes alg = mm_sign_alg(sign_of(w, by));

	mm_buf_reset(&w->tbs);
	MM_TRY(mm_cert_build(by->use->profile, &by->ca->issuer, f, alg,
	    &w->tbs, why));
	return mm_lint_tbs(mm_buf_view(&w->tbs), by->use->profile,
	    &by->ca->issuer, f, why);
}

static enum mm_err
sign(struct mm_worker *w, const struct by *by, struct mm_buf *der,
    struct mm_why *why)
{
	struct mm_sign *s = sign_of(w, by);

	mm_buf_reset(&w->sig);
	MM_TRY(mm_sign_bytes(s, mm_buf_view(&w->tbs), &w->sig, why));
	mm_cert_join(der, mm_buf_view(&w->tbs), mm_sign_alg(s),
	    mm_buf_view(&w->sig));
	return mm_buf_ok(der, why);
}

static void
fill(struct mm_worker *w, const struct by *by,
    const struct mm_cert_fields *f, struct mm_item *i)
{
	const struct mm_issue_req *q = &i->req.issue;
	struct mm_issue_rep *p = &i->rep.issue;
	struct mm_journal_line *l = &i->line;

	*l = (struct mm_journal_line){ .kind = MM_J_CERTIFICATE,
		.not_after_s = f->not_after_s };
	memcpy(l->issuer, by->ca->issuer.name, sizeof(l->issuer));
	memcpy(l->serial, f->serial, sizeof(l->serial));
	memcpy(l->device, q->device, sizeof(l->device));
	memcpy(l->authority, q->authority, sizeof(l->authority));
	memcpy(l->profile, by->use->label, sizeof(l->profile));
	mm_sha256(f->spki.whole, l->spki_sha256);
	mm_sha256(mm_buf_view(&w->tbs), l->tbs_sha256);
	i->journal = true;

	memcpy(p->serial, f->serial, sizeof(p->serial));
	p->not_before_s = (uint64_t)f->not_before_s;
	p->not_after_s = (uint64_t)f->not_after_s;
	p->shard = mm_issuer_shard(&by->ca->issuer, f->serial);
	memcpy(p->issuer, l->issuer, sizeof(p->issuer));
	memcpy(p->spki_sha256, l->spki_sha256, sizeof(p->spki_sha256));
	p->der = mm_buf_view(&i->body);
}

/* Drawn by the pool: a draw costs a system call and a lock. */
static bool
draw(struct mm_worker *w, uint8_t out[RANDOM_N])
{
	if (w->random_n < RANDOM_N) {
		if (RAND_bytes(w->random, sizeof(w->random)) != 1)
			return false;
		w->random_n = sizeof(w->random);
	}
	w->random_n -= RANDOM_N;
	memcpy(out, w->random + w->random_n, RANDOM_N);
	return true;
}

static enum mm_err
certify(struct mm_worker *w, const struct by *by, struct mm_item *i,
    struct mm_cert_fields *f, struct mm_why *why)
{
	uint8_t random[RANDOM_N];
	uint16_t jitter;

	if (!draw(w, random))
		return MM_FAIL(why, MM_ECRYPTO, "no random bytes");
	memcpy(&jitter, random + 10, sizeof(jitter));
	mm_serial_make(mm_now_ms(), random, f->serial);
	mm_cert_validity(by->use->profile, &by->ca->issuer, mm_now_s(),
	    jitter, (int64_t)i->req.issue.wish_s, &f->not_before_s,
	    &f->not_after_s);
	MM_TRY(build(w, by, f, why));
	MM_TRY(sign(w, by, &i->body, why));
	fill(w, by, f, i);
	return MM_OK;
}

/* Ceilings are counted last, so that what was refused spends nothing. */
enum mm_err
mm_on_issue(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	const struct mm_issue_req *q = &i->req.issue;
	struct mm_cert_fields f = { .device = q->device,
		.product = q->product };
	struct by by = { NULL, NULL };
	const int64_t now_s = mm_now_s();
	enum mm_err rc = MM_ENOTFOUND;
	const struct mm_profile *p;

	MM_TRY(check_fields(q, why));
	if (w->s->duty != NULL)
		rc = mm_duty_again(w, i, why);
	if (rc != MM_ENOTFOUND)
		return rc;
	if (w->s->duty != NULL)
		MM_TRY(mm_duty_admit(w->s, q, why));
	MM_TRY(check_allowed(w, q, &by, why));
	p = by.use->profile;
	if (w->s->duty == NULL)
		MM_TRY(mm_authority_fits(q, p, why));
	MM_TRY(take_key(w, p, i, &f.spki, why));
	MM_TRY(mm_record_spend(w->s->record, p->name, p->per_minute,
	    p->per_day, now_s, why));
	rc = mm_use_note(w->s, by.use, why);
	if (rc == MM_OK)
		rc = certify(w, &by, i, &f, why);
	if (rc != MM_OK)
		mm_record_give_back(w->s->record, p->name, now_s);
	MM_TRY(rc);
	return w->s->duty == NULL ? MM_OK : mm_duty_count(w, i, why);
}

/* see priv.h; promise 3: possession is proved each time. */
enum mm_err
mm_on_possess(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	struct mm_csr csr;

	MM_TRY(mm_csr_walk(i->req.possess.csr, &csr, why));
	MM_TRY(mm_csr_verify(&csr, NULL, w->templates, why));
	mm_csr_key_hash(&csr, i->rep.possess.spki_sha256);
	return MM_OK;
}
