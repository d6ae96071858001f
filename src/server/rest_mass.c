#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "core/mass.h"
#include "server/rest.h"
#include "server/select.h"

/* Certificates revoked, held and released by selection. */
enum {
	SERIALS_MOST = 1000,
	HEX_N = 2 * MM_SERIAL_N,
	LOOK_MS = 15000, /* for a count of all that is selected */
};

struct asked {
	struct mm_selection of;
	char verb[8], reason[32], key_type[16];
	bool dry_run;
	char serials[SERIALS_MOST * (HEX_N + 1) + 1];
	uint8_t serial[SERIALS_MOST][MM_SERIAL_N];
};
MM_FREE_FN(asked_free, struct asked, free)

#define M(name, type, field)                                  \
	{ name, type, false, offsetof(struct asked, field),   \
	    sizeof(((struct asked *)0)->field) }
static const struct mm_member members[] = {
	M("batch", MM_M_NAME, of.batch),
	M("station", MM_M_NAME, of.station),
	M("product", MM_M_NAME, of.product),
	M("issuer", MM_M_NAME, of.issuer),
	M("profile", MM_M_TEXT, of.profile),
	M("device", MM_M_DEVICE, of.device),
	M("issued_from", MM_M_TIME, of.issued_from),
	M("issued_to", MM_M_TIME, of.issued_to),
	M("key_type", MM_M_TEXT, key_type),
	M("where", MM_M_TEXT, of.where),
	M("serials", MM_M_NAMES, serials),
	M("action", MM_M_TEXT, verb),
	M("reason", MM_M_TEXT, reason),
	M("dry_run", MM_M_BOOL, dry_run),
};

static const char *const verbs[] = {
	[MM_MASS_REVOKE] = "revoke",
	[MM_MASS_HOLD] = "hold",
	[MM_MASS_RELEASE] = "release",
};

static enum mm_err
read_serials(struct asked *a, struct mm_why *why)
{
	const char *at = a->serials;
	size_t n = 0;

	while (*at != '\0') {
		size_t len = strcspn(at, ",");

		if (n == SERIALS_MOST || mm_hex_parse(at, len, a->serial[n],
		    MM_SERIAL_N, NULL) != MM_OK)
			return MM_FAIL(why, MM_EINPUT, "serials: want at most "
			    "%d of %d hexadecimal digits", SERIALS_MOST,
			    HEX_N);
		n++;
		at += len + (at[len] == ',');
	}
	a->of.serial = &a->serial[0][0];
	a->of.nserials = n;
	return MM_OK;
}

static enum mm_err
read_key_type(struct asked *a, struct mm_why *why)
{
	enum mm_key_type type;

	if (a->key_type[0] == '\0')
		return MM_OK;
	MM_TRY(mm_key_type_parse(a->key_type, &type, why));
	a->of.key_type = (uint8_t)(1 + type);
	return MM_OK;
}

static enum mm_err
read_verb(const struct asked *a, struct mm_mass *m, struct mm_why *why)
{
	size_t n = sizeof(verbs) / sizeof(verbs[0]), i = 0;

	while (i < n && strcmp(verbs[i], a->verb) != 0)
		i++;
	if (i == n && a->verb[0] != '\0')
		return MM_FAIL(why, MM_EINPUT, "action: want revoke, hold or "
		    "release");
	m->verb = i == n ? MM_MASS_REVOKE : (enum mm_mass_verb)i;
	if (a->reason[0] == '\0')
		return MM_OK;
	if (m->verb != MM_MASS_REVOKE)
		return MM_FAIL(why, MM_EINPUT, "reason: of revoking alone");
	return mm_reason_parse(a->reason, &m->reason, why);
}

static enum mm_err
read_asked(struct mm_rest *r, struct asked *a, struct mm_mass *m,
    struct mm_why *why)
{
	MM_TRY(mm_rest_members(r->in, members,
	    sizeof(members) / sizeof(members[0]), a, why));
	MM_TRY(mm_select_check(r, why));
	MM_TRY(read_serials(a, why));
	MM_TRY(read_key_type(a, why));
	MM_TRY(read_verb(a, m, why));
	m->dry_run = a->dry_run;
	return MM_OK;
}

/* ---- from call to call ---- */

static enum mm_err
read_place(const struct mm_rest *r, struct mm_mass *m, struct mm_why *why)
{
	m->rows = MM_SELECT_ROWS;
	m->run_ms = MM_SELECT_RUN_MS;
	return mm_select_read(r, &m->most, m->after, why);
}

