#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/priv.h"
#include "agent/store.h"
#include "port/posix_openssl.h"
#include "calls.h"
#include "server.h"

static struct server *server;
static char root[PATH_MAX];
static char dir[PATH_MAX + 16];

/* An agent over the directory, each write of whose storage is a step. */
struct bench {
	struct mm_agent_store store;
	struct mmd_nv inner, nv;
	struct mmd_openssl_keys keys;
	struct mmd_crypto crypto;
	struct mmd_clock clock;
	struct mm_agent_link link;
	struct mm_agent agent;
};

static enum mmd_rc
get(void *ctx, unsigned slot, enum mmd_nv_item item, uint8_t *p, size_t cap,
    size_t *n)
{
	const struct mmd_nv *nv = &((struct bench *)ctx)->inner;

	return nv->get(nv->ctx, slot, item, p, cap, n);
}

static enum mmd_rc
put(void *ctx, unsigned slot, enum mmd_nv_item item, struct mmd_bytes data)
{
	const struct mmd_nv *nv = &((struct bench *)ctx)->inner;

	return nv->put(nv->ctx, slot, item, data);
}

static enum mmd_rc
erase(void *ctx, unsigned slot, enum mmd_nv_item item)
{
	const struct mmd_nv *nv = &((struct bench *)ctx)->inner;

	return nv->erase(nv->ctx, slot, item);
}

static enum mmd_rc
select_slot(void *ctx, unsigned slot)
{
	const struct mmd_nv *nv = &((struct bench *)ctx)->inner;

	return nv->select(nv->ctx, slot);
}

static enum mmd_rc
selected(void *ctx, unsigned *slot)
{
	const struct mmd_nv *nv = &((struct bench *)ctx)->inner;

	return nv->selected(nv->ctx, slot);
}

/* What the agent takes the time for, and whether it is told to hurry. */
static int64_t offset_s;
static bool hurry = true, asks;

static bool
now_s(void *ctx, int64_t *at_s)
{
	(void)ctx;
	*at_s = (int64_t)time(NULL) + offset_s;
	return true;
}

static enum mm_err
bench_open(struct bench *b, struct mm_why *why)
{
	memset(b, 0, sizeof(*b));
	MM_TRY(mm_agent_store_open(&b->store, dir, why));
	b->inner = mm_agent_store_nv(&b->store);
	b->nv = (struct mmd_nv){ get, put, erase, select_slot, selected, b };
	b->keys.nv = &b->nv;
	b->crypto = mmd_openssl_crypto(&b->keys);
	b->clock = mmd_posix_clock();
	b->clock.now_s = now_s;
	b->link = server_link(server);
	b->agent = (struct mm_agent){ .nv = &b->nv, .crypto = &b->crypto,
		.time = &b->clock, .link = &b->link, .retries = 3, .now = hurry,
		.ask = asks, .renew_percent = 66 };
	return mm_agent_set_server(&b->agent, "ca:8443", why);
}

static enum mm_err
run(bool renew, struct mm_agent_status *s, struct mm_why *why)
{
	struct mmd_token token = server_token();
	struct bench b;
	enum mm_err err;

	err = bench_open(&b, why);
	if (err == MM_OK)
		err = renew ? mm_agent_renew(&b.agent, s, why)
		    : mm_agent_enrol(&b.agent, &token, s, why);
	mm_agent_store_close(&b.store);
	return err;
}

static int
fresh(void **state)
{
	static unsigned n;

	(void)state;
	server_reset(server);
	calls = (struct calls){ .no_tmpfile = false };
	offset_s = 0;
	hurry = true;
	asks = false;
	snprintf(dir, sizeof(dir), "%s/%u", root, n++);
	return 0;
}

/* What is in use can be used: certificate, key and chain fit together. */
static void
check_consistent(void)
{
	struct mm_agent_identity id;
	struct bench b;
	unsigned slot;

	assert_int_equal(bench_open(&b, NULL), MM_OK);
	mm_agent_identity_init(&id);
	if (b.inner.selected(b.inner.ctx, &slot) == MMD_OK) {
		assert_int_equal(mm_agent_identity_load(&b.agent, slot, &id,
		    NULL), MM_OK);
		assert_non_null(server_find(server, (struct mmd_bytes){
		    id.cert.p, id.cert.n }));
	}
	mm_agent_identity_done(&id);
	mm_agent_store_close(&b.store);
}

