#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "store/store.h"

/*
 * What is entered once and never again stands as a document under the name of
 * the thing; its body is the thing's SHA-256 as a JSON string.  The first
 * stores kept an answer without an end (MM_OP_ANSWER_PUT) instead: it is read
 * where it stands.
 */

static enum mm_err
before_documents(struct mm_store_reader *r, const char *id, uint8_t sha256[32])
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(64);
	struct mm_answer_row row;
	enum mm_err rc = mm_get_answer(r, id, &row, &body, NULL);

	if (rc == MM_OK)
		memcpy(sha256, row.request_sha256, 32);
	return rc;
}

/* A body that is no hash is none of anything. */
static void
hash_of(const struct mm_buf *body, uint8_t sha256[32])
{
	if (body->n != MM_NOTED_TEXT - 1 ||
	    mm_hex_parse((const char *)body->p + 1, 64, sha256, 32, NULL) !=
	        MM_OK)
		memset(sha256, 0, 32);
}

/* see store.h */
enum mm_err
mm_noted_get(struct mm_store_reader *r, const char *id, uint8_t sha256[32],
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	uint64_t version;
	enum mm_err rc = mm_get_doc(r, MM_DOC_NOTED, id, &version, &body, NULL);

	if (rc == MM_OK)
		hash_of(&body, sha256);
	else if (rc == MM_ENOTFOUND)
		rc = before_documents(r, id, sha256);
	if (rc == MM_OK || rc == MM_ENOTFOUND)
		return rc;
	return MM_FAIL(why, rc, "store: cannot be read");
}

/* see store.h */
void
mm_noted_op(const char *id, const uint8_t sha256[32], char body[MM_NOTED_TEXT],
    struct mm_op *op)
{
	char hex[65];

	*op =
	    (struct mm_op){ .kind = MM_OP_DOC_PUT, .u.doc.kind = MM_DOC_NOTED };
	strcpy(op->u.doc.id, id);
	mm_hex_text(sha256, 32, hex);
	snprintf(body, MM_NOTED_TEXT, "\"%s\"", hex);
	op->u.doc.body = mm_bytes_of(body);
}
