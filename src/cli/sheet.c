#include "cli/rollover.h"

/*
 * The answer sheet: an issuing CA's certificate comes from people who sign
 * many kinds of them, and what they leave out or add is noticed years later.
 */
enum { DAY_S = 86400 };

/* Devices are certified as long as what is left of its life is as long as
 * theirs: twice that, at the very least, or it has a follower at once. */
static void
put_life(const struct mm_config *c, const struct mm_issuer_conf *i,
    struct mm_buf *out)
{
	const struct mm_profile *p = mm_config_longest(c, i);
	int64_t life = p == NULL ? 0 : p->lifetime_s;

	if (life == 0)
		mm_buf_text(out, "validity           as long as your CA's: what "
		    "hangs below it has no end of its own\n");
	else
		mm_buf_printf(out, "validity           at least %lld days, "
		    "better 10 years; devices' certificates live %lld days, "
		    "and none outlives its issuer\n",
		    (long long)(2 * life / DAY_S + 1), (long long)life / DAY_S);
}

/* see rollover.h; RFC 5280 4.2.1.1 to 4.2.1.13 */
void
mm_answer_sheet(const struct mm_config *c, const struct mm_issuer_conf *i,
    struct mm_buf *out)
{
	mm_buf_printf(out, "Answer sheet for the CA that signs issuer \"%s\"\n"
	    "subject            as the request has it, unchanged\n"
	    "public key         the request's\n"
	    "basicConstraints   critical, CA:TRUE, pathlen:%d (yours must "
	    "allow %d below)\n"
	    "keyUsage           critical, keyCertSign and cRLSign\n"
	    "subjectKeyId       20 octets; authorityKeyId: your key's\n"
	    "extendedKeyUsage   none, or clientAuth, serverAuth and "
	    "OCSPSigning, all three\n"
	    "nameConstraints    none, or such that permit every name of the "
	    "profiles\n"
	    "cRLDistribution    your own list, at a place that devices' "
	    "peers reach\n", i->name, i->lines > 0 ? 1 : 0,
	    i->lines > 0 ? 2 : 1);
	put_life(c, i, out);
	mm_buf_text(out, "send back          PEM: that certificate, then each "
	    "above it, up to and with the root\n");
}
