#!/bin/sh
# The components for ESP-IDF and Zephyr, compiled against stubs of those
# systems' headers and mbed TLS's real ones (2.28, Debian's); that they list
# every source of the device's side; and that the ports keep nothing in memory
# of their own, allocate nothing and call nobody but whom they are a port to.
# usage: components.sh COMPILER ROOT
set -eu
cc=$1 root=$2
stubs=$root/test/unit/device/stubs
ports='mbedtls_tls p256 psa_crypto psa_its random'
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

compile() { # system, sources
	system=$1
	shift
	for f in "$@"; do
		"$cc" -std=gnu17 -Os -DMBEDTLS_USE_PSA_CRYPTO -Wall -Wextra \
			-Wshadow -Wconversion -Wno-sign-conversion -Werror \
			-ffunction-sections -fno-stack-protector \
			-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=0 \
			-I "$stubs/$system" -I "$root/device" \
			-I "$root/device/port/its" \
			-I "$root/examples/$system/components/mintmark" \
			-I "$root/examples/$system/module" \
			-c "$f" -o "$folder/$(basename "$f" .c).o"
	done
}
lists_all() { # list
	for f in "$root"/device/*.c; do
		noun=$(basename "$f" .c)
		case $noun in link*) continue ;; esac
		grep -qw "$noun" "$1" || { echo "$1 has no $noun"; exit 1; }
	done
}
# Constants apart, nothing in memory; of others' functions these alone.
alone() { # port
	bad=$(nm -u "$folder/$1.o" | awk '{ print $2 }' | grep -vE \
		'^(mem(cpy|move|set|cmp|chr)|strlen|_GLOBAL_OFFSET_TABLE_|(mmd|psa|mbedtls)_.*)$' || :)
	[ -z "$bad" ] || { echo "$1 needs: $bad"; exit 1; }
	bad=$(nm "$folder/$1.o" | awk '$2 ~ /^[dDbBC]$/ && $3 !~ /^\./')
	case $bad in *\ [bBC]\ *) echo "$1 keeps: $bad"; exit 1 ;; esac
	n=$(size -A "$folder/$1.o" | awk '$1 ~ /^\.(data|bss)($|\.[^r])/ {
		n += $2 } END { print n + 0 }')
	[ "$n" -eq 0 ] || { echo "$1 keeps $n bytes: $bad"; exit 1; }
}
lists_all "$root/examples/esp-idf/components/mintmark/CMakeLists.txt"
lists_all "$root/examples/zephyr/module/CMakeLists.txt"
compile esp-idf "$root"/examples/esp-idf/main/*.c \
	"$root"/examples/esp-idf/components/mintmark/*.c
compile zephyr "$root"/examples/zephyr/app/src/*.c \
	"$root"/examples/zephyr/module/*.c
for port in $ports; do
	compile esp-idf "$root/device/port/$port.c"
	alone "$port"
done
echo "compiled against stubs; not run"
