/*
 * Revocation lists: one of 10,000 entries and one of a million, and of shards,
 * made (build,
 * sign, join), put into the bundle (PEM), and taken by "crl sync" (out of PEM,
 * walked, verified).  Prints milliseconds of this thread beside the floor of
 * the same run: SHA-256 of as many bytes and one signature.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "bench.h"
#include "pki/cert.h"

#define NOW    INT64_C(1800000000)
#define DAY    INT64_C(86400)
#define DER_N  ((size_t)128 << 20)

struct bench {
	EVP_PKEY *ca;
	struct mm_sign *sign;
	struct mm_issuer issuer;
	struct mm_crl_entry *entry;
	struct mm_buf ca_der, tbs, sig, der, pem;
};

static void
sign(struct bench *b)
{
	struct mm_why why = { 0 };

	mm_buf_reset(&b->sig);
	must(mm_sign_bytes(b->sign, mm_buf_view(&b->tbs), &b->sig, &why),
	    &why);
}

static void
make_issuer(struct bench *b)
{
	static const struct mm_conf_list subject = { 2, { "O=Bench",
		"CN=Bench issuer" } };
	static const struct mm_issuer_conf conf = { .name = "issuing",
		.crl_shards = 64 };
	struct mm_buf spki = MM_BUF_INIT(MM_CERT_MAX);
	struct mm_ca_fields f = { .serial = { 1 }, .subject = &subject,
		.path_len = 0, .ca = true, .not_before_s = NOW,
		.not_after_s = NOW + 3650 * DAY };
	struct mm_why why = { 0 };

	must(mm_key_make(MM_KEY_P256, &b->ca, &why), &why);
	must(mm_sign_new(NULL, b->ca, &b->sign, &why), &why);
	must(mm_key_spki(b->ca, &spki, &why), &why);
	f.spki = mm_buf_view(&spki);
	must(mm_ca_build(&f, mm_sign_alg(b->sign), &b->tbs, &why), &why);
	sign(b);
	mm_cert_join(&b->ca_der, mm_buf_view(&b->tbs), mm_sign_alg(b->sign),
	    mm_buf_view(&b->sig));
	must(mm_issuer_make(&b->issuer, &conf, "http://pki.example.com",
	    mm_buf_view(&b->ca_der), &why), &why);
	mm_buf_done(&spki);
}

static void
make_entries(struct bench *b, size_t n)
{
	uint8_t random[10];

	b->entry = calloc(n, sizeof(*b->entry));
	if (b->entry == NULL)
		exit(1);
	for (size_t i = 0; i < n; i++) {
		if (RAND_bytes(random, sizeof(random)) != 1)
			exit(1);
		mm_serial_make(NOW * 1000, random, b->entry[i].serial);
		b->entry[i].at_s = NOW + (int64_t)i;
		b->entry[i].reason = 1;
	}
}

static void
make_list(struct bench *b, size_t n)
{
	struct mm_why why = { 0 };

	mm_buf_reset(&b->tbs);
	mm_buf_reset(&b->der);
	must(mm_crl_build(&b->issuer, &(struct mm_crl_of){
	    (uint64_t)NOW * 1000, NOW, NOW + DAY, MM_CRL_WHOLE, b->entry, n },
	    mm_sign_alg(b->sign), &b->tbs, &why), &why);
	sign(b);
	mm_cert_join(&b->der, mm_buf_view(&b->tbs), mm_sign_alg(b->sign),
	    mm_buf_view(&b->sig));
	must(mm_buf_ok(&b->der, &why), &why);
}

static void
bundle(struct bench *b)
{
	struct mm_why why = { 0 };
	uint8_t hash[32];

	mm_buf_reset(&b->pem);
	mm_pem_put(&b->pem, "X509 CRL", mm_buf_view(&b->der));
	must(mm_buf_ok(&b->pem, &why), &why);
	mm_sha256(mm_buf_view(&b->pem), hash);
}

static void
take(struct bench *b, size_t n)
{
	struct mm_bytes rest = mm_buf_view(&b->pem);
	struct mm_why why = { 0 };
	struct mm_crl c;

	must(mm_pem_next(&rest, "X509 CRL", &b->der, &why), &why);
	must(mm_crl_walk(mm_buf_view(&b->der), &c, &why), &why);
	must(mm_crl_verify(&c, b->ca, &why), &why);
	if (c.entries != n)
		exit(1);
}

/* The entries of one shard, first; how many there are. */
static size_t
gather(struct bench *b, size_t n, unsigned shard)
{
	size_t have = 0;

	for (size_t i = 0; i < n; i++) {
		struct mm_crl_entry e = b->entry[i];

		if (mm_issuer_shard(&b->issuer, e.serial) != shard)
			continue;
		b->entry[i] = b->entry[have];
		b->entry[have++] = e;
	}
	return have;
}

