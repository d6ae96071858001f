#include <stdlib.h>
#include <string.h>

#include "base/canon.h"
#include "base/own.h"
#include "base/time.h"
#include "work/priv.h"

#define ARENA_N (MM_WORK_TEXT_MAX + 64)

/* What a parsed order borrows from, in one piece. */
struct owned {
	struct mm_work_order o; /* first */
	struct mm_work_profile profiles[MM_WORK_PROFILES_MAX];
	struct mm_work_person people[MM_WORK_PEOPLE_MAX];
	uint8_t blob[2][MM_WORK_BLOB_MAX];
	size_t blobs;
	char arena[ARENA_N];
};

static bool
get_int(struct mm_canon *c, int64_t *out)
{
	const char *text = mm_canon_digits(c);

	return text != NULL && mm_int_parse(text, out, NULL) == MM_OK;
}

/* The text after key and its opening quote. */
static const char *
after(struct mm_canon *c, const char *key)
{
	return mm_canon_skip(c, key) ? mm_canon_text(c) : NULL;
}

static bool
get_hash(const char *text, uint8_t *out, size_t n)
{
	return text != NULL &&
	    mm_hex_parse(text, strlen(text), out, n, NULL) == MM_OK;
}

static bool
get_text(const char *text, char *out, size_t n)
{
	return text != NULL && mm_text_copy(out, n, mm_bytes_of(text));
}

static bool
get_word(const char *text, const char *const *words, size_t n, int *out)
{
	*out = text != NULL ? mm_work_word(words, n, text) : -1;
	return *out >= 0;
}

static bool
get_blob(const char *text, struct owned *own, struct mm_bytes *out)
{
	struct mm_buf b = MM_BUF_INIT(MM_WORK_BLOB_MAX);
	uint8_t *at = own->blob[own->blobs++];
	bool good = text != NULL && mm_base64_parse(mm_bytes_of(text), &b,
	    NULL) == MM_OK && b.n > 0;

	if (good) {
		memcpy(at, b.p, b.n);
		*out = (struct mm_bytes){ at, b.n };
	}
	mm_buf_done(&b);
	return good;
}

static bool
get_field(const struct mm_work_field *f, const char *text, struct owned *own)
{
	void *at = (uint8_t *)&own->o + f->at;

	switch (f->kind) {
	case MM_WF_NAME:
	case MM_WF_TEXT:
		return get_text(text, at, f->n);
	case MM_WF_TIME:
		return text != NULL && mm_time_parse(text, at, NULL) == MM_OK;
	case MM_WF_WORD:
		return get_word(text, f->words, f->n, at);
	case MM_WF_HASH:
		return get_hash(text, at, f->n);
	case MM_WF_BLOB:
		return get_blob(text, own, at);
	case MM_WF_INT:
		break;
	}
	return false;
}

/* ,"key": if it comes next. */
static bool
skip_key(struct mm_canon *c, const char *key)
{
	struct mm_canon before = *c;

	if (mm_canon_skip(c, ",\"") && mm_canon_skip(c, key) &&
	    mm_canon_skip(c, "\":"))
		return true;
	*c = before;
	return false;
}

static enum mm_err
read_fields(struct mm_canon *c, struct owned *own, struct mm_why *why)
{
	for (size_t i = 0; i < mm_work_fields_n; i++) {
		const struct mm_work_field *f = &mm_work_fields[i];
		bool there = i == 0 ? mm_canon_skip(c, "{\"centre\":") :
		    skip_key(c, f->key);
		void *at = (uint8_t *)&own->o + f->at;

		if (!there && f->may)
			continue;
		if (!there || !(f->kind == MM_WF_INT ? get_int(c, at) :
		    get_field(f, after(c, "\""), own)))
			return MM_FAIL(why, MM_EINPUT, "order: %s: %s",
			    f->key, there ? "malformed" : "missing");
	}
	return MM_OK;
}

static bool
get_profile(struct mm_canon *c, struct owned *own)
{
	struct mm_work_profile *p = &own->profiles[own->o.profiles_n++];

	return get_text(after(c, "{\"name\":\""), p->name, sizeof(p->name)) &&
	    mm_canon_skip(c, ",\"version\":") && get_int(c, &p->version) &&
	    get_hash(after(c, ",\"sha256\":\""), p->sha256, 32) &&
	    mm_canon_skip(c, "}");
}

static bool
get_person(struct mm_canon *c, struct owned *own)
{
	struct mm_work_person *p = &own->people[own->o.people_n++];

	return get_text(after(c, "{\"id\":\""), p->id, sizeof(p->id)) &&
	    get_word(after(c, ",\"role\":\""), mm_work_role_words,
		MM_WORK_ROLE_COUNT, &p->role) &&
	    get_hash(after(c, ",\"badge\":\""), p->badge, 32) &&
	    mm_canon_skip(c, "}");
}

/* The items between brackets, at most so many. */
static bool
get_list(struct mm_canon *c, struct owned *own, size_t most,
    bool (*item)(struct mm_canon *c, struct owned *own))
{
	if (!mm_canon_skip(c, "["))
		return false;
	for (size_t i = 0; !mm_canon_skip(c, "]"); i++)
		if (i == most || (i > 0 && !mm_canon_skip(c, ",")) ||
		    !item(c, own))
			return false;
	return true;
}

static enum mm_err
read_json(struct mm_bytes json, struct owned *own, struct mm_why *why)
{
	struct mm_canon c = mm_canon_over(json, own->arena,
	    sizeof(own->arena));

	MM_TRY(read_fields(&c, own, why));
	own->o.profiles = own->profiles;
	own->o.people = own->people;
	if (!skip_key(&c, "profiles") ||
	    !get_list(&c, own, MM_WORK_PROFILES_MAX, get_profile) ||
	    !skip_key(&c, "people") ||
	    !get_list(&c, own, MM_WORK_PEOPLE_MAX, get_person) ||
	    !mm_canon_skip(&c, "}\n") || !mm_rd_end(&c.in))
		return MM_FAIL(why, MM_EINPUT, "order: profiles or people: "
		    "malformed, or something behind them");
	return MM_OK;
}

/* Any byte that is not as encode would have it: another space, a zero too
 * many, an escape too many. */
static enum mm_err
check_same(const struct mm_work_order *o, struct mm_bytes text,
    struct mm_why *why)
{
	struct mm_buf again = MM_BUF_INIT(MM_WORK_TEXT_MAX);
	enum mm_err err = mm_work_order_encode(o, &again, why);

	if (err == MM_OK && !mm_bytes_eq(mm_buf_view(&again), text))
		err = MM_FAIL(why, MM_EINPUT, "order: not in canonical form");
	mm_buf_done(&again);
	return err;
}

/* see order.h */
enum mm_err
mm_work_order_parse(struct mm_bytes text, struct mm_work_order **out,
    struct mm_why *why)
{
	MM_OWN(mm_work_order_free) struct mm_work_order *o = NULL;
	struct mm_rd r = mm_rd_over(text);
	struct owned *own;

	if (text.n > MM_WORK_TEXT_MAX || !mm_rd_skip(&r, MM_WORK_FIRST_LINE))
		return MM_FAIL(why, MM_EINPUT,
		    "order: not a work order that this version reads");
	own = calloc(1, sizeof(*own));
	if (own == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	o = &own->o;
	MM_TRY(read_json((struct mm_bytes){ r.p, r.left }, own, why));
	MM_TRY(check_same(o, text, why));
	*out = MM_MOVE(o);
	return MM_OK;
}
