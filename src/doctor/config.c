#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/time.h"
#include "doctor/doctor.h"
#include "pki/cert.h"

enum { PEM_MAX = 65536, DAY_S = 86400 };
#define GIB ((uint64_t)1 << 30)

/* ---- judgements ---- */

/* see doctor.h */
enum mm_level
mm_doctor_end_level(int64_t left_s)
{
	if (left_s < 3 * DAY_S)
		return MM_LEVEL_FAIL;
	return left_s < 30 * DAY_S ? MM_LEVEL_WARN : MM_LEVEL_OK;
}

/* see doctor.h; a share alone says little of a large disk, a number little
 * of a small one */
enum mm_level
mm_doctor_space_level(
    uint64_t free_, uint64_t all, uint64_t few, uint64_t least)
{
	if (all == 0)
		return MM_LEVEL_OK;
	if (free_ < all / 50 && free_ < least)
		return MM_LEVEL_FAIL;
	return free_ < all / 10 && free_ < few ? MM_LEVEL_WARN : MM_LEVEL_OK;
}

/* ---- settings ---- */

static void
look_mode(const struct mm_settings *set, struct mm_findings *f)
{
	if (set->production)
		mm_find(f, MM_CHECK_MODE, MM_LEVEL_OK, NULL, "production mode");
	else
		mm_find(f, MM_CHECK_MODE, MM_LEVEL_WARN,
		    "For real devices "
		    "set a CA up with mintmark init, without --test",
		    "test mode: tokens and certificates are not for real "
		    "devices");
}

static enum mm_level
bad_in(const struct mm_settings *set)
{
	return set->production ? MM_LEVEL_FAIL : MM_LEVEL_WARN;
}

static void
look_users(const struct mm_settings *set, struct mm_findings *f)
{
	if (strcmp(set->server_user, set->signer_user) == 0)
		mm_find(f, MM_CHECK_USERS, bad_in(set),
		    "Set server_user and "
		    "signer_user to two users, and start mintmarkd as root",
		    "server and signer run as the same user: a broken server "
		    "could read the CA's keys");
	else
		mm_find(f, MM_CHECK_USERS, MM_LEVEL_OK, NULL,
		    "server and signer run as %s and %s", set->server_user,
		    set->signer_user);
}

static bool
is_local(const char *url)
{
	static const char *const hosts[] = { "://localhost", "://127.",
		"://[::1]" };

	for (size_t i = 0; i < 3; i++)
		if (strstr(url, hosts[i]) != NULL)
			return true;
	return false;
}

static void
look_urls(const struct mm_settings *set, struct mm_findings *f)
{
	const struct {
		const char *key, *url;
	} rows[] = {
		{ "public_url", set->public_url },
		{ "devices_url", set->devices_url },
	};

	for (size_t i = 0; i < 2; i++)
		if (is_local(rows[i].url))
			mm_find(f, MM_CHECK_URLS, bad_in(set),
			    "Set it to a "
			    "name that devices can follow, before the first "
			    "certificate is issued",
			    "%s is %.100s, which only this machine follows",
			    rows[i].key, rows[i].url);
		else
			mm_find(f, MM_CHECK_URLS, MM_LEVEL_OK, NULL,
			    "%s is %.100s", rows[i].key, rows[i].url);
}

/* ---- files ---- */

static void
look_file(const char *key, const char *path, mode_t bad, struct mm_findings *f)
{
	struct stat st;

	if (path == NULL || path[0] == '\0')
		return;
	if (stat(path, &st) != 0 && errno == EACCES) {
		mm_find(f, MM_CHECK_FILES, MM_LEVEL_OK, NULL,
		    "%s: %.100s: out of this user's reach", key, path);
		return;
	}
	if (stat(path, &st) != 0) {
		mm_find(f, MM_CHECK_FILES, MM_LEVEL_WARN, "Correct the path",
		    "%s: %.100s: %s", key, path, strerror(errno));
		return;
	}
	if ((st.st_mode & bad) != 0)
		mm_find(f, MM_CHECK_FILES, MM_LEVEL_FAIL,
		    (bad & S_IROTH) ? "chmod 0600 it; if strangers could read "
				      "it, treat what is in it as stolen"
				    : "chmod go-w it",
		    "%s: %.100s: others may %s it (mode %04o)", key, path,
		    (bad & S_IROTH) ? "read" : "write",
		    (unsigned)st.st_mode & 07777);
	else
		mm_find(f, MM_CHECK_FILES, MM_LEVEL_OK, NULL,
		    "%s: %.100s: mode %04o", key, path,
		    (unsigned)st.st_mode & 07777);
}

