# bash completion for mintmark-station; made by "mintmark-station completion"
_mintmark_station() {
	local word=${COMP_WORDS[COMP_CWORD]}
	local before=${COMP_WORDS[COMP_CWORD-1]} command= w=

	for w in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		case $w in enrol|provision|run|status|release|scrap|import|export|api-key|sync|label|fixtures|blink|report|adopt|selftest|man|completion|reference) command=$w ;; esac
	done
	case $before in
	--config) COMPREPLY=($(compgen -f -- "$word")); return ;;
	--serial|--fixture|--name) COMPREPLY=(); return ;;
	esac
	case $command in
	enrol) w='--config --json ' ;;
	provision) w='--config --serial --fixture --accept-clock --operator-badge-file --supervisor-badge-file --reason --json ' ;;
	run) w='--config --once --accept-clock --supervisor-badge-file --reason --tty --json ' ;;
	status) w='--config --json ' ;;
	release) w='--config --serial --supervisor-badge-file --reason --json ' ;;
	scrap) w='--config --serial --over-allowance --supervisor-badge-file --reason --json ' ;;
	import) w='--config --order --json ' ;;
	export) w='--config --out --from --mirror --json ' ;;
	api-key) w='--config --name --remove --json ' ;;
	sync) w='--config --json ' ;;
	label) w='--config --serial --json ' ;;
	fixtures) w='--config --json ' ;;
	blink) w='--config --fixture --times --json ' ;;
	report) w='--config --json ' ;;
	adopt) w='--config --serial --fixture --accept-clock --operator-badge-file --supervisor-badge-file --reason --json ' ;;
	selftest) w='--config --fixture --json ' ;;
	man) w='' ;;
	completion) w='' ;;
	reference) w='' ;;
	*) w='enrol provision run status release scrap import export api-key sync label fixtures blink report adopt selftest man completion reference --help --version' ;;
	esac
	COMPREPLY=($(compgen -W "$w" -- "$word"))
}
complete -F _mintmark_station mintmark-station
