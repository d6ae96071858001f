#ifndef MM_WORK_FILE_H
#define MM_WORK_FILE_H

#include "pki/profile.h"
#include "work/order.h"

/*
 * What a station gets, over the network or on a stick: an order's note and
 * the texts that it names, as one JSON object,
 * {"v":1,"order":"<note>","profiles":"<blocks>","papers":["<text>",...]}.
 * profiles are blocks as in mintmark.conf, whose hashes the order has.
 * Nothing in it is trusted but what the order's signature leads to: a paper
 * is found by its SHA-256, one that no order names is never looked at.
 */
#define MM_WORK_FILE_MAX   (64U << 20)
#define MM_WORK_PAPERS_MAX 16

/* The signer, which reads no JSON, fills it itself: json NULL. */
struct mm_work_file {
	struct mm_bytes note, profiles;
	struct mm_bytes paper[MM_WORK_PAPERS_MAX];
	uint8_t sha256[MM_WORK_PAPERS_MAX][32];
	size_t papers;
	void *json; /* owns the texts */
};
/* papers: texts, UTF-8.  MM_EINPUT, MM_ELIMIT. */
MM_MUST enum mm_err mm_work_file_encode(struct mm_bytes note,
    struct mm_bytes profiles, const struct mm_bytes *papers, size_t n,
    struct mm_buf *out, struct mm_why *why);
/* MM_EINPUT: damaged, as half a file is.  Done with mm_work_file_done. */
MM_MUST enum mm_err mm_work_file_parse(struct mm_bytes json,
    struct mm_work_file *out, struct mm_why *why);
void mm_work_file_done(struct mm_work_file *f);
/*
 * The note of a file of which these are the first MM_WORK_FILE_HEAD bytes, or
 * all; the rest is not looked at.  MM_EINPUT: it does not begin as
 * mm_work_file_encode has it.
 */
#define MM_WORK_FILE_HEAD (4 * MM_WORK_TEXT_MAX)
MM_MUST enum mm_err mm_work_file_order(struct mm_bytes head,
    struct mm_buf *note, struct mm_why *why);
/* The paper with that hash, borrowed; false if the file has none. */
bool mm_work_file_paper(const struct mm_work_file *f,
    const uint8_t sha256[32], struct mm_bytes *out);
/* Every paper that the order names is there, and a list of serial numbers
 * has as many as it says, each a device_id.  MM_EINPUT. */
MM_MUST enum mm_err mm_work_file_check(const struct mm_work_file *f,
    const struct mm_work_order *o, struct mm_why *why);
/* The list alone, for the signer, which gets no other paper. */
MM_MUST enum mm_err mm_work_file_check_list(const struct mm_work_file *f,
    const struct mm_work_order *o, struct mm_why *why);
/*
 * The profiles that the order names, and no other; an order that closes its
 * batch may come without them, since nothing is made by it.  Like
 * mm_profiles_parse, one at a time a process.  MM_EINPUT: one is missing, too
 * many or another than the order's.  Done with mm_profiles_done.
 */
MM_MUST enum mm_err mm_work_file_profiles(const struct mm_work_file *f,
    const struct mm_work_order *o, struct mm_profile_set *out,
    struct mm_why *why);
/* The next line of a list of serial numbers, in out of MM_DEVICE_ID_MAX + 1;
 * false at the end.  MM_EINPUT in *err: a line that is no device_id. */
bool mm_work_list_next(struct mm_bytes *rest, char *out, enum mm_err *err);

#endif
