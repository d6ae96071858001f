#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/x509v3.h>

#include "agent/priv.h"
#include "base/own.h"

/*
 * Which root a device pins after a cacerts answer: a younger one that the
 * pinned root has signed for, and no other, whoever made the answer.
 */
enum who { OLD, YOUNG, ELDER, STRANGER, SUB, WHOS };

static struct party {
	const char *name;
	long from_s; /* its own certificate's notBefore, from now */
	EVP_PKEY *key;
} party[WHOS] = {
	[OLD] = { "Old", -5000, NULL }, [YOUNG] = { "Young", -100, NULL },
	[ELDER] = { "Elder", -9000, NULL },
	[STRANGER] = { "Stranger", -100, NULL },
	[SUB] = { "Issuing", -100, NULL },
};

static X509_NAME *
name_of(enum who w)
{
	X509_NAME *n = X509_NAME_new();

	assert_int_equal(X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC,
	    (const uint8_t *)party[w].name, -1, -1, 0), 1);
	return n;
}

static X509 *
certificate(enum who of, enum who by, EVP_PKEY *key, const char *basic)
{
	X509_NAME *subject = name_of(of), *issuer = name_of(by);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL,
	    NID_basic_constraints, basic);
	X509 *x = X509_new();

	assert_int_equal(X509_set_version(x, 2), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), 7), 1);
	assert_int_equal(X509_set_subject_name(x, subject), 1);
	assert_int_equal(X509_set_issuer_name(x, issuer), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x),
	    party[of].from_s));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(x), 86400));
	assert_int_equal(X509_set_pubkey(x, party[of].key), 1);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	X509_EXTENSION_free(e);
	X509_NAME_free(subject);
	X509_NAME_free(issuer);
	return x;
}

#define CA "critical,CA:TRUE"

static void
put(struct mm_buf *out, X509 *x)
{
	uint8_t *der = NULL;
	int n = i2d_X509(x, &der);

	assert_true(n > 0);
	mm_buf_reset(out);
	mm_buf_bytes(out, (struct mm_bytes){ der, (size_t)n });
	OPENSSL_free(der);
}

struct answer {
	PKCS7 *p7;
};

static void
begin(struct answer *a)
{
	a->p7 = PKCS7_new();
	assert_int_equal(PKCS7_set_type(a->p7, NID_pkcs7_signed), 1);
	assert_int_equal(PKCS7_content_new(a->p7, NID_pkcs7_data), 1);
	PKCS7_set_detached(a->p7, 1);
}

static void
add(struct answer *a, enum who of, enum who by, enum who key,
    const char *basic)
{
	X509 *x = certificate(of, by, party[key].key, basic);

	assert_int_equal(PKCS7_add_certificate(a->p7, x), 1);
	X509_free(x);
}

/* Whom a device that pinned the old root pins then. */
static enum who
pinned_after(struct answer *a)
{
	struct mm_agent agent = { 0 };
	struct mm_agent_identity id;
	enum who pins = WHOS;
	uint8_t *der = NULL;
	const uint8_t *p;
	struct mm_why why = { 0 };
	int n = i2d_PKCS7(a->p7, &der);
	X509 *x = certificate(OLD, OLD, party[OLD].key, CA);

	assert_true(n > 0);
	mm_agent_identity_init(&id);
	put(&id.anchor, x);
	X509_free(x);
	if (mm_agent_take_cacerts(&agent, NULL,
	    (struct mm_bytes){ der, (size_t)n }, &id, &why) != MM_OK)
		fail_msg("%s", why.text);
	p = id.anchor.p;
	x = d2i_X509(NULL, &p, (long)id.anchor.n);
	assert_non_null(x);
	for (enum who w = OLD; w < WHOS; w++)
		if (EVP_PKEY_eq(X509_get0_pubkey(x), party[w].key) == 1)
			pins = w;
	/* what it pins is what that one's own key signed */
	assert_int_equal(X509_verify(x, party[pins].key), 1);
	X509_free(x);
	OPENSSL_free(der);
	PKCS7_free(a->p7);
	mm_agent_identity_done(&id);
	return pins;
}

struct part {
	enum who of, by, key;
	const char *basic;
};

