#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/log.h"
#include "base/secret.h"
#include "pki/key.h"
#include "station/report.h"
#include "station/run.h"

static const struct {
	const char *name;
	int (*run)(const struct mm_station_conf *conf,
	    const struct mm_station_args *a, enum mm_err *err,
	    struct mm_why *why);
} commands[] = {
	{ "enrol", mm_run_enrol },
	{ "provision", mm_run_provision },
	{ "run", mm_run_line },
	{ "status", mm_run_status },
	{ "import", mm_run_import },
	{ "export", mm_run_export },
	{ "sync", mm_run_sync },
	{ "release", mm_run_release },
	{ "scrap", mm_run_scrap },
	{ "api-key", mm_run_api_key },
	{ "label", mm_run_label },
	{ "fixtures", mm_run_fixtures },
	{ "blink", mm_run_blink },
	{ "report", mm_run_report },
	{ "adopt", mm_run_provision },
	{ "selftest", mm_run_selftest },
};

static const struct {
	const char *name;
	void (*print)(FILE *f);
} pages[] = {
	{ "help", mm_station_usage },
	{ "man", mm_station_man },
	{ "completion", mm_station_bash },
	{ "reference", mm_station_reference },
};

static void
stop(int sig)
{
	(void)sig;
	mm_run_stopped = 1;
}

/*
 * Whoever started us: no file of ours becomes standard error because that was
 * closed, no memory of ours a core file, no file another's to write.
 */
static bool
harden(void)
{
	const struct rlimit none = { 0, 0 };
	const struct sigaction sa = { .sa_handler = stop };

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", O_RDWR) != fd)
			return false;
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
	(void)sigaction(SIGTERM, &sa, NULL);
	(void)sigaction(SIGINT, &sa, NULL);
	(void)umask(027);
	return setrlimit(RLIMIT_CORE, &none) == 0;
}

static int
failed(enum mm_err err, const struct mm_why *why, bool json)
{
	struct mm_buf out = MM_BUF_INIT(2048);
	const char *text;

	mm_report_failure(&out, err, why, json);
	text = mm_buf_cstr(&out);
	if (text != NULL)
		(void)fputs(text, json ? stdout : stderr);
	mm_buf_done(&out);
	return mm_err_exit(err);
}

static bool
page(const struct mm_station_args *a)
{
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		if (strcmp(pages[i].name, a->command) == 0) {
			pages[i].print(stdout);
			return true;
		}
	if (strcmp(a->command, "version") != 0)
		return false;
	puts(a->json ? "{\"version\":\"" MM_VERSION "\"}"
	    : "mintmark-station " MM_VERSION);
	return true;
}

/* Configurations, with their secrets, come and are kept as JSON. */
static void
wipe_free(void *p)
{
	if (p != NULL)
		mm_wipe(p, malloc_usable_size(p));
	free(p);
}

static int
run(const struct mm_station_args *a)
{
	MM_OWN(mm_station_conf_free) struct mm_station_conf *conf = NULL;
	struct mm_why why = { 0 };
	enum mm_err err = mm_openssl_ready(&why);
	int status = 0;

	if (err == MM_OK)
		err = mm_station_conf_load(a->config, &conf, &why);
	if (err != MM_OK)
		return failed(err, &why, a->json);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, a->command) == 0)
			status = commands[i].run(conf, a, &err, &why);
	return err != MM_OK ? failed(err, &why, a->json) : status;
}

int
main(int argc, char **argv)
{
	struct mm_station_args a;
	struct mm_why why = { 0 };
	enum mm_err err;

	if (!harden())
		return mm_err_exit(MM_ESYS);
	err = mm_station_args_parse(argc, argv, &a, &why);
	if (err != MM_OK)
		return failed(err, &why, a.json);
	mm_log_open("mintmark-station", MM_LOG_INFO);
	json_set_alloc_funcs(malloc, wipe_free);
	if (page(&a))
		return fflush(stdout) == 0 && !ferror(stdout) ? 0
		    : mm_err_exit(MM_ESYS);
	return run(&a);
}
