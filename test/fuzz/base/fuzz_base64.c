/*
 * Property: what parses encodes to the same text without its white space;
 * what does not leaves the buffer as it was.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef enum mm_err parse_fn(struct mm_bytes text, struct mm_buf *out,
    struct mm_why *why);

static void
encode(struct mm_bytes v, bool url, struct mm_buf *out)
{
	if (url)
		mm_base64url_put(out, v);
	else
		mm_base64_put(out, v, 0);
}

static void
check(struct mm_bytes text, struct mm_bytes bare, bool url)
{
	parse_fn *parse = url ? mm_base64url_parse : mm_base64_parse;
	struct mm_buf got = MM_BUF_INIT(1 << 24), again = MM_BUF_INIT(1 << 24);
	struct mm_why why = { 0 };
	enum mm_err err = parse(text, &got, &why);

	if ((err == MM_OK) != (why.code == MM_OK))
		abort();
	if (err == MM_OK) {
		encode(mm_buf_view(&got), url, &again);
		if (!mm_bytes_eq(mm_buf_view(&again), bare))
			abort();
	} else if (got.n != 0) {
		abort();
	}
	mm_buf_done(&got);
	mm_buf_done(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mm_bytes text = { data, size };
	struct mm_buf bare = MM_BUF_INIT(1 << 24);

	for (size_t i = 0; i < size; i++)
		if (data[i] == '\0' || strchr(" \t\r\n", data[i]) == NULL)
			mm_buf_u8(&bare, data[i]);
	check(text, mm_buf_view(&bare), false);
	check(text, text, true);
	mm_buf_done(&bare);
	return 0;
}