/* Whether a walk may end at issued_to: the clock was right, always. */
static enum mm_err
look_at_order(struct mm_rest *r, struct mm_selection *of, struct mm_why *why)
{
	uint64_t size;

	if (of->issued_to == 0)
		return MM_OK;
	MM_TRY(mm_get_ledger_size(r->reader, &size, why));
	mm_order_look(&r->s->order, r->reader, size, MM_REST_ORDER_MS);
	of->in_order = mm_order_within(&r->s->order, MM_ORDER_ROWS, size,
	    MM_RECALL_SLACK_MS);
	return MM_OK;
}

static void
put_sample(struct mm_json *j, const struct mm_mass *m)
{
	mm_json_open_key(j, "sample", '[');
	for (unsigned i = 0; i < m->nsample; i++) {
		const struct mm_cert_row *c = &m->sample[i];

		mm_json_open(j, '{');
		mm_rest_put_serial(j, "serial", c->serial);
		mm_json_str(j, "device", c->device);
		mm_json_str(j, "product", c->product);
		mm_json_str(j, "issuer", c->issuer);
		mm_json_str(j, "state", mm_cert_state_name(c->state));
		mm_rest_put_time(j, "issued", c->issued_at);
		mm_json_close(j, '}');
	}
	mm_json_close(j, ']');
}

static void
put_answer(struct mm_rest *r, const struct mm_mass *m)
{
	struct mm_json *j = &r->j;

	mm_json_open(j, '{');
	mm_json_str(j, "action", verbs[m->verb]);
	mm_json_bool(j, "dry_run", m->dry_run);
	mm_json_int(j, "found", (int64_t)m->found);
	mm_json_int(j, "changed", (int64_t)m->changed);
	mm_json_int(j, "refused", (int64_t)m->refused);
	mm_json_int(j, "unknown", (int64_t)m->unknown);
	mm_json_bool(j, "left", m->left);
	if (m->left)
		mm_select_put_next(r, m->next);
	mm_json_open_key(j, "states", '{');
	for (int i = 0; i < MM_CERT_STATES; i++)
		if (m->state[i] > 0)
			mm_json_int(j, mm_cert_state_name(
			    (enum mm_cert_state)i), (int64_t)m->state[i]);
	mm_json_close(j, '}');
	put_sample(j, m);
	mm_json_close(j, '}');
}

/* Of what is selected by attributes, which others write, an approval without
 * a count would be one for anything. */
static enum mm_err
is_counted(const struct asked *a, const struct mm_mass *m, struct mm_why *why)
{
	if (!m->left || a->of.where[0] == '\0')
		return MM_OK;
	return MM_FAIL(why, MM_ELIMIT, "what another administrator approves "
	    "by attributes is counted, and that took more than %d s: ask for "
	    "less at once, by batch or time of issue", LOOK_MS / 1000);
}

/* see rest.h */
enum mm_err
mm_certs_look(struct mm_rest *r, int64_t before, int64_t *found,
    struct mm_why *why)
{
	MM_OWN(asked_free) struct asked *a = calloc(1, sizeof(*a));
	struct mm_mass m = { .rows = UINT64_MAX, .most = UINT64_MAX,
		.run_ms = LOOK_MS, .before = before, .room = UINT64_MAX };
	enum mm_err rc;

	if (a == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	MM_TRY(read_asked(r, a, &m, why));
	m.dry_run = true;
	MM_TRY(look_at_order(r, &a->of, why));
	MM_TRY(mm_select_begin(r, why));
	rc = mm_desk_mass(r->desk, &r->login, &a->of, &m, why);
	mm_select_end(r, false, 0);
	MM_TRY(rc);
	*found = m.left ? -1 : (int64_t)m.older;
	return is_counted(a, &m, why);
}

enum mm_err
mm_rest_certs_revoke(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(asked_free) struct asked *a = calloc(1, sizeof(*a));
	struct mm_mass m = { 0 };
	enum mm_err rc;

	if (a == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	MM_TRY(read_asked(r, a, &m, why));
	MM_TRY(read_place(r, &m, why));
	MM_TRY(look_at_order(r, &a->of, why));
	MM_TRY(mm_select_begin(r, why));
	rc = mm_approval_room(r, m.most, &m.room, &m.before, why);
	if (rc == MM_OK)
		rc = mm_desk_mass(r->desk, &r->login, &a->of, &m, why);
	mm_select_end(r, rc == MM_OK && !m.left, m.spent);
	MM_TRY(rc);
	put_answer(r, &m);
	return MM_OK;
}
