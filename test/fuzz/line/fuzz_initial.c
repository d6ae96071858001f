/*
 * A table of devices' fields, and a NUL and a device.  Properties: what is
 * found both where it stands and by the index is the same document (of a
 * device id JSON escapes nothing: with escapes a row may be found one way
 * alone), and so is its salt.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "line/initial.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct got {
	enum mm_err rc;
	struct mm_buf document;
	struct mm_initial_made made;
};

static void
get(const struct mm_initial_of *of, struct got *g)
{
	mm_buf_init(&g->document, MM_FILL_MAX);
	g->rc = mm_initial_make(of, &g->document, &g->made, NULL);
}

static bool
same(const struct got *a, const struct got *b, bool escapes)
{
	return escapes || a->rc != MM_OK || b->rc != MM_OK ||
	    (mm_bytes_eq(mm_buf_view(&a->document),
	    mm_buf_view(&b->document)) &&
	    memcmp(a->made.sha256, b->made.sha256, 32) == 0 &&
	    memcmp(a->made.salt, b->made.salt, MM_SALT_N) == 0);
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
