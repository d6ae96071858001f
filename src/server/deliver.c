#include "server/deliver.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/own.h"
#include "base/time.h"
#include "pki/key.h"
#include "server/authorise.h"
#include "server/mail.h"

/*
 * Deliveries are prepared, signed and remembered here; the courier only makes
 * the POSTs.  One thread: a webhook has one POST under way at a time, which
 * keeps its events in order, and one that hangs keeps nobody else waiting.
 */
enum { NAP_MS = 60000, LOOK_MS = 2000 };

/* see deliver.h */
void
mm_parcel_reset(struct mm_parcel *p)
{
	mm_buf_reset(&p->body);
	p->tag = 0;
}

/* ---- the courier ---- */

static unsigned
under_way(const struct mm_deliver *d)
{
	unsigned n = 0;

	for (const struct mm_run *r = d->runs; r != NULL; r = r->next)
		n += r->parcel.tag != 0;
	return n;
}

/* Any of what was under way may be what the courier died of.  Each comes again
 * by itself, and what it dies of then has failed: that one comes later and
 * later, and is put aside.  A round may be under way, so nothing leaves a
 * list. */
static void
link_down(struct mm_deliver *d)
{
	unsigned n = under_way(d);

	if (d->link < 0)
		return;
	close(d->link);
	d->link = -1;
	d->blocked = false;
	for (struct mm_run *r = d->runs; r != NULL; r = r->next)
		if (r->parcel.tag != 0)
			mm_run_bereft(d, r, n == 1);
	for (struct mm_ask *a = d->asks; a != NULL; a = a->next)
		a->lost |= a->parcel.tag != 0;
	mm_authorise_drop(d->authorise);
	mm_mail_drop(d->mail);
}

static enum mm_err
pack(struct mm_deliver *d, const struct mm_hook *h, const struct mm_parcel *p,
    struct mm_why *why)
{
	struct mm_deliver_req req = { .at_s = (uint64_t)mm_now_s(),
		.timeout_ms = p->timeout_ms, .want = p->want,
		.body = mm_buf_view(&p->body) };

	strcpy(req.url, h == NULL ? MM_MAIL_URL : h->url);
	strcpy(req.id, p->id);
	if (h != NULL)
		MM_TRY(mm_hook_sign(d->keys, h, req.id, (int64_t)req.at_s,
		    req.body, req.signature, why));
	mm_frame_begin(&d->frame, MM_IPC_DELIVER);
	if (!mm_frame_put_req(&d->frame, d->tag, &req))
		return MM_FAIL(why, MM_EBUG, "a delivery does not fit");
	return MM_OK;
}

/* see deliver.h */
bool
mm_deliver_send(struct mm_deliver *d, const struct mm_hook *h,
    struct mm_parcel *p)
{
	struct mm_why why = { 0 };
	enum mm_err rc;

	if (d->link < 0 || d->blocked ||
	    (h != NULL && d->keyless[0] != '\0'))
		return false;
	if (++d->tag == 0)
		d->tag = 1;
	rc = pack(d, h, p, &why);
	if (rc == MM_OK)
		rc = mm_ipc_send(d->link, mm_buf_view(&d->frame), &why);
	if (rc == MM_OK) {
		p->tag = d->tag;
		p->sent_at = mm_mono_ms();
		return true;
	}
	if (rc == MM_EAGAIN)
		d->blocked = true;
	else if (rc == MM_ENOTFOUND)
		link_down(d);
	else
		MM_LOG(MM_LOG_ERROR, "webhook", MM_S("webhook",
		    h != NULL ? h->id : "mail"), MM_S("why", why.text));
	return false;
}

/* ---- the thread ---- */

static void
outcome(struct mm_deliver *d, uint32_t tag, const struct mm_deliver_rep *rep)
{
	for (struct mm_run *r = d->runs; r != NULL; r = r->next)
		if (r->parcel.tag == tag) {
			mm_run_outcome(d, r, rep);
			return;
		}
	for (struct mm_ask *a = d->asks; a != NULL; a = a->next)
		if (a->parcel.tag == tag) {
			mm_ask_outcome(d, a, rep);
			return;
		}
	if (mm_authorise_outcome(d->authorise, tag, rep) ||
	    mm_mail_outcome(d->mail, d, tag, rep))
		return;
	/* of one that was dropped meanwhile */
}

