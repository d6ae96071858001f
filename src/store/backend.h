#ifndef MM_STORE_BACKEND_H
#define MM_STORE_BACKEND_H

#include "store/store.h"

/*
 * What a backend provides: the functions of store.h under the same names and
 * with the same meaning.  Its own store and reader begin with these structs.
 */
struct mm_store {
	const struct mm_store_backend *backend;
};
struct mm_store_reader {
	const struct mm_store_backend *backend;
};

/* MM_EINPUT, MM_ELIMIT: what no backend stores. */
enum mm_err mm_op_check(const struct mm_op *op, struct mm_why *why);
/* Whether it is the op's own failure; all else is the database's. */
bool mm_op_own(enum mm_err err);

enum mm_get {
	MM_GET_PRODUCT, MM_GET_DEVICE, MM_GET_TOKEN, MM_GET_CLAIM,
	MM_GET_CERT, MM_GET_OPERATOR, MM_GET_SUCCESSOR, MM_GET_OPERATOR_KEY,
	MM_GET_TOKEN_FACTS, MM_GET_KEY_USE, MM_GETS
};
enum mm_list_kind {
	MM_LIST_PRODUCTS, MM_LIST_DEVICES, MM_LIST_TOKENS, MM_LIST_CERTS,
	MM_LIST_OPERATORS, MM_LISTS
};

/* Where a list's rows go. */
struct mm_row_sink {
	mm_row_fn *fn;
	void *ctx;
};

/* Which entries of a history, and where they go. */
struct mm_history {
	uint64_t before;
	unsigned most;
	mm_each_entry_fn *fn;
	void *ctx;
};

/* Ids of a kind: from exclusive, to exclusive ("": no end), by bytes. */
struct mm_doc_range {
	enum mm_doc_kind kind;
	char from[MM_DOC_ID_MAX + 1], to[MM_DOC_ID_MAX + 1];
	unsigned most;
	const char *of; /* units: a station, batches: a product; NULL: any */
};

/* Where the ends of a class and state go. */
struct mm_end_sink {
	void (*fn)(void *ctx, int64_t not_after_s, int64_t id);
	void *ctx;
};

struct mm_store_backend {
	const char *scheme;
	bool shared; /* several processes may write */

	enum mm_err (*store_open)(const char *where, bool create,
	    struct mm_store **out, struct mm_why *why);
	void (*store_close)(struct mm_store *take_s);
	enum mm_err (*store_run)(struct mm_store *s, struct mm_op **ops,
	    size_t nops, struct mm_why *why);
	uint64_t (*store_ledger_size)(const struct mm_store *s);

	enum mm_err (*reader_open)(const char *where,
	    struct mm_store_reader **out, struct mm_why *why);
	void (*reader_close)(struct mm_store_reader *take_r);
	enum mm_err (*reader_begin)(struct mm_store_reader *r,
	    struct mm_why *why);
	void (*reader_end)(struct mm_store_reader *r);
	enum mm_err (*inspect)(struct mm_store_reader *r, bool deep,
	    struct mm_store_health *out, struct mm_why *why);
	enum mm_err (*store_tidy)(struct mm_store_reader *r,
	    struct mm_why *why);

	/* key: text, 16 bytes of a serial or 32 of a hash; out: the kind's
	 * struct. */
	enum mm_err (*get)(struct mm_store_reader *r, enum mm_get kind,
	    const void *key, void *out, struct mm_why *why);
	enum mm_err (*get_cert_der)(struct mm_store_reader *r,
	    const uint8_t serial[16], struct mm_buf *der, struct mm_why *why);
	enum mm_err (*get_device_cert)(struct mm_store_reader *r,
	    const char *device, bool idevid, struct mm_cert_row *out,
	    struct mm_why *why);
	enum mm_err (*get_checkpoint)(struct mm_store_reader *r,
	    uint64_t *size, struct mm_buf *note, struct mm_why *why);
	enum mm_err (*get_crl)(struct mm_store_reader *r, const char *issuer,
	    uint64_t *number, int64_t *next_s, struct mm_buf *der,
	    struct mm_why *why);
	enum mm_err (*get_shard)(struct mm_store_reader *r,
	    const char *issuer, uint32_t shard, uint64_t *number,
	    int64_t *next_s, struct mm_buf *der, struct mm_why *why);
	enum mm_err (*get_answer)(struct mm_store_reader *r, const char *key,
	    struct mm_answer_row *out, struct mm_buf *body, struct mm_why *why);
	enum mm_err (*get_doc)(struct mm_store_reader *r,
	    enum mm_doc_kind kind, const char *id, uint64_t *version,
	    struct mm_buf *body, struct mm_why *why);
	enum mm_err (*get_counts)(struct mm_store_reader *r,
	    struct mm_store_counts *out, struct mm_why *why);

	enum mm_err (*get_unconfirmed)(struct mm_store_reader *r,
	    int64_t before_ms, uint64_t most, uint64_t *n,
	    struct mm_why *why);

	/* The class after at's; MM_ENOTFOUND: that was the last. */
	enum mm_err (*next_class)(struct mm_store_reader *r,
	    struct mm_ending *at, struct mm_why *why);
	/* Those of at's class in the state, after at's place. */
	enum mm_err (*list_ends)(struct mm_store_reader *r,
	    const struct mm_ending *at, enum mm_cert_state state, unsigned most,
	    const struct mm_end_sink *to, struct mm_why *why);

	enum mm_err (*get_entry)(struct mm_store_reader *r, uint64_t index,
	    struct mm_buf *entry, struct mm_why *why);
	enum mm_err (*each_entry)(struct mm_store_reader *r, uint64_t from,
	    uint64_t to, mm_each_entry_fn *fn, void *ctx, struct mm_why *why);
	enum mm_err (*get_tile)(struct mm_store_reader *r,
	    const struct mm_tile_id *id, struct mm_buf *out,
	    struct mm_why *why);

	enum mm_err (*list)(struct mm_store_reader *r, enum mm_list_kind kind,
	    const struct mm_list *l, const struct mm_row_sink *to,
	    struct mm_why *why);
	enum mm_err (*list_docs)(struct mm_store_reader *r,
	    const struct mm_doc_range *range, const struct mm_row_sink *to,
	    struct mm_why *why);
	enum mm_err (*count_docs)(struct mm_store_reader *r,
	    const struct mm_doc_range *range, int64_t *n,
	    struct mm_why *why);
	enum mm_err (*list_revoked)(struct mm_store_reader *r,
	    const char *issuer, int64_t now_s, const struct mm_row_sink *to,
	    struct mm_why *why);
	enum mm_err (*list_revoked_shards)(struct mm_store_reader *r,
	    const struct mm_shards_of *of, const struct mm_row_sink *to,
	    struct mm_why *why);
	enum mm_err (*list_shards)(struct mm_store_reader *r,
	    const char *issuer, const struct mm_row_sink *to,
	    struct mm_why *why);
	enum mm_err (*list_history)(struct mm_store_reader *r,
	    const char *device, const struct mm_history *h,
	    struct mm_why *why);
	enum mm_err (*recall)(struct mm_store_reader *r,
	    const struct mm_recall *q, const struct mm_row_sink *to,
	    char next[MM_RECALL_AFTER], struct mm_why *why);
};

extern const struct mm_store_backend mm_sqlite_backend, mm_postgres_backend;

#endif
