#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/decide.h"
#include "work/order.h"

/*
 * The policy, row by row: facts in, verdict out.  Each row starts from facts
 * under which its request is granted and spoils one thing.
 */
#define NOW_MS  INT64_C(1800000000000)
#define DAY_MS  INT64_C(86400000)
#define PAIRING_S 900

static struct mm_profile profiles[4] = {
	{ .name = "ld", .version = 1, .kind = MM_PROFILE_LDEVID,
	    .issuer = "ca", .keys = { 1, { "p256" } }, .bearer = true,
	    .serverkeygen = true },
	{ .name = "id", .version = 2, .kind = MM_PROFILE_IDEVID,
	    .issuer = "ca", .keys = { 1, { "p256" } } },
	{ .name = "xx", .version = 1, .issuer = "ca",
	    .keys = { 1, { "p384" } } },
	{ .name = "tx", .version = 1, .issuer = "ca",
	    .keys = { 1, { "p256" } }, .require_tls_exporter = true },
};
static struct mm_config config = { .profile = profiles, .nprofile = 4,
	.set.pairing_s = PAIRING_S };

/* id[0] 0x81: a test token */
static const char test_id[] = "mm1-G4000000000000000000";
static const char live_id[] = "mm1-04000000000000000000";

static struct mm_facts
granted(enum mm_authority_kind a, enum mm_job_kind k)
{
	struct mm_facts f = { .now_ms = NOW_MS, .config = &config,
		.authority = a, .job = k, .label = "", .proved = true,
		.key_type = MM_KEY_P256, .has_device = true,
		.has_product = true };

	memset(f.spki, 1, 32);
	strcpy(f.claim_name, "it");
	strcpy(f.device.id, "SN-1");
	strcpy(f.device.product, "p");
	strcpy(f.product.name, "p");
	strcpy(f.product.ldevid_profile, "ld");
	strcpy(f.product.idevid_profile, "id");
	if (a == MM_AUTH_TOKEN_PSK || a == MM_AUTH_TOKEN_BASIC) {
		f.has_token = true;
		strcpy(f.token.id, test_id);
		strcpy(f.token.device, "SN-1");
		strcpy(f.token.product, "p");
		f.token.bearer = true;
		f.token.not_before_at = NOW_MS - DAY_MS;
		f.token.expires_at = NOW_MS + DAY_MS;
	}
	if (a == MM_AUTH_BOOTSTRAP) {
		f.group.known = f.group.of_it = f.group.bound = true;
		strcpy(f.group.id, "g");
		strcpy(f.group.device, "SN-1");
		strcpy(f.group.product, "p");
		f.group.state = MM_WORK_OPEN;
		f.group.version = 7;
		f.group.until_ms = NOW_MS + DAY_MS;
		f.group.most = 10;
	}
	if (a == MM_AUTH_DEVICE) {
		f.has_cert = true;
		f.cert.idevid = k == MM_JOB_ENROL || k == MM_JOB_KEYGEN;
		f.cert.state = MM_CERT_CONFIRMED;
		memset(f.cert.serial, 9, 16);
		memset(f.cert.spki_sha256, 9, 32);
		strcpy(f.cert.device, "SN-1");
		strcpy(f.cert.product, "p");
		strcpy(f.cert.issuer, "ca");
		strcpy(f.cert.profile, "ld@1");
		strcpy(f.cert_cn, "SN-1");
		strcpy(f.cert_serial_number, "SN-1");
		f.cert.not_after_s = NOW_MS / 1000 + 86400;
	}
	return f;
}

static const struct {
	enum mm_authority_kind a;
	enum mm_job_kind k;
	enum mm_act want;
} cells[] = {
	{ MM_AUTH_TOKEN_PSK, MM_JOB_ENROL, MM_ACT_ISSUE },
	{ MM_AUTH_TOKEN_PSK, MM_JOB_KEYGEN, MM_ACT_ISSUE },
	{ MM_AUTH_TOKEN_BASIC, MM_JOB_ENROL, MM_ACT_ISSUE },
	{ MM_AUTH_TOKEN_BASIC, MM_JOB_KEYGEN, MM_ACT_ISSUE },
	{ MM_AUTH_DEVICE, MM_JOB_ENROL, MM_ACT_ISSUE },
	{ MM_AUTH_DEVICE, MM_JOB_KEYGEN, MM_ACT_ISSUE },
	{ MM_AUTH_DEVICE, MM_JOB_REENROL, MM_ACT_ISSUE },
	{ MM_AUTH_DEVICE, MM_JOB_CONFIRM, MM_ACT_DONE },
	{ MM_AUTH_DEVICE, MM_JOB_ASK, MM_ACT_DONE },
	{ MM_AUTH_OPERATOR, MM_JOB_ENROL, MM_ACT_ISSUE },
	{ MM_AUTH_OPERATOR, MM_JOB_KEYGEN, MM_ACT_ISSUE },
	{ MM_AUTH_BOOTSTRAP, MM_JOB_ENROL, MM_ACT_ISSUE },
};

static enum mm_act
wanted(unsigned a, unsigned k)
{
	for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++)
		if (cells[i].a == a && cells[i].k == k)
			return cells[i].want;
	return MM_ACT_REFUSE;
}

