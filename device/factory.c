#include "factory.h"

/* see factory.h */
enum mmd_refusal
mmd_factory_refuse(enum mmd_rc rc, struct mmd_factory *f)
{
	static const uint8_t refusals[] = {
		[MMD_NONE] = MMD_R_NO_KEY,
		[MMD_EINPUT] = MMD_R_CHAIN,
		[MMD_ECHECKSUM] = MMD_R_HASH,
		[MMD_ESPACE] = MMD_R_SPACE,
		[MMD_ESTATE] = MMD_R_NEWER,
		[MMD_EOLDER] = MMD_R_OLDER,
		[MMD_EPATH] = MMD_R_FOREIGN,
	};

	if (rc == MMD_OK)
		return MMD_R_NONE;
	if (rc < MMD_COUNT(refusals) && refusals[rc] != 0)
		return (enum mmd_refusal)refusals[rc];
	f->bad_flash++;
	return MMD_R_BOARD;
}

/* see factory.h */
enum mmd_rc
mmd_factory_look(const struct mmd_factory *f, unsigned identity,
    struct mmd_look *out)
{
	uint8_t spki[MMD_SPKI_MAX];
	enum mmd_rc rc;

	rc = mmd_store_locked(f->conf->store, MMD_IDEVID, &out->locked);
	if (rc != MMD_OK)
		return rc;
	out->state = MMD_STATE_EMPTY;
	rc = mmd_own_key(f->conf->crypto, identity, spki, sizeof(spki),
	    out->key);
	if (rc != MMD_OK)
		return rc == MMD_NONE ? MMD_OK : rc;
	rc = mmd_store_bundle(f->conf->store, identity, &out->bundle);
	/* A certificate of a key that was lost is none. */
	out->state = rc == MMD_OK && memcmp(out->bundle.key, out->key,
	    MMD_STORE_KEY) == 0 ? MMD_STATE_READY : MMD_STATE_KEY;
	return rc == MMD_NONE ? MMD_OK : rc;
}

/* see mmd_factory.h */
enum mmd_rc
mmd_factory_state(const struct mmd_factory *f, unsigned identity,
    enum mmd_factory_state *state)
{
	struct mmd_look look;
	enum mmd_rc rc = mmd_factory_look(f, identity, &look);

	if (rc == MMD_OK)
		*state = look.locked ? MMD_STATE_LOCKED : look.state;
	return rc;
}

/* What fixed arrays here are made for. */
static bool
conf_right(const struct mmd_factory_conf *conf)
{
	size_t firmware_n = mmd_bytes_of(conf->firmware).n;

	/* what it signs would be said to be ECDSA */
	if (conf->crypto->signature == NULL && conf->kinds >> MMD_KEY_RSA2048)
		return false;
	return conf->hardware.n > 0 && conf->hardware.n <= MMD_HARDWARE_MAX &&
	    firmware_n > 0 && firmware_n <= MMD_FIRMWARE_MAX &&
	    conf->cap >= MMD_FACTORY_BUF &&
	    conf->cap <= MMD_FACTORY_BUF_MAX &&
	    mmd_store_check(conf->store) == MMD_OK;
}

/* see mmd_factory.h */
enum mmd_rc
mmd_factory_init(struct mmd_factory *f, const struct mmd_factory_conf *conf)
{
	struct mmd_bundle b;

	if (!conf_right(conf))
		return MMD_EINPUT;
	memset(f, 0, sizeof(*f));
	f->conf = conf;
	mmd_smp_rx_init(&f->rx, conf->buf,
	    conf->cap - MMD_FACTORY_OVER + MMD_SMP_HEAD + MMD_SMP_FRAMING);
	for (unsigned i = 0; i < MMD_IDENTITIES; i++)
		if (mmd_store_bundle(conf->store, i, &b) == MMD_OK &&
		    b.floor_s > f->floor_s)
			f->floor_s = b.floor_s;
	return MMD_OK;
}

/* The one place where it is decided what may happen when. */
MMD_ONCE static enum mmd_refusal
admit(struct mmd_call *c, const struct mmd_message *m)
{
	enum mmd_rc rc = mmd_factory_look(c->f, c->identity, &c->look);

	if (rc != MMD_OK)
		return mmd_factory_refuse(rc, c->f);
	if (c->look.locked && !m->after_lock)
		return MMD_R_LOCKED;
	if (c->look.state >= m->needs)
		return MMD_R_NONE;
	return c->look.state == MMD_STATE_EMPTY ? MMD_R_NO_KEY : MMD_R_NO_CERT;
}

/*
 * In place of an answer.  SMP version 2 tells whose error it is; version 1 has
 * a range for users, in which rc is.
 */
