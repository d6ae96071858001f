#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/checks.h"
#include "core/upstream_priv.h"

/*
 * Everything a decision rests on, read in the snapshot that the caller began
 * after the reservation was taken.  A record that is not there is a fact, any
 * other failure to read ends the job.
 */
struct reading {
	struct mm_store_reader *r;
	struct mm_facts *f;
	const struct mm_authority *a;
	const struct mm_csr *csr;
	struct mm_why *why;
	const struct mm_job *job;
	struct mm_batches *batches;
	const struct mm_chains *chains;
};

/* Turns "there is none" into a fact. */
static enum mm_err
maybe(enum mm_err rc, bool *has)
{
	*has = rc == MM_OK;
	return rc == MM_ENOTFOUND ? MM_OK : rc;
}

/* see priv.h */
void
mm_facts_authority(const struct mm_authority *a, char out[MM_AUTHORITY_TEXT])
{
	size_t n;

	memset(out, 0, MM_AUTHORITY_TEXT);
	if (a->kind == MM_AUTH_TOKEN_PSK || a->kind == MM_AUTH_TOKEN_BASIC) {
		memcpy(out, "token:", 6);
		strcpy(out + 6, a->token);
	} else if (a->kind == MM_AUTH_DEVICE) {
		memcpy(out, "cert:", 5);
		mm_hex_text(a->serial, 16, out + 5);
	} else if (a->kind == MM_AUTH_OPERATOR) {
		/* device ids are unique without case */
		memcpy(out, "op:", 3);
		n = strlen(a->device);
		for (size_t i = 0; i < n; i++)
			out[3 + i] = (char)tolower((unsigned char)a->device[i]);
	} else if (a->kind == MM_AUTH_BOOTSTRAP) {
		/* which group it is, the records say; who has nothing holds
		 * up nobody who has something */
		mm_member_id(a->old.kind == MM_OLD_NOTHING ? "pair" : "boot",
		    a->device, out);
	}
}

static enum mm_err
read_claim(struct reading *g)
{
	struct mm_facts *f = g->f;
	struct mm_claim *claim = &f->claim;

	MM_TRY(maybe(mm_get_claim(g->r, f->claim_name, claim, NULL),
	    &f->has_claim));
	if (!f->has_claim)
		return MM_OK;
	return maybe(mm_get_cert(g->r, claim->serial, &f->claimed, NULL),
	    &f->has_claimed);
}

/* The neighbours' product is read once a snapshot. */
static enum mm_err
read_product(struct reading *g)
{
	struct mm_facts *f = g->f;

	f->has_product = f->product.name[0] != '\0' &&
	    strcmp(f->product.name, f->device.product) == 0;
	if (f->has_product)
		return MM_OK;
	memset(&f->product, 0, sizeof(f->product));
	return maybe(mm_get_product(g->r, f->device.product, &f->product,
	    NULL), &f->has_product);
}

static enum mm_err
read_device(struct reading *g, const char *id)
{
	struct mm_facts *f = g->f;

	MM_TRY(maybe(mm_get_device(g->r, id, &f->device, NULL),
	    &f->has_device));
	if (!f->has_device)
		return MM_OK;
	return read_product(g);
}

/* Of several CAs with one number, one of the device's own is meant.  One that
 * the caller only names may be of a CA that nobody here knows. */
static enum mm_err
read_replaced(struct reading *g)
{
	struct mm_cert_row row;
	uint8_t number[MM_SERIAL_N];
	size_t at = 0;
	bool has, any = false, own = false;

	while (mm_chains_number(g->chains, &g->a->replaces, &at, number)) {
		MM_TRY(maybe(mm_get_cert(g->r, number, &row, NULL), &has));
		any = any || has;
		own = own || (has &&
		    strcasecmp(row.device, g->f->token.device) == 0);
	}
	g->f->beside_other = any && !own;
	return MM_OK;
}

