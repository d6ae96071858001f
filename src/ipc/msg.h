#ifndef MM_IPC_MSG_H
#define MM_IPC_MSG_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/text.h"

/*
 * Everything that server and signer, and server and courier, say to each
 * other.
 *
 * One SOCK_SEQPACKET message is one frame, at most 128 KiB and 64 items:
 *   u8 version (1), u8 kind, u16 count, then count times
 *   u32 tag, u32 length, body.
 * An answer frame has kind | 0x80 and the same tags in the same order; its
 * bodies begin with u8 enum mm_err; if that is not MM_OK a block16 text
 * follows and nothing else.  Bodies are described by field tables, so that
 * encoding, strict parsing and fuzzing are one piece of code.
 *
 * A link is a socket; the link's role says which kinds it carries.
 */
#define MM_IPC_VERSION   1
#define MM_IPC_FRAME_MAX (128 * 1024)
#define MM_IPC_ITEMS_MAX 64

enum mm_link {
	MM_LINK_ISSUE = 1 << 0, /* pipeline: issue, possess */
	MM_LINK_LEDGER = 1 << 1,/* ledger thread: add, sign, outstanding */
	MM_LINK_OPS = 1 << 2,   /* workers: tokens, CRL, status */
	MM_LINK_PSK = 1 << 3,   /* one per event loop: token_psk */
	MM_LINK_CHECK = 1 << 4, /* pipeline: token_check */
	MM_LINK_OCSP = 1 << 5,  /* keys in memory: ocsp_*, config_sign */
	MM_LINK_COURIER = 1 << 6, /* the courier's: deliver */
	MM_LINK_REGISTRAR = 1 << 7, /* the registrar's: forward */
	MM_LINK_EST = 1 << 8,   /* that of CAs that are asked by EST */
};

/* kind: name, links */
#define MM_IPC_KINDS(X)                                                \
	X(MM_IPC_HELLO, hello, 0x1f)       /* what the signer is */       \
	X(MM_IPC_ISSUE, issue, MM_LINK_ISSUE)                             \
	X(MM_IPC_POSSESS, possess, MM_LINK_ISSUE)                         \
	X(MM_IPC_TOKEN_MINT, token_mint, MM_LINK_OPS)                     \
	X(MM_IPC_TOKEN_PSK, token_psk, MM_LINK_PSK)                       \
	X(MM_IPC_TOKEN_CHECK, token_check, MM_LINK_CHECK)                 \
	X(MM_IPC_CRL_BEGIN, crl_begin, MM_LINK_OPS)                       \
	X(MM_IPC_CRL_ADD, crl_add, MM_LINK_OPS)                           \
	X(MM_IPC_CRL_SIGN, crl_sign, MM_LINK_OPS)                         \
	X(MM_IPC_CRL_READ, crl_read, MM_LINK_OPS)                         \
	X(MM_IPC_LEDGER_ADD, ledger_add, MM_LINK_LEDGER)                  \
	X(MM_IPC_LEDGER_SIGN, ledger_sign, MM_LINK_LEDGER)                \
	X(MM_IPC_OUTSTANDING, outstanding, MM_LINK_LEDGER)                \
	X(MM_IPC_STATUS, status, MM_LINK_OPS | MM_LINK_LEDGER)            \
	X(MM_IPC_DELIVER, deliver, MM_LINK_COURIER)                       \
	X(MM_IPC_LEDGER_CHECK, ledger_check, MM_LINK_LEDGER)              \
	X(MM_IPC_ORDER_SIGN, order_sign, MM_LINK_OPS)                     \
	X(MM_IPC_DUTY_STATUS, duty_status, MM_LINK_ISSUE)                 \
	X(MM_IPC_DUTY_FIND, duty_find, MM_LINK_ISSUE)                     \
	X(MM_IPC_LINE_MAKE, line_make, MM_LINK_OPS)                       \
	X(MM_IPC_LINE_OPEN, line_open, MM_LINK_OPS)                       \
	X(MM_IPC_DUTY_EXTEND, duty_extend, MM_LINK_ISSUE)                 \
	X(MM_IPC_OCSP_START, ocsp_start, MM_LINK_OCSP)                    \
	X(MM_IPC_OCSP_SIGN, ocsp_sign, MM_LINK_OCSP)                      \
	X(MM_IPC_CONFIG_SIGN, config_sign, MM_LINK_OCSP)                  \
	X(MM_IPC_DUTY_ADOPT, duty_adopt, MM_LINK_ISSUE)                   \
	X(MM_IPC_FORWARD, forward, MM_LINK_REGISTRAR | MM_LINK_EST)       \
	X(MM_IPC_DUTY_NONCE, duty_nonce, MM_LINK_ISSUE)                   \
	X(MM_IPC_DUTY_SCRAP, duty_scrap, MM_LINK_ISSUE)

