#include "station/entries.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "base/text.h"
#include "ledger/entry.h"
#include "ledger/tile.h"

enum { LEVELS = 40, SERIAL_N = 33, FILE_MAX = 1 << 30, SLOTS_LEAST = 1024 };

struct level { /* roots of the perfect subtrees of 2^level leaves */
	struct mm_hash *hash;
	size_t n, cap;
};
struct cert {
	char serial[SERIAL_N];         /* "": free */
	uint64_t at[MM_ENTRIES_WHATS]; /* index + 1; 0: none */
};
struct mm_entries {
	int fd;
	uint64_t n;
	off_t end;
	bool dirty; /* behind end is what could not be cut off */
	off_t *offset;
	size_t offsets;
	struct level level[LEVELS];
	struct cert *cert;
	size_t certs, slots;
};

/* ---- in memory ---- */

static void *
grow(void *p, size_t n, size_t *cap, size_t size)
{
	void *more;

	if (n < *cap)
		return p;
	more = reallocarray(p, *cap == 0 ? 256 : *cap * 2, size);
	if (more != NULL)
		*cap = *cap == 0 ? 256 : *cap * 2;
	return more;
}

static bool
push(struct level *l, const struct mm_hash *h)
{
	struct mm_hash *room = grow(l->hash, l->n, &l->cap, sizeof(*room));

	if (room == NULL)
		return false;
	l->hash = room;
	l->hash[l->n++] = *h;
	return true;
}

/* Two of one level are one of the next. */
static bool
add_leaf(struct mm_entries *e, struct mm_hash h)
{
	for (unsigned i = 0; i < LEVELS; i++) {
		struct level *l = &e->level[i];

		if (!push(l, &h))
			return false;
		if (l->n % 2 != 0)
			return true;
		h = mm_tree_node(&l->hash[l->n - 2], &l->hash[l->n - 1]);
	}
	return true;
}

static struct cert *
slot_of(struct cert *cert, size_t slots, struct mm_bytes serial)
{
	uint64_t h = UINT64_C(14695981039346656037);
	size_t i;

	for (size_t k = 0; k < serial.n; k++)
		h = (h ^ serial.p[k]) * UINT64_C(1099511628211);
	for (i = h % slots; cert[i].serial[0] != '\0' &&
			    !mm_bytes_eq(mm_bytes_of(cert[i].serial), serial);
	     i = (i + 1) % slots)
		continue;
	return &cert[i];
}

/* At most half are taken, so every search ends. */
static bool
make_room(struct mm_entries *e)
{
	size_t slots = e->slots == 0 ? SLOTS_LEAST : e->slots * 2;
	struct cert *cert;

	if (e->slots > 0 && (e->certs + 1) * 2 <= e->slots)
		return true;
	cert = calloc(slots, sizeof(*cert));
	if (cert == NULL)
		return false;
	for (size_t i = 0; i < e->slots; i++)
		if (e->cert[i].serial[0] != '\0')
			*slot_of(cert, slots, mm_bytes_of(e->cert[i].serial)) =
			    e->cert[i];
	free(e->cert);
	e->cert = cert;
	e->slots = slots;
	return true;
}

static bool
note_cert(struct mm_entries *e, struct mm_bytes json)
{
	static const char *const types[] = { "certificate.issued",
		"certificate.confirmed", "line.destroyed" };
	struct mm_entry_view v;
	struct cert *c;

	mm_entry_look(json, &v);
	for (unsigned i = 0; i < MM_ENTRIES_WHATS; i++) {
		if (!mm_bytes_eq(v.type, mm_bytes_of(types[i])))
			continue;
		if (!make_room(e))
			return false;
		c = slot_of(e->cert, e->slots, v.serial);
		if (c->serial[0] == '\0') {
			if (!mm_text_copy(
				c->serial, sizeof(c->serial), v.serial))
				return false;
			e->certs++;
		}
		if (c->at[i] == 0)
			c->at[i] = e->n + 1;
	}
	return true;
}

static enum mm_err
remember(struct mm_entries *e, struct mm_bytes json, struct mm_why *why)
{
	off_t *room = grow(e->offset, (size_t)e->n, &e->offsets, sizeof(*room));

	if (room != NULL)
		e->offset = room;
	if (room == NULL || !note_cert(e, json) ||
	    !add_leaf(e, mm_tree_leaf(json)))
		return MM_FAIL(why, MM_ENOMEM, "ledger: out of memory");
	e->offset[e->n++] = e->end;
	e->end += (off_t)json.n + 2;
	return MM_OK;
}

/* ---- the file ---- */

/* Each is synced before the next: only the last can be without its bytes. */
static bool
is_torn(struct mm_bytes one, struct mm_rd rest)
{
	while (rest.left > 0)
		if (mm_rd_u8(&rest) != 0)
			return false;
	return one.n == 0 || one.p[one.n - 1] == 0;
}

