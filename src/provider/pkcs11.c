#include "provider/places.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <p11-kit/p11-kit.h>
#include <p11-kit/uri.h>

#include "base/own.h"
#include "base/secret.h"
#include "pki/key.h"

/*
 * Keys in a PKCS#11 token (OASIS PKCS #11 3.0), through p11-kit: the module
 * that the configuration names, or those that the system has registered; what
 * a key's file says of module-path chooses among these (places.h).
 *
 * Each use opens a session and logs in: who has forked has none of another, a
 * token that was pulled out and put back is no special case, and no session
 * stays open.  A PIN is not tried where that is the last try, nor one that was
 * refused before (places.h): a device that comes again by itself would lock
 * its token.
 */
enum { SLOTS_MAX = 64, ID_N = 16 };

MM_FREE_FN(uri_free, P11KitUri, p11_kit_uri_free)

/* One use of a token. */
struct use {
	P11KitUri *uri;
	CK_FUNCTION_LIST **modules;
	CK_FUNCTION_LIST *own[2];    /* one that is not registered */
	bool unheard;                /* module-path names another one */
	CK_FUNCTION_LIST *f;         /* whose token it is */
	CK_SLOT_ID slot;
	CK_TOKEN_INFO token;
	CK_SESSION_HANDLE session;
	bool open;
};

static const struct {
	CK_RV rv;
	enum mm_err err;
	const char *words;
} answers[] = {
	{ CKR_PIN_INCORRECT, MM_EAUTH, "the PIN is wrong" },
	{ CKR_PIN_INVALID, MM_EAUTH, "the PIN is wrong" },
	{ CKR_PIN_LEN_RANGE, MM_EAUTH, "the PIN is wrong" },
	{ CKR_PIN_LOCKED, MM_EAUTH, "the PIN is locked" },
	{ CKR_PIN_EXPIRED, MM_EAUTH, "the PIN is to be changed" },
	{ CKR_TOKEN_NOT_PRESENT, MM_EAGAIN, "the token is not there" },
	{ CKR_DEVICE_REMOVED, MM_EAGAIN, "the token was taken away" },
	{ CKR_DEVICE_ERROR, MM_EAGAIN, "the token failed" },
	{ CKR_DEVICE_MEMORY, MM_EPOLICY, "the token is full" },
	{ CKR_SESSION_COUNT, MM_EAGAIN, "the token has no session left" },
	{ CKR_TOKEN_WRITE_PROTECTED, MM_EPOLICY, "the token is write-protected" },
	{ CKR_MECHANISM_INVALID, MM_EPOLICY, "the token has no ECDSA" },
	{ CKR_USER_NOT_LOGGED_IN, MM_EAUTH, "the token wants a PIN: "
	    "pin-source=FILE in the URI" },
	{ CKR_USER_PIN_NOT_INITIALIZED, MM_EAUTH,
	    "the token's PIN was never set" },
};

static enum mm_err
failed(const char *what, CK_RV rv, struct mm_why *why)
{
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		if (answers[i].rv == rv)
			return MM_FAIL(why, answers[i].err, "token: %s: %s",
			    what, answers[i].words);
	return MM_FAIL(why, MM_EPOLICY, "token: %s: refused (0x%lx)", what,
	    (unsigned long)rv);
}

/* ---- one use ---- */

static enum mm_err
parse(const char *text, P11KitUri **out, struct mm_why *why)
{
	MM_OWN(uri_free) P11KitUri *uri = p11_kit_uri_new();

	if (uri == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	if (p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, uri) !=
	    P11_KIT_URI_OK || p11_kit_uri_any_unrecognized(uri))
		return MM_FAIL(why, MM_EINPUT,
		    "key: not a PKCS#11 URI as RFC 7512 has it");
	if (p11_kit_uri_get_pin_value(uri) != NULL)
		return MM_FAIL(why, MM_EINPUT, "key: a PIN does not stand in "
		    "the URI: put it into a file and say pin-source=FILE");
	*out = MM_MOVE(uri);
	return MM_OK;
}

