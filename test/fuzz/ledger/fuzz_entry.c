/* Properties: what parses encodes to the same bytes; what is read as a later
 * release's does not parse, and is an object of texts and whole numbers to
 * another reader of JSON; a look at any bytes stays within them, and at an
 * entry sees what the parser sees. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A view is what stands in the JSON, so a text with escapes differs. */
static void
same(struct mm_bytes seen, const char *parsed)
{
	if (seen.n > 0 && memchr(seen.p, '\\', seen.n) != NULL)
		return;
	if (!mm_bytes_eq(seen, parsed != NULL ? mm_bytes_of(parsed)
					      : (struct mm_bytes){ 0 }))
		abort();
}

static void
flat(struct mm_bytes json)
{
	json_t *o = json_loadb((const char *)json.p, json.n,
	    JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	const char *key;
	json_t *value;

	if (!json_is_object(o))
		abort();
	json_object_foreach(o, key, value)
		if (!json_is_string(value) && (!json_is_integer(value) ||
		    json_integer_value(value) < 0))
			abort();
	json_decref(o);
}

static void
later(struct mm_bytes json, char *arena, enum mm_err parsed)
{
	struct mm_entry_read r = { 0 };
	enum mm_err err = mm_entry_read(json, arena, json.n + 64, &r, NULL);

	if (err != MM_OK ? parsed == MM_OK || r.type != NULL
			 : r.later != (parsed == MM_EINPUT))
		abort();
	if (err == MM_OK)
		flat(json);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mm_bytes json = { data, size };
	struct mm_buf again = MM_BUF_INIT(MM_ENTRY_MAX);
	struct mm_why why = { 0 };
	struct mm_entry e;
	struct mm_entry_view v;
	char *arena = malloc(size + 64);
	enum mm_err err = mm_entry_parse(json, arena, size + 64, &e, &why);

	if (err != why.code || (err != MM_OK && err != MM_EINPUT))
		abort();
	if (err == MM_OK && (mm_entry_encode(&e, &again, NULL) != MM_OK ||
		!mm_bytes_eq(mm_buf_view(&again), json)))
		abort();
	mm_entry_look(json, &v);
	if (err == MM_OK) {
		same(v.type, mm_entry_type_name(e.type));
		same(v.device, e.field[MM_F_DEVICE]);
		same(v.product, e.field[MM_F_PRODUCT]);
		same(v.token, e.field[MM_F_TOKEN]);
		same(v.serial, e.field[MM_F_SERIAL]);
		same(v.issuer, e.field[MM_F_ISSUER]);
		same(v.key, e.field[MM_F_KEY]);
		same(v.size, e.field[MM_F_SIZE]);
	}
	later(json, arena, err);
	mm_buf_done(&again);
	free(arena);
	return 0;
}
