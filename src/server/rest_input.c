#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/time.h"
#include "server/rest.h"

enum { DEPTH_MAX = 6 };

/* Brackets open at once, outside strings: jansson alone would recurse as deep
 * as the caller likes. */
static bool
depth_ok(struct mm_bytes v)
{
	int depth = 0;
	bool text = false;

	for (size_t i = 0; i < v.n; i++) {
		uint8_t c = v.p[i];

		if (text && c == '\\')
			i++;
		else if (c == '"')
			text = !text;
		else if (!text && (c == '{' || c == '['))
			depth++;
		else if (!text && (c == '}' || c == ']'))
			depth--;
		if (depth > DEPTH_MAX)
			return false;
	}
	return true;
}

/*
 * jansson calls a text malformed when it lacks memory for it, and the device
 * would not come again; only its allocator can tell the two apart.
 */
static _Thread_local bool json_lacked;

static void *
json_memory(size_t n)
{
	void *p = malloc(n);

	json_lacked = json_lacked || p == NULL;
	return p;
}

static void
watch_memory(void)
{
	json_set_alloc_funcs(json_memory, free);
}

/* see rest.h */
enum mm_err
mm_rest_parse(struct mm_bytes body, json_t **out, struct mm_why *why)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	json_error_t error;
	json_t *j;

	(void)pthread_once(&once, watch_memory);
	json_lacked = false;
	if (!depth_ok(body))
		return MM_FAIL(why, MM_EINPUT, "JSON: more than %d deep",
		    DEPTH_MAX);
	j = json_loadb((const char *)body.p, body.n, JSON_REJECT_DUPLICATES,
	    &error);
	if (j == NULL && json_lacked)
		return MM_FAIL(why, MM_ENOMEM, "JSON: out of memory");
	if (j == NULL)
		return MM_FAIL(why, MM_EINPUT, "JSON: %s (line %d, column %d)",
		    error.text, error.line, error.column);
	if (!json_is_object(j)) {
		json_decref(j);
		return MM_FAIL(why, MM_EINPUT, "JSON: want an object");
	}
	*out = j;
	return MM_OK;
}

/* see rest.h */
void
mm_rest_json_free(json_t **owner)
{
	json_decref(*owner);
	*owner = NULL;
}

/* ---- members ---- */

typedef enum mm_err set_fn(const struct mm_member *m, const json_t *v,
    void *out, struct mm_why *why);

static enum mm_err
wrong(const struct mm_member *m, const char *want, struct mm_why *why)
{
	return MM_FAIL(why, MM_EINPUT, "%s: want %s", m->name, want);
}

static enum mm_err
set_text(const struct mm_member *m, const json_t *v, void *out,
    struct mm_why *why)
{
	struct mm_bytes text = { (const uint8_t *)json_string_value(v),
		json_string_length(v) };

	if (!json_is_string(v))
		return wrong(m, "a text", why);
	if (!mm_text_copy(out, m->size, text))
		return MM_FAIL(why, MM_EINPUT, "%s: at most %zu characters",
		    m->name, m->size - 1);
	return MM_OK;
}

static enum mm_err
set_name(const struct mm_member *m, const json_t *v, void *out,
    struct mm_why *why)
{
	const char *s = out;

	MM_TRY(set_text(m, v, out, why));
	return *s == '\0' || mm_name_valid(s) ? MM_OK
	    : wrong(m, "a name: 1 to 32 of a-z 0-9 . _ -", why);
}

static enum mm_err
set_device(const struct mm_member *m, const json_t *v, void *out,
    struct mm_why *why)
{
	MM_TRY(set_text(m, v, out, why));
	return mm_device_id_valid(out) ? MM_OK
	    : wrong(m, "a device id: 1 to 64 of A-Z a-z 0-9 . _ -", why);
}

static enum mm_err
set_bool(const struct mm_member *m, const json_t *v, void *out,
    struct mm_why *why)
{
	if (!json_is_boolean(v))
		return wrong(m, "true or false", why);
	*(bool *)out = json_is_true(v);
	return MM_OK;
}

static enum mm_err
set_duration(const struct mm_member *m, const json_t *v, void *out,
    struct mm_why *why)
{
	int64_t s = json_integer_value(v);

	if (json_is_string(v) && mm_duration_parse(json_string_value(v), &s,
	    NULL) != MM_OK)
		return wrong(m, "seconds, or a text like 72h", why);
	if ((!json_is_string(v) && !json_is_integer(v)) || s < 0)
		return wrong(m, "seconds, or a text like 72h", why);
	*(int64_t *)out = s;
	return MM_OK;
}