enum mm_ipc_kind {
	MM_IPC_NONE,
#define X(e, name, links) e,
	MM_IPC_KINDS(X)
#undef X
	MM_IPC_KIND_COUNT
};

/* ---- bodies ---- */

/* "token:mm1-...", "cert:<hex>", "op:<id>:<device>" */
#define MM_AUTHORITY_MAX 96

/*
 * MM_IPC_VERSION in the low 16 bits; above them what who asks knows beyond it.
 * A signer of before there was any refuses such a number (MM_EPOLICY): it is
 * asked once more, without.
 */
#define MM_IPC_KNOWS_NONCES (1u << 16) /* duty_nonce, before duty_adopt */
struct mm_hello_req { uint32_t version; };
struct mm_hello_rep {
	char origin[256];          /* the ledger's */
	uint8_t ledger_key[32];
	uint8_t anchor_sha256[32]; /* of the trust anchor's SPKI */
	uint64_t tree_size;        /* synced frontier */
	uint64_t journal_n;        /* last journal number */
	uint8_t production;
	uint8_t signs;             /* it holds the ledger's key */
	uint8_t place[32];         /* this folder, since this boot */
	char node[MM_NAME_MAX + 1];
	uint8_t orders_key[32];    /* of work orders; zero: it has none */
	/* The journal's clock lines that the ledger may not have yet:
	 * n * (u64 number of the line, u64 from_ms, u64 to_ms). */
	struct mm_bytes clocks;
};

struct mm_issue_req {
	char profile[MM_NAME_MAX + 1];
	uint32_t profile_version;
	char device[MM_DEVICE_ID_MAX + 1];
	char product[MM_NAME_MAX + 1];
	char authority[MM_AUTHORITY_MAX + 1];
	uint64_t wish_s;           /* shorter lifetime, 0 none */
	uint8_t keygen;            /* 1: make the pair here (serverkeygen) */
	struct mm_bytes csr;       /* also for keygen */
};
struct mm_issue_rep {
	uint64_t journal_n;
	uint8_t serial[16];
	uint64_t not_before_s, not_after_s;
	uint32_t shard;
	char issuer[MM_NAME_MAX + 1];
	uint8_t spki_sha256[32];
	struct mm_bytes der;
	struct mm_bytes pkcs8;     /* keygen only */
};

struct mm_possess_req { struct mm_bytes csr; };
struct mm_possess_rep { uint8_t spki_sha256[32]; };

struct mm_token_mint_req { char device[MM_DEVICE_ID_MAX + 1]; };
struct mm_token_mint_rep { uint8_t id[12], secret[20], anchor[10]; };
struct mm_token_psk_req {
	uint8_t id[12];
	uint8_t use; /* enum mm_token_use */
};
struct mm_token_psk_rep { uint8_t psk[32]; };
struct mm_token_check_req { uint8_t id[12], secret[20]; };
struct mm_token_check_rep { uint8_t yes; };

/*
 * CRLs are built inside the signer, one run at a time: begin, add..., sign,
 * then read the finished DER in pieces.  A run is the complete list, or lists
 * of some shards, or both; all of one number.  What is read is the complete
 * one, then the shards' in their order, one DER after the other.  The signer
 * knows itself which shard an entry is of: one that is of none of the run is
 * refused, and with a complete list every entry is taken.
 */
