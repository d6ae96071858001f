#include "key/key.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <string.h>

#include "base/text.h"

/* TPM 2.0 part 2, 7.4: handles of what is persistent; the owner's half. */
#define PERSISTENT_FIRST UINT32_C(0x81000000)
#define PERSISTENT_LAST  UINT32_C(0x817fffff)

static const struct {
	const char *scheme, *name;
} places[MM_KEY_PLACES] = {
	[MM_KEY_FILE] = { "file:", "file" },
	[MM_KEY_TPM2] = { "tpm2:", "tpm2" },
	[MM_KEY_PKCS11] = { "pkcs11:", "pkcs11" },
};

/* see key.h */
const char *
mm_key_place_name(enum mm_key_place place)
{
	return places[place].name;
}

/* Words that may come to a log: one line, and none of them secret. */
static enum mm_err
check_words(const char *where, struct mm_why *why)
{
	for (const char *c = where; *c != '\0'; c++)
		if (*c <= ' ' || *c > '~')
			return MM_FAIL(why, MM_EINPUT,
			    "key: a URI is of printable ASCII without spaces");
	if (strlen(where) > MM_KEY_URI_MAX)
		return MM_FAIL(why, MM_EINPUT, "key: the URI is too long");
	/* RFC 7512 2.4: a PIN in a URI is known to all. */
	if (strcasestr(where, "pin-value") != NULL)
		return MM_FAIL(why, MM_EINPUT, "key: a PIN does not stand in "
		    "the URI: put it into a file and say pin-source=FILE");
	return MM_OK;
}

/* see key.h */
enum mm_err
mm_key_place_of(const char *where, enum mm_key_place *out, struct mm_why *why)
{
	struct mm_key_tpm tpm;

	MM_TRY(check_words(where, why));
	for (unsigned i = 0; i < MM_KEY_PLACES; i++) {
		size_t n = strlen(places[i].scheme);

		if (strncmp(where, places[i].scheme, n) != 0)
			continue;
		if (i == MM_KEY_FILE && where[n] != '\0')
			break;
		if (i == MM_KEY_TPM2)
			MM_TRY(mm_key_tpm_parse(where, &tpm, why));
		*out = (enum mm_key_place)i;
		return MM_OK;
	}
	return MM_FAIL(why, MM_EINPUT, "key: want file:, tpm2:... or "
	    "pkcs11:..., not \"%.60s\"", where);
}

/* ---- tpm2: ---- */

static bool
take_device(const char *value, size_t n, void *to)
{
	return n > 1 && value[0] == '/' && mm_text_copy(to,
	    sizeof(((struct mm_key_tpm *)0)->device),
	    (struct mm_bytes){ (const uint8_t *)value, n });
}

static bool
take_handle(const char *value, size_t n, void *to)
{
	uint8_t v[4];
	uint32_t handle;

	if (n != 10 || strncasecmp(value, "0x", 2) != 0 ||
	    mm_hex_parse(value + 2, 8, v, sizeof(v), NULL) != MM_OK)
		return false;
	handle = (uint32_t)v[0] << 24 | (uint32_t)v[1] << 16 |
	    (uint32_t)v[2] << 8 | v[3];
	*(uint32_t *)to = handle;
	return handle >= PERSISTENT_FIRST && handle <= PERSISTENT_LAST;
}

static const struct {
	const char *name;
	size_t at;
	bool (*take)(const char *value, size_t n, void *to);
} attributes[] = {
	{ "device=", offsetof(struct mm_key_tpm, device), take_device },
	{ "parent=", offsetof(struct mm_key_tpm, parent), take_handle },
	{ "handle=", offsetof(struct mm_key_tpm, handle), take_handle },
};

static bool
take_attribute(const char *p, size_t n, struct mm_key_tpm *out)
{
	for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]);
	    i++) {
		size_t name = strlen(attributes[i].name);

		if (n > name && strncmp(p, attributes[i].name, name) == 0)
			return attributes[i].take(p + name, n - name,
			    (char *)out + attributes[i].at);
	}
	return false;
}

/* see key.h */
enum mm_err
mm_key_tpm_parse(const char *uri, struct mm_key_tpm *out, struct mm_why *why)
{
	struct mm_key_tpm t = { .device = MM_KEY_TPM_DEVICE };
	const char *p = uri + strlen(places[MM_KEY_TPM2].scheme);

	while (*p != '\0') {
		size_t n = strcspn(p, ";");

		if (!take_attribute(p, n, &t))
			return MM_FAIL(why, MM_EINPUT, "key: tpm2: want "
			    "device=/..., parent=0x81..., handle=0x81..., not "
			    "\"%.*s\"", n < 60 ? (int)n : 60, p);
		p += n + (p[n] == ';');
	}
	*out = t;
	return MM_OK;
}

/* see key.h */
enum mm_err
mm_key_tpm_text(const struct mm_key_tpm *t, char out[MM_KEY_URI_MAX + 1],
    struct mm_why *why)
{
	char device[300] = "", parent[24] = "", handle[24] = "";
	int n;

	if (strcmp(t->device, MM_KEY_TPM_DEVICE) != 0)
		snprintf(device, sizeof(device), ";device=%s", t->device);
	if (t->parent != 0)
		snprintf(parent, sizeof(parent), ";parent=0x%08x", t->parent);
	if (t->handle != 0)
		snprintf(handle, sizeof(handle), ";handle=0x%08x", t->handle);
	n = snprintf(out, MM_KEY_URI_MAX + 1, "%s%s%s%s",
	    places[MM_KEY_TPM2].scheme, device, parent, handle);
	if (n < 0 || n > MM_KEY_URI_MAX)
		return MM_FAIL(why, MM_ELIMIT, "key: the URI is too long");
	/* The first attribute has no semicolon before it. */
	if (n > 5)
		memmove(out + 5, out + 6, (size_t)n - 5);
	return MM_OK;
}
