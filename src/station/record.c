#include "station/record.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "line/birth.h"
#include "pki/cert.h"

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

/* ---- what the station says in it ---- */

static void
durations(const struct mm_place *p, struct mm_buf *out)
{
	for (unsigned i = 1; i < MM_EFFECTS; i++)
		if (p->step_ms[i] >= 0)
			mm_buf_printf(out, "%s%s %" PRId64,
			    out->n > 0 ? ", " : "", mm_unit_effect_names[i],
			    p->step_ms[i]);
}

static enum mm_err
say(struct mm_birth *b, const struct mm_place *p, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf took = MM_BUF_INIT(MM_BIRTH_VALUE);
	bool files = p->conf->driver == MM_DRIVER_FILES;
	char attempts[24];
	const struct {
		enum mm_birth_fact fact;
		enum mm_birth_grade grade;
		const char *value;
	} facts[] = {
		{ MM_B_attempts, MM_OBSERVED, attempts },
		{ MM_B_durations_ms, MM_OBSERVED, NULL },
		{ MM_B_fixture, MM_OBSERVED, p->unit->fixture },
		{ MM_B_operator, MM_OBSERVED, p->operator },
		/* a bundle's is no chip's */
		{ MM_B_hardware_id, MM_CLAIMED, files ? "" : p->unit->hw },
		{ MM_B_firmware, MM_CLAIMED, p->said.firmware },
		/* Nobody sees it from outside: it is what the device says. */
		{ MM_B_lock_state, MM_CLAIMED, p->said.locked ? "locked"
			: "open" },
		{ MM_B_randomness, MM_CLAIMED, files
		    ? "the station's own" : "the device's own, with 32 "
		    "bytes of the station's mixed in" },
		{ MM_B_storage_class, MM_CLAIMED, files ? "a file at the "
		    "station, until it is flashed" : "" },
	};

	snprintf(attempts, sizeof(attempts), "%" PRIu64, p->unit->attempt);
	durations(p, &took);
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
		const char *v = facts[i].value != NULL ? facts[i].value
		    : mm_buf_cstr(&took);

		if (v != NULL && v[0] != '\0')
			MM_TRY(mm_birth_say(b, facts[i].fact, facts[i].grade,
			    v, why));
	}
	return MM_OK;
}

static enum mm_err
make(const struct mm_place *p, const struct mm_record_from *of,
    struct mm_birth **out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf pem = MM_BUF_INIT(RECORD_MAX);
	struct mm_birth_from from = { .chain = of->chain,
		.receipt = of->receipt, .confirmation = of->confirmation };

	mm_pem_put(&pem, "CERTIFICATE", mm_buf_view(&p->cert));
	from.certificate = mm_buf_view(&pem);
	return mm_birth_new(&from, out, why);
}

/* What an offline unit's says besides. */
static enum mm_err
say_order(const struct mm_line *l, struct mm_birth *b, struct mm_why *why)
{
	char order[64];

	snprintf(order, sizeof(order), "%s %" PRId64, l->own->order->batch,
	    l->own->order->number);
	MM_TRY(mm_birth_say(b, MM_B_order, MM_OBSERVED, order, why));
	return mm_birth_say(b, MM_B_quota_level, MM_OBSERVED,
	    l->own->level, why);
}

/* see record.h */
enum mm_err
mm_record_write(const struct mm_line *l, const struct mm_place *p,
    const struct mm_record_from *from, struct mm_why *why)
{
	MM_OWN(mm_birth_free) struct mm_birth *b = NULL;
	MM_OWN(mm_buf_done) struct mm_buf out = MM_BUF_INIT(MM_BIRTH_MAX);
	char path[PATH_MAX + 128];

	MM_TRY(mm_record_path(l->conf, p->unit->serial, path, sizeof(path),
	    why));
	MM_TRY(make(p, from, &b, why));
	MM_TRY(say(b, p, why));
	if (p->offline)
		MM_TRY(say_order(l, b, why));
	MM_TRY(mm_birth_encode(b, &out, why));
	return mm_file_replace(path, mm_buf_view(&out), 0640, why);
}

/* ---- what it tells of a unit ---- */

static bool
take(const struct mm_birth *b, struct mm_unit *u)
{
	const char *key = b->value[MM_B_key_sha256];
	const char *cert = b->value[MM_B_certificate_sha256];
	int64_t attempts = 0;

	(void)!(mm_int_parse(b->value[MM_B_attempts], &attempts, NULL) ==
	    MM_OK);
	u->attempt = attempts > 0 ? (uint64_t)attempts : 1;
	u->state = MM_UNIT_PASSED;
	u->by = b->value[MM_B_quota_level][0] != '\0' ? MM_UNIT_BY_STATION
	    : MM_UNIT_BY_CENTRE;
	return mm_text_copy(u->serial, sizeof(u->serial),
	    mm_bytes_of(b->value[MM_B_device])) &&
	    mm_text_copy(u->hw, sizeof(u->hw),
	    mm_bytes_of(b->value[MM_B_hardware_id])) &&
	    mm_hex_parse(key, strlen(key), u->spki, 32, NULL) == MM_OK &&
	    mm_hex_parse(cert, strlen(cert), u->cert, 32, NULL) == MM_OK;
}

/* see record.h */
enum mm_err
mm_record_find(const struct mm_station_conf *conf, const char *serial,
    struct mm_unit *out, struct mm_why *why)
{
	MM_OWN(mm_birth_free) struct mm_birth *b = NULL;
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(MM_BIRTH_MAX);
	struct mm_unit u = { .serial = "" };
	char path[PATH_MAX + 128];

	MM_TRY(mm_record_path(conf, serial, path, sizeof(path), why));
	MM_TRY(mm_file_read(path, &text, why));
	MM_TRY(mm_birth_parse(mm_buf_view(&text), &b, why));
	if (!take(b, &u))
		return MM_FAIL(why, MM_EINPUT, "%.100s: not a station's "
		    "record", path);
	*out = u;
	return MM_OK;
}

/* see record.h */
bool
mm_record_is_there(const struct mm_station_conf *conf, const char *serial)
{
	char path[PATH_MAX + 128];

	return mm_record_path(conf, serial, path, sizeof(path), NULL) ==
	    MM_OK && access(path, F_OK) == 0;
}