static enum mm_err
set_int(const struct mm_member *m, const json_t *v, void *out,
    struct mm_why *why)
{
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return wrong(m, "a whole number", why);
	*(int64_t *)out = json_integer_value(v);
	return MM_OK;
}

static enum mm_err
set_time(const struct mm_member *m, const json_t *v, void *out,
    struct mm_why *why)
{
	if (!json_is_string(v) ||
	    mm_time_parse(json_string_value(v), out, NULL) != MM_OK)
		return wrong(m, "a time, like 2026-11-23T05:00:00Z", why);
	return MM_OK;
}

static enum mm_err
set_sha256(const struct mm_member *m, const json_t *v, void *out,
    struct mm_why *why)
{
	if (json_is_string(v) && json_string_length(v) == 0)
		return MM_OK;
	if (!json_is_string(v) || mm_hex_parse(json_string_value(v),
	    json_string_length(v), out, 32, NULL) != MM_OK)
		return wrong(m, "64 hexadecimal digits", why);
	return MM_OK;
}

static enum mm_err
set_object(const struct mm_member *m, const json_t *v, void *out,
    struct mm_why *why)
{
	size_t n;

	if (!json_is_object(v))
		return wrong(m, "an object", why);
	n = json_dumpb(v, out, m->size - 1, JSON_COMPACT | JSON_SORT_KEYS);
	if (n >= m->size)
		return MM_FAIL(why, MM_EINPUT, "%s: at most %zu bytes",
		    m->name, m->size - 1);
	((char *)out)[n] = '\0';
	return MM_OK;
}

static enum mm_err
set_kept(const struct mm_member *m, const json_t *v, void *out,
    struct mm_why *why)
{
	(void)out;
	return json_is_object(v) ? MM_OK : wrong(m, "an object", why);
}

/* Joined by commas, which no item may hold.  Nothing in the list, or an
 * empty name, is a mistake: it must not become "no limit". */
static enum mm_err
set_names(const struct mm_member *m, const json_t *v, void *out,
    struct mm_why *why)
{
	struct mm_buf b = MM_BUF_INIT(m->size - 1);
	const json_t *item;
	size_t i;
	bool good = json_array_size(v) > 0;

	json_array_foreach(v, i, item) {
		const char *s = json_string_value(item);

		good = good && s != NULL && s[0] != '\0' &&
		    strchr(s, ',') == NULL;
		if (good)
			mm_buf_printf(&b, "%s%s", i > 0 ? "," : "", s);
	}
	good = good && b.err == MM_OK &&
	    mm_text_copy(out, m->size, mm_buf_view(&b));
	mm_buf_done(&b);
	return good ? MM_OK : wrong(m, "a list of texts", why);
}

static set_fn *const setters[] = {
	[MM_M_TEXT] = set_text, [MM_M_NAME] = set_name,
	[MM_M_DEVICE] = set_device, [MM_M_BOOL] = set_bool,
	[MM_M_DURATION] = set_duration, [MM_M_INT] = set_int,
	[MM_M_TIME] = set_time,
	[MM_M_SHA256] = set_sha256, [MM_M_OBJECT] = set_object,
	[MM_M_NAMES] = set_names, [MM_M_KEPT] = set_kept,
};

static const struct mm_member *
find(const struct mm_member *m, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(m[i].name, name) == 0)
			return &m[i];
	return NULL;
}

/* see rest.h */
enum mm_err
mm_rest_members(json_t *in, const struct mm_member *m, size_t n,
    void *out, struct mm_why *why)
{
	const char *key;
	json_t *v;

	json_object_foreach(in, key, v) {
		const struct mm_member *row = find(m, n, key);

		if (row == NULL)
			return MM_FAIL(why, MM_EINPUT,
			    "\"%.40s\": no such member", key);
		if (json_is_null(v))
			continue;
		MM_TRY(setters[row->type](row, v, (char *)out + row->offset,
		    why));
	}
	for (size_t i = 0; i < n; i++)
		if (m[i].must && (json_object_get(in, m[i].name) == NULL ||
		    json_is_null(json_object_get(in, m[i].name))))
			return MM_FAIL(why, MM_EINPUT, "%s: missing",
			    m[i].name);
	return MM_OK;
}

