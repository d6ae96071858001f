#ifndef MM_SIGNER_SETUP_H
#define MM_SIGNER_SETUP_H

#include "base/file.h"
#include "base/json.h"
#include "signer/opts.h"
#include "signer/priv.h"

/*
 * The commands besides run: they make keys and CA certificates, sign a few
 * things, each with its journal line first, and print JSON of what they made.
 * They overwrite nothing.  As root they give every file its owner.
 */
struct mm_setup {
	const struct mm_opts *o;
	struct mm_config *conf;
	struct mm_secret *pass;
	struct mm_stretched *stretched; /* of pass */
	struct mm_record *record;
	struct mm_hsm *hsm; /* the issuer's, once its key was opened */
	bool key_made;      /* in there, just now */
	struct mm_hsm *root_hsm, *new_root_hsm; /* the same of roots */
	struct mm_buf text; /* the JSON */
	struct mm_json json;
};

/* Loads the configuration; with_pass: and the passphrase. */
MM_MUST enum mm_err mm_setup_begin(struct mm_setup *s, const struct mm_opts *o,
    bool with_pass, struct mm_why *why);
MM_MUST enum mm_err mm_setup_record(struct mm_setup *s, struct mm_why *why);
void mm_setup_done(struct mm_setup *s);

/* For who writes what a running signer writes, which holds the lock: takes it,
 * as the signer's user, since root's files would be root's.  The caller closes
 * *lock. */
MM_MUST enum mm_err mm_setup_alone(const struct mm_setup *s, int *lock,
    struct mm_why *why);
/* A new signer's folders; its empty journal and state. */
MM_MUST enum mm_err mm_setup_folders(struct mm_setup *s, struct mm_why *why);
MM_MUST enum mm_err mm_setup_journal(struct mm_setup *s, struct mm_why *why);

/* An Ed25519 key, keys/<what>.key, and its verifier key's text, <what>.pub,
 * which is also printed as "<what>_key". */
MM_MUST enum mm_err mm_make_note_key(struct mm_setup *s, const char *what,
    const char *name, struct mm_why *why);

/* Whose a file is. */
enum mm_owner { MM_OF_SIGNER, MM_OF_AUDIT, MM_OF_SERVER, MM_OF_ROOT };
/* One of signer_dir's, or with "" itself. */
MM_MUST enum mm_err mm_setup_folder(struct mm_setup *s, const char *name,
    mode_t mode, enum mm_owner owner, struct mm_why *why);
/* Creates a file (and its folder), MM_ECONFLICT if it is there. */
MM_MUST enum mm_err mm_place(const struct mm_setup *s, const char *path,
    struct mm_bytes data, mode_t mode, enum mm_owner owner,
    struct mm_why *why);
/* Makes a folder, and above it what is missing for all to pass. */
MM_MUST enum mm_err mm_place_folder(const char *path,
    const struct mm_file_own *own, struct mm_why *why);
/* Owner's uid and gid into own; nobody's unless root asks. */
MM_MUST enum mm_err mm_whose(const struct mm_setup *s, enum mm_owner owner,
    struct mm_file_own *own, struct mm_why *why);
MM_MUST enum mm_err mm_place_key(const struct mm_setup *s, const char *path,
    EVP_PKEY *key, struct mm_why *why);
MM_MUST enum mm_err mm_place_secret(const struct mm_setup *s,
    const char *path, struct mm_bytes secret, struct mm_why *why);
/* Makes a P-256 key and places it as it is, mode 0600. */
MM_MUST enum mm_err mm_make_plain_key(const struct mm_setup *s,
    const char *path, enum mm_owner owner, EVP_PKEY **key,
    struct mm_why *why);
MM_MUST enum mm_err mm_place_certs(const struct mm_setup *s, const char *path,
    const struct mm_bytes *der, size_t n, enum mm_owner owner,
    struct mm_why *why);

/* The issuer block that --issuer names, or the first. */
MM_MUST enum mm_err mm_setup_issuer(const struct mm_setup *s,
    const struct mm_issuer_conf **out, struct mm_why *why);
