#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
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
