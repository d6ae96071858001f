#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/checks.h"
#include "core/decide.h"
#include "ipc/msg.h"
#include "server/letter.h"
#include "server/mail.h"

/* Mails: what is in them, and what can never be. */

static struct mm_settings set;

static int
setup(void **state)
{
	(void)state;
	strcpy(set.mail_from, "mint@ca.example");
	set.mail_to.n = 2;
	strcpy(set.mail_to.item[0], "ops@example.com");
	strcpy(set.mail_to.item[1], "night@example.com");
	return 0;
}

static const char *
letter(const char *subject, const char *text, struct mm_buf *out)
{
	const struct mm_letter l = { .set = &set, .subject = subject,
		.id = "mintmark.a.1-2", .at_ms = INT64_C(1796027045000),
		.text = mm_bytes_of(text) };

	mm_buf_init(out, 64 * 1024);
	mm_letter_put(out, &l);
	assert_int_equal(mm_buf_ok(out, NULL), MM_OK);
	return mm_buf_cstr(out);
}

static const struct {
	const char *what, *subject, *want;
} subjects[] = {
	{ "as it is", "[Mintmark] a: b", "\r\nSubject: [Mintmark] a: b\r\n" },
	{ "no second header", "a\r\nBcc: eve@example.com",
	    "\r\nSubject: a??Bcc: eve@example.com\r\n" },
	{ "no body", "a\n\nhello", "\r\nSubject: a??hello\r\n" },
	{ "no other line's end", "a\x0b\x0c\x85z", "\r\nSubject: a???z\r\n" },
	{ "ASCII alone", "\xc3\xa4\x7f", "\r\nSubject: ???\r\n" },
};

static void
a_header_stays_in_its_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
		struct mm_buf out;
		const char *text = letter(subjects[i].subject, "x\n", &out);
		const char *body = strstr(text, "\r\n\r\n");

		if (strstr(text, subjects[i].want) == NULL)
			fail_msg("%s: %s", subjects[i].what, text);
		if (body == NULL || strcmp(body, "\r\n\r\nx\r\n") != 0 ||
		    strstr(text, "\r\nBcc") != NULL)
			fail_msg("%s: %s", subjects[i].what, text);
		mm_buf_done(&out);
	}
}

static void
the_head_is_whole(void **state)
{
	static const char *const lines[] = {
		"From: Mintmark <mint@ca.example>\r\n",
		"\r\nTo: <ops@example.com>,\r\n <night@example.com>\r\n",
		"\r\nDate: Mon, 30 Nov 2026 08:24:05 +0000\r\n",
		"\r\nMessage-ID: <mintmark.a.1-2@ca.example>\r\n",
		"\r\nAuto-Submitted: auto-generated\r\n",
		"\r\nContent-Type: text/plain; charset=utf-8\r\n",
		"\r\nContent-Transfer-Encoding: quoted-printable\r\n",
	};
	struct mm_buf out;
	const char *text = letter("s", "x\n", &out);

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (strstr(text, lines[i]) == NULL)
			fail_msg("%s is not in\n%s", lines[i], text);
	mm_buf_done(&out);
}

static const struct {
	const char *what, *text, *want;
} bodies[] = {
	{ "plain", "hello\n", "hello\r\n" },
	{ "an equals sign", "a=b\n", "a=3Db\r\n" },
	{ "UTF-8", "gr\xc3\xbc\xc3\x9f\n", "gr=C3=BC=C3=9F\r\n" },
	{ "a dot that would end the mail", ".\n.x\n", "=2E\r\n=2Ex\r\n" },
	{ "a space at a line's end", "a \n", "a=20\r\n" },
	{ "a carriage return", "a\rb\n", "a=0Db\r\n" },
	{ "no end", "a ", "a=20" },
};

static void
bodies_are_quoted(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct mm_buf out;
		const char *text = letter("s", bodies[i].text, &out);
		const char *body = strstr(text, "\r\n\r\n");

		if (body == NULL || strcmp(body + 4, bodies[i].want) != 0)
			fail_msg("%s: %s", bodies[i].what, text);
		mm_buf_done(&out);
	}
}

/* RFC 2045 6.7, rule 5: at most 76, whatever there is. */
static void
no_line_is_long(void **state)
{
	char text[4001];
	struct mm_buf out;
	const char *at;

	(void)state;
	for (size_t i = 0; i < 4000; i++)
		text[i] = "abc =.\xc3"[i * 7 % 11 % 7];
	text[4000] = '\0';
	at = strstr(letter("s", text, &out), "\r\n\r\n") + 4;
	while (*at != '\0') {
		size_t n = strcspn(at, "\r");

		assert_true(n <= 76);
		assert_true(at[0] != '.');
		at += n + (at[n] != '\0' ? 2 : 0);
	}
	mm_buf_done(&out);
}

/* ---- counting ---- */

