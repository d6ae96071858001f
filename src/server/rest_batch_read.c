#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/time.h"
#include "line/scan.h"
#include "server/batches.h"

/* A request for a batch: all of it is checked before anything is stored. */

enum { PEOPLE_MOST = 128 }; /* a record's size */

struct text {
	char id[MM_NAME_MAX + 1], product[MM_NAME_MAX + 1];
	char serials[MM_SERIALS_TEXT], scan[MM_WORK_SCAN_TEXT];
	char take[16], marker[16], mode[16], level[16], on_conflict[16];
	char key_origin[16], recipe[MM_NAME_MAX + 1], sample[513];
	char lock[16];
	char note[MM_PRODUCTION_NOTE], salt[33];
	int64_t quantity, scrap, not_before, until, unsynced;
	bool dry_run;
};
#define M(name, type, must)                                     \
	{                                                       \
#name, type, must, offsetof(struct text, name), \
		    sizeof(((struct text *)0)->name)            \
	}
static const struct mm_member members[] = {
	M(id, MM_M_NAME, false),
	M(product, MM_M_NAME, true),
	M(quantity, MM_M_INT, true),
	M(scrap, MM_M_INT, false),
	M(serials, MM_M_TEXT, false),
	M(take, MM_M_TEXT, false),
	M(scan, MM_M_TEXT, false),
	M(sample, MM_M_TEXT, false),
	M(not_before, MM_M_TIME, false),
	M(until, MM_M_TIME, true),
	M(unsynced, MM_M_DURATION, false),
	M(marker, MM_M_TEXT, false),
	M(mode, MM_M_TEXT, false),
	M(level, MM_M_TEXT, false),
	M(on_conflict, MM_M_TEXT, false),
	M(lock, MM_M_TEXT, false),
	M(key_origin, MM_M_TEXT, false),
	M(recipe, MM_M_NAME, false),
	M(note, MM_M_TEXT, false),
	{ "badge_salt", MM_M_TEXT, false, offsetof(struct text, salt), 33 },
	M(dry_run, MM_M_BOOL, false),
};
#define N(a) (sizeof(a) / sizeof((a)[0]))
/* Lists, which are read apart. */
static const char *const apart[] = { "serial_list", "people", "shares",
	"configuration" };

/* see batches.h */
void
mm_batch_wish_done(struct mm_batch_wish *w)
{
	mm_buf_done(&w->serials);
	mm_buf_wipe(&w->config);
	mm_buf_wipe(&w->fields);
	mm_roll_done(&w->roll);
}

/* ---- words ---- */

static enum mm_err
word(const char *name, const char *text, const char *const *words, size_t n,
    int *out, struct mm_why *why)
{
	int i = text[0] == '\0' ? *out : mm_work_word(words, n, text);

	if (i < 0)
		return MM_FAIL(
		    why, MM_EINPUT, "%s: no such word: %.16s", name, text);
	*out = i;
	return MM_OK;
}

static enum mm_err
read_words(const struct text *t, struct mm_production *b, struct mm_why *why)
{
	struct mm_work_order *o = b->order;
	const struct {
		const char *name, *text;
		const char *const *words;
		size_t n;
		int *out;
	} row[] = {
		{ "marker", t->marker, mm_work_marker_words,
		    MM_WORK_MARKER_COUNT, &o->marker },
		{ "mode", t->mode, mm_work_mode_words, MM_WORK_MODE_COUNT,
		    &b->mode },
		{ "level", t->level, mm_work_level_words, MM_WORK_LEVEL_COUNT,
		    &o->level },
		{ "take", t->take, mm_work_take_words, MM_WORK_TAKE_COUNT,
		    &o->take },
		{ "on_conflict", t->on_conflict, mm_work_conflict_words,
		    MM_WORK_CONFLICT_COUNT, &o->on_conflict },
		{ "key_origin", t->key_origin, mm_work_origin_words,
		    MM_WORK_ORIGIN_COUNT, &o->key_origin },
	};

	for (size_t i = 0; i < N(row); i++)
		MM_TRY(word(row[i].name, row[i].text, row[i].words, row[i].n,
		    row[i].out, why));
	return MM_OK;
}

/* What this version's stations do not do by themselves: better refused before
 * a stick is carried. */
static enum mm_err
check_offline(const struct mm_production *b, struct mm_why *why)
{
	const struct mm_work_order *o = b->order;

	if (b->mode != MM_WORK_OFFLINE)
		return MM_OK;
	if (o->take != MM_WORK_SCAN || o->key_origin != MM_WORK_DEVICE ||
	    o->level == MM_WORK_HARDWARE)
		return MM_FAIL(why, MM_EINPUT,
		    "mode: offline, stations of "
		    "this version take serial numbers from labels; devices "
		    "make their keys, and the counter is software or "
		    "rollback-proof");
	return MM_OK;
}

