-- Mintmark's PostgreSQL schema: tables here, functions in postgres_ops.sql and
-- postgres_reads.sql, made together.  It lives in a schema of its own, "mintmark",
-- which the program makes and sets as the session's search_path.  meta.version
-- carries its number (postgres_check.c); any change here is a new number and a
-- migration.
--
-- Writers lock the one row of meta first, so of all nodes one writes at a
-- time: what a function below has looked at stands until it commits.  No
-- foreign keys for the same reason; and a certificate's partition may be
-- dropped without asking every row that names it.

CREATE TABLE meta (
	id integer PRIMARY KEY CHECK (id = 1),
	application text NOT NULL,
	version integer NOT NULL,
	products bigint NOT NULL,
	devices bigint NOT NULL,
	tokens bigint NOT NULL,
	certs bigint NOT NULL,
	revoked bigint NOT NULL,
	entries bigint NOT NULL
) WITH (fillfactor = 10); -- a new version of the row stays on its page
INSERT INTO meta VALUES (1, 'mintmark', 2, 0, 0, 0, 0, 0, 0);

-- The few combinations of product, issuer and profile that exist.  '' where
-- a device or token has none.
CREATE TABLE class (
	id integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
	product text COLLATE "C" NOT NULL,
	issuer text COLLATE "C" NOT NULL,
	profile text COLLATE "C" NOT NULL,
	UNIQUE (product, issuer, profile)
);

CREATE TABLE product (
	name text COLLATE "C" PRIMARY KEY,
	description text NOT NULL,
	idevid_profile text NOT NULL,
	ldevid_profile text NOT NULL,
	hw_type_oid text NOT NULL,
	created_at bigint NOT NULL,
	version bigint NOT NULL DEFAULT 1
);

-- last: the index of the row's newest ledger entry, NULL none; from there
-- entry.back leads to the older ones (history()).  A token's and a
-- certificate's alike; a certificate's NULL stands for entry.
CREATE TABLE device (
	id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
	name text COLLATE "C" NOT NULL,
	class integer NOT NULL,
	state smallint NOT NULL,
	created_at bigint NOT NULL,
	last bigint,
	bound_spki bytea,
	attributes text
);
CREATE UNIQUE INDEX device_name ON device (lower(name));
CREATE INDEX device_class ON device (class, lower(name));

-- Members of a device's attributes that its product's schema marks: a text,
-- or a number, which truth is too (1, 0).
CREATE TABLE attribute (
	device bigint NOT NULL,
	name text COLLATE "C" NOT NULL,
	number double precision,
	word text COLLATE "C",
	PRIMARY KEY (device, name)
);
CREATE INDEX attribute_number ON attribute (name, number, device)
	WHERE number IS NOT NULL;
CREATE INDEX attribute_word ON attribute (name, word, device)
	WHERE word IS NOT NULL;

-- cert: the serial of the certificate the token was spent on.
CREATE TABLE token (
	id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
	name text COLLATE "C" NOT NULL UNIQUE,
	device bigint NOT NULL,
	class integer NOT NULL,
	state smallint NOT NULL,
	bearer boolean NOT NULL,
	created_at bigint NOT NULL,
	not_before_at bigint NOT NULL,
	expires_at bigint NOT NULL,
	last bigint,
	cert bytea,
	bound_spki bytea
);
CREATE INDEX token_device ON token (device);
CREATE INDEX token_place ON token (class, state, id);

-- Which of several nodes signs on an authority just now.  Unlogged: an empty
-- one after a crash costs at most a signature that cannot be committed.
CREATE UNLOGGED TABLE reservation (
	authority text COLLATE "C" PRIMARY KEY,
	node text NOT NULL,
	spki bytea NOT NULL,
	until timestamptz NOT NULL
);
CREATE INDEX reservation_until ON reservation (until);

-- A serial begins with the time it was made, so a range of serials is a range
-- of time: UNIQUE needs no other column, and a year is dropped as a whole.
-- Rows outside of all years (a clock that is wrong) go to the default one.
--
-- id: the order of storing; under the lock of meta also that of commits.
-- authority: NULL if it was a token.  key_type: NULL if it is not known.  orphan: the device's name where no such
-- device is known.
CREATE SEQUENCE cert_id;
CREATE TABLE cert (
	serial bytea PRIMARY KEY,
	id bigint NOT NULL DEFAULT nextval('cert_id'),
	device bigint,
	token bigint,
	issued_at bigint NOT NULL,
	not_before_s bigint NOT NULL,
	not_after_s bigint NOT NULL,
	confirmed_at bigint NOT NULL,
	revoked_at bigint NOT NULL,
	entry bigint,
	last bigint,
	replaced_at bigint NOT NULL,
	replaced integer NOT NULL,
	shard bigint NOT NULL,
	class integer NOT NULL,
	state smallint NOT NULL,
	held_from smallint NOT NULL,
	reason smallint NOT NULL,
	key_origin smallint NOT NULL,
	key_type smallint,
	idevid boolean NOT NULL,
	spki bytea,
	sha256 bytea,
	predecessor bytea,
	authority text COLLATE "C",
	orphan text COLLATE "C",
	der bytea
) PARTITION BY RANGE (serial);
CREATE TABLE cert_other PARTITION OF cert DEFAULT;
CREATE INDEX cert_order ON cert (id);
CREATE INDEX cert_place ON cert (class, state, id);
CREATE INDEX cert_expiry ON cert (class, state, not_after_s, id);
CREATE INDEX cert_device ON cert (device, id);
CREATE INDEX cert_revoked ON cert (class, not_after_s) WHERE state >= 3;
-- Unconfirmed ones by age: a certificate leaves it with its confirmation.
CREATE INDEX cert_issued ON cert (class, issued_at, id) WHERE state = 0;
CREATE INDEX cert_orphan ON cert (spki) WHERE orphan IS NOT NULL;
CREATE INDEX cert_predecessor ON cert (predecessor, id)
	WHERE predecessor IS NOT NULL;

