#include "server/select.h"

#include <string.h>

#include "base/own.h"
#include "base/text.h"

enum {
	BOUND_N = 8, /* of the request's hash, in front of a key */
	AFTER_N = 4 * (BOUND_N + MM_MASS_AFTER) / 3 + 2,
};

static enum mm_err
read_limit(const struct mm_rest *r, uint64_t *most, struct mm_why *why)
{
	int64_t n = MM_SELECT_MOST;
	char text[16];

	MM_TRY(mm_rest_query(r, "limit", text, sizeof(text), why));
	if (text[0] != '\0' && (mm_int_parse(text, &n, NULL) != MM_OK ||
	    n < 1 || n > MM_SELECT_MOST))
		return MM_FAIL(why, MM_EINPUT, "limit: want 1 to %d",
		    MM_SELECT_MOST);
	*most = (uint64_t)n;
	return MM_OK;
}

/* see select.h */
enum mm_err
mm_select_check(const struct mm_rest *r, struct mm_why *why)
{
	const char *member;
	json_t *v;

	json_object_foreach(r->in, member, v)
	{
		if (json_is_null(v))
			return MM_FAIL(why, MM_EINPUT, "%s: is null; leave "
			    "out what is not asked for", member);
		if (json_is_string(v) && json_string_length(v) == 0 &&
		    strcmp(member, "reason") != 0 &&
		    strcmp(member, "action") != 0)
			return MM_FAIL(why, MM_EINPUT, "%s: is empty",
			    member);
	}
	return MM_OK;
}

/* see select.h */
enum mm_err
mm_select_read(const struct mm_rest *r, uint64_t *most,
    char after[MM_MASS_AFTER], struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf key = MM_BUF_INIT(AFTER_N);
	char text[AFTER_N];
	uint8_t hash[32];

	MM_TRY(read_limit(r, most, why));
	MM_TRY(mm_rest_query(r, "after", text, sizeof(text), why));
	if (text[0] == '\0')
		return MM_OK;
	mm_rest_request_hash(r->req, hash);
	if (mm_base64url_parse(mm_bytes_of(text), &key, NULL) != MM_OK ||
	    key.n <= BOUND_N || memcmp(key.p, hash, BOUND_N) != 0 ||
	    !mm_text_copy(after, MM_MASS_AFTER, (struct mm_bytes){
	    key.p + BOUND_N, key.n - BOUND_N }))
		return MM_FAIL(why, MM_EINPUT, "after: not a key of this "
		    "request");
	return MM_OK;
}

/* see select.h */
void
mm_select_put_next(struct mm_rest *r, const char *next)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(AFTER_N);
	uint8_t key[BOUND_N + MM_MASS_AFTER], hash[32];
	size_t n = strlen(next);

	mm_rest_request_hash(r->req, hash);
	memcpy(key, hash, BOUND_N);
	memcpy(key + BOUND_N, next, n);
	mm_base64url_put(&text, (struct mm_bytes){ key, BOUND_N + n });
	if (mm_buf_cstr(&text) != NULL)
		mm_json_str(&r->j, "next", mm_buf_cstr(&text));
}

/* see select.h */
enum mm_err
mm_select_begin(struct mm_rest *r, struct mm_why *why)
{
	if (atomic_exchange(&r->s->massing, true))
		return MM_FAIL(why, MM_EBUSY, "another selection is being "
		    "looked at or changed: one at a time");
	return MM_OK;
}

/* see select.h */
void
mm_select_end(struct mm_rest *r, bool whole, uint64_t done)
{
	mm_approval_end(r, whole, done); /* before the next call asks for it */
	atomic_store(&r->s->massing, false);
	mm_work_tick(r->s->work); /* new lists, now */
}
