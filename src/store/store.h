#ifndef MM_STORE_H
#define MM_STORE_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/text.h"
#include "ledger/tile.h"
#include "ledger/tree.h"

/*
 * What the CA remembers.  One interface, one backend per file; callers never
 * see SQL.  The same test suite runs against every backend, so "works on
 * SQLite" means "works".
 *
 * Writes are use cases, handed over in batches to mm_store_run: one
 * transaction, one commit.  An op is atomic: it happens whole, with its
 * ledger entries, or not at all; its own result says which; its neighbours
 * do not notice.  When mm_store_run returns MM_OK, every op whose result is
 * MM_OK is durable.  Entries get their indexes inside the transaction, in the
 * order of the ops; leaf hashes and full tiles are written with them.
 *
 * Times are milliseconds unless a name ends in _s.
 */

#define MM_AUTHORITY_TEXT 97 /* see ipc/msg.h MM_AUTHORITY_MAX */
#define MM_PROFILE_TEXT   (MM_NAME_MAX + 12) /* name@version */

enum mm_token_state {
	MM_TOKEN_MINTED, MM_TOKEN_ISSUED, MM_TOKEN_CONFIRMED, MM_TOKEN_FROZEN,
	MM_TOKEN_CANCELLED, MM_TOKEN_EXPIRED, MM_TOKEN_STATES
};
enum mm_cert_state {
	MM_CERT_ISSUED, MM_CERT_CONFIRMED, MM_CERT_SUPERSEDED, MM_CERT_HELD,
	MM_CERT_REVOKED, MM_CERT_ORPHANED, MM_CERT_STATES
};
enum mm_device_state { MM_DEVICE_ACTIVE, MM_DEVICE_RETIRED };
const char *mm_token_state_name(enum mm_token_state s);
const char *mm_cert_state_name(enum mm_cert_state s);

/* Who made a device's key. */
enum mm_key_origin { MM_ORIGIN_DEVICE, MM_ORIGIN_SERVER, MM_ORIGIN_STATION };
/* As entries and answers have it; "unknown" of what is none. */
static inline const char *
mm_key_origin_name(unsigned origin)
{
	static const char *const names[] = { "device", "server", "station" };

	return origin < sizeof(names) / sizeof(names[0]) ? names[origin]
							  : "unknown";
}

struct mm_product {
	char name[MM_NAME_MAX + 1];
	char description[129];
	char idevid_profile[MM_NAME_MAX + 1]; /* "" none */
	char ldevid_profile[MM_NAME_MAX + 1];
	char hw_type_oid[65];
	int64_t created_at;
	uint64_t version; /* counts from 1: what If-Match compares */
};
struct mm_device {
	char id[MM_DEVICE_ID_MAX + 1]; /* case kept, unique without case */
	char product[MM_NAME_MAX + 1];
	enum mm_device_state state;
	int64_t created_at;
	uint8_t bound_spki[32]; /* the factory's key, all zero: none */
	char attributes[2049];  /* a JSON object, or "" */
	/* Of the hash of attributes that the newest entry about them has; all
	 * zero: none. */
	uint8_t salt[16]; /* MM_SALT_N */
	/* One more than the index of the newest entry about the row itself, 0
	 * if there is none: changes whenever the row does. */
	uint64_t version;
};
struct mm_token_row {
	char id[25]; /* "mm1-..." */
	char device[MM_DEVICE_ID_MAX + 1];
	char product[MM_NAME_MAX + 1];
	char profile[MM_NAME_MAX + 1]; /* "" : the product's */
	enum mm_token_state state;     /* expired: by time, stored late */
	bool bearer;                   /* door: HTTP Basic */
	int64_t created_at, not_before_at, expires_at;
	uint8_t bound_spki[32];        /* all zero: none */
};
/* What deciding on a token takes, in one read. */
struct mm_token_facts {
	struct mm_token_row token;
	struct mm_device device; /* its id "": there is none */
	bool claimed;            /* mm_get_claim may have one */
};
struct mm_cert_row {
	uint8_t serial[16];
	char device[MM_DEVICE_ID_MAX + 1];
	char product[MM_NAME_MAX + 1];
	char issuer[MM_NAME_MAX + 1];
	char profile[MM_PROFILE_TEXT];
	char authority[MM_AUTHORITY_TEXT];
	enum mm_cert_state state;
	bool idevid;
	uint8_t key_origin;    /* enum mm_key_origin */
	uint8_t spki_sha256[32];
	uint8_t cert_sha256[32];
	uint8_t predecessor[16]; /* all zero: none */
	int64_t issued_at, not_before_s, not_after_s;
	int64_t confirmed_at, revoked_at; /* 0: not */
	uint8_t reason;
	uint32_t shard;
	uint64_t entry;        /* ledger index of its issuance */
	uint8_t key_type;      /* a number of the caller's; 0: not known */
};
/* A public key that was certified. */
struct mm_key_use {
	char device[MM_DEVICE_ID_MAX + 1]; /* whose it is */
	bool compromised; /* a certificate of it was revoked as that (1) */
};
/* A claim: which key and certificate an authority was spent on.  A record of
 * that certificate may be gone with its year: then the key is all zero. */
