#include "server.h"

#include <libpq-fe.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 30000

static struct {
	char dir[64];
	pid_t pid, owner;
	unsigned databases;
	char spare[160]; /* URL of one that is emptied, or "" */
} server;

static void
die(const char *what)
{
	fprintf(stderr, "PostgreSQL: %s (see %s)\n", what, server.dir);
	abort();
}

static void
nap(void)
{
	nanosleep(&(struct timespec){ 0, 5000000 }, NULL);
}

static bool
is_ready(void)
{
	char path[96], line[128] = "", last[128] = "";
	FILE *f;

	snprintf(path, sizeof(path), "%s/data/postmaster.pid", server.dir);
	f = fopen(path, "r");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		memcpy(last, line, sizeof(last));
	if (f != NULL)
		fclose(f);
	return strncmp(last, "ready", 5) == 0;
}

void
pg_server_start(void)
{
	int status;

	server.pid = fork();
	if (server.pid == 0) {
		execl(POSTGRES_PRIVATE, POSTGRES_PRIVATE, server.dir,
		    (char *)NULL);
		_exit(127);
	}
	for (unsigned i = 0; !is_ready(); i++) {
		if (waitpid(server.pid, &status, WNOHANG) != 0 ||
		    i * 5 > WAIT_MS)
			die("does not start");
		nap();
	}
}

typedef void child_fn(void *ctx, int pid);

/* The postmaster and its children. */
static void
each_process(child_fn *fn, void *ctx)
{
	char path[64];
	int child;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children",
	    (int)server.pid, (int)server.pid);
	f = fopen(path, "r");
	if (f == NULL)
		die("no list of its processes");
	fn(ctx, (int)server.pid);
	while (fscanf(f, "%d", &child) == 1)
		fn(ctx, child);
	fclose(f);
}

static void
send_signal(void *ctx, int pid)
{
	kill(pid, *(int *)ctx);
}

void
pg_server_signal(int sig)
{
	each_process(send_signal, &sig);
}

/* proc(5): user and system time are fields 14 and 15. */
static void
add_cpu(void *ctx, int pid)
{
	unsigned long user = 0, sys = 0;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	if (f == NULL)
		return;
	if (fscanf(f, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u "
	    "%*u %lu %lu", &user, &sys) == 2)
		*(double *)ctx += (double)(user + sys) * 1e6 /
		    (double)sysconf(_SC_CLK_TCK);
	fclose(f);
}

double
pg_server_cpu_us(void)
{
	double sum = 0;

	each_process(add_cpu, &sum);
	return sum;
}

void
pg_server_stop(int sig)
{
	kill(server.pid, sig);
	if (waitpid(server.pid, NULL, 0) != server.pid)
		die("does not stop");
}

static void
at_exit(void)
{
	char command[96];

	if (getpid() != server.owner)
		return;
	pg_server_stop(SIGQUIT);
	snprintf(command, sizeof(command), "rm -rf '%s'", server.dir);
	if (system(command) != 0)
		die("cannot be removed");
}

bool
pg_server(const char *parent)
{
	if (server.pid != 0)
		return true;
	if (access("/usr/lib/postgresql", X_OK) != 0)
		return false;
	if (parent == NULL)
		parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	snprintf(server.dir, sizeof(server.dir), "%.40s/mm-pg-XXXXXX", parent);
	if (mkdtemp(server.dir) == NULL)
		die("no folder");
	server.owner = getpid();
	pg_server_start();
	atexit(at_exit);
	return true;
}

int
pg_server_port(void)
{
	char path[96];
	int port = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/port", server.dir);
	f = fopen(path, "r");
	if (f == NULL || fscanf(f, "%d", &port) != 1)
		die("no port");
	fclose(f);
	return port;
}

static void
url_of(const char *database, char *url, size_t n)
{
	snprintf(url, n, "postgresql://postgres@/%s?host=%s&port=%d",
	    database, server.dir, pg_server_port());
}

void
pg_sql(const char *url, const char *sql)
{
	char own[128];
	PGconn *c;
	PGresult *res;

	url_of("postgres", own, sizeof(own));
	c = PQconnectdb(url != NULL ? url : own);
	res = PQexec(c, sql);
	if (PQresultStatus(res) != PGRES_COMMAND_OK &&
	    PQresultStatus(res) != PGRES_TUPLES_OK)
		die(PQerrorMessage(c));
	PQclear(res);
	PQfinish(c);
}

PGconn *
pg_hold(const char *url, const char *sql)
{
	PGconn *c = PQconnectdb(url);

	PQclear(PQexec(c, "BEGIN"));
	PQclear(PQexec(c, sql));
	if (PQtransactionStatus(c) != PQTRANS_INTRANS)
		die(PQerrorMessage(c));
	return c;
}

void
pg_database(char *url, size_t n)
{
	char name[32], sql[64];

	if (server.spare[0] != '\0') {
		snprintf(url, n, "%s", server.spare);
		server.spare[0] = '\0';
		return;
	}
	snprintf(name, sizeof(name), "mm%u", server.databases++);
	snprintf(sql, sizeof(sql), "CREATE DATABASE %s", name);
	pg_sql(NULL, sql);
	url_of(name, url, n);
}

void
pg_recycle(const char *url)
{
	pg_sql(url, "DO $$ BEGIN EXECUTE (SELECT 'TRUNCATE ' || string_agg("
	    "c.oid::regclass::text, ',') || ' RESTART IDENTITY' FROM pg_class"
	    " c WHERE relkind = 'r' AND relname <> 'meta' AND"
	    " relnamespace = 'mintmark'::regnamespace);"
	    " UPDATE mintmark.meta SET products = 0, devices = 0, tokens = 0,"
	    " certs = 0, revoked = 0, entries = 0; END $$");
	snprintf(server.spare, sizeof(server.spare), "%s", url);
}

void
pg_drop(const char *url)
{
	const char *name = strchr(url, '@') + 2;
	char sql[96];

	snprintf(sql, sizeof(sql), "DROP DATABASE %.*s WITH (FORCE)",
	    (int)strcspn(name, "?"), name);
	pg_sql(NULL, sql);
}
