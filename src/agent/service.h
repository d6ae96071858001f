#ifndef MM_AGENT_SERVICE_H
#define MM_AGENT_SERVICE_H

#include "agent/conf.h"
#include "agent/hook.h"
#include "agent/visit.h"

/*
 * The agent as a service: visits (visit.h) when pace.h says, hooks (hook.h)
 * when something is another one, and words about it: sd_notify(3), the log,
 * a file.
 *
 * It holds no key and never speaks TLS itself.  Its state is what is in the
 * folder: it may be killed at any instant.
 */
enum mm_service_state {
	MM_SERVICE_WORKS,
	MM_SERVICE_WAITS,  /* all is well */
	MM_SERVICE_FAILS,  /* and tries again */
	MM_SERVICE_EMPTY,  /* there is no identity, and no token */
	MM_SERVICE_STOPS,
	MM_SERVICE_STATES
};

/* What is known, for service_json.c, too. */
struct mm_service {
	const struct mm_agent_conf *conf;
	enum mm_service_state state;
	struct mm_visit visit;
	struct mm_visit_told told; /* of the last one */
	bool has;                  /* id is what is in use, as last known */
	struct mm_agent_status id;
	struct mm_hook renewed, configured;
	struct mm_agent_configured conf_in_use;
	unsigned conf_failures;    /* in a row */
	struct mm_pace_clock clock;
	unsigned failures;
	int64_t next_ms;           /* by mm_boot_ms: the next visit */
	int64_t good_s;            /* when the last one went well; 0 never */
	/* Its own: */
	int lock, signals, timer, set; /* set: the system's clock was */
	int64_t watchdog_ms, beat_ms;
	bool file_failed, stop;
	bool wanted;               /* a visit, by SIGHUP during one */
	bool look;                 /* the first visit need not be at once */
};

/*
 * Runs until SIGTERM or SIGINT; SIGHUP: a visit at once.  MM_ECONFLICT: there
 * is another one.  MM_EPOLICY: the folder is not ours alone.
 */
MM_MUST enum mm_err mm_agent_serve(const struct mm_agent_conf *c,
    struct mm_why *why);

/* How it goes, as JSON of one line; now_s is the time as best known. */
void mm_service_json(struct mm_buf *out, const struct mm_service *s,
    int64_t boot_ms, int64_t now_s);
extern const char *const mm_service_words[MM_SERVICE_STATES];

#endif