/* ---- certificates ---- */

static enum mm_err
first_end(const char *path, int64_t *not_after_s, struct mm_why *why)
{
	struct mm_buf pem = MM_BUF_INIT(PEM_MAX);
	struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	struct mm_cert c;
	struct mm_bytes rest;
	enum mm_err rc = mm_file_read(path, &pem, why);

	rest = mm_buf_view(&pem);
	if (rc == MM_OK)
		rc = mm_pem_next(&rest, "CERTIFICATE", &der, why);
	if (rc == MM_OK)
		rc = mm_cert_walk(mm_buf_view(&der), &c, why);
	if (rc == MM_OK)
		*not_after_s = c.not_after_s;
	mm_buf_done(&der);
	mm_buf_done(&pem);
	return rc;
}

static const struct {
	const char *what, *todo;
} kinds[] = {
	[MM_ENDS_TLS] = { "TLS certificate",
	    "mintmark ca renew-tls; the "
	    "server takes the new one by itself" },
	[MM_ENDS_ANCHOR] = { "trust anchor",
	    "Devices pin it: mintmark ca root has another one take its place, "
	    "and they get it before" },
	[MM_ENDS_ISSUER] = { "issuer",
	    "mintmark ca rollover has another one take its place" },
	[MM_ENDS_BEFORE] = { "the root before",
	    "Who pins it alone must have the new one by then: then mintmark "
	    "ca root-end" },
	[MM_ENDS_EST] = { "est_certificate of issuer",
	    "Have the existing CA give another one, and put it in its place: "
	    "it is read for each certificate" },
};

/* see doctor.h */
void
mm_doctor_end(enum mm_ends kind, const char *name, int64_t not_after_s,
    struct mm_findings *f)
{
	int64_t left = not_after_s - mm_now_s();
	char text[MM_TIME_TEXT];

	mm_time_text_s(not_after_s, text);
	mm_find(f, MM_CHECK_CERTIFICATES, mm_doctor_end_level(left),
	    kinds[kind].todo, "%s%s%s: %s %s, %lld days %s", kinds[kind].what,
	    name[0] != '\0' ? " " : "", name, left < 0 ? "ended" : "ends", text,
	    (long long)(left < 0 ? -left : left) / DAY_S,
	    left < 0 ? "ago" : "from now");
}

/* see doctor.h; RFC 5280 6.1: nothing is good longer than its issuer */
void
mm_doctor_life(const struct mm_config *c, const struct mm_issuer_conf *i,
    int64_t not_after_s, struct mm_findings *f)
{
	const struct mm_issuer_conf *next = mm_config_follower(c, i->name);
	const struct mm_profile *p = mm_config_longest(c, i);
	const int64_t now_s = mm_now_s();
	int64_t cut_s, left_s;

	if (p == NULL ||
	    mm_config_state(c, i, now_s) != MM_ISSUER_ISSUING)
		return;
	cut_s = not_after_s - p->lifetime_s;
	left_s = cut_s - now_s;
	if (left_s >= p->lifetime_s / 4 ||
	    (next != NULL && mm_issuer_from(next) <= cut_s))
		return;
	mm_find(f, MM_CHECK_CERTIFICATES,
	    left_s < 0 ? MM_LEVEL_FAIL : MM_LEVEL_WARN,
	    "mintmark ca rollover: another issuing CA takes its place",
	    "issuer %s: its end cuts short what profile %s has from it, %s "
	    "%lld days", i->name, p->name, left_s < 0 ? "since" : "in",
	    (long long)(left_s < 0 ? -left_s : left_s) / DAY_S);
}

