/*
 * Properties: nothing that the fuzzer makes up is what a key signed whose
 * secret it does not have; what it says of units is judged without a crash,
 * signed or not, and no unit without its order is without a fault.
 */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "work/export_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct mm_bytes
text_of(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return (struct mm_bytes){ (const uint8_t *)json_string_value(v),
		json_string_length(v) };
}

static void
judge(struct mm_export *x, uint64_t index, const json_t *line)
{
	static char arena[MM_ENTRY_MAX + 64];
	struct mm_buf der = MM_BUF_INIT(16384);
	struct mm_bytes json = text_of(line, "entry");
	struct mm_entry e;

	if (mm_base64_parse(text_of(line, "certificate"), &der, NULL) !=
	    MM_OK)
		mm_buf_reset(&der);
	if (json.n == 0 || json.n > MM_ENTRY_MAX ||
	    mm_entry_parse(json, arena, json.n + 64, &e, NULL) != MM_OK)
		;
	else if (mm_entry_brings_cert(e.type))
		(void)!mm_export_issued(x, index, &e, mm_buf_view(&der), NULL);
	else if (e.type == MM_E_CERT_CONFIRMED)
		(void)!mm_export_confirmed(x, index, &e,
		    text_of(line, "proof"), NULL);
	mm_buf_done(&der);
}

/* The units, as if all had been signed. */
static void
judge_all(const struct mm_export_terms *t, struct mm_bytes rest)
{
	struct mm_export x = { .terms = t, .ders = MM_BUF_INIT(1 << 24),
		.proofs = MM_BUF_INIT(1 << 24) };
	const uint8_t *lf;

	if (mm_key_templates_new(NULL, &x.templates, NULL) != MM_OK)
		return;
	for (uint64_t i = 0; rest.n > 0 &&
	     (lf = memchr(rest.p, '\n', rest.n)) != NULL; i++) {
		size_t n = (size_t)(lf - rest.p);
		json_t *j = json_loadb((const char *)rest.p, n, 0, NULL);

		judge(&x, i, j);
		json_decref(j);
		rest.p += n + 1;
		rest.n -= n + 1;
	}
	mm_export_compare(&x);
	if (x.report.faults < x.ncert)
		abort(); /* no order was given */
	mm_key_templates_free(&x.templates);
	free(x.cert);
	free(x.proof);
	mm_buf_done(&x.ders);
	mm_buf_done(&x.proofs);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char known[] =
	    "PeterNeumann+c74f20a3+"
	    "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
	struct mm_note_key key;
	const struct mm_export_terms t = { .ledger = &key };
	struct mm_export_report r;

	if (mm_note_key_parse(mm_bytes_of(known), &key, NULL) != MM_OK ||
	    mm_export_check((struct mm_bytes){ data, size }, &t, &r, NULL) ==
		MM_OK)
		abort();
	judge_all(&t, (struct mm_bytes){ data, size });
	return 0;
}
