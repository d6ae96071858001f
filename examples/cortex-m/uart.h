#ifndef UART_H
#define UART_H

#include "mmd.h"
#include "mps2.h"

/* Both serial lines: 0 the console, 1 the modem. */
void uart_init(void);
/* A stream as the library wants it; number of the line in ctx. */
struct mmd_io uart_io(unsigned line);
/* Whether anything came on any line. */
bool uart_pending(void);
/* Text for people, on the console; waits for the line. */
void uart_say(const char *s);

#endif
