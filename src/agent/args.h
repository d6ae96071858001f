#ifndef MM_AGENT_ARGS_H
#define MM_AGENT_ARGS_H

#include "agent/agent.h"

/* The command line: "mintmark-agent [global options] command [options]". */
struct mm_agent_args {
	const char *command; /* enrol, renew, run, status, ... */
	const char *credential, *credential_key, *anchor; /* old.h */
	const char *key;    /* a URI as key.h has it, or credential_key */
	const char *key_in; /* that URI; NULL: where keys are, or files */
	const char *token_file, *server, *dir, *device, *label;
	const char *key_type, *tls, *clock, *retry, *timeout, *deadline;
	const char *percent, *config;
	const char *status_file; /* no option: of the configuration; or NULL */
	bool keep_key, keep_token, replace, now, ask, json, verbose, quiet;
	bool pairing;
	/* What the texts above say: */
	enum mmd_key_kind key_kind;
	enum mm_agent_clock clock_mode;
	unsigned tls_version, retries;
	unsigned timeout_s;
	unsigned deadline_s; /* 0: none */
	unsigned renew_percent;
};

/*
 * MM_EINPUT names the word that is wrong, unless it could be a token.  Of what
 * failed only out->json is written: whether the words are wanted as JSON.
 */
MM_MUST enum mm_err mm_agent_args_parse(int argc, char **argv,
    struct mm_agent_args *out, struct mm_why *why);

extern const char mm_agent_usage[];

#endif
