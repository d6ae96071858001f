#include "base/resident.h"

#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* A segment that may not be written to has nothing but the file's bytes. */
static int
let_go(struct dl_phdr_info *of, size_t size, void *ctx)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	(void)size;
	(void)ctx;
	for (size_t i = 0; i < of->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &of->dlpi_phdr[i];
		uintptr_t from, to;

		if (p->p_type != PT_LOAD || (p->p_flags & PF_W) != 0)
			continue;
		from = (of->dlpi_addr + p->p_vaddr) & ~(page - 1);
		to = (of->dlpi_addr + p->p_vaddr + p->p_memsz + page - 1) &
		    ~(page - 1);
		(void)madvise((void *)from, to - from, MADV_DONTNEED);
	}
	return 0;
}

/* see resident.h */
void
mm_resident_let_go(void)
{
	(void)dl_iterate_phdr(let_go, NULL);
}
