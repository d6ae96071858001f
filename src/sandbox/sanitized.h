#ifndef MM_SANITIZED_H
#define MM_SANITIZED_H

/* Whether this build has a sanitizer in it, which makes calls of its own. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MM_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MM_SANITIZED 1
#endif
#ifndef MM_SANITIZED
#define MM_SANITIZED 0
#endif

#endif
