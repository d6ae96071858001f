#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "mmd_token.h"
#include "port/posix_openssl.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define ID     "048124GK2GAHC5RR34D0"
#define SECRET "M2GT58X4MPKAFA59NANTSBDENYRB3CNK"
#define REST   "2ERB02THV4XXVB6J-VFE8"
#define TOKEN  "mm1-" ID "-" SECRET "-" REST
#define TEST \
	"mm1-G48124GK2GAHC5RR34D0-" SECRET "-2ERB02THV4XXVB6J-PVAF"
#define FULL64 "E7CwC1HZO92s0hrYKI9wD3AJ3KX8ExZVTq7sV2_YTTE"
#define FULLHEX \
	"13b0b00b51d93bddacd21ad8288f700f7009dca5fc1316554eaeec576fd84d31"

static enum mmd_rc
parse(const char *s, struct mmd_token *t)
{
	static struct mmd_openssl_keys none;
	struct mmd_crypto crypto = mmd_openssl_crypto(&none);

	return mmd_token_parse(&crypto, (struct mmd_bytes){
	    (const uint8_t *)s, strlen(s) }, t);
}

static const struct {
	const char *what, *in;
	enum mmd_rc rc;
	const char *server, *device;
	size_t anchor_n;
} rows[] = {
	{ "text", TOKEN, MMD_OK, "", "", 10 },
	{ "a file's line", "  " TOKEN "\r\n", MMD_OK, "", "", 10 },
	{ "lower case, no groups",
	    "mm1048124gk2gahc5rr34d0m2gt58x4mpkafa59nantsbdenyrb3cnk"
	    "2erb02thv4xxvb6jvfe8", MMD_OK, "", "", 10 },
	{ "letters that look like digits",
	    "mm1-o48L24gk2gahc5rr34dO-" SECRET "-2erbo2thv4xxvb6j-vfe8",
	    MMD_OK, "", "", 10 },
	{ "broken over lines", "mm1-" ID "\n" SECRET "\n" REST, MMD_OK, "",
	    "", 10 },
	{ "a mistyped digit", "mm1-148124GK2GAHC5RR34D0-" SECRET "-" REST,
	    MMD_ECHECKSUM, "", "", 0 },
	{ "two digits swapped", "mm1-" ID "-2MGT58X4MPKAFA59NANTSBDENYRB3CNK-"
	    REST, MMD_ECHECKSUM, "", "", 0 },
	{ "a digit lost", "mm1-" ID "-" SECRET "-2ERB02THV4XXVB6J-VFE",
	    MMD_EINPUT, "", "", 0 },
	{ "a digit more", TOKEN "0", MMD_EINPUT, "", "", 0 },
	{ "not a digit", "mm1-U48124GK2GAHC5RR34D0-" SECRET "-" REST,
	    MMD_EINPUT, "", "", 0 },
	{ "padding bits", "mm1-048124GK2GAHC5RR34D1-" SECRET "-" REST,
	    MMD_EINPUT, "", "", 0 },
	{ "another version", "mm2-" ID, MMD_EINPUT, "", "", 0 },
	{ "nothing", "", MMD_EINPUT, "", "", 0 },
	{ "URI", "mintmark:" TOKEN "?s=ca.example:8443&a=" FULL64, MMD_OK,
	    "ca.example:8443", "", 32 },
	{ "URI, escaped, another order, unknown parameter",
	    "MINTMARK:" TOKEN "?x=1&a=" FULL64 "&s=%5B::1%5d%3A8443\n",
	    MMD_OK, "[::1]:8443", "", 32 },
	{ "URI alone", "mintmark:" TOKEN, MMD_OK, "", "", 10 },
	{ "URI, another anchor", "mintmark:" TOKEN
	    "?a=A7CwC1HZO92s0hrYKI9wD3AJ3KX8ExZVTq7sV2_YTTE", MMD_EINPUT, "",
	    "", 0 },
	{ "URI, base64 not url", "mintmark:" TOKEN
	    "?a=E7CwC1HZO92s0hrYKI9wD3AJ3KX8ExZVTq7sV2/YTTE", MMD_EINPUT, "",
	    "", 0 },
	{ "URI, bad escape", "mintmark:" TOKEN "?s=%4", MMD_EINPUT, "", "",
	    0 },
	{ "JSON", "{\"token\":\"" TOKEN "\",\"server\":\"ca:8443\","
	    "\"anchor_sha256\":\"" FULLHEX "\",\"device\":\"SN-1\","
	    "\"expires\":\"2026-01-01T00:00:00Z\"}\n", MMD_OK, "ca:8443",
	    "SN-1", 32 },
	{ "JSON with what is new to us", "{ \"a\" : [ 1 , {\"b\":\"}\\\"\"} ],"
	    "\"n\":null, \"token\" : \"" TOKEN "\" }", MMD_OK, "", "", 10 },
	{ "JSON without a token", "{\"server\":\"ca:8443\"}", MMD_EINPUT, "",
	    "", 0 },
	{ "JSON, a member twice", "{\"token\":\"" TOKEN "\",\"token\":\""
	    TOKEN "\"}", MMD_EINPUT, "", "", 0 },
	{ "JSON cut", "{\"token\":\"" TOKEN "\"", MMD_EINPUT, "", "", 0 },
	{ "JSON too deep", "{\"a\":[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]}",
	    MMD_EINPUT, "", "", 0 },
	{ "JSON, more after it", "{\"token\":\"" TOKEN "\"} x", MMD_EINPUT,
	    "", "", 0 },
};