/* A certificate that TLS has verified and nobody knows is another's. */
static enum mm_err
read_beside(struct reading *g)
{
	struct mm_cert_row row;
	bool has;

	if (g->a->replaces.n > 0)
		return read_replaced(g);
	if (!g->a->beside)
		return MM_OK;
	MM_TRY(maybe(mm_get_cert(g->r, g->a->serial, &row, NULL), &has));
	g->f->beside_other = !has ||
	    strcasecmp(row.device, g->f->token.device) != 0;
	return MM_OK;
}

/* One read for a token that nobody claimed yet, as most are. */
static enum mm_err
read_token(struct reading *g)
{
	struct mm_facts *f = g->f;
	struct mm_token_facts t;

	MM_TRY(maybe(mm_get_token_facts(g->r, g->a->token, &t, NULL),
	    &f->has_token));
	if (!f->has_token)
		return MM_OK;
	f->token = t.token;
	f->device = t.device;
	f->has_device = t.device.id[0] != '\0';
	MM_TRY(read_beside(g));
	if (t.claimed)
		MM_TRY(read_claim(g));
	return f->has_device ? read_product(g) : MM_OK;
}

/* Whether the request asks for a SubjectAltName that is not the
 * certificate's. */
static bool
san_differs(const struct mm_csr *csr, const struct mm_cert *cert)
{
	static const char san[] = "2.5.29.17";
	struct mm_cert asked = { .extensions = csr->extensions };
	struct mm_bytes want, have = { NULL, 0 };
	bool critical;

	if (csr->extensions.n == 0 ||
	    !mm_cert_extension(&asked, san, &critical, &want))
		return false;
	return !mm_cert_extension(cert, san, &critical, &have) ||
	    !mm_bytes_eq(want, have);
}

/* RFC 7030 4.2.2: the names that a renewal must keep. */
static enum mm_err
read_names(struct reading *g)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	struct mm_facts *f = g->f;
	struct mm_cert cert;

	if (f->cn[0] == '\0' && f->serial_number[0] == '\0' &&
	    g->csr->extensions.n == 0)
		return MM_OK;
	MM_TRY(mm_get_cert_der(g->r, f->cert.serial, &der, g->why));
	MM_TRY(mm_cert_walk(mm_buf_view(&der), &cert, g->why));
	f->san_differs = san_differs(g->csr, &cert);
	if (!mm_name_attribute(cert.subject, "2.5.4.3", f->cert_cn,
	    sizeof(f->cert_cn)))
		f->cert_cn[0] = '\0';
	if (!mm_name_attribute(cert.subject, "2.5.4.5",
	    f->cert_serial_number, sizeof(f->cert_serial_number)))
		f->cert_serial_number[0] = '\0';
	return MM_OK;
}

static enum mm_err
read_predecessor(struct reading *g)
{
	struct mm_cert_row row;
	bool has;

	if (mm_zero(g->f->cert.predecessor, 16))
		return MM_OK;
	MM_TRY(maybe(mm_get_cert(g->r, g->f->cert.predecessor, &row, NULL),
	    &has));
	if (!has)
		return MM_OK;
	strcpy(g->f->predecessor_issuer, row.issuer);
	g->f->predecessor_state = row.state;
	g->f->predecessor_reason = row.reason;
	return MM_OK;
}

/* Of a device whose certificate has ended. */
static enum mm_err
read_newest(struct reading *g)
{
	struct mm_facts *f = g->f;

	if (!f->expired && f->now_ms / 1000 <= f->cert.not_after_s)
		return MM_OK;
	return maybe(mm_get_device_cert(g->r, f->cert.device, false,
	    &f->newest, NULL), &f->has_newest);
}

/*
 * A renewal's certificate names the one before it, so a device's renewals are
 * counted along these, and only where the first of them is young.  Who comes
 * when it is time is never one too many, and reads nothing: half of
 * renew_percent is before any place of its (window.h).  Short lives are renewed
 * more often: for them the day is that of so many such halves.
 */
enum { RENEWALS_MOST = 24, DAY_MS = 86400000 };

static int64_t
half_ms(const struct mm_facts *f)
{
	const struct mm_profile *p = mm_check_profile_of(f, &f->cert);
	int64_t life_ms = f->cert.not_after_s * 1000 - f->cert.issued_at;

	return life_ms / 200 * (p != NULL ? p->renew_percent : 66);
}

