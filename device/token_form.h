#ifndef MMD_TOKEN_FORM_H
#define MMD_TOKEN_FORM_H

#include "mmd_token.h"

/* Both write into *t as they go, also when they fail. */

/* The text form alone: id, secret, anchor's first bytes. */
enum mmd_rc mmd_token_parse_text(const struct mmd_crypto *crypto,
    struct mmd_bytes text, struct mmd_token *t) MMD_MUST;
/* Whichever form it is; no white space before it. */
enum mmd_rc mmd_token_parse_form(const struct mmd_crypto *crypto,
    struct mmd_bytes text, struct mmd_token *t) MMD_MUST;

#endif
