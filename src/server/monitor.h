#ifndef MM_SERVER_MONITOR_H
#define MM_SERVER_MONITOR_H

#include <sys/types.h>

#include "base/secret.h"
#include "server/priv.h"
#include "server/pulse.h"

/* child.c: how the monitor starts its children. */

/* The signer: its ends of the links and the pulse, the passphrase through a
 * pipe. */
struct mm_child_conf {
	const char *program, *config_path;
	bool keeper; /* keys are in tokens: their keepers come first */
	const struct mm_links *links;
	int pulse;
	struct mm_bytes passphrase;
};
MM_MUST enum mm_err mm_child_signer(const struct mm_child_conf *conf,
    pid_t *pid, struct mm_why *why);
/* The keeper's program, beside the signer's. */
MM_MUST enum mm_err mm_child_keeper(const char *signer,
    char out[MM_PATH_MAX + 1], struct mm_why *why);
/* The server ("serve"): this program again, so that nothing of the monitor's
 * memory (the passphrase) is in it. */
MM_MUST enum mm_err mm_child_self(const char *role, const char *config_path,
    int control, pid_t *pid, struct mm_why *why);
/* So, the courier or a registrar ("courier", "registrar", "registrar-est"),
 * with as little of our environment as the signer has. */
MM_MUST enum mm_err mm_child_aide(const char *role, const char *config_path,
    int control, pid_t *pid, struct mm_why *why);
/* From the descriptor, the configured file, or the terminal. */
MM_MUST enum mm_err mm_child_passphrase(const struct mm_config *config,
    int fd, struct mm_secret **out, struct mm_why *why);

/* ---- monitor.c and monitor_start.c ---- */

struct mm_child {
	const char *name;
	pid_t pid;          /* 0: not running */
	int64_t began, again; /* monotonic; again: when to start it */
	int64_t backoff;
	unsigned starts, hangs;
	struct mm_pulse pulse;
};

/* Children that the server has a link to, and goes on without. */
enum { MM_AIDES = 3 };

struct mm_monitor {
	const struct mm_run_args *args;
	struct mm_config *config;
	struct mm_secret *passphrase;
	struct mm_child signer, server, aide[MM_AIDES];
	int control, signals;
	int beats;          /* the signer's pulse */
	int64_t looked_at;  /* monotonic: when the pulses were last looked at */
	bool ready;         /* the server has served once */
	bool stopping;
	const struct mm_child *blamed; /* its end says why there is no start */
	int64_t stop_by;    /* 0: nobody is waited for */
	int status;
};

/* monitor_start.c: starts what is due.  The server goes first: the signer's
 * links are for it.  A signer whose server went sees the end of its links and
 * goes too. */
void mm_monitor_start_due(struct mm_monitor *m);
bool mm_monitor_wants(const struct mm_monitor *m, size_t aide);
/* Its name, which is its command. */
const char *mm_monitor_aide(size_t aide);
/* Puts the next start off, by more each time. */
void mm_monitor_back_off(struct mm_child *c);
/* Closes the signer's pulse. */
void mm_monitor_end_beats(struct mm_monitor *m);

#endif
