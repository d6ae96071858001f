#include <string.h>

#include "base/time.h"
#include "cli/cmd.h"

enum { BAR = 24, FIRST_MS = 1000, EVERY_MS = 100 };

/* see cmd.h */
void
mm_progress_begin(struct mm_progress *p, const struct mm_cli *cli,
    const char *what, unsigned long long total)
{
	*p = (struct mm_progress){
		.what = what, .total = total, .began_ms = mm_mono_ms(),
		.on = cli->tty && !cli->quiet,
	};
}

/* "[###...] " in the room that the line has; a line that breaks could not be
 * drawn over. */
static void
put_bar(const struct mm_progress *p, int numbers, char bar[BAR + 4])
{
	int room = mm_term_width(stderr) - 1 - (int)strlen(p->what) -
	    numbers - 4;
	int n = room < BAR ? room : BAR;
	int full;

	bar[0] = '\0';
	if (p->total == 0 || n < 4)
		return;
	full = p->done < p->total ? (int)(p->done * n / p->total) : n;
	bar[0] = '[';
	for (int i = 0; i < n; i++)
		bar[i + 1] = i < full ? '#' : '.';
	strcpy(bar + n + 1, "] ");
}

static void
draw(struct mm_progress *p, long long now)
{
	double s = (double)(now - p->began_ms) / 1000.0;
	double rate = s > 0 ? (double)p->done / s : 0;
	char numbers[96], bar[BAR + 4];
	int n;

	if (p->total != 0)
		snprintf(numbers, sizeof(numbers),
		    "%llu/%llu  %.0f/s  %.0f s left", p->done, p->total, rate,
		    rate > 0 ? (double)(p->total - p->done) / rate : 0);
	else
		snprintf(numbers, sizeof(numbers), "%llu  %.0f/s  %.0f s",
		    p->done, rate, s);
	put_bar(p, (int)strlen(numbers), bar);
	/* what is left of a longer line before it is written over */
	n = snprintf(NULL, 0, "%s %s%s", p->what, bar, numbers);
	fprintf(stderr, "\r%s %s%s%*s", p->what, bar, numbers,
	    p->shown > n ? p->shown - n : 0, "");
	p->shown = n;
	p->drawn_ms = now;
	p->drawn = true;
}

/* see cmd.h */
void
mm_progress_step(struct mm_progress *p, unsigned long long done)
{
	long long now;

	p->done = done;
	if (!p->on)
		return;
	now = mm_mono_ms();
	if (now - p->began_ms >= FIRST_MS && now - p->drawn_ms >= EVERY_MS)
		draw(p, now);
}

/* see cmd.h */
void
mm_progress_end(struct mm_progress *p)
{
	if (!p->drawn)
		return;
	draw(p, mm_mono_ms());
	fputc('\n', stderr);
}
