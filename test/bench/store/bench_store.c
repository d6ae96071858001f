/*
 * What the store costs: CPU microseconds of the writer per issuance by batch
 * size, bytes a certificate takes with all that belongs to it, the time of
 * every kind of list, of opening, and of proofs' tiles.  Beside them the
 * SHA-256 of an entry, as the floor of the same run.
 *
 * bench_store DIR [CERTIFICATES] [KEEP]: a folder on the disk to be measured.
 */
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/store.h"
#include "server.h"

enum { BATCH_MAX = 512, DER_N = 600, ENTRY_N = 450, PRODUCTS = 20,
	ORDER_N = 5000 /* units of a product in a row */ };
#define NOW_S INT64_C(1795000000)

static double
us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void
must(enum mm_err err, const struct mm_why *why)
{
	if (err == MM_OK)
		return;
	fprintf(stderr, "%s: %s\n", mm_err_slug(err), why->text);
	exit(1);
}

/* ---- work ---- */

struct work {
	struct mm_op op;
	char entry[ENTRY_N + 1];
	uint8_t der[DER_N];
};

/* Random as serials, keys and tokens are; the same in every run. */
static struct mm_hash
noise(uint64_t n, unsigned what)
{
	uint64_t seed[2] = { n, what };

	return mm_tree_leaf((struct mm_bytes){ (const uint8_t *)seed,
	    sizeof(seed) });
}

static void
serial_of(uint64_t n, uint8_t out[16])
{
	uint64_t ms = (uint64_t)NOW_S * 1000 + n / 8;
	struct mm_hash h = noise(n, 1);

	for (unsigned i = 0; i < 6; i++)
		out[i] = (uint8_t)(ms >> (40 - 8 * i));
	memcpy(out + 6, h.b, 10);
}

static void
names_of(uint64_t n, char token[25], char device[MM_DEVICE_ID_MAX + 1],
    char product[MM_NAME_MAX + 1])
{
	struct mm_hash h = noise(n, 2);
	char id[21];

	mm_base32_text(h.b, 12, id);
	snprintf(token, 25, "mm1-%s", id);
	snprintf(device, MM_DEVICE_ID_MAX + 1, "SN-%08llu",
	    (unsigned long long)n);
	snprintf(product, MM_NAME_MAX + 1, "product-%llu",
	    (unsigned long long)n / ORDER_N % PRODUCTS);
}

static void
init(struct work *w, enum mm_op_kind kind, uint64_t n)
{
	memset(&w->op, 0, sizeof(w->op));
	memset(w->entry, 'x', ENTRY_N);
	snprintf(w->entry, sizeof(w->entry), "{\"n\":%llu",
	    (unsigned long long)n);
	w->op.kind = kind;
	w->op.nentries = 1;
	w->op.entry[0] = (struct mm_bytes){ (const uint8_t *)w->entry,
		ENTRY_N };
}

static void
mint(struct work *w, uint64_t n)
{
	struct mm_token_row *t = &w->op.u.mint.row;

	init(w, MM_OP_TOKEN_MINT, n);
	w->op.entry[0].n = 250;
	names_of(n, t->id, t->device, t->product);
	t->created_at = t->not_before_at = NOW_S * 1000;
	t->expires_at = t->created_at + 259200000;
	w->op.u.mint.make_device = true;
}

static void
issue(struct work *w, uint64_t n)
{
	struct mm_cert_row *r = &w->op.u.issue.row;
	struct mm_hash spki = noise(n, 3), cert = noise(n, 4);
	char token[25];

	init(w, MM_OP_ISSUE, n);
	names_of(n, token, r->device, r->product);
	snprintf(r->authority, sizeof(r->authority), "token:%s", token);
	snprintf(r->profile, sizeof(r->profile), "ldevid-%s@3", r->product);
	strcpy(r->issuer, n / ORDER_N % PRODUCTS == 3 ? "cloud-ca" : "line-ca");
	serial_of(n, r->serial);
	memcpy(r->spki_sha256, spki.b, 32);
	memcpy(r->cert_sha256, cert.b, 32);
	r->issued_at = NOW_S * 1000 + (int64_t)n / 8;
	r->not_before_s = NOW_S - 3600;
	r->not_after_s = NOW_S + 63072000 - cert.b[0] * 10000;
	memset(w->der, 0x30, sizeof(w->der));
	w->op.u.issue.der = (struct mm_bytes){ w->der, DER_N };
}

