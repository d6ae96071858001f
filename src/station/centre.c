#include "station/centre.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "base/secret.h"
#include "base/time.h"
#include "client/easy.h"
#include "client/problem.h"
#include "station/chip.h"
#include "work/file.h"

enum { ANSWER_MAX = 1 << 20, PATH_N = 512, TIMEOUT_S = 20 };

struct slot {
	CURL *curl;
	struct curl_slist *head;
	struct mm_buf body, answer;
	enum { IDLE, ASKING, ANSWERED } phase;
	CURLcode rc;
	char error[CURL_ERROR_SIZE];
};

struct mm_centre {
	CURLM *multi;
	const struct mm_station_conf *conf;
	struct mm_chip chip;
	struct slot slot[MM_CENTRE_SLOTS];
	enum mm_centre_is is;
	int64_t since_ms;
};

static size_t
on_body(char *p, size_t size, size_t n, void *arg)
{
	struct mm_buf *b = arg;

	mm_buf_put(b, p, size * n);
	return mm_buf_ok(b, NULL) == MM_OK ? size * n : 0;
}

/* What is missing is no trouble of the network's. */
static enum mm_err
check_files(const struct mm_station_conf *conf, struct mm_why *why)
{
	if (access(conf->key, F_OK) != 0 && errno == ENOENT)
		return MM_FAIL(why, MM_ENOTFOUND, "%.100s is not there: "
		    "mintmark-station enrol makes it", conf->key);
	if (access(conf->anchor, R_OK) != 0)
		return MM_FAIL(why, errno == ENOENT ? MM_ENOTFOUND : MM_ESYS,
		    "anchor, the centre's root.crt: %s: %.90s",
		    strerror(errno), conf->anchor);
	return MM_OK;
}

/* A station that works offline alone need not be known there. */
static bool
is_known(const struct mm_station_conf *conf)
{
	return conf->offline != MM_OFFLINE_ALWAYS || conf->sync_s > 0;
}