#define MM_CRL_RUN_MOST 4096
struct mm_crl_begin_req {
	char issuer[MM_NAME_MAX + 1];
	uint64_t number;           /* the least that is wanted */
	uint64_t this_s, next_s;
	uint8_t whole;             /* 1: the complete one, too */
	struct mm_bytes shards;    /* n * u16, ascending; none: whole alone */
};
struct mm_crl_begin_rep { uint64_t number; /* what it will be */ };
struct mm_crl_add_req {
	struct mm_bytes entries; /* n * (16 serial, u64 at_s, u8 reason) */
};
struct mm_crl_add_rep { uint64_t total; };
struct mm_crl_sign_req { uint8_t none; };
struct mm_crl_sign_rep { uint64_t der_n; uint8_t sha256[32]; };
struct mm_crl_read_req { uint64_t offset; uint32_t most; };
struct mm_crl_read_rep { struct mm_bytes der; };

/* One item an entry, in index order, no gaps. */
struct mm_ledger_add_req { uint64_t index; struct mm_bytes entry; };
struct mm_ledger_add_rep { uint64_t size; };
struct mm_ledger_sign_req { uint64_t size; /* must be the signer's size */ };
struct mm_ledger_sign_rep {
	uint64_t size;
	uint8_t root[32];
	struct mm_bytes note;
};

/* A checkpoint that another node's signer signed.  MM_EAGAIN: of more entries
 * than the tree has; MM_ENOTFOUND: too old to be looked at; MM_EPOLICY: not
 * this tree's, and from then on nothing is issued. */
struct mm_ledger_check_req { struct mm_bytes note; };
struct mm_ledger_check_rep { uint64_t size; };

/* Certificates and CRLs signed but not yet seen in the tree, oldest first,
 * older than age_ms: lines = n * u16-length-prefixed mm_outstanding bodies. */
struct mm_outstanding_req { uint64_t age_ms; uint32_t most; };
struct mm_outstanding_rep { uint32_t n; struct mm_bytes lines; };
struct mm_outstanding {
	uint64_t journal_n;
	uint8_t serial[16];
	char issuer[MM_NAME_MAX + 1];
	char device[MM_DEVICE_ID_MAX + 1];
	char profile[MM_NAME_MAX + 12]; /* name@version */
	uint64_t not_after_s;
	uint8_t spki_sha256[32], tbs_sha256[32];
	uint8_t responder; /* 1: an OCSP responder of that issuer */
	uint64_t crl; /* a CRL's number, with its issuer; 0: a certificate */
	char authority[MM_AUTHORITY_MAX + 1];
};

/* A work order's text, or an extension's line; the signer reads it, and signs
 * what it has read.  note: the order's, or the extension with its
 * signature. */
struct mm_order_sign_req {
	uint8_t extension; /* 1: it is one */
	struct mm_bytes text;
};
struct mm_order_sign_rep { struct mm_bytes note; };

/*
 * A line CA, made below the issuer of the configuration that signs such, for
 * the station's signer whose certificate recipient is.  Its key is nowhere
 * afterwards but in given (CMS, for that signer alone) and in kept, which
 * only signers that have the centre's master keys open; both go where the
 * order and the lists need them.  MM_EPOLICY: there is no such issuer, or it
 * has made its number for today, or no such profile; MM_EINPUT: recipient.
 */
struct mm_line_make_req {
	char name[MM_NAME_MAX + 1], station[MM_NAME_MAX + 1];
	struct mm_bytes recipient; /* DER */
	/* Names, a space between two: it is good for what those profiles say.
	 * None: for what any of the configuration's does. */
	struct mm_bytes profiles;
};
struct mm_line_make_rep {
	struct mm_bytes der;   /* its certificate */
	struct mm_bytes given, kept;
};
/* The next crl_begin for it is of this one, of which line_make gave kept.
 * MM_EAUTH: it did not. */
struct mm_line_open_req {
	char name[MM_NAME_MAX + 1];
	struct mm_bytes der, kept;
};
struct mm_line_open_rep { uint8_t none; };

/* What a line CA's certificate is called where a device's has name@version: in
 * the journal, and in the list of what is outstanding. */
#define MM_LINE_CA_PROFILE "line+ca"
#define MM_LINE_CA_LABEL   MM_LINE_CA_PROFILE "@1"

/* What its counter says of itself: the TPM that it is bound to does not
 * answer; or its files are not the newest that there were. */
enum mm_ipc_counter {
	MM_IPC_COUNTER_FINE,
	MM_IPC_COUNTER_AWAY,
	MM_IPC_COUNTER_BACK
};

/* A station's signer: what its order still lets it make.  MM_EPOLICY: this
 * signer works to no order. */
