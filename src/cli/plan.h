#ifndef MM_CLI_PLAN_H
#define MM_CLI_PLAN_H

#include "base/settings.h"
#include "cli/cmd.h"

/* What "mintmark init" will make, decided before anything is touched. */
#define MM_PLAN_HOSTS 16

struct mm_plan {
	char name[65], root[16], key_type[16], admin[65];
	char dir[400], state[400];
	char config_path[MM_PATH_MAX], context_path[MM_PATH_MAX];
	char admin_key_path[MM_PATH_MAX], request_path[MM_PATH_MAX];
	char server_dir[MM_PATH_MAX], signer_dir[MM_PATH_MAX];
	char anchor_path[MM_PATH_MAX], ledger_key_path[MM_PATH_MAX];
	char database[MM_PATH_MAX], passphrase_file[MM_PATH_MAX];
	char signer_program[512], server_program[512], keeper_program[512];
	char key[MM_PATH_MAX], pin_file[MM_PATH_MAX]; /* in a token, or "" */
	char key_environ[MM_CONF_ITEM_MAX];
	char root_key[MM_PATH_MAX], root_pin_file[MM_PATH_MAX]; /* the same */
	char root_environ[MM_CONF_ITEM_MAX];
	char public_url[MM_URL_MAX], devices_url[MM_URL_MAX + 32];
	char operators_url[MM_URL_MAX + 32], origin[MM_URL_MAX];
	char devices_listen[MM_LISTEN_MAX], operators_listen[MM_LISTEN_MAX];
	char public_listen[MM_LISTEN_MAX];
	char product[MM_NAME_MAX + 1];
	char server_user[33], signer_user[33], audit_group[33];
	char host[MM_PLAN_HOSTS][128];
	size_t nhosts;
	bool has_dir, has_state; /* were there before */
	bool production, bearer;
};

/* Options, questions, presets; MM_EPOLICY for a public URL of a production CA
 * that cannot last. */
MM_MUST enum mm_err mm_plan_make(struct mm_cli *cli, const struct mm_args *a,
    struct mm_plan *out, struct mm_why *why);
/*
 * What must hold before anything is made: the configuration is one that the
 * daemons take, nothing of it is there (MM_ECONFLICT), it can be made, the
 * users exist (MM_ENOTFOUND), the database answers.
 */
MM_MUST enum mm_err mm_plan_check(struct mm_cli *cli, const struct mm_plan *p,
    struct mm_why *why);
/* Removes what a failed init has made; the plan was checked before. */
void mm_plan_undo(const struct mm_plan *p);
void mm_plan_print(FILE *f, const struct mm_plan *p);
/* mintmark.conf, annotated from the configuration's own table. */
void mm_plan_config(const struct mm_plan *p, struct mm_buf *out);
bool mm_plan_is_address(const char *host);

#endif
