#include <string.h>

#include "base/file.h"
#include "base/own.h"
#include "cli/client.h"
#include "cli/commands.h"

#define END { NULL, NULL, NULL, MM_C_NONE, NULL }
enum { REQUEST_MAX = 16384 };

const struct mm_opt mm_opts_device_enrol[] = {
	{ "csr", "FILE", "the device's request, PEM (required)", MM_C_FILE,
	    NULL },
	{ "label", "PROFILE", "instead of the product's profile",
	    MM_C_PROFILE, NULL },
	{ "batch", "BATCH", "made in this batch, and counted in it",
	    MM_C_NONE, NULL },
	{ "station", "STATION", "made at this station", MM_C_NONE, NULL },
	{ "out", "FILE", "write certificate and chain there, PEM", MM_C_FILE,
	    NULL },
	END
};

static enum mm_err
write_chain(const char *path, json_t *answer, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(1 << 20);
	const char *cert = json_string_value(
	    json_object_get(answer, "certificate"));
	const char *chain = json_string_value(json_object_get(answer, "chain"));

	mm_buf_text(&b, cert ? cert : "");
	mm_buf_text(&b, chain ? chain : "");
	MM_TRY(mm_buf_ok(&b, why));
	return mm_file_replace(path, mm_buf_view(&b), 0644, why);
}

enum mm_err
mm_cmd_device_enrol(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf csr = MM_BUF_INIT(REQUEST_MAX);
	MM_OWN(json_free) json_t *body = NULL;
	MM_OWN(json_free) json_t *answer = NULL;
	struct mm_client *c;
	char path[1024];

	if (mm_arg(a, "csr") == NULL)
		return MM_FAIL(why, MM_EINPUT, "missing --csr");
	MM_TRY(mm_file_read(mm_arg(a, "csr"), &csr, why));
	body = json_pack("{s:s%}", "csr", csr.p, csr.n);
	if (body == NULL)
		return MM_FAIL(why, MM_EINPUT, "%.80s: not a PEM text",
		    mm_arg(a, "csr"));
	mm_json_opt(body, "label", a, "label");
	mm_json_opt(body, "batch", a, "batch");
	mm_json_opt(body, "station", a, "station");
	MM_TRY(mm_path(path, why, "/devices/%s/enrol", a->pos[0]));
	MM_TRY(mm_cli_client(cli, &c, why));
	MM_TRY(mm_client_call(c, "POST", path, body, &answer, why));
	if (mm_arg(a, "out") != NULL)
		return write_chain(mm_arg(a, "out"), answer, why);
	if (cli->json)
		mm_json_print(answer);
	else
		mm_object_print(answer);
	return MM_OK;
}
