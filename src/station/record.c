#include "station/record.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/time.h"
#include "pki/possession.h"

enum { RECORD_MAX = 1 << 20 };

/* see record.h */
enum mm_err
mm_record_path(const struct mm_station_conf *conf, const char *serial,
    char *out, size_t outn, struct mm_why *why)
{
	char name[MM_DEVICE_ID_MAX + 6];
	size_t n = strlen(serial);

	MM_INVARIANT(n <= MM_DEVICE_ID_MAX);
	for (size_t i = 0; i < n; i++)
		name[i] = (char)tolower((unsigned char)serial[i]);
	strcpy(name + n, ".json");
	if ((size_t)snprintf(out, outn, "%s/records/%s", conf->state, name) >=
	    outn)
		return MM_FAIL(why, MM_ELIMIT, "record: its path is too long");
	return MM_OK;
}

static void
put_proved(struct mm_json *j, const struct mm_place *p)
{
	const struct mm_unit *u = p->unit;
	struct mm_cert c;

	mm_json_open_key(j, "proved", '{');
	mm_json_hex(j, "spki_sha256", (struct mm_bytes){ u->spki, 32 });
	mm_json_hex(j, "cert_sha256", (struct mm_bytes){ u->cert, 32 });
	if (mm_cert_walk(mm_buf_view(&p->cert), &c, NULL) == MM_OK &&
	    c.spki.type < MM_KEY_TYPES)
		mm_json_str(j, "key_type", mm_key_type_name(c.spki.type));
	mm_json_open_key(j, "possession", '{');
	mm_json_hex(j, "nonce", (struct mm_bytes){ p->nonce,
	    sizeof(p->nonce) });
	mm_json_str(j, "hardware", u->hw);
	mm_json_b64(j, "signature", (struct mm_bytes){ p->proof,
	    p->proof_n });
	mm_json_close(j, '}');
	mm_json_close(j, '}');
}

static void
put_observed(struct mm_json *j, const struct mm_place *p)
{
	mm_json_open_key(j, "observed", '{');
	mm_json_bool(j, "read_back", true);
	mm_json_bool(j, "identity_was_there", p->known);
	mm_json_open_key(j, "steps_ms", '{');
	for (unsigned i = 1; i < MM_EFFECTS; i++)
		if (p->step_ms[i] >= 0)
			mm_json_int(j, mm_unit_effect_names[i],
			    p->step_ms[i]);
	mm_json_close(j, '}');
	mm_json_close(j, '}');
}

/* That it is locked is what it says: nobody can see it from outside. */
static void
put_claimed(struct mm_json *j, const struct mm_place *p)
{
	mm_json_open_key(j, "claimed", '{');
	mm_json_str(j, "hardware", p->unit->hw);
	mm_json_str(j, "firmware", p->said.firmware);
	mm_json_bool(j, "locked", p->said.locked);
	mm_json_str(j, "key_origin", "device");
	mm_json_str(j, "randomness", "the device's own, with 32 bytes of the "
	    "station's mixed in");
	mm_json_close(j, '}');
}

static void
put_pem(struct mm_json *j, const char *key, struct mm_bytes der)
{
	struct mm_buf pem = MM_BUF_INIT(RECORD_MAX);
	const char *text;

	mm_pem_put(&pem, "CERTIFICATE", der);
	text = mm_buf_cstr(&pem);
	mm_json_str(j, key, text != NULL ? text : "");
	mm_buf_done(&pem);
}

static enum mm_err
put_receipt(struct mm_json *j, const json_t *receipt, struct mm_why *why)
{
	char *text = json_dumps(receipt, JSON_COMPACT);

	if (text == NULL)
		return MM_FAIL(why, MM_ENOMEM, "record: the receipt");
	mm_json_raw(j, "receipt", mm_bytes_of(text));
	free(text);
	return MM_OK;
}

static enum mm_err
put_record(struct mm_json *j, const struct mm_line *l,
    const struct mm_place *p, const json_t *receipt, struct mm_why *why)
{
	const struct mm_unit *u = p->unit;

	mm_json_open(j, '{');
	mm_json_int(j, "v", 1);
	mm_json_str(j, "device", u->serial);
	mm_json_time(j, "at", mm_now_ms());
	mm_json_str(j, "time_source", "system");
	mm_json_str(j, "station", l->conf->name);
	mm_json_str(j, "fixture", u->fixture);
	mm_json_int(j, "attempt", (int64_t)u->attempt);
	mm_json_str(j, "serial", p->cert_serial);
	mm_json_str(j, "profile", p->profile);
	put_proved(j, p);
	put_observed(j, p);
	put_claimed(j, p);
	put_pem(j, "certificate", mm_buf_view(&p->cert));
	MM_TRY(put_receipt(j, receipt, why));
	mm_json_close(j, '}');
	mm_buf_text(j->out, "\n");
	return mm_buf_ok(j->out, why);
}

/* see record.h */
enum mm_err
mm_record_write(const struct mm_line *l, const struct mm_place *p,
    const json_t *receipt, struct mm_why *why)
{
	struct mm_buf out = MM_BUF_INIT(RECORD_MAX);
	struct mm_json j = mm_json_over(&out);
	char path[PATH_MAX + 128];
	enum mm_err rc;

	MM_TRY(mm_record_path(l->conf, p->unit->serial, path, sizeof(path),
	    why));
	rc = put_record(&j, l, p, receipt, why);
	if (rc == MM_OK)
		rc = mm_file_replace(path, mm_buf_view(&out), 0640, why);
	mm_buf_done(&out);
	return rc;
}
