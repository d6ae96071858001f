#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
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

static bool
stands(void *blob)
{
	return !atomic_load(&((struct mm_blob *)blob)->cut);
}

/* see blob.h */
void
mm_blob_lend(struct mm_blob *b, struct mm_http_resp *resp)
{
	resp->owner = b;
	resp->lent = mm_buf_view(&b->bytes);
	resp->give_back = mm_blob_let_go;
	resp->stands = stands;
	atomic_fetch_add(&b->held, 1);
}

static void
drop(struct mm_blobs *s, size_t i)
{
	mm_blob_let_go(s->at[i]);
	memmove(s->at + i, s->at + i + 1, (--s->n - i) * sizeof(*s->at));
}

/* see blob.h */
void
mm_blobs_tidy(struct mm_blobs *s, size_t most)
{
	size_t sum = 0;

	for (size_t i = s->n; i-- > 0;) {
		if (atomic_load(&s->at[i]->held) > 1)
			sum += s->at[i]->bytes.n;
		else
			drop(s, i);
	}
	while (sum > most) {
		sum -= s->at[0]->bytes.n;
		atomic_store(&s->at[0]->cut, true);
		drop(s, 0);
	}
}

/* see blob.h; without memory its readers are cut off at once */
void
mm_blobs_retire(struct mm_blobs *s, struct mm_blob *take_blob, size_t most)
{
	struct mm_blob **at = take_blob == NULL ? NULL :
	    mm_grown(s->at, s->n, &s->cap, sizeof(*at));

	if (take_blob == NULL)
		return;
	if (at == NULL) {
		atomic_store(&take_blob->cut, true);
		mm_blob_let_go(take_blob);
		return;
	}
	s->at = at;
	s->at[s->n++] = take_blob;
	mm_blobs_tidy(s, most);
}

/* see blob.h */
void
mm_blobs_done(struct mm_blobs *s)
{
	for (size_t i = 0; i < s->n; i++)
		mm_blob_let_go(s->at[i]);
	free(s->at);
	*s = (struct mm_blobs){ 0 };
}
