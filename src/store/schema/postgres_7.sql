-- Version 7: another CA's certificates.  What was asked is kept until the record
-- of the answer is there, and goes with it; an orphan that comes again is no
-- conflict.

-- serial, sha256, at: the certificate whose record must be there, or NULL.
ALTER FUNCTION op_doc_put(op) RENAME TO op_doc_put_ending;
CREATE FUNCTION op_doc_put(o op) RETURNS outcome
LANGUAGE plpgsql AS $$
BEGIN
	IF o.serial IS NOT NULL AND NOT EXISTS (SELECT FROM cert
	    WHERE serial = o.serial AND sha256 = o.sha256
	    AND issued_at = o.at) THEN
		RETURN refuse(5, o.name ||
		    ': its certificate is not on record');
	END IF;
	RETURN op_doc_put_ending(o);
END $$;

-- Serials of our own never have the first bit.  A conflict has written
-- nothing; its entries go on where the orphan's ended.
ALTER FUNCTION op_issue_alone(op, bigint) RENAME TO op_issue_new;
CREATE FUNCTION op_issue_alone(o op, next bigint) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
	r outcome := op_issue_new(o, next);
	orphan_last bigint;
BEGIN
	IF r.code <> 1 OR r.why <> 'certificate: serial exists'
	    OR get_byte(o.serial, 0) < 128 THEN
		RETURN r;
	END IF;
	-- no orphan first, so that no list of those has it any more
	UPDATE cert c SET state = 0 FROM device d WHERE c.serial = o.serial
	    AND c.state = 5 AND c.device = d.id
	    AND lower(d.name) = lower(o.device COLLATE "C")
	    AND c.spki = o.spki AND c.sha256 = o.sha256
	    RETURNING coalesce(c.last, c.entry, -1) INTO orphan_last;
	IF NOT FOUND THEN
		RETURN r;
	END IF;
	DELETE FROM cert WHERE serial = o.serial;
	r := op_issue_new(o, next);
	IF r.code > 0 THEN
		RAISE EXCEPTION 'adopted orphan: %', r.why;
	END IF;
	r.certs := r.certs - 1;
	r.revoked := r.revoked - 1;
	r.own := orphan_last;
	RETURN r;
END $$;

UPDATE meta SET version = 7;
