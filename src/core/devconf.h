#ifndef MM_CORE_DEVCONF_H
#define MM_CORE_DEVCONF_H

#include "core/core.h"
#include "line/fill.h"
#include "pki/key.h"

/*
 * Configuration in the field.
 *
 * A set says what the devices of a product, of a batch, or one device are
 * configured to: a template (line/fill.h), and perhaps a table with a row for
 * each device, as of an initial configuration (line/initial.h), or else fields
 * from the device's attributes.  The set nearest to the device gives all of
 * its document: device before batch before product; nothing is merged.  Which
 * is the device's batch its certificates' entries say; a device that has come
 * to another product is of no batch any more.
 *
 * A set is a document whose version counts its changes; it stays when it is
 * removed, empty.  What a device was given is a document, too: its version
 * goes up whenever what the device gets becomes another document, whatever
 * made it so, and is stored before that leaves: so it never comes down.
 */
enum mm_devconf_scope {
	MM_DEVCONF_PRODUCT, MM_DEVCONF_BATCH, MM_DEVCONF_DEVICE,
	MM_DEVCONF_SCOPES
};
extern const char *const mm_devconf_scope_words[MM_DEVCONF_SCOPES];

#define MM_DEVCONF_PAST 20 /* changes that a set remembers */
struct mm_devconf_change {
	uint64_t version;
	int64_t at;
	char by[17];
	bool removed;
	/* Papers; zero: none.  detail: of the three hashes and of the salt,
	 * without which a short table could be guessed. */
	uint8_t template[32], table[32], schema[32], detail[32];
	uint8_t salt[MM_SALT_N];
};
struct mm_devconf {
	enum mm_devconf_scope scope;
	char id[MM_DEVICE_ID_MAX + 1];
	char product[MM_NAME_MAX + 1];
	uint64_t version; /* 0: there never was one */
	size_t npast;     /* 0 with version 0 */
	struct mm_devconf_change past[MM_DEVCONF_PAST]; /* newest first */
};
/* Whether it gives anything. */
bool mm_devconf_on(const struct mm_devconf *c);
/* Version 0 if there never was one. */
MM_MUST enum mm_err mm_devconf_get(struct mm_store_reader *r,
    enum mm_devconf_scope scope, const char *id, struct mm_devconf *out,
    struct mm_why *why);
MM_MUST enum mm_err mm_devconf_parse(const struct mm_doc *doc,
    struct mm_devconf *out, struct mm_why *why);

/* Its texts; table and schema may be empty.  table: as mm_initial_of's fields;
 * index: of it, for who makes many, or NULL. */
struct mm_initial_index;
struct mm_devconf_text {
	struct mm_bytes template, table, schema;
	const struct mm_initial_index *index;
};
struct mm_devconf_papers { struct mm_buf template, table, schema; };
#define MM_DEVCONF_PAPERS_INIT \
	{ MM_BUF_INIT(MM_FILL_MAX), MM_BUF_INIT(4U << 20), MM_BUF_INIT(16384) }
void mm_devconf_papers_done(struct mm_devconf_papers *p);
/* Those of the newest change; nothing of a set that is not on. */
MM_MUST enum mm_err mm_devconf_papers(struct mm_store_reader *r,
    const struct mm_devconf *c, struct mm_devconf_papers *out,
    struct mm_why *why);

/*
 * A device's document by these texts, its hash, and (shown, or NULL) what may
 * be shown of it.  MM_EINPUT: it cannot be made, or does not fit the schema;
 * MM_ENOTFOUND: the device has no row.  No value is in why.  Wipe out.
 */
struct mm_devconf_for {
	const struct mm_device *device;
	const char *batch; /* NULL: none */
};
MM_MUST enum mm_err mm_devconf_render(const struct mm_devconf_text *t,
    const struct mm_devconf_for *f, struct mm_buf *out, struct mm_buf *shown,
    uint8_t sha256[32], struct mm_why *why);

/* ---- changing a set ---- */

/*
 * Its next version, with its entry; t NULL: it is removed.  if_version: NULL,
 * or what it must be at: MM_ESTALE.  *version: of what now stands.
 */
struct mm_devconf_put {
	enum mm_devconf_scope scope;
	const char *id, *product;
	const struct mm_devconf_text *text;
	const uint64_t *if_version;
};
MM_MUST enum mm_err mm_desk_devconf_put(struct mm_desk *d,
    const struct mm_login *by, const struct mm_devconf_put *p,
    uint64_t *version, struct mm_why *why);

