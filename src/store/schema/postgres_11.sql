-- Version 11: a document that is written only where it still says what was read
-- of it: its version may have stayed.

-- other: the hash of what it says now, as a leaf (RFC 9162 2.1.1), or NULL.
ALTER FUNCTION op_doc_put(op) RENAME TO op_doc_put_whatever;
CREATE FUNCTION op_doc_put(o op) RETURNS outcome
LANGUAGE plpgsql AS $$
BEGIN
	IF o.other IS NOT NULL AND NOT EXISTS (SELECT FROM doc
	    WHERE kind = o.state AND id = o.name
	    AND sha256('\x00'::bytea || body) = o.other) THEN
		RETURN refuse(5, o.name || ': has changed');
	END IF;
	RETURN op_doc_put_whatever(o);
END $$;

UPDATE meta SET version = 11;
