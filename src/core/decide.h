#ifndef MM_CORE_DECIDE_H
#define MM_CORE_DECIDE_H

#include "core/core.h"
#include "core/group.h"

struct mm_work_order;
struct mm_batch_facts {
	char name[MM_NAME_MAX + 1], station[MM_NAME_MAX + 1]; /* of the job */
	bool found;
	const struct mm_work_order *order; /* until the next batch is read */
	int state;                  /* enum mm_work_state */
	uint64_t version;
	bool has_serial, has_share; /* the device, the station */
	bool shared;                /* it names whose it is */
	bool quarantined;           /* the device: a person has to look */
	bool offline;               /* its stations sign, not the centre */
	int64_t made, most, station_made, station_most;
};

/* What the group of an old credential says of the device that came with it. */
struct mm_group_facts {
	bool known;              /* the credential is some group's */
	bool of_it;              /* and the device is of that group */
	char id[MM_GROUP_ID_MAX + 1];
	char device[MM_DEVICE_ID_MAX + 1]; /* as it is on record */
	char product[MM_NAME_MAX + 1], profile[MM_NAME_MAX + 1];
	int state;               /* enum mm_work_state */
	uint64_t version;
	int64_t until_ms, made, most;
	bool expired, accepts_expired, weak, revoked;
	bool halted;             /* by too many conflicts */
	bool last;               /* one more, and it is */
	bool differs;            /* a second fact that it should have */
	bool foreign;            /* ... as another row's certificate came */
	bool bound;              /* one holds, or the credential is its own */
	bool fielded;            /* it has proved another identity */
	bool makes;              /* nobody has registered it */
	struct mm_group_member member;
	bool pairs;              /* a person has to compare a code, whatever
	                          * else holds; who comes proves nothing */
	bool bearer;             /* its secret may come in a header */
	bool basic;              /* ... and has */
	bool waits;              /* somebody does, with ... */
	uint8_t waiting_spki[32];
	int64_t waiting_at;      /* since */
	uint64_t waiting_version; /* its document's */
	bool queue_full;
	bool crowded;            /* whence it came enough wait already */
	bool conflict_known;     /* this key came before, and was counted */
};

/*
 * The policy: facts in, verdict out, nothing else.  It reads no store, no
 * clock and no file, so a test can walk every row.  What no table names is
 * refused.
 */
struct mm_facts {
	int64_t now_ms;
	const struct mm_config *config;
	/* the request */
	enum mm_authority_kind authority;
	enum mm_job_kind job;
	const char *label;
	enum mm_key_type key_type;
	uint8_t spki[32];
	char cn[65], serial_number[65];     /* its subject's, "" absent */
	bool san_differs;                   /* one is there, and another one */
	bool binding_ok, binding_wrong;
	bool expired;                       /* the TLS certificate */
	bool beside_other;                  /* a certificate came with the
	                                     * token or is to be replaced by
	                                     * it, of another device */
	bool line;                          /* role line alone asks ... */
	bool fielded;                       /* ... for a device that has
	                                     * proved another key */
	bool proved;                        /* secret or handshake right */
	bool guessed;                       /* nobody looked: codes.h */
	uint8_t cert_sha256[32];            /* of the TLS certificate */
	char claim_name[MM_AUTHORITY_TEXT]; /* what the claim is made under */
	/* the records */
	bool has_token, has_device, has_product, has_cert, has_claim,
	    has_claimed, has_newest;
	struct mm_token_row token;
	struct mm_device device;
	struct mm_cert_row cert;            /* the TLS identity's */
	struct mm_claim claim;
	struct mm_cert_row claimed;         /* the claim's certificate */
	struct mm_cert_row newest;          /* the device's newest LDevID */
	bool paced;                         /* as many renewals as there may
	                                     * be are behind the certificate */
	char predecessor_issuer[MM_NAME_MAX + 1]; /* of cert.predecessor */
	enum mm_cert_state predecessor_state;
	uint8_t predecessor_reason;
	char cert_cn[65], cert_serial_number[65];
	bool key_compromised;               /* one of its was revoked as that */
	char key_device[MM_DEVICE_ID_MAX + 1]; /* whose the key is, "" nobody's */
	struct mm_batch_facts batch;
	struct mm_group_facts group;
	/* last: it outlives a job, until its snapshot ends; see facts.c */
	struct mm_product product;
};

enum mm_act { MM_ACT_REFUSE, MM_ACT_ISSUE, MM_ACT_REPLAY, MM_ACT_CONFIRM,
	MM_ACT_DONE };

enum mm_effect { /* what else a verdict writes */
	MM_FX_ALERT = 1 << 0,
	MM_FX_FREEZE = 1 << 1,
	MM_FX_HOLD = 1 << 2,   /* the claimed certificate */
	MM_FX_EXPIRE = 1 << 3, /* the token's end was noticed */
	MM_FX_LATE = 1 << 4,   /* renewed after its end, within the grace */
	MM_FX_PROVED = 1 << 5, /* the presented certificate was unconfirmed */
	MM_FX_RENEWAL = 1 << 6,
	MM_FX_WAIT = 1 << 7,     /* it waits for a person from now on */
	MM_FX_CONFLICT = 1 << 8, /* another key, not counted before */
	MM_FX_MAKE = 1 << 9,     /* ISSUE: the device is registered first */
};

struct mm_named { /* a certificate, as entries name it */
	uint8_t serial[16];
	char issuer[MM_NAME_MAX + 1];
};

struct mm_verdict {
	enum mm_act act;
	enum mm_reason reason;
	enum mm_err code;
	unsigned effects;
	const struct mm_profile *profile;   /* ISSUE */
	char authority[MM_AUTHORITY_TEXT];
	char device[MM_DEVICE_ID_MAX + 1], product[MM_NAME_MAX + 1];
	bool replaces;                      /* ISSUE: claimed is revoked */
	struct mm_named claimed;            /* to replay, replace or hold */
	struct mm_named presented;          /* the TLS certificate */
	struct mm_named predecessor;
	bool revoke_superseded;             /* CONFIRM */
	bool in_batch;                      /* ISSUE: counts in share */
	bool in_group;                      /* ... too, with its member */
	char group[MM_GROUP_ID_MAX + 1];    /* "" none */
	struct mm_group_member member;            /* as it is */
	bool halts;                         /* CONFLICT: the last it bears */
	bool pairs;                         /* nobody has proved anything */
	uint64_t replaced;                  /* WAIT: the version of that whose
	                                     * time was over, or 0 */
	struct mm_op_share share;           /* but its unit */
};

void mm_decide(const struct mm_facts *f, struct mm_verdict *out);
/* Its time in the queue is over: its key is refused, its place another's. */
bool mm_group_is_late(const struct mm_facts *f);
/* What a reason means to the caller. */
enum mm_err mm_reason_code(enum mm_reason r);

#define MM_REPLACEMENTS_MAX 3
#define MM_REPLACEMENTS_MS  INT64_C(86400000)
#define MM_REPLAY_MS        (7 * MM_REPLACEMENTS_MS)

#endif
