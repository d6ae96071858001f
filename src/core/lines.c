#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/sorted.h"
#include "core/production_priv.h"

/*
 * The line CAs that the signer made: documents of the store, so that each node
 * learns of them and no configuration names them.  Their certificates stay in
 * memory, sorted by name; what is sealed is read when it is needed.
 */
struct mm_lines {
	pthread_mutex_t lock;
	struct mm_made_line **at;
	size_t n, cap;
	/* as they joined: strangers' questions look through these numbers */
	struct asked {
		uint64_t tag[MM_OCSP_HASHES], serial;
		struct mm_made_line *line;
	} *asked;
	size_t nasked, asked_cap;
	char (*missed)[MM_NAME_MAX + 1];
	size_t nmissed, missed_cap;
};

enum { BLOB_MAX = 8192 };

/* see priv.h */
int64_t
mm_lines_hours(const struct mm_config *c, const struct mm_made_line *line)
{
	const struct mm_issuer_conf *i = mm_config_issuer(c, line->above);

	return i == NULL ? 24 : i->crl_hours;
}

/* ---- the table ---- */

static void
line_free(struct mm_made_line *line)
{
	if (line != NULL)
		mm_buf_done(&line->der);
	free(line);
}

static const char *
name_at(const void *lines, size_t i)
{
	const struct mm_lines *l = lines;

	return l->at[i]->name;
}

/* Where it stands, or would. */
static size_t
place(const struct mm_lines *l, const char *name, bool *there)
{
	return mm_sorted_place(l, l->n, name_at, name, there);
}

/* see priv.h */
struct mm_made_line *
mm_lines_find(struct mm_lines *l, const char *name)
{
	struct mm_made_line *line = NULL;
	bool there;
	size_t i;

	if (l == NULL)
		return NULL;
	pthread_mutex_lock(&l->lock);
	i = place(l, name, &there);
	if (there)
		line = l->at[i];
	pthread_mutex_unlock(&l->lock);
	return line;
}

/* see priv.h */
struct mm_made_line *
mm_lines_at(struct mm_lines *l, size_t i)
{
	struct mm_made_line *line;

	pthread_mutex_lock(&l->lock);
	line = i < l->n ? l->at[i] : NULL;
	pthread_mutex_unlock(&l->lock);
	return line;
}

/* see priv.h */
size_t
mm_lines_n(struct mm_lines *l)
{
	size_t n;

	if (l == NULL)
		return 0;
	pthread_mutex_lock(&l->lock);
	n = l->n;
	pthread_mutex_unlock(&l->lock);
	return n;
}

static uint64_t
tag_of(const uint8_t *hash)
{
	uint64_t tag;

	memcpy(&tag, hash, sizeof(tag));
	return tag;
}

/* see priv.h */
struct mm_made_line *
mm_lines_asked(struct mm_lines *l, const struct mm_ocsp_id *id)
{
	uint64_t tag = tag_of(id->key_hash.p);
	struct mm_made_line *line = NULL;

	if (l == NULL)
		return NULL;
	pthread_mutex_lock(&l->lock);
	for (size_t i = 0; i < l->nasked && line == NULL; i++)
		if (l->asked[i].tag[id->hash] == tag &&
		    mm_ocsp_is_of(id, &l->asked[i].line->ocsp))
			line = l->asked[i].line;
	pthread_mutex_unlock(&l->lock);
	return line;
}

/* A serial number's random end. */
static uint64_t
end_of(const uint8_t serial[MM_SERIAL_N])
{
	return tag_of(serial + MM_SERIAL_N - sizeof(uint64_t));
}

/* see priv.h */
bool
mm_lines_made(struct mm_lines *l, const char *above,
    const uint8_t serial[MM_SERIAL_N])
{
	uint64_t end = end_of(serial);
	bool made = false;

	if (l == NULL)
		return false;
	pthread_mutex_lock(&l->lock);
	for (size_t i = 0; i < l->nasked && !made; i++)
		made = l->asked[i].serial == end &&
		    memcmp(l->asked[i].line->serial, serial, MM_SERIAL_N) ==
			0 && strcmp(l->asked[i].line->above, above) == 0;
	pthread_mutex_unlock(&l->lock);
	return made;
}

/* With the lock.  false: no memory. */
static bool
note_asked(struct mm_lines *l, struct mm_made_line *line)
{
	struct asked *p = mm_grown(l->asked, l->nasked, &l->asked_cap,
	    sizeof(*p));

	if (p == NULL)
		return false;
	l->asked = p;
	for (unsigned i = 0; i < MM_OCSP_HASHES; i++)
		p[l->nasked].tag[i] = tag_of(line->ocsp.key_hash[i]);
	p[l->nasked].serial = end_of(line->serial);
	p[l->nasked++].line = line;
	return true;
}

