#include "base/settings_centre.h"

#include <stdlib.h>
#include <string.h>

#define AT(field) offsetof(struct mm_settings, field)
#define FITS(field) sizeof(((struct mm_settings *)0)->field) - 1

/* Rows by type: name, field, range and preset, then the help sentence. */
#define TEXT(f, least, preset_, help_) \
	{ #f, MM_CONF_TEXT, AT(f), least, FITS(f), preset_, help_, NULL }
#define PATH(f, least, preset_, help_) \
	{ #f, MM_CONF_PATH, AT(f), least, FITS(f), preset_, help_, NULL }
#define INT(f, least, most, preset_, help_) \
	{ #f, MM_CONF_INT, AT(f), least, most, preset_, help_, NULL }
#define BOOL(f, preset_, help_) \
	{ #f, MM_CONF_BOOL, AT(f), 0, 1, preset_, help_, NULL }
#define TIME(name_, f, least, most, preset_, help_) \
	{ name_, MM_CONF_DURATION, AT(f), least, most, preset_, help_, NULL }

static const char *const log_levels[] = { "debug", "info", "warn", "error",
	NULL };

static const char *const mail_tls_choices[] = { "auto", "starttls", "smtps",
	NULL };
static const char *const mail_least_choices[] = { "info", "warning",
	"critical", NULL };
static const char *const metrics_choices[] = { "key", "open", "off", NULL };

/* see settings.h */
const struct mm_conf_key mm_settings_keys[] = {
	TEXT(name, 1, "Mintmark",
	    "The maker's name, shown to people and never put into a "
	    "certificate."),
	BOOL(production, "false",
	    "True for real devices; false marks every token and every page "
	    "as a test."),
	PATH(server_dir, 1, "/var/lib/mintmark/server",
	    "Folder of the server's own files."),
	PATH(signer_dir, 1, "/var/lib/mintmark/signer",
	    "Folder of the signer: keys, journal and the ledger's frontier. "
	    "Only the signer's user may read it."),
	TEXT(database, 8, "sqlite:/var/lib/mintmark/server/mintmark.db",
	    "Where records are kept: sqlite: and an absolute path, or "
	    "postgresql://USER@HOST/DATABASE, without a password: for that "
	    "there is a passfile, beneath /etc or server_dir."),
	TEXT(server_user, 0, "",
	    "User that the server becomes at its start; empty stays who it "
	    "is."),
	TEXT(signer_user, 0, "",
	    "User that the signer becomes at its start; empty stays who it "
	    "is. Must not be the server's in production."),
	TEXT(audit_group, 0, "",
	    "Group that may read the signer's journal; empty for none."),
	TEXT(registrar_user, 0, "",
	    "User that the registrar becomes, which asks an existing CA for "
	    "issuers with exec; empty for the server's. One of its own keeps "
	    "what the program has out of the server's reach."),
	PATH(registrar_dir, 0, "",
	    "Folder of the registrar: requests while they are with a program, "
	    "and what is used up of ceilings. Only registrar_user may read "
	    "it. Empty: registrar beside server_dir."),
	TEXT(keeper_user, 0, "",
	    "User that the keepers of keys in PKCS#11 tokens become, which "
	    "load the makers' modules; empty for the signer's."),
	TEXT(keeper_group, 0, "",
	    "Group that keepers are in besides: whose token it is, softhsm "
	    "for instance; empty for none."),
	PATH(signer_program, 1, "/usr/libexec/mintmark/mintmark-signer",
	    "The signer's program."),
	PATH(passphrase_file, 0, "",
	    "File whose first line opens the issuers' keys; empty asks for "
	    "it at the start."),

	TEXT(devices_listen, 0, "0.0.0.0:8443",
	    "Address and port for devices (EST and enrolment); empty "
	    "switches this role off."),
	TEXT(legacy_listen, 0, "",
	    "Address and port for fielded devices whose old certificates are "
	    "weak (RSA-1024, SHA-1), for their first enrolment by a bootstrap "
	    "group that takes such, and for nothing else; empty, the preset, "
	    "switches it off."),
	BOOL(pairing, "false",
	    "Let bootstrap groups of kind none be made, whose devices have "
	    "nothing and wait until a person has compared a code."),
	TIME("pairing_time", pairing_s, 60, 3600, "15m",
	    "How long a device's pairing code counts; then the device makes "
	    "another key, and shows another code."),
	BOOL(claim_secrets, "false",
	    "Let bootstrap groups of kind claim be made, whose devices share "
	    "one secret that stands in their firmware."),
	TEXT(operators_listen, 0, "127.0.0.1:8444",
	    "Address and port for people and their programs; empty switches "
	    "this role off."),
	TEXT(public_listen, 0, "0.0.0.0:8080",
	    "Address and port for CRLs and issuer certificates, in plain "
	    "HTTP; empty switches this role off."),
	TEXT(public_url, 1, "http://localhost:8080",
	    "URL of the public listener as the world sees it; it is written "
	    "into every certificate, so it must outlive them."),
	TEXT(devices_url, 1, "https://localhost:8443",
	    "URL of the devices listener as devices see it; it is written "
	    "into tokens."),
	PATH(tls_certificate, 0, "/var/lib/mintmark/server/tls.crt",
	    "PEM file with the server's TLS certificate and its chain."),
	PATH(tls_key, 0, "/var/lib/mintmark/server/tls.key",
	    "PEM file with the private key of the TLS certificate."),
	PATH(trust_anchor, 0, "/var/lib/mintmark/server/root.crt",
	    "PEM file with the root certificate that devices pin."),
	PATH(root_crl, 0, "",
	    "PEM file with revocation lists of the CAs above the issuers, "
	    "beneath /etc or server_dir: those whose time it is are in "
	    "/crl/bundle.pem. A root of one's own signs years of them "
	    "beforehand; another root's are put here. Empty: none."),
	{ "root", MM_CONF_NAME, AT(root), 0, MM_NAME_MAX, "",
	    "Name of the root in force after a change of root: of its files "
	    "in signer_dir. Empty: the first. Written by mintmark ca root.",
	    NULL },
	PATH(root_links, 0, "",
	    "PEM file with what joins the root in force to the one before "
	    "it: that root, NewWithOld and OldWithNew (RFC 4210 4.4), all in "
	    "/cacerts. Empty: there was no change of root."),
	BOOL(root_ended, "false",
	    "The change of root is over: root_links is for old lists and "
	    "records, and no longer in /cacerts. Written by mintmark ca "
	    "root-end."),

	{ "default_label", MM_CONF_NAME, AT(default_label), 0, MM_NAME_MAX, "",
	    "Profile for EST requests without a label; empty takes the one "
	    "of the device's product.", NULL },
	BOOL(est_wrap, "true",
	    "Break EST's base64 bodies into lines of 64; some clients need "
	    "it, some cannot read it."),
	{ "est_unwrapped_labels", MM_CONF_LIST, AT(est_unwrapped_labels), 1,
	    MM_NAME_MAX, "",
	    "EST labels whose bodies are one line whatever est_wrap says.",
	    NULL },
	{ "node", MM_CONF_NAME, AT(node), 0, MM_NAME_MAX, "",
	    "This node's name where several work over one PostgreSQL "
	    "database; empty for the only one. Each has its own.", NULL },
	TEXT(ledger_origin, 1, "localhost/ledger",
	    "The ledger's name in its checkpoints, a URL without a scheme; "
	    "fixed for the ledger's life."),
	BOOL(journal_sync, "false",
	    "Sync the signer's journal to the disk for every batch instead "
	    "of every second."),
	PATH(tpm, 0, "",
	    "TPM 2.0 that a station's signer binds its quota's counter to, "
	    "as /dev/tpmrm0; empty for a counter in a file. Fixed when "
	    "station-init sets the signer up."),
	INT(threads, 1, 16, "2", "Event loops of the server."),
	INT(connections, 16, 1000000, "20000",
	    "Most connections at a time on one listener; fewer if there are "
	    "too few file descriptors for all of them."),
	INT(connections_per_source, 1, 1000000, "200",
	    "Most connections at a time from one address, about: each "
	    "thread allows its share."),
	TIME("handshake_timeout", handshake_s, 1, 120, "10s",
	    "Most time for a TLS handshake, all of it."),
	TIME("header_timeout", header_s, 1, 120, "10s",
	    "Most time for the head of a request, all of it."),
	TIME("body_timeout", body_s, 1, 600, "20s",
	    "Most time for the body of a request, all of it."),
	TIME("idle_timeout", idle_s, 1, 3600, "60s",
	    "Time after which an unused connection is closed."),
	BOOL(webhooks, "true",
	    "Deliver events to webhooks; false starts no courier, the one "
	    "process that may connect to others."),
	PATH(webhook_ca, 0, "",
	    "PEM file with the CAs that webhooks' receivers are verified "
	    "against; empty takes the system's."),
	BOOL(webhook_plain, "false",
	    "Let webhooks go to http:// beyond this machine, where anybody "
	    "on the way reads them."),
	BOOL(webhook_deny_private, "true",
	    "Let webhooks go to public addresses only; false also allows "
	    "this machine and private networks. Link-local addresses, where "
	    "clouds keep their secrets, are never connected to."),
	{ "webhook_retries", MM_CONF_LIST, AT(webhook_retries), 1, 16,
	    "5s,5m,30m,2h,5h,10h,14h,20h,24h",
	    "Pauses before a delivery is tried again; after the last an "
	    "event becomes a dead letter and the next one follows.", NULL },
	TIME("webhook_timeout", webhook_timeout_s, 1, 60, "10s",
	    "Most time for a receiver to answer, all of it."),
	TIME("webhook_give_up", webhook_give_up_s, 1, 31536000, "5d",
	    "A webhook that has failed for so long is disabled."),
	TEXT(authorise_url, 0, "",
	    "https:// address that is asked before every first enrolment "
	    "whether it is allowed; empty asks nobody. Addresses and CAs as "
	    "for webhooks."),
	TIME("authorise_timeout", authorise_timeout_s, 1, 8, "5s",
	    "Most time for its answer, all of it; none in time is a "
	    "refusal. Less than a server that stops waits for its devices."),
	{ "authorise_profiles", MM_CONF_LIST, AT(authorise_profiles), 1,
	    MM_NAME_MAX,
	    "", "Profiles whose first enrolments are asked about; empty for "
	    "all.", NULL },
	{ "mail_to", MM_CONF_LIST, AT(mail_to), 3, 254, "",
	    "Addresses that alerts are mailed to; empty sends no mail. A "
	    "list's address is best: a mail counts as sent when one of them "
	    "was taken.", NULL },
	TEXT(mail_from, 0, "", "The address that mails come from."),
	TEXT(mail_server, 3, "localhost:25",
	    "host:port of the mail server that takes them, best one on this "
	    "machine: it is given no password."),
	{ "mail_tls", MM_CONF_CHOICE, AT(mail_tls), 0, 2, "auto",
	    "auto: unencrypted to a mail server on this machine, STARTTLS or "
	    "nothing elsewhere; starttls: always; smtps: TLS from the first "
	    "byte. CAs as for webhooks.", mail_tls_choices },
	{ "mail_least", MM_CONF_CHOICE, AT(mail_least), 0, 2, "warning",
	    "The least severe alerts that are mailed.", mail_least_choices },
	TIME("mail_every", mail_every_s, 1, 86400, "15m",
	    "At most one mail of alerts in this time, which counts what came "
	    "meanwhile; and one more where something critical came."),
	BOOL(mail_digest, "true",
	    "Once a day, after 06:00 UTC, a mail of what a person has to "
	    "renew or see to in the next 30 days; none where there is "
	    "nothing."),
	TIME("token_ttl", token_ttl_s, 60, 315360000, "72h",
	    "How long a new token is good if nothing else is said."),
	TIME("unconfirmed_alert", unconfirmed_alert_s, 0, 31536000, "7d",
	    "A day's alert entry says how many certificates their devices "
	    "have not confirmed for so long, and which is the oldest; 0s "
	    "never."),
	TIME("watchdog", watchdog_s, 0, 3600, "30s",
	    "A server, signer or registrar that gives no sign of life for so "
	    "long is killed and started again; 0s never, else at least 5s."),
	{ "metrics", MM_CONF_CHOICE, AT(metrics), 0, 2, "key",
	    "Who may read /metrics on the operators listener: who has an API "
	    "key of any role but line, everybody (for a private listener), or "
	    "nobody.", metrics_choices },
	BOOL(attempt_peers, "true",
	    "Keep the peer's address with each refusal in the attempt log."),
	{ "four_eyes", MM_CONF_LIST, AT(four_eyes), 1, 15, "",
	    "What one administrator asks for and another one approves: "
	    "profile, issuer, quota, mass-revoke, bulk-thaw, bulk-mint, keys, "
	    "quarantine, line-ca, bootstrap, configuration. Empty for "
	    "nothing; anything else has keys "
	    "with it. Make two "
	    "administrators first.", NULL },
	INT(bulk_mint_above, 1, 10000000, "100",
	    "Tokens that a credential may mint within 24 hours before "
	    "four_eyes' bulk-mint is meant."),
	INT(operator_renew_days, 0, 36500, "1095",
	    "How long after an administrator registered an operator's "
	    "certificate its owner may renew it; 0: never."),
	{ "log_level", MM_CONF_CHOICE, AT(log_level), 0, 3, "info",
	    "The least that is logged.", log_levels },
};
const size_t mm_settings_nkeys =
    sizeof(mm_settings_keys) / sizeof(mm_settings_keys[0]);

static const struct mm_conf_key issuer_keys[] = {
	{ "certificate", MM_CONF_PATH,
	    offsetof(struct mm_issuer_conf, certificate), 1, MM_PATH_MAX, NULL,
	    "PEM file with the issuer's certificate first, then those above "
	    "it.", NULL },
	{ "key", MM_CONF_PATH, offsetof(struct mm_issuer_conf, key), 0,
	    MM_PATH_MAX, "",
	    "The issuer's private key: encrypted PKCS#8 in PEM, readable by "
	    "the signer only; or pkcs11: and what names one key in a token "
	    "(RFC 7512), with module-path after a ? unless p11-kit knows the "
	    "module. Empty, and only then, where exec or est asks an existing "
	    "CA.",
	    NULL },
	{ "exec", MM_CONF_LIST, offsetof(struct mm_issuer_conf, exec), 1,
	    MM_CONF_ITEM_MAX - 1, "",
	    "An existing CA signs what this issuer issues: the program that "
	    "asks it, by its path, and its arguments. It is given a request "
	    "and writes the certificate. It gains no rights by sudo or a "
	    "set-user-ID bit. Empty: the signer has the key.",
	    NULL },
	{ "est", MM_CONF_TEXT, offsetof(struct mm_issuer_conf, est), 0,
	    MM_URL_MAX, "",
	    "An existing CA signs what this issuer issues, and is asked by "
	    "EST (RFC 7030): https://HOST/.well-known/est, with the CA's label "
	    "after it where it has one. Empty: it is not.", NULL },
	{ "est_anchors", MM_CONF_PATH,
	    offsetof(struct mm_issuer_conf, est_anchors), 0, MM_PATH_MAX, "",
	    "For est: PEM file with the CAs whose server is believed to be "
	    "that one; no other is, the system's neither.", NULL },
	{ "est_certificate", MM_CONF_PATH,
	    offsetof(struct mm_issuer_conf, est_certificate), 0, MM_PATH_MAX,
	    "", "For est: PEM file with the certificate that we are known to "
	    "it by, then those above it. Empty: est_password_file.", NULL },
	{ "est_key", MM_CONF_PATH, offsetof(struct mm_issuer_conf, est_key),
	    0, MM_PATH_MAX, "", "For est: that certificate's private key, "
	    "PEM and not encrypted. registrar_user's, and nobody else may "
	    "read it.", NULL },
	{ "est_password_file", MM_CONF_PATH,
	    offsetof(struct mm_issuer_conf, est_password_file), 0,
	    MM_PATH_MAX, "", "For est, in place of a certificate: the file "
	    "whose first line is USER:PASSWORD. registrar_user's, and nobody "
	    "else may read it.", NULL },
	{ "answer_within", MM_CONF_DURATION,
	    offsetof(struct mm_issuer_conf, answer_within_s), 1, 600, "20s",
	    "For an existing CA: most time for one certificate, all of it.",
	    NULL },
	{ "at_once", MM_CONF_INT, offsetof(struct mm_issuer_conf, at_once), 1,
	    32, "4", "For an existing CA: most requests at a time; who comes "
	    "above that is told to come again.", NULL },
	{ "pin_file", MM_CONF_PATH, offsetof(struct mm_issuer_conf, pin_file),
	    0, MM_PATH_MAX, "",
	    "For a key in a token: the file whose first line is its PIN. "
	    "keeper_user's, else the signer's user's, and nobody else may "
	    "read it; empty: the passphrase is the PIN.",
	    NULL },
	{ "key_environ", MM_CONF_LIST,
	    offsetof(struct mm_issuer_conf, key_environ), 3,
	    MM_CONF_ITEM_MAX - 1, "", "For a key in a token: NAME=value for the environment of the "
	    "module's process, which has nothing else.", NULL },
	{ "crl_shards", MM_CONF_INT,
	    offsetof(struct mm_issuer_conf, crl_shards), 1, 65536, "64",
	    "Number of CRLs the issuer's certificates are spread over; fixed "
	    "for the issuer's life.", NULL },
	{ "crl_hours", MM_CONF_INT,
	    offsetof(struct mm_issuer_conf, crl_hours), 1, 8760, "24",
	    "Hours from a CRL's thisUpdate to its nextUpdate.", NULL },
	{ "ocsp", MM_CONF_BOOL, offsetof(struct mm_issuer_conf, ocsp), 0, 1,
	    "true",
	    "The issuer's certificates name the OCSP responder, "
	    "public_url/ocsp. It answers for them in any case; what a "
	    "station makes by a line CA names it always.", NULL },
	{ "ocsp_hours", MM_CONF_INT,
	    offsetof(struct mm_issuer_conf, ocsp_hours), 1, 168, "4",
	    "Hours from an OCSP answer's thisUpdate to its nextUpdate.",
	    NULL },
	{ "line", MM_CONF_BOOL, offsetof(struct mm_issuer_conf, line), 0, 1,
	    "false",
	    "A line CA: its key is sealed for one station's signer, which "
	    "signs devices by a work order; here it signs revocation lists "
	    "alone.", NULL },
	{ "lines", MM_CONF_INT, offsetof(struct mm_issuer_conf, lines), 0,
	    100000, "0",
	    "So many line CAs a day does the signer make below this CA, when "
	    "an operator's order asks for one; it signs no devices. Their "
	    "lists have its crl_hours. 0: none.", NULL },
	{ "renew_before", MM_CONF_TEXT,
	    offsetof(struct mm_issuer_conf, renew_before), 0, MM_TIME_WORD,
	    "", "After an incident: devices are told to renew what it issued "
	    "before that time, 2026-11-29T12:00:00Z; empty for nothing.",
	    NULL },
	{ "renew_within", MM_CONF_DURATION,
	    offsetof(struct mm_issuer_conf, renew_within_s), 60, 31536000,
	    "3d", "So long after renew_before, evenly. A day is what it takes "
	    "until all devices have asked.", NULL },
	{ "follows", MM_CONF_NAME, offsetof(struct mm_issuer_conf, follows), 0,
	    MM_NAME_MAX, "",
	    "The issuer whose place this one takes: what profiles have from "
	    "that one they have from this one, from follows_from on. That one "
	    "goes on with its revocation lists and OCSP answers. Empty for "
	    "none.", NULL },
	{ "follows_from", MM_CONF_TEXT,
	    offsetof(struct mm_issuer_conf, follows_from), 0, MM_TIME_WORD,
	    "", "Since when, 2027-01-01T00:00:00Z; empty from the start "
	    "that reads this on. Before that its certificate is handed out, "
	    "and it signs revocation lists and OCSP answers alone.", NULL },
	{ "retired", MM_CONF_BOOL, offsetof(struct mm_issuer_conf, retired), 0,
	    1, "false",
	    "All that it issued has ended, and it signs nothing any more: its "
	    "key is not read. Records and receipts keep its certificate.",
	    NULL },
};

/* see settings.h */
bool
mm_issuer_upstream(const struct mm_issuer_conf *i)
{
	return i->exec.n > 0 || mm_issuer_est(i);
}

/* see settings.h */
bool
mm_issuer_est(const struct mm_issuer_conf *i)
{
	return i->est[0] != '\0';
}

/* see settings.h */
bool
mm_issuer_lists(const struct mm_issuer_conf *i)
{
	return !i->retired && !mm_issuer_upstream(i);
}

/* see settings.h */
bool
mm_issuer_recovers(const struct mm_issuer_conf *i)
{
	return !i->line && !i->retired && !mm_issuer_upstream(i);
}

/* see settings.h */
bool
mm_issuer_in_token(const struct mm_issuer_conf *i)
{
	return strncmp(i->key, MM_TOKEN_URI, sizeof(MM_TOKEN_URI) - 1) == 0;
}

/* see settings.h */
const struct mm_conf_block mm_issuer_block = {
	.name = "issuer",
	.help = "A CA key that the signer holds.",
	.keys = issuer_keys,
	.nkeys = sizeof(issuer_keys) / sizeof(issuer_keys[0]),
	.size = sizeof(struct mm_issuer_conf),
	.title_offset = offsetof(struct mm_issuer_conf, name),
	.most = 64,
};

/* The parts of scheme://host[:port][/path], borrowed. */
struct url {
	struct mm_bytes host, port, path;
};

static bool
made_of(struct mm_bytes v, const char *set)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] == '\0' || strchr(set, v.p[i]) == NULL)
			return false;
	return true;
}

#define DIGITS "0123456789"
#define HEX    DIGITS "abcdefABCDEF"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static bool
port_valid(struct mm_bytes port)
{
	int v = 0;

	if (port.n == 0 || port.n > 5 || !made_of(port, DIGITS))
		return false;
	for (size_t i = 0; i < port.n; i++)
		v = v * 10 + (port.p[i] - '0');
	return v >= 1 && v <= 65535 && port.p[0] != '0';
}

static bool
is_ipv6(struct mm_bytes host)
{
	return host.n >= 4 && host.p[0] == '[' && host.p[host.n - 1] == ']' &&
	    made_of((struct mm_bytes){ host.p + 1, host.n - 2 }, HEX ":.");
}

static bool
host_valid(struct mm_bytes host)
{
	return is_ipv6(host) ||
	    (host.n > 0 && made_of(host, LETTERS DIGITS "-."));
}

/* Splits host[:port] of n bytes; a colon within brackets is the host's. */
static bool
split_authority(const char *s, size_t n, struct url *out)
{
	const char *colon = memrchr(s, ':', n);
	const char *bracket = memrchr(s, ']', n);
	size_t host = n;

	out->port = (struct mm_bytes){ 0 };
	if (colon != NULL && (bracket == NULL || colon > bracket)) {
		host = (size_t)(colon - s);
		out->port = (struct mm_bytes){ (const uint8_t *)colon + 1,
			n - host - 1 };
		if (!port_valid(out->port))
			return false;
	}
	out->host = (struct mm_bytes){ (const uint8_t *)s, host };
	return host_valid(out->host);
}

static bool
split_url(const char *s, const char *scheme, struct url *out)
{
	size_t n = strlen(scheme);

	if (strncmp(s, scheme, n) != 0)
		return false;
	s += n;
	n = strcspn(s, "/");
	out->path = mm_bytes_of(s + n);
	return split_authority(s, n, out) &&
	    made_of(out->path, LETTERS DIGITS "-._~/%");
}

/* A name that only this machine, or nobody for long, would follow. */
static bool
fleeting(struct mm_bytes host)
{
	static const char local[] = "localhost";
	size_t n = sizeof(local) - 1;

	if (is_ipv6(host) || made_of(host, DIGITS "."))
		return true;
	host.n -= host.n > 0 && host.p[host.n - 1] == '.';
	return host.n == n &&
	    strncasecmp((const char *)host.p, local, n) == 0;
}

static enum mm_err
check_urls(const struct mm_settings *s, struct mm_why *why)
{
	struct url public, devices;

	if (!split_url(s->public_url, "http://", &public) ||
	    (public.path.n > 0 && public.path.p[public.path.n - 1] == '/'))
		return MM_FAIL(why, MM_EINPUT, "public_url: want http://host, "
		    "perhaps :port and a path without a slash at its end");
	if (!split_url(s->devices_url, "https://", &devices) ||
	    devices.path.n > 0)
		return MM_FAIL(why, MM_EINPUT,
		    "devices_url: want https://host or https://host:port");
	return MM_OK;
}

static enum mm_err
check_lasting(const struct mm_settings *s, struct mm_why *why)
{
	struct url public, devices;

	if (split_url(s->public_url, "http://", &public) &&
	    fleeting(public.host))
		return MM_FAIL(why, MM_EINPUT, "public_url: it is written into "
		    "certificates for years: production wants a host name");
	if (split_url(s->devices_url, "https://", &devices) &&
	    fleeting(devices.host))
		return MM_FAIL(why, MM_EINPUT, "devices_url: it is written "
		    "into tokens: production wants a host name");
	return MM_OK;
}

static enum mm_err
check_listeners(const struct mm_settings *s, struct mm_why *why)
{
	const struct {
		const char *key, *value;
	} rows[] = {
		{ "devices_listen", s->devices_listen },
		{ "legacy_listen", s->legacy_listen },
		{ "operators_listen", s->operators_listen },
		{ "public_listen", s->public_listen },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct url at;
		const char *v = rows[i].value;
		if (*v == '\0')
			continue;
		if (!split_authority(v, strlen(v), &at) || at.port.n == 0 ||
		    (!is_ipv6(at.host) && !made_of(at.host, DIGITS ".")))
			return MM_FAIL(why, MM_EINPUT, "%s: want address:port "
			    "with a numeric address, like 0.0.0.0:8443 or "
			    "[::]:8443", rows[i].key);
	}
	return MM_OK;
}

static enum mm_err
check_tls(const struct mm_settings *s, struct mm_why *why)
{
	if (s->devices_listen[0] == '\0' && s->operators_listen[0] == '\0' &&
	    s->legacy_listen[0] == '\0')
		return MM_OK;
	if (s->tls_certificate[0] == '\0' || s->tls_key[0] == '\0')
		return MM_FAIL(why, MM_EINPUT, "tls_certificate, tls_key: "
		    "needed by the devices, legacy and operators listeners");
	return MM_OK;
}

static enum mm_err
check_folders(const struct mm_settings *s, struct mm_why *why)
{
	return strcmp(s->server_dir, s->signer_dir) != 0 ? MM_OK
	    : MM_FAIL(why, MM_EINPUT, "signer_dir: must not be the server's");
}

/* A URL stands in files, arguments and messages. */
static enum mm_err
check_database(const char *url, struct mm_why *why)
{
	const char *host, *colon;

	if (strncmp(url, "sqlite:/", 8) == 0)
		return MM_OK;
	if (strncmp(url, "postgresql://", 13) != 0)
		return MM_FAIL(why, MM_EINPUT, "database: want sqlite: and "
		    "an absolute path, or postgresql://USER@HOST/DATABASE");
	host = strchr(url + 13, '@');
	colon = strchr(url + 13, ':');
	if ((host != NULL && colon != NULL && colon < host) ||
	    strstr(url, "password=") != NULL)
		return MM_FAIL(why, MM_EINPUT, "database: a URL is no place "
		    "for a password: use a passfile");
	return MM_OK;
}

static enum mm_err
check_webhooks(const struct mm_settings *s, struct mm_why *why)
{
	int64_t v;

	for (size_t i = 0; i < s->webhook_retries.n; i++)
		if (mm_duration_parse(s->webhook_retries.item[i], &v, NULL) !=
		    MM_OK || v < 1 || v > 7 * 86400)
			return MM_FAIL(why, MM_EINPUT, "webhook_retries: want "
			    "durations from 1s to 7d, not \"%.20s\"",
			    s->webhook_retries.item[i]);
	return MM_OK;
}

static enum mm_err
check_four_eyes(const struct mm_settings *s, struct mm_why *why)
{
	static const char *const words[] = { "profile", "issuer", "quota",
		"mass-revoke", "bulk-thaw", "bulk-mint", "keys", "quarantine",
		"line-ca", "bootstrap", "configuration" };
	const size_t n = sizeof(words) / sizeof(words[0]);

	for (size_t i = 0; i < s->four_eyes.n; i++) {
		size_t k = 0;

		while (k < n && strcmp(words[k], s->four_eyes.item[i]) != 0)
			k++;
		if (k == n)
			return MM_FAIL(why, MM_EINPUT, "four_eyes: \"%s\" is "
			    "not one of its words", s->four_eyes.item[i]);
	}
	return MM_OK;
}

static enum mm_err
check_authorise(const struct mm_settings *s, struct mm_why *why)
{
	if (s->authorise_url[0] != '\0' &&
	    strncmp(s->authorise_url, "https://", 8) != 0)
		return MM_FAIL(why, MM_EINPUT,
		    "authorise_url: want https://host/path");
	return MM_OK;
}

/* see settings.h */
bool
mm_host_is_local(const char *host_port)
{
	static const char *const names[] = { "localhost", "127.0.0.1",
		"[::1]" };
	struct url u;

	if (!split_authority(host_port, strlen(host_port), &u))
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (mm_bytes_eq(u.host, mm_bytes_of(names[i])))
			return true;
	return false;
}

/* RFC 5321 4.1.2, the part of it that everybody has: dot-string@domain. */
static bool
address_valid(const char *text)
{
	struct mm_bytes whole = mm_bytes_of(text);
	const char *at = memchr(text, '@', whole.n);
	struct mm_bytes local, domain;

	if (at == NULL || at == text)
		return false;
	local = (struct mm_bytes){ whole.p, (size_t)(at - text) };
	domain = mm_bytes_of(at + 1);
	return local.n <= 64 && made_of(local, LETTERS DIGITS
	    "!#$%&'*+-/=?^_`{|}~.") && domain.n > 0 &&
	    made_of(domain, LETTERS DIGITS "-.") && domain.p[0] != '.' &&
	    domain.p[0] != '-';
}

static enum mm_err
check_mail(const struct mm_settings *s, struct mm_why *why)
{
	struct url u;

	if (s->mail_to.n == 0)
		return MM_OK;
	if (!address_valid(s->mail_from))
		return MM_FAIL(why, MM_EINPUT,
		    "mail_from: want an address, as mail_to is set");
	for (size_t i = 0; i < s->mail_to.n; i++)
		if (!address_valid(s->mail_to.item[i]))
			return MM_FAIL(why, MM_EINPUT,
			    "mail_to: \"%.60s\" is no address",
			    s->mail_to.item[i]);
	if (!split_authority(s->mail_server, strlen(s->mail_server), &u) ||
	    u.port.n == 0)
		return MM_FAIL(why, MM_EINPUT, "mail_server: want host:port");
	return MM_OK;
}

/* see settings.h */
enum mm_err
mm_settings_check(const struct mm_settings *s, struct mm_why *why)
{
	MM_TRY(check_urls(s, why));
	MM_TRY(check_listeners(s, why));
	MM_TRY(check_tls(s, why));
	MM_TRY(check_folders(s, why));
	MM_TRY(check_webhooks(s, why));
	MM_TRY(check_four_eyes(s, why));
	MM_TRY(check_authorise(s, why));
	MM_TRY(check_mail(s, why));
	/* both give a sign every second, on a machine that may be busy */
	if (s->watchdog_s > 0 && s->watchdog_s < 5)
		return MM_FAIL(why, MM_EINPUT,
		    "watchdog: want 0s, or 5s at least");
	MM_TRY(check_database(s->database, why));
	/* C2SP signed-note: a key name holds no white space and no plus. */
	if (strpbrk(s->ledger_origin, " +\t") != NULL)
		return MM_FAIL(why, MM_EINPUT,
		    "ledger_origin: no spaces, no plus");
	if (s->production && strncmp(s->ledger_origin, "localhost", 9) == 0)
		return MM_FAIL(why, MM_EINPUT,
		    "ledger_origin: production wants a name of your own");
	return MM_OK;
}

/* see settings_centre.h; the uids are the wall between the network and the
 * keys */
enum mm_err
mm_settings_check_centre(const struct mm_settings *s, struct mm_why *why)
{
	if (!s->production)
		return MM_OK;
	MM_TRY(check_lasting(s, why));
	return strcmp(s->server_user, s->signer_user) != 0 ? MM_OK
	    : MM_FAIL(why, MM_EINPUT, "server_user, signer_user: "
	    "production wants two different users");
}