static void
revoke_one(struct work *w, uint64_t n)
{
	init(w, MM_OP_REVOKE, n);
	serial_of(n, w->op.u.revoke.serial);
	w->op.u.revoke.to = MM_CERT_REVOKED;
	w->op.u.revoke.at = NOW_S * 1000;
}

static void
confirm(struct work *w, uint64_t n)
{
	init(w, MM_OP_CONFIRM, n);
	w->op.entry[0].n = 200;
	serial_of(n, w->op.u.confirm.serial);
	w->op.u.confirm.at = NOW_S * 1000;
}

struct spent { /* microseconds */
	double cpu, wall;
};

/* What running make(from..to) in batches costs. */
static struct spent
run(struct mm_store *s, void (*make)(struct work *, uint64_t), uint64_t from,
    uint64_t to, size_t batch)
{
	static _Thread_local struct work work[BATCH_MAX];
	struct mm_op *ops[BATCH_MAX];
	struct spent spent = { 0, 0 };

	while (from < to) {
		struct mm_why why = { 0 };
		double start, wall;
		size_t n = 0;

		for (; n < batch && from < to; n++, from++) {
			make(&work[n], from);
			ops[n] = &work[n].op;
		}
		start = us(CLOCK_THREAD_CPUTIME_ID);
		wall = us(CLOCK_MONOTONIC);
		must(mm_store_run(s, ops, n, &why), &why);
		spent.wall += us(CLOCK_MONOTONIC) - wall;
		spent.cpu += us(CLOCK_THREAD_CPUTIME_ID) - start;
		for (size_t i = 0; i < n; i++)
			must(work[i].op.result, &work[i].op.why);
	}
	return spent;
}

/* ---- space ---- */

static double
database_bytes(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (double)st.st_size : 0;
}

/* A tidy with nobody else there copies the whole WAL back. */
static double
tidy_bytes(struct mm_store_reader *r, const char *path)
{
	struct mm_why why = { 0 };

	must(mm_store_tidy(r, &why), &why);
	return database_bytes(path);
}

/* ---- reading ---- */

static enum mm_err
count(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	(void)row;
	(void)next;
	(void)why;
	++*(unsigned *)ctx;
	return MM_OK;
}

static void
time_list(struct mm_store_reader *r, const char *what, struct mm_list l)
{
	struct mm_why why = { 0 };
	double start = us(CLOCK_MONOTONIC);
	unsigned n = 0;

	l.most = 100;
	must(mm_list_certs(r, &l, count, &n, &why), &why);
	printf("  list %-44s %7.2f ms, %u rows\n", what,
	    (us(CLOCK_MONOTONIC) - start) / 1e3, n);
}

