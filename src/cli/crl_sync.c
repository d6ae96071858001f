#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "base/text.h"
#include "base/time.h"
#include "cli/bulk.h"
#include "cli/commands.h"
#include "cli/crl_hook.h"
#include "cli/crl_set.h"
#include "client/fetch.h"

/*
 * A broker's file of revocation lists, kept up to date.  The file is all the
 * state there is: its bytes make the tag that the server is asked with, and its
 * lists are what new ones must not fall behind.  Whoever is on the way to the
 * server decides when we hear of something and in what words: so only a list
 * that is news replaces the file and has the command run, and what is written
 * are the lists that were verified, not the bytes that came.  FILE.changed
 * stands from before a replacement until the command has run, so that a crash
 * between the two does not leave the broker with the old lists.
 */
enum {
	BUNDLE_MAX = 1024 * 1024 * 1024,
	CERTS_MAX = 64 * 1024 * 1024,
	ANCHOR_MAX = 1024 * 1024,
	URL_N = 512,
	EVERY_S = 2,
	WAIT_S = 20,          /* that the server is asked to wait for news */
	PLAIN_MS = 600 * 1000, /* it is not, after that has failed */
	PAUSE_MOST_S = 30,
	SOON_S = 3600, /* a list that ends so soon is told of, so often */
	HOOK_S = 60,   /* for --on-change */
};

const struct mm_opt mm_opts_crl_sync[] = {
	{ "out", "FILE", "the file that the broker loads (required)",
	    MM_C_FILE, NULL },
	{ "url", "URL", "the public listener, as certificates name it: "
	    "http://pki.example.com (required)", MM_C_NONE, NULL },
	{ "on-change", "COMMAND", "run by the shell when the file has changed, "
	    "until it succeeds, a minute at most: systemctl reload mosquitto",
	    MM_C_NONE, NULL },
	{ "every", "TIME", "ask again after so long; without, the server "
	    "says when there is news, or is asked every 2s", MM_C_NONE,
	    NULL },
	{ "once", NULL, "ask once and end, for a timer", MM_C_NONE, NULL },
	{ "allow-fewer", NULL, "take a set without an issuer that is in the "
	    "file", MM_C_NONE, NULL },
	{ "dry-run", NULL, "ask once, verify, say what would change, write "
	    "nothing", MM_C_NONE, NULL },
	{ NULL, NULL, NULL, MM_C_NONE, NULL },
};

/* A file is another one when one of these is: also if it was put back. */
struct face {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec data, node;
};

struct sync {
	struct mm_cli *cli;
	const char *out, *url, *command;
	bool fewer, dry_run;
	struct mm_buf anchor;
	CURL *curl;
	char etag[36], path[PATH_MAX], changed[PATH_MAX];
	bool known;       /* etag is of what the file holds, whose face is: */
	struct face face;
	bool odd;         /* there is more in it than lists */
	bool told_bad;    /* that there is no reading it */
	int64_t ends_s;   /* the first end of a list in it; 0: none */
	char ends[80];    /* whose it is */
	int64_t told_ms;  /* when that was told last; 0: not */
	struct mm_stop *stop; /* NULL: once */
	bool may_wait;    /* the server may: --every does not say when */
	int64_t plain_ms; /* until then it is not asked to, monotonic */
	bool waited;      /* it did: there is no need to pause */
};

static bool is_known(const struct sync *s);

/* Also while the server waits a signal ends us, and the file is looked at. */
static bool
has_waited_enough(void *ctx)
{
	const struct sync *s = ctx;

	return mm_stop_wanted(s->stop, 0) || !is_known(s);
}

/* etag "": there is nothing that it could wait for. */
static enum mm_err
get(struct sync *s, const char *url, const char *etag, struct mm_buf *out,
    long *status, struct mm_why *why)
{
	struct mm_fetch_wait w = { .enough = has_waited_enough, .ctx = s };
	enum mm_err rc;

	if (s->may_wait && etag[0] != '\0' && mm_mono_ms() >= s->plain_ms &&
	    access(s->changed, F_OK) != 0)
		w.s = WAIT_S;
	rc = mm_fetch_later(s->curl, url, etag, &w, out, status, why);
	s->waited = w.s > 0 && (rc == MM_EBUSY || (rc == MM_OK && w.waited &&
	    *status == 304));
	if (rc != MM_OK && rc != MM_EBUSY && w.s > 0)
		s->plain_ms = mm_mono_ms() + PLAIN_MS;
	return rc;
}

