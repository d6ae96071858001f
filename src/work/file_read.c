/* The file's JSON: apart, for the signer has no library for it. */
#include <jansson.h>
#include <string.h>

#include "pki/key.h"
#include "work/file.h"

static struct mm_bytes
text_of(const json_t *v)
{
	return (struct mm_bytes){ (const uint8_t *)json_string_value(v),
		json_string_length(v) };
}

static bool
read_papers(const json_t *list, struct mm_work_file *f)
{
	size_t n = json_array_size(list);

	if (!json_is_array(list) || n > MM_WORK_PAPERS_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		const json_t *v = json_array_get(list, i);

		if (!json_is_string(v))
			return false;
		f->paper[i] = text_of(v);
		mm_sha256(f->paper[i], f->sha256[i]);
	}
	f->papers = n;
	return true;
}

/* see file.h */
enum mm_err
mm_work_file_parse(struct mm_bytes json, struct mm_work_file *out,
    struct mm_why *why)
{
	struct mm_work_file f = { 0 };
	json_t *root = NULL, *papers, *order, *profiles;
	int v;

	if (json.n > 0 && json.n <= MM_WORK_FILE_MAX)
		root = json_loadb((const char *)json.p, json.n,
		    JSON_REJECT_DUPLICATES, NULL);
	if (root == NULL || json_unpack(root, "{s:i,s:o,s:o,s:o!}", "v", &v,
	    "order", &order, "profiles", &profiles, "papers", &papers) != 0 ||
	    v != 1 || !json_is_string(order) || !json_is_string(profiles) ||
	    !read_papers(papers, &f)) {
		json_decref(root);
		return MM_FAIL(why, MM_EINPUT, "work file: damaged, or none "
		    "that this version reads; copy it again");
	}
	f.note = text_of(order);
	f.profiles = text_of(profiles);
	f.json = root;
	*out = f;
	return MM_OK;
}

/* see file.h */
void
mm_work_file_done(struct mm_work_file *f)
{
	json_decref(f->json);
	*f = (struct mm_work_file){ 0 };
}

/* see file.h */
enum mm_err
mm_work_file_order(struct mm_bytes head, struct mm_buf *note,
    struct mm_why *why)
{
	static const char before[] = "{\"v\":1,\"order\":";
	const size_t n = sizeof(before) - 1;
	json_t *order = NULL;

	if (head.n > n && memcmp(head.p, before, n) == 0)
		order = json_loadb((const char *)head.p + n, head.n - n,
		    JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, NULL);
	if (!json_is_string(order)) {
		json_decref(order);
		return MM_FAIL(why, MM_EINPUT, "work file: it begins otherwise");
	}
	mm_buf_bytes(note, text_of(order));
	json_decref(order);
	return mm_buf_ok(note, why);
}
