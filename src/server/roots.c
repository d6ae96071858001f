#include "server/roots.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/grow.h"
#include "base/log.h"
#include "base/own.h"
#include "base/time.h"

enum {
	FILE_MAX = 16 * 1024 * 1024,
	MOST = 4096, /* lists; a hundred years of some CAs */
	CAS_MOST = 16,
};
#define STOOD "root-crl.stood" /* in server_dir */

struct list {
	struct mm_buf der;
	struct mm_crl crl;
	bool in_force; /* its CA is one that is handed out */
};
struct lists {
	struct list *at;
	size_t n, cap;
};
struct mm_roots {
	struct mm_server *s;
	uint8_t read[32];     /* of the text that was read last */
	struct lists *have;   /* of it, signed as they should be */
	struct lists stood;   /* the newest of each CA that was published */
	bool recalled;        /* those of before the start are in it */
	bool malformed;       /* something in what was read last */
	struct mm_root_times times;
	bool told;            /* what is wrong with the file */
};

static void
lists_free(struct lists **owner)
{
	for (size_t i = 0; *owner != NULL && i < (*owner)->n; i++)
		mm_buf_done(&(*owner)->at[i].der);
	if (*owner != NULL)
		free((*owner)->at);
	free(*owner);
	*owner = NULL;
}

/* Once, until it is another file. */
static void
tell(struct mm_roots *r, const char *why)
{
	if (!r->told)
		MM_LOG(MM_LOG_WARN, "root-crl", MM_S("why", why));
	r->told = true;
}

/* ---- the file ---- */

static bool
is_of(const struct mm_crl *crl, const struct mm_bytes *der, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (mm_crl_verify_by(crl, der[i], NULL) == MM_OK)
			return true;
	return false;
}

/* One of the CAs that our certificates are checked by; or of a root that is
 * not in force any more, as a retired issuer. */
static bool
is_ours(struct mm_roots *r, struct list *l)
{
	const struct mm_bytes *der;
	size_t n;

	if (l->crl.partial || l->crl.strange ||
	    mm_core_cacerts(r->s->core, "", &der, &n, NULL) != MM_OK)
		return false;
	l->in_force = is_of(&l->crl, der, n);
	mm_core_links(r->s->core, false, &der, &n);
	return l->in_force || is_of(&l->crl, der, n);
}

static struct list *
room(struct lists *to)
{
	struct list *at = to->n == MOST ? NULL :
	    mm_grown(to->at, to->n, &to->cap, sizeof(*at));

	if (at == NULL)
		return NULL;
	to->at = at;
	return &at[to->n];
}

static void
doubt(struct mm_roots *r, const char *why)
{
	r->malformed = true;
	tell(r, why);
}

/* What is malformed is passed over, as far as it has an end. */
static void
parse(struct mm_roots *r, struct lists *to, struct mm_bytes rest)
{
	r->times.foreign = 0;
	for (;;) {
		struct list *at = room(to);
		struct mm_why why = { 0 };
		size_t before = rest.n;
		enum mm_err rc;

		if (at == NULL) {
			doubt(r, "root_crl: it has more lists than are read");
			return;
		}
		mm_buf_init(&at->der, FILE_MAX);
		rc = mm_crl_next(&rest, &at->der, &at->crl, &why);
		if (rc == MM_OK && is_ours(r, at)) {
			to->n++;
			continue;
		}
		mm_buf_done(&at->der);
		if (rc == MM_ENOTFOUND)
			return;
		if (rc != MM_OK) {
			doubt(r, why.text);
			if (rest.n == before)
				return;
			continue;
		}
		r->times.foreign++;
		tell(r, "root_crl: a list that no CA above our issuers has "
		    "signed is left out");
	}
}

static bool
is_open(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && (st.st_mode & S_IROTH) != 0;
}

/* The file may be replaced while we run: another root's lists are.  What was
 * read before is better than what cannot be read. */
