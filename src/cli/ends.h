#ifndef MM_CLI_ENDS_H
#define MM_CLI_ENDS_H

#include "cli/client.h"
#include "cli/cmd.h"

/*
 * The part of "expiry" that is not the chart: what of the CA's own ends when,
 * and how each product's devices stand (GET /expiry/ends).
 */
/* *out NULL: this credential may not see it, or the server is older. */
MM_MUST enum mm_err mm_ends_ask(struct mm_client *c, json_t **out,
    struct mm_why *why);
/* As tables; days: credentials, groups and batches that end later are only
 * counted. */
void mm_ends_print(json_t *o, long days);
/* What a person has to see to: what ends within that time and is renewed by
 * hand, what should have been renewed by itself, products of which more than
 * one of a hundred certificates is late.  {"items":[],"products":[]} */
MM_MUST enum mm_err mm_ends_within(json_t *o, int64_t within_s,
    json_t **out, struct mm_why *why);
void mm_ends_print_within(json_t *o);
/* How many that are. */
size_t mm_ends_n(json_t *o);

#endif