/* see rest.h */
enum mm_err
mm_rest_csr(const json_t *in, struct mm_job *job, struct mm_why *why)
{
	const json_t *csr = json_object_get(in, "csr");
	const json_t *label = json_object_get(in, "label");
	struct mm_bytes text = { (const uint8_t *)json_string_value(csr),
		json_string_length(csr) };

	if (json_object_size(in) != (csr != NULL) + (size_t)(label != NULL))
		return MM_FAIL(why, MM_EINPUT,
		    "JSON: want \"csr\" and perhaps \"label\"");
	if (!json_is_string(csr))
		return MM_FAIL(why, MM_EINPUT, "csr: want PEM or base64");
	if (label != NULL && (!json_is_string(label) ||
	    !mm_text_copy(job->label, sizeof(job->label), (struct mm_bytes){
	    (const uint8_t *)json_string_value(label),
	    json_string_length(label) })))
		return MM_FAIL(why, MM_EINPUT, "label: want a name");
	return mm_est_read(text, &job->request, why);
}

/* ---- path and query ---- */

/* see rest.h */
enum mm_err
mm_rest_segment(const struct mm_rest *r, unsigned i, char *out, size_t outn,
    struct mm_why *why)
{
	if (!mm_text_copy(out, outn, mm_http_segment(r->req, i)))
		return MM_FAIL(why, MM_ENOTFOUND, "no such thing");
	return MM_OK;
}

/* see rest.h */
enum mm_err
mm_rest_serial(const struct mm_rest *r, uint8_t serial[16], struct mm_why *why)
{
	struct mm_any_serial any;

	if (mm_any_serial_parse(mm_http_segment(r->req, 0), &any, NULL) !=
	    MM_OK)
		return MM_FAIL(why, MM_ENOTFOUND, "no such certificate: a "
		    "serial has 1 to 40 hex digits, ours 32");
	return mm_core_serial(r->s->core, r->reader, &any, serial, why);
}

/* see rest.h */
enum mm_err
mm_rest_query(const struct mm_rest *r, const char *name, char *out,
    size_t outn, struct mm_why *why)
{
	enum mm_err rc;

	out[0] = '\0';
	rc = mm_http_query(r->req, name, out, outn, why);
	if (rc == MM_ENOTFOUND && why != NULL)
		*why = (struct mm_why){ 0 };
	return rc == MM_ENOTFOUND ? MM_OK : rc == MM_ELIMIT ? MM_EINPUT : rc;
}

/* see rest.h */
enum mm_err
mm_rest_query_time(const struct mm_rest *r, const char *name, int64_t *out_ms,
    struct mm_why *why)
{
	char text[40];

	*out_ms = 0;
	MM_TRY(mm_rest_query(r, name, text, sizeof(text), why));
	if (text[0] != '\0' && mm_time_parse(text, out_ms, NULL) != MM_OK)
		return MM_FAIL(why, MM_EINPUT, "%s: want a time", name);
	return MM_OK;
}

/* see rest.h */
enum mm_err
mm_rest_query_bool(const struct mm_rest *r, const char *name, bool *out,
    struct mm_why *why)
{
	char text[8];

	MM_TRY(mm_rest_query(r, name, text, sizeof(text), why));
	*out = strcmp(text, "true") == 0;
	if (text[0] != '\0' && !*out && strcmp(text, "false") != 0)
		return MM_FAIL(why, MM_EINPUT, "%s: want true or false", name);
	return MM_OK;
}

/* ---- versions ---- */

/* see rest.h */
enum mm_err
mm_rest_if_match(const struct mm_rest *r, uint64_t *room,
    const uint64_t **out, struct mm_why *why)
{
	const char *tag = r->if_match;
	size_t n = strlen(tag);
	char digits[24] = "";
	int64_t v = -1;

	*out = NULL;
	if (n == 0 || strcmp(tag, "*") == 0)
		return MM_OK;
	if (strchr(tag, ',') != NULL)
		return MM_FAIL(why, MM_EINPUT, "If-Match: want one tag");
	if (n > 2 && tag[0] == '"' && tag[n - 1] == '"' && n - 2 < 20) {
		memcpy(digits, tag + 1, n - 2);
		if (mm_int_parse(digits, &v, NULL) != MM_OK)
			v = -1;
	}
	*room = v >= 0 ? (uint64_t)v : UINT64_MAX - 1;
	*out = room;
	return MM_OK;
}

/* see rest.h */
void
mm_rest_etag(struct mm_rest *r, uint64_t version)
{
	r->etag = version;
	r->has_etag = true;
}
