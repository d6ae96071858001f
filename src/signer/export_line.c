/* The centre's signer gives a line CA to a station's. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "signer/setup.h"
#include "work/order.h"

enum { HEX_N = 65, GIVEN_MAX = 128 };

struct giving {
	struct mm_setup s;
	const struct mm_issuer_conf *conf;
	struct mm_ca ca, to; /* to: the certificate alone */
	uint8_t spki[32];    /* of the key that opens it */
	struct mm_buf sealed;
};

static void
giving_done(struct giving *g)
{
	mm_buf_done(&g->ca.chain_pem);
	mm_buf_done(&g->ca.der);
	mm_buf_done(&g->to.chain_pem);
	mm_buf_done(&g->to.der);
	mm_buf_done(&g->sealed);
	mm_pkey_free(&g->ca.key);
	mm_setup_done(&g->s);
}

static enum mm_err
take_recipient(struct giving *g, const char *path, struct mm_why *why)
{
	struct mm_cert c;

	MM_TRY(mm_ca_read(path, &g->to, why));
	MM_TRY(mm_cert_walk(mm_buf_view(&g->to.der), &c, why));
	mm_sha256(c.spki.whole, g->spki);
	return MM_OK;
}

static enum mm_err
given_before(
    const char *path, const char *name, const char *hex, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(GIVEN_MAX);

	MM_TRY(mm_file_read(path, &b, why));
	return mm_bytes_eq(mm_buf_view(&b), mm_bytes_of(hex))
		   ? MM_OK
		   : MM_FAIL(why, MM_EPOLICY,
			 "issuer %s: it was sealed for another "
			 "station's signer; make that station a line CA of its "
			 "own",
			 name);
}

/* One line CA is one station's: two with the same key could not be told
 * apart.  The same once more is a stick that was lost. */
static enum mm_err
claim(struct giving *g, struct mm_why *why)
{
	char name[64], path[MM_PATH_MAX + 1], hex[HEX_N];
	enum mm_err rc;

	snprintf(name, sizeof(name), "issuers/%s.given", g->conf->name);
	MM_TRY(mm_signer_path(&g->s.conf->set, name, path, why));
	mm_hex_text(g->spki, sizeof(g->spki), hex);
	rc = mm_place(&g->s, path, mm_bytes_of(hex), 0600, MM_OF_SIGNER, why);
	if (rc != MM_ECONFLICT)
		return rc;
	*why = (struct mm_why){ 0 };
	return given_before(path, g->conf->name, hex, why);
}

/* Before it leaves, as with whatever is signed here. */
static enum mm_err
journal(struct giving *g, struct mm_why *why)
{
	struct mm_journal_line l = { .kind = MM_J_EXPORT };

	snprintf(l.issuer, sizeof(l.issuer), "%s", g->conf->name);
	memcpy(l.spki_sha256, g->spki, sizeof(g->spki));
	mm_sha256(mm_buf_view(&g->sealed), l.tbs_sha256);
	return mm_record_write(g->s.record, &l, 1, why);
}

static enum mm_err
print(struct giving *g, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf chain = MM_BUF_INIT(MM_WORK_BLOB_MAX);
	MM_OWN(mm_buf_done) struct mm_buf one = MM_BUF_INIT(MM_CERT_MAX);
	struct mm_bytes rest = mm_buf_view(&g->ca.chain_pem);
	struct mm_json *j = &g->s.json;

	while (mm_pem_next(&rest, "CERTIFICATE", &one, NULL) == MM_OK)
		mm_buf_bytes(&chain, mm_buf_view(&one));
	MM_TRY(mm_buf_ok(&chain, why));
	mm_json_open(j, '{');
	mm_json_str(j, "ca_name", g->conf->name);
	mm_json_str(j, "ca_url", g->s.conf->set.public_url);
	mm_json_b64(j, "ca_chain", mm_buf_view(&chain));
	mm_json_b64(j, "ca_key", mm_buf_view(&g->sealed));
	mm_json_close(j, '}');
	return mm_setup_print(&g->s, why);
}

static enum mm_err
give(struct giving *g, const struct mm_opts *o, struct mm_why *why)
{
	mm_buf_init(&g->sealed, MM_WORK_BLOB_MAX);
	MM_TRY(mm_setup_begin(&g->s, o, true, why));
	MM_TRY(mm_setup_issuer(&g->s, &g->conf, why));
	if (!g->conf->line)
		return MM_FAIL(why, MM_EPOLICY,
		    "issuer %s: not a line CA; "
		    "its key does not leave",
		    g->conf->name);
	MM_TRY(mm_ca_read(g->conf->certificate, &g->ca, why));
	MM_TRY(take_recipient(g, o->recipient, why));
	MM_TRY(mm_key_load(g->conf->key, mm_secret_view(g->s.pass),
	    g->s.stretched, &g->ca.key, why));
	MM_TRY(mm_ca_check_pair(&g->ca, why));
	MM_TRY(
	    mm_key_wrap(g->ca.key, mm_buf_view(&g->to.der), &g->sealed, why));
	MM_TRY(claim(g, why));
	MM_TRY(mm_setup_record(&g->s, why));
	MM_TRY(journal(g, why));
	return print(g, why);
}

/* see setup.h; the key leaves sealed, and stays here for the CRLs */
enum mm_err
mm_cmd_export_line(const struct mm_opts *o, struct mm_why *why)
{
	MM_OWN(giving_done) struct giving g = { .conf = NULL };

	if (o->issuer == NULL || o->recipient == NULL)
		return MM_FAIL(why, MM_EINPUT,
		    "export-line: want --issuer NAME, a line CA, and "
		    "--recipient FILE, the certificate that station-init "
		    "made");
	return give(&g, o, why);
}
