#include "work/export.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "work/export_priv.h"

MM_FREE_FN(json_free, json_t, json_decref)

enum { LINES_MAX = 1 << 30 };

static enum mm_err
damaged(struct mm_why *why)
{
	return MM_FAIL(why, MM_EINPUT,
	    "export: damaged, or half a file; copy "
	    "it again");
}

/* see export_priv.h */
json_t *
mm_export_line(struct mm_bytes *rest)
{
	const uint8_t *lf =
	    rest->n == 0 ? NULL : memchr(rest->p, '\n', rest->n);
	size_t n = lf == NULL ? 0 : (size_t)(lf - rest->p);
	json_t *j = n == 0 ? NULL
			   : json_loadb((const char *)rest->p, n,
				 JSON_REJECT_DUPLICATES, NULL);

	if (lf != NULL) {
		rest->p += n + 1;
		rest->n -= n + 1;
	}
	return j;
}

/* see export_priv.h */
struct mm_bytes
mm_export_text(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return (struct mm_bytes){ (const uint8_t *)json_string_value(v),
		json_string_length(v) };
}

static bool
number_of(const json_t *o, const char *key, uint64_t *out)
{
	const json_t *v = json_object_get(o, key);

	*out = (uint64_t)json_integer_value(v);
	return json_is_integer(v) && json_integer_value(v) >= 0;
}

/* see export_priv.h */
bool
mm_export_head(const json_t *o, char station[MM_NAME_MAX + 1],
    struct mm_frontier *before)
{
	MM_OWN(mm_buf_done) struct mm_buf peaks = MM_BUF_INIT(4096);
	uint64_t v, from;

	*before = (struct mm_frontier){ .size = 0 };
	if (!number_of(o, "v", &v) || v != 1 || !number_of(o, "from", &from) ||
	    !mm_text_copy(station, MM_NAME_MAX + 1,
		mm_export_text(o, "station")) ||
	    !mm_name_valid(station))
		return false;
	if (from == 0)
		return true;
	return mm_base64_parse(mm_export_text(o, "frontier"), &peaks, NULL) ==
		   MM_OK &&
	       mm_frontier_parse(mm_buf_view(&peaks), before, NULL) == MM_OK &&
	       before->size == from && from >> 38 == 0;
}

/* see export_priv.h */
bool
mm_export_is(const json_t *o, const char *key, json_int_t want)
{
	const json_t *v = json_object_get(o, key);

	return json_is_integer(v) && json_integer_value(v) == want;
}

/* see export_priv.h */
void
mm_export_fault(
    struct mm_export *x, uint64_t index, const char *device, const char *what)
{
	x->report.faults++;
	if (x->terms->fault != NULL)
		x->terms->fault(x->terms->ctx, index, device, what);
}

/* ---- entries ---- */

/* see export.h */
bool
mm_export_may_hold(enum mm_entry_type type, uint64_t index)
{
	return mm_entry_brings_cert(type) || type == MM_E_CERT_CONFIRMED ||
	       type == MM_E_LINE_DESTROYED ||
	       (type == MM_E_LEDGER_OPENED && index == 0);
}

static enum mm_err
take_der(const json_t *line, struct mm_buf *out)
{
	mm_buf_reset(out);
	return mm_base64_parse(mm_export_text(line, "certificate"), out, NULL);
}

static enum mm_err
judge(struct mm_export *x, uint64_t index, const struct mm_entry *e,
    const json_t *line, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(16384);

	switch (e->type) {
	case MM_E_CERT_ISSUED:
	case MM_E_CERT_ADOPTED:
		if (take_der(line, &der) != MM_OK)
			mm_buf_reset(&der);
		return mm_export_issued(x, index, e, mm_buf_view(&der), why);
	case MM_E_CERT_CONFIRMED:
		return mm_export_confirmed(
		    x, index, e, mm_export_text(line, "proof"), why);
	default:
		if (!mm_export_may_hold(e->type, index))
			mm_export_fault(
			    x, index, "", "an entry that no station writes");
		return MM_OK;
	}
}

static enum mm_err
parse_entry(struct mm_export *x, uint64_t index, struct mm_bytes json,
    const json_t *line, struct mm_why *why)
{
	MM_OWN(mm_buf_done)
	struct mm_buf arena = MM_BUF_INIT(MM_ENTRY_MAX + 64);
	uint8_t *room = mm_buf_room(&arena, json.n + 64);
	struct mm_entry e;

	if (room == NULL)
		return damaged(why);
	if (mm_entry_parse(json, (char *)room, json.n + 64, &e, NULL) == MM_OK)
		return judge(x, index, &e, line, why);
	mm_export_fault(x, index, "", "an entry that is not in its form");
	return MM_OK;
}

