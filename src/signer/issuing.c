#include <string.h>

#include "signer/priv.h"

static const struct mm_ca *
named(const struct mm_signer *s, const char *name)
{
	for (size_t i = 0; i < s->nca; i++)
		if (strcmp(s->ca[i].issuer.name, name) == 0)
			return &s->ca[i];
	return NULL;
}

/* see priv.h */
void
mm_signer_link(struct mm_signer *s)
{
	for (size_t i = 0; i < s->nca; i++) {
		const struct mm_issuer_conf *next = mm_config_follower(
		    s->conf, s->ca[i].issuer.name);

		s->ca[i].next = next == NULL ? NULL : named(s, next->name);
	}
}

/* see priv.h; a station's signer has one CA, which its order brought */
const struct mm_ca *
mm_ca_issuing(const struct mm_ca *first, int64_t now_s)
{
	const struct mm_ca *found = NULL;

	for (const struct mm_ca *at = first; at != NULL; at = at->next) {
		if (at != first && now_s < at->from_s)
			break;
		if (at->key != NULL)
			found = at;
	}
	return found;
}
