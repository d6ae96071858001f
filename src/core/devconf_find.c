#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/devconf_give.h"
#include "core/production.h"

/*
 * What a device gets.  Its record says what it was given last and on which
 * basis: the versions of the sets that may be its, and of the device's own
 * row.  While the basis is the same, nothing is rendered.
 */
enum {
	HISTORY = 512,     /* entries that are looked at for its batch */
	SAYS_MS = 3600000, /* of a new version for what a device says */
};

MM_FREE_FN(json_free, json_t, json_decref)

/* see devconf.h */
const char *const mm_devconf_state_words[MM_DEVCONF_STATES] = {
	[MM_DEVCONF_CURRENT] = "current",
	[MM_DEVCONF_OFFERED] = "offered",
	[MM_DEVCONF_OLD] = "old",
	[MM_DEVCONF_NEVER] = "never",
};

/* see devconf.h */
void
mm_devconf_given_done(struct mm_devconf_given *g)
{
	mm_buf_wipe(&g->document);
	mm_buf_done(&g->shown);
}

/* ---- its record ---- */

static bool
copy(const json_t *o, const char *key, char *out, size_t n)
{
	const char *v = json_string_value(json_object_get(o, key));

	return v != NULL && mm_text_copy(out, n, mm_bytes_of(v));
}

/* A record of before there were any has none. */
static bool
read_salt(const json_t *o, struct mm_devconf_given *g)
{
	const char *hex = json_string_value(json_object_get(o, "salt"));

	return hex == NULL || mm_hex_parse(hex, strlen(hex), g->salt,
	    sizeof(g->salt), NULL) == MM_OK;
}

/* A record of most has none. */
static bool
read_said(const json_t *o, struct mm_devconf_given *g)
{
	const char *said = json_string_value(json_object_get(o, "said_at"));

	return said == NULL || mm_time_parse(said, &g->said_at, NULL) == MM_OK;
}

static bool
read_note(const json_t *o, struct mm_devconf_given *g)
{
	const char *hex = json_string_value(json_object_get(o, "sha256"));
	const char *at = json_string_value(json_object_get(o, "at"));

	g->given = json_integer_value(json_object_get(o, "version"));
	g->held = json_integer_value(json_object_get(o, "held"));
	g->initial = json_integer_value(json_object_get(o, "initial"));
	return hex != NULL && at != NULL &&
	    mm_hex_parse(hex, strlen(hex), g->sha256, 32, NULL) == MM_OK &&
	    read_salt(o, g) && read_said(o, g) &&
	    mm_time_parse(at, &g->given_at, NULL) == MM_OK &&
	    copy(o, "basis", g->basis, sizeof(g->basis)) &&
	    copy(o, "batch", g->batch, sizeof(g->batch)) &&
	    copy(o, "serial", g->serial, sizeof(g->serial));
}

/* see devconf_give.h */
void
mm_devconf_note_id(const char *device, char id[MM_DOC_ID_MAX + 1])
{
	size_t i;

	for (i = 0; device[i] != '\0' && i < MM_DOC_ID_MAX; i++)
		id[i] = (char)tolower((unsigned char)device[i]);
	id[i] = '\0';
}

static enum mm_err
get_note(struct mm_store_reader *r, const char *device,
    struct mm_devconf_given *g, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	MM_OWN(json_free) json_t *o = NULL;
	char id[MM_DOC_ID_MAX + 1];
	enum mm_err rc;

	mm_devconf_note_id(device, id);
	rc = mm_get_doc(r, MM_DOC_GIVEN, id, &g->note, &body, NULL);
	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	o = json_loadb((const char *)body.p, body.n, 0, NULL);
	return read_note(o, g) ? MM_OK : MM_FAIL(why, MM_ESYS, "what %.64s "
	    "was configured to cannot be read", device);
}

/* ---- its batch, by its certificates' entries ---- */

struct looking {
	struct mm_devconf_given *g;
	bool found;
	char arena[MM_ENTRY_MAX + 64];
};

static enum mm_err
look_at(void *ctx, uint64_t index, struct mm_bytes entry, struct mm_why *why)
{
	struct looking *l = ctx;
	struct mm_entry e;
	const char *version;

	(void)index, (void)why;
	if (l->found || mm_entry_parse(entry, l->arena, sizeof(l->arena), &e,
	    NULL) != MM_OK || e.field[MM_F_BATCH] == NULL ||
	    (e.type != MM_E_CERT_ISSUED && e.type != MM_E_CERT_SYNCED))
		return MM_OK;
	l->found = true;
	version = e.field[MM_F_CONFIG_VERSION];
	(void)!mm_text_copy(l->g->batch, sizeof(l->g->batch),
	    mm_bytes_of(e.field[MM_F_BATCH]));
	if (version == NULL ||
	    mm_int_parse(version, &l->g->initial, NULL) != MM_OK)
		l->g->initial = 0;
	return MM_OK;
}