static void
test_who_is_pinned(void **state)
{
	static const struct {
		const char *what;
		struct part part[4];
		enum who pins;
	} rows[] = {
		{ "the old one vouches", { { YOUNG, YOUNG, YOUNG, CA },
		    { YOUNG, OLD, OLD, CA } }, YOUNG },
		{ "nobody vouches", { { YOUNG, YOUNG, YOUNG, CA } }, OLD },
		{ "a stranger vouches in its name",
		    { { YOUNG, YOUNG, YOUNG, CA },
		    { YOUNG, OLD, STRANGER, CA } }, OLD },
		{ "an issuing CA poses as a root", { { SUB, SUB, SUB, CA },
		    { SUB, OLD, OLD, CA ",pathlen:0" } }, OLD },
		{ "one that may have CAs below it, too", { { SUB, SUB, SUB, CA },
		    { SUB, OLD, OLD, CA ",pathlen:1" } }, OLD },
		{ "a link that is no CA", { { YOUNG, YOUNG, YOUNG, CA },
		    { YOUNG, OLD, OLD, "critical,CA:FALSE" } }, OLD },
		{ "back", { { ELDER, ELDER, ELDER, CA },
		    { ELDER, OLD, OLD, CA } }, OLD },
		{ "the root's own certificate is another's work",
		    { { YOUNG, YOUNG, STRANGER, CA }, { YOUNG, OLD, OLD, CA } },
		    OLD },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct answer a;
		enum who pins;

		begin(&a);
		add(&a, OLD, OLD, OLD, CA);
		for (size_t k = 0; k < 4 && rows[i].part[k].basic != NULL; k++)
			add(&a, rows[i].part[k].of, rows[i].part[k].by,
			    rows[i].part[k].key, rows[i].part[k].basic);
		pins = pinned_after(&a);
		if (pins != rows[i].pins)
			fail_msg("%s: pins %s", rows[i].what, party[pins].name);
	}
}

/* The pinned key under a date that makes everybody younger. */
static void
test_a_forged_date_leads_nowhere(void **state)
{
	const long from_s = party[OLD].from_s;
	struct answer a;

	(void)state;
	begin(&a);
	party[OLD].from_s = -100000;
	add(&a, OLD, OLD, STRANGER, CA);
	party[OLD].from_s = from_s;
	add(&a, ELDER, ELDER, ELDER, CA);
	add(&a, ELDER, OLD, OLD, CA);
	assert_int_equal(pinned_after(&a), OLD);
}

/* A certificate that is issued to a device that pins the old root, by who. */
static bool
is_taken(enum who by, enum who before, bool named)
{
	MM_OWN(mm_agent_identity_done) struct mm_agent_identity id, old;
	enum who roots[] = { YOUNG, ELDER };
	X509 *anchor = certificate(OLD, OLD, party[OLD].key, CA);
	X509 *x = certificate(SUB, by, party[by].key, "CA:FALSE");

	mm_agent_identity_init(&id);
	mm_agent_identity_init(&old);
	put(&id.anchor, anchor);
	put(&old.anchor, anchor);
	put(&id.cert, x);
	X509_free(anchor);
	X509_free(x);
	for (size_t i = 0; i < 2; i++) {
		MM_OWN(mm_buf_done) struct mm_buf der =
		    MM_BUF_INIT(MM_AGENT_DER_MAX);

		x = certificate(roots[i], roots[i], party[roots[i]].key, CA);
		put(&der, x);
		mm_buf_bytes(&id.roots, mm_buf_view(&der));
		X509_free(x);
	}
	id.named = named;
	if (before != WHOS) {
		x = certificate(SUB, before, party[before].key, "CA:FALSE");
		put(&old.cert, x);
		X509_free(x);
		id.before = &old;
	}
	return mm_agent_check_chain(&id, NULL) == MM_OK;
}

/* The server says which roots there are: that is not enough. */
static void
test_whose_certificate_is_taken(void **state)
{
	static const struct {
		const char *what;
		enum who by, before;
		bool named, taken;
	} rows[] = {
		{ "our own CA's, first", OLD, WHOS, false, true },
		{ "another's, first, unasked", YOUNG, WHOS, false, false },
		{ "the maker's, first", YOUNG, WHOS, true, true },
		{ "a stranger's, first", STRANGER, WHOS, true, false },
		{ "our own again", OLD, OLD, false, true },
		{ "moved to another's", YOUNG, OLD, false, false },
		{ "the maker's again", YOUNG, YOUNG, false, true },
		{ "moved from the maker's", ELDER, YOUNG, false, false },
		{ "back to our own", OLD, YOUNG, false, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (is_taken(rows[i].by, rows[i].before, rows[i].named) !=
		    rows[i].taken)
			fail_msg("%s", rows[i].what);
}

static int
setup(void **state)
{
	(void)state;
	for (enum who w = OLD; w < WHOS; w++)
		party[w].key = EVP_EC_gen("P-256");
	return party[STRANGER].key == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	for (enum who w = OLD; w < WHOS; w++)
		EVP_PKEY_free(party[w].key);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_is_pinned),
		cmocka_unit_test(test_a_forged_date_leads_nowhere),
		cmocka_unit_test(test_whose_certificate_is_taken),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
