#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/own.h"
#include "base/secret.h"
#include "base/time.h"
#include "server/bootstrap.h"
#include "server/approval.h"
#include "server/groups.h"
#include "server/tls.h"

/* Bootstrap groups: made, shown, opened, paused, closed, extended. */

enum { CAS_MOST = 8, PAIRING_MOST = 1000 };

MM_FREE_FN(x509_free, X509, X509_free)

/* ---- output ---- */

static void
put_limits(struct mm_json *j, const struct mm_group *g)
{
	mm_rest_put_time(j, "until", g->until_ms);
	mm_json_int(j, "quantity", g->most);
	mm_json_int(j, "conflicts_most", g->conflicts_most);
	mm_json_int(j, "waiting_most", g->waiting_most);
	mm_json_bool(j, "accept_expired", g->accept_expired);
	mm_json_bool(j, "names", g->names);
	mm_json_bool(j, "bearer", g->bearer);
	mm_json_bool(j, "legacy", g->legacy);
}

static void
put_counts(struct mm_json *j, const struct mm_group *g,
    const struct mm_group_counts *n)
{
	bool halted = mm_group_halted(g, n->conflicts);

	mm_json_int(j, "issued", n->made);
	mm_json_int(j, "listed", n->listed);
	mm_json_int(j, "waiting", n->waiting);
	mm_json_int(j, "conflicts", n->conflicts);
	if (g->state == MM_WORK_OPEN && halted)
		mm_json_str(j, "paused_by", "conflicts");
}

static enum mm_err
put_group(struct mm_rest *r, const struct mm_group *g, struct mm_why *why)
{
	struct mm_json *j = &r->j;
	struct mm_group_counts n;
	bool halted;

	MM_TRY(mm_group_counts(r->reader, g, &n, why));
	halted = g->state == MM_WORK_OPEN && mm_group_halted(g, n.conflicts);
	mm_json_str(j, "id", g->id);
	mm_json_str(j, "state",
	    mm_work_state_words[halted ? MM_WORK_PAUSED : g->state]);
	mm_json_str(j, "kind", mm_group_kind_words[g->kind]);
	mm_json_str(j, "product", g->product);
	if (g->profile[0] != '\0')
		mm_json_str(j, "profile", g->profile);
	if (g->range[0] != '\0')
		mm_json_str(j, "range", g->range);
	put_limits(j, g);
	put_counts(j, g, &n);
	mm_json_open_key(j, "credentials", '[');
	for (size_t i = 0; i < g->ncredentials; i++)
		mm_json_hex(j, NULL,
		    (struct mm_bytes){ g->credential[i], 32 });
	mm_json_close(j, ']');
	if (g->secret[0] != '\0')
		mm_json_str(j, "secret", g->secret);
	if (g->note[0] != '\0')
		mm_json_str(j, "note", g->note);
	mm_rest_put_time(j, "created", g->created_at);
	mm_rest_put_time(j, "closed", g->closed_at);
	mm_json_int(j, "version", (int64_t)g->version);
	return MM_OK;
}

static enum mm_err
put_one(struct mm_rest *r, const struct mm_group *g, struct mm_why *why)
{
	mm_rest_etag(r, g->version);
	mm_json_open(&r->j, '{');
	MM_TRY(put_group(r, g, why));
	mm_json_close(&r->j, '}');
	return MM_OK;
}

/* see groups.h */
enum mm_err
mm_rest_group_of(struct mm_rest *r, struct mm_group *out, struct mm_why *why)
{
	char id[MM_NAME_MAX + 1];

	if (!mm_text_copy(id, sizeof(id), mm_http_segment(r->req, 0)))
		return MM_FAIL(why, MM_ENOTFOUND, "no such group");
	return mm_group_get(r->reader, id, out, why);
}

/* ---- reading ---- */

/* Rows first: a list that is being walked is not asked of. */
struct listing {
	struct mm_group *group;
	unsigned n, most;
	int state;
	const char *product;
	unsigned looked;
	char last[MM_DOC_ID_MAX + 1];
	bool more;
};

static enum mm_err
take_row(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct listing *l = ctx;
	struct mm_group *g = &l->group[l->n];

	l->looked++;
	if (l->n == l->most) {
		l->more = true;
		return MM_OK;
	}
	(void)!mm_text_copy(l->last, sizeof(l->last), mm_bytes_of(next));
	MM_TRY(mm_group_parse(row, g, why));
	if ((l->state < 0 || g->state == l->state) && (l->product == NULL ||
	    strcmp(l->product, g->product) == 0))
		l->n++;
	return MM_OK;
}

