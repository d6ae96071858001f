#include <string.h>

#include "cli/client.h"
#include "cli/commands.h"

/* Devices, one by one and as lists. */

#define NCOL(c) (sizeof(c) / sizeof((c)[0]))
#define END { NULL, NULL, NULL, MM_C_NONE, NULL }

static const struct mm_column device_columns[] = {
	{ "DEVICE", "id" }, { "PRODUCT", "product" }, { "STATE", "state" },
	{ "CREATED", "created" },
};
static const struct mm_filter device_filters[] = {
	{ "product", "product" }, { "state", "state" }, { "where", "where" },
	{ "created-after", "created_from" }, { "created-before", "created_to" },
	{ "issued-after", "issued_from" }, { "issued-before", "issued_to" },
	{ "issuer", "issuer" }, { "key-type", "key_type" },
	{ "batch", "batch" }, { "station", "station" },
};
const struct mm_opt mm_opts_device_list[] = {
	{ "product", "PRODUCT", "of this product", MM_C_PRODUCT, NULL },
	{ "state", "STATE", "in this state", MM_C_WORDS, "active retired" },
	{ "where", "NAME=VALUE", "with this attribute; also ^= (begins with) "
	    "< <= > >=, and several with ; between", MM_C_NONE, NULL },
	{ "created-after", "TIME", "registered at TIME or later", MM_C_NONE,
	    NULL },
	{ "created-before", "TIME", "registered before TIME", MM_C_NONE,
	    NULL },
	{ "issued-after", "TIME", "with a certificate issued at TIME or "
	    "later", MM_C_NONE, NULL },
	{ "issued-before", "TIME", "with a certificate issued before TIME",
	    MM_C_NONE, NULL },
	{ "issuer", "ISSUER", "with a certificate of this issuer",
	    MM_C_ISSUER, NULL },
	{ "key-type", "TYPE", "with a certificate of this kind of key",
	    MM_C_WORDS, "p256 p384 ed25519 rsa2048 rsa3072 rsa4096" },
	{ "batch", "BATCH", "made in this batch", MM_C_NONE, NULL },
	{ "station", "STATION", "made at this station", MM_C_NONE, NULL },
	MM_LIST_OPTS, END
};

enum mm_err
mm_cmd_device_list(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	return mm_list_command(cli, a, "/devices", device_filters,
	    NCOL(device_filters), device_columns, NCOL(device_columns), why);
}

const struct mm_opt mm_opts_device_show[] = { END };
MM_SHOW(device_show, "GET", "/devices/%s")
const struct mm_opt mm_opts_device_create[] = {
	{ "product", "PRODUCT", "its product (required)", MM_C_PRODUCT, NULL },
	{ "bound-key", "SHA256", "hash of the public key that the factory "
	    "recorded", MM_C_NONE, NULL },
	{ "attributes", "JSON", "an object of the maker's own", MM_C_NONE,
	    NULL },
	END
};

static enum mm_err
device_body(const struct mm_args *a, json_t **out, struct mm_why *why)
{
	const char *attributes = mm_arg(a, "attributes");
	json_t *v = NULL;
	json_error_t where;

	if (attributes != NULL && (v = json_loads(attributes,
	    JSON_REJECT_DUPLICATES, &where)) == NULL)
		return MM_FAIL(why, MM_EINPUT, "--attributes: %s", where.text);
	*out = json_object();
	mm_json_opt(*out, "product", a, "product");
	mm_json_opt(*out, "bound_spki_sha256", a, "bound-key");
	if (v != NULL)
		json_object_set_new(*out, "attributes", v);
	return MM_OK;
}

enum mm_err
mm_cmd_device_create(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	json_t *o;

	if (mm_arg(a, "product") == NULL)
		return MM_FAIL(why, MM_EINPUT, "missing --product");
	MM_TRY(device_body(a, &o, why));
	json_object_set_new(o, "id", json_string(a->pos[0]));
	return mm_object_command(cli, "POST", "/devices", o, why);
}

const struct mm_opt mm_opts_device_update[] = {
	{ "product", "PRODUCT", "another product", MM_C_PRODUCT, NULL },
	{ "bound-key", "SHA256", "hash of the public key that the factory "
	    "recorded", MM_C_NONE, NULL },
	{ "attributes", "JSON", "members to set; null takes one away",
	    MM_C_NONE, NULL },
	{ "replace", NULL, "what is not named is emptied; --product is "
	    "needed", MM_C_NONE, NULL },
	MM_IF_VERSION_OPT, END
};

enum mm_err
mm_cmd_device_update(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	char p[1024];
	json_t *o;

	MM_TRY(mm_path(p, why, "/devices/%s", a->pos[0]));
	MM_TRY(mm_if_version(cli, a, why));
	MM_TRY(device_body(a, &o, why));
	return mm_object_command(cli, mm_flag(a, "replace") ? "PUT" : "PATCH",
	    p, o, why);
}

const struct mm_opt mm_opts_device_history[] = { MM_LIST_OPTS, END };

enum mm_err
mm_cmd_device_history(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	char p[1024];

	MM_TRY(mm_path(p, why, "/devices/%s/history", a->pos[0]));
	return mm_entries_command(cli, a, p, NULL, 0, why);
}
