#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "base/time.h"
#include "hsm/wire.h"

/* A person who waits for a key to be made has patience. */
#define BY_HAND_MS 60000
#define LOOK_MS    50 /* for news, while an answer is waited for */

struct mm_hsm {
	int control;
	struct {
		int fd;
		uint32_t number; /* of its last question */
		bool taken;
	} lane[MM_HSM_SESSIONS];
	int64_t deadline_ms;
	bool by_hand;
	pthread_mutex_t lock; /* of what follows, and of taken */
	pthread_cond_t given;
	enum mm_hsm_state state;
	char text[MM_HSM_TEXT], refused[MM_HSM_TEXT];
};

/* ---- attaching ---- */

/* The words of an issuer, "control:lane:lane..."; NULL: it has none. */
static const char *
words_of(const char *keys, const char *issuer)
{
	size_t n = strlen(issuer);

	while (*keys != '\0') {
		if (strncmp(keys, issuer, n) == 0 && keys[n] == '=')
			return keys + n + 1;
		keys += strcspn(keys, ",");
		keys += *keys == ',';
	}
	return NULL;
}

/* A number and what ends it; -1: none is there. */
static int
take_fd(const char **words)
{
	char *end = NULL;
	long fd = strtol(*words, &end, 10);

	if (end == *words || fd < 3 || fd > 65535)
		return -1;
	*words = *end == ':' ? end + 1 : end;
	return (int)fd;
}

/* see hsm.h */
bool
mm_hsm_keeps(const char *keys, int fd)
{
	while (keys != NULL && *keys != '\0') {
		keys += strcspn(keys, "=");
		keys += *keys == '=';
		while (*keys != '\0' && *keys != ',') {
			int have = take_fd(&keys);

			if (have == fd)
				return true;
			if (have < 0)
				return false;
		}
		keys += *keys == ',';
	}
	return false;
}

/* see hsm.h */
enum mm_err
mm_hsm_attach(const char *keys, const char *issuer, struct mm_hsm **out,
    struct mm_why *why)
{
	const char *words = keys == NULL ? NULL : words_of(keys, issuer);
	struct mm_hsm *h;

	if (words == NULL)
		return MM_FAIL(why, MM_ENOTFOUND, "issuer %s: its key is in a "
		    "token, and no keeper was started for it: this is run by "
		    "mintmarkd, mintmark or mintmark-keeper", issuer);
	h = calloc(1, sizeof(*h));
	if (h == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->given, NULL);
	h->control = take_fd(&words);
	for (size_t i = 0; i < MM_HSM_SESSIONS; i++)
		h->lane[i].fd = take_fd(&words);
	if (h->lane[MM_HSM_SESSIONS - 1].fd < 0) {
		mm_hsm_free(&h);
		return MM_FAIL(why, MM_EINPUT, "--keys: malformed");
	}
	*out = h;
	return MM_OK;
}

/* see hsm.h */
void
mm_hsm_free(struct mm_hsm **owner)
{
	struct mm_hsm *h = *owner;

	if (h == NULL)
		return;
	if (h->control >= 0)
		close(h->control);
	for (size_t i = 0; i < MM_HSM_SESSIONS; i++)
		if (h->lane[i].fd >= 0)
			close(h->lane[i].fd);
	pthread_cond_destroy(&h->given);
	pthread_mutex_destroy(&h->lock);
	free(h);
	*owner = NULL;
}

/* ---- control ---- */

static bool
tell(const struct mm_hsm *h, struct mm_bytes message)
{
	return send(h->control, message.p, message.n,
	    MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)message.n;
}

/* see hsm.h */
enum mm_err
mm_hsm_begin(struct mm_hsm *h, const struct mm_hsm_begin *b,
    struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf m = MM_BUF_INIT(MM_HSM_MESSAGE_MAX);

	h->by_hand = b->by_hand;
	h->deadline_ms = b->deadline_ms;
	mm_buf_u8(&m, MM_HSM_BEGIN);
	mm_buf_u8(&m, b->by_hand);
	mm_buf_block16(&m, b->pin);
	mm_buf_block16(&m, mm_bytes_of(b->refused));
	MM_TRY(mm_buf_ok(&m, why));
	return tell(h, mm_buf_view(&m)) ? MM_OK :
	    MM_FAIL(why, MM_ESYS, "the key's keeper has ended: its words are "
		"above");
}

static void
put_state(struct mm_hsm *h, enum mm_hsm_state state, struct mm_bytes text,
    struct mm_bytes refused)
{
	bool again = state == MM_HSM_REFUSED && h->state == state;

	h->state = state;
	/* of one PIN the first words say how, later ones that it was so */
	if (again && mm_bytes_eq(refused, mm_bytes_of(h->refused)))
		return;
	if (!mm_text_copy(h->text, sizeof(h->text), text))
		h->text[0] = '\0';
	if (!mm_text_copy(h->refused, sizeof(h->refused), refused))
		h->refused[0] = '\0';
}

