#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/sync_priv.h"

/* What does not fit: put aside with all that it takes to judge it again. */
enum {
	PROOF_MAX = 8192, /* no device signs more */
	FIND_PAGE = 1000,
	FIND_PAGES = 1000,
};

#define X(e, word, may) [MM_SYNC_##e] = { word, MM_SYNC_##may },
const struct mm_sync_fault_of mm_sync_faults[MM_SYNC_FAULT_COUNT] = {
	MM_SYNC_FAULTS(X)
};
#undef X
const char *const mm_sync_may_words[MM_SYNC_YES + 1] = { "no", "mended",
	"yes" };
const char *const mm_aside_words[MM_ASIDE_REJECTED + 1] = { "waiting",
	"accepted", "rejected" };

/* ---- as it is stored ---- */

/* see sync_priv.h */
void
mm_aside_done(struct mm_aside *a)
{
	json_decref(a->o);
	a->o = NULL;
}

static int
word_of(
    const json_t *o, const char *member, const char *(*name)(size_t), size_t n)
{
	const char *text = json_string_value(json_object_get(o, member));

	for (size_t i = 0; text != NULL && i < n; i++)
		if (strcmp(name(i), text) == 0)
			return (int)i;
	return 0;
}

static const char *
fault_word(size_t i)
{
	return mm_sync_faults[i].word;
}

static const char *
state_word(size_t i)
{
	return mm_aside_words[i];
}

static enum mm_err
parse(const char *id, json_t *o, struct mm_quarantined *out, struct mm_why *why)
{
	struct mm_quarantined q = { .entry = 0 };
	const char *device, *serial, *reason, *note = "";
	json_int_t entry;

	if (json_unpack(o, "{s:s,s:s,s:s,s:I,s?{s:s}}", "device", &device,
		"serial", &serial, "reason", &reason, "entry", &entry,
		"decision", "note", &note) != 0 ||
	    !mm_text_copy(q.device, sizeof(q.device), mm_bytes_of(device)) ||
	    !mm_text_copy(q.serial, sizeof(q.serial), mm_bytes_of(serial)) ||
	    !mm_text_copy(q.reason, sizeof(q.reason), mm_bytes_of(reason)) ||
	    !mm_text_copy(q.note, sizeof(q.note), mm_bytes_of(note)))
		return MM_FAIL(why, MM_ESYS,
		    "quarantine %.90s: its record cannot be read", id);
	q.entry = (uint64_t)entry;
	q.fault = (uint8_t)word_of(o, "code", fault_word, MM_SYNC_FAULT_COUNT);
	q.state =
	    (uint8_t)word_of(o, "state", state_word, MM_ASIDE_REJECTED + 1);
	*out = q;
	return MM_OK;
}

/* see sync_priv.h */
enum mm_err
mm_aside_parse(
    const struct mm_aside *a, struct mm_quarantined *out, struct mm_why *why)
{
	return parse(a->id, a->o, out, why);
}

/* see sync.h */
enum mm_err
mm_quarantined_parse(
    const struct mm_doc *doc, struct mm_quarantined *out, struct mm_why *why)
{
	MM_OWN(mm_json_free)
	json_t *o = json_loadb((const char *)doc->body.p, doc->body.n, 0, NULL);

	return parse(doc->id, o, out, why);
}

/* see sync_priv.h */
enum mm_err
mm_aside_bytes(const struct mm_aside *a, const char *member, struct mm_buf *out,
    struct mm_why *why)
{
	const char *text = json_string_value(json_object_get(a->o, member));

	return text == NULL ? MM_OK
			    : mm_base64_parse(mm_bytes_of(text), out, why);
}

static enum mm_err
read_doc(struct mm_store_reader *r, const char *id, struct mm_aside *out,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	struct mm_aside a = { .o = NULL };
	enum mm_err rc =
	    mm_get_doc(r, MM_DOC_QUARANTINE, id, &a.version, &body, NULL);

	if (rc == MM_ENOTFOUND)
		return rc;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	a.o = json_loadb((const char *)body.p, body.n, 0, NULL);
	if (!json_is_object(a.o)) {
		mm_aside_done(&a);
		return MM_FAIL(why, MM_ESYS,
		    "quarantine %.90s: its record cannot be read", id);
	}
	snprintf(a.id, sizeof(a.id), "%s", id);
	*out = a;
	return MM_OK;
}

