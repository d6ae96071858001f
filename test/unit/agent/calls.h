#ifndef TEST_AGENT_CALLS_H
#define TEST_AGENT_CALLS_H

#include <stdbool.h>

/*
 * The calls by which the agent changes a file system, each a step of the
 * server's count, before which a kill may come.  The linker puts them in the
 * place of the C library's (--wrap), for the code under test alone.
 */
struct calls {
	bool no_tmpfile;  /* the file system has no O_TMPFILE */
	unsigned fail_at; /* this call finds the disk full; 0: none */
	unsigned n;       /* calls so far */
};
extern struct calls calls;

#endif
