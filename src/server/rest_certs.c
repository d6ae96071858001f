#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/time.h"
#include "core/sync.h"
#include "server/rest.h"
#include "server/upstream.h"

/* Certificates and their issuers. */

static void
put_cert(struct mm_json *j, const void *row)
{
	const struct mm_cert_row *c = row;
	static const uint8_t none[16];

	mm_rest_put_serial(j, "serial", c->serial);
	mm_json_str(j, "device", c->device);
	mm_json_str(j, "product", c->product);
	mm_json_str(j, "issuer", c->issuer);
	mm_json_str(j, "profile", c->profile);
	mm_json_str(j, "authority", c->authority);
	mm_json_str(j, "state", mm_cert_state_name(c->state));
	mm_json_bool(j, "idevid", c->idevid);
	mm_json_str(j, "key_origin", mm_key_origin_name(c->key_origin));
	if (c->key_type != 0)
		mm_json_str(j, "key_type", mm_key_type_name(
		    (enum mm_key_type)(c->key_type - 1)));
	mm_rest_put_sha256(j, "spki_sha256", c->spki_sha256);
	mm_rest_put_sha256(j, "cert_sha256", c->cert_sha256);
	if (memcmp(c->predecessor, none, sizeof(none)) != 0)
		mm_rest_put_serial(j, "predecessor", c->predecessor);
	mm_rest_put_time(j, "issued", c->issued_at);
	mm_rest_put_time_s(j, "not_before", c->not_before_s);
	mm_rest_put_time_s(j, "not_after", c->not_after_s);
	mm_rest_put_time(j, "confirmed", c->confirmed_at);
	mm_rest_put_time(j, "revoked", c->revoked_at);
	if (c->revoked_at != 0)
		mm_json_str(j, "reason", mm_reason_name(c->reason));
	mm_json_int(j, "index", (int64_t)c->entry);
}

/* Of an existing CA's: what it is there. */
static enum mm_err
put_ca_serial(struct mm_rest *r, const void *row, struct mm_why *why)
{
	const struct mm_cert_row *c = row;
	char text[MM_CA_SERIAL_TEXT];

	MM_TRY(mm_ca_serial(r->reader, c->serial, text, why));
	if (text[0] != '\0')
		mm_json_str(&r->j, "ca_serial", text);
	return MM_OK;
}

static const char *
state_name(unsigned i)
{
	return mm_cert_state_name((enum mm_cert_state)i);
}

enum mm_err
mm_rest_certs(struct mm_rest *r, struct mm_why *why)
{
	char spki[65];
	uint8_t hash[32];
	struct mm_page p;

	MM_TRY(mm_page_read(r, " device product profile issuer state "
	    "expires_from expires_to issued_to spki_sha256 ", &p, why));
	MM_TRY(mm_rest_query(r, "spki_sha256", spki, sizeof(spki), why));
	if (spki[0] != '\0' && mm_hex_parse(spki, strlen(spki), hash, 32,
	    NULL) != MM_OK)
		return MM_FAIL(why, MM_EINPUT,
		    "spki_sha256: want 64 hexadecimal digits");
	p.list.spki_sha256 = spki[0] != '\0' ? hash : NULL;
	p.more = put_ca_serial;
	p.far = p.list.expires_from_s != 0 || p.list.expires_to_s != 0;
	MM_TRY(mm_page_state(r, &p.list.state, state_name, MM_CERT_STATES,
	    why));
	return mm_page_put(r, &p, mm_list_certs, put_cert, why);
}

/* Of an issuer that is configured still. */
static void
put_chain(struct mm_rest *r, const char *issuer)
{
	const struct mm_bytes *der;
	size_t n;

	if (mm_core_issuer_chain(r->s->core, issuer, &der, &n, NULL) == MM_OK)
		mm_rest_put_pem(&r->j, "chain", der, n);
}

/* What the station that made it has entered of it. */
static enum mm_err
put_station_entry(
    struct mm_rest *r, const struct mm_cert_row *row, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(MM_SYNC_ENTRY_MAX);

	MM_TRY(mm_station_entry(r->reader, row, &text, why));
	if (text.n > 0)
		mm_json_strn(&r->j, "station_entry", mm_buf_view(&text));
	return MM_OK;
}