/* The same, or whoever follows the first, has a certificate and issues now. */
MM_MUST enum mm_err mm_setup_issuing(const struct mm_setup *s,
    const struct mm_issuer_conf **out, struct mm_why *why);

/* What signs: a key, its certificate (empty: the subject's own, a root). */
struct mm_signing {
	EVP_PKEY *key;
	struct mm_bytes cert;
	const char *name;   /* in the journal */
	struct mm_hsm *hsm; /* key's private half is there; NULL */
};
/* The issuer's key, from its file; or the public half of one in a token, which
 * s->hsm has from then on.  MM_ENOTFOUND: there is none. */
MM_MUST enum mm_err mm_setup_key(struct mm_setup *s,
    const struct mm_issuer_conf *conf, EVP_PKEY **key, struct mm_why *why);
/* The same, made if a token has none, or made and placed as a file; taken, if
 * it is there and has no certificate: a run was cut off.  MM_ECONFLICT: it is
 * another issuer's, or a file of another type. */
MM_MUST enum mm_err mm_setup_new_key(struct mm_setup *s,
    const struct mm_issuer_conf *conf, EVP_PKEY **key, struct mm_why *why);
/* Whether that is a root's key in a token, and not a file. */
bool mm_root_in_token(const char *key);
/* The public half of one, whose token *hsm has from then on: s->root_hsm or
 * s->new_root_hsm.  make: a key of that type if there is none; NULL:
 * MM_ENOTFOUND. */
MM_MUST enum mm_err mm_root_token(struct mm_setup *s, const char *uri,
    const enum mm_key_type *make, struct mm_hsm **hsm, EVP_PKEY **key,
    struct mm_why *why);
/* "key" and "key_made", of a key in a token. */
void mm_json_token(struct mm_setup *s, const struct mm_issuer_conf *conf);
MM_MUST enum mm_err mm_signing_new(const struct mm_signing *by,
    struct mm_sign **out, struct mm_why *why);
/* Dates f from now (backdated a day) for that long, 0 years for ever, never
 * beyond the signing certificate. */
MM_MUST enum mm_err mm_ca_dates(const struct mm_signing *by,
    int64_t lifetime_s, struct mm_ca_fields *f, struct mm_why *why);
/* Whose issuer it is: by's subject and key, borrowed; nothing for a root. */
MM_MUST enum mm_err mm_ca_issuer(const struct mm_signing *by,
    struct mm_ca_fields *f, struct mm_why *why);
/* A line CA's, where the list is empty: MM_LINE_CN. */
void mm_line_subject(const struct mm_settings *set, const char *name,
    struct mm_conf_list *subject);
/* What a line CA's certificate may be used for: what the profiles say whose
 * names those are (a space between two; none: all), and to be a client.  f
 * borrows c.  MM_EPOLICY: there is no such profile. */
struct mm_confines {
	struct mm_conf_list purposes, hosts;
};
MM_MUST enum mm_err mm_line_confine(const struct mm_config *conf,
    struct mm_bytes profiles, struct mm_confines *c, struct mm_ca_fields *f,
    struct mm_why *why);
/* Builds, journals, signs; f's serial, spki and issuer are filled in. */
MM_MUST enum mm_err mm_ca_sign(struct mm_setup *s,
    const struct mm_signing *by, EVP_PKEY *subject, struct mm_ca_fields *f,
    struct mm_buf *der, struct mm_why *why);
/* "O=<name>" and "CN=<name> <what>" where the list is empty. */
void mm_default_subject(const struct mm_settings *set, const char *what,
    struct mm_conf_list *subject);

/* The signer's own copy of an issuer's certificates: its path, and what is in
 * it, done with by mm_ca_done; MM_ENOTFOUND. */
MM_MUST enum mm_err mm_issuer_copy(const struct mm_setup *s,
    const struct mm_issuer_conf *conf, char path[MM_PATH_MAX + 1],
    struct mm_ca *ca, struct mm_why *why);
/* Twice: the signer's own copy, which decides at its start, and the one that
 * the configuration names and the server reads. */
MM_MUST enum mm_err mm_place_issuer(const struct mm_setup *s,
    const struct mm_issuer_conf *conf, const struct mm_bytes *chain, size_t n,
    struct mm_why *why);
