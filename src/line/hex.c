#include "line/image.h"

enum { IN_LINE = 16 };
enum { DATA = 0, END = 1, UPPER = 4 };

static void
record(struct mm_buf *out, uint8_t type, uint16_t address, struct mm_bytes v)
{
	uint8_t sum = (uint8_t)(v.n + type + (address >> 8) + (address & 255));

	mm_buf_printf(out, ":%02X%04X%02X", (unsigned)v.n, address, type);
	for (size_t i = 0; i < v.n; i++) {
		mm_buf_printf(out, "%02X", v.p[i]);
		sum = (uint8_t)(sum + v.p[i]);
	}
	mm_buf_printf(out, "%02X\r\n", (uint8_t)(0 - sum));
}

/* see image.h */
enum mm_err
mm_hex_image(struct mm_bytes data, uint32_t address, struct mm_buf *out,
    struct mm_why *why)
{
	uint32_t upper = 0;

	if (data.n > UINT32_MAX - address)
		return MM_FAIL(why, MM_ELIMIT, "hex: %zu bytes at %#x are "
		    "past the end of the address space", data.n, address);
	for (size_t n; data.n > 0; data.n -= n, data.p += n) {
		/* A record does not cross from one upper half to the next. */
		size_t room = 0x10000 - (address & 0xffff);

		n = data.n < IN_LINE ? data.n : IN_LINE;
		n = n < room ? n : room;
		if (address >> 16 != upper) {
			uint8_t half[2] = { (uint8_t)(address >> 24),
				(uint8_t)(address >> 16) };

			upper = address >> 16;
			record(out, UPPER, 0, (struct mm_bytes){ half, 2 });
		}
		record(out, DATA, (uint16_t)address,
		    (struct mm_bytes){ data.p, n });
		address += (uint32_t)n;
	}
	record(out, END, 0, (struct mm_bytes){ 0 });
	return mm_buf_ok(out, why);
}
