-- Version 4: lists of shards.  The address that a certificate says is of its
-- issuer's list of that shard (RFC 5280 5.2.5).
CREATE TABLE shard (
	issuer text COLLATE "C" NOT NULL,
	shard bigint NOT NULL,
	number bigint NOT NULL,
	this_s bigint NOT NULL,
	next_s bigint NOT NULL,
	der bytea NOT NULL,
	PRIMARY KEY (issuer, shard)
);

-- What lists show, by shard: an index of cert would be made of all its rows,
-- this of those that are revoked, which another index has already.  shard: -1
-- of an orphan, whose serial alone is known.
CREATE TABLE listed (
	class integer NOT NULL,
	shard bigint NOT NULL,
	not_after_s bigint NOT NULL,
	serial bytea NOT NULL,
	PRIMARY KEY (class, shard, not_after_s, serial)
);
CREATE FUNCTION listed_as(state smallint, shard bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE state WHEN 5 THEN -1 ELSE shard END
$$;
INSERT INTO listed SELECT class, listed_as(state, shard), not_after_s, serial
    FROM cert WHERE state >= 3;
CREATE FUNCTION keep_listed() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'UPDATE' AND OLD.state >= 3 THEN
		DELETE FROM listed WHERE class = OLD.class
		    AND shard = listed_as(OLD.state, OLD.shard)
		    AND not_after_s = OLD.not_after_s
		    AND serial = OLD.serial;
	END IF;
	IF NEW.state >= 3 THEN
		INSERT INTO listed VALUES (NEW.class,
		    listed_as(NEW.state, NEW.shard), NEW.not_after_s,
		    NEW.serial) ON CONFLICT DO NOTHING;
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER listed_new AFTER INSERT ON cert FOR EACH ROW
    WHEN (NEW.state >= 3) EXECUTE FUNCTION keep_listed();
CREATE TRIGGER listed_now AFTER UPDATE OF class, state ON cert FOR EACH ROW
    WHEN (OLD.state >= 3 OR NEW.state >= 3) EXECUTE FUNCTION keep_listed();

-- other: of each shard its number (4 bytes), the number of the list it follows
-- (8, -1 any), its length (4), its list; n numbers of b from at on.
CREATE FUNCTION number_in(b bytea, at integer, n integer) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
	SELECT ('x' || lpad(encode(substring(b FROM at FOR n), 'hex'), 16,
	    '0'))::bit(64)::bigint
$$;
CREATE FUNCTION not_of_shards(o op) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
	b bytea := coalesce(o.other, '');
	at integer := 1;
	follows bigint;
	have bigint;
BEGIN
	WHILE at <= length(b) LOOP
		SELECT number INTO have FROM shard WHERE issuer = o.issuer
		    AND shard = number_in(b, at, 4);
		follows := number_in(b, at + 4, 8);
		IF follows NOT IN (-1, coalesce(have, 0)) THEN
			RETURN refuse(1, format('issuer %s: another CRL came '
			    'first', o.issuer));
		ELSIF o.number <= have THEN
			RETURN refuse(1, format('issuer %s: CRL number %s is '
			    'not above the last', o.issuer, o.number));
		END IF;
		at := at + 16 + number_in(b, at + 12, 4);
	END LOOP;
	RETURN NULL;
END $$;
CREATE FUNCTION put_shards(o op) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	b bytea := coalesce(o.other, '');
	at integer := 1;
	n integer;
BEGIN
	WHILE at <= length(b) LOOP
		n := number_in(b, at + 12, 4);
		INSERT INTO shard VALUES (o.issuer, number_in(b, at, 4),
		    o.number, o.not_before_s, o.not_after_s,
		    substring(b FROM at + 16 FOR n))
		ON CONFLICT (issuer, shard) DO UPDATE
		    SET number = excluded.number, this_s = excluded.this_s,
		    next_s = excluded.next_s, der = excluded.der;
		at := at + 16 + n;
	END LOOP;
END $$;

-- No body: it is of shards alone.
ALTER FUNCTION op_crl_put(op) RENAME TO op_crl_put_whole;
CREATE FUNCTION op_crl_put(o op) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
	r outcome := not_of_shards(o);
BEGIN
	IF r.code > 0 THEN
		RETURN r;
	END IF;
	r := done();
	IF o.body IS NOT NULL THEN
		r := op_crl_put_whole(o);
	END IF;
	IF r.code = 0 THEN
		PERFORM put_shards(o);
	END IF;
	RETURN r;
END $$;

UPDATE meta SET version = 4;