/* Asked for only where it may be another one than the record says: a device
 * that was made again has another certificate. */
static enum mm_err
find_batch(struct mm_store_reader *r, const char *serial,
    struct mm_devconf_given *g, struct mm_why *why)
{
	struct looking *l;
	enum mm_err rc;

	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	l->g = g;
	rc = mm_list_history(r, g->device, UINT64_MAX, HISTORY, look_at, l,
	    NULL);
	free(l);
	if (serial != NULL)
		snprintf(g->serial, sizeof(g->serial), "%s", serial);
	return rc == MM_OK ? MM_OK
	    : MM_FAIL(why, rc, "the store cannot be read");
}

/* ---- the sets ---- */

/* see devconf_priv.h */
enum mm_err
mm_devconf_sets_get(struct mm_store_reader *r, const struct mm_device *dev,
    const char *batch, struct mm_devconf_sets *out, struct mm_why *why)
{
	struct mm_devconf *b = &out->of[MM_DEVCONF_BATCH];

	MM_TRY(mm_devconf_get(r, MM_DEVCONF_PRODUCT, dev->product,
	    &out->of[MM_DEVCONF_PRODUCT], why));
	MM_TRY(mm_devconf_get(r, MM_DEVCONF_DEVICE, dev->id,
	    &out->of[MM_DEVCONF_DEVICE], why));
	*b = (struct mm_devconf){ .scope = MM_DEVCONF_BATCH };
	if (batch[0] != '\0')
		MM_TRY(mm_devconf_get(r, MM_DEVCONF_BATCH, batch, b, why));
	if (b->version > 0 && strcmp(b->product, dev->product) != 0)
		*b = (struct mm_devconf){ .scope = MM_DEVCONF_BATCH };
	return MM_OK;
}

/* see devconf_priv.h */
const struct mm_devconf *
mm_devconf_nearest(const struct mm_devconf_sets *s)
{
	for (int i = MM_DEVCONF_SCOPES - 1; i >= 0; i--)
		if (mm_devconf_on(&s->of[i]))
			return &s->of[i];
	return NULL;
}

static void
put_basis(const struct mm_devconf_sets *s, const struct mm_device *dev,
    const char *batch, char out[160])
{
	snprintf(out, 160, "%" PRIu64 ".%" PRIu64 ".%" PRIu64 ".%" PRIu64
	    " %s %s", s->of[0].version, s->of[1].version, s->of[2].version,
	    dev->version, dev->product, batch);
}

/* ---- rendering ---- */

/* The schema is the product's, whichever set gives. */
static enum mm_err
get_schema(struct mm_store_reader *r, const struct mm_devconf_sets *s,
    struct mm_buf *out, struct mm_why *why)
{
	const struct mm_devconf *p = &s->of[MM_DEVCONF_PRODUCT];

	out->n = 0;
	if (!mm_devconf_on(p) || mm_zero(p->past[0].schema, 32))
		return MM_OK;
	return mm_paper_get(r, p->past[0].schema, out, why);
}

static enum mm_err
render(struct mm_store_reader *r, const struct mm_devconf_sets *s,
    const struct mm_device *dev, struct mm_devconf_given *g,
    uint8_t sha256[32], struct mm_why *why)
{
	MM_OWN(mm_devconf_papers_done) struct mm_devconf_papers p =
	    MM_DEVCONF_PAPERS_INIT;
	const struct mm_devconf_for f = { dev,
		g->batch[0] != '\0' ? g->batch : NULL };
	struct mm_devconf_text t;

	MM_TRY(mm_devconf_papers(r, mm_devconf_nearest(s), &p, why));
	MM_TRY(get_schema(r, s, &p.schema, why));
	t = (struct mm_devconf_text){ mm_buf_view(&p.template),
		mm_buf_view(&p.table), mm_buf_view(&p.schema), NULL };
	MM_TRY(mm_devconf_render(&t, &f, &g->document, &g->shown, sha256,
	    why));
	g->rendered = true;
	return MM_OK;
}

/* It has another document by the version on record: this store was put back to
 * a backup, and has given that number a second time.  Zeros: of a version
 * whose document it lost. */
