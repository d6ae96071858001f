/* What a broker's file of lists takes, and what it takes for news. */
#include "../pki/fixture.h"

#include "cli/crl_set.h"

#define URL "http://pki.example.com"

/* A CA below another, or a root. */
struct node {
	EVP_PKEY *key;
	struct mm_sign *sign;
	struct mm_buf der, shown; /* shown: what others are given */
	struct mm_issuer issuer;
};

static void
join(const struct node *by, struct mm_bytes tbs, struct mm_buf *out)
{
	struct mm_buf sig = MM_BUF_INIT(1024);
	struct mm_why why = { 0 };

	OK(why, mm_sign_bytes(by->sign, tbs, &sig, &why));
	mm_cert_join(out, tbs, mm_sign_alg(by->sign), mm_buf_view(&sig));
	mm_buf_done(&sig);
}

/* keyUsage without keyCertSign, of the same length. */
static void
take_cert_sign(struct mm_buf *tbs)
{
	static const uint8_t all[] = { 0x03, 0x02, 0x01, 0x86 };
	uint8_t *at = memmem(tbs->p, tbs->n, all, sizeof(all));

	assert_non_null(at);
	at[3] = 0x82;
}

static void
node_init(struct node *n, const char *name, const struct node *above,
    int path_len, bool signs_certs)
{
	struct mm_conf_list subject = { 0 };
	struct mm_issuer_conf conf = { .name = "issuing", .crl_shards = 1 };
	struct mm_ca_fields f = { .serial = { 1, 2 },
		.not_before_s = NOW - DAY, .not_after_s = NOW + 3650 * DAY,
		.subject = &subject, .path_len = path_len, .ca = true };
	struct mm_buf spki = MM_BUF_INIT(4096), tbs = MM_BUF_INIT(8192);
	struct mm_why why = { 0 };

	*n = (struct node){ 0 };
	LIST(&subject, name);
	mm_buf_init(&n->der, MM_CERT_MAX);
	mm_buf_init(&n->shown, MM_CERT_MAX);
	OK(why, mm_key_make(MM_KEY_P256, &n->key, &why));
	OK(why, mm_sign_new(NULL, n->key, &n->sign, &why));
	OK(why, mm_key_spki(n->key, &spki, &why));
	f.spki = mm_buf_view(&spki);
	if (above != NULL) {
		f.issuer_subject = above->issuer.subject;
		f.issuer_key_id = (struct mm_bytes){ above->issuer.key_id,
			sizeof(above->issuer.key_id) };
	}
	OK(why, mm_ca_build(&f, mm_sign_alg(n->sign), &tbs, &why));
	join(above != NULL ? above : n, mm_buf_view(&tbs), &n->der);
	if (!signs_certs)
		take_cert_sign(&tbs);
	join(above != NULL ? above : n, mm_buf_view(&tbs), &n->shown);
	OK(why, mm_issuer_make(&n->issuer, &conf, URL, mm_buf_view(&n->der),
	    &why));
	mm_buf_done(&spki);
	mm_buf_done(&tbs);
}

static void
node_done(struct node *n)
{
	mm_sign_free(&n->sign);
	mm_pkey_free(&n->key);
	mm_buf_done(&n->der);
	mm_buf_done(&n->shown);
}

static void
put_list(struct mm_buf *pem, const struct node *n, uint64_t number,
    int64_t this_s)
{
	struct mm_buf tbs = MM_BUF_INIT(8192), der = MM_BUF_INIT(8192);
	struct mm_why why = { 0 };

	OK(why, mm_crl_build(&n->issuer, &(struct mm_crl_of){ number, this_s,
	    this_s + DAY, MM_CRL_WHOLE, NULL, 0 }, mm_sign_alg(n->sign), &tbs,
	    &why));
	join(n, mm_buf_view(&tbs), &der);
	mm_pem_put(pem, "X509 CRL", mm_buf_view(&der));
	mm_buf_done(&tbs);
	mm_buf_done(&der);
}

static void
put_cert(struct mm_buf *pem, const struct node *n)
{
	mm_pem_put(pem, "CERTIFICATE", mm_buf_view(&n->shown));
}