struct mm_claim {
	char authority[MM_AUTHORITY_TEXT];
	uint8_t spki_sha256[32];
	uint8_t serial[16];
	uint32_t replaced;     /* how often in the last 24 h */
	int64_t replaced_at;   /* start of that count */
};
/* Stored as numbers: only ever add at the end. */
enum mm_operator_kind {
	MM_OPERATOR_KEY,         /* an API key */
	MM_OPERATOR_CERTIFICATE, /* the key of a client certificate */
	MM_OPERATOR_RECOVERY,    /* break-glass: the signer's, for an hour */
	MM_OPERATOR_KINDS
};
#define MM_SCOPE_TEXT   1025
#define MM_SOURCES_TEXT 513
/* A person's or a program's credential.  An administrator is who has the role
 * admin, no scope, and is no recovery. */
struct mm_operator {
	char id[17];           /* of the API key: mmk_<id>_<secret> */
	char name[65];         /* for people; erasable: then "" */
	char roles[65];        /* "admin,line": comma-separated */
	uint8_t secret_sha256[32]; /* a key's; else all zero */
	int64_t created_at, expires_at /* 0 never */, revoked_at;
	enum mm_operator_kind kind;
	char description[129];         /* for people; erasable */
	char scope[MM_SCOPE_TEXT];     /* see core.h; "" : all */
	char sources[MM_SOURCES_TEXT]; /* "10.0.0.0/8,::1"; "" : any */
	uint8_t spki_sha256[32];       /* a certificate's; else all zero */
	int64_t used_at;               /* to the hour; 0 never */
	uint8_t next_spki[32];         /* not used yet; else all zero */
	int64_t next_expires_at, renewed_at /* both 0: never renewed */;
	int64_t life_ms;   /* of each of its certificates; 0: not renewed */
};

/* Stored as numbers: only ever add at the end. */
enum mm_doc_kind {
	MM_DOC_SCHEMA,     /* a product's attributes; id: its name */
	MM_DOC_WEBHOOK,
	MM_DOC_DELIVERY,   /* a dead letter; id: webhook "." index */
	MM_DOC_APPROVAL,   /* what waits for a second pair of eyes */
	MM_DOC_ATTEMPT,    /* why a device was refused; id: the device's */
	MM_DOC_NODE,       /* leases of servers over one database */
	MM_DOC_SECRET,     /* a secret's version; id: what it is for */
	MM_DOC_NOTED,      /* what the ledger was told once for all */
	MM_DOC_BEGUN,      /* a call under an Idempotency-Key, not answered */
	MM_DOC_BATCH,      /* a production order */
	MM_DOC_STATION,    /* a place that makes devices; its last order */
	MM_DOC_ORDER,      /* the newest; id: station "/" batch */
	MM_DOC_PAPER,      /* a piece of a text; id: its SHA-256 "." number */
	MM_DOC_UNIT,       /* what became of one; id: batch "/" device */
	MM_DOC_COUNT,      /* its version is a number; see mm_op_share */
	MM_DOC_LINE,       /* whose a credential of the line is; id: its */
	MM_DOC_MINTED,     /* tokens of a day; id: the credential's */
	MM_DOC_SYNC,       /* how far a station's ledger was taken */
	MM_DOC_COPY,       /* a part of it; id: station "/" key "/" index */
	MM_DOC_QUARANTINE, /* what of it does not fit; id: station "/" serial */
	MM_DOC_LINE_CA,    /* one that the signer made; id: its name */
	MM_DOC_CODE,       /* a printed code's token; id: the device's name */
	MM_DOC_GROUP,      /* old credentials that may enrol; id: its name */
	MM_DOC_MEMBER,     /* the next; a device that may: group "/" device */
	MM_DOC_WAITING,    /* one that a person has to look at; so, too */
	MM_DOC_CONFLICT,   /* another key that came for one; so, too */
	MM_DOC_CREDENTIAL, /* an old one; id: "ca/" or "cert/", SHA-256 */
	MM_DOC_DEVCONF,    /* what devices are configured to; id: whose */
	MM_DOC_GIVEN,      /* which of it one was given; id: the device's */
	MM_DOC_SHARDS,     /* how many, and where; id: the issuer's */
	MM_DOC_HANDOVER,   /* its IDevID has a claim again; id: the device's */
	MM_DOC_ASKED,      /* of an existing CA, no answer yet; id: node "/"
	                    * and a number */
	MM_DOC_KINDS
};
#define MM_DOC_ID_MAX 96
#define MM_DOC_MAX    65536       /* a body's bytes */
#define MM_DOC_ANY    UINT64_MAX  /* new, or whatever version it has */
struct mm_doc {
	char id[MM_DOC_ID_MAX + 1];
	uint64_t version;
	struct mm_bytes body;  /* borrowed until the next read */
};

