#ifndef MM_HSM_WIRE_H
#define MM_HSM_WIRE_H

#include "hsm/hsm.h"

/*
 * What goes between a keeper and who signs, over SOCK_SEQPACKET.
 *
 * A lane is one session of the token, one question at a time:
 *   u32 number, u8 enum mm_hsm_op, bytes
 *   u32 number, u8 enum mm_err, bytes (or words, of a failure)
 * An answer with another number is to a question that was given up.
 *
 * Control, to the keeper: u8 enum mm_hsm_order, of BEGIN with u8 by hand,
 * block16 PIN, block16 refused; from it: u8 enum mm_hsm_state, block16 words,
 * block16 which PIN was refused.
 */
#define MM_HSM_MESSAGE_MAX 4096

enum mm_hsm_op { MM_HSM_SIGN = 1, MM_HSM_PUBLIC, MM_HSM_MAKE };
enum mm_hsm_order {
	MM_HSM_BEGIN = 'B',
	MM_HSM_KICK = 'K',  /* its module hangs */
	MM_HSM_AGAIN = 'A', /* what was refused may be tried once more */
};

#endif
