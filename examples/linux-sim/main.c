/*
 * Devices to try a station with: the device library's own code behind
 * pseudo-terminals, one a device, each with a file as flash.
 *
 *	linux-sim -n 4 DIR
 *	linux-sim -p DIR/SIM-0001.flash
 *
 * makes DIR/SIM-0001 (the terminal, a link) and DIR/SIM-0001.flash (kept over
 * a restart or a kill) and so on, prints a line for each, and runs until it is
 * told to stop (SIGTERM, SIGINT, or its standard input closed with -i).  The
 * second prints the configuration that such a device was given.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "board.h"

#define DEVICES 64

struct device {
	struct board board;
	char id[16], link[512];
	int fd, slave; /* the terminal's two sides */
	struct mmd_io terminal, io;
	bool on;
	int64_t back_ms; /* when power comes back; 0: it is there */
	int64_t think_ms; /* until when it computes; 0: nothing was asked */
	unsigned long cuts;
};

struct options {
	const char *dir;
	unsigned first, n;
	unsigned cut_bytes; /* power goes after up to so many; 0: never */
	unsigned off_ms;    /* and comes back after so long */
	unsigned think_ms;  /* before each answer, as a small chip would */
	unsigned seed;
	bool chatter, stdin_ends, print;
};

static volatile sig_atomic_t stopped;

static void
stop(int sig)
{
	(void)sig;
	stopped = 1;
}

static int64_t
now_ms(void)
{
	struct mmd_clock c = mmd_posix_clock();

	return c.mono_ms(c.ctx);
}

/* A board without power says nothing of what became of it. */
static enum mmd_rc
write_device(void *ctx, const uint8_t *p, size_t n, size_t *done)
{
	struct device *d = ctx;

	if (!d->board.flash.off)
		return d->terminal.write(d->terminal.ctx, p, n, done);
	*done = n;
	return MMD_OK;
}

static enum mmd_rc
read_device(void *ctx, uint8_t *p, size_t n, size_t *done)
{
	struct device *d = ctx;

	return d->terminal.read(d->terminal.ctx, p, n, done);
}

static void
next_cut(struct device *d, const struct options *o)
{
	if (o->cut_bytes > 0) {
		d->board.flash.power = 1 + rand() % (int)o->cut_bytes;
		d->board.flash.half = rand() % 2 == 0;
	}
}

/* The slave's side stays open here, so that the master's never hangs up. */
static bool
open_terminal(struct device *d)
{
	struct termios t;
	const char *name;

	d->fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (d->fd < 0 || grantpt(d->fd) != 0 || unlockpt(d->fd) != 0)
		return false;
	name = ptsname(d->fd);
	d->slave = name == NULL ? -1
	    : open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (d->slave < 0 || tcgetattr(d->slave, &t) != 0)
		return false;
	cfmakeraw(&t);
	if (tcsetattr(d->slave, TCSANOW, &t) != 0)
		return false;
	(void)unlink(d->link);
	return symlink(name, d->link) == 0;
}

static bool
switch_on(struct device *d, const struct options *o, unsigned number)
{
	char flash[600];

	number %= 10000;
	(void)snprintf(d->id, sizeof(d->id), "SIM-%04u", number);
	(void)snprintf(d->link, sizeof(d->link), "%s/SIM-%04u", o->dir,
	    number);
	(void)snprintf(flash, sizeof(flash), "%s.flash", d->link);
	d->terminal = mmd_posix_io(&d->fd);
	d->io = (struct mmd_io){ read_device, write_device, d };
	if (!open_terminal(d) || board_on(&d->board, flash, d->id) != MMD_OK) {
		fprintf(stderr, "linux-sim: %s: %s\n", d->link,
		    strerror(errno));
		return false;
	}
	d->on = true;
	next_cut(d, o);
	printf("{\"device\":\"%s\",\"port\":\"%s\",\"flash\":\"%s\"}\n", d->id,
	    d->link, flash);
	return true;
}

static void
switch_off(struct device *d)
{
	if (!d->on)
		return;
	(void)unlink(d->link);
	(void)close(d->slave);
	(void)close(d->fd);
	board_off(&d->board);
}

static void
log_line(const struct device *d)
{
	char s[80];
	int n = snprintf(s, sizeof(s), "[%s] temp\t%d C\r\n", d->id,
	    20 + rand() % 5);

	if (write(d->fd, s, (size_t)n) != n)
		return; /* nobody reads: it is only log */
}

static void
lose_power(struct device *d, const struct options *o)
{
	d->cuts++;
	d->back_ms = now_ms() + o->off_ms;
	fprintf(stderr, "linux-sim: %s: power cut %lu\n", d->id, d->cuts);
}

/* Whether it is still busy with what it was asked. */
static bool
thinks(struct device *d, const struct options *o)
{
	if (o->think_ms == 0 || d->board.factory.sending)
		return false;
	if (d->think_ms == 0)
		d->think_ms = now_ms() + o->think_ms;
	if (now_ms() < d->think_ms)
		return true;
	d->think_ms = 0;
	return false;
}

