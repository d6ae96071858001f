/*
 * Puts certificates into an initialised CA that is not running, through the
 * store's own interface, each with device, token and ledger entry, as if
 * they had been issued long ago:
 *
 *	fill DATABASE PRODUCT PROFILE@VERSION ISSUER N [PRODUCTS [OF]]
 *
 * With PRODUCTS it is a fleet for lists: devices of PRODUCT-0, PRODUCT-1, ..
 * with attributes that an index knows and an entry each, a tenth of them
 * without a certificate, some certificates revoked or held, some tokens
 * cancelled, a quarter of another issuer and key type.  OF: how many there
 * will be, in as much time, of which these are the first (copies.py).
 *
 * The signer takes the entries into its tree at the next start.  They have an
 * issuance's fields and say that it was confirmed: of certificates that its
 * journal does not know the signer takes only a few.  Prints bytes as JSON.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/time.h"
#include "made.h"
#include "pki/key.h"

/* Large batches: keys and tokens are random, and every batch rewrites most
 * pages of their indexes. */
enum { BATCH = 16384, DER_N = 600, YEAR_S = 365 * 86400, STEP = 4 * BATCH,
	SPAN_S = 60 * 86400 /* that it took */, WITHDRAWN = 500 };

struct fill {
	struct mm_store *store;
	struct mm_store_reader *reader;
	const char *product, *profile, *issuer;
	unsigned products; /* 0: one, named as it is */
	int64_t now_s;
	/* Each op is a little later than the one before it, as entries are. */
	uint64_t done, of;
	struct {
		struct mm_op op;
		struct mm_buf entry;
		uint8_t serial[16];
	} work[BATCH];
};

static int64_t
next_ms(struct fill *f)
{
	double part = (double)f->done++ / (double)f->of;

	return (f->now_s - YEAR_S / 4) * 1000 +
	    (int64_t)(part * SPAN_S * 1000);
}

static void
device_of(uint64_t n, char out[MM_DEVICE_ID_MAX + 1])
{
	snprintf(out, MM_DEVICE_ID_MAX + 1, "OLD-%08llu",
	    (unsigned long long)n);
}

/* A hundred devices in a row are of one product. */
static void
product_of(const struct fill *f, uint64_t n, char out[MM_NAME_MAX + 1])
{
	if (f->products == 0)
		snprintf(out, MM_NAME_MAX + 1, "%s", f->product);
	else
		snprintf(out, MM_NAME_MAX + 1, "%s-%llu", f->product,
		    (unsigned long long)n / 100 % f->products);
}

static void
mint(struct fill *f, struct mm_op *op, uint64_t n)
{
	struct mm_token_row *t = &op->u.mint.row;

	op->kind = MM_OP_TOKEN_MINT;
	op->u.mint.make_device = true;
	made_token(n, t->id);
	device_of(n, t->device);
	product_of(f, n, t->product);
	t->created_at = t->not_before_at = next_ms(f);
	t->expires_at = t->created_at + 259200000;
}

static void
put_device(struct fill *f, struct mm_op *op, uint64_t n)
{
	struct mm_buf *out = &f->work[n % BATCH].entry;
	struct mm_device *d = &op->u.device.row;
	struct mm_entry e = { .type = MM_E_DEVICE_CREATED };

	op->kind = MM_OP_DEVICE_PUT;
	device_of(n, d->id);
	product_of(f, n, d->product);
	d->created_at = e.at_ms = next_ms(f);
	snprintf(d->attributes, sizeof(d->attributes), "{\"batch\":\"B%05llu"
	    "\",\"hw_rev\":\"R%llu\",\"lot\":%llu,\"station\":\"LINE-%llu\"}",
	    (unsigned long long)n / 500, (unsigned long long)n % 50,
	    (unsigned long long)n / 100, (unsigned long long)n % 8);
	op->u.device.indexed = "[\"batch\",\"hw_rev\",\"lot\",\"station\"]";
	e.field[MM_F_ACTOR] = "fill";
	e.field[MM_F_DEVICE] = d->id;
	e.field[MM_F_PRODUCT] = d->product;
	made_entry(&e, out);
	op->entry[0] = mm_buf_view(out);
	op->nentries = 1;
}

static void
issue(struct fill *f, struct mm_op *op, uint64_t n)
{
	static const uint8_t der[DER_N] = { 0x30 };
	struct mm_cert_row *r = &op->u.issue.row;
	bool other = f->products != 0 && n % 4 == 3;

	op->kind = MM_OP_ISSUE;
	r->issued_at = next_ms(f);
	made_serial(n, r->issued_at, r->serial);
	made_noise(n, 3, r->spki_sha256);
	made_noise(n, 4, r->cert_sha256);
	device_of(n, r->device);
	product_of(f, n, r->product);
	strcpy(r->profile, f->profile);
	strcpy(r->issuer, other ? "former" : f->issuer);
	r->key_type = (uint8_t)(1 + (other ? MM_KEY_P384 : MM_KEY_P256));
	strcpy(r->authority, "token:");
	made_token(n, r->authority + 6);
	r->not_before_s = r->issued_at / 1000 - 3600;
	r->not_after_s = r->not_before_s + YEAR_S - r->cert_sha256[0] * 10000;
	op->u.issue.der = (struct mm_bytes){ der, DER_N };
	made_cert_entry(MM_E_CERT_CONFIRMED, r, &f->work[n % BATCH].entry);
	op->entry[0] = mm_buf_view(&f->work[n % BATCH].entry);
	op->nentries = 1;
	memcpy(f->work[n % BATCH].serial, r->serial, 16);
}

