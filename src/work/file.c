#include "work/file.h"

#include <string.h>

#include "base/json.h"
#include "pki/key.h"
#include "work/priv.h"

/* see file.h */
enum mm_err
mm_work_file_encode(struct mm_bytes note, struct mm_bytes profiles,
    const struct mm_bytes *papers, size_t n, struct mm_buf *out,
    struct mm_why *why)
{
	struct mm_json j = mm_json_over(out);

	if (n > MM_WORK_PAPERS_MAX)
		return MM_FAIL(why, MM_ELIMIT, "work file: at most %d papers",
		    MM_WORK_PAPERS_MAX);
	mm_json_open(&j, '{');
	mm_json_int(&j, "v", 1);
	mm_json_strn(&j, "order", note);
	mm_json_strn(&j, "profiles", profiles);
	mm_json_open_key(&j, "papers", '[');
	for (size_t i = 0; i < n; i++)
		mm_json_strn(&j, NULL, papers[i]);
	mm_json_close(&j, ']');
	mm_json_close(&j, '}');
	return mm_buf_ok(out, why);
}

/* see file.h */
bool
mm_work_file_paper(const struct mm_work_file *f, const uint8_t sha256[32],
    struct mm_bytes *out)
{
	for (size_t i = 0; i < f->papers; i++)
		if (memcmp(f->sha256[i], sha256, 32) == 0) {
			*out = f->paper[i];
			return true;
		}
	return false;
}

static enum mm_err
find(const struct mm_work_file *f, const uint8_t sha256[32], const char *what,
    struct mm_bytes *out, struct mm_why *why)
{
	if (mm_work_is_zero(sha256, 32) || mm_work_file_paper(f, sha256, out))
		return MM_OK;
	return MM_FAIL(why, MM_EINPUT,
	    "work file: %s that the order names is not in it", what);
}

/* see file.h */
bool
mm_work_list_next(struct mm_bytes *rest, char *out, enum mm_err *err)
{
	const uint8_t *lf = rest->n == 0 ? NULL :
	    memchr(rest->p, '\n', rest->n);
	struct mm_bytes line = { rest->p, lf == NULL ? rest->n :
		(size_t)(lf - rest->p) };

	*err = MM_OK;
	if (rest->n == 0)
		return false;
	if (lf == NULL || !mm_text_copy(out, MM_DEVICE_ID_MAX + 1, line) ||
	    !mm_device_id_valid(out)) {
		*err = MM_EINPUT;
		return false;
	}
	rest->p += line.n + 1;
	rest->n -= line.n + 1;
	return true;
}

static enum mm_err
check_list(struct mm_bytes list, int64_t count, struct mm_why *why)
{
	char serial[MM_DEVICE_ID_MAX + 1];
	enum mm_err err;
	int64_t n = 0;

	while (mm_work_list_next(&list, serial, &err))
		n++;
	if (err != MM_OK || n != count)
		return MM_FAIL(why, MM_EINPUT, "work file: serial numbers: "
		    "line %lld is none, or there are not as many as the order "
		    "says", (long long)n + 1);
	return MM_OK;
}

/* see file.h */
enum mm_err
mm_work_file_check(const struct mm_work_file *f,
    const struct mm_work_order *o, struct mm_why *why)
{
	struct mm_bytes unused;

	MM_TRY(find(f, o->config_sha256, "the configuration", &unused, why));
	MM_TRY(find(f, o->fields_sha256, "the fields' table", &unused, why));
	return mm_work_file_check_list(f, o, why);
}

/* see file.h */
enum mm_err
mm_work_file_check_list(const struct mm_work_file *f,
    const struct mm_work_order *o, struct mm_why *why)
{
	struct mm_bytes list = { 0 };

	MM_TRY(find(f, o->serials_sha256, "the list of serial numbers",
	    &list, why));
	return o->serials_count == 0 ? MM_OK :
	    check_list(list, o->serials_count, why);
}

static bool
is_named(const struct mm_work_order *o, const struct mm_profile *p)
{
	uint8_t hash[32];

	if (mm_profile_hash(p, hash, NULL) != MM_OK)
		return false;
	for (size_t i = 0; i < o->profiles_n; i++)
		if (strcmp(o->profiles[i].name, p->name) == 0)
			return o->profiles[i].version == p->version &&
			    memcmp(o->profiles[i].sha256, hash, 32) == 0;
	return false;
}

/* see file.h */
enum mm_err
mm_work_file_profiles(const struct mm_work_file *f,
    const struct mm_work_order *o, struct mm_profile_set *out,
    struct mm_why *why)
{
	MM_OWN(mm_profiles_done) struct mm_profile_set s = { .n = 0 };

	if (f->profiles.n == 0 && o->state == MM_WORK_CLOSED) {
		*out = s;
		return MM_OK;
	}
	MM_TRY(mm_profiles_parse(f->profiles, "the work order's profiles", &s,
	    why));
	for (size_t i = 0; i < s.n; i++)
		if (!is_named(o, &s.profile[i]))
			return MM_FAIL(why, MM_EINPUT, "work file: profile %s "
			    "is not the order's", s.profile[i].name);
	if (s.n != o->profiles_n)
		return MM_FAIL(why, MM_EINPUT,
		    "work file: a profile of the order is not in it");
	*out = s;
	s = (struct mm_profile_set){ .n = 0 };
	return MM_OK;
}
