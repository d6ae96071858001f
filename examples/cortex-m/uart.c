/*
 * CMSDK's UART has room for one byte: an interrupt takes it into a ring, and
 * keeps it there (the line stops) when the ring is full.
 */
#include "uart.h"

#define RING 64 /* a power of two */

#define NVIC_ENABLE ((volatile uint32_t *)0xe000e100u)

struct registers {
	volatile uint32_t data, state, control, interrupt, divider;
};

enum { FULL_OUT = 1, FULL_IN = 2 };             /* state */
enum { OUT = 1, IN = 2, IN_INTERRUPT = 8 };     /* control */
enum { CAME = 2 };                              /* interrupt */

static struct ring {
	volatile uint16_t head, tail; /* written by interrupt, by reader */
	uint8_t p[RING];
} rings[MPS2_UARTS];

static struct registers *
uart(unsigned line)
{
	return (struct registers *)(MPS2_UART + 0x1000u * line);
}

/* see uart.h */
void
uart_init(void)
{
	for (unsigned i = 0; i < MPS2_UARTS; i++) {
		unsigned irq = MPS2_UART_IRQ + 2 * i;

		uart(i)->divider = 217; /* 115,200 of 25 MHz */
		uart(i)->control = OUT | IN | IN_INTERRUPT;
		NVIC_ENABLE[irq / 32] = 3u << irq % 32; /* in and out */
	}
}

static bool
full(const struct ring *r)
{
	return (uint16_t)(r->head - r->tail) == RING;
}

/* see mps2.h */
void
mps2_uart_irq(void)
{
	for (unsigned i = 0; i < MPS2_UARTS; i++) {
		struct ring *r = &rings[i];

		while ((uart(i)->state & FULL_IN) != 0 && !full(r))
			r->p[r->head++ % RING] = (uint8_t)uart(i)->data;
		uart(i)->interrupt = CAME;
		uart(i)->control = full(r) ? OUT | IN
		    : OUT | IN | IN_INTERRUPT;
	}
}

static enum mmd_rc
read_line(void *ctx, uint8_t *p, size_t n, size_t *done)
{
	struct ring *r = &rings[(uintptr_t)ctx];
	size_t k;

	/* What waits in the register for room makes no new interrupt. */
	__asm__ volatile("cpsid i" : : : "memory");
	mps2_uart_irq();
	__asm__ volatile("cpsie i" : : : "memory");
	for (k = 0; k < n && r->tail != r->head; k++)
		p[k] = r->p[r->tail++ % RING];
	*done = k;
	return k == 0 ? MMD_MORE : MMD_OK;
}

static enum mmd_rc
write_line(void *ctx, const uint8_t *p, size_t n, size_t *done)
{
	struct registers *u = uart((unsigned)(uintptr_t)ctx);
	size_t k;

	for (k = 0; k < n && (u->state & FULL_OUT) == 0; k++)
		u->data = p[k];
	*done = k;
	return k == 0 ? MMD_MORE : MMD_OK;
}

/* see uart.h */
struct mmd_io
uart_io(unsigned line)
{
	return (struct mmd_io){ read_line, write_line,
		(void *)(uintptr_t)line };
}

/* see uart.h */
bool
uart_pending(void)
{
	for (unsigned i = 0; i < MPS2_UARTS; i++)
		if (rings[i].head != rings[i].tail)
			return true;
	return false;
}

/* see uart.h */
void
uart_say(const char *s)
{
	for (; *s != '\0'; s++) {
		while ((uart(0)->state & FULL_OUT) != 0)
			;
		uart(0)->data = (uint8_t)*s;
	}
}
