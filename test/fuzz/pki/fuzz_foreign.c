/*
 * What an existing CA answered: three blocks, each after its length in two
 * bytes: the CA's certificate, the device's request, the answer.
 * Property: what is let through is for the request's key, by a CA of that
 * name, and its number is none of ours; a request that may leave has no
 * attribute but its extensions.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pki/foreign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW INT64_C(1795392000) /* the seeds are good then */

static void
put(struct mm_conf_list *l, const char *text)
{
	strcpy(l->item[l->n++], text);
}

static struct mm_bytes
block(const uint8_t **data, size_t *size)
{
	struct mm_bytes b = { *data, 0 };
	size_t n;

	if (*size < 2)
		return b;
	n = (size_t)(*data)[0] << 8 | (*data)[1];
	*data += 2;
	*size -= 2;
	b = (struct mm_bytes){ *data, n < *size ? n : *size };
	*data += b.n;
	*size -= b.n;
	return b;
}

static void
check(struct mm_bytes answer, const struct mm_csr *csr,
    const struct mm_foreign *f)
{
	uint8_t number[MM_SERIAL_N];
	struct mm_cert c, ca;

	if (mm_foreign_lint(answer, csr, f, NOW, NULL) != MM_OK)
		return;
	if (mm_cert_walk(answer, &c, NULL) != MM_OK ||
	    mm_cert_walk(f->issuer, &ca, NULL) != MM_OK ||
	    !mm_bytes_eq(c.spki.whole, csr->spki.whole) ||
	    !mm_bytes_eq(c.issuer, ca.subject))
		abort();
	mm_foreign_number(&c, number);
	if ((number[0] & 0x80) == 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mm_profile p;
	struct mm_foreign f = { .profile = &p, .device = "SN-1",
		.product = "thermo", .issuer = block(&data, &size) };
	struct mm_bytes request = block(&data, &size);
	struct mm_bytes answer = block(&data, &size);
	struct mm_csr csr;

	if (p.subject.n == 0) {
		put(&p.keys, "p256");
		put(&p.subject, "CN={device}");
		put(&p.san, "DNS:{device}.dev.example");
		put(&p.eku, "clientAuth");
	}
	if (mm_csr_walk(request, &csr, NULL) != MM_OK)
		return 0;
	if (mm_foreign_request(&csr, &f, NULL) == MM_OK &&
	    (csr.strange.n > 0 || csr.challenge.p != NULL))
		abort();
	check(answer, &csr, &f);
	return 0;
}
