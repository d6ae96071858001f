#include <stdio.h>
#include <string.h>

#include "cli/import.h"

/* A row is at most six times its line; the server takes 4 MiB. */
enum { BYTES_FULL = 3 << 20, BYTES_MAX = (4 << 20) - 1024 };
/* The server reads six brackets deep; two are the batch's. */
enum { ROW_DEPTH = 4 };

/* see import.h */
void
mm_batch_init(struct mm_batch *b)
{
	memset(b, 0, sizeof(*b));
	mm_buf_init(&b->text, BYTES_MAX);
}

static void
wait_for(struct mm_batch *b)
{
	if (b->flying && b->threaded)
		pthread_join(b->thread, NULL);
	b->flying = false;
}

/* see import.h */
void
mm_batch_done(struct mm_batch *b)
{
	wait_for(b);
	mm_client_close(&b->client);
	json_decref(b->answer);
	mm_buf_done(&b->text);
}

/* see import.h */
void
mm_batch_begin(struct mm_batch *b, bool dry, bool texts)
{
	json_decref(b->answer);
	b->answer = NULL;
	b->n = 0;
	mm_buf_reset(&b->text);
	b->j = mm_json_over(&b->text);
	mm_json_open(&b->j, '{');
	mm_json_bool(&b->j, "dry_run", dry);
	if (dry)
		mm_json_bool(&b->j, "digests", true);
	mm_json_bool(&b->j, "texts", texts);
	mm_json_open_key(&b->j, "rows", '[');
}

/* see import.h */
bool
mm_batch_full(const struct mm_batch *b)
{
	return b->n == MM_BATCH_ROWS || b->text.n > BYTES_FULL;
}

/* ---- rows ---- */

/* A column's name is the table's word, not ours: it is escaped. */
static void
put_cell(struct mm_json *j, const char *name, const char *cell)
{
	mm_json_str(j, NULL, name);
	mm_buf_u8(j->out, ':');
	j->comma = false;
	mm_json_str(j, NULL, cell);
}

static bool
is_own(const char *name)
{
	return strcmp(name, "id") == 0 || strcmp(name, "product") == 0 ||
	    strcmp(name, "bound_spki_sha256") == 0;
}

/* Members of the device itself, or attributes; an empty cell is none. */
static size_t
put_cells(struct mm_json *j, const struct mm_csv *csv, bool own)
{
	size_t n = 0;

	for (size_t i = 0; i < csv->nnames; i++) {
		if (csv->cell[i][0] == '\0' || is_own(csv->name[i]) != own)
			continue;
		if (!own && n == 0)
			mm_json_open_key(j, "attributes", '{');
		put_cell(j, csv->name[i], csv->cell[i]);
		n++;
	}
	return n;
}

/* What is longer is no id, and refused. */
static void
take_id(char out[MM_DEVICE_ID_MAX + 1], const char *id)
{
	snprintf(out, MM_DEVICE_ID_MAX + 1, "%s", id != NULL ? id : "");
}

/* see import.h */
void
mm_batch_csv(struct mm_batch *b, const struct mm_csv *csv)
{
	mm_json_open(&b->j, '{');
	(void)put_cells(&b->j, csv, true);
	if (put_cells(&b->j, csv, false) > 0)
		mm_json_close(&b->j, '}');
	mm_json_close(&b->j, '}');
	b->id[b->n][0] = '\0';
	for (size_t i = 0; i < csv->nnames; i++)
		if (strcmp(csv->name[i], "id") == 0)
			take_id(b->id[b->n], csv->cell[i]);
	b->number[b->n++] = csv->row;
}

/* see import.h */
void
mm_batch_json(struct mm_batch *b, struct mm_bytes row, const char *id,
    unsigned long long number)
{
	mm_json_raw(&b->j, NULL, row);
	take_id(b->id[b->n], id);
	b->number[b->n++] = number;
}

static bool
too_deep(struct mm_bytes v)
{
	bool text = false;
	int depth = 0;

	for (size_t i = 0; i < v.n && depth <= ROW_DEPTH; i++) {
		uint8_t c = v.p[i];

		if (text && c == '\\')
			i++;
		else if (c == '"')
			text = !text;
		else if (!text)
			depth += (c == '{' || c == '[') -
			    (c == '}' || c == ']');
	}
	return depth > ROW_DEPTH;
}

/* see import.h */
enum mm_err
mm_batch_json_check(
    struct mm_bytes row, char id[MM_DEVICE_ID_MAX + 1], struct mm_why *why)
{
	json_error_t where;
	json_t *o;

	if (too_deep(row))
		return MM_FAIL(why, MM_EINPUT, "more than %d deep", ROW_DEPTH);
	o = json_loadb((const char *)row.p, row.n, JSON_REJECT_DUPLICATES,
	    &where);
	if (o == NULL)
		return MM_FAIL(why, MM_EINPUT, "%s", where.text);
	take_id(id, json_string_value(json_object_get(o, "id")));
	json_decref(o);
	return MM_OK;
}

/* ---- on its way ---- */

static void *
fly(void *arg)
{
	struct mm_batch *b = arg;
	const char *text = mm_buf_cstr(&b->text);

	b->rc = text == NULL ? mm_buf_ok(&b->text, &b->why) :
	    mm_client_post(b->client, "/devices/import", text, &b->answer,
	    &b->why);
	return NULL;
}

/* see import.h */
void
mm_batch_send(struct mm_batch *b)
{
	mm_json_close(&b->j, ']');
	mm_json_close(&b->j, '}');
	b->why = (struct mm_why){ 0 };
	b->flying = true;
	b->threaded = pthread_create(&b->thread, NULL, fly, b) == 0;
	if (!b->threaded)
		(void)fly(b);
}

/* see import.h */
enum mm_err
mm_batch_land(struct mm_batch *b, const json_t **answer, struct mm_why *why)
{
	wait_for(b);
	if (b->rc != MM_OK)
		return MM_FAIL(why, b->rc, "%s", b->why.text);
	*answer = b->answer;
	return MM_OK;
}
