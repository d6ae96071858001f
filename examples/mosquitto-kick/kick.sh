#!/bin/sh
# kick.sh DEVICE...: ends the open sessions of devices at mosquitto.
#
# The dynamic security plugin ends a client's sessions when the client is
# deleted or disabled.  A device that comes by certificate alone is no client
# of the plugin: it is made one for a moment.  One that is keeps its roles.
# MOSQUITTO_CTRL: the folder of a file "mosquitto_ctrl", mode 0600, with how to
# reach the broker: version 2.0 of the program reads no other (not that of -o).
# KICK_WAIT: seconds until the broker has the list that refuses them; else they
# come back and stay.
set -eu
: "${MOSQUITTO_CTRL:=/etc/mosquitto/mintmark}"
[ $# -gt 0 ] || { echo 'usage: kick.sh DEVICE...' >&2; exit 2; }
sleep "${KICK_WAIT:-5}"

# Its exit status is 0 whatever the broker answers, and its words have several
# forms: done is what ends with 0 and says nothing, but that we come without
# TLS.
ctrl() {
	said=$(XDG_CONFIG_HOME=$MOSQUITTO_CTRL mosquitto_ctrl dynsec "$@" \
	    2>&1) || said="$said (status $?)"
	said=$(printf '%s' "$said" | sed \
	    -e '/^Warning: You are running mosquitto_ctrl without encryption/d' \
	    -e '/^This means all of the configuration changes you are making/d')
}
must() {
	ctrl "$@"
	[ -z "$said" ] || { echo "kick.sh: $*: $said" >&2; return 1; }
}
kick() {
	[ "$1" != "$admin" ] || {
		echo "kick.sh: $1: that is our own name at the broker" >&2
		return 1
	}
	ctrl createClient "$1" -p \
	    "$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
	case $said in
	'') must deleteClient "$1" ;;
	*'already exists'*)
		must disableClient "$1" && must enableClient "$1" ;;
	*) echo "kick.sh: $1: $said" >&2; return 1 ;;
	esac
}
admin=$(sed -n 's/^-u *//p' "$MOSQUITTO_CTRL/mosquitto_ctrl")
failed=0
for device; do
	kick "$device" || failed=1 # and the others are not let off
done
exit $failed