/* Every kind of authority times every kind of job; one kind too many each. */
static void
all_pairs(void **state)
{
	(void)state;
	for (unsigned a = 0; a <= MM_AUTH_KINDS; a++)
		for (unsigned k = 0; k <= MM_JOB_ASK + 1; k++) {
			struct mm_facts f = granted(a, k);
			struct mm_verdict v;

			mm_decide(&f, &v);
			if (v.act != wanted(a, k))
				fail_msg("authority %u, job %u: act %d, "
				    "reason %s", a, k, (int)v.act,
				    mm_reason_text(v.reason));
		}
}

/* ---- spoilers ---- */

typedef void spoil_fn(struct mm_facts *f);

#define SPOIL(name, ...)              \
	static void                   \
	name(struct mm_facts *f)      \
	{                             \
		__VA_ARGS__;          \
	}

SPOIL(unknown_token, f->has_token = false)
SPOIL(not_proved, f->proved = false)
SPOIL(beside, f->beside_other = true)
SPOIL(production_token, strcpy(f->token.id, live_id))
SPOIL(no_door, f->token.bearer = false)
SPOIL(too_early, f->token.not_before_at = NOW_MS + 1)
SPOIL(too_late, f->token.expires_at = NOW_MS)
SPOIL(noticed_late, f->token.state = MM_TOKEN_EXPIRED)
SPOIL(cancelled, f->token.state = MM_TOKEN_CANCELLED)
SPOIL(frozen, f->token.state = MM_TOKEN_FROZEN)
SPOIL(bound, memset(f->token.bound_spki, 5, 32))
SPOIL(device_bound, memset(f->device.bound_spki, 5, 32))
SPOIL(device_bound_right, memset(f->device.bound_spki, 1, 32))
SPOIL(no_device, f->has_device = false)
SPOIL(no_product, f->has_product = false)
SPOIL(retired, f->device.state = MM_DEVICE_RETIRED)
SPOIL(other_product, strcpy(f->token.product, "q"))
SPOIL(no_label, f->label = "nothing")
SPOIL(other_label, f->label = "xx")
SPOIL(own_label, f->label = "ld")
SPOIL(idevid_label, f->label = "id")
SPOIL(idevid_token, f->label = "id"; strcpy(f->token.profile, "id"))
SPOIL(pinned_token, f->label = "ld"; strcpy(f->token.profile, "id"))
SPOIL(wrong_type, f->key_type = MM_KEY_P384)
SPOIL(key_taken, strcpy(f->key_device, "SN-2"))
SPOIL(key_own, strcpy(f->key_device, "sn-1"))
SPOIL(key_stolen, f->key_compromised = true)
SPOIL(bad_binding, f->binding_wrong = true)
SPOIL(cert_unknown, f->has_cert = false)
SPOIL(cert_forged, f->cert_sha256[0] = 1)
SPOIL(cert_other_kind, f->cert.idevid = !f->cert.idevid)
SPOIL(cert_revoked, f->cert.state = MM_CERT_REVOKED)
SPOIL(cert_held, f->cert.state = MM_CERT_HELD)
SPOIL(cert_superseded, f->cert.state = MM_CERT_SUPERSEDED)
SPOIL(cert_issued, f->cert.state = MM_CERT_ISSUED)
SPOIL(before_held, f->cert.state = MM_CERT_ISSUED;
    f->predecessor_state = MM_CERT_HELD; f->predecessor_reason = 6)
SPOIL(before_revoked, f->cert.state = MM_CERT_ISSUED;
    f->predecessor_state = MM_CERT_REVOKED; f->predecessor_reason = 1)
SPOIL(before_superseded, before_revoked(f); f->predecessor_reason = 4)
SPOIL(before_confirmed, before_revoked(f);
    f->cert.state = MM_CERT_CONFIRMED)
SPOIL(cert_expired, f->expired = true;
    f->cert.not_after_s = NOW_MS / 1000 - 10)
SPOIL(idevid_expired, cert_expired(f); f->cert.idevid = true)
SPOIL(long_expired, cert_expired(f); f->cert.not_after_s -= 1000000)
SPOIL(expired_unproved, cert_expired(f); f->cert.state = MM_CERT_ISSUED)
SPOIL(expired_not_newest, cert_expired(f); f->has_newest = true;
    f->newest.state = MM_CERT_CONFIRMED; f->newest.issued_at = 5)
SPOIL(name_differs, strcpy(f->cn, "SN-2"))
SPOIL(number_differs, strcpy(f->serial_number, "SN-2"))
SPOIL(names_agree, strcpy(f->cn, "SN-1"); strcpy(f->serial_number, "SN-1"))
SPOIL(same_key, memset(f->spki, 9, 32))

SPOIL(on_the_line, f->line = true)
SPOIL(in_the_field, f->fielded = true)
SPOIL(line_in_the_field, f->line = f->fielded = true)

/* A claim was made with this or another key. */
static void
claimed(struct mm_facts *f, bool same, enum mm_cert_state s)
{
	f->has_claim = f->has_claimed = true;
	memset(f->claim.spki_sha256, same ? 1 : 2, 32);
	memset(f->claimed.serial, 3, 16);
	strcpy(f->claimed.device, "SN-1");
	strcpy(f->claimed.issuer, "ca");
	f->claimed.state = s;
	f->claimed.issued_at = NOW_MS - DAY_MS;
	if (s == MM_CERT_CONFIRMED || s == MM_CERT_SUPERSEDED)
		f->claimed.confirmed_at = NOW_MS - 1;
	if (f->has_token)
		f->token.state = MM_TOKEN_ISSUED;
}
SPOIL(again, claimed(f, true, MM_CERT_ISSUED))
SPOIL(again_late, again(f); f->token.expires_at = NOW_MS - 1)
SPOIL(again_frozen, again(f); f->token.state = MM_TOKEN_FROZEN)
SPOIL(again_cancelled, again(f); f->token.state = MM_TOKEN_CANCELLED)
SPOIL(again_confirmed, claimed(f, true, MM_CERT_CONFIRMED))
SPOIL(again_revoked, claimed(f, true, MM_CERT_REVOKED))
SPOIL(again_at_issue, again_confirmed(f);
    f->claimed.confirmed_at = f->claimed.issued_at)
