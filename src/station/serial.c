#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/text.h"
#include "base/time.h"
#include "mmd_link.h"
#include "port/posix_flash.h"
#include "port/posix_openssl.h"
#include "station/driver.h"
#include "station/usb.h"

/* The driver for boards with the device library: docs/protocol/link.md. */
enum { LOCK_MS = 10000, SALT_VERSION = 2 };

struct serial {
	struct mm_driver base;
	int fd;
	struct mmd_io io;
	struct mmd_clock clock;
	struct mmd_link_conf conf;
	struct mmd_link link;
	struct mmd_bytes parts[MMD_PARTS];
	struct mm_driver_job job;
	enum mmd_rc begun; /* what beginning a message said */
	bool locked;       /* nobody else has the terminal */
	int64_t until_ms;  /* it is waited for; monotonic */
	uint8_t buf[MMD_LINK_BUF];
	uint8_t got[MM_DRIVER_DER_MAX]; /* of GET */
};

static struct serial *
of(struct mm_driver *d)
{
	return (struct serial *)d;
}

static struct mm_driver *
serial_new(const struct mm_fixture_conf *conf)
{
	struct serial *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->fd = -1;
	s->io = mmd_posix_io(&s->fd);
	s->clock = mmd_posix_clock();
	s->conf = (struct mmd_link_conf){ .io = &s->io, .clock = &s->clock,
		.baud = (uint32_t)conf->baud, .buf = s->buf,
		.cap = sizeof(s->buf) };
	return &s->base;
}

static void
serial_close(struct mm_driver *d)
{
	struct serial *s = of(d);

	if (s->fd >= 0)
		(void)close(s->fd);
	s->fd = -1;
}

static void
serial_free(struct mm_driver **owner)
{
	serial_close(*owner);
	free(*owner);
	*owner = NULL;
}

/* Of run and blink, one talks to a board: the other would hear half of the
 * answers. */
static bool
lock(struct serial *s)
{
	s->locked = flock(s->fd, LOCK_EX | LOCK_NB) == 0 ||
	    errno != EWOULDBLOCK;
	return s->locked;
}

static enum mm_driver_got
serial_open(struct mm_driver *d, enum mm_unit_reason *reason)
{
	struct serial *s = of(d);
	char port[PATH_MAX];
	enum mmd_rc rc;

	serial_close(d);
	d->note[0] = '\0';
	if (!mm_fixture_port(d->conf, port)) {
		*reason = MM_UR_NO_PORT;
		return MM_DRIVER_FAILED;
	}
	rc = mmd_posix_serial(port, (uint32_t)d->conf->baud, &s->fd);
	if (rc != MMD_OK) {
		*reason = rc == MMD_NONE ? MM_UR_NO_PORT : MM_UR_DRIVER;
		return MM_DRIVER_FAILED;
	}
	mmd_link_init(&s->link, &s->conf);
	s->until_ms = mm_mono_ms() + LOCK_MS;
	return lock(s) ? MM_DRIVER_DONE : MM_DRIVER_WAIT;
}

/* ---- an effect's message ---- */

static enum mmd_rc
begin_hello(struct serial *s)
{
	mmd_link_hello(&s->link, MMD_IDEVID, (uint64_t)s->job.now_s);
	return MMD_MORE;
}

static enum mmd_rc
begin_key(struct serial *s)
{
	mmd_link_key(&s->link, MMD_IDEVID, MMD_KEY_P256, s->job.random);
	return MMD_MORE;
}

static enum mmd_rc
begin_csr(struct serial *s)
{
	mmd_link_csr(&s->link, MMD_IDEVID);
	return MMD_MORE;
}

static enum mmd_rc
begin_put(struct serial *s)
{
	enum mmd_rc rc = mmd_link_put(&s->link, MMD_IDEVID, s->parts);

	return rc == MMD_OK ? MMD_MORE : rc;
}

static enum mmd_rc
begin_commit(struct serial *s)
{
	bool salted = s->job.salt != NULL &&
	    s->link.hello.version >= SALT_VERSION;

	mmd_link_commit(&s->link, MMD_IDEVID, s->parts, salted
	    ? s->job.salted_hash : s->job.bundle_hash,
	    salted ? s->job.salt : NULL);
	return MMD_MORE;
}

static enum mmd_rc
begin_prove(struct serial *s)
{
	mmd_link_prove(&s->link, MMD_IDEVID, s->job.random);
	return MMD_MORE;
}

static enum mmd_rc
begin_lock(struct serial *s)
{
	mmd_link_lock(&s->link, s->job.cert_hash);
	return MMD_MORE;
}

static enum mmd_rc
begin_get(struct serial *s)
{
	mmd_link_get(&s->link, MMD_IDEVID, s->got, sizeof(s->got));
	return MMD_MORE;
}

static enum mmd_rc (*const begins[MM_EFFECTS])(struct serial *s) = {
	[MM_DO_HELLO] = begin_hello,
	[MM_DO_KEY] = begin_key,
	[MM_DO_CSR] = begin_csr,
	[MM_DO_PUT] = begin_put,
	[MM_DO_COMMIT] = begin_commit,
	[MM_DO_READ_BACK] = begin_hello,
	[MM_DO_PROVE] = begin_prove,
	[MM_DO_LOCK] = begin_lock,
	[MM_DO_CHECK] = begin_hello,
	[MM_DO_GET] = begin_get,
};

static struct mmd_bytes
bytes(struct mm_bytes v)
{
	return (struct mmd_bytes){ v.p, v.n };
}

