/*
 * A table of devices' fields, and a NUL and a device.  Properties: what is
 * found both where it stands and by the index is the same document (of a
 * device id JSON escapes nothing: with escapes a row may be found one way
 * alone); the salt is the same both ways.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "line/initial.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct got {
	enum mm_err made, salted;
	struct mm_buf document;
	uint8_t hash[32], salt[MM_SALT_N];
};

static void
get(const struct mm_initial_of *of, struct got *g)
{
	mm_buf_init(&g->document, MM_FILL_MAX);
	g->made = mm_initial_make(of, &g->document, g->hash, NULL);
	g->salted = mm_initial_salt(of, g->salt, NULL);
}

static bool
same(const struct got *a, const struct got *b, bool escapes)
{
	if (a->salted != b->salted || (a->salted == MM_OK &&
	    memcmp(a->salt, b->salt, MM_SALT_N) != 0))
		return false;
	return escapes || a->made != MM_OK || b->made != MM_OK ||
	    (mm_bytes_eq(mm_buf_view(&a->document),
	    mm_buf_view(&b->document)) && memcmp(a->hash, b->hash, 32) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = size > 0 ? memchr(data, 0, size) : NULL;
	struct mm_bytes table = { data, nul != NULL ? (size_t)(nul - data)
	    : size };
	char device[MM_DEVICE_ID_MAX + 1] = "SN-1";
	struct mm_initial_of of = {
		.template = mm_bytes_of("{\"d\":\"{{device}}\",\"p\":"
		    "\"{{psk:secret}}\"}"),
		.fields = table, .device = device, .product = "p",
		.batch = "b" };
	struct mm_initial_index *index = NULL;
	struct got one, two;

	if (nul != NULL && size - table.n - 1 <= MM_DEVICE_ID_MAX) {
		memset(device, 0, sizeof(device));
		memcpy(device, nul + 1, size - table.n - 1);
	}
	if (table.n == 0 || !mm_device_id_valid(device) ||
	    mm_initial_index_new(table, &index, NULL) != MM_OK)
		return 0;
	get(&of, &one);
	of.index = index;
	get(&of, &two);
	if (!same(&one, &two, memchr(table.p, '\\', table.n) != NULL))
		abort();
	mm_buf_done(&one.document);
	mm_buf_done(&two.document);
	mm_initial_index_free(&index);
	return 0;
}