static void
lists(struct mm_store_reader *r, uint64_t n)
{
	struct mm_list l = { .state = -1 }, deep = l;
	uint8_t serial[16];
	unsigned rows = 0;
	double start;
	struct mm_why why = { 0 };

	time_list(r, "all", l);
	serial_of(n - 200, serial);
	mm_hex_text(serial, 16, deep.after);
	time_list(r, "all, from the end", deep);
	deep.product = "product-7";
	time_list(r, "product, from the end", deep);
	time_list(r, "product", (struct mm_list){ .state = -1,
	    .product = "product-7" });
	time_list(r, "product that is none", (struct mm_list){ .state = -1,
	    .product = "none" });
	time_list(r, "issuer", (struct mm_list){ .state = -1,
	    .issuer = "line-ca" });
	time_list(r, "state revoked", (struct mm_list){
	    .state = MM_CERT_REVOKED });
	time_list(r, "state held (none)", (struct mm_list){
	    .state = MM_CERT_HELD });
	time_list(r, "state, issuer, product (none)", (struct mm_list){
	    .state = MM_CERT_REVOKED, .issuer = "cloud-ca",
	    .product = "product-7" });
	time_list(r, "device", (struct mm_list){ .state = -1,
	    .device = "SN-00000777" });
	time_list(r, "expiry", (struct mm_list){ .state = -1,
	    .expires_from_s = NOW_S, .expires_to_s = NOW_S + 62000000 });
	time_list(r, "expiry, product, state", (struct mm_list){
	    .state = MM_CERT_ISSUED, .product = "product-7",
	    .expires_from_s = NOW_S + 61000000 });
	start = us(CLOCK_MONOTONIC);
	must(mm_list_revoked(r, "line-ca", NOW_S, count, &rows, &why), &why);
	printf("  revoked for a CRL %35.2f ms, %u rows\n",
	    (us(CLOCK_MONOTONIC) - start) / 1e3, rows);
}

struct proofs {
	struct mm_store_reader *r;
	struct mm_buf buf;
};

static enum mm_err
tile(void *ctx, const struct mm_tile_id *id, struct mm_bytes *out,
    struct mm_why *why)
{
	struct proofs *p = ctx;

	mm_buf_reset(&p->buf);
	MM_TRY(mm_get_tile(p->r, id, &p->buf, why));
	*out = mm_buf_view(&p->buf);
	return MM_OK;
}

static void
points(struct mm_store_reader *r, uint64_t n)
{
	enum { TIMES = 2000 };
	struct proofs p = { r, MM_BUF_INIT(1 << 20) };
	struct mm_tile_reader reader = { .get = tile, .ctx = &p };
	struct mm_cert_row row;
	struct mm_proof proof;
	struct mm_why why = { 0 };
	uint8_t serial[16];
	double start = us(CLOCK_MONOTONIC);

	for (unsigned i = 0; i < TIMES; i++) {
		serial_of(i * UINT64_C(7919) % n, serial);
		must(mm_get_cert(r, serial, &row, &why), &why);
	}
	printf("  certificate by serial %31.2f us\n",
	    (us(CLOCK_MONOTONIC) - start) / TIMES);
	must(mm_get_ledger_size(r, &reader.size, &why), &why);
	start = us(CLOCK_MONOTONIC);
	for (unsigned i = 0; i < TIMES; i++)
		must(mm_proof_inclusion(mm_tile_read, &reader,
		    i * UINT64_C(104729) % reader.size, reader.size, &proof,
		    &why), &why);
	printf("  inclusion proof %37.2f us\n",
	    (us(CLOCK_MONOTONIC) - start) / TIMES);
	mm_buf_done(&p.buf);
}

static void
opening(const char *url)
{
	struct mm_store *s = NULL;
	struct mm_store_reader *r = NULL;
	struct mm_why why = { 0 };
	double start = us(CLOCK_MONOTONIC);

	must(mm_store_open(url, false, &s, &why), &why);
	printf("  open the store %38.2f ms\n",
	    (us(CLOCK_MONOTONIC) - start) / 1e3);
	start = us(CLOCK_MONOTONIC);
	must(mm_reader_open(url, &r, &why), &why);
	printf("  open a reader %39.2f ms\n",
	    (us(CLOCK_MONOTONIC) - start) / 1e3);
	mm_reader_close(&r);
	mm_store_close(&s);
}

/* ---- devices: put many at once, recalled ---- */

static void
put_device(struct work *w, uint64_t n)
{
	struct mm_device *d = &w->op.u.device.row;

	init(w, MM_OP_DEVICE_PUT, n);
	w->op.entry[0].n = 250;
	snprintf(d->id, sizeof(d->id), "DV-%08llu", (unsigned long long)n);
	snprintf(d->product, sizeof(d->product), "product-%llu",
	    (unsigned long long)n / ORDER_N % PRODUCTS);
	d->created_at = NOW_S * 1000 + (int64_t)n;
	snprintf(d->attributes, sizeof(d->attributes),
	    "{\"hw_rev\":\"B%llu\",\"lot\":%llu,\"mac\":\"02%010llx\"}",
	    (unsigned long long)n % 50, (unsigned long long)n / 100,
	    (unsigned long long)(n * 2654435761U) & 0xffffffffffU);
	w->op.u.device.same_is_fine = true;
}

