#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "core/upstream_priv.h"
#include "pki/foreign.h"

/*
 * The issuers' chains as files say them, read once: a chain per issuer, the
 * root at its end, and one of all of them without repetition.  While a change
 * of root is under way what joins both roots is in each that is handed out, and
 * in no issuer's own: that one goes by a single way to the root it hangs below.
 */
#define FILE_MAX  (256 * 1024)
#define CHAIN_MAX 16

struct mm_chains {
	const struct mm_config *config;
	struct mm_buf pool;     /* the DER, one after the other */
	struct mm_chain *chain; /* one an issuer, then the one of all */
	struct mm_chain *kin;   /* an issuer's with those that follow it */
	struct mm_chain anchor; /* what the configuration calls so */
	struct mm_chain links;  /* of a change of root */
};

static enum mm_err
add(struct mm_chain *c, size_t most, struct mm_bytes der, struct mm_why *why)
{
	for (size_t i = 0; i < c->n; i++)
		if (mm_bytes_eq(c->der[i], der))
			return MM_OK;
	if (c->n == most)
		return MM_FAIL(why, MM_ELIMIT, "more than %zu certificates",
		    most);
	c->der[c->n++] = der;
	return MM_OK;
}

/* Certificates are kept in memory of their own: slices of it never move. */
static enum mm_err
take_pem(struct mm_chains *all, struct mm_bytes pem, struct mm_chain *c,
    struct mm_why *why)
{
	for (;;) {
		MM_OWN(mm_buf_done) struct mm_buf der =
		    MM_BUF_INIT(MM_CERT_MAX);
		enum mm_err rc = mm_pem_next(&pem, "CERTIFICATE", &der, why);
		struct mm_cert parsed;

		if (rc == MM_ENOTFOUND)
			break;
		MM_TRY(rc);
		MM_TRY(mm_cert_walk(mm_buf_view(&der), &parsed, why));
		if (all->pool.n + der.n > all->pool.cap)
			return MM_FAIL(why, MM_ELIMIT, "chains: too long");
		mm_buf_bytes(&all->pool, mm_buf_view(&der));
		MM_TRY(add(c, CHAIN_MAX, (struct mm_bytes){ all->pool.p +
		    all->pool.n - der.n, der.n }, why));
	}
	return MM_OK;
}

static enum mm_err
take_file(struct mm_chains *all, const char *path, struct mm_chain *c,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf pem = MM_BUF_INIT(FILE_MAX);
	struct mm_why none = { 0 };

	MM_TRY(mm_file_read(path, &pem, why));
	if (take_pem(all, mm_buf_view(&pem), c, &none) != MM_OK)
		return MM_FAIL(why, MM_EINPUT, "%.80s: %.60s", path,
		    none.text);
	return MM_OK;
}

static bool
is_root(struct mm_bytes der, struct mm_cert *c)
{
	return mm_cert_walk(der, c, NULL) == MM_OK &&
	    mm_bytes_eq(c->subject, c->issuer);
}

static bool
ends_in_root(const struct mm_chain *c)
{
	struct mm_cert last;

	return c->n > 1 && is_root(c->der[c->n - 1], &last);
}

/* After a change of root the anchor is not every issuer's: one that came
 * before hangs below the root of then, which is the first of the links. */
static enum mm_err
add_root(const struct mm_chains *all, struct mm_chain *c, struct mm_why *why)
{
	struct mm_cert last, root;

	MM_TRY(mm_cert_walk(c->der[c->n - 1], &last, why));
	for (size_t i = 0; i < all->links.n; i++)
		if (is_root(all->links.der[i], &root) &&
		    mm_cert_verify_by(&last, &root) == MM_OK)
			return add(c, CHAIN_MAX, all->links.der[i], why);
	for (size_t i = 0; i < all->anchor.n; i++)
		MM_TRY(add(c, CHAIN_MAX, all->anchor.der[i], why));
	return MM_OK;
}

static enum mm_err
load_issuer(struct mm_chains *all, size_t i, struct mm_why *why)
{
	const struct mm_config *config = all->config;
	struct mm_chain *c = &all->chain[i], *whole =
	    &all->chain[config->nissuer];

	MM_TRY(take_file(all, config->issuer[i].certificate, c, why));
	if (c->n == 0)
		return MM_FAIL(why, MM_EINPUT, "%.100s: no certificate",
		    config->issuer[i].certificate);
	/* another CA has a root of its own, in its file */
	if (!ends_in_root(c) && !mm_issuer_upstream(&config->issuer[i]))
		MM_TRY(add_root(all, c, why));
	if (config->issuer[i].retired)
		return MM_OK; /* for records, and nobody else */
	for (size_t k = 0; k < c->n; k++)
		MM_TRY(add(whole, CHAIN_MAX * config->nissuer, c->der[k],
		    why));
	return MM_OK;
}

