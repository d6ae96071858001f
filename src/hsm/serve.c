#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hsm/priv.h"

/*
 * The process that has the module.  Any failure of the token ends it: what
 * follows has a fresh module, and sessions that are what they seem to be.
 */
/* How soon a token that went is missed while nobody asks. */
#define LOOK_MS 2000
/* A module that hangs before anybody asks is ended by this. */
#define OPEN_MOST_S 60

struct lane {
	const struct mm_keeper *k;
	const struct mm_module *m;
	int fd;
	struct mm_session s;
};

static _Noreturn void
give_up(const struct mm_keeper *k, enum mm_err rc, const char *text,
    const char *refused)
{
	mm_keeper_tell(k, rc == MM_EAUTH ? MM_HSM_REFUSED : MM_HSM_AWAY, text,
	    refused);
	if (rc == MM_EAUTH)
		(void)!write(k->life, refused, strlen(refused));
	_exit(1);
}

/* ---- a lane ---- */

static enum mm_err
ready(struct lane *l, struct mm_why *why)
{
	if (l->s.handle == 0)
		MM_TRY(mm_session_open(l->m, l->k->by_hand, &l->s, why));
	return MM_OK;
}

static enum mm_err
run(struct lane *l, struct mm_bytes question, struct mm_buf *out,
    struct mm_why *why)
{
	struct mm_rd r = mm_rd_over(question);
	uint32_t number = mm_rd_u32(&r);
	unsigned op = mm_rd_u8(&r);
	struct mm_bytes in = mm_rd_take(&r, r.left);

	mm_buf_u32(out, number);
	mm_buf_u8(out, MM_OK);
	if (r.bad)
		return MM_FAIL(why, MM_EINPUT, "malformed");
	MM_TRY(ready(l, why));
	if (op == MM_HSM_SIGN) {
		MM_TRY(mm_session_find(&l->s, why));
		return mm_session_sign(&l->s, in, out, why);
	}
	if (op == MM_HSM_MAKE && l->k->by_hand && in.n == 1)
		MM_TRY(mm_session_make(&l->s, in.p[0], why));
	else if (op != MM_HSM_PUBLIC)
		return MM_FAIL(why, MM_EPOLICY, "no such question");
	return mm_session_public(&l->s, out, why);
}

/* The answer's number stays; its code and the rest are the failure's. */
static void
put_failure(struct mm_buf *out, enum mm_err rc, const struct mm_why *why)
{
	uint8_t number[4];

	memcpy(number, out->p, sizeof(number));
	mm_buf_reset(out);
	mm_buf_put(out, number, sizeof(number));
	mm_buf_u8(out, (uint8_t)rc);
	mm_buf_text(out, why->text);
}

static void *
lane_main(void *arg)
{
	struct lane *l = arg;
	struct mm_buf out = MM_BUF_INIT(MM_HSM_MESSAGE_MAX);
	uint8_t in[MM_HSM_MESSAGE_MAX];
	ssize_t n;

	while ((n = recv(l->fd, in, sizeof(in), 0)) > 0 ||
	    (n < 0 && errno == EINTR)) {
		struct mm_why why = { 0 };
		enum mm_err rc;

		if (n <= 0)
			continue;
		mm_buf_reset(&out);
		rc = run(l, (struct mm_bytes){ in, (size_t)n }, &out, &why);
		if (rc != MM_OK)
			put_failure(&out, rc, &why);
		(void)!send(l->fd, out.p, out.n, MSG_NOSIGNAL);
		if (rc == MM_EAGAIN || rc == MM_ENOTFOUND)
			l->s.key = 0;
		if (rc == MM_EAGAIN)
			give_up(l->k, rc, why.text, "");
	}
	mm_buf_done(&out);
	return NULL;
}

/* What was asked of the one before is given up. */
static void
drain(int fd)
{
	uint8_t in[MM_HSM_MESSAGE_MAX];

	while (recv(fd, in, sizeof(in), MSG_DONTWAIT) > 0)
		;
}

/* ---- the process ---- */

/* A key that is not there is looked for again, unless it is to be made. */
static enum mm_err
check_key(const struct mm_keeper *k, struct mm_module *m, struct mm_why *why)
{
	struct mm_session s = { .m = m, .handle = m->session };

	return k->by_hand ? MM_OK : mm_session_find(&s, why);
}

static void
open_all(const struct mm_keeper *k, struct mm_module *m)
{
	struct mm_why why = { 0 };
	char refused[MM_HSM_TEXT] = "";
	enum mm_err rc;

	alarm(OPEN_MOST_S);
	rc = mm_module_open(k, m, &why);
	if (rc == MM_OK)
		rc = mm_module_login(k, m, refused, &why);
	if (rc == MM_OK)
		rc = check_key(k, m, &why);
	alarm(0);
	if (rc != MM_OK)
		give_up(k, rc, why.text, refused);
}

/* A token that is taken out tells nobody. */
static _Noreturn void
watch(const struct mm_keeper *k, const struct mm_module *m)
{
	struct mm_why why = { 0 };
	CK_SESSION_INFO info;
	enum mm_err rc;
	CK_RV rv;

	do {
		poll(NULL, 0, LOOK_MS);
		rv = m->f->C_GetSessionInfo(m->session, &info);
	} while (rv == CKR_OK);
	rc = mm_module_fail("session", rv, &why);
	give_up(k, rc, why.text, "");
}

/* see priv.h */
_Noreturn void
mm_keeper_serve(const struct mm_keeper *k)
{
	struct mm_module m = { .uri = NULL };
	struct lane lane[MM_HSM_SESSIONS];
	pthread_t thread;

	for (size_t i = 0; i < MM_HSM_SESSIONS; i++)
		drain(k->lane[i]);
	open_all(k, &m);
	mm_keeper_tell(k, MM_HSM_READY, "", "");
	for (size_t i = 0; i < MM_HSM_SESSIONS; i++) {
		lane[i] = (struct lane){ .k = k, .m = &m, .fd = k->lane[i] };
		if (pthread_create(&thread, NULL, lane_main, &lane[i]) != 0)
			give_up(k, MM_EAGAIN, "cannot make a thread", "");
	}
	watch(k, &m);
}
