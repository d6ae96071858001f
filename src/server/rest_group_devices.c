#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/time.h"
#include "server/groups.h"

/* The devices of a bootstrap group: listed, shown, and let in. */

enum { ROWS_MOST = 1000 };

MM_FREE_FN(rows_free, struct mm_group_row, free)

/* ---- the list, as it comes ---- */

struct row_text {
	char device[MM_DEVICE_ID_MAX + 1], hardware[MM_DEVICE_ID_MAX + 1];
	char address[MM_GROUP_ADDRESS];
	uint8_t key[32], certificate[32];
};
#define M(name, type, must)                                         \
	{                                                           \
#name, type, must, offsetof(struct row_text, name), \
		    sizeof(((struct row_text *)0)->name)            \
	}
static const struct mm_member row_members[] = {
	M(device, MM_M_DEVICE, true),
	M(key, MM_M_SHA256, false),
	M(hardware, MM_M_TEXT, false),
	M(address, MM_M_TEXT, false),
	M(certificate, MM_M_SHA256, false),
};

/* A hardware id is an id like others, in the request's subject. */
static enum mm_err
read_row(json_t *in, const struct mm_group *g, struct mm_group_member *m,
    struct mm_why *why)
{
	struct row_text t = { .device = "" };

	if (!json_is_object(in))
		return MM_FAIL(why, MM_EINPUT, "want an object");
	MM_TRY(mm_rest_members(in, row_members,
	    sizeof(row_members) / sizeof(row_members[0]), &t, why));
	if (t.hardware[0] != '\0' && (!mm_device_id_valid(t.hardware) ||
	    strcmp(t.hardware, t.device) == 0))
		return MM_FAIL(why, MM_EINPUT, "hardware: want 1 to 64 of A-Z "
		    "a-z 0-9 . _ -, and not the device's id");
	if (t.address[0] != '\0')
		MM_TRY(mm_sources_check(t.address, why));
	strcpy(m->device, t.device);
	strcpy(m->address, t.address);
	memcpy(m->key, t.key, 32);
	memcpy(m->certificate, t.certificate, 32);
	if (t.hardware[0] != '\0')
		mm_member_hardware(t.device, t.hardware, m->hardware);
	if ((g->kind == MM_GROUP_NONE || g->kind == MM_GROUP_CLAIM) &&
	    json_object_get(in, "certificate") != NULL)
		return MM_FAIL(why, MM_EINPUT, "certificate: the group's "
		    "devices have none");
	if (g->kind == MM_GROUP_CERTIFICATES && g->ncredentials == 0 &&
	    t.certificate[31] == 0 && memcmp(t.certificate,
	    (uint8_t[32]){ 0 }, 32) == 0)
		return MM_FAIL(why, MM_EINPUT, "certificate: missing, and the "
		    "group has no other");
	return MM_OK;
}

static void
put_errors(struct mm_rest *r, const struct mm_group_row *row, size_t n)
{
	mm_json_open_key(&r->j, "errors", '[');
	for (size_t i = 0; i < n; i++) {
		if (row[i].result == MM_OK)
			continue;
		mm_json_open(&r->j, '{');
		mm_json_int(&r->j, "row", (int64_t)i + 1);
		mm_json_str(&r->j, "device", row[i].m.device);
		mm_json_str(&r->j, "problem", mm_err_slug(row[i].result));
		mm_json_str(&r->j, "detail", row[i].why.text);
		mm_json_close(&r->j, '}');
	}
	mm_json_close(&r->j, ']');
}

static void
put_answer(struct mm_rest *r, const struct mm_group_row *row, size_t n)
{
	int64_t made = 0, same = 0, bad = 0;

	for (size_t i = 0; i < n; i++) {
		bad += row[i].result != MM_OK;
		same += row[i].result == MM_OK && row[i].already;
		made += row[i].result == MM_OK && !row[i].already;
	}
	mm_json_open(&r->j, '{');
	mm_json_int(&r->j, "listed", made);
	mm_json_int(&r->j, "unchanged", same);
	mm_json_int(&r->j, "failed", bad);
	put_errors(r, row, n);
	mm_json_close(&r->j, '}');
}

