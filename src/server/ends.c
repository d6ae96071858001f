#include "server/ends.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/grow.h"
#include "base/log.h"
#include "base/own.h"
#include "base/time.h"
#include "server/tls.h"

enum { REST_MS = 1000, REST_TIMES = 100, TELL_MS = 60000,
	FAILED_MS = 10000, PEM_MAX = 256 * 1024 };

/* What an existing CA knows us by, as it was read last. */
struct est_file {
	struct mm_tls_stamp stamp;
	int64_t until_s; /* 0: nothing that counts */
};

struct mm_endlist {
	pthread_mutex_t lock; /* of the list that is shown */
	struct mm_end *end;
	size_t n;
	int64_t as_of, made_at; /* made_at: monotonic */
	/* the housekeeper's own; monotonic */
	int64_t again_at, tell_at;
	struct est_file *est; /* of each issuer: read when it has changed */
};

struct list {
	struct mm_end *end;
	size_t n, cap;
};

/* see ends.h */
enum mm_err
mm_ends_new(const struct mm_config *c, struct mm_endlist **out,
    struct mm_why *why)
{
	struct mm_endlist *e = calloc(1, sizeof(*e));

	if (e != NULL)
		e->est = calloc(c->nissuer + 1, sizeof(*e->est));
	if (e == NULL || e->est == NULL) {
		free(e);
		return MM_FAIL(why, MM_ENOMEM, "ends: no memory");
	}
	pthread_mutex_init(&e->lock, NULL);
	*out = e;
	return MM_OK;
}

/* see ends.h */
void
mm_ends_free(struct mm_endlist **owner)
{
	struct mm_endlist *e = MM_MOVE(*owner);

	if (e == NULL)
		return;
	pthread_mutex_destroy(&e->lock);
	free(e->end);
	free(e->est);
	free(e);
}

/* ---- making it ---- */

static enum mm_err
add(void *ctx, const struct mm_end *e, struct mm_why *why)
{
	struct list *l = ctx;
	struct mm_end *grown = mm_grown(l->end, l->n, &l->cap, sizeof(*grown));

	if (grown == NULL)
		return MM_FAIL(why, MM_ENOMEM, "ends: no memory");
	l->end = grown;
	l->end[l->n++] = *e;
	return MM_OK;
}

static enum mm_err
add_named(struct list *l, enum mm_end_kind kind, const char *name,
    int64_t end_s, int64_t span_s, struct mm_why *why)
{
	struct mm_end e = { .kind = kind, .end_s = end_s, .span_s = span_s };

	(void)!mm_text_copy(e.name, sizeof(e.name), mm_bytes_of(name));
	return add(l, &e, why);
}

/* What is published; where a list is missing the doctor says so. */
static enum mm_err
add_lists(struct mm_server *s, const struct mm_issuer_conf *i,
    struct list *l, struct mm_why *why)
{
	int64_t next_s, span_s = i->crl_hours * 3600;
	struct mm_shard_times t;
	uint64_t number;

	if (!mm_issuer_lists(i))
		return MM_OK;
	if (mm_public_crl(s->pub, i->name, &number, &next_s))
		MM_TRY(add_named(l, MM_END_CRL, i->name, next_s, span_s,
		    why));
	mm_public_shard_times(s->pub, i, &t);
	return t.n == 0 ? MM_OK : add_named(l, MM_END_SHARD_CRL, i->name,
	    t.next_s, span_s, why);
}

static int64_t
read_est(const char *path)
{
	MM_OWN(mm_buf_done) struct mm_buf pem = MM_BUF_INIT(PEM_MAX);
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	struct mm_bytes rest;
	struct mm_cert c;

	if (mm_file_read(path, &pem, NULL) != MM_OK)
		return 0;
	rest = mm_buf_view(&pem);
	return mm_pem_next(&rest, "CERTIFICATE", &der, NULL) == MM_OK &&
	    mm_cert_walk(mm_buf_view(&der), &c, NULL) == MM_OK &&
	    c.not_after_s < MM_TIME_FOREVER_S ? c.not_after_s : 0;
}

/* What an existing CA knows us by: the registrar's, and no secret.  Where this
 * process cannot read it, mintmark doctor tells of it alone. */
static enum mm_err
add_est(struct est_file *f, const struct mm_issuer_conf *i, struct list *l,
    struct mm_why *why)
{
	struct mm_tls_stamp now;

	if (i->retired || i->est_certificate[0] == '\0')
		return MM_OK;
	now = mm_tls_stamp_of(i->est_certificate);
	if (f->until_s == 0 || !mm_tls_stamp_same(&now, &f->stamp))
		*f = (struct est_file){ now, read_est(i->est_certificate) };
	return f->until_s == 0 ? MM_OK :
	    add_named(l, MM_END_EST, i->name, f->until_s, 0, why);
}

