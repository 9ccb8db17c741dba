#!/usr/bin/env bash
# Records the captures of real programs for the pool in decode/testdata/captures
# and writes their lines of MANIFEST.tsv.
#
#   deploy/lab/record.sh              all scenarios
#   deploy/lab/record.sh NAME...      these only
#   deploy/lab/record.sh -l           list them
#   OUT=FOLDER deploy/lab/record.sh NAME...   into FOLDER, without MANIFEST.tsv
#
# As root, on Debian 12, in the network that lab.sh makes; scenarios.sh says
# what is recorded. A scenario whose client is "dmz" is recorded at the router's
# DMZ side, any other at the client's port of the bridge. What a client says on
# its terminal goes to LOG, default: nowhere.
set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
pool=$(cd "$here/../../decode/testdata/captures" && pwd)
log=${LOG:-/dev/null}
# shellcheck source=deploy/lab/lab.sh
. "$here/lab.sh"

# Scenarios by name, in their order.
names=()
declare -A client package shows command before

# scenario NAME CLIENT PACKAGE SHOWS COMMAND: who runs it (dmz, internal,
# member), the Debian package of the program, what the capture shows. The
# command runs at the client, under 60 seconds; its exit status is of no interest.
scenario() {
	names+=("$1")
	client[$1]=$2 package[$1]=$3 shows[$1]=$4 command[$1]=$5
}

# before NAME FUNCTION...: what has to be there before NAME is recorded; dc_open
# where nothing is said.
before() {
	local n=$1
	shift
	before[$n]=$*
}

# shellcheck source=deploy/lab/scenarios.sh
. "$here/scenarios.sh"

if [[ ${1-} == -l ]]; then
	for n in "${names[@]}"; do
		printf '%-32s %-9s %s\n' "$n" "${client[$n]}" "${shows[$n]}"
	done
	exit 0
fi
wanted=("$@")
[[ $# -gt 0 ]] || wanted=("${names[@]}")
for n in "${wanted[@]}"; do
	[[ -v "client[$n]" ]] || die "no scenario $n; record.sh -l lists them"
done

[[ $(id -u) == 0 ]] || die "it needs root, for network namespaces"
check_packages
trap 'trap - EXIT; lab_down' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
lab_up

# The servers' states, each entered once until another is wanted.
dc_mode='' fs_mode=''
dc_in() { [[ $dc_mode == "$*" ]] || { dc_mode=$*; dc_start "$@"; }; }
fs_in() { [[ $fs_mode == "$*" ]] || { fs_mode=$*; fs_start "$@"; }; }
dc_open() { dc_in 'server min protocol = NT1' 'ldap server require strong auth = no'; }
dc_closed() { dc_in 'restrict anonymous = 2'; }
dc_plain() { dc_in 'server min protocol = NT1' 'server smb encrypt = off'; }
dc_closed_smb1() { dc_in 'server min protocol = NT1' 'restrict anonymous = 2'; }
dc_without_ntlm() { [[ -n $dc_mode ]] || dc_open; dc_in 'ntlm auth = disabled'; }
old_up() { [[ -n $(ip netns pids "$lab_tag-old") ]] || old_start; }

# Something to send in the client's folder.
upload() { head -c "$1" < <(seq 100000) >"$dir/home/upload.txt"; }
small_file() { upload 2000; }
file() { upload 40000; }
large_file() { upload 70000; }

# note NAME: the line of MANIFEST.tsv, in the place of the old one.
note() {
	local name=$1.pcap sum version
	sum=$(sha256sum "$pool/$name" | cut -d' ' -f1)
	version=$(dpkg-query -W -f '${Package} ${Version}' "${package[$1]}")
	{
		head -n 1 "$pool/MANIFEST.tsv"
		{
			tail -n +2 "$pool/MANIFEST.tsv" | awk -F '\t' -v n="$name" '$1 != n'
			printf '%s\t%s\t%s\trecorded\t%s\t%s\t-\tApache-2.0\n' "$name" "$sum" "${shows[$1]}" "$version" \
				"$(tr '\n' ' ' <<<"${command[$1]//\\n/; }" | sed 's/ *$//')"
		} | sort -t $'\t' -k 1,1
	} >"$dir/manifest"
	cat "$dir/manifest" >"$pool/MANIFEST.tsv"
}

# record NAME: one scenario.
record() {
	local host recorder f
	case ${client[$1]} in
	dmz) host=dmz ;;
	internal) host=in ;;
	member) host=mem ;;
	*) die "$1: no client ${client[$1]}" ;;
	esac
	rm -rf "$dir/ccache" "$dir/home"
	mkdir "$dir/home"
	for f in ${before[$1]-dc_open}; do "$f"; done
	: >"$dir/tcpdump.log"
	# -Z root: the file lies where only root may write.
	ip netns exec "$lab_tag-rtr" tcpdump -Z root -n --immediate-mode -U -i "to-v$host" -c 600 -w "$dir/$1.pcap" \
		"ip and host $(host_address "$host")" 2>"$dir/tcpdump.log" &
	recorder=$!
	for _ in {1..50}; do
		grep -q 'listening on' "$dir/tcpdump.log" && break
		sleep 0.1
	done
	(cd "$dir/home" && PATH=$here:$PATH as "$host" timeout -k 2 60 bash -c "${command[$1]}") </dev/null >>"$log" 2>&1 || true
	sleep 1
	kill -INT "$recorder" 2>/dev/null || true
	wait "$recorder" 2>/dev/null || true
	[[ $(stat -c %s "$dir/$1.pcap") -gt 24 ]] || { cat "$dir/tcpdump.log" >&2; die "$1: nothing was recorded"; }
	cat "$dir/$1.pcap" >"${OUT:-$pool}/$1.pcap"
	[[ -n ${OUT-} ]] || note "$1"
}

for n in "${wanted[@]}"; do
	echo "record.sh: $n" >&2
	echo "== $n: ${command[$n]}" >>"$log"
	record "$n"
done
[[ -n ${OUT-} ]] || "$here/tshark.sh" "${wanted[@]/%/.pcap}"
