#include "line/birth.h"

#include <inttypes.h>
#include <string.h>

#include "base/file.h"
#include "base/own.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/source.h"
#include "ledger/entry.h"
#include "ledger/receipt.h"

/* A device's birth record: made of what the server has, checked offline. */
#define END { NULL, NULL, NULL, MM_C_NONE, NULL }
enum { RECORD_MAX = 2 * MM_BIRTH_MAX };

const struct mm_opt mm_opts_device_birth_record[] = {
	{ "html", NULL, "a page for people instead of JSON", MM_C_NONE, NULL },
	{ "out", "FILE", "write it there instead", MM_C_FILE, NULL },
	{ "verify", "FILE", "check this record; needs no network", MM_C_FILE,
	    NULL },
	{ "key", "KEY", "with --verify: the ledger's verifier key, as text or "
	    "file (required)", MM_C_FILE, NULL },
	{ "root", "FILE", "with --verify: PEM of the roots to trust; without "
	    "it the record's own chain is taken", MM_C_FILE, NULL },
	{ "with-salt", NULL, "with the salt of its configuration's hash, for "
	    "who may see the configuration: who has it can try guesses",
	    MM_C_NONE, NULL },
	{ "configuration", "FILE", "with --verify: whether this is the "
	    "initial configuration that the device was given", MM_C_FILE,
	    NULL },
	END
};

/* ---- making ---- */

struct pieces {
	struct mm_client *client;
	const char *device;
	json_t *cert;
	struct mm_buf receipt, confirmation;
};

static void
pieces_done(struct pieces *p)
{
	json_decref(p->cert);
	mm_buf_done(&p->receipt);
	mm_buf_done(&p->confirmation);
}

/* The certificate that the device was born with: its IDevID, else the first.
 * MM_ENOTFOUND. */
static enum mm_err
first_cert(struct pieces *p, struct mm_why *why)
{
	MM_OWN(json_free) json_t *list = NULL;
	json_t *best = NULL, *c;
	char path[1024];
	size_t i;

	MM_TRY(mm_path(path, why, "/certificates?limit=1000&device=%s",
	    p->device));
	MM_TRY(mm_client_call(p->client, "GET", path, NULL, &list, why));
	json_array_foreach(json_object_get(list, "items"), i, c) {
		bool idevid = json_is_true(json_object_get(c, "idevid"));
		bool had = best != NULL &&
		    json_is_true(json_object_get(best, "idevid"));

		if (strcmp(mm_json_text(c, "state"), "orphaned") == 0)
			continue;
		if (best == NULL || (idevid && !had) || (idevid == had &&
		    strcmp(mm_json_text(c, "issued"),
		    mm_json_text(best, "issued")) < 0))
			best = c;
	}
	if (best == NULL)
		return MM_FAIL(why, MM_ENOTFOUND, "device %.64s has no "
		    "certificate: it is not born yet", p->device);
	MM_TRY(mm_path(path, why, "/certificates/%s",
	    mm_json_text(best, "serial")));
	return mm_client_call(p->client, "GET", path, NULL, &p->cert, why);
}

static enum mm_err
receipt_at(struct pieces *p, long long index, struct mm_buf *out,
    struct mm_why *why)
{
	char path[128];

	mm_buf_reset(out);
	snprintf(path, sizeof(path), "/api/v1/ledger/receipts/%lld", index);
	return mm_client_bytes(p->client, path, out, why);
}

static bool
is_of(struct mm_bytes receipt, long long index)
{
	MM_OWN(mm_buf_done) struct mm_buf arena = MM_BUF_INIT(MM_BIRTH_MAX);
	struct mm_receipt r;

	return mm_receipt_parse(receipt, &arena, &r, NULL) == MM_OK &&
	    r.index == (uint64_t)index;
}

/* By the device, which any role may; else by the entry, for auditors. */
static enum mm_err
get_receipt(struct pieces *p, struct mm_why *why)
{
	long long index = json_integer_value(json_object_get(p->cert,
	    "index"));
	char path[1024];

	MM_TRY(mm_path(path, why, "/api/v1/devices/%s/receipt", p->device));
	MM_TRY(mm_client_bytes(p->client, path, &p->receipt, why));
	if (is_of(mm_buf_view(&p->receipt), index))
		return MM_OK;
	return receipt_at(p, index, &p->receipt, why);
}

static bool
confirms(json_t *item, const char *serial)
{
	const json_t *e = json_object_get(item, "entry");

	return strcmp(mm_json_text(e, "type"),
	    mm_entry_type_name(MM_E_CERT_CONFIRMED)) == 0 &&
	    strcmp(mm_json_text(e, "serial"), serial) == 0;
}

