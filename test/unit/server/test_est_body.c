#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "server/priv.h"

/* Bodies as real EST clients send them: all give the same DER. */

static struct mm_buf
request(void)
{
	struct mm_buf der = MM_BUF_INIT(MM_CSR_MAX);
	EVP_PKEY *key;

	assert_int_equal(mm_key_make(MM_KEY_P256, &key, NULL), MM_OK);
	assert_int_equal(mm_csr_make(key, "SN-1", &der, NULL), MM_OK);
	mm_pkey_free(&key);
	return der;
}

/* Puts cr in front of every line feed, or takes line ends out. */
static void
relined(struct mm_buf *out, const struct mm_buf *in, const char *end)
{
	for (size_t i = 0; i < in->n; i++)
		if (in->p[i] == '\n')
			mm_buf_text(out, end);
		else
			mm_buf_u8(out, in->p[i]);
}

static void
test_layouts(void **state)
{
	static const struct {
		const char *what;
		unsigned wrap;
		const char *end, *before, *after;
	} rows[] = {
		{ "64 columns, LF", 64, "\n", "", "" },
		{ "76 columns, CRLF", 76, "\r\n", "", "" },
		{ "one line", 0, "", "", "" },
		{ "one line and LF", 0, "", "", "\n" },
		{ "white space around", 64, "\r\n", "\r\n  ", "\r\n\r\n" },
		{ "PEM", 64, "\n", "-----BEGIN CERTIFICATE REQUEST-----\n",
		    "-----END CERTIFICATE REQUEST-----\n" },
		{ "PEM, NEW", 64, "\n",
		    "-----BEGIN NEW CERTIFICATE REQUEST-----\n",
		    "-----END NEW CERTIFICATE REQUEST-----\n" },
	};
	struct mm_buf der = request();

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_buf text = MM_BUF_INIT(MM_CSR_MAX * 2);
		struct mm_buf body = MM_BUF_INIT(MM_CSR_MAX * 2);
		struct mm_buf got = MM_BUF_INIT(MM_CSR_MAX);

		mm_base64_put(&text, mm_buf_view(&der), rows[i].wrap);
		mm_buf_text(&body, rows[i].before);
		relined(&body, &text, rows[i].end);
		mm_buf_text(&body, rows[i].after);
		if (mm_est_read(mm_buf_view(&body), &got, NULL) != MM_OK ||
		    !mm_bytes_eq(mm_buf_view(&got), mm_buf_view(&der)))
			fail_msg("%s", rows[i].what);
		mm_buf_done(&text);
		mm_buf_done(&body);
		mm_buf_done(&got);
	}
	mm_buf_done(&der);
}

static void
test_der_itself(void **state)
{
	struct mm_buf der = request(), got = MM_BUF_INIT(MM_CSR_MAX);

	(void)state;
	assert_int_equal(mm_est_read(mm_buf_view(&der), &got, NULL), MM_OK);
	assert_true(mm_bytes_eq(mm_buf_view(&got), mm_buf_view(&der)));
	mm_buf_done(&der);
	mm_buf_done(&got);
}

static void
test_refused(void **state)
{
	static const char *const rows[] = { "", " \r\n", "MII*", "MIIB=A==",
		"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
		"-----BEGIN CERTIFICATE REQUEST-----\nMIIB",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_buf got = MM_BUF_INIT(MM_CSR_MAX);

		if (mm_est_read(mm_bytes_of(rows[i]), &got, NULL) !=
		    MM_EINPUT)
			fail_msg("%s", rows[i]);
		mm_buf_done(&got);
	}
}

/* RFC 7030 4.4.2: two parts, each with its type, closed. */
static void
test_keygen_parts(void **state)
{
	struct mm_buf out = MM_BUF_INIT(4096);
	const char *text;

	(void)state;
	mm_est_put_keygen(&out, mm_bytes_of("key"), mm_bytes_of("UDc="), 0);
	text = mm_buf_cstr(&out);
	assert_string_equal(text,
	    "--mintmark-part\r\nContent-Type: application/pkcs8\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\na2V5\r\n"
	    "--mintmark-part\r\nContent-Type: application/pkcs7-mime; "
	    "smime-type=certs-only\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\nUDc=\r\n"
	    "--mintmark-part--\r\n");
	mm_buf_done(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layouts),
		cmocka_unit_test(test_der_itself),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_keygen_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