static enum mm_err
read_pace(struct reading *g)
{
	struct mm_facts *f = g->f;
	struct mm_cert_row row = f->cert;
	int64_t half = half_ms(f), day = half < DAY_MS / RENEWALS_MOST ?
	    half * RENEWALS_MOST : DAY_MS;
	unsigned n = 0;
	bool has = row.issued_at > f->now_ms - half;

	while (has && n < RENEWALS_MOST && !mm_zero(row.predecessor, 16) &&
	    row.issued_at > f->now_ms - day) {
		n++;
		MM_TRY(maybe(mm_get_cert(g->r, row.predecessor, &row, NULL),
		    &has));
	}
	f->paced = n == RENEWALS_MOST;
	return MM_OK;
}

static enum mm_err
read_renewal(struct reading *g)
{
	MM_TRY(read_names(g));
	MM_TRY(read_pace(g));
	return read_newest(g);
}

#define TIMES_MOST (UINT32_C(1) << 30)

/* The n-th name that claims have where one may follow another. */
static void
name_claim(struct mm_facts *f, size_t base, uint32_t n)
{
	f->claim_name[base] = '\0';
	if (n > 1)
		snprintf(f->claim_name + base, sizeof(f->claim_name) - base,
		    ":%u", (unsigned)n);
}

static enum mm_err
read_nth(struct reading *g, size_t base, uint32_t n)
{
	name_claim(g->f, base, n);
	g->f->has_claimed = false;
	return read_claim(g);
}

/* They follow each other without a gap: the last one is found
 * by doubling, then by halving. */
static enum mm_err
last_claim(struct reading *g, size_t base, uint32_t *last)
{
	uint32_t low = 0, high = 1;

	for (; high < TIMES_MOST; high *= 2) {
		MM_TRY(read_nth(g, base, high));
		if (!g->f->has_claim)
			break;
		low = high;
	}
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		MM_TRY(read_nth(g, base, middle));
		if (g->f->has_claim)
			low = middle;
		else
			high = middle;
	}
	*last = low;
	return MM_OK;
}

/* What the owner before had by it, and a transfer has ended.  Its claim stays;
 * the new owner's is another time. */
static bool
was_before(const struct mm_facts *f, int64_t turned_ms)
{
	return f->has_claim && (!f->has_claimed ||
	    (f->claimed.state == MM_CERT_REVOKED &&
	    f->claimed.issued_at < turned_ms));
}

/* Looked into only where a claim stands in the way. */
static enum mm_err
read_idevid(struct reading *g)
{
	struct mm_facts *f = g->f;
	size_t base = strlen(f->claim_name);
	int64_t turned_ms;
	uint32_t last;

	MM_TRY(read_claim(g));
	if (!was_before(f, INT64_MAX))
		return MM_OK;
	MM_TRY(mm_handover_get(g->r, &f->device, &turned_ms, NULL));
	if (!f->has_device || !was_before(f, turned_ms))
		return MM_OK;
	MM_TRY(last_claim(g, base, &last));
	MM_TRY(read_nth(g, base, last));
	return was_before(f, turned_ms) ? read_nth(g, base, last + 1) : MM_OK;
}

static enum mm_err
read_cert(struct reading *g)
{
	struct mm_facts *f = g->f;

	MM_TRY(maybe(mm_get_cert(g->r, g->a->serial, &f->cert, NULL),
	    &f->has_cert));
	if (!f->has_cert)
		return MM_OK;
	MM_TRY(read_device(g, f->cert.device));
	MM_TRY(read_predecessor(g));
	if (f->job == MM_JOB_CONFIRM)
		return MM_OK;
	if (f->job == MM_JOB_ASK)
		return read_newest(g);
	if (f->cert.idevid && f->job != MM_JOB_REENROL)
		return read_idevid(g);
	MM_TRY(read_claim(g));
	return f->job == MM_JOB_REENROL && !f->cert.idevid ?
	    read_renewal(g) : MM_OK;
}

/* An operator's right is not used up: once the certificate of the last time
 * is in use or gone, another key is another time, with a name of its own.  So
 * is any key once the record of it is gone. */
