#include "server/ocsp_kept.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/time.h"

/* 16,384 answers, some 20 MB, if that many are ever asked for. */
enum { SETS = 4096, WAYS = 4 };

struct kept {
	uint8_t id[MM_OCSP_ID_MAX];
	size_t id_n;
	uint8_t serial[MM_SERIAL_N];
	unsigned turn;
	uint64_t used; /* the clock of uses */
	struct mm_ocsp_found found;
};
struct mm_ocsp_kept {
	struct mm_core *core;
	pthread_mutex_t lock;
	uint64_t uses;
	struct kept *at[SETS][WAYS];
};

/* see ocsp_kept.h */
enum mm_err
mm_ocsp_kept_new(struct mm_core *c, struct mm_ocsp_kept **out,
    struct mm_why *why)
{
	struct mm_ocsp_kept *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	k->core = c;
	pthread_mutex_init(&k->lock, NULL);
	*out = k;
	return MM_OK;
}

/* see ocsp_kept.h */
void
mm_ocsp_kept_free(struct mm_ocsp_kept **owner)
{
	struct mm_ocsp_kept *k = MM_MOVE(*owner);

	if (k == NULL)
		return;
	for (size_t i = 0; i < SETS; i++)
		for (size_t w = 0; w < WAYS; w++) {
			if (k->at[i][w] != NULL)
				mm_blob_let_go(k->at[i][w]->found.blob);
			free(k->at[i][w]);
		}
	pthread_mutex_destroy(&k->lock);
	free(k);
}

/* Serial numbers that we have issued end in random bits. */
static struct kept **
set_of(struct mm_ocsp_kept *k, const uint8_t serial[MM_SERIAL_N])
{
	return k->at[(((size_t)serial[MM_SERIAL_N - 2] << 8) |
	    serial[MM_SERIAL_N - 1]) % SETS];
}

static bool
is(const struct kept *e, struct mm_bytes id)
{
	return e != NULL && mm_bytes_eq((struct mm_bytes){ e->id, e->id_n },
	    id);
}

/* Where it belongs: its own place, a free one, or that of the one that was
 * not asked for the longest. */
static struct kept **
place(struct kept **set, struct mm_bytes id)
{
	struct kept **best = set;

	for (size_t w = 0; w < WAYS; w++) {
		if (is(set[w], id))
			return &set[w];
		if (*best != NULL &&
		    (set[w] == NULL || set[w]->used < (*best)->used))
			best = &set[w];
	}
	return best;
}

/* see ocsp_kept.h */
void
mm_ocsp_tag(struct mm_bytes der, uint8_t tag[MM_OCSP_TAG_N])
{
	uint8_t hash[32];

	mm_sha256(der, hash);
	memcpy(tag, hash, MM_OCSP_TAG_N);
}

static struct kept *
make(const struct mm_ocsp_ask *a)
{
	struct kept *e = calloc(1, sizeof(*e));

	if (e != NULL)
		e->found.blob = mm_blob_new(a->der.n);
	if (e == NULL || e->found.blob == NULL) {
		free(e);
		return NULL;
	}
	mm_buf_bytes(&e->found.blob->bytes, mm_buf_view(&a->der));
	memcpy(e->id, a->id.p, a->id.n);
	e->id_n = a->id.n;
	memcpy(e->serial, a->serial, sizeof(e->serial));
	e->turn = a->turn;
	e->found.status = a->status;
	e->found.this_s = a->this_s;
	e->found.next_s = a->next_s;
	mm_ocsp_tag(mm_buf_view(&a->der), e->found.tag);
	return e;
}

/* see ocsp_kept.h */
void
mm_ocsp_kept_put(struct mm_ocsp_kept *k, const struct mm_ocsp_ask *a)
{
	struct kept *e = a->has_serial ? make(a) : NULL, *old, **at;

	if (e == NULL)
		return;
	pthread_mutex_lock(&k->lock);
	at = place(set_of(k, a->serial), a->id);
	old = *at;
	e->used = ++k->uses;
	*at = e;
	pthread_mutex_unlock(&k->lock);
	if (old != NULL)
		mm_blob_let_go(old->found.blob);
	free(old);
}

static bool
holds(struct mm_ocsp_kept *k, const struct kept *e)
{
	int64_t now = mm_now_s(), this = e->found.this_s;

	return e->turn == mm_core_cert_turn(k->core, e->serial) &&
	    now >= this && now - this < (e->found.next_s - this) / 2;
}

/* see ocsp_kept.h */
bool
mm_ocsp_kept_get(struct mm_ocsp_kept *k, const struct mm_ocsp_id *id,
    struct mm_ocsp_found *out)
{
	struct kept **set;
	bool found = false;

	if (id->serial.n != MM_SERIAL_N)
		return false;
	pthread_mutex_lock(&k->lock);
	set = set_of(k, id->serial.p);
	for (size_t w = 0; w < WAYS && !found; w++)
		if (is(set[w], id->whole) && holds(k, set[w])) {
			set[w]->used = ++k->uses;
			*out = set[w]->found;
			atomic_fetch_add(&out->blob->held, 1);
			found = true;
		}
	pthread_mutex_unlock(&k->lock);
	return found;
}
