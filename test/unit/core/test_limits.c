#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/priv.h"

/* What limits a credential, and who may decide an approval. */

#define ROWS(a) (sizeof(a) / sizeof((a)[0]))
#define ROW(what, yes)                                     \
	do {                                               \
		if (!(yes))                                \
			fail_msg("row %s", what);          \
	} while (0)

static void
scopes(void **state)
{
	static const struct {
		const char *text;
		bool good;
		const char *product, *batch;
		bool sees;
	} rows[] = {
		{ "", true, "anything", "", true },
		{ "product:thermo", true, "thermo", "", true },
		{ "product:thermo", true, "thermo2", "", false },
		{ "product:thermo", true, "therm", "", false },
		{ "product:thermo", true, "", "", false },
		{ "product:valve,product:thermo", true, "thermo", "", true },
		{ "product:valve,product:thermo", true, "valve", "B1", true },
		{ "batch:B7", true, "thermo", "", false },
		{ "batch:B7", true, "thermo", "B7", true },
		{ "product:thermo,batch:B7", true, "thermo", "B7", true },
		{ "product:thermo,batch:B7", true, "thermo", "", false },
		{ "product:thermo,batch:B7", true, "valve", "B7", false },
		{ "product:thermo,", false, NULL, NULL, false },
		{ ",product:thermo", false, NULL, NULL, false },
		{ "product:", false, NULL, NULL, false },
		{ "product:a b", false, NULL, NULL, false },
		{ "product:thermo,product:thermo", false, NULL, NULL, false },
		{ "batch:B7,batch:B7", false, NULL, NULL, false },
		{ "thermo", false, NULL, NULL, false },
		{ "Product:thermo", false, NULL, NULL, false },
		{ "product:thermo product:x", false, NULL, NULL, false },
		{ "product:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false, NULL,
		    NULL, false },
		{ "batch:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false, NULL,
		    NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_scope s;
		enum mm_err rc = mm_scope_parse(rows[i].text, &s, NULL);

		ROW(rows[i].text, (rc == MM_OK) == rows[i].good);
		if (rc == MM_OK)
			ROW(rows[i].text, mm_scope_sees(&s, rows[i].product,
			    rows[i].batch) == rows[i].sees);
	}
}

static void
scopes_are_in_order(void **state)
{
	char text[MM_SCOPE_TEXT] = "";
	struct mm_scope s;

	(void)state;
	for (unsigned i = MM_SCOPE_MOST; i-- > 0;)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
		    "%sproduct:p%02u", text[0] != '\0' ? "," : "", i);
	assert_int_equal(mm_scope_parse(text, &s, NULL), MM_OK);
	assert_int_equal(s.nproducts, MM_SCOPE_MOST);
	for (unsigned i = 1; i < s.nproducts; i++)
		assert_true(strcmp(s.product[i - 1], s.product[i]) < 0);
	strcat(text, ",product:q");
	assert_int_equal(mm_scope_parse(text, &s, NULL), MM_EINPUT);
}

