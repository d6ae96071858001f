#ifndef MM_STATION_LINE_H
#define MM_STATION_LINE_H

#include "base/child.h"
#include "station/book.h"
#include "station/centre.h"
#include "station/crew.h"
#include "station/driver.h"
#include "station/given.h"
#include "station/mirror.h"
#include "station/own.h"
#include "station/print.h"
#include "station/revoked.h"
#include "station/rows.h"
#include "station/sync.h"

/*
 * The line as one machine: fixtures, the journal, the centre.  It runs in one
 * thread that waits in one place.  For each fixture it does what the state of
 * its unit says (station/unit.h), writes the row of what came of it, and goes
 * on; a row is written before its effect, and is on the disk before an effect
 * that cannot be undone.
 */
struct mm_place {
	unsigned number; /* its slot at the centre */
	const struct mm_fixture_conf *conf;
	struct mm_driver *driver;
	struct mm_unit *unit;     /* NULL: nothing is in it */
	/* What the last unit came to, until the next one begins: */
	enum mm_unit_state ended; /* IDLE: nothing yet */
	enum mm_unit_reason reason;
	char last[MM_DEVICE_ID_MAX + 1];
	char note[160];           /* words for the log */
	int64_t began_ms, took_ms; /* monotonic */
	int64_t step_ms[MM_EFFECTS]; /* that each effect took, last attempt */
	/* The effect under way: */
	bool begun, asked;
	unsigned again; /* times that the device lost what it was told */
	int64_t step_began_ms, retry_ms, away_ms; /* 0: none */
	struct mm_driver_job job;
	struct mm_driver_answer answer;
	/* What it is about: */
	struct mm_unit_said said;
	struct mm_buf csr, cert, chain;
	char cert_serial[40], profile[MM_NAME_MAX + 1];
	uint8_t nonce[MM_DRIVER_RANDOM];
	uint8_t proof[MM_DRIVER_SIG_MAX];
	size_t proof_n;
	bool replayed, known;  /* known: it was confirmed before */
	/* The last step: */
	bool mirrored;
	uint64_t ticket; /* the mirror was asked; 0: not yet */
	char mirror_why[160];
	bool filed;      /* its label's files are there, or none are wanted */
	int64_t turn_ms; /* since then it waits for them, or for the printer;
			  * monotonic */
	uint64_t labels; /* the label that was printed is its n-th; 0: none */
	bool offline; /* the station signs, not the centre */
	/* The centre was asked for it now, once and never before; and its
	 * answer is that it signs no such request whenever it comes. */
	bool asked_once, signs_none;
	struct mm_given given; /* its initial configuration */
	char operator[MM_DEVICE_ID_MAX + 1]; /* who stood there; "" nobody */
	/* The maker's own system is asked before the authority (mes.h). */
	struct mm_child mes;
	enum { MM_MES_UNASKED, MM_MES_ASKED, MM_MES_MAY } mes_is;
};

/* Results that go to the centre: line_told.c. */
struct mm_telling {
	bool news;        /* there may be some */
	bool asked, all;  /* all: nothing else was to be told */
	/* whole: the centre has all entries; scraps: nothing else is told. */
	bool whole, scraps;
	unsigned waiting;  /* scraps whose entries the centre lacks */
	unsigned refused;  /* by the centre, for good */
	char why_refused[200];
	unsigned n, most; /* under way; in one report */
	uint64_t row;     /* the journal's last when it was asked */
	int64_t due_ms;   /* monotonic */
	char batch[MM_NAME_MAX + 1];
};

struct mm_line {
	const struct mm_station_conf *conf;
	struct mm_unit_rules rules;
	struct mm_rows *rows;
	struct mm_book *book;
	struct mm_centre *centre;
	struct mm_own *own; /* offline; NULL: not needed yet */
	bool gives_nothing;    /* conf's batch has no configuration */
	struct mm_crew *crew;  /* who stands there */
	int64_t away_until_ms; /* the centre is not asked before; monotonic */
	struct mm_syncing syncing; /* what goes to it beside the units */
	struct mm_revoking revoking; /* and then news of revocations from it */
	struct mm_why refused, no_news; /* why, the last time; "": they were
					 * not */
	int64_t sync_due_ms;       /* monotonic; 0: not yet looked */
	struct mm_telling telling;
	struct mm_print print;
	struct mm_mirror *mirror; /* NULL: none */
	int64_t copy_due_ms;      /* it is not brought more before; monotonic */
	int64_t stuck_ms;         /* since when it cannot be; 0: it can */
	char stuck_why[160];
	size_t kept;  /* bytes of rows that the journal was begun anew with */
	struct mm_place place[MM_FIXTURES_MOST];
	unsigned nplaces;
	bool accept_clock; /* a supervisor says that it is right, for a unit */
	enum mm_err broken; /* the journal: nothing begins any more */
	struct mm_why why;
	unsigned passed, failed;  /* since the start */
	unsigned interrupted;     /* units that the start found begun */
	/* Each step that was made, for whoever shows it; may be NULL. */
	void (*stepped)(void *ctx, const struct mm_place *p);
	/* What came of a label that was asked for again; may be NULL. */
	void (*printed)(void *ctx, const struct mm_unit *u,
	    enum mm_unit_reason reason);
	void *ctx;
};

