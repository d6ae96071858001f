#include "cli/source.h"

#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/own.h"

/* see source.h */
enum mm_err
mm_source_open(struct mm_source *s, struct mm_cli *cli, const char *where,
    struct mm_why *why)
{
	struct stat st;

	*s = (struct mm_source){ .cli = cli, .name = where };
	if (where == NULL) {
		MM_TRY(mm_cli_client(cli, &s->client, why));
		s->name = "the server's ledger";
	} else if (strncmp(where, "https://", 8) == 0) {
		struct mm_client_conf conf = { where, cli->ca, cli->key_file,
			cli->cert, cli->cert_key, NULL };

		MM_TRY(mm_client_open(&conf, &s->other, why));
		s->client = s->other;
	} else if (stat(where, &st) == 0 && S_ISDIR(st.st_mode))
		s->dir = where;
	else
		return MM_FAIL(why, MM_ENOTFOUND,
		    "%.100s: neither a directory nor https://", where);
	return MM_OK;
}

/* see source.h */
void
mm_source_close(struct mm_source *s)
{
	mm_client_close(&s->other);
}

static enum mm_err
from_server(struct mm_source *s, const char *path, struct mm_buf *out,
    struct mm_why *why)
{
	char full[1024];

	snprintf(full, sizeof(full), "/ledger/%s", path);
	return mm_client_bytes(s->client, full, out, why);
}

static enum mm_err
from_dir(struct mm_source *s, const char *path, struct mm_buf *out,
    struct mm_why *why)
{
	char full[1024];

	MM_TRY(mm_path_join(full, sizeof(full), s->dir, path, why));
	return mm_file_read(full, out, why);
}

/* see source.h */
enum mm_err
mm_source_get(struct mm_source *s, const char *path, struct mm_buf *out,
    struct mm_why *why)
{
	enum mm_err rc;

	rc = s->dir == NULL ? from_server(s, path, out, why)
	    : from_dir(s, path, out, why);
	/* A tile that is not there is the ledger's fault; without a
	 * checkpoint it is none. */
	s->unread = rc != MM_OK && (rc != MM_ENOTFOUND ||
	    strncmp(path, "tile/", 5) != 0);
	return rc;
}

static struct mm_bytes
trimmed(struct mm_bytes b)
{
	while (b.n > 0 && b.p[b.n - 1] <= ' ')
		b.n--;
	return b;
}

/* see source.h */
enum mm_err
mm_source_key(struct mm_source *s, const char *opt, struct mm_note_key *key,
    bool *trusted, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(MM_NOTE_MAX);

	*trusted = opt != NULL;
	if (opt != NULL && strchr(opt, '+') != NULL &&
	    mm_note_key_parse(mm_bytes_of(opt), key, NULL) == MM_OK)
		return MM_OK;
	if (opt != NULL)
		MM_TRY(mm_file_read(opt, &text, why));
	else if (s->dir != NULL)
		MM_TRY(mm_source_get(s, "key", &text, why));
	else
		MM_TRY(mm_client_bytes(s->client, "/api/v1/ledger/key", &text,
		    why));
	return mm_note_key_parse(trimmed(mm_buf_view(&text)), key, why);
}

/* see source.h */
enum mm_err
mm_source_checkpoint(struct mm_source *s, const struct mm_note_key *key,
    struct mm_checkpoint *c, struct mm_buf *note, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(MM_NOTE_MAX);

	MM_TRY(mm_source_get(s, "checkpoint", &text, why));
	MM_TRY(mm_checkpoint_verify(mm_buf_view(&text), key, c, why));
	if (note != NULL)
		mm_buf_bytes(note, mm_buf_view(&text));
	return note != NULL ? mm_buf_ok(note, why) : MM_OK;
}

/* see source.h */
enum mm_err
mm_source_bundle(struct mm_source *s, uint64_t index, unsigned width,
    struct mm_buf *out, struct mm_why *why)
{
	struct mm_tile_id id = { .entries = true, .index = index,
		.width = width };
	char path[MM_TILE_PATH_MAX];

	mm_tile_path(&id, path);
	return mm_source_get(s, path, out, why);
}

static enum mm_err
bad_bundle(uint64_t index, unsigned width, struct mm_why *why)
{
	struct mm_tile_id id = { .entries = true, .index = index,
		.width = width };
	char path[MM_TILE_PATH_MAX];

	mm_tile_path(&id, path);
	return MM_FAIL(why, MM_EPOLICY, "%s: want %u entries and nothing after",
	    path, width);
}

/* see source.h */
enum mm_err
mm_source_entries(const struct mm_source *s, struct mm_bytes bundle,
    uint64_t index, unsigned width, mm_source_fn *fn, void *ctx,
    struct mm_why *why)
{
	struct mm_rd r = mm_rd_over(bundle);
	struct mm_bytes entry;
	unsigned n = 0;

	while (n < width && !s->enough && mm_bundle_next(&r, &entry))
		MM_TRY(fn(ctx, index * MM_TILE_W + n++, entry, why));
	if (s->enough)
		return MM_OK;
	return n == width && mm_rd_end(&r) ? MM_OK
	    : bad_bundle(index, width, why);
}

static enum mm_err
bundle(struct mm_source *s, uint64_t index, unsigned width, mm_source_fn *fn,
    void *ctx, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(MM_SOURCE_MAX);

	MM_TRY(mm_source_bundle(s, index, width, &b, why));
	return mm_source_entries(s, mm_buf_view(&b), index, width, fn, ctx,
	    why);
}

/* see source.h */
enum mm_err
mm_source_each(struct mm_source *s, uint64_t from, uint64_t size,
    mm_source_fn *fn, void *ctx, struct mm_why *why)
{
	for (uint64_t i = from / MM_TILE_W;
	     i * MM_TILE_W < size && !s->enough; i++) {
		uint64_t left = size - i * MM_TILE_W;

		MM_TRY(bundle(s, i, left < MM_TILE_W ? (unsigned)left
			: MM_TILE_W, fn, ctx, why));
	}
	return MM_OK;
}