/* ---- writing ---- */

enum mm_op_kind {
	MM_OP_ENTRY,         /* its entries only */
	MM_OP_ISSUE,
	MM_OP_CONFIRM,
	MM_OP_REVOKE,        /* also hold and release */
	MM_OP_ORPHAN,
	MM_OP_TOKEN_MINT,
	MM_OP_TOKEN_STATE,
	MM_OP_PRODUCT_PUT,
	MM_OP_DEVICE_PUT,
	MM_OP_DEVICE_RETIRE,
	MM_OP_OPERATOR_PUT,
	MM_OP_OPERATOR_REVOKE,
	MM_OP_CHECKPOINT_PUT,
	MM_OP_CRL_PUT,
	MM_OP_ANSWER_PUT,    /* an Idempotency-Key's answer */
	MM_OP_DOC_PUT,       /* also takes one away */
	MM_OP_DEVICES_INDEX, /* attributes of some, under another schema */
	MM_OP_OPERATOR_ERASE,
	MM_OP_OPERATOR_USED,
	MM_OP_RESERVE,       /* an authority, for one of several nodes */
	MM_OP_OPERATOR_RENEW,
	MM_OP_OPERATOR_CONFIRM,
	MM_OP_KINDS
};

/*
 * Any op: MM_EINPUT, MM_ELIMIT for what cannot be stored; MM_ENOTFOUND for
 * what it names and nobody knows; none of these spends or writes anything.
 *
 * MM_ECONFLICT when: the authority has a claim (unless replaces), the serial
 * exists, the key belongs to another device or was revoked as compromised,
 * the device is retired or of another product, the token is not in state
 * minted (authority "token:..."), the predecessor or the authority's certificate ("cert:<serial>") is neither
 * issued nor confirmed, or is an unconfirmed one whose own predecessor was
 * held or revoked.
 * replaces: the claim's present serial, which must be unconfirmed; it becomes
 * revoked (superseded, 4) in the same step with entries of its own.
 *
 * Another CA's certificate (its serial's first bit is set: pki/foreign.h) may
 * come again after its record could not be made: an orphan of that serial,
 * device, key and hash is no conflict, and becomes the certificate; its
 * entries go on.
 */
/*
 * A batch that a certificate counts in.  In the same step the counts of the
 * batch and of the station, MM_DOC_COUNT "batch" and "batch/station", become
 * one more, and MM_DOC_UNIT "batch/device" becomes unit.  MM_ECONFLICT: the
 * batch's document is not at that version any more, or a count is not below
 * its most.
 *
 * The same of a group (MM_DOC_GROUP): its count is "group:" and its name,
 * place and station_most are not looked at, and MM_DOC_MEMBER "group/device",
 * the device in lower case, becomes unit; MM_DOC_WAITING of that id is taken
 * away.
 */
struct mm_op_share {
	bool group;
	char batch[MM_NAME_MAX + 1];
	char place[2 * (MM_NAME_MAX + 1)]; /* "batch/station", "batch/" */
	uint64_t version, most, station_most;
	struct mm_bytes unit; /* JSON */
};
struct mm_op_issue {
	struct mm_cert_row row;     /* state and entry are the store's */
	struct mm_bytes der;
	const uint8_t *replaces;    /* 16 bytes or NULL */
	bool confirmed;             /* profile confirm = issue */
	const struct mm_op_share *share; /* NULL: of no batch */
};
/*
 * Idempotent: MM_OK without entries if it was; MM_ECONFLICT if it is held or
 * revoked, or its predecessor is (but as superseded, 4).  The token of its
 * authority follows from issued to confirmed; a frozen one stays frozen until
 * an operator has decided.
 */
struct mm_op_confirm {
	uint8_t serial[16];
	int64_t at;
	const uint8_t *supersedes;  /* predecessor or NULL */
	bool revoke_superseded;
	bool already;               /* out */
};
struct mm_op_revoke {
	uint8_t serial[16];
	/* REVOKED, HELD, or CONFIRMED: back to the state before the hold.
	 * MM_ECONFLICT: what is revoked cannot be held or released.  An orphan
	 * is revoked already; but another CA's, which might come again, becomes
	 * REVOKED, and then is no orphan that could be taken. */
	enum mm_cert_state to;
	uint8_t reason;
	int64_t at;
	bool already;               /* out: it was in that state */
};
struct mm_op_orphan { /* MM_ECONFLICT: the serial exists, so nothing to do */
	struct mm_cert_row row;
	struct mm_bytes der; /* another CA's, whose number is in it; or empty */
};
struct mm_op_token_state { /* MM_ECONFLICT: not in one of from */
	char id[25];
	unsigned from;              /* bit mask of 1 << enum mm_token_state */
	enum mm_token_state to;
	uint8_t bound_spki[32];     /* rebinds when rebind */
	bool rebind;
	bool drop_claim;            /* thaw by rebind: the claim goes */
};
/* replace: or make.  Else MM_ECONFLICT if it exists.
 * if_version: MM_ESTALE if it has another version than row.version. */
