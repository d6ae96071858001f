#ifndef MM_PKI_TOKEN_H
#define MM_PKI_TOKEN_H

#include "base/bytes.h"
#include "base/err.h"

/*
 * Tokens as text, as handshake identity, as key.
 *
 * text = "mm1-" id "-" secret "-" anchor "-" check in Crockford base32:
 * id 12 bytes (key version, 11 random) = 20 digits, secret 20 bytes = 32,
 * anchor 10 bytes (of the SHA-256 of the trust anchor's SPKI) = 16, check 20
 * bits of SHA-256("mintmark token check v1" id secret anchor) = 4 digits.
 * Parsing ignores '-', spaces and line ends after "mm1" and folds case.
 * The version's top bit marks a test token.
 */
#define MM_TOKEN_ID_N     12
#define MM_TOKEN_SECRET_N 20
#define MM_TOKEN_ANCHOR_N 10
#define MM_TOKEN_PSK_N    32
#define MM_TOKEN_ID_TEXT  25 /* "mm1-" + 20 digits + NUL */
#define MM_TOKEN_TEXT     84
#define MM_TOKEN_TEST     0x80

struct mm_token {
	uint8_t id[MM_TOKEN_ID_N];
	uint8_t secret[MM_TOKEN_SECRET_N]; /* wipe after use */
	uint8_t anchor[MM_TOKEN_ANCHOR_N];
};
void mm_token_text(const struct mm_token *t, char out[MM_TOKEN_TEXT]);
MM_MUST enum mm_err mm_token_parse(struct mm_bytes text, struct mm_token *out,
    struct mm_why *why);
void mm_token_id_text(const uint8_t id[MM_TOKEN_ID_N],
    char out[MM_TOKEN_ID_TEXT]);
/* Exactly "mm1-" and 20 digits; the TLS identity and the Basic user. */
MM_MUST enum mm_err mm_token_id_parse(struct mm_bytes text,
    uint8_t out[MM_TOKEN_ID_N], struct mm_why *why);
void mm_token_secret_text(const uint8_t secret[MM_TOKEN_SECRET_N],
    char out[33]);
MM_MUST enum mm_err mm_token_secret_parse(struct mm_bytes text,
    uint8_t out[MM_TOKEN_SECRET_N], struct mm_why *why);

/*
 * What a device with nothing shows, and a person compares: the first 40 bits of
 * SHA-256("mintmark pairing code v1\n" device "\n" hash), hash being the
 * SHA-256 of its SubjectPublicKeyInfo and device its name in lower case, as 8
 * digits of Crockford base32, a '-' in the middle.
 *
 * 40 bits are no commitment to a key: others with that code can be found in
 * minutes.  docs/fielded.md says what makes that worth nothing.
 */
#define MM_PAIRING_TEXT 10
void mm_pairing_code(const char *device, const uint8_t spki_sha256[32],
    char out[MM_PAIRING_TEXT]);
/* As people type it: without the '-', O for 0, I and L for 1, either case. */
MM_MUST enum mm_err mm_pairing_parse(const char *text,
    char out[MM_PAIRING_TEXT], struct mm_why *why);

/* HMAC-SHA256(master, "mintmark token secret v1" || id), 160 bits. */
void mm_token_derive(struct mm_bytes master,
    const uint8_t id[MM_TOKEN_ID_N], uint8_t secret[MM_TOKEN_SECRET_N]);
/*
 * HKDF-SHA256(secret, no salt, info).  info: "mintmark token tls13 sha256
 * v1", "mintmark token tls12 v1"; test tokens (top bit of id[0]):
 * "mintmark test token tls13 sha256 v1", "mintmark test token tls12 v1".
 */
enum mm_token_use { MM_TOKEN_TLS13, MM_TOKEN_TLS12 };
void mm_token_psk(const uint8_t id[MM_TOKEN_ID_N],
    const uint8_t secret[MM_TOKEN_SECRET_N], enum mm_token_use use,
    uint8_t psk[MM_TOKEN_PSK_N]);

#endif
