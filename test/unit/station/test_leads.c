#include "../pki/fixture.h"

#include "station/leads.h"

/* What a board is locked with leads to the anchor. */

static void
join(const struct ca *by, EVP_PKEY *key, const char *cn, struct mm_buf *der)
{
	struct mm_buf spki = MM_BUF_INIT(4096), tbs = MM_BUF_INIT(8192);
	struct mm_buf sig = MM_BUF_INIT(1024);
	struct mm_conf_list subject = { .n = 1 };
	struct mm_ca_fields f = { .serial = { 2 }, .not_before_s = NOW,
		.not_after_s = NOW + DAY, .subject = &subject, .ca = true };
	struct mm_why why = { 0 };

	snprintf(subject.item[0], MM_CONF_ITEM_MAX, "CN=%s", cn);
	OK(why, mm_key_spki(key, &spki, &why));
	f.spki = mm_buf_view(&spki);
	f.issuer_subject = by->issuer.subject;
	OK(why, mm_ca_build(&f, mm_sign_alg(by->sign), &tbs, &why));
	OK(why, mm_sign_bytes(by->sign, mm_buf_view(&tbs), &sig, &why));
	mm_cert_join(der, mm_buf_view(&tbs), mm_sign_alg(by->sign),
	    mm_buf_view(&sig));
	mm_buf_done(&spki);
	mm_buf_done(&tbs);
	mm_buf_done(&sig);
}

/* The same name, another key: an issuer that was made anew. */
static void
only_by_who_signed_it(void **state)
{
	struct mm_buf cert = MM_BUF_INIT(8192), pem = MM_BUF_INIT(8192);
	struct mm_buf again = MM_BUF_INIT(8192);
	struct mm_bytes none = { NULL, 0 };
	struct ca ca, other;

	(void)state;
	ca_init_root(&ca, MM_KEY_P256);
	ca_init_root(&other, MM_KEY_P384);
	join(&ca, ca.key, "x", &cert);
	mm_pem_put(&pem, "CERTIFICATE", mm_buf_view(&ca.der));
	mm_pem_put(&again, "CERTIFICATE", mm_buf_view(&other.der));
	assert_true(mm_leads(mm_buf_view(&cert), none, mm_buf_view(&pem)));
	assert_false(mm_leads(mm_buf_view(&cert), none, mm_buf_view(&again)));
	assert_true(mm_leads(mm_buf_view(&cert), mm_buf_view(&ca.der),
	    mm_buf_view(&pem)));
	assert_false(mm_leads(mm_buf_view(&cert), mm_buf_view(&other.der),
	    mm_buf_view(&again)));
	/* another root, of another CA: its links are all there is */
	assert_true(mm_leads(mm_buf_view(&cert), none, none));
	assert_false(mm_leads(mm_buf_view(&cert), mm_bytes_of("0"), none));
	mm_buf_done(&cert);
	mm_buf_done(&pem);
	mm_buf_done(&again);
	ca_done(&ca);
	ca_done(&other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_by_who_signed_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