static enum mm_err
load_modules(struct use *u, struct mm_why *why)
{
	const char *named = p11_kit_uri_get_module_path(u->uri);
	const char *path = mm_provider_module(named);
	CK_RV rv;

	u->unheard = named != NULL && (path == NULL ||
	    strcmp(path, named) != 0);
	if (path == NULL) {
		u->modules = p11_kit_modules_load_and_initialize(0);
		return u->modules != NULL ? MM_OK : MM_FAIL(why, MM_ENOTFOUND,
		    "token: no PKCS#11 module is registered");
	}
	u->own[0] = p11_kit_module_load(path, 0);
	if (u->own[0] == NULL)
		return MM_FAIL(why, MM_ENOTFOUND, "token: %.100s is no "
		    "PKCS#11 module", path);
	rv = p11_kit_module_initialize(u->own[0]);
	if (rv != CKR_OK) {
		p11_kit_module_release(u->own[0]);
		u->own[0] = NULL;
		return failed("start", rv, why);
	}
	u->modules = u->own;
	return MM_OK;
}

/* The tokens of a module that the URI means; the first is taken. */
static unsigned
match_tokens(struct use *u, CK_FUNCTION_LIST *f)
{
	CK_SLOT_ID slots[SLOTS_MAX];
	CK_ULONG n = SLOTS_MAX;
	CK_TOKEN_INFO token;
	CK_INFO info;
	unsigned found = 0;

	if (f->C_GetInfo(&info) != CKR_OK ||
	    !p11_kit_uri_match_module_info(u->uri, &info) ||
	    f->C_GetSlotList(CK_TRUE, slots, &n) != CKR_OK)
		return 0;
	for (CK_ULONG i = 0; i < n; i++) {
		if (f->C_GetTokenInfo(slots[i], &token) != CKR_OK ||
		    (token.flags & CKF_TOKEN_INITIALIZED) == 0 ||
		    !p11_kit_uri_match_token_info(u->uri, &token))
			continue;
		if (found++ == 0) {
			u->f = f;
			u->slot = slots[i];
			u->token = token;
		}
	}
	return found;
}

static enum mm_err
find_token(struct use *u, struct mm_why *why)
{
	unsigned found = 0;

	for (size_t i = 0; u->modules[i] != NULL; i++) {
		struct use one = *u;
		unsigned n = match_tokens(&one, u->modules[i]);

		if (n > 0 && found == 0)
			*u = one;
		found += n;
	}
	if (found == 0 && u->unheard)
		return MM_FAIL(why, MM_EPOLICY, "token: none that the URI "
		    "means is there; module-path counts in openssl.cnf and "
		    "the agent's own configuration, not in a key's file");
	if (found == 0)
		return MM_FAIL(why, MM_ENOTFOUND,
		    "token: none that the URI means is there");
	return found == 1 ? MM_OK : MM_FAIL(why, MM_ECONFLICT,
	    "token: the URI means %u of them: name one by its label or "
	    "serial number", found);
}

static bool
is_own(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    (st.st_uid == 0 || st.st_uid == geteuid()) &&
	    (st.st_mode & S_IRWXO) == 0;
}

/* A PIN, not whatever a key's file would have read: a pipe or a device is not
 * waited for. */
static enum mm_err
read_own(const char *path, struct mm_secret **out, struct mm_why *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	enum mm_err err;

	if (fd < 0)
		return MM_FAIL(why, MM_ESYS, "%.100s: %s", path,
		    strerror(errno));
	if (is_own(fd))
		err = mm_secret_from_fd(fd, out, why);
	else
		err = MM_FAIL(why, MM_EPOLICY, "%.60s: want a file of this "
		    "user's or root's that others cannot read: chmod o=",
		    path);
	(void)close(fd);
	return err;
}

/* RFC 7512 2.4: a file's name, or its URI. */
static enum mm_err
read_pin(const struct use *u, struct mm_secret **out, struct mm_why *why)
{
	const char *path = p11_kit_uri_get_pin_source(u->uri);
	struct mm_why w = { 0 };

	if (path == NULL)
		return failed("log in", CKR_USER_NOT_LOGGED_IN, why);
	if (strncmp(path, "file://", 7) == 0)
		path += 7;
	else if (strncmp(path, "file:", 5) == 0)
		path += 5;
	if (path[0] != '/')
		return MM_FAIL(why, MM_EINPUT, "key: pin-source: want a "
		    "file's absolute path");
	return read_own(path, out, &w) == MM_OK ? MM_OK
	    : MM_FAIL(why, MM_EAUTH, "token: PIN: %s", w.text);
}

/* What a token is called for good; its label may be another one later. */
static void
name_token(const CK_TOKEN_INFO *t, uint8_t out[MM_PROVIDER_TOKEN])
{
	const struct mm_bytes parts[] = {
		{ t->manufacturerID, sizeof(t->manufacturerID) },
		{ t->model, sizeof(t->model) },
		{ t->serialNumber, sizeof(t->serialNumber) } };

	mm_sha256_parts(parts, sizeof(parts) / sizeof(parts[0]), out);
}

