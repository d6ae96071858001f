#include "server/mail.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/log.h"
#include "base/own.h"
#include "base/time.h"

MM_FREE_FN(json_free, json_t, json_decref)

/* see mail.h: when which mail goes, and where the last one ended. */
enum {
	SCAN = 2000,          /* entries looked at in one step */
	GATHER_MS = 5000,     /* after the first alert, for its companions */
	RETRY_MS = 60 * 1000, /* doubled by each failure ... */
	RETRIES = 6,          /* ... so many times: to an hour */
	LATE_MS = 120 * 1000, /* past the courier's own deadline */
	STORE_MS = 1000,      /* after the store refused */
	MOVE_MS = 60 * 1000,  /* the cursor without a mail, at most so often */
	SIGN_MS = 3600 * 1000, /* ..., moved or not, where others look */
	SILENT_MS = 3 * SIGN_MS, /* then nobody mails any more */
	DAY_MS = 86400 * 1000,
	TRIES_MS = 60 * 1000,
	DIGEST_HOUR_MS = 6 * 3600 * 1000, /* UTC */
};

enum what { ALERTS, DIGEST };

struct progress { /* the document */
	int64_t next;                 /* the entry that is looked at next */
	int64_t sent_at, critical_at; /* ms; the last mails of alerts */
	int64_t day;                  /* of the last digest */
	int64_t at;                   /* ms: it was stored; 0: long ago */
};

struct mm_mail {
	struct mm_server *s;
	struct progress at;
	bool loaded, dirty;
	uint64_t version, seen;       /* seen: entries before it are counted */
	struct mm_tally tally;
	int64_t first_at;             /* monotonic: of the first in it */
	enum what what;               /* of the parcel */
	struct progress after;        /* once that is sent */
	struct mm_parcel parcel;
	unsigned attempts;
	int64_t due, stored_at, failing_since; /* monotonic but the last */
	pthread_mutex_t lock;         /* what follows */
	struct mm_mail_stats stats;
	int64_t tries_at;             /* monotonic: since then ... */
	unsigned tries;               /* ... so many */
};

/* see mail.h */
enum mm_err
mm_mail_open(struct mm_server *s, struct mm_mail **out, struct mm_why *why)
{
	struct mm_mail *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	m->s = s;
	mm_buf_init(&m->parcel.body, MM_IPC_FRAME_MAX);
	pthread_mutex_init(&m->lock, NULL);
	*out = m;
	return MM_OK;
}

/* see mail.h */
void
mm_mail_close(struct mm_mail **owner)
{
	struct mm_mail *m = MM_MOVE(*owner);

	if (m == NULL)
		return;
	mm_buf_done(&m->parcel.body);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

/* ---- the document ---- */

static bool
parse(struct mm_bytes body, struct progress *out)
{
	MM_OWN(json_free) json_t *o = json_loadb((const char *)body.p, body.n,
	    0, NULL);
	json_int_t next, sent, critical, day, at = 0;

	if (json_unpack(o, "{s:I,s:I,s:I,s:I,s?I}", "next", &next, "sent",
	    &sent, "critical", &critical, "day", &day, "at", &at) != 0 ||
	    next < 0)
		return false;
	*out = (struct progress){ next, sent, critical, day, at };
	return true;
}

/* see mail.h */
bool
mm_mail_is_sent(struct mm_bytes body)
{
	struct progress p;
	int64_t now = mm_now_ms();

	return parse(body, &p) && p.at > now - SILENT_MS &&
	    p.at < now + SILENT_MS;
}

static enum mm_err
store(struct mm_mail *m, struct mm_deliver *d, const struct progress *at,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(512);
	struct mm_json j = mm_json_over(&body);
	struct mm_op op = { .kind = MM_OP_DOC_PUT };

	mm_json_open(&j, '{');
	mm_json_int(&j, "next", at->next);
	mm_json_int(&j, "sent", at->sent_at);
	mm_json_int(&j, "critical", at->critical_at);
	mm_json_int(&j, "day", at->day);
	mm_json_int(&j, "at", mm_now_ms());
	mm_json_close(&j, '}');
	MM_TRY(mm_buf_ok(&body, why));
	op.u.doc.kind = MM_DOC_NODE;
	strcpy(op.u.doc.id, MM_MAIL_DOC);
	op.u.doc.expect = MM_DOC_ANY;
	op.u.doc.body = mm_buf_view(&body);
	MM_TRY(mm_desk_docs_put(d->desk, &op, 1, why));
	m->stored_at = mm_mono_ms();
	m->dirty = false;
	return MM_OK;
}

static void
complain(struct mm_mail *m, const struct mm_why *why)
{
	MM_LOG(MM_LOG_WARN, "mail", MM_S("why", why->text));
	m->due = mm_mono_ms() + STORE_MS;
}

/* The first time it begins with what comes: nobody wants a mail about years
 * past. */
static bool
load(struct mm_mail *m, struct mm_deliver *d, uint64_t size)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	struct mm_why why = { 0 };
	uint64_t version;
	enum mm_err rc = mm_get_doc(mm_desk_reader(d->desk), MM_DOC_NODE,
	    MM_MAIL_DOC,
	    &version, &body, &why);

	if (rc == MM_OK && parse(mm_buf_view(&body), &m->at) &&
	    (uint64_t)m->at.next <= size) {
		m->loaded = true;
	} else if (rc == MM_OK || rc == MM_ENOTFOUND) {
		m->at = (struct progress){ .next = (int64_t)size };
		m->loaded = store(m, d, &m->at, &why) == MM_OK;
	}
	if (!m->loaded)
		complain(m, &why);
	m->seen = (uint64_t)m->at.next;
	m->stored_at = mm_mono_ms() - SIGN_MS;
	return m->loaded;
}

