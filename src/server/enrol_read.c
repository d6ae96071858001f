#include <string.h>
#include <strings.h>

#include "base/faults.h"
#include "base/log.h"
#include "server/bootstrap.h"
#include "server/enrol.h"

/* ---- who asks ---- */

/* The connection's certificate, if it is one that we could have given. */
static enum mm_err
peer_of(struct mm_server *s, const struct mm_http_req *req,
    struct mm_authority *a,
    enum mm_reason *reason, struct mm_why *why)
{
	const struct mm_conn *c = req->conn_data;

	*reason = MM_R_CREDENTIAL;
	if (c == NULL || c->der.n == 0)
		return MM_FAIL(why, MM_EPOLICY,
		    "this wants a client certificate (mutual TLS)");
	*reason = MM_R_CERT_UNKNOWN;
	if (c->cert_bad)
		return MM_FAIL(
		    why, MM_EPOLICY, "client certificate: %s", c->cert_why);
	if (mm_core_device(s->core, a, mm_buf_view(&c->der), why) != MM_OK)
		return MM_EPOLICY;
	*reason = MM_R_NONE;
	return MM_OK;
}

/* An expired identity is good for late renewal only, and for asking when. */
static enum mm_err
in_time(const struct mm_http_req *req, enum mm_reason *reason,
    struct mm_why *why)
{
	const struct mm_conn *c = req->conn_data;

	if (!c->cert_expired)
		return MM_OK;
	*reason = MM_R_CERT_EXPIRED;
	return MM_FAIL(why, MM_EPOLICY,
	    "the certificate has expired: simplereenroll only");
}

static enum mm_err
enrols_nothing(enum mm_reason *reason, struct mm_why *why)
{
	*reason = MM_R_CREDENTIAL;
	return MM_FAIL(why, MM_EINPUT, "Authorization is for enrolment only");
}

/* see priv.h */
enum mm_err
mm_enrol_device(struct mm_server *s, const struct mm_http_req *req, bool late,
    struct mm_authority *a, enum mm_reason *reason, struct mm_why *why)
{
	bool more;

	if (mm_http_header(req, "Authorization", &more).p != NULL)
		return enrols_nothing(reason, why);
	MM_TRY(peer_of(s, req, a, reason, why));
	return late ? MM_OK : in_time(req, reason, why);
}

/* RFC 7617 2: "Basic " and the base64 of user-id ":" password. */
static enum mm_err
basic_parse(struct mm_enrol_entry *e, struct mm_bytes header)
{
	struct mm_buf text = MM_BUF_INIT(256);
	struct mm_bytes b = { header.p + 6, header.n - 6 };
	const uint8_t *colon;
	enum mm_err rc = MM_EAUTH;

	if (header.n > 6 && header.n < 256 &&
	    strncasecmp((const char *)header.p, "Basic ", 6) == 0 &&
	    mm_base64_parse(b, &text, NULL) == MM_OK && text.n > 0 &&
	    (colon = memchr(text.p, ':', text.n)) != NULL) {
		size_t user = (size_t)(colon - text.p);
		rc = mm_authority_token_basic(&e->job->authority,
		    (struct mm_bytes){ text.p, user },
		    (struct mm_bytes){ colon + 1, text.n - user - 1 }, NULL);
	}
	if (text.err == MM_ENOMEM)
		rc = MM_ENOMEM;
	mm_buf_wipe(&text);
	return rc;
}

static enum mm_err
basic(struct mm_enrol_entry *e, struct mm_bytes header)
{
	enum mm_err rc = basic_parse(e, header);

	if (rc == MM_OK)
		return MM_OK;
	if (rc == MM_ENOMEM)
		return MM_FAIL(&e->job->why, MM_ENOMEM, "out of memory");
	e->reason = MM_R_CREDENTIAL;
	return MM_FAIL(
	    &e->job->why, MM_EAUTH, "Authorization: unknown or wrong");
}

/* Whether HTTP authentication is offered at this label at all; without a
 * label the product decides later, so any profile's word counts. */
static bool
bearer_allowed(const struct mm_enrol_entry *e)
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
enrols(const struct mm_enrol_entry *e)
{
	return e->end->kind == MM_JOB_ENROL || e->end->kind == MM_JOB_KEYGEN;
}

/* A token that is a group's, for all of its devices: whose the certificate
 * will be its request says. */
