#ifndef MM_STORE_SQLITE_SQL_H
#define MM_STORE_SQLITE_SQL_H

/*
 * Every statement that is kept prepared.  Parameters are bound in the order
 * of their numbers.  The order of a SELECT's columns is that of the shape it
 * is read with (sqlite_shape.c).
 */

#define SQL_OF_DEVICE                                                     \
	"d.name, k.product, d.state, d.created_at, d.bound_spki,"         \
	" d.attributes, d.salt, coalesce(d.last + 1, 0)"
#define SQL_DEVICE                                                        \
	"SELECT " SQL_OF_DEVICE " FROM device d"                          \
	" LEFT JOIN class k ON k.id = d.class "
#define SQL_OF_TOKEN                                                      \
	"t.name, d.name, x.product, x.profile, t.state, t.bearer,"        \
	" t.created_at, t.not_before_at, t.expires_at, t.bound_spki"
#define SQL_TOKEN                                                         \
	"SELECT " SQL_OF_TOKEN " FROM token t"                            \
	" LEFT JOIN device d ON d.id = t.device"                          \
	" LEFT JOIN class x ON x.id = t.class "
#define SQL_CERT                                                          \
	"SELECT c.serial, coalesce(c.orphan, d.name), k.product,"         \
	" k.issuer, k.profile, coalesce(c.authority, 'token:' || t.name),"\
	" c.state, c.idevid,"                                             \
	" c.key_origin, c.spki, c.sha256, p.serial, c.issued_at,"         \
	" c.not_before_s, c.not_after_s, c.confirmed_at, c.revoked_at,"   \
	" c.reason, c.shard, c.entry, c.key_type FROM cert c"             \
	" LEFT JOIN device d ON d.id = c.device"                          \
	" LEFT JOIN class k ON k.id = c.class"                            \
	" LEFT JOIN token t ON t.id = c.token"                            \
	" LEFT JOIN cert p ON p.id = c.predecessor "
#define SQL_PRODUCT                                                       \
	"SELECT name, description, idevid_profile, ldevid_profile,"       \
	" hw_type_oid, created_at, version FROM product "
#define SQL_OPERATOR                                                      \
	"SELECT name, person, roles, secret_sha256, created_at,"          \
	" expires_at, revoked_at, kind, description, scope, sources,"     \
	" spki, used_at, next_spki, next_expires_at, renewed_at, life_ms" \
	" FROM operator "

#define SQL_ADMIN                                                         \
	"(instr(',' || roles || ',', ',admin,') > 0 AND scope = ''"       \
	" AND kind <> 2)"

