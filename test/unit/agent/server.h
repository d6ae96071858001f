#ifndef TEST_AGENT_SERVER_H
#define TEST_AGENT_SERVER_H

#include "agent/agent.h"

/*
 * A server in shared memory, so that it outlives an agent that is killed:
 * it issues by the rules of the real one (same token and key, same bytes;
 * another key, 409) and fails on demand.
 */
#define CERTS_MAX 8

struct server_cert {
	uint8_t der[2048];
	size_t n;
	bool confirmed, revoked;
};

struct server {
	struct server_cert certs[CERTS_MAX];
	size_t ncerts;
	unsigned claims;  /* certificates issued by token */
	int busy;         /* so many answers are 503, Retry-After 3 */
	int64_t slept_ms; /* what the agent waited */
	int64_t date_s;
	int64_t checked_at_s; /* of the last mutual handshake */
	bool other_key;   /* issue for a key that is not the device's */
	bool other_ca;    /* issue by a CA that is not the anchor's */
	bool other_anchor; /* cacerts without the token's anchor */
	int refuse_confirm; /* status, or 0 */
	/* steps taken by the agent; at kill_at it dies by SIGKILL */
	unsigned steps, kill_at;
	unsigned opened; /* connections */
	char window[256]; /* of the renewal resource; "": it has none */
	int32_t again_s;
	int refuse_window; /* status, or 0 */
};

struct server *server_new(void);
/* The one that server_new made last. */
struct server *server_in_use(void);
void server_free(struct server *s);
/* Forgets everything but its keys. */
void server_reset(struct server *s);
/* Forgets all certificates but the newest. */
void server_keep_newest(struct server *s);
struct mm_agent_link server_link(struct server *s);
/* A token for it. */
struct mmd_token server_token(void);
/* Counts a step; kills the process if it is the one. */
void server_step(struct server *s);
/* The record of a certificate, or NULL. */
struct server_cert *server_find(struct server *s, struct mmd_bytes der);

#endif