/* RFC 7030 4.1.3: who is about to follow is known before it issues, and who is
 * followed as long as what it issued is good. */
static enum mm_err
join_kin(struct mm_chains *all, size_t i, struct mm_why *why)
{
	const struct mm_config *config = all->config;
	const struct mm_issuer_conf *at = mm_config_first(config,
	    &config->issuer[i]);

	for (; at != NULL; at = mm_config_follower(config, at->name)) {
		const struct mm_chain *c = &all->chain[at - config->issuer];

		for (size_t k = 0; !at->retired && k < c->n; k++)
			MM_TRY(add(&all->kin[i], CHAIN_MAX * config->nissuer,
			    c->der[k], why));
	}
	return MM_OK;
}

/* RFC 7030 4.1.3: OldWithOld, OldWithNew and NewWithOld with the root in
 * force. */
static enum mm_err
add_roots(struct mm_chains *all, struct mm_chain *to, struct mm_why *why)
{
	const size_t most = CHAIN_MAX * (all->config->nissuer + 2);

	if (to->n == 0)
		return MM_OK;
	for (size_t i = 0; i < all->anchor.n; i++)
		MM_TRY(add(to, most, all->anchor.der[i], why));
	for (size_t i = 0; i < all->links.n &&
	     !all->config->set.root_ended; i++)
		MM_TRY(add(to, most, all->links.der[i], why));
	return MM_OK;
}

static enum mm_err
load_roots(struct mm_chains *all, struct mm_why *why)
{
	const struct mm_settings *set = &all->config->set;

	if (set->trust_anchor[0] != '\0' && all->config->nissuer > 0)
		MM_TRY(take_file(all, set->trust_anchor, &all->anchor, why));
	if (set->root_links[0] != '\0')
		MM_TRY(take_file(all, set->root_links, &all->links, why));
	return MM_OK;
}

/* see priv.h */
void
mm_chains_free(struct mm_chains **owner)
{
	struct mm_chains *c = *owner;

	if (c == NULL)
		return;
	for (size_t i = 0; c->chain != NULL && i <= c->config->nissuer; i++)
		free(c->chain[i].der);
	for (size_t i = 0; c->kin != NULL && i < c->config->nissuer; i++)
		free(c->kin[i].der);
	free(c->chain);
	free(c->kin);
	free(c->anchor.der);
	free(c->links.der);
	mm_buf_done(&c->pool);
	free(c);
	*owner = NULL;
}

static bool
make_room(struct mm_chains *c, size_t n)
{
	c->chain = calloc(n + 1, sizeof(*c->chain));
	c->kin = calloc(n + 1, sizeof(*c->kin));
	c->anchor.der = calloc(CHAIN_MAX, sizeof(struct mm_bytes));
	c->links.der = calloc(CHAIN_MAX, sizeof(struct mm_bytes));
	if (c->chain == NULL || c->kin == NULL || c->anchor.der == NULL ||
	    c->links.der == NULL ||
	    mm_buf_room(&c->pool, (n + 3) * FILE_MAX) == NULL)
		return false;
	for (size_t i = 0; i <= n; i++) {
		size_t most = i < n ? CHAIN_MAX : CHAIN_MAX * (n + 2);

		c->chain[i].der = calloc(most, sizeof(struct mm_bytes));
		c->kin[i].der = i == n ? NULL :
		    calloc(CHAIN_MAX * (n + 2), sizeof(struct mm_bytes));
		if (c->chain[i].der == NULL || (i < n && c->kin[i].der == NULL))
			return false;
	}
	return true;
}

static enum mm_err
make(struct mm_chains *c, const struct mm_config *config, struct mm_why *why)
{
	size_t n = config->nissuer;

	c->config = config;
	mm_buf_init(&c->pool, (n + 3) * FILE_MAX);
	if (!make_room(c, n))
		return MM_FAIL(why, MM_ENOMEM, "chains: no memory");
	mm_buf_reset(&c->pool);
	MM_TRY(load_roots(c, why));
	for (size_t i = 0; i < n; i++)
		MM_TRY(load_issuer(c, i, why));
	for (size_t i = 0; i < n; i++)
		MM_TRY(join_kin(c, i, why));
	for (size_t i = 0; i < n; i++)
		MM_TRY(add_roots(c, &c->kin[i], why));
	return add_roots(c, &c->chain[n], why);
}

/* see priv.h */
enum mm_err
mm_chains_load(const struct mm_config *config, struct mm_chains **out,
    struct mm_why *why)
{
	MM_OWN(mm_chains_free) struct mm_chains *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return MM_FAIL(why, MM_ENOMEM, "chains: no memory");
	MM_TRY(make(c, config, why));
	*out = MM_MOVE(c);
	return MM_OK;
}

