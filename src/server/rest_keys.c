#include "base/secret.h"
#include "server/rest.h"

/* API keys: an operator's credential, shown once. */

struct wish {
	char name[65];
	char roles[65];
	int64_t expires_at;
};
#define M(name, type, must, field)                                   \
	{ name, type, must, offsetof(struct wish, field),            \
	    sizeof(((struct wish *)0)->field) }

static const struct mm_member members[] = {
	M("name", MM_M_TEXT, true, name),
	M("roles", MM_M_NAMES, true, roles),
	M("expires", MM_M_TIME, false, expires_at),
};

static void
put_roles(struct mm_json *j, unsigned roles)
{
	mm_json_open_key(j, "roles", '[');
	for (unsigned bit = 1; bit <= MM_ROLE_AUDITOR; bit <<= 1)
		if ((roles & bit) != 0)
			mm_json_str(j, NULL, mm_role_name(bit));
	mm_json_close(j, ']');
}

static void
put_key(struct mm_json *j, const void *row)
{
	const struct mm_operator *o = row;
	unsigned roles = 0;

	(void)!mm_roles_parse(o->roles, &roles, NULL);
	mm_json_str(j, "id", o->id);
	mm_json_str(j, "name", o->name);
	put_roles(j, roles);
	mm_rest_put_time(j, "created", o->created_at);
	mm_rest_put_time(j, "expires", o->expires_at);
	mm_rest_put_time(j, "revoked", o->revoked_at);
}

enum mm_err
mm_rest_whoami(struct mm_rest *r, struct mm_why *why)
{
	(void)why;
	mm_json_open(&r->j, '{');
	mm_json_str(&r->j, "id", r->login.id);
	mm_json_str(&r->j, "name", r->login.name);
	put_roles(&r->j, r->login.roles);
	mm_json_close(&r->j, '}');
	return MM_OK;
}

enum mm_err
mm_rest_keys(struct mm_rest *r, struct mm_why *why)
{
	struct mm_page p;

	MM_TRY(mm_page_read(r, " ", &p, why));
	return mm_page_put(r, &p, mm_list_operators, put_key, why);
}

enum mm_err
mm_rest_key_create(struct mm_rest *r, struct mm_why *why)
{
	struct wish w = { 0 };
	char text[80], id[17];
	unsigned roles;

	MM_TRY(mm_rest_members(r->in, members,
	    sizeof(members) / sizeof(members[0]), &w, why));
	MM_TRY(mm_roles_parse(w.roles, &roles, why));
	MM_TRY(mm_desk_operator_create(r->desk, &r->login, w.name, roles,
	    w.expires_at, text, id, why));
	r->status = 201;
	mm_json_open(&r->j, '{');
	mm_json_str(&r->j, "id", id);
	mm_rest_put_secret(r, "key", text);
	mm_json_str(&r->j, "name", w.name);
	put_roles(&r->j, roles);
	mm_rest_put_time(&r->j, "expires", w.expires_at);
	mm_json_close(&r->j, '}');
	mm_wipe(text, sizeof(text));
	return MM_OK;
}

enum mm_err
mm_rest_key_revoke(struct mm_rest *r, struct mm_why *why)
{
	struct mm_operator o;
	char id[17];

	MM_TRY(mm_rest_segment(r, 0, id, sizeof(id), why));
	MM_TRY(mm_desk_operator_revoke(r->desk, &r->login, id, why));
	MM_TRY(mm_get_operator(r->reader, id, &o, why));
	mm_json_open(&r->j, '{');
	put_key(&r->j, &o);
	mm_json_close(&r->j, '}');
	return MM_OK;
}
