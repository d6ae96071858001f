#include "server/event.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/own.h"
#include "base/time.h"
#include "server/rest.h"

enum {
	CHUNK_N = 256,       /* entries read at once */
	CHUNK_MAX = 1 << 20,
};

/* ---- who sees what ---- */

/* MM_ELIMIT ends the chunk: it is full. */
static enum mm_err
collect(void *ctx, uint64_t index, struct mm_bytes entry, struct mm_why *why)
{
	struct mm_buf *chunk = ctx;

	(void)index, (void)why;
	if (chunk->n > 0 && chunk->n + 4 + entry.n > CHUNK_MAX)
		return MM_ELIMIT;
	mm_buf_u32(chunk, (uint32_t)entry.n);
	mm_buf_bytes(chunk, entry);
	return mm_buf_ok(chunk, why);
}

/* see event.h */
enum mm_err
mm_event_each(struct mm_store_reader *r, uint64_t from, uint64_t to,
    mm_event_fn *fn, void *ctx, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf chunk = MM_BUF_INIT(CHUNK_MAX + 4 +
	    MM_ENTRY_MAX);

	while (from < to) {
		uint64_t end = from + CHUNK_N < to ? from + CHUNK_N : to;
		enum mm_err rc;
		struct mm_rd rd;

		mm_buf_reset(&chunk);
		rc = mm_each_entry(r, from, end, collect, &chunk, why);
		if (rc != MM_OK && rc != MM_ELIMIT)
			return rc;
		rd = mm_rd_over(mm_buf_view(&chunk));
		while (rd.left > 0) {
			struct mm_event e = { .index = from++, .reader = r,
				.json = mm_rd_block32(&rd) };

			mm_entry_look(e.json, &e.v);
			MM_TRY(fn(ctx, &e, why));
		}
	}
	return MM_OK;
}

static enum mm_err
find_owner(struct mm_event *e, struct mm_why *why)
{
	enum mm_err rc = mm_scope_entry_owner(e->reader, &e->v, &e->owner);

	if (rc != MM_OK && rc != MM_ENOTFOUND)
		return MM_FAIL(why, rc, "the store cannot be read");
	if (rc != MM_OK)
		e->owner = (struct mm_scoped){ .device = "" };
	e->asked = true;
	return MM_OK;
}

/* Ids are unique without case. */
static bool
is_device(const char *id, struct mm_bytes v)
{
	return id[0] == '\0' || (strlen(id) == v.n &&
	    strncasecmp(id, (const char *)v.p, v.n) == 0);
}

/* see event.h */
enum mm_err
mm_event_wanted(const struct mm_event_filter *f, struct mm_event *e,
    bool *yes, struct mm_why *why)
{
	*yes = mm_entry_one_of(f->types, e->v.type) &&
	    is_device(f->device, e->v.device);
	if (!*yes || f->products[0] == '\0')
		return MM_OK;
	if (e->v.product.n == 0 && !e->asked)
		MM_TRY(find_owner(e, why));
	*yes = mm_entry_one_of(f->products, e->v.product.n > 0 ?
	    e->v.product : mm_bytes_of(e->owner.product));
	return MM_OK;
}

/* see event.h */
enum mm_err
mm_event_from_check(uint64_t from, uint64_t size, struct mm_why *why)
{
	if (from <= size)
		return MM_OK;
	return MM_FAIL(why, MM_ECONFLICT, "the ledger ends at index %lld: it "
	    "was restored, or is another than the cursor's; verify it, then "
	    "go on after %lld, or anew after -1", (long long)size - 1,
	    (long long)size - 1);
}

/* see event.h */
enum mm_err
mm_event_may_see(const struct mm_login *login, struct mm_scope_memo *memo,
    struct mm_event *e, bool *yes, struct mm_why *why)
{
	const unsigned readers = MM_ROLE_ADMIN | MM_ROLE_OPERATOR |
	    MM_ROLE_SUPPORT | MM_ROLE_AUDITOR;

	*yes = (login->roles & readers) != 0;
	if (!*yes || !login->scope.on)
		return MM_OK;
	if (!e->asked)
		MM_TRY(find_owner(e, why));
	return mm_scope_owns(e->reader, &login->scope, memo, &e->owner, yes,
	    why);
}

/* see event.h */
unsigned
mm_event_round(const struct mm_login *login, unsigned most)
{
	unsigned n = most / (1 + login->scope.nbatches);

	return n > 0 ? n : 1;
}

/* see event.h */
bool
mm_event_login_over(const struct mm_login *login)
{
	return login->roles == 0 || (login->expires_at != 0 &&
	    login->expires_at <= mm_now_ms());
}

/* see event.h */
enum mm_err
mm_event_ca_serial(struct mm_store_reader *r, const struct mm_entry_view *v,
    char out[MM_CA_SERIAL_TEXT], struct mm_why *why)
{
	uint8_t number[MM_SERIAL_N];

	out[0] = '\0';
	if (v->serial.n != 2 * MM_SERIAL_N || mm_hex_parse(
	    (const char *)v->serial.p, v->serial.n, number, sizeof(number),
	    NULL) != MM_OK)
		return MM_OK;
	return mm_ca_serial(r, number, out, why);
}

/* ---- as JSON ---- */

/* see event.h */
void
mm_event_put_in(struct mm_json *j, uint64_t index, struct mm_bytes entry,
    const char *ca_serial)
{
	mm_json_int(j, "index", (int64_t)index);
	mm_json_raw(j, "entry", entry);
	if (ca_serial[0] != '\0')
		mm_json_str(j, "ca_serial", ca_serial);
}

/* see event.h */
void
mm_event_put(struct mm_json *j, uint64_t index, struct mm_bytes entry,
    const char *ca_serial)
{
	mm_json_open(j, '{');
	mm_event_put_in(j, index, entry, ca_serial);
	mm_json_close(j, '}');
}

/* see event.h */
void
mm_event_put_next(struct mm_json *j, uint64_t seen, bool more)
{
	char text[24];

	if (seen > 0) {
		snprintf(text, sizeof(text), "%llu",
		    (unsigned long long)seen - 1);
		mm_json_str(j, "next", text);
	}
	mm_json_bool(j, "more", more);
}
