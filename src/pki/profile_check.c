#include <string.h>

#include "pki/template.h"

#define WRONG(p, why, key, item) MM_FAIL(why, MM_EINPUT, \
	"profile %s: %s: \"%.64s\" is not understood", (p)->name, key, item)

/* Stand-ins: what cannot be said for the shortest can never be said. */
static const char any_device[] = "D";
static const char any_product[] = "p";

static enum mm_err
check_keys(const struct mm_profile *p, struct mm_why *why)
{
	enum mm_key_type t;

	for (size_t i = 0; i < p->keys.n; i++)
		if (mm_key_type_parse(p->keys.item[i], &t, NULL) != MM_OK)
			return WRONG(p, why, "keys", p->keys.item[i]);
	if (p->keys.n == 0)
		return MM_FAIL(why, MM_EINPUT, "profile %s: keys: want one",
		    p->name);
	return MM_OK;
}

/* C is ISO 3166 and PrintableString, DC is IA5String: RFC 5280 A.1 */
static bool
attribute_ok(const char *item)
{
	char oid[MM_OID_TEXT_MAX], text[MM_CONF_ITEM_MAX];
	struct mm_attribute_row row;
	const char *value;

	if (!mm_template_attribute(item, &row, oid, &value) ||
	    !mm_template_fill(value, any_device, any_product, text,
		sizeof(text)) || strlen(text) > row.most * 4)
		return false;
	if (strcmp(row.name, "C") == 0)
		return strlen(text) == 2 && text[0] >= 'A' && text[0] <= 'Z' &&
		    text[1] >= 'A' && text[1] <= 'Z';
	if (row.tag == MM_DER_IA5)
		return mm_der_value_ok(MM_DER_IA5, mm_bytes_of(text));
	return mm_utf8_valid(mm_bytes_of(text));
}

static enum mm_err
check_subject(const struct mm_profile *p, struct mm_why *why)
{
	for (size_t i = 0; i < p->subject.n; i++)
		if (!attribute_ok(p->subject.item[i]))
			return WRONG(p, why, "subject", p->subject.item[i]);
	if (p->subject.n == 0)
		return MM_FAIL(why, MM_EINPUT, "profile %s: subject: want one",
		    p->name);
	return MM_OK;
}

static enum mm_err
check_san(const struct mm_profile *p, struct mm_why *why)
{
	char text[MM_CONF_ITEM_MAX];

	for (size_t i = 0; i < p->san.n; i++) {
		const char *item = p->san.item[i];
		const struct mm_san_row *row = mm_template_san(item);

		if (row == NULL || !mm_template_fill(item + 4, any_device,
		    any_product, text, sizeof(text)) || !row->ok(text))
			return WRONG(p, why, "san", item);
	}
	if (p->hw_type_oid[0] != '\0' && !mm_der_oid_valid(p->hw_type_oid))
		return WRONG(p, why, "hw_type_oid", p->hw_type_oid);
	return MM_OK;
}

/* RFC 6960 4.2.2.2: it would answer for all of its issuer's certificates. */
static bool
speaks_for_the_issuer(const char *eku)
{
	return strcmp(eku, "1.3.6.1.5.5.7.3.9") == 0;
}

static enum mm_err
check_usages(const struct mm_profile *p, struct mm_why *why)
{
	unsigned bit;

	for (size_t i = 0; i < p->key_usage.n; i++) {
		const char *item = p->key_usage.item[i];

		/* a device never is a CA: bits 5 and 6 */
		if (!mm_template_usage(item, &bit) || bit == 5 || bit == 6)
			return WRONG(p, why, "key_usage", item);
	}
	if (p->key_usage.n == 0)
		return MM_FAIL(why, MM_EINPUT,
		    "profile %s: key_usage: want one", p->name);
	for (size_t i = 0; i < p->eku.n; i++)
		if (mm_template_eku(p->eku.item[i]) == NULL ||
		    speaks_for_the_issuer(p->eku.item[i]))
			return WRONG(p, why, "eku", p->eku.item[i]);
	return MM_OK;
}

