#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "pki/der.h"
#include "base/time.h"
#include "signer/setup.h"

/*
 * Another root (RFC 4210 4.4): its certificate, and two that join it to the one
 * before.  NewWithOld is the new key, certified by the old root, for whoever
 * pins that one; OldWithNew is the old key, certified by the new root, for
 * whoever pins the new one and meets what hangs below the old.  The names of
 * both stay as they are, byte for byte, and so do the key identifiers: what
 * either has signed chains by both.
 *
 * Nothing here changes which root is in force: the configuration says so, and
 * whoever calls replaces it last.  Own copies are made first, the links before
 * the root: with its file all is there, and the same command again goes on.
 */
#define YEAR_S   31557600 /* 365.25 days */
#define PEM_MOST (4 * 3 * MM_CERT_MAX)

enum part { OLD, NEW_WITH_OLD, OLD_WITH_NEW, NEW, PARTS };
static const char *const part_names[] = { "the root before", "NewWithOld",
	"OldWithNew", "the new root" };

struct change {
	struct mm_buf der[PARTS]; /* n 0: not there yet */
	struct mm_ca old, made;   /* with keys; an own root's */
	char copy[MM_PATH_MAX + 1], links[MM_PATH_MAX + 1]; /* the signer's */
};

static void
change_done(struct change *c)
{
	for (size_t i = 0; i < PARTS; i++)
		mm_buf_done(&c->der[i]);
	mm_ca_done(&c->old);
	mm_ca_done(&c->made);
}

static struct mm_bytes
part(const struct change *c, enum part p)
{
	return mm_buf_view(&c->der[p]);
}

/* ---- whether the four are what they are to be ---- */

static enum mm_err
wrong(enum part p, const char *what, struct mm_why *why)
{
	return MM_FAIL(why, MM_EINPUT, "root: %s: %s", part_names[p], what);
}

/* RFC 5280 4.2.1.9 */
static bool
has_path_length(const struct mm_cert *c)
{
	struct mm_bytes value;
	struct mm_rd outer, r;

	if (!mm_cert_extension(c, "2.5.29.19", NULL, &value))
		return false;
	outer = mm_rd_over(value);
	r = mm_rd_over(mm_der_take(&outer, MM_DER_SEQ));
	(void)mm_der_take(&r, MM_DER_BOOLEAN);
	return r.left > 0;
}

/* A CA that is good now, with the subject and key of one, signed by another. */
static enum mm_err
check_part(const struct change *c, enum part p, enum part of, enum part by,
    struct mm_why *why)
{
	const struct mm_issuer_conf conf = { .name = "root",
		.crl_shards = 1 };
	struct mm_issuer ca, same;
	struct mm_cert cert, whose, signer;

	MM_TRY(mm_issuer_make(&ca, &conf, "", part(c, p), why));
	MM_TRY(mm_issuer_make(&same, &conf, "", part(c, of), why));
	MM_TRY(mm_cert_walk(part(c, p), &cert, why));
	MM_TRY(mm_cert_walk(part(c, of), &whose, why));
	MM_TRY(mm_cert_walk(part(c, by), &signer, why));
	if (!mm_bytes_eq(cert.subject, whose.subject) ||
	    !mm_bytes_eq(cert.spki.whole, whose.spki.whole))
		return wrong(p, "not of that root's name and key", why);
	if (p != of && has_path_length(&cert))
		return wrong(p, "it has a pathLenConstraint: devices tell a "
		    "root's link from an issuing CA by there being none", why);
	if (memcmp(ca.key_id, same.key_id, sizeof(ca.key_id)) != 0)
		return wrong(p, "another subject key identifier than that "
		    "root's own certificate has: chains would break", why);
	if (!mm_bytes_eq(cert.issuer, signer.subject) ||
	    mm_cert_verify_by(&cert, &signer) != MM_OK)
		return wrong(p, "not signed by the other root", why);
	return mm_now_s() <= cert.not_after_s ? MM_OK :
	    wrong(p, "it has expired", why);
}