/* An orphan of ours has no DER: its bytes never reached the store. */
enum mm_err
mm_rest_cert(struct mm_rest *r, struct mm_why *why)
{
	struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	struct mm_cert_row row;
	uint8_t serial[16];
	struct mm_bytes view;

	MM_TRY(mm_rest_serial(r, serial, why));
	MM_TRY(mm_get_cert(r->reader, serial, &row, why));
	mm_json_open(&r->j, '{');
	put_cert(&r->j, &row);
	MM_TRY(put_ca_serial(r, &row, why));
	if (mm_get_cert_der(r->reader, serial, &der, NULL) == MM_OK &&
	    der.n > 0) {
		view = mm_buf_view(&der);
		mm_rest_put_pem(&r->j, "pem", &view, 1);
		put_chain(r, row.issuer);
	}
	mm_buf_done(&der);
	MM_TRY(put_station_entry(r, &row, why));
	mm_json_close(&r->j, '}');
	return MM_OK;
}

/* ---- revocation ---- */

static enum mm_err
answer_state(struct mm_rest *r, const uint8_t serial[16], bool already,
    struct mm_why *why)
{
	struct mm_cert_row row;

	MM_TRY(mm_get_cert(r->reader, serial, &row, why));
	mm_json_open(&r->j, '{');
	mm_rest_put_serial(&r->j, "serial", serial);
	mm_json_str(&r->j, "state", mm_cert_state_name(row.state));
	mm_json_bool(&r->j, "already", already);
	mm_json_close(&r->j, '}');
	mm_work_tick(r->s->work); /* a new CRL, now */
	return MM_OK;
}

enum mm_err
mm_rest_cert_revoke(struct mm_rest *r, struct mm_why *why)
{
	char name[32] = "unspecified";
	const struct mm_member row = { "reason", MM_M_TEXT, false, 0,
		sizeof(name) };
	uint8_t serial[16];
	unsigned reason;
	bool already = false;

	MM_TRY(mm_rest_serial(r, serial, why));
	MM_TRY(mm_rest_members(r->in, &row, 1, name, why));
	MM_TRY(mm_reason_parse(name, &reason, why));
	MM_TRY(mm_desk_cert_revoke(r->desk, &r->login, serial, reason,
	    &already, why));
	return answer_state(r, serial, already, why);
}

static enum mm_err
hold(struct mm_rest *r, bool release, struct mm_why *why)
{
	uint8_t serial[16];

	MM_TRY(mm_rest_serial(r, serial, why));
	MM_TRY(mm_rest_members(r->in, NULL, 0, NULL, why));
	MM_TRY(mm_desk_cert_hold(r->desk, &r->login, serial, release, why));
	return answer_state(r, serial, false, why);
}

enum mm_err
mm_rest_cert_hold(struct mm_rest *r, struct mm_why *why)
{
	return hold(r, false, why);
}

enum mm_err
mm_rest_cert_release(struct mm_rest *r, struct mm_why *why)
{
	return hold(r, true, why);
}

/* ---- issuers ---- */

/* Not ended, as counted last; line CAs are counted together. */
static void
put_good(struct mm_rest *r, const char *issuer)
{
	struct mm_forecast *f = mm_core_forecast(r->s->core);
	const int64_t today = mm_now_s() / 86400;
	uint64_t n = 0;

	for (size_t i = 0; f != NULL && i < f->ncell; i++)
		if (f->cell[i].day >= today &&
		    strcmp(f->class[f->cell[i].class].issuer, issuer) == 0)
			n += f->cell[i].n;
	if (f != NULL && !mm_issuer_is_line(r->s->core, issuer))
		mm_json_int(&r->j, "certificates", (int64_t)n);
	mm_core_forecast_done(r->s->core, f);
}

/* Who takes whose place, and when. */
static void
put_place(struct mm_rest *r, const struct mm_issuer_conf *i)
{
	mm_json_str(&r->j, "state", mm_issuer_states[mm_config_state(
	    r->s->config, i, mm_now_s())]);
	if (i->follows[0] == '\0')
		return;
	mm_json_str(&r->j, "follows", i->follows);
	if (i->follows_from[0] != '\0')
		mm_rest_put_time_s(&r->j, "follows_from", mm_issuer_from(i));
}

static void
put_at(struct mm_rest *r, const char *key, int64_t at_ms)
{
	if (at_ms != 0)
		mm_json_time(&r->j, key, at_ms);
}

/* Whose devices alone wait: wrong answers, or a no, in a row. */
static void
put_resting(struct mm_rest *r, const struct mm_issuer_conf *i)
{
	const struct mm_config *c = r->s->config;
	const int64_t now = mm_mono_ms();
	bool any = false;

	for (size_t k = 0; k < c->nprofile; k++) {
		int64_t at = mm_core_upstream_next(r->s->core, i->name, k);

		if (at <= now)
			continue;
		if (!any)
			mm_json_open_key(&r->j, "resting_profiles", '[');
		any = true;
		mm_json_open(&r->j, '{');
		mm_json_str(&r->j, "profile", c->profile[k].name);
		put_at(r, "until", mm_now_ms() + at - now);
		mm_json_close(&r->j, '}');
	}
	if (any)
		mm_json_close(&r->j, ']');
}

