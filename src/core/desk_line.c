#include <stdio.h>
#include <string.h>

#include "core/production_priv.h"
#include "pki/der.h"

/*
 * Line CAs: whose each is.  The first order that one goes with decides, for
 * good; the entry that says so is durable before that order is signed.
 */

/* see core.h */
bool
mm_issuer_is_line(struct mm_core *c, const char *name)
{
	const struct mm_issuer_conf *i = mm_config_issuer(c->config, name);

	return i != NULL ? i->line : mm_lines_find(c->lines, name) != NULL;
}

/* It goes into an order, and with it into each device: all of it is the one
 * that we publish, perhaps without what is on top. */
static bool
is_chain(struct mm_bytes given, const struct mm_chain *chain)
{
	struct mm_rd r = mm_rd_over(given);
	size_t n = 0;

	while (!r.bad && r.left > 0) {
		struct mm_bytes der = mm_der_take_whole(&r, MM_DER_SEQ);

		if (n == chain->n || !mm_bytes_eq(der, chain->der[n++]))
			return false;
	}
	return n > 0 && mm_rd_end(&r);
}

/* Made here, of the certificate that the ledger was told of at the start, and
 * published under that URL. */
static enum mm_err
check_known(struct mm_desk *d, const struct mm_line_ca *l, uint8_t sha256[32],
    struct mm_why *why)
{
	const struct mm_config *config = d->c->config;
	const struct mm_chain *chain = mm_issuer_chain(d->c, l->name);
	char id[MM_DOC_ID_MAX + 1];
	uint8_t noted[32];

	if (chain == NULL || !mm_issuer_is_line(d->c, l->name))
		return MM_FAIL(why, MM_ENOTFOUND,
		    "line: there is no line CA %s here, or it was made since "
		    "the server started",
		    l->name);
	mm_sha256(chain->der[0], sha256);
	snprintf(id, sizeof(id), "issuer:%s", l->name);
	if (!is_chain(l->chain, chain) ||
	    strcmp(l->url, config->set.public_url) != 0 ||
	    mm_noted_get(d->r, id, noted, NULL) != MM_OK ||
	    memcmp(noted, sha256, 32) != 0)
		return MM_FAIL(why, MM_ECONFLICT,
		    "line: not the line CA %s that the ledger knows", l->name);
	return MM_OK;
}

static enum mm_err
enter(struct mm_desk *d, const struct mm_login *by, const struct mm_line_ca *l,
    const struct mm_work_order *o, const uint8_t cert[32],
    struct mm_op_doc *doc, struct mm_why *why)
{
	char hex[65], key[65];
	uint8_t hash[32];
	const struct mm_entry e = { .type = MM_E_LINE_ASSIGNED,
		.field = { [MM_F_ACTOR] = by->id,
		    [MM_F_BATCH] = o->batch,
		    [MM_F_STATION] = o->station,
		    [MM_F_ISSUER] = l->name,
		    [MM_F_CERT_SHA256] = hex,
		    [MM_F_DETAIL_SHA256] = key } };

	mm_hex_text(cert, 32, hex);
	mm_sha256(l->key, hash);
	mm_hex_text(hash, 32, key);
	return mm_desk_doc_put(d, doc, &e, 1, why);
}

/* Noted under its name: whoever comes second finds it. */
static enum mm_err
claim(struct mm_desk *d, const struct mm_login *by, const struct mm_line_ca *l,
    const struct mm_work_order *o, const uint8_t cert[32], struct mm_why *why)
{
	char whose[2 * MM_NAME_MAX + 2], id[MM_DOC_ID_MAX + 1];
	char body[MM_NOTED_TEXT];
	uint8_t hash[32], had[32];
	struct mm_op op;
	enum mm_err rc;

	snprintf(id, sizeof(id), "line:%s", l->name);
	snprintf(whose, sizeof(whose), "%s/%s", o->station, o->batch);
	mm_sha256(mm_bytes_of(whose), hash);
	rc = mm_noted_get(d->r, id, had, NULL);
	if (rc == MM_OK)
		return memcmp(had, hash, sizeof(had)) == 0
			   ? MM_OK
			   : MM_FAIL(why, MM_ECONFLICT,
				 "line: %s is another "
				 "station's, or another batch's: make one for "
				 "this "
				 "order",
				 l->name);
	if (rc != MM_ENOTFOUND)
		return MM_FAIL(why, rc, "the store cannot be read");
	if (!d->c->store_ok)
		return MM_FAIL(why, MM_EAGAIN, "the store is away");
	mm_noted_op(id, hash, body, &op);
	rc = enter(d, by, l, o, cert, &op.u.doc, why);
	return rc == MM_ESTALE ? MM_ECONFLICT : rc;
}

static enum mm_err
check_one(const struct mm_work_order *old, const struct mm_line_ca *given,
    const struct mm_work_order *o, struct mm_why *why)
{
	bool has = old != NULL && old->ca_chain.n > 0;

	if (o->mode != MM_WORK_OFFLINE)
		return given == NULL
			   ? MM_OK
			   : MM_FAIL(why, MM_EINPUT,
				 "line: batch %s is made online", o->batch);
	if (!has && given == NULL)
		return MM_FAIL(why, MM_ECONFLICT,
		    "batch %s is made offline: "
		    "station %s wants a line CA with its first order",
		    o->batch, o->station);
	if (has && given != NULL && strcmp(old->ca_name, given->name) != 0)
		return MM_FAIL(why, MM_ECONFLICT,
		    "line: station %s works "
		    "with %s in this batch",
		    o->station, old->ca_name);
	return MM_OK;
}

static enum mm_err
pick(struct mm_desk *d, const struct mm_login *by,
    const struct mm_work_order *old, const struct mm_line_ca *given,
    struct mm_work_order *o, struct mm_why *why)
{
	uint8_t cert[32];

	if (old != NULL && old->ca_chain.n > 0) {
		o->ca_chain = old->ca_chain;
		o->ca_key = old->ca_key;
		strcpy(o->ca_name, old->ca_name);
		strcpy(o->ca_url, old->ca_url);
		return MM_OK;
	}
	MM_TRY(check_known(d, given, cert, why));
	MM_TRY(claim(d, by, given, o, cert, why));
	o->ca_chain = given->chain;
	o->ca_key = given->key;
	strcpy(o->ca_name, given->name);
	strcpy(o->ca_url, given->url);
	return MM_OK;
}

/* see production.h; what ends a batch brings no key: the station is to destroy
 * the one that it has */
enum mm_err
mm_desk_line(struct mm_desk *d, const struct mm_login *by,
    const struct mm_work_order *old, const struct mm_line_ca *given,
    struct mm_work_order *o, struct mm_why *why)
{
	MM_TRY(check_one(old, given, o, why));
	if (o->mode != MM_WORK_OFFLINE)
		return MM_OK;
	MM_TRY(pick(d, by, old, given, o, why));
	if (o->state == MM_WORK_CLOSED)
		o->ca_key = (struct mm_bytes){ 0 };
	return MM_OK;
}
