#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "core/upstream.h"
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

/* MM_ENOTFOUND: it is another device's. */
static enum mm_err
prove_by(struct mm_rest *r, const char *device, const struct mm_cert_row *row,
    const struct mm_possession *p, struct mm_authority *a, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	enum mm_err rc;

	if (strcasecmp(row->device, device) != 0)
		return MM_ENOTFOUND;
	rc = mm_get_cert_der(r->reader, row->serial, &der, NULL);
	if (rc == MM_ENOTFOUND)
		return rc;
	if (rc != MM_OK)
		return MM_FAIL(why, MM_EAGAIN, "the store cannot be read");
	return mm_core_proved(r->s->core, a, mm_buf_view(&der), p, why);
}

/* Two CAs may have given one number, and both of them to this device: it is
 * the certificate that it proves. */
static enum mm_err
prove(struct mm_rest *r, const char *serial, const struct mm_possession *p,
    struct mm_authority *a, struct mm_why *why)
{
	char id[MM_DEVICE_ID_MAX + 1];
	struct mm_any_serial any;
	struct mm_cert_row row;
	struct mm_why no = { .text = "this device has no such certificate" };
	enum mm_err rc = MM_ENOTFOUND, got;
	size_t at = 0;

	MM_TRY(mm_rest_segment(r, 0, id, sizeof(id), why));
	MM_TRY(mm_any_serial_parse(mm_bytes_of(serial), &any, why));
	while ((got = mm_core_records(r->s->core, r->reader, &any, &at, &row,
	    NULL)) == MM_OK) {
		struct mm_why said = { 0 };

		got = prove_by(r, id, &row, p, a, &said);
		if (got == MM_OK)
			return MM_OK;
		if (got == MM_ENOTFOUND)
			continue;
		rc = got;
		no = said;
	}
	if (got != MM_ENOTFOUND)
		return MM_FAIL(why, MM_EAGAIN, "the store cannot be read");
	return MM_FAIL(why, rc, "%s", no.text);
}

static enum mm_err
begin(struct mm_rest *r, struct mm_job *job, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf sig = MM_BUF_INIT(SIGNATURE_MAX);
	uint8_t hw[MM_POSSESSION_HARDWARE];
	struct proof in = { .serial = "" };
	struct mm_possession p;
	enum mm_err rc;

	MM_TRY(mm_rest_members(r->in, members,
	    sizeof(members) / sizeof(members[0]), &in, why));
	MM_TRY(decode(&in, hw, &sig, &p, why));
	rc = prove(r, in.serial, &p, &job->authority, why);
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