static double
make_shard(struct bench *b, unsigned shard, size_t n)
{
	struct mm_why why = { 0 };
	double t = cpu_us();

	mm_buf_reset(&b->tbs);
	must(mm_crl_build(&b->issuer, &(struct mm_crl_of){
	    (uint64_t)NOW * 1000, NOW, NOW + DAY, shard, b->entry, n },
	    mm_sign_alg(b->sign), &b->tbs, &why), &why);
	sign(b);
	mm_cert_join(&b->der, mm_buf_view(&b->tbs), mm_sign_alg(b->sign),
	    mm_buf_view(&b->sig));
	must(mm_buf_ok(&b->der, &why), &why);
	return (cpu_us() - t) / 1e3;
}

/* One of 10,000 entries, and those of a million over 64 shards. */
static void
measure_shards(struct bench *b, size_t n)
{
	double one, all = 0;
	size_t have = gather(b, n, 0), of = have < 10000 ? have : 10000;

	mm_buf_reset(&b->der);
	one = make_shard(b, 0, of);
	for (unsigned k = 0; k < b->issuer.shards; k++) {
		have = gather(b, n, k);
		mm_buf_reset(&b->der);
		all += make_shard(b, k, have);
	}
	printf("%8zu entries of one shard: made %7.1f ms; %zu over %u shards: "
	    "made %7.1f ms\n", of, one, n, b->issuer.shards, all);
}

/* The best of three: what disturbs a run only ever adds. */
static void
measure(struct bench *b, size_t n)
{
	double best[4] = { 1e9, 1e9, 1e9, 1e9 };
	uint8_t hash[32];

	for (unsigned k = 0; k < 3; k++) {
		double t[5];

		t[0] = cpu_us() / 1e3;
		make_list(b, n);
		t[1] = cpu_us() / 1e3;
		bundle(b);
		t[2] = cpu_us() / 1e3;
		take(b, n);
		t[3] = cpu_us() / 1e3;
		mm_sha256(mm_buf_view(&b->tbs), hash);
		sign(b);
		t[4] = cpu_us() / 1e3;
		for (unsigned i = 0; i < 4; i++)
			if (t[i + 1] - t[i] < best[i])
				best[i] = t[i + 1] - t[i];
	}
	printf("%8zu entries, %5.1f MB: made %7.1f ms, bundle %7.1f ms, taken "
	    "%7.1f ms; floor %6.1f ms\n", n, (double)b->der.n / 1e6, best[0],
	    best[1], best[2], best[3]);
}

int
main(void)
{
	static const size_t sizes[] = { 10000, 1000000 };
	struct bench b = { .entry = NULL };
	struct mm_buf *bufs[] = { &b.ca_der, &b.tbs, &b.sig, &b.der, &b.pem };

	for (size_t i = 0; i < sizeof(bufs) / sizeof(bufs[0]); i++)
		mm_buf_init(bufs[i], DER_N);
	make_issuer(&b);
	make_entries(&b, sizes[1]);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		measure(&b, sizes[i]);
	measure_shards(&b, sizes[1]);
	for (size_t i = 0; i < sizeof(bufs) / sizeof(bufs[0]); i++)
		mm_buf_done(bufs[i]);
	mm_sign_free(&b.sign);
	mm_pkey_free(&b.ca);
	free(b.entry);
	return 0;
}
