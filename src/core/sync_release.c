#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/faults.h"
#include "base/own.h"
#include "core/sync_priv.h"

/*
 * What a supervisor decides of a unit that was put aside.
 *
 * Which of two at once is it, the serial number decides, of which there is one:
 * a certificate's record (accepted), or an orphan's (rejected), so that its
 * list has it.  Why it is accepted is in the document before the certificate is
 * stored, as a wish; the document says what came of it when all else is done.
 * What was cut off in between the same call ends.
 */
enum { WISHES_MAX = 16, LINE_MAX_N = 3 * MM_CERT_MAX };

struct decision {
	struct mm_sync s;
	struct mm_sync_piece *piece; /* its entry, and its proof's */
	struct mm_sync_result *result;
	struct mm_sync_release release;
	struct mm_buf bytes[4]; /* what the piece is of */
	struct mm_aside aside;
	const struct mm_decision *asked;
	struct mm_decided *out;
};

static void
decision_done(struct decision *x)
{
	mm_sync_done(&x->s);
	for (size_t i = 0; i < 4; i++)
		mm_buf_done(&x->bytes[i]);
	mm_aside_done(&x->aside);
	free(x->piece);
	free(x->result);
}

static enum mm_err
begin(struct decision *x, struct mm_why *why)
{
	for (size_t i = 0; i < 4; i++)
		mm_buf_init(&x->bytes[i], LINE_MAX_N);
	x->piece = calloc(1, sizeof(*x->piece));
	x->result = calloc(1, sizeof(*x->result));
	x->s.unit = calloc(1, sizeof(*x->s.unit));
	if (x->piece == NULL || x->result == NULL || x->s.unit == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	x->s.piece = x->piece;
	x->s.out = x->result;
	return mm_key_templates_new(NULL, &x->s.templates, why);
}

/* What was put aside, as it was brought. */
static enum mm_err
read_piece(struct decision *x, struct mm_why *why)
{
	static const char *const members[] = { "line", "certificate",
		"proof_line", "proof" };
	struct mm_sync_line *l = x->piece->line;

	for (size_t i = 0; i < 4; i++) {
		MM_TRY(
		    mm_aside_bytes(&x->aside, members[i], &x->bytes[i], why));
		MM_TRY(mm_buf_ok(&x->bytes[i], why));
	}
	l[0].json = mm_buf_view(&x->bytes[0]);
	l[0].der = mm_buf_view(&x->bytes[1]);
	l[1].json = mm_buf_view(&x->bytes[2]);
	l[1].proof = mm_buf_view(&x->bytes[3]);
	x->piece->n = l[1].json.n > 0 ? 2 : 1;
	x->piece->before.size = x->out->unit.entry;
	return MM_OK;
}

static enum mm_err
find(struct decision *x, struct mm_why *why)
{
	x->aside.o = NULL;
	MM_TRY(mm_aside_find(
	    x->s.d->r, x->s.station, x->asked->entry, &x->aside, why));
	return mm_aside_parse(&x->aside, &x->out->unit, why);
}

/* n is 1 then; 0: it is no certificate's entry. */
static void
take_unit(struct decision *x)
{
	struct mm_sync_unit *u = x->s.unit;

	if (mm_sync_parse(&x->piece->line[0], u) &&
	    mm_entry_brings_cert(u->e.type)) {
		mm_sync_take_issuance(
		    &x->s, x->out->unit.entry, &x->piece->line[0], u);
		return;
	}
	free(u->texts);
	u->texts = NULL;
}

/* ---- what is kept of a decision ---- */

static enum mm_err
put_words(struct decision *x, json_t **out, struct mm_why *why)
{
	uint8_t salt[MM_SALT_N], hash[32];
	char hex[2 * MM_SALT_N + 1], at[MM_TIME_TEXT];

	MM_TRY(mm_salt_make(salt, why));
	mm_salted_sha256(salt, mm_bytes_of(x->asked->note), hash);
	mm_hex_text(hash, 32, x->release.note_sha256);
	mm_hex_text(salt, MM_SALT_N, hex);
	mm_time_text(mm_now_ms(), at);
	*out = json_pack("{s:s,s:s,s:s,s:s}", "note", x->asked->note, "salt",
	    hex, "by", x->s.by->id, "at", at);
	return *out != NULL ? MM_OK
			    : MM_FAIL(why, MM_EINPUT, "reason: want a text");
}

static enum mm_err
wish(struct decision *x, struct mm_why *why)
{
	json_t *list = json_object_get(x->aside.o, "wishes"), *words = NULL;

	if (!json_is_array(list)) {
		list = json_array();
		(void)!json_object_set_new(x->aside.o, "wishes", list);
	}
	while (json_array_size(list) >= WISHES_MAX)
		(void)!json_array_remove(list, 0);
	MM_TRY(put_words(x, &words, why));
	(void)!json_array_append_new(list, words);
	return mm_aside_put(x->s.d, &x->aside, NULL, why);
}

static bool
is_of(const json_t *words, const char *hex)
{
	const char *note = json_string_value(json_object_get(words, "note"));
	const char *salt = json_string_value(json_object_get(words, "salt"));
	uint8_t raw[MM_SALT_N], hash[32];
	char mine[65];

	if (note == NULL || salt == NULL ||
	    mm_hex_parse(salt, strlen(salt), raw, MM_SALT_N, NULL) != MM_OK)
		return false;
	mm_salted_sha256(raw, mm_bytes_of(note), hash);
	mm_hex_text(hash, 32, mine);
	return strcmp(mine, hex) == 0;
}

/* Whose wish came true: the entry behind the certificate's says, if it was not
 * this call's. */
static enum mm_err
find_release(struct decision *x, bool *by_release, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf json = MM_BUF_INIT(MM_ENTRY_MAX);
	char texts[MM_ENTRY_MAX + 64];
	struct mm_cert_row row;
	struct mm_entry e;

	MM_TRY(mm_get_cert(x->s.d->r, x->s.unit->row.serial, &row, why));
	MM_TRY(mm_get_entry(x->s.d->r, row.entry + 1, &json, why));
	MM_TRY(
	    mm_entry_parse(mm_buf_view(&json), texts, sizeof(texts), &e, why));
	*by_release = e.type == MM_E_UNIT_RELEASED;
	if (*by_release)
		snprintf(x->release.note_sha256,
		    sizeof(x->release.note_sha256), "%s",
		    e.field[MM_F_DETAIL_SHA256]);
	return MM_OK;
}

static enum mm_err
read_released(struct decision *x, struct mm_why *why)
{
	bool by_release = true;

	if (!x->s.unit->stored)
		MM_TRY(find_release(x, &by_release, why));
	return by_release ? MM_OK
			  : MM_FAIL(why, MM_ECONFLICT,
				"entry %" PRIu64 ": its certificate is in force",
				x->out->unit.entry);
}

static void
settle_words(struct decision *x)
{
	json_t *list = json_object_get(x->aside.o, "wishes"), *words;
	size_t i;

	json_array_foreach(list, i, words) if (is_of(words,
						   x->release.note_sha256))(
	    void) !json_object_set(x->aside.o, "decision", words);
	(void)!json_object_del(x->aside.o, "wishes");
}

static enum mm_err
settle(struct decision *x, enum mm_aside_state to, const struct mm_entry *e,
    struct mm_why *why)
{
	(void)!json_object_set_new(
	    x->aside.o, "state", json_string(mm_aside_words[to]));
	MM_TRY(mm_aside_put(x->s.d, &x->aside, e, why));
	return mm_aside_parse(&x->aside, &x->out->unit, why);
}

/* ---- accept ---- */

static enum mm_err
cannot(struct decision *x, const char *what, struct mm_why *why)
{
	return MM_FAIL(why, MM_EPOLICY,
	    "entry %" PRIu64 " cannot be accepted: %s", x->out->unit.entry,
	    what);
}

/* It is stored: by the call before this one, that was cut off; see
 * read_released. */
static enum mm_err
check_known(struct decision *x, struct mm_why *why)
{
	struct mm_cert_row have;

	MM_TRY(mm_get_cert(x->s.d->r, x->s.unit->row.serial, &have, why));
	return have.state != MM_CERT_ORPHANED
		   ? MM_OK
		   : MM_FAIL(why, MM_ECONFLICT,
			 "entry %" PRIu64 " was rejected", x->out->unit.entry);
}

static enum mm_err
release(struct decision *x, struct mm_why *why)
{
	struct mm_sync_unit *u = x->s.unit;

	MM_TRY(mm_sync_judge(&x->s, u, why));
	if (u->fault[0] != '\0')
		return cannot(x, u->fault, why);
	if (u->known)
		return check_known(x, why);
	MM_TRY(wish(x, why));
	mm_die_at("release.wish");
	MM_TRY(mm_sync_store(&x->s, why));
	if (u->fault[0] != '\0')
		return cannot(x, u->fault, why);
	return u->known ? check_known(x, why) : MM_OK;
}

static enum mm_err
accept_all(struct decision *x, struct mm_why *why)
{
	if (x->out->unit.state == MM_ASIDE_REJECTED)
		return MM_FAIL(why, MM_ECONFLICT,
		    "entry %" PRIu64 " was rejected", x->out->unit.entry);
	x->out->already = x->out->unit.state == MM_ASIDE_ACCEPTED;
	if (x->out->already)
		return MM_OK;
	MM_TRY(read_piece(x, why));
	take_unit(x);
	if (x->s.n == 0)
		return cannot(x, "it brought no certificate", why);
	x->release.reason = x->out->unit.reason;
	x->release.ledger =
	    json_string_value(json_object_get(x->aside.o, "ledger"));
	snprintf(x->release.number, sizeof(x->release.number), "%" PRIu64,
	    x->out->unit.entry);
	x->s.release = &x->release;
	MM_TRY(release(x, why));
	mm_die_at("release.stored");
	MM_TRY(read_released(x, why));
	MM_TRY(mm_sync_proofs(&x->s, false, why));
	MM_TRY(mm_sync_units(&x->s, why));
	mm_die_at("release.proved");
	x->out->confirmed = x->result->confirmed + x->result->unchanged > 0;
	settle_words(x);
	return settle(x, MM_ASIDE_ACCEPTED, NULL, why);
}

/* ---- reject ---- */

/* By the line CA that its entry names, whatever else is wrong with it: what
 * others trust is that signature. */
static bool
is_a_cas(struct decision *x)
{
	struct mm_sync_unit *u = x->s.unit;
	const char *name = mm_sync_field(u, MM_F_ISSUER);
	const struct mm_chain *chain = mm_issuer_chain(x->s.d->c, name);

	if (x->s.n == 0 || chain == NULL ||
	    !mm_issuer_is_line(x->s.d->c, name) ||
	    mm_sync_walk(&x->s, u, NULL) != MM_OK || u->fault[0] != '\0' ||
	    !mm_sync_is_signed(&x->s, &u->c, chain->der[0]))
		return false;
	strcpy(u->row.issuer, name);
	return true;
}

static void
fill_orphan(struct decision *x, struct mm_cert_row *row)
{
	const struct mm_sync_unit *u = x->s.unit;
	const char *product = mm_sync_field(u, MM_F_PRODUCT);

	*row = u->row;
	row->state = MM_CERT_ORPHANED;
	row->issued_at = row->revoked_at = mm_now_ms();
	row->key_type = (uint8_t)(1 + u->c.spki.type);
	if (mm_name_valid(product))
		strcpy(row->product, product);
	snprintf(row->profile, sizeof(row->profile), "%s",
	    mm_sync_field(u, MM_F_PROFILE));
	snprintf(row->authority, sizeof(row->authority), "%s",
	    mm_sync_field(u, MM_F_AUTHORITY));
}

static enum mm_err
enter_orphan(struct decision *x, struct mm_op *op, struct mm_why *why)
{
	struct mm_papers p = mm_papers_over(&x->s.d->buf);
	struct mm_entry e = { .type = MM_E_SIG_ORPHANED };
	struct mm_cert_texts t;

	mm_entry_cert(&e, &t, &op->u.orphan.row, "");
	e.field[MM_F_ACTOR] = x->s.by->id;
	e.field[MM_F_STATION] = x->s.station->id;
	mm_papers_add(&p, &e);
	return mm_desk_run(x->s.d, &p, op, why);
}

/* Its serial number is taken: by itself, in the call before this one, or by
 * another certificate, whose place on the list it is not to take. */
static enum mm_err
check_taken(
    struct decision *x, const struct mm_cert_row *row, struct mm_why *why)
{
	struct mm_cert_row have;
	bool same, ours = true;

	MM_TRY(mm_get_cert(x->s.d->r, row->serial, &have, why));
	same = memcmp(have.cert_sha256, row->cert_sha256, 32) == 0;
	/* one that was taken over, and the ledger of who made it came after
	 * all: that one's word stands, and this is not needed */
	if (same && x->s.unit->e.type == MM_E_CERT_ADOPTED)
		MM_TRY(find_release(x, &ours, why));
	x->out->listed = same && ours;
	if (!ours)
		return MM_OK;
	return !same || have.state == MM_CERT_ORPHANED
		   ? MM_OK
		   : MM_FAIL(why, MM_ECONFLICT,
			 "entry %" PRIu64
			 ": its certificate is in force: revoke it",
			 x->out->unit.entry);
}

static enum mm_err
list(struct decision *x, struct mm_why *why)
{
	struct mm_op op = { .kind = MM_OP_ORPHAN };
	struct mm_why own = { 0 };
	enum mm_err rc;

	if (!is_a_cas(x))
		return MM_OK;
	fill_orphan(x, &op.u.orphan.row);
	rc = enter_orphan(x, &op, &own);
	if (rc == MM_ECONFLICT)
		return check_taken(x, &op.u.orphan.row, why);
	x->out->listed = rc == MM_OK;
	return rc == MM_OK ? MM_OK : MM_FAIL(why, rc, "%s", own.text);
}

static enum mm_err
enter_rejected(struct decision *x, struct mm_why *why)
{
	const struct mm_quarantined q = x->out->unit;
	char number[24];
	const struct mm_entry e = { .type = MM_E_UNIT_REJECTED,
		.field = { [MM_F_ACTOR] = x->s.by->id,
		    [MM_F_STATION] = x->s.station->id,
		    [MM_F_DEVICE] = q.device[0] != '\0' ? q.device : NULL,
		    [MM_F_SERIAL] = q.serial[0] != '\0' ? q.serial : NULL,
		    [MM_F_NUMBER] = number,
		    [MM_F_ORIGIN] = json_string_value(
			json_object_get(x->aside.o, "ledger")),
		    [MM_F_REASON] = q.reason,
		    [MM_F_DETAIL_SHA256] = x->release.note_sha256 } };
	json_t *words;

	snprintf(number, sizeof(number), "%" PRIu64, q.entry);
	MM_TRY(put_words(x, &words, why));
	(void)!json_object_set_new(x->aside.o, "decision", words);
	(void)!json_object_del(x->aside.o, "wishes");
	(void)!json_object_set_new(
	    x->aside.o, "listed", json_boolean(x->out->listed));
	return settle(x, MM_ASIDE_REJECTED, &e, why);
}

static enum mm_err
reject_all(struct decision *x, struct mm_why *why)
{
	if (x->out->unit.state == MM_ASIDE_ACCEPTED)
		return MM_FAIL(why, MM_ECONFLICT,
		    "entry %" PRIu64 " was accepted: revoke its certificate",
		    x->out->unit.entry);
	x->out->already = x->out->unit.state == MM_ASIDE_REJECTED;
	x->out->listed = json_is_true(json_object_get(x->aside.o, "listed"));
	if (x->out->already)
		return MM_OK;
	MM_TRY(read_piece(x, why));
	take_unit(x);
	MM_TRY(list(x, why));
	mm_die_at("reject.listed");
	/* an accept that lost may have left its wish since */
	mm_aside_done(&x->aside);
	MM_TRY(find(x, why));
	return enter_rejected(x, why);
}

/* ---- both ---- */

static enum mm_err
decide(struct decision *x,
    enum mm_err (*how)(struct decision *, struct mm_why *), struct mm_why *why)
{
	const char *note = x->asked->note;
	size_t n = strlen(note);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)note[i] < ' ' || note[i] == 0x7f)
			n = 0;
	if (n == 0 || n >= sizeof(x->out->unit.note))
		return MM_FAIL(
		    why, MM_EINPUT, "reason: one line of 1 to 128 bytes");
	*x->out = (struct mm_decided){ .listed = false };
	MM_TRY(begin(x, why));
	MM_TRY(find(x, why));
	return how(x, why);
}

/* see sync.h */
enum mm_err
mm_desk_quarantine_accept(struct mm_desk *d, const struct mm_login *by,
    const struct mm_station *s, const struct mm_decision *w,
    struct mm_decided *out, struct mm_why *why)
{
	MM_OWN(decision_done)
	struct decision x = {
		.s = { .d = d, .by = by, .station = s }, .asked = w, .out = out
	};

	return decide(&x, accept_all, why);
}

/* see sync.h */
enum mm_err
mm_desk_quarantine_reject(struct mm_desk *d, const struct mm_login *by,
    const struct mm_station *s, const struct mm_decision *w,
    struct mm_decided *out, struct mm_why *why)
{
	MM_OWN(decision_done)
	struct decision x = {
		.s = { .d = d, .by = by, .station = s }, .asked = w, .out = out
	};

	return decide(&x, reject_all, why);
}