static enum mm_err
check_all(const struct change *c, struct mm_why *why)
{
	struct mm_cert old, made;

	MM_TRY(check_part(c, OLD, OLD, OLD, why));
	MM_TRY(check_part(c, NEW, NEW, NEW, why));
	MM_TRY(check_part(c, NEW_WITH_OLD, NEW, OLD, why));
	MM_TRY(check_part(c, OLD_WITH_NEW, OLD, NEW, why));
	MM_TRY(mm_cert_walk(part(c, OLD), &old, why));
	MM_TRY(mm_cert_walk(part(c, NEW), &made, why));
	/* lists are found by name, and a device tells roots apart by key */
	if (mm_bytes_eq(old.subject, made.subject))
		return wrong(NEW, "it has the old root's name", why);
	if (made.not_before_s <= old.not_before_s)
		return wrong(NEW, "it is not younger than the old root (notBefore), "
		    "which is how devices tell the newer one", why);
	return mm_bytes_eq(old.spki.whole, made.spki.whole) ?
	    wrong(NEW, "it has the old root's key", why) : MM_OK;
}

/* ---- an own root ---- */

/* One that a run left which was cut off is taken. */
static enum mm_err
take_key(struct mm_setup *s, const char *name, bool cut_off, EVP_PKEY **key,
    struct mm_why *why)
{
	char own[MM_PATH_MAX + 1];
	const char *path = s->o->new_root_key;
	enum mm_key_type type;

	MM_TRY(mm_root_key_path(&s->conf->set, name, own, why));
	MM_TRY(mm_key_type_parse(s->o->key_type, &type, why));
	if (mm_root_in_token(path))
		return mm_root_token(s, path, cut_off ? NULL : &type,
		    &s->new_root_hsm, key, why);
	if (path == NULL)
		path = own;
	if (access(path, F_OK) == 0)
		return mm_key_load(path, mm_secret_view(s->pass),
		    s->stretched, key, why);
	if (cut_off)
		return MM_FAIL(why, MM_ENOTFOUND, "root: the key of the root "
		    "that a run made which was cut off is not at %.90s: "
		    "--new-root-key as then", path);
	MM_TRY(mm_key_make(type, key, why));
	return mm_place_key(s, path, *key, why);
}

/* root-2: "Root CA 2" */
static enum mm_err
sign_root(struct mm_setup *s, struct change *c, const char *name,
    struct mm_why *why)
{
	struct mm_conf_list subject = s->o->root_subject;
	struct mm_signing by = { .name = name, .key = c->made.key,
		.hsm = s->new_root_hsm };
	struct mm_ca_fields f = { .subject = &subject, .ca = true,
		.path_len = -1 };
	const char *dash = strrchr(name, '-');
	char what[MM_NAME_MAX + 16];
	struct mm_cert old;

	MM_TRY(mm_cert_walk(part(c, OLD), &old, why));
	snprintf(what, sizeof(what), "Root CA %s", dash == NULL ? name :
	    dash + 1);
	mm_default_subject(&s->conf->set, what, &subject);
	MM_TRY(mm_ca_dates(&by, s->o->root_years * YEAR_S, &f, why));
	if (f.not_before_s == old.not_before_s) /* made in one second */
		f.not_before_s++;
	return mm_ca_sign(s, &by, c->made.key, &f, &c->der[NEW], why);
}

/* RFC 4210 4.4.1: NewWithOld ends with the old root at the latest; OldWithNew
 * is good for as long as the old root is. */
static enum mm_err
sign_link(struct mm_setup *s, struct change *c, enum part p,
    const struct mm_signing *by, struct mm_why *why)
{
	const bool new_ = p == NEW_WITH_OLD;
	struct mm_ca_fields f = { .ca = true, .path_len = -1 };
	struct mm_cert of, old;

	MM_TRY(mm_cert_walk(part(c, new_ ? NEW : OLD), &of, why));
	MM_TRY(mm_cert_walk(part(c, OLD), &old, why));
	f.subject_name = of.subject;
	MM_TRY(mm_ca_dates(by, 0, &f, why));
	if (!new_)
		f.not_before_s = old.not_before_s;
	if (f.not_after_s > of.not_after_s)
		f.not_after_s = of.not_after_s;
	return mm_ca_sign(s, by, new_ ? c->made.key : c->old.key, &f,
	    &c->der[p], why);
}

static enum mm_err
make_own(struct mm_setup *s, struct change *c, struct mm_why *why)
{
	const char *name = s->conf->set.root;
	struct mm_signing old = { .name = "root", .key = c->old.key,
		.cert = part(c, OLD), .hsm = s->root_hsm },
		made = { .name = name, .hsm = s->new_root_hsm };

	MM_TRY(sign_root(s, c, name, why));
	made.key = c->made.key;
	made.cert = part(c, NEW);
	MM_TRY(sign_link(s, c, NEW_WITH_OLD, &old, why));
	return sign_link(s, c, OLD_WITH_NEW, &made, why);
}

