"""What Schemathesis does before it sends a request that it made up, and what
it wants of the answer."""
import schemathesis

# A minute for an answer without events is test_events.py's; here it would be
# most of the time.  What the server refuses stays as it was made up.
LONG = {str(s) for s in range(2, 61)}


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.query and str(case.query.get("wait")) in LONG:
        case.query["wait"] = 1


@schemathesis.check
def later_says_when(ctx, response, case):
    """503 is no error of the server where it is busy: it then says when."""
    if response.status_code == 503:
        assert response.headers.get("Retry-After"), "503 without Retry-After"