struct mm_op_product {
	struct mm_product row;
	bool replace, if_version;
};
/*
 * Replacing keeps name, state, created_at; MM_ECONFLICT: it is retired.  Its
 * certificates are of its product from then on; a token stays of the product
 * that it was minted for.
 * MM_OP_DEVICE_RETIRE: by row.id; MM_OK without entries if it was.
 * MM_ESTALE: it has another version than row.version (if_version), or its
 * product's schema, the document of that name, another than schema
 * (if_schema; 0: none).
 */
struct mm_op_device {
	struct mm_device row;
	bool replace, if_version, if_schema;
	/* It exists with just this content: MM_OK without entries. */
	bool same_is_fine;
	uint64_t schema;
	/* JSON array: members of attributes that a recall finds fast. */
	const char *indexed;        /* NULL: none */
	bool already;               /* out: same_is_fine, and it was */
};
/*
 * The indexed attributes of the product's next devices by name, as they would
 * be if each were put again.  No entries.
 */
struct mm_op_index {
	char product[MM_NAME_MAX + 1];
	char after[MM_DEVICE_ID_MAX + 1]; /* "" : from the first */
	unsigned most;                    /* 1..10,000 */
	const char *indexed;              /* JSON array, or NULL: none */
	uint64_t schema;                  /* as a device's: else MM_ESTALE */
	unsigned done;                    /* out */
	char next[MM_DEVICE_ID_MAX + 1];  /* out; "" : that was the last */
};
/* MM_ECONFLICT: smaller than the last, or larger than the ledger, or the
 * document MM_DOC_NODE "ledger" is not at this version: somebody else signs
 * checkpoints now. */
struct mm_op_checkpoint {
	uint64_t size;
	struct mm_bytes note;
	uint64_t turn;              /* 0: there is no such document */
};
/*
 * The lists of a run: the complete one, those of shards, or both; all of them
 * or none.  MM_ECONFLICT: the number of one is not above its last, or the last
 * one is not the one it follows.
 */
struct mm_op_crl {
	char issuer[MM_NAME_MAX + 1];
	uint64_t number;
	int64_t this_s, next_s;
	struct mm_bytes der;        /* the complete one; empty: it is none */
	const uint64_t *follows;    /* its number, 0 none; NULL: any */
	/* n * (u32 shard, u64 the number it follows or MM_CRL_ANY, u32 length,
	 * DER): by mm_op_crl_shard */
	struct mm_bytes shards;
};
#define MM_CRL_ANY UINT64_MAX
void mm_op_crl_shard(struct mm_buf *shards, uint32_t shard, uint64_t follows,
    struct mm_bytes der);
#define MM_ANSWER_KEPT_MS 86400000 /* docs/reference/rest.md: 24 h */
struct mm_op_answer { /* MM_ECONFLICT: the key has an answer of 24 h */
	char key[129];              /* operator id + Idempotency-Key */
	uint8_t request_sha256[32];
	int status;
	struct mm_bytes body;
	int64_t at;
};

/*
 * A document: what there are few of and nothing hot reads (webhooks,
 * approvals, ...), as JSON that the store does not look into.  Its version
 * counts from 1 and is what If-Match compares; after one that was taken away
 * it counts from 1 again, unless the writer names another (as).
 * MM_ENOTFOUND: there is none to replace or take away; MM_ECONFLICT: it
 * exists (expect 0); MM_ESTALE: it has another version than expected.
 */
struct mm_op_doc {
	enum mm_doc_kind kind;
	char id[MM_DOC_ID_MAX + 1];
	uint64_t expect;            /* 0: must be new; MM_DOC_ANY */
	struct mm_bytes body;       /* empty: takes it away */
	const char *counts[2];      /* of MM_DOC_COUNT, one more; NULL: none */
	const uint64_t *counted;    /* counts[0] is that yet, else MM_ESTALE */
	uint64_t as;                /* the version it gets; 0: the next */
	const struct mm_hash *was;  /* mm_tree_leaf of what it says now, else
	                             * MM_ESTALE; NULL: whatever it says */
	/* In the same step, NULL: none.  ends: the MM_DOC_WAITING of that id
	 * is taken away, if there is one; frees: so is the claim of that
	 * authority, which is no token's. */
	const char *ends, *frees;
	/* NULL: whatever else is.  Only where the record of that serial, hash
	 * and time of issue is (an orphan's, too), else MM_ESTALE: what was
	 * kept until that is written goes with it, and not without. */
	const struct mm_cert_row *with;
	uint64_t version;           /* out: of what now stands; 0: nothing */
};

