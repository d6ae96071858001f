#include <string.h>

#include "core/priv.h"

/* Whether a device is in the field: it has proved an identity. */

enum { PAGE = 64 };

struct looking {
	const uint8_t *spki;
	bool proved, same;
	unsigned rows;
	char after[MM_AUTHORITY_TEXT];
};

static enum mm_err
look(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_cert_row *c = row;
	struct looking *l = ctx;

	(void)why;
	l->rows++;
	strcpy(l->after, next);
	if (c->confirmed_at == 0)
		return MM_OK;
	l->proved = true;
	l->same = l->same || memcmp(c->spki_sha256, l->spki, 32) == 0;
	return MM_OK;
}

static enum mm_err
look_at_state(struct mm_store_reader *r, const char *device,
    enum mm_cert_state state, int64_t from_s, struct looking *l,
    struct mm_why *why)
{
	struct mm_list of = { .most = PAGE, .device = device,
		.state = (int)state, .expires_from_s = from_s };

	l->after[0] = '\0';
	do {
		l->rows = 0;
		strcpy(of.after, l->after);
		MM_TRY(mm_list_certs(r, &of, look, l, why));
	} while (l->rows == PAGE);
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_ever_proved(struct mm_store_reader *r, const struct mm_device *dev,
    const uint8_t spki[32], bool *yes, struct mm_why *why)
{
	struct looking l = { .spki = spki };

	for (int s = 0; s < MM_CERT_STATES && !l.proved; s++)
		MM_TRY(look_at_state(r, dev->id, (enum mm_cert_state)s, 0, &l,
		    why));
	*yes = l.proved;
	return MM_OK;
}

/* see priv.h; what is on hold may come back */
enum mm_err
mm_fielded(struct mm_store_reader *r, const struct mm_device *dev,
    const uint8_t spki[32], bool *yes, struct mm_why *why)
{
	struct looking l = { .spki = spki };

	l.same = !mm_zero(spki, 32) && memcmp(dev->bound_spki, spki, 32) == 0;
	MM_TRY(look_at_state(r, dev->id, MM_CERT_CONFIRMED, mm_now_s(), &l,
	    why));
	MM_TRY(look_at_state(r, dev->id, MM_CERT_HELD, mm_now_s(), &l, why));
	*yes = l.proved && !l.same;
	return MM_OK;
}
