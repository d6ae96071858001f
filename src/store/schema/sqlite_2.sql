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
