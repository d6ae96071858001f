#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "key/key.h"

/* ---- where keys are to be made ---- */

static void
places(void **state)
{
	static const struct {
		const char *where;
		enum mm_err want;
		enum mm_key_place place;
	} rows[] = {
		{ "file:", MM_OK, MM_KEY_FILE },
		{ "tpm2:", MM_OK, MM_KEY_TPM2 },
		{ "tpm2:device=/dev/tpm0", MM_OK, MM_KEY_TPM2 },
		{ "tpm2:parent=0x81000001;handle=0x81010002", MM_OK,
		    MM_KEY_TPM2 },
		{ "pkcs11:token=x?pin-source=/etc/pin", MM_OK, MM_KEY_PKCS11 },
		{ "", MM_EINPUT, 0 },
		{ "file", MM_EINPUT, 0 },
		{ "file:/etc/key.pem", MM_EINPUT, 0 },
		{ "TPM2:", MM_EINPUT, 0 },
		{ "tpm2:device=", MM_EINPUT, 0 },
		{ "tpm2:device=dev/tpm0", MM_EINPUT, 0 },
		{ "tpm2:handle=81010002", MM_EINPUT, 0 },
		{ "tpm2:handle=0x8101000", MM_EINPUT, 0 },
		{ "tpm2:handle=0x810100020", MM_EINPUT, 0 },
		/* TPM 2.0 part 2, 7.4: transient, and the platform's half */
		{ "tpm2:handle=0x80000001", MM_EINPUT, 0 },
		{ "tpm2:handle=0x81800000", MM_EINPUT, 0 },
		{ "tpm2:handle=0x81010002,parent=0x81000001", MM_EINPUT, 0 },
		{ "tpm2:;device=/dev/tpm0", MM_EINPUT, 0 },
		{ "tpm2:password=x", MM_EINPUT, 0 },
		{ "pkcs11:token=a b", MM_EINPUT, 0 },
		{ "pkcs11:token=x\n", MM_EINPUT, 0 },
		{ "pkcs11:token=x?pin-value=1", MM_EINPUT, 0 },
		{ "pkcs11:token=x?PIN-VALUE=1", MM_EINPUT, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum mm_key_place place = MM_KEY_PLACES;
		enum mm_err err = mm_key_place_of(rows[i].where, &place,
		    NULL);

		if (err != rows[i].want)
			fail_msg("\"%s\" gave %d", rows[i].where, (int)err);
		assert_int_equal(place, err == MM_OK ? rows[i].place
		    : MM_KEY_PLACES);
	}
}

/* What is not told is what it is by itself. */
static void
texts(void **state)
{
	static const char *const rows[] = { "tpm2:",
		"tpm2:device=/dev/tpm0", "tpm2:parent=0x81000001",
		"tpm2:device=/x;parent=0x81000001;handle=0x817fffff" };
	char text[MM_KEY_URI_MAX + 1];
	struct mm_key_tpm t;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(mm_key_tpm_parse(rows[i], &t, NULL), MM_OK);
		assert_int_equal(mm_key_tpm_text(&t, text, NULL), MM_OK);
		assert_string_equal(text, rows[i]);
	}
	assert_int_equal(mm_key_tpm_parse("tpm2:device=/dev/tpmrm0", &t,
	    NULL), MM_OK);
	assert_int_equal(mm_key_tpm_text(&t, text, NULL), MM_OK);
	assert_string_equal(text, "tpm2:");
}

/* ---- what stands in a key's place ---- */

static struct mm_key
sample(void)
{
	struct mm_key key = { .place = MM_KEY_TPM2, .uri = "tpm2:",
		.made = true, .public = { .n = 90 },
		.wrapped = { .n = MM_KEY_BLOB_MAX } };

	memset(key.xy, 0x5a, sizeof(key.xy));
	memset(key.public.p, 1, key.public.n);
	memset(key.wrapped.p, 2, key.wrapped.n);
	return key;
}

static void
blocks(void **state)
{
	struct mm_buf pem = MM_BUF_INIT(MM_KEY_FILE_MAX);
	struct mm_key key = sample(), back;
	struct mm_bytes v;

	(void)state;
	mm_key_encode(&key, &pem);
	assert_int_equal(mm_key_parse(mm_buf_view(&pem), &back, NULL), MM_OK);
	assert_true(back.made && mm_key_same(&key, &back));
	assert_memory_equal(back.wrapped.p, key.wrapped.p, key.wrapped.n);
	/* cut anywhere it is no key */
	for (v = mm_buf_view(&pem); v.n-- > 0;)
		if (mm_key_parse(v, &back, NULL) == MM_OK)
			assert_true(v.n + 1 == pem.n); /* the last line's end */
	key.made = false;
	mm_buf_reset(&pem);
	mm_key_encode(&key, &pem);
	assert_int_equal(mm_key_parse(mm_buf_view(&pem), &back, NULL), MM_OK);
	assert_false(back.made);
	mm_buf_done(&pem);
}

static void
strangers(void **state)
{
	static const char file[] = "-----BEGIN PRIVATE KEY-----\nMAA=\n"
	    "-----END PRIVATE KEY-----\n";
	static const uint8_t newer[] = { 0x30, 0x10, 0x02, 0x01, 0x02, 0x0c,
		0x05, 't', 'p', 'm', '2', ':', 0x04, 0x00, 0x04, 0x00, 0x04,
		0x00 };
	uint8_t der[sizeof(newer)];
	struct mm_key key;

	(void)state;
	assert_int_equal(mm_key_parse(mm_bytes_of(file), &key, NULL),
	    MM_ENOTFOUND);
	memcpy(der, newer, sizeof(der));
	assert_int_equal(mm_key_parse_der((struct mm_bytes){ der,
	    sizeof(der) }, &key, NULL), MM_EINPUT);
	der[4] = 1;
	assert_int_equal(mm_key_parse_der((struct mm_bytes){ der,
	    sizeof(der) }, &key, NULL), MM_OK);
	assert_false(key.made);
	/* a place that is none, and more behind it */
	der[11] = '/';
	assert_int_equal(mm_key_parse_der((struct mm_bytes){ der,
	    sizeof(der) }, &key, NULL), MM_EINPUT);
	der[11] = ':';
	der[1] = 0x0e;
	assert_int_equal(mm_key_parse_der((struct mm_bytes){ der,
	    sizeof(der) }, &key, NULL), MM_EINPUT);
}

static void
sameness(void **state)
{
	struct mm_key a = sample(), b = sample();

	(void)state;
	assert_true(mm_key_same(&a, &b));
	b.xy[3] ^= 1;
	assert_false(mm_key_same(&a, &b));
	b.made = false; /* one that may be there: by its place alone */
	assert_true(mm_key_same(&a, &b));
	(void)snprintf(b.uri, sizeof(b.uri), "tpm2:parent=0x81000001");
	assert_false(mm_key_same(&a, &b));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places), cmocka_unit_test(texts),
		cmocka_unit_test(blocks), cmocka_unit_test(strangers),
		cmocka_unit_test(sameness),
	};

	return cmocka_run_group_tests_name("key", tests, NULL, NULL);
}