/* Of a step's tokens and certificates, once they are there. */
static void
cancel(struct fill *f, struct mm_op *op, uint64_t n)
{
	(void)f;
	op->kind = MM_OP_TOKEN_STATE;
	made_token(n, op->u.token.id);
	op->u.token.from = 1U << MM_TOKEN_MINTED;
	op->u.token.to = MM_TOKEN_CANCELLED;
}

static void
withdraw(struct fill *f, struct mm_op *op, uint64_t n)
{
	op->kind = MM_OP_REVOKE;
	memcpy(op->u.revoke.serial, f->work[n % BATCH].serial, 16);
	op->u.revoke.to = n % 3 == 0 ? MM_CERT_HELD : MM_CERT_REVOKED;
	op->u.revoke.reason = n % 3 == 0 ? 6 : 1;
	op->u.revoke.at = f->now_s * 1000;
}

/* ---- which ones ---- */

typedef bool which_fn(const struct fill *f, uint64_t n);

static bool
all(const struct fill *f, uint64_t n)
{
	(void)f, (void)n;
	return true;
}

static bool
certified(const struct fill *f, uint64_t n)
{
	return f->products == 0 || n % 10 != 9;
}

static bool
cancelled(const struct fill *f, uint64_t n)
{
	(void)f;
	return n % 100 == 99;
}

static bool
withdrawn(const struct fill *f, uint64_t n)
{
	return n % WITHDRAWN == 1 && certified(f, n);
}

struct kind {
	void (*make)(struct fill *, struct mm_op *, uint64_t);
	which_fn *which;
};

/* The numbers of a batch stand in work at n % BATCH. */
static void
run_batch(struct fill *f, const struct kind *k, uint64_t from, uint64_t to)
{
	static struct mm_op *ops[BATCH];
	struct mm_why why = { 0 };
	size_t n = 0;

	for (; from < to; from++) {
		struct mm_op *op = &f->work[from % BATCH].op;

		if (!k->which(f, from))
			continue;
		memset(op, 0, sizeof(*op));
		k->make(f, op, from);
		ops[n++] = op;
	}
	made_must(mm_store_run(f->store, ops, n, &why), &why);
	for (size_t i = 0; i < n; i++)
		made_must(ops[i]->result, &ops[i]->why);
}

static void
run(struct fill *f, const struct kind *k, size_t kinds, uint64_t from,
    uint64_t to)
{
	struct mm_why why = { 0 };

	for (; from < to; from += BATCH)
		for (size_t i = 0; i < kinds; i++)
			run_batch(f, &k[i], from,
			    from + BATCH < to ? from + BATCH : to);
	made_must(mm_store_tidy(f->reader, &why), &why);
}

static const struct kind before[] = { { put_device, all }, { mint, all } };
static const struct kind after[] = { { issue, certified },
	{ withdraw, withdrawn }, { cancel, cancelled } };

static double
size_of(const char *url)
{
	struct stat st;

	return stat(strchr(url, ':') + 1, &st) == 0 ? (double)st.st_size : 0;
}

int
main(int argc, char *argv[])
{
	static struct fill f;
	struct mm_why why = { 0 };
	double minted = 0, issued = 0;
	uint64_t n;

	if (argc < 6 || argc > 8) {
		fprintf(stderr, "usage: fill DATABASE PRODUCT PROFILE@VERSION "
		    "ISSUER N [PRODUCTS [OF]]\n");
		return 2;
	}
	n = strtoull(argv[5], NULL, 10);
	f.product = argv[2];
	f.profile = argv[3];
	f.issuer = argv[4];
	f.products = argc > 6 ? (unsigned)strtoul(argv[6], NULL, 10) : 0;
	f.of = (argc > 7 ? strtoull(argv[7], NULL, 10) : n) *
	    (f.products != 0 ? 3 : 2);
	f.now_s = mm_now_s();
	for (unsigned i = 0; i < BATCH; i++)
		mm_buf_init(&f.work[i].entry, MM_ENTRY_MAX);
	made_must(mm_store_open(argv[1], false, &f.store, &why), &why);
	made_must(mm_reader_open(argv[1], &f.reader, &why), &why);
	for (uint64_t at = 0; at < n; at += STEP) {
		uint64_t to = at + STEP < n ? at + STEP : n;
		double a = size_of(argv[1]), b;

		run(&f, f.products != 0 ? before : before + 1,
		    f.products != 0 ? 2 : 1, at, to);
		b = size_of(argv[1]);
		run(&f, after, f.products != 0 ? 3 : 1, at, to);
		minted += b - a;
		issued += size_of(argv[1]) - b;
	}
	mm_reader_close(&f.reader);
	mm_store_close(&f.store);
	printf("{\"n\":%llu,\"token\":%.0f,\"certificate\":%.0f}\n",
	    (unsigned long long)n, minted / (double)n, issued / (double)n);
	return 0;
}
