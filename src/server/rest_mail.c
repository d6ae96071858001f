#include <string.h>

#include "base/time.h"
#include "server/exam.h"
#include "server/mail.h"
#include "server/rest.h"

/* Mails: how they do, and one to try. */

static const char *const tls_words[] = { [MM_MAIL_AUTO] = "auto",
	[MM_MAIL_STARTTLS] = "starttls", [MM_MAIL_SMTPS] = "smtps" };

static void
put_settings(struct mm_json *j, const struct mm_settings *set)
{
	mm_json_bool(j, "on", set->mail_to.n > 0);
	mm_json_open_key(j, "to", '[');
	for (size_t i = 0; i < set->mail_to.n; i++)
		mm_json_str(j, NULL, set->mail_to.item[i]);
	mm_json_close(j, ']');
	mm_json_str(j, "from", set->mail_from);
	mm_json_str(j, "server", set->mail_server);
	mm_json_str(j, "tls", tls_words[set->mail_tls]);
	mm_json_str(j, "least", mm_severity_words[set->mail_least]);
	mm_json_int(j, "every_s", set->mail_every_s);
	mm_json_bool(j, "digest", set->mail_digest);
}

enum mm_err
mm_rest_mail(struct mm_rest *r, struct mm_why *why)
{
	struct mm_mail_stats n;

	(void)why;
	mm_mail_stats(mm_deliver_mail(r->s->deliver), &n);
	mm_json_open(&r->j, '{');
	put_settings(&r->j, &r->s->config->set);
	mm_json_int(&r->j, "sent", (int64_t)n.sent);
	mm_json_int(&r->j, "failed", (int64_t)n.failed);
	mm_json_int(&r->j, "waiting", (int64_t)n.waiting);
	if (n.sent_at != 0)
		mm_rest_put_time(&r->j, "sent_at", n.sent_at);
	if (n.failing_since != 0) {
		mm_rest_put_time(&r->j, "failing_since", n.failing_since);
		mm_json_str(&r->j, "why", n.why);
	}
	mm_json_close(&r->j, '}');
	return MM_OK;
}

/* The delivery thread answers, once the mail server has. */
enum mm_err
mm_rest_mail_test(struct mm_rest *r, struct mm_why *why)
{
	struct mm_hook_wish w = { .mail = true, .ref = r->req->ref };

	MM_TRY(mm_rest_members(r->in, NULL, 0, NULL, why));
	if (r->s->config->set.mail_to.n == 0)
		return MM_FAIL(why, MM_ENOTFOUND, "mail_to is empty: this "
		    "server sends no mails");
	r->retry_s = mm_mail_try_in(mm_deliver_mail(r->s->deliver));
	if (r->retry_s > 0)
		return MM_FAIL(why, MM_ERATE, "%d mails to try in a minute "
		    "are the most: try again in %u s", MM_MAIL_TRIES,
		    r->retry_s);
	memcpy(w.request, r->req->id, sizeof(w.request));
	MM_TRY(mm_deliver_ask(r->s->deliver, &w, why));
	r->parked = true;
	return MM_OK;
}

/* Of several nodes; where one alone was told to send none, that is meant. */
static bool
others_mail(struct exam *e)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	uint64_t version;

	return e->r->s->config->set.node[0] != '\0' &&
	    mm_get_doc(e->r->reader, MM_DOC_NODE, MM_MAIL_DOC, &version,
	        &body, NULL) == MM_OK && mm_mail_is_sent(mm_buf_view(&body));
}

/* see exam.h */
void
mm_exam_mail(struct exam *e)
{
	struct mm_mail_stats n;

	mm_mail_stats(mm_deliver_mail(e->r->s->deliver), &n);
	if (e->r->s->config->set.mail_to.n == 0 && others_mail(e))
		mm_find(e->f, MM_CHECK_MAIL, MM_LEVEL_WARN,
		    "Give each node mail_to and what goes with it, or none "
		    "of them",
		    "a node mails alerts, or did three hours ago, and this "
		    "one has no mail_to: when it is its turn to send, none "
		    "are sent");
	else if (e->r->s->config->set.mail_to.n == 0)
		mm_find(e->f, MM_CHECK_MAIL, MM_LEVEL_OK, NULL,
		    "no mails are sent (mail_to)");
	else if (n.failing_since == 0)
		mm_find(e->f, MM_CHECK_MAIL, MM_LEVEL_OK, NULL,
		    "%llu mails were sent since the start, %llu alerts wait "
		    "for the next one", (unsigned long long)n.sent,
		    (unsigned long long)n.waiting);
	else
		mm_find(e->f, MM_CHECK_MAIL, MM_LEVEL_WARN,
		    "See to mail_server; mintmark mail test tries it",
		    "no mail is taken for %lld minutes, %llu alerts wait: "
		    "%.100s", (long long)(mm_now_ms() - n.failing_since) /
		    60000, (unsigned long long)n.waiting, n.why);
}
