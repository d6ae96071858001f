#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/child.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/own.h"
#include "base/time.h"
#include "pki/foreign.h"
#include "sandbox/sandbox.h"
#include "server/upstream.h"

/*
 * The registrar: gets certificates of CAs that are not ours, by a program of
 * the maker's.  It is the one process that has what is needed for that, and
 * the server can have nothing of it but what a profile allows: names, key and
 * possession are looked at again here, by a configuration that the server
 * cannot write, the profile's ceilings are counted, and what comes back is
 * held against the profile before anybody sees it.  It has no database, no
 * key of ours and no link but the server's.
 *
 * The program is not confined: what it needs only its maker knows.
 */
enum {
	MOST = 256,          /* at a time; the core asks for fewer */
	WAIT_MS = 1000,
	EXIT_LATER = 75,     /* sysexits.h: EX_TEMPFAIL */
	EXIT_NO = 77,        /* EX_NOPERM */
	PEM_MAX = 64 * 1024,
	JOB_MAX = 16 * 1024,
};

struct asking {
	struct mm_child child;
	struct mm_buf frame;     /* what q points into */
	struct mm_forward_req q;
	struct mm_csr csr;
	const struct mm_issuer_conf *issuer;
	const struct mm_profile *profile;
	char file[64];
	uint32_t tag;
	bool used;
};

struct spent { /* of a profile */
	int64_t minute, day;
	int64_t in_minute, in_day;
};

struct registrar {
	const struct mm_config *config;
	struct spent *spent;         /* of each of its profiles */
	struct mm_key_templates *templates;
	int link;
	char folder[32];
	struct mm_buf in, out;
	struct asking at[MOST];
	unsigned used;
};

/* ---- answers ---- */

static enum mm_err
reply(struct registrar *r, uint32_t tag, const struct mm_forward_rep *rep,
    struct mm_why *why)
{
	mm_frame_begin(&r->out, MM_IPC_FORWARD);
	if (!mm_frame_put_rep(&r->out, tag, MM_OK, NULL, rep))
		return MM_FAIL(why, MM_EBUG, "an answer does not fit");
	return mm_ipc_send(r->link, mm_buf_view(&r->out), why);
}

static const char *const words[MM_FORWARDS] = {
	[MM_FORWARD_MADE] = "made", [MM_FORWARD_REFUSED] = "refused",
	[MM_FORWARD_WRONG] = "wrong answer", [MM_FORWARD_AWAY] = "away",
	[MM_FORWARD_LOST] = "no answer",
};

/* A record that the server's user cannot write. */
static void
tell(const struct mm_forward_req *q, const struct mm_forward_rep *rep)
{
	char id[33];

	mm_hex_text(q->id, sizeof(q->id), id);
	MM_LOG(rep->how == MM_FORWARD_MADE ? MM_LOG_INFO : MM_LOG_WARN,
	    "forwarded", MM_S("issuer", q->issuer), MM_S("device", q->device),
	    MM_S("profile", q->profile), MM_S("request", id),
	    MM_S("result", words[rep->how]), MM_S("why", rep->why));
}

static enum mm_err
end(struct registrar *r, struct asking *a, const struct mm_forward_rep *rep,
    struct mm_why *why)
{
	enum mm_err rc;

	tell(&a->q, rep);
	rc = reply(r, a->tag, rep, why);
	if (a->file[0] != '\0')
		(void)unlink(a->file);
	a->file[0] = '\0';
	mm_buf_done(&a->frame);
	mm_child_done(&a->child);
	a->used = false;
	r->used--;
	return rc;
}

static enum mm_err
end_as(struct registrar *r, struct asking *a, enum mm_forwarded how,
    const char *text, struct mm_why *why)
{
	struct mm_forward_rep rep = { .how = (uint8_t)how };

	snprintf(rep.why, sizeof(rep.why), "%s", text);
	return end(r, a, &rep, why);
}

/* ---- what may be asked ---- */

static bool
spend(struct registrar *r, const struct mm_profile *p)
{
	struct spent *s = &r->spent[p - r->config->profile];
	int64_t now = mm_now_s();

	if (s->minute != now / 60)
		s->in_minute = 0;
	if (s->day != now / 86400)
		s->in_day = 0;
	s->minute = now / 60;
	s->day = now / 86400;
	if ((p->per_minute > 0 && s->in_minute >= p->per_minute) ||
	    (p->per_day > 0 && s->in_day >= p->per_day))
		return false;
	s->in_minute++;
	s->in_day++;
	return true;
}

