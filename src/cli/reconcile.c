#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "base/text.h"
#include "base/time.h"
#include "cli/clocks.h"
#include "cli/commands.h"
#include "ledger/entry.h"
#include "ledger/journal.h"
#include "pki/cert.h"
#include "pki/profile.h"
#include "store/store.h"

/*
 * "ledger reconcile": the signer's journal, the ledger's entries and the
 * database are three records of the same signatures, kept by parties that
 * need not trust each other.  Each serial must be in all three, with the same
 * key; whatever is not is named.
 */
#define END { NULL, NULL, NULL, MM_C_NONE, NULL }
const struct mm_opt mm_opts_ledger_reconcile[] = {
	{ "config", "FILE", "mintmark.conf (default "
	    "/etc/mintmark/mintmark.conf)", MM_C_FILE, NULL },
	{ "journal", "FILE", "instead of the configuration's", MM_C_FILE,
	    NULL },
	END
};

enum { JOURNAL, LEDGER, STORE, RECORDS };
static const char *const names[RECORDS] = { "journal", "ledger", "database" };

/*
 * A signature as one record has it.  who: hash of device, issuer and profile.
 * tbs, cert: 8 bytes of the hash of what was signed and of the certificate,
 * zero where a record does not have it; so is not_after_s.  young: it may
 * still be on its way.  partial: a journal line recovered from the ledger,
 * which knows the serial and the key only.
 */
struct mark {
	uint8_t serial[16], spki[32], who[16], tbs[8], cert[8];
	int64_t not_after_s;
	bool young, partial;
};
enum { YOUNG_MS = 15000 };
struct marks {
	struct mark *m;
	size_t n, cap;
};
struct reconcile {
	struct mm_cli *cli;
	struct mm_store_reader *db; /* borrowed */
	struct marks of[RECORDS];
	struct mm_clock_list clocks[STORE]; /* of journal and ledger */
	size_t recovered;   /* journal lines that say so */
	size_t in_flight;   /* young ones that only the journal has */
	int64_t began_ms;
	json_t *differences;
	struct mm_progress progress;
	char next[MM_AUTHORITY_TEXT];
	size_t page;
	char arena[MM_ENTRY_MAX + 64];
};

static void
mark_who(struct mark *m, const char *device, const char *issuer,
    const char *profile)
{
	char text[MM_DEVICE_ID_MAX + MM_NAME_MAX + MM_PROFILE_TEXT + 8];
	uint8_t hash[32];

	snprintf(text, sizeof(text), "%s|%s|%s", device ? device : "",
	    issuer ? issuer : "", profile ? profile : "");
	mm_sha256(mm_bytes_of(text), hash);
	memcpy(m->who, hash, sizeof(m->who));
}

static enum mm_err
add(struct marks *s, const struct mark *mark, struct mm_why *why)
{
	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 1024;
		struct mark *m = reallocarray(s->m, cap, sizeof(*m));

		if (m == NULL)
			return MM_FAIL(why, MM_ENOMEM, "out of memory");
		s->m = m;
		s->cap = cap;
	}
	s->m[s->n++] = *mark;
	return MM_OK;
}

/* ---- the journal ---- */

static enum mm_err
journal_mark(struct reconcile *r, const struct mm_journal_line *l,
    struct mm_why *why)
{
	struct mark m = { .not_after_s = l->not_after_s,
		.young = l->at_ms > r->began_ms - YOUNG_MS &&
		    l->at_ms < r->began_ms + YOUNG_MS,
		.partial = l->kind == MM_J_RECOVERED };

