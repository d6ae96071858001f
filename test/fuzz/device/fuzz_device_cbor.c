/*
 * Property: what was asked for lies within the input; a map reads the same
 * when it is skipped as the value of an unknown key; and what is written from
 * what was read reads the same.
 */
#include <stdlib.h>
#include <string.h>

#include "mmd_cbor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KEYS 4

static const struct mmd_cbor_key keys[KEYS] = {
	{ "n", MMD_CBOR_UINT, false, 0, 0 },
	{ "data", MMD_CBOR_BYTES, false, 0, 0 },
	{ "t", MMD_CBOR_TEXT, false, 0, 0 },
	{ "err", MMD_CBOR_MAP, false, 0, 0 },
};

static bool
same(const struct mmd_cbor_value *a, const struct mmd_cbor_value *b)
{
	return a->type == b->type && (a->type == MMD_CBOR_NONE ||
	    (a->type == MMD_CBOR_UINT ? a->n == b->n : a->v.n == b->v.n &&
	    memcmp(a->v.p, b->v.p, a->v.n) == 0));
}

static void
within(const struct mmd_cbor_value *v, const uint8_t *data, size_t size)
{
	if (v->type == MMD_CBOR_NONE || v->type == MMD_CBOR_UINT)
		return;
	if (v->v.p < data || v->v.n > size ||
	    (size_t)(v->v.p - data) > size - v->v.n)
		abort();
}

static void
write_back(const struct mmd_cbor_value v[KEYS], size_t size)
{
	size_t cap = size + 64;
	uint8_t *buf = malloc(cap);
	struct mmd_cborw w;
	struct mmd_cbor_value again[KEYS];
	char *text = strndup(v[2].v.n > 0 ? (const char *)v[2].v.p : "",
	    v[2].v.n);
	bool cut = strlen(text) < v[2].v.n;

	mmd_cborw_init(&w, buf, cap);
	if (v[0].type != MMD_CBOR_NONE)
		mmd_cborw_uint(&w, "n", v[0].n);
	if (v[1].type != MMD_CBOR_NONE)
		mmd_cborw_bytes(&w, "data", v[1].v.p, v[1].v.n);
	/* Text is written as C has it: up to a NUL. */
	if (v[2].type != MMD_CBOR_NONE)
		mmd_cborw_text(&w, "t", text);
	if (w.bad || mmd_cbor_read((struct mmd_bytes){ buf, w.n }, keys, KEYS,
	    again) != MMD_OK)
		abort();
	for (size_t i = 0; i < 3; i++)
		if (!same(&v[i], &again[i]) && !(i == 2 && cut))
			abort();
	free(text);
	free(buf);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mmd_cbor_value v[KEYS], inner[KEYS];

	if (mmd_cbor_read((struct mmd_bytes){ data, size }, keys, KEYS, v) !=
	    MMD_OK)
		return 0;
	for (size_t i = 0; i < KEYS; i++)
		within(&v[i], data, size);
	if (v[3].type != MMD_CBOR_NONE && mmd_cbor_read(v[3].v, keys, KEYS,
	    inner) == MMD_OK)
		for (size_t i = 0; i < KEYS; i++)
			within(&inner[i], v[3].v.p, v[3].v.n);
	write_back(v, size);
	return 0;
}
