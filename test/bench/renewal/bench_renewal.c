/*
 * What a fleet's renewals cost their server, minute by minute: a million
 * devices made in one week, in normal times, after the server was off for two
 * days, and when all of them are to get new certificates within three.
 *
 *	bench_renewal [--devices N] [--svg FILE] [--json]
 *
 * Fails if the busiest hour of normal times has more than one and a half of
 * the mean.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fleet.h"

#define DAY      INT64_C(86400)
#define LIFE     (365 * DAY)
#define SETTLE   (330 * DAY) /* all have been renewed once */
#define PEAK     1.5
#define SCENES   3

struct scene {
	const char *name, *title;
	struct fleet_load load;
	uint32_t left; /* not renewed at its end */
};

struct options {
	uint32_t devices;
	const char *svg;
	bool json;
};

static bool
take_options(int argc, char **argv, struct options *o)
{
	*o = (struct options){ .devices = 1000000 };
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			o->json = true;
		else if (strcmp(argv[i], "--svg") == 0 && i + 1 < argc)
			o->svg = argv[++i];
		else if (strcmp(argv[i], "--devices") == 0 && i + 1 < argc)
			o->devices = (uint32_t)strtoul(argv[++i], NULL, 10);
		else
			return false;
	}
	return o->devices > 0;
}

/* ---- scenes ---- */

static bool
outage(const struct fleet *normal, struct scene *s)
{
	struct fleet *f = fleet_copy(normal);

	if (f == NULL)
		return false;
	fleet_off(f, true);
	fleet_run(f, 2 * DAY, NULL);
	fleet_off(f, false);
	fleet_run(f, 7 * DAY, &s->load);
	fleet_free(f);
	return true;
}

static bool
rekey(const struct fleet *normal, struct scene *s)
{
	struct fleet *f = fleet_copy(normal);

	if (f == NULL)
		return false;
	fleet_pull(f, 3 * DAY);
	fleet_run(f, 7 * DAY, &s->load);
	s->left = fleet_unpulled(f);
	fleet_free(f);
	return true;
}

static bool
play(const struct options *o, struct scene s[SCENES])
{
	const struct fleet_of of = { o->devices, LIFE, 7 * DAY };
	struct fleet *f = fleet_new(&of);
	bool ok = f != NULL;

	if (!ok)
		return false;
	fleet_run(f, SETTLE, NULL);
	fleet_run(f, 30 * DAY, &s[0].load);
	ok = outage(f, &s[1]) && rekey(f, &s[2]);
	fleet_free(f);
	return ok;
}

/* ---- words ---- */

static void
print_scene(const struct scene *s, bool json)
{
	const struct fleet_load *l = &s->load;

	printf(json ? "{\"scene\":\"%s\",\"days\":%.0f,\"mean\":%.1f,"
	    "\"peak_hour\":%.1f,\"peak_minute\":%.0f,\"ratio_hour\":%.3f,"
	    "\"ratio_minute\":%.3f,\"renewals\":%" PRIu64 ",\"left\":%" PRIu32
	    ",\"expired\":%" PRIu32 "}\n"
	    : "%-8s %3.0f days: %6.1f requests a minute, %6.1f in the busiest "
	    "hour, %5.0f in the busiest minute (%.2f and %.2f of the mean); "
	    "%" PRIu64 " renewals, %" PRIu32 " left, %" PRIu32 " expired\n",
	    s->name, (double)(l->end_s - l->start_s) / DAY, l->mean,
	    l->peak_hour, l->peak_minute, l->peak_hour / l->mean,
	    l->peak_minute / l->mean, l->renewals, s->left, l->expired);
}

enum { WIDE = 760, HIGH = 150, LEFT = 70, GAP = 50 };

static void
draw_scene(FILE *f, const struct scene *s, int top)
{
	const struct fleet_load *l = &s->load;
	double most = l->peak_hour * 1.1, x, y;

	fprintf(f, "<text x=\"%d\" y=\"%d\">%s</text>\n", LEFT, top - 8,
	    s->title);
	fprintf(f, "<path d=\"M%d %dV%dH%d\" class=\"axis\"/>\n", LEFT, top,
	    top + HIGH, LEFT + WIDE);
	y = top + HIGH - l->mean / most * HIGH;
	fprintf(f, "<path d=\"M%d %.1fh%d\" class=\"mean\"/>\n", LEFT, y,
	    WIDE);
	fprintf(f, "<text x=\"%d\" y=\"%.1f\" class=\"r\">mean %.0f</text>\n",
	    LEFT - 4, y + 4, l->mean);
	fprintf(f, "<text x=\"%d\" y=\"%d\" class=\"r\">%.0f</text>\n",
	    LEFT - 4, top + 4, most);
	fputs("<polyline points=\"", f);
	for (size_t i = 0; i < l->hours; i++) {
		x = LEFT + (double)i * WIDE / (double)l->hours;
		y = top + HIGH - (double)l->hour[i] / most * HIGH;
		fprintf(f, "%.1f,%.1f ", x, y);
	}
	fprintf(f, "\"/>\n<text x=\"%d\" y=\"%d\" class=\"r\">%.0f days"
	    "</text>\n", LEFT + WIDE, top + HIGH + 16,
	    (double)(l->end_s - l->start_s) / DAY);
}

static bool
draw(const char *path, const struct scene s[SCENES])
{
	int high = SCENES * (HIGH + GAP) + 30;
	FILE *f = fopen(path, "w");

	if (f == NULL)
		return false;
	fprintf(f, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" "
	    "height=\"%d\" font-family=\"sans-serif\" font-size=\"12\">\n"
	    "<style>polyline{fill:none;stroke:#1f6feb}.axis{fill:none;stroke:"
	    "#555}.mean{stroke:#d1242f;stroke-dasharray:4}.r{text-anchor:end}"
	    "</style>\n<rect width=\"100%%\" height=\"100%%\" "
	    "fill=\"#fff\"/>\n", LEFT + WIDE + 20, high);
	for (int i = 0; i < SCENES; i++)
		draw_scene(f, &s[i], 30 + i * (HIGH + GAP));
	fputs("</svg>\n", f);
	return fclose(f) == 0;
}

int
main(int argc, char **argv)
{
	struct scene s[SCENES] = {
		{ .name = "normal", .title = "Normal times, requests a minute "
		    "by hours" },
		{ .name = "outage", .title = "After the server was off for "
		    "two days" },
		{ .name = "re-key", .title = "All certificates to be renewed "
		    "within three days" },
	};
	struct options o;
	bool flat;

	if (!take_options(argc, argv, &o) || !play(&o, s)) {
		fputs("usage: bench_renewal [--devices N] [--svg FILE] "
		    "[--json]\n", stderr);
		return 2;
	}
	for (int i = 0; i < SCENES; i++)
		print_scene(&s[i], o.json);
	if (o.svg != NULL && !draw(o.svg, s)) {
		perror(o.svg);
		return 1;
	}
	flat = s[0].load.peak_hour <= PEAK * s[0].load.mean;
	for (int i = 0; i < SCENES; i++)
		fleet_load_done(&s[i].load);
	return flat ? 0 : 1;
}
