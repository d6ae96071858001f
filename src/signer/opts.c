#include "signer/opts.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum type { TEXT, NUMBER, LIST, ROOT, FLAG };

static const struct {
	const char *name;
	enum type type;
	size_t at;
	int64_t min, max;
} flags[] = {
#define AT(f) offsetof(struct mm_opts, f)
	{ "config", TEXT, AT(config), 0, 0 },
	{ "passphrase-fd", NUMBER, AT(passphrase_fd), 0, 1023 },
	{ "pulse-fd", NUMBER, AT(pulse_fd), 0, 1023 },
	{ "links", TEXT, AT(links), 0, 0 },
	{ "root", ROOT, AT(root), 0, 0 },
	{ "root-subject", LIST, AT(root_subject), 0, 0 },
	{ "root-key", TEXT, AT(root_key), 0, 0 },
	{ "new-root-key", TEXT, AT(new_root_key), 0, 0 },
	{ "root-pin-file", TEXT, AT(root_pin_file), 0, 0 },
	{ "root-environ", LIST, AT(root_environ), 0, 0 },
	{ "root-years", NUMBER, AT(root_years), 0, 1000 },
	{ "issuer", TEXT, AT(issuer), 0, 0 },
	{ "issuer-subject", LIST, AT(issuer_subject), 0, 0 },
	{ "issuer-years", NUMBER, AT(issuer_years), 0, 1000 },
	{ "key-type", TEXT, AT(key_type), 0, 0 },
	{ "tls-dns", LIST, AT(tls_dns), 0, 0 },
	{ "tls-ip", LIST, AT(tls_ip), 0, 0 },
	{ "tls-days", NUMBER, AT(tls_days), 1, 3650 },
	{ "request", TEXT, AT(request), 0, 0 },
	{ "out", TEXT, AT(out), 0, 0 },
	{ "chain", TEXT, AT(chain), 0, 0 },
	{ "from", TEXT, AT(from), 0, 0 },
	{ "batch", TEXT, AT(batch), 0, 0 },
	{ "station", TEXT, AT(station), 0, 0 },
	{ "orders-key", TEXT, AT(orders_key), 0, 0 },
	{ "recipient", TEXT, AT(recipient), 0, 0 },
	{ "keys", TEXT, AT(keys), 0, 0 },
	{ "revoke", TEXT, AT(revoke), 0, 0 },
	{ "reason", TEXT, AT(reason), 0, 0 },
	{ "yes", FLAG, AT(yes), 0, 0 },
#undef AT
};
#define NFLAGS (sizeof(flags) / sizeof(flags[0]))

/* allowed: names with a space before and after each. */
static bool
is_allowed(const char *allowed, const char *name)
{
	char word[32];

	snprintf(word, sizeof(word), " %s ", name);
	return strstr(allowed, word) != NULL;
}

static enum mm_err
set_number(size_t i, const char *value, void *at, struct mm_why *why)
{
	int64_t v;

	if (mm_int_parse(value, &v, NULL) != MM_OK || v < flags[i].min ||
	    v > flags[i].max)
		return MM_FAIL(why, MM_EINPUT, "--%s: want a number from %d "
		    "to %d", flags[i].name, (int)flags[i].min,
		    (int)flags[i].max);
	memcpy(at, &v, sizeof(v));
	return MM_OK;
}

static enum mm_err
add_item(size_t i, const char *value, struct mm_conf_list *l,
    struct mm_why *why)
{
	if (l->n == MM_CONF_LIST_MAX || *value == '\0' ||
	    strlen(value) >= MM_CONF_ITEM_MAX)
		return MM_FAIL(why, MM_EINPUT, "--%s: too many or too long",
		    flags[i].name);
	memcpy(l->item[l->n++], value, strlen(value) + 1);
	return MM_OK;
}

static enum mm_err
set_root(const char *value, int *out, struct mm_why *why)
{
	static const char *const names[] = { "new", "external", "none" };

	for (int i = 0; i < 3; i++)
		if (strcmp(value, names[i]) == 0) {
			*out = i;
			return MM_OK;
		}
	return MM_FAIL(why, MM_EINPUT, "--root: want new, external or none");
}

static enum mm_err
set(size_t i, const char *value, struct mm_opts *o, struct mm_why *why)
{
	void *at = (uint8_t *)o + flags[i].at;

	switch (flags[i].type) {
	case TEXT:
		memcpy(at, &value, sizeof(value));
		return MM_OK;
	case NUMBER:
		return set_number(i, value, at, why);
	case LIST:
		return add_item(i, value, at, why);
	case ROOT:
		return set_root(value, at, why);
	case FLAG:
		*(bool *)at = true;
		return MM_OK;
	}
	return MM_OK;
}

/* "--name value" or "--name=value"; "--name" for a flag. */
static enum mm_err
take_flag(int argc, char **argv, int *n, const char *allowed,
    struct mm_opts *o, struct mm_why *why)
{
	const char *arg = argv[*n];
	size_t len = strcspn(arg, "=");

	for (size_t i = 0; i < NFLAGS; i++) {
		if (len < 2 || strncmp(arg, "--", 2) != 0 ||
		    strlen(flags[i].name) != len - 2 ||
		    memcmp(arg + 2, flags[i].name, len - 2) != 0 ||
		    !is_allowed(allowed, flags[i].name))
			continue;
		if (flags[i].type == FLAG && arg[len] == '\0')
			return set(i, arg, o, why);
		if (flags[i].type == FLAG)
			break;
		if (arg[len] == '=')
			return set(i, arg + len + 1, o, why);
		if (++*n == argc)
			return MM_FAIL(why, MM_EINPUT, "%.40s: value missing",
			    arg);
		return set(i, argv[*n], o, why);
	}
	return MM_FAIL(why, MM_EINPUT, "%s: no such flag: %.60s", argv[0],
	    arg);
}

/* see opts.h */
enum mm_err
mm_opts_parse(int argc, char **argv, const char *allowed, struct mm_opts *out,
    struct mm_why *why)
{
	*out = (struct mm_opts){ .passphrase_fd = -1, .pulse_fd = -1,
		.root_years = 30, .issuer_years = -1, .tls_days = 397, .key_type = "p256" };
	for (int n = 1; n < argc; n++)
		MM_TRY(take_flag(argc, argv, &n, allowed, out, why));
	if (out->config == NULL)
		return MM_FAIL(why, MM_EINPUT, "%s: --config FILE is missing",
		    argv[0]);
	return MM_OK;
}
