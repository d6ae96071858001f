#include <stdio.h>

#include "station/catalogue.h"
#include "station/web_priv.h"

#define CALL(method, pattern, body, call)                                   \
	{                                                                   \
		method, "/api/v1/" pattern, body, 0, mm_web_handle, &(call) \
	}

/* Made of the files in screen/ when the program is built. */
extern const char mm_screen_index_html[], mm_screen_screen_css[],
    mm_screen_screen_js[], mm_screen_draw_js[], mm_screen_feed_js[],
    mm_screen_scanner_js[], mm_screen_texts_js[], mm_screen_icon_svg[];

#define FILE_(path, type, text)                       \
	{                                             \
		MM_HTTP_GET, path, 0, 0, mm_web_file, \
		    &(const struct mm_web_file)       \
		{                                     \
			type, text                    \
		}                                     \
	}
#define HTML "text/html; charset=utf-8"
#define CSS  "text/css; charset=utf-8"
#define JS   "text/javascript; charset=utf-8"
#define JSON "application/json"
#define SVG  "image/svg+xml"

/* see web_priv.h */
const struct mm_http_route mm_web_routes[] = {
	CALL(MM_HTTP_GET, "status", 0, mm_call_status),
	CALL(MM_HTTP_GET, "fixtures", 0, mm_call_fixtures),
	CALL(MM_HTTP_POST, "fixtures/:/stop", MM_WEB_BODY, mm_call_stop),
	CALL(MM_HTTP_POST, "units", MM_WEB_BODY, mm_call_start),
	CALL(MM_HTTP_GET, "units/:", 0, mm_call_unit),
	CALL(MM_HTTP_POST, "units/:/adopt", MM_WEB_BODY, mm_call_adopt),
	CALL(MM_HTTP_POST, "units/:/release", MM_WEB_BODY, mm_call_release),
	CALL(MM_HTTP_POST, "units/:/scrap", MM_WEB_BODY, mm_call_scrap),
	CALL(MM_HTTP_POST, "units/:/scrap-over", MM_WEB_BODY,
	    mm_call_scrap_over),
	CALL(MM_HTTP_POST, "badge", MM_WEB_BODY, mm_call_badge),
	CALL(MM_HTTP_POST, "scan", MM_WEB_BODY, mm_call_scan),
	CALL(MM_HTTP_GET, "events", 0, mm_call_events),
	FILE_("/", HTML, mm_screen_index_html),
	FILE_("/screen.css", CSS, mm_screen_screen_css),
	FILE_("/screen.js", JS, mm_screen_screen_js),
	FILE_("/draw.js", JS, mm_screen_draw_js),
	FILE_("/feed.js", JS, mm_screen_feed_js),
	FILE_("/scanner.js", JS, mm_screen_scanner_js),
	FILE_("/texts.js", JS, mm_screen_texts_js),
	FILE_("/en.json", JSON, mm_screen_en_json),
	FILE_("/de.json", JSON, mm_screen_de_json),
	FILE_("/icon.svg", SVG, mm_screen_icon_svg),
};
const size_t mm_web_nroutes = sizeof(mm_web_routes) / sizeof(mm_web_routes[0]);
const size_t mm_web_nfiles = 10;

static const struct {
	const char *name, *what;
} told[] = {
	{ "state", "all of it, as `GET /api/v1/status` gives it; at most ten "
		   "a second" },
	{ "unit", "a unit is over: the object that `provision --json` prints" },
	{ "refused", "a label was not begun: the same with `result` "
		     "`refused`" },
	{ "label", "a label was asked for again: `device`, `label` "
		   "(`reprinted` or `failed`), and why" },
	{ "order", "the work order was extended" },
	{ "decided", "a supervisor decided of a unit: `device`, `result`" },
	{ "no", "what was typed or scanned leads to nothing: `code` and "
		"`what`" },
	{ "lost", "more was told since the client's last event than is kept "
		  "(256), or the station was started anew: ask for the units" },
};

/* see web.h */
void
mm_web_reference(FILE *f)
{
	fputs("| call | does |\n|---|---|\n", f);
	for (size_t i = 0; i < mm_web_nroutes - mm_web_nfiles; i++) {
		const struct mm_http_route *r = &mm_web_routes[i];

		fprintf(f, "| `%s %s` | %s |\n", mm_http_method_name(r->method),
		    r->pattern, ((const struct mm_web_call *)r->data)->does);
	}
	fputs("\n| event | is told when |\n|---|---|\n", f);
	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++)
		fprintf(f, "| `%s` | %s |\n", told[i].name, told[i].what);
	fputs("\n| code | nothing was begun |\n|---|---|\n", f);
	for (unsigned i = 1; i < MM_NO_REFUSED; i++)
		fprintf(f, "| `%s` | %s |\n", mm_nos[i].code, mm_nos[i].text);
}
