#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/own.h"
#include "server/registrar.h"

/*
 * One question: what the maker's program is given, and what is made of what
 * it says.  Only a program that says so has made nothing; and only what was
 * looked at and found wrong is wrong.
 */
enum {
	EXIT_LATER = 75,     /* sysexits.h: EX_TEMPFAIL */
	EXIT_NO = 77,        /* EX_NOPERM */
	JOB_MAX = 16 * 1024,
};

/* ---- what the program is given ---- */

static enum mm_err
put_names(struct mm_json *j, const char *key,
    const struct mm_conf_list *items, const struct mm_asking *a,
    struct mm_why *why)
{
	const struct mm_foreign what = { .device = a->q.device,
		.product = a->q.product };

	mm_json_open_key(j, key, '[');
	for (size_t i = 0; i < items->n; i++) {
		char text[2 * MM_CONF_ITEM_MAX];

		if (!mm_foreign_name(items->item[i], &what, text,
		    sizeof(text)))
			return MM_FAIL(why, MM_EPOLICY, "a name is too long");
		mm_json_str(j, NULL, text);
	}
	mm_json_close(j, ']');
	return MM_OK;
}

static enum mm_err
put_facts(const struct mm_asking *a, struct mm_buf *out, struct mm_why *why)
{
	struct mm_json j = mm_json_over(out);
	uint8_t spki[32];

	mm_csr_key_hash(&a->csr, spki);
	mm_json_open(&j, '{');
	mm_json_hex(&j, "request", (struct mm_bytes){ a->q.id, 16 });
	mm_json_str(&j, "request_file", a->file);
	mm_json_str(&j, "issuer", a->q.issuer);
	mm_json_str(&j, "device", a->q.device);
	mm_json_str(&j, "product", a->q.product);
	mm_json_str(&j, "profile", a->q.profile);
	mm_json_int(&j, "profile_version", a->q.profile_version);
	mm_json_str(&j, "authority", a->q.authority);
	mm_json_bool(&j, "renewal", a->q.renewal != 0);
	mm_json_hex(&j, "spki_sha256", (struct mm_bytes){ spki, 32 });
	MM_TRY(put_names(&j, "subject", &a->profile->subject, a, why));
	MM_TRY(put_names(&j, "alternative_names", &a->profile->san, a, why));
	mm_json_int(&j, "lifetime_s", a->profile->lifetime_s);
	mm_json_close(&j, '}');
	mm_buf_u8(out, '\n');
	return mm_buf_ok(out, why);
}

static enum mm_err
put_file(struct mm_asking *a, const char *folder, size_t n,
    struct mm_why *why)
{
	struct mm_buf pem = MM_BUF_INIT(2 * MM_CSR_MAX);
	enum mm_err rc;

	snprintf(a->file, sizeof(a->file), "%s/%zu.csr", folder, n);
	mm_pem_put(&pem, "CERTIFICATE REQUEST", a->q.csr);
	rc = mm_file_replace(a->file, mm_buf_view(&pem), 0600, why);
	mm_buf_done(&pem);
	return rc;
}

/* The file's name is the last argument: check_upstream has seen to its room. */
static enum mm_err
start(void *ctx, struct mm_asking *a, const char *folder, size_t n,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf facts = MM_BUF_INIT(JOB_MAX);
	struct mm_conf_list argv = a->issuer->exec;

	(void)ctx;
	MM_INVARIANT(argv.n < MM_CONF_LIST_MAX);
	MM_TRY(put_file(a, folder, n, why));
	MM_TRY(put_facts(a, &facts, why));
	memcpy(argv.item[argv.n++], a->file, sizeof(a->file));
	mm_child_begin(&a->child, &argv, a->issuer->answer_within_s,
	    mm_buf_view(&facts));
	a->end_ms = a->child.end_ms;
	return MM_OK;
}

/* ---- what the program says ---- */

/* Text may begin with any letter: DER is what is a certificate whole. */
static enum mm_err
first_cert(struct mm_bytes said, struct mm_buf *der, struct mm_why *why)
{
	struct mm_cert c;

	if (mm_cert_walk(said, &c, NULL) == MM_OK) {
		mm_buf_bytes(der, said);
		return mm_buf_ok(der, why);
	}
	MM_TRY(mm_pem_next(&said, "CERTIFICATE", der, why));
	return mm_cert_walk(mm_buf_view(der), &c, why);
}

