#ifndef MM_STATION_REASON_H
#define MM_STATION_REASON_H

/*
 * Why a unit did not pass: one table for the screen (what it is, what to do),
 * for the MES (the code, which stays as it is) and for scripts (the exit
 * status).  docs/reference/station.md is printed from it.
 */
enum mm_unit_exit {
	MM_EXIT_PASSED = 0,
	MM_EXIT_STATION = 1,     /* the station itself: stop the line */
	MM_EXIT_REFUSED = 3,     /* the authority says no */
	MM_EXIT_LATER = 7,       /* the same again will do */
	MM_EXIT_BOARD = 20,      /* the board, its cable, its fixture */
	MM_EXIT_SWAPPED = 21,    /* another board than the label says */
	MM_EXIT_SUPERVISOR = 22, /* somebody must look at it first */
};

#define MM_UNIT_REASONS_X(X)                                               \
	X(MM_UR_NONE, "", MM_EXIT_PASSED, "", "")                          \
	X(MM_UR_NO_PORT, "no-port", MM_EXIT_BOARD,                         \
	    "nothing is plugged in at this fixture",                       \
	    "plug the board in and start again")                           \
	X(MM_UR_SILENT, "no-answer", MM_EXIT_BOARD,                        \
	    "the board does not answer",                                   \
	    "check power and cable, then start again")                     \
	X(MM_UR_GARBLED, "bad-line", MM_EXIT_BOARD,                        \
	    "what the board says is damaged on the way",                   \
	    "check the cable or take another fixture, then start again")   \
	X(MM_UR_UNPLUGGED, "unplugged", MM_EXIT_BOARD,                     \
	    "the board was unplugged",                                     \
	    "plug it in and start again: it goes on where it was")         \
	X(MM_UR_SWAPPED, "board-swapped", MM_EXIT_SWAPPED,                 \
	    "another board than the one that was begun with this label",   \
	    "put the right board in, or scan this board's own label")      \
	X(MM_UR_OTHER_BOARD, "other-board", MM_EXIT_SUPERVISOR,            \
	    "this label was used for another board",                       \
	    "put board and label aside for the supervisor")                \
	X(MM_UR_OTHER_KEY, "other-key", MM_EXIT_SUPERVISOR,                \
	    "this label was used with another key: a repaired board?",     \
	    "put it aside for the supervisor")                             \
	X(MM_UR_KEY_GONE, "key-gone", MM_EXIT_SUPERVISOR,                  \
	    "the board has lost the key that it was certified with",       \
	    "put it aside for the supervisor")                             \
	X(MM_UR_CERT_GONE, "certificate-gone", MM_EXIT_SUPERVISOR,         \
	    "the board has lost the certificate that it had proved",       \
	    "put it aside for the supervisor")                             \
	X(MM_UR_KEY_CHANGED, "key-changed", MM_EXIT_BOARD,                 \
	    "the board shows another key than a moment ago",               \
	    "start again; if it stays so, the board is for repair")        \
	X(MM_UR_LOCKED_OTHER, "locked-otherwise", MM_EXIT_SUPERVISOR,      \
	    "the board is locked with another certificate",                \
	    "scan its own label; else put it aside for the supervisor")    \
	X(MM_UR_BOARD, "board-failed", MM_EXIT_BOARD,                      \
	    "the board's storage or crypto failed",                        \
	    "the board is for repair")                                     \
	X(MM_UR_FIRMWARE, "firmware", MM_EXIT_BOARD,                       \
	    "the board's firmware does not know what is asked of it",      \
	    "flash the firmware that the order names, then start again")   \
	X(MM_UR_ROOM, "no-room", MM_EXIT_BOARD,                            \
	    "certificate and configuration do not fit into the board",     \
	    "call the line engineer")                                      \
	X(MM_UR_CONFIG_OLDER, "configuration-older", MM_EXIT_BOARD,        \
	    "the board has a newer configuration than this batch gives",   \
	    "call the line engineer: wrong batch, or erase the board")     \
	X(MM_UR_CONFIG_OTHER, "other-configuration", MM_EXIT_SUPERVISOR,  \
	    "the board was made with another configuration",               \
	    "put it aside for the supervisor")                             \
	X(MM_UR_LIBRARY, "old-library", MM_EXIT_BOARD,                     \
	    "the board's firmware is too old for this batch's short "      \
	    "secrets: its console would let them be guessed",              \
	    "flash newer firmware, then start again; else call the line "  \
	    "engineer")                                                    \
	X(MM_UR_CONFIG, "no-configuration", MM_EXIT_STATION,               \
	    "the batch's configuration for this serial cannot be had",     \
	    "call the line engineer: the log says why")                    \
	X(MM_UR_REQUEST, "bad-request", MM_EXIT_BOARD,                     \
	    "the board's request is not one that its key has signed",      \
	    "start again; if it stays so, the board is for repair")        \
	X(MM_UR_PROOF, "bad-proof", MM_EXIT_BOARD,                         \
	    "the board cannot prove its certificate",                      \
	    "start again; if it stays so, the board is for repair")        \
	X(MM_UR_READ_BACK, "read-back", MM_EXIT_BOARD,                     \
	    "the board holds another certificate than was written",        \
	    "start again; if it stays so, the board is for repair")        \
	X(MM_UR_NOT_LOCKED, "not-locked", MM_EXIT_BOARD,                   \
	    "the board was locked and says that it is not",                \
	    "start again; if it stays so, the board is for repair")        \
	X(MM_UR_DRIVER, "driver-failed", MM_EXIT_BOARD,                    \
	    "the fixture's program failed",                                \
	    "call the line engineer: the log says what it answered")       \
	X(MM_UR_DRIVER_LATE, "driver-late", MM_EXIT_BOARD,                 \
	    "the fixture's program took too long and was ended",           \
	    "start again; if it stays so, call the line engineer")         \
	X(MM_UR_SELFTEST, "selftest-failed", MM_EXIT_BOARD,                \
	    "the fixture's tool or adapter does not work",                 \
	    "call the line engineer: the fixture's self-test says what"    \
	    " is wrong")                                                   \
	X(MM_UR_FILES, "bundle-failed", MM_EXIT_STATION,                   \
	    "the device's files cannot be written or read: is the disk "   \
	    "full?",                                                       \
	    "call the line engineer: the log says why")                    \
	X(MM_UR_SERIAL, "bad-serial", MM_EXIT_REFUSED,                     \
	    "this is no serial number that may be made here",              \
	    "scan the right label")                                        \
	X(MM_UR_OPERATOR, "no-operator", MM_EXIT_REFUSED,                  \
	    "nobody has badged in at this station",                        \
	    "scan your badge, then the label")                             \
	X(MM_UR_IN_WORK, "in-work", MM_EXIT_REFUSED,                       \
	    "this label is being worked on at another fixture",            \
	    "scan the label of the board in this fixture")                 \
	X(MM_UR_REFUSED, "refused", MM_EXIT_REFUSED,                       \
	    "the centre refuses this unit",                                \
	    "call the line engineer: the log has the centre's words")      \
	X(MM_UR_MES, "mes-refused", MM_EXIT_REFUSED,                       \
	    "the factory's own system does not let this unit be made",     \
	    "put it aside; the log has that system's words")               \
	X(MM_UR_MES_AWAY, "mes-away", MM_EXIT_LATER,                       \
	    "the factory's own system does not answer",                    \
	    "start again; if it stays so, call the line engineer")         \
	X(MM_UR_BATCH, "no-batch", MM_EXIT_STATION,                        \
	    "the batch is paused, closed, out of its time or not this "    \
	    "station's",                                                   \
	    "stop the line, call the line engineer")                       \
	X(MM_UR_RECIPE, "no-recipe", MM_EXIT_STATION,                      \
	    "the batch is made by a recipe that is not installed here",    \
	    "stop the line, call the line engineer: station.conf has the " \
	    "recipes")                                                     \
	X(MM_UR_QUOTA, "quota-gone", MM_EXIT_STATION,                      \
	    "as many as were ordered are made",                            \
	    "stop the line: the line engineer has the batch extended")     \
	X(MM_UR_KEY_BAD, "key-compromised", MM_EXIT_SUPERVISOR,            \
	    "this board's key was reported as compromised",                \
	    "put it aside for the supervisor")                             \
	X(MM_UR_KEY_TAKEN, "key-of-another", MM_EXIT_SWAPPED,              \
	    "this board's key is certified under another serial",          \
	    "scan its own label; else put it aside for the supervisor")    \
	X(MM_UR_REVOKED, "revoked", MM_EXIT_SUPERVISOR,                    \
	    "the board's certificate was revoked at the centre",           \
	    "put it aside for the supervisor: it is no good any more")     \
	X(MM_UR_IN_FIELD, "in-the-field", MM_EXIT_SUPERVISOR,              \
	    "this serial has proved its identity with another key",        \
	    "put it aside for the supervisor")                             \
	X(MM_UR_CERT, "bad-certificate", MM_EXIT_REFUSED,                  \
	    "what the centre sent is no certificate of this board",        \
	    "stop the line, call the line engineer")                       \
	X(MM_UR_ANCHOR, "anchor", MM_EXIT_STATION,                         \
	    "the station's anchor, the root's file, cannot be used",       \
	    "stop the line, call the line engineer")                       \
	X(MM_UR_CREDENTIAL, "station-refused", MM_EXIT_STATION,            \
	    "the centre does not accept this station",                     \
	    "stop the line: the station must be enrolled again")           \
	X(MM_UR_AWAY, "centre-away", MM_EXIT_LATER,                        \
	    "the centre cannot be reached",                                \
	    "wait for the network, then start again")                      \
	X(MM_UR_NO_ORDER, "no-order", MM_EXIT_STATION,                     \
	    "this station has no work order",                              \
	    "call the line engineer: import one")                          \
	X(MM_UR_UNSYNCED, "unsynced", MM_EXIT_STATION,                     \
	    "what was made here has not come to the centre for too long",  \
	    "call the line engineer: mintmark-station sync")               \
	X(MM_UR_ORDER, "order", MM_EXIT_REFUSED,                           \
	    "the work order does not let this be made now",                \
	    "call the line engineer: the log says why")                    \
	X(MM_UR_SIGNER, "signer", MM_EXIT_STATION,                         \
	    "this station's signer does not sign",                         \
	    "stop the line, call the line engineer: the log says why")     \
	X(MM_UR_COUNTER, "counter", MM_EXIT_STATION,                       \
	    "this station's quota counter (TPM) does not answer",          \
	    "stop the line, call the line engineer: the log says why")     \
	X(MM_UR_PUT_BACK, "put-back", MM_EXIT_STATION,                     \
	    "this station was put back to an older state",                 \
	    "stop the line, call the line engineer: it makes no more")     \
	X(MM_UR_INTERRUPTED, "interrupted", MM_EXIT_LATER,                 \
	    "the station was switched off meanwhile",                      \
	    "scan the label again: it goes on where it was")               \
	X(MM_UR_STOPPED, "stopped", MM_EXIT_LATER,                         \
	    "it was stopped",                                              \
	    "scan the label again: it goes on where it was")               \
	X(MM_UR_HELD, "held", MM_EXIT_SUPERVISOR,                          \
	    "this unit was put aside, or scrapped",                        \
	    "only a supervisor lets it be tried again")                    \
	X(MM_UR_CLOCK, "clock", MM_EXIT_STATION,                           \
	    "this station's clock is wrong",                               \
	    "have the supervisor set the clock")                           \
	X(MM_UR_RANDOM, "no-random", MM_EXIT_STATION,                      \
	    "this station has no random numbers",                          \
	    "stop the line, call the line engineer")                       \
	X(MM_UR_JOURNAL, "journal", MM_EXIT_STATION,                       \
	    "the station's journal cannot be written: is the disk full?",  \
	    "stop the line; make room on the disk")                        \
	X(MM_UR_RECORD, "record", MM_EXIT_STATION,                         \
	    "the birth record cannot be written: is the disk full?",       \
	    "stop the line; make room on the disk, then start again")      \
	X(MM_UR_MIRROR, "mirror-away", MM_EXIT_LATER,                      \
	    "the second disk that keeps a copy of it is away",             \
	    "put that disk or stick in, then scan again")                  \
	X(MM_UR_PRINTER, "printer-away", MM_EXIT_LATER,                    \
	    "only its label is missing: the printer does not answer",      \
	    "switch the printer on, check its cable, then scan again")     \
	X(MM_UR_PRINTER_STOPS, "printer-stopped", MM_EXIT_LATER,           \
	    "only its label is missing: the printer is out of paper or "   \
	    "ribbon, open or paused",                                      \
	    "see to the printer, then scan again")                         \
	X(MM_UR_LABEL_UNSURE, "label-unsure", MM_EXIT_LATER,               \
	    "the label may have come out, or only a part of it",           \
	    "throw away what came out, then scan again: it is printed "    \
	    "again")                                                       \
	X(MM_UR_ADOPTED, "adopted", MM_EXIT_SUPERVISOR,                    \
	    "the board was taken over: no record here knew its "           \
	    "certificate",                                                 \
	    "put it aside for the supervisor; once released, scan again")  \
	X(MM_UR_NO_CERT, "no-certificate", MM_EXIT_REFUSED,                \
	    "the board has no certificate: nothing is to be taken over",   \
	    "scan its label: it is made like any other")                   \
	X(MM_UR_NONCE, "proof-late", MM_EXIT_LATER,                        \
	    "the board's proof came too late: the signer began anew, or "  \
	    "it took minutes",                                             \
	    "start again: the board proves itself once more")              \
	X(MM_UR_FOREIGN, "foreign-certificate", MM_EXIT_REFUSED,           \
	    "the board's certificate is not one of this batch",            \
	    "put it aside for the supervisor: another batch's, or "        \
	    "another maker's")                                             \
	X(MM_UR_UNKNOWN, "unknown-certificate", MM_EXIT_REFUSED,           \
	    "no record here knows the certificate that the board is "      \
	    "locked with",                                                 \
	    "scan its own label; if it is this one: adopt LABEL")          \
	X(MM_UR_LABEL, "label", MM_EXIT_STATION,                           \
	    "its label cannot be made",                                    \
	    "call the line engineer: the log says why")

enum mm_unit_reason {
#define X(reason, code, exit, what, todo) reason,
	MM_UNIT_REASONS_X(X)
#undef X
	MM_UNIT_REASONS
};

struct mm_unit_reason_text {
	const char *code; /* for machines: it never changes its meaning */
	enum mm_unit_exit exit;
	const char *what, *todo; /* for people */
};
extern const struct mm_unit_reason_text mm_unit_reasons[MM_UNIT_REASONS];
/* The codes alone, as a row of the journal has them. */
extern const char *const mm_unit_reason_codes[MM_UNIT_REASONS];

#endif