/* Whether a folder holds these names and no other; how many are keys. */
static unsigned
count_keys(const char *path, const char *const names[])
{
	DIR *d = opendir(path);
	const struct dirent *e;
	unsigned keys = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		size_t i = 0;

		if (e->d_name[0] == '.')
			continue;
		while (names[i] != NULL && strcmp(names[i], e->d_name) != 0)
			i++;
		if (names[i] == NULL)
			fail_msg("stray file %s/%s", path, e->d_name);
		keys += strcmp(e->d_name, "key.pem") == 0;
	}
	closedir(d);
	return keys;
}

/* After a run that ended well: one key, and no file that has no business. */
static void
check_tidy(void)
{
	static const char *const top[] = { "a", "b", "current", "lock", NULL };
	static const char *const slot[] = { "key.pem", "cert.pem",
		"chain.pem", "anchor.pem", "server", "time", "confirmed",
		"receipt.json", "token-id", NULL };
	char a[PATH_MAX + 32], b[PATH_MAX + 32];

	snprintf(a, sizeof(a), "%s/a", dir);
	snprintf(b, sizeof(b), "%s/b", dir);
	assert_int_equal(count_keys(dir, top), 0);
	assert_int_equal(count_keys(a, slot) + count_keys(b, slot), 1);
}