/*
 * Step 4 of issuance among nodes that share a store: one of them at a time
 * signs on an authority.  It saves signatures that could not be committed;
 * that no authority is spent twice is ISSUE's own rule.  Times are the
 * database's, so nodes' clocks are not compared.  MM_ECONFLICT: another node
 * has it still.  Where no other process can write, it is always free.  No
 * entries.
 */
struct mm_op_reserve {
	char authority[MM_AUTHORITY_TEXT];
	char node[MM_NAME_MAX + 1];
	uint8_t spki[32];
	uint32_t lease_s;           /* 0: gives back what this node has */
	bool same_key;              /* out, MM_ECONFLICT: it has it for this */
};

/*
 * MM_OP_OPERATOR_PUT: MM_ECONFLICT if the id exists, or the certificate's key
 * is (or was) another operator's or is certified for a device.
 * MM_OP_OPERATOR_REVOKE: by id, at revoked_at; MM_OK without entries if it
 * was; MM_EPOLICY: no other administrator would be left.
 * MM_OP_OPERATOR_ERASE: by id, name and description; MM_OK without entries
 * if there are none.
 * MM_OP_OPERATOR_USED: by id, used_at; writes no entries.
 * MM_OP_OPERATOR_RENEW: by id and the key that it has, next_spki until
 * next_expires_at, at renewed_at; MM_OK without entries if it is the next one;
 * MM_EPOLICY: revoked; MM_ESTALE: it has another key by now; MM_ECONFLICT: as
 * with a new one's key.
 * MM_OP_OPERATOR_CONFIRM: by id and next_spki, which becomes its key; MM_OK
 * without entries if it is; MM_EPOLICY, MM_ESTALE as before.
 */

#define MM_OP_ENTRIES 4
/*
 * Entries about one object form a chain, which mm_list_history follows.  An
 * op's entries are about the object it names, but for: the second of an
 * ISSUE that replaces (the replaced certificate's), the second of a CONFIRM
 * (the superseded one's), and all but the last of a TOKEN_MINT (the
 * device's).
 */
struct mm_op {
	enum mm_op_kind kind;
	/* JSON of the ledger entries that go with it, in order. */
	struct mm_bytes entry[MM_OP_ENTRIES];
	unsigned nentries;
	union {
		struct mm_op_issue issue;
		struct mm_op_confirm confirm;
		struct mm_op_revoke revoke;
		struct mm_op_orphan orphan;
		struct {
			struct mm_token_row row;
			/* makes the device if it is not there */
			bool make_device;
		} mint;
		struct mm_op_token_state token;
		struct mm_op_product product;
		struct mm_op_device device;
		struct mm_operator operator_;
		struct mm_op_checkpoint checkpoint;
		struct mm_op_crl crl;
		struct mm_op_answer answer;
		struct mm_op_doc doc;
		struct mm_op_reserve reserve;
		struct mm_op_index index;
	} u;
	/* out */
	enum mm_err result;
	struct mm_why why;
	uint64_t index; /* of its first entry; UINT64_MAX none */
	struct mm_op *next; /* for queues; the store ignores it */
};

struct mm_store;        /* the writing side: one thread at a time */
struct mm_store_reader; /* one thread at a time; as many as wanted */

/* ---- opening ---- */

struct mm_store_backend;
/*
 * url: "sqlite:PATH", or "postgresql://USER@HOST/DATABASE" as libpq takes it
 * but for a password.  create: make the schema in an empty database, else
 * MM_ENOTFOUND.  MM_ECONFLICT: another process writes it (SQLite; PostgreSQL
 * has as many writers as there are nodes, and they take turns); MM_EPOLICY:
 * schema of another version (says which), or a server that would lose what it
 * has committed; MM_EAGAIN: the server is away.
 */
MM_MUST enum mm_err mm_store_open(const char *url, bool create,
    struct mm_store **out, struct mm_why *why);
void mm_store_close(struct mm_store **owner);
/* Needs no mm_store in this process; read-only (reconcile). */
MM_MUST enum mm_err mm_reader_open(const char *url,
    struct mm_store_reader **out, struct mm_why *why);
void mm_reader_close(struct mm_store_reader **owner);
/* A test opens every backend it can. NULL-ended. */
extern const struct mm_store_backend *const mm_store_backends[];
const char *mm_store_backend_scheme(const struct mm_store_backend *b);

/*
 * One transaction for all ops.  Fails as a whole only if nothing happened
 * (MM_EAGAIN: disk full, read-only, locked) or if the outcome of the commit
 * is unknown (MM_ESYS): then look up by serial before saying anything.
 */
MM_MUST enum mm_err mm_store_run(struct mm_store *s, struct mm_op **ops,
    size_t nops, struct mm_why *why);
