#include <netdb.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "store/postgres.h"

#define TEXT_MAX 4096
#define ADDRESSES 4 /* of one host name */

/*
 * What holds where the URL says nothing.  A dead peer is noticed within
 * seconds.  Only a server that takes writes will do, so that a list of hosts
 * leads to the primary; what was written is read from where it was written.
 */
static const char *const defaults[][2] = {
	{ "application_name", "mintmark" }, { "client_encoding", "UTF8" },
	{ "connect_timeout", "2" }, { "gssencmode", "disable" },
	{ "keepalives_idle", "10" }, { "keepalives_interval", "3" },
	{ "keepalives_count", "3" }, { "tcp_user_timeout", "5000" },
	{ "target_session_attrs", "read-write" },
};

void
mm_pg_where_done(struct pg_where *w)
{
	for (unsigned i = 0; i < w->n; i++) {
		free(w->key[i]);
		free(w->value[i]);
	}
	memset(w, 0, sizeof(*w));
}

static const char *
get(const struct pg_where *w, const char *key)
{
	for (unsigned i = 0; i < w->n; i++)
		if (strcmp(w->key[i], key) == 0)
			return w->value[i];
	return NULL;
}

/* In place of what was there; the arrays stay NULL-ended. */
static enum mm_err
put(struct pg_where *w, const char *key, const char *value,
    struct mm_why *why)
{
	unsigned i = 0;

	while (i < w->n && strcmp(w->key[i], key) != 0)
		i++;
	if (i == PG_PARAMS - 1)
		return MM_FAIL(why, MM_ELIMIT, "database: URL too long");
	if (i == w->n) {
		w->key[i] = strdup(key);
		w->n++;
	}
	free(w->value[i]);
	w->value[i] = strdup(value);
	if (w->key[i] == NULL || w->value[i] == NULL)
		return MM_FAIL(why, MM_ENOMEM, "database: out of memory");
	return MM_OK;
}

/* ---- the URL ---- */

static enum mm_err
take_options(struct pg_where *w, const PQconninfoOption *o,
    struct mm_why *why)
{
	for (; o->keyword != NULL; o++) {
		if (o->val == NULL)
			continue;
		if (strstr(o->keyword, "password") != NULL)
			return MM_FAIL(why, MM_EPOLICY, "database: a URL is "
			    "no place for a password: use a passfile");
		MM_TRY(put(w, o->keyword, o->val, why));
	}
	return MM_OK;
}

/* libpq's words about a URL quote it: they are not repeated. */
static enum mm_err
parse(const char *where, struct pg_where *w, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf url = MM_BUF_INIT(TEXT_MAX);
	PQconninfoOption *o;
	enum mm_err err;

	mm_buf_text(&url, "postgresql:");
	mm_buf_text(&url, where);
	MM_TRY(mm_buf_ok(&url, why));
	o = PQconninfoParse(mm_buf_cstr(&url), NULL);
	if (o == NULL || strncmp(where, "//", 2) != 0) {
		PQconninfoFree(o);
		return MM_FAIL(why, MM_EINPUT, "database: not a URL of form "
		    "postgresql://USER@HOST/DATABASE");
	}
	err = take_options(w, o, why);
	PQconninfoFree(o);
	return err;
}

/* libpq would ask for the name at every connection. */
static enum mm_err
name_user(struct pg_where *w, struct mm_why *why)
{
	struct passwd pw, *found = NULL;
	char buf[TEXT_MAX];

	if (get(w, "user") != NULL || getenv("PGUSER") != NULL ||
	    getpwuid_r(geteuid(), &pw, buf, sizeof(buf), &found) != 0 ||
	    found == NULL)
		return MM_OK;
	return put(w, "user", found->pw_name, why);
}

/* ---- host names ---- */

struct hosts { /* three lists of one length, as libpq takes them */
	struct mm_buf host, addr, port;
};

static void
hosts_done(struct hosts *h)
{
	mm_buf_done(&h->host);
	mm_buf_done(&h->addr);
	mm_buf_done(&h->port);
}

