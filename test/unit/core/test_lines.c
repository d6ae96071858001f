#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <openssl/x509.h>

#include "base/time.h"
#include "core/priv.h"
#include "core/production.h"
#include "rig.h"

/* Line CAs that the signer makes, and their lists. */
#define LINES                                                       \
	"issuer \"lines\" {\n  certificate = \"lines.pem\"\n"       \
	"  key = \"lines.key\"\n  lines = 200\n}\n"

enum { A_ROUND = 64, N = A_ROUND + 2 };

static struct {
	char name[N][MM_NAME_MAX + 1]; /* in the order of their names */
	struct mm_buf to;              /* a station's signer, its certificate */
} made;

static int
by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void
make_certificate(struct mm_buf *out)
{
	EVP_PKEY *key = rig_key();
	X509 *x = X509_new();
	uint8_t *der = NULL;
	int n;

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_set_pubkey(x, key);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	n = i2d_X509(x, &der);
	assert_true(n > 0);
	mm_buf_put(out, der, (size_t)n);
	OPENSSL_free(der);
	X509_free(x);
	mm_pkey_free(&key);
}

static void
make_line(struct rig *r, const char *station, char name[MM_NAME_MAX + 1])
{
	struct mm_work_order o = { .batch = "b1" };
	struct mm_line_buf buf = { { NULL, 0 } };
	struct mm_why why = { 0 };
	struct mm_line_ca ca;

	snprintf(o.station, sizeof(o.station), "%s", station);
	if (mm_desk_line_make(r->desk, &r->admin, &o, mm_buf_view(&made.to),
		&buf, &ca, &why) != MM_OK)
		fail_msg("%s", why.text);
	strcpy(name, ca.name);
	mm_line_buf_done(&buf);
}

static int
setup(void **state)
{
	static struct rig r;

	rig_make(&r, LINES, NULL);
	/* another node would do it: this one does not look at the entries */
	r.core->nodes.patience_ms = INT64_MAX / 2;
	mm_buf_init(&made.to, MM_CERT_MAX);
	make_certificate(&made.to);
	for (unsigned i = 0; i < N; i++) {
		char station[16];

		snprintf(station, sizeof(station), "st-%02u", i);
		make_line(&r, station, made.name[i]);
	}
	qsort(made.name, N, sizeof(made.name[0]), by_name);
	*state = &r;
	return 0;
}

static int
teardown(void **state)
{
	mm_buf_done(&made.to);
	rig_done(*state);
	return 0;
}

/* What a signature does whose record was lost: its serial is on the list. */
static void
revoke(struct rig *r, const char *issuer, uint8_t n)
{
	struct mm_buf buf = MM_BUF_INIT(8192);
	struct mm_papers p = mm_papers_over(&buf);
	struct mm_entry e = { .type = MM_E_SIG_ORPHANED };
	struct mm_op op = { .kind = MM_OP_ORPHAN };
	struct mm_cert_row *row = &op.u.orphan.row;
	struct mm_cert_texts t;

	row->serial[0] = 1;
	row->serial[15] = row->spki_sha256[0] = n;
	strcpy(row->issuer, issuer);
	strcpy(row->device, "SN-1");
	strcpy(row->profile, "thermo@1");
	row->state = MM_CERT_ORPHANED;
	row->issued_at = row->revoked_at = mm_now_ms();
	row->not_after_s = mm_now_s() + 86400;
	mm_entry_cert(&e, &t, row, "");
	mm_papers_add(&p, &e);
	assert_int_equal(mm_papers_seal(&p, &op, NULL), MM_OK);
	assert_int_equal(mm_core_run1(r->core, &op, NULL), MM_OK);
	mm_buf_done(&buf);
}

/* 0: there is none. */
static uint64_t
number_of(struct rig *r, const char *issuer)
{
	uint64_t number = 0;
	int64_t next_s;

	if (mm_get_crl(r->desk->r, issuer, &number, &next_s, NULL, NULL) !=
	    MM_OK)
		return 0;
	return number;
}

static unsigned
listed(struct rig *r)
{
	unsigned n = 0;

	for (unsigned i = 0; i < N; i++)
		n += number_of(r, made.name[i]) != 0;
	return n;
}

/* All of them are due; the last one by its name is the one that matters. */
static void
what_was_revoked_comes_first(void **state)
{
	struct rig *r = *state;

	revoke(r, made.name[N - 1], 1);
	mm_desk_housekeeping(r->desk);
	assert_int_equal(listed(r), A_ROUND);
	assert_true(number_of(r, made.name[N - 1]) != 0);
	/* it goes on where it stopped */
	mm_desk_housekeeping(r->desk);
	assert_int_equal(listed(r), N);
}

