#ifndef MMD_TOKEN_H
#define MMD_TOKEN_H

#include "mmd.h"

/*
 * A token: the one-time right of one device to get its identity.
 *
 *	mm1-<id>-<secret>-<anchor>-<check>    Crockford base32
 *
 * id is public (it is the TLS identity); the secret never leaves the device,
 * only keys made from it are used; anchor says whose certificates to
 * believe; check catches typing errors.  Wipe the struct after use.
 */
#define MMD_TOKEN_ID 12     /* key version, then 11 random bytes */
#define MMD_TOKEN_SECRET 20
#define MMD_TOKEN_ANCHOR 10 /* of SHA-256 of the anchor's SPKI */
#define MMD_TOKEN_SERVER_MAX 261
#define MMD_TOKEN_DEVICE_MAX 64

struct mmd_token {
	uint8_t id[MMD_TOKEN_ID];
	uint8_t secret[MMD_TOKEN_SECRET];
	uint8_t anchor[MMD_HASH]; /* anchor_n bytes are known */
	size_t anchor_n;          /* MMD_TOKEN_ANCHOR or MMD_HASH */
	char server[MMD_TOKEN_SERVER_MAX + 1]; /* "host:port", or "" */
	char device[MMD_TOKEN_DEVICE_MAX + 1]; /* the device's name, or "" */
};

/*
 * Reads any of the three forms:
 * the text form, where '-' and white space may stand anywhere but within
 * "mm1", case is folded, O is 0, I and L are 1;
 * the URI "mintmark:<text>?s=<host>:<port>&a=<base64url of the full hash>";
 * the JSON {"token","server","anchor_sha256","device",...}, where unknown
 * members are skipped.
 * MMD_EINPUT; MMD_ECHECKSUM: the form is right, so a digit was mistyped.
 */
enum mmd_rc mmd_token_parse(const struct mmd_crypto *crypto,
    struct mmd_bytes text, struct mmd_token *t) MMD_MUST;

/*
 * The text form alone: a board whose token comes by no other way links
 * without the other two.
 */
enum mmd_rc mmd_token_parse_text(const struct mmd_crypto *crypto,
    struct mmd_bytes text, struct mmd_token *t) MMD_MUST;

bool mmd_token_is_test(const struct mmd_token *t);

/* TLS PSK identity and user name of HTTP Basic: "mm1-" and 20 digits. */
#define MMD_TOKEN_IDENTITY 25 /* with the NUL */
void mmd_token_identity(const struct mmd_token *t,
    char out[MMD_TOKEN_IDENTITY]);
/* The password of HTTP Basic: the secret's 32 digits.  Wipe it. */
#define MMD_TOKEN_PASSWORD 33 /* with the NUL */
void mmd_token_password(const struct mmd_token *t,
    char out[MMD_TOKEN_PASSWORD]);

/*
 * The pre-shared key for TLS 1.3 (version 13) or 1.2 (12): HKDF-SHA256
 * (RFC 5869) of the secret with a label of its own for each version, and for
 * test and production (RFC 9257 4.2: one key, one use).
 */
enum mmd_rc mmd_token_psk(const struct mmd_crypto *crypto,
    const struct mmd_token *t, unsigned version, uint8_t out[MMD_HASH])
    MMD_MUST;

/*
 * What a device that has nothing shows while the server answers 202 to its
 * request, for a person to compare: made of its name and of the key in the
 * slot, "XXXX-XXXX" with a NUL.  Another key has another code.
 */
#define MMD_PAIRING_CODE 10
enum mmd_rc mmd_pairing_code(const struct mmd_crypto *crypto, unsigned slot,
    struct mmd_bytes device, char out[MMD_PAIRING_CODE]) MMD_MUST;

/* MMD_EANCHOR unless the token names this SubjectPublicKeyInfo. */
enum mmd_rc mmd_token_anchor_check(const struct mmd_crypto *crypto,
    const struct mmd_token *t, struct mmd_bytes spki) MMD_MUST;

#endif
