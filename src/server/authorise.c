#include "server/authorise.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/own.h"
#include "base/text.h"
#include "base/time.h"
#include "server/rest.h"

MM_FREE_FN(json_free, json_t, json_decref)

struct asked {
	struct asked *next;
	struct mm_question q;
	int64_t began_us, at_ms; /* monotonic; the clock's */
	bool lost;               /* the courier had it and went away */
	struct mm_parcel parcel;
};

struct mm_authorise {
	struct mm_server *s;
	struct mm_hook hook;   /* the delivery thread's: url, secret */
	struct asked *list, **last;
	unsigned sent;
	bool away;             /* as the log knows it */
	struct mm_hist took;
	pthread_mutex_t lock;  /* what follows */
	struct asked *fresh, **fresh_last;
	bool closed;
	struct mm_authorise_stats stats;
};

/* see authorise.h */
enum mm_err
mm_authorise_open(struct mm_server *s, struct mm_authorise **out,
    struct mm_why *why)
{
	struct mm_authorise *a = calloc(1, sizeof(*a));
	const char *url = s->config->set.authorise_url;

	if (a == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	a->s = s;
	a->last = &a->list;
	a->fresh_last = &a->fresh;
	strcpy(a->hook.id, MM_AUTHORISE_ID);
	pthread_mutex_init(&a->lock, NULL);
	*out = a;
	if (url[0] == '\0')
		return MM_OK;
	strcpy(a->hook.url, url);
	return mm_hook_url_check(url, &s->config->set, why);
}

/* see authorise.h */
void
mm_authorise_close(struct mm_authorise **owner)
{
	struct mm_authorise *a = MM_MOVE(*owner);

	if (a == NULL)
		return;
	mm_authorise_stop(a);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

/* ---- the question ---- */

static const char *const kinds[MM_AUTH_KINDS] = {
	[MM_AUTH_NONE] = "none",
	[MM_AUTH_TOKEN_PSK] = "token",
	[MM_AUTH_TOKEN_BASIC] = "token-bearer",
	[MM_AUTH_DEVICE] = "idevid",
	[MM_AUTH_OPERATOR] = "operator",
	[MM_AUTH_BOOTSTRAP] = "bootstrap",
};

static void
put_some(struct mm_json *j, const char *key, const char *v)
{
	if (v[0] != '\0')
		mm_json_str(j, key, v);
}

static enum mm_err
write_body(struct asked *k)
{
	struct mm_json j = mm_json_over(&k->parcel.body);

	mm_json_open(&j, '{');
	mm_json_str(&j, "type", "mintmark.authorise");
	mm_json_str(&j, "id", k->parcel.id);
	mm_json_time(&j, "at", k->at_ms);
	mm_json_str(&j, "device", k->q.device);
	mm_json_str(&j, "product", k->q.product);
	mm_json_str(&j, "profile", k->q.profile);
	mm_json_str(&j, "authority", kinds[k->q.kind]);
	put_some(&j, "token", k->q.token);
	mm_rest_put_sha256(&j, "spki_sha256", k->q.spki);
	put_some(&j, "peer", k->q.peer);
	mm_json_close(&j, '}');
	return mm_buf_ok(&k->parcel.body, NULL);
}

static struct asked *
asked_new(const struct mm_settings *set, const struct mm_question *q)
{
	struct asked *k = calloc(1, sizeof(*k));
	uint8_t random[16];

	if (k == NULL || getrandom(random, sizeof(random), 0) !=
	    sizeof(random)) {
		free(k);
		return NULL;
	}
	k->q = *q;
	k->began_us = mm_mono_us();
	k->at_ms = mm_now_ms();
	k->parcel.want = MM_AUTHORISE_ANSWER;
	k->parcel.timeout_ms = (uint32_t)set->authorise_timeout_s * 1000;
	strcpy(k->parcel.id, "auth.");
	mm_hex_text(random, sizeof(random), k->parcel.id + 5);
	mm_buf_init(&k->parcel.body, 4096);
	return k;
}

static void
asked_free(struct asked *k)
{
	mm_buf_done(&k->parcel.body);
	free(k);
}

/* see authorise.h */
bool
mm_authorise_ask(void *ctx, const struct mm_question *q)
{
	struct mm_server *s = ctx;
	struct mm_deliver *d = s->deliver;
	struct mm_authorise *a = d != NULL ? mm_deliver_authorise(d) : NULL;
	struct asked *k = a != NULL ? asked_new(&s->config->set, q) : NULL;
	bool open;

	if (k == NULL)
		return false;
	pthread_mutex_lock(&a->lock);
	open = !a->closed;
	if (open) {
		*a->fresh_last = k;
		a->fresh_last = &k->next;
		a->stats.asked++;
		a->stats.waiting++;
	}
	pthread_mutex_unlock(&a->lock);
	if (open)
		mm_deliver_grown(d);
	else
		asked_free(k);
	return open;
}

/* ---- the answer ---- */

/* The length of a character that is not for showing: C0, DEL, C1, and what
 * turns the direction of a line (U+200E, 200F, 202A to 202E, 2066 to 2069);
 * 0: it may be shown. */
static size_t
unfit(const unsigned char *p)
{
	if (p[0] < ' ' || p[0] == 0x7f)
		return 1;
	if (p[0] == 0xc2 && p[1] < 0xa0)
		return 2;
	if (p[0] != 0xe2)
		return 0;
	if (p[1] == 0x80 && (p[2] == 0x8e || p[2] == 0x8f ||
	    (p[2] >= 0xa8 && p[2] <= 0xae)))
		return 3;
	return p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9 ? 3 : 0;
}

static size_t
char_size(unsigned char lead)
{
	if (lead < 0x80)
		return 1;
	return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/* see authorise.h; text is valid UTF-8 */
void
mm_authorise_clean(const char *text, char out[MM_SAID_TEXT])
{
	const unsigned char *p = (const unsigned char *)text;
	size_t n = 0;

	while (*p != '\0') {
		size_t skip = unfit(p), size = skip > 0 ? 1 : char_size(*p);

		if (n + size >= MM_SAID_TEXT)
			break;
		if (skip > 0)
			out[n] = ' ';
		else
			memcpy(out + n, p, size);
		n += size;
		p += skip > 0 ? skip : size;
	}
	out[n] = '\0';
}

static enum mm_said
nothing(char text[MM_SAID_TEXT], const char *why)
{
	snprintf(text, MM_SAID_TEXT, "%s", why);
	return MM_SAID_NOTHING;
}

/* see authorise.h */
enum mm_said
mm_authorise_read(const struct mm_deliver_rep *rep, const char *id,
    char text[MM_SAID_TEXT])
{
	MM_OWN(json_free) json_t *in = NULL;
	const char *echo, *reason;
	const json_t *allow;

	text[0] = '\0';
	if (rep->status == 0)
		return nothing(text, rep->why);
	if (rep->status != 200) {
		snprintf(text, MM_SAID_TEXT, "status %u", rep->status);
		return MM_SAID_NOTHING;
	}
	if (mm_rest_parse(rep->body, &in, NULL) != MM_OK)
		return nothing(text, "the answer is no JSON object");
	allow = json_object_get(in, "allow");
	echo = json_string_value(json_object_get(in, "id"));
	reason = json_string_value(json_object_get(in, "reason"));
	if (echo == NULL || strcmp(echo, id) != 0)
		return nothing(text, "the answer is to another question (id)");
	if (!json_is_boolean(allow))
		return nothing(text, "allow: want true or false");
	if (json_is_true(allow))
		return MM_SAID_YES;
	mm_authorise_clean(reason != NULL ? reason : "", text);
	return MM_SAID_NO;
}

/* One line when it begins to fail, one when it is well again. */
static void
tell(struct mm_authorise *a, bool away, const char *text)
{
	if (away == a->away)
		return;
	a->away = away;
	MM_LOG(away ? MM_LOG_WARN : MM_LOG_INFO, "authorise",
	    MM_S("result", away ? "no answer" : "ok"), MM_S("why", text));
}

/* Takes k, which is in no list any more. */
static void
answer(struct mm_authorise *a, struct asked *k, enum mm_said said,
    const char *text)
{
	mm_hist_add(&a->took, &mm_hist_time,
	    (uint64_t)(mm_mono_us() - k->began_us));
	pthread_mutex_lock(&a->lock);
	a->stats.said[said]++;
	a->stats.waiting--;
	a->stats.away = said == MM_SAID_NOTHING;
	if (said == MM_SAID_NOTHING) {
		a->stats.last_at = mm_now_ms();
		snprintf(a->stats.last_why, sizeof(a->stats.last_why), "%s",
		    text);
	}
	pthread_mutex_unlock(&a->lock);
	tell(a, said == MM_SAID_NOTHING, text);
	mm_core_said(a->s->core, k->q.number, said, text);
	asked_free(k);
}

static struct asked *
cut(struct mm_authorise *a, struct asked **at)
{
	struct asked *k = *at;

	*at = k->next;
	if (*at == NULL)
		a->last = at;
	a->sent -= k->parcel.tag != 0;
	return k;
}

/* see authorise.h */
bool
mm_authorise_outcome(struct mm_authorise *a, uint32_t tag,
    const struct mm_deliver_rep *rep)
{
	char text[MM_SAID_TEXT];

	for (struct asked **at = &a->list; *at != NULL; at = &(*at)->next) {
		enum mm_said said;
		struct asked *k;

		if ((*at)->parcel.tag != tag)
			continue;
		k = cut(a, at);
		said = mm_authorise_read(rep, k->parcel.id, text);
		answer(a, k, said, text);
		return true;
	}
	return false;
}

/* ---- the delivery thread ---- */

static void
take_fresh(struct mm_authorise *a)
{
	pthread_mutex_lock(&a->lock);
	if (a->fresh != NULL) {
		*a->last = a->fresh;
		a->last = a->fresh_last;
		a->fresh = NULL;
		a->fresh_last = &a->fresh;
	}
	pthread_mutex_unlock(&a->lock);
}

/* Why there will be no answer, or NULL. */
static const char *
hopeless(const struct asked *k, const struct mm_deliver *d, int64_t left_ms)
{
	if (k->lost)
		return MM_COURIER_GONE;
	if (left_ms <= 0)
		return "no answer in time";
	return d->link < 0 ? "the courier is away" : NULL;
}

/* Asks no longer than the device was promised, however long it waited. */
static void
send_one(struct mm_authorise *a, struct mm_deliver *d, struct asked *k,
    int64_t left_ms)
{
	if (k->parcel.tag != 0 || a->sent >= MM_AUTHORISE_AT_ONCE)
		return;
	k->parcel.timeout_ms = (uint32_t)left_ms;
	if (k->parcel.body.n == 0 && write_body(k) != MM_OK)
		return;
	a->sent += mm_deliver_send(d, &a->hook, &k->parcel);
}

/* see authorise.h */
int64_t
mm_authorise_round(struct mm_authorise *a, struct mm_deliver *d)
{
	int64_t span = a->s->config->set.authorise_timeout_s * 1000;
	int64_t now = mm_mono_ms(), soonest = INT64_MAX;
	struct asked **at = &a->list;

	take_fresh(a);
	while (*at != NULL) {
		struct asked *k = *at;
		int64_t until = k->began_us / 1000 + span;
		const char *why = hopeless(k, d, until - now);

		if (why != NULL) {
			answer(a, cut(a, at), MM_SAID_NOTHING, why);
			continue;
		}
		send_one(a, d, k, until - now);
		soonest = until < soonest ? until : soonest;
		at = &k->next;
	}
	/* a link that broke meanwhile: once more, at once */
	return a->list != NULL && d->link < 0 ? 0 : soonest;
}

/* see authorise.h; a round may be under way, so nothing leaves the list. */
void
mm_authorise_drop(struct mm_authorise *a)
{
	for (struct asked *k = a->list; k != NULL; k = k->next)
		if (k->parcel.tag != 0) {
			k->lost = true;
			k->parcel.tag = 0;
		}
	a->sent = 0;
}

/* see authorise.h */
void
mm_authorise_stop(struct mm_authorise *a)
{
	pthread_mutex_lock(&a->lock);
	a->closed = true;
	pthread_mutex_unlock(&a->lock);
	take_fresh(a);
	while (a->list != NULL)
		answer(a, cut(a, &a->list), MM_SAID_NOTHING,
		    "the server is stopping");
}

/* ---- its secret ---- */

/* see authorise.h */
enum mm_err
mm_authorise_get(struct mm_store_reader *r, struct mm_hook *out,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	struct mm_doc doc = { .id = MM_AUTHORISE_ID };
	enum mm_err rc = mm_get_doc(r, MM_DOC_SECRET, doc.id, &doc.version,
	    &body, NULL);

	*out = (struct mm_hook){ .id = MM_AUTHORISE_ID };
	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	doc.body = mm_buf_view(&body);
	return mm_hook_parse(&doc, out, why);
}

/* see authorise.h */
enum mm_err
mm_authorise_load(struct mm_authorise *a, struct mm_store_reader *r,
    struct mm_why *why)
{
	struct mm_hook h;

	MM_TRY(mm_authorise_get(r, &h, why));
	a->hook.secret = h.secret;
	a->hook.rotated_at = h.rotated_at;
	return MM_OK;
}

/* ---- numbers ---- */

/* see authorise.h */
void
mm_authorise_stats(struct mm_authorise *a, struct mm_authorise_stats *out)
{
	pthread_mutex_lock(&a->lock);
	*out = a->stats;
	pthread_mutex_unlock(&a->lock);
}

/* see authorise.h */
const struct mm_hist *
mm_authorise_took(const struct mm_authorise *a)
{
	return &a->took;
}