enum mm_err
mm_rest_group_list(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(rows_free) struct mm_group_row *row = NULL;
	const json_t *rows = json_object_get(r->in, "devices");
	size_t n = json_array_size(rows);
	struct mm_group g;
	uint8_t hash[32];

	if (json_object_size(r->in) != 1 || n < 1 || n > ROWS_MOST)
		return MM_FAIL(why, MM_EINPUT, "devices: want a list of 1 to "
		    "%d", ROWS_MOST);
	MM_TRY(mm_rest_group_of(r, &g, why));
	if (g.state == MM_WORK_CLOSED)
		return MM_FAIL(why, MM_ECONFLICT, "group %s is closed", g.id);
	row = calloc(n, sizeof(*row));
	if (row == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++)
		row[i].result = read_row(json_array_get(rows, i), &g,
		    &row[i].m, &row[i].why);
	mm_sha256(r->req->body, hash);
	MM_TRY(mm_desk_group_list(r->desk, &r->login, &g, row, n, hash, why));
	put_answer(r, row, n);
	return MM_OK;
}

/* ---- the list, as it stands ---- */

struct listing {
	struct mm_rest *r;
	const char *group;
	struct mm_group_member *row;
	unsigned n, most, looked;
	int state;
	char last[MM_DOC_ID_MAX + 1];
	bool more;
};

static enum mm_err
take_member(void *ctx, const void *doc, const char *next, struct mm_why *why)
{
	struct listing *l = ctx;

	l->looked++;
	if (l->n == l->most) {
		l->more = true;
		return MM_OK;
	}
	(void)!mm_text_copy(l->last, sizeof(l->last), mm_bytes_of(next));
	MM_TRY(mm_member_parse(doc, &l->row[l->n], why));
	l->n += l->state < 0 || l->row[l->n].state == l->state;
	return MM_OK;
}

static void
put_facts(struct mm_json *j, const struct mm_group_member *m)
{
	static const uint8_t none[32];
	const struct {
		const char *name;
		bool has;
	} row[] = {
		{ "key", memcmp(m->key, none, 32) != 0 },
		{ "hardware", memcmp(m->hardware, none, 32) != 0 },
		{ "certificate", memcmp(m->certificate, none, 32) != 0 },
		{ "address", m->address[0] != '\0' },
	};

	mm_json_open_key(j, "facts", '[');
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		if (row[i].has)
			mm_json_str(j, NULL, row[i].name);
	mm_json_close(j, ']');
}

/* What became of the certificate that it got. */
static enum mm_err
put_certificate(struct listing *l, const struct mm_group_member *m,
    struct mm_why *why)
{
	char authority[MM_AUTHORITY_TEXT];
	struct mm_cert_row cert;
	struct mm_claim claim;
	enum mm_err rc;

	if (m->state != MM_MEMBER_ISSUED)
		return MM_OK;
	mm_group_authority(l->group, m->device, authority);
	rc = mm_get_claim(l->r->reader, authority, &claim, NULL);
	if (rc == MM_OK)
		rc = mm_get_cert(l->r->reader, claim.serial, &cert, NULL);
	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	mm_rest_put_serial(&l->r->j, "serial", cert.serial);
	mm_json_str(&l->r->j, "certificate", mm_cert_state_name(cert.state));
	mm_json_bool(&l->r->j, "over", cert.confirmed_at != 0);
	return MM_OK;
}

static enum mm_err
put_member(struct listing *l, const struct mm_group_member *m,
    struct mm_why *why)
{
	struct mm_json *j = &l->r->j;

	mm_json_open(j, '{');
	mm_json_str(j, "device", m->device);
	mm_json_str(j, "state", mm_member_words[m->state]);
	mm_rest_put_time(j, "at", m->at);
	mm_rest_put_sha256(j, "spki_sha256", m->spki);
	if (m->by[0] != '\0')
		mm_json_str(j, "by", m->by);
	if (m->note[0] != '\0')
		mm_json_str(j, "released", m->note);
	put_facts(j, m);
	MM_TRY(put_certificate(l, m, why));
	mm_json_close(j, '}');
	return mm_buf_ok(&l->r->out, why);
}