static void
put_indexed(struct work *w, uint64_t n)
{
	put_device(w, n);
	w->op.u.device.indexed = "[\"hw_rev\",\"lot\",\"mac\"]";
}

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void
time_recall(struct mm_store_reader *r, const char *what, struct mm_recall q,
    uint64_t n)
{
	enum { TIMES = 200 };
	double took[TIMES];
	unsigned rows = 0;

	q.most = 100;
	q.scan = 1500; /* as the server has it */
	q.state = -1;
	for (unsigned i = 0; i < TIMES; i++) {
		char next[MM_RECALL_AFTER];
		struct mm_why why = { 0 };
		double start;

		rows = 0;
		if (q.nwhere > 0 && strcmp(q.where[0].name, "lot") == 0)
			q.where[0].number = (double)(i * 7919 % (n / 100));
		start = us(CLOCK_MONOTONIC);
		must(mm_recall_devices(r, &q, count, &rows, next, &why), &why);
		took[i] = us(CLOCK_MONOTONIC) - start;
	}
	qsort(took, TIMES, sizeof(took[0]), by_size);
	printf("  recall %-36s p50 %6.2f ms, p99 %6.2f ms, %u rows\n", what,
	    took[TIMES / 2] / 1e3, took[TIMES * 99 / 100] / 1e3, rows);
}

#define WHERE(n, o, ...) .nwhere = 1, .where = { { .name = n, \
	.op = MM_WHERE_##o, __VA_ARGS__ } }

static void
recalls(struct mm_store_reader *r, uint64_t n)
{
	time_recall(r, "attribute equal", (struct mm_recall){
	    WHERE("hw_rev", EQ, .text = "B7", .indexed = true) }, n);
	time_recall(r, "attribute equal, number", (struct mm_recall){
	    WHERE("lot", EQ, .is_number = true, .indexed = true) }, n);
	time_recall(r, "attribute range", (struct mm_recall){
	    WHERE("lot", GE, .is_number = true, .indexed = true) }, n);
	time_recall(r, "attribute prefix", (struct mm_recall){
	    WHERE("mac", PREFIX, .text = "0200", .indexed = true) }, n);
	time_recall(r, "equal, product, created (few)", (struct mm_recall){
	    .product = "product-7", .created_from = NOW_S * 1000 + 1,
	    WHERE("hw_rev", EQ, .text = "B7", .indexed = true) }, n);
	time_recall(r, "no index: a page is its budget", (struct mm_recall){
	    WHERE("hw_rev", EQ, .text = "none") }, n);
	time_recall(r, "created in a range", (struct mm_recall){
	    .created_from = NOW_S * 1000 + (int64_t)n / 2,
	    .created_to = NOW_S * 1000 + (int64_t)n / 2 + 50 }, n);
	time_recall(r, "issuer", (struct mm_recall){
	    .issuer = "line-ca" }, n);
	time_recall(r, "issuer that is none: its budget", (struct mm_recall){
	    .issuer = "none" }, n);
	time_recall(r, "issued in a range, issuer", (struct mm_recall){
	    .issuer = "line-ca", .issued_from = NOW_S * 1000 + 100,
	    .issued_to = NOW_S * 1000 + 200 }, n);
	time_recall(r, "product, issuer", (struct mm_recall){
	    .product = "product-7", .issuer = "line-ca" }, n);
}