/* Others may write the same store while this one does. */
bool mm_store_shared(const struct mm_store *s);
/* Size of the ledger as last committed. */
uint64_t mm_store_ledger_size(const struct mm_store *s);
/* Housekeeping off the writer thread (WAL checkpoint): own connection. */
MM_MUST enum mm_err mm_store_tidy(struct mm_store_reader *r,
    struct mm_why *why);

/* What a doctor asks.  deep: reads every page, which takes its time.
 * MM_EAGAIN: it is not reached.  MM_EPOLICY: it is, and could lose what it has
 * committed, or is none of Mintmark's. */
struct mm_store_health {
	/* SQLite */
	char journal_mode[16];
	char problem[128]; /* "" none found */
	/* PostgreSQL */
	char version[16];
	int64_t connections, connections_max; /* of the whole server */
	int year;                             /* its clock's ... */
	unsigned years; /* ... and how many from it on have a partition */
};
MM_MUST enum mm_err mm_store_inspect(struct mm_store_reader *r, bool deep,
    struct mm_store_health *out, struct mm_why *why);

/* ---- reading: MM_ENOTFOUND where there is none ---- */

/* A batch of reads sees one snapshot: begin, reads, end. */
MM_MUST enum mm_err mm_reader_begin(struct mm_store_reader *r,
    struct mm_why *why);
void mm_reader_end(struct mm_store_reader *r);

#define MM_GET(what, keytype, row)                                        \
	MM_MUST enum mm_err mm_get_##what(struct mm_store_reader *r,      \
	    keytype key, struct row *out, struct mm_why *why)
MM_GET(product, const char *, mm_product);
MM_GET(device, const char *, mm_device); /* without case */
MM_GET(token, const char *, mm_token_row);
MM_GET(token_facts, const char *, mm_token_facts);
MM_GET(claim, const char *, mm_claim);
MM_GET(cert, const uint8_t *, mm_cert_row);
MM_GET(operator, const char *, mm_operator);
/* By the SHA-256 of a certificate's SPKI, 32 bytes. */
MM_GET(operator_key, const uint8_t *, mm_operator);
/* By a public key's SHA-256, 32 bytes; MM_ENOTFOUND: certified for nobody. */
MM_GET(key_use, const uint8_t *, mm_key_use);
/* Appends the certificate's DER. */
MM_MUST enum mm_err mm_get_cert_der(struct mm_store_reader *r,
    const uint8_t serial[16], struct mm_buf *der, struct mm_why *why);
/* The device's newest certificate in state confirmed or issued. */
MM_MUST enum mm_err mm_get_device_cert(struct mm_store_reader *r,
    const char *device, bool idevid, struct mm_cert_row *out,
    struct mm_why *why);
/* A certificate whose predecessor is serial, confirmed or not; newest. */
MM_MUST enum mm_err mm_get_successor(struct mm_store_reader *r,
    const uint8_t serial[16], struct mm_cert_row *out, struct mm_why *why);
MM_MUST enum mm_err mm_get_checkpoint(struct mm_store_reader *r,
    uint64_t *size, struct mm_buf *note, struct mm_why *why);
/* der NULL: only what stands beside a list's bytes, which may be many. */
MM_MUST enum mm_err mm_get_crl(struct mm_store_reader *r, const char *issuer,
    uint64_t *number, int64_t *next_s, struct mm_buf *der,
    struct mm_why *why);
/* The list of a shard, with its bytes. */
MM_MUST enum mm_err mm_get_shard(struct mm_store_reader *r,
    const char *issuer, uint32_t shard, uint64_t *number, int64_t *next_s,
    struct mm_buf *der, struct mm_why *why);
/* However old: what is past its time stays until a later one is written. */
struct mm_answer_row {
	uint8_t request_sha256[32];
	int status;
	int64_t at;
};
MM_MUST enum mm_err mm_get_answer(struct mm_store_reader *r, const char *key,
    struct mm_answer_row *out, struct mm_buf *body, struct mm_why *why);
#define MM_NOTED_TEXT 67
/* The SHA-256 of what was entered once for all under this id
 * ("profile:NAME@VERSION").  MM_ENOTFOUND, without a reason: nothing was. */
MM_MUST enum mm_err mm_noted_get(struct mm_store_reader *r, const char *id,
    uint8_t sha256[32], struct mm_why *why);
/* The op that notes it, for the entries to be sealed into; fails with
 * MM_ECONFLICT where it is noted.  body must outlive it. */
void mm_noted_op(const char *id, const uint8_t sha256[32],
    char body[MM_NOTED_TEXT], struct mm_op *op);

/* Appends the body. */
MM_MUST enum mm_err mm_get_doc(struct mm_store_reader *r,
    enum mm_doc_kind kind, const char *id, uint64_t *version,
    struct mm_buf *body, struct mm_why *why);