static void
share(struct mm_enrol_entry *e)
{
	struct mm_authority *a = &e->job->authority;

	if (e->end->kind == MM_JOB_ENROL && a->token[0] != '\0' &&
	    mm_boot_secret(e->s->boot, a->token))
		mm_authority_secret(a, &e->req->peer);
}

static enum mm_err
by_token_connection(
    struct mm_enrol_entry *e, const struct mm_conn *c, bool header)
{
	struct mm_why *why = &e->job->why;

	mm_authority_token_psk(&e->job->authority, c->id);
	share(e);
	e->reason = MM_R_CREDENTIAL;
	if (header)
		return MM_FAIL(why, MM_EINPUT,
		    "one authority a request: the "
		    "token has made this connection, so no Authorization");
	if (!enrols(e))
		return MM_FAIL(why, MM_EPOLICY,
		    "this wants the device's certificate, not a token");
	e->reason = MM_R_NONE;
	return MM_OK;
}

/* One that is none of ours is good for a first enrolment, if a group says so;
 * for nothing else it is anything. */
static bool
is_old(const struct mm_enrol_entry *e)
{
	const struct mm_conn *c = e->req->conn_data;
	struct mm_old_cert old;

	if (e->end->kind != MM_JOB_ENROL || c == NULL || c->der.n == 0 ||
	    !c->cert_bad || !mm_boot_look(e->s->boot, e->req, &old))
		return false;
	mm_authority_bootstrap(&e->job->authority, &old);
	return true;
}

/* Where a group's devices have nothing, a person compares their codes. */
static void
by_nothing(struct mm_enrol_entry *e)
{
	const struct mm_old_cert none = { .kind = MM_OLD_NOTHING,
		.peer = e->req->peer };

	mm_authority_bootstrap(&e->job->authority, &none);
	e->asks = bearer_allowed(e);
}

static enum mm_err
by_certificate(struct mm_enrol_entry *e)
{
	if (is_old(e))
		return MM_OK;
	MM_TRY(peer_of(e->s, e->req, &e->job->authority, &e->reason,
	    &e->job->why));
	return e->end->kind == MM_JOB_REENROL
		   ? MM_OK
		   : in_time(e->req, &e->reason, &e->job->why);
}

static enum mm_err
by_header(struct mm_enrol_entry *e, struct mm_bytes header)
{
	const struct mm_conn *c = e->req->conn_data;
	struct mm_authority peer;

	if (!enrols(e))
		return enrols_nothing(&e->reason, &e->job->why);
	if (!bearer_allowed(e)) {
		/* whose token it is, for the attempt log */
		(void)!basic_parse(e, header);
		e->reason = MM_R_DOOR;
		return MM_FAIL(&e->job->why, MM_EPOLICY,
		    "this profile takes tokens by TLS handshake only");
	}
	if (c == NULL || c->der.n == 0) {
		MM_TRY(basic(e, header));
		share(e);
		return MM_OK;
	}
	MM_TRY(peer_of(e->s, e->req, &peer, &e->reason, &e->job->why));
	MM_TRY(basic(e, header));
	mm_authority_beside(&e->job->authority, &peer);
	return MM_OK;
}

/* The serial number of the caller's present certificate: a token does not tell
 * its bearer which device it is for, so the core compares before it issues. */
static enum mm_err
read_replaces(struct mm_enrol_entry *e)
{
	bool more;
	struct mm_bytes v =
	    mm_http_header(e->req, "Mintmark-Replaces", &more);
	struct mm_any_serial serial;

	if (v.p == NULL || !enrols(e) ||
	    (e->job->authority.kind != MM_AUTH_TOKEN_PSK &&
	     e->job->authority.kind != MM_AUTH_TOKEN_BASIC))
		return MM_OK;
	e->reason = MM_R_MALFORMED;
	if (more || mm_any_serial_parse(v, &serial, NULL) != MM_OK)
		return MM_FAIL(&e->job->why, MM_EINPUT, "Mintmark-Replaces: "
		    "want one serial number of 1 to 40 hex digits");
	mm_authority_replaces(&e->job->authority, &serial);
	return MM_OK;
}

/* What is good elsewhere is not good there. */
static enum mm_err
by_legacy(struct mm_enrol_entry *e, bool header)
{
	if (!header && is_old(e))
		return MM_OK;
	e->reason = MM_R_CREDENTIAL;
	return MM_FAIL(&e->job->why, MM_EPOLICY,
	    "this listener is for old certificates of bootstrap groups alone");
}

