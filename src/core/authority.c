#include <string.h>

#include "core/codes.h"
#include "core/upstream_priv.h"
#include "pki/foreign.h"
#include "pki/possession.h"

/* The constructors: the only ways to come by an authority. */

/* see core.h */
void
mm_authority_token_psk(struct mm_authority *a,
    const uint8_t id[MM_TOKEN_ID_N])
{
	memset(a, 0, sizeof(*a));
	a->kind = MM_AUTH_TOKEN_PSK;
	mm_token_id_text(id, a->token);
}

/* A device's name and its printed code. */
static enum mm_err
by_code(struct mm_authority *a, struct mm_bytes user, struct mm_bytes code)
{
	if (!mm_text_copy(a->device, sizeof(a->device), user) ||
	    !mm_device_id_valid(a->device) || !mm_code_valid(code))
		return MM_EAUTH;
	memcpy(a->code, code.p, code.n);
	return MM_OK;
}

/* see core.h */
enum mm_err
mm_authority_token_basic(struct mm_authority *a, struct mm_bytes user,
    struct mm_bytes password, struct mm_why *why)
{
	struct mm_authority made = { .kind = MM_AUTH_TOKEN_BASIC };
	uint8_t id[MM_TOKEN_ID_N];
	enum mm_err rc = mm_token_id_parse(user, id, NULL);

	if (rc == MM_OK) {
		rc = mm_token_secret_parse(password, made.secret, NULL);
		mm_token_id_text(id, made.token);
	} else {
		rc = by_code(&made, user, password);
	}
	if (rc != MM_OK)
		return MM_FAIL(why, MM_EAUTH, "%s",
		    mm_reason_text(MM_R_CREDENTIAL));
	*a = made;
	mm_wipe(&made, sizeof(made));
	return MM_OK;
}

/* see core.h */
enum mm_err
mm_authority_device(struct mm_authority *a, struct mm_bytes der,
    struct mm_why *why)
{
	struct mm_cert cert;

	MM_TRY(mm_cert_walk(der, &cert, why));
	if (cert.serial.n != MM_SERIAL_N)
		return MM_FAIL(why, MM_EPOLICY, "certificate: a serial of %zu "
		    "bytes is none of ours", cert.serial.n);
	memset(a, 0, sizeof(*a));
	a->kind = MM_AUTH_DEVICE;
	memcpy(a->serial, cert.serial.p, MM_SERIAL_N);
	mm_sha256(der, a->cert_sha256);
	a->expired = mm_now_s() > cert.not_after_s;
	return MM_OK;
}

/* see core.h */
enum mm_err
mm_core_device(struct mm_core *c, struct mm_authority *a, struct mm_bytes der,
    struct mm_why *why)
{
	struct mm_cert cert;

	MM_TRY(mm_cert_walk(der, &cert, why));
	if (!mm_chains_upstream(c->chains, cert.issuer))
		return mm_authority_device(a, der, why);
	memset(a, 0, sizeof(*a));
	a->kind = MM_AUTH_DEVICE;
	mm_foreign_number(&cert, a->serial);
	mm_sha256(der, a->cert_sha256);
	a->expired = mm_now_s() > cert.not_after_s;
	return MM_OK;
}

/* see upstream.h */
enum mm_err
mm_core_records(struct mm_core *c, struct mm_store_reader *r,
    const struct mm_any_serial *serial, size_t *at, struct mm_cert_row *row,
    struct mm_why *why)
{
	uint8_t candidate[MM_SERIAL_N];

	while (mm_chains_number(c->chains, serial, at, candidate)) {
		enum mm_err rc = mm_get_cert(r, candidate, row, NULL);

		if (rc == MM_OK)
			return MM_OK;
		if (rc != MM_ENOTFOUND)
			return MM_FAIL(why, rc, "the store cannot be read");
	}
	return MM_FAIL(why, MM_ENOTFOUND, "no such certificate");
}

/* see core.h */
enum mm_err
mm_core_serial(struct mm_core *c, struct mm_store_reader *r,
    const struct mm_any_serial *serial, uint8_t number[MM_SERIAL_N],
    struct mm_why *why)
{
	struct mm_cert_row row, other;
	enum mm_err rc;
	size_t at = 0;

	MM_TRY(mm_core_records(c, r, serial, &at, &row, why));
	while ((rc = mm_core_records(c, r, serial, &at, &other, NULL)) ==
	    MM_OK)
		if (memcmp(row.serial, other.serial, MM_SERIAL_N) != 0)
			return MM_FAIL(why, MM_ECONFLICT, "several CAs have "
			    "that serial number: name the record's");
	if (rc != MM_ENOTFOUND)
		return MM_FAIL(why, rc, "the store cannot be read");
	memcpy(number, row.serial, MM_SERIAL_N);
	return MM_OK;
}

