#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/rest.h"

static enum mm_err
parse(const char *text, json_t **out)
{
	*out = NULL;
	return mm_rest_parse(mm_bytes_of(text), out, NULL);
}

static void
test_parse(void **state)
{
	static const struct {
		const char *text;
		enum mm_err want;
	} rows[] = {
		{ "{}", MM_OK },
		{ "{\"a\":[[[[[1]]]]]}", MM_OK },
		{ "{\"a\":[[[[[[1]]]]]]}", MM_EINPUT },
		{ "{\"a\":\"[[[[[[[[[[\"}", MM_OK },
		{ "{\"a\":\"\\\"[[[[[[[[[[\"}", MM_OK },
		{ "{\"a\":1,\"a\":2}", MM_EINPUT },
		{ "[]", MM_EINPUT },
		{ "1", MM_EINPUT },
		{ "{", MM_EINPUT },
		{ "{} {}", MM_EINPUT },
		{ "{\"a\":\"\xff\"}", MM_EINPUT },
		{ "{\"a\":\"\\u0000\"}", MM_EINPUT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *j;

		if (parse(rows[i].text, &j) != rows[i].want)
			fail_msg("%s", rows[i].text);
		mm_rest_json_free(&j);
	}
}

struct all {
	char text[6], name[MM_NAME_MAX + 1];
	char device[MM_DEVICE_ID_MAX + 1];
	bool flag;
	int64_t ttl, at;
	uint8_t hash[32];
	char object[16], names[16];
};
#define M(name, type, must, field)                                   \
	{ name, type, must, offsetof(struct all, field),             \
	    sizeof(((struct all *)0)->field) }

static const struct mm_member members[] = {
	M("text", MM_M_TEXT, false, text), M("name", MM_M_NAME, false, name),
	M("device", MM_M_DEVICE, true, device),
	M("flag", MM_M_BOOL, false, flag),
	M("ttl", MM_M_DURATION, false, ttl), M("at", MM_M_TIME, false, at),
	M("hash", MM_M_SHA256, false, hash),
	M("object", MM_M_OBJECT, false, object),
	M("names", MM_M_NAMES, false, names),
};

static enum mm_err
read_all(const char *text, struct all *out)
{
	json_t *j;
	enum mm_err rc;

	*out = (struct all){ 0 };
	assert_int_equal(parse(text, &j), MM_OK);
	rc = mm_rest_members(j, members, sizeof(members) / sizeof(members[0]),
	    out, NULL);
	mm_rest_json_free(&j);
	return rc;
}

static void
test_members_good(void **state)
{
	struct all a;

	(void)state;
	assert_int_equal(read_all("{\"text\":\"hello\",\"name\":\"a.b-1\","
	    "\"device\":\"SN_1\",\"flag\":true,\"ttl\":\"2h\","
	    "\"at\":\"1970-01-01T00:00:01Z\",\"object\":{\"b\":1,\"a\":2},"
	    "\"names\":[\"x\",\"y\"],\"hash\":\"00010203040506070809"
	    "0a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\"}", &a), MM_OK);
	assert_string_equal(a.text, "hello");
	assert_string_equal(a.device, "SN_1");
	assert_true(a.flag);
	assert_int_equal(a.ttl, 7200);
	assert_int_equal(a.at, 1000);
	assert_int_equal(a.hash[31], 31);
	assert_string_equal(a.object, "{\"a\":2,\"b\":1}");
	assert_string_equal(a.names, "x,y");
}

static void
test_members_bad(void **state)
{
	static const char *const rows[] = {
		"{}", "{\"device\":\"\"}", "{\"device\":\"a b\"}",
		"{\"device\":1}", "{\"device\":null}",
		"{\"device\":\"a\",\"other\":1}",
		"{\"device\":\"a\",\"text\":\"toolong\"}",
		"{\"device\":\"a\",\"name\":\"UPPER\"}",
		"{\"device\":\"a\",\"flag\":1}",
		"{\"device\":\"a\",\"ttl\":-1}",
		"{\"device\":\"a\",\"ttl\":1.5}",
		"{\"device\":\"a\",\"ttl\":\"soon\"}",
		"{\"device\":\"a\",\"at\":1}",
		"{\"device\":\"a\",\"hash\":\"00\"}",
		"{\"device\":\"a\",\"object\":[]}",
		"{\"device\":\"a\",\"object\":{\"k\":\"0123456789\"}}",
		"{\"device\":\"a\",\"names\":\"x\"}",
		"{\"device\":\"a\",\"names\":[1]}",
		"{\"device\":\"a\",\"names\":[\"x,y\"]}",
		"{\"device\":\"a\",\"names\":[\"0123456789abcdef\"]}",
	};
	struct all a;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (read_all(rows[i], &a) != MM_EINPUT)
			fail_msg("%s", rows[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_members_good),
		cmocka_unit_test(test_members_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