SPOIL(again_at_issue_late, again_at_issue(f); f->now_ms += 8 * DAY_MS)
SPOIL(other, claimed(f, false, MM_CERT_ISSUED))
SPOIL(other_frozen, other(f); f->token.state = MM_TOKEN_FROZEN)
SPOIL(other_confirmed, claimed(f, false, MM_CERT_CONFIRMED))
SPOIL(other_revoked, claimed(f, false, MM_CERT_REVOKED))
SPOIL(other_often, other(f); f->claim.replaced = 3;
    f->claim.replaced_at = NOW_MS - 1)
SPOIL(paced, f->paced = true)
SPOIL(again_paced, again(f); f->paced = true)
SPOIL(other_long_ago, other(f); f->claim.replaced = 3;
    f->claim.replaced_at = NOW_MS - DAY_MS)

/* Its certificate went with its year; the same key or not, nobody knows. */
SPOIL(gone, other(f); f->has_claimed = false;
    memset(&f->claim, 0, sizeof(f->claim));
    memset(&f->claimed, 0, sizeof(f->claimed)))

SPOIL(again_unbound, again(f); f->binding_wrong = true)
SPOIL(again_stolen, again(f); f->key_compromised = true)
SPOIL(again_no_exporter, again(f); strcpy(f->claimed.profile, "tx@1");
    f->label = "ld")
SPOIL(again_exporter, again_no_exporter(f); f->binding_ok = true)

#define PSK   MM_AUTH_TOKEN_PSK
#define BASIC MM_AUTH_TOKEN_BASIC
#define CERT  MM_AUTH_DEVICE
#define OPER  MM_AUTH_OPERATOR
#define ENROL MM_JOB_ENROL
#define RENEW MM_JOB_REENROL
#define PROOF MM_JOB_CONFIRM
#define WHEN MM_JOB_ASK
#define KEYS  MM_JOB_KEYGEN

/* ---- batches ---- */

static const struct mm_work_profile batch_profiles[] = { { "ld", 1,
    { 0 } } };
static const struct mm_work_profile older_profiles[] = { { "ld", 2,
    { 0 } } };
static const struct mm_work_order batch_order = { .product = "p",
	.not_before_ms = NOW_MS, .until_ms = NOW_MS + 1,
	.profiles = batch_profiles, .profiles_n = 1 };
static const struct mm_work_order batch_early = { .product = "p",
	.not_before_ms = NOW_MS + 1, .until_ms = NOW_MS + 2 };
static const struct mm_work_order batch_late = { .product = "p",
	.not_before_ms = NOW_MS - 1, .until_ms = NOW_MS };
static const struct mm_work_order batch_valve = { .product = "valve",
	.not_before_ms = NOW_MS, .until_ms = NOW_MS + 1 };
static const struct mm_work_order batch_older = { .product = "p",
	.not_before_ms = NOW_MS, .until_ms = NOW_MS + 1,
	.profiles = older_profiles, .profiles_n = 1 };

/* Nine of ten are made, one of the station's two. */
static void
in_batch(struct mm_facts *f)
{
	f->batch = (struct mm_batch_facts){ .name = "b7", .station = "l1",
		.found = true, .order = &batch_order, .state = MM_WORK_OPEN,
		.version = 3, .has_serial = true, .has_share = true,
		.shared = true, .made = 9, .most = 10, .station_made = 1,
		.station_most = 2 };
}

#define BATCH(name, what)                \
	static void                      \
	name(struct mm_facts *f)         \
	{                                \
		in_batch(f);             \
		what;                    \
	}
BATCH(no_batch, f->batch.name[0] = '\0')
BATCH(batch_unknown, f->batch.found = false)
BATCH(batch_paused, f->batch.state = MM_WORK_PAUSED)
BATCH(batch_closed, f->batch.state = MM_WORK_CLOSED)
BATCH(batch_other_serial, f->batch.has_serial = false)
BATCH(batch_put_aside, f->batch.quarantined = true)
BATCH(batch_other_product, f->batch.order = &batch_valve)
BATCH(batch_too_early, f->batch.order = &batch_early)
BATCH(batch_too_late, f->batch.order = &batch_late)
BATCH(batch_other_profile, f->batch.order = &batch_older)
BATCH(batch_no_share, f->batch.has_share = false)
BATCH(batch_pool, f->batch.has_share = f->batch.shared = false)
BATCH(batch_offline, f->batch.offline = true)
BATCH(batch_full, f->batch.made = 10)
BATCH(share_full, f->batch.station_made = 2)

static void
batch_full_again(struct mm_facts *f)
{
	batch_full(f);
	again(f);
}

/* ---- groups ---- */

