#ifndef MM_BASE_JSON_H
#define MM_BASE_JSON_H

#include "base/buf.h"

/*
 * A JSON writer (reading is jansson's).  Strings are escaped as RFC 8785
 * 3.2.2.2 says, so that the same values always give the same bytes; no
 * insignificant space.  A string that is not UTF-8 makes the buffer bad.
 *
 *	mm_json_open(&j, '{');
 *	mm_json_str(&j, "type", "token.minted");
 *	mm_json_close(&j, '}');
 *
 * The key is NULL inside an array; else a plain word of the program's own,
 * which is written as it is.
 */
struct mm_json {
	struct mm_buf *out;
	bool comma;
};

struct mm_json mm_json_over(struct mm_buf *out);
void mm_json_open(struct mm_json *j, char bracket); /* top, or in an array */
void mm_json_open_key(struct mm_json *j, const char *key, char bracket);
void mm_json_close(struct mm_json *j, char bracket);
void mm_json_str(struct mm_json *j, const char *key, const char *v);
void mm_json_strn(struct mm_json *j, const char *key, struct mm_bytes v);
void mm_json_hex(struct mm_json *j, const char *key, struct mm_bytes v);
void mm_json_b64(struct mm_json *j, const char *key, struct mm_bytes v);
void mm_json_int(struct mm_json *j, const char *key, int64_t v);
void mm_json_bool(struct mm_json *j, const char *key, bool v);
void mm_json_null(struct mm_json *j, const char *key);
void mm_json_time(struct mm_json *j, const char *key, int64_t at_ms);
/* Already JSON: copied as it is. */
void mm_json_raw(struct mm_json *j, const char *key, struct mm_bytes v);

#endif
