#include "fixture.h"

#include "../../fuzz/pki/agree.h"
#include "base/text.h"
#include "base/time.h"

/* Every type of issuer by every type of key, re-read by libcrypto. */
static void
libcrypto_reads_what_we_build(void **state)
{
	static const enum mm_key_type issuers[] = { MM_KEY_P256, MM_KEY_P384,
		MM_KEY_ED25519, MM_KEY_RSA2048 };
	struct mm_profile p;

	(void)state;
	profile_init(&p);
	for (size_t i = 0; i < ROWS(issuers); i++) {
		struct ca ca;

		ca_init(&ca, issuers[i]);
		for (unsigned k = 0; k < MM_KEY_TYPES; k++) {
			struct issued d;
			struct mm_cert c;
			struct mm_why why = { 0 };
			bool accepted;

			issued_init(&d, (enum mm_key_type)k, "SN-1");
			issued_fields(&d, &p, &ca, "SN-1");
			issued_build(&d, &p, &ca);
			issued_sign(&d, &ca);
			OK(why, mm_cert_walk(mm_buf_view(&d.cert), &c, &why));
			OK(why, mm_cert_verify(&c, ca.key, &why));
			assert_int_equal(c.spki.type, k);
			assert_null(agree_cert(mm_buf_view(&d.cert),
			    &accepted));
			assert_true(accepted);
			issued_done(&d);
		}
		ca_done(&ca);
	}
}

static void
agrees_with_libcrypto_on_damage(void **state)
{
	static const uint8_t flips[] = { 0x01, 0x80, 0xff };
	struct ca ca;
	struct mm_buf *b = &ca.der;
	unsigned taken = 0;

	(void)state;
	ca_init(&ca, MM_KEY_P256);
	for (size_t i = 0; i < b->n; i++)
		for (size_t k = 0; k < ROWS(flips); k++) {
			const char *what;
			bool accepted;

			b->p[i] ^= flips[k];
			what = agree_cert(mm_buf_view(b), &accepted);
			b->p[i] ^= flips[k];
			if (what != NULL)
				fail_msg("byte %zu: %s", i, what);
			taken += accepted;
		}
	assert_true(taken > 100);
	for (size_t n = 0; n < b->n; n++) {
		bool accepted;

		assert_null(agree_cert((struct mm_bytes){ b->p, n },
		    &accepted));
		assert_false(accepted);
	}
	ca_done(&ca);
}

static void
shows_names(void **state)
{
	struct ca ca;
	struct mm_buf text = MM_BUF_INIT(1024);
	char cn[65], tiny[4];

	(void)state;
	ca_init(&ca, MM_KEY_P256);
	mm_name_text(ca.issuer.subject, &text);
	assert_string_equal(mm_buf_cstr(&text), "O=Acme,CN=Acme LDevID issuer");
	assert_true(mm_name_attribute(ca.issuer.subject, "2.5.4.3", cn,
	    sizeof(cn)));
	assert_string_equal(cn, "Acme LDevID issuer");
	assert_false(mm_name_attribute(ca.issuer.subject, "2.5.4.5", cn,
	    sizeof(cn)));
	assert_string_equal(cn, "");
	assert_false(mm_name_attribute(ca.issuer.subject, "2.5.4.3", tiny,
	    sizeof(tiny)));
	mm_buf_done(&text);
	ca_done(&ca);
}