static enum mm_err
fetch(struct sync *s, const char *what, const char *etag, struct mm_buf *out,
    long *status, struct mm_why *why)
{
	size_t n = strlen(s->url);
	char url[URL_N];

	while (n > 0 && s->url[n - 1] == '/')
		n--;
	if ((size_t)snprintf(url, sizeof(url), "%.*s/crl/%s", (int)n, s->url,
	    what) >= sizeof(url))
		return MM_FAIL(why, MM_ELIMIT, "--url: too long");
	return get(s, url, etag, out, status, why);
}

/* As the server makes it: bundle.c. */
static void
tag_of(struct mm_bytes text, char etag[36])
{
	uint8_t hash[32];
	char hex[33];

	mm_sha256(text, hash);
	mm_hex_text(hash, 16, hex);
	snprintf(etag, 36, "\"%s\"", hex);
}

static bool
same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* MM_ENOTFOUND; MM_EINPUT: neither read nor replaced is what is no file, a
 * pipe that nobody writes into or a device. */
static enum mm_err
look_at_file(const struct sync *s, struct face *out, struct mm_why *why)
{
	struct stat st;

	if (stat(s->out, &st) != 0)
		return MM_FAIL(why, errno == ENOENT ? MM_ENOTFOUND : MM_ESYS,
		    "%.100s: %s", s->out, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return MM_FAIL(why, MM_EINPUT, "%.100s is no regular file",
		    s->out);
	*out = (struct face){ st.st_dev, st.st_ino, st.st_size, st.st_mtim,
		st.st_ctim };
	return MM_OK;
}

/* Somebody may have removed it, or put another in its place. */
static bool
is_known(const struct sync *s)
{
	struct face now = { 0 };

	return s->known && look_at_file(s, &now, NULL) == MM_OK &&
	    now.dev == s->face.dev && now.ino == s->face.ino &&
	    now.size == s->face.size && same_time(now.data, s->face.data) &&
	    same_time(now.node, s->face.node);
}

/* Of what the file holds now, or will. */
static void
note_ends(struct sync *s, const struct mm_crl_set *set)
{
	int64_t before_s = s->ends_s;

	s->ends_s = 0;
	for (size_t i = 0; i < set->n; i++) {
		const struct mm_crl *c = &set->at[i].crl;

		if (s->ends_s != 0 && c->next_s >= s->ends_s)
			continue;
		s->ends_s = c->next_s;
		mm_crl_issuer_text(c, s->ends, sizeof(s->ends));
	}
	if (s->ends_s != before_s)
		s->told_ms = 0;
}

/* What we have not written ourselves: nginx takes a certificate between the
 * lists for a trust anchor. */
static bool
is_odd(struct mm_bytes text, const struct mm_crl_set *set)
{
	MM_OWN(mm_buf_done) struct mm_buf plain = MM_BUF_INIT(BUNDLE_MAX);

	mm_crl_set_write(set, &plain);
	return !mm_bytes_eq(text, mm_buf_view(&plain));
}

/* A broker cannot load it either: it is replaced as if it were not there. */
static void
take_for_none(struct sync *s, struct mm_crl_set *set, const char *words)
{
	mm_crl_set_done(set);
	if (!s->told_bad)
		fprintf(stderr, "mintmark: warning: %.100s: %s; it counts as "
		    "none\n", s->out, words);
	s->told_bad = true;
}

/* What the file holds; nothing where there is none. */
static enum mm_err
read_before(struct sync *s, struct mm_crl_set *set, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(BUNDLE_MAX);
	struct mm_why own = { 0 };
	enum mm_err rc = look_at_file(s, &s->face, &own);

	s->known = s->odd = false;
	s->etag[0] = '\0';
	if (rc == MM_OK)
		rc = mm_file_read(s->out, &text, &own);
	if (rc != MM_OK && rc != MM_ENOTFOUND)
		return MM_FAIL(why, rc, "%s", own.text);
	if (rc == MM_OK && mm_crl_set_read(set, mm_buf_view(&text), &own) !=
	    MM_OK)
		take_for_none(s, set, own.text);
	else if (text.n > 0 && set->n == 0)
		take_for_none(s, set, "no list is in it");
	else
		s->told_bad = false;
	note_ends(s, set);
	if (set->n == 0)
		return MM_OK;
	s->odd = is_odd(mm_buf_view(&text), set);
	if (!s->odd)
		tag_of(mm_buf_view(&text), s->etag);
	s->known = !s->odd;
	return MM_OK;
}

/* ---- what people and programs are told ---- */

/* Another CA's number may have 20 bytes (RFC 5280 5.2.3). */
static json_t *
number_json(struct mm_bytes number)
{
	struct mm_rd r = mm_rd_over(number);
	json_int_t v = 0;
	char hex[48];

	if (number.n > 7) {
		mm_hex_text(number.p, number.n, hex);
		return json_string(hex);
	}
	while (r.left > 0)
		v = v * 256 + mm_rd_u8(&r);
	return json_integer(v);
}

static json_t *
list_json(const struct mm_crl *c)
{
	char name[80], next[MM_TIME_TEXT];

	mm_crl_issuer_text(c, name, sizeof(name));
	mm_time_text_s(c->next_s, next);
	return json_pack("{s:s,s:o,s:I,s:s}", "issuer", name, "number",
	    number_json(c->number), "revoked", (json_int_t)c->entries,
	    "next_update", next);
}

static void
say_json(const struct sync *s, const struct mm_crl_set *set, bool changed)
{
	json_t *o = json_pack("{s:s,s:b,s:b,s:[]}", "file", s->out, "changed",
	    changed, "dry_run", s->dry_run, "lists");

	for (size_t i = 0; i < set->n; i++)
		json_array_append_new(json_object_get(o, "lists"),
		    list_json(&set->at[i].crl));
	mm_json_dump(stdout, o, JSON_COMPACT);
	putchar('\n');
	json_decref(o);
}

static void
say(const struct sync *s, const struct mm_crl_set *set, bool changed)
{
	size_t revoked = 0;

	for (size_t i = 0; i < set->n; i++)
		revoked += set->at[i].crl.entries;
	if (s->cli->json)
		say_json(s, set, changed);
	else if (changed || !s->cli->quiet)
		printf("%s: %zu %s, %zu revoked%s\n", s->out, set->n,
		    set->n == 1 ? "list" : "lists", revoked,
		    !changed ? ", nothing new" : s->dry_run ? ", would change"
							    : ", changed");
	(void)fflush(stdout);
}

/* Whoever loads a list that has ended refuses everybody: whatever keeps a newer
 * one away, it is told, and told again. */
static void
warn_of_ends(struct sync *s)
{
	int64_t now_ms = mm_mono_ms();
	char next[MM_TIME_TEXT];

	if (s->ends_s == 0 || s->ends_s > mm_now_s() + SOON_S ||
	    (s->told_ms != 0 && now_ms - s->told_ms < SOON_S * 1000))
		return;
	s->told_ms = now_ms;
	mm_time_text_s(s->ends_s, next);
	fprintf(stderr, "mintmark: warning: the list of %s ends at %s, and "
	    "there is no newer one\n", s->ends, next);
}

/* ---- the command ---- */

static enum mm_err
run_command(struct sync *s, struct mm_why *why)
{
	struct mm_why own = { 0 };
	enum mm_err rc;

	if (s->dry_run || s->command == NULL || access(s->changed, F_OK) != 0)
		return MM_OK;
	rc = mm_crl_hook_run(s->command, HOOK_S, s->stop, &own);
	if (rc != MM_OK) {
		s->cli->code = "on-change-failed";
		return MM_FAIL(why, rc, "--on-change failed (%s); the file is "
		    "up to date, and the command runs again the next time",
		    own.text);
	}
	if (unlink(s->changed) != 0 && errno != ENOENT)
		return MM_FAIL(why, MM_ESYS, "%.100s: %s", s->changed,
		    strerror(errno));
	return MM_OK;
}

/* ---- one round ---- */

static enum mm_err
check(struct sync *s, const struct mm_crl_set *set, struct mm_crl_set *before,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf issuers = MM_BUF_INIT(CERTS_MAX);
	enum mm_err rc;
	long status;

	if (set->n == 0)
		return MM_FAIL(why, MM_EINPUT, "there is no list in what came");
	MM_TRY(fetch(s, "issuers.pem", "", &issuers, &status, why));
	MM_TRY(mm_crl_set_verify(set, before, mm_buf_view(&s->anchor),
	    mm_buf_view(&issuers), why));
	rc = mm_crl_set_follows(set, before, s->fewer, why);
	if (rc == MM_ECONFLICT)
		mm_cli_hint(s->cli, "the file stays as it is; after a restore "
		    "from a copy the server's numbers go on where the clock "
		    "is, so look for a cache or another server first "
		    "(--allow-fewer: an issuer was taken away on purpose)");
	return rc;
}

/* What is there afterwards is read again: somebody else may write it, too. */
static enum mm_err
put(struct sync *s, const struct mm_crl_set *set, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(BUNDLE_MAX);

	if (s->dry_run)
		return MM_OK;
	mm_crl_set_write(set, &text);
	MM_TRY(mm_buf_ok(&text, why));
	if (s->command != NULL)
		MM_TRY(mm_file_replace(s->changed, mm_bytes_of(""), 0644,
		    why));
	MM_TRY(mm_file_replace(s->out, mm_buf_view(&text), 0644, why));
	note_ends(s, set);
	s->known = false;
	return MM_OK;
}

static enum mm_err
take_new(struct sync *s, struct mm_bytes text, struct mm_crl_set *before,
    bool quiet, struct mm_why *why)
{
	MM_OWN(mm_crl_set_done) struct mm_crl_set set = { 0 };
	bool news;

	MM_TRY(mm_crl_set_read(&set, text, why));
	MM_TRY(check(s, &set, before, why));
	news = s->odd || mm_crl_set_is_news(&set, before);
	if (news)
		MM_TRY(put(s, &set, why));
	if (news || !quiet)
		say(s, &set, news);
	return MM_OK;
}

/* quiet: where nothing is new nothing is said */
static enum mm_err
look(struct sync *s, bool quiet, struct mm_why *why)
{
	MM_OWN(mm_crl_set_done) struct mm_crl_set before = { 0 };
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(BUNDLE_MAX);
	enum mm_err rc;
	long status = 0;

	s->known = is_known(s);
	if (!s->known)
		MM_TRY(read_before(s, &before, why));
	s->waited = false;
	rc = fetch(s, "bundle.pem", s->etag, &text, &status, why);
	if (rc == MM_EBUSY && s->waited)
		return MM_OK;
	MM_TRY(rc);
	if (status == 304 && s->etag[0] == '\0')
		return MM_FAIL(why, MM_EAGAIN, "%.200s: HTTP status 304, and "
		    "that was not asked", s->url);
	if (status == 304 && quiet)
		return MM_OK;
	if (before.n == 0)
		MM_TRY(read_before(s, &before, why));
	if (status == 200)
		return take_new(s, mm_buf_view(&text), &before, quiet, why);
	say(s, &before, false);
	return MM_OK;
}

/* The command that is still to be run does not wait for the server. */
static enum mm_err
round_(struct sync *s, bool quiet, struct mm_why *why)
{
	struct mm_why own = { 0 };
	enum mm_err ran = run_command(s, &own), rc = look(s, quiet, why);

	warn_of_ends(s);
	MM_TRY(rc);
	if (ran != MM_OK)
		return MM_FAIL(why, ran, "%s", own.text);
	return run_command(s, why);
}

/* ---- again and again ---- */

/* A server that is away comes back, a command may succeed the next time; what
 * does not verify is told once and asked for again.  Of several nodes one may
 * be a second behind: that is told where it stays so. */
static void
tell(const struct mm_cli *cli, const struct mm_why *why, char last[128])
{
	if (strncmp(last, why->text, 127) == 0)
		return;
	snprintf(last, 128, "%.127s", why->text);
	fprintf(stderr, "mintmark: warning: %s\n", why->text);
	if (cli->hint[0] != '\0')
		fprintf(stderr, "mintmark: hint: %s\n", cli->hint);
}

static enum mm_err
watch(struct sync *s, int64_t every_s)
{
	char last[128] = "";
	struct mm_stop stop;
	int64_t pause_s = every_s;
	bool behind = false;

	mm_stop_begin(&stop);
	s->stop = &stop;
	do {
		int64_t began_ms = mm_mono_ms();
		struct mm_why why = { 0 };
		enum mm_err rc;

		s->cli->hint[0] = '\0';
		rc = round_(s, true, &why);
		if (rc == MM_OK || (rc == MM_ECONFLICT && !behind)) {
			behind = rc != MM_OK;
			last[0] = '\0';
			pause_s = s->waited && mm_mono_ms() - began_ms >=
			    1000 ? 0 : every_s;
			continue;
		}
		tell(s->cli, &why, last);
		pause_s = pause_s * 2 > PAUSE_MOST_S ? PAUSE_MOST_S
						     : pause_s * 2;
		if (pause_s < every_s)
			pause_s = every_s;
	} while (!mm_stop_wanted(&stop, (long)pause_s));
	s->stop = NULL;
	mm_stop_end(&stop);
	return MM_OK;
}

static enum mm_err
names(struct sync *s, struct mm_why *why)
{
	if (s->out == NULL || s->url == NULL)
		return MM_FAIL(why, MM_EINPUT, "missing --%s",
		    s->out == NULL ? "out" : "url");
	if ((size_t)snprintf(s->path, sizeof(s->path), "%s.lock", s->out) >=
	    sizeof(s->path) ||
	    (size_t)snprintf(s->changed, sizeof(s->changed), "%s.changed",
	    s->out) >= sizeof(s->changed))
		return MM_FAIL(why, MM_ELIMIT, "--out: too long");
	return MM_OK;
}

static enum mm_err
work(struct sync *s, const struct mm_args *a, struct mm_why *why)
{
	int64_t every_s = EVERY_S;
	bool once = mm_flag(a, "once") || s->dry_run;

	s->may_wait = !once && mm_arg(a, "every") == NULL;

	if (mm_arg(a, "every") != NULL)
		MM_TRY(mm_duration_parse(mm_arg(a, "every"), &every_s, why));
	if (every_s < 1 || every_s > 86400)
		return MM_FAIL(why, MM_EINPUT, "--every: 1s to 1d");
	return once ? round_(s, false, why) : watch(s, every_s);
}

enum mm_err
mm_cmd_crl_sync(struct mm_cli *cli, const struct mm_args *a,
    struct mm_why *why)
{
	struct sync s = { .cli = cli, .out = mm_arg(a, "out"),
		.url = mm_arg(a, "url"), .command = mm_arg(a, "on-change"),
		.fewer = mm_flag(a, "allow-fewer"),
		.dry_run = mm_flag(a, "dry-run") };
	char anchor[512];
	int lock = -1;
	enum mm_err rc;

	mm_buf_init(&s.anchor, ANCHOR_MAX);
	MM_TRY(names(&s, why));
	MM_TRY(mm_cli_anchor(cli, anchor, why));
	MM_TRY(mm_file_read(anchor, &s.anchor, why));
	rc = s.dry_run ? MM_OK : mm_file_lock(s.path, &lock, why);
	if (rc == MM_OK) {
		s.curl = curl_easy_init();
		rc = work(&s, a, why);
		curl_easy_cleanup(s.curl);
	}
	if (lock >= 0)
		close(lock);
	mm_buf_done(&s.anchor);
	return rc;
}
