#include "fixture.h"

#include <stdio.h>

#include <jansson.h>

#include "base/text.h"
#include "pki/token.h"

static json_t *
vectors(void)
{
	json_t *all = json_load_file(VECTORS "/token.json", 0, NULL);

	assert_non_null(all);
	assert_true(json_array_size(all) >= 3);
	return all;
}

static const char *
text_of(json_t *v, const char *key)
{
	const char *s = json_string_value(json_object_get(v, key));

	assert_non_null(s);
	return s;
}

static size_t
hex_of(json_t *v, const char *key, uint8_t *out)
{
	const char *s = text_of(v, key);
	size_t n = strlen(s) / 2;

	assert_int_equal(mm_hex_parse(s, 2 * n, out, n, NULL), MM_OK);
	return n;
}

static void
is_hex(json_t *v, const char *key, const uint8_t *p, size_t n)
{
	uint8_t want[64];

	assert_int_equal(hex_of(v, key, want), n);
	assert_memory_equal(p, want, n);
}

static void
agrees_with_the_vectors(void **state)
{
	json_t *all = vectors(), *v;
	size_t i;

	(void)state;
	json_array_foreach(all, i, v) {
		struct mm_token t, again;
		uint8_t master[64], secret[MM_TOKEN_SECRET_N];
		uint8_t psk[MM_TOKEN_PSK_N], id[MM_TOKEN_ID_N];
		char text[MM_TOKEN_TEXT], id_text[MM_TOKEN_ID_TEXT];
		char secret_text[33];
		size_t n = hex_of(v, "master", master);

		hex_of(v, "id", t.id);
		hex_of(v, "anchor", t.anchor);
		mm_token_derive((struct mm_bytes){ master, n }, t.id,
		    t.secret);
		is_hex(v, "secret", t.secret, sizeof(t.secret));
		mm_token_text(&t, text);
		assert_string_equal(text, text_of(v, "text"));
		mm_token_id_text(t.id, id_text);
		assert_string_equal(id_text, text_of(v, "id_text"));
		mm_token_secret_text(t.secret, secret_text);
		assert_string_equal(secret_text, text_of(v, "secret_text"));
		mm_token_psk(t.id, t.secret, MM_TOKEN_TLS13, psk);
		is_hex(v, "psk13", psk, sizeof(psk));
		mm_token_psk(t.id, t.secret, MM_TOKEN_TLS12, psk);
		is_hex(v, "psk12", psk, sizeof(psk));

		assert_int_equal(mm_token_parse(mm_bytes_of(text), &again,
		    NULL), MM_OK);
		assert_memory_equal(&again, &t, sizeof(t));
		assert_int_equal(mm_token_id_parse(mm_bytes_of(id_text), id,
		    NULL), MM_OK);
		assert_memory_equal(id, t.id, sizeof(id));
		assert_int_equal(mm_token_secret_parse(
		    mm_bytes_of(secret_text), secret, NULL), MM_OK);
		assert_memory_equal(secret, t.secret, sizeof(secret));
	}
	json_decref(all);
}

static void
takes_what_people_type(void **state)
{
	json_t *all = vectors();
	const char *printed = text_of(json_array_get(all, 0), "text");
	char typed[200];
	struct mm_token want, got;
	size_t n = 0;

	(void)state;
	assert_int_equal(mm_token_parse(mm_bytes_of(printed), &want, NULL),
	    MM_OK);
	n += (size_t)sprintf(typed, " \nMM1");
	for (const char *p = printed + 3; *p != '\0'; p++) {
		char c = *p;

		if (c == '-')
			continue;
		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if (c == '0')
			c = 'o';
		if (c == '1')
			c = n % 2 == 0 ? 'l' : 'I';
		typed[n++] = c;
		if (n % 7 == 0)
			typed[n++] = ' ';
	}
	typed[n++] = '\r';
	typed[n++] = '\n';
	assert_int_equal(mm_token_parse((struct mm_bytes){
	    (const uint8_t *)typed, n }, &got, NULL), MM_OK);
	assert_memory_equal(&got, &want, sizeof(got));
	json_decref(all);
}

/* Every single wrong digit: 20 check bits let one in a million pass. */
static void
refuses_mistyped_digits(void **state)
{
	json_t *all = vectors();
	char text[MM_TOKEN_TEXT];
	struct mm_token t;
	unsigned wrong = 0;

	(void)state;
	strcpy(text, text_of(json_array_get(all, 1), "text"));
	for (size_t i = 4; text[i] != '\0'; i++) {
		char was = text[i];

		if (was == '-')
			continue;
		text[i] = was == 'X' ? 'Y' : 'X';
		wrong += mm_token_parse(mm_bytes_of(text), &t, NULL) == MM_OK;
		text[i] = was;
	}
	assert_int_equal(wrong, 0);
	json_decref(all);
}

static void
refuses_other_forms(void **state)
{
	static const char *const texts[] = { "", "mm1", "mm2-", "mm1-0",
		"mm1-041061050R3GG28A1C60", "m m1-041061050R3GG28A1C60" };
	static const char *const ids[] = { "", "mm1-", "041061050R3GG28A1C60",
		"mm1-041061050R3GG28A1C6", "mm1-041061050R3GG28A1C600",
		"MM1-041061050R3GG28A1C60", "mm1-041061050R3GG28A1C61",
		"mm1-041061050R3GG28A1C6U", "mm1_041061050R3GG28A1C60" };
	struct mm_token t;
	uint8_t id[MM_TOKEN_ID_N];

	(void)state;
	for (size_t i = 0; i < ROWS(texts); i++)
		ROW(texts[i], mm_token_parse(mm_bytes_of(texts[i]), &t,
		    NULL) == MM_EINPUT);
	for (size_t i = 0; i < ROWS(ids); i++)
		ROW(ids[i], mm_token_id_parse(mm_bytes_of(ids[i]), id,
		    NULL) == MM_EINPUT);
}

/* docs/fielded-bare.md */
static void
pairing_codes(void **state)
{
	static const char *const typed[] = { "ZM5E-370K", "zm5e-370k",
		"ZM5E370K", " ZM5E 370K " };
	static const char *const bad[] = { "", "ZM5E370", "ZM5E370K0", "ZM5E370U",
		"ZM5E370/" };
	char code[MM_PAIRING_TEXT], other[MM_PAIRING_TEXT];
	uint8_t key[32];

	(void)state;
	memset(key, 1, sizeof(key));
	mm_pairing_code("SN-1", key, code);
	assert_string_equal(code, "ZM5E-370K");
	mm_pairing_code("sn-1", key, other);
	assert_string_equal(other, code);
	mm_pairing_code("SN-2", key, other);
	assert_string_not_equal(other, code);
	key[31] = 0;
	mm_pairing_code("SN-1", key, other);
	assert_string_not_equal(other, code);
	for (size_t i = 0; i < ROWS(typed); i++)
		ROW(typed[i], mm_pairing_parse(typed[i], other, NULL) ==
		    MM_OK && strcmp(other, code) == 0);
	for (size_t i = 0; i < ROWS(bad); i++)
		ROW(bad[i], mm_pairing_parse(bad[i], other, NULL) ==
		    MM_EINPUT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_the_vectors),
		cmocka_unit_test(takes_what_people_type),
		cmocka_unit_test(refuses_mistyped_digits),
		cmocka_unit_test(refuses_other_forms),
		cmocka_unit_test(pairing_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
