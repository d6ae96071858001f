#ifndef MM_STATION_CHIP_H
#define MM_STATION_CHIP_H

#include <openssl/types.h>

#include "key/desk.h"
#include "station/conf.h"

/*
 * The station's own key in a TPM or a PKCS#11 token (docs/device-keys.md): the
 * file `key` says where it is, and OpenSSL's provider mintmark-key, which is
 * loaded into this process for it, has TLS and the self-signed certificate
 * signed there.  Of a key that is in the file itself nothing is loaded.
 */
struct mm_chip {
	OSSL_PROVIDER *standard, *provider;
	const struct mm_key_desk *desk;
};
/* On zeroed memory, any time. */
void mm_chip_done(struct mm_chip *c);
/*
 * Before conf's key is used.  *in_it: there is one, and it is elsewhere.
 * MM_ESYS: the provider is not installed, or of another version.
 */
MM_MUST enum mm_err mm_chip_ready(struct mm_chip *c,
    const struct mm_station_conf *conf, bool *in_it, struct mm_why *why);
/* Whether keys are to be made elsewhere: conf's key_in.  MM_EINPUT. */
MM_MUST enum mm_err mm_chip_wanted(const struct mm_station_conf *conf,
    bool *out, struct mm_why *why);
/* One where key_in says; what a power cut left of another try goes first.
 * MM_ECONFLICT: the file has a key, which is not replaced. */
MM_MUST enum mm_err mm_chip_make(struct mm_chip *c,
    const struct mm_station_conf *conf, struct mm_why *why);
/* The key, and its SubjectPublicKeyInfo. */
MM_MUST enum mm_err mm_chip_key(const struct mm_station_conf *conf,
    EVP_PKEY **key, struct mm_buf *spki, struct mm_why *why);

#endif
