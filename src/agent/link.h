#ifndef MM_AGENT_LINK_H
#define MM_AGENT_LINK_H

#include "agent/agent.h"
#include "agent/fetch.h"
#include "agent/keyring.h"
#include "port/posix_openssl.h"

/* The link to a real server: TCP, TLS by the device library's port, EST. */
struct mm_agent_wire {
	const char *server;   /* host:port, borrowed */
	const char *more;     /* header lines of an enrolment, borrowed */
	const char *label;    /* EST label, or NULL */
	const struct mmd_nv *nv;
	struct mm_agent_keyring *keyring;
	int timeout_ms;       /* of a connection and of an answer */
	bool verbose;
	/* Its own: */
	struct mmd_openssl_tls tls;
	struct mmd_tls port;
	struct mmd_est_conf conf;
	struct mmd_est est;
	struct mm_agent_fetch fetch;
	bool open, closes; /* closes: the server, after its last answer */
	uint8_t buf[MM_AGENT_ANSWER_MAX];
};

struct mm_agent_link mm_agent_wire_link(struct mm_agent_wire *w);

#endif
