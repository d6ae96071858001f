#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

#define ISSUER "issuer \"ldevid\" { certificate = \"ca.pem\" " \
	"key = \"ca.key\" }\n"
#define PROFILE(body) ISSUER "profile \"thermo\" { issuer = \"ldevid\"\n" \
	body "\n}\n"

/* Loads a configuration from a file of this text. */
static enum mm_err
load(const char *text, struct mm_config **out, struct mm_why *why)
{
	char path[] = "/tmp/mm-profile-XXXXXX";
	int fd = mkstemp(path);
	enum mm_err rc;

	assert_true(fd >= 0);
	assert_int_equal(mm_fd_write(fd, mm_bytes_of(text), NULL), MM_OK);
	close(fd);
	rc = mm_config_load(path, out, why);
	unlink(path);
	return rc;
}

static void
has_sane_presets(void **state)
{
	struct mm_config *c = NULL;
	struct mm_why why = { 0 };
	const struct mm_profile *p;

	(void)state;
	OK(why, load(PROFILE(""), &c, &why));
	p = mm_config_profile(c, "thermo");
	assert_non_null(p);
	assert_null(mm_config_profile(c, "other"));
	assert_int_equal(p->version, 1);
	assert_int_equal(p->kind, MM_PROFILE_LDEVID);
	assert_int_equal(p->lifetime_s, 365 * DAY);
	assert_int_equal(p->backdate_s, 3600);
	assert_int_equal(p->jitter_percent, 5);
	assert_int_equal(p->subject.n, 2);
	assert_string_equal(p->subject.item[0], "CN={device}");
	assert_string_equal(p->eku.item[0], "clientAuth");
	assert_true(p->basic_constraints && p->crl_dp && p->aia);
	assert_false(p->bearer || p->serverkeygen || p->same_key_renewal);
	assert_int_equal(p->confirm, MM_CONFIRM_MTLS);
	assert_int_equal(p->renew_percent, 66);
	assert_int_equal(p->grace_s, 0);
	assert_true(mm_profile_takes_key(p, MM_KEY_P256));
	assert_false(mm_profile_takes_key(p, MM_KEY_RSA2048));
	mm_config_free(&c);
}

