#ifndef MM_CLI_COPIES_H
#define MM_CLI_COPIES_H

#include <jansson.h>

#include "store/store.h"

/*
 * For "ledger reconcile": the copy of each station's ledger makes the tree
 * whose root was entered (station.synced; facts.h compares that with what the
 * database says of it).  Takes memory for one part of a copy.
 */
MM_MUST enum mm_err mm_copies_compare(
    struct mm_store_reader *db, json_t *differences, struct mm_why *why);

#endif
