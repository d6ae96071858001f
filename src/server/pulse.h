#ifndef MM_SERVER_PULSE_H
#define MM_SERVER_PULSE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How long a child of the monitor or a warden has given no sign of life.
 *
 * Time counts only while the watcher itself runs, a second or so at a time:
 * one that was stopped, or starved together with its children, does not take
 * its own absence for theirs.  A child that is still starting has
 * MM_PULSE_START times as long: it may have much to read.
 */
enum { MM_PULSE_EVERY_MS = 1000, MM_PULSE_START = 20 };
struct mm_pulse {
	bool beating;
	int64_t silent_ms;
};
void mm_pulse_begin(struct mm_pulse *p);
void mm_pulse_beat(struct mm_pulse *p);
/* passed_ms: since the last call, as the monitor's clock has it. */
void mm_pulse_pass(struct mm_pulse *p, int64_t passed_ms);
/* limit_s: the setting; 0: never. */
bool mm_pulse_lost(const struct mm_pulse *p, int64_t limit_s);

#endif