	memcpy(m.serial, l->serial, 16);
	memcpy(m.spki, l->spki_sha256, 32);
	memcpy(m.tbs, l->tbs_sha256, 8);
	mark_who(&m, l->device, l->issuer, l->profile);
	return add(&r->of[JOURNAL], &m, why);
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
		MM_TRY(mm_clocks_line(&r->clocks[JOURNAL], &l, why));
		if (l.kind != MM_J_CERTIFICATE && l.kind != MM_J_RECOVERED)
			continue;
		MM_TRY(journal_mark(r, &l, why));
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

/* ---- ledger and database ---- */

static bool
is_signature(enum mm_entry_type t)
{
	return t == MM_E_CERT_ISSUED || t == MM_E_CERT_RENEWED ||
	    t == MM_E_SIG_ORPHANED;
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
one_entry(void *ctx, uint64_t index, struct mm_bytes json,
    struct mm_why *why)
{
	struct reconcile *r = ctx;
	struct mark m = { 0 };
	uint8_t cert[32] = { 0 };
	int64_t end_ms = 0;
	struct mm_entry e;

	MM_TRY(mm_entry_parse(json, r->arena, sizeof(r->arena), &e, why));
	if ((index & 1023) == 0)
		mm_progress_step(&r->progress, index);
	MM_TRY(mm_clocks_entry(&r->clocks[LEDGER], &e, why));
	if (!is_signature(e.type) || e.field[MM_F_SERIAL] == NULL)
		return MM_OK;
	MM_TRY(hex(&e, MM_F_SERIAL, m.serial, 16, why));
	MM_TRY(hex(&e, MM_F_SPKI_SHA256, m.spki, 32, why));
	MM_TRY(hex(&e, MM_F_CERT_SHA256, cert, 32, why));
	memcpy(m.cert, cert, sizeof(m.cert));
	if (e.field[MM_F_NOT_AFTER] != NULL)
		MM_TRY(mm_time_parse(e.field[MM_F_NOT_AFTER], &end_ms, why));
	m.not_after_s = end_ms / 1000;
	mark_who(&m, e.field[MM_F_DEVICE], e.field[MM_F_ISSUER],
	    e.field[MM_F_PROFILE]);
	return add(&r->of[LEDGER], &m, why);
}

/* The stored certificate itself: its hash is the row's, and what was signed
 * is what the journal will be asked for.  An orphan has none. */
static enum mm_err
stored_hashes(struct reconcile *r, const struct mm_cert_row *c,
    struct mark *m, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	struct mm_cert cert;
	uint8_t hash[32];

	if (c->state == MM_CERT_ORPHANED)
		return MM_OK;
	MM_TRY(mm_get_cert_der(r->db, c->serial, &der, why));
	MM_TRY(mm_cert_walk(mm_buf_view(&der), &cert, why));
	mm_sha256(mm_buf_view(&der), hash);
	memcpy(m->cert, hash, sizeof(m->cert));
	mm_sha256(cert.tbs, hash);
	memcpy(m->tbs, hash, sizeof(m->tbs));
	return MM_OK;
}

static enum mm_err
one_row(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct reconcile *r = ctx;
	const struct mm_cert_row *c = row;
	struct mark m = { .not_after_s = c->not_after_s };

	snprintf(r->next, sizeof(r->next), "%s", next);
	r->page++;
	memcpy(m.serial, c->serial, 16);
	memcpy(m.spki, c->spki_sha256, 32);
	mark_who(&m, c->device, c->issuer, c->profile);
	MM_TRY(stored_hashes(r, c, &m, why));
	return add(&r->of[STORE], &m, why);
}

static enum mm_err
read_store(struct reconcile *r, struct mm_store_reader *db,
    struct mm_why *why)
{
	struct mm_list l = { .most = 1000, .state = -1 };
	uint64_t size;

	MM_TRY(mm_get_ledger_size(db, &size, why));
	mm_progress_begin(&r->progress, r->cli, "entries", size);
	MM_TRY(mm_each_entry(db, 0, size, one_entry, r, why));
	mm_progress_end(&r->progress);
	do {
		r->page = 0;
		snprintf(l.after, sizeof(l.after), "%s", r->next);
		MM_TRY(mm_list_certs(db, &l, one_row, r, why));
	} while (r->page == l.most);
	return MM_OK;
}

/* ---- comparing ---- */

static int
order(const void *a, const void *b)
{
	return memcmp(a, b, 16);
}

static void
differ(struct reconcile *r, const uint8_t serial[16], const char *what,
    const char *where)
{
	char hex[33], text[96];

	mm_hex_text(serial, 16, hex);
	snprintf(text, sizeof(text), "%s %s", what, where);
	json_array_append_new(r->differences, json_pack("{s:s,s:s}", "serial",
	    hex, "difference", text));
}

/* The records that stand at the smallest serial, as bits; its place. */
static unsigned
smallest(const struct reconcile *r, const size_t at[RECORDS],
    const struct mark **least)
{
	unsigned have = 0;

	*least = NULL;
	for (int i = 0; i < RECORDS; i++) {
		const struct marks *s = &r->of[i];
		int c;

		if (at[i] == s->n)
			continue;
		c = *least ? memcmp(s->m[at[i]].serial, (*least)->serial, 16)
			   : -1;
		if (c < 0) {
			*least = &s->m[at[i]];
			have = 0;
		}
		if (c <= 0)
			have |= 1u << i;
	}
	return have;
}

/* What two records say of one signature; NULL where they agree. */
static const char *
disagree(const struct mark *a, const struct mark *b)
{
	static const uint8_t none[8];

	if (memcmp(a->spki, b->spki, 32) != 0)
		return "another key in the";
	if (a->partial || b->partial)
		return NULL;
	if (memcmp(a->who, b->who, sizeof(a->who)) != 0)
		return "another device, issuer or profile in the";
	if (a->not_after_s != 0 && b->not_after_s != 0 &&
	    a->not_after_s != b->not_after_s)
		return "another end in the";
	if (memcmp(a->tbs, none, 8) != 0 && memcmp(b->tbs, none, 8) != 0 &&
	    memcmp(a->tbs, b->tbs, 8) != 0)
		return "not what was signed in the";
	if (memcmp(a->cert, none, 8) != 0 && memcmp(b->cert, none, 8) != 0 &&
	    memcmp(a->cert, b->cert, 8) != 0)
		return "another certificate in the";
	return NULL;
}

/* What one record did not know, the next one's word is taken for. */
static void
learn(struct mark *known, const struct mark *m)
{
	static const uint8_t none[8];

	if (known->partial) {
		memcpy(known->who, m->who, sizeof(known->who));
		known->partial = m->partial;
	}
	if (known->not_after_s == 0)
		known->not_after_s = m->not_after_s;
	if (memcmp(known->tbs, none, 8) == 0)
		memcpy(known->tbs, m->tbs, 8);
	if (memcmp(known->cert, none, 8) == 0)
		memcpy(known->cert, m->cert, 8);
}

/* The place after this serial in record i. */
static size_t
check_one(struct reconcile *r, int i, size_t at, struct mark *known)
{
	const struct marks *s = &r->of[i];
	const char *what = disagree(&s->m[at], known);

	if (what != NULL)
		differ(r, known->serial, what, names[i]);
	learn(known, &s->m[at]);
	while (++at < s->n && memcmp(s->m[at].serial, known->serial, 16) == 0)
		differ(r, known->serial, "twice in the", names[i]);
	return at;
}

/* Three sorted lists, one walk. */
static void
compare(struct reconcile *r)
{
	size_t at[RECORDS] = { 0 };
	const struct mark *least;
	struct mark known;
	unsigned have;

	while ((have = smallest(r, at, &least)) != 0) {
		if (have == 1u << JOURNAL && least->young) {
			r->in_flight++;
			at[JOURNAL]++;
			continue;
		}
		known = *least;
		for (int i = 0; i < RECORDS; i++)
			if (have & 1u << i)
				at[i] = check_one(r, i, at[i], &known);
			else
				differ(r, known.serial, "not in the",
				    names[i]);
	}
}

static void
print_difference(json_t *item)
{
	const char *what = json_string_value(
	    json_object_get(item, "difference"));
	const char *serial = json_string_value(
	    json_object_get(item, "serial"));

	if (serial != NULL)
		printf("%s  %s\n", serial, what);
	else
		printf("journal line %lld  %s\n", (long long)
		    json_integer_value(json_object_get(item, "line")), what);
}

static enum mm_err
report(struct reconcile *r, struct mm_why *why)
{
	size_t n = json_array_size(r->differences), i;
	json_t *item;

	if (r->cli->json) {
		json_t *o = json_pack("{s:b,s:I,s:I,s:I,s:I,s:I,s:I,s:O}",
		    "agree", n == 0, "journal", (json_int_t)r->of[JOURNAL].n, "ledger",
		    (json_int_t)r->of[LEDGER].n, "database",
		    (json_int_t)r->of[STORE].n, "recovered",
		    (json_int_t)r->recovered, "in_flight",
		    (json_int_t)r->in_flight, "clock_set_back",
		    (json_int_t)r->clocks[JOURNAL].n, "differences",
		    r->differences);

		mm_json_print(o);
		json_decref(o);
	} else {
		json_array_foreach(r->differences, i, item)
			print_difference(item);
		if (n == 0)
			printf("agree: journal, ledger and database have the "
			       "same %zu signatures", r->of[STORE].n);
		if (n == 0 && r->recovered != 0)
			printf(" (%zu of them recovered from the ledger)",
			    r->recovered);
		if (n == 0)
			printf(".\n");
		if (r->clocks[JOURNAL].n != 0)
			printf("the signer's clock was set back %zu times: "
			       "\"mintmark ledger show\" has them as "
			       "clock.set_back\n", r->clocks[JOURNAL].n);
	}
	return n == 0 ? MM_OK : MM_FAIL(why, MM_EPOLICY,
	    "%zu differences between journal, ledger and database", n);
}

static enum mm_err
reconcile(struct reconcile *r, const struct mm_args *a, struct mm_why *why)
{
	MM_OWN(mm_config_free) struct mm_config *config = NULL;
	MM_OWN(mm_reader_close) struct mm_store_reader *db = NULL;
	const char *conf = mm_arg(a, "config");
	char journal[MM_PATH_MAX + 32];

	MM_TRY(mm_config_load(conf ? conf : "/etc/mintmark/mintmark.conf",
	    &config, why));
	snprintf(journal, sizeof(journal), "%s/journal.jsonl",
	    config->set.signer_dir);
	/*
	 * The database first: what is signed and committed in between is in
	 * the journal then, and only what the database misses can differ.
	 */
	MM_TRY(mm_reader_open(config->set.database, &db, why));
	MM_TRY(mm_reader_begin(db, why));
	r->db = db;
	MM_TRY(read_store(r, db, why));
	mm_reader_end(db);
	MM_TRY(read_journal(r, mm_arg(a, "journal") ? mm_arg(a, "journal")
	    : journal, why));
	for (int i = 0; i < a->npos; i++)
		MM_TRY(read_journal(r, a->pos[i], why));
	for (int i = 0; i < RECORDS; i++)
		if (r->of[i].n != 0)
			qsort(r->of[i].m, r->of[i].n, sizeof(struct mark),
			    order);
	compare(r);
	mm_clocks_compare(&r->clocks[JOURNAL], &r->clocks[LEDGER],
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
	for (int i = 0; i < RECORDS; i++)
		free(r->of[i].m);
	mm_clocks_done(&r->clocks[JOURNAL]);
	mm_clocks_done(&r->clocks[LEDGER]);
	json_decref(r->differences);
	free(r);
	return rc;
}
