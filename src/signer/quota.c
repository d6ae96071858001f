#include "signer/quota.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc.h"
#include "base/faults.h"
#include "base/name.h"
#include "base/own.h"
#include "pki/cert.h"
#include "pki/key.h"

enum { HEAD_N = 8, BODY_MAX = MM_QUOTA_RECORD - HEAD_N, SLOTS_LEAST = 1024 };

/* Where a pair's record is, by a hash of the pair; open addressing. */
struct slot {
	uint64_t key; /* 0: free */
	uint64_t at;
	bool scrapped;
};
struct mm_quota {
	int fd;
	uint64_t n, scrapped, end, last;
	struct slot *slot;
	size_t slots;
};

static uint64_t
key_of(const char *device, const uint8_t spki[32])
{
	uint8_t hash[32];
	uint64_t key;

	mm_sha256_2(mm_bytes_of(device), (struct mm_bytes){ spki, 32 }, hash);
	memcpy(&key, hash, sizeof(key));
	return key | 1;
}

static void
put_slot(struct slot *slot, size_t slots, const struct slot *one)
{
	size_t i = one->key % slots;

	while (slot[i].key != 0)
		i = (i + 1) % slots;
	slot[i] = *one;
}

/* At most half of them are taken, so every search ends. */
static enum mm_err
make_room(struct mm_quota *q, struct mm_why *why)
{
	size_t slots = q->slots == 0 ? SLOTS_LEAST : q->slots * 2;
	struct slot *slot;

	if (q->slots > 0 && (q->n + 1) * 2 <= q->slots)
		return MM_OK;
	slot = calloc(slots, sizeof(*slot));
	if (slot == NULL)
		return MM_FAIL(why, MM_ENOMEM, "quota: out of memory");
	for (size_t i = 0; i < q->slots; i++)
		if (q->slot[i].key != 0)
			put_slot(slot, slots, &q->slot[i]);
	free(q->slot);
	q->slot = slot;
	q->slots = slots;
	return MM_OK;
}

/* ---- a record ---- */

/* What a signature was given for. */
static void
put_given(const struct mm_quota_pair *p, struct mm_buf *body)
{
	mm_buf_block16(body, mm_bytes_of(p->profile));
	mm_buf_block16(body, mm_bytes_of(p->issuer));
	mm_buf_put(body, p->spki_sha256, 32);
	mm_buf_put(body, p->tbs_sha256, 32);
	mm_buf_block32(body, p->der);
	if (p->chain.n > 0)
		mm_buf_block32(body, p->chain);
}

static void
encode(const struct mm_quota_pair *p, struct mm_buf *out)
{
	struct mm_buf body = MM_BUF_INIT(BODY_MAX);

	mm_buf_u64(&body, p->scrapped ? 0 : p->number);
	mm_buf_u64(&body, (uint64_t)p->at_ms);
	mm_buf_block16(&body, mm_bytes_of(p->device));
	if (p->scrapped)
		mm_buf_put(&body, p->spki_sha256, 32);
	else
		put_given(p, &body);
	mm_buf_u32(out, (uint32_t)body.n);
	mm_buf_u32(out, mm_crc32(mm_buf_view(&body)));
	mm_buf_bytes(out, mm_buf_view(&body));
	if (body.err != MM_OK)
		out->err = body.err;
	mm_buf_done(&body);
}

static bool
take_hash(struct mm_rd *r, uint8_t out[32])
{
	struct mm_bytes b = mm_rd_take(r, 32);

	if (b.n == 32)
		memcpy(out, b.p, 32);
	return b.n == 32;
}

static bool
take_given(struct mm_rd *r, struct mm_quota_pair *out)
{
	bool ok =
	    mm_text_copy(out->profile, sizeof(out->profile), mm_rd_block16(r));

	ok &= mm_text_copy(out->issuer, sizeof(out->issuer), mm_rd_block16(r));
	ok &= take_hash(r, out->spki_sha256);
	ok &= take_hash(r, out->tbs_sha256);
	out->der = mm_rd_block32(r);
	out->chain = r->left > 0 ? mm_rd_block32(r) : (struct mm_bytes){ 0 };
	return ok;
}