static struct mm_foreign
foreign_of(const struct asking *a, const struct mm_buf *ca)
{
	return (struct mm_foreign){ .profile = a->profile,
		.device = a->q.device, .product = a->q.product,
		.issuer = mm_buf_view(ca) };
}

/* As the signer does with what it is asked; the server is not believed. */
static enum mm_err
check(struct registrar *r, struct asking *a, struct mm_why *why)
{
	const struct mm_config *c = r->config;
	struct mm_buf none = MM_BUF_INIT(0);
	struct mm_foreign what;

	a->profile = mm_config_profile(c, a->q.profile);
	if (a->profile == NULL ||
	    a->profile->version != a->q.profile_version)
		return MM_FAIL(why, MM_EPOLICY, "the registrar has no profile "
		    "%s@%u", a->q.profile, a->q.profile_version);
	a->issuer = mm_config_issuing(c, a->profile->issuer, mm_now_s());
	if (a->issuer == NULL || !mm_issuer_upstream(a->issuer) ||
	    strcmp(a->issuer->name, a->q.issuer) != 0)
		return MM_FAIL(why, MM_EPOLICY, "profile %s is not of issuer "
		    "%s now", a->q.profile, a->q.issuer);
	if (!mm_device_id_valid(a->q.device) || (a->q.product[0] != '\0' &&
	    !mm_name_valid(a->q.product)))
		return MM_FAIL(why, MM_EPOLICY, "not a device's name");
	MM_TRY(mm_csr_walk(a->q.csr, &a->csr, why));
	if (!mm_profile_takes_key(a->profile, a->csr.spki.type))
		return MM_FAIL(why, MM_EPOLICY, "profile %s takes no such key",
		    a->q.profile);
	MM_TRY(mm_csr_verify(&a->csr, NULL, r->templates, why));
	what = foreign_of(a, &none);
	MM_TRY(mm_foreign_request(&a->csr, &what, why));
	return spend(r, a->profile) ? MM_OK :
	    MM_FAIL(why, MM_EPOLICY, "profile %s: its ceiling is reached",
		a->q.profile);
}

/* ---- what the program is given ---- */