static enum mm_err
insert(struct mm_lines *l, struct mm_made_line *take_line, struct mm_why *why)
{
	struct mm_made_line **p;
	bool there;
	size_t i;

	pthread_mutex_lock(&l->lock);
	i = place(l, take_line->name, &there);
	p = there ? NULL : mm_grown(l->at, l->n, &l->cap, sizeof(*p));
	if (p != NULL)
		l->at = p;
	if (p != NULL && !note_asked(l, take_line))
		p = NULL;
	if (p != NULL) {
		memmove(p + i + 1, p + i, (l->n - i) * sizeof(*p));
		p[i] = take_line;
		l->n++;
	}
	pthread_mutex_unlock(&l->lock);
	if (p == NULL)
		line_free(take_line);
	return p != NULL || there ? MM_OK :
	    MM_FAIL(why, MM_ENOMEM, "lines: out of memory");
}

/* ---- a document ---- */

static json_t *
parse(struct mm_bytes body)
{
	return json_loadb((const char *)body.p, body.n, 0, NULL);
}

static bool
blob(const json_t *o, const char *name, struct mm_buf *out)
{
	const char *text = json_string_value(json_object_get(o, name));

	return text != NULL &&
	    mm_base64_parse(mm_bytes_of(text), out, NULL) == MM_OK &&
	    out->n > 0;
}

/* Itself, then what is above the issuer that signed it. */
static void
make_chain(struct mm_core *c, struct mm_made_line *line)
{
	const struct mm_chain *above =
	    mm_chains_issuer(c->chains, line->above);

	line->view[line->chain.n++] = mm_buf_view(&line->der);
	for (size_t i = 0; above != NULL && i < above->n &&
	     line->chain.n < sizeof(line->view) / sizeof(line->view[0]); i++)
		line->view[line->chain.n++] = above->der[i];
	line->chain.der = line->view;
}

static enum mm_err
read_certificate(struct mm_made_line *line, struct mm_why *why)
{
	struct mm_bytes der = mm_buf_view(&line->der);
	struct mm_cert c;

	MM_TRY(mm_cert_walk(der, &c, why));
	if (c.serial.n == sizeof(line->serial))
		memcpy(line->serial, c.serial.p, sizeof(line->serial));
	return mm_ocsp_issuer_make(der, &line->ocsp, why);
}

static enum mm_err
add(struct mm_core *c, const char *id, struct mm_bytes body,
    struct mm_why *why)
{
	MM_OWN(mm_json_free) json_t *o = parse(body);
	const char *above = json_string_value(json_object_get(o, "issuer"));
	struct mm_made_line *line = calloc(1, sizeof(*line));

	if (line == NULL)
		return MM_FAIL(why, MM_ENOMEM, "lines: out of memory");
	mm_buf_init(&line->der, MM_CERT_MAX);
	if (above == NULL || !blob(o, "certificate", &line->der) ||
	    !mm_text_copy(line->name, sizeof(line->name), mm_bytes_of(id)) ||
	    !mm_text_copy(line->above, sizeof(line->above),
		mm_bytes_of(above))) {
		line_free(line);
		return MM_FAIL(why, MM_ESYS, "line CA %.32s: its record "
		    "cannot be read", id);
	}
	if (read_certificate(line, why) != MM_OK) {
		line_free(line);
		return MM_ESYS;
	}
	make_chain(c, line);
	return insert(c->lines, line, why);
}

static enum mm_err
read_doc(struct mm_store_reader *r, const char *name, struct mm_buf *body,
    struct mm_why *why)
{
	uint64_t version;
	enum mm_err rc = mm_get_doc(r, MM_DOC_LINE_CA, name, &version, body,
	    NULL);

	return rc == MM_OK ? MM_OK :
	    MM_FAIL(why, rc, "line CA %.32s: %s", name, rc == MM_ENOTFOUND ?
		"there is none" : "the store cannot be read");
}

/* see priv.h */
enum mm_err
mm_lines_join(struct mm_core *c, struct mm_store_reader *r, const char *name,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);

	MM_TRY(read_doc(r, name, &body, why));
	return add(c, name, mm_buf_view(&body), why);
}

/* ---- those that the store could not be asked about ---- */

/* see priv.h */
void
mm_lines_missed(struct mm_core *c, const char *name)
{
	struct mm_lines *l = c->lines;
	char (*p)[MM_NAME_MAX + 1];

	pthread_mutex_lock(&l->lock);
	p = mm_grown(l->missed, l->nmissed, &l->missed_cap, sizeof(*p));
	if (p != NULL) {
		l->missed = p;
		snprintf(p[l->nmissed++], sizeof(*p), "%s", name);
	}
	pthread_mutex_unlock(&l->lock);
}

