#include <string.h>

#include <openssl/rand.h>

#include "base/faults.h"
#include "base/time.h"
#include "pki/token.h"
#include "signer/priv.h"

/* A master for every version there could be: an id of a version that never
 * was gets a key like any other (remote-init, "every well-formed id"). */
static struct mm_bytes
master(const struct mm_signer *s, const uint8_t id[MM_TOKEN_ID_N])
{
	const struct mm_secret *m = s->master[id[0]];

	if (m == NULL)
		mm_slow_at("decoy");
	return mm_secret_view(m != NULL ? m : s->decoy);
}

/* see priv.h; the only answer that ever shows a secret. */
enum mm_err
mm_on_token_mint(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	const struct mm_token_mint_req *q = &i->req.token_mint;
	struct mm_token_mint_rep *p = &i->rep.token_mint;

	if (!mm_device_id_valid(q->device))
		return MM_FAIL(why, MM_EINPUT, "token: not a device id");
	MM_TRY(mm_record_spend_token(w->s->record, mm_now_s(), why));
	p->id[0] = w->s->version;
	if (RAND_bytes(p->id + 1, sizeof(p->id) - 1) != 1)
		return MM_FAIL(why, MM_ECRYPTO, "no random bytes");
	mm_token_derive(master(w->s, p->id), p->id, p->secret);
	memcpy(p->anchor, w->s->anchor, sizeof(p->anchor));
	i->line = (struct mm_journal_line){ .kind = MM_J_TOKEN };
	mm_token_id_text(p->id, i->line.token);
	memcpy(i->line.device, q->device, sizeof(i->line.device));
	i->journal = true;
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_on_token_psk(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	const struct mm_token_psk_req *q = &i->req.token_psk;
	uint8_t secret[MM_TOKEN_SECRET_N];

	if (q->use > MM_TOKEN_TLS12)
		return MM_FAIL(why, MM_EINPUT, "token: no such use");
	mm_token_derive(master(w->s, q->id), q->id, secret);
	mm_token_psk(q->id, secret, (enum mm_token_use)q->use,
	    i->rep.token_psk.psk);
	mm_wipe(secret, sizeof(secret));
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_on_token_check(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	const struct mm_token_check_req *q = &i->req.token_check;
	uint8_t secret[MM_TOKEN_SECRET_N];

	(void)why;
	mm_token_derive(master(w->s, q->id), q->id, secret);
	i->rep.token_check.yes = mm_bytes_eq_ct(
	    (struct mm_bytes){ secret, sizeof(secret) },
	    (struct mm_bytes){ q->secret, sizeof(q->secret) });
	mm_wipe(secret, sizeof(secret));
	return MM_OK;
}
