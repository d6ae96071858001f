#include "station/crew.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/own.h"
#include "base/secret.h"
#include "base/time.h"
#include "station/own.h"
#include "station/steps.h"

enum { ASK_MS = 5000, AGAIN_MS = 1000, AGAIN_MOST_MS = 30000,
	ANSWER_MAX = 1 << 17, BADGE_MAX = 130, SETS = 2,
	REASON_MAX = 200, LINE_MAX_N = 1024 };

struct set { /* of one batch: a salt serves all */
	uint8_t salt[16];
	struct mm_work_person person[MM_WORK_PEOPLE_MAX];
	size_t n;
};

struct mm_crew {
	const struct mm_station_conf *conf;
	struct set set[SETS];
	size_t n;
	enum mm_unit_reason unknown; /* why; NONE: who they are is known */
	bool asking;
	int64_t ask_ms;   /* the centre, not before; monotonic */
	int64_t again_ms; /* and then after */
	char operator[MM_DEVICE_ID_MAX + 1];
	char supervisor[MM_DEVICE_ID_MAX + 1];
	int64_t operator_ms, supervisor_ms; /* until; monotonic */
	int64_t wrong_ms; /* no badge is looked at before; monotonic */
};

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

/* As the centre tells it, and as it is kept. */
static enum mm_err
take_people(struct mm_crew *c, const json_t *answer, struct mm_why *why)
{
	const json_t *list = json_object_get(answer, "people"), *item;
	const char *salt = json_string_value(json_object_get(answer,
	    "badge_salt"));
	struct set *s = &c->set[c->n];
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
	return take_people(c, kept, why);
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
	size_t had = c->n;

	if (rc == MM_OK)
		rc = take_people(c, a->body, &why);
	if (rc == MM_OK)
		rc = keep(c, a->body, &why);
	c->unknown = rc == MM_OK ? MM_UR_NONE : why_unknown(a, rc);
	if (rc == MM_OK)
		return;
	c->n = had;
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
	    c->conf->batch[0] == '\0' || mm_order_has(c->conf, c->conf->batch))
		return MM_OK;
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
	struct set *s = &c->set[c->n];

	(void)why;
	MM_INVARIANT(o->people_n <= MM_WORK_PEOPLE_MAX && c->n < SETS);
	memcpy(s->salt, o->badge_salt, sizeof(s->salt));
	for (s->n = 0; s->n < o->people_n; s->n++)
		s->person[s->n] = o->people[s->n];
	c->n += s->n > 0;
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

/* see crew.h */
enum mm_err
mm_crew_open(const struct mm_station_conf *conf, struct mm_centre *centre,
    bool waits, struct mm_crew **out, struct mm_why *why)
{
	MM_OWN(mm_crew_close) struct mm_crew *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	c->conf = conf;
	c->again_ms = AGAIN_MS;
	MM_TRY(people_of_centre(c, centre, waits, why));
	MM_TRY(people_of_order(c, why));
	*out = MM_MOVE(c);
	return MM_OK;
}

/* see crew.h */
void
mm_crew_close(struct mm_crew **owner)
{
	free(*owner);
	*owner = NULL;
}

/* see crew.h */
bool
mm_crew_asks(const struct mm_crew *c)
{
	return c != NULL && c->n > 0;
}

/* see crew.h */
enum mm_unit_reason
mm_crew_unknown(const struct mm_crew *c)
{
	return c != NULL ? c->unknown : MM_UR_NONE;
}

/* ---- badges ---- */

/* Every badge is compared, whichever it is. */
static const struct mm_work_person *
look_up(const struct set *s, const uint8_t hash[32])
{
	const struct mm_work_person *found = NULL;

	for (size_t i = 0; i < s->n; i++)
		if (CRYPTO_memcmp(s->person[i].badge, hash, 32) == 0)
			found = &s->person[i];
	return found;
}

static const struct mm_work_person *
find(const struct mm_crew *c, struct mm_bytes badge)
{
	const struct mm_work_person *p = NULL;
	uint8_t hash[32];

	for (size_t i = 0; i < c->n && p == NULL; i++)
		if (mm_work_badge(badge, c->set[i].salt, hash, NULL) == MM_OK)
			p = look_up(&c->set[i], hash);
	mm_wipe(hash, sizeof(hash));
	return p;
}

/* see crew.h */
enum mm_err
mm_crew_who(struct mm_crew *c, struct mm_bytes badge, enum mm_work_role role,
    char id[MM_DEVICE_ID_MAX + 1], struct mm_why *why)
{
	const struct mm_work_person *p;

	if (c->unknown != MM_UR_NONE)
		return MM_FAIL(why, MM_EAGAIN, "badge: whom the batch names "
		    "is not known yet");
	if (mm_mono_ms() < c->wrong_ms)
		return MM_FAIL(why, MM_ERATE,
		    "badge: a wrong one came just before");
	p = find(c, badge);
	if (p == NULL)
		c->wrong_ms = mm_mono_ms() + MM_CREW_WRONG_MS;
	if (p == NULL)
		return MM_FAIL(why, MM_EPOLICY,
		    "badge: it is nobody's whom the batch names");
	if (p->role < (int)role)
		return MM_FAIL(why, MM_EPOLICY, "badge: want a %s's",
		    mm_work_role_words[role]);
	memcpy(id, p->id, sizeof(p->id));
	return MM_OK;
}