static bool
is_refusal(CK_RV rv)
{
	return rv == CKR_PIN_INCORRECT || rv == CKR_PIN_INVALID ||
	    rv == CKR_PIN_LEN_RANGE;
}

static enum mm_err
try_pin(struct use *u, struct mm_secret *pin, struct mm_why *why)
{
	uint8_t token[MM_PROVIDER_TOKEN];
	CK_RV rv;

	name_token(&u->token, token);
	if (mm_provider_pin_refused(token, mm_secret_view(pin)))
		return MM_FAIL(why, MM_EAUTH, "token: log in: the PIN is "
		    "wrong: it was refused before and is not tried again");
	rv = u->f->C_Login(u->session, CKU_USER, pin->p, pin->n);
	if (rv == CKR_OK || is_refusal(rv))
		mm_provider_pin_note(token, mm_secret_view(pin),
		    rv != CKR_OK);
	return rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN ? MM_OK
	    : failed("log in", rv, why);
}

static enum mm_err
log_in(struct use *u, struct mm_why *why)
{
	MM_OWN(mm_secret_free) struct mm_secret *pin = NULL;

	if ((u->token.flags & CKF_LOGIN_REQUIRED) == 0)
		return MM_OK;
	if ((u->token.flags & CKF_USER_PIN_LOCKED) != 0)
		return failed("log in", CKR_PIN_LOCKED, why);
	if ((u->token.flags & CKF_USER_PIN_FINAL_TRY) != 0)
		return MM_FAIL(why, MM_EAUTH, "token: log in: one try is left "
		    "before the PIN is locked; it is not used");
	MM_TRY(read_pin(u, &pin, why));
	return try_pin(u, pin, why);
}

static void
end_use(struct use *u)
{
	if (u->open)
		(void)u->f->C_CloseSession(u->session);
	if (u->own[0] != NULL) {
		(void)p11_kit_module_finalize(u->own[0]);
		p11_kit_module_release(u->own[0]);
	} else if (u->modules != NULL)
		p11_kit_modules_finalize_and_release(u->modules);
	p11_kit_uri_free(u->uri);
}

static enum mm_err
open_session(struct use *u, CK_FLAGS more, struct mm_why *why)
{
	CK_RV rv = u->f->C_OpenSession(u->slot, CKF_SERIAL_SESSION | more,
	    NULL, NULL, &u->session);

	if (rv != CKR_OK)
		return failed("session", rv, why);
	u->open = true;
	return log_in(u, why);
}

static enum mm_err
begin_use(struct use *u, const char *uri, struct mm_why *why)
{
	*u = (struct use){ .open = false };
	MM_TRY(parse(uri, &u->uri, why));
	MM_TRY(load_modules(u, why));
	return find_token(u, why);
}

/* ---- the desk ---- */

/*
 * A key is known by an identifier that is thrown for it: what bears it is
 * ours, whoever else has keys in the token.  One in where is of the key before.
 */
static enum mm_err
name_key(struct use *u, char out[MM_KEY_URI_MAX + 1], struct mm_why *why)
{
	uint8_t id[ID_N];
	CK_ATTRIBUTE attribute = { CKA_ID, id, sizeof(id) };
	char *text = NULL;
	bool fits;

	if (getrandom(id, sizeof(id), 0) != (ssize_t)sizeof(id))
		return MM_FAIL(why, MM_ESYS, "no random bytes");
	if (p11_kit_uri_set_attribute(u->uri, &attribute) != P11_KIT_URI_OK ||
	    p11_kit_uri_format(u->uri, P11_KIT_URI_FOR_ANY, &text) !=
	    P11_KIT_URI_OK)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	fits = strlen(text) <= MM_KEY_URI_MAX;
	if (fits)
		memcpy(out, text, strlen(text) + 1);
	free(text);
	return fits ? MM_OK
	    : MM_FAIL(why, MM_EINPUT, "key: the URI is too long");
}

static enum mm_err
choose(const char *where, struct mm_key *out, struct mm_why *why)
{
	struct mm_key key = { .place = MM_KEY_PKCS11 };
	struct use u;
	enum mm_err err = begin_use(&u, where, why);

	if (err == MM_OK)
		err = open_session(&u, CKF_RW_SESSION, why);
	if (err == MM_OK)
		err = name_key(&u, key.uri, why);
	end_use(&u);
	MM_TRY(err);
	*out = key;
	return MM_OK;
}