-- What must be found whatever year it is from.  key: whom a public key was
-- certified for (device, or orphan), and whether it was revoked as
-- compromised.  claim: the certificate an authority that is no token was
-- spent on.
CREATE TABLE key (
	spki bytea NOT NULL,
	device bigint NOT NULL,
	orphan text COLLATE "C" NOT NULL,
	compromised boolean NOT NULL,
	PRIMARY KEY (spki, device, orphan)
);
CREATE TABLE claim (
	authority text COLLATE "C" PRIMARY KEY,
	serial bytea NOT NULL
);

-- secret_sha256: an API key's; spki: a certificate's.
CREATE TABLE operator (
	name text COLLATE "C" PRIMARY KEY,
	person text NOT NULL,
	roles text NOT NULL,
	secret_sha256 bytea,
	created_at bigint NOT NULL,
	expires_at bigint NOT NULL,
	revoked_at bigint NOT NULL,
	kind smallint NOT NULL DEFAULT 0,
	description text NOT NULL DEFAULT '',
	scope text NOT NULL DEFAULT '',
	sources text NOT NULL DEFAULT '',
	spki bytea,
	used_at bigint NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX operator_key ON operator (spki) WHERE spki IS NOT NULL;

-- back: how many entries back the one before it about the same object is;
-- NULL: there is none.
CREATE TABLE entry (
	idx bigint PRIMARY KEY,
	json bytea NOT NULL,
	back bigint
);
-- Full tiles only: id is level << 56 | index.  Hashes do not compress.
CREATE TABLE tile (
	id bigint PRIMARY KEY,
	root bytea NOT NULL,
	hashes bytea NOT NULL
);
ALTER TABLE tile ALTER COLUMN hashes SET STORAGE EXTERNAL;
CREATE TABLE checkpoint (
	id integer PRIMARY KEY CHECK (id = 1),
	size bigint NOT NULL,
	note bytea NOT NULL
);

CREATE TABLE crl (
	issuer text COLLATE "C" PRIMARY KEY,
	number bigint NOT NULL,
	this_s bigint NOT NULL,
	next_s bigint NOT NULL,
	der bytea NOT NULL
);
CREATE TABLE answer (
	key text COLLATE "C" PRIMARY KEY,
	request_sha256 bytea,
	status integer NOT NULL,
	at bigint NOT NULL,
	body bytea NOT NULL
);
CREATE INDEX answer_at ON answer (at);
-- Documents, of which there are few (enum mm_doc_kind).
CREATE TABLE doc (
	kind smallint NOT NULL,
	id text COLLATE "C" NOT NULL,
	version bigint NOT NULL,
	body bytea NOT NULL,
	PRIMARY KEY (kind, id)
);

-- The partitions of this year and the two after it, as far as they are
-- missing.  A year that has rows in the default partition stays there.  It
-- stands in everybody's way for a moment, so it does not wait for long.
CREATE FUNCTION serial_at(year integer) RETURNS bytea
LANGUAGE sql STABLE AS $$
	SELECT decode(lpad(to_hex((extract(epoch FROM
	    make_timestamptz(year, 1, 1, 0, 0, 0, 'UTC')) * 1000)::bigint),
	    12, '0'), 'hex')
$$;
CREATE FUNCTION make_years(now_ms bigint) RETURNS void
LANGUAGE plpgsql SET lock_timeout = '500ms' AS $$
DECLARE
	year integer := extract(year FROM
	    to_timestamp(now_ms / 1000) AT TIME ZONE 'UTC');
BEGIN
	FOR y IN year .. year + 2 LOOP
		CONTINUE WHEN to_regclass('mintmark.cert_' || y) IS NOT NULL;
		PERFORM pg_advisory_xact_lock(5570271, y);
		CONTINUE WHEN to_regclass('mintmark.cert_' || y) IS NOT NULL
		    OR EXISTS (SELECT FROM cert_other WHERE
			serial >= serial_at(y) AND serial < serial_at(y + 1));
		EXECUTE format('CREATE TABLE %I PARTITION OF cert'
		    ' FOR VALUES FROM (%L) TO (%L)', 'cert_' || y,
		    serial_at(y), serial_at(y + 1));
	END LOOP;
END $$;
