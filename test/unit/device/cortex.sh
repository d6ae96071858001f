#!/bin/sh
# What the device library takes of a Cortex-M4's flash, and that it needs
# nothing of the compiler's own library there (64-bit division is 700 bytes).
# usage: cortex.sh COMPILER FOLDER OF device/
set -eu
cc=$1 device=$2
most=8192     # of a board that types or scans the text form
most_all=9400 # with URI and JSON forms
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for f in "$device"/*.c; do
	"$cc" -std=c17 -Os -mthumb -mcpu=cortex-m4 -ffreestanding \
		-ffunction-sections -fdata-sections -I "$device" -c "$f" \
		-o "$folder/$(basename "$f" .c).o"
done
text() {
	"${cc%gcc}size" "$@" | awk 'NR > 1 { n += $1 } END { print n }'
}
all=$(text "$folder"/*.o)
forms=$(text "$folder/token_form.o")
echo "text: $all bytes, $((all - forms)) without URI and JSON forms"
"${cc%gcc}size" "$folder"/*.o
bad=$("${cc%gcc}nm" -u "$folder"/*.o | grep __ || :)
[ -z "$bad" ] || { echo "needs: $bad"; exit 1; }
[ "$all" -le "$most_all" ] && [ "$((all - forms))" -le "$most" ]