static void
serial_begin(struct mm_driver *d, const struct mm_driver_job *job)
{
	struct serial *s = of(d);

	MM_INVARIANT(begins[job->effect] != NULL);
	d->note[0] = '\0';
	s->job = *job;
	s->parts[MMD_PART_CERT] = bytes(job->cert);
	s->parts[MMD_PART_CHAIN] = bytes(job->chain);
	s->parts[MMD_PART_CONFIG] = bytes(job->conf);
	s->begun = s->locked ? begins[job->effect](s) : MMD_MORE;
}

/* As soon as nobody else has the terminal. */
static enum mm_driver_got
begin_late(struct serial *s, enum mm_unit_reason *reason)
{
	if (lock(s)) {
		s->begun = begins[s->job.effect](s);
		return MM_DRIVER_WAIT;
	}
	if (mm_mono_ms() < s->until_ms)
		return MM_DRIVER_WAIT;
	snprintf(s->base.note, sizeof(s->base.note),
	    "another program has its terminal");
	*reason = MM_UR_SILENT;
	return MM_DRIVER_FAILED;
}

/* ---- what came of it ---- */

/* see docs/protocol/link.md: refused because */
static const enum mm_unit_reason refusals[MMD_REFUSALS] = {
	[MMD_R_NONE] = MM_UR_FIRMWARE,
	[MMD_R_LOCKED] = MM_UR_LOCKED_OTHER,
	[MMD_R_NO_KEY] = MM_UR_KEY_CHANGED,
	[MMD_R_NO_CERT] = MM_UR_READ_BACK,
	[MMD_R_KIND] = MM_UR_FIRMWARE,
	[MMD_R_SPACE] = MM_UR_ROOM,
	[MMD_R_PIECE] = MM_UR_FIRMWARE,
	[MMD_R_HASH] = MM_UR_BOARD,
	[MMD_R_CHAIN] = MM_UR_CERT,
	[MMD_R_FOREIGN] = MM_UR_KEY_CHANGED,
	[MMD_R_OTHER] = MM_UR_READ_BACK,
	[MMD_R_NEWER] = MM_UR_FIRMWARE,
	[MMD_R_BOARD] = MM_UR_BOARD,
	[MMD_R_OLDER] = MM_UR_CONFIG_OLDER,
};

static enum mm_unit_reason
reason_of(const struct serial *s, enum mmd_rc rc)
{
	switch (rc) {
	case MMD_EREFUSED:
		return refusals[s->link.refusal];
	case MMD_ESILENT:
		return MM_UR_SILENT;
	case MMD_EINPUT:
		return MM_UR_GARBLED;
	case MMD_EPATH:
		return MM_UR_SWAPPED;
	case MMD_ESPACE:
		return MM_UR_ROOM;
	case MMD_EPORT:
		return s->job.effect == MM_DO_PUT ? MM_UR_BOARD
						  : MM_UR_UNPLUGGED;
	default:
		return MM_UR_UNPLUGGED;
	}
}

static void
say(const struct mmd_hello *h, struct mm_unit_said *out)
{
	memset(out, 0, sizeof(*out));
	mm_hex_text(h->hw, h->hw_n, out->hw);
	strcpy(out->firmware, h->fw);
	out->has_key = h->has_key;
	out->has_cert = h->has_cert;
	out->has_bundle = h->has_cert;
	out->bare = h->version < SALT_VERSION;
	out->locked = h->state == MMD_STATE_LOCKED;
	out->config = h->config;
	if (h->has_key)
		memcpy(out->spki, h->key, sizeof(out->spki));
	if (h->has_cert)
		memcpy(out->cert, h->cert, sizeof(out->cert));
	if (h->has_cert)
		memcpy(out->bundle, h->all, sizeof(out->bundle));
}

static enum mm_driver_got
done(struct serial *s, struct mm_driver_answer *out,
    enum mm_unit_reason *reason)
{
	struct mmd_bytes v = s->link.value;

	if (begins[s->job.effect] == begin_hello) {
		say(&s->link.hello, &out->said);
		return MM_DRIVER_DONE;
	}
	/* More than the longest key, request or signature that there is. */
	if (v.n > sizeof(out->der)) {
		*reason = MM_UR_GARBLED;
		return MM_DRIVER_FAILED;
	}
	if (v.n > 0)
		memcpy(out->der, v.p, v.n);
	out->der_n = v.n;
	out->cert_n = s->link.cert_n;
	return MM_DRIVER_DONE;
}

static enum mm_driver_got
serial_run(struct mm_driver *d, struct mm_driver_answer *out,
    enum mm_unit_reason *reason)
{
	struct serial *s = of(d);
	enum mmd_rc rc = s->begun;

	if (!s->locked)
		return begin_late(s, reason);
	if (rc == MMD_MORE)
		rc = mmd_link_run(&s->link);
	if (rc == MMD_MORE)
		return MM_DRIVER_WAIT;
	if (rc == MMD_OK)
		return done(s, out, reason);
	if (rc == MMD_EREFUSED && s->job.effect == MM_DO_COMMIT &&
	    s->link.refusal == MMD_R_HASH)
		return MM_DRIVER_AGAIN;
	*reason = reason_of(s, rc);
	return MM_DRIVER_FAILED;
}

static struct pollfd
serial_wish(const struct mm_driver *d)
{
	const struct serial *s = (const struct serial *)d;

	return (struct pollfd){ .fd = s->locked ? s->fd : -1,
		.events = s->link.sending ? POLLOUT : POLLIN };
}

/* see driver.h */
const struct mm_driver_class mm_driver_serial = { "serial", serial_new,
	serial_open, serial_begin, serial_run, serial_wish, NULL, NULL,
	serial_close, serial_free };
