#include "base/conf_value.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/text.h"

typedef enum mm_err set_fn(const struct mm_conf_key *key, void *field,
    const char *text, struct mm_why *why);

static enum mm_err
set_int(const struct mm_conf_key *key, void *field, const char *text,
    struct mm_why *why)
{
	int64_t v;

	MM_TRY(mm_int_parse(text, &v, why));
	if (v < key->min || v > key->max)
		return MM_FAIL(why, MM_EINPUT, "want %lld to %lld",
		    (long long)key->min, (long long)key->max);
	*(int64_t *)field = v;
	return MM_OK;
}

static enum mm_err
set_duration(const struct mm_conf_key *key, void *field, const char *text,
    struct mm_why *why)
{
	int64_t v;

	MM_TRY(mm_duration_parse(text, &v, why));
	if (v < key->min || v > key->max)
		return MM_FAIL(why, MM_EINPUT, "want %lld to %lld seconds",
		    (long long)key->min, (long long)key->max);
	*(int64_t *)field = v;
	return MM_OK;
}

static enum mm_err
set_bool(const struct mm_conf_key *key, void *field, const char *text,
    struct mm_why *why)
{
	static const char *const words[] = { "false", "true", "no", "yes",
		"off", "on" };

	(void)key;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(text, words[i]) != 0)
			continue;
		*(bool *)field = i % 2 == 1;
		return MM_OK;
	}
	return MM_FAIL(why, MM_EINPUT, "want true or false");
}

static enum mm_err
set_choice(const struct mm_conf_key *key, void *field, const char *text,
    struct mm_why *why)
{
	char all[100] = "";

	for (int i = 0; key->choices[i] != NULL; i++) {
		size_t n = strlen(all);
		if (strcmp(text, key->choices[i]) == 0) {
			*(int *)field = i;
			return MM_OK;
		}
		snprintf(all + n, sizeof(all) - n, "%s%s", i > 0 ? ", " : "",
		    key->choices[i]);
	}
	return MM_FAIL(why, MM_EINPUT, "want one of %s", all);
}

static enum mm_err
set_text(const struct mm_conf_key *key, void *field, const char *text,
    struct mm_why *why)
{
	size_t n = strlen(text);

	if (n < (size_t)key->min || n > (size_t)key->max)
		return MM_FAIL(why, MM_EINPUT,
		    "want %lld to %lld characters",
		    (long long)key->min, (long long)key->max);
	for (size_t i = 0; i < n; i++)
		if ((uint8_t)text[i] < 0x20 || text[i] == 0x7f)
			return MM_FAIL(why, MM_EINPUT,
			    "holds a control character");
	memcpy(field, text, n + 1);
	return MM_OK;
}

static enum mm_err
set_name(const struct mm_conf_key *key, void *field, const char *text,
    struct mm_why *why)
{
	if (!mm_name_valid(text) && (key->min > 0 || *text != '\0'))
		return MM_FAIL(why, MM_EINPUT,
		    "want 1 to %d of a-z, 0-9, '.', '_', '-'", MM_NAME_MAX);
	return set_text(key, field, text, why);
}

static enum mm_err
set_item(const struct mm_conf_key *key, void *field, const char *text,
    struct mm_why *why)
{
	struct mm_conf_list *list = field;

	MM_INVARIANT(key->max < MM_CONF_ITEM_MAX);
	if (list->n == MM_CONF_LIST_MAX)
		return MM_FAIL(why, MM_EINPUT, "want at most %d items",
		    MM_CONF_LIST_MAX);
	MM_TRY(set_text(key, list->item[list->n], text, why));
	list->n++;
	return MM_OK;
}

static const struct {
	const char *word;
	set_fn *set;
} types[] = {
	[MM_CONF_INT] = { "number", set_int },
	[MM_CONF_BOOL] = { "true or false", set_bool },
	[MM_CONF_TEXT] = { "text", set_text },
	[MM_CONF_PATH] = { "path", set_text },
	[MM_CONF_NAME] = { "name", set_name },
	[MM_CONF_DURATION] = { "duration", set_duration },
	[MM_CONF_CHOICE] = { "choice", set_choice },
	[MM_CONF_LIST] = { "list of texts", set_item },
};

/* see conf_value.h */
const char *
mm_conf_value_type(const struct mm_conf_key *key)
{
	return types[key->type].word;
}

/* see conf_value.h */
enum mm_err
mm_conf_value_set(const struct mm_conf_key *key, void *settings,
    const char *text, const char *folder, struct mm_why *why)
{
	static const char token[] = "pkcs11:"; /* RFC 7512: no file's name */
	char absolute[4096];

	if (key->type == MM_CONF_PATH && *text != '\0' && *text != '/' &&
	    strncmp(text, token, sizeof(token) - 1) != 0) {
		MM_TRY(mm_path_join(absolute, sizeof(absolute), folder, text,
		    why));
		text = absolute;
	}
	return types[key->type].set(key, (uint8_t *)settings + key->offset,
	    text, why);
}

/* see conf_value.h */
enum mm_err
mm_conf_value_preset(const struct mm_conf_key *key, void *settings,
    const char *folder, struct mm_why *why)
{
	const char *rest = key->preset;
	char item[MM_CONF_ITEM_MAX];

	if (key->type != MM_CONF_LIST)
		return mm_conf_value_set(key, settings, rest, folder, why);
	while (*rest != '\0') {
		size_t n = strcspn(rest, ",");
		MM_INVARIANT(n < sizeof(item));
		memcpy(item, rest, n);
		item[n] = '\0';
		MM_TRY(mm_conf_value_set(key, settings, item, folder, why));
		rest += n + (rest[n] == ',');
	}
	return MM_OK;
}

/* see conf.h */
bool
mm_conf_list_has(const struct mm_conf_list *l, const char *text)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcasecmp(l->item[i], text) == 0)
			return true;
	return false;
}

/* see conf.h */
bool
mm_conf_list_add(struct mm_conf_list *l, const char *text)
{
	if (mm_conf_list_has(l, text))
		return true;
	if (l->n == MM_CONF_LIST_MAX ||
	    !mm_text_copy(l->item[l->n], MM_CONF_ITEM_MAX, mm_bytes_of(text)))
		return false;
	l->n++;
	return true;
}
