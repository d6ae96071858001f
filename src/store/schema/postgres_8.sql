-- Version 8: another CA's certificates have a partition of their own.  Their
-- numbers have the first bit, which no time has, so all of them were in the
-- default one, and making a year's looked through them.  An orphan of theirs
-- keeps its certificate; revoked, it is none any more and is not adopted.

-- The table goes over with its rows; what else was in it (a clock that is
-- wrong, a year that could not be made in time) is moved.
ALTER TABLE cert DETACH PARTITION cert_other;
DO $$
DECLARE
	i text;
BEGIN
	FOR i IN SELECT indexrelid::regclass::text FROM pg_index
	    WHERE indrelid = 'cert_other'::regclass LOOP
		EXECUTE format('ALTER INDEX %s RENAME TO %I', i,
		    replace(i, 'cert_other', 'cert_theirs'));
	END LOOP;
END $$;
ALTER TABLE cert_other RENAME TO cert_theirs;
CREATE TABLE cert_other PARTITION OF cert DEFAULT;
INSERT INTO cert_other SELECT * FROM cert_theirs WHERE serial < '\x80';
DELETE FROM cert_theirs WHERE serial < '\x80';
ALTER TABLE cert ATTACH PARTITION cert_theirs
	FOR VALUES FROM ('\x80') TO (MAXVALUE);

-- body: the certificate, or NULL.
ALTER FUNCTION op_orphan(op, bigint) RENAME TO op_orphan_alone;
CREATE FUNCTION op_orphan(o op, next bigint) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
	r outcome := op_orphan_alone(o, next);
BEGIN
	IF r.code = 0 AND o.body IS NOT NULL THEN
		UPDATE cert SET der = o.body WHERE serial = o.serial;
	END IF;
	RETURN r;
END $$;

ALTER FUNCTION op_revoke(op, bigint) RENAME TO op_revoke_alone;
CREATE FUNCTION op_revoke(o op, next bigint) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
	r outcome := done();
	c record;
BEGIN
	SELECT spki, coalesce(last, entry, -1) AS last INTO c FROM cert
	    WHERE serial = o.serial AND state = 5 AND serial >= '\x80';
	IF NOT FOUND OR o.state <> 4 THEN
		RETURN op_revoke_alone(o, next);
	END IF;
	UPDATE cert SET state = 4, reason = o.reason, revoked_at = o.at,
	    last = newest(next, o.n, last) WHERE serial = o.serial;
	IF o.reason = 1 THEN
		UPDATE key SET compromised = true WHERE spki = c.spki;
	END IF;
	r.own := c.last;
	RETURN r;
END $$;

UPDATE meta SET version = 8;