static void
read_file(struct mm_roots *r)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(FILE_MAX);
	const char *path = r->s->config->set.root_crl;
	struct mm_why why = { 0 };
	uint8_t hash[32];
	struct lists *fresh;

	if (mm_file_read(path, &text, &why) != MM_OK) {
		r->times.unread = true;
		tell(r, why.text);
		return;
	}
	r->times.open = is_open(path);
	r->times.unread = r->malformed;
	mm_sha256(mm_buf_view(&text), hash);
	fresh = memcmp(hash, r->read, sizeof(hash)) == 0 ? NULL :
	    calloc(1, sizeof(*fresh));
	if (fresh == NULL)
		return;
	r->told = r->malformed = false;
	parse(r, fresh, mm_buf_view(&text));
	r->times.unread = r->malformed;
	memcpy(r->read, hash, sizeof(hash));
	lists_free(&r->have);
	r->have = fresh;
}

/* ---- which of them ---- */

/* Of each issuer the last whose time has come. */
static bool
stands(const struct lists *s, size_t i, int64_t now_s)
{
	const struct mm_crl *c = &s->at[i].crl;

	if (c->this_s > now_s)
		return false;
	for (size_t k = 0; k < s->n; k++) {
		const struct mm_crl *o = &s->at[k].crl;

		if (k != i && o->this_s <= now_s && mm_crl_same_issuer(o, c) &&
		    (o->this_s > c->this_s || (o->this_s == c->this_s &&
		    k > i)))
			return false;
	}
	return true;
}

static struct list *
stood_of(struct mm_roots *r, const struct mm_crl *c)
{
	for (size_t i = 0; i < r->stood.n; i++)
		if (mm_crl_same_issuer(&r->stood.at[i].crl, c))
			return &r->stood.at[i];
	return NULL;
}

/* What was published stays so over a restart, too. */
static void
keep_stood(struct mm_roots *r)
{
	struct mm_buf pem = MM_BUF_INIT(MM_ROOTS_PEM);
	struct mm_why why = { 0 };
	char path[MM_PATH_MAX + 1];
	enum mm_err rc = mm_path_join(path, sizeof(path),
	    r->s->config->set.server_dir, STOOD, &why);

	for (size_t i = 0; i < r->stood.n; i++)
		mm_pem_put(&pem, "X509 CRL",
		    mm_buf_view(&r->stood.at[i].der));
	if (rc == MM_OK)
		rc = mm_buf_ok(&pem, &why);
	if (rc == MM_OK)
		rc = mm_file_replace(path, mm_buf_view(&pem), 0600, &why);
	if (rc != MM_OK)
		tell(r, why.text);
	mm_buf_done(&pem);
}

/* A copy, which outlives the file. */
static void
remember(struct mm_roots *r, struct list *to, const struct list *l)
{
	struct list copy = { .der = MM_BUF_INIT(FILE_MAX),
		.in_force = l->in_force };

	if (to == NULL && (r->stood.n == CAS_MOST || room(&r->stood) == NULL))
		return;
	mm_buf_bytes(&copy.der, mm_buf_view(&l->der));
	if (mm_buf_ok(&copy.der, NULL) != MM_OK ||
	    mm_crl_walk(mm_buf_view(&copy.der), &copy.crl, NULL) != MM_OK) {
		mm_buf_done(&copy.der);
		return;
	}
	if (to == NULL) {
		to = &r->stood.at[r->stood.n++];
		to->der = (struct mm_buf){ .p = NULL };
	}
	mm_buf_done(&to->der);
	*to = copy;
}

/* Those of before the start; as signed as any. */
static void
recall(struct mm_roots *r)
{
	struct mm_buf text = MM_BUF_INIT(MM_ROOTS_PEM);
	char path[MM_PATH_MAX + 1];
	struct lists before = { .n = 0 };
	struct mm_bytes rest;

	r->recalled = true;
	if (mm_path_join(path, sizeof(path), r->s->config->set.server_dir,
	    STOOD, NULL) == MM_OK && mm_file_read(path, &text, NULL) == MM_OK) {
		rest = mm_buf_view(&text);
		parse(r, &before, rest);
		for (size_t i = 0; i < before.n; i++) {
			if (stood_of(r, &before.at[i].crl) == NULL)
				remember(r, NULL, &before.at[i]);
			mm_buf_done(&before.at[i].der);
		}
		free(before.at);
		r->malformed = false;
	}
	mm_buf_done(&text);
}