static void
sources(void **state)
{
	static const struct {
		const char *text, *peer;
		bool good, holds;
	} rows[] = {
		{ "", "203.0.113.9", true, true },
		{ "10.0.0.0/8", "10.255.255.255", true, true },
		{ "10.0.0.0/8", "11.0.0.0", true, false },
		{ "10.0.0.0/8", "::1", true, false },
		{ "192.0.2.1", "192.0.2.1", true, true },
		{ "192.0.2.1", "192.0.2.0", true, false },
		{ "192.0.2.0/31", "192.0.2.1", true, true },
		{ "192.0.2.0/31", "192.0.2.2", true, false },
		{ "0.0.0.0/0", "255.255.255.255", true, true },
		{ "0.0.0.0/0", "2001:db8::1", true, false },
		{ "::/0", "10.0.0.1", true, true },
		{ "2001:db8::/32", "2001:db8:ffff::1", true, true },
		{ "2001:db8::/32", "2001:db9::1", true, false },
		{ "2001:db8::/33", "2001:db8:8000::1", true, false },
		{ "::1", "::1", true, true },
		{ "::1,10.0.0.1", "10.0.0.1", true, true },
		{ "10.0.0.1/8", NULL, false, false },
		{ "10.0.0.0/33", NULL, false, false },
		{ "10.0.0.0/-1", NULL, false, false },
		{ "10.0.0.0/", NULL, false, false },
		{ "10.0.0.0/8/8", NULL, false, false },
		{ "2001:db8::1/32", NULL, false, false },
		{ "::/129", NULL, false, false },
		{ "10.0.0", NULL, false, false },
		{ "10.0.0.0/8,", NULL, false, false },
		{ ",10.0.0.0/8", NULL, false, false },
		{ "10.0.0.0/8,,::1", NULL, false, false },
		{ "localhost", NULL, false, false },
		{ "10.0.0.0 /8", NULL, false, false },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		char mapped[64];
		struct in6_addr peer;
		enum mm_err rc = mm_sources_check(rows[i].text, NULL);

		ROW(rows[i].text, (rc == MM_OK) == rows[i].good);
		if (rc != MM_OK)
			continue;
		snprintf(mapped, sizeof(mapped), "%s%s",
		    strchr(rows[i].peer, ':') ? "" : "::ffff:", rows[i].peer);
		assert_int_equal(inet_pton(AF_INET6, mapped, &peer), 1);
		ROW(rows[i].text, mm_sources_hold(rows[i].text, &peer) ==
		    rows[i].holds);
	}
}

/* ---- approvals ---- */

static struct mm_approval
waits(void)
{
	int64_t now = mm_now_ms();

	return (struct mm_approval){ .id = "1", .requester = "asker",
		.requested_at = now - 1000, .expires_at = now + 100000,
		.state = MM_APPROVAL_WAITING };
}

static struct mm_operator
admin(const char *id, const char *name)
{
	struct mm_operator o = { .roles = "admin", .created_at = 1 };

	strcpy(o.id, id);
	strcpy(o.name, name);
	return o;
}

/* What can become what: all pairs. */
static void
approvals_become(void **state)
{
	static const char may[MM_APPROVAL_STATES][MM_APPROVAL_STATES + 1] = {
		/* waiting approved refused expired used */
		[MM_APPROVAL_WAITING] = "-yy--",
		[MM_APPROVAL_APPROVED] = "--y-y",
		[MM_APPROVAL_REFUSED] = "-----",
		[MM_APPROVAL_EXPIRED] = "-----",
		[MM_APPROVAL_USED] = "-----",
	};
	const struct mm_operator asked = admin("asker", "A"),
	    other = admin("other", "B");

	(void)state;
	for (unsigned from = 0; from < MM_APPROVAL_STATES; from++)
		for (unsigned to = 0; to < MM_APPROVAL_STATES; to++) {
			struct mm_approval a = waits();
			enum mm_err rc;

			if (to == MM_APPROVAL_WAITING ||
			    to == MM_APPROVAL_EXPIRED)
				continue;
			a.state = (enum mm_approval_state)from;
			strcpy(a.decider, "other");
			rc = to == MM_APPROVAL_USED ?
			    mm_approval_may_use(&a, &other, NULL) :
			    mm_approval_may_decide(&a,
			    (enum mm_approval_state)to, &asked, &other, NULL);
			assert_int_equal(rc, may[from][to] == 'y' ? MM_OK
								  :
			    MM_ECONFLICT);
		}
}

/* What takes several calls: until its time, and by who may. */
static void
used_again(void **state)
{
	struct mm_operator other = admin("other", "Other");
	struct mm_approval a = waits();

	(void)state;
	a.state = MM_APPROVAL_USED;
	strcpy(a.decider, "other");
	a.expires_at = mm_now_ms(); /* it was used in time */
	a.good_until = mm_now_ms() + 60000;
	assert_int_equal(mm_approval_may_use(&a, &other, NULL), MM_OK);
	other.revoked_at = 1;
	assert_int_equal(mm_approval_may_use(&a, &other, NULL), MM_EPOLICY);
	other.revoked_at = 0;
	a.good_until = mm_now_ms();
	assert_int_equal(mm_approval_may_use(&a, &other, NULL), MM_ECONFLICT);
	a.good_until = mm_now_ms() + 60000;
	a.state = MM_APPROVAL_REFUSED;
	assert_int_equal(mm_approval_may_use(&a, &other, NULL), MM_ECONFLICT);
}

