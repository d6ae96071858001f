#include "rows.h"

#include <stdio.h>

#include "base/settings_centre.h"

static const struct mm_conf_key *
key_of(const char *name)
{
	for (size_t i = 0; i < mm_settings_nkeys; i++)
		if (strcmp(mm_settings_keys[i].name, name) == 0)
			return &mm_settings_keys[i];
	fail_msg("no key %s", name);
	return NULL;
}

static enum mm_err
check(const struct mm_settings *s, struct mm_why *why)
{
	MM_TRY(mm_settings_check(s, why));
	return mm_settings_check_centre(s, why);
}

/* Settings from text over the presets. */
static enum mm_err
load(const char *text, struct mm_settings *s, struct mm_why *why)
{
	const struct mm_conf_spec spec = { mm_settings_keys,
		mm_settings_nkeys, &mm_issuer_block, 1 };
	struct mm_conf_doc doc = { .top = s };

	*s = (struct mm_settings){ 0 };
	MM_TRY(mm_conf_parse(mm_bytes_of(text), "/etc/mintmark.conf", &spec,
	    &doc, why));
	mm_conf_doc_done(&doc);
	return check(s, why);
}

static void
presets_are_a_working_test_setup(void **state)
{
	struct mm_settings s;

	(void)state;
	assert_int_equal(load("", &s, NULL), MM_OK);
	assert_false(s.production);
	assert_true(s.est_wrap);
	assert_int_equal(s.threads, 2);
	assert_int_equal(s.connections, 20000);
	assert_int_equal(s.connections_per_source, 200);
	assert_int_equal(s.handshake_s, 10);
	assert_int_equal(s.header_s, 10);
	assert_int_equal(s.body_s, 20);
	assert_int_equal(s.idle_s, 60);
	assert_int_equal(s.token_ttl_s, 72 * 3600);
	assert_string_equal(s.devices_listen, "0.0.0.0:8443");
	assert_string_equal(s.operators_listen, "127.0.0.1:8444");
	assert_string_equal(s.public_listen, "0.0.0.0:8080");
	assert_int_equal(s.log_level, 1);
}

/* Good enough for production; a row below spoils one key of it. */
#define GOOD                                                   \
	"production = true\npublic_url = \"http://pki.acme.example\"\n" \
	"devices_url = \"https://est.acme.example:8443\"\n"     \
	"server_user = mintmark\nsigner_user = mintmark-signer\n" \
	"ledger_origin = acme.example/ledger\n"