static bool
take_missed(struct mm_lines *l, char name[MM_NAME_MAX + 1])
{
	bool any;

	pthread_mutex_lock(&l->lock);
	any = l->nmissed > 0;
	if (any)
		memcpy(name, l->missed[--l->nmissed], MM_NAME_MAX + 1);
	pthread_mutex_unlock(&l->lock);
	return any;
}

/* see priv.h; the first that is missed again ends it, for now */
void
mm_lines_again(struct mm_desk *d)
{
	struct mm_core *c = d->c;
	char name[MM_NAME_MAX + 1];

	while (c->lines != NULL && take_missed(c->lines, name)) {
		enum mm_err rc = mm_lines_join(c, d->r, name, NULL);

		if (rc == MM_OK || rc == MM_ENOTFOUND)
			continue;
		mm_lines_missed(c, name);
		return;
	}
}

/* see priv.h */
void
mm_line_kept_done(struct mm_line_kept *k)
{
	mm_buf_done(&k->given);
	mm_buf_done(&k->kept);
}

/* see priv.h */
enum mm_err
mm_line_read(struct mm_store_reader *r, const char *name,
    struct mm_line_kept *out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	MM_OWN(mm_json_free) json_t *o = NULL;
	const char *to;

	mm_buf_init(&out->given, BLOB_MAX);
	mm_buf_init(&out->kept, BLOB_MAX);
	MM_TRY(read_doc(r, name, &body, why));
	o = parse(mm_buf_view(&body));
	to = json_string_value(json_object_get(o, "recipient"));
	if (!blob(o, "given", &out->given) || !blob(o, "kept", &out->kept) ||
	    to == NULL || mm_hex_parse(to, 64, out->to, 32, NULL) != MM_OK)
		return MM_FAIL(why, MM_ESYS, "line CA %.32s: its record "
		    "cannot be read", name);
	return MM_OK;
}

/* ---- all of them ---- */

static enum mm_err
one(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_doc *doc = row;

	(void)next;
	return add(ctx, doc->id, doc->body, why);
}

static enum mm_err
load(struct mm_core *c, struct mm_why *why)
{
	return mm_each_doc(c->feed_reader, MM_DOC_LINE_CA, "", one, c, why);
}

/* see priv.h */
enum mm_err
mm_lines_new(struct mm_core *c, struct mm_lines **out, struct mm_why *why)
{
	struct mm_lines *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return MM_FAIL(why, MM_ENOMEM, "lines: out of memory");
	pthread_mutex_init(&l->lock, NULL);
	*out = l; /* the core frees it, full or not */
	return load(c, why);
}

/* see priv.h */
void
mm_lines_free(struct mm_lines **owner)
{
	struct mm_lines *l = *owner;

	if (l == NULL)
		return;
	for (size_t i = 0; i < l->n; i++)
		line_free(l->at[i]);
	free(l->at);
	free(l->asked);
	free(l->missed);
	pthread_mutex_destroy(&l->lock);
	free(l);
	*owner = NULL;
}

/* ---- what core.h shows of it ---- */

/* see core.h */
size_t
mm_core_lines(struct mm_core *c)
{
	return mm_lines_n(c->lines);
}

/* see core.h */
bool
mm_core_line_at(struct mm_core *c, size_t i, char name[MM_NAME_MAX + 1],
    uint64_t *list)
{
	struct mm_made_line *line = mm_lines_at(c->lines, i);

	if (line == NULL)
		return false;
	memcpy(name, line->name, sizeof(line->name));
	pthread_mutex_lock(&c->lock);
	*list = line->mark.number;
	pthread_mutex_unlock(&c->lock);
	return true;
}

/* see core.h */
bool
mm_core_line_named(struct mm_core *c, struct mm_bytes subject,
    struct mm_bytes *der)
{
	char cn[128];
	const char *name;
	struct mm_made_line *line;
	struct mm_cert cert;

	/* the signer names it so: "... Line CA <name>" */
	if (!mm_name_attribute(subject, "2.5.4.3", cn, sizeof(cn)))
		return false;
	name = strrchr(cn, ' ');
	line = name == NULL ? NULL : mm_lines_find(c->lines, name + 1);
	if (line == NULL ||
	    mm_cert_walk(mm_buf_view(&line->der), &cert, NULL) != MM_OK ||
	    !mm_bytes_eq(cert.subject, subject))
		return false;
	*der = mm_buf_view(&line->der);
	return true;
}
