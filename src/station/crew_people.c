#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/own.h"
#include "base/time.h"
#include "station/crew_priv.h"
#include "station/own.h"
#include "station/steps.h"

enum { ASK_MS = 5000, AGAIN_MS = 1000, AGAIN_MOST_MS = 30000,
	ANSWER_MAX = 1 << 17 };

MM_FREE_FN(json_free, json_t, json_decref)

/* ---- whom a batch names ---- */

static bool
take_person(const json_t *o, struct mm_work_person *p)
{
	const char *id, *role, *badge;
	struct mm_work_person got = { .role = -1 };

	if (json_unpack((json_t *)(uintptr_t)o, "{s:s,s:s,s:s}", "id", &id,
	    "role", &role, "badge", &badge) != 0 ||
	    !mm_text_copy(got.id, sizeof(got.id), mm_bytes_of(id)) ||
	    mm_hex_parse(badge, strlen(badge), got.badge, 32, NULL) != MM_OK)
		return false;
	got.role = mm_work_word(mm_work_role_words, MM_WORK_ROLE_COUNT, role);
	*p = got;
	return got.role >= 0;
}

/* What its labels are; a list of them is not told. */
static void
take_run(struct mm_crew *c, const char *run)
{
	if (run != NULL &&
	    mm_serials_parse(run, &c->run[c->runs], NULL) == MM_OK)
		c->runs++;
	else
		c->blind = true;
}

/* One that is no name is installed nowhere: it must not be taken for none. */
static void
take_recipe(struct mm_crew *c, const char *name)
{
	bool none = name == NULL || name[0] == '\0';

	snprintf(c->recipe, sizeof(c->recipe), "%s", none ? ""
	    : mm_name_valid(name) ? name : "?");
}

/* A centre of before says nothing of them. */
static void
take_rules(struct mm_crew *c, const json_t *answer)
{
	const json_t *locks = json_object_get(answer, "locks");
	const json_t *replaces = json_object_get(answer, "replaces");

	c->rules.are = json_is_boolean(locks) && json_is_boolean(replaces);
	c->rules.rules = (struct mm_unit_rules){ json_is_true(locks),
		json_is_true(replaces) };
}

/* As the centre tells it, and as it is kept. */
static enum mm_err
take_people(struct mm_crew *c, const json_t *answer, struct mm_why *why)
{
	const json_t *list = json_object_get(answer, "people"), *item;
	const char *salt = json_string_value(json_object_get(answer,
	    "badge_salt"));
	struct mm_crew_set *s = &c->set[c->n];
	size_t i;

	s->n = 0;
	if (!json_is_array(list) || json_array_size(list) > MM_WORK_PEOPLE_MAX)
		return MM_FAIL(why, MM_EINPUT, "people: want a list");
	json_array_foreach(list, i, item)
		if (!take_person(item, &s->person[s->n++]))
			return MM_FAIL(why, MM_EINPUT, "people: %zu. of them "
			    "cannot be read", i + 1);
	if (s->n > 0 && (salt == NULL ||
	    mm_hex_parse(salt, strlen(salt), s->salt, 16, NULL) != MM_OK))
		return MM_FAIL(why, MM_EINPUT, "people: their salt");
	c->n += s->n > 0;
	take_run(c, json_string_value(json_object_get(answer, "serials")));
	take_recipe(c, json_string_value(json_object_get(answer, "recipe")));
	take_rules(c, answer);
	return MM_OK;
}

static enum mm_err
path_of(const struct mm_crew *c, char out[PATH_MAX + 64], struct mm_why *why)
{
	if ((size_t)snprintf(out, PATH_MAX + 64, "%s/people-%s",
	    c->conf->state, c->conf->batch) >= PATH_MAX + 64)
		return MM_FAIL(why, MM_ELIMIT, "people: the path is too long");
	return MM_OK;
}

/* What a batch says of its people it says for good. */
static enum mm_err
recall(struct mm_crew *c, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(ANSWER_MAX);
	MM_OWN(json_free) json_t *kept = NULL;
	char path[PATH_MAX + 64];

	MM_TRY(path_of(c, path, why));
	MM_TRY(mm_file_read(path, &b, why));
	kept = json_loadb((const char *)b.p, b.n, 0, NULL);
	MM_TRY(take_people(c, kept, why));
	if (c->rules.are)
		return MM_OK;
	/* of a centre, or by a station, that did not say which boards are
	 * locked, or knew no recipes: asked anew */
	c->n = c->runs = 0;
	c->blind = false;
	return MM_ENOTFOUND;
}

static enum mm_err
keep(const struct mm_crew *c, const json_t *answer, struct mm_why *why)
{
	char *text = json_dumps(answer, JSON_COMPACT);
	char path[PATH_MAX + 64];
	enum mm_err rc = text == NULL
	    ? MM_FAIL(why, MM_ENOMEM, "out of memory") : path_of(c, path, why);

	if (rc == MM_OK)
		rc = mm_file_replace(path, mm_bytes_of(text), 0600, why);
	free(text);
	return rc;
}