/* The confirmation's receipt is for auditors and administrators only. */
static enum mm_err
get_confirmation(struct mm_cli *cli, struct pieces *p, struct mm_why *why)
{
	MM_OWN(json_free) json_t *list = NULL;
	const char *serial = mm_json_text(p->cert, "serial");
	char path[1024];
	json_t *item;
	enum mm_err rc;
	size_t i;

	if (mm_json_text(p->cert, "confirmed")[0] == '\0')
		return MM_OK;
	MM_TRY(mm_path(path, why, "/devices/%s/history?limit=1000",
	    p->device));
	MM_TRY(mm_client_call(p->client, "GET", path, NULL, &list, why));
	json_array_foreach(json_object_get(list, "items"), i, item)
		if (confirms(item, serial)) {
			rc = receipt_at(p, json_integer_value(json_object_get(
			    item, "index")), &p->confirmation, NULL);
			if (rc == MM_OK)
				return MM_OK;
			break;
		}
	mm_buf_reset(&p->confirmation);
	if (!cli->quiet)
		fputs("mintmark: note: the receipt of its confirmation is not "
		      "to be had for this credential: the record is without\n",
		    stderr);
	return MM_OK;
}

static enum mm_err
put_record(struct mm_cli *cli, const struct mm_args *a,
    const struct mm_birth *b, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf out = MM_BUF_INIT(RECORD_MAX);
	bool salted = b->value[MM_B_configuration_salt][0] != '\0';

	(void)cli;
	MM_TRY(mm_flag(a, "html") ? mm_birth_html(b, &out, why)
	    : mm_birth_encode(b, &out, why));
	if (mm_arg(a, "out") != NULL)
		return mm_file_replace(mm_arg(a, "out"), mm_buf_view(&out),
		    salted ? 0600 : 0644, why);
	if (mm_flag(a, "html"))
		fwrite(out.p, 1, out.n, stdout);
	else
		mm_json_put(stdout, mm_buf_view(&out));
	putchar('\n');
	return MM_OK;
}

/* Only in a record for who may see the configuration: the server says who. */
static enum mm_err
say_salt(struct mm_cli *cli, const struct pieces *p, struct mm_birth *b,
    struct mm_why *why)
{
	MM_OWN(json_free) json_t *given = NULL;
	char path[1024];
	const char *salt;

	if (b->value[MM_B_configuration_sha256][0] == '\0')
		return MM_FAIL(why, MM_ENOTFOUND, "device %.64s was given no "
		    "initial configuration", p->device);
	MM_TRY(mm_path(path, why, "/batches/%s/configurations/%s",
	    b->value[MM_B_batch], b->value[MM_B_device]));
	MM_TRY(mm_client_call(p->client, "GET", path, NULL, &given, why));
	salt = mm_json_text(given, "salt");
	if (salt[0] != '\0')
		return mm_birth_say(b, MM_B_configuration_salt, MM_OBSERVED,
		    salt, why);
	if (!cli->quiet)
		fputs("mintmark: note: this batch is from before there were "
		      "salts: the hash is the document's own\n", stderr);
	return MM_OK;
}

static enum mm_err
make(struct mm_cli *cli, const struct mm_args *a, struct mm_why *why)
{
	MM_OWN(pieces_done) struct pieces p = { .device = a->pos[0] };
	MM_OWN(mm_birth_free) struct mm_birth *b = NULL;
	struct mm_birth_from from;

	mm_buf_init(&p.receipt, MM_BIRTH_MAX);
	mm_buf_init(&p.confirmation, MM_BIRTH_MAX);
	MM_TRY(mm_cli_client(cli, &p.client, why));
	MM_TRY(first_cert(&p, why));
	MM_TRY(get_receipt(&p, why));
	MM_TRY(get_confirmation(cli, &p, why));
	from = (struct mm_birth_from){
		mm_bytes_of(mm_json_text(p.cert, "pem")),
		mm_bytes_of(mm_json_text(p.cert, "chain")),
		mm_buf_view(&p.receipt), mm_buf_view(&p.confirmation),
		mm_bytes_of(mm_json_text(p.cert, "station_entry")) };
	MM_TRY(mm_birth_new(&from, &b, why));
	if (mm_flag(a, "with-salt"))
		MM_TRY(say_salt(cli, &p, b, why));
	return put_record(cli, a, b, why);
}

/* ---- checking ---- */

