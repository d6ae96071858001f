#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/secret.h"
#include "base/time.h"
#include "server/metrics.h"

/*
 * Who may read /metrics is a record of the store, and that the store is away
 * is what /metrics is to tell.  So a few credentials that were good a short
 * time ago are known here: as a hash, for the address that they came from,
 * for this one path, until their end.
 */
enum { SCRAPERS_MAX = 16, KEPT_MS = 15 * 60 * 1000 };

struct scraper {
	uint8_t sha256[32]; /* of credential and address */
	int64_t until;      /* monotonic; 0: free */
	struct mm_login login;
};
struct mm_scrapers {
	pthread_mutex_t lock;
	struct scraper one[SCRAPERS_MAX];
};

/* see metrics.h */
enum mm_err
mm_scrapers_new(struct mm_scrapers **out, struct mm_why *why)
{
	struct mm_scrapers *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	pthread_mutex_init(&s->lock, NULL);
	*out = s;
	return MM_OK;
}

/* see metrics.h */
void
mm_scrapers_free(struct mm_scrapers **owner)
{
	struct mm_scrapers *s = MM_MOVE(*owner);

	if (s == NULL)
		return;
	pthread_mutex_destroy(&s->lock);
	mm_wipe(s, sizeof(*s));
	free(s);
}

/* A key and a certificate are not taken for each other: their forms differ. */
static void
hash_of(const struct mm_presented *p, uint8_t out[32])
{
	const struct mm_bytes peer = { (const uint8_t *)p->peer,
		sizeof(*p->peer) };

	mm_sha256_2(peer, p->key.n > 0 ? p->key : p->certificate, out);
}

static struct scraper *
find(struct mm_scrapers *s, const uint8_t sha256[32])
{
	const struct mm_bytes want = { sha256, 32 };

	for (size_t i = 0; i < SCRAPERS_MAX; i++)
		if (s->one[i].until != 0 &&
		    mm_bytes_eq_ct(
			want, (struct mm_bytes){ s->one[i].sha256, 32 }))
			return &s->one[i];
	return NULL;
}

/* Its own place, or that of whoever was seen last the longest ago. */
static struct scraper *
place(struct mm_scrapers *s, const uint8_t sha256[32])
{
	struct scraper *at = find(s, sha256);

	if (at != NULL)
		return at;
	at = &s->one[0];
	for (size_t i = 1; i < SCRAPERS_MAX; i++)
		if (s->one[i].until < at->until)
			at = &s->one[i];
	return at;
}

static void
keep(struct mm_scrapers *s, const uint8_t sha256[32],
    const struct mm_login *login)
{
	struct scraper *at = place(s, sha256);

	memcpy(at->sha256, sha256, 32);
	at->login = *login;
	at->until = mm_mono_ms() + KEPT_MS;
}

/* true: it is known, and neither it nor the time for which it is has ended. */
static bool
known(struct mm_scrapers *s, const uint8_t sha256[32], struct mm_login *login)
{
	const struct scraper *at = find(s, sha256);

	if (at == NULL || at->until <= mm_mono_ms() ||
	    (at->login.expires_at != 0 && at->login.expires_at <= mm_now_ms()))
		return false;
	*login = at->login;
	return true;
}

/* see metrics.h */
bool
mm_scrapers_login(struct mm_scrapers *s, const struct mm_presented *p,
    enum mm_err rc, struct mm_login *login)
{
	struct scraper *at;
	uint8_t sha256[32];
	bool yes = false;

	hash_of(p, sha256);
	pthread_mutex_lock(&s->lock);
	if (rc == MM_OK)
		keep(s, sha256, login);
	else if (rc == MM_EAGAIN || rc == MM_ESYS)
		yes = known(s, sha256, login);
	else if ((at = find(s, sha256)) != NULL)
		mm_wipe(at, sizeof(*at));
	pthread_mutex_unlock(&s->lock);
	return yes;
}

/* Whether the store says that it is over; not, where it says nothing. */
static bool
is_over(struct mm_store_reader *r, const char *id)
{
	struct mm_operator o;
	enum mm_err rc = mm_get_operator(r, id, &o, NULL);

	return rc == MM_ENOTFOUND || (rc == MM_OK && !mm_operator_alive(&o));
}

/* see metrics.h; the lock is not held while the store is asked */
void
mm_scrapers_tidy(struct mm_scrapers *s, struct mm_store_reader *r)
{
	for (size_t i = 0; i < SCRAPERS_MAX; i++) {
		struct scraper *at = &s->one[i];
		char id[sizeof(at->login.id)];
		bool over;

		pthread_mutex_lock(&s->lock);
		over = at->until <= mm_mono_ms();
		strcpy(id, at->login.id);
		pthread_mutex_unlock(&s->lock);
		if (id[0] == '\0' || (!over && !is_over(r, id)))
			continue;
		pthread_mutex_lock(&s->lock);
		if (strcmp(at->login.id, id) == 0)
			mm_wipe(at, sizeof(*at));
		pthread_mutex_unlock(&s->lock);
	}
}
