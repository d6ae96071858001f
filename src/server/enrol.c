#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/faults.h"
#include "base/log.h"
#include "server/rest.h"

/*
 * Enrolment, renewal and confirmation: who asks (issuance step 1), what is
 * asked (step 2), then a job for the core, and its answer (step 7).
 *
 * Exactly one authority a request: the token that made the connection, the
 * token in an Authorization header, or the client certificate.
 */
enum { BODY_MAX = 256 * 1024, RETRY_S = 5 };

const struct mm_endpoint
    mm_endpoint_enroll = { MM_JOB_ENROL, false },
    mm_endpoint_reenroll = { MM_JOB_REENROL, false },
    mm_endpoint_keygen = { MM_JOB_KEYGEN, false },
    mm_endpoint_json = { MM_JOB_ENROL, true },
    mm_endpoint_confirm = { MM_JOB_CONFIRM, false };

/* A request whose answer is awaited. */
struct claim {
	struct mm_http_task task;
	struct mm_server *s;
	struct mm_http_ref ref;
	const struct mm_endpoint *end;
	struct mm_job *job;
	bool first; /* EST without Authorization: the 401 only asks for it */
	char id[17];
};

/* A request being read. */
struct entry {
	struct mm_server *s;
	const struct mm_http_req *req;
	const struct mm_endpoint *end;
	struct mm_job *job;
	json_t *body;            /* json only */
	int status;              /* where no mm_err says it; else 0 */
	enum mm_reason reason;
};

/* ---- answers ---- */

static bool
is_text(const struct mm_endpoint *end)
{
	return !end->json && end->kind != MM_JOB_CONFIRM;
}

static void
answer_refusal(struct mm_http_resp *resp, const struct claim *c, int status,
    enum mm_reason reason, const char *text)
{
	const char *r = mm_reason_text(reason);

	if (text[0] == '\0' || strcmp(text, r) == 0)
		text = mm_answer_sentence(reason);
	/* Bouncy Castle's client takes a body here for an error. */
	if (status == 401 && c->first)
		resp->status = status;
	else if (is_text(c->end))
		mm_answer_reason(resp, status, r, text);
	else
		mm_answer_problem(resp, status,
		    mm_err_slug(c->job->result), text, r, c->id);
	if (status == 401)
		mm_http_resp_header(resp, "WWW-Authenticate",
		    "Basic realm=\"mintmark\", charset=\"UTF-8\"");
	if (status == 503 || status == 429)
		mm_answer_retry(resp, c->job->retry_after_s > 0
		    ? c->job->retry_after_s : RETRY_S);
	MM_LOG(MM_LOG_INFO, "refused", MM_S("id", c->id),
	    MM_I("status", status), MM_S("reason", r),
	    MM_S("device", c->job->device), MM_S("text", text));
}

static void
answer_json(struct mm_http_resp *resp, const struct claim *c)
{
	struct mm_json j = mm_json_over(&resp->body);

	mm_json_open(&j, '{');
	mm_rest_put_issued(&j, c->job,
	    mm_est_chain(c->s->est, c->job->issuer));
	mm_json_close(&j, '}');
	resp->content_type = "application/json";
}

/* The certificate alone, or with its chain where the profile says so. */
static void
put_certs(struct mm_buf *out, const struct claim *c, unsigned wrap)
{
	const struct mm_profile *p =
	    mm_config_profile(c->s->config, c->job->profile);
	const struct mm_chain *chain =
	    mm_est_chain(c->s->est, c->job->issuer);
	struct mm_bytes der[MM_CHAIN_MAX + 1] = {
		mm_buf_view(&c->job->der) };
	size_t n = 1;

	if (p != NULL && p->deliver_chain)
		for (size_t i = 0; i < chain->n; i++)
			der[n++] = chain->der[i];
	mm_est_put_pkcs7(out, &c->s->loop[c->ref.loop].scratch, der, n, wrap);
}

/* RFC 7030 4.2.3 and 4.4.2 */
static void
answer_est(struct mm_http_resp *resp, const struct claim *c)
{
	unsigned wrap = mm_est_wrap(c->s->est, c->job->label);
	struct mm_buf p7 = MM_BUF_INIT(BODY_MAX);

	if (c->end->kind != MM_JOB_KEYGEN) {
		put_certs(&resp->body, c, wrap);
		resp->content_type =
		    "application/pkcs7-mime; smime-type=certs-only";
		mm_http_resp_header(resp, "Content-Transfer-Encoding",
		    "base64");
		return;
	}
	put_certs(&p7, c, wrap);
	mm_est_put_keygen(&resp->body, mm_secret_view(c->job->pkcs8),
	    mm_buf_view(&p7), wrap);
	if (p7.err != MM_OK) /* the key alone is no answer */
		resp->body.err = p7.err;
	mm_buf_done(&p7);
	resp->content_type = "multipart/mixed; boundary=" MM_EST_BOUNDARY;
}

