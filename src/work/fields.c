/* An order's fields, in their order, and what they may hold together. */
#include <string.h>

#include "line/scan.h"
#include "work/priv.h"

_Static_assert(MM_WORK_SCAN_TEXT == MM_SCAN_RULE_MAX, "the same text");

#define X(e, name) name,
const char *const mm_work_state_words[] = { MM_WORK_STATES(X) };
const char *const mm_work_marker_words[] = { MM_WORK_MARKERS(X) };
const char *const mm_work_mode_words[] = { MM_WORK_MODES(X) };
const char *const mm_work_level_words[] = { MM_WORK_LEVELS(X) };
const char *const mm_work_take_words[] = { MM_WORK_TAKES(X) };
const char *const mm_work_conflict_words[] = { MM_WORK_CONFLICTS(X) };
const char *const mm_work_origin_words[] = { MM_WORK_ORIGINS(X) };
const char *const mm_work_role_words[] = { MM_WORK_ROLES(X) };
#undef X

#define AT(member) offsetof(struct mm_work_order, member)
#define N(member)  sizeof(((struct mm_work_order *)NULL)->member)
#define NAME(k, may, member) { k, MM_WF_NAME, may, AT(member), N(member), \
	0, 0, NULL }
#define TEXT(k, may, member) { k, MM_WF_TEXT, may, AT(member), N(member), \
	0, 0, NULL }
#define INT(k, may, member, least, most) { k, MM_WF_INT, may, AT(member), 0, \
	least, most, NULL }
#define WORD(k, member, words) { k, MM_WF_WORD, false, AT(member), \
	MM_COUNT(words), 0, 0, words }
#define TIME(k, member) { k, MM_WF_TIME, false, AT(member), 0, 0, 0, NULL }
#define HASH(k, member) { k, MM_WF_HASH, true, AT(member), N(member), \
	0, 0, NULL }
#define BLOB(k, member) { k, MM_WF_BLOB, true, AT(member), \
	MM_WORK_BLOB_MAX, 0, 0, NULL }

const struct mm_work_field mm_work_fields[] = {
	TEXT("centre", false, centre),
	NAME("station", false, station),
	INT("number", false, number, 1, INT64_C(1) << 53),
	HASH("previous", previous),
	TIME("made_at", made_ms),
	NAME("batch", false, batch),
	NAME("product", false, product),
	WORD("state", state, mm_work_state_words),
	WORD("marker", marker, mm_work_marker_words),
	WORD("mode", mode, mm_work_mode_words),
	INT("share", false, share, 0, MM_WORK_SHARE_MAX),
	INT("scrap", false, scrap, 0, MM_WORK_SHARE_MAX),
	TIME("not_before", not_before_ms),
	TIME("until", until_ms),
	INT("unsynced_s", true, unsynced_s, 60, 366 * 86400),
	WORD("level", level, mm_work_level_words),
	WORD("take", take, mm_work_take_words),
	WORD("on_conflict", on_conflict, mm_work_conflict_words),
	WORD("key_origin", key_origin, mm_work_origin_words),
	TEXT("serials", true, serials),
	HASH("serials_sha256", serials_sha256),
	INT("serials_count", true, serials_count, 1, MM_WORK_SHARE_MAX),
	TEXT("scan", true, scan),
	NAME("recipe", true, recipe),
	NAME("lock", true, lock),
	INT("config_version", true, config_version, 1, INT32_MAX),
	HASH("config_sha256", config_sha256),
	HASH("fields_sha256", fields_sha256),
	BLOB("ca_chain", ca_chain),
	BLOB("ca_key", ca_key),
	NAME("ca_name", true, ca_name),
	TEXT("ca_url", true, ca_url),
	HASH("badge_salt", badge_salt),
};
const size_t mm_work_fields_n = MM_COUNT(mm_work_fields);

/* see order.h */
int
mm_work_word(const char *const *words, size_t n, const char *word)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(words[i], word) == 0)
			return (int)i;
	return -1;
}

/* see priv.h */
bool
mm_work_is_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != 0)
			return false;
	return true;
}

static bool
is_set(const uint8_t hash[32])
{
	return !mm_work_is_zero(hash, 32);
}

static enum mm_err
check_serials(const struct mm_work_order *o, struct mm_why *why)
{
	bool list = is_set(o->serials_sha256);
	struct mm_serials run;
	struct mm_scan_rule scan;
	char again[MM_SERIALS_TEXT];

	if ((o->serials[0] != '\0') == list || list != (o->serials_count > 0))
		return MM_FAIL(why, MM_EINPUT, "order: serials: want a run, "
		    "or a paper's hash and its count");
	if (!list) {
		MM_TRY(mm_serials_parse(o->serials, &run, why));
		mm_serials_text(&run, again);
		if (strcmp(again, o->serials) != 0)
			return MM_FAIL(why, MM_EINPUT,
			    "order: serials: not in their one form");
	}
	if ((o->take == MM_WORK_SCAN) != (o->scan[0] != '\0'))
		return MM_FAIL(why, MM_EINPUT,
		    "order: a scan rule goes with take scan, and only there");
	return o->scan[0] == '\0' ? MM_OK :
	    mm_scan_rule_parse(o->scan, &scan, why);
}