/* A test CA makes nothing that passes for production, nor the other way. */
static enum mm_err
check_kind(
    const struct mm_rest *r, const struct mm_production *b, struct mm_why *why)
{
	bool production = r->s->config->set.production;

	if ((b->order->marker == MM_WORK_PRODUCTION) != production)
		return MM_FAIL(why, MM_EPOLICY, "marker: this CA is for %s",
		    production ? "production" : "tests");
	return MM_OK;
}

/* ---- scalars ---- */

static enum mm_err
name_it(const struct text *t, struct mm_production *b, struct mm_why *why)
{
	char random[17];

	if (t->id[0] == '\0') {
		MM_TRY(mm_desk_random_id(random, why));
		b->id[0] = 'b';
		memcpy(b->id + 1, random, 8);
		return MM_OK;
	}
	if (strlen(t->id) > MM_PRODUCTION_ID_MAX)
		return MM_FAIL(why, MM_EINPUT, "id: at most %d characters",
		    MM_PRODUCTION_ID_MAX);
	strcpy(b->id, t->id);
	return MM_OK;
}

/* Its text hashed with a salt stands in the entry: no control characters, for
 * reconcile writes it again. */
static bool
is_line(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

static enum mm_err
copy_texts(const struct text *t, struct mm_production *b, struct mm_why *why)
{
	struct mm_work_order *o = b->order;

	strcpy(o->product, t->product);
	strcpy(o->serials, t->serials);
	strcpy(o->scan, t->scan);
	strcpy(o->recipe, t->recipe);
	strcpy(o->lock, t->lock);
	strcpy(b->note, t->note);
	if (!is_line(t->note) || !is_line(t->scan) || !is_line(t->serials))
		return MM_FAIL(why, MM_EINPUT,
		    "note, scan, serials: one "
		    "line, without control characters");
	if (t->salt[0] != '\0')
		return mm_hex_parse(t->salt, strlen(t->salt), o->badge_salt, 16,
			   NULL) == MM_OK
			   ? MM_OK
			   : MM_FAIL(why, MM_EINPUT,
				 "badge_salt: want 32 hexadecimal digits");
	return MM_OK;
}

static enum mm_err
read_scalars(struct mm_rest *r, const struct text *t, struct mm_production *b,
    struct mm_why *why)
{
	struct mm_work_order *o = b->order;
	int64_t now = mm_now_ms();

	if (t->quantity < 1 || t->quantity > MM_WORK_SHARE_MAX ||
	    t->scrap > t->quantity)
		return MM_FAIL(why, MM_EINPUT,
		    "quantity: 1 to %lld; scrap: "
		    "at most as much",
		    (long long)MM_WORK_SHARE_MAX);
	b->quantity = t->quantity;
	b->scrap = t->scrap;
	b->created_at = o->made_ms = now;
	o->share = t->quantity;
	o->scrap = t->scrap;
	o->not_before_ms = t->not_before != 0 ? t->not_before : now;
	o->until_ms = t->until;
	o->unsynced_s = t->unsynced;
	if (o->until_ms <= now)
		return MM_FAIL(why, MM_EINPUT, "until: it is past");
	o->marker =
	    r->s->config->set.production ? MM_WORK_PRODUCTION : MM_WORK_TEST;
	MM_TRY(copy_texts(t, b, why));
	MM_TRY(read_words(t, b, why));
	return check_kind(r, b, why);
}

/* ---- profiles: those of the product, as they are now ---- */

static enum mm_err
add_profile(const struct mm_rest *r, const char *name, struct mm_batch_wish *w,
    struct mm_work_order *o, struct mm_why *why)
{
	const struct mm_profile *p = mm_config_profile(r->s->config, name);
	struct mm_work_profile *to = &w->profiles[o->profiles_n];

	if (name[0] == '\0')
		return MM_OK;
	if (p == NULL)
		return MM_FAIL(why, MM_ECONFLICT,
		    "product: its profile %s is "
		    "not in the configuration",
		    name);
	strcpy(to->name, p->name);
	to->version = p->version;
	o->profiles_n++;
	return mm_profile_hash(p, to->sha256, why);
}

static enum mm_err
read_profiles(struct mm_rest *r, struct mm_batch_wish *w,
    struct mm_work_order *o, struct mm_why *why)
{
	struct mm_product p;

	MM_TRY(mm_get_product(r->reader, o->product, &p, why));
	o->profiles = w->profiles;
	MM_TRY(add_profile(r, p.idevid_profile, w, o, why));
	if (strcmp(p.ldevid_profile, p.idevid_profile) != 0)
		MM_TRY(add_profile(r, p.ldevid_profile, w, o, why));
	return o->profiles_n > 0 ? MM_OK
				 : MM_FAIL(why, MM_ECONFLICT,
				       "product %s has no profile", o->product);
}

/* ---- serial numbers ---- */

static enum mm_err
read_list(const json_t *list, struct mm_batch_wish *w, struct mm_work_order *o,
    struct mm_why *why)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(list) || json_array_size(list) == 0)
		return MM_FAIL(why, MM_EINPUT,
		    "serial_list: want a list of serial numbers");
	json_array_foreach(list, i, item)
	{
		const char *s = json_string_value(item);

		if (s == NULL || !mm_device_id_valid(s))
			return MM_FAIL(why, MM_EINPUT,
			    "serial_list: item "
			    "%zu: want 1 to 64 of A-Z a-z 0-9 . _ -",
			    i + 1);
		w->misfits |= mm_serial_misfits(s);
		mm_buf_printf(&w->serials, "%s\n", s);
	}
	MM_TRY(mm_buf_ok(&w->serials, why));
	o->serials_count = (int64_t)i;
	mm_sha256(mm_buf_view(&w->serials), o->serials_sha256);
	return MM_OK;
}

