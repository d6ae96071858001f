#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "base/text.h"
#include "base/time.h"
#include "cli/clocks.h"
#include "cli/commands.h"
#include "cli/copies.h"
#include "cli/crls.h"
#include "cli/entries.h"
#include "cli/facts.h"
#include "cli/heads.h"
#include "cli/line_cas.h"
#include "cli/listed.h"
#include "cli/marks.h"
#include "cli/givens.h"
#include "cli/orders.h"
#include "cli/quotas.h"
#include "ledger/journal.h"
#include "pki/cert.h"
#include "pki/profile.h"
#include "store/store.h"

/*
 * "ledger reconcile": the signer's journal, the ledger's entries and the
 * database are three records of the same signatures, kept by parties that
 * need not trust each other.  Each serial must be in all three, with the same
 * key, each revocation list and OCSP responder in journal and ledger, and each
 * work order that was signed in the ledger; the entries must make the trees
 * that the signer signed, and the records be what the entries made of them;
 * whatever is not is named.
 */
#define END { NULL, NULL, NULL, MM_C_NONE, NULL }
const struct mm_opt mm_opts_ledger_reconcile[] = {
	{ "config", "FILE", "mintmark.conf (default "
	    "/etc/mintmark/mintmark.conf)", MM_C_FILE, NULL },
	{ "journal", "FILE", "instead of the configuration's", MM_C_FILE,
	    NULL },
	{ "copied-at", "SIZE", "the last checkpoint's size before the "
	    "journals were copied: what came since may not be in them",
	    MM_C_NONE, NULL },
	END
};

enum { YOUNG_MS = 15000, LOST_MS = 60000 /* until one is settled */ };
#define CRL_MAX ((size_t)256 << 20)
#define PEM_MAX ((size_t)256 << 10)

struct reconcile {
	struct mm_cli *cli;
	struct mm_store_reader *db; /* borrowed */
	const struct mm_config *config;
	struct mm_marks of[MM_OF_RECORDS];
	struct mm_marks responders[MM_OF_STORE]; /* of OCSP */
	struct mm_crls crls[MM_OF_RECORDS];
	struct mm_orders orders[MM_OF_RECORDS];
	struct mm_givens givens[MM_OF_STORE];
	struct mm_clock_list clocks[MM_OF_STORE]; /* of journal and ledger */
	struct mm_marks glass[MM_OF_STORE]; /* recovered administrators */
	struct mm_facts *facts;
	struct mm_quotas *quotas;
	struct mm_heads heads;
	uint64_t size;      /* of the database's ledger */
	bool unread;        /* some of the database's certificates */
	size_t recovered;   /* journal lines that say so */
	uint64_t copied_at; /* entries from here on: see struct mm_mark */
	struct mm_waiting waiting;
	bool others;        /* other nodes' journals were given */
	int64_t began_ms;
	json_t *differences;
	struct mm_progress progress;
	char next[MM_AUTHORITY_TEXT];
	size_t page;
};

static enum mm_err
add_glass(struct reconcile *r, int record, const uint8_t serial[16],
    const uint8_t spki[32], bool later, struct mm_why *why)
{
	struct mm_mark m = { .later = later };

	memcpy(m.serial, serial, 16);
	memcpy(m.spki, spki, 32);
	return mm_marks_add(&r->glass[record], &m, why);
}

/* ---- the journal ---- */

static enum mm_err
journal_mark(struct reconcile *r, const struct mm_journal_line *l,
    struct mm_marks *marks, struct mm_why *why)
{
	int64_t ms = l->kind == MM_J_RESPONDER ? LOST_MS : YOUNG_MS;
	struct mm_mark m = { .not_after_s = l->not_after_s,
		.young = l->at_ms > r->began_ms - ms &&
		    l->at_ms < mm_now_ms() + ms,
		.partial = l->kind == MM_J_RECOVERED };

	memcpy(m.serial, l->serial, 16);
	memcpy(m.spki, l->spki_sha256, 32);
	memcpy(m.tbs, l->tbs_sha256, 8);
	mm_line_ca_who(&m, l->device, l->issuer, l->profile);
	return mm_marks_add(marks, &m, why);
}

static enum mm_err
journal_signature(struct reconcile *r, const struct mm_journal_line *l,
    struct mm_why *why)
{
	if (l->kind == MM_J_RECOVERY)
		return add_glass(r, MM_OF_JOURNAL, l->serial, l->spki_sha256,
		    false, why);
	if (l->kind == MM_J_RESPONDER)
		return journal_mark(r, l, &r->responders[MM_OF_JOURNAL], why);
	if (l->kind == MM_J_CERTIFICATE || l->kind == MM_J_RECOVERED)
		return journal_mark(r, l, &r->of[MM_OF_JOURNAL], why);
	return MM_OK;
}

