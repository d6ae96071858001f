#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/priv.h"

/* see priv.h */
bool
mm_zero(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint8_t any = 0;

	while (n > 0)
		any |= b[--n];
	return any == 0;
}

/* see priv.h */
struct mm_papers
mm_papers_over(struct mm_buf *buf)
{
	mm_buf_reset(buf);
	return (struct mm_papers){ .buf = buf };
}

/* see priv.h */
void
mm_papers_add(struct mm_papers *p, const struct mm_entry *e)
{
	struct mm_entry dated = *e;

	if (p->err != MM_OK)
		return;
	MM_INVARIANT(p->n < MM_OP_ENTRIES);
	if (dated.at_ms == 0)
		dated.at_ms = mm_now_ms();
	p->err = mm_entry_encode(&dated, p->buf, NULL);
	p->at[++p->n] = p->buf->n;
}

/* see priv.h */
enum mm_err
mm_papers_seal(struct mm_papers *p, struct mm_op *op, struct mm_why *why)
{
	if (p->err != MM_OK)
		return MM_FAIL(why, p->err, "ledger: entry cannot be written");
	for (unsigned i = 0; i < p->n; i++)
		op->entry[i] = (struct mm_bytes){ p->buf->p + p->at[i],
			p->at[i + 1] - p->at[i] };
	op->nentries = p->n;
	return MM_OK;
}

static const char *
hex_or_null(const uint8_t *v, size_t n, char *out)
{
	if (v == NULL || mm_zero(v, n))
		return NULL;
	mm_hex_text(v, n, out);
	return out;
}

static const char *
time_or_null(int64_t s, char out[MM_TIME_TEXT])
{
	if (s == 0)
		return NULL;
	mm_time_text_s(s, out);
	return out;
}

/* see priv.h */
void
mm_entry_certified(struct mm_entry *e, struct mm_cert_texts *t,
    const struct mm_certified *c)
{
	e->field[MM_F_SERIAL] = hex_or_null(c->serial, 16, t->serial);
	e->field[MM_F_CERT_SHA256] = hex_or_null(c->cert_sha256, 32, t->cert);
	e->field[MM_F_SPKI_SHA256] = hex_or_null(c->spki_sha256, 32, t->spki);
	e->field[MM_F_NOT_BEFORE] = time_or_null(c->not_before_s,
	    t->not_before);
	e->field[MM_F_NOT_AFTER] = time_or_null(c->not_after_s, t->not_after);
}

/* see priv.h */
void
mm_entry_cert(struct mm_entry *e, struct mm_cert_texts *t,
    const struct mm_cert_row *row, const char *node)
{
	mm_entry_certified(e, t, &(struct mm_certified){ row->serial,
	    row->spki_sha256, row->cert_sha256, row->not_before_s,
	    row->not_after_s });
	e->field[MM_F_AUTHORITY] = row->authority[0] ? row->authority : NULL;
	e->field[MM_F_DEVICE] = row->device;
	e->field[MM_F_PRODUCT] = row->product[0] ? row->product : NULL;
	e->field[MM_F_ISSUER] = row->issuer;
	e->field[MM_F_PROFILE] = row->profile;
	e->field[MM_F_KEY_ORIGIN] = mm_key_origin_name(row->key_origin);
	e->field[MM_F_NODE] = node[0] ? node : NULL;
	e->field[MM_F_PREDECESSOR] = hex_or_null(row->predecessor, 16,
	    t->predecessor);
}

/* see priv.h */
void
mm_entry_config(struct mm_entry *e, struct mm_config_texts *t,
    int64_t version, const uint8_t sha256[32])
{
	if (version == 0)
		return;
	snprintf(t->version, sizeof(t->version), "%" PRId64, version);
	mm_hex_text(sha256, 32, t->sha256);
	e->field[MM_F_CONFIG_VERSION] = t->version;
	e->field[MM_F_CONFIG_SHA256] = t->sha256;
}

static const char *
text_or_null(const char *text)
{
	return text != NULL && text[0] != '\0' ? text : NULL;
}

/* see priv.h */
void
mm_papers_short(struct mm_papers *p, const struct mm_short *s)
{
	char serial[33];
	struct mm_entry e = { .type = s->type };

	mm_hex_text(s->cert->serial, 16, serial);
	e.field[MM_F_SERIAL] = serial;
	e.field[MM_F_ISSUER] = s->cert->issuer;
	e.field[MM_F_DEVICE] = text_or_null(s->device);
	e.field[MM_F_PRODUCT] = text_or_null(s->product);
	e.field[MM_F_ACTOR] = s->actor;
	e.field[MM_F_REASON] = s->reason;
	mm_papers_add(p, &e);
}

/* see priv.h */
void
mm_papers_alert(struct mm_papers *p, const struct mm_flight *f)
{
	const struct mm_verdict *v = &f->verdict;
	struct mm_entry e = { .type = MM_E_ALERT };
	char spki[65];

	mm_hex_text(f->spki, 32, spki);
	e.field[MM_F_ACTOR] = text_or_null(f->job->authority.operator_);
	e.field[MM_F_AUTHORITY] = v->authority;
	e.field[MM_F_DEVICE] = text_or_null(v->device);
	e.field[MM_F_PRODUCT] = text_or_null(v->product);
	if (strncmp(v->authority, "token:", 6) == 0)
		e.field[MM_F_TOKEN] = v->authority + 6;
	if (!mm_zero(f->spki, 32))
		e.field[MM_F_SPKI_SHA256] = spki;
	e.field[MM_F_REASON] = mm_reason_text(v->reason);
	mm_papers_add(p, &e);
}
