/*
 * Property: what a fixture's program says is an answer of its step, within its
 * bounds, or none.  The first byte is the step.
 */
#include <stdlib.h>
#include <string.h>

#include "station/exec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mm_driver_job job = { .effect = MM_DO_HELLO };
	struct mm_driver_answer a = { .der_n = 0 };
	struct mm_selftest t;
	struct mm_exec_result r = { .got = MM_DRIVER_WAIT };

	if (size == 0)
		return 0;
	mm_exec_read_selftest((struct mm_bytes){ data + 1, size - 1 },
	    data[0] % 2 == 0, &t);
	if (t.is == MM_SELFTEST_UNASKED ||
	    memchr(t.note, '\0', sizeof(t.note)) == NULL ||
	    memchr(t.tool, '\0', sizeof(t.tool)) == NULL ||
	    memchr(t.version, '\0', sizeof(t.version)) == NULL)
		abort();
	job.effect = (enum mm_unit_effect)(1 + data[0] % (MM_EFFECTS - 1));
	if (mm_exec_read((struct mm_bytes){ data + 1, size - 1 }, &job, &a,
	    &r, NULL) != MM_OK)
		return 0;
	if (r.got == MM_DRIVER_WAIT || a.der_n > sizeof(a.der) ||
	    a.cert_n > a.der_n ||
	    memchr(a.said.hw, '\0', sizeof(a.said.hw)) == NULL ||
	    memchr(a.said.firmware, '\0', sizeof(a.said.firmware)) == NULL ||
	    memchr(r.note, '\0', sizeof(r.note)) == NULL ||
	    (r.got == MM_DRIVER_AGAIN && job.effect != MM_DO_COMMIT))
		abort();
	return 0;
}