/* ---- a root elsewhere ---- */

/* Which of them it is, in whatever order they come: told by names, and proved
 * by check_all. */
static enum mm_err
sort_in(struct change *c, struct mm_bytes der, struct mm_why *why)
{
	struct mm_cert cert, old;
	enum part p;

	MM_TRY(mm_cert_walk(der, &cert, why));
	MM_TRY(mm_cert_walk(part(c, OLD), &old, why));
	if (mm_bytes_eq(der, part(c, OLD)))
		return MM_OK;
	p = mm_bytes_eq(cert.subject, cert.issuer) ? NEW :
	    mm_bytes_eq(cert.subject, old.subject) ? OLD_WITH_NEW :
	    mm_bytes_eq(cert.issuer, old.subject) ? NEW_WITH_OLD : PARTS;
	if (p == PARTS || c->der[p].n > 0)
		return MM_FAIL(why, MM_EINPUT, "root: --chain wants the new "
		    "root, NewWithOld and OldWithNew, once each, nothing else");
	mm_buf_bytes(&c->der[p], der);
	return mm_buf_ok(&c->der[p], why);
}

static enum mm_err
read_parts(struct change *c, const char *path, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf pem = MM_BUF_INIT(PEM_MOST);
	struct mm_bytes rest;

	MM_TRY(mm_file_read(path, &pem, why));
	rest = mm_buf_view(&pem);
	for (;;) {
		MM_OWN(mm_buf_done) struct mm_buf der =
		    MM_BUF_INIT(MM_CERT_MAX);
		enum mm_err rc = mm_pem_next(&rest, "CERTIFICATE", &der, why);

		if (rc == MM_ENOTFOUND)
			break;
		MM_TRY(rc);
		MM_TRY(sort_in(c, mm_buf_view(&der), why));
	}
	if (why != NULL)
		*why = (struct mm_why){ 0 };
	return MM_OK;
}

static enum mm_err
take_parts(struct change *c, const char *path, struct mm_why *why)
{
	MM_TRY(read_parts(c, path, why));
	for (unsigned p = 0; p < PARTS; p++)
		if (c->der[p].n == 0)
			return MM_FAIL(why, MM_EINPUT, "%.80s: %s is not in it",
			    path, part_names[p]);
	return MM_OK;
}

/* ---- placing ---- */

/* The same that is there is of a run that was cut off. */
static enum mm_err
place(struct mm_setup *s, const char *path, const struct mm_bytes *der,
    size_t n, enum mm_owner owner, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf have = MM_BUF_INIT(PEM_MOST);
	MM_OWN(mm_buf_done) struct mm_buf want = MM_BUF_INIT(PEM_MOST);

	for (size_t i = 0; i < n; i++)
		mm_pem_put(&want, "CERTIFICATE", der[i]);
	MM_TRY(mm_buf_ok(&want, why));
	if (mm_file_read(path, &have, NULL) == MM_OK &&
	    mm_bytes_eq(mm_buf_view(&have), mm_buf_view(&want)))
		return MM_OK;
	return mm_place(s, path, mm_buf_view(&want), 0644, owner, why);
}

static enum mm_err
place_copies(struct mm_setup *s, const struct change *c, struct mm_why *why)
{
	const struct mm_bytes links[] = { part(c, OLD), part(c, NEW_WITH_OLD),
		part(c, OLD_WITH_NEW) }, root = part(c, NEW);

	MM_TRY(place(s, c->links, links, 3, MM_OF_SIGNER, why));
	return place(s, c->copy, &root, 1, MM_OF_SIGNER, why);
}

static enum mm_err
publish(struct mm_setup *s, const struct change *c, struct mm_why *why)
{
	const struct mm_settings *set = &s->conf->set;
	const struct mm_bytes links[] = { part(c, OLD), part(c, NEW_WITH_OLD),
		part(c, OLD_WITH_NEW) }, root = part(c, NEW);
	struct mm_signing by = { .name = set->root, .key = c->made.key,
		.cert = root, .hsm = s->new_root_hsm };

	if (by.key != NULL)
		MM_TRY(mm_make_root_crls(s, &by, NULL, why));
	if (strcmp(set->root_links, c->links) != 0)
		MM_TRY(place(s, set->root_links, links, 3, MM_OF_ROOT, why));
	return strcmp(set->trust_anchor, c->copy) == 0 ? MM_OK :
	    place(s, set->trust_anchor, &root, 1, MM_OF_ROOT, why);
}

