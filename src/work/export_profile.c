/* Whether a certificate is one that its order lets be made. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "pki/cert.h"
#include "pki/der.h"
#include "work/export.h"

/* The CA as the station's signer makes it of the order (signer/duty_load.c):
 * its certificates say where its lists are. */
static enum mm_err
issuer_of(const struct mm_export_made *m, struct mm_issuer *out,
    struct mm_why *why)
{
	struct mm_issuer_conf named = { .crl_shards = 1, .ocsp = true };
	const struct mm_work_order *o = m->order;
	struct mm_rd r = mm_rd_over(o->ca_chain);
	const char *own = o->ca_name[0] != '\0' ? o->ca_name : o->batch;

	snprintf(named.name, sizeof(named.name), "%s",
	    m->by != NULL ? m->by->name : own);
	return mm_issuer_make(out, &named, o->ca_url, m->by != NULL
	    ? m->by->der : mm_der_take_whole(&r, MM_DER_SEQ), why);
}

/* Backdated as the profile says, so that it may begin that much before the
 * order; whole seconds. */
static bool
begins_in_window(const struct mm_work_order *o, const struct mm_profile *p,
    const struct mm_cert *c)
{
	return c->not_before_s >= o->not_before_ms / 1000 - p->backdate_s &&
	    c->not_before_s < o->until_ms / 1000 + 1;
}

/* see export.h */
const char *
mm_export_fault_of_made(const struct mm_export_made *m,
    const struct mm_cert *c, struct mm_why *room)
{
	struct mm_cert_fields f = { .not_before_s = c->not_before_s,
		.not_after_s = c->not_after_s,
		.device = m->device,
		.product = m->order->product,
		.spki = c->spki };
	struct mm_issuer ca;

	*room = (struct mm_why){ 0 };
	if (c->serial.n != sizeof(f.serial) ||
	    issuer_of(m, &ca, NULL) != MM_OK)
		return "its certificate is of no order's CA";
	memcpy(f.serial, c->serial.p, sizeof(f.serial));
	if (!begins_in_window(m->order, m->profile, c))
		return "its certificate begins outside the order's window";
	return mm_lint_tbs(c->tbs, m->profile, &ca, &f, room) == MM_OK
	    ? NULL : room->text;
}

/* see export.h */
const char *
mm_export_fault_of_profile(const struct mm_work_order *o,
    const struct mm_profile *p, const char *device, const struct mm_cert *c,
    struct mm_why *room)
{
	const struct mm_export_made made = { o, NULL, p, device };

	return mm_export_fault_of_made(&made, c, room);
}

/* see export.h */
const struct mm_profile *
mm_export_profile(const struct mm_profile_set *set, const char *label)
{
	char name[MM_NAME_MAX + 24];

	for (size_t i = 0; set != NULL && label != NULL && i < set->n; i++) {
		snprintf(name, sizeof(name), "%s@%" PRId64,
		    set->profile[i].name, set->profile[i].version);
		if (strcmp(name, label) == 0)
			return &set->profile[i];
	}
	return NULL;
}
