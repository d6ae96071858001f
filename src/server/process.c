#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/settings.h"
#include "server/process.h"

/* see process.h */
double
mm_process_cpu_s(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) != 0)
		return 0;
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* see process.h; proc(5): the second number of statm, in pages */
uint64_t
mm_process_rss(void)
{
	struct mm_buf b = MM_BUF_INIT(256);
	unsigned long long size, resident = 0;
	const char *text;

	if (mm_file_read("/proc/self/statm", &b, NULL) == MM_OK &&
	    (text = mm_buf_cstr(&b)) != NULL &&
	    sscanf(text, "%llu %llu", &size, &resident) != 2)
		resident = 0;
	mm_buf_done(&b);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* see process.h; but for the one that reads the folder */
unsigned
mm_process_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (d != NULL && readdir(d) != NULL)
		n++;
	if (d != NULL)
		closedir(d);
	return n > 3 ? n - 3 : 0;
}

/* see process.h */
uint64_t
mm_process_fds_max(void)
{
	struct rlimit l;

	return getrlimit(RLIMIT_NOFILE, &l) == 0 ? (uint64_t)l.rlim_cur : 0;
}

/* see process.h */
void
mm_process_fds_raise(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) != 0 || l.rlim_cur == l.rlim_max)
		return;
	l.rlim_cur = l.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &l); /* the share is what remains */
}

/* Of a server: the database's, the signer's links, deliveries; of a loop: its
 * own, and those that one round accepts before it closes others. */
enum { SERVER_FDS = 128, LOOP_FDS = 64, CONNECTIONS_LEAST = 8 };

/* see process.h */
unsigned
mm_process_connections(const struct mm_settings *set, uint64_t fds)
{
	const char *const listens[] = { set->devices_listen,
		set->operators_listen, set->public_listen,
		set->legacy_listen };
	uint64_t own = SERVER_FDS + LOOP_FDS * (uint64_t)set->threads;
	uint64_t n = 0, share;

	for (size_t i = 0; i < sizeof(listens) / sizeof(listens[0]); i++)
		n += listens[i][0] != '\0';
	share = fds > own && n > 0 ? (fds - own) / n : 0;
	if (share < CONNECTIONS_LEAST)
		share = CONNECTIONS_LEAST;
	return share < (uint64_t)set->connections ? (unsigned)share
						  : (unsigned)set->connections;
}
