#ifndef MM_CORE_GROUP_H
#define MM_CORE_GROUP_H

#include "base/buf.h"
#include "core/core.h"
#include "pki/token.h"
#include "work/order.h"
#include "work/serials.h"

/*
 * Bootstrap groups: devices in the field that come for their permanent
 * identity with an old or shared certificate, with a secret that they share, or
 * with nothing.
 *
 * A group is a document: which old credentials count, which devices may come
 * with them, until when and how many.  All that was decided ("plan") has its
 * SHA-256 in the group's entries, as a batch's has.  What is known of a device
 * is a member, a document of its own; a device that is in the group's range
 * and nobody has said anything of has none.
 *
 * A group gives a right to one enrolment of each device and to nothing else.
 * Its claims are made under the authority "group:ID/device".
 */
#define MM_GROUP_ID_MAX      20 /* "group:" ID "/" device is an authority */
#define MM_GROUP_AUTHORITY   "group:"
#define MM_GROUP_CREDENTIALS 64 /* of a group; others stand in its rows */
#define MM_GROUP_NOTE        129
#define MM_GROUP_ADDRESS     129
#define MM_GROUP_WAITING     1000 /* that wait for a person, preset */
#define MM_GROUP_PAIRING     20 /* ... of a group of kind none */
#define MM_GROUP_CONFLICTS   20

enum mm_group_kind {
	MM_GROUP_CA,           /* any certificate that chains to one of its */
	MM_GROUP_CERTIFICATES, /* just these, and those of its rows */
	MM_GROUP_NONE,         /* nothing: a person compares a code */
	MM_GROUP_CLAIM,        /* one secret, which the signer made */
	MM_GROUP_KINDS
};
extern const char *const mm_group_kind_words[MM_GROUP_KINDS];

struct mm_group {
	char id[MM_GROUP_ID_MAX + 1];
	int state;              /* enum mm_work_state */
	int kind;               /* enum mm_group_kind */
	char product[MM_NAME_MAX + 1];
	char profile[MM_NAME_MAX + 1]; /* "" : the product's */
	char range[MM_SERIALS_TEXT];   /* "" : those of its list alone */
	int64_t created_at, closed_at, until_ms;
	int64_t most;           /* certificates in all */
	int64_t conflicts_most; /* more than so many, and it pauses */
	int64_t forgiven;       /* conflicts before it was opened */
	int64_t waiting_most;
	bool accept_expired;    /* old certificates past their end */
	bool names;             /* the old certificate names its device */
	bool bearer;            /* CLAIM: by HTTP Basic, too */
	bool legacy;            /* weak ones count, at the legacy listener */
	char secret[MM_TOKEN_ID_TEXT]; /* CLAIM: its id; else "" */
	uint8_t credential[MM_GROUP_CREDENTIALS][32]; /* SHA-256 */
	size_t ncredentials;
	char note[MM_GROUP_NOTE]; /* of the last change: why */
	char salt[33];            /* so that the note cannot be guessed */
	uint64_t version;         /* the document's; 0: new */
};
MM_MUST enum mm_err mm_group_parse(
    const struct mm_doc *doc, struct mm_group *out, struct mm_why *why);
MM_MUST enum mm_err mm_group_get(struct mm_store_reader *r, const char *id,
    struct mm_group *out, struct mm_why *why);
/* All that was decided, as JSON. */
void mm_group_plan(const struct mm_group *g, struct mm_buf *out);
bool mm_group_id_valid(const char *id);
/* open and paused become each other, both become closed; MM_ECONFLICT. */
MM_MUST enum mm_err mm_group_become(
    struct mm_group *g, int state, struct mm_why *why);

/* How many certificates it gave, conflicts there were, and rows it has. */
struct mm_group_counts {
	int64_t made, conflicts, listed;
	unsigned waiting; /* at most waiting_most */
};
MM_MUST enum mm_err mm_group_counts(struct mm_store_reader *r,
    const struct mm_group *g, struct mm_group_counts *out,
    struct mm_why *why);
/* Since it was opened last there were too many: it is paused, whatever its
 * state is. */
static inline bool
mm_group_halted(const struct mm_group *g, int64_t conflicts)
{
	return conflicts - g->forgiven > g->conflicts_most;
}

/* Of all groups at once. */
struct mm_groups_tally {
	uint64_t open, paused, halted, ended; /* halted: by conflicts; ended:
	                                       * past its end, not closed */
	uint64_t waiting;   /* of those that are not closed */
	uint64_t conflicts; /* ... too, since each was opened */
};
MM_MUST enum mm_err mm_groups_tally(struct mm_store_reader *r,
    struct mm_groups_tally *out, struct mm_why *why);