static bool
decode(struct mm_bytes body, struct mm_quota_pair *out)
{
	struct mm_rd r = mm_rd_over(body);
	bool ok;

	out->number = mm_rd_u64(&r);
	out->scrapped = out->number == 0;
	out->at_ms = (int64_t)mm_rd_u64(&r);
	ok = mm_text_copy(out->device, sizeof(out->device), mm_rd_block16(&r));
	ok &= out->scrapped ? take_hash(&r, out->spki_sha256)
			    : take_given(&r, out);
	return mm_rd_end(&r) && ok && mm_device_id_valid(out->device);
}

/* The record that all begins with; its length, 0: none that is whole. */
static size_t
read_record(struct mm_bytes all, struct mm_quota_pair *out)
{
	struct mm_rd r = mm_rd_over(all);
	uint32_t n = mm_rd_u32(&r), crc = mm_rd_u32(&r);
	struct mm_bytes body;

	if (all.n < HEAD_N || n > BODY_MAX || n > r.left)
		return 0;
	body = mm_rd_take(&r, n);
	return mm_crc32(body) == crc && decode(body, out) ? HEAD_N + n : 0;
}

/* ---- the file ---- */

/*
 * Records are synced one by one, and none is begun before: at most the last
 * one can be torn.  A whole one behind it is a change, not an accident.
 */
static bool
any_behind(struct mm_bytes rest)
{
	struct mm_quota_pair p;

	for (size_t i = 1; i + HEAD_N <= rest.n; i++)
		if (read_record(
			(struct mm_bytes){ rest.p + i, rest.n - i }, &p) > 0)
			return true;
	return false;
}

static void
add_slot(struct mm_quota *q, const struct mm_quota_pair *p)
{
	const struct slot one = { key_of(p->device, p->spki_sha256), q->end,
		false };

	put_slot(q->slot, q->slots, &one);
	q->last = q->end;
	q->n++;
}

/* That of the pair; read: its record, from wherever that is. */
typedef bool read_fn(const void *ctx, uint64_t at, struct mm_quota_pair *out);

static struct slot *
find_slot(const struct mm_quota *q, const char *device,
    const uint8_t spki[32], read_fn *read, const void *ctx)
{
	uint64_t key = key_of(device, spki);
	size_t i = q->slots == 0 ? 0 : key % q->slots;
	struct mm_quota_pair p;

	for (; q->slots > 0 && q->slot[i].key != 0; i = (i + 1) % q->slots)
		if (q->slot[i].key == key &&
		    read(ctx, q->slot[i].at, &p) &&
		    strcmp(p.device, device) == 0 &&
		    memcmp(p.spki_sha256, spki, 32) == 0)
			return &q->slot[i];
	return NULL;
}

static bool
read_mapped(const void *ctx, uint64_t at, struct mm_quota_pair *out)
{
	const struct mm_bytes *all = ctx;

	return read_record(
	    (struct mm_bytes){ all->p + at, all->n - at }, out) > 0;
}

/* Of a pair that stands before it, once: anything else was put there. */
static bool
take_scrap(struct mm_quota *q, const struct mm_bytes *all,
    const struct mm_quota_pair *p)
{
	struct slot *s =
	    find_slot(q, p->device, p->spki_sha256, read_mapped, all);

	if (s == NULL || s->scrapped)
		return false;
	s->scrapped = true;
	q->scrapped++;
	return true;
}

static enum mm_err
take_one(struct mm_quota *q, const struct mm_bytes *all,
    const struct mm_quota_pair *p, struct mm_why *why)
{
	if (!p->scrapped) {
		MM_TRY(make_room(q, why));
		add_slot(q, p);
	} else if (!take_scrap(q, all, p)) {
		return MM_FAIL(why, MM_EPOLICY, "quota: %s is scrapped in it, "
		    "and was never made, or twice", p->device);
	}
	return MM_OK;
}

static enum mm_err
take_all(struct mm_quota *q, struct mm_bytes all, struct mm_why *why)
{
	struct mm_quota_pair p;
	size_t n;

	while ((n = read_record(
		    (struct mm_bytes){ all.p + q->end, all.n - q->end }, &p)) >
	       0) {
		MM_TRY(take_one(q, &all, &p, why));
		q->end += n;
	}
	if (all.n - q->end > BODY_MAX + HEAD_N ||
	    any_behind((struct mm_bytes){ all.p + q->end, all.n - q->end }))
		return MM_FAIL(why, MM_EPOLICY,
		    "quota: what was signed so "
		    "far is damaged after %" PRIu64 " units",
		    q->n);
	return MM_OK;
}