static void
add(struct mm_tally *t, uint64_t index, const char *reason,
    const char *device, enum mm_severity least)
{
	char text[512];

	snprintf(text, sizeof(text), "{\"type\":\"alert\",\"at\":"
	    "\"2026-11-30T08:00:%02lluZ\",\"reason\":\"%s\","
	    "\"device\":\"%s\"}", (unsigned long long)(index % 60), reason,
	    device);
	mm_tally_add(t, index, mm_bytes_of(text), least);
}

static void
alerts_are_counted_by_reason(void **state)
{
	struct mm_tally *t = calloc(1, sizeof(*t));

	(void)state;
	for (uint64_t i = 10; i < 30; i++)
		add(t, i, "credential-ends", "D-1", MM_SEVERITY_WARNING);
	add(t, 30, "unconfirmed", "D-2", MM_SEVERITY_WARNING); /* info */
	add(t, 31, "clone-suspected", "D-3", MM_SEVERITY_WARNING);
	add(t, 32, "of-a-later-version", "D-4", MM_SEVERITY_WARNING);
	assert_int_equal(t->n, 22);
	assert_int_equal(t->nkind, 3);
	assert_int_equal(t->kind[0].n, 20);
	assert_int_equal(t->kind[0].nshown, MM_TALLY_SHOWN);
	assert_string_equal(t->kind[0].shown[0], "device D-1");
	assert_true(t->kind[0].last_at - t->kind[0].first_at == 19000);
	assert_int_equal(t->worst, MM_SEVERITY_CRITICAL);
	assert_int_equal(t->first, 10);
	assert_int_equal(t->last, 32);
	free(t);
}

static void
a_flood_of_reasons_is_bounded(void **state)
{
	struct mm_tally *t = calloc(1, sizeof(*t));
	char reason[32];

	(void)state;
	for (uint64_t i = 0; i < 1000; i++) {
		snprintf(reason, sizeof(reason), "r-%llu",
		    (unsigned long long)i);
		add(t, i, reason, "D", MM_SEVERITY_INFO);
	}
	assert_int_equal(t->n, 1000);
	assert_int_equal(t->nkind, MM_TALLY_KINDS);
	assert_int_equal(t->others, 1000 - MM_TALLY_KINDS);
	mm_tally_add(t, 1000, mm_bytes_of("{"), MM_SEVERITY_INFO);
	mm_tally_add(t, 1000, mm_bytes_of("{\"reason\":7}"),
	    MM_SEVERITY_INFO);
	assert_int_equal(t->n, 1000);
	free(t);
}

/* A mail that did not fit would never be sent, and nor would any after it. */
static void
the_longest_mail_fits(void **state)
{
	static struct mm_config config;
	static struct mm_server server;
	struct mm_tally *t = calloc(1, sizeof(*t));
	struct mm_buf out = MM_BUF_INIT(MM_IPC_FRAME_MAX - 4096);
	char reason[65], device[180];
	struct mm_why why = { 0 };

	(void)state;
	config.set = set;
	memset(config.set.name, 'n', sizeof(config.set.name) - 1);
	memset(config.set.ledger_origin, 'o', 255);
	server.config = &config;
	memset(device, '=', sizeof(device) - 1);
	device[sizeof(device) - 1] = '\0';
	for (uint64_t i = 0; i < MM_TALLY_KINDS + 2; i++) {
		memset(reason, 'r', 64);
		reason[64] = '\0';
		reason[0] = (char)('A' + i);
		for (uint64_t k = 0; k < 7; k++)
			add(t, i * 10 + k, reason, device, MM_SEVERITY_INFO);
	}
	assert_int_equal(t->nkind, MM_TALLY_KINDS);
	if (mm_mail_alerts(&server, t, &out, &why) != MM_OK)
		fail_msg("%s", why.text);
	mm_buf_done(&out);
	free(t);
}

/* Each alert that a refusal makes has advice; so have those of ends. */
static void
every_alarm_says_what_to_do(void **state)
{
	struct mm_buf out = MM_BUF_INIT(64 * 1024);
	const char *text;

	(void)state;
	mm_alarm_reference(&out);
	text = mm_buf_cstr(&out);
	assert_non_null(strstr(text, "| `tls-ends` | warning |"));
	assert_null(strstr(text, "|  |"));
	for (enum mm_reason r = 0; r < MM_REASON_COUNT; r++)
		if ((mm_reason_effects(r) & MM_FX_ALERT) != 0 &&
		    mm_alarm_means(mm_reason_text(r))[0] == '\0')
			fail_msg("%s has no meaning", mm_reason_text(r));
	assert_int_equal(mm_alarm_severity("nobody-knows"),
	    MM_SEVERITY_WARNING);
	mm_buf_done(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_header_stays_in_its_line),
		cmocka_unit_test(the_head_is_whole),
		cmocka_unit_test(bodies_are_quoted),
		cmocka_unit_test(no_line_is_long),
		cmocka_unit_test(alerts_are_counted_by_reason),
		cmocka_unit_test(a_flood_of_reasons_is_bounded),
		cmocka_unit_test(the_longest_mail_fits),
		cmocka_unit_test(every_alarm_says_what_to_do),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
