#ifndef MM_PKI_CRL_H
#define MM_PKI_CRL_H

#include "pki/cert.h"

/* Whether a list that was walked names that serial number, as it stands in a
 * certificate: INTEGER's contents. */
bool mm_crl_names(const struct mm_crl *c, struct mm_bytes serial);

#endif
