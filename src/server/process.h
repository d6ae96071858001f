#ifndef MM_SERVER_PROCESS_H
#define MM_SERVER_PROCESS_H

#include <stdint.h>

/* What this process uses; 0 where the system does not say. */
double mm_process_cpu_s(void);
uint64_t mm_process_rss(void); /* bytes */
unsigned mm_process_fds(void);
uint64_t mm_process_fds_max(void);

#endif
