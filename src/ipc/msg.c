#include "ipc/msg.h"

/* The columns of every message: what is on the wire, in this order. */
#define U8(s, f)    { MM_FT_U8, offsetof(struct s, f), 1 }
#define U32(s, f)   { MM_FT_U32, offsetof(struct s, f), 4 }
#define U64(s, f)   { MM_FT_U64, offsetof(struct s, f), 8 }
#define BYTES(s, f) { MM_FT_BYTES, offsetof(struct s, f), 0 }
#define FIXED(s, f) \
	{ MM_FT_FIXED, offsetof(struct s, f), sizeof(((struct s *)0)->f) }
#define TEXT(s, f) \
	{ MM_FT_TEXT, offsetof(struct s, f), sizeof(((struct s *)0)->f) }

static const struct mm_field hello_req[] = {
	U32(mm_hello_req, version),
};
static const struct mm_field hello_rep[] = {
	TEXT(mm_hello_rep, origin),
	FIXED(mm_hello_rep, ledger_key),
	FIXED(mm_hello_rep, anchor_sha256),
	U64(mm_hello_rep, tree_size),
	U64(mm_hello_rep, journal_n),
	U8(mm_hello_rep, production),
	U8(mm_hello_rep, signs),
	FIXED(mm_hello_rep, place),
	TEXT(mm_hello_rep, node),
	FIXED(mm_hello_rep, orders_key),
	BYTES(mm_hello_rep, clocks),
};

static const struct mm_field issue_req[] = {
	TEXT(mm_issue_req, profile),
	U32(mm_issue_req, profile_version),
	TEXT(mm_issue_req, device),
	TEXT(mm_issue_req, product),
	TEXT(mm_issue_req, authority),
	U64(mm_issue_req, wish_s),
	U8(mm_issue_req, keygen),
	BYTES(mm_issue_req, csr),
};
static const struct mm_field issue_rep[] = {
	U64(mm_issue_rep, journal_n),
	FIXED(mm_issue_rep, serial),
	U64(mm_issue_rep, not_before_s),
	U64(mm_issue_rep, not_after_s),
	U32(mm_issue_rep, shard),
	TEXT(mm_issue_rep, issuer),
	FIXED(mm_issue_rep, spki_sha256),
	BYTES(mm_issue_rep, der),
	BYTES(mm_issue_rep, pkcs8),
};

static const struct mm_field possess_req[] = {
	BYTES(mm_possess_req, csr),
};
static const struct mm_field possess_rep[] = {
	FIXED(mm_possess_rep, spki_sha256),
};

static const struct mm_field token_mint_req[] = {
	TEXT(mm_token_mint_req, device),
};
static const struct mm_field token_mint_rep[] = {
	FIXED(mm_token_mint_rep, id),
	FIXED(mm_token_mint_rep, secret),
	FIXED(mm_token_mint_rep, anchor),
};
static const struct mm_field token_psk_req[] = {
	FIXED(mm_token_psk_req, id),
	U8(mm_token_psk_req, use),
};
static const struct mm_field token_psk_rep[] = {
	FIXED(mm_token_psk_rep, psk),
};
static const struct mm_field token_check_req[] = {
	FIXED(mm_token_check_req, id),
	FIXED(mm_token_check_req, secret),
};
static const struct mm_field token_check_rep[] = {
	U8(mm_token_check_rep, yes),
};

static const struct mm_field crl_begin_req[] = {
	TEXT(mm_crl_begin_req, issuer),
	U64(mm_crl_begin_req, number),
	U64(mm_crl_begin_req, this_s),
	U64(mm_crl_begin_req, next_s),
	U8(mm_crl_begin_req, whole),
	BYTES(mm_crl_begin_req, shards),
};
static const struct mm_field crl_begin_rep[] = {
	U64(mm_crl_begin_rep, number),
};
static const struct mm_field crl_add_req[] = {
	BYTES(mm_crl_add_req, entries),
};
static const struct mm_field crl_add_rep[] = {
	U64(mm_crl_add_rep, total),
};
static const struct mm_field crl_sign_req[] = {
	U8(mm_crl_sign_req, none),
};
static const struct mm_field crl_sign_rep[] = {
	U64(mm_crl_sign_rep, der_n),
	FIXED(mm_crl_sign_rep, sha256),
};
static const struct mm_field crl_read_req[] = {
	U64(mm_crl_read_req, offset),
	U32(mm_crl_read_req, most),
};
static const struct mm_field crl_read_rep[] = {
	BYTES(mm_crl_read_rep, der),
};

static const struct mm_field ledger_add_req[] = {
	U64(mm_ledger_add_req, index),
	BYTES(mm_ledger_add_req, entry),
};
static const struct mm_field ledger_add_rep[] = {
	U64(mm_ledger_add_rep, size),
};
static const struct mm_field ledger_sign_req[] = {
	U64(mm_ledger_sign_req, size),
};
static const struct mm_field ledger_sign_rep[] = {
	U64(mm_ledger_sign_rep, size),
	FIXED(mm_ledger_sign_rep, root),
	BYTES(mm_ledger_sign_rep, note),
};

