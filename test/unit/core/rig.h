#ifndef TEST_CORE_RIG_H
#define TEST_CORE_RIG_H

#include <pthread.h>
#include <sys/types.h>

#include "core/core.h"

/*
 * A whole CA in a temporary folder: mintmark-signer as a process of its own
 * ($MM_SIGNER), the SQLite store, the core, one desk.  Jobs are posted with
 * rig_post and waited for with rig_wait.
 */
struct rig {
	char dir[64], conf[96];
	struct mm_config *config;
	struct mm_core *core;
	struct mm_desk *desk;
	struct mm_login admin;
	pid_t signer;
	/* for rig_open */
	bool (*ask)(void *rig, const struct mm_question *q);
	int64_t ask_ms;
	bool (*forward)(void *rig, uint64_t number,
	    const struct mm_forward_req *q);
	/* finished jobs */
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct mm_job *done;
	unsigned ndone;
};

#define RIG_LOOPS 2

/* extra: settings, may be NULL.  Every failure ends the test program. */
void rig_make(struct rig *r, const char *extra,
    const struct mm_core_hooks *hooks);
void rig_open(struct rig *r, const struct mm_core_hooks *hooks);
void rig_shut(struct rig *r);
void rig_done(struct rig *r);
/* Kills the signer at once; starts one and links the core to it. */
void rig_kill_signer(struct rig *r);
void rig_restart_signer(struct rig *r);
/* with: may put something of its own between the core and the signer. */
void rig_restart_signer_with(struct rig *r, void (*with)(struct mm_links *));

/* A group's: one CA for all its tests, each with devices of its own. */
int rig_setup(void **state);
int rig_teardown(void **state);

/* A token for a device of product "thermo". */
struct mm_token_made rig_token(struct rig *r, const char *device);
struct mm_token_made rig_token_of(struct rig *r,
    const struct mm_token_spec *spec);
/* A request by this key; cn may be "". */
struct mm_job *rig_job(enum mm_job_kind kind, EVP_PKEY *key, const char *cn);
void rig_psk(struct mm_job *job, const struct mm_token_made *t);
void rig_cert(struct mm_job *job, struct mm_bytes der);
EVP_PKEY *rig_key(void);

void rig_post(struct rig *r, struct mm_job *list);
/* The next n that finish, a list; ends the program after 20 s. */
struct mm_job *rig_wait(struct rig *r, unsigned n);
/* At least so many; how many they are. */
struct mm_job *rig_take(struct rig *r, unsigned least, unsigned *n);
/* Post and wait for one. */
void rig_run(struct rig *r, struct mm_job *job);
/* How many ledger entries of a type (all of them are read). */
unsigned rig_entries(struct rig *r, const char *type);
/* Lines of a kind ("certificate") in the signer's journal. */
unsigned rig_journal(struct rig *r, const char *kind);

/* Somebody else holds the database until it is unlocked; wait: until the core
 * works with it again. */
struct sqlite3 *rig_lock_store(struct rig *r);
void rig_unlock_store(struct sqlite3 *take_db);
void rig_wait_ready(struct rig *r);

#define MUST(x) rig_must((x), #x, __FILE__, __LINE__)
void rig_must(bool ok, const char *what, const char *file, int line);

#endif
