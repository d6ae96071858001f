#include <stdio.h>

#include "base/json.h"
#include "base/text.h"
#include "http/http.h"

#define PROBLEM_BASE "https://mintmark.dev/problems/"
#define BODY_MAX     4096

/* see http.h */
void
mm_http_problem(struct mm_http_resp *resp, int status, const char *slug,
    const char *detail, const char *reason, const char *id)
{
	struct mm_json j = mm_json_over(&resp->body);
	char type[64];

	mm_buf_init(&resp->body, BODY_MAX);
	snprintf(type, sizeof(type), PROBLEM_BASE "%s", slug);
	mm_json_open(&j, '{');
	mm_json_str(&j, "type", type);
	mm_json_str(&j, "title", slug);
	mm_json_int(&j, "status", status);
	if (detail[0] != '\0' && mm_utf8_valid(mm_bytes_of(detail)))
		mm_json_str(&j, "detail", detail);
	if (reason != NULL && reason[0] != '\0')
		mm_json_str(&j, "reason", reason);
	mm_json_str(&j, "request_id", id);
	mm_json_close(&j, '}');
	resp->status = status;
	resp->content_type = "application/problem+json";
}