static void
aside_id(const char *station, const char *tail, char id[MM_DOC_ID_MAX + 1])
{
	snprintf(id, MM_DOC_ID_MAX + 1, "%s/%.63s", station, tail);
}

/* see sync_priv.h */
enum mm_err
mm_aside_of_serial(struct mm_store_reader *r, const char *station,
    const char *serial, struct mm_aside *out, struct mm_why *why)
{
	char id[MM_DOC_ID_MAX + 1];

	if (serial[0] == '\0')
		return MM_ENOTFOUND;
	aside_id(station, serial, id);
	return read_doc(r, id, out, why);
}

/* Whether it is of that entry of that ledger. */
static bool
is_of(const json_t *o, const char *ledger, uint64_t entry)
{
	const char *have = json_string_value(json_object_get(o, "ledger"));

	return have != NULL && strcmp(have, ledger) == 0 &&
	       json_integer_value(json_object_get(o, "entry")) ==
		   (json_int_t)entry;
}

struct search { /* through all of a station's */
	const char *ledger;
	uint64_t entry;
	unsigned most, waiting, page;
	char next[MM_DOC_ID_MAX + 1], found[MM_DOC_ID_MAX + 1];
};

static enum mm_err
look(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_doc *doc = row;
	struct search *s = ctx;
	MM_OWN(mm_json_free)
	json_t *o = json_loadb((const char *)doc->body.p, doc->body.n, 0, NULL);

	(void)why;
	s->page++;
	strcpy(s->next, next);
	s->waiting += word_of(o, "state", state_word, MM_ASIDE_REJECTED + 1) ==
		      MM_ASIDE_WAITING;
	if (s->ledger != NULL && is_of(o, s->ledger, s->entry))
		strcpy(s->found, doc->id);
	return MM_OK;
}

static enum mm_err
search(struct mm_store_reader *r, const char *station, struct search *s,
    struct mm_why *why)
{
	struct mm_list l = { .most = FIND_PAGE, .state = -1 };
	char prefix[MM_NAME_MAX + 2];

	snprintf(prefix, sizeof(prefix), "%.32s/", station);
	for (unsigned i = 0; i < FIND_PAGES; i++) {
		s->page = 0;
		MM_TRY(mm_list_docs(
		    r, MM_DOC_QUARANTINE, prefix, &l, look, s, why));
		if (s->page < FIND_PAGE || s->found[0] != '\0' ||
		    (s->most > 0 && s->waiting >= s->most))
			break;
		strcpy(l.after, s->next);
	}
	return MM_OK;
}

/* see sync.h */
enum mm_err
mm_quarantined_waiting(struct mm_store_reader *r, const char *station,
    unsigned most, unsigned *n, struct mm_why *why)
{
	struct search s = { .most = most };

	MM_TRY(search(r, station, &s, why));
	*n = s.waiting < most ? s.waiting : most;
	return MM_OK;
}

/* see sync_priv.h */
enum mm_err
mm_aside_find(struct mm_store_reader *r, const struct mm_station *s,
    const char *entry, struct mm_aside *out, struct mm_why *why)
{
	struct search by = { .ledger = s->ledger };
	int64_t number;
	enum mm_err rc;

	if (strlen(entry) == 2 * MM_SERIAL_N)
		rc = mm_aside_of_serial(r, s->id, entry, out, why);
	else if (mm_int_parse(entry, &number, NULL) != MM_OK || number < 0)
		return MM_FAIL(why, MM_EINPUT,
		    "entry: want its number, or a serial number");
	else {
		by.entry = (uint64_t)number;
		MM_TRY(search(r, s->id, &by, why));
		rc = by.found[0] == '\0' ? MM_ENOTFOUND
					 : read_doc(r, by.found, out, why);
	}
	return rc != MM_ENOTFOUND ? rc
				  : MM_FAIL(why, rc,
					"station %s: nothing of entry %.40s "
					"was put aside",
					s->id, entry);
}

/* see sync_priv.h */
enum mm_err
mm_aside_put(struct mm_desk *d, struct mm_aside *a, const struct mm_entry *e,
    struct mm_why *why)
{
	struct mm_op_doc doc = { .kind = MM_DOC_QUARANTINE,
		.expect = a->version };
	char *text = json_dumps(a->o, JSON_COMPACT);
	enum mm_err rc;

