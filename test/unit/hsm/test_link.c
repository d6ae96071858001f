/*
 * The signer's end of a keeper: whatever the other end says, there is an
 * answer, in time.  That it is the key's signature is pki's to find out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/time.h"
#include "hsm/wire.h"

struct ends {
	struct mm_hsm *h;
	int control, lane[MM_HSM_SESSIONS]; /* the keeper's */
	char keys[200];
	int own; /* the signer's end of control */
};

static int
begin(void **state)
{
	static struct ends e;
	struct mm_hsm_begin b = { .refused = "", .deadline_ms = 200 };
	int fd[2];
	int n;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd), 0);
	n = snprintf(e.keys, sizeof(e.keys), "other=70:71:72:73:74,ca=%d",
	    fd[0]);
	e.own = fd[0];
	e.control = fd[1];
	for (size_t i = 0; i < MM_HSM_SESSIONS; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd),
		    0);
		n += snprintf(e.keys + n, sizeof(e.keys) - (size_t)n, ":%d",
		    fd[0]);
		e.lane[i] = fd[1];
	}
	assert_int_equal(mm_hsm_attach(e.keys, "ca", &e.h, NULL), MM_OK);
	assert_int_equal(mm_hsm_begin(e.h, &b, NULL), MM_OK);
	*state = &e;
	return 0;
}

static int
end(void **state)
{
	struct ends *e = *state;

	mm_hsm_free(&e->h);
	if (e->control >= 0)
		close(e->control);
	for (size_t i = 0; i < MM_HSM_SESSIONS; i++)
		close(e->lane[i]);
	return 0;
}

static void
say_which(const struct ends *e, enum mm_hsm_state s, const char *text,
    const char *which)
{
	struct mm_buf m = MM_BUF_INIT(512);

	mm_buf_u8(&m, (uint8_t)s);
	mm_buf_block16(&m, mm_bytes_of(text));
	mm_buf_block16(&m, mm_bytes_of(which));
	assert_int_equal(send(e->control, m.p, m.n, 0), m.n);
	mm_buf_done(&m);
}

static void
say(const struct ends *e, enum mm_hsm_state s, const char *text)
{
	say_which(e, s, text, s == MM_HSM_REFUSED ? "file 1" : "");
}

/* Before it is asked: the first question on a lane has the number 1. */
static void
answer(const struct ends *e, uint32_t number, unsigned rc, size_t n)
{
	uint8_t m[5 + 1024] = { 0 };

	m[3] = (uint8_t)number;
	m[4] = (uint8_t)rc;
	memset(m + 5, 'x', n);
	assert_int_equal(send(e->lane[0], m, 5 + n, 0), 5 + n);
}

static enum mm_err
sign(const struct ends *e, size_t room)
{
	static const uint8_t hash[32];
	uint8_t sig[512];
	size_t n = room;

	return mm_hsm_sign(e->h, (struct mm_bytes){ hash, sizeof(hash) }, sig,
	    &n, NULL);
}

static void
test_begin(void **state)
{
	struct ends *e = *state;
	uint8_t m[64];
	char text[MM_HSM_TEXT];

	assert_int_equal(recv(e->control, m, sizeof(m), 0), 6);
	assert_memory_equal(m, "B\0\0\0\0\0", 6);
	assert_int_equal(mm_hsm_look(e->h, text), MM_HSM_WAITS);
	assert_int_equal(mm_hsm_ready(e->h, NULL), MM_EAGAIN);
	assert_true(mm_hsm_keeps(e->keys, e->own));
	assert_true(mm_hsm_keeps(e->keys, 74));
	assert_false(mm_hsm_keeps(e->keys, 75));
	assert_false(mm_hsm_keeps(NULL, 3));
}

static void
test_attach_refuses(void **state)
{
	static const struct {
		const char *keys;
		enum mm_err want;
	} rows[] = {
		{ "", MM_ENOTFOUND }, { "cat=70:71:72:73:74", MM_ENOTFOUND },
		{ "ca", MM_ENOTFOUND }, { "ca=", MM_EINPUT },
		{ "ca=70:71:72:73", MM_EINPUT },
		{ "ca=70:71:72:73:x", MM_EINPUT },
		{ "ca=70:71:72:73:-1", MM_EINPUT },
		{ "ca=70:71:72:73:99999999", MM_EINPUT },
	};
	struct mm_hsm *h = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(mm_hsm_attach(rows[i].keys, "ca", &h, NULL),
		    rows[i].want);
	assert_int_equal(mm_hsm_attach(NULL, "ca", &h, NULL), MM_ENOTFOUND);
	assert_null(h);
}

