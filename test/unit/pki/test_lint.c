#include "fixture.h"

#include "base/time.h"
#include "pki/der.h"

/*
 * Each row breaks one thing: the certificate is built from a changed profile,
 * issuer or field, or its bytes are changed, and then linted against what it
 * should have been.  Lint must catch every one, and none without a change.
 */
struct bench {
	struct mm_profile p;
	struct mm_issuer i;
	struct issued d;
	struct mm_cert_fields f;
	const struct ca *ca;
};

/* Replaces bytes in the TBS; both the same length; must be there. */
static void
swap(struct bench *b, struct mm_bytes from, struct mm_bytes to)
{
	uint8_t *at = memmem(b->d.tbs.p, b->d.tbs.n, from.p, from.n);

	assert_int_equal(from.n, to.n);
	assert_non_null(at);
	memcpy(at, to.p, to.n);
}

#define SWAP(b, from, to)                                             \
	swap(b, (struct mm_bytes){ (const uint8_t *)(from),           \
	    sizeof(from) - 1 }, (struct mm_bytes){                    \
	    (const uint8_t *)(to), sizeof(to) - 1 })

/* Before the build. */
static void no_serial(struct bench *b) { b->f.serial[0] = 0; }
static void other_serial(struct bench *b) { b->f.serial[15] ^= 1; }
static void negative(struct bench *b) { b->f.serial[0] = 0x80; }
static void early(struct bench *b) { b->f.not_before_s = NOW - 2 * DAY; }
static void late(struct bench *b) { b->f.not_after_s = NOW + 3651 * DAY; }
static void longer(struct bench *b) { b->f.not_after_s = NOW + 366 * DAY; }
static void reversed(struct bench *b) { b->f.not_after_s = NOW - DAY / 2; }
static void later(struct bench *b) { b->f.not_before_s += 1; }
static void other_device(struct bench *b) { b->f.device = "SN-2"; }
static void no_o(struct bench *b) { LIST(&b->p.subject, "CN={device}"); }

static void
more_subject(struct bench *b)
{
	LIST(&b->p.subject, "O=Acme", "CN={device}", "serialNumber={device}",
	    "OU=x");
}

static void
order(struct bench *b)
{
	LIST(&b->p.subject, "CN={device}", "O=Acme", "serialNumber={device}");
}

static void no_eku(struct bench *b) { b->p.eku.n = 0; }
static void server(struct bench *b) { LIST(&b->p.eku, "serverAuth"); }

static void
both_ekus(struct bench *b)
{
	LIST(&b->p.eku, "clientAuth", "serverAuth");
}

static void no_basic(struct bench *b) { b->p.basic_constraints = false; }
static void no_cdp(struct bench *b) { b->p.crl_dp = false; }
static void no_aia(struct bench *b) { b->p.aia = false; }

static void
agree(struct bench *b)
{
	LIST(&b->p.key_usage, "digitalSignature", "keyAgreement");
}

static void
repudiate(struct bench *b)
{
	LIST(&b->p.key_usage, "nonRepudiation");
}

static void other_san(struct bench *b) { LIST(&b->p.san, "DNS:evil.example"); }
static void no_san(struct bench *b) { b->p.san.n = 0; }

static void
other_scheme(struct bench *b)
{
	LIST(&b->p.san, "DNS:{device}.dev.example", "DNS:urn.example");
}

static void hw(struct bench *b) { strcpy(b->p.hw_type_oid, "1.2.3"); }
static void policy(struct bench *b) { LIST(&b->p.policies, "1.2.3.4"); }

static void
raw(struct bench *b)
{
	LIST(&b->p.extensions, "1.2.3.4:critical:0500");
}

/* An administrator's, for breaking the glass. */
static void
recovery(struct bench *b)
{
	b->p.eku.n = 0;
	LIST(&b->p.extensions, "2.5.29.37:critical:301606146981c8e9ec9883b5"
	    "9a8ef381dbf4f7e2efeec05b");
}

