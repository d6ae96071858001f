-- Version 9: what a station made, in its order.  Documents of units (kind 13)
-- say whose each is; a station's name has no letter that JSON escapes.
CREATE FUNCTION station_of(body bytea) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT substring(encode(body, 'escape') FROM '"station":"([^"]*)"')
$$;
CREATE INDEX doc_unit_station ON doc ((station_of(body)) COLLATE "C", id)
	WHERE kind = 13;

UPDATE meta SET version = 9;
