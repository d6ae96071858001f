#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/upstream.h"
#include "server/event.h"

/*
 * EST (RFC 7030, RFC 8951) on the devices listener: what needs no authority
 * is made once at the start and copied out; what does is enrol.c's.
 */
enum {
	WRAP = 64,       /* libest reads no longer lines */
	BODY_MAX = 1 << 20,
	REQUEST_MAX = 16384, /* MM_CSR_MAX in base64 with line ends */
};

struct label {
	char name[MM_NAME_MAX + 1];
	unsigned wrap;
	struct mm_buf cacerts, csrattrs; /* base64 */
};
struct mm_est {
	struct label *label;
	size_t nlabels;
	struct mm_chain *chain;
	size_t nchains;
};

static const struct label *
find(const struct mm_est *e, const char *name)
{
	for (size_t i = 0; i < e->nlabels; i++)
		if (strcmp(e->label[i].name, name) == 0)
			return &e->label[i];
	return NULL;
}

/* see priv.h */
unsigned
mm_est_wrap(const struct mm_est *e, const char *label)
{
	const struct label *l = find(e, label);

	return l != NULL ? l->wrap : WRAP;
}

/* see priv.h */
const struct mm_chain *
mm_est_chain(const struct mm_est *e, const char *issuer)
{
	static const struct mm_chain none;

	for (size_t i = 0; i < e->nchains; i++)
		if (strcmp(e->chain[i].issuer, issuer) == 0)
			return &e->chain[i];
	return &none;
}

/* ---- at the start ---- */

/* A request without a label is answered as the default one: the clients that
 * cannot send a label are those that cannot read lines. */
static unsigned
wrap_of(const struct mm_settings *set, const char *label)
{
	if (label[0] == '\0')
		label = set->default_label;
	for (size_t i = 0; i < set->est_unwrapped_labels.n; i++)
		if (strcmp(set->est_unwrapped_labels.item[i], label) == 0)
			return 0;
	return set->est_wrap ? WRAP : 0;
}

/* RFC 7030 4.1.3, 4.5.2; RFC 8951 3.1 */
static enum mm_err
label_make(struct mm_server *s, const char *name, struct label *l,
    struct mm_why *why)
{
	const struct mm_profile *p = mm_core_label(s->core, name);
	struct mm_buf scratch = MM_BUF_INIT(BODY_MAX);
	const struct mm_bytes *der;
	size_t n;
	enum mm_err rc = MM_OK;

	(void)!mm_text_copy(l->name, sizeof(l->name), mm_bytes_of(name));
	l->wrap = wrap_of(&s->config->set, name);
	mm_buf_init(&l->cacerts, BODY_MAX);
	mm_buf_init(&l->csrattrs, BODY_MAX);
	MM_TRY(mm_core_cacerts(s->core, name, &der, &n, why));
	mm_est_put_pkcs7(&l->cacerts, &scratch, der, n, l->wrap);
	mm_buf_reset(&scratch);
	if (p != NULL)
		rc = mm_profile_csrattrs(p, &scratch, why);
	if (rc == MM_OK && scratch.n > 0)
		mm_base64_put(&l->csrattrs, mm_buf_view(&scratch), l->wrap);
	mm_buf_done(&scratch);
	MM_TRY(rc);
	MM_TRY(mm_buf_ok(&l->csrattrs, why));
	return mm_buf_ok(&l->cacerts, why);
}

