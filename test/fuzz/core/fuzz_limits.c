/*
 * Properties: a scope that parses sees the products it names, in their order
 * and once each, nothing else, and none of them with a batch in it; its names
 * written down again are the same scope.  Sources that are accepted hold the
 * same addresses when they stand twice; refused ones hold nobody that the
 * items alone would not.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool yes)
{
	if (!yes)
		abort();
}

static void
write_down(const struct mm_scope *s, char *out, size_t n)
{
	size_t at = 0;

	out[0] = '\0';
	for (unsigned i = s->nproducts; i-- > 0;)
		at += (size_t)snprintf(out + at, n - at, "%sproduct:%s",
		    at > 0 ? "," : "", s->product[i]);
	for (unsigned i = s->nbatches; i-- > 0;)
		at += (size_t)snprintf(out + at, n - at, "%sbatch:%s",
		    at > 0 ? "," : "", s->batch[i]);
}

static void
check_scope(const char *text)
{
	char again[4 * MM_SCOPE_TEXT];
	struct mm_scope s, t;

	memset(&s, 0, sizeof(s));
	memset(&t, 0, sizeof(t));
	if (mm_scope_parse(text, &s, NULL) != MM_OK)
		return;
	must(s.on == (text[0] != '\0'));
	must(!s.on || s.nproducts + s.nbatches > 0);
	for (unsigned i = 0; i < s.nproducts; i++) {
		must(i == 0 || strcmp(s.product[i - 1], s.product[i]) < 0);
		must(mm_scope_sees(&s, s.product[i], "") ==
		    (s.nbatches == 0));
	}
	must(mm_scope_sees(&s, "", "") == !s.on);
	must(mm_scope_sees(&s, "Not-A-Name", "!") == !s.on);
	write_down(&s, again, sizeof(again));
	must(mm_scope_parse(again, &t, NULL) == MM_OK);
	must(memcmp(&s, &t, sizeof(s)) == 0);
}

static void
check_sources(const char *text, const struct in6_addr *peer)
{
	char twice[2 * MM_SOURCES_TEXT];

	if (text[0] == '\0' || mm_sources_check(text, NULL) != MM_OK)
		return;
	snprintf(twice, sizeof(twice), "%s,%s", text, text);
	must(mm_sources_check(twice, NULL) == MM_OK);
	must(mm_sources_hold(text, peer) == mm_sources_hold(twice, peer));
	must(mm_sources_hold("::/0", peer));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[MM_SOURCES_TEXT];
	struct in6_addr peer;

	if (size < sizeof(peer) || size - sizeof(peer) >= sizeof(text))
		return 0;
	memcpy(&peer, data, sizeof(peer));
	memcpy(text, data + sizeof(peer), size - sizeof(peer));
	text[size - sizeof(peer)] = '\0';
	check_scope(text);
	check_sources(text, &peer);
	return 0;
}