static enum mm_err
read_all(struct mm_entries *e, const char *path, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(FILE_MAX);
	struct mm_rd r;
	struct mm_bytes one;

	MM_TRY(mm_file_read(path, &b, why));
	r = mm_rd_over(mm_buf_view(&b));
	while (mm_bundle_next(&r, &one)) {
		if (is_torn(one, r))
			break;
		if (one.n == 0 || one.p[0] != '{' || one.p[one.n - 1] != '}')
			return MM_FAIL(why, MM_EPOLICY,
			    "ledger: entry %" PRIu64 " is damaged", e->n);
		MM_TRY(remember(e, one, why));
	}
	e->dirty = (size_t)e->end < b.n;
	return MM_OK;
}

static enum mm_err
cut(struct mm_entries *e, struct mm_why *why)
{
	if (!e->dirty)
		return MM_OK;
	if (ftruncate(e->fd, e->end) != 0)
		return MM_FAIL(
		    why, MM_ESYS, "ledger: cannot be cut: %s", strerror(errno));
	e->dirty = false;
	return MM_OK;
}

/* see entries.h */
enum mm_err
mm_entries_open(const char *path, struct mm_entries **out, struct mm_why *why)
{
	MM_OWN(mm_entries_close) struct mm_entries *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return MM_FAIL(why, MM_ENOMEM, "ledger: out of memory");
	e->fd = open(
	    path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (e->fd < 0)
		return MM_FAIL(
		    why, MM_ESYS, "ledger: %.90s: %s", path, strerror(errno));
	MM_TRY(read_all(e, path, why));
	MM_TRY(cut(e, why));
	*out = MM_MOVE(e);
	return MM_OK;
}

/* see entries.h */
void
mm_entries_close(struct mm_entries **owner)
{
	struct mm_entries *e = *owner;

	if (e == NULL)
		return;
	if (e->fd >= 0)
		close(e->fd);
	for (unsigned i = 0; i < LEVELS; i++)
		free(e->level[i].hash);
	free(e->offset);
	free(e->cert);
	free(e);
	*owner = NULL;
}

/* see entries.h */
uint64_t
mm_entries_n(const struct mm_entries *e)
{
	return e->n;
}

static enum mm_err
write_one(struct mm_entries *e, struct mm_bytes bundle, struct mm_why *why)
{
	ssize_t n;

	MM_TRY(cut(e, why));
	e->dirty = true;
	n = write(e->fd, bundle.p, bundle.n);
	if (n == (ssize_t)bundle.n && fdatasync(e->fd) == 0) {
		e->dirty = false;
		return MM_OK;
	}
	(void)!cut(e, NULL);
	return MM_FAIL(why, MM_ESYS,
	    "ledger: cannot be written: is the disk "
	    "full?");
}

/* see entries.h */
enum mm_err
mm_entries_add(struct mm_entries *e, struct mm_bytes json, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(MM_ENTRY_MAX + 2);

	mm_bundle_put(&b, json);
	MM_TRY(mm_buf_ok(&b, why));
	MM_TRY(write_one(e, mm_buf_view(&b), why));
	return remember(e, json, why);
}

/* see entries.h */
enum mm_err
mm_entries_get(const struct mm_entries *e, uint64_t index, struct mm_buf *out,
    struct mm_why *why)
{
	off_t at, end;
	uint8_t *room;
	size_t n;

	if (index >= e->n)
		return MM_FAIL(
		    why, MM_ENOTFOUND, "ledger: no entry %" PRIu64, index);
	at = e->offset[index] + 2;
	end = index + 1 < e->n ? e->offset[index + 1] : e->end;
	n = (size_t)(end - at);
	room = mm_buf_room(out, n);
	if (room == NULL)
		return mm_buf_ok(out, why);
	if (pread(e->fd, room, n, at) != (ssize_t)n)
		return MM_FAIL(why, MM_ESYS, "ledger: cannot be read");
	return MM_OK;
}

/* see entries.h */
enum mm_err
mm_entries_read(void *entries, unsigned level, uint64_t index,
    struct mm_hash *out, struct mm_why *why)
{
	const struct mm_entries *e = entries;

	if (level >= LEVELS || index >= e->level[level].n)
		return MM_FAIL(why, MM_ENOTFOUND, "ledger: no such subtree");
	*out = e->level[level].hash[index];
	return MM_OK;
}

/* see entries.h */
bool
mm_entries_find(const struct mm_entries *e, const char *serial,
    enum mm_entries_what what, uint64_t *index)
{
	const struct cert *c =
	    e->slots == 0 ? NULL
			  : slot_of(e->cert, e->slots, mm_bytes_of(serial));

	if (c == NULL || c->at[what] == 0)
		return false;
	*index = c->at[what] - 1;
	return true;
}