/* RFC 5280 4.1.2.2, as people write them. */
static void
reads_serial_numbers(void **state)
{
	static const struct {
		const char *text;
		size_t n; /* 0: it is none */
		uint8_t first;
	} rows[] = {
		{ "1", 1, 1 }, { "01", 1, 1 }, { "0001", 1, 1 },
		{ "8f", 1, 0x8f }, { "008F", 1, 0x8f }, { "abc", 2, 0x0a },
		{ "0123456789abcdef0123456789abcdef", 16, 0x01 },
		{ "ffffffffffffffffffffffffffffffffffffffff", 20, 0xff },
		{ "00ffffffffffffffffffffffffffffffffffffffff", 20, 0xff },
		{ "1ffffffffffffffffffffffffffffffffffffffff", 0, 0 },
		{ "", 0, 0 }, { "0", 1, 0 }, { "0000", 1, 0 }, { "x", 0, 0 },
		{ "1 ", 0, 0 }, { "0x1", 0, 0 }, { "-1", 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_any_serial s = { .n = 0 };
		enum mm_err rc = mm_any_serial_parse(mm_bytes_of(
		    rows[i].text), &s, NULL);

		print_message("\"%s\"\n", rows[i].text);
		assert_int_equal(rc, rows[i].n > 0 ? MM_OK : MM_EINPUT);
		assert_int_equal(s.n, rows[i].n);
		assert_int_equal(s.p[0], rows[i].first);
	}
}

/* One kind of certificate is a recovered administrator's. */
static void
tells_recoveries(void **state)
{
	static const struct mm_conf_list subject = { 1, { "CN=x" } };
	static const struct {
		const char *what;
		bool ca, recovery, want;
	} rows[] = {
		{ "CA", true, false, false },
		{ "TLS server", false, false, false },
		{ "recovery", false, true, true },
	};
	struct ca ca;

	(void)state;
	ca_init(&ca, MM_KEY_P256);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_buf spki = MM_BUF_INIT(4096);
		struct mm_buf tbs = MM_BUF_INIT(8192);
		struct mm_buf der = MM_BUF_INIT(8192);
		struct mm_ca_fields f = { .serial = { 1 }, .path_len = 0,
			.not_before_s = 1, .not_after_s = 2,
			.subject = &subject, .ca = rows[i].ca,
			.recovery = rows[i].recovery };
		struct mm_cert c;

		assert_int_equal(mm_key_spki(ca.key, &spki, NULL), MM_OK);
		f.spki = mm_buf_view(&spki);
		assert_int_equal(mm_ca_build(&f, mm_sign_alg(ca.sign), &tbs,
		    NULL), MM_OK);
		mm_cert_join(&der, mm_buf_view(&tbs), mm_sign_alg(ca.sign),
		    mm_bytes_of("x"));
		assert_int_equal(mm_cert_walk(mm_buf_view(&der), &c, NULL),
		    MM_OK);
		ROW(rows[i].what, mm_cert_recovers(&c) == rows[i].want);
		ROW(rows[i].what, mm_cert_names_recovery(&c) ==
		    rows[i].want);
		mm_buf_done(&spki);
		mm_buf_done(&tbs);
		mm_buf_done(&der);
	}
	ca_done(&ca);
}

static void
draws_serials(void **state)
{
	static const struct {
		int64_t now_ms;
		const char *want;
	} rows[] = {
		{ 1795392000000, "01a205b3d00030313233343536373839" },
		{ 0, "01000000000030313233343536373839" },
		{ INT64_C(0x8123456789ab), "0123456789ab30313233343536373839" },
	};
	uint8_t serial[MM_SERIAL_N];
	char hex[2 * MM_SERIAL_N + 1];

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		mm_serial_make(rows[i].now_ms, (const uint8_t *)"0123456789",
		    serial);
		mm_hex_text(serial, sizeof(serial), hex);
		ROW(rows[i].want, strcmp(hex, rows[i].want) == 0);
	}
}

static void
bounds_validity(void **state)
{
	static const struct {
		const char *what;
		int64_t lifetime, backdate, jitter, wish, ca_from, ca_to;
		uint16_t random;
		int64_t from, to; /* against NOW */
	} rows[] = {
		{ "plain", 100 * DAY, 3600, 0, 0, -DAY, 1000 * DAY, 99,
		    -3600, 100 * DAY },
		{ "jitter is earlier only", 100 * DAY, 0, 5, 0, -DAY,
		    1000 * DAY, 0, 0, 100 * DAY },
		{ "half of the jitter", 100 * DAY, 0, 10, 0, -DAY, 1000 * DAY,
		    32768, 0, 95 * DAY },
		{ "wish", 100 * DAY, 0, 0, DAY, -DAY, 1000 * DAY, 0, 0, DAY },
		{ "wish for more", 100 * DAY, 0, 0, 200 * DAY, -DAY,
		    1000 * DAY, 0, 0, 100 * DAY },
		{ "the issuer's end", 100 * DAY, 0, 0, 0, -DAY, 50 * DAY, 0,
		    0, 50 * DAY },
		{ "the issuer's beginning", 100 * DAY, 3600, 0, 0, -60,
		    1000 * DAY, 0, -60, 100 * DAY },
		{ "for ever", 0, 0, 5, 0, -DAY, MM_TIME_FOREVER_S - NOW,
		    65535, 0, MM_TIME_FOREVER_S - NOW },
		{ "for ever under one that is not", 0, 0, 5, 0, -DAY,
		    1000 * DAY, 65535, 0, 1000 * DAY },
		{ "for ever with a wish", 0, 0, 5, DAY, -DAY,
		    MM_TIME_FOREVER_S - NOW, 65535, 0, DAY },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_profile p = { .lifetime_s = rows[i].lifetime,
			.backdate_s = rows[i].backdate,
			.jitter_percent = rows[i].jitter };
		struct mm_issuer issuer = {
			.not_before_s = NOW + rows[i].ca_from,
			.not_after_s = NOW + rows[i].ca_to };
		int64_t from, to;

		mm_cert_validity(&p, &issuer, NOW, rows[i].random,
		    rows[i].wish, &from, &to);
		ROW(rows[i].what, from == NOW + rows[i].from);
		ROW(rows[i].what, to == NOW + rows[i].to);
	}
}

