/*
 * Property: an answer means the same in one piece as byte by byte: the same
 * result, status and content, within the caps.
 */
#include <stdlib.h>
#include <string.h>

#include "mmd_est.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CAP 4096

struct run {
	struct mmd_est est;
	struct mmd_est_conf conf;
	enum mmd_rc rc;
	uint8_t buf[CAP];
};

static void
answer(struct run *r, const uint8_t *data, size_t size, size_t step)
{
	r->conf = (struct mmd_est_conf){ .host = "h", .buf = r->buf,
		.cap = CAP };
	r->rc = MMD_MORE;
	mmd_est_init(&r->est, &r->conf);
	if (mmd_est_start(&r->est, MMD_EST_CACERTS,
	    (struct mmd_bytes){ NULL, 0 }) != MMD_OK)
		abort();
	mmd_est_sent(&r->est, CAP);
	for (size_t at = 0; r->rc == MMD_MORE && at < size; at += step)
		r->rc = mmd_est_input(&r->est, (struct mmd_bytes){ data + at,
		    size - at < step ? size - at : step });
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run whole, bytes;

	answer(&whole, data, size, size > 0 ? size : 1);
	answer(&bytes, data, size, 1);
	/* Bytes after the answer are seen only where they come with it. */
	if (bytes.rc == MMD_OK && whole.rc == MMD_EINPUT)
		return 0;
	if (whole.rc != bytes.rc)
		abort();
	if (whole.rc == MMD_OK && (whole.est.http.status !=
	    bytes.est.http.status || whole.est.body.n != bytes.est.body.n ||
	    memcmp(whole.buf, bytes.buf, whole.est.body.n) != 0))
		abort();
	return 0;
}
