#ifndef MM_CORE_MASS_H
#define MM_CORE_MASS_H

#include "core/core.h"

/*
 * Certificates by selection: all conditions that are not "" or 0 hold.  batch:
 * of the devices of its serial numbers, whoever made them, and of what else it
 * has on record; station: of the devices that it made (with batch: there).
 * Their later certificates too.
 * serials: these, and nothing else is looked at.
 */
#define MM_SELECTION_WHERE 1024
struct mm_selection {
	char batch[MM_NAME_MAX + 1], station[MM_NAME_MAX + 1];
	char product[MM_NAME_MAX + 1], issuer[MM_NAME_MAX + 1];
	char profile[MM_PROFILE_TEXT], device[MM_DEVICE_ID_MAX + 1];
	int64_t issued_from, issued_to; /* milliseconds; to is exclusive */
	uint8_t key_type;               /* as in struct mm_cert_row */
	/* Of devices that have these attributes now: conditions as in a recall
	 * (where.h); with product, of devices that are of it now. */
	char where[MM_SELECTION_WHERE];
	/* Records stand by their time of issue, within MM_RECALL_SLACK_MS: the
	 * walk ends at issued_to. */
	bool in_order;
	const uint8_t *serial; /* MM_SERIAL_N bytes each */
	size_t nserials;
};
enum mm_mass_verb { MM_MASS_REVOKE, MM_MASS_HOLD, MM_MASS_RELEASE };
#define MM_MASS_SAMPLE 10
#define MM_MASS_AFTER  512
struct mm_mass {
	enum mm_mass_verb verb;
	unsigned reason;   /* of revoking */
	bool dry_run;      /* counts alone */
	/* When this call ends, looking or not: of certificates to be changed;
	 * of records looked at, about; of time. */
	uint64_t most, rows;
	int64_t run_ms;
	char after[MM_MASS_AFTER]; /* next of the call before; "" : begins */
	/* What was approved, where that is bounded (before not 0): of those
	 * that were issued before then no more than room. */
	int64_t before;
	uint64_t room;
	/* out */
	uint64_t found;    /* in a state to be changed */
	uint64_t older;    /* ... of it, issued before then */
	uint64_t spent;    /* ... and changed by this call, failed or not */
	uint64_t changed;  /* unconfirmed successors, too */
	uint64_t refused;  /* something else was done to it meanwhile */
	uint64_t unknown;  /* serials of nothing */
	uint64_t state[MM_CERT_STATES]; /* of all that were looked at */
	struct mm_cert_row sample[MM_MASS_SAMPLE];
	unsigned nsample;
	bool left;         /* there may be more ... */
	char next[MM_MASS_AFTER]; /* ... and the same call goes on here */
};
/* MM_ENOTFOUND: no such batch.
 * MM_EINPUT: nothing is selected; the reason does not revoke; an attribute is
 * none that has an index; after is not of such a call.  MM_ECONFLICT: it is
 * more than there is room for, and what is above that was not changed. */
MM_MUST enum mm_err mm_desk_mass(struct mm_desk *d, const struct mm_login *by,
    const struct mm_selection *of, struct mm_mass *m, struct mm_why *why);
/*
 * mm_desk_where (core.h), for what is to be changed: MM_EINPUT, too, if one of
 * the conditions is of an attribute that no schema marks as indexed, or that
 * the schema of a product asked for neither marks nor forbids, or whose index
 * is still being made.  So a name that is misspelt is no empty selection.
 */
MM_MUST enum mm_err mm_desk_where_marked(struct mm_desk *d, const char *text,
    struct mm_recall *q, struct mm_why *why);

/*
 * Tokens by selection, likewise.
 */
struct mm_token_selection {
	char product[MM_NAME_MAX + 1], batch[MM_NAME_MAX + 1];
	int64_t created_from, created_to; /* milliseconds; to is exclusive */
};
enum mm_token_verb { MM_TOKENS_THAW, MM_TOKENS_CANCEL };
struct mm_token_mass {
	enum mm_token_verb verb;
	char reason[MM_NAME_MAX + 1]; /* a word, for the entries; "" none */
	bool dry_run;
	uint64_t most, rows; /* as in struct mm_mass */
	int64_t run_ms;
	char after[MM_MASS_AFTER];
	/* out */
	uint64_t found, changed, refused;
	uint64_t state[MM_TOKEN_STATES];
	struct mm_token_row sample[MM_MASS_SAMPLE];
	unsigned nsample;
	bool left;
	char next[MM_MASS_AFTER];
};
/* Thawing keeps the first key.  MM_EINPUT: nothing is selected; after is not
 * of such a call. */
MM_MUST enum mm_err mm_desk_token_mass(struct mm_desk *d,
    const struct mm_login *by, const struct mm_token_selection *of,
    struct mm_token_mass *m, struct mm_why *why);

#endif
