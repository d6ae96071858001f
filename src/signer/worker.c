#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pki/confdoc.h"
#include "signer/far.h"

#define BODY_MAX   (MM_IPC_FRAME_MAX + 4096)
#define SECRET_MAX MM_CONFDOC_SIGNED_MAX /* more than a PKCS#8 */

static enum mm_err
make_signers(struct mm_worker *w, struct mm_why *why)
{
	struct mm_signer *s = w->s;

	MM_TRY(mm_key_templates_new(NULL, &w->templates, why));
	for (size_t i = 0; i < s->nca; i++)
		if (s->ca[i].key != NULL)
			MM_TRY(mm_ca_sign_new(&s->ca[i], &w->sign[i], why));
	if (s->orders_key != NULL)
		MM_TRY(mm_sign_new(NULL, s->orders_key, &w->sign_orders, why));
	return s->ledger_key == NULL ? MM_OK :
	    mm_sign_new(NULL, s->ledger_key, &w->sign_ledger, why);
}

/* see priv.h */
enum mm_err
mm_worker_new(struct mm_signer *s, unsigned role, int fd,
    struct mm_worker **out, struct mm_why *why)
{
	MM_OWN(mm_worker_free) struct mm_worker *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	w->s = s;
	w->role = role;
	w->fd = fd;
	mm_buf_init(&w->in, MM_IPC_FRAME_MAX);
	mm_buf_init(&w->out, MM_IPC_FRAME_MAX);
	mm_buf_init(&w->tbs, MM_CERT_MAX);
	mm_buf_init(&w->sig, 1024);
	for (size_t i = 0; i < MM_IPC_ITEMS_MAX; i++) {
		mm_buf_init(&w->item[i].body, BODY_MAX);
		mm_buf_init(&w->item[i].secret, SECRET_MAX);
	}
	MM_TRY(make_signers(w, why));
	*out = MM_MOVE(w);
	return MM_OK;
}

/* see priv.h; the link is closed with its worker. */
void
mm_worker_free(struct mm_worker **owner)
{
	struct mm_worker *w = *owner;

	if (w == NULL)
		return;
	mm_key_templates_free(&w->templates);
	for (size_t i = 0; i < MM_CAS_MAX; i++)
		mm_sign_free(&w->sign[i]);
	mm_sign_free(&w->sign_ledger);
	mm_sign_free(&w->sign_orders);
	mm_responders_free(&w->responder);
	mm_buf_wipe(&w->in);
	mm_buf_wipe(&w->out);
	mm_buf_done(&w->tbs);
	mm_buf_done(&w->sig);
	for (size_t i = 0; i < MM_IPC_ITEMS_MAX; i++) {
		mm_buf_done(&w->item[i].body);
		mm_buf_wipe(&w->item[i].secret);
	}
	if (w->fd >= 0)
		close(w->fd);
	free(w);
	*owner = NULL;
}