static enum mm_err
admit(struct mm_enrol_entry *e)
{
	const struct mm_conn *c = e->req->conn_data;
	bool more;
	struct mm_bytes header = mm_http_header(e->req, "Authorization", &more);

	if (more)
		return MM_FAIL(&e->job->why, MM_EINPUT,
		    "Authorization came more than once");
	if (c != NULL && c->legacy)
		return by_legacy(e, header.p != NULL);
	if (c != NULL && c->token)
		return by_token_connection(e, c, header.p != NULL);
	if (header.p != NULL)
		return by_header(e, header);
	if ((c != NULL && c->der.n > 0) || !enrols(e))
		return by_certificate(e);
	if (e->end->kind == MM_JOB_ENROL && mm_boot_nothing(e->s->boot)) {
		by_nothing(e);
		return MM_OK;
	}
	e->reason = MM_R_CREDENTIAL;
	return MM_FAIL(&e->job->why, bearer_allowed(e) ? MM_EAUTH : MM_EPOLICY,
	    MM_ENROL_WANTS);
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
read_type(struct mm_enrol_entry *e)
{
	const char *want =
	    e->end->json ? "application/json" : "application/pkcs10";

	if (e->end->kind == MM_JOB_CONFIRM || type_is(e->req, want))
		return MM_OK;
	e->status = 415;
	e->reason = MM_R_MALFORMED;
	return MM_FAIL(&e->job->why, MM_EINPUT, "Content-Type: want %s", want);
}

static enum mm_err
read_label(struct mm_enrol_entry *e)
{
	if (!e->end->json && e->end->kind != MM_JOB_CONFIRM) {
		e->reason = MM_R_LABEL;
		return mm_est_label(e->s, e->req, e->job->label, &e->job->why);
	}
	if (e->job->label[0] != '\0' &&
	    mm_core_label(e->s->core, e->job->label) == NULL) {
		e->reason = MM_R_LABEL;
		return MM_FAIL(&e->job->why, MM_ENOTFOUND, "no such label");
	}
	return MM_OK;
}

static enum mm_err
read_json(struct mm_enrol_entry *e)
{
	if (!e->end->json)
		return MM_OK;
	e->reason = MM_R_MALFORMED;
	MM_TRY(mm_rest_parse(e->req->body, &e->body, &e->job->why));
	return mm_rest_csr(e->body, e->job, &e->job->why);
}

/* RFC 8951 3.1: the DER in base64 alone.  Armour is taken and noted, for who
 * wonders why another server would not. */
static enum mm_err
read_est(struct mm_enrol_entry *e)
{
	MM_TRY(mm_est_read(e->req->body, &e->job->request, &e->job->why));
	if (mm_est_is_pem(e->req->body))
		MM_LOG(MM_LOG_INFO, "pem-request", MM_S("id", e->req->id),
		    MM_S("text", "taken, though EST wants base64 without "
				 "BEGIN and END lines (RFC 8951 3.1)"));
	return MM_OK;
}

static enum mm_err
read_request(struct mm_enrol_entry *e)
{
	struct mm_job *job = e->job;
	enum mm_err rc;

	if (e->end->kind == MM_JOB_CONFIRM)
		return MM_OK;
	e->reason = MM_R_MALFORMED;
	if (!e->end->json)
		MM_TRY(read_est(e));
	rc = mm_csr_walk(mm_buf_view(&job->request), &job->csr, &job->why);
	if (rc == MM_EPOLICY)
		e->reason = MM_R_KEY_TYPE;
	if (rc == MM_OK && job->authority.kind == MM_AUTH_BOOTSTRAP)
		rc = mm_authority_asks(&job->authority, &job->csr, &job->why);
	if (rc == MM_OK && e->req->ssl != NULL)
		job->binding_ok = mm_hello_binding(
		    e->req->ssl, job->csr.challenge, &job->binding_wrong);
	mm_die_at("2");
	return rc;
}

/* see enrol.h */
enum mm_err
mm_enrol_read(struct mm_enrol_entry *e)
{
	static enum mm_err (*const steps[])(struct mm_enrol_entry *) = {
		read_type,
		read_json,
		read_label,
		admit,
		read_replaces,
		read_request,
	};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		e->reason = MM_R_NONE;
		MM_TRY(steps[i](e));
	}
	return MM_OK;
}
