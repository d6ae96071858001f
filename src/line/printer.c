#include "line/printer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "base/time.h"
#include "line/label.h"

/* A job is a row of stages; each goes on as far as it can. */
enum go { GO, WAIT, OVER };
struct mm_printer_stage {
	enum go (*run)(struct mm_printer *p); /* NULL: it is done */
};

#define TCP "tcp:"

static bool
is_tcp(const struct mm_printer *p)
{
	return strncmp(p->job.printer, TCP, strlen(TCP)) == 0;
}

static enum go
failed(struct mm_printer *p, const char *what)
{
	p->why = (struct mm_why){ 0 };
	p->rc = MM_FAIL(&p->why, p->sent ? MM_EUNSURE : MM_EAGAIN,
	    "printer %.80s: %s%s", p->job.printer, what,
	    p->sent ? "; look whether the label came out" : "");
	return OVER;
}

static enum go
wait_for(struct mm_printer *p, short events, const char *what)
{
	p->events = events;
	return mm_mono_ms() < p->until_ms ? WAIT : failed(p, what);
}

/* Of data from p->done on; what was written is written for good. */
static enum go
write_some(struct mm_printer *p, struct mm_bytes data)
{
	while (p->done < data.n) {
		const uint8_t *from = data.p + p->done;
		ssize_t n = is_tcp(p) ? send(p->fd, from, data.n - p->done,
					    MSG_NOSIGNAL)
				      : write(p->fd, from, data.n - p->done);

		if (n > 0) {
			p->sent |= data.p == p->job.data.p;
			p->done += (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			return wait_for(p, POLLOUT, "it takes nothing");
		} else if (n == 0 || errno != EINTR) {
			return failed(p, strerror(errno));
		}
	}
	return GO;
}

static enum go
send_job(struct mm_printer *p)
{
	return write_some(p, p->job.data);
}

/* ---- how it is ---- */

static enum go
ask(struct mm_printer *p)
{
	p->nheard = 0;
	return write_some(p, mm_bytes_of("~HS\r\n"));
}

/* Three texts, each between STX and ETX; fewer: it is not all there yet. */
static unsigned
texts(const struct mm_printer *p)
{
	unsigned n = 0;

	for (size_t i = 0; i < p->nheard; i++)
		n += p->heard[i] == '\003';
	return n;
}

static enum go
hear(struct mm_printer *p)
{
	ssize_t n;

	while (texts(p) < 3) {
		if (p->nheard == sizeof(p->heard))
			return failed(p, "its answer is no printer's");
		n = recv(p->fd, p->heard + p->nheard,
		    sizeof(p->heard) - p->nheard, 0);
		if (n > 0)
			p->nheard += (size_t)n;
		else if (n == 0)
			return failed(p, "it ended the connection");
		else if (errno == EAGAIN)
			return wait_for(p, POLLIN, "it does not answer");
		else if (errno != EINTR)
			return failed(p, strerror(errno));
	}
	return GO;
}

/* The k-th field of the i-th text, a flag: whether it is up. */
static bool
flag(const struct mm_printer *p, unsigned i, unsigned k)
{
	const char *at = p->heard, *end = p->heard + p->nheard;

	for (unsigned n = 0; at < end && n < i; at++)
		n += *at == '\003';
	for (unsigned n = 0; at < end && *at != '\003' && n < k; at++)
		n += *at == ',';
	return at < end && *at == '1';
}

/* NULL: nothing. */
static const char *
what_stops(const struct mm_printer *p)
{
	static const struct {
		unsigned text, field;
		const char *what;
	} stops[] = {
		{ 0, 1, "it is out of paper" },
		{ 1, 2, "its head is open" },
		{ 1, 3, "it is out of ribbon" },
		{ 0, 2, "it is paused" },
	};

	for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++)
		if (flag(p, stops[i].text, stops[i].field))
			return stops[i].what;
	return NULL;
}

