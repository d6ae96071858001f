#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/sync_priv.h"
#include "work/export.h"

/* Confirmations: what devices signed to prove their certificates. */

struct proof { /* a confirmation, and what its certificate's record says */
	uint64_t index;
	char *texts; /* arena of e */
	struct mm_entry e;
	const struct mm_sync_line *line;
	struct mm_cert_row row;
	uint8_t serial[MM_SERIAL_N];
	struct mm_op op;
	struct mm_buf papers;
};
struct proofs {
	struct proof *p;
	size_t n;
};

static void
proofs_done(struct proofs *all)
{
	for (size_t i = 0; i < all->n; i++) {
		free(all->p[i].texts);
		mm_buf_done(&all->p[i].papers);
	}
	free(all->p);
}

static const char *
text(const struct proof *p, enum mm_entry_field f)
{
	return p->e.field[f] != NULL ? p->e.field[f] : "";
}

/* Its certificate may come with the same piece, and not be stored in a dry
 * run. */
static const struct mm_sync_unit *
unit_of(const struct mm_sync *s, const uint8_t serial[MM_SERIAL_N])
{
	for (size_t i = 0; i < s->n; i++)
		if (s->unit[i].fault[0] == '\0' &&
		    memcmp(s->unit[i].row.serial, serial, MM_SERIAL_N) == 0)
			return &s->unit[i];
	return NULL;
}

/* Another has taken it over, and this is the ledger of who made it. */
static enum mm_err
is_by_its_ca(struct mm_sync *s, const struct mm_cert_row *row,
    const struct mm_entry *e, bool *yes, struct mm_why *why)
{
	const char *batch = e->field[MM_F_BATCH];
	char id[MM_DOC_ID_MAX + 1], whose[2 * MM_NAME_MAX + 2];
	uint8_t have[32], want[32];
	enum mm_err rc;

	snprintf(id, sizeof(id), "line:%s", row->issuer);
	snprintf(whose, sizeof(whose), "%s/%s", s->station->id,
	    batch != NULL ? batch : "");
	mm_sha256(mm_bytes_of(whose), want);
	rc = mm_noted_get(s->d->r, id, have, NULL);
	*yes = rc == MM_OK && memcmp(have, want, sizeof(want)) == 0;
	return rc == MM_OK || rc == MM_ENOTFOUND ? MM_OK
	    : MM_FAIL(why, rc, "the store cannot be read");
}

/* This station has brought it, as its entry says for good: another's, or the
 * centre's own, is not its to confirm, and neither is what the credential is
 * not for. */
static enum mm_err
is_its_own(struct mm_sync *s, struct proof *p, bool *yes, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf json = MM_BUF_INIT(MM_ENTRY_MAX);
	char texts[MM_ENTRY_MAX + 64];
	struct mm_entry e;

	MM_TRY(mm_get_entry(s->d->r, p->row.entry, &json, why));
	MM_TRY(
	    mm_entry_parse(mm_buf_view(&json), texts, sizeof(texts), &e, why));
	*yes = (e.type == MM_E_CERT_SYNCED || e.type == MM_E_SIG_ORPHANED) &&
	       e.field[MM_F_STATION] != NULL;
	if (*yes && strcmp(e.field[MM_F_STATION], s->station->id) != 0)
		MM_TRY(is_by_its_ca(s, &p->row, &e, yes, why));
	if (*yes && !mm_scope_sees(&s->by->scope, p->row.product,
			e.field[MM_F_BATCH] != NULL ? e.field[MM_F_BATCH] : ""))
		return MM_FAIL(why, MM_EPOLICY,
		    "entries: some are of what this credential is not for");
	return MM_OK;
}

static enum mm_err
find_cert(struct mm_sync *s, struct proof *p, struct mm_buf *der, bool *found,
    struct mm_why *why)
{
	const char *serial = text(p, MM_F_SERIAL);
	const struct mm_sync_unit *u;
	enum mm_err rc;

	*found = false;
	if (mm_hex_parse(
		serial, strlen(serial), p->serial, MM_SERIAL_N, NULL) != MM_OK)
		return MM_OK;
	u = unit_of(s, p->serial);
	if (u != NULL) {
		p->row = u->row;
		mm_buf_bytes(der, u->line->der);
		*found = true;
		return mm_buf_ok(der, why);
	}
	rc = mm_get_cert(s->d->r, p->serial, &p->row, NULL);
	if (rc == MM_OK)
		rc = mm_get_cert_der(s->d->r, p->serial, der, NULL);
	if (rc == MM_OK)
		return is_its_own(s, p, found, why);
	return rc == MM_ENOTFOUND
		   ? MM_OK
		   : MM_FAIL(why, rc, "the store cannot be read");
}

/* NULL in *what: it proves its certificate, or that was put aside. */
static enum mm_err
judge_proof(struct mm_sync *s, struct proof *p, const char **what, bool *good,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	const char *hex = text(p, MM_F_DETAIL_SHA256);
	uint8_t hash[32] = { 0 };
	bool found, aside;

	*good = false;
	*what = NULL;
	MM_TRY(find_cert(s, p, &der, &found, why));
	/* its certificate is in a piece that a dry run has not stored */
	if (!found && s->ahead) {
		*good = true;
		return MM_OK;
	}
	if (!found) {
		MM_TRY(mm_sync_is_aside(s, text(p, MM_F_SERIAL), &aside, why));
		*what = aside ? NULL : MM_EXPORT_NOT_MADE;
		return MM_OK;
	}
	(void)!mm_hex_parse(hex, strlen(hex), hash, sizeof(hash), NULL);
	*what = strcmp(p->row.device, text(p, MM_F_DEVICE)) != 0
		    ? MM_EXPORT_NOT_MADE
		    : mm_export_fault_of_proof(
			  hash, p->line->proof, mm_buf_view(&der));
	*good = *what == NULL;
	return MM_OK;
}

