#include "signer/counter.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/faults.h"
#include "base/file.h"
#include "base/own.h"
#include "pki/key.h"
#include "signer/priv.h"
#include "signer/tpm.h"
#include "work/order.h"

enum { VERSION = 2, MAC_N = 32, SECRET_N = 32, BATCHES = MM_COUNTER_BATCHES };
enum { FILE_MAX = 128 + BATCHES * (MM_NAME_MAX + 32) };
enum { ROOM = BATCHES / 4 }; /* made at once: each order is read for it */

struct batch {
	char name[MM_NAME_MAX + 1];
	uint64_t records, spent;
	bool open;
};
struct mm_counter {
	char path[MM_PATH_MAX + 1];
	struct mm_tpm *tpm;
	struct mm_tpm_index index;
	uint8_t mac_key[MAC_N];
	uint64_t value; /* what the file says */
	bool behind;    /* the TPM may not be there yet */
	uint64_t floor; /* orders up to here begin no batch */
	size_t n, at;   /* at: what is worked on */
	struct batch batch[BATCHES];
};

/* ---- its keys ---- */

/* Of the ledger's key and no other: files of two stations do not mix. */
static enum mm_err
make_keys(EVP_PKEY *ledger, struct mm_secret **secret, uint8_t mac_key[MAC_N],
    struct mm_why *why)
{
	uint8_t raw[32];
	size_t n = sizeof(raw);

	if (EVP_PKEY_get_raw_private_key(ledger, raw, &n) != 1 ||
	    n != sizeof(raw))
		return MM_FAIL(why, MM_EINPUT, "not an Ed25519 key");
	MM_TRY(mm_secret_new(SECRET_N, secret, why));
	mm_hmac_sha256((struct mm_bytes){ raw, n },
	    mm_bytes_of("mintmark-counter/1 tpm"), (*secret)->p);
	mm_hmac_sha256((struct mm_bytes){ raw, n },
	    mm_bytes_of("mintmark-counter/1 file"), mac_key);
	mm_wipe(raw, sizeof(raw));
	return MM_OK;
}

/* ---- its file ---- */

static void
encode(const struct mm_counter *c, struct mm_buf *out)
{
	uint8_t mac[MAC_N];

	mm_buf_u32(out, VERSION);
	mm_buf_u32(out, c->index.handle);
	mm_buf_put(out, c->index.name, MM_TPM_NAME);
	mm_buf_u64(out, c->value);
	mm_buf_u16(out, (uint16_t)c->n);
	for (size_t i = 0; i < c->n; i++) {
		const struct batch *b = &c->batch[i];

		mm_buf_block16(out, mm_bytes_of(b->name));
		mm_buf_u64(out, b->records);
		mm_buf_u64(out, b->spent);
		mm_buf_u8(out, b->open);
	}
	mm_buf_u64(out, c->floor);
	mm_hmac_sha256(
	    (struct mm_bytes){ c->mac_key, MAC_N }, mm_buf_view(out), mac);
	mm_buf_put(out, mac, MAC_N);
}

static bool
take_batch(struct mm_rd *r, struct batch *out)
{
	bool ok = mm_text_copy(out->name, sizeof(out->name), mm_rd_block16(r));

	out->records = mm_rd_u64(r);
	out->spent = mm_rd_u64(r);
	out->open = mm_rd_u8(r) != 0;
	return ok && !r->bad && out->records <= out->spent;
}

/* Whose HMAC is right was written here. */
static bool
decode(struct mm_counter *c, struct mm_bytes file)
{
	struct mm_bytes body = file, name;
	uint8_t mac[MAC_N];
	struct mm_rd r;
	uint32_t version;
	bool ok;

	if (file.n < MAC_N)
		return false;
	body.n -= MAC_N;
	mm_hmac_sha256((struct mm_bytes){ c->mac_key, MAC_N }, body, mac);
	if (CRYPTO_memcmp(mac, file.p + body.n, MAC_N) != 0)
		return false;
	r = mm_rd_over(body);
	version = mm_rd_u32(&r);
	ok = version == 1 || version == VERSION;
	c->index.handle = mm_rd_u32(&r);
	name = mm_rd_take(&r, MM_TPM_NAME);
	if (name.n == MM_TPM_NAME)
		memcpy(c->index.name, name.p, MM_TPM_NAME);
	c->value = mm_rd_u64(&r);
	c->n = mm_rd_u16(&r);
	for (size_t i = 0; ok && i < c->n; i++)
		ok = i < BATCHES && take_batch(&r, &c->batch[i]);
	c->floor = version == 1 ? 0 : mm_rd_u64(&r);
	return ok && mm_rd_end(&r);
}