static const struct {
	const char *text, *why; /* part of the reason; NULL: taken */
} meanings[] = {
	{ PROFILE("keys = {\"p256\", \"ed25519\"}"), NULL },
	{ PROFILE("keys = {\"p257\"}"), "keys" },
	{ PROFILE("keys = {\"p256\", \"p256\"}"), "twice" },
	{ PROFILE("keys = {}"), "keys" },
	{ PROFILE("subject = {\"CN={device}\", \"C=DE\"}"), NULL },
	{ PROFILE("subject = {\"2.5.4.97=X\", \"CN={device}\"}"),
	    NULL },
	{ PROFILE("subject = {}"), "subject" },
	{ PROFILE("subject = {\"C=Germany\"}"), "C=Germany" },
	{ PROFILE("subject = {\"CN\"}"), "CN" },
	{ PROFILE("subject = {\"CN=\"}"), "CN=" },
	{ PROFILE("subject = {\"XX=1\"}"), "XX=1" },
	{ PROFILE("subject = {\"CN={serial}\"}"), "{serial}" },
	{ PROFILE("subject = {\"CN=a}b\"}"), "a}b" },
	{ PROFILE("san = {\"DNS:{device}.x\", \"URI:urn:x\"}"), NULL },
	{ PROFILE("san = {\"EMAIL:a@b\"}"), "EMAIL" },
	{ PROFILE("san = {\"DNS:\"}"), "san" },
	{ PROFILE("key_usage = {\"keyCertSign\"}"), "keyCertSign" },
	{ PROFILE("key_usage = {\"sign\"}"), "sign" },
	{ PROFILE("key_usage = {}"), "key_usage" },
	{ PROFILE("eku = {\"1.2.3\", \"serverAuth\"}"), NULL },
	{ PROFILE("eku = {\"client\"}"), "client" },
	{ PROFILE("eku = {\"2.25."
	    "133472379363472490250317899074065113179\"}"), "2.25" },
	{ PROFILE("extensions = {\"2.5.29.37:critical:301606146981c8e9ec9883b5"
	    "9a8ef381dbf4f7e2efeec05b\"}"), "2.5.29.37" },
	{ PROFILE("eku = {}"), NULL },
	{ PROFILE("policies = {\"1.2.x\"}"), "1.2.x" },
	{ PROFILE("extensions = {\"1.2.3:critical:0500\"}"), NULL },
	{ PROFILE("extensions = {\"1.2.3::0500\"}"), NULL },
	{ PROFILE("extensions = {\"1.2.3::05\"}"), "DER" },
	{ PROFILE("extensions = {\"1.2.3::050000\"}"), "DER" },
	{ PROFILE("extensions = {\"2.5.29.15::0500\"}"), "2.5.29.15" },
	{ PROFILE("extensions = {\"1.2.3::0500\", "
	  "\"1.2.3::0500\"}"), "1.2.3" },
	{ PROFILE("hw_type_oid = \"1.2.3\""), NULL },
	{ PROFILE("hw_type_oid = \"1.2.\""), "hw_type_oid" },
	{ PROFILE("lifetime = \"0\""), "lifetime" },
	{ PROFILE("kind = \"idevid\" lifetime = \"0\""), NULL },
	{ PROFILE("issuer = \"other\""), "issuer" },
	{ PROFILE("") "profile \"b\" { issuer = \"none\" }\n", "none" },
	{ PROFILE("") "profile \"thermo\" { issuer = \"ldevid\" }\n",
	    "thermo" },
	{ "profile \"x\" { issuer = \"ldevid\" }\n", "ldevid" },
};

static void
refuses_what_it_cannot_mean(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(meanings); i++) {
		struct mm_config *c = NULL;
		struct mm_why why = { 0 };
		enum mm_err rc = load(meanings[i].text, &c, &why);

		if (meanings[i].why == NULL && rc != MM_OK)
			fail_msg("%s: %s", meanings[i].text, why.text);
		if (meanings[i].why != NULL && (rc == MM_OK ||
		    strstr(why.text, meanings[i].why) == NULL))
			fail_msg("%s: %s, want %s", meanings[i].text, why.text,
			    meanings[i].why);
		mm_config_free(&c);
	}
}

static void
hash_of(const char *text, uint8_t out[32])
{
	struct mm_config *c = NULL;
	struct mm_why why = { 0 };

	OK(why, load(text, &c, &why));
	assert_int_equal(mm_profile_hash(&c->profile[0], out, NULL), MM_OK);
	mm_config_free(&c);
}

/* The signer's memory of a used profile: layout no, settings yes. */
static void
hashes_settings_not_layout(void **state)
{
	static const struct {
		const char *text;
		bool same;
	} rows[] = {
		{ PROFILE("# nothing\n\n"), true },
		{ PROFILE("aia = yes   lifetime = \"8760h\""), true },
		{ PROFILE("subject = {\"CN={device}\", "
		  "\"serialNumber={device}\"}"), true },
		{ PROFILE("version = 2"), false },
		{ PROFILE("aia = false"), false },
		{ PROFILE("kind = \"idevid\""), false },
		{ PROFILE("per_day = 10"), false },
		{ PROFILE("subject = {\"CN={device},serialNumber={device}\"}"),
		    false },
		{ PROFILE("subject = {\"serialNumber={device}\", "
		  "\"CN={device}\"}"), false },
	};
	uint8_t want[32], got[32];

	(void)state;
	hash_of(PROFILE(""), want);
	for (size_t i = 0; i < ROWS(rows); i++) {
		hash_of(rows[i].text, got);
		ROW(rows[i].text, (memcmp(want, got, 32) == 0) ==
		    rows[i].same);
	}
}

