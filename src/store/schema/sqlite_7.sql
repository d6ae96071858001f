-- Version 7: the batches of a product, in their order.  Documents of batches
-- (kind 9) have it in their order, which is a text of a line and an object;
-- what is no such text is no product's.
CREATE INDEX doc_batch_product ON doc (
	CASE WHEN json_valid(CAST(body AS TEXT)) THEN
	    CASE WHEN json_valid(substr(
		json_extract(CAST(body AS TEXT), '$.plan.order'), 18)) THEN
	    json_extract(substr(
		json_extract(CAST(body AS TEXT), '$.plan.order'), 18),
		'$.product') END END, id)
	WHERE kind = 9;
