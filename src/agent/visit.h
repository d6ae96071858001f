#ifndef MM_AGENT_VISIT_H
#define MM_AGENT_VISIT_H

#include <sys/types.h>

#include "agent/conf.h"
#include "agent/configure.h"

/*
 * One visit to the server, in a process of its own: keys, TLS and whatever a
 * resolver does are gone with it when it ends, the service that waits stays
 * small, and one that hangs is killed like a power cut, which storage is made
 * for.
 */
struct mm_visit {
	pid_t pid;      /* 0: none */
	int out;        /* what it has to tell, or -1 */
	int64_t end_ms; /* by mm_mono_ms */
};

/* What came of it. */
struct mm_visit_told {
	enum mm_err err;
	struct mm_why why;
	bool looked;     /* it did not ask the server: no need was seen */
	bool known;      /* s is what is in use, after a failure, too */
	struct mm_agent_status s;
	int32_t retry_s; /* as struct mm_agent has it */
	int64_t told_s;  /* the server's clock, 0: not heard */
	char code[MMD_PAIRING_CODE]; /* that a person has to compare; or "" */
	int64_t now_s;   /* the time as best known at its end */
	/* The configuration: that which is in use, and what came of asking;
	 * MM_ENOTFOUND: the server has none. */
	struct mm_agent_configured configured;
	enum mm_err conf_err;
	struct mm_why conf_why;
	int32_t conf_retry_s;
};

void mm_visit_init(struct mm_visit *v);
struct mm_visit_of {
	const struct mm_agent_conf *conf;
	int64_t skew_s; /* added to the system's clock */
	bool look;      /* program.h */
};
/* MM_ESYS: no process. */
MM_MUST enum mm_err mm_visit_begin(struct mm_visit *v,
    const struct mm_visit_of *of, struct mm_why *why);
/* Whether it is over; never waits. */
bool mm_visit_run(struct mm_visit *v, struct mm_visit_told *out);
/* Kills it. */
void mm_visit_close(struct mm_visit *v);

#endif