/* Everything that the courier has for us. */
static void
hear(struct mm_deliver *d)
{
	while (d->link >= 0) {
		struct mm_why why = { 0 };
		struct mm_deliver_rep rep;
		struct mm_frame f;
		struct mm_bytes body;
		uint32_t tag;
		enum mm_err rc = mm_ipc_recv(d->link, &d->frame, &why);

		if (rc == MM_EAGAIN)
			return;
		if (rc == MM_OK)
			rc = mm_frame_parse(mm_buf_view(&d->frame), &f, &why);
		if (rc != MM_OK || !f.answer || f.kind != MM_IPC_DELIVER ||
		    !mm_frame_next(&f, &tag, &body) ||
		    mm_answer_get(MM_IPC_DELIVER, body, &rep, &why) != MM_OK) {
			link_down(d);
			return;
		}
		if (tag != 0)
			outcome(d, tag, &rep);
	}
}

/* Who cannot sign leaves it to those who can; told of when it changes. */
static void
look_at_key(struct mm_deliver *d)
{
	const struct mm_settings *set = &d->s->config->set;
	struct mm_why why = { 0 };
	enum mm_err rc = MM_OK;

	if (d->runs != NULL || set->authorise_url[0] != '\0')
		rc = mm_hook_key_check(d->keys, d->desk, &why);
	if (rc != MM_OK && rc != MM_EPOLICY)
		return; /* the store's fault, and said elsewhere */
	if (strcmp(d->keyless, why.text) != 0)
		MM_LOG(rc != MM_OK ? MM_LOG_ERROR : MM_LOG_INFO,
		    "webhook.key", MM_S("result", rc != MM_OK ? "refused" :
		    "ok"), MM_S("why", why.text));
	pthread_mutex_lock(&d->lock);
	snprintf(d->keyless, sizeof(d->keyless), "%s", why.text);
	pthread_mutex_unlock(&d->lock);
	mm_core_deliver_may(d->s->core, (set->webhooks || set->mail_to.n > 0)
	    && rc == MM_OK);
}

/* The documents.  A store that is away is told of once, and asked again
 * later. */
static void
read_anew(struct mm_deliver *d)
{
	struct mm_why why = { 0 };
	bool fails = mm_deliver_load(d, &why) != MM_OK ||
	    mm_authorise_load(d->authorise, mm_desk_reader(d->desk), &why) !=
	        MM_OK;

	if (fails && !d->unread)
		MM_LOG(MM_LOG_WARN, "webhooks", MM_S("why", why.text));
	d->unread = fails;
	if (!fails && mm_core_shared(d->s->core))
		look_at_key(d);
	d->read_at = mm_mono_ms() + MM_DELIVER_RETRY_MS;
}

/* What others left under the lock; false: it is time to go. */
static bool
take_news(struct mm_deliver *d)
{
	struct mm_ask *a, *next;
	bool changed, closed;
	int link;

	pthread_mutex_lock(&d->lock);
	a = d->fresh_asks;
	d->fresh_asks = NULL;
	changed = d->changed;
	d->changed = false;
	closed = d->closed;
	link = d->fresh_link;
	d->fresh_link = -1;
	pthread_mutex_unlock(&d->lock);
	if (link >= 0) {
		link_down(d);
		d->link = link;
	}
	for (; a != NULL; a = next) {
		next = a->next;
		a->next = d->asks;
		d->asks = a;
	}
	if (changed || (d->unread && mm_mono_ms() >= d->read_at))
		read_anew(d);
	return !closed;
}

static void
rest(struct mm_deliver *d, int64_t until)
{
	struct pollfd p[2] = { { .fd = d->kick, .events = POLLIN },
		{ .fd = d->link, .events = POLLIN } };
	int64_t ms = until - mm_mono_ms();
	uint64_t times;

	if (d->blocked)
		p[1].events |= POLLOUT;
	if (poll(p, 2, ms < 0 ? 0 : ms > NAP_MS ? NAP_MS : (int)ms) <= 0)
		return;
	if (p[0].revents != 0)
		(void)!read(d->kick, &times, sizeof(times));
	if (p[1].revents & POLLOUT)
		d->blocked = false;
	if (p[1].revents & (POLLIN | POLLHUP | POLLERR))
		hear(d);
}

