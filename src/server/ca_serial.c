#include "base/own.h"
#include "server/upstream.h"

/*
 * Who revokes a certificate at its own CA needs the number that it has there;
 * the record's is ours (ADR 18).
 */

/* see upstream.h */
enum mm_err
mm_ca_serial(struct mm_store_reader *r, const uint8_t number[MM_SERIAL_N],
    char out[MM_CA_SERIAL_TEXT], struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	struct mm_bytes serial;
	struct mm_cert cert;
	enum mm_err rc;

	out[0] = '\0';
	if ((number[0] & 0x80) == 0)
		return MM_OK;
	rc = mm_get_cert_der(r, number, &der, NULL);
	if (rc != MM_OK && rc != MM_ENOTFOUND)
		return MM_FAIL(why, MM_EAGAIN, "the store cannot be read");
	if (rc != MM_OK ||
	    mm_cert_walk(mm_buf_view(&der), &cert, NULL) != MM_OK)
		return MM_OK;
	serial = cert.serial;
	while (serial.n > 1 && serial.p[0] == 0) {
		serial.p++;
		serial.n--;
	}
	if (serial.n <= MM_ANY_SERIAL_N)
		mm_hex_text(serial.p, serial.n, out);
	return MM_OK;
}
