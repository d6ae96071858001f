#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "base/text.h"
#include "base/time.h"
#include "server/rest.h"

enum { LIMIT_PRESET = 100, LIMIT_MAX = 1000, PEM_ROOM = 65536,
	FAR_LEAST = 10 };

/* ---- values ---- */

/* see rest.h */
void
mm_rest_put_sha256(struct mm_json *j, const char *key, const uint8_t v[32])
{
	static const uint8_t none[32];

	if (memcmp(v, none, sizeof(none)) != 0)
		mm_json_hex(j, key, (struct mm_bytes){ v, 32 });
}

/* see rest.h */
void
mm_rest_put_time(struct mm_json *j, const char *key, int64_t at_ms)
{
	if (at_ms != 0)
		mm_json_time(j, key, at_ms);
}

/* see rest.h */
void
mm_rest_put_time_s(struct mm_json *j, const char *key, int64_t at_s)
{
	char text[MM_TIME_TEXT];

	mm_time_text_s(at_s, text);
	mm_json_str(j, key, text);
}

/* see rest.h */
void
mm_rest_put_serial(struct mm_json *j, const char *key,
    const uint8_t serial[16])
{
	mm_json_hex(j, key, (struct mm_bytes){ serial, 16 });
}

/* see rest.h */
void
mm_rest_put_pem(struct mm_json *j, const char *key, const struct mm_bytes *der,
    size_t n)
{
	struct mm_buf pem = MM_BUF_INIT(PEM_ROOM);

	for (size_t i = 0; i < n; i++)
		mm_pem_put(&pem, "CERTIFICATE", der[i]);
	mm_json_strn(j, key, mm_buf_view(&pem));
	mm_buf_done(&pem);
}

/* see rest.h */
void
mm_rest_put_secret(struct mm_rest *r, const char *key, const char *v)
{
	mm_buf_put(&r->stored, r->out.p + r->stored_n,
	    r->out.n - r->stored_n);
	mm_json_str(&r->j, key, v);
	r->stored_n = r->out.n;
	r->has_secret = true;
}

/* see rest.h */
void
mm_rest_put_issued(struct mm_json *j, const struct mm_job *job,
    const struct mm_chain *chain)
{
	const struct mm_bytes leaf = mm_buf_view(&job->der);

	mm_rest_put_pem(j, "certificate", &leaf, 1);
	mm_rest_put_pem(j, "chain", chain->der, chain->n);
	mm_rest_put_serial(j, "serial", job->serial);
	mm_json_str(j, "device", job->device);
	mm_json_str(j, "profile", job->profile);
	mm_rest_put_time_s(j, "not_after", job->not_after_s);
	mm_json_bool(j, "replayed", job->replayed);
	mm_json_int(j, "index", (int64_t)job->entry);
}

/* ---- pages ---- */

static enum mm_err
page_limit(const struct mm_rest *r, unsigned *most, struct mm_why *why)
{
	char text[8];
	int64_t v = LIMIT_PRESET;

	MM_TRY(mm_rest_query(r, "limit", text, sizeof(text), why));
	if (text[0] != '\0' && (mm_int_parse(text, &v, NULL) != MM_OK ||
	    v < 1 || v > LIMIT_MAX))
		return MM_FAIL(why, MM_EINPUT, "limit: want 1 to %d",
		    LIMIT_MAX);
	*most = (unsigned)v;
	return MM_OK;
}

static enum mm_err
page_filter(const struct mm_rest *r, const char *name, char *out, size_t outn,
    const char **filter, struct mm_why *why)
{
	MM_TRY(mm_rest_query(r, name, out, outn, why));
	*filter = out[0] != '\0' ? out : NULL;
	return MM_OK;
}

static enum mm_err
page_time(const struct mm_rest *r, const char *name, int64_t *out_s,
    struct mm_why *why)
{
	int64_t at;

	MM_TRY(mm_rest_query_time(r, name, &at, why));
	*out_s = at / 1000;
	return MM_OK;
}

static bool
is_word(const char *words, const uint8_t *p, size_t n)
{
	char word[24] = " ";

	if (n == 0 || n > sizeof(word) - 3 || memchr(p, ' ', n) != NULL)
		return false;
	memcpy(word + 1, p, n);
	word[n + 1] = ' ';
	return strstr(words, word) != NULL;
}

/* see rest.h */
enum mm_err
mm_rest_query_is(const struct mm_rest *r, const char *names,
    struct mm_why *why)
{
	const struct mm_bytes query = r->req->query;
	size_t at = 0, end, name;

	for (; at < query.n; at = end + 1) {
		for (end = at; end < query.n && query.p[end] != '&';)
			end++;
		for (name = at; name < end && query.p[name] != '=';)
			name++;
		if (end > at && !is_word(names, query.p + at, name - at))
			return MM_FAIL(why, MM_EINPUT,
			    "no such parameter; there are:%s",
			    names[1] != '\0' ? names : " none");
	}
	return MM_OK;
}

