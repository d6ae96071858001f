#include <string.h>

#include "base/own.h"
#include "server/batches.h"

/* Work orders. */

enum mm_err mm_rest_orders_key(struct mm_rest *r, struct mm_why *why) {
  MM_TRY(mm_core_orders_key(r->s->core, &r->out, why));
  r->type = "text/plain; charset=utf-8";
  mm_buf_u8(&r->out, '\n');
  return MM_OK;
}

struct order_wish {
  char station[MM_NAME_MAX + 1];
  bool extension;
};
static const struct mm_member order_members[] = {
    {"station", MM_M_NAME, true, offsetof(struct order_wish, station),
     MM_NAME_MAX + 1},
    {"extension", MM_M_BOOL, false, offsetof(struct order_wish, extension), 0},
};

static enum mm_err put_extension(struct mm_rest *r,
                                 const struct mm_production *b,
                                 struct mm_station *s,
                                 struct mm_why *why) {
  MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(MM_WORK_EXTENSION_MAX);

  MM_TRY(mm_desk_extension(r->desk, &r->login, b, s, &text, why));
  mm_json_open(&r->j, '{');
  mm_json_strn(&r->j, "extension", mm_buf_view(&text));
  mm_json_close(&r->j, '}');
  return MM_OK;
}

/* The file as work/file.h has it. */
enum mm_err mm_rest_batch_order(struct mm_rest *r, struct mm_why *why) {
  MM_OWN(mm_production_free) struct mm_production *b = NULL;
  struct order_wish w = {.station = ""};
  struct mm_station s;
  char id[MM_NAME_MAX + 1];

  MM_TRY(mm_rest_members(r->in, order_members, 2, &w, why));
  MM_TRY(mm_rest_segment(r, 0, id, sizeof(id), why));
  MM_TRY(mm_production_get(r->reader, id, &b, why));
  MM_TRY(mm_batch_station(r, w.station, &s, why));
  if (w.extension)
    return put_extension(r, b, &s, why);
  return mm_desk_order(r->desk, &r->login, b, &s, &r->out, why);
}
