#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/production_priv.h"

/* Groups as operators make and change them, each change with its entry. */

enum { BODY_ROOM = 1024, AGAIN_MOST = 10 };

/* ---- the group itself ---- */

/* see production_priv.h */
enum mm_err
mm_desk_salt(char salt[33], struct mm_why *why)
{
	char half[17];

	for (unsigned i = 0; i < 2; i++) {
		MM_TRY(mm_desk_random_id(half, why));
		memcpy(salt + 16 * i, half, sizeof(half));
	}
	return MM_OK;
}

static void
put_body(const struct mm_group *g, struct mm_bytes plan, struct mm_buf *body)
{
	struct mm_json j = mm_json_over(body);

	mm_json_open(&j, '{');
	mm_json_str(&j, "state", mm_work_state_words[g->state]);
	mm_json_time(&j, "created", g->created_at);
	mm_json_raw(&j, "plan", plan);
	mm_json_close(&j, '}');
}

struct group_texts {
	char count[24], until[MM_TIME_TEXT], hex[65];
};

static void
group_entry(struct mm_entry *e, struct group_texts *t,
    const struct mm_login *by, const struct mm_group *g, struct mm_bytes plan)
{
	uint8_t hash[32];

	mm_sha256(plan, hash);
	mm_hex_text(hash, 32, t->hex);
	snprintf(t->count, sizeof(t->count), "%lld", (long long)g->most);
	mm_time_text(g->until_ms, t->until);
	e->field[MM_F_ACTOR] = by->id;
	e->field[MM_F_GROUP] = g->id;
	e->field[MM_F_PRODUCT] = g->product;
	e->field[MM_F_COUNT] = t->count;
	e->field[MM_F_NOT_AFTER] = t->until;
	e->field[MM_F_DETAIL_SHA256] = t->hex;
	if (g->secret[0] != '\0' && g->version == 0)
		e->field[MM_F_TOKEN] = g->secret;
}

/* see group.h */
enum mm_err
mm_desk_group_put(struct mm_desk *d, const struct mm_login *by,
    struct mm_group *g, const char *reason, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf plan = MM_BUF_INIT(MM_DOC_MAX);
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	struct mm_op_doc doc = { .kind = MM_DOC_GROUP, .expect = g->version };
	struct mm_entry e = { .type = g->version == 0 ? MM_E_GROUP_CREATED
						       : MM_E_GROUP_CHANGED };
	struct group_texts t;

	MM_TRY(mm_desk_salt(g->salt, why));
	mm_group_plan(g, &plan);
	put_body(g, mm_buf_view(&plan), &body);
	MM_TRY(mm_buf_ok(&plan, why));
	MM_TRY(mm_buf_ok(&body, why));
	group_entry(&e, &t, by, g, mm_buf_view(&plan));
	e.field[MM_F_REASON] = reason;
	strcpy(doc.id, g->id);
	doc.body = mm_buf_view(&body);
	MM_TRY(mm_desk_doc_put(d, &doc, &e, 1, why));
	g->version = doc.version;
	return MM_OK;
}

/* ---- the list ---- */

struct listing {
	struct mm_desk *d;
	const struct mm_group *g;
	struct mm_op op[MM_DESK_DOCS];
	struct mm_group_row *of[MM_DESK_DOCS];
	size_t n;
	struct mm_buf bodies;
	size_t at[MM_DESK_DOCS + 1];
	char counted[MM_GROUP_ID_MAX + 12];
};

static bool
same_facts(const struct mm_group_member *a, const struct mm_group_member *b)
{
	return memcmp(a->key, b->key, 32) == 0 &&
	       memcmp(a->hardware, b->hardware, 32) == 0 &&
	       memcmp(a->certificate, b->certificate, 32) == 0 &&
	       strcmp(a->address, b->address) == 0;
}

/* What it may not be any more, and what it is already. */
static enum mm_err
check_row(struct listing *l, struct mm_group_row *row,
    struct mm_group_member *old, struct mm_why *why)
{
	struct mm_device dev;
	enum mm_err rc = mm_get_device(l->d->r, row->m.device, &dev, NULL);

	if (rc != MM_OK && rc != MM_ENOTFOUND)
		return MM_FAIL(why, rc, "the store cannot be read");
	if (rc == MM_OK && dev.state != MM_DEVICE_ACTIVE)
		return MM_FAIL(why, MM_ECONFLICT, "retired");
	if (rc == MM_OK && strcmp(dev.product, l->g->product) != 0)
		return MM_FAIL(why, MM_ECONFLICT, "of product %s",
		    dev.product);
	MM_TRY(mm_member_get(l->d->r, l->g->id, row->m.device, old, why));
	row->already = old->state != MM_MEMBER_NONE &&
		       same_facts(old, &row->m);
	if (!row->already && old->state == MM_MEMBER_ISSUED)
		return MM_FAIL(why, MM_ECONFLICT, "it has its certificate");
	return MM_OK;
}

/* The op that was filled is this row's. */
static void
add_op(struct listing *l, struct mm_group_row *row)
{
	l->of[l->n++] = row;
	l->at[l->n] = l->bodies.n;
}

