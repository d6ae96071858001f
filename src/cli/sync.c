#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/own.h"
#include "base/text.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/source.h"
#include "work/upload.h"

/* What a station made offline, brought to the centre in a file. */

#define END                                       \
	{                                         \
		NULL, NULL, NULL, MM_C_NONE, NULL \
	}

/* ---- whose ledger is believed ---- */

const struct mm_opt mm_opts_station_trust[] = { END };

enum mm_err
mm_cmd_station_trust(
    struct mm_cli *cli, const struct mm_args *a, struct mm_why *why)
{
	MM_OWN(mm_buf_done)
	struct mm_buf text = MM_BUF_INIT(MM_NOTE_KEY_TEXT);
	struct mm_source nowhere = { .cli = cli };
	struct mm_note_key key;
	bool trusted;
	char path[1024];

	MM_TRY(mm_source_key(&nowhere, a->pos[1], &key, &trusted, why));
	mm_note_key_text(&key, &text);
	MM_TRY(mm_buf_ok(&text, why));
	MM_TRY(mm_path(path, why, "/stations/%s/trust", a->pos[0]));
	return mm_object_command(cli, "POST", path,
	    json_pack("{s:s}", "key", mm_buf_cstr(&text)), why);
}

/* ---- what was put aside ---- */

const struct mm_opt mm_opts_station_quarantine[] = {
	{ "accept", "ENTRY",
	    "take that one in all the same, as the centre would have: it is "
	    "judged again, and ACCEPT says what can be",
	    MM_C_NONE, NULL },
	{ "reject", "ENTRY",
	    "never take that one in: its certificate goes on its line CA's "
	    "list",
	    MM_C_NONE, NULL },
	{ "reason", "TEXT", "why; wanted for either", MM_C_NONE, NULL },
	MM_LIST_OPTS, END
};

static enum mm_err
decide(struct mm_cli *cli, const struct mm_args *a, const char *what,
    struct mm_why *why)
{
	const char *reason = mm_arg(a, "reason");
	char path[1024];

	if (mm_arg(a, "accept") != NULL && mm_arg(a, "reject") != NULL)
		return MM_FAIL(
		    why, MM_EINPUT, "--accept or --reject, not both");
	if (reason == NULL)
		return MM_FAIL(why, MM_EINPUT, "missing --reason");
	MM_TRY(mm_path(path, why, "/stations/%s/quarantine/%s/", a->pos[0],
	    mm_arg(a, what)));
	strncat(path, what, sizeof(path) - strlen(path) - 1);
	return mm_object_command(
	    cli, "POST", path, json_pack("{s:s}", "reason", reason), why);
}

enum mm_err
mm_cmd_station_quarantine(
    struct mm_cli *cli, const struct mm_args *a, struct mm_why *why)
{
	static const struct mm_column columns[] = {
		{ "ENTRY", "entry" },
		{ "DEVICE", "device" },
		{ "SERIAL", "serial" },
		{ "STATE", "state" },
		{ "ACCEPT", "acceptable" },
		{ "REASON", "reason" },
	};
	char path[1024];

	if (mm_arg(a, "accept") != NULL)
		return decide(cli, a, "accept", why);
	if (mm_arg(a, "reject") != NULL)
		return decide(cli, a, "reject", why);
	MM_TRY(mm_path(path, why, "/stations/%s/quarantine", a->pos[0]));
	return mm_list_command(cli, a, path, NULL, 0, columns,
	    sizeof(columns) / sizeof(columns[0]), why);
}

/* ---- sync ---- */

const struct mm_opt mm_opts_station_sync[] = {
	{ "dry-run", NULL,
	    "say what would become of it, against what the centre has now, "
	    "and write nothing",
	    MM_C_NONE, NULL },
	END
};

struct sync {
	struct mm_cli *cli;
	struct mm_client *client;
	struct mm_upload *file;
	char path[1024];
	bool dry_run;
	uint64_t began; /* what the centre had */
	json_int_t entries, issued, confirmed, unchanged;
	json_t *quarantined;
	struct mm_progress progress;
};

static json_int_t
number(const json_t *o, const char *member)
{
	return json_integer_value(json_object_get(o, member));
}

static void
add(struct sync *s, const json_t *answer)
{
	s->entries += number(answer, "entries");
	s->issued += number(answer, "issued");
	s->confirmed += number(answer, "confirmed");
	s->unchanged += number(answer, "unchanged");
	json_array_extend(
	    s->quarantined, json_object_get(answer, "quarantined"));
}

static enum mm_err
send_piece(struct sync *s, uint64_t from, uint64_t *to, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(MM_SYNC_PIECE_MAX);
	MM_OWN(json_free) json_t *answer = NULL;

	MM_TRY(mm_upload_piece(s->file, from, s->dry_run, to, &text, why));
	MM_TRY(mm_client_post(
	    s->client, s->path, mm_buf_cstr(&text), &answer, why));
	add(s, answer);
	mm_progress_step(&s->progress, *to);
	return MM_OK;
}

static void
hint_damaged(struct mm_cli *cli)
{
	mm_cli_hint(cli, "copy the export again, or write it again at the "
			 "station");
}

/* One at least, though there is nothing new: the centre looks at what was
 * signed. */
static enum mm_err
send_all(struct sync *s, struct mm_why *why)
{
	uint64_t at = s->began;
	enum mm_err rc;

	mm_progress_begin(
	    &s->progress, s->cli, "entries", mm_upload_size(s->file));
	do
		rc = send_piece(s, at, &at, why);
	while (rc == MM_OK && at < mm_upload_size(s->file));
	mm_progress_end(&s->progress);
	if (rc == MM_ECONFLICT || rc == MM_EAGAIN)
		mm_cli_hint(s->cli, "what was sent is stored: the same "
				    "command goes on from there");
	if (rc == MM_EINPUT)
		hint_damaged(s->cli);
	return rc;
}

