#ifndef MM_STATION_DRIVER_H
#define MM_STATION_DRIVER_H

#include <poll.h>

#include "base/buf.h"
#include "station/conf.h"
#include "station/unit.h"

/*
 * A fixture's way to the device in it.  A driver does one effect at a time and
 * waits for nothing: run is called when its descriptor is ready, and every 20
 * ms.  That it is done says what the device answered, and no more: what it is
 * worth is judged by who asked (station/steps.h).
 */
#define MM_DRIVER_DER_MAX 8192
#define MM_DRIVER_SIG_MAX 512
#define MM_DRIVER_RANDOM  32

/* What goes with an effect; borrowed until it is done. */
struct mm_driver_job {
	enum mm_unit_effect effect;
	const char *serial;
	const char *recipe; /* exec: that the batch names; NULL, "": none */
	int64_t now_s;
	uint8_t random[MM_DRIVER_RANDOM]; /* KEY: stirred in; PROVE: nonce */
	struct mm_bytes cert, chain, conf; /* PUT, COMMIT: DER, in a row */
	uint8_t bundle_hash[32], cert_hash[32];
	/* COMMIT: for boards that take a salt; NULL: none */
	const uint8_t *salt;
	uint8_t salted_hash[32]; /* then in place of bundle_hash */
};

struct mm_driver_answer {
	struct mm_unit_said said; /* HELLO, READ_BACK, CHECK */
	uint8_t der[MM_DRIVER_DER_MAX]; /* KEY: public key; CSR: request;
					 * PROVE: signature; GET: its
					 * certificate and chain, in a row */
	size_t der_n;
	size_t cert_n; /* GET: where the chain begins */
};

enum mm_driver_got {
	MM_DRIVER_WAIT,
	MM_DRIVER_DONE,
	MM_DRIVER_AGAIN, /* COMMIT: put once more */
	MM_DRIVER_FAILED /* *reason says why, note has words for the log */
};

struct mm_driver;
struct mm_driver_class {
	const char *name;
	/* NULL: no memory. */
	struct mm_driver *(*new)(const struct mm_fixture_conf *conf);
	/* Opens the way for one unit; WAIT: another program has it, and begin
	 * waits for that. */
	enum mm_driver_got (*open)(struct mm_driver *d,
	    enum mm_unit_reason *reason);
	void (*begin)(struct mm_driver *d, const struct mm_driver_job *job);
	enum mm_driver_got (*run)(struct mm_driver *d,
	    struct mm_driver_answer *out, enum mm_unit_reason *reason);
	struct pollfd (*wish)(const struct mm_driver *d); /* fd -1: none */
	/* Whether there is something at it, between units; NULL: as
	 * mm_fixture_port says, which waits for nothing. */
	bool (*there)(struct mm_driver *d);
	/* Asks it whether it works; NULL: there is nothing to ask.  False: it
	 * is not answered yet. */
	bool (*ask)(struct mm_driver *d);
	/* Gives up what is being done, and the way. */
	void (*close)(struct mm_driver *d);
	void (*free)(struct mm_driver **owner);
};
extern const struct mm_driver_class mm_driver_serial, mm_driver_exec,
    mm_driver_files;

/* What a fixture's own program says of itself, before a board is in it. */
enum mm_selftest_is {
	MM_SELFTEST_UNASKED,
	MM_SELFTEST_SILENT, /* it does not know the question */
	MM_SELFTEST_WORKS,
	MM_SELFTEST_FAILED, /* for reason; note has its words */
};
struct mm_selftest {
	enum mm_selftest_is is;
	enum mm_unit_reason reason;
	char note[160], tool[64], version[64]; /* printable ASCII */
};

/* What every driver begins with. */
struct mm_driver {
	const struct mm_driver_class *class;
	const struct mm_fixture_conf *conf;
	const struct mm_recipe_conf *recipe; /* of the batch; NULL: none */
	char note[160]; /* of the last failure; "" nothing to add */
	struct mm_selftest test;
};

/* Of the kind that the fixture's configuration names. */
MM_MUST enum mm_err mm_driver_new(const struct mm_fixture_conf *conf,
    struct mm_driver **out, struct mm_why *why);
void mm_driver_free(struct mm_driver **owner);
bool mm_driver_there(struct mm_driver *d);
/* From the next unit on; asked anew whether it works, if it has no program of
 * its own.  False: then it has none at all. */
bool mm_driver_cook(struct mm_driver *d, const struct mm_recipe_conf *recipe);
struct mm_json;
/* selftest.c: the field "selftest", and of what it failed; nothing if it was
 * not asked. */
void mm_selftest_json(struct mm_json *j, const struct mm_selftest *t);

#endif