static CK_ATTRIBUTE
id_of(const struct use *u)
{
	const CK_ATTRIBUTE *id = p11_kit_uri_get_attribute(u->uri, CKA_ID);

	return id != NULL && id->ulValueLen == ID_N ? *id
	    : (CK_ATTRIBUTE){ CKA_ID, NULL, 0 };
}

static enum mm_err
find(struct use *u, CK_OBJECT_CLASS class, CK_OBJECT_HANDLE *out,
    struct mm_why *why)
{
	CK_ATTRIBUTE want[] = { { CKA_CLASS, &class, sizeof(class) },
		id_of(u) };
	CK_ULONG n = 0;
	CK_RV rv;

	if (want[1].pValue == NULL)
		return MM_FAIL(why, MM_EINPUT, "key: not a key of ours");
	rv = u->f->C_FindObjectsInit(u->session, want, 2);
	if (rv == CKR_OK) {
		rv = u->f->C_FindObjects(u->session, out, 1, &n);
		(void)u->f->C_FindObjectsFinal(u->session);
	}
	if (rv != CKR_OK)
		return failed("find a key", rv, why);
	return n == 1 ? MM_OK : MM_FAIL(why, MM_ESTALE,
	    "token: the key is not in it any more");
}

static enum mm_err
destroy(struct use *u, struct mm_why *why)
{
	static const CK_OBJECT_CLASS classes[] = { CKO_PRIVATE_KEY,
		CKO_PUBLIC_KEY };
	CK_OBJECT_HANDLE object;

	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		enum mm_err err = find(u, classes[i], &object, NULL);
		CK_RV rv = CKR_OK;

		if (err == MM_OK)
			rv = u->f->C_DestroyObject(u->session, object);
		else if (err != MM_ESTALE)
			return find(u, classes[i], &object, why);
		if (rv != CKR_OK)
			return failed("remove a key", rv, why);
	}
	return MM_OK;
}

/* CKA_EC_POINT: the point in an OCTET STRING, which some leave out. */
static enum mm_err
take_point(struct use *u, CK_OBJECT_HANDLE object, struct mm_key *key,
    struct mm_why *why)
{
	uint8_t value[128];
	CK_ATTRIBUTE a = { CKA_EC_POINT, value, sizeof(value) };
	CK_RV rv = u->f->C_GetAttributeValue(u->session, object, &a, 1);
	const uint8_t *p = value;

	if (rv != CKR_OK)
		return failed("read a key", rv, why);
	if (a.ulValueLen == MM_KEY_XY + 3 && p[0] == 0x04 &&
	    p[1] == MM_KEY_XY + 1)
		p += 2;
	else if (a.ulValueLen != MM_KEY_XY + 1)
		p = NULL;
	if (p == NULL || p[0] != 0x04)
		return MM_FAIL(why, MM_EPOLICY,
		    "token: what it made is no key of P-256");
	memcpy(key->xy, p + 1, MM_KEY_XY);
	key->made = true;
	return MM_OK;
}

/* A token may take the wish for a key that never leaves it for no more than
 * that. */
static enum mm_err
check_kept(struct use *u, CK_OBJECT_HANDLE object, struct mm_why *why)
{
	CK_BBOOL sensitive = CK_FALSE, extractable = CK_TRUE;
	CK_ATTRIBUTE a[] = {
		{ CKA_SENSITIVE, &sensitive, sizeof(sensitive) },
		{ CKA_EXTRACTABLE, &extractable, sizeof(extractable) } };
	CK_RV rv = u->f->C_GetAttributeValue(u->session, object, a, 2);

	if (rv != CKR_OK)
		return failed("read a key", rv, why);
	return sensitive && !extractable ? MM_OK : MM_FAIL(why, MM_EPOLICY,
	    "token: it makes keys that can be taken out of it");
}