/* The text form's own function: the same, and no to the other two. */
static void
check_text(const char *in, enum mmd_rc rc)
{
	struct mmd_openssl_keys none = { NULL };
	struct mmd_crypto crypto = mmd_openssl_crypto(&none);
	bool other = in[0] == '{' || in[0] == 'M' || strncmp(in, "mintmark",
	    8) == 0;
	struct mmd_token t;

	memset(&t, 0xee, sizeof(t));
	assert_int_equal(mmd_token_parse_text(&crypto, (struct mmd_bytes){
	    (const uint8_t *)in, strlen(in) }, &t), other ? MMD_EINPUT : rc);
	assert_int_equal(t.id[0], !other && rc == MMD_OK ? 1 : 0xee);
}

static void
forms(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct mmd_token t;

		print_message("%s\n", rows[i].what);
		check_text(rows[i].in, rows[i].rc);
		memset(&t, 0xee, sizeof(t));
		assert_int_equal(parse(rows[i].in, &t), rows[i].rc);
		if (rows[i].rc != MMD_OK) {
			assert_int_equal(t.id[0], 0xee);
			continue;
		}
		assert_int_equal(t.id[0], 1);
		assert_int_equal(t.secret[19], 0xb3);
		assert_string_equal(t.server, rows[i].server);
		assert_string_equal(t.device, rows[i].device);
		assert_int_equal(t.anchor_n, rows[i].anchor_n);
	}
}

