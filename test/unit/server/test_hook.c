#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "server/hook.h"

/* ---- filters ---- */

static void
filters_match_exactly_or_by_prefix(void **state)
{
	static const struct {
		const char *types, *products, *device;
		const char *type, *product, *of; /* the entry's */
		bool want;
	} rows[] = {
		{ "", "", "", "alert", NULL, NULL, true },
		{ "alert", "", "", "alert", NULL, NULL, true },
		{ "alert", "", "", "alerts", NULL, NULL, false },
		{ "certificate.", "", "", "certificate.issued", NULL, NULL,
		    true },
		{ "certificate.", "", "", "certificate", NULL, NULL, false },
		{ "certificate", "", "", "certificate.issued", NULL, NULL,
		    false },
		{ "alert,token.", "", "", "token.minted", NULL, NULL, true },
		{ "alert,token.", "", "", "certificate.issued", NULL, NULL,
		    false },
		{ "", "thermo,pump", "", "alert", "pump", NULL, true },
		{ "", "thermo", "", "alert", "pump", NULL, false },
		{ "", "thermo", "", "alert", NULL, NULL, false },
		{ "", "kept", "", "alert", NULL, NULL, true },
		{ "", "kept", "", "alert", "pump", NULL, false },
		{ "", "", "sn-1", "alert", NULL, "SN-1", true },
		{ "", "", "SN-1", "alert", NULL, "SN-1", true },
		{ "", "", "SN-1", "alert", NULL, "SN-11", false },
		{ "", "", "SN-1", "alert", NULL, NULL, false },
		{ "alert", "pump", "SN-1", "alert", "pump", "SN-1", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_event_filter f = { .types = "" };
		/* asked: what the store would say, where it is asked */
		struct mm_event e = { .asked = true, .owner.product = "kept",
			.v.type = mm_bytes_of(rows[i].type) };
		bool yes;

		strcpy(f.types, rows[i].types);
		strcpy(f.products, rows[i].products);
		strcpy(f.device, rows[i].device);
		if (rows[i].product != NULL)
			e.v.product = mm_bytes_of(rows[i].product);
		if (rows[i].of != NULL)
			e.v.device = mm_bytes_of(rows[i].of);
		assert_int_equal(mm_event_wanted(&f, &e, &yes, NULL), MM_OK);
		if (yes != rows[i].want)
			fail_msg("row %zu", i);
	}
}

/* ---- documents ---- */

static void
a_document_comes_back_as_it_was(void **state)
{
	struct mm_hook h = { .id = "wh_0123456789abcdef",
		.url = "https://example.com/\"x\"", .description = "\xc3\xa9",
		.filter = { .types = "alert,token.", .products = "a,b" },
		.state = MM_HOOK_DISABLED, .reason = "receiver-gone",
		.batch = true, .secret = 3, .created_at = 1, .rotated_at = 2,
		.resumed_at = 4, .epoch = 5, .from = INT64_C(1) << 40,
		.version = 7 }, back;
	struct mm_buf b = MM_BUF_INIT(MM_DOC_MAX);
	struct mm_doc doc = { .id = "wh_0123456789abcdef", .version = 7 };

	(void)state;
	mm_hook_encode(&h, &b);
	doc.body = mm_buf_view(&b);
	assert_int_equal(mm_hook_parse(&doc, &back, NULL), MM_OK);
	assert_memory_equal(&h, &back, sizeof(h));
	mm_buf_done(&b);
}

static void
progress_comes_back_as_it_was(void **state)
{
	struct mm_hook_progress p = { 1, 2, 3, 4 }, back;
	struct mm_buf b = MM_BUF_INIT(512);

	(void)state;
	mm_hook_progress_encode(&p, &b);
	assert_int_equal(mm_hook_progress_parse(mm_buf_view(&b), &back, NULL),
	    MM_OK);
	assert_memory_equal(&p, &back, sizeof(p));
	mm_buf_done(&b);
}

static void
urls(void **state)
{
	static const struct {
		const char *url;
		bool plain;
		enum mm_err want;
	} rows[] = {
		{ "https://example.com", false, MM_OK },
		{ "https://example.com:8443/a?b=c", false, MM_OK },
		{ "https://[2001:db8::1]/", false, MM_OK },
		{ "HTTPS://example.com/", false, MM_OK },
		{ "http://localhost:80/", false, MM_OK },
		{ "http://127.0.0.1/", false, MM_OK },
		{ "http://[::1]/", false, MM_OK },
		{ "http://example.com/", false, MM_EINPUT },
		{ "http://localhost.example.com/", false, MM_EINPUT },
		{ "http://example.com/", true, MM_OK },
		{ "", false, MM_EINPUT },
		{ "example.com/", false, MM_EINPUT },
		{ "ftp://example.com/", false, MM_EINPUT },
		{ "file:///etc/passwd", false, MM_EINPUT },
		{ "gopher://x/", false, MM_EINPUT },
		{ "https://user@example.com/", false, MM_EINPUT },
		{ "https://u:p@example.com/", false, MM_EINPUT },
		{ "https://example.com/#f", false, MM_EINPUT },
		{ "https://example.com/a b", false, MM_EINPUT },
		{ "https://example.com/\r\nX: y", false, MM_EINPUT },
		{ "https://example.com/\xc3\xa9", false, MM_EINPUT },
		{ "https://[fe80::1%25eth0]/", false, MM_EINPUT },
		{ "https://[fe80::1%eth0]/", false, MM_EINPUT },
		{ "https://[2001:db8::1%251]/", false, MM_EINPUT },
		{ "https://", false, MM_EINPUT },
		{ "https://example.com:99999/", false, MM_EINPUT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_settings set = { .webhook_plain = rows[i].plain };

		if (mm_hook_url_check(rows[i].url, &set, NULL) !=
		    rows[i].want)
			fail_msg("%s", rows[i].url);
	}
}

/* ---- the key ---- */

static void
make_dir(char dir[32])
{
	strcpy(dir, "/tmp/mm-hook-XXXXXX");
	assert_non_null(mkdtemp(dir));
}

static struct mm_hook_keys *
open_keys(const char *dir)
{
	struct mm_hook_keys *k = NULL;

	assert_int_equal(mm_hook_keys_open(dir, false, &k, NULL), MM_OK);
	return k;
}

static void
the_key_is_made_once_and_kept(void **state)
{
	char dir[32], path[64];
	struct mm_hook h = { .id = "wh_0123456789abcdef", .secret = 1 };
	uint8_t a[32], b[32], c[32];
	struct mm_hook_keys *k;
	struct stat st;

	(void)state;
	make_dir(dir);
	snprintf(path, sizeof(path), "%s/webhook.key", dir);
	k = open_keys(dir);
	assert_int_not_equal(access(path, F_OK), 0); /* not before its use */
	assert_int_equal(mm_hook_secret(k, &h, 1, a, NULL), MM_OK);
	assert_int_equal(mm_hook_secret(k, &h, 2, b, NULL), MM_OK);
	assert_memory_not_equal(a, b, 32);
	mm_hook_keys_close(&k);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_size, 32);
	k = open_keys(dir);
	assert_int_equal(mm_hook_secret(k, &h, 1, c, NULL), MM_OK);
	assert_memory_equal(a, c, 32);
	mm_hook_keys_close(&k);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void
a_cut_key_is_refused_and_not_replaced(void **state)
{
	char dir[32], path[64];
	struct mm_hook h = { .id = "wh_0123456789abcdef" };
	struct mm_hook_keys *k;
	uint8_t out[32];

	(void)state;
	make_dir(dir);
	snprintf(path, sizeof(path), "%s/webhook.key", dir);
	assert_int_equal(mm_file_create(path, mm_bytes_of("short"), 0600,
	    NULL), MM_OK);
	k = open_keys(dir);
	assert_int_equal(mm_hook_secret(k, &h, 1, out, NULL), MM_EPOLICY);
	mm_hook_keys_close(&k);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

/* Standard Webhooks' form with a key of 32 zero bytes, computed with
 * Python's hmac. */
static void
signatures_are_as_computed_elsewhere(void **state)
{
	static const uint8_t zero[32];
	char dir[32], path[64], out[128];
	struct mm_hook h = { .id = "wh_0123456789abcdef", .secret = 1 };
	const struct mm_bytes body = mm_bytes_of("{\"test\": 2432232314}");
	struct mm_hook_keys *k;

	(void)state;
	make_dir(dir);
	snprintf(path, sizeof(path), "%s/webhook.key", dir);
	assert_int_equal(mm_file_create(path, (struct mm_bytes){ zero, 32 },
	    0600, NULL), MM_OK);
	k = open_keys(dir);
	assert_int_equal(mm_hook_sign(k, &h, "msg_1", 1614265330, body, out,
	    NULL), MM_OK);
	assert_string_equal(out, "v1,aHw1ySUxTFkmN8dIagvvvR5tB1me/yYQjJyUZFl8ftA=");
	h.secret = 2;
	h.rotated_at = INT64_C(1614265330000);
	assert_int_equal(mm_hook_sign(k, &h, "msg_1", 1614265330, body, out,
	    NULL), MM_OK);
	assert_string_equal(out, "v1,C7r7B2z/FJpa+CrNjCHyMBRc9tgcmyN84LvLRgGiIyc= v1,aHw1ySUxTFkmN8dIagvvvR5tB1me/yYQjJyUZFl8ftA=");
	/* a day later the old one is no good */
	h.rotated_at -= INT64_C(86400000);
	assert_int_equal(mm_hook_sign(k, &h, "msg_1", 1614265330, body, out,
	    NULL), MM_OK);
	assert_string_equal(out, "v1,C7r7B2z/FJpa+CrNjCHyMBRc9tgcmyN84LvLRgGiIyc=");
	mm_hook_keys_close(&k);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filters_match_exactly_or_by_prefix),
		cmocka_unit_test(a_document_comes_back_as_it_was),
		cmocka_unit_test(progress_comes_back_as_it_was),
		cmocka_unit_test(urls),
		cmocka_unit_test(the_key_is_made_once_and_kept),
		cmocka_unit_test(a_cut_key_is_refused_and_not_replaced),
		cmocka_unit_test(signatures_are_as_computed_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
