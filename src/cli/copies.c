#include "cli/copies.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "cli/marks.h"
#include "ledger/tree.h"
#include "pki/key.h"

MM_FREE_FN(json_free, json_t, json_decref)

/* The parts of one ledger's copy, in the order of their first entries. */
struct copy {
	struct mm_frontier tree;
	uint64_t size;
	char next[MM_DOC_ID_MAX + 1];
	size_t page;
};
/* What the database says of a station's ledger, one at a time: a list is not
 * read within another. */
struct one {
	char id[MM_DOC_ID_MAX + 1], key[17], root[65];
	uint64_t size;
	bool found;
};

/* A piece that was sent again may have been cut elsewhere: what is there
 * already is passed over.  A gap is not, and the root is another then. */
static enum mm_err
one_part(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct copy *c = ctx;
	const struct mm_doc *d = row;
	MM_OWN(json_free)
	json_t *o = json_loadb(
	    (const char *)d->body.p, d->body.n, JSON_ALLOW_NUL, NULL);
	uint64_t at = strtoull(strrchr(d->id, '/') + 1, NULL, 10);
	const json_t *item;
	size_t i;

	(void)why;
	c->page++;
	snprintf(c->next, sizeof(c->next), "%s", next);
	json_array_foreach(o, i, item)
	{
		const json_t *entry = json_object_get(item, "entry");
		struct mm_hash leaf = mm_tree_leaf((struct mm_bytes){
		    (const uint8_t *)json_string_value(entry),
		    json_string_length(entry) });

		if (at++ == c->tree.size && c->tree.size < c->size)
			mm_frontier_append(&c->tree, &leaf);
	}
	return MM_OK;
}

static enum mm_err
read_copy(struct mm_store_reader *db, const char *prefix, struct copy *c,
    struct mm_why *why)
{
	struct mm_list l = { .most = 100, .state = -1 };

	do {
		c->page = 0;
		snprintf(l.after, sizeof(l.after), "%s", c->next);
		MM_TRY(mm_list_docs(
		    db, MM_DOC_COPY, prefix, &l, one_part, c, why));
	} while (c->page == l.most && c->tree.size < c->size);
	return MM_OK;
}

static enum mm_err
one_ledger(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct one *x = ctx;
	const struct mm_doc *d = row;
	MM_OWN(json_free)
	json_t *o = json_loadb((const char *)d->body.p, d->body.n, 0, NULL);
	const char *key = json_string_value(json_object_get(o, "key"));
	const char *root = json_string_value(json_object_get(o, "root"));
	uint8_t hash[32];

	(void)next, (void)why;
	mm_sha256(mm_bytes_of(key != NULL ? key : ""), hash);
	mm_hex_text(hash, 8, x->key);
	snprintf(x->id, sizeof(x->id), "%s", d->id);
	snprintf(x->root, sizeof(x->root), "%s", root != NULL ? root : "");
	x->size = (uint64_t)json_integer_value(json_object_get(o, "size"));
	x->found = true;
	return MM_OK;
}

static enum mm_err
compare_one(struct mm_store_reader *db, const struct one *x,
    json_t *differences, struct mm_why *why)
{
	struct copy c = { .size = x->size };
	char prefix[MM_DOC_ID_MAX + 32], hex[65], record[MM_DOC_ID_MAX + 32];
	struct mm_hash is;

	snprintf(prefix, sizeof(prefix), "%.*s/%s/", (int)strcspn(x->id, "/"),
	    x->id, x->key);
	snprintf(record, sizeof(record), "copy of station %s's ledger", x->id);
	MM_TRY(read_copy(db, prefix, &c, why));
	is = mm_frontier_root(&c.tree);
	mm_hex_text(is.b, sizeof(is.b), hex);
	if (c.tree.size != c.size)
		mm_differ(differences, record, "not whole in the database");
	else if (strcmp(x->root, hex) != 0)
		mm_differ(differences, record,
		    "does not make the tree that was entered");
	return MM_OK;
}

/* see copies.h */
enum mm_err
mm_copies_compare(
    struct mm_store_reader *db, json_t *differences, struct mm_why *why)
{
	struct mm_list l = { .most = 1, .state = -1 };
	struct mm_why own = { 0 };
	struct one x;
	enum mm_err rc;

	do {
		x = (struct one){ .found = false };
		rc =
		    mm_list_docs(db, MM_DOC_SYNC, "", &l, one_ledger, &x, &own);
		if (rc == MM_OK && x.found)
			rc = compare_one(db, &x, differences, &own);
		snprintf(l.after, sizeof(l.after), "%s", x.id);
	} while (rc == MM_OK && x.found);
	return mm_differ_unread(
	    differences, "copies of stations' ledgers", rc, &own, why);
}
