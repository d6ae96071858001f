#ifndef MM_CORE_WIRE_H
#define MM_CORE_WIRE_H

#include "core/priv.h"

/*
 * Inside wire.c, wire_issue.c and wire_call.c: the way to the signer.  D sends
 * frames of up to 64 requests, over the issue lines in turn; W reads the
 * answers; the tag of an item says whose it is.
 */
#define MM_WIRE_PSK_MAX   MM_LINKS_MAX
#define MM_WIRE_SLOT_BITS 16

struct mm_wire_slot {
	struct mm_flight *flight;
	uint16_t generation;
	int64_t sent_ms; /* monotonic */
};
struct mm_wire {
	pthread_mutex_t lock; /* slots, free list, up */
	struct mm_wire_slot *slot;
	uint32_t *free;
	uint32_t nslot, nfree;
	struct {
		int fd;
		bool up;
	} issue[MM_WIRE_LINES];
	atomic_bool up;
	unsigned turn;            /* D's */
	unsigned kind;            /* of D's frame; 0: there is none */
	struct mm_buf out, in;    /* D's, W's */
	struct {
		pthread_mutex_t lock;
		int fd;
	} line[MM_LINES];
	_Atomic uint32_t tags;
	int psk[MM_WIRE_PSK_MAX];
	unsigned npsk;
};

#endif
