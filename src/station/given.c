#include "station/given.h"

#include <string.h>

#include "base/text.h"
#include "line/initial.h"

/* see given.h */
void
mm_given_init(struct mm_given *g)
{
	*g = (struct mm_given)MM_GIVEN_INIT;
}

/* see given.h */
void
mm_given_forget(struct mm_given *g)
{
	mm_given_done(g);
	mm_given_init(g);
}

/* see given.h */
void
mm_given_done(struct mm_given *g)
{
	mm_buf_wipe(&g->part);
}

/* see given.h */
enum mm_err
mm_given_set(struct mm_given *g, int64_t version, struct mm_bytes document,
    const uint8_t mark[32], struct mm_why *why)
{
	mm_given_forget(g);
	if (version < 0 || version > INT32_MAX)
		return MM_FAIL(why, MM_EINPUT, "configuration: its version");
	g->is = MM_GIVEN_HERE;
	if (version == 0)
		return MM_OK;
	/* docs/protocol/link.md, put */
	mm_buf_u32(&g->part, (uint32_t)version);
	mm_buf_bytes(&g->part, document);
	g->version = version;
	memcpy(g->mark, mark, sizeof(g->mark));
	return mm_buf_ok(&g->part, why);
}

/* see given.h */
void
mm_given_salt(struct mm_given *g, const uint8_t salt[MM_SALT_N])
{
	static const uint8_t none[MM_SALT_N];
	const struct mm_bytes parts[] = { mm_bytes_of("mintmark-bundle"),
		{ salt, MM_SALT_N } };
	uint8_t hash[32];

	g->has_salt = g->version != 0 && memcmp(salt, none, MM_SALT_N) != 0;
	mm_sha256_parts(parts, 2, hash);
	memcpy(g->salt, hash, sizeof(g->salt));
}

/* see given.h; docs/protocol/link.md, commit */
void
mm_given_seal(struct mm_given *g, struct mm_bytes cert, struct mm_bytes chain)
{
	const struct mm_bytes parts[] = { cert, chain, mm_buf_view(&g->part) };
	const struct mm_bytes salted[] = { { g->bundle, sizeof(g->bundle) },
		{ g->salt, sizeof(g->salt) } };

	mm_sha256_parts(parts, 3, g->bundle);
	mm_sha256_parts(salted, g->has_salt ? 2 : 1, g->salted);
}

/* see given.h */
enum mm_err
mm_given_take(struct mm_given *g, const char *device, const json_t *answer,
    struct mm_why *why)
{
	const char *whose, *document = "", *hex = "", *salted = "", *mark = "";
	uint8_t hash[32], told[32], salt[MM_SALT_N] = { 0 };
	struct mm_bytes text;
	json_int_t version;
	int guessable = 0; /* an older centre does not say */

	if (json_unpack((json_t *)(uintptr_t)answer,
	    "{s:s,s:I,s?s,s?s,s?s,s?s,s?b}",
	    "device", &whose, "version", &version, "document", &document,
	    "sha256", &hex, "salt", &salted, "mark", &mark, "guessable",
	    &guessable) != 0 ||
	    strcmp(whose, device) != 0)
		return MM_FAIL(why, MM_EINPUT,
		    "configuration: the centre's answer is none of %.64s",
		    device);
	text = mm_bytes_of(document);
	mm_sha256(text, hash);
	if (version != 0 &&
	    (mm_hex_parse(hex, strlen(hex), told, 32, NULL) != MM_OK ||
	    memcmp(told, hash, 32) != 0))
		return MM_FAIL(why, MM_EINPUT, "configuration: what came is "
		    "not what its hash says");
	if (salted[0] != '\0' && mm_hex_parse(salted, strlen(salted), salt,
	    sizeof(salt), NULL) != MM_OK)
		return MM_FAIL(why, MM_EINPUT, "configuration: its salt");
	/* An older centre says none, and takes the one of before alone. */
	if (mark[0] != '\0')
		mm_initial_mark(salt, hash, told);
	else
		mm_initial_mark_before(salt, hash, told);
	MM_TRY(mm_given_set(g, version, text, told, why));
	mm_given_salt(g, salt);
	g->guessable = guessable != 0;
	return MM_OK;
}

/* see given.h */
void
mm_given_put(const struct mm_given *g, struct mm_json *j)
{
	if (g->version == 0)
		return;
	mm_json_int(j, "config_version", g->version);
	mm_json_hex(j, "config_sha256",
	    (struct mm_bytes){ g->mark, sizeof(g->mark) });
}

static bool
has_it(const struct mm_given *g, const struct mm_unit_said *said)
{
	/* firmware, or a station, of before takes no salt */
	return memcmp(said->bundle, g->bundle, sizeof(g->bundle)) == 0 ||
	    (g->has_salt &&
	    memcmp(said->bundle, g->salted, sizeof(g->salted)) == 0);
}

/* see given.h */
bool
mm_given_may(const struct mm_given *g, const struct mm_unit_said *said)
{
	return !said->bare || !g->has_salt || !g->guessable;
}

/* Its board is to be written. */
static enum mm_unit_event
write_it(const struct mm_given *g, const struct mm_unit_said *said,
    enum mm_unit_reason *reason)
{
	if (mm_given_may(g, said))
		return MM_EV_DONE;
	*reason = MM_UR_LIBRARY;
	return MM_EV_FAIL;
}

/* see given.h */
enum mm_unit_event
mm_given_judge(const struct mm_given *g, const struct mm_unit_said *said,
    enum mm_unit_event cert, enum mm_unit_reason *reason)
{
	/* What a maker's own program does not tell is its to see to. */
	if (!said->has_bundle)
		return cert == MM_EV_DONE ? write_it(g, said, reason) : cert;
	if (cert == MM_EV_SKIP && (g->version == 0 || has_it(g, said)))
		return MM_EV_SKIP;
	if (cert == MM_EV_SKIP && said->locked) {
		/* A version is one document; the chain may be another now. */
		if (said->config == g->version)
			return MM_EV_SKIP;
		*reason = MM_UR_CONFIG_OTHER;
		return MM_EV_HOLD;
	}
	if ((cert == MM_EV_SKIP || cert == MM_EV_DONE) &&
	    said->config > g->version) {
		*reason = MM_UR_CONFIG_OLDER;
		return MM_EV_FAIL;
	}
	return cert == MM_EV_SKIP || cert == MM_EV_DONE
	    ? write_it(g, said, reason) : cert;
}

/* see given.h */
enum mm_unit_event
mm_given_read_back(const struct mm_given *g, const struct mm_unit_said *said,
    enum mm_unit_event cert, enum mm_unit_reason *reason)
{
	if (cert != MM_EV_DONE || !g->written || !said->has_bundle ||
	    has_it(g, said))
		return cert;
	*reason = MM_UR_READ_BACK;
	return MM_EV_FAIL;
}
