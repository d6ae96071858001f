#include <string.h>

#include "base/time.h"
#include "core/checks.h"
#include "core/priv.h"
#include "pki/key.h"

/* When a certificate is to be renewed: its record, its profile, window.h. */

/* An issuer that another one has followed issues nothing any more: all of its
 * own are from before, whenever it gave them out. */
static bool
is_before(const struct mm_facts *f, const struct mm_issuer_conf *i,
    int64_t at_ms)
{
	const enum mm_issuer_state state = mm_config_state(f->config, i,
	    f->now_ms / 1000);

	return state == MM_ISSUER_FOLLOWED || state == MM_ISSUER_RETIRED ||
	    f->cert.issued_at < at_ms;
}

/* What an operator wants renewed early: core/window.h's pull. */
static void
pull(const struct mm_facts *f, struct mm_window_of *of)
{
	const struct mm_issuer_conf *i = mm_config_issuer(f->config,
	    f->cert.issuer);
	int64_t at_ms;

	if (i == NULL || i->renew_before[0] == '\0' ||
	    mm_time_parse(i->renew_before, &at_ms, NULL) != MM_OK ||
	    !is_before(f, i, at_ms))
		return;
	of->pull_from_s = at_ms / 1000;
	of->pull_until_s = of->pull_from_s + i->renew_within_s;
}

static void
find(const struct mm_facts *f, struct mm_renewal *out)
{
	const struct mm_profile *p = mm_check_profile_of(f, &f->cert);
	struct mm_window_of of = {
		.now_s = f->now_ms / 1000,
		.not_before_s = f->cert.not_before_s,
		.not_after_s = f->cert.not_after_s,
		.life_s = p != NULL ? p->lifetime_s : 0,
		.percent = p != NULL ? (unsigned)p->renew_percent : 66,
	};
	uint8_t hash[32];

	pull(f, &of);
	/* The device's place, not the certificate's: it stays. */
	mm_sha256(mm_bytes_of(f->cert.device), hash);
	memcpy(of.place, hash, sizeof(of.place));
	memcpy(out->serial, f->cert.serial, sizeof(out->serial));
	mm_window_find(&of, &out->window);
}

/* see core.h */
enum mm_err
mm_desk_renewal(struct mm_desk *d, const struct mm_authority *a,
    struct mm_renewal *out, enum mm_reason *reason, struct mm_why *why)
{
	struct mm_facts facts = { 0 };

	MM_TRY(mm_desk_judge(d, MM_JOB_ASK, a, &facts, reason, why));
	find(&facts, out);
	return MM_OK;
}
