#include "signing.h"

#include <openssl/err.h>
#include <stdlib.h>

#include "base/text.h"

#define NAME "acme.example/ledger"

static struct mm_note_key
public_key(const char *name, uint8_t seed)
{
	struct mm_note_key key;

	EVP_PKEY_free(test_key(name, seed, &key));
	return key;
}

/* The verifier key in the documentation of Go's sumdb/note. */
#define NEUMANN \
	"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"

static void
keys_are_those_of_c2sp(void **state)
{
	static const char *const good[] = { NEUMANN,
		"sum.golang.org+033de0ae+"
		"Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8" };

	(void)state;
	for (size_t i = 0; i < ROWS(good); i++) {
		struct mm_buf b = MM_BUF_INIT(500);
		struct mm_note_key k;
		ROW(good[i], mm_note_key_parse(mm_bytes_of(good[i]), &k,
		    NULL) == MM_OK);
		mm_note_key_text(&k, &b);
		ROW(good[i], strcmp(mm_buf_cstr(&b), good[i]) == 0);
		mm_buf_done(&b);
	}
}

#define KEY64 "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"

static void
other_keys_are_refused(void **state)
{
	static const char *const bad[] = { "", "+", "++", "PeterNeumann",
		"PeterNeumann+c74f20a3", "PeterNeumann+c74f20a3+",
		"PeterNeumann+c74f20a4+" KEY64, "PeterNeuman+c74f20a3+" KEY64,
		"PeterNeumann+C74F20A3+" KEY64, "+c74f20a3+" KEY64,
		"Peter Neumann+c74f20a3+" KEY64,
		"Peter\u00a0Neumann+c74f20a3+" KEY64,
		"PeterNeumann+c74f20a3+" KEY64 "\n",
		"PeterNeumann+c74f20a3+ " KEY64,
		"PeterNeumann+c74f20a3+BRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/"
		"LDE4izWy10TW" };

	(void)state;
	for (size_t i = 0; i < ROWS(bad); i++) {
		struct mm_note_key k;
		ROW(bad[i], mm_note_key_parse(mm_bytes_of(bad[i]), &k, NULL) ==
		    MM_EINPUT);
	}
}

/* A note that others made: its signature holds, but it is no checkpoint. */
static void
a_foreign_signature_is_understood(void **state)
{
	static const char note[] =
	    "If you think cryptography is the answer to your problem,\n"
	    "then you don't know what your problem is.\n\n"
	    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZ"
	    "InNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
	char changed[sizeof(note)];
	struct mm_note_key k;
	struct mm_checkpoint c;
	struct mm_why why = { 0 };

	(void)state;
	assert_int_equal(mm_note_key_parse(mm_bytes_of(NEUMANN), &k, NULL),
	    MM_OK);
	assert_int_equal(mm_checkpoint_verify(mm_bytes_of(note), &k, &c, &why),
	    MM_EINPUT);
	assert_string_equal(why.text, "checkpoint: malformed");
	memcpy(changed, note, sizeof(note));
	changed[0] = 'i';
	assert_int_equal(mm_checkpoint_verify(mm_bytes_of(changed), &k, &c,
	    NULL), MM_EPOLICY);
	assert_int_equal(ERR_peek_error(), 0);
}

#define ROOT "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="

static void
a_checkpoint_has_the_text_of_c2sp(void **state)
{
	struct mm_checkpoint c = { "example.com/behind-the-sofa", 20852163,
		{ { 0 } } };
	struct mm_buf root = MM_BUF_INIT(32), b = MM_BUF_INIT(500);

	(void)state;
	assert_int_equal(mm_base64_parse(mm_bytes_of(ROOT), &root, NULL),
	    MM_OK);
	memcpy(c.root.b, root.p, 32);
	mm_checkpoint_text(&c, &b);
	assert_string_equal(mm_buf_cstr(&b),
	    "example.com/behind-the-sofa\n20852163\n" ROOT "\n");
	mm_buf_done(&root);
	mm_buf_done(&b);
}

static void
only_a_good_checkpoint_is_taken(void **state)
{
	static const struct {
		const char *what, *text;
		enum mm_err want;
	} rows[] = {
		{ "good", NAME "\n17\n" ROOT "\n", MM_OK },
		{ "empty tree", NAME "\n0\n" ROOT "\n", MM_OK },
		{ "extension lines", NAME "\n1\n" ROOT "\nx\ny\n", MM_OK },
		{ "largest", NAME "\n18446744073709551615\n" ROOT "\n",
		    MM_OK },
		{ "too large", NAME "\n18446744073709551616\n" ROOT "\n",
		    MM_EINPUT },
		{ "another origin", "evil.example\n17\n" ROOT "\n",
		    MM_EPOLICY },
		{ "leading zero", NAME "\n017\n" ROOT "\n", MM_EINPUT },
		{ "negative", NAME "\n-1\n" ROOT "\n", MM_EINPUT },
		{ "no size", NAME "\n\n" ROOT "\n", MM_EINPUT },
		{ "short root", NAME "\n1\nAAAA\n", MM_EINPUT },
		{ "padded root", NAME "\n1\n " ROOT "\n", MM_EINPUT },
		{ "empty extension", NAME "\n1\n" ROOT "\n\nx\n", MM_EINPUT },
		{ "two lines", NAME "\n1\n", MM_EINPUT },
		{ "no origin", "\n1\n" ROOT "\n", MM_EINPUT },
		{ "a tab", NAME "\n1\n" ROOT "\n\t\n", MM_EINPUT },
		{ "CR LF", NAME "\r\n1\r\n" ROOT "\r\n", MM_EINPUT },
	};
	struct mm_note_key key = public_key(NAME, 7);

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_buf note = MM_BUF_INIT(MM_NOTE_MAX);
		struct mm_checkpoint c = { .size = 99 };
		enum mm_err err;
		test_sign(NAME, 7, mm_bytes_of(rows[i].text), &note);
		err = mm_checkpoint_verify(mm_buf_view(&note), &key, &c, NULL);
		if (err != rows[i].want)
			fail_msg("%s: %d", rows[i].what, err);
		ROW(rows[i].what, (c.size == 99) == (err != MM_OK));
		mm_buf_done(&note);
	}
}

