#ifndef MM_BASE_LOG_H
#define MM_BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

/*
 * key=value lines on standard error, one write() each: time, level, program,
 * event, then the fields.  Values are quoted and escaped where they need it,
 * so a hostile device id cannot forge a line.  Only programs log (src/server,
 * signer's and agent's main, ...); libraries return struct mm_why.
 * Nothing secret: there is no field type for bytes.
 */
enum mm_log_level { MM_LOG_DEBUG, MM_LOG_INFO, MM_LOG_WARN, MM_LOG_ERROR };

struct mm_kv {
	const char *key;
	const char *text; /* NULL: the number counts */
	int64_t number;
};

#define MM_S(k, v) { .key = (k), .text = (v) }
#define MM_I(k, v) { .key = (k), .number = (v) }

/* Once, before the first line. */
void mm_log_open(const char *program, enum mm_log_level least);

#define MM_LOG(level, event, ...)                                        \
	mm_log_at((level), (event), (const struct mm_kv[]){ __VA_ARGS__ }, \
	    sizeof((const struct mm_kv[]){ __VA_ARGS__ }) /                \
	        sizeof(struct mm_kv))
void mm_log_at(enum mm_log_level level, const char *event,
    const struct mm_kv *kv, size_t nkv);

#endif
