/*
 * Issuance through the core alone, without HTTP or TLS: token claims, so many
 * in flight, SQLite with synchronous=FULL, the signer as a process.  Prints
 * CPU time per issuance of both processes, the arithmetic floor of the same
 * run (one verify, one sign) and the ratio to it.
 *
 * Usage: bench_core_issue [claims] [in flight]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rig.h"

#define FLOOR_ROUNDS 2000

static double
clock_us(clockid_t id)
{
	struct timespec t;

	MUST(clock_gettime(id, &t) == 0);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double
floor_us(void)
{
	struct mm_key_templates *templates;
	struct mm_buf sig = MM_BUF_INIT(256);
	EVP_PKEY *key = rig_key();
	struct mm_job *job = rig_job(MM_JOB_ENROL, key, "");
	struct mm_sign *sign;
	double from;

	MUST(mm_key_templates_new(NULL, &templates, NULL) == MM_OK);
	MUST(mm_sign_new(NULL, key, &sign, NULL) == MM_OK);
	from = clock_us(CLOCK_THREAD_CPUTIME_ID);
	for (unsigned i = 0; i < FLOOR_ROUNDS; i++) {
		mm_buf_reset(&sig);
		MUST(mm_csr_verify(&job->csr, NULL, templates, NULL) ==
		    MM_OK);
		MUST(mm_sign_bytes(sign, job->csr.info, &sig, NULL) == MM_OK);
	}
	from = clock_us(CLOCK_THREAD_CPUTIME_ID) - from;
	mm_sign_free(&sign);
	mm_key_templates_free(&templates);
	mm_buf_done(&sig);
	mm_pkey_free(&key);
	mm_job_free(&job);
	return from / FLOOR_ROUNDS;
}

static struct mm_job *
prepare(struct rig *r, unsigned i)
{
	EVP_PKEY *key = rig_key();
	struct mm_job *job = rig_job(MM_JOB_ENROL, key, "");
	struct mm_token_made t;
	char device[32];

	snprintf(device, sizeof(device), "BENCH-%06u", i);
	t = rig_token(r, device);
	rig_psk(job, &t);
	mm_pkey_free(&key);
	return job;
}

/* Takes up to n from the front. */
static struct mm_job *
cut(struct mm_job **list, unsigned n)
{
	struct mm_job *head = *list, *last = head;

	if (n == 0 || head == NULL)
		return NULL;
	while (--n > 0 && last->next != NULL)
		last = last->next;
	*list = last->next;
	last->next = NULL;
	return head;
}

static void
release(struct mm_job *list)
{
	struct mm_job *next;

	for (; list != NULL; list = next) {
		next = list->next;
		MUST(list->result == MM_OK);
		mm_job_free(&list);
	}
}

static void
run(struct rig *r, struct mm_job *list, unsigned total, unsigned window)
{
	unsigned n = window;

	for (unsigned left = total; left > 0; left -= n) {
		struct mm_job *some = cut(&list, n);

		if (some != NULL)
			rig_post(r, some);
		release(rig_take(r, 1, &n));
	}
}

int
main(int argc, char *argv[])
{
	unsigned total = argc > 1 ? (unsigned)atoi(argv[1]) : 4000;
	unsigned window = argc > 2 ? (unsigned)atoi(argv[2]) : 64;
	struct mm_job *list = NULL;
	double own, other, wall, base;
	clockid_t signer;
	struct rig rig;

	rig_make(&rig, NULL, NULL);
	for (unsigned i = 0; i < total; i++) {
		struct mm_job *job = prepare(&rig, i);
		job->next = list;
		list = job;
	}
	base = floor_us();
	MUST(clock_getcpuclockid(rig.signer, &signer) == 0);
	own = clock_us(CLOCK_PROCESS_CPUTIME_ID);
	other = clock_us(signer);
	wall = clock_us(CLOCK_MONOTONIC);
	run(&rig, list, total, window);
	own = (clock_us(CLOCK_PROCESS_CPUTIME_ID) - own) / total;
	other = (clock_us(signer) - other) / total;
	wall = (clock_us(CLOCK_MONOTONIC) - wall) / total;
	printf("claims %u, in flight %u\n", total, window);
	printf("floor (verify + sign)   %7.1f us\n", base);
	printf("core and store          %7.1f us\n", own);
	printf("signer                  %7.1f us\n", other);
	printf("both                    %7.1f us, %.2f x the floor\n",
	    own + other, (own + other) / base);
	printf("wall                    %7.1f us\n", wall);
	rig_done(&rig);
	return 0;
}