/* A root, and CAs below it, each below the last; the list of the last. */
#define DEEP 3
static const struct {
	const char *what;
	struct {
		int path_len;
		bool signs_certs;
	} ca[DEEP + 1];
	size_t n;
	enum mm_err want;
} chains[] = {
	{ "the root's own", { { -1, true } }, 1, MM_OK },
	{ "an issuing CA", { { -1, true }, { 0, true } }, 2, MM_OK },
	{ "one that signs lists only", { { -1, true }, { 0, false } }, 2,
	    MM_OK },
	{ "below one that may have none below it", { { -1, true }, { 0, true },
	    { 0, true } }, 3, MM_EAUTH },
	{ "below one that may have one", { { -1, true }, { 1, true },
	    { 0, true } }, 3, MM_OK },
	{ "... and one further", { { -1, true }, { 1, true }, { 5, true },
	    { 5, true } }, 4, MM_EAUTH },
	{ "the root's limit", { { 1, true }, { -1, true }, { -1, true } }, 3,
	    MM_EAUTH },
	{ "... is kept", { { 2, true }, { -1, true }, { -1, true } }, 3,
	    MM_OK },
	{ "below one that signs no certificates", { { -1, true },
	    { 3, false }, { 0, true } }, 3, MM_EAUTH },
};

static enum mm_err
verify_chain(size_t row)
{
	static const char *const names[] = { "CN=Root", "CN=A", "CN=B",
		"CN=C" };
	struct mm_buf anchor = MM_BUF_INIT(65536), certs = MM_BUF_INIT(65536);
	struct mm_buf pem = MM_BUF_INIT(65536);
	struct mm_crl_set set = { 0 }, none = { 0 };
	struct node node[DEEP + 1] = { 0 };
	struct mm_why why = { 0 };
	size_t n = chains[row].n;
	enum mm_err rc;

	for (size_t i = 0; i < n; i++)
		node_init(&node[i], names[i], i == 0 ? NULL : &node[i - 1],
		    chains[row].ca[i].path_len, chains[row].ca[i].signs_certs);
	put_cert(&anchor, &node[0]);
	for (size_t i = n; i > 0; i--) /* whatever order they come in */
		put_cert(&certs, &node[i - 1]);
	put_list(&pem, &node[n - 1], 7, NOW);
	OK(why, mm_crl_set_read(&set, mm_buf_view(&pem), &why));
	rc = mm_crl_set_verify(&set, &none, mm_buf_view(&anchor),
	    mm_buf_view(&certs), &why);
	mm_crl_set_done(&set);
	for (size_t i = 0; i < n; i++)
		node_done(&node[i]);
	mm_buf_done(&anchor);
	mm_buf_done(&certs);
	mm_buf_done(&pem);
	return rc;
}

static void
a_chain_has_its_limits(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(chains); i++)
		ROW(chains[i].what, verify_chain(i) == chains[i].want);
}

/* ---- one set after another ---- */

struct world {
	struct node root, a, b, thief;
	struct mm_buf anchor, certs;
};

/* The thief has the name and the key's number of a, and not its key. */
static void
world_init(struct world *w)
{
	node_init(&w->root, "CN=Root", NULL, -1, true);
	node_init(&w->a, "CN=A", &w->root, 0, true);
	node_init(&w->b, "CN=B", &w->root, 0, true);
	node_init(&w->thief, "CN=A", NULL, 0, true);
	memcpy(w->thief.issuer.key_id, w->a.issuer.key_id,
	    sizeof(w->a.issuer.key_id));
	mm_buf_init(&w->anchor, 65536);
	mm_buf_init(&w->certs, 65536);
	put_cert(&w->anchor, &w->root);
	put_cert(&w->certs, &w->a);
	put_cert(&w->certs, &w->b);
}

static void
world_done(struct world *w)
{
	node_done(&w->root);
	node_done(&w->a);
	node_done(&w->b);
	node_done(&w->thief);
	mm_buf_done(&w->anchor);
	mm_buf_done(&w->certs);
}

