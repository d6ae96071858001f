/* What of PSA Crypto is wanted: MBEDTLS_PSA_CRYPTO_CONFIG_FILE. */
#define PSA_WANT_ALG_SHA_256                     1
#define PSA_WANT_ALG_ECDSA                       1
#define PSA_WANT_ECC_SECP_R1_256                 1
#define PSA_WANT_KEY_TYPE_ECC_PUBLIC_KEY         1
#define PSA_WANT_KEY_TYPE_ECC_KEY_PAIR_BASIC     1
#define PSA_WANT_KEY_TYPE_ECC_KEY_PAIR_IMPORT    1
#define PSA_WANT_KEY_TYPE_ECC_KEY_PAIR_EXPORT    1
#define PSA_WANT_KEY_TYPE_ECC_KEY_PAIR_GENERATE  1
