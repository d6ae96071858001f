#ifndef TEST_STORE_SERVER_H
#define TEST_STORE_SERVER_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A PostgreSQL server of this process's own (test/tools/postgres-private),
 * started when it is first wanted, gone when the process ends.
 */

/* In a folder of parent, NULL: where it is fast.  false: none is installed
 * here. */
bool pg_server(const char *parent);
/* A database that is there, new or recycled; its URL. */
void pg_database(char *url, size_t n);
void pg_drop(const char *url);
void pg_recycle(const char *url); /* emptied, for the next: that is faster */
/* SQL in a database, or in "postgres" where url is NULL. */
void pg_sql(const char *url, const char *sql);
/* In a transaction that stays open: until PQfinish. */
struct pg_conn *pg_hold(const char *url, const char *sql);
/* SIGINT (fast) or SIGQUIT (immediate), and the end of it; then again. */
void pg_server_stop(int sig);
void pg_server_start(void);
void pg_server_signal(int sig); /* to the postmaster and its children */
int pg_server_port(void);
double pg_server_cpu_us(void); /* of those that still run */

#endif