struct mm_duty_status_req { uint8_t none; };
struct mm_duty_status_rep {
	char batch[MM_NAME_MAX + 1], station[MM_NAME_MAX + 1];
	uint64_t number, share, counted; /* the order's; pairs so far */
	uint64_t not_before_ms, until_ms;
	char level[MM_NAME_MAX + 1];     /* what its counter withstands */
	uint8_t may;                     /* 0: nothing is signed */
	char why[161];                   /* why not */
	uint8_t over; /* the order itself: not open, too early, ended */
	uint64_t lost;   /* of the share, with leases that were cut off */
	uint8_t counter; /* enum mm_ipc_counter: what stops it */
};
/* The certificate that was signed for a pair of device and public key, by
 * orders of a batch: "" this one's, or an earlier one's.  MM_ENOTFOUND: none. */
struct mm_duty_find_req {
	char batch[MM_NAME_MAX + 1];
	char device[MM_DEVICE_ID_MAX + 1];
	uint8_t spki_sha256[32];
};
struct mm_duty_find_rep {
	uint64_t number; /* of the order that it was signed under */
	char profile[MM_NAME_MAX + 12], issuer[MM_NAME_MAX + 1];
	struct mm_bytes der;
	struct mm_bytes chain; /* the board's own, of one that was adopted;
				* else empty: the order's */
};

/*
 * What the device's board is to prove duty_adopt's certificate over: made here,
 * so that the board is there now and nobody brings what it signed before.
 * Good for one duty_adopt of that device, as long as the process lives and for
 * some minutes (signer/nonces.h).
 */
struct mm_duty_nonce_req { char device[MM_DEVICE_ID_MAX + 1]; };
struct mm_duty_nonce_rep { uint8_t nonce[32]; };

/*
 * A board has a certificate of the order's batch that no record knows
 * (work/adopt.h).  It is counted for the pair, once, as what was signed is,
 * and duty_find finds it.  The nonce is duty_nonce's, and spent whatever comes
 * of it.  MM_EAUTH: not of this batch, or the board does not prove it;
 * MM_ECONFLICT: the pair has another certificate; MM_EPOLICY, MM_EAGAIN: as
 * issue; MM_ESTALE: the nonce is none, or too old: asked anew, the board may.
 */
struct mm_duty_adopt_req {
	char device[MM_DEVICE_ID_MAX + 1];
	struct mm_bytes der, chain;
	uint8_t nonce[32]; /* what the device signed: pki/possession.h */
	struct mm_bytes hardware, signature;
};
struct mm_duty_adopt_rep { uint8_t again; /* the pair was counted before */ };

/*
 * The pair's board is thrown away, and gives its place in the share back: for
 * so many as the order says, each once; from then on the pair is given no
 * certificate.  MM_EPOLICY: so many have; MM_ECONFLICT: it has before;
 * MM_ENOTFOUND: nothing was signed for the pair by orders of this batch;
 * MM_EAGAIN: the disk does not take it.
 */
struct mm_duty_scrap_req {
	char device[MM_DEVICE_ID_MAX + 1];
	uint8_t spki_sha256[32];
};
struct mm_duty_scrap_rep { uint64_t scrapped, most; };

/* A line that extends the order (work/order.h).  MM_EPOLICY: not of this
 * order, not signed, or less than it has; MM_EINPUT: no such line. */
struct mm_duty_extend_req { char line[512]; };
struct mm_duty_extend_rep { uint64_t share, until_ms; };

/*
 * OCSP answers are signed by a delegated responder (RFC 6960 4.2.2.2): start
 * makes its key, which stays in the signer's memory, and has the issuer
 * certify it for some days.  Sign asks for the answer to one CertID of that
 * issuer.  MM_ENOTFOUND: the signer has no such responder (any more).
 */
