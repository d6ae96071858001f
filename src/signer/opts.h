#ifndef MM_SIGNER_OPTS_H
#define MM_SIGNER_OPTS_H

#include "base/conf.h"

/* mintmark-signer's flags, of all its commands; see its manual page. */
enum mm_root { MM_ROOT_NEW, MM_ROOT_EXTERNAL, MM_ROOT_NONE };

struct mm_opts {
	const char *config;
	int64_t passphrase_fd; /* -1: none given */
	const char *links;
	int64_t pulse_fd;      /* -1: nobody listens */
	int root;
	struct mm_conf_list root_subject, issuer_subject, tls_dns, tls_ip,
	    root_environ; /* the keeper's */
	const char *root_key, *issuer, *key_type, *request, *out, *chain, *from,
	    *batch, *station, *orders_key, *recipient, *keys, *revoke, *reason,
	    *new_root_key, *root_pin_file;
	int64_t root_years, issuer_years /* -1: as usual */, tls_days;
	bool yes;
};

/* argv[0] is the command; a flag must be one of the command's. */
MM_MUST enum mm_err mm_opts_parse(int argc, char **argv, const char *allowed,
    struct mm_opts *out, struct mm_why *why);

#endif
