#include "server/hook.h"

#include <stdio.h>
#include <string.h>

#include <curl/curl.h>

#include "base/own.h"
#include "server/rest.h"

MM_FREE_FN(url_free, CURLU, curl_url_cleanup)
MM_FREE_FN(text_free, char, curl_free)
MM_FREE_FN(json_free, json_t, json_decref)

static const char *const states[MM_HOOK_STATES] = {
	[MM_HOOK_ACTIVE] = "active",
	[MM_HOOK_PAUSED] = "paused",
	[MM_HOOK_DISABLED] = "disabled",
};

/* see hook.h */
const char *
mm_hook_state_name(enum mm_hook_state s)
{
	return states[s];
}

/* ---- documents ---- */

/* A document's members are parsed by the table that prints them. */
struct stored {
	struct mm_hook h;
	char state[10];
};
#define TEXT(name, field)                                                  \
	{ name, MM_M_TEXT, false, offsetof(struct stored, field),          \
	    sizeof(((struct stored *)0)->field) }
#define NUMBER(name, field)                                                \
	{ name, MM_M_DURATION, false, offsetof(struct stored, field),      \
	    sizeof(int64_t) }
static const struct mm_member members[] = {
	TEXT("url", h.url),
	TEXT("description", h.description),
	TEXT("types", h.filter.types),
	TEXT("products", h.filter.products),
	TEXT("state", state),
	TEXT("reason", h.reason),
	{ "batch", MM_M_BOOL, false, offsetof(struct stored, h.batch), 1 },
	NUMBER("secret", h.secret),
	NUMBER("created", h.created_at),
	NUMBER("rotated", h.rotated_at),
	NUMBER("resumed", h.resumed_at),
	NUMBER("epoch", h.epoch),
	NUMBER("from", h.from),
};

static void
put_member(struct mm_json *j, const struct mm_member *m, const void *field)
{
	if (m->type == MM_M_TEXT)
		mm_json_str(j, m->name, field);
	else if (m->type == MM_M_BOOL)
		mm_json_bool(j, m->name, *(const bool *)field);
	else
		mm_json_int(j, m->name, *(const int64_t *)field);
}

static void
put_members(struct mm_buf *out, const struct mm_member *m, size_t n,
    const void *from)
{
	struct mm_json j = mm_json_over(out);

	mm_json_open(&j, '{');
	for (size_t i = 0; i < n; i++)
		put_member(&j, &m[i], (const char *)from + m[i].offset);
	mm_json_close(&j, '}');
}

static enum mm_err
get_members(struct mm_bytes body, const struct mm_member *m, size_t n,
    void *to, struct mm_why *why)
{
	MM_OWN(json_free) json_t *in = NULL;

	MM_TRY(mm_rest_parse(body, &in, why));
	return mm_rest_members(in, m, n, to, why);
}

#define N(a) (sizeof(a) / sizeof((a)[0]))

static enum mm_err
state_of(const char *name, enum mm_hook_state *out, struct mm_why *why)
{
	for (unsigned i = 0; i < MM_HOOK_STATES; i++)
		if (strcmp(states[i], name) == 0) {
			*out = (enum mm_hook_state)i;
			return MM_OK;
		}
	return MM_FAIL(why, MM_EBUG, "a webhook in state \"%.20s\"", name);
}

/* see hook.h */
enum mm_err
mm_hook_parse(const struct mm_doc *doc, struct mm_hook *out,
    struct mm_why *why)
{
	struct stored s = { 0 };

	MM_TRY(get_members(doc->body, members, N(members), &s, why));
	MM_TRY(state_of(s.state, &s.h.state, why));
	if (!mm_text_copy(s.h.id, sizeof(s.h.id), mm_bytes_of(doc->id)))
		return MM_FAIL(why, MM_EBUG, "a webhook's id is too long");
	s.h.version = doc->version;
	*out = s.h;
	return MM_OK;
}

/* see hook.h */
void
mm_hook_encode(const struct mm_hook *h, struct mm_buf *out)
{
	struct stored s = { .h = *h };

	strcpy(s.state, states[h->state]);
	put_members(out, members, N(members), &s);
}

