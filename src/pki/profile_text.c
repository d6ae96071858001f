#include <string.h>

#include "pki/priv.h"

/* Profiles read from a text of their own, and written as JSON. */

static enum mm_err
check_each(const struct mm_profile_set *s, struct mm_why *why)
{
	for (size_t i = 0; i < s->n; i++) {
		for (size_t j = 0; j < i; j++)
			if (strcmp(s->profile[i].name, s->profile[j].name) ==
			    0)
				return MM_FAIL(why, MM_EINPUT,
				    "profile %s: stands twice",
				    s->profile[i].name);
		MM_TRY(mm_profile_check(&s->profile[i], why));
	}
	return s->n > 0 ? MM_OK : MM_FAIL(why, MM_EINPUT,
	    "there is no profile \"name\" { } in it");
}

/* see profile.h */
enum mm_err
mm_profiles_parse(struct mm_bytes text, const char *path,
    struct mm_profile_set *out, struct mm_why *why)
{
	MM_OWN(mm_profiles_done) struct mm_profile_set s = { .n = 0 };
	const struct mm_conf_spec spec = { NULL, 0, &mm_profile_block, 1 };

	s.doc.top = &s.top;
	MM_TRY(mm_conf_parse(text, path, &spec, &s.doc, why));
	s.profile = s.doc.blocks[0];
	s.n = s.doc.n[0];
	MM_TRY(check_each(&s, why));
	*out = s;
	s = (struct mm_profile_set){ .n = 0 };
	return MM_OK;
}

/* see profile.h */
void
mm_profiles_done(struct mm_profile_set *s)
{
	mm_conf_doc_done(&s->doc);
	*s = (struct mm_profile_set){ .n = 0 };
}

/* ---- as JSON: every key of the table, by its type ---- */

static void
put_list(struct mm_json *j, const char *name, const struct mm_conf_list *l)
{
	mm_json_open_key(j, name, '[');
	for (size_t i = 0; i < l->n; i++)
		mm_json_str(j, NULL, l->item[i]);
	mm_json_close(j, ']');
}

static void
put_key(struct mm_json *j, const struct mm_conf_key *k, const void *field)
{
	switch (k->type) {
	case MM_CONF_INT:
	case MM_CONF_DURATION:
		mm_json_int(j, k->name, *(const int64_t *)field);
		break;
	case MM_CONF_BOOL:
		mm_json_bool(j, k->name, *(const bool *)field);
		break;
	case MM_CONF_CHOICE:
		mm_json_str(j, k->name, k->choices[*(const int *)field]);
		break;
	case MM_CONF_LIST:
		put_list(j, k->name, field);
		break;
	default:
		mm_json_str(j, k->name, field);
		break;
	}
}

/* see profile.h */
enum mm_err
mm_profile_json(struct mm_json *j, const char *key,
    const struct mm_profile *p, struct mm_why *why)
{
	const struct mm_conf_block *b = &mm_profile_block;
	uint8_t hash[32];

	MM_TRY(mm_profile_hash(p, hash, why));
	if (key != NULL)
		mm_json_open_key(j, key, '{');
	else
		mm_json_open(j, '{');
	mm_json_str(j, "name", p->name);
	mm_json_hex(j, "hash", (struct mm_bytes){ hash, sizeof(hash) });
	for (size_t i = 0; i < b->nkeys; i++)
		put_key(j, &b->keys[i],
		    (const char *)p + b->keys[i].offset);
	mm_json_close(j, '}');
	return MM_OK;
}

/* ---- as a block of mintmark.conf ---- */

static void
put_quoted(struct mm_buf *out, const char *text)
{
	mm_buf_u8(out, '"');
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			mm_buf_u8(out, '\\');
		mm_buf_u8(out, (uint8_t)*text);
	}
	mm_buf_u8(out, '"');
}

static void
put_items(struct mm_buf *out, const struct mm_conf_list *l)
{
	mm_buf_u8(out, '{');
	for (size_t i = 0; i < l->n; i++) {
		if (i > 0)
			mm_buf_text(out, ", ");
		put_quoted(out, l->item[i]);
	}
	mm_buf_u8(out, '}');
}

static void
put_setting(struct mm_buf *out, const struct mm_conf_key *k, const void *field)
{
	mm_buf_printf(out, "    %s = ", k->name);
	switch (k->type) {
	case MM_CONF_INT:
	case MM_CONF_DURATION:
		mm_buf_printf(out, "%lld", (long long)*(const int64_t *)field);
		break;
	case MM_CONF_BOOL:
		mm_buf_text(out, *(const bool *)field ? "true" : "false");
		break;
	case MM_CONF_CHOICE:
		put_quoted(out, k->choices[*(const int *)field]);
		break;
	case MM_CONF_LIST:
		put_items(out, field);
		break;
	default:
		put_quoted(out, field);
		break;
	}
	mm_buf_u8(out, '\n');
}

/* see profile.h */
void
mm_profile_text(const struct mm_profile *p, struct mm_buf *out)
{
	const struct mm_conf_block *b = &mm_profile_block;

	mm_buf_printf(out, "profile \"%s\" {\n", p->name);
	for (size_t i = 0; i < b->nkeys; i++)
		put_setting(out, &b->keys[i],
		    (const char *)p + b->keys[i].offset);
	mm_buf_text(out, "}\n");
}
