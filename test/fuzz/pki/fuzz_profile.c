/*
 * Property: from a profile that passes its check the builder makes, for any
 * device id, either nothing or a certificate that lint accepts.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pki/cert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW INT64_C(1795392000)
#define P256 \
	"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a" \
	"\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04"

/* "Name" of an issuer, and ecdsa-with-SHA256. */
static const uint8_t subject[] = { 0x30, 0x0c, 0x31, 0x0a, 0x30, 0x08, 0x06,
	0x03, 0x55, 0x04, 0x03, 0x0c, 0x01, 'x' };
static const uint8_t alg[] = { 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
	0x3d, 0x04, 0x03, 0x02 };

/* The next line into an item of the list that the first character names. */
static void
take_line(struct mm_profile *p, const uint8_t *s, size_t n)
{
	struct mm_conf_list *const lists[] = { &p->subject, &p->san,
		&p->key_usage, &p->eku, &p->extensions, &p->policies };
	struct mm_conf_list *l;

	if (n < 2 || n >= MM_CONF_ITEM_MAX)
		return;
	if (s[0] == 'h' && n < sizeof(p->hw_type_oid)) {
		memcpy(p->hw_type_oid, s + 1, n - 1);
		return;
	}
	l = lists[s[0] % 6];
	if (l->n < MM_CONF_LIST_MAX)
		memcpy(l->item[l->n++], s + 1, n - 1);
}

static void
issue(const struct mm_profile *p)
{
	struct mm_issuer i = { .name = "x", .subject = { subject,
		sizeof(subject) }, .not_before_s = NOW - 86400,
		.not_after_s = NOW + 86400, .shards = 3, .crl_url = "http://x/",
		.key_type = MM_KEY_P256 };
	struct mm_cert_fields f = { .serial = { 1 }, .not_before_s = NOW,
		.not_after_s = NOW + 60, .device = "SN-1", .product = "p" };
	struct mm_buf tbs = MM_BUF_INIT(1U << 16);
	uint8_t key[91] = P256;
	struct mm_why why = { 0 };

	if (mm_spki_parse((struct mm_bytes){ key, sizeof(key) }, &f.spki,
	    NULL) != MM_OK)
		abort();
	if (mm_cert_build(p, &i, &f, (struct mm_bytes){ alg, sizeof(alg) },
	    &tbs, NULL) == MM_OK && mm_lint_tbs(mm_buf_view(&tbs), p, &i, &f,
	    &why) != MM_OK) {
		fprintf(stderr, "%s\n", why.text);
		abort();
	}
	mm_buf_done(&tbs);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mm_profile p; /* large */
	const uint8_t *end = data + size;

	memset(&p, 0, sizeof(p));
	strcpy(p.name, "x");
	strcpy(p.keys.item[0], "p256");
	p.keys.n = 1;
	p.lifetime_s = 3600;
	p.basic_constraints = p.crl_dp = true;
	for (const uint8_t *s = data; s < end;) {
		const uint8_t *line = memchr(s, '\n', (size_t)(end - s));

		if (line == NULL)
			line = end;
		take_line(&p, s, (size_t)(line - s));
		s = line + 1;
	}
	if (mm_profile_check(&p, NULL) == MM_OK)
		issue(&p);
	return 0;
}
