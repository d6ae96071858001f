/* What a key that cannot be used means to whoever wanted it: keyring.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "agent/keyring.h"

/* ---- a slot, and a TPM that fails as it is told ---- */

static struct mm_why settles, signs;

static enum mmd_rc
get(void *ctx, unsigned slot, enum mmd_nv_item item, uint8_t *p, size_t cap,
    size_t *n)
{
	static const struct mm_key key = { .place = MM_KEY_TPM2,
		.uri = "tpm2:", .made = true, .xy = { 1 } };
	struct mm_buf pem = MM_BUF_INIT(MM_KEY_FILE_MAX);

	(void)ctx;
	if (slot != 0 || item != MMD_NV_KEY)
		return MMD_NONE;
	mm_key_encode(&key, &pem);
	assert_true(pem.n > 0 && pem.n <= cap);
	memcpy(p, pem.p, pem.n);
	*n = pem.n;
	mm_buf_done(&pem);
	return MMD_OK;
}

static enum mm_err
settle(const struct mm_key *key, struct mm_why *why)
{
	(void)key;
	return settles.code == MM_OK ? MM_OK
	    : MM_FAIL(why, settles.code, "%s", settles.text);
}

static bool
failure(struct mm_why *out)
{
	if (signs.code == MM_OK)
		return false;
	*out = signs;
	signs = (struct mm_why){ 0 };
	return true;
}

static const struct mm_key_ops tpm = { .settle = settle };
static const struct mm_key_desk desk = { .layout = MM_KEY_LAYOUT,
	.ops = { [MM_KEY_TPM2] = &tpm }, .failure = failure };

/* ---- */

static const struct {
	const char *what;
	enum mm_err settles, signs;
	enum mmd_rc rc;
	const char *told; /* NULL: nothing */
} rows[] = {
	{ "cleared", MM_ESTALE, MM_OK, MMD_NONE, NULL },
	{ "its place is another's", MM_ECONFLICT, MM_OK, MMD_NONE, NULL },
	{ "cleared, as TLS saw before", MM_ESTALE, MM_EAUTH, MMD_NONE, NULL },
	{ "busy", MM_EAGAIN, MM_OK, MMD_EPORT, "settles" },
	{ "not there", MM_ENOTFOUND, MM_OK, MMD_EPORT, "settles" },
	{ "cleared meanwhile", MM_OK, MM_ESTALE, MMD_NONE, NULL },
	{ "a wrong PIN", MM_OK, MM_EAUTH, MMD_EPORT, "signs" },
};

static void
failures(void **state)
{
	const struct mmd_nv nv = { .get = get };
	const uint8_t digest[MMD_HASH] = { 0 };
	uint8_t sig[128];
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_agent_keyring k;
		struct mm_why own = { 0 };
		struct mmd_crypto crypto;
		enum mmd_rc rc;
		bool told;

		settles = (struct mm_why){ .code = rows[i].settles,
			.text = "settles" };
		signs = (struct mm_why){ .code = rows[i].signs,
			.text = "signs" };
		mm_agent_keyring_init(&k, &nv, NULL);
		k.desk = &desk;
		crypto = mm_agent_keyring_crypto(&k);
		rc = crypto.sign_hash(crypto.ctx, 0, digest, sig, sizeof(sig),
		    &n);
		told = mm_agent_keyring_failure(&k, &own);
		if (rc != rows[i].rc || told != (rows[i].told != NULL) ||
		    (told && strcmp(own.text, rows[i].told) != 0))
			fail_msg("%s: gave %d, told \"%s\"", rows[i].what,
			    (int)rc, own.text);
		mm_agent_keyring_done(&k);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(failures) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