/* see priv.h */
const struct mm_chain *
mm_chains_issuer(const struct mm_chains *c, const char *name)
{
	for (size_t i = 0; i < c->config->nissuer; i++)
		if (strcmp(c->config->issuer[i].name, name) == 0)
			return &c->chain[i];
	return NULL;
}

static bool
subject_of(const struct mm_chains *all, size_t i, struct mm_bytes *subject)
{
	struct mm_cert issuer;

	if (!mm_issuer_upstream(&all->config->issuer[i]) ||
	    mm_cert_walk(all->chain[i].der[0], &issuer, NULL) != MM_OK)
		return false;
	*subject = issuer.subject;
	return true;
}

/* see priv.h */
bool
mm_chains_upstream(const struct mm_chains *all, struct mm_bytes subject)
{
	struct mm_bytes own;

	for (size_t i = 0; i < all->config->nissuer; i++)
		if (subject_of(all, i, &own) && mm_bytes_eq(own, subject))
			return true;
	return false;
}

/* see priv.h */
bool
mm_chains_number(const struct mm_chains *all,
    const struct mm_any_serial *serial, size_t *at,
    uint8_t number[MM_SERIAL_N])
{
	struct mm_bytes subject;

	while (*at <= all->config->nissuer) {
		size_t i = (*at)++;

		if (i == 0 && serial->n == MM_SERIAL_N) {
			memcpy(number, serial->p, MM_SERIAL_N);
			return true;
		}
		if (i > 0 && subject_of(all, i - 1, &subject)) {
			mm_foreign_number_of(subject, serial, number);
			return true;
		}
	}
	return false;
}

/* see priv.h */
const char *
mm_chains_signed(const struct mm_chains *all, const struct mm_cert *c,
    bool (*of)(const struct mm_issuer_conf *))
{
	for (size_t i = 0; i < all->config->nissuer; i++) {
		const char *name = all->config->issuer[i].name;
		const struct mm_chain *chain = &all->chain[i];
		struct mm_cert issuer;

		if (chain->n > 0 &&
		    (of == NULL || of(&all->config->issuer[i])) &&
		    mm_cert_walk(chain->der[0], &issuer, NULL) == MM_OK &&
		    mm_cert_verify_by(c, &issuer) == MM_OK)
			return name;
	}
	return NULL;
}

/* see priv.h */
const struct mm_chain *
mm_issuer_chain(struct mm_core *c, const char *name)
{
	const struct mm_chain *chain = mm_chains_issuer(c->chains, name);
	const struct mm_made_line *line = chain != NULL ? NULL :
	    mm_lines_find(c->lines, name);

	return line != NULL ? &line->chain : chain;
}

/* ---- what core.h shows of it ---- */

/* see core.h */
const struct mm_profile *
mm_core_label(struct mm_core *c, const char *label)
{
	const char *name = label[0] != '\0' ? label :
					      c->config->set.default_label;

	return name[0] != '\0' ? mm_config_profile(c->config, name) : NULL;
}

/* see core.h */
enum mm_err
mm_core_cacerts(struct mm_core *c, const char *label,
    const struct mm_bytes **der, size_t *n, struct mm_why *why)
{
	const struct mm_chain *chain = &c->chains->chain[c->config->nissuer];
	const struct mm_issuer_conf *i;
	const struct mm_profile *p;

	if (label[0] != '\0') {
		p = mm_config_profile(c->config, label);
		i = p == NULL ? NULL : mm_config_issuer(c->config, p->issuer);
		chain = i == NULL ? NULL :
		    &c->chains->kin[i - c->config->issuer];
	}
	if (chain == NULL)
		return MM_FAIL(why, MM_ENOTFOUND, "no label \"%.32s\"", label);
	*der = chain->der;
	*n = chain->n;
	return MM_OK;
}

/* see core.h */
void
mm_core_links(struct mm_core *c, bool under_way,
    const struct mm_bytes **der, size_t *n)
{
	*der = c->chains->links.der;
	*n = under_way && c->config->set.root_ended ? 0 : c->chains->links.n;
}

/* see priv.h */
const struct mm_chain *
mm_chains_anchor(const struct mm_chains *c)
{
	return &c->anchor;
}

/* see core.h */
enum mm_err
mm_core_issuer_chain(struct mm_core *c, const char *name,
    const struct mm_bytes **der, size_t *n, struct mm_why *why)
{
	const struct mm_chain *chain = mm_issuer_chain(c, name);

	if (chain == NULL)
		return MM_FAIL(why, MM_ENOTFOUND, "no issuer \"%.32s\"", name);
	*der = chain->der;
	*n = chain->n;
	return MM_OK;
}

/* see core.h */
enum mm_err
mm_core_issuer_der(struct mm_core *c, const char *name,
    struct mm_bytes *der, struct mm_why *why)
{
	const struct mm_bytes *chain;
	size_t n;

	MM_TRY(mm_core_issuer_chain(c, name, &chain, &n, why));
	*der = chain[0];
	return MM_OK;
}