static void
drop_runs(struct mm_deliver *d)
{
	pthread_mutex_lock(&d->lock);
	while (d->runs != NULL) {
		struct mm_run *r = d->runs;

		d->runs = r->next;
		mm_run_free(&r);
	}
	pthread_mutex_unlock(&d->lock);
}

/* Of several nodes one delivers.  What is under way when another has taken
 * over may arrive twice; its progress is not ours to store any more. */
static void
look_at_turn(struct mm_deliver *d)
{
	bool before = d->delivers;

	d->delivers = mm_core_delivers(d->s->core);
	if (!mm_core_shared(d->s->core) ||
	    (before == d->delivers && mm_mono_ms() < d->look_at))
		return;
	/* progress that another made is read anew */
	if (!before || !d->delivers) {
		drop_runs(d);
		mm_mail_forget(d->mail);
		d->looked_for_lost = false;
	}
	d->look_at = mm_mono_ms() + LOOK_MS;
	mm_deliver_changed(d);
}

/* Every webhook and every ask once; when the next one is due. */
static int64_t
round_all(struct mm_deliver *d)
{
	uint64_t size = mm_core_ledger_size(d->s->core);
	int64_t soonest = mm_authorise_round(d->authorise, d);
	int64_t mail = mm_mail_round(d->mail, d, size);
	struct mm_run *r =
	    d->s->config->set.webhooks && d->delivers ? d->runs : NULL;
	struct mm_ask *a, *next;

	if (mail < soonest)
		soonest = mail;
	for (; r != NULL; r = r->next) {
		int64_t due = mm_run_step(d, r, size) ? 0 : mm_run_due(r);

		if (r->dirty && d->save_at < due)
			due = d->save_at;
		if (due < soonest)
			soonest = due;
	}
	for (a = d->asks; a != NULL; a = next) {
		next = a->next;
		mm_ask_step(d, a);
	}
	if (d->asks != NULL && mm_mono_ms() + 1000 < soonest)
		soonest = mm_mono_ms() + 1000;
	return soonest;
}

static void *
deliver_thread(void *arg)
{
	struct mm_deliver *d = arg;

	for (look_at_turn(d); take_news(d); look_at_turn(d)) {
		int64_t until = round_all(d);

		if (mm_core_shared(d->s->core) && d->look_at < until)
			until = d->look_at;
		if (d->unread && d->read_at < until)
			until = d->read_at;

		if (mm_mono_ms() >= d->save_at) {
			mm_deliver_save(d);
			d->save_at = mm_mono_ms() + MM_DELIVER_SAVE_MS;
		}
		rest(d, until);
	}
	mm_deliver_save(d);
	while (d->asks != NULL)
		mm_ask_fail(d, d->asks, "the server is stopping");
	mm_authorise_stop(d->authorise);
	return NULL;
}

/* ---- from outside ---- */

/* see hook.h */
void
mm_deliver_grown(struct mm_deliver *d)
{
	const uint64_t one = 1;

	if (d != NULL)
		(void)!write(d->kick, &one, sizeof(one));
}

/* see hook.h */
void
mm_deliver_changed(struct mm_deliver *d)
{
	pthread_mutex_lock(&d->lock);
	d->changed = true;
	pthread_mutex_unlock(&d->lock);
	mm_deliver_grown(d);
}

/* see hook.h */
void
mm_deliver_link(struct mm_deliver *d, int take_fd)
{
	pthread_mutex_lock(&d->lock);
	if (d->fresh_link >= 0)
		close(d->fresh_link);
	d->fresh_link = take_fd;
	pthread_mutex_unlock(&d->lock);
	mm_deliver_grown(d);
}

/* see hook.h */
struct mm_hook_keys *
mm_deliver_keys(struct mm_deliver *d)
{
	return d->keys;
}