static const struct mm_field ledger_check_req[] = {
	BYTES(mm_ledger_check_req, note),
};
static const struct mm_field ledger_check_rep[] = {
	U64(mm_ledger_check_rep, size),
};

static const struct mm_field outstanding_req[] = {
	U64(mm_outstanding_req, age_ms),
	U32(mm_outstanding_req, most),
};
static const struct mm_field outstanding_rep[] = {
	U32(mm_outstanding_rep, n),
	BYTES(mm_outstanding_rep, lines),
};
/* see msg.h */
const struct mm_field mm_outstanding_fields[] = {
	U64(mm_outstanding, journal_n),
	FIXED(mm_outstanding, serial),
	TEXT(mm_outstanding, issuer),
	TEXT(mm_outstanding, device),
	TEXT(mm_outstanding, profile),
	U64(mm_outstanding, not_after_s),
	FIXED(mm_outstanding, spki_sha256),
	FIXED(mm_outstanding, tbs_sha256),
	U8(mm_outstanding, responder),
	TEXT(mm_outstanding, authority),
	U64(mm_outstanding, crl),
};
const size_t mm_outstanding_nfields =
    sizeof(mm_outstanding_fields) / sizeof(mm_outstanding_fields[0]);

static const struct mm_field order_sign_req[] = {
	U8(mm_order_sign_req, extension),
	BYTES(mm_order_sign_req, text),
};
static const struct mm_field order_sign_rep[] = {
	BYTES(mm_order_sign_rep, note),
};

static const struct mm_field line_make_req[] = {
	TEXT(mm_line_make_req, name),
	TEXT(mm_line_make_req, station),
	BYTES(mm_line_make_req, recipient),
	BYTES(mm_line_make_req, profiles),
};
static const struct mm_field line_make_rep[] = {
	BYTES(mm_line_make_rep, der),
	BYTES(mm_line_make_rep, given),
	BYTES(mm_line_make_rep, kept),
};
static const struct mm_field line_open_req[] = {
	TEXT(mm_line_open_req, name),
	BYTES(mm_line_open_req, der),
	BYTES(mm_line_open_req, kept),
};
static const struct mm_field line_open_rep[] = {
	U8(mm_line_open_rep, none),
};

static const struct mm_field duty_status_req[] = {
	U8(mm_duty_status_req, none),
};
static const struct mm_field duty_status_rep[] = {
	TEXT(mm_duty_status_rep, batch),
	TEXT(mm_duty_status_rep, station),
	U64(mm_duty_status_rep, number),
	U64(mm_duty_status_rep, share),
	U64(mm_duty_status_rep, counted),
	U64(mm_duty_status_rep, not_before_ms),
	U64(mm_duty_status_rep, until_ms),
	TEXT(mm_duty_status_rep, level),
	U8(mm_duty_status_rep, may),
	TEXT(mm_duty_status_rep, why),
	U8(mm_duty_status_rep, over),
	U64(mm_duty_status_rep, lost),
	U8(mm_duty_status_rep, counter),
};
static const struct mm_field duty_find_req[] = {
	TEXT(mm_duty_find_req, batch),
	TEXT(mm_duty_find_req, device),
	FIXED(mm_duty_find_req, spki_sha256),
};
static const struct mm_field duty_find_rep[] = {
	U64(mm_duty_find_rep, number),
	TEXT(mm_duty_find_rep, profile),
	TEXT(mm_duty_find_rep, issuer),
	BYTES(mm_duty_find_rep, der),
	BYTES(mm_duty_find_rep, chain),
};

static const struct mm_field duty_nonce_req[] = {
	TEXT(mm_duty_nonce_req, device),
};
static const struct mm_field duty_nonce_rep[] = {
	FIXED(mm_duty_nonce_rep, nonce),
};

static const struct mm_field duty_adopt_req[] = {
	TEXT(mm_duty_adopt_req, device),
	BYTES(mm_duty_adopt_req, der),
	BYTES(mm_duty_adopt_req, chain),
	FIXED(mm_duty_adopt_req, nonce),
	BYTES(mm_duty_adopt_req, hardware),
	BYTES(mm_duty_adopt_req, signature),
};
static const struct mm_field duty_adopt_rep[] = {
	U8(mm_duty_adopt_rep, again),
};

static const struct mm_field duty_scrap_req[] = {
	TEXT(mm_duty_scrap_req, device),
	FIXED(mm_duty_scrap_req, spki_sha256),
};
static const struct mm_field duty_scrap_rep[] = {
	U64(mm_duty_scrap_rep, scrapped),
	U64(mm_duty_scrap_rep, most),
};