static void
put_error(struct mmd_cborw *w, const struct mmd_smp_head *h, unsigned rc)
{
	mmd_cborw_init(w, w->buf, w->cap);
	if (h->version != 0 && rc >= MMD_SMP_EPERUSER) {
		(void)mmd_cborw_open(w, "err"); /* to the end */
		mmd_cborw_uint(w, "group", MMD_FACTORY_GROUP);
		rc -= MMD_SMP_EPERUSER;
	}
	mmd_cborw_uint(w, "rc", rc);
}

static const struct mmd_message *
message_of(const struct mmd_smp_head *h)
{
	if (h->group != MMD_FACTORY_GROUP || h->id >= MMD_MESSAGES ||
	    mmd_messages[h->id].op != h->op)
		return NULL;
	return &mmd_messages[h->id];
}

/* Runs the message: 0, or why there is no answer. */
static unsigned
act(struct mmd_call *c, const struct mmd_smp_head *h, struct mmd_bytes body)
{
	const struct mmd_message *m = message_of(h);
	enum mmd_refusal r;

	if (m == NULL)
		return MMD_SMP_ENOTSUP;
	if (mmd_cbor_read(body, m->keys, m->nkeys, c->v) != MMD_OK) {
		c->f->bad_messages++;
		return MMD_SMP_EINVAL;
	}
	if (c->v[0].type == MMD_CBOR_UINT)
		c->identity = (unsigned)c->v[0].n;
	r = admit(c, m);
	mmd_cborw_init(&c->w, c->w.buf, c->w.cap);
	if (r == MMD_R_NONE)
		r = m->act(c);
	if (r == MMD_R_NONE && c->w.bad)
		r = MMD_R_SPACE;
	return r == MMD_R_NONE ? 0 : MMD_SMP_EPERUSER + (unsigned)r;
}

/* see mmd_factory.h */
enum mmd_rc
mmd_factory_answer(struct mmd_factory *f, uint8_t *p, size_t cap, size_t *n)
{
	struct mmd_call c = { .f = f };
	struct mmd_smp_head h;
	struct mmd_bytes body;
	unsigned rc;

	if (mmd_smp_open((struct mmd_bytes){ p, *n }, &h, &body) != MMD_OK ||
	    (h.op != MMD_SMP_READ && h.op != MMD_SMP_WRITE))
		return MMD_NONE;
	c.w = (struct mmd_cborw){ .buf = p + MMD_SMP_HEAD,
		.cap = cap - MMD_SMP_HEAD };
	rc = act(&c, &h, body);
	if (rc != 0)
		put_error(&c.w, &h, rc);
	h.op += MMD_SMP_ANSWER;
	mmd_smp_head_put(&h, c.w.n, p);
	*n = MMD_SMP_HEAD + c.w.n;
	return MMD_OK;
}

static void
answer(struct mmd_factory *f, struct mmd_bytes packet)
{
	uint8_t *p = f->conf->buf + (packet.p - f->conf->buf);
	size_t n = packet.n;

	if (mmd_factory_answer(f, p,
	    f->conf->cap - MMD_FACTORY_OVER + MMD_SMP_HEAD, &n) == MMD_OK)
		f->sending = mmd_smp_tx_init(&f->tx,
		    (struct mmd_bytes){ p, n }) == MMD_OK;
}

/* Until a packet is whole: MMD_OK. */
static enum mmd_rc
receive(struct mmd_factory *f, const struct mmd_io *io,
    struct mmd_bytes *packet)
{
	/* A line that never stops must not stop the board. */
	for (size_t i = 0; i < MMD_FACTORY_BUF / sizeof(f->in); i++) {
		size_t n = 0;
		enum mmd_rc rc;

		if (mmd_smp_rx_take(&f->rx, &f->left, packet) == MMD_OK)
			return MMD_OK;
		rc = io->read(io->ctx, f->in, sizeof(f->in), &n);
		if (rc != MMD_OK)
			return rc;
		f->left = (struct mmd_bytes){ f->in, n };
	}
	/* What was read is looked at, or who waits for the console would wait
	 * for the next request. */
	return mmd_smp_rx_take(&f->rx, &f->left, packet) == MMD_OK ? MMD_OK
	    : MMD_MORE;
}

/* see mmd_factory.h */
enum mmd_rc
mmd_factory_run(struct mmd_factory *f, const struct mmd_io *io)
{
	struct mmd_bytes packet;
	enum mmd_rc rc = MMD_OK;

	if (!f->sending) {
		rc = receive(f, io, &packet);
		if (rc != MMD_OK)
			return rc;
		answer(f, packet);
	}
	if (f->sending)
		rc = mmd_smp_tx_run(&f->tx, io);
	if (rc == MMD_OK)
		f->sending = false;
	return rc == MMD_OK ? MMD_MORE : rc;
}
