#include "fixture.h"

#include "pki/confdoc.h"

/* A device's configuration: its text, and who may sign it. */

#define SHA                                                            \
	"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define HEAD "mintmark-configuration 1\n"
#define SALT "00112233445566778899aabbccddeeff"
#define TEXT(device, sha, version, document)                          \
	HEAD "device " device "\ncertificate " sha "\nversion " version \
	    "\nsalt " SALT "\n\n" document
#define GOOD TEXT("SN-1", SHA, "7", "{\"a\":1}")

static void
parses(void **state)
{
	static const struct {
		const char *what, *text;
		enum mm_err want;
	} rows[] = {
		{ "good", GOOD, MM_OK },
		{ "no document", TEXT("SN-1", SHA, "7", ""), MM_OK },
		{ "the largest", TEXT("SN-1", SHA, "2147483647", "{}"), MM_OK },
		{ "nothing", "", MM_EINPUT },
		{ "another form", "mintmark-configuration 2\n", MM_EINPUT },
		{ "more in its line", "mintmark-configuration 11\n",
		    MM_EINPUT },
		{ "no device", TEXT("", SHA, "7", "{}"), MM_EINPUT },
		{ "a device of two words", TEXT("S 1", SHA, "7", "{}"),
		    MM_EINPUT },
		{ "a short hash", TEXT("SN-1", "00", "7", "{}"), MM_EINPUT },
		{ "a hash in capitals", TEXT("SN-1",
		    "00112233445566778899AABBCCDDEEFF"
		    "00112233445566778899AABBCCDDEEFF", "7", "{}"),
		    MM_EINPUT },
		{ "version 0", TEXT("SN-1", SHA, "0", "{}"), MM_EINPUT },
		{ "version 07", TEXT("SN-1", SHA, "07", "{}"), MM_EINPUT },
		{ "version +7", TEXT("SN-1", SHA, "+7", "{}"), MM_EINPUT },
		{ "version -7", TEXT("SN-1", SHA, "-7", "{}"), MM_EINPUT },
		{ "too large", TEXT("SN-1", SHA, "2147483648", "{}"),
		    MM_EINPUT },
		{ "no version", HEAD "device SN-1\ncertificate " SHA 
		    "\nsalt " SALT "\n\n{}", MM_EINPUT },
		{ "no salt", HEAD "device SN-1\ncertificate " SHA
		    "\nversion 7\n\n{}", MM_EINPUT },
		{ "half a salt", HEAD "device SN-1\ncertificate " SHA
		    "\nversion 7\nsalt 0011223344556677\n\n{}", MM_EINPUT },
		{ "a salt in capitals", HEAD "device SN-1\ncertificate " SHA
		    "\nversion 7\nsalt 00112233445566778899AABBCCDDEEFF"
		    "\n\n{}", MM_EINPUT },
		{ "no empty line", HEAD "device SN-1\ncertificate " SHA
		    "\nversion 7\nsalt " SALT "\n{}", MM_EINPUT },
		{ "CR", HEAD "device SN-1\r\ncertificate " SHA
		    "\nversion 7\nsalt " SALT "\n\n{}", MM_EINPUT },
	};
	struct mm_confdoc c;

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		ROW(rows[i].what, mm_confdoc_parse(mm_bytes_of(rows[i].text),
		    &c, NULL) == rows[i].want);
	assert_int_equal(mm_confdoc_parse(mm_bytes_of(GOOD), &c, NULL), MM_OK);
	assert_string_equal(c.device, "SN-1");
	assert_int_equal(c.version, 7);
	assert_int_equal(c.salt[15], 0xff);
	assert_true(mm_bytes_eq(c.document, mm_bytes_of("{\"a\":1}")));
}

static void
is_bounded(void **state)
{
	struct mm_buf text = MM_BUF_INIT(MM_CONFDOC_MAX + 1024);
	struct mm_confdoc c;

	(void)state;
	mm_buf_text(&text, TEXT("SN-1", SHA, "7", ""));
	memset(mm_buf_room(&text, MM_CONFDOC_MAX), 'x', MM_CONFDOC_MAX);
	assert_int_equal(mm_confdoc_parse(mm_buf_view(&text), &c, NULL),
	    MM_OK);
	mm_buf_u8(&text, 'x');
	assert_int_equal(mm_confdoc_parse(mm_buf_view(&text), &c, NULL),
	    MM_ELIMIT);
	mm_buf_done(&text);
}

/* ---- who signed ---- */

