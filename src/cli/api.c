#include "base/file.h"
#include "base/own.h"
#include "cli/client.h"
#include "cli/commands.h"

/* Calls that programs make oftener than people: what a server measures and
 * says of itself, and what a station asks and tells. */

#define END { NULL, NULL, NULL, MM_C_NONE, NULL }

enum { PROOF_MAX = 65536 };

const struct mm_opt mm_opts_metrics[] = { END };

enum mm_err
mm_cmd_metrics(struct mm_cli *cli, const struct mm_args *a, struct mm_why *why)
{
	(void)a;
	return mm_print_bytes(cli, "/metrics", "metrics", why);
}

const struct mm_opt mm_opts_openapi[] = { END };

/* It is JSON, whoever reads it. */
enum mm_err
mm_cmd_openapi(struct mm_cli *cli, const struct mm_args *a, struct mm_why *why)
{
	MM_OWN(json_free) json_t *answer = NULL;
	struct mm_client *c;

	(void)a;
	MM_TRY(mm_cli_client(cli, &c, why));
	MM_TRY(mm_client_call(c, "GET", "/openapi.json", NULL, &answer, why));
	mm_json_print(answer);
	return MM_OK;
}

const struct mm_opt mm_opts_batch_people[] = { END };
MM_SHOW(batch_people, "GET", "/batches/%s/people")

const struct mm_opt mm_opts_batch_configuration[] = { END };

enum mm_err
mm_cmd_batch_configuration(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	char p[1024];

	MM_TRY(mm_path(p, why, "/batches/%s/configurations/%s", a->pos[0],
	    a->pos[1]));
	return mm_object_command(cli, "GET", p, NULL, why);
}

const struct mm_opt mm_opts_device_prove[] = { END };

enum mm_err
mm_cmd_device_prove(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(PROOF_MAX);
	json_error_t where;
	json_t *proof;
	char p[1024];

	MM_TRY(mm_path(p, why, "/devices/%s/proof", a->pos[0]));
	MM_TRY(mm_file_read(a->pos[1], &b, why));
	proof = json_loadb((const char *)b.p, b.n, JSON_REJECT_DUPLICATES,
	    &where);
	if (proof == NULL)
		return MM_FAIL(why, MM_EINPUT, "%.80s: line %d: %s",
		    a->pos[1], where.line, where.text);
	return mm_object_command(cli, "POST", p, proof, why);
}