/* The builder says no where a name cannot be made. */
static void
refuses_what_does_not_fit(void **state)
{
	static const struct {
		const char *what, *subject, *san, *usage;
		enum mm_err want;
	} rows[] = {
		{ "as it should be", "CN={device}", "DNS:{device}.example",
		    "digitalSignature", MM_OK },
		{ "CN of 65 characters", "CN={device}0123456789012345678901"
		  "2345678901234567890123456789012345", "URI:urn:x",
		    "digitalSignature", MM_EPOLICY },
		{ "CN of 64 characters", "CN={device}0123456789012345678901"
		  "234567890123456789012345678901234", "URI:urn:x",
		    "digitalSignature", MM_OK },
		{ "unknown brace", "CN={serial}", "URI:urn:x",
		    "digitalSignature", MM_EPOLICY },
		{ "no usage left for EC", "CN={device}", "URI:urn:x",
		    "keyEncipherment", MM_EPOLICY },
	};
	struct mm_profile p;
	struct issued d;
	struct ca ca;

	(void)state;
	ca_init(&ca, MM_KEY_P256);
	profile_init(&p);
	issued_init(&d, MM_KEY_P256, "SN-000123");
	issued_fields(&d, &p, &ca, "SN-000123");
	for (size_t i = 0; i < ROWS(rows); i++) {
		LIST(&p.subject, rows[i].subject);
		LIST(&p.san, rows[i].san);
		LIST(&p.key_usage, rows[i].usage);
		mm_buf_reset(&d.tbs);
		ROW(rows[i].what, mm_cert_build(&p, &ca.issuer, &d.fields,
		    mm_sign_alg(ca.sign), &d.tbs, NULL) == rows[i].want);
	}
	issued_done(&d);
	ca_done(&ca);
}

static void
refuses_issuers_that_are_none(void **state)
{
	static const struct mm_issuer_conf conf = { .name = "x",
		.crl_shards = 1 };
	struct mm_profile p;
	struct mm_issuer out;
	struct issued d;
	struct ca ca;

	(void)state;
	ca_init(&ca, MM_KEY_P256);
	profile_init(&p);
	issued_init(&d, MM_KEY_P256, "SN-1");
	issued_fields(&d, &p, &ca, "SN-1");
	issued_build(&d, &p, &ca);
	issued_sign(&d, &ca);
	assert_int_equal(mm_issuer_make(&out, &conf, "", mm_buf_view(&d.cert),
	    NULL), MM_EINPUT);
	assert_int_equal(mm_issuer_make(&out, &conf, "",
	    mm_buf_view(&ca.der), NULL), MM_OK);
	assert_string_equal(out.crl_url, "");
	issued_done(&d);
	ca_done(&ca);
}

static void
walks_pkcs7(void **state)
{
	struct ca a, b;
	struct mm_bytes in[2], out[2];
	struct mm_buf p7 = MM_BUF_INIT(65536);
	struct mm_why why = { 0 };
	size_t n;

	(void)state;
	ca_init(&a, MM_KEY_P256);
	ca_init(&b, MM_KEY_ED25519);
	in[0] = mm_buf_view(&a.der);
	in[1] = mm_buf_view(&b.der);
	mm_pkcs7_certs(&p7, in, 2);
	OK(why, mm_pkcs7_walk(mm_buf_view(&p7), out, 2, &n, &why));
	assert_int_equal(n, 2);
	assert_true(mm_bytes_eq(in[0], out[0]));
	assert_true(mm_bytes_eq(in[1], out[1]));
	assert_int_equal(mm_pkcs7_walk(mm_buf_view(&p7), out, 1, &n, NULL),
	    MM_ELIMIT);
	for (size_t i = 0; i < p7.n; i++)
		assert_int_equal(mm_pkcs7_walk((struct mm_bytes){ p7.p, i },
		    out, 2, &n, NULL), MM_EINPUT);
	mm_buf_done(&p7);
	ca_done(&a);
	ca_done(&b);
}

