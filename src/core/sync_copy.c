#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/sync_priv.h"

/* The copies of stations' ledgers: written as pieces come, and looked up. */
enum { COPY_MAX = 48 * 1024, LEDGERS_MAX = 64, PAGE = 64, A_FEW = 16 };

static void
part_id(const char *station, const char *key, uint64_t from,
    char id[MM_DOC_ID_MAX + 1])
{
	snprintf(id, MM_DOC_ID_MAX + 1, "%.32s/%.16s/%012" PRIu64, station, key,
	    from);
}

static uint64_t
from_of(const struct mm_doc *part)
{
	return strtoull(strrchr(part->id, '/') + 1, NULL, 10);
}

static json_t *
part_open(const struct mm_doc *part)
{
	return json_loadb(
	    (const char *)part->body.p, part->body.n, JSON_ALLOW_NUL, NULL);
}

/* n 0: it does not have so many. */
static struct mm_bytes
entry_at(const json_t *part, size_t i)
{
	const json_t *text = json_object_get(json_array_get(part, i), "entry");

	return (struct mm_bytes){ (const uint8_t *)json_string_value(text),
		json_string_length(text) };
}

/* ---- written ---- */

static void
key_of(const struct mm_sync *s, char key[17])
{
	uint8_t hash[32];

	mm_sha256(mm_bytes_of(s->station->ledger), hash);
	mm_hex_text(hash, 8, key);
}

struct copy {
	struct mm_buf body;
	struct mm_json j;
	uint64_t from;
};

static enum mm_err
write_copy(struct mm_sync *s, struct copy *c, struct mm_why *why)
{
	struct mm_op_doc doc = { .kind = MM_DOC_COPY, .expect = MM_DOC_ANY };
	char key[17];

	if (c->body.n == 0)
		return MM_OK;
	mm_json_close(&c->j, ']');
	MM_TRY(mm_buf_ok(&c->body, why));
	key_of(s, key);
	part_id(s->station->id, key, c->from, doc.id);
	doc.body = mm_buf_view(&c->body);
	MM_TRY(mm_desk_doc_put(s->d, &doc, NULL, 0, why));
	mm_buf_reset(&c->body);
	return MM_OK;
}

static enum mm_err
copy_line(struct mm_sync *s, struct copy *c, size_t i, struct mm_why *why)
{
	const struct mm_sync_line *l = &s->piece->line[i];

	if (c->body.n + l->json.n + l->proof.n > COPY_MAX / 2)
		MM_TRY(write_copy(s, c, why));
	if (c->body.n == 0) {
		c->j = mm_json_over(&c->body);
		c->from = s->piece->before.size + i;
		mm_json_open(&c->j, '[');
	}
	mm_json_open(&c->j, '{');
	mm_json_strn(&c->j, "entry", l->json);
	if (l->proof.n > 0)
		mm_json_strn(&c->j, "proof", l->proof);
	mm_json_close(&c->j, '}');
	return MM_OK;
}

/* see sync_priv.h; certificates are in their own place */
enum mm_err
mm_sync_copy(struct mm_sync *s, struct mm_why *why)
{
	struct copy c = { .body = MM_BUF_INIT(MM_DOC_MAX) };
	enum mm_err rc = MM_OK;

	for (size_t i = 0; rc == MM_OK && i < s->piece->n; i++)
		rc = copy_line(s, &c, i, why);
	if (rc == MM_OK)
		rc = write_copy(s, &c, why);
	mm_buf_done(&c.body);
	return rc;
}

/* ---- its beginning ---- */

struct beginning {
	struct mm_frontier f;
	uint64_t size; /* up to here */
	char next[MM_DOC_ID_MAX + 1];
	size_t page;
};

/* Pieces that were cut elsewhere overlap. */
static enum mm_err
append(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_doc *doc = row;
	uint64_t from = from_of(doc);
	struct beginning *b = ctx;
	MM_OWN(mm_json_free) json_t *o = NULL;
	struct mm_bytes entry;

	(void)why;
	b->page++;
	snprintf(b->next, sizeof(b->next), "%s", next);
	if (from > b->f.size || b->f.size >= b->size)
		return MM_OK;
	o = part_open(doc);
	while (b->f.size < b->size &&
	    (entry = entry_at(o, (size_t)(b->f.size - from))).n > 0) {
		const struct mm_hash leaf = mm_tree_leaf(entry);

		mm_frontier_append(&b->f, &leaf);
	}
	return MM_OK;
}

/* see sync_priv.h */
enum mm_err
mm_sync_begins(struct mm_sync *s, const struct mm_checkpoint *c, bool *begins,
    struct mm_why *why)
{
	struct mm_list l = { .most = PAGE, .state = -1 };
	struct beginning b = { .size = c->size };
	char prefix[MM_DOC_ID_MAX + 1], key[17];
	struct mm_hash root;

