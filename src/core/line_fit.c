#include "core/production_priv.h"
#include "pki/der.h"
#include "work/adopt.h"

/*
 * Whether a line CA is good for all that a batch's certificates are used for:
 * its own certificate names purposes (signer/confine.c), and below one that
 * does not name theirs no verifier takes them.  A batch keeps its profiles,
 * and the configuration goes on.
 */

/* What the signer would have it be good for: the profiles of those names as
 * they are now.  false: one is gone, which the signer refuses by itself. */
static bool
would_be(const struct mm_config *config, const struct mm_work_order *o,
    struct mm_conf_list *out)
{
	out->n = 0;
	for (size_t i = 0; i < o->profiles_n; i++) {
		const struct mm_profile *p = mm_config_profile(config,
		    o->profiles[i].name);

		if (p == NULL || !mm_purposes_add(out, p))
			return false;
	}
	return mm_conf_list_add(out, "1.3.6.1.5.5.7.3.2"); /* clientAuth */
}

/* false: it is none, which is refused where it is looked up. */
static bool
are_of(struct mm_bytes chain, struct mm_conf_list *out)
{
	struct mm_rd r = mm_rd_over(chain);
	struct mm_bytes der = mm_der_take_whole(&r, MM_DER_SEQ);
	struct mm_cert c;

	return !r.bad && mm_cert_walk(der, &c, NULL) == MM_OK &&
	    mm_purposes_of(&c, out);
}

static enum mm_err
fits(const struct mm_conf_list *purposes, struct mm_bytes profiles,
    struct mm_why *why)
{
	MM_OWN(mm_profiles_done) struct mm_profile_set set = { .n = 0 };

	MM_TRY(mm_profiles_read(profiles, "the batch's profiles", &set, why));
	for (size_t i = 0; i < set.n; i++) {
		const struct mm_profile *p = &set.profile[i];
		const char *lacks = mm_purposes_lack(purposes, p);

		if (lacks != NULL)
			return MM_FAIL(why, MM_ECONFLICT, "line: profile "
			    "%s@%lld of the batch has %.64s, and the line "
			    "CA's certificate has it not: make another batch",
			    p->name, (long long)p->version, lacks);
	}
	return MM_OK;
}

/* see production_priv.h; one that was made is as it was made */
enum mm_err
mm_line_fits(struct mm_desk *d, const struct mm_work_order *o,
    const struct mm_line_ca *line, struct mm_bytes profiles,
    struct mm_why *why)
{
	const struct mm_chain *made;
	struct mm_conf_list purposes;
	char name[MM_NAME_MAX + 1];
	struct mm_bytes chain = line->chain;

	if (line->recipient.n > 0) {
		mm_work_line_name(o->station, o->batch, name);
		made = mm_issuer_chain(d->c, name);
		if (made != NULL && made->n > 0)
			chain = made->der[0];
	}
	if (chain.n > 0 ? !are_of(chain, &purposes) :
	    !would_be(d->c->config, o, &purposes))
		return MM_OK;
	return fits(&purposes, profiles, why);
}