static enum mm_err
load(struct mm_quota *q, uint64_t *cut, struct mm_why *why)
{
	struct stat st;
	enum mm_err rc;
	void *map;

	*cut = 0;
	if (fstat(q->fd, &st) != 0)
		return MM_FAIL(why, MM_ESYS, "quota: %s", strerror(errno));
	if (st.st_size == 0)
		return MM_OK;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, q->fd, 0);
	if (map == MAP_FAILED)
		return MM_FAIL(why, MM_ESYS, "quota: %s", strerror(errno));
	rc = take_all(q, (struct mm_bytes){ map, (size_t)st.st_size }, why);
	munmap(map, (size_t)st.st_size);
	MM_TRY(rc);
	*cut = (uint64_t)st.st_size - q->end;
	if (*cut > 0 &&
	    (ftruncate(q->fd, (off_t)q->end) != 0 || fdatasync(q->fd) != 0))
		return MM_FAIL(
		    why, MM_ESYS, "quota: cannot be cut: %s", strerror(errno));
	return MM_OK;
}

/* see quota.h */
enum mm_err
mm_quota_open(const char *path, bool make, struct mm_quota **out,
    uint64_t *cut, struct mm_why *why)
{
	MM_OWN(mm_quota_close) struct mm_quota *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return MM_FAIL(why, MM_ENOMEM, "quota: out of memory");
	q->fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW |
		(make ? O_CREAT : 0), 0600);
	if (q->fd < 0)
		return MM_FAIL(why, errno == ENOENT ? MM_ENOTFOUND : MM_ESYS,
		    "quota: %.90s: %s", path, strerror(errno));
	MM_TRY(mm_name_sync(path, why));
	MM_TRY(load(q, cut, why));
	*out = MM_MOVE(q);
	return MM_OK;
}

/* see quota.h */
void
mm_quota_close(struct mm_quota **owner)
{
	struct mm_quota *q = *owner;

	if (q == NULL)
		return;
	if (q->fd >= 0)
		close(q->fd);
	free(q->slot);
	free(q);
	*owner = NULL;
}

/* see quota.h */
uint64_t
mm_quota_counted(const struct mm_quota *q)
{
	return q->n;
}

/* see quota.h */
uint64_t
mm_quota_scrapped(const struct mm_quota *q)
{
	return q->scrapped;
}

static enum mm_err
read_at(const struct mm_quota *q, uint64_t at, struct mm_buf *arena,
    struct mm_quota_pair *out, struct mm_why *why)
{
	uint64_t left = q->end - at;
	size_t n = left < HEAD_N + BODY_MAX ? (size_t)left : HEAD_N + BODY_MAX;
	uint8_t *room;

	mm_buf_reset(arena);
	room = mm_buf_room(arena, n);
	if (room == NULL)
		return mm_buf_ok(arena, why);
	if (pread(q->fd, room, n, (off_t)at) != (ssize_t)n ||
	    read_record((struct mm_bytes){ room, n }, out) == 0)
		return MM_FAIL(why, MM_ESYS, "quota: cannot be read");
	return MM_OK;
}

/* see quota.h */
enum mm_err
mm_quota_find(const struct mm_quota *q, const char *device,
    const uint8_t spki[32], struct mm_buf *arena, struct mm_quota_pair *out,
    struct mm_why *why)
{
	uint64_t key = key_of(device, spki);
	size_t i = q->slots == 0 ? 0 : key % q->slots;

	for (; q->slots > 0 && q->slot[i].key != 0; i = (i + 1) % q->slots) {
		if (q->slot[i].key != key)
			continue;
		MM_TRY(read_at(q, q->slot[i].at, arena, out, why));
		out->scrapped = q->slot[i].scrapped;
		if (strcmp(out->device, device) == 0 &&
		    memcmp(out->spki_sha256, spki, 32) == 0)
			return MM_OK;
	}
	return MM_ENOTFOUND;
}

/* see quota.h */
enum mm_err
mm_quota_last(const struct mm_quota *q, struct mm_buf *arena,
    struct mm_quota_pair *out, struct mm_why *why)
{
	return q->n == 0 ? MM_ENOTFOUND : read_at(q, q->last, arena, out, why);
}

