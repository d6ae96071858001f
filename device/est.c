#include "mmd_est.h"
#include "priv.h"

enum state { IDLE, SENDING, WAITING, ANSWERED, BROKEN };

/* Everything that differs between the requests. */
static const struct op {
	const char *method, *path; /* path after /.well-known */
	const char *type;          /* of an answer in base64, or NULL */
	bool labelled;             /* RFC 7030 3.2.2 */
	bool posts;
} ops[MMD_EST_OPS] = {
	[MMD_EST_CACERTS] = { "GET ", "/cacerts",
	    "application/pkcs7-mime", true, false },
	[MMD_EST_CSRATTRS] = { "GET ", "/csrattrs",
	    "application/csrattrs", true, false },
	[MMD_EST_ENROLL] = { "POST ", "/simpleenroll",
	    "application/pkcs7-mime", true, true },
	[MMD_EST_REENROLL] = { "POST ", "/simplereenroll",
	    "application/pkcs7-mime", true, true },
	[MMD_EST_CONFIRM] = { "POST ", "/mintmark/confirm", NULL, false,
	    true },
	[MMD_EST_RECEIPT] = { "GET ", "/mintmark/receipt", NULL, false,
	    false },
};

/* Appends to a buffer; failure sticks. */
struct text {
	uint8_t *p;
	size_t n, cap;
	bool bad;
};

static void
put(struct text *t, const char *s)
{
	struct mmd_bytes v = mmd_bytes_of(s);

	if (t->bad || t->cap - t->n < v.n) {
		t->bad = true;
		return;
	}
	memcpy(t->p + t->n, v.p, v.n);
	t->n += v.n;
}

static void
put_base64(struct text *t, struct mmd_bytes v)
{
	size_t n;

	if (t->bad || mmd_base64_encode(v, t->p + t->n, t->cap - t->n, &n) !=
	    MMD_OK)
		t->bad = true;
	else
		t->n += n;
}

static void
put_number(struct text *t, size_t v)
{
	char digits[24];
	size_t i = sizeof(digits);

	digits[--i] = '\0';
	do
		digits[--i] = (char)('0' + v % 10);
	while ((v /= 10) > 0);
	put(t, digits + i);
}

/* RFC 7617: Basic base64(user ":" password). */
static void
put_basic(struct text *t, const struct mmd_est_conf *conf)
{
	uint8_t plain[128];
	struct text p = { plain, 0, sizeof(plain), false };

	put(&p, conf->user);
	put(&p, ":");
	put(&p, conf->password);
	put(t, "Authorization: Basic ");
	put_base64(t, (struct mmd_bytes){ plain, p.n });
	put(t, "\r\n");
	t->bad |= p.bad;
	mmd_wipe(plain, sizeof(plain));
}

static void
put_head(struct text *t, const struct op *op, const struct mmd_est_conf *conf)
{
	put(t, op->method);
	put(t, op->labelled ? "/.well-known/est" : "/.well-known");
	if (op->labelled && conf->label != NULL) {
		put(t, "/");
		put(t, conf->label);
	}
	put(t, op->path);
	put(t, " HTTP/1.1\r\nHost: ");
	put(t, conf->host);
	put(t, "\r\n");
	if (conf->user != NULL)
		put_basic(t, conf);
}

/* RFC 8951 3: base64 without line breaks, no Content-Transfer-Encoding. */
static void
put_content(struct text *t, struct mmd_bytes request)
{
	if (request.n > 0)
		put(t, "Content-Type: application/pkcs10\r\n");
	put(t, "Content-Length: ");
	put_number(t, MMD_BASE64_LEN(request.n));
	put(t, "\r\n\r\n");
	put_base64(t, request);
}

/* see mmd_est.h */
void
mmd_est_init(struct mmd_est *e, const struct mmd_est_conf *conf)
{
	memset(e, 0, sizeof(*e));
	e->conf = conf;
	e->state = IDLE;
}

/* see mmd_est.h */
enum mmd_rc
mmd_est_start(struct mmd_est *e, enum mmd_est_op op, struct mmd_bytes request)
{
	struct text t = { e->conf->buf, 0, e->conf->cap, false };

	if (e->state == SENDING || e->state == WAITING || op >= MMD_EST_OPS)
		return MMD_ESTATE;
	put_head(&t, &ops[op], e->conf);
	if (op == MMD_EST_ENROLL && e->conf->more != NULL)
		put(&t, e->conf->more);
	if (ops[op].posts)
		put_content(&t, request);
	else
		put(&t, "\r\n");
	if (t.bad)
		return MMD_ESPACE;
	mmd_http_init(&e->http);
	memset(&e->b64, 0, sizeof(e->b64));
	e->body = (struct mmd_bytes){ NULL, 0 };
	e->op = op;
	e->state = SENDING;
	e->out = 0;
	e->out_n = t.n;
	e->n = 0;
	return MMD_OK;
}

