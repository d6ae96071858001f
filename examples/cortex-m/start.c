/* From reset to main, and what only an emulator has (semihosting). */
#include "mps2.h"

#include <string.h>

extern uint32_t image_data[], data_begin[], data_end[], bss_begin[],
    bss_end[], stack_low[], stack_top[];

#define PAINT 0xa5a5a5a5u /* the test looks how much of it is left */

struct semihost_file {
	const char *name;
	uint32_t mode, name_n;
};

struct semihost_read {
	uint32_t handle;
	void *p;
	uint32_t n;
};

enum { SYS_OPEN = 1, SYS_CLOSE = 2, SYS_READ = 6, SYS_EXIT = 0x18 };
#define RUNTIME_ERROR 0x20023 /* ADP_Stopped_RunTimeErrorUnknown */

static uint32_t
semihost(uint32_t operation, const void *arg)
{
	register uint32_t r0 __asm__("r0") = operation;
	register const void *r1 __asm__("r1") = arg;

	__asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
	return r0;
}

/* see mps2.h */
bool
mps2_noise(uint8_t out[32])
{
	static const char name[] = "/dev/urandom";
	const struct semihost_file f = { name, 0, sizeof(name) - 1 };
	struct semihost_read r = { semihost(SYS_OPEN, &f), out, 32 };
	uint32_t missing;

	if (r.handle == UINT32_MAX)
		return false;
	missing = semihost(SYS_READ, &r);
	(void)semihost(SYS_CLOSE, &r.handle);
	return missing == 0;
}

/* see mps2.h */
void
mps2_fail(void)
{
	(void)semihost(SYS_EXIT, (const void *)RUNTIME_ERROR);
	for (;;)
		;
}

void start(void);

void
start(void)
{
	uint32_t *sp;

	memcpy(data_begin, image_data,
	    (size_t)((char *)data_end - (char *)data_begin));
	memset(bss_begin, 0, (size_t)((char *)bss_end - (char *)bss_begin));
	__asm__ volatile("mov %0, sp" : "=r"(sp));
	for (sp -= 16; sp >= stack_low; sp--)
		*sp = PAINT;
	(void)main();
	mps2_fail();
}

/* Entry 0 is the first stack pointer, 1 reset, 15 SysTick, 16 the first IRQ. */
union vector {
	const void *p;
	void (*run)(void);
};

#define FAULTS(a, b) [a ... b] = { .run = mps2_fail }

__attribute__((section(".vectors"), used)) static const union vector
    vectors[16 + MPS2_IRQS] = {
	[0] = { .p = stack_top },
	[1] = { .run = start },
	FAULTS(2, 14),
	[15] = { .run = mps2_tick },
	[16 ... 15 + MPS2_IRQS] = { .run = mps2_uart_irq },
};