static void
test_answers(void **state)
{
	struct ends *e = *state;
	int64_t t = mm_mono_ms();

	say(e, MM_HSM_READY, "");
	answer(e, 1, MM_OK, 64);
	assert_int_equal(sign(e, 512), MM_OK);
	answer(e, 1, MM_OK, 64); /* to a question that was given up */
	answer(e, 2, MM_OK, 64);
	assert_int_equal(sign(e, 512), MM_OK);
	answer(e, 3, MM_OK, 1000);
	assert_int_equal(sign(e, 512), MM_ECRYPTO);
	answer(e, 4, 200, 10); /* no code of ours */
	assert_int_equal(sign(e, 512), MM_EBUG);
	answer(e, 5, MM_EPOLICY, 10);
	assert_int_equal(sign(e, 512), MM_EPOLICY);
	assert_int_equal(mm_hsm_ready(e->h, NULL), MM_OK);
	assert_true(mm_mono_ms() - t < 5000);
}

static void
test_away_by_an_answer(void **state)
{
	struct ends *e = *state;
	char text[MM_HSM_TEXT];

	say(e, MM_HSM_READY, "");
	answer(e, 1, MM_EAGAIN, 10);
	assert_int_equal(sign(e, 512), MM_EAGAIN);
	assert_int_equal(mm_hsm_look(e->h, text), MM_HSM_AWAY);
	assert_string_equal(text, "xxxxxxxxxx");
	assert_int_equal(sign(e, 512), MM_EAGAIN); /* not even asked */
	say(e, MM_HSM_READY, "");
	answer(e, 2, MM_OK, 64);
	assert_int_equal(sign(e, 512), MM_OK);
}

static void
test_silence(void **state)
{
	struct ends *e = *state;
	uint8_t m[64];
	int64_t t = mm_mono_ms();

	say(e, MM_HSM_READY, "");
	assert_int_equal(recv(e->control, m, sizeof(m), 0), 6); /* begin */
	assert_int_equal(sign(e, 512), MM_EAGAIN);
	assert_true(mm_mono_ms() - t >= 200);
	assert_int_equal(recv(e->control, m, sizeof(m), MSG_DONTWAIT), 1);
	assert_int_equal(m[0], MM_HSM_KICK);
}

/* Bad news ends the wait for an answer. */
static void
test_news_while_waiting(void **state)
{
	struct ends *e = *state;

	say(e, MM_HSM_READY, "");
	assert_int_equal(mm_hsm_ready(e->h, NULL), MM_OK);
	say(e, MM_HSM_AWAY, "its module ended");
	assert_int_equal(sign(e, 512), MM_EAGAIN);
}

static void
test_refused(void **state)
{
	struct ends *e = *state;
	char text[MM_HSM_TEXT];

	say(e, MM_HSM_REFUSED, "it refuses the PIN");
	say(e, MM_HSM_REFUSED, "it refused it before");
	assert_int_equal(mm_hsm_look(e->h, text), MM_HSM_REFUSED);
	assert_string_equal(text, "it refuses the PIN");
	mm_hsm_refused(e->h, text);
	assert_string_equal(text, "file 1");
	say_which(e, MM_HSM_REFUSED, "it refuses this one, too", "file 2");
	assert_int_equal(mm_hsm_look(e->h, text), MM_HSM_REFUSED);
	assert_string_equal(text, "it refuses this one, too");
	mm_hsm_refused(e->h, text);
	assert_string_equal(text, "file 2");
	mm_hsm_again(e->h);
	assert_int_equal(mm_hsm_look(e->h, text), MM_HSM_WAITS);
}

static void
test_gone(void **state)
{
	struct ends *e = *state;
	char text[MM_HSM_TEXT];

	say(e, MM_HSM_READY, "");
	close(e->control);
	e->control = -1;
	assert_int_equal(mm_hsm_look(e->h, text), MM_HSM_GONE);
	assert_int_equal(sign(e, 512), MM_EAGAIN);
}

static void
test_malformed_news(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} rows[] = {
		{ "\x01", 1 }, { "\x01\x00\x01", 3 },
		{ "\x04\x00\x00\x00\x00", 5 }, { "\xff\x00\x00\x00\x00", 5 },
		{ "\x01\x00\x00\x00\x00\x00", 6 },
		{ "\x01\xff\xff" "x", 4 },
	};
	struct ends *e = *state;
	char text[MM_HSM_TEXT];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		(void)!send(e->control, rows[i].bytes, rows[i].n, 0);
	assert_int_equal(mm_hsm_look(e->h, text), MM_HSM_WAITS);
}

int
main(void)
{
#define ROW(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		ROW(test_begin), ROW(test_answers),
		ROW(test_away_by_an_answer), ROW(test_silence),
		ROW(test_news_while_waiting), ROW(test_refused),
		ROW(test_gone), ROW(test_malformed_news),
		cmocka_unit_test(test_attach_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
