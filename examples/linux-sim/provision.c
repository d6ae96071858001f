/*
 * The other end of linux-sim's lines, as small as it can be: takes devices
 * from blank to locked, certified by a test authority.  A station does this
 * with a journal, an order and an operator; here are only the messages.
 *
 *	provision [-u] CA-FOLDER PORT=NAME...
 *
 * All at once.  One line of JSON each when it is done; the exit status is 0 if
 * all are.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "port/posix_flash.h"
#include "port/posix_openssl.h"
#include "unit.h"

#define PLACES 64

struct place {
	char port[512];
	const char *name;
	int fd;
	struct mmd_io io;
	struct mmd_link_conf conf;
	uint8_t buf[MMD_LINK_BUF];
	struct unit unit;
	int64_t began_ms, took_ms;
	enum mmd_rc rc; /* MMD_MORE: under way */
};

static const char *const rc_words[] = {
	[MMD_OK] = "done",
	[MMD_NONE] = "no such port",
	[MMD_EINPUT] = "answers that are none",
	[MMD_EANCHOR] = "what it says does not hold",
	[MMD_EPATH] = "another device answers",
	[MMD_EREFUSED] = "refused",
	[MMD_ECLOSED] = "unplugged",
	[MMD_EPORT] = "failed",
	[MMD_ESILENT] = "no answer",
};

static int64_t
now_ms(void)
{
	struct mmd_clock c = mmd_posix_clock();

	return c.mono_ms(c.ctx);
}

static bool
split(struct place *p, const char *arg)
{
	const char *eq = strrchr(arg, '=');
	size_t n = eq == NULL ? 0 : (size_t)(eq - arg);

	if (n == 0 || n >= sizeof(p->port) || strlen(eq + 1) == 0 ||
	    strlen(eq + 1) > 64)
		return false;
	memcpy(p->port, arg, n);
	p->name = eq + 1;
	return true;
}

struct wish {
	bool lock;
	struct mmd_bytes config;
};

/* A configuration as a device gets it: 4 bytes of version, the document. */
static bool
read_config(const char *path, struct wish *w)
{
	static uint8_t config[2048];
	FILE *f = fopen(path, "r");

	if (f == NULL)
		return false;
	w->config = (struct mmd_bytes){ config,
		fread(config, 1, sizeof(config), f) };
	return fclose(f) == 0;
}

static void
begin(struct place *p, struct ca *ca, const struct mmd_clock *clock,
    const struct wish *w)
{
	p->io = mmd_posix_io(&p->fd);
	p->conf = (struct mmd_link_conf){ .io = &p->io, .clock = clock,
		.buf = p->buf, .cap = sizeof(p->buf) };
	p->unit.ca = ca;
	p->unit.name = p->name;
	p->unit.lock = w->lock;
	p->unit.config = w->config;
	p->began_ms = now_ms();
	p->rc = mmd_posix_serial(p->port, 0, &p->fd);
	if (p->rc != MMD_OK)
		return;
	p->rc = MMD_MORE;
	unit_begin(&p->unit, &p->conf, (uint64_t)time(NULL));
}

static void
report(const struct place *p)
{
	const struct unit *u = &p->unit;

	printf("{\"name\":\"%s\",\"result\":\"%s\",\"step\":\"%s\"", p->name,
	    rc_words[p->rc] == NULL ? "failed" : rc_words[p->rc],
	    unit_steps[u->step]);
	if (u->why != NULL)
		printf(",\"why\":\"%s\"", u->why);
	if (p->rc == MMD_EREFUSED)
		printf(",\"why\":\"%s\"", unit_refusals[u->link.refusal]);
	printf(",\"certificate\":\"");
	for (size_t i = 0; p->rc == MMD_OK && i < MMD_HASH; i++)
		printf("%02x", u->cert_hash[i]);
	printf("\",\"messages\":%u,\"repeats\":%u,\"ms\":%lld}\n",
	    u->link.sent, u->link.repeats, (long long)p->took_ms);
	(void)fflush(stdout);
}

static unsigned
run_all(struct place *places, size_t n)
{
	unsigned busy = 0;

	for (size_t i = 0; i < n; i++) {
		struct place *p = &places[i];

		if (p->rc != MMD_MORE)
			continue;
		p->rc = unit_run(&p->unit);
		if (p->rc == MMD_MORE) {
			busy++;
			continue;
		}
		p->took_ms = now_ms() - p->began_ms;
		report(p);
		(void)close(p->fd);
	}
	return busy;
}

/* Until a device says something, and no longer than a clock needs. */
static void
wait_any(const struct place *places, size_t n)
{
	struct pollfd p[PLACES];

	for (size_t i = 0; i < n; i++)
		p[i] = (struct pollfd){ .fd = places[i].rc == MMD_MORE ?
			places[i].fd : -1, .events = POLLIN };
	(void)poll(p, n, 20);
}

int
main(int argc, char **argv)
{
	static struct place places[PLACES];
	struct mmd_clock clock = mmd_posix_clock();
	struct ca ca;
	struct wish w = { .lock = true };
	bool ok = true;
	size_t n;
	int c, failed = 0;

	while (ok && (c = getopt(argc, argv, "ug:")) != -1) {
		ok = c == 'u' || (c == 'g' && read_config(optarg, &w));
		w.lock = w.lock && c != 'u';
	}
	n = (size_t)(argc - optind - 1);
	if (!ok || argc - optind < 2 || n > PLACES) {
		fputs("usage: provision [-u] [-g FILE] CA-FOLDER "
		    "PORT=NAME...\n"
		    "  -u  leave the devices unlocked\n"
		    "  -g  a configuration: 4 bytes of version, the document\n",
		    stderr);
		return 2;
	}
	if (!ca_open(&ca, argv[optind])) {
		fputs("provision: the authority's folder\n", stderr);
		return 1;
	}
	for (size_t i = 0; i < n; i++) {
		if (!split(&places[i], argv[optind + 1 + (int)i])) {
			fputs("provision: PORT=NAME\n", stderr);
			return 2;
		}
		begin(&places[i], &ca, &clock, &w);
		if (places[i].rc != MMD_MORE)
			report(&places[i]);
	}
	while (run_all(places, n) > 0)
		wait_any(places, n);
	for (size_t i = 0; i < n; i++)
		failed |= places[i].rc != MMD_OK;
	ca_close(&ca);
	return failed;
}
