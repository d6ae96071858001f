-- Version 3: certificates that their devices have not confirmed, by age.  A
-- certificate leaves this index with its confirmation, so it is as large as
-- there are unconfirmed ones, and issuing writes at each class's end of it.

CREATE INDEX cert_issued ON cert (class, issued_at) WHERE state = 0;