/* Why they are not known; rc: what became of the answer. */
static enum mm_unit_reason
why_unknown(const struct mm_centre_answer *a, enum mm_err rc)
{
	if (rc == MM_ESYS && a->rc == MM_OK)
		return MM_UR_JOURNAL; /* it cannot be kept */
	if (a->rc == MM_ENOTFOUND || a->rc == MM_EPOLICY)
		return MM_UR_BATCH; /* none of that name, or not ours */
	return mm_step_refusal(a);
}

/* That it names nobody is an answer too; whatever is none leaves it open. */
static void
take_answer(struct mm_crew *c, const struct mm_centre_answer *a)
{
	enum mm_unit_reason was = c->unknown;
	struct mm_why why = a->why;
	enum mm_err rc = a->rc;
	size_t had = c->n, runs = c->runs;
	bool blind = c->blind;

	if (rc == MM_OK)
		rc = take_people(c, a->body, &why);
	if (rc == MM_OK)
		rc = keep(c, a->body, &why);
	c->unknown = rc == MM_OK ? MM_UR_NONE : why_unknown(a, rc);
	if (rc == MM_OK)
		return;
	c->n = had;
	c->runs = runs;
	c->blind = blind;
	if (c->unknown != was || c->again_ms == AGAIN_MS)
		MM_LOG(MM_LOG_WARN, "people.unknown",
		    MM_S("batch", c->conf->batch), MM_S("why", why.text));
}

static void
ask(struct mm_crew *c, struct mm_centre *centre)
{
	char path[MM_NAME_MAX + 32];

	snprintf(path, sizeof(path), "/batches/%s/people", c->conf->batch);
	c->asking = mm_centre_ask(centre, MM_CENTRE_CREW, path, NULL, NULL) ==
	    MM_OK;
	c->ask_ms = mm_mono_ms() + c->again_ms;
}

/* see crew.h */
void
mm_crew_run(struct mm_crew *c, struct mm_centre *centre)
{
	struct mm_centre_answer a;

	if (c->unknown == MM_UR_NONE)
		return;
	if (!c->asking && mm_mono_ms() >= c->ask_ms)
		ask(c, centre);
	if (!c->asking || !mm_centre_take(centre, MM_CENTRE_CREW, &a))
		return;
	c->asking = false;
	take_answer(c, &a);
	mm_centre_answer_done(&a);
	c->ask_ms = mm_mono_ms() + c->again_ms;
	if (c->again_ms < AGAIN_MOST_MS)
		c->again_ms *= 2;
}

/* see crew.h */
void
mm_crew_wait(struct mm_crew *c, struct mm_centre *centre)
{
	int64_t until = mm_mono_ms() + ASK_MS;

	c->ask_ms = 0;
	mm_crew_run(c, centre);
	while (c->asking && mm_mono_ms() < until) {
		mm_centre_wait(centre, NULL, 0, 100);
		mm_crew_run(c, centre);
	}
}

/* Of conf's batch, which the centre signs. */
static enum mm_err
people_of_centre(struct mm_crew *c, struct mm_centre *centre, bool waits,
    struct mm_why *why)
{
	struct mm_why own = { 0 };
	enum mm_err rc;

	if (c->conf->offline == MM_OFFLINE_ALWAYS ||
	    mm_order_has(c->conf, c->conf->batch))
		return MM_OK;
	if (c->conf->batch[0] == '\0') {
		c->blind = true; /* it makes what it likes */
		return MM_OK;
	}
	rc = recall(c, &own);
	if (rc != MM_OK && rc != MM_ENOTFOUND)
		return MM_FAIL(why, rc, "%s", own.text);
	if (rc == MM_OK)
		return MM_OK;
	c->unknown = MM_UR_AWAY;
	if (waits)
		mm_crew_wait(c, centre);
	return MM_OK;
}

static enum mm_err
take_order(void *ctx, const struct mm_work_order *o, struct mm_why *why)
{
	struct mm_crew *c = ctx;
	struct mm_crew_set *s = &c->set[c->n];

	(void)why;
	MM_INVARIANT(o->people_n <= MM_WORK_PEOPLE_MAX && c->n < MM_CREW_SETS);
	memcpy(s->salt, o->badge_salt, sizeof(s->salt));
	for (s->n = 0; s->n < o->people_n; s->n++)
		s->person[s->n] = o->people[s->n];
	c->n += s->n > 0;
	take_run(c, o->serials);
	memcpy(c->order_recipe, o->recipe, sizeof(c->order_recipe));
	c->order_rules = (struct mm_crew_rules){ true,
		{ mm_work_order_locks(o),
		    o->on_conflict == MM_WORK_REPLACE } };
	return MM_OK;
}

static enum mm_err
people_of_order(struct mm_crew *c, struct mm_why *why)
{
	char batch[MM_NAME_MAX + 1];
	enum mm_err rc;

	if (c->conf->offline == MM_OFFLINE_NEVER)
		return MM_OK;
	rc = mm_order_pick(c->conf, batch, NULL);
	if (rc == MM_OK)
		rc = mm_order_look(c->conf, batch, take_order, c, why);
	return rc == MM_ENOTFOUND ? MM_OK : rc;
}

/* see crew_priv.h */
enum mm_err
mm_crew_people(struct mm_crew *c, struct mm_centre *centre, bool waits,
    struct mm_why *why)
{
	c->again_ms = AGAIN_MS;
	MM_TRY(people_of_centre(c, centre, waits, why));
	return people_of_order(c, why);
}
