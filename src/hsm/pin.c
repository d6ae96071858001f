#include <string.h>

#include "hsm/hsm.h"

/* RFC 7512 2.3: all that it says but which key of the token it is. */
static void
put_token(struct mm_buf *out, const char *uri)
{
	static const char *const of_key[] = { "object=", "id=", "type=" };
	const char *p = uri + strlen(MM_TOKEN_URI);

	while (*p != '\0' && *p != '?') {
		size_t n = strcspn(p, ";?"), k = 0;

		while (k < 3 && strncmp(p, of_key[k], strlen(of_key[k])) != 0)
			k++;
		if (k == 3)
			mm_buf_printf(out, "%.*s;", (int)n, p);
		p += n + (p[n] == ';');
	}
	mm_buf_text(out, p);
}

/* see hsm.h */
enum mm_err
mm_hsm_pin_id(const struct mm_issuer_conf *conf, uint8_t out[32],
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf of = MM_BUF_INIT(1 << 16);

	put_token(&of, conf->key);
	mm_buf_printf(&of, "\n%s\n", conf->pin_file);
	for (size_t i = 0; i < conf->key_environ.n; i++)
		mm_buf_printf(&of, "%s\n", conf->key_environ.item[i]);
	MM_TRY(mm_buf_ok(&of, why));
	mm_sha256(mm_buf_view(&of), out);
	return MM_OK;
}
