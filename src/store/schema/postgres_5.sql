-- Version 5: certificates count in a group, as they do in a batch.

-- reason: the kind of the group's document (enum mm_doc_kind), the next kind
-- being its members'; text1: the group; from_at: the version of its document,
-- to_at: how many it may have; text2: what the member's document says.
ALTER FUNCTION op_issue(op, bigint) RENAME TO op_issue_in_batch;
CREATE FUNCTION op_issue(o op, next bigint) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
	r outcome;
	counted text := 'group:' || o.text1;
BEGIN
	IF o.reason IS NULL THEN
		RETURN op_issue_in_batch(o, next);
	END IF;
	IF o.from_at IS DISTINCT FROM (SELECT version FROM doc
	    WHERE kind = o.reason AND id = o.text1) THEN
		RETURN refuse(1, 'group ' || o.text1 || ': has changed');
	ELSIF count_of(counted) >= o.to_at THEN
		RETURN refuse(1, 'batch ' || counted || ': its quota is gone');
	END IF;
	r := op_issue_alone(o, next);
	IF r.code > 0 THEN
		RETURN r;
	END IF;
	PERFORM count_up(counted);
	INSERT INTO doc VALUES (o.reason + 1, o.text1 || '/' ||
	    lower(o.device COLLATE "C"), 1, convert_to(o.text2, 'UTF8'))
	    ON CONFLICT (kind, id) DO UPDATE
	    SET version = doc.version + 1, body = excluded.body;
	RETURN r;
END $$;

UPDATE meta SET version = 5;
