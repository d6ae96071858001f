#include "ledger/journal.h"

#include <inttypes.h>
#include <string.h>

#include "base/line.h"
#include "pki/key.h"

static const char *const kinds[MM_J_KINDS] = {
	[MM_J_CERTIFICATE] = "certificate",
	[MM_J_CA] = "ca",
	[MM_J_SERVER] = "server",
	[MM_J_REQUEST] = "request",
	[MM_J_CRL] = "crl",
	[MM_J_CHECKPOINT] = "checkpoint",
	[MM_J_TOKEN] = "token",
	[MM_J_RECOVERED] = "recovered",
	[MM_J_CLOCK] = "clock",
	[MM_J_RECOVERY] = "recovery",
	[MM_J_ORDER] = "order",
	[MM_J_EXTENSION] = "extension",
	[MM_J_EXPORT] = "export",
	[MM_J_DESTROYED] = "destroyed",
	[MM_J_ROOT_CRL] = "root-crl",
	[MM_J_RESPONDER] = "responder",
	[MM_J_SHARD] = "shard",
	[MM_J_CONFIGURATION] = "configuration",
	[MM_J_SCRAPPED] = "scrapped",
};

#define COL(key, type, f, must)                                      \
	MM_LINE_COLUMN(key, MM_LINE_##type, struct mm_journal_line, f, \
	    must)
/* The keys in their order. */
static const struct mm_line_column columns[] = {
	COL("n", NUMBER, n, true),
	COL("at", TIME_MS, at_ms, true),
	MM_LINE_NAMES("kind", struct mm_journal_line, kind, true, kinds),
	COL("issuer", TEXT, issuer, false),
	COL("serial", HEX, serial, false),
	COL("token", TEXT, token, false),
	COL("number", NUMBER, number, false),
	COL("shard", NUMBER, shard, false),
	COL("device", TEXT, device, false),
	COL("authority", TEXT, authority, false),
	COL("profile", TEXT, profile, false),
	COL("not_after", TIME_S, not_after_s, false),
	COL("spki_sha256", HEX, spki_sha256, false),
	COL("tbs_sha256", HEX, tbs_sha256, false),
	COL("document_sha256", HEX, document_sha256, false),
	COL("prev", HEX, prev, true),
};
static const struct mm_line_form form = { columns,
	sizeof(columns) / sizeof(columns[0]), MM_JOURNAL_LINE_MAX };

/* see journal.h */
const char *
mm_journal_kind_name(enum mm_journal_kind k)
{
	return kinds[k];
}

/* see journal.h */
bool
mm_journal_text_valid(const char *s)
{
	return mm_line_text_valid(s);
}

/* see journal.h */
void
mm_journal_encode(const struct mm_journal_line *l, struct mm_buf *out)
{
	mm_line_put(&form, l, out);
}

/* see journal.h */
enum mm_err
mm_journal_parse(struct mm_bytes line, struct mm_journal_line *out,
    struct mm_why *why)
{
	struct mm_journal_line l = { 0 };

	if (!mm_line_get(&form, line, &l))
		return MM_FAIL(why, MM_EINPUT, "journal: malformed line");
	*out = l;
	return MM_OK;
}

static void
step(struct mm_journal_chain *c, const struct mm_journal_line *l,
    const uint8_t *line, size_t n)
{
	c->n = l->n;
	c->at_ms = l->at_ms;
	mm_sha256((struct mm_bytes){ line, n }, c->hash);
}

/* see journal.h */
void
mm_journal_link(struct mm_journal_chain *c, struct mm_journal_line *l,
    int64_t now_ms, struct mm_buf *out)
{
	size_t start = out->n;

	l->n = c->n + 1;
	l->at_ms = now_ms > c->at_ms ? now_ms : c->at_ms;
	if (l->kind == MM_J_CLOCK) {
		l->at_ms = now_ms;
		l->number = (uint64_t)c->at_ms;
	}
	memcpy(l->prev, c->hash, sizeof(l->prev));
	mm_journal_encode(l, out);
	if (out->err == MM_OK)
		step(c, l, out->p + start, out->n - start);
}

/* A clock's line goes back, and from nowhere but where the chain stands. */
static bool
time_follows(const struct mm_journal_chain *c, const struct mm_journal_line *l)
{
	if (l->kind == MM_J_CLOCK)
		return l->number == (uint64_t)c->at_ms;
	return l->at_ms >= c->at_ms;
}

/* see journal.h */
enum mm_err
mm_journal_next(struct mm_bytes *rest, struct mm_journal_chain *c,
    struct mm_journal_line *out, struct mm_why *why)
{
	struct mm_journal_line l;
	const uint8_t *lf;
	size_t n;

	if (rest->n == 0)
		return MM_ENOTFOUND;
	lf = memchr(rest->p, '\n', rest->n);
	if (lf == NULL)
		return MM_EAGAIN;
	n = (size_t)(lf - rest->p);
	if (mm_journal_parse((struct mm_bytes){ rest->p, n }, &l, NULL) !=
	    MM_OK)
		return MM_FAIL(why, MM_EPOLICY, "journal: the line after "
		    "number %" PRIu64 " is malformed", c->n);
	if (l.n != c->n + 1 || !time_follows(c, &l) ||
	    memcmp(l.prev, c->hash, sizeof(l.prev)) != 0)
		return MM_FAIL(why, MM_EPOLICY, "journal: the line after "
		    "number %" PRIu64 " does not follow it", c->n);
	step(c, &l, rest->p, n + 1);
	rest->p += n + 1;
	rest->n -= n + 1;
	*out = l;
	return MM_OK;
}