/* Signature lines, of which "@" is a good one of our key. */
static void
a_note_is_signed_by_whom_we_know(void **state)
{
	static const char text[] = NAME "\n17\n" ROOT "\n";
	static const struct {
		const char *what, *lines;
		enum mm_err want;
	} rows[] = {
		{ "ours", "@", MM_OK },
		{ "twice", "@@", MM_OK },
		{ "another before", "\u2014 a AAAAAAAA\n@", MM_OK },
		{ "another after", "@\u2014 a AAAAAAAA\n", MM_OK },
		{ "our name, another id", "\u2014 " NAME " AAAAAAAA\n@",
		    MM_OK },
		{ "nobody's", "\u2014 a AAAAAAAA\n", MM_EPOLICY },
		{ "none", "", MM_EINPUT },
		{ "a hyphen", "- a AAAAAAAA\n@", MM_EINPUT },
		{ "no name", "\u2014  AAAAAAAA\n@", MM_EINPUT },
		{ "a plus in a name", "\u2014 a+b AAAAAAAA\n@", MM_EINPUT },
		{ "no signature", "\u2014 a \n@", MM_EINPUT },
		{ "only an id", "\u2014 a AAAAAA==\n@", MM_EINPUT },
		{ "not base64", "\u2014 a A*AA\n@", MM_EINPUT },
		{ "no line end", "@\u2014 a AAAAAAAA", MM_EINPUT },
		{ "an empty line between", "@\n\u2014 a AAAAAAAA\n",
		    MM_EPOLICY },
	};
	struct mm_note_key key = public_key(NAME, 7);
	struct mm_buf signed_note = MM_BUF_INIT(MM_NOTE_MAX);
	const char *line;

	(void)state;
	test_sign(NAME, 7, mm_bytes_of(text), &signed_note);
	line = strstr(mm_buf_cstr(&signed_note), "\n\n") + 2;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_buf note = MM_BUF_INIT(MM_NOTE_MAX);
		struct mm_checkpoint c;
		enum mm_err err;
		mm_buf_printf(&note, "%s\n", text);
		for (const char *p = rows[i].lines; *p != '\0'; p++)
			mm_buf_put(&note, *p == '@' ? line : p,
			    *p == '@' ? strlen(line) : 1);
		err = mm_checkpoint_verify(mm_buf_view(&note), &key, &c, NULL);
		if (err != rows[i].want)
			fail_msg("%s: %d", rows[i].what, err);
		mm_buf_done(&note);
	}
	mm_buf_done(&signed_note);
}

static void
another_key_is_not_ours(void **state)
{
	struct mm_buf note = MM_BUF_INIT(MM_NOTE_MAX);
	struct mm_note_key ours = public_key(NAME, 7), theirs;
	struct mm_checkpoint c;

	(void)state;
	test_sign(NAME, 8, mm_bytes_of(NAME "\n17\n" ROOT "\n"), &note);
	assert_int_equal(mm_checkpoint_verify(mm_buf_view(&note), &ours, &c,
	    NULL), MM_EPOLICY);
	/* The same id by force: the signature itself must decide. */
	theirs = public_key(NAME, 8);
	memcpy(theirs.key, ours.key, sizeof(ours.key));
	assert_int_equal(mm_checkpoint_verify(mm_buf_view(&note), &theirs, &c,
	    NULL), MM_EPOLICY);
	assert_int_equal(ERR_peek_error(), 0);
	mm_buf_done(&note);
}

/* C2SP signed-note: at least 16 signatures, some of them large. */
static void
sixteen_large_signatures_are_read(void **state)
{
	struct mm_buf note = MM_BUF_INIT(1 << 20), sig = MM_BUF_INIT(1 << 20);
	struct mm_note_key key = public_key(NAME, 7);
	static uint8_t large[5000];
	struct mm_checkpoint c;

	(void)state;
	test_sign(NAME, 7, mm_bytes_of(NAME "\n17\n" ROOT "\n"), &note);
	mm_base64_put(&sig, (struct mm_bytes){ large, sizeof(large) }, 0);
	for (int i = 0; i < 15; i++)
		mm_buf_printf(&note, "\u2014 witness %s\n",
		    mm_buf_cstr(&sig));
	assert_int_equal(mm_checkpoint_verify(mm_buf_view(&note), &key, &c,
	    NULL), MM_OK);
	mm_buf_done(&note);
	mm_buf_done(&sig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_those_of_c2sp),
		cmocka_unit_test(other_keys_are_refused),
		cmocka_unit_test(a_foreign_signature_is_understood),
		cmocka_unit_test(a_checkpoint_has_the_text_of_c2sp),
		cmocka_unit_test(only_a_good_checkpoint_is_taken),
		cmocka_unit_test(a_note_is_signed_by_whom_we_know),
		cmocka_unit_test(another_key_is_not_ours),
		cmocka_unit_test(sixteen_large_signatures_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
