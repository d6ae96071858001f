#include "cli/commands.h"

/* Every command, in the order of the help. */
#define ROW(noun, verb, pos, min, max, c, fn, does, detail)              \
	{ noun, verb, pos, min, max, does, detail, mm_opts_##fn, c,          \
	    mm_cmd_##fn }

#define LABEL_DETAIL                                                     \
	"With --printed a label is printed once: the file says which were, " \
	"and an interrupted run is simply run again."

#define MASS_DETAIL                                                        \
	"A selection is what all of its options say.  It is counted and "  \
	"shown first: --dry-run ends there, and without --yes it is asked " \
	"on the terminal.  A run that was cut off is run again."

const struct mm_cmd mm_cmds[] = {
	ROW("init", NULL, "", 0, 0, MM_C_NONE, init,
	    "set up a CA: keys, configuration, database, first administrator",
	    "Asks for what is not given as an option when it runs on a "
	    "terminal.  Overwrites nothing, and checks what it needs before it "
	    "makes anything; a run that fails all the same removes what it "
	    "made.  With --dry-run it prints what it would do and the "
	    "configuration it would write, and fails if the run would."),
	ROW("status", NULL, "", 0, 0, MM_C_NONE, status,
	    "how the server is", NULL),
	ROW("metrics", NULL, "", 0, 0, MM_C_NONE, metrics,
	    "print what a Prometheus would be told", NULL),
	ROW("openapi", NULL, "", 0, 0, MM_C_NONE, openapi,
	    "print the API's description (OpenAPI), as this server has it",
	    NULL),
	ROW("doctor", NULL, "", 0, 0, MM_C_NONE, doctor,
	    "say what is wrong with the CA, and what to do about it",
	    "Asks the server, looks at it from here, and with --config at "
	    "this machine's files, also while the server is down.  The exit "
	    "status is 0 if all is well, 1 with a warning, 2 with a failure."),
	ROW("expiry", NULL, "", 0, 0, MM_C_NONE, expiry,
	    "what ends when: devices' certificates as a chart, and the CA's "
	    "own",
	    "The chart is of the certificates in force: issued, confirmed and "
	    "held ones.  The server counts them in the background and says as "
	    "of when; those that end each day are what has to be renewed "
	    "before.  Below it each product, and everything else that ends: "
	    "roots, issuers, the server's certificate, revocation lists, "
	    "credentials, groups, batches.  --fail-within 30d prints what a "
	    "person has to see to, and nothing if there is nothing; the exit "
	    "status is then 1 or 0, and another one where the server could "
	    "not be asked."),

	ROW("ca", "list", "", 0, 0, MM_C_NONE, ca_list, "list the issuers",
	    NULL),
	ROW("ca", "show", "ISSUER", 1, 1, MM_C_ISSUER, ca_show,
	    "show one issuer, and how an existing CA (exec, est) answers", NULL),
	ROW("ca", "crl", "ISSUER", 1, 1, MM_C_ISSUER, ca_crl,
	    "sign a new revocation list now", NULL),
	ROW("ca", "request", "ISSUER", 1, 1, MM_C_NONE, ca_request,
	    "offline: make an issuing key and a request for another root",
	    "Runs mintmark-signer as this user; needs the passphrase."),
	ROW("ca", "install", "ISSUER", 1, 1, MM_C_NONE, ca_install,
	    "offline: install the chain that another root signed",
	    "The chain is PEM: the issuer's certificate first, then up to the "
	    "root."),
	ROW("ca", "check-key", "ISSUER", 1, 1, MM_C_NONE, ca_check_key,
	    "offline: sign once with the issuing key, and say what it is",
	    "Of a key in a PKCS#11 token this is the one try of the PIN that "
	    "a person makes: if the token takes it, a signer that had been "
	    "refused tries it again by itself."),
	ROW("ca", "issuer", "ISSUER", 1, 1, MM_C_NONE, ca_issuer,
	    "offline: one more issuing CA under your own root", NULL),
	ROW("ca", "rollover", "ISSUER", 1, 1, MM_C_ISSUER, ca_rollover,
	    "offline: another issuing CA takes this one's place at a time",
	    "Profiles stay as they are: what they have from ISSUER they have "
	    "from the new one, from --from on.  ISSUER goes on with its "
	    "revocation lists and OCSP answers until \"ca retire\".  With a "
	    "root elsewhere in two steps: --out, which also prints what the "
	    "root's people have to know, then --chain.  mintmark.conf is "
	    "replaced last, whole; a run that was cut off is repeated."),
	ROW("ca", "retire", "ISSUER", 1, 1, MM_C_ISSUER, ca_retire,
	    "end an issuer that another one follows",
	    "Refused (exit status 5) while what it issued has not ended, by "
	    "the server's records, or may still be renewed late."),
	ROW("ca", "incident", "ISSUER", 1, 1, MM_C_ISSUER, ca_incident,
	    "what became of everything that an issuer has issued, as a file",
	    "For who has to be told after a CA's key was in the wrong hands: "
	    "each certificate with its standing (replaced, superseded, "
	    "revoked, ended, waiting), what replaced it and when, and with "
	    "--receipts the ledger's proof of both."),
	ROW("ca", "root", "", 0, 0, MM_C_NONE, ca_root,
	    "offline: another root takes the trust anchor's place",
	    "Makes the new root, and the two certificates that join it to the "
	    "old one (NewWithOld, OldWithNew, RFC 4210 4.4), so that whoever "
	    "trusts one of them gets to what hangs below the other.  Issuers "
	    "stay below the old root until \"ca rollover\".  mintmark.conf is "
	    "replaced last, whole; a run that was cut off is repeated."),
	ROW("ca", "root-end", "", 0, 0, MM_C_NONE, ca_root_end,
	    "end a change of root: the one before leaves /cacerts",
	    "Refused (exit status 5) while the server's certificate is below "
	    "that root, or an issuer that is not retired; unless with "
	    "--force."),
	ROW("ca", "root-crl", "[ROOT]", 0, 1, MM_C_NONE, ca_root_crl,
	    "offline: your own root's revocation lists of the years to come",
	    "One a year, where root_crl in the configuration says; \"mintmark "
	    "init\" makes the first.  Each has all that the root ever revoked: "
	    "the signer keeps a record.  ROOT is the one in force if none is "
	    "named; \"root\" is the first.  A file that is there must be moved "
	    "away, but with --revoke it is replaced at once."),
	ROW("ca", "renew-tls", "", 0, 0, MM_C_NONE, ca_renew_tls,
	    "offline: a new TLS certificate for the server", NULL),

	ROW("profile", "list", "", 0, 0, MM_C_NONE, profile_list,
	    "list the certificate profiles", NULL),
	ROW("profile", "show", "PROFILE", 1, 1, MM_C_PROFILE, profile_show,
	    "show one profile", NULL),

	ROW("profile", "check", "FILE", 1, 1, MM_C_FILE, profile_check,
	    "offline: check the profiles of a file without loading them",
	    "The file holds profile blocks alone, or is a whole "
	    "mintmark.conf.  With --loaded a file of profile blocks is "
	    "checked by the server, which knows its issuers and which "
	    "versions are in use."),
	ROW("profile", "diff", "PROFILE FILE", 2, 2, MM_C_FILE, profile_diff,
	    "what loading a file's profile would change", NULL),

	ROW("product", "list", "", 0, 0, MM_C_NONE, product_list,
	    "list the products", NULL),
	ROW("product", "show", "PRODUCT", 1, 1, MM_C_PRODUCT, product_show,
	    "show one product", NULL),
	ROW("product", "create", "PRODUCT", 1, 1, MM_C_NONE, product_create,
	    "register a product", NULL),
	ROW("product", "update", "PRODUCT", 1, 1, MM_C_PRODUCT,
	    product_update, "change a product's settings",
	    "What is not named stays; an empty value clears."),

	ROW("product", "schema", "PRODUCT", 1, 1, MM_C_PRODUCT,
	    product_schema, "print or set the schema of its devices' "
	    "attributes",
	    "Without an option it is printed.  --set refuses a schema that "
	    "existing devices do not fit, unless with --force; --check names "
	    "them.  docs/reference/rest.md says which JSON Schema it is."),

	ROW("device", "list", "", 0, 0, MM_C_NONE, device_list,
	    "list the devices", NULL),
	ROW("device", "show", "DEVICE", 1, 1, MM_C_DEVICE, device_show,
	    "show one device and its certificates", NULL),
	ROW("device", "create", "DEVICE", 1, 1, MM_C_NONE, device_create,
	    "register a device", NULL),
	ROW("device", "update", "DEVICE", 1, 1, MM_C_DEVICE, device_update,
	    "change a device's record", NULL),
	ROW("device", "import", "FILE", 1, 1, MM_C_FILE, device_import,
	    "register the devices of a table",
	    "CSV whose first line names the columns: \"id\" and \"product\" "
	    "are needed, \"bound_spki_sha256\" may be there, any other "
	    "column is an attribute (an empty cell: none); or JSON objects as "
	    "POST /devices takes them, in an array or one a line.  - is "
	    "standard input.  A row "
	    "that is there already with the same content is fine, so an "
	    "interrupted import is simply run again.  --all-or-nothing looks "
	    "at the whole table first and writes nothing if a row is wrong, "
	    "or if a device stands in it with two contents; so does --dry-run, "
	    "which names the same rows.  Both keep a hundred bytes a row in a "
	    "temporary file."),
	ROW("device", "history", "DEVICE", 1, 1, MM_C_DEVICE, device_history,
	    "what happened to a device, its tokens and its certificates",
	    NULL),
	ROW("device", "retire", "DEVICE", 1, 1, MM_C_DEVICE, device_retire,
	    "retire a device: its certificates are revoked, its id is gone",
	    NULL),
	ROW("device", "transfer", "DEVICE", 1, 1, MM_C_DEVICE, device_transfer,
	    "give a device to another product, which may be another owner's",
	    "Its operational certificates are revoked and its tokens "
	    "cancelled; its IDevID stays.  Its next certificate comes by a "
	    "token of the new product."),
	ROW("device", "repair", "DEVICE", 1, 1, MM_C_DEVICE, device_repair,
	    "a device has got another board: its certificates are replaced",
	    "All its certificates are revoked (superseded) and its tokens "
	    "cancelled; the next one is for another key, which a line may "
	    "make, too.  The key that the factory recorded is forgotten, or "
	    "replaced by --bound-key."),
	ROW("device", "enrol", "DEVICE", 1, 1, MM_C_DEVICE, device_enrol,
	    "issue a certificate for a device on your own authority", NULL),
	ROW("device", "prove", "DEVICE FILE", 2, 2, MM_C_FILE, device_prove,
	    "confirm a certificate by what the device has signed",
	    "FILE is the JSON object that a station would send, of the "
	    "certificate's serial, the nonce, the hardware's name and the "
	    "signature: docs/reference/openapi.json, Proof."),
	ROW("device", "silent", "", 0, 0, MM_C_NONE, device_silent,
	    "devices that should have renewed and have not come",
	    "Their certificate is in use and past nine tenths of its profile's "
	    "lifetime: the server had it renewed before."),
	ROW("device", "receipt", "DEVICE", 1, 1, MM_C_DEVICE, device_receipt,
	    "print the receipt of a device's certificate", NULL),
	ROW("device", "birth-record", "[DEVICE]", 0, 1, MM_C_DEVICE,
	    device_birth_record,
	    "print what is known of how a device's identity came to be, or "
	    "check it",
	    "Of its IDevID, else of its first certificate: each fact with "
	    "whether it is proved, observed or claimed, the certificate, and "
	    "the ledger's receipts.  With --verify FILE a record is checked "
	    "offline by the keys that are given; --html then makes the page "
	    "of a record that holds."),
	ROW("device", "label", "DEVICE", 1, 1, MM_C_DEVICE, device_label,
	    "make or print a device's label", LABEL_DETAIL),
	ROW("device", "why", "DEVICE", 1, 1, MM_C_DEVICE, device_why,
	    "say why a device was refused, and what to do about it",
	    "The last eight different refusals, newest first; then what the "
	    "device has now.  Kept for devices that exist."),

	ROW("token", "list", "", 0, 0, MM_C_NONE, token_list,
	    "list the tokens, never their secrets", NULL),
	ROW("token", "show", "TOKEN", 1, 1, MM_C_TOKEN, token_show,
	    "show one token, never its secret", NULL),
	ROW("token", "create", "", 0, 0, MM_C_NONE, token_create,
	    "make one-time tokens",
	    "One token with --device, one for each serial number of a run "
	    "with --serials, one for each unit that was made of a batch with "
	    "--batch, or one for each row of a CSV file with "
	    "--csv: its first line names the columns, of which \"device\" is "
	    "needed, and \"product\", \"profile\", \"ttl\", "
	    "\"not_before\", \"door\" and \"bound_spki_sha256\" may be "
	    "there, as the options say them; any other is refused.  "
	    "A file is read whole first, and nothing is minted if a row of it "
	    "is wrong; --out receives device, id, token, expires and uri.  "
	    "With --resume the devices that --out has are left out: after an "
	    "interrupted run, or once refused rows are mended; a last row "
	    "that was torn is cut, and its device gets another token.  When the "
	    "server asks to come again later, the run waits."),
	ROW("token", "import", "", 0, 0, MM_C_NONE, token_import,
	    "take in codes that are on labels already, for the compatible door",
	    "The table's first line names the columns: \"device\" and "
	    "\"code\" (8 to 64 characters) are needed, \"product\", "
	    "\"profile\", \"ttl\", \"not_before\" and "
	    "\"bound_spki_sha256\" may be there.  The device enrols by HTTP "
	    "Basic with its name and the code, where the profile allows "
	    "that.  A code is only as strong as it is long: after ten wrong "
	    "ones a device's code is tried once in six minutes.  Nothing "
	    "that is stored tells a code."),
	ROW("token", "remint", "TOKEN", 1, 1, MM_C_TOKEN, token_remint,
	    "make a token again that was lost or has run out",
	    "The old one is cancelled first; the new one is for the same "
	    "device, profile, door and key.  One that a device has claimed is "
	    "not made again."),
	ROW("token", "cancel", "[TOKEN]", 0, 1, MM_C_TOKEN, token_cancel,
	    "cancel a token, or all of a selection", MASS_DETAIL),
	ROW("token", "label", "FILE", 1, 1, MM_C_FILE, token_label,
	    "make or print the labels of tokens, from \"token create --out\"",
	    "The code is the token's URI, which is a secret: over tcp: it "
	    "crosses the network as it is.  " LABEL_DETAIL),
	ROW("token", "thaw", "[TOKEN]", 0, 1, MM_C_TOKEN, token_thaw,
	    "thaw a token that was frozen by a conflict, or all of a "
	    "selection", MASS_DETAIL),

	ROW("cert", "list", "", 0, 0, MM_C_NONE, cert_list,
	    "list the certificates", NULL),
	ROW("cert", "show", "SERIAL", 1, 1, MM_C_SERIAL, cert_show,
	    "show one certificate", NULL),
	ROW("cert", "export", "SERIAL", 1, 1, MM_C_SERIAL, cert_export,
	    "write a certificate in the form that a device or a flasher takes",
	    "docs/reference/outputs.md says what each form holds.  A key is "
	    "written only if --key gives it and the record says that the CA "
	    "made it.  No file is written over."),
	ROW("cert", "revoke", "[SERIAL]", 0, 1, MM_C_SERIAL, cert_revoke,
	    "revoke a certificate, or all of a selection", MASS_DETAIL),
	ROW("cert", "hold", "[SERIAL]", 0, 1, MM_C_SERIAL, cert_hold,
	    "put a certificate on hold, or all of a selection", MASS_DETAIL),
	ROW("cert", "release", "[SERIAL]", 0, 1, MM_C_SERIAL, cert_release,
	    "take a certificate off hold, or all of a selection", MASS_DETAIL),

	ROW("crl", "sync", "", 0, 0, MM_C_NONE, crl_sync,
	    "keep a broker's file of revocation lists up to date",
	    "Fetches all lists in one (PEM) from the public listener, asks "
	    "each time whether there is another one, verifies each list up to "
	    "the trust anchor, and replaces the file whole.  A list that is "
	    "older than the one in the file is refused, and so is a set "
	    "without one that is there.  Needs no credential."),

	ROW("audit", NULL, "", 0, 0, MM_C_NONE, audit,
	    "who did what: the ledger's entries, newest first", NULL),

	ROW("ledger", "checkpoint", "", 0, 0, MM_C_NONE, ledger_checkpoint,
	    "print the newest signed tree head", NULL),
	ROW("ledger", "key", "", 0, 0, MM_C_NONE, ledger_key,
	    "print the ledger's verifier key", NULL),
	ROW("ledger", "entries", "", 0, 0, MM_C_NONE, ledger_entries,
	    "print entries",
	    "Read from the ledger's tiles, as a checkpoint covers them.  With "
	    "--listed from the server's list, which a credential that is "
	    "limited may read as well, and which has the newest ones too."),
	ROW("ledger", "verify", "[DIR|URL]", 0, 1, MM_C_DIR, ledger_verify,
	    "check every entry, every tile and the signature",
	    "Of the server (needs the auditor's role), of another URL or of a "
	    "copied directory.  With --keep the verified checkpoint is kept "
	    "in a file, and the next run proves that nothing before it has "
	    "changed."),
	ROW("ledger", "receipt", "INDEX", 1, 1, MM_C_NONE, ledger_receipt,
	    "print the receipt of an entry, by its index", NULL),
	ROW("ledger", "verify-receipt", "FILE", 1, 1, MM_C_FILE,
	    ledger_verify_receipt, "check a receipt; needs no network", NULL),
	ROW("line", "check", "EXPORT [ORDER...]", 1, MM_ARGS_MAX, MM_C_FILE,
	    line_check, "check what a station made offline; needs no network",
	    "EXPORT is what \"mintmark-station export\" wrote, an ORDER each "
	    "work order's file that the station was given.  Every entry must "
	    "be in the tree that the station's signer signed, and go on from "
	    "what was seen before (--keep).  Then each unit: certificate, "
	    "order, serial number, window, share, what the device signed, "
	    "and whether anything was made twice.  Faults are named one by "
	    "one."),
	ROW("ledger", "reconcile", "[JOURNAL...]", 0, MM_ARGS_MAX, MM_C_FILE,
	    ledger_reconcile,
	    "compare the signer's journal, the ledger and the database",
	    "Reads the three directly, as a user of the audit group; names "
	    "every difference.  The entries must make the trees that were "
	    "signed, and every record of the database must say what its "
	    "entries said: products and schemas, devices, tokens, "
	    "certificates, lists, operators, webhooks, approvals.  "
	    "Of several nodes, each other one's journal is a JOURNAL."),
	ROW("ledger", "export", "", 0, 0, MM_C_NONE, ledger_export,
	    "write entries as JSON lines or CSV, or a copy that verifies",
	    "--format tiles writes a directory with tiles, checkpoint and "
	    "key that \"ledger verify DIR\" checks again."),

	ROW("event", "list", "", 0, 0, MM_C_NONE, event_list,
	    "print events: the ledger's entries, filtered", NULL),
	ROW("event", "follow", "", 0, 0, MM_C_NONE, event_follow,
	    "print events as they happen",
	    "Waits for what comes; with --json a line is an object.  With "
	    "--state an interrupted run goes on where it ended: the cursor is "
	    "stored after a page was printed, so an event may come twice, but "
	    "none is left out."),

	ROW("batch", "list", "", 0, 0, MM_C_NONE, batch_list,
	    "list production orders", NULL),
	ROW("batch", "show", "BATCH", 1, 1, MM_C_NONE, batch_show,
	    "show a batch", NULL),
	ROW("batch", "create", "", 0, 0, MM_C_NONE, batch_create,
	    "make a production order",
	    "All of it is checked first: serial numbers, scan rule, the "
	    "template against every row, stations.  Warnings are in the "
	    "answer: read them before labels are printed."),
	ROW("batch", "open", "BATCH", 1, 1, MM_C_NONE, batch_open,
	    "let a paused batch go on", NULL),
	ROW("batch", "pause", "BATCH", 1, 1, MM_C_NONE, batch_pause,
	    "stop a batch for a while",
	    "Stations know with their next order."),
	ROW("batch", "close", "BATCH", 1, 1, MM_C_NONE, batch_close,
	    "end a batch for good", NULL),
	ROW("batch", "extend", "BATCH", 1, 1, MM_C_NONE, batch_extend,
	    "more units or more time", NULL),
	ROW("batch", "share", "BATCH LIST", 2, 2, MM_C_NONE, batch_share,
	    "give stations their part of the quantity",
	    "LIST is STATION=NUMBER with commas between them; what is not "
	    "named stays, and no share becomes less."),
	ROW("batch", "units", "BATCH", 1, 1, MM_C_NONE, batch_units,
	    "list what became of a batch's units", NULL),
	ROW("batch", "scrap", "BATCH SERIAL", 2, 2, MM_C_NONE, batch_scrap,
	    "throw away a unit that a station made",
	    "Its certificates are revoked, and its quota comes back within the "
	    "batch's allowance.  So what a station may not scrap itself: a "
	    "unit that has proved its identity, and more than the allowance."),
	ROW("batch", "release", "BATCH SERIAL", 2, 2, MM_C_NONE, batch_release,
	    "end the quarantine of a unit that two stations told of",
	    "It is the station's that --station names: what failed may be "
	    "made again, what passed is as any other unit.  What a sync has "
	    "put aside is mintmark station quarantine's."),
	ROW("batch", "people", "BATCH", 1, 1, MM_C_NONE, batch_people,
	    "who may stand at a batch's stations, by their badges' hashes",
	    NULL),
	ROW("batch", "configuration", "BATCH DEVICE", 2, 2, MM_C_NONE,
	    batch_configuration,
	    "print what a batch gives a device, with its secrets",
	    "The document itself, as a station asks for it: mind who reads "
	    "the terminal."),
	ROW("batch", "report", "BATCH", 1, 1, MM_C_NONE, batch_report,
	    "what a batch has come to: issued, passed, left, gaps, yield",
	    NULL),
	ROW("batch", "order", "BATCH", 1, 1, MM_C_NONE, batch_order,
	    "a station's signed work order, for a stick",
	    "The same order again as long as the batch says the same; else a "
	    "new one with the next number."),
	ROW("group", "list", "", 0, 0, MM_C_NONE, group_list,
	    "list bootstrap groups: old credentials that devices come with",
	    NULL),
	ROW("group", "show", "GROUP", 1, 1, MM_C_NONE, group_show,
	    "show a group, and how far it has come", NULL),
	ROW("group", "create", "GROUP", 1, 1, MM_C_NONE, group_create,
	    "let devices in the field enrol with an old or shared certificate, a "
	    "shared secret, or nothing",
	    "The group is paused until it is opened.  Which devices may come "
	    "are its range and its list; one that has a second fact in the "
	    "list (its new key's hash, a hardware id, an address, its own old "
	    "certificate), or whose certificate names it (--names), gets its "
	    "certificate at once.  Any other waits for \"group approve\"."),
	ROW("group", "add", "GROUP", 1, 1, MM_C_NONE, group_add,
	    "put devices on a group's list",
	    "Of a table at most a thousand rows are held; rows that are "
	    "refused are told, the others stay."),
	ROW("group", "devices", "GROUP", 1, 1, MM_C_NONE, group_devices,
	    "list the devices of a group's list, and those that came", NULL),
	ROW("group", "waiting", "GROUP", 1, 1, MM_C_NONE, group_waiting,
	    "list the devices that wait for a person, with their keys", NULL),
	ROW("group", "report", "GROUP", 1, 1, MM_C_NONE, group_report,
	    "how far the devices of a group have come: over, waiting, not yet",
	    "Devices of the range that have not come are counted by its "
	    "length; --csv has those that the centre has a record of."),
	ROW("group", "approve", "GROUP [DEVICE] KEY", 2, 3, MM_C_NONE,
	    group_approve, "let a device have its certificate with that key",
	    "KEY is the fingerprint that the device shows, compared with what "
	    "\"group waiting\" lists; of a group made with --pairing, the code "
	    "that it shows, which may stand alone.  The device gets its "
	    "certificate when it comes again."),
	ROW("group", "refuse", "GROUP [DEVICE] KEY", 2, 3, MM_C_NONE,
	    group_refuse, "refuse that key",
	    "Another key for the same device may come and wait."),
	ROW("group", "release", "GROUP DEVICE", 2, 2, MM_C_NONE,
	    group_release, "let a device that lost its new key come again",
	    "What it has claimed and not proved is revoked, and what was "
	    "decided of its key is over: it may come with any key.  One that "
	    "has proved its certificate gets a token instead."),
	ROW("group", "crl", "GROUP FILE", 2, 2, MM_C_NONE, group_crl,
	    "tell a group what its old CA has revoked",
	    "FILE is the CA's revocation list, PEM or DER; its certificates "
	    "are refused from then on, by all groups that have that CA.  A "
	    "list past its nextUpdate counts."),
	ROW("group", "open", "GROUP", 1, 1, MM_C_NONE, group_open,
	    "let a group's devices come; also again, after conflicts", NULL),
	ROW("group", "pause", "GROUP", 1, 1, MM_C_NONE, group_pause,
	    "stop a group for a while", NULL),
	ROW("group", "extend", "GROUP", 1, 1, MM_C_NONE, group_extend,
	    "more certificates or more time", NULL),
	ROW("group", "close", "GROUP", 1, 1, MM_C_NONE, group_close,
	    "end a group for good",
	    "Its old credentials are refused, recorded and told from then "
	    "on."),
	ROW("config", "list", "", 0, 0, MM_C_NONE, config_list,
	    "list what devices in the field are configured to", NULL),
	ROW("config", "show", "", 0, 0, MM_C_NONE, config_show,
	    "show the configuration of a product, batch or device",
	    "Template and table; what the template marks as secret is shown "
	    "to nobody."),
	ROW("config", "set", "", 0, 0, MM_C_NONE, config_set,
	    "configure the devices of a product or batch, or one device",
	    "The set nearest to a device gives all of its document: device "
	    "before batch before product.  It is rendered for the devices "
	    "first, and refused if it cannot be made for one of them, unless "
	    "with --force; --dry-run renders it for all, names those, and "
	    "ends there."),
	ROW("config", "remove", "", 0, 0, MM_C_NONE, config_remove,
	    "take a configuration away",
	    "Its devices get what the next wider one gives, as a new version; "
	    "where there is none they keep what they have."),
	ROW("config", "history", "", 0, 0, MM_C_NONE, config_history,
	    "who changed a configuration when", NULL),
	ROW("config", "check", "", 0, 0, MM_C_NONE, config_check,
	    "name the devices that a configuration cannot be made for", NULL),
	ROW("config", "preview", "DEVICE", 1, 1, MM_C_DEVICE, config_preview,
	    "show what a device would get now, and its version",
	    "Without the secrets."),
	ROW("config", "devices", "PRODUCT", 1, 1, MM_C_PRODUCT, config_devices,
	    "list which version its devices have",
	    "current: it has what it would get; offered: it was given that, "
	    "and has not said that it has it; old: something was changed since "
	    "it asked; never: it never asked."),

	ROW("station", "list", "", 0, 0, MM_C_NONE, station_list,
	    "list stations", NULL),
	ROW("station", "show", "STATION", 1, 1, MM_C_NONE, station_show,
	    "show a station and its newest order", NULL),
	ROW("station", "create", "STATION", 1, 1, MM_C_NONE, station_create,
	    "let a station take work orders", NULL),
	ROW("station", "remove", "STATION", 1, 1, MM_C_NONE, station_remove,
	    "give a station no more orders", NULL),
	ROW("station", "pin", "", 0, 0, MM_C_NONE, station_pin,
	    "print the key that signs work orders, for stations to pin",
	    NULL),
	ROW("station", "trust", "STATION KEY", 2, 2, MM_C_FILE, station_trust,
	    "say by which key a station's own ledger is verified",
	    "KEY is the text that \"mintmark-signer station-init\" printed at "
	    "the station, or a file with it.  Another key is another ledger, "
	    "and an administrator's to say: what came of the one before "
	    "stays."),
	ROW("station", "sync", "STATION FILE", 2, 2, MM_C_FILE, station_sync,
	    "take in what a station made offline",
	    "FILE is what \"mintmark-station export\" wrote there.  The "
	    "station's ledger must go on from where it was seen last, under "
	    "the key that is trusted for it; then each unit is judged, and "
	    "stored before it is acknowledged.  What does not fit is "
	    "quarantined and named, and the exit status is 3.  The same file "
	    "again adds nothing; one that was cut off goes on."),
	ROW("station", "quarantine", "STATION", 1, 1, MM_C_NONE,
	    station_quarantine,
	    "list what a station made and does not fit, or decide of one",
	    "ENTRY is its number in the station's ledger, or its certificate's "
	    "serial number.  What is accepted is judged again, by all but what "
	    "the list calls acceptable \"yes\" (the clock, the window, a "
	    "closed batch, a removed station, the quota); with \"mended\" "
	    "it may fit by now; \"no\" is never accepted.  The same again "
	    "changes nothing."),
	ROW("webhook", "list", "", 0, 0, MM_C_NONE, webhook_list,
	    "list the webhooks", NULL),
	ROW("webhook", "show", "ID", 1, 1, MM_C_NONE, webhook_show,
	    "show one webhook and how its delivery does", NULL),
	ROW("webhook", "create", "URL", 1, 1, MM_C_NONE, webhook_create,
	    "send events to a URL; its secret is shown once", NULL),
	ROW("webhook", "change", "ID", 1, 1, MM_C_NONE, webhook_change,
	    "change where events go and which",
	    "What is not named stays."),
	ROW("webhook", "remove", "ID", 1, 1, MM_C_NONE, webhook_remove,
	    "remove a webhook, its cursor and its dead letters", NULL),
	ROW("webhook", "pause", "ID", 1, 1, MM_C_NONE, webhook_pause,
	    "hold deliveries back", NULL),
	ROW("webhook", "resume", "ID", 1, 1, MM_C_NONE, webhook_resume,
	    "go on where it was, also after the server disabled it", NULL),
	ROW("webhook", "test", "ID", 1, 1, MM_C_NONE, webhook_test,
	    "send a test event now and say how it went", NULL),
	ROW("webhook", "rotate", "ID", 1, 1, MM_C_NONE, webhook_rotate,
	    "make a new secret; both sign for 24 hours", NULL),
	ROW("webhook", "replay", "ID", 1, 1, MM_C_NONE, webhook_replay,
	    "deliver again from an index on", NULL),
	ROW("webhook", "dead-letters", "ID", 1, 1, MM_C_NONE,
	    webhook_dead_letters, "list what could not be delivered, or try "
	    "one again", NULL),

	ROW("authorise", "show", "", 0, 0, MM_C_NONE, authorise_show,
	    "show whom the server asks before a first enrolment, and how it "
	    "does", NULL),
	ROW("authorise", "rotate", "", 0, 0, MM_C_NONE, authorise_rotate,
	    "make the (first or next) secret that its questions are signed "
	    "with", NULL),

	ROW("mail", "show", "", 0, 0, MM_C_NONE, mail_show,
	    "show where alerts are mailed to, and how that does", NULL),
	ROW("mail", "test", "", 0, 0, MM_C_NONE, mail_test,
	    "send a mail now, and say what the mail server answered",
	    "The exit status is 7 if the mail server did not take it."),

	ROW("key", "list", "", 0, 0, MM_C_NONE, key_list,
	    "list the credentials: API keys and certificates", NULL),
	ROW("key", "whoami", "", 0, 0, MM_C_NONE, key_whoami,
	    "show the credential that you use, and what it may do", NULL),
	ROW("key", "renew", "", 0, 0, MM_C_NONE, key_renew,
	    "renew your own certificate: another key in its files",
	    "The credential stays what it is.  The new key is made here, in "
	    "the files that the context or --cert and --cert-key name; the "
	    "one before is good until the new one was used, which this "
	    "command does.  In the last third of a certificate's life the "
	    "commands that use it by a context do this by themselves; "
	    "\"renew\": false in the context switches that off."),
	ROW("key", "create", "NAME", 1, 1, MM_C_NONE, key_create,
	    "make an API key, shown once, or register a certificate",
	    "With --certificate the public key of that certificate becomes "
	    "the credential: its owner proves the private key by TLS.  Who "
	    "signed the certificate does not matter."),
	ROW("key", "revoke", "ID", 1, 1, MM_C_NONE, key_revoke,
	    "revoke a credential", NULL),
	ROW("key", "erase", "ID", 1, 1, MM_C_NONE, key_erase,
	    "forget the name and the description of a credential",
	    "The ledger never had them: it stays as it is, and valid."),

	ROW("approval", "list", "", 0, 0, MM_C_NONE, approval_list,
	    "list what waits, or waited, for a second administrator", NULL),
	ROW("approval", "show", "ID", 1, 1, MM_C_NONE, approval_show,
	    "show one approval and what is asked for", NULL),
	ROW("approval", "approve", "ID", 1, 1, MM_C_NONE, approval_approve,
	    "approve what another one asked for",
	    "Who asked carries it out: the same command again, with "
	    "--approval ID."),
	ROW("approval", "refuse", "ID", 1, 1, MM_C_NONE, approval_refuse,
	    "refuse it, or take your own request back", NULL),

	ROW("completion", NULL, "bash|zsh", 1, 1, MM_C_NONE, completion,
	    "print the shell completion", NULL),
	ROW("man", NULL, "", 0, 0, MM_C_NONE, man, "print the manual page",
	    NULL),
	ROW("reference", NULL,
	    "[ledger|doctor|problems|outputs|birth-record]", 0, 1, MM_C_NONE,
	    reference,
	    "print the reference of commands, ledger entries, the doctor's "
	    "checks, problems, outputs or birth records, as Markdown",
	    NULL),
	ROW("complete", NULL, "KIND", 1, 1, MM_C_NONE, complete,
	    "print the names that complete an argument, for the shells", NULL),
};
const size_t mm_ncmds = sizeof(mm_cmds) / sizeof(mm_cmds[0]);

const struct mm_opt mm_global_opts[] = {
	{ "json", NULL, "print JSON; a failure as the object {\"error\":{code, "
	    "exit, reason, hint, request_id}} on standard error",
	    MM_C_NONE, NULL },
	{ "quiet", NULL, "no progress, no notes", MM_C_NONE, NULL },
	{ "server", "URL", "the operators listener: https://host:8444",
	    MM_C_NONE, NULL },
	{ "ca", "FILE", "PEM of the trust anchor", MM_C_FILE, NULL },
	{ "key-file", "FILE", "file with the API key, one line", MM_C_FILE,
	    NULL },
	{ "cert", "FILE", "PEM of a client certificate, instead of an API "
	    "key", MM_C_FILE, NULL },
	{ "cert-key", "FILE", "its private key, of mode 0600 (default: in "
	    "the same file)", MM_C_FILE, NULL },
	{ "approval", "ID", "carry out what another administrator approved",
	    MM_C_NONE, NULL },
	{ "context", "FILE", "JSON file that names server, ca and key_file, "
	    "or cert and cert_key", MM_C_FILE, NULL },
	{ NULL, NULL, NULL, MM_C_NONE, NULL },
};
