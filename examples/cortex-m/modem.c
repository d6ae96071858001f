#include "modem.h"

#include <string.h>

#define FRAME_MAX 512

/* Waits for the line: it takes what is sent at its speed. */
static void
put(struct modem *m, const uint8_t *p, size_t n)
{
	size_t done;

	for (; n > 0; p += done, n -= done)
		if (m->line.write(m->line.ctx, p, n, &done) != MMD_OK)
			done = 0;
}

static void
put_frame(struct modem *m, char kind, const uint8_t *p, size_t n)
{
	const uint8_t head[] = { (uint8_t)kind, (uint8_t)(n >> 8),
		(uint8_t)n };

	put(m, head, sizeof(head));
	put(m, p, n);
}

/* The head of the next frame: its kind in head[0], its length in left. */
static enum mmd_rc
next_head(struct modem *m)
{
	size_t n;

	while (m->head_n < sizeof(m->head)) {
		enum mmd_rc rc = m->line.read(m->line.ctx, m->head + m->head_n,
		    sizeof(m->head) - m->head_n, &n);

		if (rc != MMD_OK)
			return rc;
		m->head_n += n;
	}
	m->left = (size_t)m->head[1] << 8 | m->head[2];
	m->head_n = 0;
	return MMD_OK;
}

/* see modem.h */
void
modem_open(struct modem *m, const char *server)
{
	m->open = false;
	put_frame(m, 'o', (const uint8_t *)server, strlen(server));
}

/* Passes over the rest of a frame that nobody wants. */
static enum mmd_rc
skip(struct modem *m)
{
	uint8_t some[32];
	size_t n;

	while (m->left > 0) {
		enum mmd_rc rc = m->line.read(m->line.ctx, some,
		    m->left < sizeof(some) ? m->left : sizeof(some), &n);

		if (rc != MMD_OK)
			return rc;
		m->left -= n;
	}
	return MMD_OK;
}

/* What an earlier connection left behind is passed over. */
enum mmd_rc
modem_opened(struct modem *m)
{
	enum mmd_rc rc;

	do {
		rc = skip(m);
		if (rc == MMD_OK)
			rc = next_head(m);
		if (rc != MMD_OK)
			return rc;
	} while (m->head[0] != 'o' && m->head[0] != 'r');
	m->open = m->head[0] == 'o';
	return m->open ? MMD_OK : MMD_ECLOSED;
}

/* see modem.h */
void
modem_close(struct modem *m)
{
	if (m->open)
		put_frame(m, 'c', NULL, 0);
	m->open = false;
}

static enum mmd_rc
read_modem(void *ctx, uint8_t *p, size_t n, size_t *done)
{
	struct modem *m = ctx;
	enum mmd_rc rc;

	if (!m->open)
		return MMD_ECLOSED;
	if (m->left == 0) {
		rc = next_head(m);
		if (rc != MMD_OK)
			return rc;
		m->open = m->head[0] == 'd';
		if (!m->open || m->left == 0)
			return m->open ? MMD_MORE : MMD_ECLOSED;
	}
	rc = m->line.read(m->line.ctx, p, n < m->left ? n : m->left, done);
	if (rc == MMD_OK)
		m->left -= *done;
	return rc;
}

static enum mmd_rc
write_modem(void *ctx, const uint8_t *p, size_t n, size_t *done)
{
	struct modem *m = ctx;

	if (!m->open)
		return MMD_ECLOSED;
	*done = n < FRAME_MAX ? n : FRAME_MAX;
	put_frame(m, 'd', p, *done);
	return MMD_OK;
}

/* see modem.h */
struct mmd_io
modem_io(struct modem *m)
{
	return (struct mmd_io){ read_modem, write_modem, m };
}
