#include "ledger/note.h"

#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "pki/key.h"

#define ED25519     0x01 /* C2SP signed-note: signature type */
#define SIG_N       64
#define ID_N        4
#define KEY_TEXT_MAX 400
/* At least 16 signatures must be read, of about 7 kB if post-quantum. */
#define READ_MAX (128U << 10)

MM_FREE_FN(free_pkey, EVP_PKEY, EVP_PKEY_free)
MM_FREE_FN(free_ctx, EVP_MD_CTX, EVP_MD_CTX_free)

/* see note.h */
void
mm_note_key_make(struct mm_note_key *k, const char *name,
    const uint8_t key[32])
{
	static const uint8_t type = ED25519;
	uint8_t hashed[MM_ORIGIN_MAX + 34], md[32];
	size_t n = strlen(name);

	MM_INVARIANT(n <= MM_ORIGIN_MAX);
	memcpy(hashed, name, n);
	hashed[n] = '\n';
	hashed[n + 1] = type;
	memcpy(hashed + n + 2, key, 32);
	mm_sha256((struct mm_bytes){ hashed, n + 34 }, md);
	memcpy(k->name, name, n + 1);
	memcpy(k->key, key, 32);
	k->id = (uint32_t)md[0] << 24 | (uint32_t)md[1] << 16 |
	    (uint32_t)md[2] << 8 | md[3];
}

/* see note.h */
void
mm_note_key_text(const struct mm_note_key *k, struct mm_buf *out)
{
	uint8_t typed[33] = { ED25519 };

	memcpy(typed + 1, k->key, 32);
	mm_buf_printf(out, "%s+%08" PRIx32 "+", k->name, k->id);
	mm_base64_put(out, (struct mm_bytes){ typed, sizeof(typed) }, 0);
}

/* The Unicode spaces outside ASCII, as UTF-8. */
static const char *const wide_spaces[] = { "\xc2\x85", "\u00a0", "\u1680",
	"\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006",
	"\u2007", "\u2008", "\u2009", "\u200a", "\u2028", "\u2029", "\u202f",
	"\u205f", "\u3000" };

/* C2SP signed-note: not empty, no Unicode space, no plus. */
static bool
name_valid(struct mm_bytes name)
{
	if (name.n == 0 || name.n > MM_ORIGIN_MAX || !mm_utf8_valid(name))
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] == '+' || name.p[i] == 0x7f)
			return false;
	for (size_t i = 0; i < sizeof(wide_spaces) / sizeof(wide_spaces[0]);
	    i++)
		if (memmem(name.p, name.n, wide_spaces[i],
			strlen(wide_spaces[i])) != NULL)
			return false;
	return true;
}

/* What stands before the next c, which is skipped; false if there is none. */
static bool
cut(struct mm_bytes *rest, char c, struct mm_bytes *before)
{
	const uint8_t *at = rest->n == 0 ? NULL : memchr(rest->p, c, rest->n);
	size_t n;

	if (at == NULL)
		return false;
	n = (size_t)(at - rest->p);
	*before = (struct mm_bytes){ rest->p, n };
	*rest = (struct mm_bytes){ at + 1, rest->n - n - 1 };
	return true;
}

/* Base64 without white space, of exactly n bytes. */
static bool
decode_exact(struct mm_bytes text, uint8_t *out, size_t n)
{
	uint8_t bytes[128];
	struct mm_buf b = MM_BUF_INIT(sizeof(bytes));
	bool good;

	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] <= ' ')
			return false;
	good = mm_base64_parse(text, &b, NULL) == MM_OK && b.n == n;
	if (good)
		memcpy(out, b.p, n);
	mm_buf_done(&b);
	return good;
}

/* see note.h */
enum mm_err
mm_note_key_parse(struct mm_bytes text, struct mm_note_key *k,
    struct mm_why *why)
{
	struct mm_bytes rest = text, name, id;
	struct mm_note_key got;
	char nul_ended[MM_ORIGIN_MAX + 1], hex[ID_N * 2 + 1];
	uint8_t typed[33];