/* Another CA's, which is asked: how it does. */
static void
put_upstream(struct mm_rest *r, const struct mm_issuer_conf *i,
    const struct mm_upstream_now *n)
{
	mm_json_open_key(&r->j, "upstream", '{');
	mm_json_str(&r->j, "by", mm_issuer_est(i) ? "est" : "exec");
	mm_json_str(&r->j, "state", !n->registrar ? "away" :
	    n->rest_ms > 0 ? "resting" : n->core.failed_at != 0 ? "failing" :
	    n->times.answered_at != 0 ? "answering" : "unasked");
	mm_json_int(&r->j, "asked", (int64_t)n->core.asked);
	for (unsigned k = 0; k < MM_FORWARDS; k++)
		mm_json_int(&r->j, mm_upstream_words[k],
		    (int64_t)n->core.n[k]);
	mm_json_int(&r->j, "waiting", n->core.waiting);
	put_at(r, "asked_at", n->times.asked_at);
	put_at(r, "answered_at", n->times.answered_at);
	put_at(r, "failing_since", n->core.failed_at);
	if (n->rest_ms > 0)
		put_at(r, "resting_until", mm_now_ms() + n->rest_ms);
	put_resting(r, i);
	if (n->core.why[0] != '\0')
		mm_json_str(&r->j, "why", n->core.why);
	mm_json_close(&r->j, '}');
}

static enum mm_err
put_issuer(struct mm_rest *r, const struct mm_issuer_conf *i,
    struct mm_why *why)
{
	struct mm_buf subject = MM_BUF_INIT(1024);
	struct mm_bytes der;
	struct mm_cert c;
	uint64_t number;
	int64_t next_s;
	char url[MM_URL_MAX + 64];
	struct mm_upstream_now now;

	MM_TRY(mm_core_issuer_der(r->s->core, i->name, &der, why));
	MM_TRY(mm_cert_walk(der, &c, why));
	mm_name_text(c.subject, &subject);
	snprintf(url, sizeof(url), "%s/crl/%s.crl",
	    r->s->config->set.public_url, i->name);
	mm_json_open(&r->j, '{');
	mm_json_str(&r->j, "name", i->name);
	mm_json_strn(&r->j, "subject", mm_buf_view(&subject));
	mm_rest_put_time_s(&r->j, "not_after", c.not_after_s);
	put_place(r, i);
	put_good(r, i->name);
	if (mm_public_crl(r->s->pub, i->name, &number, &next_s)) {
		mm_json_int(&r->j, "crl_number", (int64_t)number);
		mm_rest_put_time_s(&r->j, "crl_next_update", next_s);
	}
	if (mm_upstream_now(r->s, i, &now))
		put_upstream(r, i, &now);
	else
		mm_json_str(&r->j, "crl_url", url);
	mm_rest_put_pem(&r->j, "pem", &der, 1);
	mm_json_close(&r->j, '}');
	mm_buf_done(&subject);
	return MM_OK;
}

enum mm_err
mm_rest_issuers(struct mm_rest *r, struct mm_why *why)
{
	const struct mm_config *c = r->s->config;

	mm_json_open(&r->j, '{');
	mm_json_open_key(&r->j, "items", '[');
	for (size_t i = 0; i < c->nissuer; i++)
		MM_TRY(put_issuer(r, &c->issuer[i], why));
	mm_json_close(&r->j, ']');
	mm_json_close(&r->j, '}');
	return MM_OK;
}

enum mm_err
mm_rest_issuer(struct mm_rest *r, struct mm_why *why)
{
	const struct mm_issuer_conf *i;
	char name[MM_NAME_MAX + 1];

	MM_TRY(mm_rest_segment(r, 0, name, sizeof(name), why));
	i = mm_config_issuer(r->s->config, name);
	if (i == NULL)
		return MM_FAIL(why, MM_ENOTFOUND, "no issuer %s", name);
	return put_issuer(r, i, why);
}

enum mm_err
mm_rest_issuer_crl(struct mm_rest *r, struct mm_why *why)
{
	char name[MM_NAME_MAX + 1];
	uint64_t number;

	MM_TRY(mm_rest_segment(r, 0, name, sizeof(name), why));
	MM_TRY(mm_rest_members(r->in, NULL, 0, NULL, why));
	MM_TRY(mm_desk_crl(r->desk, name, true, &number, why));
	mm_public_take(r->s->pub, name, r->reader);
	mm_public_refresh(r->s->pub, r->reader);
	mm_json_open(&r->j, '{');
	mm_json_int(&r->j, "number", (int64_t)number);
	mm_json_close(&r->j, '}');
	return MM_OK;
}