/* What an issuer is called, where the list is empty. */
void mm_name_issuer(const struct mm_setup *s,
    const struct mm_issuer_conf *conf, struct mm_conf_list *subject);
/* The same as a Name, borrowed from scratch. */
MM_MUST enum mm_err mm_subject_der(const struct mm_conf_list *subject,
    struct mm_buf *scratch, struct mm_bytes *name, struct mm_why *why);
/* No other issuer of the configuration may have that Name: lists and OCSP
 * answers are found by it.  MM_ECONFLICT. */
MM_MUST enum mm_err mm_check_subject(const struct mm_setup *s,
    const struct mm_issuer_conf *conf, struct mm_bytes name,
    struct mm_why *why);
/* Nor its key, which may be about to end: a token has what its URI names.
 * MM_ECONFLICT. */
MM_MUST enum mm_err mm_check_own_key(const struct mm_setup *s,
    const struct mm_issuer_conf *conf, struct mm_bytes spki,
    struct mm_why *why);
/* The own root of that name with its key, from --root-key or where it was
 * made; done with by mm_ca_done.  MM_EINPUT: the key is another root's. */
MM_MUST enum mm_err mm_root_open(struct mm_setup *s, const char *name,
    struct mm_ca *root, struct mm_why *why);
/* root_revoked.c: what the own root has revoked, in the order of time. */
#define MM_ROOT_REVOKED_MAX 500
struct mm_root_revoked {
	struct mm_crl_entry entry[MM_ROOT_REVOKED_MAX];
	size_t n;
};
MM_MUST enum mm_err mm_root_revoked_read(const struct mm_setup *s,
    struct mm_root_revoked *r, struct mm_why *why);
/* Adds what --revoke names, and has it on the disk; MM_EPOLICY: the root has
 * not signed it. */
MM_MUST enum mm_err mm_root_revoke(const struct mm_setup *s,
    const struct mm_signing *root, struct mm_root_revoked *r,
    struct mm_why *why);
/* MM_EPOLICY: the lists in that file have more revoked than the record. */
MM_MUST enum mm_err mm_root_revoked_covers(const struct mm_root_revoked *r,
    const char *path, struct mm_why *why);
/* The root's lists of the years to come, where root_crl says; says nothing:
 * none.  With what is revoked.  Writes "root_crls".  In a file that is
 * replaced, another root's lists stay. */
MM_MUST enum mm_err mm_make_root_crls(struct mm_setup *s,
    const struct mm_signing *root, const struct mm_root_revoked *revoked,
    struct mm_why *why);
/* A new issuing CA below a root, placed where the configuration says. */
MM_MUST enum mm_err mm_make_issuer(struct mm_setup *s,
    const struct mm_signing *root, EVP_PKEY **key, struct mm_buf *der,
    struct mm_why *why);
MM_MUST enum mm_err mm_make_request(struct mm_setup *s, const char *path,
    struct mm_why *why);
/* The TLS server's key (made if there is none) and certificate. */
MM_MUST enum mm_err mm_make_tls(struct mm_setup *s,
    const struct mm_signing *by, struct mm_why *why);
/* Writes "name": {...} about a certificate. */
MM_MUST enum mm_err mm_json_cert(struct mm_setup *s, const char *key,
    const char *name, const char *path, struct mm_bytes der,
    struct mm_why *why);
/* Last: the JSON to standard output. */
MM_MUST enum mm_err mm_setup_print(struct mm_setup *s, struct mm_why *why);

typedef enum mm_err mm_command_fn(const struct mm_opts *o,
    struct mm_why *why);
mm_command_fn mm_cmd_init, mm_cmd_request, mm_cmd_install, mm_cmd_issuer,
    mm_cmd_renew_tls, mm_cmd_recover_admin, mm_cmd_token_key,
    mm_cmd_ledger_key, mm_cmd_orders_key, mm_cmd_accept_clock,
    mm_cmd_export_node, mm_cmd_join, mm_cmd_take_ledger,
    mm_cmd_station_init, mm_cmd_take_order, mm_cmd_export_line,
    mm_cmd_root_crl, mm_cmd_check_key, mm_cmd_root;

#endif
