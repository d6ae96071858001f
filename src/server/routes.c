#include "server/priv.h"

/* Roles with commas, as rest.md names them; "-": none is asked for. */
static void
put_roles(FILE *f, unsigned roles)
{
	const char *between = "";

	if (roles == 0)
		fputc('-', f);
	for (unsigned bit = 1; bit <= MM_ROLE_LAST; bit <<= 1)
		if ((roles & bit) != 0) {
			fprintf(f, "%s%s", between, mm_role_name(bit));
			between = ",";
		}
}

/* see priv.h */
void
mm_routes_print(FILE *f)
{
	const struct {
		const char *listener;
		const struct mm_http_route *route;
		size_t n;
	} all[] = {
		{ "devices", mm_devices_routes, mm_devices_nroutes },
		{ "operators", mm_operators_routes, mm_operators_nroutes },
		{ "public", mm_public_routes, mm_public_nroutes },
		{ "legacy", mm_legacy_routes, mm_legacy_nroutes },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		for (size_t j = 0; j < all[i].n; j++) {
			const struct mm_http_route *r = &all[i].route[j];

			fprintf(f, "%s %s %s ", all[i].listener,
			    mm_http_method_name(r->method), r->pattern);
			put_roles(f, r->flags);
			fputc('\n', f);
		}
}
