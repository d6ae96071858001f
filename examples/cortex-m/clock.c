#include "mps2.h"

#define SYSTICK_CONTROL (*(volatile uint32_t *)0xe000e010u)
#define SYSTICK_RELOAD  (*(volatile uint32_t *)0xe000e014u)
#define SYSTICK_VALUE   (*(volatile uint32_t *)0xe000e018u)
#define CLOCK_HZ        25000000u /* an505: 20 MHz; nothing hangs on it */

static volatile uint32_t now_ms;

/* see mps2.h */
void
mps2_tick(void)
{
	now_ms++;
}

/* see mps2.h */
uint32_t
mps2_ms(void)
{
	return now_ms;
}

/* see mps2.h */
void
mps2_start_clock(void)
{
	SYSTICK_RELOAD = CLOCK_HZ / 1000 - 1;
	SYSTICK_VALUE = 0;
	SYSTICK_CONTROL = 7; /* on, with its interrupt, by the core's clock */
}

/* With interrupts off, one that comes meanwhile still ends the sleep. */
void
mps2_wait(bool (*busy)(void))
{
	__asm__ volatile("cpsid i" : : : "memory");
	if (!busy())
		__asm__ volatile("wfi" : : : "memory");
	__asm__ volatile("cpsie i" : : : "memory");
}
