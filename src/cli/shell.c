#include <string.h>

#include "base/own.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "doctor/doctor.h"
#include "ledger/entry.h"
#include "line/birth.h"
#include "line/output.h"
#include "pki/cert.h"

#define END { NULL, NULL, NULL, MM_C_NONE, NULL }
const struct mm_opt mm_opts_completion[] = { END };
const struct mm_opt mm_opts_man[] = { END };
const struct mm_opt mm_opts_reference[] = { END };
const struct mm_opt mm_opts_complete[] = { END };

enum mm_err
mm_cmd_completion(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	(void)cli;
	if (strcmp(a->pos[0], "bash") == 0)
		mm_print_bash(stdout);
	else if (strcmp(a->pos[0], "zsh") == 0)
		mm_print_zsh(stdout);
	else
		return MM_FAIL(why, MM_EINPUT, "want bash or zsh, not \"%s\"",
		    a->pos[0]);
	return MM_OK;
}

enum mm_err
mm_cmd_man(struct mm_cli *cli, const struct mm_args *a, struct mm_why *why)
{
	(void)cli, (void)a, (void)why;
	mm_print_man(stdout);
	return MM_OK;
}

/* Pages of which a library writes the table; the rest say all themselves. */
static const struct {
	const char *name, *head;
	void (*print)(struct mm_buf *page);
} pages[] = {
	{ "doctor", "# What the doctor checks\n\nMade by `mintmark reference "
	    "doctor`; do not edit. *here* is what `--config` looks at.\n\n",
	    mm_doctor_reference },
	{ "ledger", "# Ledger entries\n\nMade by `mintmark reference ledger`; "
	    "do not edit.\n\n", mm_entry_print_reference },
	{ "outputs", "", mm_output_print_reference },
	{ "birth-record", "", mm_birth_print_reference },
};

enum mm_err
mm_cmd_reference(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf page = MM_BUF_INIT(1 << 20);

	(void)cli;
	if (a->npos == 0) {
		mm_print_reference(stdout);
		return MM_OK;
	}
	if (strcmp(a->pos[0], "problems") == 0) {
		mm_print_problems(stdout);
		return MM_OK;
	}
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		if (strcmp(pages[i].name, a->pos[0]) != 0)
			continue;
		pages[i].print(&page);
		MM_TRY(mm_buf_ok(&page, why));
		fputs(pages[i].head, stdout);
		fwrite(page.p, 1, page.n, stdout);
		return MM_OK;
	}
	return MM_FAIL(why, MM_EINPUT, "want ledger, doctor, problems, "
	    "outputs, birth-record or nothing");
}

/* What a shell asks for at a TAB: the first names of a kind. */
static const struct {
	const char *kind, *path, *member;
} names[] = {
	{ "device", "/devices?limit=200", "id" },
	{ "product", "/products?limit=200", "name" },
	{ "profile", "/profiles", "name" },
	{ "token", "/tokens?limit=200", "id" },
	{ "serial", "/certificates?limit=200", "serial" },
	{ "issuer", "/issuers", "name" },
};

enum mm_err
mm_cmd_complete(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	MM_OWN(json_free) json_t *answer = NULL;
	struct mm_client *c;
	size_t n = sizeof(names) / sizeof(names[0]), i = 0, row;
	json_t *item;

	if (strcmp(a->pos[0], "reason") == 0) {
		for (unsigned r = 0; r <= 10; r++)
			if (mm_reason_revokes(r))
				puts(mm_reason_name(r));
		return MM_OK;
	}
	while (i < n && strcmp(names[i].kind, a->pos[0]) != 0)
		i++;
	if (i == n)
		return MM_FAIL(why, MM_EINPUT, "no such kind: %s", a->pos[0]);
	MM_TRY(mm_cli_client(cli, &c, why));
	MM_TRY(mm_client_call(c, "GET", names[i].path, NULL, &answer, why));
	json_array_foreach(json_object_get(answer, "items"), row, item)
		puts(json_string_value(json_object_get(item,
		    names[i].member)));
	return MM_OK;
}
