#ifndef TEST_STORE_PLANS_H
#define TEST_STORE_PLANS_H

/* How PostgreSQL goes about each statement that reads; in a database that is
 * for this alone. */
void check_plans(const char *url);

#endif
