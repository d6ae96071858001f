/*
 * Puts certificates into an initialised CA that is not running, through the
 * store's own interface, each with device, token and ledger entry, as if
 * they had been issued long ago:
 *
 *	fill DATABASE PRODUCT PROFILE@VERSION ISSUER N
 *
 * The signer takes the entries into its tree at the next start.  They have an
 * issuance's fields and say that it was confirmed: of certificates that its
 * journal does not know the signer takes only a few.  Prints bytes as JSON.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "base/time.h"
#include "ledger/entry.h"
#include "pki/key.h"
#include "pki/token.h"
#include "store/store.h"

/* Large batches: keys and tokens are random, and every batch rewrites most
 * pages of their indexes. */
enum { BATCH = 16384, DER_N = 600, YEAR_S = 365 * 86400, STEP = 4 * BATCH };

struct fill {
	struct mm_store *store;
	struct mm_store_reader *reader;
	const char *product, *profile, *issuer;
	int64_t now_s;
	struct {
		struct mm_op op;
		struct mm_buf entry;
	} work[BATCH];
};

static void
must(enum mm_err err, const struct mm_why *why)
{
	if (err == MM_OK)
		return;
	fprintf(stderr, "fill: %s\n", why->text);
	exit(1);
}

/* Random as keys and tokens are; the same in every run. */
static void
noise(uint64_t n, uint64_t what, uint8_t out[32])
{
	uint64_t seed[2] = { n, what };

	mm_sha256((struct mm_bytes){ (const uint8_t *)seed, sizeof(seed) },
	    out);
}

static void
token_of(uint64_t n, char out[MM_TOKEN_ID_TEXT])
{
	uint8_t h[32];
	char text[21];

	noise(n, 1, h);
	mm_base32_text(h, 12, text);
	snprintf(out, MM_TOKEN_ID_TEXT, "mm1-%s", text);
}

static void
mint(struct fill *f, struct mm_op *op, uint64_t n)
{
	struct mm_token_row *t = &op->u.mint.row;

	op->kind = MM_OP_TOKEN_MINT;
	op->u.mint.make_device = true;
	token_of(n, t->id);
	snprintf(t->device, sizeof(t->device), "OLD-%08llu",
	    (unsigned long long)n);
	strcpy(t->product, f->product);
	t->created_at = t->not_before_at = (f->now_s - YEAR_S / 4) * 1000;
	t->expires_at = t->created_at + 259200000;
}

static void
describe(const struct mm_cert_row *r, struct mm_buf *out)
{
	char serial[33], cert[65], spki[65], from[32], to[32];
	struct mm_entry e = { .type = MM_E_CERT_CONFIRMED,
		.at_ms = r->issued_at };
	struct mm_why why = { 0 };

	mm_hex_text(r->serial, 16, serial);
	mm_hex_text(r->cert_sha256, 32, cert);
	mm_hex_text(r->spki_sha256, 32, spki);
	mm_time_text_s(r->not_before_s, from);
	mm_time_text_s(r->not_after_s, to);
	e.field[MM_F_AUTHORITY] = r->authority;
	e.field[MM_F_DEVICE] = r->device;
	e.field[MM_F_PRODUCT] = r->product;
	e.field[MM_F_ISSUER] = r->issuer;
	e.field[MM_F_SERIAL] = serial;
	e.field[MM_F_CERT_SHA256] = cert;
	e.field[MM_F_SPKI_SHA256] = spki;
	e.field[MM_F_PROFILE] = r->profile;
	e.field[MM_F_NOT_BEFORE] = from;
	e.field[MM_F_NOT_AFTER] = to;
	e.field[MM_F_KEY_ORIGIN] = "device";
	mm_buf_reset(out);
	must(mm_entry_encode(&e, out, &why), &why);
}

static void
issue(struct fill *f, struct mm_op *op, uint64_t n)
{
	static const uint8_t der[DER_N] = { 0x30 };
	struct mm_cert_row *r = &op->u.issue.row;
	uint64_t ms = (uint64_t)(f->now_s - YEAR_S / 4) * 1000 + n / 8;
	uint8_t h[32];

	op->kind = MM_OP_ISSUE;
	noise(n, 2, h);
	for (unsigned i = 0; i < 6; i++)
		r->serial[i] = (uint8_t)(ms >> (40 - 8 * i));
	memcpy(r->serial + 6, h, 10);
	noise(n, 3, r->spki_sha256);
	noise(n, 4, r->cert_sha256);
	snprintf(r->device, sizeof(r->device), "OLD-%08llu",
	    (unsigned long long)n);
	strcpy(r->product, f->product);
	strcpy(r->profile, f->profile);
	strcpy(r->issuer, f->issuer);
	strcpy(r->authority, "token:");
	token_of(n, r->authority + 6);
	r->issued_at = (int64_t)ms;
	r->not_before_s = r->issued_at / 1000 - 3600;
	r->not_after_s = r->not_before_s + YEAR_S - h[10] * 10000;
	op->u.issue.der = (struct mm_bytes){ der, DER_N };
	describe(r, &f->work[n % BATCH].entry);
	op->entry[0] = mm_buf_view(&f->work[n % BATCH].entry);
	op->nentries = 1;
}

static void
run(struct fill *f, void (*make)(struct fill *, struct mm_op *, uint64_t),
    uint64_t from, uint64_t to)
{
	static struct mm_op *ops[BATCH];
	struct mm_why why = { 0 };

	while (from < to) {
		size_t n = 0;

		for (; n < BATCH && from < to; n++, from++) {
			ops[n] = &f->work[from % BATCH].op;
			memset(ops[n], 0, sizeof(*ops[n]));
			make(f, ops[n], from);
		}
		must(mm_store_run(f->store, ops, n, &why), &why);
		for (size_t i = 0; i < n; i++)
			must(ops[i]->result, &ops[i]->why);
	}
	must(mm_store_tidy(f->reader, &why), &why);
}

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

	if (argc != 6) {
		fprintf(stderr, "usage: fill DATABASE PRODUCT PROFILE@VERSION "
		    "ISSUER N\n");
		return 2;
	}
	n = strtoull(argv[5], NULL, 10);
	f.product = argv[2];
	f.profile = argv[3];
	f.issuer = argv[4];
	f.now_s = mm_now_s();
	for (unsigned i = 0; i < BATCH; i++)
		mm_buf_init(&f.work[i].entry, MM_ENTRY_MAX);
	must(mm_store_open(argv[1], false, &f.store, &why), &why);
	must(mm_reader_open(argv[1], &f.reader, &why), &why);
	for (uint64_t at = 0; at < n; at += STEP) {
		uint64_t to = at + STEP < n ? at + STEP : n;
		double a = size_of(argv[1]), b;

		run(&f, mint, at, to);
		b = size_of(argv[1]);
		run(&f, issue, at, to);
		minted += b - a;
		issued += size_of(argv[1]) - b;
	}
	mm_reader_close(&f.reader);
	mm_store_close(&f.store);
	printf("{\"n\":%llu,\"token\":%.0f,\"certificate\":%.0f}\n",
	    (unsigned long long)n, minted / (double)n, issued / (double)n);
	return 0;
}
