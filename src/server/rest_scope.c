#include <stdio.h>
#include <string.h>

#include "server/event.h"
#include "server/rest.h"

/*
 * Credentials that are limited to products: what is outside does not exist
 * for them.  Nothing carries a batch yet, so a scope of batches sees nothing.
 */

static bool
sees(const struct mm_rest *r, const char *product)
{
	return mm_scope_sees(&r->login.scope, product, "");
}

/* As the store says it of what is not there. */
static enum mm_err
absent(const char *noun, struct mm_why *why)
{
	return MM_FAIL(why, MM_ENOTFOUND, "no such %s", noun);
}

/* see rest.h */
enum mm_err
mm_scope_check(struct mm_rest *r, struct mm_why *why)
{
	const struct mm_rest_call *c = r->req->route->data;

	if (!r->login.scope.on)
		return MM_OK;
	if (c->scope == NULL)
		return MM_FAIL(why, MM_EPOLICY, "a credential that is limited "
		    "to products may not do this");
	return c->scope(r, why);
}

/* see rest.h */
enum mm_err
mm_scope_open(struct mm_rest *r, struct mm_why *why)
{
	(void)r, (void)why;
	return MM_OK;
}

/* see rest.h */
enum mm_err
mm_scope_list(struct mm_rest *r, struct mm_why *why)
{
	(void)r, (void)why;
	return MM_OK;
}

/* ---- the product of an object, by its key; MM_ENOTFOUND ---- */

typedef enum mm_err product_fn(struct mm_store_reader *r, const char *key,
    char product[MM_NAME_MAX + 1]);

static enum mm_err
of_device(struct mm_store_reader *r, const char *key,
    char product[MM_NAME_MAX + 1])
{
	struct mm_device d;

	MM_TRY(mm_get_device(r, key, &d, NULL));
	strcpy(product, d.product);
	return MM_OK;
}

static enum mm_err
of_token(struct mm_store_reader *r, const char *key,
    char product[MM_NAME_MAX + 1])
{
	struct mm_token_row t;

	MM_TRY(mm_get_token(r, key, &t, NULL));
	strcpy(product, t.product);
	return MM_OK;
}

static enum mm_err
of_cert(struct mm_store_reader *r, const char *key,
    char product[MM_NAME_MAX + 1])
{
	struct mm_cert_row c;
	uint8_t serial[16];

	if (mm_hex_parse(key, strlen(key), serial, 16, NULL) != MM_OK)
		return MM_ENOTFOUND;
	MM_TRY(mm_get_cert(r, serial, &c, NULL));
	strcpy(product, c.product);
	return MM_OK;
}

/* ---- objects named by the path ---- */

static enum mm_err
in_path(struct mm_rest *r, product_fn *product_of, const char *noun,
    struct mm_why *why)
{
	char key[MM_DEVICE_ID_MAX + 1], product[MM_NAME_MAX + 1];
	enum mm_err rc;

	MM_TRY(mm_rest_segment(r, 0, key, sizeof(key), why));
	rc = product_of(r->reader, key, product);
	if (rc != MM_OK && rc != MM_ENOTFOUND)
		return MM_FAIL(why, rc, "the store cannot be read");
	return rc == MM_OK && sees(r, product) ? MM_OK : absent(noun, why);
}

/* see rest.h */
enum mm_err
mm_scope_product(struct mm_rest *r, struct mm_why *why)
{
	char name[MM_NAME_MAX + 1];

	MM_TRY(mm_rest_segment(r, 0, name, sizeof(name), why));
	return sees(r, name) ? MM_OK : absent("product", why);
}

/* see rest.h */
enum mm_err
mm_scope_device(struct mm_rest *r, struct mm_why *why)
{
	return in_path(r, of_device, "device", why);
}

/* see rest.h */
enum mm_err
mm_scope_token(struct mm_rest *r, struct mm_why *why)
{
	return in_path(r, of_token, "token", why);
}

