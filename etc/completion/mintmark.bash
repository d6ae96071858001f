# bash completion for mintmark(1); made by "mintmark completion bash"
_mintmark() {
	local cur=${COMP_WORDS[COMP_CWORD]} n=0 i=1
	local noun= verb= prev= words= kind= w glue=
	local -a line=()
	COMPREPLY=()
	# bash breaks a word at : and =, https://host for one
	for w in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
		case "$glue$w" in
		[:=]*) line[n-1]+=$w ;;
		*) line[n]=$w; n=$((n+1)) ;;
		esac
		case "$w" in *[:=]) glue=: ;; *) glue= ;; esac
	done
	n=$((n-1))
	while [ $i -lt $n ]; do
		w=${line[i]}; prev=$w
		case "$w" in
		--server|--ca|--key-file|--cert|--cert-key|--approval|--context|--) i=$((i+1)); [ $i -ge $n ] || prev= ;;
		-*) ;;
		*) if [ -z "$noun" ]; then noun=$w; elif [ -z "$verb" ]; then verb=$w; fi ;;
		esac
		i=$((i+1))
	done
	case " init status doctor audit completion man reference complete " in *" $noun "*) verb= ;; esac
	case "$noun $verb $prev" in
	'init  --name') words=' ' ;;
	'init  --dir') kind='@dir' ;;
	'init  --state') kind='@dir' ;;
	'init  --root') words='new external' ;;
	'init  --key-type') words='p256 p384 ed25519 rsa2048 rsa3072 rsa4096' ;;
	'init  --public-url') words=' ' ;;
	'init  --host') words=' ' ;;
	'init  --devices-listen') words=' ' ;;
	'init  --operators-listen') words=' ' ;;
	'init  --public-listen') words=' ' ;;
	'init  --database') words=' ' ;;
	'init  --product') words=' ' ;;
	'init  --admin') words=' ' ;;
	'init  --server-user') words=' ' ;;
	'init  --signer-user') words=' ' ;;
	'init  --audit-group') words=' ' ;;
	'init  --passphrase-file') kind='@file' ;;
	'init  --passphrase-fd') words=' ' ;;
	'doctor  --config') kind='@file' ;;
	'ca request --config') kind='@file' ;;
	'ca request --passphrase-file') kind='@file' ;;
	'ca request --passphrase-fd') words=' ' ;;
	'ca request --key-type') words='p256 p384 ed25519 rsa2048 rsa3072 rsa4096' ;;
	'ca request --out') kind='@file' ;;
	'ca install --config') kind='@file' ;;
	'ca install --passphrase-file') kind='@file' ;;
	'ca install --passphrase-fd') words=' ' ;;
	'ca install --chain') kind='@file' ;;
	'ca issuer --config') kind='@file' ;;
	'ca issuer --passphrase-file') kind='@file' ;;
	'ca issuer --passphrase-fd') words=' ' ;;
	'ca issuer --key-type') words='p256 p384 ed25519 rsa2048 rsa3072 rsa4096' ;;
	'ca issuer --root-key') kind='@file' ;;
	'ca issuer --issuer-years') words=' ' ;;
	'ca renew-tls --config') kind='@file' ;;
	'ca renew-tls --passphrase-file') kind='@file' ;;
	'ca renew-tls --passphrase-fd') words=' ' ;;
	'ca renew-tls --tls-dns') words=' ' ;;
	'ca renew-tls --tls-ip') words=' ' ;;
	'ca renew-tls --tls-days') words=' ' ;;
	'product list --limit') words=' ' ;;
	'product list --after') words=' ' ;;
	'product create --ldevid-profile') kind='profile' ;;
	'product create --idevid-profile') kind='profile' ;;
	'product create --hw-type-oid') words=' ' ;;
	'product create --description') words=' ' ;;
	'product update --ldevid-profile') kind='profile' ;;
	'product update --idevid-profile') kind='profile' ;;
	'product update --hw-type-oid') words=' ' ;;
	'product update --description') words=' ' ;;
	'product update --if-version') words=' ' ;;
	'product schema --set') kind='@file' ;;
	'product schema --check') kind='@file' ;;
	'product schema --if-version') words=' ' ;;
	'device list --product') kind='product' ;;
	'device list --state') words='active retired' ;;
	'device list --where') words=' ' ;;
	'device list --created-after') words=' ' ;;
	'device list --created-before') words=' ' ;;
	'device list --issued-after') words=' ' ;;
	'device list --issued-before') words=' ' ;;
	'device list --issuer') kind='issuer' ;;
	'device list --key-type') words='p256 p384 ed25519 rsa2048 rsa3072 rsa4096' ;;
	'device list --limit') words=' ' ;;
	'device list --after') words=' ' ;;
	'device create --product') kind='product' ;;
	'device create --bound-key') words=' ' ;;
	'device create --attributes') words=' ' ;;
	'device update --product') kind='product' ;;
	'device update --bound-key') words=' ' ;;
	'device update --attributes') words=' ' ;;
	'device update --if-version') words=' ' ;;
	'device import --format') words='csv jsonl' ;;
	'device import --errors') kind='@file' ;;
	'device history --limit') words=' ' ;;
	'device history --after') words=' ' ;;
	'device enrol --csr') kind='@file' ;;
	'device enrol --label') kind='profile' ;;
	'device enrol --out') kind='@file' ;;
	'device receipt --out') kind='@file' ;;
	'device birth-record --out') kind='@file' ;;
	'device birth-record --verify') kind='@file' ;;
	'device birth-record --key') kind='@file' ;;
	'device birth-record --root') kind='@file' ;;
	'device label --format') words='png zpl' ;;
	'device label --out') kind='@file' ;;
	'device label --printer') kind='@file' ;;
	'device label --template') kind='@file' ;;
	'device label --printed') kind='@file' ;;
	'device label --code') words=' ' ;;
	'token list --device') kind='device' ;;
	'token list --product') kind='product' ;;
	'token list --state') words='minted issued confirmed frozen cancelled expired' ;;
	'token list --limit') words=' ' ;;
	'token list --after') words=' ' ;;
	'token create --device') kind='device' ;;
	'token create --product') kind='product' ;;
	'token create --profile') kind='profile' ;;
	'token create --ttl') words=' ' ;;
	'token create --not-before') words=' ' ;;
	'token create --door') words='handshake bearer' ;;
	'token create --bound-key') words=' ' ;;
	'token create --out') kind='@file' ;;
	'token create --qr-png') kind='@file' ;;
	'token create --csv') kind='@file' ;;
	'token label --format') words='png zpl' ;;
	'token label --out') kind='@file' ;;
	'token label --printer') kind='@file' ;;
	'token label --template') kind='@file' ;;
	'token label --printed') kind='@file' ;;
	'token thaw --rebind') words=' ' ;;
	'cert list --device') kind='device' ;;
	'cert list --state') words='issued confirmed superseded held revoked orphaned' ;;
	'cert list --issuer') kind='issuer' ;;
	'cert list --product') kind='product' ;;
	'cert list --profile') words=' ' ;;
	'cert list --key') words=' ' ;;
	'cert list --expires-from') words=' ' ;;
	'cert list --expires-to') words=' ' ;;
	'cert list --older-than') words=' ' ;;
	'cert list --limit') words=' ' ;;
	'cert list --after') words=' ' ;;
	'cert export --format') words='pem der header pkcs12 esp-secure-cert nvs hex' ;;
	'cert export --out') kind='@dir' ;;
	'cert export --key') kind='@file' ;;
	'cert export --config') kind='@file' ;;
	'cert export --passphrase-file') kind='@file' ;;
	'cert export --passphrase-fd') words=' ' ;;
	'cert export --address') words=' ' ;;
	'cert export --image') words='der esp-secure-cert nvs' ;;
	'cert export --size') words=' ' ;;
	'cert revoke --reason') kind='reason' ;;
	'audit  --type') words=' ' ;;
	'audit  --device') kind='device' ;;
	'audit  --actor') words=' ' ;;
	'audit  --token') kind='token' ;;
	'audit  --serial') kind='serial' ;;
	'audit  --from') words=' ' ;;
	'audit  --to') words=' ' ;;
	'audit  --order') words='newest oldest' ;;
	'audit  --limit') words=' ' ;;
	'audit  --after') words=' ' ;;
	'ledger entries --since') words=' ' ;;
	'ledger entries --type') words=' ' ;;
	'ledger entries --device') kind='device' ;;
	'ledger entries --limit') words=' ' ;;
	'ledger verify --key') kind='@file' ;;
	'ledger verify --keep') kind='@file' ;;
	'ledger receipt --out') kind='@file' ;;
	'ledger verify-receipt --key') kind='@file' ;;
	'line check --key') kind='@file' ;;
	'line check --keep') kind='@file' ;;
	'ledger reconcile --config') kind='@file' ;;
	'ledger reconcile --journal') kind='@file' ;;
	'ledger reconcile --copied-at') words=' ' ;;
	'ledger export --since') words=' ' ;;
	'ledger export --type') words=' ' ;;
	'ledger export --device') kind='device' ;;
	'ledger export --format') words='jsonl csv tiles' ;;
	'ledger export --out') kind='@file' ;;
	'ledger export --from') kind='@dir' ;;
	'event list --after') words=' ' ;;
	'event list --type') words=' ' ;;
	'event list --device') kind='device' ;;
	'event list --product') kind='product' ;;
	'event list --limit') words=' ' ;;
	'event follow --after') words=' ' ;;
	'event follow --type') words=' ' ;;
	'event follow --device') kind='device' ;;
	'event follow --product') kind='product' ;;
	'event follow --state') kind='@file' ;;
	'event follow --count') words=' ' ;;
	'webhook list --limit') words=' ' ;;
	'webhook list --after') words=' ' ;;
	'webhook create --types') words=' ' ;;
	'webhook create --products') kind='product' ;;
	'webhook create --from') words=' ' ;;
	'webhook create --description') words=' ' ;;
	'webhook change --url') words=' ' ;;
	'webhook change --types') words=' ' ;;
	'webhook change --products') kind='product' ;;
	'webhook change --batch') words='yes no' ;;
	'webhook change --description') words=' ' ;;
	'webhook change --if-version') words=' ' ;;
	'webhook remove --if-version') words=' ' ;;
	'webhook pause --if-version') words=' ' ;;
	'webhook resume --if-version') words=' ' ;;
	'webhook rotate --if-version') words=' ' ;;
	'webhook replay --from') words=' ' ;;
	'webhook replay --if-version') words=' ' ;;
	'webhook dead-letters --retry') words=' ' ;;
	'webhook dead-letters --limit') words=' ' ;;
	'webhook dead-letters --after') words=' ' ;;
	'authorise rotate --if-version') words=' ' ;;
	'key list --limit') words=' ' ;;
	'key list --after') words=' ' ;;
	'key create --role') words='admin operator line support auditor metrics' ;;
	'key create --ttl') words=' ' ;;
	'key create --product') kind='product' ;;
	'key create --batch') words=' ' ;;
	'key create --source') words=' ' ;;
	'key create --description') words=' ' ;;
	'key create --certificate') kind='@file' ;;
	'approval list --limit') words=' ' ;;
	'approval list --after') words=' ' ;;
	esac
	[ -n "$words$kind" ] || case "$prev" in
	'--server') words=' ' ;;
	'--ca') kind='@file' ;;
	'--key-file') kind='@file' ;;
	'--cert') kind='@file' ;;
	'--cert-key') kind='@file' ;;
	'--approval') words=' ' ;;
	'--context') kind='@file' ;;
	esac
	[ -n "$words$kind" ] || case "$noun" in
	'') words='--help --version --json --quiet --server --ca --key-file --cert --cert-key --approval --context init status doctor ca profile product device token cert audit ledger line ledger event webhook authorise key approval completion man reference complete' ;;
	esac
	[ -n "$words$kind" ] || case "$noun $verb" in
	'init ') words='--help --name --dir --state --root --key-type --public-url --host --devices-listen --operators-listen --public-listen --database --product --bearer --admin --server-user --signer-user --audit-group --passphrase-file --passphrase-fd --test --dry-run --yes '; kind='' ;;
	'status ') words='--help '; kind='' ;;
	'doctor ') words='--help --config --deep --verbose '; kind='' ;;
	'ca list') words='--help '; kind='' ;;
	'ca crl') words='--help '; kind='issuer' ;;
	'ca request') words='--help --config --passphrase-file --passphrase-fd --key-type --out '; kind='' ;;
	'ca install') words='--help --config --passphrase-file --passphrase-fd --chain '; kind='' ;;
	'ca issuer') words='--help --config --passphrase-file --passphrase-fd --key-type --root-key --issuer-years '; kind='' ;;
	'ca renew-tls') words='--help --config --passphrase-file --passphrase-fd --tls-dns --tls-ip --tls-days '; kind='' ;;
	'profile list') words='--help '; kind='' ;;
	'profile show') words='--help '; kind='profile' ;;
	'profile check') words='--help '; kind='@file' ;;
	'profile diff') words='--help '; kind='@file' ;;
	'product list') words='--help --limit --after '; kind='' ;;
	'product show') words='--help '; kind='product' ;;
	'product create') words='--help --ldevid-profile --idevid-profile --hw-type-oid --description '; kind='' ;;
	'product update') words='--help --ldevid-profile --idevid-profile --hw-type-oid --description --if-version '; kind='product' ;;
	'product schema') words='--help --set --force --check --remove --if-version '; kind='product' ;;
	'device list') words='--help --product --state --where --created-after --created-before --issued-after --issued-before --issuer --key-type --limit --after '; kind='' ;;
	'device show') words='--help '; kind='device' ;;
	'device create') words='--help --product --bound-key --attributes '; kind='' ;;
	'device update') words='--help --product --bound-key --attributes --if-version '; kind='device' ;;
	'device import') words='--help --format --dry-run --all-or-nothing --errors '; kind='@file' ;;
	'device history') words='--help --limit --after '; kind='device' ;;
	'device retire') words='--help --dry-run --yes '; kind='device' ;;
	'device enrol') words='--help --csr --label --out '; kind='device' ;;
	'device receipt') words='--help --out '; kind='device' ;;
	'device birth-record') words='--help --html --out --verify --key --root '; kind='device' ;;
	'device label') words='--help --format --out --printer --template --printed --again --code '; kind='device' ;;
	'device why') words='--help '; kind='device' ;;
	'token list') words='--help --device --product --state --limit --after '; kind='' ;;
	'token show') words='--help '; kind='token' ;;
	'token create') words='--help --device --product --profile --ttl --not-before --door --bound-key --out --qr --qr-png --csv --resume --dry-run '; kind='' ;;
	'token cancel') words='--help '; kind='token' ;;
	'token label') words='--help --format --out --printer --template --printed --again '; kind='@file' ;;
	'token thaw') words='--help --keep --rebind '; kind='token' ;;
	'cert list') words='--help --device --state --issuer --product --profile --key --expires-from --expires-to --older-than --limit --after '; kind='' ;;
	'cert show') words='--help '; kind='serial' ;;
	'cert export') words='--help --format --out --key --config --passphrase-file --passphrase-fd --address --image --size '; kind='serial' ;;
	'cert revoke') words='--help --reason --dry-run '; kind='serial' ;;
	'cert hold') words='--help '; kind='serial' ;;
	'cert release') words='--help '; kind='serial' ;;
	'audit ') words='--help --type --device --actor --token --serial --from --to --order --limit --after '; kind='' ;;
	'ledger checkpoint') words='--help '; kind='' ;;
	'ledger key') words='--help '; kind='' ;;
	'ledger entries') words='--help --since --type --device --limit '; kind='' ;;
	'ledger verify') words='--help --key --keep '; kind='@dir' ;;
	'ledger receipt') words='--help --out '; kind='' ;;
	'ledger verify-receipt') words='--help --key '; kind='@file' ;;
	'line check') words='--help --key --keep '; kind='@file' ;;
	'ledger reconcile') words='--help --config --journal --copied-at '; kind='@file' ;;
	'ledger export') words='--help --since --type --device --format --out --from '; kind='' ;;
	'event list') words='--help --after --type --device --product --limit '; kind='' ;;
	'event follow') words='--help --after --type --device --product --state --count '; kind='' ;;
	'webhook list') words='--help --limit --after '; kind='' ;;
	'webhook show') words='--help '; kind='' ;;
	'webhook create') words='--help --types --products --batch --from --description '; kind='' ;;
	'webhook change') words='--help --url --types --products --batch --description --if-version '; kind='' ;;
	'webhook remove') words='--help --if-version '; kind='' ;;
	'webhook pause') words='--help --if-version '; kind='' ;;
	'webhook resume') words='--help --if-version '; kind='' ;;
	'webhook test') words='--help '; kind='' ;;
	'webhook rotate') words='--help --if-version '; kind='' ;;
	'webhook replay') words='--help --from --if-version '; kind='' ;;
	'webhook dead-letters') words='--help --retry --limit --after '; kind='' ;;
	'authorise show') words='--help '; kind='' ;;
	'authorise rotate') words='--help --if-version '; kind='' ;;
	'key list') words='--help --limit --after '; kind='' ;;
	'key whoami') words='--help '; kind='' ;;
	'key create') words='--help --role --ttl --product --batch --source --description --certificate '; kind='' ;;
	'key revoke') words='--help '; kind='' ;;
	'key erase') words='--help '; kind='' ;;
	'approval list') words='--help --limit --after '; kind='' ;;
	'approval show') words='--help '; kind='' ;;
	'approval approve') words='--help '; kind='' ;;
	'approval refuse') words='--help '; kind='' ;;
	'completion ') words='--help '; kind='' ;;
	'man ') words='--help '; kind='' ;;
	'reference ') words='--help '; kind='' ;;
	'complete ') words='--help '; kind='' ;;
	'ca ') words='list crl request install issuer renew-tls ' ;;
	'profile ') words='list show check diff ' ;;
	'product ') words='list show create update schema ' ;;
	'device ') words='list show create update import history retire enrol receipt birth-record label why ' ;;
	'token ') words='list show create cancel label thaw ' ;;
	'cert ') words='list show export revoke hold release ' ;;
	'ledger ') words='checkpoint key entries verify receipt verify-receipt reconcile export ' ;;
	'line ') words='check ' ;;
	'ledger ') words='checkpoint key entries verify receipt verify-receipt reconcile export ' ;;
	'event ') words='list follow ' ;;
	'webhook ') words='list show create change remove pause resume test rotate replay dead-letters ' ;;
	'authorise ') words='show rotate ' ;;
	'key ') words='list whoami create revoke erase ' ;;
	'approval ') words='list show approve refuse ' ;;
	esac
	case "$kind" in
	''|@*) ;;
	*) words="$words $(mintmark --quiet complete "$kind" 2>/dev/null)" ;;
	esac
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
	case "$kind" in
	@file) COMPREPLY+=($(compgen -f -- "$cur")) ;;
	@dir) COMPREPLY+=($(compgen -d -- "$cur")) ;;
	esac
}
complete -F _mintmark mintmark
