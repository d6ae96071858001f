#ifndef MM_STATION_CATALOGUE_H
#define MM_STATION_CATALOGUE_H

#include "base/buf.h"
#include "station/conf.h"
#include "station/reason.h"

/* The screen's texts (screen/en.json, screen/de.json), for the terminal. */
struct mm_catalogue;
MM_MUST enum mm_err mm_catalogue_open(
    int language, struct mm_catalogue **out, struct mm_why *why);
void mm_catalogue_close(struct mm_catalogue **owner);
/* The text of a key, English if the language lacks it, the key if that does;
 * {...} in it becomes value. */
void mm_catalogue_put(const struct mm_catalogue *c, struct mm_buf *out,
    const char *key, const char *value);
/* What a reason is, or what to do (todo): the program's own English where the
 * catalogue has none. */
void mm_catalogue_reason(const struct mm_catalogue *c, struct mm_buf *out,
    enum mm_unit_reason reason, bool todo);

/* Made of the files in screen/ when the program is built. */
extern const char mm_screen_en_json[], mm_screen_de_json[];

#endif