static enum mm_err
put_names(struct mm_json *j, const char *key,
    const struct mm_conf_list *items, const struct asking *a,
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
put_facts(const struct asking *a, struct mm_buf *out, struct mm_why *why)
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
put_file(struct registrar *r, struct asking *a, struct mm_why *why)
{
	struct mm_buf pem = MM_BUF_INIT(2 * MM_CSR_MAX);
	enum mm_err rc;

	snprintf(a->file, sizeof(a->file), "%s/%u.csr", r->folder,
	    (unsigned)(a - r->at));
	mm_pem_put(&pem, "CERTIFICATE REQUEST", a->q.csr);
	rc = mm_file_replace(a->file, mm_buf_view(&pem), 0600, why);
	mm_buf_done(&pem);
	return rc;
}

/* The file's name is the last argument. */
static enum mm_err
start(struct registrar *r, struct asking *a, struct mm_why *why)
{
	struct mm_buf facts = MM_BUF_INIT(JOB_MAX);
	struct mm_conf_list argv = a->issuer->exec;
	enum mm_err rc = put_file(r, a, why);

	if (rc == MM_OK && argv.n == MM_CONF_LIST_MAX)
		rc = MM_FAIL(why, MM_ELIMIT, "exec: too many arguments");
	if (rc == MM_OK)
		rc = put_facts(a, &facts, why);
	if (rc == MM_OK) {
		snprintf(argv.item[argv.n++], MM_CONF_ITEM_MAX, "%s",
		    a->file);
		mm_child_begin(&a->child, &argv, a->issuer->answer_within_s,
		    mm_buf_view(&facts));
	}
	mm_buf_done(&facts);
	return rc;
}

static struct asking *
unused(struct registrar *r)
{
	for (size_t i = 0; i < MOST; i++)
		if (!r->at[i].used)
			return &r->at[i];
	return NULL;
}

/* One item a frame; the asking takes the frame, its request lies in it. */
static enum mm_err
hear(struct registrar *r, struct mm_why *why)
{
	const struct mm_msg *m = mm_ipc_msg(MM_IPC_FORWARD);
	struct asking *a = unused(r);
	struct mm_why no = { 0 };
	struct mm_frame f;
	struct mm_bytes body;

	MM_TRY(mm_ipc_recv(r->link, &r->in, why));
	MM_TRY(mm_frame_parse(mm_buf_view(&r->in), &f, why));
	if (f.kind != MM_IPC_FORWARD || f.answer ||
	    !mm_frame_next(&f, &a->tag, &body))
		return MM_FAIL(why, MM_EINPUT, "not a request");
	MM_TRY(mm_fields_get(body, m->req, m->nreq, &a->q, why));
	a->frame = r->in;
	mm_buf_init(&r->in, MM_IPC_FRAME_MAX);
	mm_child_init(&a->child);
	a->file[0] = '\0';
	a->used = true;
	r->used++;
	if (check(r, a, &no) != MM_OK)
		return end_as(r, a, MM_FORWARD_REFUSED, no.text, why);
	if (start(r, a, &no) != MM_OK)
		return end_as(r, a, MM_FORWARD_AWAY, no.text, why);
	return MM_OK;
}

/* ---- what the program says ---- */

static enum mm_err
first_cert(struct mm_bytes said, struct mm_buf *der, struct mm_why *why)
{
	if (said.n > 0 && said.p[0] == 0x30) {
		mm_buf_bytes(der, said);
		return mm_buf_ok(der, why);
	}
	return mm_pem_next(&said, "CERTIFICATE", der, why);
}

/* Of the file each time: it may have been replaced, and there is time. */
static enum mm_err
lint(const struct asking *a, struct mm_bytes der, struct mm_why *why)
{
	struct mm_buf pem = MM_BUF_INIT(PEM_MAX);
	struct mm_buf ca = MM_BUF_INIT(MM_CERT_MAX);
	enum mm_err rc = mm_file_read(a->issuer->certificate, &pem, why);
	struct mm_bytes rest = mm_buf_view(&pem);
	struct mm_foreign what;

	if (rc == MM_OK)
		rc = mm_pem_next(&rest, "CERTIFICATE", &ca, why);
	what = foreign_of(a, &ca);
	if (rc == MM_OK)
		rc = mm_foreign_lint(der, &a->csr, &what, mm_now_s(), why);
	mm_buf_done(&ca);
	mm_buf_done(&pem);
	return rc;
}

static enum mm_err
take_answer(struct registrar *r, struct asking *a, struct mm_why *why)
{
	struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	struct mm_forward_rep rep = { .how = MM_FORWARD_MADE };
	struct mm_why no = { 0 };
	struct mm_cert c;
	enum mm_err rc;

	if (first_cert(mm_buf_view(&a->child.said), &der, NULL) != MM_OK ||
	    mm_cert_walk(mm_buf_view(&der), &c, NULL) != MM_OK) {
		mm_buf_done(&der);
		return end_as(r, a, MM_FORWARD_LOST, "what the program wrote "
		    "is no certificate", why);
	}
	rep.der = mm_buf_view(&der);
	if (lint(a, rep.der, &no) != MM_OK) {
		rep.how = MM_FORWARD_WRONG;
		snprintf(rep.why, sizeof(rep.why), "the certificate: %.140s",
		    no.text);
	}
	rc = end(r, a, &rep, why);
	mm_buf_done(&der);
	return rc;
}

/* Only who says so has made nothing: a program that fell over may have had its
 * certificate made before. */
static enum mm_forwarded
how_of(int status)
{
	return status == EXIT_LATER ? MM_FORWARD_AWAY :
	    status == EXIT_NO ? MM_FORWARD_REFUSED : MM_FORWARD_LOST;
}

static enum mm_err
ended(struct registrar *r, struct asking *a, int status, struct mm_why *why)
{
	char text[64];

	if (WIFSIGNALED(status)) {
		snprintf(text, sizeof(text), "the program was ended by signal "
		    "%d", WTERMSIG(status));
		return end_as(r, a, MM_FORWARD_LOST, text, why);
	}
	if (WEXITSTATUS(status) == 0)
		return take_answer(r, a, why);
	snprintf(text, sizeof(text), "the program ended with %d",
	    WEXITSTATUS(status));
	return end_as(r, a, how_of(WEXITSTATUS(status)), text, why);
}

static enum mm_err
look(struct registrar *r, struct asking *a, struct mm_why *why)
{
	int status = 0;

	switch (mm_child_run(&a->child, &status)) {
	case MM_CHILD_WAIT:
		return MM_OK;
	case MM_CHILD_ENDED:
		return ended(r, a, status, why);
	case MM_CHILD_LATE:
		return end_as(r, a, MM_FORWARD_LOST, "the program did not end "
		    "in time", why);
	case MM_CHILD_FLOODS:
		return end_as(r, a, MM_FORWARD_LOST, "the program wrote too "
		    "much", why);
	case MM_CHILD_NOTHING:
		break;
	}
	return end_as(r, a, MM_FORWARD_AWAY, a->child.note[0] != '\0' ?
	    a->child.note : "the program cannot be started", why);
}

/* ---- the loop ---- */

static int
wait_ms(const struct registrar *r)
{
	int64_t now = mm_mono_ms(), least = WAIT_MS;

	if (r->used == 0)
		return -1;
	for (size_t i = 0; i < MOST; i++)
		if (r->at[i].used && r->at[i].child.end_ms - now < least)
			least = r->at[i].child.end_ms - now;
	return least < 0 ? 0 : (int)least;
}

static enum mm_err
turn(struct registrar *r, struct mm_why *why)
{
	struct pollfd p[1 + MOST] = { { .fd = -1, .events = POLLIN } };
	nfds_t n = 1;

	if (r->used < MOST)
		p[0].fd = r->link;
	for (size_t i = 0; i < MOST; i++)
		if (r->at[i].used)
			p[n++] = mm_child_wish(&r->at[i].child);
	if (poll(p, n, wait_ms(r)) < 0 && errno != EINTR)
		return MM_FAIL(why, MM_ESYS, "poll: %s", strerror(errno));
	for (size_t i = 0; i < MOST; i++)
		if (r->at[i].used)
			MM_TRY(look(r, &r->at[i], why));
	return p[0].revents != 0 ? hear(r, why) : MM_OK;
}

/* Until the server closes its end; what runs then is ended with us. */
static enum mm_err
serve(struct registrar *r, struct mm_why *why)
{
	enum mm_err rc = MM_OK;

	while (rc == MM_OK)
		rc = turn(r, why);
	return rc == MM_ENOTFOUND ? MM_OK : rc;
}

/* ---- the process ---- */

static enum mm_err
run(struct registrar *r, struct mm_why *why)
{
	const struct mm_settings *set = &r->config->set;

	MM_TRY(mm_sandbox_drop(set->registrar_user[0] != '\0' ?
	    set->registrar_user : set->server_user, NULL, why));
	(void)prctl(PR_SET_NAME, "mintmark-reg");
	MM_TRY(mm_sandbox_harden(0, why));
	MM_TRY(mm_key_templates_new(NULL, &r->templates, why));
	strcpy(r->folder, "/tmp/mintmark-XXXXXX");
	if (mkdtemp(r->folder) == NULL)
		return MM_FAIL(why, MM_ESYS, "%s: %s", r->folder,
		    strerror(errno));
	return serve(r, why);
}

static void
done(struct registrar *r)
{
	for (size_t i = 0; i < MOST; i++) {
		if (!r->at[i].used)
			continue;
		mm_child_done(&r->at[i].child);
		mm_buf_done(&r->at[i].frame);
		(void)unlink(r->at[i].file);
	}
	if (r->folder[0] != '\0')
		(void)rmdir(r->folder);
	mm_key_templates_free(&r->templates);
	mm_buf_done(&r->in);
	mm_buf_done(&r->out);
	free(r->spent);
	free(r);
}

/* see priv.h */
int
mm_registrar_run(const struct mm_run_args *args)
{
	MM_OWN(mm_config_free) struct mm_config *config = NULL;
	struct mm_why why = { 0 };
	enum mm_err rc = mm_config_load(args->config_path, &config, &why);
	struct registrar *r = calloc(1, sizeof(*r));

	if (rc == MM_OK && r != NULL)
		r->spent = calloc(config->nprofile + 1, sizeof(*r->spent));
	if (rc != MM_OK || r == NULL || r->spent == NULL) {
		free(r);
		return mm_server_fail("registrar", rc, &why);
	}
	mm_log_open("mintmark-registrar",
	    (enum mm_log_level)config->set.log_level);
	(void)signal(SIGPIPE, SIG_IGN);
	r->config = config;
	r->link = args->control;
	mm_buf_init(&r->in, MM_IPC_FRAME_MAX);
	mm_buf_init(&r->out, MM_IPC_FRAME_MAX);
	rc = run(r, &why);
	done(r);
	return rc == MM_OK ? 0 : mm_server_fail("registrar", rc, &why);
}
