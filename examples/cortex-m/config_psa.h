/*
 * mbed TLS's PSA Crypto for a device that is made at a station: keys of P-256
 * that lie in the library's store, computed by p256-m.
 */
#define MBEDTLS_PSA_CRYPTO_C
#define MBEDTLS_PSA_CRYPTO_CONFIG
#define MBEDTLS_PSA_CRYPTO_STORAGE_C
#define MBEDTLS_PSA_CRYPTO_EXTERNAL_RNG
#define MBEDTLS_PSA_P256M_DRIVER_ENABLED
#define MBEDTLS_SHA256_SMALLER
