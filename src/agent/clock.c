#include <stdio.h>
#include <string.h>

#include "agent/priv.h"

/*
 * What time it is, for a device whose clock may be wrong, or which has none.
 * Three have a say: the system's clock, the Date of a server that has proved
 * itself, and what is signed: our own certificate was made not before its
 * first second, and a server's chain is valid between two.  A Date is believed
 * within the chain of who says it.  What was told by a token's channel, where
 * there is no chain, or was noted before, may be nonsense all the same (a
 * server whose clock ran ahead for an hour): where the server's certificate
 * fails by it, it is dropped, and the certificate is looked at anew.
 */
enum { SKEW_MAX_S = 300 };

/* see priv.h */
int64_t
mm_agent_now_s(const struct mm_agent *a)
{
	int64_t now = 0;

	(void)a->time->now_s(a->time->ctx, &now);
	return now + a->skew_s;
}

/* ---- what is told ---- */

static bool
times(const struct mm_agent *a, int64_t *from_s, int64_t *until_s)
{
	return a->link->times != NULL &&
	    a->link->times(a->link->ctx, from_s, until_s);
}

/* see priv.h */
bool
mm_agent_believes(const struct mm_agent *a, int64_t date_s)
{
	int64_t from, until;

	return date_s != 0 && (!times(a, &from, &until) ||
	    (date_s > from - SKEW_MAX_S && date_s < until + SKEW_MAX_S));
}

/* see priv.h; who agrees with the system's clock says that it is right */
void
mm_agent_learn_time(struct mm_agent *a, int64_t date_s)
{
	int64_t now = 0;
	bool known = a->time->now_s(a->time->ctx, &now);
	int64_t skew = date_s - now;

	if (a->clock == MM_CLOCK_SYSTEM || !mm_agent_believes(a, date_s))
		return;
	a->skew_s = known && a->clock == MM_CLOCK_AUTO && skew > -SKEW_MAX_S &&
	    skew < SKEW_MAX_S ? 0 : skew;
}

/* see priv.h */
int64_t
mm_agent_last_told(struct mm_agent *a, unsigned slot)
{
	char text[24];
	size_t n = 0;
	int64_t at = 0;

	if (a->nv->get(a->nv->ctx, slot, MMD_NV_TIME, (uint8_t *)text,
	    sizeof(text), &n) != MMD_OK)
		return 0;
	for (size_t i = 0; i < n && i < 12 && text[i] >= '0' &&
	    text[i] <= '9'; i++)
		at = at * 10 + (text[i] - '0');
	return at;
}

/* see priv.h */
enum mm_err
mm_agent_note_time(struct mm_agent *a, unsigned slot, struct mm_why *why)
{
	char now[24];

	snprintf(now, sizeof(now), "%lld\n", (long long)mm_agent_now_s(a));
	return mm_agent_fail(a->nv->put(a->nv->ctx, slot, MMD_NV_TIME,
	    mm_to_mmd(mm_bytes_of(now))), "noting the time", why);
}

/* ---- connections ---- */

/*
 * Time does not run backwards: a device that starts in 1970 goes on from the
 * last time it was told, and one told to believe only the server always does.
 */
static void
go_on(struct mm_agent *a, unsigned slot)
{
	int64_t told = mm_agent_last_told(a, slot), now = mm_agent_now_s(a);

	if (told > now || (a->clock == MM_CLOCK_SERVER && a->skew_s == 0 &&
	    told != 0))
		a->skew_s += told - now;
}

/*
 * The server's chain is not valid at the time that was told: another one at
 * which it is, and which nothing that is signed speaks against.  The system's
 * clock is one if it is past our own certificate's first second (since_s);
 * else nobody knows but what is signed.
 */
static bool
doubt(struct mm_agent *a, int64_t since_s, int64_t *at_s)
{
	int64_t from, until, now = 0;

	(void)a->time->now_s(a->time->ctx, &now);
	if (a->skew_s == 0 || !times(a, &from, &until) ||
	    (*at_s >= from && *at_s <= until))
		return false;
	if (a->clock == MM_CLOCK_AUTO && now >= since_s)
		*at_s = now;
	else
		*at_s = from > since_s ? from : since_s;
	if (since_s == 0 && a->clock != MM_CLOCK_AUTO)
		return false;
	if (*at_s < from || *at_s > until)
		return false;
	a->skew_s = *at_s - now;
	return true;
}

/* see priv.h */
enum mm_err
mm_agent_open(struct mm_agent *a, const struct mmd_tls_want *what,
    int64_t since_s, bool *doubted, struct mm_why *why)
{
	struct mmd_tls_want want = *what;
	struct mm_why first = { 0 };
	enum mm_err err;

	*doubted = false;
	want.at_s = a->clock == MM_CLOCK_SYSTEM ? 0 : mm_agent_now_s(a);
	err = a->link->open(a->link->ctx, &want, &first);
	if (err == MM_OK)
		return err;
	if (err != MM_EPOLICY || a->clock == MM_CLOCK_SYSTEM ||
	    !doubt(a, since_s, &want.at_s))
		return MM_FAIL(why, err, "%s", first.text);
	*doubted = true;
	return a->link->open(a->link->ctx, &want, why);
}

/* see priv.h; what was noted and is nonsense is noted no more */
enum mm_err
mm_agent_open_mutual(struct mm_agent *a, unsigned slot,
    const struct mm_agent_identity *id, struct mm_why *why)
{
	const struct mmd_tls_want want = {
		.mode = MMD_TLS_MUTUAL,
		.version = a->tls_version,
		.host = a->host,
		.anchor = mm_to_mmd(mm_buf_view(&id->anchor)),
		.cert = mm_to_mmd(mm_buf_view(&id->cert)),
		.chain = mm_to_mmd(mm_buf_view(&id->chain)),
		.slot = slot,
	};
	struct mmd_cert own;
	bool doubted;

	MM_TRY(mm_agent_fail(mmd_cert_parse(want.cert, &own),
	    "own certificate", why));
	if (a->clock != MM_CLOCK_SYSTEM)
		go_on(a, slot);
	MM_TRY(mm_agent_open(a, &want, own.not_before_s, &doubted, why));
	if (doubted) /* a full disk has it doubted again */
		(void)!mm_agent_note_time(a, slot, NULL);
	return MM_OK;
}
