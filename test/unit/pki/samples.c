/*
 * samples FOLDER TYPE...: writes what other people's programs then judge
 * (check_samples.py): for an issuer of each type a CA, a leaf for each type, a
 * CRL and a PKCS#7; a Matter DAC; an IDevID for ever; a TLS server; a sealed
 * key.  RSA-4096 is for those who have time.
 */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/time.h"

static const char *folder;
static enum mm_key_type types[MM_KEY_TYPES];
static unsigned ntypes;

static void
save(const char *name, const char *label, struct mm_bytes der)
{
	struct mm_buf pem = MM_BUF_INIT(65536);
	struct mm_why why = { 0 };
	char path[512];

	mm_pem_put(&pem, label, der);
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	OK(why, mm_file_replace(path, mm_buf_view(&pem), 0600, &why));
	mm_buf_done(&pem);
}

static void
leaf(const struct ca *ca, const struct mm_profile *p, enum mm_key_type t,
    const char *name)
{
	struct issued d;

	issued_init(&d, t, "SN-1");
	issued_fields(&d, p, ca, "SN-1");
	d.fields.serial[15] = (uint8_t)t;
	issued_build(&d, p, ca);
	issued_sign(&d, ca);
	save(name, "CERTIFICATE", mm_buf_view(&d.cert));
	issued_done(&d);
}

/* Revokes the leaves of P-384 and RSA-2048 keys; or nothing. */
static void
crl(const struct ca *ca, const char *name, size_t ne)
{
	struct mm_crl_entry e[2] = { { .at_s = NOW - 60, .reason = 1 },
		{ .at_s = NOW - 60, .reason = 0 } };
	struct mm_buf tbs = MM_BUF_INIT(8192), sig = MM_BUF_INIT(1024);
	struct mm_buf der = MM_BUF_INIT(8192);
	struct mm_why why = { 0 };

	for (unsigned i = 0; i < 2; i++)
		mm_serial_make(NOW * 1000, (const uint8_t *)"0123456789",
		    e[i].serial);
	e[0].serial[15] = MM_KEY_P384;
	e[1].serial[15] = MM_KEY_RSA2048;
	OK(why, mm_crl_build(&ca->issuer, &(struct mm_crl_of){
	    (uint64_t)NOW * 1000, NOW - 60, NOW + DAY, MM_CRL_WHOLE, e, ne },
	    mm_sign_alg(ca->sign), &tbs, &why));
	OK(why, mm_sign_bytes(ca->sign, mm_buf_view(&tbs), &sig, &why));
	mm_cert_join(&der, mm_buf_view(&tbs), mm_sign_alg(ca->sign),
	    mm_buf_view(&sig));
	save(name, "X509 CRL", mm_buf_view(&der));
	mm_buf_done(&tbs);
	mm_buf_done(&sig);
	mm_buf_done(&der);
}

static void
issuer_samples(enum mm_key_type t)
{
	struct mm_bytes certs[1];
	struct mm_buf p7 = MM_BUF_INIT(65536);
	struct mm_profile p;
	struct ca ca;
	char name[64];

	profile_init(&p);
	LIST(&p.san, "DNS:{device}.dev.example", "URI:urn:dev:ser:{device}");
	LIST(&p.policies, "1.3.6.1.4.1.55555.1");
	LIST(&p.extensions, "1.3.6.1.4.1.55555.2::0c0568656c6c6f");
	strcpy(p.hw_type_oid, "1.3.6.1.4.1.55555.3");
	ca_init(&ca, t);
	certs[0] = mm_buf_view(&ca.der);
	snprintf(name, sizeof(name), "ca-%s.pem", mm_key_type_name(t));
	save(name, "CERTIFICATE", certs[0]);
	for (unsigned k = 0; k < ntypes; k++) {
		snprintf(name, sizeof(name), "leaf-%s-%s.pem",
		    mm_key_type_name(t), mm_key_type_name(types[k]));
		leaf(&ca, &p, types[k], name);
	}
	snprintf(name, sizeof(name), "crl-%s.pem", mm_key_type_name(t));
	crl(&ca, name, 2);
	snprintf(name, sizeof(name), "crl-empty-%s.pem", mm_key_type_name(t));
	crl(&ca, name, 0);
	mm_pkcs7_certs(&p7, certs, 1);
	snprintf(name, sizeof(name), "p7-%s.pem", mm_key_type_name(t));
	save(name, "PKCS7", mm_buf_view(&p7));
	mm_buf_done(&p7);
	ca_done(&ca);
}