	if (text.n > KEY_TEXT_MAX || !cut(&rest, '+', &name) ||
	    !cut(&rest, '+', &id) || !name_valid(name) ||
	    !mm_text_copy(nul_ended, sizeof(nul_ended), name) ||
	    !decode_exact(rest, typed, sizeof(typed)) || typed[0] != ED25519)
		return MM_FAIL(why, MM_EINPUT, "note: want an Ed25519 "
		    "verifier key, name+hash+base64");
	mm_note_key_make(&got, nul_ended, typed + 1);
	snprintf(hex, sizeof(hex), "%08" PRIx32, got.id);
	if (!mm_bytes_eq(id, mm_bytes_of(hex)))
		return MM_FAIL(why, MM_EINPUT,
		    "note: the key's hash is not that of name and key");
	*k = got;
	return MM_OK;
}

/* see note.h */
void
mm_checkpoint_text(const struct mm_checkpoint *c, struct mm_buf *out)
{
	mm_buf_printf(out, "%s\n%" PRIu64 "\n", c->origin, c->size);
	mm_base64_put(out, (struct mm_bytes){ c->root.b, MM_HASH_N }, 0);
	mm_buf_text(out, "\n");
}

/* see note.h */
void
mm_note_join(struct mm_buf *out, struct mm_bytes text,
    const struct mm_note_key *key, const uint8_t sig[64])
{
	uint8_t signature[ID_N + SIG_N] = { (uint8_t)(key->id >> 24),
		(uint8_t)(key->id >> 16), (uint8_t)(key->id >> 8),
		(uint8_t)key->id };

	memcpy(signature + ID_N, sig, SIG_N);
	mm_buf_bytes(out, text);
	mm_buf_printf(out, "\n\u2014 %s ", key->name);
	mm_base64_put(out,
	    (struct mm_bytes){ signature, sizeof(signature) }, 0);
	mm_buf_text(out, "\n");
}

/*
 * The text with its last LF, and the signature lines: what the last empty
 * line separates.
 */
static bool
split(struct mm_bytes note, struct mm_bytes *text, struct mm_bytes *sigs)
{
	if (note.n < 3 || note.n > READ_MAX || !mm_utf8_valid(note) ||
	    note.p[note.n - 1] != '\n')
		return false;
	for (size_t i = 0; i < note.n; i++)
		if (note.p[i] < ' ' && note.p[i] != '\n')
			return false;
	for (size_t i = note.n - 2; i > 0; i--) {
		if (note.p[i] != '\n' || note.p[i - 1] != '\n')
			continue;
		*text = (struct mm_bytes){ note.p, i };
		*sigs = (struct mm_bytes){ note.p + i + 1, note.n - i - 1 };
		return true;
	}
	return false;
}

static bool
signature_holds(const struct mm_note_key *key, struct mm_bytes text,
    const uint8_t sig[SIG_N])
{
	MM_OWN(free_pkey) EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(
	    EVP_PKEY_ED25519, NULL, key->key, sizeof(key->key));
	MM_OWN(free_ctx) EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	return pkey != NULL && ctx != NULL &&
	    EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
	    EVP_DigestVerify(ctx, sig, SIG_N, text.p, text.n) == 1;
}

/* see note.h; a refused signature is an answer: nothing stays in the error
 * queue. */
bool
mm_note_key_verify(const struct mm_note_key *key, struct mm_bytes text,
    const uint8_t sig[64])
{
	bool holds;

	ERR_set_mark();
	holds = signature_holds(key, text, sig);
	ERR_pop_to_mark();
	return holds;
}

enum sig_is { SIG_BAD_FORM, SIG_OTHER, SIG_WRONG, SIG_GOOD };

/* One signature line without its LF. */
static enum sig_is
check_line(struct mm_bytes line, const struct mm_note_key *key,
    struct mm_bytes text)
{
	struct mm_buf b = MM_BUF_INIT(READ_MAX);
	struct mm_bytes dash, name;
	enum sig_is is = SIG_BAD_FORM;
	struct mm_rd r;

