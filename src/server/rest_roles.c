#include "server/rest.h"

/* The reference of who may do what: docs/reference/roles.md. */

/* What a scoped credential is held to. */
static const struct {
	mm_rest_fn *scope;
	const char *text;
} scopes[] = {
	{ NULL, "refused" },
	{ mm_scope_open, "yes" },
	{ mm_scope_list, "its own in the list" },
	{ mm_scope_product, "its product" },
	{ mm_scope_product_itself, "its product" },
	{ mm_scope_device, "its devices" },
	{ mm_scope_device_named, "its devices" },
	{ mm_scope_device_counted, "its devices" },
	{ mm_scope_token, "its tokens" },
	{ mm_scope_token_counted, "its tokens" },
	{ mm_scope_cert, "its certificates" },
	{ mm_scope_entry, "its entries" },
	{ mm_scope_batch, "its batches" },
	{ mm_scope_new_device, "for its products" },
	{ mm_scope_new_devices, "for its products" },
	{ mm_scope_new_tokens, "for its products" },
	{ mm_scope_change, "its devices, within its products" },
	{ mm_scope_enrol, "its devices" },
};

static const char *
scope_text(mm_rest_fn *scope)
{
	for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++)
		if (scopes[i].scope == scope)
			return scopes[i].text;
	return "?";
}

static void
put_route(struct mm_buf *b, const struct mm_http_route *route)
{
	const struct mm_rest_call *c = route->data;

	mm_buf_printf(b, "| `%s %s` |", mm_http_method_name(route->method),
	    route->pattern);
	for (unsigned bit = 1; bit <= MM_ROLE_LAST; bit <<= 1)
		mm_buf_text(b, (route->flags & bit) != 0 ? " yes |" : " - |");
	mm_buf_printf(b, " %s | %s |\n", scope_text(c->scope),
	    c->danger != NULL ? c->danger->action : "");
}

/* see priv.h */
void
mm_rest_print_roles(struct mm_buf *b)
{
	mm_buf_text(b, "| call |");
	for (unsigned bit = 1; bit <= MM_ROLE_LAST; bit <<= 1)
		mm_buf_printf(b, " %s |", mm_role_name(bit));
	mm_buf_text(b, " limited to products | four eyes |\n"
	    "|---|---|---|---|---|---|---|---|---|\n");
	for (size_t i = 0; i < mm_operators_nroutes; i++)
		if (mm_operators_routes[i].flags != 0)
			put_route(b, &mm_operators_routes[i]);
}