struct mm_ocsp_start_req {
	char issuer[MM_NAME_MAX + 1];
	struct mm_bytes der, kept; /* of a line CA that the signer made, as
	                            * line_open has them; else empty */
	uint8_t use;               /* enum mm_responder_use */
};
/* What the key that start makes is certified for; nothing else. */
enum mm_responder_use {
	MM_RESPONDER_OCSP,
	MM_RESPONDER_CONFIG, /* config_sign */
	MM_RESPONDER_USES
};
struct mm_ocsp_start_rep {
	uint64_t journal_n;
	uint8_t serial[16]; /* of the responder's certificate */
	uint64_t not_before_s, not_after_s;
	uint8_t spki_sha256[32], cert_sha256[32];
};
struct mm_ocsp_sign_req {
	uint8_t responder[16];       /* its serial */
	struct mm_bytes id;          /* CertID, whole */
	uint8_t status, reason;      /* enum mm_ocsp_status; RFC 5280 5.3.1 */
	uint64_t revoked_s;
	uint64_t this_s, next_s;
	struct mm_bytes nonce;
};
struct mm_ocsp_sign_rep { struct mm_bytes der; /* OCSPResponse */ };

/*
 * A fielded device's configuration, signed as pki/confdoc.h says by a key that
 * was started for it.  The journal has a line of each.  MM_ENOTFOUND: the
 * signer has no such key (any more).
 */
struct mm_config_sign_req {
	uint8_t responder[16];       /* its certificate's serial */
	char device[MM_DEVICE_ID_MAX + 1];
	uint8_t certificate[32];     /* hash of the one that asked */
	uint64_t version;
	uint8_t salt[16];            /* MM_SALT_N */
	struct mm_bytes document;
};
struct mm_config_sign_rep { struct mm_bytes der; /* ContentInfo */ };

struct mm_status_req { uint8_t none; };
struct mm_status_rep {
	uint64_t signed_n, refused_n, journal_n, tree_size, outstanding;
	uint8_t issuing; /* 0: stopped (outstanding, clock, journal) */
	char why[161];   /* why not */
	uint64_t now_ms, journal_ms; /* its clock; its last line's time */
	uint32_t ceiling; /* the fullest profile's, in percent */
	char ceiling_profile[MM_NAME_MAX + 1];
	char version[33];
	uint32_t tokens, tokens_away; /* issuers' keys in PKCS#11 tokens */
	uint8_t token_refused;        /* one of them wants another PIN */
	char token_issuer[MM_NAME_MAX + 1], token_why[161];
};

/*
 * A POST that the courier makes: the server has signed it, so that the
 * process that talks to strangers holds no key.  status 0: no answer came,
 * why says the rest.  Answers come in any order, one a frame.
 */
struct mm_deliver_req {
	char url[1025];
	char id[97];         /* webhook-id */
	uint64_t at_s;       /* webhook-timestamp */
	char signature[128]; /* webhook-signature */
	uint32_t timeout_ms; /* 0: webhook_timeout */
	uint32_t want;       /* so much of the answer's body; 0: none of it,
	                      * else one that is longer is no answer */
	struct mm_bytes body;
};
struct mm_deliver_rep {
	uint32_t status, took_ms;
	uint64_t retry_after_s; /* 0: not said */
	char why[161];
	struct mm_bytes body; /* as wanted */
};

/*
 * A certificate that the registrar gets from an existing CA.  It reads the
 * profile in its own configuration, and lets neither a request out nor an
 * answer in that is not the profile's.  Answers come in any order, one a
 * frame.
 */
enum mm_forwarded {
	MM_FORWARD_MADE,    /* der is it */
	MM_FORWARD_REFUSED, /* nothing was made, it said */
	MM_FORWARD_WRONG,   /* something was, which der is if it is one: none
	                     * that may be released */
	MM_FORWARD_AWAY,    /* it was not reached: nothing was made */
	MM_FORWARD_LOST,    /* whether something was made is not known */
	MM_FORWARD_PENDING, /* it has yet to decide: nothing was made so far */
	MM_FORWARD_OURS,    /* the registrar did not ask it, by its own rules */
	MM_FORWARDS
};
struct mm_forward_req {
	char issuer[MM_NAME_MAX + 1], profile[MM_NAME_MAX + 1];
	uint32_t profile_version;
	char device[MM_DEVICE_ID_MAX + 1], product[MM_NAME_MAX + 1];
	char authority[MM_AUTHORITY_MAX + 1];
	uint8_t renewal;
	uint8_t id[16];            /* of this asking */
	uint64_t begin_by_ms;      /* monotonic: later it is not begun, for
				    * nobody would wait for the answer */
	struct mm_bytes csr;
};
struct mm_forward_rep {
	uint8_t how;               /* enum mm_forwarded */
	char why[161];
	struct mm_bytes der;       /* MADE: the certificate; WRONG: SHA-256 of
				    * what is not to be released, or nothing */
	uint64_t retry_after_s;    /* PENDING, AWAY: as it said; OURS: 0, or
				    * it was no rule: there was no time */
};

