-- Version 10: the batches of a product, in their order.  Documents of batches
-- (kind 9) have it in their order, which is a JSON text within JSON; quotes of
-- any other text in it have more backslashes before them.
CREATE FUNCTION product_of(body bytea) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT substring(encode(body, 'escape') FROM
	    '"order":"mintmark-order/.*?\\\\"product\\\\":\\\\"([^"\\]*)\\\\"')
$$;
CREATE INDEX doc_batch_product ON doc ((product_of(body)) COLLATE "C", id)
	WHERE kind = 9;

-- What an operation calls for each row, in the language whose plans a session
-- keeps: in SQL each call was read and planned anew, which was most of the time
-- of a device with an indexed attribute.
CREATE OR REPLACE FUNCTION index_devices(ids bigint[], indexed text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO attribute
	SELECT d.id, e.key, number_of(e.value),
	    CASE jsonb_typeof(e.value) WHEN 'string'
		THEN e.value #>> '{}' END
	FROM unnest(ids) AS i(id) JOIN device d ON d.id = i.id
	    CROSS JOIN LATERAL jsonb_each(d.attributes::jsonb) e
	WHERE jsonb_typeof(e.value) IN ('string', 'number', 'boolean')
	    AND octet_length(e.value #>> '{}') <= 256
	    AND indexed::jsonb ? e.key;
END $$;
CREATE OR REPLACE FUNCTION schema_is(product text, wanted bigint)
RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
	have bigint;
BEGIN
	SELECT version INTO have FROM doc WHERE kind = 0 AND id = product;
	RETURN coalesce(have, 0) = wanted;
END $$;
CREATE OR REPLACE FUNCTION count_of(counted text) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
	have bigint;
BEGIN
	SELECT version INTO have FROM doc WHERE kind = 14 AND id = counted;
	RETURN coalesce(have, 0);
END $$;
CREATE OR REPLACE FUNCTION count_up(counted text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO doc VALUES (14, counted, 1, '{}')
	    ON CONFLICT (kind, id) DO UPDATE SET version = doc.version + 1;
END $$;

UPDATE meta SET version = 10;
