# bash completion for mintmark-agent
_mintmark_agent() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
	local command= w online='--server --label --key-type --tls --clock
	    --retry --timeout --deadline --renew-percent --dir --json -v'

	for w in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		case $w in enrol|renew|config|run|status) command=$w ;; esac
	done
	case $before in
	--token-file|--config|--credential|--credential-key|--anchor) COMPREPLY=($(compgen -f -- "$word")); return ;;
	--dir) COMPREPLY=($(compgen -d -- "$word")); return ;;
	--key) COMPREPLY=($(compgen -W 'file: tpm2: pkcs11:' -- "$word")); return ;;
	--key-type) COMPREPLY=($(compgen -W 'p256 p384 rsa2048 ed25519' \
	    -- "$word")); return ;;
	--tls) COMPREPLY=($(compgen -W '1.2 1.3' -- "$word")); return ;;
	--clock) COMPREPLY=($(compgen -W 'auto system server' -- "$word"))
		return ;;
	--server|--device|--label|--retry|--timeout|--deadline|--renew-percent)
		 COMPREPLY=(); return ;;
	esac
	case $command in
	enrol) w="$online --token-file --device --keep-token --erase-token
	    --credential --credential-key --key --anchor --replace" ;;
	renew) w="$online --now --ask --keep-key --key" ;;
	config) w='--server --tls --clock --retry --timeout --deadline --dir
	    --json -v' ;;
	run) w='--config --json' ;;
	status) w='--dir --config --renew-percent --json -v' ;;
	*) w='enrol renew config run status reference --json -v --help --version' ;;
	esac
	COMPREPLY=($(compgen -W "$w" -- "$word"))
}
complete -F _mintmark_agent mintmark-agent