/* The ledger. */
MM_MUST enum mm_err mm_get_ledger_size(struct mm_store_reader *r,
    uint64_t *size, struct mm_why *why);
MM_MUST enum mm_err mm_get_entry(struct mm_store_reader *r, uint64_t index,
    struct mm_buf *entry, struct mm_why *why);
typedef enum mm_err mm_each_entry_fn(void *ctx, uint64_t index,
    struct mm_bytes entry, struct mm_why *why);
/* [from, to); stops when fn fails. */
MM_MUST enum mm_err mm_each_entry(struct mm_store_reader *r, uint64_t from,
    uint64_t to, mm_each_entry_fn *fn, void *ctx, struct mm_why *why);
/* Hashes of a tile (width * 32 bytes), full or partial, any level. */
MM_MUST enum mm_err mm_get_tile(struct mm_store_reader *r,
    const struct mm_tile_id *id, struct mm_buf *out, struct mm_why *why);

/*
 * Lists, keyset: rows after a key, at most `most`, in the list's order; fn
 * gets a row and the key that continues after it.  Filters are equality on
 * what is not "" / -1 / 0.
 */
struct mm_list {
	char after[MM_AUTHORITY_TEXT]; /* "" : from the start */
	unsigned most;                 /* 1..10,000 */
	const char *device, *product, *issuer, *profile; /* NULL: any */
	int state;                     /* -1: any */
	/* Certificates only: from inclusive, to exclusive; 0: open. */
	int64_t expires_from_s, expires_to_s;
	/* Unconfirmed certificates (state issued) only, exclusive, in ms; 0:
	 * open.  MM_EINPUT together with another state or with expires_*. */
	int64_t issued_to;
	const uint8_t *spki_sha256; /* certificates only; NULL: any */
	/* What was stored last comes first: tokens or certificates of one
	 * device, and not by a time or a key.  Else MM_EINPUT. */
	bool newest_first;
};
typedef enum mm_err mm_row_fn(void *ctx, const void *row, const char *next,
    struct mm_why *why);
/*
 * Products, devices and operators by name or id; tokens and certificates in
 * the order they were stored (near to that of serials, and rows come only at
 * its end), certificates by expiry first where expires_* is given, by time of
 * issue where issued_to is.  A row's key is its id or serial; MM_EINPUT for a
 * key that is not one of the list.
 */
MM_MUST enum mm_err mm_list_products(struct mm_store_reader *r,
    const struct mm_list *l, mm_row_fn *fn, void *ctx, struct mm_why *why);
MM_MUST enum mm_err mm_list_devices(struct mm_store_reader *r,
    const struct mm_list *l, mm_row_fn *fn, void *ctx, struct mm_why *why);
MM_MUST enum mm_err mm_list_tokens(struct mm_store_reader *r,
    const struct mm_list *l, mm_row_fn *fn, void *ctx, struct mm_why *why);
MM_MUST enum mm_err mm_list_certs(struct mm_store_reader *r,
    const struct mm_list *l, mm_row_fn *fn, void *ctx, struct mm_why *why);
MM_MUST enum mm_err mm_list_operators(struct mm_store_reader *r,
    const struct mm_list *l, mm_row_fn *fn, void *ctx, struct mm_why *why);
/* Documents of a kind by id, after and most of the list alone count; prefix:
 * what ids begin with, "" all.  The row is a struct mm_doc. */
MM_MUST enum mm_err mm_list_docs(struct mm_store_reader *r,
    enum mm_doc_kind kind, const char *prefix, const struct mm_list *l,
    mm_row_fn *fn, void *ctx, struct mm_why *why);
/* All of them, by pages, which are not one snapshot; stops when fn fails.  fn
 * may not read with r. */
MM_MUST enum mm_err mm_each_doc(struct mm_store_reader *r,
    enum mm_doc_kind kind, const char *prefix, mm_row_fn *fn, void *ctx,
    struct mm_why *why);
/* How many there are, at most most: a look at so many places of an index. */
MM_MUST enum mm_err mm_count_docs(struct mm_store_reader *r,
    enum mm_doc_kind kind, const char *prefix, unsigned most, unsigned *n,
    struct mm_why *why);
/* Revoked (and held) serials of an issuer not yet expired at now_s, in serial
 * order, for its CRL: the row is a struct mm_cert_row.  They may be many, and
 * come as they are read: fn does not use r. */
MM_MUST enum mm_err mm_list_revoked(struct mm_store_reader *r,
    const char *issuer, int64_t now_s, mm_row_fn *fn, void *ctx,
    struct mm_why *why);
/* The same of some shards, from the first to the last, in serial order; and
 * orphans, whose shard nobody has looked up, as those of MM_SHARD_NONE. */
#define MM_SHARD_NONE (-1)
struct mm_shards_of {
	const char *issuer;
	int64_t now_s;
	int64_t from, to;
};
MM_MUST enum mm_err mm_list_revoked_shards(struct mm_store_reader *r,
    const struct mm_shards_of *of, mm_row_fn *fn, void *ctx,
    struct mm_why *why);