static enum mm_err
open_slot(struct mm_centre *c, struct slot *s, struct mm_why *why)
{
	mm_buf_init(&s->body, ANSWER_MAX);
	mm_buf_init(&s->answer, ANSWER_MAX);
	s->curl = curl_easy_init();
	if (s->curl == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	mm_easy_usual(s->curl, c->conf->anchor);
	if (is_known(c->conf)) {
		MM_TRY(check_files(c->conf, why));
		MM_TRY(mm_easy_cert(s->curl, c->conf->cert, c->conf->key,
		    why));
	}
	curl_easy_setopt(s->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(s->curl, CURLOPT_LOW_SPEED_TIME, (long)TIMEOUT_S);
	curl_easy_setopt(s->curl, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(s->curl, CURLOPT_ERRORBUFFER, s->error);
	curl_easy_setopt(s->curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(s->curl, CURLOPT_WRITEDATA, &s->answer);
	curl_easy_setopt(s->curl, CURLOPT_PRIVATE, s);
	s->head = curl_slist_append(NULL, "Content-Type: application/json");
	if (s->head == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	return MM_OK;
}

/* see centre.h */
enum mm_err
mm_centre_open(const struct mm_station_conf *conf, struct mm_centre **out,
    struct mm_why *why)
{
	MM_OWN(mm_centre_close) struct mm_centre *c = calloc(1, sizeof(*c));
	bool in_it;

	if (c == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	c->conf = conf;
	if (is_known(conf))
		MM_TRY(mm_chip_ready(&c->chip, conf, &in_it, why));
	c->multi = curl_multi_init();
	if (c->multi == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	curl_multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, 1L);
	for (unsigned i = 0; i < MM_CENTRE_SLOTS; i++)
		MM_TRY(open_slot(c, &c->slot[i], why));
	*out = MM_MOVE(c);
	return MM_OK;
}

/* see centre.h */
void
mm_centre_close(struct mm_centre **owner)
{
	struct mm_centre *c = *owner;

	if (c == NULL)
		return;
	for (unsigned i = 0; i < MM_CENTRE_SLOTS; i++) {
		struct slot *s = &c->slot[i];

		mm_centre_drop(c, i);
		if (s->curl != NULL)
			curl_easy_cleanup(s->curl);
		curl_slist_free_all(s->head);
		mm_buf_done(&s->body);
		mm_buf_wipe(&s->answer);
	}
	if (c->multi != NULL)
		(void)curl_multi_cleanup(c->multi);
	mm_chip_done(&c->chip);
	free(c);
	*owner = NULL;
}

/* see centre.h */
void
mm_centre_drop(struct mm_centre *c, unsigned slot)
{
	struct slot *s = &c->slot[slot];

	if (s->phase != IDLE)
		(void)curl_multi_remove_handle(c->multi, s->curl);
	s->phase = IDLE;
}

/* No time: as long as something comes. */
static enum mm_err
ask(struct mm_centre *c, struct slot *s, const char *path, const char *body,
    size_t most, long seconds, struct mm_why *why)
{
	char url[PATH_N];

	MM_INVARIANT(s->phase == IDLE);
	if ((size_t)snprintf(url, sizeof(url), "%s/api/v1%s", c->conf->centre,
	    path) >= sizeof(url))
		return MM_FAIL(why, MM_ELIMIT, "path too long");
	mm_buf_reset(&s->body);
	mm_buf_reset(&s->answer);
	s->answer.max = most;
	curl_easy_setopt(s->curl, CURLOPT_TIMEOUT, seconds);
	curl_easy_setopt(s->curl, CURLOPT_URL, url);
	curl_easy_setopt(s->curl, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(s->curl, CURLOPT_HTTPHEADER, NULL);
	if (body != NULL) {
		mm_buf_text(&s->body, body);
		MM_TRY(mm_buf_ok(&s->body, why));
		curl_easy_setopt(s->curl, CURLOPT_HTTPHEADER, s->head);
		curl_easy_setopt(s->curl, CURLOPT_POST, 1L);
		curl_easy_setopt(s->curl, CURLOPT_POSTFIELDSIZE,
		    (long)s->body.n);
		curl_easy_setopt(s->curl, CURLOPT_POSTFIELDS, s->body.p);
	}
	s->error[0] = '\0';
	if (curl_multi_add_handle(c->multi, s->curl) != CURLM_OK)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	s->phase = ASKING;
	return MM_OK;
}

/* see centre.h */
enum mm_err
mm_centre_ask(struct mm_centre *c, unsigned slot, const char *path,
    const char *body, struct mm_why *why)
{
	return ask(c, &c->slot[slot], path, body, ANSWER_MAX, TIMEOUT_S, why);
}

/* see centre.h */
enum mm_err
mm_centre_ask_order(struct mm_centre *c, const char *path, const char *body,
    struct mm_why *why)
{
	return ask(c, &c->slot[MM_CENTRE_SYNC], path, body, MM_WORK_FILE_MAX,
	    0, why);
}

/* What has ended meanwhile is taken off, so that it can be used again. */
static void
collect(struct mm_centre *c)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(c->multi, &left)) != NULL) {
		struct slot *s = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &s);
		s->rc = m->data.result;
		s->phase = ANSWERED;
	}
}

/* see centre.h */
void
mm_centre_wait(struct mm_centre *c, struct pollfd *p, unsigned n, int ms)
{
	struct curl_waitfd w[MM_FIXTURES_MOST + 8];
	unsigned nw = 0;
	int running;

	for (unsigned i = 0; i < n && nw < MM_FIXTURES_MOST + 8; i++)
		if (p[i].fd >= 0)
			w[nw++] = (struct curl_waitfd){ .fd = p[i].fd,
				.events = (short)((p[i].events & POLLIN
				    ? CURL_WAIT_POLLIN : 0) |
				    (p[i].events & POLLOUT
				    ? CURL_WAIT_POLLOUT : 0)) };
	(void)curl_multi_perform(c->multi, &running);
	(void)curl_multi_poll(c->multi, w, nw, ms, NULL);
	(void)curl_multi_perform(c->multi, &running);
	collect(c);
}

static void
note_is(struct mm_centre *c, enum mm_centre_is is)
{
	if (c->is == is)
		return;
	c->is = is;
	c->since_ms = mm_now_ms();
}

/* see centre.h */
enum mm_centre_is
mm_centre_is(const struct mm_centre *c, int64_t *since_ms)
{
	if (since_ms != NULL)
		*since_ms = c->since_ms;
	return c->is;
}

static void
judge(struct mm_centre *c, struct slot *s, struct mm_centre_answer *out)
{
	json_error_t where;
	long status = 0;

	note_is(c, s->rc == CURLE_OK ? MM_CENTRE_THERE : MM_CENTRE_AWAY);
	if (s->rc != CURLE_OK) {
		out->rc = mm_easy_failed(c->conf->centre, s->rc, s->error,
		    &out->why);
		return;
	}
	curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
	out->body = json_loadb((const char *)s->answer.p, s->answer.n,
	    JSON_REJECT_DUPLICATES, &where);
	mm_wipe(s->answer.p, s->answer.n); /* it may be a configuration */
	if (status >= 200 && status < 300 && status != 202) {
		if (out->body == NULL)
			out->rc = MM_FAIL(&out->why, MM_EAGAIN,
			    "the centre's answer is no JSON");
		return;
	}
	snprintf(out->reason, sizeof(out->reason), "%s",
	    mm_problem_reason(out->body));
	out->rc = mm_problem_fail(status, out->body, &out->why);
	json_decref(out->body);
	out->body = NULL;
}

/* see centre.h */
bool
mm_centre_take(struct mm_centre *c, unsigned slot,
    struct mm_centre_answer *out)
{
	struct slot *s = &c->slot[slot];

	if (s->phase != ANSWERED)
		return false;
	memset(out, 0, sizeof(*out));
	judge(c, s, out);
	mm_centre_drop(c, slot);
	return true;
}

/* see centre.h */
void
mm_centre_answer_done(struct mm_centre_answer *a)
{
	json_decref(a->body);
	a->body = NULL;
}
