#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/time.h"
#include "signer/setup.h"

/*
 * A root is offline, and whoever checks each certificate of a chain (nginx,
 * OpenSSL with -crl_check_all) wants its list, too.  So it signs years of them
 * beforehand, each good from the next one's beginning for a while yet, and the
 * server publishes the one whose time it is.  Each has all that the root has
 * revoked until it signed them; what it revokes later, it revokes when it is
 * there, and for that reason they are the server's alone, or whoever has one of
 * a year to come can show it then.
 */
#define YEAR_S    31557600 /* 365.25 days */
#define OVERLAP_S (90 * 86400)
#define BACK_S    86400    /* for clocks that differ */
#define YEARS_MOST 100
#define LIST_MAX   (64 * 1024)
#define FILE_MOST  (16 << 20)

struct years {
	const struct mm_issuer *root;
	struct mm_sign *key;
	struct mm_buf *pem;
	struct mm_journal_line *line;
	size_t n;
	const struct mm_root_revoked *revoked; /* NULL: nothing */
	uint64_t first;                        /* the first one's number */
};

/* ---- their numbers ---- */

/* Ours are of eight bytes at most, and so below 2^63. */
static enum mm_err
number_of(const struct mm_crl *c, uint64_t *out, struct mm_why *why)
{
	*out = 0;
	if (c->number.n > 8)
		return MM_FAIL(why, MM_ELIMIT, "root-crl: a list of this root "
		    "has a number that none of ours can be above");
	for (size_t i = 0; i < c->number.n; i++)
		*out = *out << 8 | c->number.p[i];
	return MM_OK;
}

/* Of that root, and begun, by whichever clock: it may have been published. */
static bool
has_begun(const struct mm_crl *c, struct mm_bytes root)
{
	return c->this_s <= mm_now_s() + BACK_S &&
	    mm_crl_verify_by(c, root, NULL) == MM_OK;
}

/*
 * The server never goes back to a lower number, so the first of the new lists
 * is above all that it may have published.  One that was signed for a year to
 * come has the number of its thisUpdate, which has passed when it is begun;
 * where clocks differ, what is in the file that these lists replace counts.
 */
static enum mm_err
find_first(struct years *y, const char *path, struct mm_bytes root,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(FILE_MOST);
	struct mm_why none = { 0 };
	enum mm_err rc = mm_file_read(path, &text, &none);
	struct mm_bytes rest = mm_buf_view(&text);

	y->first = (uint64_t)mm_now_ms();
	if (rc != MM_OK)
		return rc == MM_ENOTFOUND ? MM_OK :
		    MM_FAIL(why, rc, "%s", none.text);
	for (;;) {
		MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(FILE_MOST);
		const size_t before = rest.n;
		struct mm_crl c;
		uint64_t n;

		rc = mm_crl_next(&rest, &der, &c, NULL);
		if (rc == MM_ENOTFOUND || rest.n == before)
			return MM_OK;
		if (rc != MM_OK || !has_begun(&c, root))
			continue;
		MM_TRY(number_of(&c, &n, why));
		if (n >= y->first)
			y->first = n + 1;
	}
}

/* Another root's, of a file that is replaced: theirs are to stay. */
static enum mm_err
keep_others(struct years *y, const char *path, struct mm_bytes root,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(FILE_MOST);
	struct mm_why none = { 0 };
	enum mm_err rc = mm_file_read(path, &text, &none);
	struct mm_bytes rest = mm_buf_view(&text);

	if (rc != MM_OK)
		return rc == MM_ENOTFOUND ? MM_OK :
		    MM_FAIL(why, rc, "%s", none.text);
	for (;;) {
		MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(FILE_MOST);
		const size_t before = rest.n;
		struct mm_crl c;

		rc = mm_crl_next(&rest, &der, &c, NULL);
		if (rc == MM_ENOTFOUND)
			return mm_buf_ok(y->pem, why);
		if (rc != MM_OK || rest.n == before)
			return MM_FAIL(why, MM_EINPUT, "%.90s: not a list: "
			    "restore it, or move it away", path);
		if (mm_crl_verify_by(&c, root, NULL) != MM_OK)
			mm_pem_put(y->pem, "X509 CRL", mm_buf_view(&der));
	}
}

/* ---- signing ---- */

/* Ascending: a year's is never below the one before it. */
static enum mm_err
sign_one(struct years *y, int64_t this_s, struct mm_why *why)
{
	const uint64_t least = y->first + y->n, at = (uint64_t)this_s * 1000;
	MM_OWN(mm_buf_done) struct mm_buf tbs = MM_BUF_INIT(LIST_MAX);
	MM_OWN(mm_buf_done) struct mm_buf sig = MM_BUF_INIT(1024);
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(LIST_MAX);
	struct mm_journal_line l = { .kind = MM_J_ROOT_CRL, .issuer = "root",
		.number = y->n > 0 && at > least ? at : least };

	MM_TRY(mm_crl_build(y->root, &(struct mm_crl_of){ .number = l.number,
	    .this_s = this_s, .next_s = this_s + YEAR_S + OVERLAP_S,
	    .shard = MM_CRL_WHOLE,
	    .entry = y->revoked == NULL ? NULL : y->revoked->entry,
	    .n = y->revoked == NULL ? 0 : y->revoked->n },
	    mm_sign_alg(y->key), &tbs, why));
	MM_TRY(mm_sign_bytes(y->key, mm_buf_view(&tbs), &sig, why));
	mm_cert_join(&der, mm_buf_view(&tbs), mm_sign_alg(y->key),
	    mm_buf_view(&sig));
	mm_pem_put(y->pem, "X509 CRL", mm_buf_view(&der));
	mm_sha256(mm_buf_view(&tbs), l.tbs_sha256);
	y->line[y->n++] = l;
	return mm_buf_ok(y->pem, why);
}