/* Those that have a key of their own must not come in raw. */
static bool
is_ours(const char *oid)
{
	static const char *const ours[] = { "2.5.29.14", "2.5.29.15",
		"2.5.29.17", "2.5.29.19", "2.5.29.31", "2.5.29.32",
		"2.5.29.35", "2.5.29.37", "1.3.6.1.5.5.7.1.1" };

	for (size_t i = 0; i < MM_COUNT(ours); i++)
		if (strcmp(ours[i], oid) == 0)
			return true;
	return false;
}

static bool
raw_seen(const struct mm_profile *p, size_t upto, const char *oid)
{
	struct mm_raw_extension other;

	for (size_t i = 0; i < upto; i++)
		if (mm_template_raw(p->extensions.item[i], &other) &&
		    strcmp(other.oid, oid) == 0)
			return true;
	return false;
}

static enum mm_err
check_raw(const struct mm_profile *p, struct mm_why *why)
{
	for (size_t i = 0; i < p->extensions.n; i++) {
		struct mm_raw_extension raw;
		struct mm_bytes body, whole;
		struct mm_rd r;
		uint8_t tag;

		if (!mm_template_raw(p->extensions.item[i], &raw) ||
		    is_ours(raw.oid) || raw_seen(p, i, raw.oid))
			return WRONG(p, why, "extensions",
			    p->extensions.item[i]);
		r = mm_rd_over((struct mm_bytes){ raw.value, raw.n });
		if (!mm_der_any(&r, &tag, &body, &whole) || !mm_rd_end(&r))
			return MM_FAIL(why, MM_EINPUT, "profile %s: "
			    "extensions: %s is not DER", p->name, raw.oid);
	}
	return MM_OK;
}

static enum mm_err
check_oids(const struct mm_profile *p, struct mm_why *why)
{
	for (size_t i = 0; i < p->policies.n; i++)
		if (!mm_der_oid_valid(p->policies.item[i]))
			return WRONG(p, why, "policies", p->policies.item[i]);
	for (size_t i = 0; i < p->csrattrs.n; i++)
		if (!mm_der_oid_valid(p->csrattrs.item[i]))
			return WRONG(p, why, "csrattrs", p->csrattrs.item[i]);
	return MM_OK;
}

/* An item that stands twice in a list of these would be said twice in DER. */
static enum mm_err
check_twice(const struct mm_profile *p, struct mm_why *why)
{
	const struct mm_conf_list *const lists[] = { &p->keys, &p->san,
		&p->key_usage, &p->eku, &p->policies, &p->csrattrs };

	for (size_t k = 0; k < MM_COUNT(lists); k++)
		for (size_t i = 0; i < lists[k]->n; i++)
			for (size_t j = 0; j < i; j++)
				if (strcmp(lists[k]->item[i],
				    lists[k]->item[j]) == 0)
					return MM_FAIL(why, MM_EINPUT,
					    "profile %s: \"%.64s\" stands "
					    "twice in a list", p->name,
					    lists[k]->item[i]);
	return MM_OK;
}

/* see profile.h */
enum mm_err
mm_profile_check(const struct mm_profile *p, struct mm_why *why)
{
	static enum mm_err (*const checks[])(const struct mm_profile *,
	    struct mm_why *) = { check_keys, check_subject, check_san,
		check_usages, check_raw, check_oids, check_twice };

	for (size_t i = 0; i < MM_COUNT(checks); i++)
		MM_TRY(checks[i](p, why));
	if (p->lifetime_s == 0 && p->kind == MM_PROFILE_LDEVID)
		return MM_FAIL(why, MM_EINPUT, "profile %s: lifetime 0 is for "
		    "kind = idevid only", p->name);
	return MM_OK;
}
