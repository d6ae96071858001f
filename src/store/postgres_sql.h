#ifndef MM_STORE_POSTGRES_SQL_H
#define MM_STORE_POSTGRES_SQL_H

/*
 * Every statement that is kept prepared.  The order of a SELECT's columns is
 * that of the shape it is read with (shape.c).  A parameter that may be NULL
 * is cast: its type is not told otherwise.
 */

#define SQL_NAMED(x) "lower(" x " COLLATE \"C\")"
#define SQL_DEVICE                                                        \
	"SELECT d.name, k.product, d.state, d.created_at, d.bound_spki,"  \
	" d.attributes, d.salt, coalesce(d.last + 1, 0)"                  \
	" FROM device d JOIN class k ON k.id = d.class "
#define SQL_TOKEN_OF(from)                                                \
	"SELECT t.name, d.name, k.product, k.profile, t.state, t.bearer," \
	" t.created_at, t.not_before_at, t.expires_at, t.bound_spki"      \
	" FROM " from                                                     \
	" JOIN device d ON d.id = t.device"                               \
	" JOIN class k ON k.id = t.class "
#define SQL_TOKEN SQL_TOKEN_OF("token t")
#define SQL_CERT_OF(from)                                                 \
	"SELECT c.serial, coalesce(c.orphan, d.name), k.product,"         \
	" k.issuer, k.profile, coalesce(c.authority, 'token:' || t.name),"\
	" c.state, c.idevid, c.key_origin, c.spki, c.sha256,"             \
	" c.predecessor, c.issued_at, c.not_before_s, c.not_after_s,"     \
	" c.confirmed_at, c.revoked_at, c.reason, c.shard, c.entry,"      \
	" c.key_type"                                                     \
	" FROM " from                                                     \
	" JOIN class k ON k.id = c.class"                                 \
	" LEFT JOIN device d ON d.id = c.device"                          \
	" LEFT JOIN token t ON t.id = c.token "
#define SQL_CERT SQL_CERT_OF("cert c")
#define SQL_PRODUCT                                                       \
	"SELECT name, description, idevid_profile, ldevid_profile,"       \
	" hw_type_oid, created_at, version FROM product "
#define SQL_OPERATOR                                                      \
	"SELECT name, person, roles, secret_sha256, created_at,"          \
	" expires_at, revoked_at, kind, description, scope, sources,"     \
	" spki, used_at, next_spki, next_expires_at, renewed_at, life_ms" \
	" FROM operator "
#define SQL_DEVICE_ID(x)                                                  \
	"(SELECT id FROM device WHERE lower(name) = " SQL_NAMED(x) ")"

/*
 * Pages (postgres_list.c): $1 the place after which, $2 how many, $3 to $5
 * product, issuer, profile or NULL, $6 state or -1.  Product, issuer and
 * profile make a class; an index has the rows of each class and state in the
 * page's order, so a page looks at no more than its length of each.
 */
#define SQL_OF_CLASS                                                      \
	"($3::text IS NULL OR k.product = $3) AND"                        \
	" ($4::text IS NULL OR k.issuer = $4) AND"                        \
	" ($5::text IS NULL OR k.profile = $5)"
#define SQL_GROUPS                                                        \
	"class k CROSS JOIN"                                              \
	" unnest('{0,1,2,3,4,5}'::smallint[]) AS s(state) CROSS JOIN"     \
	" LATERAL "
#define SQL_WANTED SQL_OF_CLASS " AND ($6 = -1 OR s.state = $6)"
/* By a time: $7 and $1 the place, $8 before which. */
#define SQL_CERTS_BY(at, groups, state, wanted) SQL_CERT_OF(              \
	"(SELECT x.serial, x.at, x.id FROM " groups                       \
	"(SELECT serial, " at " AS at, id FROM cert WHERE class = k.id"   \
	" AND state = " state " AND (" at ", id) > ($7, $1)"              \
	" AND " at " < $8 ORDER BY " at ", id LIMIT $2) x"                \
	" WHERE " wanted " ORDER BY x.at, x.id LIMIT $2) p"               \
	" JOIN cert c ON c.serial = p.serial") "ORDER BY p.at, p.id"
