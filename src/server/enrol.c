#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "server/attempts.h"
#include "server/enrol.h"

/*
 * Enrolment, renewal and confirmation: what enrol_read.c has read (issuance
 * steps 1 and 2) becomes a job for the core, and that an answer (step 7).
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
	struct mm_job_user user; /* first: jobs point at it */
	struct mm_http_task task;
	struct mm_server *s;
	struct mm_http_ref ref;
	const struct mm_endpoint *end;
	struct mm_job *job;
	struct in6_addr peer;
	bool handshake; /* by a token's connection */
	bool first; /* without Authorization: the 401 only asks for it */
	char id[17];
};

/* ---- answers ---- */

static bool
is_text(const struct mm_endpoint *end)
{
	return !end->json && end->kind != MM_JOB_CONFIRM;
}

static enum mm_door
door_of(const struct claim *c)
{
	if (c->handshake)
		return MM_DOOR_HANDSHAKE;
	return mm_authority_presents(&c->job->authority) ? MM_DOOR_BASIC
							      : MM_DOOR_MTLS;
}

/* The fingerprint that a person compares. */
static const char *
waits(const struct claim *c, char *out, size_t n)
{
	uint8_t spki[32];
	char hex[65];

	mm_csr_key_hash(&c->job->csr, spki);
	mm_hex_text(spki, 32, hex);
	snprintf(out, n, "an operator must allow the key %s", hex);
	return out;
}

static void
answer_refusal(struct mm_http_resp *resp, const struct claim *c, int status,
    enum mm_reason reason, const char *text)
{
	const char *r = mm_reason_text(reason);
	char key[128];

	if (reason == MM_R_GROUP_WAITS)
		text = waits(c, key, sizeof(key));
	if (text[0] == '\0' || strcmp(text, r) == 0)
		text = c->first && reason == MM_R_CREDENTIAL
			   ? MM_ENROL_WANTS
			   : mm_answer_sentence(reason);
	/* Bouncy Castle's EST client takes a body here for an error. */
	if (status == 401 && c->first && is_text(c->end))
		resp->status = status;
	else if (is_text(c->end))
		mm_answer_reason(resp, status, r, text);
	else
		mm_http_problem(resp, status,
		    mm_err_slug(c->job->result), text, r, c->id);
	if (status == 401)
		mm_http_resp_header(resp, "WWW-Authenticate",
		    "Basic realm=\"mintmark\", charset=\"UTF-8\"");
	if (status == 503 || status == 429 || status == 202)
		mm_answer_retry(resp, c->job->retry_after_s > 0
		    ? c->job->retry_after_s : RETRY_S);
	mm_attempts_job(c->s->attempts, c->job, door_of(c), reason, &c->peer,
	    c->job->said[0] != '\0' ? c->job->said : text);
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
status_of(const struct claim *c)
{
	const struct mm_job *job = c->job;
	int status = mm_err_http(job->result);

	/* RFC 7030 4.2.3: a person has to allow it */
	if (job->reason == MM_R_GROUP_WAITS)
		return 202;
	return status == 401 && !mm_authority_presents(&job->authority) &&
	    !c->first ? 403 : status;
}

static void
answer(struct claim *c)
{
	struct mm_http_resp resp = { .status = 200 };
	const struct mm_job *job = c->job;

	mm_buf_init(&resp.body, BODY_MAX);
	if (job->result != MM_OK)
		answer_refusal(&resp, c, status_of(c), job->reason,
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
		struct mm_job_user *user = job->user;
		struct claim *c = job->user;

		list = job->next;
		if (user == NULL) {
			mm_job_free(&job);
			continue;
		}
		if (user->call != NULL) {
			mm_work_again(s, user->call);
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

/* ---- entry ---- */

/* Refused before the core saw it. */
static void
refuse(struct claim *c, const struct mm_enrol_entry *e, enum mm_err rc)
{
	struct mm_http_resp resp = { 0 };

	c->job->result = rc;
	c->first = mm_http_header(e->req, "Authorization", NULL).p == NULL;
	answer_refusal(&resp, c, e->status != 0 ? e->status : mm_err_http(rc),
	    e->reason, c->job->why.text);
	mm_core_count_refusal(c->s->core, e->reason);
	mm_http_answer(c->s->http, c->ref, &resp);
	claim_free(c);
}

static struct claim *
claim_new(struct mm_server *s, const struct mm_http_req *req)
{
	const struct mm_conn *conn = req->conn_data;
	struct claim *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->s = s;
	c->ref = req->ref;
	c->peer = req->peer;
	c->handshake = conn != NULL && conn->token;
	c->end = req->route->data;
	memcpy(c->id, req->id, sizeof(c->id));
	c->job = mm_job_new(c->end->kind);
	if (c->job == NULL) {
		free(c);
		return NULL;
	}
	c->job->user = &c->user;
	if (s->config->set.attempt_peers)
		mm_answer_peer(&c->peer, c->job->peer);
	return c;
}

/* see priv.h */
void
mm_enrol_post(struct mm_http_req *req, void *ctx)
{
	struct mm_server *s = ctx;
	struct claim *c = claim_new(s, req);
	struct mm_enrol_entry e;
	enum mm_err rc;

	if (c == NULL) {
		mm_answer_text(s, req, 503, "text/plain", "try later\n");
		return;
	}
	e = (struct mm_enrol_entry){ .s = s, .req = req, .end = c->end,
		.job = c->job };
	if (c->end->kind == MM_JOB_CONFIRM && req->conn_data != NULL)
		((struct mm_conn *)req->conn_data)->touched = true;
	rc = mm_enrol_read(&e);
	mm_rest_json_free(&e.body);
	if (rc == MM_OK) {
		c->first = e.asks;
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
	if (mm_core_device(s->core, &job->authority, mm_buf_view(&c->der),
	    NULL) == MM_OK)
		post_later(s, req->ref.loop, job);
	else
		mm_job_free(&job);
}