static void
young(struct mm_approval *a, struct mm_operator *o)
{
	o->created_at = a->requested_at;
}
static void
same_id(struct mm_approval *a, struct mm_operator *o)
{
	strcpy(o->id, a->requester);
}
static void
same_name(struct mm_approval *a, struct mm_operator *o)
{
	(void)a;
	strcpy(o->name, "ASKER'S NAME");
}
static void
spaced_name(struct mm_approval *a, struct mm_operator *o)
{
	(void)a;
	strcpy(o->name, " asker's  name\t");
}
static void
no_name(struct mm_approval *a, struct mm_operator *o)
{
	(void)a;
	o->name[0] = '\0';
}
static void
longer_name(struct mm_approval *a, struct mm_operator *o)
{
	(void)a;
	strcpy(o->name, "Asker's name 2");
}
static void
line(struct mm_approval *a, struct mm_operator *o)
{
	(void)a;
	strcpy(o->roles, "line,operator");
}
static void
limited(struct mm_approval *a, struct mm_operator *o)
{
	(void)a;
	strcpy(o->scope, "product:thermo");
}
static void
recovered(struct mm_approval *a, struct mm_operator *o)
{
	(void)a;
	o->kind = MM_OPERATOR_RECOVERY;
}
static void
revoked(struct mm_approval *a, struct mm_operator *o)
{
	(void)a;
	o->revoked_at = 5;
}
static void
ended(struct mm_approval *a, struct mm_operator *o)
{
	(void)a;
	o->expires_at = 5;
}
static void
late(struct mm_approval *a, struct mm_operator *o)
{
	(void)o;
	a->expires_at = mm_now_ms();
}
static void
nothing(struct mm_approval *a, struct mm_operator *o)
{
	(void)a, (void)o;
}

static void
who_decides(void **state)
{
	static const struct {
		const char *what;
		void (*change)(struct mm_approval *a, struct mm_operator *o);
		enum mm_err approve, refuse, use;
	} rows[] = {
		{ "another", nothing, MM_OK, MM_OK, MM_OK },
		{ "oneself", same_id, MM_EPOLICY, MM_OK, MM_EPOLICY },
		{ "the same name", same_name, MM_EPOLICY, MM_OK, MM_OK },
		{ "but for spaces", spaced_name, MM_EPOLICY, MM_OK, MM_OK },
		{ "no name", no_name, MM_EPOLICY, MM_OK, MM_OK },
		{ "a longer name", longer_name, MM_OK, MM_OK, MM_OK },
		{ "younger", young, MM_EPOLICY, MM_OK, MM_OK },
		{ "no administrator", line, MM_EPOLICY, MM_EPOLICY,
		    MM_EPOLICY },
		{ "limited", limited, MM_EPOLICY, MM_EPOLICY, MM_EPOLICY },
		{ "recovered", recovered, MM_EPOLICY, MM_EPOLICY,
		    MM_EPOLICY },
		{ "revoked", revoked, MM_EPOLICY, MM_EPOLICY, MM_EPOLICY },
		{ "ended", ended, MM_EPOLICY, MM_EPOLICY, MM_EPOLICY },
		{ "too late", late, MM_ECONFLICT, MM_ECONFLICT,
		    MM_ECONFLICT },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_operator asked = admin("asker", "Asker's name");
		struct mm_operator o = admin("other", "Other");
		struct mm_approval a = waits();

		rows[i].change(&a, &o);
		ROW(rows[i].what, mm_approval_may_decide(&a,
		    MM_APPROVAL_APPROVED, &asked, &o, NULL) ==
		    rows[i].approve);
		ROW(rows[i].what, mm_approval_may_decide(&a,
		    MM_APPROVAL_REFUSED, &asked, &o, NULL) ==
		    rows[i].refuse);
		a.state = MM_APPROVAL_APPROVED;
		strcpy(a.decider, "other");
		ROW(rows[i].what, mm_approval_may_use(&a, &o, NULL) ==
		    rows[i].use);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scopes),
		cmocka_unit_test(scopes_are_in_order),
		cmocka_unit_test(sources),
		cmocka_unit_test(approvals_become),
		cmocka_unit_test(used_again),
		cmocka_unit_test(who_decides),
	};

	return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
