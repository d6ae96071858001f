#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "../pki/fixture.h"

#include "base/file.h"

#include "station/leads.h"

/* What a board is locked with leads to the anchor. */

static void
join(const struct ca *by, EVP_PKEY *key, const char *cn, struct mm_buf *der)
{
	struct mm_buf spki = MM_BUF_INIT(4096), tbs = MM_BUF_INIT(8192);
	struct mm_buf sig = MM_BUF_INIT(1024);
	struct mm_conf_list subject = { .n = 1 };
	struct mm_ca_fields f = { .serial = { 2 }, .not_before_s = NOW,
		.not_after_s = NOW + DAY, .subject = &subject, .ca = true };
	struct mm_why why = { 0 };

	snprintf(subject.item[0], MM_CONF_ITEM_MAX, "CN=%s", cn);
	OK(why, mm_key_spki(key, &spki, &why));
	f.spki = mm_buf_view(&spki);
	f.issuer_subject = by->issuer.subject;
	OK(why, mm_ca_build(&f, mm_sign_alg(by->sign), &tbs, &why));
	OK(why, mm_sign_bytes(by->sign, mm_buf_view(&tbs), &sig, &why));
	mm_cert_join(der, mm_buf_view(&tbs), mm_sign_alg(by->sign),
	    mm_buf_view(&sig));
	mm_buf_done(&spki);
	mm_buf_done(&tbs);
	mm_buf_done(&sig);
}

static bool
leads(const struct mm_buf *cert, struct mm_bytes chain, struct mm_bytes pem)
{
	bool unsure = true;

	return mm_leads(mm_buf_view(cert), chain, pem, &unsure, NULL) ==
		   MM_OK && !unsure;
}

/* The same name, another key: an issuer that was made anew. */
static void
only_by_who_signed_it(void **state)
{
	struct mm_buf cert = MM_BUF_INIT(8192), pem = MM_BUF_INIT(8192);
	struct mm_buf again = MM_BUF_INIT(8192);
	struct mm_bytes none = { NULL, 0 };
	struct ca ca, other;

	(void)state;
	ca_init_root(&ca, MM_KEY_P256);
	ca_init_root(&other, MM_KEY_P384);
	join(&ca, ca.key, "x", &cert);
	mm_pem_put(&pem, "CERTIFICATE", mm_buf_view(&ca.der));
	mm_pem_put(&again, "CERTIFICATE", mm_buf_view(&other.der));
	assert_true(leads(&cert, none, mm_buf_view(&pem)));
	assert_false(leads(&cert, none, mm_buf_view(&again)));
	assert_true(leads(&cert, mm_buf_view(&ca.der), mm_buf_view(&pem)));
	assert_false(leads(&cert, mm_buf_view(&other.der),
	    mm_buf_view(&again)));
	/* another root, of another CA: its links are all there is */
	assert_true(leads(&cert, none, none));
	assert_false(leads(&cert, mm_bytes_of("0"), none));
	mm_buf_done(&cert);
	mm_buf_done(&pem);
	mm_buf_done(&again);
	ca_done(&ca);
	ca_done(&other);
}

/* ---- an existing CA's, and the station's file ---- */

enum { LEAF, CA, ROOT, BIG, OLD, KEYS };
static EVP_PKEY *key[KEYS];
static const char *const names[KEYS] = { "leaf", "ca", "root", "big", "old" };
static char dir[] = "/tmp/mintmark-leads-XXXXXX";

/* Whose, whom it names, who signed it; then what it is. */
static const struct {
	int of, by, with;
	const char *digest;
} kinds[] = {
	{ LEAF, CA, CA, "SHA256" }, { LEAF, CA, ROOT, "SHA256" },
	{ LEAF, BIG, BIG, "SHA512" }, { CA, ROOT, ROOT, "SHA256" },
	{ CA, ROOT, CA, "SHA256" }, { CA, BIG, BIG, "SHA512" },
	{ CA, OLD, OLD, "SHA1" }, { ROOT, ROOT, ROOT, "SHA256" },
	{ BIG, BIG, BIG, "SHA512" }, { OLD, OLD, OLD, "SHA1" },
};
enum { NONE = -1, LEAF_CA, LEAF_FORGED, LEAF_BIG, CA_ROOT, CA_FORGED, CA_BIG,
	CA_OLD, ROOT_SELF, BIG_SELF, OLD_SELF, KINDS, FOLDER, EMPTY, TEXT,
	CUT, LARGE };
