#include "cli/client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "base/own.h"
#include "base/secret.h"
#include "client/easy.h"
#include "client/problem.h"

enum { ANSWER_MAX = 64 * 1024 * 1024, URL_N = 2048 };

struct mm_client {
	CURL *curl;
	char server[512];
	struct mm_secret *auth; /* the whole header line, with its NUL */
	char request_id[33];
	long retry_after_s; /* -1: not told */
	int64_t version;    /* the same */
	char idempotency[129];
	char approval[64]; /* a header line; "" none, or sent */
	char if_match[48]; /* the same */
	char waits[33];
	char error[CURL_ERROR_SIZE];
};

MM_FREE_FN(slist_free, struct curl_slist, curl_slist_free_all)

/* The key file's one line as "Authorization: Bearer ...". */
static enum mm_err
load_key(const char *path, struct mm_secret **out, struct mm_why *why)
{
	static const char head[] = "Authorization: Bearer ";
	MM_OWN(mm_secret_free) struct mm_secret *key = NULL;
	MM_OWN(mm_secret_free) struct mm_secret *line = NULL;

	MM_TRY(mm_secret_from_file(path, &key, why));
	MM_TRY(mm_secret_new(sizeof(head) + key->n, &line, why));
	memcpy(line->p, head, sizeof(head) - 1);
	memcpy(line->p + sizeof(head) - 1, key->p, key->n);
	line->p[sizeof(head) - 1 + key->n] = '\0';
	*out = MM_MOVE(line);
	return MM_OK;
}

static enum mm_err
use_cert(struct mm_client *c, const struct mm_client_conf *conf,
    struct mm_why *why)
{
	if (conf->cert == NULL)
		return conf->cert_key == NULL ? MM_OK
		    : MM_FAIL(why, MM_EINPUT, "--cert-key without --cert");
	if (conf->key_file != NULL)
		return MM_FAIL(why, MM_EINPUT, "an API key and a certificate: "
		    "want one of them");
	return mm_easy_cert(c->curl, conf->cert, conf->cert_key, why);
}

static size_t
on_body(char *p, size_t size, size_t n, void *arg)
{
	struct mm_buf *b = arg;

	mm_buf_put(b, p, size * n);
	return mm_buf_ok(b, NULL) == MM_OK ? size * n : 0;
}

static size_t
on_header(char *p, size_t size, size_t n, void *arg)
{
	struct mm_client *c = arg;
	char text[24], *end;

	(void)mm_easy_header(p, size * n, "x-request-id:", c->request_id,
	    sizeof(c->request_id));
	if (mm_easy_header(p, size * n, "retry-after:", text, sizeof(text))) {
		c->retry_after_s = strtol(text, &end, 10);
		if (end == text || *end != '\0' || c->retry_after_s < 0)
			c->retry_after_s = -1;
	}
	if (mm_easy_header(p, size * n, "etag:", text, sizeof(text)) &&
	    sscanf(text, "\"%" SCNd64 "\"", &c->version) != 1)
		c->version = -1;
	return size * n;
}

/* see client.h */
enum mm_err
mm_client_open(const struct mm_client_conf *conf, struct mm_client **out,
    struct mm_why *why)
{
	MM_OWN(mm_client_close) struct mm_client *c = calloc(1, sizeof(*c));
	size_t n = strlen(conf->server);

	if (c == NULL || (c->curl = curl_easy_init()) == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	/* paths bring their own slash */
	while (n > 0 && conf->server[n - 1] == '/')
		n--;
	if (n <= 8 || strncmp(conf->server, "https://", 8) != 0 ||
	    n >= sizeof(c->server))
		return MM_FAIL(why, MM_EINPUT,
		    "server: want https://host:port, not \"%.80s\"",
		    conf->server);
	memcpy(c->server, conf->server, n);
	if (conf->key_file != NULL)
		MM_TRY(load_key(conf->key_file, &c->auth, why));
	MM_TRY(use_cert(c, conf, why));
	mm_client_approval(c, conf->approval);
	mm_easy_usual(c->curl, conf->ca);
	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, 120L);
	curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, c->error);
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c->curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c->curl, CURLOPT_HEADERDATA, c);
	*out = MM_MOVE(c);
	return MM_OK;
}

/* see client.h */
void
mm_client_close(struct mm_client **owner)
{
	if (*owner == NULL)
		return;
	if ((*owner)->curl != NULL)
		curl_easy_cleanup((*owner)->curl);
	mm_secret_free(&(*owner)->auth);
	free(*owner);
	*owner = NULL;
}

/* see client.h */
const char *
mm_client_request_id(const struct mm_client *c)
{
	return c->request_id;
}

/* see client.h */
const char *
mm_client_waits(const struct mm_client *c)
{
	return c->waits;
}

/* see client.h */
long
mm_client_retry_after(const struct mm_client *c)
{
	return c->retry_after_s;
}

/* see client.h */
int64_t
mm_client_version(const struct mm_client *c)
{
	return c->version;
}

/* see client.h */
void
mm_client_if_version(struct mm_client *c, int64_t version)
{
	c->if_match[0] = '\0';
	if (version >= 0)
		snprintf(c->if_match, sizeof(c->if_match),
		    "If-Match: \"%" PRId64 "\"", version);
}

/* see client.h */
void
mm_client_approval(struct mm_client *c, const char *id)
{
	c->approval[0] = '\0';
	if (id != NULL)
		snprintf(c->approval, sizeof(c->approval),
		    "Mintmark-Approval: %.40s", id);
}