/* "a1" is A's list of number 1, "A1" another of that number, "x9" the
 * thief's; "#" is other text. */
static void
read_set(const struct world *w, const char *words, struct mm_crl_set *out)
{
	struct mm_buf pem = MM_BUF_INIT(65536);
	struct mm_why why = { 0 };

	for (; *words != '\0'; words += *words == '#' ? 1 : 2) {
		const struct node *n = *words == 'b' ? &w->b :
		    *words == 'x' ? &w->thief : &w->a;

		if (*words == '#')
			put_cert(&pem, &w->thief);
		else
			put_list(&pem, n, (uint64_t)(words[1] - '0'),
			    *words == 'A' ? NOW + 60 : NOW);
	}
	OK(why, mm_crl_set_read(out, mm_buf_view(&pem), &why));
	mm_buf_done(&pem);
}

static const struct {
	const char *before, *now;
	bool fewer;
	enum mm_err verify, follows;
	bool news;
} steps[] = {
	{ "", "a1", false, MM_OK, MM_OK, true },
	{ "a1", "a1", false, MM_OK, MM_OK, false },
	{ "a1b1", "b1a1", false, MM_OK, MM_OK, false },
	{ "a1", "#a1#", false, MM_OK, MM_OK, false },
	{ "a1b1", "a1b2", false, MM_OK, MM_OK, true },
	{ "a1", "a1b1", false, MM_OK, MM_OK, true },
	{ "a1b1", "a1", false, MM_OK, MM_ECONFLICT, false },
	{ "a1b1", "a1", true, MM_OK, MM_OK, true },
	{ "a2", "a1", false, MM_OK, MM_ECONFLICT, false },
	{ "a1", "A1", false, MM_OK, MM_ECONFLICT, false },
	{ "x9", "a1", false, MM_OK, MM_OK, true },
	{ "x1", "a1", false, MM_OK, MM_OK, true },
	{ "a1", "x9", false, MM_EAUTH, MM_OK, false },
	{ "", "a1a2", false, MM_EINPUT, MM_OK, false },
	{ "a1a2", "a2", false, MM_OK, MM_OK, true },
};

/* ECDSA: another signature each time, of the same list. */
static void
one_after_the_other(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	for (size_t i = 0; i < ROWS(steps); i++) {
		struct mm_crl_set before = { 0 }, now = { 0 };
		enum mm_err rc;

		read_set(&w, steps[i].before, &before);
		read_set(&w, steps[i].now, &now);
		rc = mm_crl_set_verify(&now, &before, mm_buf_view(&w.anchor),
		    mm_buf_view(&w.certs), NULL);
		ROW(steps[i].now, rc == steps[i].verify);
		if (rc == MM_OK) {
			rc = mm_crl_set_follows(&now, &before, steps[i].fewer,
			    NULL);
			ROW(steps[i].now, rc == steps[i].follows);
		}
		if (rc == MM_OK)
			ROW(steps[i].now, mm_crl_set_is_news(&now, &before) ==
			    steps[i].news);
		mm_crl_set_done(&before);
		mm_crl_set_done(&now);
	}
	world_done(&w);
}

static void
what_is_written_is_lists_alone(void **state)
{
	struct mm_buf out = MM_BUF_INIT(65536);
	struct mm_crl_set set = { 0 };
	struct mm_why why = { 0 };
	struct world w;
	size_t n;

	(void)state;
	world_init(&w);
	read_set(&w, "#a1#b2#", &set);
	mm_crl_set_write(&set, &out);
	n = set.n;
	assert_int_equal(n, 2);
	assert_null(memmem(out.p, out.n, "CERTIFICATE", 11));
	mm_crl_set_done(&set);
	OK(why, mm_crl_set_read(&set, mm_buf_view(&out), &why));
	assert_int_equal(set.n, n);
	mm_crl_set_done(&set);
	mm_buf_done(&out);
	world_done(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chain_has_its_limits),
		cmocka_unit_test(one_after_the_other),
		cmocka_unit_test(what_is_written_is_lists_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