/* Wall time, with commits: what an import waits for. */
static void
devices(struct mm_store *s, struct mm_store_reader *r, uint64_t n)
{
	static const struct {
		const char *what;
		void (*make)(struct work *, uint64_t);
	} rows[] = { { "no index", put_device }, { "again, the same",
	    put_device }, { "3 indexed", put_indexed } };
	struct mm_why why = { 0 };
	uint64_t first = 0;

	for (unsigned i = 0; i < 3; i++) {
		double start, cpu;

		first = i == 2 ? n / 4 : 0;
		start = us(CLOCK_MONOTONIC);
		cpu = run(s, rows[i].make, first, i == 2 ? n : n / 4,
		    BATCH_MAX).cpu;
		start = us(CLOCK_MONOTONIC) - start;
		printf("devices, %s: %.2f us of CPU each, %.0f a second\n",
		    rows[i].what, cpu / (double)(i == 2 ? n - first : n / 4),
		    (double)(i == 2 ? n - first : n / 4) / start * 1e6);
		must(mm_store_tidy(r, &why), &why);
	}
	recalls(r, n);
}

/* ---- the run ---- */

static double
floor_us(void)
{
	uint8_t entry[ENTRY_N] = { 1 };
	double start = us(CLOCK_THREAD_CPUTIME_ID);

	for (unsigned i = 0; i < 20000; i++)
		entry[0] ^= mm_tree_leaf((struct mm_bytes){ entry,
		    sizeof(entry) }).b[0];
	return (us(CLOCK_THREAD_CPUTIME_ID) - start) / 20000;
}

/*
 * By batch, both backends on the same disk: the time of this process's thread,
 * and how long it took, the server's work and the sync included.
 */
static void
by_batch(struct mm_store *s, struct mm_store_reader *r, struct mm_store *pg,
    uint64_t first)
{
	static const size_t batches[] = { 1, 8, 16, 32, 64, 128 };
	struct mm_why why = { 0 };
	double leaf = floor_us();

	printf("SHA-256 of an entry: %.2f us\n", leaf);
	printf("issue, microseconds     SQLite               PostgreSQL\n");
	printf("                     CPU   in all    CPU  server's   in all\n");
	for (unsigned i = 0; i < sizeof(batches) / sizeof(batches[0]); i++) {
		uint64_t to = first + (batches[i] == 1 ? 500 : 6400);
		double n = (double)(to - first);
		struct spent lite, big;
		double server;

		run(s, mint, first, to, BATCH_MAX);
		lite = run(s, issue, first, to, batches[i]);
		printf("batch of %3zu    %8.2f  %8.2f", batches[i],
		    lite.cpu / n, lite.wall / n);
		if (pg != NULL) {
			run(pg, mint, first, to, BATCH_MAX);
			server = pg_server_cpu_us();
			big = run(pg, issue, first, to, batches[i]);
			server = pg_server_cpu_us() - server;
			printf("%7.2f %9.2f %8.2f, %5.2f x SQLite's, %.0f/s",
			    big.cpu / n, server / n, big.wall / n,
			    big.wall / lite.wall, n / big.wall * 1e6);
		}
		printf("\n");
		first = to;
		must(mm_store_tidy(r, &why), &why);
	}
	printf("confirm, batch of  32: %6.2f us of CPU\n",
	    run(s, confirm, first - 6400, first, 32).cpu / 6400);
}

/* ---- two nodes ---- */

struct node {
	pthread_t thread;
	const char *url;
	uint64_t from, to;
	size_t batch;
};

static void *
node_run(void *arg)
{
	struct node *node = arg;
	struct mm_store *s = NULL;
	struct mm_why why = { 0 };

	must(mm_store_open(node->url, false, &s, &why), &why);
	run(s, issue, node->from, node->to, node->batch);
	mm_store_close(&s);
	return NULL;
}