/* RFC 9110 15.5.2: 401 is for who may send an Authorization; a connection
 * made by a token or a certificate may not. */
static int
status_of(const struct mm_job *job)
{
	int status = mm_err_http(job->result);

	return status == 401 && job->authority.kind != MM_AUTH_TOKEN_BASIC
	    ? 403 : status;
}

static void
answer(struct claim *c)
{
	struct mm_http_resp resp = { .status = 200 };
	const struct mm_job *job = c->job;

	mm_buf_init(&resp.body, BODY_MAX);
	if (job->result != MM_OK)
		answer_refusal(&resp, c, status_of(job), job->reason,
		    job->why.text);
	else if (c->end->kind == MM_JOB_CONFIRM)
		resp.status = 204;
	else if (c->end->json)
		answer_json(&resp, c);
	else
		answer_est(&resp, c);
	mm_http_answer(c->s->http, c->ref, &resp);
}

static void
claim_free(struct claim *c)
{
	mm_job_free(&c->job);
	free(c);
}

static void
finish(struct mm_http_loop *loop, void *arg)
{
	(void)loop;
	answer(arg);
	claim_free(arg);
}

/* see priv.h */
void
mm_enrol_done(void *ctx, struct mm_job *list)
{
	struct mm_server *s = ctx;
	struct mm_http_task *first = NULL, **last = &first;

	while (list != NULL) {
		struct mm_job *job = list;
		struct claim *c = job->user;

		list = job->next;
		if (c == NULL) {
			mm_job_free(&job);
			continue;
		}
		c->task = (struct mm_http_task){ .loop = c->ref.loop,
			.run = finish, .arg = c };
		*last = &c->task;
		last = &c->task.next;
	}
	if (first != NULL)
		mm_http_post(s->http, first);
}

/* ---- posting ---- */

static void
post_later(struct mm_server *s, uint16_t loop, struct mm_job *job)
{
	struct mm_loop_state *l = &s->loop[loop];

	job->loop = loop;
	job->next = NULL;
	if (l->first == NULL)
		l->last = &l->first;
	*l->last = job;
	l->last = &job->next;
}

/* see priv.h */
void
mm_enrol_round(void *ctx, struct mm_http_loop *loop)
{
	struct mm_server *s = ctx;
	struct mm_loop_state *l = &s->loop[mm_http_loop_number(loop)];

	if (l->first != NULL)
		mm_core_post(s->core, MM_MOVE(l->first));
}

/* ---- who asks ---- */

/* see priv.h */
enum mm_err
mm_enrol_device(const struct mm_http_req *req, struct mm_authority *a,
    enum mm_reason *reason, struct mm_why *why)
{
	const struct mm_conn *c = req->conn_data;

	*reason = MM_R_CREDENTIAL;
	if (c == NULL || c->der.n == 0)
		return MM_FAIL(why, MM_EPOLICY,
		    "this wants a client certificate (mutual TLS)");
	*reason = MM_R_CERT_UNKNOWN;
	if (c->cert_bad)
		return MM_FAIL(why, MM_EPOLICY, "client certificate: %s",
		    c->cert_why);
	if (mm_authority_device(a, mm_buf_view(&c->der), why) != MM_OK)
		return MM_EPOLICY;
	*reason = MM_R_NONE;
	return MM_OK;
}

/* RFC 7617 2: "Basic " and the base64 of user-id ":" password. */
static enum mm_err
basic(struct entry *e, struct mm_bytes header)
{
	struct mm_buf text = MM_BUF_INIT(256);
	struct mm_bytes b = { header.p + 6, header.n - 6 };
	const uint8_t *colon;
	enum mm_err rc = MM_EAUTH;
	bool lacked;

	if (header.n > 6 && header.n < 256 &&
	    strncasecmp((const char *)header.p, "Basic ", 6) == 0 &&
	    mm_base64_parse(b, &text, NULL) == MM_OK && text.n > 0 &&
	    (colon = memchr(text.p, ':', text.n)) != NULL) {
		size_t user = (size_t)(colon - text.p);
		rc = mm_authority_token_basic(&e->job->authority,
		    (struct mm_bytes){ text.p, user },
		    (struct mm_bytes){ colon + 1, text.n - user - 1 }, NULL);
	}
	lacked = text.err == MM_ENOMEM;
	mm_buf_wipe(&text);
	if (rc == MM_OK)
		return MM_OK;
	if (lacked)
		return MM_FAIL(&e->job->why, MM_ENOMEM, "out of memory");
	e->reason = MM_R_CREDENTIAL;
	return MM_FAIL(&e->job->why, MM_EAUTH,
	    "Authorization: unknown or wrong");
}