static CK_RV
generate(struct use *u, CK_OBJECT_HANDLE *public, CK_OBJECT_HANDLE *private)
{
	static uint8_t p256[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
		0x03, 0x01, 0x07 }; /* RFC 5480 2.1.1.1 */
	static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	static char ours[] = "mintmark";
	const CK_ATTRIBUTE *given = p11_kit_uri_get_attribute(u->uri,
	    CKA_LABEL);
	const CK_ATTRIBUTE label = given != NULL ? *given
	    : (CK_ATTRIBUTE){ CKA_LABEL, ours, sizeof(ours) - 1 };
	CK_MECHANISM how = { CKM_EC_KEY_PAIR_GEN, NULL, 0 };
	CK_ATTRIBUTE of_public[] = {
		{ CKA_TOKEN, &yes, sizeof(yes) },
		{ CKA_VERIFY, &yes, sizeof(yes) },
		{ CKA_EC_PARAMS, p256, sizeof(p256) },
		label, id_of(u) };
	CK_ATTRIBUTE of_private[] = {
		{ CKA_TOKEN, &yes, sizeof(yes) },
		{ CKA_PRIVATE, &yes, sizeof(yes) },
		{ CKA_SENSITIVE, &yes, sizeof(yes) },
		{ CKA_EXTRACTABLE, &no, sizeof(no) },
		{ CKA_SIGN, &yes, sizeof(yes) },
		label, id_of(u) };

	return u->f->C_GenerateKeyPair(u->session, &how, of_public, 5,
	    of_private, 7, public, private);
}

static enum mm_err
create(struct use *u, struct mm_key *key, struct mm_why *why)
{
	CK_OBJECT_HANDLE public, private;
	enum mm_err err;
	CK_RV rv;

	MM_TRY(open_session(u, CKF_RW_SESSION, why));
	if (id_of(u).pValue == NULL)
		return MM_FAIL(why, MM_EINPUT, "key: not a key of ours");
	rv = generate(u, &public, &private);
	if (rv != CKR_OK)
		return failed("make a key", rv, why);
	err = check_kept(u, private, why);
	if (err == MM_OK)
		err = take_point(u, public, key, why);
	if (err != MM_OK)
		(void)!destroy(u, NULL);
	return err;
}

static enum mm_err
make(struct mm_key *key, struct mm_why *why)
{
	struct use u;
	enum mm_err err = begin_use(&u, key->uri, why);

	if (err == MM_OK)
		err = create(&u, key, why);
	end_use(&u);
	return err;
}

static enum mm_err
settle(const struct mm_key *key, struct mm_why *why)
{
	(void)key;
	(void)why;
	return MM_OK;
}

static enum mm_err
use_key(struct use *u, const uint8_t digest[MM_KEY_DIGEST],
    uint8_t rs[MM_KEY_RS], struct mm_why *why)
{
	CK_MECHANISM how = { CKM_ECDSA, NULL, 0 };
	CK_OBJECT_HANDLE object;
	uint8_t in[MM_KEY_DIGEST];
	CK_ULONG n = MM_KEY_RS;
	CK_RV rv;

	MM_TRY(open_session(u, 0, why));
	MM_TRY(find(u, CKO_PRIVATE_KEY, &object, why));
	memcpy(in, digest, sizeof(in));
	rv = u->f->C_SignInit(u->session, &how, object);
	if (rv == CKR_OK)
		rv = u->f->C_Sign(u->session, in, sizeof(in), rs, &n);
	if (rv != CKR_OK)
		return failed("sign", rv, why);
	return n == MM_KEY_RS ? MM_OK : MM_FAIL(why, MM_EPOLICY,
	    "token: not an ECDSA signature");
}

static enum mm_err
sign(const struct mm_key *key, const uint8_t digest[MM_KEY_DIGEST],
    uint8_t rs[MM_KEY_RS], struct mm_why *why)
{
	struct use u;
	enum mm_err err = begin_use(&u, key->uri, why);

	if (err == MM_OK)
		err = use_key(&u, digest, rs, why);
	end_use(&u);
	return err;
}

static enum mm_err
drop(const struct mm_key *key, struct mm_why *why)
{
	struct mm_why w = { 0 };
	struct use u;
	enum mm_err err = begin_use(&u, key->uri, &w);

	if (err == MM_OK)
		err = open_session(&u, CKF_RW_SESSION, &w);
	if (err == MM_OK)
		err = destroy(&u, &w);
	end_use(&u);
	return err == MM_OK || err == MM_ENOTFOUND ? MM_OK
	    : MM_FAIL(why, err, "%s", w.text);
}

static void
trust(const char *where)
{
	MM_OWN(uri_free) P11KitUri *uri = NULL;
	const char *path;

	if (parse(where, &uri, NULL) != MM_OK)
		return;
	path = p11_kit_uri_get_module_path(uri);
	if (path != NULL)
		(void)mm_provider_allow(MM_PROVIDER_MODULE, false, path);
}

/* see places.h */
const struct mm_key_ops mm_provider_pkcs11 = { choose, make, settle, sign,
	drop, trust };