/* An older one may lack what a newer one revoked: whoever puts it back does
 * not undo that. */
static const struct list *
not_older(struct mm_roots *r, const struct list *l)
{
	struct list *before = stood_of(r, &l->crl);

	if (before != NULL && mm_crl_number_order(&l->crl, &before->crl) < 0) {
		r->times.older = true;
		tell(r, "root_crl: older lists than were published: they are "
		    "left out");
		return before;
	}
	if (before == NULL ||
	    mm_crl_number_order(&l->crl, &before->crl) > 0) {
		remember(r, before, l);
		keep_stood(r);
	}
	return l;
}

static void
put(struct mm_roots *r, const struct list *l, struct mm_buf *pem)
{
	mm_pem_put(pem, "X509 CRL", mm_buf_view(&l->der));
	r->times.n++;
	if (l->crl.next_s < r->times.next_s)
		r->times.next_s = l->crl.next_s;
}

static bool
has_one(const struct lists *s, const struct mm_crl *c, int64_t now_s)
{
	for (size_t i = 0; s != NULL && i < s->n; i++)
		if (s->at[i].crl.this_s <= now_s &&
		    mm_crl_same_issuer(&s->at[i].crl, c))
			return true;
	return false;
}

/* When the lists of a CA in force run out, of those the first. */
static int64_t
first_to_run_out(const struct lists *s)
{
	int64_t first = INT64_MAX;

	for (size_t i = 0; i < s->n; i++) {
		int64_t last = s->at[i].crl.next_s;

		for (size_t k = 0; k < s->n; k++)
			if (s->at[k].crl.next_s > last && mm_crl_same_issuer(
			    &s->at[k].crl, &s->at[i].crl))
				last = s->at[k].crl.next_s;
		if (s->at[i].in_force && last < first)
			first = last;
	}
	return first == INT64_MAX ? 0 : first;
}

/* see roots.h; a CA whose lists are missing in a new file keeps its last */
void
mm_roots_choose(struct mm_roots *r, struct mm_buf *pem, int64_t *next_s)
{
	int64_t now_s = mm_now_s();

	r->times.wanted = r->s->config->set.root_crl[0] != '\0';
	if (r->times.wanted && !r->recalled)
		recall(r);
	if (r->times.wanted)
		read_file(r);
	r->times.n = 0;
	r->times.older = false;
	r->times.next_s = INT64_MAX;
	r->times.last_s = r->have == NULL ? 0 : first_to_run_out(r->have);
	for (size_t i = 0; r->have != NULL && i < r->have->n; i++) {
		const struct list *l = &r->have->at[i];

		if (stands(r->have, i, now_s))
			put(r, not_older(r, l), pem);
	}
	for (size_t i = 0; i < r->stood.n; i++)
		if (!has_one(r->have, &r->stood.at[i].crl, now_s))
			put(r, &r->stood.at[i], pem);
	if (r->times.next_s < *next_s)
		*next_s = r->times.next_s;
}

/* see roots.h */
void
mm_roots_times(const struct mm_roots *r, struct mm_root_times *out)
{
	*out = r->times;
}

/* see roots.h */
enum mm_err
mm_roots_new(struct mm_server *s, struct mm_roots **out, struct mm_why *why)
{
	struct mm_roots *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	r->s = s;
	*out = r;
	return MM_OK;
}

/* see roots.h */
void
mm_roots_free(struct mm_roots **owner)
{
	struct mm_roots *r = MM_MOVE(*owner);

	if (r == NULL)
		return;
	for (size_t i = 0; i < r->stood.n; i++)
		mm_buf_done(&r->stood.at[i].der);
	free(r->stood.at);
	lists_free(&r->have);
	free(r);
}