/* Whether HTTP authentication is offered at this label at all; without a
 * label the product decides later, so any profile's word counts. */
static bool
bearer_allowed(const struct entry *e)
{
	const struct mm_profile *p = mm_core_label(e->s->core, e->job->label);
	const struct mm_config *c = e->s->config;

	if (p != NULL)
		return p->bearer;
	for (size_t i = 0; i < c->nprofile; i++)
		if (c->profile[i].bearer)
			return true;
	return false;
}

static bool
enrols(const struct entry *e)
{
	return e->end->kind == MM_JOB_ENROL || e->end->kind == MM_JOB_KEYGEN;
}

static enum mm_err
by_token_connection(struct entry *e, const struct mm_conn *c, bool header)
{
	struct mm_why *why = &e->job->why;

	e->reason = MM_R_CREDENTIAL;
	if (header)
		return MM_FAIL(why, MM_EINPUT, "one authority a request: the "
		    "token has made this connection, so no Authorization");
	if (!enrols(e))
		return MM_FAIL(why, MM_EPOLICY,
		    "this wants the device's certificate, not a token");
	e->reason = MM_R_NONE;
	mm_authority_token_psk(&e->job->authority, c->id);
	return MM_OK;
}

static enum mm_err
by_certificate(struct entry *e)
{
	const struct mm_conn *c = e->req->conn_data;

	MM_TRY(mm_enrol_device(e->req, &e->job->authority, &e->reason,
	    &e->job->why));
	/* An expired identity is good for late renewal only. */
	if (!c->cert_expired || e->end->kind == MM_JOB_REENROL)
		return MM_OK;
	e->reason = MM_R_CERT_EXPIRED;
	return MM_FAIL(&e->job->why, MM_EPOLICY,
	    "the certificate has expired: simplereenroll only");
}

static enum mm_err
by_header(struct entry *e, struct mm_bytes header)
{
	const struct mm_conn *c = e->req->conn_data;
	struct mm_authority peer;

	e->reason = MM_R_CREDENTIAL;
	if (!enrols(e))
		return MM_FAIL(&e->job->why, MM_EINPUT,
		    "Authorization is for enrolment only");
	if (!bearer_allowed(e)) {
		e->reason = MM_R_DOOR;
		return MM_FAIL(&e->job->why, MM_EPOLICY,
		    "this profile takes tokens by TLS handshake only");
	}
	if (c == NULL || c->der.n == 0)
		return basic(e, header);
	MM_TRY(mm_enrol_device(e->req, &peer, &e->reason, &e->job->why));
	MM_TRY(basic(e, header));
	mm_authority_beside(&e->job->authority, &peer);
	return MM_OK;
}

static enum mm_err
admit(struct entry *e)
{
	const struct mm_conn *c = e->req->conn_data;
	bool more;
	struct mm_bytes header =
	    mm_http_header(e->req, "Authorization", &more);

	if (more)
		return MM_FAIL(&e->job->why, MM_EINPUT,
		    "Authorization came more than once");
	if (c != NULL && c->token)
		return by_token_connection(e, c, header.p != NULL);
	if (header.p != NULL)
		return by_header(e, header);
	if ((c != NULL && c->der.n > 0) || !enrols(e))
		return by_certificate(e);
	e->reason = MM_R_CREDENTIAL;
	return MM_FAIL(&e->job->why, bearer_allowed(e) ? MM_EAUTH : MM_EPOLICY,
	    "enrolment wants a token or a certificate");
}

/* ---- what is asked ---- */

/* The type without its parameters; RFC 9110 8.3.1: without case. */
static bool
type_is(const struct mm_http_req *req, const char *want)
{
	struct mm_bytes v = mm_http_header(req, "Content-Type", NULL);
	size_t n = strlen(want);

	return v.n >= n && strncasecmp((const char *)v.p, want, n) == 0 &&
	    (v.n == n || v.p[n] == ';' || v.p[n] == ' ');
}

static enum mm_err
read_type(struct entry *e)
{
	const char *want = e->end->json ? "application/json"
	    : "application/pkcs10";

	if (e->end->kind == MM_JOB_CONFIRM || type_is(e->req, want))
		return MM_OK;
	e->status = 415;
	e->reason = MM_R_MALFORMED;
	return MM_FAIL(&e->job->why, MM_EINPUT, "Content-Type: want %s", want);
}