/* see rest.h */
enum mm_err
mm_scope_cert(struct mm_rest *r, struct mm_why *why)
{
	return in_path(r, of_cert, "certificate", why);
}

/* ---- objects named by the body ---- */

/* device: a text or not there; what has another form is the call's to
 * refuse, before it looks anything up. */
static enum mm_err
may_make(const struct mm_rest *r, const json_t *spec, const char *device,
    struct mm_why *why)
{
	const char *product = json_string_value(
	    json_object_get(spec, "product"));
	const char *id = json_string_value(json_object_get(spec, device));
	char old[MM_NAME_MAX + 1];
	enum mm_err rc;

	if (product != NULL && !sees(r, product))
		return absent("product", why);
	if (id == NULL)
		return MM_OK;
	rc = of_device(r->reader, id, old);
	if (rc == MM_ENOTFOUND && product != NULL)
		return MM_OK;
	if (rc != MM_OK && rc != MM_ENOTFOUND)
		return MM_FAIL(why, rc, "the store cannot be read");
	return rc == MM_OK && sees(r, old) ? MM_OK : absent("device", why);
}

/* see rest.h */
enum mm_err
mm_scope_new_device(struct mm_rest *r, struct mm_why *why)
{
	return may_make(r, r->in, "id", why);
}

/* see rest.h */
enum mm_err
mm_scope_change(struct mm_rest *r, struct mm_why *why)
{
	const char *product = json_string_value(
	    json_object_get(r->in, "product"));

	MM_TRY(mm_scope_device(r, why));
	return product == NULL || sees(r, product) ? MM_OK :
	    absent("product", why);
}

/* All or none: one that may not be named ends the request. */
enum mm_err
mm_scope_new_devices(struct mm_rest *r, struct mm_why *why)
{
	const json_t *list = json_object_get(r->in, "rows"), *item;
	size_t i;

	json_array_foreach(list, i, item)
		MM_TRY(may_make(r, item, "id", why));
	return MM_OK;
}

/* see rest.h */
enum mm_err
mm_scope_new_tokens(struct mm_rest *r, struct mm_why *why)
{
	const json_t *list = json_object_get(r->in, "tokens"), *item;
	size_t i;

	if (list == NULL)
		return may_make(r, r->in, "device", why);
	json_array_foreach(list, i, item)
		MM_TRY(may_make(r, item, "device", why));
	return MM_OK;
}

/* ---- lists ---- */

/* Counts what goes through. */
struct meter {
	mm_row_fn *fn;
	void *ctx;
	unsigned left;
};

static enum mm_err
pass(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct meter *m = ctx;

	m->left--;
	return m->fn(m->ctx, row, next, why);
}

static enum mm_err
product_rows(struct mm_rest *r, const struct mm_list *l, struct meter *m,
    struct mm_why *why)
{
	const struct mm_scope *s = &r->login.scope;
	struct mm_product p;
	enum mm_err rc;

	for (unsigned i = 0; i < s->nproducts && m->left > 0; i++) {
		if (strcmp(s->product[i], l->after) <= 0 ||
		    !sees(r, s->product[i]))
			continue;
		rc = mm_get_product(r->reader, s->product[i], &p, why);
		if (rc == MM_OK)
			rc = pass(m, &p, p.name, why);
		if (rc != MM_OK && rc != MM_ENOTFOUND)
			return rc;
	}
	return MM_OK;
}

/* In a list by a time: "time-serial". */
static enum mm_err
of_listed_cert(struct mm_store_reader *r, const char *key,
    char product[MM_NAME_MAX + 1])
{
	const char *dash = strrchr(key, '-');

	return of_cert(r, dash != NULL ? dash + 1 : key, product);
}

/* Lists that can be limited, and whose a key of theirs is. */
static const struct {
	mm_list_fn *list;
	product_fn *product_of;
} limited[] = {
	{ mm_list_devices, of_device },
	{ mm_list_tokens, of_token },
	{ mm_list_certs, of_listed_cert },
};

