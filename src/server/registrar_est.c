#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "base/log.h"
#include "base/own.h"
#include "base/time.h"
#include "server/courier.h"
#include "server/dial.h"
#include "server/registrar.h"

/*
 * One question by EST (RFC 7030 4.2.1, RFC 8951): the device's own request to
 * /simpleenroll, in our name, and what is made of what comes of it.  A renewal
 * goes there, too: /simplereenroll wants the connection to be the device's.
 *
 * Each has a connection of its own: on one that is kept libcurl sends a
 * request again by itself when it died meanwhile, and a CA that was asked
 * twice may have made two.
 */
enum {
	WAIT_MS = 60000,     /* when there is nothing to wait for */
	LINE = 64,           /* of base64: what any server reads */
};

struct mm_est_call {
	CURLM *multi;
	CURL *easy;
	struct curl_slist *head;
	struct mm_buf sent, got;
	char error[CURL_ERROR_SIZE];
	char denied[MM_DIAL_ADDRESS]; /* that was not allowed */
	size_t head_n;
	unsigned alert;      /* TLS, that the server ended it with */
	bool added, over;
	CURLcode rc;
};

/* ---- libcurl's questions ---- */

/* Of no use but a certificate's; what is longer is cut off. */
static size_t
on_body(char *p, size_t size, size_t n, void *arg)
{
	struct mm_est_call *c = arg;

	mm_buf_put(&c->got, p, size * n);
	return c->got.err != MM_OK ? 0 : size * n;
}

static size_t
on_head(char *p, size_t size, size_t n, void *arg)
{
	struct mm_est_call *c = arg;

	(void)p;
	return mm_dial_head(size * n, &c->head_n);
}

/* A CA may well be in the house; a link-local address never is one. */
static curl_socket_t
on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct mm_est_call *c = arg;

	return mm_dial_socket(a, purpose == CURLSOCKTYPE_IPCXN &&
	    mm_courier_place(&a->addr) != MM_PLACE_NEVER, c->denied);
}

static void
on_tls(const SSL *ssl, int where, int what)
{
	struct mm_est_call *c = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT &&
	    what >> 8 == SSL3_AL_FATAL)
		c->alert = (unsigned)what & 0xff;
}

static CURLcode
on_context(CURL *easy, void *context, void *arg)
{
	(void)easy;
	SSL_CTX_set_app_data((SSL_CTX *)context, arg);
	SSL_CTX_set_info_callback((SSL_CTX *)context, on_tls);
	return CURLE_OK;
}

/* ---- the request ---- */

static bool
add_line(struct mm_est_call *c, const char *line)
{
	struct curl_slist *more = curl_slist_append(c->head, line);

	if (more != NULL)
		c->head = more;
	return more != NULL;
}

/* RFC 7030 4.2.1; the encoding, which RFC 8951 3.1 takes away, older servers
 * want. */
static bool
put_request(struct mm_est_call *c, const struct mm_asking *a)
{
	char url[MM_URL_MAX + sizeof("/simpleenroll")];

	snprintf(url, sizeof(url), "%s/simpleenroll", a->issuer->est);
	mm_base64_put(&c->sent, a->q.csr, LINE);
	return mm_buf_ok(&c->sent, NULL) == MM_OK &&
	    add_line(c, "Content-Type: application/pkcs10") &&
	    add_line(c, "Content-Transfer-Encoding: base64") &&
	    add_line(c, "Accept: application/pkcs7-mime") &&
	    add_line(c, "Expect:") &&
	    curl_easy_setopt(c->easy, CURLOPT_URL, url) == CURLE_OK &&
	    curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->head) ==
	        CURLE_OK &&
	    curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE_LARGE,
	        (curl_off_t)c->sent.n) == CURLE_OK &&
	    curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, c->sent.p) ==
	        CURLE_OK;
}

static bool
put_blob(struct mm_est_call *c, CURLoption option, const struct mm_buf *b)
{
	struct curl_blob blob = { b->p, b->n, CURL_BLOB_COPY };

	return curl_easy_setopt(c->easy, option, &blob) == CURLE_OK;
}

static bool
put_password(struct mm_est_call *c, struct mm_bytes said)
{
	char text[1025]; /* mm_secret_from_file's most */
	char *colon;
	bool good;

	memcpy(text, said.p, said.n);
	text[said.n] = '\0';
	colon = strchr(text, ':');
	*colon = '\0';
	good = curl_easy_setopt(c->easy, CURLOPT_HTTPAUTH,
	        (long)CURLAUTH_BASIC) == CURLE_OK &&
	    curl_easy_setopt(c->easy, CURLOPT_USERNAME, text) == CURLE_OK &&
	    curl_easy_setopt(c->easy, CURLOPT_PASSWORD, colon + 1) ==
	        CURLE_OK;
	mm_wipe(text, sizeof(text));
	return good;
}

/* Its anchors, and no folder of the system's; an empty passphrase, so that
 * none is asked for. */
