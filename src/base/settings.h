#ifndef MM_BASE_SETTINGS_H
#define MM_BASE_SETTINGS_H

#include "base/conf.h"
#include "base/text.h"

/*
 * mintmark.conf: what mintmarkd, mintmark-signer and the offline commands of
 * mintmark read.  One table (settings.c) is parser, reference and template.
 * The file belongs to root (or the demo's user) and is not writable by the
 * server.  Profiles are blocks of the same file; their table is pki/profile.
 */
#define MM_PATH_MAX 512
#define MM_URL_MAX 256
#define MM_LISTEN_MAX 80
#define MM_TIME_WORD 35

/* AUTO: unencrypted to this machine, elsewhere STARTTLS or nothing. */
enum mm_mail_tls { MM_MAIL_AUTO, MM_MAIL_STARTTLS, MM_MAIL_SMTPS };
enum mm_metrics_for { MM_METRICS_KEY, MM_METRICS_OPEN, MM_METRICS_OFF };

struct mm_settings {
	char name[65];                      /* the maker's name, for people */
	bool production;                    /* false: test marker and tokens */
	char server_dir[MM_PATH_MAX + 1];   /* the server's own files */
	char signer_dir[MM_PATH_MAX + 1];   /* keys, journal, frontier */
	char database[MM_PATH_MAX + 1];     /* a URL: store.h */
	char server_user[33], signer_user[33]; /* "" : stay who we are */
	char audit_group[33];               /* may read the journal; "" none */
	char registrar_user[33];            /* "" : the server's */
	char registrar_dir[MM_PATH_MAX + 1]; /* "" : beside server_dir */
	char keeper_user[33];               /* "" : the signer's */
	char keeper_group[33];              /* beside it; "" none */
	char node[MM_NAME_MAX + 1];         /* of several; "" the only one */
	char signer_program[MM_PATH_MAX + 1];
	char passphrase_file[MM_PATH_MAX + 1]; /* "" : descriptor or prompt */

	char devices_listen[MM_LISTEN_MAX + 1];   /* "127.0.0.1:8443"; "" off */
	char legacy_listen[MM_LISTEN_MAX + 1];    /* "" off, the preset */
	bool pairing, claim_secrets;              /* kinds of groups; off */
	int64_t pairing_s;
	char operators_listen[MM_LISTEN_MAX + 1];
	char public_listen[MM_LISTEN_MAX + 1];
	char public_url[MM_URL_MAX + 1];    /* http://... in CDP and AIA */
	char devices_url[MM_URL_MAX + 1];   /* https://host:port for tokens */
	char tls_certificate[MM_PATH_MAX + 1]; /* PEM chain */
	char tls_key[MM_PATH_MAX + 1];
	char trust_anchor[MM_PATH_MAX + 1]; /* PEM: the root devices pin */
	char root_crl[MM_PATH_MAX + 1];     /* PEM: lists above issuers; "" */
	char root[MM_NAME_MAX + 1];         /* of the one in force; "" first */
	char root_links[MM_PATH_MAX + 1];   /* PEM: to another root; "" none */
	bool root_ended;                    /* that change is over */

