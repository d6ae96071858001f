#ifndef MM_PKI_TEMPLATE_H
#define MM_PKI_TEMPLATE_H

#include "pki/priv.h"

/* The profile's little language; used by the check and by the builder. */

#define MM_OID_TEXT_MAX 96

struct mm_attribute_row {
	const char *name, *oid;
	uint8_t tag;   /* PRINTABLE falls back to UTF8 but for C */
	size_t most;   /* characters */
};
/* "CN={device}", "1.3.6.1.4.1.37244.2.1=FFF1"; oid backs row->oid. */
bool mm_template_attribute(const char *item, struct mm_attribute_row *row,
    char oid[MM_OID_TEXT_MAX], const char **value);
/* False if the value is empty, too long or has a brace that means nothing. */
bool mm_template_fill(const char *value, const char *device,
    const char *product, char *out, size_t outn);
/* Whether PrintableString can hold it. */
bool mm_printable(const char *s);
/* A key usage's bit. */
bool mm_template_usage(const char *name, unsigned *bit);
/* An extended key usage's OID; NULL if it is neither name nor OID. */
const char *mm_template_eku(const char *name);

struct mm_san_row {
	const char *prefix; /* four characters */
	uint8_t tag;
	bool (*ok)(const char *filled_in);
};
const struct mm_san_row *mm_template_san(const char *item);

struct mm_raw_extension {
	char oid[MM_OID_TEXT_MAX];
	bool critical;
	uint8_t value[MM_CONF_ITEM_MAX / 2];
	size_t n;
};
/* "1.2.3:critical:hexDER", "1.2.3::hexDER" or "1.2.3:hexDER" */
bool mm_template_raw(const char *item, struct mm_raw_extension *out);

#endif