static void
run(struct device *d, const struct options *o)
{
	enum mmd_rc rc;

	if (d->back_ms == 0 && thinks(d, o))
		return;

	if (d->back_ms != 0) {
		if (now_ms() < d->back_ms)
			return;
		/* What it was told meanwhile is lost. */
		(void)tcflush(d->slave, TCOFLUSH);
		(void)tcflush(d->fd, TCIFLUSH);
		d->back_ms = 0;
		if (board_reset(&d->board) != MMD_OK)
			stopped = 1;
		next_cut(d, o);
	}
	if (o->chatter && rand() % 4 == 0)
		log_line(d);
	rc = mmd_factory_run(&d->board.factory, &d->io);
	if (rc != MMD_MORE)
		stopped = 1;
	if (d->board.flash.off)
		lose_power(d, o);
}

static struct pollfd
wish(const struct device *d)
{
	short events = d->board.factory.sending ? POLLOUT : POLLIN;
	bool deaf = d->back_ms != 0 || d->think_ms != 0;

	return (struct pollfd){ .fd = deaf ? -1 : d->fd, .events = events };
}

static bool
stdin_closed(const struct pollfd *p)
{
	char c;

	return (p->revents & (POLLIN | POLLHUP)) != 0 &&
	    read(STDIN_FILENO, &c, 1) <= 0;
}

static int
ticks_ms(const struct options *o)
{
	return o->think_ms > 0 ? 2 : o->cut_bytes > 0 ? 10 : -1;
}

static void
serve(struct device *devices, const struct options *o)
{
	struct pollfd p[DEVICES + 1];

	while (!stopped) {
		for (unsigned i = 0; i < o->n; i++)
			p[i] = wish(&devices[i]);
		p[o->n] = (struct pollfd){ .events = POLLIN,
			.fd = o->stdin_ends ? STDIN_FILENO : -1 };
		if (poll(p, o->n + 1, ticks_ms(o)) < 0 &&
		    errno != EINTR)
			return;
		if (stdin_closed(&p[o->n]))
			return;
		for (unsigned i = 0; i < o->n; i++)
			if (p[i].revents != 0 || devices[i].back_ms != 0 ||
			    devices[i].think_ms != 0)
				run(&devices[i], o);
	}
}

static int
usage(void)
{
	fputs("usage: linux-sim [-n devices] [-f first] [-w ms] [-l] [-i]\n"
	    "                 [-c bytes [-o ms] [-s seed]] DIR\n"
	    "       linux-sim -p DEVICE.flash\n"
	    "  -l  the devices log between their answers\n"
	    "  -c  power goes after up to so many bytes written to flash\n"
	    "  -o  and comes back after so many milliseconds (300)\n"
	    "  -w  each answer takes so many milliseconds to compute\n"
	    "  -i  end when standard input does\n"
	    "  -p  print a device's configuration: its version, a line end,\n"
	    "      the document\n", stderr);
	return 2;
}

static bool
number(const char *s, unsigned least, unsigned most, unsigned *out)
{
	char *end;
	unsigned long v = strtoul(s, &end, 10);

	if (*s == '\0' || *end != '\0' || v < least || v > most)
		return false;
	*out = (unsigned)v;
	return true;
}

static bool
parse(int argc, char **argv, struct options *o)
{
	bool ok = true;
	int c;

	*o = (struct options){ .first = 1, .n = 1, .off_ms = 300, .seed = 1 };
	while (ok && (c = getopt(argc, argv, "n:f:c:o:s:w:lip")) != -1) {
		ok = c == 'n' ? number(optarg, 1, DEVICES, &o->n)
		    : c == 'f' ? number(optarg, 1, 9999 - DEVICES, &o->first)
		    : c == 'c' ? number(optarg, 1, 1000000, &o->cut_bytes)
		    : c == 'o' ? number(optarg, 1, 60000, &o->off_ms)
		    : c == 'w' ? number(optarg, 1, 10000, &o->think_ms)
		    : c == 's' ? number(optarg, 1, 1000000000, &o->seed)
		    : c == 'l' || c == 'i' || c == 'p';
		o->print |= c == 'p';
		o->chatter |= c == 'l';
		o->stdin_ends |= c == 'i';
	}
	if (!ok || optind != argc - 1)
		return false;
	o->dir = argv[optind];
	return strlen(o->dir) < 400;
}

static int
print_config(const char *flash)
{
	static uint8_t document[BOARD_HALF];
	static struct board b;
	uint32_t version;
	size_t n;
	enum mmd_rc rc;

	if (access(flash, R_OK) != 0 || board_on(&b, flash, "-") != MMD_OK) {
		fprintf(stderr, "linux-sim: %s: no device's flash\n", flash);
		return 1;
	}
	rc = board_config(&b, &version, document, sizeof(document), &n);
	board_off(&b);
	if (rc != MMD_OK) {
		fprintf(stderr, "linux-sim: %s: no configuration\n", flash);
		return 1;
	}
	printf("%u\n", (unsigned)version);
	return fwrite(document, 1, n, stdout) == n && fflush(stdout) == 0
	    ? 0 : 1;
}

int
main(int argc, char **argv)
{
	static struct device devices[DEVICES];
	struct sigaction sa = { .sa_handler = stop };
	struct options o;
	unsigned on = 0;

	if (!parse(argc, argv, &o))
		return usage();
	if (o.print)
		return print_config(o.dir);
	srand(o.seed);
	(void)sigaction(SIGTERM, &sa, NULL);
	(void)sigaction(SIGINT, &sa, NULL);
	while (on < o.n && switch_on(&devices[on], &o, o.first + on))
		on++;
	(void)fflush(stdout);
	if (on == o.n)
		serve(devices, &o);
	for (unsigned i = 0; i < o.n; i++)
		switch_off(&devices[i]);
	return on == o.n ? 0 : 1;
}
