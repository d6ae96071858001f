#ifndef MM_CLI_FACT_H
#define MM_CLI_FACT_H

#include "cli/facts.h"
#include "ledger/note.h"

/*
 * What facts.c, fact_rules.c, fact_rows.c and fact_look.c share: a fact is
 * what the entries say of one record; a row, in the same terms, is what the
 * database says of it.
 */

enum mm_fact_kind {
	MM_FACT_PRODUCT,
	MM_FACT_DEVICE,
	MM_FACT_TOKEN,
	MM_FACT_CERT,
	MM_FACT_OPERATOR,
	MM_FACT_SCHEMA,
	MM_FACT_WEBHOOK,
	MM_FACT_APPROVAL,
	MM_FACT_SECRET,
	MM_FACT_PROFILE,
	MM_FACT_ISSUER,
	MM_FACT_BATCH,
	MM_FACT_STATION,
	MM_FACT_SYNC,
	MM_FACT_LINE,
	MM_FACT_QUARANTINE,
	MM_FACT_GROUP,
	MM_FACT_DEVCONF,
	MM_FACT_GIVEN,
	MM_FACT_KINDS
};
enum { MM_OPERATOR_GOOD, MM_OPERATOR_REVOKED, MM_OPERATOR_RENEWED };
enum { MM_STATION_ACTIVE, MM_STATION_REMOVED };
enum { MM_DEVCONF_SET, MM_DEVCONF_REMOVED };
/* An accept that was cut off has its words in the database, and its entry in
 * the ledger or not yet. */
enum { MM_UNIT_WAITING, MM_UNIT_ACCEPTED, MM_UNIT_REJECTED, MM_UNIT_BEGUN };
enum { MM_WEBHOOK_ACTIVE, MM_WEBHOOK_PAUSED, MM_WEBHOOK_DISABLED };
enum {
	MM_GRANT_WAITING,
	MM_GRANT_APPROVED,
	MM_GRANT_REFUSED,
	MM_GRANT_EXPIRED,
	MM_GRANT_USED
};
/* A token's, after an operator thawed it for its own key: as far as its
 * certificate has come. */
#define MM_FACT_THAWED 0xfdU

/* Times in seconds, 0: none.  There may be some of them for each certificate,
 * so texts are hashes, eight bytes of them. */
struct mm_fact {
	uint8_t key[16];  /* of kind and id */
	uint64_t entry;   /* that told text, or made it: it has the id */
	uint64_t history; /* a device's: sum over its entries' indexes; an
			   * operator's: its next public key */
	uint8_t text[8];  /* of mm_fact_kinds[].told */
	uint8_t who[8];   /* its public key; an approval's: who decided; a
			   * station's: its newest order; a line CA's: whose; a
			   * quarantined unit's: why it was decided so */
	uint32_t name;    /* a device's id as it was written */
	uint32_t owner;   /* a token's, certificate's: its device's place + 1 */
	uint32_t link;    /* a certificate's: its token's; and back */
	uint32_t made_s, confirmed_s, ended_s;
	uint32_t version; /* a device's, certificate's: an index + 1 */
	uint8_t kind, state;
	uint8_t before; /* the state before a hold; a webhook's epoch */
	uint8_t reason; /* of a revocation; a webhook's secret's number */
	bool gone, seen, journalled;
	bool claims; /* a certificate's: its authority was spent on it */
};

struct mm_facts {
	struct mm_facts_of of;
	struct mm_fact *fact;
	uint32_t n, cap;
	uint32_t *place; /* of nplaces, a power of two: a fact's + 1, or 0 */
	uint32_t nplaces;
	/* of the entry before, and its fact's place + 1 */
	enum mm_entry_type last_type;
	uint32_t last_fact;
	char arena[MM_ENTRY_MAX + 64];
};

/* ---- facts.c ---- */

