#ifndef PAIR_H
#define PAIR_H

#include "board.h"
#include "mmd_link.h"

/*
 * A device and a station on one line, in one program and in a time of their
 * own: a millisecond passes when neither has anything to do.  What goes
 * between them can be damaged, held back, and mixed with other text; and the
 * device's power can go.
 */
#define PAIR_LINE 65536

struct pair_wire {
	uint8_t p[PAIR_LINE];
	size_t from, to;
	uint64_t carried, taken;
};

struct pair {
	struct board board;
	struct mmd_link_conf conf; /* of the station's link */
	struct mmd_io host, device;
	struct mmd_clock clock;
	int64_t now_ms;
	struct pair_wire down, up; /* to the device, to the station */
	/* Of a million bytes, how many are set to anything. */
	uint32_t noise_ppm;
	uint64_t random; /* state of what is random here; seeds it */
	bool chatters;   /* the device's firmware logs between its answers */
	bool deaf;       /* the device does not run */
	int64_t off_ms;  /* how long the device stays off after a cut */
	uint32_t lasts;  /* power goes again after up to so many bytes; 0: no */
	unsigned cuts;   /* of power, so far */
	uint64_t power_on_ms, moved;
	uint8_t buf[MMD_LINK_BUF];
	char path[64];
};

/* A blank device "SIM-0001". */
void pair_init(struct pair *p);
void pair_done(struct pair *p);
/* As new, and the line is quiet. */
void pair_blank(struct pair *p);
/* A round of the device and a tick of the clock. */
void pair_step(struct pair *p);
uint32_t pair_random(struct pair *p);
/* Puts bytes on the line to the station as if the device had. */
void pair_say(struct pair *p, const void *v, size_t n);
/* Runs the link until it is not MMD_MORE, for at most so long. */
enum mmd_rc pair_run(struct pair *p, struct mmd_link *l, int64_t most_ms);

#endif
