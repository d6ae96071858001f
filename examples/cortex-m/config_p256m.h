/* mbed TLS as the smallest image has it: p256-m, nothing else. */
#define MBEDTLS_PSA_P256M_DRIVER_ENABLED
#define MBEDTLS_PLATFORM_ZEROIZE_ALT /* crypto_p256m.c */
