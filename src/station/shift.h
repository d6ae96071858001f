#ifndef MM_STATION_SHIFT_H
#define MM_STATION_SHIFT_H

#include "base/json.h"
#include "station/line.h"
#include "station/sync.h"

/*
 * The line as people and programs beside it see it: fixtures and what is in
 * them, what was typed or scanned, what came of it, and sums over it.  All of
 * it belongs to the line's one thread; whoever shows it (text, terminal,
 * screen, API) is an ear that is told each thing as it happens.
 */

/* Why nothing was begun: a code for programs, words for people. */
#define MM_NOS_X(X)                                                            \
	X(MM_NO_NONE, "", "")                                                  \
	X(MM_NO_FREE, "no-fixture-free",                                       \
	    "no fixture is free: take a board out, or plug one in")            \
	X(MM_NO_BUSY, "fixture-busy",                                          \
	    "this fixture is at work: wait for PASS or FAIL")                  \
	X(MM_NO_FIXTURE, "no-such-fixture", "there is no such fixture")        \
	X(MM_NO_GANG, "bad-count", "want LABEL+N, with N of 1 to 32")          \
	X(MM_NO_COUNT, "no-number", "this label has no number that counts on") \
	X(MM_NO_LABEL, "no-label", "that is no label")                         \
	X(MM_NO_PRINTER, "no-printer", "this station has no label printer")    \
	X(MM_NO_PRINTING, "printer-busy",                                      \
	    "another label is being printed again: wait a moment")             \
	X(MM_NO_PASSED, "not-passed",                                          \
	    "no label: this unit has not passed here")                         \
	X(MM_NO_EXTENSION, "bad-extension",                                    \
	    "this extends no work order of this station")                      \
	X(MM_NO_SUPERVISOR, "needs-supervisor",                                \
	    "a supervisor decides that: scan that badge first")                \
	X(MM_NO_PEOPLE, "no-people",                                           \
	    "nobody has a badge here: the line engineer decides, by "          \
	    "mintmark-station release or scrap")                               \
	X(MM_NO_REASON, "no-reason", "say why, behind it")                     \
	X(MM_NO_OVER, "over-allowance",                                        \
	    "no more may be scrapped within the allowance: scrap it over "       \
	    "the allowance")                                                     \
	X(MM_NO_DECIDE, "not-decided",                                         \
	    "nothing is to be decided of this unit")                           \
	X(MM_NO_WORD, "no-such-word", "want !release, !scrap, !scrap-over, !clock or !out") \
	X(MM_NO_LONG, "reason-too-long",                                       \
	    "the reason is too long: say it in fewer words")                   \
	X(MM_NO_KEPT, "not-kept",                                              \
	    "nothing can be kept: call the line engineer")                     \
	X(MM_NO_ROOM, "too-fast",                                              \
	    "too much at a time, or too many wrong badges: scan it again")     \
	X(MM_NO_REFUSED, "refused", "this unit is not begun")

enum mm_no {
#define X(no, code, text) no,
	MM_NOS_X(X)
#undef X
	    MM_NOS
};
struct mm_no_text {
	const char *code, *text;
};
extern const struct mm_no_text mm_nos[MM_NOS];

enum mm_said_kind {
	MM_SAID_STEP,    /* a unit goes on */
	MM_SAID_UNIT,    /* a unit is over: place says how */
	MM_SAID_BOARD,   /* a board came (there) or went */
	MM_SAID_REFUSED, /* serial was not begun at place, for reason */
	MM_SAID_LABEL,   /* serial's label was printed again, or reason */
	MM_SAID_ORDER,   /* the work order has more units or more time */
	MM_SAID_NO,      /* what was typed leads to nothing */
	MM_SAID_DECIDED, /* a supervisor decided of serial */
	MM_SAID_CREW,    /* somebody badged in, or out */
	MM_SAID_SUMS,    /* only what stands beside the fixtures changed */
};
struct mm_said {
	enum mm_said_kind kind;
	const struct mm_place *place; /* NULL: NO, SUMS */
	bool there;
	const char *serial;
	enum mm_unit_reason reason;
	enum mm_no no;
};

