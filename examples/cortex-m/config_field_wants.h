/* What of PSA Crypto the handshakes want beside the keys. */
#include "config_psa_wants.h"

#define PSA_WANT_ALG_HMAC              1
#define PSA_WANT_KEY_TYPE_HMAC         1
#define PSA_WANT_ALG_HKDF_EXTRACT      1
#define PSA_WANT_ALG_HKDF_EXPAND       1
#define PSA_WANT_KEY_TYPE_DERIVE       1
#define PSA_WANT_ALG_ECDH              1
#define PSA_WANT_ALG_CHACHA20_POLY1305 1
#define PSA_WANT_KEY_TYPE_CHACHA20     1
