-- Version 6: who waits for a person does so no longer, in the same step, once
-- it was decided or the certificate is there; a claim can be given back.

-- mask and device: the kind and id of a document that is taken away with it, if
-- there is one, or NULL; authority: whose claim is, or NULL.
ALTER FUNCTION op_doc_put(op) RENAME TO op_doc_put_counted;
CREATE FUNCTION op_doc_put(o op) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
	r outcome := op_doc_put_counted(o);
BEGIN
	IF r.code = 0 AND o.mask IS NOT NULL THEN
		DELETE FROM doc WHERE kind = o.mask AND id = o.device;
	END IF;
	IF r.code = 0 AND o.authority IS NOT NULL THEN
		DELETE FROM claim WHERE authority = o.authority;
	END IF;
	RETURN r;
END $$;

-- The kind after the members' is that of those who wait.
ALTER FUNCTION op_issue(op, bigint) RENAME TO op_issue_in_group;
CREATE FUNCTION op_issue(o op, next bigint) RETURNS outcome
LANGUAGE plpgsql AS $$
DECLARE
	r outcome := op_issue_in_group(o, next);
BEGIN
	IF r.code = 0 AND o.reason IS NOT NULL THEN
		DELETE FROM doc WHERE kind = o.reason + 2 AND id = o.text1 ||
		    '/' || lower(o.device COLLATE "C");
	END IF;
	RETURN r;
END $$;

-- What an IDevID has after a transfer is claimed as "cert:<serial>:2" and so
-- on: its serial number is the first 32 digits.
DO $$
BEGIN
	EXECUTE replace(pg_get_functiondef(
	    'op_issue_alone(op, bigint)'::regprocedure),
	    'substr(o.authority, 6)', 'substr(o.authority, 6, 32)');
END $$;

UPDATE meta SET version = 6;