static enum mm_err
read_badge(const char *path, struct mm_buf *b, struct mm_why *why)
{
	char chunk[BADGE_MAX];
	ssize_t n;

	if (strcmp(path, "-") != 0)
		return mm_file_read(path, b, why);
	while ((n = read(STDIN_FILENO, chunk, sizeof(chunk))) > 0)
		mm_buf_put(b, chunk, (size_t)n);
	mm_wipe(chunk, sizeof(chunk));
	return mm_buf_ok(b, why);
}

/* see crew.h */
enum mm_err
mm_crew_who_file(struct mm_crew *c, const char *path, enum mm_work_role role,
    char id[MM_DEVICE_ID_MAX + 1], struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf b = MM_BUF_INIT(BADGE_MAX);
	struct mm_bytes text;

	MM_TRY(read_badge(path, &b, why));
	text = mm_buf_view(&b);
	while (text.n > 0 && (text.p[text.n - 1] == '\n' ||
	    text.p[text.n - 1] == '\r'))
		text.n--;
	return mm_crew_who(c, text, role, id, why);
}

/* see crew.h */
void
mm_crew_enter(struct mm_crew *c, const char *id)
{
	snprintf(c->operator, sizeof(c->operator), "%s", id);
	c->operator_ms = mm_mono_ms() + MM_CREW_SHIFT_MS;
}

/* see crew.h */
void
mm_crew_leave(struct mm_crew *c)
{
	c->operator[0] = c->supervisor[0] = '\0';
}

/* see crew.h */
bool
mm_crew_scan(struct mm_crew *c, struct mm_bytes line)
{
	const struct mm_work_person *p =
	    c->unknown == MM_UR_NONE ? find(c, line) : NULL;

	if (p == NULL)
		return false;
	if (p->role == MM_WORK_SUPERVISOR) {
		memcpy(c->supervisor, p->id, sizeof(p->id));
		c->supervisor_ms = mm_mono_ms() + MM_CREW_SUPERVISOR_MS;
		if (mm_crew_operator(c)[0] == '\0')
			mm_crew_enter(c, p->id);
	} else if (strcmp(mm_crew_operator(c), p->id) == 0) {
		mm_crew_leave(c);
	} else {
		mm_crew_enter(c, p->id);
	}
	return true;
}

/* see crew.h */
const char *
mm_crew_operator(const struct mm_crew *c)
{
	return mm_mono_ms() < c->operator_ms ? c->operator : "";
}

/* see crew.h */
const char *
mm_crew_supervisor(const struct mm_crew *c)
{
	return mm_mono_ms() < c->supervisor_ms ? c->supervisor : "";
}

/* ---- decisions ---- */

static enum mm_err
append(const char *path, struct mm_bytes line, struct mm_why *why)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	enum mm_err rc = fd < 0 ? MM_FAIL(why, MM_ESYS,
	    "decisions: the file cannot be written")
	    : mm_fd_write(fd, line, why);

	if (rc == MM_OK && fsync(fd) != 0)
		rc = MM_FAIL(why, MM_ESYS, "decisions: not on the disk");
	if (fd >= 0)
		(void)close(fd);
	return rc;
}

/* see crew.h */
enum mm_err
mm_crew_decide(struct mm_crew *c, const struct mm_crew_decision *d,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(LINE_MAX_N);
	struct mm_json j = mm_json_over(&b);
	char path[PATH_MAX + 64];

	if (d->reason == NULL || d->reason[0] == '\0')
		return MM_FAIL(why, MM_EINPUT, "%s: say the reason", d->what);
	if (strlen(d->reason) > REASON_MAX ||
	    !mm_utf8_valid(mm_bytes_of(d->reason)))
		return MM_FAIL(why, MM_ELIMIT,
		    "%s: the reason is a text of at most %d bytes", d->what,
		    REASON_MAX);
	mm_json_open(&j, '{');
	mm_json_time(&j, "at", mm_now_ms());
	mm_json_str(&j, "decision", d->what);
	if (d->device[0] != '\0')
		mm_json_str(&j, "device", d->device);
	mm_json_str(&j, "by", d->by);
	mm_json_str(&j, "reason", d->reason);
	mm_json_close(&j, '}');
	mm_buf_text(&b, "\n");
	MM_TRY(mm_buf_ok(&b, why));
	MM_TRY(mm_path_join(path, sizeof(path), c->conf->state, "decisions",
	    why));
	return append(path, mm_buf_view(&b), why);
}
