#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/configure.h"
#include "base/faults.h"
#include "base/own.h"
#include "base/text.h"
#include "pki/confdoc.h"
#include "pki/key.h"

/* configure.h's storage: slots as an identity's, files of its own. */

enum { DOCUMENT, SIGNED, VERSION, FILES };
static const char *const names[FILES] = { "document.json", "signed.p7m",
	"version" };

static void
path_of(const struct mm_agent_store *s, unsigned slot, int file,
    char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/%s/%s", s->dir, mm_agent_slot_name(slot),
	    names[file]);
}

/* see configure.h */
void
mm_agent_document_path(const char *dir, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/configuration/current/%s", dir,
	    names[DOCUMENT]);
}

static enum mm_err
read_file(const struct mm_agent_store *s, unsigned slot, int file,
    struct mm_buf *out)
{
	char path[PATH_MAX];

	path_of(s, slot, file, path);
	return mm_file_read(path, out, NULL);
}

/* "7 <64 hex>" */
static bool
parse(const char *text, struct mm_agent_configured *out)
{
	const char *space = text != NULL ? strchr(text, ' ') : NULL;
	char digits[12];
	int64_t v;

	if (space == NULL || strlen(space) != 1 + 64 + 1 ||
	    !mm_text_copy(digits, sizeof(digits), (struct mm_bytes){
	    (const uint8_t *)text, (size_t)(space - text) }) ||
	    mm_int_parse(digits, &v, NULL) != MM_OK || v < 1 ||
	    v > MM_CONFDOC_VERSION_MAX ||
	    mm_hex_parse(space + 1, 64, out->sha256, 32, NULL) != MM_OK)
		return false;
	out->version = (uint32_t)v;
	return true;
}

/* What is damaged is as if it had never been there: its version is lost, and
 * whole is what the server's next answer makes it. */
static enum mm_err
have(void *ctx, struct mm_agent_configured *out, bool *whole,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(128);
	MM_OWN(mm_buf_wipe) struct mm_buf doc = MM_BUF_INIT(MM_CONFDOC_MAX);
	struct mm_agent_store *s = ctx;
	const struct mmd_nv nv = mm_agent_store_nv(s);
	uint8_t hash[32];
	unsigned slot;
	enum mmd_rc rc = nv.selected(nv.ctx, &slot);

	*out = (struct mm_agent_configured){ .version = 0 };
	*whole = false;
	if (rc == MMD_NONE)
		return MM_OK;
	if (rc != MMD_OK)
		return MM_FAIL(why, MM_ESYS, "%s", s->why.text);
	if (read_file(s, slot, VERSION, &text) != MM_OK ||
	    !parse(mm_buf_cstr(&text), out))
		return MM_OK;
	if (read_file(s, slot, DOCUMENT, &doc) != MM_OK)
		return MM_OK;
	mm_sha256(mm_buf_view(&doc), hash);
	*whole = memcmp(hash, out->sha256, sizeof(hash)) == 0;
	return MM_OK;
}

static enum mm_err
write_file(const struct mm_agent_store *s, unsigned slot, int file,
    struct mm_bytes data, struct mm_why *why)
{
	char path[PATH_MAX];
	enum mm_err err;

	path_of(s, slot, file, path);
	mm_die_at("configuration");
	err = mm_file_replace_locked(path, data, 0600, why);
	mm_die_at("configuration");
	return err;
}

static enum mm_err
put(void *ctx, const struct mm_agent_configured *c, struct mm_bytes document,
    struct mm_bytes signed_, struct mm_why *why)
{
	struct mm_agent_store *s = ctx;
	const struct mmd_nv nv = mm_agent_store_nv(s);
	char line[96], hex[65];
	unsigned slot = 0;

	if (nv.selected(nv.ctx, &slot) == MMD_OK)
		slot = 1 - slot;
	mm_hex_text(c->sha256, 32, hex);
	snprintf(line, sizeof(line), "%lu %s\n", (unsigned long)c->version,
	    hex);
	MM_TRY(write_file(s, slot, SIGNED, signed_, why));
	MM_TRY(write_file(s, slot, DOCUMENT, document, why));
	MM_TRY(write_file(s, slot, VERSION, mm_bytes_of(line), why));
	if (nv.select(nv.ctx, slot) != MMD_OK)
		return MM_FAIL(why, MM_ESYS, "%s", s->why.text);
	return MM_OK;
}

/* see configure.h */
enum mm_err
mm_agent_confstore_open(struct mm_agent_store *s, const char *dir, bool look,
    struct mm_why *why)
{
	char path[PATH_MAX], next[PATH_MAX + sizeof(MM_FILE_NEXT)];

	snprintf(path, sizeof(path), "%s/configuration", dir);
	if (look)
		return mm_agent_store_look(s, path, why);
	MM_TRY(mm_agent_store_within(s, path, why));
	for (unsigned slot = 0; slot < MMD_SLOTS; slot++)
		for (int i = 0; i < FILES; i++) {
			path_of(s, slot, i, path);
			snprintf(next, sizeof(next), "%s" MM_FILE_NEXT, path);
			MM_TRY(mm_file_wipe(next, why));
		}
	return MM_OK;
}

/* see configure.h */
struct mm_agent_confstore
mm_agent_confstore(struct mm_agent_store *s)
{
	return (struct mm_agent_confstore){ have, put, s };
}
