#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/own.h"
#include "base/time.h"
#include "server/registrar.h"

/*
 * What we are known by to a CA that is asked by EST, and whom we take for it.
 * The files are read for each question: they may have been replaced, and there
 * is time.  A key is given to libcurl by its bytes, so that none is left that
 * would ask a terminal for a passphrase.
 */
enum { PEM_MAX = 256 * 1024 };

static enum mm_err
is_ours_alone(const char *key, const char *path, struct mm_why *why)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return MM_FAIL(why, errno == ENOENT ? MM_ENOTFOUND : MM_ESYS,
		    "%s: %.80s: %s", key, path, strerror(errno));
	if (!S_ISREG(st.st_mode) || (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return MM_FAIL(why, MM_EPOLICY, "%s: %.80s: mode %04o lets "
		    "others at it: chmod 0600 it", key, path,
		    (unsigned)st.st_mode & 07777);
	return MM_OK;
}

/* One at least, and nothing that is none; *first: that one's DER. */
static enum mm_err
read_certs(const char *key, const char *path, struct mm_buf *pem,
    struct mm_buf *first, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	struct mm_why no = { 0 };
	struct mm_bytes rest;
	struct mm_cert c;
	size_t n = 0;
	enum mm_err rc = mm_file_read(path, pem, &no);

	rest = mm_buf_view(pem);
	while (rc == MM_OK) {
		mm_buf_reset(&der);
		rc = mm_pem_next(&rest, "CERTIFICATE", &der, &no);
		if (rc == MM_OK)
			rc = mm_cert_walk(mm_buf_view(&der), &c, &no);
		if (rc == MM_OK && n++ == 0)
			mm_buf_bytes(first, mm_buf_view(&der));
	}
	if (rc == MM_ENOTFOUND && n > 0)
		return mm_buf_ok(first, why);
	return MM_FAIL(why, rc, "%s: %.80s: %.100s", key, path,
	    no.text[0] != '\0' ? no.text : "there is no certificate in it");
}

static enum mm_err
read_anchors(const struct mm_issuer_conf *i, struct mm_est_who *w,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf first = MM_BUF_INIT(MM_CERT_MAX);

	return read_certs("est_anchors", i->est_anchors, &w->anchors, &first,
	    why);
}

/* RFC 7617 2: a user's name has no colon. */
static enum mm_err
read_password(const struct mm_issuer_conf *i, struct mm_est_who *w,
    struct mm_why *why)
{
	const char *path = i->est_password_file;
	const uint8_t *colon;
	struct mm_why no = { 0 };
	enum mm_err rc;

	MM_TRY(is_ours_alone("est_password_file", path, why));
	rc = mm_secret_from_file(path, &w->password, &no);
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "est_password_file: %.140s", no.text);
	colon = memchr(w->password->p, ':', w->password->n);
	if (colon == NULL || colon == w->password->p ||
	    memchr(w->password->p, '\0', w->password->n) != NULL)
		return MM_FAIL(why, MM_EINPUT, "est_password_file: %.80s: "
		    "want USER:PASSWORD in its first line", path);
	return MM_OK;
}

static enum mm_err
read_key(const struct mm_issuer_conf *i, const struct mm_cert *c,
    struct mm_est_who *w, struct mm_why *why)
{
	MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;
	MM_OWN(mm_buf_done) struct mm_buf spki = MM_BUF_INIT(MM_CERT_MAX);
	MM_OWN(mm_buf_wipe) struct mm_buf der = MM_BUF_INIT(PEM_MAX);
	struct mm_why no = { 0 };
	enum mm_err rc;

	MM_TRY(is_ours_alone("est_key", i->est_key, why));
	rc = mm_key_load_plain(i->est_key, &key, &no);
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "est_key: %.150s", no.text);
	MM_TRY(mm_key_spki(key, &spki, why));
	if (!mm_bytes_eq(mm_buf_view(&spki), c->spki.whole))
		return MM_FAIL(why, MM_EINPUT, "est_key: %.80s is not "
		    "est_certificate's key", i->est_key);
	MM_TRY(mm_key_pkcs8(key, &der, why));
	mm_pem_put(&w->key, "PRIVATE KEY", mm_buf_view(&der));
	return mm_buf_ok(&w->key, why);
}

static enum mm_err
read_pair(const struct mm_issuer_conf *i, struct mm_est_who *w,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf first = MM_BUF_INIT(MM_CERT_MAX);
	struct mm_cert c;
	char at[MM_TIME_TEXT];

	MM_TRY(read_certs("est_certificate", i->est_certificate,
	    &w->certificate, &first, why));
	MM_TRY(mm_cert_walk(mm_buf_view(&first), &c, why));
	MM_TRY(read_key(i, &c, w, why));
	w->until_s = c.not_after_s;
	if (c.not_after_s >= mm_now_s())
		return MM_OK;
	mm_time_text(c.not_after_s * 1000, at);
	return MM_FAIL(why, MM_EPOLICY, "est_certificate: %.80s ended on %s",
	    i->est_certificate, at);
}

/* see registrar.h */
enum mm_err
mm_est_who_read(const struct mm_issuer_conf *i, struct mm_est_who *out,
    struct mm_why *why)
{
	struct mm_est_who w = { .anchors = MM_BUF_INIT(PEM_MAX),
		.certificate = MM_BUF_INIT(PEM_MAX),
		.key = MM_BUF_INIT(2 * PEM_MAX) };
	enum mm_err rc = read_anchors(i, &w, why);

	if (rc == MM_OK && i->est_password_file[0] != '\0')
		rc = read_password(i, &w, why);
	else if (rc == MM_OK)
		rc = read_pair(i, &w, why);
	if (rc == MM_OK)
		*out = w;
	else
		mm_est_who_done(&w);
	return rc;
}

/* see registrar.h */
void
mm_est_who_done(struct mm_est_who *w)
{
	mm_buf_done(&w->anchors);
	mm_buf_done(&w->certificate);
	mm_buf_wipe(&w->key);
	mm_secret_free(&w->password);
}
