#ifndef MM_PKI_LINT_H
#define MM_PKI_LINT_H

#include "pki/priv.h"

/* Lint's own files only: rules, and what they look at. */

/* Those of every certificate, and a profile's further ones. */
#define MM_LINT_EXTENSIONS (MM_CONF_LIST_MAX + 16)

struct mm_lint {
	struct mm_cert c;
	struct mm_extension ext[MM_LINT_EXTENSIONS]; /* c's, walked once */
	size_t next;
	struct mm_bytes alg;
	const struct mm_profile *p;
	const struct mm_issuer *i;
	const struct mm_cert_fields *f;
};

struct mm_lint_rule {
	const char *text; /* with the clause */
	bool (*holds)(const struct mm_lint *l);
};

/* lint_ext.c */
extern const struct mm_lint_rule mm_lint_ext_rules[];
extern const size_t mm_lint_ext_nrules;
/* lint_names.c */
extern const struct mm_lint_rule mm_lint_name_rules[];
extern const size_t mm_lint_name_nrules;
/* lint_within.c; RFC 5280 4.2.1.10 */
bool mm_lint_within_constraints(const struct mm_lint *l);

/* Whether value is what the template says of this device and product. */
bool mm_lint_matches(const struct mm_lint *l, const char *template,
    struct mm_bytes value);
/* An extension of the certificate; NULL: it has none of that OID. */
const struct mm_extension *mm_lint_extension(const struct mm_lint *l,
    const char *oid);
/* The extension as it must be: present, with this criticality. */
bool mm_lint_value(const struct mm_lint *l, const char *oid, bool critical,
    struct mm_bytes *value);

/* Of what others wrote: the attribute is what the item says, in whatever type
 * of string. */
typedef bool mm_lint_says_fn(const struct mm_lint *l, const char *item,
    const struct mm_attribute *a);
mm_lint_says_fn mm_lint_attribute_says;
/* The certificate's subject has the profile's attributes, as that function
 * compares them: all, in their order, and no other. */
bool mm_lint_subject(const struct mm_lint *l, mm_lint_says_fn *says);
/* lint_ext.c: no bit of the KeyUsage is one that the profile has not for such
 * a key. */
bool mm_lint_usages_known(const struct mm_lint *l, struct mm_bytes value);
/* lint_ext.c: the extension is one of the profile's further ones. */
bool mm_lint_raw_known(const struct mm_lint *l, const struct mm_extension *e);
/* The next GeneralName is one of the profile's. */
bool mm_lint_alternative_known(const struct mm_lint *l, struct mm_rd *r);
/* lint_ext.c: a purpose's OID. */
const char *mm_lint_purpose(const char *name);

#endif
