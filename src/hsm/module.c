#include <string.h>

#include "hsm/priv.h"

#define SLOTS_MAX 256

/* see priv.h */
enum mm_err
mm_module_fail(const char *what, CK_RV rv, struct mm_why *why)
{
	return MM_FAIL(why, MM_EAGAIN, "%s: %.80s (0x%lx)", what,
	    p11_kit_strerror(rv), (unsigned long)rv);
}

/* RFC 7512; what this version of the library does not know would be left out
 * of what is compared. */
static enum mm_err
read_uri(const char *text, P11KitUri **out, struct mm_why *why)
{
	P11KitUri *u = p11_kit_uri_new();
	int rc = u == NULL ? P11_KIT_URI_UNEXPECTED :
	    p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, u);

	if (rc == P11_KIT_URI_OK && !p11_kit_uri_any_unrecognized(u)) {
		*out = u;
		return MM_OK;
	}
	p11_kit_uri_free(u);
	return MM_FAIL(why, MM_EINPUT, "key: RFC 7512: %s",
	    rc == P11_KIT_URI_OK ? "an attribute is not known" :
	    p11_kit_uri_message(rc));
}

/* The slot whose token the URI names, of one module; n counts them. */
static void
look_in(CK_FUNCTION_LIST *f, struct mm_module *m, unsigned *n)
{
	CK_SLOT_ID slot[SLOTS_MAX];
	CK_ULONG slots = SLOTS_MAX;
	CK_TOKEN_INFO info;

	if (f->C_GetSlotList(CK_TRUE, slot, &slots) != CKR_OK)
		return;
	for (CK_ULONG i = 0; i < slots; i++) {
		if (f->C_GetTokenInfo(slot[i], &info) != CKR_OK ||
		    (info.flags & CKF_TOKEN_INITIALIZED) == 0 ||
		    !p11_kit_uri_match_token_info(m->uri, &info))
			continue;
		m->f = f;
		m->slot = slot[i];
		++*n;
	}
}

static enum mm_err
load_one(const char *path, struct mm_module *m, unsigned *n,
    struct mm_why *why)
{
	CK_FUNCTION_LIST *f = p11_kit_module_load(path, 0);
	CK_RV rv;

	if (f == NULL)
		return MM_FAIL(why, MM_EAGAIN, "module: %.110s",
		    p11_kit_message() != NULL ? p11_kit_message() : path);
	rv = p11_kit_module_initialize(f);
	if (rv != CKR_OK)
		return mm_module_fail("module", rv, why);
	look_in(f, m, n);
	return MM_OK;
}

/* Those that p11-kit is configured with. */
static enum mm_err
load_known(struct mm_module *m, unsigned *n, struct mm_why *why)
{
	CK_FUNCTION_LIST **list = p11_kit_modules_load_and_initialize(0);

	if (list == NULL)
		return MM_FAIL(why, MM_EAGAIN, "modules: %.110s",
		    p11_kit_message() != NULL ? p11_kit_message() : "none");
	for (size_t i = 0; list[i] != NULL; i++)
		look_in(list[i], m, n);
	return MM_OK;
}

/* see priv.h; what is open stays so until the process ends */
enum mm_err
mm_module_open(const struct mm_keeper *k, struct mm_module *out,
    struct mm_why *why)
{
	const char *path;
	unsigned n = 0;
	CK_RV rv;

	MM_TRY(read_uri(k->conf->key, &out->uri, why));
	path = p11_kit_uri_get_module_path(out->uri);
	if (path != NULL)
		MM_TRY(load_one(path, out, &n, why));
	else
		MM_TRY(load_known(out, &n, why));
	if (n != 1)
		return MM_FAIL(why, MM_EAGAIN, n == 0 ? "no token of that "
		    "name is there" : "several tokens have that name");
	rv = out->f->C_OpenSession(out->slot, CKF_SERIAL_SESSION, NULL, NULL,
	    &out->session);
	return rv == CKR_OK ? MM_OK : mm_module_fail("session", rv, why);
}