/* see mmd_est.h */
struct mmd_bytes
mmd_est_output(const struct mmd_est *e)
{
	if (e->state != SENDING)
		return (struct mmd_bytes){ NULL, 0 };
	return (struct mmd_bytes){ e->conf->buf + e->out, e->out_n - e->out };
}

/* see mmd_est.h */
void
mmd_est_sent(struct mmd_est *e, size_t n)
{
	if (e->state != SENDING)
		return;
	e->out += n < e->out_n - e->out ? n : e->out_n - e->out;
	if (e->out < e->out_n)
		return;
	if (e->conf->user != NULL)
		mmd_wipe(e->conf->buf, e->out_n);
	e->state = WAITING;
}

static bool
in_base64(const struct mmd_est *e)
{
	return e->http.status == 200 && ops[e->op].type != NULL;
}

/* RFC 7030 4.1.3, 4.2.3, 4.5.2: the type says what the content is. */
static bool
type_right(const struct mmd_est *e)
{
	return !in_base64(e) || mmd_bytes_eq(mmd_bytes_of(e->http.type),
	    mmd_bytes_of(ops[e->op].type));
}

static enum mmd_rc
keep(struct mmd_est *e, struct mmd_bytes piece)
{
	const struct mmd_est_conf *c = e->conf;
	size_t room = c->cap - e->n;

	if (in_base64(e))
		return mmd_base64_decode(&e->b64, piece, c->buf, c->cap,
		    &e->n);
	if (piece.n > room && e->http.status == 200)
		return MMD_ESPACE;
	if (piece.n > room)
		piece.n = room;
	memcpy(c->buf + e->n, piece.p, piece.n);
	e->n += piece.n;
	return MMD_OK;
}

static enum mmd_rc
finish(struct mmd_est *e, struct mmd_bytes left)
{
	/* Nothing was asked for that could come after the answer. */
	if (left.n > 0 || !type_right(e))
		return MMD_EINPUT;
	if (in_base64(e) && mmd_base64_end(&e->b64) != MMD_OK)
		return MMD_EINPUT;
	e->body = (struct mmd_bytes){ e->conf->buf, e->n };
	return MMD_OK;
}

/* see mmd_est.h */
enum mmd_rc
mmd_est_input(struct mmd_est *e, struct mmd_bytes in)
{
	struct mmd_bytes piece;
	enum mmd_rc rc;

	if (e->state != WAITING)
		return MMD_ESTATE;
	do {
		rc = mmd_http_read(&e->http, &in, &piece);
		if (rc == MMD_MORE && piece.n > 0) {
			enum mmd_rc kept = type_right(e) ? keep(e, piece)
			    : MMD_EINPUT;

			rc = kept == MMD_OK ? rc : kept;
		}
	} while (rc == MMD_MORE && piece.n > 0);
	if (rc == MMD_OK)
		rc = finish(e, in);
	if (rc != MMD_MORE)
		e->state = rc == MMD_OK ? ANSWERED : BROKEN;
	return rc;
}

static enum mmd_rc
send_some(struct mmd_est *e, const struct mmd_io *io)
{
	struct mmd_bytes out = mmd_est_output(e);
	size_t n;
	enum mmd_rc rc = io->write(io->ctx, out.p, out.n, &n);

	if (rc == MMD_OK)
		mmd_est_sent(e, n);
	return rc;
}

static enum mmd_rc
receive_some(struct mmd_est *e, const struct mmd_io *io, bool *done)
{
	uint8_t chunk[256];
	size_t n;
	enum mmd_rc rc = io->read(io->ctx, chunk, sizeof(chunk), &n);

	if (rc != MMD_OK)
		return rc;
	rc = mmd_est_input(e, (struct mmd_bytes){ chunk, n });
	*done = rc == MMD_OK;
	return rc == MMD_MORE ? MMD_OK : rc;
}

/* see mmd_est.h */
enum mmd_rc
mmd_est_run(struct mmd_est *e, const struct mmd_io *io)
{
	enum mmd_rc rc = MMD_OK;
	bool done = false;

	if (e->state != SENDING && e->state != WAITING)
		return MMD_ESTATE;
	while (rc == MMD_OK && !done)
		rc = e->state == SENDING ? send_some(e, io)
		    : receive_some(e, io, &done);
	if (rc != MMD_OK && rc != MMD_MORE)
		e->state = BROKEN;
	return rc;
}