/* Whoever revokes does not wait as other nodes do, who may find it done. */
static void
who_revokes_signs_at_once(void **state)
{
	struct rig *r = *state;
	uint64_t first = number_of(r, made.name[0]);
	uint64_t other = number_of(r, made.name[1]);

	revoke(r, made.name[0], 2);
	mm_desk_housekeeping(r->desk);
	assert_true(number_of(r, made.name[0]) > first);
	assert_true(number_of(r, made.name[1]) == other);
	first = number_of(r, made.name[0]);
	mm_desk_housekeeping(r->desk);
	assert_true(number_of(r, made.name[0]) == first);
}

static void
put_doc(struct rig *r, const char *body, uint64_t expect, bool entered)
{
	struct mm_buf buf = MM_BUF_INIT(8192);
	struct mm_papers p = mm_papers_over(&buf);
	struct mm_entry e = { .type = MM_E_ISSUER_MADE };
	struct mm_op op = { .kind = MM_OP_DOC_PUT };

	op.u.doc.kind = MM_DOC_LINE_CA;
	op.u.doc.expect = expect;
	op.u.doc.body = mm_bytes_of(body);
	strcpy(op.u.doc.id, "elsewhere-1");
	e.field[MM_F_ISSUER] = "elsewhere-1";
	e.field[MM_F_CERT_SHA256] =
	    "00000000000000000000000000000000000000000000000000000000000000ff";
	if (entered)
		mm_papers_add(&p, &e);
	assert_int_equal(mm_papers_seal(&p, &op, NULL), MM_OK);
	assert_int_equal(mm_core_run1(r->core, &op, NULL), MM_OK);
	mm_buf_done(&buf);
}

static void
wait_until_fed(struct rig *r)
{
	const struct timespec tick = { 0, 5000000 };
	int64_t end = mm_mono_ms() + 20000;
	bool fed = false;

	while (!fed) {
		assert_true(mm_mono_ms() < end);
		nanosleep(&tick, NULL);
		pthread_mutex_lock(&r->core->lock);
		fed = r->core->fed == r->core->ledger_size;
		pthread_mutex_unlock(&r->core->lock);
	}
}

/* Its entry goes by while its document cannot be read. */
static void
another_nodes_is_not_missed(void **state)
{
	struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	struct mm_json j = mm_json_over(&body);
	struct rig *r = *state;
	const struct mm_chain *chain = mm_issuer_chain(r->core, "lines");

	put_doc(r, "not now", 0, true);
	wait_until_fed(r);
	assert_null(mm_issuer_chain(r->core, "elsewhere-1"));
	mm_desk_housekeeping(r->desk);
	assert_null(mm_issuer_chain(r->core, "elsewhere-1"));
	mm_json_open(&j, '{');
	mm_json_str(&j, "issuer", "lines");
	mm_json_b64(&j, "certificate", chain->der[0]);
	mm_json_close(&j, '}');
	put_doc(r, mm_buf_cstr(&body), 1, false);
	mm_desk_housekeeping(r->desk);
	assert_non_null(mm_issuer_chain(r->core, "elsewhere-1"));
	mm_buf_done(&body);
}

static enum mm_err
responder(struct rig *r, const char *issuer)
{
	uint8_t serial[MM_SERIAL_N];
	enum mm_err rc;

	mm_wire_lock(r->core->wire, MM_LINE_OCSP);
	rc = mm_desk_responder(r->desk, issuer, MM_RESPONDER_OCSP, false,
	    serial, NULL);
	mm_wire_unlock(r->core->wire, MM_LINE_OCSP);
	return rc;
}

/* Whose key is lost waits alone: the others have their responders. */
static void
a_lost_key_is_its_issuers(void **state)
{
	struct rig *r = *state;

	assert_non_null(mm_issuer_chain(r->core, "elsewhere-1"));
	assert_int_equal(responder(r, "elsewhere-1"), MM_EAGAIN);
	assert_int_equal(responder(r, made.name[0]), MM_OK);
	assert_int_equal(responder(r, "factory"), MM_OK);
	assert_int_equal(responder(r, "elsewhere-1"), MM_EAGAIN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_revoked_comes_first),
		cmocka_unit_test(who_revokes_signs_at_once),
		cmocka_unit_test(another_nodes_is_not_missed),
		cmocka_unit_test(a_lost_key_is_its_issuers),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