/* RFC 7030 4.5.2 */
static void
asks_for_attributes(void **state)
{
	static const struct {
		const char *what, *keys[3], *oids[3], *want;
		bool exporter;
	} rows[] = {
		{ "p256", { "p256" }, { NULL }, "3021301506072a8648ce3d0201"
		  "310a06082a8648ce3d03010706082a8648ce3d040302", false },
		{ "ed25519", { "ed25519" }, { NULL }, "300506032b6570",
		    false },
		{ "rsa3072", { "rsa3072" }, { NULL }, "301e"
		  "301106092a864886f70d010101310402020c00"
		  "06092a864886f70d01010b", false },
		{ "its own", { "p256" }, { "1.2.3", "2.5.4.5" },
		    "300906022a030603550405", false },
		{ "binding", { "ed25519" }, { NULL }, "3010"
		  "06032b657006092a864886f70d010907", true },
	};
	char hex[1024];

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_buf b = MM_BUF_INIT(1024);
		struct mm_profile p;

		profile_init(&p);
		list_set(&p.keys, rows[i].keys);
		list_set(&p.csrattrs, rows[i].oids);
		p.require_tls_exporter = rows[i].exporter;
		assert_int_equal(mm_profile_csrattrs(&p, &b, NULL), MM_OK);
		mm_hex_text(b.p, b.n, hex);
		ROW(rows[i].what, strcmp(hex, rows[i].want) == 0);
		mm_buf_done(&b);
	}
}

/* RFC 9908 3.4: what was asked for, and the subject of that device. */
static void
asks_for_a_subject(void **state)
{
	static const char *const names[] = { "O=Makers",
		"serialNumber={device}", NULL };
	static const char *const keys[] = { "ed25519", NULL };
	struct mm_buf b = MM_BUF_INIT(1024);
	struct mm_profile p;
	char hex[1024];

	(void)state;
	profile_init(&p);
	list_set(&p.keys, keys);
	list_set(&p.subject, names);
	assert_int_equal(mm_profile_csrattrs_named(&p, "SN-1", "thermo", &b,
	    NULL), MM_OK);
	mm_hex_text(b.p, b.n, hex);
	assert_string_equal(hex, "303f06032b65703038060b2a864886f70d010910023d3129"
	    "30270201003020310f300d060355040a0c064d616b657273"
	    "310d300b06035504051304534e2d31a100");
	mm_buf_done(&b);
}

/* RFC 5280 4.2.1.12: one that names none is for clients and servers; any
 * purpose is each. */
static void
lacks_purposes(void **state)
{
	static const char *const mail[] = { "clientAuth", "emailProtection",
		NULL };
	static const char *const any[] = { "2.5.29.37.0", NULL };
	struct mm_conf_list have = { .n = 0 };
	struct mm_profile p;

	(void)state;
	profile_init(&p);
	p.eku.n = 0;
	assert_string_equal(mm_purposes_lack(&have, &p), "clientAuth");
	assert_true(mm_purposes_add(&have, &p));
	assert_int_equal(have.n, 2);
	assert_null(mm_purposes_lack(&have, &p));
	assert_true(mm_purposes_serve(&have));
	list_set(&p.eku, mail);
	assert_string_equal(mm_purposes_lack(&have, &p), "emailProtection");
	have.n = 0;
	assert_true(mm_purposes_add(&have, &p));
	assert_false(mm_purposes_serve(&have));
	list_set(&p.eku, any);
	assert_string_equal(mm_purposes_lack(&have, &p), "2.5.29.37.0");
	assert_true(mm_purposes_add(&have, &p));
	assert_true(mm_purposes_serve(&have));
	list_set(&p.eku, mail);
	assert_null(mm_purposes_lack(&have, &p));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_sane_presets),
		cmocka_unit_test(refuses_what_it_cannot_mean),
		cmocka_unit_test(hashes_settings_not_layout),
		cmocka_unit_test(asks_for_attributes),
		cmocka_unit_test(asks_for_a_subject),
		cmocka_unit_test(lacks_purposes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
