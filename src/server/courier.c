#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>

#include "base/log.h"
#include "base/own.h"
#include "base/time.h"
#include "sandbox/sandbox.h"
#include "server/courier.h"
#include "server/dial.h"
#include "server/mail.h"

/*
 * The courier: makes the POSTs that the server has prepared and signed, and
 * gives its mails to the mail server that the configuration names.  It
 * is the one process that may connect to others, and all that it has is what
 * it is to send: no database, no key, no link to the signer.
 *
 * One loop over libcurl's multi interface.  Nothing is remembered between
 * deliveries but open connections.
 */
enum {
	ANSWER_MAX = 64 * 1024, /* read of a receiver's answer */
	MAIL_CONNECT_MS = 15000, /* up to its first words, which may be slow */
	MAIL_ANSWER_S = 15, /* also to QUIT, for which all else waits */
	WAIT_MS = 60000,
};

struct post {
	struct courier *c;
	CURL *easy;
	struct curl_slist *head;
	struct mm_buf frame; /* what the body points into */
	struct mm_buf got;   /* of the answer's body: as much as is wanted */
	char error[CURL_ERROR_SIZE];
	char denied[MM_DIAL_ADDRESS]; /* the address that was not allowed */
	uint32_t tag;
	int64_t began;
	size_t head_n, answer_n, want;
	bool used, plain, mail;
	struct mm_bytes left; /* of a mail */
	struct curl_slist *to;
};

struct courier {
	const struct mm_settings *set;
	int link;
	CURLM *multi;
	struct mm_buf in, out;
	struct post post[MM_COURIER_MOST];
	unsigned used;
};

/* ---- one delivery ---- */

static struct post *
post_unused(struct courier *c)
{
	for (size_t i = 0; i < MM_COURIER_MOST; i++)
		if (!c->post[i].used)
			return &c->post[i];
	return NULL;
}

static void
post_end(struct post *p)
{
	if (p->used && p->easy != NULL)
		(void)curl_multi_remove_handle(p->c->multi, p->easy);
	curl_slist_free_all(p->head);
	curl_slist_free_all(p->to);
	p->head = p->to = NULL;
	if (p->mail && p->easy != NULL) { /* its options are no POST's */
		curl_easy_cleanup(p->easy);
		p->easy = NULL;
	}
	p->mail = false;
	mm_buf_done(&p->frame);
	mm_buf_done(&p->got);
	p->c->used -= p->used;
	p->used = false;
}

static enum mm_err
reply(struct courier *c, uint32_t tag, const struct mm_deliver_rep *rep,
    struct mm_why *why)
{
	mm_frame_begin(&c->out, MM_IPC_DELIVER);
	if (!mm_frame_put_rep(&c->out, tag, MM_OK, NULL, rep))
		return MM_FAIL(why, MM_EBUG, "an answer does not fit");
	return mm_ipc_send(c->link, mm_buf_view(&c->out), why);
}

/* What is of no use is read and dropped, to a limit: then the connection
 * goes, but the status counts.  What is wanted counts whole or not at all. */
static size_t
on_body(char *p, size_t size, size_t n, void *arg)
{
	struct post *post = arg;

	post->answer_n += size * n;
	if (post->want > 0) {
		mm_buf_put(&post->got, p, size * n);
		return post->got.err != MM_OK ? 0 : size * n;
	}
	return post->answer_n > ANSWER_MAX ? 0 : size * n;
}

static size_t
on_head(char *p, size_t size, size_t n, void *arg)
{
	struct post *post = arg;

	(void)p;
	return mm_dial_head(size * n, &post->head_n);
}

/* After the name was looked up: the address is what counts, so that a name
 * that changes its mind between check and use gains nothing. */
static curl_socket_t
on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct post *p = arg;
	enum mm_place place = mm_courier_place(&a->addr);
	bool good = purpose == CURLSOCKTYPE_IPCXN && place != MM_PLACE_NEVER;

	if (place != MM_PLACE_PUBLIC && p->c->set->webhook_deny_private &&
	    !p->mail)
		good = false;
	if (p->plain && place != MM_PLACE_LOOPBACK &&
	    (p->mail || !p->c->set->webhook_plain))
		good = false;
	return mm_dial_socket(a, good, p->denied);
}

static bool
add_line(struct post *p, const char *name, const char *value)
{
	char line[256];
	struct curl_slist *more;

	snprintf(line, sizeof(line), "%s: %s", name, value);
	more = curl_slist_append(p->head, line);
	if (more != NULL)
		p->head = more;
	return more != NULL;
}

