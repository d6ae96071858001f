#!/bin/sh
# An existing CA by EST, where the key that we are known by is in a TPM or a
# PKCS#11 token: ask.sh FOLDER URL REQUEST, as exec of an issuer's block runs
# it.  README.md says what FOLDER has.
folder=$1 url=$2 request=$3
work=$(mktemp -d) || exit 75
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
openssl req -in "$request" -outform DER | openssl base64 > "$work/request" &&
	[ -s "$work/request" ] || exit 75
[ -r "$folder/environment" ] && . "$folder/environment"
OPENSSL_CONF=$folder/openssl.cnf curl -s -S --max-time 15 --no-location \
	--proto =https --noproxy '*' --cacert "$folder/anchors.pem" \
	--cert "$folder/registrar.pem" --key "$folder/key.pem" \
	-H 'Content-Type: application/pkcs10' -H 'Expect:' \
	--data-binary "@$work/request" -o "$work/answer" \
	-w '%{http_code} %{size_upload}' "$url/simpleenroll" > "$work/status"
ended=$?
read -r status sent < "$work/status"
case $status in
200)	# in lines or in one, which alone openssl would not take
	{ tr -d '\r\n' < "$work/answer" | fold -w 64; echo; } |
		openssl base64 -d |
		openssl pkcs7 -inform DER -print_certs ;;
202 | 429 | 503)
	exit 75 ;;
307 | 308 | 40[013456] | 409 | 41[01345] | 422 | 431 | 501)
	exit 77 ;;
000)	# nothing was made where nothing was sent
	[ "$ended" -ne 0 ] && [ "${sent:-1}" = 0 ] && exit 75
	exit 1 ;;
*)	exit 1 ;;
esac
