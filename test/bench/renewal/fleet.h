#ifndef BENCH_FLEET_H
#define BENCH_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A fleet of devices and their server, simulated over the code that really
 * decides: core/window.h on the server, agent/pace.h in each device.  Only
 * time, network and signatures are played; a device's certificate is when it
 * began.
 *
 * A visit is one request, and four more when it renews (cacerts, reenrolment,
 * confirmation, receipt).  Time begins with the first device that is made.
 */
struct fleet_of {
	uint32_t devices;
	int64_t life_s; /* of a certificate */
	int64_t made_s; /* the devices are made within it, evenly */
};

/* What one stretch of time saw. */
struct fleet_load {
	uint64_t requests, renewals, refused; /* refused: the server was off */
	uint32_t expired;           /* devices whose certificate ended */
	double mean;                /* requests a minute */
	double peak_minute, peak_hour; /* a minute's, in the busiest of them */
	int64_t start_s, end_s;
	/* Of each hour: requests a minute.  Freed by fleet_load_done. */
	float *hour;
	size_t hours;
};
void fleet_load_done(struct fleet_load *l);

struct fleet;
struct fleet *fleet_new(const struct fleet_of *of); /* NULL: no memory */
struct fleet *fleet_copy(const struct fleet *f);
void fleet_free(struct fleet *f);
/* Goes on for so long; load may be NULL. */
void fleet_run(struct fleet *f, int64_t for_s, struct fleet_load *load);
/* Nobody answers from now on, or somebody does again. */
void fleet_off(struct fleet *f, bool off);
/* An operator has all that is out now renewed within so long. */
void fleet_pull(struct fleet *f, int64_t within_s);
/* How many devices have what was out when it was pulled. */
uint32_t fleet_unpulled(const struct fleet *f);

#endif
