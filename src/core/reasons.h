#ifndef MM_CORE_REASONS_H
#define MM_CORE_REASONS_H

/* A reason a device can show; stable text, part of the API. */
#define MM_REASONS(X)                                                       \
	X(MM_R_NONE, "")                                                        \
	X(MM_R_MALFORMED, "malformed-request")                                  \
	X(MM_R_POSSESSION, "possession-not-proved")                             \
	X(MM_R_CREDENTIAL, "credential-refused") /* unknown or wrong: no oracle */ \
	X(MM_R_DOOR, "token-needs-handshake")                                   \
	X(MM_R_NOT_YET, "token-not-yet-valid")                                  \
	X(MM_R_EXPIRED, "token-expired")                                        \
	X(MM_R_CANCELLED, "token-cancelled")                                    \
	X(MM_R_FROZEN, "token-frozen")                                          \
	X(MM_R_OTHER_KEY, "token-used-with-another-key")                        \
	X(MM_R_BOUND_KEY, "token-bound-to-another-key")                         \
	X(MM_R_IN_FLIGHT, "request-in-flight")                                  \
	X(MM_R_CONFIRMED, "already-confirmed")                                  \
	X(MM_R_CERT_UNKNOWN, "certificate-unknown")                             \
	X(MM_R_CERT_REVOKED, "certificate-revoked")                             \
	X(MM_R_CERT_EXPIRED, "certificate-expired")                             \
	X(MM_R_SUPERSEDED, "certificate-superseded")                            \
	X(MM_R_CLONE, "clone-suspected")                                        \
	X(MM_R_IDEVID, "idevid-cannot-renew")                                   \
	X(MM_R_LDEVID, "not-an-idevid")                                         \
	X(MM_R_NAMES, "names-differ-from-certificate")                          \
	X(MM_R_SAME_KEY, "same-key-not-allowed")                                \
	X(MM_R_KEY_TAKEN, "key-certified-for-another-device")                   \
	X(MM_R_KEY_COMPROMISED, "key-revoked-as-compromised")                   \
	X(MM_R_BESIDE, "token-beside-another-devices-certificate")              \
	X(MM_R_KEY_TYPE, "key-type-not-allowed")                                \
	X(MM_R_PROFILE, "profile-not-allowed")                                  \
	X(MM_R_LABEL, "unknown-label")                                          \
	X(MM_R_DEVICE, "device-retired-or-unknown")                             \
	X(MM_R_BINDING, "channel-binding-missing-or-wrong")                     \
	X(MM_R_FIELDED, "device-in-the-field")                                  \
	X(MM_R_NO_BATCH, "batch-missing")                                       \
	X(MM_R_BATCH, "batch-not-open")                                         \
	X(MM_R_BATCH_SERIAL, "device-not-of-the-batch")                         \
	X(MM_R_BATCH_UNIT, "unit-put-aside")                                    \
	X(MM_R_BATCH_SHARE, "station-has-no-share")                             \
	X(MM_R_BATCH_OFFLINE, "batch-made-offline")                             \
	X(MM_R_QUOTA, "quota-gone")                                             \
	X(MM_R_GUESSED, "too-many-wrong-codes")                                 \
	X(MM_R_TOO_MANY, "too-many-replacements")                               \
	X(MM_R_CEILING, "ceiling-reached")                                      \
	X(MM_R_AUTHORISE_NO, "authorise-refused")                               \
	X(MM_R_GROUP_WAITS, "waits-for-approval")                               \
	X(MM_R_GROUP_REFUSED, "approval-refused")                               \
	X(MM_R_GROUP_CLOSED, "group-closed")                                    \
	X(MM_R_GROUP_PAUSED, "group-paused")                                    \
	X(MM_R_GROUP_DEVICE, "device-not-of-the-group")                         \
	X(MM_R_GROUP_FACT, "second-fact-differs")                               \
	X(MM_R_GROUP_KEY, "claimed-with-another-key")                           \
	X(MM_R_GROUP_SUPERSEDED, "old-credential-superseded")                   \
	X(MM_R_GROUP_EXPIRED, "old-credential-expired")                         \
	X(MM_R_GROUP_WEAK, "old-credential-weak")                               \
	X(MM_R_GROUP_REVOKED, "old-credential-revoked")                         \
	X(MM_R_GROUP_QUEUE, "too-many-waiting")                                 \
	X(MM_R_GROUP_LATE, "pairing-ended")                                     \
	X(MM_R_AUTHORISE_AWAY, "authorise-unavailable")                         \
	X(MM_R_UPSTREAM_NAMES, "names-differ-from-record")                      \
	X(MM_R_UPSTREAM_AWAY, "existing-ca-unavailable")                        \
	X(MM_R_UPSTREAM_NO, "existing-ca-gave-none")                            \
	X(MM_R_BUSY, "try-later")

enum mm_reason {
#define X(e, text) e,
	MM_REASONS(X)
#undef X
	MM_REASON_COUNT
};
const char *mm_reason_text(enum mm_reason r);

#endif