static struct mm_buf der[KINDS];

static void
make_cert(int kind)
{
	X509 *c = X509_new();
	X509_NAME *name[2] = { X509_NAME_new(), X509_NAME_new() };
	const int who[2] = { kinds[kind].of, kinds[kind].by };
	unsigned char *out = NULL;
	int n;

	for (int i = 0; i < 2; i++)
		assert_int_equal(X509_NAME_add_entry_by_txt(name[i], "CN",
		    MBSTRING_UTF8, (const unsigned char *)names[who[i]], -1,
		    -1, 0), 1);
	X509_set_version(c, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(c), kind + 1);
	X509_set_subject_name(c, name[0]);
	X509_set_issuer_name(c, name[1]);
	X509_gmtime_adj(X509_getm_notBefore(c), 0);
	X509_gmtime_adj(X509_getm_notAfter(c), DAY);
	X509_set_pubkey(c, key[kinds[kind].of]);
	assert_true(X509_sign(c, key[kinds[kind].with],
	    EVP_get_digestbyname(kinds[kind].digest)) > 0);
	n = i2d_X509(c, &out);
	assert_true(n > 0);
	mm_buf_init(&der[kind], 8192);
	mm_buf_put(&der[kind], out, (size_t)n);
	OPENSSL_free(out);
	X509_NAME_free(name[0]);
	X509_NAME_free(name[1]);
	X509_free(c);
}

static int
make_all(void **state)
{
	(void)state;
	key[LEAF] = EVP_EC_gen("P-256");
	key[CA] = EVP_EC_gen("P-256");
	key[ROOT] = EVP_EC_gen("P-256");
	key[BIG] = EVP_EC_gen("P-521");
	key[OLD] = EVP_RSA_gen(2048);
	for (int i = 0; i < KINDS; i++)
		make_cert(i);
	return mkdtemp(dir) == NULL;
}

static int
drop_all(void **state)
{
	(void)state;
	for (int i = 0; i < KINDS; i++)
		mm_buf_done(&der[i]);
	for (int i = 0; i < KEYS; i++)
		EVP_PKEY_free(key[i]);
	return rmdir(dir);
}

/* The station's file: a certificate, or something else. */
static void
write_anchor(const char *path, int what)
{
	struct mm_buf b = MM_BUF_INIT(1 << 20);

	if (what == FOLDER)
		assert_int_equal(mkdir(path, 0700), 0);
	if (what == NONE || what == FOLDER)
		return;
	if (what < KINDS)
		mm_pem_put(&b, "CERTIFICATE", mm_buf_view(&der[what]));
	if (what == TEXT)
		mm_buf_text(&b, "no certificate\n");
	if (what == CUT)
		mm_buf_text(&b, "-----BEGIN CERTIFICATE-----\nMIIB\n");
	for (int i = 0; what == LARGE && i < 9000; i++)
		mm_buf_text(&b, "a line\n\n");
	if (what == LARGE)
		mm_pem_put(&b, "CERTIFICATE", mm_buf_view(&der[ROOT_SELF]));
	assert_int_equal(mm_file_replace(path, mm_buf_view(&b), 0600, NULL),
	    MM_OK);
	mm_buf_done(&b);
}

