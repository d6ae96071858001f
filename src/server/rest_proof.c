#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "pki/possession.h"
#include "server/attempts.h"
#include "server/rest.h"

/*
 * Confirmation at the line (issuance step 8): a station sends what the device
 * signed to prove its certificate.  The proof is the device's, so it does what
 * the device's own first mutual TLS would have done; that a station sends it
 * gives no right of its own.
 */
enum { SIGNATURE_MAX = 512 };

struct proof {
	char serial[2 * MM_ANY_SERIAL_N + 3];
	char hardware[2 * MM_POSSESSION_HARDWARE + 1];
	char signature[2 * SIGNATURE_MAX];
	uint8_t nonce[MM_POSSESSION_NONCE];
};

#define M(name, type, field)                                        \
	{ name, type, true, offsetof(struct proof, field),          \
	    sizeof(((struct proof *)0)->field) }
static const struct mm_member members[] = {
	M("serial", MM_M_TEXT, serial),
	M("nonce", MM_M_SHA256, nonce),
	M("hardware", MM_M_TEXT, hardware),
	M("signature", MM_M_TEXT, signature),
};

/* The certificate, if it is this device's; else there is none. */
static enum mm_err
find(struct mm_rest *r, const struct proof *in, struct mm_buf *der,
    struct mm_why *why)
{
	char id[MM_DEVICE_ID_MAX + 1];
	struct mm_cert_row row;
	struct mm_any_serial any;
	uint8_t serial[16];

	MM_TRY(mm_rest_segment(r, 0, id, sizeof(id), why));
	MM_TRY(mm_any_serial_parse(mm_bytes_of(in->serial), &any, why));
	if (mm_core_serial(r->s->core, r->reader, &any, serial, NULL) !=
	    MM_OK || mm_get_cert(r->reader, serial, &row, NULL) != MM_OK ||
	    strcasecmp(row.device, id) != 0 ||
	    mm_get_cert_der(r->reader, serial, der, NULL) != MM_OK)
		return MM_FAIL(why, MM_ENOTFOUND, "this device has no such "
		    "certificate");
	return MM_OK;
}

static enum mm_err
decode(const struct proof *in, uint8_t hw[MM_POSSESSION_HARDWARE],
    struct mm_buf *sig, struct mm_possession *out, struct mm_why *why)
{
	size_t n = strlen(in->hardware) / 2;

	if (mm_hex_parse(in->hardware, strlen(in->hardware), hw, n, NULL) !=
	    MM_OK)
		return MM_FAIL(why, MM_EINPUT, "hardware: want hexadecimal "
		    "digits");
	if (mm_base64_parse(mm_bytes_of(in->signature), sig, NULL) != MM_OK)
		return MM_FAIL(why, MM_EINPUT, "signature: want base64");
	memcpy(out->nonce, in->nonce, sizeof(out->nonce));
	out->hardware = (struct mm_bytes){ hw, n };
	out->signature = mm_buf_view(sig);
	return MM_OK;
}

static enum mm_err
begin(struct mm_rest *r, struct mm_job *job, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	MM_OWN(mm_buf_done) struct mm_buf sig = MM_BUF_INIT(SIGNATURE_MAX);
	uint8_t hw[MM_POSSESSION_HARDWARE];
	struct proof in = { .serial = "" };
	struct mm_possession p;
	enum mm_err rc;

	MM_TRY(mm_rest_members(r->in, members,
	    sizeof(members) / sizeof(members[0]), &in, why));
	MM_TRY(find(r, &in, &der, why));
	MM_TRY(decode(&in, hw, &sig, &p, why));
	rc = mm_core_proved(r->s->core, &job->authority, mm_buf_view(&der), &p,
	    why);
	/* Who asks is known; what was sent is no proof. */
	if (rc == MM_EAUTH) {
		r->reason = MM_R_POSSESSION;
		rc = MM_EINPUT;
	}
	return rc;
}

static enum mm_err
end(struct mm_rest *r, const struct mm_job *job, struct mm_why *why)
{
	if (job->result != MM_OK) {
		r->reason = job->reason;
		*why = job->why;
		return job->result;
	}
	mm_json_open(&r->j, '{');
	mm_json_str(&r->j, "state", "confirmed");
	mm_json_close(&r->j, '}');
	return mm_buf_ok(&r->out, why);
}

enum mm_err
mm_rest_device_proof(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(mm_job_free) struct mm_job *job = NULL;

	if (r->call->job != NULL)
		return end(r, r->call->job, why);
	job = mm_job_new(MM_JOB_CONFIRM);
	if (job == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	MM_TRY(begin(r, job, why));
	mm_rest_park(r, MM_MOVE(job));
	return MM_OK;
}