	char default_label[MM_NAME_MAX + 1]; /* "" : the product's profile */
	bool est_wrap;                       /* wrap base64 bodies at 64 */
	struct mm_conf_list est_unwrapped_labels;
	char ledger_origin[MM_URL_MAX + 1];  /* checkpoint's key name */
	bool journal_sync;                   /* fdatasync every batch */
	char tpm[MM_PATH_MAX + 1];           /* a station's; "" : none */
	int64_t threads;                     /* event loops, 1..16 */
	int64_t connections;                 /* per listener, all loops */
	int64_t connections_per_source;
	int64_t handshake_s, header_s, body_s, idle_s;
	bool webhooks;                       /* false: no courier at all */
	char webhook_ca[MM_PATH_MAX + 1];    /* "" : the system's CAs */
	bool webhook_plain;                  /* http:// beyond loopback */
	bool webhook_deny_private;
	struct mm_conf_list webhook_retries; /* durations, mm_duration_parse */
	int64_t webhook_timeout_s, webhook_give_up_s;
	char authorise_url[1025];            /* "" : nobody is asked */
	int64_t authorise_timeout_s;
	struct mm_conf_list authorise_profiles; /* empty: all */
	struct mm_conf_list mail_to;         /* empty: there are no mails */
	char mail_from[255];
	char mail_server[MM_LISTEN_MAX + 1]; /* host:port */
	int mail_tls;                        /* enum mm_mail_tls */
	int mail_least;                      /* 0 info, 1 warning, 2 critical */
	int64_t mail_every_s;
	bool mail_digest;                    /* a day's, of what ends soon */
	int64_t token_ttl_s;                 /* default 72 h */
	int64_t unconfirmed_alert_s;         /* 0: never */
	int64_t watchdog_s;                  /* 0: nobody is watched */
	int metrics;                         /* enum mm_metrics_for */
	bool attempt_peers;                  /* in the attempt log */
	struct mm_conf_list four_eyes;       /* actions that two must want */
	int64_t bulk_mint_above;             /* tokens in a day */
	int64_t operator_renew_days;         /* after its registration */
	int log_level;                       /* enum mm_log_level */
};

/* issuer "name" { ... }: a CA key the signer holds. */
struct mm_issuer_conf {
	char name[MM_NAME_MAX + 1];
	char certificate[MM_PATH_MAX + 1]; /* PEM: issuer first, then up */
	char key[MM_PATH_MAX + 1];         /* encrypted PKCS#8, or pkcs11: */
	char pin_file[MM_PATH_MAX + 1];    /* "" : the passphrase */
	struct mm_conf_list key_environ;   /* "NAME=value", its module's */
	int64_t crl_shards;                /* 1..65536, fixed for its life */
	int64_t crl_hours;                 /* nextUpdate after thisUpdate */
	bool ocsp;                         /* named in certificates */
	int64_t ocsp_hours;                /* nextUpdate after thisUpdate */
	bool line;                         /* a station's signer has its key */
	int64_t lines;                     /* line CAs it signs a day */
	struct mm_conf_list exec;          /* asks the maker's own CA */
	char est[MM_URL_MAX + 1];          /* ... or this is asked; "" */
	char est_anchors[MM_PATH_MAX + 1]; /* PEM: whose server it may be */
	char est_certificate[MM_PATH_MAX + 1]; /* who we are to it; "" */
	char est_key[MM_PATH_MAX + 1];
	char est_password_file[MM_PATH_MAX + 1]; /* USER:PASSWORD; "" */
	int64_t answer_within_s;           /* of the maker's own CA */
	int64_t at_once;                   /* requests to it */
	char renew_before[MM_TIME_WORD + 1]; /* RFC 3339; "": none */
	int64_t renew_within_s;            /* of then */
	char follows[MM_NAME_MAX + 1];     /* whose place it takes; "" */
	char follows_from[MM_TIME_WORD + 1]; /* RFC 3339; "": at once */
	bool retired;                      /* signs nothing any more */
};

/* Its certificates are another CA's, which is asked for each of them: its key
 * is not ours, and neither are its revocation lists. */
bool mm_issuer_upstream(const struct mm_issuer_conf *i);
/* ... by EST, and not by a program. */
bool mm_issuer_est(const struct mm_issuer_conf *i);
/* It signs revocation lists and OCSP answers here. */
bool mm_issuer_lists(const struct mm_issuer_conf *i);
/* It is the centre's to say who is an administrator: its key is at no station,
 * with no other CA, and still in use. */
bool mm_issuer_recovers(const struct mm_issuer_conf *i);
/* Its key is in a PKCS#11 token (RFC 7512), not in a file. */
#define MM_TOKEN_URI "pkcs11:"
bool mm_issuer_in_token(const struct mm_issuer_conf *i);

extern const struct mm_conf_key mm_settings_keys[];
extern const size_t mm_settings_nkeys;
extern const struct mm_conf_block mm_issuer_block;

/* Whether a host:port names this machine itself, and not just perhaps. */
bool mm_host_is_local(const char *host_port);
/* Loads settings alone, ignoring nothing: other blocks need their table. */
MM_MUST enum mm_err mm_settings_check(const struct mm_settings *s,
    struct mm_why *why);

#endif
