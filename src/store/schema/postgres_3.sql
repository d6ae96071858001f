-- Version 3: certificates count in a batch, documents in a number; hashes of
-- attributes have a salt.  A fresh database takes this text after those of
-- version 2, an older one by itself.

-- A count is the version of a document of kind 14 (MM_DOC_COUNT).
CREATE FUNCTION count_of(counted text) RETURNS bigint
LANGUAGE sql STABLE AS $$
	SELECT coalesce((SELECT version FROM doc WHERE kind = 14
	    AND id = counted), 0)
$$;
CREATE FUNCTION count_up(counted text) RETURNS void
LANGUAGE sql AS $$
	INSERT INTO doc VALUES (14, counted, 1, '{}')
	    ON CONFLICT (kind, id) DO UPDATE SET version = doc.version + 1
$$;

-- text1: the batch, "/", its station or nothing; from_at: the version of the
-- batch's document (kind 9), to_at: how many it may have, revoked_at: and its
-- station; text2: what the document of the unit (kind 13) says.
CREATE FUNCTION not_in_batch(o op) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
	batch text := split_part(o.text1, '/', 1);
BEGIN
	IF o.from_at IS DISTINCT FROM (SELECT version FROM doc
	    WHERE kind = 9 AND id = batch) THEN
		RETURN refuse(1, 'batch ' || batch || ': has changed');
	ELSIF count_of(batch) >= o.to_at THEN
		RETURN refuse(1, 'batch ' || batch || ': its quota is gone');
	ELSIF o.text1 <> batch || '/' AND
	    count_of(o.text1) >= o.revoked_at THEN
		RETURN refuse(1, 'batch ' || o.text1 ||
		    ': its share is gone');
	END IF;
	RETURN NULL;
END $$;

ALTER FUNCTION op_issue(op, bigint) RENAME TO op_issue_alone;
CREATE FUNCTION op_issue(o op, next bigint) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
	r outcome;
	batch text;
BEGIN
	IF o.text1 IS NULL THEN
		RETURN op_issue_alone(o, next);
	END IF;
	r := not_in_batch(o);
	IF r.code > 0 THEN
		RETURN r;
	END IF;
	r := op_issue_alone(o, next);
	IF r.code > 0 THEN
		RETURN r;
	END IF;
	batch := split_part(o.text1, '/', 1);
	PERFORM count_up(batch);
	IF o.text1 <> batch || '/' THEN
		PERFORM count_up(o.text1);
	END IF;
	INSERT INTO doc VALUES (13, batch || '/' || o.device, 1,
	    convert_to(o.text2, 'UTF8'))
	    ON CONFLICT (kind, id) DO UPDATE
	    SET version = doc.version + 1, body = excluded.body;
	RETURN r;
END $$;

-- text1, text2: counts that grow with it, or NULL; from_at: what the first
-- must be, or NULL; to_at: the version it gets, or NULL: the next.
ALTER FUNCTION op_doc_put(op) RENAME TO op_doc_put_alone;
CREATE FUNCTION op_doc_put(o op) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
	r outcome;
BEGIN
	IF o.from_at <> count_of(o.text1) THEN
		RETURN refuse(5, o.text1 || ': counts ' ||
		    count_of(o.text1) || ' now');
	END IF;
	r := op_doc_put_alone(o);
	IF r.code = 0 AND o.to_at IS NOT NULL THEN
		UPDATE doc SET version = o.to_at WHERE kind = o.state
		    AND id = o.name;
		r.number := o.to_at;
	END IF;
	IF r.code = 0 AND o.text1 IS NOT NULL THEN
		PERFORM count_up(o.text1);
	END IF;
	IF r.code = 0 AND o.text2 IS NOT NULL THEN
		PERFORM count_up(o.text2);
	END IF;
	RETURN r;
END $$;

-- salt: of the hash of its attributes that its newest entry has, and nowhere
-- else; without it the hash says nothing.
ALTER TABLE device ADD COLUMN salt bytea;

-- Replacing leaves name, state and birth as they were, and makes its
-- certificates its product's.  flag: replace.  flag2:
-- the same is fine.  number: the version it must have, mask: that of its
-- product's schema, or NULL.  text2: what is indexed.  other: the salt.
CREATE OR REPLACE FUNCTION op_device_put(o op, next bigint) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
	r outcome := done();
	d record;
	device_id bigint;
BEGIN
	SELECT v.id, v.state, v.last, v.bound_spki, v.attributes, k.product
	    INTO d FROM device v JOIN class k ON k.id = v.class
	    WHERE lower(v.name) = lower(o.name COLLATE "C");
	IF o.mask IS NOT NULL AND NOT schema_is(o.product, o.mask) THEN
		RETURN refuse(5, 'product ' || o.product ||
		    ': its schema has changed');
	ELSIF o.number <> coalesce(d.last + 1, 0) THEN
		RETURN refuse(5, 'device ' || o.name || ': has changed');
	ELSIF d.state <> 0 THEN
		RETURN refuse(1, 'device ' || o.name || ': retired');
	ELSIF o.flag2 AND d.product = o.product AND
	    d.bound_spki IS NOT DISTINCT FROM o.spki AND
	    d.attributes IS NOT DISTINCT FROM o.text1 THEN
		RETURN already();
	ELSIF d.id IS NOT NULL AND NOT o.flag THEN
		RETURN refuse(1, 'device ' || o.name || ': exists');
	END IF;
	r.own := coalesce(d.last, -1);
	IF d.id IS NULL THEN
		INSERT INTO device (name, class, state, created_at, last,
		    bound_spki, attributes, salt)
		VALUES (o.name, class_of(o.product, '', ''), o.state, o.at,
		    newest(next, o.n, NULL), o.spki, o.text1, o.other)
		RETURNING id INTO device_id;
		r.devices := 1;
	ELSE
		device_id := d.id;
		UPDATE cert c SET class = class_of(o.product, k.issuer,
		    k.profile) FROM class k WHERE c.device = device_id
		    AND k.id = c.class AND k.product <> o.product;
		DELETE FROM attribute WHERE device = device_id;
		UPDATE device SET class = class_of(o.product, '', ''),
		    bound_spki = o.spki, attributes = o.text1, salt = o.other,
		    last = newest(next, o.n, last) WHERE id = device_id;
	END IF;
	IF o.text1 IS NOT NULL AND o.text2 IS NOT NULL THEN
		PERFORM index_devices(ARRAY[device_id], o.text2);
	END IF;
	RETURN r;
END $$;

UPDATE meta SET version = 3;