/* ---- members ---- */

enum mm_member_state {
	MM_MEMBER_NONE,     /* no document: of the range, or not at all */
	MM_MEMBER_LISTED,   /* may come */
	MM_MEMBER_APPROVED, /* with this key */
	MM_MEMBER_REFUSED,  /* not with this key */
	MM_MEMBER_ISSUED,   /* came, with this key */
	MM_MEMBER_STATES
};
extern const char *const mm_member_words[MM_MEMBER_STATES];
struct mm_group_member {
	char device[MM_DEVICE_ID_MAX + 1]; /* as it is written */
	int state;                         /* enum mm_member_state */
	int64_t at;                        /* of that */
	char by[17];                       /* who decided; "" nobody */
	char note[MM_GROUP_NOTE];          /* of its release: why; or "" */
	char salt[33];                     /* ... as a group's */
	uint8_t spki[32];
	/* Second facts; zero or "" : none.  key: of the new key; hardware: the
	 * hash of the id that its request has; certificate: its own old one. */
	uint8_t key[32], hardware[32], certificate[32];
	char address[MM_GROUP_ADDRESS];
	uint64_t version;                  /* the document's; 0: new */
};
void mm_member_put(const struct mm_group_member *m, struct mm_buf *body);
MM_MUST enum mm_err mm_member_parse(
    const struct mm_doc *doc, struct mm_group_member *out, struct mm_why *why);
/* MM_OK and NONE: there is none. */
MM_MUST enum mm_err mm_member_get(struct mm_store_reader *r,
    const char *group, const char *device, struct mm_group_member *out,
    struct mm_why *why);
/* The id of a document about that device; without case. */
void mm_member_id(const char *group, const char *device,
    char id[MM_DOC_ID_MAX + 1]);
/* What the device's claim in that group is made under. */
void mm_group_authority(const char *group, const char *device,
    char out[MM_AUTHORITY_TEXT]);
/* Of a hardware id as a request has it; never all zero. */
void mm_member_hardware(const char *device, const char *id, uint8_t out[32]);

/* One that waits for a person, or another key that came: MM_DOC_WAITING,
 * MM_DOC_CONFLICT. */
struct mm_caller {
	char device[MM_DEVICE_ID_MAX + 1];
	uint8_t spki[32], credential[32];
	char peer[MM_PEER_TEXT];
	char reason[40]; /* of a conflict */
	int64_t at;
	uint64_t version;
};
void mm_caller_put(const struct mm_caller *c, struct mm_buf *body);
MM_MUST enum mm_err mm_caller_parse(
    const struct mm_doc *doc, struct mm_caller *out, struct mm_why *why);
/* MM_ENOTFOUND, without words. */
MM_MUST enum mm_err mm_caller_get(struct mm_store_reader *r,
    enum mm_doc_kind kind, const char *group, const char *device,
    struct mm_caller *out, struct mm_why *why);

/* ---- old credentials ---- */

/*
 * Which groups a credential is of: so many that are not closed, and of those
 * that are the last ones, for what was theirs is told again.  A device is of
 * the one by which it has a certificate, else of the first open one that has
 * it.  With the certificate of a CA, which chains are verified to.
 */
#define MM_CREDENTIAL_OPEN   16
#define MM_CREDENTIAL_GROUPS 32
struct mm_credential {
	char group[MM_CREDENTIAL_GROUPS][MM_GROUP_ID_MAX + 1];
	size_t n;
	struct mm_buf der; /* of a CA; else empty */
	bool has_crl;
	uint8_t crl[32];   /* of its revocation list, a paper; zero: none */
	uint64_t version;
};
enum mm_credential_kind {
	MM_CREDENTIAL_CERT, MM_CREDENTIAL_CA, MM_CREDENTIAL_SECRET,
	MM_CREDENTIAL_NOTHING, MM_CREDENTIAL_KINDS
};
void mm_credential_done(struct mm_credential *c);
void mm_credential_id(enum mm_credential_kind kind, const uint8_t sha256[32],
    char id[MM_DOC_ID_MAX + 1]);
/* out is an initialised one; MM_ENOTFOUND, without words. */
MM_MUST enum mm_err mm_credential_get(struct mm_store_reader *r,
    enum mm_credential_kind kind, const uint8_t sha256[32],
    struct mm_credential *out, struct mm_why *why);
