-- Version 5: lists of shards.  The address that a certificate says is of its
-- issuer's list of that shard (RFC 5280 5.2.5).
CREATE TABLE shard (
	issuer TEXT NOT NULL,
	shard INTEGER NOT NULL,
	number INTEGER NOT NULL,
	this_s INTEGER NOT NULL,
	next_s INTEGER NOT NULL,
	der BLOB NOT NULL,
	PRIMARY KEY (issuer, shard)
);

-- What lists show, by shard: an index of cert would be made of all its rows,
-- this of those that are revoked, which another index has already.  shard: -1
-- of an orphan, whose serial alone is known.
CREATE TABLE listed (
	class INTEGER NOT NULL,
	shard INTEGER NOT NULL,
	not_after_s INTEGER NOT NULL,
	cert INTEGER NOT NULL,
	PRIMARY KEY (class, shard, not_after_s, cert)
) WITHOUT ROWID;
INSERT INTO listed SELECT class, CASE state WHEN 5 THEN -1 ELSE shard END,
	not_after_s, id FROM cert INDEXED BY cert_revoked WHERE state >= 3;
CREATE TRIGGER listed_new AFTER INSERT ON cert WHEN new.state >= 3
BEGIN
	INSERT INTO listed VALUES (new.class,
	    CASE new.state WHEN 5 THEN -1 ELSE new.shard END,
	    new.not_after_s, new.id);
END;
CREATE TRIGGER listed_now AFTER UPDATE OF class, state ON cert
	WHEN old.state >= 3 OR new.state >= 3
BEGIN
	DELETE FROM listed WHERE old.state >= 3 AND class = old.class
	    AND shard = CASE old.state WHEN 5 THEN -1 ELSE old.shard END
	    AND not_after_s = old.not_after_s AND cert = old.id;
	INSERT INTO listed SELECT new.class,
	    CASE new.state WHEN 5 THEN -1 ELSE new.shard END,
	    new.not_after_s, new.id WHERE new.state >= 3;
END;
