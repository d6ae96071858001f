#include "cli/listed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/text.h"
#include "cli/marks.h"
#include "pki/cert.h"

#define OID_CDP "2.5.29.31"

struct one {
	int64_t shard;
	uint8_t serial[MM_SERIAL_N];
};
struct some {
	struct one *at;
	size_t n, cap;
	int64_t shard; /* of all of them; else each one's own */
	bool own;
};

static enum mm_err
take(void *ctx, const void *row_, const char *next, struct mm_why *why)
{
	const struct mm_cert_row *row = row_;
	struct some *s = ctx;
	struct one *p = mm_grown(s->at, s->n, &s->cap, sizeof(*p));

	(void)next;
	if (p == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	s->at = p;
	p += s->n++;
	p->shard = !s->own			     ? s->shard
		   : row->state == MM_CERT_ORPHANED ? MM_SHARD_NONE
						     : (int64_t)row->shard;
	memcpy(p->serial, row->serial, sizeof(p->serial));
	return MM_OK;
}

static int
order(const void *a_, const void *b_)
{
	const struct one *a = a_, *b = b_;

	if (a->shard != b->shard)
		return a->shard < b->shard ? -1 : 1;
	return memcmp(a->serial, b->serial, sizeof(a->serial));
}

static void
differ(json_t *differences, const struct one *o, const char *what)
{
	char record[16 + 2 * MM_SERIAL_N + 1] = "certificate ";

	mm_hex_text(o->serial, sizeof(o->serial), record + strlen(record));
	mm_differ(differences, record, what);
}

/* Two sorted lists, one walk. */
static void
compare(const struct some *want, const struct some *have, json_t *differences)
{
	size_t i = 0, k = 0;

	while (i < want->n || k < have->n) {
		int c = i == want->n ? 1 : k == have->n ? -1 :
		    order(&want->at[i], &have->at[k]);

		if (c < 0)
			differ(differences, &want->at[i],
			    "revoked, and not among its shard's");
		if (c > 0)
			differ(differences, &have->at[k],
			    "among a shard's that is not its own");
		i += c <= 0;
		k += c >= 0;
	}
}

/* By each shard that there is, and by all at once: who stands at one that
 * nobody has would be found so alone. */
static enum mm_err
take_shards(struct mm_store_reader *db, const char *issuer,
    const struct some *want, struct some *have, size_t *n, struct mm_why *why)
{
	struct mm_shards_of of = { .issuer = issuer };
	struct some all = { .own = true };
	enum mm_err rc = MM_OK;

	for (size_t i = 0; rc == MM_OK && i < want->n; i++) {
		if (i > 0 && want->at[i].shard == want->at[i - 1].shard)
			continue;
		of.from = of.to = have->shard = want->at[i].shard;
		rc = mm_list_revoked_shards(db, &of, take, have, why);
	}
	of.from = MM_SHARD_NONE;
	of.to = INT32_MAX;
	if (rc == MM_OK)
		rc = mm_list_revoked_shards(db, &of, take, &all, why);
	*n = all.n;
	free(all.at);
	return rc;
}

/* see listed.h */
enum mm_err
mm_listed_compare(struct mm_store_reader *db, const char *issuer,
    json_t *differences, struct mm_why *why)
{
	struct some want = { .own = true }, have = { .own = false };
	char record[MM_NAME_MAX + 16];
	size_t n = 0;
	enum mm_err rc = mm_list_revoked(db, issuer, 0, take, &want, why);

	if (rc == MM_OK && want.n > 0)
		qsort(want.at, want.n, sizeof(want.at[0]), order);
	if (rc == MM_OK)
		rc = take_shards(db, issuer, &want, &have, &n, why);
	if (rc == MM_OK && have.n > 0)
		qsort(have.at, have.n, sizeof(have.at[0]), order);
	if (rc == MM_OK)
		compare(&want, &have, differences);
	snprintf(record, sizeof(record), "issuer %s", issuer);
	if (rc == MM_OK && n > have.n)
		mm_differ(differences, record,
		    "certificates stand at shards that are not theirs");
	free(want.at);
	free(have.at);
	return rc;
}

/* see listed.h; as ours are written: one point, and its URI is last */
bool
mm_listed_names(const struct mm_cert *c, const char *issuer, uint32_t shard)
{
	struct mm_bytes value = { NULL, 0 };
	char end[MM_NAME_MAX + 32], path[MM_NAME_MAX + 32];
	size_t n;

	if (!mm_cert_extension(c, OID_CDP, NULL, &value))
		return true;
	n = (size_t)snprintf(path, sizeof(path), "/crl/%s/", issuer);
	if (memmem(value.p, value.n, path, n) == NULL)
		return true;
	n = (size_t)snprintf(end, sizeof(end), "/crl/%s/%u.crl", issuer,
	    shard);
	return value.n >= n && memcmp(value.p + value.n - n, end, n) == 0;
}