static enum mm_err
journal_lines(struct reconcile *r, struct mm_bytes rest, struct mm_why *why)
{
	struct mm_journal_chain chain = { 0 };
	struct mm_journal_line l;
	enum mm_err rc;

	while ((rc = mm_journal_next(&rest, &chain, &l, why)) == MM_OK) {
		if (l.kind == MM_J_RECOVERED)
			r->recovered++;
		MM_TRY(mm_clocks_line(&r->clocks[MM_OF_JOURNAL], &l, why));
		MM_TRY(mm_crls_line(&r->crls[MM_OF_JOURNAL], &l, r->began_ms,
		    why));
		MM_TRY(mm_orders_line(&r->orders[MM_OF_JOURNAL], &l,
		    r->began_ms, why));
		MM_TRY(mm_givens_line(&r->givens[MM_OF_JOURNAL], &l,
		    r->began_ms, why));
		MM_TRY(mm_heads_line(&r->heads, &l, r->began_ms, why));
		mm_facts_line(r->facts, &l);
		MM_TRY(journal_signature(r, &l, why));
	}
	/* A last line without its end is still being written. */
	return rc == MM_ENOTFOUND || rc == MM_EAGAIN ? MM_OK : rc;
}

static enum mm_err
read_journal(struct reconcile *r, const char *path, struct mm_why *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *p;
	enum mm_err rc;

	if (fd < 0 || fstat(fd, &st) != 0) {
		mm_cli_hint(r->cli, "run it as a user of the audit group");
		return MM_FAIL(why, MM_ENOTFOUND, "%.100s: %s", path,
		    strerror(errno));
	}
	p = st.st_size == 0 ? NULL : mmap(NULL, (size_t)st.st_size, PROT_READ,
	    MAP_PRIVATE, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return MM_FAIL(why, MM_ESYS, "%.100s: %s", path,
		    strerror(errno));
	rc = journal_lines(r, (struct mm_bytes){ p, (size_t)st.st_size }, why);
	if (p != NULL)
		munmap(p, (size_t)st.st_size);
	return rc;
}

/* This node's, and those of the others, if there are any. */
static enum mm_err
read_journals(struct reconcile *r, const struct mm_args *a, const char *own,
    struct mm_why *why)
{
	const char *other = mm_arg(a, "journal");

	MM_TRY(read_journal(r, other != NULL ? other : own, why));
	for (int i = 0; i < a->npos; i++)
		MM_TRY(read_journal(r, a->pos[i], why));
	return MM_OK;
}

/* ---- ledger and database ---- */

static bool
is_signature(enum mm_entry_type t)
{
	return t == MM_E_CERT_ISSUED || t == MM_E_CERT_RENEWED ||
	    t == MM_E_SIG_ORPHANED || t == MM_E_CERT_SYNCED ||
	    t == MM_E_ISSUER_MADE || t == MM_E_RESPONDER_MADE ||
	    t == MM_E_OPERATOR_RECOVERED;
}

/* By a station's signer: taken in, or listed so that nobody takes it. */
static bool
signed_elsewhere(const struct mm_entry *e)
{
	return e->type == MM_E_CERT_SYNCED ||
	    (e->type == MM_E_SIG_ORPHANED && e->field[MM_F_STATION] != NULL);
}

static enum mm_err
hex(const struct mm_entry *e, enum mm_entry_field f, uint8_t *out, size_t n,
    struct mm_why *why)
{
	const char *text = e->field[f];

	return text == NULL ? MM_OK
	    : mm_hex_parse(text, strlen(text), out, n, why);
}

static enum mm_err
entry_signature(struct reconcile *r, const struct mm_entry *e, bool later,
    struct mm_why *why)
{
	struct mm_marks *marks = e->type == MM_E_RESPONDER_MADE ?
	    &r->responders[MM_OF_LEDGER] : &r->of[MM_OF_LEDGER];
	struct mm_mark m = { .later = later,
		.elsewhere = signed_elsewhere(e) };
	const struct mm_issuer_conf *issuer = e->field[MM_F_ISSUER] == NULL ?
	    NULL : mm_config_issuer(r->config, e->field[MM_F_ISSUER]);
	uint8_t cert[32] = { 0 };
	int64_t end_ms = 0;

	MM_TRY(hex(e, MM_F_SERIAL, m.serial, 16, why));
	MM_TRY(hex(e, MM_F_SPKI_SHA256, m.spki, 32, why));
	/* another CA's: under a number that no signer of ours makes; of an
	 * issuer that was taken out of the configuration, too */
	if (m.serial[0] >= 0x80 && e->field[MM_F_ISSUER] != NULL &&
	    (issuer == NULL || mm_issuer_upstream(issuer))) {
		m.elsewhere = true;
		m.orphan = e->type == MM_E_SIG_ORPHANED;
	}
	if (e->type == MM_E_OPERATOR_RECOVERED)
		return add_glass(r, MM_OF_LEDGER, m.serial, m.spki, later,
		    why);
	MM_TRY(hex(e, MM_F_CERT_SHA256, cert, 32, why));
	memcpy(m.cert, cert, sizeof(m.cert));
	if (e->field[MM_F_NOT_AFTER] != NULL)
		MM_TRY(mm_time_parse(e->field[MM_F_NOT_AFTER], &end_ms, why));
	m.not_after_s = end_ms / 1000;
	if (e->type == MM_E_ISSUER_MADE)
		mm_line_ca_who(&m, e->field[MM_F_ISSUER], NULL,
		    MM_LINE_CA_LABEL);
	else
		mm_line_ca_who(&m, e->field[MM_F_DEVICE],
		    e->field[MM_F_ISSUER], e->field[MM_F_PROFILE]);
	return mm_marks_add(marks, &m, why);
}

static enum mm_err
one_entry(void *ctx, uint64_t index, const struct mm_entry *e,
    struct mm_why *why)
{
	struct reconcile *r = ctx;
	bool later = index >= r->copied_at;

	if ((index & 1023) == 0)
		mm_progress_step(&r->progress, index);
	MM_TRY(mm_clocks_entry(&r->clocks[MM_OF_LEDGER], e, later, why));
	MM_TRY(mm_crls_entry(&r->crls[MM_OF_LEDGER], e, later, why));
	MM_TRY(mm_orders_entry(&r->orders[MM_OF_LEDGER], e, later, why));
	MM_TRY(mm_givens_entry(&r->givens[MM_OF_LEDGER], e, why));
	MM_TRY(mm_facts_entry(r->facts, index, e, why));
	MM_TRY(mm_quotas_entry(r->quotas, e, why));
	return is_signature(e->type) && e->field[MM_F_SERIAL] != NULL
		   ? entry_signature(r, e, later, why)
		   : MM_OK;
}

/* The stored certificate itself: its hash is the row's, and what was signed
 * is what the journal will be asked for.  An orphan has none. */
static enum mm_err
stored_hashes(struct reconcile *r, const struct mm_cert_row *c,
    struct mm_mark *m, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	struct mm_cert cert = { .tbs = { NULL, 0 } };
	uint8_t hash[32];
	bool good;

	if (c->state == MM_CERT_ORPHANED)
		return mm_facts_cert(r->facts, c, NULL, why);
	/* what is damaged hashes to something else */
	good = mm_get_cert_der(r->db, c->serial, &der, NULL) == MM_OK &&
	    mm_cert_walk(mm_buf_view(&der), &cert, NULL) == MM_OK;
	mm_sha256(mm_buf_view(&der), hash);
	memcpy(m->cert, hash, sizeof(m->cert));
	mm_sha256(cert.tbs, hash);
	memcpy(m->tbs, hash, sizeof(m->tbs));
	return mm_facts_cert(r->facts, c, good ? &cert : NULL, why);
}

static enum mm_err
one_row(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct reconcile *r = ctx;
	const struct mm_cert_row *c = row;
	struct mm_mark m = { .not_after_s = c->not_after_s };

	snprintf(r->next, sizeof(r->next), "%s", next);
	r->page++;
	memcpy(m.serial, c->serial, 16);
	memcpy(m.spki, c->spki_sha256, 32);
	mm_line_ca_who(&m, c->device, c->issuer, c->profile);
	MM_TRY(stored_hashes(r, c, &m, why));
	return mm_marks_add(&r->of[MM_OF_STORE], &m, why);
}

static enum mm_err
read_shard(struct reconcile *r, const char *issuer, struct mm_bytes cert,
    uint32_t shard, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(CRL_MAX);
	struct mm_crl_row row = { .shard = shard };
	enum mm_err rc = mm_get_shard(r->db, issuer, shard, &row.number,
	    &row.next_s, &der, NULL);

	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the database's CRL of issuer %s, "
		    "shard %u, cannot be read", issuer, shard);
	row.der = mm_buf_view(&der);
	return mm_crls_stored(&r->crls[MM_OF_STORE], issuer, cert, &row, why);
}

