#ifndef MPS2_H
#define MPS2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Arm's MPS2 boards as QEMU has them (mps2-an385 with a Cortex-M3, an386 with
 * an M4, an505 with an M33), and what is the same on every Cortex-M: all that
 * an example needs of a board support package.  Another board has its own.
 */
#ifdef MPS2_AN505
#define MPS2_UART    0x50200000u
#define MPS2_UART_IRQ 32
#define MPS2_MEMORY  0x80000000u
#else
#define MPS2_UART    0x40004000u
#define MPS2_UART_IRQ 0
#define MPS2_MEMORY  0x21000000u
#endif

#ifndef MPS2_UARTS
#define MPS2_UARTS 2
#endif
#define MPS2_IRQS  (MPS2_UART_IRQ + 2 * MPS2_UARTS)

/* What runs of itself. */
int main(void);
void mps2_tick(void);     /* SysTick: every millisecond */
void mps2_uart_irq(void); /* any other */

/* Milliseconds since the start. */
uint32_t mps2_ms(void);
void mps2_start_clock(void);
/* Sleeps until something happens, unless busy says that it has. */
void mps2_wait(bool (*busy)(void));

/* 32 bytes from the host: QEMU's boards have no source of noise. */
bool mps2_noise(uint8_t out[32]);
/* Ends QEMU, with failure. */
_Noreturn void mps2_fail(void);

#endif