static enum mm_err
add_own(struct mm_server *s, struct est_file *est, struct list *l,
    struct mm_why *why)
{
	struct mm_root_times root;
	int64_t tls_s;

	/* each node has one of its own */
	if (mm_tls_ends(s->tls, &tls_s) && tls_s < MM_TIME_FOREVER_S)
		MM_TRY(add_named(l, MM_END_TLS, s->config->set.node[0] != '\0' ?
		    s->config->set.node : "server", tls_s, 0, why));
	mm_public_root_times(s->pub, &root);
	if (root.last_s > 0)
		MM_TRY(add_named(l, MM_END_ROOT_CRL, "root", root.last_s, 0,
		    why));
	for (size_t i = 0; i < s->config->nissuer; i++) {
		MM_TRY(add_lists(s, &s->config->issuer[i], l, why));
		MM_TRY(add_est(&est[i], &s->config->issuer[i], l, why));
	}
	return MM_OK;
}

static int
by_end(const void *a, const void *b)
{
	const struct mm_end *x = a, *y = b;

	if (x->end_s != y->end_s)
		return x->end_s < y->end_s ? -1 : 1;
	return x->kind != y->kind ? (x->kind < y->kind ? -1 : 1) :
	    strcmp(x->name, y->name);
}

static void
publish(struct mm_endlist *e, struct list *l)
{
	struct mm_end *before;

	if (l->n > 0)
		qsort(l->end, l->n, sizeof(*l->end), by_end);
	pthread_mutex_lock(&e->lock);
	before = e->end;
	e->end = l->end;
	e->n = l->n;
	e->as_of = mm_now_ms();
	e->made_at = mm_mono_ms();
	pthread_mutex_unlock(&e->lock);
	free(before);
	*l = (struct list){ 0 };
}

/* ---- telling ---- */

/* Of devices once they are counted: until then it is due again.  One that
 * cannot be told holds no other up, unless it is the store that is away. */
static enum mm_err
tell(struct mm_endlist *e, struct mm_desk *d, struct mm_why *why)
{
	bool counted = false;
	enum mm_err rc = MM_OK;

	/* only this thread changes the list: it reads it without the lock */
	for (size_t i = 0; i < e->n && rc != MM_EAGAIN; i++) {
		enum mm_err one = mm_desk_end_tell(d, &e->end[i], why);

		rc = one == MM_OK ? rc : one;
	}
	if (rc != MM_OK)
		return rc;
	MM_TRY(mm_desk_devices_tell(d, &counted, why));
	if (counted)
		e->tell_at = mm_mono_ms() + TELL_MS;
	return MM_OK;
}

static enum mm_err
keep(struct mm_server *s, struct mm_endlist *e, struct mm_desk *d,
    struct list *l, struct mm_why *why)
{
	int64_t began = mm_mono_ms(), rest;
	unsigned unread;

	MM_TRY(mm_desk_each_end(d, add, l, &unread, why));
	MM_TRY(add_own(s, e->est, l, why));
	publish(e, l);
	rest = (mm_mono_ms() - began) * REST_TIMES;
	rest = unread > 0 && rest < TELL_MS ? TELL_MS : rest;
	if (unread > 0)
		MM_LOG(MM_LOG_WARN, "ends.unread", MM_I("documents", unread));
	e->again_at = mm_mono_ms() + (rest > REST_MS ? rest : REST_MS);
	return mm_mono_ms() < e->tell_at ? MM_OK : tell(e, d, why);
}

/* see ends.h */
void
mm_ends_keep(struct mm_server *s, struct mm_desk *d)
{
	struct mm_why why = { 0 };
	struct list l = { 0 };

	if (mm_mono_ms() < s->ends->again_at)
		return;
	if (keep(s, s->ends, d, &l, &why) != MM_OK) {
		MM_LOG(MM_LOG_WARN, "ends.failed", MM_S("why", why.text));
		s->ends->again_at = mm_mono_ms() + FAILED_MS;
	}
	free(l.end);
}

/* see ends.h */
struct mm_ends_seen
mm_ends_take(struct mm_endlist *e)
{
	pthread_mutex_lock(&e->lock);
	return (struct mm_ends_seen){ .as_of = e->as_of,
		.age_ms = mm_mono_ms() - e->made_at, .end = e->end,
		.n = e->n };
}

/* see ends.h */
void
mm_ends_give(struct mm_endlist *e)
{
	pthread_mutex_unlock(&e->lock);
}