/* A unit that did not pass. */
struct mm_shift_failure {
	int64_t at_ms; /* the clock's */
	char device[MM_DEVICE_ID_MAX + 1], fixture[MM_NAME_MAX + 1];
	enum mm_unit_reason reason;
};
#define MM_SHIFT_FAILURES 8
#define MM_SHIFT_TOOK     1024
#define MM_SHIFT_EARS     4
#define MM_SHIFT_TYPED    4096 /* bytes that wait at a door */
#define MM_SHIFT_LINE     256  /* one of them, with its end */

/* Lines that came in at a door, in their order: the first may be a badge, and
 * is compared; all of them are wiped. */
struct mm_shift_typed {
	char text[MM_SHIFT_TYPED];
	size_t n;
	uint64_t ticket; /* of the first; 0: not asked yet */
};

struct mm_shift;
typedef void mm_shift_ear_fn(
    void *ctx, const struct mm_shift *s, const struct mm_said *what);

struct mm_results_sum { /* mes.h's, for who looks */
	bool tells;       /* somebody is told */
	bool failing;     /* the oldest was not taken when it was last told */
	uint64_t waiting, refused;
};

struct mm_shift {
	struct mm_line line;
	struct mm_results_sum results;
	bool there[MM_FIXTURES_MOST]; /* plugged in, as last looked */
	bool gone[MM_FIXTURES_MOST];  /* its last unit's board was taken out */
	struct mm_shift_failure failure[MM_SHIFT_FAILURES];
	unsigned nfailures; /* in all; the newest is at (n - 1) % 8 */
	/* Sums: */
	int64_t first_ms;    /* of the first label; 0: none; monotonic */
	unsigned minute[60]; /* passed, by minute */
	int64_t minute_at;   /* the newest of them */
	int32_t took_ms[MM_SHIFT_TOOK];
	unsigned ntook;
	/* What may still be made; -1: not known. */
	int64_t left, of;
	char level[MM_NAME_MAX + 1]; /* of the counter; "" the centre's */
	enum mm_unit_reason stopped_for; /* NONE: it signs */
	char stopped[161];           /* the signer's words for it */
	struct mm_unsynced unsynced;
	bool syncs;                  /* it is known */
	uint64_t sync_have, sync_of; /* entries, when that was counted */
	int64_t sync_ms;             /* last looked; monotonic */
	bool sync_late;              /* as last told */
	int64_t late_ms;             /* that was looked at; monotonic */
	enum mm_unit_reason stopped_was;
	enum mm_mirror_is mirror_was;
	bool own_stale;              /* the signer would say something else */
	int64_t own_asked_ms;        /* it, last; monotonic */
	int64_t asked_ms;            /* the centre, last; monotonic */
	bool asking;
	enum mm_centre_is centre_was;
	int64_t looked_ms;
	uint64_t changes; /* grows with each thing told */
	struct mm_shift_typed typed[MM_DOORS];
	struct {
		mm_shift_ear_fn *hear;
		void *ctx;
	} ear[MM_SHIFT_EARS];
	unsigned nears;
};

MM_MUST enum mm_err mm_shift_open(
    struct mm_shift *s, const struct mm_station_conf *conf, struct mm_why *why);
/* Takes off whatever is being done. */
void mm_shift_stop(struct mm_shift *s);
void mm_shift_close(struct mm_shift *s);
void mm_shift_tell(struct mm_shift *s, const struct mm_said *what);
void mm_shift_listen(struct mm_shift *s, mm_shift_ear_fn *hear, void *ctx);
/* Goes on with all of it; waits at most ms, or until one of more is ready. */
void mm_shift_run(
    struct mm_shift *s, const struct pollfd *more, unsigned n, int ms);
/* Looks at once which boards are there, and tells all. */
void mm_shift_look(struct mm_shift *s);
bool mm_shift_busy(const struct mm_shift *s);

/*
 * typed.c: what was typed or scanned at a door, a line without its end; what
 * becomes of it the ears are told, at once, or when whose badge it is has been
 * found.  false: too much waits there, or there were too many wrong badges.
 */
