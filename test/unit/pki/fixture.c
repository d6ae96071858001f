#include "fixture.h"

/* see fixture.h */
void
list_set(struct mm_conf_list *l, const char *const *items)
{
	memset(l, 0, sizeof(*l));
	for (; *items != NULL; items++)
		strcpy(l->item[l->n++], *items);
}

/* see fixture.h */
EVP_PKEY *
key_of(enum mm_key_type t, bool ca)
{
	static EVP_PKEY *made[MM_KEY_TYPES][2];
	struct mm_why why = { 0 };

	if (made[t][ca] == NULL)
		OK(why, mm_key_make(t, &made[t][ca], &why));
	EVP_PKEY_up_ref(made[t][ca]);
	return made[t][ca];
}

/* see fixture.h */
void
profile_init(struct mm_profile *p)
{
	memset(p, 0, sizeof(*p));
	strcpy(p->name, "thermo");
	strcpy(p->issuer, "ldevid");
	p->version = 1;
	LIST(&p->keys, "p256", "p384", "ed25519", "rsa2048", "rsa3072",
	    "rsa4096");
	LIST(&p->subject, "O=Acme", "CN={device}", "serialNumber={device}");
	LIST(&p->key_usage, "digitalSignature", "keyEncipherment");
	LIST(&p->eku, "clientAuth");
	p->lifetime_s = 365 * DAY;
	p->backdate_s = 3600;
	p->jitter_percent = 5;
	p->basic_constraints = p->crl_dp = p->aia = true;
	p->renew_percent = 66;
}

static void
init(struct ca *ca, enum mm_key_type t, int path_len)
{
	static const struct mm_conf_list subject = { 2, { "O=Acme",
		"CN=Acme LDevID issuer" } };
	static const struct mm_issuer_conf conf = { .name = "ldevid",
		.crl_shards = 4 };
	struct mm_ca_fields f = { .serial = { 0x01, 0x23 },
		.not_before_s = NOW - DAY, .not_after_s = NOW + 3650 * DAY,
		.subject = &subject, .path_len = path_len, .ca = true };
	struct mm_buf spki = MM_BUF_INIT(4096), tbs = MM_BUF_INIT(8192);
	struct mm_buf sig = MM_BUF_INIT(1024);
	struct mm_why why = { 0 };

	memset(ca, 0, sizeof(*ca));
	mm_buf_init(&ca->der, MM_CERT_MAX);
	ca->key = key_of(t, true);
	OK(why, mm_sign_new(NULL, ca->key, &ca->sign, &why));
	OK(why, mm_key_spki(ca->key, &spki, &why));
	f.spki = mm_buf_view(&spki);
	OK(why, mm_ca_build(&f, mm_sign_alg(ca->sign), &tbs, &why));
	OK(why, mm_sign_bytes(ca->sign, mm_buf_view(&tbs), &sig, &why));
	mm_cert_join(&ca->der, mm_buf_view(&tbs), mm_sign_alg(ca->sign),
	    mm_buf_view(&sig));
	OK(why, mm_issuer_make(&ca->issuer, &conf, "http://pki.example.com/",
	    mm_buf_view(&ca->der), &why));
	mm_buf_done(&spki);
	mm_buf_done(&tbs);
	mm_buf_done(&sig);
}

/* see fixture.h */
void
ca_init(struct ca *ca, enum mm_key_type t)
{
	init(ca, t, 0);
}

/* see fixture.h */
void
ca_init_root(struct ca *ca, enum mm_key_type t)
{
	init(ca, t, -1);
}

/* see fixture.h */
void
ca_done(struct ca *ca)
{
	mm_sign_free(&ca->sign);
	mm_pkey_free(&ca->key);
	mm_buf_done(&ca->der);
}

/* see fixture.h */
void
issued_init(struct issued *d, enum mm_key_type t, const char *device)
{
	struct mm_why why = { 0 };

	memset(d, 0, sizeof(*d));
	mm_buf_init(&d->request, MM_CSR_MAX);
	mm_buf_init(&d->tbs, MM_CERT_MAX);
	mm_buf_init(&d->cert, MM_CERT_MAX);
	d->key = key_of(t, false);
	OK(why, mm_csr_make(d->key, device, &d->request, &why));
	OK(why, mm_csr_walk(mm_buf_view(&d->request), &d->csr, &why));
}

/* see fixture.h */
void
issued_fields(struct issued *d, const struct mm_profile *p,
    const struct ca *ca, const char *device)
{
	static const uint8_t random[10] = "0123456789";

	mm_serial_make(NOW * 1000, random, d->fields.serial);
	mm_cert_validity(p, &ca->issuer, NOW, 12345, 0,
	    &d->fields.not_before_s, &d->fields.not_after_s);
	d->fields.device = device;
	d->fields.product = "thermo";
	d->fields.spki = d->csr.spki;
}

/* see fixture.h */
void
issued_build(struct issued *d, const struct mm_profile *p,
    const struct ca *ca)
{
	struct mm_why why = { 0 };

	mm_buf_reset(&d->tbs);
	OK(why, mm_cert_build(p, &ca->issuer, &d->fields,
	    mm_sign_alg(ca->sign), &d->tbs, &why));
	OK(why, mm_lint_tbs(mm_buf_view(&d->tbs), p, &ca->issuer, &d->fields,
	    &why));
}

/* see fixture.h */
void
issued_sign(struct issued *d, const struct ca *ca)
{
	struct mm_buf sig = MM_BUF_INIT(1024);
	struct mm_why why = { 0 };

	OK(why, mm_sign_bytes(ca->sign, mm_buf_view(&d->tbs), &sig, &why));
	mm_buf_reset(&d->cert);
	mm_cert_join(&d->cert, mm_buf_view(&d->tbs), mm_sign_alg(ca->sign),
	    mm_buf_view(&sig));
	OK(why, mm_buf_ok(&d->cert, &why));
	mm_buf_done(&sig);
}

/* see fixture.h */
void
issued_done(struct issued *d)
{
	mm_pkey_free(&d->key);
	mm_buf_done(&d->request);
	mm_buf_done(&d->tbs);
	mm_buf_done(&d->cert);
}
