#include <string.h>

#include "server/attempts.h"

/* For every reason one sentence: what a support person does about it. */
static const char *const advice[MM_REASON_COUNT] = {
	[MM_R_NONE] = "",
	[MM_R_MALFORMED] = "The firmware sends a request that is no PKCS#10: "
			   "update its client library",
	[MM_R_POSSESSION] =
	    "The firmware signs its request with another key "
	    "than the one in it: let the device make a new key pair and ask "
	    "again",
	[MM_R_CREDENTIAL] =
	    "The code that was typed or stored in the device "
	    "is not the token's: enter it again, or mint a new token: "
	    "mintmark token create --device {device}",
	[MM_R_DOOR] =
	    "This token enrols by TLS handshake only: use a client "
	    "that can (mintmark-agent), or mint one for the other door: "
	    "mintmark token create --device {device} --door bearer",
	[MM_R_NOT_YET] =
	    "The token's time has not begun: wait for it, or "
	    "mint one that is valid now: mintmark token create --device "
	    "{device}",
	[MM_R_EXPIRED] = "Mint a new token: mintmark token create --device "
			 "{device}",
	[MM_R_CANCELLED] =
	    "Somebody cancelled this token; if the device is "
	    "to enrol all the same, mint a new one: mintmark token create "
	    "--device {device}",
	[MM_R_FROZEN] =
	    "Two keys came with one token: find out which is the "
	    "true device, then let an administrator thaw it: mintmark token "
	    "thaw {token}",
	[MM_R_OTHER_KEY] =
	    "The token was used with another key: if the "
	    "device was reset, mint a new token (mintmark token create "
	    "--device {device}); if not, treat the first certificate as "
	    "stolen",
	[MM_R_BOUND_KEY] =
	    "The token is bound to the key that the factory "
	    "recorded, and this device has another: check that it is the "
	    "right unit, or mint a token without --bound-key",
	[MM_R_IN_FLIGHT] =
	    "Two requests came at once with different keys: "
	    "let the device ask again in a moment; if it goes on, two units "
	    "share one token",
	[MM_R_CONFIRMED] =
	    "The device has a certificate that works: it must "
	    "renew (simplereenroll) instead of enrolling; if it lost its key, "
	    "mint a new token: mintmark token create --device {device}",
	[MM_R_CERT_UNKNOWN] =
	    "The client certificate is not one of this CA's "
	    "records: the device was enrolled elsewhere, or before a restore; "
	    "enrol it anew: mintmark token create --device {device}",
	[MM_R_CERT_REVOKED] =
	    "The certificate is revoked or on hold: if the "
	    "device may come back, release the hold (mintmark cert release "
	    "{serial}) or enrol it anew: mintmark token create --device "
	    "{device}",
	[MM_R_CERT_EXPIRED] =
	    "The certificate ended before the device "
	    "renewed it: let it renew late (simplereenroll) if the profile "
	    "allows that, or enrol it anew: mintmark token create --device "
	    "{device}",
	[MM_R_SUPERSEDED] =
	    "The device has a newer certificate and shows the "
	    "old one: let it use the newer; if that is lost, enrol anew: "
	    "mintmark token create --device {device}",
	[MM_R_CLONE] =
	    "Two units use one identity: find the true one, revoke "
	    "the certificates (mintmark cert list --device {device}) and "
	    "enrol it anew",
	[MM_R_IDEVID] = "A factory certificate is never renewed: the device "
			"must call simpleenroll with it",
	[MM_R_LDEVID] = "An operational certificate cannot enrol: the device "
			"must call simplereenroll with it",
	[MM_R_NAMES] = "The renewal's subject must be that of the certificate "
		       "it renews (RFC 7030 4.2.2): correct the firmware",
	[MM_R_SAME_KEY] = "The profile wants a new key for each renewal: "
			  "correct the firmware, or allow it in the profile",
	[MM_R_KEY_TAKEN] =
	    "Another device has a certificate for this key: "
	    "keys come from a shared image or a weak random generator; let "
	    "the device make a new one",
	[MM_R_KEY_COMPROMISED] = "This key was revoked as compromised: let "
				 "the device make a new one and ask again",
	[MM_R_BESIDE] =
	    "The token is one device's and the certificate "
	    "another's: use the token of the device itself, or remove the "
	    "certificate; nothing was spent",
	[MM_R_KEY_TYPE] =
	    "The profile does not allow this type of key: "
	    "correct the firmware or the profile (mintmark profile list)",
	[MM_R_PROFILE] =
	    "The profile does not allow this request: look at "
	    "it with mintmark profile list, and at the device's product",
	[MM_R_LABEL] = "The firmware asks under a label that no profile has: "
		       "correct its URL (mintmark profile list)",
	[MM_R_DEVICE] = "The device is retired, or its product has no "
			"profile: mintmark device show {device}",
	[MM_R_BINDING] =
	    "Something between device and server ends TLS (a "
	    "proxy), or the client does not bind its request to the "
	    "connection: connect it directly",
	[MM_R_FIELDED] =
	    "A credential of the line tried to give this device, which is in "
	    "use, another key: if the unit is back for repair, let an "
	    "operator mint the token (mintmark token create --device "
	    "{device}) or an administrator enrol it; if it is not, find out "
	    "who has that credential: mintmark key list",
	[MM_R_NO_BATCH] =
	    "The credential is a station's, and the request names no batch: "
	    "set the batch in the station's configuration",
	[MM_R_BATCH] =
	    "The batch is not there, not begun, paused, closed or past its "
	    "end: mintmark batch list; mintmark batch open or extend",
	[MM_R_BATCH_SERIAL] =
	    "The device is of another product than the batch, or its serial "
	    "number is none of those the batch was made for: mintmark batch "
	    "show",
	[MM_R_BATCH_UNIT] =
	    "The serial number was told of by two stations, or with two keys: "
	    "or a sync put one of them aside: find the boards that have it: "
	    "mintmark batch report, mintmark batch release, mintmark station "
	    "quarantine",
	[MM_R_BATCH_SHARE] =
	    "The batch is shared out among other stations: mintmark batch "
	    "share",
	[MM_R_BATCH_OFFLINE] =
	    "The batch's stations make it by themselves, each its share: "
	    "import the order there (mintmark batch order), or name another "
	    "batch for what the centre signs",
	[MM_R_QUOTA] =
	    "As many as the batch, or the station's share of it, allows were "
	    "made: mintmark batch report; mintmark batch extend with a reason",
	[MM_R_GUESSED] =
	    "Somebody tries this device's printed code; the true one is not "
	    "looked at for some minutes either.  Find out where they come "
	    "from, and give the device a token instead: mintmark token cancel "
	    "{token}; mintmark token create --device {device}",
	[MM_R_TOO_MANY] =
	    "The device asks for a new certificate again and "
	    "again: find out why it cannot keep its key; it may try again "
	    "tomorrow",
	[MM_R_CEILING] =
	    "The signer's ceiling for the profile is reached: "
	    "wait, or raise per_minute or per_day in the profile if so many "
	    "are meant",
	[MM_R_AUTHORISE_NO] =
	    "Your own system (authorise_url) refused the device: the text is "
	    "its reason; let the device try again once it is settled there",
	[MM_R_UPSTREAM_NAMES] =
	    "The request asks for a name, alternative name or right that "
	    "record and profile do not give: correct the firmware; an "
	    "existing CA is asked with the request as it came",
	[MM_R_UPSTREAM_AWAY] =
	    "The existing CA, or who asks it, does not answer: "
	    "mintmark doctor, the server's log; mintmark ledger entries --type "
	    "upstream.unknown",
	[MM_R_UPSTREAM_NO] =
	    "The existing CA refused, has yet to decide, was not asked, or "
	    "made a certificate that is not the profile's: the server's log "
	    "says what was wrong with it; "
	    "mintmark ledger entries --type upstream.refused",
	[MM_R_AUTHORISE_AWAY] =
	    "Your own system (authorise_url) gave no answer that counts: the "
	    "text says why; mintmark authorise show",
	[MM_R_GROUP_WAITS] =
	    "It has no credential that is its own: compare the key or the "
	    "code that the device shows, then mintmark group approve, or "
	    "refuse; mintmark group waiting lists them",
	[MM_R_GROUP_REFUSED] =
	    "An operator refused this key: if it is the right device after "
	    "all, let it make a new one and come again, or mint a token: "
	    "mintmark token create --device {device}",
	[MM_R_GROUP_CLOSED] =
	    "The group of its old certificate is closed or past its end: "
	    "mint a token (mintmark token create --device {device}), or "
	    "mintmark group extend",
	[MM_R_GROUP_PAUSED] =
	    "The group of its old certificate is paused, by an operator or by "
	    "too many conflicts: mintmark group show says which; mintmark "
	    "group open",
	[MM_R_GROUP_DEVICE] =
	    "Somebody who has a shared certificate came as this device, which "
	    "is in no list and no range of its group: if it should be, "
	    "mintmark group add; if not, the shared key is in wrong hands",
	[MM_R_GROUP_FACT] =
	    "Its key, hardware id, address or old certificate is not what the "
	    "group's list has for it: correct the list (mintmark group add), "
	    "or treat the shared key as stolen",
	[MM_R_GROUP_KEY] =
	    "Another key came for this device before: find out which is the "
	    "true device; if it was reset, mintmark group release, and it may "
	    "come again",
	[MM_R_GROUP_SUPERSEDED] =
	    "The device has proved its new identity, and somebody comes with "
	    "the old one: if it was reset, mint a token (mintmark token create "
	    "--device {device}); if not, the shared key is in wrong hands",
	[MM_R_GROUP_EXPIRED] =
	    "Its old certificate is past its end: make a group that takes "
	    "such (--accept-expired), or mint a token: mintmark token create "
	    "--device {device}",
	[MM_R_GROUP_WEAK] =
	    "Its old certificate is too weak to be believed on this "
	    "listener: mint a token (mintmark token create --device "
	    "{device}), or make a group with --legacy, for the legacy "
	    "listener",
	[MM_R_GROUP_REVOKED] =
	    "The old CA revoked its old certificate, says the list that was "
	    "given to the group (mintmark group crl): if it is the right "
	    "device after all, mint a token: mintmark token create --device "
	    "{device}",
	[MM_R_GROUP_LATE] =
	    "Nobody compared its pairing code in time: be at the device when it "
	    "shows one, and mintmark group approve",
	[MM_R_GROUP_QUEUE] =
	    "As many devices wait for an operator as the group lets: mintmark "
	    "group waiting, then approve or refuse them",
	[MM_R_BUSY] =
	    "The server could not answer then: nothing is wrong "
	    "with the device, it may try again; if it goes on: mintmark "
	    "doctor",
};

/* see attempts.h */
const char *
mm_advice(enum mm_reason reason)
{
	const char *text =
	    (unsigned)reason < MM_REASON_COUNT ? advice[reason] : NULL;

	return text != NULL ? text : "";
}

/* see attempts.h; an empty name becomes the word in capitals. */
void
mm_advice_put(struct mm_buf *out, enum mm_reason reason,
    const struct mm_advice_names *names)
{
	const struct {
		const char *mark, *value, *none;
	} rows[] = {
		{ "{device}", names->device, "DEVICE" },
		{ "{token}", names->token, "TOKEN" },
		{ "{serial}", names->serial, "SERIAL" },
	};

	for (const char *s = mm_advice(reason); *s != '\0';) {
		size_t i = 0;

		while (i < 3 &&
		       strncmp(s, rows[i].mark, strlen(rows[i].mark)) != 0)
			i++;
		if (i == 3) {
			mm_buf_u8(out, (uint8_t)*s++);
			continue;
		}
		mm_buf_text(out,
		    rows[i].value[0] != '\0' ? rows[i].value : rows[i].none);
		s += strlen(rows[i].mark);
	}
}
