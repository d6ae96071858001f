#include <stdio.h>
#include <string.h>

#include "core/production_priv.h"

/* Stations, each change with its entry. */

static void
put_station(const struct mm_station *s, struct mm_buf *body)
{
	struct mm_json j = mm_json_over(body);

	mm_json_open(&j, '{');
	mm_json_str(&j, "state", s->removed ? "removed" : "active");
	mm_json_time(&j, "created", s->created_at);
	mm_json_str(&j, "key", s->key);
	mm_json_str(&j, "description", s->description);
	mm_json_int(&j, "number", s->last.number);
	mm_json_hex(&j, "hash", (struct mm_bytes){ s->last.hash, 32 });
	if (s->ledger[0] != '\0')
		mm_json_str(&j, "ledger", s->ledger);
	if (s->removed_at != 0)
		mm_json_time(&j, "removed", s->removed_at);
	mm_json_close(&j, '}');
}

/* see production.h */
enum mm_err
mm_station_parse(
    const struct mm_doc *doc, struct mm_station *out, struct mm_why *why)
{
	MM_OWN(mm_json_free)
	json_t *o = json_loadb((const char *)doc->body.p, doc->body.n, 0, NULL);
	struct mm_station s = { .version = doc->version };
	const char *state, *created, *key, *description, *hash, *ledger = "";
	const char *removed = NULL;
	json_int_t number;

	if (o == NULL ||
	    json_unpack(o, "{s:s,s:s,s:s,s:s,s:I,s:s,s?s,s?s}", "state", &state,
		"created", &created, "key", &key, "description", &description,
		"number", &number, "hash", &hash, "ledger", &ledger,
		"removed", &removed) != 0 ||
	    !mm_text_copy(s.id, sizeof(s.id), mm_bytes_of(doc->id)) ||
	    !mm_text_copy(s.key, sizeof(s.key), mm_bytes_of(key)) ||
	    !mm_text_copy(s.ledger, sizeof(s.ledger), mm_bytes_of(ledger)) ||
	    !mm_text_copy(s.description, sizeof(s.description),
		mm_bytes_of(description)) ||
	    mm_time_parse(created, &s.created_at, NULL) != MM_OK ||
	    (removed != NULL &&
		mm_time_parse(removed, &s.removed_at, NULL) != MM_OK) ||
	    mm_hex_parse(hash, strlen(hash), s.last.hash, 32, NULL) != MM_OK)
		return MM_FAIL(why, MM_ESYS,
		    "station %.32s: its record "
		    "cannot be read",
		    doc->id);
	s.removed = strcmp(state, "removed") == 0;
	s.last.number = number;
	*out = s;
	return MM_OK;
}

/* see production.h */
enum mm_err
mm_station_get(struct mm_store_reader *r, const char *id,
    struct mm_station *out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	struct mm_doc doc;

	MM_TRY(mm_production_doc(r, MM_DOC_STATION, id, &doc, &body, why));
	return mm_station_parse(&doc, out, why);
}

/* see production_priv.h */
enum mm_err
mm_station_store(struct mm_desk *d, struct mm_station *s,
    const struct mm_entry *e, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	struct mm_op_doc doc = { .kind = MM_DOC_STATION, .expect = s->version };

	put_station(s, &body);
	MM_TRY(mm_buf_ok(&body, why));
	strcpy(doc.id, s->id);
	doc.body = mm_buf_view(&body);
	MM_TRY(mm_desk_doc_put(d, &doc, e, 1, why));
	s->version = doc.version;
	return MM_OK;
}

/* ---- whose a credential is ---- */

static enum mm_err
line_of(struct mm_store_reader *r, const char *key, char id[MM_NAME_MAX + 1],
    uint64_t *version, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	MM_OWN(mm_json_free) json_t *v = NULL;
	enum mm_err rc = mm_get_doc(r, MM_DOC_LINE, key, version, &body, NULL);

	if (rc == MM_ENOTFOUND)
		return MM_FAIL(why, rc, "no station has this credential");
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	v = json_loadb((const char *)body.p, body.n, JSON_DECODE_ANY, NULL);
	if (!json_is_string(v) || !mm_text_copy(id, MM_NAME_MAX + 1,
				      mm_bytes_of(json_string_value(v))))
		return MM_FAIL(why, MM_ESYS,
		    "credential %.16s: its record "
		    "cannot be read",
		    key);
	return MM_OK;
}

/* see production.h */
enum mm_err
mm_station_of_key(struct mm_store_reader *r, const char *key,
    struct mm_station *out, struct mm_why *why)
{
	char id[MM_NAME_MAX + 1];
	struct mm_station s;
	uint64_t version;

	MM_TRY(line_of(r, key, id, &version, why));
	MM_TRY(mm_station_get(r, id, &s, why));
	if (strcmp(s.key, key) != 0)
		return MM_FAIL(
		    why, MM_ENOTFOUND, "no station has this credential");
	*out = s;
	return MM_OK;
}

/* It goes first: one that its station never followed is taken over. */
static enum mm_err
claim_key(struct mm_desk *d, const struct mm_station *s, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(256);
	struct mm_op_doc doc = { .kind = MM_DOC_LINE };
	struct mm_json j = mm_json_over(&body);
	struct mm_station had;
	char id[MM_NAME_MAX + 1];
	enum mm_err rc = line_of(d->r, s->key, id, &doc.expect, NULL);

	if (rc == MM_OK && mm_station_of_key(d->r, s->key, &had, NULL) == MM_OK)
		return MM_FAIL(
		    why, MM_ECONFLICT, "key: it is station %s's", had.id);
	if (rc != MM_OK && rc != MM_ENOTFOUND)
		return MM_FAIL(why, rc, "the store cannot be read");
	mm_json_str(&j, NULL, s->id);
	strcpy(doc.id, s->key);
	doc.body = mm_buf_view(&body);
	rc = mm_desk_doc_put(d, &doc, NULL, 0, why);
	return rc == MM_ESTALE ? MM_ECONFLICT : rc;
}

static enum mm_err
is_new(struct mm_desk *d, const char *id, struct mm_why *why)
{
	struct mm_station s;
	enum mm_err rc = mm_station_get(d->r, id, &s, NULL);

	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc == MM_OK)
		return MM_FAIL(why, MM_ECONFLICT, "station %s: exists", id);
	return MM_FAIL(why, rc, "the store cannot be read");
}

/* see production.h */
enum mm_err
mm_desk_station_put(struct mm_desk *d, const struct mm_login *by,
    struct mm_station *s, const char *reason, struct mm_why *why)
{
	const struct mm_entry e = { .type = s->version == 0
						? MM_E_STATION_CREATED
						: MM_E_STATION_CHANGED,
		.field = { [MM_F_ACTOR] = by->id,
		    [MM_F_STATION] = s->id,
		    [MM_F_KEY] = s->key,
		    [MM_F_ORIGIN] = s->ledger[0] != '\0' ? s->ledger : NULL,
		    [MM_F_REASON] = reason } };

	if (s->version == 0) {
		MM_TRY(is_new(d, s->id, why));
		MM_TRY(claim_key(d, s, why));
	}
	return mm_station_store(d, s, &e, why);
}
