#ifndef CRYPTO_H
#define CRYPTO_H

#include "mmd.h"
#ifdef BOARD_P256M
#include "port/p256m_crypto.h"
#endif

#define BOARD_FIRST_KEY 1 /* PSA's id of slot 0's */

/*
 * The board's crypto, by whichever library it is built with.  False: it does
 * not start.
 */
#ifdef BOARD_P256M
#define BOARD_CRYPTO (&mmd_p256m_crypto)
#else
extern struct mmd_crypto board_psa;
#define BOARD_CRYPTO (&board_psa)
#endif
bool board_crypto_start(void);

#endif
