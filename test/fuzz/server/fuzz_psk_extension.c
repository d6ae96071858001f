/* Property: any bytes are or are not a token's hello; what is one stays one
 * with more bytes behind it. */
#include <stdlib.h>
#include <string.h>

#include "server/priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *more;
	bool token = mm_hello_offers_token((struct mm_bytes){ data, size });

	if (!token)
		return 0;
	more = malloc(size + 8);
	if (more == NULL)
		return 0;
	memcpy(more, data, size);
	memset(more + size, 0xff, 8);
	if (!mm_hello_offers_token((struct mm_bytes){ more, size + 8 }))
		abort();
	free(more);
	return 0;
}
