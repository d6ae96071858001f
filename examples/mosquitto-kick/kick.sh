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

# Its exit status is 0 whatever the broker answers: its words tell.
ctrl() {
	said=$(XDG_CONFIG_HOME=$MOSQUITTO_CTRL mosquitto_ctrl dynsec "$@" 2>&1 |
	    sed -n 's/^.*Error: //p')
}
must() {
	ctrl "$@"
	[ -z "$said" ] || { echo "kick.sh: $*: $said" >&2; exit 1; }
}
for device; do
	ctrl createClient "$device" -p \
	    "$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
	case $said in
	'') must deleteClient "$device" ;;
	*'already exists'*)
		must disableClient "$device"
		must enableClient "$device" ;;
	*) echo "kick.sh: $device: $said" >&2; exit 1 ;;
	esac
done
