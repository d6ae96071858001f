-- What a read does in the server, beside the tables of postgres.sql and part of
-- the same schema version.

-- A device's history, newest first: the chains of its own entries, its tokens'
-- and its certificates', merged from their newest ends.  A device has few of
-- each.  body NULL: a chain is broken.
CREATE FUNCTION history(of_device bigint, before bigint, most bigint)
RETURNS TABLE (at bigint, body bytea)
LANGUAGE plpgsql STABLE AS $$
DECLARE
	heads bigint[];
	given bigint := 0;
	prev bigint;
BEGIN
	heads := ARRAY(SELECT last FROM device WHERE id = of_device
	    AND last IS NOT NULL
	    UNION ALL SELECT last FROM token WHERE device = of_device
	    AND last IS NOT NULL
	    UNION ALL SELECT coalesce(last, entry) FROM cert
	    WHERE device = of_device AND coalesce(last, entry) IS NOT NULL);
	WHILE given < most AND cardinality(heads) > 0 LOOP
		SELECT max(h) INTO at FROM unnest(heads) AS u(h);
		heads := array_remove(heads, at);
		SELECT json, idx - back INTO body, prev FROM entry
		    WHERE idx = at;
		IF prev >= at THEN
			body := NULL;
		ELSIF prev IS NOT NULL THEN
			heads := heads || prev;
		END IF;
		IF body IS NULL OR at < before THEN
			given := given + 1;
			RETURN NEXT;
		END IF;
		EXIT WHEN body IS NULL;
	END LOOP;
END $$;

-- Recalls (postgres_recall.c).  What is asked of an attribute: w holds op, of
-- enum mm_where_op, and text or number.
CREATE FUNCTION holds(v jsonb, w jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE
	WHEN w ? 'text' THEN jsonb_typeof(v) = 'string' AND
	    CASE w ->> 'op'
	    WHEN '0' THEN v #>> '{}' = w ->> 'text'
	    WHEN '1' THEN starts_with(v #>> '{}', w ->> 'text')
	    ELSE false END
	ELSE CASE w ->> 'op'
	    WHEN '0' THEN number_of(v) = (w ->> 'number')::double precision
	    WHEN '2' THEN number_of(v) < (w ->> 'number')::double precision
	    WHEN '3' THEN number_of(v) <= (w ->> 'number')::double precision
	    WHEN '4' THEN number_of(v) > (w ->> 'number')::double precision
	    WHEN '5' THEN number_of(v) >= (w ->> 'number')::double precision
	    ELSE false END
	END
$$;
-- The id before those that were stored at that time or later; ids are in the
-- order of time, but for the moment an operation waited.
CREATE FUNCTION devices_before(wanted bigint) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
	low bigint := 0;
	high bigint := (SELECT coalesce(max(id), 0) FROM device);
	middle bigint;
	d record;
BEGIN
	WHILE low < high LOOP
		middle := low + (high - low) / 2;
		SELECT id, created_at INTO d FROM device WHERE id > middle
		    ORDER BY id LIMIT 1;
		IF d.created_at < wanted THEN
			low := d.id;
		ELSE
			high := middle;
		END IF;
	END LOOP;
	RETURN low;
END $$;
CREATE FUNCTION certs_before(wanted bigint) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
	low bigint := 0;
	high bigint := (SELECT coalesce(max(id), 0) FROM cert);
	middle bigint;
	c record;
BEGIN
	WHILE low < high LOOP
		middle := low + (high - low) / 2;
		SELECT id, issued_at INTO c FROM cert WHERE id > middle
		    ORDER BY id LIMIT 1;
		IF c.issued_at < wanted THEN
			low := c.id;
		ELSE
			high := middle;
		END IF;
	END LOOP;
	RETURN low;
END $$;