static void
take_answer(struct mm_asking *a, struct mm_outcome *out)
{
	struct mm_why why = { 0 };
	enum mm_err rc = first_cert(mm_buf_view(&a->child.said), &out->der,
	    &why);

	if (rc == MM_ENOMEM) {
		mm_outcome_say(out, MM_FORWARD_LOST, why.text);
	} else if (rc != MM_OK) {
		mm_outcome_say(out, MM_FORWARD_LOST, "what the program wrote is no "
		    "certificate");
	} else {
		mm_outcome_judge(a, out);
	}
}

/* Only who says so has made nothing: a program that fell over may have had
 * its certificate made before. */
static enum mm_forwarded
how_of(int status)
{
	return status == EXIT_LATER ? MM_FORWARD_AWAY :
	    status == EXIT_NO ? MM_FORWARD_REFUSED : MM_FORWARD_LOST;
}

static void
ended(struct mm_asking *a, int status, struct mm_outcome *out)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		take_answer(a, out);
		return;
	}
	out->how = WIFEXITED(status) ? how_of(WEXITSTATUS(status)) :
	    MM_FORWARD_LOST;
	snprintf(out->text, sizeof(out->text), WIFEXITED(status) ?
	    "the program ended with %d" :
	    "the program was ended by signal %d", WIFEXITED(status) ?
	    WEXITSTATUS(status) : WTERMSIG(status));
}

static bool
look(struct mm_asking *a, struct mm_outcome *out)
{
	int status = 0;

	mm_buf_init(&out->der, MM_CERT_MAX);
	switch (mm_child_run(&a->child, &status)) {
	case MM_CHILD_WAIT:
		return false;
	case MM_CHILD_ENDED:
		ended(a, status, out);
		return true;
	case MM_CHILD_LATE:
		mm_outcome_say(out, MM_FORWARD_LOST, "the program did not end in time");
		return true;
	case MM_CHILD_FLOODS:
		mm_outcome_say(out, MM_FORWARD_LOST, "the program wrote too much");
		return true;
	case MM_CHILD_NOTHING:
		break;
	}
	mm_outcome_say(out, MM_FORWARD_AWAY, a->child.note[0] != '\0' ?
	    a->child.note : "the program cannot be started");
	return true;
}

static void
done(struct mm_asking *a)
{
	mm_child_done(&a->child);
	if (a->file[0] != '\0')
		(void)unlink(a->file);
	a->file[0] = '\0';
}

/* ---- the process ---- */

static enum mm_err
open_way(const struct mm_config *c, const char *folder, void **ctx,
    struct mm_why *why)
{
	(void)c, (void)folder, (void)why;
	*ctx = NULL;
	return MM_OK;
}

static void
close_way(void **ctx)
{
	(void)ctx;
}

static enum mm_err
wait_for(void *ctx, const struct mm_asking *at, struct pollfd *wake, nfds_t n,
    int ms, struct mm_why *why)
{
	struct pollfd p[4 + MM_REGISTRAR_MOST];
	nfds_t all = n;

	(void)ctx;
	MM_INVARIANT(n <= 4);
	memcpy(p, wake, n * sizeof(*wake));
	for (size_t i = 0; i < MM_REGISTRAR_MOST; i++)
		if (at[i].used)
			p[all++] = mm_child_wish(&at[i].child);
	if (poll(p, all, ms) < 0) {
		for (nfds_t i = 0; i < n; i++)
			wake[i].revents = 0;
		return errno == EINTR ? MM_OK : MM_FAIL(why, MM_ESYS,
		    "poll: %s", strerror(errno));
	}
	memcpy(wake, p, n * sizeof(*wake));
	return MM_OK;
}

/* see registrar.h */
const struct mm_way mm_way_exec = { .name = "mintmark-reg",
	.log = "mintmark-registrar", .role = "registrar", .est = false, .open = open_way,
	.close = close_way, .start = start, .look = look, .done = done,
	.wait = wait_for };