/* Who signs other devices' configurations. */
static void
configurer(struct bench *b)
{
	b->p.eku.n = 0;
	LIST(&b->p.extensions, "2.5.29.37:critical:301606146981a6c7fdadb6e1"
	    "caaddd98eacee98bdfa3810f");
}

static void shard(struct bench *b) { b->i.shards = 1; }
static void crl_url(struct bench *b) { b->i.crl_url[0] = 'x'; }
static void aia_url(struct bench *b) { b->i.aia_url[0] = 'x'; }
static void key_id(struct bench *b) { b->i.key_id[0] ^= 1; }

static void
other_issuer(struct bench *b)
{
	b->i.subject = b->d.csr.subject;
}

/* After the build. */
static void
version(struct bench *b)
{
	SWAP(b, "\xa0\x03\x02\x01\x02", "\xa0\x03\x02\x01\x01");
}

static void
algorithm(struct bench *b)
{
	SWAP(b, "\x2a\x86\x48\xce\x3d\x04\x03\x02",
	    "\x2a\x86\x48\xce\x3d\x04\x03\x01");
}

static void
key_bit(struct bench *b)
{
	uint8_t *at = memmem(b->d.tbs.p, b->d.tbs.n, b->f.spki.key.p + 1, 64);

	assert_non_null(at);
	at[40] ^= 1;
}

static void
ca_true(struct bench *b)
{
	/* the same length: the critical flag's bytes become cA's */
	SWAP(b, "\x06\x03\x55\x1d\x13\x01\x01\xff\x04\x02\x30\x00",
	    "\x06\x03\x55\x1d\x13\x04\x05\x30\x03\x01\x01\xff");
}

static void
usage_padded(struct bench *b)
{
	SWAP(b, "\x03\x02\x07\x80", "\x03\x02\x06\x80");
}

static void
usage_cert_sign(struct bench *b)
{
	SWAP(b, "\x03\x02\x07\x80", "\x03\x02\x02\x84");
}

static void
usage_not_critical(struct bench *b)
{
	SWAP(b, "\x55\x1d\x0f\x01\x01\xff", "\x55\x1d\x0f\x01\x01\x00");
}

static void
twice(struct bench *b)
{
	SWAP(b, "\x06\x03\x55\x1d\x25", "\x06\x03\x55\x1d\x11");
}

static void
subject_key(struct bench *b)
{
	uint8_t *at = memmem(b->d.tbs.p, b->d.tbs.n, "\x55\x1d\x0e\x04\x16", 5);

	assert_non_null(at);
	at[10] ^= 1;
}

static void
utf8_broken(struct bench *b)
{
	SWAP(b, "Acme", "Ac\xc3m");
}

static void
not_printable(struct bench *b)
{
	SWAP(b, "\x13\x04SN-1", "\x13\x04SN*1");
}

static void
string_type(struct bench *b)
{
	SWAP(b, "\x0c\x04SN-1", "\x16\x04SN-1");
}

static void
dns_syntax(struct bench *b)
{
	SWAP(b, "SN-1.dev.example", "SN-1..ev.example");
}

static void
year_2050(struct bench *b)
{
	/* a UTCTime that says another century's year */
	SWAP(b, "\x17\x0d" "2711", "\x17\x0d" "4911");
}