static bool
has_another(const struct mm_devconf_who *who, const struct mm_devconf_given *g)
{
	char hex[17];

	mm_hex_text(g->sha256, 8, hex);
	return who->says > 0 && who->says == g->given &&
	    strncmp(who->mark, hex, 16) != 0 &&
	    strncmp(who->mark, "0000000000000000", 16) != 0;
}

/* The document is what it was, and the device says that it has more: each time
 * is an entry and a signature, so that is believed once an hour. */
static enum mm_err
believe(struct mm_devconf_given *g, struct mm_why *why)
{
	int64_t now = mm_now_ms();

	if (now - g->said_at < SAYS_MS && now >= g->said_at)
		return MM_FAIL(why, MM_ERATE, "another version was made for "
		    "what the device says it has: not twice in an hour");
	g->said_at = now;
	return MM_OK;
}

/*
 * Another document is another version, above all that the device may have: the
 * one that it was given last, its initial one, and the one that it says it
 * has, which this store may have forgotten with its newest years.
 */
static enum mm_err
number(struct mm_devconf_given *g, const uint8_t sha256[32],
    const struct mm_devconf_who *who, struct mm_why *why)
{
	const int64_t says = who->says;
	int64_t most = g->given;
	bool same = most > 0 && memcmp(sha256, g->sha256, 32) == 0 &&
	    !mm_zero(g->salt, sizeof(g->salt));

	if (same && says <= most && !has_another(who, g)) {
		g->version = most;
		return MM_OK;
	}
	if (same)
		MM_TRY(believe(g, why));
	MM_TRY(mm_salt_make(g->salt, why));
	if (g->initial > most)
		most = g->initial;
	if (says > most)
		most = says;
	g->version = most + 1;
	g->changed = true;
	memcpy(g->sha256, sha256, 32);
	return MM_OK;
}

/* see devconf_give.h */
enum mm_err
mm_devconf_resolve(struct mm_desk *d, const struct mm_device *dev,
    const struct mm_devconf_who *who, struct mm_devconf_given *g,
    struct mm_why *why)
{
	const struct mm_devconf *set;
	struct mm_devconf_sets s;
	char basis[sizeof(g->basis)];
	uint8_t sha256[32];
	bool same;

	strcpy(g->device, dev->id);
	strcpy(g->product, dev->product);
	MM_TRY(get_note(d->r, dev->id, g, why));
	same = who->look || (g->note > 0 && (who->serial == NULL ||
	    strcmp(who->serial, g->serial) == 0));
	if (!same)
		MM_TRY(find_batch(d->r, who->serial, g, why));
	MM_TRY(mm_devconf_sets_get(d->r, dev, g->batch, &s, why));
	set = mm_devconf_nearest(&s);
	g->has = set != NULL;
	g->set_at = g->has ? set->past[0].at : 0;
	put_basis(&s, dev, g->batch, basis);
	g->noted = g->note > 0 && same && strcmp(basis, g->basis) == 0 &&
	    !mm_zero(g->salt, sizeof(g->salt));
	strcpy(g->basis, basis);
	if (!g->has || who->look)
		return MM_OK;
	g->scope = set->scope;
	strcpy(g->set, set->id);
	g->set_version = set->version;
	if (g->noted && who->says <= g->given && !has_another(who, g) &&
	    !who->render) {
		g->version = g->given;
		return MM_OK;
	}
	MM_TRY(render(d->r, &s, dev, g, sha256, why));
	return number(g, sha256, who, why);
}

/* see devconf.h */
enum mm_err
mm_desk_devconf_find(struct mm_desk *d, const char *device,
    struct mm_devconf_given *out, struct mm_why *why)
{
	const struct mm_devconf_who who = { .render = true };
	struct mm_device dev;

	MM_TRY(mm_get_device(d->r, device, &dev, why));
	return mm_devconf_resolve(d, &dev, &who, out, why);
}

/* see devconf.h */
enum mm_err
mm_desk_devconf_state(struct mm_desk *d, const struct mm_device *device,
    struct mm_devconf_given *out, enum mm_devconf_state *state,
    struct mm_why *why)
{
	const struct mm_devconf_who who = { .look = true };

	MM_TRY(mm_devconf_resolve(d, device, &who, out, why));
	if (out->note == 0)
		*state = MM_DEVCONF_NEVER;
	else if (!out->noted)
		*state = MM_DEVCONF_OLD;
	else
		*state = out->held == out->given ? MM_DEVCONF_CURRENT
		    : MM_DEVCONF_OFFERED;
	return MM_OK;
}
