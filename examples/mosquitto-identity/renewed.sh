#!/bin/sh
# on_renewed of mintmark-agent(1): the identity where mosquitto, which reads
# its files as a user of its own, can read it; then the command.
#	renewed.sh AGENTS_DIR ITS_DIR COMMAND [WORD]...
# ITS_DIR has mosquitto's group and the setgid bit, so that what is made there
# is that group's: the agent's service has no right to give files away.
set -eu
umask 027
from=$1/current to=$2
shift 2
if [ ! -g "$to" ]; then
	echo "renewed.sh: $to: want a folder with the setgid bit" >&2
	exit 1
fi
cat >/dev/null # the line of JSON: it names the same files
cd -P -- "$from" # one identity, whatever becomes of "current" meanwhile
cat cert.pem chain.pem >"$to/cert.new"
cat key.pem >"$to/key.new"
mv -f -- "$to/key.new" "$to/key.pem"
mv -f -- "$to/cert.new" "$to/cert.pem"
exec "$@"