static bool
put_who(struct mm_est_call *c, const struct mm_est_who *w)
{
	curl_easy_setopt(c->easy, CURLOPT_CAINFO, NULL);
	curl_easy_setopt(c->easy, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(c->easy, CURLOPT_KEYPASSWD, "");
	if (!put_blob(c, CURLOPT_CAINFO_BLOB, &w->anchors))
		return false;
	if (w->password != NULL)
		return put_password(c, mm_secret_view(w->password));
	return put_blob(c, CURLOPT_SSLCERT_BLOB, &w->certificate) &&
	    put_blob(c, CURLOPT_SSLKEY_BLOB, &w->key);
}

static bool
put_options(struct mm_est_call *c, int64_t within_s)
{
	CURL *e = c->easy = mm_dial_new(c->error);

	if (e == NULL)
		return false;
	curl_easy_setopt(e, CURLOPT_PRIVATE, c);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(e, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)within_s * 1000);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_head);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, c);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, c);
	return curl_easy_setopt(e, CURLOPT_SSL_CTX_FUNCTION, on_context) ==
	        CURLE_OK &&
	    curl_easy_setopt(e, CURLOPT_SSL_CTX_DATA, c) == CURLE_OK;
}

static enum mm_err
begin(struct mm_est_call *c, const struct mm_asking *a,
    const struct mm_est_who *w, struct mm_why *why)
{
	mm_buf_init(&c->sent, 2 * MM_CSR_MAX);
	mm_buf_init(&c->got, MM_EST_ANSWER_MAX);
	if (!put_options(c, a->issuer->answer_within_s) || !put_who(c, w) ||
	    !put_request(c, a) ||
	    curl_multi_add_handle(c->multi, c->easy) != CURLM_OK)
		return MM_FAIL(why, MM_ENOMEM, "the registrar is out of "
		    "memory");
	c->added = true;
	return MM_OK;
}

/* What is wrong with files of ours is nothing that the CA has said. */
static enum mm_err
start(void *ctx, struct mm_asking *a, const char *folder, size_t n,
    struct mm_why *why)
{
	struct mm_est_who w;
	struct mm_why no = { 0 };
	enum mm_err rc;

	(void)folder, (void)n;
	if (mm_est_who_read(a->issuer, &w, &no) != MM_OK)
		return MM_FAIL(why, MM_EAGAIN, "%s", no.text);
	a->call = calloc(1, sizeof(*a->call));
	if (a->call != NULL)
		a->call->multi = ctx;
	rc = a->call == NULL ? MM_ENOMEM : begin(a->call, a, &w, why);
	mm_est_who_done(&w);
	/* libcurl's own end comes first */
	a->end_ms = mm_mono_ms() + 1000 * (a->issuer->answer_within_s + 1);
	return rc;
}

/* ---- the answer ---- */

static bool
was_sent(const struct mm_est_call *c)
{
	curl_off_t n = 0;

	return curl_easy_getinfo(c->easy, CURLINFO_SIZE_UPLOAD_T, &n) !=
	    CURLE_OK || n >= (curl_off_t)c->sent.n;
}

static void
say_silence(const struct mm_est_call *c, struct mm_outcome *out)
{
	const char *text = c->error[0] != '\0' ? c->error :
	    curl_easy_strerror(c->rc);

	out->how = mm_est_silence(was_sent(c), c->alert);
	if (c->denied[0] != '\0')
		snprintf(out->text, sizeof(out->text), "%s: no CA is asked "
		    "at such an address", c->denied);
	else if (c->got.err != MM_OK || c->head_n > MM_DIAL_HEAD_MAX)
		snprintf(out->text, sizeof(out->text),
		    "the CA's answer is too long");
	else if (c->alert != 0)
		snprintf(out->text, sizeof(out->text), "the CA's server "
		    "ended the connection: TLS alert %.60s",
		    SSL_alert_desc_string_long((int)c->alert));
	else
		snprintf(out->text, sizeof(out->text), "%.150s", text);
	mm_dial_plain(out->text);
}

/* No word of what it wrote: it may have repeated our password in it. */
static void
say_status(const struct mm_est_call *c, long status, struct mm_outcome *out)
{
	curl_off_t after = 0;

	(void)curl_easy_getinfo(c->easy, CURLINFO_RETRY_AFTER, &after);
	out->retry_after_s = mm_est_wait_s(out->how, after);
	if (out->how == MM_FORWARD_AWAY && out->retry_after_s > 0)
		snprintf(out->text, sizeof(out->text), "the CA answered %ld: "
		    "it is not to be asked for %llu s", status,
		    (unsigned long long)out->retry_after_s);
	else
		snprintf(out->text, sizeof(out->text), "the CA answered %ld%s",
		    status, status == 202 ? ": it has yet to decide" :
		    status / 100 == 3 ? ": it names another address, which "
		    "is not followed" : "");
}

static void
take_answer(const struct mm_asking *a, struct mm_outcome *out)
{
	struct mm_why why = { 0 };

	if (mm_est_certificate(mm_buf_view(&a->call->got), &a->csr, &out->der,
	    &why) == MM_OK) {
		mm_outcome_judge(a, out);
		return;
	}
	mm_buf_reset(&out->der);
	out->how = MM_FORWARD_LOST;
	snprintf(out->text, sizeof(out->text), "the CA's answer: %.130s",
	    why.text);
}

