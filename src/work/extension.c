#include <inttypes.h>
#include <string.h>

#include "base/own.h"
#include "base/time.h"
#include "work/priv.h"

#define MARK     "MMX1"
#define SIG_N    64
#define WORDS    6

/* see order.h */
enum mm_err
mm_work_extension_encode(const struct mm_work_extension *e,
    struct mm_buf *out, struct mm_why *why)
{
	char until[MM_TIME_TEXT];

	if (!mm_name_valid(e->batch) || !mm_name_valid(e->station) ||
	    e->number < 1 || e->share < 1 || e->share > MM_WORK_SHARE_MAX ||
	    e->until_ms < 0 || e->until_ms % 1000 != 0 ||
	    e->until_ms / 1000 > MM_TIME_FOREVER_S)
		return MM_FAIL(why, MM_EINPUT, "extension: out of bounds");
	mm_time_text_s(e->until_ms / 1000, until);
	mm_buf_printf(out, MARK " %s %s %" PRId64 " %" PRId64 " %s",
	    e->batch, e->station, e->number, e->share, until);
	return mm_buf_ok(out, why);
}

/* see order.h */
void
mm_work_extension_tbs(struct mm_bytes line, const char *key_name,
    struct mm_buf *out)
{
	mm_buf_printf(out, "mintmark-extension/1 %s\n", key_name);
	mm_buf_bytes(out, line);
	mm_buf_text(out, "\n");
}

/* see order.h */
void
mm_work_extension_join(struct mm_buf *out, struct mm_bytes line,
    const uint8_t sig[64])
{
	mm_buf_bytes(out, line);
	mm_buf_text(out, " ");
	mm_base64url_put(out, (struct mm_bytes){ sig, SIG_N });
}

/* The words between single spaces; false if they are not exactly WORDS. */
static bool
split(char *text, const char *word[WORDS])
{
	for (size_t i = 0; i < WORDS; i++) {
		char *space = strchr(text, ' ');

		if ((space == NULL) != (i == WORDS - 1))
			return false;
		word[i] = text;
		if (space != NULL) {
			*space = '\0';
			text = space + 1;
		}
	}
	return true;
}

/* Everything but the form, which encoding again decides. */
static bool
read_words(const char *const word[WORDS], struct mm_work_extension *e)
{
	return strcmp(word[0], MARK) == 0 &&
	    mm_text_copy(e->batch, sizeof(e->batch), mm_bytes_of(word[1])) &&
	    mm_text_copy(e->station, sizeof(e->station),
		mm_bytes_of(word[2])) &&
	    mm_int_parse(word[3], &e->number, NULL) == MM_OK &&
	    mm_int_parse(word[4], &e->share, NULL) == MM_OK &&
	    mm_time_parse(word[5], &e->until_ms, NULL) == MM_OK;
}

/* see order.h */
enum mm_err
mm_work_extension_parse(struct mm_bytes line, struct mm_work_extension *out,
    struct mm_why *why)
{
	char copy[MM_WORK_EXTENSION_MAX];
	MM_OWN(mm_buf_done) struct mm_buf again = MM_BUF_INIT(sizeof(copy));
	struct mm_work_extension e = { 0 };
	const char *word[WORDS];

	if (!mm_text_copy(copy, sizeof(copy), line) || !split(copy, word) ||
	    !read_words(word, &e))
		return MM_FAIL(why, MM_EINPUT, "extension: want " MARK
		    ", batch, station, number, share and end");
	MM_TRY(mm_work_extension_encode(&e, &again, why));
	if (!mm_bytes_eq(mm_buf_view(&again), line))
		return MM_FAIL(why, MM_EINPUT,
		    "extension: not in canonical form");
	*out = e;
	return MM_OK;
}

static bool
get_signature(struct mm_bytes text, uint8_t sig[SIG_N])
{
	struct mm_buf b = MM_BUF_INIT(SIG_N);
	bool good = mm_base64url_parse(text, &b, NULL) == MM_OK &&
	    b.n == SIG_N;

	if (good)
		memcpy(sig, b.p, SIG_N);
	mm_buf_done(&b);
	return good;
}

static enum mm_err
check_signed(struct mm_bytes line, const uint8_t sig[SIG_N],
    const struct mm_note_key *key, struct mm_why *why)
{
	struct mm_buf tbs = MM_BUF_INIT(MM_WORK_EXTENSION_MAX +
	    MM_ORIGIN_MAX + 32);
	bool holds;

	mm_work_extension_tbs(line, key->name, &tbs);
	holds = tbs.err == MM_OK &&
	    mm_note_key_verify(key, mm_buf_view(&tbs), sig);
	mm_buf_done(&tbs);
	return holds ? MM_OK : MM_FAIL(why, MM_EPOLICY,
	    "extension: not signed by %.100s", key->name);
}

/* see order.h */
enum mm_err
mm_work_extension_verify(struct mm_bytes text, const struct mm_note_key *key,
    struct mm_work_extension *out, struct mm_why *why)
{
	struct mm_bytes line = text, last;
	struct mm_work_extension e;
	uint8_t sig[SIG_N];

	while (line.n > 0 && line.p[line.n - 1] != ' ')
		line.n--;
	last = (struct mm_bytes){ text.p + line.n, text.n - line.n };
	if (line.n == 0 || !get_signature(last, sig))
		return MM_FAIL(why, MM_EINPUT,
		    "extension: cut off, or none");
	line.n--;
	MM_TRY(mm_work_extension_parse(line, &e, why));
	MM_TRY(check_signed(line, sig, key, why));
	*out = e;
	return MM_OK;
}

/* see order.h */
enum mm_err
mm_work_extension_apply(const struct mm_work_extension *e,
    struct mm_work_order *o, struct mm_why *why)
{
	if (strcmp(e->batch, o->batch) != 0 ||
	    strcmp(e->station, o->station) != 0 || e->number != o->number)
		return MM_FAIL(why, MM_EPOLICY, "extension: it is for order "
		    "%" PRId64 " of batch %s at station %s", e->number,
		    e->batch, e->station);
	if (e->share < o->share || e->until_ms < o->until_ms)
		return MM_FAIL(why, MM_EPOLICY,
		    "extension: less than the order has");
	o->share = e->share;
	o->until_ms = e->until_ms;
	return MM_OK;
}
