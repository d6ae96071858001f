#ifndef MM_STATION_OWN_H
#define MM_STATION_OWN_H

#include "ipc/msg.h"
#include "station/conf.h"
#include "station/entries.h"
#include "station/given.h"
#include "station/unit.h"
#include "work/order.h"

/*
 * What a station makes with when there is no centre: its own signer, a
 * process that was started with one work order, and the station's ledger.
 *
 * The order is read here for what is shown and asked; whether anything is
 * signed is decided by the signer, which verified it.  Calls wait for the
 * signer's answer, a few milliseconds and two syncs.
 */
struct mm_own {
	const struct mm_station_conf *conf;
	int pid, issue, ledger; /* -1: not running */
	struct mm_buf frame, cert, chain, list, chain_pem, checkpoint;
	struct mm_buf config, fields; /* the order's papers; fields: secret */
	struct mm_initial_index *index; /* of fields; NULL: there are none */
	uint64_t checkpoint_n;   /* size of its tree */
	struct mm_work_order *order;
	struct mm_serials run;
	struct mm_entries *entries;
	uint64_t fed;  /* entries that the signer's tree has */
	bool unfed;    /* or does not: it is asked */
	/* The file of that name, once it is asked; nobody shortens it. */
	struct { uint8_t *p; size_t n, at, dropped; } proofs;
	char origin[256];        /* of the station's ledger */
	char level[MM_NAME_MAX + 1]; /* what the signer's counter withstands */
	char profile[MM_NAME_MAX + 1]; /* that is asked for */
	uint32_t profile_version;
	bool no_nonces; /* its signer is of before there were any */
	int ended;      /* the exit status of a signer that did not start */
};

/*
 * The newest order, or that of conf's batch; starts the signer, and brings
 * ledger, tree and journal to where they agree.  MM_ENOTFOUND: no order was
 * imported; MM_ECONFLICT: another station program has the signer, and did not
 * end within wait_ms.
 */
#define MM_OWN_WAIT_MS 5000
/* wait_ms for a command that is not at work itself: waits for one that is
 * (provision); 0: it goes on (run), and keeps the signer. */
int64_t mm_own_patience(const struct mm_station_conf *conf);
MM_MUST enum mm_err mm_own_open(const struct mm_station_conf *conf,
    int64_t wait_ms, struct mm_own **out, struct mm_why *why);
/* The same with the order of that batch. */
MM_MUST enum mm_err mm_own_open_batch(const struct mm_station_conf *conf,
    const char *batch, int64_t wait_ms, struct mm_own **out,
    struct mm_why *why);
/*
 * Before an order that closes the batch is taken: what was signed and never
 * entered (the station was killed between the two) is entered by the papers of
 * the order that is here.  MM_OK too where the signer has none of the batch
 * (any more): it has nothing to lose.  Whatever else, nothing may be destroyed
 * yet.  Does not wait: MM_ECONFLICT as above.
 */
MM_MUST enum mm_err mm_own_settle(const struct mm_station_conf *conf,
    const char *batch, struct mm_why *why);
/* Ends the signer, and waits for it. */
void mm_own_close(struct mm_own **owner);
/* What it may still make.  MM_ENOTFOUND: the signer is gone. */
MM_MUST enum mm_err mm_own_status(struct mm_own *o,
    struct mm_duty_status_rep *out, struct mm_why *why);
/* A line that extends it (docs/protocol/order.md): more units, more time.
 * MM_EPOLICY: not of this order, or not signed; MM_EINPUT: no such line. */
MM_MUST enum mm_err mm_own_extend(struct mm_own *o, const char *line,
    struct mm_why *why);
/* Why the signer says that nothing may be made, for the screen. */
enum mm_unit_reason mm_own_why_not(const struct mm_duty_status_rep *s);
/* Whether the order has that serial number. */
bool mm_own_has(const struct mm_own *o, const char *serial);
/* Whether the pair was signed for before. */
bool mm_own_knows(struct mm_own *o, const char *serial,
    const uint8_t spki[32]);
struct mm_own_cert {
	struct mm_bytes der; /* borrowed until the next call */
	char serial[33], profile[MM_NAME_MAX + 12];
	bool again;          /* it was signed before */
	struct mm_bytes chain; /* that goes with it; likewise borrowed */
	char issuer[MM_NAME_MAX + 1];
	bool adopted;        /* not signed here: taken over from its board */
	/* It was given a configuration, of which the order says nothing: that
	 * of a batch that is closed has none. */
	bool bereft;
};
struct mm_own_wish {
	const char *device;
	struct mm_bytes csr;
	const uint8_t *spki;
	const struct mm_given *given; /* what it will be given */
};
/* A certificate for the request; its entry is in the ledger when this
 * returns. */
MM_MUST enum mm_err mm_own_issue(struct mm_own *o,
    const struct mm_own_wish *w, struct mm_own_cert *out,
    struct mm_why *why);
/* What the device's board is to prove its certificate over for mm_own_adopt:
 * the signer's own, for one try within minutes. */
MM_MUST enum mm_err mm_own_nonce(struct mm_own *o, const char *device,
    uint8_t nonce[32], struct mm_why *why);
/* A board's own certificate, which it has proved (pki/possession.h: hw in
 * hexadecimal, mm_own_nonce's, signature). */
struct mm_own_found {
	const char *device, *hw;
	struct mm_bytes der, chain, signature;
	const uint8_t *nonce, *spki;
	const struct mm_given *given;
};
/*
 * The signer takes it over, or knows it (out->adopted: not as its own); its
 * entry is in the ledger when this returns.  MM_EAUTH: not of this batch, or
 * not proved; MM_ECONFLICT: the pair has another certificate; MM_ESTALE: the
 * nonce is too old, or the signer began anew.
 */