#define SQL_CERTS_OF_DEVICE_BY(at) SQL_CERT "WHERE c.device ="            \
	SQL_DEVICE_ID("$9") " AND (" at ", c.id) > ($7, $1) AND " at      \
	" < $8 AND ($6 = -1 OR c.state = $6) AND " SQL_OF_CLASS           \
	" ORDER BY " at ", c.id LIMIT $2"

/* Certificates of a key: those of the devices that have one, and orphans. */
#define SQL_OF_KEY(device, key)                                           \
	"c.serial = ANY (ARRAY(SELECT serial FROM cert"                   \
	" WHERE device = ANY (ARRAY(SELECT device FROM key"               \
	" WHERE spki = " key ")) AND spki = " key                         \
	" UNION ALL SELECT serial FROM cert"                              \
	" WHERE orphan IS NOT NULL AND spki = " key "))"                  \
	" AND (" device "::text IS NULL OR"                               \
	" lower(coalesce(c.orphan, d.name)) = " SQL_NAMED(device) ")"     \
	" AND ($6 = -1 OR c.state = $6) AND " SQL_OF_CLASS
#define SQL_CERTS_OF_KEY_BY(at) SQL_CERT "WHERE "                         \
	SQL_OF_KEY("$9", "$10") " AND (" at ", c.id) > ($7, $1)"          \
	" AND " at " < $8 ORDER BY " at ", c.id LIMIT $2"

/*
 * Recalls (postgres_recall.c): $1 the candidate's id after which, $2 how many,
 * $3 product, $4 state, $5 and $6 times of creation, $7 what is asked of the
 * attributes, $8 to $11 issuer, times of issuance and key's type of a
 * certificate ($11 -1: none is asked for), then the leading condition's own.
 * First comes the device, as SQL_DEVICE has it, if all holds, or NULLs; then
 * the candidate: its id, time and value.
 */
#define SQL_RECALL_CERT                                                   \
	"(SELECT c.id FROM cert c JOIN class y ON y.id = c.class"         \
	" WHERE c.device = v.id AND ($8::text IS NULL OR y.issuer = $8)"  \
	" AND c.issued_at >= $9 AND c.issued_at < $10"                    \
	" AND ($11 = 0 OR coalesce(c.key_type, 0) = $11)"                 \
	" ORDER BY c.id LIMIT 1)"
#define SQL_RECALL(from, has_cert, order)                                 \
	"SELECT w.name, w.product, w.state, w.created_at, w.bound_spki,"  \
	" w.attributes, w.salt, w.version, x.id, x.at, x.word, x.number"  \
	" FROM ("                                                         \
	from ") x LEFT JOIN LATERAL (SELECT v.name, k.product, v.state,"  \
	" v.created_at, v.bound_spki, v.attributes, v.salt,"              \
	" coalesce(v.last + 1, 0) AS version"                             \
	" FROM device v JOIN class k ON k.id = v.class"                   \
	" WHERE v.id = x.device AND ($3::text IS NULL OR k.product = $3)" \
	" AND ($4 = -1 OR v.state = $4) AND v.created_at >= $5"           \
	" AND v.created_at < $6 AND NOT EXISTS (SELECT"                   \
	" FROM jsonb_array_elements($7::text::jsonb) AS t(t)"             \
	" WHERE holds(v.attributes::jsonb -> (t.t ->> 'name'), t.t)"      \
	" IS NOT TRUE) AND ($11 = -1 OR " has_cert ")) w ON true"         \
	" ORDER BY " order
#define SQL_RECALL_ANY  "EXISTS " SQL_RECALL_CERT
#define SQL_RECALL_THIS "x.id = " SQL_RECALL_CERT
#define SQL_RECALL_ATTRIBUTE                                              \
	"SELECT device AS id, device, 0::bigint AS at, word, number"      \
	" FROM attribute WHERE name = $12"
#define SQL_NO_VALUE ", NULL::text AS word, NULL::float8 AS number"

