#include "line/label.h"

#include <string.h>

#include "base/own.h"
#include "pki/key.h"

/* 400 x 200 dots: the code left, what people read right of it. */
static const char usual[] =
    "^XA^CI28^PW400^LL200\n"
    "^FO20,20^BQN,2,4^FH^FDMA,{{code}}^FS\n"
    "^FO190,40^A0N,28,24^FB200,2,0,L^FH^FD{{device}}^FS\n"
    "^FO190,110^A0N,22,20^FB200,1,0,L^FH^FD{{product}}^FS\n"
    "^XZ\n";

static const char *const names[] = { "device", "product", "batch", "code",
	"token" };

static const char *
value_of(const struct mm_label *l, const char *name)
{
	const char *const v[] = { l->device, l->product, l->batch,
		l->code != NULL ? l->code : l->device, l->token };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return v[i] != NULL ? v[i] : "";
	return NULL;
}

/* see label.h */
enum mm_err
mm_label_check(const struct mm_fill *template, struct mm_why *why)
{
	const struct mm_label none = { .device = "" };

	for (size_t i = 0; i < mm_fill_count(template); i++)
		if (value_of(&none, mm_fill_name(template, i)) == NULL)
			return MM_FAIL(why, MM_EINPUT, "no label has a field "
			    "%s: device, product, batch, code or token",
			    mm_fill_name(template, i));
	return MM_OK;
}

/* see label.h */
enum mm_err
mm_label_zpl(const struct mm_fill *template, const struct mm_label *label,
    struct mm_buf *out, struct mm_why *why)
{
	MM_OWN(mm_fill_free) struct mm_fill *own = NULL;
	const char *value[MM_FILL_FIELDS];
	struct mm_why what = { 0 };
	enum mm_err rc;
	size_t field;

	if (template == NULL) {
		MM_TRY(mm_fill_parse(MM_FILL_ZPL, mm_bytes_of(usual), &own,
		    why));
		template = own;
	}
	MM_TRY(mm_label_check(template, why));
	for (size_t i = 0; i < mm_fill_count(template); i++)
		value[i] = value_of(label, mm_fill_name(template, i));
	rc = mm_fill_render(template, value, out, NULL, &field, &what);
	return rc == MM_OK ? MM_OK : MM_FAIL(why, rc, "label: %s: %s",
	    field < mm_fill_count(template) ? mm_fill_name(template, field)
	    : "all of it", what.text);
}

/* see label.h */
void
mm_label_id(const char *device, struct mm_bytes sent, uint8_t out[32])
{
	uint8_t hash[64];

	mm_sha256(mm_bytes_of(device), hash);
	mm_sha256(sent, hash + 32);
	mm_sha256((struct mm_bytes){ hash, sizeof(hash) }, out);
}
