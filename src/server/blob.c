#include <stdlib.h>

#include "base/own.h"
#include "server/blob.h"

/* see blob.h */
struct mm_blob *
mm_blob_new(size_t most)
{
	struct mm_blob *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	atomic_init(&b->held, 1);
	mm_buf_init(&b->bytes, most);
	return b;
}

/* see blob.h */
void
mm_blob_let_go(void *blob)
{
	struct mm_blob *b = blob;

	if (b == NULL || atomic_fetch_sub(&b->held, 1) != 1)
		return;
	mm_buf_done(&b->bytes);
	free(b);
}

/* see blob.h */
void
mm_blob_lend(struct mm_blob *b, struct mm_http_resp *resp)
{
	resp->owner = b;
	resp->lent = mm_buf_view(&b->bytes);
	resp->give_back = mm_blob_let_go;
	atomic_fetch_add(&b->held, 1);
}