/*
 * Opens journal, book and the way to the centre; units that were under way
 * when the station was switched off are interrupted.  fixtures: which of
 * conf's, borrowed.
 */
MM_MUST enum mm_err mm_line_open(struct mm_line *l,
    const struct mm_station_conf *conf,
    const struct mm_fixture_conf *const *fixture, unsigned n,
    struct mm_why *why);
void mm_line_close(struct mm_line *l);
/*
 * A label was scanned for a free place: begins, or says why not: bad-serial,
 * in-work, held, clock, journal, no-operator, no-recipe; what leaves people
 * unknown.
 */
enum mm_unit_reason mm_line_scan(struct mm_line *l, struct mm_place *p,
    const char *serial);
/*
 * Its board has a certificate and is to be taken over: known after all, the
 * unit goes on as if it was scanned; else it ends put aside for a supervisor
 * (adopted), or says why not.
 */
enum mm_unit_reason mm_line_adopt(struct mm_line *l, struct mm_place *p,
    const char *serial);
/* The operator takes it off. */
void mm_line_stop(struct mm_line *l, struct mm_place *p);
/*
 * A supervisor's RELEASE or SCRAP of a unit that nothing is being done to.
 * SCRAP of one that this station's signer signed for and that has not proved
 * its identity gives its place in the share back; MM_EPOLICY: no more of them
 * may be: over does without.  MM_ENOTFOUND, MM_ECONFLICT: not in this state,
 * or what the journal said; MM_EAGAIN: the signer cannot say.
 */
MM_MUST enum mm_err mm_line_decide(struct mm_line *l, const char *serial,
    enum mm_unit_event e, bool over, struct mm_why *why);
/* scrap.c */
MM_MUST enum mm_err mm_line_give_back(struct mm_line *l,
    const struct mm_unit *u, struct mm_why *why);
/* Whether it could be; nothing is done. */
MM_MUST enum mm_err mm_line_may_decide(struct mm_line *l, const char *serial,
    enum mm_unit_event e, struct mm_why *why);
/* Whether that is the serial number of a unit that is made here, or was.
 * Where nobody badges in, whatever is typed is one. */
enum mm_crew_label mm_line_label(const struct mm_line *l, const char *serial);
bool mm_place_busy(const struct mm_place *p);
/* The unit as the journal has it, or as its record says that it was made; a
 * new one, idle, if neither knows it.  l->why says what failed. */
MM_MUST enum mm_err mm_line_find(struct mm_line *l, const char *serial,
    struct mm_unit **out);
/* For who does more to a unit than its steps: writes its new row, on the disk
 * when it returns, and takes it over; or nothing has happened. */
MM_MUST enum mm_err mm_line_write(struct mm_line *l, struct mm_unit *u,
    const struct mm_unit *now);
/*
 * print.c: the label of a unit that has passed once more.  MM_ENOTFOUND: it
 * has not, or there is no printer; MM_ECONFLICT: one is being printed again.
 * printed tells what came of it.
 */
MM_MUST enum mm_err mm_line_print(struct mm_line *l, const char *serial,
    struct mm_why *why);
/* The signer, started when it is needed, and again when it has gone; l->own. */
MM_MUST enum mm_err mm_line_own(struct mm_line *l, struct mm_why *why);
/* mirror_line.c: MM_UR_MIRROR if no unit begins without it, and it is away. */
enum mm_unit_reason mm_line_mirror(const struct mm_line *l);
/* Brings the mirror a little nearer to what was made offline. */
void mm_line_copy(struct mm_line *l);
bool mm_line_prints(const struct mm_line *l);
/* line_sync.c: brings what was made offline to the centre, when it is due, and
 * hears what is revoked of it; a little at a time, and without waiting. */
void mm_line_sync(struct mm_line *l);
/* line_told.c: the row up to which results were told before; whether u's is
 * to be told; tells what is new, without waiting; the rest, for so long at
 * most; u has a new row. */
uint64_t mm_line_told(const struct mm_line *l);
bool mm_line_owes(const struct mm_line *l, const struct mm_unit *u);
void mm_line_tell(struct mm_line *l);
void mm_line_tell_rest(struct mm_line *l, int64_t ms);
void mm_line_note(struct mm_line *l, struct mm_unit *u);
/* Goes on with every place; waits at most ms if there is nothing to do.  more:
 * descriptors that end the waiting, too. */
void mm_line_run(struct mm_line *l, const struct pollfd *more, unsigned n,
    int ms);

#endif