/* see mail.h */
void
mm_mail_forget(struct mm_mail *m)
{
	m->loaded = false;
	m->parcel.tag = 0;
	memset(&m->tally, 0, sizeof(m->tally));
	m->due = 0;
}

/* ---- collecting ---- */

static enum mm_err
take(void *ctx, uint64_t index, struct mm_bytes entry, struct mm_why *why)
{
	struct mm_mail *m = ctx;
	struct mm_entry_view v;

	(void)why;
	mm_entry_look(entry, &v);
	if (mm_bytes_eq(v.type, mm_bytes_of("alert"))) {
		if (m->tally.n == 0)
			m->first_at = mm_mono_ms();
		mm_tally_add(&m->tally, index, entry,
		    (enum mm_severity)m->s->config->set.mail_least);
	}
	m->seen = index + 1;
	return MM_OK;
}

/* Other nodes see by it that somebody mails. */
static int64_t
sign_at(const struct mm_mail *m)
{
	return mm_core_shared(m->s->core) ? m->stored_at + SIGN_MS :
	    INT64_MAX;
}

static bool
is_to_store(const struct mm_mail *m)
{
	int64_t now = mm_mono_ms();

	return now >= sign_at(m) ||
	    (m->dirty && now - m->stored_at >= MOVE_MS);
}

static bool
collect(struct mm_mail *m, struct mm_deliver *d, uint64_t size)
{
	uint64_t to = m->seen + SCAN < size ? m->seen + SCAN : size;
	struct mm_why why = { 0 };

	if (m->seen < to && mm_each_entry(mm_desk_reader(d->desk), m->seen, to,
	    take, m, &why) != MM_OK) {
		complain(m, &why);
		return false;
	}
	if (m->tally.n == 0 && (uint64_t)m->at.next < m->seen) {
		m->at.next = (int64_t)m->seen;
		m->dirty = true;
	}
	if (is_to_store(m) && store(m, d, &m->at, &why) != MM_OK)
		complain(m, &why);
	pthread_mutex_lock(&m->lock);
	m->stats.waiting = m->tally.n;
	pthread_mutex_unlock(&m->lock);
	return true;
}

/* ---- which mail, and when ---- */

/* A clock that was ahead does not keep mails back. */
static int64_t
left_of(int64_t since_ms, int64_t every_ms)
{
	int64_t left = since_ms + every_ms - mm_now_ms();

	return left > every_ms ? 0 : left;
}

/* How long the alerts that are counted have to wait. */
static int64_t
alerts_wait(const struct mm_mail *m)
{
	int64_t every = m->s->config->set.mail_every_s * 1000;
	int64_t gather = m->first_at + (every < GATHER_MS ? every :
	    GATHER_MS) - mm_mono_ms();
	int64_t left = left_of(m->at.sent_at, every);

	if (m->tally.n == 0)
		return INT64_MAX / 2;
	if (m->tally.worst == MM_SEVERITY_CRITICAL && left > 0)
		left = left_of(m->at.critical_at, every);
	return left > gather ? left : gather;
}

static int64_t
digest_wait(const struct mm_mail *m)
{
	int64_t now = mm_now_ms(), day = now / DAY_MS;

	if (!m->s->config->set.mail_digest || m->s->ends == NULL)
		return INT64_MAX / 2;
	if (m->at.day < day && now % DAY_MS >= DIGEST_HOUR_MS)
		return 0;
	return (m->at.day < day ? day : day + 1) * DAY_MS + DIGEST_HOUR_MS -
	    now;
}

static enum mm_err
prepare_alerts(struct mm_mail *m, struct mm_why *why)
{
	m->what = ALERTS;
	m->after = m->at;
	m->after.next = (int64_t)m->seen;
	m->after.sent_at = mm_now_ms();
	if (m->tally.worst == MM_SEVERITY_CRITICAL)
		m->after.critical_at = m->after.sent_at;
	return mm_mail_alerts(m->s, &m->tally, &m->parcel.body, why);
}

/* Where there is nothing to tell the day is over all the same; not before what
 * ends has been listed and counted once. */
static enum mm_err
prepare_digest(struct mm_mail *m, bool *any, struct mm_why *why)
{
	m->what = DIGEST;
	m->after = m->at;
	m->after.day = mm_now_ms() / DAY_MS;
	MM_TRY(mm_mail_digest(m->s, &m->parcel.body, any, why));
	if (*any)
		return MM_OK;
	m->at.day = m->after.day;
	m->dirty = true;
	return MM_OK;
}

