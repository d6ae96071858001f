#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/wire.h"

/*
 * The lines' whole life.  The descriptors' numbers never change: a restarted
 * signer's are put in their place with dup2, so nobody can hold a stale one.
 */
static enum mm_err
wire_init(struct mm_wire *w, unsigned most, struct mm_why *why)
{
	w->nslot = most;
	w->slot = calloc(most, sizeof(*w->slot));
	w->free = calloc(most, sizeof(*w->free));
	if (w->slot == NULL || w->free == NULL)
		return MM_FAIL(why, MM_ENOMEM, "signer: no memory");
	for (uint32_t i = 0; i < most; i++)
		w->free[w->nfree++] = most - 1 - i;
	pthread_mutex_init(&w->lock, NULL);
	for (unsigned i = 0; i < MM_LINES; i++) {
		pthread_mutex_init(&w->line[i].lock, NULL);
		w->line[i].fd = -1;
	}
	for (unsigned i = 0; i < MM_WIRE_LINES; i++)
		w->issue[i].fd = -1;
	mm_buf_init(&w->out, MM_IPC_FRAME_MAX);
	mm_buf_init(&w->in, MM_IPC_FRAME_MAX);
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_wire_new(unsigned most, struct mm_wire **out, struct mm_why *why)
{
	MM_OWN(mm_wire_free) struct mm_wire *w = NULL;

	if (most == 0 || most >= 1U << MM_WIRE_SLOT_BITS)
		return MM_FAIL(why, MM_EINPUT, "signer: %u jobs", most);
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return MM_FAIL(why, MM_ENOMEM, "signer: no memory");
	MM_TRY(wire_init(w, most, why));
	*out = MM_MOVE(w);
	return MM_OK;
}

static void
shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* see priv.h */
void
mm_wire_free(struct mm_wire **owner)
{
	struct mm_wire *w = *owner;

	if (w == NULL)
		return;
	for (unsigned i = 0; i < MM_WIRE_LINES; i++)
		shut(&w->issue[i].fd);
	for (unsigned i = 0; i < MM_LINES; i++)
		shut(&w->line[i].fd);
	for (unsigned i = 0; i < w->npsk; i++)
		shut(&w->psk[i]);
	mm_buf_done(&w->out);
	mm_buf_done(&w->in);
	free(w->slot);
	free(w->free);
	free(w);
	*owner = NULL;
}

/* ---- installing ---- */

static const struct { uint16_t role; enum mm_line line; } lines[] = {
	{ MM_LINK_CHECK, MM_LINE_CHECK },
	{ MM_LINK_LEDGER, MM_LINE_LEDGER },
	{ MM_LINK_OPS, MM_LINE_OPS },
	{ MM_LINK_OCSP, MM_LINE_OCSP },
};

/* Where the n-th link of a role belongs; NULL: too many of it. */
static int *
place_of(struct mm_wire *w, uint16_t role, unsigned n)
{
	if (role == MM_LINK_ISSUE)
		return n < MM_WIRE_LINES ? &w->issue[n].fd : NULL;
	if (role == MM_LINK_PSK) {
		if (n >= MM_WIRE_PSK_MAX)
			return NULL;
		if (n >= w->npsk) {
			w->psk[n] = -1;
			w->npsk = n + 1;
		}
		return &w->psk[n];
	}
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (lines[i].role == role && n == 0)
			return &w->line[lines[i].line].fd;
	return NULL;
}

/* The number stays, what it stands for is exchanged. */
static void
put_fd(int *place, int take_fd)
{
	if (*place < 0) {
		*place = take_fd;
		return;
	}
	MM_INVARIANT(dup3(take_fd, *place, O_CLOEXEC) >= 0);
	close(take_fd);
}

/* see priv.h */
enum mm_err
mm_wire_install(struct mm_wire *w, const struct mm_links *links,
    struct mm_why *why)
{
	unsigned seen[2 * MM_LINK_EST] = { 0 };

	for (unsigned i = 0; i < links->n; i++) {
		uint16_t role = links->link[i].role;
		int *place = place_of(w, role, seen[role]++);
		if (place == NULL)
			close(links->link[i].fd);
		else
			put_fd(place, links->link[i].fd);
	}
	pthread_mutex_lock(&w->lock);
	for (unsigned i = 0; i < MM_WIRE_LINES; i++)
		w->issue[i].up = i < seen[MM_LINK_ISSUE];
	pthread_mutex_unlock(&w->lock);
	if (seen[MM_LINK_ISSUE] == 0 || seen[MM_LINK_LEDGER] == 0 ||
	    seen[MM_LINK_OPS] == 0 || seen[MM_LINK_CHECK] == 0 ||
	    seen[MM_LINK_OCSP] == 0)
		return MM_FAIL(why, MM_EINPUT, "signer: a link is missing");
	return MM_OK;
}

/* see priv.h */
bool
mm_wire_up(struct mm_wire *w)
{
	return atomic_load(&w->up);
}

/* see priv.h */
unsigned
mm_wire_waiting(struct mm_wire *w)
{
	unsigned n;

	pthread_mutex_lock(&w->lock);
	n = w->nslot - w->nfree;
	pthread_mutex_unlock(&w->lock);
	return n;
}

/* see priv.h */
void
mm_wire_set_up(struct mm_wire *w, bool up)
{
	atomic_store(&w->up, up);
}

/* see priv.h */
int
mm_wire_psk(struct mm_wire *w, unsigned loop)
{
	return mm_wire_up(w) && loop < w->npsk ? w->psk[loop] : -1;
}
