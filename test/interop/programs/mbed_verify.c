/*
 * mbed_verify ROOT INTERMEDIATES LEAF [CRL]: whether mbed TLS accepts the
 * leaf for a TLS client.  Ends with 0, or says why not.
 */
#include <stdio.h>

#include <mbedtls/error.h>
#include <mbedtls/oid.h>
#include <mbedtls/x509_crt.h>

static int
fail(const char *what, int rc)
{
	char text[128];

	mbedtls_strerror(rc, text, sizeof(text));
	fprintf(stderr, "%s: %s\n", what, text);
	return 1;
}

int
main(int argc, char **argv)
{
	mbedtls_x509_crt root, leaf;
	mbedtls_x509_crl crl;
	uint32_t flags = 0;
	char text[512];
	int rc;

	if (argc < 4)
		return 2;
	mbedtls_x509_crt_init(&root);
	mbedtls_x509_crt_init(&leaf);
	mbedtls_x509_crl_init(&crl);
	if ((rc = mbedtls_x509_crt_parse_file(&root, argv[1])) != 0)
		return fail(argv[1], rc);
	if ((rc = mbedtls_x509_crt_parse_file(&leaf, argv[3])) != 0)
		return fail(argv[3], rc);
	if ((rc = mbedtls_x509_crt_parse_file(&leaf, argv[2])) != 0)
		return fail(argv[2], rc);
	if (argc > 4 && (rc = mbedtls_x509_crl_parse_file(&crl, argv[4])) != 0)
		return fail(argv[4], rc);
	rc = mbedtls_x509_crt_check_extended_key_usage(&leaf,
	    MBEDTLS_OID_CLIENT_AUTH, MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH));
	if (rc != 0)
		return fail("extended key usage", rc);
	rc = mbedtls_x509_crt_verify(&leaf, &root, argc > 4 ? &crl : NULL,
	    NULL, &flags, NULL, NULL);
	if (rc == 0)
		return 0;
	mbedtls_x509_crt_verify_info(text, sizeof(text), "", flags);
	fputs(text, stderr);
	return fail("verify", rc);
}