static enum mm_err
write_file(const struct mm_counter *c, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(FILE_MAX);
	struct mm_why own = { 0 };

	encode(c, &b);
	MM_TRY(mm_buf_ok(&b, why));
	if (mm_file_replace_locked(c->path, mm_buf_view(&b), 0600, &own) ==
	    MM_OK)
		return MM_OK;
	return MM_FAIL(why, MM_EAGAIN, "counter: %s", own.text);
}

static enum mm_err
read_file(struct mm_counter *c, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(FILE_MAX);

	MM_TRY(mm_file_read(c->path, &b, why));
	return decode(c, mm_buf_view(&b))
		   ? MM_OK
		   : MM_FAIL(why, MM_EPOLICY,
			 "counter: its file was changed, or is of another "
			 "station");
}

/* ---- file and TPM ---- */

static enum mm_err
compare(const struct mm_counter *c, uint64_t tpm, struct mm_why *why)
{
	if (tpm > c->value)
		return MM_FAIL(why, MM_EPOLICY,
		    "counter: this signer's files are of %" PRIu64
		    ", the TPM is at %" PRIu64 ": they were put back from an "
		    "older copy",
		    c->value, tpm);
	if (tpm + 1 < c->value)
		return MM_FAIL(why, MM_EPOLICY,
		    "counter: this signer's files are of %" PRIu64
		    ", the TPM is at %" PRIu64 ": it is another TPM",
		    c->value, tpm);
	return MM_OK;
}

/* The TPM comes to where the file is. */
static enum mm_err
catch_up(struct mm_counter *c, struct mm_why *why)
{
	uint64_t tpm;

	if (!c->behind)
		return MM_OK;
	MM_TRY(mm_tpm_counter_read(c->tpm, &tpm, why));
	MM_TRY(compare(c, tpm, why));
	if (tpm < c->value) {
		MM_TRY(mm_tpm_counter_advance(c->tpm, why));
		mm_die_at("advanced");
		MM_TRY(mm_tpm_counter_read(c->tpm, &tpm, why));
		MM_TRY(compare(c, tpm, why));
	}
	if (tpm != c->value)
		return MM_FAIL(why, MM_EAGAIN, "counter: it did not advance");
	c->behind = false;
	return MM_OK;
}

/* First the file, then the TPM: what is between the two has no effect yet. */
static enum mm_err
move(struct mm_counter *c, struct batch *b, const struct batch *to,
    struct mm_why *why)
{
	const struct batch was = *b;
	enum mm_err rc;
	uint64_t tpm;

	MM_TRY(catch_up(c, why));
	/* while it does not answer no lease is begun, and none is lost */
	MM_TRY(mm_tpm_counter_read(c->tpm, &tpm, why));
	MM_TRY(compare(c, tpm, why));
	*b = *to;
	c->value++;
	mm_die_at("lease");
	rc = write_file(c, why);
	if (rc != MM_OK) {
		*b = was;
		c->value--;
		return rc;
	}
	c->behind = true;
	mm_die_at("leased");
	return catch_up(c, why);
}

/* ---- open ---- */

/* see counter.h */
enum mm_err
mm_counter_level(const struct mm_settings *set, int *level, struct mm_why *why)
{
	char path[MM_PATH_MAX + 1];
	bool bound;

	MM_TRY(mm_signer_path(set, MM_COUNTER_FILE, path, why));
	bound = access(path, F_OK) == 0;
	if (bound && set->tpm[0] == '\0')
		return MM_FAIL(why, MM_EPOLICY,
		    "counter: this signer was set up with a TPM, and its "
		    "configuration has none: tpm");
	if (!bound && set->tpm[0] != '\0')
		return MM_FAIL(why, MM_EPOLICY,
		    "counter: the configuration has a TPM, and this signer was "
		    "set up without, or lost %s",
		    MM_COUNTER_FILE);
	*level = bound ? MM_WORK_ROLLBACK_PROOF : MM_WORK_SOFTWARE;
	return MM_OK;
}