/*
 * Renders for the devices of the selection after one, and names by fn whose
 * document cannot be made: so many at a time, and fit->next goes on.  text
 * NULL: the set's own.
 */
MM_MUST enum mm_err mm_desk_devconf_check(struct mm_desk *d,
    const struct mm_devconf_put *p, const char *after, struct mm_fit *fit,
    mm_unfit_fn *fn, void *ctx, struct mm_why *why);

/* ---- what a device gets ---- */

struct mm_devconf_given {
	char device[MM_DEVICE_ID_MAX + 1], product[MM_NAME_MAX + 1];
	char batch[MM_NAME_MAX + 1];  /* "" none */
	bool has;                     /* a set gives it something */
	enum mm_devconf_scope scope;  /* of that set, ... */
	char set[MM_DEVICE_ID_MAX + 1];
	uint64_t set_version;         /* ... and at which version, */
	int64_t set_at;               /* since when */
	int64_t version;              /* of the device's document */
	uint8_t sha256[32];
	uint8_t salt[MM_SALT_N];      /* of that version: see pki/confdoc.h */
	bool rendered;                /* document and shown are there */
	struct mm_buf document, shown;
	/* What is on record: the version that it was given last (0 none) and
	 * since when; the one that it said it has. */
	int64_t given, given_at, held;
	bool changed;                 /* given is another one than version */
	/* devconf_give.c's: */
	char basis[160], serial[33];
	int64_t initial, said_at;     /* when another version was last made
	                               * for what the device said; 0 never */
	uint64_t note;                /* that record's version */
	bool noted;                   /* and it says all this */
};
#define MM_DEVCONF_GIVEN_INIT \
	{ .document = MM_BUF_INIT(MM_FILL_MAX), \
	    .shown = MM_BUF_INIT(2 * MM_FILL_MAX) }
void mm_devconf_given_done(struct mm_devconf_given *g);
/* What the device would get now; nothing is written. */
MM_MUST enum mm_err mm_desk_devconf_find(struct mm_desk *d,
    const char *device, struct mm_devconf_given *out, struct mm_why *why);

enum mm_devconf_state {
	MM_DEVCONF_CURRENT, /* it said it has what it would get now */
	MM_DEVCONF_OFFERED, /* it was given that, and has not said so yet */
	MM_DEVCONF_OLD,     /* something has changed since it asked */
	MM_DEVCONF_NEVER,   /* it never asked */
	MM_DEVCONF_STATES
};
extern const char *const mm_devconf_state_words[MM_DEVCONF_STATES];
/* The same without rendering anything. */
MM_MUST enum mm_err mm_desk_devconf_state(struct mm_desk *d,
    const struct mm_device *device, struct mm_devconf_given *out,
    enum mm_devconf_state *state, struct mm_why *why);

/* Of the devices that ever asked, the first `most`: how many have not taken
 * what was there for them before that time.  all: there are no others. */
struct mm_devconf_behind {
	unsigned sets, looked, behind;
	bool all;
};
MM_MUST enum mm_err mm_desk_devconf_behind(struct mm_desk *d,
    int64_t before_ms, unsigned most, struct mm_devconf_behind *out,
    struct mm_why *why);
/* Until when the key that signed last is certified (0: none signed yet), and
 * since when none can be had (0: one can). */
void mm_core_devconf_key(struct mm_core *c, int64_t *ends_s,
    int64_t *missing_s);

/*
 * For the device that asks by its certificate, which must be in force.  tag: of
 * what it has, as If-None-Match brings it, or "".  Either *same, or der gets
 * the signed document (pki/confdoc.h), whose version is stored.  MM_ENOTFOUND:
 * nothing is configured; MM_ECONFLICT: something is, and cannot be made for
 * this device.  Refused: reason says why.
 */
#define MM_DEVCONF_TAG 48
struct mm_devconf_ask {
	const struct mm_authority *by;
	const char *tag;
	/* out */
	bool same;
	char now[MM_DEVCONF_TAG]; /* ETag of what it gets */
	int64_t version;
	enum mm_reason reason;
};
MM_MUST enum mm_err mm_desk_devconf_give(struct mm_desk *d,
    struct mm_devconf_ask *ask, struct mm_buf *der, struct mm_why *why);

#endif