/* Each takes its turn at the ledger's lock. */
static void
two_nodes(const char *url, struct mm_store *s, uint64_t first)
{
	static const size_t batches[] = { 1, 16, 64 };

	for (unsigned i = 0; i < 3; i++) {
		uint64_t n = batches[i] == 1 ? 1000 : 12800;
		struct node node[2];
		double start;

		run(s, mint, first, first + n, BATCH_MAX);
		start = us(CLOCK_MONOTONIC);
		for (unsigned k = 0; k < 2; k++) {
			node[k] = (struct node){ .url = url,
				.from = first + k * n / 2,
				.to = first + (k + 1) * n / 2,
				.batch = batches[i] };
			if (pthread_create(&node[k].thread, NULL, node_run,
			    &node[k]) != 0)
				exit(1);
		}
		for (unsigned k = 0; k < 2; k++)
			pthread_join(node[k].thread, NULL);
		printf("PostgreSQL, two nodes, batch of %3zu: %.0f/s\n",
		    batches[i],
		    (double)n / (us(CLOCK_MONOTONIC) - start) * 1e6);
		first += n;
	}
}

static void
fill(struct mm_store *s, struct mm_store_reader *r, const char *path,
    uint64_t n)
{
	enum { STEP = 20000 };
	double minted = 0, issued = 0, base = tidy_bytes(r, path);

	for (uint64_t at = 0; at < n; at += STEP) {
		double before = tidy_bytes(r, path), middle;
		uint64_t to = at + STEP < n ? at + STEP : n;

		run(s, mint, at, to, BATCH_MAX);
		middle = tidy_bytes(r, path);
		run(s, issue, at, to, BATCH_MAX);
		minted += middle - before;
		issued += tidy_bytes(r, path) - middle;
	}
	printf("%llu certificates: %.0f bytes each with entry and leaf, "
	    "token and device with theirs %.0f\n", (unsigned long long)n,
	    issued / (double)n, minted / (double)n);
	printf("database: %.1f MB\n", (base + minted + issued) / 1e6);
}

static void
clean(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (strncmp(e->d_name, "bench.db", 8) == 0)
			unlinkat(dirfd(d), e->d_name, 0);
	if (d != NULL)
		closedir(d);
}

static void
reads(struct mm_store_reader *r, uint64_t n)
{
	lists(r, n);
	points(r, n);
}

/* As many certificates as SQLite has. */
static struct mm_store *
fill_postgres(const char *dir, uint64_t n, char *url, size_t size)
{
	struct mm_store *s = NULL;
	struct mm_why why = { 0 };

	if (!pg_server(dir)) {
		printf("no PostgreSQL server here\n");
		return NULL;
	}
	pg_database(url, size);
	must(mm_store_open(url, true, &s, &why), &why);
	run(s, mint, 0, n, BATCH_MAX);
	run(s, issue, 0, n, BATCH_MAX);
	return s;
}

static void
on_postgres(struct mm_store *s, const char *url, uint64_t n)
{
	struct mm_store_reader *r = NULL;
	struct mm_why why = { 0 };

	two_nodes(url, s, n + 100000);
	must(mm_reader_open(url, &r, &why), &why);
	printf("PostgreSQL:\n");
	reads(r, n);
	mm_reader_close(&r);
	opening(url);
}

int
main(int argc, char **argv)
{
	struct mm_store *s = NULL, *pg;
	struct mm_store_reader *r = NULL;
	struct mm_why why = { 0 };
	char url[512], pg_url[256];
	uint64_t n = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;

	if (argc < 2 || n < 1000) {
		fprintf(stderr, "usage: bench_store DIR [CERTIFICATES]\n");
		return 2;
	}
	clean(argv[1]);
	snprintf(url, sizeof(url), "sqlite:%s/bench.db", argv[1]);
	must(mm_store_open(url, true, &s, &why), &why);
	must(mm_reader_open(url, &r, &why), &why);
	fill(s, r, strchr(url, ':') + 1, n);
	pg = fill_postgres(argv[1], n, pg_url, sizeof(pg_url));
	for (uint64_t i = 0; i < 1000; i++)
		run(s, revoke_one, i * (n / 1000), i * (n / 1000) + 1, 1);
	by_batch(s, r, pg, n);
	devices(s, r, n);
	reads(r, n);
	mm_reader_close(&r);
	mm_store_close(&s);
	opening(url);
	if (pg != NULL)
		on_postgres(pg, pg_url, n);
	mm_store_close(&pg);
	clean(argv[1]);
	return 0;
}
