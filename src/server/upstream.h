#ifndef MM_SERVER_UPSTREAM_H
#define MM_SERVER_UPSTREAM_H

#include "server/priv.h"

/*
 * The server's end of the link to the registrar (registrar.c): what the core
 * wants of an existing CA goes out, what became of it comes back.  A thread of
 * its own, since nothing that it waits for may hold up anything else.  When
 * the registrar ends, whatever it had was lost: nobody knows how far it came.
 */
struct mm_registrar;
MM_MUST enum mm_err mm_registrar_open(struct mm_server *s,
    struct mm_registrar **out, struct mm_why *why);
/* The link to a fresh registrar, taken. */
void mm_registrar_link(struct mm_registrar *r, int take_fd);
/* Joins the thread. */
void mm_registrar_close(struct mm_registrar **owner);
/* struct mm_core_conf's forward; ctx is the struct mm_server. */
bool mm_upstream_forward(void *ctx, uint64_t number,
    const struct mm_forward_req *q);

#endif