static enum mm_err
one_shard(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_shard_row *s = row;
	struct mm_buf *shards = ctx;

	(void)next;
	mm_buf_u32(shards, s->shard);
	return mm_buf_ok(shards, why);
}

static enum mm_err
read_shards(struct reconcile *r, const char *issuer, struct mm_bytes cert,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf shards = MM_BUF_INIT(1 << 20);
	struct mm_rd rd;
	struct mm_why own = { 0 };
	enum mm_err rc = mm_listed_compare(r->db, issuer, r->differences,
	    &own);

	MM_TRY(mm_differ_unread(r->differences, "certificates by shard", rc,
	    &own, why));
	MM_TRY(mm_list_shards(r->db, issuer, one_shard, &shards, why));
	rd = mm_rd_over(mm_buf_view(&shards));
	while (rd.left > 0)
		MM_TRY(read_shard(r, issuer, cert, mm_rd_u32(&rd), why));
	return MM_OK;
}

static enum mm_err
read_crl(struct reconcile *r, const char *issuer, struct mm_bytes cert,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(CRL_MAX);
	struct mm_crl_row row = { .shard = MM_SHARDS_WHOLE };
	enum mm_err rc = mm_get_crl(r->db, issuer, &row.number, &row.next_s,
	    &der, NULL);

	if (rc != MM_OK && rc != MM_ENOTFOUND)
		return MM_FAIL(why, rc, "the database's CRL of issuer %s "
		    "cannot be read", issuer);
	row.der = mm_buf_view(&der);
	MM_TRY(mm_crls_stored(&r->crls[MM_OF_STORE], issuer, cert, &row, why));
	return read_shards(r, issuer, cert, why);
}