#define GROUP MM_AUTH_BOOTSTRAP
#define HELD(m, key, s) ((m)->state = (s), memset((m)->spki, (key), 32))
SPOIL(group_none, f->group.known = f->group.of_it = false)
SPOIL(group_other, f->group.of_it = false)
SPOIL(group_paused, f->group.state = MM_WORK_PAUSED)
SPOIL(group_closed, f->group.state = MM_WORK_CLOSED)
SPOIL(group_over, f->now_ms = f->group.until_ms)
SPOIL(group_halted, f->group.halted = true)
SPOIL(group_expired, f->group.expired = true)
SPOIL(group_lenient, group_expired(f); f->group.accepts_expired = true)
SPOIL(group_weak, f->group.weak = true)
SPOIL(group_differs, f->group.differs = true)
SPOIL(group_foreign, f->group.differs = f->group.foreign = true)
SPOIL(group_full, f->group.made = 10)
SPOIL(group_fielded, f->group.fielded = true)
SPOIL(group_makes, f->group.makes = true)
SPOIL(group_product, strcpy(f->device.product, "q"))
SPOIL(group_pinned, strcpy(f->group.profile, "xx"))
SPOIL(group_shared, f->group.bound = false)
SPOIL(group_queue, group_shared(f); f->group.queue_full = true)
SPOIL(group_waiting, group_shared(f); f->group.waits = true;
    memset(f->group.waiting_spki, 1, 32))
SPOIL(group_waiting_full, group_waiting(f); f->group.queue_full = true)
SPOIL(group_other_waits, group_waiting(f);
    memset(f->group.waiting_spki, 2, 32))
SPOIL(group_other_waits_again, group_other_waits(f);
    f->group.conflict_known = true)
SPOIL(group_approved, group_shared(f);
    HELD(&f->group.member, 1, MM_MEMBER_APPROVED))
SPOIL(group_other_approved, group_shared(f);
    HELD(&f->group.member, 2, MM_MEMBER_APPROVED))
SPOIL(group_refused, group_shared(f);
    HELD(&f->group.member, 1, MM_MEMBER_REFUSED))
SPOIL(group_other_refused, group_shared(f);
    HELD(&f->group.member, 2, MM_MEMBER_REFUSED))
SPOIL(group_shared_full, group_shared(f); f->group.made = 10)
SPOIL(group_again_closed, again(f); group_closed(f); group_full(f))

SPOIL(group_pairs, f->group.pairs = true)
SPOIL(group_pairs_waits, group_waiting(f); group_pairs(f);
    f->group.waiting_at = f->now_ms - 1)
SPOIL(group_pairs_other, group_pairs_waits(f);
    memset(f->group.waiting_spki, 2, 32))
SPOIL(group_pairs_late, group_pairs_waits(f);
    f->now_ms = f->group.waiting_at + PAIRING_S * 1000)
SPOIL(group_pairs_late_full, group_pairs_late(f); f->group.queue_full = true;
    memset(f->group.waiting_spki, 2, 32))
SPOIL(group_pairs_late_crowded, group_pairs_late_full(f);
    f->group.crowded = true)
SPOIL(group_pairs_crowded, group_pairs(f); f->group.crowded = true)
SPOIL(group_pairs_waits_crowded, group_pairs_waits(f); f->group.crowded = true)
SPOIL(group_pairs_approved, group_approved(f); group_pairs(f))
SPOIL(group_pairs_differs, group_pairs(f); group_differs(f))
SPOIL(group_basic, f->group.basic = true)
SPOIL(group_basic_wrong, group_basic(f); f->proved = false)
SPOIL(group_revoked, f->group.revoked = true)
SPOIL(group_other_weak, other(f); group_weak(f))
SPOIL(group_other_expired, other(f); group_expired(f))
SPOIL(group_other_revoked, other_confirmed(f); group_revoked(f))
SPOIL(group_other_closed, other(f); group_closed(f))