static void
send_one(struct mm_mail *m, struct mm_deliver *d)
{
	struct mm_why why = { 0 };
	bool any = true;
	enum mm_err rc;

	mm_parcel_reset(&m->parcel);
	rc = alerts_wait(m) <= 0 ? prepare_alerts(m, &why) :
	    prepare_digest(m, &any, &why);
	if (rc == MM_EAGAIN) /* not counted yet */
		m->due = mm_mono_ms() + STORE_MS;
	else if (rc != MM_OK)
		complain(m, &why);
	else if (any && mm_core_delivers(m->s->core) &&
	    !mm_deliver_send(d, NULL, &m->parcel))
		m->due = mm_mono_ms() + STORE_MS;
}

static int64_t
mail_at(const struct mm_mail *m)
{
	int64_t a = alerts_wait(m), b = digest_wait(m);
	int64_t at = mm_mono_ms() + (a < b ? a : b);

	return at > m->due ? at : m->due;
}

static int64_t
next_look(const struct mm_mail *m)
{
	int64_t at = mail_at(m), sign = sign_at(m);

	sign = sign > m->due ? sign : m->due;
	return sign < at ? sign : at;
}

static void
refused(struct mm_mail *m, const char *text)
{
	int64_t pause = (int64_t)RETRY_MS << (m->attempts < RETRIES ?
	    m->attempts : RETRIES);

	m->attempts++;
	m->due = mm_mono_ms() + pause;
	pthread_mutex_lock(&m->lock);
	m->stats.failed++;
	if (m->stats.failing_since == 0)
		m->stats.failing_since = mm_now_ms();
	snprintf(m->stats.why, sizeof(m->stats.why), "%s", text);
	pthread_mutex_unlock(&m->lock);
	MM_LOG(MM_LOG_WARN, "mail", MM_S("result", "not taken"),
	    MM_S("why", text));
}

/* see mail.h */
int64_t
mm_mail_round(struct mm_mail *m, struct mm_deliver *d, uint64_t size)
{
	if (m->s->config->set.mail_to.n == 0 || !d->delivers || d->link < 0)
		return INT64_MAX;
	if (m->parcel.tag != 0) {
		if (mm_mono_ms() - m->parcel.sent_at <= LATE_MS)
			return m->parcel.sent_at + LATE_MS + 1;
		m->parcel.tag = 0;
		refused(m, "the courier did not answer");
	}
	if (mm_mono_ms() < m->due)
		return m->due;
	if ((!m->loaded && !load(m, d, size)) || !collect(m, d, size))
		return m->due;
	if (m->seen < size)
		return 0; /* there is more to read, at once */
	if (mail_at(m) <= mm_mono_ms())
		send_one(m, d);
	return m->parcel.tag != 0 ? m->parcel.sent_at + LATE_MS + 1 :
	    next_look(m);
}

/* ---- outcomes ---- */

static void
taken(struct mm_mail *m, struct mm_deliver *d)
{
	struct mm_why why = { 0 };

	if (m->what == ALERTS)
		memset(&m->tally, 0, sizeof(m->tally));
	m->at = m->after;
	m->attempts = 0;
	m->dirty = true;
	if (store(m, d, &m->at, &why) != MM_OK)
		complain(m, &why);
	pthread_mutex_lock(&m->lock);
	m->stats.sent++;
	m->stats.sent_at = mm_now_ms();
	m->stats.failing_since = 0;
	m->stats.waiting = m->tally.n;
	pthread_mutex_unlock(&m->lock);
}

/* see mail.h */
bool
mm_mail_outcome(struct mm_mail *m, struct mm_deliver *d, uint32_t tag,
    const struct mm_deliver_rep *rep)
{
	if (m->parcel.tag == 0 || m->parcel.tag != tag)
		return false;
	m->parcel.tag = 0;
	if (rep->status / 100 == 2)
		taken(m, d);
	else
		refused(m, rep->why);
	return true;
}

/* see mail.h */
void
mm_mail_again(struct mm_mail *m)
{
	m->attempts = 0;
	m->due = 0;
}

/* see mail.h */
void
mm_mail_drop(struct mm_mail *m)
{
	if (m->parcel.tag == 0)
		return;
	m->parcel.tag = 0;
	refused(m, MM_COURIER_GONE);
}

/* see mail.h */
void
mm_mail_stats(struct mm_mail *m, struct mm_mail_stats *out)
{
	pthread_mutex_lock(&m->lock);
	*out = m->stats;
	pthread_mutex_unlock(&m->lock);
}

/* see mail.h */
unsigned
mm_mail_try_in(struct mm_mail *m)
{
	const int64_t now = mm_mono_ms();
	int64_t left;
	bool may;

	pthread_mutex_lock(&m->lock);
	if (m->tries == 0 || now - m->tries_at >= TRIES_MS) {
		m->tries_at = now;
		m->tries = 0;
	}
	may = m->tries < MM_MAIL_TRIES;
	m->tries += may;
	left = m->tries_at + TRIES_MS - now;
	pthread_mutex_unlock(&m->lock);
	return may ? 0 : (unsigned)((left + 999) / 1000);
}
