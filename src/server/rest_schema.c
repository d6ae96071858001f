#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "server/rest.h"

/* What a product's devices may say about themselves. */

MM_FREE_FN(text_free, char, free)

static enum mm_err
product_name(const struct mm_rest *r, char name[MM_NAME_MAX + 1],
    struct mm_why *why)
{
	MM_TRY(mm_rest_segment(r, 0, name, MM_NAME_MAX + 1, why));
	return mm_name_valid(name) ? MM_OK :
	    MM_FAIL(why, MM_ENOTFOUND, "no such product");
}

enum mm_err
mm_rest_schema(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf json = MM_BUF_INIT(65536);
	char name[MM_NAME_MAX + 1];
	uint64_t version;
	bool whole;

	MM_TRY(product_name(r, name, why));
	MM_TRY(mm_desk_schema_get(r->desk, name, &json, &version, &whole,
	    why));
	mm_json_open(&r->j, '{');
	mm_json_str(&r->j, "product", name);
	mm_json_bool(&r->j, "indexed", whole);
	mm_json_raw(&r->j, "schema", mm_buf_view(&json));
	mm_json_close(&r->j, '}');
	mm_rest_etag(r, version);
	return MM_OK;
}

static void
put_fit(struct mm_rest *r, const struct mm_fit *fit)
{
	mm_json_int(&r->j, "checked", (int64_t)fit->looked);
	mm_json_int(&r->j, "unfit", (int64_t)fit->unfit);
	if (fit->next[0] != '\0')
		mm_json_str(&r->j, "next", fit->next);
}

static enum mm_err
put(struct mm_rest *r, const char *schema, bool force, struct mm_why *why)
{
	char name[MM_NAME_MAX + 1];
	const uint64_t *if_version;
	struct mm_fit fit;
	uint64_t version;

	MM_TRY(product_name(r, name, why));
	MM_TRY(mm_rest_if_match(r, &version, &if_version, why));
	MM_TRY(mm_desk_schema_put(r->desk, &r->login, name, schema,
	    if_version, force, &fit, why));
	mm_json_open(&r->j, '{');
	mm_json_str(&r->j, "product", name);
	put_fit(r, &fit);
	mm_json_close(&r->j, '}');
	return MM_OK;
}

/* The new version is the ETag; somebody else's may be there already. */
static void
tag(struct mm_rest *r)
{
	MM_OWN(mm_buf_done) struct mm_buf json = MM_BUF_INIT(65536);
	char name[MM_NAME_MAX + 1];
	uint64_t version;
	bool whole;

	if (product_name(r, name, NULL) == MM_OK &&
	    mm_desk_schema_get(r->desk, name, &json, &version, &whole,
		NULL) == MM_OK)
		mm_rest_etag(r, version);
}

enum mm_err
mm_rest_schema_put(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(text_free) char *schema = json_dumps(r->in,
	    JSON_COMPACT | JSON_SORT_KEYS);
	bool force;

	if (schema == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	MM_TRY(mm_rest_query_bool(r, "force", &force, why));
	MM_TRY(put(r, schema, force, why));
	tag(r);
	return MM_OK;
}

enum mm_err
mm_rest_schema_drop(struct mm_rest *r, struct mm_why *why)
{
	return put(r, "", true, why);
}

/* ---- do the devices fit? ---- */

struct unfit {
	struct mm_rest *r;
	unsigned told;
};

/* All are counted, the first hundred named. */
static enum mm_err
put_unfit(void *ctx, const char *device, const char *column,
    const char *why_not)
{
	struct unfit *u = ctx;
	struct mm_json *j = &u->r->j;

	if (u->told++ >= 100)
		return MM_OK;
	mm_json_open(j, '{');
	mm_json_str(j, "device", device);
	mm_json_str(j, "column", column);
	mm_json_str(j, "detail", why_not);
	mm_json_close(j, '}');
	return MM_OK;
}

/* {"schema": {...}, "after": "..."}: both may be missing. */
static enum mm_err
read_check(struct mm_rest *r, char **schema, char after[MM_DEVICE_ID_MAX + 1],
    struct mm_why *why)
{
	json_t *given = json_object_get(r->in, "schema");
	json_t *from = json_object_get(r->in, "after");

	if (json_object_size(r->in) != (given != NULL) + (size_t)(from != NULL))
		return MM_FAIL(why, MM_EINPUT,
		    "JSON: want \"schema\" and \"after\", or none");
	if (given != NULL && !json_is_object(given))
		return MM_FAIL(why, MM_EINPUT, "schema: want an object");
	if (from != NULL && (!json_is_string(from) ||
	    !mm_text_copy(after, MM_DEVICE_ID_MAX + 1,
		mm_bytes_of(json_string_value(from)))))
		return MM_FAIL(why, MM_EINPUT, "after: want a device id");
	if (given == NULL)
		return MM_OK;
	*schema = json_dumps(given, JSON_COMPACT | JSON_SORT_KEYS);
	return *schema != NULL ? MM_OK :
	    MM_FAIL(why, MM_ENOMEM, "out of memory");
}

enum mm_err
mm_rest_schema_check(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(text_free) char *schema = NULL;
	char name[MM_NAME_MAX + 1], after[MM_DEVICE_ID_MAX + 1] = "";
	struct unfit u = { .r = r };
	struct mm_fit fit;

	MM_TRY(product_name(r, name, why));
	MM_TRY(read_check(r, &schema, after, why));
	mm_json_open(&r->j, '{');
	mm_json_open_key(&r->j, "devices", '[');
	MM_TRY(mm_desk_schema_fit(r->desk, name, schema, after, &fit,
	    put_unfit, &u, why));
	mm_json_close(&r->j, ']');
	put_fit(r, &fit);
	mm_json_close(&r->j, '}');
	return MM_OK;
}

enum mm_err
mm_rest_schema_index(struct mm_rest *r, struct mm_why *why)
{
	char name[MM_NAME_MAX + 1];
	struct mm_fit fit;

	MM_TRY(product_name(r, name, why));
	MM_TRY(mm_rest_members(r->in, NULL, 0, NULL, why));
	MM_TRY(mm_desk_schema_index(r->desk, name, &fit, why));
	mm_json_open(&r->j, '{');
	mm_json_int(&r->j, "indexed", (int64_t)fit.looked);
	mm_json_bool(&r->j, "done", fit.next[0] == '\0');
	mm_json_close(&r->j, '}');
	return MM_OK;
}