/* The tree so far must be the one that was seen, when it was as large. */
static enum mm_err
check_seen(const struct mm_export *x, struct mm_why *why)
{
	struct mm_hash root = mm_frontier_root(&x->tree);

	return memcmp(&root, &x->terms->kept_root, sizeof(root)) == 0
		   ? MM_OK
		   : MM_FAIL(why, MM_EPOLICY,
			 "export: another history than "
			 "the %" PRIu64
			 " entries that were seen before: was the station "
			 "put back?",
			 x->tree.size);
}

static enum mm_err
grow(struct mm_export *x, struct mm_bytes json, struct mm_why *why)
{
	struct mm_hash leaf = mm_tree_leaf(json);

	mm_frontier_append(&x->tree, &leaf);
	return x->tree.size == x->terms->kept_size ? check_seen(x, why) :
						     MM_OK;
}

static enum mm_err
take_entry(struct mm_export *x, const json_t *line, struct mm_why *why)
{
	struct mm_bytes json = mm_export_text(line, "entry");
	uint64_t index = x->tree.size;

	if (json.n == 0 || json.n > MM_ENTRY_MAX)
		return damaged(why);
	MM_TRY(grow(x, json, why));
	return parse_entry(x, index, json, line, why);
}

/* ---- the file ---- */

static enum mm_err
take_head(struct mm_export *x, const json_t *line, struct mm_why *why)
{
	uint64_t seen = x->terms->kept_size;

	if (!mm_export_head(line, x->report.station, &x->tree))
		return damaged(why);
	if (x->tree.size > seen)
		return MM_FAIL(why, MM_EPOLICY, "export: it begins at entry "
		    "%" PRIu64 ", and %" PRIu64 " were seen before",
		    x->tree.size, seen);
	return x->tree.size > 0 && x->tree.size == seen ?
	    check_seen(x, why) : MM_OK;
}

static enum mm_err
take_end(struct mm_export *x, const json_t *line, struct mm_why *why)
{
	struct mm_checkpoint c;
	struct mm_hash root = mm_frontier_root(&x->tree);

	MM_TRY(mm_checkpoint_verify(
	    mm_export_text(line, "checkpoint"), x->terms->ledger, &c, why));
	if (c.size != x->tree.size || memcmp(&c.root, &root, sizeof(root)) != 0)
		return MM_FAIL(why, MM_EPOLICY,
		    "export: its entries are not "
		    "those that the station's signer signed");
	if (c.size < x->terms->kept_size)
		return MM_FAIL(why, MM_EPOLICY,
		    "export: it has %" PRIu64 " entries, %" PRIu64
		    " were seen before: was the station "
		    "put back?",
		    c.size, x->terms->kept_size);
	x->report.size = c.size;
	x->report.root = root;
	return MM_OK;
}

/* Nothing counts before the last line was verified. */
static enum mm_err
read_all(struct mm_export *x, struct mm_bytes rest, struct mm_why *why)
{
	MM_OWN(json_free) json_t *head = mm_export_line(&rest);
	enum mm_err rc = take_head(x, head, why);

	while (rc == MM_OK) {
		MM_OWN(json_free) json_t *line = mm_export_line(&rest);

		if (line == NULL)
			return damaged(why);
		if (json_object_get(line, "checkpoint") != NULL)
			return rest.n > 0 ? damaged(why)
					  : take_end(x, line, why);
		rc = take_entry(x, line, why);
	}
	return rc;
}

static void
done(struct mm_export *x)
{
	mm_key_templates_free(&x->templates);
	free(x->cert);
	free(x->proof);
	mm_buf_done(&x->ders);
	mm_buf_done(&x->proofs);
}

/* see export.h */
enum mm_err
mm_export_check(struct mm_bytes file, const struct mm_export_terms *terms,
    struct mm_export_report *out, struct mm_why *why)
{
	MM_OWN(done)
	struct mm_export x = { .terms = terms,
		.ders = MM_BUF_INIT(LINES_MAX),
		.proofs = MM_BUF_INIT(LINES_MAX) };

	MM_TRY(mm_key_templates_new(NULL, &x.templates, why));
	MM_TRY(read_all(&x, file, why));
	mm_export_compare(&x);
	x.report.issued = x.ncert;
	x.report.confirmed = x.nproof;
	*out = x.report;
	return MM_OK;
}
