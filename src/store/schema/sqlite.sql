-- Mintmark's SQLite schema, version 1.  PRAGMA user_version carries the
-- number; what came later is in a file each beside this one, which a fresh
-- database takes too, in order (sqlite_schema.c).
--
-- Every byte in a row of cert, entry, device or token is paid ten million
-- times: small integers stand for texts that repeat (class), and secondary
-- indexes end in a rowid of four bytes instead of a serial of sixteen.

CREATE TABLE meta (
	id INTEGER PRIMARY KEY CHECK (id = 1),
	products INTEGER NOT NULL,
	devices INTEGER NOT NULL,
	tokens INTEGER NOT NULL,
	certs INTEGER NOT NULL,
	revoked INTEGER NOT NULL,
	entries INTEGER NOT NULL,
	touched INTEGER NOT NULL -- see commit_failed in sqlite_run.c
);
INSERT INTO meta VALUES (1, 0, 0, 0, 0, 0, 0, 0);

-- The few combinations of product, issuer and profile that exist.  '' where
-- a device or token has none.
CREATE TABLE class (
	id INTEGER PRIMARY KEY,
	product TEXT NOT NULL,
	issuer TEXT NOT NULL,
	profile TEXT NOT NULL,
	UNIQUE (product, issuer, profile)
);

CREATE TABLE product (
	name TEXT PRIMARY KEY NOT NULL,
	description TEXT NOT NULL,
	idevid_profile TEXT NOT NULL,
	ldevid_profile TEXT NOT NULL,
	hw_type_oid TEXT NOT NULL,
	created_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE device (
	id INTEGER PRIMARY KEY,
	name TEXT NOT NULL UNIQUE COLLATE NOCASE,
	class INTEGER NOT NULL,
	state INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	bound_spki BLOB,
	attributes TEXT
);
CREATE INDEX device_class ON device (class, name);

CREATE TABLE token (
	id INTEGER PRIMARY KEY,
	name TEXT NOT NULL UNIQUE,
	device INTEGER NOT NULL,
	class INTEGER NOT NULL,
	state INTEGER NOT NULL,
	bearer INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	not_before_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	cert INTEGER NOT NULL,
	bound_spki BLOB,
	segment INTEGER GENERATED ALWAYS AS (id >> 11) VIRTUAL
);
CREATE INDEX token_device ON token (device);
CREATE INDEX token_place ON token (segment, class, state);

-- authority: NULL if it was a token.  claim: 64 bits of the authority's hash
-- while this certificate is the one its authority was spent on, NULL when
-- replaced or dropped; for a token always NULL, because token.cert says it.
-- orphan: the device's name where no such device is known.
--
-- segment: of an index that version 3 replaced.
CREATE TABLE cert (
	id INTEGER PRIMARY KEY,
	serial BLOB NOT NULL UNIQUE,
	device INTEGER NOT NULL,
	class INTEGER NOT NULL,
	state INTEGER NOT NULL,
	idevid INTEGER NOT NULL,
	key_origin INTEGER NOT NULL,
	token INTEGER,
	authority TEXT,
	claim INTEGER,
	replaced INTEGER NOT NULL,
	replaced_at INTEGER NOT NULL,
	spki BLOB,
	sha256 BLOB,
	predecessor INTEGER,
	issued_at INTEGER NOT NULL,
	not_before_s INTEGER NOT NULL,
	not_after_s INTEGER NOT NULL,
	confirmed_at INTEGER NOT NULL,
	revoked_at INTEGER NOT NULL,
	reason INTEGER NOT NULL,
	held_from INTEGER NOT NULL,
	shard INTEGER NOT NULL,
	entry INTEGER,
	orphan TEXT,
	der BLOB,
	segment INTEGER GENERATED ALWAYS AS (id >> 11) VIRTUAL
);
CREATE INDEX cert_key ON cert (substr(spki, 1, 8));
CREATE INDEX cert_claim ON cert (claim) WHERE claim IS NOT NULL;
CREATE INDEX cert_device ON cert (device);
CREATE INDEX cert_place ON cert (segment, class, state, not_after_s);
CREATE INDEX cert_revoked ON cert (class, not_after_s) WHERE state >= 3;
CREATE INDEX cert_predecessor ON cert (predecessor)
	WHERE predecessor IS NOT NULL;

CREATE TABLE operator (
	name TEXT PRIMARY KEY NOT NULL,
	person TEXT NOT NULL,
	roles TEXT NOT NULL,
	secret_sha256 BLOB,
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	revoked_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE entry (
	idx INTEGER PRIMARY KEY,
	json BLOB NOT NULL
);
-- Full tiles only: id is level << 56 | index.  root before hashes, so that
-- the level above reads it without the rest.
CREATE TABLE tile (
	id INTEGER PRIMARY KEY,
	root BLOB NOT NULL,
	hashes BLOB NOT NULL
);
CREATE TABLE checkpoint (
	id INTEGER PRIMARY KEY CHECK (id = 1),
	size INTEGER NOT NULL,
	note BLOB NOT NULL
);

CREATE TABLE crl (
	issuer TEXT PRIMARY KEY NOT NULL,
	number INTEGER NOT NULL,
	this_s INTEGER NOT NULL,
	next_s INTEGER NOT NULL,
	der BLOB NOT NULL
);
CREATE TABLE answer (
	key TEXT PRIMARY KEY NOT NULL,
	request_sha256 BLOB,
	status INTEGER NOT NULL,
	at INTEGER NOT NULL,
	body BLOB NOT NULL
);
CREATE INDEX answer_at ON answer (at);