static bool
add_head(struct post *p, const struct mm_deliver_req *req)
{
	char at[24];

	snprintf(at, sizeof(at), "%llu", (unsigned long long)req->at_s);
	/* Standard Webhooks 1.0.0, "Webhook headers" */
	return add_line(p, "Content-Type", "application/json") &&
	    add_line(p, "webhook-id", req->id) &&
	    add_line(p, "webhook-timestamp", at) &&
	    add_line(p, "webhook-signature", req->signature) &&
	    add_line(p, "Expect", "");
}

/* What is the same for all. */
static bool
prepare(struct post *p)
{
	const struct mm_settings *set = p->c->set;
	CURL *e = p->easy = mm_dial_new(p->error);

	if (e == NULL)
		return false;
	curl_easy_setopt(e, CURLOPT_PRIVATE, p);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, p);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_head);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, p);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, p);
	if (set->webhook_ca[0] != '\0') {
		curl_easy_setopt(e, CURLOPT_CAINFO, set->webhook_ca);
		curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
	}
	return true;
}

/* ---- mails ---- */

static size_t
on_read(char *out, size_t size, size_t n, void *arg)
{
	struct post *p = arg;
	size_t some = size * n < p->left.n ? size * n : p->left.n;

	memcpy(out, p->left.p, some);
	p->left.p += some;
	p->left.n -= some;
	return some;
}

/* RFC 5321: whereto, and in whose name, says the configuration that this
 * process has read; the server says only what is in it. */
static bool
address(struct post *p)
{
	const struct mm_settings *set = p->c->set;
	const char *at = strchr(set->mail_from, '@');
	char url[512];

	snprintf(url, sizeof(url), "%s://%s/%s",
	    set->mail_tls == MM_MAIL_SMTPS ? "smtps" : "smtp",
	    set->mail_server, at != NULL ? at + 1 : "localhost");
	for (size_t i = 0; i < set->mail_to.n; i++) {
		struct curl_slist *more = curl_slist_append(p->to,
		    set->mail_to.item[i]);

		if (more == NULL)
			return false;
		p->to = more;
	}
	return curl_easy_setopt(p->easy, CURLOPT_URL, url) == CURLE_OK &&
	    curl_easy_setopt(p->easy, CURLOPT_MAIL_FROM, set->mail_from) ==
	        CURLE_OK &&
	    curl_easy_setopt(p->easy, CURLOPT_MAIL_RCPT, p->to) == CURLE_OK;
}

