#ifndef MM_CLI_COMMANDS_H
#define MM_CLI_COMMANDS_H

#include "cli/cmd.h"

/* The commands' functions and option tables, as cmds.c lists them. */
#define MM_COMMANDS(X)                                                     \
	X(init) X(ca_list) X(ca_show) X(ca_crl) X(ca_request)              \
	X(ca_install) X(ca_rollover) X(ca_retire) X(ca_incident)           \
	X(device_silent)                                                   \
	X(ca_root) X(ca_root_end)                                          \
	X(ca_check_key) X(ca_issuer) X(ca_renew_tls) X(profile_list)       \
	X(profile_show)                                                    \
	X(product_list) X(product_show) X(product_create)                  \
	X(product_update) X(device_list) X(device_show) X(device_create)   \
	X(device_retire) X(device_enrol) X(device_receipt) X(device_why)  \
	X(token_list)                                                      \
	X(token_show) X(token_create) X(token_cancel) X(token_thaw)        \
	X(token_remint) X(token_import) X(device_transfer)                 \
	X(device_repair)                                                   \
	X(cert_list) X(cert_show) X(cert_revoke) X(cert_hold)              \
	X(cert_release) X(ledger_checkpoint) X(ledger_key)                 \
	X(ledger_entries) X(ledger_verify) X(ledger_verify_receipt)        \
	X(ledger_reconcile) X(ledger_export) X(key_list) X(key_create)     \
	X(mail_show) X(mail_test)                                         \
	X(key_revoke) X(key_renew)                                         \
	X(status) X(doctor) X(expiry) X(completion) X(man)                 \
	X(reference) X(complete) X(event_list) X(event_follow)             \
	X(webhook_list) X(webhook_show) X(webhook_create)                  \
	X(webhook_remove) X(webhook_pause) X(webhook_resume)               \
	X(webhook_test) X(webhook_rotate) X(webhook_replay)                \
	X(webhook_dead_letters) X(audit) X(device_import)                  \
	X(device_update) X(device_history) X(product_schema)               \
	X(profile_check) X(profile_diff) X(key_erase) X(approval_list)     \
	X(approval_show) X(approval_approve) X(approval_refuse)            \
	X(authorise_show) X(authorise_rotate) X(webhook_change)            \
	X(key_whoami) X(ledger_receipt) X(cert_export) X(device_label)     \
	X(token_label) X(device_birth_record) X(line_check) X(batch_list)  \
	X(batch_show) X(batch_create) X(batch_open) X(batch_pause)         \
	X(batch_close) X(batch_extend) X(batch_share) X(batch_report)      \
	X(batch_units) X(batch_scrap) X(batch_release)                     \
	X(batch_order) X(station_list) X(station_show) X(station_create)   \
	X(station_remove) X(station_pin) X(station_trust) X(station_sync)  \
	X(station_quarantine) X(ca_root_crl) X(crl_sync) X(group_list)     \
	X(group_show) X(group_create) X(group_open) X(group_pause)         \
	X(group_close) X(group_extend) X(group_add) X(group_devices)       \
	X(group_waiting) X(group_approve) X(group_refuse)                  \
	X(group_release) X(group_crl)                                     \
	X(group_report)                                                    \
	X(config_list) X(config_show) X(config_set) X(config_remove)       \
	X(config_history) X(config_check) X(config_preview)                \
	X(config_devices) X(metrics) X(openapi) X(batch_people)            \
	X(batch_configuration) X(device_prove)

#define X(name)                                   \
	mm_cmd_fn mm_cmd_##name;                  \
	extern const struct mm_opt mm_opts_##name[];
MM_COMMANDS(X)
#undef X

/* For the many commands that are one call and one table. */
struct mm_filter {
	const char *opt, *param; /* option's name, query parameter's */
	bool ago; /* the option is a duration, the parameter the time then */
};
/* GET path with filters, all pages up to --limit; prints. */
MM_MUST enum mm_err mm_list_command(struct mm_cli *cli,
    const struct mm_args *a, const char *path, const struct mm_filter *f,
    size_t nf, const struct mm_column *c, size_t nc, struct mm_why *why);
