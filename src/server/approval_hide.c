#include <string.h>

#include "base/own.h"
#include "server/approval.h"
#include "server/rest_devconf.h"

/*
 * What a request that waits has of secrets: who approves does not need them to
 * decide, auditors read along, and the document lies in the database.  A table
 * of the actions whose requests can have any:
 *
 *	bulk-mint      codes that are on labels already
 *	line-ca        the line CA's key, sealed by a passphrase
 *	bootstrap      hardware ids: with an old credential, one lets in
 *	configuration  cells of fields that the template marks as secret
 *
 * The others' have none: products and devices are shown to everybody, keys are
 * asked for by a certificate or are made later, selections and reasons are for
 * whoever approves.  A pairing code follows from what the list of those that
 * wait shows.
 */
static const char secret[] = "(secret)";

/* Wherever it stands. */
static void
hide_named(json_t *v, const char *name)
{
	const char *key;
	json_t *item;
	size_t i;

	if (json_object_get(v, name) != NULL)
		(void)json_object_set_new(v, name, json_string(secret));
	json_object_foreach(v, key, item)
		hide_named(item, name);
	json_array_foreach(v, i, item)
		hide_named(item, name);
}

static void
hide_codes(json_t *request)
{
	hide_named(request, "code");
}

static void
hide_key(json_t *request)
{
	hide_named(request, "ca_key");
}

static void
hide_hardware(json_t *request)
{
	hide_named(request, "hardware");
}

/* Of what is not as it should be, nothing is shown. */
static void
hide_row(json_t *rows, size_t at, const bool *hidden)
{
	json_t *row = json_array_get(rows, at);

	if (!json_is_array(row)) {
		(void)json_array_set_new(rows, at, json_string(secret));
		return;
	}
	for (size_t i = 0; i < json_array_size(row); i++)
		if (i >= MM_INITIAL_COLUMNS || hidden[i])
			(void)json_array_set_new(row, i, json_string(secret));
}

/* What no configuration has; it will be refused. */
static void
hide_others(json_t *request)
{
	static const char *const known[] = { "template", "columns", "rows",
		"schema" };
	const char *key;
	json_t *item;

	json_object_foreach(request, key, item) {
		bool is = false;

		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			is |= strcmp(known[i], key) == 0;
		if (!is)
			(void)json_object_set_new(request, key,
			    json_string(secret));
	}
}

static void
hide_cells(json_t *request)
{
	bool hidden[MM_INITIAL_COLUMNS];
	json_t *rows = json_object_get(request, "rows");

	hide_others(request);
	if (rows == NULL)
		return;
	if (!json_is_array(rows)) {
		(void)json_object_set_new(request, "rows", json_string(secret));
		return;
	}
	mm_devconf_hidden(request, hidden);
	for (size_t i = 0; i < json_array_size(rows); i++)
		hide_row(rows, i, hidden);
}

/* see approval.h */
void
mm_approval_hide(const char *action, json_t *request)
{
	static const struct {
		const char *action;
		void (*hide)(json_t *request);
	} row[] = {
		{ "bulk-mint", hide_codes },
		{ "line-ca", hide_key },
		{ "bootstrap", hide_hardware },
		{ "configuration", hide_cells },
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		if (strcmp(row[i].action, action) == 0)
			row[i].hide(request);
}
