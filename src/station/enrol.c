#include <stdio.h>
#include <string.h>

#include <openssl/rand.h>

#include "base/file.h"
#include "base/json.h"
#include "base/own.h"
#include "base/time.h"
#include "pki/cert.h"
#include "station/chip.h"
#include "station/run.h"

/*
 * The station's own key and certificate.  It is pinned at the centre by its
 * public key (docs/operators.md), so who signed it does not matter, and no
 * administrator's credential ever comes to the line: the centre's operator
 * registers what this makes.
 */
enum { DAYS = 365, DAY_S = 86400, WAIT_MS = 200,
	PATIENCE_MS = 20000 };

struct identity {
	struct mm_chip chip;
	EVP_PKEY *key;
	struct mm_buf spki, cert; /* DER */
	bool made;                /* the certificate is new */
};

/* In a TPM or a token: the one there, or a new one. */
static enum mm_err
get_elsewhere(const struct mm_station_conf *conf, struct identity *id,
    bool *in_it, struct mm_why *why)
{
	bool wanted;

	MM_TRY(mm_chip_ready(&id->chip, conf, in_it, why));
	MM_TRY(mm_chip_wanted(conf, &wanted, why));
	if (!*in_it && wanted) {
		EVP_PKEY *plain = NULL;
		enum mm_err rc = mm_key_load_plain(conf->key, &plain, NULL);

		mm_pkey_free(&plain);
		if (rc == MM_OK)
			return MM_FAIL(why, MM_ECONFLICT, "%.100s is a key "
			    "itself: put it aside, then one is made in %.40s",
			    conf->key, conf->key_in);
		MM_TRY(mm_chip_make(&id->chip, conf, why));
		*in_it = true;
	}
	return *in_it ? mm_chip_key(conf, &id->key, &id->spki, why) : MM_OK;
}

static enum mm_err
get_key(const struct mm_station_conf *conf, struct identity *id,
    struct mm_why *why)
{
	struct mm_why none = { 0 };
	bool in_it;
	enum mm_err rc;

	MM_TRY(get_elsewhere(conf, id, &in_it, why));
	if (in_it)
		return MM_OK;
	rc = mm_key_load_plain(conf->key, &id->key, &none);
	if (rc == MM_ENOTFOUND) {
		MM_TRY(mm_key_make(MM_KEY_P256, &id->key, why));
		rc = mm_key_save_plain(conf->key, id->key, 0600, &none);
	}
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "%s", none.text);
	return mm_key_spki(id->key, &id->spki, why);
}

static enum mm_err
build(const struct mm_station_conf *conf, struct identity *id,
    struct mm_sign *sign, struct mm_buf *tbs, struct mm_why *why)
{
	struct mm_conf_list subject = { .n = 1 };
	struct mm_ca_fields f = { .subject = &subject, .ca = true,
		.spki = mm_buf_view(&id->spki) };
	uint8_t random[10];
	int64_t now = mm_now_s();

	snprintf(subject.item[0], sizeof(subject.item[0]), "CN=%s",
	    conf->name);
	if (RAND_bytes(random, sizeof(random)) != 1)
		return MM_FAIL(why, MM_ECRYPTO, "no random numbers");
	mm_serial_make(now * 1000, random, f.serial);
	f.not_before_s = now - DAY_S; /* for clocks that differ */
	f.not_after_s = now + (int64_t)DAYS * DAY_S;
	return mm_ca_build(&f, mm_sign_alg(sign), tbs, why);
}

/* Self-signed, as the centre takes it. */
static enum mm_err
make_cert(const struct mm_station_conf *conf, struct identity *id,
    struct mm_why *why)
{
	MM_OWN(mm_sign_free) struct mm_sign *sign = NULL;
	MM_OWN(mm_buf_done) struct mm_buf tbs = MM_BUF_INIT(MM_CERT_MAX);
	MM_OWN(mm_buf_done) struct mm_buf sig = MM_BUF_INIT(1024);
	MM_OWN(mm_buf_done) struct mm_buf pem = MM_BUF_INIT(2 * MM_CERT_MAX);

	MM_TRY(mm_sign_new(NULL, id->key, &sign, why));
	MM_TRY(build(conf, id, sign, &tbs, why));
	MM_TRY(mm_sign_bytes(sign, mm_buf_view(&tbs), &sig, why));
	mm_buf_reset(&id->cert);
	mm_cert_join(&id->cert, mm_buf_view(&tbs), mm_sign_alg(sign),
	    mm_buf_view(&sig));
	MM_TRY(mm_buf_ok(&id->cert, why));
	mm_pem_put(&pem, "CERTIFICATE", mm_buf_view(&id->cert));
	MM_TRY(mm_buf_ok(&pem, why));
	id->made = true;
	return mm_file_replace(conf->cert, mm_buf_view(&pem), 0644, why);
}

/* One of this key, that has not ended.  With it the credential ends, too, and
 * its key is used up: then both files are made anew. */
