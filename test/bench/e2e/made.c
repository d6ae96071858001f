#include "made.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/time.h"
#include "pki/key.h"

/* see made.h */
void
made_must(enum mm_err err, const struct mm_why *why)
{
	if (err == MM_OK)
		return;
	fprintf(stderr, "%s: %s\n", program_invocation_short_name, why->text);
	exit(1);
}

/* see made.h */
void
made_noise(uint64_t n, uint64_t what, uint8_t out[32])
{
	uint64_t seed[2] = { n, what };

	mm_sha256(
	    (struct mm_bytes){ (const uint8_t *)seed, sizeof(seed) }, out);
}

/* see made.h */
void
made_token(uint64_t n, char out[MM_TOKEN_ID_TEXT])
{
	uint8_t h[32];
	char text[21];

	made_noise(n, 1, h);
	mm_base32_text(h, 12, text);
	snprintf(out, MM_TOKEN_ID_TEXT, "mm1-%s", text);
}

/* see made.h */
void
made_serial(uint64_t n, int64_t ms, uint8_t out[16])
{
	uint8_t h[32];

	made_noise(n, 2, h);
	for (unsigned i = 0; i < 6; i++)
		out[i] = (uint8_t)((uint64_t)ms >> (40 - 8 * i));
	memcpy(out + 6, h, 10);
}

/* see made.h */
void
made_entry(const struct mm_entry *e, struct mm_buf *out)
{
	struct mm_why why = { 0 };

	mm_buf_reset(out);
	made_must(mm_entry_encode(e, out, &why), &why);
}

/* see made.h */
void
made_cert_entry(
    enum mm_entry_type type, const struct mm_cert_row *row, struct mm_buf *out)
{
	char serial[33], cert[65], spki[65], from[MM_TIME_TEXT],
	    to[MM_TIME_TEXT];
	struct mm_entry e = { .type = type, .at_ms = row->issued_at };

	mm_hex_text(row->serial, 16, serial);
	mm_hex_text(row->cert_sha256, 32, cert);
	mm_hex_text(row->spki_sha256, 32, spki);
	mm_time_text_s(row->not_before_s, from);
	mm_time_text_s(row->not_after_s, to);
	e.field[MM_F_AUTHORITY] = row->authority;
	e.field[MM_F_DEVICE] = row->device;
	e.field[MM_F_PRODUCT] = row->product;
	e.field[MM_F_ISSUER] = row->issuer;
	e.field[MM_F_SERIAL] = serial;
	e.field[MM_F_CERT_SHA256] = cert;
	e.field[MM_F_SPKI_SHA256] = spki;
	e.field[MM_F_PROFILE] = row->profile;
	e.field[MM_F_NOT_BEFORE] = from;
	e.field[MM_F_NOT_AFTER] = to;
	e.field[MM_F_KEY_ORIGIN] = "device";
	made_entry(&e, out);
}