#define SQL_STATEMENTS(X)                                                 \
	X(BEGIN, "BEGIN ISOLATION LEVEL READ COMMITTED")                  \
	X(BEGIN_READ, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY") \
	X(COMMIT, "COMMIT")                                               \
	X(ROLLBACK, "ROLLBACK")                                           \
	X(SAVEPOINT, "SAVEPOINT op")                                      \
	X(ROLLBACK_OP, "ROLLBACK TO SAVEPOINT op")                        \
	X(LOCK, "SELECT entries FROM meta WHERE id = 1 FOR UPDATE")       \
	X(RUN, "SELECT code, why, already, idx, number, name, own, other,"\
	    " other_at, other_n FROM run($1)")                            \
	X(COUNTS, "SELECT products, devices, tokens, certs, revoked,"     \
	    " entries FROM meta WHERE id = 1")                            \
	X(YEARS, "SELECT make_years($1)")                                 \
	/* products, devices, operators */                                \
	X(PRODUCT, SQL_PRODUCT "WHERE name = $1")                         \
	X(PRODUCTS, SQL_PRODUCT "WHERE name > $1 ORDER BY name LIMIT $2") \
	X(DEVICE, SQL_DEVICE "WHERE lower(d.name) = " SQL_NAMED("$1"))    \
	X(DEVICE_ID, "SELECT id FROM device WHERE lower(name) = "         \
	    SQL_NAMED("$1"))                                              \
	X(DEVICES, SQL_DEVICE "WHERE lower(d.name) > " SQL_NAMED("$1")    \
	    " AND ($3 = -1 OR d.state = $3) ORDER BY lower(d.name)"       \
	    " LIMIT $2")                                                  \
	X(DEVICES_OF, SQL_DEVICE "WHERE d.class = (SELECT id FROM class"  \
	    " WHERE product = $4 AND issuer = '' AND profile = '')"       \
	    " AND lower(d.name) > " SQL_NAMED("$1")                       \
	    " AND ($3 = -1 OR d.state = $3) ORDER BY lower(d.name)"       \
	    " LIMIT $2")                                                  \
	X(OPERATOR, SQL_OPERATOR "WHERE name = $1")                       \
	X(OPERATORS, SQL_OPERATOR                                         \
	    "WHERE name > $1 ORDER BY name LIMIT $2")                     \
	X(OPERATOR_KEY, SQL_OPERATOR                                      \
	    "WHERE spki = $1 OR next_spki = $1")                          \
	/* tokens */                                                      \
	X(TOKEN, SQL_TOKEN "WHERE t.name = $1")                           \
	X(TOKEN_FACTS, "SELECT t.name, d.name, k.product, k.profile,"     \
	    " t.state, t.bearer, t.created_at, t.not_before_at,"          \
	    " t.expires_at, t.bound_spki, d.name, x.product, d.state,"    \
	    " d.created_at, d.bound_spki, d.attributes, d.salt,"          \
	    " coalesce(d.last + 1, 0), t.cert IS NOT NULL FROM token t"   \
	    " JOIN device d ON d.id = t.device"                           \
	    " JOIN class k ON k.id = t.class"                             \
	    " JOIN class x ON x.id = d.class WHERE t.name = $1")          \
	X(TOKEN_ID, "SELECT id FROM token WHERE name = $1")               \
	X(TOKENS_ALL, SQL_TOKEN "WHERE t.id > $1 ORDER BY t.id LIMIT $2") \
	X(TOKENS_OF, SQL_TOKEN_OF("(SELECT x.id FROM " SQL_GROUPS         \
	    "(SELECT id FROM token WHERE class = k.id"                    \
	    " AND state = s.state AND id > $1 ORDER BY id LIMIT $2) x"    \
	    " WHERE " SQL_WANTED " ORDER BY x.id LIMIT $2) p"             \
	    " JOIN token t ON t.id = p.id") "ORDER BY p.id")              \
	X(TOKENS_NEWEST, SQL_TOKEN "WHERE t.device ="                     \
	    SQL_DEVICE_ID("$7") " AND t.id < $1"                           \
	    " AND ($6 = -1 OR t.state = $6) AND " SQL_OF_CLASS            \
	    " ORDER BY t.id DESC LIMIT $2")                               \
	X(TOKENS_OF_DEVICE, SQL_TOKEN "WHERE t.device ="                  \
	    SQL_DEVICE_ID("$7") " AND t.id > $1 AND ($6 = -1 OR"          \
	    " t.state = $6) AND " SQL_OF_CLASS                            \
	    " ORDER BY t.id LIMIT $2")                                    \
	/* certificates */                                                \
	X(CERT, SQL_CERT "WHERE c.serial = $1")                           \
	X(CERT_DER, "SELECT der FROM cert WHERE serial = $1"              \
	    " AND der IS NOT NULL")                                       \
	X(CERT_SUCCESSOR, SQL_CERT "WHERE c.predecessor = $1"             \
	    " ORDER BY c.id DESC LIMIT 1")                                \
	X(CERT_OF_DEVICE, SQL_CERT "WHERE c.device ="                     \
	    SQL_DEVICE_ID("$1") " AND c.idevid = ($2 <> 0)"               \
	    " AND c.state IN (0, 1) ORDER BY c.id DESC LIMIT 1")          \
	X(KEY_USE, "SELECT coalesce(d.name, y.orphan), EXISTS (SELECT"    \
	    " FROM key r WHERE r.spki = $1 AND r.compromised)"            \
	    " FROM key y LEFT JOIN device d ON d.id = y.device"           \
	    " WHERE y.spki = $1 LIMIT 1")                                 \
	/* it outlives its certificate, whose year may be dropped */      \
	X(CLAIM, "SELECT l.authority, c.spki, l.serial,"                  \
	    " coalesce(c.replaced, 0), coalesce(c.replaced_at, 0)"        \
	    " FROM claim l LEFT JOIN cert c ON c.serial = l.serial"       \
	    " WHERE l.authority = $1")                                    \
	X(CLAIM_OF_TOKEN, "SELECT 'token:' || t.name, c.spki, t.cert,"    \
	    " coalesce(c.replaced, 0), coalesce(c.replaced_at, 0)"        \
	    " FROM token t LEFT JOIN cert c ON c.serial = t.cert"         \
	    " WHERE t.name = $1 AND t.cert IS NOT NULL")                  \
	X(CERT_ID, "SELECT id FROM cert WHERE serial = $1")               \
	X(CERTS_ALL, SQL_CERT "WHERE c.id > $1 ORDER BY c.id LIMIT $2")   \
	X(CERTS_OF, SQL_CERT_OF("(SELECT x.serial, x.id FROM " SQL_GROUPS \
	    "(SELECT serial, id FROM cert WHERE class = k.id"             \
	    " AND state = s.state AND id > $1 ORDER BY id LIMIT $2) x"    \
	    " WHERE " SQL_WANTED " ORDER BY x.id LIMIT $2) p"             \
	    " JOIN cert c ON c.serial = p.serial") "ORDER BY p.id")       \
	X(CERTS_NEWEST, SQL_CERT "WHERE c.device ="                       \
	    SQL_DEVICE_ID("$7") " AND c.id < $1"                           \
	    " AND ($6 = -1 OR c.state = $6) AND " SQL_OF_CLASS            \
	    " ORDER BY c.id DESC LIMIT $2")                               \
	X(CERTS_OF_DEVICE, SQL_CERT "WHERE c.device ="                    \
	    SQL_DEVICE_ID("$7") " AND c.id > $1 AND ($6 = -1 OR"          \
	    " c.state = $6) AND " SQL_OF_CLASS                            \
	    " ORDER BY c.id LIMIT $2")                                    \
	/* by a time: $7 and $1 the place, $8 before which */              \
	X(CERTS_EXPIRING, SQL_CERTS_BY("not_after_s", SQL_GROUPS,         \
	    "s.state", SQL_WANTED))                                       \
	X(CERTS_EXPIRING_OF_DEVICE,                                       \
	    SQL_CERTS_OF_DEVICE_BY("c.not_after_s"))                      \
	/* of one state, which $6 says too: its index has no other */     \
	X(CERTS_UNCONFIRMED, SQL_CERTS_BY("issued_at",                    \
	    "class k CROSS JOIN LATERAL ", "0", SQL_OF_CLASS              \
	    " AND $6 = 0"))                                               \
	X(CERTS_UNCONFIRMED_OF_DEVICE,                                    \
	    SQL_CERTS_OF_DEVICE_BY("c.issued_at"))                        \
	X(CLASS_AFTER, "SELECT id, product, issuer, profile FROM class"   \
	    " WHERE id > $1 ORDER BY id LIMIT 1")                         \
	X(CERT_ENDS, "SELECT not_after_s, id FROM cert"                   \
	    " WHERE class = $1 AND state = $2"                            \
	    " AND (not_after_s, id) > ($3, $4)"                           \
	    " ORDER BY not_after_s, id LIMIT $5")                         \
	X(UNCONFIRMED_COUNT, "SELECT count(*) FROM (SELECT 1 FROM"        \
	    " class k CROSS JOIN LATERAL (SELECT 1 FROM cert"             \
	    " WHERE class = k.id AND state = 0 AND issued_at < $1"        \
	    " LIMIT $2) x LIMIT $2) y")                                   \
	X(CERTS_OF_KEY, SQL_CERT "WHERE " SQL_OF_KEY("$7", "$8")          \
	    " AND c.id > $1 ORDER BY c.id LIMIT $2")                      \
	X(CERTS_EXPIRING_OF_KEY, SQL_CERTS_OF_KEY_BY("c.not_after_s"))    \
	X(CERTS_UNCONFIRMED_OF_KEY, SQL_CERTS_OF_KEY_BY("c.issued_at"))   \
	X(CERTS_REVOKED, SQL_CERT "WHERE k.issuer = $1 AND c.state >= 3"  \
	    " AND c.not_after_s >= $2 ORDER BY c.serial")                 \
	X(CERTS_REVOKED_OF, SQL_CERT_OF("class i JOIN listed r"           \
	    " ON r.class = i.id JOIN cert c ON c.serial = r.serial")      \
	    "WHERE i.issuer = $1 AND r.shard BETWEEN $3 AND $4"           \
	    " AND r.not_after_s >= $2 ORDER BY c.serial")                 \
	/* recalls */                                                     \
	X(DEVICES_BEFORE, "SELECT devices_before($1)")                    \
	X(CERTS_BEFORE, "SELECT certs_before($1)")                        \
	X(RECALL_ALL, SQL_RECALL("SELECT id, id AS device,"               \
	    " created_at AS at" SQL_NO_VALUE " FROM device WHERE id > $1" \
	    " ORDER BY id LIMIT $2", SQL_RECALL_ANY, "x.id"))             \
	X(RECALL_PRODUCT, SQL_RECALL("SELECT id, id AS device,"           \
	    " created_at AS at" SQL_NO_VALUE ", lower(name) AS name"      \
	    " FROM device WHERE class = (SELECT id FROM class"            \
	    " WHERE product = $3 AND issuer = '' AND profile = '')"       \
	    " AND lower(name) > coalesce((SELECT lower(name) FROM device" \
	    " WHERE id = $1), '') ORDER BY lower(name) LIMIT $2",         \
	    SQL_RECALL_ANY, "x.name"))                                    \
	X(RECALL_ISSUED, SQL_RECALL("SELECT id, device, issued_at AS at"  \
	    SQL_NO_VALUE " FROM cert WHERE id > $1 ORDER BY id LIMIT $2", \
	    SQL_RECALL_THIS, "x.id"))                                     \
	X(RECALL_NAMED, SQL_RECALL("SELECT id, id AS device,"             \
	    " created_at AS at" SQL_NO_VALUE " FROM device"               \
	    " WHERE lower(name) = " SQL_NAMED("$12") " AND id > $1"       \
	    " LIMIT $2", SQL_RECALL_ANY, "x.id"))                         \
	X(RECALL_WORD, SQL_RECALL(SQL_RECALL_ATTRIBUTE                    \
	    " AND word = $13 AND device > $1 ORDER BY device LIMIT $2",   \
	    SQL_RECALL_ANY, "x.id"))                                      \
	X(RECALL_NUMBER, SQL_RECALL(SQL_RECALL_ATTRIBUTE                  \
	    " AND number = $13 AND device > $1 ORDER BY device LIMIT $2", \
	    SQL_RECALL_ANY, "x.id"))                                      \
	X(RECALL_WORDS, SQL_RECALL(SQL_RECALL_ATTRIBUTE                   \
	    " AND word >= $13 AND word <= $14 AND (word, device) >"       \
	    " ($15 COLLATE \"C\", $1) ORDER BY word, device LIMIT $2",    \
	    SQL_RECALL_ANY, "x.word, x.id"))                              \
	X(RECALL_NUMBERS, SQL_RECALL(SQL_RECALL_ATTRIBUTE                 \
	    " AND number >= $13 AND number <= $14 AND (number, device) >" \
	    " ($15, $1) ORDER BY number, device LIMIT $2",                \
	    SQL_RECALL_ANY, "x.number, x.id"))                            \
	X(COUNT_WORD, "SELECT count(*) FROM (SELECT FROM attribute"       \
	    " WHERE name = $1 AND word = $2 LIMIT $3) a")                 \
	X(COUNT_NUMBER, "SELECT count(*) FROM (SELECT FROM attribute"     \
	    " WHERE name = $1 AND number = $2 LIMIT $3) a")               \
	/* the ledger */                                                  \
	X(ENTRY, "SELECT json FROM entry WHERE idx = $1")                 \
	X(ENTRIES, "SELECT idx, json FROM entry WHERE idx >= $1"          \
	    " AND idx < $2 ORDER BY idx LIMIT $3")                        \
	X(ENTRIES_ADD, "INSERT INTO entry SELECT $1 + n - 1, e,"          \
	    " nullif(b, 0) FROM unnest($2::bytea[], $3::bigint[])"        \
	    " WITH ORDINALITY AS u(e, b, n)")                             \
	X(HISTORY, "SELECT at, body FROM history($1, $2, $3)")            \
	X(TILE, "SELECT hashes FROM tile WHERE id = $1")                  \
	X(TILE_ROOTS, "SELECT root FROM tile"                             \
	    " WHERE id >= $1 AND id < $2 ORDER BY id")                    \
	X(TILE_ADD, "INSERT INTO tile VALUES ($1, $2, $3)")               \
	X(CHECKPOINT, "SELECT size, note FROM checkpoint WHERE id = 1")   \
	X(CRL, "SELECT number, next_s, der FROM crl WHERE issuer = $1")   \
	X(CRL_HEAD, "SELECT number, next_s FROM crl WHERE issuer = $1")   \
	X(SHARD, "SELECT number, next_s, der FROM shard"                  \
	    " WHERE issuer = $1 AND shard = $2")                          \
	X(SHARDS, "SELECT shard, number, next_s FROM shard"               \
	    " WHERE issuer = $1 ORDER BY shard")                          \
	X(ANSWER, "SELECT request_sha256, status, at, body FROM answer"   \
	    " WHERE key = $1")                                            \
	X(DOC, "SELECT version, body FROM doc WHERE kind = $1"            \
	    " AND id = $2")                                               \
	X(DOCS_COUNT, "SELECT count(*) FROM (SELECT 1 FROM doc"           \
	    " WHERE kind = $1 AND id > $2 AND ($3 = '' OR id < $3)"       \
	    " LIMIT $4) x")                                               \
	X(DOCS, "SELECT id, version, body FROM doc WHERE kind = $1"       \
	    " AND id > $2 AND ($3 = '' OR id < $3) ORDER BY id LIMIT $4") \
	X(UNITS_OF, "SELECT id, version, body FROM doc WHERE kind = 13"   \
	    " AND (station_of(body) COLLATE \"C\", id) > ($1, $2)"        \
	    " AND station_of(body) COLLATE \"C\" <= $1"                   \
	    " AND ($3 = '' OR id < $3)"                                   \
	    " ORDER BY station_of(body) COLLATE \"C\", id LIMIT $4")      \
	X(BATCHES_OF, "SELECT id, version, body FROM doc WHERE kind = 9"  \
	    " AND (product_of(body) COLLATE \"C\", id) > ($1, $2)"        \
	    " AND product_of(body) COLLATE \"C\" <= $1"                   \
	    " AND ($3 = '' OR id < $3)"                                   \
	    " ORDER BY product_of(body) COLLATE \"C\", id LIMIT $4")

enum sql {
#define X(name, text) Q_##name,
	SQL_STATEMENTS(X)
#undef X
	Q_STATEMENTS
};

#endif
