#ifndef UNIT_H
#define UNIT_H

#include "ca.h"
#include "mmd_link.h"

/*
 * One unit from blank to locked, by the station's side of the link: the order
 * of messages, and what is believed of the answers.  It waits for nothing; it
 * may be begun again at any time and goes on from what the device says.
 */
enum unit_step {
	UNIT_HELLO,
	UNIT_KEY,
	UNIT_CSR,
	UNIT_PUT,
	UNIT_COMMIT,
	UNIT_PROVE,
	UNIT_LOCK,
	UNIT_CHECK, /* hello again: it is locked with that certificate */
	UNIT_DONE,
	UNIT_STEPS
};

struct unit {
	struct ca *ca;
	const char *name;         /* of the device in its certificate */
	struct mmd_bytes config;  /* stored with the certificate */
	bool lock;                /* whether it is locked at the end */
	/* Its own: */
	struct mmd_link link;
	enum unit_step step;
	const char *why; /* of a failure of the unit's own */
	unsigned again;
	uint8_t nonce[MMD_NONCE];
	uint8_t spki[MMD_SPKI_MAX], cert[CA_DER_MAX], chain[CA_DER_MAX];
	size_t spki_n, cert_n, chain_n;
	uint8_t cert_hash[MMD_HASH], all_hash[MMD_HASH];
	uint8_t bundle[4096];
};

/* ca, name, config, lock are set; link_conf is borrowed. */
void unit_begin(struct unit *u, const struct mmd_link_conf *link_conf,
    uint64_t now_s);
/*
 * MMD_MORE: wait, then again.  MMD_OK: done.  MMD_EANCHOR: what the device
 * said does not hold; why says what.  Else what the link failed with.
 */
enum mmd_rc unit_run(struct unit *u) MMD_MUST;
extern const char *const unit_steps[UNIT_STEPS];
/* The device's reason in words. */
extern const char *const unit_refusals[MMD_REFUSALS];

#endif