static void
enrols(void **state)
{
	struct mm_agent_status s;
	struct stat st;
	char path[PATH_MAX + 64];

	(void)state;
	assert_int_equal(run(false, &s, NULL), MM_OK);
	assert_string_equal(s.device, "SN-1");
	assert_string_equal(s.server, "ca:8443");
	assert_true(s.confirmed && !s.already);
	assert_true(server->certs[0].confirmed);
	snprintf(path, sizeof(path), "%s/current/key.pem", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	/* Again: nothing is asked of the server. */
	server->opened = 0;
	assert_int_equal(run(false, &s, NULL), MM_OK);
	assert_true(s.confirmed && s.already);
	assert_int_equal(server->opened, 0);
}

static void
renews(void **state)
{
	struct mm_agent_status s;

	(void)state;
	assert_int_equal(run(true, &s, NULL), MM_ENOTFOUND);
	assert_int_equal(run(false, &s, NULL), MM_OK);
	for (unsigned i = 1; i < 5; i++) {
		assert_int_equal(run(true, &s, NULL), MM_OK);
		assert_int_equal(s.slot, i % 2);
		assert_true(s.confirmed);
		assert_int_equal(server->ncerts, i + 1);
		assert_true(server->certs[i].confirmed);
		check_tidy();
	}
}

/* RFC 9110 10.2.3: Retry-After is obeyed, and a bound kept. */
static void
waits(void **state)
{
	struct mm_agent_status s;

	(void)state;
	server->busy = 2;
	assert_int_equal(run(false, &s, NULL), MM_OK);
	assert_in_range(server->slept_ms, 6000, 9300);
	assert_int_equal(fresh(NULL), 0);
	server->busy = 100;
	assert_int_equal(run(false, &s, NULL), MM_EAGAIN);
	assert_int_equal(server->busy, 96);
}

static void
refuses(void **state)
{
	static const struct {
		const char *what;
		size_t flag;
		const char *want;
	} rows[] = {
		{ "another anchor", offsetof(struct server, other_anchor),
		    "anchor" },
		{ "another key", offsetof(struct server, other_key),
		    "not for our key" },
		{ "another CA", offsetof(struct server, other_ca),
		    "no chain" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_agent_status s;
		struct mm_why why = { 0 };

		print_message("%s\n", rows[i].what);
		assert_int_equal(fresh(NULL), 0);
		*(bool *)((char *)server + rows[i].flag) = true;
		assert_int_equal(run(false, &s, &why), MM_EPOLICY);
		assert_non_null(strstr(why.text, rows[i].want));
		check_consistent();
		assert_int_equal(run(true, &s, NULL), MM_ENOTFOUND);
	}
}

/* The Date over the token's channel is the time for what follows. */
static void
learns_time(void **state)
{
	struct mm_agent_status s;

	(void)state;
	server->date_s = 4000000000;
	assert_int_equal(run(false, &s, NULL), MM_OK);
	assert_in_range(server->checked_at_s, 4000000000, 4000000010);
	server->date_s = 0;
	assert_int_equal(run(true, &s, NULL), MM_OK);
	assert_in_range(server->checked_at_s, 4000000000, 4000000010);
}

/* A new certificate that the server will not have: the old one is back. */
static void
falls_back(void **state)
{
	struct mm_agent_status s;

	(void)state;
	assert_int_equal(run(false, &s, NULL), MM_OK);
	server->refuse_confirm = 503;
	assert_int_equal(run(true, &s, NULL), MM_EAGAIN);
	server->refuse_confirm = 0;
	server->certs[1].revoked = true;
	assert_int_equal(run(true, &s, NULL), MM_OK);
	assert_true(s.confirmed);
	assert_int_equal(server->ncerts, 3);
	assert_true(server->certs[2].confirmed);
}

/* 1: every step; what is sanitized, and forks slowly, takes one in several. */
static unsigned stride = 1;

/* Runs in a process that dies at the step; whether it did. */
static bool
run_killed(bool renew, unsigned step)
{
	struct mm_agent_status s;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		server->steps = 0;
		server->kill_at = step;
		_exit(run(renew, &s, NULL) == MM_OK ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	server->kill_at = 0;
	if (WIFSIGNALED(status))
		return true;
	assert_int_equal(WEXITSTATUS(status), 0);
	return false;
}

/* Killed at any step: consistent, and the next run ends it with one claim. */
static void
enrol_survives_kill(bool no_tmpfile)
{
	struct mm_agent_status s;
	unsigned step = 1;

	for (;; step += stride) {
		assert_int_equal(fresh(NULL), 0);
		calls.no_tmpfile = no_tmpfile;
		if (!run_killed(false, step))
			break;
		assert_int_equal(run(false, &s, NULL), MM_OK);
		assert_true(s.confirmed);
		assert_int_equal(server->claims, 1);
		assert_int_equal(server->ncerts, 1);
		check_consistent();
		check_tidy();
	}
	assert_in_range(step, 60, 400);
}

/* One renewal after another in one folder, each killed a step later. */
static void
renew_survives_kill(void **state)
{
	struct mm_agent_status s;
	unsigned step = 1;

	(void)state;
	assert_int_equal(run(false, &s, NULL), MM_OK);
	for (; run_killed(true, step); step += stride) {
		check_consistent();
		assert_int_equal(run(true, &s, NULL), MM_OK);
		assert_true(s.confirmed);
		check_tidy();
		/* One more certificate, or two if it had been confirmed. */
		assert_in_range(server->ncerts, 2, 3);
		for (size_t i = 0; i < server->ncerts; i++)
			assert_true(server->certs[i].confirmed);
		server_keep_newest(server);
	}
	assert_in_range(step, 80, 600);
}

static void
enrol_survives_kills(void **state)
{
	(void)state;
	enrol_survives_kill(false);
	enrol_survives_kill(true);
}

/* The disk is full at any call: an error, and the next run makes it good. */
static void
survives_full_disk(void **state)
{
	(void)state;
	for (unsigned n = 1;; n += stride) {
		struct mm_agent_status s;
		struct mm_why why = { 0 };
		enum mm_err err;

		assert_int_equal(fresh(NULL), 0);
		assert_int_equal(run(false, &s, NULL), MM_OK);
		calls = (struct calls){ .fail_at = n };
		err = run(true, &s, &why);
		if (calls.n < n)
			break;
		calls.fail_at = 0;
		if (err != MM_OK)
			assert_int_equal(err, MM_ESYS);
		check_consistent();
		assert_int_equal(run(true, &s, NULL), MM_OK);
		assert_true(s.confirmed);
		check_tidy();
	}
}

/* What a killed run of a moment ago left is wiped by the next, whatever. */
static void
sweeps(void **state)
{
	static const char *const left[] = { "a/key.pem.new", "b/key.pem.new",
		"b/cert.pem.new", "current.new" };
	struct mm_agent_status s;
	char path[PATH_MAX + 64];

	(void)state;
	assert_int_equal(run(false, &s, NULL), MM_OK);
	for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
		FILE *f;

		snprintf(path, sizeof(path), "%s/%s", dir, left[i]);
		f = fopen(path, "w");
		assert_non_null(f);
		fputs("a key", f);
		fclose(f);
	}
	hurry = false;
	assert_int_equal(run(true, &s, NULL), MM_OK);
	assert_true(s.early);
	check_tidy();
}

/* Of the certificates that the server in memory issues. */
#define LIFE_S (30 * 86400 + 3600)

static void
renews_when_due(void **state)
{
	struct mm_agent_status s, again;
	int64_t issued_s, from_s;

	(void)state;
	hurry = false;
	assert_int_equal(run(false, &s, NULL), MM_OK);
	issued_s = s.not_before_s;
	from_s = issued_s + LIFE_S * 66 / 100;
	assert_in_range(s.renew_at_s, from_s, from_s + LIFE_S / 20 + 1);
	server->opened = 0;
	assert_int_equal(run(true, &again, NULL), MM_OK);
	assert_true(again.early && !again.renewed);
	assert_int_equal(server->opened, 0);
	assert_int_equal(again.renew_at_s, s.renew_at_s);
	offset_s = s.renew_at_s - (int64_t)time(NULL) - 5;
	assert_int_equal(run(true, &again, NULL), MM_OK);
	assert_true(again.early);
	assert_int_equal(server->ncerts, 1);
	offset_s += 5;
	assert_int_equal(run(true, &again, NULL), MM_OK);
	assert_true(again.renewed && !again.early);
	assert_int_equal(server->ncerts, 2);
}

/* Two certificates of one moment are not renewed at one moment. */
static void
spreads(void **state)
{
	struct mm_agent_status s;
	int64_t least = INT64_MAX, most = 0;

	(void)state;
	assert_int_equal(run(false, &s, NULL), MM_OK);
	for (unsigned i = 0; i < 7; i++) {
		int64_t after = s.renew_at_s - s.not_before_s;

		least = after < least ? after : least;
		most = after > most ? after : most;
		assert_int_equal(run(true, &s, NULL), MM_OK);
	}
	/* Seven of 36 hours, all within an hour: less than one in a million */
	assert_true(most - least > 3600);
}

/* By a clock that starts in 1970 nothing would ever be due: it asks. */
static void
asks_the_time(void **state)
{
	struct mm_agent_status s;

	(void)state;
	hurry = false;
	assert_int_equal(run(false, &s, NULL), MM_OK);
	offset_s = -(int64_t)time(NULL) + 100;
	server->date_s = s.renew_at_s - 60;
	assert_int_equal(run(true, &s, NULL), MM_OK);
	assert_true(s.early);
	server->date_s = s.renew_at_s + 60;
	assert_int_equal(run(true, &s, NULL), MM_OK);
	assert_true(s.renewed);
}

/* The server's word counts, and without a readable one our own does. */
static const struct {
	const char *window; /* from now on: "%s" is the serial */
	bool renewed, said;
} window_rows[] = {
	{ "", false, false },
	{ "{\"serial\":\"%s\",\"suggestedWindow\":{"
	    "\"start\":\"2020-01-01T00:00:00Z\","
	    "\"end\":\"2020-01-02T00:00:00Z\"}}", true, false },
	{ "{\"serial\":\"%s\",\"suggestedWindow\":{"
	    "\"start\":\"2999-01-01T00:00:00Z\","
	    "\"end\":\"2999-01-02T00:00:00Z\"}}", false, true },
	{ "{\"serial\":\"%s\",\"suggestedWindow\":null}", false, true },
	/* another's, the wrong way round, no times, no JSON */
	{ "{\"serial\":\"7%s\",\"suggestedWindow\":{"
	    "\"start\":\"2020-01-01T00:00:00Z\","
	    "\"end\":\"2020-01-02T00:00:00Z\"}}", false, false },
	{ "{\"serial\":\"%s\",\"suggestedWindow\":{"
	    "\"start\":\"2020-01-03T00:00:00Z\","
	    "\"end\":\"2020-01-02T00:00:00Z\"}}", false, false },
	{ "{\"serial\":\"%s\",\"suggestedWindow\":{\"start\":1}}", false,
	    false },
	{ "{\"serial\":\"%s\"}", false, false },
	{ "soon", false, false },
};

static void
obeys_the_window(void **state)
{
	struct mm_agent_status s, own;

	(void)state;
	for (size_t i = 0; i < sizeof(window_rows) / sizeof(window_rows[0]);
	    i++) {
		assert_int_equal(fresh(NULL), 0);
		assert_int_equal(run(false, &own, NULL), MM_OK);
		hurry = false;
		asks = true;
		server->again_s = 4711;
		snprintf(server->window, sizeof(server->window), "%s",
		    window_rows[i].window);
		assert_int_equal(run(true, &s, NULL), MM_OK);
		assert_int_equal(s.renewed, window_rows[i].renewed);
		assert_int_equal(s.early, !window_rows[i].renewed);
		if (!s.renewed)
			assert_int_equal(s.renew_at_s != own.renew_at_s,
			    window_rows[i].said);
		/* a busy one is asked again, and is no reason to renew */
		server->busy = 99;
		assert_int_equal(run(true, &s, NULL), MM_EAGAIN);
	}
}

/* Before its time a refusal is a failure; when it is time, no hindrance. */
static void
needs_no_window(void **state)
{
	static const int refusals[] = { 400, 403, 405, 429, 500, 502, 503 };
	struct mm_agent_status own, s;

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		assert_int_equal(fresh(NULL), 0);
		assert_int_equal(run(false, &own, NULL), MM_OK);
		hurry = false;
		asks = true;
		server->refuse_window = refusals[i];
		assert_int_not_equal(run(true, &s, NULL), MM_OK);
		offset_s = own.renew_at_s - (int64_t)time(NULL) + 1;
		assert_int_equal(run(true, &s, NULL), MM_OK);
		assert_true(s.renewed);
	}
}

/* Nor is what the server says of when, once the certificate has ended. */
static void
waits_for_nothing_past_its_end(void **state)
{
	struct mm_agent_status own, s;

	(void)state;
	assert_int_equal(run(false, &own, NULL), MM_OK);
	hurry = false;
	asks = true;
	snprintf(server->window, sizeof(server->window), "%s",
	    window_rows[2].window);
	offset_s = own.not_after_s - (int64_t)time(NULL) - 60;
	assert_int_equal(run(true, &s, NULL), MM_OK);
	assert_true(s.early);
	offset_s += 120;
	assert_int_equal(run(true, &s, NULL), MM_OK);
	assert_true(s.renewed);
}

/* Certificate there, switch or confirmation not: finished before its time. */
static void
finishes_what_was_begun(void **state)
{
	struct mm_agent_status s;

	(void)state;
	assert_int_equal(run(false, &s, NULL), MM_OK);
	server->refuse_confirm = 503;
	assert_int_equal(run(true, &s, NULL), MM_EAGAIN);
	server->refuse_confirm = 0;
	hurry = false;
	assert_int_equal(run(true, &s, NULL), MM_OK);
	assert_true(s.renewed && s.confirmed);
	assert_int_equal(server->ncerts, 2);
	check_tidy();
}

static void
refuses_folders(void **state)
{
	struct mm_agent_store st;
	struct mm_why why = { 0 };
	char slot[PATH_MAX + 32], other[PATH_MAX + 32];

	(void)state;
	snprintf(slot, sizeof(slot), "%s/a", dir);
	snprintf(other, sizeof(other), "%s-other", dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(chmod(dir, 0770), 0);
	assert_int_equal(mm_agent_store_open(&st, dir, &why), MM_EPOLICY);
	assert_non_null(strstr(why.text, "written by others"));
	assert_int_equal(chmod(dir, 0700), 0);
	assert_int_equal(mkdir(other, 0700), 0);
	assert_int_equal(symlink(other, slot), 0);
	assert_int_equal(mm_agent_store_open(&st, dir, NULL), MM_EPOLICY);
	assert_int_equal(unlink(slot), 0);
	/* A link to the whole of it is how it is moved to another disk. */
	snprintf(slot, sizeof(slot), "%s-link", dir);
	assert_int_equal(symlink(dir, slot), 0);
	assert_int_equal(mm_agent_store_open(&st, slot, NULL), MM_OK);
	mm_agent_store_close(&st);
	if (geteuid() != 0)
		return;
	assert_int_equal(chown(dir, 65534, (gid_t)-1), 0);
	why = (struct mm_why){ 0 };
	assert_int_equal(mm_agent_store_open(&st, dir, &why), MM_EPOLICY);
	assert_non_null(strstr(why.text, "another user"));
}

static void
names(void **state)
{
	static const struct {
		const char *in, *host;
	} rows[] = {
		{ "ca.example:8443", "ca.example" }, { "[::1]:443", "::1" },
		{ "127.0.0.1:1", "127.0.0.1" }, { "ca.example", NULL },
		{ ":8443", NULL }, { "ca:0", NULL }, { "ca:65536", NULL },
		{ "ca:84x", NULL }, { "c a:8443", NULL },
		{ "[fe80::1%eth0]:443", "fe80::1%eth0" },
		{ "::1:443", NULL }, { "[]:443", NULL }, { "[::1]", NULL },
		{ "[::1:443", NULL }, { "ca:+443", NULL }, { "ca: 443", NULL },
		{ "ca:", NULL }, { "ca:0443", "ca" }, { "", NULL },
		{ "https://ca:443", NULL }, { "user@ca:443", NULL },
		{ "ca:99999999999999999999", NULL },
		{ "ca\r\nX: y:8443", NULL },
	};
	struct mm_agent a;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum mm_err err = mm_agent_set_server(&a, rows[i].in, NULL);

		assert_int_equal(err, rows[i].host != NULL ? MM_OK
		    : MM_EINPUT);
		if (err == MM_OK)
			assert_string_equal(a.host, rows[i].host);
	}
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(enrols, fresh),
		cmocka_unit_test_setup(renews, fresh),
		cmocka_unit_test_setup(waits, fresh),
		cmocka_unit_test_setup(refuses, fresh),
		cmocka_unit_test_setup(learns_time, fresh),
		cmocka_unit_test_setup(falls_back, fresh),
		cmocka_unit_test_setup(enrol_survives_kills, fresh),
		cmocka_unit_test_setup(renew_survives_kill, fresh),
		cmocka_unit_test_setup(survives_full_disk, fresh),
		cmocka_unit_test_setup(sweeps, fresh),
		cmocka_unit_test_setup(renews_when_due, fresh),
		cmocka_unit_test_setup(spreads, fresh),
		cmocka_unit_test_setup(asks_the_time, fresh),
		cmocka_unit_test_setup(obeys_the_window, fresh),
		cmocka_unit_test_setup(needs_no_window, fresh),
		cmocka_unit_test_setup(waits_for_nothing_past_its_end, fresh),
		cmocka_unit_test_setup(finishes_what_was_begun, fresh),
		cmocka_unit_test_setup(refuses_folders, fresh),
		cmocka_unit_test(names),
	};
	char rm[PATH_MAX + 16];
	int failed;

	if (argc > 1)
		stride = (unsigned)atoi(argv[1]);
	/* In memory where that is: some ten thousand files are synced. */
	snprintf(root, sizeof(root), "%s/mintmark-agent.XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (mkdtemp(root) == NULL)
		return 1;
	server = server_new();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	server_free(server);
	snprintf(rm, sizeof(rm), "rm -rf %s", root);
	return system(rm) != 0 || failed != 0;
}