/* By the first certificate of the issuer's file. */
static enum mm_err
read_crl_of(struct reconcile *r, const struct mm_issuer_conf *issuer,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf pem = MM_BUF_INIT(PEM_MAX);
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	struct mm_bytes rest = { NULL, 0 };

	if (mm_file_read(issuer->certificate, &pem, NULL) == MM_OK)
		rest = mm_buf_view(&pem);
	if (mm_pem_next(&rest, "CERTIFICATE", &der, NULL) != MM_OK)
		mm_buf_reset(&der);
	return read_crl(r, issuer->name, mm_buf_view(&der), why);
}

static enum mm_err
one_line_ca(void *ctx, const struct mm_line_ca_seen *seen, struct mm_why *why)
{
	struct reconcile *r = ctx;

	MM_TRY(mm_marks_add(&r->of[MM_OF_STORE], &seen->mark, why));
	return read_crl(r, seen->name, mm_buf_view(&seen->der), why);
}

static enum mm_err
read_certs(struct reconcile *r, struct mm_store_reader *db,
    struct mm_why *why)
{
	struct mm_list l = { .most = 1000, .state = -1 };

	do {
		r->page = 0;
		snprintf(l.after, sizeof(l.after), "%s", r->next);
		MM_TRY(mm_list_certs(db, &l, one_row, r, why));
	} while (r->page == l.most);
	return MM_OK;
}

static enum mm_err
read_store(struct reconcile *r, struct mm_store_reader *db,
    const struct mm_config *config, struct mm_why *why)
{
	struct mm_why own = { 0 };
	enum mm_err rc;

	MM_TRY(mm_get_ledger_size(db, &r->size, why));
	mm_progress_begin(&r->progress, r->cli, "entries", r->size);
	MM_TRY(mm_entries_each(db, r->size, one_entry, r, r->differences,
	    why));
	mm_progress_end(&r->progress);
	for (size_t i = 0; i < config->nissuer; i++)
		MM_TRY(read_crl_of(r, &config->issuer[i], why));
	MM_TRY(mm_line_cas_each(db, r->differences, one_line_ca, r, why));
	rc = read_certs(r, db, &own);
	r->unread = rc != MM_OK;
	MM_TRY(mm_differ_unread(r->differences, "certificates", rc, &own,
	    why));
	own = (struct mm_why){ 0 };
	rc = mm_orders_stored(&r->orders[MM_OF_STORE], db, r->differences,
	    &own);
	MM_TRY(mm_differ_unread(r->differences, "orders", rc, &own, why));
	MM_TRY(mm_quotas_compare(r->quotas, why));
	MM_TRY(mm_copies_compare(db, r->differences, why));
	return mm_facts_compare(r->facts, why);
}