/* Matter core specification 6.2.2.3: device attestation certificate */
static void
matter(const struct ca *ca)
{
	struct mm_profile p;

	profile_init(&p);
	LIST(&p.subject, "CN=ACME Matter DAC {device}",
	    "1.3.6.1.4.1.37244.2.1=FFF1", "1.3.6.1.4.1.37244.2.2=8000");
	LIST(&p.key_usage, "digitalSignature");
	LIST(&p.keys, "p256");
	p.eku.n = 0;
	p.crl_dp = p.aia = false;
	p.kind = MM_PROFILE_IDEVID;
	leaf(ca, &p, MM_KEY_P256, "matter.pem");
}

static void
for_ever(struct ca *ca)
{
	struct mm_profile p;

	profile_init(&p);
	p.kind = MM_PROFILE_IDEVID;
	p.lifetime_s = 0;
	p.eku.n = 0;
	ca->issuer.not_after_s = MM_TIME_FOREVER_S;
	leaf(ca, &p, MM_KEY_P256, "idevid.pem");
}

static void
server(const struct ca *ca)
{
	static const struct mm_conf_list subject = { 1, { "CN=localhost" } };
	static const struct mm_conf_list dns = { 1, { "localhost" } };
	static const struct mm_conf_list ip = { 2, { "127.0.0.1", "::1" } };
	struct mm_ca_fields f = { .serial = { 0x02, 0x34 },
		.not_before_s = NOW - DAY, .not_after_s = NOW + 90 * DAY,
		.subject = &subject, .dns = &dns, .ip = &ip };
	struct mm_buf tbs = MM_BUF_INIT(8192), sig = MM_BUF_INIT(1024);
	struct mm_buf der = MM_BUF_INIT(8192);
	struct mm_why why = { 0 };
	struct issued d;

	issued_init(&d, MM_KEY_RSA2048, "x");
	f.spki = d.csr.spki.whole;
	f.issuer_subject = ca->issuer.subject;
	f.issuer_key_id = (struct mm_bytes){ ca->issuer.key_id, 20 };
	OK(why, mm_ca_build(&f, mm_sign_alg(ca->sign), &tbs, &why));
	OK(why, mm_sign_bytes(ca->sign, mm_buf_view(&tbs), &sig, &why));
	mm_cert_join(&der, mm_buf_view(&tbs), mm_sign_alg(ca->sign),
	    mm_buf_view(&sig));
	save("server.pem", "CERTIFICATE", mm_buf_view(&der));
	issued_done(&d);
	mm_buf_done(&tbs);
	mm_buf_done(&sig);
	mm_buf_done(&der);
}

static void
sealed(void)
{
	struct mm_why why = { 0 };
	EVP_PKEY *key = NULL;
	char path[512];

	OK(why, mm_key_make(MM_KEY_P256, &key, &why));
	snprintf(path, sizeof(path), "%s/sealed.pem", folder);
	OK(why, mm_key_save(path, key, mm_bytes_of("open sesame"), &why));
	snprintf(path, sizeof(path), "%s/plain.pem", folder);
	OK(why, mm_key_save_plain(path, key, 0600, &why));
	mm_pkey_free(&key);
}

static void
write_samples(void **state)
{
	struct ca ca;

	(void)state;
	for (unsigned t = 0; t < ntypes; t++)
		issuer_samples(types[t]);
	ca_init(&ca, MM_KEY_P256);
	save("ca.pem", "CERTIFICATE", mm_buf_view(&ca.der));
	matter(&ca);
	server(&ca);
	for_ever(&ca);
	sealed();
	ca_done(&ca);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(write_samples) };

	if (argc < 3 || argc > 2 + MM_KEY_TYPES)
		return 2;
	folder = argv[1];
	for (int i = 2; i < argc; i++)
		if (mm_key_type_parse(argv[i], &types[ntypes++], NULL) !=
		    MM_OK)
			return 2;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