static enum mm_err
make_all(struct mm_server *s, struct mm_est *e, struct mm_why *why)
{
	const struct mm_config *c = s->config;

	MM_TRY(label_make(s, "", &e->label[e->nlabels++], why));
	for (size_t i = 0; i < c->nprofile; i++)
		MM_TRY(label_make(s, c->profile[i].name,
		    &e->label[e->nlabels++], why));
	for (size_t i = 0; i < c->nissuer; i++)
		MM_TRY(mm_chain_make(s->core, c->issuer[i].name,
		    &e->chain[e->nchains++], why));
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_est_new(struct mm_server *s, struct mm_est **out, struct mm_why *why)
{
	MM_OWN(mm_est_free) struct mm_est *e = calloc(1, sizeof(*e));

	if (e != NULL) {
		e->label = calloc(s->config->nprofile + 1, sizeof(*e->label));
		e->chain = calloc(s->config->nissuer + 1, sizeof(*e->chain));
	}
	if (e == NULL || e->label == NULL || e->chain == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	MM_TRY(make_all(s, e, why));
	*out = MM_MOVE(e);
	return MM_OK;
}

/* see priv.h */
void
mm_est_free(struct mm_est **owner)
{
	struct mm_est *e = MM_MOVE(*owner);

	if (e == NULL)
		return;
	for (size_t i = 0; i < e->nlabels; i++) {
		mm_buf_done(&e->label[i].cacerts);
		mm_buf_done(&e->label[i].csrattrs);
	}
	free(e->label);
	free(e->chain);
	free(e);
}

/* ---- what anyone may read ---- */

/* see priv.h; RFC 7030 3.2.2 */
enum mm_err
mm_est_label(struct mm_server *s, const struct mm_http_req *req,
    char label[MM_NAME_MAX + 1], struct mm_why *why)
{
	struct mm_bytes text = mm_http_segment(req, 0);

	if (!mm_text_copy(label, MM_NAME_MAX + 1, text) ||
	    find(s->est, label) == NULL)
		return MM_FAIL(why, MM_ENOTFOUND, "no such EST label");
	return MM_OK;
}

static void
send_base64(struct mm_server *s, const struct mm_http_req *req,
    const char *type, const struct mm_buf *base64)
{
	struct mm_http_resp resp = { .status = 200, .content_type = type };

	if (base64->n == 0) { /* RFC 7030 4.5.2 */
		resp = (struct mm_http_resp){ .status = 204 };
	} else {
		mm_buf_init(&resp.body, base64->n);
		mm_buf_bytes(&resp.body, mm_buf_view(base64));
		mm_http_resp_header(&resp, "Content-Transfer-Encoding",
		    "base64");
	}
	mm_http_answer(s->http, req->ref, &resp);
}

static void
send_label(struct mm_http_req *req, struct mm_server *s, const char *type,
    size_t field)
{
	char label[MM_NAME_MAX + 1];
	struct mm_http_resp resp = { 0 };

	mm_enrol_touch(s, req);
	if (mm_est_label(s, req, label, NULL) != MM_OK) {
		mm_answer_reason(&resp, 404, mm_reason_text(MM_R_LABEL),
		    "no profile has this name");
		mm_http_answer(s->http, req->ref, &resp);
		return;
	}
	send_base64(s, req, type, (const struct mm_buf *)(const void *)
	    ((const char *)find(s->est, label) + field));
}

static void
get_cacerts(struct mm_http_req *req, void *ctx)
{
	send_label(req, ctx, "application/pkcs7-mime",
	    offsetof(struct label, cacerts));
}

static void
send_csrattrs(struct mm_http_req *req, struct mm_server *s)
{
	send_label(req, s, "application/csrattrs",
	    offsetof(struct label, csrattrs));
}

/* ---- what a token's device is to name itself ---- */

static enum mm_err
put_named(const struct mm_upstream_names *names, unsigned wrap,
    struct mm_buf *base64, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(BODY_MAX);

	MM_TRY(mm_profile_csrattrs_named(names->profile, names->device,
	    names->product, &der, why));
	mm_base64_put(base64, mm_buf_view(&der), wrap);
	return mm_buf_ok(base64, why);
}

static void
named_run(struct mm_worker *w, struct mm_call *c)
{
	MM_OWN(mm_buf_done) struct mm_buf base64 = MM_BUF_INIT(BODY_MAX);
	char label[MM_NAME_MAX + 1] = "";
	struct mm_http_resp resp = { 0 };
	struct mm_upstream_names names;
	struct mm_why why = { 0 };
	enum mm_err rc = mm_est_label(w->s, &c->req, label, NULL);

	if (rc == MM_OK)
		rc = mm_desk_upstream_names(w->desk, &c->authority, label,
		    &names, &why);
	if (rc == MM_OK)
		rc = put_named(&names, mm_est_wrap(w->s->est, label), &base64,
		    &why);
	if (rc == MM_ENOTFOUND) {
		send_csrattrs(&c->req, w->s);
	} else if (rc == MM_OK) {
		send_base64(w->s, &c->req, "application/csrattrs", &base64);
	} else {
		mm_est_refuse(&resp, c, rc, MM_R_NONE, &why);
		mm_http_answer(w->s->http, c->req.ref, &resp);
	}
	mm_call_free(&c);
}

/* RFC 9908 3.4: whom an existing CA will be asked for has to be named in the
 * request, which is passed on as it is; a token does not say. */
static void
get_csrattrs(struct mm_http_req *req, void *ctx)
{
	const struct mm_conn *conn = req->conn_data;
	struct mm_server *s = ctx;
	struct mm_authority a;

	if (conn == NULL || !conn->token || !mm_config_upstream(s->config)) {
		send_csrattrs(req, s);
		return;
	}
	mm_authority_token_psk(&a, conn->id);
	mm_work_hand(s, req, named_run, &a);
}

/* ---- the receipt of the device that asks ---- */

static void
receipt_run(struct mm_worker *w, struct mm_call *c)
{
	struct mm_why why = { 0 };
	struct mm_http_resp resp = { .status = 200,
		.content_type = "application/json" };
	enum mm_reason reason;
	uint64_t uncovered;
	enum mm_err rc;

	mm_buf_init(&resp.body, BODY_MAX);
	rc = mm_desk_receipt_own(w->desk, &c->authority, &resp.body,
	    &uncovered, &reason, &why);
	if (rc == MM_EAGAIN && uncovered != UINT64_MAX &&
	    mm_cover_wait(w->s->cover, c, uncovered)) {
		mm_buf_done(&resp.body);
		return;
	}
	if (rc != MM_OK)
		mm_est_refuse(&resp, c, rc, reason, &why);
	mm_http_answer(w->s->http, c->req.ref, &resp);
	mm_call_free(&c);
}

/* see priv.h */
void
mm_est_hand(struct mm_http_req *req, struct mm_server *s, bool late,
    void (*run)(struct mm_worker *w, struct mm_call *c))
{
	struct mm_authority a;
	struct mm_http_resp resp = { 0 };
	struct mm_why why = { 0 };
	enum mm_reason reason = MM_R_NONE;
	enum mm_err rc;

	mm_enrol_touch(s, req);
	rc = mm_enrol_device(s, req, late, &a, &reason, &why);
	if (rc != MM_OK) {
		mm_http_problem(&resp, mm_err_http(rc), mm_err_slug(rc),
		    why.text, mm_reason_text(reason), req->id);
		mm_http_answer(s->http, req->ref, &resp);
		return;
	}
	mm_work_hand(s, req, run, &a);
}

/* see priv.h */
void
mm_est_refuse(struct mm_http_resp *resp, const struct mm_call *c,
    enum mm_err rc, enum mm_reason reason, const struct mm_why *why)
{
	mm_buf_done(&resp->body);
	mm_http_problem(resp, mm_err_http(rc), mm_err_slug(rc),
	    reason != MM_R_NONE ? mm_answer_sentence(reason) : why->text,
	    mm_reason_text(reason), c->req.id);
	if (rc == MM_EAGAIN || rc == MM_ERATE)
		mm_answer_retry(resp, rc == MM_EAGAIN ? 2 : 3600);
}

static void
get_receipt(struct mm_http_req *req, void *ctx)
{
	mm_est_hand(req, ctx, false, receipt_run);
}

#define EST "/.well-known/est"
#define GET(path, fn) { MM_HTTP_GET, path, 0, 0, fn, NULL }
#define POST(path, body, endpoint)                                        \
	{ MM_HTTP_POST, path, body, 0, mm_enrol_post, &mm_endpoint_##endpoint }

const struct mm_http_route mm_devices_routes[] = {
	GET(EST "/cacerts", get_cacerts),
	GET(EST "/csrattrs", get_csrattrs),
	POST(EST "/simpleenroll", REQUEST_MAX, enroll),
	POST(EST "/simplereenroll", REQUEST_MAX, reenroll),
	POST(EST "/serverkeygen", REQUEST_MAX, keygen),
	GET(EST "/:/cacerts", get_cacerts),
	GET(EST "/:/csrattrs", get_csrattrs),
	POST(EST "/:/simpleenroll", REQUEST_MAX, enroll),
	POST(EST "/:/simplereenroll", REQUEST_MAX, reenroll),
	POST(EST "/:/serverkeygen", REQUEST_MAX, keygen),
	POST("/.well-known/mintmark/confirm", REQUEST_MAX, confirm),
	GET("/.well-known/mintmark/receipt", get_receipt),
	GET("/.well-known/mintmark/renewal", mm_renewal_get),
	GET("/.well-known/mintmark/config", mm_configuration_get),
	POST("/api/v1/enrol", REQUEST_MAX, json),
	GET("/healthz", mm_health_live),
	GET("/readyz", mm_health_ready),
};
const size_t mm_devices_nroutes =
    sizeof(mm_devices_routes) / sizeof(mm_devices_routes[0]);

/* For a first enrolment, and what EST clients ask before it. */
const struct mm_http_route mm_legacy_routes[] = {
	GET(EST "/cacerts", get_cacerts),
	GET(EST "/csrattrs", get_csrattrs),
	POST(EST "/simpleenroll", REQUEST_MAX, enroll),
	GET(EST "/:/cacerts", get_cacerts),
	GET(EST "/:/csrattrs", get_csrattrs),
	POST(EST "/:/simpleenroll", REQUEST_MAX, enroll),
};
const size_t mm_legacy_nroutes =
    sizeof(mm_legacy_routes) / sizeof(mm_legacy_routes[0]);
