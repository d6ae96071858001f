#ifndef CRYPTO_H
#define CRYPTO_H

#include "mmd.h"

#define BOARD_FIRST_KEY 1 /* PSA's id of slot 0's */

/*
 * The board's crypto, by whichever library it is built with.  False: it does
 * not start.
 */
extern const struct mmd_crypto *const board_crypto;
bool board_crypto_start(void);

#endif