static const char *
state_name(unsigned i)
{
	return mm_member_words[i];
}

static enum mm_err
put_members(struct listing *l, const struct mm_list *docs,
    struct mm_why *why)
{
	char prefix[MM_GROUP_ID_MAX + 2];
	struct mm_json *j = &l->r->j;

	snprintf(prefix, sizeof(prefix), "%s/", l->group);
	MM_TRY(mm_list_docs(l->r->reader, MM_DOC_MEMBER, prefix, docs,
	    take_member, l, why));
	mm_json_open(j, '{');
	mm_json_open_key(j, "items", '[');
	for (unsigned i = 0; i < l->n; i++)
		MM_TRY(put_member(l, &l->row[i], why));
	mm_json_close(j, ']');
	if (l->more || l->looked == docs->most)
		mm_json_str(j, "next", l->last);
	mm_json_close(j, '}');
	return MM_OK;
}

/* A page ends too when so many devices were looked at. */
enum mm_err
mm_rest_group_devices(struct mm_rest *r, struct mm_why *why)
{
	struct mm_list docs = { .most = 1001, .state = -1 };
	struct listing l = { .r = r, .state = -1 };
	struct mm_page page;
	struct mm_group g;
	enum mm_err rc;

	MM_TRY(mm_page_read(r, " state ", &page, why));
	MM_TRY(mm_page_state(r, &l.state, state_name, MM_MEMBER_STATES, why));
	MM_TRY(mm_rest_group_of(r, &g, why));
	l.group = g.id;
	l.most = page.list.most;
	l.row = calloc(l.most + 1, sizeof(*l.row));
	if (l.row == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	memcpy(docs.after, page.list.after, sizeof(docs.after));
	rc = put_members(&l, &docs, why);
	free(l.row);
	return rc;
}

/* ---- who waits ---- */

struct waiting {
	struct mm_rest *r;
	unsigned left;
	char last[MM_DOC_ID_MAX + 1];
	bool more;
	bool pairs; /* of a group of kind none */
};

static void
put_caller(const struct waiting *w, const struct mm_caller *c)
{
	struct mm_json *j = &w->r->j;
	char code[MM_PAIRING_TEXT];

	mm_json_str(j, "device", c->device);
	if (w->pairs) {
		mm_pairing_code(c->device, c->spki, code);
		mm_json_str(j, "code", code);
		mm_rest_put_time(j, "until", c->at +
		    w->r->s->config->set.pairing_s * 1000);
	}
	mm_rest_put_sha256(j, "spki_sha256", c->spki);
	mm_rest_put_sha256(j, "credential", c->credential);
	if (c->peer[0] != '\0')
		mm_json_str(j, "peer", c->peer);
	mm_rest_put_time(j, "since", c->at);
}

static enum mm_err
put_waiting(void *ctx, const void *doc, const char *next, struct mm_why *why)
{
	struct waiting *w = ctx;
	struct mm_caller c;

	if (w->left == 0) {
		w->more = true;
		return MM_OK;
	}
	w->left--;
	(void)!mm_text_copy(w->last, sizeof(w->last), mm_bytes_of(next));
	MM_TRY(mm_caller_parse(doc, &c, why));
	mm_json_open(&w->r->j, '{');
	put_caller(w, &c);
	mm_json_close(&w->r->j, '}');
	return mm_buf_ok(&w->r->out, why);
}

enum mm_err
mm_rest_group_waiting(struct mm_rest *r, struct mm_why *why)
{
	char prefix[MM_GROUP_ID_MAX + 2];
	struct waiting w = { .r = r };
	struct mm_page page;
	struct mm_list docs;
	struct mm_group g;

	MM_TRY(mm_page_read(r, " ", &page, why));
	MM_TRY(mm_rest_group_of(r, &g, why));
	w.pairs = g.kind == MM_GROUP_NONE;
	docs = page.list;
	w.left = docs.most++;
	snprintf(prefix, sizeof(prefix), "%s/", g.id);
	mm_json_open(&r->j, '{');
	mm_json_open_key(&r->j, "items", '[');
	MM_TRY(mm_list_docs(r->reader, MM_DOC_WAITING, prefix, &docs,
	    put_waiting, &w, why));
	mm_json_close(&r->j, ']');
	if (w.more)
		mm_json_str(&r->j, "next", w.last);
	mm_json_close(&r->j, '}');
	return MM_OK;
}

struct decision {
	uint8_t spki[32];
	char code[33];
};
static const struct mm_member decision_members[] = {
	{ "spki_sha256", MM_M_SHA256, false, offsetof(struct decision, spki),
	    32 },
	{ "code", MM_M_TEXT, false, offsetof(struct decision, code), 33 },
};

static enum mm_err
read_decision(struct mm_rest *r, struct mm_group_decision *out,
    struct mm_why *why)
{
	struct decision d = { .code = "" };

	MM_TRY(mm_rest_members(r->in, decision_members, 2, &d, why));
	if (json_object_size(r->in) != 1)
		return MM_FAIL(why, MM_EINPUT, "want spki_sha256 or code");
	memcpy(out->spki, d.spki, 32);
	return d.code[0] != '\0' ? mm_pairing_parse(d.code, out->code, why)
				 : MM_OK;
}

/* The key is named, so that what was compared is what is decided. */
static enum mm_err
decide(struct mm_rest *r, bool approve, struct mm_why *why)
{
	char device[MM_DEVICE_ID_MAX + 1];
	struct mm_group_decision what = { .device = device,
		.approve = approve };
	struct mm_group_member m;
	struct mm_group g;

	MM_TRY(read_decision(r, &what, why));
	MM_TRY(mm_rest_segment(r, 1, device, sizeof(device), why));
	MM_TRY(mm_rest_group_of(r, &g, why));
	what.group = g.id;
	MM_TRY(mm_desk_group_decide(r->desk, &r->login, &what, why));
	MM_TRY(mm_member_get(r->reader, g.id, device, &m, why));
	mm_json_open(&r->j, '{');
	mm_json_str(&r->j, "device", m.device);
	mm_json_str(&r->j, "state", mm_member_words[m.state]);
	mm_rest_put_sha256(&r->j, "spki_sha256", m.spki);
	mm_json_close(&r->j, '}');
	return MM_OK;
}

enum mm_err
mm_rest_group_approve(struct mm_rest *r, struct mm_why *why)
{
	return decide(r, true, why);
}

enum mm_err
mm_rest_group_refuse(struct mm_rest *r, struct mm_why *why)
{
	return decide(r, false, why);
}

/* ---- released ---- */

static const struct mm_member release_members[] = {
	{ "reason", MM_M_TEXT, true, 0, MM_GROUP_NOTE },
};

enum mm_err
mm_rest_group_release(struct mm_rest *r, struct mm_why *why)
{
	char device[MM_DEVICE_ID_MAX + 1], reason[MM_GROUP_NOTE] = "";
	struct mm_group_member m;
	struct mm_group g;

	MM_TRY(mm_rest_members(r->in, release_members, 1, reason, why));
	MM_TRY(mm_group_note_check(reason, why));
	MM_TRY(mm_rest_segment(r, 1, device, sizeof(device), why));
	MM_TRY(mm_rest_group_of(r, &g, why));
	if (g.state == MM_WORK_CLOSED)
		return MM_FAIL(why, MM_ECONFLICT, "group %s is closed", g.id);
	MM_TRY(mm_desk_group_release(r->desk, &r->login, g.id, device, reason,
	    &m, why));
	mm_json_open(&r->j, '{');
	mm_json_str(&r->j, "device", m.device);
	mm_json_str(&r->j, "state", mm_member_words[m.state]);
	mm_json_close(&r->j, '}');
	return MM_OK;
}
