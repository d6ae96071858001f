#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cmd.h"

/* see cmd.h */
const char *
mm_arg(const struct mm_args *a, const char *name)
{
	for (size_t i = 0; a->opts != NULL && a->opts[i].name != NULL; i++)
		if (strcmp(a->opts[i].name, name) == 0)
			return a->value[i];
	/* An option that the command's table does not have. */
	MM_INVARIANT(name == NULL);
	return NULL;
}

/* see cmd.h */
bool
mm_flag(const struct mm_args *a, const char *name)
{
	return mm_arg(a, name) != NULL;
}

/* see cmd.h */
enum mm_err
mm_arg_int(const struct mm_args *a, const char *name, long preset, long min,
    long max, long *out, struct mm_why *why)
{
	const char *text = mm_arg(a, name);
	char *end;
	long v;

	if (text == NULL) {
		*out = preset;
		return MM_OK;
	}
	errno = 0;
	v = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || v < min || v > max)
		return MM_FAIL(why, MM_EINPUT,
		    "--%s: want a number from %ld to %ld, not \"%s\"", name,
		    min, max, text);
	*out = v;
	return MM_OK;
}

static int
find(const struct mm_opt *opts, const char *name, size_t n)
{
	for (int i = 0; opts != NULL && opts[i].name != NULL; i++)
		if (strlen(opts[i].name) == n &&
		    strncmp(opts[i].name, name, n) == 0)
			return i;
	return -1;
}

/* One "--name", "--name value" or "--name=value"; how many words it took. */
static enum mm_err
option(struct mm_args *out, int argc, char *argv[], int *took,
    struct mm_why *why)
{
	const char *name = argv[0] + 2, *eq = strchr(name, '=');
	size_t n = eq ? (size_t)(eq - name) : strlen(name);
	int i = find(out->opts, name, n);

	if (i < 0)
		return MM_FAIL(why, MM_EINPUT, "unknown option --%.*s",
		    (int)n, name);
	if (out->value[i] != NULL)
		return MM_FAIL(why, MM_EINPUT, "--%.*s twice", (int)n, name);
	*took = 1;
	if (out->opts[i].arg == NULL && eq != NULL)
		return MM_FAIL(why, MM_EINPUT, "--%.*s takes no value",
		    (int)n, name);
	if (out->opts[i].arg == NULL)
		out->value[i] = "";
	else if (eq != NULL)
		out->value[i] = eq + 1;
	else if (argc < 2)
		return MM_FAIL(why, MM_EINPUT, "--%.*s wants %s", (int)n, name,
		    out->opts[i].arg);
	else
		out->value[i] = argv[(*took)++];
	return MM_OK;
}

/* see cmd.h */
enum mm_err
mm_args_parse(const struct mm_cmd *cmd, int argc, char *argv[],
    struct mm_args *out, struct mm_why *why)
{
	bool options = true;

	*out = (struct mm_args){ .opts = cmd->opts };
	for (int i = 0; i < argc;) {
		int took = 1;

		if (options && strcmp(argv[i], "--") == 0)
			options = false;
		else if (options && strncmp(argv[i], "--", 2) == 0)
			MM_TRY(option(out, argc - i, argv + i, &took, why));
		else if (out->npos >= cmd->npos_max)
			return MM_FAIL(why, MM_EINPUT, "unexpected \"%s\"",
			    argv[i]);
		else
			out->pos[out->npos++] = argv[i];
		i += took;
	}
	if (out->npos < cmd->npos_min)
		return MM_FAIL(why, MM_EINPUT, "missing %s", cmd->pos);
	return MM_OK;
}
