#include "cli/line_cas.h"

#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "pki/cert.h"
#include "pki/key.h"

MM_FREE_FN(json_free, json_t, json_decref)

struct reading {
	mm_line_ca_fn *fn;
	void *ctx;
	json_t *differences;
};

/* see line_cas.h */
void
mm_line_ca_who(struct mm_mark *m, const char *device, const char *issuer,
    const char *profile)
{
	bool is_one = profile != NULL && strcmp(profile, MM_LINE_CA_LABEL) == 0;

	mm_mark_who(m, device, is_one ? "" : issuer, profile);
}

static bool
parse(const struct mm_doc *doc, struct mm_line_ca_seen *out)
{
	MM_OWN(json_free) json_t *o = json_loadb((const char *)doc->body.p,
	    doc->body.n, 0, NULL);
	const char *b64 = json_string_value(json_object_get(o, "certificate"));
	struct mm_mark *m = &out->mark;
	struct mm_cert c;
	uint8_t hash[32];

	if (b64 == NULL ||
	    mm_base64_parse(mm_bytes_of(b64), &out->der, NULL) != MM_OK ||
	    mm_cert_walk(mm_buf_view(&out->der), &c, NULL) != MM_OK ||
	    c.serial.n != sizeof(m->serial) ||
	    !mm_text_copy(out->name, sizeof(out->name), mm_bytes_of(doc->id)))
		return false;
	memcpy(m->serial, c.serial.p, sizeof(m->serial));
	mm_sha256(c.spki.whole, m->spki);
	mm_sha256(c.tbs, hash);
	memcpy(m->tbs, hash, sizeof(m->tbs));
	mm_sha256(mm_buf_view(&out->der), hash);
	memcpy(m->cert, hash, sizeof(m->cert));
	m->not_after_s = c.not_after_s;
	mm_line_ca_who(m, out->name, NULL, MM_LINE_CA_LABEL);
	return true;
}

static void
seen_done(struct mm_line_ca_seen *s)
{
	mm_buf_done(&s->der);
}

static enum mm_err
one(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	MM_OWN(seen_done) struct mm_line_ca_seen seen = {
		.der = MM_BUF_INIT(MM_CERT_MAX) };
	const struct mm_doc *doc = row;
	struct reading *r = ctx;
	char record[MM_DOC_ID_MAX + 16];

	(void)next;
	if (parse(doc, &seen))
		return r->fn(r->ctx, &seen, why);
	snprintf(record, sizeof(record), "line CA %s", doc->id);
	mm_differ(r->differences, record, "is none in the database");
	return MM_OK;
}

/* see line_cas.h */
enum mm_err
mm_line_cas_each(struct mm_store_reader *db, json_t *differences,
    mm_line_ca_fn *fn, void *ctx, struct mm_why *why)
{
	struct reading r = { fn, ctx, differences };
	struct mm_why own = { 0 };
	enum mm_err rc = mm_each_doc(db, MM_DOC_LINE_CA, "", one, &r, &own);

	return mm_differ_unread(differences, "line CAs", rc, &own, why);
}