static bool
over(const struct mm_facts *f)
{
	if (f->has_claim && !f->has_claimed)
		return true;
	return f->has_claimed && f->claimed.state != MM_CERT_ISSUED &&
	    memcmp(f->claim.spki_sha256, f->spki, 32) != 0;
}

static enum mm_err
read_operator(struct reading *g)
{
	struct mm_facts *f = g->f;
	size_t base = strlen(f->claim_name);
	uint32_t last;

	MM_TRY(read_device(g, g->a->device));
	MM_TRY(last_claim(g, base, &last));
	MM_TRY(read_nth(g, base, last > 0 ? last : 1));
	if (over(f))
		MM_TRY(read_nth(g, base, last + 1));
	f->line = g->a->line;
	if (f->has_device)
		MM_TRY(mm_batches_facts(g->batches, g->r, g->job,
		    f->device.id, &f->batch, g->why));
	return f->line && f->has_device ? mm_fielded(g->r, &f->device,
	    f->spki, &f->fielded, g->why) : MM_OK;
}

static enum mm_err
read_bootstrap(struct reading *g)
{
	MM_TRY(mm_facts_group(g->r, g->a, g->f->spki, g->f));
	if (!g->f->group.of_it)
		return MM_OK;
	MM_TRY(read_claim(g));
	return read_product(g);
}

static enum mm_err
read_key(struct reading *g)
{
	struct mm_facts *f = g->f;
	struct mm_key_use use;
	bool has;

	MM_TRY(maybe(mm_get_key_use(g->r, f->spki, &use, NULL), &has));
	if (!has)
		return MM_OK;
	strcpy(f->key_device, use.device);
	f->key_compromised = use.compromised;
	return MM_OK;
}

typedef enum mm_err read_fn(struct reading *g);
static read_fn *const readers[MM_AUTH_KINDS] = {
	[MM_AUTH_TOKEN_PSK] = read_token,
	[MM_AUTH_TOKEN_BASIC] = read_token,
	[MM_AUTH_DEVICE] = read_cert,
	[MM_AUTH_OPERATOR] = read_operator,
	[MM_AUTH_BOOTSTRAP] = read_bootstrap,
};

static void
read_request(const struct mm_job *job, struct mm_facts *f)
{
	f->label = job->label;
	f->key_type = job->csr.spki.type;
	f->binding_ok = job->binding_ok;
	f->binding_wrong = job->binding_wrong;
	f->expired = job->authority.expired;
	memcpy(f->cert_sha256, job->authority.cert_sha256, 32);
	if (job->kind == MM_JOB_REENROL)
		mm_csr_subject_names(&job->csr, f->cn, f->serial_number);
}

/* see priv.h */
enum mm_err
mm_facts_read(struct mm_core *c, struct mm_store_reader *r,
    struct mm_flight *flight, struct mm_facts *out, struct mm_why *why)
{
	const struct mm_authority *a = &flight->job->authority;
	struct reading g = { r, out, a, &flight->job->csr, why, flight->job,
		c->at_work, c->chains };

	memset(out, 0, offsetof(struct mm_facts, product));
	out->now_ms = mm_now_ms();
	out->config = c->config;
	out->authority = a->kind;
	out->job = flight->job->kind;
	out->proved = !mm_authority_presents(a) ||
	    (flight->flags & MM_FLIGHT_SECRET) != 0;
	out->guessed = (flight->flags & MM_FLIGHT_GUESSED) != 0;
	memcpy(out->spki, flight->spki, 32);
	read_request(flight->job, out);
	mm_facts_authority(a, out->claim_name);
	if ((unsigned)a->kind < MM_AUTH_KINDS && readers[a->kind] != NULL &&
	    readers[a->kind](&g) != MM_OK)
		return MM_FAIL(why, MM_EAGAIN, "store: cannot be read");
	if (flight->job->kind == MM_JOB_CONFIRM ||
	    flight->job->kind == MM_JOB_ASK ||
	    flight->job->kind == MM_JOB_KEYGEN)
		return MM_OK;
	return read_key(&g) == MM_OK ? MM_OK
				     : MM_FAIL(why, MM_EAGAIN,
					   "store: cannot be read");
}
