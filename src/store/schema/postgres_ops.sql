-- What an operation does, as functions beside the tables of postgres.sql and
-- part of the same schema version.

-- An operation as the program sends it: the members its kind has, NULL else.
-- kind is enum mm_op_kind, n the number of its ledger entries.
CREATE TYPE op AS (
	kind bigint, n bigint, flag boolean, flag2 boolean,
	name text, device text, product text, issuer text, profile text,
	authority text, text1 text, text2 text,
	serial bytea, other bytea, predecessor bytea, spki bytea,
	sha256 bytea, body bytea,
	state bigint, reason bigint, number bigint, mask bigint,
	at bigint, from_at bigint, to_at bigint, revoked_at bigint,
	not_before_s bigint, not_after_s bigint
);

-- What came of it.  code: 0 done, 1 conflict, 2 not found, 3 policy, 4 input,
-- 5 stale; why says it in words.  written: its entries belong into the ledger.
-- products to revoked are what the counters grow by.
--
-- Its entries join the chain of the object it names, whose newest was own (-1:
-- none; NULL: they join none), but for other_n of them from number other_at
-- on: those join the chain of another one, whose newest was other.
CREATE TYPE outcome AS (
	code smallint, why text, written boolean, already boolean,
	products integer, devices integer, tokens integer, certs integer,
	revoked integer,
	number bigint, name text, -- what the kind gives back
	own bigint, other bigint, other_at smallint, other_n smallint
);
CREATE FUNCTION refuse(code integer, why text) RETURNS outcome
LANGUAGE sql IMMUTABLE AS $$
	SELECT ROW(code::smallint, why, false, false, 0, 0, 0, 0, 0, 0,
	    NULL, NULL, NULL, 0, 0)::outcome
$$;
CREATE FUNCTION done() RETURNS outcome
LANGUAGE sql IMMUTABLE AS $$
	SELECT ROW(0::smallint, NULL::text, true, false, 0, 0, 0, 0, 0, 0,
	    NULL, NULL, NULL, 0, 0)::outcome
$$;
CREATE FUNCTION already() RETURNS outcome
LANGUAGE sql IMMUTABLE AS $$
	SELECT ROW(0::smallint, NULL::text, false, true, 0, 0, 0, 0, 0, 0,
	    NULL, NULL, NULL, 0, 0)::outcome
$$;

CREATE FUNCTION cert_is(state integer) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
	SELECT 'it is ' || (ARRAY['issued', 'confirmed', 'superseded', 'held',
	    'revoked', 'orphaned'])[state + 1]
$$;
CREATE FUNCTION token_is(state integer) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
	SELECT 'it is ' || (ARRAY['minted', 'issued', 'confirmed', 'frozen',
	    'cancelled', 'expired'])[state + 1]
$$;
-- What a revocation list shows: held, revoked, orphaned.
CREATE FUNCTION listed(state integer) RETURNS integer
LANGUAGE sql IMMUTABLE AS $$ SELECT (state >= 3)::integer $$;

CREATE FUNCTION class_of(p text, i text, f text) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
	found_id integer;
BEGIN
	SELECT id INTO found_id FROM class
	    WHERE product = p AND issuer = i AND profile = f;
	IF NOT FOUND THEN
		INSERT INTO class (product, issuer, profile) VALUES (p, i, f)
		    RETURNING id INTO found_id;
	END IF;
	RETURN found_id;
END $$;

