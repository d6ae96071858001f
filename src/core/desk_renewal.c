#include <string.h>

#include "core/checks.h"
#include "core/priv.h"
#include "pki/key.h"

/* When a certificate is to be renewed: its record, its profile, window.h. */

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

	MM_TRY(mm_desk_judge(d, a, &facts, reason, why));
	find(&facts, out);
	return MM_OK;
}