static bool
mail_begin(struct post *p, const struct mm_deliver_req *req)
{
	const struct mm_settings *set = p->c->set;

	if (p->easy != NULL) /* of a POST before */
		curl_easy_cleanup(p->easy);
	p->easy = NULL;
	if (set->mail_to.n == 0 || !prepare(p) || !address(p))
		return false;
	p->plain = set->mail_tls == MM_MAIL_AUTO &&
	    mm_host_is_local(set->mail_server);
	p->left = req->body;
	curl_easy_setopt(p->easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	curl_easy_setopt(p->easy, CURLOPT_USE_SSL, p->plain ?
	    (long)CURLUSESSL_NONE : (long)CURLUSESSL_ALL);
	curl_easy_setopt(p->easy, CURLOPT_MAIL_RCPT_ALLLOWFAILS, 1L);
	curl_easy_setopt(p->easy, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(p->easy, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(p->easy, CURLOPT_INFILESIZE_LARGE,
	    (curl_off_t)p->left.n);
	curl_easy_setopt(p->easy, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(p->easy, CURLOPT_READDATA, p);
	curl_easy_setopt(p->easy, CURLOPT_TIMEOUT_MS, (long)MM_COURIER_MAIL_MS);
	curl_easy_setopt(p->easy, CURLOPT_CONNECTTIMEOUT_MS,
	    (long)MAIL_CONNECT_MS);
	curl_easy_setopt(p->easy, CURLOPT_SERVER_RESPONSE_TIMEOUT,
	    (long)MAIL_ANSWER_S);
	return curl_multi_add_handle(p->c->multi, p->easy) == CURLM_OK;
}

static bool
post_begin(struct post *p, const struct mm_deliver_req *req)
{
	p->error[0] = p->denied[0] = '\0';
	p->head_n = p->answer_n = 0;
	p->want = req->want < ANSWER_MAX ? req->want : ANSWER_MAX;
	mm_buf_init(&p->got, p->want);
	p->began = mm_mono_ms();
	p->mail = strcmp(req->url, MM_MAIL_URL) == 0;
	if (p->mail)
		return mail_begin(p, req);
	p->plain = strncmp(req->url, "https://", 8) != 0;
	if ((p->easy == NULL && !prepare(p)) || !add_head(p, req))
		return false;
	curl_easy_setopt(p->easy, CURLOPT_URL, req->url);
	curl_easy_setopt(p->easy, CURLOPT_TIMEOUT_MS, req->timeout_ms > 0 ?
	    (long)req->timeout_ms : (long)p->c->set->webhook_timeout_s * 1000);
	curl_easy_setopt(p->easy, CURLOPT_HTTPHEADER, p->head);
	curl_easy_setopt(p->easy, CURLOPT_POSTFIELDSIZE_LARGE,
	    (curl_off_t)req->body.n);
	curl_easy_setopt(p->easy, CURLOPT_POSTFIELDS, req->body.p);
	return curl_multi_add_handle(p->c->multi, p->easy) == CURLM_OK;
}

/* A receiver that said 2xx and then too much has said 2xx. */
static bool
answered(const struct post *p, CURLcode rc, long status)
{
	return status >= 100 && (rc == CURLE_OK || (p->want == 0 &&
	    rc == CURLE_WRITE_ERROR && p->head_n <= MM_DIAL_HEAD_MAX));
}

/* libcurl does not always say what the mail server replied. */
static void
say_reply(const struct post *p, CURLcode rc, struct mm_deliver_rep *rep)
{
	const char *text =
	    p->error[0] != '\0' ? p->error : curl_easy_strerror(rc);
	long code = 0;

	(void)curl_easy_getinfo(p->easy, CURLINFO_RESPONSE_CODE, &code);
	if (code > 0)
		snprintf(rep->why, sizeof(rep->why), "%.120s (reply %ld)",
		    text, code);
	else
		snprintf(rep->why, sizeof(rep->why), "%.150s", text);
}

static void
say_why(const struct post *p, CURLcode rc, struct mm_deliver_rep *rep)
{
	if (p->denied[0] != '\0' && p->mail)
		snprintf(rep->why, sizeof(rep->why), "%s: no mail goes "
		    "there: unencrypted to this machine alone (mail_tls), "
		    "to link-local addresses never", p->denied);
	else if (p->denied[0] != '\0')
		snprintf(rep->why, sizeof(rep->why), "%s: this address is "
		    "not allowed (webhook_deny_private, webhook_plain)",
		    p->denied);
	else if (p->mail)
		say_reply(p, rc, rep);
	else if (p->head_n > MM_DIAL_HEAD_MAX)
		snprintf(rep->why, sizeof(rep->why),
		    "the answer's head is too long");
	else if (p->got.err != MM_OK)
		snprintf(rep->why, sizeof(rep->why),
		    "the answer is too long");
	else
		snprintf(rep->why, sizeof(rep->why), "%.150s",
		    p->error[0] != '\0' ? p->error : curl_easy_strerror(rc));
	mm_dial_plain(rep->why);
}

static enum mm_err
post_done(struct post *p, CURLcode rc, struct mm_why *why)
{
	struct mm_deliver_rep rep = { 0 };
	uint32_t tag = p->tag;
	long status = 0;
	curl_off_t after = 0;
	enum mm_err sent;

	(void)curl_easy_getinfo(p->easy, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_easy_getinfo(p->easy, CURLINFO_RETRY_AFTER, &after);
	rep.took_ms = (uint32_t)(mm_mono_ms() - p->began);
	if (answered(p, rc, status)) {
		rep.status = (uint32_t)status;
		rep.retry_after_s = after > 0 ? (uint64_t)after : 0;
		rep.body = mm_buf_view(&p->got);
	} else {
		say_why(p, rc, &rep);
	}
	sent = reply(p->c, tag, &rep, why);
	post_end(p);
	return sent;
}

/* ---- the loop ---- */

static enum mm_err
refuse(struct courier *c, uint32_t tag, const char *text, struct mm_why *why)
{
	struct mm_deliver_rep rep = { 0 };

	snprintf(rep.why, sizeof(rep.why), "%s", text);
	return reply(c, tag, &rep, why);
}

/* One item a frame; the post takes the frame, its body lies in it. */
static enum mm_err
take(struct courier *c, struct mm_why *why)
{
	const struct mm_msg *m = mm_ipc_msg(MM_IPC_DELIVER);
	struct post *p = post_unused(c);
	struct mm_deliver_req req;
	struct mm_frame f;
	struct mm_bytes body;

	MM_TRY(mm_ipc_recv(c->link, &c->in, why));
	MM_TRY(mm_frame_parse(mm_buf_view(&c->in), &f, why));
	if (f.kind != MM_IPC_DELIVER || f.answer ||
	    !mm_frame_next(&f, &p->tag, &body))
		return MM_FAIL(why, MM_EINPUT, "not a delivery");
	MM_TRY(mm_fields_get(body, m->req, m->nreq, &req, why));
	p->frame = c->in;
	mm_buf_init(&c->in, MM_IPC_FRAME_MAX);
	p->used = true;
	c->used++;
	if (post_begin(p, &req))
		return MM_OK;
	post_end(p);
	return refuse(c, p->tag, "the courier is out of memory", why);
}

static enum mm_err
finish_done(struct courier *c, struct mm_why *why)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(c->multi, &left)) != NULL) {
		struct post *p;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &p);
		MM_TRY(post_done(p, msg->data.result, why));
	}
	return MM_OK;
}

static enum mm_err
turn(struct courier *c, struct mm_why *why)
{
	struct curl_waitfd w = { .fd = c->link, .events = CURL_WAIT_POLLIN };
	unsigned n = c->used < MM_COURIER_MOST;
	int running;

	if (curl_multi_perform(c->multi, &running) != CURLM_OK)
		return MM_FAIL(why, MM_ESYS, "libcurl failed");
	MM_TRY(finish_done(c, why));
	if (curl_multi_poll(c->multi, &w, n, WAIT_MS, NULL) != CURLM_OK)
		return MM_FAIL(why, MM_ESYS, "libcurl cannot wait");
	return n > 0 && w.revents != 0 ? take(c, why) : MM_OK;
}

/* Until the server closes its end. */
static enum mm_err
deliver(struct courier *c, struct mm_why *why)
{
	enum mm_err rc = MM_OK;

	while (rc == MM_OK)
		rc = turn(c, why);
	return rc == MM_ENOTFOUND ? MM_OK : rc;
}

/* ---- the process ---- */

static enum mm_err
fence(const struct mm_settings *set, struct mm_why *why)
{
	char ca[MM_PATH_MAX + 1] = "/etc/ssl";
	const struct mm_sandbox_path more = { ca, 0 };

	if (set->webhook_ca[0] != '\0')
		mm_dial_folder(set->webhook_ca, ca);
	return mm_dial_fence(&more, 1, why);
}

static enum mm_err
run(struct courier *c, struct mm_why *why)
{
	MM_TRY(mm_sandbox_drop(c->set->server_user, NULL, why));
	(void)prctl(PR_SET_NAME, "mintmark-post");
	MM_TRY(mm_sandbox_harden(0, why));
	MM_TRY(mm_dial_begin(&c->multi, why));
	MM_TRY(fence(c->set, why));
	return deliver(c, why);
}

static void
done(struct courier *c)
{
	for (size_t i = 0; i < MM_COURIER_MOST; i++) {
		post_end(&c->post[i]);
		if (c->post[i].easy != NULL)
			curl_easy_cleanup(c->post[i].easy);
	}
	if (c->multi != NULL)
		curl_multi_cleanup(c->multi);
	mm_buf_done(&c->in);
	mm_buf_done(&c->out);
	free(c);
}

/* see priv.h */
int
mm_courier_run(const struct mm_run_args *args)
{
	MM_OWN(mm_config_free) struct mm_config *config = NULL;
	struct mm_why why = { 0 };
	enum mm_err rc = mm_config_load(args->config_path, &config, &why);
	struct courier *c = calloc(1, sizeof(*c));

	if (rc != MM_OK || c == NULL) {
		free(c);
		return mm_server_fail("courier", rc, &why);
	}
	mm_log_open("mintmark-courier",
	    (enum mm_log_level)config->set.log_level);
	(void)signal(SIGPIPE, SIG_IGN);
	c->set = &config->set;
	c->link = args->control;
	mm_buf_init(&c->in, MM_IPC_FRAME_MAX);
	mm_buf_init(&c->out, MM_IPC_FRAME_MAX);
	for (size_t i = 0; i < MM_COURIER_MOST; i++)
		c->post[i].c = c;
	rc = run(c, &why);
	done(c);
	return rc == MM_OK ? 0 : mm_server_fail("courier", rc, &why);
}