static const struct row {
	const char *what;
	enum mm_authority_kind a;
	enum mm_job_kind k;
	spoil_fn *spoil;
	enum mm_reason want;    /* MM_R_NONE: act counts */
	enum mm_act act;
	unsigned effects;
} rows[] = {
#define NO(reason) (reason), MM_ACT_REFUSE, 0
#define ALERT(reason) (reason), MM_ACT_REFUSE, MM_FX_ALERT
#define YES MM_R_NONE, MM_ACT_ISSUE, 0
#define OLD MM_R_NONE, MM_ACT_REPLAY, 0
	{ "unknown token", PSK, ENROL, unknown_token, NO(MM_R_CREDENTIAL) },
	{ "unknown, Basic", BASIC, ENROL, unknown_token,
	    NO(MM_R_CREDENTIAL) },
	{ "wrong secret", BASIC, ENROL, not_proved, NO(MM_R_CREDENTIAL) },
	{ "beside another's certificate", BASIC, ENROL, beside,
	    NO(MM_R_BESIDE) },
	{ "token of the other world", PSK, ENROL, production_token,
	    NO(MM_R_CREDENTIAL) },
	{ "needs handshake", BASIC, ENROL, no_door, NO(MM_R_DOOR) },
	{ "handshake has no door", PSK, ENROL, no_door, YES },
	{ "not yet", PSK, ENROL, too_early, NO(MM_R_NOT_YET) },
	{ "expired", PSK, ENROL, too_late, MM_R_EXPIRED, MM_ACT_REFUSE,
	    MM_FX_EXPIRE },
	{ "expired, noted", PSK, ENROL, noticed_late, NO(MM_R_EXPIRED) },
	{ "cancelled", PSK, ENROL, cancelled, NO(MM_R_CANCELLED) },
	{ "frozen", PSK, ENROL, frozen, NO(MM_R_FROZEN) },
	{ "bound token", PSK, ENROL, bound, ALERT(MM_R_BOUND_KEY) },
	{ "bound device", PSK, ENROL, device_bound, ALERT(MM_R_BOUND_KEY) },
	{ "bound to this", PSK, ENROL, device_bound_right, YES },
	{ "bound, keygen", PSK, KEYS, device_bound_right,
	    ALERT(MM_R_BOUND_KEY) },
	{ "no device", PSK, ENROL, no_device, NO(MM_R_DEVICE) },
	{ "no product", PSK, ENROL, no_product, NO(MM_R_DEVICE) },
	{ "retired", PSK, ENROL, retired, NO(MM_R_DEVICE) },
	{ "other product", PSK, ENROL, other_product, NO(MM_R_DEVICE) },
	{ "no such label", PSK, ENROL, no_label, NO(MM_R_LABEL) },
	{ "other label", PSK, ENROL, other_label, NO(MM_R_PROFILE) },
	{ "own label", PSK, ENROL, own_label, YES },
	{ "IDevID label", PSK, ENROL, idevid_label, NO(MM_R_PROFILE) },
	{ "IDevID token", PSK, ENROL, idevid_token, YES },
	{ "pinned token", PSK, ENROL, pinned_token, NO(MM_R_PROFILE) },
	{ "key type", PSK, ENROL, wrong_type, NO(MM_R_KEY_TYPE) },
	{ "key taken", PSK, ENROL, key_taken, ALERT(MM_R_KEY_TAKEN) },
	{ "compromised key", PSK, ENROL, key_stolen,
	    ALERT(MM_R_KEY_COMPROMISED) },
	{ "compromised, other key made", PSK, KEYS, key_stolen, YES },
	{ "renewal, compromised key", CERT, RENEW, key_stolen,
	    ALERT(MM_R_KEY_COMPROMISED) },
	{ "own key", PSK, ENROL, key_own, YES },
	{ "binding", PSK, ENROL, bad_binding, NO(MM_R_BINDING) },

	{ "same again", PSK, ENROL, again, OLD },
	{ "same again, Basic", BASIC, ENROL, again, OLD },
	{ "same again, bound elsewhere", PSK, ENROL, again_unbound,
	    NO(MM_R_BINDING) },
	{ "same again, no exporter", PSK, ENROL, again_no_exporter,
	    NO(MM_R_BINDING) },
	{ "same again, with exporter", PSK, ENROL, again_exporter, OLD },
	{ "same again, compromised", PSK, ENROL, again_stolen,
	    ALERT(MM_R_KEY_COMPROMISED) },
	{ "renewal again, bound elsewhere", CERT, RENEW, again_unbound,
	    NO(MM_R_BINDING) },
	{ "operator, again, bound elsewhere", OPER, ENROL, again_unbound,
	    NO(MM_R_BINDING) },
	{ "after expiry", PSK, ENROL, again_late, OLD },
	{ "while frozen", PSK, ENROL, again_frozen, OLD },
	{ "when cancelled", PSK, ENROL, again_cancelled,
	    NO(MM_R_CANCELLED) },
	{ "after confirm", PSK, ENROL, again_confirmed, NO(MM_R_CONFIRMED) },
	{ "after revocation", PSK, ENROL, again_revoked,
	    NO(MM_R_CERT_REVOKED) },
	{ "confirm = issue", PSK, ENROL, again_at_issue, OLD },
	{ "eight days on", PSK, ENROL, again_at_issue_late,
	    NO(MM_R_CONFIRMED) },
	{ "other key", PSK, ENROL, other, MM_R_OTHER_KEY, MM_ACT_REFUSE,
	    MM_FX_ALERT | MM_FX_FREEZE },
	{ "other key, frozen", PSK, ENROL, other_frozen,
	    ALERT(MM_R_OTHER_KEY) },
	{ "record gone", PSK, ENROL, gone, NO(MM_R_CONFIRMED) },
	{ "record gone, Basic", BASIC, ENROL, gone, NO(MM_R_CONFIRMED) },
	{ "record gone, keygen", PSK, KEYS, gone, NO(MM_R_CONFIRMED) },

#define CLASH(reason) (reason), MM_ACT_REFUSE, MM_FX_ALERT | MM_FX_CONFLICT
	{ "old, of no group", GROUP, ENROL, group_none, NO(MM_R_CREDENTIAL) },
	{ "old, another device", GROUP, ENROL, group_other,
	    ALERT(MM_R_GROUP_DEVICE) },
	{ "old, paused", GROUP, ENROL, group_paused, NO(MM_R_GROUP_PAUSED) },
	{ "old, halted", GROUP, ENROL, group_halted, NO(MM_R_GROUP_PAUSED) },
	{ "old, closed", GROUP, ENROL, group_closed,
	    ALERT(MM_R_GROUP_CLOSED) },
	{ "old, past the end", GROUP, ENROL, group_over,
	    ALERT(MM_R_GROUP_CLOSED) },
	{ "old, expired", GROUP, ENROL, group_expired,
	    NO(MM_R_GROUP_EXPIRED) },
	{ "old, expired, lenient", GROUP, ENROL, group_lenient, YES },
	{ "old, weak", GROUP, ENROL, group_weak, NO(MM_R_GROUP_WEAK) },
	{ "old, revoked", GROUP, ENROL, group_revoked,
	    ALERT(MM_R_GROUP_REVOKED) },
#define WAITS MM_R_GROUP_WAITS, MM_ACT_REFUSE, MM_FX_WAIT
	{ "nothing, a fact holds", GROUP, ENROL, group_pairs, WAITS },
	{ "nothing, waits", GROUP, ENROL, group_pairs_waits,
	    NO(MM_R_GROUP_WAITS) },
	{ "nothing, another waits", GROUP, ENROL, group_pairs_other,
	    ALERT(MM_R_GROUP_KEY) },
	{ "nothing, too late", GROUP, ENROL, group_pairs_late,
	    NO(MM_R_GROUP_LATE) },
	{ "nothing, another was too late", GROUP, ENROL,
	    group_pairs_late_full, WAITS },
	{ "nothing, late, its address has enough", GROUP, ENROL,
	    group_pairs_late_crowded, NO(MM_R_GROUP_QUEUE) },
	{ "nothing, its address has enough", GROUP, ENROL,
	    group_pairs_crowded, NO(MM_R_GROUP_QUEUE) },
	{ "nothing, waits, its address has enough", GROUP, ENROL,
	    group_pairs_waits_crowded, NO(MM_R_GROUP_WAITS) },
	{ "nothing, approved", GROUP, ENROL, group_pairs_approved, YES },
	{ "nothing, a fact differs", GROUP, ENROL, group_pairs_differs,
	    ALERT(MM_R_GROUP_FACT) },
	{ "secret, in a header", GROUP, ENROL, group_basic, NO(MM_R_DOOR) },
	{ "secret, wrong", GROUP, ENROL, group_basic_wrong,
	    NO(MM_R_CREDENTIAL) },
	{ "old, a fact differs", GROUP, ENROL, group_differs,
	    CLASH(MM_R_GROUP_FACT) },
	{ "old, another row's certificate", GROUP, ENROL, group_foreign,
	    ALERT(MM_R_GROUP_FACT) },
	{ "old, full", GROUP, ENROL, group_full, NO(MM_R_QUOTA) },
	{ "old, in the field", GROUP, ENROL, group_fielded,
	    ALERT(MM_R_GROUP_SUPERSEDED) },
	{ "old, not registered", GROUP, ENROL, group_makes, MM_R_NONE,
	    MM_ACT_ISSUE, MM_FX_MAKE },
	{ "old, retired", GROUP, ENROL, retired, NO(MM_R_DEVICE) },
	{ "old, other product", GROUP, ENROL, group_product,
	    NO(MM_R_DEVICE) },
	{ "old, other profile", GROUP, ENROL, group_pinned,
	    NO(MM_R_KEY_TYPE) },
	{ "old, other label", GROUP, ENROL, other_label, NO(MM_R_PROFILE) },
	{ "old, key taken", GROUP, ENROL, key_taken, ALERT(MM_R_KEY_TAKEN) },
	{ "old, bound elsewhere", GROUP, ENROL, bad_binding,
	    NO(MM_R_BINDING) },
	{ "shared", GROUP, ENROL, group_shared, MM_R_GROUP_WAITS,
	    MM_ACT_REFUSE, MM_FX_WAIT },
	{ "shared, full", GROUP, ENROL, group_shared_full, NO(MM_R_QUOTA) },
	{ "shared, queue full", GROUP, ENROL, group_queue,
	    NO(MM_R_GROUP_QUEUE) },
	{ "shared, waits", GROUP, ENROL, group_waiting,
	    NO(MM_R_GROUP_WAITS) },
	{ "shared, waits, queue full", GROUP, ENROL, group_waiting_full,
	    NO(MM_R_GROUP_WAITS) },
	{ "shared, another waits", GROUP, ENROL, group_other_waits,
	    CLASH(MM_R_GROUP_KEY) },
	{ "shared, known to clash", GROUP, ENROL, group_other_waits_again,
	    ALERT(MM_R_GROUP_KEY) },
	{ "shared, approved", GROUP, ENROL, group_approved, YES },
	{ "shared, another approved", GROUP, ENROL, group_other_approved,
	    CLASH(MM_R_GROUP_KEY) },
	{ "shared, refused", GROUP, ENROL, group_refused,
	    NO(MM_R_GROUP_REFUSED) },
	{ "shared, another refused", GROUP, ENROL, group_other_refused,
	    MM_R_GROUP_WAITS, MM_ACT_REFUSE, MM_FX_WAIT },
	{ "old, again", GROUP, ENROL, again, OLD },
	{ "old, again, closed and full", GROUP, ENROL, group_again_closed,
	    OLD },
	{ "old, again, over", GROUP, ENROL, again_confirmed,
	    NO(MM_R_CONFIRMED) },
	{ "old, again, revoked", GROUP, ENROL, again_revoked,
	    NO(MM_R_CERT_REVOKED) },
	{ "old, other key", GROUP, ENROL, other, CLASH(MM_R_GROUP_KEY) },
	{ "old, other key, over", GROUP, ENROL, other_confirmed,
	    CLASH(MM_R_GROUP_SUPERSEDED) },
	/* what could not come at all is no conflict */
	{ "old, other key, weak", GROUP, ENROL, group_other_weak,
	    ALERT(MM_R_GROUP_KEY) },
	{ "old, other key, expired", GROUP, ENROL, group_other_expired,
	    ALERT(MM_R_GROUP_KEY) },
	{ "old, other key, revoked", GROUP, ENROL, group_other_revoked,
	    ALERT(MM_R_GROUP_SUPERSEDED) },
	{ "old, other key, closed", GROUP, ENROL, group_other_closed,
	    ALERT(MM_R_GROUP_KEY) },
	{ "old, record gone", GROUP, ENROL, gone, NO(MM_R_CONFIRMED) },

	{ "IDevID unknown", CERT, ENROL, cert_unknown,
	    ALERT(MM_R_CERT_UNKNOWN) },
	{ "IDevID forged", CERT, ENROL, cert_forged,
	    ALERT(MM_R_CERT_UNKNOWN) },
	{ "LDevID enrols", CERT, ENROL, cert_other_kind, NO(MM_R_LDEVID) },
	{ "IDevID revoked", CERT, ENROL, cert_revoked,
	    NO(MM_R_CERT_REVOKED) },
	{ "IDevID unconfirmed", CERT, ENROL, cert_issued, MM_R_NONE,
	    MM_ACT_ISSUE, MM_FX_PROVED },
	{ "IDevID expired", CERT, ENROL, cert_expired,
	    NO(MM_R_CERT_EXPIRED) },
	{ "IDevID, retired", CERT, ENROL, retired, NO(MM_R_DEVICE) },
	{ "IDevID again", CERT, ENROL, again, OLD },
	{ "IDevID, confirmed", CERT, ENROL, other_confirmed,
	    NO(MM_R_CONFIRMED) },
	{ "IDevID, other key", CERT, ENROL, other, YES },
	{ "IDevID, too often", CERT, ENROL, other_often,
	    ALERT(MM_R_TOO_MANY) },
	{ "IDevID, record gone", CERT, ENROL, gone, NO(MM_R_CONFIRMED) },

	{ "IDevID renews", CERT, RENEW, cert_other_kind, NO(MM_R_IDEVID) },
	{ "revoked renews", CERT, RENEW, cert_revoked,
	    NO(MM_R_CERT_REVOKED) },
	{ "held renews", CERT, RENEW, cert_held, NO(MM_R_CERT_REVOKED) },
	{ "superseded renews", CERT, RENEW, cert_superseded,
	    NO(MM_R_SUPERSEDED) },
	{ "unconfirmed renews", CERT, RENEW, cert_issued, MM_R_NONE,
	    MM_ACT_ISSUE, MM_FX_PROVED | MM_FX_RENEWAL },
	{ "renews, predecessor revoked", CERT, RENEW, before_revoked,
	    NO(MM_R_CERT_REVOKED) },
	{ "late, in grace", CERT, RENEW, cert_expired, MM_R_NONE,
	    MM_ACT_ISSUE, MM_FX_LATE | MM_FX_RENEWAL },
	{ "late, past grace", CERT, RENEW, long_expired,
	    NO(MM_R_CERT_EXPIRED) },
	{ "late, unproved", CERT, RENEW, expired_unproved,
	    NO(MM_R_CERT_EXPIRED) },
	{ "late, not newest", CERT, RENEW, expired_not_newest,
	    NO(MM_R_CERT_EXPIRED) },
	{ "other CN", CERT, RENEW, name_differs, NO(MM_R_NAMES) },
	{ "other number", CERT, RENEW, number_differs, NO(MM_R_NAMES) },
	{ "same names", CERT, RENEW, names_agree, MM_R_NONE, MM_ACT_ISSUE,
	    MM_FX_RENEWAL },
	{ "same key", CERT, RENEW, same_key, NO(MM_R_SAME_KEY) },
	{ "other label", CERT, RENEW, other_label, NO(MM_R_PROFILE) },
	{ "renewal again", CERT, RENEW, again, MM_R_NONE, MM_ACT_REPLAY,
	    MM_FX_RENEWAL },
	{ "renewal, clone", CERT, RENEW, other_confirmed,
	    ALERT(MM_R_CLONE) },
	{ "renewal, same key clone", CERT, RENEW, again_confirmed,
	    ALERT(MM_R_CLONE) },
	{ "renewal, replaces", CERT, RENEW, other, MM_R_NONE, MM_ACT_ISSUE,
	    MM_FX_RENEWAL },
	{ "renewal, too often", CERT, RENEW, other_often,
	    ALERT(MM_R_TOO_MANY) },
	{ "renewal, one too many", CERT, RENEW, paced,
	    ALERT(MM_R_TOO_MANY) },
	{ "renewal again, one too many", CERT, RENEW, again_paced, MM_R_NONE,
	    MM_ACT_REPLAY, MM_FX_RENEWAL },
	{ "renewal, a day later", CERT, RENEW, other_long_ago, MM_R_NONE,
	    MM_ACT_ISSUE, MM_FX_RENEWAL },
	{ "renewal, revoked", CERT, RENEW, other_revoked,
	    NO(MM_R_CERT_REVOKED) },

	{ "proof", CERT, PROOF, cert_issued, MM_R_NONE, MM_ACT_CONFIRM, 0 },
	{ "proof, predecessor held", CERT, PROOF, before_held,
	    NO(MM_R_CERT_REVOKED) },
	{ "proof, predecessor revoked", CERT, PROOF, before_revoked,
	    NO(MM_R_CERT_REVOKED) },
	{ "proof, predecessor superseded", CERT, PROOF, before_superseded,
	    MM_R_NONE, MM_ACT_CONFIRM, 0 },
	{ "proof, had before", CERT, PROOF, before_confirmed, MM_R_NONE,
	    MM_ACT_DONE, 0 },
	{ "proof, unknown", CERT, PROOF, cert_unknown,
	    ALERT(MM_R_CERT_UNKNOWN) },
	{ "proof, revoked", CERT, PROOF, cert_revoked,
	    NO(MM_R_CERT_REVOKED) },
	{ "proof, expired", CERT, PROOF, cert_expired,
	    NO(MM_R_CERT_EXPIRED) },

	{ "when, unconfirmed", CERT, WHEN, cert_issued, MM_R_NONE,
	    MM_ACT_DONE, 0 },
	{ "when, an IDevID", CERT, WHEN, cert_other_kind, MM_R_NONE,
	    MM_ACT_DONE, 0 },
	{ "when, revoked", CERT, WHEN, cert_revoked, NO(MM_R_CERT_REVOKED) },
	{ "when, unknown", CERT, WHEN, cert_unknown,
	    ALERT(MM_R_CERT_UNKNOWN) },
	{ "when, late, in grace", CERT, WHEN, cert_expired, MM_R_NONE,
	    MM_ACT_DONE, 0 },
	{ "when, late, past grace", CERT, WHEN, long_expired,
	    NO(MM_R_CERT_EXPIRED) },
	{ "when, late, unproved", CERT, WHEN, expired_unproved,
	    NO(MM_R_CERT_EXPIRED) },
	{ "when, late, not newest", CERT, WHEN, expired_not_newest,
	    NO(MM_R_CERT_EXPIRED) },
	{ "when, an IDevID, late", CERT, WHEN, idevid_expired,
	    NO(MM_R_CERT_EXPIRED) },

	{ "operator, IDevID", OPER, ENROL, idevid_label, YES },
	{ "operator, other", OPER, ENROL, other_label, NO(MM_R_PROFILE) },
	{ "operator, no device", OPER, ENROL, no_device, NO(MM_R_DEVICE) },
	{ "operator, again", OPER, ENROL, again, OLD },
	{ "operator, replaces", OPER, ENROL, other, YES },
	{ "line", OPER, ENROL, on_the_line, YES },
	{ "operator, in the field", OPER, ENROL, in_the_field, YES },
	{ "line, in the field", OPER, ENROL, line_in_the_field,
	    ALERT(MM_R_FIELDED) },
	{ "line, in the field", OPER, MM_JOB_KEYGEN, line_in_the_field,
	    ALERT(MM_R_FIELDED) },
	{ "operator, key taken", OPER, ENROL, key_taken,
	    ALERT(MM_R_KEY_TAKEN) },
	{ "in a batch", OPER, ENROL, in_batch, YES },
	{ "in none, a station's", OPER, ENROL, no_batch,
	    NO(MM_R_NO_BATCH) },
	{ "in an unknown one", OPER, ENROL, batch_unknown, NO(MM_R_BATCH) },
	{ "in a paused one", OPER, ENROL, batch_paused, NO(MM_R_BATCH) },
	{ "in a closed one", OPER, ENROL, batch_closed, NO(MM_R_BATCH) },
	{ "before its beginning", OPER, ENROL, batch_too_early,
	    NO(MM_R_BATCH) },
	{ "after its end", OPER, ENROL, batch_too_late, NO(MM_R_BATCH) },
	{ "another version of the profile", OPER, ENROL,
	    batch_other_profile, NO(MM_R_PROFILE) },
	{ "put aside", OPER, ENROL, batch_put_aside, NO(MM_R_BATCH_UNIT) },
	{ "another serial", OPER, ENROL, batch_other_serial,
	    NO(MM_R_BATCH_SERIAL) },
	{ "another product", OPER, ENROL, batch_other_product,
	    NO(MM_R_BATCH_SERIAL) },
	{ "another station", OPER, ENROL, batch_no_share,
	    NO(MM_R_BATCH_SHARE) },
	{ "no shares at all", OPER, ENROL, batch_pool, YES },
	{ "one that its stations sign", OPER, ENROL, batch_offline,
	    NO(MM_R_BATCH_OFFLINE) },
	{ "the quota is gone", OPER, ENROL, batch_full, NO(MM_R_QUOTA) },
	{ "the share is gone", OPER, ENROL, share_full, NO(MM_R_QUOTA) },
	{ "the same key when it is gone", OPER, ENROL, batch_full_again,
	    OLD },
};

static void
each_row(void **state)
{
	(void)state;
	profiles[0].grace_s = 100;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *w = &rows[i];
		struct mm_facts f = granted(w->a, w->k);
		struct mm_verdict v;

		w->spoil(&f);
		mm_decide(&f, &v);
		if (v.reason != w->want || v.act != w->act ||
		    v.effects != w->effects ||
		    (w->act == MM_ACT_REFUSE) != (v.code != MM_OK))
			fail_msg("%s: act %d, reason \"%s\", effects %#x",
			    w->what, (int)v.act, mm_reason_text(v.reason),
			    v.effects);
	}
}

/* What a reason means is never "fine". */
static void
reasons(void **state)
{
	(void)state;
	for (unsigned r = 1; r < MM_REASON_COUNT; r++) {
		assert_int_not_equal(mm_reason_code(r), MM_OK);
		assert_true(mm_reason_text(r)[0] != '\0');
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_pairs),
		cmocka_unit_test(each_row),
		cmocka_unit_test(reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
