#!/bin/sh
# What the device library takes of a Cortex-M's flash, part by part, and that
# it needs nothing of the compiler's own library there (64-bit division is 700
# bytes).  The station's side (link*.c) is on no device.
# usage: cortex.sh COMPILER FOLDER OF device/
set -eu
cc=$1 device=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0

compile() { # CPU
	rm -f "$folder"/*.o
	for f in "$device"/*.c; do
		case "${f##*/}" in link*) continue ;; esac
		"$cc" -std=c17 -Os -mthumb -mcpu="$1" -ffreestanding \
			-ffunction-sections -fdata-sections -I "$device" \
			-c "$f" -o "$folder/$(basename "$f" .c).o"
	done
}
part() { # name, bytes at most, sources
	name=$1 most=$2
	shift 2
	objects=
	for f in "$@"; do objects="$objects $folder/$f.o"; done
	# shellcheck disable=SC2086
	n=$("${cc%gcc}size" $objects | awk 'NR > 1 { n += $1 } END { print n }')
	echo "  $name: $n bytes, at most $most"
	[ "$n" -le "$most" ] || failed=1
}
# An image's worth: what nothing calls is left out, and each call that stays
# is one that the whole program sees.
linked() { # CPU, bytes at most
	cat >"$folder/entry.c" <<-'END'
	#include "mmd_factory.h"
	enum mmd_rc entry(struct mmd_factory *f,
	    const struct mmd_factory_conf *c, const struct mmd_io *io);
	enum mmd_rc
	entry(struct mmd_factory *f, const struct mmd_factory_conf *c,
	    const struct mmd_io *io)
	{
		enum mmd_rc rc = mmd_factory_init(f, c);

		return rc == MMD_OK ? mmd_factory_run(f, io) : rc;
	}
	END
	sources=
	for f in $codec $factory; do sources="$sources $device/$f.c"; done
	# shellcheck disable=SC2086
	"$cc" -std=c17 -Os -flto -mthumb -mcpu="$1" -ffreestanding \
		-ffunction-sections -fdata-sections -nostdlib -I "$device" \
		-Wl,--gc-sections -Wl,-e,entry -Wl,--no-warnings \
		-Wl,--unresolved-symbols=ignore-all \
		-o "$folder/entry.elf" "$folder/entry.c" $sources
	n=$("${cc%gcc}size" "$folder/entry.elf" | awk 'END { print $1 }')
	echo "  factory and its codec, linked with -flto: $n bytes, at most $2"
	[ "$n" -le "$2" ] || failed=1
}
for cpu in cortex-m3 cortex-m4; do
	compile "$cpu"
	echo "$cpu, text:"
	codec='base64 cbor cborw der smp'
	factory='factory flash message request store verify'
	# shellcheck disable=SC2086
	{
	part 'codec of the factory' 3230 $codec
	part 'factory' 6170 $factory
	part 'both: an image that is only made' 9380 $codec $factory
	part 'codec, x509, token, EST: one that only renews' 7900 \
		base64 cert der est http pkcs7 request time token
	part 'the same, which reads tokens as URI or JSON' 9240 \
		base64 cert der est http pkcs7 request time token token_form
	part 'all of it' 17180 $codec $factory cert est http pkcs7 \
		signature time token token_form
	}
	linked "$cpu" 7990
	bad=$("${cc%gcc}nm" -u "$folder"/*.o | grep __ || :)
	[ -z "$bad" ] || { echo "needs: $bad"; exit 1; }
done
"${cc%gcc}size" "$folder"/*.o
exit $failed
