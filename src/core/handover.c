#include <ctype.h>
#include <jansson.h>
#include <string.h>

#include "base/own.h"
#include "core/priv.h"

/*
 * A transfer that says that the device may have its new owner's certificate by
 * its IDevID.  It is on record before the device has turned, and counts from
 * then on, for that product alone; the next transfer ends it, whatever that
 * one says.
 */

enum { BODY_MAX = 256 };

MM_FREE_FN(json_free, json_t, json_decref)

static void
id_of(const char *device, char id[MM_DOC_ID_MAX + 1])
{
	size_t i;

	for (i = 0; device[i] != '\0' && i < MM_DOC_ID_MAX; i++)
		id[i] = (char)tolower((unsigned char)device[i]);
	id[i] = '\0';
}

/* see priv.h */
enum mm_err
mm_handover_put(struct mm_desk *d, const char *device, const char *product,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(BODY_MAX);
	struct mm_op_doc doc = { .kind = MM_DOC_HANDOVER,
		.expect = MM_DOC_ANY };
	struct mm_json j = mm_json_over(&body);

	id_of(device, doc.id);
	mm_json_open(&j, '{');
	mm_json_str(&j, "product", product);
	mm_json_time(&j, "at", mm_now_ms());
	mm_json_close(&j, '}');
	MM_TRY(mm_buf_ok(&body, why));
	doc.body = mm_buf_view(&body);
	return mm_desk_doc_put(d, &doc, NULL, 0, why);
}

/* see priv.h; what was said of a transfer before is over with the next one */
enum mm_err
mm_handover_end(struct mm_desk *d, const char *device, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(BODY_MAX);
	struct mm_op op = { .u.doc.kind = MM_DOC_HANDOVER };
	struct mm_op_doc *doc = &op.u.doc;
	enum mm_err rc;

	id_of(device, doc->id);
	rc = mm_get_doc(d->r, MM_DOC_HANDOVER, doc->id, &doc->expect, &body,
	    NULL);
	if (rc == MM_ENOTFOUND)
		return MM_OK;
	return rc == MM_OK ? mm_desk_docs_put(d, &op, 1, why)
	    : MM_FAIL(why, rc, "the store cannot be read");
}

/* see priv.h; *at_ms 0: none */
enum mm_err
mm_handover_get(struct mm_store_reader *r, const struct mm_device *dev,
    int64_t *at_ms, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(BODY_MAX);
	MM_OWN(json_free) json_t *o = NULL;
	const char *product = NULL, *at = NULL;
	char id[MM_DOC_ID_MAX + 1];
	uint64_t version;
	enum mm_err rc;

	*at_ms = 0;
	id_of(dev->id, id);
	rc = mm_get_doc(r, MM_DOC_HANDOVER, id, &version, &body, NULL);
	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	o = json_loadb((const char *)body.p, body.n, 0, NULL);
	if (json_unpack(o, "{s:s,s:s}", "product", &product, "at", &at) != 0)
		return MM_FAIL(why, MM_ESYS, "a transfer's record cannot be "
		    "read");
	return strcmp(product, dev->product) == 0
	    ? mm_time_parse(at, at_ms, why) : MM_OK;
}