static enum mm_err
start(const struct mm_settings *set, EVP_PKEY *ledger,
    struct mm_secret **secret, struct mm_counter **out, struct mm_why *why)
{
	MM_OWN(mm_counter_close) struct mm_counter *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	MM_TRY(mm_signer_path(set, MM_COUNTER_FILE, c->path, why));
	MM_TRY(make_keys(ledger, secret, c->mac_key, why));
	*out = MM_MOVE(c);
	return MM_OK;
}

/* see counter.h */
enum mm_err
mm_counter_make(const struct mm_settings *set, EVP_PKEY *ledger,
    struct mm_buf *out, struct mm_why *why)
{
	MM_OWN(mm_secret_free) struct mm_secret *secret = NULL;
	MM_OWN(mm_counter_close) struct mm_counter *c = NULL;

	MM_TRY(start(set, ledger, &secret, &c, why));
	MM_TRY(mm_tpm_open(set->tpm, &c->tpm, why));
	MM_TRY(mm_tpm_counter_make(c->tpm, secret, &c->index, why));
	MM_TRY(mm_tpm_counter_read(c->tpm, &c->value, why));
	encode(c, out);
	return mm_buf_ok(out, why);
}

/* see counter.h */
enum mm_err
mm_counter_open(const struct mm_settings *set, EVP_PKEY *ledger,
    struct mm_counter **out, struct mm_why *why)
{
	MM_OWN(mm_secret_free) struct mm_secret *secret = NULL;
	MM_OWN(mm_counter_close) struct mm_counter *c = NULL;
	uint64_t tpm;

	MM_TRY(start(set, ledger, &secret, &c, why));
	MM_TRY(read_file(c, why));
	MM_TRY(mm_tpm_open(set->tpm, &c->tpm, why));
	MM_TRY(mm_tpm_counter_find(c->tpm, &c->index, secret, why));
	MM_TRY(mm_tpm_counter_read(c->tpm, &tpm, why));
	MM_TRY(compare(c, tpm, why));
	/* whoever wrote a lease and did not begin it yet may only have been
	 * paused, and go on: it is left open, and charged like others */
	c->behind = tpm < c->value;
	MM_TRY(catch_up(c, why));
	*out = MM_MOVE(c);
	return MM_OK;
}

/* see counter.h */
void
mm_counter_close(struct mm_counter **owner)
{
	struct mm_counter *c = *owner;

	if (c == NULL)
		return;
	mm_tpm_close(&c->tpm);
	mm_wipe(c, sizeof(*c));
	free(c);
	*owner = NULL;
}

/* ---- leases ---- */

static struct batch *
open_one(struct mm_counter *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->batch[i].open)
			return &c->batch[i];
	return NULL;
}

/* see counter.h */
const char *
mm_counter_cut(const struct mm_counter *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->batch[i].open)
			return c->batch[i].name;
	return "";
}

static enum mm_err
too_few(const struct batch *b, uint64_t records, struct mm_why *why)
{
	return MM_FAIL(why, MM_EPOLICY,
	    "counter: batch %s has %" PRIu64 " units here, and the counter "
	    "is of %" PRIu64 ": an older copy was put back",
	    b->name, records, b->records);
}

/* see counter.h */
enum mm_err
mm_counter_charge(struct mm_counter *c, uint64_t records, struct mm_why *why)
{
	struct batch *b = open_one(c), to;

	if (b == NULL)
		return MM_OK;
	if (records < b->records || records - b->records > MM_COUNTER_LEASE)
		return too_few(b, records, why);
	to = *b;
	to.records = records;
	to.spent += MM_COUNTER_LEASE;
	to.open = false;
	return move(c, b, &to, why);
}

/* ---- room ---- */

struct closed {
	uint64_t order; /* 0: it is not */
	size_t i;
};

static int
by_order(const void *a_, const void *b_)
{
	const struct closed *a = a_, *b = b_;

	return a->order < b->order ? -1 : a->order > b->order;
}