/* ---- telling ---- */

static void
print_crl(json_t *item, const char *what)
{
	const json_t *shard = json_object_get(item, "shard");

	printf("CRL %lld of issuer %s", (long long)json_integer_value(
	    json_object_get(item, "crl")), json_string_value(
	    json_object_get(item, "issuer")));
	if (shard != NULL)
		printf(", shard %lld", (long long)json_integer_value(shard));
	printf("  %s\n", what);
}

static void
print_difference(json_t *item)
{
	const char *what = json_string_value(
	    json_object_get(item, "difference"));
	const char *serial = json_string_value(
	    json_object_get(item, "serial"));
	const char *record = json_string_value(
	    json_object_get(item, "record"));

	if (serial != NULL)
		printf("%s  %s\n", serial, what);
	else if (record != NULL)
		printf("%s  %s\n", record, what);
	else if (json_object_get(item, "crl") != NULL)
		print_crl(item, what);
	else
		printf("journal line %lld  %s\n", (long long)
		    json_integer_value(json_object_get(item, "line")), what);
}

static enum mm_err
report(struct reconcile *r, struct mm_why *why)
{
	size_t n = json_array_size(r->differences), i;
	json_t *item;

	mm_json_plain(r->differences, 3);
	if (r->cli->json) {
		json_t *o = json_pack("{s:b,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:O}",
		    "agree", n == 0, "journal",
		    (json_int_t)r->of[MM_OF_JOURNAL].n, "ledger",
		    (json_int_t)r->of[MM_OF_LEDGER].n, "database",
		    (json_int_t)r->of[MM_OF_STORE].n, "recovered",
		    (json_int_t)r->recovered, "in_flight",
		    (json_int_t)r->waiting.in_flight, "later",
		    (json_int_t)r->waiting.later, "stations",
		    (json_int_t)r->waiting.elsewhere, "crls",
		    (json_int_t)r->crls[MM_OF_LEDGER].n, "responders",
		    (json_int_t)r->responders[MM_OF_LEDGER].n, "clock_set_back",
		    (json_int_t)r->clocks[MM_OF_JOURNAL].n, "differences",
		    r->differences);

		mm_json_print(o);
		json_decref(o);
	} else {
		json_array_foreach(r->differences, i, item)
			print_difference(item);
		if (n == 0)
			printf("agree: journal, ledger and database have the "
			       "same %zu signatures", r->of[MM_OF_STORE].n);
		if (n == 0 && r->recovered != 0)
			printf(" (%zu of them recovered from the ledger)",
			    r->recovered);
		if (n == 0 && r->waiting.elsewhere != 0)
			printf(" (%zu of them by stations' signers or "
			       "existing CAs, whose journals are theirs)", r->waiting.elsewhere);
		if (n == 0)
			printf(", journal and ledger the same %zu revocation "
			       "lists.\n", r->crls[MM_OF_LEDGER].n);
		if (r->waiting.later != 0)
			printf("%zu %s after the journals were copied, and "
			       "not looked for in them\n", r->waiting.later,
			    mm_counted(r->waiting.later, "signature came",
				"signatures came"));
		if (r->clocks[MM_OF_JOURNAL].n != 0)
			printf("the signer's clock was set back %zu %s: "
			       "\"mintmark ledger show\" has that as "
			       "clock.set_back\n", r->clocks[MM_OF_JOURNAL].n,
			    mm_counted(r->clocks[MM_OF_JOURNAL].n, "time",
				"times"));
	}
	if (n > 0 && r->others && r->copied_at == UINT64_MAX)
		mm_cli_hint(r->cli, "a journal that was copied lacks what was "
		    "signed since: take SIZE, the second line of \"mintmark "
		    "ledger checkpoint\", then copy the journals, then say "
		    "--copied-at SIZE");
	return n == 0 ? MM_OK : mm_cli_unverified(r->cli, MM_FAIL(why,
	    MM_EPOLICY, "%zu %s between journal, ledger and database", n,
	    mm_counted(n, "difference", "differences")));
}

/* How long the ledger is stands there. */
static enum mm_err
no_counters(struct reconcile *r, struct mm_why *why)
{
	return mm_cli_unverified(r->cli, MM_FAIL(why, MM_EINPUT,
	    "the database has no counters"));
}