static const char *
state_name(unsigned i)
{
	return mm_work_state_words[i];
}

static enum mm_err
list_groups(struct mm_rest *r, struct listing *l, const struct mm_list *docs,
    struct mm_why *why)
{
	MM_TRY(mm_list_docs(r->reader, MM_DOC_GROUP, "", docs, take_row, l,
	    why));
	mm_json_open(&r->j, '{');
	mm_json_open_key(&r->j, "items", '[');
	for (unsigned i = 0; i < l->n; i++) {
		mm_json_open(&r->j, '{');
		MM_TRY(put_group(r, &l->group[i], why));
		mm_json_close(&r->j, '}');
	}
	mm_json_close(&r->j, ']');
	if (l->more || l->looked == docs->most)
		mm_json_str(&r->j, "next", l->last);
	mm_json_close(&r->j, '}');
	return MM_OK;
}

enum mm_err
mm_rest_groups(struct mm_rest *r, struct mm_why *why)
{
	struct listing l = { .state = -1 };
	struct mm_list docs = { .most = 1000, .state = -1 };
	struct mm_page page;
	enum mm_err rc;

	MM_TRY(mm_page_read(r, " product state ", &page, why));
	MM_TRY(mm_page_state(r, &l.state, state_name, MM_WORK_STATE_COUNT,
	    why));
	l.most = page.list.most;
	l.product = page.list.product;
	l.group = calloc(l.most + 1, sizeof(*l.group));
	if (l.group == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	memcpy(docs.after, page.list.after, sizeof(docs.after));
	rc = list_groups(r, &l, &docs, why);
	free(l.group);
	return rc;
}

enum mm_err
mm_rest_group(struct mm_rest *r, struct mm_why *why)
{
	struct mm_group g;

	MM_TRY(mm_rest_group_of(r, &g, why));
	return put_one(r, &g, why);
}

/* ---- old credentials of a request ---- */

struct wish {
	char id[MM_NAME_MAX + 1], product[MM_NAME_MAX + 1];
	char profile[MM_NAME_MAX + 1], kind[16], range[MM_SERIALS_TEXT];
	char note[MM_GROUP_NOTE];
	int64_t until, quantity, conflicts, waiting;
	bool accept_expired, names, bearer, legacy;
	struct mm_buf der[MM_GROUP_CREDENTIALS]; /* of CAs */
};

static void
wish_done(struct wish *w)
{
	for (size_t i = 0; i < MM_GROUP_CREDENTIALS; i++)
		mm_buf_done(&w->der[i]);
}

static bool
same_key(struct mm_bytes der, X509 *x)
{
	MM_OWN(x509_free) X509 *ours = NULL;
	const unsigned char *p = der.p;

	ours = d2i_X509(NULL, &p, (long)der.n);
	return ours != NULL && EVP_PKEY_eq(X509_get0_pubkey(ours),
	    X509_get0_pubkey(x)) == 1;
}

/* Who has one of ours comes as a device of ours, or not at all. */
static enum mm_err
check_ca(const struct mm_rest *r, X509 *x, struct mm_why *why)
{
	const struct mm_tls *t = r->s->tls;

	if (X509_check_ca(x) == 0)
		return MM_FAIL(why, MM_EINPUT,
		    "certificates: one is no CA's");
	for (size_t i = 0; i < t->ntrust; i++)
		if (same_key(mm_buf_view(&t->trust[i]), x))
			return MM_FAIL(why, MM_EPOLICY, "certificates: one is "
			    "of an issuer of this CA");
	return MM_OK;
}

/* A PEM certificate; for single ones 64 hexadecimal digits do. */
static enum mm_err
read_one(const struct mm_rest *r, const json_t *v, struct mm_group *g,
    struct wish *w, struct mm_why *why)
{
	struct mm_bytes text = { (const uint8_t *)json_string_value(v),
		json_string_length(v) };
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	uint8_t *sha256 = g->credential[g->ncredentials];
	MM_OWN(x509_free) X509 *x = NULL;
	const unsigned char *p;

	if (g->kind == MM_GROUP_CERTIFICATES && mm_hex_parse(
	    (const char *)text.p, text.n, sha256, 32, NULL) == MM_OK) {
		g->ncredentials++;
		return MM_OK;
	}
	if (mm_pem_next(&text, "CERTIFICATE", &der, NULL) != MM_OK)
		return MM_FAIL(why, MM_EINPUT, "certificates: want PEM%s",
		    g->kind == MM_GROUP_CA ? "" : ", or a SHA-256");
	p = der.p;
	x = d2i_X509(NULL, &p, (long)der.n);
	ERR_clear_error();
	if (x == NULL || p != der.p + der.n)
		return MM_FAIL(why, MM_EINPUT,
		    "certificates: one cannot be read");
	mm_sha256(mm_buf_view(&der), sha256);
	if (g->kind == MM_GROUP_CA) {
		MM_TRY(check_ca(r, x, why));
		w->der[g->ncredentials] = der;
		mm_buf_init(&der, 0);
	}
	g->ncredentials++;
	return MM_OK;
}

static enum mm_err
read_credentials(const struct mm_rest *r, struct mm_group *g, struct wish *w,
    struct mm_why *why)
{
	const json_t *list = json_object_get(r->in, "certificates"), *v;
	size_t most = g->kind == MM_GROUP_CA ? CAS_MOST : MM_GROUP_CREDENTIALS;
	size_t i;

	if ((list == NULL && g->kind == MM_GROUP_CA) ||
	    (list != NULL && !json_is_array(list)) ||
	    json_array_size(list) > most)
		return MM_FAIL(why, MM_EINPUT, "certificates: want a list of "
		    "at most %zu", most);
	json_array_foreach(list, i, v) {
		if (!json_is_string(v))
			return MM_FAIL(why, MM_EINPUT,
			    "certificates: want texts");
		MM_TRY(read_one(r, v, g, w, why));
	}
	return g->kind != MM_GROUP_CA || g->ncredentials > 0 ? MM_OK
	    : MM_FAIL(why, MM_EINPUT, "certificates: there is none");
}

/* Each loop has them all in its memory. */
static enum mm_err
make_room(struct mm_rest *r, const struct mm_group *g, struct mm_why *why)
{
	size_t n = 0;

	if (g->kind != MM_GROUP_CA)
		return MM_OK;
	for (size_t i = 0; i < g->ncredentials; i++) {
		MM_OWN(mm_credential_done)
		struct mm_credential c = MM_CREDENTIAL_INIT;
		enum mm_err rc = mm_credential_get(r->reader, MM_CREDENTIAL_CA,
		    g->credential[i], &c, why);

		if (rc != MM_OK && rc != MM_ENOTFOUND)
			return rc;
		n += rc == MM_ENOTFOUND;
	}
	return n > 0 ? mm_desk_credential_room(r->desk, MM_CREDENTIAL_CA, n,
	    why) : MM_OK;
}

/* ---- making one ---- */

#define M(name, type, must)                                     \
	{                                                       \
#name, type, must, offsetof(struct wish, name), \
		    sizeof(((struct wish *)0)->name)            \
	}
static const struct mm_member members[] = {
	M(id, MM_M_NAME, true),
	M(product, MM_M_NAME, true),
	M(profile, MM_M_NAME, false),
	M(kind, MM_M_TEXT, true),
	M(range, MM_M_TEXT, false),
	M(until, MM_M_TIME, true),
	M(quantity, MM_M_INT, true),
	M(conflicts, MM_M_INT, false),
	M(waiting, MM_M_INT, false),
	M(accept_expired, MM_M_BOOL, false),
	M(names, MM_M_BOOL, false),
	M(bearer, MM_M_BOOL, false),
	M(legacy, MM_M_BOOL, false),
	M(note, MM_M_TEXT, false),
};
#define N(a) (sizeof(a) / sizeof((a)[0]))

/* see groups.h */
enum mm_err
mm_group_note_check(const char *note, struct mm_why *why)
{
	for (const char *p = note; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return MM_FAIL(why, MM_EINPUT, "one line, without "
			    "control characters");
	return MM_OK;
}

static enum mm_err
keep_note(struct mm_group *g, const char *note, struct mm_why *why)
{
	MM_TRY(mm_group_note_check(note, why));
	strcpy(g->note, note);
	return MM_OK;
}

static enum mm_err
check_profile(struct mm_rest *r, const struct mm_group *g,
    struct mm_why *why)
{
	const struct mm_profile *p;
	struct mm_product product;
	const char *name = g->profile;

	MM_TRY(mm_get_product(r->reader, g->product, &product, why));
	if (name[0] == '\0')
		name = product.ldevid_profile;
	p = name[0] == '\0' ? NULL : mm_config_profile(r->s->config, name);
	if (p == NULL)
		return MM_FAIL(why, MM_ECONFLICT, "profile: there is no "
		    "\"%s\"", name);
	if (p->kind != MM_PROFILE_LDEVID)
		return MM_FAIL(why, MM_ECONFLICT, "profile: a group gives no "
		    "factory certificates");
	return !g->bearer || p->bearer ? MM_OK
	    : MM_FAIL(why, MM_EPOLICY, "profile %s: its bearer door is closed",
		name);
}

static enum mm_err
read_limits(struct mm_group *g, const struct wish *w, struct mm_why *why)
{
	struct mm_serials run;

	g->until_ms = w->until;
	g->most = w->quantity;
	g->conflicts_most = w->conflicts;
	g->waiting_most = w->waiting;
	g->accept_expired = w->accept_expired;
	g->names = w->names;
	g->bearer = w->bearer;
	g->legacy = w->legacy;
	strcpy(g->range, w->range);
	if (g->until_ms <= g->created_at)
		return MM_FAIL(why, MM_EINPUT, "until: it is past");
	if (g->most < 1 || g->most > MM_WORK_SHARE_MAX)
		return MM_FAIL(why, MM_EINPUT, "quantity: 1 to %lld",
		    (long long)MM_WORK_SHARE_MAX);
	if (g->waiting_most < 1 || g->waiting_most > 10000 ||
	    g->conflicts_most > 1000000)
		return MM_FAIL(why, MM_EINPUT, "waiting: 1 to 10000; "
		    "conflicts: at most 1000000");
	return g->range[0] == '\0' ? MM_OK
	    : mm_serials_parse(g->range, &run, why);
}

/* What the configuration has switched on, and what each kind can have. */
static enum mm_err
check_kind(const struct mm_rest *r, const struct mm_group *g,
    struct mm_why *why)
{
	const struct mm_settings *set = &r->s->config->set;
	bool bare = g->kind == MM_GROUP_NONE || g->kind == MM_GROUP_CLAIM;

	if (g->kind == MM_GROUP_NONE && !set->pairing)
		return MM_FAIL(why, MM_EPOLICY, "kind: groups of kind none are "
		    "off; mintmark.conf: pairing = true");
	if (g->kind == MM_GROUP_CLAIM && !set->claim_secrets)
		return MM_FAIL(why, MM_EPOLICY, "kind: groups of kind claim are "
		    "off; mintmark.conf: claim_secrets = true");
	if (g->legacy && set->legacy_listen[0] == '\0')
		return MM_FAIL(why, MM_EPOLICY, "legacy: there is no legacy "
		    "listener; mintmark.conf: legacy_listen");
	if (bare && (g->names || g->accept_expired || g->legacy ||
	    json_object_get(r->in, "certificates") != NULL))
		return MM_FAIL(why, MM_EINPUT, "certificates, names, "
		    "accept_expired, legacy: there are no old certificates");
	if (g->bearer && g->kind != MM_GROUP_CLAIM)
		return MM_FAIL(why, MM_EINPUT, "bearer: of kind claim only");
	if (g->kind == MM_GROUP_NONE && g->waiting_most > PAIRING_MOST)
		return MM_FAIL(why, MM_EINPUT, "waiting: 1 to %d",
		    PAIRING_MOST);
	return MM_OK;
}

static enum mm_err
read_group(struct mm_rest *r, struct wish *w, struct mm_group *g,
    struct mm_why *why)
{
	MM_OWN(mm_rest_json_free) json_t *rest = json_copy(r->in);

	if (rest == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	(void)json_object_del(rest, "certificates");
	MM_TRY(mm_rest_members(rest, members, N(members), w, why));
	if (!mm_group_id_valid(w->id))
		return MM_FAIL(why, MM_EINPUT, "id: 1 to %d characters",
		    MM_GROUP_ID_MAX);
	g->created_at = mm_now_ms();
	g->state = MM_WORK_PAUSED;
	g->kind = mm_work_word(mm_group_kind_words, MM_GROUP_KINDS, w->kind);
	if (g->kind < 0)
		return MM_FAIL(why, MM_EINPUT, "kind: no such word");
	strcpy(g->id, w->id);
	strcpy(g->product, w->product);
	strcpy(g->profile, w->profile);
	MM_TRY(keep_note(g, w->note, why));
	MM_TRY(read_limits(g, w, why));
	MM_TRY(check_kind(r, g, why));
	MM_TRY(check_profile(r, g, why));
	return read_credentials(r, g, w, why);
}

/* Shown here, and never again. */
static enum mm_err
make_secret(struct mm_rest *r, struct mm_group *g, char text[MM_TOKEN_TEXT],
    struct mm_why *why)
{
	if (g->kind != MM_GROUP_CLAIM)
		return MM_OK;
	MM_TRY(mm_desk_credential_room(r->desk, MM_CREDENTIAL_SECRET, 1,
	    why));
	return mm_desk_group_secret(r->desk, g, text, why);
}

static enum mm_err
put_credentials(struct mm_rest *r, struct mm_group *g, const struct wish *w,
    struct mm_why *why)
{
	static const enum mm_credential_kind kinds[MM_GROUP_KINDS] = {
		[MM_GROUP_CA] = MM_CREDENTIAL_CA,
		[MM_GROUP_CERTIFICATES] = MM_CREDENTIAL_CERT,
		[MM_GROUP_NONE] = MM_CREDENTIAL_NOTHING,
		[MM_GROUP_CLAIM] = MM_CREDENTIAL_SECRET,
	};
	struct mm_old_one one = { .kind = kinds[g->kind] };

	for (size_t i = 0; i < g->ncredentials; i++) {
		one.der = mm_buf_view(&w->der[i]);
		memcpy(one.sha256, g->credential[i], 32);
		MM_TRY(mm_desk_credential_put(r->desk, g, &one, why));
	}
	if (g->kind == MM_GROUP_CLAIM)
		mm_sha256(mm_bytes_of(g->secret), one.sha256);
	return g->kind == MM_GROUP_CLAIM || g->kind == MM_GROUP_NONE
	    ? mm_desk_credential_put(r->desk, g, &one, why) : MM_OK;
}

static enum mm_err
put_new(struct mm_rest *r, const struct mm_group *g, const char *secret,
    struct mm_why *why)
{
	mm_rest_etag(r, g->version);
	mm_json_open(&r->j, '{');
	MM_TRY(put_group(r, g, why));
	if (secret[0] != '\0')
		mm_rest_put_secret(r, "token", secret);
	mm_json_close(&r->j, '}');
	return MM_OK;
}

/* The group comes last: a credential of one that is not there is nothing, and
 * may have made room for another one's before the group was there.  Now it
 * cannot any more. */
static enum mm_err
create(struct mm_rest *r, struct wish *w, struct mm_group *g,
    char secret[MM_TOKEN_TEXT], struct mm_why *why)
{
	struct mm_group there;
	struct mm_why own = { 0 };
	enum mm_err rc;

	MM_TRY(read_group(r, w, g, why));
	rc = mm_group_get(r->reader, g->id, &there, NULL);
	if (rc != MM_ENOTFOUND)
		return MM_FAIL(why, rc == MM_OK ? MM_ECONFLICT : rc,
		    rc == MM_OK ? "group %s: exists" : "the store cannot be "
		    "read", g->id);
	MM_TRY(make_room(r, g, why));
	MM_TRY(make_secret(r, g, secret, why));
	MM_TRY(put_credentials(r, g, w, why));
	MM_TRY(mm_desk_group_put(r->desk, &r->login, g, NULL, why));
	rc = put_credentials(r, g, w, &own);
	if (rc != MM_OK) /* the secret is shown but once */
		MM_LOG(MM_LOG_WARN, "group.credentials", MM_S("group", g->id),
		    MM_S("why", own.text));
	mm_boot_refresh(r->s->boot, r->reader);
	r->status = 201;
	return put_new(r, g, secret, why);
}

/* Who waits there has proved nothing: the queue is a short one. */
static bool
is_none(const json_t *in)
{
	const char *kind = json_string_value(json_object_get(in, "kind"));

	return kind != NULL && strcmp(kind,
	    mm_group_kind_words[MM_GROUP_NONE]) == 0;
}

enum mm_err
mm_rest_group_create(struct mm_rest *r, struct mm_why *why)
{
	struct wish *w = calloc(1, sizeof(*w));
	struct mm_group *g = calloc(1, sizeof(*g));
	char secret[MM_TOKEN_TEXT] = "";
	enum mm_err rc = MM_ENOMEM;

	if (w != NULL && g != NULL) {
		w->conflicts = MM_GROUP_CONFLICTS;
		w->waiting = MM_GROUP_WAITING;
		if (is_none(r->in))
			w->waiting = MM_GROUP_PAIRING;
		rc = create(r, w, g, secret, why);
		wish_done(w);
	}
	mm_wipe(secret, sizeof(secret));
	free(w);
	free(g);
	return rc != MM_ENOMEM ? rc : MM_FAIL(why, rc, "out of memory");
}

/* ---- changing one ---- */

struct change {
	char reason[MM_GROUP_NOTE];
	int64_t quantity, until;
};
static const struct mm_member change_members[] = {
	{ "reason", MM_M_TEXT, false, offsetof(struct change, reason),
	    MM_GROUP_NOTE },
	{ "quantity", MM_M_INT, false, offsetof(struct change, quantity), 0 },
	{ "until", MM_M_TIME, false, offsetof(struct change, until), 0 },
};

static enum mm_err
store(struct mm_rest *r, struct mm_group *g, const char *reason,
    struct mm_why *why)
{
	const uint64_t *if_version;
	uint64_t version;
	enum mm_err rc;

	MM_TRY(mm_rest_if_match(r, &version, &if_version, why));
	if (if_version != NULL && *if_version != g->version)
		return MM_FAIL(why, MM_ESTALE, "group %s: has changed", g->id);
	rc = mm_desk_group_put(r->desk, &r->login, g, reason, why);
	if (rc == MM_ESTALE && if_version == NULL)
		return MM_ECONFLICT; /* a race with another request */
	MM_TRY(rc);
	return put_one(r, g, why);
}

/* Who opens it has looked at its conflicts. */
static enum mm_err
become(struct mm_rest *r, int state, const char *word, struct mm_why *why)
{
	struct change c = { .reason = "" };
	struct mm_group_counts n;
	struct mm_group g;

	MM_TRY(mm_rest_members(r->in, change_members, 1, &c, why));
	MM_TRY(mm_rest_group_of(r, &g, why));
	MM_TRY(mm_group_counts(r->reader, &g, &n, why));
	if (state == MM_WORK_OPEN)
		MM_TRY(mm_approval_is_of(r, &g, why));
	if (state == MM_WORK_OPEN && g.state == MM_WORK_OPEN &&
	    !mm_group_halted(&g, n.conflicts))
		return MM_FAIL(why, MM_ECONFLICT, "group %s is open", g.id);
	MM_TRY(mm_group_become(&g, state, why));
	if (state == MM_WORK_OPEN)
		g.forgiven = n.conflicts;
	MM_TRY(keep_note(&g, c.reason, why));
	return store(r, &g, word, why);
}

enum mm_err
mm_rest_group_open(struct mm_rest *r, struct mm_why *why)
{
	return become(r, MM_WORK_OPEN, "opened", why);
}

enum mm_err
mm_rest_group_pause(struct mm_rest *r, struct mm_why *why)
{
	return become(r, MM_WORK_PAUSED, "paused", why);
}

enum mm_err
mm_rest_group_close(struct mm_rest *r, struct mm_why *why)
{
	return become(r, MM_WORK_CLOSED, "closed", why);
}

enum mm_err
mm_rest_group_extend(struct mm_rest *r, struct mm_why *why)
{
	struct change c = { .reason = "" };
	struct mm_group g;

	MM_TRY(mm_rest_members(r->in, change_members, 3, &c, why));
	if (c.reason[0] == '\0')
		return MM_FAIL(why, MM_EINPUT, "reason: missing");
	if (c.quantity == 0 && c.until == 0)
		return MM_FAIL(why, MM_EINPUT,
		    "extend: want quantity or until");
	MM_TRY(mm_rest_group_of(r, &g, why));
	if (g.state == MM_WORK_CLOSED)
		return MM_FAIL(why, MM_ECONFLICT, "group %s is closed", g.id);
	if ((c.until != 0 && c.until < g.until_ms) ||
	    (c.quantity != 0 && c.quantity < g.most) ||
	    c.quantity > MM_WORK_SHARE_MAX)
		return MM_FAIL(why, MM_ECONFLICT,
		    "extend: quantity and until only grow");
	if (c.until != 0)
		g.until_ms = c.until;
	if (c.quantity != 0)
		g.most = c.quantity;
	MM_TRY(keep_note(&g, c.reason, why));
	return store(r, &g, "extended", why);
}
