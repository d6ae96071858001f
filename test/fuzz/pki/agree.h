#ifndef TEST_PKI_AGREE_H
#define TEST_PKI_AGREE_H

#include <stdbool.h>

#include "base/bytes.h"

struct mm_key_templates;

/*
 * The differential property of the walkers, for fuzz targets and tests: what
 * we accept libcrypto accepts, with the same key, subject and signature, and
 * both say the same of the signature.  Gives NULL, or what differs;
 * accepted says whether we took it.
 */
const char *agree_csr(struct mm_bytes der, struct mm_key_templates *t,
    bool *accepted);
const char *agree_cert(struct mm_bytes der, bool *accepted);

#endif