static enum mm_err
check_profiles(const struct mm_work_order *o, struct mm_why *why)
{
	if (o->profiles_n == 0 || o->profiles_n > MM_WORK_PROFILES_MAX)
		return MM_FAIL(why, MM_EINPUT, "order: 1 to %d profiles",
		    MM_WORK_PROFILES_MAX);
	for (size_t i = 0; i < o->profiles_n; i++) {
		const struct mm_work_profile *p = &o->profiles[i];

		if (!mm_name_valid(p->name) || p->version < 1 ||
		    p->version > INT32_MAX || !is_set(p->sha256))
			return MM_FAIL(why, MM_EINPUT,
			    "order: profile %zu: want a name, a version and "
			    "a hash", i + 1);
		for (size_t k = 0; k < i; k++)
			if (strcmp(p->name, o->profiles[k].name) == 0)
				return MM_FAIL(why, MM_EINPUT,
				    "order: profile %s twice", p->name);
	}
	return MM_OK;
}

static enum mm_err
check_people(const struct mm_work_order *o, struct mm_why *why)
{
	if (o->people_n > MM_WORK_PEOPLE_MAX ||
	    (o->people_n > 0) == mm_work_is_zero(o->badge_salt,
	    sizeof(o->badge_salt)))
		return MM_FAIL(why, MM_EINPUT, "order: up to %d people, and "
		    "a salt where there are some", MM_WORK_PEOPLE_MAX);
	for (size_t i = 0; i < o->people_n; i++) {
		const struct mm_work_person *p = &o->people[i];

		if (!mm_device_id_valid(p->id) || p->role < 0 ||
		    p->role >= MM_WORK_ROLE_COUNT || !is_set(p->badge))
			return MM_FAIL(why, MM_EINPUT, "order: person %zu: "
			    "want an id, a role and a badge's hash", i + 1);
		for (size_t k = 0; k < i; k++)
			if (strcmp(p->id, o->people[k].id) == 0 ||
			    memcmp(p->badge, o->people[k].badge, 32) == 0)
				return MM_FAIL(why, MM_EINPUT,
				    "order: person %s, or that badge, twice",
				    p->id);
	}
	return MM_OK;
}

/* see order.h */
bool
mm_work_order_locks(const struct mm_work_order *o)
{
	return o->marker == MM_WORK_PRODUCTION && o->lock[0] == '\0';
}

/* see priv.h */
enum mm_err
mm_work_order_check(const struct mm_work_order *o, struct mm_why *why)
{
	if (strchr(o->centre, '\n') != NULL ||
	    !mm_utf8_valid(mm_bytes_of(o->centre)))
		return MM_FAIL(why, MM_EINPUT, "order: centre: not a name");
	if (o->number == 1 && is_set(o->previous))
		return MM_FAIL(why, MM_EINPUT,
		    "order: previous: nothing is before the first");
	if (o->not_before_ms >= o->until_ms || o->scrap > o->share)
		return MM_FAIL(why, MM_EINPUT, "order: want not_before "
		    "before until, and scrap within the share");
	if (o->on_conflict == MM_WORK_REPLACE && o->marker != MM_WORK_TEST)
		return MM_FAIL(why, MM_EINPUT, "order: on_conflict replace "
		    "is for test orders alone");
	if (o->lock[0] != '\0' && strcmp(o->lock, MM_WORK_LOCK_NEVER) != 0)
		return MM_FAIL(why, MM_EINPUT, "order: lock: want never, or "
		    "nothing");
	if ((o->mode == MM_WORK_OFFLINE) != (o->ca_chain.n > 0) ||
	    (o->ca_chain.n == 0 && o->ca_key.n > 0) ||
	    (o->ca_chain.n > 0 && o->ca_key.n == 0 &&
	    o->state != MM_WORK_CLOSED))
		return MM_FAIL(why, MM_EINPUT, "order: a line CA and its key "
		    "go with mode offline, and only there");
	if ((o->ca_chain.n == 0 || o->ca_name[0] == '\0') &&
	    (o->ca_name[0] != '\0' || o->ca_url[0] != '\0'))
		return MM_FAIL(why, MM_EINPUT, "order: ca_url goes with "
		    "ca_name, and both with a line CA");
	if (o->ca_url[0] != '\0' && (strncmp(o->ca_url, "http://", 7) != 0 ||
	    o->ca_url[strcspn(o->ca_url, " \"\\\n")] != '\0'))
		return MM_FAIL(why, MM_EINPUT, "order: ca_url: want an http "
		    "URL");
	if ((o->config_version > 0) != is_set(o->config_sha256) ||
	    (is_set(o->fields_sha256) && o->config_version == 0))
		return MM_FAIL(why, MM_EINPUT, "order: a configuration has a "
		    "version and a paper, its fields need both");
	MM_TRY(check_serials(o, why));
	MM_TRY(check_profiles(o, why));
	return check_people(o, why);
}
