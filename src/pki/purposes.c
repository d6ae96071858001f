#include "base/own.h"
#include "pki/profile.h"
#include "pki/template.h"

/* What certificates are used for, between a profile and the CA above. */

#define OID_EKU     "2.5.29.37"
#define OID_ANY     "2.5.29.37.0"
#define SERVER_AUTH "1.3.6.1.5.5.7.3.1"

static bool
lets(const struct mm_conf_list *l, const char *oid)
{
	return mm_conf_list_has(l, oid) || mm_conf_list_has(l, OID_ANY);
}

/* A profile without purposes is for clients and servers. */
static size_t
count(const struct mm_profile *p)
{
	return p->eku.n > 0 ? p->eku.n : 2;
}

static const char *
name_at(const struct mm_profile *p, size_t i)
{
	static const char *const preset[] = { "clientAuth", "serverAuth" };

	return p->eku.n > 0 ? p->eku.item[i] : preset[i];
}

/* see profile.h */
bool
mm_purposes_add(struct mm_conf_list *l, const struct mm_profile *p)
{
	for (size_t i = 0; i < count(p); i++) {
		const char *oid = mm_template_eku(name_at(p, i));

		if (oid == NULL || !mm_conf_list_add(l, oid))
			return false;
	}
	return true;
}

/* see profile.h */
bool
mm_purposes_of(const struct mm_cert *ca, struct mm_conf_list *out)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(MM_CONF_ITEM_MAX);
	struct mm_bytes value;
	struct mm_rd r, oids;

	out->n = 0;
	if (!mm_cert_extension(ca, OID_EKU, NULL, &value))
		return mm_conf_list_add(out, OID_ANY);
	r = mm_rd_over(value);
	oids = mm_rd_over(mm_der_take(&r, MM_DER_SEQ));
	while (!r.bad && !oids.bad && oids.left > 0) {
		const char *oid;

		mm_buf_reset(&text);
		mm_oid_text(mm_der_take(&oids, MM_DER_OID), &text);
		oid = mm_buf_cstr(&text);
		if (oids.bad || oid == NULL || !mm_conf_list_add(out, oid))
			return false;
	}
	return !r.bad && !oids.bad;
}

/* see profile.h */
const char *
mm_purposes_lack(const struct mm_conf_list *l, const struct mm_profile *p)
{
	for (size_t i = 0; i < count(p); i++) {
		const char *oid = mm_template_eku(name_at(p, i));

		if (oid == NULL || !lets(l, oid))
			return name_at(p, i);
	}
	return NULL;
}

/* see profile.h */
bool
mm_purposes_serve(const struct mm_conf_list *l)
{
	return lets(l, SERVER_AUTH);
}