bool mm_shift_type(struct mm_shift *s, enum mm_crew_door door,
    const char *text);
/* Whether there is room for a line's n bytes. */
bool mm_shift_takes(const struct mm_shift *s, enum mm_crew_door door,
    size_t n);
/* Something waits there. */
bool mm_shift_typing(const struct mm_shift *s, enum mm_crew_door door);
void mm_shift_go_on_typing(struct mm_shift *s);
/* labels.c: a line that is no badge; and whether that is certain: of a unit
 * that is made here, by its serial number. */
void mm_shift_label(struct mm_shift *s, const char *text);
bool mm_shift_is_label(struct mm_shift *s, const char *text);
/*
 * Begins a unit at the fixture of that name ("" the first free one).  *place:
 * where, if there is one; MM_NO_REFUSED: *reason says why.  The ears are told
 * all of it.
 */
enum mm_no mm_shift_scan(struct mm_shift *s, const char *fixture,
    const char *serial, struct mm_place **place, enum mm_unit_reason *reason);
/* The same, of a board that is to be taken over: mm_line_adopt. */
enum mm_no mm_shift_adopt(struct mm_shift *s, const char *fixture,
    const char *serial, struct mm_place **place, enum mm_unit_reason *reason);
/* The label of a unit that has passed, once more; the ears are told. */
enum mm_no mm_shift_print(struct mm_shift *s, const char *serial);
/* A line that extends the work order goes to the signer; the ears are told. */
enum mm_no mm_shift_extend(struct mm_shift *s, const char *line);
struct mm_place *mm_shift_place(struct mm_shift *s, const char *fixture);

/* words.c: a supervisor's decision, on the disk with its reason before it is
 * made; as mm_line_decide and mm_crew_decide. */
MM_MUST enum mm_err mm_shift_decide(struct mm_shift *s, const char *serial,
    enum mm_unit_event e, const struct mm_crew_decision *d,
    struct mm_why *why);
/* Whether it is one of theirs, "!" and all. */
bool mm_shift_is_word(const char *text);
/* A word of theirs, without its "!". */
void mm_shift_word(struct mm_shift *s, enum mm_crew_door door,
    const char *text);

/* sums.c */
void mm_sums_take(struct mm_shift *s, const struct mm_place *p);
/* -1: none has passed yet. */
int64_t mm_sums_per_hour(const struct mm_shift *s);
int64_t mm_sums_p99_ms(const struct mm_shift *s);
/* Asks the centre, or the station's signer, now and then. */
void mm_sums_ask(struct mm_shift *s);

/* next.c: what the person at the line does next, and where (NULL: anywhere) */
enum mm_next {
	MM_NEXT_STOP, /* nothing is made any more */
	MM_NEXT_BADGE, /* scan one: nobody is badged in */
	MM_NEXT_SEE,  /* to a unit that failed */
	MM_NEXT_SCAN,
	MM_NEXT_OUT, /* take a board out that passed */
	MM_NEXT_WAIT,
	MM_NEXT_INSERT, /* put a board in */
	MM_NEXTS
};
enum mm_next mm_shift_next(
    const struct mm_shift *s, const struct mm_place **place);
const char *mm_next_name(enum mm_next next);
/* The centre was without them for more than half as long as it may be. */
bool mm_shift_sync_late(const struct mm_shift *s);
/* Why no unit is made any more; NONE: they are. */
enum mm_unit_reason mm_shift_stopped(const struct mm_shift *s);

/* shift_json.c: all of it, as the screen and the API show it. */
void mm_shift_json(const struct mm_shift *s, struct mm_buf *out);
/* The array of the fixtures alone. */
void mm_shift_put_fixtures(
    struct mm_json *j, const struct mm_shift *s, const char *key);
/* operator and supervisor: ids, or null; and whether somebody must be there. */
void mm_shift_put_crew(struct mm_json *j, const struct mm_shift *s);
/* Its program's self-test failed: no label goes to it by itself. */
bool mm_shift_ill(const struct mm_place *p);
/* What a tile says of a place: a word that never changes its meaning. */
const char *mm_shift_tile(const struct mm_shift *s, unsigned place);

#endif
