#ifndef MM_SERVER_DIAL_H
#define MM_SERVER_DIAL_H

#include <stdbool.h>

#include <curl/curl.h>

#include "base/err.h"
#include "sandbox/sandbox.h"

/*
 * What the processes that connect to others (courier.c, registrar_est.c) have
 * in common: libcurl's options for an address that somebody named, and the
 * sandbox of a process that connects, starts nothing and listens to nobody.
 */

/* A transfer that follows no redirection, takes no proxy of the environment,
 * and says what failed in error (CURL_ERROR_SIZE).  NULL: no memory. */
CURL *mm_dial_new(char *error);
/* For CURLOPT_OPENSOCKETFUNCTION, after the name was looked up: a socket to
 * that address, or, if it is none to connect to, its text in denied. */
#define MM_DIAL_ADDRESS 64
curl_socket_t mm_dial_socket(const struct curl_sockaddr *a, bool good,
    char denied[MM_DIAL_ADDRESS]);
/* For CURLOPT_HEADERFUNCTION: of so many bytes at most, counted in *n. */
#define MM_DIAL_HEAD_MAX (64 * 1024)
size_t mm_dial_head(size_t more, size_t *n);
/* libcurl's words may hold a stranger's (the names in a certificate), cut
 * anywhere: a text that is not UTF-8 could be shown nowhere. */
void mm_dial_plain(char *text);
/* Before the fence: libcurl, and what a first use would load too late. */
MM_MUST enum mm_err mm_dial_begin(CURLM **multi, struct mm_why *why);
/* Shuts the process in: what looking up names and TLS need, and these. */
MM_MUST enum mm_err mm_dial_fence(const struct mm_sandbox_path *more,
    size_t n, struct mm_why *why);
/* The folder of a file; out has room for MM_PATH_MAX and a NUL. */
void mm_dial_folder(const char *file, char *out);

#endif