/* ---- the command ---- */

static enum mm_err
begin(struct mm_setup *s, struct change *c, struct mm_why *why)
{
	const struct mm_settings *set = &s->conf->set;
	const char *before = s->o->issuer == NULL ? "" : s->o->issuer;
	char name[MM_NAME_MAX + 16], path[MM_PATH_MAX + 1];

	for (size_t i = 0; i < PARTS; i++)
		mm_buf_init(&c->der[i], MM_CERT_MAX);
	if (set->root[0] == '\0' || set->root_links[0] == '\0' ||
	    strcmp(set->root, before) == 0)
		return MM_FAIL(why, MM_EINPUT, "root: the configuration names "
		    "no other root with its links: mintmark ca root does so");
	snprintf(name, sizeof(name), "%s-links.crt", set->root);
	MM_TRY(mm_signer_path(set, name, c->links, why));
	MM_TRY(mm_root_cert_path(set, set->root, c->copy, why));
	if (s->o->chain == NULL) {
		MM_TRY(mm_root_open(s, before, &c->old, why));
		MM_TRY(take_key(s, set->root,
		    access(c->copy, F_OK) == 0, &c->made.key, why));
	} else {
		MM_TRY(mm_root_cert_path(set, before, path, why));
		MM_TRY(mm_ca_read(path, &c->old, why));
	}
	mm_buf_bytes(&c->der[OLD], mm_buf_view(&c->old.der));
	return mm_buf_ok(&c->der[OLD], why);
}

/* Of a run that was cut off there may be another one's certificate. */
static enum mm_err
check_key(struct change *c, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf spki = MM_BUF_INIT(4096);
	struct mm_cert made;

	if (c->made.key == NULL)
		return MM_OK;
	MM_TRY(mm_cert_walk(part(c, NEW), &made, why));
	MM_TRY(mm_key_spki(c->made.key, &spki, why));
	return mm_bytes_eq(mm_buf_view(&spki), made.spki.whole) ? MM_OK :
	    wrong(NEW, "it is of another key than the new root's", why);
}

static enum mm_err
fill(struct mm_setup *s, struct change *c, struct mm_why *why)
{
	if (access(c->copy, F_OK) == 0) { /* a run was cut off */
		MM_TRY(read_parts(c, c->copy, why));
		MM_TRY(take_parts(c, c->links, why));
	} else if (s->o->chain != NULL) {
		MM_TRY(take_parts(c, s->o->chain, why));
	} else {
		(void)unlink(c->links); /* of a root that was never there */
		MM_TRY(make_own(s, c, why));
	}
	MM_TRY(check_all(c, why));
	MM_TRY(check_key(c, why));
	return place_copies(s, c, why);
}

static enum mm_err
change(struct mm_setup *s, struct change *c, struct mm_why *why)
{
	MM_TRY(mm_setup_record(s, why));
	MM_TRY(begin(s, c, why));
	MM_TRY(fill(s, c, why));
	mm_json_open(&s->json, '{');
	MM_TRY(publish(s, c, why));
	MM_TRY(mm_json_cert(s, "root", s->conf->set.root,
	    s->conf->set.trust_anchor, part(c, NEW), why));
	MM_TRY(mm_json_cert(s, "new_with_old", s->conf->set.root,
	    s->conf->set.root_links, part(c, NEW_WITH_OLD), why));
	MM_TRY(mm_json_cert(s, "old_with_new", "before",
	    s->conf->set.root_links, part(c, OLD_WITH_NEW), why));
	mm_json_close(&s->json, '}');
	return mm_setup_print(s, why);
}

/* see setup.h */
enum mm_err
mm_cmd_root(const struct mm_opts *o, struct mm_why *why)
{
	MM_OWN(mm_setup_done) struct mm_setup s = { 0 };
	struct change c = { .copy = "" };
	enum mm_err rc = mm_setup_begin(&s, o, true, why);

	if (rc == MM_OK)
		rc = change(&s, &c, why);
	change_done(&c);
	return rc;
}
