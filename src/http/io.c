#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

#include "http/priv.h"

/* OpenSSL's verdicts about an operation that moved nothing. */
static const struct {
	int error;
	enum step step;
} verdicts[] = {
	{ SSL_ERROR_WANT_READ, STEP_READ },
	{ SSL_ERROR_WANT_WRITE, STEP_WRITE },
	{ SSL_ERROR_WANT_CLIENT_HELLO_CB, STEP_PARK },
	{ SSL_ERROR_WANT_X509_LOOKUP, STEP_PARK },
	{ SSL_ERROR_WANT_RETRY_VERIFY, STEP_PARK },
};

/* After SSL or SYSCALL errors the session must not be used, not even for a
 * close_notify (SSL_get_error(3)). */
static enum step
tls_verdict(struct conn *c, int rc)
{
	int error = SSL_get_error(c->ssl, rc);

	for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++)
		if (verdicts[i].error == error)
			return verdicts[i].step;
	c->broken = error != SSL_ERROR_ZERO_RETURN;
	return STEP_END;
}

static enum step
plain_verdict(struct conn *c, enum step wait)
{
	if (errno == EAGAIN || errno == EINTR)
		return wait;
	c->broken = true;
	return STEP_END;
}

bool
mm_http_io_open(struct conn *c)
{
	struct mm_http *h = c->port->loop->http;

	if (c->port->tls == NULL)
		return true;
	ERR_clear_error();
	c->ssl = SSL_new(c->port->tls);
	if (c->ssl == NULL || SSL_set_fd(c->ssl, c->fd) != 1 ||
	    SSL_set_ex_data(c->ssl, h->ssl_index, c) != 1)
		return false;
	SSL_set_accept_state(c->ssl);
	SSL_set_mode(c->ssl, SSL_MODE_RELEASE_BUFFERS |
				 SSL_MODE_ENABLE_PARTIAL_WRITE |
				 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_set_options(c->ssl, SSL_OP_NO_RENEGOTIATION);
	SSL_set_read_ahead(c->ssl, 1); /* one read() a record, not two */
	return true;
}

/* A browser or curl that spoke HTTP to the TLS port deserves to be told, and
 * nothing else is ever said in the clear. */
static void
tell_plain(struct conn *c)
{
	static const char text[] =
	    "HTTP/1.1 400 Bad Request\r\n"
	    "Content-Type: text/plain\r\nContent-Length: 26\r\n"
	    "Connection: close\r\n\r\nthis port speaks TLS only\n";

	(void)!send(c->fd, text, sizeof(text) - 1, MSG_NOSIGNAL);
}

enum step
mm_http_io_handshake(struct conn *c)
{
	enum step step;
	int rc;

	ERR_clear_error();
	rc = SSL_do_handshake(c->ssl);
	if (rc == 1)
		return STEP_GO;
	step = tls_verdict(c, rc);
	if (step == STEP_END) {
		c->broken = true;
		if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_HTTP_REQUEST)
			tell_plain(c);
	}
	return step;
}

enum step
mm_http_io_read(struct conn *c, void *p, size_t n, size_t *got)
{
	ssize_t rc;
	int ok;

	if (c->ssl != NULL) {
		ERR_clear_error();
		ok = SSL_read_ex(c->ssl, p, n, got);
		return ok == 1 ? STEP_GO : tls_verdict(c, ok);
	}
	rc = recv(c->fd, p, n, 0);
	if (rc < 0)
		return plain_verdict(c, STEP_READ);
	*got = (size_t)rc;
	return rc > 0 ? STEP_GO : STEP_END;
}

enum step
mm_http_io_write(struct conn *c, const void *p, size_t n, size_t *put)
{
	ssize_t rc;
	int ok;

	if (c->ssl != NULL) {
		ERR_clear_error();
		ok = SSL_write_ex(c->ssl, p, n, put);
		return ok == 1 ? STEP_GO : tls_verdict(c, ok);
	}
	rc = send(c->fd, p, n, MSG_NOSIGNAL);
	if (rc < 0)
		return plain_verdict(c, STEP_WRITE);
	*put = (size_t)rc;
	return STEP_GO;
}

/* Bytes that OpenSSL holds make no epoll event. */
bool
mm_http_io_pending(const struct conn *c)
{
	return c->ssl != NULL && SSL_has_pending(c->ssl);
}

void
mm_http_io_bye(struct conn *c)
{
	if (c->ssl == NULL || c->broken || !SSL_is_init_finished(c->ssl))
		return;
	ERR_clear_error();
	(void)SSL_shutdown(c->ssl);
	c->broken = true;
}
