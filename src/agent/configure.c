#include "agent/configure.h"

#include <stdio.h>
#include <string.h>

#include "agent/priv.h"
#include "base/own.h"
#include "base/text.h"
#include "pki/confdoc.h"
#include "pki/key.h"

struct fetch {
	unsigned slot;
	const struct mm_agent_identity *id;
	const char *tag; /* NULL: nothing is at hand */
	bool whole;      /* what is at hand */
	bool same;
	struct mm_buf signed_;
};

/* see configure.h */
void
mm_agent_confmark(const struct mm_agent_configured *c,
    char out[MM_AGENT_CONFMARK])
{
	char hex[17];

	mm_hex_text(c->sha256, 8, hex);
	snprintf(out, MM_AGENT_CONFMARK, "%lu-%s", (unsigned long)c->version,
	    hex);
}

static enum mm_err
run_fetch(struct mm_agent *a, void *arg, int32_t *retry_s, struct mm_why *why)
{
	struct mm_agent_reply r = { .retry_s = -1 };
	struct fetch *f = arg;
	enum mm_err err;

	mm_buf_reset(&f->signed_);
	MM_TRY(mm_agent_open_mutual(a, f->slot, f->id, why));
	err = mm_agent_get(a, "config", f->tag, &r, why);
	mm_agent_learn_time(a, r.date_s);
	*retry_s = r.retry_s;
	MM_TRY(err);
	f->same = r.status == 304;
	if (!f->same)
		mm_buf_bytes(&f->signed_, r.body);
	return mm_buf_ok(&f->signed_, why);
}

/* Is it for us, and is it news? */
static enum mm_err
check(const struct mm_confdoc *c, const struct mm_agent_identity *id,
    const struct mm_agent_configured *have,
    const struct mm_agent_configured *got, struct mm_why *why)
{
	uint8_t own[32];

	mm_sha256(mm_buf_view(&id->cert), own);
	if (memcmp(own, c->certificate, sizeof(own)) != 0)
		return MM_FAIL(why, MM_EPOLICY,
		    "configuration: for another device's certificate");
	if (got->version < have->version)
		return MM_FAIL(why, MM_EPOLICY, "configuration: the server's "
		    "version %lu is older than %lu, which is in use and "
		    "stays; its operator must see to it",
		    (unsigned long)got->version, (unsigned long)have->version);
	if (got->version == have->version &&
	    memcmp(got->sha256, have->sha256, 32) != 0)
		return MM_FAIL(why, MM_EPOLICY, "configuration: the server's "
		    "version %lu is another one than that in use, which "
		    "stays; its operator must see to it",
		    (unsigned long)got->version);
	return MM_OK;
}

/* An answer of no bytes is no signed one either: what "the same" is to
 * somebody who was told of nothing. */
static enum mm_err
take(const struct fetch *f, const struct mm_agent_confstore *s,
    struct mm_agent_configured *have, struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf text =
	    MM_BUF_INIT(MM_CONFDOC_MAX + MM_CONFDOC_HEAD_MAX);
	const struct mm_confdoc_trust trust = {
		mm_buf_view(&f->id->anchor), mm_buf_view(&f->id->chain) };
	struct mm_agent_configured got = { .fresh = true };
	struct mm_confdoc c;

	MM_TRY(mm_confdoc_verify(mm_buf_view(&f->signed_), &trust, &text,
	    why));
	MM_TRY(mm_confdoc_parse(mm_buf_view(&text), &c, why));
	got.version = c.version;
	mm_sha256(c.document, got.sha256);
	MM_TRY(check(&c, f->id, have, &got, why));
	MM_TRY(s->put(s->ctx, &got, c.document, mm_buf_view(&f->signed_),
	    why));
	*have = got;
	return MM_OK;
}

static enum mm_err
fetch(struct mm_agent *a, struct fetch *f, const struct mm_agent_confstore *s,
    struct mm_agent_configured *have, struct mm_why *why)
{
	const struct mm_agent_try t = { run_fetch, f };

	MM_TRY(mm_agent_attempt(a, &t, why));
	if (!f->same)
		return take(f, s, have, why);
	return f->whole ? MM_OK : MM_FAIL(why, MM_EINPUT,
	    "configuration: the same, says the server, as nothing");
}

/* Of what is not whole the version alone: so the server sends it again, and a
 * server that was put back to an older backup hears how far it must go. */
static const char *
put_tag(const struct mm_agent_configured *have, bool whole,
    char tag[MM_AGENT_CONFMARK + 2])
{
	struct mm_agent_configured said = { .version = have->version };
	char mark[MM_AGENT_CONFMARK];

	if (have->version == 0)
		return NULL;
	if (whole)
		said = *have;
	mm_agent_confmark(&said, mark);
	snprintf(tag, MM_AGENT_CONFMARK + 2, "\"%s\"", mark);
	return tag;
}

/* see configure.h; what is not whole is fetched anew, and stays the least */
enum mm_err
mm_agent_configure(struct mm_agent *a, const struct mm_agent_confstore *s,
    struct mm_agent_configured *out, struct mm_why *why)
{
	MM_OWN(mm_agent_identity_done) struct mm_agent_identity id;
	struct fetch f = { .id = &id,
		.signed_ = MM_BUF_INIT(MM_CONFDOC_SIGNED_MAX) };
	struct mm_agent_configured have = { .version = 0 };
	char tag[MM_AGENT_CONFMARK + 2];
	enum mm_err err;

	*out = (struct mm_agent_configured){ .version = 0 };
	mm_agent_identity_init(&id);
	MM_TRY(s->have(s->ctx, &have, &f.whole, why));
	if (f.whole)
		*out = have;
	MM_TRY(mm_agent_selected(a, &f.slot, why));
	MM_TRY(mm_agent_identity_load(a, f.slot, &id, why));
	f.tag = put_tag(&have, f.whole, tag);
	err = fetch(a, &f, s, &have, why);
	if (err == MM_OK)
		*out = have;
	mm_buf_wipe(&f.signed_);
	return err;
}