static enum mm_err
read_label(struct entry *e)
{
	if (!e->end->json && e->end->kind != MM_JOB_CONFIRM) {
		e->reason = MM_R_LABEL;
		return mm_est_label(e->s, e->req, e->job->label,
		    &e->job->why);
	}
	if (e->job->label[0] != '\0' &&
	    mm_core_label(e->s->core, e->job->label) == NULL) {
		e->reason = MM_R_LABEL;
		return MM_FAIL(&e->job->why, MM_ENOTFOUND,
		    "no such label");
	}
	return MM_OK;
}

static enum mm_err
read_json(struct entry *e)
{
	if (!e->end->json)
		return MM_OK;
	e->reason = MM_R_MALFORMED;
	MM_TRY(mm_rest_parse(e->req->body, &e->body, &e->job->why));
	return mm_rest_csr(e->body, e->job, &e->job->why);
}

static enum mm_err
read_request(struct entry *e)
{
	struct mm_job *job = e->job;
	enum mm_err rc;

	if (e->end->kind == MM_JOB_CONFIRM)
		return MM_OK;
	e->reason = MM_R_MALFORMED;
	if (!e->end->json)
		MM_TRY(mm_est_read(e->req->body, &job->request, &job->why));
	rc = mm_csr_walk(mm_buf_view(&job->request), &job->csr, &job->why);
	if (rc == MM_EPOLICY)
		e->reason = MM_R_KEY_TYPE;
	if (rc == MM_OK && e->req->ssl != NULL)
		job->binding_ok = mm_hello_binding(e->req->ssl,
		    job->csr.challenge, &job->binding_wrong);
	mm_die_at("2");
	return rc;
}

static enum mm_err
read_all(struct entry *e)
{
	static enum mm_err (*const steps[])(struct entry *) = {
		read_type, read_json, read_label, admit, read_request,
	};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		e->reason = MM_R_NONE;
		MM_TRY(steps[i](e));
	}
	return MM_OK;
}

/* ---- entry ---- */

/* Refused before the core saw it. */
static void
refuse(struct claim *c, const struct entry *e, enum mm_err rc)
{
	struct mm_http_resp resp = { 0 };

	c->job->result = rc;
	c->first = is_text(c->end) &&
	    mm_http_header(e->req, "Authorization", NULL).p == NULL;
	answer_refusal(&resp, c, e->status != 0 ? e->status : mm_err_http(rc),
	    e->reason, c->job->why.text);
	mm_core_count_refusal(c->s->core, e->reason);
	mm_http_answer(c->s->http, c->ref, &resp);
	claim_free(c);
}

static struct claim *
claim_new(struct mm_server *s, const struct mm_http_req *req)
{
	struct claim *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->s = s;
	c->ref = req->ref;
	c->end = req->route->data;
	memcpy(c->id, req->id, sizeof(c->id));
	c->job = mm_job_new(c->end->kind);
	if (c->job == NULL) {
		free(c);
		return NULL;
	}
	c->job->user = c;
	return c;
}

/* see priv.h */
void
mm_enrol_post(struct mm_http_req *req, void *ctx)
{
	struct mm_server *s = ctx;
	struct claim *c = claim_new(s, req);
	struct entry e;
	enum mm_err rc;

	if (c == NULL) {
		mm_answer_text(s, req, 503, "text/plain", "try later\n");
		return;
	}
	e = (struct entry){ .s = s, .req = req, .end = c->end, .job = c->job };
	if (c->end->kind == MM_JOB_CONFIRM && req->conn_data != NULL)
		((struct mm_conn *)req->conn_data)->touched = true;
	rc = read_all(&e);
	mm_rest_json_free(&e.body);
	if (rc == MM_OK) {
		mm_enrol_touch(s, req);
		post_later(s, req->ref.loop, c->job);
	}
	if (rc != MM_OK)
		refuse(c, &e, rc);
}

/* see priv.h */
void
mm_enrol_touch(struct mm_server *s, const struct mm_http_req *req)
{
	struct mm_conn *c = req->conn_data;
	struct mm_job *job;

	if (c == NULL || c->touched || c->der.n == 0 || c->cert_bad ||
	    c->cert_expired)
		return;
	c->touched = true;
	job = mm_job_new(MM_JOB_CONFIRM);
	if (job == NULL)
		return;
	if (mm_authority_device(&job->authority, mm_buf_view(&c->der), NULL)
	    == MM_OK)
		post_later(s, req->ref.loop, job);
	else
		mm_job_free(&job);
}