	key_of(s, key);
	snprintf(prefix, sizeof(prefix), "%.32s/%.16s/", s->station->id, key);
	do {
		b.page = 0;
		snprintf(l.after, sizeof(l.after), "%s", b.next);
		if (mm_list_docs(s->d->r, MM_DOC_COPY, prefix, &l, append, &b,
			NULL) != MM_OK)
			return MM_FAIL(why, MM_EAGAIN,
			    "the store cannot be read");
	} while (b.page == l.most && b.f.size < b.size);
	root = mm_frontier_root(&b.f);
	*begins = b.f.size == c->size &&
		  memcmp(&root, &c->root, sizeof(root)) == 0;
	return MM_OK;
}

/* ---- one entry of it ---- */

struct search { /* among a station's ledgers, for the entry of that hash */
	char key[LEDGERS_MAX][17], next[MM_DOC_ID_MAX + 1];
	char part[MM_DOC_ID_MAX + 1]; /* the last that was read */
	size_t n, page;
	bool over; /* found, or past it: the list ends */
	uint64_t index;
	const char *sha256; /* hex */
	struct mm_buf *out;
};

static enum mm_err
add_key(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const char *slash = strchr(((const struct mm_doc *)row)->id, '/');
	struct search *s = ctx;

	(void)why;
	snprintf(s->next, sizeof(s->next), "%s", next);
	(void)!mm_text_copy(s->key[s->n++], 17,
	    mm_bytes_of(slash != NULL ? slash + 1 : ""));
	return MM_OK;
}

/* Pieces that were cut elsewhere overlap: each has the same there. */
static enum mm_err
look(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_doc *doc = row;
	struct search *s = ctx;
	uint64_t from = from_of(doc);
	MM_OWN(mm_json_free) json_t *o = NULL;
	struct mm_bytes entry;
	uint8_t hash[32];
	char hex[65];

	s->page++;
	snprintf(s->part, sizeof(s->part), "%s", next);
	s->over = from > s->index;
	if (s->over)
		return MM_ELIMIT;
	o = part_open(doc);
	entry = entry_at(o, (size_t)(s->index - from));
	if (entry.n == 0)
		return MM_OK;
	mm_sha256(entry, hash);
	mm_hex_text(hash, 32, hex);
	if (strcmp(hex, s->sha256) != 0)
		return MM_OK;
	mm_buf_bytes(s->out, entry);
	MM_TRY(mm_buf_ok(s->out, why));
	s->over = true;
	return MM_ELIMIT;
}

/* No part is of more entries than a piece. */
static enum mm_err
look_in(struct mm_store_reader *r, const char *station, const char *key,
    struct search *s, struct mm_why *why)
{
	struct mm_list l = { .most = A_FEW, .state = -1 };
	char prefix[MM_DOC_ID_MAX + 1], after[MM_DOC_ID_MAX + 1];
	enum mm_err rc;

	s->over = false;
	snprintf(prefix, sizeof(prefix), "%.32s/%.16s/", station, key);
	if (s->index >= MM_SYNC_ENTRIES_MAX) {
		part_id(station, key, s->index - MM_SYNC_ENTRIES_MAX, after);
		strcpy(l.after, after);
	}
	do {
		s->page = 0;
		rc = mm_list_docs(r, MM_DOC_COPY, prefix, &l, look, s, why);
		snprintf(l.after, sizeof(l.after), "%s", s->part);
	} while (rc == MM_OK && s->page == l.most);
	return s->over ? MM_OK : rc;
}

static enum mm_err
find(struct mm_store_reader *r, const char *station, struct search *s,
    struct mm_why *why)
{
	struct mm_list l = { .most = LEDGERS_MAX, .state = -1 };
	char prefix[MM_NAME_MAX + 2];

	snprintf(prefix, sizeof(prefix), "%.32s/", station);
	do {
		s->n = 0;
		MM_TRY(mm_list_docs(
		    r, MM_DOC_SYNC, prefix, &l, add_key, s, why));
		for (size_t i = 0; i < s->n && s->out->n == 0; i++)
			MM_TRY(look_in(r, station, s->key[i], s, why));
		snprintf(l.after, sizeof(l.after), "%s", s->next);
	} while (s->n == LEDGERS_MAX && s->out->n == 0);
	return MM_OK;
}

/* see sync.h */
enum mm_err
mm_station_entry(struct mm_store_reader *r, const struct mm_cert_row *row,
    struct mm_buf *out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf json = MM_BUF_INIT(MM_ENTRY_MAX);
	struct search s = { .out = out };
	char texts[MM_ENTRY_MAX + 64];
	struct mm_entry e;
	int64_t number;

	MM_TRY(mm_get_entry(r, row->entry, &json, why));
	MM_TRY(
	    mm_entry_parse(mm_buf_view(&json), texts, sizeof(texts), &e, why));
	s.sha256 = e.field[MM_F_DETAIL_SHA256];
	if (e.type != MM_E_CERT_SYNCED || s.sha256 == NULL ||
	    e.field[MM_F_STATION] == NULL ||
	    mm_int_parse(e.field[MM_F_NUMBER], &number, NULL) != MM_OK)
		return MM_OK;
	s.index = (uint64_t)number;
	return find(r, e.field[MM_F_STATION], &s, why);
}