static enum mm_err
ask_where(struct sync *s, const char *station, struct mm_why *why)
{
	MM_OWN(json_free) json_t *have = NULL;

	MM_TRY(mm_client_call(s->client, "GET", s->path, NULL, &have, why));
	s->began = (uint64_t)number(have, "size");
	if (json_object_get(have, "ledger_key") == NULL) {
		mm_cli_hint(s->cli,
		    "mintmark station trust %s KEY: "
		    "\"mintmark-signer station-init\" printed "
		    "it there",
		    station);
		return MM_FAIL(why, MM_EPOLICY,
		    "station %s: no key of its ledger is trusted yet", station);
	}
	if (s->began < mm_upload_from(s->file)) {
		mm_cli_hint(s->cli, "write it again at the station: "
		    "mintmark-station export --from %" PRIu64, s->began);
		return MM_FAIL(why, MM_EPOLICY,
		    "the file begins at entry %" PRIu64 ", the centre has "
		    "%" PRIu64 " of station %s",
		    mm_upload_from(s->file), s->began, station);
	}
	mm_upload_since(s->file, (uint64_t)number(have, "signed"));
	/* one that ends earlier is the centre's to hear of, too */
	if (s->began > mm_upload_size(s->file))
		s->began = mm_upload_size(s->file);
	return MM_OK;
}

static void
print_words(const struct sync *s, const char *station)
{
	const json_t *q;
	size_t i;

	json_array_foreach(s->quarantined, i, q)
	{
		printf("entry %lld ", (long long)number(q, "entry"));
		mm_text_put(stdout, mm_json_text(q, "device"));
		printf(": ");
		mm_text_put(stdout, mm_json_text(q, "reason"));
		printf("\n");
	}
	if (s->entries == 0)
		printf("station %s: nothing new, the centre has all %" PRIu64
		       " entries\n",
		    station, s->began);
	else
		printf("station %s: %lld %s %s, %lld %s, %lld "
		       "proved, %lld quarantined, %lld there before\n",
		    station, (long long)s->entries,
		    mm_counted((unsigned long long)s->entries, "entry",
			"entries"), s->dry_run ? "would be taken" : "taken",
		    (long long)s->issued, mm_counted(
			(unsigned long long)s->issued, "certificate",
			"certificates"), (long long)s->confirmed,
		    (long long)json_array_size(s->quarantined),
		    (long long)s->unchanged);
}

/* The command was allowed: units of the station were not. */
static enum mm_err
tell_aside(const struct sync *s, const char *station, struct mm_why *why)
{
	if (s->dry_run)
		mm_cli_hint(s->cli, "each is named above; nothing was written");
	else
		mm_cli_hint(s->cli,
		    "all else was taken; \"mintmark station quarantine %s\" "
		    "lists what was put aside, and why",
		    station);
	s->cli->code = "quarantined";
	return MM_FAIL(why, MM_EPOLICY,
	    s->dry_run ? "%zu would be quarantined" : "%zu quarantined",
	    json_array_size(s->quarantined));
}

static enum mm_err
say(const struct sync *s, const char *station, struct mm_why *why)
{
	size_t n = json_array_size(s->quarantined);

	if (s->cli->json) {
		json_t *o = json_pack("{s:s,s:b,s:I,s:I,s:I,s:I,s:I,s:O}",
		    "station", station, "dry_run", s->dry_run, "size",
		    (json_int_t)mm_upload_size(s->file), "entries", s->entries,
		    "issued", s->issued, "confirmed", s->confirmed, "unchanged",
		    s->unchanged, "quarantined", s->quarantined);

		mm_json_print(o);
		json_decref(o);
	} else {
		print_words(s, station);
	}
	if (n > 0)
		return tell_aside(s, station, why);
	if (!s->dry_run)
		mm_cli_hint(s->cli, "the next file may begin there: "
		    "mintmark-station export --from %" PRIu64,
		    mm_upload_size(s->file));
	return MM_OK;
}

static enum mm_err
sync_file(struct sync *s, const char *station, struct mm_why *why)
{
	if (strcmp(mm_upload_station(s->file), station) != 0)
		return MM_FAIL(why, MM_EINPUT, "the file is station %s's",
		    mm_upload_station(s->file));
	MM_TRY(mm_path(s->path, why, "/stations/%s/sync", station));
	MM_TRY(mm_cli_client(s->cli, &s->client, why));
	MM_TRY(ask_where(s, station, why));
	MM_TRY(send_all(s, why));
	return say(s, station, why);
}

enum mm_err
mm_cmd_station_sync(
    struct mm_cli *cli, const struct mm_args *a, struct mm_why *why)
{
	MM_OWN(mm_file_unmap) struct mm_bytes bytes = { NULL, 0 };
	MM_OWN(mm_upload_close) struct mm_upload *file = NULL;
	struct sync s = { .cli = cli, .dry_run = mm_flag(a, "dry-run") };
	enum mm_err rc;

	MM_TRY(mm_file_map(a->pos[1], &bytes, why));
	rc = mm_upload_open(bytes, &file, why);
	if (rc == MM_EINPUT)
		hint_damaged(cli);
	MM_TRY(rc);
	s.file = file;
	s.quarantined = json_array();
	rc = sync_file(&s, a->pos[0], why);
	json_decref(s.quarantined);
	return rc;
}
