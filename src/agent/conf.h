#ifndef MM_AGENT_CONF_H
#define MM_AGENT_CONF_H

#include <limits.h>

#include "agent/args.h"
#include "agent/store.h"
#include "base/conf.h"
#include "base/text.h"

/* The service's configuration: agent.conf. */
struct mm_agent_conf {
	char dir[MM_AGENT_DIR_MAX];
	char server[MM_AGENT_HOST_MAX + 1]; /* "": who issued, or the token */
	char token_file[PATH_MAX];          /* "": none */
	char credential[PATH_MAX], credential_key[PATH_MAX]; /* "": none */
	char anchor[PATH_MAX];
	char device[65], label[MM_NAME_MAX + 1];
	char status_file[PATH_MAX];         /* "": dir/status.json */
	char key_in[MM_KEY_URI_MAX + 1];    /* "": where it is, or a file */
	int key, tls, clock;                /* indices of their words */
	bool keep_key, pairing;
	int64_t renew_percent;
	int64_t timeout_s, visit_s, every_s, again_s, most_s, spread_s;
	struct mm_conf_list on_renewed;     /* programs; none */
	struct mm_conf_list on_configuration;
	int64_t hook_s;
};

/* Checked: a program has an absolute path. */
MM_MUST enum mm_err mm_agent_conf_load(const char *path,
    struct mm_agent_conf *out, struct mm_why *why);
/* What a visit works with, as if from the command line; borrows c. */
struct mm_agent_args mm_agent_conf_args(const struct mm_agent_conf *c);
/* Where the service says how it goes: file, or status.json in dir. */
void mm_agent_status_path(const char *file, const char *dir,
    char out[PATH_MAX]);
/* Markdown, for docs/reference/agent.md. */
void mm_agent_conf_reference(struct mm_buf *out);

#endif