/* A status counts even if what is said with it is cut off; not so a
 * certificate. */
static bool
look(struct mm_asking *a, struct mm_outcome *out)
{
	struct mm_est_call *c = a->call;
	long status = 0;

	mm_buf_init(&out->der, MM_CERT_MAX);
	if (!c->over)
		return false;
	(void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	out->how = mm_est_meaning(status);
	if (status == 0 || (status == 200 && c->rc != CURLE_OK))
		say_silence(c, out);
	else if (out->how == MM_FORWARD_MADE)
		take_answer(a, out);
	else
		say_status(c, status, out);
	return true;
}

static void
done(struct mm_asking *a)
{
	struct mm_est_call *c = a->call;

	if (c == NULL)
		return;
	if (c->added)
		(void)curl_multi_remove_handle(c->multi, c->easy);
	curl_easy_cleanup(c->easy);
	curl_slist_free_all(c->head);
	mm_buf_done(&c->sent);
	mm_buf_done(&c->got);
	free(c);
	a->call = NULL;
}

/* ---- the process ---- */

static enum mm_err
move_on(CURLM *multi, struct mm_why *why)
{
	struct mm_est_call *c;
	CURLMsg *msg;
	int left;

	if (curl_multi_perform(multi, &left) != CURLM_OK)
		return MM_FAIL(why, MM_ESYS, "libcurl failed");
	while ((msg = curl_multi_info_read(multi, &left)) != NULL) {
		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &c);
		c->over = true;
		c->rc = msg->data.result;
	}
	return MM_OK;
}

static enum mm_err
wait_for(void *ctx, const struct mm_asking *at, struct pollfd *wake, nfds_t n,
    int ms, struct mm_why *why)
{
	struct curl_waitfd w[4];

	(void)at;
	MM_INVARIANT(n <= 4);
	for (nfds_t i = 0; i < n; i++)
		w[i] = (struct curl_waitfd){ .fd = wake[i].fd,
			.events = CURL_WAIT_POLLIN };
	if (curl_multi_poll(ctx, w, (unsigned)n, ms < 0 ? WAIT_MS : ms,
	    NULL) != CURLM_OK)
		return MM_FAIL(why, MM_ESYS, "libcurl cannot wait");
	for (nfds_t i = 0; i < n; i++)
		wake[i].revents = w[i].revents;
	return move_on(ctx, why);
}

/* One issuer's folder does not keep the others from being asked. */
static bool
can_reach(const char *issuer, const char *folder)
{
	int fd = open(folder, O_PATH | O_CLOEXEC);

	if (fd >= 0)
		(void)close(fd);
	else
		MM_LOG(MM_LOG_WARN, "folder", MM_S("issuer", issuer),
		    MM_S("folder", folder), MM_S("why", strerror(errno)));
	return fd >= 0;
}

/* Of the issuers that are asked: each file's folder, for a file is replaced
 * by another that takes its name. */
static enum mm_err
fence(const struct mm_config *c, const char *folder, struct mm_why *why)
{
	enum { EACH = 5 };
	const size_t most = EACH * c->nissuer + 1;
	struct mm_sandbox_path *paths = calloc(most, sizeof(*paths));
	char (*names)[MM_PATH_MAX + 1] = calloc(most, sizeof(*names));
	enum mm_err rc = MM_ENOMEM;
	size_t n = 0;

	for (size_t i = 0; names != NULL && i < c->nissuer; i++) {
		const struct mm_issuer_conf *at = &c->issuer[i];
		const char *const files[EACH] = { at->certificate,
			at->est_anchors, at->est_certificate, at->est_key,
			at->est_password_file };

		for (size_t k = 0; mm_issuer_est(at) && !at->retired &&
		    k < EACH; k++)
			if (files[k][0] != '\0') {
				mm_dial_folder(files[k], names[n]);
				n += can_reach(at->name, names[n]);
			}
	}
	for (size_t i = 0; paths != NULL && i < n; i++)
		paths[i] = (struct mm_sandbox_path){ names[i], 0 };
	if (paths != NULL && names != NULL) {
		paths[n] = (struct mm_sandbox_path){ folder, 1 };
		rc = mm_dial_fence(paths, n + 1, why);
	}
	free(paths);
	free(names);
	return rc;
}

static enum mm_err
open_way(const struct mm_config *c, const char *folder, void **ctx,
    struct mm_why *why)
{
	CURLM *multi = NULL;

	MM_TRY(mm_dial_begin(&multi, why));
	*ctx = multi;
	return fence(c, folder, why);
}

static void
close_way(void **ctx)
{
	if (*ctx != NULL)
		(void)curl_multi_cleanup(*ctx);
	*ctx = NULL;
}

/* see registrar.h */
const struct mm_way mm_way_est = { .name = "mintmark-est",
	.log = "mintmark-registrar", .role = "registrar-est", .est = true, .open = open_way,
	.close = close_way, .start = start, .look = look, .done = done,
	.wait = wait_for };