	if (!cut(&line, ' ', &dash) || !cut(&line, ' ', &name) ||
	    !mm_bytes_eq(dash, mm_bytes_of("\u2014")) || !name_valid(name) ||
	    mm_base64_parse(line, &b, NULL) != MM_OK || b.n <= ID_N)
		goto done;
	r = mm_rd_over(mm_buf_view(&b));
	is = SIG_OTHER;
	if (mm_rd_u32(&r) != key->id ||
	    !mm_bytes_eq(name, mm_bytes_of(key->name)))
		goto done;
	is = r.left == SIG_N && mm_note_key_verify(key, text, r.p) ?
	    SIG_GOOD : SIG_WRONG;
done:
	mm_buf_done(&b);
	return is;
}

/* Every signature of the key must hold, and there must be one. */
static enum mm_err
check_signatures(struct mm_bytes sigs, const struct mm_note_key *key,
    struct mm_bytes text, struct mm_why *why)
{
	struct mm_bytes line;
	bool found = false;

	while (cut(&sigs, '\n', &line)) {
		enum sig_is is = check_line(line, key, text);
		if (is == SIG_BAD_FORM)
			return MM_FAIL(why, MM_EINPUT,
			    "note: malformed signature line");
		if (is == SIG_WRONG)
			return MM_FAIL(why, MM_EPOLICY,
			    "note: the signature of %.100s does not hold",
			    key->name);
		found |= is == SIG_GOOD;
	}
	if (!found)
		return MM_FAIL(why, MM_EPOLICY,
		    "note: not signed by %.100s", key->name);
	return MM_OK;
}

static enum mm_err
split_note(struct mm_bytes note, struct mm_bytes *text, struct mm_bytes *sigs,
    struct mm_why *why)
{
	return split(note, text, sigs) ? MM_OK : MM_FAIL(why, MM_EINPUT,
	    "note: not text, empty line, signatures");
}

/* see note.h */
enum mm_err
mm_note_text(struct mm_bytes note, struct mm_bytes *text, struct mm_why *why)
{
	struct mm_bytes sigs;

	return split_note(note, text, &sigs, why);
}

/* see note.h */
enum mm_err
mm_note_verify(struct mm_bytes note, const struct mm_note_key *key,
    struct mm_bytes *text, struct mm_why *why)
{
	struct mm_bytes signed_text = { 0 }, sigs = { 0 };

	MM_TRY(split_note(note, &signed_text, &sigs, why));
	MM_TRY(check_signatures(sigs, key, signed_text, why));
	*text = signed_text;
	return MM_OK;
}

static bool
parse_size(struct mm_bytes text, uint64_t *size)
{
	uint64_t v = 0;

	if (text.n == 0 || (text.n > 1 && text.p[0] == '0'))
		return false;
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < '0' || text.p[i] > '9' ||
		    __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, text.p[i] - '0', &v))
			return false;
	*size = v;
	return true;
}

/* C2SP tlog-checkpoint: three lines, then any that are not empty. */
static bool
parse_checkpoint(struct mm_bytes text, struct mm_checkpoint *c)
{
	struct mm_bytes origin, size, root, more;

	if (!cut(&text, '\n', &origin) || !cut(&text, '\n', &size) ||
	    !cut(&text, '\n', &root) || origin.n == 0 ||
	    !mm_text_copy(c->origin, sizeof(c->origin), origin) ||
	    !parse_size(size, &c->size) ||
	    !decode_exact(root, c->root.b, MM_HASH_N))
		return false;
	while (cut(&text, '\n', &more))
		if (more.n == 0)
			return false;
	return true;
}

/* see note.h */
enum mm_err
mm_checkpoint_verify(struct mm_bytes note, const struct mm_note_key *key,
    struct mm_checkpoint *out, struct mm_why *why)
{
	struct mm_bytes text;
	struct mm_checkpoint c;

	MM_TRY(mm_note_verify(note, key, &text, why));
	if (!parse_checkpoint(text, &c))
		return MM_FAIL(why, MM_EINPUT, "checkpoint: malformed");
	if (strcmp(c.origin, key->name) != 0)
		return MM_FAIL(why, MM_EPOLICY,
		    "checkpoint: of %.60s, want %.60s", c.origin, key->name);
	*out = c;
	return MM_OK;
}