static enum mm_err
check_run(
    struct mm_batch_wish *w, const struct mm_work_order *o, struct mm_why *why)
{
	char serial[MM_DEVICE_ID_MAX + 1];
	struct mm_serials run;

	MM_TRY(mm_serials_parse(o->serials, &run, why));
	mm_serials_at(&run, mm_serials_count(&run) - 1, serial);
	w->misfits |= mm_serial_misfits(serial);
	return MM_OK;
}

/* Those of a run, of a list, or what is free after the last batch. */
static enum mm_err
read_serials(struct mm_rest *r, struct mm_batch_wish *w,
    struct mm_production *b, struct mm_why *why)
{
	const json_t *list = json_object_get(r->in, "serial_list");
	struct mm_work_order *o = b->order;
	const char *twice;
	int64_t want =
	    o->take == MM_WORK_NEXT ? mm_production_authorised(b) : b->quantity;

	if ((list != NULL) == (o->serials[0] != '\0') &&
	    (list != NULL || o->take != MM_WORK_NEXT))
		return MM_FAIL(why, MM_EINPUT,
		    "serials: want a run, "
		    "serial_list, or take next");
	MM_TRY(mm_production_others(r->reader, &b->others, why));
	if (list != NULL)
		MM_TRY(read_list(list, w, o, why));
	else if (o->serials[0] == '\0')
		MM_TRY(mm_production_next_free(
		    r->reader, o->product, want, o->serials, why));
	if (list == NULL)
		MM_TRY(check_run(w, o, why));
	MM_TRY(mm_roll_over(o, mm_buf_view(&w->serials), &w->roll, why));
	mm_roll_bounds(&w->roll, b);
	twice = mm_roll_twice(&w->roll);
	if (twice != NULL)
		return MM_FAIL(
		    why, MM_EINPUT, "serial_list: %s stands twice", twice);
	if (mm_production_serials(b) < want)
		return MM_FAIL(why, MM_EINPUT,
		    "serials: %lld of them for "
		    "%lld devices",
		    (long long)mm_production_serials(b), (long long)want);
	return mm_production_alone(r->reader, b, &w->roll, why);
}

/* A label of the batch gives a serial number of the batch, or the first
 * technician would be who finds out. */
static enum mm_err
check_scan(
    const struct mm_batch_wish *w, struct mm_work_order *o, struct mm_why *why)
{
	char serial[MM_DEVICE_ID_MAX + 1];
	struct mm_scan_rule rule;
	uint64_t index;

	if (o->take == MM_WORK_SCAN && o->scan[0] == '\0')
		strcpy(o->scan, "plain");
	if (o->take == MM_WORK_NEXT && o->scan[0] != '\0')
		return MM_FAIL(why, MM_EINPUT,
		    "scan: with take next nothing "
		    "is scanned");
	if (o->take == MM_WORK_NEXT || w->sample[0] == '\0')
		return MM_OK;
	MM_TRY(mm_scan_rule_parse(o->scan, &rule, why));
	MM_TRY(mm_scan(&rule, mm_bytes_of(w->sample), serial, why));
	if (!mm_roll_find(&w->roll, serial, &index))
		return MM_FAIL(why, MM_EINPUT,
		    "sample: it gives %s, which is "
		    "no serial number of the batch",
		    serial);
	return MM_OK;
}

