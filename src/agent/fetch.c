#include "agent/fetch.h"

#include <stdio.h>
#include <string.h>

/* see fetch.h */
enum mmd_rc
mm_agent_fetch_start(struct mm_agent_fetch *f, const char *host,
    const char *path, const char *tag, uint8_t *buf, size_t cap)
{
	int n = snprintf((char *)buf, cap,
	    "GET /.well-known/mintmark/%s HTTP/1.1\r\nHost: %s\r\n%s%s%s\r\n",
	    path, host, tag != NULL ? "If-None-Match: " : "",
	    tag != NULL ? tag : "", tag != NULL ? "\r\n" : "");

	*f = (struct mm_agent_fetch){ .buf = buf, .cap = cap };
	mmd_http_init(&f->http);
	if (n < 0 || (size_t)n >= cap)
		return MMD_ESPACE;
	f->out_n = (size_t)n;
	return MMD_OK;
}

static enum mmd_rc
send_some(struct mm_agent_fetch *f, const struct mmd_io *io)
{
	size_t n = 0;
	enum mmd_rc rc = io->write(io->ctx, f->buf + f->out,
	    f->out_n - f->out, &n);

	if (rc == MMD_OK)
		f->out += n;
	return rc;
}

/* Of a refusal as much as there is room for; of an answer all. */
static enum mmd_rc
keep(struct mm_agent_fetch *f, struct mmd_bytes piece)
{
	size_t room = f->cap - f->n;

	if (piece.n > room && f->http.status == 200)
		return MMD_ESPACE;
	if (piece.n > room)
		piece.n = room;
	memcpy(f->buf + f->n, piece.p, piece.n);
	f->n += piece.n;
	return MMD_OK;
}

static enum mmd_rc
take(struct mm_agent_fetch *f, struct mmd_bytes in)
{
	struct mmd_bytes piece;
	enum mmd_rc rc;

	do {
		rc = mmd_http_read(&f->http, &in, &piece);
		if (rc == MMD_MORE && piece.n > 0 && keep(f, piece) != MMD_OK)
			return MMD_ESPACE;
	} while (rc == MMD_MORE && piece.n > 0);
	if (rc != MMD_OK)
		return rc;
	/* Nothing was asked for that could come after the answer. */
	if (in.n > 0)
		return MMD_EINPUT;
	f->body = (struct mmd_bytes){ f->buf, f->n };
	return MMD_OK;
}

/* see fetch.h */
enum mmd_rc
mm_agent_fetch_run(struct mm_agent_fetch *f, const struct mmd_io *io)
{
	enum mmd_rc rc = MMD_OK;
	uint8_t chunk[1024];
	size_t n;

	while (f->out < f->out_n && rc == MMD_OK)
		rc = send_some(f, io);
	while (rc == MMD_OK) {
		rc = io->read(io->ctx, chunk, sizeof(chunk), &n);
		if (rc != MMD_OK)
			return rc;
		rc = take(f, (struct mmd_bytes){ chunk, n });
		if (rc != MMD_MORE)
			return rc;
		rc = MMD_OK;
	}
	return rc;
}
