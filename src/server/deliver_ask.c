#include "server/deliver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/own.h"
#include "base/time.h"
#include "server/mail.h"

/* Deliveries out of turn: each is a request that waits for its outcome. */

static void
ask_free(struct mm_ask *a)
{
	mm_buf_done(&a->parcel.body);
	free(a);
}

static void
ask_answer(struct mm_deliver *d, struct mm_ask *a,
    const struct mm_deliver_rep *rep)
{
	struct mm_http_resp resp = { .status = 200,
		.content_type = "application/json",
		.body = MM_BUF_INIT(4096) };
	struct mm_json j = mm_json_over(&resp.body);

	mm_json_open(&j, '{');
	mm_json_bool(&j, "delivered", rep->status / 100 == 2);
	if (rep->status != 0)
		mm_json_int(&j, "status", rep->status);
	if (rep->why[0] != '\0')
		mm_json_str(&j, "why", rep->why);
	mm_json_int(&j, "took_ms", rep->took_ms);
	if (!a->wish.mail)
		mm_json_str(&j, "webhook_id", a->parcel.id);
	mm_json_close(&j, '}');
	mm_http_answer(d->s->http, a->wish.ref, &resp);
}

/* Out of the list, and away. */
static void
ask_end(struct mm_deliver *d, struct mm_ask *a,
    const struct mm_deliver_rep *rep)
{
	struct mm_ask **at = &d->asks;

	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	ask_answer(d, a, rep);
	ask_free(a);
	pthread_mutex_lock(&d->lock);
	d->nasks--;
	pthread_mutex_unlock(&d->lock);
}

/* see deliver.h */
void
mm_ask_fail(struct mm_deliver *d, struct mm_ask *a, const char *text)
{
	struct mm_deliver_rep rep = { 0 };

	snprintf(rep.why, sizeof(rep.why), "%s", text);
	ask_end(d, a, &rep);
}

static enum mm_err
test_body(struct mm_deliver *d, struct mm_ask *a, struct mm_why *why)
{
	struct mm_json j = mm_json_over(&a->parcel.body);

	snprintf(a->parcel.id, sizeof(a->parcel.id), "%s.test.%s", d->origin,
	    a->wish.request);
	mm_json_open(&j, '{');
	mm_json_str(&j, "type", "webhook.test");
	mm_json_time(&j, "timestamp", mm_now_ms());
	mm_json_open_key(&j, "data", '{');
	mm_json_str(&j, "webhook", a->wish.hook.id);
	mm_json_close(&j, '}');
	mm_json_close(&j, '}');
	return mm_buf_ok(&a->parcel.body, why);
}

static enum mm_err
letter_body(struct mm_deliver *d, struct mm_ask *a, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf entry = MM_BUF_INIT(MM_ENTRY_MAX);
	struct mm_json j = mm_json_over(&a->parcel.body);
	char ca_serial[MM_CA_SERIAL_TEXT];
	struct mm_entry_view v;

	MM_TRY(mm_get_entry(mm_desk_reader(d->desk), a->wish.index, &entry,
	    why));
	mm_entry_look(mm_buf_view(&entry), &v);
	MM_TRY(mm_event_ca_serial(mm_desk_reader(d->desk), &v, ca_serial,
	    why));
	mm_parcel_name(d, &a->wish.hook, a->wish.index, a->wish.index,
	    a->parcel.id);
	if (!a->wish.hook.batch) {
		mm_event_body(&a->parcel.body, a->wish.index,
		    mm_buf_view(&entry), ca_serial);
		return mm_buf_ok(&a->parcel.body, why);
	}
	mm_event_bodies_open(&j);
	mm_event_put(&j, a->wish.index, mm_buf_view(&entry), ca_serial);
	mm_event_bodies_close(&j, v.at);
	return mm_buf_ok(&a->parcel.body, why);
}

/* see deliver.h */
void
mm_ask_step(struct mm_deliver *d, struct mm_ask *a)
{
	struct mm_why why = { 0 };
	enum mm_err rc = MM_OK;
	int64_t late = MM_DELIVER_LATE_MS + (a->wish.mail ?
	    MM_COURIER_MAIL_MS :
	    d->s->config->set.webhook_timeout_s * 1000);

	if (d->keyless[0] != '\0' && !a->wish.mail) {
		mm_ask_fail(d, a, d->keyless);
		return;
	}
	if (a->lost) {
		mm_ask_fail(d, a, MM_COURIER_GONE);
		return;
	}
	if (mm_mono_ms() - a->began > late) {
		mm_ask_fail(d, a, "the courier did not answer");
		return;
	}
	if (a->parcel.tag != 0)
		return;
	if (a->parcel.body.n == 0 && a->wish.mail)
		rc = mm_mail_test(d->s, a->wish.request, &a->parcel.body,
		    &why);
	else if (a->parcel.body.n == 0)
		rc = a->wish.letter ? letter_body(d, a, &why)
				    : test_body(d, a, &why);
	if (rc != MM_OK)
		mm_ask_fail(d, a, why.text);
	else
		(void)mm_deliver_send(d, a->wish.mail ? NULL : &a->wish.hook,
		    &a->parcel);
}

/* see deliver.h */
void
mm_ask_outcome(struct mm_deliver *d, struct mm_ask *a,
    const struct mm_deliver_rep *rep)
{
	struct mm_why why = { 0 };

	if (a->wish.letter && rep->status / 100 == 2 &&
	    mm_deliver_unbury(d, a->wish.hook.id, a->wish.index, &why) !=
	    MM_OK)
		MM_LOG(MM_LOG_WARN, "webhook", MM_S("webhook",
		    a->wish.hook.id), MM_S("why", why.text));
	if (a->wish.mail && rep->status / 100 == 2)
		mm_mail_again(d->mail);
	ask_end(d, a, rep);
}

/* see hook.h */
enum mm_err
mm_deliver_ask(struct mm_deliver *d, const struct mm_hook_wish *wish,
    struct mm_why *why)
{
	struct mm_ask *a = calloc(1, sizeof(*a));
	enum mm_err rc = MM_OK;

	if (a == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	a->wish = *wish;
	a->began = mm_mono_ms();
	mm_buf_init(&a->parcel.body, MM_IPC_FRAME_MAX);
	pthread_mutex_lock(&d->lock);
	if ((wish->mail ? d->s->config->set.mail_to.n == 0 :
	    !d->s->config->set.webhooks) || d->closed)
		rc = MM_FAIL(why, MM_EAGAIN, "there is no courier");
	else if (d->nasks >= MM_ASKS_MOST)
		rc = MM_FAIL(why, MM_EAGAIN, "too many are under way");
	if (rc == MM_OK) {
		a->next = d->fresh_asks;
		d->fresh_asks = a;
		d->nasks++;
	}
	pthread_mutex_unlock(&d->lock);
	if (rc != MM_OK)
		ask_free(a);
	else
		mm_deliver_grown(d);
	return rc;
}