/* X.690 8.1.3: what is around certificates may be BER, and these not. */
static void
walks_ber_pkcs7(void **state)
{
	static const uint8_t head[] = { 0x30, 0x80, 0x06, 0x09, 0x2a, 0x86,
		0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02, 0xa0, 0x80, 0x30,
		0x80, 0x02, 0x01, 0x01, 0x31, 0x00, 0x30, 0x80, 0x06, 0x09,
		0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01, 0xa0,
		0x80, 0x24, 0x80, 0x04, 0x84, 0x00, 0x00, 0x00, 0x01, 0x61,
		0, 0, 0, 0, 0, 0, 0xa0, 0x80 };
	static const uint8_t tail[] = { 0, 0, 0x31, 0x80, 0, 0, 0, 0, 0, 0, 0,
		0 };
	static const struct {
		size_t at;
		uint8_t value;
	} bad[] = {
		{ 0, 0x31 }, { 1, 0x85 }, { 1, 0x7f }, { 13, 0xa1 },
		{ 15, 0x04 }, { 19, 9 }, { 37, 0x04 }, { 40, 0x85 },
		{ 41, 0xff }, { 47, 1 }, { 22, 0x3f },
	};
	struct mm_buf p7 = MM_BUF_INIT(65536);
	struct mm_why why = { 0 };
	struct mm_bytes out[2];
	struct ca a;
	size_t n;

	(void)state;
	ca_init(&a, MM_KEY_P256);
	mm_buf_put(&p7, head, sizeof(head));
	mm_buf_bytes(&p7, mm_buf_view(&a.der));
	mm_buf_put(&p7, tail, sizeof(tail));
	OK(why, mm_pkcs7_walk(mm_buf_view(&p7), out, 2, &n, &why));
	assert_int_equal(n, 1);
	assert_true(mm_bytes_eq(mm_buf_view(&a.der), out[0]));
	for (size_t i = 0; i < p7.n; i++)
		assert_int_equal(mm_pkcs7_walk((struct mm_bytes){ p7.p, i },
		    out, 2, &n, NULL), MM_EINPUT);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const uint8_t was = p7.p[bad[i].at];

		p7.p[bad[i].at] = bad[i].value;
		assert_int_equal(mm_pkcs7_walk(mm_buf_view(&p7), out, 2, &n,
		    NULL), MM_EINPUT);
		p7.p[bad[i].at] = was;
	}
	/* a certificate of no certain length is none */
	p7.p[sizeof(head) + 1] = 0x80;
	assert_int_equal(mm_pkcs7_walk(mm_buf_view(&p7), out, 2, &n, NULL),
	    MM_EINPUT);
	mm_buf_done(&p7);
	ca_done(&a);
}

static void
names_reasons(void **state)
{
	unsigned reason;

	(void)state;
	for (unsigned i = 0; i <= 11; i++) {
		const char *name = mm_reason_name(i);
		bool known = i != 7 && i != 11;

		assert_int_equal(mm_reason_parse(name, &reason, NULL),
		    known ? MM_OK : MM_EINPUT);
		assert_true(!known || reason == i);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(libcrypto_reads_what_we_build),
		cmocka_unit_test(agrees_with_libcrypto_on_damage),
		cmocka_unit_test(shows_names),
		cmocka_unit_test(reads_serial_numbers),
		cmocka_unit_test(tells_recoveries),
		cmocka_unit_test(draws_serials),
		cmocka_unit_test(bounds_validity),
		cmocka_unit_test(refuses_what_does_not_fit),
		cmocka_unit_test(refuses_issuers_that_are_none),
		cmocka_unit_test(walks_pkcs7),
		cmocka_unit_test(walks_ber_pkcs7),
		cmocka_unit_test(names_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
