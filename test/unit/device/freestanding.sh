#!/bin/sh
# What the device library needs from outside: four functions and no more.
# Whatever it needs and does not define itself must be in the list.
set -eu
lib=$1
allowed='memcmp memcpy memmove memset'
defined=$(nm --defined-only "$lib" | awk 'NF == 3 { print $3 }')
bad=
for name in $(nm -u "$lib" | awk '$1 == "U" { print $2 }' | sort -u); do
	case " $allowed $(echo $defined) " in
	*" $name "*) ;;
	*) bad="$bad $name" ;;
	esac
done
writable=$(nm "$lib" | awk '$2 ~ /^[dDbBC]$/ && $3 !~ /\.ro\./ { print $3 }')
[ -n "$defined" ] || { echo "no symbols in $lib"; exit 1; }
[ -z "$bad" ] || { echo "needs:$bad"; exit 1; }
[ -z "$(size -A "$lib" | awk '$1 == ".data" || $1 == ".bss" { n += $2 }
    END { if (n > 0) print n }')" ] || { echo "writable: $writable"; exit 1; }
