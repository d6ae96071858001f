-- Version 4: the salt of the hash of a device's attributes that its newest
-- entry has.  It is here alone: without it the hash says nothing.  Rows of
-- before have none: their entries have the hash of the attributes alone.
ALTER TABLE device ADD COLUMN salt BLOB;