/* ?n numbers follow the order in which a page's bounds are bound. */
#define SQL_STATEMENTS(X)                                                 \
	X(BEGIN, "BEGIN")                                                 \
	X(BEGIN_WRITE, "BEGIN IMMEDIATE")                                 \
	X(COMMIT, "COMMIT")                                               \
	X(ROLLBACK, "ROLLBACK")                                           \
	X(COUNTS, "SELECT products, devices, tokens, certs, revoked,"     \
	    " entries FROM meta WHERE id = 1")                            \
	X(COUNTS_SET, "UPDATE meta SET products = ?1, devices = ?2,"      \
	    " tokens = ?3, certs = ?4, revoked = ?5, entries = ?6"        \
	    " WHERE id = 1")                                              \
	X(TOUCH, "UPDATE meta SET touched = touched + 1 WHERE id = 1")    \
	X(CLASS, "SELECT id FROM class WHERE product = ?1"                \
	    " AND issuer = ?2 AND profile = ?3")                          \
	X(CLASS_ADD, "INSERT INTO class (product, issuer, profile)"       \
	    " VALUES (?1, ?2, ?3)")                                       \
	/* products */                                                    \
	X(PRODUCT, SQL_PRODUCT "WHERE name = ?1")                         \
	X(PRODUCTS, SQL_PRODUCT "WHERE name > ?1 ORDER BY name LIMIT ?2") \
	X(PRODUCT_KNOWN, "SELECT version FROM product WHERE name = ?1")   \
	X(PRODUCT_PUT, "INSERT INTO product (name, description,"          \
	    " idevid_profile, ldevid_profile, hw_type_oid, created_at)"   \
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6)"                            \
	    " ON CONFLICT (name) DO UPDATE SET description = ?2,"         \
	    " idevid_profile = ?3, ldevid_profile = ?4, hw_type_oid = ?5,"\
	    " version = version + 1")                                     \
	/* devices */                                                     \
	X(DEVICE, SQL_DEVICE "WHERE d.name = ?1")                         \
	X(DEVICES, SQL_DEVICE "WHERE d.name > ?1 AND"                     \
	    " (?2 = -1 OR d.state = ?2) ORDER BY d.name LIMIT ?3")        \
	X(DEVICES_OF, SQL_DEVICE "WHERE d.class = ?4 AND d.name > ?1 AND" \
	    " (?2 = -1 OR d.state = ?2) ORDER BY d.name LIMIT ?3")        \
	X(DEVICE_FIND, "SELECT id, class, state, coalesce(last, -1)"      \
	    " FROM device WHERE name = ?1")                               \
	X(DEVICE_SAME, "SELECT 1 FROM device WHERE id = ?1 AND class = ?2"\
	    " AND bound_spki IS ?3 AND attributes IS ?4")                 \
	X(DEVICE_ADD, "INSERT INTO device (name, class, state,"           \
	    " created_at, bound_spki, attributes, salt, last)"            \
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")                   \
	X(DEVICE_TRY, "INSERT INTO device (name, class, state,"           \
	    " created_at, bound_spki, attributes, salt, last)"            \
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"                    \
	    " ON CONFLICT (name) DO NOTHING")                             \
	X(DEVICE_SET, "UPDATE device SET class = ?2, bound_spki = ?3,"    \
	    " attributes = ?4, salt = ?5, last = ?6 WHERE id = ?1")       \
	/* a class of its certificates that is not of product ?2 */      \
	X(DEVICE_STRAYS, "SELECT k.id, k.issuer, k.profile"               \
	    " FROM cert c INDEXED BY cert_device"                         \
	    " CROSS JOIN class k ON k.id = c.class"                       \
	    " WHERE c.device = ?1 AND k.product <> ?2 LIMIT 1")                                                   \
	X(DEVICE_CERTS_MOVE, "UPDATE cert SET class = ?3"                 \
	    " WHERE device = ?1 AND class = ?2")                          \
	X(DEVICE_RETIRE, "UPDATE device SET state = 1, last = ?2"         \
	    " WHERE id = ?1")                                             \
	X(DEVICE_LAST, "UPDATE device SET last = ?2 WHERE id = ?1")       \
	X(DEVICES_NEXT, "SELECT id, attributes, name FROM device"         \
	    " WHERE class = ?1 AND name > ?2 ORDER BY name LIMIT ?3")     \
	/* attributes: those of a row as it stands, and as it will */     \
	X(ATTRIBUTES_DROP, "DELETE FROM attribute WHERE (name, value,"    \
	    " device) IN (SELECT e.key, e.atom, ?1 FROM json_each("       \
	    " (SELECT attributes FROM device WHERE id = ?1)) e"           \
	    " WHERE e.atom IS NOT NULL)")                                 \
	X(ATTRIBUTES, "SELECT e.key, e.atom FROM json_each(?1) e"         \
	    " WHERE length(CAST(e.atom AS BLOB)) <= 256"                  \
	    " AND e.key IN (SELECT value FROM json_each(?2))")            \
	X(ATTRIBUTE_ADD, "INSERT OR IGNORE INTO attribute"                \
	    " VALUES (?1, ?2, ?3)")                                       \
	/* tokens */                                                      \
	X(TOKEN, SQL_TOKEN "WHERE t.name = ?1")                           \
	X(TOKEN_FACTS, "SELECT " SQL_OF_TOKEN ", " SQL_OF_DEVICE          \
	    ", t.cert <> 0 FROM token t"                                  \
	    " LEFT JOIN device d ON d.id = t.device"                      \
	    " LEFT JOIN class x ON x.id = t.class"                        \
	    " LEFT JOIN class k ON k.id = d.class WHERE t.name = ?1")     \
	X(TOKEN_ROW, SQL_TOKEN "WHERE t.id = ?1")                         \
	X(TOKEN_FIND, "SELECT id, state, cert, coalesce(last, -1)"        \
	    " FROM token WHERE name = ?1")                                \
	X(TOKEN_DEVICE_FIND, "SELECT t.id, t.state, t.cert, d.id,"        \
	    " d.class, d.state FROM token t CROSS JOIN device d"          \
	    " ON d.id = t.device WHERE t.name = ?1"                       \
	    " AND d.name = ?2 COLLATE NOCASE")                            \
	X(TOKEN_ADD, "INSERT INTO token (name, device, class, state,"     \
	    " bearer, created_at, not_before_at, expires_at, cert,"       \
	    " bound_spki, last)"                                          \
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, ?9, ?10)")       \
	X(TOKEN_SET, "UPDATE token SET state = ?2, last = ?3"             \
	    " WHERE id = ?1")                                             \
	X(TOKEN_ISSUED, "UPDATE token SET state = 1, cert = ?2"           \
	    " WHERE id = ?1")                                             \
	X(TOKEN_UNCLAIM, "UPDATE token SET cert = 0 WHERE id = ?1")       \
	X(TOKEN_REBIND, "UPDATE token SET state = ?2, last = ?3,"         \
	    " bound_spki = ?4 WHERE id = ?1")                             \
	X(TOKEN_CONFIRM, "UPDATE token SET state = 2 WHERE id = ?1"       \
	    " AND state = 1")                                             \
	/* certificates */                                                \
	X(CERT, SQL_CERT "WHERE c.serial = ?1")                           \
	X(CERT_ROW, SQL_CERT "WHERE c.id = ?1")                           \
	X(CERT_DER, "SELECT der FROM cert WHERE serial = ?1"              \
	    " AND der IS NOT NULL")                                       \
	X(CERT_SUCCESSOR, SQL_CERT "WHERE c.predecessor ="                \
	    " (SELECT id FROM cert WHERE serial = ?1)"                    \
	    " ORDER BY c.id DESC LIMIT 1")                                \
	X(CERT_OF_DEVICE, SQL_CERT "WHERE c.device ="                     \
	    " (SELECT id FROM device WHERE name = ?1) AND c.idevid = ?2"  \
	    " AND c.state IN (0, 1) ORDER BY c.id DESC LIMIT 1")          \
	X(CERT_FIND, "SELECT c.id, c.state, c.held_from, c.token,"        \
	    " coalesce(p.state >= 3 AND p.reason <> 4, 0),"               \
	    " coalesce(c.last, c.entry, -1) FROM cert c"                  \
	    " LEFT JOIN cert p ON p.id = c.predecessor"                   \
	    " WHERE c.serial = ?1")                                       \
	X(CERT_ENTITLED, "SELECT c.id, c.state, c.state = 0 AND"          \
	    " coalesce(p.state >= 3 AND p.reason <> 4, 0) FROM cert c"    \
	    " LEFT JOIN cert p ON p.id = c.predecessor"                   \
	    " WHERE c.serial = ?1")                                       \
	X(CERT_OF_OTHER, "SELECT coalesce(c.orphan, d.name) FROM cert c"  \
	    " LEFT JOIN device d ON d.id = c.device"                      \
	    " WHERE substr(c.spki, 1, 8) = substr(?1, 1, 8)"              \
	    " AND c.spki = ?1 AND CASE WHEN c.orphan IS NULL"             \
	    " THEN c.device <> ?2 ELSE c.orphan <> ?3 COLLATE NOCASE END" \
	    " LIMIT 1")                                                   \
	X(KEY_KNOWN, "SELECT 1 FROM cert"                                 \
	    " WHERE substr(spki, 1, 8) = substr(?1, 1, 8)"                \
	    " AND spki = ?1 LIMIT 1")                                     \
	X(KEY_COMPROMISED, "SELECT 1 FROM cert"                           \
	    " WHERE substr(spki, 1, 8) = substr(?1, 1, 8)"                \
	    " AND spki = ?1 AND state = 4 AND reason = 1 LIMIT 1")        \
	X(KEY_USE, "SELECT coalesce(c.orphan, d.name), EXISTS ("          \
	    "SELECT 1 FROM cert r WHERE substr(r.spki, 1, 8) ="           \
	    " substr(?1, 1, 8) AND r.spki = ?1"                           \
	    " AND r.state = 4 AND r.reason = 1) FROM cert c"              \
	    " LEFT JOIN device d ON d.id = c.device"                      \
	    " WHERE substr(c.spki, 1, 8) = substr(?1, 1, 8)"              \
	    " AND c.spki = ?1 LIMIT 1")                                   \
	X(CLAIM, "SELECT authority, spki, serial, replaced, replaced_at"  \
	    " FROM cert WHERE claim = ?1 AND authority = ?2")             \
	X(CLAIM_OF_TOKEN, "SELECT 'token:' || t.name, c.spki, c.serial," \
	    " c.replaced, c.replaced_at FROM token t"                     \
	    " CROSS JOIN cert c ON c.id = t.cert WHERE t.name = ?1")      \
	X(CLAIM_ID, "SELECT id FROM cert"                                 \
	    " WHERE claim = ?1 AND authority = ?2")                       \
	X(CLAIM_FREE, "UPDATE cert SET claim = NULL"                      \
	    " WHERE claim = ?1 AND authority = ?2")                       \
	X(CLAIMED, "SELECT state, confirmed_at, replaced, replaced_at,"   \
	    " serial = ?2, coalesce(last, entry, -1)"                     \
	    " FROM cert WHERE id = ?1")                                   \
	X(CERT_ADD, "INSERT INTO cert (serial, device, class, state,"     \
	    " idevid, key_origin, token, authority, claim, replaced,"     \
	    " replaced_at, spki, sha256, predecessor, issued_at,"         \
	    " not_before_s, not_after_s, confirmed_at, revoked_at,"       \
	    " reason, held_from, shard, entry, orphan, der, last,"        \
	    " key_type) VALUES"                                           \
	    " (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,"   \
	    " ?14, ?15, ?16, ?17, ?18, ?19, ?20, 0, ?21, ?22, ?23, ?24,"  \
	    " ?25, ?26)")                                                 \
	X(CERT_CONFIRM, "UPDATE cert SET state = 1, confirmed_at = ?2,"   \
	    " last = ?3 WHERE id = ?1")                                   \
	X(CERT_REPLACED, "UPDATE cert SET state = 4, reason = 4,"         \
	    " revoked_at = ?2, claim = NULL, last = ?3 WHERE id = ?1")    \
	X(CERT_SET, "UPDATE cert SET state = ?2, reason = ?3,"            \
	    " revoked_at = ?4, held_from = ?5, last = ?6 WHERE id = ?1")  \
	X(CERT_DROP, "DELETE FROM cert WHERE id = ?1")                    \
	X(CERT_STANDS, "SELECT id FROM cert WHERE serial = ?1"            \
	    " AND sha256 = ?2 AND issued_at = ?3")                        \
	X(CERT_ORPHAN, "SELECT id, coalesce(last, entry, -1) FROM cert"   \
	    " WHERE serial = ?1 AND state = 5 AND device = ?2"            \
	    " AND spki = ?3 AND sha256 = ?4")                             \
	/* pages: see sqlite_page.c */                                    \
	X(CLASSES, "SELECT id FROM class"                                 \
	    " WHERE (?1 IS NULL OR product = ?1)"                         \
	    " AND (?2 IS NULL OR issuer = ?2)"                            \
	    " AND (?3 IS NULL OR profile = ?3)")                          \
	X(CERT_ID, "SELECT id FROM cert WHERE serial = ?1")               \
	X(TOKEN_ID, "SELECT id FROM token WHERE name = ?1")               \
	X(CERTS_ALL, "SELECT 0, id FROM cert NOT INDEXED"                 \
	    " WHERE id > ?4 ORDER BY id LIMIT ?6")                        \
	X(CERTS_OF, "SELECT 0, id FROM cert INDEXED BY cert_class"        \
	    " WHERE class = ?1 AND state = ?2"                            \
	    " AND id > ?4 ORDER BY id LIMIT ?6")                          \
	X(CERTS_EXPIRING, "SELECT not_after_s, id FROM cert"              \
	    " INDEXED BY cert_expiry WHERE class = ?1 AND state = ?2"     \
	    " AND (not_after_s, id) > (?3, ?4)"                           \
	    " AND not_after_s < ?5 ORDER BY not_after_s, id LIMIT ?6")    \
	X(CLASS_AFTER, "SELECT id, product, issuer, profile FROM class"   \
	    " WHERE id > ?1 ORDER BY id LIMIT 1")                         \
	X(CERT_ENDS, "SELECT not_after_s, id FROM cert"                   \
	    " INDEXED BY cert_expiry WHERE class = ?1 AND state = ?2"     \
	    " AND (not_after_s, id) > (?3, ?4)"                           \
	    " ORDER BY not_after_s, id LIMIT ?5")                         \
	X(CERTS_UNCONFIRMED, "SELECT issued_at, id FROM cert"             \
	    " INDEXED BY cert_issued WHERE class = ?1 AND state = 0"      \
	    " AND (issued_at, id) > (?3, ?4) AND issued_at < ?5"          \
	    " ORDER BY issued_at, id LIMIT ?6")                           \
	X(UNCONFIRMED_COUNT, "SELECT count(*) FROM (SELECT 1 FROM"        \
	    " class i CROSS JOIN cert c INDEXED BY cert_issued"           \
	    " WHERE c.class = i.id AND c.state = 0 AND c.issued_at < ?1"  \
	    " LIMIT ?2)")                                                 \
	X(CERTS_OF_DEVICE, "SELECT 0, id FROM cert"                       \
	    " INDEXED BY cert_device WHERE device = ?1 ORDER BY id")      \
	X(CERTS_OF_KEY, "SELECT 0, id FROM cert"                          \
	    " WHERE substr(spki, 1, 8) = substr(?1, 1, 8)"                \
	    " AND spki = ?1 ORDER BY id")                                 \
	X(CERTS_REVOKED, SQL_CERT "WHERE c.id IN (SELECT r.id FROM"       \
	    " class i CROSS JOIN cert r INDEXED BY cert_revoked"          \
	    " WHERE i.issuer = ?1 AND r.class = i.id"                     \
	    " AND r.state >= 3 AND r.not_after_s >= ?2)"                  \
	    " ORDER BY c.serial")                                         \
	X(CERTS_REVOKED_OF, SQL_CERT "WHERE c.id IN (SELECT r.cert FROM"  \
	    " class i CROSS JOIN listed r ON r.class = i.id"              \
	    " WHERE i.issuer = ?1 AND r.shard BETWEEN ?3 AND ?4"          \
	    " AND r.not_after_s >= ?2) ORDER BY c.serial")                \
	X(TOKENS_ALL, "SELECT 0, id FROM token NOT INDEXED"               \
	    " WHERE id > ?4 ORDER BY id LIMIT ?6")                        \
	X(TOKENS_OF, "SELECT 0, id FROM token INDEXED BY token_class"     \
	    " WHERE class = ?1 AND state = ?2"                            \
	    " AND id > ?4 ORDER BY id LIMIT ?6")                          \
	X(TOKENS_OF_DEVICE, "SELECT 0, id FROM token"                     \
	    " INDEXED BY token_device WHERE device = ?1 ORDER BY id")     \
	/* operators */                                                   \
	X(OPERATOR, SQL_OPERATOR "WHERE name = ?1")                       \
	X(OPERATORS, SQL_OPERATOR                                         \
	    "WHERE name > ?1 ORDER BY name LIMIT ?2")                     \
	X(OPERATOR_FIND, "SELECT revoked_at, " SQL_ADMIN                  \
	    " FROM operator WHERE name = ?1")                             \
	X(OPERATOR_ADMIN, "SELECT 1 FROM operator WHERE name <> ?1"       \
	    " AND revoked_at = 0 AND (expires_at = 0 OR expires_at > ?2)" \
	    " AND " SQL_ADMIN " LIMIT 1")                                 \
	X(OPERATOR_ADD, "INSERT INTO operator VALUES"                     \
	    " (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,"   \
	    " ?14, ?15, ?16, ?17)")                                       \
	X(OPERATOR_KEY, SQL_OPERATOR                                      \
	    "WHERE spki = ?1 OR next_spki = ?1")                          \
	X(OPERATOR_KEY_FIND, "SELECT 1 FROM operator"                     \
	    " WHERE spki = ?1 OR next_spki = ?1 UNION ALL"                \
	    " SELECT 1 FROM operator_spent WHERE spki = ?1")              \
	X(OPERATOR_NAMED, "SELECT person <> '' OR description <> ''"      \
	    " FROM operator WHERE name = ?1")                             \
	X(OPERATOR_ERASE, "UPDATE operator SET person = '',"              \
	    " description = '' WHERE name = ?1")                          \
	X(OPERATOR_USED, "UPDATE operator SET used_at = ?2"               \
	    " WHERE name = ?1 AND used_at < ?2")                          \
	X(OPERATOR_SPENT, "INSERT INTO operator_spent VALUES (?1)")       \
	X(OPERATOR_RENEW, "UPDATE operator SET next_spki = ?2,"           \
	    " next_expires_at = ?3, renewed_at = ?4 WHERE name = ?1")     \
	X(OPERATOR_CONFIRM, "UPDATE operator SET spki = next_spki,"       \
	    " expires_at = next_expires_at, next_spki = NULL,"            \
	    " next_expires_at = 0 WHERE name = ?1")                       \
	X(OPERATOR_REVOKE, "UPDATE operator SET revoked_at = ?2"          \
	    " WHERE name = ?1")                                           \
	/* the ledger */                                                  \
	X(ENTRY, "SELECT json FROM entry WHERE idx = ?1")                 \
	X(ENTRIES, "SELECT idx, json FROM entry"                          \
	    " WHERE idx >= ?1 AND idx < ?2 ORDER BY idx")                 \
	X(ENTRY_LAST, "SELECT coalesce(max(idx), -1) FROM entry")         \
	X(ENTRY_ADD, "INSERT INTO entry VALUES (?1, ?2, ?3)")             \
	X(ENTRY_BACK, "SELECT idx - back, json FROM entry WHERE idx = ?1")\
	X(HISTORY, "SELECT coalesce(last, -1) FROM device WHERE id = ?1"  \
	    " UNION ALL SELECT coalesce(last, -1) FROM token"             \
	    " WHERE device = ?1"                                          \
	    " UNION ALL SELECT coalesce(last, entry, -1) FROM cert"       \
	    " WHERE device = ?1")                                         \
	/* recalls: see sqlite_recall.c */                                \
	X(DEVICE_ROW, SQL_DEVICE "WHERE d.id = ?1")                       \
	X(DEVICE_NEXT, "SELECT id, created_at FROM device"                \
	    " WHERE id > ?1 ORDER BY id LIMIT 1")                         \
	X(DEVICES_LAST, "SELECT coalesce(max(id), 0) FROM device")        \
	X(CERT_NEXT, "SELECT id, issued_at FROM cert"                     \
	    " WHERE id > ?1 ORDER BY id LIMIT 1")                         \
	X(CERTS_LAST, "SELECT coalesce(max(id), 0) FROM cert")            \
	X(RECALL_ALL, "SELECT id, id FROM device WHERE id > ?1"           \
	    " ORDER BY id LIMIT ?2")                                      \
	X(RECALL_PRODUCT, "SELECT id, id FROM device WHERE class = ?3"    \
	    " AND name > coalesce((SELECT name FROM device WHERE id = ?1),"\
	    " '') ORDER BY name LIMIT ?2")                                \
	X(RECALL_ISSUED, "SELECT id, device FROM cert"                    \
	    " WHERE id > ?1 ORDER BY id LIMIT ?2")                        \
	X(RECALL_EQUAL, "SELECT device, device FROM attribute"            \
	    " WHERE name = ?3"                                            \
	    " AND value = ?4 AND device > ?1 ORDER BY device LIMIT ?2")   \
	X(RECALL_NAMED, "SELECT id, id FROM device"                       \
	    " WHERE name = ?3 AND id > ?1 LIMIT ?2")                      \
	X(RECALL_COUNT, "SELECT count(*) FROM (SELECT 1 FROM attribute"   \
	    " WHERE name = ?1 AND value = ?2 LIMIT ?3)")                  \
	X(RECALL_RANGE, "SELECT device, device, value FROM attribute"     \
	    " WHERE name = ?3 AND value >= ?4 AND value <= ?5"            \
	    " AND (value, device) > (?6, ?1)"                             \
	    " ORDER BY value, device LIMIT ?2")                           \
	X(RECALL_CERT, "SELECT c.id, c.issued_at"                         \
	    " FROM cert c INDEXED BY cert_device"                         \
	    " CROSS JOIN class k ON k.id = c.class WHERE c.device = ?1"   \
	    " AND (?2 = '' OR k.issuer = ?2) AND c.issued_at >= ?3"       \
	    " AND c.issued_at < ?4"                                       \
	    " AND (?5 = 0 OR coalesce(c.key_type, 0) = ?5)"               \
	    " ORDER BY c.id LIMIT 1")                                     \
	X(RECALL_VALUE, "SELECT atom FROM json_each(?1)"                  \
	    " WHERE key = ?2 AND atom IS NOT NULL")                       \
	X(TILE, "SELECT hashes FROM tile WHERE id = ?1")                  \
	X(TILE_ROOTS, "SELECT id, root FROM tile"                         \
	    " WHERE id >= ?1 AND id < ?2 ORDER BY id")                    \
	X(TILE_ADD, "INSERT INTO tile VALUES (?1, ?2, ?3)")               \
	X(CHECKPOINT, "SELECT size, note FROM checkpoint WHERE id = 1")   \
	X(CHECKPOINT_PUT, "INSERT OR REPLACE INTO checkpoint"             \
	    " VALUES (1, ?1, ?2)")                                        \
	X(DOC, "SELECT version, body FROM doc"                            \
	    " WHERE kind = ?1 AND id = ?2")                               \
	X(DOC_PUT, "INSERT OR REPLACE INTO doc"                           \
	    " VALUES (?1, ?2, ?3, ?4)")                                   \
	X(DOC_DROP, "DELETE FROM doc WHERE kind = ?1 AND id = ?2")        \
	X(DOCS_COUNT, "SELECT count(*) FROM (SELECT 1 FROM doc"           \
	    " WHERE kind = ?1 AND id > ?2 AND (?3 = '' OR id < ?3)"       \
	    " LIMIT ?4)")                                                 \
	X(DOCS, "SELECT id, version, body FROM doc WHERE kind = ?1"       \
	    " AND id > ?2 AND (?3 = '' OR id < ?3) ORDER BY id LIMIT ?4") \
	X(UNITS_OF, "SELECT id, version, body FROM doc"                   \
	    " INDEXED BY doc_unit_station WHERE kind = 13"                \
	    " AND CASE WHEN json_valid(CAST(body AS TEXT)) THEN"          \
	    " json_extract(CAST(body AS TEXT), '$.station') END = ?1"     \
	    " AND id > ?2 AND (?3 = '' OR id < ?3) ORDER BY id LIMIT ?4") \
	X(BATCHES_OF, "SELECT id, version, body FROM doc"                 \
	    " INDEXED BY doc_batch_product WHERE kind = 9"                \
	    " AND CASE WHEN json_valid(CAST(body AS TEXT)) THEN"          \
	    " CASE WHEN json_valid(substr(json_extract("                  \
	    "CAST(body AS TEXT), '$.plan.order'), 18)) THEN"              \
	    " json_extract(substr(json_extract("                          \
	    "CAST(body AS TEXT), '$.plan.order'), 18),"                   \
	    " '$.product') END END = ?1"                                  \
	    " AND id > ?2 AND (?3 = '' OR id < ?3) ORDER BY id LIMIT ?4") \
	X(CRL, "SELECT number, next_s, der FROM crl WHERE issuer = ?1")   \
	X(CRL_HEAD, "SELECT number, next_s FROM crl WHERE issuer = ?1")   \
	X(CRL_PUT, "INSERT OR REPLACE INTO crl"                           \
	    " VALUES (?1, ?2, ?3, ?4, ?5)")                               \
	X(SHARD, "SELECT number, next_s, der FROM shard"                  \
	    " WHERE issuer = ?1 AND shard = ?2")                          \
	X(SHARD_NUMBER, "SELECT number FROM shard WHERE issuer = ?1"      \
	    " AND shard = ?2")                                            \
	X(SHARDS, "SELECT shard, number, next_s FROM shard"               \
	    " WHERE issuer = ?1 ORDER BY shard")                          \
	X(SHARD_PUT, "INSERT OR REPLACE INTO shard"                       \
	    " VALUES (?1, ?2, ?3, ?4, ?5, ?6)")                           \
	X(ANSWER, "SELECT request_sha256, status, at, body FROM answer"   \
	    " WHERE key = ?1")                                            \
	X(ANSWER_FIND, "SELECT at FROM answer WHERE key = ?1")            \
	X(ANSWER_PUT, "INSERT OR REPLACE INTO answer"                     \
	    " VALUES (?1, ?2, ?3, ?4, ?5)")                               \
	X(ANSWERS_OLD, "DELETE FROM answer WHERE rowid IN"                \
	    " (SELECT rowid FROM answer WHERE at < ?1 LIMIT 16)")         \
	X(VERSION, "PRAGMA user_version")                                 \
	X(APPLICATION, "PRAGMA application_id")                           \
	X(TABLES, "SELECT count(*) FROM sqlite_master")

enum sql {
#define X(name, text) Q_##name,
	SQL_STATEMENTS(X)
#undef X
	Q_STATEMENTS
};

#endif
