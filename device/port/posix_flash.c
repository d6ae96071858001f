#include "port/posix_flash.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLANK 0xff

static bool
within(const struct mmd_posix_flash *f, uint32_t at, size_t n, uint32_t step)
{
	return !f->off && at <= f->size && n <= f->size - at &&
	    at % step == 0 && n % step == 0;
}

/* How many of n bytes the power lasts for; what is left of them is lost. */
static size_t
spend(struct mmd_posix_flash *f, size_t n)
{
	if (f->power >= 0 && (uint64_t)f->power < n) {
		n = (size_t)f->power;
		f->off = true;
	}
	if (f->power >= 0)
		f->power -= (int64_t)n;
	f->changed += n;
	return n;
}

static enum mmd_rc
read_flash(void *ctx, uint32_t at, uint8_t *p, size_t n)
{
	const struct mmd_posix_flash *f = ctx;

	if (!within(f, at, n, 1))
		return MMD_EPORT;
	memcpy(p, f->map + at, n);
	return MMD_OK;
}

static enum mmd_rc
program(void *ctx, uint32_t at, const uint8_t *p, size_t n)
{
	struct mmd_posix_flash *f = ctx;
	size_t lasts;

	if (!within(f, at, n, f->unit))
		return MMD_EPORT;
	for (size_t i = 0; i < n; i++)
		if (f->map[at + i] != BLANK)
			return MMD_EPORT;
	lasts = spend(f, n);
	memcpy(f->map + at, p, lasts);
	if (lasts < n && f->half)
		f->map[at + lasts] = p[lasts] | 0x0f;
	return f->off ? MMD_EPORT : MMD_OK;
}

static enum mmd_rc
erase(void *ctx, uint32_t at)
{
	struct mmd_posix_flash *f = ctx;
	size_t lasts;

	if (!within(f, at, f->block, f->block))
		return MMD_EPORT;
	lasts = spend(f, f->block);
	memset(f->map + at, BLANK, lasts);
	if (lasts < f->block && f->half)
		f->map[at + lasts] |= 0xf0;
	return f->off ? MMD_EPORT : MMD_OK;
}

/* A new file is blank before it has its size: no half of it is ever seen. */
static enum mmd_rc
fill_new(int fd, uint32_t size)
{
	uint8_t some[512];

	memset(some, BLANK, sizeof(some));
	for (uint32_t at = 0; at < size; at += sizeof(some)) {
		size_t n = size - at < sizeof(some) ? size - at : sizeof(some);

		if (pwrite(fd, some, n, (off_t)at) != (ssize_t)n)
			return MMD_EPORT;
	}
	return MMD_OK;
}

static enum mmd_rc
prepare(int fd, uint32_t size)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return MMD_EPORT;
	if (st.st_size == 0)
		return fill_new(fd, size);
	return st.st_size == (off_t)size ? MMD_OK : MMD_ESTATE;
}

/* see posix_flash.h */
enum mmd_rc
mmd_posix_flash_open(struct mmd_posix_flash *f, const char *path,
    uint32_t size, uint32_t block, uint32_t unit)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	enum mmd_rc rc = fd < 0 ? MMD_EPORT : prepare(fd, size);
	void *map = MAP_FAILED;

	if (rc == MMD_OK)
		map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    0);
	if (map == MAP_FAILED) {
		if (fd >= 0)
			(void)close(fd);
		return rc == MMD_OK ? MMD_EPORT : rc;
	}
	*f = (struct mmd_posix_flash){ .power = -1, .block = block,
		.unit = unit, .size = size, .map = map, .fd = fd };
	return MMD_OK;
}

/* see posix_flash.h */
void
mmd_posix_flash_close(struct mmd_posix_flash *f)
{
	(void)munmap(f->map, f->size);
	(void)close(f->fd);
	f->map = NULL;
	f->fd = -1;
}

/* see posix_flash.h */
struct mmd_flash
mmd_posix_flash_port(struct mmd_posix_flash *f)
{
	return (struct mmd_flash){ f->block, f->unit, BLANK, read_flash,
		program, erase, f };
}

/* see posix_flash.h */
struct mmd_store
mmd_posix_flash_layout(const struct mmd_flash *flash, uint32_t half_n,
    uint32_t key_n)
{
	struct mmd_store s = { .flash = flash };
	uint32_t at = 0;

	for (unsigned i = 0; i < MMD_IDENTITIES; i++) {
		s.key[i] = (struct mmd_area){ at, key_n };
		at += key_n;
		for (unsigned k = 0; k < 2; k++, at += half_n)
			s.half[i][k] = (struct mmd_area){ at, half_n };
	}
	return s;
}

/* see posix_flash.h */
uint32_t
mmd_posix_flash_size(uint32_t half_n, uint32_t key_n)
{
	return MMD_IDENTITIES * (2 * half_n + key_n);
}

static enum mmd_rc
get(void *ctx, unsigned slot, enum mmd_nv_item item, uint8_t *p, size_t cap,
    size_t *n)
{
	return item != MMD_NV_KEY ? MMD_NONE
	    : mmd_store_key_get(ctx, slot, p, cap, n);
}

static enum mmd_rc
put(void *ctx, unsigned slot, enum mmd_nv_item item, struct mmd_bytes data)
{
	return item != MMD_NV_KEY ? MMD_EPORT
	    : mmd_store_key_put(ctx, slot, data);
}

static enum mmd_rc
no_erase(void *ctx, unsigned slot, enum mmd_nv_item item)
{
	(void)ctx;
	(void)slot;
	(void)item;
	return MMD_EPORT;
}

static enum mmd_rc
no_select(void *ctx, unsigned slot)
{
	(void)ctx;
	(void)slot;
	return MMD_EPORT;
}

static enum mmd_rc
none_selected(void *ctx, unsigned *slot)
{
	(void)ctx;
	(void)slot;
	return MMD_NONE;
}

/* see posix_flash.h */
struct mmd_nv
mmd_posix_store_nv(struct mmd_store *s)
{
	return (struct mmd_nv){ get, put, no_erase, no_select, none_selected,
		s };
}