static void
production_wants_more(void **state)
{
	static const struct {
		const char *what, *key, *value, *want; /* NULL: good */
	} rows[] = {
		{ "as it is", "name", "Acme", NULL },
		{ "localhost", "public_url", "http://LocalHost:80",
		    "public_url" },
		{ "IPv4", "public_url", "http://192.0.2.1", "public_url" },
		{ "IPv6", "public_url", "http://[2001:db8::1]:80",
		    "public_url" },
		{ "localhost for devices", "devices_url", "https://localhost",
		    "devices_url" },
		{ "one user", "signer_user", "mintmark", "signer_user" },
		{ "the test ledger", "ledger_origin", "localhost/ledger",
		    "ledger_origin" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_settings s;
		struct mm_why why = { 0 };
		enum mm_err err = load(GOOD, &s, &why);
		assert_int_equal(err, MM_OK);
		strcpy((char *)&s + key_of(rows[i].key)->offset,
		    rows[i].value);
		err = check(&s, &why);
		ROW(rows[i].what, (err == MM_OK) == (rows[i].want == NULL));
		if (rows[i].want != NULL)
			ROW(rows[i].what,
			    strstr(why.text, rows[i].want) != NULL);
	}
}

/* What the courier is given, and the head of each mail is made of. */
static void
mails_want_addresses(void **state)
{
	static const struct {
		const char *to, *from, *server;
		bool good;
	} rows[] = {
		{ "ops@example.com", "mint@ca.example", "localhost:25", true },
		{ "a+b@example.com", "mint@localhost", "[::1]:587", true },
		{ "ops@example.com", "", "localhost:25", false },
		{ "ops@example.com", "mint", "localhost:25", false },
		{ "ops@example.com", "m@ca.example", "localhost", false },
		{ "ops@example.com", "m@ca.example", "local host:25", false },
		{ "ops@example.com", "m@ca.example", "u@localhost:25", false },
		{ "@example.com", "m@ca.example", "localhost:25", false },
		{ "ops@", "m@ca.example", "localhost:25", false },
		{ "ops@.example", "m@ca.example", "localhost:25", false },
		{ "ops@a@example.com", "m@ca.example", "localhost:25", false },
		{ "o ps@example.com", "m@ca.example", "localhost:25", false },
		{ "o>ps@example.com", "m@ca.example", "localhost:25", false },
		{ "ops@example.com\r\nX: y", "m@ca.example", "localhost:25",
		    false },
		{ "ops@example.com", "m@ca.example>\nX: y", "localhost:25",
		    false },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_settings s;

		assert_int_equal(load("", &s, NULL), MM_OK);
		s.mail_to.n = 1;
		strcpy(s.mail_to.item[0], rows[i].to);
		strcpy(s.mail_from, rows[i].from);
		strcpy(s.mail_server, rows[i].server);
		ROW(rows[i].to, (mm_settings_check(&s, NULL) == MM_OK) ==
		    rows[i].good);
	}
	assert_true(mm_host_is_local("localhost:25"));
	assert_true(mm_host_is_local("[::1]:25"));
	assert_false(mm_host_is_local("localhost.example.com:25"));
	assert_false(mm_host_is_local("127.0.0.1.example.com:25"));
}

static void
checks_what_a_range_cannot(void **state)
{
	static const struct {
		const char *key, *value;
		bool good;
	} rows[] = {
		{ "public_url", "http://h", true },
		{ "public_url", "http://h:8080/pki", true },
		{ "public_url", "https://h", false },
		{ "public_url", "http://", false },
		{ "public_url", "http://h/", false },
		{ "public_url", "http://h:0", false },
		{ "public_url", "http://h:65536", false },
		{ "public_url", "http://h:", false },
		{ "public_url", "http://u@h", false },
		{ "public_url", "http://h/a b", false },
		{ "public_url", "http://h?q", false },
		{ "devices_url", "https://h:8443", true },
		{ "devices_url", "https://[::1]:8443", true },
		{ "devices_url", "https://h/x", false },
		{ "devices_url", "http://h", false },
		{ "devices_url", "https://::1", false },
		{ "devices_listen", "", true },
		{ "devices_listen", "[::]:8443", true },
		{ "devices_listen", "0.0.0.0", false },
		{ "devices_listen", "0.0.0.0:", false },
		{ "devices_listen", ":8443", false },
		{ "devices_listen", "host:8443", false },
		{ "devices_listen", "[::]", false },
		{ "operators_listen", "1.2.3.4:99999", false },
		{ "public_listen", "1.2.3.4:x", false },
		{ "tls_key", "", false },
		{ "database", "sqlite:mintmark.db", false },
		{ "database", "postgresql://x/y", true },
		{ "database", "postgresql://u@h:5432/y?sslmode=require",
		    true },
		{ "database", "postgresql://u:secret@h/y", false },
		{ "database", "postgresql://u@h/y?password=secret", false },
		{ "database", "mysql://h/y", false },
		{ "ledger_origin", "a b", false },
		{ "ledger_origin", "a+b", false },
		{ "signer_dir", "/var/lib/mintmark/server", false },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_settings s;
		struct mm_why why = { 0 };
		enum mm_err err;
		assert_int_equal(load("", &s, &why), MM_OK);
		strcpy((char *)&s + key_of(rows[i].key)->offset,
		    rows[i].value);
		err = check(&s, &why);
		ROW(rows[i].value, (err == MM_OK) == rows[i].good);
		if (err != MM_OK)
			ROW(rows[i].value,
			    strstr(why.text, rows[i].key) != NULL);
	}
}

static void
every_key_is_explained(void **state)
{
	(void)state;
	for (size_t i = 0; i < mm_settings_nkeys; i++) {
		const struct mm_conf_key *k = &mm_settings_keys[i];
		size_t n = strlen(k->help);
		ROW(k->name, n > 20 && k->help[n - 1] == '.');
		for (size_t j = 0; j < i; j++)
			ROW(k->name, strcmp(k->name,
			    mm_settings_keys[j].name) != 0 &&
			    k->offset != mm_settings_keys[j].offset);
	}
}

static void
an_issuer_has_its_shards(void **state)
{
	const struct mm_conf_spec spec = { NULL, 0, &mm_issuer_block, 1 };
	struct mm_conf_doc doc = { 0 };
	const struct mm_issuer_conf *c;

	(void)state;
	assert_int_equal(mm_conf_parse(mm_bytes_of("issuer factory { "
	    "certificate = ca.crt key = /k/ca.key }"), "/etc/m.conf", &spec,
	    &doc, NULL), MM_OK);
	c = doc.blocks[0];
	assert_string_equal(c->name, "factory");
	assert_string_equal(c->certificate, "/etc/ca.crt");
	assert_string_equal(c->key, "/k/ca.key");
	assert_int_equal(c->crl_shards, 64);
	assert_int_equal(c->crl_hours, 24);
	mm_conf_doc_done(&doc);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(presets_are_a_working_test_setup),
		cmocka_unit_test(production_wants_more),
		cmocka_unit_test(mails_want_addresses),
		cmocka_unit_test(checks_what_a_range_cannot),
		cmocka_unit_test(every_key_is_explained),
		cmocka_unit_test(an_issuer_has_its_shards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
