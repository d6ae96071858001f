#include "station/crew.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "base/file.h"
#include "base/name.h"
#include "base/json.h"
#include "base/own.h"
#include "base/secret.h"
#include "base/time.h"
#include "station/crew_priv.h"

enum { REASON_MAX = 200, LINE_MAX_N = 1024, CLOSE_MS = 5000 };

/* see crew.h */
enum mm_err
mm_crew_open(const struct mm_station_conf *conf, struct mm_centre *centre,
    bool waits, struct mm_crew **out, struct mm_why *why)
{
	MM_OWN(mm_crew_close) struct mm_crew *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	c->conf = conf;
	MM_TRY(mm_crew_people(c, centre, waits, why));
	*out = MM_MOVE(c);
	return MM_OK;
}

/* see crew.h */
void
mm_crew_close(struct mm_crew **owner)
{
	struct mm_crew *c = *owner;

	*owner = NULL;
	if (c == NULL || !mm_chore_free(&c->chore, CLOSE_MS))
		return;
	mm_wipe(&c->job, sizeof(c->job));
	free(c);
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

/* see crew.h */
const char *
mm_crew_recipe(const struct mm_crew *c, bool offline)
{
	if (c == NULL)
		return "";
	return offline ? c->order_recipe : c->recipe;
}

/* see crew.h */
bool
mm_crew_rules(
    const struct mm_crew *c, bool offline, struct mm_unit_rules *out)
{
	const struct mm_crew_rules *r;

	if (c == NULL)
		return false;
	r = offline ? &c->order_rules : &c->rules;
	if (r->are)
		*out = r->rules;
	return r->are;
}

/* see crew.h */
enum mm_crew_label
mm_crew_label(const struct mm_crew *c, const char *serial)
{
	uint64_t at;

	for (size_t i = 0; i < c->runs; i++)
		if (mm_serials_find(&c->run[i], serial, &at))
			return MM_CREW_A_LABEL;
	return c->blind ? MM_CREW_MAYBE_LABEL : MM_CREW_NO_LABEL;
}

/* ---- badges ---- */

/* Every badge is compared, whichever it is. */
static const struct mm_work_person *
look_up(const struct mm_crew_set *s, const uint8_t hash[32])
{
	const struct mm_work_person *found = NULL;

	for (size_t i = 0; i < s->n; i++)
		if (CRYPTO_memcmp(s->person[i].badge, hash, 32) == 0)
			found = &s->person[i];
	return found;
}

static void
take_text(const struct mm_crew *c, struct mm_bytes text, struct mm_crew_job *j)
{
	j->n = c->n;
	for (size_t i = 0; i < c->n; i++)
		memcpy(j->of[i].salt, c->set[i].salt, sizeof(j->of[i].salt));
	/* what is longer is no badge: mm_work_badge says so */
	j->text_n = text.n < sizeof(j->text) ? text.n : sizeof(j->text);
	if (j->text_n > 0)
		memcpy(j->text, text.p, j->text_n);
}

static void
hash_all(void *arg)
{
	struct mm_crew_job *j = arg;
	const struct mm_bytes text = { j->text, j->text_n };

	for (size_t i = 0; i < j->n; i++) {
		struct mm_crew_hash *h = &j->of[i];

		h->done = mm_work_badge(text, h->salt, h->hash, NULL) == MM_OK;
	}
}

/* Whose it is, of a job that is done; nothing of it stays. */
static struct mm_crew_badge
take_badge(const struct mm_crew *c, struct mm_crew_job *j)
{
	struct mm_crew_badge badge = { .role = 0 };
	const struct mm_work_person *p = NULL;

	for (size_t i = 0; i < j->n && p == NULL; i++)
		if (j->of[i].done)
			p = look_up(&c->set[i], j->of[i].hash);
	mm_wipe(j, sizeof(*j));
	if (p != NULL) {
		memcpy(badge.id, p->id, sizeof(badge.id));
		badge.role = p->role;
	}
	return badge;
}

static void
take_answer(struct mm_crew *c)
{
	enum mm_crew_door door = c->job.door;
	struct mm_crew_answer *a =
	    &c->answer[c->job.ticket % MM_CREW_ANSWERS];

	a->ticket = c->answered = c->job.ticket;
	a->badge = take_badge(c, &c->job);
	if (a->badge.id[0] == '\0')
		mm_guess_wrong(&c->guess[door], mm_mono_ms());
}

static bool
is_free(struct mm_crew *c)
{
	if (c->chore == NULL)
		return mm_chore_new(&c->chore, NULL) == MM_OK;
	if (mm_chore_busy(c->chore))
		return false;
	if (c->asked != c->answered)
		take_answer(c);
	return true;
}

/* see crew.h */
uint64_t
mm_crew_ask(struct mm_crew *c, enum mm_crew_door door, struct mm_bytes text)
{
	if (!mm_crew_may(c, door) || !is_free(c))
		return 0;
	take_text(c, text, &c->job);
	c->job.door = door;
	c->job.ticket = ++c->asked;
	mm_chore_begin(c->chore, hash_all, &c->job);
	return c->asked;
}

/* see crew.h */
bool
mm_crew_may(const struct mm_crew *c, enum mm_crew_door door)
{
	return mm_guess_may(&c->guess[door], mm_mono_ms());
}

/* see crew.h */
bool
mm_crew_look(struct mm_crew *c, uint64_t ticket, struct mm_crew_badge *out)
{
	const struct mm_crew_answer *a = &c->answer[ticket % MM_CREW_ANSWERS];

	(void)is_free(c);
	if (ticket > c->answered)
		return false;
	*out = a->ticket == ticket ? a->badge : (struct mm_crew_badge){ "", 0 };
	return true;
}

/* see crew.h */
struct pollfd
mm_crew_wish(struct mm_crew *c)
{
	return c != NULL && c->chore != NULL ? mm_chore_wish(c->chore)
					     : (struct pollfd){ .fd = -1 };
}

/* see crew.h */
enum mm_err
mm_crew_judge(const struct mm_crew_badge *b, enum mm_work_role role,
    char id[MM_DEVICE_ID_MAX + 1], struct mm_why *why)
{
	if (b->id[0] == '\0')
		return MM_FAIL(why, MM_EPOLICY,
		    "badge: it is nobody's whom the batch names");
	if (b->role < (int)role)
		return MM_FAIL(why, MM_EPOLICY, "badge: want a %s's",
		    mm_work_role_words[role]);
	memcpy(id, b->id, sizeof(b->id));
	return MM_OK;
}

/* see crew.h */
enum mm_err
mm_crew_known(const struct mm_crew *c, struct mm_why *why)
{
	return c->unknown == MM_UR_NONE ? MM_OK
	    : MM_FAIL(why, MM_EAGAIN, "badge: whom the batch names is not "
	    "known yet");
}

/* see crew.h */
enum mm_err
mm_crew_who(struct mm_crew *c, struct mm_bytes badge, enum mm_work_role role,
    char id[MM_DEVICE_ID_MAX + 1], struct mm_why *why)
{
	struct mm_crew_job job = { .ticket = 0 };
	struct mm_crew_badge b;

	MM_TRY(mm_crew_known(c, why));
	take_text(c, badge, &job);
	hash_all(&job);
	b = take_badge(c, &job);
	return mm_crew_judge(&b, role, id, why);
}

static enum mm_err
read_badge(const char *path, struct mm_buf *b, struct mm_why *why)
{
	char chunk[MM_CREW_BADGE_MAX];
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
	MM_OWN(mm_buf_wipe) struct mm_buf b = MM_BUF_INIT(MM_CREW_BADGE_MAX);
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
void
mm_crew_came(struct mm_crew *c, enum mm_crew_door door,
    const struct mm_crew_badge *b)
{
	/* whoever it was, somebody else stands there now */
	c->supervisor[0] = '\0';
	if (b->role == MM_WORK_SUPERVISOR) {
		memcpy(c->supervisor, b->id, sizeof(b->id));
		c->supervisor_door = door;
		c->supervisor_ms = mm_mono_ms() + MM_CREW_SUPERVISOR_MS;
		if (mm_crew_operator(c)[0] == '\0')
			mm_crew_enter(c, b->id);
	} else if (strcmp(mm_crew_operator(c), b->id) == 0) {
		mm_crew_leave(c);
	} else {
		mm_crew_enter(c, b->id);
	}
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

/* see crew.h */
const char *
mm_crew_decides(const struct mm_crew *c, enum mm_crew_door door)
{
	return door != MM_DOOR_API && door == c->supervisor_door
	    ? mm_crew_supervisor(c) : "";
}

/* see crew.h */
void
mm_crew_decided(struct mm_crew *c)
{
	c->supervisor[0] = '\0';
}

/* ---- decisions ---- */

/* A line that was torn (a full disk, a power cut) stays by itself. */
static bool
is_torn(int fd)
{
	off_t end = lseek(fd, 0, SEEK_END);
	char last = '\n';

	return end > 0 && pread(fd, &last, 1, end - 1) == 1 && last != '\n';
}

static enum mm_err
append(const char *path, struct mm_bytes line, struct mm_why *why)
{
	int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	enum mm_err rc = fd < 0 ? MM_FAIL(why, MM_ESYS,
	    "decisions: the file cannot be written") : MM_OK;

	if (rc == MM_OK)
		rc = mm_name_sync(path, why);
	if (rc == MM_OK && is_torn(fd))
		rc = mm_fd_write(fd, mm_bytes_of("\n"), why);
	if (rc == MM_OK)
		rc = mm_fd_write(fd, line, why);

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