/* see rest.h */
enum mm_err
mm_page_read(const struct mm_rest *r, const char *filters, struct mm_page *p,
    struct mm_why *why)
{
	const struct {
		const char *name;
		char *room;
		size_t n;
		const char **filter;
	} rows[] = {
		{ "device", p->device, sizeof(p->device), &p->list.device },
		{ "product", p->product, sizeof(p->product),
		    &p->list.product },
		{ "issuer", p->issuer, sizeof(p->issuer), &p->list.issuer },
		{ "profile", p->profile, sizeof(p->profile),
		    &p->list.profile },
	};
	char names[256];

	*p = (struct mm_page){ .list.state = -1 };
	snprintf(names, sizeof(names), " limit after%s", filters);
	MM_TRY(mm_rest_query_is(r, names, why));
	MM_TRY(page_limit(r, &p->list.most, why));
	MM_TRY(mm_rest_query(r, "after", p->after, sizeof(p->after), why));
	snprintf(p->list.after, sizeof(p->list.after), "%.*s",
	    (int)sizeof(p->list.after) - 1, p->after);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		MM_TRY(page_filter(r, rows[i].name, rows[i].room, rows[i].n,
		    rows[i].filter, why));
	MM_TRY(page_time(r, "expires_from", &p->list.expires_from_s, why));
	MM_TRY(page_time(r, "expires_to", &p->list.expires_to_s, why));
	MM_TRY(page_time(r, "issued_to", &p->list.issued_to, why));
	p->list.issued_to *= 1000;
	return MM_OK;
}

/* see rest.h */
enum mm_err
mm_page_state(const struct mm_rest *r, int *state,
    const char *(*name)(unsigned i), unsigned n, struct mm_why *why)
{
	char text[24], all[120] = "";
	size_t at = 0;

	MM_TRY(mm_rest_query(r, "state", text, sizeof(text), why));
	if (text[0] == '\0')
		return MM_OK;
	for (unsigned i = 0; i < n; i++) {
		if (strcmp(name(i), text) == 0) {
			*state = (int)i;
			return MM_OK;
		}
		if (at < sizeof(all))
			at += (size_t)snprintf(all + at, sizeof(all) - at,
			    " %s", name(i));
	}
	return MM_FAIL(why, MM_EINPUT, "no such state; there are:%s", all);
}

/* One row more than asked for tells whether there is a next page. */
struct put {
	struct mm_rest *r;
	void (*row)(struct mm_json *j, const void *row);
	mm_page_more *also;
	unsigned left, n;
	bool more;
	int64_t until_ms; /* 0: however long it takes */
	char next[MM_PAGE_AFTER];
};

static enum mm_err
put_row(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct put *p = ctx;

	if (p->left == 0) {
		p->more = true;
		return MM_OK;
	}
	if (p->until_ms != 0 && p->n >= FAR_LEAST &&
	    mm_mono_ms() >= p->until_ms) {
		p->more = true;
		return MM_ELIMIT; /* no more reads */
	}
	p->left--;
	p->n++;
	mm_json_open(&p->r->j, '{');
	p->row(&p->r->j, row);
	if (p->also != NULL)
		MM_TRY(p->also(p->r, row, why));
	mm_json_close(&p->r->j, '}');
	if (!mm_text_copy(p->next, sizeof(p->next), mm_bytes_of(next)))
		return MM_FAIL(why, MM_EBUG, "a page's key is too long");
	return mm_buf_ok(&p->r->out, why);
}

/* see rest.h */
enum mm_err
mm_page_put(struct mm_rest *r, const struct mm_page *page, mm_list_fn *list,
    void (*put)(struct mm_json *j, const void *row), struct mm_why *why)
{
	struct put p = { .r = r, .row = put, .also = page->more,
		.left = page->list.most };
	struct mm_list l = page->list;
	enum mm_err rc;
	char early[MM_PAGE_AFTER] = "";

	if (!r->login.scope.on && strcmp(page->after, l.after) != 0)
		return MM_FAIL(why, MM_EINPUT, "after: not a key of this "
		    "list");
	l.most++;
	mm_json_open(&r->j, '{');
	mm_json_open_key(&r->j, "items", '[');
	if (r->login.scope.on)
		MM_TRY(mm_scope_rows(r, list, &l, page->after, put_row, &p,
		    early, why));
	else {
		p.until_ms = page->far ? mm_mono_ms() + MM_REST_LOOK_MS : 0;
		rc = list(r->reader, &l, put_row, &p, why);
		if (rc != MM_OK && !(rc == MM_ELIMIT && p.more))
			return rc;
	}
	mm_json_close(&r->j, ']');
	if (p.more || early[0] != '\0')
		mm_json_str(&r->j, "next", p.more ? p.next : early);
	mm_json_close(&r->j, '}');
	return MM_OK;
}