/* ---- codec ---- */

enum mm_field_type {
	MM_FT_U8, MM_FT_U32, MM_FT_U64,
	MM_FT_FIXED, /* size bytes in place */
	MM_FT_TEXT,  /* char[size], block16 on the wire, no NUL inside */
	MM_FT_BYTES, /* struct mm_bytes, block32; borrowed from the frame */
};
struct mm_field {
	enum mm_field_type type;
	size_t offset, size;
};
struct mm_msg {
	const char *name;
	unsigned links;
	const struct mm_field *req, *rep;
	size_t nreq, nrep;
	size_t req_n, rep_n; /* sizeof the structs */
};
/* By kind; NULL if there is no such kind. */
const struct mm_msg *mm_ipc_msg(unsigned kind);
extern const struct mm_field mm_outstanding_fields[];
extern const size_t mm_outstanding_nfields;

void mm_fields_put(struct mm_buf *out, const struct mm_field *f, size_t nf,
    const void *body);
/* Strict: everything there, nothing left, texts NUL-free and in size. */
MM_MUST enum mm_err mm_fields_get(struct mm_bytes in,
    const struct mm_field *f, size_t nf, void *body, struct mm_why *why);

/* Builds a frame; out->max should be MM_IPC_FRAME_MAX. */
void mm_frame_begin(struct mm_buf *out, unsigned kind);
/* false: would pass the frame's size or count; the frame is as before. */
bool mm_frame_put_req(struct mm_buf *out, uint32_t tag, const void *body);
bool mm_frame_put_rep(struct mm_buf *out, uint32_t tag, enum mm_err rc,
    const char *text, const void *body);
unsigned mm_frame_count(const struct mm_buf *out);

struct mm_frame {
	uint8_t kind;
	bool answer;
	unsigned count;
	struct mm_rd rest;
};
/* MM_EINPUT: a framing error, which ends the session. */
MM_MUST enum mm_err mm_frame_parse(struct mm_bytes in, struct mm_frame *f,
    struct mm_why *why);
/* Next item; false at the end (then f->rest says whether it was clean). */
bool mm_frame_next(struct mm_frame *f, uint32_t *tag, struct mm_bytes *body);
/* Splits an answer's body: the error and its words, or the rest parsed. */
MM_MUST enum mm_err mm_answer_get(unsigned kind, struct mm_bytes body,
    void *rep, struct mm_why *why);

/* ---- sockets ---- */

/* One whole message.  MM_EAGAIN: would block; MM_ENOTFOUND: the peer left. */
MM_MUST enum mm_err mm_ipc_send(int fd, struct mm_bytes frame,
    struct mm_why *why);
MM_MUST enum mm_err mm_ipc_recv(int fd, struct mm_buf *frame,
    struct mm_why *why);
/* Sends a one-item request and waits for its answer, deadline_ms in all.
 * The rep's struct mm_bytes borrow *frame.  For links that one thread uses. */
MM_MUST enum mm_err mm_ipc_call(int fd, unsigned kind, const void *req,
    void *rep, struct mm_buf *frame, int64_t deadline_ms, struct mm_why *why);

/*
 * Fresh links after a restart: the monitor sends descriptors over a control
 * socket (SOCK_SEQPACKET, SCM_RIGHTS), with their roles.
 */
#define MM_LINKS_MAX 40
struct mm_links {
	unsigned n;
	struct { uint16_t role; /* enum mm_link */ int fd; } link[MM_LINKS_MAX];
};
MM_MUST enum mm_err mm_links_send(int control, const struct mm_links *l,
    struct mm_why *why);
MM_MUST enum mm_err mm_links_recv(int control, struct mm_links *l,
    struct mm_why *why);
/* For so many event loops (1 to 34): two issue links, one ledger, one ops, one
 * check, one ocsp, a psk each; both ends, the server's not blocking. */
MM_MUST enum mm_err mm_links_make(unsigned loops, struct mm_links *server,
    struct mm_links *signer, struct mm_why *why);
void mm_links_close(struct mm_links *l);

#endif
