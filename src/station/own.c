#include "station/own.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "ledger/journal.h"
#include "line/initial.h"
#include "pki/cert.h"
#include "station/own_priv.h"
#include "station/rows.h"
#include "work/file.h"

enum {
	START_MS = 30000,
	CALL_MS = 5000,
	END_MS = 10000,
	PEM_MAX = 65536,
	LIST_MAX = MM_WORK_FILE_MAX
};

/* ---- its process ---- */

static enum mm_err
call(int fd, struct mm_own *o, unsigned kind, const void *req, void *rep,
    int64_t ms, struct mm_why *why)
{
	if (fd < 0)
		return MM_FAIL(why, MM_ENOTFOUND,
		    "the station's signer is "
		    "not running");
	return mm_ipc_call(fd, kind, req, rep, &o->frame, ms, why);
}

static _Noreturn void
become_signer(
    const struct mm_station_conf *conf, const char *batch, const int fd[2])
{
	char links[64];
	const char *argv[] = { conf->signer_program, "run", "--config",
		conf->signer, "--batch", batch, "--links", links, NULL };

	snprintf(links, sizeof(links), "issue:%d,ledger:%d", fd[0], fd[1]);
	if (fcntl(fd[0], F_SETFD, 0) == 0 && fcntl(fd[1], F_SETFD, 0) == 0)
		/* execv changes none of them */
		(void)execv(
		    conf->signer_program, (char *const *)(uintptr_t)argv);
	_exit(127);
}

static enum mm_err
start(struct mm_own *o, const char *batch, struct mm_why *why)
{
	int a[2] = { -1, -1 }, b[2] = { -1, -1 };
	int type = SOCK_SEQPACKET | SOCK_CLOEXEC;

	if (socketpair(AF_UNIX, type, 0, a) != 0 ||
	    socketpair(AF_UNIX, type, 0, b) != 0 || (o->pid = fork()) < 0) {
		for (int i = 0; i < 2; i++) {
			(void)close(a[i]);
			(void)close(b[i]);
		}
		return MM_FAIL(why, MM_ESYS, "cannot start the signer: %s",
		    strerror(errno));
	}
	if (o->pid == 0)
		become_signer(o->conf, batch, (const int[]){ a[1], b[1] });
	(void)close(a[1]);
	(void)close(b[1]);
	o->issue = a[0];
	o->ledger = b[0];
	return MM_OK;
}

static bool
has_ended(pid_t pid, int *status)
{
	const struct timespec pause = { .tv_nsec = 5000000 };

	for (int i = 0; i < END_MS / 5; i++) {
		pid_t got = waitpid(pid, status, WNOHANG);

		if (got == pid || (got < 0 && errno != EINTR))
			return true;
		(void)nanosleep(&pause, NULL);
	}
	return false;
}

/* Its end of the links is its end; one that hangs is ended, which loses
 * nothing: it writes before it answers. */
