#include <string.h>

#include "base/own.h"
#include "server/batches.h"

/* Work orders. */

enum mm_err
mm_rest_orders_key(struct mm_rest *r, struct mm_why *why)
{
	MM_TRY(mm_core_orders_key(r->s->core, &r->out, why));
	r->type = "text/plain; charset=utf-8";
	mm_buf_u8(&r->out, '\n');
	return MM_OK;
}

enum { RECIPIENT_MAX = 8192 };

struct order_wish {
	char station[MM_NAME_MAX + 1];
	bool extension;
	char recipient[RECIPIENT_MAX]; /* PEM */
	char have[65];                 /* the order that is there: its hash */
};
static const struct mm_member order_members[] = {
	{ "station", MM_M_NAME, true, offsetof(struct order_wish, station),
	    MM_NAME_MAX + 1 },
	{ "extension", MM_M_BOOL, false, offsetof(struct order_wish, extension),
	    0 },
	{ "recipient", MM_M_TEXT, false, offsetof(struct order_wish, recipient),
	    RECIPIENT_MAX },
	{ "have", MM_M_TEXT, false, offsetof(struct order_wish, have), 65 },
};

/* ---- a line CA, as export-line printed it ---- */

struct line_wish {
	char ca_name[MM_NAME_MAX + 1], ca_url[MM_URL_MAX + 1];
	char ca_chain[2 * MM_WORK_BLOB_MAX], ca_key[2 * MM_WORK_BLOB_MAX];
	struct mm_buf chain, key;
};
#define M(name, type)                                                \
	{                                                            \
#name, type, true, offsetof(struct line_wish, name), \
		    sizeof(((struct line_wish *)0)->name)            \
	}
static const struct mm_member line_members[] = {
	M(ca_name, MM_M_NAME),
	M(ca_url, MM_M_TEXT),
	M(ca_chain, MM_M_TEXT),
	M(ca_key, MM_M_TEXT),
};

static void
line_done(struct line_wish *w)
{
	mm_buf_done(&w->chain);
	mm_buf_done(&w->key);
}

static enum mm_err
from_base64(
    const char *name, const char *text, struct mm_buf *out, struct mm_why *why)
{
	mm_buf_init(out, MM_WORK_BLOB_MAX);
	if (mm_base64_parse(mm_bytes_of(text), out, NULL) != MM_OK ||
	    out->n == 0)
		return MM_FAIL(why, MM_EINPUT, "line: %s: want base64", name);
	return MM_OK;
}

static enum mm_err
read_line(
    json_t *in, struct line_wish *w, struct mm_line_ca *out, struct mm_why *why)
{
	if (!json_is_object(in))
		return MM_FAIL(why, MM_EINPUT, "line: want an object");
	MM_TRY(mm_rest_members(in, line_members, 4, w, why));
	MM_TRY(from_base64("ca_chain", w->ca_chain, &w->chain, why));
	MM_TRY(from_base64("ca_key", w->ca_key, &w->key, why));
	strcpy(out->name, w->ca_name);
	strcpy(out->url, w->ca_url);
	out->chain = mm_buf_view(&w->chain);
	out->key = mm_buf_view(&w->key);
	return MM_OK;
}

/* ---- orders ---- */

static enum mm_err
put_extension(struct mm_rest *r, const struct mm_production *b,
    struct mm_station *s, struct mm_why *why)
{
	MM_OWN(mm_buf_done)
	struct mm_buf text = MM_BUF_INIT(MM_WORK_EXTENSION_MAX);

	MM_TRY(mm_desk_extension(r->desk, &r->login, b, s, &text, why));
	mm_json_open(&r->j, '{');
	mm_json_strn(&r->j, "extension", mm_buf_view(&text));
	mm_json_close(&r->j, '}');
	return MM_OK;
}

/* One that was made, or for whose signer one is to be made; or neither. */
static enum mm_err
take_line(struct mm_rest *r, json_t *line, const struct order_wish *w,
    struct line_wish *l, struct mm_line_ca *ca, struct mm_why *why)
{
	struct mm_bytes pem = mm_bytes_of(w->recipient);

	if (line == NULL && pem.n == 0)
		return MM_OK;
	if (mm_login_is_line(&r->login))
		return MM_FAIL(why, MM_EPOLICY,
		    "line: an operator says whose a line CA is");
	if (line != NULL && pem.n > 0)
		return MM_FAIL(why, MM_EINPUT,
		    "want line or recipient, not both");
	if (line != NULL)
		return read_line(line, l, ca, why);
	mm_buf_init(&l->chain, MM_CERT_MAX);
	if (mm_pem_next(&pem, "CERTIFICATE", &l->chain, NULL) != MM_OK)
		return MM_FAIL(why, MM_EINPUT, "recipient: want the "
		    "certificate that station-init made, PEM");
	ca->recipient = mm_buf_view(&l->chain);
	return MM_OK;
}

/* Who has that very order has its papers: it gets the note alone. */
static enum mm_err
leave_out(struct mm_buf *file, const char *have, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf note = MM_BUF_INIT(MM_DOC_MAX);
	struct mm_bytes head = mm_buf_view(file);
	uint8_t hash[32], theirs[32];

	if (mm_hex_parse(have, strlen(have), theirs, 32, NULL) != MM_OK)
		return MM_FAIL(why, MM_EINPUT, "have: want a SHA-256");
	MM_TRY(mm_work_file_order(head, &note, why));
	MM_TRY(mm_work_order_hash(mm_buf_view(&note), hash, why));
	if (memcmp(hash, theirs, 32) != 0)
		return MM_OK;
	mm_buf_wipe(file);
	return mm_work_file_encode(mm_buf_view(&note), (struct mm_bytes){ 0 },
	    NULL, 0, file, why);
}

static enum mm_err
order(struct mm_rest *r, json_t *line, struct mm_why *why)
{
	MM_OWN(mm_production_free) struct mm_production *b = NULL;
	MM_OWN(line_done) struct line_wish l = { .ca_name = "" };
	struct order_wish w = { .station = "" };
	struct mm_line_ca ca = { .name = "" };
	struct mm_station s;
	char id[MM_NAME_MAX + 1];

	MM_TRY(mm_rest_members(r->in, order_members, 4, &w, why));
	MM_TRY(mm_rest_segment(r, 0, id, sizeof(id), why));
	MM_TRY(mm_production_get(r->reader, id, &b, why));
	MM_TRY(mm_batch_station(r, w.station, &s, why));
	if (w.extension)
		return put_extension(r, b, &s, why);
	MM_TRY(take_line(r, line, &w, &l, &ca, why));
	/* with every paper that it may have */
	r->out.max = MM_WORK_FILE_MAX;
	MM_TRY(mm_desk_order(r->desk, &r->login, b, &s,
	    line != NULL || ca.recipient.n > 0 ? &ca : NULL, &r->out, why));
	return w.have[0] == '\0' ? MM_OK : leave_out(&r->out, w.have, why);
}

/* The file as work/file.h has it. */
enum mm_err
mm_rest_batch_order(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(mm_rest_json_free)
	json_t *line = json_incref(json_object_get(r->in, "line"));

	(void)json_object_del(r->in, "line");
	return order(r, line, why);
}