MM_MUST enum mm_err mm_credential_parse(
    const struct mm_doc *doc, struct mm_credential *out, struct mm_why *why);
#define MM_CREDENTIAL_INIT { .der = MM_BUF_INIT(MM_CERT_MAX) }
#define MM_CREDENTIAL_CAS "ca/" /* ids of documents of CAs begin so */
#define MM_CREDENTIAL_CAS_MAX 64
#define MM_CREDENTIAL_SECRETS "secret/"
#define MM_CREDENTIAL_SECRETS_MAX 64
#define MM_CREDENTIAL_NOTHINGS "nothing/"
/* Two that are made at once, here or by another node, may find the last place:
 * so many of each are taken in. */
#define MM_CREDENTIAL_TAKEN 128

/* ---- the desk ---- */

/* A CA's certificate, else der is empty. */
struct mm_old_one {
	enum mm_credential_kind kind;
	uint8_t sha256[32];
	struct mm_bytes der;
};
/* Stores it with its entry: created where its version is 0, after its
 * credentials; else changed, for that reason (a word).  MM_ESTALE, MM_ECONFLICT
 * as a document. */
MM_MUST enum mm_err mm_desk_group_put(struct mm_desk *d,
    const struct mm_login *by, struct mm_group *g, const char *reason,
    struct mm_why *why);
/* A credential is the group's, too.  MM_ELIMIT: it is of many already. */
MM_MUST enum mm_err mm_desk_credential_put(struct mm_desk *d,
    const struct mm_group *g, const struct mm_old_one *one,
    struct mm_why *why);
/* Rows of the list, up to 1,000; each has its own result, and column which
 * part of it is wrong.  hash: of the request, for the entry. */
struct mm_group_row {
	struct mm_group_member m;
	/* out */
	enum mm_err result;
	struct mm_why why;
	bool already;
};
MM_MUST enum mm_err mm_desk_group_list(struct mm_desk *d,
    const struct mm_login *by, const struct mm_group *g,
    struct mm_group_row *row, size_t n, const uint8_t hash[32],
    struct mm_why *why);
/* Makes room for so many more CAs, or secrets: of those whose groups are all
 * closed the ones that were closed first are forgotten, before them those of
 * groups that came to nothing.  MM_ELIMIT: there is none. */
MM_MUST enum mm_err mm_desk_credential_room(struct mm_desk *d,
    enum mm_credential_kind kind, size_t n, struct mm_why *why);
/*
 * A CA's own revocation list, for all groups that have it (pki/oldcrl.h);
 * verified by the caller.  MM_ENOTFOUND: no group has that CA.
 */
MM_MUST enum mm_err mm_desk_credential_crl(struct mm_desk *d,
    const uint8_t ca[32], struct mm_bytes der, struct mm_why *why);
/* Appends the DER of the list under that hash. */
MM_MUST enum mm_err mm_credential_crl(struct mm_store_reader *r,
    const uint8_t sha256[32], struct mm_buf *out, struct mm_why *why);
/*
 * What a device has claimed, or a person has decided of it, is over: it may
 * come again, with any key.  A certificate that it has not proved is revoked
 * first.  MM_ENOTFOUND: nothing was decided; MM_ECONFLICT: it has proved its
 * certificate.  note: why, for its hash in the entry; m: as it is then.
 */
MM_MUST enum mm_err mm_desk_group_release(struct mm_desk *d,
    const struct mm_login *by, const char *group, const char *device,
    const char *note, struct mm_group_member *m, struct mm_why *why);
/*
 * Who waits may come with that key, or not; MM_ENOTFOUND: nobody waits;
 * MM_ECONFLICT: another key does, or the time of its code is over.  code:
 * instead of the key, of a group of kind none; "".
 */
struct mm_group_decision {
	const char *group, *device;
	uint8_t spki[32];
	char code[MM_PAIRING_TEXT];
	bool approve;
};
MM_MUST enum mm_err mm_desk_group_decide(struct mm_desk *d,
    const struct mm_login *by, const struct mm_group_decision *what,
    struct mm_why *why);
/* The secret of a group that is being made: its id into the group, all of it
 * into text, which is shown once and wiped. */
MM_MUST enum mm_err mm_desk_group_secret(struct mm_desk *d,
    struct mm_group *g, char text[MM_TOKEN_TEXT], struct mm_why *why);
/* Housekeeping: those whose time is over wait no longer. */
MM_MUST enum mm_err mm_desk_pairing_tidy(struct mm_desk *d,
    struct mm_why *why);

#endif
