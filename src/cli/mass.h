#ifndef MM_CLI_MASS_H
#define MM_CLI_MASS_H

#include "cli/commands.h"

/* mass.c: revoking, holding and releasing certificates, thawing and cancelling
 * tokens, by selection. */
#define MM_MASS_OPTS                                                       \
	{ "batch", "BATCH", "of this batch's serial numbers, made or not", \
	    MM_C_NONE, NULL },                                             \
	{ "station", "STATION", "of the devices that this station made",   \
	    MM_C_NONE, NULL },                                             \
	{ "product", "PRODUCT", "of this product", MM_C_PRODUCT, NULL },   \
	{ "issuer", "ISSUER", "of this issuer", MM_C_ISSUER, NULL },       \
	{ "profile", "PROFILE@VERSION", "made by this version of a "       \
	    "profile", MM_C_NONE, NULL },                                  \
	{ "device", "DEVICE", "of this device", MM_C_DEVICE, NULL },       \
	{ "issued-from", "TIME", "issued at TIME or later", MM_C_NONE,     \
	    NULL },                                                        \
	{ "issued-to", "TIME", "issued before TIME", MM_C_NONE, NULL },    \
	{ "key-type", "TYPE", "of a key of this type", MM_C_WORDS,         \
	    "p256 p384 ed25519 rsa2048 rsa3072 rsa4096" },                 \
	{ "where", "NAME=VALUE", "of devices that have this indexed "      \
	    "attribute; also ^= < <= > >=, and several with ; between",    \
	    MM_C_NONE, NULL },                                             \
	{ "csv", "FILE", "whose serial number begins a line of FILE",      \
	    MM_C_FILE, NULL },                                             \
	{ "limit", "N", "certificates that one call changes, 10000",       \
	    MM_C_NONE, NULL },                                             \
	{ "dry-run", NULL, "say what would happen, do nothing", MM_C_NONE, \
	    NULL },                                                        \
	{ "yes", NULL, "of a selection: do not ask before doing it",       \
	    MM_C_NONE, NULL }

/* The same of tokens. */
#define MM_TOKEN_MASS_OPTS                                                 \
	{ "product", "PRODUCT", "of this product", MM_C_PRODUCT, NULL },   \
	{ "batch", "BATCH", "of this batch's serial numbers, made or not", \
	    MM_C_NONE, NULL },                                             \
	{ "created-from", "TIME", "made at TIME or later", MM_C_NONE,      \
	    NULL },                                                        \
	{ "created-to", "TIME", "made before TIME", MM_C_NONE, NULL },     \
	{ "reason", "WORD", "why, for the audit; of a selection it is "    \
	    "needed", MM_C_NONE, NULL },                                   \
	{ "limit", "N", "tokens that one call changes, 10000", MM_C_NONE,  \
	    NULL },                                                        \
	{ "dry-run", NULL, "say what would happen, do nothing", MM_C_NONE, \
	    NULL },                                                        \
	{ "yes", NULL, "of a selection: do not ask before doing it",       \
	    MM_C_NONE, NULL }

/* What is selected, and where it is asked for. */
struct mm_mass_kind {
	const char *thing, *things; /* "certificate", "certificates" */
	const char *path;
	const char *const (*members)[2]; /* option, member; to NULL */
};
extern const struct mm_mass_kind mm_mass_certs, mm_mass_thaw, mm_mass_cancel;

/* Whether there is a selection. */
bool mm_mass_selects(const struct mm_mass_kind *k, const struct mm_args *a);
/* take_body: what is said besides the selection; verb, reason: the words for
 * it, reason NULL. */
MM_MUST enum mm_err mm_mass_run(struct mm_cli *cli, const struct mm_args *a,
    const struct mm_mass_kind *k, const char *verb, const char *reason,
    json_t *take_body, struct mm_why *why);

#endif