/* The same of ledger entries. */
MM_MUST enum mm_err mm_entries_command(struct mm_cli *cli,
    const struct mm_args *a, const char *path, const struct mm_filter *f,
    size_t nf, struct mm_why *why);
/* One call; prints the object it answers, which can be what is shown once. */
MM_MUST enum mm_err mm_object_command(struct mm_cli *cli, const char *method,
    const char *path, json_t *take_body, struct mm_why *why);
/* The next change is made only if what it changes is at --if-version, where
 * that is given. */
MM_MUST enum mm_err mm_if_version(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why);
#define MM_IF_VERSION_OPT                                                  \
	{ "if-version", "N", "fail (exit status 5) if it is at another "   \
	    "version than this one, which \"show\" says", MM_C_NONE, NULL }
/* POSTs to the path of the thing that is named, at --if-version if given. */
MM_MUST enum mm_err mm_change_command(struct mm_cli *cli,
    const struct mm_args *a, const char *fmt, json_t *take_body,
    struct mm_why *why);
/* Prints the path with every %s percent-encoded; at most 1,000 bytes. */
MM_MUST enum mm_err mm_path(char out[1024], struct mm_why *why,
    const char *fmt, ...);
/* GET a text and print it, with --json as that member of an object. */
MM_MUST enum mm_err mm_print_bytes(struct mm_cli *cli, const char *path,
    const char *member, struct mm_why *why);
/* Of --dry-run: what "would" happen in words; with --json the object as it is
 * now, with what it would be. */
MM_MUST enum mm_err mm_dry_print(const struct mm_cli *cli, json_t *now,
    const char *state, const char *words);
/* A text member, "" if there is none. */
const char *mm_json_text(const json_t *o, const char *member);
/* Adds the option's value as a text member, if it was given. */
void mm_json_opt(json_t *o, const char *member, const struct mm_args *a,
    const char *opt);

/* The same as a list: the value's parts between commas. */
void mm_json_list(json_t *o, const char *member, const struct mm_args *a,
    const char *opt);

/* A command that lists what there is under a path, unfiltered. */
#define MM_LIST(name, path, columns)                                       \
	enum mm_err mm_cmd_##name(struct mm_cli *cli,                      \
	    const struct mm_args *a, struct mm_why *why)                   \
	{                                                                  \
		return mm_list_command(cli, a, path, NULL, 0, columns,     \
		    sizeof(columns) / sizeof((columns)[0]), why);          \
	}
/* A command that is one request about the thing it names. */
#define MM_SHOW(name, method, path)                                        \
	enum mm_err mm_cmd_##name(struct mm_cli *cli,                      \
	    const struct mm_args *a, struct mm_why *why)                   \
	{                                                                  \
		char p[1024];                                              \
                                                                           \
		MM_TRY(mm_path(p, why, path, a->pos[0]));                  \
		return mm_object_command(cli, method, p, NULL, why);       \
	}
/* A command that puts what it names into another state, with a reason. */
#define MM_BECOMES(noun, name, path)                                       \
	const struct mm_opt mm_opts_##noun##_##name[] = {                  \
		{ "reason", "TEXT", "why; kept with the " #noun,           \
		    MM_C_NONE, NULL },                                     \
		MM_IF_VERSION_OPT, { NULL, NULL, NULL, MM_C_NONE, NULL }   \
	};                                                                 \
	enum mm_err mm_cmd_##noun##_##name(struct mm_cli *cli,             \
	    const struct mm_args *a, struct mm_why *why)                   \
	{                                                                  \
		json_t *o = json_object();                                 \
                                                                           \
		mm_json_opt(o, "reason", a, "reason");                     \
		return mm_change_command(cli, a, path, o, why);            \
	}

#define MM_LIST_OPTS                                                       \
	{ "limit", "N", "at most N rows (default 1000; 0: all)",           \
	    MM_C_NONE, NULL },                                             \
	{ "after", "KEY", "start after this row's key", MM_C_NONE, NULL }

#endif
