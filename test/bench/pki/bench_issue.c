/*
 * One issuance without transport or store: walk, load, verify, build, lint,
 * sign, join.  Prints CPU time per call of each part, the arithmetic floor
 * (verify and sign alone, of the same run) and the whole path's ratio to it.
 * With the word "floor" that line alone, in a fifth of the time.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "bench.h"
#include "pki/cert.h"

#define ROUNDS 3000
#define DAY    INT64_C(86400)

struct bench {
	EVP_PKEY *device, *ca;
	struct mm_key_templates *templates;
	struct mm_sign *sign;
	struct mm_profile profile;
	struct mm_issuer issuer;
	struct mm_buf request, ca_der, tbs, sig, cert;
	struct mm_csr csr;
	struct mm_cert_fields fields;
};

static void
walk(struct bench *b)
{
	struct mm_why why = { 0 };

	must(mm_csr_walk(mm_buf_view(&b->request), &b->csr, &why), &why);
}

static void
load(struct bench *b)
{
	MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;
	struct mm_why why = { 0 };

	must(mm_spki_load(&b->csr.spki, b->templates, &key, &why), &why);
}

static void
verify(struct bench *b)
{
	struct mm_why why = { 0 };

	must(mm_csr_verify(&b->csr, NULL, b->templates, &why), &why);
}

/* What libcrypto needs for the arithmetic: key loaded, text hashed. */
static void
verify_alone(struct bench *b)
{
	struct mm_why why = { 0 };

	must(mm_verify_bytes(NULL, b->device, b->csr.alg, b->csr.info,
	    b->csr.signature, &why), &why);
}

static void
build(struct bench *b)
{
	struct mm_why why = { 0 };

	mm_buf_reset(&b->tbs);
	must(mm_cert_build(&b->profile, &b->issuer, &b->fields,
	    mm_sign_alg(b->sign), &b->tbs, &why), &why);
}

static void
lint(struct bench *b)
{
	struct mm_why why = { 0 };

	must(mm_lint_tbs(mm_buf_view(&b->tbs), &b->profile, &b->issuer,
	    &b->fields, &why), &why);
}

static void
sign(struct bench *b)
{
	struct mm_why why = { 0 };

	mm_buf_reset(&b->sig);
	must(mm_sign_bytes(b->sign, mm_buf_view(&b->tbs), &b->sig, &why),
	    &why);
}

static void
join(struct bench *b)
{
	uint8_t hash[32];

	mm_buf_reset(&b->cert);
	mm_cert_join(&b->cert, mm_buf_view(&b->tbs), mm_sign_alg(b->sign),
	    mm_buf_view(&b->sig));
	mm_csr_key_hash(&b->csr, hash);
}

static void
whole(struct bench *b)
{
	walk(b);
	verify(b);
	b->fields.spki = b->csr.spki;
	build(b);
	lint(b);
	sign(b);
	join(b);
}

/* The best of five: what disturbs a run only ever adds. */
static double
measure(struct bench *b, void (*f)(struct bench *))
{
	double best = 1e9;

	for (unsigned k = 0; k < 5; k++) {
		double start = cpu_us(), us;

		for (unsigned i = 0; i < ROUNDS / 5; i++)
			f(b);
		us = (cpu_us() - start) / (ROUNDS / 5);
		best = us < best ? us : best;
	}
	return best;
}

static void
make_issuer(struct bench *b)
{
	static const struct mm_conf_list subject = { 2, { "O=Bench",
		"CN=Bench LDevID issuer" } };
	static const struct mm_issuer_conf conf = { .name = "ldevid",
		.crl_shards = 64 };
	struct mm_buf spki = MM_BUF_INIT(MM_CERT_MAX);
	struct mm_ca_fields f = { .serial = { 1 }, .subject = &subject,
		.path_len = 0, .ca = true };
	struct mm_why why = { 0 };

	must(mm_key_make(MM_KEY_P256, &b->ca, &why), &why);
	must(mm_sign_new(NULL, b->ca, &b->sign, &why), &why);
	must(mm_key_spki(b->ca, &spki, &why), &why);
	f.spki = mm_buf_view(&spki);
	f.not_before_s = b->fields.not_before_s;
	f.not_after_s = b->fields.not_after_s + DAY;
	must(mm_ca_build(&f, mm_sign_alg(b->sign), &b->tbs, &why), &why);
	sign(b);
	mm_cert_join(&b->ca_der, mm_buf_view(&b->tbs), mm_sign_alg(b->sign),
	    mm_buf_view(&b->sig));
	must(mm_issuer_make(&b->issuer, &conf, "http://pki.example.com",
	    mm_buf_view(&b->ca_der), &why), &why);
	mm_buf_done(&spki);
}