/* see hook.h */
enum mm_err
mm_hook_get(struct mm_store_reader *r, const char *id, struct mm_hook *out,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	struct mm_doc doc = { .id = "" };
	enum mm_err rc;

	if (!mm_text_copy(doc.id, MM_HOOK_ID, mm_bytes_of(id)))
		return MM_FAIL(why, MM_ENOTFOUND, "no such webhook");
	rc = mm_get_doc(r, MM_DOC_WEBHOOK, doc.id, &doc.version, &body, NULL);
	if (rc != MM_OK)
		return MM_FAIL(why, rc, rc == MM_ENOTFOUND
		    ? "no such webhook" : "the store cannot be read");
	doc.body = mm_buf_view(&body);
	return mm_hook_parse(&doc, out, why);
}

/* ---- progress ---- */

#define PROGRESS(name, field)                                              \
	{ name, MM_M_DURATION, false,                                      \
	    offsetof(struct mm_hook_progress, field), sizeof(int64_t) }
static const struct mm_member progress[] = {
	PROGRESS("next", next),
	PROGRESS("epoch", epoch),
	PROGRESS("failing_since", failing_since),
	PROGRESS("attempts", attempts),
};

/* see hook.h */
enum mm_err
mm_hook_progress_parse(struct mm_bytes body, struct mm_hook_progress *out,
    struct mm_why *why)
{
	struct mm_hook_progress p = { 0 };

	MM_TRY(get_members(body, progress, N(progress), &p, why));
	*out = p;
	return MM_OK;
}

/* see hook.h */
void
mm_hook_progress_encode(const struct mm_hook_progress *p, struct mm_buf *out)
{
	put_members(out, progress, N(progress), p);
}

/* see hook.h */
void
mm_hook_letter_id(const char *hook, uint64_t index,
    char out[MM_DOC_ID_MAX + 1])
{
	snprintf(out, MM_DOC_ID_MAX + 1, "%.19s.%020llu", hook,
	    (unsigned long long)index);
}

/* ---- URLs ---- */

static bool
part_is(CURLU *u, CURLUPart part, const char *const *words)
{
	MM_OWN(text_free) char *v = NULL;

	if (curl_url_get(u, part, &v, 0) != CURLUE_OK)
		return false;
	for (; *words != NULL; words++)
		if (strcmp(v, *words) == 0)
			return true;
	return false;
}

static bool
has_part(CURLU *u, CURLUPart part)
{
	MM_OWN(text_free) char *v = NULL;

	return curl_url_get(u, part, &v, 0) == CURLUE_OK;
}

static bool
printable(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s <= ' ' || *s > '~')
			return false;
	return true;
}

/* see hook.h; by the parser that the courier uses, so that both see one and
 * the same host. */
enum mm_err
mm_hook_url_check(const char *url, const struct mm_settings *set,
    struct mm_why *why)
{
	static const char *const https[] = { "https", NULL };
	static const char *const http[] = { "http", NULL };
	static const char *const here[] = { "localhost", "127.0.0.1", "[::1]",
		NULL };
	MM_OWN(url_free) CURLU *u = curl_url();

	if (u == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	if (!printable(url) || curl_url_set(u, CURLUPART_URL, url, 0) !=
	    CURLUE_OK || (!part_is(u, CURLUPART_SCHEME, https) &&
	    !part_is(u, CURLUPART_SCHEME, http)))
		return MM_FAIL(why, MM_EINPUT,
		    "url: want https://host/path of printable characters");
	/* RFC 6874: an interface of this machine is nobody's to choose */
	if (has_part(u, CURLUPART_ZONEID))
		return MM_FAIL(why, MM_EINPUT, "url: no zone (%%) in an "
		    "address");
	if (has_part(u, CURLUPART_USER) || has_part(u, CURLUPART_PASSWORD) ||
	    has_part(u, CURLUPART_FRAGMENT))
		return MM_FAIL(why, MM_EINPUT,
		    "url: no user, no password, no fragment");
	if (part_is(u, CURLUPART_SCHEME, http) && !set->webhook_plain &&
	    !part_is(u, CURLUPART_HOST, here))
		return MM_FAIL(why, MM_EINPUT, "url: http:// only to this "
		    "machine, unless webhook_plain is set");
	return MM_OK;
}
