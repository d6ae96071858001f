#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/priv.h"
#include "agent/store.h"
#include "port/posix_openssl.h"
#include "server.h"

static struct server *server;
static char root[] = "/tmp/mintmark-agent.XXXXXX";
static char dir[PATH_MAX];

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

	server_step(server);
	return nv->put(nv->ctx, slot, item, data);
}

static enum mmd_rc
erase(void *ctx, unsigned slot, enum mmd_nv_item item)
{
	const struct mmd_nv *nv = &((struct bench *)ctx)->inner;

	server_step(server);
	return nv->erase(nv->ctx, slot, item);
}

static enum mmd_rc
select_slot(void *ctx, unsigned slot)
{
	const struct mmd_nv *nv = &((struct bench *)ctx)->inner;

	server_step(server);
	return nv->select(nv->ctx, slot);
}

static enum mmd_rc
selected(void *ctx, unsigned *slot)
{
	const struct mmd_nv *nv = &((struct bench *)ctx)->inner;

	return nv->selected(nv->ctx, slot);
}

static void
bench_open(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	assert_int_equal(mm_agent_store_open(&b->store, dir, NULL), MM_OK);
	b->inner = mm_agent_store_nv(&b->store);
	b->nv = (struct mmd_nv){ get, put, erase, select_slot, selected, b };
	b->keys.nv = &b->nv;
	b->crypto = mmd_openssl_crypto(&b->keys);
	b->clock = mmd_posix_clock();
	b->link = server_link(server);
	b->agent = (struct mm_agent){ .nv = &b->nv, .crypto = &b->crypto,
		.time = &b->clock, .link = &b->link, .retries = 3 };
	assert_int_equal(mm_agent_set_server(&b->agent, "ca:8443", NULL),
	    MM_OK);
}

static enum mm_err
run(bool renew, struct mm_agent_status *s, struct mm_why *why)
{
	struct mmd_token token = server_token();
	struct bench b;
	enum mm_err err;

	bench_open(&b);
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

	bench_open(&b);
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

static void
enrols(void **state)
{
	struct mm_agent_status s;
	struct stat st;
	char path[PATH_MAX + 16];

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
	server->steps = 0;
	assert_int_equal(run(false, &s, NULL), MM_OK);
	assert_true(s.confirmed && s.already);
	assert_int_equal(server->steps, 0);
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
enrol_survives_kill(void **state)
{
	struct mm_agent_status s;
	unsigned step = 1;

	(void)state;
	for (;; step++) {
		assert_int_equal(fresh(NULL), 0);
		if (!run_killed(false, step))
			break;
		check_consistent();
		assert_int_equal(run(false, &s, NULL), MM_OK);
		assert_true(s.confirmed);
		assert_int_equal(server->claims, 1);
		assert_int_equal(server->ncerts, 1);
	}
	assert_in_range(step, 15, 100);
}

static void
renew_survives_kill(void **state)
{
	struct mm_agent_status s;
	unsigned step = 1;

	(void)state;
	for (;; step++) {
		assert_int_equal(fresh(NULL), 0);
		assert_int_equal(run(false, &s, NULL), MM_OK);
		assert_int_equal(run(true, &s, NULL), MM_OK);
		if (!run_killed(true, step))
			break;
		check_consistent();
		assert_int_equal(run(true, &s, NULL), MM_OK);
		assert_true(s.confirmed);
		/* One more certificate, or two if it had been confirmed. */
		assert_in_range(server->ncerts, 3, 4);
		for (size_t i = 0; i < server->ncerts; i++)
			assert_true(server->certs[i].confirmed);
	}
	assert_in_range(step, 20, 100);
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
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(enrols, fresh),
		cmocka_unit_test_setup(renews, fresh),
		cmocka_unit_test_setup(waits, fresh),
		cmocka_unit_test_setup(refuses, fresh),
		cmocka_unit_test_setup(learns_time, fresh),
		cmocka_unit_test_setup(falls_back, fresh),
		cmocka_unit_test_setup(enrol_survives_kill, fresh),
		cmocka_unit_test_setup(renew_survives_kill, fresh),
		cmocka_unit_test(names),
	};
	char rm[64];
	int failed;

	if (mkdtemp(root) == NULL)
		return 1;
	server = server_new();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	server_free(server);
	snprintf(rm, sizeof(rm), "rm -rf %s", root);
	return system(rm) != 0 || failed != 0;
}
