#include <arpa/inet.h>
#include <string.h>

#include "base/log.h"
#include "base/time.h"
#include "server/attempts.h"
#include "server/tls.h"

/* Handshakes that failed for a wrong token: counted, and told once an hour. */

/* The id's slot, or one whose hour is over; NULL: none.  A look at all of
 * them costs little beside a handshake. */
static struct mm_tls_failures *
failures_of(struct mm_tls *t, const uint8_t id[MM_TOKEN_ID_N], int64_t hour)
{
	struct mm_tls_failures *old = NULL;

	for (size_t i = 0; i < MM_TLS_FAILURES; i++) {
		struct mm_tls_failures *f = &t->failures[i];

		if (f->hour != 0 && memcmp(f->id, id, MM_TOKEN_ID_N) == 0)
			return f;
		if (old == NULL && f->hour != hour)
			old = f;
	}
	if (old != NULL) {
		*old = (struct mm_tls_failures){ 0 };
		memcpy(old->id, id, MM_TOKEN_ID_N);
	}
	return old;
}

/*
 * One line an id and hour: how many failures it stands for, else 0.  An id
 * keeps its slot for its hour, so that made-up ids give MM_TLS_FAILURES lines
 * an hour at most.
 */
static int64_t
line_due(struct mm_tls *t, const uint8_t id[MM_TOKEN_ID_N])
{
	int64_t hour = mm_now_s() / 3600, due = 0;
	struct mm_tls_failures *f;

	pthread_mutex_lock(&t->lock);
	f = failures_of(t, id, hour);
	if (f != NULL)
		f->count++;
	if (f != NULL && f->hour != hour) {
		due = f->count;
		f->count = 0;
		f->hour = hour;
	}
	pthread_mutex_unlock(&t->lock);
	return due;
}

/* see priv.h; the alert has been sent: counted and told, and true, so that the
 * source is slowed if it goes on; never refused */
bool
mm_tls_failed(void *ctx, SSL *ssl, const struct in6_addr *peer)
{
	struct mm_server *s = ctx;
	const struct mm_conn *c = mm_hello_conn(ssl);
	char id[MM_TOKEN_ID_TEXT], from[INET6_ADDRSTRLEN];
	int64_t count;

	if (c == NULL || !c->token || !c->psk_known)
		return false;
	mm_core_count_refusal(s->core, MM_R_CREDENTIAL);
	mm_token_id_text(c->id, id);
	mm_attempts_note(s->attempts, &(struct mm_attempt){
	    .door = MM_DOOR_HANDSHAKE, .reason = MM_R_CREDENTIAL, .token = id,
	    .peer = peer, .text = "the handshake failed: not the token's key"
	    });
	count = line_due(s->tls, c->id);
	if (count == 0)
		return true;
	mm_answer_peer(peer, from);
	MM_LOG(MM_LOG_WARN, "handshake-refused", MM_S("token", id),
	    MM_I("count", count), MM_S("peer", from));
	return true;
}
