-- Version 2: documents, of which there are few (enum mm_doc_kind).

CREATE TABLE doc (
	kind INTEGER NOT NULL,
	id TEXT NOT NULL,
	version INTEGER NOT NULL,
	body BLOB NOT NULL,
	PRIMARY KEY (kind, id)
) WITHOUT ROWID;
