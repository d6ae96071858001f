#include "base/hist.h"

/* see hist.h */
const struct mm_hist_shape mm_hist_time = {
	.n = 14,
	.bound = { 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000,
	    250000, 500000, 1000000, 2500000, 10000000 },
	.text = { "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01",
	    "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "10.0" },
	.unit = 1e-6,
};

/* see hist.h */
const struct mm_hist_shape mm_hist_size = {
	.n = 11,
	.bound = { 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024 },
	.text = { "1.0", "2.0", "4.0", "8.0", "16.0", "32.0", "64.0", "128.0",
	    "256.0", "512.0", "1024.0" },
	.unit = 1,
};

static void
add(atomic_uint_fast64_t *to, uint64_t n)
{
	atomic_fetch_add_explicit(to, n, memory_order_relaxed);
}

/* see hist.h */
void
mm_hist_add(struct mm_hist *h, const struct mm_hist_shape *shape, uint64_t v)
{
	size_t i = 0;

	while (i < shape->n && v > shape->bound[i])
		i++;
	add(&h->bucket[i], 1);
	add(&h->sum, v);
}

/* see hist.h */
void
mm_hist_merge(const struct mm_hist *h, struct mm_hist *out)
{
	for (size_t i = 0; i <= MM_HIST_MAX; i++)
		add(&out->bucket[i],
		    atomic_load_explicit(&h->bucket[i], memory_order_relaxed));
	add(&out->sum, atomic_load_explicit(&h->sum, memory_order_relaxed));
}
