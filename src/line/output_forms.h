#ifndef MM_LINE_OUTPUT_FORMS_H
#define MM_LINE_OUTPUT_FORMS_H

#include "line/output.h"

/* The writers of output.c's table; what they are given has been checked. */
typedef enum mm_err mm_output_fn(const struct mm_output_in *in,
    struct mm_output *out, struct mm_why *why);
mm_output_fn mm_output_pem, mm_output_der, mm_output_header;
mm_output_fn mm_output_pkcs12, mm_output_esp_secure_cert, mm_output_nvs;
mm_output_fn mm_output_hex;

/* The key as PKCS#8, PEM (with a label) or DER; nothing without a key. */
MM_MUST enum mm_err mm_output_put_key(const struct mm_output_in *in,
    bool pem, struct mm_buf *out, struct mm_why *why);
/* The certificate and the first n of its chain as PEM. */
void mm_output_put_pem(const struct mm_output_in *in, size_t n,
    struct mm_buf *out);
/* The certificate and its chain as DER, one after the other. */
void mm_output_put_der(const struct mm_output_in *in, struct mm_buf *out);

#endif