-- The newest entry of an object that all n of an operation are about.
CREATE FUNCTION newest(next bigint, n bigint, last bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE WHEN n > 0 THEN next + n - 1 ELSE last END
$$;

-- A certificate entitles to another one as long as it stands; an unconfirmed
-- one stands and falls with its predecessor.  NULL: it does.
CREATE FUNCTION not_entitled(presented bytea, unknown text) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
	c record;
	withdrawn boolean;
BEGIN
	SELECT state, predecessor INTO c FROM cert WHERE serial = presented;
	IF NOT FOUND THEN
		RETURN refuse(2, unknown);
	END IF;
	IF c.state NOT IN (0, 1) THEN
		RETURN refuse(1, 'certificate: ' || cert_is(c.state));
	END IF;
	IF c.state = 0 AND c.predecessor IS NOT NULL THEN
		SELECT state >= 3 AND reason <> 4 INTO withdrawn FROM cert
		    WHERE serial = c.predecessor;
		IF withdrawn THEN
			RETURN refuse(1, 'certificate: it is withdrawn with '
			    'its predecessor');
		END IF;
	END IF;
	RETURN NULL;
END $$;

-- The key is another device's, or compromised.  NULL: neither.
CREATE FUNCTION key_taken(wanted bytea, holder bigint, name text)
RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
	k record;
	whose text;
BEGIN
	FOR k IN SELECT device, orphan, compromised FROM key
	    WHERE spki = wanted LOOP
		IF k.compromised THEN
			RETURN refuse(1, 'key: revoked as compromised');
		END IF;
		CONTINUE WHEN k.device = holder OR (k.device = 0 AND
		    lower(k.orphan) = lower(name COLLATE "C"));
		SELECT d.name INTO whose FROM device d WHERE d.id = k.device;
		RETURN refuse(1, 'key: certified for device ' ||
		    coalesce(whose, k.orphan) || ' already');
	END LOOP;
	RETURN NULL;
END $$;

-- name: token's; state: the key's type; replaced..: how often its authority's certificate was
-- replaced within 24 hours, counted from the first of them.
CREATE FUNCTION op_issue(o op, next bigint) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
	r outcome;
	d record;
	t record;
	c record;
	token_id bigint;
	held bytea;
	again integer := 0;
	since bigint := 0;
BEGIN
	-- Three questions in one: each statement costs as much as its answer.
	SELECT v.id, v.state, k.product,
	    EXISTS (SELECT FROM key WHERE spki = o.spki) AS key_known,
	    (SELECT id FROM class WHERE product = o.product
		AND issuer = o.issuer AND profile = o.profile) AS class
	    INTO d FROM device v JOIN class k ON k.id = v.class
	    WHERE lower(v.name) = lower(o.device COLLATE "C");
	IF NOT FOUND THEN
		RETURN refuse(2, 'device ' || o.device || ': no such device');
	ELSIF d.state <> 0 THEN
		RETURN refuse(1, 'device ' || o.device || ': retired');
	ELSIF d.product <> o.product THEN
		RETURN refuse(1, 'device ' || o.device ||
		    ': of another product than ' || o.product);
	END IF;
	IF d.key_known THEN
		r := key_taken(o.spki, d.id, o.device);
		IF r.code > 0 THEN
			RETURN r;
		END IF;
	END IF;
	IF o.authority = '' THEN
		RETURN refuse(4, 'issue: no authority');
	ELSIF o.name IS NOT NULL THEN
		SELECT id, state, cert INTO t FROM token WHERE name = o.name;
		IF NOT FOUND THEN
			RETURN refuse(1, 'token ' || o.name ||
			    ': no such token');
		ELSIF t.state <> (o.other IS NOT NULL)::integer THEN
			RETURN refuse(1, 'token ' || o.name || ': ' ||
			    token_is(t.state));
		END IF;
		token_id := t.id;
		held := t.cert;
	ELSE
		SELECT serial INTO held FROM claim
		    WHERE authority = o.authority;
	END IF;
	IF held IS NULL AND o.other IS NOT NULL THEN
		RETURN refuse(1, o.authority || ': nothing to replace');
	ELSIF held IS DISTINCT FROM o.other THEN
		RETURN refuse(1, o.authority || ': spent already');
	ELSIF held IS NOT NULL THEN
		SELECT state, confirmed_at, replaced, replaced_at,
		    coalesce(last, entry, -1) AS last INTO c
		    FROM cert WHERE serial = held;
		IF NOT FOUND THEN
			RETURN refuse(1, o.authority || ': spent already');
		ELSIF c.state NOT IN (0, 3) OR c.confirmed_at <> 0 THEN
			RETURN refuse(1, o.authority ||
			    ': its certificate: ' || cert_is(c.state));
		END IF;
		again := 1;
		since := o.at;
		IF c.replaced_at <> 0 AND o.at - c.replaced_at < 86400000 THEN
			again := c.replaced + 1;
			since := c.replaced_at;
		END IF;
	END IF;
	IF o.authority LIKE 'cert:%' THEN
		r := not_entitled(decode(substr(o.authority, 6), 'hex'),
		    o.authority || ': unknown');
		IF r.code > 0 THEN
			RETURN r;
		END IF;
	END IF;
	IF o.predecessor IS NOT NULL THEN
		r := not_entitled(o.predecessor,
		    'certificate: no such predecessor');
		IF r.code > 0 THEN
			RETURN r;
		END IF;
	END IF;

	INSERT INTO cert (serial, device, token, issued_at, not_before_s,
	    not_after_s, confirmed_at, revoked_at, entry, last, replaced_at,
	    replaced, shard, class, state, held_from, reason, key_origin,
	    key_type, idevid, spki, sha256, predecessor, authority, der)
	VALUES (o.serial, d.id, token_id, o.at, o.not_before_s,
	    o.not_after_s, CASE WHEN o.flag THEN o.at ELSE 0 END, 0,
	    CASE WHEN o.n > 0 THEN next END,
	    CASE WHEN o.n > 1 + (held IS NOT NULL)::integer
		THEN next + o.n - 1 END, since, again, o.number,
	    coalesce(d.class, class_of(o.product, o.issuer, o.profile)),
	    o.flag::integer, 0, 0,
	    o.mask, nullif(o.state, 0), o.flag2, o.spki, o.sha256, o.predecessor,
	    CASE WHEN o.name IS NULL THEN o.authority END, o.body)
	ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		RETURN refuse(1, 'certificate: serial exists');
	END IF;
	r := done();
	r.certs := 1;
	r.own := -1;
	INSERT INTO key VALUES (o.spki, d.id, '', false)
	    ON CONFLICT DO NOTHING;
	IF held IS NOT NULL THEN
		r.revoked := 1 - listed(c.state);
		r.other := c.last;
		r.other_at := 1;
		r.other_n := 1;
		UPDATE cert SET state = 4, reason = 4, revoked_at = o.at,
		    last = CASE WHEN o.n > 1 THEN next + 1 ELSE last END
		    WHERE serial = held;
	END IF;
	IF o.name IS NOT NULL THEN
		UPDATE token SET state = 1, cert = o.serial
		    WHERE id = token_id;
	ELSE
		INSERT INTO claim VALUES (o.authority, o.serial)
		    ON CONFLICT (authority)
		    DO UPDATE SET serial = excluded.serial;
	END IF;
	RETURN r;
END $$;

-- The serial of a signature that was never stored.  It may name a device, a
-- predecessor that nobody knows; it is kept all the same, spends nothing and
-- claims nothing.
CREATE FUNCTION op_orphan(o op, next bigint) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
	r outcome := done();
	device_id bigint;
BEGIN
	SELECT id INTO device_id FROM device
	    WHERE lower(name) = lower(o.device COLLATE "C");
	INSERT INTO cert (serial, device, issued_at, not_before_s,
	    not_after_s, confirmed_at, revoked_at, entry, last, replaced_at,
	    replaced, shard, class, state, held_from, reason, key_origin,
	    key_type, idevid, spki, sha256, predecessor, authority, orphan)
	VALUES (o.serial, device_id, o.at, o.not_before_s, o.not_after_s,
	    o.from_at, o.revoked_at, CASE WHEN o.n > 0 THEN next END,
	    CASE WHEN o.n > 1 THEN next + o.n - 1 END, 0, 0,
	    o.number, class_of(o.product, o.issuer, o.profile), 5, 0,
	    o.reason, o.mask, nullif(o.state, 0), o.flag2, o.spki, o.sha256, o.predecessor,
	    o.authority, CASE WHEN device_id IS NULL THEN o.device END)
	ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		RETURN refuse(1, 'certificate: serial exists');
	END IF;
	r.certs := 1;
	r.revoked := 1;
	r.own := -1;
	IF o.spki IS NOT NULL THEN
		INSERT INTO key VALUES (o.spki, coalesce(device_id, 0),
		    CASE WHEN device_id IS NULL THEN o.device ELSE '' END,
		    false) ON CONFLICT DO NOTHING;
	END IF;
	RETURN r;
END $$;

CREATE FUNCTION op_confirm(o op, next bigint) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
	r outcome;
	c record;
	old integer; -- NULL: none
	old_last bigint;
	withdrawn boolean;
BEGIN
	SELECT state, token, predecessor, coalesce(last, entry, -1) AS last
	    INTO c FROM cert WHERE serial = o.serial;
	IF NOT FOUND THEN
		RETURN refuse(2, 'no such certificate');
	ELSIF c.state IN (1, 2) THEN
		RETURN already();
	ELSIF c.state <> 0 THEN
		RETURN refuse(1, 'certificate: ' || cert_is(c.state));
	END IF;
	IF c.predecessor IS NOT NULL THEN
		SELECT state >= 3 AND reason <> 4 INTO withdrawn FROM cert
		    WHERE serial = c.predecessor;
		IF withdrawn THEN
			RETURN refuse(1, 'certificate: its predecessor was '
			    'held or revoked');
		END IF;
	END IF;
	IF o.other IS NOT NULL THEN
		SELECT state, coalesce(last, entry, -1) INTO old, old_last
		    FROM cert WHERE serial = o.other;
		IF NOT FOUND THEN
			RETURN refuse(2, 'no such certificate');
		END IF;
	END IF;
	r := done();
	r.own := c.last;
	IF old IS NOT NULL THEN
		r.other := old_last;
		r.other_at := 1;
		r.other_n := 1;
	END IF;
	UPDATE cert SET state = 1, confirmed_at = o.at,
	    last = CASE WHEN o.n = 0 THEN last
		WHEN o.n = 2 AND old IS NOT NULL THEN next
		ELSE next + o.n - 1 END
	    WHERE serial = o.serial;
	IF c.token IS NOT NULL THEN
		UPDATE token SET state = 2 WHERE id = c.token AND state = 1;
	END IF;
	-- What is held or revoked stays so, unless it is to be revoked.
	IF old IS NULL OR old IN (4, 5) THEN
		RETURN r;
	ELSIF o.flag THEN
		r.revoked := 1 - listed(old);
		UPDATE cert SET state = 4, reason = 4, revoked_at = o.at,
		    held_from = 0,
		    last = CASE WHEN o.n > 1 THEN next + 1 ELSE last END
		    WHERE serial = o.other;
	ELSIF old <> 3 THEN
		UPDATE cert SET state = 2, reason = 0, revoked_at = 0,
		    held_from = 0,
		    last = CASE WHEN o.n > 1 THEN next + 1 ELSE last END
		    WHERE serial = o.other;
	END IF;
	RETURN r;
END $$;

-- Revoke, hold (state 3), release (state 1: back to what it was before).
CREATE FUNCTION op_revoke(o op, next bigint) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
	r outcome := done();
	c record;
BEGIN
	IF o.state NOT IN (1, 3, 4) THEN
		RETURN refuse(4, 'certificate: cannot be made that');
	END IF;
	SELECT state, held_from, spki, coalesce(last, entry, -1) AS last
	    INTO c FROM cert WHERE serial = o.serial;
	IF NOT FOUND THEN
		RETURN refuse(2, 'no such certificate');
	ELSIF c.state IN (4, 5) AND o.state = 4 THEN
		RETURN already();
	ELSIF c.state IN (4, 5) THEN
		RETURN refuse(1, 'certificate: ' || cert_is(c.state));
	ELSIF o.state = 3 AND c.state = 3 OR o.state = 1 AND c.state <> 3 THEN
		RETURN already();
	END IF;
	r.own := c.last;
	IF o.state = 4 THEN
		UPDATE cert SET state = 4, reason = o.reason,
		    revoked_at = o.at, held_from = 0,
		    last = newest(next, o.n, last) WHERE serial = o.serial;
		r.revoked := 1 - listed(c.state);
		IF o.reason = 1 THEN
			UPDATE key SET compromised = true
			    WHERE spki = c.spki;
		END IF;
	ELSIF o.state = 3 THEN
		UPDATE cert SET state = 3, reason = 6, revoked_at = o.at,
		    held_from = c.state,
		    last = newest(next, o.n, last) WHERE serial = o.serial;
		r.revoked := 1;
	ELSE
		UPDATE cert SET state = c.held_from, reason = 0,
		    revoked_at = 0, held_from = 0,
		    last = newest(next, o.n, last) WHERE serial = o.serial;
		r.revoked := -1;
	END IF;
	RETURN r;
END $$;

-- flag: make the device if it is not there.  All entries but the last are the
-- device's.
CREATE FUNCTION op_token_mint(o op, next bigint) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
	r outcome := done();
	d record;
	device_id bigint;
	device_last bigint := CASE WHEN o.n > 1 THEN next + o.n - 2 END;
BEGIN
	IF EXISTS (SELECT FROM token WHERE name = o.name) THEN
		RETURN refuse(1, 'token ' || o.name || ': exists');
	END IF;
	SELECT v.id, v.state, v.last, k.product INTO d FROM device v
	    JOIN class k ON k.id = v.class
	    WHERE lower(v.name) = lower(o.device COLLATE "C");
	IF NOT FOUND AND NOT o.flag THEN
		RETURN refuse(2, 'device ' || o.device || ': no such device');
	ELSIF d.state <> 0 THEN
		RETURN refuse(1, 'device ' || o.device || ': retired');
	ELSIF d.product <> o.product THEN
		RETURN refuse(1, 'device ' || o.device ||
		    ': of another product than ' || o.product);
	END IF;
	device_id := d.id;
	IF device_id IS NULL THEN
		INSERT INTO device (name, class, state, created_at, last)
		    VALUES (o.device, class_of(o.product, '', ''), 0, o.at,
		    device_last) RETURNING id INTO device_id;
		r.devices := 1;
	ELSIF device_last IS NOT NULL THEN
		UPDATE device SET last = device_last WHERE id = device_id;
	END IF;
	INSERT INTO token (name, device, class, state, bearer, created_at,
	    not_before_at, expires_at, last, bound_spki)
	VALUES (o.name, device_id, class_of(o.product, '', o.profile), 0,
	    o.flag2, o.at, o.from_at, o.to_at, newest(next, o.n, NULL),
	    o.spki);
	r.own := -1;
	r.other := coalesce(d.last, -1);
	r.other_n := greatest(o.n - 1, 0);
	r.tokens := 1;
	RETURN r;
END $$;

-- flag: rebind.  flag2: drop the claim.  mask: the states it may come from.
CREATE FUNCTION op_token_state(o op, next bigint) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
	r outcome := done();
	t record;
BEGIN
	SELECT id, state, last INTO t FROM token WHERE name = o.name;
	IF NOT FOUND THEN
		RETURN refuse(2, 'token ' || o.name || ': no such token');
	ELSIF o.state NOT BETWEEN 0 AND 5 THEN
		RETURN refuse(4, 'token: no such state');
	ELSIF o.mask >> t.state::integer & 1 = 0 THEN
		RETURN refuse(1, 'token ' || o.name || ': ' ||
		    token_is(t.state));
	END IF;
	r.own := coalesce(t.last, -1);
	UPDATE token SET state = o.state, last = newest(next, o.n, last),
	    cert = CASE WHEN o.flag2 THEN NULL ELSE cert END,
	    bound_spki = CASE WHEN o.flag THEN o.spki ELSE bound_spki END
	    WHERE id = t.id;
	RETURN r;
END $$;

-- flag: replace.  number: the version it must have, or NULL.
CREATE FUNCTION op_product_put(o op) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
	r outcome := done();
	have bigint;
BEGIN
	SELECT version INTO have FROM product WHERE name = o.name;
	IF have IS NOT NULL AND NOT o.flag THEN
		RETURN refuse(1, 'product ' || o.name || ': exists');
	ELSIF o.number <> coalesce(have, 0) THEN
		RETURN refuse(5, 'product ' || o.name || ': has changed');
	ELSIF have IS NULL THEN
		INSERT INTO product VALUES (o.name, o.text1, o.profile,
		    o.issuer, o.text2, o.at);
		r.products := 1;
	ELSE
		UPDATE product SET description = o.text1,
		    idevid_profile = o.profile, ldevid_profile = o.issuer,
		    hw_type_oid = o.text2, version = version + 1
		    WHERE name = o.name;
	END IF;
	RETURN r;
END $$;

-- A member of a device's attributes as a number; NULL: it is none.
CREATE FUNCTION number_of(v jsonb) RETURNS double precision
LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE jsonb_typeof(v)
	    WHEN 'number' THEN v::double precision
	    WHEN 'boolean' THEN v::boolean::integer END
$$;
-- indexed: a JSON array of the members' names.
CREATE FUNCTION index_devices(ids bigint[], indexed text) RETURNS void
LANGUAGE sql AS $$
	INSERT INTO attribute
	SELECT d.id, e.key, number_of(e.value),
	    CASE jsonb_typeof(e.value) WHEN 'string'
		THEN e.value #>> '{}' END
	FROM unnest(ids) AS i(id) JOIN device d ON d.id = i.id
	    CROSS JOIN LATERAL jsonb_each(d.attributes::jsonb) e
	WHERE jsonb_typeof(e.value) IN ('string', 'number', 'boolean')
	    AND octet_length(e.value #>> '{}') <= 256
	    AND indexed::jsonb ? e.key
$$;
-- The version of a product's schema, the document of that name (MM_DOC_SCHEMA
-- of enum mm_doc_kind); 0: it has none.
CREATE FUNCTION schema_is(product text, wanted bigint) RETURNS boolean
LANGUAGE sql STABLE AS $$
	SELECT coalesce((SELECT version FROM doc WHERE kind = 0
	    AND id = product), 0) = wanted
$$;

CREATE FUNCTION op_device_retire(o op, next bigint) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
	r outcome := done();
	d record;
BEGIN
	SELECT id, state, last INTO d FROM device
	    WHERE lower(name) = lower(o.name COLLATE "C");
	IF NOT FOUND THEN
		RETURN refuse(2, 'device ' || o.name || ': no such device');
	ELSIF d.state <> 0 THEN
		RETURN already();
	END IF;
	r.own := coalesce(d.last, -1);
	UPDATE device SET state = 1, last = newest(next, o.n, last)
	    WHERE id = d.id;
	RETURN r;
END $$;

-- name: the product.  device: after which.  number: how many.  mask, text2: as
-- of a device that is put.  Gives back how many there were, and the last one's
-- name if there may be more.
CREATE FUNCTION op_devices_index(o op) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
	r outcome := done();
	ids bigint[];
	names text[];
BEGIN
	IF o.number NOT BETWEEN 1 AND 10000 THEN
		RETURN refuse(4, 'index: 1 to 10000 devices');
	ELSIF NOT schema_is(o.name, o.mask) THEN
		RETURN refuse(5, 'product ' || o.name ||
		    ': its schema has changed');
	END IF;
	SELECT array_agg(d.id), array_agg(d.name) INTO ids, names FROM (
	    SELECT id, name FROM device WHERE class = class_of(o.name, '', '')
	    AND lower(name) > lower(o.device COLLATE "C")
	    ORDER BY lower(name) LIMIT o.number) d;
	r.number := coalesce(cardinality(ids), 0);
	IF r.number = o.number THEN
		r.name := names[r.number];
	END IF;
	DELETE FROM attribute WHERE device = ANY (ids);
	IF o.text2 IS NOT NULL THEN
		PERFORM index_devices(ids, o.text2);
	END IF;
	RETURN r;
END $$;

-- A key belongs to one operator, for ever, and never to a device.  state: the
-- kind; from_at: used_at.
CREATE FUNCTION op_operator_put(o op) RETURNS outcome
LANGUAGE plpgsql AS $$
BEGIN
	IF EXISTS (SELECT FROM operator WHERE name = o.name) THEN
		RETURN refuse(1, 'operator ' || o.name || ': exists');
	ELSIF EXISTS (SELECT FROM operator WHERE spki = o.spki) THEN
		RETURN refuse(1, 'this key is or was an operator''s');
	ELSIF EXISTS (SELECT FROM key WHERE spki = o.spki) THEN
		RETURN refuse(1, 'this key is certified for a device');
	END IF;
	INSERT INTO operator VALUES (o.name, o.text1, o.text2, o.sha256,
	    o.at, o.to_at, o.revoked_at, o.state, o.profile, o.product,
	    o.issuer, o.spki, o.from_at);
	RETURN done();
END $$;

-- An administrator of everything, and not one by break-glass (kind 2).
CREATE FUNCTION is_admin(o operator) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
	SELECT position(',admin,' IN ',' || o.roles || ',') > 0
	    AND o.scope = '' AND o.kind <> 2
$$;

-- One writer asks: two who revoke each other at once leave one of them.
CREATE FUNCTION op_operator_revoke(o op) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
	k record;
BEGIN
	SELECT revoked_at, is_admin(operator) AS admin INTO k FROM operator
	    WHERE name = o.name;
	IF NOT FOUND THEN
		RETURN refuse(2, 'operator ' || o.name ||
		    ': no such operator');
	ELSIF k.revoked_at <> 0 THEN
		RETURN already();
	ELSIF k.admin AND NOT EXISTS (SELECT FROM operator
	    WHERE name <> o.name AND operator.revoked_at = 0
	    AND (expires_at = 0 OR expires_at > o.revoked_at)
	    AND is_admin(operator)) THEN
		RETURN refuse(3, 'operator ' || o.name || ' is the last '
		    'administrator');
	END IF;
	UPDATE operator SET revoked_at = o.revoked_at WHERE name = o.name;
	RETURN done();
END $$;

CREATE FUNCTION op_operator_erase(o op) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
	named boolean;
BEGIN
	SELECT person <> '' OR description <> '' INTO named FROM operator
	    WHERE name = o.name;
	IF NOT FOUND THEN
		RETURN refuse(2, 'operator ' || o.name ||
		    ': no such operator');
	ELSIF NOT named THEN
		RETURN already();
	END IF;
	UPDATE operator SET person = '', description = ''
	    WHERE name = o.name;
	RETURN done();
END $$;

-- A time that came late does not set an earlier one.
CREATE FUNCTION op_operator_used(o op) RETURNS outcome
LANGUAGE plpgsql AS $$
BEGIN
	UPDATE operator SET used_at = o.from_at
	    WHERE name = o.name AND used_at < o.from_at;
	RETURN done();
END $$;

-- A checkpoint never goes back, nor past what is stored.
-- at: whose turn it is to sign them, the version of document 5, "ledger".
CREATE FUNCTION op_checkpoint_put(o op, next bigint) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
	last bigint;
BEGIN
	IF o.at <> coalesce((SELECT version FROM doc WHERE kind = 5
	    AND id = 'ledger'), 0) THEN
		RETURN refuse(1, 'checkpoint: another node signs them now');
	END IF;
	SELECT size INTO last FROM checkpoint WHERE id = 1;
	IF o.number < coalesce(last, 0) OR o.number > next THEN
		RETURN refuse(1, format('checkpoint: of %s, want %s to %s',
		    o.number, coalesce(last, 0), next));
	END IF;
	INSERT INTO checkpoint VALUES (1, o.number, o.body)
	    ON CONFLICT (id) DO UPDATE SET size = excluded.size,
	    note = excluded.note;
	RETURN done();
END $$;

-- RFC 5280 5.2.3: numbers only grow.  from_at: the number of the one before,
-- -1 any: a list that was begun before another was stored may lack what that
-- one shows.
CREATE FUNCTION op_crl_put(o op) RETURNS outcome
LANGUAGE plpgsql AS $$
BEGIN
	IF o.from_at NOT IN (-1, coalesce((SELECT number FROM crl
	    WHERE issuer = o.issuer), 0)) THEN
		RETURN refuse(1, format('issuer %s: another CRL came first',
		    o.issuer));
	END IF;
	INSERT INTO crl VALUES (o.issuer, o.number, o.not_before_s,
	    o.not_after_s, o.body)
	ON CONFLICT (issuer) DO UPDATE SET number = excluded.number,
	    this_s = excluded.this_s, next_s = excluded.next_s,
	    der = excluded.der WHERE crl.number < excluded.number;
	IF NOT FOUND THEN
		RETURN refuse(1, format('issuer %s: CRL number %s is not '
		    'above the last', o.issuer, o.number));
	END IF;
	RETURN done();
END $$;

-- from_at: answers from before are forgotten.
CREATE FUNCTION op_answer_put(o op) RETURNS outcome
LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO answer VALUES (o.name, o.sha256, o.state, o.at, o.body)
	ON CONFLICT (key) DO UPDATE SET
	    request_sha256 = excluded.request_sha256,
	    status = excluded.status, at = excluded.at, body = excluded.body
	    WHERE answer.at < o.from_at;
	IF NOT FOUND THEN
		RETURN refuse(1, 'answer: key is used');
	END IF;
	DELETE FROM answer WHERE key = ANY (ARRAY(
	    SELECT key FROM answer WHERE at < o.from_at ORDER BY at LIMIT 16));
	RETURN done();
END $$;

-- number: the version that is expected; -1 none in particular.  No body: it
-- is taken away.
CREATE FUNCTION op_doc_put(o op) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
	r outcome := done();
	have bigint;
BEGIN
	SELECT version INTO have FROM doc WHERE kind = o.state
	    AND id = o.name;
	have := coalesce(have, 0);
	IF have = 0 AND (o.body IS NULL OR o.number NOT IN (-1, 0)) THEN
		RETURN refuse(2, o.name || ': there is none');
	ELSIF have <> 0 AND o.number = 0 THEN
		RETURN refuse(1, o.name || ': exists');
	ELSIF o.number NOT IN (-1, have) THEN
		RETURN refuse(5, o.name || ': has changed: it is at version '
		    || have);
	ELSIF o.body IS NULL THEN
		DELETE FROM doc WHERE kind = o.state AND id = o.name;
		RETURN r;
	END IF;
	INSERT INTO doc VALUES (o.state, o.name, have + 1, o.body)
	    ON CONFLICT (kind, id) DO UPDATE
	    SET version = excluded.version, body = excluded.body;
	r.number := have + 1;
	RETURN r;
END $$;

-- name: the node's; number: for how many seconds, 0 gives it back.  A conflict
-- says as "already" whether the other node has it for the same key.
CREATE FUNCTION op_reserve(o op) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
	h record;
	r outcome;
BEGIN
	SELECT node, spki INTO h FROM reservation
	    WHERE authority = o.authority AND node <> o.name
	    AND until > clock_timestamp();
	IF FOUND AND o.number <> 0 THEN
		r := refuse(1, o.authority || ': node "' || h.node ||
		    '" has it');
		r.already := h.spki = o.spki;
		RETURN r;
	ELSIF o.number = 0 THEN
		DELETE FROM reservation
		    WHERE authority = o.authority AND node = o.name;
		RETURN done();
	END IF;
	INSERT INTO reservation VALUES (o.authority, o.name, o.spki,
	    clock_timestamp() + make_interval(secs => o.number))
	ON CONFLICT (authority) DO UPDATE SET node = excluded.node,
	    spki = excluded.spki, until = excluded.until;
	-- what dead nodes left behind
	DELETE FROM reservation WHERE authority IN (
	    SELECT authority FROM reservation
	    WHERE until < clock_timestamp() - interval '1 minute'
	    ORDER BY until LIMIT 16);
	RETURN done();
END $$;

-- All checks of an operation come before its first write, and each sees what
-- those before it wrote.  idx: where its first ledger entry belongs; the
-- program adds the entries in the same transaction.
CREATE FUNCTION run(ops op[])
RETURNS TABLE (code smallint, why text, already boolean, idx bigint,
    number bigint, name text, own bigint, other bigint, other_at smallint,
    other_n smallint)
LANGUAGE plpgsql AS $$
DECLARE
	m meta;
	o op;
	r outcome;
BEGIN
	SELECT * INTO m FROM meta WHERE id = 1 FOR UPDATE;
	FOREACH o IN ARRAY ops LOOP
		CASE o.kind
		WHEN 0 THEN r := done();
		WHEN 1 THEN r := op_issue(o, m.entries);
		WHEN 2 THEN r := op_confirm(o, m.entries);
		WHEN 3 THEN r := op_revoke(o, m.entries);
		WHEN 4 THEN r := op_orphan(o, m.entries);
		WHEN 5 THEN r := op_token_mint(o, m.entries);
		WHEN 6 THEN r := op_token_state(o, m.entries);
		WHEN 7 THEN r := op_product_put(o);
		WHEN 8 THEN r := op_device_put(o, m.entries);
		WHEN 9 THEN r := op_device_retire(o, m.entries);
		WHEN 10 THEN r := op_operator_put(o);
		WHEN 11 THEN r := op_operator_revoke(o);
		WHEN 12 THEN r := op_checkpoint_put(o, m.entries);
		WHEN 13 THEN r := op_crl_put(o);
		WHEN 14 THEN r := op_answer_put(o);
		WHEN 15 THEN r := op_doc_put(o);
		WHEN 16 THEN r := op_devices_index(o);
		WHEN 17 THEN r := op_operator_erase(o);
		WHEN 18 THEN r := op_operator_used(o);
		WHEN 19 THEN r := op_reserve(o);
		END CASE;
		code := r.code;
		why := r.why;
		already := r.already;
		number := r.number;
		name := r.name;
		own := r.own;
		other := r.other;
		other_at := r.other_at;
		other_n := r.other_n;
		idx := NULL;
		IF r.written AND o.n > 0 THEN
			idx := m.entries;
			m.entries := m.entries + o.n;
		END IF;
		m.products := m.products + r.products;
		m.devices := m.devices + r.devices;
		m.tokens := m.tokens + r.tokens;
		m.certs := m.certs + r.certs;
		m.revoked := m.revoked + r.revoked;
		RETURN NEXT;
	END LOOP;
	UPDATE meta SET products = m.products, devices = m.devices,
	    tokens = m.tokens, certs = m.certs, revoked = m.revoked,
	    entries = m.entries WHERE id = 1;
END $$;