struct signer {
	EVP_PKEY *key;
	struct mm_sign *sign;
	struct mm_buf der;
};

/* Certified by ca for that, or (self-made) by itself. */
static void
certify(struct signer *s, struct ca *ca, const struct mm_ca_fields *like)
{
	static const struct mm_conf_list subject = { 1, { "CN=y" } };
	struct mm_buf spki = MM_BUF_INIT(4096), tbs = MM_BUF_INIT(8192);
	struct mm_buf sig = MM_BUF_INIT(1024);
	struct mm_ca_fields f = *like;
	struct mm_cert c;

	assert_int_equal(mm_key_make(MM_KEY_P256, &s->key, NULL), MM_OK);
	assert_int_equal(mm_sign_new(NULL, s->key, &s->sign, NULL), MM_OK);
	assert_int_equal(mm_key_spki(s->key, &spki, NULL), MM_OK);
	assert_int_equal(mm_cert_walk(mm_buf_view(&ca->der), &c, NULL), MM_OK);
	f.serial[0] = 2;
	f.not_before_s = 1;
	f.not_after_s = 2; /* over: no clock is asked */
	if (f.subject == NULL)
		f.subject = &subject;
	f.spki = mm_buf_view(&spki);
	f.issuer_subject = c.subject;
	assert_int_equal(mm_ca_build(&f, mm_sign_alg(ca->sign), &tbs, NULL),
	    MM_OK);
	assert_int_equal(mm_sign_bytes(ca->sign, mm_buf_view(&tbs), &sig,
	    NULL), MM_OK);
	mm_buf_init(&s->der, 8192);
	mm_cert_join(&s->der, mm_buf_view(&tbs), mm_sign_alg(ca->sign),
	    mm_buf_view(&sig));
	mm_buf_done(&spki);
	mm_buf_done(&tbs);
	mm_buf_done(&sig);
}

static void
signer_done(struct signer *s)
{
	mm_sign_free(&s->sign);
	EVP_PKEY_free(s->key);
	mm_buf_done(&s->der);
}

static void
sign(struct signer *s, struct mm_bytes issuer, struct mm_buf *out)
{
	struct mm_buf sig = MM_BUF_INIT(1024);
	struct mm_confdoc_by by = { mm_buf_view(&s->der), issuer,
		mm_sign_alg(s->sign), { NULL, 0 } };

	assert_int_equal(mm_sign_bytes(s->sign, mm_bytes_of(GOOD), &sig,
	    NULL), MM_OK);
	by.sig = mm_buf_view(&sig);
	assert_int_equal(mm_confdoc_join(out, mm_bytes_of(GOOD), &by, NULL),
	    MM_OK);
	mm_buf_done(&sig);
}

static void
verifies_who_was_certified_for_it(void **state)
{
	static const struct {
		const char *what;
		struct mm_ca_fields how;
		bool other; /* CA */
		enum mm_err want;
	} rows[] = {
		{ "for this", { .configures = true }, false, MM_OK },
		{ "by another CA", { .configures = true }, true, MM_EPOLICY },
		{ "an OCSP responder", { .responder = true }, false,
		    MM_EPOLICY },
		{ "an administrator", { .recovery = true }, false,
		    MM_EPOLICY },
		{ "a server", { .ca = false }, false, MM_EPOLICY },
		{ "a CA below", { .ca = true }, false, MM_EPOLICY },
	};
	struct ca ca, other;

	(void)state;
	ca_init(&ca, MM_KEY_P256);
	ca_init(&other, MM_KEY_P384);
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct mm_confdoc_trust trust = {
			mm_buf_view(&ca.der), { NULL, 0 } };
		struct mm_buf out = MM_BUF_INIT(1 << 17);
		struct mm_buf text = MM_BUF_INIT(1 << 17);
		struct signer s;

		certify(&s, rows[i].other ? &other : &ca, &rows[i].how);
		sign(&s, mm_buf_view(&ca.der), &out);
		ROW(rows[i].what, mm_confdoc_verify(mm_buf_view(&out), &trust,
		    &text, NULL) == rows[i].want);
		if (rows[i].want == MM_OK)
			assert_true(mm_bytes_eq(mm_buf_view(&text),
			    mm_bytes_of(GOOD)));
		mm_buf_done(&out);
		mm_buf_done(&text);
		signer_done(&s);
	}
	ca_done(&ca);
	ca_done(&other);
}

