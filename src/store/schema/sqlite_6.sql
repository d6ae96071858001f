-- Version 6: what a station made, in its order.  Documents of units (kind 13)
-- say whose each is; what is no JSON is nobody's.
CREATE INDEX doc_unit_station ON doc (
	CASE WHEN json_valid(CAST(body AS TEXT))
	    THEN json_extract(CAST(body AS TEXT), '$.station') END, id)
	WHERE kind = 13;
