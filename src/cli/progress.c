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

static void
draw(struct mm_progress *p, long long now)
{
	double s = (double)(now - p->began_ms) / 1000.0;
	double rate = s > 0 ? (double)p->done / s : 0;
	int full = p->total ? (int)(p->done * BAR / p->total) : 0;
	char bar[BAR + 1];

	for (int i = 0; i < BAR; i++)
		bar[i] = i < full ? '#' : '.';
	bar[BAR] = '\0';
	if (p->total != 0)
		fprintf(stderr, "\r%s [%s] %llu/%llu  %.0f/s  %.0f s left ",
		    p->what, bar, p->done, p->total, rate,
		    rate > 0 ? (double)(p->total - p->done) / rate : 0);
	else
		fprintf(stderr, "\r%s %llu  %.0f/s  %.0f s ", p->what,
		    p->done, rate, s);
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