static const struct {
	const char *what;
	void (*before)(struct bench *b), (*after)(struct bench *b);
} rows[] = {
	{ "nothing", NULL, NULL },
	{ "serial begins with zero", no_serial, NULL },
	{ "another serial", other_serial, NULL },
	{ "negative serial", negative, NULL },
	{ "before the issuer", early, NULL },
	{ "after the issuer", late, NULL },
	{ "longer than the profile", longer, NULL },
	{ "ends before it begins", reversed, NULL },
	{ "another notBefore", later, NULL },
	{ "another device", other_device, NULL },
	{ "subject short of O", no_o, NULL },
	{ "subject with OU", more_subject, NULL },
	{ "subject in another order", order, NULL },
	{ "no extended key usage", no_eku, NULL },
	{ "another extended key usage", server, NULL },
	{ "one purpose too many", both_ekus, NULL },
	{ "a recovery's purpose", recovery, NULL },
	{ "a recovery's purpose, and in the profile", recovery, recovery },
	{ "a configuration signer's purpose", configurer, NULL },
	{ "that purpose, and in the profile", configurer, configurer },
	{ "no basic constraints", no_basic, NULL },
	{ "no distribution point", no_cdp, NULL },
	{ "no authority information", no_aia, NULL },
	{ "key agreement", agree, NULL },
	{ "another key usage", repudiate, NULL },
	{ "another alternative name", other_san, NULL },
	{ "no alternative name", no_san, NULL },
	{ "another kind of name", other_scheme, NULL },
	{ "a hardware module name", hw, NULL },
	{ "a policy", policy, NULL },
	{ "a further extension", raw, NULL },
	{ "another shard", shard, NULL },
	{ "another CRL address", crl_url, NULL },
	{ "another issuer address", aia_url, NULL },
	{ "another authority key id", key_id, NULL },
	{ "another issuer", other_issuer, NULL },
	{ "version 2", NULL, version },
	{ "SHA-1", NULL, algorithm },
	{ "another key", NULL, key_bit },
	{ "a CA", NULL, ca_true },
	{ "key usage with a zero bit behind", NULL, usage_padded },
	{ "may sign certificates", NULL, usage_cert_sign },
	{ "critical FALSE written out", NULL, usage_not_critical },
	{ "an extension twice", NULL, twice },
	{ "another subject key id", NULL, subject_key },
	{ "broken UTF-8", NULL, utf8_broken },
	{ "unprintable serialNumber", NULL, not_printable },
	{ "CN as IA5String", NULL, string_type },
	{ "empty DNS label", NULL, dns_syntax },
	{ "another notAfter", NULL, year_2050 },
};

static void
run(const struct bench *good, size_t row)
{
	struct bench b = *good;
	struct mm_why why = { 0 };
	enum mm_err rc;

	mm_buf_init(&b.d.tbs, MM_CERT_MAX);
	if (rows[row].before != NULL)
		rows[row].before(&b);
	OK(why, mm_cert_build(&b.p, &b.i, &b.f, mm_sign_alg(b.ca->sign),
	    &b.d.tbs, &why));
	if (rows[row].after != NULL)
		rows[row].after(&b);
	rc = mm_lint_tbs(mm_buf_view(&b.d.tbs), &good->p, &good->i, &good->f,
	    &why);
	ROW(rows[row].what, rc == (row == 0 ? MM_OK : MM_EBUG));
	ROW(rows[row].what, row == 0 || strncmp(why.text, "lint: ", 6) == 0);
	mm_buf_done(&b.d.tbs);
}

static void
good_bench(struct bench *b, struct ca *ca)
{
	memset(b, 0, sizeof(*b));
	ca_init(ca, MM_KEY_P256);
	profile_init(&b->p);
	LIST(&b->p.key_usage, "digitalSignature");
	LIST(&b->p.san, "DNS:{device}.dev.example", "URI:urn:dev:{device}");
	issued_init(&b->d, MM_KEY_P256, "SN-1");
	issued_fields(&b->d, &b->p, ca, "SN-1");
	b->i = ca->issuer;
	b->f = b->d.fields;
	b->ca = ca;
}

static void
catches_every_change(void **state)
{
	struct bench good;
	struct ca ca;

	(void)state;
	good_bench(&good, &ca);
	for (size_t i = 0; i < ROWS(rows); i++)
		run(&good, i);
	issued_done(&good.d);
	ca_done(&ca);
}

/* Any bit of the TBS: a change that lint does not see must not exist. */
static void
catches_every_bit(void **state)
{
	struct bench good;
	struct ca ca;
	unsigned missed = 0;

	(void)state;
	good_bench(&good, &ca);
	issued_build(&good.d, &good.p, &ca);
	for (size_t i = 0; i < good.d.tbs.n * 8; i++) {
		good.d.tbs.p[i / 8] ^= (uint8_t)(1U << (i % 8));
		if (mm_lint_tbs(mm_buf_view(&good.d.tbs), &good.p, &good.i,
		    &good.f, NULL) == MM_OK) {
			print_message("bit %zu of byte %zu\n", i % 8, i / 8);
			missed++;
		}
		good.d.tbs.p[i / 8] ^= (uint8_t)(1U << (i % 8));
	}
	assert_int_equal(missed, 0);
	issued_done(&good.d);
	ca_done(&ca);
}