static enum go
is_ready(struct mm_printer *p)
{
	const char *what = what_stops(p);

	if (what == NULL)
		return GO;
	p->rc = MM_FAIL(&p->why, MM_EPOLICY, "printer %.80s: %s",
	    p->job.printer, what);
	return OVER;
}

/* It stopped in this label, or behind it: who knows what came out? */
static enum go
came_out(struct mm_printer *p)
{
	const char *what = what_stops(p);

	if (what == NULL)
		return GO;
	p->rc = MM_FAIL(&p->why, MM_EUNSURE, "printer %.80s: %s, after it "
	    "had the label", p->job.printer, what);
	return OVER;
}

/* ---- TCP ---- */

/* "HOST", "HOST:PORT", "[v6]", "[v6]:PORT" */
static bool
split(const char *s, char host[256], char port[6])
{
	const char *end = s[0] == '[' ? strchr(s, ']') : strchr(s, ':');
	const char *from = s + (s[0] == '['), *rest;

	if (s[0] == '[' && end == NULL)
		return false;
	end = end != NULL ? end : s + strlen(s);
	rest = end + (*end == ']');
	if (!mm_text_copy(host, 256,
		(struct mm_bytes){
		    (const uint8_t *)from, (size_t)(end - from) }) ||
	    host[0] == '\0')
		return false;
	if (*rest == '\0') {
		strcpy(port, MM_LABEL_PORT);
		return true;
	}
	return *rest == ':' && rest[1] != '\0' &&
	       strspn(rest + 1, "0123456789") == strlen(rest + 1) &&
	       mm_text_copy(port, 6, mm_bytes_of(rest + 1));
}

static void
close_fd(struct mm_printer *p)
{
	if (p->fd >= 0)
		(void)close(p->fd);
	p->fd = -1;
}

/* The next of its addresses; none: what the last one said. */
static enum go
connect_next(struct mm_printer *p, int error)
{
	for (; p->at != NULL; p->at = p->at->ai_next) {
		close_fd(p);
		p->fd = socket(p->at->ai_family,
		    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (p->fd >= 0 &&
		    (connect(p->fd, p->at->ai_addr, p->at->ai_addrlen) == 0 ||
			errno == EINPROGRESS)) {
			p->at = p->at->ai_next;
			return WAIT;
		}
		error = errno;
	}
	return failed(p, strerror(error));
}

static enum go
connected(struct mm_printer *p)
{
	struct pollfd f = { .fd = p->fd, .events = POLLOUT };
	socklen_t n = sizeof(int);
	int error = 0;

	if (poll(&f, 1, 0) != 1)
		return wait_for(p, POLLOUT, "it takes nothing");
	if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0)
		error = errno;
	return error == 0 ? GO : connect_next(p, error);
}

/* Until the other machine has said that it has all of it. */
static enum go
settle(struct mm_printer *p)
{
	socklen_t n = sizeof(int);
	int queued = 0, error = 0;

	(void)shutdown(p->fd, SHUT_WR);
	if (ioctl(p->fd, SIOCOUTQ, &queued) != 0)
		return failed(p, strerror(errno));
	if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0 ||
	    error != 0)
		return failed(p, strerror(error));
	return queued == 0 ? GO : wait_for(p, 0, "it did not take all of it");
}

static const struct mm_printer_stage plain[] = { { connected }, { send_job },
	{ settle }, { NULL } };
static const struct mm_printer_stage asking[] = { { connected }, { ask },
	{ hear }, { is_ready }, { send_job }, { ask }, { hear }, { came_out },
	{ settle }, { NULL } };

static void
begin_tcp(struct mm_printer *p)
{
	struct addrinfo want = { .ai_socktype = SOCK_STREAM,
		.ai_flags = p->job.address ? AI_NUMERICHOST : 0 };
	char host[256], port[6];
	int error;

	p->rc = mm_printer_check(p->job.printer, p->job.address, &p->why);
	if (p->rc != MM_OK || !split(p->job.printer + strlen(TCP), host, port))
		return;
	error = getaddrinfo(host, port, &want, &p->list);
	p->at = p->list;
	if (error != 0)
		(void)failed(p, gai_strerror(error));
	else
		(void)connect_next(p, EHOSTUNREACH);
	p->stage = p->job.asks ? asking : plain;
}