/* The lists of an issuer's shards that there are, without their bytes: the row
 * is a struct mm_shard_row.  fn does not use r. */
struct mm_shard_row {
	uint32_t shard;
	uint64_t number;
	int64_t next_s;
};
MM_MUST enum mm_err mm_list_shards(struct mm_store_reader *r,
    const char *issuer, mm_row_fn *fn, void *ctx, struct mm_why *why);
/* How many certificates in state issued were issued before before_ms, at most
 * most: a look at so many places of an index. */
MM_MUST enum mm_err mm_get_unconfirmed(struct mm_store_reader *r,
    int64_t before_ms, uint64_t most, uint64_t *n, struct mm_why *why);

/*
 * A walk over all certificates in force (issued, confirmed, held) for when
 * they end: `most` at a time, product and issuer after product and issuer, in
 * each by its end.  Begins at {0}.  A class that is empty counts as one of
 * `most`: it costs a look at an index.  Ends early at until_ms (mm_mono_ms; 0:
 * no end), a step further at least.  What changes state meanwhile may be
 * missed, or come twice.
 */
struct mm_ending {
	char product[MM_NAME_MAX + 1], issuer[MM_NAME_MAX + 1];
	char profile[MM_PROFILE_TEXT]; /* name@version */
	enum mm_cert_state in;
	int64_t not_after_s;
	bool over;
	int64_t class, id; /* the store's own, with state */
	unsigned state;
};
typedef void mm_end_fn(void *ctx, const struct mm_ending *at);
MM_MUST enum mm_err mm_walk_ends(struct mm_store_reader *r,
    struct mm_ending *at, unsigned most, int64_t until_ms, mm_end_fn *fn,
    void *ctx, struct mm_why *why);

/*
 * A device's history, newest first: entries of its own, of its tokens and of
 * its certificates, as the chains of ops give them; at most `most` of those
 * before the index `before` (UINT64_MAX: all).  MM_ENOTFOUND: no such device.
 */
MM_MUST enum mm_err mm_list_history(struct mm_store_reader *r,
    const char *device, uint64_t before, unsigned most, mm_each_entry_fn *fn,
    void *ctx, struct mm_why *why);

/* ---- recall: devices under any combination of conditions ---- */

enum mm_where_op {
	MM_WHERE_EQ, MM_WHERE_PREFIX, /* of a text */
	MM_WHERE_LT, MM_WHERE_LE, MM_WHERE_GT, MM_WHERE_GE,
	MM_WHERE_OPS
};
/* A member of a device's attributes; true is 1 and false 0. */
struct mm_where {
	char name[MM_NAME_MAX + 1];
	enum mm_where_op op;
	bool is_number, indexed; /* indexed: by every device that has it */
	double number;
	char text[129];
};
#define MM_WHERE_MOST   8
#define MM_RECALL_AFTER 320
struct mm_recall {
	char after[MM_RECALL_AFTER]; /* "" : from the start */
	unsigned most;               /* 1..10,000 */
	unsigned scan;               /* devices looked at, at most */
	int64_t until_ms;            /* mm_mono_ms, about; 0: no end */
	const char *device;          /* this one alone; NULL: any */
	const char *product;         /* NULL: any */
	int state;                   /* -1: any */
	int64_t created_from, created_to; /* ms; 0: open; to is exclusive */
	/* That have a certificate of which all of these hold. */
	const char *issuer;          /* NULL: any */
	int64_t issued_from, issued_to;
	uint8_t key_type;            /* 0: any */
	struct mm_where where[MM_WHERE_MOST];
	unsigned nwhere;
	/* Rows may stand out of the order of their times by more than
	 * MM_RECALL_SLACK_MS: a time leads, but all rows are walked. */
	bool unordered;
};
#define MM_RECALL_SLACK_MS 5000
/*
 * Each device for which all conditions hold, once, in an order that depends
 * on which condition leads: the device, an indexed attribute, then a time, then
 * the product, then a certificate's issuer or key; *next continues ("" : there is
 * no more).  A page ends early, with *next, when `scan` were looked at or the
 * time is up; one at least is looked at.
 * MM_EINPUT: after is not a key of this recall.
 */
MM_MUST enum mm_err mm_recall_devices(struct mm_store_reader *r,
    const struct mm_recall *q, mm_row_fn *fn, void *ctx,
    char next[MM_RECALL_AFTER], struct mm_why *why);

struct mm_store_counts { /* kept as counters, not counted */
	/* certs: orphans too; revoked: what a CRL lists, so held ones too */
	uint64_t products, devices, tokens, certs, revoked, entries;
};
MM_MUST enum mm_err mm_get_counts(struct mm_store_reader *r,
    struct mm_store_counts *out, struct mm_why *why);

#endif