	if (text == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	strcpy(doc.id, a->id);
	doc.body = mm_bytes_of(text);
	rc = mm_desk_doc_put(d, &doc, e, e != NULL, NULL);
	free(text);
	if (rc == MM_OK)
		a->version = doc.version;
	if (rc == MM_ESTALE || rc == MM_ENOTFOUND)
		return MM_FAIL(why, MM_ECONFLICT,
		    "what was put aside was changed by somebody else "
		    "meanwhile: once more");
	return rc == MM_OK
		   ? MM_OK
		   : MM_FAIL(why, rc, "what was put aside cannot be stored");
}

/* ---- what a piece puts aside ---- */

/* What a station wrote is cut anywhere, and goes into JSON. */
static void
mend(char *text)
{
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

/* see sync_priv.h */
void
mm_sync_put_aside(struct mm_sync *s, const struct mm_sync_aside *a)
{
	struct mm_quarantined *q = &s->out->put[s->out->nput++];

	*q = (struct mm_quarantined){ .entry = a->index,
		.fault = (uint8_t)a->code };
	snprintf(q->device, sizeof(q->device), "%s",
	    mm_device_id_valid(a->device) ? a->device : "");
	if (strlen(a->serial) < sizeof(q->serial) &&
	    strspn(a->serial, "0123456789abcdef") == strlen(a->serial))
		strcpy(q->serial, a->serial);
	snprintf(q->reason, sizeof(q->reason), "%s", a->reason);
	mend(q->reason);
}

/* see sync_priv.h */
enum mm_err
mm_sync_is_aside(
    struct mm_sync *s, const char *serial, bool *yes, struct mm_why *why)
{
	MM_OWN(mm_aside_done) struct mm_aside a = { .o = NULL };
	enum mm_err rc;

	*yes = true;
	for (size_t i = 0; i < s->out->nput; i++)
		if (strcmp(s->out->put[i].serial, serial) == 0)
			return MM_OK;
	rc = mm_aside_of_serial(s->d->r, s->station->id, serial, &a, why);
	*yes = rc == MM_OK;
	return rc == MM_ENOTFOUND ? MM_OK : rc;
}

/* What the device has signed of it, in the same piece. */
static const struct mm_sync_line *
proof_of(const struct mm_sync *s, const char *serial)
{
	for (size_t i = 0; i < s->nlate; i++)
		if (strcmp(s->late[i].serial, serial) == 0)
			return &s->piece->line[s->late[i].line];
	return NULL;
}

static void
put_proof(struct mm_json *j, const struct mm_sync_line *l)
{
	if (l == NULL || l->proof.n > PROOF_MAX)
		return;
	mm_json_b64(j, "proof_line", l->json);
	mm_json_b64(j, "proof", l->proof);
}

static bool
has_cert(const struct mm_sync_line *l)
{
	return l->der.n > 0 && l->der.n <= MM_CERT_MAX;
}

static void
put_body(const struct mm_sync *s, const struct mm_quarantined *q,
    struct mm_buf *body)
{
	const struct mm_sync_piece *p = s->piece;
	const struct mm_sync_line *l = &p->line[q->entry - p->before.size];
	struct mm_json j = mm_json_over(body);

	mm_json_open(&j, '{');
	mm_json_str(&j, "device", q->device);
	mm_json_str(&j, "serial", q->serial);
	mm_json_int(&j, "entry", (int64_t)q->entry);
	mm_json_str(&j, "ledger", s->station->ledger);
	mm_json_str(&j, "reason", q->reason);
	mm_json_str(&j, "code", mm_sync_faults[q->fault].word);
	mm_json_str(&j, "state", mm_aside_words[MM_ASIDE_WAITING]);
	mm_json_time(&j, "at", mm_now_ms());
	mm_json_b64(&j, "line", l->json);
	if (has_cert(l))
		mm_json_b64(&j, "certificate", l->der);
	put_proof(&j, proof_of(s, q->serial));
	mm_json_close(&j, '}');
}

/* Whether what is there is of the same entry of the same ledger: a piece that
 * was cut off comes again, and others may bring it at the same time. */
static enum mm_err
is_there(struct mm_sync *s, const char *id, uint64_t entry, bool *same,
    struct mm_why *why)
{
	MM_OWN(mm_aside_done) struct mm_aside a = { .o = NULL };

	MM_TRY(read_doc(s->d->r, id, &a, why));
	*same = is_of(a.o, s->station->ledger, entry);
	return MM_OK;
}

/* The first of a serial is found by it; others by ledger and entry, too. */
static void
name_aside(const struct mm_sync *s, const struct mm_quarantined *q, bool first,
    char id[MM_DOC_ID_MAX + 1])
{
	char tail[40 + sizeof(q->serial)], key[9];
	uint8_t hash[32];

	mm_sha256(mm_bytes_of(s->station->ledger), hash);
	mm_hex_text(hash, 4, key);
	snprintf(
	    tail, sizeof(tail), "%s.%s.%" PRIu64, q->serial, key, q->entry);
	aside_id(s->station->id, first ? q->serial : tail, id);
}

static const char *
hash_of_cert(
    const struct mm_sync *s, const struct mm_quarantined *q, char hex[65])
{
	const struct mm_sync_line *l =
	    &s->piece->line[q->entry - s->piece->before.size];
	uint8_t hash[32];

	if (!has_cert(l))
		return NULL;
	mm_sha256(l->der, hash);
	mm_hex_text(hash, 32, hex);
	return hex;
}

static enum mm_err
write_aside(struct mm_sync *s, size_t nth, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	const struct mm_quarantined *q = &s->out->put[nth];
	bool first = q->serial[0] != '\0', same = false;
	struct mm_op_doc doc = { .kind = MM_DOC_QUARANTINE };
	char number[24], hex[65];
	const struct mm_entry e = { .type = MM_E_UNIT_QUARANTINED,
		.field = { [MM_F_ACTOR] = s->by->id,
		    [MM_F_STATION] = s->station->id,
		    [MM_F_DEVICE] = q->device[0] != '\0' ? q->device : NULL,
		    [MM_F_SERIAL] = q->serial[0] != '\0' ? q->serial : NULL,
		    [MM_F_REASON] = q->reason,
		    [MM_F_ORIGIN] = s->station->ledger,
		    [MM_F_CERT_SHA256] = hash_of_cert(s, q, hex),
		    [MM_F_NUMBER] = number } };
	enum mm_err rc;

	snprintf(number, sizeof(number), "%" PRIu64, q->entry);
	put_body(s, q, &body);
	MM_TRY(mm_buf_ok(&body, why));
	for (;; first = false) {
		name_aside(s, q, first, doc.id);
		doc.body = mm_buf_view(&body);
		rc = mm_desk_doc_put(s->d, &doc, &e, 1, why);
		if (rc != MM_ECONFLICT)
			return rc;
		MM_TRY(is_there(s, doc.id, q->entry, &same, why));
		if (same || !first)
			return MM_OK;
	}
}

/* ---- proofs of what was put aside before ---- */

static bool
is_new(const struct mm_sync *s, const char *serial)
{
	for (size_t i = 0; i < s->out->nput; i++)
		if (strcmp(s->out->put[i].serial, serial) == 0)
			return true;
	return false;
}

static void
set_b64(json_t *o, const char *member, struct mm_bytes v, struct mm_buf *room)
{
	mm_buf_reset(room);
	mm_base64_put(room, v, 0);
	(void)!json_object_set_new(
	    o, member, json_stringn((const char *)room->p, room->n));
}

/* It is kept with the certificate, for who accepts that. */
static enum mm_err
keep_proof(
    struct mm_sync *s, const struct mm_sync_late *late, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf room = MM_BUF_INIT(2 * PROOF_MAX);
	MM_OWN(mm_aside_done) struct mm_aside a = { .o = NULL };
	const struct mm_sync_line *l = &s->piece->line[late->line];
	enum mm_err rc;

	if (l->proof.n > PROOF_MAX || is_new(s, late->serial))
		return MM_OK;
	rc = mm_aside_of_serial(s->d->r, s->station->id, late->serial, &a, why);
	if (rc != MM_OK)
		return rc == MM_ENOTFOUND ? MM_OK : rc;
	if (json_object_get(a.o, "proof") != NULL)
		return MM_OK;
	set_b64(a.o, "proof_line", l->json, &room);
	set_b64(a.o, "proof", l->proof, &room);
	MM_TRY(mm_buf_ok(&room, why));
	rc = mm_aside_put(s->d, &a, NULL, why);
	return rc == MM_ECONFLICT ? MM_EAGAIN : rc;
}

/* see sync_priv.h */
enum mm_err
mm_sync_asides(struct mm_sync *s, struct mm_why *why)
{
	for (size_t i = 0; i < s->out->nput; i++)
		MM_TRY(write_aside(s, i, why));
	for (size_t i = 0; i < s->nlate; i++)
		MM_TRY(keep_proof(s, &s->late[i], why));
	return MM_OK;
}
