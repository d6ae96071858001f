#include "core/checks.h"

static const char *const texts[MM_REASON_COUNT] = {
#define X(e, text) [e] = text,
	MM_REASONS(X)
#undef X
};

/* What the caller can do about a reason, and what else it sets off. */
static const struct {
	enum mm_err code;
	unsigned effects;
} meanings[MM_REASON_COUNT] = {
	[MM_R_MALFORMED] = { MM_EINPUT, 0 },
	[MM_R_POSSESSION] = { MM_EINPUT, 0 },
	[MM_R_CREDENTIAL] = { MM_EAUTH, 0 },
	[MM_R_DOOR] = { MM_EPOLICY, 0 },
	[MM_R_NOT_YET] = { MM_EPOLICY, 0 },
	[MM_R_EXPIRED] = { MM_EPOLICY, 0 },
	[MM_R_CANCELLED] = { MM_EPOLICY, 0 },
	[MM_R_FROZEN] = { MM_ECONFLICT, 0 },
	[MM_R_OTHER_KEY] = { MM_ECONFLICT, MM_FX_ALERT },
	[MM_R_BOUND_KEY] = { MM_EPOLICY, MM_FX_ALERT },
	[MM_R_IN_FLIGHT] = { MM_ECONFLICT, 0 },
	[MM_R_CONFIRMED] = { MM_ECONFLICT, 0 },
	[MM_R_CERT_UNKNOWN] = { MM_EPOLICY, MM_FX_ALERT },
	[MM_R_CERT_REVOKED] = { MM_EPOLICY, 0 },
	[MM_R_CERT_EXPIRED] = { MM_EPOLICY, 0 },
	[MM_R_SUPERSEDED] = { MM_EPOLICY, 0 },
	[MM_R_CLONE] = { MM_EPOLICY, MM_FX_ALERT },
	[MM_R_IDEVID] = { MM_EPOLICY, 0 },
	[MM_R_LDEVID] = { MM_EPOLICY, 0 },
	[MM_R_NAMES] = { MM_EPOLICY, 0 },
	[MM_R_SAME_KEY] = { MM_EPOLICY, 0 },
	[MM_R_KEY_TAKEN] = { MM_ECONFLICT, MM_FX_ALERT },
	[MM_R_KEY_COMPROMISED] = { MM_EPOLICY, MM_FX_ALERT },
	[MM_R_BESIDE] = { MM_EPOLICY, 0 },
	[MM_R_KEY_TYPE] = { MM_EPOLICY, 0 },
	[MM_R_PROFILE] = { MM_EPOLICY, 0 },
	[MM_R_LABEL] = { MM_ENOTFOUND, 0 },
	[MM_R_DEVICE] = { MM_EPOLICY, 0 },
	[MM_R_BINDING] = { MM_EPOLICY, 0 },
	[MM_R_FIELDED] = { MM_EPOLICY, MM_FX_ALERT },
	[MM_R_NO_BATCH] = { MM_EPOLICY, 0 },
	[MM_R_BATCH] = { MM_EPOLICY, 0 },
	[MM_R_BATCH_SERIAL] = { MM_EPOLICY, 0 },
	[MM_R_BATCH_UNIT] = { MM_EPOLICY, 0 },
	[MM_R_BATCH_SHARE] = { MM_EPOLICY, 0 },
	[MM_R_BATCH_OFFLINE] = { MM_EPOLICY, 0 },
	[MM_R_QUOTA] = { MM_EPOLICY, 0 },
	[MM_R_GUESSED] = { MM_ERATE, MM_FX_ALERT },
	[MM_R_TOO_MANY] = { MM_ERATE, MM_FX_ALERT },
	[MM_R_CEILING] = { MM_EPOLICY, 0 },
	[MM_R_AUTHORISE_NO] = { MM_EPOLICY, 0 },
	[MM_R_AUTHORISE_AWAY] = { MM_EAGAIN, 0 },
	[MM_R_UPSTREAM_NAMES] = { MM_EPOLICY, 0 },
	[MM_R_UPSTREAM_AWAY] = { MM_EAGAIN, 0 },
	[MM_R_UPSTREAM_NO] = { MM_EAGAIN, 0 },
	[MM_R_GROUP_WAITS] = { MM_EAGAIN, 0 },
	[MM_R_GROUP_REFUSED] = { MM_EPOLICY, 0 },
	[MM_R_GROUP_CLOSED] = { MM_EPOLICY, MM_FX_ALERT },
	[MM_R_GROUP_PAUSED] = { MM_EAGAIN, 0 },
	[MM_R_GROUP_DEVICE] = { MM_EPOLICY, MM_FX_ALERT },
	[MM_R_GROUP_FACT] = { MM_EPOLICY, MM_FX_ALERT },
	[MM_R_GROUP_KEY] = { MM_ECONFLICT, MM_FX_ALERT },
	[MM_R_GROUP_SUPERSEDED] = { MM_EPOLICY, MM_FX_ALERT },
	[MM_R_GROUP_EXPIRED] = { MM_EPOLICY, 0 },
	[MM_R_GROUP_WEAK] = { MM_EPOLICY, 0 },
	[MM_R_GROUP_REVOKED] = { MM_EPOLICY, MM_FX_ALERT },
	[MM_R_GROUP_QUEUE] = { MM_EAGAIN, 0 },
	[MM_R_GROUP_LATE] = { MM_EPOLICY, 0 },
	[MM_R_BUSY] = { MM_EAGAIN, 0 },
};

/* see core.h */
const char *
mm_reason_text(enum mm_reason r)
{
	return r < MM_REASON_COUNT ? texts[r] : "";
}

/* see decide.h */
enum mm_err
mm_reason_code(enum mm_reason r)
{
	return meanings[r].code;
}

/* see checks.h */
unsigned
mm_reason_effects(enum mm_reason r)
{
	return meanings[r].effects;
}