static enum mm_err
read_copied_at(struct reconcile *r, const struct mm_args *a,
    struct mm_why *why)
{
	long n;

	MM_TRY(mm_arg_int(a, "copied-at", LONG_MAX, 1, LONG_MAX, &n, why));
	r->copied_at = n == LONG_MAX ? UINT64_MAX : (uint64_t)n;
	r->others = a->npos > 0;
	return MM_OK;
}

static enum mm_err
reconcile(struct reconcile *r, const struct mm_args *a, struct mm_why *why)
{
	MM_OWN(mm_config_free) struct mm_config *config = NULL;
	MM_OWN(mm_reader_close) struct mm_store_reader *db = NULL;
	const char *conf = mm_arg(a, "config");
	struct mm_why own = { 0 };
	enum mm_err rc;
	char journal[MM_PATH_MAX + 32];
	uint64_t lined;

	MM_TRY(read_copied_at(r, a, why));
	MM_TRY(mm_config_load(conf ? conf : MM_CONF_AT,
	    &config, why));
	snprintf(journal, sizeof(journal), "%s/journal.jsonl",
	    config->set.signer_dir);
	/*
	 * The database first: what is signed and committed in between is in
	 * the journal then, and only what the database misses can differ.
	 */
	MM_TRY(mm_reader_open(config->set.database, &db, why));
	rc = mm_reader_begin(db, &own);
	if (rc != MM_OK)
		return rc == MM_ENOTFOUND ? no_counters(r, why)
		    : MM_FAIL(why, rc, "%s", own.text);
	r->db = db;
	MM_TRY(mm_facts_new(&(struct mm_facts_of){ db, config, r->differences,
	    r->began_ms }, &r->facts, why));
	MM_TRY(mm_quotas_new(db, r->differences, &r->quotas, why));
	r->config = config;
	MM_TRY(read_store(r, db, config, why));
	rc = read_journals(r, a, journal, why);
	if (rc != MM_OK)
		return rc == MM_EPOLICY || rc == MM_EINPUT
		    ? mm_cli_unverified(r->cli, rc) : rc;
	/* recovered: a journal's end was lost, tokens' lines too */
	lined = r->recovered != 0 ? 0 : r->copied_at;
	MM_TRY(mm_heads_compare(&r->heads, db, r->size,
	    config->set.ledger_origin, lined, r->differences, why));
	MM_TRY(mm_facts_journal(r->facts, lined, why));
	mm_reader_end(db);
	if (!r->unread)
		mm_marks_compare(r->of, MM_OF_RECORDS, "", r->differences,
		    &r->waiting);
	mm_marks_compare(r->responders, MM_OF_STORE, "OCSP responder, ",
	    r->differences, &r->waiting);
	MM_TRY(mm_crls_compare(r->crls, r->differences, &r->waiting, why));
	mm_givens_compare(&r->givens[MM_OF_JOURNAL],
	    &r->givens[MM_OF_LEDGER], r->differences, &r->waiting);
	mm_orders_compare(r->orders, r->recovered != 0, r->differences,
	    &r->waiting);
	mm_clocks_compare(&r->clocks[MM_OF_JOURNAL], &r->clocks[MM_OF_LEDGER],
	    r->differences);
	/* who broke the glass and never used what he got is in the journal
	 * alone */
	mm_marks_missing(&r->glass[MM_OF_LEDGER], &r->glass[MM_OF_JOURNAL],
	    "a recovered administrator that is not in the", "journal",
	    r->differences);
	return report(r, why);
}

enum mm_err
mm_cmd_ledger_reconcile(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	struct reconcile *r = calloc(1, sizeof(*r));
	enum mm_err rc;

	if (r == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	r->cli = cli;
	r->differences = json_array();
	r->began_ms = mm_now_ms();
	rc = reconcile(r, a, why);
	mm_facts_free(&r->facts);
	mm_quotas_free(&r->quotas);
	mm_heads_done(&r->heads);
	for (int i = 0; i < MM_OF_RECORDS; i++) {
		mm_marks_done(&r->of[i]);
		mm_crls_done(&r->crls[i]);
		mm_orders_done(&r->orders[i]);
	}
	for (int i = 0; i < MM_OF_STORE; i++) {
		mm_clocks_done(&r->clocks[i]);
		mm_givens_done(&r->givens[i]);
		mm_marks_done(&r->glass[i]);
		mm_marks_done(&r->responders[i]);
	}
	json_decref(r->differences);
	free(r);
	return rc;
}
