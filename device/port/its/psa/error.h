/* For mbed TLS, which wants the header of PSA's storage beside its own. */
#include <psa/crypto_types.h>
#include <psa/crypto_values.h>