/* ---- a device ---- */

static const struct mm_printer_stage device[] = { { send_job }, { NULL } };

static void
begin_device(struct mm_printer *p)
{
	struct stat st;

	p->fd =
	    open(p->job.printer, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	/* A plain file would be written over. */
	if (p->fd < 0)
		(void)failed(p, strerror(errno));
	else if (fstat(p->fd, &st) != 0 ||
		 !(S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode)))
		p->rc = MM_FAIL(&p->why, MM_EINPUT,
		    "printer %.80s: not a device", p->job.printer);
	p->stage = device;
}

/* ---- the whole ---- */

/* see printer.h */
enum mm_err
mm_printer_check(const char *printer, bool address, struct mm_why *why)
{
	struct addrinfo want = { .ai_flags = AI_NUMERICHOST }, *list;
	char host[256], port[6];

	if (strncmp(printer, TCP, strlen(TCP)) != 0)
		return printer[0] == '/' || !address
			   ? MM_OK
			   : MM_FAIL(why, MM_EINPUT,
				 "printer: want tcp:ADDRESS[:PORT] or the "
				 "whole "
				 "path of a device, not \"%.60s\"",
				 printer);
	if (!split(printer + strlen(TCP), host, port))
		return MM_FAIL(why, MM_EINPUT,
		    "printer: want "
		    "tcp:HOST[:PORT], not \"%.60s\"",
		    printer);
	if (!address)
		return MM_OK;
	if (getaddrinfo(host, NULL, &want, &list) != 0)
		return MM_FAIL(why, MM_EINPUT,
		    "printer: want an address, no "
		    "name: \"%.60s\"",
		    printer);
	freeaddrinfo(list);
	return MM_OK;
}

/* see printer.h */
void
mm_printer_init(struct mm_printer *p)
{
	memset(p, 0, sizeof(*p));
	p->fd = -1;
}

/* see printer.h */
void
mm_printer_begin(struct mm_printer *p, const struct mm_printer_job *job)
{
	mm_printer_init(p);
	p->job = *job;
	p->until_ms = mm_mono_ms() + job->deadline_ms;
	if (is_tcp(p))
		begin_tcp(p);
	else
		begin_device(p);
}

/* see printer.h */
bool
mm_printer_run(struct mm_printer *p, enum mm_err *rc, struct mm_why *why)
{
	enum go go = p->rc != MM_OK ? OVER : GO;

	while (go == GO && p->stage->run != NULL) {
		go = p->stage->run(p);
		if (go != GO)
			break;
		p->done = 0;
		p->stage++;
	}
	if (go == WAIT)
		return false;
	*rc = p->rc;
	if (p->rc != MM_OK)
		*rc = MM_FAIL(why, p->rc, "%s", p->why.text);
	mm_printer_close(p);
	return true;
}

/* see printer.h */
struct pollfd
mm_printer_wish(const struct mm_printer *p)
{
	return (struct pollfd){ .fd = p->events != 0 ? p->fd : -1,
		.events = p->events };
}

/* see printer.h */
void
mm_printer_close(struct mm_printer *p)
{
	close_fd(p);
	if (p->list != NULL)
		freeaddrinfo(p->list);
	p->list = p->at = NULL;
}

/* see label.h */
enum mm_err
mm_label_send(const char *printer, struct mm_bytes data, int deadline_ms,
    struct mm_why *why)
{
	const struct mm_printer_job job = {
		.printer = printer, .data = data, .deadline_ms = deadline_ms
	};
	struct mm_printer p;
	enum mm_err rc = MM_OK;

	mm_printer_begin(&p, &job);
	while (!mm_printer_run(&p, &rc, why)) {
		struct pollfd f = mm_printer_wish(&p);
		int64_t left = p.until_ms - mm_mono_ms();

		(void)poll(&f, 1, f.fd < 0 ? 5 : left > 0 ? (int)left : 0);
	}
	return rc;
}