#define MM_FACT_TOLD 6
struct mm_fact_kind_of {
	const char *name;
	enum mm_entry_field id;
	/* More fields that its id is made of, with "/" before each. */
	enum mm_entry_field more[5];
	unsigned nmore;
	/* What its entries tell as texts, and how people call it. */
	struct {
		enum mm_entry_field field;
		const char *column;
	} told[MM_FACT_TOLD];
	unsigned ntold;
	/* How people call the rest; NULL: it has none. */
	const char *made, *confirmed, *ended, *who, *version, *reason, *before;
};
extern const struct mm_fact_kind_of mm_fact_kinds[MM_FACT_KINDS];

/* NULL: no entry ever made one, or it was taken away (gone). */
struct mm_fact *mm_fact_find(
    const struct mm_facts *s, enum mm_fact_kind kind, const char *id);
/* The one that is there, or a new one that this entry made. */
MM_MUST enum mm_err mm_fact_make(struct mm_facts *s, enum mm_fact_kind kind,
    const char *id, uint64_t index, struct mm_fact **out, struct mm_why *why);
static inline uint32_t
mm_fact_place(const struct mm_facts *s, const struct mm_fact *f)
{
	return f != NULL ? (uint32_t)(f - s->fact) + 1 : 0;
}
static inline struct mm_fact *
mm_fact_at(const struct mm_facts *s, uint32_t place)
{
	return place != 0 ? &s->fact[place - 1] : NULL;
}
void mm_fact_hash(const char *text, uint8_t out[8]); /* NULL: as "" */
uint32_t mm_fact_name(const char *name);
/* text: mm_fact_kinds[kind].ntold of them, NULL where there is none. */
void mm_fact_texts(enum mm_fact_kind kind, const char *const text[MM_FACT_TOLD],
    uint8_t out[8]);
/* The texts that an entry tells of a record of that kind. */
void mm_fact_told(enum mm_fact_kind kind, const struct mm_entry *e,
    const char *text[MM_FACT_TOLD]);
/* What an entry calls a record of that kind, from the entry or in out; NULL:
 * it is about none. */
#define MM_FACT_ID_MAX 768
const char *mm_fact_id(
    enum mm_fact_kind kind, const struct mm_entry *e, char out[MM_FACT_ID_MAX]);
/* What an index adds to a device's history. */
uint64_t mm_fact_mix(uint64_t index);
const char *mm_fact_state_name(enum mm_fact_kind kind, unsigned state);
/* Its entry, read again, in the facts' own arena. */
MM_MUST enum mm_err mm_fact_reread(struct mm_facts *s, const struct mm_fact *f,
    struct mm_entry *e, struct mm_why *why);
/* Appends {"record", "difference"}. */
void mm_fact_differ(struct mm_facts *s, enum mm_fact_kind kind, const char *id,
    const char *what);

/* ---- fact_rows.c ---- */

#define MM_SAID_WISHES 16
/* What a row says; texts borrowed from the row and from own. */
struct mm_said {
	const char *id;
	unsigned state;
	uint64_t version;
	int64_t made_ms, confirmed_ms, ended_ms;
	uint8_t who[8];
	uint8_t reason, before;
	const char *text[MM_FACT_TOLD];
	char own[4][65];
	char longer[MM_NOTE_KEY_TEXT + MM_FACT_ID_MAX];
	/* A quarantined unit's: decisions that were begun. */
	uint8_t wish[MM_SAID_WISHES][8];
	unsigned nwishes;
};
typedef enum mm_err mm_said_fn(
    void *ctx, const struct mm_said *said, const void *row, struct mm_why *why);
void mm_said_cert(const struct mm_cert_row *row, struct mm_said *out);
/* All rows of a kind; for certificates, profiles and issuers there is no
 * list here. */
MM_MUST enum mm_err mm_said_each(struct mm_store_reader *db,
    enum mm_fact_kind kind, mm_said_fn *fn, void *ctx, struct mm_why *why);

/* ---- fact_look.c ---- */

MM_MUST enum mm_err mm_fact_look(struct mm_facts *s, struct mm_fact *f,
    const struct mm_said *said, struct mm_why *why);
/* A mm_said_fn. */
struct mm_looking {
	struct mm_facts *s;
	enum mm_fact_kind kind;
};
MM_MUST enum mm_err mm_fact_look_row(
    void *ctx, const struct mm_said *said, const void *row, struct mm_why *why);

#endif
