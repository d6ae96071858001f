#ifndef MM_STATION_CREW_PRIV_H
#define MM_STATION_CREW_PRIV_H

#include "station/chore.h"
#include "station/crew.h"
#include "station/guess.h"
#include "work/serials.h"

/* crew.c: badges and decisions; crew_people.c: whom a batch names. */
enum { MM_CREW_SETS = 2, MM_CREW_BADGE_MAX = 130, MM_CREW_ANSWERS = 16 };

struct mm_crew_set { /* of one batch: a salt serves all */
	uint8_t salt[16];
	struct mm_work_person person[MM_WORK_PEOPLE_MAX];
	size_t n;
};

/* A text that is compared, beside the line's thread. */
struct mm_crew_job {
	uint64_t ticket;
	enum mm_crew_door door;
	uint8_t text[MM_CREW_BADGE_MAX];
	size_t text_n;
	struct mm_crew_hash {
		uint8_t salt[16], hash[32];
		bool done;
	} of[MM_CREW_SETS];
	size_t n;
};

struct mm_crew_answer {
	uint64_t ticket;
	struct mm_crew_badge badge; /* "": nobody's */
};

struct mm_crew {
	const struct mm_station_conf *conf;
	struct mm_crew_set set[MM_CREW_SETS];
	size_t n;
	/* Whose serial numbers are known to be labels; blind: there are others
	 * that are not known. */
	struct mm_serials run[MM_CREW_SETS];
	size_t runs;
	bool blind;
	/* What the batch is made by, as the centre and the order say; "". */
	char recipe[MM_NAME_MAX + 1], order_recipe[MM_NAME_MAX + 1];
	/* Likewise; none: it says nothing of them. */
	struct mm_crew_rules {
		bool are;
		struct mm_unit_rules rules;
	} rules, order_rules;
	enum mm_unit_reason unknown; /* why; NONE: who they are is known */
	bool asking;
	int64_t ask_ms;   /* the centre, not before; monotonic */
	int64_t again_ms; /* and then after */
	char operator[MM_DEVICE_ID_MAX + 1];
	char supervisor[MM_DEVICE_ID_MAX + 1];
	enum mm_crew_door supervisor_door;
	int64_t operator_ms, supervisor_ms; /* until; monotonic */
	struct mm_chore *chore; /* NULL: nothing was compared yet */
	struct mm_crew_job job;
	uint64_t asked, answered; /* tickets */
	struct mm_crew_answer answer[MM_CREW_ANSWERS];
	struct mm_guess guess[MM_DOORS];
};

/* What conf's batch, and the order, say of their people. */
MM_MUST enum mm_err mm_crew_people(struct mm_crew *c, struct mm_centre *centre,
    bool waits, struct mm_why *why);

#endif