MM_MUST enum mm_err mm_own_adopt(struct mm_own *o,
    const struct mm_own_found *f, struct mm_own_cert *out,
    struct mm_why *why);
/* What was signed for the pair is scrapped, and gives its place back:
 * MM_ECONFLICT, MM_EPOLICY, MM_ENOTFOUND, MM_EAGAIN as duty_scrap. */
MM_MUST enum mm_err mm_own_scrap(struct mm_own *o, const char *device,
    const uint8_t spki[32], struct mm_why *why);
/* What the order gives the device, by its papers.  MM_ENOTFOUND: it has no
 * row. */
MM_MUST enum mm_err mm_own_give(const struct mm_own *o, const char *device,
    struct mm_given *out, struct mm_why *why);
/* The device has proved it; proof: what it signed, kept for the centre. */
struct mm_own_shown {
	const char *device, *serial;
	const char *issuer; /* "": the order's CA */
	struct mm_bytes proof;
};
MM_MUST enum mm_err mm_own_confirm(struct mm_own *o,
    const struct mm_own_shown *s, struct mm_why *why);
/* The newest checkpoint, o->checkpoint, has all entries. */
MM_MUST enum mm_err mm_own_checkpoint(struct mm_own *o, struct mm_why *why);
/* The pair's certificate, of that batch, borrowed until the next call. */
MM_MUST enum mm_err mm_own_find(struct mm_own *o, const char *batch,
    const char *device, const uint8_t spki[32], struct mm_bytes *der,
    struct mm_why *why);
/* export.c: appends the entry as an export has it, a line of JSON. */
MM_MUST enum mm_err mm_own_put_entry(struct mm_own *o, uint64_t index,
    struct mm_buf *out, struct mm_why *why);
/* An export's first line, and its last, of o->checkpoint. */
void mm_own_put_head(const struct mm_own *o, struct mm_buf *out);
void mm_own_put_end(const struct mm_own *o, struct mm_buf *out);
/* What the device signed that the certificate was confirmed by, of that hash;
 * borrowed until the next call; false: not kept. */
bool mm_own_proof(struct mm_own *o, const char *serial,
    const uint8_t sha256[32], struct mm_bytes *out);
bool mm_own_confirmed(const struct mm_own *o, const char *serial);
/* Receipts (ledger/receipt.h) that it was issued, or taken over, and that it
 * was confirmed, under one checkpoint; with its chain. */
MM_MUST enum mm_err mm_own_receipts(struct mm_own *o, const char *serial,
    struct mm_bytes chain_pem, struct mm_buf *const out[2],
    struct mm_why *why);

/* order_file.c: where a batch's order is kept, as it was imported. */
MM_MUST enum mm_err mm_order_path(const struct mm_station_conf *conf,
    const char *batch, char *out, size_t outn, struct mm_why *why);
/* Who replaces one has the folder until *fd is closed; what was cut off before
 * is wiped then, and by tidy, which the station's start calls. */
MM_MUST enum mm_err mm_order_lock(const struct mm_station_conf *conf, int *fd,
    struct mm_why *why);
void mm_order_tidy(const struct mm_station_conf *conf);
/* Whether an order of that batch was imported; of "" none was. */
bool mm_order_has(const struct mm_station_conf *conf, const char *batch);
/* The batch to make: conf's, or of the newest order; of that too where conf's
 * is made online and the centre is away.  MM_ENOTFOUND. */
MM_MUST enum mm_err mm_order_pick(const struct mm_station_conf *conf,
    char batch[MM_NAME_MAX + 1], struct mm_why *why);
/* One whose file here cannot be read any more; false: there is none. */
bool mm_order_damaged(const struct mm_station_conf *conf,
    char batch[MM_NAME_MAX + 1]);
/* What an order of that batch, which was imported, makes, and what it gives
 * the device. */
MM_MUST enum mm_err mm_order_product(const struct mm_station_conf *conf,
    const char *batch, char product[MM_NAME_MAX + 1], struct mm_why *why);
MM_MUST enum mm_err mm_order_give(const struct mm_station_conf *conf,
    const char *batch, const char *device, struct mm_given *out,
    struct mm_why *why);
/* fn sees the order of that batch. */
MM_MUST enum mm_err mm_order_look(const struct mm_station_conf *conf,
    const char *batch, enum mm_err (*fn)(void *ctx,
    const struct mm_work_order *o, struct mm_why *why), void *ctx,
    struct mm_why *why);
/* The same of an order's papers; n 0: it has none. */
struct mm_order_rows {
	struct mm_bytes table;
	const struct mm_initial_index *index; /* of it; NULL: none */
};
MM_MUST enum mm_err mm_order_render(const struct mm_work_order *o,
    struct mm_bytes template, const struct mm_order_rows *rows,
    const char *device, struct mm_given *out, struct mm_why *why);
/* Each order that is here, of any batch, until one is not MM_OK; one that
 * cannot be read is passed over. */
typedef enum mm_err mm_order_fn(
    void *ctx, const struct mm_work_order *o, struct mm_why *why);
MM_MUST enum mm_err mm_order_each(const struct mm_station_conf *conf,
    mm_order_fn *fn, void *ctx, struct mm_why *why);
/* Runs the signer's take-order on it: its own words, or why not. */
MM_MUST enum mm_err mm_order_take(const struct mm_station_conf *conf,
    struct mm_bytes stream, struct mm_buf *said, struct mm_why *why);

#endif
