#ifndef MM_SERVER_PROCESS_H
#define MM_SERVER_PROCESS_H

#include <stdint.h>

/* What this process uses; 0 where the system does not say. */
double mm_process_cpu_s(void);
uint64_t mm_process_rss(void); /* bytes */
unsigned mm_process_fds(void);
uint64_t mm_process_fds_max(void);
/* As many descriptors as the system lets this process have; before children
 * are made, so that they have them too. */
void mm_process_fds_raise(void);

struct mm_settings;
/*
 * How many connections each listener may have: the setting, or an equal share
 * of the descriptors that are left after what the server itself needs, so
 * that no listener can take another's.  fds: as of mm_process_fds_max.
 */
unsigned mm_process_connections(const struct mm_settings *set, uint64_t fds);

#endif
