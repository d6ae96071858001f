#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/time.h"
#include "signer/setup.h"

/*
 * What the own root has revoked: signer_dir/root-revoked, a line each of serial
 * number, time and reason.  The root is away most of the time and keeps no
 * books; a list that it signs must have all that it ever revoked, or the next
 * one would take it back.
 */
#define FILE_MAX (64 * 1024)
#define NAME     "root-revoked"

static enum mm_err
take_line(struct mm_root_revoked *r, struct mm_bytes line, struct mm_why *why)
{
	struct mm_crl_entry *e = &r->entry[r->n];
	char text[80];
	int reason, end = -1;

	if (r->n == MM_ROOT_REVOKED_MAX ||
	    !mm_text_copy(text, sizeof(text), line) || strlen(text) < 34 ||
	    mm_hex_parse(text, 32, e->serial, MM_SERIAL_N, NULL) != MM_OK ||
	    sscanf(text + 32, " %" SCNd64 " %d%n", &e->at_s, &reason, &end) !=
	    2 || text[32 + end] != '\0' || e->at_s < 0 || reason < 0 ||
	    reason > 10)
		return MM_FAIL(why, MM_EINPUT, NAME ": line %zu is not as it "
		    "was written", r->n + 1);
	e->reason = (uint8_t)reason;
	r->n++;
	return MM_OK;
}

/* see setup.h */
enum mm_err
mm_root_revoked_read(const struct mm_setup *s, struct mm_root_revoked *r,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(FILE_MAX);
	struct mm_why none = { 0 };
	char path[MM_PATH_MAX + 1];
	struct mm_rd rd;
	enum mm_err rc;

	r->n = 0;
	MM_TRY(mm_signer_path(&s->conf->set, NAME, path, why));
	rc = mm_file_read(path, &text, &none);
	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "%s", none.text);
	rd = mm_rd_over(mm_buf_view(&text));
	while (rd.left > 0) {
		const uint8_t *end = memchr(rd.p, '\n', rd.left);
		size_t n = end == NULL ? rd.left : (size_t)(end - rd.p);

		MM_TRY(take_line(r, mm_rd_take(&rd, n), why));
		if (end == NULL)
			return MM_FAIL(why, MM_EINPUT, NAME ": its last line "
			    "is torn");
		mm_rd_take(&rd, 1);
	}
	return MM_OK;
}

static enum mm_err
write_all(const struct mm_setup *s, const struct mm_root_revoked *r,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(FILE_MAX);
	struct mm_file_own own = { .mode = 0600 };
	char path[MM_PATH_MAX + 1], hex[33];

	for (size_t i = 0; i < r->n; i++) {
		mm_hex_text(r->entry[i].serial, MM_SERIAL_N, hex);
		mm_buf_printf(&text, "%s %" PRId64 " %u\n", hex,
		    r->entry[i].at_s, (unsigned)r->entry[i].reason);
	}
	MM_TRY(mm_buf_ok(&text, why));
	MM_TRY(mm_whose(s, MM_OF_SIGNER, &own, why));
	MM_TRY(mm_signer_path(&s->conf->set, NAME, path, why));
	return mm_file_replace_as(path, mm_buf_view(&text), &own, why);
}

/* Only what the root has signed can be on its list. */
static enum mm_err
check_below(const struct mm_cert *c, const struct mm_signing *root,
    struct mm_why *why)
{
	struct mm_cert r;

	MM_TRY(mm_cert_walk(root->cert, &r, why));
	if (!mm_bytes_eq(c->issuer, r.subject) ||
	    mm_cert_verify(c, root->key, NULL) != MM_OK)
		return MM_FAIL(why, MM_EPOLICY, "root-crl: that certificate "
		    "is not one that this root has signed");
	if (mm_bytes_eq(c->tbs, r.tbs))
		return MM_FAIL(why, MM_EPOLICY, "root-crl: a root does not "
		    "revoke itself: have devices trust another one");
	if (c->serial.n != MM_SERIAL_N)
		return MM_FAIL(why, MM_EPOLICY, "root-crl: its serial number "
		    "is not of ours");
	return MM_OK;
}

/* see setup.h */
enum mm_err
mm_root_revoke(const struct mm_setup *s, const struct mm_signing *root,
    struct mm_root_revoked *r, struct mm_why *why)
{
	MM_OWN(mm_ca_done) struct mm_ca ca = { 0 };
	unsigned reason = 2; /* RFC 5280 5.3.1: cACompromise */
	struct mm_cert c;

	if (s->o->reason != NULL)
		MM_TRY(mm_reason_parse(s->o->reason, &reason, why));
	if (!mm_reason_revokes(reason))
		return MM_FAIL(why, MM_EINPUT, "root-crl: a CA is revoked for "
		    "good, or not");
	MM_TRY(mm_ca_read(s->o->revoke, &ca, why));
	MM_TRY(mm_cert_walk(mm_buf_view(&ca.der), &c, why));
	MM_TRY(check_below(&c, root, why));
	for (size_t i = 0; i < r->n; i++)
		if (memcmp(r->entry[i].serial, c.serial.p, MM_SERIAL_N) == 0)
			return MM_OK; /* it is on record, perhaps on no list */
	if (r->n == MM_ROOT_REVOKED_MAX)
		return MM_FAIL(why, MM_ELIMIT, "root-crl: more than %d",
		    MM_ROOT_REVOKED_MAX);
	memcpy(r->entry[r->n].serial, c.serial.p, MM_SERIAL_N);
	r->entry[r->n].at_s = mm_now_s();
	r->entry[r->n++].reason = (uint8_t)reason;
	/* first: a list that has more than the record could be taken back */
	return write_all(s, r, why);
}

/* A record that was put back from an older copy would un-revoke. */
static enum mm_err
check_list(const struct mm_root_revoked *r, const struct mm_crl *c,
    struct mm_why *why)
{
	return c->entries <= r->n ? MM_OK : MM_FAIL(why, MM_EPOLICY,
	    "root-crl: the lists have %zu revoked, the record " NAME " in "
	    "signer_dir %zu: it is an older one, and new lists would take "
	    "one back", c->entries, r->n);
}

/* see setup.h */
enum mm_err
mm_root_revoked_covers(const struct mm_root_revoked *r, const char *path,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(1 << 24);
	struct mm_why none = { 0 };
	enum mm_err rc = mm_file_read(path, &text, &none);
	struct mm_bytes rest = mm_buf_view(&text);

	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "%s", none.text);
	for (;;) {
		MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(1 << 24);
		struct mm_crl c;
		size_t before = rest.n;

		rc = mm_crl_next(&rest, &der, &c, NULL);
		if (rc == MM_ENOTFOUND || rest.n == before)
			return MM_OK;
		if (rc == MM_OK)
			MM_TRY(check_list(r, &c, why));
	}
}