static bool
has_cert(const struct mm_station_conf *conf, struct identity *id)
{
	MM_OWN(mm_buf_done) struct mm_buf pem = MM_BUF_INIT(1 << 20);
	struct mm_bytes rest;
	struct mm_cert c;

	if (mm_file_read(conf->cert, &pem, NULL) != MM_OK)
		return false;
	rest = mm_buf_view(&pem);
	return mm_pem_next(&rest, "CERTIFICATE", &id->cert, NULL) == MM_OK &&
	    mm_cert_walk(mm_buf_view(&id->cert), &c, NULL) == MM_OK &&
	    mm_bytes_eq(c.spki.whole, mm_buf_view(&id->spki)) &&
	    c.not_after_s > mm_now_s();
}

/* ---- is it known at the centre? ---- */

static enum mm_err
ask(const struct mm_station_conf *conf, struct mm_centre_answer *a,
    struct mm_why *why)
{
	MM_OWN(mm_centre_close) struct mm_centre *c = NULL;
	int64_t end = mm_mono_ms() + PATIENCE_MS;

	MM_TRY(mm_centre_open(conf, &c, why));
	MM_TRY(mm_centre_ask(c, 0, "/whoami", NULL, why));
	while (!mm_centre_take(c, 0, a)) {
		if (mm_mono_ms() > end || mm_run_stopped)
			return MM_FAIL(why, MM_EAGAIN, "the centre does not "
			    "answer");
		mm_centre_wait(c, NULL, 0, WAIT_MS);
	}
	return a->rc == MM_OK ? MM_OK
	    : MM_FAIL(why, a->rc, "%s", a->why.text);
}

/* A station that can do more than a line is a thief's best catch. */
static enum mm_err
check_roles(const json_t *whoami, struct mm_why *why)
{
	const json_t *roles = json_object_get(whoami, "roles"), *one;
	size_t i;

	json_array_foreach(roles, i, one)
		if (strcmp(json_string_value(one), "line") != 0)
			return MM_FAIL(why, MM_EPOLICY, "this credential has "
			    "role %.20s: a station's has role line alone",
			    json_string_value(one));
	return json_array_size(roles) == 1 ? MM_OK
	    : MM_FAIL(why, MM_EPOLICY, "this credential has no role line");
}

static void
say(const struct mm_station_conf *conf, const struct identity *id,
    enum mm_err known, bool json)
{
	struct mm_buf out = MM_BUF_INIT(PATH_MAX + 1024);
	struct mm_json j = mm_json_over(&out);
	uint8_t hash[32];
	char hex[65];

	mm_sha256(mm_buf_view(&id->spki), hash);
	mm_hex_text(hash, sizeof(hash), hex);
	if (json) {
		mm_json_open(&j, '{');
		mm_json_str(&j, "station", conf->name);
		mm_json_str(&j, "certificate", conf->cert);
		mm_json_str(&j, "spki_sha256", hex);
		mm_json_bool(&j, "made", id->made);
		mm_json_bool(&j, "known", known == MM_OK);
		mm_json_close(&j, '}');
		mm_buf_text(&out, "\n");
	} else if (known == MM_OK) {
		mm_buf_printf(&out, "%s is known at the centre\n", conf->name);
	} else {
		mm_buf_printf(&out, "%s\nkey %s\nat the centre, with this "
		    "file:\n  mintmark key create %s --role line%s%s "
		    "--certificate %s\n", conf->cert, hex, conf->name,
		    conf->product[0] != '\0' ? " --product " : "",
		    conf->product, conf->cert);
	}
	mm_run_put(&out);
}

static enum mm_err
enrol(const struct mm_station_conf *conf, struct identity *id, bool json,
    struct mm_why *why)
{
	struct mm_centre_answer a = { .rc = MM_OK };
	struct mm_why own = { 0 };
	enum mm_err rc;

	MM_TRY(get_key(conf, id, why));
	if (!has_cert(conf, id))
		MM_TRY(make_cert(conf, id, why));
	rc = ask(conf, &a, &own);
	if (rc == MM_OK)
		rc = check_roles(a.body, &own);
	mm_centre_answer_done(&a);
	/* Not yet registered is what is to be expected at first. */
	if (rc == MM_OK || rc == MM_EAUTH)
		say(conf, id, rc, json);
	if (rc == MM_OK)
		return rc;
	return rc == MM_EAUTH ? MM_FAIL(why, MM_EAGAIN, "the centre does not "
	    "know this station yet") : MM_FAIL(why, rc, "%s", own.text);
}

/* see run.h */
int
mm_run_enrol(const struct mm_station_conf *conf,
    const struct mm_station_args *a, enum mm_err *err, struct mm_why *why)
{
	struct identity id = { .spki = MM_BUF_INIT(MM_CERT_MAX),
		.cert = MM_BUF_INIT(MM_CERT_MAX) };

	*err = enrol(conf, &id, a->json, why);
	mm_pkey_free(&id.key);
	mm_chip_done(&id.chip);
	mm_buf_done(&id.spki);
	mm_buf_done(&id.cert);
	return mm_err_exit(*err);
}