static enum mm_err
fill_proof(struct mm_sync *s, struct proof *p, struct mm_why *why)
{
	struct mm_papers papers = mm_papers_over(&p->papers);
	char serial[33];
	const struct mm_entry e = { .type = MM_E_CERT_CONFIRMED,
		.field = { [MM_F_ACTOR] = s->by->id,
		    [MM_F_DEVICE] = p->row.device,
		    [MM_F_PRODUCT] = p->row.product,
		    [MM_F_STATION] = s->station->id,
		    [MM_F_ISSUER] = p->row.issuer,
		    [MM_F_SERIAL] = serial,
		    [MM_F_DETAIL_SHA256] = text(p, MM_F_DETAIL_SHA256) } };

	mm_hex_text(p->serial, MM_SERIAL_N, serial);
	p->op = (struct mm_op){ .kind = MM_OP_CONFIRM };
	memcpy(p->op.u.confirm.serial, p->serial, MM_SERIAL_N);
	p->op.u.confirm.at = mm_now_ms();
	mm_papers_add(&papers, &e);
	return mm_papers_seal(&papers, &p->op, why);
}

/* Of one that was revoked meanwhile that it had proved itself changes
 * nothing. */
static enum mm_err
count_proof(struct mm_sync *s, const struct proof *p, struct mm_why *why)
{
	enum mm_err rc = p->op.result;

	if (rc != MM_OK && rc != MM_ECONFLICT)
		return MM_FAIL(why, rc, "%s", p->op.why.text);
	s->out->confirmed += rc == MM_OK && !p->op.u.confirm.already;
	s->out->unchanged += rc == MM_OK && p->op.u.confirm.already;
	return rc != MM_OK ? MM_OK
			   : mm_sync_unit_proved(s, text(p, MM_F_BATCH),
				 &p->row, p->e.at_ms, why);
}

static enum mm_err
write_proofs(struct mm_sync *s, struct proofs *all, struct mm_why *why)
{
	struct mm_op *list[MM_SYNC_ENTRIES_MAX];

	for (size_t i = 0; i < all->n; i++) {
		MM_TRY(fill_proof(s, &all->p[i], why));
		list[i] = &all->p[i].op;
	}
	if (all->n > 0)
		MM_TRY(mm_desk_write(s->d, list, all->n, why));
	for (size_t i = 0; i < all->n; i++)
		MM_TRY(count_proof(s, &all->p[i], why));
	return MM_OK;
}

/* For who accepts its certificate, which was put aside. */
static enum mm_err
note_late(struct mm_sync *s, const struct proof *p, struct mm_why *why)
{
	struct mm_sync_late *l;

	if (s->late == NULL)
		s->late = calloc(s->piece->n, sizeof(*s->late));
	if (s->late == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	l = &s->late[s->nlate++];
	snprintf(l->serial, sizeof(l->serial), "%s", text(p, MM_F_SERIAL));
	l->line = (size_t)(p->line - s->piece->line);
	return MM_OK;
}

/* It stays in the list if it is to be written. */
static enum mm_err
take_proof(struct mm_sync *s, struct proofs *all, struct mm_why *why)
{
	struct proof *p = &all->p[all->n];
	const char *what;
	bool good;

	MM_TRY(judge_proof(s, p, &what, &good, why));
	if (what != NULL)
		mm_sync_put_aside(
		    s, &(struct mm_sync_aside){ p->index, text(p, MM_F_DEVICE),
			   "", what, MM_SYNC_PROOF });
	else if (!good)
		MM_TRY(note_late(s, p, why));
	all->n += good;
	return MM_OK;
}

static enum mm_err
take_lines(struct mm_sync *s, struct proofs *all, struct mm_why *why)
{
	for (size_t i = 0; i < s->piece->n; i++) {
		struct mm_sync_unit read = { .index = 0 };
		struct proof *p = &all->p[all->n];
		size_t n = all->n;
		enum mm_err rc = MM_OK;

		*p = (struct proof){ .line = &s->piece->line[i],
			.index = s->piece->before.size + i,
			.papers = MM_BUF_INIT(MM_ENTRY_MAX) };
		if (mm_sync_parse(p->line, &read) &&
		    read.e.type == MM_E_CERT_CONFIRMED) {
			p->e = read.e;
			rc = take_proof(s, all, why);
		}
		if (all->n > n)
			p->texts = read.texts;
		else
			free(read.texts);
		MM_TRY(rc);
	}
	return MM_OK;
}

/* see sync_priv.h */
enum mm_err
mm_sync_proofs(struct mm_sync *s, bool dry_run, struct mm_why *why)
{
	MM_OWN(proofs_done)
	struct proofs all = { .p = calloc(s->piece->n + 1, sizeof(*all.p)) };

	if (all.p == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	MM_TRY(take_lines(s, &all, why));
	if (dry_run)
		s->out->confirmed += all.n;
	return dry_run ? MM_OK : write_proofs(s, &all, why);
}