/* see client.h */
void
mm_client_hurry(struct mm_client *c, long seconds)
{
	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, seconds);
}

/* see client.h */
void
mm_client_idempotency(struct mm_client *c, const char *key)
{
	snprintf(c->idempotency, sizeof(c->idempotency),
	    "Idempotency-Key: %s", key);
}

static enum mm_err
add(struct curl_slist **list, const char *line)
{
	struct curl_slist *more = curl_slist_append(*list, line);

	if (more == NULL)
		return MM_ENOMEM;
	*list = more;
	return MM_OK;
}

struct call {
	const char *method, *url;
	const char *body; /* NULL: none */
	bool changes;     /* something at the server */
	struct mm_buf *answer;
	long status;
};

static enum mm_err
put_head(const struct mm_client *c, const struct call *k,
    struct curl_slist **head)
{
	if (c->auth != NULL)
		MM_TRY(add(head, (const char *)c->auth->p));
	if (k->body != NULL)
		MM_TRY(add(head, "Content-Type: application/json"));
	if (c->idempotency[0] != '\0')
		MM_TRY(add(head, c->idempotency));
	if (c->approval[0] != '\0' && k->changes)
		MM_TRY(add(head, c->approval));
	if (c->if_match[0] != '\0' && k->changes)
		MM_TRY(add(head, c->if_match));
	return add(head, "Expect:");
}

static void
set_options(struct mm_client *c, const struct call *k,
    struct curl_slist *head)
{
	curl_easy_setopt(c->curl, CURLOPT_URL, k->url);
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, head);
	curl_easy_setopt(c->curl, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, k->method);
	if (k->body != NULL || k->changes)
		curl_easy_setopt(c->curl, CURLOPT_COPYPOSTFIELDS,
		    k->body ? k->body : "");
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, k->answer);
}

static enum mm_err
exchange(struct mm_client *c, struct call *k, struct mm_why *why)
{
	MM_OWN(slist_free) struct curl_slist *head = NULL;
	CURLcode rc;

	MM_TRY(put_head(c, k, &head));
	set_options(c, k, head);
	c->request_id[0] = c->error[0] = '\0';
	c->retry_after_s = c->version = -1;
	rc = curl_easy_perform(c->curl);
	c->idempotency[0] = '\0';
	if (k->changes)
		c->approval[0] = c->if_match[0] = '\0';
	if (rc != CURLE_OK)
		return mm_easy_failed(c->server, rc, c->error, why);
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &k->status);
	return MM_OK;
}

/* 202: the answer names what it waits for. */
static enum mm_err
waiting(struct mm_client *c, const struct mm_buf *answer, struct mm_why *why)
{
	json_t *v = json_loadb((const char *)answer->p, answer->n, 0, NULL);
	const char *id = json_string_value(json_object_get(v, "approval"));

	snprintf(c->waits, sizeof(c->waits), "%s", id ? id : "?");
	json_decref(v);
	return MM_FAIL(why, MM_EAGAIN, "another administrator must approve "
	    "this first: approval %s", c->waits);
}

static enum mm_err
call(struct mm_client *c, const char *method, const char *path,
    const char *text, struct mm_buf *answer, struct mm_why *why)
{
	char url[URL_N];
	struct call k = { .method = method, .url = url, .body = text,
		.changes = strcmp(method, "GET") != 0, .answer = answer };
	json_t *v;
	enum mm_err rc;

	if ((size_t)snprintf(url, sizeof(url), "%s%s", c->server, path) >=
	    sizeof(url))
		return MM_FAIL(why, MM_ELIMIT, "path too long");
	c->waits[0] = '\0';
	MM_TRY(exchange(c, &k, why));
	if (k.status == 202)
		return waiting(c, answer, why);
	if (k.status >= 200 && k.status < 300)
		return MM_OK;
	v = json_loadb((const char *)answer->p, answer->n, 0, NULL);
	rc = mm_problem_fail(k.status, v, why);
	json_decref(v);
	return rc;
}

static enum mm_err
call_text(struct mm_client *c, const char *method, const char *path,
    const char *text, json_t **out, struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf answer = MM_BUF_INIT(ANSWER_MAX);
	char full[URL_N];
	json_error_t where;

	snprintf(full, sizeof(full), "/api/v1%s", path);
	MM_TRY(call(c, method, full, text, &answer, why));
	if (out == NULL)
		return MM_OK;
	*out = json_loadb((const char *)answer.p, answer.n,
	    JSON_REJECT_DUPLICATES, &where);
	if (*out == NULL)
		return MM_FAIL(why, MM_EAGAIN, "%s: not JSON: %s", path,
		    where.text);
	return MM_OK;
}

/* see client.h */
enum mm_err
mm_client_call(struct mm_client *c, const char *method, const char *path,
    json_t *body, json_t **out, struct mm_why *why)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	enum mm_err rc;

	if (body != NULL && text == NULL)
		return MM_FAIL(why, MM_EINPUT, "not a text that JSON can carry");
	rc = call_text(c, method, path, text, out, why);
	if (text != NULL)
		mm_wipe(text, strlen(text));
	free(text);
	return rc;
}

/* see client.h */
enum mm_err
mm_client_post(struct mm_client *c, const char *path, const char *text,
    json_t **out, struct mm_why *why)
{
	return call_text(c, "POST", path, text, out, why);
}

/* see client.h */
enum mm_err
mm_client_bytes(struct mm_client *c, const char *path, struct mm_buf *out,
    struct mm_why *why)
{
	return call(c, "GET", path, NULL, out, why);
}
