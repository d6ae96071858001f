#ifndef MM_BASE_ERR_H
#define MM_BASE_ERR_H

/*
 * One error type for the whole tree.
 *
 * A function that can fail returns enum mm_err.  The code tells the caller
 * what can be done about it, never which line failed; the line and the words
 * go into the caller's struct mm_why, which may always be NULL.
 *
 * The list below is the only place where a code meets the outside world.
 * No code maps to a 5xx but 503: whatever a client sent, it may come again.
 *
 *   code          HTTP  exit  problem type (stable: part of the REST API)
 */
#define MM_ERRORS(X)                              \
	X(MM_OK,        200,  0, "ok")            \
	X(MM_EINPUT,    400,  2, "malformed")     \
	X(MM_EAUTH,     401,  8, "unauthorized")  \
	X(MM_EPOLICY,   403,  3, "not-allowed")   \
	X(MM_ENOTFOUND, 404,  4, "not-found")     \
	X(MM_ECONFLICT, 409,  5, "conflict")      \
	X(MM_ELIMIT,    413,  6, "too-large")     \
	X(MM_ERATE,     429,  7, "too-many")      \
	X(MM_EAGAIN,    503,  7, "try-later")     \
	X(MM_ENOMEM,    503,  7, "try-later")     \
	X(MM_ESYS,      503,  1, "internal")      \
	X(MM_ECRYPTO,   503,  1, "internal")      \
	X(MM_EBUG,      503, 70, "internal")      \
	X(MM_ESTALE,    412,  5, "changed")       \
	X(MM_EBUSY,     409,  7, "in-flight")     \
	X(MM_EUSED,     409,  5, "key-used")      \
	X(MM_EUNSURE,   409,  5, "interrupted")

enum mm_err {
#define X(code, http, exit, slug) code,
	MM_ERRORS(X)
#undef X
	MM_ERR_COUNT
};

/* Words for a person: the caller owns it, no allocation, safe to drop. */
struct mm_why {
	enum mm_err code;
	const char *at; /* "file.c:line" of the first failure */
	char text[160];
};

#define MM_MUST      __attribute__((warn_unused_result))
#define MM_PRINTF(f) __attribute__((format(printf, f, (f) + 1)))

/*
 * Records a failure and returns its code, so that the usual form is
 * return MM_FAIL(why, MM_EINPUT, "serial is %zu bytes, at most 20", n);
 * If why already holds a failure it is kept: the first cause wins.
 */
#define MM_FAIL(why, code, ...) \
	mm_fail_at((why), (code), __FILE__ ":" MM_STR(__LINE__), __VA_ARGS__)
#define MM_STR(x)  MM_STR_(x)
#define MM_STR_(x) #x
enum mm_err mm_fail_at(struct mm_why *why, enum mm_err code, const char *at,
    const char *fmt, ...) MM_PRINTF(4);

/* The one macro in the tree that hides a return.  Banned under device/. */
#define MM_TRY(expr)                         \
	do {                                 \
		enum mm_err try_ = (expr);   \
		if (try_ != MM_OK)           \
			return try_;         \
	} while (0)

/*
 * A broken invariant: says where and ends the process, in release builds too.
 * Never for input.
 */
#define MM_INVARIANT(cond) \
	((cond) ? (void)0 : mm_bug_at(__FILE__ ":" MM_STR(__LINE__), #cond))
_Noreturn void mm_bug_at(const char *at, const char *cond);

int mm_err_http(enum mm_err code);
int mm_err_exit(enum mm_err code);
const char *mm_err_slug(enum mm_err code);
/* The code that crosses a process boundary as one byte; MM_EBUG if unknown. */
enum mm_err mm_err_from_byte(unsigned byte);

#endif
