-- Version 8: an operator's certificate has a successor.  life_ms: how long each
-- is good, 0: it is not renewed.  The keys of before stay known for ever.
ALTER TABLE operator ADD COLUMN next_spki BLOB;
ALTER TABLE operator ADD COLUMN next_expires_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE operator ADD COLUMN renewed_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE operator ADD COLUMN life_ms INTEGER NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX operator_next ON operator (next_spki)
	WHERE next_spki IS NOT NULL;
CREATE TABLE operator_spent (spki BLOB PRIMARY KEY NOT NULL) WITHOUT ROWID;
