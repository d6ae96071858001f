-- Version 3.

-- Pages of a class and state, in the order of storing or of expiry.  New rows
-- come at the end of their class, so that an index has as many pages that
-- change as there are classes in production; one by segments made a reader
-- go through all segments for what is rare.
DROP INDEX cert_place;
CREATE INDEX cert_class ON cert (class, state);
CREATE INDEX cert_expiry ON cert (class, state, not_after_s);
DROP INDEX token_place;
CREATE INDEX token_class ON token (class, state);