static enum mm_err
append(struct mm_quota *q, struct mm_bytes record, struct mm_why *why)
{
	ssize_t n;

	/* what a write left that failed before */
	if (ftruncate(q->fd, (off_t)q->end) != 0)
		return MM_FAIL(why, MM_EAGAIN, "quota: cannot be cut: %s",
		    strerror(errno));
	mm_die_at("count");
	n = write(q->fd, record.p, record.n);
	if (n == (ssize_t)record.n && fdatasync(q->fd) == 0)
		return MM_OK;
	(void)!ftruncate(q->fd, (off_t)q->end);
	return MM_FAIL(why, MM_EAGAIN,
	    "quota: the counter cannot be written: "
	    "is the disk full?");
}

/* see quota.h */
enum mm_err
mm_quota_count(struct mm_quota *q, uint64_t share,
    const struct mm_quota_pair *p, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(HEAD_N + BODY_MAX);
	MM_OWN(mm_buf_done)
	struct mm_buf arena = MM_BUF_INIT(HEAD_N + BODY_MAX);
	struct mm_quota_pair was;
	enum mm_err rc =
	    mm_quota_find(q, p->device, p->spki_sha256, &arena, &was, why);

	if (rc == MM_OK)
		return MM_FAIL(why, MM_ECONFLICT,
		    "quota: this pair is "
		    "counted");
	if (rc != MM_ENOTFOUND)
		return rc;
	if (q->n >= share)
		return MM_FAIL(why, MM_EPOLICY,
		    "quota: all %" PRIu64 " of this station's share are made",
		    share);
	encode(p, &b);
	MM_TRY(mm_buf_ok(&b, why));
	MM_TRY(make_room(q, why));
	MM_TRY(append(q, mm_buf_view(&b), why));
	mm_die_at("counted");
	add_slot(q, p);
	q->end += b.n;
	return MM_OK;
}

/* ---- what is scrapped ---- */

struct on_disk {
	const struct mm_quota *q;
	struct mm_buf *arena;
};

static bool
read_disk(const void *ctx, uint64_t at, struct mm_quota_pair *out)
{
	const struct on_disk *d = ctx;

	return read_at(d->q, at, d->arena, out, NULL) == MM_OK;
}

static enum mm_err
look(const struct mm_quota *q, uint64_t most, const struct mm_quota_pair *p,
    struct slot **out, struct mm_why *why)
{
	MM_OWN(mm_buf_done)
	struct mm_buf arena = MM_BUF_INIT(HEAD_N + BODY_MAX);
	const struct on_disk disk = { q, &arena };

	*out = find_slot(q, p->device, p->spki_sha256, read_disk, &disk);
	if (*out == NULL)
		return MM_FAIL(why, MM_ENOTFOUND, "quota: nothing was made "
		    "for this key as %s", p->device);
	if ((*out)->scrapped)
		return MM_FAIL(why, MM_ECONFLICT, "quota: %s was scrapped "
		    "with this key before", p->device);
	return q->scrapped < most ? MM_OK : MM_FAIL(why, MM_EPOLICY,
	    "quota: all %" PRIu64 " that may be scrapped of this station's "
	    "share are", most);
}

static void
name_pair(struct mm_quota_pair *p, const char *device,
    const uint8_t spki[32])
{
	*p = (struct mm_quota_pair){ .scrapped = true };
	snprintf(p->device, sizeof(p->device), "%s", device);
	memcpy(p->spki_sha256, spki, 32);
}

/* see quota.h */
enum mm_err
mm_quota_scrap_look(const struct mm_quota *q, uint64_t most,
    const char *device, const uint8_t spki[32], struct mm_why *why)
{
	struct mm_quota_pair p;
	struct slot *s = NULL;

	name_pair(&p, device, spki);
	return look(q, most, &p, &s, why);
}

/* see quota.h */
enum mm_err
mm_quota_scrap(struct mm_quota *q, uint64_t most, const char *device,
    const uint8_t spki[32], int64_t at_ms, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(HEAD_N + BODY_MAX);
	struct mm_quota_pair p;
	struct slot *s = NULL;

	name_pair(&p, device, spki);
	p.at_ms = at_ms;
	MM_TRY(look(q, most, &p, &s, why));
	encode(&p, &b);
	MM_TRY(mm_buf_ok(&b, why));
	MM_TRY(append(q, mm_buf_view(&b), why));
	mm_die_at("scrapped");
	s->scrapped = true;
	q->scrapped++;
	q->end += b.n;
	return MM_OK;
}