/* The others move up, in their order. */
static void
take_out(struct mm_counter *c, const bool gone[BATCHES])
{
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++)
		if (!gone[i])
			c->batch[n++] = c->batch[i];
	memset(&c->batch[n], 0, (c->n - n) * sizeof(c->batch[0]));
	c->n = n;
}

/* see counter.h */
void
mm_counter_make_room(struct mm_counter *c, mm_counter_closed_fn *closed,
    void *ctx)
{
	struct closed all[BATCHES];
	bool gone[BATCHES] = { false };
	size_t n = 0;

	if (c->n < BATCHES)
		return;
	for (size_t i = 0; i < c->n; i++) {
		all[n] = (struct closed){ closed(ctx, c->batch[i].name), i };
		if (all[n].order != 0 && !c->batch[i].open)
			n++;
	}
	qsort(all, n, sizeof(all[0]), by_order);
	for (size_t i = 0; i < n && i < ROOM; i++) {
		gone[all[i].i] = true;
		if (all[i].order > c->floor)
			c->floor = all[i].order;
	}
	take_out(c, gone);
}

static enum mm_err
add(struct mm_counter *c, const char *batch, uint64_t order,
    struct mm_why *why)
{
	if (order <= c->floor)
		return MM_FAIL(why, MM_EPOLICY,
		    "counter: batch %s was not begun by order %" PRIu64
		    ", and batches were closed by %" PRIu64 " since: it wants "
		    "a new order, or an older copy was put back",
		    batch, order, c->floor);
	if (c->n == BATCHES)
		return MM_FAIL(why, MM_ELIMIT,
		    "counter: %d batches were begun here and are not closed: "
		    "take the orders that close those that are done",
		    BATCHES);
	snprintf(c->batch[c->n++].name, sizeof(c->batch[0].name), "%s", batch);
	return MM_OK;
}

/* see counter.h */
enum mm_err
mm_counter_begin(struct mm_counter *c, const char *batch, uint64_t order,
    uint64_t records, struct mm_why *why)
{
	size_t i = 0;

	while (i < c->n && strcmp(c->batch[i].name, batch) != 0)
		i++;
	if (i == c->n)
		MM_TRY(add(c, batch, order, why));
	c->at = i;
	return c->batch[i].records == records
		   ? MM_OK
		   : too_few(&c->batch[i], records, why);
}

/* see counter.h */
uint64_t
mm_counter_lost(const struct mm_counter *c)
{
	return c->n == 0 ? 0 : c->batch[c->at].spent - c->batch[c->at].records;
}

/* What the newest lease has left. */
static bool
has_room(const struct mm_counter *c, uint64_t records)
{
	const struct batch *b = &c->batch[c->at];

	return b->open && records - b->records < MM_COUNTER_LEASE;
}

static enum mm_err
close_to(struct mm_counter *c, uint64_t records, bool open, struct mm_why *why)
{
	struct batch *b = &c->batch[c->at], to = *b;

	to.spent += records - b->records;
	to.records = records;
	to.open = open;
	return move(c, b, &to, why);
}

/* see counter.h */
enum mm_err
mm_counter_take(struct mm_counter *c, uint64_t records, struct mm_why *why)
{
	MM_TRY(catch_up(c, why));
	return has_room(c, records) ? MM_OK : close_to(c, records, true, why);
}

/* see counter.h */
enum mm_err
mm_counter_look(struct mm_counter *c, uint64_t records, struct mm_why *why)
{
	uint64_t tpm;

	if (!c->behind && has_room(c, records))
		return MM_OK;
	MM_TRY(mm_tpm_counter_read(c->tpm, &tpm, why));
	MM_TRY(compare(c, tpm, why));
	if (tpm < c->value && !c->behind)
		return MM_FAIL(why, MM_EPOLICY,
		    "counter: the TPM is behind: it is another one");
	return MM_OK;
}

/* see counter.h */
enum mm_err
mm_counter_end(struct mm_counter *c, uint64_t records, struct mm_why *why)
{
	MM_TRY(catch_up(c, why));
	return c->n > 0 && c->batch[c->at].open
		   ? close_to(c, records, false, why)
		   : MM_OK;
}
