#include <string.h>

#include "pki/cert.h"
#include "station/line.h"

/*
 * A unit that is scrapped gives its place in the share back where this
 * station's signer signed for it.  What has proved its identity is an
 * operator's to scrap, at the centre: its certificate may be in use.
 */

/* MM_ENOTFOUND: nothing was signed for it. */
static enum mm_err
has_proved(struct mm_line *l, const struct mm_unit *u, bool *yes,
    struct mm_why *why)
{
	struct mm_bytes der;
	struct mm_cert c;
	char serial[2 * MM_SERIAL_N + 1];

	MM_TRY(mm_own_find(l->own, u->batch, u->serial, u->spki, &der, why));
	MM_TRY(mm_cert_walk(der, &c, why));
	if (c.serial.n != MM_SERIAL_N)
		return MM_FAIL(why, MM_EBUG, "scrap: not our certificate");
	mm_hex_text(c.serial.p, c.serial.n, serial);
	*yes = mm_own_confirmed(l->own, serial);
	return MM_OK;
}

/* Of another batch than the newest order's nothing is made any more. */
static bool
is_ours(const struct mm_line *l, const struct mm_unit *u)
{
	static const uint8_t none[32];

	return u->by == MM_UNIT_BY_STATION &&
	    memcmp(u->spki, none, sizeof(none)) != 0 && l->own != NULL &&
	    strcmp(l->own->order->batch, u->batch) == 0;
}

static enum mm_err
say(enum mm_err rc, const struct mm_unit *u, const struct mm_why *own,
    struct mm_why *why)
{
	if (rc == MM_EPOLICY)
		return MM_FAIL(why, rc, "%.120s: a supervisor scraps %s over "
		    "the allowance, with a reason", own->text, u->serial);
	return MM_FAIL(why, MM_EAGAIN, "scrap: %.160s: once more", own->text);
}

/* see line.h; once more gives nothing, and is no fault */
enum mm_err
mm_line_give_back(struct mm_line *l, const struct mm_unit *u,
    struct mm_why *why)
{
	struct mm_why own = { 0 };
	bool proved = false;
	enum mm_err rc;

	if (u->by != MM_UNIT_BY_STATION)
		return MM_OK;
	rc = mm_line_own(l, &own);
	if (rc == MM_OK && !is_ours(l, u))
		return MM_OK;
	if (rc == MM_OK)
		rc = has_proved(l, u, &proved, &own);
	if (rc == MM_OK && !proved)
		rc = mm_own_scrap(l->own, u->serial, u->spki, &own);
	return rc == MM_OK || rc == MM_ENOTFOUND || rc == MM_ECONFLICT
	    ? MM_OK : say(rc, u, &own, why);
}
