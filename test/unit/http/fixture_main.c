/*
 * The fixture as a program, for tests that are not in C.  Arguments are
 * limits, "header_ms=200", or "loops=1"; prints "TLS-port PLAIN-port", then obeys lines on
 * stdin: "counters", "reload", and at the end of input "drain".
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"

#define LIMIT(name)                                            \
	{                                                      \
#name, offsetof(struct mm_http_limits, name),  \
		    sizeof(((struct mm_http_limits *)0)->name) \
	}

static const struct {
	const char *name;
	size_t at, size;
} limits[] = {
	LIMIT(connections),
	LIMIT(connections_per_source),
	LIMIT(handshakes),
	LIMIT(bodies),
	LIMIT(answers),
	LIMIT(handshake_ms),
	LIMIT(header_ms),
	LIMIT(body_ms),
	LIMIT(idle_ms),
	LIMIT(write_ms),
	LIMIT(write_least),
	LIMIT(answer_ms),
};

static void
limit_set(struct mm_http_limits *m, const char *arg)
{
	const char *value = strchr(arg, '=');
	size_t n = value != NULL ? (size_t)(value - arg) : 0;

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		void *at = (char *)m + limits[i].at;

		if (strlen(limits[i].name) != n ||
		    strncmp(limits[i].name, arg, n) != 0)
			continue;
		if (limits[i].size == sizeof(int64_t))
			*(int64_t *)at = atoll(value + 1);
		else
			*(unsigned *)at = (unsigned)atoi(value + 1);
	}
}

static void
counters_print(const struct fixture *f)
{
	for (size_t i = 0; i < 2; i++) {
		struct mm_http_counters n;

		mm_http_counters(f->http, i, &n);
		printf("{\"accepted\":%lu,\"refused_cap\":%lu,"
		       "\"refused_source\":%lu,\"handshake_failed\":%lu,"
		       "\"handshake_timeout\":%lu,\"requests\":%lu,"
		       "\"bad_requests\":%lu,\"answers_dropped\":%lu,"
		       "\"evicted\":%lu,\"open\":%lu,\"rounds\":%lu}\n",
		    n.accepted, n.refused_cap, n.refused_source,
		    n.handshake_failed, n.handshake_timeout, n.requests,
		    n.bad_requests, n.answers_dropped, n.evicted, n.open,
		    __atomic_load_n(&f->rounds, __ATOMIC_RELAXED));
	}
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	static struct fixture f;
	struct mm_why why = { 0 };
	char line[64];

	fixture_init(&f, 2);
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "loops=1") == 0)
			f.conf.loops = 1;
		for (int k = 0; k < 2; k++)
			limit_set(&f.listeners[k].limits, argv[i]);
	}
	fixture_start(&f);
	printf("%u %u\n", mm_http_port(f.http, 0), mm_http_port(f.http, 1));
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		if (strcmp(line, "counters\n") == 0)
			counters_print(&f);
		else if (strcmp(line, "reload\n") == 0 &&
			 mm_http_reload(f.http, &why) != MM_OK)
			return 1;
	}
	fixture_stop(&f, 3000);
	return 0;
}
