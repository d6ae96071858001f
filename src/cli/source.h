#ifndef MM_CLI_SOURCE_H
#define MM_CLI_SOURCE_H

#include "cli/client.h"
#include "cli/cmd.h"
#include "ledger/entry.h"
#include "ledger/note.h"
#include "ledger/tile.h"

/*
 * Where a ledger is read from: the server of the context, another URL, or a
 * copied directory.  All three have the same layout below them (C2SP
 * tlog-tiles): checkpoint, tile/..., tile/entries/..., and key.
 */
struct mm_source {
	struct mm_cli *cli;
	struct mm_client *client; /* of the context, or other's */
	struct mm_client *other;  /* owned */
	const char *dir;          /* NULL: by the client */
	const char *name;         /* for people */
	bool unread;              /* what failed was the reading */
	bool enough;              /* set by who is shown entries: no more */
};
/* where: NULL for the server, "https://..." or a directory. */
MM_MUST enum mm_err mm_source_open(struct mm_source *s, struct mm_cli *cli,
    const char *where, struct mm_why *why);
void mm_source_close(struct mm_source *s);
/* path below the ledger: "checkpoint", "tile/0/000". */
MM_MUST enum mm_err mm_source_get(struct mm_source *s, const char *path,
    struct mm_buf *out, struct mm_why *why);

/*
 * The verifier key: --key FILE or its text; else the source's own, and then
 * *trusted is false: it proves only that the ledger agrees with itself.
 */
MM_MUST enum mm_err mm_source_key(struct mm_source *s, const char *opt,
    struct mm_note_key *key, bool *trusted, struct mm_why *why);
/* The checkpoint, verified; note may be NULL. */
MM_MUST enum mm_err mm_source_checkpoint(struct mm_source *s,
    const struct mm_note_key *key, struct mm_checkpoint *c,
    struct mm_buf *note, struct mm_why *why);
/* The bytes of a bundle of entries, at most MM_SOURCE_MAX. */
#define MM_SOURCE_MAX (32U << 20)
MM_MUST enum mm_err mm_source_bundle(struct mm_source *s, uint64_t index,
    unsigned width, struct mm_buf *out, struct mm_why *why);
typedef enum mm_err mm_source_fn(void *ctx, uint64_t index,
    struct mm_bytes entry, struct mm_why *why);
/* Its entries, until s->enough.  MM_EPOLICY: it has not width of them. */
MM_MUST enum mm_err mm_source_entries(const struct mm_source *s,
    struct mm_bytes bundle, uint64_t index, unsigned width, mm_source_fn *fn,
    void *ctx, struct mm_why *why);
/* Every entry from index `from` (rounded down to a bundle) to size, until
 * s->enough. */
MM_MUST enum mm_err mm_source_each(struct mm_source *s, uint64_t from,
    uint64_t size, mm_source_fn *fn, void *ctx, struct mm_why *why);

#endif