static void
look_cert(const struct mm_config *c, enum mm_ends kind, const char *name,
    const char *path, struct mm_findings *f)
{
	struct mm_why why = { 0 };
	int64_t end;

	if (path[0] == '\0')
		return;
	if (first_end(path, &end, &why) == MM_OK) {
		mm_doctor_end(kind, name, end, f);
		if (kind == MM_ENDS_ISSUER)
			mm_doctor_life(c, mm_config_issuer(c, name), end, f);
	} else
		mm_find(f, MM_CHECK_CERTIFICATES, MM_LEVEL_FAIL,
		    "Restore the "
		    "file, or correct its path",
		    "%s: %.140s", kinds[kind].what, why.text);
}

/* The registrar's, which may well be out of this user's reach. */
static void
look_est(const struct mm_config *c, const struct mm_issuer_conf *i,
    struct mm_findings *f)
{
	if (access(i->est_certificate, R_OK) == 0 || errno != EACCES)
		look_cert(c, MM_ENDS_EST, i->name, i->est_certificate, f);
}

/* see doctor.h */
void
mm_doctor_certs(const struct mm_config *c, struct mm_findings *f)
{
	look_cert(c, MM_ENDS_TLS, "", c->set.tls_certificate, f);
	look_cert(c, MM_ENDS_ANCHOR, "", c->set.trust_anchor, f);
	if (!c->set.root_ended)
		look_cert(c, MM_ENDS_BEFORE, "", c->set.root_links, f);
	for (size_t i = 0; i < c->nissuer; i++)
		if (!c->issuer[i].retired) {
			look_cert(c, MM_ENDS_ISSUER, c->issuer[i].name,
			    c->issuer[i].certificate, f);
			look_est(c, &c->issuer[i], f);
		}
}

/* ---- disks ---- */

static void
look_space(const char *key, const char *path, const struct statvfs *v,
    struct mm_findings *f)
{
	uint64_t all = (uint64_t)v->f_blocks * v->f_frsize;
	uint64_t free_ = (uint64_t)v->f_bavail * v->f_frsize;
	enum mm_level space = mm_doctor_space_level(free_, all, 5 * GIB, GIB);
	enum mm_level inodes = mm_doctor_space_level(
	    v->f_favail, v->f_files, UINT64_MAX, UINT64_MAX);

	mm_find(f, MM_CHECK_DISK, space,
	    "Make room: at a full disk nothing "
	    "is issued",
	    "%s: %.100s: %llu MiB free of %llu", key, path,
	    (unsigned long long)(free_ >> 20), (unsigned long long)(all >> 20));
	if (inodes != MM_LEVEL_OK)
		mm_find(f, MM_CHECK_DISK, inodes,
		    "Remove files: without "
		    "inodes nothing is issued",
		    "%s: %.100s: %llu inodes free "
		    "of %llu",
		    key, path, (unsigned long long)v->f_favail,
		    (unsigned long long)v->f_files);
}

static void
look_disk(const char *key, const char *path, struct mm_findings *f)
{
	struct statvfs v;

	if (statvfs(path, &v) == 0)
		look_space(key, path, &v, f);
	else
		mm_find(f, MM_CHECK_DISK,
		    errno == EACCES ? MM_LEVEL_OK : MM_LEVEL_FAIL,
		    "Restore it, or correct the path", "%s: %.100s: %s", key,
		    path, strerror(errno));
}

/* see doctor.h */
void
mm_doctor_config(
    const struct mm_config *c, const char *path, struct mm_findings *f)
{
	const struct mm_settings *set = &c->set;

	look_mode(set, f);
	look_users(set, f);
	look_urls(set, f);
	look_file("configuration", path, S_IWGRP | S_IWOTH, f);
	look_file("tls_key", set->tls_key, S_IRWXO | S_IWGRP, f);
	look_file(
	    "passphrase_file", set->passphrase_file, S_IRWXG | S_IRWXO, f);
	for (size_t i = 0; i < c->nissuer; i++) {
		const struct mm_issuer_conf *at = &c->issuer[i];

		look_file("pin_file", at->pin_file, S_IRWXG | S_IRWXO, f);
		look_file("est_key", at->est_key, S_IRWXG | S_IRWXO, f);
		look_file("est_password_file", at->est_password_file,
		    S_IRWXG | S_IRWXO, f);
	}
	look_disk("server_dir", set->server_dir, f);
	look_disk("signer_dir", set->signer_dir, f);
}
