#include <stdio.h>
#include <string.h>

#include "core/production_priv.h"

/* What people decide of a group's devices. */

enum { BODY_ROOM = 2048, SUPERSEDED = 4 /* RFC 5280 5.3.1 */ };

/* ---- who waits ---- */

/* By the key, or by the code that the device shows. */
static enum mm_err
check_named(const struct mm_caller *c, const struct mm_group_decision *what,
    struct mm_why *why)
{
	char code[MM_PAIRING_TEXT];

	if (what->code[0] == '\0')
		return memcmp(c->spki, what->spki, 32) == 0 ? MM_OK
		    : MM_FAIL(why, MM_ECONFLICT,
			  "it waits with another key than this");
	mm_pairing_code(c->device, c->spki, code);
	return mm_bytes_eq_ct(mm_bytes_of(code), mm_bytes_of(what->code))
		   ? MM_OK
		   : MM_FAIL(why, MM_ECONFLICT,
			 "it waits with another code than this");
}

static enum mm_err
read_waiting(struct mm_desk *d, const struct mm_group *g,
    const struct mm_group_decision *what, struct mm_caller *c,
    struct mm_why *why)
{
	int64_t end = d->c->config->set.pairing_s * 1000;
	enum mm_err rc = mm_caller_get(d->r, MM_DOC_WAITING, g->id,
	    what->device, c, why);

	if (rc == MM_ENOTFOUND)
		return MM_FAIL(why, rc, "no device of that name waits");
	MM_TRY(rc);
	if (what->code[0] != '\0' && g->kind != MM_GROUP_NONE)
		return MM_FAIL(why, MM_ECONFLICT, "only devices of a group of "
		    "kind none have codes");
	MM_TRY(check_named(c, what, why));
	return what->approve && g->kind == MM_GROUP_NONE &&
		       mm_now_ms() >= c->at + end
		   ? MM_FAIL(why, MM_ECONFLICT, "the time of its code is over: "
			 "it makes another key, and shows another code")
		   : MM_OK;
}

/* A decision and what it ends, with its entry: one step. */
static enum mm_err
store(struct mm_desk *d, const struct mm_group *g,
    const struct mm_group_member *m, const char *frees,
    const struct mm_entry *e, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(BODY_ROOM);
	struct mm_op_doc doc = { .kind = MM_DOC_MEMBER, .expect = m->version,
		.ends = doc.id, .frees = frees };
	enum mm_err rc;

	mm_member_put(m, &body);
	MM_TRY(mm_buf_ok(&body, why));
	doc.body = mm_buf_view(&body);
	mm_member_id(g->id, m->device, doc.id);
	rc = mm_desk_doc_put(d, &doc, e, 1, why);
	return rc == MM_ESTALE || rc == MM_ECONFLICT || rc == MM_ENOTFOUND
		   ? MM_FAIL(why, MM_ECONFLICT, "it has just changed: look "
			 "again")
		   : rc;
}

/* see group.h */
enum mm_err
mm_desk_group_decide(struct mm_desk *d, const struct mm_login *by,
    const struct mm_group_decision *what, struct mm_why *why)
{
	struct mm_group g;
	struct mm_caller c;
	struct mm_group_member m;
	char hex[65];
	const struct mm_entry e = { .type = what->approve
		? MM_E_GROUP_APPROVED
		: MM_E_GROUP_REFUSED,
		.field = { [MM_F_ACTOR] = by->id,
		    [MM_F_DEVICE] = c.device,
		    [MM_F_PRODUCT] = g.product,
		    [MM_F_SPKI_SHA256] = hex,
		    [MM_F_GROUP] = g.id } };

	MM_TRY(mm_group_get(d->r, what->group, &g, why));
	MM_TRY(read_waiting(d, &g, what, &c, why));
	MM_TRY(mm_member_get(d->r, g.id, what->device, &m, why));
	if (m.state == MM_MEMBER_ISSUED)
		return MM_FAIL(why, MM_ECONFLICT, "it has its certificate");
	mm_hex_text(c.spki, 32, hex);
	strcpy(m.device, c.device);
	strcpy(m.by, by->id);
	memcpy(m.spki, c.spki, 32);
	m.state = what->approve ? MM_MEMBER_APPROVED : MM_MEMBER_REFUSED;
	m.at = mm_now_ms();
	return store(d, &g, &m, NULL, &e, why);
}

/* ---- released ---- */

/* The claim's certificate, which nobody is to use any more; its serial, "" there
 * is none. */
static enum mm_err
revoke_claimed(struct mm_desk *d, const struct mm_login *by,
    const char *authority, char serial[33], struct mm_why *why)
{
	struct mm_cert_row cert;
	struct mm_claim claim;
	bool already;
	enum mm_err rc = mm_get_claim(d->r, authority, &claim, NULL);

	serial[0] = '\0';
	if (rc == MM_OK) {
		mm_hex_text(claim.serial, 16, serial);
		rc = mm_get_cert(d->r, claim.serial, &cert, NULL);
	}
	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	if (cert.confirmed_at != 0 && cert.state != MM_CERT_REVOKED)
		return MM_FAIL(why, MM_ECONFLICT, "it has proved its "
		    "certificate: revoke that, and mint a token");
	return cert.state == MM_CERT_REVOKED ||
		       cert.state == MM_CERT_ORPHANED
		   ? MM_OK
		   : mm_desk_cert_revoke(d, by, cert.serial, SUPERSEDED,
			 &already, why);
}

static void
salted(const struct mm_group_member *m, char hex[65])
{
	uint8_t hash[32];

	mm_sha256_2(mm_bytes_of(m->salt), mm_bytes_of(m->note), hash);
	mm_hex_text(hash, 32, hex);
}

/* see group.h; what was revoked before the claim is free stays so: the same
 * again goes on from there */
enum mm_err
mm_desk_group_release(struct mm_desk *d, const struct mm_login *by,
    const char *group, const char *device, const char *note,
    struct mm_group_member *m, struct mm_why *why)
{
	char authority[MM_AUTHORITY_TEXT], key[65], hex[65], serial[33];
	struct mm_group g;
	struct mm_entry e = { .type = MM_E_GROUP_RELEASED,
		.field = { [MM_F_ACTOR] = by->id,
		    [MM_F_DEVICE] = m->device,
		    [MM_F_PRODUCT] = g.product,
		    [MM_F_SPKI_SHA256] = key,
		    [MM_F_DETAIL_SHA256] = hex,
		    [MM_F_GROUP] = g.id } };

	MM_TRY(mm_group_get(d->r, group, &g, why));
	MM_TRY(mm_member_get(d->r, g.id, device, m, why));
	if (m->state < MM_MEMBER_APPROVED)
		return MM_FAIL(why, MM_ENOTFOUND, "nothing was decided of "
		    "that device");
	mm_group_authority(g.id, device, authority);
	MM_TRY(revoke_claimed(d, by, authority, serial, why));
	if (serial[0] != '\0')
		e.field[MM_F_SERIAL] = serial;
	mm_hex_text(m->spki, 32, key);
	memset(m->spki, 0, sizeof(m->spki));
	strcpy(m->by, by->id);
	snprintf(m->note, sizeof(m->note), "%s", note);
	MM_TRY(mm_desk_salt(m->salt, why));
	salted(m, hex);
	m->state = MM_MEMBER_LISTED;
	m->at = mm_now_ms();
	return store(d, &g, m, authority, &e, why);
}