/* All that came; its lock is held. */
static void
hear(struct mm_hsm *h)
{
	uint8_t m[MM_HSM_MESSAGE_MAX];
	ssize_t n;

	while ((n = recv(h->control, m, sizeof(m), MSG_DONTWAIT)) > 0) {
		struct mm_rd r = mm_rd_over((struct mm_bytes){ m, (size_t)n });
		unsigned state = mm_rd_u8(&r);
		struct mm_bytes text = mm_rd_block16(&r);
		struct mm_bytes refused = mm_rd_block16(&r);

		if (mm_rd_end(&r) && state <= MM_HSM_REFUSED)
			put_state(h, (enum mm_hsm_state)state, text, refused);
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		put_state(h, MM_HSM_GONE, mm_bytes_of("its keeper has ended"),
		    (struct mm_bytes){ NULL, 0 });
}

static void
away(struct mm_hsm *h, const char *text)
{
	pthread_mutex_lock(&h->lock);
	if (h->state == MM_HSM_READY)
		put_state(h, MM_HSM_AWAY, mm_bytes_of(text),
		    (struct mm_bytes){ NULL, 0 });
	pthread_mutex_unlock(&h->lock);
}

/* see hsm.h */
enum mm_hsm_state
mm_hsm_look(struct mm_hsm *h, char text[MM_HSM_TEXT])
{
	enum mm_hsm_state state;

	pthread_mutex_lock(&h->lock);
	hear(h);
	state = h->state;
	memcpy(text, h->text, MM_HSM_TEXT);
	pthread_mutex_unlock(&h->lock);
	return state;
}

/* see hsm.h */
enum mm_hsm_state
mm_hsm_wait(struct mm_hsm *h, int64_t ms, char text[MM_HSM_TEXT])
{
	struct pollfd p = { .fd = h->control, .events = POLLIN };
	int64_t end = mm_mono_ms() + ms;
	enum mm_hsm_state state;

	while ((state = mm_hsm_look(h, text)) == MM_HSM_WAITS) {
		int64_t left = end - mm_mono_ms();

		if (left <= 0)
			break;
		poll(&p, 1, (int)left);
	}
	return state;
}

/* see hsm.h */
void
mm_hsm_refused(struct mm_hsm *h, char out[MM_HSM_TEXT])
{
	pthread_mutex_lock(&h->lock);
	memcpy(out, h->refused, MM_HSM_TEXT);
	pthread_mutex_unlock(&h->lock);
}

/* see hsm.h */
void
mm_hsm_again(struct mm_hsm *h)
{
	static const uint8_t order = MM_HSM_AGAIN;

	pthread_mutex_lock(&h->lock);
	hear(h);
	h->state = MM_HSM_WAITS;
	pthread_mutex_unlock(&h->lock);
	(void)tell(h, (struct mm_bytes){ &order, 1 });
}

/* see hsm.h */
enum mm_err
mm_hsm_ready(struct mm_hsm *h, struct mm_why *why)
{
	char text[MM_HSM_TEXT];
	enum mm_hsm_state state = h->by_hand ?
	    mm_hsm_wait(h, BY_HAND_MS, text) : mm_hsm_look(h, text);

	if (state == MM_HSM_READY)
		return MM_OK;
	return MM_FAIL(why, MM_EAGAIN, "the key's token: %.120s",
	    state == MM_HSM_WAITS ? "it has not been opened yet" : text);
}

/* ---- lanes ---- */

static size_t
take_lane(struct mm_hsm *h)
{
	size_t i = MM_HSM_SESSIONS;

	pthread_mutex_lock(&h->lock);
	for (;;) {
		for (i = 0; i < MM_HSM_SESSIONS && h->lane[i].taken; i++)
			;
		if (i < MM_HSM_SESSIONS)
			break;
		pthread_cond_wait(&h->given, &h->lock);
	}
	h->lane[i].taken = true;
	pthread_mutex_unlock(&h->lock);
	return i;
}

static void
give_lane(struct mm_hsm *h, size_t i)
{
	pthread_mutex_lock(&h->lock);
	h->lane[i].taken = false;
	pthread_cond_signal(&h->given);
	pthread_mutex_unlock(&h->lock);
}

/* One that came, if it has that number. */
static bool
take_answer(int fd, uint32_t number, struct mm_buf *answer)
{
	uint8_t *room;
	struct mm_rd r;
	ssize_t n;

	mm_buf_reset(answer);
	room = mm_buf_room(answer, MM_HSM_MESSAGE_MAX);
	if (room == NULL)
		return false;
	n = recv(fd, room, MM_HSM_MESSAGE_MAX, MSG_DONTWAIT);
	answer->n = n < 0 ? 0 : (size_t)n;
	r = mm_rd_over(mm_buf_view(answer));
	return n >= 5 && mm_rd_u32(&r) == number;
}

/* The answer with that number; false: none came in time, or the news that
 * none will. */
static bool
await(struct mm_hsm *h, int fd, uint32_t number, struct mm_buf *answer)
{
	int64_t end = mm_mono_ms() + (h->by_hand ? BY_HAND_MS : h->deadline_ms);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char text[MM_HSM_TEXT];

	do {
		int n = poll(&p, 1, LOOK_MS);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0 && take_answer(fd, number, answer))
			return true;
		if (mm_hsm_look(h, text) != MM_HSM_READY)
			return false;
	} while (mm_mono_ms() < end);
	return false;
}