/* Where to go on: the product of the row that the last page ended with. */
static enum mm_err
first_product(struct mm_rest *r, product_fn *product_of, const char *after,
    unsigned *at, struct mm_why *why)
{
	const struct mm_scope *s = &r->login.scope;
	char product[MM_NAME_MAX + 1];

	*at = 0;
	if (after[0] == '\0')
		return MM_OK;
	if (product_of(r->reader, after, product) != MM_OK ||
	    !sees(r, product))
		return MM_FAIL(why, MM_EINPUT, "after: not a key of this "
		    "list");
	while (strcmp(s->product[*at], product) != 0)
		++*at;
	return MM_OK;
}

static enum mm_err
rows_of_products(struct mm_rest *r, size_t which, const struct mm_list *l,
    struct meter *m, struct mm_why *why)
{
	const struct mm_scope *s = &r->login.scope;
	struct mm_list part = *l;
	unsigned i;

	if (s->nbatches > 0)
		return MM_OK;
	MM_TRY(first_product(r, limited[which].product_of, l->after, &i,
	    why));
	for (; i < s->nproducts && m->left > 0; i++) {
		part.product = s->product[i];
		part.most = m->left;
		if (l->product == NULL ||
		    strcmp(l->product, s->product[i]) == 0)
			MM_TRY(limited[which].list(r->reader, &part, pass, m,
			    why));
		part.after[0] = '\0';
	}
	return MM_OK;
}

/* see rest.h */
enum mm_err
mm_scope_rows(struct mm_rest *r, mm_list_fn *list, const struct mm_list *l,
    mm_row_fn *fn, void *ctx, struct mm_why *why)
{
	struct meter m = { fn, ctx, l->most };

	if (list == mm_list_products)
		return product_rows(r, l, &m, why);
	for (size_t i = 0; i < sizeof(limited) / sizeof(limited[0]); i++)
		if (limited[i].list == list)
			return rows_of_products(r, i, l, &m, why);
	return MM_FAIL(why, MM_EPOLICY, "this list cannot be limited to "
	    "products");
}

/* ---- entries ---- */

/* see rest.h */
enum mm_err
mm_scope_entry_product(struct mm_store_reader *reader,
    const struct mm_entry_view *v, char product[MM_NAME_MAX + 1])
{
	const struct {
		struct mm_bytes key;
		product_fn *product_of;
	} rows[] = {
		{ v->device, of_device }, { v->token, of_token },
		{ v->serial, of_cert },
	};
	char key[MM_DEVICE_ID_MAX + 1];

	if (v->product.n > 0)
		return mm_text_copy(product, MM_NAME_MAX + 1, v->product) ?
		    MM_OK : MM_ENOTFOUND;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].key.n > 0)
			return mm_text_copy(key, sizeof(key), rows[i].key) ?
			    rows[i].product_of(reader, key, product) :
			    MM_ENOTFOUND;
	return MM_ENOTFOUND;
}

static enum mm_err
sees_entry(struct mm_rest *r, uint64_t index, bool *yes, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf json = MM_BUF_INIT(MM_ENTRY_MAX);
	struct mm_event e = { .index = index, .reader = r->reader };
	enum mm_err rc = mm_get_entry(r->reader, index, &json, NULL);

	*yes = false;
	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	mm_entry_look(mm_buf_view(&json), &e.v);
	return mm_event_may_see(&r->login, &e, yes, why);
}

/* see rest.h; in the words of an index that is not there */
enum mm_err
mm_scope_entry(struct mm_rest *r, struct mm_why *why)
{
	char text[24];
	int64_t index;
	bool yes;

	MM_TRY(mm_rest_segment(r, 0, text, sizeof(text), why));
	if (mm_int_parse(text, &index, NULL) != MM_OK || index < 0)
		return absent("entry", why);
	MM_TRY(sees_entry(r, (uint64_t)index, &yes, why));
	return yes ? MM_OK : MM_FAIL(why, MM_ENOTFOUND, "no entry %lld",
	    (long long)index);
}