/* see core.h */
enum mm_err
mm_core_proved(struct mm_core *c, struct mm_authority *a, struct mm_bytes der,
    const struct mm_possession *proof, struct mm_why *why)
{
	MM_TRY(mm_possession_verify(der, proof, why));
	return mm_core_device(c, a, der, why);
}

/* see core.h */
void
mm_authority_bootstrap(struct mm_authority *a, const struct mm_old_cert *old)
{
	memset(a, 0, sizeof(*a));
	a->kind = MM_AUTH_BOOTSTRAP;
	a->old = *old;
}

/* see core.h */
void
mm_authority_secret(struct mm_authority *token, const struct in6_addr *peer)
{
	token->basic = token->kind == MM_AUTH_TOKEN_BASIC;
	token->kind = MM_AUTH_BOOTSTRAP;
	token->old = (struct mm_old_cert){ .kind = MM_OLD_SECRET,
		.peer = *peer };
	mm_sha256(mm_bytes_of(token->token), token->old.sha256);
}

/* see core.h */
bool
mm_authority_presents(const struct mm_authority *a)
{
	return a->kind == MM_AUTH_TOKEN_BASIC ||
	    (a->kind == MM_AUTH_BOOTSTRAP && a->basic);
}

/* see core.h */
enum mm_err
mm_authority_asks(struct mm_authority *a, const struct mm_csr *csr,
    struct mm_why *why)
{
	char cn[65], number[65];
	const char *device = cn;

	mm_csr_subject_names(csr, cn, number);
	if (cn[0] == '\0')
		device = number;
	if (!mm_device_id_valid(device))
		return MM_FAIL(why, MM_EINPUT, "request: its subject's CN or "
		    "serialNumber must be the device's id");
	strcpy(a->device, device);
	if (strcmp(number, device) != 0)
		strcpy(a->hardware, number);
	return MM_OK;
}

/* see core.h */
enum mm_err
mm_authority_operator(struct mm_authority *a, const struct mm_login *login,
    const char *device, struct mm_why *why)
{
	if ((login->roles & (MM_ROLE_ADMIN | MM_ROLE_LINE)) == 0)
		return MM_FAIL(why, MM_EPOLICY,
		    "operator %s: enrolling needs role line or admin",
		    login->id);
	if (!mm_device_id_valid(device))
		return MM_FAIL(why, MM_EINPUT, "not a device id");
	memset(a, 0, sizeof(*a));
	a->kind = MM_AUTH_OPERATOR;
	memcpy(a->operator_, login->id, sizeof(a->operator_));
	strcpy(a->device, device);
	a->line = mm_login_is_line(login);
	return MM_OK;
}

/* ---- roles ---- */

/* see core.h */
bool
mm_login_is_line(const struct mm_login *login)
{
	return (login->roles & (MM_ROLE_ADMIN | MM_ROLE_OPERATOR)) == 0;
}

static const struct {
	unsigned bit;
	const char *name;
} roles[] = {
	{ MM_ROLE_ADMIN, "admin" },
	{ MM_ROLE_OPERATOR, "operator" },
	{ MM_ROLE_LINE, "line" },
	{ MM_ROLE_SUPPORT, "support" },
	{ MM_ROLE_AUDITOR, "auditor" },
	{ MM_ROLE_METRICS, "metrics" },
};
#define NROLES (sizeof(roles) / sizeof(roles[0]))

/* see core.h */
const char *
mm_role_name(unsigned one_role)
{
	for (size_t i = 0; i < NROLES; i++)
		if (roles[i].bit == one_role)
			return roles[i].name;
	return "none";
}

static unsigned
role_of(const char *name, size_t n)
{
	for (size_t i = 0; i < NROLES; i++)
		if (strlen(roles[i].name) == n &&
		    memcmp(roles[i].name, name, n) == 0)
			return roles[i].bit;
	return 0;
}

/* see core.h */
enum mm_err
mm_roles_parse(const char *text, unsigned *out, struct mm_why *why)
{
	unsigned set = 0;

	for (;;) {
		size_t n = strcspn(text, ",");
		unsigned bit = role_of(text, n);

		if (bit == 0)
			return MM_FAIL(why, MM_EINPUT, "no such role: "
			    "\"%.20s\"", text);
		set |= bit;
		if (text[n] == '\0')
			break;
		text += n + 1;
	}
	*out = set;
	return MM_OK;
}

/* see core.h */
void
mm_authority_replaces(struct mm_authority *token,
    const struct mm_any_serial *serial)
{
	if (!token->beside)
		token->replaces = *serial;
}

/* see core.h */
void
mm_authority_beside(struct mm_authority *token,
    const struct mm_authority *device)
{
	token->beside = true;
	memcpy(token->serial, device->serial, 16);
}