/* Self-signed with nameConstraints in place of what follows the key. */
static void
constrained(struct mm_buf *out, const struct ca *ca, const char *dns,
    bool excluded)
{
	struct mm_cert c;
	size_t whole, tbs, wrap, seq, e, value, nc, list, tree;

	assert_int_equal(mm_cert_walk(mm_buf_view(&ca->der), &c, NULL), MM_OK);
	whole = mm_der_open(out, MM_DER_SEQ);
	tbs = mm_der_open(out, MM_DER_SEQ);
	mm_buf_put(out, "\xa0\x03\x02\x01\x02\x02\x01\x01", 8);
	mm_buf_bytes(out, c.alg);
	mm_buf_bytes(out, c.issuer);
	wrap = mm_der_open(out, MM_DER_SEQ);
	mm_der_put_time(out, c.not_before_s);
	mm_der_put_time(out, c.not_after_s);
	mm_der_close(out, wrap);
	mm_buf_bytes(out, c.subject);
	mm_buf_bytes(out, c.spki.whole);
	wrap = mm_der_open(out, MM_DER_CTXC(3));
	seq = mm_der_open(out, MM_DER_SEQ);
	mm_buf_bytes(out, c.extensions);
	e = mm_der_open(out, MM_DER_SEQ);
	mm_der_put_oid(out, "2.5.29.30");
	value = mm_der_open(out, MM_DER_OCTETS);
	nc = mm_der_open(out, MM_DER_SEQ);
	list = mm_der_open(out, MM_DER_CTXC(excluded ? 1 : 0));
	tree = mm_der_open(out, MM_DER_SEQ);
	mm_der_put(out, MM_DER_CTX(2), mm_bytes_of(dns));
	mm_der_close(out, tree);
	mm_der_close(out, list);
	mm_der_close(out, nc);
	mm_der_close(out, value);
	mm_der_close(out, e);
	mm_der_close(out, seq);
	mm_der_close(out, wrap);
	mm_der_close(out, tbs);
	mm_buf_bytes(out, c.alg);
	mm_der_put_bits(out, c.signature, 0);
	mm_der_close(out, whole);
}

/* RFC 5280 4.2.1.10 */
static void
keeps_name_constraints(void **state)
{
	static const struct {
		const char *dns;
		bool excluded;
		enum mm_err want;
	} cases[] = {
		{ "dev.example", false, MM_OK },
		{ "DEV.Example", false, MM_OK },
		{ "example", false, MM_OK },
		{ "sn-1.dev.example", false, MM_OK },
		{ "ev.example", false, MM_EBUG },
		{ "other.example", false, MM_EBUG },
		{ "other.example", true, MM_OK },
		{ "dev.example", true, MM_EBUG },
	};
	struct bench b;
	struct ca ca;

	(void)state;
	good_bench(&b, &ca);
	LIST(&b.p.san, "DNS:{device}.dev.example");
	issued_build(&b.d, &b.p, &ca);
	for (size_t i = 0; i < ROWS(cases); i++) {
		struct mm_buf der = MM_BUF_INIT(8192);
		struct mm_cert c;

		constrained(&der, &ca, cases[i].dns, cases[i].excluded);
		assert_int_equal(mm_cert_walk(mm_buf_view(&der), &c, NULL),
		    MM_OK);
		b.i.der = mm_buf_view(&der);
		ROW(cases[i].dns, mm_lint_tbs(mm_buf_view(&b.d.tbs), &b.p, &b.i,
		    &b.f, NULL) == cases[i].want);
		mm_buf_done(&der);
	}
	issued_done(&b.d);
	ca_done(&ca);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(catches_every_change),
		cmocka_unit_test(catches_every_bit),
		cmocka_unit_test(keeps_name_constraints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
