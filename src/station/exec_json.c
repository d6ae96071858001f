#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/json.h"
#include "pki/cert.h"
#include "station/exec.h"
#include "station/usb.h"

static void
put_pem(struct mm_json *j, const char *key, struct mm_bytes der)
{
	struct mm_buf pem = MM_BUF_INIT(32 << 10);
	struct mm_bytes rest = der;
	const char *text;

	/* DER in a row: each one's length is in its head. */
	while (rest.n > 4 && rest.p[0] == 0x30 && rest.p[1] == 0x82) {
		size_t n = 4 + ((size_t)rest.p[2] << 8 | rest.p[3]);

		if (n > rest.n)
			break;
		mm_pem_put(&pem, "CERTIFICATE",
		    (struct mm_bytes){ rest.p, n });
		rest.p += n;
		rest.n -= n;
	}
	text = mm_buf_cstr(&pem);
	mm_json_str(j, key, text != NULL ? text : "");
	mm_buf_done(&pem);
}

static void
put_head(struct mm_json *j, const struct mm_fixture_conf *conf,
    const char *recipe, const char *step, const char *serial)
{
	char port[PATH_MAX];

	mm_json_open(j, '{');
	mm_json_int(j, "v", 1);
	mm_json_str(j, "step", step);
	mm_json_str(j, "fixture", conf->name);
	(void)mm_fixture_port(conf, port);
	mm_json_str(j, "port", port);
	if (recipe != NULL && recipe[0] != '\0')
		mm_json_str(j, "recipe", recipe);
	mm_json_str(j, "serial", serial);
}

/* see exec.h */
void
mm_exec_put_selftest(struct mm_buf *out, const struct mm_fixture_conf *conf,
    const char *recipe, int64_t now_s)
{
	struct mm_json j = mm_json_over(out);

	put_head(&j, conf, recipe, "selftest", "");
	mm_json_int(&j, "time", now_s);
	mm_json_close(&j, '}');
	mm_buf_text(out, "\n");
}

/* see exec.h */
void
mm_exec_put_job(struct mm_buf *out, const struct mm_fixture_conf *conf,
    const struct mm_driver_job *job)
{
	struct mm_json j = mm_json_over(out);
	struct mm_bytes random = { job->random, sizeof(job->random) };

	put_head(&j, conf, job->recipe, mm_unit_effect_names[job->effect],
	    job->serial);
	mm_json_int(&j, "time", job->now_s);
	if (job->effect == MM_DO_KEY)
		mm_json_hex(&j, "stir", random);
	if (job->effect == MM_DO_PROVE)
		mm_json_hex(&j, "nonce", random);
	if (job->cert.n > 0) {
		put_pem(&j, "certificate", job->cert);
		put_pem(&j, "chain", job->chain);
		mm_json_hex(&j, "cert_sha256", (struct mm_bytes){
		    job->cert_hash, sizeof(job->cert_hash) });
		mm_json_hex(&j, "bundle_sha256", (struct mm_bytes){
		    job->bundle_hash, sizeof(job->bundle_hash) });
	}
	if (job->conf.n > 0 && (job->effect == MM_DO_PUT ||
	    job->effect == MM_DO_COMMIT))
		mm_json_b64(&j, "configuration", job->conf);
	mm_json_close(&j, '}');
	mm_buf_text(out, "\n");
}

/* ---- answers ---- */

static const char *
text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "";
}

static bool
take_hash(const json_t *o, const char *key, bool *has, uint8_t out[32])
{
	const char *s = text_of(o, key);

	*has = s[0] != '\0';
	return !*has || mm_hex_parse(s, strlen(s), out, 32, NULL) == MM_OK;
}

static void
plain(char *s)
{
	for (; *s != '\0'; s++)
		if (*s < ' ' || *s > '~')
			*s = '?';
}

static bool
take_said(const json_t *o, struct mm_unit_said *said)
{
	const char *hw = text_of(o, "hardware");
	uint8_t bytes[32];
	size_t n = strlen(hw) / 2;

	memset(said, 0, sizeof(*said));
	if (n == 0 || n > sizeof(bytes) ||
	    mm_hex_parse(hw, strlen(hw), bytes, n, NULL) != MM_OK)
		return false;
	mm_hex_text(bytes, n, said->hw);
	snprintf(said->firmware, sizeof(said->firmware), "%s",
	    text_of(o, "firmware"));
	plain(said->firmware);
	said->locked = json_is_true(json_object_get(o, "locked"));
	said->config = json_integer_value(json_object_get(o,
	    "config_version"));
	return take_hash(o, "spki_sha256", &said->has_key, said->spki) &&
	    take_hash(o, "cert_sha256", &said->has_cert, said->cert) &&
	    take_hash(o, "bundle_sha256", &said->has_bundle, said->bundle);
}

static bool
take_der(const json_t *o, const char *key, struct mm_driver_answer *out)
{
	struct mm_buf der = MM_BUF_INIT(sizeof(out->der));
	bool ok = mm_base64_parse(mm_bytes_of(text_of(o, key)), &der, NULL) ==
	    MM_OK && der.n > 0;

	if (ok) {
		memcpy(out->der, der.p, der.n);
		out->der_n = der.n;
	}
	mm_buf_done(&der);
	return ok;
}

/* Its issuers, behind it. */
static bool
take_chain(const json_t *o, struct mm_driver_answer *out)
{
	struct mm_buf der = MM_BUF_INIT(sizeof(out->der));
	bool ok = mm_base64_parse(mm_bytes_of(text_of(o, "chain")), &der,
	    NULL) == MM_OK && der.n > 0 &&
	    der.n <= sizeof(out->der) - out->der_n;

	out->cert_n = out->der_n;
	if (ok) {
		memcpy(out->der + out->der_n, der.p, der.n);
		out->der_n += der.n;
	}
	mm_buf_done(&der);
	return ok;
}