/* For as long as the root lives, or so many years.  All of them have their
 * line before any leaves. */
static enum mm_err
sign_years(struct mm_setup *s, struct years *y, struct mm_why *why)
{
	int64_t most = s->o->root_years, from = mm_now_s() - BACK_S;

	if (most == 0 || most > YEARS_MOST)
		most = YEARS_MOST;
	for (int64_t i = 0; i < most; i++)
		if (from + i * YEAR_S < y->root->not_after_s)
			MM_TRY(sign_one(y, from + i * YEAR_S, why));
	return mm_record_write(s->record, y->line, y->n, why);
}

static enum mm_err
make(struct mm_setup *s, struct years *y, struct mm_why *why)
{
	struct mm_file_own own = { .mode = 0600 };
	enum mm_err rc;

	y->line = calloc(YEARS_MOST, sizeof(*y->line));
	if (y->line == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	rc = sign_years(s, y, why);
	free(y->line);
	MM_TRY(rc);
	mm_json_int(&s->json, "root_crls", (int64_t)y->n);
	mm_json_int(&s->json, "revoked",
	    y->revoked == NULL ? 0 : (int64_t)y->revoked->n);
	MM_TRY(mm_whose(s, MM_OF_SERVER, &own, why));
	/* by lists that have all of those before, and other roots' */
	if (s->o->revoke != NULL || s->conf->set.root[0] != '\0')
		return mm_file_replace_as(s->conf->set.root_crl,
		    mm_buf_view(y->pem), &own, why);
	return mm_place(s, s->conf->set.root_crl, mm_buf_view(y->pem), 0600,
	    MM_OF_SERVER, why);
}

/* see setup.h */
enum mm_err
mm_make_root_crls(struct mm_setup *s, const struct mm_signing *root,
    const struct mm_root_revoked *revoked, struct mm_why *why)
{
	const struct mm_issuer_conf conf = { .name = "root",
		.crl_shards = 1 };
	MM_OWN(mm_buf_done) struct mm_buf pem = MM_BUF_INIT(FILE_MOST);
	MM_OWN(mm_sign_free) struct mm_sign *key = NULL;
	struct mm_issuer issuer;
	struct years y = { .root = &issuer, .pem = &pem, .revoked = revoked };

	if (s->conf->set.root_crl[0] == '\0')
		return MM_OK;
	MM_TRY(mm_issuer_make(&issuer, &conf, "", root->cert, why));
	MM_TRY(find_first(&y, s->conf->set.root_crl, root->cert, why));
	MM_TRY(keep_others(&y, s->conf->set.root_crl, root->cert, why));
	MM_TRY(mm_signing_new(root, &key, why));
	y.key = key;
	return make(s, &y, why);
}

/* A file that is there is replaced by what revokes more, by nothing else. */
static enum mm_err
check_file(const struct mm_setup *s, const struct mm_root_revoked *revoked,
    struct mm_why *why)
{
	const char *path = s->conf->set.root_crl;

	if (path[0] == '\0')
		return MM_FAIL(why, MM_EINPUT, "root-crl: root_crl in %.80s "
		    "says no file", s->o->config);
	/* where there are two roots, the other one's are taken along */
	if (s->o->revoke == NULL && s->conf->set.root[0] == '\0' &&
	    access(path, F_OK) == 0)
		return MM_FAIL(why, MM_ECONFLICT, "%.90s is there: move it "
		    "away first", path);
	return mm_root_revoked_covers(revoked, path, why);
}

static enum mm_err
root_crl(struct mm_setup *s, struct mm_root_revoked *revoked,
    struct mm_why *why)
{
	MM_OWN(mm_ca_done) struct mm_ca root = { 0 };
	struct mm_signing by = { .name = "root" };

	MM_TRY(mm_root_revoked_read(s, revoked, why));
	MM_TRY(check_file(s, revoked, why));
	MM_TRY(mm_setup_record(s, why));
	MM_TRY(mm_root_open(s, s->o->issuer != NULL ? s->o->issuer :
	    s->conf->set.root, &root, why));
	by.key = root.key;
	by.cert = mm_buf_view(&root.der);
	by.hsm = s->root_hsm;
	if (s->o->revoke != NULL)
		MM_TRY(mm_root_revoke(s, &by, revoked, why));
	mm_json_open(&s->json, '{');
	mm_json_str(&s->json, "root_crl", s->conf->set.root_crl);
	MM_TRY(mm_make_root_crls(s, &by, revoked, why));
	mm_json_close(&s->json, '}');
	return mm_setup_print(s, why);
}

/* see setup.h */
enum mm_err
mm_cmd_root_crl(const struct mm_opts *o, struct mm_why *why)
{
	MM_OWN(mm_setup_done) struct mm_setup s = { 0 };
	struct mm_root_revoked *revoked = calloc(1, sizeof(*revoked));
	enum mm_err rc = revoked == NULL ? MM_ENOMEM :
	    mm_setup_begin(&s, o, true, why);

	if (rc == MM_OK)
		rc = root_crl(&s, revoked, why);
	free(revoked);
	return rc;
}