static void
show(const struct mm_cli *cli, const struct mm_birth *b,
    const struct mm_note_key *key, bool rooted)
{
	char id[9];

	snprintf(id, sizeof(id), "%08" PRIx32, key->id);
	if (cli->json) {
		json_t *o = json_pack("{s:b,s:s,s:s,s:s,s:s,s:b}", "verified",
		    1, "device", b->value[MM_B_device], "serial",
		    b->value[MM_B_serial], "signed_by", key->name, "key",
		    id, "root_given", rooted);

		mm_json_print(o);
		json_decref(o);
		return;
	}
	printf("verified: the birth record of %s: the ledger has its "
	       "certificate%s, and the certificate goes back to %s.\n",
	    b->value[MM_B_device], b->confirmation.n > 0
	    ? " and that the device proved it" : "", rooted
	    ? "a root that you gave" : "the chain that lies beside it");
	printf("signed by: ledger key %s (%s)\n", key->name, id);
	if (!rooted && !cli->quiet)
		fputs("mintmark: note: without --root the record's own chain "
		      "is taken: it proves less\n", stderr);
	for (int f = 0; f < MM_BIRTH_COUNT; f++)
		if (b->value[f][0] != '\0') {
			printf("%-22s %-9s", mm_birth_fact_name(
			    (enum mm_birth_fact)f),
			    mm_birth_grade_name(b->grade[f]));
			mm_text_put(stdout, b->value[f]);
			putchar('\n');
		}
}

/* MM_ENOTFOUND: that is no lie of the record. */
static enum mm_err
check_configuration(struct mm_cli *cli, const struct mm_args *a,
    const struct mm_birth *b, struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf document = MM_BUF_INIT(RECORD_MAX);
	enum mm_err rc;

	if (mm_arg(a, "configuration") == NULL)
		return MM_OK;
	MM_TRY(mm_file_read(mm_arg(a, "configuration"), &document, why));
	rc = mm_birth_verify_configuration(b, mm_buf_view(&document), why);
	if (rc == MM_ENOTFOUND)
		mm_cli_hint(cli, "\"mintmark device birth-record %s "
		    "--with-salt\" makes a record with it, for who may see "
		    "the configuration", b->value[MM_B_device]);
	return rc == MM_EPOLICY ? mm_cli_unverified(cli, rc) : rc;
}

static enum mm_err
check(struct mm_cli *cli, const struct mm_args *a, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf file = MM_BUF_INIT(RECORD_MAX);
	MM_OWN(mm_buf_done) struct mm_buf roots = MM_BUF_INIT(RECORD_MAX);
	MM_OWN(mm_birth_free) struct mm_birth *b = NULL;
	struct mm_source nowhere = { .cli = cli };
	struct mm_note_key key;
	enum mm_err rc;
	bool trusted;

	if (mm_arg(a, "key") == NULL) {
		mm_cli_hint(cli, "\"mintmark ledger key\" prints it; keep it "
		    "from a source that you trust");
		return MM_FAIL(why, MM_EINPUT, "missing --key");
	}
	MM_TRY(mm_source_key(&nowhere, mm_arg(a, "key"), &key, &trusted, why));
	MM_TRY(mm_file_read(mm_arg(a, "verify"), &file, why));
	if (mm_arg(a, "root") != NULL)
		MM_TRY(mm_file_read(mm_arg(a, "root"), &roots, why));
	rc = mm_birth_parse(mm_buf_view(&file), &b, why);
	if (rc == MM_OK)
		rc = mm_birth_verify(b, &key, mm_buf_view(&roots), why);
	if (rc == MM_OK && a->npos > 0 &&
	    strcmp(a->pos[0], b->value[MM_B_device]) != 0)
		rc = MM_FAIL(why, MM_EPOLICY, "it is the birth record of "
		    "%.64s, not of %.64s", b->value[MM_B_device], a->pos[0]);
	if (rc != MM_OK)
		return mm_cli_unverified(cli, rc);
	MM_TRY(check_configuration(cli, a, b, why));
	if (mm_flag(a, "html") || mm_arg(a, "out") != NULL)
		return put_record(cli, a, b, why);
	show(cli, b, &key, mm_arg(a, "root") != NULL);
	if (!cli->json && mm_arg(a, "configuration") != NULL)
		puts("verified: the initial configuration is the one that it "
		     "was given.");
	return MM_OK;
}

enum mm_err
mm_cmd_device_birth_record(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	if (mm_flag(a, "with-salt") && mm_arg(a, "verify") != NULL)
		return MM_FAIL(why, MM_EINPUT,
		    "--with-salt makes a record, --verify checks one");
	if (mm_arg(a, "verify") != NULL)
		return check(cli, a, why);
	if (mm_arg(a, "key") != NULL || mm_arg(a, "root") != NULL ||
	    mm_arg(a, "configuration") != NULL)
		return MM_FAIL(why, MM_EINPUT,
		    "--key, --root and --configuration go with --verify");
	if (a->npos == 0)
		return MM_FAIL(why, MM_EINPUT, "want DEVICE, or --verify "
		    "FILE");
	return make(cli, a, why);
}