static const struct {
	const char *what;
	int cert, chain[2], anchor, offline;
	enum mm_err want;
	bool unsure;
} rows[] = {
	{ "it leads", LEAF_CA, { CA_ROOT, NONE }, ROOT_SELF, 0, MM_OK, false },
	{ "with its root", LEAF_CA, { CA_ROOT, ROOT_SELF }, ROOT_SELF, 0,
	    MM_OK, false },
	{ "its own signature", LEAF_FORGED, { CA_ROOT, NONE }, ROOT_SELF, 0,
	    MM_EPOLICY, false },
	{ "its issuer's signature", LEAF_CA, { CA_FORGED, NONE }, ROOT_SELF,
	    0, MM_EPOLICY, false },
	{ "its issuer's, in the chain", LEAF_CA, { CA_FORGED, ROOT_SELF },
	    BIG_SELF, 0, MM_EPOLICY, false },
	{ "P-521 above", LEAF_CA, { CA_BIG, BIG_SELF }, ROOT_SELF, 0, MM_OK,
	    true },
	{ "P-521 as the anchor", LEAF_CA, { CA_BIG, NONE }, BIG_SELF, 0,
	    MM_OK, true },
	{ "P-521 above, another name", LEAF_CA, { CA_BIG, ROOT_SELF },
	    ROOT_SELF, 0, MM_EPOLICY, false },
	{ "SHA-1 above", LEAF_CA, { CA_OLD, OLD_SELF }, ROOT_SELF, 0, MM_OK,
	    true },
	{ "P-521 is its issuer", LEAF_BIG, { BIG_SELF, NONE }, ROOT_SELF, 0,
	    MM_EPOLICY, false },
	{ "P-521 is, as the anchor", LEAF_BIG, { NONE, NONE }, BIG_SELF, 0,
	    MM_EPOLICY, false },
	{ "another CA's root", LEAF_CA, { CA_ROOT, NONE }, BIG_SELF, 0, MM_OK,
	    false },
	{ "no anchor, offline", LEAF_CA, { CA_ROOT, NONE }, NONE,
	    MM_OFFLINE_ALWAYS, MM_OK, false },
	{ "no anchor", LEAF_CA, { CA_ROOT, NONE }, NONE, MM_OFFLINE_AWAY,
	    MM_ENOTFOUND, false },
	{ "a folder", LEAF_CA, { CA_ROOT, NONE }, FOLDER, MM_OFFLINE_ALWAYS,
	    MM_ESYS, false },
	{ "an empty anchor", LEAF_CA, { CA_ROOT, NONE }, EMPTY,
	    MM_OFFLINE_ALWAYS, MM_EINPUT, false },
	{ "an anchor without one", LEAF_CA, { CA_ROOT, NONE }, TEXT,
	    MM_OFFLINE_ALWAYS, MM_EINPUT, false },
	{ "half an anchor", LEAF_CA, { CA_ROOT, NONE }, CUT,
	    MM_OFFLINE_ALWAYS, MM_EINPUT, false },
	{ "too large an anchor", LEAF_CA, { CA_ROOT, NONE }, LARGE,
	    MM_OFFLINE_ALWAYS, MM_ELIMIT, false },
};

static void
what_a_board_is_locked_with(void **state)
{
	static struct mm_station_conf conf;

	(void)state;
	snprintf(conf.anchor, sizeof(conf.anchor), "%s/root.crt", dir);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_buf chain = MM_BUF_INIT(16384);
		struct mm_why why = { 0 };
		bool unsure = false;
		enum mm_err rc;

		for (int k = 0; k < 2; k++)
			if (rows[i].chain[k] != NONE)
				mm_buf_bytes(&chain,
				    mm_buf_view(&der[rows[i].chain[k]]));
		write_anchor(conf.anchor, rows[i].anchor);
		conf.offline = rows[i].offline;
		rc = mm_leads_to(mm_buf_view(&der[rows[i].cert]),
		    mm_buf_view(&chain), &conf, &unsure, &why);
		if (rc != rows[i].want ||
		    (rc == MM_OK && unsure != rows[i].unsure))
			fail_msg("%s: %d, %s", rows[i].what, (int)rc,
			    why.text);
		ROW(rows[i].what, (rc == MM_OK) == (why.text[0] == '\0'));
		(void)remove(conf.anchor);
		mm_buf_done(&chain);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_by_who_signed_it),
		cmocka_unit_test(what_a_board_is_locked_with),
	};

	return cmocka_run_group_tests(tests, make_all, drop_all);
}
