-- Version 2.

-- Documents, of which there are few (enum mm_doc_kind).
CREATE TABLE doc (
	kind INTEGER NOT NULL,
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	body BLOB NOT NULL,
	PRIMARY KEY (kind, id)
) WITHOUT ROWID;

-- Certificates that their devices have not confirmed, by age.  A certificate
-- leaves this index with its confirmation, so it is as large as there are
-- unconfirmed ones, and issuing writes at each class's end of it.
CREATE INDEX cert_issued ON cert (class, issued_at) WHERE state = 0;

-- Chains: an entry knows how far back the one before it about the same
-- object is, the object's row its newest (NULL: none; a certificate's then
-- is that of its issuance).
ALTER TABLE entry ADD COLUMN back INTEGER;
ALTER TABLE device ADD COLUMN last INTEGER;
ALTER TABLE token ADD COLUMN last INTEGER;
ALTER TABLE cert ADD COLUMN last INTEGER;

ALTER TABLE cert ADD COLUMN key_type INTEGER;
ALTER TABLE product ADD COLUMN version INTEGER NOT NULL DEFAULT 1;

-- Members of a device's attributes that its product's schema marks: texts,
-- integers and reals as they are, true as 1.
CREATE TABLE attribute (
	name TEXT NOT NULL,
	value NOT NULL,
	device INTEGER NOT NULL,
	PRIMARY KEY (name, value, device)
) WITHOUT ROWID;

-- Who may do what: a certificate's key, limits, and when it was last used.
ALTER TABLE operator ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;
ALTER TABLE operator ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE operator ADD COLUMN scope TEXT NOT NULL DEFAULT '';
ALTER TABLE operator ADD COLUMN sources TEXT NOT NULL DEFAULT '';
ALTER TABLE operator ADD COLUMN spki BLOB;
ALTER TABLE operator ADD COLUMN used_at INTEGER NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX operator_key ON operator (spki) WHERE spki IS NOT NULL;
