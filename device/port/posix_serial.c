#include "port/posix_flash.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

static const struct {
	uint32_t baud;
	speed_t speed;
} speeds[] = {
	{ 9600, B9600 },
	{ 19200, B19200 },
	{ 38400, B38400 },
	{ 57600, B57600 },
	{ 115200, B115200 },
	{ 230400, B230400 },
	{ 460800, B460800 },
	{ 921600, B921600 },
};

/* A pseudo-terminal that nobody has open reads as an error until one does. */
static enum mmd_rc
failed(void)
{
	return errno == EAGAIN || errno == EINTR || errno == EIO ? MMD_MORE
	    : MMD_EPORT;
}

static enum mmd_rc
read_fd(void *ctx, uint8_t *p, size_t n, size_t *done)
{
	ssize_t got = read(*(const int *)ctx, p, n);

	if (got < 0)
		return failed();
	if (got == 0)
		return MMD_ECLOSED;
	*done = (size_t)got;
	return MMD_OK;
}

static enum mmd_rc
write_fd(void *ctx, const uint8_t *p, size_t n, size_t *done)
{
	ssize_t put = write(*(const int *)ctx, p, n);

	if (put < 0)
		return failed();
	*done = (size_t)put;
	return MMD_OK;
}

/* see posix_flash.h */
struct mmd_io
mmd_posix_io(int *fd)
{
	return (struct mmd_io){ read_fd, write_fd, fd };
}

static enum mmd_rc
set_speed(struct termios *t, uint32_t baud)
{
	if (baud == 0)
		return MMD_OK;
	for (size_t i = 0; i < sizeof(speeds) / sizeof(speeds[0]); i++)
		if (speeds[i].baud == baud)
			return cfsetspeed(t, speeds[i].speed) == 0 ? MMD_OK
			    : MMD_EPORT;
	return MMD_EINPUT;
}

static enum mmd_rc
make_raw(int fd, uint32_t baud)
{
	struct termios t;
	enum mmd_rc rc;

	if (tcgetattr(fd, &t) != 0)
		return MMD_EPORT;
	cfmakeraw(&t);
	t.c_cflag |= CLOCAL | CREAD;
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	rc = set_speed(&t, baud);
	if (rc == MMD_OK && tcsetattr(fd, TCSANOW, &t) != 0)
		rc = MMD_EPORT;
	return rc;
}

/* An emulator's line: it cannot be opened, only connected to. */
static enum mmd_rc
join(const char *path, int *out)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(a.sun_path))
		return MMD_EINPUT;
	memcpy(a.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return MMD_EPORT;
	if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) != 0) {
		(void)close(fd);
		return MMD_NONE;
	}
	*out = fd;
	return MMD_OK;
}

/* see posix_flash.h */
enum mmd_rc
mmd_posix_serial(const char *path, uint32_t baud, int *out)
{
	int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	enum mmd_rc rc;

	if (fd < 0 && errno == ENXIO)
		return join(path, out);
	if (fd < 0)
		return errno == ENOENT ? MMD_NONE : MMD_EPORT;
	rc = make_raw(fd, baud);
	if (rc != MMD_OK) {
		(void)close(fd);
		return rc;
	}
	*out = fd;
	return MMD_OK;
}