/* A CA below root, called and bounded so. */
static void
below(struct ca *root, struct signer *s, const char *cn, const char *purpose,
    const char *more)
{
	struct mm_conf_list subject = { .n = 1 }, purposes = { .n = 0 };
	struct mm_ca_fields how = { .ca = true, .path_len = 0,
		.subject = &subject };

	snprintf(subject.item[0], MM_CONF_ITEM_MAX, "CN=%s", cn);
	if (purpose != NULL)
		snprintf(purposes.item[purposes.n++], MM_CONF_ITEM_MAX, "%s",
		    purpose);
	if (more != NULL)
		snprintf(purposes.item[purposes.n++], MM_CONF_ITEM_MAX, "%s",
		    more);
	if (purposes.n > 0)
		how.purposes = &purposes;
	certify(s, root, &how);
}

/* What stands between the anchor and who signed. */
static void
a_lines_ca_certifies_nobody(void **state)
{
#define CLIENT "1.3.6.1.5.5.7.3.2"
#define SERVER "1.3.6.1.5.5.7.3.1"
	static const struct {
		const char *what, *cn, *purpose, *more;
		enum mm_err want;
	} rows[] = {
		{ "an issuing CA", "Acme Issuing CA", NULL, NULL, MM_OK },
		{ "who signs lines'", "Acme CA of lines", NULL, NULL, MM_OK },
		{ "for anything", "Acme Issuing CA", CLIENT, "2.5.29.37.0",
		    MM_OK },
		{ "clients", "Acme Issuing CA", CLIENT, NULL, MM_EPOLICY },
		{ "both", "Acme Issuing CA", CLIENT, SERVER, MM_EPOLICY },
		{ "a line's of before", "Acme Line CA l3-b7", NULL, NULL,
		    MM_EPOLICY },
		{ "a line's, a maker so called", "A Line CA B Line CA l3",
		    NULL, NULL, MM_EPOLICY },
		{ "a maker so called", "A Line CA B Issuing CA", NULL, NULL,
		    MM_OK },
	};
	const struct mm_ca_fields how = { .configures = true };
	struct ca root;

	(void)state;
	ca_init_root(&root, MM_KEY_P256);
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct mm_confdoc_trust trust = {
			mm_buf_view(&root.der), { NULL, 0 } };
		struct mm_buf out = MM_BUF_INIT(1 << 17);
		struct mm_buf text = MM_BUF_INIT(1 << 17);
		struct signer mid = { NULL }, s = { NULL };
		struct ca as = { .der = { 0 } };

		below(&root, &mid, rows[i].cn, rows[i].purpose, rows[i].more);
		as.der = mid.der;
		as.sign = mid.sign;
		certify(&s, &as, &how);
		sign(&s, mm_buf_view(&mid.der), &out);
		ROW(rows[i].what, mm_confdoc_verify(mm_buf_view(&out), &trust,
		    &text, NULL) == rows[i].want);
		mm_buf_done(&out);
		mm_buf_done(&text);
		signer_done(&s);
		signer_done(&mid);
	}
	ca_done(&root);
}

/* Each byte changed: refused, or (of what says nothing) the same text. */
static void
no_byte_can_be_changed(void **state)
{
	const struct mm_ca_fields how = { .configures = true };
	struct mm_buf out = MM_BUF_INIT(1 << 17);
	struct mm_confdoc_trust trust;
	struct signer s;
	struct ca ca;

	(void)state;
	ca_init(&ca, MM_KEY_P256);
	trust = (struct mm_confdoc_trust){ mm_buf_view(&ca.der), { NULL, 0 } };
	certify(&s, &ca, &how);
	sign(&s, (struct mm_bytes){ NULL, 0 }, &out);
	for (size_t i = 0; i < out.n; i++) {
		struct mm_buf text = MM_BUF_INIT(1 << 17);

		out.p[i] ^= 1;
		if (mm_confdoc_verify(mm_buf_view(&out), &trust, &text,
		    NULL) == MM_OK)
			assert_true(mm_bytes_eq(mm_buf_view(&text),
			    mm_bytes_of(GOOD)));
		out.p[i] ^= 1;
		mm_buf_done(&text);
	}
	signer_done(&s);
	ca_done(&ca);
	mm_buf_done(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses),
		cmocka_unit_test(is_bounded),
		cmocka_unit_test(verifies_who_was_certified_for_it),
		cmocka_unit_test(a_lines_ca_certifies_nobody),
		cmocka_unit_test(no_byte_can_be_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