static int
stop(struct mm_own *o)
{
	int status = 0;

	if (o->issue >= 0)
		(void)close(o->issue);
	if (o->ledger >= 0)
		(void)close(o->ledger);
	o->issue = o->ledger = -1;
	if (o->pid > 0 && !has_ended(o->pid, &status)) {
		(void)kill(o->pid, SIGKILL);
		while (waitpid(o->pid, &status, 0) < 0 && errno == EINTR)
			continue;
	}
	o->pid = -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Of a signer that did not start: what its exit status says.  Its own words
 * are on standard error, the station's log. */
static const char *
end_word(int status)
{
	static const struct {
		enum mm_err code;
		const char *word;
	} words[] = {
		{ MM_EAUTH, "its keys do not open: wrong passphrase, or a "
		    "damaged key" },
		{ MM_ENOTFOUND, "a file is missing or empty: its "
		    "configuration, a key, its passphrase or its order" },
		{ MM_EINPUT, "its configuration, or one of its files, cannot "
		    "be read" },
		{ MM_EPOLICY, "what it has does not fit together, or is not "
		    "its own" },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (mm_err_exit(words[i].code) == status)
			return words[i].word;
	return status == 127 ? "its program cannot be started"
			     : "its log says why";
}

static enum mm_err
greet(struct mm_own *o, struct mm_hello_rep *hello, struct mm_why *why)
{
	struct mm_hello_req q = { MM_IPC_VERSION | MM_IPC_KNOWS_NONCES };
	enum mm_err rc =
	    call(o->issue, o, MM_IPC_HELLO, &q, hello, START_MS, why);
	int status;

	o->no_nonces = rc == MM_EPOLICY;
	if (o->no_nonces) {
		if (why != NULL)
			*why = (struct mm_why){ 0 };
		q.version = MM_IPC_VERSION;
		rc = call(o->issue, o, MM_IPC_HELLO, &q, hello, START_MS, why);
	}

	if (rc != MM_ENOTFOUND)
		return rc;
	o->ended = status = stop(o);
	if (why != NULL)
		*why = (struct mm_why){ 0 };
	if (status == mm_err_exit(MM_ECONFLICT))
		return MM_FAIL(why, MM_ECONFLICT, "another station program, "
		    "such as run, has this station's signer: end that first");
	return MM_FAIL(why, MM_EPOLICY, "the station's signer does not start "
	    "(%d): %s", status, end_word(status));
}

/* ---- the ledger ---- */

static enum mm_err
feed_one(struct mm_own *o, struct mm_buf *b, struct mm_why *why)
{
	struct mm_ledger_add_req q = { .index = o->fed };
	struct mm_ledger_add_rep rep;

	mm_buf_reset(b);
	MM_TRY(mm_entries_get(o->entries, o->fed, b, why));
	q.entry = mm_buf_view(b);
	MM_TRY(call(o->ledger, o, MM_IPC_LEDGER_ADD, &q, &rep, CALL_MS, why));
	o->fed = rep.size;
	return MM_OK;
}

/* An entry that is on the disk stays there, whether the signer took it or
 * not: what it lacks goes first the next time, from what it says it has. */
static enum mm_err
feed(struct mm_own *o, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(MM_ENTRY_MAX);
	const struct mm_hello_req q = { MM_IPC_VERSION };
	struct mm_hello_rep hello;
	enum mm_err rc = MM_OK;

	if (o->unfed) {
		MM_TRY(call(o->ledger, o, MM_IPC_HELLO, &q, &hello, CALL_MS,
		    why));
		o->fed = hello.tree_size;
	}
	while (rc == MM_OK && o->fed < mm_entries_n(o->entries))
		rc = feed_one(o, &b, why);
	o->unfed = rc != MM_OK;
	return rc;
}

/* see own_priv.h; a leap second under way (TIME_INS to TIME_WAIT) is set by
 * somebody, too */
const char *
mm_own_time_source(int kernel)
{
	return kernel >= TIME_OK && kernel < TIME_ERROR ? "system"
							: "unsynchronised";
}

/* see own_priv.h */
enum mm_err
mm_own_enter(struct mm_own *o, const struct mm_entry *e, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(MM_ENTRY_MAX);
	struct mm_entry sourced = *e;
	struct timex clock = { .modes = 0 };

	sourced.time_source = mm_own_time_source(adjtimex(&clock));
	MM_TRY(mm_entry_encode(&sourced, &b, why));
	MM_TRY(mm_entries_add(o->entries, mm_buf_view(&b), why));
	return feed(o, why);
}

static enum mm_err
open_ledger(
    struct mm_own *o, const struct mm_hello_rep *hello, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf key = MM_BUF_INIT(MM_NOTE_MAX);
	struct mm_entry e = { .type = MM_E_LEDGER_OPENED,
		.at_ms = mm_own_now(),
		.field = { [MM_F_ORIGIN] = hello->origin } };
	char path[PATH_MAX + 16];
	struct mm_note_key k;

	memcpy(o->origin, hello->origin, sizeof(o->origin));
	MM_TRY(mm_path_join(path, sizeof(path), o->conf->state, "ledger", why));
	MM_TRY(mm_entries_open(path, &o->entries, why));
	if (mm_entries_n(o->entries) < hello->tree_size)
		return MM_FAIL(why, MM_EPOLICY,
		    "ledger: it has %" PRIu64 " entries, and %" PRIu64
		    " are signed: an old copy was "
		    "put back, or it was cut",
		    mm_entries_n(o->entries), hello->tree_size);
	o->fed = hello->tree_size;
	MM_TRY(feed(o, why));
	if (mm_entries_n(o->entries) > 0)
		return MM_OK;
	mm_note_key_make(&k, hello->origin, hello->ledger_key);
	mm_note_key_text(&k, &key);
	e.field[MM_F_KEY] = mm_buf_cstr(&key);
	return mm_own_enter(o, &e, why);
}

/* Of this order or of an earlier one, whose batch the journal has. */
static enum mm_err
settle_one(struct mm_own *o, const struct mm_outstanding *one,
    struct mm_why *why)
{
	MM_OWN(mm_given_done) struct mm_given given = MM_GIVEN_INIT;
	char product[MM_NAME_MAX + 1];
	struct mm_own_pair p = { .product = product,
		.device = one->device,
		.spki = one->spki_sha256,
		.given = &given };
	const char *authority = one->authority;
	struct mm_own_cert cert;

	p.by_nonce = strncmp(authority, MM_J_ADOPTED,
	    strlen(MM_J_ADOPTED)) == 0;
	if (p.by_nonce)
		authority += strlen(MM_J_ADOPTED);
	if (strncmp(authority, "batch:", 6) != 0)
		return MM_FAIL(why, MM_EPOLICY, "the signer signed for %.40s, "
		    "which is no batch", authority);
	p.batch = authority + 6;
	MM_TRY(mm_order_product(o->conf, p.batch, product, why));
	MM_TRY(mm_order_give(o->conf, p.batch, one->device, &given, why));
	return mm_own_enter_issued(o, &p, &cert, why);
}

/*
 * Signed, and not in the ledger: the station was killed between the two.  It
 * is entered now, whether its board comes back or not.
 */
static enum mm_err
settle(struct mm_own *o, struct mm_why *why)
{
	const struct mm_outstanding_req q = { 0, 100 };
	MM_OWN(mm_buf_done) struct mm_buf lines = MM_BUF_INIT(MM_IPC_FRAME_MAX);
	struct mm_outstanding_rep rep;
	struct mm_outstanding one;
	struct mm_rd r;

	MM_TRY(call(o->ledger, o, MM_IPC_OUTSTANDING, &q, &rep, CALL_MS, why));
	mm_buf_bytes(&lines, rep.lines);
	MM_TRY(mm_buf_ok(&lines, why));
	r = mm_rd_over(mm_buf_view(&lines));
	for (uint32_t i = 0; i < rep.n; i++) {
		MM_TRY(mm_fields_get(mm_rd_block16(&r), mm_outstanding_fields,
		    mm_outstanding_nfields, &one, why));
		MM_TRY(settle_one(o, &one, why));
	}
	return MM_OK;
}

/* ---- the order ---- */

static enum mm_err
take_serials(struct mm_own *o, const struct mm_work_file *f, struct mm_why *why)
{
	struct mm_bytes paper;

	if (o->order->serials[0] != '\0')
		return mm_serials_parse(o->order->serials, &o->run, why);
	if (!mm_work_file_paper(f, o->order->serials_sha256, &paper))
		return MM_FAIL(why, MM_EINPUT,
		    "order: its list of serial "
		    "numbers is not there");
	mm_buf_u8(&o->list, '\n');
	mm_buf_bytes(&o->list, paper);
	return mm_buf_ok(&o->list, why);
}

/* One that the order names is there: mm_work_file_check. */
static enum mm_err
take_paper(const struct mm_work_file *f, const uint8_t sha256[32],
    struct mm_buf *out, struct mm_why *why)
{
	struct mm_bytes paper;

	if (mm_work_file_paper(f, sha256, &paper))
		mm_buf_bytes(out, paper);
	return mm_buf_ok(out, why);
}

static enum mm_err
take_chain(struct mm_own *o, struct mm_why *why)
{
	struct mm_rd r = mm_rd_over(o->order->ca_chain);

	while (r.left > 0 && !r.bad)
		mm_pem_put(&o->chain_pem, "CERTIFICATE",
		    mm_der_take_whole(&r, MM_DER_SEQ));
	return r.bad ? MM_FAIL(why, MM_EINPUT, "order: its chain")
		     : mm_buf_ok(&o->chain_pem, why);
}

/* conf's label, or the order's first. */
static enum mm_err
pick_profile(struct mm_own *o, struct mm_why *why)
{
	for (size_t i = 0; i < o->order->profiles_n; i++) {
		const struct mm_work_profile *p = &o->order->profiles[i];

		if (o->conf->label[0] != '\0' &&
		    strcmp(p->name, o->conf->label) != 0)
			continue;
		memcpy(o->profile, p->name, sizeof(o->profile));
		o->profile_version = (uint32_t)p->version;
		return MM_OK;
	}
	return MM_FAIL(
	    why, MM_EPOLICY, "order: it has no profile %s", o->conf->label);
}

static enum mm_err
take_file(struct mm_own *o, const struct mm_work_file *f, struct mm_why *why)
{
	struct mm_bytes text;

	MM_TRY(mm_note_text(f->note, &text, why));
	MM_TRY(mm_work_order_parse(text, &o->order, why));
	MM_TRY(mm_work_file_check(f, o->order, why));
	MM_TRY(take_serials(o, f, why));
	MM_TRY(take_paper(f, o->order->config_sha256, &o->config, why));
	MM_TRY(take_paper(f, o->order->fields_sha256, &o->fields, why));
	if (o->fields.n > 0)
		MM_TRY(mm_initial_index_new(mm_buf_view(&o->fields), &o->index,
		    why));
	MM_TRY(take_chain(o, why));
	return pick_profile(o, why);
}

static enum mm_err
load_order(struct mm_own *o, const char *batch, struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf b = MM_BUF_INIT(MM_WORK_FILE_MAX);
	struct mm_work_file f = { .json = NULL };
	char path[PATH_MAX + 64];
	enum mm_err rc;

	MM_TRY(mm_order_path(o->conf, batch, path, sizeof(path), why));
	MM_TRY(mm_file_read(path, &b, why));
	MM_TRY(mm_work_file_parse(mm_buf_view(&b), &f, why));
	rc = take_file(o, &f, why);
	mm_work_file_done(&f);
	return rc;
}

/* The signer's order is the one that was read here. */
static enum mm_err
check_same(struct mm_own *o, struct mm_why *why)
{
	struct mm_duty_status_rep s;

	MM_TRY(mm_own_status(o, &s, why));
	memcpy(o->level, s.level, sizeof(o->level));
	if (strcmp(s.batch, o->order->batch) == 0 &&
	    s.number == (uint64_t)o->order->number)
		return MM_OK;
	return MM_FAIL(why, MM_EPOLICY,
	    "the signer has order %" PRIu64
	    " of batch %s, the station order %" PRId64 ": import it again",
	    s.number, s.batch, o->order->number);
}

/* One whose station was killed is still ending: it has the folder until
 * then. */
static enum mm_err
start_by(struct mm_own *o, const char *batch, int64_t until_ms,
    struct mm_hello_rep *hello, struct mm_why *why)
{
	const struct timespec pause = { .tv_nsec = 50000000 };
	enum mm_err rc;

	for (;;) {
		struct mm_why own = { 0 };

		MM_TRY(start(o, batch, why));
		rc = greet(o, hello, &own);
		if (rc == MM_OK)
			return rc;
		(void)stop(o);
		if (rc != MM_ECONFLICT || mm_mono_ms() >= until_ms)
			return MM_FAIL(why, rc, "%s", own.text);
		(void)nanosleep(&pause, NULL);
	}
}

static enum mm_err
open_all(struct mm_own *o, const char *batch, int64_t wait_ms,
    struct mm_why *why)
{
	struct mm_hello_rep hello;

	MM_TRY(load_order(o, batch, why));
	MM_TRY(start_by(o, batch, mm_mono_ms() + wait_ms, &hello, why));
	MM_TRY(check_same(o, why));
	MM_TRY(open_ledger(o, &hello, why));
	MM_TRY(settle(o, why));
	return mm_own_enter_ends(o, why);
}

/* see own.h */
int64_t
mm_own_patience(const struct mm_station_conf *conf)
{
	const struct timespec pause = { .tv_nsec = 50000000 };
	int64_t until = mm_mono_ms() + MM_OWN_WAIT_MS / 2;
	char path[PATH_MAX + 16];

	if (mm_path_join(path, sizeof(path), conf->state, "journal", NULL) !=
	    MM_OK)
		return 0;
	while (mm_rows_held(path)) {
		if (mm_mono_ms() >= until)
			return 0;
		(void)nanosleep(&pause, NULL);
	}
	return MM_OWN_WAIT_MS;
}

static struct mm_own *
own_new(const struct mm_station_conf *conf)
{
	struct mm_own *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return NULL;
	o->conf = conf;
	o->pid = o->issue = o->ledger = -1;
	mm_buf_init(&o->frame, MM_IPC_FRAME_MAX);
	mm_buf_init(&o->cert, MM_CERT_MAX);
	mm_buf_init(&o->chain, MM_WORK_BLOB_MAX);
	mm_buf_init(&o->list, LIST_MAX + 2);
	mm_buf_init(&o->config, LIST_MAX);
	mm_buf_init(&o->fields, LIST_MAX);
	mm_buf_init(&o->chain_pem, PEM_MAX);
	mm_buf_init(&o->checkpoint, MM_NOTE_MAX);
	return o;
}

/* see own.h */
enum mm_err
mm_own_open_batch(const struct mm_station_conf *conf, const char *batch,
    int64_t wait_ms, struct mm_own **out, struct mm_why *why)
{
	MM_OWN(mm_own_close) struct mm_own *o = own_new(conf);

	if (o == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	mm_order_tidy(conf);
	MM_TRY(open_all(o, batch, wait_ms, why));
	*out = MM_MOVE(o);
	return MM_OK;
}

/*
 * An order between was taken by the signer, and the station was killed before
 * it was kept: what was signed until then was signed by the one that is here,
 * because with another number the station makes nothing.
 */
static enum mm_err
enter_outstanding(struct mm_own *o, const char *batch,
    const struct mm_hello_rep *hello, struct mm_why *why)
{
	const struct mm_outstanding_req q = { 0, 1 };
	struct mm_outstanding_rep rep;

	MM_TRY(call(o->ledger, o, MM_IPC_OUTSTANDING, &q, &rep, CALL_MS, why));
	if (rep.n == 0)
		return MM_OK;
	MM_TRY(load_order(o, batch, why));
	MM_TRY(open_ledger(o, hello, why));
	return settle(o, why);
}

/* see own.h */
enum mm_err
mm_own_settle(const struct mm_station_conf *conf, const char *batch,
    struct mm_why *why)
{
	MM_OWN(mm_own_close) struct mm_own *o = own_new(conf);
	struct mm_hello_rep hello;
	struct mm_why own = { 0 };
	enum mm_err rc;

	if (o == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	rc = start_by(o, batch, mm_mono_ms(), &hello, &own);
	/* its order is gone, or torn: it was killed when it destroyed the
	 * key; with a configuration that is wrong it takes no order either */
	if (rc == MM_EPOLICY && (o->ended == mm_err_exit(MM_ENOTFOUND) ||
	    o->ended == mm_err_exit(MM_EINPUT)))
		return MM_OK;
	if (rc == MM_OK)
		rc = enter_outstanding(o, batch, &hello, &own);
	return rc == MM_OK ? MM_OK : MM_FAIL(why, rc, "%s", own.text);
}

/* see own.h */
enum mm_err
mm_own_open(const struct mm_station_conf *conf, int64_t wait_ms,
    struct mm_own **out, struct mm_why *why)
{
	char batch[MM_NAME_MAX + 1];

	MM_TRY(mm_order_pick(conf, batch, why));
	return mm_own_open_batch(conf, batch, wait_ms, out, why);
}

/* see own.h */
void
mm_own_close(struct mm_own **owner)
{
	struct mm_own *o = *owner;

	if (o == NULL)
		return;
	(void)stop(o);
	mm_work_order_free(&o->order);
	mm_entries_close(&o->entries);
	mm_buf_done(&o->frame);
	mm_buf_done(&o->cert);
	mm_buf_done(&o->chain);
	mm_own_forget_proofs(o);
	mm_buf_done(&o->list);
	mm_buf_done(&o->config);
	mm_initial_index_free(&o->index);
	mm_buf_wipe(&o->fields);
	mm_buf_done(&o->chain_pem);
	mm_buf_done(&o->checkpoint);
	free(o);
	*owner = NULL;
}

/* see own.h */
enum mm_err
mm_own_give(const struct mm_own *o, const char *device, struct mm_given *out,
    struct mm_why *why)
{
	const struct mm_order_rows rows = { mm_buf_view(&o->fields),
		o->index };

	return mm_order_render(o->order, mm_buf_view(&o->config), &rows,
	    device, out, why);
}

/* see own.h */
enum mm_err
mm_own_status(
    struct mm_own *o, struct mm_duty_status_rep *out, struct mm_why *why)
{
	const struct mm_duty_status_req q = { 0 };

	return call(o->issue, o, MM_IPC_DUTY_STATUS, &q, out, CALL_MS, why);
}

/* see own.h */
enum mm_err
mm_own_extend(struct mm_own *o, const char *line, struct mm_why *why)
{
	struct mm_duty_extend_req q;
	struct mm_duty_extend_rep rep;

	if (!mm_text_copy(q.line, sizeof(q.line), mm_bytes_of(line)))
		return MM_FAIL(why, MM_EINPUT, "extension: too long");
	return call(o->issue, o, MM_IPC_DUTY_EXTEND, &q, &rep, CALL_MS, why);
}

/* see own.h */
enum mm_unit_reason
mm_own_why_not(const struct mm_duty_status_rep *s)
{
	if (s->counter == MM_IPC_COUNTER_BACK)
		return MM_UR_PUT_BACK;
	if (s->counter == MM_IPC_COUNTER_AWAY)
		return MM_UR_COUNTER;
	if (s->over != 0)
		return MM_UR_ORDER;
	return s->counted + s->lost >= s->share ? MM_UR_QUOTA : MM_UR_SIGNER;
}

/* see own_priv.h */
enum mm_err
mm_own_call(struct mm_own *o, unsigned kind, const void *req, void *rep,
    struct mm_why *why)
{
	return call(kind == MM_IPC_LEDGER_SIGN ? o->ledger : o->issue, o, kind,
	    req, rep, CALL_MS, why);
}