/* see hook.h */
struct mm_authorise *
mm_deliver_authorise(struct mm_deliver *d)
{
	return d->authorise;
}

/* see hook.h */
struct mm_mail *
mm_deliver_mail(struct mm_deliver *d)
{
	return d->mail;
}

/* see hook.h */
bool
mm_deliver_show(struct mm_deliver *d, const char *hook,
    struct mm_hook_live *out)
{
	bool found = false;

	pthread_mutex_lock(&d->lock);
	for (struct mm_run *r = d->runs; r != NULL && !found; r = r->next)
		if (strcmp(r->hook.id, hook) == 0) {
			*out = r->live;
			found = true;
		}
	pthread_mutex_unlock(&d->lock);
	return found;
}

/* The earlier of two times, of which 0 is none. */
static int64_t
earlier(int64_t a, int64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

static void
add_up(const struct mm_hook_live *l, struct mm_hook_stats *out)
{
	out->n[l->state]++;
	out->delivered += l->delivered;
	out->failed += l->failed;
	out->dead += l->dead;
	if (l->state != MM_HOOK_ACTIVE)
		return;
	out->failing += l->at.failing_since != 0;
	out->failing_since = earlier(out->failing_since, l->at.failing_since);
	out->oldest_at = earlier(out->oldest_at, l->oldest_at);
}

/* see hook.h */
void
mm_deliver_stats(struct mm_deliver *d, struct mm_hook_stats *out)
{
	*out = (struct mm_hook_stats){ 0 };
	pthread_mutex_lock(&d->lock);
	for (const struct mm_run *r = d->runs; r != NULL; r = r->next)
		add_up(&r->live, out);
	strcpy(out->keyless, d->keyless);
	pthread_mutex_unlock(&d->lock);
}

static void
name_origin(struct mm_deliver *d)
{
	uint8_t hash[32];

	mm_sha256(mm_bytes_of(d->s->config->set.ledger_origin), hash);
	mm_hex_text(hash, 8, d->origin);
}

/* see hook.h */
enum mm_err
mm_deliver_open(struct mm_server *s, struct mm_deliver **out,
    struct mm_why *why)
{
	MM_OWN(mm_deliver_close) struct mm_deliver *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	d->s = s;
	d->link = d->fresh_link = -1;
	d->changed = true;
	mm_buf_init(&d->frame, MM_IPC_FRAME_MAX);
	pthread_mutex_init(&d->lock, NULL);
	name_origin(d);
	d->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (d->kick < 0)
		return MM_FAIL(why, MM_ESYS, "no eventfd");
	MM_TRY(mm_hook_keys_open(s->config->set.server_dir,
	    mm_core_shared(s->core), &d->keys, why));
	MM_TRY(mm_authorise_open(s, &d->authorise, why));
	MM_TRY(mm_mail_open(s, &d->mail, why));
	MM_TRY(mm_desk_open(s->core, &d->desk, why));
	if (pthread_create(&d->thread, NULL, deliver_thread, d) != 0)
		return MM_FAIL(why, MM_ESYS, "cannot make a thread");
	d->started = true;
	*out = MM_MOVE(d);
	return MM_OK;
}

/* see hook.h */
void
mm_deliver_stop(struct mm_deliver *d)
{
	if (d == NULL || !d->started)
		return;
	pthread_mutex_lock(&d->lock);
	d->closed = true;
	pthread_mutex_unlock(&d->lock);
	mm_deliver_grown(d);
	pthread_join(d->thread, NULL);
	d->started = false;
}

/* see hook.h */
void
mm_deliver_close(struct mm_deliver **owner)
{
	struct mm_deliver *d = MM_MOVE(*owner);

	if (d == NULL)
		return;
	mm_deliver_stop(d);
	drop_runs(d);
	if (d->link >= 0)
		close(d->link);
	if (d->fresh_link >= 0)
		close(d->fresh_link);
	if (d->kick >= 0)
		close(d->kick);
	mm_desk_close(&d->desk);
	mm_hook_keys_close(&d->keys);
	mm_authorise_close(&d->authorise);
	mm_mail_close(&d->mail);
	mm_buf_done(&d->frame);
	pthread_mutex_destroy(&d->lock);
	free(d);
}
