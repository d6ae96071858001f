-- Version 12: an operator's certificate has a successor.  life_ms: how long each
-- is good, 0: it is not renewed.  The keys of before stay known for ever.
ALTER TABLE operator ADD COLUMN next_spki bytea,
    ADD COLUMN next_expires_at bigint NOT NULL DEFAULT 0,
    ADD COLUMN renewed_at bigint NOT NULL DEFAULT 0,
    ADD COLUMN life_ms bigint NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX operator_next ON operator (next_spki)
	WHERE next_spki IS NOT NULL;
CREATE TABLE operator_spent (spki bytea PRIMARY KEY);

-- A key belongs to one operator, for ever, and never to a device: what refuses
-- it, or NULL.
CREATE FUNCTION operator_key_refused(wanted bytea) RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
	IF EXISTS (SELECT FROM operator
	    WHERE spki = wanted OR next_spki = wanted)
	    OR EXISTS (SELECT FROM operator_spent s WHERE s.spki = wanted) THEN
		RETURN 'this key is or was an operator''s';
	ELSIF EXISTS (SELECT FROM key k WHERE k.spki = wanted) THEN
		RETURN 'this key is certified for a device';
	END IF;
	RETURN NULL;
END $$;

-- number: life_ms.
CREATE OR REPLACE FUNCTION op_operator_put(o op) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
	refused text := operator_key_refused(o.spki);
BEGIN
	IF EXISTS (SELECT FROM operator WHERE name = o.name) THEN
		RETURN refuse(1, 'operator ' || o.name || ': exists');
	ELSIF refused IS NOT NULL THEN
		RETURN refuse(1, refused);
	END IF;
	INSERT INTO operator (name, person, roles, secret_sha256, created_at,
	    expires_at, revoked_at, kind, description, scope, sources, spki,
	    used_at, life_ms)
	VALUES (o.name, o.text1, o.text2, o.sha256, o.at, o.to_at,
	    o.revoked_at, o.state, o.profile, o.product, o.issuer, o.spki,
	    o.from_at, coalesce(o.number, 0));
	RETURN done();
END $$;

-- spki: what it has; other: its successor, good until not_after_s (here in
-- milliseconds); not_before_s: when.
CREATE FUNCTION op_operator_renew(o op) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
	k record;
	refused text;
BEGIN
	SELECT revoked_at, spki, next_spki INTO k FROM operator
	    WHERE name = o.name;
	IF NOT FOUND THEN
		RETURN refuse(2, 'operator ' || o.name ||
		    ': no such operator');
	ELSIF k.revoked_at <> 0 THEN
		RETURN refuse(3, 'operator ' || o.name || ': revoked');
	ELSIF k.spki IS DISTINCT FROM o.spki THEN
		RETURN refuse(5, 'operator ' || o.name ||
		    ': another key is in use by now');
	ELSIF k.next_spki = o.other THEN
		RETURN already();
	END IF;
	refused := operator_key_refused(o.other);
	IF refused IS NOT NULL THEN
		RETURN refuse(1, refused);
	END IF;
	INSERT INTO operator_spent SELECT k.next_spki
	    WHERE k.next_spki IS NOT NULL;
	UPDATE operator SET next_spki = o.other,
	    next_expires_at = o.not_after_s, renewed_at = o.not_before_s
	    WHERE name = o.name;
	RETURN done();
END $$;

-- other: the successor, which was used.
CREATE FUNCTION op_operator_confirm(o op) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
	k record;
BEGIN
	SELECT revoked_at, spki, next_spki INTO k FROM operator
	    WHERE name = o.name;
	IF NOT FOUND THEN
		RETURN refuse(2, 'operator ' || o.name ||
		    ': no such operator');
	ELSIF k.revoked_at <> 0 THEN
		RETURN refuse(3, 'operator ' || o.name || ': revoked');
	ELSIF k.spki = o.other THEN
		RETURN already();
	ELSIF k.next_spki IS DISTINCT FROM o.other THEN
		RETURN refuse(5, 'operator ' || o.name ||
		    ': another key is its next by now');
	END IF;
	INSERT INTO operator_spent VALUES (k.spki);
	UPDATE operator SET spki = next_spki, expires_at = next_expires_at,
	    next_spki = NULL, next_expires_at = 0 WHERE name = o.name;
	RETURN done();
END $$;

CREATE OR REPLACE FUNCTION run(ops op[])
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
		WHEN 20 THEN r := op_operator_renew(o);
		WHEN 21 THEN r := op_operator_confirm(o);
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

UPDATE meta SET version = 12;