static const struct mm_field duty_extend_req[] = {
	TEXT(mm_duty_extend_req, line),
};
static const struct mm_field duty_extend_rep[] = {
	U64(mm_duty_extend_rep, share),
	U64(mm_duty_extend_rep, until_ms),
};

static const struct mm_field ocsp_start_req[] = {
	TEXT(mm_ocsp_start_req, issuer),
	BYTES(mm_ocsp_start_req, der),
	BYTES(mm_ocsp_start_req, kept),
	U8(mm_ocsp_start_req, use),
};
static const struct mm_field ocsp_start_rep[] = {
	U64(mm_ocsp_start_rep, journal_n),
	FIXED(mm_ocsp_start_rep, serial),
	U64(mm_ocsp_start_rep, not_before_s),
	U64(mm_ocsp_start_rep, not_after_s),
	FIXED(mm_ocsp_start_rep, spki_sha256),
	FIXED(mm_ocsp_start_rep, cert_sha256),
};
static const struct mm_field ocsp_sign_req[] = {
	FIXED(mm_ocsp_sign_req, responder),
	BYTES(mm_ocsp_sign_req, id),
	U8(mm_ocsp_sign_req, status),
	U8(mm_ocsp_sign_req, reason),
	U64(mm_ocsp_sign_req, revoked_s),
	U64(mm_ocsp_sign_req, this_s),
	U64(mm_ocsp_sign_req, next_s),
	BYTES(mm_ocsp_sign_req, nonce),
};
static const struct mm_field ocsp_sign_rep[] = {
	BYTES(mm_ocsp_sign_rep, der),
};

static const struct mm_field config_sign_req[] = {
	FIXED(mm_config_sign_req, responder),
	TEXT(mm_config_sign_req, device),
	FIXED(mm_config_sign_req, certificate),
	U64(mm_config_sign_req, version),
	FIXED(mm_config_sign_req, salt),
	BYTES(mm_config_sign_req, document),
};
static const struct mm_field config_sign_rep[] = {
	BYTES(mm_config_sign_rep, der),
};

static const struct mm_field status_req[] = {
	U8(mm_status_req, none),
};
static const struct mm_field status_rep[] = {
	U64(mm_status_rep, signed_n),
	U64(mm_status_rep, refused_n),
	U64(mm_status_rep, journal_n),
	U64(mm_status_rep, tree_size),
	U64(mm_status_rep, outstanding),
	U8(mm_status_rep, issuing),
	TEXT(mm_status_rep, why),
	U64(mm_status_rep, now_ms),
	U64(mm_status_rep, journal_ms),
	U32(mm_status_rep, ceiling),
	TEXT(mm_status_rep, ceiling_profile),
	TEXT(mm_status_rep, version),
	U32(mm_status_rep, tokens),
	U32(mm_status_rep, tokens_away),
	U8(mm_status_rep, token_refused),
	TEXT(mm_status_rep, token_issuer),
	TEXT(mm_status_rep, token_why),
};

static const struct mm_field forward_req[] = {
	TEXT(mm_forward_req, issuer),
	TEXT(mm_forward_req, profile),
	U32(mm_forward_req, profile_version),
	TEXT(mm_forward_req, device),
	TEXT(mm_forward_req, product),
	TEXT(mm_forward_req, authority),
	U8(mm_forward_req, renewal),
	FIXED(mm_forward_req, id),
	U64(mm_forward_req, begin_by_ms),
	BYTES(mm_forward_req, csr),
};
static const struct mm_field forward_rep[] = {
	U8(mm_forward_rep, how),
	TEXT(mm_forward_rep, why),
	BYTES(mm_forward_rep, der),
	U64(mm_forward_rep, retry_after_s),
};
static const struct mm_field deliver_req[] = {
	TEXT(mm_deliver_req, url),
	TEXT(mm_deliver_req, id),
	U64(mm_deliver_req, at_s),
	TEXT(mm_deliver_req, signature),
	U32(mm_deliver_req, timeout_ms),
	U32(mm_deliver_req, want),
	BYTES(mm_deliver_req, body),
};
static const struct mm_field deliver_rep[] = {
	U32(mm_deliver_rep, status),
	U32(mm_deliver_rep, took_ms),
	U64(mm_deliver_rep, retry_after_s),
	TEXT(mm_deliver_rep, why),
	BYTES(mm_deliver_rep, body),
};

#define N(a) (sizeof(a) / sizeof((a)[0]))
static const struct mm_msg messages[MM_IPC_KIND_COUNT] = {
#define X(e, name, links)                                                  \
	[e] = { #name, links, name##_req, name##_rep, N(name##_req),       \
		N(name##_rep), sizeof(struct mm_##name##_req),             \
		sizeof(struct mm_##name##_rep) },
	MM_IPC_KINDS(X)
#undef X
};

/* see msg.h */
const struct mm_msg *
mm_ipc_msg(unsigned kind)
{
	if (kind >= MM_IPC_KIND_COUNT || messages[kind].name == NULL)
		return NULL;
	return &messages[kind];
}