static enum mm_err
ask_lane(struct mm_hsm *h, size_t i, struct mm_buf *question,
    struct mm_buf *answer, struct mm_why *why)
{
	static const uint8_t kick = MM_HSM_KICK;
	const int fd = h->lane[i].fd;
	uint32_t number = ++h->lane[i].number;

	for (unsigned k = 0; k < 4; k++)
		question->p[k] = (uint8_t)(number >> (24 - 8 * k));
	if (send(fd, question->p, question->n, MSG_NOSIGNAL | MSG_DONTWAIT) ==
	    (ssize_t)question->n && await(h, fd, number, answer))
		return MM_OK;
	away(h, "it does not answer");
	(void)tell(h, (struct mm_bytes){ &kick, 1 });
	return MM_FAIL(why, MM_EAGAIN, "the key's token: it does not answer");
}

/* The answer's bytes, borrowed from answer. */
static enum mm_err
ask(struct mm_hsm *h, enum mm_hsm_op op, struct mm_bytes in,
    struct mm_buf *answer, struct mm_bytes *out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf q = MM_BUF_INIT(MM_HSM_MESSAGE_MAX);
	char text[MM_HSM_TEXT];
	struct mm_rd r;
	enum mm_err rc;
	size_t i;

	MM_TRY(mm_hsm_ready(h, why));
	mm_buf_u32(&q, 0);
	mm_buf_u8(&q, (uint8_t)op);
	mm_buf_bytes(&q, in);
	MM_TRY(mm_buf_ok(&q, why));
	i = take_lane(h);
	rc = ask_lane(h, i, &q, answer, why);
	give_lane(h, i);
	MM_TRY(rc);
	r = mm_rd_over(mm_buf_view(answer));
	(void)mm_rd_u32(&r);
	rc = mm_err_from_byte(mm_rd_u8(&r));
	*out = mm_rd_take(&r, r.left);
	if (rc == MM_OK)
		return MM_OK;
	if (!mm_text_copy(text, sizeof(text), *out))
		text[0] = '\0';
	if (rc == MM_EAGAIN)
		away(h, text);
	return MM_FAIL(why, rc, "the key's token: %.120s", text);
}

/* see hsm.h */
enum mm_err
mm_hsm_sign(void *ctx, struct mm_bytes input, uint8_t *sig, size_t *n,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf a = MM_BUF_INIT(MM_HSM_MESSAGE_MAX);
	struct mm_bytes made;

	MM_TRY(ask(ctx, MM_HSM_SIGN, input, &a, &made, why));
	if (made.n > *n)
		return MM_FAIL(why, MM_ECRYPTO, "the key's token: its "
		    "signature has %zu bytes", made.n);
	memcpy(sig, made.p, made.n);
	*n = made.n;
	return MM_OK;
}

/* A keeper is believed in nothing. */
static enum mm_err
take_spki(struct mm_bytes der, struct mm_buf *out, struct mm_why *why)
{
	struct mm_spki spki;

	MM_TRY(mm_spki_parse(der, &spki, why));
	mm_buf_bytes(out, der);
	return mm_buf_ok(out, why);
}

/* see hsm.h */
enum mm_err
mm_hsm_public(struct mm_hsm *h, struct mm_buf *spki, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf a = MM_BUF_INIT(MM_HSM_MESSAGE_MAX);
	struct mm_bytes der;

	MM_TRY(ask(h, MM_HSM_PUBLIC, (struct mm_bytes){ NULL, 0 }, &a, &der,
	    why));
	return take_spki(der, spki, why);
}

/* see hsm.h */
enum mm_err
mm_hsm_make(struct mm_hsm *h, enum mm_key_type type, struct mm_buf *spki,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf a = MM_BUF_INIT(MM_HSM_MESSAGE_MAX);
	const uint8_t which = (uint8_t)type;
	struct mm_bytes der;

	MM_TRY(ask(h, MM_HSM_MAKE, (struct mm_bytes){ &which, 1 }, &a, &der,
	    why));
	return take_spki(der, spki, why);
}
