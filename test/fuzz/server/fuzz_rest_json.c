/* Property: bounded, and either an object or a reason; the request for an
 * enrolment in it is read or refused. */
#include <stdlib.h>

#include "base/own.h"
#include "server/priv.h"
#include "server/rest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	MM_OWN(mm_rest_json_free) json_t *in = NULL;
	MM_OWN(mm_job_free) struct mm_job *job = NULL;
	struct mm_why why = { 0 };
	enum mm_err rc = mm_rest_parse((struct mm_bytes){ data, size }, &in,
	    &why);

	if ((rc == MM_OK) != (in != NULL) || (rc == MM_OK) != (why.code == 0))
		abort();
	if (rc != MM_OK)
		return 0;
	job = mm_job_new(MM_JOB_ENROL);
	if (job == NULL)
		return 0;
	if (mm_rest_csr(in, job, NULL) == MM_OK && job->request.n == 0)
		abort();
	return 0;
}
