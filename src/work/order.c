#include "work/order.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/own.h"
#include "base/time.h"
#include "pki/key.h"
#include "work/priv.h"

static bool
is_absent(const struct mm_work_field *f, const uint8_t *at)
{
	switch (f->kind) {
	case MM_WF_NAME:
	case MM_WF_TEXT:
		return *at == '\0';
	case MM_WF_INT:
		return *(const int64_t *)(const void *)at == 0;
	case MM_WF_HASH:
		return mm_work_is_zero(at, f->n);
	case MM_WF_BLOB:
		return ((const struct mm_bytes *)(const void *)at)->n == 0;
	default:
		return false;
	}
}

static bool
is_within(const struct mm_work_field *f, const uint8_t *at)
{
	int64_t v = 0;
	int word = 0;

	if (f->kind == MM_WF_INT || f->kind == MM_WF_TIME)
		memcpy(&v, at, sizeof(v));
	if (f->kind == MM_WF_WORD)
		memcpy(&word, at, sizeof(word));
	switch (f->kind) {
	case MM_WF_NAME:
		return mm_name_valid((const char *)at);
	case MM_WF_TEXT:
		return *at != '\0';
	case MM_WF_INT:
		return v >= f->least && v <= f->most;
	case MM_WF_TIME:
		return v >= 0 && v / 1000 <= MM_TIME_FOREVER_S;
	case MM_WF_WORD:
		return word >= 0 && (size_t)word < f->n;
	case MM_WF_BLOB:
		return ((const struct mm_bytes *)(const void *)at)->n <= f->n;
	default:
		return true;
	}
}

static void
put_field(struct mm_json *j, const struct mm_work_field *f, const uint8_t *at)
{
	const void *v = at;

	switch (f->kind) {
	case MM_WF_NAME:
	case MM_WF_TEXT:
		mm_json_str(j, f->key, v);
		break;
	case MM_WF_INT:
		mm_json_int(j, f->key, *(const int64_t *)v);
		break;
	case MM_WF_TIME:
		mm_json_time(j, f->key, *(const int64_t *)v);
		break;
	case MM_WF_WORD:
		mm_json_str(j, f->key, f->words[*(const int *)v]);
		break;
	case MM_WF_HASH:
		mm_json_hex(j, f->key, (struct mm_bytes){ at, f->n });
		break;
	case MM_WF_BLOB:
		mm_json_b64(j, f->key, *(const struct mm_bytes *)v);
		break;
	}
}

static enum mm_err
put_fields(struct mm_json *j, const struct mm_work_order *o,
    struct mm_why *why)
{
	for (size_t i = 0; i < mm_work_fields_n; i++) {
		const struct mm_work_field *f = &mm_work_fields[i];
		const uint8_t *at = (const uint8_t *)o + f->at;

		if (f->may && is_absent(f, at))
			continue;
		if (!is_within(f, at))
			return MM_FAIL(why, MM_EINPUT,
			    "order: %s: out of bounds", f->key);
		put_field(j, f, at);
	}
	return MM_OK;
}

static void
put_lists(struct mm_json *j, const struct mm_work_order *o)
{
	mm_json_open_key(j, "profiles", '[');
	for (size_t i = 0; i < o->profiles_n; i++) {
		mm_json_open(j, '{');
		mm_json_str(j, "name", o->profiles[i].name);
		mm_json_int(j, "version", o->profiles[i].version);
		mm_json_hex(j, "sha256",
		    (struct mm_bytes){ o->profiles[i].sha256, 32 });
		mm_json_close(j, '}');
	}
	mm_json_close(j, ']');
	mm_json_open_key(j, "people", '[');
	for (size_t i = 0; i < o->people_n; i++) {
		mm_json_open(j, '{');
		mm_json_str(j, "id", o->people[i].id);
		mm_json_str(j, "role",
		    mm_work_role_words[o->people[i].role]);
		mm_json_hex(j, "badge",
		    (struct mm_bytes){ o->people[i].badge, 32 });
		mm_json_close(j, '}');
	}
	mm_json_close(j, ']');
}

/* see order.h */
enum mm_err
mm_work_order_encode(const struct mm_work_order *o, struct mm_buf *out,
    struct mm_why *why)
{
	struct mm_buf text = MM_BUF_INIT(MM_WORK_TEXT_MAX);
	struct mm_json j = mm_json_over(&text);
	enum mm_err err = mm_work_order_check(o, why);

	mm_buf_text(&text, MM_WORK_FIRST_LINE);
	mm_json_open(&j, '{');
	if (err == MM_OK)
		err = put_fields(&j, o, why);
	if (err == MM_OK)
		put_lists(&j, o);
	mm_json_close(&j, '}');
	mm_buf_text(&text, "\n");
	if (err == MM_OK)
		err = mm_buf_ok(&text, why);
	if (err == MM_OK)
		mm_buf_bytes(out, mm_buf_view(&text));
	mm_buf_done(&text);
	return err != MM_OK ? err : mm_buf_ok(out, why);
}

/* see order.h */
void
mm_work_order_free(struct mm_work_order **owner)
{
	free(*owner);
	*owner = NULL;
}

/* see order.h */
enum mm_err
mm_work_key_name(const char *origin, char *out, struct mm_why *why)
{
	size_t n = strlen(origin);

	if (n == 0 || n > MM_WORK_CENTRE_MAX)
		return MM_FAIL(why, MM_EINPUT, "order: the centre's origin is "
		    "%zu bytes, want 1 to %d", n, MM_WORK_CENTRE_MAX);
	memcpy(out, origin, n);
	memcpy(out + n, "/orders", sizeof("/orders"));
	return MM_OK;
}

/* see order.h */
enum mm_err
mm_work_order_verify(struct mm_bytes note, const struct mm_note_key *key,
    struct mm_work_order **out, struct mm_why *why)
{
	MM_OWN(mm_work_order_free) struct mm_work_order *o = NULL;
	char name[MM_ORIGIN_MAX + 1];
	struct mm_bytes text;

	MM_TRY(mm_note_verify(note, key, &text, why));
	MM_TRY(mm_work_order_parse(text, &o, why));
	MM_TRY(mm_work_key_name(o->centre, name, why));
	if (strcmp(name, key->name) != 0)
		return MM_FAIL(why, MM_EPOLICY, "order: of %.60s, signed by "
		    "%.60s", o->centre, key->name);
	*out = MM_MOVE(o);
	return MM_OK;
}

/* see order.h */
enum mm_err
mm_work_order_hash(struct mm_bytes note, uint8_t out[32], struct mm_why *why)
{
	struct mm_bytes text;

	MM_TRY(mm_note_text(note, &text, why));
	mm_sha256(text, out);
	return MM_OK;
}