static void
keys(void **state)
{
	static const struct {
		const char *token;
		unsigned version;
		const char *want;
	} want[] = {
		{ TOKEN, 13, "f6139bae4f5e9c5ca7443a83181c3036"
		    "46c60bb9b29470da148ce382741f05de" },
		{ TOKEN, 12, "c0254eb72ba00f5ac63a28d29d2b30d3"
		    "f8621c5d5dc36cb5ba667cae1c0644fc" },
		{ TEST, 13, "57a67787c75841f43dd706df83f10ba0"
		    "92a80f89addeab9013d77a84824d8658" },
		{ TEST, 12, "0c7b34ea753dea618a3787dcadfaef47"
		    "ebaf2bd2648b9b7271b3e4e389ca327c" },
	};
	struct mmd_openssl_keys none = { NULL };
	struct mmd_crypto crypto = mmd_openssl_crypto(&none);

	(void)state;
	for (size_t i = 0; i < COUNT(want); i++) {
		struct mmd_token t;
		uint8_t psk[MMD_HASH];
		char hex[2 * MMD_HASH + 1];

		assert_int_equal(parse(want[i].token, &t), MMD_OK);
		assert_int_equal(mmd_token_is_test(&t), i >= 2);
		assert_int_equal(mmd_token_psk(&crypto, &t, want[i].version,
		    psk), MMD_OK);
		for (size_t k = 0; k < MMD_HASH; k++)
			snprintf(hex + 2 * k, 3, "%02x", psk[k]);
		assert_string_equal(hex, want[i].want);
		assert_int_equal(mmd_token_psk(&crypto, &t, 11, psk),
		    MMD_EINPUT);
	}
}

static const char *
member(const json_t *row, const char *name)
{
	const char *text = json_string_value(json_object_get(row, name));

	assert_non_null(text);
	return text;
}

/* The vectors that every implementation of tokens checks itself against. */
static void
vectors(void **state)
{
	json_t *all = json_load_file(VECTORS "/token.json", 0, NULL), *row;
	struct mmd_openssl_keys none = { NULL };
	struct mmd_crypto crypto = mmd_openssl_crypto(&none);
	size_t i;

	(void)state;
	assert_true(json_array_size(all) > 0);
	json_array_foreach (all, i, row) {
		struct mmd_token t;
		char id[MMD_TOKEN_IDENTITY], password[MMD_TOKEN_PASSWORD];

		assert_int_equal(parse(member(row, "text"), &t), MMD_OK);
		mmd_token_identity(&t, id);
		mmd_token_password(&t, password);
		assert_string_equal(id, member(row, "id_text"));
		assert_string_equal(password, member(row, "secret_text"));
		for (unsigned version = 12; version <= 13; version++) {
			uint8_t psk[MMD_HASH];
			char hex[2 * MMD_HASH + 1];

			assert_int_equal(mmd_token_psk(&crypto, &t, version,
			    psk), MMD_OK);
			for (size_t k = 0; k < MMD_HASH; k++)
				snprintf(hex + 2 * k, 3, "%02x", psk[k]);
			assert_string_equal(hex, member(row, version == 12
			    ? "psk12" : "psk13"));
		}
	}
	json_decref(all);
}

static void
names(void **state)
{
	struct mmd_token t;
	char id[MMD_TOKEN_IDENTITY], password[MMD_TOKEN_PASSWORD];

	(void)state;
	assert_int_equal(parse(TOKEN, &t), MMD_OK);
	mmd_token_identity(&t, id);
	mmd_token_password(&t, password);
	assert_string_equal(id, "mm1-" ID);
	assert_string_equal(password, SECRET);
}

static void
anchors(void **state)
{
	static const char *const tokens[] = { TOKEN,
		"mintmark:" TOKEN "?a=" FULL64 };
	uint8_t spki[91] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86,
		0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
		0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00 };
	struct mmd_openssl_keys none = { NULL };
	struct mmd_crypto crypto = mmd_openssl_crypto(&none);

	(void)state;
	for (uint8_t i = 0; i < 65; i++)
		spki[26 + i] = i;
	for (size_t i = 0; i < COUNT(tokens); i++) {
		struct mmd_token t;
		struct mmd_bytes v = { spki, sizeof(spki) };

		assert_int_equal(parse(tokens[i], &t), MMD_OK);
		assert_int_equal(mmd_token_anchor_check(&crypto, &t, v),
		    MMD_OK);
		v.n--;
		assert_int_equal(mmd_token_anchor_check(&crypto, &t, v),
		    MMD_EANCHOR);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms),
		cmocka_unit_test(keys),
		cmocka_unit_test(vectors),
		cmocka_unit_test(names),
		cmocka_unit_test(anchors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