/* ---- people and shares ---- */

struct person_text {
	char id[MM_DEVICE_ID_MAX + 1], role[16];
	uint8_t badge[32];
};
static const struct mm_member person_members[] = {
	{ "id", MM_M_DEVICE, true, offsetof(struct person_text, id),
	    MM_DEVICE_ID_MAX + 1 },
	{ "role", MM_M_TEXT, true, offsetof(struct person_text, role), 16 },
	{ "badge", MM_M_SHA256, true, offsetof(struct person_text, badge), 32 },
};

static enum mm_err
read_people(const json_t *list, struct mm_batch_wish *w,
    struct mm_work_order *o, struct mm_why *why)
{
	json_t *item;
	size_t i;

	if (list != NULL &&
	    (!json_is_array(list) || json_array_size(list) > PEOPLE_MOST))
		return MM_FAIL(why, MM_EINPUT, "people: a list of at most %d",
		    PEOPLE_MOST);
	json_array_foreach(list, i, item)
	{
		struct mm_work_person *p = &w->people[i];
		struct person_text t = { .role = "" };

		MM_TRY(mm_rest_members(
		    item, person_members, N(person_members), &t, why));
		strcpy(p->id, t.id);
		memcpy(p->badge, t.badge, 32);
		p->role = -1;
		MM_TRY(word("role", t.role, mm_work_role_words,
		    MM_WORK_ROLE_COUNT, &p->role, why));
	}
	o->people = w->people;
	o->people_n = list == NULL ? 0 : i;
	return MM_OK;
}

struct share_text {
	char station[MM_NAME_MAX + 1];
	int64_t share;
};
static const struct mm_member share_members[] = {
	{ "station", MM_M_NAME, true, offsetof(struct share_text, station),
	    MM_NAME_MAX + 1 },
	{ "share", MM_M_INT, true, offsetof(struct share_text, share), 0 },
};

/* see batches.h */
enum mm_err
mm_batch_shares(struct mm_rest *r, const json_t *list, struct mm_production *b,
    struct mm_why *why)
{
	struct mm_station station;
	json_t *item;
	size_t i;

	if (list != NULL && !json_is_array(list))
		return MM_FAIL(why, MM_EINPUT, "shares: want a list");
	json_array_foreach(list, i, item)
	{
		struct share_text t = { .share = 0 };

		MM_TRY(mm_rest_members(
		    item, share_members, N(share_members), &t, why));
		MM_TRY(mm_station_get(r->reader, t.station, &station, why));
		if (station.removed)
			return MM_FAIL(why, MM_ECONFLICT,
			    "station %s was removed", t.station);
		MM_TRY(mm_production_share(b, t.station, t.share, why));
	}
	return MM_OK;
}

/* ---- the whole ---- */

static enum mm_err
read_texts(struct mm_rest *r, struct text *t, struct mm_why *why)
{
	MM_OWN(mm_rest_json_free) json_t *rest = json_copy(r->in);

	if (rest == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	for (size_t i = 0; i < N(apart); i++)
		(void)json_object_del(rest, apart[i]);
	return mm_rest_members(rest, members, N(members), t, why);
}

/* see batches.h */
enum mm_err
mm_batch_read(struct mm_rest *r, struct mm_batch_wish *w,
    struct mm_production *b, struct mm_why *why)
{
	struct text t = { .quantity = 0 };
	struct mm_work_order *o = b->order;

	mm_buf_init(&w->serials, MM_PAPER_MAX);
	mm_buf_init(&w->config, MM_PAPER_MAX);
	mm_buf_init(&w->fields, MM_PAPER_MAX);
	MM_TRY(read_texts(r, &t, why));
	MM_TRY(name_it(&t, b, why));
	MM_TRY(read_scalars(r, &t, b, why));
	strcpy(w->sample, t.sample);
	w->dry_run = t.dry_run;
	strcpy(o->centre, r->s->config->set.ledger_origin);
	strcpy(o->station, "-"); /* until it is one's */
	strcpy(o->batch, b->id);
	o->number = 1;
	MM_TRY(read_profiles(r, w, o, why));
	MM_TRY(read_serials(r, w, b, why));
	MM_TRY(check_scan(w, o, why));
	MM_TRY(mm_batch_initial(
	    json_object_get(r->in, "configuration"), w, b, why));
	MM_TRY(check_offline(b, why));
	MM_TRY(read_people(json_object_get(r->in, "people"), w, o, why));
	return mm_batch_shares(r, json_object_get(r->in, "shares"), b, why);
}