static void
add(struct hosts *h, const char *host, const char *addr, struct mm_bytes port)
{
	const char *comma = h->host.n + h->addr.n > 0 ? "," : "";

	mm_buf_printf(&h->host, "%s%s", comma, host);
	mm_buf_printf(&h->addr, "%s%s", comma, addr);
	mm_buf_text(&h->port, comma);
	mm_buf_bytes(&h->port, port);
}

static enum mm_err
look_up(struct hosts *h, const char *host, struct mm_bytes port,
    struct mm_why *why)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list, *a;
	char addr[NI_MAXHOST];
	unsigned n = 0;
	int rc;

	if (host[0] == '/' || host[0] == '@' || host[0] == '\0') {
		add(h, host, "", port);
		return MM_OK;
	}
	rc = getaddrinfo(host, NULL, &hints, &list);
	if (rc != 0)
		return MM_FAIL(why, MM_EAGAIN, "database: host %.64s: %s",
		    host, gai_strerror(rc));
	for (a = list; a != NULL && n < ADDRESSES; a = a->ai_next)
		if (getnameinfo(a->ai_addr, a->ai_addrlen, addr, sizeof(addr),
		    NULL, 0, NI_NUMERICHOST) == 0) {
			add(h, host, addr, port);
			n++;
		}
	freeaddrinfo(list);
	return MM_OK;
}

/* The next of a list that ends at its last comma; one item serves all. */
static struct mm_bytes
next_item(const char **list)
{
	size_t n = strcspn(*list, ",");
	struct mm_bytes item = { (const uint8_t *)*list, n };

	if ((*list)[n] == ',')
		*list += n + 1;
	return item;
}

static enum mm_err
look_up_all(struct hosts *h, const char *hosts, const char *ports,
    struct mm_why *why)
{
	char host[256];

	for (bool more = true; more;) {
		more = strchr(hosts, ',') != NULL;
		if (!mm_text_copy(host, sizeof(host), next_item(&hosts)))
			return MM_FAIL(why, MM_EINPUT,
			    "database: host name too long");
		MM_TRY(look_up(h, host, next_item(&ports), why));
	}
	return MM_OK;
}

static enum mm_err
resolve(struct pg_where *w, struct mm_why *why)
{
	MM_OWN(hosts_done) struct hosts h = { MM_BUF_INIT(TEXT_MAX),
		MM_BUF_INIT(TEXT_MAX), MM_BUF_INIT(TEXT_MAX) };
	const char *hosts = get(w, "host"), *ports = get(w, "port");

	if (hosts == NULL || get(w, "hostaddr") != NULL)
		return MM_OK;
	MM_TRY(look_up_all(&h, hosts, ports != NULL ? ports : "", why));
	MM_TRY(mm_buf_ok(&h.host, why));
	MM_TRY(mm_buf_ok(&h.addr, why));
	MM_TRY(mm_buf_ok(&h.port, why));
	MM_TRY(put(w, "host", mm_buf_cstr(&h.host), why));
	MM_TRY(put(w, "hostaddr", mm_buf_cstr(&h.addr), why));
	return put(w, "port", mm_buf_cstr(&h.port), why);
}

/* see postgres.h */
enum mm_err
mm_pg_where(const char *where, struct pg_where *out, struct mm_why *why)
{
	struct pg_where w = { .n = 0 };
	enum mm_err err = parse(where, &w, why);

	for (size_t i = 0; err == MM_OK &&
	    i < sizeof(defaults) / sizeof(defaults[0]); i++)
		if (get(&w, defaults[i][0]) == NULL)
			err = put(&w, defaults[i][0], defaults[i][1], why);
	if (err == MM_OK)
		err = name_user(&w, why);
	if (err == MM_OK)
		err = resolve(&w, why);
	if (err == MM_OK)
		*out = w;
	else
		mm_pg_where_done(&w);
	return err;
}