/* What a step's answer must hold beside its result; NULL: nothing. */
static const struct {
	bool said;
	const char *der;
} wanted[MM_EFFECTS] = {
	[MM_DO_HELLO] = { true, NULL },
	[MM_DO_KEY] = { false, "public_key" },
	[MM_DO_CSR] = { false, "csr" },
	[MM_DO_READ_BACK] = { true, NULL },
	[MM_DO_PROVE] = { false, "signature" },
	[MM_DO_CHECK] = { true, NULL },
	[MM_DO_GET] = { false, "certificate" },
};

static bool
take_done(const json_t *o, const struct mm_driver_job *job,
    struct mm_driver_answer *out)
{
	if (wanted[job->effect].said)
		return take_said(o, &out->said);
	if (wanted[job->effect].der == NULL)
		return true;
	return take_der(o, wanted[job->effect].der, out) &&
	    (job->effect != MM_DO_GET || take_chain(o, out));
}

/* A reason by its code; the board's and the fixture's only. */
static enum mm_unit_reason
reason_of(const char *code)
{
	for (unsigned i = 1; i < MM_UNIT_REASONS; i++)
		if (strcmp(mm_unit_reasons[i].code, code) == 0 &&
		    (mm_unit_reasons[i].exit == MM_EXIT_BOARD ||
		    mm_unit_reasons[i].exit == MM_EXIT_SWAPPED))
			return (enum mm_unit_reason)i;
	return MM_UR_DRIVER;
}

static enum mm_err
take_result(const json_t *o, const struct mm_driver_job *job,
    struct mm_driver_answer *out, struct mm_exec_result *r,
    struct mm_why *why)
{
	const char *result = text_of(o, "result");

	snprintf(r->note, sizeof(r->note), "%s", text_of(o, "note"));
	if (strcmp(result, "failed") == 0) {
		r->got = MM_DRIVER_FAILED;
		r->reason = reason_of(text_of(o, "reason"));
		return MM_OK;
	}
	if (strcmp(result, "again") == 0 && job->effect == MM_DO_COMMIT) {
		r->got = MM_DRIVER_AGAIN;
		return MM_OK;
	}
	if (strcmp(result, "done") != 0)
		return MM_FAIL(why, MM_EINPUT, "result: want done or failed");
	if (!take_done(o, job, out))
		return MM_FAIL(why, MM_EINPUT, "done, without what step %s "
		    "must answer", mm_unit_effect_names[job->effect]);
	r->got = MM_DRIVER_DONE;
	return MM_OK;
}

/* NULL: there is none. */
static json_t *
last_result(struct mm_bytes said)
{
	json_t *last = NULL;

	while (said.n > 0) {
		const uint8_t *lf = memchr(said.p, '\n', said.n);
		size_t n = lf == NULL ? said.n : (size_t)(lf - said.p) + 1;
		json_t *o = json_loadb((const char *)said.p, n,
		    JSON_REJECT_DUPLICATES, NULL);

		if (json_is_string(json_object_get(o, "result"))) {
			json_decref(last);
			last = o;
		} else {
			json_decref(o);
		}
		said.p += n;
		said.n -= n;
	}
	return last;
}

/* see exec.h */
enum mm_err
mm_exec_read(struct mm_bytes said, const struct mm_driver_job *job,
    struct mm_driver_answer *out, struct mm_exec_result *result,
    struct mm_why *why)
{
	json_t *last = last_result(said);
	enum mm_err rc;

	if (last == NULL)
		return MM_FAIL(why, MM_EINPUT, "it ended without a result");
	memset(result, 0, sizeof(*result));
	rc = take_result(last, job, out, result, why);
	json_decref(last);
	return rc;
}

static void
take_selftest(const json_t *o, struct mm_selftest *out)
{
	const char *result = text_of(o, "result");

	snprintf(out->note, sizeof(out->note), "%s", text_of(o, "note"));
	snprintf(out->tool, sizeof(out->tool), "%s", text_of(o, "tool"));
	snprintf(out->version, sizeof(out->version), "%s",
	    text_of(o, "version"));
	plain(out->note);
	plain(out->tool);
	plain(out->version);
	if (strcmp(result, "done") == 0 && out->tool[0] != '\0') {
		out->is = MM_SELFTEST_WORKS;
	} else if (strcmp(result, "failed") == 0 &&
	    strcmp(text_of(o, "reason"),
		mm_unit_reasons[MM_UR_SELFTEST].code) == 0) {
		out->is = MM_SELFTEST_FAILED;
		out->reason = MM_UR_SELFTEST;
	}
}

/* see exec.h */
void
mm_exec_read_selftest(struct mm_bytes said, bool status_0,
    struct mm_selftest *out)
{
	json_t *last = last_result(said);

	memset(out, 0, sizeof(*out));
	out->is = MM_SELFTEST_SILENT;
	if (last != NULL)
		take_selftest(last, out);
	json_decref(last);
	if (out->is == MM_SELFTEST_SILENT)
		*out = (struct mm_selftest){ .is = MM_SELFTEST_SILENT };
	if (out->is != MM_SELFTEST_WORKS || status_0)
		return;
	out->is = MM_SELFTEST_FAILED;
	out->reason = MM_UR_SELFTEST;
	snprintf(out->note, sizeof(out->note),
	    "it said that it works, and failed");
}
