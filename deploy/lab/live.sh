#!/usr/bin/env bash
# The sensor live in the lab: on the router as on a SPAN port, and on the domain
# controller as an agent, while real clients ask for SRV records, bind
# anonymously, enumerate and activate from the DMZ. Every alert that must come
# has to come within a second of its packet; both sensors have to end in order.
#
#   deploy/lab/live.sh [KMSWATCH]     default: bin/kmswatch
#
# As root, on Debian 12, in the network that lab.sh makes.
set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(cd "$here/../.." && pwd)
sensor=$(realpath "${1:-$repo/bin/kmswatch}")
captures=$repo/decode/testdata/captures
# shellcheck source=deploy/lab/lab.sh
. "$here/lab.sh"

# What each sensor has to tell of.
span_rules=(dns-kms-lookup-climb rpc-anonymous-bind rpc-anonymous-enumeration smb-null-session
	kms-zone-climb kms-unknown-host kms-on-domain-controller rpc-zone-climb)
host_rules=("${span_rules[@]}")
# longest is how many milliseconds an alert may take from its packet on.
longest=1000

[[ $(id -u) == 0 ]] || die "it needs root, for network namespaces"
[[ -x $sensor ]] || die "no $sensor: run make build"
check_packages
trap 'trap - EXIT; lab_down' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
lab_up
echo "live.sh: a domain controller is set up" >&2
dc_start 'server min protocol = NT1' 'ldap server require strong auth = no'

# A KMS host on the domain controller, which says what one said in a capture.
on dc timeout -k 5 600 "$here/talk.py" serve $dc 1688 "$captures/kms-v6.pcap" </dev/null >"$dir/dc/kms" 2>&1 &
wait_port dc 1688

# watch NAME HOST INTERFACE MODE: a sensor, each of whose alerts is written with
# the time of its arrival in front, in milliseconds. It runs as nobody.
declare -A watching
watch() {
	local name=$1 host=$2 interface=$3 mode=$4
	: >"$dir/$name.log"
	mkfifo "$dir/$name.pipe"
	python3 -u -c 'import sys, time
for line in sys.stdin: print(int(time.time() * 1000), line, end="")' <"$dir/$name.pipe" >"$dir/$name.alerts" &
	ip netns exec "$lab_tag-$host" "$sensor" run --interface "$interface" --mode "$mode" \
		--config "$dir/sensor.yaml" --format ndjson >"$dir/$name.pipe" 2>"$dir/$name.log" &
	watching[$name]=$!
	for _ in {1..100}; do
		! grep -q '"watching"' "$dir/$name.log" || return 0
		kill -0 "${watching[$name]}" 2>/dev/null || break
		sleep 0.1
	done
	cat "$dir/$name.log" >&2
	die "the sensor on $interface of $host did not start"
}

cp "$repo/deploy/example/lab.yaml" "$dir/sensor.yaml"
chmod 755 "$dir"
watch span rtr to-vdmz span
watch host dc vdc host

echo "live.sh: clients in the DMZ look up, bind, enumerate and activate" >&2
dmz() { as dmz timeout -k 2 30 "$@" </dev/null >>"$dir/clients.log" 2>&1 || true; }
dmz dig @$dc "_vlmcs._tcp.$zone" SRV
dmz rpcclient -U '' -N $dc -c 'enumdomusers;lsaquery;netshareenumall'
dmz rpcclient -U '' -N "ncacn_ip_tcp:$dc" -c enumdomusers
dmz smbclient -L $dc -N
dmz "$here/talk.py" ask $dc 1688 "$captures/kms-v6.pcap"
sleep 2

failed=0
# check NAME RULE...: the alerts of a sensor.
check() {
	local name=$1 status=0
	shift
	kill -TERM "${watching[$name]}"
	wait "${watching[$name]}" || status=$?
	[[ $status == 0 ]] || { echo "live.sh: $name: exit status $status on SIGTERM" >&2; cat "$dir/$name.log" >&2; failed=1; }
	python3 - "$name" "$longest" "$dir/$name.alerts" "$@" <<'PY' || failed=1
import json, sys
name, longest, path, rules = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:]
first, process, bad = {}, {}, 0
for line in open(path):
    arrived, text = line.split(" ", 1)
    alert = json.loads(text)
    if alert["activity_id"] == 1:
        rule = alert["finding_info"]["analytic"]["uid"]
        first.setdefault(rule, int(arrived) - alert["time"])
        process.setdefault(rule, alert["evidences"][0].get("process", {}).get("name"))
for rule in rules:
    if rule not in first:
        print(f"{name:5} {rule:28} MISSING")
        bad = 1
    elif first[rule] > longest:
        print(f"{name:5} {rule:28} {first[rule]} ms: LATE")
        bad = 1
    else:
        print(f"{name:5} {rule:28} {first[rule]} ms")
# An agent names the program; a sensor on a mirror port knows none.
served = process.get("kms-zone-climb")
if served != ("python3" if name == "host" else None):
    print(f"{name:5} KMS is served by {served}: WRONG")
    bad = 1
print(f"{name:5} other rules that fired: {' '.join(sorted(set(first) - set(rules))) or 'none'}")
sys.exit(bad)
PY
}
check span "${span_rules[@]}"
check host "${host_rules[@]}"
[[ $failed == 0 ]] || die "the sensor failed"
