#include <string.h>

#include "base/time.h"
#include "server/rest.h"

/* Products. */

#define M(struct_, name, type, must, field)                         \
	{ name, type, must, offsetof(struct struct_, field),        \
	    sizeof(((struct struct_ *)0)->field) }
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- products ---- */

static const struct mm_member product_members[] = {
	M(mm_product, "name", MM_M_NAME, false, name),
	M(mm_product, "description", MM_M_TEXT, false, description),
	M(mm_product, "ldevid_profile", MM_M_NAME, false, ldevid_profile),
	M(mm_product, "idevid_profile", MM_M_NAME, false, idevid_profile),
	M(mm_product, "hw_type_oid", MM_M_TEXT, false, hw_type_oid),
};

static void
put_product(struct mm_json *j, const void *row)
{
	const struct mm_product *p = row;

	mm_json_str(j, "name", p->name);
	mm_json_str(j, "description", p->description);
	mm_json_str(j, "ldevid_profile", p->ldevid_profile);
	mm_json_str(j, "idevid_profile", p->idevid_profile);
	mm_json_str(j, "hw_type_oid", p->hw_type_oid);
	mm_rest_put_time(j, "created", p->created_at);
}

static enum mm_err
answer_product(struct mm_rest *r, const char *name, struct mm_why *why)
{
	struct mm_product p;

	MM_TRY(mm_get_product(r->reader, name, &p, why));
	mm_json_open(&r->j, '{');
	put_product(&r->j, &p);
	mm_json_close(&r->j, '}');
	mm_rest_etag(r, p.version);
	return MM_OK;
}

enum mm_err
mm_rest_products(struct mm_rest *r, struct mm_why *why)
{
	struct mm_page p;

	MM_TRY(mm_page_read(r, " ", &p, why));
	return mm_page_put(r, &p, mm_list_products, put_product, why);
}

enum mm_err
mm_rest_product(struct mm_rest *r, struct mm_why *why)
{
	char name[MM_NAME_MAX + 1];

	MM_TRY(mm_rest_segment(r, 0, name, sizeof(name), why));
	return answer_product(r, name, why);
}

static enum mm_err
read_product(const struct mm_rest *r, struct mm_product *p,
    struct mm_why *why)
{
	*p = (struct mm_product){ .created_at = mm_now_ms() };
	return mm_rest_members(r->in, product_members,
	    COUNT(product_members), p, why);
}

/* What is not found is then a profile, and the body's fault. */
static enum mm_err
put(struct mm_rest *r, const struct mm_product *p, bool replace,
    struct mm_why *why)
{
	enum mm_err rc =
	    mm_desk_product_put(r->desk, &r->login, p, replace, why);

	return rc == MM_ENOTFOUND ? MM_EINPUT : rc;
}

enum mm_err
mm_rest_product_create(struct mm_rest *r, struct mm_why *why)
{
	struct mm_product p;

	MM_TRY(read_product(r, &p, why));
	if (p.name[0] == '\0')
		return MM_FAIL(why, MM_EINPUT, "name: missing");
	MM_TRY(put(r, &p, false, why));
	r->status = 201;
	return answer_product(r, p.name, why);
}

enum mm_err
mm_rest_product_replace(struct mm_rest *r, struct mm_why *why)
{
	char name[MM_NAME_MAX + 1];
	const uint64_t *if_version;
	struct mm_product p, old;
	uint64_t version;

	MM_TRY(mm_rest_segment(r, 0, name, sizeof(name), why));
	MM_TRY(read_product(r, &p, why));
	if (p.name[0] != '\0' && strcmp(p.name, name) != 0)
		return MM_FAIL(why, MM_EINPUT,
		    "name: a product is not renamed");
	MM_TRY(mm_get_product(r->reader, name, &old, why));
	memcpy(p.name, name, sizeof(name));
	p.created_at = old.created_at;
	MM_TRY(mm_rest_if_match(r, &version, &if_version, why));
	p.version = if_version == NULL ? 0 :
	    version != 0 ? version : UINT64_MAX;
	MM_TRY(put(r, &p, true, why));
	return answer_product(r, name, why);
}