/* Of its certificate, first: one that leads to no row yet leads nowhere. */
static enum mm_err
own_certificate(struct listing *l, struct mm_group_row *row,
    struct mm_why *why)
{
	struct mm_old_one one = { .kind = MM_CREDENTIAL_CERT };
	bool needed;

	if (mm_zero(row->m.certificate, 32))
		return MM_OK;
	memcpy(one.sha256, row->m.certificate, 32);
	MM_TRY(mm_credential_op(l->d, l->g->id, &one, &l->op[l->n], &l->bodies,
	    &needed, why));
	if (needed)
		add_op(l, row);
	return MM_OK;
}

static enum mm_err
plan_row(struct listing *l, struct mm_group_row *row, struct mm_why *why)
{
	struct mm_group_member old, m = row->m;
	struct mm_op *op;

	MM_TRY(check_row(l, row, &old, why));
	if (row->already)
		return MM_OK;
	MM_TRY(own_certificate(l, row, why));
	m.state = MM_MEMBER_LISTED;
	m.at = mm_now_ms();
	mm_member_put(&m, &l->bodies);
	MM_TRY(mm_buf_ok(&l->bodies, why));
	op = &l->op[l->n];
	*op = (struct mm_op){ .kind = MM_OP_DOC_PUT };
	op->u.doc.kind = MM_DOC_MEMBER;
	op->u.doc.expect = old.version;
	mm_member_id(l->g->id, m.device, op->u.doc.id);
	if (old.version == 0)
		op->u.doc.counts[0] = l->counted;
	add_op(l, row);
	return MM_OK;
}

/* A row that somebody changed meanwhile says so alone. */
static enum mm_err
write_rows(struct listing *l, struct mm_why *why)
{
	struct mm_op *ops[MM_DESK_DOCS];

	for (size_t i = 0; i < l->n; i++) {
		l->op[i].u.doc.body = (struct mm_bytes){
			l->bodies.p + l->at[i], l->at[i + 1] - l->at[i] };
		ops[i] = &l->op[i];
	}
	if (l->n > 0)
		MM_TRY(mm_desk_write(l->d, ops, l->n, why));
	for (size_t i = 0; i < l->n; i++)
		if (l->op[i].result != MM_OK && l->of[i]->result == MM_OK)
			l->of[i]->result = MM_FAIL(&l->of[i]->why,
			    MM_EAGAIN, "it has just changed: try again");
	l->n = 0;
	mm_buf_reset(&l->bodies);
	return MM_OK;
}

static enum mm_err
write_all(struct listing *l, struct mm_group_row *row, size_t n,
    struct mm_why *why)
{
	for (size_t i = 0; i < n; i++) {
		if (row[i].result == MM_OK)
			row[i].result = plan_row(l, &row[i], &row[i].why);
		if (l->n + 2 > MM_DESK_DOCS)
			MM_TRY(write_rows(l, why));
	}
	return write_rows(l, why);
}

/* Who was asked to open it looked at the list as it was: any other list is of
 * another version, before it is there.  That of an open one is looked at by
 * itself. */
static enum mm_err
another_version(struct mm_desk *d, const struct mm_login *by,
    const struct mm_group *g, struct mm_why *why)
{
	struct mm_group now = *g;
	enum mm_err rc = MM_ESTALE;

	for (int i = 0; rc == MM_ESTALE && i < AGAIN_MOST; i++) {
		if (i > 0)
			MM_TRY(mm_group_get(d->r, g->id, &now, why));
		if (now.state != g->state)
			break;
		if (now.state == MM_WORK_OPEN)
			return MM_OK;
		rc = mm_desk_group_put(d, by, &now, "listed", why);
	}
	return rc != MM_ESTALE ? rc : MM_FAIL(why, MM_ECONFLICT, "group %s: it "
	    "has just changed: try again", g->id);
}

/* see group.h; the entry comes first: no row counts that no entry tells of */
enum mm_err
mm_desk_group_list(struct mm_desk *d, const struct mm_login *by,
    const struct mm_group *g, struct mm_group_row *row, size_t n,
    const uint8_t hash[32], struct mm_why *why)
{
	struct listing *l = calloc(1, sizeof(*l));
	uint8_t salted[32];
	char count[24], hex[65];
	const struct mm_entry e = { .type = MM_E_GROUP_LISTED,
		.field = { [MM_F_ACTOR] = by->id,
		    [MM_F_PRODUCT] = g->product,
		    [MM_F_DETAIL_SHA256] = hex,
		    [MM_F_COUNT] = count,
		    [MM_F_GROUP] = g->id } };
	enum mm_err rc;

	if (l == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	l->d = d;
	l->g = g;
	mm_buf_init(&l->bodies, (size_t)MM_DESK_DOCS * BODY_ROOM);
	snprintf(l->counted, sizeof(l->counted), "listed:%s", g->id);
	snprintf(count, sizeof(count), "%zu", n);
	/* addresses and serial numbers can be tried */
	mm_sha256_2(mm_bytes_of(g->salt), (struct mm_bytes){ hash, 32 },
	    salted);
	mm_hex_text(salted, 32, hex);
	rc = another_version(d, by, g, why);
	if (rc == MM_OK)
		rc = mm_desk_enter(d, &e, why);
	if (rc == MM_OK)
		rc = write_all(l, row, n, why);
	mm_buf_done(&l->bodies);
	free(l);
	return rc;
}
