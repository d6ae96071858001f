#ifndef MM_BASE_RESIDENT_H
#define MM_BASE_RESIDENT_H

/*
 * For a program that has begun and now waits, for a day or for weeks: what it
 * and its libraries have in memory to be read or run, and never to be written,
 * is no longer its own.  The pages stay in the system's cache, or come from
 * the files again, as the program comes to them; nothing is lost.  What the
 * loader has written to (relocations) is not touched.
 */
void mm_resident_let_go(void);

#endif