static void
list(struct mm_conf_list *l, const char *a, const char *b, const char *c)
{
	const char *const items[] = { a, b, c };

	for (size_t i = 0; i < 3 && items[i] != NULL; i++)
		strcpy(l->item[l->n++], items[i]);
}

static void
make_bench(struct bench *b)
{
	struct mm_buf *bufs[] = { &b->request, &b->ca_der, &b->tbs, &b->sig,
		&b->cert };
	struct mm_profile *p = &b->profile;
	struct mm_why why = { 0 };

	for (size_t i = 0; i < sizeof(bufs) / sizeof(bufs[0]); i++)
		mm_buf_init(bufs[i], MM_CERT_MAX);
	b->fields.not_before_s = 1800000000;
	b->fields.not_after_s = b->fields.not_before_s + 365 * DAY;
	b->fields.device = "SN-000123";
	b->fields.product = "thermo";
	make_issuer(b);
	strcpy(p->name, "thermo");
	p->lifetime_s = 365 * DAY;
	p->basic_constraints = p->crl_dp = p->aia = true;
	list(&p->keys, "p256", NULL, NULL);
	list(&p->subject, "O=Acme", "CN={device}", "serialNumber={device}");
	list(&p->key_usage, "digitalSignature", NULL, NULL);
	list(&p->eku, "clientAuth", NULL, NULL);
	must(mm_profile_check(p, &why), &why);
	must(mm_key_make(MM_KEY_P256, &b->device, &why), &why);
	must(mm_csr_make(b->device, "SN-000123", &b->request, &why), &why);
	must(mm_key_templates_new(NULL, &b->templates, &why), &why);
	mm_serial_make(INT64_C(1800000000000), (const uint8_t *)"0123456789",
	    b->fields.serial);
}

static void
done(struct bench *b)
{
	struct mm_buf *bufs[] = { &b->request, &b->ca_der, &b->tbs, &b->sig,
		&b->cert };

	for (size_t i = 0; i < sizeof(bufs) / sizeof(bufs[0]); i++)
		mm_buf_done(bufs[i]);
	mm_sign_free(&b->sign);
	mm_key_templates_free(&b->templates);
	mm_pkey_free(&b->device);
	mm_pkey_free(&b->ca);
}

static double
print_floor(struct bench *b)
{
	double us = measure(b, verify_alone) + measure(b, sign);

	printf("%-16s %8.2f us\n", "floor", us);
	return us;
}

static void
print_parts(struct bench *b)
{
	static const struct {
		const char *what;
		void (*f)(struct bench *);
	} parts[] = {
		{ "walk", walk }, { "load key", load },
		{ "load and verify", verify }, { "build", build },
		{ "lint", lint }, { "sign", sign }, { "join, hash", join },
	};
	double floor_us, whole_us;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		printf("%-16s %8.2f us\n", parts[i].what,
		    measure(b, parts[i].f));
	floor_us = print_floor(b);
	whole_us = measure(b, whole);
	printf("%-16s %8.2f us\n%-16s %8.2f\n", "whole path", whole_us,
	    "ratio", whole_us / floor_us);
}

int
main(int argc, char *argv[])
{
	struct bench *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return 1;
	make_bench(b);
	whole(b);
	if (argc > 1 && strcmp(argv[1], "floor") == 0)
		print_floor(b);
	else
		print_parts(b);
	done(b);
	free(b);
	return 0;
}
